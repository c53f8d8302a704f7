/* Authorizations and challenges (RFC 8555 7.5).
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "protocols/acme/acme_int.h"

#include <errno.h>

#include "core/base/clock.h"
#include "core/base/digest.h"
#include "core/base/log.h"

static const enum acme_error validation_error[] = {
	[VALIDATION_PROBLEM_DNS] = ACME_ERR_DNS,
	[VALIDATION_PROBLEM_CONNECTION] = ACME_ERR_CONNECTION,
	[VALIDATION_PROBLEM_INCORRECT_RESPONSE] = ACME_ERR_INCORRECT_RESPONSE,
	[VALIDATION_PROBLEM_TLS] = ACME_ERR_TLS,
	[VALIDATION_PROBLEM_FORBIDDEN_ADDRESS] = ACME_ERR_CONNECTION,
};

static void write_challenge(struct json_writer *w, const struct acme_call *c, const struct acme_challenge *ch)
{
	char time[CLOCK_TEXT_SIZE];

	json_open(w, NULL, '{');
	json_string(w, "type", ch->type);
	json_stringf(w, "url", "%s%s/challenge/%s", c->q->base_url, c->acme->path, ch->name);
	json_string(w, "status", acme_status_word(ch->status));
	json_string(w, "token", ch->token);
	if (ch->validated_s)
		json_string(w, "validated", clock_print_s(ch->validated_s, time));
	json_raw(w, "error", ch->error);
	json_close(w, '}');
}

static int reply_authz(struct acme_call *c, const struct acme_authz *a)
{
	OWNED_BUF body = BUF_INIT(ACME_DOCUMENT_MAX);
	struct json_writer w = { .out = &body };
	char time[CLOCK_TEXT_SIZE];
	int e = a->status == ACME_PENDING ? http_reply_retry_after(c->r, ACME_POLL_S) : 0;

	if (e)
		return e;
	json_open(&w, NULL, '{');
	json_string(&w, "status", acme_status_word(a->status));
	json_string(&w, "expires", clock_print_s(a->expires_s, time));
	json_open(&w, "identifier", '{');
	json_string(&w, "type", acme_identifier_type(a->kind));
	json_string(&w, "value", a->value);
	json_close(&w, '}');
	json_open(&w, "challenges", '[');
	write_challenge(&w, c, &a->challenge);
	json_close(&w, ']');
	json_close(&w, '}');
	return acme_reply_json(c, 200, &body);
}

/* RFC 8555 7.5.1: the challenge links up to its authorization. */
static int reply_challenge(struct acme_call *c, const struct acme_authz *a)
{
	OWNED_BUF body = BUF_INIT(ACME_DOCUMENT_MAX);
	struct json_writer w = { .out = &body };
	char *up = acme_url(c, "/authz/%s", a->name), *self = acme_url(c, "/challenge/%s", a->challenge.name);
	int e = up && self ? http_reply_header(c->r, "Link", "<%s>;rel=\"up\"", up) : -ENOMEM;

	if (!e)
		e = http_reply_header(c->r, "Location", "%s", self);
	if (!e && a->status == ACME_PENDING)
		e = http_reply_retry_after(c->r, ACME_POLL_S);
	if (e)
		return e;
	write_challenge(&w, c, &a->challenge);
	return acme_reply_json(c, 200, &body);
}

/* The job's key. Several endpoints share the validator, so it comes from the random name, not from a row number. */
static int job_key(const struct acme_challenge *ch, uint64_t *key)
{
	uint8_t digest[SHA256_SIZE];
	int e = digest_sha256(bytes_of_str(ch->name), digest);

	memcpy(key, digest, sizeof(*key));
	return e;
}

/* The account, whatever key it has, told apart from those of other endpoints. */
static int job_owner(const struct acme_call *c, uint64_t *owner)
{
	struct bytes pieces[] = { bytes_of_str(c->acme->endpoint), bytes_of_str(c->account.first_thumbprint) };
	uint8_t digest[SHA256_SIZE];
	int e = digest_sha256_pieces(pieces, 2, digest);

	memcpy(owner, digest, sizeof(*owner));
	return e;
}

/* Ask the validator, waiting only if there is room to wait. 0, VALIDATION_RUNNING, VALIDATION_BUSY, negative. */
static int check(struct acme_call *c, const struct acme_authz *a, unsigned wait_ms, struct validation_result *out)
{
	const struct proto_waits *waits = c->acme->waits;
	struct validation what = {
		.kind = VALIDATION_HTTP_01,
		.dns_name = a->kind == CA_NAME_DNS ? a->value : NULL,
		.ip_address = a->kind == CA_NAME_IP ? a->value : NULL,
		.token = a->challenge.token,
		.key_authorization = arena_printf(c->q->arena, "%s.%s", a->challenge.token, c->account.thumbprint),
	};
	bool entered;
	int e = what.key_authorization ? job_key(&a->challenge, &what.key) : -ENOMEM;

	if (!e)
		e = job_owner(c, &what.owner);
	if (e)
		return e;
	entered = wait_ms > 0 && waits && waits->enter(waits->state);
	e = c->acme->validator->check(c->acme->validator->state, &what, entered ? wait_ms : 0, out);
	if (entered)
		waits->leave(waits->state);
	return e;
}

