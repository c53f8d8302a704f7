/* TBSCertificate and certificate, written octet by octet (RFC 5280 4.1).
 *
 * Each element is written into a buffer of its own and then framed: DER needs the length first. What the issuer
 * repeats in every certificate was read once (core/x509/issuer.h).
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "core/issue_int.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>

#include "core/base/own.h"
#include "core/base/der.h"
#include "core/x509/csr.h"
#include "core/x509/extension.h"

#define ELEMENT_MAX 65536

static int fail(char why[static CA_REASON_SIZE], const char *text)
{
	snprintf(why, CA_REASON_SIZE, "the certificate cannot be built: %s", text);
	return CA_STATUS_BUILD_FAILURE;
}

/* ---- elements ---- */

static int write_serial(struct buf *out, const uint8_t serial[static SERIAL_SIZE])
{
	uint8_t octets[SERIAL_SIZE + 1] = { 0 };
	size_t first = 1;

	memcpy(octets + 1, serial, SERIAL_SIZE);
	while (first < SERIAL_SIZE && octets[first] == 0)
		first++;
	if (octets[first] == 0)
		return -EINVAL;
	first -= octets[first] >> 7;
	return der_write(out, DER_INTEGER, bytes_of(octets + first, sizeof(octets) - first));
}

static int write_validity(struct buf *out, int64_t not_before_s, int64_t not_after_s)
{
	OWNED_BUF dates = BUF_INIT(64);

	if (der_write_time(&dates, not_before_s) || der_write_time(&dates, not_after_s))
		return -EINVAL;
	return der_write(out, DER_SEQUENCE, buf_bytes(&dates));
}

static int write_subject(struct buf *out, const struct subject_part *parts, size_t n)
{
	OWNED_BUF rdns = BUF_INIT(ELEMENT_MAX);

	for (size_t i = 0; i < n; i++) {
		const struct subject_component *c = issue_subject_component(parts[i].component);
		OWNED_BUF pair = BUF_INIT(4096);
		OWNED_BUF sequence = BUF_INIT(4096);

		if (!c)
			return -EINVAL;
		der_write(&pair, DER_OID, c->oid);
		der_write(&pair, c->tag, bytes_of_str(parts[i].value));
		der_write(&sequence, DER_SEQUENCE, buf_bytes(&pair));
		if (buf_status(&pair) || buf_status(&sequence) || der_write(&rdns, DER_SET, buf_bytes(&sequence)))
			return -EMSGSIZE;
	}
	return der_write(out, DER_SEQUENCE, buf_bytes(&rdns));
}

/* ---- extensions ---- */

/* X.690 11.2.2: a named bit list has no zero bits at its end. */
static int write_bits(struct buf *out, unsigned bits)
{
	OWNED_BUF value = BUF_INIT(16);
	uint8_t content[2] = { 0, (uint8_t)bits };

	if (!bits)
		return -EINVAL;
	while (!(bits & 1u)) {
		content[0]++;
		bits >>= 1;
	}
	if (der_write(&value, DER_BIT_STRING, bytes_of(content, 2)))
		return -ENOMEM;
	return extension_write(out, "2.5.29.15", true, buf_bytes(&value));
}

#define BIT(n) (0x80u >> (n))
#define KEY_CERT_SIGN 5
#define CRL_SIGN 6

/* RFC 5280 4.2.1.3, 4.2.1.12: neither extension may be empty; an EC key under a profile of keyEncipherment alone has
 * no usage left. */
static int write_key_usage(struct buf *out, const char *const *words)
{
	unsigned bits = 0;

	for (; *words; words++) {
		int bit = issue_key_usage_bit(*words);

		if (bit < 0)
			return -EINVAL;
		bits |= BIT(bit);
	}
	return write_bits(out, bits);
}

