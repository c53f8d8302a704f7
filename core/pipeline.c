/* The documented sequence, seen from a submission (steps 4, 5 and 7): one function a step.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "core/core_int.h"

#include <errno.h>
#include <stdio.h>
#include <strings.h>

#include "core/admin_turn.h"
#include "core/base/clock.h"
#include "core/base/ip.h"
#include "core/base/log.h"
#include "core/base/own.h"
#include "core/base/utf8.h"
#include "core/keys.h"
#include "core/prove.h"
#include "core/request_form.h"
#include "core/store.h"
#include "core/worker.h"

#define DUPLICATE_WAIT_MS 1000 /* how long a repeat waits for the first to be decided */

static int refused(struct ca_outcome *out, const char *reason)
{
	out->disposition = CA_ERROR;
	snprintf(out->reason, sizeof(out->reason), "%s", reason);
	return CA_CALL_REFUSED;
}

static int busy(struct ca *ca, struct ca_outcome *out, unsigned retry_after_s, const char *reason)
{
	out->disposition = CA_INCOMPLETE;
	out->retry_after_s = retry_after_s ? retry_after_s : ca->core->settings.retry_after_s;
	snprintf(out->reason, sizeof(out->reason), "%s", reason);
	return CA_CALL_BUSY;
}

/* A disk without room for now, or a store that others keep: the same call may be repeated. */
static bool may_pass(int e)
{
	return e == -ENOSPC || e == -EBUSY;
}

static int key_wanted(struct ca_outcome *out)
{
	out->disposition = CA_INCOMPLETE;
	return CA_CALL_KEY_WANTED;
}

static int verdict_wanted(struct ca_outcome *out)
{
	out->disposition = CA_INCOMPLETE;
	return CA_CALL_VERDICT_WANTED;
}

/* Whoever has the certificate may know from when on. */
static int too_early(const struct ca_request *r, struct ca_outcome *out)
{
	char from[CLOCK_TEXT_SIZE];

	clock_print_s(r->renews_from_s, from);
	log_info("renewal.early", "endpoint", r->endpoint, "requester", r->requester, "from", from, "source",
		 r->source_address);
	out->disposition = CA_INCOMPLETE;
	snprintf(out->reason, sizeof(out->reason), "the certificate can be renewed from %s on", from);
	return CA_CALL_TOO_EARLY;
}

static int busy_store(struct ca *ca, struct ca_outcome *out)
{
	return busy(ca, out, 30, "the store cannot write; try again later");
}

/* ---- what the core accepts from an intermediary at all (T0: no row) ---- */

/* Visible ASCII and blanks: it is stored, shown, and stands in lines that are read by machines. */
bool pipeline_is_text(const char *s, size_t max)
{
	size_t n = s ? strnlen(s, max + 1) : 0;

	if (n == 0 || n > max)
		return false;
	for (size_t i = 0; i < n; i++)
		if (s[i] < ' ' || s[i] > '~' || s[i] == '"')
			return false;
	return true;
}

static bool is_canonical_address(const char *value)
{
	struct ip_address address;
	char text[IP_TEXT_SIZE];

	return ip_address_parse(&address, value) == 0 && strcmp(ip_address_print(&address, text), value) == 0;
}

static bool is_repeated(const struct ca_submission *s, size_t i)
{
	for (size_t j = 0; j < i; j++)
		if (s->names[j].kind == s->names[i].kind && strcmp(s->names[j].value, s->names[i].value) == 0)
			return true;
	return false;
}

/* Which evidence each protocol can bring, and how its requesters are called. */
static const struct {
	const char *protocol;
	enum ca_evidence_kind evidence;
	const char *requester; /* begins with this: nobody speaks in the name of another protocol or of an officer */
} evidence_of[] = {
	{ "acme", CA_EVIDENCE_ACME_AUTHORIZATION, "acme:" },
	{ "internal", CA_EVIDENCE_LOCAL_CONFIG, "gateway:" },
	{ "acme", CA_EVIDENCE_EAB, "acme:" },
	{ "scep", CA_EVIDENCE_CHALLENGE, "scep:" },
	{ "est", CA_EVIDENCE_USER, "est:user:" },
	{ "est", CA_EVIDENCE_TOKEN, "est:token:" },
	{ "est", CA_EVIDENCE_CERTIFICATE, "est:" },
	{ "scep", CA_EVIDENCE_CERTIFICATE, "scep:" },
	{ "scep", CA_EVIDENCE_EXTERNAL, "scep:" },
};

static bool is_evidence_of(const char *protocol, enum ca_evidence_kind kind)
{
	for (size_t i = 0; i < sizeof(evidence_of) / sizeof(*evidence_of); i++)
		if (strcmp(evidence_of[i].protocol, protocol) == 0 && evidence_of[i].evidence == kind)
			return true;
	return false;
}

