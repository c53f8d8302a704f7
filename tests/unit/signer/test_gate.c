/* core/signer/gate.h: each line of the floor, by a certificate that breaks it and nothing else.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tests/test.h"

#include "core/base/der.h"
#include "tests/unit/core/issue_kit.h"

#define NOW 1772366400ll /* 2026-03-01T12:00:00Z */
#define DAY 86400

/* A TBSCertificate in its parts; each is whole octets, so that a test can write what no builder writes. */
struct parts {
	struct buf version, serial, algorithm, issuer, validity, subject, spki, extensions;
};

#define HEX(text) (text), sizeof(text) - 1

static void put(struct buf *part, const char *octets, size_t n)
{
	buf_reset(part);
	assert_int_equal(buf_append(part, bytes_of(octets, n)), 0);
}

static void take(struct bytes *in, struct buf *part)
{
	struct bytes content, whole;
	unsigned tag;

	assert_int_equal(der_read(in, &tag, &content, &whole), 0);
	*part = BUF_INIT(65536);
	assert_int_equal(buf_append(part, whole), 0);
}

/* Take a good certificate apart. */
static void take_apart(struct bytes tbs, struct parts *p)
{
	struct bytes in, wrapped, list;

	assert_int_equal(der_expect(&tbs, DER_SEQUENCE, &in), 0);
	take(&in, &p->version);
	take(&in, &p->serial);
	take(&in, &p->algorithm);
	take(&in, &p->issuer);
	take(&in, &p->validity);
	take(&in, &p->subject);
	take(&in, &p->spki);
	assert_int_equal(der_expect(&in, 0xa3, &wrapped), 0);
	assert_int_equal(der_expect(&wrapped, DER_SEQUENCE, &list), 0);
	p->extensions = BUF_INIT(65536);
	assert_int_equal(buf_append(&p->extensions, list), 0);
}

static void put_together(const struct parts *p, struct buf *tbs)
{
	OWNED_BUF content = BUF_INIT(65536);
	OWNED_BUF list = BUF_INIT(65536);

	buf_append(&content, buf_bytes(&p->version));
	buf_append(&content, buf_bytes(&p->serial));
	buf_append(&content, buf_bytes(&p->algorithm));
	buf_append(&content, buf_bytes(&p->issuer));
	buf_append(&content, buf_bytes(&p->validity));
	buf_append(&content, buf_bytes(&p->subject));
	buf_append(&content, buf_bytes(&p->spki));
	der_write(&list, DER_SEQUENCE, buf_bytes(&p->extensions));
	der_write(&content, 0xa3, buf_bytes(&list));
	assert_int_equal(buf_status(&content), 0);
	buf_reset(tbs);
	assert_int_equal(der_write(tbs, DER_SEQUENCE, buf_bytes(&content)), 0);
}

static void drop_parts(struct parts *p)
{
	struct buf *all[] = { &p->version, &p->serial, &p->algorithm, &p->issuer, &p->validity, &p->subject, &p->spki,
			      &p->extensions };

	for (size_t i = 0; i < sizeof(all) / sizeof(*all); i++)
		buf_fini(all[i]);
}

static struct issue_kit kit;
static struct parts good;

static int make_kit(void **state)
{
	OWNED_BUF spki = BUF_INIT(8192);
	OWNED_BUF tbs = BUF_INIT(65536);
	struct issue_plan plan;
	char why[CA_REASON_SIZE];

	issue_kit_init(&kit, "ec-p256", "One", NOW, NOW + 30 * DAY);
	issue_kit_spki("ec-p256", &spki);
	plan = issue_kit_plan(&kit, buf_bytes(&spki));
	assert_int_equal(issue_build(&plan, &tbs, why), 0);
	take_apart(buf_bytes(&tbs), &good);
	return 0;
}

static int drop_kit(void **state)
{
	drop_parts(&good);
	issue_kit_fini(&kit);
	return 0;
}

/* A copy of the good one, to be changed. */
static struct parts copy_good(void)
{
	OWNED_BUF tbs = BUF_INIT(65536);
	struct parts p;

	put_together(&good, &tbs);
	take_apart(buf_bytes(&tbs), &p);
	return p;
}

