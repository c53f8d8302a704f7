/* protocols/scep/ber.c: what becomes of BER, and what is none.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tests/test.h"

#include <errno.h>

#include "core/base/der.h"
#include "protocols/scep/ber.h"

static void unhex(const char *text, struct buf *out)
{
	unsigned octet;

	for (; *text; text += *text == ' ' ? 1 : 2)
		if (*text != ' ' && sscanf(text, "%2x", &octet) == 1)
			assert_int_equal(buf_append_char(out, (char)octet), 0);
}

static void ber_becomes_der(void **unused)
{
	static const struct {
		const char *ber, *der;
	} pairs[] = {
		{ "30 00", "30 00" },
		{ "30 80 00 00", "30 00" },
		{ "30 80 02 01 05 00 00", "30 03 02 01 05" },
		{ "30 81 03 02 01 05", "30 03 02 01 05" },               /* a length that is not minimal */
		{ "30 84 00 00 00 03 02 01 05", "30 03 02 01 05" },
		{ "24 80 04 02 61 62 04 01 63 00 00", "04 03 61 62 63" }, /* pieces */
		{ "24 07 04 02 61 62 04 01 63", "04 03 61 62 63" },
		{ "24 80 24 80 04 01 61 00 00 04 01 62 00 00", "04 02 61 62" },
		{ "24 00", "04 00" },
		{ "30 80 30 80 31 80 00 00 00 00 00 00", "30 04 30 02 31 00" },
		{ "31 06 02 01 02 02 01 01", "31 06 02 01 02 02 01 01" }, /* the order stays */
		{ "a0 80 04 01 61 00 00", "a0 03 04 01 61" },
		{ "30 03 01 01 01", "30 03 01 01 01" },                   /* and so do values */
	};

	for (size_t i = 0; i < sizeof(pairs) / sizeof(*pairs); i++) {
		OWNED_BUF ber = BUF_INIT(256), der = BUF_INIT(256), out = BUF_INIT(256);

		unhex(pairs[i].ber, &ber);
		unhex(pairs[i].der, &der);
		assert_int_equal(scep_ber_to_der(buf_bytes(&ber), &out), 0);
		assert_true(bytes_equal(buf_bytes(&out), buf_bytes(&der)));
		assert_int_equal(der_check(buf_bytes(&out), SCEP_BER_DEPTH), 0);
		/* What is strict stays as it is. */
		assert_int_equal(scep_ber_to_der(buf_bytes(&der), &out), 0);
		assert_true(bytes_equal(buf_bytes(&out), buf_bytes(&der)));
	}
}

static void nothing_else_is_ber(void **unused)
{
	static const char *const texts[] = {
		"", "30", "30 80", "30 80 00", "30 01", "30 02 02 01", "30 03 02 02 05",
		"30 80 02 01 05",                     /* no end */
		"30 00 00",                           /* more than one element */
		"30 00 30 00", "00 00", "30 02 00 00", /* an end where none is due */
		"04 80 61 00 00",                     /* a primitive one without a length */
		"1f 81 01 00", "3f 81 01 00",         /* high tag numbers */
		"30 85 00 00 00 00 00", "30 ff",      /* more length octets than are read */
		"30 84 ff ff ff ff", "30 84 7f ff ff ff 02 01 05", "04 7f",
		"24 80 02 01 05 00 00",               /* a piece that is no string */
		"24 80 30 00 00 00", "24 80 24 80 02 01 05 00 00 00 00",
		"30 80 30 80 00 00",                  /* one end for two */
		"30 05 30 80 00 00 00 00",            /* an end outside of what has it */
	};

	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
		OWNED_BUF ber = BUF_INIT(256), out = BUF_INIT(256);

		unhex(texts[i], &ber);
		if (scep_ber_to_der(buf_bytes(&ber), &out) != -EINVAL)
			fail_msg("'%s' is no BER", texts[i]);
	}
}

/* So many elements, one in another. */
static int convert_nested(unsigned depth)
{
	OWNED_BUF ber = BUF_INIT(256), out = BUF_INIT(256);

	for (unsigned i = 0; i < depth; i++)
		buf_append(&ber, bytes_of("\x30\x80", 2));
	for (unsigned i = 0; i < depth; i++)
		buf_append(&ber, bytes_of("\0\0", 2));
	return scep_ber_to_der(buf_bytes(&ber), &out);
}

static int convert_many(unsigned n)
{
	OWNED_BUF ber = BUF_INIT(1 << 16), out = BUF_INIT(1 << 16);

	buf_append(&ber, bytes_of("\x30\x80", 2));
	for (unsigned i = 1; i < n; i++)
		buf_append(&ber, bytes_of("\x05\0", 2));
	buf_append(&ber, bytes_of("\0\0", 2));
	return scep_ber_to_der(buf_bytes(&ber), &out);
}

static void depth_and_number_have_limits(void **unused)
{
	assert_int_equal(convert_nested(SCEP_BER_DEPTH), 0);
	assert_int_equal(convert_nested(SCEP_BER_DEPTH + 1), -EINVAL);
	assert_int_equal(convert_many(SCEP_BER_ELEMENTS), 0);
	assert_int_equal(convert_many(SCEP_BER_ELEMENTS + 1), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ber_becomes_der),
		cmocka_unit_test(nothing_else_is_ber),
		cmocka_unit_test(depth_and_number_have_limits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
