/* Certificates that others have issued: of devices by their makers, of registration authorities.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tests/test.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include <openssl/x509v3.h>

#include "core/base/base64.h"
#include "core/base/clock.h"
#include "core/base/own.h"
#include "core/shown.h"
#include "core/store.h"
#include "core/store_credentials.h"
#include "core/x509/device.h"
#include "tests/scenarios/csr_maker.h"
#include "tests/scenarios/modules.h"
#include "tests/scenarios/rig.h"

#define EST "est"
#define DAY 86400
#define RA_PURPOSES "clientAuth,1.3.6.1.5.5.7.3.28"

static const struct ca_admin_caller admin = { .name = "unix:root", .roles = CA_ROLE_ADMINISTRATOR };

static struct rig rig;

static void start(bool over_link)
{
	struct rig_settings settings = { .policy = "{module: p-safe}", .over_link = over_link,
					 .endpoints = "{name: est, ca: CA1, profile: server}, "
						      "{name: other, ca: CA1, profile: server}" };
	struct conf_error error = { 0 };

	script_reset();
	rig_init(&rig, &settings);
	if (rig_start(&rig, &error))
		fail_msg("%s", error.text);
}

static void stop(void)
{
	rig_stop(&rig);
	assert_true(rig_check_trace(&rig, getenv("CHECK_TRACE")));
	rig_fini(&rig);
}

/* ---- certificates ---- */

struct party {
	EVP_PKEY *key;
	X509 *cert;
	struct buf der;
};

/* What differs from that of a plain device. */
struct looks {
	const char *key;      /* NULL: "ec-p256" */
	const char *subject;  /* its common name */
	const char *serial_number;
	const char *basic, *usage, *purposes; /* values as in openssl.cnf */
	const char *other;    /* a critical extension that nobody knows */
	int64_t begins_s, ends_s; /* after now; 0: as usual */
	const EVP_MD *digest;
};

static void put_extension(X509 *cert, X509 *issuer, int nid, const char *value)
{
	X509V3_CTX ctx;
	X509_EXTENSION *x;

	if (!value)
		return;
	X509V3_set_ctx(&ctx, issuer, cert, NULL, NULL, 0);
	x = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
	assert_non_null(x);
	assert_int_equal(X509_add_ext(cert, x, -1), 1);
	X509_EXTENSION_free(x);
}

static void put_critical(X509 *cert, const char *oid)
{
	ASN1_OBJECT *object = OBJ_txt2obj(oid, 1);
	ASN1_OCTET_STRING *octets = ASN1_OCTET_STRING_new();
	X509_EXTENSION *x;

	assert_int_equal(ASN1_OCTET_STRING_set(octets, (const uint8_t *)"\x05\x00", 2), 1);
	x = X509_EXTENSION_create_by_OBJ(NULL, object, 1, octets);
	assert_int_equal(X509_add_ext(cert, x, -1), 1);
	X509_EXTENSION_free(x);
	ASN1_OCTET_STRING_free(octets);
	ASN1_OBJECT_free(object);
}

static void put_name(X509_NAME *name, const char *type, const char *value)
{
	if (value)
		assert_int_equal(X509_NAME_add_entry_by_txt(name, type, MBSTRING_UTF8, (const uint8_t *)value, -1, -1,
							    0), 1);
}

/* `by` NULL: signed by itself. */
static void issue(struct party *p, const struct party *by, const struct looks *l)
{
	static int serial = 1000;
	const struct party *issuer = by ? by : p;
	time_t now = (time_t)clock_wall_s();
	uint8_t *der = NULL;
	int n;

	*p = (struct party){ .key = csr_key(l->key ? l->key : "ec-p256"), .cert = X509_new(), .der = BUF_INIT(65536) };
	X509_set_version(p->cert, X509_VERSION_3);
	ASN1_INTEGER_set(X509_get_serialNumber(p->cert), ++serial);
	put_name(X509_get_subject_name(p->cert), "CN", l->subject);
	put_name(X509_get_subject_name(p->cert), "serialNumber", l->serial_number);
	X509_set_issuer_name(p->cert, X509_get_subject_name(issuer->cert));
	X509_time_adj_ex(X509_getm_notBefore(p->cert), 0, l->begins_s ? l->begins_s : -DAY, &now);
	if (l->ends_s)
		X509_time_adj_ex(X509_getm_notAfter(p->cert), 0, l->ends_s, &now);
	else
		ASN1_TIME_set_string_X509(X509_getm_notAfter(p->cert), "99991231235959Z"); /* IEEE 802.1AR 8.7 */
	X509_set_pubkey(p->cert, p->key);
	put_extension(p->cert, issuer->cert, NID_basic_constraints, l->basic);
	put_extension(p->cert, issuer->cert, NID_key_usage, l->usage);
	put_extension(p->cert, issuer->cert, NID_ext_key_usage, l->purposes);
	if (l->other)
		put_critical(p->cert, l->other);
	assert_true(X509_sign(p->cert, issuer->key, l->digest ? l->digest : EVP_sha256()) > 0);
	n = i2d_X509(p->cert, &der);
	assert_int_equal(buf_append(&p->der, bytes_of(der, (size_t)n)), 0);
	OPENSSL_free(der);
}

