/* TBSCertificate and certificate.
 *
 * libcrypto's X509 API builds the structure; the signature is made elsewhere, over exactly these octets.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "core/issue.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>

#include <openssl/err.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include "core/base/digest.h"
#include "core/base/own.h"
#include "core/x509/der.h"

static void X509_drop(X509 **c)
{
	X509_free(*c);
	*c = NULL;
}
#define OWNED_X509 __attribute__((cleanup(X509_drop))) X509

static int fail(char why[static CA_REASON_SIZE], const char *text)
{
	snprintf(why, CA_REASON_SIZE, "the certificate cannot be built: %s", text);
	ERR_clear_error();
	return CA_STATUS_BUILD_FAILURE;
}

/* Upper bounds of RFC 5280 A.1, in characters. */
static const struct component {
	const char *word;
	int nid;
	size_t max;
} components[] = {
	{ "CN", NID_commonName, 64 },
	{ "O", NID_organizationName, 64 },
	{ "OU", NID_organizationalUnitName, 64 },
	{ "C", NID_countryName, 2 },
	{ "ST", NID_stateOrProvinceName, 128 },
	{ "L", NID_localityName, 128 },
	{ "serialNumber", NID_serialNumber, 64 },
	{ "emailAddress", NID_pkcs9_emailAddress, 255 },
};

static const struct component *find_component(const char *word)
{
	for (size_t i = 0; i < sizeof(components) / sizeof(*components); i++)
		if (strcmp(components[i].word, word) == 0)
			return &components[i];
	return NULL;
}

int subject_part_check(const char *component, const char *value)
{
	const struct component *c = find_component(component);
	size_t characters = 0;
	const uint8_t *p = (const uint8_t *)value;
	int left = (int)strnlen(value, 2048), used;
	unsigned long character;

	if (!c || left == 0 || left == 2048)
		return -EINVAL;
	for (; left > 0; left -= used, p += used, characters++) {
		used = UTF8_getc(p, left, &character);
		if (used <= 0 || character < ' ' || character == 0x7f)
			return -EINVAL;
	}
	if (c->nid == NID_countryName && characters != 2)
		return -EINVAL;
	return characters <= c->max ? 0 : -EINVAL;
}

static const struct {
	const char *word;
	int bit;
} key_usages[] = {
	{ "digitalSignature", 0 }, { "nonRepudiation", 1 },  { "keyEncipherment", 2 }, { "dataEncipherment", 3 },
	{ "keyAgreement", 4 },
};

bool key_usage_known(const char *word)
{
	for (size_t i = 0; i < sizeof(key_usages) / sizeof(*key_usages); i++)
		if (strcmp(key_usages[i].word, word) == 0)
			return true;
	return false;
}

static const struct {
	const char *word;
	const char *oid;
} ext_key_usages[] = {
	{ "serverAuth", "1.3.6.1.5.5.7.3.1" },      { "clientAuth", "1.3.6.1.5.5.7.3.2" },
	{ "codeSigning", "1.3.6.1.5.5.7.3.3" },     { "emailProtection", "1.3.6.1.5.5.7.3.4" },
	{ "ipsecEndSystem", "1.3.6.1.5.5.7.3.5" },  { "ipsecIKE", "1.3.6.1.5.5.7.3.17" },
	{ "timeStamping", "1.3.6.1.5.5.7.3.8" },    { "eapOverLAN", "1.3.6.1.5.5.7.3.14" },
};

/* Purposes that would make the holder an authority over others: no ordinary profile gives them. */
static const char *const forbidden_ext_key_usages[] = {
	"2.5.29.37.0",            /* anyExtendedKeyUsage */
	"1.3.6.1.4.1.311.20.2.1", /* enrolment agent */
	"1.3.6.1.5.5.7.3.28",     /* id-kp-cmcRA */
	"1.3.6.1.5.5.7.3.9",      /* OCSP signing */
};