/* What the signer says to it: 0, or SIGNER_REFUSED with this text in its reason. Drops the parts. */
static void expect(struct parts *p, const char *refusal)
{
	OWNED_BUF signature = BUF_INIT(SIGNER_SIGNATURE_MAX);
	OWNED_BUF tbs = BUF_INIT(65536);
	char why[SIGNER_WHY_SIZE] = "";
	int e;

	put_together(p, &tbs);
	drop_parts(p);
	e = signer_sign_certificate(kit.signer, kit.key, buf_bytes(&tbs), &signature, why);
	if (refusal && !strstr(why, refusal))
		fail_msg("'%s' instead of '%s'", why, refusal);
	assert_int_equal(e, refusal ? SIGNER_REFUSED : 0);
	assert_int_equal(signature.len == 0, refusal != NULL);
}

/* Every row changes one part and says what the signer must say. */
struct row {
	const char *octets;
	size_t len;
	const char *refusal; /* NULL: it signs */
};

static void expect_rows(const struct row *rows, size_t n, size_t offset)
{
	for (size_t i = 0; i < n; i++) {
		struct parts p = copy_good();

		put((struct buf *)((uint8_t *)&p + offset), rows[i].octets, rows[i].len);
		expect(&p, rows[i].refusal);
	}
}

#define EXPECT_ROWS(rows, part) expect_rows(rows, sizeof(rows) / sizeof(*(rows)), offsetof(struct parts, part))

static void signs_what_is_good(void **state)
{
	struct parts p = copy_good();

	expect(&p, NULL);
}

static void version_3_only(void **state)
{
	static const struct row rows[] = {
		{ HEX("\xa0\x03\x02\x01\x02"), NULL },
		{ HEX("\xa0\x03\x02\x01\x01"), "version 3" },
		{ HEX("\xa0\x03\x02\x01\x03"), "version 3" },
		{ HEX("\xa0\x04\x02\x02\x00\x02"), "version 3" },
		{ HEX("\xa0\x00"), "no TBSCertificate" },
		{ HEX(""), "no TBSCertificate" }, /* version 1 is left out */
	};

	EXPECT_ROWS(rows, version);
}

static void serials_are_positive_and_of_8_to_20_octets(void **state)
{
	static const struct row rows[] = {
		{ HEX("\x02\x08\x01\x02\x03\x04\x05\x06\x07\x08"), NULL },
		{ HEX("\x02\x14" "\x7f" "1234567890123456789"), NULL },
		{ HEX("\x02\x07\x01\x02\x03\x04\x05\x06\x07"), "serial" },
		{ HEX("\x02\x15" "\x7f" "12345678901234567890"), "serial" },
		{ HEX("\x02\x08\x81\x02\x03\x04\x05\x06\x07\x08"), "serial" },
		{ HEX("\x02\x08\x00\x02\x03\x04\x05\x06\x07\x08"), "serial" }, /* a needless zero */
		{ HEX("\x02\x09\x00\x82\x03\x04\x05\x06\x07\x08\x09"), NULL },
		{ HEX("\x02\x01\x00"), "serial" },
		{ HEX("\x02\x00"), "serial" },
	};

	EXPECT_ROWS(rows, serial);
}

static void the_signature_algorithm_is_the_keys_own(void **state)
{
	static const struct row rows[] = {
		{ HEX("\x30\x0a\x06\x08\x2a\x86\x48\xce\x3d\x04\x03\x02"), NULL },
		{ HEX("\x30\x0a\x06\x08\x2a\x86\x48\xce\x3d\x04\x03\x03"), "algorithm" }, /* SHA-384 */
		{ HEX("\x30\x0d\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0b\x05\x00"), "algorithm" }, /* RSA */
		{ HEX("\x30\x0d\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x05\x05\x00"), "algorithm" }, /* SHA-1 */
		{ HEX("\x30\x0c\x06\x08\x2a\x86\x48\xce\x3d\x04\x03\x02\x05\x00"), "algorithm" }, /* a NULL too many */
		{ HEX("\x30\x00"), "algorithm" },
	};

	EXPECT_ROWS(rows, algorithm);
}

#define UTC(text) "\x17\x0d" text
#define GENERAL(text) "\x18\x0f" text

