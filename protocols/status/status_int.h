/* What the files of the status adapter share.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "protocols/adapter.h"
#include "protocols/status/answers.h"
#include "protocols/status/asks.h"
#include "protocols/status/lists.h"

#include <stdatomic.h>

struct status {
	struct ca_door *ca;
	struct asks *asks;
	struct answers *answers;
	struct lists *lists;
	_Atomic unsigned long long ocsp_asked, ocsp_recalled, ocsp_later, crls, certificates;
};

/* ---- protocols/status/document.c: what caches may keep ---- */

#define STATUS_ETAG_SIZE 67 /* 64 digits in quotes */

struct status_document {
	const char *type;
	struct bytes body;
	struct http_octets *large;     /* instead of it */
	int64_t modified_s, expires_s; /* 0: not said */
	int64_t max_age_s;             /* how long a cache answers without asking */
	char etag[STATUS_ETAG_SIZE];
};

/* Fill the tag from the body. 0 or -EIO. */
int status_document_tag(struct status_document *d);

/* Reply with it, or with 304 when the client has it (RFC 9110 13). */
int status_document_reply(const struct status_document *d, const struct http_request *q, struct http_reply *r);

/* 503: nothing can be said without the core, which does not answer. */
int status_reply_busy(struct http_reply *r);

/* ---- protocols/status/ocsp.c ---- */

int status_ocsp_get(void *state, const struct http_request *q, struct http_reply *r);
int status_ocsp_post(void *state, const struct http_request *q, struct http_reply *r);

/* What a client put behind the path of a GET request (RFC 6960 A.1): percent-decoded once, then base64 without
 * anything that two readers could read differently. 0; -EINVAL; -EMSGSIZE; -ENOMEM. */
int status_ocsp_decode(const char *path, struct buf *request);

/* ---- protocols/status/crl.c ---- */

int status_crl_get(void *state, const struct http_request *q, struct http_reply *r);

/* ---- protocols/status/certificates.c ---- */

int status_certificate_get(void *state, const struct http_request *q, struct http_reply *r);
