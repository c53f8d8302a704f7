/* The TBSCertificate as libcrypto's X509 API builds it: what core/issue.c is compared with.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tests/unit/core/x509_reference.h"

#include <arpa/inet.h>
#include <errno.h>

#include <openssl/err.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include "core/base/digest.h"

static void X509_drop(X509 **c)
{
	X509_free(*c);
	*c = NULL;
}
#define OWNED_X509 __attribute__((cleanup(X509_drop))) X509

static const struct {
	const char *word;
	int nid;
	int type; /* MBSTRING_UTF8: libcrypto picks PrintableString or IA5String where X.520 wants it */
} components[] = {
	{ "CN", NID_commonName, MBSTRING_UTF8 },
	{ "O", NID_organizationName, MBSTRING_UTF8 },
	{ "OU", NID_organizationalUnitName, MBSTRING_UTF8 },
	{ "C", NID_countryName, MBSTRING_UTF8 },
	{ "ST", NID_stateOrProvinceName, MBSTRING_UTF8 },
	{ "L", NID_localityName, MBSTRING_UTF8 },
	{ "serialNumber", NID_serialNumber, MBSTRING_UTF8 },
	{ "emailAddress", NID_pkcs9_emailAddress, MBSTRING_UTF8 },
	{ "DC", NID_domainComponent, MBSTRING_UTF8 },
	{ "UID", NID_userId, MBSTRING_UTF8 },
	{ "unstructuredName", NID_pkcs9_unstructuredName, V_ASN1_IA5STRING }, /* RFC 2985: two are allowed */
	{ "unstructuredAddress", NID_pkcs9_unstructuredAddress, MBSTRING_UTF8 },
};

#define N_COMPONENTS (sizeof(components) / sizeof(*components))

static const struct {
	const char *word;
	int bit;
} key_usages[] = {
	{ "digitalSignature", 0 }, { "nonRepudiation", 1 }, { "keyEncipherment", 2 }, { "dataEncipherment", 3 },
	{ "keyAgreement", 4 },
};

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
		size_t at = 0;

		while (at < N_COMPONENTS && strcmp(components[at].word, parts[i].component) != 0)
			at++;
		if (at == N_COMPONENTS ||
		    !X509_NAME_add_entry_by_NID(name, components[at].nid, components[at].type,
						(const unsigned char *)parts[i].value, -1, -1, 0))
			return -EINVAL;
	}
	return 0;
}

static GENERAL_NAME *principal_name(const char *value)
{
	GENERAL_NAME *g = GENERAL_NAME_new();
	ASN1_TYPE *any = ASN1_TYPE_new();
	ASN1_UTF8STRING *text = ASN1_UTF8STRING_new();
	ASN1_OBJECT *type = OBJ_txt2obj("1.3.6.1.4.1.311.20.2.3", 1);

	if (!g || !any || !text || !type || !ASN1_STRING_set(text, value, -1)) {
		GENERAL_NAME_free(g);
		ASN1_TYPE_free(any);
		ASN1_UTF8STRING_free(text);
		ASN1_OBJECT_free(type);
		return NULL;
	}
	ASN1_TYPE_set(any, V_ASN1_UTF8STRING, text);
	GENERAL_NAME_set0_othername(g, type, any);
	return g;
}