static int write_ext_key_usage(struct buf *out, const char *const *words)
{
	OWNED_BUF list = BUF_INIT(4096);
	OWNED_BUF value = BUF_INIT(4096);

	if (!*words)
		return -EINVAL;
	for (; *words; words++) {
		const char *dotted = issue_ext_key_usage_oid(*words);
		OWNED_BUF oid = BUF_INIT(64);

		if (!dotted || der_oid_parse(dotted, &oid) || der_write(&list, DER_OID, buf_bytes(&oid)))
			return -EINVAL;
	}
	if (der_write(&value, DER_SEQUENCE, buf_bytes(&list)))
		return -EMSGSIZE;
	return extension_write(out, "2.5.29.37", false, buf_bytes(&value));
}

static int write_key_identifiers(struct buf *out, struct bytes spki, struct bytes authority)
{
	uint8_t own[KEY_IDENTIFIER_SIZE];
	OWNED_BUF value = BUF_INIT(512);
	OWNED_BUF keyid = BUF_INIT(512);
	int e = key_identifier(spki, own);

	if (!e)
		e = der_write(&value, DER_OCTET_STRING, bytes_of(own, sizeof(own)));
	if (!e)
		e = extension_write(out, "2.5.29.14", false, buf_bytes(&value));
	buf_reset(&value);
	if (!e)
		e = der_write(&keyid, 0x80, authority.len ? authority : bytes_of(own, sizeof(own)));
	if (!e)
		e = der_write(&value, DER_SEQUENCE, buf_bytes(&keyid));
	return e ? e : extension_write(out, "2.5.29.35", false, buf_bytes(&value));
}

static int write_upn(struct buf *out, const char *value)
{
	OWNED_BUF text = BUF_INIT(ELEMENT_MAX), other = BUF_INIT(ELEMENT_MAX);

	if (der_write(&text, 0x0c, bytes_of_str(value)) || der_write(&other, DER_OID, UPN_TYPE_ID) ||
	    der_write(&other, DER_CONTEXT_0, buf_bytes(&text)))
		return -EMSGSIZE;
	return der_write(out, DER_CONTEXT_0, buf_bytes(&other));
}

static int write_general_name(struct buf *out, const struct ca_name *name)
{
	static const unsigned tags[] = { [CA_NAME_DNS] = 0x82, [CA_NAME_EMAIL] = 0x81, [CA_NAME_URI] = 0x86 };
	uint8_t address[16];

	if (name->kind == CA_NAME_UPN)
		return write_upn(out, name->value);
	if (name->kind != CA_NAME_IP)
		return der_write(out, tags[name->kind], bytes_of_str(name->value));
	if (inet_pton(AF_INET, name->value, address) == 1)
		return der_write(out, 0x87, bytes_of(address, 4));
	if (inet_pton(AF_INET6, name->value, address) == 1)
		return der_write(out, 0x87, bytes_of(address, 16));
	return -EINVAL;
}

/* RFC 5280 4.2.1.6: critical when the subject is empty. */
static int write_alt_names(struct buf *out, const struct issue_plan *plan)
{
	OWNED_BUF list = BUF_INIT(ELEMENT_MAX);
	OWNED_BUF value = BUF_INIT(ELEMENT_MAX);

	if (plan->n_names == 0)
		return 0;
	for (size_t i = 0; i < plan->n_names; i++)
		if (write_general_name(&list, &plan->names[i]))
			return -EINVAL;
	if (der_write(&value, DER_SEQUENCE, buf_bytes(&list)))
		return -EMSGSIZE;
	return extension_write(out, "2.5.29.17", plan->n_subject == 0, buf_bytes(&value));
}

int issue_crl_url(const char *public_url, unsigned key_index, unsigned partition, struct buf *out)
{
	if (partition)
		return buf_printf(out, "%s/crl/%u-%u.crl", public_url, key_index, partition);
	return buf_printf(out, "%s/crl/%u.crl", public_url, key_index);
}

