/* The gate for PKCS#10 requests.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "core/x509/csr.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <strings.h>

#include <idn2.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/objects.h>
#include <openssl/x509.h>

#include "core/base/own.h"
#include "core/base/der.h"
#include "core/x509/key.h"
#include "core/x509/text.h"

#define OID_EXTENSION_REQUEST "1.2.840.113549.1.9.14"
#define OID_SUBJECT_ALT_NAME "2.5.29.17"
#define OID_COMMON_NAME "2.5.4.3"
#define OID_CHALLENGE_PASSWORD "1.2.840.113549.1.9.7"
#define OID_CHANGE_SUBJECT_NAME "1.3.6.1.5.5.7.7.36"
#define CSR_DEPTH_MAX 16

static int refuse(char why[static CA_REASON_SIZE], enum ca_status status, const char *text)
{
	snprintf(why, CA_REASON_SIZE, "%s", text);
	return (int)status;
}

#define REFUSE_SHAPE(text) refuse(why, CA_STATUS_BAD_REQUEST, "the PKCS#10 request " text)

/* Signature algorithms that are strong enough to prove possession, and the keys that make them. */
static const struct proof {
	const char *oid, *key;
	const EVP_MD *(*md)(void); /* NULL: the algorithm hashes by itself */
	const char *digest;        /* its word; NULL too */
	bool has_null;             /* parameters may be NULL (RFC 4055 5: or absent), else never */
} proofs[] = {
	{ "1.2.840.10045.4.3.2", "EC", EVP_sha256, "sha256", false },   /* ecdsa-with-SHA256 */
	{ "1.2.840.10045.4.3.3", "EC", EVP_sha384, "sha384", false },
	{ "1.2.840.10045.4.3.4", "EC", EVP_sha512, "sha512", false },
	{ "1.2.840.113549.1.1.11", "RSA", EVP_sha256, "sha256", true }, /* sha256WithRSAEncryption */
	{ "1.2.840.113549.1.1.12", "RSA", EVP_sha384, "sha384", true },
	{ "1.2.840.113549.1.1.13", "RSA", EVP_sha512, "sha512", true },
	{ "1.2.840.113549.1.1.5", "RSA", EVP_sha1, "sha1", true },      /* only where a profile takes it */
	{ "1.3.101.112", "ED25519", NULL, NULL, false },
};

static const struct proof *find_proof(struct bytes algorithm)
{
	static const uint8_t null[] = { 0x05, 0x00 };
	struct bytes oid;
	char text[64];

	if (der_expect(&algorithm, DER_OID, &oid) || der_oid_print(oid, text, sizeof(text)))
		return NULL;
	for (size_t i = 0; i < sizeof(proofs) / sizeof(*proofs); i++)
		if (strcmp(text, proofs[i].oid) == 0)
			return algorithm.len == 0 || (proofs[i].has_null && bytes_equal(algorithm, bytes_of(null, 2))) ?
				       &proofs[i] : NULL;
	return NULL;
}

int dns_name_normalise(struct bytes name, bool wildcard, char out[static DNS_NAME_SIZE])
{
	size_t label = 0, from = 0;

	if (name.len == 0 || name.len >= DNS_NAME_SIZE)
		return -EINVAL;
	for (size_t i = 0; i < name.len; i++) {
		uint8_t c = name.ptr[i];

		out[i] = (char)(c >= 'A' && c <= 'Z' ? c + 32 : c);
	}
	out[name.len] = '\0';
	if (wildcard && name.len > 2 && memcmp(out, "*.", 2) == 0)
		from = 2;
	for (size_t i = from; i <= name.len; i++) {
		char c = out[i];

		if (c == '.' || c == '\0') {
			if (label == 0 || label > 63 || out[i - 1] == '-' || out[i - label] == '-')
				return -EINVAL;
			label = 0;
			if (i < name.len && c == '\0')
				return -EINVAL;
		} else if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-') {
			label++;
		} else {
			return -EINVAL;
		}
	}
	if (strncmp(out + from, "xn--", 4) == 0 || strstr(out, ".xn--")) {
		OWNED_STR unicode = NULL;
		OWNED_STR again = NULL;

		if (idn2_to_unicode_8z8z(out + from, &unicode, 0) != IDN2_OK ||
		    idn2_to_ascii_8z(unicode, &again, IDN2_NONTRANSITIONAL) != IDN2_OK ||
		    strcmp(again, out + from) != 0)
			return -EINVAL;
	}
	return 0;
}

