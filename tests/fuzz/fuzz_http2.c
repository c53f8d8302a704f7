/* Fuzz target: what an HTTP/2 client may send.
 *
 * The first octet says how the rest is cut into pieces. The octets go into a session as from the network; requests are
 * answered at once, or later, or never, as their path says. What handlers rely on must hold for every request, and
 * each stream must come to one end.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "gateway/http2.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define BODY_MAX 256
#define OUT_LIMIT ((size_t)64 << 20)

struct rig {
	struct http2 *session;
	int64_t now_ms;
	unsigned began, gone;
	struct http2_stream *later;
};

static void check_request(const struct http2_stream *s)
{
	size_t i;

	if (!s->method || !s->path || *s->path != '/' || !s->host || !*s->host || s->body.len > BODY_MAX ||
	    s->n_headers > HTTP2_FIELDS_MAX)
		abort();
	for (i = 0; i < s->n_headers; i++)
		if (!*s->headers[i].name || strpbrk(s->headers[i].name, "\r\n :ABCXYZ") ||
		    strpbrk(s->headers[i].value, "\r\n\t") || strcmp(s->headers[i].name, "connection") == 0)
			abort();
}

static void answer(struct rig *rig, struct http2_stream *s, int status)
{
	struct http_reply r = { .status = status, .body = BUF_INIT(HTTP_REPLY_BODY_MAX) };

	r.headers[r.n_headers++] = (struct http_header){ "Content-Type", "text/plain" };
	buf_append(&r.body, buf_bytes(&s->body));
	http2_reply(rig->session, s, &r, rig->now_ms);
	buf_fini(&r.body);
}

static void on_head(void *owner, struct http2_stream *s)
{
	struct rig *rig = owner;

	if (s->owner || s->body.len)
		abort();
	s->owner = rig;
	s->body_max = BODY_MAX;
	rig->began++;
}

static void on_request(void *owner, struct http2_stream *s)
{
	struct rig *rig = owner;

	check_request(s);
	if (s->path[1] == 'l')
		rig->later = s;
	else if (s->path[1] != 'n')
		answer(rig, s, 200);
}

static void on_bad(void *owner, struct http2_stream *s, int status, const char *why)
{
	struct rig *rig = owner;

	if (status < 400 || status > 505 || !why)
		abort();
	if (!s->owner)
		rig->began++;
	s->owner = rig;
	answer(rig, s, status);
}

static void on_gone(void *owner, struct http2_stream *s)
{
	struct rig *rig = owner;

	rig->gone += s->owner != NULL;
	if (rig->later == s)
		rig->later = NULL;
}

static const struct http2_owner events = { on_head, on_request, on_bad, on_gone };

static int drain(struct rig *rig, struct buf *out)
{
	size_t before;
	int r;

	do {
		before = out->len;
		r = http2_take(rig->session, out, rig->now_ms);
	} while (!r && out->len > before);
	return r;
}

static void play(struct rig *rig, struct bytes in, size_t piece)
{
	OWNED_BUF out = BUF_INIT(OUT_LIMIT);
	int r = 0;

	while (in.len && !r) {
		size_t n = in.len < piece ? in.len : piece;

		rig->now_ms++;
		r = http2_feed(rig->session, bytes_of(in.ptr, n), rig->now_ms);
		if (rig->later)
			answer(rig, rig->later, 200);
		rig->later = NULL;
		if (!r)
			r = drain(rig, &out);
		buf_reset(&out);
		in.ptr += n;
		in.len -= n;
	}
	if (r && !http2_cut_reason(rig->session))
		abort();
	/* The deadlines end whatever it was. */
	rig->now_ms += 100000;
	http2_expire(rig->session, rig->now_ms);
	drain(rig, &out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct http2_options options = { .line_max = 128, .head_max = 1024, .body_max = BODY_MAX,
					 .arena_extra = 1024, .head_ms = 10000, .body_ms = 10000,
					 .write_ms = 10000, .idle_ms = 10000 };
	struct rig rig = { .now_ms = 1 };

	if (size < 1)
		return 0;
	if (http2_new(&rig.session, &options, &events, &rig, rig.now_ms))
		abort();
	play(&rig, bytes_of(data + 1, size - 1), (size_t)data[0] + 1);
	http2_drop(&rig.session);
	if (rig.began != rig.gone)
		abort();
	return 0;
}
