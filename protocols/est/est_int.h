/* What the files of the EST adapter share.
 *
 * An endpoint is one label (RFC 7030 3.2.2). Each operation is a function that takes a `struct est_call`, one request
 * of a client. It returns 0 when it has filled the reply, EST_ANSWERED when a function that it called has, or negative.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "protocols/adapter.h"

#include <pthread.h>
#include <stdatomic.h>

#define EST_ANSWERED 1 /* the reply is filled: end here */

/* How base64 in replies is broken into lines. */
enum est_base64 { EST_BASE64_AUTO, EST_BASE64_LINES, EST_BASE64_SINGLE };

struct est {
	struct ca_door *ca;
	const struct proto_waits *waits;
	char *endpoint, *profile;
	char *label;                     /* decoded; "" for the default one */
	struct ca_attribute *attributes; /* of the configuration */
	size_t n_attributes;
	enum est_base64 base64;
	struct est_cacerts *cacerts;
	_Atomic unsigned long long n_cacerts, n_refused;
};

struct est_call {
	struct est *est;
	const struct http_request *q;
	struct http_reply *r;
};

/* ---- protocols/est/est.c ---- */

/* A label that RFC 7030 3.2.2 allows: one segment of a path, and not the name of an operation. */
bool est_is_label(const char *label);

/* ---- protocols/est/message.c: what goes in and out as base64 ---- */

/* The octets of a request body: base64 (RFC 4648 4) with CR, LF, SP and TAB anywhere, and nothing else (RFC 8951 3).
 * 0; -EINVAL: no base64; -EMSGSIZE; -ENOMEM. */
int est_base64_read(struct bytes body, struct buf *der);

/* The body of a request that must be of this media type, into the arena. 0; EST_ANSWERED with 415 or 400. */
int est_read_body(struct est_call *c, const char *type, struct bytes *der);

/* Append base64 in the form that this client reads: older clients fail on any line break, others without. */
int est_base64_write(const struct est_call *c, struct bytes der, struct buf *out);

/* Reply with octets in that form, and Content-Transfer-Encoding, which RFC 8951 3 gave up but clients ask for. */
int est_reply_base64(struct est_call *c, int status, const char *type, struct bytes der);

/* Reply with one sentence (RFC 8951 5). Always EST_ANSWERED or negative. */
int est_refuse(struct est_call *c, int status, const char *text);
int est_refuse_later(struct est_call *c, int status, unsigned retry_after_s, const char *text); /* Retry-After */

/* ---- protocols/est/cacerts.c ---- */

int est_cacerts_new(struct est_cacerts **out);
void est_cacerts_drop(struct est_cacerts **cacerts);
int est_cacerts(struct est_call *c);
