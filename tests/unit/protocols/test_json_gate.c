/* The JSON gate: what RFC 8259 allows is read, everything that two readers may understand differently is not.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "protocols/jose/json_gate.h"

#include "core/base/buf.h"
#include "tests/test.h"

#define MAX 65536

/* A text and its length, so that NULs can stand in it. */
#define TEXT(s) { (const uint8_t *)(s), sizeof(s) - 1 }

static void expect_all(const struct bytes *texts, size_t n, int expected)
{
	for (size_t i = 0; i < n; i++) {
		cJSON *tree = NULL;

		if (json_check(texts[i], MAX) != expected || json_parse(&tree, texts[i], MAX) != expected)
			fail_msg("case %zu: %.*s", i, (int)texts[i].len, (const char *)texts[i].ptr);
		assert_int_equal(tree != NULL, expected == 0);
		json_drop(&tree);
	}
}

static void reads_what_the_grammar_allows(void **state)
{
	static const struct bytes texts[] = {
		TEXT("{}"), TEXT("[]"), TEXT(" \t\r\n{ } \n"), TEXT("[ ]"), TEXT("null"), TEXT("true"), TEXT("false"),
		TEXT("0"), TEXT("-0"), TEXT("10"), TEXT("0.5"), TEXT("1e5"), TEXT("1E+5"), TEXT("1.25e-10"),
		TEXT("[-0.0000000000000000000000000000000000000000000000000000000000000000000000000000001]"),
		TEXT("123456789012345678901234567890"), TEXT("\"\""), TEXT("\"a\""),
		TEXT("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\""),
		TEXT("\"\\u00e9\""), TEXT("\"\\uD834\\uDD1E\""), TEXT("\"\xc3\xa9\""), TEXT("\"\xe2\x82\xac\""),
		TEXT("\"\xf0\x9f\x98\x80\""), TEXT("\"\xef\xbf\xbf\""), TEXT("\"\xf4\x8f\xbf\xbf\""),
		TEXT("\"\x7f\""),
		TEXT("[1,2,3]"), TEXT("[1 , 2]"), TEXT("{\"a\":1}"), TEXT("{\"a\" : 1 , \"b\" : [ ] }"),
		TEXT("{\"\":1}"), TEXT("{\"a\":{\"a\":{\"a\":1}}}"), TEXT("[{\"a\":1},{\"a\":2}]"),
		TEXT("{\"a\":1,\"A\":2}"), TEXT("{\"a\":{\"b\":1},\"b\":2}"),
	};

	expect_all(texts, sizeof(texts) / sizeof(texts[0]), 0);
}

static void refuses_what_is_no_json(void **state)
{
	static const struct bytes texts[] = {
		TEXT(""), TEXT(" "), TEXT("{"), TEXT("}"), TEXT("["), TEXT("]"), TEXT("[}"), TEXT("{]"), TEXT("[1"),
		TEXT("[1,"), TEXT("[1,]"), TEXT("[,1]"), TEXT("[1,,2]"), TEXT("[1 2]"), TEXT("{\"a\"}"),
		TEXT("{\"a\":}"),
		TEXT("{:1}"), TEXT("{a:1}"), TEXT("{'a':1}"), TEXT("{\"a\":1,}"), TEXT("{\"a\":1 \"b\":2}"),
		TEXT("{1:1}"),
		TEXT("{\"a\" 1}"), TEXT("{\"a\"::1}"), TEXT("nul"), TEXT("nulL"), TEXT("True"), TEXT("truefalse"),
		TEXT("NaN"), TEXT("Infinity"), TEXT("-Infinity"), TEXT("undefined"), TEXT("// x\n1"), TEXT("/*x*/1"),
		TEXT("1 /*x*/"),
	};

	expect_all(texts, sizeof(texts) / sizeof(texts[0]), JSON_REFUSED);
}

static void refuses_numbers_of_other_languages(void **state)
{
	static const struct bytes texts[] = {
		TEXT("-"), TEXT("+1"), TEXT("01"), TEXT("-01"), TEXT("00"), TEXT("1."), TEXT(".5"), TEXT("-.5"),
		TEXT("1.e5"), TEXT("1e"), TEXT("1e+"), TEXT("1e5.5"), TEXT("0x10"), TEXT("1_000"), TEXT("--1"),
		TEXT("1-"), TEXT("[2.]"), TEXT("[1e-]"), TEXT("1 000"), TEXT("0e"), TEXT("\xef\xbc\x91"),
	};

	expect_all(texts, sizeof(texts) / sizeof(texts[0]), JSON_REFUSED);
}

