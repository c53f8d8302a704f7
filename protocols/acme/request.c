/* The frame around every request: message, nonce, URL, key, signature; and the headers of every answer.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "protocols/acme/acme_int.h"

#include <errno.h>
#include <stdio.h>

#include "core/base/base64.h"
#include "core/base/clock.h"
#include "core/base/digest.h"
#include "core/base/log.h"
#include "core/base/own.h"

/* Returned by the steps of acme_open(): the reply is filled, the action is not called. */
#define ANSWERED 1

#define RETRY_FAILED_S 30

char *acme_url(const struct acme_call *c, const char *format, ...)
{
	OWNED_BUF url = BUF_INIT(2048);
	va_list args;

	buf_append_str(&url, c->q->base_url);
	buf_append_str(&url, c->acme->path);
	va_start(args, format);
	buf_vprintf(&url, format, args);
	va_end(args);
	return buf_status(&url) ? NULL : arena_strdup(c->q->arena, buf_str(&url));
}

bool acme_enter_wait(const struct acme_call *c)
{
	const struct proto_waits *waits = c->acme->waits;

	return !waits || waits->enter(waits->state);
}

void acme_leave_wait(const struct acme_call *c)
{
	const struct proto_waits *waits = c->acme->waits;

	if (waits)
		waits->leave(waits->state);
}

/* `size`: of the text, with its NUL. */
static int encode(struct bytes octets, char *out, size_t size)
{
	OWNED_BUF text = BUF_INIT(size - 1);
	int e = base64url_encode(&text, octets);

	if (!e)
		memcpy(out, buf_str(&text), size);
	return e;
}

int acme_random_token(char out[static ACME_TOKEN_SIZE])
{
	uint8_t octets[16];
	int e = random_octets(octets, sizeof(octets));

	return e ? e : encode(bytes_of(octets, sizeof(octets)), out, ACME_TOKEN_SIZE);
}

int acme_new_name(char out[static ACME_ORDER_NAME_SIZE])
{
	uint64_t now_ms = (uint64_t)clock_wall_ms();
	uint8_t octets[ACME_NAME_CLOCK + 12];
	int e = random_octets(octets + ACME_NAME_CLOCK, sizeof(octets) - ACME_NAME_CLOCK);

	for (int i = 0; i < ACME_NAME_CLOCK; i++)
		octets[i] = (uint8_t)(now_ms >> 8 * (ACME_NAME_CLOCK - 1 - i));
	return e ? e : encode(bytes_of(octets, sizeof(octets)), out, ACME_ORDER_NAME_SIZE);
}

int acme_reply_json(struct acme_call *c, int status, const struct buf *document)
{
	int e = buf_status(document);

	return e ? e : http_reply_body(c->r, status, "application/json", buf_bytes(document));
}

/* A problem is an answer like any other; the steps that follow are skipped. */
static int answered(int e)
{
	return e ? e : ANSWERED;
}

static int admit(struct acme_call *c, struct limit *limit, const char *what)
{
	unsigned retry_after_s = 0;
	int e;

	if (limit_take(limit, c->q->peer_address, 1, &retry_after_s))
		return 0;
	e = http_reply_retry_after(c->r, retry_after_s);
	return e ? e : answered(acme_problem(c, ACME_ERR_RATE_LIMITED, "too many %s for this address", what));
}

static int read_message(struct acme_call *c)
{
	const char *why = "";
	int e;

	if (!http_request_has_type(c->q, "application/jose+json"))
		return answered(acme_problem_status(c, 415, ACME_ERR_MALFORMED,
						    "the Content-Type of a POST is application/jose+json"));
	e = jws_parse(&c->jws, c->q->body, &why);
	if (e == JWS_BAD_ALGORITHM)
		return answered(acme_problem(c, ACME_ERR_BAD_SIGNATURE_ALGORITHM, "%s", why));
	return e == JWS_MALFORMED ? answered(acme_problem(c, ACME_ERR_MALFORMED, "%s", why)) : e;
}

