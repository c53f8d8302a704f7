/* From a request to a verdict (step 5), and from the verdict to what is durable.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "core/core_int.h"

#include <errno.h>
#include <stdio.h>
#include <strings.h>

#include "core/base/base64.h"
#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/base/own.h"
#include "core/base/utf8.h"
#include "core/keys.h"
#include "core/policy_view.h"
#include "core/policy_watch.h"
#include "core/prove.h"
#include "core/store.h"
#include "core/store_credentials.h"
#include "core/store_revoke.h"

#define VERDICT_UNSET (-1)
#define NO_ANSWER_TEXT "the policy module gave no valid answer"
#define BLOCKED_TEXT "the public key was revoked because its private key is known to others; make a new key"

void decide_use_profile(struct ca_request *r, const struct ca_profile *p)
{
	r->key_usage = strcmp(r->csr.key_type, "rsa") == 0 ? p->key_usage : p->key_usage_no_rsa;
	r->ext_key_usage = p->ext_key_usage;
}

int decide_check_key(struct ca *ca, const struct ca_request *r, char why[static CA_REASON_SIZE])
{
	const struct ca_profile *p = core_find_profile(ca->core, r->profile);

	for (size_t i = 0; p && p->keys[i]; i++) {
		if (strcmp(p->keys[i], r->csr.key_type) != 0)
			continue;
		if (strcmp(r->csr.key_type, "rsa") != 0 || r->csr.key_bits >= p->rsa_bits_min)
			return 0;
		snprintf(why, CA_REASON_SIZE, "the RSA key has %u bits; profile %s needs %u", r->csr.key_bits, p->name,
			 p->rsa_bits_min);
		return CA_STATUS_BAD_KEY;
	}
	snprintf(why, CA_REASON_SIZE, "profile %s does not certify keys of type %s", r->profile, r->csr.key_type);
	return CA_STATUS_BAD_KEY;
}

int decide_check_blocked(struct ca *ca, const struct ca_request *r, char why[static CA_REASON_SIZE])
{
	bool is_blocked = false;
	int e = ca->core->has_blocked_keys ? store_is_key_blocked(ca->core, r->spki_hash, &is_blocked) : 0;

	if (e || !is_blocked)
		return e;
	snprintf(why, CA_REASON_SIZE, "%s", BLOCKED_TEXT);
	return CA_STATUS_BAD_KEY;
}

/* Is what proved it still good? Its end does not count: it was good when it was shown. */
static int check_proof(struct ca *ca, int64_t id, const char *text, char why[static CA_REASON_SIZE])
{
	bool is_revoked = false;

	if (id && store_is_credential_revoked(ca->core, id, &is_revoked))
		return -EIO;
	if (is_revoked)
		snprintf(why, CA_REASON_SIZE, "its credential was revoked: %.100s", text);
	return is_revoked ? CA_STATUS_BAD_NAME : 0;
}

static int check_certificate(struct ca *ca, int64_t id, char why[static CA_REASON_SIZE])
{
	OWNED(ca_request) row = NULL;
	int e = id ? store_load(ca->core, id, &row) : CA_CALL_NOT_FOUND;

	/* A row that is gone by now had ended long before. */
	if (e)
		return e < 0 ? e : 0;
	if (row->state == CA_STATE_ISSUED)
		return 0;
	snprintf(why, CA_REASON_SIZE, "the certificate that it was asked with was revoked: request %lld",
		 (long long)id);
	return CA_STATUS_BAD_NAME;
}

int decide_check_proofs(struct ca *ca, const struct ca_request *r, char why[static CA_REASON_SIZE])
{
	int e = check_proof(ca, r->credential_id, r->credential_text, why);

	if (!e)
		e = check_proof(ca, r->also_id, r->also_text, why);
	if (!e)
		e = check_proof(ca, r->limit_id, r->limit_text, why);
	return e ? e : check_certificate(ca, r->certificate_id, why);
}

