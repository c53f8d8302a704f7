/* core/issue.c against libcrypto's X509 API: the same octets for the same plan, whatever is in it.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tests/test.h"

#include "core/base/digest.h"
#include "tests/unit/core/issue_kit.h"
#include "tests/unit/core/x509_reference.h"

#define NOON_2026 1772366400ll /* 2026-03-01T12:00:00Z */
#define YEAR (365 * 86400ll)
#define PLANS 10000
#define NAMES_MAX 12

static const char *const ca_keys[] = { "ec-p256", "ec-p384", "rsa-3072" };
static const char *const keys[] = { "rsa", "ec-p256", "ec-p384", "ed25519" };
static struct issue_kit kits[3];
static struct buf spkis[4];

/* The same plans in every run: a linear congruence, seeded once. */
static uint64_t seed = 20260301;

static unsigned below(unsigned n)
{
	seed = seed * 6364136223846793005ull + 1442695040888963407ull;
	return (unsigned)((seed >> 33) % n);
}

static int make_kits(void **state)
{
	for (size_t i = 0; i < 3; i++)
		issue_kit_init(&kits[i], ca_keys[i], i == 1 ? "T\xc3\xa9st CA" : "Test CA", NOON_2026,
			       NOON_2026 + 40 * YEAR);
	for (size_t i = 0; i < 4; i++) {
		spkis[i] = BUF_INIT(8192);
		issue_kit_spki(keys[i], &spkis[i]);
	}
	return 0;
}

static int drop_kits(void **state)
{
	for (size_t i = 0; i < 3; i++)
		issue_kit_fini(&kits[i]);
	for (size_t i = 0; i < 4; i++)
		buf_fini(&spkis[i]);
	return 0;
}

struct material {
	struct ca_name names[NAMES_MAX];
	struct subject_part subject[4];
	const char *usage[6], *purpose[6];
	struct ca_extension extensions[3];
};

static void choose_names(struct issue_plan *plan, struct material *m)
{
	static const struct ca_name all[] = {
		{CA_NAME_DNS, "a.example", 1, ""},
		{CA_NAME_DNS, "*.b.example", 1, ""},
		{CA_NAME_DNS, "xn--bcher-kva.example", 1, ""},
		{CA_NAME_IP, "192.0.2.1", 1, ""},
		{CA_NAME_IP, "2001:db8::1", 1, ""},
		{CA_NAME_EMAIL, "a@b.example", 1, ""},
		{CA_NAME_URI, "https://a.example/x?y", 1, ""},
		{CA_NAME_UPN, "alice@corp.example", 1, ""},
		{CA_NAME_DNS, "a-name-that-is-rather-long-so-that-lengths-need-two-octets.and-more-of-it.example", 1,
		 ""},
	};

	plan->names = m->names;
	plan->n_names = below(NAMES_MAX + 1);
	for (size_t i = 0; i < plan->n_names; i++)
		m->names[i] = all[below(sizeof(all) / sizeof(*all))];
}

static void choose_subject(struct issue_plan *plan, struct material *m)
{
	static const struct subject_part all[] = {
		{ "CN", "a.example" },	 { "CN", "Z\xc3\xbcrich \xe2\x82\xac" }, { "O", "Example, Inc. + \"x\"" },
		{ "OU", "Networks" },	 { "C", "CH" },				 { "ST", "Z\xc3\xbcrich" },
		{ "L", "Bern" },	 { "serialNumber", "SN 0815/47-11" },	 { "emailAddress", "a@b.example" },
		{ "O", "1234567890123456789012345678901234567890123456789012345678901234" },
		{ "DC", "example" },	 { "UID", "\xc3\xa4 7" },	 { "unstructuredName", "r1.a.example" },
		{ "unstructuredAddress", "192.0.2.1" },
	};

	plan->subject = m->subject;
	plan->n_subject = below(5);
	for (size_t i = 0; i < plan->n_subject; i++)
		m->subject[i] = all[below(sizeof(all) / sizeof(*all))];
}

static void choose_words(struct issue_plan *plan, struct material *m)
{
	static const char *const usages[] = { "digitalSignature", "nonRepudiation", "keyEncipherment",
					      "dataEncipherment", "keyAgreement" };
	static const char *const purposes[] = { "serverAuth", "clientAuth", "emailProtection", "timeStamping",
						"1.3.6.1.4.1.99999.1.2" };
	size_t n = 0;

	for (size_t i = 0; i < 5; i++)
		if (below(2))
			m->usage[n++] = usages[i];
	m->usage[n] = NULL;
	n = 0;
	for (size_t i = 0; i < 5; i++)
		if (below(2))
			m->purpose[n++] = purposes[i];
	m->purpose[n] = NULL;
	plan->key_usage = m->usage;
	plan->ext_key_usage = m->purpose;
}

static void choose_extensions(struct issue_plan *plan, struct material *m)
{
	static const uint8_t null[] = { 5, 0 }, number[] = { 2, 2, 1, 0 };
	static const char *const oids[] = { "1.2.3.4", "1.3.6.1.5.5.7.1.24", "2.999.1234567" };

	plan->extensions = m->extensions;
	plan->n_extensions = below(4);
	for (size_t i = 0; i < plan->n_extensions; i++)
		m->extensions[i] = (struct ca_extension){ oids[i], below(2) ? CA_EXT_CRITICAL : 0,
							  below(2) ? bytes_of(null, 2) : bytes_of(number, 4) };
}

static struct issue_plan choose(const struct issue_kit *k, struct material *m)
{
	struct issue_plan plan = { .issuer = k->issuer, .spki = buf_bytes(&spkis[below(4)]) };

	choose_names(&plan, m);
	choose_subject(&plan, m);
	choose_words(&plan, m);
	choose_extensions(&plan, m);
	plan.public_url = below(2) ? "http://pki.example:8080/status" : NULL;
	plan.key_index = below(2000);
	plan.crl_partition = below(3);
	/* Around 2050 the dates change their form. */
	plan.not_before_s = NOON_2026 + (int64_t)below(30) * YEAR + below(86400);
	plan.not_after_s = plan.not_before_s + (int64_t)below(10) * YEAR + below(86400);
	for (size_t i = 0; i < SERIAL_SIZE; i++)
		plan.serial[i] = (uint8_t)below(256);
	if (below(4) == 0)
		memset(plan.serial, 0, 1 + below(SERIAL_SIZE - 1));
	return plan;
}

static void writes_what_libcrypto_writes(void **state)
{
	unsigned built = 0, refused = 0;

	for (unsigned i = 0; i < PLANS; i++) {
		OWNED_BUF ours = BUF_INIT(65536);
		OWNED_BUF theirs = BUF_INIT(65536);
		const struct issue_kit *k = &kits[below(3)];
		char why[CA_REASON_SIZE] = "";
		struct material m = { 0 };
		struct issue_plan plan = choose(k, &m);
		int e = issue_build(&plan, &ours, why);

		assert_int_equal(e != 0, reference_build(&plan, buf_bytes(&k->certificate), &theirs) != 0);
		if (e) {
			refused++;
			continue;
		}
		assert_int_equal(ours.len, theirs.len);
		assert_memory_equal(ours.ptr, theirs.ptr, ours.len);
		built++;
	}
	print_message("%u plans built alike, %u refused by both\n", built, refused);
	assert_true(built > PLANS / 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(writes_what_libcrypto_writes) };

	return cmocka_run_group_tests(tests, make_kits, drop_kits);
}