#define AUTHORITY(name) { .subject = name, .basic = "critical,CA:TRUE", .usage = "critical,keyCertSign" }

static void drop(struct party *p)
{
	EVP_PKEY_free(p->key);
	X509_free(p->cert);
	buf_fini(&p->der);
}

/* ---- the core ---- */

static int list(enum ca_evidence_kind kind, const char *name, struct bytes certificates, const char *scope,
		bool by_name, char why[static CA_REASON_SIZE])
{
	static const char *const endpoints[] = { EST };
	const char *patterns[] = { scope };
	struct credential_spec spec = { .kind = kind, .name = name, .endpoints = endpoints, .n_endpoints = 1,
					.scope = patterns, .n_scope = scope ? 1 : 0, .certificates = certificates,
					.is_by_name = by_name };
	struct credential_made made;

	return ca_admin_create_credential(rig.core, &admin, &spec, &made, why);
}

static void add(enum ca_evidence_kind kind, const char *name, const struct party *p, const char *scope)
{
	char why[CA_REASON_SIZE];

	if (list(kind, name, buf_bytes(&p->der), scope, false, why))
		fail_msg("%s", why);
}

static struct ca_credential_claim claim_of(const struct party *p, const struct party *behind)
{
	return (struct ca_credential_claim){ .kind = CA_EVIDENCE_CERTIFICATE,
					     .certificate = buf_bytes(&p->der),
					     .chain = behind ? buf_bytes(&behind->der) : bytes_of(NULL, 0),
					     .endpoint = EST,
					     .source_address = "192.0.2.1" };
}

/* The trust that the core has in it at the endpoint; -1: refused. */
static int trust_of(const struct party *p, const struct party *behind, char requester[CA_REQUESTER_SIZE])
{
	struct ca_credential_claim claim = claim_of(p, behind);
	struct ca_credential_answer answer;
	int e = ca_check_credential(rig.door, &claim, &answer);

	if (e == CA_CALL_REFUSED) {
		assert_string_equal(answer.reason, CERTIFICATE_REFUSED_TEXT);
		return -1;
	}
	assert_int_equal(e, 0);
	if (requester)
		snprintf(requester, CA_REQUESTER_SIZE, "%s", answer.requester);
	return (int)answer.trust;
}

static enum ca_status submit(const struct party *p, const struct party *behind, const char *cn, const char *name,
			     enum ca_certificate_use use)
{
	struct ca_credential_claim claim = claim_of(p, behind);
	const char *names[] = { name };
	struct csr_spec spec = { .common_name = cn, .names = names, .n_names = name ? 1 : 0 };
	OWNED_BUF der = BUF_INIT(65536);
	OWNED_CA_OUTCOME out = CA_OUTCOME_INIT;
	char requester[CA_REQUESTER_SIZE], key[64];
	static unsigned n;
	struct ca_submission s = { .protocol = "est", .endpoint = EST, .profile = RIG_PROFILE, .requester = requester,
				   .evidence = CA_EVIDENCE_CERTIFICATE, .credential = &claim };

	assert_true(trust_of(p, behind, requester) > 0);
	claim.use = use;
	assert_int_equal(csr_make(&spec, &der), 0);
	s.request = buf_bytes(&der);
	snprintf(key, sizeof(key), "shown %u", ++n);
	rig_key(key, s.transaction_key);
	assert_int_equal(ca_submit(rig.door, &s, &out), 0);
	assert_int_equal(out.disposition, out.status ? CA_ERROR : CA_ISSUED);
	return out.status;
}

/* ---- vendors ---- */

