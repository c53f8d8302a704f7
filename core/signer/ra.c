/* What the key of a registration authority does.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "core/signer/ra.h"

#include <errno.h>

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/rsa.h>

#include "core/base/der.h"
#include "core/base/digest.h"

#define MODULUS_MAX 512
#define ATTRIBUTES_MAX ((size_t)8 << 10)

/* ---- envelopes ---- */

/* All ones when `a` is 0, all zeros otherwise; without a branch. */
static uint8_t mask_of_zero(unsigned a)
{
	return (uint8_t)(((a | -a) >> (8 * sizeof(a) - 1)) - 1);
}

/* 00 02 PS 00 M (RFC 8017 7.2.2), M of exactly `n` octets: then where the 00 stands is known, and nothing of the
 * message decides what is looked at. */
static uint8_t check_padding(const uint8_t *message, size_t size, size_t n)
{
	size_t end = size - n - 1;
	uint8_t good = mask_of_zero(message[0]) & mask_of_zero(message[1] ^ 2u) & mask_of_zero(message[end]);

	for (size_t i = 2; i < end; i++)
		good &= (uint8_t)~mask_of_zero(message[i]);
	return good;
}

static int set_padding(EVP_PKEY_CTX *ctx, enum signer_wrapping wrapping)
{
	const EVP_MD *md = wrapping == SIGNER_WRAPPING_OAEP_SHA256 ? EVP_sha256() : EVP_sha1();

	if (wrapping == SIGNER_WRAPPING_PKCS1)
		return EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_NO_PADDING);
	return EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_OAEP_PADDING) == 1 &&
	       EVP_PKEY_CTX_set_rsa_oaep_md(ctx, md) == 1 && EVP_PKEY_CTX_set_rsa_mgf1_md(ctx, md) == 1;
}

/* The whole block of PKCS #1 v1.5, or the message of OAEP; how many octets, 0: what was wrapped is no number below
 * the modulus, or OAEP's padding, which libcrypto checks in constant time, is wrong. */
static size_t decrypt(EVP_PKEY *pkey, enum signer_wrapping wrapping, struct bytes wrapped,
		      uint8_t out[static MODULUS_MAX])
{
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(pkey, NULL);
	size_t n = MODULUS_MAX;
	int ok = ctx && EVP_PKEY_decrypt_init(ctx) == 1 && set_padding(ctx, wrapping) == 1 &&
		 EVP_PKEY_decrypt(ctx, out, &n, wrapped.ptr, wrapped.len) == 1;

	EVP_PKEY_CTX_free(ctx);
	ERR_clear_error();
	return ok ? n : 0;
}

/* What is no number for the key could be refused at once, and everybody can see that it is none; yet with one time for
 * all that fails there is nothing to reason about. */
static int spend_time(EVP_PKEY *pkey, size_t size)
{
	uint8_t wrapped[MODULUS_MAX] = { 0 }, message[MODULUS_MAX];

	if (random_octets(wrapped + 1, size - 1))
		return -EIO;
	(void)decrypt(pkey, SIGNER_WRAPPING_PKCS1, bytes_of(wrapped, size), message);
	OPENSSL_cleanse(message, sizeof(message));
	return 0;
}

int ra_unwrap(EVP_PKEY *pkey, enum signer_wrapping wrapping, struct bytes wrapped, uint8_t *out, size_t n)
{
	uint8_t message[MODULUS_MAX] = { 0 };
	size_t size = (size_t)EVP_PKEY_get_size(pkey), got;
	const uint8_t *found = message;
	uint8_t good = 0;

	if (n < 8 || n > SIGNER_UNWRAPPED_MAX || size > MODULUS_MAX)
		return -EINVAL;
	if (random_octets(out, n))
		return -EIO;
	got = wrapped.len == size ? decrypt(pkey, wrapping, wrapped, message) : 0;
	if ((wrapped.len != size || (!got && wrapping == SIGNER_WRAPPING_PKCS1)) && spend_time(pkey, size))
		return -EIO;
	if (wrapping == SIGNER_WRAPPING_PKCS1 && got == size) {
		good = check_padding(message, size, n);
		found = message + size - n;
	} else if (wrapping != SIGNER_WRAPPING_PKCS1) {
		good = mask_of_zero((unsigned)(got ^ n));
	}
	for (size_t i = 0; i < n; i++)
		out[i] = (uint8_t)((found[i] & good) | (out[i] & ~good));
	OPENSSL_cleanse(message, sizeof(message));
	return 0;
}

/* ---- signed attributes ---- */

#define CONTENT_TYPE "\x2a\x86\x48\x86\xf7\x0d\x01\x09\x03"
#define MESSAGE_DIGEST "\x2a\x86\x48\x86\xf7\x0d\x01\x09\x04"

static bool is_oid(struct bytes oid, const char *octets, size_t n)
{
	return bytes_equal(oid, bytes_of(octets, n));
}

const char *ra_refuses_attributes(struct bytes attributes, size_t digest_size)
{
	struct bytes list, attribute, oid, values, value;
	unsigned n_types = 0, n_digests = 0, tag;

	if (attributes.len > ATTRIBUTES_MAX || der_check(attributes, 8) ||
	    der_expect(&attributes, DER_SET, &list) || attributes.len)
		return "signed attributes are a SET in DER, of at most 8 KiB";
	while (list.len) {
		if (der_expect(&list, DER_SEQUENCE, &attribute) || der_expect(&attribute, DER_OID, &oid) ||
		    der_expect(&attribute, DER_SET, &values) || attribute.len ||
		    der_read(&values, &tag, &value, NULL) || values.len)
			return "a signed attribute is an OBJECT IDENTIFIER and a SET of one value";
		n_types += is_oid(oid, CONTENT_TYPE, sizeof(CONTENT_TYPE) - 1);
		if (is_oid(oid, MESSAGE_DIGEST, sizeof(MESSAGE_DIGEST) - 1)) {
			if (tag != DER_OCTET_STRING || value.len != digest_size)
				return "the message digest is not one of the algorithm that signs";
			n_digests++;
		}
	}
	return n_types == 1 && n_digests == 1 ? NULL : "signed attributes have one content type and one message digest";
}
