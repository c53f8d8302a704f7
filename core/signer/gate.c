/* The floor of what a key signs.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "core/signer/gate.h"

#include <errno.h>

#include "core/base/der.h"

#define EXTENSIONS_MAX 64
#define SERIAL_MIN 8 /* RFC 5280 4.1.2.2 says at most 20; shorter ones can be guessed */
#define SERIAL_MAX 20
#define RSA_BITS_MIN 2048

struct extension {
	struct bytes oid, value;
	bool is_critical;
};

/* RFC 5280 4.1, borrowed from the octets that were read. */
struct tbs {
	struct bytes version, serial; /* contents */
	struct bytes algorithm, issuer, subject, spki; /* whole elements */
	char not_before[GATE_TIME_SIZE], not_after[GATE_TIME_SIZE];
	struct extension extensions[EXTENSIONS_MAX];
	size_t n_extensions;
};

#define OID(text) { (const uint8_t *)(text), sizeof(text) - 1 }

static const struct bytes key_usage = OID("\x55\x1d\x0f");
static const struct bytes extended_key_usage = OID("\x55\x1d\x25");
static const struct bytes basic_constraints = OID("\x55\x1d\x13");
static const struct bytes authority_key_identifier = OID("\x55\x1d\x23");
static const struct bytes subject_key_identifier = OID("\x55\x1d\x0e");

/* ---- reading ---- */

/* UTCTime or GeneralizedTime as RFC 5280 4.1.2.5 writes them, as 14 digits that compare like the time. */
static int read_time(struct bytes *in, char out[static GATE_TIME_SIZE])
{
	enum { UTC_TIME = 0x17, GENERALIZED_TIME = 0x18, DIGITS = GATE_TIME_SIZE - 1 };
	struct bytes text;
	unsigned tag;
	size_t century;

	if (der_read(in, &tag, &text, NULL) || (tag != UTC_TIME && tag != GENERALIZED_TIME))
		return -EINVAL;
	century = tag == UTC_TIME ? 2 : 0;
	if (text.len != DIGITS - century + 1 || text.ptr[text.len - 1] != 'Z')
		return -EINVAL;
	if (century)
		memcpy(out, text.ptr[0] < '5' ? "20" : "19", 2);
	memcpy(out + century, text.ptr, DIGITS - century);
	out[DIGITS] = '\0';
	return strspn(out, "0123456789") == DIGITS ? 0 : -EINVAL;
}

static int read_validity(struct bytes *in, struct tbs *t)
{
	struct bytes dates;

	if (der_expect(in, DER_SEQUENCE, &dates) || read_time(&dates, t->not_before) ||
	    read_time(&dates, t->not_after))
		return -EINVAL;
	return dates.len ? -EINVAL : 0;
}

static int read_extension(struct bytes *list, struct extension *x)
{
	struct bytes content, flag;

	if (der_expect(list, DER_SEQUENCE, &content) || der_expect(&content, DER_OID, &x->oid))
		return -EINVAL;
	x->is_critical = der_expect(&content, DER_BOOLEAN, &flag) == 0;
	/* DER leaves a false one out. */
	if (x->is_critical && (flag.len != 1 || flag.ptr[0] != 0xff))
		return -EINVAL;
	return der_expect(&content, DER_OCTET_STRING, &x->value) || content.len ? -EINVAL : 0;
}

static int read_extensions(struct bytes *in, struct tbs *t)
{
	enum { EXPLICIT_3 = 0xa3 };
	struct bytes wrapped, list;

	if (der_expect(in, EXPLICIT_3, &wrapped) || der_expect(&wrapped, DER_SEQUENCE, &list) || wrapped.len)
		return -EINVAL;
	while (list.len)
		if (t->n_extensions == EXTENSIONS_MAX || read_extension(&list, &t->extensions[t->n_extensions++]))
			return -EINVAL;
	return 0;
}

static int read_element(struct bytes *in, struct bytes *whole)
{
	struct bytes content;
	unsigned tag;

	return der_read(in, &tag, &content, whole) || tag != DER_SEQUENCE ? -EINVAL : 0;
}

static int read_tbs(struct tbs *t, struct bytes der)
{
	struct bytes in, version;

	*t = (struct tbs){ 0 };
	if (der_check(der, 16) || der_expect(&der, DER_SEQUENCE, &in) || der.len)
		return -EINVAL;
	if (der_expect(&in, DER_CONTEXT_0, &version) || der_expect(&version, DER_INTEGER, &t->version) || version.len ||
	    der_expect(&in, DER_INTEGER, &t->serial) || read_element(&in, &t->algorithm) ||
	    read_element(&in, &t->issuer) || read_validity(&in, t) || read_element(&in, &t->subject) ||
	    read_element(&in, &t->spki) || read_extensions(&in, t))
		return -EINVAL;
	return in.len ? -EINVAL : 0;
}

