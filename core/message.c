/* Messages between intermediaries and the core.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "core/message.h"

#include <errno.h>
#include <stdio.h>

#include "core/base/clock.h"

#define RETRY_AFTER_MAX_S 86400
#define CLAIM_MESSAGE_MAX 65536
#define COLLECT_MAX_S (366u * 86400)
#define RECEIVED_MAX_MS (3600 * 1000) /* how long ago */

/* The schema counts as the headers do. */
_Static_assert((int)GATEHOUSE__CORE__NAME_KIND__NAME_KIND_UPN == CA_NAME_UPN, "kinds of names");
_Static_assert((int)GATEHOUSE__CORE__EVIDENCE__EVIDENCE_TOKEN == CA_EVIDENCE_TOKEN, "evidence");
_Static_assert((int)GATEHOUSE__CORE__EVIDENCE__EVIDENCE_CERTIFICATE == CA_EVIDENCE_CERTIFICATE, "evidence");
_Static_assert((int)GATEHOUSE__CORE__CERTIFICATE_USE__CERTIFICATE_USE_RENEW == CA_CERTIFICATE_RENEW, "uses");
_Static_assert((int)GATEHOUSE__CORE__TRUST__TRUST_RA == CA_TRUST_RA, "trust");
_Static_assert((int)GATEHOUSE__CORE__DISPOSITION__DISPOSITION_REVOKED == CA_REVOKED, "dispositions");
_Static_assert((int)GATEHOUSE__CORE__STATUS__STATUS_WITHDRAWN == CA_STATUS_WITHDRAWN, "statuses");
_Static_assert((int)GATEHOUSE__CORE__CALL__CALL_KEY_WANTED == CA_CALL_KEY_WANTED, "outcomes of calls");
_Static_assert((int)GATEHOUSE__CORE__CALL__CALL_FULL == CA_CALL_FULL, "outcomes of calls");
_Static_assert((int)GATEHOUSE__CORE__CALL__CALL_VERDICT_WANTED == CA_CALL_VERDICT_WANTED, "outcomes of calls");
_Static_assert((int)GATEHOUSE__CORE__CALL__CALL_TOO_EARLY == CA_CALL_TOO_EARLY, "outcomes of calls");
_Static_assert((int)GATEHOUSE__CORE__REVOKE_PROOF__REVOKE_PROOF_NAMES == CA_REVOKE_BY_NAMES, "proofs");

/* ---- octets ---- */

int message_pack(const Gatehouse__Core__Message *m, struct buf *out)
{
	size_t n = gatehouse__core__message__get_packed_size(m);
	uint8_t *room;

	buf_reset(out);
	if (n > FRAME_MAX)
		return -EMSGSIZE;
	room = buf_room(out, n);
	if (!room)
		return buf_status(out);
	buf_added(out, gatehouse__core__message__pack(m, room));
	return 0;
}

static void *take_memory(void *arena, size_t n)
{
	return arena_alloc(arena, n);
}

static void leave_memory(void *arena, void *memory)
{
}

Gatehouse__Core__Message *message_unpack(struct arena *arena, struct bytes octets)
{
	/* A message of many empty elements takes much more memory than octets: the arena is the limit. */
	ProtobufCAllocator allocator = { take_memory, leave_memory, arena };

	return gatehouse__core__message__unpack(&allocator, octets.len, octets.ptr);
}

static ProtobufCBinaryData data_of(struct bytes octets)
{
	return (ProtobufCBinaryData){ octets.len, (uint8_t *)(uintptr_t)octets.ptr };
}

/* protobuf-c has no word for text that it only reads. */
static char *text_of(const char *text)
{
	return (char *)(uintptr_t)(text ? text : "");
}

/* ---- names ---- */

