/* JWK to EVP_PKEY, and the thumbprint.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "protocols/jose/jwk.h"

#include <errno.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>

#include "core/base/base64.h"
#include "core/base/der.h"
#include "core/base/digest.h"
#include "core/base/own.h"
#include "core/base/rsa_key.h"

#define JWK_TEXT_MAX 2048
#define RSA_BITS_MIN 2048
#define RSA_BITS_MAX 4096
#define RSA_EXPONENT_OCTETS_MAX 8
#define SPKI_MAX 1024 /* RSA of RSA_BITS_MAX needs 550 */

/* AlgorithmIdentifiers without their outer framing: OID, and parameters (RFC 3279 2.3.1, RFC 5480 2.1, RFC 8410 3). */
#define RSA_ALGORITHM "\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01\x05\x00"
#define EC_ALGORITHM "\x06\x07\x2a\x86\x48\xce\x3d\x02\x01"
#define P256_ALGORITHM EC_ALGORITHM "\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07"
#define P384_ALGORITHM EC_ALGORITHM "\x06\x05\x2b\x81\x04\x00\x22"
#define ED25519_ALGORITHM "\x06\x03\x2b\x65\x70"
#define OCTETS(literal) { (const uint8_t *)(literal), sizeof(literal) - 1 }

/* The curves: which `kty` goes with which `crv`, octets of a coordinate, OpenSSL's name, AlgorithmIdentifier. */
static const struct curve {
	const char *kty, *crv;
	enum jwk_type type;
	size_t size;
	const char *group;
	struct bytes algorithm;
} curves[] = {
	{ "EC", "P-256", JWK_P256, 32, "P-256", OCTETS(P256_ALGORITHM) },
	{ "EC", "P-384", JWK_P384, 48, "P-384", OCTETS(P384_ALGORITHM) },
	{ "OKP", "Ed25519", JWK_ED25519, 32, NULL, OCTETS(ED25519_ALGORITHM) },
};

static int refuse(int outcome, const char **why, const char *sentence)
{
	*why = sentence;
	return outcome;
}

/* The octets of a base64url member. */
static int member_octets(const cJSON *object, const char *name, struct buf *out, const char **why)
{
	const char *text = json_get_string(object, name);
	int e;

	if (!text || !*text)
		return refuse(JWK_MALFORMED, why, "a member of the key is missing");
	e = base64url_decode(out, bytes_of_str(text));
	if (e == -EINVAL || e == -EMSGSIZE)
		return refuse(JWK_MALFORMED, why, "a member of the key is not base64url");
	return e;
}

/* NULL when libcrypto refuses the parameters. */
static EVP_PKEY *ec_from_parameters(OSSL_PARAM_BLD *bld)
{
	OSSL_PARAM *params = OSSL_PARAM_BLD_to_param(bld);
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "EC", NULL);
	EVP_PKEY *key = NULL;

	if (!params || !ctx || EVP_PKEY_fromdata_init(ctx) <= 0 ||
	    EVP_PKEY_fromdata(ctx, &key, EVP_PKEY_PUBLIC_KEY, params) <= 0)
		key = NULL;
	EVP_PKEY_CTX_free(ctx);
	OSSL_PARAM_free(params);
	ERR_clear_error();
	return key;
}

/* RFC 5280 4.1.2.7; `key` is what the algorithm puts into the BIT STRING. */
static int write_spki(struct buf *out, struct bytes algorithm, struct bytes key)
{
	OWNED_BUF parts = BUF_INIT(SPKI_MAX), bits = BUF_INIT(SPKI_MAX);

	*out = BUF_INIT(SPKI_MAX);
	buf_append_char(&bits, 0); /* no unused bits */
	buf_append(&bits, key);
	der_write(&parts, DER_SEQUENCE, algorithm);
	if (buf_status(&bits) || der_write(&parts, DER_BIT_STRING, buf_bytes(&bits)))
		return -ENOMEM;
	return der_write(out, DER_SEQUENCE, buf_bytes(&parts));
}

/* A positive INTEGER: a zero octet goes in front where the first bit would be a sign. */
static int write_positive(struct buf *out, struct bytes number)
{
	OWNED_BUF content = BUF_INIT(SPKI_MAX);

	if (number.ptr[0] & 0x80)
		buf_append_char(&content, 0);
	buf_append(&content, number);
	return buf_status(&content) ? -ENOMEM : der_write(out, DER_INTEGER, buf_bytes(&content));
}

