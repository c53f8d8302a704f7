/* Lists in every format.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "gateway/ctl/list.h"

#include "core/base/clock.h"
#include "gateway/ctl/parse.h"
#include "gateway/ctl/print.h"
#include "tests/test.h"
#include "tests/unit/ctl/printed.h"

#define NOW_MS INT64_C(1700000000000)

static const struct column columns[] = {
	{ .name = "id", .kind = COLUMN_NUMBER },
	{ .name = "state", .kind = COLUMN_STATE },
	{ .name = "subject" },
	{ .name = "names", .kind = COLUMN_NAMES },
	{ .name = "age", .member = "first_seen", .kind = COLUMN_AGE },
	{ .name = "edited" },
	{ 0 },
};
static const struct list_shape shape = { "things", columns, "id,state,names,age", "id,state,subject,names,age",
					 "nothing here", false };
static const struct command command = {
	.noun = "", .verb = "x", .arguments = "", .prints = PRINTS_LIST, .list = &shape,
};

/* The rows are known to no table: the options are taken from a command that has them. */
static void set_up(struct ctl *ctl, char **argv)
{
	int n = 0;

	while (argv[n])
		n++;
	*ctl = (struct ctl){ .fd = -1 };
	assert_int_equal(parse_command_line(ctl, n, argv), CTL_DONE);
	ctl->command = &command;
	clock_fake_set(NOW_MS);
}

static cJSON *row(int id, const char *state, const char *subject, const char *name, int age_s)
{
	cJSON *o = cJSON_CreateObject(), *names = cJSON_CreateArray();
	char text[CLOCK_TEXT_SIZE];

	cJSON_AddNumberToObject(o, "id", id);
	cJSON_AddStringToObject(o, "state", state);
	cJSON_AddStringToObject(o, "subject", subject);
	if (*name) {
		cJSON_AddItemToArray(names, cJSON_CreateString(name));
		cJSON_AddItemToArray(names, cJSON_CreateString("b.example"));
	}
	cJSON_AddItemToObject(o, "names", names);
	cJSON_AddStringToObject(o, "first_seen", clock_print_ms(NOW_MS - age_s * INT64_C(1000), text));
	return o;
}

/* Three rows, or fewer with --limit, through a list with these words of the command line. */
static const char *printed(char **argv)
{
	struct ctl ctl;
	struct list *list = NULL;
	bool more;

	set_up(&ctl, argv);
	printed_begin(1);
	assert_int_equal(list_new(&list, &ctl), CTL_DONE);
	more = list_add(list, row(1, "pending", "CN=a", "a.example", 60));
	more = more && list_add(list, row(2, "issued", "CN=\033[2Jb, \"x\"", "c.example", 7200));
	if (more)
		list_add(list, row(10, "denied", "=cmd", "", 0));
	assert_int_equal(list_end(&list, CTL_DONE), CTL_DONE);
	assert_null(list);
	print_forget();
	return printed_end();
}

#define PRINTED(...) printed((char *[]){ (char *)"gatehouse", (char *)"list", __VA_ARGS__, NULL })

static void a_table_has_the_usual_columns(void **state)
{
	const char *text = PRINTED((char *)"-o", (char *)"table");

	assert_string_equal(text, "ID STATE   NAMES        AGE\n"
				  "1  pending a.example +1 1m\n"
				  "2  issued  c.example +1 2h\n"
				  "10 denied               0s\n");
}

static void wide_has_more_and_whole_cells(void **state)
{
	const char *text = PRINTED((char *)"-o", (char *)"wide", (char *)"--utc");

	assert_non_null(strstr(text, "SUBJECT"));
	assert_non_null(strstr(text, "a.example b.example"));
	assert_non_null(strstr(text, "2023-11-14T22:12:20.000Z"));
}

