/* What an adapter sees of HTTP: a request that was read whole, and a reply to fill.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "core/base/arena.h"
#include "core/base/buf.h"

#include <stdbool.h>

#define HTTP_PARAMS_MAX 4
#define HTTP_REPLY_HEADERS_MAX 24
#define HTTP_REPLY_BODY_MAX (1u << 20)

struct http_header {
	const char *name;  /* lower case */
	const char *value; /* without outer blanks; no control octets */
};

/* Everything is borrowed and lives until the handler returned. */
struct http_request {
	const char *method;                   /* "GET", "HEAD", "POST" */
	const char *path;                     /* as sent: not decoded, without the query */
	const char *query;                    /* after '?'; NULL when there is none */
	const char *params[HTTP_PARAMS_MAX];  /* what the {…} of the route matched, in order */
	const struct http_header *headers;
	size_t n_headers;
	struct bytes body;
	const char *peer_address;             /* text, without port */
	const char *base_url;                 /* "https://ca.example:8443": absolute URLs start with it */
	bool is_tls;
	struct bytes peer_certificate;        /* DER; empty without a client certificate */
	int64_t received_ms;                  /* wall time of the first octet */
	struct arena *arena;                  /* dies with the request */
};

struct http_reply {
	int status;                           /* 0 until the handler set it */
	struct http_header headers[HTTP_REPLY_HEADERS_MAX];
	size_t n_headers;
	struct buf body;
	struct arena *arena;                  /* holds the headers' text */
};

/* The only value of a header (`name` in lower case); NULL when it is absent. A header sent twice gives the first. */
const char *http_request_header(const struct http_request *q, const char *name);

/* The media type of the request without parameters equals `type`, without case. */
bool http_request_has_type(const struct http_request *q, const char *type);

/* All return 0, -ENOMEM, or -EMSGSIZE (too many headers, body over HTTP_REPLY_BODY_MAX), so that a handler can end
 * with `return http_reply_…`. */
int http_reply_header(struct http_reply *r, const char *name, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
int http_reply_body(struct http_reply *r, int status, const char *type, struct bytes body);
int http_reply_text(struct http_reply *r, int status, const char *text); /* text/plain, with a newline */
int http_reply_retry_after(struct http_reply *r, unsigned seconds);
