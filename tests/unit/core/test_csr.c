/* core/x509/csr.c and key.c: the gate for PKCS#10 requests.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tests/test.h"

#include <openssl/x509.h>

#include "core/base/own.h"
#include "core/x509/csr.h"
#include "core/base/der.h"
#include "tests/scenarios/csr_maker.h"

#define NAMES(...)                                                                                                   \
	.names = (const char *const[]){ __VA_ARGS__ },                                                               \
	.n_names = sizeof((const char *const[]){ __VA_ARGS__ }) / sizeof(char *)

/* What the gate says of these octets; the parsed request lives until the next call. */
static struct arena *arena;
static struct csr csr;
static char why[CA_REASON_SIZE];

static int gate(struct bytes der)
{
	int e;

	arena_drop(&arena);
	assert_int_equal(arena_new(&arena, 8u << 20), 0);
	e = csr_parse(&csr, arena, der, why);
	/* A refusal always comes with its sentence. */
	assert_true(e == 0 || (e > 0 && why[0]));
	return e;
}

static int gate_spec(const struct csr_spec *spec)
{
	OWNED_BUF der = BUF_INIT(4u << 20);

	assert_int_equal(csr_make(spec, &der), 0);
	return gate(buf_bytes(&der));
}

static void accepts_each_key_type_and_says_what_was_asked(void **state)
{
	static const struct {
		const char *key, *digest, *type;
		unsigned bits;
	} good[] = {
		{ "ec-p256", "sha256", "ec-p256", 256 }, { "ec-p384", "sha384", "ec-p384", 384 },
		{ "ec-p256", "sha512", "ec-p256", 256 }, { "rsa", "sha256", "rsa", 2048 },
		{ "rsa", "sha512", "rsa", 2048 },        { "ed25519", NULL, "ed25519", 253 },
		{ "rsa", "sha1", "rsa", 2048 }, /* for the profile to judge */
	};

	for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++) {
		struct csr_spec spec = { .key = good[i].key, .digest = good[i].digest, .common_name = "a.example",
					 NAMES("a.example", "B.Example", "192.0.2.1", "2001:db8::1", "*.c.example") };

		assert_int_equal(gate_spec(&spec), 0);
		assert_string_equal(csr.key_type, good[i].type);
		assert_true(csr.key_bits == good[i].bits || strcmp(good[i].key, "ed25519") == 0);
		assert_string_equal(csr.common_name, "a.example");
		assert_string_equal(csr.subject_text, "CN=a.example");
		assert_int_equal(csr.n_names, 5);
		assert_string_equal(csr.names[1].value, "b.example");
		assert_int_equal(csr.names[2].kind, CA_NAME_IP);
		assert_string_equal(csr.names[2].value, "192.0.2.1");
		assert_string_equal(csr.names[3].value, "2001:db8::1");
		assert_string_equal(csr.names[4].value, "*.c.example");
		assert_false(csr.has_other_names);
	}
}

static void duplicate_names_count_once_and_attributes_may_be_absent(void **state)
{
	assert_int_equal(gate_spec(&(struct csr_spec){ NAMES("a.example", "A.EXAMPLE", "a.example") }), 0);
	assert_int_equal(csr.n_names, 1);
	assert_int_equal(gate_spec(&(struct csr_spec){ .common_name = "a.example", .has_no_attributes = true }), 0);
	assert_int_equal(csr.n_names, 0);
	assert_int_equal(gate_spec(&(struct csr_spec){ .common_name = "a.example" }), 0);
	assert_string_equal(csr.common_name, "a.example");
}

