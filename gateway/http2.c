/* HTTP/2 by nghttp2.
 *
 * nghttp2 keeps the state of connection and streams and refuses what is malformed (RFC 9113 8); this file collects
 * requests, feeds replies, and counts what a connection costs. nghttp2 is fed frame by frame, and what it wants to
 * say is taken after each: so what a frame costs is known before the next one.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "gateway/http2.h"

#include <errno.h>
#include <inttypes.h>
#include <malloc.h>
#include <nghttp2/nghttp2.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "core/base/clock.h"
#include "core/base/own.h"
#include "gateway/http2_guard.h"
#include "gateway/http_rules.h"

#define MAGIC_SIZE 24                /* what a client begins with */
#define FRAME_HEADER 9
#define OUT_SOFT ((size_t)16384)
#define OUT_MAX ((size_t)1 << 20)
/* Frames that wait for the network: replies, acknowledgements and windows of all streams stay far below. */
#define QUEUE_MAX 128
#define DATA_SMALL 64                /* a DATA frame that is not worth its header, unless it is the last */
#define WRITE_PROGRESS ((size_t)8192)
#define BOMB_FACTOR 4                /* times the limit: no mistake any more */
#define FIELD_OVERHEAD 32            /* RFC 9113 6.5.2 */
#define NAME_MAX_SENT 64
#define NEVER INT64_MAX

enum phase {
	PHASE_HEAD,
	PHASE_BODY,
	PHASE_ASKED,    /* the owner has it */
	PHASE_REPLYING,
};

struct http2 {
	nghttp2_session *session;
	struct http2_options options;
	const struct http2_owner *events;
	void *owner;
	struct http2_stream *streams;
	int32_t last_id;              /* of the newest stream */
	struct http2_guard guard;
	enum http2_cut cut;
	int64_t now_ms, idle_by_ms;
	bool had_stream, is_told;     /* that it is cut */
	size_t bodies;                /* octets of unfinished ones */
	unsigned long long frames;
	struct {
		uint8_t header[FRAME_HEADER];
		unsigned n_header;    /* octets of it that are there */
		size_t left;          /* octets of the magic, or of the payload, still to come */
	} frame;                      /* that is being read */
	struct buf out;
};

const char *http2_cut_name(enum http2_cut cut)
{
	static const char *const names[] = {
		[HTTP2_CUT_NONE] = "none",         [HTTP2_CUT_RESETS] = "resets",
		[HTTP2_CUT_CONTROL] = "control",   [HTTP2_CUT_HEADERS] = "headers",
		[HTTP2_CUT_PROTOCOL] = "protocol", [HTTP2_CUT_QUEUE] = "queue",
		[HTTP2_CUT_STALLED] = "stalled",   [HTTP2_CUT_INTERNAL] = "internal",
	};

	return names[cut];
}

/* ---- counting ---- */

/* The first reason stands. Returns what ends a callback of nghttp2. */
static int cut(struct http2 *h2, enum http2_cut why)
{
	if (!h2->cut)
		h2->cut = why;
	return NGHTTP2_ERR_CALLBACK_FAILURE;
}

static int spend(struct http2 *h2, enum http2_rate rate)
{
	if (http2_guard_spend(&h2->guard, rate, h2->now_ms))
		return 0;
	return cut(h2, rate == HTTP2_RATE_CONTROL ? HTTP2_CUT_CONTROL : HTTP2_CUT_RESETS);
}

static struct http2_stream *stream_of(nghttp2_session *session, int32_t id)
{
	return nghttp2_session_get_stream_user_data(session, id);
}

/* The frame serves no request by itself. */
static bool is_waste(const struct http2 *h2, uint8_t type, uint8_t flags, int32_t id, size_t length)
{
	switch (type) {
	case NGHTTP2_HEADERS:
		return id <= h2->last_id; /* trailers, or a stream that is over */
	case NGHTTP2_DATA:
		/* For a stream that is over, or not worth its header. */
		return !stream_of(h2->session, id) ||
		       (!(flags & NGHTTP2_FLAG_END_STREAM) && (length < DATA_SMALL || (flags & NGHTTP2_FLAG_PADDED)));
	default:
		return true;
	}
}