/* A credential proves names of the request itself, which is not read yet. */
static int check_claim(const struct ca_submission *s, struct ca_outcome *out)
{
	if (!s->credential || s->credential->kind != s->evidence)
		return refused(out, "the submission comes without the credential that it names as evidence");
	if (s->n_names)
		return refused(out, "with a credential the names are those of the request");
	if (s->also && (s->also->kind == s->evidence || !is_evidence_of(s->protocol, s->also->kind)))
		return refused(out, "a second credential is of another kind, and one of the same protocol");
	return 0;
}

/* A credential that proves nothing: names that an account has proven otherwise must be its names too. */
static bool is_limit(const struct ca_submission *s)
{
	const struct ca_credential_claim *c = s->credential;

	return c && s->evidence == CA_EVIDENCE_ACME_AUTHORIZATION && c->kind == CA_EVIDENCE_EAB && c->account &&
	       c->secret.len == 0;
}

static int check_names(struct ca *ca, const struct ca_submission *s, struct ca_outcome *out)
{
	if (ca_evidence_is_credential(s->evidence))
		return check_claim(s, out);
	if (s->also || (s->credential && !is_limit(s)))
		return refused(out, "a credential is not the evidence of this submission");
	if (s->n_names == 0 || s->n_names > CA_NAMES_MAX)
		return refused(out, "a submission needs 1 to 1000 proven names");
	for (size_t i = 0; i < s->n_names; i++) {
		const struct ca_name *n = &s->names[i];
		char dns[DNS_NAME_SIZE];

		if (n->evidence == CA_EVIDENCE_NONE || n->evidence != s->evidence)
			return refused(out, "a name comes without evidence");
		if (!pipeline_is_text(n->value, 253) || (n->kind != CA_NAME_DNS && n->kind != CA_NAME_IP))
			return refused(out, "a name is of a kind that this evidence cannot prove");
		if (n->kind == CA_NAME_DNS && (dns_name_normalise(bytes_of_str(n->value), true, dns) ||
					       strcmp(dns, n->value) != 0))
			return refused(out, "a proven DNS name is not in its normal form");
		if (n->kind == CA_NAME_IP && !is_canonical_address(n->value))
			return refused(out, "a proven address is not in its normal form");
		if (is_repeated(s, i))
			return refused(out, "a name is given twice");
		if (n->evidence_text && *n->evidence_text && !pipeline_is_text(n->evidence_text, 255))
			return refused(out, "the evidence of a name is too long or has control characters");
		if (n->evidence == CA_EVIDENCE_LOCAL_CONFIG && !core_is_listener_name(ca->core, n))
			return refused(out, "a name belongs to no listener of this gateway");
	}
	return 0;
}

/* What the core's configuration binds this intermediary to. */
static int check_binding(const struct binding *by, const struct ca_submission *s, struct ca_outcome *out)
{
	if (s->evidence == CA_EVIDENCE_LOCAL_CONFIG && by->peer != BINDING_INHERITED)
		return refused(out, "only the gateway itself may bring that evidence");
	if (s->evidence == CA_EVIDENCE_LOCAL_CONFIG)
		return 0;
	if (!binding_has_endpoint(by, s->endpoint))
		return refused(out, "this intermediary is not bound to that endpoint");
	if (!binding_has_profile(by, s->profile))
		return refused(out, "this intermediary is not bound to that profile");
	for (size_t i = 0; i < s->n_names; i++)
		if (!binding_has_name(by, &s->names[i]))
			return refused(out, "a name lies outside of what this intermediary may ask for");
	return 0;
}

static int check_texts(const struct ca_submission *s, struct ca_outcome *out)
{
	if (!pipeline_is_text(s->protocol, 32) || !pipeline_is_text(s->endpoint, 64) ||
	    !pipeline_is_text(s->profile, 64) || !pipeline_is_text(s->requester, 255) ||
	    (s->source_address && !pipeline_is_text(s->source_address, 64)))
		return refused(out, "the submission names no protocol, endpoint, profile or requester");
	return s->n_attributes > CA_ATTRIBUTES_MAX ? refused(out, "too many attributes") : 0;
}

static int check_submission(struct ca *ca, const struct binding *by, const struct ca_submission *s,
			    struct ca_outcome *out)
{
	bool fits = false;
	int e = check_texts(s, out);

	if (e)
		return e;
	for (size_t i = 0; i < sizeof(evidence_of) / sizeof(*evidence_of); i++)
		fits |= strcmp(evidence_of[i].protocol, s->protocol) == 0 && evidence_of[i].evidence == s->evidence &&
			strncmp(s->requester, evidence_of[i].requester, strlen(evidence_of[i].requester)) == 0;
	if (!fits)
		return refused(out, "the submission comes without the evidence or requester of its protocol");
	if (!core_endpoint_allows(ca->core, s->endpoint, ca->name, s->profile))
		return refused(out, "this endpoint is not configured for that CA and profile");
	if ((strcmp(s->endpoint, INTERNAL_ENDPOINT) == 0) != (s->evidence == CA_EVIDENCE_LOCAL_CONFIG))
		return refused(out, "only the gateway itself may use the endpoint 'internal'");
	if (s->is_key_to_come && !s->is_server_key)
		return refused(out, "a key that is to come is one that the intermediary makes");
	e = check_names(ca, s, out);
	return e ? e : check_binding(by, s, out);
}