static void a_device_asks_by_the_certificate_of_its_maker(void **state)
{
	struct party root, sub, device, second;
	char first[CA_REQUESTER_SIZE], other[CA_REQUESTER_SIZE];

	start(*state != NULL);
	issue(&root, NULL, &(struct looks)AUTHORITY("Maker Root"));
	issue(&sub, &root, &(struct looks)AUTHORITY("Maker Devices"));
	issue(&device, &sub, &(struct looks){ .subject = "switch", .serial_number = "FDO-17" });
	issue(&second, &sub, &(struct looks){ .subject = "switch", .serial_number = "FDO-1?" });
	assert_int_equal(trust_of(&device, &sub, NULL), -1); /* nobody is listed */
	add(CA_EVIDENCE_VENDOR, "maker", &root, "CN={serialNumber}.dev.example");
	assert_int_equal(trust_of(&device, &sub, first), CA_TRUST_VENDOR);
	assert_int_equal(strncmp(first, "est:vendor:maker:", 17), 0);
	assert_int_equal(trust_of(&second, &sub, other), CA_TRUST_VENDOR);
	assert_string_not_equal(first, other);
	assert_int_equal(trust_of(&device, NULL, NULL), -1); /* the path has a gap */

	/* The scope is about this device, and what it is called is no pattern. */
	assert_int_equal(submit(&device, &sub, "FDO-17.dev.example", NULL, CA_CERTIFICATE_ENROL), CA_STATUS_NONE);
	assert_int_equal(submit(&device, &sub, "FDO-18.dev.example", NULL, CA_CERTIFICATE_ENROL), CA_STATUS_BAD_NAME);
	assert_int_equal(submit(&second, &sub, "FDO-17.dev.example", NULL, CA_CERTIFICATE_ENROL), CA_STATUS_BAD_NAME);
	assert_int_equal(rig_number(&rig, "SELECT used FROM credentials WHERE name='maker'"), 1);
	assert_int_equal(rig_number(&rig, "SELECT count(*) FROM timeline WHERE text LIKE"
					  " 'proven by=\"vendor maker\" trust=vendor device=%FDO-17%'"), 2);
	stop();
	drop(&root), drop(&sub), drop(&device), drop(&second);
}

static void what_is_no_device_of_the_maker_is_nobody(void **state)
{
	static const struct {
		const char *what;
		struct looks looks;
	} wrong[] = {
		{ "over", { .subject = "d", .ends_s = -60 } },
		{ "not yet", { .subject = "d", .begins_s = 3600 } },
		{ "an authority", AUTHORITY("d") },
		{ "signs certificates", { .subject = "d", .usage = "critical,keyCertSign,digitalSignature" } },
		{ "an unknown critical extension", { .subject = "d", .other = "1.3.6.1.4.1.99999.1" } },
		{ "SHA-1", { .subject = "d", .digest = NULL } },
		{ "RSA-1024", { .subject = "d", .key = "rsa-1024" } },
		{ "that of a server", { .subject = "d", .purposes = "serverAuth" } },
		{ "for signing code", { .subject = "d", .purposes = "codeSigning,emailProtection" } },
		{ "not for signatures", { .subject = "d", .usage = "critical,keyEncipherment" } },
	};
	static const struct looks right[] = {
		{ .subject = "d", .purposes = "serverAuth,clientAuth", .usage = "critical,digitalSignature" },
		{ .subject = "d", .purposes = "anyExtendedKeyUsage" },
		{ .subject = "d", .usage = "critical,digitalSignature,keyEncipherment" },
	};
	struct looks of_code = AUTHORITY("Maker Code");
	struct party root, stranger, device, code;

	start(*state != NULL);
	issue(&root, NULL, &(struct looks)AUTHORITY("Maker Root"));
	issue(&stranger, NULL, &(struct looks)AUTHORITY("Maker Root"));
	add(CA_EVIDENCE_VENDOR, "maker", &root, "any");
	for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
		struct looks looks = wrong[i].looks;

		if (strcmp(wrong[i].what, "SHA-1") == 0)
			looks.digest = EVP_sha1();
		issue(&device, &root, &looks);
		if (trust_of(&device, NULL, NULL) != -1)
			fail_msg("a certificate that is %s was taken", wrong[i].what);
		drop(&device);
	}
	for (size_t i = 0; i < sizeof(right) / sizeof(*right); i++) {
		issue(&device, &root, &right[i]);
		assert_int_equal(trust_of(&device, NULL, NULL), CA_TRUST_VENDOR);
		drop(&device);
	}
	/* An authority of the maker that certifies other things makes no devices. */
	of_code.purposes = "codeSigning";
	issue(&code, &root, &of_code);
	issue(&device, &code, &(struct looks){ .subject = "d" });
	assert_int_equal(trust_of(&device, &code, NULL), -1);
	drop(&device), drop(&code);
	/* Another authority of the same name. */
	issue(&device, &stranger, &(struct looks){ .subject = "d" });
	assert_int_equal(trust_of(&device, &stranger, NULL), -1);
	drop(&device);
	drop(&root), drop(&stranger);
	stop();
}

static void list_long(const char *name, const struct party *p, const char *pattern, size_t n)
{
	static const char *const endpoints[] = { EST };
	const char *patterns[SCOPE_PATTERNS_MAX];
	struct credential_spec spec = { .kind = CA_EVIDENCE_VENDOR, .name = name, .endpoints = endpoints,
					.n_endpoints = 1, .scope = patterns, .n_scope = n,
					.certificates = buf_bytes(&p->der) };
	struct credential_made made;
	char why[CA_REASON_SIZE];

	for (size_t i = 0; i < n; i++)
		patterns[i] = pattern;
	if (ca_admin_create_credential(rig.core, &admin, &spec, &made, why))
		fail_msg("%s", why);
}

