/* The filter language: what it reads, what it refuses, and where it says so.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "core/filter.h"

#include <stdio.h>

#include "core/base/base64.h"
#include "core/base/buf.h"
#include "tests/test.h"

#define NOW 1700000000

static const char *const op_words[] = { "=", "~", "<", "<=", ">", ">=" };

static void print_value(struct buf *out, const struct filter *f)
{
	char hex[256];

	switch (f->field->kind) {
	case FILTER_TEXT:
		buf_printf(out, "'%s'", f->value.text);
		break;
	case FILTER_NAME:
		buf_printf(out, "'%s'/%lld", f->value.text, (long long)f->value.number);
		break;
	case FILTER_HEX:
		buf_printf(out, "%s%s", hex_print(f->value.octets, hex), f->value.is_prefix ? "*" : "");
		break;
	case FILTER_AGE:
	case FILTER_AHEAD:
		buf_printf(out, "now%+lld", (long long)(f->value.number - NOW));
		break;
	case FILTER_TIME:
		buf_printf(out, "%lld+%lld", (long long)f->value.number, (long long)(f->value.until - f->value.number));
		break;
	default:
		buf_printf(out, "%lld", (long long)f->value.number);
	}
}

static void print(struct buf *out, const struct filter *f)
{
	static const char *const heads[] = { [FILTER_NOT] = "(not ", [FILTER_AND] = "(and ", [FILTER_OR] = "(or " };

	if (f->what == FILTER_TERM) {
		buf_append_str(out, f->field->word);
		if (f->field->kind == FILTER_FLAG)
			return;
		buf_append_str(out, op_words[f->op]);
		print_value(out, f);
		return;
	}
	buf_append_str(out, heads[f->what]);
	print(out, f->left);
	if (f->right) {
		buf_append_char(out, ' ');
		print(out, f->right);
	}
	buf_append_char(out, ')');
}

/* The tree of `text` as a line; what was wrong with it otherwise. */
static const char *read_as(enum filter_table table, const char *text)
{
	static char answer[8192];
	OWNED_BUF out = BUF_INIT(sizeof(answer) - 1);
	struct filter *f = NULL;
	struct arena *arena;
	char why[FILTER_WHY_SIZE];
	int e;

	assert_int_equal(arena_new(&arena, 1u << 20), 0);
	e = filter_parse(&f, arena, table, text, NOW, why);
	if (e == FILTER_WRONG)
		buf_append_str(&out, why);
	else if (f)
		print(&out, f);
	assert_true(e == 0 || (e == FILTER_WRONG && !f));
	snprintf(answer, sizeof(answer), "%s", buf_str(&out));
	arena_drop(&arena);
	return answer;
}