/* ---- the request in memory ---- */

static int copy_names(struct ca_request *r, const struct ca_submission *s)
{
	r->names = arena_alloc(r->arena, (s->n_names + 1) * sizeof(*r->names));
	if (!r->names)
		return -ENOMEM;
	for (size_t i = 0; i < s->n_names; i++) {
		const struct ca_name *n = &s->names[i];

		r->names[r->n_names++] = (struct ca_name){
			.kind = n->kind,
			.value = arena_strdup(r->arena, n->value),
			.evidence = n->evidence,
			.evidence_text = arena_strdup(r->arena, n->evidence_text ? n->evidence_text : ""),
		};
	}
	return request_hash_names(r);
}

/* The raw attributes are kept as one string for ever; the parsed ones may be changed by an officer. */
static int copy_attributes(struct ca_request *r, const struct ca_submission *s, struct ca_outcome *out)
{
	OWNED_BUF raw = BUF_INIT(CA_ATTRIBUTES_MAX * 4300);

	for (size_t i = 0; i < s->n_attributes; i++) {
		int e = attribute_name_equal(s->attributes[i].name, PROVE_RENEWS) ||
					attribute_name_equal(s->attributes[i].name, PROVE_RENEWED_NAMES) ?
				-EEXIST :
				request_set_attribute(r, s->attributes[i].name, s->attributes[i].value, false);

		if (e == -ENOMEM)
			return e;
		if (e)
			return refused(out, e == -EEXIST ? "an attribute is given twice, or is the core's own" :
							   "an attribute is too long or has a line break");
		buf_printf(&raw, "%s:%s\n", s->attributes[i].name, s->attributes[i].value);
	}
	r->raw_attributes = arena_strdup(r->arena, buf_str(&raw));
	return buf_status(&raw);
}

static int make_request(struct ca *ca, const struct binding *by, const struct ca_submission *s, struct ca_request *r,
			struct ca_outcome *out)
{
	const struct ca_settings *settings = &ca->core->settings;
	int e;

	r->ca = ca->name;
	r->by = by;
	r->protocol = arena_strdup(r->arena, s->protocol);
	r->endpoint = arena_strdup(r->arena, s->endpoint);
	r->profile = arena_strdup(r->arena, s->profile);
	r->requester = arena_strdup(r->arena, s->requester);
	r->intermediary = arena_strdup(r->arena, by->name);
	r->source_address = s->source_address ? arena_strdup(r->arena, s->source_address) : NULL;
	r->evidence = s->evidence;
	r->submitted_ms = clock_wall_ms();
	r->received_ms = s->received_ms ? s->received_ms : r->submitted_ms;
	r->first_seen_ms = r->submitted_ms;
	r->retry_after_s = s->retry_after_s ? s->retry_after_s : settings->retry_after_s;
	r->server_key = s->is_server_key ? SERVER_KEY_WAITING : SERVER_KEY_NONE;
	r->is_key_to_come = s->is_key_to_come;
	r->collect_ms = s->collect_s ? (int64_t)s->collect_s * 1000 : settings->collect_ms;
	r->is_repeat_exact = s->is_repeat_exact;
	e = digest_sha256(s->request, r->asked_hash);
	if (e)
		return e;
	memcpy(r->transaction_key, s->transaction_key, sizeof(r->transaction_key));
	r->has_poll_key = s->has_poll_key;
	memcpy(r->poll_key, s->poll_key, sizeof(r->poll_key));
	if (!r->protocol || !r->endpoint || !r->profile || !r->requester || !r->intermediary)
		return -ENOMEM;
	e = copy_names(r, s);
	return e ? e : copy_attributes(r, s, out);
}

/* ---- what the CSR asks against what was proven ---- */

static bool has_name(const struct ca_request *r, enum ca_name_kind kind, const char *value)
{
	for (size_t i = 0; i < r->n_names; i++)
		if (r->names[i].kind == kind && strcasecmp(r->names[i].value, value) == 0)
			return true;
	return false;
}

static bool asks_for(const struct ca_request *r, const struct ca_name *name)
{
	for (size_t i = 0; i < r->csr.n_names; i++)
		if (r->csr.names[i].kind == name->kind && strcasecmp(r->csr.names[i].value, name->value) == 0)
			return true;
	/* A name in the CN alone counts as asked for. */
	return r->csr.common_name && strcasecmp(r->csr.common_name, name->value) == 0;
}

