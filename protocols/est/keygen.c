/* Making keys with libcrypto, which overwrites private numbers when it lets them go.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "protocols/est/keygen.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/objects.h>
#include <openssl/x509.h>

#include "core/base/own.h"

struct est_key {
	enum est_keygen type;
	EVP_PKEY *pkey;
};

static const struct type {
	const char *word;
	const char *of_profile; /* as profiles call it */
	const char *algorithm;  /* as libcrypto does */
	const char *group;
	unsigned bits;          /* of RSA */
	const char *digest;     /* with which it signs; NULL: it has its own */
} types[] = {
	[EST_KEYGEN_NONE] = { "none", NULL, NULL, NULL, 0, NULL },
	[EST_KEYGEN_RSA_2048] = { "rsa-2048", "rsa", "RSA", NULL, 2048, "sha256" },
	[EST_KEYGEN_RSA_3072] = { "rsa-3072", "rsa", "RSA", NULL, 3072, "sha256" },
	[EST_KEYGEN_RSA_4096] = { "rsa-4096", "rsa", "RSA", NULL, 4096, "sha256" },
	[EST_KEYGEN_EC_P256] = { "ec-p256", "ec-p256", "EC", "P-256", 0, "sha256" },
	[EST_KEYGEN_EC_P384] = { "ec-p384", "ec-p384", "EC", "P-384", 0, "sha384" },
	[EST_KEYGEN_ED25519] = { "ed25519", "ed25519", "ED25519", NULL, 0, NULL },
};

const char *est_keygen_word(enum est_keygen type)
{
	return types[type].word;
}

enum est_keygen est_keygen_parse(const char *word)
{
	unsigned type = 0;

	while (strcmp(types[type].word, word) != 0)
		type++;
	return (enum est_keygen)type;
}

bool est_keygen_fits(enum est_keygen type, const struct ca_request_form *form)
{
	const struct type *t = &types[type];
	bool takes = false;

	for (const char *const *word = form->key_types; *word && t->of_profile; word++)
		takes = takes || strcmp(*word, t->of_profile) == 0;
	return takes && (!t->bits || t->bits >= form->rsa_bits);
}

/* ---- making ---- */

static EVP_PKEY *generate(const struct type *t)
{
	if (t->bits)
		return EVP_PKEY_Q_keygen(NULL, NULL, t->algorithm, (size_t)t->bits);
	if (t->group)
		return EVP_PKEY_Q_keygen(NULL, NULL, t->algorithm, t->group);
	return EVP_PKEY_Q_keygen(NULL, NULL, t->algorithm);
}

int est_key_new(struct est_key **out, enum est_keygen type)
{
	OWNED(est_key) key = calloc(1, sizeof(*key));

	if (!key)
		return -ENOMEM;
	key->type = type;
	key->pkey = generate(&types[type]);
	ERR_clear_error();
	if (!key->pkey)
		return -EIO;
	*out = MOVE(key);
	return 0;
}

void est_key_drop(struct est_key **key)
{
	if (!*key)
		return;
	EVP_PKEY_free((*key)->pkey);
	free(*key);
	*key = NULL;
}

/* ---- the request ---- */

/* What a client puts in for the server alone. */
static const char *const private_attributes[] = {
	"1.2.840.113549.1.9.7",       /* challengePassword */
	"1.2.840.113549.1.9.15",      /* SMIMECapabilities */
	"1.2.840.113549.1.9.16.2.37", /* DecryptKeyIdentifier */
	"1.2.840.113549.1.9.16.2.54", /* AsymmetricDecryptKeyIdentifier */
	"1.2.840.113549.1.9.16.2.56", /* otpChallenge (RFC 7894) */
	"1.2.840.113549.1.9.16.2.57", /* revocationChallenge */
	"1.2.840.113549.1.9.16.2.58", /* estIdentityLinking */
};

static int delete_attribute(X509_REQ *request, const char *dotted)
{
	ASN1_OBJECT *type = OBJ_txt2obj(dotted, 1);
	int at;

	if (!type)
		return -ENOMEM;
	while ((at = X509_REQ_get_attr_by_OBJ(request, type, -1)) >= 0)
		X509_ATTRIBUTE_free(X509_REQ_delete_attr(request, at));
	ASN1_OBJECT_free(type);
	return 0;
}

/* The stronger one. NULL: the key has its own. */
static const EVP_MD *digest_for(const struct est_key *key, const char *least)
{
	const char *own = types[key->type].digest;
	const EVP_MD *a = own ? EVP_get_digestbyname(own) : NULL, *b = least ? EVP_get_digestbyname(least) : NULL;

	return a && b && EVP_MD_get_size(b) > EVP_MD_get_size(a) ? b : a;
}

/* Straight into the buffer, so that there is no second copy. */
static int append(struct buf *out, int n, int (*write)(const void *what, unsigned char **to), const void *what)
{
	unsigned char *to = n > 0 ? buf_room(out, (size_t)n) : NULL;

	if (!to)
		return n > 0 ? buf_status(out) : -EIO;
	if (write(what, &to) != n)
		return -EIO;
	buf_added(out, (size_t)n);
	return 0;
}

static int write_request(const void *request, unsigned char **to)
{
	return i2d_X509_REQ(request, to);
}

static int sign_request(const struct est_key *key, X509_REQ *request, const char *digest, struct buf *out)
{
	int e = 0;

	for (size_t i = 0; !e && i < sizeof(private_attributes) / sizeof(*private_attributes); i++)
		e = delete_attribute(request, private_attributes[i]);
	if (e)
		return e;
	if (X509_REQ_set_pubkey(request, key->pkey) != 1 ||
	    X509_REQ_sign(request, key->pkey, digest_for(key, digest)) <= 0)
		return -EIO;
	return append(out, i2d_X509_REQ(request, NULL), write_request, request);
}

int est_key_request(const struct est_key *key, struct bytes request, const char *digest, struct buf *out)
{
	const unsigned char *p = request.ptr;
	X509_REQ *read = d2i_X509_REQ(NULL, &p, (long)request.len);
	int e = read && p == request.ptr + request.len ? sign_request(key, read, digest, out) : -EINVAL;

	X509_REQ_free(read);
	ERR_clear_error();
	return e;
}

/* ---- what the client gets ---- */

static int write_info(const void *info, unsigned char **to)
{
	return i2d_PKCS8_PRIV_KEY_INFO(info, to);
}

int est_key_write(const struct est_key *key, struct buf *out)
{
	PKCS8_PRIV_KEY_INFO *info = EVP_PKEY2PKCS8(key->pkey);
	int e = info ? append(out, i2d_PKCS8_PRIV_KEY_INFO(info, NULL), write_info, info) : -EIO;

	PKCS8_PRIV_KEY_INFO_free(info);
	ERR_clear_error();
	return e;
}

bool est_key_is_of(const struct est_key *key, struct bytes certificate)
{
	const unsigned char *p = certificate.ptr;
	X509 *read = d2i_X509(NULL, &p, (long)certificate.len);
	bool is = read && X509_check_private_key(read, key->pkey) == 1;

	X509_free(read);
	ERR_clear_error();
	return is;
}