static const char *ext_key_usage_oid(const char *word)
{
	OWNED_BUF oid = BUF_INIT(64);

	for (size_t i = 0; i < sizeof(ext_key_usages) / sizeof(*ext_key_usages); i++)
		if (strcmp(ext_key_usages[i].word, word) == 0)
			return ext_key_usages[i].oid;
	for (size_t i = 0; i < sizeof(forbidden_ext_key_usages) / sizeof(*forbidden_ext_key_usages); i++)
		if (strcmp(forbidden_ext_key_usages[i], word) == 0)
			return NULL;
	return strlen(word) < 64 && der_oid_parse(word, &oid) == 0 ? word : NULL;
}

bool ext_key_usage_known(const char *word_or_oid)
{
	return ext_key_usage_oid(word_or_oid) != NULL;
}

/* Extensions that the core writes, or that would change what the certificate may do in ways a profile must say. */
static const char *const reserved_extensions[] = {
	"2.5.29.14", "2.5.29.15", "2.5.29.17", "2.5.29.18", "2.5.29.19", "2.5.29.30", "2.5.29.31", "2.5.29.32",
	"2.5.29.33", "2.5.29.35", "2.5.29.36", "2.5.29.37", "2.5.29.46", "2.5.29.54", "1.3.6.1.5.5.7.1.1",
	"1.3.6.1.4.1.11129.2.4.3", "1.3.6.1.4.1.311.20.2", "1.3.6.1.4.1.311.21.7", "1.3.6.1.4.1.311.21.10",
	"1.3.6.1.4.1.311.25.2",
};

bool extension_is_reserved(const char *oid)
{
	for (size_t i = 0; i < sizeof(reserved_extensions) / sizeof(*reserved_extensions); i++)
		if (strcmp(reserved_extensions[i], oid) == 0)
			return true;
	return false;
}

int issue_serial(int64_t wall_ms, uint8_t serial[static SERIAL_SIZE])
{
	uint64_t clock = (uint64_t)wall_ms & ((1ull << 47) - 1);

	/* The clock keeps the index append-mostly; uniqueness rests on the 80 random bits and the database. */
	for (int i = 0; i < 6; i++)
		serial[i] = (uint8_t)(clock >> (8 * (5 - i)));
	return random_octets(serial + 6, SERIAL_SIZE - 6);
}

static int set_serial(X509 *cert, const uint8_t serial[static SERIAL_SIZE])
{
	BIGNUM *n = BN_bin2bn(serial, SERIAL_SIZE, NULL);
	bool ok = n && !BN_is_zero(n) && BN_to_ASN1_INTEGER(n, X509_get_serialNumber(cert));

	BN_free(n);
	return ok ? 0 : -ENOMEM;
}

/* Write `algorithm` where the signature will name it: TBSCertificate.signature. */
static int set_signature_algorithm(X509 *cert, int nid)
{
	X509_ALGOR *tbs = (X509_ALGOR *)X509_get0_tbs_sigalg(cert);
	bool has_null = nid == NID_sha256WithRSAEncryption;

	return X509_ALGOR_set0(tbs, OBJ_nid2obj(nid), has_null ? V_ASN1_NULL : V_ASN1_UNDEF, NULL) ? 0 : -ENOMEM;
}

static int signature_nid(EVP_PKEY *key)
{
	if (EVP_PKEY_is_a(key, "RSA"))
		return NID_sha256WithRSAEncryption;
	return EVP_PKEY_get_bits(key) > 256 ? NID_ecdsa_with_SHA384 : NID_ecdsa_with_SHA256;
}

static int set_subject(X509 *cert, const struct subject_part *parts, size_t n)
{
	X509_NAME *name = X509_get_subject_name(cert);

	for (size_t i = 0; i < n; i++) {
		const struct component *c = find_component(parts[i].component);

		/* -1, MBSTRING_UTF8: libcrypto picks PrintableString where X.520 wants it (C, serialNumber). */
		if (!c || !X509_NAME_add_entry_by_NID(name, c->nid, MBSTRING_UTF8,
						       (const unsigned char *)parts[i].value, -1, -1, 0))
			return -EINVAL;
	}
	return 0;
}