int message_from_names(struct arena *arena, const struct ca_name *names, size_t n, Gatehouse__Core__Name ***out,
		       size_t *n_out)
{
	Gatehouse__Core__Name *all = arena_alloc(arena, (n + 1) * sizeof(*all));

	*out = arena_alloc(arena, (n + 1) * sizeof(**out));
	if (!all || !*out)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++) {
		gatehouse__core__name__init(&all[i]);
		all[i].kind = (Gatehouse__Core__NameKind)names[i].kind;
		all[i].value = text_of(names[i].value);
		all[i].evidence = (Gatehouse__Core__Evidence)names[i].evidence;
		all[i].evidence_text = text_of(names[i].evidence_text);
		(*out)[(*n_out)++] = &all[i];
	}
	return 0;
}

struct ca_name *message_to_names(struct arena *arena, Gatehouse__Core__Name *const *from, size_t n)
{
	struct ca_name *names = arena_alloc(arena, (n + 1) * sizeof(*names));

	for (size_t i = 0; names && i < n; i++)
		names[i] = (struct ca_name){
			.kind = (enum ca_name_kind)from[i]->kind,
			.value = from[i]->value,
			.evidence = (enum ca_evidence_kind)from[i]->evidence,
			.evidence_text = from[i]->evidence_text,
		};
	return names;
}

/* ---- credentials ---- */

void message_from_claim(const struct ca_credential_claim *from, Gatehouse__Core__Credential *out)
{
	out->kind = (Gatehouse__Core__Evidence)from->kind;
	out->name = text_of(from->name);
	out->secret = data_of(from->secret);
	out->message = data_of(from->message);
	out->account = text_of(from->account);
	out->certificate = data_of(from->certificate);
	out->chain = data_of(from->chain);
	out->use = (Gatehouse__Core__CertificateUse)from->use;
}

int message_to_claim(const Gatehouse__Core__Credential *m, struct ca_credential_claim *out, const char **why)
{
	*why = NULL;
	if (m->secret.len > CA_SECRET_MAX || m->message.len > CLAIM_MESSAGE_MAX)
		*why = "a credential has at most 4096 octets, and 65536 for a MAC to be over";
	else if (m->certificate.len > CA_CERTIFICATE_MAX || m->chain.len > CA_CERTIFICATE_MAX ||
		 (unsigned)m->use > CA_CERTIFICATE_RENEW)
		*why = "a certificate has at most 65536 octets, so have those behind it, and is shown to enrol or "
		       "renew";
	out->kind = (enum ca_evidence_kind)m->kind;
	out->name = *m->name ? m->name : NULL;
	out->secret = bytes_of(m->secret.data, m->secret.len);
	out->message = bytes_of(m->message.data, m->message.len);
	out->account = *m->account ? m->account : NULL;
	out->certificate = bytes_of(m->certificate.data, m->certificate.len);
	out->chain = bytes_of(m->chain.data, m->chain.len);
	out->use = (enum ca_certificate_use)m->use;
	return *why ? CA_CALL_REFUSED : 0;
}

void message_from_checked(int call, struct ca_credential_answer *from, Gatehouse__Core__Checked *out)
{
	out->call = call < 0 ? GATEHOUSE__CORE__CALL__CALL_FAILED : (Gatehouse__Core__Call)call;
	out->requester = from->requester;
	out->reason = from->reason;
	out->retry_after_s = from->retry_after_s;
	out->outside = data_of(bytes_of(from->outside, sizeof(from->outside)));
	out->trust = (Gatehouse__Core__Trust)from->trust;
	out->is_over = from->is_over;
	out->is_limited = from->is_limited;
}

int message_to_checked(const Gatehouse__Core__Checked *m, struct ca_credential_answer *out)
{
	if (m->call == GATEHOUSE__CORE__CALL__CALL_FAILED)
		return -EIO;
	if ((int)m->call < 0 || (int)m->call > CA_CALL_REFUSED || strlen(m->requester) >= sizeof(out->requester) ||
	    m->outside.len > sizeof(out->outside) || (unsigned)m->trust > CA_TRUST_RA)
		return -EBADMSG;
	memset(out->outside, 0xff, sizeof(out->outside)); /* of whatever nothing is said */
	if (m->outside.len)
		memcpy(out->outside, m->outside.data, m->outside.len);
	snprintf(out->requester, sizeof(out->requester), "%s", m->requester);
	snprintf(out->reason, sizeof(out->reason), "%s", m->reason);
	out->retry_after_s = m->retry_after_s;
	out->trust = (enum ca_trust)m->trust;
	out->is_over = m->is_over;
	out->is_limited = m->is_limited;
	return (int)m->call;
}