/* What the profile and the CA make of the request before policy is asked: subject and the widest validity. */
int decide_prepare(struct ca *ca, struct ca_request *r)
{
	const struct ca_profile *p = core_find_profile(ca->core, r->profile);
	const struct ca_key *key = ca_current_key(ca);
	int64_t now_s = clock_wall_s();
	const char *cn = NULL;

	if (!p || !key)
		return CA_STATUS_BUILD_FAILURE;
	r->key_id = key->row;
	r->shown.subject_text = r->subject_text;
	r->shown.not_before_s = r->not_before_s;
	r->shown.not_after_s = r->not_after_s;
	r->shown.template_s = r->template_s;
	memcpy(r->shown.digest, r->digest, SHA256_SIZE);
	memcpy(r->shown.keyless_digest, r->keyless_digest, SHA256_SIZE);
	r->shown.verdict = r->verdict;
	decide_use_profile(r, p);
	r->template_s = p->lifetime_s;
	if (r->officer_lifetime_s && r->officer_lifetime_s < r->template_s)
		r->template_s = r->officer_lifetime_s;
	r->n_subject = 0;
	r->subject_text = NULL;
	r->not_before_s = now_s - p->backdate_s;
	if (r->not_before_s < key->not_before_s)
		r->not_before_s = key->not_before_s;
	/* The last second belongs to the validity (RFC 5280 4.1.2.5). */
	r->not_after_s = now_s - p->backdate_s + r->template_s - 1;
	if (r->not_after_s > key->not_after_s)
		r->not_after_s = key->not_after_s;
	if (r->officer_not_after_s && r->not_after_s > r->officer_not_after_s)
		r->not_after_s = r->officer_not_after_s;
	for (size_t i = 0; p->common_name && i < r->n_names; i++) {
		bool asked = r->csr.common_name && strcasecmp(r->csr.common_name, r->names[i].value) == 0;

		if ((!cn || asked) && strlen(r->names[i].value) <= 64)
			cn = r->names[i].value;
	}
	/* A credential proves the subject as it was asked for, and what has a common name gets no second one. */
	if (cn && !(ca_evidence_is_credential(r->evidence) && r->csr.common_name))
		r->subject[r->n_subject++] = (struct subject_part){ "CN", cn };
	if (ca_evidence_is_credential(r->evidence))
		prove_subject(r);
	return 0;
}

static const char *const causes[] = {
	[CA_VERIFY_NEW] = "new",
	[CA_VERIFY_RESUBMIT] = "resubmit",
	[CA_VERIFY_CONTINUE] = "continue",
	[CA_VERIFY_RECOVERY] = "recovery",
};
static const char *const verdicts[] = {
	[CA_VERDICT_DENY] = "deny",
	[CA_VERDICT_PEND] = "pend",
	[CA_VERDICT_ISSUE] = "issue",
};

/* What policy may change, so that a failure can take it back. */
struct staged {
	struct subject_part subject[REQUEST_SUBJECT_MAX];
	size_t n_subject;
	struct ca_extension extensions[REQUEST_EXTENSIONS_MAX];
	size_t n_extensions;
	int64_t not_before_s, not_after_s, template_s;
	struct ca_verdict verdict; /* of an earlier call: the rule that officers approved for */
};

static void stage_save(const struct ca_request *r, struct staged *s)
{
	memcpy(s->subject, r->subject, sizeof(s->subject));
	memcpy(s->extensions, r->extensions, sizeof(s->extensions));
	s->n_subject = r->n_subject;
	s->n_extensions = r->n_extensions;
	s->not_before_s = r->not_before_s;
	s->not_after_s = r->not_after_s;
	s->template_s = r->template_s;
	s->verdict = r->verdict;
}

static void stage_restore(struct ca_request *r, const struct staged *s)
{
	memcpy(r->subject, s->subject, sizeof(s->subject));
	memcpy(r->extensions, s->extensions, sizeof(s->extensions));
	r->n_subject = s->n_subject;
	r->n_extensions = s->n_extensions;
	r->not_before_s = s->not_before_s;
	r->not_after_s = s->not_after_s;
	r->template_s = s->template_s;
}

