/* One HTTP request to one address. The only file that touches libcurl.
 *
 * Whatever a client can make us contact is hostile, and what an administrator named is not trusted with more than its
 * answer. So: the address is given, not looked up; proxies, netrc, cookies,
 * credentials, redirects, compression and every scheme but http and https are off; the answer is cut off at a few
 * hundred octets of body and 16 KiB of header; and time is bounded for the whole.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <curl/curl.h>
#include <stdatomic.h>

#include "core/base/buf.h"
#include "gateway/validator/address.h"

#define FETCH_URL_MAX 2048

/* A target of the administrator's: who it is is proven, and it is told something. */
struct fetch_to_target {
	struct bytes authorities;          /* PEM: whose certificate it must have; empty: one of the system's */
	const char *const *headers;        /* "Name: value", ends with NULL; NULL: none */
	struct bytes body;                 /* posted; .ptr NULL: GET */
};

struct fetch {
	const char *url;                   /* http or https, checked */
	struct ip_address address;         /* where to connect; nowhere else */
	uint16_t port;
	const struct address_rules *rules; /* judged once more when the socket is opened; NULL: any, for a target */
	const atomic_bool *stop;           /* true: give up soon */
	int64_t timeout_ms;
	const struct fetch_to_target *target; /* NULL: what a client named */
};

struct fetch_reply {
	long status;                        /* HTTP status */
	bool has_location;                  /* exactly one Location header, and it fits */
	char location[FETCH_URL_MAX];
	char fault[96];                     /* what libcurl calls what went wrong; "" when nothing did */
	struct buf body;                    /* of status 200 only; its limit is the caller's; failed: it was larger */
};

enum {
	FETCH_NO_CONNECTION = 1, /* refused, unreachable, timed out before there was a connection */
	FETCH_BROKEN = 2,        /* connected, but no usable HTTP answer came in time */
	FETCH_TLS = 3,
	FETCH_FORBIDDEN = 4,     /* the address is not allowed */
};

/* libcurl set up once for the process. 0 or -EIO. */
int fetch_global_init(void);

/* 0 with `out` filled, one of the above, or negative. `curl` is reused from call to call by one thread. */
int fetch_run(CURL *curl, const struct fetch *what, struct fetch_reply *out);

/* The callback that opens sockets (CURLOPT_OPENSOCKETFUNCTION); `arg` is a struct fetch. For tests. */
curl_socket_t fetch_open_socket(void *arg, curlsocktype purpose, struct curl_sockaddr *to);

/* A URL taken apart: what is needed to judge it. */
struct fetch_url {
	char text[FETCH_URL_MAX]; /* normalized, absolute, without fragment */
	char host[256];           /* without brackets */
	uint16_t port;
};

enum { FETCH_URL_REFUSED = 1 };

/* `location`, relative to `base`, taken apart. FETCH_URL_REFUSED: no URL, another scheme than http and https, user
 * information, an IPv6 zone, a host that is neither a DNS name nor an address. */
int fetch_url_join(struct fetch_url *out, const char *base, const char *location);