static void nothing_from_outside_moves_the_cursor(void **state)
{
	static char *const formats[] = { "table", "wide", "csv", "json", "jsonl" };

	for (size_t i = 0; i < sizeof(formats) / sizeof(*formats); i++) {
		char *columns_of = formats[i][0] == 'j' ? (char *)"--utc" : (char *)"--columns=id,subject";
		const char *text = PRINTED((char *)"-o", formats[i], columns_of);

		assert_null(strchr(text, '\033'));
		assert_non_null(strstr(text, formats[i][0] == 'j' ? "\\u001b[2Jb" : "\\x1b[2Jb"));
	}
}

static void json_is_ascii_and_one_document(void **state)
{
	struct ctl ctl;
	struct list *list = NULL;
	const char *text;

	set_up(&ctl, (char *[]){ (char *)"gatehouse", (char *)"list", (char *)"-o", (char *)"json", NULL });
	printed_begin(1);
	list_new(&list, &ctl);
	/* U+009B begins a sequence on some terminals; an octet alone is no UTF-8; a character of two JSON escapes. */
	list_add(list, row(1, "pending",
			   "\xc2\x9b" "A\xff\xe2\x80\xae\x7f\xf0\x9f\x98\x80\xc0\x80\xed\xa0\x80", "", 0));
	list_end(&list, CTL_DONE);
	text = printed_end();
	assert_non_null(strstr(text, "{\"schema\":1,\"things\":[{\"id\":1,"));
	assert_non_null(strstr(text, "\"\\u009bA\\ufffd\\u202e\\u007f\\ud83d\\ude00"
				     "\\ufffd\\ufffd\\ufffd\\ufffd\\ufffd\""));
	for (const char *at = text; *at; at++)
		assert_true(*at == '\n' || (*at >= ' ' && *at < 0x7f));
	assert_string_equal(strrchr(text, ']'), "]}\n");
}

static void jsonl_csv_and_id_are_a_line_each(void **state)
{
	const char *text = PRINTED((char *)"-o", (char *)"jsonl");

	assert_non_null(strstr(text, "}\n{\"id\":2,"));
	assert_null(strstr(text, "schema"));
	assert_string_equal(PRINTED((char *)"-o", (char *)"id"), "1\n2\n10\n");
	text = PRINTED((char *)"-o", (char *)"csv", (char *)"--columns=id,subject,names");
	assert_string_equal(text, "id,subject,names\r\n"
				  "1,CN=a,\"a.example b.example\"\r\n"
				  "2,\"CN=\\x1b[2Jb, \"\"x\"\"\",\"c.example b.example\"\r\n"
				  "10,\"\\x3dcmd\",\r\n");
	assert_null(strstr(PRINTED((char *)"-o", (char *)"csv", (char *)"--no-headings"), "id,"));
}

static void orders_by_number_text_and_age(void **state)
{
	assert_string_equal(PRINTED((char *)"-o", (char *)"id", (char *)"--sort=-id"), "10\n2\n1\n");
	assert_string_equal(PRINTED((char *)"-o", (char *)"id", (char *)"--sort=state"), "10\n2\n1\n");
	assert_string_equal(PRINTED((char *)"-o", (char *)"id", (char *)"--sort=age"), "10\n1\n2\n");
	assert_string_equal(PRINTED((char *)"-o", (char *)"id", (char *)"--sort=-age,id"), "2\n1\n10\n");
	assert_string_equal(PRINTED((char *)"-o", (char *)"id", (char *)"--sort=names"), "10\n1\n2\n");
}

static void a_limit_ends_the_list(void **state)
{
	assert_string_equal(PRINTED((char *)"-o", (char *)"id", (char *)"--limit=2"), "1\n2\n");
	/* The first of all in that order. */
	assert_string_equal(PRINTED((char *)"-o", (char *)"id", (char *)"--sort=-id", (char *)"--limit=2"), "10\n2\n");
}

