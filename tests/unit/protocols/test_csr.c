/* The challengePassword of a PKCS#10 request, in every kind of string that clients write.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "protocols/csr.h"

#include <errno.h>

#include "core/base/der.h"
#include "core/base/own.h"
#include "tests/test.h"

#define ROOM (16u << 10)
#define TEXT(s) { (const uint8_t *)(s), sizeof(s) - 1 }

enum { UTF8 = 0x0c, NUMERIC = 0x12, PRINTABLE = 0x13, TELETEX = 0x14, IA5 = 0x16, UNIVERSAL = 0x1c, BMP = 0x1e };

static void put(struct buf *out, unsigned tag, struct bytes content)
{
	assert_int_equal(der_write(out, tag, content), 0);
}

/* A request that has nothing but this attribute; nobody has signed it. */
static void make_request(struct buf *out, unsigned tag, struct bytes challenge)
{
	static const struct bytes oid = TEXT("\x2a\x86\x48\x86\xf7\x0d\x01\x09\x07");
	OWNED_BUF values = BUF_INIT(ROOM), attribute = BUF_INIT(ROOM), wrapped = BUF_INIT(ROOM);
	OWNED_BUF info = BUF_INIT(ROOM), all = BUF_INIT(ROOM), whole = BUF_INIT(ROOM);

	put(&values, tag, challenge);
	put(&attribute, DER_OID, oid);
	put(&attribute, DER_SET, buf_bytes(&values));
	put(&wrapped, DER_SEQUENCE, buf_bytes(&attribute));
	put(&info, DER_INTEGER, bytes_of("\0", 1));
	put(&info, DER_SEQUENCE, bytes_of(NULL, 0));
	put(&info, DER_SEQUENCE, bytes_of(NULL, 0));
	put(&info, DER_CONTEXT_0, buf_bytes(&wrapped));
	put(&whole, DER_SEQUENCE, buf_bytes(&info));
	put(&whole, DER_SEQUENCE, bytes_of(NULL, 0));
	put(&whole, DER_BIT_STRING, bytes_of("\0", 1));
	put(&all, DER_SEQUENCE, buf_bytes(&whole));
	assert_int_equal(buf_append(out, buf_bytes(&all)), 0);
}

static int read_challenge(struct arena *arena, unsigned tag, struct bytes challenge, struct bytes *out)
{
	OWNED_BUF request = BUF_INIT(ROOM);
	struct proto_csr csr;
	int e;

	make_request(&request, tag, challenge);
	assert_int_equal(proto_csr_read(&csr, buf_bytes(&request)), 0);
	e = proto_csr_challenge(&csr, arena, out);
	if (!e) /* it may point into the request */
		*out = arena_copy(arena, *out);
	return e;
}

static void every_kind_of_string_is_the_same_text(void **state)
{
	static const struct {
		unsigned tag;
		struct bytes octets;
		const char *text;
	} cases[] = {
		{ UTF8, TEXT("caf\xc3\xa9"), "caf\xc3\xa9" },
		{ PRINTABLE, TEXT("secret-1"), "secret-1" },
		{ IA5, TEXT("a@b_c"), "a@b_c" },
		{ TELETEX, TEXT("caf\xe9"), "caf\xc3\xa9" },
		{ TELETEX, TEXT("plain"), "plain" },
		{ BMP, TEXT("\0s\0e\0c"), "sec" },
		{ BMP, TEXT("\0\xe9\x20\xac\xff\xfd"), "\xc3\xa9\xe2\x82\xac\xef\xbf\xbd" },
		{ UNIVERSAL, TEXT("\0\0\0k\0\1\xf5\x11"), "k\xf0\x9f\x94\x91" },
		{ UTF8, TEXT(""), "" },
		{ BMP, TEXT(""), "" },
	};
	OWNED(arena) arena = NULL;

	assert_int_equal(arena_new(&arena, 1u << 20), 0);
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct bytes text;

		assert_int_equal(read_challenge(arena, cases[i].tag, cases[i].octets, &text), 0);
		assert_true(bytes_equal_str(text, cases[i].text));
	}
}

static void what_is_no_text_is_refused(void **state)
{
	static const struct {
		unsigned tag;
		struct bytes octets;
	} cases[] = {
		{ UTF8, TEXT("caf\xe9") },           { UTF8, TEXT("a\0b") },
		{ PRINTABLE, TEXT("caf\xe9") },      { IA5, TEXT("a\0") },
		{ TELETEX, TEXT("a\0b") },           { BMP, TEXT("\0s\0") },
		{ BMP, TEXT("s") },                  { BMP, TEXT("\0s\0\0") },
		{ BMP, TEXT("\xd8\x3d\xdd\x11") },   { BMP, TEXT("\0a\xdf\xff") },
		{ UNIVERSAL, TEXT("\0\0\0") },       { UNIVERSAL, TEXT("\0\x11\0\0") },
		{ UNIVERSAL, TEXT("\0\0\xd8\0") },   { UNIVERSAL, TEXT("\x80\0\0k") },
		{ DER_OCTET_STRING, TEXT("text") },  { DER_INTEGER, TEXT("1") },
		{ NUMERIC, TEXT("1234") },           { 0x80, TEXT("text") },
	};
	OWNED(arena) arena = NULL;

	assert_int_equal(arena_new(&arena, 1u << 20), 0);
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct bytes text;

		assert_int_equal(read_challenge(arena, cases[i].tag, cases[i].octets, &text), -EINVAL);
	}
}

static void a_list_of_strings_is_no_challenge(void **state)
{
	OWNED_BUF request = BUF_INIT(ROOM);
	struct proto_csr csr;

	make_request(&request, DER_SEQUENCE, bytes_of("\x0c\1a", 3));
	assert_int_equal(proto_csr_read(&csr, buf_bytes(&request)), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_kind_of_string_is_the_same_text),
		cmocka_unit_test(what_is_no_text_is_refused),
		cmocka_unit_test(a_list_of_strings_is_no_challenge),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
