/* Who asks (RFC 7030 3.2.3).
 *
 * Which of several things that a client shows counts is decided before any of them is looked at. An Authorization
 * header names somebody on purpose, and comes before a certificate, which a TLS library may send to everybody; but
 * what is renewed is the certificate, so there it comes first. Who is refused by what counts is refused.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "protocols/est/est_int.h"

#include <errno.h>

#include "protocols/authorization.h"

#define USER_MAX 64

/* What the client showed, by kind; of the kind NONE where it showed nothing. */
struct shown {
	struct ca_credential_claim claims[EST_AUTH_KINDS_];
};

static unsigned schemes_of(const struct est *est)
{
	return (est->auth[EST_AUTH_BASIC] ? AUTHORIZATION_BASIC : 0u) |
	       (est->auth[EST_AUTH_TOKEN] ? AUTHORIZATION_BEARER : 0u);
}

static int read_authorization(struct est_call *c, struct shown *shown)
{
	struct ca_credential_claim claim;
	int e = authorization_read(c->q, schemes_of(c->est), &claim);

	if (e == AUTHORIZATION_TWICE)
		return est_refuse(c, 400, "there is more than one Authorization header");
	if (e)
		return e;
	if (claim.kind)
		shown->claims[claim.kind == CA_EVIDENCE_USER ? EST_AUTH_BASIC : EST_AUTH_TOKEN] = claim;
	return 0;
}

/* A token that stands in the CSR, where a client can put nothing else. */
static void read_secret(struct est_call *c, struct shown *shown)
{
	struct ca_credential_claim *token = &shown->claims[EST_AUTH_TOKEN];

	if (c->est->challenge == EST_CHALLENGE_SECRET && c->csr.challenge.ptr && !token->kind)
		*token = (struct ca_credential_claim){ .kind = CA_EVIDENCE_TOKEN, .secret = c->csr.challenge };
}

static void read_certificate(struct est_call *c, struct shown *shown)
{
	if (c->est->auth[EST_AUTH_CERTIFICATE] && c->q->peer_certificate.len)
		shown->claims[EST_AUTH_CERTIFICATE] = (struct ca_credential_claim){
			.kind = CA_EVIDENCE_CERTIFICATE,
			.certificate = c->q->peer_certificate,
			.chain = c->q->peer_chain,
			.use = c->operation == EST_SIMPLEREENROLL ? CA_CERTIFICATE_RENEW : CA_CERTIFICATE_ENROL,
		};
}

/* RFC 9110 15.5.2: a 401 offers something. Without a body: there are clients that fail on one. Where nothing but a
 * certificate helps it is 403. */
int est_refuse_client(struct est_call *c, const char *reason)
{
	unsigned schemes = schemes_of(c->est);
	int e = authorization_offer(c->r, schemes, c->est->endpoint);

	atomic_fetch_add(&c->est->n_unauthenticated, 1);
	c->r->status = 401;
	if (e || schemes)
		return e ? e : EST_ANSWERED;
	e = http_reply_text(c->r, 403, reason);
	return e ? e : EST_ANSWERED;
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
	if (!e && answer->trust)
		c->client.trust = answer->trust;
	return e == CA_CALL_BUSY ? est_refuse_later(c, 503, answer->retry_after_s, answer->reason) : e;
}

/* Which kind counts, in that order. */
static const enum est_auth orders[][EST_AUTH_KINDS_] = {
	[EST_SIMPLEENROLL] = { EST_AUTH_BASIC, EST_AUTH_TOKEN, EST_AUTH_CERTIFICATE },
	[EST_SIMPLEREENROLL] = { EST_AUTH_CERTIFICATE, EST_AUTH_BASIC, EST_AUTH_TOKEN },
	[EST_SERVERKEYGEN] = { EST_AUTH_BASIC, EST_AUTH_TOKEN, EST_AUTH_CERTIFICATE },
};

/* Who the claim says that he is, as the core calls him. */
static int take(struct est_call *c, const struct ca_credential_claim *claim, const struct ca_credential_answer *answer)
{
	if (c->client.requester) {
		c->client.also = *claim;
		return 0;
	}
	c->client.claim = *claim;
	c->client.requester = arena_strdup(c->q->arena, answer->requester);
	return c->client.requester ? 0 : -ENOMEM;
}

static const char *missing(enum est_auth kind)
{
	static const char *const texts[] = {
		[EST_AUTH_BASIC] = "a user and a password are needed here",
		[EST_AUTH_TOKEN] = "a token is needed here",
		[EST_AUTH_CERTIFICATE] = "a TLS client certificate is needed here",
	};

	return texts[kind];
}

/* Who comes with a password is called by his name, so that a submission can be made before the core knows him; and it
 * is refused before it leaves anything. What is no name goes to the core as it is. Where a key is made first, whoever
 * asks for it is known first. */
static bool can_wait(const struct est_call *c, const struct ca_credential_claim *claim)
{
	return claim->kind == CA_EVIDENCE_USER && !c->est->needs_all && c->operation != EST_SERVERKEYGEN &&
	       *claim->name && strlen(claim->name) <= USER_MAX && !strchr(claim->name, '"');
}

static int confirm(struct est_call *c)
{
	struct ca_credential_answer answer = { 0 };
	int e;

	c->client.confirm = NULL;
	e = check(c, &c->client.claim, &answer);
	return e == CA_CALL_REFUSED ? est_refuse_client(c, answer.reason) : e;
}

static int take_unconfirmed(struct est_call *c, const struct ca_credential_claim *claim)
{
	c->client.claim = *claim;
	c->client.confirm = confirm;
	c->client.requester = arena_printf(c->q->arena, "est:user:%s", claim->name);
	return c->client.requester ? 0 : -ENOMEM;
}

/* One of those that are shown, or each that is configured. */
static int check_shown(struct est_call *c, struct shown *shown)
{
	const enum est_auth *order = orders[c->operation];
	struct ca_credential_answer answer;
	int e;

	for (size_t i = 0; i < EST_AUTH_KINDS_; i++) {
		struct ca_credential_claim *claim = &shown->claims[order[i]];

		if (!claim->kind && c->est->needs_all && c->est->auth[order[i]])
			return est_refuse_client(c, missing(order[i]));
		if (!claim->kind)
			continue;
		if (can_wait(c, claim))
			return take_unconfirmed(c, claim);
		answer = (struct ca_credential_answer){ 0 };
		e = check(c, claim, &answer);
		if (e == CA_CALL_REFUSED)
			return est_refuse_client(c, answer.reason);
		if (!e)
			e = take(c, claim, &answer);
		if (e || !c->est->needs_all)
			return e;
	}
	return c->client.requester ? 0 : est_refuse_client(c, missing(EST_AUTH_CERTIFICATE));
}

int est_authenticate(struct est_call *c)
{
	struct shown shown = { 0 };
	int e = read_authorization(c, &shown);

	if (e)
		return e;
	read_secret(c, &shown);
	read_certificate(c, &shown);
	return check_shown(c, &shown);
}
