/* Flattened JWS: read and verify.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "protocols/jose/jws.h"

#include <errno.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>

#include "core/base/base64.h"
#include "core/base/own.h"

/* RFC 7518 3.1, RFC 8037 3.1: what goes with what. `half` is the length of r and of s. */
struct jws_alg {
	const char *name;
	enum jwk_type key;
	size_t half;
};

static const struct jws_alg algs[] = {
	{ "ES256", JWK_P256, 32 },
	{ "ES384", JWK_P384, 48 },
	{ "RS256", JWK_RSA, 0 },
	{ "EdDSA", JWK_ED25519, 0 },
};

/* RFC 7518 3.2; `half` is the length of the MAC. They go with no `enum jwk_type`: jws_verify() refuses them. */
static const struct jws_alg mac_algs[] = {
	{ "HS256", 0, 32 },
	{ "HS384", 0, 48 },
	{ "HS512", 0, 64 },
};

const char *const jws_algorithms[] = { "ES256", "ES384", "RS256", "EdDSA", NULL };

static int refuse(int outcome, const char **why, const char *sentence)
{
	*why = sentence;
	return outcome;
}

static const struct jws_alg *alg_by_name(const struct jws_alg *list, size_t n, const char *name)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(list[i].name, name) == 0)
			return &list[i];
	return NULL;
}

/* The header's text members: absent is NULL, another type than string is an error. */
static int header_string(const cJSON *header, const char *name, const char **out)
{
	const cJSON *item = json_get(header, name);

	*out = cJSON_GetStringValue(item);
	return item && !*out ? JWS_MALFORMED : 0;
}

static int read_header(struct jws *jws, const struct jws_alg *list, size_t n, const char **why)
{
	const cJSON *h = jws->header;
	const char *alg;

	if (!cJSON_IsObject(h))
		return refuse(JWS_MALFORMED, why, "the protected header is not an object");
	if (json_get(h, "crit") || json_get(h, "b64"))
		return refuse(JWS_MALFORMED, why, "crit and b64 are not taken");
	jws->jwk = json_get(h, "jwk");
	if (header_string(h, "alg", &alg) || header_string(h, "nonce", &jws->nonce) ||
	    header_string(h, "url", &jws->url) || header_string(h, "kid", &jws->kid))
		return refuse(JWS_MALFORMED, why, "a member of the protected header is not a string");
	if (!alg || !jws->url)
		return refuse(JWS_MALFORMED, why, "the protected header needs alg and url");
	if (!jws->kid == !jws->jwk)
		return refuse(JWS_MALFORMED, why, "the protected header needs exactly one of jwk and kid");
	jws->alg = alg_by_name(list, n, alg);
	return jws->alg ? 0 : refuse(JWS_BAD_ALGORITHM, why, "this signature algorithm is not taken");
}

/* The three members, decoded; their text stays in `outer`. */
static int read_members(struct jws *jws, const cJSON *outer, const char **why)
{
	const char *protected = json_get_string(outer, "protected");
	const char *payload = json_get_string(outer, "payload");
	const char *signature = json_get_string(outer, "signature");
	OWNED_BUF header = BUF_INIT(JWS_SIZE_MAX);
	int e;

	if (!protected || !payload || !signature || cJSON_GetArraySize(outer) != 3)
		return refuse(JWS_MALFORMED, why,
			      "a message has exactly the members protected, payload and signature");
	e = base64url_decode(&header, bytes_of_str(protected));
	if (!e)
		e = base64url_decode(&jws->payload, bytes_of_str(payload));
	if (!e)
		e = base64url_decode(&jws->signature, bytes_of_str(signature));
	if (e)
		return e == -EINVAL ? refuse(JWS_MALFORMED, why, "a member of the message is not base64url") : e;
	buf_append_str(&jws->input, protected);
	buf_append_char(&jws->input, '.');
	e = buf_append_str(&jws->input, payload);
	if (!e)
		e = json_parse(&jws->header, buf_bytes(&header), JWS_SIZE_MAX);
	return e == JSON_REFUSED ? refuse(JWS_MALFORMED, why, "the protected header is not JSON") : e;
}

