/* Commands that decide about requests: approve, deny, resubmit, note.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "gateway/ctl/decide.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/base64.h"
#include "core/module.h"
#include "gateway/ctl/print.h"
#include "gateway/ctl/requests.h"
#include "gateway/ctl/results.h"

typedef Gatehouse__Admin__Call Call;
typedef Gatehouse__Admin__Reply Reply;
typedef Gatehouse__Admin__Request Request;

/* The exit code for the state that a decision left the request in. */
static int code_of(const Request *q)
{
	switch (q ? (enum ca_state)q->state : CA_STATE_ERROR) {
	case CA_STATE_ISSUED:
		return CTL_DONE;
	case CA_STATE_DENIED:
		return CTL_DENIED;
	case CA_STATE_PENDING:
		return CTL_PENDING;
	default:
		return CTL_FAILED;
	}
}

void decide_keep(struct decide_run *run, const Reply *reply)
{
	cJSON_Delete(run->last);
	run->last = is_json(run->ctl) && reply->decided ? request_json(reply->decided) : NULL;
}

void decide_tell(struct decide_run *run, int64_t id, const Reply *reply)
{
	const Request *q = reply->decided;

	decide_keep(run, reply);
	if (!is_json(run->ctl))
		printf("request %lld is %s%s%s\n", (long long)id,
		       ca_state_word(q ? (enum ca_state)q->state : CA_STATE_ERROR), reply->reason[0] ? ": " : "",
		       print_text(reply->reason));
}

Reply *decide_call(struct decide_run *run, const struct target *t, const Call *call, int *code)
{
	Reply *reply = ctl_call(run->ctl, call);
	char what[64];

	snprintf(what, sizeof(what), "%s %lld", run->verb, (long long)t->id);
	*code = reply ? ctl_outcome(run->ctl, reply, what) : CTL_UNREACHABLE;
	return reply;
}

static cJSON *result_of(struct decide_run *run, int64_t id, int code)
{
	cJSON *o = cJSON_CreateObject();

	cJSON_AddNumberToObject(o, "id", (double)id);
	cJSON_AddNumberToObject(o, "exit", code);
	if (run->last)
		cJSON_AddItemToObject(o, "request", run->last);
	run->last = NULL;
	return o;
}

static int print_single(struct decide_run *run)
{
	cJSON *document;

	if (!run->last)
		return CTL_DONE;
	document = cJSON_CreateObject();
	cJSON_AddItemToObject(document, "request", run->last);
	run->last = NULL;
	return print_json(document);
}

/* Several with different results: CTL_PARTLY when some went well. */
static int do_all(struct decide_run *run, const struct targets *targets)
{
	bool is_single = targets->n == 1 && !targets->is_batch;
	bool has_results = is_json(run->ctl) && !is_single;
	struct results results = { NULL, NULL };
	size_t done = 0, failed = 0;
	int code = CTL_DONE;

	if (has_results)
		results_begin(&results, run->ctl);

	for (size_t i = 0; i < targets->n; i++) {
		int this = run->one(run, &targets->all[i]);

		done += this == CTL_DONE;
		failed += this != CTL_DONE;
		code = this != CTL_DONE ? this : code;
		if (has_results)
			results_add(&results, result_of(run, targets->all[i].id, this));
		if (this == CTL_UNREACHABLE)
			break;
	}
	if (is_single)
		print_single(run);
	results_end(&results);
	if (targets->is_batch && !is_json(run->ctl))
		printf("%s: %zu of %zu done\n", run->verb, done, targets->n);
	return done && failed ? CTL_PARTLY : code;
}

int decide_all(struct ctl *ctl, const char *verb, const char *own, decide_fn *one, void *arg)
{
	struct decide_run run = { .ctl = ctl, .verb = verb, .one = one, .arg = arg };
	struct targets targets;
	int code = targets_find(&targets, ctl, verb, own);

	run.is_batch = targets.is_batch;
	if (!code)
		code = do_all(&run, &targets);
	cJSON_Delete(run.last);
	targets_fini(&targets);
	return code;
}

/* ---- approve ---- */

/* On standard error: standard output is what came of it, and may be somebody else's file. */
static void show_beside(struct ctl *ctl, const Gatehouse__Admin__Detail *d)
{
	int output;

	fflush(stdout);
	output = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);
	if (output < 0 || dup2(STDERR_FILENO, STDOUT_FILENO) < 0)
		abort();
	requests_show(ctl, d);
	fflush(stdout);
	if (dup2(output, STDOUT_FILENO) < 0)
		abort();
	close(output);
}

/* Show what will be approved and ask. The digest that was shown goes into `digest`. */
static int confirm(struct ctl *ctl, int64_t id, int64_t not_after_s, uint8_t digest[static SHA256_SIZE])
{
	int code;
	OWNED_REPLY *reply = requests_detail(ctl, id, false, &code);

	if (code)
		return code;
	if (reply->detail->request->digest.len != SHA256_SIZE)
		return ctl_fail(CTL_FAILED, "not approved", "the core sent no digest", NULL);
	show_beside(ctl, reply->detail);
	if (not_after_s)
		fprintf(stderr, "\nIt will end on %s instead.\n", print_time_s(not_after_s));
	if (!is_confirmed("\nIssue this certificate?"))
		return ctl_fail(CTL_USAGE, "not approved", "it was not confirmed", NULL);
	memcpy(digest, reply->detail->request->digest.data, SHA256_SIZE);
	return CTL_DONE;
}