/* The issuer is valid from 2026-03-01 12:00:00 to 2026-03-31 12:00:00. */
static void validity_is_inside_the_issuers(void **state)
{
	static const struct row rows[] = {
		{ HEX("\x30\x1e" UTC("260301120000Z") UTC("260331120000Z")), NULL },
		{ HEX("\x30\x1e" UTC("260301115959Z") UTC("260331120000Z")), "when its issuer is not" },
		{ HEX("\x30\x1e" UTC("260301120000Z") UTC("260331120001Z")), "when its issuer is not" },
		{ HEX("\x30\x20" UTC("260301120000Z") GENERAL("20260331120000Z")), NULL },
		{ HEX("\x30\x20" UTC("260301120000Z") GENERAL("99991231235959Z")), "when its issuer is not" },
		{ HEX("\x30\x1e" UTC("500301120000Z") UTC("260331120000Z")), "when its issuer is not" }, /* 1950 */
		{ HEX("\x30\x1e" UTC("260310120000Z") UTC("260310120000Z")), "end before" },
		{ HEX("\x30\x1e" UTC("260310120000Z") UTC("260309120000Z")), "end before" },
		{ HEX("\x30\x1e" UTC("260301120000Z") UTC("2603311200000")), "no TBSCertificate" },
		{ HEX("\x30\x1e" UTC("260301120000Z") UTC("26033112000xZ")), "no TBSCertificate" },
		{ HEX("\x30\x0f" UTC("260301120000Z")), "no TBSCertificate" },
		{ HEX("\x30\x20" UTC("260301120000Z") UTC("260331120000Z") "\x05\x00"), "no TBSCertificate" },
		{ HEX("\x30\x1a\x17\x0b" "2603011200Z" "\x17\x0b" "2603311200Z"), "no TBSCertificate" },
	};

	EXPECT_ROWS(rows, validity);
}

static void an_issuer_of_another_name_is_refused(void **state)
{
	static const struct row rows[] = {
		{ HEX("\x30\x0e\x31\x0c\x30\x0a\x06\x03\x55\x04\x03\x0c\x03Two"), "the issuer" },
		{ HEX("\x30\x0e\x31\x0c\x30\x0a\x06\x03\x55\x04\x03\x13\x03One"), "the issuer" }, /* another type */
		{ HEX("\x30\x00"), "the issuer" },
		{ HEX("\x30\x0e\x31\x0c\x30\x0a\x06\x03\x55\x04\x03\x0c\x03One"), NULL },
	};

	EXPECT_ROWS(rows, issuer);
}

static void weak_and_unknown_keys_and_the_own_one_are_refused(void **state)
{
	static const struct {
		const char *kind, *refusal;
	} kinds[] = {
		{ "ec-p256", NULL }, { "ec-p384", NULL }, { "rsa", NULL }, { "ed25519", NULL },
		{ "rsa-1024", "weak" }, { "ec-p521", "weak" }, { "secp256k1", "weak" }, { "ed448", "weak" },
	};
	struct parts p;

	for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++) {
		p = copy_good();
		buf_reset(&p.spki);
		issue_kit_spki(kinds[i].kind, &p.spki);
		expect(&p, kinds[i].refusal);
	}
	p = copy_good();
	put(&p.spki, (const char *)kit.spki.ptr, kit.spki.len);
	expect(&p, "of the authority itself");
}

/* An RSA key of these numbers. */
static void put_rsa(struct buf *spki, struct bytes n, struct bytes e)
{
	OWNED_BUF numbers = BUF_INIT(4096);
	OWNED_BUF bits = BUF_INIT(4096);
	OWNED_BUF content = BUF_INIT(4096);

	der_write(&numbers, DER_INTEGER, n);
	der_write(&numbers, DER_INTEGER, e);
	buf_append_char(&bits, 0);
	der_write(&bits, DER_SEQUENCE, buf_bytes(&numbers));
	buf_append(&content, bytes_of("\x30\x0d\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01\x05\x00", 15));
	der_write(&content, DER_BIT_STRING, buf_bytes(&bits));
	buf_reset(spki);
	assert_int_equal(der_write(spki, DER_SEQUENCE, buf_bytes(&content)), 0);
}

static void rsa_numbers_are_looked_at(void **state)
{
	static const struct {
		size_t octets;     /* of the modulus, with the zero in front */
		uint8_t first, last;
		const char *e;
		size_t e_len;
		const char *refusal;
	} rows[] = {
		{ 257, 0x80, 1, HEX("\x01\x00\x01"), NULL },
		{ 257, 0x7f, 1, HEX("\x01\x00\x01"), "weak" },     /* a needless zero, 2047 bits */
		{ 256, 0x80, 1, HEX("\x01\x00\x01"), "weak" },     /* 2040 bits */
		{ 257, 0x80, 2, HEX("\x01\x00\x01"), "weak" },     /* even */
		{ 257, 0x80, 1, HEX("\x03"), "weak" },
		{ 257, 0x80, 1, HEX("\x01\x00\x00"), "weak" },     /* even */
		{ 257, 0x80, 1, HEX("\x00\x00\x03"), "weak" },
		{ 257, 0x80, 1, HEX("\x81\x00\x01"), "weak" },     /* negative */
		{ 257, 0x80, 1, HEX(""), "weak" },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct parts p = copy_good();
		uint8_t n[257] = { 0 };

		n[1] = rows[i].first;
		n[rows[i].octets - 1] = rows[i].last;
		put_rsa(&p.spki, bytes_of(n, rows[i].octets), bytes_of(rows[i].e, rows[i].e_len));
		expect(&p, rows[i].refusal);
	}
}

