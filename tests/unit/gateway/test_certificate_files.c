/* When files of a certificate and its key are read again.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "gateway/server_cert.c"

#include "core/exit.h"
#include "core/policy.h"
#include "tests/test.h"

/* The core is linked in, but has nothing to do. */
const struct ca_policy_module *const policy_modules[] = { NULL };
const struct ca_exit_module *const exit_modules[] = { NULL };

static void write_text(const char *path, const char *text)
{
	assert_int_equal(file_write_atomic_at(AT_FDCWD, path, bytes_of_str(text), 0600), 0);
}

static void sees_new_octets_and_new_modes(void **state)
{
	char folder[] = "/tmp/gatehouse-test-XXXXXX", certificate[64], key[64];
	struct entry e = { .certificate = certificate, .key = key };

	assert_non_null(mkdtemp(folder));
	snprintf(certificate, sizeof(certificate), "%s/c.pem", folder);
	snprintf(key, sizeof(key), "%s/k.pem", folder);
	write_text(certificate, "one");
	write_text(key, "one");
	assert_true(have_changed(&e));
	assert_false(have_changed(&e));
	usleep(20000); /* the file system counts time in ticks */
	write_text(certificate, "two");
	assert_true(have_changed(&e));
	assert_false(have_changed(&e));
	usleep(20000);
	assert_int_equal(chmod(key, 0640), 0);
	assert_true(have_changed(&e));
	assert_false(have_changed(&e));
	unlink(certificate);
	unlink(key);
	assert_int_equal(rmdir(folder), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sees_new_octets_and_new_modes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
