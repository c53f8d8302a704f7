/* A key-encryption key of a passphrase: where it comes from, and what is refused.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "core/passphrase.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/file.h"
#include "tests/test.h"

#define PHRASE "correct horse battery"

static char folder[64], salt[96], given[96];
static char why[KEK_WHY_SIZE];

static int begin(void **state)
{
	snprintf(folder, sizeof(folder), "/tmp/gatehouse-phrase-XXXXXX");
	if (!mkdtemp(folder))
		return -1;
	snprintf(salt, sizeof(salt), "%s/kek.salt", folder);
	snprintf(given, sizeof(given), "%s/given", folder);
	why[0] = '\0';
	return 0;
}

static int end(void **state)
{
	unlink(salt);
	unlink(given);
	return rmdir(folder);
}

static void write_file(const char *path, struct bytes text, mode_t mode)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text.ptr, text.len), text.len);
	assert_int_equal(fchmod(fd, mode), 0);
	close(fd);
}

static int derive(const char *phrase, bool make, uint8_t kek[static CA_KEK_SIZE])
{
	return passphrase_derive(folder, bytes_of_str(phrase), make, kek, why);
}

static void the_same_passphrase_is_the_same_key(void **state)
{
	uint8_t made[CA_KEK_SIZE], again[CA_KEK_SIZE];
	struct stat st;

	assert_int_equal(derive(PHRASE, false, made), -ENOENT);
	assert_int_equal(derive(PHRASE, true, made), 0);
	assert_int_equal(stat(salt, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(derive(PHRASE, false, again), 0);
	assert_memory_equal(made, again, CA_KEK_SIZE);
	/* To make one where there is one is to use it. */
	assert_int_equal(derive(PHRASE, true, again), 0);
	assert_memory_equal(made, again, CA_KEK_SIZE);
}

static void another_passphrase_is_wrong_and_gives_no_key(void **state)
{
	static const uint8_t none[CA_KEK_SIZE];
	uint8_t kek[CA_KEK_SIZE];

	assert_int_equal(derive(PHRASE, true, kek), 0);
	assert_int_equal(derive(PHRASE "y", false, kek), PASSPHRASE_WRONG);
	assert_memory_equal(kek, none, CA_KEK_SIZE);
	assert_string_equal(why, "the passphrase is wrong");
	assert_int_equal(derive(PHRASE "y", true, kek), PASSPHRASE_WRONG);
	assert_int_equal(derive("", false, kek), PASSPHRASE_WRONG);
}

static void the_salt_makes_keys_of_two_folders_different(void **state)
{
	uint8_t first[CA_KEK_SIZE], second[CA_KEK_SIZE];

	assert_int_equal(derive(PHRASE, true, first), 0);
	assert_int_equal(unlink(salt), 0);
	assert_int_equal(derive(PHRASE, true, second), 0);
	assert_memory_not_equal(first, second, CA_KEK_SIZE);
}

static void a_short_one_makes_no_key(void **state)
{
	uint8_t kek[CA_KEK_SIZE];

	assert_int_equal(derive("seven77", true, kek), -EINVAL);
	assert_non_null(strstr(why, "8 characters or more"));
	assert_int_equal(access(salt, F_OK), -1);
}

/* A changed file must neither make a guess cheap nor take all memory. */
static void a_salt_file_that_was_changed_is_refused(void **state)
{
#define SALT " 00112233445566778899aabbccddeeff 0011223344556677\n"
	static const char *const texts[] = {
		"", "scrypt", "scrypt 131072 8 1\n", "pbkdf2 131072 8 1" SALT, "scrypt 2 8 1" SALT,
		"scrypt 131072 1 1" SALT, "scrypt 131072 8 0" SALT, "scrypt 131072 65 1" SALT,
		"scrypt 131072 8 17" SALT,
		"scrypt 1099511627776 8 1" SALT, "scrypt 18446744073709551615 64 16" SALT, "scrypt 1048576 64 1" SALT,
		"scrypt 131072 8 1 0011 0011223344556677\n",
		"scrypt 131072 8 1 00112233445566778899aabbccddeeff 00\n",
		"scrypt 131072 8 1 zz112233445566778899aabbccddeeff 0011223344556677\n",
		"scrypt 131072 8 1 00112233445566778899aabbccddeeff00 0011223344556677\n",
	};
	uint8_t kek[CA_KEK_SIZE];

	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
		write_file(salt, bytes_of_str(texts[i]), 0600);
		for (int make = 0; make < 2; make++)
			if (derive(PHRASE, make, kek) >= 0)
				fail_msg("taken: %s", texts[i]);
		assert_non_null(strstr(why, salt));
	}
}