/* Each frame, before nghttp2 sees its payload: it says nothing of those that it ignores. */
static void weigh_frame(struct http2 *h2)
{
	const uint8_t *h = h2->frame.header;
	int32_t id = (int32_t)((uint32_t)(h[5] & 0x7f) << 24 | (uint32_t)h[6] << 16 | (uint32_t)h[7] << 8 | h[8]);

	h2->frames++;
	h2->frame.n_header = 0;
	h2->frame.left = (size_t)h[0] << 16 | (size_t)h[1] << 8 | h[2];
	if (nghttp2_session_get_outbound_queue_size(h2->session) > QUEUE_MAX)
		cut(h2, HTTP2_CUT_QUEUE);
	else if (h[3] == NGHTTP2_RST_STREAM)
		spend(h2, HTTP2_RATE_RESETS);
	else if (is_waste(h2, h[3], h[4], id, h2->frame.left))
		spend(h2, HTTP2_RATE_CONTROL);
}

/* A fault of the client for which nghttp2 ends the stream, or the connection. */
static int on_invalid_frame(nghttp2_session *session, const nghttp2_frame *frame, int error, void *arg)
{
	return spend(arg, HTTP2_RATE_RESETS);
}

/* End the stream while its header section is read. */
static int end_malformed(struct http2 *h2, int32_t id, uint32_t code)
{
	int r = spend(h2, HTTP2_RATE_RESETS);

	if (r)
		return r;
	nghttp2_submit_rst_stream(h2->session, NGHTTP2_FLAG_NONE, id, code);
	return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
}

/* What nghttp2 would else leave out silently. */
static int on_invalid_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name,
			     size_t name_len, const uint8_t *value, size_t value_len, uint8_t flags, void *arg)
{
	return end_malformed(arg, frame->hd.stream_id, NGHTTP2_PROTOCOL_ERROR);
}

/* ---- streams ---- */

static void drop_stream(struct http2 *h2, struct http2_stream *s)
{
	h2->events->gone(h2->owner, s);
	*s->link = s->next;
	if (s->next)
		s->next->link = s->link;
	if (s->phase == PHASE_BODY)
		h2->bodies -= s->body.len;
	arena_drop(&s->arena);
	buf_fini(&s->body);
	buf_fini(&s->reply);
	http_octets_drop(&s->large);
	free(s);
}

static struct http2_stream *new_stream(struct http2 *h2, int32_t id)
{
	const struct http2_options *o = &h2->options;
	struct http2_stream *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	if (arena_new(&s->arena, o->arena_extra + o->line_max + o->head_max + HTTP2_FIELDS_MAX * sizeof(*s->headers)))
		goto failed;
	s->headers = arena_alloc(s->arena, HTTP2_FIELDS_MAX * sizeof(*s->headers));
	if (!s->headers)
		goto failed;
	s->id = id;
	s->body_max = o->body_max;
	s->by_ms = h2->now_ms + o->head_ms;
	s->received_ms = clock_wall_ms();
	s->next = h2->streams;
	s->link = &h2->streams;
	if (s->next)
		s->next->link = &s->next;
	h2->streams = s;
	return s;
failed:
	arena_drop(&s->arena);
	free(s);
	return NULL;
}

static int on_begin_headers(nghttp2_session *session, const nghttp2_frame *frame, void *arg)
{
	struct http2 *h2 = arg;
	struct http2_stream *s;

	if (frame->hd.type != NGHTTP2_HEADERS || frame->headers.cat != NGHTTP2_HCAT_REQUEST)
		return 0;
	h2->last_id = frame->hd.stream_id;
	h2->had_stream = true;
	s = new_stream(h2, frame->hd.stream_id);
	if (!s)
		return cut(h2, HTTP2_CUT_INTERNAL);
	nghttp2_session_set_stream_user_data(session, frame->hd.stream_id, s);
	return 0;
}

