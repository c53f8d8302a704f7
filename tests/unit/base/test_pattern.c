/* Patterns of names and words.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tests/test.h"

#include "core/base/pattern.h"

#include <errno.h>

static void matches_words(void **state)
{
	static const struct {
		const char *pattern, *text;
		bool matches;
	} rows[] = {
		{ "a.example", "a.example", true },    { "a.example", "A.EXAMPLE", true },
		{ "A.example", "a.example", true },    { "a.example", "a.example2", false },
		{ "a.example", "", false },            { "*", "", true },
		{ "*", "anything", true },             { "?", "", false },
		{ "?", "x", true },                    { "hold*", "hold", true },
		{ "hold*", "holdme.example", true },   { "hold*", "threshold", false },
		{ "*hold", "threshold", true },        { "*.example.com", "a.example.com", true },
		{ "*.example.com", "a.b.c.example.com", true }, { "*.example.com", "example.com", false },
		{ "*.example.com", "aexample.com", false }, { "*.example.com", "a.example.com.evil", false },
		{ "*.example.com", "*.example.com", true }, { "?.example.com", "*.example.com", false },
		{ "?.example.com", "a.example.com", true }, { "*?.example.com", "*.example.com", false },
		{ "**.example.com", "*.example.com", true }, { "???", "a*b", false },
		{ "w??.example", "www.example", true },
		{ "w??.example", "wwww.example", false }, { "*a*b*c", "xaxbxc", true },
		{ "*a*b*c", "xaxbx", false },          { "**", "", true },
		{ "a*a", "a", false },                 { "*aab", "aaaaab", true },
	};
	size_t i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (pattern_matches_text(rows[i].pattern, rows[i].text) != rows[i].matches)
			fail_msg("%s against %s", rows[i].pattern, rows[i].text);
}

/* A pattern like this takes exponential time where every '*' is tried again. */
static void is_quick_with_many_stars(void **state)
{
	char text[4001];

	memset(text, 'a', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	assert_false(pattern_matches_text("*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*b", text));
}

static void matches_names_of_its_kind(void **state)
{
	static const struct {
		const char *pattern;
		enum pattern_kind kind;
		const char *value;
		bool matches;
	} rows[] = {
		{ "*", PATTERN_DNS, "a.example", true },
		{ "*", PATTERN_IP, "192.0.2.1", true },
		{ "dns:*", PATTERN_DNS, "a.example", true },
		{ "dns:*", PATTERN_IP, "192.0.2.1", false },
		{ "ip:*", PATTERN_IP, "192.0.2.1", true },
		{ "ip:*", PATTERN_DNS, "a.example", false },
		{ "ip:10.0.0.0/8", PATTERN_IP, "10.2.3.4", true },
		{ "ip:10.0.0.0/8", PATTERN_IP, "11.2.3.4", false },
		{ "ip:10.0.0.0/8", PATTERN_DNS, "10.2.3.4", false },
		{ "ip:2001:DB8:0::1", PATTERN_IP, "2001:db8::1", true },
		{ "ip:192.0.2.?", PATTERN_IP, "192.0.2.7", true },
		{ "email:*@example.com", PATTERN_EMAIL, "a@example.com", true },
		{ "uri:urn:*", PATTERN_URI, "urn:x", true },
		{ "uri:urn:*", PATTERN_DNS, "urn:x", false },
		{ "upn:*@example.com", PATTERN_UPN, "a@example.com", true },
		{ "upn:*@example.com", PATTERN_EMAIL, "a@example.com", false },
		{ "email:*@example.com", PATTERN_UPN, "a@example.com", false },
		{ "*@example.com", PATTERN_EMAIL, "a@example.com", true },
		{ "*@example.com", PATTERN_UPN, "a@example.com", false },
	};
	struct arena *arena = NULL;
	struct pattern p;
	size_t i;

	assert_int_equal(arena_new(&arena, 65536), 0);
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		assert_int_equal(pattern_parse(&p, arena, rows[i].pattern), 0);
		if (pattern_matches_name(&p, rows[i].kind, rows[i].value) != rows[i].matches)
			fail_msg("%s against %s", rows[i].pattern, rows[i].value);
	}
	arena_drop(&arena);
}

static void refuses_what_is_no_pattern(void **state)
{
	static const char *const wrong[] = { "", "dns:", "ip:", "ip:10.0.0.0/33", "ip:10.0.0.1/8", "ip:a.example" };
	struct arena *arena = NULL;
	struct pattern p;
	size_t i;

	assert_int_equal(arena_new(&arena, 65536), 0);
	for (i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		assert_int_equal(pattern_parse(&p, arena, wrong[i]), -EINVAL);
	arena_drop(&arena);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(matches_words),
		cmocka_unit_test(is_quick_with_many_stars),
		cmocka_unit_test(matches_names_of_its_kind),
		cmocka_unit_test(refuses_what_is_no_pattern),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
