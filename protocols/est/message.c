/* Bodies of requests and replies (RFC 8951 3).
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "protocols/est/est_int.h"

#include <errno.h>
#include <stdio.h>

#include "core/base/log.h"

int est_read_body(struct est_call *c, const char *type, struct bytes *der)
{
	OWNED_BUF octets = BUF_INIT(CA_REQUEST_MAX);
	char text[128];
	int e;

	if (!http_request_has_type(c->q, type)) {
		snprintf(text, sizeof(text), "the Content-Type of this request has to be %s", type);
		return est_refuse(c, 415, text);
	}
	e = est_base64_read(c->q->body, &octets);
	if (e == -EINVAL)
		return est_refuse(c, 400, "the body is not base64 (RFC 8951 3): neither DER nor PEM armour goes in it");
	if (e)
		return e;
	if (octets.len == 0)
		return est_refuse(c, 400, "the body is empty");
	*der = arena_copy(c->q->arena, buf_bytes(&octets));
	return der->ptr ? 0 : -ENOMEM;
}

/* Clients that break lines read lines; the one that reads none sends none, and no User-Agent with a GET. */
bool est_wants_lines(const struct est_call *c)
{
	struct bytes body = c->q->body;

	if (c->est->base64 != EST_BASE64_AUTO)
		return c->est->base64 == EST_BASE64_LINES;
	if (body.len)
		return memchr(body.ptr, '\n', body.len) || memchr(body.ptr, '\r', body.len);
	return http_request_header(c->q, "user-agent") != NULL;
}

int est_base64_write(const struct est_call *c, struct bytes der, struct buf *out)
{
	return est_text_write(der, est_wants_lines(c), out);
}

int est_reply_base64(struct est_call *c, int status, const char *type, struct bytes der)
{
	int e = http_reply_body(c->r, status, type, bytes_of(NULL, 0));

	if (!e)
		e = http_reply_header(c->r, "Content-Transfer-Encoding", "base64");
	return e ? e : est_base64_write(c, der, &c->r->body);
}

/* Many clients print the status at best. Only of those who may ask, and not of what comes later: nobody else may fill
 * the disk with it. */
static void tell(const struct est_call *c, int status, const char *text)
{
	if (c->client.requester && status != 503)
		log_info("est.refused", "endpoint", c->est->endpoint, "from", c->q->peer_address, "requester",
			 c->client.requester, "path", c->q->path, "status", LOG_NUMBER(status), "reason", text);
}

int est_refuse(struct est_call *c, int status, const char *text)
{
	int e = c->client.confirm ? c->client.confirm(c) : 0;

	if (e)
		return e;
	tell(c, status, text);
	atomic_fetch_add(&c->est->n_refused, 1);
	e = http_reply_text(c->r, status, text);
	return e ? e : EST_ANSWERED;
}

int est_refuse_later(struct est_call *c, int status, unsigned retry_after_s, const char *text)
{
	int e = c->client.confirm ? c->client.confirm(c) : 0;

	if (!e)
		e = http_reply_retry_after(c->r, retry_after_s);
	return e ? e : est_refuse(c, status, text);
}