static void a_file_counts_to_its_first_line_break(void **state)
{
	static const char *const texts[] = { PHRASE, PHRASE "\n", PHRASE "\nsecond line\n" };

	for (size_t i = 0; i < 3; i++) {
		struct buf out = BUF_INIT(PASSPHRASE_MAX);

		write_file(given, bytes_of_str(texts[i]), 0600);
		assert_int_equal(passphrase_read(given, &out, why), 0);
		assert_int_equal(out.len, strlen(PHRASE));
		assert_memory_equal(out.ptr, PHRASE, out.len);
		buf_wipe(&out);
	}
}

static void a_file_that_others_may_read_is_refused(void **state)
{
	static const mode_t open_modes[] = { 0644, 0640, 0604, 0660, 0620, 0601 };

	for (size_t i = 0; i < sizeof(open_modes) / sizeof(*open_modes); i++) {
		struct buf out = BUF_INIT(PASSPHRASE_MAX);

		write_file(given, bytes_of_str(PHRASE), open_modes[i]);
		assert_int_equal(passphrase_read(given, &out, why), -EPERM);
		assert_non_null(strstr(why, "chmod 0600"));
		assert_null(strstr(why, PHRASE));
		assert_int_equal(out.len, 0);
		buf_wipe(&out);
	}
	unlink(given);
}

static void empty_long_and_missing_files_are_told(void **state)
{
	static char big[PASSPHRASE_MAX + 2];
	struct buf out = BUF_INIT(PASSPHRASE_MAX);

	assert_int_equal(passphrase_read(given, &out, why), -ENOENT);
	assert_non_null(strstr(why, given));
	write_file(given, bytes_of_str("\nsecond"), 0600);
	assert_int_equal(passphrase_read(given, &out, why), -EINVAL);
	assert_non_null(strstr(why, "is empty"));
	buf_wipe(&out);
	memset(big, 'x', sizeof(big));
	out = BUF_INIT(PASSPHRASE_MAX);
	write_file(given, bytes_of(big, sizeof(big)), 0600);
	assert_int_equal(passphrase_read(given, &out, why), -EMSGSIZE);
	buf_wipe(&out);
	out = BUF_INIT(PASSPHRASE_MAX);
	assert_int_equal(passphrase_read(folder, &out, why), -EPERM);
	buf_wipe(&out);
}

/* The source that is named counts, and says so itself when it is no good. */
static void a_file_is_a_source_of_the_key(void **state)
{
	struct kek_source source = { .data_folder = folder, .passphrase_file = given };
	uint8_t made[CA_KEK_SIZE], again[CA_KEK_SIZE];

	write_file(given, bytes_of_str(PHRASE "\n"), 0600);
	assert_int_equal(kek_get(&source, false, made, why), -ENOENT);
	assert_int_equal(kek_get(&source, true, made, why), 0);
	assert_int_equal(kek_get(&source, false, again, why), 0);
	assert_memory_equal(made, again, CA_KEK_SIZE);
	write_file(given, bytes_of_str("another passphrase"), 0600);
	assert_int_equal(kek_get(&source, false, again, why), -EKEYREJECTED);
	assert_string_equal(why, "the passphrase is wrong");
}

#define WITH_FOLDER(f) cmocka_unit_test_setup_teardown(f, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_FOLDER(the_same_passphrase_is_the_same_key),
		WITH_FOLDER(another_passphrase_is_wrong_and_gives_no_key),
		WITH_FOLDER(the_salt_makes_keys_of_two_folders_different),
		WITH_FOLDER(a_short_one_makes_no_key),
		WITH_FOLDER(a_salt_file_that_was_changed_is_refused),
		WITH_FOLDER(a_file_counts_to_its_first_line_break),
		WITH_FOLDER(a_file_that_others_may_read_is_refused),
		WITH_FOLDER(empty_long_and_missing_files_are_told),
		WITH_FOLDER(a_file_is_a_source_of_the_key),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
