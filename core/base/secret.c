/* What works on secrets, from libcrypto.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "core/base/secret.h"

#include <errno.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/kdf.h>

int secret_mac(struct bytes key, struct bytes data, uint8_t out[static SHA256_SIZE])
{
	static const uint8_t nothing[1];
	unsigned n = 0;

	return HMAC(EVP_sha256(), key.ptr, (int)key.len, data.ptr ? data.ptr : nothing, data.len, out, &n) ? 0 : -EIO;
}

int secret_derive(struct bytes password, const struct secret_cost *cost,
		  const uint8_t salt[static PASSWORD_SALT_SIZE], uint8_t out[static PASSWORD_HASH_SIZE])
{
	EVP_KDF *kdf = EVP_KDF_fetch(NULL, OSSL_KDF_NAME_SCRYPT, NULL);
	EVP_KDF_CTX *ctx = kdf ? EVP_KDF_CTX_new(kdf) : NULL;
	uint64_t n = cost->n, memory = SECRET_MEMORY_MAX;
	uint32_t r = cost->r, p = cost->p;
	OSSL_PARAM params[] = {
		OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_PASSWORD, (void *)(uintptr_t)password.ptr,
						  password.len),
		OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_SALT, (void *)(uintptr_t)salt, PASSWORD_SALT_SIZE),
		OSSL_PARAM_construct_uint64(OSSL_KDF_PARAM_SCRYPT_N, &n),
		OSSL_PARAM_construct_uint32(OSSL_KDF_PARAM_SCRYPT_R, &r),
		OSSL_PARAM_construct_uint32(OSSL_KDF_PARAM_SCRYPT_P, &p),
		OSSL_PARAM_construct_uint64(OSSL_KDF_PARAM_SCRYPT_MAXMEM, &memory),
		OSSL_PARAM_construct_end(),
	};
	bool ok = ctx && EVP_KDF_derive(ctx, out, PASSWORD_HASH_SIZE, params) == 1;

	EVP_KDF_CTX_free(ctx);
	EVP_KDF_free(kdf);
	ERR_clear_error();
	return ok ? 0 : -EIO;
}

int secret_hash_password(struct bytes password, const uint8_t salt[static PASSWORD_SALT_SIZE],
			 uint8_t out[static PASSWORD_HASH_SIZE])
{
	return secret_derive(password, &(struct secret_cost){ .n = 1u << 14, .r = 8, .p = 1 }, salt, out);
}

bool secret_equal(const void *a, const void *b, size_t n)
{
	return CRYPTO_memcmp(a, b, n) == 0;
}

static void wipe_and_free(void *p, const char *file, int line)
{
	if (p)
		explicit_bzero(p, malloc_usable_size(p));
	free(p);
}

static void *wipe_and_grow(void *p, size_t size, const char *file, int line)
{
	size_t old = p ? malloc_usable_size(p) : 0;
	void *grown;

	if (old >= size && size)
		return p;
	grown = size ? malloc(size) : NULL;
	if (grown && p)
		memcpy(grown, p, old);
	if (grown || !size)
		wipe_and_free(p, file, line);
	return grown;
}

static void *get(size_t size, const char *file, int line)
{
	return malloc(size);
}

int secret_wipe_freed(void)
{
	return CRYPTO_set_mem_functions(get, wipe_and_grow, wipe_and_free) == 1 ? 0 : -EIO;
}