/* ---- extensions ---- */

/* One more extension; its value and OID are given as whole contents. */
static void add_extension(struct parts *p, const char *oid, size_t oid_len, const char *critical, const char *value,
			  size_t value_len)
{
	OWNED_BUF content = BUF_INIT(4096);

	der_write(&content, DER_OID, bytes_of(oid, oid_len));
	if (critical)
		buf_append(&content, bytes_of(critical, 3));
	der_write(&content, DER_OCTET_STRING, bytes_of(value, value_len));
	assert_int_equal(der_write(&p->extensions, DER_SEQUENCE, buf_bytes(&content)), 0);
}

#define TRUE_FLAG "\x01\x01\xff"

/* None but what each certificate must have. */
static void reset_extensions(struct parts *p)
{
	buf_reset(&p->extensions);
	add_extension(p, HEX("\x55\x1d\x13"), TRUE_FLAG, HEX("\x30\x00"));
}

static void extensions_that_make_an_authority_are_refused(void **state)
{
	static const struct {
		const char *oid, *value;
		size_t len;
		const char *refusal;
	} rows[] = {
		{ "\x55\x1d\x13", HEX("\x30\x00"), NULL },
		{ "\x55\x1d\x13", HEX("\x30\x03\x01\x01\xff"), "other authorities" },
		{ "\x55\x1d\x13", HEX("\x30\x03\x02\x01\x00"), "other authorities" },
		{ "\x55\x1d\x13", HEX(""), "other authorities" },
		{ "\x55\x1d\x0f", HEX("\x03\x02\x07\x80"), NULL },          /* digitalSignature */
		{ "\x55\x1d\x0f", HEX("\x03\x02\x02\x04"), "key usage" },   /* keyCertSign */
		{ "\x55\x1d\x0f", HEX("\x03\x02\x01\x02"), "key usage" },   /* cRLSign */
		{ "\x55\x1d\x0f", HEX("\x03\x02\x01\x86"), "key usage" },
		{ "\x55\x1d\x0f", HEX("\x03\x03\x07\x80\x80"), NULL },      /* decipherOnly */
		{ "\x55\x1d\x0f", HEX("\x03\x01\x00"), "key usage" },
		{ "\x55\x1d\x0f", HEX("\x04\x01\x00"), "key usage" },
		{ "\x55\x1d\x0f", HEX("\x03\x02\x07\x80\x00"), "key usage" },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct parts p = copy_good();

		if (rows[i].oid[2] == 0x13)
			buf_reset(&p.extensions);
		else
			reset_extensions(&p);
		add_extension(&p, rows[i].oid, 3, TRUE_FLAG, rows[i].value, rows[i].len);
		expect(&p, rows[i].refusal);
	}
}

#define PURPOSE(last) "\x06\x08\x2b\x06\x01\x05\x05\x07\x03" last
#define SERVER_AUTH PURPOSE("\x01")
#define CLIENT_AUTH PURPOSE("\x02")
#define OCSP_SIGNING PURPOSE("\x09")
#define CMC_RA PURPOSE("\x1c")
#define ANY_PURPOSE "\x06\x04\x55\x1d\x25\x00"