/* A module may have cut its text to the room that there is, in the middle of a character. */
static void keep_whole(char *text, size_t size)
{
	text[size - 1] = '\0';
	text[utf8_fit(text, size)] = '\0';
}

static int call_policy(struct ca *ca, struct ca_request *r, enum ca_verify_cause cause)
{
	struct ca_policy_view *v = policy_view_open(ca, r, cause == CA_VERIFY_NEW);
	bool takes_turns = !(ca->policy->flags & CA_POLICY_THREADSAFE);
	struct policy_run run;
	int e;

	if (!v)
		return -ENOMEM;
	if (takes_turns)
		pthread_mutex_lock(&ca->policy_turn);
	policy_watch_begin(ca->core->policy_watch, &run, ca, r->id);
	e = ca->policy->verify(ca->policy_state, v, cause, &r->verdict);
	policy_watch_end(ca->core->policy_watch, &run);
	if (takes_turns)
		pthread_mutex_unlock(&ca->policy_turn);
	policy_view_close(v);
	keep_whole(r->verdict.rule, sizeof(r->verdict.rule));
	keep_whole(r->verdict.reason, sizeof(r->verdict.reason));
	keep_whole(r->verdict.trace, sizeof(r->verdict.trace));
	return e;
}

static bool is_answered(const struct ca_request *r)
{
	return r->verdict.kind >= CA_VERDICT_DENY && r->verdict.kind <= CA_VERDICT_ISSUE;
}

/* No answer is never an answer: a failure is kept apart from every verdict. */
void decide_verify(struct ca *ca, struct ca_request *r, enum ca_verify_cause cause)
{
	struct staged staged;
	int e;

	stage_save(r, &staged);
	r->is_undecided = false;
	r->verdict = (struct ca_verdict){ .kind = VERDICT_UNSET };
	trace_event(ca->core->trace, "verify", r->id, "\"cause\":\"%s\"", causes[cause]);
	e = call_policy(ca, r, cause);
	if (e || !is_answered(r)) {
		const char *what = e ? "failed" : r->verdict.kind == VERDICT_UNSET ? "gave no answer" :
										    "gave an unknown answer";

		stage_restore(r, &staged);
		ca->core->policy_failures++;
		ca->core->policy_failures_in_a_row++;
		log_error("policy.failed", "module", ca->policy->name, "request", LOG_NUMBER(r->id), "what", what,
			  "code", LOG_NUMBER(e ? e : r->verdict.kind));
		request_note(r, "core", "verify cause=%s failed module=%s what=\"%s\"", causes[cause],
			     ca->policy->name, what);
		trace_event(ca->core->trace, "verdict", r->id, "\"verdict\":\"failure\"");
		r->verdict = staged.verdict;
		r->verdict.kind = CA_VERDICT_DENY;
		r->is_undecided = true;
		return;
	}
	ca->core->policy_failures_in_a_row = 0;
	r->verdict.rule[CA_RULE_SIZE - 1] = r->verdict.reason[CA_REASON_SIZE - 1] = '\0';
	r->verdict.trace[sizeof(r->verdict.trace) - 1] = '\0';
	request_note(r, "policy", "verify cause=%s verdict=%s module=%s%s%s", causes[cause], verdicts[r->verdict.kind],
		     ca->policy->name, r->verdict.rule[0] ? " rule=" : "", r->verdict.rule);
	trace_event(ca->core->trace, "verdict", r->id, "\"verdict\":\"%s\"", verdicts[r->verdict.kind]);
}

static void resolve(struct ca_request *r, enum ca_status status, const char *reason)
{
	r->status = status;
	snprintf(r->reason, sizeof(r->reason), "%s", reason);
	r->resolved_ms = clock_wall_ms();
}