/* RFC 8017 A.1.1. */
static int write_rsa_spki(struct buf *out, struct bytes n, struct bytes e)
{
	static const struct bytes algorithm = OCTETS(RSA_ALGORITHM);
	OWNED_BUF numbers = BUF_INIT(SPKI_MAX), key = BUF_INIT(SPKI_MAX);

	if (write_positive(&numbers, n) || write_positive(&numbers, e) ||
	    der_write(&key, DER_SEQUENCE, buf_bytes(&numbers)))
		return -ENOMEM;
	return write_spki(out, algorithm, buf_bytes(&key));
}

static EVP_PKEY *rsa_from(struct bytes n, struct bytes e)
{
	BIGNUM *bn_n = BN_bin2bn(n.ptr, (int)n.len, NULL), *bn_e = BN_bin2bn(e.ptr, (int)e.len, NULL);
	EVP_PKEY *key = bn_n && bn_e ? rsa_key_import(bn_n, bn_e) : NULL;

	BN_free(bn_n);
	BN_free(bn_e);
	return key;
}

static bool rsa_size_is_taken(struct bytes n)
{
	size_t bits = n.len * 8;

	for (uint8_t top = n.ptr[0]; !(top & 0x80) && bits > 0; top = (uint8_t)(top << 1))
		bits--;
	return bits >= RSA_BITS_MIN && bits <= RSA_BITS_MAX;
}

/* RFC 7518 6.3.1. */
static int parse_rsa(struct jwk *key, const cJSON *object, struct buf *text, const char **why)
{
	OWNED_BUF n = BUF_INIT(RSA_BITS_MAX), e = BUF_INIT(RSA_BITS_MAX);
	int r = member_octets(object, "n", &n, why);

	if (!r)
		r = member_octets(object, "e", &e, why);
	if (r)
		return r;
	if (n.ptr[0] == 0 || e.ptr[0] == 0)
		return refuse(JWK_MALFORMED, why, "an integer of the key has leading zero octets");
	if (!rsa_size_is_taken(buf_bytes(&n)) || !(n.ptr[n.len - 1] & 1))
		return refuse(JWK_UNSUPPORTED, why, "RSA keys must have 2048 to 4096 bits");
	if (e.len > RSA_EXPONENT_OCTETS_MAX || !(e.ptr[e.len - 1] & 1) || (e.len == 1 && e.ptr[0] < 3))
		return refuse(JWK_UNSUPPORTED, why,
			      "the RSA exponent must be odd, at least 3 and at most 64 bits long");
	key->type = JWK_RSA;
	key->key = rsa_from(buf_bytes(&n), buf_bytes(&e));
	if (!key->key)
		return refuse(JWK_UNSUPPORTED, why, "not a usable RSA key");
	r = write_rsa_spki(&key->spki, buf_bytes(&n), buf_bytes(&e));
	if (r)
		return r;
	return buf_printf(text, "{\"e\":\"%s\",\"kty\":\"RSA\",\"n\":\"%s\"}", json_get_string(object, "e"),
			  json_get_string(object, "n"));
}

/* libcrypto checks that the point lies on the curve. */
static EVP_PKEY *ec_from(const struct curve *curve, struct bytes point)
{
	OSSL_PARAM_BLD *bld = OSSL_PARAM_BLD_new();
	EVP_PKEY *key = NULL;

	if (bld && OSSL_PARAM_BLD_push_utf8_string(bld, OSSL_PKEY_PARAM_GROUP_NAME, curve->group, 0) &&
	    OSSL_PARAM_BLD_push_octet_string(bld, OSSL_PKEY_PARAM_PUB_KEY, point.ptr, point.len))
		key = ec_from_parameters(bld);
	OSSL_PARAM_BLD_free(bld);
	return key;
}

