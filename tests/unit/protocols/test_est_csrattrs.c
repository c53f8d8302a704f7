/* protocols/est/csrattrs.c and core/request_form.c: what a profile demands is told as others tell it, octet for octet,
 * and held against requests.
 *
 * The expected octets are the examples of the authors of RFC 7030 and RFC 9908 (lamps-rfc7030-csrattrs).
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tests/test.h"

#include <stdio.h>

#include "core/base/der.h"
#include "core/base/digest.h"
#include "core/base/own.h"
#include "protocols/est/csrattrs_write.h"
#include "tests/scenarios/csr_maker.h"
#include "tests/scenarios/modules.h"
#include "tests/scenarios/rig.h"

static struct rig rig;
static struct arena *arena;

static void start(const char *profile, bool over_link)
{
	struct rig_settings settings = { .profile = profile, .over_link = over_link };
	struct conf_error error = { 0 };

	script_reset();
	rig_init(&rig, &settings);
	assert_int_equal(rig_start(&rig, &error), 0);
	assert_int_equal(arena_new(&arena, 1 << 20), 0);
}

static void stop(void)
{
	arena_drop(&arena);
	rig_fini(&rig);
}

static int write_for(const char *profile, bool wants_password, enum est_csrattrs which, struct buf *out)
{
	struct ca_request_form form;
	int e;

	start(profile, true);
	e = ca_get_request_form(rig.door, RIG_ENDPOINT, RIG_PROFILE, arena, &form);
	if (!e)
		e = est_csrattrs_write(&form, wants_password, which, out);
	stop();
	return e;
}

static void assert_hex(struct bytes octets, const char *hex)
{
	OWNED_BUF text = BUF_INIT(1 << 16);

	for (size_t i = 0; i < octets.len; i++)
		buf_printf(&text, "%02x", octets.ptr[i]);
	assert_string_equal(buf_str(&text), hex);
}

/* ---- the examples ---- */

#define PASSWORD "06092a864886f70d010907"

static void examples_come_out_octet_for_octet(void **state)
{
	static const struct {
		const char *profile, *hex;
	} examples[] = {
		/* harkins01 */
		{ "keys: [rsa], rsa-bits: 4096, request-digest: sha256",
		  "3029" PASSWORD "301106092a864886f70d0101013104020210" "00" "06092a864886f70d01010b" },
		/* harkins02 */
		{ "keys: [ec-p384], request-subject: [serialNumber], request-digest: sha384",
		  "302e" PASSWORD "301206072a8648ce3d0201310706052b8104002206035504" "05" "06082a8648ce3d040303" },
		/* rfc7030-example01, erratum 4384 */
		{ "keys: [ec-p384], request-attributes: [1.3.6.1.1.1.1.22], request-digest: sha384",
		  "3032" PASSWORD "301206072a8648ce3d0201310706052b8104002206072b06010101011606082a8648ce3d040303" },
	};

	for (size_t i = 0; i < sizeof(examples) / sizeof(*examples); i++) {
		OWNED_BUF out = BUF_INIT(4096);

		assert_int_equal(write_for(examples[i].profile, true, EST_CSRATTRS_LIST, &out), 0);
		assert_hex(buf_bytes(&out), examples[i].hex);
	}
}

/* harkins03, which is also the potato example: all of it but the curve, since no profile certifies P-521. */
static void an_example_with_another_curve_differs_in_the_curve_alone(void **state)
{
	OWNED_BUF out = BUF_INIT(4096);

	assert_int_equal(write_for("keys: [ec-p384], request-subject: [serialNumber], request-digest: sha512, "
				   "request-attributes: [1.2.840.113549.1.9.20, 0.9.2342.19200300.100.1.5]",
				   true, EST_CSRATTRS_LIST, &out), 0);
	assert_hex(buf_bytes(&out), "3045" PASSWORD "301206072a8648ce3d0201310706052b81040022"
				    "06092a864886f70d010914060a0992268993f22c640105060355040506082a8648ce3d040304");
}

/* realistic-acp asks for an extension whose value is that of one device (RFC 8994 6.2.2), which no profile can know;
 * read here, so that it is said what is in it. */
