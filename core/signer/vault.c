/* The signer itself: where the private keys are.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "core/signer/signer_int.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/mman.h>

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/x509.h>

#include "core/base/digest.h"
#include "core/base/own.h"
#include "core/signer/gate.h"
#include "core/signer/seal.h"

#define KEYS_MAX 64
#define CERTIFICATE_MAX 65536
#define MADE_MAX 16 /* keys whose CA is still being created; of more the oldest is forgotten */

struct key {
	EVP_PKEY *pkey;
	EVP_MD_CTX *begun; /* every signature is a copy of it: to look algorithms up takes as long as to sign */
	struct buf spki, certificate; /* what the gate points into */
	struct gate gate;
};

/* Keys are only ever added, and a key never changes once it is counted in `n_keys`: signing takes no lock. */
struct vault {
	struct signer face;
	uint8_t kek[SIGNER_KEK_SIZE];
	uint64_t instance; /* the upper 56 bits of every key's number: nobody else's numbers fit */
	enum signer_memory memory;
	pthread_mutex_t lock;
	struct key keys[KEYS_MAX];
	_Atomic unsigned n_keys;
	uint8_t made[MADE_MAX][SHA256_SIZE]; /* of the public halves of keys that were made here; under the lock */
	unsigned n_made;
};

static int refuse(char why[static SIGNER_WHY_SIZE], const char *text)
{
	snprintf(why, SIGNER_WHY_SIZE, "%s", text);
	ERR_clear_error();
	return SIGNER_REFUSED;
}

static void fini_key(struct key *key)
{
	EVP_MD_CTX_free(key->begun);
	EVP_PKEY_free(key->pkey);
	buf_fini(&key->spki);
	buf_fini(&key->certificate);
}

static void vault_drop(struct signer *s)
{
	struct vault *v = (struct vault *)s;

	for (unsigned i = 0; i < v->n_keys; i++)
		fini_key(&v->keys[i]);
	pthread_mutex_destroy(&v->lock);
	OPENSSL_cleanse(v->kek, sizeof(v->kek));
	munlock(v, sizeof(*v));
	free(v);
}

/* ---- making and sealing ---- */

/* AlgorithmIdentifiers as RFC 4055 and RFC 5758 write them: NULL for RSA, nothing for ECDSA. */
#define SHA256_RSA "\x30\x0d\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0b\x05\x00"
#define ECDSA_SHA256 "\x30\x0a\x06\x08\x2a\x86\x48\xce\x3d\x04\x03\x02"
#define ECDSA_SHA384 "\x30\x0a\x06\x08\x2a\x86\x48\xce\x3d\x04\x03\x03"
#define DER(text) { (const uint8_t *)(text), sizeof(text) - 1 }

static const struct key_kind {
	const char *type;
	const char *group; /* NULL: RSA */
	size_t bits;
	struct bytes algorithm;
	const char *digest;
} key_kinds[] = {
	{ "ec-p256", "P-256", 256, DER(ECDSA_SHA256), "SHA256" },
	{ "ec-p384", "P-384", 384, DER(ECDSA_SHA384), "SHA384" },
	{ "rsa-3072", NULL, 3072, DER(SHA256_RSA), "SHA256" },
	{ "rsa-4096", NULL, 4096, DER(SHA256_RSA), "SHA256" },
};
#define N_KINDS (sizeof(key_kinds) / sizeof(*key_kinds))

static EVP_PKEY *generate(const char *type)
{
	for (const struct key_kind *k = key_kinds; k < key_kinds + N_KINDS; k++)
		if (strcmp(k->type, type) == 0)
			return k->group ? EVP_PKEY_Q_keygen(NULL, NULL, "EC", k->group) :
					  EVP_PKEY_Q_keygen(NULL, NULL, "RSA", k->bits);
	return NULL;
}

static const struct key_kind *kind_of(EVP_PKEY *pkey)
{
	size_t bits = (size_t)EVP_PKEY_get_bits(pkey);

	for (const struct key_kind *k = key_kinds; k < key_kinds + N_KINDS; k++)
		if (EVP_PKEY_is_a(pkey, k->group ? "EC" : "RSA") && bits == k->bits)
			return k;
	return NULL;
}

/* What a sealed key is bound to: a blob moved to another CA or purpose does not open. */
static int bind(struct buf *bound, enum signer_purpose purpose, const char *ca)
{
	return buf_printf(bound, "gatehouse key, purpose %d, CA %s", (int)purpose, ca);
}

static int seal_key(struct vault *v, EVP_PKEY *pkey, struct bytes bound, struct buf *sealed)
{
	PKCS8_PRIV_KEY_INFO *info = EVP_PKEY2PKCS8(pkey);
	uint8_t *der = NULL;
	int n = info ? i2d_PKCS8_PRIV_KEY_INFO(info, &der) : -1;
	int e = n > 0 ? seal_close(v->kek, bound, bytes_of(der, (size_t)n), sealed) : -EIO;

	OPENSSL_clear_free(der, n > 0 ? (size_t)n : 0);
	PKCS8_PRIV_KEY_INFO_free(info);
	return e;
}