/* Whoever may sign OCSP for a CA says what is revoked; an RA enrols for others. */
static void purposes_that_speak_for_the_authority_are_refused(void **state)
{
	static const struct row rows[] = {
		{ HEX("\x30\x0a" SERVER_AUTH), NULL },
		{ HEX("\x30\x14" SERVER_AUTH CLIENT_AUTH), NULL },
		{ HEX("\x30\x14" SERVER_AUTH CMC_RA), NULL }, /* a server of the CA's own */
		{ HEX("\x30\x0a" OCSP_SIGNING), "extended key usage" },
		{ HEX("\x30\x14" SERVER_AUTH OCSP_SIGNING), "extended key usage" },
		{ HEX("\x30\x06" ANY_PURPOSE), "extended key usage" },
		{ HEX("\x30\x10" CLIENT_AUTH ANY_PURPOSE), "extended key usage" },
		{ HEX("\x30\x14" CLIENT_AUTH CMC_RA), "extended key usage" },
		{ HEX("\x30\x1e" CMC_RA SERVER_AUTH CLIENT_AUTH), "extended key usage" },
		{ HEX("\x30\x00"), "extended key usage" },
		{ HEX("\x31\x0a" SERVER_AUTH), "extended key usage" },
		{ HEX("\x30\x0a" SERVER_AUTH "\x05\x00"), "extended key usage" },
		{ HEX("\x30\x0c" SERVER_AUTH "\x05\x00"), "extended key usage" },
	};

	for (size_t i = 0; i < 2 * sizeof(rows) / sizeof(*rows); i++) {
		const struct row *row = &rows[i / 2];
		struct parts p = copy_good();

		reset_extensions(&p);
		add_extension(&p, HEX("\x55\x1d\x25"), i % 2 ? TRUE_FLAG : NULL, row->octets, row->len);
		expect(&p, row->refusal);
	}
}

/* Some readers take the certificate of a CA of before RFC 2459 for one when nothing says no. */
static void without_basic_constraints_nothing_is_signed(void **state)
{
	struct parts p = copy_good();

	buf_reset(&p.extensions);
	expect(&p, "other authorities");
	p = copy_good();
	buf_reset(&p.extensions);
	add_extension(&p, HEX("\x60\x86\x48\x01\x86\xf8\x42\x01\x01"), NULL, HEX("\x03\x02\x02\x04"));
	expect(&p, "other authorities");
}

static void an_extension_stands_in_it_once(void **state)
{
	struct parts p = copy_good();

	add_extension(&p, HEX("\x2a\x03\x04"), NULL, HEX("\x05\x00"));
	add_extension(&p, HEX("\x2a\x03\x05"), NULL, HEX("\x05\x00"));
	expect(&p, NULL);
	p = copy_good();
	add_extension(&p, HEX("\x2a\x03\x04"), NULL, HEX("\x05\x00"));
	add_extension(&p, HEX("\x2a\x03\x04"), NULL, HEX("\x05\x00"));
	expect(&p, "twice");
	/* The second of two must not be the one that counts. */
	p = copy_good();
	add_extension(&p, HEX("\x55\x1d\x0f"), TRUE_FLAG, HEX("\x03\x02\x02\x04"));
	expect(&p, "twice");
}

static void the_authority_key_identifier_is_the_issuers(void **state)
{
	OWNED_BUF value = BUF_INIT(64);
	struct bytes id = issuer_get_key_identifier(kit.issuer);
	struct parts p = copy_good();
	uint8_t changed[20];

	buf_append(&value, bytes_of("\x30\x16\x80\x14", 4));
	assert_int_equal(id.len, sizeof(changed));
	buf_append(&value, id);
	reset_extensions(&p);
	add_extension(&p, HEX("\x55\x1d\x23"), NULL, (const char *)value.ptr, value.len);
	expect(&p, NULL);
	memcpy(changed, id.ptr, sizeof(changed));
	changed[19] ^= 1;
	buf_reset(&value);
	buf_append(&value, bytes_of("\x30\x16\x80\x14", 4));
	buf_append(&value, bytes_of(changed, sizeof(changed)));
	p = copy_good();
	reset_extensions(&p);
	add_extension(&p, HEX("\x55\x1d\x23"), NULL, (const char *)value.ptr, value.len);
	expect(&p, "authority key identifier");
	p = copy_good();
	reset_extensions(&p);
	add_extension(&p, HEX("\x55\x1d\x23"), NULL, HEX("\x30\x00"));
	expect(&p, "authority key identifier");
	p = copy_good();
	reset_extensions(&p);
	expect(&p, NULL);
}