static int on_stream_close(nghttp2_session *session, int32_t id, uint32_t code, void *arg)
{
	struct http2 *h2 = arg;
	struct http2_stream *s = stream_of(session, id);

	if (!s)
		return 0;
	nghttp2_session_set_stream_user_data(session, id, NULL);
	drop_stream(h2, s);
	if (!h2->streams)
		h2->idle_by_ms = h2->now_ms + h2->options.idle_ms;
	return 0;
}

/* ---- header sections ---- */

/* The first refusal stands; it is told when the header section is there. */
static void refuse_later(struct http2_stream *s, int status, const char *why)
{
	if (s->status || !status)
		return;
	s->status = status;
	s->why = why;
}

static void field_length(struct http2_stream *s, const char *value)
{
	const char *why = NULL;
	int status = http_rule_length(value, &s->length, &why);

	refuse_later(s, status, why);
	s->has_length = true;
}

static void field_expect(struct http2_stream *s, const char *value)
{
	s->expects_continue = strcasecmp(value, "100-continue") == 0;
	if (!s->expects_continue)
		refuse_later(s, 417, "only 100-continue can be expected");
}

/* RFC 9113 8.3.1: the authority counts; a Host that says something else is refused. The authority comes first. */
static void field_host(struct http2_stream *s, const char *value)
{
	if (s->host && strcasecmp(s->host, value) != 0)
		refuse_later(s, 400, "Host is not the authority");
	s->host = value;
}

static void pseudo_method(struct http2_stream *s, const char *value)
{
	s->method = value;
}

static void pseudo_scheme(struct http2_stream *s, const char *value)
{
	s->scheme = value;
}

static void pseudo_path(struct http2_stream *s, const char *value)
{
	s->path = value;
}

/* It comes before the fields: handlers find it where HTTP/1.1 has it. */
static void pseudo_authority(struct http2_stream *s, const char *value)
{
	s->host = value;
	s->headers[s->n_headers++] = (struct http_header){ "host", value };
}

/* The fields that mean something here; all others are for handlers. */
static const struct {
	const char *name;
	void (*read)(struct http2_stream *s, const char *value);
} own_fields[] = {
	{ ":method", pseudo_method },       { ":scheme", pseudo_scheme }, { ":path", pseudo_path },
	{ ":authority", pseudo_authority }, { "host", field_host },       { "content-length", field_length },
	{ "expect", field_expect },
};

static int read_field(struct http2 *h2, struct http2_stream *s, struct bytes name, struct bytes value)
{
	char *n = arena_strndup(s->arena, name), *v = arena_strndup(s->arena, value), *c;
	size_t i;

	if (!n || !v)
		return cut(h2, HTTP2_CUT_INTERNAL);
	for (c = v; *c; c++)
		if (*c == '\t')
			*c = ' ';
	if (*n != ':')
		s->headers[s->n_headers++] = (struct http_header){ n, v };
	for (i = 0; i < sizeof(own_fields) / sizeof(*own_fields); i++)
		if (strcmp(own_fields[i].name, n) == 0)
			own_fields[i].read(s, v);
	return 0;
}

/* A section somewhat too large gets an answer, a bomb does not: either way nothing more of it is kept. */
static int weigh_field(struct http2 *h2, struct http2_stream *s, struct bytes name, struct bytes value)
{
	const struct http2_options *o = &h2->options;

	if (name.len == 5 && memcmp(name.ptr, ":path", 5) == 0) {
		if (value.len > o->line_max)
			refuse_later(s, 414, "the path is too long");
		return value.len > BOMB_FACTOR * o->line_max ? cut(h2, HTTP2_CUT_HEADERS) : 0;
	}
	s->list_octets += name.len + value.len + FIELD_OVERHEAD;
	if (s->list_octets > BOMB_FACTOR * o->head_max)
		return cut(h2, HTTP2_CUT_HEADERS);
	if (s->list_octets > o->head_max)
		refuse_later(s, 431, "the header section is too large");
	else if (s->n_headers == HTTP2_FIELDS_MAX && *name.ptr != ':')
		refuse_later(s, 431, "too many header fields");
	return 0;
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name, size_t name_len,
		     const uint8_t *value, size_t value_len, uint8_t flags, void *arg)
{
	struct http2 *h2 = arg;
	struct http2_stream *s = stream_of(session, frame->hd.stream_id);
	int r;

	if (!s)
		return 0;
	r = weigh_field(h2, s, bytes_of(name, name_len), bytes_of(value, value_len));
	/* Trailers are checked and dropped: nothing there may change what the header section said. */
	if (r || s->status || s->phase != PHASE_HEAD)
		return r;
	return read_field(h2, s, bytes_of(name, name_len), bytes_of(value, value_len));
}