/* RFC 8555 7.4: the CSR asks for exactly the identifiers of the order; a missing one is as wrong as one too many. */
static int compare_names(const struct ca_request *r, char why[static CA_REASON_SIZE])
{
	if (r->csr.has_other_names) {
		snprintf(why, CA_REASON_SIZE, "the request asks for a form of name that was not proven");
		return CA_STATUS_BAD_NAME;
	}
	for (size_t i = 0; i < r->csr.n_names; i++)
		if (!has_name(r, r->csr.names[i].kind, r->csr.names[i].value)) {
			snprintf(why, CA_REASON_SIZE, "the request asks for %.*s, which was not proven",
				 utf8_fit(r->csr.names[i].value, 150), r->csr.names[i].value);
			return CA_STATUS_BAD_NAME;
		}
	if (r->csr.common_name && !has_name(r, CA_NAME_DNS, r->csr.common_name) &&
	    !has_name(r, CA_NAME_IP, r->csr.common_name)) {
		snprintf(why, CA_REASON_SIZE, "the common name %.*s was not proven", utf8_fit(r->csr.common_name, 150),
			 r->csr.common_name);
		return CA_STATUS_BAD_NAME;
	}
	for (size_t i = 0; i < r->n_names; i++)
		if (!asks_for(r, &r->names[i])) {
			snprintf(why, CA_REASON_SIZE, "the request does not ask for %.*s",
				 utf8_fit(r->names[i].value, 150), r->names[i].value);
			return CA_STATUS_BAD_NAME;
		}
	return 0;
}

/* Everything about the octets themselves. 0; an `enum ca_status`; negative. */
static int read_request(struct ca *ca, struct ca_request *r, struct bytes der, char why[static CA_REASON_SIZE])
{
	/* With a credential it was read and its names were judged before. */
	bool is_judged = ca_evidence_is_credential(r->evidence);
	int e = is_judged ? (int)r->status : csr_parse(&r->csr, r->arena, der, why);

	if (r->csr.spki.len && digest_sha256(r->csr.spki, r->spki_hash))
		return -EIO;
	if (!e)
		e = decide_check_key(ca, r, why);
	if (!e)
		e = request_form_check(core_find_profile(ca->core, r->profile), &r->csr, why);
	if (!e && !is_judged)
		e = compare_names(r, why);
	if (!e)
		e = decide_check_blocked(ca, r, why);
	for (size_t i = 0; !e && i < r->csr.n_extensions; i++) {
		struct ca_extension *x = &r->csr.extensions[i];

		/* Request extensions arrive switched off; policy may switch on what the profile lists. */
		e = request_set_extension(r, x->oid, x->value, x->flags | CA_EXT_DISABLED | CA_EXT_ORIGIN_REQUEST);
		if (e == -EINVAL || e == -ENOSPC) {
			snprintf(why, CA_REASON_SIZE,
				 "the PKCS#10 request has an extension that no certificate may carry");
			e = CA_STATUS_BAD_REQUEST;
		}
	}
	return e;
}

/* ---- answers ---- */

/* Brought back after a restore (core/store_recover.c): it is known, and its octets are not. */
static bool is_lost(const struct ca_request *r)
{
	return r->state == CA_STATE_ISSUED && r->certificate.len == 0;
}

static int fill_issued(struct ca *ca, const struct ca_request *r, struct ca_outcome *out)
{
	const struct ca_key *key = ca_find_key(ca, r->key_id);
	int e = buf_append(&out->certificate, buf_bytes(&r->certificate));

	return !e && key ? keys_append_chain(key, &out->chain) : e;
}

static int answer(struct ca *ca, const struct ca_request *r, struct ca_outcome *out)
{
	buf_reset(&out->certificate);
	buf_reset(&out->chain);
	out->id = r->id;
	out->disposition = ca_state_disposition(r->state);
	out->status = r->status;
	snprintf(out->reason, sizeof(out->reason), "%s", r->reason);
	if (r->state == CA_STATE_ACTIVE)
		return busy(ca, out, 1, "the request is being processed");
	if (r->state == CA_STATE_PENDING) {
		out->retry_after_s = polls_pause_s((clock_wall_ms() - r->first_seen_ms) / 1000, r->retry_after_s);
		polls_note(ca->core->polls, r->id, out->retry_after_s);
	}
	if (is_lost(r)) {
		out->disposition = CA_ERROR;
		snprintf(out->reason, sizeof(out->reason),
			 "the certificate was issued and is not here any more; ask for a new one");
		return 0;
	}
	return r->state == CA_STATE_ISSUED ? fill_issued(ca, r, out) : 0;
}

static void reply(struct ca *ca, const struct ca_request *r, const struct ca_outcome *out)
{
	trace_event(ca->core->trace, "reply", r->id, "\"disposition\":%d", (int)out->disposition);
}

bool pipeline_is_business_of(const struct binding *by, const struct ca_request *row)
{
	if (row->evidence == CA_EVIDENCE_LOCAL_CONFIG)
		return by->peer == BINDING_INHERITED;
	for (size_t i = 0; i < row->n_names; i++)
		if (!binding_has_name(by, &row->names[i]))
			return false;
	return binding_has_endpoint(by, row->endpoint) && binding_has_profile(by, row->profile);
}

/* Clients are told the same whatever is wrong with a credential; who runs the CA is told this. */
static int refused_over(const struct ca_request *r, struct ca_outcome *out)
{
	log_warn("credential.refused", "credential", r->credential_text, "beside", r->also_text, "endpoint",
		 r->endpoint, "why", "it has expired or is used up", "source", r->source_address);
	out->is_noted = true;
	return refused(out, CREDENTIAL_REFUSED_TEXT);
}

