/* The server log.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tests/test.h"

#include "core/base/clock.h"
#include "core/base/log.h"

#include <pthread.h>
#include <unistd.h>

static char last[16384];
static int lines;

static void keep(void *arg, const char *line)
{
	snprintf(last, sizeof(last), "%s", line);
	lines++;
}

static int capture(void **state)
{
	clock_fake_set(1795411970123);
	log_capture(keep, NULL);
	log_setup(LOG_FORMAT_LOGFMT, LOG_LEVEL_INFO);
	last[0] = 0;
	lines = 0;
	return 0;
}

static int restore(void **state)
{
	clock_fake_end();
	log_capture(NULL, NULL);
	return 0;
}

static void writes_logfmt(void **state)
{
	log_info("request.pended", "id", LOG_NUMBER(7), "name", "two words", "none", (const char *)NULL, "empty", "");
	assert_string_equal(last, "time=2026-11-23T05:32:50.123Z level=info event=request.pended id=7 "
				  "name=\"two words\" empty=\"\"");
	log_warn("bare");
	assert_string_equal(last, "time=2026-11-23T05:32:50.123Z level=warn event=bare");
}

static void writes_json(void **state)
{
	log_setup(LOG_FORMAT_JSON, LOG_LEVEL_INFO);
	log_error("a.b", "k", "say \"hi\"\n");
	assert_string_equal(last, "{\"time\":\"2026-11-23T05:32:50.123Z\",\"level\":\"error\",\"event\":\"a.b\","
				  "\"k\":\"say \\\\x22hi\\\\x22\\\\x0a\"}");
}

static void lets_a_client_forge_no_line_and_move_no_cursor(void **state)
{
	log_info("e", "k", "x\nlevel=error\x1b[2J\xc3\xa9\"\\");
	assert_non_null(strstr(last, "k=\"x\\x0alevel=error\\x1b[2J\\xc3\\xa9\\x22\\x5c\""));
}

static void leaves_out_levels_that_are_not_wanted(void **state)
{
	const struct log_field fields[] = { { "k", "v" }, { "none", NULL }, { NULL, NULL } };

	log_debug("e");
	assert_int_equal(lines, 0);
	log_fields(LOG_LEVEL_DEBUG, "e", fields);
	assert_int_equal(lines, 0);
	log_fields(LOG_LEVEL_INFO, "e", fields);
	assert_non_null(strstr(last, "event=e k=v"));
	assert_null(strstr(last, "none"));
}

static void cuts_a_long_line_and_still_closes_it(void **state)
{
	static char big[20000];
	size_t n;

	memset(big, '\n', sizeof(big) - 1);
	log_setup(LOG_FORMAT_JSON, LOG_LEVEL_INFO);
	log_info("e", "k", big, "after", big);
	n = strlen(last);
	assert_in_range(n, 8000, 8192);
	assert_string_equal(last + n - 2, "\"}");
}

static void escapes_text_for_people(void **state)
{
	char out[9];

	assert_string_equal(log_escape("ab\x01", out, sizeof(out)), "ab\\x01");
	assert_string_equal(log_escape("abcdef\x01", out, sizeof(out)), "abcdef");
	assert_string_equal(log_escape("0123456789", out, sizeof(out)), "01234567");
}

static void *write_many(void *arg)
{
	int i;

	for (i = 0; i < 200; i++)
		log_info("thread.line", "who", arg, "text", "some text that is the same in every line");
	return NULL;
}

static void keeps_lines_of_threads_apart(void **state)
{
	pthread_t threads[4];
	char line[512];
	int saved, n = 0;
	size_t i;
	FILE *f = tmpfile();

	assert_non_null(f);
	log_capture(NULL, NULL);
	fflush(stderr);
	saved = dup(STDERR_FILENO);
	assert_true(saved >= 0 && dup2(fileno(f), STDERR_FILENO) >= 0);
	for (i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, write_many, (void *)"me"), 0);
	for (i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	dup2(saved, STDERR_FILENO);
	close(saved);
	rewind(f);
	while (fgets(line, sizeof(line), f)) {
		assert_string_equal(strstr(line, "event="), "event=thread.line who=me "
				    "text=\"some text that is the same in every line\"\n");
		n++;
	}
	fclose(f);
	assert_int_equal(n, 800);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, capture, restore)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(writes_logfmt),
		TEST(writes_json),
		TEST(lets_a_client_forge_no_line_and_move_no_cursor),
		TEST(leaves_out_levels_that_are_not_wanted),
		TEST(cuts_a_long_line_and_still_closes_it),
		TEST(escapes_text_for_people),
		TEST(keeps_lines_of_threads_apart),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