static void refuses_strings_that_are_no_text(void **state)
{
	static const struct bytes texts[] = {
		TEXT("\""), TEXT("\"a"), TEXT("\"\\\""), TEXT("\"\\"), TEXT("\"\\a\""), TEXT("\"\\x41\""),
		TEXT("\"\\U0041\""), TEXT("\"\\u12\""), TEXT("\"\\u12g4\""), TEXT("\"\\u\""), TEXT("\"\n\""),
		TEXT("\"\t\""), TEXT("\"\x01\""), TEXT("\"\x1f\""), TEXT("'a'"), TEXT("\"a\0b\""), TEXT("\"\\\0\""),
		TEXT("\"\\u0000\""), TEXT("{\"a\\u0000b\":1}"), TEXT("\"\\ud800\""), TEXT("\"\\udc00\""),
		TEXT("\"\\ud800\\ud800\""), TEXT("\"\\ud800x\""), TEXT("\"\\ud800\\n\""),
	};

	expect_all(texts, sizeof(texts) / sizeof(texts[0]), JSON_REFUSED);
}

static void refuses_octets_that_are_no_utf8(void **state)
{
	static const struct bytes texts[] = {
		TEXT("\"\x80\""), TEXT("\"\xbf\""), TEXT("\"\xc0\xaf\""), TEXT("\"\xc1\xbf\""), TEXT("\"\xc3\""),
		TEXT("\"\xc3"), TEXT("\"\xe0\x80\xaf\""), TEXT("\"\xe2\x82\""), TEXT("\"\xed\xa0\x80\""),
		TEXT("\"\xed\xbf\xbf\""), TEXT("\"\xf0\x80\x80\xaf\""), TEXT("\"\xf4\x90\x80\x80\""),
		TEXT("\"\xf8\x88\x80\x80\x80\""), TEXT("\"\xff\""), TEXT("\"\xfe\""), TEXT("{\"\xff\":1}"),
		TEXT("\xff\xfe{\0}\0"), TEXT("[\"\xe2\x28\xa1\"]"),
	};

	expect_all(texts, sizeof(texts) / sizeof(texts[0]), JSON_REFUSED);
}

static void refuses_what_stands_around_the_value(void **state)
{
	static const struct bytes texts[] = {
		TEXT("\xef\xbb\xbf{}"), TEXT("{}{}"), TEXT("{} x"), TEXT("{}\0"), TEXT("\0{}"), TEXT("{},"),
		TEXT("1]"),
		TEXT("\"a\"\"b\""), TEXT("{}\f"), TEXT("\v{}"), TEXT("\xc2\xa0{}"), TEXT("[1]\x00x"),
		TEXT("{}\xef\xbb\xbf"),
	};

	expect_all(texts, sizeof(texts) / sizeof(texts[0]), JSON_REFUSED);
}

static void refuses_a_member_twice_however_it_is_written(void **state)
{
	static const struct bytes texts[] = {
		TEXT("{\"a\":1,\"a\":1}"), TEXT("{\"a\":1,\"b\":2,\"a\":3}"), TEXT("{\"a\":1,\"\\u0061\":2}"),
		TEXT("{\"\\u0061\":1,\"\\u0061\":2}"), TEXT("{\"\":1,\"\":2}"), TEXT("[{\"x\":{\"a\":1,\"a\":2}}]"),
		TEXT("{\"/\":1,\"\\/\":2}"), TEXT("{\"\xc3\xa9\":1,\"\\u00e9\":2}"),
		TEXT("{\"a\":{\"b\":1},\"a\":2}"),
		TEXT("{\"\xf0\x9d\x84\x9e\":1,\"\\uD834\\uDD1E\":2}"), TEXT("{\"a\":{\"z\":1},\"b\":2,\"b\":3}"),
		TEXT("{\"\\n\":1,\"\\u000a\":2}"),
	};

	expect_all(texts, sizeof(texts) / sizeof(texts[0]), JSON_REFUSED);
}