static void check_head(struct http2_stream *s)
{
	const char *why = NULL;
	int status;

	if (!s->method) {
		refuse_later(s, 400, "the method is missing");
		return;
	}
	s->is_head = strcmp(s->method, "HEAD") == 0;
	status = http_rule_method(s->method, strlen(s->method), &why);
	refuse_later(s, status, why);
	if (!s->path || !s->host || !s->scheme || strcmp(s->scheme, "https") != 0) {
		refuse_later(s, 400, "path, host or scheme is missing or not ours");
		return;
	}
	status = http_rule_target(s->path, &why);
	refuse_later(s, status, why);
	status = http_rule_host(s->host, &why);
	refuse_later(s, status, why);
}

static void split_query(struct http2_stream *s)
{
	char *query = s->path ? strchr(s->path, '?') : NULL;

	if (!query)
		return;
	*query = 0;
	s->query = query + 1;
}

/* ---- requests ---- */

static void refuse(struct http2 *h2, struct http2_stream *s, int status, const char *why)
{
	if (s->phase == PHASE_BODY)
		h2->bodies -= s->body.len;
	s->phase = PHASE_ASKED;
	s->by_ms = NEVER;
	h2->events->bad(h2->owner, s, status, why);
}

static void end_request(struct http2 *h2, struct http2_stream *s)
{
	if (s->phase != PHASE_BODY)
		return;
	h2->bodies -= s->body.len;
	s->phase = PHASE_ASKED;
	s->by_ms = NEVER;
	h2->events->request(h2->owner, s);
}

static void go_on(struct http2 *h2, struct http2_stream *s)
{
	uint8_t name[] = ":status", value[] = "100";
	nghttp2_nv status = { name, value, sizeof(name) - 1, sizeof(value) - 1, NGHTTP2_NV_FLAG_NONE };

	nghttp2_submit_headers(h2->session, NGHTTP2_FLAG_NONE, s->id, NULL, &status, 1, NULL);
}

static void end_head(struct http2 *h2, struct http2_stream *s, bool is_all)
{
	check_head(s);
	split_query(s);
	if (s->status) {
		refuse(h2, s, s->status, s->why);
		return;
	}
	s->phase = PHASE_BODY;
	s->by_ms = h2->now_ms + h2->options.body_ms;
	h2->events->head(h2->owner, s);
	if (s->phase != PHASE_BODY)
		return;
	s->body = BUF_INIT(s->body_max);
	if (s->has_length && s->length > s->body_max)
		refuse(h2, s, 413, "the body is too large");
	else if (is_all)
		end_request(h2, s);
	else if (s->expects_continue)
		go_on(h2, s);
}

