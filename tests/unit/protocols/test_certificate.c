/* What is read of a certificate: its names, in every form a CA may have written, and octets that are none.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "protocols/acme/certificate.h"

#include "core/base/own.h"
#include "tests/test.h"
#include "tests/unit/protocols/signing.h"

#include <errno.h>

#define MAX 3

static struct signing_key key;

static int make_key(void **state)
{
	key = signing_key_make("ES256", 0);
	return 0;
}

static int drop_key(void **state)
{
	signing_key_fini(&key);
	return 0;
}

static int names_of(struct bytes certificate, struct acme_identifier out[static MAX], size_t *n)
{
	return acme_certificate_names(certificate, out, MAX, n);
}

static void reads_names_as_identifiers(void **state)
{
	struct bytes der = signing_certificate(key.key, "x", "DNS:WWW.example.com,IP:192.0.2.1,IP:2001:db8::1");
	struct acme_identifier ids[MAX];
	size_t n;

	assert_int_equal(names_of(der, ids, &n), 0);
	assert_int_equal(n, 3);
	assert_int_equal(ids[0].kind, CA_NAME_DNS);
	assert_string_equal(ids[0].value, "www.example.com");
	assert_int_equal(ids[1].kind, CA_NAME_IP);
	assert_string_equal(ids[1].value, "192.0.2.1");
	assert_string_equal(ids[2].value, "2001:db8::1");
	free((void *)(uintptr_t)der.ptr);
}

/* Nobody can be authorized for all of them, so they are of no use. */
static void gives_no_part_of_the_names(void **state)
{
	static const char *const sans[] = {
		NULL,
		"DNS:*.example.com",
		"DNS:a.example.com,email:a@example.com",
		"URI:https://a.example.com",
		"DNS:localhost",
		"DNS:a_b.example.com",
		"RID:1.2.3",
		"DNS:a.example.com,DNS:b.example.com,DNS:c.example.com,DNS:d.example.com",
	};
	struct acme_identifier ids[MAX];
	size_t n;

	for (size_t i = 0; i < sizeof(sans) / sizeof(sans[0]); i++) {
		struct bytes der = signing_certificate(key.key, "a.example.com", sans[i]);

		assert_int_equal(names_of(der, ids, &n), ACME_CERTIFICATE_OTHER_NAMES);
		free((void *)(uintptr_t)der.ptr);
	}
}

/* Where these octets stand in the certificate. */
static uint8_t *find(struct bytes der, const void *octets, size_t n)
{
	uint8_t *at = memmem(der.ptr, der.len, octets, n);

	assert_non_null(at);
	return at;
}

static void takes_no_name_that_ends_in_the_middle(void **state)
{
	struct bytes der = signing_certificate(key.key, "x", "DNS:www.example.com.evil.example");
	struct acme_identifier ids[MAX];
	size_t n;

	find(der, ".evil", 5)[0] = '\0';
	assert_int_equal(names_of(der, ids, &n), ACME_CERTIFICATE_OTHER_NAMES);
	free((void *)(uintptr_t)der.ptr);
}

static void refuses_addresses_of_another_length(void **state)
{
	struct bytes der = signing_certificate(key.key, "x", "IP:192.0.2.1,IP:192.0.2.2");
	struct acme_identifier ids[MAX];
	size_t n;

	/* Both of them, and what stands between, as one of ten octets. */
	find(der, "\x87\x04\xc0\x00\x02\x01\x87\x04", 8)[1] = 10;
	assert_int_equal(names_of(der, ids, &n), ACME_CERTIFICATE_OTHER_NAMES);
	free((void *)(uintptr_t)der.ptr);
}

static void refuses_octets_that_are_no_certificate(void **state)
{
	struct bytes der = signing_certificate(key.key, "x", "DNS:www.example.com");
	struct acme_identifier ids[MAX];
	struct bytes spki;
	size_t n;

	for (size_t i = 0; i < der.len; i++) {
		assert_int_equal(names_of(bytes_of(der.ptr, i), ids, &n), -EINVAL);
		assert_int_equal(acme_certificate_spki(bytes_of(der.ptr, i), &spki), -EINVAL);
	}
	find(der, "\x55\x1d\x11", 3)[3] = 0x05; /* the value is no OCTET STRING */
	assert_int_equal(names_of(der, ids, &n), -EINVAL);
	assert_int_equal(acme_certificate_spki(der, &spki), 0); /* which does not look so far */
	free((void *)(uintptr_t)der.ptr);
}

/* No octet that is changed leads beyond the end, or to more names than there is room for. */
static void bears_every_wrong_octet(void **state)
{
	struct bytes der = signing_certificate(key.key, "x", "DNS:www.example.com,IP:192.0.2.1,DNS:b.example.com");
	struct acme_identifier ids[MAX];

	for (size_t i = 0; i < der.len; i++) {
		uint8_t *octet = (uint8_t *)(uintptr_t)der.ptr + i, was = *octet;

		for (unsigned value = 0; value < 256; value += 15) {
			size_t n = MAX + 1;
			int e;

			*octet = (uint8_t)value;
			e = names_of(der, ids, &n);
			assert_true(e == 0 || e == -EINVAL || e == ACME_CERTIFICATE_OTHER_NAMES);
			assert_true(n <= MAX);
		}
		*octet = was;
	}
	free((void *)(uintptr_t)der.ptr);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_names_as_identifiers),
		cmocka_unit_test(gives_no_part_of_the_names),
		cmocka_unit_test(takes_no_name_that_ends_in_the_middle),
		cmocka_unit_test(refuses_addresses_of_another_length),
		cmocka_unit_test(refuses_octets_that_are_no_certificate),
		cmocka_unit_test(bears_every_wrong_octet),
	};

	return cmocka_run_group_tests(tests, make_key, drop_key);
}