static const struct extension *find(const struct tbs *t, struct bytes oid)
{
	for (size_t i = 0; i < t->n_extensions; i++)
		if (bytes_equal(t->extensions[i].oid, oid))
			return &t->extensions[i];
	return NULL;
}

/* ---- what each line of the floor asks ---- */

/* The content of an INTEGER: above zero, and without a needless zero in front (X.690 8.3.2). */
static bool is_positive(struct bytes number)
{
	return number.len && !(number.ptr[0] & 0x80) &&
	       (number.ptr[0] || (number.len > 1 && number.ptr[1] & 0x80));
}

static bool is_version_3(const struct gate *gate, const struct tbs *t)
{
	return bytes_equal(t->version, bytes_of("\x02", 1));
}

static bool has_serial(const struct gate *gate, const struct tbs *t)
{
	return t->serial.len >= SERIAL_MIN && t->serial.len <= SERIAL_MAX && is_positive(t->serial);
}

static bool has_algorithm(const struct gate *gate, const struct tbs *t)
{
	return bytes_equal(t->algorithm, gate->algorithm);
}

static bool begins_before_it_ends(const struct gate *gate, const struct tbs *t)
{
	return strcmp(t->not_before, t->not_after) < 0;
}

static bool has_each_extension_once(const struct gate *gate, const struct tbs *t)
{
	for (size_t i = 0; i < t->n_extensions; i++)
		if (find(t, t->extensions[i].oid) != &t->extensions[i])
			return false;
	return true;
}

static bool is_of_this_issuer(const struct gate *gate, const struct tbs *t)
{
	return bytes_equal(t->issuer, gate->issuer);
}

/* Of a BIT STRING, whose first octet counts the unused bits (RFC 5280 4.2.1.3: bits 5 and 6). */
enum { KEY_CERT_SIGN = 0x04, CRL_SIGN = 0x02 };

/* Has it one of the bits? Octets that are no key usage might have any. `without`: the answer when there is none. */
static bool usage_has(const struct tbs *t, unsigned bits, bool without)
{
	const struct extension *x = find(t, key_usage);
	struct bytes value = x ? x->value : bytes_of(NULL, 0), content;

	if (!x)
		return without;
	return der_expect(&value, DER_BIT_STRING, &content) || value.len || content.len < 2 || content.len > 3 ||
	       content.ptr[0] > 7 || content.ptr[1] & bits;
}

/* There, and empty. Where it is absent some readers look elsewhere, such as Netscape's certificate type. */
static bool is_no_authority(const struct gate *gate, const struct tbs *t)
{
	const struct extension *x = find(t, basic_constraints);

	return x && bytes_equal(x->value, bytes_of("\x30\x00", 2));
}

static bool is_an_authority(const struct gate *gate, const struct tbs *t)
{
	const struct extension *x = find(t, basic_constraints);
	struct bytes value = x ? x->value : bytes_of(NULL, 0), content, flag;

	return der_expect(&value, DER_SEQUENCE, &content) == 0 && value.len == 0 &&
	       der_expect(&content, DER_BOOLEAN, &flag) == 0 && bytes_equal(flag, bytes_of("\xff", 1)) &&
	       usage_has(t, KEY_CERT_SIGN, true);
}

static bool signs_neither_certificates_nor_lists(const struct gate *gate, const struct tbs *t)
{
	return !usage_has(t, KEY_CERT_SIGN | CRL_SIGN, false);
}

/* Who signs OCSP for a CA speaks in its name (RFC 6960 4.2.2.2), and any purpose includes that one. id-kp-cmcRA with
 * clientAuth is an RA, which enrols for others (RFC 7030 3.7). Purposes that cannot be read might be any of these. */
static bool speaks_for_no_authority(const struct gate *gate, const struct tbs *t)
{
	static const struct bytes any = OID("\x55\x1d\x25\x00"), ocsp = OID("\x2b\x06\x01\x05\x05\x07\x03\x09"),
				  ra = OID("\x2b\x06\x01\x05\x05\x07\x03\x1c"),
				  client = OID("\x2b\x06\x01\x05\x05\x07\x03\x02");
	const struct extension *x = find(t, extended_key_usage);
	struct bytes value = x ? x->value : bytes_of(NULL, 0), list, purpose;
	bool is_ra = false, is_client = false;

	if (!x)
		return true;
	if (der_expect(&value, DER_SEQUENCE, &list) || value.len || !list.len)
		return false;
	while (list.len) {
		if (der_expect(&list, DER_OID, &purpose) || bytes_equal(purpose, any) || bytes_equal(purpose, ocsp))
			return false;
		is_ra |= bytes_equal(purpose, ra);
		is_client |= bytes_equal(purpose, client);
	}
	return !(is_ra && is_client);
}

