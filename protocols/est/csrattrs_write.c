/* CsrAttrs, written. Two forms: a list of attributes, which every client has known, and a partly filled request (a
 * template), which says more; who knows both uses the template alone (RFC 9908 4).
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "protocols/est/csrattrs_write.h"

#include <errno.h>

#include "core/base/der.h"

#define OID_CHALLENGE_PASSWORD "1.2.840.113549.1.9.7"
#define OID_TEMPLATE "1.2.840.113549.1.9.16.2.61" /* id-aa-certificationRequestInfoTemplate */
#define DER_CONTEXT_1 0xa1
#define MAX ((size_t)16 << 10)
#define RSA_BITS_MAX 16384
#define PART(name) OWNED_BUF name = BUF_INIT(MAX)

static const struct key_kind {
	const char *word, *oid;
	const char *curve; /* NULL: the algorithm has none */
	bool is_rsa;
	const char *signatures[3]; /* by SHA-256, SHA-384, SHA-512; NULL: hashes by itself */
} kinds[] = {
	{ "rsa", "1.2.840.113549.1.1.1", NULL, true,
	  { "1.2.840.113549.1.1.11", "1.2.840.113549.1.1.12", "1.2.840.113549.1.1.13" } },
	{ "ec-p256", "1.2.840.10045.2.1", "1.2.840.10045.3.1.7", false,
	  { "1.2.840.10045.4.3.2", "1.2.840.10045.4.3.3", "1.2.840.10045.4.3.4" } },
	{ "ec-p384", "1.2.840.10045.2.1", "1.3.132.0.34", false,
	  { "1.2.840.10045.4.3.2", "1.2.840.10045.4.3.3", "1.2.840.10045.4.3.4" } },
	{ "ed25519", "1.3.101.112", NULL, false, { NULL } },
};

/* The only kind of key that is taken. Of several none is demanded: NULL. */
static const struct key_kind *find_kind(const struct ca_request_form *form)
{
	if (!form->key_types[0] || form->key_types[1])
		return NULL;
	for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++)
		if (strcmp(kinds[i].word, form->key_types[0]) == 0)
			return &kinds[i];
	return NULL;
}

static const char *find_signature(const struct key_kind *kind, const char *digest)
{
	static const char *const digests[] = { "sha256", "sha384", "sha512" };

	for (size_t i = 0; kind && digest && i < sizeof(digests) / sizeof(*digests); i++)
		if (strcmp(digests[i], digest) == 0)
			return kind->signatures[i];
	return NULL;
}

static int write_oid(struct buf *out, const char *dotted)
{
	OWNED_BUF oid = BUF_INIT(64);
	int e = der_oid_parse(dotted, &oid);

	return e ? e : der_write(out, DER_OID, buf_bytes(&oid));
}

/* Attribute (RFC 5652 5.3): a type and a set of values, which stand one after the other. */
static int write_attribute(struct buf *out, const char *type, struct bytes values)
{
	PART(content);
	int e = write_oid(&content, type);

	if (!e)
		e = der_write(&content, DER_SET, values);
	return e ? e : der_write(out, DER_SEQUENCE, buf_bytes(&content));
}

/* ---- the list ---- */

static int write_number(struct buf *out, unsigned n)
{
	uint8_t octets[5] = { 0, (uint8_t)(n >> 24), (uint8_t)(n >> 16), (uint8_t)(n >> 8), (uint8_t)n };
	size_t from = 0;

	while (from < 4 && octets[from] == 0 && !(octets[from + 1] & 0x80))
		from++;
	return der_write(out, DER_INTEGER, bytes_of(octets + from, sizeof(octets) - from));
}

/* RFC 9908 3.2: one attribute, whose values are what its algorithm needs: a size in bits, or a curve. */
static int write_key(struct buf *out, const struct key_kind *kind, unsigned rsa_bits)
{
	PART(values);
	int e = 0;

	if (kind->is_rsa)
		e = write_number(&values, rsa_bits);
	else if (kind->curve)
		e = write_oid(&values, kind->curve);
	return e ? e : write_attribute(out, kind->oid, buf_bytes(&values));
}

static int write_list(struct buf *out, const struct ca_request_form *form, bool wants_password)
{
	const struct key_kind *kind = find_kind(form);
	const char *signature = find_signature(kind, form->digest);
	int e = wants_password ? write_oid(out, OID_CHALLENGE_PASSWORD) : 0;

	if (!e && kind)
		e = write_key(out, kind, form->rsa_bits);
	for (size_t i = 0; !e && form->attributes[i]; i++)
		e = write_oid(out, form->attributes[i]);
	for (size_t i = 0; !e && i < form->n_subject; i++)
		e = write_oid(out, form->subject[i].oid);
	return !e && signature ? write_oid(out, signature) : e;
}

/* ---- the template ---- */

/* String types that nothing else is allowed for (RFC 5280 A.1). */
static unsigned string_type(const char *oid)
{
	static const struct {
		const char *oid;
		unsigned tag;
	} types[] = { { "2.5.4.6", 0x13 }, { "2.5.4.5", 0x13 }, { "1.2.840.113549.1.9.1", 0x16 },
		    { "1.2.840.113549.1.9.2", 0x16 }, { "0.9.2342.19200300.100.1.25", 0x16 } };

	for (size_t i = 0; i < sizeof(types) / sizeof(*types); i++)
		if (strcmp(types[i].oid, oid) == 0)
			return types[i].tag;
	return 0x0c;
}

