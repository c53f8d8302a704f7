/* External account binding (RFC 8555 7.3.4): an account that somebody outside of ACME answers for.
 *
 * The key belongs to the core, which checks the MAC and binds the account, by the thumbprint of its first key, before
 * the account is made: a client that is cut off in between comes again with the same key and is bound already. From
 * then on each order is held against the names that the external account may have, and each submission again, by the
 * core. When the external account ends, so do the orders of the accounts that are bound to it.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "protocols/acme/acme_int.h"

#include <errno.h>

#include "core/base/own.h"

#define BINDING_MAX 16384

static int answered(int e)
{
	return e ? e : 1;
}

static int read_message(struct acme_call *c, const cJSON *object, struct jws **out)
{
	const char *why = "";
	int e = jws_parse_mac(out, object, &why);

	if (e == JWS_BAD_SIGNATURE)
		return answered(acme_problem(c, ACME_ERR_UNAUTHORIZED, "externalAccountBinding: %s", why));
	if (e > 0)
		return answered(acme_problem(c, ACME_ERR_MALFORMED, "externalAccountBinding: %s", why));
	if (!e && (*out)->nonce)
		return answered(acme_problem(c, ACME_ERR_MALFORMED, "externalAccountBinding has no nonce"));
	if (!e && strcmp((*out)->url, c->jws->url) != 0)
		return answered(acme_problem(c, ACME_ERR_MALFORMED, "externalAccountBinding has another url"));
	return e;
}

/* What the external account vouches for is this key and no other. */
static int check_key(struct acme_call *c, const struct jws *binding)
{
	OWNED(jwk) key = NULL;
	const char *why = "";
	int e = jwk_read(&key, buf_bytes(&binding->payload), &why);

	if (e < 0 || (!e && strcmp(key->thumbprint, c->key->thumbprint) == 0))
		return e;
	return answered(acme_problem(c, ACME_ERR_MALFORMED,
				     "the payload of externalAccountBinding is the key that signs this request"));
}

/* With the answer of ca_check_credential(), when the account may not go on. 0; 1: answered; negative. */
static int reply_outcome(struct acme_call *c, int e, const struct ca_credential_answer *a)
{
	if (e == CA_CALL_BUSY) {
		e = http_reply_retry_after(c->r, a->retry_after_s ? a->retry_after_s : ACME_POLL_S);
		return answered(e ? e : acme_problem_status(c, 503, ACME_ERR_RATE_LIMITED, "%s",
							    a->reason[0] ? a->reason : "the server is busy"));
	}
	if (e > 0)
		return answered(acme_problem(c, ACME_ERR_UNAUTHORIZED,
					     "the external account is not known, or its key is another one, or it "
					     "is not for this server any more"));
	return e;
}

static int ask(struct acme_call *c, const struct ca_credential_claim *claim, struct ca_credential_answer *a)
{
	int e;

	*a = (struct ca_credential_answer){ 0 };
	if (!acme_enter_wait(c))
		return CA_CALL_BUSY;
	e = ca_check_credential(c->acme->ca, claim, a);
	acme_leave_wait(c);
	return e;
}

static int bind_account(struct acme_call *c, const struct jws *binding)
{
	const struct ca_credential_claim claim = {
		.kind = CA_EVIDENCE_EAB,
		.name = binding->kid,
		.secret = buf_bytes(&binding->signature),
		.message = buf_bytes(&binding->input),
		.account = c->key->thumbprint,
		.endpoint = c->acme->endpoint,
		.source_address = c->q->peer_address,
	};
	struct ca_credential_answer a;
	int e = ask(c, &claim, &a);

	return reply_outcome(c, e, &a);
}

/* Kept as it was sent, for the account object. */
static int keep(struct acme_call *c, const cJSON *object, const struct jws *binding, struct acme_account *a)
{
	OWNED_BUF text = BUF_INIT(BINDING_MAX);
	struct json_writer w = { .out = &text };

	json_open(&w, NULL, '{');
	json_string(&w, "protected", json_get_string(object, "protected"));
	json_string(&w, "payload", json_get_string(object, "payload"));
	json_string(&w, "signature", json_get_string(object, "signature"));
	json_close(&w, '}');
	a->binding = buf_status(&text) ? NULL : arena_strdup(c->q->arena, buf_str(&text));
	a->external = arena_strdup(c->q->arena, binding->kid);
	return a->binding && a->external ? 0 : -ENOMEM;
}

int acme_binding_read(struct acme_call *c, struct acme_account *a)
{
	const cJSON *object = json_get(c->payload, "externalAccountBinding");
	OWNED(jws) binding = NULL;
	int e;

	if (!object && !c->acme->set.external_account_required)
		return 0;
	if (!object)
		return answered(acme_problem(c, ACME_ERR_EXTERNAL_ACCOUNT_REQUIRED,
					     "a new account needs an externalAccountBinding"));
	e = read_message(c, object, &binding);
	if (!e)
		e = check_key(c, binding);
	if (!e)
		e = bind_account(c, binding);
	return e ? e : keep(c, object, binding, a);
}

const struct ca_credential_claim *acme_binding_claim(struct acme_call *c)
{
	struct ca_credential_claim *claim = arena_alloc(c->q->arena, sizeof(*claim));

	if (claim)
		*claim = (struct ca_credential_claim){
			.kind = CA_EVIDENCE_EAB,
			.name = c->account.external,
			.account = c->account.first_thumbprint,
		};
	return claim;
}

int acme_binding_check_names(struct acme_call *c, const struct ca_name *names, size_t n, bool *outside)
{
	const struct ca_credential_claim claim = {
		.kind = CA_EVIDENCE_EAB,
		.name = c->account.external,
		.account = c->account.first_thumbprint,
		.endpoint = c->acme->endpoint,
		.source_address = c->q->peer_address,
		.names = names,
		.n_names = n,
	};
	struct ca_credential_answer a;
	int e = c->account.external ? ask(c, &claim, &a) : 0;

	for (size_t i = 0; i < n; i++)
		outside[i] = c->account.external && !e && ca_answer_is_outside(&a, i);
	return e ? reply_outcome(c, e, &a) : 0;
}