static void an_example_about_one_device_is_more_than_a_profile_says(void **state)
{
	static const uint8_t acp[] =
		"\x30\x68\x30\x66\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x09\x0e\x31\x59\x30\x57\x30\x55\x06\x03\x55\x1d"
		"\x11\x01\x01\xff\x04\x4b\x30\x49\xa0\x47\x06\x08\x2b\x06\x01\x05\x05\x07\x08\x0a\xa0\x3b\x16\x39"
		"rfc8994+fd739fc23c3440112233445500000000+@acp.example.com";
	struct bytes in = bytes_of(acp, sizeof(acp) - 1), all, attribute, oid, values, list, extension, flag, value;
	char text[64];

	assert_int_equal(der_check(in, 16), 0);
	assert_int_equal(der_expect(&in, DER_SEQUENCE, &all), 0);
	assert_int_equal(der_expect(&all, DER_SEQUENCE, &attribute), 0);
	assert_int_equal(all.len, 0);
	assert_int_equal(der_expect(&attribute, DER_OID, &oid), 0);
	assert_int_equal(der_oid_print(oid, text, sizeof(text)), 0);
	assert_string_equal(text, "1.2.840.113549.1.9.14"); /* extensionRequest */
	assert_int_equal(der_expect(&attribute, DER_SET, &values), 0);
	assert_int_equal(der_expect(&values, DER_SEQUENCE, &list), 0);
	assert_int_equal(der_expect(&list, DER_SEQUENCE, &extension), 0);
	assert_int_equal(der_expect(&extension, DER_OID, &oid), 0);
	assert_int_equal(der_oid_print(oid, text, sizeof(text)), 0);
	assert_string_equal(text, "2.5.29.17"); /* subjectAltName */
	assert_int_equal(der_expect(&extension, DER_BOOLEAN, &flag), 0);
	assert_int_equal(der_expect(&extension, DER_OCTET_STRING, &value), 0);
	assert_int_equal(value.ptr[2], 0xa0); /* otherName */
}

/* ---- the template ---- */

/* Subject and key of the example in RFC 9908; its extensions are those of one server. */
static void a_template_leaves_values_to_the_client(void **state)
{
	OWNED_BUF out = BUF_INIT(4096);

	assert_int_equal(write_for("keys: [ec-p256], request-subject: [CN, OU=myDept, OU=myGroup]", false,
				   EST_CSRATTRS_TEMPLATE, &out), 0);
	/* version; subject; [0] ecPublicKey on P-256; [1] no attributes */
	assert_hex(buf_bytes(&out), "305d305b060b2a864886f70d010910023d314c304a020100302c31073005060355040331"
				    "0f300d060355040b0c066d79446570743110300e060355040b0c076d7947726f7570a015"
				    "301306072a8648ce3d020106082a8648ce3d030107a100");
}

static void an_rsa_key_of_a_size_is_told_by_one_that_stands_for_it(void **state)
{
	OWNED_BUF out = BUF_INIT(4096);
	struct bytes in, all, attribute, oid, values, info, part, key, algorithm, bits, numbers, modulus, exponent;
	unsigned tag;

	assert_int_equal(write_for("keys: [rsa], rsa-bits: 3072", true, EST_CSRATTRS_TEMPLATE, &out), 0);
	in = buf_bytes(&out);
	assert_int_equal(der_expect(&in, DER_SEQUENCE, &all), 0);
	assert_int_equal(der_expect(&all, DER_SEQUENCE, &attribute), 0);
	assert_int_equal(der_expect(&attribute, DER_OID, &oid), 0);
	assert_int_equal(der_expect(&attribute, DER_SET, &values), 0);
	assert_int_equal(der_expect(&values, DER_SEQUENCE, &info), 0);
	assert_int_equal(der_read(&info, &tag, &part, NULL), 0); /* version; no subject is demanded */
	assert_int_equal(tag, DER_INTEGER);
	assert_int_equal(der_expect(&info, DER_CONTEXT_0, &key), 0);
	assert_int_equal(der_expect(&key, DER_SEQUENCE, &algorithm), 0);
	assert_int_equal(der_expect(&key, DER_BIT_STRING, &bits), 0);
	bits = bytes_of(bits.ptr + 1, bits.len - 1);
	assert_int_equal(der_expect(&bits, DER_SEQUENCE, &numbers), 0);
	assert_int_equal(der_expect(&numbers, DER_INTEGER, &modulus), 0);
	assert_int_equal(der_expect(&numbers, DER_INTEGER, &exponent), 0);
	assert_int_equal(modulus.len, 3072 / 8 + 1);
	assert_int_equal(modulus.ptr[0], 0);
	assert_int_equal(modulus.ptr[1], 0x80);
	assert_int_equal(der_read(&info, &tag, &part, NULL), 0); /* [1]: the challengePassword */
	assert_int_equal(tag, 0xa1);
	assert_true(part.len > 0);
}

static void both_forms_stand_one_after_the_other(void **state)
{
	OWNED_BUF list = BUF_INIT(4096);
	OWNED_BUF template = BUF_INIT(4096);
	OWNED_BUF both = BUF_INIT(4096);
	static const char profile[] = "keys: [ed25519], request-subject: [O=Example]";

	assert_int_equal(write_for(profile, false, EST_CSRATTRS_LIST, &list), 0);
	assert_int_equal(write_for(profile, false, EST_CSRATTRS_TEMPLATE, &template), 0);
	assert_int_equal(write_for(profile, false, EST_CSRATTRS_BOTH, &both), 0);
	assert_int_equal(both.len, list.len + template.len - 2);
	assert_memory_equal(both.ptr + 2, list.ptr + 2, list.len - 2);
	assert_memory_equal(both.ptr + list.len, template.ptr + 2, template.len - 2);
	assert_hex(buf_bytes(&list), "300e" "300706032b65703100" "060355040a");
}