static int write_spki(EVP_PKEY *pkey, struct buf *spki)
{
	uint8_t *der = NULL;
	int n = i2d_PUBKEY(pkey, &der);
	int e = n > 0 ? buf_append(spki, bytes_of(der, (size_t)n)) : -EIO;

	OPENSSL_free(der);
	return e;
}

/* Only a key that was made in this run may sign a first certificate: that of a CA which exists would be a second one.
 * */
static int note_made(struct vault *v, struct bytes spki)
{
	uint8_t digest[SHA256_SIZE];
	int e = digest_sha256(spki, digest);

	if (e)
		return e;
	pthread_mutex_lock(&v->lock);
	memcpy(v->made[v->n_made++ % MADE_MAX], digest, sizeof(digest));
	pthread_mutex_unlock(&v->lock);
	return 0;
}

static bool was_made_here(struct vault *v, struct bytes spki)
{
	uint8_t digest[SHA256_SIZE];
	bool is_there = false;

	if (digest_sha256(spki, digest))
		return false;
	pthread_mutex_lock(&v->lock);
	for (unsigned i = 0; i < v->n_made && i < MADE_MAX; i++)
		is_there |= memcmp(v->made[i], digest, sizeof(digest)) == 0;
	pthread_mutex_unlock(&v->lock);
	return is_there;
}

static int vault_generate(struct signer *s, const char *type, enum signer_purpose purpose, const char *ca,
			  struct buf *sealed, struct buf *spki, char why[static SIGNER_WHY_SIZE])
{
	struct vault *v = (struct vault *)s;
	OWNED_BUF bound = BUF_INIT(1024);
	EVP_PKEY *pkey = generate(type);
	int e;

	if (!pkey)
		return refuse(why, "the signer makes keys of type ec-p256, ec-p384, rsa-3072 and rsa-4096");
	e = bind(&bound, purpose, ca);
	if (!e)
		e = seal_key(v, pkey, buf_bytes(&bound), sealed);
	if (!e)
		e = write_spki(pkey, spki);
	if (!e)
		e = note_made(v, buf_bytes(spki));
	EVP_PKEY_free(pkey);
	return e;
}

/* ---- loading ---- */

static EVP_PKEY *read_key(struct bytes secret)
{
	const uint8_t *p = secret.ptr;
	PKCS8_PRIV_KEY_INFO *info = d2i_PKCS8_PRIV_KEY_INFO(NULL, &p, (long)secret.len);
	EVP_PKEY *pkey = info ? EVP_PKCS82PKEY(info) : NULL;

	PKCS8_PRIV_KEY_INFO_free(info);
	return pkey;
}

/* What is unsealed stands in libcrypto's locked heap, where the signer's process has one (core/signer/sandbox.c). */
static int unseal(struct vault *v, struct bytes sealed, struct bytes bound, EVP_PKEY **pkey,
		  char why[static SIGNER_WHY_SIZE])
{
	size_t room = sealed.len, n;
	uint8_t *secret;

	*pkey = NULL;
	if (room == 0 || room > SIGNER_SEALED_MAX)
		return refuse(why, "the sealed key is empty or too long");
	secret = OPENSSL_secure_malloc(room);
	if (!secret)
		return refuse(why, "the signer's locked memory is full: too many keys, or too large ones");
	if (seal_open(v->kek, bound, sealed, secret, &n) == 0)
		*pkey = read_key(bytes_of(secret, n));
	OPENSSL_secure_clear_free(secret, room);
	return *pkey ? 0 : refuse(why, "the sealed key does not open: another key-encryption key, CA or purpose, or "
				       "damaged");
}

static bool verifies(const struct key *key, const char *digest, struct bytes tbs, struct bytes signature)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	int ok = ctx && EVP_DigestVerifyInit_ex(ctx, NULL, digest, NULL, NULL, key->pkey, NULL) == 1 &&
		 EVP_DigestVerify(ctx, signature.ptr, signature.len, tbs.ptr, tbs.len) == 1;

	EVP_MD_CTX_free(ctx);
	return ok;
}

/* Its subject becomes the issuer of everything that the key signs, its dates their limits. Who asks must not choose
 * them: the key itself has signed them, when the CA was created. */
static int use_certificate(struct key *key, const char *digest, char why[static SIGNER_WHY_SIZE])
{
	struct bytes tbs, signature;
	const char *wrong = gate_read_issuer(&key->gate, buf_bytes(&key->certificate), &tbs, &signature);

	if (!wrong && !verifies(key, digest, tbs, signature))
		wrong = "the CA certificate was not signed by this key: it is not the one of this CA, or was changed";
	return wrong ? refuse(why, wrong) : 0;
}