/* RFC 5280 4.2.1.13: the CRL that would have it. */
static int write_distribution_point(struct buf *out, const struct issue_plan *plan)
{
	OWNED_BUF url = BUF_INIT(1024), names = BUF_INIT(1024), full = BUF_INIT(1024), point = BUF_INIT(1024);
	OWNED_BUF sequence = BUF_INIT(1024), value = BUF_INIT(1024);

	if (!plan->public_url)
		return 0;
	if (issue_crl_url(plan->public_url, plan->key_index, plan->crl_partition, &url) ||
	    der_write(&names, 0x86, buf_bytes(&url)) || der_write(&full, DER_CONTEXT_0, buf_bytes(&names)) ||
	    der_write(&point, DER_CONTEXT_0, buf_bytes(&full)) ||
	    der_write(&sequence, DER_SEQUENCE, buf_bytes(&point)) ||
	    der_write(&value, DER_SEQUENCE, buf_bytes(&sequence)))
		return -EMSGSIZE;
	return extension_write(out, "2.5.29.31", false, buf_bytes(&value));
}

static int write_access_description(struct buf *out, const char *method, const char *url)
{
	OWNED_BUF description = BUF_INIT(2048);
	OWNED_BUF oid = BUF_INIT(64);

	if (der_oid_parse(method, &oid))
		return -EINVAL;
	der_write(&description, DER_OID, buf_bytes(&oid));
	if (der_write(&description, 0x86, bytes_of_str(url)))
		return -EMSGSIZE;
	return der_write(out, DER_SEQUENCE, buf_bytes(&description));
}

/* RFC 5280 4.2.2.1: who says whether it is revoked, and where its issuer's certificate is. */
static int write_authority_access(struct buf *out, const struct issue_plan *plan)
{
	OWNED_BUF ocsp = BUF_INIT(1024);
	OWNED_BUF issuer = BUF_INIT(1024);
	OWNED_BUF list = BUF_INIT(4096);
	OWNED_BUF value = BUF_INIT(4096);

	if (!plan->public_url)
		return 0;
	if (buf_printf(&ocsp, "%s/ocsp", plan->public_url) ||
	    buf_printf(&issuer, "%s/ca/%u.cer", plan->public_url, plan->key_index) ||
	    write_access_description(&list, "1.3.6.1.5.5.7.48.1", buf_str(&ocsp)) ||
	    write_access_description(&list, "1.3.6.1.5.5.7.48.2", buf_str(&issuer)) ||
	    der_write(&value, DER_SEQUENCE, buf_bytes(&list)))
		return -EMSGSIZE;
	return extension_write(out, "1.3.6.1.5.5.7.1.1", false, buf_bytes(&value));
}

static int write_extensions(struct buf *out, const struct issue_plan *plan, char why[static CA_REASON_SIZE])
{
	static const uint8_t not_ca[] = { DER_SEQUENCE, 0 };

	if (extension_write(out, "2.5.29.19", true, bytes_of(not_ca, sizeof(not_ca))) ||
	    write_key_usage(out, plan->key_usage) || write_ext_key_usage(out, plan->ext_key_usage) ||
	    write_key_identifiers(out, plan->spki, issuer_get_key_identifier(plan->issuer)))
		return fail(why, "an extension of the profile cannot be encoded, or would be empty");
	if (write_alt_names(out, plan))
		return fail(why, "a name cannot be encoded");
	if (write_distribution_point(out, plan) || write_authority_access(out, plan))
		return fail(why, "the URLs of its status cannot be encoded");
	for (size_t i = 0; i < plan->n_extensions; i++) {
		const struct ca_extension *ext = &plan->extensions[i];

		if (extension_is_reserved(ext->oid))
			return fail(why, "an enabled extension is one that only the CA writes");
		if (der_check(ext->value, 16) ||
		    extension_write(out, ext->oid, ext->flags & CA_EXT_CRITICAL, ext->value))
			return fail(why, "an enabled extension cannot be encoded");
	}
	return 0;
}