#define UTF8_STRING 0x0c
#define NAME_TEXT_SIZE (DNS_NAME_SIZE > INET6_ADDRSTRLEN ? DNS_NAME_SIZE : INET6_ADDRSTRLEN)

/* Visible ASCII. */
static int copy_visible(struct bytes content, char text[static NAME_TEXT_SIZE])
{
	if (content.len == 0 || content.len >= NAME_TEXT_SIZE)
		return -EINVAL;
	for (size_t i = 0; i < content.len; i++)
		if (content.ptr[i] <= ' ' || content.ptr[i] >= 0x7f)
			return -EINVAL;
	memcpy(text, content.ptr, content.len);
	text[content.len] = '\0';
	return 0;
}

/* OtherName ::= SEQUENCE { type-id, value [0] EXPLICIT }, here a UPN. -ENOENT: of another type; -EINVAL. */
static int copy_upn(struct bytes other, char text[static NAME_TEXT_SIZE])
{
	struct bytes type, value, content;

	if (der_expect(&other, DER_OID, &type) || !bytes_equal(type, UPN_TYPE_ID))
		return -ENOENT;
	if (der_expect(&other, DER_CONTEXT_0, &value) || other.len || der_expect(&value, UTF8_STRING, &content) ||
	    value.len || copy_visible(content, text))
		return -EINVAL;
	/* "user@realm": it is not to be taken for a name of another kind. */
	return strchr(text, '@') ? 0 : -EINVAL;
}

/* GeneralName forms that we know (RFC 5280 4.2.1.6), by context tag. */
static int add_general_name(struct csr *csr, struct arena *arena, unsigned tag, struct bytes content)
{
	char text[NAME_TEXT_SIZE];
	struct csr_name name = { 0 };
	int e;

	switch (tag) {
	case 0x82:
		if (dns_name_normalise(content, true, text))
			return -EINVAL;
		name.kind = CA_NAME_DNS;
		break;
	case 0x87:
		if ((content.len != 4 && content.len != 16) ||
		    !inet_ntop(content.len == 4 ? AF_INET : AF_INET6, content.ptr, text, sizeof(text)))
			return -EINVAL;
		name.kind = CA_NAME_IP;
		break;
	case 0x81:
	case 0x86:
		if (copy_visible(content, text))
			return -EINVAL;
		name.kind = tag == 0x81 ? CA_NAME_EMAIL : CA_NAME_URI;
		break;
	case DER_CONTEXT_0:
		e = copy_upn(content, text);
		if (e == -EINVAL)
			return e;
		csr->has_other_names |= e != 0;
		if (e)
			return 0;
		name.kind = CA_NAME_UPN;
		break;
	default:
		csr->has_other_names = true;
		return 0;
	}
	for (size_t i = 0; i < csr->n_names; i++)
		if (csr->names[i].kind == name.kind && strcmp(csr->names[i].value, text) == 0)
			return 0;
	name.value = arena_strdup(arena, text);
	if (!name.value)
		return -ENOMEM;
	csr->names[csr->n_names++] = name;
	return 0;
}

