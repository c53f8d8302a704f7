/* Who asks (RFC 7030 3.2.3).
 *
 * Which of several things that a client shows counts is decided before any of them is looked at: an Authorization
 * header names somebody on purpose, and who is refused by it is refused.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "protocols/est/est_int.h"

#include <errno.h>
#include <strings.h>

#include "core/base/base64.h"

#define USER_PASS_MAX 2048

/* What the client showed, by kind; of the kind NONE where it showed nothing. */
struct shown {
	struct ca_credential_claim claims[EST_AUTH_KINDS_];
};

static bool is_printable(struct bytes text)
{
	for (size_t i = 0; i < text.len; i++)
		if (text.ptr[i] < ' ' || text.ptr[i] > '~')
			return false;
	return true;
}

/* RFC 7617 2: the user ends at the first colon. What is malformed is nobody's, like a wrong password. */
static int read_basic(struct est_call *c, const char *text, struct ca_credential_claim *out)
{
	OWNED_BUF pair = BUF_INIT(USER_PASS_MAX);
	int e = base64_decode(&pair, bytes_of_str(text));
	struct bytes octets = buf_bytes(&pair);
	const uint8_t *colon = e || !octets.len ? NULL : memchr(octets.ptr, ':', octets.len);
	const char *user;
	size_t n;

	if (e == -ENOMEM)
		return e;
	*out = (struct ca_credential_claim){ .kind = CA_EVIDENCE_USER, .name = "" };
	if (!colon || !is_printable(octets))
		return 0;
	n = (size_t)(colon - octets.ptr);
	user = arena_strndup(c->q->arena, bytes_of(octets.ptr, n));
	out->secret = arena_copy(c->q->arena, bytes_of(colon + 1, octets.len - n - 1));
	if (!user || (!out->secret.ptr && octets.len > n + 1))
		return -ENOMEM;
	out->name = user;
	return 0;
}

static int read_bearer(struct est_call *c, const char *text, struct ca_credential_claim *out)
{
	(void)c;
	*out = (struct ca_credential_claim){ .kind = CA_EVIDENCE_TOKEN, .secret = bytes_of_str(text) };
	return 0;
}

static const struct scheme {
	enum est_auth kind;
	const char *name;
	int (*read)(struct est_call *c, const char *text, struct ca_credential_claim *out);
} schemes[] = {
	/* In the order in which they are offered: some clients read the first one only. */
	{ EST_AUTH_BASIC, "Basic", read_basic },
	{ EST_AUTH_TOKEN, "Bearer", read_bearer },
};
#define N_SCHEMES (sizeof(schemes) / sizeof(*schemes))

static size_t count_headers(const struct http_request *q, const char *name)
{
	size_t n = 0;

	for (size_t i = 0; i < q->n_headers; i++)
		n += strcmp(q->headers[i].name, name) == 0;
	return n;
}

static int read_authorization(struct est_call *c, struct shown *shown)
{
	const char *value = http_request_header(c->q, "authorization");
	size_t n = value ? strcspn(value, " ") : 0;

	if (count_headers(c->q, "authorization") > 1)
		return est_refuse(c, 400, "there is more than one Authorization header");
	for (size_t i = 0; value && i < N_SCHEMES; i++) {
		const struct scheme *s = &schemes[i];

		if (c->est->auth[s->kind] && n == strlen(s->name) && strncasecmp(value, s->name, n) == 0)
			return s->read(c, value + n + strspn(value + n, " "), &shown->claims[s->kind]);
	}
	return 0;
}

/* A token that stands in the CSR, where a client can put nothing else. */
static void read_secret(struct est_call *c, struct shown *shown)
{
	struct ca_credential_claim *token = &shown->claims[EST_AUTH_TOKEN];

	if (c->est->challenge == EST_CHALLENGE_SECRET && c->csr.challenge.ptr && !token->kind)
		*token = (struct ca_credential_claim){ .kind = CA_EVIDENCE_TOKEN, .secret = c->csr.challenge };
}

/* RFC 7235 4.1. Without a body: there are clients that fail on one. */
static int challenge(struct est_call *c)
{
	int e = 0;

	for (size_t i = 0; !e && i < N_SCHEMES; i++)
		if (c->est->auth[schemes[i].kind])
			e = http_reply_header(c->r, "WWW-Authenticate", "%s realm=\"%s\"", schemes[i].name,
					      c->est->endpoint);
	c->r->status = 401;
	return e ? e : EST_ANSWERED;
}

int est_refuse_client(struct est_call *c, const char *reason)
{
	(void)reason;
	atomic_fetch_add(&c->est->n_unauthenticated, 1);
	return challenge(c);
}

/* Does the core take it? 0; CA_CALL_REFUSED with the reason in `answer`; EST_ANSWERED; negative. */
static int check(struct est_call *c, struct ca_credential_claim *claim, struct ca_credential_answer *answer)
{
	int e;

	claim->endpoint = c->est->endpoint;
	claim->source_address = c->q->peer_address;
	if (!est_enter_wait(c))
		return est_refuse_later(c, 503, 2, "too many requests are waiting; try again");
	e = ca_check_credential(c->est->ca, claim, answer);
	est_leave_wait(c);
	claim->endpoint = claim->source_address = NULL;
	return e == CA_CALL_BUSY ? est_refuse_later(c, 503, answer->retry_after_s, answer->reason) : e;
}

/* Who the claim says that he is, as the core calls him. */
static int take(struct est_call *c, const struct ca_credential_claim *claim, const struct ca_credential_answer *answer)
{
	c->client.claim = *claim;
	c->client.requester = arena_strdup(c->q->arena, answer->requester);
	return c->client.requester ? 0 : -ENOMEM;
}

static int check_any(struct est_call *c, struct shown *shown)
{
	struct ca_credential_answer answer = { 0 };
	int e;

	for (size_t kind = 0; kind < EST_AUTH_KINDS_; kind++) {
		if (!shown->claims[kind].kind)
			continue;
		e = check(c, &shown->claims[kind], &answer);
		if (e == CA_CALL_REFUSED)
			break;
		return e ? e : take(c, &shown->claims[kind], &answer);
	}
	return est_refuse_client(c, answer.reason);
}

int est_authenticate(struct est_call *c)
{
	struct shown shown = { 0 };
	int e = read_authorization(c, &shown);

	if (e)
		return e;
	read_secret(c, &shown);
	return check_any(c, &shown);
}
