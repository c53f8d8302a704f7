/* Files read and written whole.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tests/test.h"

#include "core/base/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static char folder[64];

static const char *in_folder(const char *name)
{
	static char path[128];

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	return path;
}

static int make_temporary(void **state)
{
	snprintf(folder, sizeof(folder), "/tmp/test-file-XXXXXX");
	return mkdtemp(folder) ? 0 : -1;
}

static int remove_temporary(void **state)
{
	static const char *const names[] = { "a", "big", "fifo", "x/y", "x" };
	size_t i;

	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		remove(in_folder(names[i]));
	return rmdir(folder);
}

static int count_files(void)
{
	DIR *d = opendir(folder);
	int n = 0;

	assert_non_null(d);
	while (readdir(d))
		n++;
	closedir(d);
	return n - 2;
}

static void reads_an_open_file_from_its_beginning_for_everybody(void **state)
{
	OWNED_BUF small = BUF_INIT(4);
	int fd;

	assert_int_equal(file_write_atomic_at(AT_FDCWD, in_folder("a"), bytes_of_str("content"), 0600), 0);
	fd = open(in_folder("a"), O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	for (int i = 0; i < 2; i++) {
		OWNED_BUF b = BUF_INIT(7);

		assert_int_equal(file_read_fd(fd, &b), 0);
		assert_string_equal(buf_str(&b), "content");
	}
	assert_int_equal(file_read_fd(fd, &small), -EMSGSIZE);
	close(fd);
	assert_int_equal(file_read_fd(fd, &small), -EBADF);
}

static void replaces_a_file_whole_with_its_mode(void **state)
{
	OWNED_BUF b = BUF_INIT(100);
	struct stat st;

	umask(027);
	assert_int_equal(file_write_atomic_at(AT_FDCWD, in_folder("a"), bytes_of_str("first"), 0600), 0);
	assert_int_equal(file_write_atomic_at(AT_FDCWD, in_folder("a"), bytes_of_str("second"), 0644), 0);
	assert_int_equal(file_read(in_folder("a"), &b), 0);
	assert_string_equal(buf_str(&b), "second");
	assert_int_equal(stat(in_folder("a"), &st), 0);
	assert_int_equal(st.st_mode & 07777, 0644);
	assert_int_equal(count_files(), 1);
}

static void leaves_nothing_behind_when_it_cannot_write(void **state)
{
	int dirfd = open(folder, O_RDONLY | O_DIRECTORY);

	assert_true(dirfd >= 0);
	assert_int_equal(mkdirat(dirfd, "x", 0700), 0);
	assert_int_equal(mkdirat(dirfd, "x/y", 0700), 0);
	assert_int_equal(file_write_atomic_at(dirfd, "x", bytes_of_str("data"), 0600), -EISDIR);
	assert_int_equal(file_write_atomic_at(dirfd, "nowhere/x", bytes_of_str("data"), 0600), -ENOENT);
	assert_int_equal(count_files(), 1);
	close(dirfd);
}

static void sweeps_its_own_temporary_files_and_no_other(void **state)
{
	static const char *const names[] = {
		"a.0123456789abcdef.tmp", /* the only one that is ours */
		"a",
		".0123456789abcdef.tmp",
		"a.0123456789abcdeg.tmp",
		"a.0123456789abcde.tmp",
		"a0123456789abcdef.tmp",
		"a.0123456789abcdef.tmp.pem",
		"a.0123456789abcdef",
	};
	size_t n = sizeof(names) / sizeof(names[0]);

	for (size_t i = 0; i < n; i++)
		close(open(in_folder(names[i]), O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
	assert_int_equal(count_files(), n);
	assert_int_equal(file_sweep_temporary(folder), 0);
	assert_int_equal(count_files(), n - 1);
	for (size_t i = 1; i < n; i++)
		assert_int_equal(unlink(in_folder(names[i])), 0);
	assert_int_equal(file_sweep_temporary(in_folder("none")), -ENOENT);
}

static void sweeps_what_a_killed_writer_left(void **state)
{
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		/* The write does not fail with EFBIG, it ends the process. */
		signal(SIGXFSZ, SIG_DFL);
		setrlimit(RLIMIT_CORE, &(struct rlimit){ 0, 0 });
		setrlimit(RLIMIT_FSIZE, &(struct rlimit){ 0, 0 });
		_exit(file_write_atomic_at(AT_FDCWD, in_folder("a"), bytes_of_str("secret"), 0600) ? 1 : 0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGXFSZ);
	assert_int_equal(count_files(), 1);
	assert_int_equal(file_sweep_temporary(folder), 0);
	assert_int_equal(count_files(), 0);
}

static void reads_up_to_the_limit_and_not_beyond(void **state)
{
	static char data[200000];
	OWNED_BUF exact = BUF_INIT(sizeof(data));
	OWNED_BUF small = BUF_INIT(sizeof(data) - 1);

	memset(data, 'x', sizeof(data));
	assert_int_equal(file_write_atomic_at(AT_FDCWD, in_folder("big"), bytes_of(data, sizeof(data)), 0600), 0);
	assert_int_equal(file_read(in_folder("big"), &exact), 0);
	assert_int_equal(exact.len, sizeof(data));
	assert_int_equal(file_read(in_folder("big"), &small), -EMSGSIZE);
	assert_int_equal(file_read(in_folder("none"), &exact), -ENOENT);
	assert_int_equal(file_read(folder, &exact), -EISDIR);
}

static void refuses_a_secret_that_others_may_read(void **state)
{
	OWNED_BUF b = BUF_INIT(100);

	assert_int_equal(file_write_atomic_at(AT_FDCWD, in_folder("a"), bytes_of_str("secret"), 0640), 0);
	assert_int_equal(file_read_secret(in_folder("a"), &b), -EPERM);
	assert_int_equal(chmod(in_folder("a"), 0600), 0);
	assert_int_equal(file_read_secret(in_folder("a"), &b), 0);
	assert_string_equal(buf_str(&b), "secret");
	assert_int_equal(mkfifo(in_folder("fifo"), 0600), 0);
	assert_int_equal(file_read_secret(in_folder("fifo"), &b), -EPERM);
}

static void makes_a_folder_with_its_parents(void **state)
{
	struct stat st;

	assert_int_equal(file_make_folder(in_folder("x/y"), 0700), 0);
	assert_int_equal(file_make_folder(in_folder("x/y/"), 0700), 0);
	assert_int_equal(stat(in_folder("x/y"), &st), 0);
	assert_true(S_ISDIR(st.st_mode));
	assert_int_equal(file_write_atomic_at(AT_FDCWD, in_folder("a"), bytes_of_str(""), 0600), 0);
	assert_int_equal(file_make_folder(in_folder("a/b"), 0700), -ENOTDIR);
	assert_int_equal(file_make_folder(in_folder("a"), 0700), -ENOTDIR);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(replaces_a_file_whole_with_its_mode, make_temporary, remove_temporary),
		cmocka_unit_test_setup_teardown(leaves_nothing_behind_when_it_cannot_write, make_temporary,
						remove_temporary),
		cmocka_unit_test_setup_teardown(sweeps_its_own_temporary_files_and_no_other, make_temporary,
						remove_temporary),
		cmocka_unit_test_setup_teardown(sweeps_what_a_killed_writer_left, make_temporary, remove_temporary),
		cmocka_unit_test_setup_teardown(reads_up_to_the_limit_and_not_beyond, make_temporary, remove_temporary),
		cmocka_unit_test_setup_teardown(reads_an_open_file_from_its_beginning_for_everybody, make_temporary,
						remove_temporary),
		cmocka_unit_test_setup_teardown(refuses_a_secret_that_others_may_read, make_temporary,
						remove_temporary),
		cmocka_unit_test_setup_teardown(makes_a_folder_with_its_parents, make_temporary, remove_temporary),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
