/* server fsck: the independent checker, told by the tool.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "gateway/fsck/fsck.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/create.h"
#include "gateway/ctl/print.h"
#include "gateway/ctl/shapes.h"

static const struct column finding_columns[] = {
	{ .name = "check" },
	{ .name = "finding" },
	{ 0 },
};

const struct list_shape finding_shape = { "findings", finding_columns, "check,finding", "check,finding",
					  "no findings", true };

static void take(void *list, const char *check, const char *text)
{
	cJSON *o = cJSON_CreateObject();

	cJSON_AddStringToObject(o, "check", check);
	cJSON_AddStringToObject(o, "finding", text);
	(void)list_add(list, o);
}

/* What was looked at goes to standard error: the list on standard output is for programs too. */
static void sum_up(const struct fsck_options *o, const struct fsck_summary *s)
{
	if (!o->only_trail)
		fprintf(stderr, "%lld requests, %lld certificates, %lld revocation lists%s\n", s->requests,
			s->certificates, s->lists, o->crls ? "" : " (there is no folder of lists to look at)");
	fprintf(stderr, "%lld audit records", s->records);
	if (!o->anchor)
		fprintf(stderr, "; no anchor: records that were cut off at the end would not be missed\n");
	else
		fprintf(stderr, ", anchored up to %lld; the anchor's MAC was not looked at, `gatehouse audit verify`"
				" of a running core does that\n", s->anchored);
}

int ctl_check_store(struct ctl *ctl, bool only_trail)
{
	char database[PATH_MAX], anchor[PATH_MAX], crls[PATH_MAX], why[FSCK_WHY_SIZE] = "";
	const char *data = option_value(ctl, "data");
	struct fsck_options o = { .only_trail = only_trail, .found = take };
	struct fsck_summary summary;
	struct list *list;
	int code;

	snprintf(database, sizeof(database), "%s/core/core.db", data ? data : CTL_DATA_DEFAULT);
	snprintf(anchor, sizeof(anchor), "%s/core/audit.anchor", data ? data : CTL_DATA_DEFAULT);
	snprintf(crls, sizeof(crls), "%s/core/crl", data ? data : CTL_DATA_DEFAULT);
	o.database = option_given(ctl, "database") ? option_value(ctl, "database") : database;
	o.anchor = option_given(ctl, "anchor") ? option_value(ctl, "anchor") :
		   option_given(ctl, "database") || access(anchor, F_OK) ? NULL : anchor;
	o.crls = option_given(ctl, "database") || access(crls, F_OK) ? NULL : crls;
	code = list_new(&list, ctl);
	if (code)
		return code;
	o.arg = list;
	if (fsck_run(&o, &summary, why))
		return list_end(&list, ctl_fail(CTL_FAILED, "the store cannot be read", why,
						"run it as root or as the user of the core, with --data or"
						" --database"));
	code = list_end(&list, CTL_DONE);
	sum_up(&o, &summary);
	return code ? code : summary.findings ? CTL_FAILED : CTL_DONE;
}

int ctl_fsck(struct ctl *ctl)
{
	return ctl_check_store(ctl, false);
}
