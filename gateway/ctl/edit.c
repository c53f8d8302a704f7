/* The command that changes a pending request.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/own.h"
#include "gateway/ctl/decide.h"

typedef Gatehouse__Admin__Call Call;

/* One change: `value` as an option gives it. `*version` is that of the row, as it was shown or as the change before
 * left it; 0: any. */
typedef int change_fn(struct decide_run *run, int64_t id, const char *value, int64_t *version);

static int make_change(struct decide_run *run, int64_t id, const Call *call, int64_t *version)
{
	const struct target t = { .id = id };
	int code;
	OWNED_REPLY *reply = decide_call(run, &t, call, &code);

	if (!code && reply->decided)
		*version = *version ? reply->decided->version : 0;
	if (!code)
		decide_keep(run, reply);
	return code;
}

static int set_attribute(struct decide_run *run, int64_t id, const char *name, size_t n_name, const char *value,
			 int64_t *version)
{
	Gatehouse__Admin__SetAttribute set = GATEHOUSE__ADMIN__SET_ATTRIBUTE__INIT;
	Call call = GATEHOUSE__ADMIN__CALL__INIT;
	OWNED_STR copy = strndup(name, n_name);

	if (!copy)
		abort();
	set.id = id;
	set.name = copy;
	set.value = (char *)value;
	set.version = *version;
	call.what_case = GATEHOUSE__ADMIN__CALL__WHAT_SET_ATTRIBUTE;
	call.set_attribute = &set;
	return make_change(run, id, &call, version);
}

static int change_set_attribute(struct decide_run *run, int64_t id, const char *value, int64_t *version)
{
	const char *equals = strchr(value, '=');

	if (!equals || equals == value)
		return ctl_fail(CTL_USAGE, value, "an attribute is written name=value", NULL);
	return set_attribute(run, id, value, (size_t)(equals - value), equals + 1, version);
}

static int change_delete_attribute(struct decide_run *run, int64_t id, const char *value, int64_t *version)
{
	return set_attribute(run, id, value, strlen(value), "", version);
}

/* In the order in which they are made. */
static const struct {
	const char *option;
	change_fn *change;
} changes[] = {
	{ "set-attr", change_set_attribute },
	{ "del-attr", change_delete_attribute },
};
#define N_CHANGES (sizeof(changes) / sizeof(*changes))

static int edit_one(struct decide_run *run, const struct target *t)
{
	int64_t version = t->version;
	const char *value;
	int code = CTL_DONE;

	for (size_t i = 0; i < N_CHANGES; i++)
		for (int j = 0; !code && (value = option_nth(run->ctl, changes[i].option, j)); j++)
			code = changes[i].change(run, t->id, value, &version);
	if (!code && !is_json(run->ctl))
		printf("request %lld is changed; policy has not been asked: gatehouse resubmit %lld\n",
		       (long long)t->id, (long long)t->id);
	return code;
}

int ctl_edit(struct ctl *ctl)
{
	bool has_changes = false;

	for (size_t i = 0; i < N_CHANGES; i++)
		has_changes |= option_given(ctl, changes[i].option);
	if (!has_changes)
		return ctl_fail(CTL_USAGE, "nothing to edit", "no option says what to change", "gatehouse edit --help");
	return decide_all(ctl, "edit", "state=pending", edit_one, NULL);
}
