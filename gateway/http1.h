/* HTTP/1.1 requests read strictly, replies written: octets in, octets out, no sockets (RFC 9112).
 *
 * A connection has one `struct http1`. The owner puts octets where `http1_room()` says and counts them with
 * `http1_added()`, then calls `http1_step()` until it answers HTTP1_MORE:
 *
 *     HTTP1_HEAD   request line and header section stand in the public fields below; the owner looks up the route,
 *                  may set the body limit, may send "100 Continue" when `expects_continue`, and steps on
 *     HTTP1_DONE   the body is there too; after the reply `http1_next()` makes room for the next request, which
 *                  may already stand in the buffer (pipelining)
 *     HTTP1_BAD    `status` and `why` say what to answer; the connection is closed after that answer
 *
 * What two parsers could read differently is refused, not repaired: bare LF, folded lines, blanks before the colon,
 * both or several framing fields, any transfer coding but `chunked`, more or fewer than one Host. The verdict never
 * depends on how the octets were cut into pieces. Nothing is decoded: the path is compared as it was sent.
 *
 * Everything a request holds lives in one buffer, in place; pointers are valid until the next call of any function
 * here besides http1_header().
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "core/base/buf.h"
#include "protocols/http_msg.h"

#define HTTP1_FIELDS_MAX 100
#define HTTP1_EXTENSIONS_MAX 256 /* octets of chunk extensions in one body */
#define HTTP1_TRAILER_MAX 4096   /* octets of the trailer section */
#define HTTP1_EMPTY_LINES_MAX 2  /* before a request line (RFC 9112 2.2) */

struct http1_limits {
	size_t line_max;   /* octets of the request line; more is 414 */
	size_t head_max;   /* octets of the header section; more is 431 */
	size_t body_max;   /* octets of a body; more is 413 */
	bool allow_http10; /* old clients; otherwise 505 */
};

#define HTTP1_LIMITS_DEFAULT ((struct http1_limits){ .line_max = 8192, .head_max = 16384, .body_max = 65536 })

enum http1_event { HTTP1_MORE, HTTP1_HEAD, HTTP1_DONE, HTTP1_BAD };

struct http1 {
	/* From HTTP1_HEAD on. */
	const char *method;       /* "GET", "HEAD", "POST" */
	const char *path;         /* as sent, up to the query */
	const char *query;        /* after '?'; NULL: none */
	const char *host;         /* of an absolute target, else of Host; NULL: HTTP/1.0 without one */
	struct http_header headers[HTTP1_FIELDS_MAX];
	size_t n_headers;
	bool is_http10;
	bool is_absolute;         /* the target was "http://host/path": the header `host` has that host, too */
	bool keeps_alive;         /* what the client wants */
	bool expects_continue;    /* it waits for "100 Continue" before the body */
	/* From HTTP1_DONE on. */
	struct bytes body;
	/* With HTTP1_BAD. */
	int status;
	const char *why;          /* one line for the client; a constant */

	/* Private. Places are offsets into `in`: the buffer moves when it grows. */
	struct http1_limits limits;
	struct buf in;
	int phase;
	size_t scan, line;        /* first octet not looked at; start of the current line or piece */
	size_t method_at, path_at, query_at, host_at;
	size_t fields_at, body_at, body_len;
	uint64_t left;            /* octets of the body or chunk still to come */
	unsigned n_empty, n_lengths, n_codings, n_hosts, n_trailers;
	size_t extension_octets, trailer_octets;
	uint32_t name_at[HTTP1_FIELDS_MAX], value_at[HTTP1_FIELDS_MAX];
};

void http1_init(struct http1 *p, const struct http1_limits *limits);
void http1_fini(struct http1 *p);

/* Where the next octets go: `*size` of them at most, never 0. NULL without memory. */
uint8_t *http1_room(struct http1 *p, size_t *size);
void http1_added(struct http1 *p, size_t n);

enum http1_event http1_step(struct http1 *p);

/* The body limit of the route, after HTTP1_HEAD. */
void http1_limit_body(struct http1 *p, size_t body_max);

/* After the reply: forget the request, keep what was sent behind it. */
void http1_next(struct http1 *p);

/* Octets are there that belong to a request which is not complete, more than empty lines before it. */
bool http1_has_begun(const struct http1 *p);
/* The header section is complete, the body is not. */
bool http1_is_in_body(const struct http1 *p);

/* Make `q` a copy of a complete request with one block of the arena; the caller sets what HTTP does not know.
 * 0 or -ENOMEM. */
int http1_copy(const struct http1 *p, struct arena *arena, struct http_request *q);

/* Append the reply on the wire. `is_head`: without the body. Date, Content-Length and Connection are written here;
 * what a handler set for them is dropped. 0; -EINVAL for a status or header that cannot be sent; -ENOMEM; -EMSGSIZE.
 */
struct http1_reply_options {
	bool is_head;
	bool is_http10;
	bool closes;
	int64_t now_s; /* wall time, for Date */
};
int http1_reply_print(struct buf *out, const struct http_reply *r, const struct http1_reply_options *options);

/* The standard words of a status; "Unknown" for others. */
const char *http1_status_words(int status);

#define HTTP1_CONTINUE "HTTP/1.1 100 Continue\r\n\r\n"