static int read_alt_names(struct csr *csr, struct arena *arena, struct bytes value, char why[static CA_REASON_SIZE])
{
	struct bytes list, each, content;
	unsigned tag;
	size_t n = 0;

	if (der_expect(&value, DER_SEQUENCE, &list) || value.len || list.len == 0)
		return REFUSE_SHAPE("has a malformed subjectAltName");
	for (each = list; each.len; n++)
		if (der_read(&each, &tag, &content, NULL))
			return REFUSE_SHAPE("has a malformed subjectAltName");
	if (n > CA_NAMES_MAX)
		return REFUSE_SHAPE("has too many names");
	csr->names = arena_alloc(arena, n * sizeof(*csr->names));
	if (!csr->names)
		return -ENOMEM;
	while (list.len) {
		int e = der_read(&list, &tag, &content, NULL);

		if (!e)
			e = add_general_name(csr, arena, tag, content);
		if (e == -ENOMEM)
			return e;
		if (e)
			return REFUSE_SHAPE("has a name that no certificate may carry");
	}
	return 0;
}

static int read_extension(struct csr *csr, struct arena *arena, struct bytes content,
			  char why[static CA_REASON_SIZE])
{
	struct ca_extension *ext = &csr->extensions[csr->n_extensions];
	struct bytes oid, flag, value;
	char text[64];

	if (csr->n_extensions == CSR_EXTENSIONS_MAX)
		return REFUSE_SHAPE("has too many extensions");
	if (der_expect(&content, DER_OID, &oid) || der_oid_print(oid, text, sizeof(text)))
		return REFUSE_SHAPE("has a malformed extension");
	if (der_expect(&content, DER_BOOLEAN, &flag) == 0) {
		if (flag.len != 1 || (flag.ptr[0] != 0 && flag.ptr[0] != 0xff))
			return REFUSE_SHAPE("has a malformed extension");
		ext->flags = flag.ptr[0] ? CA_EXT_CRITICAL : 0;
	}
	if (der_expect(&content, DER_OCTET_STRING, &value) || content.len || value.len > 16384 ||
	    der_check(value, CSR_DEPTH_MAX))
		return REFUSE_SHAPE("has a malformed extension");
	for (size_t i = 0; i < csr->n_extensions; i++)
		if (strcmp(csr->extensions[i].oid, text) == 0)
			return REFUSE_SHAPE("has the same extension twice");
	ext->oid = arena_strdup(arena, text);
	ext->value = value;
	if (!ext->oid)
		return -ENOMEM;
	csr->n_extensions++;
	return strcmp(text, OID_SUBJECT_ALT_NAME) == 0 ? read_alt_names(csr, arena, value, why) : 0;
}

static int read_extension_request(struct csr *csr, struct arena *arena, struct bytes values,
				  char why[static CA_REASON_SIZE])
{
	struct bytes list, each;

	if (der_expect(&values, DER_SEQUENCE, &list) || values.len)
		return REFUSE_SHAPE("has a malformed extensionRequest");
	while (list.len) {
		int e = der_expect(&list, DER_SEQUENCE, &each);

		e = e ? REFUSE_SHAPE("has a malformed extensionRequest") : read_extension(csr, arena, each, why);
		if (e)
			return e;
	}
	return 0;
}

void csr_print_type(const struct csr_part *part, char out[static CSR_TYPE_SIZE])
{
	char dotted[64] = "?";
	int nid;

	(void)der_oid_print(part->oid, dotted, sizeof(dotted));
	nid = OBJ_txt2nid(dotted);
	if (nid == NID_undef)
		snprintf(out, CSR_TYPE_SIZE, "%s", dotted);
	else
		snprintf(out, CSR_TYPE_SIZE, "%.40s (%s)", OBJ_nid2sn(nid), dotted);
}

bool csr_has_attribute(const struct csr *csr, const char *oid)
{
	struct bytes rest = csr->attributes, attribute, type;
	char text[64];

	while (der_expect(&rest, DER_SEQUENCE, &attribute) == 0)
		if (der_expect(&attribute, DER_OID, &type) == 0 && der_oid_print(type, text, sizeof(text)) == 0 &&
		    strcmp(text, oid) == 0)
			return true;
	return false;
}

/* One AttributeTypeAndValue. String types are those that RFC 5280 4.1.2.4 lets a CA write, and
 * IA5String for the types that need it. */
