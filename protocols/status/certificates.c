/* The certificates of a CA: one for each of its keys, alone or with those above it.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "protocols/status/status_int.h"

#include <errno.h>
#include <stdlib.h>

#include "core/base/der.h"
#include "protocols/bundle.h"

#define CHAIN_MAX ((size_t)256 << 10)
#define MAX_AGE_S 3600

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
		return bundle_write_certificates(chain, out);
	return der_read(&chain, &tag, &content, &first) ? -EINVAL : buf_append(out, first);
}

/* 0; CA_CALL_NOT_FOUND; CA_CALL_BUSY; negative. */
static int get_chain(struct status *s, unsigned key, struct buf *chain)
{
	int e;

	if (!asks_enter(s->asks))
		return CA_CALL_BUSY;
	e = ca_get_key_chain(s->ca, key, chain);
	asks_leave(s->asks);
	return e;
}

int status_certificate_get(void *state, const struct http_request *q, struct http_reply *r)
{
	struct status *s = state;
	OWNED_BUF chain = BUF_INIT(CHAIN_MAX), body = BUF_INIT(CHAIN_MAX + 256);
	struct status_document d = { .max_age_s = MAX_AGE_S };
	unsigned key = 0;
	size_t form = 0;
	int e = read_name(q->params[0], &key, &form) ? CA_CALL_NOT_FOUND : get_chain(s, key, &chain);

	if (e == CA_CALL_NOT_FOUND)
		return http_reply_text(r, 404, "this CA has no such certificate");
	if (e == CA_CALL_BUSY)
		return status_reply_busy(r);
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