static void nothing_demanded_is_nothing_told(void **state)
{
	for (int which = EST_CSRATTRS_NONE; which <= EST_CSRATTRS_BOTH; which++) {
		OWNED_BUF out = BUF_INIT(4096);

		assert_int_equal(write_for(NULL, false, (enum est_csrattrs)which, &out), 0);
		assert_int_equal(out.len, 0);
	}
}

/* ---- the core holds requests against the same ---- */

static void expect(const char *profile, const struct csr_spec *spec, enum ca_status status, const char *reason)
{
	OWNED_CA_OUTCOME out = CA_OUTCOME_INIT;
	OWNED_BUF der = BUF_INIT(65536);
	const struct ca_name name = { CA_NAME_DNS, "a.example", CA_EVIDENCE_ACME_AUTHORIZATION, "authz 1" };
	struct ca_submission s = { .protocol = "acme", .endpoint = RIG_ENDPOINT, .profile = RIG_PROFILE,
				   .requester = "acme:1", .evidence = CA_EVIDENCE_ACME_AUTHORIZATION,
				   .names = &name, .n_names = 1 };

	start(profile, false);
	assert_int_equal(csr_make(spec, &der), 0);
	s.request = buf_bytes(&der);
	assert_int_equal(ca_submit(rig.door, &s, &out), 0);
	assert_int_equal(out.status, status);
	assert_int_equal(out.disposition, status ? CA_ERROR : CA_ISSUED);
	if (reason)
		assert_non_null(strstr(out.reason, reason));
	stop();
}

#define FOR_A .names = (const char *const[]){ "a.example" }, .n_names = 1

static void requests_without_what_is_demanded_are_refused(void **state)
{
	expect("request-subject: [CN]", &(struct csr_spec){ FOR_A }, CA_STATUS_BAD_REQUEST, "a subject with CN");
	expect("request-subject: [CN]", &(struct csr_spec){ FOR_A, .common_name = "a.example" }, 0, NULL);
	expect("request-subject: [CN=b.example]", &(struct csr_spec){ FOR_A, .common_name = "a.example" },
	       CA_STATUS_BAD_REQUEST, "CN=b.example");
	expect("request-attributes: [1.2.840.113549.1.9.20]", &(struct csr_spec){ FOR_A }, CA_STATUS_BAD_REQUEST,
	       "the attribute 1.2.840.113549.1.9.20");
	expect("request-attributes: [1.2.840.113549.1.9.14]", &(struct csr_spec){ FOR_A }, 0, NULL);
	expect("request-digest: sha384", &(struct csr_spec){ FOR_A, .digest = "sha256" }, CA_STATUS_BAD_SIGNATURE,
	       "signed with sha256");
	expect("request-digest: sha384", &(struct csr_spec){ FOR_A, .digest = "sha384" }, 0, NULL);
	expect("request-digest: sha384", &(struct csr_spec){ FOR_A, .digest = "sha512" }, 0, NULL);
	expect("request-digest: sha384", &(struct csr_spec){ FOR_A, .key = "ed25519" }, 0, NULL);
}

static void a_profile_demands_only_what_exists(void **state)
{
	static const char *const bad[] = { "request-subject: [street]", "request-subject: [C=Germany]",
					   "request-subject: ['=x']", "request-attributes: [macAddress]",
					   "request-attributes: ['1.2.']", "request-digest: md5" };

	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		struct rig_settings settings = { .profile = bad[i] };
		struct conf_error error = { 0 };

		rig_init(&rig, &settings);
		assert_int_not_equal(rig_start(&rig, &error), 0);
		rig_fini(&rig);
	}
}

static void another_endpoint_or_profile_is_not_told(void **state)
{
	for (int over_link = 0; over_link < 2; over_link++) {
		struct ca_request_form form;

		start(NULL, over_link);
		assert_int_equal(ca_get_request_form(rig.door, "other", RIG_PROFILE, arena, &form), CA_CALL_NOT_FOUND);
		assert_int_equal(ca_get_request_form(rig.door, RIG_ENDPOINT, "other", arena, &form),
				 CA_CALL_NOT_FOUND);
		stop();
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(examples_come_out_octet_for_octet),
		cmocka_unit_test(an_example_with_another_curve_differs_in_the_curve_alone),
		cmocka_unit_test(an_example_about_one_device_is_more_than_a_profile_says),
		cmocka_unit_test(a_template_leaves_values_to_the_client),
		cmocka_unit_test(an_rsa_key_of_a_size_is_told_by_one_that_stands_for_it),
		cmocka_unit_test(both_forms_stand_one_after_the_other),
		cmocka_unit_test(nothing_demanded_is_nothing_told),
		cmocka_unit_test(requests_without_what_is_demanded_are_refused),
		cmocka_unit_test(a_profile_demands_only_what_exists),
		cmocka_unit_test(another_endpoint_or_profile_is_not_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
