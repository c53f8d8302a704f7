/* What an intermediary sends: octets to a message, to a submission, and through the core's binding of the sender.
 *
 * The core behind it is closed: a submission that passes every check is told so, and nothing is written.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdlib.h>

#include "core/base/log.h"
#include "core/base/own.h"
#include "core/delegate.h"
#include "core/intermediaries.h"
#include "core/message.h"
#include "tests/scenarios/rig.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct rig rig;

static void swallow(void *arg, const char *line)
{
}

static void clean_up(void)
{
	rig_fini(&rig);
}

static void set_up(void)
{
	struct rig_settings settings = { .core = "intermediaries: [{name: i, user: nobody, endpoints: acme, "
						 "names: ['*.example']}]" };
	struct conf_error error = { 0 };

	log_capture(swallow, NULL);
	rig_init(&rig, &settings);
	atexit(clean_up);
	if (rig_start(&rig, &error))
		abort();
	ca_core_close(rig.core);
}

/* The same for revocations. */
static void revoke_certificate(struct arena *arena, const Gatehouse__Core__Revoke *m)
{
	OWNED_CA_OUTCOME out = CA_OUTCOME_INIT;
	const struct binding *by = &rig.core->bindings.all[1];
	struct ca_revocation v;
	const char *why;

	if (message_to_revocation(arena, m, &v, &why) ||
	    pipeline_revoke(&rig.core->cas[0], by, &v, &out) != CA_CALL_BUSY)
		return;
	if (strcmp(v.endpoint, "acme") != 0 || !ca_reason_is_for_requester(v.reason) ||
	    v.proof < CA_REVOKE_BY_REQUESTER || v.proof > CA_REVOKE_BY_NAMES || v.certificate.len == 0 ||
	    (v.proof != CA_REVOKE_BY_KEY && !v.requester) || (v.proof == CA_REVOKE_BY_NAMES && v.n_names == 0))
		abort();
}

/* The same for challenges on demand: what passes the message is answered by the closed core. */
static void delegate(const Gatehouse__Core__DelegateChallenge *m)
{
	const struct binding *by = &rig.core->bindings.all[1];
	struct ca_credential_claim claim = { 0 };
	struct ca_delegated out = { 0 };
	struct ca_delegation d;
	const char *why;

	if (message_to_delegation(m, &claim, &d, &why) == 0 &&
	    delegate_challenge(&rig.core->cas[0], by, &d, &out) != CA_CALL_BUSY)
		abort();
}

/* Proven names; or a credential, which proves them itself, with another of another kind at most. */
static bool has_evidence(const struct ca_submission *s)
{
	if (ca_evidence_is_credential(s->evidence))
		return s->credential && s->credential->kind == s->evidence && s->n_names == 0 &&
		       (!s->also || s->also->kind != s->evidence);
	return s->evidence == CA_EVIDENCE_ACME_AUTHORIZATION && s->n_names > 0;
}

/* What the checks let pass is what the binding says. */
static void submit(struct arena *arena, const Gatehouse__Core__Submit *m)
{
	OWNED_CA_OUTCOME out = CA_OUTCOME_INIT;
	const struct binding *by = &rig.core->bindings.all[1];
	struct ca_submission s;
	const char *why;

	if (message_to_submission(arena, m, &s, &why) ||
	    pipeline_submit(&rig.core->cas[0], by, &s, &out) != CA_CALL_BUSY)
		return;
	if (strcmp(s.endpoint, "acme") != 0 || strcmp(s.profile, "server") != 0 || !has_evidence(&s) ||
	    s.request.len > CA_REQUEST_MAX)
		abort();
	for (size_t i = 0; i < s.n_names; i++)
		if (!binding_has_name(by, &s.names[i]) || s.names[i].evidence != s.evidence)
			abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	OWNED(arena) arena = NULL;
	OWNED_BUF reply = BUF_INIT(FRAME_MAX), again = BUF_INIT(FRAME_MAX);
	Gatehouse__Core__Message *m;
	uint64_t id;

	if (!rig.core)
		set_up();
	(void)frame_id(bytes_of(data, size), &id);
	if (arena_new(&arena, MESSAGE_ARENA_MAX))
		return 0;
	m = message_unpack(arena, bytes_of(data, size));
	if (m && m->what_case == GATEHOUSE__CORE__MESSAGE__WHAT_SUBMIT)
		submit(arena, m->submit);
	if (m && m->what_case == GATEHOUSE__CORE__MESSAGE__WHAT_REVOKE)
		revoke_certificate(arena, m->revoke);
	if (m && m->what_case == GATEHOUSE__CORE__MESSAGE__WHAT_DELEGATE_CHALLENGE)
		delegate(m->delegate_challenge);
	if (m && m->what_case == GATEHOUSE__CORE__MESSAGE__WHAT_DELEGATED) {
		struct ca_delegated out = { 0 };

		if (message_to_delegated(m->delegated, &out) == 0 && !*out.challenge)
			abort();
	}
	if (m && m->what_case == GATEHOUSE__CORE__MESSAGE__WHAT_OUTCOME) {
		OWNED_CA_OUTCOME out = CA_OUTCOME_INIT;

		(void)message_to_outcome(m->outcome, &out);
	}
	if (m)
		(void)intermediaries_answer(rig.core, &rig.core->bindings.all[1], bytes_of(data, size), &reply);
	if (reply.len && !message_unpack(arena, buf_bytes(&reply)))
		abort();
	if (m)
		(void)message_pack(m, &again);
	return 0;
}
