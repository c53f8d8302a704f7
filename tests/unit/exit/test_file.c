/* The exit module `file`.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tests/test.h"

#include "core/exit.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/file.h"

extern const struct ca_exit_module exit_file;

/* A view that is plain data. */
struct ca_exit_view {
	int64_t id;
	const char *serial;
	struct bytes certificate;
};

const char *ca_exit_get_text(const struct ca_exit_view *v, enum ca_property p)
{
	return p == CA_PROP_SERIAL ? v->serial : NULL;
}

int64_t ca_exit_get_number(const struct ca_exit_view *v, enum ca_property p)
{
	return p == CA_PROP_REQUEST_ID ? v->id : 0;
}

struct bytes ca_exit_get_octets(const struct ca_exit_view *v, enum ca_property p)
{
	return p == CA_PROP_CERTIFICATE ? v->certificate : bytes_of(NULL, 0);
}

static char folder[64];
static struct conf *conf;
static void *module;

static void remove_all(const char *path)
{
	struct dirent *entry;
	char inside[512];
	DIR *dir = opendir(path);

	while (dir && (entry = readdir(dir))) {
		if (entry->d_name[0] == '.')
			continue;
		snprintf(inside, sizeof(inside), "%s/%s", path, entry->d_name);
		if (unlink(inside))
			remove_all(inside);
	}
	if (dir)
		closedir(dir);
	rmdir(path);
}

static int make_temporary(void **state)
{
	snprintf(folder, sizeof(folder), "/tmp/gatehouse-exit-XXXXXX");
	return mkdtemp(folder) ? 0 : -1;
}

static int remove_temporary(void **state)
{
	if (module)
		exit_file.fini(module);
	module = NULL;
	conf_drop(&conf);
	remove_all(folder);
	return 0;
}

static int start(const char *text, uint32_t *events, struct conf_error *error)
{
	const struct ca_module_env env = { "Test CA", folder };

	assert_int_equal(conf_parse(&conf, bytes_of_str(text), "t.yaml", exit_file.options, error), 0);
	return exit_file.init(&module, events, &env, conf_root(conf), error);
}

/* `more` follows the folder's path. */
static void start_in_folder(const char *more)
{
	struct conf_error error = { 0 };
	uint32_t events = 0;
	char text[256];

	snprintf(text, sizeof(text), "folder: %s%s", folder, more);
	if (start(text, &events, &error))
		fail_msg("%s", error.text);
	assert_int_equal(events, CA_EVENT_ISSUED);
}

static const char *content_of(const char *name, struct buf *out)
{
	char path[256];

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	buf_reset(out);
	assert_int_equal(file_read(path, out), 0);
	return buf_str(out);
}

static unsigned count_files(void)
{
	struct dirent *entry;
	DIR *dir = opendir(folder);
	unsigned n = 0;

	while ((entry = readdir(dir)))
		n += strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
	closedir(dir);
	return n;
}

static struct ca_exit_view issued(void)
{
	static const uint8_t der[50] = { 0x30, 0x30, [49] = 0xff };

	return (struct ca_exit_view){ .id = 42, .serial = "0193a5c0", .certificate = { der, sizeof(der) } };
}

static int notify(enum ca_event event, struct ca_exit_view v)
{
	return exit_file.notify(module, event, &v);
}

static void writes_pem_with_lines_of_64(void **state)
{
	OWNED_BUF text = BUF_INIT(4096);
	struct stat st;
	char path[256];

	start_in_folder("\n");
	assert_int_equal(notify(CA_EVENT_ISSUED, issued()), 0);
	assert_string_equal(content_of("00000042-0193a5c0.pem", &text),
			    "-----BEGIN CERTIFICATE-----\n"
			    "MDAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\n"
			    "AP8=\n"
			    "-----END CERTIFICATE-----\n");
	snprintf(path, sizeof(path), "%s/00000042-0193a5c0.pem", folder);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0644);
	assert_int_equal(count_files(), 1);
}

static void writes_der_as_it_is(void **state)
{
	OWNED_BUF text = BUF_INIT(4096);
	struct ca_exit_view v = issued();

	start_in_folder("\nformat: der\n");
	v.id = 1234567890123;
	assert_int_equal(notify(CA_EVENT_ISSUED, v), 0);
	content_of("1234567890123-0193a5c0.der", &text);
	assert_true(bytes_equal(buf_bytes(&text), v.certificate));
}