static bool is_valid_while_its_issuer_is(const struct gate *gate, const struct tbs *t)
{
	return strcmp(t->not_before, gate->not_before) >= 0 && strcmp(t->not_after, gate->not_after) <= 0;
}

static bool has_another_key(const struct gate *gate, const struct tbs *t)
{
	return !bytes_equal(t->spki, gate->spki);
}

/* A modulus of enough bits, odd; an odd exponent of 17 to 256 bits. */
static bool is_strong_rsa(struct bytes key)
{
	struct bytes numbers, n, e;

	if (der_expect(&key, DER_SEQUENCE, &numbers) || key.len || der_expect(&numbers, DER_INTEGER, &n) ||
	    der_expect(&numbers, DER_INTEGER, &e) || numbers.len || !is_positive(n) || !is_positive(e))
		return false;
	/* A zero octet in front only keeps the number positive. */
	n = n.ptr[0] ? n : bytes_of(n.ptr + 1, n.len - 1);
	e = e.ptr[0] ? e : bytes_of(e.ptr + 1, e.len - 1);
	if (n.len < RSA_BITS_MIN / 8 || (n.len == RSA_BITS_MIN / 8 && !(n.ptr[0] & 0x80)))
		return false;
	return n.ptr[n.len - 1] & 1 && e.len >= 3 && e.len <= 32 && e.ptr[e.len - 1] & 1;
}

static const struct {
	struct bytes algorithm; /* the AlgorithmIdentifier, whole */
	size_t point;           /* octets of the key; 0: RSA */
	uint8_t first;          /* the first of them, unless 0 */
} key_kinds[] = {
	{ OID("\x30\x0d\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01\x05\x00"), 0, 0 },
	{ OID("\x30\x13\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07"), 65, 4 },
	{ OID("\x30\x10\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x05\x2b\x81\x04\x00\x22"), 97, 4 },
	{ OID("\x30\x05\x06\x03\x2b\x65\x70"), 32, 0 },
};

static bool has_strong_key(const struct gate *gate, const struct tbs *t)
{
	struct bytes spki = t->spki, content, algorithm, bits;

	if (der_expect(&spki, DER_SEQUENCE, &content) || read_element(&content, &algorithm) ||
	    der_expect(&content, DER_BIT_STRING, &bits) || content.len || bits.len < 2 || bits.ptr[0] != 0)
		return false;
	bits = bytes_of(bits.ptr + 1, bits.len - 1);
	for (size_t i = 0; i < sizeof(key_kinds) / sizeof(*key_kinds); i++)
		if (bytes_equal(algorithm, key_kinds[i].algorithm))
			return key_kinds[i].point ? bits.len == key_kinds[i].point &&
						    (!key_kinds[i].first || bits.ptr[0] == key_kinds[i].first) :
						    is_strong_rsa(bits);
	return false;
}

static bool names_the_issuers_key(const struct gate *gate, const struct tbs *t)
{
	enum { KEY_IDENTIFIER = 0x80 };
	const struct extension *x = find(t, authority_key_identifier);
	struct bytes value, content, id;

	if (!x)
		return true;
	value = x->value;
	return der_expect(&value, DER_SEQUENCE, &content) == 0 && value.len == 0 &&
	       der_expect(&content, KEY_IDENTIFIER, &id) == 0 && content.len == 0 &&
	       bytes_equal(id, gate->key_identifier);
}

static bool begins_with(struct bytes text, struct bytes prefix)
{
	return text.len >= prefix.len && memcmp(text.ptr, prefix.ptr, prefix.len) == 0;
}

/* PKIX's own arcs hold what says what a certificate may be used for. A critical one of anybody else only narrows: who
 * does not know it does not take the certificate. */
static bool knows_what_is_critical(const struct gate *gate, const struct tbs *t)
{
	static const struct bytes arcs[] = { OID("\x55\x1d"), OID("\x2b\x06\x01\x05\x05\x07\x01") };
	static const struct bytes known[] = {
		OID("\x55\x1d\x0f"), /* keyUsage */
		OID("\x55\x1d\x11"), /* subjectAltName */
		OID("\x55\x1d\x13"), /* basicConstraints */
		OID("\x55\x1d\x20"), /* certificatePolicies */
		OID("\x55\x1d\x25"), /* extKeyUsage */
		OID("\x2b\x06\x01\x05\x05\x07\x01\x18"), /* TLS features, RFC 7633 */
	};

	for (size_t i = 0; i < t->n_extensions; i++) {
		const struct extension *x = &t->extensions[i];
		bool is_known = !x->is_critical || !(begins_with(x->oid, arcs[0]) || begins_with(x->oid, arcs[1]));

		for (size_t j = 0; j < sizeof(known) / sizeof(*known); j++)
			is_known |= bytes_equal(x->oid, known[j]);
		if (!is_known)
			return false;
	}
	return true;
}