static int read_rdn_value(struct csr *csr, struct arena *arena, struct bytes pair, char why[static CA_REASON_SIZE])
{
	struct bytes oid, value;
	unsigned tag;
	char text[64];

	if (der_expect(&pair, DER_OID, &oid) || der_oid_print(oid, text, sizeof(text)) ||
	    der_read(&pair, &tag, &value, NULL) || pair.len)
		return REFUSE_SHAPE("has a malformed subject");
	if (tag != 0x0c && tag != 0x13 && tag != 0x16)
		return REFUSE_SHAPE("has a subject in another string type than UTF8String or PrintableString");
	for (size_t i = 0; tag != 0x0c && i < value.len; i++)
		if (value.ptr[i] >= 0x80)
			return REFUSE_SHAPE("has octets in its subject that its string type does not allow");
	if (!text_is_clean(value))
		return REFUSE_SHAPE("has a subject that is not UTF-8 or has control characters");
	if (csr->n_parts == CSR_PARTS_MAX)
		return REFUSE_SHAPE("has a subject of too many parts");
	csr->parts[csr->n_parts] = (struct csr_part){ oid, arena_strndup(arena, value) };
	if (!csr->parts[csr->n_parts++].value)
		return -ENOMEM;
	if (strcmp(text, OID_COMMON_NAME) != 0)
		return 0;
	if (csr->common_name)
		return REFUSE_SHAPE("has more than one common name");
	if (value.len == 0 || value.len > 255)
		return REFUSE_SHAPE("has a common name that is empty or too long");
	csr->common_name = csr->parts[csr->n_parts - 1].value;
	return 0;
}

static int read_subject(struct csr *csr, struct arena *arena, struct bytes rdns, char why[static CA_REASON_SIZE])
{
	size_t n = 0;

	while (rdns.len) {
		struct bytes set, pair;

		if (der_expect(&rdns, DER_SET, &set) || set.len == 0)
			return REFUSE_SHAPE("has a malformed subject");
		if (++n > CSR_PARTS_MAX)
			return REFUSE_SHAPE("has a subject of too many parts");
		while (set.len) {
			int e = der_expect(&set, DER_SEQUENCE, &pair);

			e = e ? REFUSE_SHAPE("has a malformed subject") : read_rdn_value(csr, arena, pair, why);
			if (e)
				return e;
		}
	}
	return 0;
}

static int print_subject(struct csr *csr, struct arena *arena)
{
	const uint8_t *p = csr->subject.ptr;
	X509_NAME *name = d2i_X509_NAME(NULL, &p, (long)csr->subject.len);
	BIO *out = BIO_new(BIO_s_mem());
	char *text;
	long n;
	int e = -EINVAL;

	if (name && out && X509_NAME_print_ex(out, name, 0, XN_FLAG_RFC2253 & ~ASN1_STRFLGS_ESC_MSB) >= 0) {
		n = BIO_get_mem_data(out, &text);
		csr->subject_text =
			arena_strndup(arena, bytes_of(text, n > CSR_SUBJECT_MAX ? CSR_SUBJECT_MAX : (size_t)n));
		e = csr->subject_text ? 0 : -ENOMEM;
	}
	BIO_free(out);
	X509_NAME_free(name);
	return e;
}