/* One that cannot be used does not stand in the way of another, and what is over comes behind what is not. */
static void of_several_that_fit_the_best_one_counts(void **state)
{
	struct party root, device, ra;
	char requester[CA_REQUESTER_SIZE], why[CA_REASON_SIZE];

	start(*state != NULL);
	issue(&root, NULL, &(struct looks)AUTHORITY("Maker Root"));
	issue(&device, &root, &(struct looks){ .subject = "a-common-name-of-so-many-letters-that-it-is-long" });
	issue(&ra, &root, &(struct looks){ .subject = "registrar", .purposes = RA_PURPOSES });
	list_long("overlong", &root, "{CN}.{CN}.{CN}.{CN}.{CN}.{CN}.{CN}.{CN}.{CN}.{CN}.{CN}.example", 200);
	assert_int_equal(trust_of(&device, NULL, NULL), -1);
	add(CA_EVIDENCE_VENDOR, "over", &root, "any");
	assert_true(rig_write(&rig, "UPDATE credentials SET until_ms=1 WHERE name='over'"));
	assert_int_equal(trust_of(&device, NULL, requester), CA_TRUST_VENDOR);
	assert_int_equal(strncmp(requester, "est:vendor:over:", 16), 0);
	add(CA_EVIDENCE_VENDOR, "good", &root, "any");
	assert_int_equal(trust_of(&device, NULL, requester), CA_TRUST_VENDOR);
	assert_int_equal(strncmp(requester, "est:vendor:good:", 16), 0);

	/* By name and without its issuers it fits only itself; by its key it fits. */
	assert_int_equal(list(CA_EVIDENCE_RA, "named", buf_bytes(&ra.der), "any", true, why), 0);
	assert_int_equal(trust_of(&ra, NULL, NULL), -1);
	add(CA_EVIDENCE_RA, "keyed", &ra, "any");
	assert_int_equal(trust_of(&ra, NULL, requester), CA_TRUST_RA);
	assert_string_equal(requester, "est:ra:keyed");
	stop();
	drop(&root), drop(&device), drop(&ra);
}

static void as_many_makers_as_there_may_be_take_no_more_memory_than_one(void **state)
{
	struct party root, other, device;
	char name[16], why[CA_REASON_SIZE];
	static const char pattern[] = "dns:a-pattern-with-many-letters-a-pattern-with-many-letters-a-pattern-with-many."
				      "letters-a-pattern-with-many-letters.example";

	start(*state != NULL);
	issue(&root, NULL, &(struct looks)AUTHORITY("Maker Root"));
	issue(&other, NULL, &(struct looks)AUTHORITY("Other Root"));
	issue(&device, &root, &(struct looks){ .subject = "d" });
	for (int i = 0; i < CREDENTIAL_LISTED_MAX; i++) {
		snprintf(name, sizeof(name), "maker-%d", i);
		list_long(name, i < CREDENTIAL_LISTED_MAX - 1 ? &other : &root, pattern, 150);
	}
	assert_int_equal(list(CA_EVIDENCE_VENDOR, "one-more", buf_bytes(&root.der), "any", false, why),
			 CA_ADMIN_INVALID);
	assert_int_equal(trust_of(&device, NULL, NULL), CA_TRUST_VENDOR);
	stop();
	drop(&root), drop(&other), drop(&device);
}

/* As wrong passwords are, but apart from them: who shows wrong ones holds up nobody else behind his address. */
static void certificates_that_are_refused_are_counted(void **state)
{
	struct party root, device, stranger;
	struct ca_credential_claim claim;
	struct ca_credential_answer answer;
	static const char refusals[] = "SELECT count(*) FROM audit WHERE payload LIKE '%refuse-credential%'";

	start(*state != NULL);
	issue(&root, NULL, &(struct looks)AUTHORITY("Maker Root"));
	issue(&device, &root, &(struct looks){ .subject = "d" });
	issue(&stranger, NULL, &(struct looks){ .subject = "d" });
	add(CA_EVIDENCE_VENDOR, "maker", &root, "any");
	/* The same one is not judged again each time. */
	for (int i = 0; i < 8; i++)
		assert_int_equal(trust_of(&stranger, NULL, NULL), -1);
	claim = claim_of(&stranger, NULL);
	assert_int_equal(ca_check_credential(rig.door, &claim, &answer), CA_CALL_BUSY);
	assert_in_range(answer.retry_after_s, 1, 30);
	claim.source_address = "198.51.100.1";
	assert_int_equal(ca_check_credential(rig.door, &claim, &answer), CA_CALL_BUSY);
	/* Others are; it costs a handshake each. */
	for (int i = 0; i < 40; i++) {
		drop(&stranger);
		issue(&stranger, NULL, &(struct looks){ .subject = "d" });
		assert_int_equal(trust_of(&stranger, NULL, NULL), -1);
	}
	assert_int_equal(trust_of(&device, NULL, NULL), CA_TRUST_VENDOR);
	claim = (struct ca_credential_claim){ .kind = CA_EVIDENCE_TOKEN, .secret = bytes_of_str("ght_wrong"),
					      .endpoint = EST, .source_address = "192.0.2.1" };
	assert_int_equal(ca_check_credential(rig.door, &claim, &answer), CA_CALL_REFUSED);
	/* One record a minute, and one of the token. */
	assert_in_range(rig_number(&rig, refusals), 2, 3);
	stop();
	drop(&root), drop(&device), drop(&stranger);
}

