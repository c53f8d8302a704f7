/* The floor of what a key signs.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "core/signer/gate.h"

#include <errno.h>

#include "core/base/der.h"
#include "core/base/digest.h"

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
static const struct bytes ocsp_nocheck = OID("\x2b\x06\x01\x05\x05\x07\x30\x01\x05");
static const struct bytes ocsp_signing = OID("\x2b\x06\x01\x05\x05\x07\x03\x09");

/* ---- reading ---- */

/* UTCTime or GeneralizedTime as RFC 5280 4.1.2.5 writes them, as 14 digits that compare like the time. */
int gate_read_time(struct bytes *in, char out[static GATE_TIME_SIZE])
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

	if (der_expect(in, DER_SEQUENCE, &dates) || gate_read_time(&dates, t->not_before) ||
	    gate_read_time(&dates, t->not_after))
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
	if (der_expect(&in, DER_CONTEXT_0, &version) || der_expect(&version, DER_INTEGER, &t->version) ||
	    version.len || der_expect(&in, DER_INTEGER, &t->serial) || read_element(&in, &t->algorithm) ||
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
	static const struct bytes any = OID("\x55\x1d\x25\x00"),
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
		if (der_expect(&list, DER_OID, &purpose) || bytes_equal(purpose, any) ||
		    bytes_equal(purpose, ocsp_signing))
			return false;
		is_ra |= bytes_equal(purpose, ra);
		is_client |= bytes_equal(purpose, client);
	}
	return !(is_ra && is_client);
}