/* Names instead of those that stand in the request (RFC 6402 2.8): all of them, an absent part is empty. */
static int read_change(struct csr *csr, struct arena *arena, struct bytes values, char why[static CA_REASON_SIZE])
{
	struct csr *wanted = arena_alloc(arena, sizeof(*wanted));
	struct bytes change, content, whole;
	unsigned tag = 0;
	int e = 0;

	if (!wanted)
		return -ENOMEM;
	if (csr->wanted)
		return REFUSE_SHAPE("asks for other names twice");
	*wanted = (struct csr){ .subject = bytes_of("\x30\x00", 2), .subject_text = "", .spki = csr->spki };
	if (der_expect(&values, DER_SEQUENCE, &change) || values.len || !change.len ||
	    der_read(&change, &tag, &content, &whole))
		return REFUSE_SHAPE("has a malformed ChangeSubjectName");
	/* Name and GeneralNames are both a SEQUENCE: the one of SETs, the other of context tags. */
	if (tag == DER_SEQUENCE && (!content.len || content.ptr[0] == DER_SET)) {
		wanted->subject = whole;
		e = read_subject(wanted, arena, content, why);
		if (!e && print_subject(wanted, arena))
			e = REFUSE_SHAPE("wants a subject that cannot be read");
		whole = change;
	} else if (change.len) {
		e = REFUSE_SHAPE("has a malformed ChangeSubjectName");
	}
	if (!e && whole.len)
		e = read_alt_names(wanted, arena, whole, why);
	csr->wanted = e ? NULL : wanted;
	return e;
}

/* What is wanted instead, in octets of the store. */
static int reread_change(struct csr *csr, struct arena *arena, struct bytes attributes)
{
	struct bytes attribute, oid, values;
	char text[64], why[CA_REASON_SIZE];

	while (der_expect(&attributes, DER_SEQUENCE, &attribute) == 0)
		if (der_expect(&attribute, DER_OID, &oid) == 0 && der_oid_print(oid, text, sizeof(text)) == 0 &&
		    strcmp(text, OID_CHANGE_SUBJECT_NAME) == 0 && der_expect(&attribute, DER_SET, &values) == 0)
			return read_change(csr, arena, values, why);
	return 0;
}

/* Other attributes (challengePassword and the like) are not for the certificate: skipped. */
static int read_attributes(struct csr *csr, struct arena *arena, struct bytes attributes,
			   char why[static CA_REASON_SIZE])
{
	bool seen = false;

	while (attributes.len) {
		struct bytes attribute, oid, values;
		char text[64];
		int e;

		if (der_expect(&attributes, DER_SEQUENCE, &attribute) || der_expect(&attribute, DER_OID, &oid) ||
		    der_oid_print(oid, text, sizeof(text)) || der_expect(&attribute, DER_SET, &values) || attribute.len)
			return REFUSE_SHAPE("has malformed attributes");
		if (strcmp(text, OID_CHANGE_SUBJECT_NAME) == 0) {
			e = read_change(csr, arena, values, why);
		} else if (strcmp(text, OID_EXTENSION_REQUEST) == 0) {
			e = seen ? REFUSE_SHAPE("asks for extensions twice") :
				   read_extension_request(csr, arena, values, why);
			seen = true;
		} else {
			continue;
		}
		if (e)
			return e;
	}
	return 0;
}

/* What was signed, and how. */
struct signed_part {
	struct bytes info, algorithm, signature; /* info: the whole element; signature: without the unused bits */
};

static int check_possession(const struct signed_part *part, EVP_PKEY *key, char why[static CA_REASON_SIZE])
{
	const struct proof *proof = find_proof(part->algorithm);
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	bool ok = ctx && proof && EVP_PKEY_is_a(key, proof->key) &&
		  EVP_DigestVerifyInit(ctx, NULL, proof->md ? proof->md() : NULL, NULL, key) == 1 &&
		  EVP_DigestVerify(ctx, part->signature.ptr, part->signature.len, part->info.ptr, part->info.len) == 1;

	EVP_MD_CTX_free(ctx);
	ERR_clear_error();
	if (ok)
		return 0;
	return refuse(why, CA_STATUS_BAD_SIGNATURE,
		      "the signature of the PKCS#10 request does not verify with its key");
}

static int check_key(struct csr *csr, const struct signed_part *part, char why[static CA_REASON_SIZE])
{
	EVP_PKEY *key = NULL;
	const char *reason;
	int e = key_from_spki(csr->spki, &key, &csr->key_type, &csr->key_bits, &reason);

	if (e > 0)
		e = refuse(why, CA_STATUS_BAD_KEY, reason);
	else if (!e)
		e = check_possession(part, key, why);
	EVP_PKEY_free(key);
	return e;
}

