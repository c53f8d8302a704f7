/* What a profile demands, written as CsrAttrs: whatever the demands are, what comes out is one DER element, and
 * libcrypto reads it.
 *
 * The octets: the kinds of keys, the size, the digest, then lines of subject parts ("OID=value") and attributes (OIDs).
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdlib.h>

#include <openssl/asn1.h>

#include "core/base/der.h"
#include "core/base/own.h"
#include "protocols/est/csrattrs_write.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define LINES_MAX 64

static size_t split(char *text, char **lines)
{
	size_t n = 0;

	while (text && n < LINES_MAX)
		lines[n++] = strsep(&text, "\n");
	return n;
}

static void check(struct bytes der)
{
	const uint8_t *p = der.ptr;
	ASN1_TYPE *read = d2i_ASN1_TYPE(NULL, &p, (long)der.len);

	if (der_check(der, 16) || !read || p != der.ptr + der.len || ASN1_TYPE_get(read) != V_ASN1_SEQUENCE)
		abort();
	ASN1_TYPE_free(read);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const kinds[] = { "rsa", "ec-p256", "ec-p384", "ed25519", "other" };
	static const char *const digests[] = { NULL, "sha256", "sha384", "sha512", "md5" };
	struct ca_form_part subject[LINES_MAX];
	const char *attributes[LINES_MAX + 1] = { NULL }, *keys[3] = { NULL };
	struct ca_request_form form = { .key_types = keys, .subject = subject, .attributes = attributes };
	OWNED_STR text = NULL;
	char *lines[LINES_MAX];
	size_t n_attributes = 0;

	if (size < 4)
		return 0;
	for (size_t i = 0; i < (size_t)(data[0] & 1) + 1; i++)
		keys[i] = kinds[(data[0] >> (1 + 3 * i) & 7) % 5];
	form.rsa_bits = (unsigned)data[1] * 64;
	form.digest = digests[data[2] % 5];
	text = strndup((const char *)data + 4, size - 4);
	for (size_t i = 0, n = text ? split(text, lines) : 0; i < n; i++) {
		char *equals = strchr(lines[i], '=');

		if (!equals) {
			attributes[n_attributes++] = lines[i];
			continue;
		}
		*equals = '\0';
		subject[form.n_subject++] = (struct ca_form_part){ lines[i], equals[1] ? equals + 1 : NULL };
	}
	for (int which = EST_CSRATTRS_NONE; which <= EST_CSRATTRS_BOTH; which++) {
		OWNED_BUF out = BUF_INIT(1 << 16);

		if (est_csrattrs_write(&form, data[3] & 1, (enum est_csrattrs)which, &out) == 0 && out.len)
			check(buf_bytes(&out));
	}
	return 0;
}
