/* HTTP/2 clients for tests.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tests/unit/gateway/h2_client.h"

#include <nghttp2/nghttp2.h>
#include <stdlib.h>
#include <string.h>

#define TLS_1_3 0x0304
#define FIELDS_MAX 200

/* ---- frames ---- */

void h2_preface(struct buf *out)
{
	buf_append_str(out, NGHTTP2_CLIENT_MAGIC);
	h2_frame(out, H2_SETTINGS, 0, 0, (struct bytes){ 0 });
}

static void add_number(struct buf *out, uint32_t n, int octets)
{
	while (octets--)
		buf_append_char(out, (char)(uint8_t)(n >> (8 * octets)));
}

void h2_frame(struct buf *out, int type, int flags, uint32_t stream, struct bytes payload)
{
	add_number(out, (uint32_t)payload.len, 3);
	buf_append_char(out, (char)type);
	buf_append_char(out, (char)flags);
	add_number(out, stream, 4);
	buf_append(out, payload);
}

void h2_frame_number(struct buf *out, int type, uint32_t stream, uint32_t number)
{
	OWNED_BUF payload = BUF_INIT(4);

	add_number(&payload, number, 4);
	h2_frame(out, type, 0, stream, buf_bytes(&payload));
}

/* RFC 7541 5.1 with a prefix of 7 bits. */
static void add_length(struct buf *out, size_t n)
{
	if (n < 127) {
		buf_append_char(out, (char)n);
		return;
	}
	buf_append_char(out, 127);
	for (n -= 127; n >= 128; n >>= 7)
		buf_append_char(out, (char)(uint8_t)(0x80 | (n & 0x7f)));
	buf_append_char(out, (char)n);
}

void h2_field(struct buf *out, const char *name, const char *value, bool is_kept)
{
	buf_append_char(out, is_kept ? 0x40 : 0);
	add_length(out, strlen(name));
	buf_append_str(out, name);
	add_length(out, strlen(value));
	buf_append_str(out, value);
}

void h2_request(struct buf *out, uint32_t stream, int flags, const char *method, const char *path)
{
	OWNED_BUF block = BUF_INIT(16384);

	h2_field(&block, ":method", method, false);
	h2_field(&block, ":scheme", "https", false);
	h2_field(&block, ":path", path, false);
	h2_field(&block, ":authority", "ca.example", false);
	h2_frame(out, H2_HEADERS, flags, stream, buf_bytes(&block));
}

/* ---- the polite client ---- */

struct h2_client {
	struct tls_client *tls;
	nghttp2_session *session;
	bool is_going_away;
};

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name, size_t name_len,
		     const uint8_t *value, size_t value_len, uint8_t flags, void *arg)
{
	struct h2_answer *a = nghttp2_session_get_stream_user_data(session, frame->hd.stream_id);
	const struct {
		const char *name;
		char *out;
		size_t size;
	} kept[] = { { "allow", a->allow, sizeof(a->allow) },
		     { "retry-after", a->retry_after, sizeof(a->retry_after) },
		     { "location", a->location, sizeof(a->location) },
		     { "content-length", a->length, sizeof(a->length) } };
	size_t i;

	if (strcmp((const char *)name, ":status") == 0) {
		a->was_continued |= strcmp((const char *)value, "100") == 0;
		a->status = (int)strtol((const char *)value, NULL, 10);
	}
	for (i = 0; i < sizeof(kept) / sizeof(*kept); i++)
		if (strcmp((const char *)name, kept[i].name) == 0 && value_len < kept[i].size)
			memcpy(kept[i].out, value, value_len + 1);
	return 0;
}

static int on_data(nghttp2_session *session, uint8_t flags, int32_t id, const uint8_t *data, size_t len, void *arg)
{
	struct h2_answer *a = nghttp2_session_get_stream_user_data(session, id);

	return buf_append(&a->body, bytes_of(data, len)) ? NGHTTP2_ERR_CALLBACK_FAILURE : 0;
}

static int on_frame(nghttp2_session *session, const nghttp2_frame *frame, void *arg)
{
	struct h2_client *c = arg;

	c->is_going_away |= frame->hd.type == NGHTTP2_GOAWAY;
	return 0;
}