/* libcrypto's d2i_X509_REQ takes both. */
static void refuses_trailing_octets_and_another_version(void **state)
{
	OWNED_BUF der = BUF_INIT(65536);

	assert_int_equal(csr_make(&(struct csr_spec){ NAMES("a.example") }, &der), 0);
	assert_int_equal(gate(buf_bytes(&der)), 0);
	buf_append_char(&der, 0);
	assert_int_equal(gate(buf_bytes(&der)), CA_STATUS_BAD_REQUEST);
	assert_int_equal(gate_spec(&(struct csr_spec){ NAMES("a.example"), .version = 5 }), CA_STATUS_BAD_REQUEST);
	assert_int_equal(gate_spec(&(struct csr_spec){ NAMES("a.example"), .version = 1 }), CA_STATUS_BAD_REQUEST);
}

static void refuses_what_is_cut_off_anywhere_and_every_flipped_bit(void **state)
{
	OWNED_BUF der = BUF_INIT(65536);
	size_t taken = 0;

	assert_int_equal(csr_make(&(struct csr_spec){ .common_name = "a.example", NAMES("a.example") }, &der), 0);
	for (size_t n = 0; n < der.len; n++)
		assert_int_not_equal(gate(bytes_of(der.ptr, n)), 0);
	for (size_t i = 0; i < der.len; i++) {
		der.ptr[i] ^= 0x10;
		taken += gate(buf_bytes(&der)) == 0;
		der.ptr[i] ^= 0x10;
	}
	assert_int_equal(taken, 0);
	assert_int_equal(gate(buf_bytes(&der)), 0);
}

static void refuses_a_bad_signature_and_weak_algorithms(void **state)
{
	assert_int_equal(gate_spec(&(struct csr_spec){ NAMES("a.example"), .is_signature_bad = true }),
			 CA_STATUS_BAD_SIGNATURE);
	assert_int_equal(gate_spec(&(struct csr_spec){ NAMES("a.example"), .digest = "sha1" }),
			 CA_STATUS_BAD_SIGNATURE);
	assert_int_equal(gate_spec(&(struct csr_spec){ NAMES("a.example"), .key = "rsa", .digest = "md5" }),
			 CA_STATUS_BAD_SIGNATURE);
}

/* Signed by one key, with the public half of another. */
static void refuses_a_request_for_somebody_elses_key(void **state)
{
	EVP_PKEY *other = csr_key("ec-p256");
	uint8_t *spki = NULL;
	int n = i2d_PUBKEY(other, &spki);

	assert_int_equal(gate_spec(&(struct csr_spec){ NAMES("a.example"), .spki = bytes_of(spki, (size_t)n) }),
			 CA_STATUS_BAD_SIGNATURE);
	OPENSSL_free(spki);
	EVP_PKEY_free(other);
}

static void refuses_names_that_no_certificate_may_carry(void **state)
{
	static const char *const bad[] = {
		"a b.example",
		"a_b.example",
		"a.example.",
		".example",
		"a..example",
		"-a.example",
		"a-.example",
		"*",
		"a.*.example",
		"*.*.example",
		"a*.example",
		"xn--a.example",
		"xn--999999999.example",
		"b\xc3\xbc.example",
		"a\x01.example",
		"a.example/x",
		"0123456789012345678901234567890123456789012345678901234567890123.example",
		"mail:",
		"uri:http://a b",
	};
	static const char *const good[] = {
		"xn--bcher-kva.example", "a-b.example", "1.example", "*.a.example",
		"012345678901234567890123456789012345678901234567890123456789012.example"
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		if (gate_spec(&(struct csr_spec){ NAMES(bad[i]) }) != CA_STATUS_BAD_REQUEST)
			fail_msg("'%s' was not refused", bad[i]);
	}
	for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++) {
		if (gate_spec(&(struct csr_spec){ NAMES(good[i]) }))
			fail_msg("'%s' was refused: %s", good[i], why);
	}
}

/* An extra SAN extension with this content. */
static int gate_san(struct bytes general_names)
{
	OWNED_BUF san = BUF_INIT(1u << 20);

	csr_put(&san, DER_SEQUENCE, general_names);
	return gate_spec(
		&(struct csr_spec){ .extra = { { .oid = "2.5.29.17", .value = buf_bytes(&san) } }, .n_extra = 1 });
}