static void begins_behind_a_row_of_its_own_order(void **state)
{
	assert_string_equal(PRINTED((char *)"-o", (char *)"id", (char *)"--sort=-id", (char *)"--after=10"), "2\n1\n");
	assert_string_equal(PRINTED((char *)"-o", (char *)"id", (char *)"--sort=age", (char *)"--after=1"), "2\n");
	assert_string_equal(PRINTED((char *)"-o", (char *)"id", (char *)"--sort=-age", (char *)"--after=2",
				    (char *)"--limit=1"), "1\n");
	/* Pages of equal rows fit together: they stay as they came. */
	assert_string_equal(PRINTED((char *)"-o", (char *)"id", (char *)"--sort=edited"), "1\n2\n10\n");
	assert_string_equal(PRINTED((char *)"-o", (char *)"id", (char *)"--sort=-edited", (char *)"--after=2"), "10\n");
}

static void an_empty_list_says_so(void **state)
{
	static const struct {
		char *format;
		const char *text;
	} formats[] = {
		{ (char *)"table", "nothing here\n" },
		{ (char *)"json", "{\"schema\":1,\"things\":[]}\n" },
		{ (char *)"jsonl", "" },
		{ (char *)"id", "" },
		{ (char *)"csv", "id,state,subject,names,age\r\n" },
	};
	struct list *list;
	struct ctl ctl;

	for (size_t i = 0; i < sizeof(formats) / sizeof(*formats); i++) {
		set_up(&ctl, (char *[]){ (char *)"gatehouse", (char *)"list", (char *)"-o", formats[i].format, NULL });
		printed_begin(1);
		list = NULL;
		list_new(&list, &ctl);
		list_end(&list, CTL_DONE);
		assert_string_equal(printed_end(), formats[i].text);
		print_forget();
	}
}

static void a_failure_prints_no_more(void **state)
{
	struct list *list = NULL;
	struct ctl ctl;

	set_up(&ctl, (char *[]){ (char *)"gatehouse", (char *)"list", (char *)"--sort=id", NULL });
	printed_begin(1);
	list_new(&list, &ctl);
	list_add(list, row(1, "pending", "CN=a", "", 0));
	assert_int_equal(list_end(&list, CTL_UNREACHABLE), CTL_UNREACHABLE);
	assert_string_equal(printed_end(), "");
}

static void refuses_columns_that_are_none(void **state)
{
	static char *const wrong[] = { "--columns=id,nothing", "--columns=", "--columns=id,",
				       "--sort=nothing", "--sort=-", "--sort=id,id,id,id,id,id,id,id,id" };
	struct list *list = NULL;
	struct ctl ctl;

	for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
		set_up(&ctl, (char *[]){ (char *)"gatehouse", (char *)"list", wrong[i], NULL });
		printed_begin(2);
		assert_int_equal(list_new(&list, &ctl), CTL_USAGE);
		assert_non_null(strstr(printed_end(), "the columns are: id state subject names age"));
		assert_null(list);
	}
}

static void colours_only_when_asked(void **state)
{
	assert_non_null(strstr(PRINTED((char *)"--color=always"), "\033[32missued"));
	assert_null(strchr(PRINTED((char *)"--color=never"), '\033'));
	assert_null(strchr(PRINTED((char *)"--color=auto"), '\033'));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_table_has_the_usual_columns),
		cmocka_unit_test(wide_has_more_and_whole_cells),
		cmocka_unit_test(nothing_from_outside_moves_the_cursor),
		cmocka_unit_test(json_is_ascii_and_one_document),
		cmocka_unit_test(jsonl_csv_and_id_are_a_line_each),
		cmocka_unit_test(orders_by_number_text_and_age),
		cmocka_unit_test(a_limit_ends_the_list),
		cmocka_unit_test(begins_behind_a_row_of_its_own_order),
		cmocka_unit_test(an_empty_list_says_so),
		cmocka_unit_test(a_failure_prints_no_more),
		cmocka_unit_test(refuses_columns_that_are_none),
		cmocka_unit_test(colours_only_when_asked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
