/* OCSP over HTTP (RFC 6960 A, RFC 5019).
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "protocols/status/status_int.h"

#include <errno.h>

#include "core/base/base64.h"
#include "core/base/clock.h"

#define REQUEST_TYPE "application/ocsp-request"
#define RESPONSE_TYPE "application/ocsp-response"

static int hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = (char)(c | 0x20);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

int status_ocsp_decode(const char *path, struct buf *request)
{
	OWNED_BUF text = BUF_INIT(2 * CA_OCSP_REQUEST_MAX);

	for (; *path; path++) {
		int high, low;

		if (*path != '%') {
			buf_append_char(&text, *path);
			continue;
		}
		high = hex_value(path[1]);
		low = high < 0 ? -1 : hex_value(path[2]);
		if (low < 0)
			return -EINVAL;
		buf_append_char(&text, (char)(high << 4 | low));
		path += 2;
	}
	return buf_status(&text) ? buf_status(&text) : base64_decode(request, buf_bytes(&text));
}

/* What the core would say for itself (RFC 6960 2.3). */
static int try_later(struct status *s, struct ca_ocsp_answer *out)
{
	static const uint8_t octets[] = { 0x30, 0x03, 0x0a, 0x01, 0x03 };

	atomic_fetch_add(&s->ocsp_later, 1);
	return buf_append(&out->der, bytes_of(octets, sizeof(octets)));
}

/* The core is asked, unless it was asked the same a moment ago. */
static int ask(struct status *s, struct bytes request, struct ca_ocsp_answer *out)
{
	int64_t now_ms = clock_mono_ms();
	int e;

	atomic_fetch_add(&s->ocsp_asked, 1);
	if (answers_recall(s->answers, request, now_ms, out)) {
		atomic_fetch_add(&s->ocsp_recalled, 1);
		return 0;
	}
	if (!asks_enter(s->asks))
		return try_later(s, out);
	e = ca_ocsp(s->ca, request, out);
	asks_leave(s->asks);
	if (!e)
		answers_remember(s->answers, request, now_ms, out);
	return e;
}

static int reply_uncached(const struct ca_ocsp_answer *answer, struct http_reply *r)
{
	int e = http_reply_header(r, "Cache-Control", "no-store");

	return e ? e : http_reply_body(r, 200, RESPONSE_TYPE, buf_bytes(&answer->der));
}

/* A cache answers as long as we would without a new signature. */
static int reply_cachable(const struct ca_ocsp_answer *answer, const struct http_request *q, struct http_reply *r)
{
	struct status_document d = {
		.type = RESPONSE_TYPE,
		.body = buf_bytes(&answer->der),
		.modified_s = answer->this_update_s,
		.expires_s = answer->next_update_s,
	};
	int e = status_document_tag(&d);

	d.max_age_s = answer->this_update_s + (answer->next_update_s - answer->this_update_s) / 2 - clock_wall_s();
	if (d.max_age_s < 0)
		d.max_age_s = 0;
	return e ? e : status_document_reply(&d, q, r);
}

int status_ocsp_get(void *state, const struct http_request *q, struct http_reply *r)
{
	OWNED_BUF request = BUF_INIT(CA_OCSP_REQUEST_MAX);
	struct ca_ocsp_answer answer = CA_OCSP_ANSWER_INIT;
	int e = status_ocsp_decode(q->params[0], &request);

	if (e)
		return e == -ENOMEM ? e : http_reply_text(r, 400, "what stands behind the path is no base64");
	e = ask(state, buf_bytes(&request), &answer);
	if (!e)
		e = answer.is_cachable ? reply_cachable(&answer, q, r) : reply_uncached(&answer, r);
	buf_fini(&answer.der);
	return e;
}

int status_ocsp_post(void *state, const struct http_request *q, struct http_reply *r)
{
	struct ca_ocsp_answer answer = CA_OCSP_ANSWER_INIT;
	int e;

	if (!http_request_has_type(q, REQUEST_TYPE))
		return http_reply_text(r, 415, "an OCSP request has the type " REQUEST_TYPE);
	e = ask(state, q->body, &answer);
	if (!e)
		e = reply_uncached(&answer, r);
	buf_fini(&answer.der);
	return e;
}