static void refuses_a_nul_inside_a_name(void **state)
{
	OWNED_BUF names = BUF_INIT(1024);

	csr_put(&names, 0x82, bytes_of("good.example\0.evil.com", 22));
	assert_int_equal(gate_san(buf_bytes(&names)), CA_STATUS_BAD_REQUEST);
	buf_reset(&names);
	csr_put(&names, 0x82, bytes_of("good.example\0", 13));
	assert_int_equal(gate_san(buf_bytes(&names)), CA_STATUS_BAD_REQUEST);
	/* The same in the CN. */
	{
		OWNED_BUF pair = BUF_INIT(256);
		OWNED_BUF sequence = BUF_INIT(256);
		OWNED_BUF set = BUF_INIT(256);

		csr_put_oid(&pair, "2.5.4.3");
		csr_put(&pair, 0x0c, bytes_of("a.example\0x", 11));
		csr_put(&sequence, DER_SEQUENCE, buf_bytes(&pair));
		csr_put(&set, DER_SET, buf_bytes(&sequence));
		assert_int_equal(gate_spec(&(struct csr_spec){ .subject = buf_bytes(&set) }), CA_STATUS_BAD_REQUEST);
	}
}

#define UPN "\x06\x0a\x2b\x06\x01\x04\x01\x82\x37\x14\x02\x03"

static void refuses_malformed_alternative_names(void **state)
{
	OWNED_BUF names = BUF_INIT(1024);

	assert_int_equal(gate_san(bytes_of(NULL, 0)), CA_STATUS_BAD_REQUEST);
	csr_put(&names, 0x87, bytes_of("\x01\x02\x03", 3));
	assert_int_equal(gate_san(buf_bytes(&names)), CA_STATUS_BAD_REQUEST);
	buf_reset(&names);
	csr_put(&names, 0x82, bytes_of(NULL, 0));
	assert_int_equal(gate_san(buf_bytes(&names)), CA_STATUS_BAD_REQUEST);
	buf_reset(&names);
	/* A UPN that is no UTF8String, has something behind it, or a blank in it. */
	csr_put(&names, 0xa0, bytes_of(UPN "\xa0\x03\x16\x01" "a", 17));
	assert_int_equal(gate_san(buf_bytes(&names)), CA_STATUS_BAD_REQUEST);
	buf_reset(&names);
	csr_put(&names, 0xa0, bytes_of(UPN "\xa0\x03\x0c\x01" "a" "\x05\x00", 19));
	assert_int_equal(gate_san(buf_bytes(&names)), CA_STATUS_BAD_REQUEST);
	buf_reset(&names);
	csr_put(&names, 0xa0, bytes_of(UPN "\xa0\x05\x0c\x03" "a b", 19));
	assert_int_equal(gate_san(buf_bytes(&names)), CA_STATUS_BAD_REQUEST);
	buf_reset(&names);
	csr_put(&names, 0xa0, bytes_of(UPN "\xa0\x05\x0c\x03" "a.b", 19));
	assert_int_equal(gate_san(buf_bytes(&names)), CA_STATUS_BAD_REQUEST);
	buf_reset(&names);
	csr_put(&names, 0xa0, bytes_of(UPN "\xa0\x05\x0c\x03" "a@b", 19));
	assert_int_equal(gate_san(buf_bytes(&names)), 0);
	assert_int_equal(csr.names[0].kind, CA_NAME_UPN);
	buf_reset(&names);
	/* A form that we do not know is noted, not read: the caller refuses it by name. */
	csr_put(&names, 0xa0, bytes_of("\x06\x01\x2a", 3));
	assert_int_equal(gate_san(buf_bytes(&names)), 0);
	assert_true(csr.has_other_names);
}