/* What came of a check, as the new state of challenge and authorization. */
static int apply(struct acme_call *c, struct acme_authz *a, const struct validation_result *result)
{
	struct acme_challenge *ch = &a->challenge;
	struct arena *arena = c->q->arena;

	ch->address = result->address[0] ? arena_strdup(arena, result->address) : NULL;
	if (result->problem == VALIDATION_PROBLEM_NONE) {
		a->status = ch->status = ACME_VALID;
		ch->validated_s = c->now_s;
		a->expires_s = c->now_s + c->acme->set.authorization_lifetime_s;
		return 0;
	}
	a->status = ch->status = ACME_INVALID;
	ch->error = acme_problem_text(arena, validation_error[result->problem], result->detail);
	log_info("acme.validation.failed", "endpoint", c->acme->endpoint, "identifier", a->value, "detail",
		 result->detail);
	return ch->error ? 0 : -ENOMEM;
}

/* Begin or continue the check of a pending authorization's challenge. */
static int advance(struct acme_call *c, struct acme_authz *a, unsigned wait_ms)
{
	struct validation_result result = { 0 };
	int e = check(c, a, wait_ms, &result);

	if (e < 0)
		return e;
	if (e > 0 && a->challenge.status == ACME_PROCESSING)
		return 0; /* nothing new */
	if (e > 0)
		a->challenge.status = ACME_PROCESSING;
	else
		e = apply(c, a, &result);
	return e < 0 ? e : acme_store_set_challenge(c->acme->store, a);
}

int acme_authz_refresh(struct acme_call *c, struct acme_authz *a, unsigned wait_ms)
{
	if (a->status != ACME_PENDING || a->challenge.status != ACME_PROCESSING)
		return 0;
	return advance(c, a, wait_ms);
}

/* RFC 8555 7.5.2. */
static int deactivate(struct acme_call *c, struct acme_authz *a)
{
	int e;

	if (a->status != ACME_PENDING && a->status != ACME_VALID)
		return acme_problem(c, ACME_ERR_MALFORMED,
				    "only a pending or valid authorization can be deactivated");
	a->status = ACME_DEACTIVATED;
	e = acme_store_deactivate_authz(c->acme->store, a);
	return e ? e : reply_authz(c, a);
}

int acme_authz(struct acme_call *c)
{
	const char *status = json_get_string(c->payload, "status");
	struct acme_authz a;
	int e = acme_store_get_authz(c->acme->store, c->q->arena, c->q->params[0], c->now_s, &a);

	if (e < 0)
		return e;
	if (e == ACME_STORE_NONE || a.account != c->account.id)
		return acme_not_found(c);
	if (c->payload && (!status || strcmp(status, "deactivated") != 0))
		return acme_problem(c, ACME_ERR_MALFORMED, "an authorization can only be read or deactivated");
	if (c->payload)
		return deactivate(c, &a);
	e = acme_authz_refresh(c, &a, 0);
	return e ? e : reply_authz(c, &a);
}

int acme_name_of(struct acme_call *c, const struct acme_authz *a, struct ca_name *out)
{
	*out = (struct ca_name){
		.kind = a->kind,
		.value = a->value,
		.evidence = CA_EVIDENCE_ACME_AUTHORIZATION,
		.evidence_text = arena_printf(c->q->arena, "authz %lld %s %s", (long long)a->id, a->challenge.type,
					      a->challenge.address ?: "-"),
	};
	return out->evidence_text ? 0 : -ENOMEM;
}

/* An object as payload answers the challenge, whatever its members; an empty payload reads it. */
int acme_challenge(struct acme_call *c)
{
	struct acme_authz a;
	int e = acme_store_get_challenge(c->acme->store, c->q->arena, c->q->params[0], c->now_s, &a);

	if (e < 0)
		return e;
	if (e == ACME_STORE_NONE || a.account != c->account.id)
		return acme_not_found(c);
	if (a.status == ACME_PENDING && c->payload) {
		e = acme_limit_account(c, c->acme->challenge_limit, 1, "challenges");
		if (e)
			return e < 0 ? e : 0;
		e = advance(c, &a, PROTO_WAIT_VALIDATION_MS);
	} else {
		e = acme_authz_refresh(c, &a, 0);
	}
	return e ? e : reply_challenge(c, &a);
}
