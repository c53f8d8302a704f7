/* Signed messages: what verifies, and each of the ways in which a message must not.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "protocols/jose/jws.h"

#include <pthread.h>
#include <stdatomic.h>

#include "core/base/base64.h"
#include "tests/test.h"
#include "tests/unit/protocols/signing.h"

#define HEADER(alg) \
	"{\"alg\":\"" alg "\",\"nonce\":\"AAAA\",\"url\":\"https://ca/x\",\"kid\":\"https://ca/account/1\"}"

static struct signing_key es256, es384, rs256, eddsa;

static int make_keys(void **state)
{
	es256 = signing_key_make("ES256", 0);
	es384 = signing_key_make("ES384", 0);
	rs256 = signing_key_make("RS256", 2048);
	eddsa = signing_key_make("EdDSA", 0);
	return 0;
}

static int drop_keys(void **state)
{
	signing_key_fini(&es256);
	signing_key_fini(&es384);
	signing_key_fini(&rs256);
	signing_key_fini(&eddsa);
	return 0;
}

/* What jws_parse() says to a text. */
static int parse(const char *text)
{
	struct jws *jws = NULL;
	const char *why = NULL;
	int e = jws_parse(&jws, bytes_of_str(text), &why);

	assert_int_equal(jws != NULL, e == 0);
	if (e > 0)
		assert_non_null(why);
	jws_drop(&jws);
	return e;
}

/* What jws_parse() says to a message with this protected header. */
static int parse_header(const char *header)
{
	char *message = signing_message(&es256, header, "{}");
	int e = parse(message);

	free(message);
	return e;
}

/* What the whole says: parse, then verify with the public half of `with`. */
static int verify_text(const char *text, const struct signing_key *with)
{
	struct jws *jws = NULL;
	struct jwk *key = NULL;
	const char *why = NULL;
	int e;

	assert_int_equal(jwk_read(&key, bytes_of_str(with->jwk), &why), 0);
	e = jws_parse(&jws, bytes_of_str(text), &why);
	if (!e)
		e = jws_verify(jws, key, &why);
	jws_drop(&jws);
	jwk_drop(&key);
	return e;
}

static int verify(const struct signing_key *by, const char *header, const struct signing_key *with)
{
	char *message = signing_message(by, header, "{\"a\":1}");
	int e = verify_text(message, with);

	free(message);
	return e;
}

static void verifies_each_algorithm(void **state)
{
	assert_int_equal(verify(&es256, HEADER("ES256"), &es256), 0);
	assert_int_equal(verify(&es384, HEADER("ES384"), &es384), 0);
	assert_int_equal(verify(&rs256, HEADER("RS256"), &rs256), 0);
	assert_int_equal(verify(&eddsa, HEADER("EdDSA"), &eddsa), 0);
}

static void reads_header_and_payload(void **state)
{
	char *message = signing_message(&es256, HEADER("ES256"), "{\"a\":1}");
	struct jws *jws = NULL;
	const char *why = NULL;

	assert_int_equal(jws_parse(&jws, bytes_of_str(message), &why), 0);
	assert_string_equal(jws->nonce, "AAAA");
	assert_string_equal(jws->url, "https://ca/x");
	assert_string_equal(jws->kid, "https://ca/account/1");
	assert_null(jws->jwk);
	assert_string_equal(buf_str(&jws->payload), "{\"a\":1}");
	jws_drop(&jws);
	free(message);
}

static void takes_an_empty_payload(void **state)
{
	char *message = signing_message(&es256, HEADER("ES256"), "");

	assert_int_equal(verify_text(message, &es256), 0);
	free(message);
}

