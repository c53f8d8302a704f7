/* Fuzz target: the HTTP/1.1 parser.
 *
 * The first octet says how the rest is cut into pieces. What the parser says must not depend on that: the same octets
 * are fed whole and in pieces, and the answers compared.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "gateway/http1.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct verdict {
	enum http1_event event;
	int status;
	unsigned requests;
	size_t body_octets, fields;
};

static void read_request(const struct http1 *p, struct verdict *v)
{
	size_t i;

	v->requests++;
	v->body_octets += p->body.len;
	v->fields += p->n_headers;
	/* What handlers may rely on. */
	if (*p->path != '/' || p->body.len > p->limits.body_max || (!p->host && !p->is_http10))
		abort();
	if (p->host && (!*p->host || strpbrk(p->host, "/?#@")))
		abort();
	for (i = 0; i < p->n_headers; i++)
		if (strpbrk(p->headers[i].name, "\r\n :") || strpbrk(p->headers[i].value, "\r\n\t"))
			abort();
}

/* Work off what is there; true when the parser is done with this connection. */
static bool settle(struct http1 *p, struct verdict *v)
{
	for (;;) {
		v->event = http1_step(p);
		if (v->event == HTTP1_MORE)
			return false;
		if (v->event == HTTP1_BAD) {
			v->status = p->status;
			if (v->status < 400 || v->status > 505 || !p->why || (p->method && !*p->method))
				abort();
			return true;
		}
		if (v->event == HTTP1_DONE) {
			read_request(p, v);
			http1_next(p);
		}
	}
}

static struct verdict parse(struct bytes in, size_t piece)
{
	struct http1_limits limits = { .line_max = 128, .head_max = 512, .body_max = 256, .allow_http10 = true };
	struct verdict v = { HTTP1_MORE, 0, 0, 0, 0 };
	struct http1 p;
	uint8_t *room;
	size_t n;

	http1_init(&p, &limits);
	while (in.len) {
		room = http1_room(&p, &n);
		if (!room)
			abort();
		n = n < piece ? n : piece;
		n = n < in.len ? n : in.len;
		memcpy(room, in.ptr, n);
		http1_added(&p, n);
		in.ptr += n;
		in.len -= n;
		if (settle(&p, &v))
			break;
	}
	http1_fini(&p);
	return v;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct verdict whole, pieces;

	if (size < 1)
		return 0;
	whole = parse(bytes_of(data + 1, size - 1), SIZE_MAX);
	pieces = parse(bytes_of(data + 1, size - 1), (size_t)data[0] + 1);
	if (whole.event != pieces.event || whole.status != pieces.status || whole.requests != pieces.requests ||
	    whole.body_octets != pieces.body_octets || whole.fields != pieces.fields)
		abort();
	return 0;
}
