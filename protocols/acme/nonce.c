/* The counter, its cipher and its bitmap.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "protocols/acme/nonce.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <pthread.h>
#include <unistd.h>

#include "core/base/base64.h"
#include "core/base/digest.h"
#include "core/base/file.h"
#include "core/base/log.h"
#include "core/base/own.h"

#define BLOCK_SIZE 16
#define KEY_SIZE 32
#define NONCE_OCTETS_MAX 256 /* longer ones are not ours, whatever they say */
#define BITMAP_SIZE (NONCE_WINDOW / 8)

/* The file: magic, key, counter, bitmap, SHA-256 over all of that. */
static const uint8_t magic[8] = "GHNONCE1";
#define FILE_SIZE (sizeof(magic) + KEY_SIZE + 8 + BITMAP_SIZE + SHA256_SIZE)

struct nonces {
	pthread_mutex_t lock; /* for everything below; held for one AES block */
	EVP_CIPHER_CTX *encrypt, *decrypt;
	uint8_t key[KEY_SIZE];
	uint64_t next;        /* the counter of the next nonce */
	uint64_t issued, refused;
	uint8_t *good;        /* bit c mod 2^24: counter c was given out and not used */
	char *path;
};

static void put_u64(uint8_t out[static 8], uint64_t v)
{
	for (int i = 7; i >= 0; i--, v >>= 8)
		out[i] = (uint8_t)v;
}

static uint64_t get_u64(const uint8_t in[static 8])
{
	uint64_t v = 0;

	for (int i = 0; i < 8; i++)
		v = v << 8 | in[i];
	return v;
}

static bool bit_get(const struct nonces *n, uint64_t counter)
{
	uint64_t at = counter % NONCE_WINDOW;

	return n->good[at / 8] >> (at % 8) & 1;
}

static void bit_put(struct nonces *n, uint64_t counter, bool value)
{
	uint64_t at = counter % NONCE_WINDOW;
	uint8_t mask = (uint8_t)(1u << (at % 8));

	n->good[at / 8] = (uint8_t)(value ? n->good[at / 8] | mask : n->good[at / 8] & ~mask);
}

static EVP_CIPHER_CTX *cipher_new(const uint8_t *key, int encrypt)
{
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();

	if (!ctx || EVP_CipherInit_ex(ctx, EVP_aes_256_ecb(), NULL, key, NULL, encrypt) != 1 ||
	    EVP_CIPHER_CTX_set_padding(ctx, 0) != 1) {
		EVP_CIPHER_CTX_free(ctx);
		return NULL;
	}
	return ctx;
}

static int cipher_block(EVP_CIPHER_CTX *ctx, const uint8_t in[static BLOCK_SIZE], uint8_t out[static BLOCK_SIZE])
{
	int len;

	return EVP_CipherUpdate(ctx, out, &len, in, BLOCK_SIZE) == 1 && len == BLOCK_SIZE ? 0 : -EIO;
}

/* Octets of the saved file into the object; false when they are not what nonces_save() wrote. */
static bool restore(struct nonces *n, struct bytes file)
{
	uint8_t digest[SHA256_SIZE];
	const uint8_t *p = file.ptr + sizeof(magic);

	if (file.len != FILE_SIZE || memcmp(file.ptr, magic, sizeof(magic)) != 0)
		return false;
	if (digest_sha256(bytes_of(file.ptr, FILE_SIZE - SHA256_SIZE), digest) ||
	    memcmp(digest, file.ptr + FILE_SIZE - SHA256_SIZE, SHA256_SIZE) != 0)
		return false;
	memcpy(n->key, p, KEY_SIZE);
	n->next = get_u64(p + KEY_SIZE);
	memcpy(n->good, p + KEY_SIZE + 8, BITMAP_SIZE);
	return true;
}

/* Make a removal durable before what was removed is used: after a crash the same nonces must not be good again. */
static int sync_folder_of(const char *path)
{
	OWNED_STR copy = strdup(path);
	int fd, e;

	if (!copy)
		return -ENOMEM;
	fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	e = fsync(fd) < 0 ? -errno : 0;
	close(fd);
	return e;
}

/* Read the file, remove it, and only then use it. 1: taken up; 0: start afresh. */
static int take_up(struct nonces *n)
{
	struct buf file = BUF_INIT(FILE_SIZE);
	int e = file_read_secret(n->path, &file);
	int taken = 0;

	if (e == -ENOENT)
		return 0;
	if (unlink(n->path) < 0 && errno != ENOENT)
		taken = -errno;
	if (taken == 0)
		taken = sync_folder_of(n->path);
	if (taken == 0 && e == 0)
		taken = restore(n, buf_bytes(&file));
	if (taken == 0)
		log_warn("acme.nonce.afresh", "file", n->path, "why", e ? strerror(-e) : "not usable");
	buf_wipe(&file);
	return taken;
}