/* S11 */
static void refuses_algorithms_it_does_not_take(void **state)
{
	static const char *const headers[] = {
		HEADER("none"), HEADER("None"), HEADER("HS256"), HEADER("HS512"), HEADER("PS256"), HEADER("RS512"),
		HEADER("RS1"), HEADER("ES512"), HEADER("ES256K"), HEADER("es256"), HEADER("Ed25519"), HEADER(""),
	};

	for (size_t i = 0; i < sizeof(headers) / sizeof(headers[0]); i++)
		assert_int_equal(parse_header(headers[i]), JWS_BAD_ALGORITHM);
	assert_int_equal(parse_header("{\"url\":\"u\",\"kid\":\"k\"}"), JWS_MALFORMED);
	assert_int_equal(parse_header("{\"alg\":1,\"url\":\"u\",\"kid\":\"k\"}"), JWS_MALFORMED);
	assert_int_equal(parse_header("{\"alg\":[\"ES256\"],\"url\":\"u\",\"kid\":\"k\"}"), JWS_MALFORMED);
}

/* S11 */
static void refuses_an_algorithm_of_another_key(void **state)
{
	assert_int_equal(verify(&es256, HEADER("RS256"), &es256), JWS_BAD_ALGORITHM);
	assert_int_equal(verify(&es384, HEADER("ES256"), &es384), JWS_BAD_ALGORITHM);
	assert_int_equal(verify(&es256, HEADER("ES384"), &es256), JWS_BAD_ALGORITHM);
	assert_int_equal(verify(&rs256, HEADER("ES256"), &rs256), JWS_BAD_ALGORITHM);
	assert_int_equal(verify(&eddsa, HEADER("RS256"), &eddsa), JWS_BAD_ALGORITHM);
}

/* What jws_parse_mac() says to a message with this header, whose MAC is that of `alg`. */
static int parse_mac(const char *alg, const char *header)
{
	char *message = signing_mac_message(alg, bytes_of_str("somebody's key"), header, "{\"kty\":\"EC\"}");
	OWNED_JSON object = NULL;
	struct jws *jws = NULL;
	const char *why = NULL;
	int e = json_parse(&object, bytes_of_str(message), 65536);

	assert_int_equal(e, 0);
	e = jws_parse_mac(&jws, object, &why);
	assert_int_equal(jws != NULL, e == 0);
	if (e > 0)
		assert_non_null(why);
	if (jws) { /* and no key of a client verifies it, whatever its octets */
		struct jwk *key = NULL;

		assert_string_equal(jws->kid, "kid-1");
		assert_string_equal(buf_str(&jws->payload), "{\"kty\":\"EC\"}");
		assert_int_equal(jwk_read(&key, bytes_of_str(es256.jwk), &why), 0);
		assert_int_equal(jws_verify(jws, key, &why), JWS_BAD_ALGORITHM);
		jwk_drop(&key);
	}
	jws_drop(&jws);
	free(message);
	return e;
}

/* S20 */
static void reads_messages_with_a_mac(void **state)
{
	assert_int_equal(parse_mac("HS256", "{\"alg\":\"HS256\",\"kid\":\"kid-1\",\"url\":\"u\"}"), 0);
	assert_int_equal(parse_mac("HS384", "{\"alg\":\"HS384\",\"kid\":\"kid-1\",\"url\":\"u\"}"), 0);
	assert_int_equal(parse_mac("HS512", "{\"alg\":\"HS512\",\"kid\":\"kid-1\",\"url\":\"u\",\"x\":1}"), 0);
}

static void refuses_other_messages_with_a_mac(void **state)
{
	static const char *const other_algs[] = { "none", "ES256", "RS256", "EdDSA", "HS1", "hs256", "HS256/64", "" };
	static const char *const malformed[] = {
		"\"url\":\"u\"", "\"jwk\":{},\"url\":\"u\"", "\"kid\":\"k\",\"jwk\":{},\"url\":\"u\"",
		"\"kid\":7,\"url\":\"u\"", "\"kid\":\"k\"", "\"kid\":\"k\",\"url\":\"u\",\"crit\":[]",
	};

	for (size_t i = 0; i < sizeof(other_algs) / sizeof(other_algs[0]); i++) {
		char *header = signing_text("{\"alg\":\"%s\",\"kid\":\"k\",\"url\":\"u\"}", other_algs[i]);

		assert_int_equal(parse_mac("HS256", header), JWS_BAD_ALGORITHM);
		free(header);
	}
	assert_int_equal(parse_mac("HS256", "{\"alg\":\"HS512\",\"kid\":\"k\",\"url\":\"u\"}"), JWS_BAD_SIGNATURE);
	assert_int_equal(parse_mac("HS512", "{\"alg\":\"HS256\",\"kid\":\"k\",\"url\":\"u\"}"), JWS_BAD_SIGNATURE);
	for (size_t i = 0; i < sizeof(malformed) / sizeof(malformed[0]); i++) {
		char *header = signing_text("{\"alg\":\"HS256\",%s}", malformed[i]);

		assert_int_equal(parse_mac("HS256", header), JWS_MALFORMED);
		free(header);
	}
}