static void too_many_certificates_are_nobodys(void **state)
{
	struct party root, device;
	struct party pile = { .der = BUF_INIT(65536) };

	start(*state != NULL);
	issue(&root, NULL, &(struct looks)AUTHORITY("Maker Root"));
	issue(&device, &root, &(struct looks){ .subject = "d" });
	add(CA_EVIDENCE_VENDOR, "maker", &root, "any");
	for (int i = 0; i < 8; i++)
		buf_append(&pile.der, buf_bytes(&root.der));
	assert_int_equal(trust_of(&device, &pile, NULL), CA_TRUST_VENDOR);
	buf_append(&pile.der, buf_bytes(&root.der));
	assert_int_equal(trust_of(&device, &pile, NULL), -1);
	buf_reset(&pile.der);
	buf_append_str(&pile.der, "0");
	assert_int_equal(trust_of(&device, &pile, NULL), -1);
	buf_append_str(&device.der, "0");
	assert_int_equal(trust_of(&device, NULL, NULL), -1);
	buf_reset(&device.der);
	assert_int_equal(trust_of(&device, NULL, NULL), -1);
	stop();
	drop(&root), drop(&device), drop(&pile);
}

/* Names are no proof: a maker may call his authority as this CA is called, and his devices stay his devices. */
static void a_maker_whose_name_is_that_of_the_ca_is_a_maker(void **state)
{
	struct party root, device, forged;
	const struct ca_key *key;
	char why[CA_REASON_SIZE];

	start(*state != NULL);
	issue(&root, NULL, &(struct looks)AUTHORITY(RIG_CA));
	issue(&device, &root, &(struct looks){ .subject = "a.example" });
	add(CA_EVIDENCE_VENDOR, "maker", &root, "any");
	assert_int_equal(trust_of(&device, NULL, NULL), CA_TRUST_VENDOR);
	assert_int_equal(submit(&device, NULL, NULL, "a.example", CA_CERTIFICATE_ENROL), CA_STATUS_NONE);

	/* The CA itself is no vendor, whose certificates then needed no row. */
	key = ca_current_key(&rig.core->cas[0]);
	assert_int_equal(list(CA_EVIDENCE_VENDOR, "self", buf_bytes(&key->certificate), "any", false, why),
			 CA_ADMIN_INVALID);
	assert_non_null(strstr(why, "knows its own certificates"));
	/* A maker has certified the key of this CA: it stands in no path of his. */
	forged = (struct party){ .key = EVP_PKEY_dup(X509_get0_pubkey(device.cert)), .cert = X509_dup(device.cert),
				 .der = BUF_INIT(65536) };
	buf_append(&forged.der, buf_bytes(&key->certificate));
	assert_int_equal(trust_of(&forged, NULL, NULL), -1);
	stop();
	drop(&root), drop(&device), drop(&forged);
}

static void a_device_renews_nothing_and_a_revoked_maker_has_none(void **state)
{
	struct party root, device;
	struct ca_credential_claim claim;
	struct ca_credential_answer answer;
	char why[CA_REASON_SIZE];

	start(*state != NULL);
	issue(&root, NULL, &(struct looks)AUTHORITY("Maker Root"));
	issue(&device, &root, &(struct looks){ .subject = "d" });
	add(CA_EVIDENCE_VENDOR, "maker", &root, "any");
	claim = claim_of(&device, NULL);
	claim.use = CA_CERTIFICATE_RENEW;
	assert_int_equal(ca_check_credential(rig.door, &claim, &answer), CA_CALL_REFUSED);
	claim.use = CA_CERTIFICATE_ENROL;
	claim.endpoint = "other";
	assert_int_equal(ca_check_credential(rig.door, &claim, &answer), CA_CALL_REFUSED);
	assert_int_equal(trust_of(&device, NULL, NULL), CA_TRUST_VENDOR);
	assert_int_equal(ca_admin_revoke_credential(rig.core, &admin, CA_EVIDENCE_VENDOR, "maker", why), 0);
	assert_int_equal(trust_of(&device, NULL, NULL), -1);
	stop();
	drop(&root), drop(&device);
}