static int on_close(nghttp2_session *session, int32_t id, uint32_t error, void *arg)
{
	struct h2_answer *a = nghttp2_session_get_stream_user_data(session, id);

	a->is_over = true;
	a->error = error;
	return 0;
}

struct h2_client *h2_client_new(int fd)
{
	struct h2_client *c = calloc(1, sizeof(*c));
	nghttp2_session_callbacks *callbacks = NULL;

	if (!c)
		return NULL;
	c->tls = tls_client_new(fd, TLS_1_3, "\x02h2\x08http/1.1");
	nghttp2_session_callbacks_new(&callbacks);
	nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
	nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data);
	nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame);
	nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_close);
	nghttp2_session_client_new(&c->session, callbacks, c);
	nghttp2_session_callbacks_del(callbacks);
	nghttp2_submit_settings(c->session, NGHTTP2_FLAG_NONE, NULL, 0);
	if (!c->tls || strcmp(tls_client_protocol(c->tls), "h2") != 0)
		h2_client_drop(&c);
	return c;
}

void h2_client_drop(struct h2_client **client)
{
	if (!*client)
		return;
	nghttp2_session_del((*client)->session);
	tls_client_drop(&(*client)->tls);
	free(*client);
	*client = NULL;
}

static ssize_t read_body(nghttp2_session *session, int32_t id, uint8_t *out, size_t size, uint32_t *flags,
			 nghttp2_data_source *source, void *arg)
{
	struct h2_answer *a = source->ptr;
	size_t n = a->left.len < size ? a->left.len : size;

	memcpy(out, a->left.ptr, n);
	a->left.ptr += n;
	a->left.len -= n;
	if (a->left.len == 0)
		*flags |= NGHTTP2_DATA_FLAG_EOF;
	return (ssize_t)n;
}

static bool flush(struct h2_client *c)
{
	const uint8_t *data;
	ssize_t n;

	while ((n = nghttp2_session_mem_send(c->session, &data)) > 0)
		if (!tls_client_send(c->tls, bytes_of(data, (size_t)n)))
			return false;
	return n == 0;
}

void h2_client_ask_raw(struct h2_client *c, const struct h2_header *headers, struct bytes body,
		       struct h2_answer *answer)
{
	nghttp2_nv fields[FIELDS_MAX];
	nghttp2_data_provider provider = { .source.ptr = answer, .read_callback = read_body };
	size_t n;

	for (n = 0; n < FIELDS_MAX && headers[n].name; n++)
		fields[n] = (nghttp2_nv){ (uint8_t *)(uintptr_t)headers[n].name,
					  (uint8_t *)(uintptr_t)headers[n].value, strlen(headers[n].name),
					  strlen(headers[n].value), NGHTTP2_NV_FLAG_NONE };
	answer->left = body;
	nghttp2_submit_request(c->session, NULL, fields, n, body.ptr ? &provider : NULL, answer);
	flush(c);
}

void h2_client_ask(struct h2_client *c, const char *method, const char *path, const struct h2_header *headers,
		   struct bytes body, struct h2_answer *answer)
{
	struct h2_header all[FIELDS_MAX] = { { ":method", method }, { ":scheme", "https" }, { ":path", path },
					     { ":authority", "ca.example" } };
	size_t n = 4;

	for (; headers && headers->name && n < FIELDS_MAX - 1; headers++)
		all[n++] = *headers;
	h2_client_ask_raw(c, all, body, answer);
}

bool h2_client_wait(struct h2_client *c, const struct h2_answer *answer)
{
	char data[16384];
	long n;

	while (!answer->is_over) {
		flush(c);
		n = tls_client_read(c->tls, data, sizeof(data));
		if (n <= 0 || nghttp2_session_mem_recv(c->session, (const uint8_t *)data, (size_t)n) < 0)
			return answer->is_over;
	}
	flush(c);
	return true;
}

bool h2_client_is_going_away(const struct h2_client *c)
{
	return c->is_going_away;
}

unsigned h2_client_records(const struct h2_client *c)
{
	return tls_client_records(c->tls);
}