static int fill_key(struct key *key, EVP_PKEY *pkey, struct bytes certificate, char why[static SIGNER_WHY_SIZE])
{
	const struct key_kind *kind = kind_of(pkey);
	int e;

	*key = (struct key){
		.pkey = pkey, .spki = BUF_INIT(SIGNER_SPKI_MAX), .certificate = BUF_INIT(CERTIFICATE_MAX)
	};
	if (!kind)
		return refuse(why, "the sealed key is of a kind that signs nothing here");
	e = write_spki(pkey, &key->spki);
	if (!e && certificate.len)
		e = buf_append(&key->certificate, certificate);
	if (e)
		return e;
	key->begun = EVP_MD_CTX_new();
	if (!key->begun ||
	    EVP_DigestSignInit_ex(key->begun, NULL, kind->digest, NULL, NULL, key->pkey, NULL) != 1)
		return refuse(why, "libcrypto cannot sign with this key");
	key->gate = (struct gate){ .algorithm = kind->algorithm, .spki = buf_bytes(&key->spki) };
	return certificate.len ? use_certificate(key, kind->digest, why) : 0;
}

/* With the lock held. The same key for the same certificate has one number, however often it is loaded. */
static unsigned find_key(const struct vault *v, const struct key *key)
{
	unsigned i = 0;

	while (i < v->n_keys && !(bytes_equal(buf_bytes(&v->keys[i].spki), buf_bytes(&key->spki)) &&
				  bytes_equal(buf_bytes(&v->keys[i].certificate), buf_bytes(&key->certificate))))
		i++;
	return i;
}

/* Takes `key` when it is a new one; otherwise nothing of it is kept. */
static int add_key(struct vault *v, struct key *key, uint64_t *number, char why[static SIGNER_WHY_SIZE])
{
	unsigned i;
	int e = 0;

	pthread_mutex_lock(&v->lock);
	i = find_key(v, key);
	if (i == KEYS_MAX) {
		e = refuse(why, "too many keys are loaded");
	} else {
		*number = v->instance | i;
		if (i == v->n_keys) {
			v->keys[i] = *key;
			*key = (struct key){ 0 };
			v->n_keys++;
		}
	}
	pthread_mutex_unlock(&v->lock);
	return e;
}

static int vault_load(struct signer *s, struct bytes sealed, enum signer_purpose purpose, const char *ca,
		      struct bytes certificate, uint64_t *number, char why[static SIGNER_WHY_SIZE])
{
	struct vault *v = (struct vault *)s;
	OWNED_BUF bound = BUF_INIT(1024);
	EVP_PKEY *pkey;
	struct key key;
	int e = bind(&bound, purpose, ca);

	if (!e)
		e = unseal(v, sealed, buf_bytes(&bound), &pkey, why);
	if (e)
		return e;
	e = fill_key(&key, pkey, certificate, why);
	if (!e && !certificate.len && !was_made_here(v, buf_bytes(&key.spki)))
		e = refuse(why,
			   "a key that was not made in this run of the signer is loaded with its CA's certificate");
	if (!e)
		e = add_key(v, &key, number, why);
	fini_key(&key);
	return e;
}

/* ---- signing ---- */

static int sign(const struct key *key, struct bytes data, struct buf *signature)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	size_t n = SIGNER_SIGNATURE_MAX;
	uint8_t *out = buf_room(signature, n);
	int ok = ctx && out && EVP_MD_CTX_copy_ex(ctx, key->begun) == 1 &&
		 EVP_DigestSign(ctx, out, &n, data.ptr, data.len) == 1;

	if (ok)
		buf_added(signature, n);
	EVP_MD_CTX_free(ctx);
	ERR_clear_error();
	return ok ? 0 : -EIO;
}

static int vault_sign_certificate(struct signer *s, uint64_t number, struct bytes tbs, struct buf *signature,
				  char why[static SIGNER_WHY_SIZE])
{
	struct vault *v = (struct vault *)s;
	uint64_t index = number - v->instance;
	const char *refused;

	if (index >= v->n_keys) {
		snprintf(why, SIGNER_WHY_SIZE, "no such key is loaded");
		return SIGNER_UNKNOWN_KEY;
	}
	refused = gate_refuses(&v->keys[index].gate, tbs);
	return refused ? refuse(why, refused) : sign(&v->keys[index], tbs, signature);
}

/* ---- the rest ---- */

static int vault_ask_memory(struct signer *s, enum signer_memory *memory)
{
	*memory = ((struct vault *)s)->memory;
	return 0;
}

void signer_note_memory(struct signer *s, enum signer_memory memory)
{
	((struct vault *)s)->memory = memory;
}

int signer_new(struct signer **out, const uint8_t kek[static SIGNER_KEK_SIZE])
{
	static const struct signer_ways ways = {
		vault_generate, vault_load, vault_sign_certificate, vault_ask_memory, vault_drop
	};
	struct vault *v = calloc(1, sizeof(*v));

	if (!v)
		return -ENOMEM;
	if (random_octets(&v->instance, sizeof(v->instance))) {
		free(v);
		return -EIO;
	}
	/* Best effort: without the right to lock memory the key works the same, it could only reach swap. */
	(void)mlock(v, sizeof(*v));
	v->face.ways = &ways;
	v->instance &= ~UINT64_C(0xff);
	memcpy(v->kek, kek, sizeof(v->kek));
	pthread_mutex_init(&v->lock, NULL);
	*out = &v->face;
	return 0;
}