/* Store a result that needs no signature. `from` 0: the row is new. */
static int store_result(struct ca *ca, struct ca_request *r, enum ca_state from, enum ca_action action,
			int64_t key_until_ms)
{
	struct store_change change = {
		.r = r,
		.insert = from == 0,
		.from = from,
		.action = action,
		.rewrite_rows = action != CA_ACTION_RETURN || r->has_changed,
		.key_until_ms = key_until_ms,
		.supersedes = action == CA_ACTION_PEND ? r->supersedes : 0,
	};

	return request_move(r, action) ? -EPERM : store_apply(ca, &change);
}

/* How many officers the profile wants at least for what is held. */
static unsigned approvals_of_profile(struct ca *ca, const struct ca_request *r)
{
	const struct ca_profile *p = core_find_profile(ca->core, r->profile);

	return p && p->conf ? (unsigned)conf_int(p->conf, "approvals") : 0;
}

static int apply_pend(struct ca *ca, struct ca_request *r, enum ca_state from)
{
	unsigned floor = approvals_of_profile(ca, r);

	request_await_key(r);
	r->verdict.approvals = r->verdict.approvals < floor ? floor : r->verdict.approvals;
	if (r->over_quota && from == 0)
		return DECIDE_QUOTA;
	snprintf(r->reason, sizeof(r->reason), "%s", r->verdict.reason);
	r->events |= CA_EVENT_PENDING;
	request_note(r, "core", "pending%s%s", r->verdict.rule[0] ? " rule=" : "", r->verdict.rule);
	return store_result(ca, r, from, CA_ACTION_PEND, INT64_MAX);
}

static int apply_deny(struct ca *ca, struct ca_request *r, enum ca_state from)
{
	resolve(r, CA_STATUS_POLICY_DENIED, r->verdict.reason[0] ? r->verdict.reason : "denied by policy");
	r->events |= CA_EVENT_DENIED;
	request_note(r, "core", "denied status=%s reason=\"%s\"", ca_status_word(r->status),
		     request_quote(r, r->reason));
	return store_result(ca, r, from, CA_ACTION_DENY, r->resolved_ms + ca->core->settings.deny_window_ms);
}

/* Nothing was decided, so nothing that an officer sees or approved has changed either. */
static void restore_shown(struct ca_request *r)
{
	r->subject_text = r->shown.subject_text;
	r->not_before_s = r->shown.not_before_s;
	r->not_after_s = r->shown.not_after_s;
	r->template_s = r->shown.template_s;
	memcpy(r->digest, r->shown.digest, SHA256_SIZE);
	memcpy(r->keyless_digest, r->shown.keyless_digest, SHA256_SIZE);
	r->verdict = r->shown.verdict;
	buf_reset(&r->tbs);
}

/* A first submission ends as ERROR; a resubmitted one goes back to the queue, because nothing was decided. */
static int apply_failure(struct ca *ca, struct ca_request *r, enum ca_state from, enum ca_status status,
			 const char *reason)
{
	if (from == CA_STATE_PENDING) {
		request_note(r, "core", "returned status=%s reason=\"%s\"", ca_status_word(status),
			     request_quote(r, reason));
		restore_shown(r);
		r->has_failed = true;
		return store_result(ca, r, from, CA_ACTION_RETURN, INT64_MAX);
	}
	resolve(r, status, reason);
	request_note(r, "core", "error status=%s reason=\"%s\"", ca_status_word(status), request_quote(r, reason));
	return store_result(ca, r, from, CA_ACTION_FAIL, 0);
}

/* By the random end of the serial, so that the parts grow alike. */
static unsigned choose_partition(const struct ca *ca, const uint8_t serial[static SERIAL_SIZE])
{
	unsigned end = (unsigned)serial[SERIAL_SIZE - 2] << 8 | serial[SERIAL_SIZE - 1];

	return ca->public_url && ca->crl.partitions ? 1 + end % ca->crl.partitions : 0;
}