/* `n` members named by their numbers, in the `k`-th an object with as many again, and then one named `last`. */
static int check_members(size_t n, size_t k, const char *last)
{
	OWNED_BUF b = BUF_INIT(MAX);

	buf_append_char(&b, '{');
	for (size_t i = 0; i < n; i++) {
		buf_printf(&b, "\"%zu\":", i);
		buf_append_char(&b, i == k ? '{' : '1');
		for (size_t j = 0; i == k && j < n; j++)
			buf_printf(&b, "%s\"%zu\":1", j ? "," : "", j);
		buf_append_str(&b, i == k ? "}," : ",");
	}
	buf_printf(&b, "\"%s\":1}", last);
	assert_int_equal(buf_status(&b), 0);
	return json_check(buf_bytes(&b), MAX);
}

static void finds_a_member_twice_among_many(void **state)
{
	for (size_t k = 0; k < 700; k += 100) {
		assert_int_equal(check_members(700, k, "x"), 0);
		assert_int_equal(check_members(700, k, "0"), JSON_REFUSED);
		assert_int_equal(check_members(700, k, "699"), JSON_REFUSED);
		assert_int_equal(check_members(700, k, "\\u0033\\u0034\\u0035"), JSON_REFUSED);
	}
}

/* "[[[…]]]" with `depth` brackets. */
static int check_depth(size_t depth)
{
	OWNED_BUF b = BUF_INIT(MAX);

	for (size_t i = 0; i < depth; i++)
		buf_append_char(&b, '[');
	for (size_t i = 0; i < depth; i++)
		buf_append_char(&b, ']');
	assert_int_equal(buf_status(&b), 0);
	return json_check(buf_bytes(&b), MAX);
}

static void limits_how_deep_values_nest(void **state)
{
	assert_int_equal(check_depth(JSON_DEPTH_MAX), 0);
	assert_int_equal(check_depth(JSON_DEPTH_MAX + 1), JSON_REFUSED);
	assert_int_equal(check_depth(30000), JSON_REFUSED);
}

/* An array (or object) of `n` numbers. */
static int check_nodes(size_t n, bool object)
{
	OWNED_BUF b = BUF_INIT(MAX);

	buf_append_char(&b, object ? '{' : '[');
	for (size_t i = 0; i < n; i++) {
		if (object)
			buf_printf(&b, "%s\"%zu\":1", i ? "," : "", i);
		else
			buf_append_str(&b, i ? ",1" : "1");
	}
	buf_append_char(&b, object ? '}' : ']');
	assert_int_equal(buf_status(&b), 0);
	return json_check(buf_bytes(&b), MAX);
}

static void limits_the_number_of_values(void **state)
{
	assert_int_equal(check_nodes(JSON_NODES_MAX - 1, false), 0);
	assert_int_equal(check_nodes(JSON_NODES_MAX, false), JSON_REFUSED);
	assert_int_equal(check_nodes(JSON_NODES_MAX - 1, true), 0);
	assert_int_equal(check_nodes(JSON_NODES_MAX, true), JSON_REFUSED);
}

static void limits_the_size_of_the_text(void **state)
{
	assert_int_equal(json_check(bytes_of_str("[1,2]"), 5), 0);
	assert_int_equal(json_check(bytes_of_str("[1,2]"), 4), JSON_REFUSED);
}

static void finds_members_by_their_exact_name(void **state)
{
	OWNED_JSON tree = NULL;

	assert_int_equal(json_parse(&tree, bytes_of_str("{\"Alg\":\"x\",\"n\":1,\"\\u0061\":\"y\"}"), MAX), 0);
	assert_null(json_get(tree, "alg"));
	assert_string_equal(json_get_string(tree, "Alg"), "x");
	assert_string_equal(json_get_string(tree, "a"), "y");
	assert_non_null(json_get(tree, "n"));
	assert_null(json_get_string(tree, "n"));
	assert_null(json_get(json_get(tree, "n"), "x"));
	assert_null(json_get(NULL, "x"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_what_the_grammar_allows),
		cmocka_unit_test(refuses_what_is_no_json),
		cmocka_unit_test(refuses_numbers_of_other_languages),
		cmocka_unit_test(refuses_strings_that_are_no_text),
		cmocka_unit_test(refuses_octets_that_are_no_utf8),
		cmocka_unit_test(refuses_what_stands_around_the_value),
		cmocka_unit_test(refuses_a_member_twice_however_it_is_written),
		cmocka_unit_test(finds_a_member_twice_among_many),
		cmocka_unit_test(limits_how_deep_values_nest),
		cmocka_unit_test(limits_the_number_of_values),
		cmocka_unit_test(limits_the_size_of_the_text),
		cmocka_unit_test(finds_members_by_their_exact_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