static int on_frame(nghttp2_session *session, const nghttp2_frame *frame, void *arg)
{
	struct http2 *h2 = arg;
	struct http2_stream *s = stream_of(session, frame->hd.stream_id);
	bool is_all = (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0;

	if (!s || (frame->hd.type != NGHTTP2_HEADERS && frame->hd.type != NGHTTP2_DATA))
		return 0;
	if (s->phase == PHASE_HEAD)
		end_head(h2, s, is_all);
	else if (is_all)
		end_request(h2, s);
	return 0;
}

static int on_data(nghttp2_session *session, uint8_t flags, int32_t id, const uint8_t *data, size_t len, void *arg)
{
	struct http2 *h2 = arg;
	struct http2_stream *s = stream_of(session, id);

	/* What comes after a refusal is not kept. */
	if (!s || s->phase != PHASE_BODY)
		return 0;
	if (s->body.len + len > s->body_max) {
		refuse(h2, s, 413, "the body is too large");
	} else if (h2->bodies + len > s->body_max + HTTP2_BODIES_EXTRA) {
		refuse(h2, s, 503, "too many bodies at once");
	} else if (buf_append(&s->body, bytes_of(data, len))) {
		return cut(h2, HTTP2_CUT_INTERNAL);
	} else {
		h2->bodies += len;
	}
	return 0;
}

/* ---- replies ---- */

static uint64_t body_size(const struct http2_stream *s)
{
	return s->large ? http_octets_size(s->large) : s->reply.len;
}

static int copy_body(struct http2_stream *s, uint8_t *out, size_t n)
{
	if (s->large)
		return http_octets_read(s->large, s->sent, out, n);
	memcpy(out, s->reply.ptr + s->sent, n);
	return 0;
}

static ssize_t read_reply(nghttp2_session *session, int32_t id, uint8_t *out, size_t size, uint32_t *flags,
			  nghttp2_data_source *source, void *arg)
{
	struct http2 *h2 = arg;
	struct http2_stream *s = source->ptr;
	uint64_t left = body_size(s) - s->sent;
	size_t n = left < size ? (size_t)left : size;

	/* What cannot be sent to its end ends with RST_STREAM. */
	if (copy_body(s, out, n))
		return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
	s->sent += n;
	if (n == left)
		*flags |= NGHTTP2_DATA_FLAG_EOF;
	if (s->sent - s->sent_at >= WRITE_PROGRESS) {
		s->sent_at = s->sent;
		s->by_ms = h2->now_ms + h2->options.write_ms;
	}
	return (ssize_t)n;
}

static int on_sent(nghttp2_session *session, const nghttp2_frame *frame, void *arg)
{
	struct http2 *h2 = arg;
	const nghttp2_frame_hd *hd = &frame->hd;
	bool is_end = (hd->flags & NGHTTP2_FLAG_END_STREAM) != 0;

	if (hd->type == NGHTTP2_RST_STREAM)
		return spend(h2, HTTP2_RATE_ENDINGS);
	if (hd->type == NGHTTP2_GOAWAY && frame->goaway.error_code != NGHTTP2_NO_ERROR && !h2->cut)
		h2->cut = HTTP2_CUT_PROTOCOL;
	if (hd->type != NGHTTP2_HEADERS && hd->type != NGHTTP2_DATA)
		return 0;
	http2_guard_earn(&h2->guard, hd->length, is_end);
	/* An answer before the end of the request: the rest of it is not wanted (RFC 9113 8.1). */
	if (is_end && nghttp2_session_get_stream_remote_close(session, hd->stream_id) == 0)
		nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, hd->stream_id, NGHTTP2_NO_ERROR);
	return 0;
}

/* A reply's header section as nghttp2 wants it. */
struct section {
	nghttp2_nv fields[HTTP_REPLY_HEADERS_MAX + 3];
	size_t n;
	char names[HTTP_REPLY_HEADERS_MAX][NAME_MAX_SENT];
	char status[8], length[24], date[HTTP_DATE_SIZE];
};

static void add_field(struct section *out, const char *name, const char *value)
{
	out->fields[out->n++] = (nghttp2_nv){
		.name = (uint8_t *)(uintptr_t)name, .namelen = strlen(name),
		.value = (uint8_t *)(uintptr_t)value, .valuelen = strlen(value),
		.flags = NGHTTP2_NV_FLAG_NONE, /* copied */
	};
}

static void copy_lower(char *out, const char *name)
{
	for (; *name; name++)
		*out++ = (char)(*name >= 'A' && *name <= 'Z' ? *name + 32 : *name);
	*out = 0;
}

