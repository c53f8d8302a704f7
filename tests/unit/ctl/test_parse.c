/* The command line against the table of commands, and the table against itself.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "gateway/ctl/parse.h"

#include <ctype.h>

#include "gateway/ctl/help.h"
#include "gateway/ctl/list.h"
#include "tests/test.h"
#include "tests/unit/ctl/printed.h"

static struct ctl ctl;
static const char *said; /* on standard error */

static int parse(const char *line)
{
	static char words[4096];
	static char *argv[2048];
	char *rest = words;
	int n = 0;

	snprintf(words, sizeof(words), "gatehouse%s%s", *line ? " " : "", line);
	while (rest)
		argv[n++] = strsep(&rest, " ");
	argv[n] = NULL;
	ctl = (struct ctl){ .fd = -1 };
	printed_begin(2);
	n = parse_command_line(&ctl, n, argv);
	said = printed_end();
	return n;
}

static void expect_command(const char *line, const char *noun, const char *verb)
{
	assert_int_equal(parse(line), CTL_DONE);
	assert_non_null(ctl.command);
	assert_string_equal(ctl.command->noun, noun);
	assert_string_equal(ctl.command->verb, verb);
}

static void expect_refused(const char *line, const char *because)
{
	if (parse(line) != CTL_USAGE)
		fail_msg("'%s' is taken", line);
	if (!strstr(said, because))
		fail_msg("'%s' is refused with: %s", line, said);
}

static void finds_a_command_by_noun_and_verb_or_by_its_alias(void **state)
{
	expect_command("request approve 41", "request", "approve");
	assert_int_equal(ctl.n_arguments, 1);
	assert_string_equal(ctl.arguments[0], "41");
	expect_command("approve 41 42", "request", "approve");
	assert_int_equal(ctl.n_arguments, 2);
	assert_null(ctl.arguments[2]);
	expect_command("status", "server", "status");
	expect_command("est-user list", "user", "list");
	expect_command("help approve", "", "help");
}

static void takes_options_anywhere(void **state)
{
	expect_command("--socket /a -o json approve --yes 41", "request", "approve");
	assert_string_equal(ctl.socket_path, "/a");
	assert_int_equal(ctl.format, CTL_JSON);
	assert_true(option_given(&ctl, "yes"));
	assert_int_equal(ctl.n_arguments, 1);
	expect_command("approve -y 41 -ojson", "request", "approve");
	assert_int_equal(ctl.format, CTL_JSON);
	assert_true(option_given(&ctl, "yes"));
	expect_command("deny 41 --reason=a=b", "request", "deny");
	assert_string_equal(option_value(&ctl, "reason"), "a=b");
	expect_command("list --sort -age", "request", "list");
	assert_string_equal(option_value(&ctl, "sort"), "-age");
}

static void two_dashes_end_the_options(void **state)
{
	expect_command("approve --yes -- --digest", "request", "approve");
	assert_string_equal(ctl.arguments[0], "--digest");
	expect_command("show -- 41", "request", "show");
}

static void keeps_each_value_of_an_option_that_repeats(void **state)
{
	expect_command("edit 41 --set-attr a=1 --set-attr b=2", "request", "edit");
	assert_string_equal(option_nth(&ctl, "set-attr", 0), "a=1");
	assert_string_equal(option_nth(&ctl, "set-attr", 1), "b=2");
	assert_null(option_nth(&ctl, "set-attr", 2));
	expect_refused("deny 41 --reason a --reason b", "twice");
}

static void refuses_what_the_table_does_not_have(void **state)
{
	expect_refused("pendign", "did you mean: gatehouse pending");
	expect_refused("requst list", "did you mean: gatehouse request");
	expect_refused("request aprove 1", "did you mean: gatehouse request approve");
	expect_refused("request xyzzy", "gatehouse request --help");
	expect_refused("xyzzy", "gatehouse --help");
	expect_refused("approve 41 --digset 00", "did you mean: --digest");
	expect_refused("status --yes", "no such option");
	expect_refused("status -q", "-q");
	expect_refused("approve", "an argument is missing");
	expect_refused("approve", "gatehouse request approve REQUEST...");
	expect_refused("pending a b", "too many arguments");
	expect_refused("show 41 42", "too many arguments");
	expect_refused("deny 41 --reason", "its value is missing");
	expect_refused("approve 41 --yes=1", "takes no value");
	expect_refused("list -o xml", "table wide json jsonl csv id");
	expect_refused("list --color sometimes", "auto always never");
	expect_refused("ca init --key-type rsa", "ec-p256");
	expect_refused("ca init --key-type c-p256", "ec-p256");
	expect_refused("status -o csv", "does not print that format");
}

static void refuses_more_than_it_can_hold(void **state)
{
	static char line[4096] = "list";

	for (size_t i = 0; i < CTL_GIVEN_MAX + 1; i++)
		snprintf(line + strlen(line), sizeof(line) - strlen(line), " --utc");
	expect_refused(line, "too many options");
	snprintf(line, sizeof(line), "show");
	for (size_t i = 0; i < CTL_WORDS_MAX + 1; i++)
		snprintf(line + strlen(line), sizeof(line) - strlen(line), " 1");
	expect_refused(line, "too many arguments");
}

static void help_and_version_need_nothing_else(void **state)
{
	assert_int_equal(parse("--help"), CTL_DONE);
	assert_true(ctl.wants_help);
	assert_null(ctl.command);
	assert_int_equal(parse("request --help"), CTL_DONE);
	assert_string_equal(ctl.noun, "request");
	assert_null(ctl.command);
	assert_int_equal(parse("approve --help"), CTL_DONE);
	assert_string_equal(ctl.command->verb, "approve");
	assert_int_equal(parse("--version nonsense"), CTL_DONE);
	assert_true(ctl.wants_version);
	assert_int_equal(parse(""), CTL_DONE);
	assert_null(ctl.command);
}

