/* Public keys of RSA.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "core/base/rsa_key.h"

#include <errno.h>

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/param_build.h>

#include "core/base/der.h"

/* A positive INTEGER without a needless zero in front. */
static BIGNUM *read_positive(struct bytes *in)
{
	struct bytes content;

	if (der_expect(in, DER_INTEGER, &content) || content.len == 0 || (content.ptr[0] & 0x80) ||
	    (content.len > 1 && content.ptr[0] == 0 && !(content.ptr[1] & 0x80)))
		return NULL;
	return BN_bin2bn(content.ptr, (int)content.len, NULL);
}

int rsa_key_read(struct bytes der, BIGNUM **n, BIGNUM **e)
{
	struct bytes numbers;

	*n = *e = NULL;
	if (der_expect(&der, DER_SEQUENCE, &numbers) || der.len)
		return -EINVAL;
	*n = read_positive(&numbers);
	*e = *n ? read_positive(&numbers) : NULL;
	if (*e && !numbers.len)
		return 0;
	BN_free(*n);
	BN_free(*e);
	*n = *e = NULL;
	return -EINVAL;
}

static EVP_PKEY *import(OSSL_PARAM *params)
{
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "RSA", NULL);
	EVP_PKEY *key = NULL;

	if (!ctx || EVP_PKEY_fromdata_init(ctx) != 1 || EVP_PKEY_fromdata(ctx, &key, EVP_PKEY_PUBLIC_KEY, params) != 1)
		key = NULL;
	EVP_PKEY_CTX_free(ctx);
	ERR_clear_error();
	return key;
}

EVP_PKEY *rsa_key_import(const BIGNUM *n, const BIGNUM *e)
{
	OSSL_PARAM_BLD *build = OSSL_PARAM_BLD_new();
	OSSL_PARAM *params = NULL;
	EVP_PKEY *key = NULL;

	if (build && OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_N, n) &&
	    OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_E, e))
		params = OSSL_PARAM_BLD_to_param(build);
	if (params)
		key = import(params);
	OSSL_PARAM_free(params);
	OSSL_PARAM_BLD_free(build);
	return key;
}

EVP_PKEY *rsa_key_from_spki(struct bytes spki)
{
	/* RFC 3279 2.3.1: rsaEncryption with NULL; then a BIT STRING without unused bits. */
	static const uint8_t rsa[] = { 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05, 0x00 };
	struct bytes parts, algorithm, bits;
	BIGNUM *n, *e;
	EVP_PKEY *key;

	if (der_expect(&spki, DER_SEQUENCE, &parts) || spki.len || der_expect(&parts, DER_SEQUENCE, &algorithm) ||
	    der_expect(&parts, DER_BIT_STRING, &bits) || parts.len || bits.len < 2 || bits.ptr[0] != 0 ||
	    !bytes_equal(algorithm, bytes_of(rsa, sizeof(rsa))) ||
	    rsa_key_read(bytes_of(bits.ptr + 1, bits.len - 1), &n, &e))
		return NULL;
	key = rsa_key_import(n, e);
	BN_free(n);
	BN_free(e);
	return key;
}
