/* HTTP/2 clients for tests: a polite one by nghttp2, and a writer of single frames for the others.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "tests/unit/gateway/tls_client.h"

/* ---- frames ---- */

enum { H2_DATA, H2_HEADERS, H2_PRIORITY, H2_RST_STREAM, H2_SETTINGS, H2_PUSH_PROMISE, H2_PING, H2_GOAWAY,
       H2_WINDOW_UPDATE, H2_CONTINUATION };
enum { H2_END_STREAM = 1, H2_ACK = 1, H2_END_HEADERS = 4 };

void h2_preface(struct buf *out); /* the magic and an empty SETTINGS */
void h2_frame(struct buf *out, int type, int flags, uint32_t stream, struct bytes payload);
void h2_frame_number(struct buf *out, int type, uint32_t stream, uint32_t number); /* RST_STREAM, WINDOW_UPDATE */
/* HPACK: a literal field; `is_kept`: it goes into the table. */
void h2_field(struct buf *out, const char *name, const char *value, bool is_kept);
/* A whole request without body. */
void h2_request(struct buf *out, uint32_t stream, int flags, const char *method, const char *path);

/* ---- the polite client ---- */

struct h2_client;

struct h2_answer {
	int status;          /* 0: none came */
	uint32_t error;      /* of RST_STREAM; 0: none */
	bool is_over, was_continued;
	char allow[64], retry_after[16], location[64], length[16];
	struct buf body;     /* BUF_INIT() it first */
	struct bytes left;   /* of the request's body */
};

struct h2_header {
	const char *name, *value;
};

/* Over a connected socket; NULL when HTTP/2 is not agreed on. */
struct h2_client *h2_client_new(int fd);
void h2_client_drop(struct h2_client **client);

/* Send a request; `headers` ends with {0}. Without `is_raw` :scheme and :authority are added. `answer` must live until
 * it is over. */
void h2_client_ask(struct h2_client *client, const char *method, const char *path, const struct h2_header *headers,
		   struct bytes body, struct h2_answer *answer);
void h2_client_ask_raw(struct h2_client *client, const struct h2_header *headers, struct bytes body,
		       struct h2_answer *answer);

/* Until the answer is over, or the connection. False: it is not over. */
bool h2_client_wait(struct h2_client *client, const struct h2_answer *answer);

/* TLS records with data that came in. */
unsigned h2_client_records(const struct h2_client *client);

/* The server said that it takes no more streams. */
bool h2_client_is_going_away(const struct h2_client *client);