/* ---- the whole ---- */

struct tbs {
	const uint8_t *serial;
	struct bytes algorithm, issuer, subject, spki, extensions; /* elements; extensions: their content */
	int64_t not_before_s, not_after_s;
};

static int write_tbs(struct buf *out, const struct tbs *t)
{
	static const uint8_t version_3[] = { DER_CONTEXT_0, 3, DER_INTEGER, 1, 2 };
	OWNED_BUF content = BUF_INIT(ELEMENT_MAX);
	OWNED_BUF list = BUF_INIT(ELEMENT_MAX);
	int e;

	buf_append(&content, bytes_of(version_3, sizeof(version_3)));
	e = write_serial(&content, t->serial);
	buf_append(&content, t->algorithm);
	buf_append(&content, t->issuer);
	if (!e)
		e = write_validity(&content, t->not_before_s, t->not_after_s);
	buf_append(&content, t->subject);
	buf_append(&content, t->spki);
	der_write(&list, DER_SEQUENCE, t->extensions);
	der_write(&content, 0xa3, buf_bytes(&list));
	if (!e)
		e = buf_status(&list) ? buf_status(&list) : buf_status(&content);
	return e ? e : der_write(out, DER_SEQUENCE, buf_bytes(&content));
}

/* Too large is final: the same plan would be as large again. */
static int finish(struct buf *out, const struct tbs *t, char why[static CA_REASON_SIZE])
{
	int e = write_tbs(out, t);

	if (e == -EMSGSIZE)
		return fail(why, "it would be too large");
	return e == -EINVAL ? fail(why, "its dates or its serial cannot be encoded") : e;
}

int issue_build(const struct issue_plan *plan, struct buf *tbs, char why[static CA_REASON_SIZE])
{
	OWNED_BUF extensions = BUF_INIT(ELEMENT_MAX);
	OWNED_BUF subject = BUF_INIT(ELEMENT_MAX);
	int e;

	if (plan->n_subject == 0 && plan->n_names == 0)
		return fail(why, "it would have neither a subject nor a name");
	if (plan->not_after_s <= plan->not_before_s)
		return fail(why, "it would end before it begins");
	for (size_t i = 0; i < plan->n_subject; i++)
		if (subject_part_check(plan->subject[i].component, plan->subject[i].value))
			return fail(why, "its subject breaks the bounds of RFC 5280");
	if (write_subject(&subject, plan->subject, plan->n_subject))
		return fail(why, "its subject cannot be encoded");
	e = write_extensions(&extensions, plan, why);
	return e ? e : finish(tbs, &(struct tbs){
		.serial = plan->serial,
		.algorithm = issuer_get_algorithm(plan->issuer),
		.issuer = issuer_get_name(plan->issuer),
		.subject = buf_bytes(&subject),
		.spki = plan->spki,
		.extensions = buf_bytes(&extensions),
		.not_before_s = plan->not_before_s,
		.not_after_s = plan->not_after_s,
	}, why);
}

static int write_responder_extensions(struct buf *out, const struct responder_plan *plan)
{
	static const uint8_t not_ca[] = { DER_SEQUENCE, 0 }, null[] = { 0x05, 0 };
	static const uint8_t ocsp_signing[] = { 0x30, 0x0a, 0x06, 0x08, 0x2b, 0x06, 0x01,
						0x05, 0x05, 0x07, 0x03, 0x09 };
	static const char *const usage[] = { "digitalSignature", NULL };

	if (extension_write(out, "2.5.29.19", true, bytes_of(not_ca, sizeof(not_ca))) ||
	    write_key_usage(out, usage) ||
	    extension_write(out, "2.5.29.37", false, bytes_of(ocsp_signing, sizeof(ocsp_signing))) ||
	    write_key_identifiers(out, plan->spki, issuer_get_key_identifier(plan->issuer)))
		return -EINVAL;
	return extension_write(out, "1.3.6.1.5.5.7.48.1.5", false, bytes_of(null, sizeof(null)));
}