static int answer_from_row(struct ca *ca, const struct ca_request *asker, int64_t id, bool same_key,
			   struct ca_outcome *out)
{
	OWNED(ca_request) row = NULL;
	int e = store_load(ca->core, id, &row);

	if (e)
		return e < 0 ? e : busy(ca, out, 1, "the request is being processed");
	/* A poller who is not the original requester gets nothing, and a transaction is about one public key. */
	if (strcmp(row->requester, asker->requester) != 0 || strcmp(row->endpoint, asker->endpoint) != 0 ||
	    !pipeline_is_business_of(asker->by, row))
		return refused(out, "this transaction belongs to another requester");
	if (asker->is_credential_over &&
	    (row->credential_id != asker->credential_id || row->also_id != asker->also_id))
		return refused_over(asker, out);
	if (same_key && !bytes_equal(row->csr.spki, asker->csr.spki))
		return refused(out, "this transaction belongs to another public key");
	e = answer(ca, row, out);
	out->to_collect = row->state == CA_STATE_ISSUED && !row->collected_ms;
	if (!e)
		reply(ca, row, out);
	return e;
}

/* Is the row approved, and was this call made for the same, so that its key is the one to certify? */
static bool is_ready_for(const struct ca_request *row, const struct ca_request *asker)
{
	return row->state == CA_STATE_PENDING && row->server_key == SERVER_KEY_READY &&
	       strcmp(row->requester, asker->requester) == 0 && strcmp(row->endpoint, asker->endpoint) == 0 &&
	       row->credential_id == asker->credential_id && row->also_id == asker->also_id &&
	       row->name_change == asker->name_change && bytes_equal(row->csr.subject, asker->csr.subject) &&
	       memcmp(row->names_key, asker->names_key, SHA256_SIZE) == 0 && pipeline_is_business_of(asker->by, row);
}

/* The call that collects: its key takes the place of the one that nobody kept, and policy is asked once more with the
 * approvals that are there. */
static int collect_ready(struct ca *ca, struct ca_request *row, struct ca_request *asker, struct ca_outcome *out)
{
	char why[CA_REASON_SIZE] = "";
	int e = read_request(ca, asker, asker->csr.der, why);

	if (e > 0) {
		out->disposition = CA_ERROR;
		out->status = (enum ca_status)e;
		snprintf(out->reason, sizeof(out->reason), "%s", why);
		return 0;
	}
	if (e)
		return e;
	row->csr = asker->csr;
	memcpy(row->spki_hash, asker->spki_hash, SHA256_SIZE);
	row->has_new_key = true;
	request_note(row, asker->intermediary, "collect via=%s from=%s", row->protocol,
		     asker->source_address ? asker->source_address : "-");
	e = admin_turn_resubmit(ca, row, out);
	if (e == STORE_CHANGED || e == STORE_DUPLICATE)
		return busy(ca, out, 1, "the request met another one; ask again");
	if (e < 0)
		return may_pass(e) ? busy_store(ca, out) : e;
	if (e == CA_ADMIN_LATER)
		return busy(ca, out, 2, "nothing can be signed now; ask again");
	return answer(ca, row, out);
}

/* As one of the officers who could act on it at this moment. */
static int answer_server_key(struct ca *ca, struct ca_request *r, int64_t id, struct ca_outcome *out, bool *is_done)
{
	OWNED(ca_request) row = NULL;
	int e = flight_enter_id(ca->core->flight, id, DUPLICATE_WAIT_MS);

	*is_done = true;
	if (e)
		return e < 0 ? e : busy(ca, out, 1, "the request is being processed");
	e = store_load(ca->core, id, &row);
	if (!e && is_ready_for(row, r))
		e = r->is_key_to_come ? key_wanted(out) : collect_ready(ca, row, r, out);
	else
		*is_done = e < 0;
	flight_leave_id(ca->core->flight, id);
	return e;
}

static int answer_same(struct ca *ca, struct ca_request *r, struct bytes der, int64_t id, struct ca_outcome *out)
{
	char why[CA_REASON_SIZE];
	bool is_done = false;
	int e = 0;

	if (r->server_key && ca_evidence_is_credential(r->evidence) && !r->status)
		e = answer_server_key(ca, r, id, out, &is_done);
	if (is_done)
		return e;
	e = csr_reread(&r->csr, r->arena, der, why);
	return e > 0 ? refused(out, why) : e ? e : answer_from_row(ca, r, id, !r->server_key, out);
}

/* ---- precedents: the same transaction, the same names waiting, a recent denial ---- */

static int answer_precedent(struct ca *ca, struct ca_request *r, struct bytes der, const struct store_precedent *p,
			    struct ca_outcome *out, bool *go_on)
{
	int64_t patience_ms;