static GENERAL_NAME *general_name(const struct ca_name *n)
{
	static const int types[] = { [CA_NAME_DNS] = GEN_DNS, [CA_NAME_EMAIL] = GEN_EMAIL, [CA_NAME_URI] = GEN_URI };
	GENERAL_NAME *g = n->kind == CA_NAME_UPN ? principal_name(n->value) : GENERAL_NAME_new();
	ASN1_STRING *value = NULL;
	uint8_t address[16];
	int size;

	if (!g || n->kind == CA_NAME_UPN)
		return g;
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
		ASN1_OBJECT *object = OBJ_txt2obj(*words, 0);

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
static int reference_key_identifier(X509 *cert, ASN1_OCTET_STRING **out)
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
	int ok = authority && reference_key_identifier(cert, &own) == 0;

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

static bool add_access(AUTHORITY_INFO_ACCESS *list, int method, const char *url)
{
	ACCESS_DESCRIPTION *d = ACCESS_DESCRIPTION_new();
	ASN1_IA5STRING *text = ASN1_IA5STRING_new();
	bool ok = d && text && ASN1_STRING_set(text, url, -1);

	if (!ok) {
		ASN1_IA5STRING_free(text);
		ACCESS_DESCRIPTION_free(d);
		return false;
	}
	ASN1_OBJECT_free(d->method);
	d->method = OBJ_nid2obj(method);
	GENERAL_NAME_set0_value(d->location, GEN_URI, text);
	return sk_ACCESS_DESCRIPTION_push(list, d) > 0;
}

static int add_authority_access(X509 *cert, const struct issue_plan *plan)
{
	AUTHORITY_INFO_ACCESS *list = AUTHORITY_INFO_ACCESS_new();
	char ocsp[512], issuer[512];
	bool ok = list != NULL;

	snprintf(ocsp, sizeof(ocsp), "%s/ocsp", plan->public_url);
	snprintf(issuer, sizeof(issuer), "%s/ca/%u.cer", plan->public_url, plan->key_index);
	ok = ok && add_access(list, NID_ad_OCSP, ocsp) && add_access(list, NID_ad_ca_issuers, issuer) &&
	     X509_add1_ext_i2d(cert, NID_info_access, list, 0, X509V3_ADD_DEFAULT);
	AUTHORITY_INFO_ACCESS_free(list);
	return ok ? 0 : -EINVAL;
}

static int add_distribution_point(X509 *cert, const struct issue_plan *plan)
{
	char value[512];
	X509_EXTENSION *ext;
	int ok;

	if (plan->crl_partition)
		snprintf(value, sizeof(value), "URI:%s/crl/%u-%u.crl", plan->public_url, plan->key_index,
			 plan->crl_partition);
	else
		snprintf(value, sizeof(value), "URI:%s/crl/%u.crl", plan->public_url, plan->key_index);
	ext = X509V3_EXT_conf_nid(NULL, NULL, NID_crl_distribution_points, value);
	ok = ext && X509_add_ext(cert, ext, -1);
	X509_EXTENSION_free(ext);
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

static int add_extensions(X509 *cert, X509 *issuer, const struct issue_plan *plan)
{
	if (add_constraints(cert, false, -1) || add_key_usage(cert, plan->key_usage) ||
	    add_ext_key_usage(cert, plan->ext_key_usage) || add_key_identifiers(cert, issuer))
		return -EINVAL;
	if (add_alt_names(cert, plan) || (plan->public_url && add_distribution_point(cert, plan)) ||
	    (plan->public_url && add_authority_access(cert, plan)))
		return -EINVAL;
	for (size_t i = 0; i < plan->n_extensions; i++) {
		const struct ca_extension *ext = &plan->extensions[i];

		if (add_octets(cert, ext->oid, ext->flags & CA_EXT_CRITICAL, ext->value))
			return -EINVAL;
	}
	return 0;
}

int reference_build(const struct issue_plan *plan, struct bytes issuer_certificate, struct buf *tbs)
{
	OWNED_X509 *cert = X509_new();
	OWNED_X509 *issuer = parse_certificate(issuer_certificate);
	int e;

	if (!cert || !issuer)
		return -ENOMEM;
	if (plan->n_subject == 0 && plan->n_names == 0)
		return -EINVAL;
	if (plan->not_after_s <= plan->not_before_s)
		return -EINVAL;
	if (set_signature_algorithm(cert, signature_nid(X509_get0_pubkey(issuer))) ||
	    !X509_set_issuer_name(cert, X509_get_subject_name(issuer)))
		return -ENOMEM;
	if (set_common(cert, plan->spki, plan->not_before_s, plan->not_after_s, plan->serial))
		return -EINVAL;
	if (set_subject(cert, plan->subject, plan->n_subject))
		return -EINVAL;
	e = add_extensions(cert, issuer, plan);
	return e ? e : write_tbs(cert, tbs);
}