static bool make_section(struct section *out, const struct http_reply *r, bool has_body)
{
	size_t i;

	out->n = 0;
	if (r->status < 200 || r->status > 599 || buf_status(&r->body))
		return false;
	snprintf(out->status, sizeof(out->status), "%d", r->status);
	add_field(out, ":status", out->status);
	http_date_print(clock_wall_s(), out->date);
	if (*out->date)
		add_field(out, "date", out->date);
	for (i = 0; i < r->n_headers; i++) {
		const struct http_header *h = &r->headers[i];

		if (!http_rule_sendable(h) || strlen(h->name) >= NAME_MAX_SENT)
			return false;
		if (http_rule_is_framing(h->name))
			continue;
		copy_lower(out->names[i], h->name);
		add_field(out, out->names[i], h->value);
	}
	snprintf(out->length, sizeof(out->length), "%" PRIu64,
		 r->large ? http_octets_size(r->large) : (uint64_t)r->body.len);
	if (has_body)
		add_field(out, "content-length", out->length);
	return true;
}

static bool may_have_body(const struct http_reply *r)
{
	return r->status != 204 && r->status != 304;
}

int http2_reply(struct http2 *h2, struct http2_stream *s, struct http_reply *r, int64_t now_ms)
{
	nghttp2_data_provider body = { .source.ptr = s, .read_callback = read_reply };
	struct section section;
	bool sends_body;
	int e = 0;

	if (!make_section(&section, r, may_have_body(r))) {
		e = r->status = 500;
		r->n_headers = 0;
		buf_reset(&r->body);
		http_octets_drop(&r->large);
		buf_append_str(&r->body, "server error\n");
		make_section(&section, r, true);
	}
	sends_body = may_have_body(r) && (r->body.len || r->large) && !s->is_head;
	buf_fini(&s->reply);
	if (sends_body) {
		s->reply = r->body;
		s->large = MOVE(r->large);
		r->body = BUF_INIT(HTTP_REPLY_BODY_MAX);
	}
	if (s->phase == PHASE_BODY)
		h2->bodies -= s->body.len;
	s->phase = PHASE_REPLYING;
	h2->now_ms = now_ms;
	s->by_ms = now_ms + h2->options.write_ms;
	if (nghttp2_submit_response(h2->session, s->id, section.fields, section.n, sends_body ? &body : NULL))
		cut(h2, HTTP2_CUT_INTERNAL);
	return e;
}

/* ---- octets ---- */

static enum http2_cut cut_of(int error)
{
	switch (error) {
	case NGHTTP2_ERR_FLOODED:
	case NGHTTP2_ERR_TOO_MANY_SETTINGS:
		return HTTP2_CUT_CONTROL;
	case NGHTTP2_ERR_TOO_MANY_CONTINUATIONS:
		return HTTP2_CUT_HEADERS;
	case NGHTTP2_ERR_NOMEM:
		return HTTP2_CUT_INTERNAL;
	default:
		return HTTP2_CUT_PROTOCOL;
	}
}

/* Let nghttp2 write until there is enough for now. */
static void pump(struct http2 *h2)
{
	const uint8_t *data;
	ssize_t n;

	while (h2->out.len < OUT_SOFT) {
		n = nghttp2_session_mem_send(h2->session, &data);
		if (n < 0)
			cut(h2, cut_of((int)n));
		if (n <= 0)
			return;
		if (buf_append(&h2->out, bytes_of(data, (size_t)n)))
			cut(h2, HTTP2_CUT_INTERNAL);
	}
}

/* How much to give nghttp2 at once: never more than what is left of a frame. */
static size_t next_piece(struct http2 *h2, struct bytes in)
{
	size_t left = h2->frame.left ? h2->frame.left : FRAME_HEADER - h2->frame.n_header;
	size_t n = in.len < left ? in.len : left;

	if (h2->frame.left) {
		h2->frame.left -= n;
		return n;
	}
	memcpy(h2->frame.header + h2->frame.n_header, in.ptr, n);
	h2->frame.n_header += (unsigned)n;
	if (h2->frame.n_header == FRAME_HEADER)
		weigh_frame(h2);
	return n;
}

