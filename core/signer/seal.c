/* Sealing of private keys at rest.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "core/signer/seal.h"

#include <errno.h>

#include <openssl/evp.h>

#include "core/base/digest.h"

#define SEAL_VERSION 1
#define NONCE_SIZE 12
#define TAG_SIZE 16

int seal_close(const uint8_t kek[static 32], struct bytes bound, struct bytes secret, struct buf *sealed)
{
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	uint8_t head[1 + NONCE_SIZE] = { SEAL_VERSION }, tag[TAG_SIZE];
	uint8_t *out;
	int n, e = -EIO;

	/* A random nonce is safe here: one key seals a handful of blobs in its life, far below 2^32. */
	if (ctx && random_octets(head + 1, NONCE_SIZE) == 0 && buf_append(sealed, bytes_of(head, sizeof(head))) == 0) {
		out = buf_room(sealed, secret.len);
		if (out && EVP_EncryptInit_ex(ctx, EVP_aes_256_gcm(), NULL, kek, head + 1) &&
		    EVP_EncryptUpdate(ctx, NULL, &n, bound.ptr, (int)bound.len) &&
		    EVP_EncryptUpdate(ctx, out, &n, secret.ptr, (int)secret.len) &&
		    EVP_EncryptFinal_ex(ctx, out + n, &n) &&
		    EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_GCM_GET_TAG, TAG_SIZE, tag)) {
			buf_added(sealed, secret.len);
			e = buf_append(sealed, bytes_of(tag, TAG_SIZE));
		}
	}
	EVP_CIPHER_CTX_free(ctx);
	return e;
}

int seal_open(const uint8_t kek[static 32], struct bytes bound, struct bytes sealed, uint8_t *secret, size_t *n)
{
	struct bytes head, text = { NULL, 0 };
	EVP_CIPHER_CTX *ctx;
	int m, e = -EBADMSG;

	if (!bytes_take(&sealed, 1 + NONCE_SIZE, &head) || head.ptr[0] != SEAL_VERSION || sealed.len < TAG_SIZE)
		return -EBADMSG;
	bytes_take(&sealed, sealed.len - TAG_SIZE, &text);
	ctx = EVP_CIPHER_CTX_new();
	if (!ctx)
		return -ENOMEM;
	if (EVP_DecryptInit_ex(ctx, EVP_aes_256_gcm(), NULL, kek, head.ptr + 1) &&
	    EVP_DecryptUpdate(ctx, NULL, &m, bound.ptr, (int)bound.len) &&
	    EVP_DecryptUpdate(ctx, secret, &m, text.ptr, (int)text.len) &&
	    EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_GCM_SET_TAG, TAG_SIZE, (void *)sealed.ptr) &&
	    EVP_DecryptFinal_ex(ctx, secret + m, &m) > 0) {
		*n = text.len;
		e = 0;
	}
	EVP_CIPHER_CTX_free(ctx);
	return e;
}