static void refuses_the_signature_of_another_key(void **state)
{
	struct signing_key other = signing_key_make("ES256", 0);

	assert_int_equal(verify(&other, HEADER("ES256"), &es256), JWS_BAD_SIGNATURE);
	signing_key_fini(&other);
}

/* A message with one piece replaced after signing. */
static int verify_pieces(const char *header, const char *payload, const char *signature)
{
	char *h = signing_base64url(bytes_of_str(HEADER("ES256"))), *p = signing_base64url(bytes_of_str("{}"));
	char *input = signing_text("%s.%s", h, p), *s = signing_signature(&es256, input);
	char *message = signing_text("{\"protected\":\"%s\",\"payload\":\"%s\",\"signature\":\"%s\"}",
				     header ? header : h, payload ? payload : p, signature ? signature : s);
	int e = verify_text(message, &es256);

	free(h);
	free(p);
	free(input);
	free(s);
	free(message);
	return e;
}

static void refuses_what_was_changed_after_signing(void **state)
{
	char *header = signing_base64url(bytes_of_str("{\"alg\":\"ES256\",\"url\":\"https://ca/y\",\"kid\":\"k\"}"));

	assert_int_equal(verify_pieces(NULL, NULL, NULL), 0);
	assert_int_equal(verify_pieces(header, NULL, NULL), JWS_BAD_SIGNATURE);
	assert_int_equal(verify_pieces(NULL, "e30K", NULL), JWS_BAD_SIGNATURE);
	assert_int_equal(verify_pieces(NULL, "", NULL), JWS_BAD_SIGNATURE);
	free(header);
}

/* S12 */
static void wants_exactly_one_of_jwk_and_kid(void **state)
{
	assert_int_equal(parse_header("{\"alg\":\"ES256\",\"url\":\"u\"}"), JWS_MALFORMED);
	assert_int_equal(parse_header("{\"alg\":\"ES256\",\"url\":\"u\",\"kid\":\"k\",\"jwk\":{}}"), JWS_MALFORMED);
	assert_int_equal(parse_header("{\"alg\":\"ES256\",\"url\":\"u\",\"kid\":1}"), JWS_MALFORMED);
	assert_int_equal(parse_header("{\"alg\":\"ES256\",\"url\":\"u\",\"kid\":null,\"jwk\":{}}"), JWS_MALFORMED);
	assert_int_equal(parse_header("{\"alg\":\"ES256\",\"url\":\"u\",\"jwk\":{}}"), 0);
}