/* Tell the client why, once. */
static int say_cut(struct http2 *h2)
{
	static const uint32_t codes[HTTP2_CUTS_] = {
		[HTTP2_CUT_RESETS] = NGHTTP2_ENHANCE_YOUR_CALM, [HTTP2_CUT_CONTROL] = NGHTTP2_ENHANCE_YOUR_CALM,
		[HTTP2_CUT_HEADERS] = NGHTTP2_ENHANCE_YOUR_CALM, [HTTP2_CUT_QUEUE] = NGHTTP2_ENHANCE_YOUR_CALM,
		[HTTP2_CUT_PROTOCOL] = NGHTTP2_PROTOCOL_ERROR, [HTTP2_CUT_INTERNAL] = NGHTTP2_INTERNAL_ERROR,
	};

	if (!h2->is_told) {
		h2->is_told = true;
		nghttp2_session_terminate_session(h2->session, codes[h2->cut]);
		pump(h2);
	}
	return HTTP2_CUT_IT;
}

int http2_feed(struct http2 *h2, struct bytes in, int64_t now_ms)
{
	size_t size;
	ssize_t n;

	h2->now_ms = now_ms;
	while (in.len && !h2->cut) {
		size = next_piece(h2, in);
		if (h2->cut)
			break;
		n = nghttp2_session_mem_recv(h2->session, in.ptr, size);
		if (n < 0)
			cut(h2, cut_of((int)n));
		else
			pump(h2);
		in.ptr += size;
		in.len -= size;
	}
	return h2->cut ? say_cut(h2) : 0;
}

int http2_take(struct http2 *h2, struct buf *out, int64_t now_ms)
{
	int r;

	h2->now_ms = now_ms;
	if (!h2->cut)
		pump(h2);
	if (h2->cut)
		say_cut(h2);
	r = buf_append(out, buf_bytes(&h2->out));
	buf_reset(&h2->out);
	if (r)
		cut(h2, HTTP2_CUT_INTERNAL);
	return h2->cut ? HTTP2_CUT_IT : 0;
}

/* ---- the end, and deadlines ---- */

void http2_finish(struct http2 *h2)
{
	nghttp2_submit_goaway(h2->session, NGHTTP2_FLAG_NONE,
			      nghttp2_session_get_last_proc_stream_id(h2->session), NGHTTP2_NO_ERROR, NULL, 0);
}

bool http2_is_done(const struct http2 *h2)
{
	return !nghttp2_session_want_read(h2->session) && !nghttp2_session_want_write(h2->session) && !h2->out.len;
}

int64_t http2_deadline(const struct http2 *h2)
{
	const struct http2_stream *s;
	int64_t by = h2->streams ? NEVER : h2->idle_by_ms;

	for (s = h2->streams; s; s = s->next)
		if (s->by_ms < by)
			by = s->by_ms;
	return by;
}

int http2_expire(struct http2 *h2, int64_t now_ms)
{
	h2->now_ms = now_ms;
	if (http2_deadline(h2) > now_ms)
		return 0;
	if (h2->streams || !h2->had_stream) {
		cut(h2, HTTP2_CUT_STALLED);
		return say_cut(h2);
	}
	h2->idle_by_ms = NEVER;
	http2_finish(h2);
	return 0;
}

size_t http2_unsent(const struct http2 *h2)
{
	const struct http2_stream *s;
	size_t n = 0;

	for (s = h2->streams; s; s = s->next)
		n += s->large ? 0 : s->reply.len - s->sent;
	return n;
}

enum http2_cut http2_cut_reason(const struct http2 *h2)
{
	return h2->cut;
}

unsigned long long http2_frames(const struct http2 *h2)
{
	return h2->frames;
}

/* ---- sessions ---- */

