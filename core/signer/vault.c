/* The signer itself: where the private keys are.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "core/signer/signer_int.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <sys/mman.h>

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/x509.h>

#include "core/base/digest.h"
#include "core/base/own.h"
#include "core/signer/gate.h"
#include "core/signer/places.h"
#include "core/signer/ra.h"
#include "core/signer/seal.h"
#include "core/signer/streams.h"

#define CA_MAX 256
#define MADE_MAX 16 /* keys whose CA is still being created; of more the oldest is forgotten */

struct key {
	enum signer_purpose purpose;
	char ca[CA_MAX]; /* as it was spelled when the key was made; compared without case */
	uint8_t *mac;      /* SIGNER_MAC_SIZE octets in libcrypto's locked heap, for SIGNER_PURPOSE_MAC alone */
	EVP_PKEY *pkey;    /* for the others, with all below */
	EVP_MD_CTX *begun; /* every signature is a copy of it: to look algorithms up takes as long as to sign */
	struct buf spki, certificates; /* what the gate points into */
	struct gate gate;
};

/* A key never changes once it has its place: who works with it takes no lock meanwhile. */
struct vault {
	struct signer face;
	uint8_t kek[SIGNER_KEK_SIZE];
	bool is_ra; /* has keys of registration authorities, and no others */
	enum signer_memory memory;
	struct places places;
	pthread_mutex_t lock;
	uint8_t made[MADE_MAX][SHA256_SIZE]; /* of the public halves of keys that were made here; under the lock */
	unsigned n_made;
	struct streams streams;
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
	OPENSSL_secure_clear_free(key->mac, SIGNER_MAC_SIZE);
	buf_fini(&key->spki);
	buf_fini(&key->certificates);
}

static void drop_key(struct key *key)
{
	fini_key(key);
	free(key);
}

static void vault_drop(struct signer *s)
{
	struct vault *v = (struct vault *)s;

	streams_fini(&v->streams);
	places_fini(&v->places);
	pthread_mutex_destroy(&v->lock);
	OPENSSL_cleanse(v->kek, sizeof(v->kek));
	munlock(v, sizeof(*v));
	free(v);
}

#define NO_SUCH_PURPOSE "this signer has no keys for that purpose"

static bool has_purpose(const struct vault *v, enum signer_purpose purpose)
{
	if (v->is_ra)
		return purpose == SIGNER_PURPOSE_RA;
	return purpose == SIGNER_PURPOSE_CA || purpose == SIGNER_PURPOSE_OCSP || purpose == SIGNER_PURPOSE_MAC;
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
	{ "rsa-2048", NULL, 2048, DER(SHA256_RSA), "SHA256" },
	{ "rsa-3072", NULL, 3072, DER(SHA256_RSA), "SHA256" },
	{ "rsa-4096", NULL, 4096, DER(SHA256_RSA), "SHA256" },
};
#define N_KINDS (sizeof(key_kinds) / sizeof(*key_kinds))

/* Clients encrypt to a registration authority, which they do with RSA alone. */
static bool is_for(const struct key_kind *k, enum signer_purpose purpose)
{
	return purpose != SIGNER_PURPOSE_RA || !k->group;
}

static EVP_PKEY *generate(const char *type, enum signer_purpose purpose)
{
	for (const struct key_kind *k = key_kinds; k < key_kinds + N_KINDS; k++)
		if (strcmp(k->type, type) == 0 && is_for(k, purpose))
			return k->group ? EVP_PKEY_Q_keygen(NULL, NULL, "EC", k->group) :
					  EVP_PKEY_Q_keygen(NULL, NULL, "RSA", k->bits);
	return NULL;
}