/* S13 */
static void refuses_headers_that_change_the_rules(void **state)
{
	assert_int_equal(parse_header("{\"alg\":\"ES256\",\"url\":\"u\",\"kid\":\"k\",\"b64\":false}"),
			 JWS_MALFORMED);
	assert_int_equal(parse_header("{\"alg\":\"ES256\",\"url\":\"u\",\"kid\":\"k\",\"b64\":true}"), JWS_MALFORMED);
	assert_int_equal(parse_header("{\"alg\":\"ES256\",\"url\":\"u\",\"kid\":\"k\",\"crit\":[\"b64\"]}"),
			 JWS_MALFORMED);
	assert_int_equal(parse_header("{\"alg\":\"ES256\",\"url\":\"u\",\"kid\":\"k\",\"crit\":[]}"), JWS_MALFORMED);
	assert_int_equal(parse_header("{\"alg\":\"ES256\",\"kid\":\"k\"}"), JWS_MALFORMED);
	assert_int_equal(parse_header("{\"alg\":\"ES256\",\"url\":7,\"kid\":\"k\"}"), JWS_MALFORMED);
	assert_int_equal(parse_header("{\"alg\":\"ES256\",\"url\":\"u\",\"nonce\":7,\"kid\":\"k\"}"), JWS_MALFORMED);
	assert_int_equal(parse_header("[]"), JWS_MALFORMED);
	assert_int_equal(parse_header(""), JWS_MALFORMED);
	/* RFC 7515 4: what is not understood is ignored. */
	assert_int_equal(parse_header("{\"alg\":\"ES256\",\"url\":\"u\",\"kid\":\"k\",\"typ\":\"x\"}"), 0);
}

/* S13 */
static void refuses_other_serializations(void **state)
{
	assert_int_equal(parse("eyJhbGciOiJFUzI1NiJ9.e30.AAAA"), JWS_MALFORMED);
	assert_int_equal(parse("{\"payload\":\"\",\"signatures\":[]}"), JWS_MALFORMED);
	assert_int_equal(parse("{\"protected\":\"e30\",\"payload\":\"\",\"signature\":\"AAAA\",\"signatures\":[]}"),
			 JWS_MALFORMED);
	assert_int_equal(parse("{\"protected\":\"e30\",\"payload\":\"\",\"signature\":\"AAAA\",\"header\":{}}"),
			 JWS_MALFORMED);
	assert_int_equal(parse("{\"protected\":\"e30\",\"payload\":\"\",\"signature\":\"AAAA\",\"extra\":1}"),
			 JWS_MALFORMED);
	assert_int_equal(parse("{\"protected\":\"e30\",\"payload\":\"\"}"), JWS_MALFORMED);
	assert_int_equal(parse("{\"protected\":\"e30\",\"payload\":{},\"signature\":\"AAAA\"}"), JWS_MALFORMED);
	assert_int_equal(parse("[]"), JWS_MALFORMED);
	assert_int_equal(parse(""), JWS_MALFORMED);
	assert_int_equal(parse("{}"), JWS_MALFORMED);
}

/* S14 */
static void reads_base64url_only_in_its_one_spelling(void **state)
{
	assert_int_equal(verify_pieces(NULL, "e30=", NULL), JWS_MALFORMED);
	assert_int_equal(verify_pieces(NULL, "e31", NULL), JWS_MALFORMED); /* trailing bits */
	assert_int_equal(verify_pieces(NULL, "e3 0", NULL), JWS_MALFORMED);
	assert_int_equal(verify_pieces(NULL, "e3+0", NULL), JWS_MALFORMED);
	assert_int_equal(verify_pieces(NULL, "e3/0", NULL), JWS_MALFORMED);
	assert_int_equal(verify_pieces(NULL, "e30\\n", NULL), JWS_MALFORMED);
	assert_int_equal(verify_pieces(NULL, "e", NULL), JWS_MALFORMED);
	assert_int_equal(verify_pieces("e30=", NULL, NULL), JWS_MALFORMED);
	assert_int_equal(verify_pieces(NULL, NULL, "AAAA="), JWS_MALFORMED);
	assert_int_equal(verify_pieces(NULL, NULL, "AB"), JWS_MALFORMED);
}

/* The good signature, changed by `change` and with `len` octets. */
static int verify_signature(void (*change)(uint8_t *octets), size_t len)
{
	char *h = signing_base64url(bytes_of_str(HEADER("ES256"))), *p = signing_base64url(bytes_of_str("{}"));
	char *input = signing_text("%s.%s", h, p), *s = signing_signature(&es256, input), *changed;
	OWNED_BUF octets = BUF_INIT(256);
	uint8_t raw[128] = { 0 };
	int e;

	assert_int_equal(base64url_decode(&octets, bytes_of_str(s)), 0);
	memcpy(raw, octets.ptr, octets.len);
	change(raw);
	changed = signing_base64url(bytes_of(raw, len));
	e = verify_pieces(NULL, NULL, changed);
	free(h);
	free(p);
	free(input);
	free(s);
	free(changed);
	return e;
}