static int build_tbs(struct ca *ca, struct ca_request *r, char why[static CA_REASON_SIZE])
{
	const struct ca_key *key = ca_find_key(ca, r->key_id);
	struct ca_extension enabled[REQUEST_EXTENSIONS_MAX];
	struct issue_plan plan = {
		.issuer = key->issuer,
		.subject = r->subject,
		.n_subject = r->n_subject,
		.names = r->names,
		.n_names = r->n_names,
		.spki = r->csr.spki,
		.not_before_s = r->not_before_s,
		.not_after_s = r->not_after_s,
		.key_usage = r->key_usage,
		.ext_key_usage = r->ext_key_usage,
		.extensions = enabled,
		.public_url = ca->public_url,
		.key_index = key->index,
	};

	for (size_t i = 0; i < r->n_extensions; i++)
		if (!(r->extensions[i].flags & CA_EXT_DISABLED))
			enabled[plan.n_extensions++] = r->extensions[i];
	if (issue_serial(clock_wall_ms(), r->serial))
		return -EIO;
	memcpy(plan.serial, r->serial, SERIAL_SIZE);
	plan.crl_partition = r->crl_partition = choose_partition(ca, r->serial);
	buf_reset(&r->tbs);
	return issue_build(&plan, &r->tbs, why);
}

/* Transaction A: everything that will be signed is durable before the signer sees it. */
static int store_plan(struct ca *ca, struct ca_request *r, enum ca_state from)
{
	struct store_change change = {
		.r = r,
		.insert = from == 0,
		.from = from,
		.rewrite_rows = true,
		.key_until_ms = INT64_MAX,
		.supersedes = r->supersedes,
		.spend_grant = r->grant_id != 0,
	};

	if (r->grant_id)
		request_note(r, "core", "grant spent approved-request=%lld", (long long)r->grant_request_id);
	return store_apply(ca, &change);
}

static int sign(struct ca *ca, struct ca_request *r, char why[static CA_REASON_SIZE])
{
	OWNED_BUF signature = BUF_INIT(SIGNER_SIGNATURE_MAX);
	struct ca_key *key = ca_find_key(ca, r->key_id);
	char refused[SIGNER_WHY_SIZE] = "";
	int e = key ? keys_sign(key, buf_bytes(&r->tbs), &signature, refused) : -EKEYREJECTED;

	if (e > 0)
		snprintf(why, CA_REASON_SIZE, "the signer refused: %s", refused);
	if (e)
		return e;
	trace_step(ca->core->trace, "sign", r->id);
	buf_reset(&r->certificate);
	e = issue_assemble(buf_bytes(&r->tbs), buf_bytes(&signature), key->issuer, &r->certificate);
	if (e)
		snprintf(why, CA_REASON_SIZE, e > 0 ? "the signature that was made does not verify" :
						      "no certificate can be made of what was signed");
	/* The signer answered: repeating the same octets would bring the same again. */
	return e ? 1 : 0;
}

/* A grant brings back names and approvals, not what an officer changed by hand.
 * ACME clients leave after a minute or so and come back with another key: what a person approved waits for them. */
static bool needs_grant(const struct ca_request *r)
{
	return r->approvals && !r->grant_id && !r->is_edited && strcmp(r->protocol, "acme") == 0;
}

/* Between the check and now. Nothing of the certificate was told to anybody. */
static int give_up_blocked(struct ca *ca, struct ca_request *r)
{
	r->state = CA_STATE_ACTIVE;
	r->lines = NULL;
	r->lines_end = &r->lines;
	r->events = 0;
	buf_reset(&r->certificate);
	return decide_give_up(ca, r, CA_STATUS_BAD_KEY, BLOCKED_TEXT);
}

/* Who waited for a person does not know when to come back, however soon an adapter forgets others. */
static int64_t collect_for_ms(const struct ca *ca, const struct ca_request *r)
{
	int64_t usual_ms = ca->core->settings.collect_ms;

	return r->officer && r->collect_ms < usual_ms ? usual_ms : r->collect_ms;
}