int issue_build_responder(const struct responder_plan *plan, struct buf *tbs, char why[static CA_REASON_SIZE])
{
	const struct subject_part subject = { "CN", plan->common_name };
	OWNED_BUF extensions = BUF_INIT(4096);
	OWNED_BUF name = BUF_INIT(4096);

	if (plan->not_after_s <= plan->not_before_s)
		return fail(why, "it would end before it begins");
	if (subject_part_check(subject.component, subject.value) || write_subject(&name, &subject, 1) ||
	    write_responder_extensions(&extensions, plan))
		return fail(why, "its subject, its key or its extensions cannot be encoded");
	return finish(tbs, &(struct tbs){
		.serial = plan->serial,
		.algorithm = issuer_get_algorithm(plan->issuer),
		.issuer = issuer_get_name(plan->issuer),
		.subject = buf_bytes(&name),
		.spki = plan->spki,
		.extensions = buf_bytes(&extensions),
		.not_before_s = plan->not_before_s,
		.not_after_s = plan->not_after_s,
	}, why);
}

/* `authority`: the key identifier of whoever signs; empty: its own key. */
static int write_ca_extensions(struct buf *out, struct bytes spki, struct bytes authority, int path_len)
{
	static const uint8_t yes[] = { 0xff };
	uint8_t length = (uint8_t)path_len;
	OWNED_BUF content = BUF_INIT(64);
	OWNED_BUF value = BUF_INIT(64);

	der_write(&content, DER_BOOLEAN, bytes_of(yes, 1));
	if (path_len >= 0)
		der_write(&content, DER_INTEGER, bytes_of(&length, 1));
	der_write(&value, DER_SEQUENCE, buf_bytes(&content));
	if (path_len > 127 || buf_status(&content) || buf_status(&value) ||
	    extension_write(out, "2.5.29.19", true, buf_bytes(&value)))
		return -EINVAL;
	if (write_key_identifiers(out, spki, authority))
		return -EINVAL;
	return write_bits(out, BIT(KEY_CERT_SIGN) | BIT(CRL_SIGN));
}

int issue_write_ca_name(struct buf *out, const char *common_name, const char *organization,
			char why[static CA_REASON_SIZE])
{
	struct subject_part parts[2] = { { "O", organization }, { "CN", common_name } };
	const struct subject_part *first = organization ? parts : parts + 1;

	for (const struct subject_part *p = first; p < parts + 2; p++)
		if (subject_part_check(p->component, p->value))
			return fail(why, "the CA's name is empty, too long or not UTF-8");
	if (write_subject(out, first, (size_t)(parts + 2 - first)))
		return fail(why, "the CA's name cannot be encoded");
	return 0;
}

int issue_build_root(struct bytes spki, const char *common_name, const char *organization, int64_t not_before_s,
		     int64_t not_after_s, const uint8_t serial[static SERIAL_SIZE], int path_len, struct buf *tbs,
		     char why[static CA_REASON_SIZE])
{
	OWNED_BUF name = BUF_INIT(4096);
	int e = issue_write_ca_name(&name, common_name, organization, why);

	return e ? e : issue_build_ca(&(struct issue_ca){ .name = buf_bytes(&name), .spki = spki,
							  .not_before_s = not_before_s, .not_after_s = not_after_s,
							  .path_len = path_len }, serial, tbs, why);
}