/* With one of the algorithms of `list`. */
static int read_object(struct jws **out, const cJSON *object, const struct jws_alg *list, size_t n, const char **why)
{
	OWNED(jws) jws = calloc(1, sizeof(*jws));
	int e;

	if (!jws)
		return -ENOMEM;
	jws->payload = jws->signature = jws->input = BUF_INIT(JWS_SIZE_MAX);
	e = read_members(jws, object, why);
	if (!e)
		e = read_header(jws, list, n, why);
	if (e)
		return e;
	*out = MOVE(jws);
	return 0;
}

int jws_parse(struct jws **out, struct bytes text, const char **why)
{
	OWNED_JSON outer = NULL;
	int e = json_parse(&outer, text, JWS_SIZE_MAX);

	if (e == JSON_REFUSED || (!e && !cJSON_IsObject(outer)))
		return refuse(JWS_MALFORMED, why, "the body is not a JSON object");
	return e ? e : read_object(out, outer, algs, sizeof(algs) / sizeof(algs[0]), why);
}

int jws_parse_mac(struct jws **out, const cJSON *object, const char **why)
{
	OWNED(jws) jws = NULL;
	int e = read_object(&jws, object, mac_algs, sizeof(mac_algs) / sizeof(mac_algs[0]), why);

	if (e)
		return e;
	if (!jws->kid)
		return refuse(JWS_MALFORMED, why, "the protected header needs kid");
	if (jws->signature.len != jws->alg->half)
		return refuse(JWS_BAD_SIGNATURE, why, "the signature has not the length of the algorithm's MAC");
	*out = MOVE(jws);
	return 0;
}

void jws_drop(struct jws **jws)
{
	if (!*jws)
		return;
	json_drop(&(*jws)->header);
	buf_fini(&(*jws)->payload);
	buf_fini(&(*jws)->signature);
	buf_fini(&(*jws)->input);
	free(*jws);
	*jws = NULL;
}

/* r ‖ s of RFC 7518 3.4 as the DER that libcrypto verifies. 0 when the length is wrong or memory is short. */
static size_t ecdsa_der(struct bytes raw, size_t half, uint8_t **der)
{
	ECDSA_SIG *sig = raw.len == 2 * half ? ECDSA_SIG_new() : NULL;
	BIGNUM *r = sig ? BN_bin2bn(raw.ptr, (int)half, NULL) : NULL;
	BIGNUM *s = sig ? BN_bin2bn(raw.ptr + half, (int)half, NULL) : NULL;
	int len = 0;

	if (r && s && ECDSA_SIG_set0(sig, r, s)) {
		len = i2d_ECDSA_SIG(sig, der);
	} else {
		BN_free(r);
		BN_free(s);
	}
	ECDSA_SIG_free(sig);
	return len > 0 ? (size_t)len : 0;
}

static bool signature_is_good(const struct jwk *key, struct bytes signature, struct bytes input)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	bool good = ctx && EVP_MD_CTX_copy_ex(ctx, key->verifier) == 1 &&
		    EVP_DigestVerify(ctx, signature.ptr, signature.len, input.ptr, input.len) == 1;

	EVP_MD_CTX_free(ctx);
	ERR_clear_error();
	return good;
}

int jws_verify(const struct jws *jws, const struct jwk *key, const char **why)
{
	struct bytes signature = buf_bytes(&jws->signature);
	uint8_t *der = NULL;
	bool good;

	if (jws->alg->key != key->type)
		return refuse(JWS_BAD_ALGORITHM, why, "the algorithm does not belong to the key");
	if (signature.len == 0)
		return refuse(JWS_BAD_SIGNATURE, why, "the message is not signed");
	if (jws->alg->half) {
		signature.len = ecdsa_der(signature, jws->alg->half, &der);
		signature.ptr = der;
	}
	good = signature.len > 0 && signature_is_good(key, signature, buf_bytes(&jws->input));
	OPENSSL_free(der);
	return good ? 0 : refuse(JWS_BAD_SIGNATURE, why, "the signature does not verify");
}