/* RFC 7518 6.2.1 and RFC 8037 2. */
static int parse_curve(struct jwk *key, const struct curve *curve, const cJSON *object, struct buf *text,
		       const char **why)
{
	OWNED_BUF x = BUF_INIT(JWK_TEXT_MAX), y = BUF_INIT(JWK_TEXT_MAX);
	OWNED_BUF point = BUF_INIT(SPKI_MAX);
	bool has_y = curve->type != JWK_ED25519;
	int r = member_octets(object, "x", &x, why);

	if (!r && has_y)
		r = member_octets(object, "y", &y, why);
	if (r)
		return r;
	if (x.len != curve->size || (has_y && y.len != curve->size))
		return refuse(JWK_MALFORMED, why, "a coordinate of the key has the wrong length");
	if (has_y)
		buf_append_char(&point, 0x04); /* uncompressed, SEC 1 2.3.3 */
	buf_append(&point, buf_bytes(&x));
	buf_append(&point, buf_bytes(&y));
	if (buf_status(&point))
		return buf_status(&point);
	key->type = curve->type;
	key->key = has_y ? ec_from(curve, buf_bytes(&point)) :
			   EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, point.ptr, point.len);
	if (!key->key)
		return refuse(JWK_UNSUPPORTED, why, "the key is not a point of its curve");
	r = write_spki(&key->spki, curve->algorithm, buf_bytes(&point));
	if (r)
		return r;
	buf_printf(text, "{\"crv\":\"%s\",\"kty\":\"%s\",\"x\":\"%s\"", curve->crv, curve->kty,
		   json_get_string(object, "x"));
	if (has_y)
		buf_printf(text, ",\"y\":\"%s\"", json_get_string(object, "y"));
	return buf_append_char(text, '}');
}

static int parse_members(struct jwk *key, const cJSON *object, struct buf *text, const char **why)
{
	const char *kty = json_get_string(object, "kty"), *crv = json_get_string(object, "crv");

	if (!kty)
		return refuse(JWK_MALFORMED, why, "the key has no kty");
	if (json_get(object, "d") || json_get(object, "k"))
		return refuse(JWK_MALFORMED, why, "the key has private members");
	if (strcmp(kty, "RSA") == 0)
		return parse_rsa(key, object, text, why);
	for (size_t i = 0; crv && i < sizeof(curves) / sizeof(curves[0]); i++)
		if (strcmp(kty, curves[i].kty) == 0 && strcmp(crv, curves[i].crv) == 0)
			return parse_curve(key, &curves[i], object, text, why);
	return refuse(JWK_UNSUPPORTED, why, "keys are RSA, EC P-256, EC P-384 or Ed25519");
}

/* RFC 7518 3.1, RFC 8037 3.1: each type of key goes with one digest only. To look the algorithms up takes libcrypto
 * ten times as long as to copy what was found. */
static int begin_verifier(struct jwk *key)
{
	static const char *const digests[] = {
		[JWK_RSA] = "SHA256", [JWK_P256] = "SHA256", [JWK_P384] = "SHA384", [JWK_ED25519] = NULL,
	};

	key->verifier = EVP_MD_CTX_new();
	if (key->verifier &&
	    EVP_DigestVerifyInit_ex(key->verifier, NULL, digests[key->type], NULL, NULL, key->key, NULL) == 1)
		return 0;
	ERR_clear_error();
	return -EIO;
}

static int set_thumbprint(struct jwk *key, struct bytes text)
{
	OWNED_BUF encoded = BUF_INIT(JWK_THUMBPRINT_SIZE - 1);
	uint8_t digest[SHA256_SIZE];
	int e = digest_sha256(text, digest);

	if (!e)
		e = base64url_encode(&encoded, bytes_of(digest, sizeof(digest)));
	if (!e)
		memcpy(key->thumbprint, buf_str(&encoded), JWK_THUMBPRINT_SIZE);
	return e;
}

int jwk_parse(struct jwk **out, const cJSON *object, const char **why)
{
	OWNED(jwk) key = calloc(1, sizeof(*key));
	OWNED_BUF text = BUF_INIT(JWK_TEXT_MAX);
	int e;

	if (!key)
		return -ENOMEM;
	if (!cJSON_IsObject(object))
		return refuse(JWK_MALFORMED, why, "the key is not an object");
	e = parse_members(key, object, &text, why);
	if (!e)
		e = set_thumbprint(key, buf_bytes(&text));
	if (!e)
		e = begin_verifier(key);
	if (e)
		return e;
	key->text = buf_take_str(&text);
	*out = MOVE(key);
	return 0;
}

int jwk_read(struct jwk **out, struct bytes text, const char **why)
{
	OWNED_JSON object = NULL;
	int e = json_parse(&object, text, JWK_TEXT_MAX);

	if (e == JSON_REFUSED)
		return refuse(JWK_MALFORMED, why, "the key is not JSON");
	return e ? e : jwk_parse(out, object, why);
}

void jwk_drop(struct jwk **key)
{
	if (!*key)
		return;
	EVP_MD_CTX_free((*key)->verifier);
	EVP_PKEY_free((*key)->key);
	buf_fini(&(*key)->spki);
	free((*key)->text);
	free(*key);
	*key = NULL;
}