int issue_build_ca(const struct issue_ca *plan, const uint8_t serial[static SERIAL_SIZE], struct buf *tbs,
		   char why[static CA_REASON_SIZE])
{
	struct bytes algorithm = plan->by ? issuer_get_algorithm(plan->by) : signature_algorithm_of(plan->spki);
	struct bytes authority = plan->by ? issuer_get_key_identifier(plan->by) : bytes_of(NULL, 0);
	OWNED_BUF extensions = BUF_INIT(4096);

	if (plan->not_after_s <= plan->not_before_s)
		return fail(why, "it would end before it begins");
	if (!algorithm.ptr || write_ca_extensions(&extensions, plan->spki, authority, plan->path_len))
		return fail(why, "its key or its extensions cannot be encoded");
	return finish(tbs, &(struct tbs){
		.serial = serial,
		.algorithm = algorithm,
		.issuer = plan->name,
		.subject = plan->name,
		.spki = plan->spki,
		.extensions = buf_bytes(&extensions),
		.not_before_s = plan->not_before_s,
		.not_after_s = plan->not_after_s,
	}, why);
}

/* RFC 2986 4.1: version 0, subject, key, and no attributes. What an authority needs is its issuer's to decide. */
static int write_request(struct buf *out, struct bytes name, struct bytes spki)
{
	static const uint8_t version[] = { DER_INTEGER, 1, 0 }, no_attributes[] = { DER_CONTEXT_0, 0 };
	OWNED_BUF content = BUF_INIT(ELEMENT_MAX);

	buf_append(&content, bytes_of(version, sizeof(version)));
	buf_append(&content, name);
	buf_append(&content, spki);
	if (buf_append(&content, bytes_of(no_attributes, sizeof(no_attributes))))
		return -EMSGSIZE;
	return der_write(out, DER_SEQUENCE, buf_bytes(&content));
}

int issue_build_request(struct bytes spki, const char *common_name, const char *organization, struct buf *info,
			char why[static CA_REASON_SIZE])
{
	OWNED_BUF name = BUF_INIT(4096);
	int e = issue_write_ca_name(&name, common_name, organization, why);

	return e ? e : write_request(info, buf_bytes(&name), spki);
}

int issue_build_request_of(const struct issuer *subject, struct bytes spki, struct buf *info)
{
	return write_request(info, issuer_get_name(subject), spki);
}

int issue_assemble_request(struct bytes info, struct bytes spki, struct bytes signature, struct buf *request)
{
	struct bytes algorithm = signature_algorithm_of(spki);
	OWNED_BUF content = BUF_INIT(ELEMENT_MAX);
	OWNED_BUF bits = BUF_INIT(4096);

	if (!algorithm.ptr)
		return -EINVAL;
	buf_append_char(&bits, 0);
	buf_append(&bits, signature);
	buf_append(&content, info);
	buf_append(&content, algorithm);
	if (der_write(&content, DER_BIT_STRING, buf_bytes(&bits)))
		return -ENOMEM;
	return der_write(request, DER_SEQUENCE, buf_bytes(&content));
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
	OWNED_BUF content = BUF_INIT(2 * ELEMENT_MAX);
	OWNED_BUF bits = BUF_INIT(4096);
	struct bytes algorithm;

	if (tbs_algorithm(tbs, &algorithm))
		return -EINVAL;
	buf_reset(certificate);
	buf_append_char(&bits, 0);
	buf_append(&bits, signature);
	buf_append(&content, tbs);
	buf_append(&content, algorithm);
	if (der_write(&content, DER_BIT_STRING, buf_bytes(&bits)))
		return -ENOMEM;
	return der_write(certificate, DER_SEQUENCE, buf_bytes(&content));
}

int issue_assemble(struct bytes tbs, struct bytes signature, const struct issuer *issuer, struct buf *certificate)
{
	if (!issuer_verifies(issuer, tbs, signature))
		return 1;
	return assemble(tbs, signature, certificate);
}

int issue_assemble_root(struct bytes tbs, struct bytes signature, struct buf *certificate)
{
	OWNED(issuer) itself = NULL;
	int e = assemble(tbs, signature, certificate);

	if (!e)
		e = issuer_new(&itself, buf_bytes(certificate));
	if (e)
		return e;
	return issuer_verifies(itself, tbs, signature) ? 0 : 1;
}