/* OCSP signing, and nothing else; and it says that itself is not asked after (RFC 6960 4.2.2.2.1). */
static bool only_answers_ocsp(const struct gate *gate, const struct tbs *t)
{
	const struct extension *x = find(t, extended_key_usage), *nocheck = find(t, ocsp_nocheck);
	struct bytes value = x ? x->value : bytes_of(NULL, 0), list, purpose;

	return der_expect(&value, DER_SEQUENCE, &list) == 0 && value.len == 0 &&
	       der_expect(&list, DER_OID, &purpose) == 0 && list.len == 0 && bytes_equal(purpose, ocsp_signing) &&
	       nocheck && bytes_equal(nocheck->value, bytes_of("\x05\x00", 2));
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

static bool is_self_issued(const struct gate *gate, const struct tbs *t)
{
	return bytes_equal(t->issuer, t->subject);
}

static bool is_its_own(const struct gate *gate, const struct tbs *t)
{
	return is_self_issued(gate, t) && bytes_equal(t->spki, gate->spki);
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

static const struct line for_responders[] = {
	{ is_of_this_issuer, "the issuer is not the one that this key belongs to" },
	{ is_no_authority, "a responder is no authority" },
	{ signs_neither_certificates_nor_lists, "its key usage would let it sign certificates or revocation lists" },
	{ only_answers_ocsp, "a responder's extended key usage is OCSP signing alone, with id-pkix-ocsp-nocheck" },
	{ is_valid_while_its_issuer_is, "it would be valid when its issuer is not" },
	{ names_the_issuers_key, "its authority key identifier is not the issuer's" },
	{ knows_what_is_critical, "a critical extension in it is unknown here" },
	{ 0 },
};

static const struct line for_crosses[] = {
	{ is_of_this_issuer, "the issuer is not the one that this key belongs to" },
	{ is_self_issued, "a cross certificate is for the same subject" },
	{ is_an_authority, "a cross certificate is that of an authority" },
	{ is_valid_while_its_issuer_is, "it would be valid when its issuer is not" },
	{ has_another_key, "it is for the key of the authority itself" },
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

/* Which lines measure it. Its key decides: only of keys that lie here is more believed than of all others. */
static const struct line *lines_for(const struct gate *gate, const struct gate_neighbours *n, const struct tbs *t)
{
	if (!gate->issuer.len)
		return for_its_own;
	if (n->has_responder(n->arg, t->spki))
		return for_responders;
	return n->has_authority(n->arg, t->spki, t->subject) ? for_crosses : for_others;
}

const char *gate_refuses(const struct gate *gate, const struct gate_neighbours *neighbours, struct bytes tbs)
{
	const char *why;
	struct tbs t;

	if (read_tbs(&t, tbs))
		return "that is no TBSCertificate";
	why = hold(for_all, gate, &t);
	return why ? why : hold(lines_for(gate, neighbours, &t), gate, &t);
}

/* RFC 2986 4.1. A Name begins with a SET, where the AlgorithmIdentifier of a certificate has its OID. */
const char *gate_refuses_request(const struct gate *gate, struct bytes info)
{
	struct bytes in, version, name, whole, rdns, rdn, spki, attributes;

	if (der_check(info, 16) || der_expect(&info, DER_SEQUENCE, &in) || info.len ||
	    der_expect(&in, DER_INTEGER, &version) || !bytes_equal(version, bytes_of("\0", 1)) ||
	    read_element(&in, &name) || read_element(&in, &spki) || der_expect(&in, DER_CONTEXT_0, &attributes) ||
	    in.len)
		return "that is no certification request";
	whole = name;
	if (der_expect(&whole, DER_SEQUENCE, &rdns) || der_expect(&rdns, DER_SET, &rdn))
		return "the certification request has no subject";
	if (!bytes_equal(spki, gate->spki))
		return "the certification request is for another key";
	return gate->issuer.len && !bytes_equal(name, gate->issuer) ? "the certification request has another subject"
								    : NULL;
}

int gate_hash_key(struct gate *gate)
{
	struct bytes spki = gate->spki, content, algorithm, bits;
	uint8_t hash[DIGEST_MAX];

	if (der_expect(&spki, DER_SEQUENCE, &content) || read_element(&content, &algorithm) ||
	    der_expect(&content, DER_BIT_STRING, &bits) || bits.len < 2 ||
	    digest_of(DIGEST_SHA1, bytes_of(bits.ptr + 1, bits.len - 1), hash))
		return -EINVAL;
	memcpy(gate->key_hash, hash, sizeof(gate->key_hash));
	return 0;
}

/* The next certificate. RFC 5280 4.1: the algorithm stands in it twice, and is the same. */
static int read_certificate(struct bytes *in, struct tbs *t, struct gate_signature *made)
{
	struct bytes content, bits;

	if (der_expect(in, DER_SEQUENCE, &content) || read_element(&content, &made->tbs) ||
	    read_element(&content, &made->algorithm) || der_expect(&content, DER_BIT_STRING, &bits) || content.len ||
	    bits.len < 2 || bits.ptr[0] != 0 || read_tbs(t, made->tbs) || !bytes_equal(made->algorithm, t->algorithm))
		return -EINVAL;
	made->signature = bytes_of(bits.ptr + 1, bits.len - 1);
	return 0;
}

static const char no_ca[] = "the CA certificate does not belong to this key or is no CA certificate";

/* Behind a certificate, the one whose key signed it, and so on. That of the last may be anywhere: the one before it
 * vouches for its own key, not for itself. */
static const char *read_issuers(struct bytes issuer, struct bytes in, struct gate_signature *made, size_t *n)
{
	struct gate_signature next;
	struct tbs t;

	if (!in.len)
		return "the CA certificate was issued by another authority, whose certificate must follow it";
	while (in.len) {
		if (*n == GATE_CHAIN_MAX)
			return "too many certificates follow the CA certificate";
		if (read_certificate(&in, &t, &next) || !is_an_authority(NULL, &t) ||
		    !bytes_equal(t.subject, issuer) || !has_strong_key(NULL, &t))
			return "what follows the CA certificate is not the certificate of its issuer";
		made[*n - 1].spki = t.spki;
		issuer = t.issuer;
		if (in.len)
			made[(*n)++] = next;
	}
	return NULL;
}

const char *gate_read_issuer(struct gate *gate, struct bytes certificates, struct gate_signature *made, size_t *n)
{
	struct bytes in = certificates, value;
	const struct extension *x;
	const char *wrong = NULL;
	struct tbs t;

	*n = 1;
	if (read_certificate(&in, &t, made) || !bytes_equal(t.spki, gate->spki) || !is_an_authority(gate, &t))
		return no_ca;
	made->spki = t.spki;
	if (!is_its_own(gate, &t))
		wrong = read_issuers(t.issuer, in, made, n);
	else if (in.len)
		wrong = no_ca;
	else if (!has_algorithm(gate, &t))
		wrong = "the CA certificate is signed with an algorithm that is not the one of this key";
	x = find(&t, subject_key_identifier);
	value = x ? x->value : bytes_of(NULL, 0);
	if (!wrong && x && (der_expect(&value, DER_OCTET_STRING, &gate->key_identifier) || value.len))
		wrong = no_ca;
	if (wrong)
		return wrong;
	gate->issuer = t.subject;
	memcpy(gate->not_before, t.not_before, sizeof(t.not_before));
	memcpy(gate->not_after, t.not_after, sizeof(t.not_after));
	return NULL;
}
