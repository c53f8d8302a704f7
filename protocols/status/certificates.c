/* The certificates of a CA: one for each of its keys, alone or with those above it.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "protocols/status/status_int.h"

#include <errno.h>
#include <stdlib.h>

#include "core/base/der.h"

#define CHAIN_MAX ((size_t)256 << 10)
#define MAX_AGE_S 3600

#define BYTES(s) { (const uint8_t *)(s), sizeof(s) - 1 }

int status_write_bundle(struct bytes certificates, struct buf *out)
{
	static const struct bytes data = BYTES("\x30\x0b\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x01");
	static const struct bytes signed_data = BYTES("\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x02");
	static const struct bytes version_1 = BYTES("\x02\x01\x01"), none = BYTES("\x31\x00");
	OWNED_BUF content = BUF_INIT(CHAIN_MAX + 64), sequence = BUF_INIT(CHAIN_MAX + 64);
	OWNED_BUF info = BUF_INIT(CHAIN_MAX + 128);

	buf_append(&content, version_1);
	buf_append(&content, none); /* no digest, no signer */
	buf_append(&content, data);
	der_write(&content, DER_CONTEXT_0, certificates);
	buf_append(&content, none);
	der_write(&sequence, DER_SEQUENCE, buf_bytes(&content));
	buf_append(&info, signed_data);
	der_write(&info, DER_CONTEXT_0, buf_bytes(&sequence));
	if (buf_status(&content) || buf_status(&sequence) || buf_status(&info))
		return buf_status(&content) ? buf_status(&content) : -EMSGSIZE;
	return der_write(out, DER_SEQUENCE, buf_bytes(&info));
}

static const struct {
	const char *ending, *type;
	bool is_bundle;
} forms[] = {
	{ ".cer", "application/pkix-cert", false },
	{ ".p7c", "application/pkcs7-mime; smime-type=certs-only", true },
};
#define N_FORMS (sizeof(forms) / sizeof(*forms))

/* "0.cer": the number of a key without leading zeros, and one of the forms. */
static int read_name(const char *name, unsigned *key, size_t *form)
{
	size_t digits = strspn(name, "0123456789");

	if (digits == 0 || digits > 9 || (name[0] == '0' && digits > 1))
		return -EINVAL;
	*key = (unsigned)strtoul(name, NULL, 10);
	for (*form = 0; *form < N_FORMS; ++*form)
		if (strcmp(name + digits, forms[*form].ending) == 0)
			return 0;
	return -EINVAL;
}

/* `chain`: the certificate of the key, then its issuers'. */
static int make_body(struct bytes chain, bool is_bundle, struct buf *out)
{
	struct bytes content, first;
	unsigned tag;

	if (is_bundle)
		return status_write_bundle(chain, out);
	return der_read(&chain, &tag, &content, &first) ? -EINVAL : buf_append(out, first);
}

int status_certificate_get(void *state, const struct http_request *q, struct http_reply *r)
{
	struct status *s = state;
	OWNED_BUF chain = BUF_INIT(CHAIN_MAX), body = BUF_INIT(CHAIN_MAX + 256);
	struct status_document d = { .max_age_s = MAX_AGE_S };
	unsigned key = 0;
	size_t form = 0;
	int e = read_name(q->params[0], &key, &form) ? CA_CALL_NOT_FOUND : ca_get_key_chain(s->ca, key, &chain);

	if (e == CA_CALL_NOT_FOUND)
		return http_reply_text(r, 404, "this CA has no such certificate");
	if (e == CA_CALL_BUSY) {
		e = http_reply_retry_after(r, 2);
		return e ? e : http_reply_text(r, 503, "the CA does not answer at the moment");
	}
	if (!e)
		e = make_body(buf_bytes(&chain), forms[form].is_bundle, &body);
	if (e)
		return e;
	atomic_fetch_add(&s->certificates, 1);
	d.type = forms[form].type;
	d.body = buf_bytes(&body);
	e = status_document_tag(&d);
	return e ? e : status_document_reply(&d, q, r);
}