/* NameTemplate: like a Name, whose values may be left to the client. */
static int write_subject(struct buf *out, const struct ca_request_form *form)
{
	PART(rdns);
	int e = 0;

	for (size_t i = 0; !e && i < form->n_subject; i++) {
		PART(pair);
		PART(set);

		e = write_oid(&pair, form->subject[i].oid);
		if (!e && form->subject[i].value)
			e = der_write(&pair, string_type(form->subject[i].oid), bytes_of_str(form->subject[i].value));
		if (!e)
			e = der_write(&set, DER_SEQUENCE, buf_bytes(&pair));
		if (!e)
			e = der_write(&rdns, DER_SET, buf_bytes(&set));
	}
	return e ? e : der_write(out, DER_SEQUENCE, buf_bytes(&rdns));
}

/* A public key that stands for its size alone: the modulus is 2^(bits-1)+1, the exponent 65537. */
static int write_placeholder(struct buf *out, unsigned bits)
{
	static const uint8_t exponent[] = { 0x01, 0x00, 0x01 };
	uint8_t modulus[RSA_BITS_MAX / 8 + 1] = { 0 };
	size_t n = (bits + 7) / 8;
	PART(numbers);
	PART(octets);
	int e;

	if (bits < 16 || bits > RSA_BITS_MAX)
		return -EINVAL;
	modulus[1] = (uint8_t)(1u << (bits - 1) % 8);
	modulus[n] |= 1;
	/* The octet in front keeps a number positive whose first bit is set. */
	e = der_write(&numbers, DER_INTEGER, modulus[1] & 0x80 ? bytes_of(modulus, n + 1) : bytes_of(modulus + 1, n));
	if (!e)
		e = der_write(&numbers, DER_INTEGER, bytes_of(exponent, sizeof(exponent)));
	if (!e)
		e = buf_append_char(&octets, 0); /* no unused bits */
	if (!e)
		e = der_write(&octets, DER_SEQUENCE, buf_bytes(&numbers));
	return e ? e : der_write(out, DER_BIT_STRING, buf_bytes(&octets));
}

/* SubjectPublicKeyInfoTemplate. RSA has NULL for parameters (RFC 3279 2.3.1), a curve is named, Ed25519 has none. */
static int write_key_template(struct buf *out, const struct key_kind *kind, unsigned rsa_bits)
{
	static const uint8_t null[] = { 0x05, 0x00 };
	PART(algorithm);
	PART(info);
	int e = write_oid(&algorithm, kind->oid);

	if (!e && kind->is_rsa)
		e = buf_append(&algorithm, bytes_of(null, sizeof(null)));
	if (!e && kind->curve)
		e = write_oid(&algorithm, kind->curve);
	if (!e)
		e = der_write(&info, DER_SEQUENCE, buf_bytes(&algorithm));
	if (!e && kind->is_rsa)
		e = write_placeholder(&info, rsa_bits);
	return e ? e : der_write(out, DER_CONTEXT_0, buf_bytes(&info));
}

/* Attributes that are wanted without a value that could be told have an empty set. */
static int write_wanted_attributes(struct buf *out, const struct ca_request_form *form, bool wants_password)
{
	PART(all);
	int e = wants_password ? write_attribute(&all, OID_CHALLENGE_PASSWORD, bytes_of(NULL, 0)) : 0;

	for (size_t i = 0; !e && form->attributes[i]; i++)
		e = write_attribute(&all, form->attributes[i], bytes_of(NULL, 0));
	return e ? e : der_write(out, DER_CONTEXT_1, buf_bytes(&all));
}

/* CertificationRequestInfoTemplate (RFC 9908 3.4). */
static int write_template(struct buf *out, const struct ca_request_form *form, bool wants_password)
{
	static const uint8_t version[] = { 0x02, 0x01, 0x00 };
	const struct key_kind *kind = find_kind(form);
	PART(info);
	PART(value);
	int e = buf_append(&info, bytes_of(version, sizeof(version)));

	if (!e && form->n_subject)
		e = write_subject(&info, form);
	if (!e && kind)
		e = write_key_template(&info, kind, form->rsa_bits);
	if (!e)
		e = write_wanted_attributes(&info, form, wants_password);
	if (!e)
		e = der_write(&value, DER_SEQUENCE, buf_bytes(&info));
	return e ? e : write_attribute(out, OID_TEMPLATE, buf_bytes(&value));
}

int est_csrattrs_write(const struct ca_request_form *form, bool wants_password, enum est_csrattrs which,
		       struct buf *out)
{
	PART(all);
	int e = which & EST_CSRATTRS_LIST ? write_list(&all, form, wants_password) : 0;
	bool demands = wants_password || find_kind(form) || form->n_subject || form->attributes[0];

	if (!e && demands && (which & EST_CSRATTRS_TEMPLATE))
		e = write_template(&all, form, wants_password);
	if (e || all.len == 0)
		return e;
	return der_write(out, DER_SEQUENCE, buf_bytes(&all));
}