/* libcrypto answers "no SAN" for two of them. */
static void refuses_the_same_extension_twice(void **state)
{
	static const uint8_t san[] = { 0x30, 0x0b, 0x82, 0x09, 'e', '.', 'e', 'x', 'a', 'm', 'p', 'l', 'e' };
	struct csr_spec spec = { NAMES("a.example"),
				 .extra = { { .oid = "2.5.29.17", .value = bytes_of(san, sizeof(san)) } },
				 .n_extra = 1 };

	assert_int_equal(gate_spec(&spec), CA_STATUS_BAD_REQUEST);
	spec.extra[0] = (struct csr_extra){ .oid = "1.2.3", .value = bytes_of("\x05\x00", 2) };
	assert_int_equal(gate_spec(&spec), 0);
	spec.extra[spec.n_extra++] = (struct csr_extra){ .oid = "1.2.3", .value = bytes_of("\x05\x00", 2) };
	assert_int_equal(gate_spec(&spec), CA_STATUS_BAD_REQUEST);
}

static void refuses_two_extension_requests_and_skips_other_attributes(void **state)
{
	OWNED_BUF extension = BUF_INIT(1024);
	OWNED_BUF second = BUF_INIT(1024);
	OWNED_BUF password = BUF_INIT(1024);
	OWNED_BUF content = BUF_INIT(1024);
	OWNED_BUF value = BUF_INIT(1024);

	csr_put_extension(&extension, &(struct csr_extra){ .oid = "1.2.3", .value = bytes_of("\x05\x00", 2) });
	csr_put_extension_request(&second, buf_bytes(&extension));
	assert_int_equal(gate_spec(&(struct csr_spec){ NAMES("a.example"), .attributes = buf_bytes(&second) }),
			 CA_STATUS_BAD_REQUEST);
	csr_put_oid(&content, "1.2.840.113549.1.9.7");
	csr_put(&value, 0x13, bytes_of_str("secret"));
	csr_put(&content, DER_SET, buf_bytes(&value));
	csr_put(&password, DER_SEQUENCE, buf_bytes(&content));
	assert_int_equal(gate_spec(&(struct csr_spec){ NAMES("a.example"), .attributes = buf_bytes(&password) }), 0);
	assert_int_equal(csr.n_extensions, 1);
	/* A second value inside extensionRequest's set. */
	buf_reset(&content);
	csr_put_oid(&content, "1.2.840.113549.1.9.14");
	csr_put(&content, DER_SET, bytes_of("\x30\x00\x30\x00", 4));
	buf_reset(&second);
	csr_put(&second, DER_SEQUENCE, buf_bytes(&content));
	assert_int_equal(
		gate_spec(&(struct csr_spec){ .common_name = "a.example", .attributes = buf_bytes(&second) }),
		CA_STATUS_BAD_REQUEST);
}

static void refuses_malformed_extensions(void **state)
{
	struct csr_spec spec = { NAMES("a.example"), .n_extra = 1 };

	spec.extra[0] = (struct csr_extra){ .oid = "1.2.3", .value = bytes_of("\x30\x05\x00", 3) };
	assert_int_equal(gate_spec(&spec), CA_STATUS_BAD_REQUEST);
	spec.n_extra = 0;
	for (size_t i = 0; i < 32; i++) {
		static char oids[32][16];

		snprintf(oids[i], sizeof(oids[i]), "1.2.3.%zu", i);
		spec.extra[spec.n_extra++] = (struct csr_extra){ .oid = oids[i], .value = bytes_of("\x05\x00", 2) };
	}
	assert_int_equal(gate_spec(&spec), CA_STATUS_BAD_REQUEST); /* with the SAN it is one too many */
	spec.n_extra--;
	assert_int_equal(gate_spec(&spec), 0);
}

static void refuses_keys_that_nobody_should_certify(void **state)
{
	static const char *const bad[] = { "rsa-1024", "ec-p192", "ec-p521", "secp256k1" };

	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		if (gate_spec(&(struct csr_spec){ NAMES("a.example"), .key = bad[i] }) != CA_STATUS_BAD_KEY)
			fail_msg("a key of kind %s was not refused", bad[i]);
	assert_int_equal(gate_spec(&(struct csr_spec){ NAMES("a.example"), .key = "ed448" }),
			 CA_STATUS_BAD_SIGNATURE);
}

