/* Base64url, base64, hexadecimal.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tests/test.h"

#include "core/base/base64.h"

#include <errno.h>

typedef int codec_fn(struct buf *out, struct bytes in);

static void expect(codec_fn *fn, const char *in, const char *want)
{
	OWNED_BUF b = BUF_INIT(100);

	assert_int_equal(fn(&b, bytes_of_str(in)), 0);
	assert_string_equal(buf_str(&b), want);
}

static void refuse(codec_fn *fn, const char *in)
{
	OWNED_BUF b = BUF_INIT(100);

	buf_append_str(&b, "before");
	assert_int_equal(fn(&b, bytes_of_str(in)), -EINVAL);
	assert_string_equal(buf_str(&b), "before");
}

/* RFC 4648 10. */
static const char *const pairs[][2] = {
	{ "", "" },         { "f", "Zg==" },        { "fo", "Zm8=" },         { "foo", "Zm9v" },
	{ "foob", "Zm9vYg==" }, { "fooba", "Zm9vYmE=" }, { "foobar", "Zm9vYmFy" },
};

static void agrees_with_the_vectors_of_rfc_4648(void **state)
{
	char unpadded[16];
	size_t i;

	for (i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
		snprintf(unpadded, sizeof(unpadded), "%.*s", (int)strcspn(pairs[i][1], "="), pairs[i][1]);
		expect(base64_encode, pairs[i][0], pairs[i][1]);
		expect(base64_decode, pairs[i][1], pairs[i][0]);
		expect(base64url_encode, pairs[i][0], unpadded);
		expect(base64url_decode, unpadded, pairs[i][0]);
	}
	expect(base64_encode, "\xfb\xff\xfe", "+//+");
	expect(base64url_encode, "\xfb\xff\xfe", "-__-");
}

static void refuses_every_other_spelling(void **state)
{
	static const char *const bad_url[] = { "Zg==", "Zh",   "Zm9",   "Z",    "Zm9vY",
					       "Zg\n", "Zm 9v", "+//+", "Zm9v=", "Z.9v" };
	static const char *const bad_std[] = { "Zg", "Zg=", "Zh==", "Zm9=", "=", "==", "====", "Z===", "Zg==\n", "-__-",
					       "Zg==Zg==", "Zm9v\n\n\n\n", "A=B=" };
	size_t i;

	for (i = 0; i < sizeof(bad_url) / sizeof(bad_url[0]); i++)
		refuse(base64url_decode, bad_url[i]);
	for (i = 0; i < sizeof(bad_std) / sizeof(bad_std[0]); i++)
		refuse(base64_decode, bad_std[i]);
}

static void returns_every_octet(void **state)
{
	OWNED_BUF text = BUF_INIT(1000);
	OWNED_BUF back = BUF_INIT(1000);
	uint8_t all[256];
	size_t i, n;

	for (i = 0; i < 256; i++)
		all[i] = (uint8_t)i;
	for (n = 250; n <= 256; n++) {
		buf_reset(&text);
		buf_reset(&back);
		assert_int_equal(base64url_encode(&text, bytes_of(all, n)), 0);
		assert_int_equal(base64url_decode(&back, buf_bytes(&text)), 0);
		assert_true(bytes_equal(buf_bytes(&back), bytes_of(all, n)));
	}
}

static void stops_at_the_limit_of_the_buffer(void **state)
{
	OWNED_BUF b = BUF_INIT(3);

	assert_int_equal(base64_encode(&b, bytes_of_str("foo")), -EMSGSIZE);
	buf_reset(&b);
	assert_int_equal(base64_decode(&b, bytes_of_str("Zm9vYg==")), -EMSGSIZE);
}

static void reads_and_writes_hexadecimal(void **state)
{
	uint8_t octets[3];
	char text[7];

	assert_int_equal(hex_parse("00Ff9a", octets, 3), 0);
	assert_memory_equal(octets, "\x00\xff\x9a", 3);
	assert_string_equal(hex_print(bytes_of(octets, 3), text), "00ff9a");
	assert_int_equal(hex_parse("00ff9", octets, 3), -EINVAL);
	assert_int_equal(hex_parse("00ff9a00", octets, 3), -EINVAL);
	assert_int_equal(hex_parse("00fg9a", octets, 3), -EINVAL);
	assert_int_equal(hex_parse(" 0ff9a", octets, 3), -EINVAL);
}

static void reads_fingerprints_as_people_write_them(void **state)
{
	static const char *const wrong[] = { "", "00", "zz", ":", "00:11" };
	char text[3 * HEX_FINGERPRINT_SIZE + 2];
	uint8_t out[HEX_FINGERPRINT_SIZE];
	size_t i;

	for (i = 0; i < HEX_FINGERPRINT_SIZE; i++)
		snprintf(text + 3 * i, 4, "%02X:", (unsigned)i);
	assert_int_equal(hex_parse_fingerprint(text, out), -EINVAL); /* a colon at the end */
	text[3 * HEX_FINGERPRINT_SIZE - 1] = '\0';
	assert_int_equal(hex_parse_fingerprint(text, out), 0);
	for (i = 0; i < HEX_FINGERPRINT_SIZE; i++)
		assert_int_equal(out[i], i);
	text[2] = '0'; /* one digit too many */
	assert_int_equal(hex_parse_fingerprint(text, out), -EINVAL);
	text[2] = 'x';
	assert_int_equal(hex_parse_fingerprint(text, out), -EINVAL);
	for (i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		assert_int_equal(hex_parse_fingerprint(wrong[i], out), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(agrees_with_the_vectors_of_rfc_4648),
		cmocka_unit_test(refuses_every_other_spelling),
		cmocka_unit_test(returns_every_octet),
		cmocka_unit_test(stops_at_the_limit_of_the_buffer),
		cmocka_unit_test(reads_and_writes_hexadecimal),
		cmocka_unit_test(reads_fingerprints_as_people_write_them),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