static const struct key_kind *kind_of(EVP_PKEY *pkey, enum signer_purpose purpose)
{
	size_t bits = (size_t)EVP_PKEY_get_bits(pkey);

	for (const struct key_kind *k = key_kinds; k < key_kinds + N_KINDS; k++)
		if (EVP_PKEY_is_a(pkey, k->group ? "EC" : "RSA") && bits == k->bits && is_for(k, purpose))
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

static int generate_pair(struct vault *v, const char *type, enum signer_purpose purpose, struct bytes bound,
			 struct buf *sealed, struct buf *spki, char why[static SIGNER_WHY_SIZE])
{
	EVP_PKEY *pkey = generate(type, purpose);
	int e;

	if (!pkey)
		return refuse(why, purpose == SIGNER_PURPOSE_RA ?
				"the key of a registration authority is of type rsa-2048, rsa-3072 or rsa-4096" :
				"the signer makes keys of type ec-p256, ec-p384, rsa-2048, rsa-3072 and rsa-4096");
	e = seal_key(v, pkey, bound, sealed);
	if (!e)
		e = write_spki(pkey, spki);
	if (!e)
		e = note_made(v, buf_bytes(spki));
	EVP_PKEY_free(pkey);
	return e;
}

static int generate_mac(struct vault *v, const char *type, struct bytes bound, struct buf *sealed,
			char why[static SIGNER_WHY_SIZE])
{
	uint8_t secret[SIGNER_MAC_SIZE];
	int e;

	if (strcmp(type, "hmac") != 0)
		return refuse(why, "a key for MACs is of type hmac");
	e = random_octets(secret, sizeof(secret));
	if (!e)
		e = seal_close(v->kek, bound, bytes_of(secret, sizeof(secret)), sealed);
	OPENSSL_cleanse(secret, sizeof(secret));
	return e;
}

static int vault_generate(struct signer *s, const char *type, enum signer_purpose purpose, const char *ca,
			  struct buf *sealed, struct buf *spki, char why[static SIGNER_WHY_SIZE])
{
	struct vault *v = (struct vault *)s;
	OWNED_BUF bound = BUF_INIT(1024);
	int e = bind(&bound, purpose, ca);

	if (e)
		return e;
	if (!has_purpose(v, purpose))
		return refuse(why, NO_SUCH_PURPOSE);
	if (purpose == SIGNER_PURPOSE_MAC)
		return generate_mac(v, type, buf_bytes(&bound), sealed, why);
	return generate_pair(v, type, purpose, buf_bytes(&bound), sealed, spki, why);
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
static int unseal(struct vault *v, struct bytes sealed, struct bytes bound, struct key *key,
		  char why[static SIGNER_WHY_SIZE])
{
	size_t room = sealed.len, n;
	uint8_t *secret;

	if (room == 0 || room > SIGNER_SEALED_MAX)
		return refuse(why, "the sealed key is empty or too long");
	secret = OPENSSL_secure_malloc(room);
	if (!secret)
		return refuse(why, "the signer's locked memory is full: too many keys, or too large ones");
	if (seal_open(v->kek, bound, sealed, secret, &n))
		n = 0;
	if (n && key->purpose != SIGNER_PURPOSE_MAC) {
		key->pkey = read_key(bytes_of(secret, n));
	} else if (n == SIGNER_MAC_SIZE) {
		key->mac = OPENSSL_secure_malloc(SIGNER_MAC_SIZE);
		if (key->mac)
			memcpy(key->mac, secret, SIGNER_MAC_SIZE);
	}
	OPENSSL_secure_clear_free(secret, room);
	return key->pkey || key->mac ? 0 : refuse(why, "the sealed key does not open: another key-encryption key, CA "
							"or purpose, or damaged");
}

/* What issuers elsewhere sign with: RFC 4055, 5758, 8410. */
#define SHA384_RSA "\x30\x0d\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0c\x05\x00"
#define SHA512_RSA "\x30\x0d\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0d\x05\x00"
#define ECDSA_SHA512 "\x30\x0a\x06\x08\x2a\x86\x48\xce\x3d\x04\x03\x04"
#define ED25519 "\x30\x05\x06\x03\x2b\x65\x70"

static const struct {
	struct bytes algorithm;
	const char *key, *digest; /* NULL: none of its own */
} signature_kinds[] = {
	{ DER(SHA256_RSA), "RSA", "SHA256" },  { DER(SHA384_RSA), "RSA", "SHA384" },
	{ DER(SHA512_RSA), "RSA", "SHA512" },  { DER(ECDSA_SHA256), "EC", "SHA256" },
	{ DER(ECDSA_SHA384), "EC", "SHA384" }, { DER(ECDSA_SHA512), "EC", "SHA512" },
	{ DER(ED25519), "ED25519", NULL },
};

/* The gate has looked at the key: of a known kind and form, and strong. */
static bool verifies(const struct gate_signature *made)
{
	const uint8_t *p = made->spki.ptr;
	EVP_PKEY *pkey = d2i_PUBKEY(NULL, &p, (long)made->spki.len);
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	bool ok = false;

	for (size_t i = 0; pkey && ctx && i < sizeof(signature_kinds) / sizeof(*signature_kinds); i++)
		if (bytes_equal(signature_kinds[i].algorithm, made->algorithm))
			ok = EVP_PKEY_is_a(pkey, signature_kinds[i].key) &&
			     EVP_DigestVerifyInit_ex(ctx, NULL, signature_kinds[i].digest, NULL, NULL, pkey,
						     NULL) == 1 &&
			     EVP_DigestVerify(ctx, made->signature.ptr, made->signature.len, made->tbs.ptr,
					      made->tbs.len) == 1;
	EVP_MD_CTX_free(ctx);
	EVP_PKEY_free(pkey);
	return ok;
}

/* Its subject becomes the issuer of everything that the key signs, its dates their limits. Who asks must not choose
 * them for a root: the key itself has signed them, when the CA was created. */
static int use_certificates(struct key *key, char why[static SIGNER_WHY_SIZE])
{
	static const char not_by_this_key[] = "the CA certificate was not signed by this key: it is not the one of "
					      "this CA, or was changed";
	static const char not_by_its_issuer[] = "a signature in the chain of the CA certificate does not verify under "
						"the key of its issuer";
	struct gate_signature made[GATE_CHAIN_MAX];
	size_t n;
	const char *wrong = gate_read_issuer(&key->gate, buf_bytes(&key->certificates), made, &n);

	for (size_t i = 0; !wrong && i < n; i++)
		if (!verifies(&made[i]))
			wrong = bytes_equal(made[i].spki, key->gate.spki) ? not_by_this_key : not_by_its_issuer;
	return wrong ? refuse(why, wrong) : 0;
}

static int begin_signing(struct key *key, char why[static SIGNER_WHY_SIZE])
{
	const struct key_kind *kind = kind_of(key->pkey, key->purpose);
	int e;

	if (!kind)
		return refuse(why, "the sealed key is of a kind that signs nothing here");
	e = write_spki(key->pkey, &key->spki);
	if (e)
		return e;
	key->begun = EVP_MD_CTX_new();
	if (!key->begun ||
	    EVP_DigestSignInit_ex(key->begun, NULL, kind->digest, NULL, NULL, key->pkey, NULL) != 1)
		return refuse(why, "libcrypto cannot sign with this key");
	key->gate = (struct gate){ .algorithm = kind->algorithm, .spki = buf_bytes(&key->spki) };
	return gate_hash_key(&key->gate);
}

static int fill_key(struct vault *v, struct key *key, struct bytes certificates, char why[static SIGNER_WHY_SIZE])
{
	int e = key->pkey ? begin_signing(key, why) : 0;

	if (e)
		return e;
	if (key->purpose != SIGNER_PURPOSE_CA)
		return certificates.len ? refuse(why, "only the key of a CA is loaded with a certificate") : 0;
	if (certificates.len) {
		e = buf_append(&key->certificates, certificates);
		return e ? e : use_certificates(key, why);
	}
	return was_made_here(v, buf_bytes(&key->spki)) ? 0 :
	       refuse(why, "a key that was not made in this run of the signer is loaded with its CA's certificate");
}

static bool is_same_key(const struct key *a, const void *arg)
{
	const struct key *b = arg;

	if (a->purpose != b->purpose || strcasecmp(a->ca, b->ca) != 0)
		return false;
	if (a->mac)
		return CRYPTO_memcmp(a->mac, b->mac, SIGNER_MAC_SIZE) == 0;
	return bytes_equal(buf_bytes(&a->spki), buf_bytes(&b->spki)) &&
	       bytes_equal(buf_bytes(&a->certificates), buf_bytes(&b->certificates));
}

/* Without a certificate, as while its CA was being created. */
static bool is_bare_form(const struct key *a, const void *arg)
{
	const struct key *b = arg;

	return a->purpose == SIGNER_PURPOSE_CA && a->certificates.len == 0 &&
	       bytes_equal(buf_bytes(&a->spki), buf_bytes(&b->spki));
}

/* Takes what `key` has when it is a new one; otherwise nothing of it is kept. The same key for the same certificate
 * has one number, however often it is loaded. Once it has its certificate, nobody needs it without. */
static int add_key(struct vault *v, struct key *key, uint64_t *number, char why[static SIGNER_WHY_SIZE])
{
	struct key *copy = malloc(sizeof(*copy));
	int e;

	if (!copy)
		return -ENOMEM;
	if (key->certificates.len)
		places_leave(&v->places, is_bare_form, key);
	*copy = *key;
	e = places_add(&v->places, copy, is_same_key, number);
	if (e)
		free(copy);
	else
		*key = (struct key){ 0 };
	return e == PLACES_FULL ? refuse(why, "so many keys are at work that there is no room for another") : 0;
}

static int vault_load(struct signer *s, struct bytes sealed, enum signer_purpose purpose, const char *ca,
		      struct bytes certificates, uint64_t *number, char why[static SIGNER_WHY_SIZE])
{
	struct vault *v = (struct vault *)s;
	OWNED_BUF bound = BUF_INIT(1024);
	struct key key = {
		.purpose = purpose,
		.spki = BUF_INIT(SIGNER_SPKI_MAX),
		.certificates = BUF_INIT(SIGNER_CERTIFICATES_MAX),
	};
	int e = bind(&bound, purpose, ca);

	if (e || (size_t)snprintf(key.ca, sizeof(key.ca), "%s", ca) >= sizeof(key.ca))
		return e ? e : refuse(why, "the name of the CA is too long");
	e = has_purpose(v, purpose) ? 0 : refuse(why, NO_SUCH_PURPOSE);
	if (!e)
		e = unseal(v, sealed, buf_bytes(&bound), &key, why);
	if (!e)
		e = fill_key(v, &key, certificates, why);
	if (!e)
		e = add_key(v, &key, number, why);
	fini_key(&key);
	return e;
}

static int vault_unload(struct signer *s, uint64_t number)
{
	places_remove(&((struct vault *)s)->places, number);
	return 0;
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

/* A key at work: given back with drop_use(). */
struct use {
	struct vault *vault;
	const struct key *key; /* NULL: no such key is loaded */
	uint64_t number;
};

static struct use use_key(struct signer *s, uint64_t number, char why[static SIGNER_WHY_SIZE])
{
	struct vault *v = (struct vault *)s;
	const struct key *key = places_take(&v->places, number);

	if (!key)
		snprintf(why, SIGNER_WHY_SIZE, "no such key is loaded");
	return (struct use){ v, key, number };
}

static void drop_use(struct use *u)
{
	if (u->key)
		places_give(&u->vault->places, u->number);
}
#define USE __attribute__((cleanup(drop_use))) struct use

/* Those of the other keys that belong to the same CA; with a `subject` of its certificate, or none. The same key may
 * be there with and without one. */
struct neighbour {
	const struct key *key;
	enum signer_purpose purpose;
	struct bytes spki, subject;
};

static bool is_neighbour(const struct key *k, const void *arg)
{
	const struct neighbour *n = arg;

	return k->purpose == n->purpose && k != n->key && strcasecmp(k->ca, n->key->ca) == 0 &&
	       bytes_equal(buf_bytes(&k->spki), n->spki) && bytes_equal(k->gate.issuer, n->subject);
}

static bool has_neighbour(const struct use *u, enum signer_purpose purpose, struct bytes spki, struct bytes subject)
{
	return places_has(&u->vault->places, is_neighbour, &(struct neighbour){ u->key, purpose, spki, subject });
}

static bool has_responder(const void *arg, struct bytes spki)
{
	return has_neighbour(arg, SIGNER_PURPOSE_OCSP, spki, bytes_of(NULL, 0));
}

static bool has_authority(const void *arg, struct bytes spki, struct bytes subject)
{
	return subject.len && has_neighbour(arg, SIGNER_PURPOSE_CA, spki, subject);
}

static int vault_sign_certificate(struct signer *s, uint64_t number, struct bytes tbs, struct buf *signature,
				  char why[static SIGNER_WHY_SIZE])
{
	USE use = use_key(s, number, why);
	const struct gate_neighbours neighbours = { has_responder, has_authority, &use };
	const char *refused;

	if (!use.key)
		return SIGNER_UNKNOWN_KEY;
	if (use.key->purpose != SIGNER_PURPOSE_CA)
		return refuse(why, "this key signs no certificates");
	refused = gate_refuses(&use.key->gate, &neighbours, tbs);
	return refused ? refuse(why, refused) : sign(use.key, tbs, signature);
}

static int vault_sign_request(struct signer *s, uint64_t number, struct bytes info, struct buf *signature,
			      char why[static SIGNER_WHY_SIZE])
{
	USE use = use_key(s, number, why);
	const char *refused;

	if (!use.key)
		return SIGNER_UNKNOWN_KEY;
	if (use.key->purpose != SIGNER_PURPOSE_CA && use.key->purpose != SIGNER_PURPOSE_RA)
		return refuse(why, "this key signs no certification requests");
	refused = gate_refuses_request(&use.key->gate, info);
	return refused ? refuse(why, refused) : sign(use.key, info, signature);
}

static int vault_sign_ocsp(struct signer *s, uint64_t number, struct bytes response_data, struct buf *signature,
			   char why[static SIGNER_WHY_SIZE])
{
	USE use = use_key(s, number, why);
	struct gate_stream g;
	const char *refused;

	if (!use.key)
		return SIGNER_UNKNOWN_KEY;
	refused = gate_stream_begin(&g, &use.key->gate, use.key->purpose, SIGNER_STREAM_OCSP);
	if (!refused && response_data.len > SIGNER_PIECE_MAX)
		refused = "the answer is too long for one message";
	if (!refused)
		refused = gate_stream_take(&g, response_data);
	if (!refused)
		refused = gate_stream_end(&g);
	gate_stream_fini(&g);
	return refused ? refuse(why, refused) : sign(use.key, response_data, signature);
}

static int vault_mac(struct signer *s, uint64_t number, struct bytes label, struct bytes octets,
		     uint8_t out[static SIGNER_MAC_SIZE], char why[static SIGNER_WHY_SIZE])
{
	USE use = use_key(s, number, why);
	OWNED_BUF message = BUF_INIT(1 + SIGNER_LABEL_MAX + SIGNER_PIECE_MAX);
	size_t n = 0;

	if (!use.key)
		return SIGNER_UNKNOWN_KEY;
	if (!use.key->mac)
		return refuse(why, "this key makes no MACs");
	if (label.len > SIGNER_LABEL_MAX || octets.len > SIGNER_PIECE_MAX)
		return refuse(why, "the label or the message is too long");
	buf_append_char(&message, (char)label.len);
	buf_append(&message, label);
	if (buf_append(&message, octets))
		return -ENOMEM;
	return EVP_Q_mac(NULL, "HMAC", NULL, "SHA256", NULL, use.key->mac, SIGNER_MAC_SIZE, message.ptr, message.len,
			 out, SIGNER_MAC_SIZE, &n) && n == SIGNER_MAC_SIZE ? 0 : -EIO;
}

/* ---- keys of registration authorities ---- */

static int vault_unwrap(struct signer *s, uint64_t number, enum signer_wrapping wrapping, struct bytes wrapped,
			uint8_t *out, size_t n, char why[static SIGNER_WHY_SIZE])
{
	USE use = use_key(s, number, why);

	if (!use.key)
		return SIGNER_UNKNOWN_KEY;
	if (use.key->purpose != SIGNER_PURPOSE_RA)
		return refuse(why, "this key opens no envelopes");
	return ra_unwrap(use.key->pkey, wrapping, wrapped, out, n);
}

static int sign_with_digest(EVP_PKEY *pkey, const EVP_MD *md, struct bytes data, struct buf *signature)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	size_t n = SIGNER_SIGNATURE_MAX;
	uint8_t *out = buf_room(signature, n);
	int ok = ctx && out && EVP_DigestSignInit(ctx, NULL, md, NULL, pkey) == 1 &&
		 EVP_DigestSign(ctx, out, &n, data.ptr, data.len) == 1;

	if (ok)
		buf_added(signature, n);
	EVP_MD_CTX_free(ctx);
	ERR_clear_error();
	return ok ? 0 : -EIO;
}

static const EVP_MD *digest_named(const char *name)
{
	static const struct {
		const char *name;
		const EVP_MD *(*get)(void);
	} digests[] = { { "SHA1", EVP_sha1 }, { "SHA256", EVP_sha256 }, { "SHA384", EVP_sha384 },
			{ "SHA512", EVP_sha512 } };

	for (size_t i = 0; i < sizeof(digests) / sizeof(*digests); i++)
		if (strcmp(digests[i].name, name) == 0)
			return digests[i].get();
	return NULL;
}

static int vault_sign_attributes(struct signer *s, uint64_t number, const char *digest, struct bytes attributes,
				 struct buf *signature, char why[static SIGNER_WHY_SIZE])
{
	USE use = use_key(s, number, why);
	const EVP_MD *md = digest_named(digest);
	const char *refused;

	if (!use.key)
		return SIGNER_UNKNOWN_KEY;
	if (use.key->purpose != SIGNER_PURPOSE_RA)
		return refuse(why, "this key signs no attributes");
	if (!md)
		return refuse(why, "attributes are signed with SHA1, SHA256, SHA384 or SHA512");
	refused = ra_refuses_attributes(attributes, (size_t)EVP_MD_get_size(md));
	return refused ? refuse(why, refused) : sign_with_digest(use.key->pkey, md, attributes, signature);
}

/* ---- streams ---- */

/* A stream works with its key until it is over. */
static void give_key_back(void *arg, uint64_t number)
{
	places_give(&((struct vault *)arg)->places, number);
}

static int vault_stream_begin(struct signer *s, uint64_t number, enum signer_stream_kind kind, uint64_t *stream,
			      char why[static SIGNER_WHY_SIZE])
{
	struct use use = use_key(s, number, why);
	int e;

	if (!use.key)
		return SIGNER_UNKNOWN_KEY;
	e = streams_begin(&use.vault->streams, use.key->begun, &use.key->gate, use.key->purpose, kind, number, stream,
			  why);
	if (e)
		drop_use(&use);
	return e;
}

static int vault_stream_data(struct signer *s, uint64_t stream, struct bytes piece, char why[static SIGNER_WHY_SIZE])
{
	return streams_data(&((struct vault *)s)->streams, stream, piece, why);
}

static int vault_stream_end(struct signer *s, uint64_t stream, struct buf *signature,
			    char why[static SIGNER_WHY_SIZE])
{
	return streams_end(&((struct vault *)s)->streams, stream, signature, why);
}

static void vault_stream_drop(struct signer *s, uint64_t stream)
{
	streams_drop(&((struct vault *)s)->streams, stream);
}

/* ---- the rest ---- */

static int vault_ask_memory(struct signer *s, enum signer_memory *memory)
{
	*memory = ((struct vault *)s)->memory;
	return 0;
}

void signer_note_memory(struct signer *s, enum signer_memory memory, unsigned keys_max)
{
	struct vault *v = (struct vault *)s;

	v->memory = memory;
	v->places.max = keys_max < PLACES_MAX ? keys_max : PLACES_MAX;
}

static int vault_new(struct signer **out, const uint8_t kek[static SIGNER_KEK_SIZE], bool is_ra)
{
	static const struct signer_ways ways = {
		.generate = vault_generate,
		.load = vault_load,
		.unload = vault_unload,
		.sign_certificate = vault_sign_certificate,
		.sign_request = vault_sign_request,
		.sign_ocsp = vault_sign_ocsp,
		.mac = vault_mac,
		.unwrap = vault_unwrap,
		.sign_attributes = vault_sign_attributes,
		.stream_begin = vault_stream_begin,
		.stream_data = vault_stream_data,
		.stream_end = vault_stream_end,
		.stream_drop = vault_stream_drop,
		.ask_memory = vault_ask_memory,
		.drop = vault_drop,
	};
	struct vault *v = calloc(1, sizeof(*v));

	if (!v)
		return -ENOMEM;
	if (places_init(&v->places, drop_key) || streams_init(&v->streams, give_key_back, v)) {
		free(v);
		return -EIO;
	}
	/* Best effort: without the right to lock memory the key works the same, it could only reach swap. */
	(void)mlock(v, sizeof(*v));
	v->face.ways = &ways;
	v->is_ra = is_ra;
	memcpy(v->kek, kek, sizeof(v->kek));
	pthread_mutex_init(&v->lock, NULL);
	*out = &v->face;
	return 0;
}

int signer_new(struct signer **out, const uint8_t kek[static SIGNER_KEK_SIZE])
{
	return vault_new(out, kek, false);
}

int signer_new_ra(struct signer **out, const uint8_t kek[static SIGNER_KEK_SIZE])
{
	return vault_new(out, kek, true);
}