static void critical_extensions_of_pkix_are_known_ones(void **state)
{
	static const struct {
		const char *oid;
		size_t len;
		const char *critical, *refusal;
	} rows[] = {
		{ HEX("\x55\x1d\x11"), TRUE_FLAG, NULL },                             /* subjectAltName */
		{ HEX("\x55\x1d\x1e"), TRUE_FLAG, "critical" },                       /* nameConstraints */
		{ HEX("\x55\x1d\x24"), TRUE_FLAG, "critical" },                       /* policyConstraints */
		{ HEX("\x55\x1d\x1e"), NULL, NULL },
		{ HEX("\x2b\x06\x01\x05\x05\x07\x01\x18"), TRUE_FLAG, NULL },         /* TLS features */
		{ HEX("\x2b\x06\x01\x05\x05\x07\x01\x07"), TRUE_FLAG, "critical" },   /* IP address blocks */
		{ HEX("\x2a\x03\x04"), TRUE_FLAG, NULL },                             /* an operator's own */
		{ HEX("\x2a\x03\x04"), "\x01\x01\x00", "no TBSCertificate" },         /* DER leaves FALSE out */
		{ HEX("\x2a\x03\x04"), "\x01\x01\x01", "no TBSCertificate" },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct parts p = copy_good();

		reset_extensions(&p);
		add_extension(&p, rows[i].oid, rows[i].len, rows[i].critical, HEX("\x05\x00"));
		expect(&p, rows[i].refusal);
	}
}

static void more_extensions_than_anybody_needs_are_refused(void **state)
{
	struct parts p = copy_good();

	reset_extensions(&p);
	for (int i = 0; i < 63; i++)
		add_extension(&p, (char[]){ 0x2a, 3, (char)i }, 3, NULL, HEX("\x05\x00"));
	expect(&p, NULL);
	p = copy_good();
	reset_extensions(&p);
	for (int i = 0; i < 64; i++)
		add_extension(&p, (char[]){ 0x2a, 3, (char)i }, 3, NULL, HEX("\x05\x00"));
	expect(&p, "no TBSCertificate");
}

/* ---- a CA that is being created ---- */

static void the_first_certificate_of_a_ca_says_that_it_is_one(void **state)
{
	OWNED_BUF signature = BUF_INIT(SIGNER_SIGNATURE_MAX);
	OWNED_BUF tbs = BUF_INIT(65536);
	char why[SIGNER_WHY_SIZE] = "", reason[CA_REASON_SIZE];
	uint8_t serial[SERIAL_SIZE] = { 1 };
	struct parts p;
	uint64_t key;

	assert_int_equal(signer_load(kit.signer, buf_bytes(&kit.sealed), SIGNER_PURPOSE_CA, "One", bytes_of(NULL, 0),
				     &key, why), 0);
	assert_int_equal(issue_build_root(buf_bytes(&kit.spki), "One", NULL, NOW, NOW + DAY, serial, 0, &tbs, reason),
			 0);
	assert_int_equal(signer_sign_certificate(kit.signer, key, buf_bytes(&tbs), &signature, why), 0);
	take_apart(buf_bytes(&tbs), &p);
	put(&p.serial, HEX("\x02\x01\x01"));
	put_together(&p, &tbs);
	assert_int_equal(signer_sign_certificate(kit.signer, key, buf_bytes(&tbs), &signature, why), SIGNER_REFUSED);
	assert_non_null(strstr(why, "serial"));
	put(&p.serial, HEX("\x02\x08\x01\x02\x03\x04\x05\x06\x07\x08"));
	buf_reset(&p.extensions);
	put_together(&p, &tbs);
	assert_int_equal(signer_sign_certificate(kit.signer, key, buf_bytes(&tbs), &signature, why), SIGNER_REFUSED);
	assert_non_null(strstr(why, "says that it is one"));
	drop_parts(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(signs_what_is_good),
		cmocka_unit_test(version_3_only),
		cmocka_unit_test(serials_are_positive_and_of_8_to_20_octets),
		cmocka_unit_test(the_signature_algorithm_is_the_keys_own),
		cmocka_unit_test(validity_is_inside_the_issuers),
		cmocka_unit_test(an_issuer_of_another_name_is_refused),
		cmocka_unit_test(weak_and_unknown_keys_and_the_own_one_are_refused),
		cmocka_unit_test(rsa_numbers_are_looked_at),
		cmocka_unit_test(extensions_that_make_an_authority_are_refused),
		cmocka_unit_test(purposes_that_speak_for_the_authority_are_refused),
		cmocka_unit_test(without_basic_constraints_nothing_is_signed),
		cmocka_unit_test(an_extension_stands_in_it_once),
		cmocka_unit_test(the_authority_key_identifier_is_the_issuers),
		cmocka_unit_test(critical_extensions_of_pkix_are_known_ones),
		cmocka_unit_test(more_extensions_than_anybody_needs_are_refused),
		cmocka_unit_test(the_first_certificate_of_a_ca_says_that_it_is_one),
	};

	return cmocka_run_group_tests(tests, make_kit, drop_kit);
}