/* Which digest to approve: as given, as the filter found it, or as shown now. With --yes whatever stands there. */
static int choose_digest(struct decide_run *run, const struct target *t, Gatehouse__Admin__Decide *decide)
{
	const char *wanted = option_value(run->ctl, "digest");

	decide->digest.len = SHA256_SIZE;
	if (wanted)
		return hex_parse(wanted, decide->digest.data, SHA256_SIZE) == 0
			       ? CTL_DONE
			       : ctl_fail(CTL_USAGE, wanted, "a digest has 64 hexadecimal digits", "gatehouse show ID");
	if (t->has_digest) {
		memcpy(decide->digest.data, t->digest, SHA256_SIZE);
		return CTL_DONE;
	}
	if (!option_given(run->ctl, "yes") && !has_terminal())
		return ctl_fail(CTL_USAGE, "not approved", "there is no terminal to confirm it at",
				"add --yes, or --digest with what gatehouse show printed");
	if (!option_given(run->ctl, "yes"))
		return confirm(run->ctl, t->id, decide->not_after_s, decide->digest.data);
	decide->digest.len = 0;
	return CTL_DONE;
}

static int add_note(struct decide_run *run, const struct target *t, const char *text)
{
	Gatehouse__Admin__AddNote note = GATEHOUSE__ADMIN__ADD_NOTE__INIT;
	Call call = GATEHOUSE__ADMIN__CALL__INIT;
	int code;

	note.id = t->id;
	note.text = (char *)text;
	call.what_case = GATEHOUSE__ADMIN__CALL__WHAT_ADD_NOTE;
	call.add_note = &note;
	OWNED_REPLY *reply = decide_call(run, t, &call, &code);
	return code;
}

static int approve_one(struct decide_run *run, const struct target *t)
{
	Gatehouse__Admin__Decide decide = GATEHOUSE__ADMIN__DECIDE__INIT;
	Call call = GATEHOUSE__ADMIN__CALL__INIT;
	uint8_t digest[SHA256_SIZE];
	int code;

	decide.id = t->id;
	decide.digest.data = digest;
	if (option_given(run->ctl, "not-after") &&
	    ctl_parse_time(option_value(run->ctl, "not-after"), &decide.not_after_s))
		return CTL_USAGE;
	code = choose_digest(run, t, &decide);
	/* First: what is issued at once is looked at with its note. */
	if (!code && option_given(run->ctl, "note"))
		code = add_note(run, t, option_value(run->ctl, "note"));
	if (code)
		return code;
	call.what_case = GATEHOUSE__ADMIN__CALL__WHAT_APPROVE;
	call.approve = &decide;
	OWNED_REPLY *reply = decide_call(run, t, &call, &code);
	if (code)
		return code;
	decide_tell(run, t->id, reply);
	return code_of(reply->decided);
}

int ctl_approve(struct ctl *ctl)
{
	if (option_given(ctl, "digest") && (ctl->n_arguments > 1 || ctl->arguments[0][0] == '@'))
		return ctl_fail(CTL_USAGE, "--digest goes with one request", NULL, NULL);
	return decide_all(ctl, "approve", "state=pending", approve_one, NULL);
}

/* ---- resubmit, deny ---- */

static int resubmit_one(struct decide_run *run, const struct target *t)
{
	Gatehouse__Admin__Decide decide = GATEHOUSE__ADMIN__DECIDE__INIT;
	Call call = GATEHOUSE__ADMIN__CALL__INIT;
	int code;

	decide.id = t->id;
	call.what_case = GATEHOUSE__ADMIN__CALL__WHAT_RESUBMIT;
	call.resubmit = &decide;
	OWNED_REPLY *reply = decide_call(run, t, &call, &code);
	if (code)
		return code;
	decide_tell(run, t->id, reply);
	return code_of(reply->decided);
}

int ctl_resubmit(struct ctl *ctl)
{
	return decide_all(ctl, "resubmit", "state=pending", resubmit_one, NULL);
}

/* Denying is what was asked for: done, not "denied by policy". */
static int deny_one(struct decide_run *run, const struct target *t)
{
	Gatehouse__Admin__Decide decide = GATEHOUSE__ADMIN__DECIDE__INIT;
	Call call = GATEHOUSE__ADMIN__CALL__INIT;
	int code;

	decide.id = t->id;
	decide.reason = (char *)(option_given(run->ctl, "reason") ? option_value(run->ctl, "reason") : "");
	call.what_case = GATEHOUSE__ADMIN__CALL__WHAT_DENY;
	call.deny = &decide;
	OWNED_REPLY *reply = decide_call(run, t, &call, &code);
	if (!code)
		decide_tell(run, t->id, reply);
	return code;
}

int ctl_deny(struct ctl *ctl)
{
	return decide_all(ctl, "deny", "state=pending", deny_one, NULL);
}

/* ---- note ---- */

static int note_one(struct decide_run *run, const struct target *t)
{
	return add_note(run, t, option_value(run->ctl, "text"));
}

int ctl_note(struct ctl *ctl)
{
	if (!option_given(ctl, "text"))
		return ctl_fail(CTL_USAGE, "nothing to note", "no --text was given",
				"gatehouse request note ID --text '…'");
	return decide_all(ctl, "note", "", note_one, NULL);
}
