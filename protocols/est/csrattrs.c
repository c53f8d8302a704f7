/* CSR attributes (RFC 7030 4.5): what the profile demands of a request, told beforehand. What is told is what the core
 * holds each request against, and nothing else.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "protocols/est/est_int.h"

#define CSRATTRS_MAX ((size_t)16 << 10)

/* RFC 7030 3.5: a server that wants requests to be linked says so by the attribute challengePassword, and clients put
 * the value of their connection there. So nothing else may be asked for in this way. */
static bool demands_link(const struct est *est)
{
	return est->challenge == EST_CHALLENGE_LINKING && est->pop == EST_POP_REQUIRE;
}

/* Anybody may ask (RFC 7030 4.5.1). Nothing to tell is 204 (4.5.2). */
int est_csrattrs(struct est_call *c)
{
	struct ca_request_form form = { 0 };
	OWNED_BUF der = BUF_INIT(CSRATTRS_MAX);
	int e;

	if (!est_enter_wait(c))
		return est_refuse_later(c, 503, 2, "the CA does not answer at the moment");
	e = ca_get_request_form(c->est->ca, c->est->endpoint, c->est->profile, c->q->arena, &form);
	est_leave_wait(c);
	if (e == CA_CALL_BUSY)
		return est_refuse_later(c, 503, 2, "the CA does not answer at the moment");
	if (e)
		return e < 0 ? e : est_refuse(c, 404, "the CA does not know this endpoint");
	e = est_csrattrs_write(&form, demands_link(c->est), c->est->csrattrs, &der);
	if (e)
		return e;
	atomic_fetch_add(&c->est->n_csrattrs, 1);
	if (der.len)
		return est_reply_base64(c, 200, "application/csrattrs", buf_bytes(&der));
	c->r->status = 204;
	return 0;
}