/* Transaction B: certificate, ISSUED and exit events; what follows is only telling. */
static int store_issued(struct ca *ca, struct ca_request *r)
{
	int64_t now = clock_wall_ms();
	struct store_change change = {
		.r = r,
		.from = CA_STATE_ACTIVE,
		.action = CA_ACTION_ISSUE,
		/* A repeat cannot get a key that nobody has any more: it is a new request. */
		.key_until_ms = r->server_key ? 0 : now + collect_for_ms(ca, r),
		.grant_until_ms = needs_grant(r) ? now + ca->core->settings.grant_lifetime_ms : 0,
	};
	char serial[2 * SERIAL_SIZE + 1];
	int e;

	if (request_move(r, CA_ACTION_ISSUE))
		return -EPERM;
	resolve(r, CA_STATUS_NONE, "");
	r->events |= CA_EVENT_ISSUED;
	hex_print(bytes_of(r->serial, SERIAL_SIZE), serial);
	request_note(r, "signer", "sign serial=%s", serial);
	request_note(r, "core", "issued serial=%s%s", serial, change.grant_until_ms ? " grant=yes" : "");
	e = store_apply(ca, &change);
	if (e == STORE_BLOCKED)
		return give_up_blocked(ca, r);
	if (e)
		return e;
	log_info("request.issued", "request", LOG_NUMBER(r->id), "ca", ca->name, "profile", r->profile, "requester",
		 r->requester, "serial", serial);
	return 0;
}

/* The row keeps serial and TBS, so that no other certificate ever gets this serial. */
int decide_give_up(struct ca *ca, struct ca_request *r, enum ca_status status, const char *reason)
{
	struct store_change failed = { .r = r, .from = CA_STATE_ACTIVE, .action = CA_ACTION_FAIL };

	resolve(r, status, reason);
	request_note(r, "core", "error status=%s reason=\"%s\"", ca_status_word(r->status), request_quote(r, reason));
	return request_move(r, CA_ACTION_FAIL) ? -EPERM : store_apply(ca, &failed);
}

int decide_finish(struct ca *ca, struct ca_request *r)
{
	char why[CA_REASON_SIZE] = "";
	int e = sign(ca, r, why);

	if (e == 0)
		return store_issued(ca, r);
	if (e < 0) {
		log_warn("signer.away", "request", LOG_NUMBER(r->id), "ca", ca->name, "code", LOG_NUMBER(e));
		return DECIDE_AWAY;
	}
	/* The signer said no, and would again: the same octets never become a certificate. */
	return decide_give_up(ca, r, CA_STATUS_SIGNER_FAILURE, why);
}

static bool is_not_what_was_approved(const struct ca_request *r, enum ca_state from)
{
	return from == CA_STATE_PENDING && r->approvals && memcmp(r->digest, r->shown.digest, SHA256_SIZE) != 0;
}

/* Profile or rules are others than when it was shown: what would be issued now must be looked at first. */
static int apply_changed(struct ca *ca, struct ca_request *r)
{
	r->has_changed = true;
	request_await_key(r);
	request_note(r, "core", "returned reason=\"what would be issued is not what was approved\"");
	return store_result(ca, r, CA_STATE_PENDING, CA_ACTION_RETURN, INT64_MAX);
}

/* An approval waits for this client, but for another certificate than it would get now. */
static int apply_pend_again(struct ca *ca, struct ca_request *r)
{
	request_note(r, "core", "grant not-spent approved-request=%lld reason=\"this is not what was approved\"",
		     (long long)r->grant_request_id);
	trace_event(ca->core->trace, "verdict", r->id, "\"verdict\":\"pend\",\"by\":\"core\"");
	r->grant_id = 0;
	snprintf(r->verdict.reason, sizeof(r->verdict.reason),
		 "this is not what was approved before; a person looks again");
	return apply_pend(ca, r, 0);
}

/* Whoever set a name does not approve it alone. */
static const char *lacks_second_officer(const struct ca_request *r)
{
	for (size_t i = 0; i < r->n_names; i++) {
		const struct approval *a = r->approvals;

		if (r->names[i].evidence != CA_EVIDENCE_OFFICER)
			continue;
		while (a && strcmp(a->officer, r->names[i].evidence_text) == 0)
			a = a->next;
		if (!a)
			return r->names[i].evidence_text;
	}
	return NULL;
}

