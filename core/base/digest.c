/* Digests and random octets.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "core/base/digest.h"

#include <errno.h>
#include <limits.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <pthread.h>
#include <stdlib.h>

#include "core/base/own.h"

/* Fetched once: OpenSSL 3 looks an algorithm up by name on every use otherwise, which costs more than the digest. */
static EVP_MD *sha256;
static pthread_once_t sha256_once = PTHREAD_ONCE_INIT;

static void fetch_sha256(void)
{
	sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
}

int digest_sha256(struct bytes data, uint8_t out[static SHA256_SIZE])
{
	pthread_once(&sha256_once, fetch_sha256);
	if (!sha256 || !EVP_Digest(data.ptr ? data.ptr : (const void *)"", data.len, out, NULL, sha256, NULL))
		return -EIO;
	return 0;
}

static bool add_piece(EVP_MD_CTX *ctx, struct bytes piece)
{
	uint8_t length[8];
	int i;

	for (i = 0; i < 8; i++)
		length[i] = (uint8_t)((uint64_t)piece.len >> (56 - 8 * i));
	return EVP_DigestUpdate(ctx, length, sizeof(length)) &&
	       (!piece.len || EVP_DigestUpdate(ctx, piece.ptr, piece.len));
}

int digest_sha256_pieces(const struct bytes *pieces, size_t n, uint8_t out[static SHA256_SIZE])
{
	EVP_MD_CTX *ctx;
	size_t i;
	bool ok;

	pthread_once(&sha256_once, fetch_sha256);
	ctx = EVP_MD_CTX_new();
	ok = ctx && sha256 && EVP_DigestInit_ex(ctx, sha256, NULL);
	for (i = 0; ok && i < n; i++)
		ok = add_piece(ctx, pieces[i]);
	ok = ok && EVP_DigestFinal_ex(ctx, out, NULL);
	EVP_MD_CTX_free(ctx);
	return ok ? 0 : -EIO;
}

static const struct {
	const char *name;
	size_t size;
} kinds[] = {
	[DIGEST_SHA1] = { "SHA1", 20 },
	[DIGEST_SHA256] = { "SHA256", 32 },
	[DIGEST_SHA384] = { "SHA384", 48 },
};

size_t digest_size(enum digest_kind kind)
{
	return kinds[kind].size;
}

int digest_of(enum digest_kind kind, struct bytes data, uint8_t out[static DIGEST_MAX])
{
	size_t n;

	if (!EVP_Q_digest(NULL, kinds[kind].name, NULL, data.ptr ? data.ptr : (const void *)"", data.len, out, &n))
		return -EIO;
	return 0;
}

int digest_md5(struct bytes data, uint8_t out[static MD5_SIZE])
{
	size_t n;

	return EVP_Q_digest(NULL, "MD5", NULL, data.ptr ? data.ptr : (const void *)"", data.len, out, &n) ? 0 : -EIO;
}

struct digest {
	EVP_MD_CTX *ctx;
};

struct digest *digest_new(void)
{
	OWNED(digest) d = calloc(1, sizeof(*d));

	pthread_once(&sha256_once, fetch_sha256);
	if (d)
		d->ctx = EVP_MD_CTX_new();
	return d && d->ctx && sha256 && EVP_DigestInit_ex(d->ctx, sha256, NULL) ? MOVE(d) : NULL;
}

int digest_add(struct digest *d, struct bytes piece)
{
	return !piece.len || EVP_DigestUpdate(d->ctx, piece.ptr, piece.len) ? 0 : -EIO;
}

int digest_end(struct digest **d, uint8_t out[static SHA256_SIZE])
{
	bool ok = EVP_DigestFinal_ex((*d)->ctx, out, NULL);

	digest_drop(d);
	return ok ? 0 : -EIO;
}

void digest_drop(struct digest **d)
{
	if (*d)
		EVP_MD_CTX_free((*d)->ctx);
	free(*d);
	*d = NULL;
}

int random_octets(void *out, size_t n)
{
	uint8_t *to = out;
	int part;

	for (; n; n -= (size_t)part, to += part) {
		part = n > INT_MAX ? INT_MAX : (int)n;
		if (RAND_bytes(to, part) != 1)
			return -EIO;
	}
	return 0;
}