/* ---- challenges on demand ---- */

void message_from_delegation(const struct ca_delegation *from, Gatehouse__Core__Credential *claim,
			     Gatehouse__Core__DelegateChallenge *out)
{
	message_from_claim(from->claim, claim);
	out->credential = claim;
	out->endpoint = text_of(from->claim->endpoint);
	out->source_address = text_of(from->claim->source_address);
	out->serial_number = text_of(from->serial_number);
	out->udid = text_of(from->udid);
	out->is_bound = from->is_bound;
	out->lifetime_s = from->lifetime_s;
}

int message_to_delegation(const Gatehouse__Core__DelegateChallenge *m, struct ca_credential_claim *claim,
			  struct ca_delegation *d, const char **why)
{
	*why = "a challenge is made for a credential";
	if (!m->credential || message_to_claim(m->credential, claim, why))
		return CA_CALL_REFUSED;
	claim->endpoint = m->endpoint;
	claim->source_address = *m->source_address ? m->source_address : NULL;
	*d = (struct ca_delegation){
		.claim = claim,
		.serial_number = *m->serial_number ? m->serial_number : NULL,
		.udid = *m->udid ? m->udid : NULL,
		.is_bound = m->is_bound,
		.lifetime_s = m->lifetime_s,
	};
	return 0;
}

void message_from_delegated(int call, struct ca_delegated *from, Gatehouse__Core__Delegated *out)
{
	out->call = call < 0 ? GATEHOUSE__CORE__CALL__CALL_FAILED : (Gatehouse__Core__Call)call;
	out->id = from->id;
	out->challenge = from->challenge;
	out->until_ms = from->until_ms;
	out->reason = from->reason;
	out->retry_after_s = from->retry_after_s;
}

int message_to_delegated(const Gatehouse__Core__Delegated *m, struct ca_delegated *out)
{
	int call = (int)m->call;

	if (m->call == GATEHOUSE__CORE__CALL__CALL_FAILED)
		return -EIO;
	if ((call < 0 || call > CA_CALL_REFUSED) && call != CA_CALL_NOT_PERMITTED && call != CA_CALL_FULL)
		return -EBADMSG;
	if (strlen(m->challenge) >= sizeof(out->challenge) || (call == 0) != (*m->challenge != '\0'))
		return -EBADMSG;
	out->id = m->id;
	out->until_ms = m->until_ms;
	out->retry_after_s = m->retry_after_s;
	snprintf(out->challenge, sizeof(out->challenge), "%s", m->challenge);
	snprintf(out->reason, sizeof(out->reason), "%s", m->reason);
	return call;
}

/* ---- submissions ---- */

static int add_claim(struct arena *arena, const struct ca_credential_claim *claim, Gatehouse__Core__Credential **out)
{
	if (!claim)
		return 0;
	*out = arena_alloc(arena, sizeof(**out));
	if (!*out)
		return -ENOMEM;
	gatehouse__core__credential__init(*out);
	message_from_claim(claim, *out);
	return 0;
}

static int add_attributes(struct arena *arena, const struct ca_submission *s, Gatehouse__Core__Submit *out)
{
	Gatehouse__Core__Attribute *all = arena_alloc(arena, (s->n_attributes + 1) * sizeof(*all));

	out->attributes = arena_alloc(arena, (s->n_attributes + 1) * sizeof(*out->attributes));
	if (!all || !out->attributes)
		return -ENOMEM;
	for (size_t i = 0; i < s->n_attributes; i++) {
		gatehouse__core__attribute__init(&all[i]);
		all[i].name = text_of(s->attributes[i].name);
		all[i].value = text_of(s->attributes[i].value);
		out->attributes[out->n_attributes++] = &all[i];
	}
	return 0;
}

