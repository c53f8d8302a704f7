/* A blocking HTTP/1.1 client over one TLS connection, kept alive unless it is closed between two calls.
 *
 * It takes what a well-behaved server sends: answers with Content-Length, no chunks. Whatever else comes is a
 * failure that is counted.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include <openssl/ssl.h>

#define HTTPS_URL_SIZE 512
#define HTTPS_ANSWER_SIZE 65536

struct https {
	SSL_CTX *ctx; /* borrowed */
	SSL *ssl;     /* NULL: not connected */
	bool resumes; /* each connection after the first one goes on with the session of the one before */
	SSL_SESSION *session;
	const char *content_type, *authorization; /* of requests; the second one may be NULL */
	unsigned connections, resumed;
	unsigned requests;
	const char *why; /* the kind of the last failure */

	/* The last answer. */
	int status;
	char nonce[128]; /* "" when it had none */
	char location[HTTPS_URL_SIZE];
	char *body; /* in `in`; ends in a NUL */
	size_t body_len;
	char in[HTTPS_ANSWER_SIZE];
};

/* A context that trusts the certificates of the PEM file and nothing else. NULL: it cannot be read. */
SSL_CTX *https_trust(const char *pem_path);

/* One request and its answer; connects first where needed. -1: `why` says what happened, and the connection is gone. */
int https_call(struct https *h, const char *method, const char *url, const char *body, size_t body_len);

void https_close(struct https *h);
void https_fini(struct https *h);
