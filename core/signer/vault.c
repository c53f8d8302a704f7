/* The signer.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "core/signer/signer.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/mman.h>

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include "core/base/own.h"
#include "core/signer/seal.h"
#include "core/base/der.h"

#define KEYS_MAX 64

struct signer_key {
	EVP_PKEY *pkey;
	struct buf issuer; /* Name, DER; empty while the CA is being created */
};

/* Keys are only ever added, and a key never changes once it is counted in `n_keys`: signing takes no lock. */
struct signer {
	uint8_t kek[SIGNER_KEK_SIZE];
	pthread_mutex_t lock;
	struct signer_key keys[KEYS_MAX];
	_Atomic unsigned n_keys;
};

static int refuse(char why[static SIGNER_WHY_SIZE], const char *text)
{
	snprintf(why, SIGNER_WHY_SIZE, "%s", text);
	ERR_clear_error();
	return SIGNER_REFUSED;
}

int signer_new(struct signer **out, const uint8_t kek[static SIGNER_KEK_SIZE])
{
	struct signer *s = calloc(1, sizeof(*s));

	if (!s)
		return -ENOMEM;
	/* Best effort: without the right to lock memory the key works the same, it could only reach swap. */
	(void)mlock(s, sizeof(*s));
	memcpy(s->kek, kek, sizeof(s->kek));
	pthread_mutex_init(&s->lock, NULL);
	*out = s;
	return 0;
}

void signer_drop(struct signer **sp)
{
	struct signer *s = *sp;

	if (!s)
		return;
	for (unsigned i = 0; i < s->n_keys; i++) {
		EVP_PKEY_free(s->keys[i].pkey);
		buf_fini(&s->keys[i].issuer);
	}
	pthread_mutex_destroy(&s->lock);
	OPENSSL_cleanse(s->kek, sizeof(s->kek));
	munlock(s, sizeof(*s));
	free(s);
	*sp = NULL;
}

static const struct key_kind {
	const char *type;
	const char *algorithm;
	const char *group;
	size_t bits;
} key_kinds[] = {
	{ "ec-p256", "EC", "P-256", 0 },
	{ "ec-p384", "EC", "P-384", 0 },
	{ "rsa-3072", "RSA", NULL, 3072 },
	{ "rsa-4096", "RSA", NULL, 4096 },
};

static EVP_PKEY *generate(const char *type)
{
	for (size_t i = 0; i < sizeof(key_kinds) / sizeof(*key_kinds); i++) {
		if (strcmp(key_kinds[i].type, type) != 0)
			continue;
		return key_kinds[i].group ? EVP_PKEY_Q_keygen(NULL, NULL, "EC", key_kinds[i].group) :
					    EVP_PKEY_Q_keygen(NULL, NULL, "RSA", key_kinds[i].bits);
	}
	return NULL;
}

/* What a sealed key is bound to: a blob moved to another CA or purpose does not open. */
static int bind(struct buf *bound, enum signer_purpose purpose, const char *ca)
{
	return buf_printf(bound, "gatehouse key, purpose %d, CA %s", (int)purpose, ca);
}

