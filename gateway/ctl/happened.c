/* Commands that follow what happens: watch, wait.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/module.h"
#include "gateway/ctl/print.h"
#include "gateway/ctl/requests.h"

typedef Gatehouse__Admin__Call Call;
typedef Gatehouse__Admin__Reply Reply;
typedef Gatehouse__Admin__Happened Happened;

#define ROUND_MS 20000 /* how long one call waits in the core */

struct watch {
	struct ctl *ctl;
	int64_t id;          /* 0: all requests */
	int64_t after;
	int64_t deadline_ms; /* of the monotonic clock; 0: none */
};

/* How long the next call may wait; 0 when time is up. */
static uint32_t round_ms(const struct watch *w)
{
	int64_t left = w->deadline_ms ? w->deadline_ms - clock_mono_ms() : ROUND_MS;

	return left <= 0 ? 0 : left < ROUND_MS ? (uint32_t)left : ROUND_MS;
}

static Reply *next_lines(struct watch *w, int *code)
{
	Gatehouse__Admin__Watch query = GATEHOUSE__ADMIN__WATCH__INIT;
	Call call = GATEHOUSE__ADMIN__CALL__INIT;
	Reply *reply;

	query.after = w->after;
	query.id = w->id;
	query.wait_ms = round_ms(w);
	call.what_case = GATEHOUSE__ADMIN__CALL__WHAT_WATCH;
	call.watch = &query;
	reply = ctl_call(w->ctl, &call);
	*code = reply ? ctl_outcome(w->ctl, reply, "watch") : CTL_UNREACHABLE;
	if (!*code && !reply->watched)
		*code = ctl_fail(CTL_FAILED, "the core does not say what happened", NULL, NULL);
	if (!*code)
		w->after = reply->watched->last;
	return reply;
}

static int set_deadline(struct watch *w, const char *fallback)
{
	const char *timeout = option_given(w->ctl, "timeout") ? option_value(w->ctl, "timeout") : fallback;
	int64_t seconds;

	if (!timeout)
		return CTL_DONE;
	if (ctl_parse_duration(timeout, &seconds))
		return CTL_USAGE;
	w->deadline_ms = clock_mono_ms() + seconds * 1000;
	return CTL_DONE;
}

static void print_happened(struct ctl *ctl, const Happened *h)
{
	cJSON *o;

	if (!is_json(ctl) && isatty(STDOUT_FILENO)) {
		printf("%s  %-6lld %-8s %-16s %s\n", print_time_ms(h->at_ms), (long long)h->request_id,
		       ca_state_word((enum ca_state)h->state), print_text(h->actor), print_text(h->text));
	} else {
		o = cJSON_CreateObject();
		cJSON_AddNumberToObject(o, "event", (double)h->id);
		cJSON_AddNumberToObject(o, "id", (double)h->request_id);
		cJSON_AddStringToObject(o, "state", ca_state_word((enum ca_state)h->state));
		cJSON_AddStringToObject(o, "at", print_time_ms(h->at_ms));
		cJSON_AddStringToObject(o, "actor", h->actor);
		cJSON_AddStringToObject(o, "text", h->text);
		print_json_text(o);
		putchar('\n');
		cJSON_Delete(o);
	}
	/* Who reads a pipe sees each line when it happens. */
	fflush(stdout);
	print_forget();
}

static bool note_match(void *arg, const Gatehouse__Admin__Request *q)
{
	*(bool *)arg = true;
	return false;
}

/* Does the request match what --until says? */
static int is_over(struct ctl *ctl, int64_t id, bool *over)
{
	const char *until = option_value(ctl, "until");
	OWNED_BUF filter = BUF_INIT(8192);
	char own[32];

	if (!until)
		return CTL_DONE;
	snprintf(own, sizeof(own), "id=%lld", (long long)id);
	if (requests_filter(&filter, own, until))
		return ctl_fail(CTL_USAGE, "the filter is too long", NULL, NULL);
	return requests_fetch(ctl, buf_str(&filter), &(struct requests_part){ .page = 1 }, note_match, over);
}

static int print_lines(struct watch *w, const Reply *reply, bool *over)
{
	int code = CTL_DONE;

	for (size_t i = 0; !code && !*over && i < reply->watched->n_lines; i++) {
		print_happened(w->ctl, reply->watched->lines[i]);
		code = is_over(w->ctl, reply->watched->lines[i]->request_id, over);
	}
	return code;
}

int ctl_watch(struct ctl *ctl)
{
	struct watch w = { .ctl = ctl };
	bool over = false;
	int code = set_deadline(&w, NULL);

	if (!code && ctl->n_arguments)
		code = requests_resolve(ctl, ctl->arguments[0], false, &w.id);
	if (!code && w.id) {
		/* Of one that is not there nothing will ever happen. */
		OWNED_REPLY *reply = requests_detail(ctl, w.id, false, &code);
	}
	if (!code && w.id)
		code = is_over(ctl, w.id, &over);
	while (!code && !over) {
		OWNED_REPLY *reply = next_lines(&w, &code);

		if (!code)
			code = print_lines(&w, reply, &over);
		if (!code && !over && round_ms(&w) == 0)
			return option_given(ctl, "until") ? CTL_PENDING : CTL_DONE;
	}
	return code;
}

/* ---- wait ---- */

static int tell_end(struct ctl *ctl, const Gatehouse__Admin__Request *q)
{
	static const struct {
		enum ca_state state;
		int code;
	} codes[] = { { CA_STATE_ISSUED, CTL_DONE },	 { CA_STATE_REVOKED, CTL_DONE },
		      { CA_STATE_DENIED, CTL_DENIED },	 { CA_STATE_PENDING, CTL_PENDING },
		      { CA_STATE_ACTIVE, CTL_PENDING } };

	if (is_json(ctl)) {
		cJSON *document = cJSON_CreateObject();

		cJSON_AddItemToObject(document, "request", request_json(q));
		print_json(document);
	} else {
		printf("request %lld is %s%s%s\n", (long long)q->id, ca_state_word((enum ca_state)q->state),
		       q->reason[0] ? ": " : "", print_text(q->reason));
	}
	for (size_t i = 0; i < sizeof(codes) / sizeof(*codes); i++)
		if (codes[i].state == (enum ca_state)q->state)
			return codes[i].code;
	return CTL_FAILED;
}

int ctl_wait(struct ctl *ctl)
{
	struct watch w = { .ctl = ctl };
	int code = set_deadline(&w, "10m");

	if (!code)
		code = requests_resolve(ctl, ctl->arguments[0], false, &w.id);
	while (!code) {
		/* Where we are is asked before the state, so that nothing between the two is missed. */
		OWNED_REPLY *lines = next_lines(&w, &code);
		OWNED_REPLY *reply = code ? NULL : requests_detail(ctl, w.id, false, &code);
		enum ca_state state = code ? CA_STATE_ERROR : (enum ca_state)reply->detail->request->state;

		if (!code && ((state != CA_STATE_PENDING && state != CA_STATE_ACTIVE) || round_ms(&w) == 0))
			return tell_end(ctl, reply->detail->request);
	}
	return code;
}