static bool is_its_own(const struct gate *gate, const struct tbs *t)
{
	return bytes_equal(t->issuer, t->subject) && bytes_equal(t->spki, gate->spki);
}

/* ---- the floor ---- */

struct line {
	bool (*holds)(const struct gate *gate, const struct tbs *t);
	const char *why;
};

static const struct line for_all[] = {
	{ is_version_3, "it is not of version 3" },
	{ has_serial, "its serial number is not positive, or not of 8 to 20 octets" },
	{ has_algorithm, "its signature algorithm is not the one of this key" },
	{ begins_before_it_ends, "it would end before it begins" },
	{ has_each_extension_once, "an extension stands in it twice" },
	{ 0 },
};

static const struct line for_others[] = {
	{ is_of_this_issuer, "the issuer is not the one that this key belongs to" },
	{ is_no_authority, "this key does not sign certificates of other authorities" },
	{ signs_neither_certificates_nor_lists, "its key usage would let it sign certificates or revocation lists" },
	{ speaks_for_no_authority,
	  "its extended key usage is any purpose, OCSP signing or a registration authority's" },
	{ is_valid_while_its_issuer_is, "it would be valid when its issuer is not" },
	{ has_another_key, "it is for the key of the authority itself" },
	{ has_strong_key, "its public key is weak or of an unknown kind" },
	{ names_the_issuers_key, "its authority key identifier is not the issuer's" },
	{ knows_what_is_critical, "a critical extension in it is unknown here" },
	{ 0 },
};

static const struct line for_its_own[] = {
	{ is_its_own, "a key without a CA certificate signs nothing but its own" },
	{ is_an_authority, "the certificate of a CA says that it is one" },
	{ 0 },
};

static const char *hold(const struct line *lines, const struct gate *gate, const struct tbs *t)
{
	for (; lines->holds; lines++)
		if (!lines->holds(gate, t))
			return lines->why;
	return NULL;
}

const char *gate_refuses(const struct gate *gate, struct bytes tbs)
{
	const char *why;
	struct tbs t;

	if (read_tbs(&t, tbs))
		return "that is no TBSCertificate";
	why = hold(for_all, gate, &t);
	return why ? why : hold(gate->issuer.len ? for_others : for_its_own, gate, &t);
}

/* RFC 5280 4.1: the algorithm stands in it twice, and is the same. */
static int read_certificate(struct bytes certificate, struct bytes *tbs, struct bytes *algorithm,
			    struct bytes *signature)
{
	struct bytes content, bits;

	if (der_expect(&certificate, DER_SEQUENCE, &content) || certificate.len || read_element(&content, tbs) ||
	    read_element(&content, algorithm) || der_expect(&content, DER_BIT_STRING, &bits) || content.len ||
	    bits.len < 2 || bits.ptr[0] != 0)
		return -EINVAL;
	*signature = bytes_of(bits.ptr + 1, bits.len - 1);
	return 0;
}

const char *gate_read_issuer(struct gate *gate, struct bytes certificate, struct bytes *tbs, struct bytes *signature)
{
	static const char *const no_ca = "the CA certificate does not belong to this key or is no CA certificate";
	const struct extension *x;
	struct bytes algorithm, value;
	struct tbs t;

	if (read_certificate(certificate, tbs, &algorithm, signature) || read_tbs(&t, *tbs) ||
	    !bytes_equal(t.spki, gate->spki) || !is_an_authority(gate, &t))
		return no_ca;
	if (!is_its_own(gate, &t))
		return "the CA certificate was issued by another authority; only self-signed roots are served here";
	if (!has_algorithm(gate, &t) || !bytes_equal(algorithm, gate->algorithm))
		return "the CA certificate is signed with an algorithm that is not the one of this key";
	x = find(&t, subject_key_identifier);
	value = x ? x->value : bytes_of(NULL, 0);
	if (x && (der_expect(&value, DER_OCTET_STRING, &gate->key_identifier) || value.len))
		return no_ca;
	gate->issuer = t.subject;
	memcpy(gate->not_before, t.not_before, sizeof(t.not_before));
	memcpy(gate->not_after, t.not_after, sizeof(t.not_after));
	return NULL;
}