/* SubjectPublicKeyInfo of an RSA key with this modulus and exponent. */
static void put_rsa(struct buf *out, struct bytes modulus, struct bytes exponent)
{
	OWNED_BUF numbers = BUF_INIT(8192);
	OWNED_BUF key = BUF_INIT(8192);
	OWNED_BUF bits = BUF_INIT(8192);
	OWNED_BUF content = BUF_INIT(8192);

	csr_put(&numbers, DER_INTEGER, modulus);
	csr_put(&numbers, DER_INTEGER, exponent);
	csr_put(&key, DER_SEQUENCE, buf_bytes(&numbers));
	buf_append_char(&bits, 0);
	buf_append(&bits, buf_bytes(&key));
	buf_append(&content, bytes_of("\x30\x0d\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01\x05\x00", 15));
	csr_put(&content, DER_BIT_STRING, buf_bytes(&bits));
	csr_put(out, DER_SEQUENCE, buf_bytes(&content));
}

static int gate_rsa(const uint8_t *modulus, size_t n, const char *exponent, size_t n_exponent)
{
	OWNED_BUF spki = BUF_INIT(8192);

	put_rsa(&spki, bytes_of(modulus, n), bytes_of(exponent, n_exponent));
	return gate_spec(&(struct csr_spec){ NAMES("a.example"), .spki = buf_bytes(&spki) });
}

static void refuses_rsa_numbers_that_are_no_key(void **state)
{
	EVP_PKEY *key = csr_key("rsa");
	BIGNUM *modulus = NULL;
	uint8_t n[257] = { 0 };

	assert_int_equal(EVP_PKEY_get_bn_param(key, "n", &modulus), 1);
	assert_int_equal(BN_bn2binpad(modulus, n + 1, 256), 256);
	BN_free(modulus);
	EVP_PKEY_free(key);
	/* The key is fine, the signature is not its own. */
	assert_int_equal(gate_rsa(n, sizeof(n), "\x01\x00\x01", 3), CA_STATUS_BAD_SIGNATURE);
	assert_int_equal(gate_rsa(n, sizeof(n), "\x01", 1), CA_STATUS_BAD_KEY);
	assert_int_equal(gate_rsa(n, sizeof(n), "\x03", 1), CA_STATUS_BAD_KEY);
	assert_int_equal(gate_rsa(n, sizeof(n), "\x01\x00\x02", 3), CA_STATUS_BAD_KEY);
	assert_int_equal(gate_rsa(n, sizeof(n), "\x00", 1), CA_STATUS_BAD_KEY);
	n[256] &= 0xfe;
	assert_int_equal(gate_rsa(n, sizeof(n), "\x01\x00\x01", 3), CA_STATUS_BAD_KEY);
	memset(n + 1, 0xff, 256); /* 2^2048 - 1 divides by 3 */
	assert_int_equal(gate_rsa(n, sizeof(n), "\x01\x00\x01", 3), CA_STATUS_BAD_KEY);
}

/* The gate's answer about a multiple of a good modulus, whose other factors are large. */
static int gate_multiple(const BIGNUM *modulus, BN_ULONG factor)
{
	BIGNUM *n = BN_dup(modulus);
	uint8_t octets[1 + 1024] = { 0 };
	size_t size;

	assert_true(n && BN_mul_word(n, factor) == 1);
	size = (size_t)BN_bn2bin(n, octets + 1);
	BN_free(n);
	return octets[1] & 0x80 ? gate_rsa(octets, size + 1, "\x01\x00\x01", 3) :
				  gate_rsa(octets + 1, size, "\x01\x00\x01", 3);
}

static bool is_prime(BN_ULONG n)
{
	for (BN_ULONG d = 3; d < n; d += 2)
		if (n % d == 0)
			return false;
	return true;
}

