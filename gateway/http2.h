/* HTTP/2 as a server (RFC 9113): octets in, requests out; replies in, octets out. No sockets, no threads.
 *
 * A connection has one `struct http2`. The owner feeds what the client sent and hands on what http2_take() gives.
 * Each request is a stream, and several are open at once:
 *
 *     head     the header section is there, in the fields of `struct http2_stream`; the owner looks up the route and
 *              sets `body_max`, and may answer at once
 *     request  the body is there too; the owner answers now or later with http2_reply()
 *     bad      the request is refused: the owner answers with this status
 *     gone     the stream is over, answered or not; the pointer is dead when the callback returns
 *
 * `head` or `bad` comes first; after an answer only `gone` comes. Requests obey the same rules as those of HTTP/1.1;
 * what RFC 9113 calls malformed ends the stream without a request. No push, no upgrade from cleartext.
 *
 * "100 Continue" is sent here when `head` did not answer. A client that only costs is cut (http2_guard.h):
 * http2_feed() or http2_take() says so, http2_cut_reason() why.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "core/base/buf.h"
#include "protocols/http_msg.h"

#define HTTP2_STREAMS_MAX 32
#define HTTP2_FIELDS_MAX 100
#define HTTP2_CONTINUATIONS_MAX 8
#define HTTP2_TABLE_SIZE 4096          /* of HPACK */
#define HTTP2_BODIES_EXTRA (256u << 10) /* of unfinished bodies of one connection, besides the largest one */

enum http2_cut {
	HTTP2_CUT_NONE,
	HTTP2_CUT_RESETS,   /* too many streams ended before their answer */
	HTTP2_CUT_CONTROL,  /* too many frames that serve no request */
	HTTP2_CUT_HEADERS,  /* a header section far over the limit, or in too many pieces */
	HTTP2_CUT_PROTOCOL, /* not HTTP/2 */
	HTTP2_CUT_QUEUE,    /* it makes us answer faster than it reads */
	HTTP2_CUT_STALLED,  /* a deadline passed */
	HTTP2_CUT_INTERNAL, /* no memory */
	HTTP2_CUTS_
};

const char *http2_cut_name(enum http2_cut cut); /* "resets" */

struct http2_options {
	size_t line_max, head_max;  /* octets of :path; of all other fields */
	size_t body_max;            /* until `head` said otherwise */
	size_t arena_extra;         /* what a handler may take besides the request */
	unsigned head_ms, body_ms;  /* for a header section, for a body */
	unsigned write_ms;          /* in which a client takes 8 KiB of a reply, or the rest */
	unsigned idle_ms;           /* without any stream */
};

struct http2_stream {
	/* From `head` on; after `bad` what was read so far. Text lives in `arena` and dies with it. */
	const char *method;         /* NULL: there is none */
	const char *path;
	const char *query;          /* NULL: none */
	const char *host;           /* the :authority, or the Host that stands for it */
	const char *scheme;
	struct http_header *headers;
	size_t n_headers;
	bool expects_continue;      /* the client waits for 100 before the body */
	int64_t received_ms;        /* wall time of the header section */
	size_t body_max;            /* the owner's to set in `head` */
	void *owner;                /* the owner's */
	/* From `request` on; the owner may take both away. */
	struct buf body;
	struct arena *arena;
	/* Private. */
	struct http2_stream *next, **link;
	int32_t id;
	int phase;
	int status;                 /* of the refusal; 0: none */
	const char *why;
	size_t list_octets;         /* of fields that count against head_max */
	uint64_t length;            /* Content-Length */
	bool has_length, is_head;
	int64_t by_ms;              /* the stream's deadline */
	struct buf reply;
	struct http_octets *large;  /* instead of it; not counted as unsent, since it is in no memory */
	uint64_t sent, sent_at;       /* octets of the reply; at the last deadline */
};

struct http2_owner {
	void (*head)(void *owner, struct http2_stream *s);
	void (*request)(void *owner, struct http2_stream *s);
	void (*bad)(void *owner, struct http2_stream *s, int status, const char *why);
	void (*gone)(void *owner, struct http2_stream *s);
};

struct http2;

/* `events` is borrowed. 0 or -ENOMEM. */
int http2_new(struct http2 **out, const struct http2_options *options, const struct http2_owner *events, void *owner,
	      int64_t now_ms);
/* Calls `gone` for each open stream. */
void http2_drop(struct http2 **h2);

/* Octets of the client, at this monotonic time. 0 or HTTP2_CUT_IT: send what http2_take() still gives, then close. */
enum { HTTP2_CUT_IT = 1 };
int http2_feed(struct http2 *h2, struct bytes in, int64_t now_ms);

/* Append what the network is to get next, 32 KiB or less; nothing: there is nothing now. To be called after
 * http2_feed() and http2_reply(), and whenever there is room. 0 or HTTP2_CUT_IT. */
int http2_take(struct http2 *h2, struct buf *out, int64_t now_ms);

/* Answer a stream, once: takes the body's memory, copies the headers. A reply that cannot be sent becomes a 500,
 * which is the return value; otherwise 0. */
int http2_reply(struct http2 *h2, struct http2_stream *s, struct http_reply *reply, int64_t now_ms);

/* No new streams: those that are open finish. */
void http2_finish(struct http2 *h2);

/* Nothing more is to be read or sent. */
bool http2_is_done(const struct http2 *h2);

/* When http2_expire() is to be called, in monotonic time; INT64_MAX: never. */
int64_t http2_deadline(const struct http2 *h2);
/* 0: go on (an idle connection is told to finish); HTTP2_CUT_IT. */
int http2_expire(struct http2 *h2, int64_t now_ms);

/* Octets of replies that the client did not take yet. */
size_t http2_unsent(const struct http2 *h2);
enum http2_cut http2_cut_reason(const struct http2 *h2);
unsigned long long http2_frames(const struct http2 *h2); /* received */
