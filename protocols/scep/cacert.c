/* GetCACert (RFC 8894 4.2): the certificate of the RA, to which clients encrypt, and those above it.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "protocols/scep/scep_int.h"

#include <errno.h>

#include "core/base/der.h"
#include "protocols/bundle.h"

#define ALL_MAX ((size_t)512 << 10)

static struct bytes first_of(struct bytes chain)
{
	struct bytes content, whole;
	unsigned tag;

	return der_read(&chain, &tag, &content, &whole) ? bytes_of(NULL, 0) : whole;
}

static int reply_bag(struct scep *s, const struct proto_ra_key *key, struct http_reply *r)
{
	OWNED_BUF all = BUF_INIT(ALL_MAX), bag = BUF_INIT(ALL_MAX + 256);
	int e = buf_append(&all, key->certificate);

	if (!e)
		e = buf_append(&all, s->cacert == SCEP_CACERT_CHAIN ? key->chain : first_of(key->chain));
	if (!e)
		e = bundle_write_in_order(buf_bytes(&all), &bag);
	return e ? e : http_reply_body(r, 200, "application/x-x509-ca-ra-cert", buf_bytes(&bag));
}

int scep_get_certificates(struct scep *s, const struct http_request *q, struct http_reply *r)
{
	struct proto_ra_key *keys;
	size_t n;
	int e = s->ra->list(s->ra->state, q->arena, &keys, &n);

	if (e == -ENOENT) {
		http_reply_retry_after(r, 5);
		return http_reply_text(r, 503, SCEP_NO_CERTIFICATE_TEXT);
	}
	if (e)
		return e;
	if (s->cacert == SCEP_CACERT_CA)
		return http_reply_body(r, 200, "application/x-x509-ca-cert", first_of(keys[0].chain));
	if (s->cacert == SCEP_CACERT_RA_ONLY)
		return http_reply_body(r, 200, "application/x-x509-ca-cert", keys[0].certificate);
	return reply_bag(s, &keys[0], r);
}