static GENERAL_NAME *general_name(const struct ca_name *n)
{
	static const int types[] = { [CA_NAME_DNS] = GEN_DNS, [CA_NAME_EMAIL] = GEN_EMAIL, [CA_NAME_URI] = GEN_URI };
	GENERAL_NAME *g = GENERAL_NAME_new();
	ASN1_STRING *value = NULL;
	uint8_t address[16];
	int size;

	if (!g)
		return NULL;
	if (n->kind == CA_NAME_IP) {
		size = inet_pton(AF_INET, n->value, address) == 1 ? 4 : 0;
		if (!size && inet_pton(AF_INET6, n->value, address) == 1)
			size = 16;
		value = size ? ASN1_OCTET_STRING_new() : NULL;
		if (value && ASN1_STRING_set(value, address, size))
			GENERAL_NAME_set0_value(g, GEN_IPADD, value);
		else
			goto failed;
		return g;
	}
	value = ASN1_IA5STRING_new();
	if (!value || !ASN1_STRING_set(value, n->value, -1))
		goto failed;
	GENERAL_NAME_set0_value(g, types[n->kind], value);
	return g;
failed:
	ASN1_STRING_free(value);
	GENERAL_NAME_free(g);
	return NULL;
}

/* RFC 5280 4.2.1.6: critical when the subject is empty. */
static int add_alt_names(X509 *cert, const struct issue_plan *plan)
{
	GENERAL_NAMES *names = GENERAL_NAMES_new();
	int ok = names != NULL;

	for (size_t i = 0; ok && i < plan->n_names; i++) {
		GENERAL_NAME *g = general_name(&plan->names[i]);

		ok = g && sk_GENERAL_NAME_push(names, g);
		if (g && !ok)
			GENERAL_NAME_free(g);
	}
	if (ok && plan->n_names)
		ok = X509_add1_ext_i2d(cert, NID_subject_alt_name, names, plan->n_subject == 0, X509V3_ADD_DEFAULT);
	GENERAL_NAMES_free(names);
	return ok ? 0 : -EINVAL;
}

/* RFC 5280 4.2.1.3, 4.2.1.12: neither extension may be empty; an EC key under a profile of keyEncipherment alone has no
 * usage left. */
static int add_key_usage(X509 *cert, const char *const *words)
{
	ASN1_BIT_STRING *bits = ASN1_BIT_STRING_new();
	int ok = bits && *words;

	for (; ok && *words; words++)
		for (size_t i = 0; ok && i < sizeof(key_usages) / sizeof(*key_usages); i++)
			if (strcmp(key_usages[i].word, *words) == 0)
				ok = ASN1_BIT_STRING_set_bit(bits, key_usages[i].bit, 1);
	if (ok)
		ok = X509_add1_ext_i2d(cert, NID_key_usage, bits, 1, X509V3_ADD_DEFAULT);
	ASN1_BIT_STRING_free(bits);
	return ok ? 0 : -EINVAL;
}

static int add_ext_key_usage(X509 *cert, const char *const *words)
{
	EXTENDED_KEY_USAGE *list = EXTENDED_KEY_USAGE_new();
	int ok = list && *words;

	for (; ok && *words; words++) {
		const char *oid = ext_key_usage_oid(*words);
		ASN1_OBJECT *object = oid ? OBJ_txt2obj(oid, 1) : NULL;

		ok = object && sk_ASN1_OBJECT_push(list, object);
	}
	if (ok)
		ok = X509_add1_ext_i2d(cert, NID_ext_key_usage, list, 0, X509V3_ADD_DEFAULT);
	EXTENDED_KEY_USAGE_free(list);
	return ok ? 0 : -EINVAL;
}

static int add_octets(X509 *cert, const char *oid, bool critical, struct bytes der)
{
	ASN1_OBJECT *object = OBJ_txt2obj(oid, 1);
	ASN1_OCTET_STRING *value = ASN1_OCTET_STRING_new();
	X509_EXTENSION *ext = NULL;
	int ok = object && value && ASN1_OCTET_STRING_set(value, der.ptr, (int)der.len);

	if (ok)
		ext = X509_EXTENSION_create_by_OBJ(NULL, object, critical, value);
	ok = ext && X509_add_ext(cert, ext, -1);
	X509_EXTENSION_free(ext);
	ASN1_OCTET_STRING_free(value);
	ASN1_OBJECT_free(object);
	return ok ? 0 : -EINVAL;
}