	*go_on = false;
	switch (p->kind) {
	case PRECEDENT_SAME:
		return answer_same(ca, r, der, p->id, out);
	case PRECEDENT_DENIED:
		return answer_from_row(ca, r, p->id, false, out);
	case PRECEDENT_PENDING:
		patience_ms = polls_patience_ms(ca->core->polls, p->id, p->retry_after_s);
		if (patience_ms > 0)
			return busy(ca, out, (unsigned)(patience_ms / 1000) + 1,
				    "an earlier request for the same names is waiting for a person");
		r->supersedes = p->id;
		break;
	case PRECEDENT_NONE:
		r->over_quota = p->n_pending >= ca->core->settings.pending_per_requester;
		break;
	}
	*go_on = true;
	return 0;
}

/* The credential of a submission; `why` is about the request itself, and then r->status says what is wrong with it. */
static int prove(struct ca *ca, const struct ca_submission *s, struct ca_request *r, char why[static CA_REASON_SIZE],
		 struct ca_outcome *out)
{
	unsigned pause_s = 0;
	int e = prove_by_credential(ca, s, r, why, &pause_s);

	out->is_limited = e == CREDENTIAL_LATER;
	if (out->is_limited)
		return busy(ca, out, pause_s, "too many wrong credentials; try again later");
	out->is_noted = e > 0;
	if (e > 0)
		return refused(out, s->evidence == CA_EVIDENCE_CERTIFICATE ? CERTIFICATE_REFUSED_TEXT :
									    CREDENTIAL_REFUSED_TEXT);
	return may_pass(e) ? busy_store(ca, out) : e;
}

static int limit(struct ca *ca, const struct ca_submission *s, struct ca_request *r, struct ca_outcome *out)
{
	char why[CA_REASON_SIZE] = "";
	int e = prove_limit(ca, s, r, why);

	return e > 0 ? refused(out, why) : may_pass(e) ? busy_store(ca, out) : e;
}

static void note_submission(struct ca_request *r)
{
	request_note(r, r->intermediary, "received via=%s endpoint=%s requester=%s from=%s", r->protocol, r->endpoint,
		     r->requester, r->source_address ? r->source_address : "-");
	r->lines->at_ms = r->received_ms;
	request_note(r, r->intermediary, "submit id=%lld profile=%s", (long long)r->id, r->profile);
	if (r->credential_text)
		request_note(r, "core", "proven by=\"%s\"%s%s", r->credential_text,
			     r->is_any_scope ? " scope=any" : "", r->credential_about ? r->credential_about : "");
	if (r->also_text)
		request_note(r, "core", "proven also-by=\"%s\"%s", r->also_text, r->also_about ? r->also_about : "");
	if (r->limit_text)
		request_note(r, "core", "limited by=\"%s\"", r->limit_text);
}

static void reject_without_row(struct ca_request *r, enum ca_status status, const char *why)
{
	r->id = 0;
	r->state = CA_STATE_ERROR;
	r->status = status;
	snprintf(r->reason, sizeof(r->reason), "%s", why);
}

/* Octets that are refused make a row that somebody can look at, but not without end. */
static int reject(struct ca *ca, struct ca_request *r, enum ca_status status, const char *why)
{
	if (rejects_allow(ca->core->rejects, r->requester))
		return decide_reject(ca, r, status, why);
	trace_step(ca->core->trace, "abandon", r->id);
	reject_without_row(r, status, why);
	return 0;
}

static int over_quota(struct ca *ca, struct ca_outcome *out)
{
	return busy(ca, out, 60, "too many requests of this requester are waiting for a person");
}

/* Steps 4 and 5 for a submission that is new. */
static int decide_new(struct ca *ca, struct ca_request *r, struct bytes der, char why[static CA_REASON_SIZE],
		      struct ca_outcome *out)
{
	int e;

	r->id = ++ca->core->last_id;
	r->state = CA_STATE_ACTIVE;
	note_submission(r);
	trace_event(ca->core->trace, "row", r->id, "\"state\":\"active\",\"supersedes\":%lld",
		    (long long)r->supersedes);
	e = read_request(ca, r, der, why);
	if (e > 0) {
		e = reject(ca, r, (enum ca_status)e, why);
	} else if (!e && decide_prepare(ca, r)) {
		e = reject(ca, r, CA_STATUS_BUILD_FAILURE, "the profile is not configured");
	} else if (!e) {
		decide_verify(ca, r, CA_VERIFY_NEW);
		e = decide_apply(ca, r, CA_VERIFY_NEW);
	}
	if (e != DECIDE_KEY_WANTED)
		core_count(ca->core, CA_ACTION_RECEIVE);
	if (e == 0)
		return answer(ca, r, out);
	if (e == DECIDE_AWAY)
		return busy(ca, out, 2,
			    "nothing can be signed now; the certificate will be issued when the signer is back");
	trace_event(ca->core->trace, "abandon", r->id, "\"code\":%d", e);
	if (e == DECIDE_KEY_WANTED)
		return key_wanted(out);
	if (e == STORE_SPENT)
		return refused_over(r, out);
	if (e == DECIDE_QUOTA)
		return over_quota(ca, out);
	/* Somebody was faster: the same call finds what was written. */
	if (e > 0)
		return busy(ca, out, 1, "the request met another one; ask again");
	return may_pass(e) ? busy_store(ca, out) : e;
}