int message_from_submission(struct arena *arena, const struct ca_submission *s, Gatehouse__Core__Submit *out)
{
	int e;

	out->protocol = text_of(s->protocol);
	out->endpoint = text_of(s->endpoint);
	out->profile = text_of(s->profile);
	out->requester = text_of(s->requester);
	out->evidence = (Gatehouse__Core__Evidence)s->evidence;
	out->source_address = text_of(s->source_address);
	out->received_ms = s->received_ms;
	out->request = data_of(s->request);
	out->transaction_key = data_of(bytes_of(s->transaction_key, sizeof(s->transaction_key)));
	if (s->has_poll_key)
		out->poll_key = data_of(bytes_of(s->poll_key, sizeof(s->poll_key)));
	out->retry_after_s = s->retry_after_s;
	out->collect_s = s->collect_s;
	out->is_repeat_exact = s->is_repeat_exact;
	out->is_server_key = s->is_server_key;
	out->is_key_to_come = s->is_key_to_come;
	e = add_claim(arena, s->credential, &out->credential);
	if (!e)
		e = add_claim(arena, s->also, &out->also);
	if (!e)
		e = message_from_names(arena, s->names, s->n_names, &out->names, &out->n_names);
	return e ? e : add_attributes(arena, s, out);
}

static int take_claim(struct arena *arena, const Gatehouse__Core__Credential *m,
		      const struct ca_credential_claim **out, const char **why)
{
	struct ca_credential_claim *claim;

	if (!m)
		return 0;
	claim = arena_alloc(arena, sizeof(*claim));
	*out = claim;
	return claim ? message_to_claim(m, claim, why) : -ENOMEM;
}

static int take_attributes(struct arena *arena, const Gatehouse__Core__Submit *m, struct ca_submission *out)
{
	struct ca_attribute *attributes = arena_alloc(arena, (m->n_attributes + 1) * sizeof(*attributes));

	if (!attributes)
		return -ENOMEM;
	for (size_t i = 0; i < m->n_attributes; i++)
		attributes[i] = (struct ca_attribute){ m->attributes[i]->name, m->attributes[i]->value };
	out->attributes = attributes;
	out->n_attributes = m->n_attributes;
	return 0;
}

static unsigned at_most(uint32_t value, unsigned max)
{
	return value < max ? value : max;
}

/* The other side's clock may be wrong, or it may lie: the timeline is in the order of the core's own. */
static int64_t plausible_ms(int64_t received_ms)
{
	int64_t now = clock_wall_ms();

	return received_ms <= now && received_ms > now - RECEIVED_MAX_MS ? received_ms : 0;
}

int message_to_submission(struct arena *arena, const Gatehouse__Core__Submit *m, struct ca_submission *out,
			  const char **why)
{
	int e;

	*why = NULL;
	if (m->transaction_key.len != CA_TRANSACTION_KEY_SIZE)
		*why = "a transaction key has 32 octets";
	else if (m->poll_key.len && m->poll_key.len != CA_POLL_KEY_SIZE)
		*why = "a poll key has 32 octets";
	else if (m->request.len > CA_REQUEST_MAX)
		*why = "a PKCS#10 request has at most 65536 octets";
	else if (m->n_names > CA_NAMES_MAX || m->n_attributes > CA_ATTRIBUTES_MAX)
		*why = "a submission has at most 1000 names and 64 attributes";
	if (*why)
		return CA_CALL_REFUSED;
	*out = (struct ca_submission){
		.protocol = m->protocol,
		.endpoint = m->endpoint,
		.profile = m->profile,
		.requester = m->requester,
		.evidence = (enum ca_evidence_kind)m->evidence,
		.source_address = *m->source_address ? m->source_address : NULL,
		.received_ms = plausible_ms(m->received_ms),
		.request = bytes_of(m->request.data, m->request.len),
		.retry_after_s = at_most(m->retry_after_s, RETRY_AFTER_MAX_S),
		.collect_s = at_most(m->collect_s, COLLECT_MAX_S),
		.is_repeat_exact = m->is_repeat_exact,
		.is_server_key = m->is_server_key,
		.is_key_to_come = m->is_key_to_come,
		.has_poll_key = m->poll_key.len != 0,
		.names = message_to_names(arena, m->names, m->n_names),
		.n_names = m->n_names,
	};
	memcpy(out->transaction_key, m->transaction_key.data, CA_TRANSACTION_KEY_SIZE);
	if (out->has_poll_key)
		memcpy(out->poll_key, m->poll_key.data, CA_POLL_KEY_SIZE);
	if (!out->names)
		return -ENOMEM;
	e = take_claim(arena, m->credential, &out->credential, why);
	if (!e)
		e = take_claim(arena, m->also, &out->also, why);
	return e ? e : take_attributes(arena, m, out);
}