static void only_authorities_are_listed_as_makers(void **state)
{
	struct party root, device, over;
	struct party nine = { .der = BUF_INIT(65536) };
	char why[CA_REASON_SIZE];

	start(*state != NULL);
	issue(&root, NULL, &(struct looks)AUTHORITY("Maker Root"));
	issue(&device, &root, &(struct looks){ .subject = "d" });
	issue(&over, NULL, &(struct looks){ .subject = "Old", .basic = "critical,CA:TRUE", .ends_s = -60 });
	for (int i = 0; i < 9; i++)
		buf_append(&nine.der, buf_bytes(&root.der));
	assert_int_equal(list(CA_EVIDENCE_VENDOR, "v", buf_bytes(&device.der), "any", false, why), CA_ADMIN_INVALID);
	assert_int_equal(list(CA_EVIDENCE_VENDOR, "v", buf_bytes(&over.der), "any", false, why), CA_ADMIN_INVALID);
	assert_int_equal(list(CA_EVIDENCE_VENDOR, "v", buf_bytes(&nine.der), "any", false, why), CA_ADMIN_INVALID);
	assert_int_equal(list(CA_EVIDENCE_VENDOR, "v", bytes_of_str("no certificate"), "any", false, why),
			 CA_ADMIN_INVALID);
	assert_int_equal(list(CA_EVIDENCE_VENDOR, "v", bytes_of(NULL, 0), "any", false, why), CA_ADMIN_INVALID);
	assert_int_equal(list(CA_EVIDENCE_VENDOR, "a b", buf_bytes(&root.der), "any", false, why), CA_ADMIN_INVALID);
	assert_int_equal(list(CA_EVIDENCE_VENDOR, "v", buf_bytes(&root.der), "CN={nothing=", false, why), 0);
	assert_int_equal(list(CA_EVIDENCE_VENDOR, "v", buf_bytes(&root.der), "any", false, why), CA_ADMIN_INVALID);
	assert_int_equal(list(CA_EVIDENCE_USER, "u", buf_bytes(&root.der), "any", false, why), CA_ADMIN_INVALID);
	assert_int_equal(list(CA_EVIDENCE_VENDOR, "w", buf_bytes(&root.der), "any", true, why), CA_ADMIN_INVALID);
	stop();
	drop(&root), drop(&device), drop(&over), drop(&nine);
}

/* ---- registration authorities ---- */

static void a_registration_authority_asks_for_others_within_its_scope(void **state)
{
	struct looks looks = { .subject = "registrar", .purposes = RA_PURPOSES };
	struct party root, ra, same_name, unlisted, plain;
	char requester[CA_REQUESTER_SIZE], why[CA_REASON_SIZE];

	start(*state != NULL);
	issue(&root, NULL, &(struct looks)AUTHORITY("RA Root"));
	issue(&ra, &root, &looks);
	issue(&same_name, &root, &looks);
	issue(&plain, &root, &(struct looks){ .subject = "registrar", .purposes = "clientAuth" });
	issue(&unlisted, &root, &(struct looks){ .subject = "r2", .purposes = RA_PURPOSES });
	assert_int_equal(trust_of(&ra, NULL, NULL), -1);
	add(CA_EVIDENCE_RA, "reg", &ra, "*.plant.example");
	assert_int_equal(trust_of(&ra, NULL, requester), CA_TRUST_RA);
	assert_string_equal(requester, "est:ra:reg");
	assert_int_equal(trust_of(&same_name, NULL, NULL), -1); /* by its key */
	assert_int_equal(trust_of(&unlisted, NULL, NULL), -1);
	assert_int_equal(trust_of(&plain, NULL, NULL), -1);
	assert_int_equal(submit(&ra, NULL, NULL, "m1.plant.example", CA_CERTIFICATE_ENROL), CA_STATUS_NONE);
	assert_int_equal(submit(&ra, NULL, NULL, "m1.plant.example", CA_CERTIFICATE_RENEW), CA_STATUS_NONE);
	assert_int_equal(submit(&ra, NULL, NULL, "m1.office.example", CA_CERTIFICATE_ENROL), CA_STATUS_BAD_NAME);
	assert_int_equal(rig_number(&rig, "SELECT used FROM credentials WHERE name='reg'"), 2);
	assert_int_equal(list(CA_EVIDENCE_RA, "x", buf_bytes(&plain.der), "any", false, why), CA_ADMIN_INVALID);
	assert_int_equal(ca_admin_revoke_credential(rig.core, &admin, CA_EVIDENCE_RA, "reg", why), 0);
	assert_int_equal(trust_of(&ra, NULL, NULL), -1);
	stop();
	drop(&root), drop(&ra), drop(&same_name), drop(&unlisted), drop(&plain);
}

