/* protocols/scep/certificate_id.c: names of certificates, and what is none.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tests/test.h"

#include <errno.h>

#include "core/base/own.h"
#include "protocols/scep/certificate_id.h"
#include "protocols/signed_der.h"

#define OCTETS(text) bytes_of(text, sizeof(text) - 1)
#define NAME "\x30\x0c\x31\x0a\x30\x08\x06\x03\x55\x04\x03\x0c\x01" "A"

static void expect(struct bytes octets, struct bytes serial)
{
	struct ca_certificate_id id;

	assert_true(scep_certificate_id_read(octets, &id));
	assert_true(bytes_equal(id.issuer, OCTETS(NAME)));
	assert_true(bytes_equal(id.serial, serial));
}

static void reads_issuer_and_serial(void **state)
{
	expect(OCTETS("\x30\x11" NAME "\x02\x01\x07"), OCTETS("\x07"));
	expect(OCTETS("\x30\x12" NAME "\x02\x02\x12\x34"), OCTETS("\x12\x34"));
	expect(OCTETS("\x30\x24" NAME "\x02\x14" "12345678901234567890"), OCTETS("12345678901234567890"));
}

static void an_octet_that_makes_a_serial_positive_is_not_part_of_it(void **state)
{
	expect(OCTETS("\x30\x12" NAME "\x02\x02\x00\xff"), OCTETS("\xff"));
	expect(OCTETS("\x30\x25" NAME "\x02\x15\x00\xf1" "2345678901234567890"), OCTETS("\xf1" "2345678901234567890"));
	/* As nobody should write it; it can mean nothing else. */
	expect(OCTETS("\x30\x13" NAME "\x02\x03\x00\x00\x07"), OCTETS("\x07"));
}

static void refuses_what_is_none(void **state)
{
	static const struct bytes wrong[] = {
		{ NULL, 0 },
		{ (const uint8_t *)"\x30\x00", 2 },
		{ (const uint8_t *)"\x30\x0e" NAME, 16 },                         /* no serial */
		{ (const uint8_t *)"\x30\x03\x02\x01\x07", 5 },                  /* no issuer */
		{ (const uint8_t *)"\x30\x11" NAME "\x02\x01\x00", 19 },         /* zero */
		{ (const uint8_t *)"\x30\x12" NAME "\x02\x02\x00\x00", 20 },     /* longer, and zero */
		{ (const uint8_t *)"\x30\x11" NAME "\x02\x01\x80", 19 },         /* negative */
		{ (const uint8_t *)"\x30\x10" NAME "\x02\x00", 18 },             /* empty */
		{ (const uint8_t *)"\x30\x11" NAME "\x04\x01\x07", 19 },         /* octets */
		{ (const uint8_t *)"\x31\x11" NAME "\x02\x01\x07", 19 },         /* a SET */
		{ (const uint8_t *)"\x30\x11" NAME "\x02\x01\x07\x00", 20 },     /* something behind it */
		{ (const uint8_t *)"\x30\x13" NAME "\x02\x01\x07\x05\x00", 21 }, /* and in it */
		{ (const uint8_t *)"\x30\x12" NAME "\x02\x01\x07", 19 },         /* cut */
		{ (const uint8_t *)"\x30\x25" NAME "\x02\x15" "123456789012345678901", 39 },
	};
	struct ca_certificate_id id;

	for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++)
		if (scep_certificate_id_read(wrong[i], &id))
			fail_msg("%zu is taken", i);
}

#define OTHER_NAME "\x30\x0c\x31\x0a\x30\x08\x06\x03\x55\x04\x03\x0c\x01" "B"
#define ALGORITHM "\x30\x0a\x06\x08\x2a\x86\x48\xce\x3d\x04\x03\x02"
#define BEHIND ALGORITHM "\x03\x02\x00\x01"
#define DATES "\x30\x00"
#define KEY "\x30\x02\x05\x00"

static void reads_what_a_certificate_says(void **state)
{
	struct signed_certificate c;

	assert_int_equal(signed_der_certificate(OCTETS("\x30\x48\x30\x36\xa0\x03\x02\x01\x02\x02\x01\x07" ALGORITHM
						       NAME DATES OTHER_NAME KEY BEHIND), &c), 0);
	assert_true(bytes_equal(c.serial, OCTETS("\x07")));
	assert_true(bytes_equal(c.issuer, OCTETS(NAME)));
	assert_true(bytes_equal(c.subject, OCTETS(OTHER_NAME)));
	assert_true(bytes_equal(c.spki, OCTETS(KEY)));
	/* Of version 1. */
	assert_int_equal(signed_der_certificate(OCTETS("\x30\x43\x30\x31\x02\x01\x07" ALGORITHM OTHER_NAME DATES NAME
						       KEY BEHIND), &c), 0);
	assert_true(bytes_equal(c.issuer, OCTETS(OTHER_NAME)));
	assert_true(bytes_equal(c.subject, OCTETS(NAME)));
}

static void names_it_as_messages_do(void **state)
{
	OWNED_BUF out = BUF_INIT(256);
	struct ca_certificate_id id;

	assert_int_equal(scep_certificate_id_write(OCTETS("\x30\x43\x30\x31\x02\x01\x07" ALGORITHM OTHER_NAME DATES
							  NAME KEY BEHIND), &out), 0);
	assert_true(scep_certificate_id_read(buf_bytes(&out), &id));
	assert_true(bytes_equal(id.issuer, OCTETS(OTHER_NAME)));
	assert_true(bytes_equal(id.serial, OCTETS("\x07")));
	buf_reset(&out);
	assert_int_equal(scep_certificate_id_write(OCTETS("\x30\x00"), &out), -EINVAL);
	assert_int_equal(out.len, 0);
}

static void what_is_none_says_nothing(void **state)
{
	static const struct bytes wrong[] = {
		{ NULL, 0 },
		{ (const uint8_t *)"\x30\x11" NAME "\x02\x01\x07", 19 },
		{ (const uint8_t *)"\x30\x23\x30\x11\x02\x01\x07" ALGORITHM "\x31\x00" BEHIND, 37 }, /* a SET */
		{ (const uint8_t *)"\x30\x31\x30\x1f\x02\x01\x07" ALGORITHM NAME DATES BEHIND, 51 }, /* no subject */
		{ (const uint8_t *)"\x30\x3f\x30\x2d\x02\x01\x07" ALGORITHM OTHER_NAME DATES NAME BEHIND,
		  65 }, /* no key */
	};
	struct signed_certificate c;

	for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++)
		if (signed_der_certificate(wrong[i], &c) == 0)
			fail_msg("%zu is taken", i);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_issuer_and_serial),
		cmocka_unit_test(an_octet_that_makes_a_serial_positive_is_not_part_of_it),
		cmocka_unit_test(refuses_what_is_none),
		cmocka_unit_test(reads_what_a_certificate_says),
		cmocka_unit_test(names_it_as_messages_do),
		cmocka_unit_test(what_is_none_says_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