/* ---- revocations ---- */

int message_from_revocation(struct arena *arena, const struct ca_revocation *v, Gatehouse__Core__Revoke *out)
{
	out->protocol = text_of(v->protocol);
	out->endpoint = text_of(v->endpoint);
	out->requester = text_of(v->requester);
	out->certificate = data_of(v->certificate);
	out->reason = (uint32_t)v->reason;
	out->proof = (Gatehouse__Core__RevokeProof)v->proof;
	out->source_address = text_of(v->source_address);
	return message_from_names(arena, v->names, v->n_names, &out->names, &out->n_names);
}

int message_to_revocation(struct arena *arena, const Gatehouse__Core__Revoke *m, struct ca_revocation *out,
			  const char **why)
{
	*why = "a revocation has at most 1000 names, and a reason of RFC 5280";
	if (m->n_names > CA_NAMES_MAX || m->reason > CA_REASON_PRIVILEGE_WITHDRAWN)
		return CA_CALL_REFUSED;
	*out = (struct ca_revocation){
		.protocol = m->protocol,
		.endpoint = m->endpoint,
		.requester = *m->requester ? m->requester : NULL,
		.certificate = bytes_of(m->certificate.data, m->certificate.len),
		.reason = (int)m->reason,
		.proof = (enum ca_revoke_proof)m->proof,
		.names = message_to_names(arena, m->names, m->n_names),
		.n_names = m->n_names,
		.source_address = *m->source_address ? m->source_address : NULL,
	};
	return out->names ? 0 : -ENOMEM;
}

/* ---- outcomes ---- */

void message_from_outcome(int call, struct ca_outcome *from, Gatehouse__Core__Outcome *out)
{
	out->call = call < 0 ? GATEHOUSE__CORE__CALL__CALL_FAILED : (Gatehouse__Core__Call)call;
	out->request = from->id;
	out->disposition = (Gatehouse__Core__Disposition)from->disposition;
	out->status = (Gatehouse__Core__Status)from->status;
	out->reason = from->reason;
	out->retry_after_s = from->retry_after_s;
	out->certificate = data_of(buf_bytes(&from->certificate));
	out->chain = data_of(buf_bytes(&from->chain));
	out->to_collect = from->to_collect;
	out->is_limited = from->is_limited;
}

static bool is_disposition(int number)
{
	return number >= CA_INCOMPLETE && number <= CA_REVOKED && number != 4;
}

int message_to_outcome(const Gatehouse__Core__Outcome *m, struct ca_outcome *out)
{
	int e;

	if (m->call == GATEHOUSE__CORE__CALL__CALL_FAILED)
		return -EIO;
	if ((int)m->call < 0 || (int)m->call > CA_CALL_TOO_EARLY || !is_disposition((int)m->disposition) ||
	    (int)m->status < 0 || (int)m->status > CA_STATUS_WITHDRAWN)
		return -EBADMSG;
	out->id = m->request;
	out->disposition = (enum ca_disposition)m->disposition;
	out->status = (enum ca_status)m->status;
	snprintf(out->reason, sizeof(out->reason), "%s", m->reason);
	out->retry_after_s = m->retry_after_s;
	out->to_collect = m->to_collect;
	out->is_limited = m->is_limited;
	buf_reset(&out->certificate);
	buf_reset(&out->chain);
	e = buf_append(&out->certificate, bytes_of(m->certificate.data, m->certificate.len));
	if (!e)
		e = buf_append(&out->chain, bytes_of(m->chain.data, m->chain.len));
	return e ? e : (int)m->call;
}