static void refuses_rsa_numbers_with_a_small_factor(void **state)
{
	EVP_PKEY *key = csr_key("rsa");
	BN_CTX *ctx = BN_CTX_new();
	BIGNUM *modulus = NULL, *cube = BN_new();

	assert_int_equal(EVP_PKEY_get_bn_param(key, "n", &modulus), 1);
	assert_true(BN_sqr(cube, modulus, ctx) == 1 && BN_mul(cube, cube, modulus, ctx) == 1);
	for (BN_ULONG p = 3; p <= 751; p += 2)
		if (is_prime(p) && (gate_multiple(modulus, p) != CA_STATUS_BAD_KEY || !strstr(why, "small factor")))
			fail_msg("a modulus that divides by %lu", (unsigned long)p);
	/* The key is fine, the signature is not its own. */
	assert_int_equal(gate_multiple(modulus, 757), CA_STATUS_BAD_SIGNATURE);
	assert_int_equal(gate_multiple(cube, 757), CA_STATUS_BAD_SIGNATURE);
	assert_int_equal(gate_multiple(cube, 751), CA_STATUS_BAD_KEY);
	BN_free(modulus);
	BN_free(cube);
	BN_CTX_free(ctx);
	EVP_PKEY_free(key);
}

static void refuses_points_that_are_on_no_curve(void **state)
{
	EVP_PKEY *key = csr_key("ec-p256");
	uint8_t *spki = NULL;
	int n = i2d_PUBKEY(key, &spki);

	spki[n - 1] ^= 1;
	assert_int_equal(gate_spec(&(struct csr_spec){ NAMES("a.example"), .spki = bytes_of(spki, (size_t)n) }),
			 CA_STATUS_BAD_KEY);
	memset(spki + n - 64, 0, 64);
	assert_int_equal(gate_spec(&(struct csr_spec){ NAMES("a.example"), .spki = bytes_of(spki, (size_t)n) }),
			 CA_STATUS_BAD_KEY);
	OPENSSL_free(spki);
	EVP_PKEY_free(key);
}

static void counts_names_before_it_reads_them(void **state)
{
	OWNED_BUF names = BUF_INIT(1u << 20);

	for (int i = 0; i < 1000; i++)
		csr_put(&names, 0x82, bytes_of("a.example", 9));
	assert_int_equal(gate_san(buf_bytes(&names)), 0);
	assert_int_equal(csr.n_names, 1);
	csr_put(&names, 0x82, bytes_of("a.example", 9));
	assert_int_equal(gate_san(buf_bytes(&names)), CA_STATUS_BAD_REQUEST);
	for (int i = 0; i < 9000; i++)
		csr_put(&names, 0x82, bytes_of("a.example", 9));
	assert_int_equal(gate_san(buf_bytes(&names)), CA_STATUS_BAD_REQUEST);
}

static void counts_the_parts_of_a_subject(void **state)
{
	OWNED_BUF pair = BUF_INIT(256);
	OWNED_BUF sequence = BUF_INIT(256);
	OWNED_BUF rdns = BUF_INIT(4096);

	csr_put_oid(&pair, "2.5.4.11");
	csr_put(&pair, 0x0c, bytes_of_str("unit"));
	csr_put(&sequence, DER_SEQUENCE, buf_bytes(&pair));
	for (int i = 0; i < CSR_PARTS_MAX; i++)
		csr_put(&rdns, DER_SET, buf_bytes(&sequence));
	assert_int_equal(gate_spec(&(struct csr_spec){ .subject = buf_bytes(&rdns) }), 0);
	csr_put(&rdns, DER_SET, buf_bytes(&sequence));
	assert_int_equal(gate_spec(&(struct csr_spec){ .subject = buf_bytes(&rdns) }), CA_STATUS_BAD_REQUEST);
	assert_non_null(strstr(why, "too many parts"));
}

