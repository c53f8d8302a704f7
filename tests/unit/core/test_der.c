/* core/base/der.c
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tests/test.h"

#include <errno.h>

#include "core/base/der.h"

#define OCTETS(...) bytes_of((const uint8_t[]){ __VA_ARGS__ }, sizeof((const uint8_t[]){ __VA_ARGS__ }))

static bool reads(struct bytes in)
{
	struct bytes content;
	unsigned tag;

	return der_read(&in, &tag, &content, NULL) == 0;
}

static void reads_one_element_and_leaves_the_rest(void **state)
{
	struct bytes in = OCTETS(0x02, 0x01, 0x05, 0x04, 0x00), content, whole;
	unsigned tag;

	assert_int_equal(der_read(&in, &tag, &content, &whole), 0);
	assert_int_equal(tag, DER_INTEGER);
	assert_int_equal(content.len, 1);
	assert_int_equal(content.ptr[0], 5);
	assert_int_equal(whole.len, 3);
	assert_int_equal(in.len, 2);
	assert_int_equal(der_read(&in, &tag, &content, &whole), 0);
	assert_int_equal(tag, DER_OCTET_STRING);
	assert_int_equal(content.len, 0);
	assert_int_equal(in.len, 0);
}

static void refuses_every_second_spelling_of_a_length(void **state)
{
	uint8_t long_form[0x84] = { 0x04, 0x81, 0x80 };

	assert_false(reads(OCTETS(0x04, 0x80, 0x00, 0x00)));       /* indefinite */
	assert_false(reads(OCTETS(0x04, 0x81, 0x01, 0x00)));       /* long form for a short one */
	assert_false(reads(OCTETS(0x04, 0x82, 0x00, 0x81, 0x00))); /* leading zero */
	assert_false(reads(OCTETS(0x04, 0xff, 0x01, 0x00)));       /* reserved */
	assert_false(reads(OCTETS(0x04, 0x85, 0x01, 0x00, 0x00, 0x00, 0x00)));
	assert_false(reads(OCTETS(0x1f, 0x81, 0x01, 0x00)));       /* tag of more than one octet */
	assert_true(reads(bytes_of(long_form, 3 + 0x80)));
}

static void refuses_an_element_that_ends_early(void **state)
{
	assert_false(reads(bytes_of(NULL, 0)));
	assert_false(reads(OCTETS(0x04)));
	assert_false(reads(OCTETS(0x04, 0x01)));
	assert_false(reads(OCTETS(0x04, 0x82, 0x01)));
	assert_false(reads(OCTETS(0x04, 0x84, 0xff, 0xff, 0xff, 0xff, 0x00)));
}

static void expecting_another_tag_takes_nothing(void **state)
{
	struct bytes in = OCTETS(0x02, 0x01, 0x05), content;

	assert_int_equal(der_expect(&in, DER_SEQUENCE, &content), -EINVAL);
	assert_int_equal(in.len, 3);
	assert_int_equal(der_expect(&in, DER_INTEGER, &content), 0);
	assert_int_equal(in.len, 0);
}

static void checks_inside_and_no_deeper_than_told(void **state)
{
	assert_int_equal(der_check(OCTETS(0x30, 0x04, 0x30, 0x02, 0x05, 0x00), 3), 0);
	assert_int_equal(der_check(OCTETS(0x30, 0x04, 0x30, 0x02, 0x05, 0x00), 2), -EINVAL);
	assert_int_equal(der_check(OCTETS(0x30, 0x03, 0x30, 0x02, 0x05), 3), -EINVAL);
	assert_int_equal(der_check(OCTETS(0x30, 0x02, 0x05, 0x00, 0x05), 3), -EINVAL);
}

static void oids_are_read_and_written_alike(void **state)
{
	static const char *const oids[] = { "0.0",     "1.2.840.113549.1.9.14", "2.5.29.17",
					    "2.999.3", "1.3.6.1.4.1.311.21.10", "2.5.4.4294967295" };
	char text[64];

	for (size_t i = 0; i < sizeof(oids) / sizeof(*oids); i++) {
		OWNED_BUF content = BUF_INIT(64);

		assert_int_equal(der_oid_parse(oids[i], &content), 0);
		assert_int_equal(der_oid_print(buf_bytes(&content), text, sizeof(text)), 0);
		assert_string_equal(text, oids[i]);
	}
}

static void refuses_malformed_oids(void **state)
{
	static const char *const bad[] = { "",    "1",     "1.",   ".1",    "1..2",        "3.1", "1.40",
					   "a.b", "1.2.x", "01.2", "1.2.",  "1.2.03",      "-1.2", "1.2 ",
					   "1.2.99999999999999999999999999", "1.2.72057594037927936" };
	char text[64];

	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		OWNED_BUF content = BUF_INIT(64);

		assert_int_equal(der_oid_parse(bad[i], &content), -EINVAL);
	}
	assert_int_equal(der_oid_print(bytes_of(NULL, 0), text, sizeof(text)), -EINVAL);
	assert_int_equal(der_oid_print(OCTETS(0x2a, 0x80, 0x01), text, sizeof(text)), -EINVAL); /* padded arc */
	/* 2^56: the text of it is refused too. */
	assert_int_equal(der_oid_print(OCTETS(0x2a, 0x81, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x00), text,
				       sizeof(text)),
			 -EINVAL);
	assert_int_equal(der_oid_print(OCTETS(0x2a, 0x86), text, sizeof(text)), -EINVAL);       /* cut off */
	assert_int_equal(der_oid_print(OCTETS(0x2a, 0x03, 0x04), text, 6), -EINVAL); /* no room for "1.2.3.4" */
}

static void writes_the_shortest_length(void **state)
{
	static const size_t sizes[] = { 0, 1, 0x7f, 0x80, 0xff, 0x100, 0xffff, 0x10000 };
	static const size_t heads[] = { 2, 2, 2, 3, 3, 4, 4, 5 };
	uint8_t *data = calloc(1, 0x10000);

	for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
		OWNED_BUF out = BUF_INIT(0x20000);
		struct bytes in, content;

		assert_int_equal(der_write(&out, DER_OCTET_STRING, bytes_of(data, sizes[i])), 0);
		assert_int_equal(out.len, heads[i] + sizes[i]);
		in = buf_bytes(&out);
		assert_int_equal(der_expect(&in, DER_OCTET_STRING, &content), 0);
		assert_int_equal(content.len, sizes[i]);
	}
	free(data);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_one_element_and_leaves_the_rest),
		cmocka_unit_test(refuses_every_second_spelling_of_a_length),
		cmocka_unit_test(refuses_an_element_that_ends_early),
		cmocka_unit_test(expecting_another_tag_takes_nothing),
		cmocka_unit_test(checks_inside_and_no_deeper_than_told),
		cmocka_unit_test(oids_are_read_and_written_alike),
		cmocka_unit_test(refuses_malformed_oids),
		cmocka_unit_test(writes_the_shortest_length),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