/* A challenge may be good once, and who judges it spends it when he is asked. So everything is said first that can be
 * said without him: who would be told to come back would come back with a challenge that is spent. Whether policy would
 * hold the request nobody knows yet, so a requester who is over his quota waits here whatever policy would say. Nobody
 * has vouched for these octets, so what is wrong with them makes no row. */
static int want_verdict(struct ca *ca, struct ca_request *r, struct bytes der, char why[static CA_REASON_SIZE],
			struct ca_outcome *out)
{
	int e = read_request(ca, r, der, why);

	if (e < 0)
		return e;
	if (e) {
		reject_without_row(r, (enum ca_status)e, why);
		return answer(ca, r, out);
	}
	if (r->over_quota)
		return over_quota(ca, out);
	return store_can_write(ca->core) ? verdict_wanted(out) : busy_store(ca, out);
}

static int submit_in_flight(struct ca *ca, struct ca_request *r, const struct ca_submission *s, struct ca_outcome *out)
{
	char why[CA_REASON_SIZE] = "";
	struct store_precedent p;
	const char *away;
	bool go_on;
	int e = is_limit(s) ? limit(ca, s, r, out) : s->credential ? prove(ca, s, r, why, out) : 0;

	if (!e)
		e = store_find_precedent(ca->core, r, &p);
	if (!e)
		e = answer_precedent(ca, r, s->request, &p, out, &go_on);
	if (e || !go_on)
		return e;
	if (r->is_credential_over && r->evidence != CA_EVIDENCE_EXTERNAL)
		return refused_over(r, out);
	if (!r->status && r->renews_from_s > clock_wall_s())
		return too_early(r, out);
	/* A dead signer is found out before anything is written; the finisher notices when it is back. */
	away = keys_away(ca);
	if (away)
		return busy(ca, out, 2, away);
	if (r->is_credential_over)
		return want_verdict(ca, r, s->request, why, out);
	e = decide_new(ca, r, s->request, why, out);
	if (!e)
		reply(ca, r, out);
	return e;
}

int pipeline_submit(struct ca *ca, const struct binding *by, const struct ca_submission *s, struct ca_outcome *out)
{
	OWNED(ca_request) r = NULL;
	int e = check_submission(ca, by, s, out);

	if (!e)
		e = ca_request_new(&r);
	if (!e)
		e = make_request(ca, by, s, r, out);
	if (e)
		return e;
	if (ca->core->is_closed)
		return busy(ca, out, 5, "the CA is stopping");
	e = flight_enter(ca->core->flight, r->transaction_key, DUPLICATE_WAIT_MS);
	if (e)
		return e < 0 ? e : busy(ca, out, 1, "the same request is being processed");
	/* Asked again inside: whoever closes waits for what is in flight, and nothing may start after that. */
	e = ca->core->is_closed ? busy(ca, out, 5, "the CA is stopping") : submit_in_flight(ca, r, s, out);
	flight_leave(ca->core->flight, r->transaction_key);
	if (!e && ca->n_exits)
		worker_kick(ca->core->outbox);
	return e;
}

static int collect(struct ca *ca, struct ca_request *r)
{
	if (ca_state_disposition(r->state) == CA_UNDER_SUBMISSION || r->state == CA_STATE_ACTIVE)
		return 0;
	polls_forget(ca->core->polls, r->id);
	r->events = CA_EVENT_RETRIEVED;
	request_note(r, r->requester, "retrieved state=%s", ca_state_word(r->state));
	trace_step(ca->core->trace, "retrieve", r->id);
	return store_collected(ca, r);
}

/* What becomes known to the requester of a row. */
static int answer_requester(struct ca *ca, struct ca_request *r, bool collects, struct ca_outcome *out)
{
	int e = collects && !is_lost(r) ? collect(ca, r) : 0;

	if (e == STORE_CHANGED)
		return busy(ca, out, 1, "the certificate was revoked just now; ask again");
	if (may_pass(e))
		return busy_store(ca, out);
	if (!e && collects)
		worker_kick(ca->core->outbox);
	out->to_collect = !collects && r->state == CA_STATE_ISSUED && !r->collected_ms && !is_lost(r);
	return e ? e : answer(ca, r, out);
}

static bool is_of(const struct ca *ca, const struct binding *by, const struct ca_request *r)
{
	return strcasecmp(r->ca, ca->name) == 0 && pipeline_is_business_of(by, r);
}

int pipeline_ask(struct ca *ca, const struct binding *by, const char *requester, int64_t id, bool collects,
		 struct ca_outcome *out)
{
	OWNED(ca_request) r = NULL;
	int e = store_load(ca->core, id, &r);

	if (e)
		return e;
	if (strcmp(r->requester, requester) != 0 || !is_of(ca, by, r))
		return CA_CALL_NOT_FOUND;
	return answer_requester(ca, r, collects, out);
}