/* Header fields are kept by nghttp2, passwords among them: what it lets go is overwritten. */
static void wipe_and_free(void *p, void *arg)
{
	if (p)
		explicit_bzero(p, malloc_usable_size(p));
	free(p);
}

static void *give_memory(size_t n, void *arg)
{
	return malloc(n);
}

static void *give_zeros(size_t n, size_t size, void *arg)
{
	return calloc(n, size);
}

static void *give_more(void *p, size_t n, void *arg)
{
	size_t had = p ? malloc_usable_size(p) : 0;
	void *more = malloc(n);

	if (!more)
		return NULL;
	if (p)
		memcpy(more, p, had < n ? had : n);
	wipe_and_free(p, NULL);
	return more;
}

static int make_session(struct http2 *h2, nghttp2_session_callbacks *callbacks, nghttp2_option *option)
{
	nghttp2_mem memory = { NULL, give_memory, wipe_and_free, give_zeros, give_more };

	nghttp2_session_callbacks_set_on_invalid_frame_recv_callback(callbacks, on_invalid_frame);
	nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks, on_begin_headers);
	nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
	nghttp2_session_callbacks_set_on_invalid_header_callback(callbacks, on_invalid_header);
	nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame);
	nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data);
	nghttp2_session_callbacks_set_on_frame_send_callback(callbacks, on_sent);
	nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_stream_close);
	/* nghttp2's own counters stand behind ours. */
	nghttp2_option_set_stream_reset_rate_limit(option, 100, 10);
	nghttp2_option_set_max_continuations(option, HTTP2_CONTINUATIONS_MAX);
	nghttp2_option_set_max_outbound_ack(option, QUEUE_MAX);
	nghttp2_option_set_no_closed_streams(option, 1);
	return nghttp2_session_server_new3(&h2->session, callbacks, h2, option, &memory) ? -ENOMEM : 0;
}

static int submit_settings(struct http2 *h2)
{
	const nghttp2_settings_entry entries[] = {
		{ NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, HTTP2_STREAMS_MAX },
		{ NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, (uint32_t)(h2->options.head_max + h2->options.line_max) },
		{ NGHTTP2_SETTINGS_HEADER_TABLE_SIZE, HTTP2_TABLE_SIZE },
		/* No tree of priorities that a client can build here (RFC 9218 2.1). */
		{ NGHTTP2_SETTINGS_NO_RFC7540_PRIORITIES, 1 },
	};

	return nghttp2_submit_settings(h2->session, NGHTTP2_FLAG_NONE, entries, sizeof(entries) / sizeof(*entries)) ?
		       -ENOMEM : 0;
}

int http2_new(struct http2 **out, const struct http2_options *options, const struct http2_owner *events, void *owner,
	      int64_t now_ms)
{
	nghttp2_session_callbacks *callbacks = NULL;
	nghttp2_option *option = NULL;
	struct http2 *h2 = calloc(1, sizeof(*h2));
	int r = -ENOMEM;

	if (!h2)
		return -ENOMEM;
	h2->options = *options;
	h2->events = events;
	h2->owner = owner;
	h2->now_ms = now_ms;
	h2->idle_by_ms = now_ms + options->head_ms;
	h2->frame.left = MAGIC_SIZE;
	h2->out = BUF_INIT(OUT_MAX);
	http2_guard_init(&h2->guard, now_ms);
	if (nghttp2_session_callbacks_new(&callbacks) == 0 && nghttp2_option_new(&option) == 0)
		r = make_session(h2, callbacks, option);
	nghttp2_session_callbacks_del(callbacks);
	nghttp2_option_del(option);
	if (!r)
		r = submit_settings(h2);
	if (r)
		http2_drop(&h2);
	else
		*out = h2;
	return r;
}

void http2_drop(struct http2 **h2)
{
	if (!*h2)
		return;
	while ((*h2)->streams)
		drop_stream(*h2, (*h2)->streams);
	nghttp2_session_del((*h2)->session);
	buf_fini(&(*h2)->out);
	free(*h2);
	*h2 = NULL;
}