static void reads_numbers_within_their_bounds(void **state)
{
	static const char *const wrong[] = { "0", "11", "-1", "1x", "x", "99999999999999999999" };
	int64_t n = 7;
	char line[64];

	expect_command("list --limit 10", "request", "list");
	assert_int_equal(option_number(&ctl, "limit", 1, 10, &n), CTL_DONE);
	assert_int_equal(n, 10);
	expect_command("list", "request", "list");
	assert_int_equal(option_number(&ctl, "limit", 1, 10, &n), CTL_DONE);
	assert_int_equal(n, 10);
	for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
		snprintf(line, sizeof(line), "list --limit %s", wrong[i]);
		expect_command(line, "request", "list");
		printed_begin(2);
		assert_int_equal(option_number(&ctl, "limit", 1, 10, &n), CTL_USAGE);
		assert_non_null(strstr(printed_end(), "from 1 to 10"));
	}
}

static void tells_typed_escapes_without_obeying_them(void **state)
{
	expect_refused("\033[31mpending", "\\x1b[31mpending");
	assert_null(strchr(said, '\033'));
	expect_refused("approve 41 --\033x", "\\x1bx");
	assert_null(strchr(said, '\033'));
}

/* ---- the table itself ---- */

static bool is_sentence_part(const char *text)
{
	size_t n = strlen(text);

	/* "DNS name" may begin so, "The name" may not. */
	return n > 1 && (!isupper((unsigned char)text[0]) || isupper((unsigned char)text[1])) && text[n - 1] != '.';
}

static void every_row_is_whole(void **state)
{
	const struct command *c;

	for (size_t i = 0; (c = command_at(i)); i++) {
		print_message("%s %s\n", c->noun, c->verb);
		assert_true(!*c->noun || noun_find(c->noun));
		assert_non_null(c->run);
		assert_true(is_sentence_part(c->summary));
		assert_int_equal(c->prints == PRINTS_LIST, c->list != NULL);
		assert_ptr_equal(command_find(c->noun, c->verb), c);
		if (c->alias) {
			assert_ptr_equal(command_find(c->alias, NULL), c);
			assert_null(noun_find(c->alias));
		}
	}
}

static void an_option_takes_a_value_everywhere_or_nowhere(void **state)
{
	const struct command *c, *d;
	const struct option_row *o, *p;

	for (size_t i = 0; (c = command_at(i)); i++)
		for (size_t j = 0; (o = command_option_at(c, j)); j++) {
			assert_true(is_sentence_part(o->summary));
			for (size_t k = 0; (p = common_option_at(k)); k++)
				assert_string_not_equal(o->name, p->name);
			for (size_t k = 0; (d = command_at(k)); k++)
				for (size_t l = 0; (p = command_option_at(d, l)); l++) {
					if (c == d && j != l)
						assert_string_not_equal(o->name, p->name);
					if (strcmp(o->name, p->name) == 0)
						assert_int_equal(o->value == NULL, p->value == NULL);
					/* One letter is one option. */
					if (o->letter && o->letter == p->letter)
						assert_string_equal(o->name, p->name);
				}
		}
}

static void every_list_shows_columns_that_it_has(void **state)
{
	const struct command *c;

	for (size_t i = 0; (c = command_at(i)); i++)
		for (int wide = 0; c->list && wide < 2; wide++) {
			const char *names = wide ? c->list->wide : c->list->usual;

			while (names) {
				size_t length = strcspn(names, ",");
				const struct column *column = c->list->columns;

				while (column->name &&
				       (strlen(column->name) != length || strncmp(column->name, names, length)))
					column++;
				if (!column->name)
					fail_msg("%s %s has no column %s", c->noun, c->verb, names);
				names = names[length] ? names + length + 1 : NULL;
			}
		}
}

static void help_names_every_command_and_option(void **state)
{
	const struct command *c;
	const struct option_row *o;

	for (size_t i = 0; (c = command_at(i)); i++) {
		const char *help;

		printed_begin(1);
		help_print_command(stdout, c);
		help = printed_end();
		assert_non_null(strstr(help, c->verb));
		for (size_t j = 0; (o = command_option_at(c, j)); j++)
			assert_non_null(strstr(help, o->name));
		assert_non_null(strstr(help, "  9  "));
		if (!*c->noun)
			continue;
		printed_begin(1);
		help_print_noun(stdout, noun_find(c->noun));
		assert_non_null(strstr(printed_end(), c->verb));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(finds_a_command_by_noun_and_verb_or_by_its_alias),
		cmocka_unit_test(takes_options_anywhere),
		cmocka_unit_test(two_dashes_end_the_options),
		cmocka_unit_test(keeps_each_value_of_an_option_that_repeats),
		cmocka_unit_test(refuses_what_the_table_does_not_have),
		cmocka_unit_test(refuses_more_than_it_can_hold),
		cmocka_unit_test(help_and_version_need_nothing_else),
		cmocka_unit_test(reads_numbers_within_their_bounds),
		cmocka_unit_test(tells_typed_escapes_without_obeying_them),
		cmocka_unit_test(every_row_is_whole),
		cmocka_unit_test(an_option_takes_a_value_everywhere_or_nowhere),
		cmocka_unit_test(every_list_shows_columns_that_it_has),
		cmocka_unit_test(help_names_every_command_and_option),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