static void refuses_other_string_types_and_a_second_common_name(void **state)
{
	static const unsigned bad[] = { 0x14, 0x1e, 0x1c, 0x04, 0x12 }; /* T61, BMP, Universal, octets, Numeric */
	OWNED_BUF pair = BUF_INIT(256);
	OWNED_BUF sequence = BUF_INIT(256);
	OWNED_BUF twice = BUF_INIT(256);

	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		assert_int_equal(gate_spec(&(struct csr_spec){ .common_name = "a.example", .string_tag = bad[i] }),
				 CA_STATUS_BAD_REQUEST);
	assert_int_equal(gate_spec(&(struct csr_spec){ .common_name = "a.example", .string_tag = 0x13 }), 0);
	csr_put_oid(&pair, "2.5.4.3");
	csr_put(&pair, 0x0c, bytes_of_str("a.example"));
	csr_put(&sequence, DER_SEQUENCE, buf_bytes(&pair));
	csr_put(&twice, DER_SET, buf_bytes(&sequence));
	assert_int_equal(gate_spec(&(struct csr_spec){ .subject = buf_bytes(&twice) }), 0);
	csr_put(&twice, DER_SET, buf_bytes(&sequence));
	assert_int_equal(gate_spec(&(struct csr_spec){ .subject = buf_bytes(&twice) }), CA_STATUS_BAD_REQUEST);
	assert_int_equal(gate_spec(&(struct csr_spec){ .subject = bytes_of("\x31\x00", 2) }), CA_STATUS_BAD_REQUEST);
}

static void dns_names_are_normalised_in_place(void **state)
{
	char out[DNS_NAME_SIZE] = "WWW.Example";

	assert_int_equal(dns_name_normalise(bytes_of_str(out), false, out), 0);
	assert_string_equal(out, "www.example");
	assert_int_not_equal(dns_name_normalise(bytes_of_str("*.example"), false, out), 0);
	assert_int_equal(dns_name_normalise(bytes_of_str("*.example"), true, out), 0);
	assert_int_not_equal(dns_name_normalise(bytes_of_str("*."), true, out), 0);
	assert_int_not_equal(dns_name_normalise(bytes_of(NULL, 0), true, out), 0);
	assert_int_equal(dns_name_normalise(bytes_of_str("xn--BCHER-kva.example"), false, out), 0);
	assert_string_equal(out, "xn--bcher-kva.example");
}

static int drop_arena(void **state)
{
	arena_drop(&arena);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(accepts_each_key_type_and_says_what_was_asked),
		cmocka_unit_test(duplicate_names_count_once_and_attributes_may_be_absent),
		cmocka_unit_test(refuses_trailing_octets_and_another_version),
		cmocka_unit_test(refuses_what_is_cut_off_anywhere_and_every_flipped_bit),
		cmocka_unit_test(refuses_a_bad_signature_and_weak_algorithms),
		cmocka_unit_test(refuses_a_request_for_somebody_elses_key),
		cmocka_unit_test(refuses_names_that_no_certificate_may_carry),
		cmocka_unit_test(refuses_a_nul_inside_a_name),
		cmocka_unit_test(refuses_malformed_alternative_names),
		cmocka_unit_test(refuses_the_same_extension_twice),
		cmocka_unit_test(refuses_two_extension_requests_and_skips_other_attributes),
		cmocka_unit_test(refuses_malformed_extensions),
		cmocka_unit_test(refuses_keys_that_nobody_should_certify),
		cmocka_unit_test(refuses_rsa_numbers_that_are_no_key),
		cmocka_unit_test(refuses_rsa_numbers_with_a_small_factor),
		cmocka_unit_test(refuses_points_that_are_on_no_curve),
		cmocka_unit_test(counts_names_before_it_reads_them),
		cmocka_unit_test(counts_the_parts_of_a_subject),
		cmocka_unit_test(refuses_other_string_types_and_a_second_common_name),
		cmocka_unit_test(dns_names_are_normalised_in_place),
	};

	return cmocka_run_group_tests(tests, NULL, drop_arena);
}