/* Whatever certificate its key stands in now. */
static void a_key_that_others_know_is_that_of_no_authority(void **state)
{
	struct party root, ra;
	struct device read;
	OWNED(arena) arena = NULL;
	uint8_t hash[SHA256_SIZE];
	char sql[256], hex[2 * SHA256_SIZE + 1];

	start(*state != NULL);
	issue(&root, NULL, &(struct looks)AUTHORITY("RA Root"));
	issue(&ra, &root, &(struct looks){ .subject = "registrar", .purposes = RA_PURPOSES });
	add(CA_EVIDENCE_RA, "reg", &ra, "any");
	assert_int_equal(trust_of(&ra, NULL, NULL), CA_TRUST_RA);
	assert_int_equal(arena_new(&arena, 1u << 20), 0);
	assert_int_equal(device_read(&read, arena, buf_bytes(&ra.der)), 0);
	assert_int_equal(digest_sha256(read.spki, hash), 0);
	snprintf(sql, sizeof(sql), "INSERT INTO blocked_keys(spki_hash, since_ms, serial) VALUES(x'%s', 1, x'01')",
		 hex_print(bytes_of(hash, sizeof(hash)), hex));
	assert_true(rig_write(&rig, sql));
	assert_int_equal(trust_of(&ra, NULL, NULL), -1);
	stop();
	drop(&root), drop(&ra);
}

static void by_name_another_key_of_the_same_authority_counts(void **state)
{
	struct looks looks = { .subject = "registrar", .purposes = RA_PURPOSES };
	struct party root, impostor, ra, next, forged, over;
	OWNED_BUF file = BUF_INIT(65536);
	char why[CA_REASON_SIZE];

	start(*state != NULL);
	issue(&root, NULL, &(struct looks)AUTHORITY("RA Root"));
	issue(&impostor, NULL, &(struct looks)AUTHORITY("RA Root"));
	issue(&ra, &root, &looks);
	issue(&next, &root, &looks);
	issue(&forged, &impostor, &looks);
	looks.ends_s = -60;
	issue(&over, &root, &looks);
	buf_append(&file, buf_bytes(&ra.der));
	buf_append(&file, buf_bytes(&root.der));
	assert_int_equal(list(CA_EVIDENCE_RA, "reg", buf_bytes(&file), "any", false, why), CA_ADMIN_INVALID);
	assert_int_equal(list(CA_EVIDENCE_RA, "reg", buf_bytes(&file), "any", true, why), 0);
	assert_int_equal(trust_of(&ra, NULL, NULL), CA_TRUST_RA);
	assert_int_equal(trust_of(&next, NULL, NULL), CA_TRUST_RA);
	assert_int_equal(trust_of(&forged, &impostor, NULL), -1);
	assert_int_equal(trust_of(&over, NULL, NULL), -1);
	stop();
	drop(&root), drop(&impostor), drop(&ra), drop(&next), drop(&forged), drop(&over);
}

/* ---- of this core ---- */

/* What a key of this core has signed and nobody has written down proves nothing: neither for itself nor by a list. */
static void a_certificate_without_a_row_is_nobodys(void **state)
{
	static const char *const usage[] = { "digitalSignature", NULL }, *const purpose[] = { "clientAuth", NULL };
	OWNED_BUF tbs = BUF_INIT(65536), signature = BUF_INIT(SIGNER_SIGNATURE_MAX), csr = BUF_INIT(65536);
	struct party shown = { .der = BUF_INIT(65536) };
	const char *name = "a.example";
	struct ca_name names[] = { { .kind = CA_NAME_DNS, .value = name } };
	OWNED_CA_OUTCOME out = CA_OUTCOME_INIT;
	OWNED(ca_request) r = NULL;
	const struct ca_key *key;
	struct issue_plan plan = { .names = names, .n_names = 1, .key_usage = usage, .ext_key_usage = purpose };
	char why[CA_REASON_SIZE];

	start(*state != NULL);
	assert_int_equal(rig_submit(rig.door, "acme:1", name, "k", &out), 0);
	assert_int_equal(store_load(rig.core, out.id, &r), 0);
	key = ca_current_key(&rig.core->cas[0]);
	plan.issuer = key->issuer;
	plan.spki = r->csr.spki;
	plan.not_before_s = clock_wall_s() - 60;
	plan.not_after_s = clock_wall_s() + DAY;
	assert_int_equal(issue_serial(clock_wall_ms(), plan.serial), 0);
	assert_int_equal(issue_build(&plan, &tbs, why), 0);
	assert_int_equal(signer_sign_certificate(rig.core->signer, key->signer, buf_bytes(&tbs), &signature, why), 0);
	assert_int_equal(issue_assemble(buf_bytes(&tbs), buf_bytes(&signature), key->issuer, &shown.der), 0);
	assert_int_equal(trust_of(&shown, NULL, NULL), -1);
	/* The one that has a row is good, and not with one octet more or less. */
	buf_reset(&shown.der);
	buf_append(&shown.der, buf_bytes(&out.certificate));
	assert_int_equal(trust_of(&shown, NULL, NULL), CA_TRUST_OWN);
	buf_append_str(&shown.der, "0");
	assert_int_equal(trust_of(&shown, NULL, NULL), -1);
	shown.der.len -= 2;
	assert_int_equal(trust_of(&shown, NULL, NULL), -1);
	stop();
	buf_fini(&shown.der);
}

