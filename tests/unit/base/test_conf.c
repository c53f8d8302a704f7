/* Configuration by option rows.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tests/test.h"

#include "core/base/conf.h"
#include "core/base/log.h"
#include "core/base/own.h"

#include <errno.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static const struct conf_option limits_rows[] = {
	{ .name = "body", .type = CONF_SIZE, .range = "1KiB..1MiB", .fallback = "64KiB", .summary = "Largest body." },
	{ .name = "idle", .type = CONF_DURATION, .range = "1s..1h", .fallback = "30s", .summary = "Idle time." },
	{ 0 },
};

static const struct conf_option listener_rows[] = {
	{ .name = "port", .type = CONF_INTEGER, .range = "1..65535", .fallback = CONF_NEEDED, .summary = "TCP port." },
	{ .name = "address", .type = CONF_STRING, .fallback = "'[::]'", .summary = "Where to listen." },
	{ .name = "protocols", .type = CONF_STRINGS, .range = "acme|est|scep", .fallback = "[acme, est]",
	  .summary = "What it speaks." },
	{ .name = "limits", .type = CONF_SECTION, .rows = limits_rows, .summary = "Limits." },
	{ 0 },
};

static const struct conf_option file_rows[] = {
	{ .name = "folder", .type = CONF_STRING, .fallback = CONF_NEEDED, .summary = "Where to." },
	{ 0 },
};

static const struct conf_option no_rows[] = { { 0 } };

static const struct conf_option *rows_of(const char *module)
{
	if (strcmp(module, "file") == 0)
		return file_rows;
	return strcmp(module, "manual") == 0 ? no_rows : NULL;
}

static const struct conf_option rows[] = {
	{.name = "name", .type = CONF_STRING, .summary = "A name."},
	{.name = "debug", .type = CONF_BOOL, .fallback = "false", .summary = "Say more."},
	{.name = "level",
	 .type = CONF_CHOICE,
	 .range = "debug|info|warn",
	 .fallback = "info",
	 .summary = "Log level."},
	{.name = "listeners", .type = CONF_SECTIONS, .rows = listener_rows, .summary = "Listeners."},
	{.name = "limits", .type = CONF_SECTION, .rows = limits_rows, .summary = "Limits."},
	{.name = "exit", .type = CONF_VARIANTS, .rows_of = rows_of, .summary = "Exit modules."},
	{.name = "policy",
	 .type = CONF_VARIANT,
	 .rows_of = rows_of,
	 .fallback = "{module: manual}",
	 .summary = "Policy module."},
	{.name = "doors",
	 .type = CONF_VARIANTS,
	 .range = "kind",
	 .rows_of = rows_of,
	 .summary = "Another key chooses."},
	{.name = "set", .type = CONF_MAP, .summary = "Free names."},
	{.name = "relay", .type = CONF_SECTION, .rows = file_rows, .summary = "Absent unless given."},
	{0},
};

static struct conf *parse(const char *text)
{
	struct conf *conf = NULL;
	struct conf_error error;
	int r = conf_parse(&conf, bytes_of_str(text), "t.yaml", rows, &error);

	if (r)
		print_error("%s\n", error.text);
	assert_int_equal(r, 0);
	return conf;
}

static void refuse_by(const struct conf_option *by, struct bytes text, const char *message)
{
	struct conf *conf = NULL;
	struct conf_error error;

	assert_int_equal(conf_parse(&conf, text, "t.yaml", by, &error), -EINVAL);
	assert_null(conf);
	assert_string_equal(error.text, message);
}

static void refuse(const char *text, const char *message)
{
	refuse_by(rows, bytes_of_str(text), message);
}

static void lets_another_key_choose_the_rows(void **state)
{
	OWNED(conf) conf = parse("doors:\n  - kind: file\n    folder: /tmp\n");
	const struct conf_section *door = conf_section_at(conf_root(conf), "doors", 0);

	assert_string_equal(conf_module(door), "file");
	assert_string_equal(conf_str(door, "folder"), "/tmp");
	refuse("doors:\n  - module: file\n", "t.yaml:2:5: option 'kind' is missing");
	refuse("doors:\n  - kind: tape\n", "t.yaml:2:11: unknown kind 'tape'");
}

static void reads_every_type(void **state)
{
	OWNED(conf) conf = parse("name: no\n"
				 "debug: true\n"
				 "level: \"warn\"\n"
				 "listeners:\n"
				 "  - port: 443\n"
				 "    protocols: scep\n"
				 "  - {port: 80, address: localhost, limits: {body: 1MiB, idle: 1500ms}}\n"
				 "exit:\n"
				 "  - module: file\n"
				 "    folder: /tmp\n"
				 "set: {b: 1, a: ''}\n");
	const struct conf_section *root = conf_root(conf), *l;

	assert_string_equal(conf_str(root, "name"), "no");
	assert_true(conf_bool(root, "debug"));
	assert_string_equal(conf_str(root, "level"), "warn");
	assert_int_equal(conf_count(root, "listeners"), 2);
	l = conf_section_at(root, "listeners", 0);
	assert_int_equal(conf_int(l, "port"), 443);
	assert_string_equal(conf_str(l, "address"), "[::]");
	assert_int_equal(conf_count(l, "protocols"), 1);
	assert_string_equal(conf_str_at(l, "protocols", 0), "scep");
	l = conf_section_at(root, "listeners", 1);
	assert_int_equal(conf_count(l, "protocols"), 2);
	assert_string_equal(conf_str_at(l, "protocols", 1), "est");
	assert_int_equal(conf_int(conf_section(l, "limits"), "body"), 1 << 20);
	assert_int_equal(conf_duration_ms(conf_section(l, "limits"), "idle"), 1500);
	assert_string_equal(conf_module(conf_section_at(root, "exit", 0)), "file");
	assert_string_equal(conf_str(conf_section_at(root, "exit", 0), "folder"), "/tmp");
	assert_int_equal(conf_count(root, "set"), 2);
	assert_string_equal(conf_map_name(root, "set", 0), "b");
	assert_string_equal(conf_map_value(root, "set", 0), "1");
	assert_string_equal(conf_map_value(root, "set", 1), "");
}

static void gives_defaults_for_what_is_absent(void **state)
{
	static const char *const empty[] = { "", "{}", "---\n", "# nothing\n" };
	size_t i;

	for (i = 0; i < sizeof(empty) / sizeof(empty[0]); i++) {
		OWNED(conf) conf = parse(empty[i]);
		const struct conf_section *root = conf_root(conf);

		assert_null(conf_str(root, "name"));
		assert_false(conf_bool(root, "debug"));
		assert_string_equal(conf_str(root, "level"), "info");
		assert_false(conf_is_set(root, "level"));
		assert_int_equal(conf_count(root, "listeners"), 0);
		assert_int_equal(conf_int(conf_section(root, "limits"), "body"), 65536);
		assert_int_equal(conf_duration_ms(conf_section(root, "limits"), "idle"), 30000);
		assert_string_equal(conf_module(conf_section(root, "policy")), "manual");
		assert_false(conf_is_set(root, "relay"));
		assert_null(conf_str(conf_section(root, "relay"), "folder"));
	}
}

static void refuses_unknown_and_duplicate_options_at_their_place(void **state)
{
	refuse("name: x\nlistener: []\n", "t.yaml:2:1: unknown option 'listener'; did you mean 'listeners'?");
	refuse("listeners:\n  - portt: 5\n", "t.yaml:2:5: unknown option 'portt'; did you mean 'port'?");
	refuse("entirely: 1\n", "t.yaml:1:1: unknown option 'entirely'");
	refuse("\"a\\e[2J\": 1\n", "t.yaml:1:1: unknown option 'a\\x1b[2J'");
	refuse("name: x\ndebug: true\nname: y\n", "t.yaml:3:1: option 'name' is given twice");
	refuse("set:\n  a: 1\n  b: 2\n  a: 3\n", "t.yaml:4:3: 'a' is given twice");
	refuse("policy: {module: manual, module: manual}\n", "t.yaml:1:26: option 'module' is given twice");
	refuse("module: manual\n", "t.yaml:1:1: unknown option 'module'");
}

static void refuses_values_outside_type_and_range(void **state)
{
	refuse("debug: yes\n", "t.yaml:1:8: option 'debug': 'yes' is neither true nor false");
	refuse("level: loud\n", "t.yaml:1:8: option 'level': 'loud' is none of debug|info|warn");
	refuse("level: inf\n", "t.yaml:1:8: option 'level': 'inf' is none of debug|info|warn");
	refuse("listeners: [{port: 0}]\n", "t.yaml:1:20: option 'port': '0' is outside 1..65535");
	refuse("listeners: [{port: 65536}]\n", "t.yaml:1:20: option 'port': '65536' is outside 1..65535");
	refuse("listeners: [{port: 99999999999999999999}]\n",
	       "t.yaml:1:20: option 'port': '99999999999999999999' is too large");
	refuse("listeners: [{port: 0x50}]\n", "t.yaml:1:20: option 'port': '0x50' is not a whole decimal number");
	refuse("listeners: [{port: -5}]\n", "t.yaml:1:20: option 'port': '-5' is not a whole decimal number");
	refuse("listeners: [{port: 080}]\n", "t.yaml:1:20: option 'port': '080' is not a whole decimal number");
	refuse("listeners: [{port: [1]}]\n", "t.yaml:1:20: option 'port' must be a single value");
	refuse("listeners: {port: 1}\n", "t.yaml:1:12: option 'listeners' must be a list");
	refuse("listeners: [{port: 1, protocols: [est, smtp]}]\n",
	       "t.yaml:1:40: option 'protocols': 'smtp' is none of acme|est|scep");
	refuse("limits: {idle: 5}\n",
	       "t.yaml:1:16: option 'idle': '5' is not a duration such as 90d, 12h, 10m, 5s or 500ms");
	refuse("limits: {idle: 999ms}\n", "t.yaml:1:16: option 'idle': '999ms' is outside 1s..1h");
	refuse("limits: {body: 1MB}\n", "t.yaml:1:16: option 'body': '1MB' is not a size such as 512, 64KiB or 1MiB");
	refuse("limits: {body: 9999999999999GiB}\n", "t.yaml:1:16: option 'body': '9999999999999GiB' is too large");
	refuse("name:\n", "t.yaml:1:6: option 'name' has no value");
	refuse("limits: x\n", "t.yaml:1:9: option 'limits' must be a mapping");
	refuse("- name\n", "t.yaml:1:1: the file must be a mapping of options");
}

static void reports_what_is_missing_at_its_section(void **state)
{
	refuse("listeners:\n  - port: 1\n  - address: a\n", "t.yaml:3:5: option 'port' is missing");
	refuse("exit:\n  - module: file\n", "t.yaml:2:5: option 'folder' is missing");
	refuse("exit:\n  - folder: x\n", "t.yaml:2:5: option 'module' is missing");
	refuse("exit: [{module: fil}]\n", "t.yaml:1:17: unknown module 'fil'");
	refuse("relay: {}\n", "t.yaml:1:8: option 'folder' is missing");
	refuse_by(file_rows, bytes_of_str(""), "t.yaml:1:1: option 'folder' is missing");
}

static void refuses_the_parts_of_yaml_that_hide_things(void **state)
{
	char deep[128] = "name: ";
	size_t i;

	refuse("name: &a x\nlevel: *a\n", "t.yaml:1:7: anchors are not allowed");
	refuse("level: *a\n", "t.yaml:1:8: aliases are not allowed");
	refuse("name: !!str x\n", "t.yaml:1:7: tags are not allowed");
	refuse("limits: !x {}\n", "t.yaml:1:9: tags are not allowed");
	refuse("name: x\n---\nname: y\n", "t.yaml:2:1: a second document is not allowed");
	refuse("[a]: x\n", "t.yaml:1:1: a key must be a single word");
	refuse("name: \"a\\0b\"\n", "t.yaml:1:7: a NUL character is not allowed");
	i = strlen(deep);
	memset(deep + i, '[', 16);
	deep[i + 16] = '\0';
	refuse(deep, "t.yaml:1:22: nested more than 16 levels deep");
}

static void says_where_the_text_is_not_yaml(void **state)
{
	struct conf *conf = NULL;
	struct conf_error error;

	assert_int_equal(conf_parse(&conf, bytes_of_str("name: x\n  level: y\n"), "t.yaml", rows, &error), -EINVAL);
	assert_int_equal(error.line, 2);
	assert_non_null(strstr(error.text, "t.yaml:2:"));
	assert_int_equal(conf_parse(&conf, bytes_of_str("name: \xff\n"), "t.yaml", rows, &error), -EINVAL);
	assert_true(error.line > 0);
}

static void refuses_what_is_too_big(void **state)
{
	size_t size = (1 << 20) + 1, i;
	char *text = malloc(size);

	assert_non_null(text);
	memset(text, '#', size);
	refuse_by(rows, bytes_of(text, size), "t.yaml: larger than 1 MiB");
	for (i = 0; i < 2 * 20001; i += 2)
		memcpy(text + i, "- ", 2);
	memcpy(text, "[ ", 2);
	for (i = 2; i < 2 * 20001; i += 2)
		memcpy(text + i, "a,", 2);
	refuse_by(rows, bytes_of(text, 2 * 20001), "t.yaml:1:40001: more than 20000 values");
	free(text);
}

static void refuses_a_well_formed_value_at_its_place(void **state)
{
	OWNED(conf) conf = parse("name: x\nlisteners:\n  - port: 1\n    protocols: [est, acme]\n");
	const struct conf_section *root = conf_root(conf), *l = conf_section_at(root, "listeners", 0);
	struct conf_error error = { 0 };

	assert_int_equal(conf_refuse_at(l, "protocols", 1, &error, "no such %s", "thing"), -EINVAL);
	assert_string_equal(error.text, "t.yaml:4:22: no such thing");
	conf_refuse(root, "name", &error, "a later error");
	assert_string_equal(error.text, "t.yaml:4:22: no such thing");
	memset(&error, 0, sizeof(error));
	conf_refuse(root, "name", &error, "bad");
	assert_string_equal(error.text, "t.yaml:1:7: bad");
	memset(&error, 0, sizeof(error));
	conf_refuse(l, "address", &error, "a default");
	assert_string_equal(error.text, "t.yaml:3:5: a default");
	memset(&error, 0, sizeof(error));
	conf_refuse(l, NULL, &error, "itself");
	assert_string_equal(error.text, "t.yaml:3:5: itself");
	memset(&error, 0, sizeof(error));
	conf_refuse(conf_section(root, "policy"), NULL, &error, "by default");
	assert_string_equal(error.text, "t.yaml:1:1: by default");
}

static void reads_a_file_and_says_why_it_cannot(void **state)
{
	char path[] = "/tmp/test-conf-XXXXXX", want[128];
	struct conf_error error;
	OWNED_BUF text = BUF_INIT(1024);
	int fd = mkstemp(path);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, "name: x\n", 8), 8);
	close(fd);
	assert_int_equal(conf_read_file(path, &text, &error), 0);
	assert_string_equal(buf_str(&text), "name: x\n");
	for (size_t i = 0; i < 2; i++) {
		assert_int_equal(chmod(path, i ? 0602 : 0620), 0);
		assert_int_equal(conf_read_file(path, &text, &error), -EPERM);
		assert_non_null(strstr(error.text, ": others may write to it, and could change what is issued"));
	}
	assert_int_equal(chmod(path, 0644), 0);
	if (geteuid() == 0) {
		assert_int_equal(chown(path, 65534, 0), 0);
		assert_int_equal(conf_read_file(path, &text, &error), -EPERM);
		assert_non_null(strstr(error.text, ": belongs to the user 65534"));
	}
	unlink(path);
	assert_int_equal(conf_read_file(path, &text, &error), -ENOENT);
	snprintf(want, sizeof(want), "%s: cannot be read: No such file or directory", path);
	assert_string_equal(error.text, want);
}

static void prints_every_option(void **state)
{
	char *text = NULL;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	assert_non_null(f);
	conf_print_options(f, rows, "gate");
	fclose(f);
	assert_non_null(strstr(text, "gate.level: one of debug|info|warn, default info\n    Log level.\n\n"));
	assert_non_null(strstr(text, "gate.listeners[].port: number 1..65535, needed\n    TCP port.\n\n"));
	assert_non_null(strstr(text, "gate.listeners[].limits.idle: duration 1s..1h, default 30s\n"));
	assert_non_null(strstr(text, "gate.set: names and strings\n"));
	free(text);
}

static int note_option(void *arg, const char *name, const char *value, bool is_set)
{
	return buf_printf(arg, "%s=%s%s\n", name, value ? value : "-", is_set ? " set" : "");
}

static int stop_at_once(void *arg, const char *name, const char *value, bool is_set)
{
	++*(int *)arg;
	return -EIO;
}

static void tells_each_value_as_it_is_written(void **state)
{
	OWNED(conf) conf = parse("debug: true\nlimits: {body: 512KiB, idle: 90s}\nset: {a: x, b: y}\n"
				 "listeners: [{port: 80, protocols: []}]\n");
	OWNED_BUF text = BUF_INIT(4096);
	int n = 0;

	assert_int_equal(conf_each(conf_root(conf), note_option, &text), 0);
	assert_string_equal(buf_str(&text), "name=-\ndebug=true set\nlevel=info\nlimits.body=512KiB set\n"
					    "limits.idle=90s set\nset={a: x, b: y} set\nrelay.folder=-\n");
	buf_reset(&text);
	assert_int_equal(conf_each(conf_section_at(conf_root(conf), "listeners", 0), note_option, &text), 0);
	assert_string_equal(buf_str(&text), "port=80 set\naddress=[::]\nprotocols=[] set\nlimits.body=64KiB\n"
					    "limits.idle=30s\n");
	assert_int_equal(conf_each(conf_root(conf), stop_at_once, &n), -EIO);
	assert_int_equal(n, 1);
}

static void quiet(void *arg, const char *line)
{
}

static void ask_for_a_wrong_type(void)
{
	OWNED(conf) conf = parse("");

	(void)conf_int(conf_root(conf), "name");
}

static void ask_for_an_unknown_name(void)
{
	OWNED(conf) conf = parse("");

	(void)conf_str(conf_root(conf), "nmae");
}

static void use_a_wrong_default(void)
{
	static const struct conf_option bad[] = {
		{ .name = "n", .type = CONF_INTEGER, .range = "1..2", .fallback = "3" },
		{ 0 },
	};
	struct conf *conf;

	conf_parse(&conf, bytes_of_str(""), "t", bad, NULL);
}

/* A process that reads one section of everybody's file. */
static void passes_over_what_is_for_others(void **state)
{
	static const struct conf_option inner[] = { { .name = "port", .type = CONF_INTEGER }, { 0 } };
	static const struct conf_option part[] = {
		{ .name = "mine", .type = CONF_SECTION, .rows = inner }, { .name = CONF_OTHERS }, { 0 }
	};
	static const char text[] = "theirs: [{a: b}]\nmine: {port: 7}\nmore: x\n";
	int fd = memfd_create("conf", MFD_CLOEXEC);
	struct conf_error error;
	struct conf *conf = NULL;

	assert_int_equal(write(fd, text, sizeof(text) - 1), sizeof(text) - 1);
	assert_int_equal(conf_load_fd(&conf, fd, "t.yaml", part, &error), 0);
	assert_int_equal(conf_int(conf_section(conf_root(conf), "mine"), "port"), 7);
	conf_drop(&conf);
	close(fd);
	/* In its own section nothing is passed over, and nowhere what is given twice. */
	refuse_by(part, bytes_of_str("theirs: 1\nmine: {prt: 7}\n"),
		  "t.yaml:2:8: unknown option 'prt'; did you mean 'port'?");
	refuse_by(part, bytes_of_str("mine: {}\ntheirs: 1\nmine: {}\n"), "t.yaml:3:1: option 'mine' is given twice");
	assert_int_equal(conf_load_fd(&conf, -1, "t.yaml", part, &error), -EBADF);
	assert_non_null(strstr(error.text, "t.yaml: cannot be read"));
}