static void keep(uint8_t *octets)
{
	(void)octets;
}

static void zero_r(uint8_t *octets)
{
	memset(octets, 0, 32);
}

static void zero_s(uint8_t *octets)
{
	memset(octets + 32, 0, 32);
}

static void zero_both(uint8_t *octets)
{
	memset(octets, 0, 64);
}

static void huge_r(uint8_t *octets)
{
	memset(octets, 0xff, 32);
}

static void huge_s(uint8_t *octets)
{
	memset(octets + 32, 0xff, 32);
}

/* S15 */
static void refuses_ecdsa_signatures_of_another_shape(void **state)
{
	assert_int_equal(verify_signature(keep, 64), 0);
	assert_int_equal(verify_signature(keep, 63), JWS_BAD_SIGNATURE);
	assert_int_equal(verify_signature(keep, 65), JWS_BAD_SIGNATURE);
	assert_int_equal(verify_signature(keep, 96), JWS_BAD_SIGNATURE);
	assert_int_equal(verify_signature(keep, 0), JWS_BAD_SIGNATURE);
	assert_int_equal(verify_signature(zero_r, 64), JWS_BAD_SIGNATURE);
	assert_int_equal(verify_signature(zero_s, 64), JWS_BAD_SIGNATURE);
	assert_int_equal(verify_signature(zero_both, 64), JWS_BAD_SIGNATURE);
	assert_int_equal(verify_signature(huge_r, 64), JWS_BAD_SIGNATURE);
	assert_int_equal(verify_signature(huge_s, 64), JWS_BAD_SIGNATURE);
}

/* S15: the form that everybody but JOSE uses. */
static void refuses_ecdsa_signatures_in_der(void **state)
{
	static const uint8_t der[] = { 0x30, 0x06, 0x02, 0x01, 0x01, 0x02, 0x01, 0x01 };
	char *s = signing_base64url(bytes_of(der, sizeof(der)));

	assert_int_equal(verify_pieces(NULL, NULL, s), JWS_BAD_SIGNATURE);
	free(s);
}

/* S16 */
static void refuses_members_twice_and_in_other_spellings(void **state)
{
	assert_int_equal(parse("{\"protected\":\"e30\",\"protected\":\"e30\",\"payload\":\"\","
			       "\"signature\":\"AAAA\"}"), JWS_MALFORMED);
	assert_int_equal(parse("{\"Protected\":\"e30\",\"payload\":\"\",\"signature\":\"AAAA\"}"), JWS_MALFORMED);
	assert_int_equal(parse_header("{\"alg\":\"none\",\"alg\":\"ES256\",\"url\":\"u\",\"kid\":\"k\"}"),
			 JWS_MALFORMED);
	assert_int_equal(parse_header("{\"alg\":\"ES256\",\"\\u0061lg\":\"none\",\"url\":\"u\",\"kid\":\"k\"}"),
			 JWS_MALFORMED);
	assert_int_equal(parse_header("{\"ALG\":\"ES256\",\"url\":\"u\",\"kid\":\"k\"}"), JWS_MALFORMED);
	assert_int_equal(parse_header("{\"alg\":\"ES256\",\"URL\":\"u\",\"kid\":\"k\"}"), JWS_MALFORMED);
	assert_int_equal(parse_header("{\"alg\\u0000x\":\"ES256\",\"url\":\"u\",\"kid\":\"k\"}"), JWS_MALFORMED);
	assert_int_equal(parse_header("{\"alg\":\"ES256\\u0000\",\"url\":\"u\",\"kid\":\"k\"}"), JWS_MALFORMED);
}