static int seal_key(struct signer *s, EVP_PKEY *pkey, struct bytes bound, struct buf *sealed)
{
	PKCS8_PRIV_KEY_INFO *info = EVP_PKEY2PKCS8(pkey);
	uint8_t *der = NULL;
	int n = info ? i2d_PKCS8_PRIV_KEY_INFO(info, &der) : -1;
	int e = n > 0 ? seal_close(s->kek, bound, bytes_of(der, (size_t)n), sealed) : -EIO;

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

int signer_generate(struct signer *s, const char *type, enum signer_purpose purpose, const char *ca,
		    struct buf *sealed, struct buf *spki, char why[static SIGNER_WHY_SIZE])
{
	OWNED_BUF bound = BUF_INIT(1024);
	EVP_PKEY *pkey = generate(type);
	int e;

	if (!pkey)
		return refuse(why, "the signer makes keys of type ec-p256, ec-p384, rsa-3072 and rsa-4096");
	e = bind(&bound, purpose, ca);
	if (!e)
		e = seal_key(s, pkey, buf_bytes(&bound), sealed);
	if (!e)
		e = write_spki(pkey, spki);
	EVP_PKEY_free(pkey);
	return e;
}

static EVP_PKEY *unseal(struct signer *s, struct bytes sealed, struct bytes bound)
{
	struct buf secret = BUF_INIT(SIGNER_SEALED_MAX);
	PKCS8_PRIV_KEY_INFO *info = NULL;
	EVP_PKEY *pkey = NULL;
	const uint8_t *p;

	if (seal_open(s->kek, bound, sealed, &secret) == 0) {
		p = secret.ptr;
		info = d2i_PKCS8_PRIV_KEY_INFO(NULL, &p, (long)secret.len);
		pkey = info ? EVP_PKCS82PKEY(info) : NULL;
	}
	PKCS8_PRIV_KEY_INFO_free(info);
	buf_wipe(&secret);
	return pkey;
}

static int write_name(const X509_NAME *name, struct buf *out)
{
	uint8_t *der = NULL;
	int n = i2d_X509_NAME(name, &der);
	int e = n > 0 ? buf_append(out, bytes_of(der, (size_t)n)) : -ENOMEM;

	OPENSSL_free(der);
	return e;
}

/* The certificate must carry the public half of `pkey`; its subject becomes the issuer of everything it signs. */
static int read_issuer(EVP_PKEY *pkey, struct bytes certificate, struct buf *issuer, char why[static SIGNER_WHY_SIZE])
{
	const uint8_t *p = certificate.ptr;
	X509 *cert = d2i_X509(NULL, &p, (long)certificate.len);
	int e;

	if (!cert || X509_check_ca(cert) != 1 || EVP_PKEY_eq(X509_get0_pubkey(cert), pkey) != 1)
		e = refuse(why, "the CA certificate does not belong to this key or is no CA certificate");
	else
		e = write_name(X509_get_subject_name(cert), issuer);
	X509_free(cert);
	return e;
}

int signer_load(struct signer *s, struct bytes sealed, enum signer_purpose purpose, const char *ca,
		struct bytes certificate, unsigned *key, char why[static SIGNER_WHY_SIZE])
{
	OWNED_BUF bound = BUF_INIT(1024);
	OWNED_BUF issuer = BUF_INIT(8192);
	EVP_PKEY *pkey;
	int e = bind(&bound, purpose, ca);

	if (e)
		return e;
	pkey = unseal(s, sealed, buf_bytes(&bound));
	if (!pkey)
		return refuse(why,
			      "the sealed key does not open: another key-encryption key, CA or purpose, or damaged");
	if (certificate.len)
		e = read_issuer(pkey, certificate, &issuer, why);
	pthread_mutex_lock(&s->lock);
	if (!e && s->n_keys == KEYS_MAX)
		e = refuse(why, "too many keys are loaded");
	if (!e) {
		s->keys[s->n_keys] = (struct signer_key){ MOVE(pkey), issuer };
		issuer = BUF_INIT(0);
		*key = s->n_keys++;
	}
	pthread_mutex_unlock(&s->lock);
	EVP_PKEY_free(pkey);
	return e;
}

/* The parts of a TBSCertificate (RFC 5280 4.1) that decide whether it may be signed. */
struct tbs_parts {
	struct bytes issuer, subject, spki; /* whole elements */
	bool is_ca;
};

static int read_extensions(struct bytes list, bool *is_ca)
{
	static const uint8_t basic_constraints[] = { 0x55, 0x1d, 0x13 };
	struct bytes ext, oid, flag, value, content;

	while (list.len) {
		if (der_expect(&list, DER_SEQUENCE, &ext) || der_expect(&ext, DER_OID, &oid))
			return -EINVAL;
		(void)der_expect(&ext, DER_BOOLEAN, &flag);
		if (der_expect(&ext, DER_OCTET_STRING, &value) || ext.len)
			return -EINVAL;
		if (!bytes_equal(oid, bytes_of(basic_constraints, sizeof(basic_constraints))))
			continue;
		if (der_expect(&value, DER_SEQUENCE, &content) || value.len)
			return -EINVAL;
		*is_ca |= content.len != 0;
	}
	return 0;
}

static int read_tbs(struct bytes tbs, struct tbs_parts *parts)
{
	struct bytes in, content;
	unsigned tag;

	*parts = (struct tbs_parts){ 0 };
	if (der_check(tbs, 16) || der_expect(&tbs, DER_SEQUENCE, &in) || tbs.len)
		return -EINVAL;
	if (der_expect(&in, DER_CONTEXT_0, &content) || der_expect(&in, DER_INTEGER, &content) ||
	    der_expect(&in, DER_SEQUENCE, &content) || der_read(&in, &tag, &content, &parts->issuer) ||
	    der_expect(&in, DER_SEQUENCE, &content) || der_read(&in, &tag, &content, &parts->subject) ||
	    der_read(&in, &tag, &content, &parts->spki))
		return -EINVAL;
	if (der_read(&in, &tag, &content, NULL) || tag != 0xa3 || in.len || der_expect(&content, DER_SEQUENCE, &in))
		return -EINVAL;
	return content.len ? -EINVAL : read_extensions(in, &parts->is_ca);
}

static int check_tbs(const struct signer_key *key, struct bytes tbs, char why[static SIGNER_WHY_SIZE])
{
	OWNED_BUF spki = BUF_INIT(4096);
	struct tbs_parts parts;

	if (read_tbs(tbs, &parts))
		return refuse(why, "that is no TBSCertificate");
	if (key->issuer.len) {
		if (!bytes_equal(parts.issuer, buf_bytes(&key->issuer)))
			return refuse(why, "the issuer is not the one that this key belongs to");
		if (parts.is_ca)
			return refuse(why, "this key does not sign certificates of other authorities");
		return 0;
	}
	if (write_spki(key->pkey, &spki))
		return -EIO;
	if (!bytes_equal(parts.issuer, parts.subject) || !bytes_equal(parts.spki, buf_bytes(&spki)))
		return refuse(why, "a key without a CA certificate signs nothing but its own");
	return 0;
}

static int sign(EVP_PKEY *pkey, struct bytes data, struct buf *signature)
{
	const EVP_MD *md = !EVP_PKEY_is_a(pkey, "RSA") && EVP_PKEY_get_bits(pkey) > 256 ? EVP_sha384() : EVP_sha256();
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

int signer_sign_certificate(struct signer *s, unsigned key, struct bytes tbs, struct buf *signature,
			    char why[static SIGNER_WHY_SIZE])
{
	int e;

	if (key >= s->n_keys)
		return refuse(why, "no such key is loaded");
	e = check_tbs(&s->keys[key], tbs, why);
	return e ? e : sign(s->keys[key].pkey, tbs, signature);
}