static int add_constraints(X509 *cert, bool ca, int path_len)
{
	BASIC_CONSTRAINTS *bc = BASIC_CONSTRAINTS_new();
	int ok = bc != NULL;

	if (ok) {
		bc->ca = ca ? 0xff : 0;
		if (ca && path_len >= 0)
			ok = (bc->pathlen = ASN1_INTEGER_new()) && ASN1_INTEGER_set(bc->pathlen, path_len);
	}
	if (ok)
		ok = X509_add1_ext_i2d(cert, NID_basic_constraints, bc, 1, X509V3_ADD_DEFAULT);
	BASIC_CONSTRAINTS_free(bc);
	return ok ? 0 : -EINVAL;
}

/* RFC 7093 2 method 1: the leftmost 160 bits of SHA-256 over the key's BIT STRING. */
static int key_identifier(X509 *cert, ASN1_OCTET_STRING **out)
{
	const ASN1_BIT_STRING *key = X509_get0_pubkey_bitstr(cert);
	uint8_t hash[SHA256_SIZE];

	if (!key || digest_sha256(bytes_of(key->data, (size_t)key->length), hash))
		return -EINVAL;
	*out = ASN1_OCTET_STRING_new();
	return *out && ASN1_OCTET_STRING_set(*out, hash, 20) ? 0 : -ENOMEM;
}

static int add_key_identifiers(X509 *cert, X509 *issuer)
{
	ASN1_OCTET_STRING *own = NULL;
	AUTHORITY_KEYID *authority = AUTHORITY_KEYID_new();
	const ASN1_OCTET_STRING *ski = issuer ? X509_get0_subject_key_id(issuer) : NULL;
	int ok = authority && key_identifier(cert, &own) == 0;

	if (ok)
		ok = X509_add1_ext_i2d(cert, NID_subject_key_identifier, own, 0, X509V3_ADD_DEFAULT);
	if (ok)
		ok = (authority->keyid = ASN1_OCTET_STRING_dup(ski ? ski : own)) != NULL;
	if (ok)
		ok = X509_add1_ext_i2d(cert, NID_authority_key_identifier, authority, 0, X509V3_ADD_DEFAULT);
	AUTHORITY_KEYID_free(authority);
	ASN1_OCTET_STRING_free(own);
	return ok ? 0 : -EINVAL;
}

static int set_common(X509 *cert, struct bytes spki, int64_t not_before_s, int64_t not_after_s,
		      const uint8_t serial[static SERIAL_SIZE])
{
	const uint8_t *p = spki.ptr;
	X509_PUBKEY *key = d2i_X509_PUBKEY(NULL, &p, (long)spki.len);
	EVP_PKEY *pkey = key ? X509_PUBKEY_get0(key) : NULL;
	int ok = pkey && X509_set_version(cert, X509_VERSION_3) && set_serial(cert, serial) == 0 &&
		 X509_set_pubkey(cert, pkey) && ASN1_TIME_set(X509_getm_notBefore(cert), not_before_s) &&
		 ASN1_TIME_set(X509_getm_notAfter(cert), not_after_s);

	X509_PUBKEY_free(key);
	return ok ? 0 : -EINVAL;
}

static int write_tbs(X509 *cert, struct buf *tbs)
{
	uint8_t *der = NULL;
	int n = i2d_re_X509_tbs(cert, &der);
	int e = n > 0 ? buf_append(tbs, bytes_of(der, (size_t)n)) : -ENOMEM;

	OPENSSL_free(der);
	return e;
}

static X509 *parse_certificate(struct bytes der)
{
	const uint8_t *p = der.ptr;
	X509 *cert = d2i_X509(NULL, &p, (long)der.len);

	if (cert && p != der.ptr + der.len)
		X509_drop(&cert);
	return cert;
}

