/* keyChange (RFC 8555 7.3.5): a message in a message. The new key asks for the account, the account's key agrees.
 *
 * Orders, authorizations and certificates stay the account's, and the account stays the same one for the core.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "protocols/acme/acme_int.h"

#include <errno.h>

#include "core/base/log.h"
#include "core/base/own.h"

/* Every function here: 0; 1: answered; negative. */

static int answered(int e)
{
	return e ? e : 1;
}

static int read_message(struct acme_call *c, struct jws **inner)
{
	const char *why = "";
	int e = jws_parse(inner, buf_bytes(&c->jws->payload), &why);

	if (e == JWS_BAD_ALGORITHM)
		return answered(acme_problem(c, ACME_ERR_BAD_SIGNATURE_ALGORITHM, "inner message: %s", why));
	if (e == JWS_MALFORMED)
		return answered(acme_problem(c, ACME_ERR_MALFORMED, "inner message: %s", why));
	if (!e && !(*inner)->jwk)
		return answered(acme_problem(c, ACME_ERR_MALFORMED, "the inner message carries the new key: jwk"));
	if (!e && (*inner)->nonce)
		return answered(acme_problem(c, ACME_ERR_MALFORMED, "the inner message has no nonce"));
	if (!e && strcmp((*inner)->url, c->jws->url) != 0)
		return answered(acme_problem(c, ACME_ERR_MALFORMED, "the inner message has another url"));
	return e;
}

static int read_key(struct acme_call *c, const struct jws *inner, struct jwk **key)
{
	const char *why = "";
	int e = jwk_parse(key, inner->jwk, &why);

	if (e > 0)
		return answered(acme_problem(c, e == JWK_UNSUPPORTED ? ACME_ERR_BAD_PUBLIC_KEY : ACME_ERR_MALFORMED,
					     "new key: %s", why));
	if (!e)
		e = jws_verify(inner, *key, &why);
	if (e == JWS_BAD_ALGORITHM)
		return answered(acme_problem(c, ACME_ERR_BAD_SIGNATURE_ALGORITHM, "inner message: %s", why));
	return e > 0 ? answered(acme_problem(c, ACME_ERR_MALFORMED, "inner message: %s", why)) : e;
}

/* What the new key says: this account, and this key of it. */
static int check_claim(struct acme_call *c, const struct jws *inner)
{
	OWNED_JSON claim = NULL;
	OWNED(jwk) old = NULL;
	const char *why = "", *account;
	int e = json_parse(&claim, buf_bytes(&inner->payload), ACME_BODY_MAX);

	if (e == JSON_REFUSED)
		return answered(acme_problem(c, ACME_ERR_MALFORMED, "the inner payload is not a JSON object"));
	if (e)
		return e;
	account = json_get_string(claim, "account");
	if (!account || strcmp(account, c->jws->kid) != 0)
		return answered(acme_problem(c, ACME_ERR_MALFORMED,
					     "account of the inner payload is the URL of the account that signs"));
	e = jwk_parse(&old, json_get(claim, "oldKey"), &why);
	if (e < 0)
		return e;
	if (e || strcmp(old->thumbprint, c->account.thumbprint) != 0)
		return answered(acme_problem(c, ACME_ERR_MALFORMED,
					     "oldKey of the inner payload is the key of the account"));
	return 0;
}

/* The account that has the new key already, this one included. */
static int reply_conflict(struct acme_call *c, const struct jwk *key)
{
	struct acme_account other;
	char *url;
	int e = acme_store_find_account(c->acme->store, c->q->arena, key->thumbprint, &other);

	if (e)
		return e < 0 ? e : -EBUSY; /* it has just got another key */
	url = acme_url(c, "/account/%lld", (long long)other.id);
	e = url ? http_reply_header(c->r, "Location", "%s", url) : -ENOMEM;
	return e ? e : acme_problem_status(c, 409, ACME_ERR_MALFORMED, "an account has the new key already");
}

static int change(struct acme_call *c, const struct jwk *key)
{
	bool is_same = strcmp(key->thumbprint, c->account.thumbprint) == 0;
	int e = is_same ? ACME_STORE_EXISTS :
			  account_cache_set_key(c->acme->accounts, c->account.id, c->account.thumbprint, key->text,
						key->thumbprint);

	if (e == ACME_STORE_EXISTS)
		return reply_conflict(c, key);
	if (e == ACME_STORE_LATE)
		return acme_problem(c, ACME_ERR_UNAUTHORIZED,
				    "the account was deactivated or got another key at the same time");
	if (e)
		return e;
	log_info("acme.account.key-changed", "endpoint", c->acme->endpoint, "requester", acme_requester(c) ?: "-",
		 "from", c->account.thumbprint, "to", key->thumbprint, "address", c->q->peer_address);
	return acme_reply_account(c, &c->account, 200);
}

int acme_key_change(struct acme_call *c)
{
	OWNED(jws) inner = NULL;
	OWNED(jwk) key = NULL;
	int e = read_message(c, &inner);

	if (!e)
		e = read_key(c, inner, &key);
	if (!e)
		e = check_claim(c, inner);
	if (e)
		return e < 0 ? e : 0;
	return change(c, key);
}