/* Distinct officers who approved what is issued now, for the rule that held it. */
static unsigned count_approvals(const struct ca_request *r)
{
	unsigned n = 0;

	for (const struct approval *a = r->approvals; a; a = a->next)
		n += strcmp(a->rule, r->shown.verdict.rule) == 0;
	return n;
}

/* Policy said issue; are there the officers that the core itself wants for a request that was held? */
static bool lacks_officers(struct ca *ca, struct ca_request *r)
{
	unsigned needed = approvals_of_profile(ca, r), n = count_approvals(r);
	const char *editor = lacks_second_officer(r);

	if (!editor && n >= needed)
		return false;
	if (editor)
		snprintf(r->verdict.reason, sizeof(r->verdict.reason),
			 "%.100s set a name; another officer must approve it", editor);
	else
		snprintf(r->verdict.reason, sizeof(r->verdict.reason),
			 "profile %.64s wants approvals of %u officers; there are %u", r->profile, needed, n);
	snprintf(r->verdict.rule, sizeof(r->verdict.rule), "%s", r->shown.verdict.rule);
	return true;
}

static int apply_pend_for_officers(struct ca *ca, struct ca_request *r, enum ca_state from)
{
	trace_event(ca->core->trace, "verdict", r->id, "\"verdict\":\"pend\",\"by\":\"core\"");
	return apply_pend(ca, r, from);
}

/* Approved without a key: who made the one that it was asked for with has not kept it. The approvals stand for the rule
 * that held it. */
static int apply_ready(struct ca *ca, struct ca_request *r)
{
	r->server_key = SERVER_KEY_READY;
	snprintf(r->verdict.rule, sizeof(r->verdict.rule), "%s", r->shown.verdict.rule);
	r->verdict.approvals = r->shown.verdict.approvals;
	snprintf(r->reason, sizeof(r->reason), "approved; its key is made when its client asks next");
	request_note(r, "core", "ready reason=\"its key is made when its client asks next\"");
	return store_result(ca, r, CA_STATE_PENDING, CA_ACTION_READY, INT64_MAX);
}

static int apply_issue(struct ca *ca, struct ca_request *r, enum ca_state from)
{
	char why[CA_REASON_SIZE] = "";
	int e = request_hash_template(r);

	if (!e && is_not_what_was_approved(r, from))
		return apply_changed(ca, r);
	if (!e && from == CA_STATE_PENDING && lacks_officers(ca, r))
		return apply_pend_for_officers(ca, r, from);
	if (!e && from == CA_STATE_PENDING && r->server_key && !r->has_new_key)
		return apply_ready(ca, r);
	if (!e && r->grant_id && memcmp(r->template_hash, r->grant_template, SHA256_SIZE) != 0)
		return apply_pend_again(ca, r);
	if (!e)
		e = build_tbs(ca, r, why);
	if (e > 0)
		return apply_failure(ca, r, from, (enum ca_status)e, why);
	if (!e && r->is_key_to_come)
		return DECIDE_KEY_WANTED;
	if (!e)
		e = store_plan(ca, r, from);
	return e ? e : decide_finish(ca, r);
}

static bool is_approved_for(const struct ca_request *r, const char *rule)
{
	for (const struct approval *a = r->approvals; a; a = a->next)
		if (strcmp(a->rule, rule) == 0)
			return true;
	return false;
}

/* A credential that proves every name says nothing about any: a profile may want a person to look. */
static bool wants_any_scope_held(struct ca *ca, const struct ca_request *r)
{
	const struct ca_profile *p = core_find_profile(ca->core, r->profile);

	return r->is_any_scope && !(p && !p->holds_any_scope);
}

static bool wants_names_held(struct ca *ca, const struct ca_request *r)
{
	return r->name_change == NAMES_UNPROVEN;
}