/* It arrives once: who asks again and again writes nothing. */
int pipeline_poll(struct ca *ca, const struct binding *by, const char *endpoint, const uint8_t *poll_key,
		  struct ca_outcome *out)
{
	OWNED(ca_request) r = NULL;
	int64_t id;
	int e = store_find_polled(ca->core, endpoint, poll_key, &id);

	if (!e)
		e = store_load(ca->core, id, &r);
	if (e)
		return e;
	if (!is_of(ca, by, r))
		return CA_CALL_NOT_FOUND;
	return answer_requester(ca, r, r->state == CA_STATE_ISSUED && !r->collected_ms, out);
}

/* ---- a submission that nobody sends ---- */

/* The evidence of requesters that are called so; a requester of that kind when there is none. */
static int choose_evidence(const struct ca_request *r, struct ca_submission *s, struct ca_outcome *out)
{
	for (size_t i = 0; i < sizeof(evidence_of) / sizeof(*evidence_of); i++) {
		const char *prefix = evidence_of[i].requester;

		if (strcmp(evidence_of[i].protocol, s->protocol) != 0 ||
		    (s->requester && strncmp(s->requester, prefix, strlen(prefix)) != 0))
			continue;
		s->evidence = evidence_of[i].evidence;
		s->requester = s->requester ? s->requester : arena_printf(r->arena, "%stest", prefix);
		return s->requester ? 0 : -ENOMEM;
	}
	return refused(out, s->requester ? "requesters of that endpoint's protocol are not called so" :
					   "nobody gets a certificate at that endpoint");
}

static int add_asked(const struct ca_request *r, struct ca_submission *s, struct ca_name *names,
		     enum ca_name_kind kind, const char *value)
{
	const char *copy = arena_strdup(r->arena, value);

	names[s->n_names++] = (struct ca_name){ kind, copy, s->evidence, PROVE_AS_ASKED_TEXT };
	return copy ? 0 : -ENOMEM;
}

/* What the request asks for, as the names that were proven. What cannot be read has none: it is judged later. */
static int take_asked_names(struct ca_request *r, struct ca_submission *s)
{
	char why[CA_REASON_SIZE], dns[DNS_NAME_SIZE];
	const char *cn;
	struct ca_name *names;
	int e = csr_parse(&r->csr, r->arena, s->request, why);

	if (e)
		return e < 0 ? e : 0;
	names = arena_alloc(r->arena, (r->csr.n_names + 1) * sizeof(*names));
	if (!names)
		return -ENOMEM;
	s->names = names;
	for (size_t i = 0; !e && i < r->csr.n_names; i++)
		e = add_asked(r, s, names, r->csr.names[i].kind, r->csr.names[i].value);
	cn = r->csr.common_name;
	for (size_t i = 0; cn && i < r->csr.n_names; i++)
		cn = strcasecmp(r->csr.names[i].value, cn) == 0 ? NULL : cn;
	if (e || !cn)
		return e;
	if (is_canonical_address(cn))
		return add_asked(r, s, names, CA_NAME_IP, cn);
	return dns_name_normalise(bytes_of_str(cn), true, dns) ? 0 : add_asked(r, s, names, CA_NAME_DNS, dns);
}

/* Policy as it would be asked. 0; an `enum ca_status`; negative. */
static int rehearse_policy(struct ca *ca, struct ca_request *r, char why[static CA_REASON_SIZE])
{
	int e = decide_prepare(ca, r);

	if (e) {
		snprintf(why, CA_REASON_SIZE, "there is no such profile, or no key of the CA that signs");
		return e;
	}
	e = store_is_renewal(ca->core, r, clock_wall_s(), &r->is_renewal);
	return e ? e : decide_explain(ca, r, CA_VERIFY_NEW, why);
}

int pipeline_rehearse(struct ca *ca, const struct ca_submission *asked, struct ca_request *r, struct ca_outcome *out)
{
	/* What an intermediary is bound to is not the question: the endpoint is one that is configured. */
	const struct binding by = { .name = ca->core->bindings.all[0].name, .peer = BINDING_INHERITED };
	struct ca_submission s = *asked;
	char why[CA_REASON_SIZE] = "";
	bool is_credential;
	int e = choose_evidence(r, &s, out);

	is_credential = ca_evidence_is_credential(s.evidence);
	if (!e)
		e = check_texts(&s, out);
	if (!e && !is_credential)
		e = take_asked_names(r, &s);
	if (!e && s.n_names)
		e = check_names(ca, &s, out);
	if (!e)
		e = make_request(ca, &by, &s, r, out);
	if (!e && is_credential)
		e = prove_as_asked(ca, &s, r, why);
	if (e)
		return e;
	e = read_request(ca, r, s.request, why);
	if (!e)
		e = rehearse_policy(ca, r, why);
	r->by = NULL;
	if (e > 0) {
		r->status = (enum ca_status)e;
		snprintf(r->reason, sizeof(r->reason), "%s", why);
	}
	return e < 0 ? e : 0;
}
