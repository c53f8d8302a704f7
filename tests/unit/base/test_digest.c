/* SHA-256 and random octets.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tests/test.h"

#include "core/base/base64.h"
#include "core/base/digest.h"

static void agrees_with_the_vectors_of_fips_180(void **state)
{
	uint8_t out[SHA256_SIZE];
	char text[2 * SHA256_SIZE + 1];

	assert_int_equal(digest_sha256(bytes_of_str("abc"), out), 0);
	assert_string_equal(hex_print(bytes_of(out, sizeof(out)), text),
			    "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
	assert_int_equal(digest_sha256(bytes_of(NULL, 0), out), 0);
	assert_string_equal(hex_print(bytes_of(out, sizeof(out)), text),
			    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

static void tells_where_a_piece_ends(void **state)
{
	const struct bytes first[] = { bytes_of_str("ab"), bytes_of_str("c") };
	const struct bytes second[] = { bytes_of_str("a"), bytes_of_str("bc") };
	const struct bytes flat = bytes_of("\0\0\0\0\0\0\0\2ab\0\0\0\0\0\0\0\1c", 19);
	uint8_t one[SHA256_SIZE], two[SHA256_SIZE];

	assert_int_equal(digest_sha256_pieces(first, 2, one), 0);
	assert_int_equal(digest_sha256_pieces(second, 2, two), 0);
	assert_memory_not_equal(one, two, sizeof(one));
	assert_int_equal(digest_sha256(flat, two), 0);
	assert_memory_equal(one, two, sizeof(one));
}

/* FIPS 180-4, "abc". */
static void names_keys_by_the_digest_that_is_asked_for(void **state)
{
	static const char *const vectors[] = {
		[DIGEST_SHA1] = "a9993e364706816aba3e25717850c26c9cd0d89d",
		[DIGEST_SHA256] = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
		[DIGEST_SHA384] = "cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed"
				  "8086072ba1e7cc2358baeca134c825a7",
	};
	char text[2 * DIGEST_MAX + 1];
	uint8_t out[DIGEST_MAX];

	for (enum digest_kind k = DIGEST_SHA1; k < DIGEST_KINDS_; k++) {
		assert_int_equal(digest_of(k, bytes_of_str("abc"), out), 0);
		assert_string_equal(hex_print(bytes_of(out, digest_size(k)), text), vectors[k]);
	}
}

static void gives_other_octets_every_time(void **state)
{
	uint8_t one[16] = { 0 }, two[16] = { 0 };

	assert_int_equal(random_octets(one, sizeof(one)), 0);
	assert_int_equal(random_octets(two, sizeof(two)), 0);
	assert_memory_not_equal(one, two, sizeof(one));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(agrees_with_the_vectors_of_fips_180),
		cmocka_unit_test(tells_where_a_piece_ends),
		cmocka_unit_test(names_keys_by_the_digest_that_is_asked_for),
		cmocka_unit_test(gives_other_octets_every_time),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