/* RFC 8555 6.5.2. */
static int spend_nonce(struct acme_call *c)
{
	int e = c->jws->nonce ? nonces_redeem(c->acme->nonces, c->jws->nonce) : NONCE_REFUSED;

	if (e == NONCE_NO_NONCE)
		return answered(acme_problem(c, ACME_ERR_MALFORMED, "the nonce is not base64url"));
	if (e == NONCE_REFUSED)
		return answered(acme_problem(c, ACME_ERR_BAD_NONCE,
					     "the nonce is not good (any more); repeat with the one of this answer"));
	return e;
}

/* RFC 8555 6.4: compared octet for octet. */
static int check_url(struct acme_call *c)
{
	const struct http_request *q = c->q;
	const char *expected = q->query ? arena_printf(q->arena, "%s%s?%s", q->base_url, q->path, q->query) :
					  arena_printf(q->arena, "%s%s", q->base_url, q->path);

	if (!expected)
		return -ENOMEM;
	if (strcmp(expected, c->jws->url) == 0)
		return 0;
	return answered(acme_problem(c, ACME_ERR_UNAUTHORIZED,
				     "the url of the protected header is not the URL of this request; "
				     "URLs of this server begin with %s%s", q->base_url, c->acme->path));
}

/* The number of a kid that is one of our account URLs; 0 when it is not. */
static int64_t account_of_kid(const struct acme_call *c, const char *kid)
{
	const char *prefix = acme_url(c, "/account/");
	size_t n = prefix ? strlen(prefix) : 0;
	int64_t id = 0;

	if (n == 0 || strncmp(kid, prefix, n) != 0 || kid[n] < '1' || kid[n] > '9' || strlen(kid + n) > 18)
		return 0;
	for (const char *p = kid + n; *p; p++) {
		if (*p < '0' || *p > '9')
			return 0;
		id = id * 10 + (*p - '0');
	}
	return id;
}

static int load_account(struct acme_call *c)
{
	int64_t id = account_of_kid(c, c->jws->kid);
	int e = id ? account_cache_get(c->acme->accounts, id, &c->known) : ACME_STORE_NONE;

	if (e == ACME_STORE_NONE)
		return answered(acme_problem(c, ACME_ERR_ACCOUNT_DOES_NOT_EXIST,
					     "the kid of the protected header is not an account of this server"));
	if (e)
		return e;
	c->account = c->known->row;
	c->key = c->known->key;
	return 0;
}

static int find_key(struct acme_call *c, enum acme_signer signer)
{
	const char *why = "";
	int e;

	if (signer == ACME_BY_ACCOUNT || (signer == ACME_BY_EITHER && c->jws->kid))
		return c->jws->kid ? load_account(c) :
				     answered(acme_problem(c, ACME_ERR_MALFORMED,
							   "this request is signed with an account: kid, not jwk"));
	if (!c->jws->jwk)
		return answered(acme_problem(c, ACME_ERR_MALFORMED, "this request carries its key: jwk, not kid"));
	e = jwk_parse(&c->sent_key, c->jws->jwk, &why);
	c->key = c->sent_key;
	if (e == JWK_UNSUPPORTED)
		return answered(acme_problem(c, ACME_ERR_BAD_PUBLIC_KEY, "%s", why));
	return e == JWK_MALFORMED ? answered(acme_problem(c, ACME_ERR_MALFORMED, "%s", why)) : e;
}

static int verify(struct acme_call *c)
{
	const char *why = "";
	int e = jws_verify(c->jws, c->key, &why);

	if (e == JWS_BAD_ALGORITHM)
		return answered(acme_problem(c, ACME_ERR_BAD_SIGNATURE_ALGORITHM, "%s", why));
	if (e > 0)
		return answered(acme_problem(c, ACME_ERR_MALFORMED, "%s", why));
	if (!e && c->known && c->account.status != ACME_VALID)
		return answered(acme_problem_status(c, 401, ACME_ERR_UNAUTHORIZED, "the account is deactivated"));
	return e;
}

static int read_payload(struct acme_call *c)
{
	int e;

	if (c->jws->payload.len == 0)
		return 0;
	e = json_parse(&c->payload, buf_bytes(&c->jws->payload), ACME_BODY_MAX);
	if (e == JSON_REFUSED || (!e && !cJSON_IsObject(c->payload)))
		return answered(acme_problem(c, ACME_ERR_MALFORMED, "the payload is not a JSON object"));
	return e;
}