int message_to_ocsp_answer(const Gatehouse__Core__OcspAnswer *m, struct ca_ocsp_answer *out)
{
	if (m->call == GATEHOUSE__CORE__CALL__CALL_FAILED)
		return -EIO;
	if (m->call != GATEHOUSE__CORE__CALL__CALL_OK || m->response.len == 0)
		return -EBADMSG;
	out->this_update_s = m->this_update_s;
	out->next_update_s = m->next_update_s;
	out->is_cachable = m->is_cachable;
	buf_reset(&out->der);
	return buf_append(&out->der, bytes_of(m->response.data, m->response.len));
}

/* ---- what a request must look like ---- */

static size_t count_words(const char *const *words)
{
	size_t n = 0;

	while (words[n])
		n++;
	return n;
}

int message_from_request_form(struct arena *arena, const struct ca_request_form *form,
			      Gatehouse__Core__RequestForm *out)
{
	Gatehouse__Core__FormPart *parts = arena_alloc(arena, (form->n_subject + 1) * sizeof(*parts));

	out->subject = arena_alloc(arena, (form->n_subject + 1) * sizeof(*out->subject));
	if (!parts || !out->subject)
		return -ENOMEM;
	for (; out->n_subject < form->n_subject; out->n_subject++) {
		Gatehouse__Core__FormPart *part = &parts[out->n_subject];

		gatehouse__core__form_part__init(part);
		part->oid = text_of(form->subject[out->n_subject].oid);
		part->value = text_of(form->subject[out->n_subject].value);
		out->subject[out->n_subject] = part;
	}
	out->key_types = (char **)(uintptr_t)form->key_types;
	out->n_key_types = count_words(form->key_types);
	out->attributes = (char **)(uintptr_t)form->attributes;
	out->n_attributes = count_words(form->attributes);
	out->rsa_bits = form->rsa_bits;
	out->digest = text_of(form->digest);
	return 0;
}

/* With a NULL behind them. */
static const char *const *copy_list(struct arena *arena, char *const *words, size_t n)
{
	const char **list = arena_alloc(arena, (n + 1) * sizeof(*list));

	for (size_t i = 0; list && i < n; i++)
		list[i] = arena_strdup(arena, words[i]);
	for (size_t i = 0; list && i < n; i++)
		if (!list[i])
			return NULL;
	return list;
}

int message_to_request_form(struct arena *arena, const Gatehouse__Core__RequestForm *m, struct ca_request_form *out)
{
	struct ca_form_part *subject = arena_alloc(arena, (m->n_subject + 1) * sizeof(*subject));

	if (m->call == GATEHOUSE__CORE__CALL__CALL_FAILED)
		return -EIO;
	if (m->call != GATEHOUSE__CORE__CALL__CALL_OK)
		return m->call == GATEHOUSE__CORE__CALL__CALL_NOT_FOUND ? CA_CALL_NOT_FOUND : -EBADMSG;
	*out = (struct ca_request_form){
		.key_types = copy_list(arena, m->key_types, m->n_key_types),
		.rsa_bits = m->rsa_bits,
		.digest = *m->digest ? arena_strdup(arena, m->digest) : NULL,
		.subject = subject,
		.n_subject = m->n_subject,
		.attributes = copy_list(arena, m->attributes, m->n_attributes),
	};
	for (size_t i = 0; subject && i < m->n_subject; i++) {
		const Gatehouse__Core__FormPart *part = m->subject[i];

		subject[i].oid = arena_strdup(arena, part->oid);
		subject[i].value = *part->value ? arena_strdup(arena, part->value) : NULL;
		if (!subject[i].oid || (*part->value && !subject[i].value))
			return -ENOMEM;
	}
	return out->key_types && subject && out->attributes && (!*m->digest || out->digest) ? 0 : -ENOMEM;
}