/* In our own copy, whose signature nobody will verify again. What is malformed is left as far as it can be read. */
static void blank_passwords(struct bytes attributes)
{
	struct bytes attribute, oid, values, value;
	char text[64];
	unsigned tag;

	while (der_expect(&attributes, DER_SEQUENCE, &attribute) == 0) {
		if (der_expect(&attribute, DER_OID, &oid) || der_oid_print(oid, text, sizeof(text)) ||
		    strcmp(text, OID_CHALLENGE_PASSWORD) != 0 || der_expect(&attribute, DER_SET, &values))
			continue;
		while (der_read(&values, &tag, &value, NULL) == 0)
			memset((uint8_t *)(uintptr_t)value.ptr, '*', value.len);
	}
}

static int read_csr(struct csr *out, struct arena *arena, struct bytes der, bool possession,
		    char why[static CA_REASON_SIZE])
{
	struct bytes in, request, info, version, subject, spki, attributes, bits, whole;
	struct signed_part part;
	unsigned tag;
	int e;

	*out = (struct csr){ .subject_text = "" };
	why[0] = '\0';
	if (der.len == 0 || der.len > CA_REQUEST_MAX)
		return REFUSE_SHAPE("is empty or too large");
	out->der = in = arena_copy(arena, der);
	if (!in.ptr)
		return -ENOMEM;
	if (der_check(in, CSR_DEPTH_MAX) || der_expect(&in, DER_SEQUENCE, &request) || in.len)
		return REFUSE_SHAPE("is not one DER element");
	if (der_read(&request, &tag, &info, &part.info) || tag != DER_SEQUENCE ||
	    der_expect(&request, DER_SEQUENCE, &part.algorithm) || der_expect(&request, DER_BIT_STRING, &bits) ||
	    request.len || bits.len < 2 || bits.ptr[0] != 0)
		return REFUSE_SHAPE("has not the three parts of RFC 2986");
	part.signature = bytes_of(bits.ptr + 1, bits.len - 1);
	if (der_expect(&info, DER_INTEGER, &version) || version.len != 1 || version.ptr[0] != 0)
		return REFUSE_SHAPE("has another version than 0");
	if (der_read(&info, &tag, &subject, &whole) || tag != DER_SEQUENCE)
		return REFUSE_SHAPE("has no subject");
	out->subject = whole;
	if (der_read(&info, &tag, &spki, &whole) || tag != DER_SEQUENCE)
		return REFUSE_SHAPE("has no public key");
	out->spki = whole;
	attributes = bytes_of(NULL, 0);
	if (info.len && der_expect(&info, DER_CONTEXT_0, &attributes))
		return REFUSE_SHAPE("has something else where its attributes should stand");
	if (info.len)
		return REFUSE_SHAPE("has something behind its attributes");
	out->attributes = attributes;
	if (!possession) {
		(void)read_subject(out, arena, subject, why);
		(void)reread_change(out, arena, attributes);
		return print_subject(out, arena) ? -EBADMSG : 0;
	}
	e = find_proof(part.algorithm) ? 0 :
					 refuse(why, CA_STATUS_BAD_SIGNATURE,
						"the PKCS#10 request is signed with an algorithm that is not accepted; "
						"use SHA-256 or better");
	if (!e)
		e = read_subject(out, arena, subject, why);
	if (!e)
		e = read_attributes(out, arena, attributes, why);
	if (!e && print_subject(out, arena))
		e = REFUSE_SHAPE("has a subject that cannot be read");
	if (!e)
		e = check_key(out, &part, why);
	if (!e)
		out->digest = find_proof(part.algorithm)->digest;
	blank_passwords(attributes);
	return e;
}

int csr_parse(struct csr *out, struct arena *arena, struct bytes der, char why[static CA_REASON_SIZE])
{
	return read_csr(out, arena, der, true, why);
}

int csr_reread(struct csr *out, struct arena *arena, struct bytes der, char why[static CA_REASON_SIZE])
{
	return read_csr(out, arena, der, false, why);
}