static int add_extensions(X509 *cert, X509 *issuer, const struct issue_plan *plan, char why[static CA_REASON_SIZE])
{
	if (add_constraints(cert, false, -1) || add_key_usage(cert, plan->key_usage) ||
	    add_ext_key_usage(cert, plan->ext_key_usage) || add_key_identifiers(cert, issuer))
		return fail(why, "an extension of the profile cannot be encoded");
	if (add_alt_names(cert, plan))
		return fail(why, "a name cannot be encoded");
	for (size_t i = 0; i < plan->n_extensions; i++) {
		const struct ca_extension *ext = &plan->extensions[i];

		if (extension_is_reserved(ext->oid))
			return fail(why, "an enabled extension is one that only the CA writes");
		if (der_check(ext->value, 16) || add_octets(cert, ext->oid, ext->flags & CA_EXT_CRITICAL, ext->value))
			return fail(why, "an enabled extension cannot be encoded");
	}
	return 0;
}

int issue_build(const struct issue_plan *plan, struct buf *tbs, char why[static CA_REASON_SIZE])
{
	OWNED_X509 *cert = X509_new();
	OWNED_X509 *issuer = parse_certificate(plan->issuer_certificate);
	int e;

	if (!cert || !issuer)
		return -ENOMEM;
	if (plan->n_subject == 0 && plan->n_names == 0)
		return fail(why, "it would have neither a subject nor a name");
	if (plan->not_after_s <= plan->not_before_s)
		return fail(why, "it would end before it begins");
	if (set_signature_algorithm(cert, signature_nid(X509_get0_pubkey(issuer))) ||
	    !X509_set_issuer_name(cert, X509_get_subject_name(issuer)))
		return -ENOMEM;
	if (set_common(cert, plan->spki, plan->not_before_s, plan->not_after_s, plan->serial))
		return fail(why, "its dates or its key cannot be encoded");
	if (set_subject(cert, plan->subject, plan->n_subject))
		return fail(why, "its subject breaks the bounds of RFC 5280");
	e = add_extensions(cert, issuer, plan, why);
	return e ? e : write_tbs(cert, tbs);
}

int issue_build_root(struct bytes spki, const char *common_name, const char *organization, int64_t not_before_s,
		     int64_t not_after_s, const uint8_t serial[static SERIAL_SIZE], int path_len,
		     struct buf *tbs, char why[static CA_REASON_SIZE])
{
	struct subject_part parts[2] = { { "O", organization }, { "CN", common_name } };
	const struct subject_part *first = organization ? parts : parts + 1;
	OWNED_X509 *cert = X509_new();
	int e = 0;

	if (!cert)
		return -ENOMEM;
	for (const struct subject_part *p = first; p < parts + 2; p++)
		if (subject_part_check(p->component, p->value))
			return fail(why, "the CA's name is empty, too long or not UTF-8");
	if (set_common(cert, spki, not_before_s, not_after_s, serial) ||
	    set_subject(cert, first, (size_t)(parts + 2 - first)) ||
	    set_signature_algorithm(cert, signature_nid(X509_get0_pubkey(cert))) ||
	    !X509_set_issuer_name(cert, X509_get_subject_name(cert)))
		return fail(why, "its subject, dates or key cannot be encoded");
	if (add_constraints(cert, true, path_len) || add_key_identifiers(cert, NULL))
		e = -EINVAL;
	if (!e) {
		ASN1_BIT_STRING *bits = ASN1_BIT_STRING_new();
		bool ok = bits && ASN1_BIT_STRING_set_bit(bits, 5, 1) && ASN1_BIT_STRING_set_bit(bits, 6, 1) &&
			  X509_add1_ext_i2d(cert, NID_key_usage, bits, 1, X509V3_ADD_DEFAULT);

		ASN1_BIT_STRING_free(bits);
		e = ok ? 0 : -ENOMEM;
	}
	return e ? fail(why, "its extensions cannot be encoded") : write_tbs(cert, tbs);
}