/* What the core itself holds, whatever policy says, until an officer has approved it for that rule. */
static const struct {
	bool (*applies)(struct ca *ca, const struct ca_request *r);
	const char *rule, *reason;
} holds[] = {
	{ wants_any_scope_held, ANY_SCOPE_RULE, "the credential proves every name, so a person looks at these" },
	{ wants_names_held, CHANGED_NAMES_RULE, "nothing proves the names that the renewal wants; a person decides" },
};

static bool is_held(struct ca *ca, struct ca_request *r)
{
	size_t i = 0, n = sizeof(holds) / sizeof(*holds);

	if (r->is_undecided || r->verdict.kind != CA_VERDICT_ISSUE)
		return false;
	while (i < n && (!holds[i].applies(ca, r) || is_approved_for(r, holds[i].rule)))
		i++;
	if (i == n)
		return false;
	r->verdict.kind = CA_VERDICT_PEND;
	snprintf(r->verdict.rule, sizeof(r->verdict.rule), "%s", holds[i].rule);
	snprintf(r->verdict.reason, sizeof(r->verdict.reason), "%s", holds[i].reason);
	return true;
}

/* Could a certificate be made of it? The serial is thrown away. */
static int try_build(struct ca *ca, struct ca_request *r, char why[static CA_REASON_SIZE])
{
	int e = build_tbs(ca, r, why);

	buf_reset(&r->tbs);
	memset(r->serial, 0, sizeof(r->serial));
	return e;
}

int decide_explain(struct ca *ca, struct ca_request *r, enum ca_verify_cause cause, char why[static CA_REASON_SIZE])
{
	int e;

	r->verdict = (struct ca_verdict){ .kind = VERDICT_UNSET };
	if (call_policy(ca, r, cause) || !is_answered(r)) {
		snprintf(why, CA_REASON_SIZE, "%s", NO_ANSWER_TEXT);
		return CA_STATUS_POLICY_FAILURE;
	}
	if (!is_held(ca, r) && r->verdict.kind == CA_VERDICT_ISSUE && cause == CA_VERIFY_RESUBMIT &&
	    lacks_officers(ca, r))
		r->verdict.kind = CA_VERDICT_PEND;
	e = request_hash_template(r);
	return !e && r->verdict.kind == CA_VERDICT_ISSUE ? try_build(ca, r, why) : e;
}

int decide_apply(struct ca *ca, struct ca_request *r, enum ca_verify_cause cause)
{
	enum ca_state from = cause == CA_VERIFY_RESUBMIT ? CA_STATE_PENDING : 0;

	if (is_held(ca, r)) {
		request_note(r, "core", "verify verdict=pend rule=%s", r->verdict.rule);
		trace_event(ca->core->trace, "verdict", r->id, "\"verdict\":\"pend\",\"by\":\"core\"");
	}
	if (r->is_undecided)
		return apply_failure(ca, r, from, CA_STATUS_POLICY_FAILURE, NO_ANSWER_TEXT);
	if (r->verdict.kind == CA_VERDICT_ISSUE)
		return apply_issue(ca, r, from);
	if (request_hash_template(r))
		return -EIO;
	if (r->verdict.kind == CA_VERDICT_DENY)
		return apply_deny(ca, r, from);
	if (is_not_what_was_approved(r, from)) {
		r->has_changed = true;
		request_note(r, "core", "approvals void reason=\"what would be issued is not what was approved\"");
	}
	return apply_pend(ca, r, from);
}

int decide_reject(struct ca *ca, struct ca_request *r, enum ca_status status, const char *reason)
{
	/* There is nothing that would be issued, so it says what was asked for. */
	if (!r->n_subject && !r->subject_text)
		r->subject_text = r->csr.subject_text;
	resolve(r, status, reason);
	request_note(r, "core", "error status=%s reason=\"%s\"", ca_status_word(status), request_quote(r, reason));
	return store_result(ca, r, 0, CA_ACTION_REJECT, 0);
}