/* Everything up to the action: 0, ANSWERED, negative. */
static int open_message(struct acme_call *c, enum acme_signer signer)
{
	int e = read_message(c);

	if (!e)
		e = spend_nonce(c);
	if (!e)
		e = check_url(c);
	if (!e)
		e = find_key(c, signer);
	if (!e)
		e = verify(c);
	if (!e)
		e = read_payload(c);
	return e;
}

/* What every answer carries (RFC 8555 6.1, 6.5.1, 7.1). */
static int add_headers(struct acme_call *c, bool with_nonce)
{
	const char *directory = acme_url(c, "/directory");
	char nonce[NONCE_SIZE];
	int e = directory ? 0 : -ENOMEM;

	if (!e && with_nonce)
		e = nonces_issue(c->acme->nonces, nonce);
	if (!e && with_nonce)
		e = http_reply_header(c->r, "Replay-Nonce", "%s", nonce);
	if (!e && strcmp(c->q->path + strlen(c->acme->path), "/directory") != 0)
		e = http_reply_header(c->r, "Link", "<%s>;rel=\"index\"", directory);
	if (!e)
		e = http_reply_header(c->r, "Access-Control-Allow-Origin", "*");
	if (!e)
		e = http_reply_header(c->r, "Access-Control-Expose-Headers",
				      "Link, Location, Replay-Nonce, Retry-After");
	return e;
}

/* An action that failed: whatever it had begun to answer is dropped. A disk may have room again soon. */
static int reply_failure(struct acme_call *c, int e)
{
	bool passes = e == -ENOSPC || e == -EBUSY || e == -ECANCELED;

	log_error("acme.failed", "endpoint", c->acme->endpoint, "path", c->q->path, "error", strerror(-e));
	c->r->n_headers = 0;
	e = passes ? http_reply_retry_after(c->r, RETRY_FAILED_S) : 0;
	return e ? e : acme_problem_status(c, passes ? 503 : 500, ACME_ERR_SERVER_INTERNAL,
					   "the server failed; nothing is known to be wrong with the request, "
					   "try again later");
}

static int finish(struct acme_call *c, int e, bool with_nonce)
{
	if (e < 0)
		e = reply_failure(c, e);
	else
		e = 0;
	if (!e)
		e = add_headers(c, with_nonce);
	cJSON_Delete(c->payload);
	jwk_drop(&c->sent_key);
	known_account_unref(&c->known);
	jws_drop(&c->jws);
	return e;
}

int acme_post(struct acme *acme, const struct http_request *q, struct http_reply *r, enum acme_signer signer,
	      acme_action *action)
{
	return acme_post_limited(acme, q, r, signer, action, NULL, NULL);
}

int acme_post_limited(struct acme *acme, const struct http_request *q, struct http_reply *r, enum acme_signer signer,
		      acme_action *action, struct limit *limit, const char *what)
{
	struct acme_call c = { .acme = acme, .q = q, .r = r, .now_s = clock_wall_s() };
	int e = limit ? admit(&c, limit, what) : 0;

	if (!e)
		e = open_message(&c, signer);
	return finish(&c, e ? e : action(&c), true);
}

int acme_post_as_get(struct acme *acme, const struct http_request *q, struct http_reply *r, acme_action *action)
{
	struct acme_call c = { .acme = acme, .q = q, .r = r, .now_s = clock_wall_s() };
	int e = open_message(&c, ACME_BY_ACCOUNT);

	if (!e && c.jws->payload.len > 0)
		e = answered(acme_problem(&c, ACME_ERR_MALFORMED, "this resource is read with an empty payload"));
	return finish(&c, e ? e : action(&c), true);
}

int acme_get(struct acme *acme, const struct http_request *q, struct http_reply *r, acme_action *action)
{
	struct acme_call c = { .acme = acme, .q = q, .r = r, .now_s = clock_wall_s() };

	return finish(&c, action(&c), false);
}