/* The AlgorithmIdentifier inside a TBSCertificate: behind [0] version and serialNumber. */
static int tbs_algorithm(struct bytes tbs, struct bytes *whole)
{
	struct bytes inner, content;
	unsigned tag;

	if (der_expect(&tbs, DER_SEQUENCE, &inner) || der_expect(&inner, DER_CONTEXT_0, &content) ||
	    der_expect(&inner, DER_INTEGER, &content) || der_read(&inner, &tag, &content, whole))
		return -EINVAL;
	return tag == DER_SEQUENCE ? 0 : -EINVAL;
}

static int assemble(struct bytes tbs, struct bytes signature, struct buf *certificate)
{
	OWNED_BUF content = BUF_INIT(65536);
	OWNED_BUF bits = BUF_INIT(4096);
	struct bytes algorithm;

	if (tbs_algorithm(tbs, &algorithm))
		return -EINVAL;
	buf_append_char(&bits, 0);
	buf_append(&bits, signature);
	buf_append(&content, tbs);
	buf_append(&content, algorithm);
	if (der_write(&content, DER_BIT_STRING, buf_bytes(&bits)))
		return -ENOMEM;
	return der_write(certificate, DER_SEQUENCE, buf_bytes(&content));
}

static int verify(struct bytes certificate, struct bytes issuer_certificate)
{
	OWNED_X509 *issuer = parse_certificate(issuer_certificate);
	OWNED_X509 *cert = parse_certificate(certificate);
	int ok;

	if (!issuer || !cert)
		return -EINVAL;
	ok = X509_verify(cert, X509_get0_pubkey(issuer));
	ERR_clear_error();
	return ok == 1 ? 0 : 1;
}

int issue_assemble(struct bytes tbs, struct bytes signature, struct bytes issuer_certificate, struct buf *certificate)
{
	int e;

	buf_reset(certificate);
	e = assemble(tbs, signature, certificate);
	return e ? e : verify(buf_bytes(certificate), issuer_certificate);
}

int issue_assemble_root(struct bytes tbs, struct bytes signature, struct buf *certificate)
{
	int e;

	buf_reset(certificate);
	e = assemble(tbs, signature, certificate);
	return e ? e : verify(buf_bytes(certificate), buf_bytes(certificate));
}

static int asn1_seconds(const ASN1_TIME *t, int64_t *out)
{
	ASN1_TIME *epoch = ASN1_TIME_set(NULL, 0);
	int days, seconds, ok = epoch && ASN1_TIME_diff(&days, &seconds, epoch, t);

	if (ok)
		*out = (int64_t)days * 86400 + seconds;
	ASN1_TIME_free(epoch);
	return ok ? 0 : -EINVAL;
}

int certificate_dates(struct bytes certificate, int64_t *not_before_s, int64_t *not_after_s)
{
	OWNED_X509 *cert = parse_certificate(certificate);

	if (!cert || asn1_seconds(X509_get0_notBefore(cert), not_before_s))
		return -EINVAL;
	return asn1_seconds(X509_get0_notAfter(cert), not_after_s);
}

int certificate_subject(struct bytes certificate, char *out, size_t size)
{
	OWNED_X509 *cert = parse_certificate(certificate);
	BIO *text = BIO_new(BIO_s_mem());
	int n = -1;

	if (cert && text && X509_NAME_print_ex(text, X509_get_subject_name(cert), 0, XN_FLAG_RFC2253) >= 0)
		n = BIO_read(text, out, (int)size - 1);
	out[n > 0 ? n : 0] = '\0';
	BIO_free(text);
	return cert ? 0 : -EINVAL;
}

int certificate_spki(struct bytes certificate, struct buf *out)
{
	OWNED_X509 *cert = parse_certificate(certificate);
	uint8_t *der = NULL;
	int n = cert ? i2d_X509_PUBKEY(X509_get_X509_PUBKEY(cert), &der) : -1;
	int e = n > 0 ? buf_append(out, bytes_of(der, (size_t)n)) : -EINVAL;

	OPENSSL_free(der);
	return e;
}