static void bears_repeats(void **state)
{
	start_in_folder("\n");
	assert_int_equal(notify(CA_EVENT_ISSUED, issued()), 0);
	assert_int_equal(notify(CA_EVENT_ISSUED, issued()), 0);
	assert_int_equal(count_files(), 1);
}

static void writes_for_no_other_event(void **state)
{
	start_in_folder("\n");
	assert_int_equal(notify(CA_EVENT_PENDING, issued()), 0);
	assert_int_equal(notify(CA_EVENT_SHUTDOWN, (struct ca_exit_view){ 0 }), 0);
	assert_int_equal(count_files(), 0);
}

static void removes_what_it_left_when_it_was_killed(void **state)
{
	char path[256];

	snprintf(path, sizeof(path), "%s/00000042-0193a5c0.pem.0123456789abcdef.tmp", folder);
	close(open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
	assert_int_equal(count_files(), 1);
	start_in_folder("\n");
	assert_int_equal(count_files(), 0);
}

static void makes_the_folder(void **state)
{
	OWNED_BUF text = BUF_INIT(4096);

	start_in_folder("/a/b\n");
	assert_int_equal(notify(CA_EVENT_ISSUED, issued()), 0);
	assert_int_equal(strncmp(content_of("a/b/00000042-0193a5c0.pem", &text), "-----BEGIN", 10), 0);
}

static void fails_so_that_it_is_tried_again_when_the_folder_is_away(void **state)
{
	start_in_folder("\n");
	assert_int_equal(rmdir(folder), 0);
	assert_int_equal(notify(CA_EVENT_ISSUED, issued()), -ENOENT);
	assert_int_equal(mkdir(folder, 0755), 0);
	assert_int_equal(notify(CA_EVENT_ISSUED, issued()), 0);
	assert_int_equal(count_files(), 1);
}

static void refuses_a_serial_that_is_no_number(void **state)
{
	static const char *const wrong[] = { "../x", "", "12/34", "12.34",
					     "0123456789012345678901234567890123456789a", NULL };
	struct ca_exit_view v = issued();
	size_t i;

	start_in_folder("\n");
	for (i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		v.serial = wrong[i];
		assert_int_equal(notify(CA_EVENT_ISSUED, v), -EINVAL);
	}
	v = issued();
	v.certificate = bytes_of(NULL, 0);
	assert_int_equal(notify(CA_EVENT_ISSUED, v), -EINVAL);
	assert_int_equal(count_files(), 0);
}

static void refuse(const char *text, const char *message)
{
	struct conf_error error = { 0 };
	uint32_t events = 0;

	assert_int_equal(start(text, &events, &error), -EINVAL);
	assert_null(module);
	assert_string_equal(error.text, message);
	conf_drop(&conf);
}

static void refuses_a_folder_it_cannot_use(void **state)
{
	refuse("folder: issued\n", "t.yaml:1:9: the folder must be an absolute path");
	refuse("folder: /dev/null/x\n", "t.yaml:1:9: cannot write into '/dev/null/x': Not a directory");
}

static void needs_a_folder(void **state)
{
	struct conf_error error = { 0 };

	assert_int_equal(conf_parse(&conf, bytes_of_str("format: pem\n"), "t.yaml", exit_file.options, &error),
			 -EINVAL);
	assert_string_equal(error.text, "t.yaml:1:1: option 'folder' is missing");
}

int main(void)
{
#define WITH(name) cmocka_unit_test_setup_teardown(name, make_temporary, remove_temporary)
	const struct CMUnitTest tests[] = {
		WITH(writes_pem_with_lines_of_64),
		WITH(writes_der_as_it_is),
		WITH(bears_repeats),
		WITH(writes_for_no_other_event),
		WITH(removes_what_it_left_when_it_was_killed),
		WITH(makes_the_folder),
		WITH(fails_so_that_it_is_tried_again_when_the_folder_is_away),
		WITH(refuses_a_serial_that_is_no_number),
		WITH(refuses_a_folder_it_cannot_use),
		WITH(needs_a_folder),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