static void the_gateways_own_certificate_asks_for_nothing(void **state)
{
	struct ca_name names[] = { { CA_NAME_DNS, "gw.example", CA_EVIDENCE_LOCAL_CONFIG, "listener" } };
	const char *list_of_names[] = { "gw.example" };
	struct csr_spec spec = { .names = list_of_names, .n_names = 1 };
	struct ca_submission s = { .protocol = "internal", .endpoint = INTERNAL_ENDPOINT, .names = names, .n_names = 1,
				   .profile = GATEWAY_TLS_PROFILE, .requester = "gateway:test",
				   .evidence = CA_EVIDENCE_LOCAL_CONFIG };
	OWNED_CA_OUTCOME out = CA_OUTCOME_INIT;
	OWNED_BUF der = BUF_INIT(65536);
	struct party shown = { .der = BUF_INIT(65536) };

	start(*state != NULL);
	assert_int_equal(csr_make(&spec, &der), 0);
	s.request = buf_bytes(&der);
	rig_key("gateway", s.transaction_key);
	assert_int_equal(ca_submit(rig.door, &s, &out), 0);
	assert_int_equal(out.disposition, CA_ISSUED);
	buf_append(&shown.der, buf_bytes(&out.certificate));
	assert_int_equal(trust_of(&shown, NULL, NULL), -1);
	stop();
	buf_fini(&shown.der);
}

/* ---- scopes ---- */

static void a_scope_stands_for_one_device(void **state)
{
	static const struct {
		const char *scope, *serial_number, *common_name, *filled;
	} cases[] = {
		{ "CN={serialNumber}", "17", NULL, "CN=17\n" },
		{ "dns:{CN}.example\nany", NULL, "x", "dns:x.example\nany\n" },
		{ "CN={serialNumber}\nO=Example", NULL, "x", "O=Example\n" },
		{ "CN={serialNumber}", "*", NULL, "" },
		{ "CN={serialNumber}", "a\nany", NULL, "" },
		{ "CN={serialNumber}", "", NULL, "" },
		{ "{CN}{CN}-{serialNumber}", "2", "1", "11-2\n" },
		{ "{cn}{", "2", "1", "{cn}{\n" },
		{ "{CN}", NULL, "any", "" },
		{ "{CN}{serialNumber}\nO=Example", "y", "an", "O=Example\n" },
	};
	OWNED(arena) arena = NULL;
	OWNED_BUF longest = BUF_INIT(SCOPE_TEXT_MAX);
	const char *filled;

	assert_int_equal(arena_new(&arena, 1u << 20), 0);
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		assert_int_equal(shown_fill_scope(arena, cases[i].scope, cases[i].serial_number, cases[i].common_name,
						  &filled), 0);
		assert_string_equal(filled, cases[i].filled);
	}
	/* No end is cut off. */
	for (size_t n = 0; n < SCOPE_TEXT_MAX / 4; n++)
		assert_int_equal(buf_append_str(&longest, "{CN}"), 0);
	assert_int_equal(shown_fill_scope(arena, buf_str(&longest), NULL, "a.common.name.of.more.than.four.octets",
					  &filled), -EMSGSIZE);
}

#define BOTH(test) \
	{ #test, test, NULL, NULL, NULL }, { #test " over a link", test, NULL, NULL, (void *)1 }

int main(void)
{
	const struct CMUnitTest tests[] = {
		BOTH(a_device_asks_by_the_certificate_of_its_maker),
		BOTH(what_is_no_device_of_the_maker_is_nobody),
		BOTH(of_several_that_fit_the_best_one_counts),
		BOTH(as_many_makers_as_there_may_be_take_no_more_memory_than_one),
		BOTH(certificates_that_are_refused_are_counted),
		BOTH(too_many_certificates_are_nobodys),
		BOTH(a_maker_whose_name_is_that_of_the_ca_is_a_maker),
		BOTH(a_device_renews_nothing_and_a_revoked_maker_has_none),
		cmocka_unit_test(only_authorities_are_listed_as_makers),
		BOTH(a_registration_authority_asks_for_others_within_its_scope),
		BOTH(a_key_that_others_know_is_that_of_no_authority),
		BOTH(by_name_another_key_of_the_same_authority_counts),
		BOTH(a_certificate_without_a_row_is_nobodys),
		BOTH(the_gateways_own_certificate_asks_for_nothing),
		cmocka_unit_test(a_scope_stands_for_one_device),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
