/* What an adapter sees of HTTP: a request that was read whole, and a reply to fill.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "core/base/arena.h"
#include "core/base/buf.h"
#include "protocols/http_octets.h"

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
	/* For handlers of an adapter that has PROTO_CAP_TLS_CLIENT_AUTH, all empty for others. That the client has the
	 * key of its certificate is proven, and nothing else is known of it: not who issued it, not whether it expired.
	 */
	struct bytes peer_certificate;        /* DER; empty without a client certificate */
	struct bytes peer_chain;              /* DER certificates that it sent behind it, one after the other */
	/* Values that only the two ends of this connection know, to bind something else to it. */
	struct bytes tls_unique;              /* 12 octets (RFC 5929 3); empty on TLS 1.3, and on a resumed session of
					       * TLS 1.2 without extended master secret */
	struct bytes tls_exporter;            /* 32 octets (RFC 9266); empty on TLS 1.2 without that secret */
	int64_t received_ms;                  /* wall time of the first octet */
	struct arena *arena;                  /* dies with the request */
};

struct http_reply {
	int status;                           /* 0 until the handler set it */
	struct http_header headers[HTTP_REPLY_HEADERS_MAX];
	size_t n_headers;
	struct buf body;
	struct http_octets *large;            /* instead of `body`; a reference of the reply's own */
	struct arena *arena;                  /* holds the headers' text */
};

/* The only value of a header (`name` in lower case); NULL when it is absent. A header sent twice gives the first. */
const char *http_request_header(const struct http_request *q, const char *name);

/* The media type of the request without parameters equals `type`, without case. */
bool http_request_has_type(const struct http_request *q, const char *type);

/* The first parameter of this name in a query (NULL: there is none), as it was sent: not decoded. .ptr NULL: it is not
 * there. */
struct bytes http_query_find(const char *query, const char *name);

#define HTTP_DATE_SIZE 32
/* RFC 9110 5.6.7; "" for a time beyond the calendar. */
const char *http_date_print(int64_t seconds, char out[static HTTP_DATE_SIZE]);

/* The form that http_date_print() writes, and no other. 0 or -EINVAL. */
int http_date_parse(const char *text, int64_t *seconds);

/* All return 0, -ENOMEM, or -EMSGSIZE (too many headers, body over HTTP_REPLY_BODY_MAX), so that a handler can end
 * with `return http_reply_…`. */
int http_reply_header(struct http_reply *r, const char *name, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
int http_reply_body(struct http_reply *r, int status, const char *type, struct bytes body);
int http_reply_large(struct http_reply *r, int status, const char *type, struct http_octets *body); /* holds it */
int http_reply_text(struct http_reply *r, int status, const char *text); /* text/plain, with a newline */
int http_reply_retry_after(struct http_reply *r, unsigned seconds);