static int start(struct nonces *n)
{
	int e = take_up(n);

	if (e == 0)
		e = random_octets(n->key, sizeof(n->key));
	if (e < 0)
		return e;
	n->encrypt = cipher_new(n->key, 1);
	n->decrypt = cipher_new(n->key, 0);
	return n->encrypt && n->decrypt ? 0 : -EIO;
}

int nonces_new(struct nonces **out, const char *path)
{
	OWNED(nonces) n = calloc(1, sizeof(*n));
	int e;

	if (!n)
		return -ENOMEM;
	pthread_mutex_init(&n->lock, NULL);
	n->good = calloc(1, BITMAP_SIZE);
	n->path = strdup(path);
	if (!n->good || !n->path)
		return -ENOMEM;
	e = start(n);
	if (e)
		return e;
	*out = MOVE(n);
	return 0;
}

void nonces_drop(struct nonces **np)
{
	struct nonces *n = *np;

	if (!n)
		return;
	EVP_CIPHER_CTX_free(n->encrypt);
	EVP_CIPHER_CTX_free(n->decrypt);
	OPENSSL_cleanse(n->key, sizeof(n->key));
	pthread_mutex_destroy(&n->lock);
	free(n->good);
	free(n->path);
	free(n);
	*np = NULL;
}

int nonces_issue(struct nonces *n, char out[static NONCE_SIZE])
{
	OWNED_BUF text = BUF_INIT(NONCE_SIZE - 1);
	uint8_t clear[BLOCK_SIZE] = { 0 }, block[BLOCK_SIZE];
	int e;

	pthread_mutex_lock(&n->lock);
	put_u64(clear, n->next);
	e = cipher_block(n->encrypt, clear, block);
	if (!e) {
		bit_put(n, n->next++, true);
		n->issued++;
	}
	pthread_mutex_unlock(&n->lock);
	if (!e)
		e = base64url_encode(&text, bytes_of(block, sizeof(block)));
	if (!e)
		memcpy(out, buf_str(&text), NONCE_SIZE);
	return e;
}

static int redeem_block(struct nonces *n, const uint8_t block[static BLOCK_SIZE])
{
	static const uint8_t zeros[8];
	uint8_t clear[BLOCK_SIZE];
	uint64_t counter;

	if (cipher_block(n->decrypt, block, clear))
		return -EIO;
	counter = get_u64(clear);
	if (memcmp(clear + 8, zeros, sizeof(zeros)) != 0 || counter >= n->next || n->next - counter > NONCE_WINDOW ||
	    !bit_get(n, counter))
		return NONCE_REFUSED;
	bit_put(n, counter, false);
	return 0;
}

int nonces_redeem(struct nonces *n, const char *text)
{
	OWNED_BUF block = BUF_INIT(NONCE_OCTETS_MAX);
	int e = base64url_decode(&block, bytes_of_str(text));

	if (e == -EINVAL)
		return NONCE_NO_NONCE;
	if (e == -ENOMEM)
		return e;
	pthread_mutex_lock(&n->lock);
	e = !e && block.len == BLOCK_SIZE ? redeem_block(n, block.ptr) : NONCE_REFUSED;
	if (e)
		n->refused++;
	pthread_mutex_unlock(&n->lock);
	return e;
}

int nonces_save(struct nonces *n)
{
	struct buf file = BUF_INIT(FILE_SIZE);
	uint8_t counter[8], digest[SHA256_SIZE];
	int e;

	pthread_mutex_lock(&n->lock);
	put_u64(counter, n->next);
	buf_append(&file, bytes_of(magic, sizeof(magic)));
	buf_append(&file, bytes_of(n->key, KEY_SIZE));
	buf_append(&file, bytes_of(counter, sizeof(counter)));
	e = buf_append(&file, bytes_of(n->good, BITMAP_SIZE));
	pthread_mutex_unlock(&n->lock);
	if (!e)
		e = digest_sha256(buf_bytes(&file), digest);
	if (!e)
		e = buf_append(&file, bytes_of(digest, sizeof(digest)));
	if (!e)
		e = file_write_atomic_at(AT_FDCWD, n->path, buf_bytes(&file), 0600);
	buf_wipe(&file);
	return e;
}

void nonces_count(struct nonces *n, uint64_t *issued, uint64_t *refused)
{
	pthread_mutex_lock(&n->lock);
	*issued = n->issued;
	*refused = n->refused;
	pthread_mutex_unlock(&n->lock);
}