static void refuses_a_message_over_the_limit(void **state)
{
	OWNED_BUF text = BUF_INIT(2 * JWS_SIZE_MAX);

	buf_append_str(&text, "{\"protected\":\"e30\",\"signature\":\"AAAA\",\"payload\":\"");
	while (text.len < JWS_SIZE_MAX)
		buf_append_str(&text, "AAAA");
	buf_append_str(&text, "\"}");
	assert_int_equal(buf_status(&text), 0);
	assert_int_equal(parse(buf_str(&text)), JWS_MALFORMED);
}

/* One key and two messages, of which one was signed with it, for many threads. */
struct shared {
	struct jwk *key;
	struct jws *good, *bad;
	atomic_uint wrong;
};

static void *verify_both(void *arg)
{
	struct shared *s = arg;
	const char *why = NULL;

	for (int i = 0; i < 20; i++) {
		if (jws_verify(s->good, s->key, &why) != 0)
			atomic_fetch_add(&s->wrong, 1);
		if (jws_verify(s->bad, s->key, &why) != JWS_BAD_SIGNATURE)
			atomic_fetch_add(&s->wrong, 1);
	}
	return NULL;
}

static void read_message(struct jws **out, const struct signing_key *by, const char *alg, const char *payload)
{
	char *header = signing_text("{\"alg\":\"%s\",\"url\":\"https://ca/x\",\"kid\":\"1\"}", alg);
	char *message = signing_message(by, header, payload);
	const char *why = NULL;

	assert_int_equal(jws_parse(out, bytes_of_str(message), &why), 0);
	free(header);
	free(message);
}

static void verifies_with_one_key_on_many_threads(void **state)
{
	const struct signing_key *const keys[] = { &es256, &es384, &rs256, &eddsa };

	for (size_t i = 0; i < 4; i++) {
		struct signing_key other = signing_key_make(keys[i]->alg, 2048);
		struct shared s = { 0 };
		pthread_t threads[16];
		const char *why = NULL;

		assert_int_equal(jwk_read(&s.key, bytes_of_str(keys[i]->jwk), &why), 0);
		read_message(&s.good, keys[i], keys[i]->alg, "{\"a\":1}");
		read_message(&s.bad, &other, keys[i]->alg, "{\"a\":1}");
		for (size_t k = 0; k < 16; k++)
			assert_int_equal(pthread_create(&threads[k], NULL, verify_both, &s), 0);
		for (size_t k = 0; k < 16; k++)
			pthread_join(threads[k], NULL);
		assert_int_equal(atomic_load(&s.wrong), 0);
		jws_drop(&s.good);
		jws_drop(&s.bad);
		jwk_drop(&s.key);
		signing_key_fini(&other);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(verifies_each_algorithm),
		cmocka_unit_test(reads_header_and_payload),
		cmocka_unit_test(takes_an_empty_payload),
		cmocka_unit_test(refuses_algorithms_it_does_not_take),
		cmocka_unit_test(refuses_an_algorithm_of_another_key),
		cmocka_unit_test(reads_messages_with_a_mac),
		cmocka_unit_test(refuses_other_messages_with_a_mac),
		cmocka_unit_test(refuses_the_signature_of_another_key),
		cmocka_unit_test(refuses_what_was_changed_after_signing),
		cmocka_unit_test(wants_exactly_one_of_jwk_and_kid),
		cmocka_unit_test(refuses_headers_that_change_the_rules),
		cmocka_unit_test(refuses_other_serializations),
		cmocka_unit_test(reads_base64url_only_in_its_one_spelling),
		cmocka_unit_test(refuses_ecdsa_signatures_of_another_shape),
		cmocka_unit_test(refuses_ecdsa_signatures_in_der),
		cmocka_unit_test(refuses_members_twice_and_in_other_spellings),
		cmocka_unit_test(refuses_a_message_over_the_limit),
		cmocka_unit_test(verifies_with_one_key_on_many_threads),
	};

	return cmocka_run_group_tests(tests, make_keys, drop_keys);
}