static void reads_terms_and_their_joints(void **state)
{
	static const struct {
		const char *text, *tree;
	} rows[] = {
		{ "", "" },
		{ "  \t ", "" },
		{ "state=pending", "state=9" },
		{ "STATE=pending", "filter, character 1: 'STATE' is no field here; there are id requester profile via "
				   "endpoint state ca from subject asked san rule why serial key key-type key-bits age "
				   "submitted first-seen resolved edited approved noted" },
		{ "state = PENDING", "state=9" },
		{ "id=7", "id=7" },
		{ "id>=7 and id<9", "(and id>=7 id<9)" },
		{ "via=est or via=scep and id=1", "(or via='est' (and via='scep' id=1))" },
		{ "(via=est or via=scep) and id=1", "(and (or via='est' via='scep') id=1)" },
		{ "not via=est and not not edited", "(and (not via='est') (not (not edited)))" },
		{ "via!=est", "(not via='est')" },
		{ "subject!~*x*", "(not subject~'*x*')" },
		{ "requester=\"acme:7 \\\"x\\\" \\\\ (a)\"", "requester='acme:7 \"x\" \\ (a)'" },
		{ "via=\"and\" AND via=or", "(and via='and' via='or')" },
		{ "state=pending and (via=est or via=scep) and san~*.corp.example and age>2h and not edited",
		  "(and (and (and (and state=9 (or via='est' via='scep')) san~'*.corp.example'/0) age<now-7200) "
		  "(not edited))" },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
		assert_string_equal(read_as(FILTER_REQUESTS, rows[i].text), rows[i].tree);
}

static void reads_values_of_every_kind(void **state)
{
	static const struct {
		const char *text, *tree;
	} rows[] = {
		{ "age<90s", "age>now-90" },
		{ "age>=4w", "age<=now-2419200" },
		{ "expires<30d", "expires<now+2592000" },
		{ "issued=2023-11-14", "issued=1699920000+86400" },
		{ "issued>=2023-11-14T22:13:20Z", "issued>=1700000000+1" },
		{ "serial=01AB", "serial=01ab" },
		{ "serial=01:ab:ff", "serial=01abff" },
		{ "key=01ab*", "key=01ab*" },
		{ "key!=01*", "(not key=01*)" },
		{ "san=dns:a.example", "san='a.example'/1" },
		{ "san=ip:2001:db8::1", "san='2001:db8::1'/2" },
		{ "san=2001:db8::1", "san='2001:db8::1'/0" },
		{ "reason=keycompromise", "reason=1" },
		{ "state=issued and reason=certificateHold", "(and state=20 reason=6)" },
		{ "expired", "expires<now+0" },
		{ "not valid", "(not (and state=20 expires>=now+0))" },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
		assert_string_equal(read_as(FILTER_CERTIFICATES, rows[i].text), rows[i].tree);
}

static void says_what_is_wrong_and_where(void **state)
{
	static const struct {
		const char *text, *why;
	} rows[] = {
		{ "stat=pending", "filter, character 1: 'stat' is no field here" },
		{ "expires<1d", "filter, character 1: 'expires' is no field here" },
		{ "state=pendin", "filter, character 7: 'pendin' is none of active, pending," },
		{ "state=9", "filter, character 7: '9' is none of" },
		{ "state", "filter, character 6: 'state' needs one of" },
		{ "state pending", "filter, character 7: 'state' needs one of" },
		{ "state=", "filter, character 7: a value is missing" },
		{ "state=(pending)", "filter, character 7: a value is missing" },
		{ "state<pending", "filter, character 6: 'state' cannot be compared by <" },
		{ "via<est", "filter, character 4: 'via' cannot be compared by <" },
		{ "age=2h", "filter, character 4: 'age' cannot be compared by =" },
		{ "key~01", "filter, character 4: 'key' cannot be compared by ~" },
		{ "age>2", "filter, character 5: that should be a span of time" },
		{ "age>h", "filter, character 5: that should be a span of time" },
		{ "age>-2h", "filter, character 5: that should be a span of time" },
		{ "age>99999999999999999999h", "filter, character 5: that should be a span of time" },
		{ "age>9999999w", "filter, character 5: that should be a span of time" },
		{ "id=x", "filter, character 4: that should be a number" },
		{ "id=-1", "filter, character 4: that should be a number" },
		{ "id=99999999999999999999", "filter, character 4: that should be a number" },
		{ "submitted>yesterday", "filter, character 11: that should be a date" },
		{ "submitted>2023-13-41", "filter, character 11: that should be a date" },
		{ "key=01a", "filter, character 5: that should be hexadecimal digits in pairs" },
		{ "key=*", "filter, character 5: that should be hexadecimal digits in pairs" },
		{ "key=0*1*", "filter, character 5: that should be hexadecimal digits in pairs" },
		{ "key>01*", "filter, character 5: a beginning with * can be compared by = and != only" },
		{ "edited=true", "filter, character 7: 'edited' stands alone" },
		{ "via=est via=scep", "filter, character 9: 'and' or 'or' is missing before this" },
		{ "(via=est", "filter, character 9: ')' is missing" },
		{ "via=est)", "filter, character 8: 'and' or 'or' is missing before this" },
		{ "()", "filter, character 2: a field is missing" },
		{ "and", "filter, character 1: 'and' is no field here" },
		{ "via=est and", "filter, character 12: a field is missing" },
		{ "not", "filter, character 4: a field is missing" },
		{ "via=\"est", "filter, character 5: the text in quotes has no end" },
		{ "\"via\"=est", "filter, character 1: a field is missing" },
		{ "via!est", "filter, character 4: '!' stands before = or ~ only" },
		{ "subject~*********", "filter, character 9: a pattern has at most 8 '*'" },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		const char *got = read_as(FILTER_REQUESTS, rows[i].text);

		if (strncmp(got, rows[i].why, strlen(rows[i].why)) != 0)
			fail_msg("%s: %s", rows[i].text, got);
	}
}

/* `n` times `text`. */
static void repeat(struct buf *out, const char *text, int n)
{
	for (int i = 0; i < n; i++)
		buf_append_str(out, text);
}

static void refuses_text_without_end(void **state)
{
	OWNED_BUF text = BUF_INIT(8192);

	repeat(&text, " ", FILTER_TEXT_MAX);
	assert_string_equal(read_as(FILTER_REQUESTS, buf_str(&text)), "");
	repeat(&text, " ", 1);
	assert_non_null(strstr(read_as(FILTER_REQUESTS, buf_str(&text)), "at most 2000 characters"));
	buf_reset(&text);
	buf_append_str(&text, "subject=");
	repeat(&text, "x", 301);
	assert_non_null(strstr(read_as(FILTER_REQUESTS, buf_str(&text)), "at most 300 characters"));
}

static void refuses_too_many_terms(void **state)
{
	OWNED_BUF text = BUF_INIT(8192);

	repeat(&text, "id=1 or ", FILTER_TERMS_MAX - 1);
	buf_append_str(&text, "id=1");
	assert_null(strstr(read_as(FILTER_REQUESTS, buf_str(&text)), "filter,"));
	buf_append_str(&text, " or id=1");
	assert_non_null(strstr(read_as(FILTER_REQUESTS, buf_str(&text)), "at most 32 terms"));
}

static void refuses_too_many_levels(void **state)
{
	OWNED_BUF text = BUF_INIT(8192);

	repeat(&text, "(", FILTER_DEPTH_MAX - 1);
	buf_append_str(&text, "id=1");
	repeat(&text, ")", FILTER_DEPTH_MAX - 1);
	assert_string_equal(read_as(FILTER_REQUESTS, buf_str(&text)), "id=1");
	buf_reset(&text);
	repeat(&text, "(", FILTER_DEPTH_MAX);
	assert_non_null(strstr(read_as(FILTER_REQUESTS, buf_str(&text)), "levels deep"));
	buf_reset(&text);
	repeat(&text, "not ", FILTER_DEPTH_MAX);
	assert_non_null(strstr(read_as(FILTER_REQUESTS, buf_str(&text)), "levels deep"));
}

static void a_pattern_becomes_one_of_like(void **state)
{
	struct arena *arena;

	assert_int_equal(arena_new(&arena, 65536), 0);
	assert_string_equal(filter_like(arena, "*.a_b%\\?"), "%.a\\_b\\%\\\\_");
	arena_drop(&arena);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_terms_and_their_joints),
		cmocka_unit_test(reads_values_of_every_kind),
		cmocka_unit_test(says_what_is_wrong_and_where),
		cmocka_unit_test(refuses_text_without_end),
		cmocka_unit_test(refuses_too_many_terms),
		cmocka_unit_test(refuses_too_many_levels),
		cmocka_unit_test(a_pattern_becomes_one_of_like),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
