/* What a command is done to.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "gateway/ctl/targets.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "gateway/ctl/print.h"
#include "gateway/ctl/requests.h"

#define SAMPLES 3
#define MAX_DEFAULT 100
#define MAX_MAX 100000

struct search {
	struct targets *found;
	int64_t most;
	bool is_too_many;
	/* "  41  acme  CN=…" of the first ones */
	const char *samples[SAMPLES];
};

static struct target *add(struct targets *t, int64_t id)
{
	for (size_t i = 0; i < t->n; i++)
		if (t->all[i].id == id)
			return &t->all[i];
	t->all = reallocarray(t->all, t->n + 1, sizeof(*t->all));
	if (!t->all)
		abort();
	t->all[t->n] = (struct target){ .id = id };
	return &t->all[t->n++];
}

static bool take_match(void *arg, const Gatehouse__Admin__Request *q)
{
	struct search *s = arg;
	struct target *target;

	if ((int64_t)s->found->n == s->most) {
		s->is_too_many = true;
		return false;
	}
	target = add(s->found, q->id);
	if (q->digest.len == SHA256_SIZE) {
		memcpy(target->digest, q->digest.data, SHA256_SIZE);
		target->has_digest = true;
	}
	if (s->found->n <= SAMPLES) {
		OWNED_BUF line = BUF_INIT(65536);

		buf_printf(&line, "  %lld  %s  %s  %s  %s", (long long)q->id, print_text(q->protocol),
			   print_text(q->profile), print_text(q->subject), print_names(q->names, q->n_names));
		s->samples[s->found->n - 1] = print_kept(buf_str(&line));
	}
	return true;
}

static int ask(const struct search *s, const char *verb)
{
	char answer[32] = "", *end;
	long long typed;

	fprintf(stderr, "%zu request%s match%s:\n", s->found->n, s->found->n == 1 ? "" : "s",
		s->found->n == 1 ? "es" : "");
	for (size_t i = 0; i < SAMPLES && i < s->found->n; i++)
		fprintf(stderr, "%s\n", s->samples[i]);
	if (s->found->n > SAMPLES)
		fprintf(stderr, "  … and %zu more\n", s->found->n - SAMPLES);
	fprintf(stderr, "Type the number of requests to %s them: ", verb);
	if (!fgets(answer, sizeof(answer), stdin))
		answer[0] = '\0';
	typed = strtoll(answer, &end, 10);
	if (end != answer && (*end == '\n' || *end == '\0') && typed == (long long)s->found->n)
		return CTL_DONE;
	return ctl_fail(CTL_USAGE, "nothing was done", "the number was not confirmed", NULL);
}

/* All that the filters match, and the question once for all of them. */
static int find_by_filters(struct targets *out, struct ctl *ctl, const char *verb, const char *own)
{
	struct search s = { .found = out, .most = MAX_DEFAULT };
	char what[96], why[96];
	int code = option_number(ctl, "max", 1, MAX_MAX, &s.most);

	for (int i = 0; !code && i < ctl->n_arguments; i++) {
		OWNED_BUF filter = BUF_INIT(8192);

		if (ctl->arguments[i][0] != '@')
			continue;
		out->is_batch = true;
		if (requests_filter(&filter, own, ctl->arguments[i]))
			return ctl_fail(CTL_USAGE, "the filter is too long", NULL, NULL);
		code = requests_fetch(ctl, buf_str(&filter), &(struct requests_part){ .page = 500 }, take_match, &s);
	}
	if (code || !out->is_batch)
		return code;
	snprintf(why, sizeof(why), "more than %lld requests match", (long long)s.most);
	snprintf(what, sizeof(what), "cannot %s", verb);
	if (s.is_too_many)
		return ctl_fail(CTL_USAGE, what, why, "take a narrower filter, or allow more with --max");
	if (out->n == 0)
		return ctl_fail(CTL_NOT_FOUND, what, "no request matches", "gatehouse list");
	if (option_given(ctl, "yes"))
		return CTL_DONE;
	if (!has_terminal())
		return ctl_fail(CTL_USAGE, what, "there is no terminal to confirm the number at", "add --yes");
	return ask(&s, verb);
}

int targets_find(struct targets *out, struct ctl *ctl, const char *verb, const char *own)
{
	int code;

	*out = (struct targets){ 0 };
	code = find_by_filters(out, ctl, verb, own);
	for (int i = 0; !code && i < ctl->n_arguments; i++) {
		int64_t id;

		if (ctl->arguments[i][0] == '@')
			continue;
		code = requests_resolve(ctl, ctl->arguments[i], *own != '\0', &id);
		if (!code)
			add(out, id);
	}
	return code;
}

void targets_fini(struct targets *t)
{
	free(t->all);
	*t = (struct targets){ 0 };
}