/* ---- certificates ---- */

bool csr_same_value(const char *a, const char *b)
{
	a += strspn(a, " ");
	b += strspn(b, " ");
	for (;; a++, b++) {
		size_t blanks_a = strspn(a, " "), blanks_b = strspn(b, " ");

		a += blanks_a;
		b += blanks_b;
		if (!*a || !*b)
			return !*a && !*b;
		if (!blanks_a != !blanks_b || tolower((unsigned char)*a) != tolower((unsigned char)*b))
			return false;
	}
}

bool csr_same_subject(const struct csr *a, const struct csr *b)
{
	for (size_t i = 0; i < a->n_parts && i < b->n_parts; i++)
		if (!bytes_equal(a->parts[i].oid, b->parts[i].oid) ||
		    !csr_same_value(a->parts[i].value, b->parts[i].value))
			return false;
	return a->n_parts == b->n_parts;
}

bool csr_has_name(const struct csr *csr, enum ca_name_kind kind, const char *value)
{
	for (size_t i = 0; i < csr->n_names; i++)
		if (csr->names[i].kind == kind && strcasecmp(csr->names[i].value, value) == 0)
			return true;
	return false;
}

/* The octets of the extension with this OID; none when it is not there. */
static int find_extension(struct bytes list, const char *wanted, struct bytes *value)
{
	struct bytes extension, oid, flag;
	char text[64];

	*value = bytes_of(NULL, 0);
	while (list.len) {
		if (der_expect(&list, DER_SEQUENCE, &extension) || der_expect(&extension, DER_OID, &oid) ||
		    der_oid_print(oid, text, sizeof(text)))
			return -EINVAL;
		(void)der_expect(&extension, DER_BOOLEAN, &flag);
		if (strcmp(text, wanted) == 0)
			return der_expect(&extension, DER_OCTET_STRING, value);
	}
	return 0;
}

/* Behind the key there may be identifiers of issuer and subject, and the extensions. */
static int take_alt_names(struct csr *out, struct arena *arena, struct bytes tbs, char why[static CA_REASON_SIZE])
{
	struct bytes content, list, value;
	unsigned tag;

	while (tbs.len) {
		if (der_read(&tbs, &tag, &content, NULL))
			return -EINVAL;
		if (tag != 0xa3)
			continue;
		if (der_expect(&content, DER_SEQUENCE, &list) || find_extension(list, OID_SUBJECT_ALT_NAME, &value))
			return -EINVAL;
		return value.len ? read_alt_names(out, arena, value, why) : 0;
	}
	return 0;
}

int csr_read_certificate(struct csr *out, struct arena *arena, struct bytes certificate)
{
	struct bytes in = arena_copy(arena, certificate), whole, tbs, skipped, subject;
	char why[CA_REASON_SIZE];
	unsigned tag;
	int e;

	*out = (struct csr){ .subject_text = "" };
	if (!in.ptr)
		return -ENOMEM;
	if (der_check(in, CSR_DEPTH_MAX) || der_expect(&in, DER_SEQUENCE, &whole) || in.len ||
	    der_expect(&whole, DER_SEQUENCE, &tbs) || der_expect(&tbs, DER_CONTEXT_0, &skipped) ||
	    der_expect(&tbs, DER_INTEGER, &skipped))
		return -EINVAL;
	/* The algorithm, the issuer, the dates. */
	for (int i = 0; i < 3; i++)
		if (der_expect(&tbs, DER_SEQUENCE, &skipped))
			return -EINVAL;
	if (der_read(&tbs, &tag, &subject, &out->subject) || tag != DER_SEQUENCE ||
	    der_read(&tbs, &tag, &skipped, &out->spki) || tag != DER_SEQUENCE)
		return -EINVAL;
	e = read_subject(out, arena, subject, why);
	if (!e)
		e = take_alt_names(out, arena, tbs, why);
	if (!e)
		e = print_subject(out, arena);
	return e > 0 ? -EINVAL : e;
}