static void aborts_on_bugs_of_the_program(void **state)
{
	static void (*const bugs[])(void) = { ask_for_a_wrong_type, ask_for_an_unknown_name, use_a_wrong_default };
	int status;
	size_t i;
	pid_t pid;

	for (i = 0; i < sizeof(bugs) / sizeof(bugs[0]); i++) {
		pid = fork();
		assert_true(pid >= 0);
		if (pid == 0) {
			signal(SIGABRT, SIG_DFL);
			log_capture(quiet, NULL);
			bugs[i]();
			_exit(0);
		}
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lets_another_key_choose_the_rows),
		cmocka_unit_test(reads_every_type),
		cmocka_unit_test(gives_defaults_for_what_is_absent),
		cmocka_unit_test(refuses_unknown_and_duplicate_options_at_their_place),
		cmocka_unit_test(refuses_values_outside_type_and_range),
		cmocka_unit_test(reports_what_is_missing_at_its_section),
		cmocka_unit_test(refuses_the_parts_of_yaml_that_hide_things),
		cmocka_unit_test(says_where_the_text_is_not_yaml),
		cmocka_unit_test(refuses_what_is_too_big),
		cmocka_unit_test(refuses_a_well_formed_value_at_its_place),
		cmocka_unit_test(reads_a_file_and_says_why_it_cannot),
		cmocka_unit_test(passes_over_what_is_for_others),
		cmocka_unit_test(prints_every_option),
		cmocka_unit_test(tells_each_value_as_it_is_written),
		cmocka_unit_test(aborts_on_bugs_of_the_program),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
