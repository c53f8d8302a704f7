/* The messages of OCSP.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "core/ocsp_message.h"

#include <errno.h>
#include <time.h>

#include "core/base/der.h"
#include "core/base/own.h"

#define DEPTH_MAX 16
#define EXTENSIONS_MAX 16
#define SERIAL_MAX 21 /* RFC 5280 4.1.2.2: 20 octets, and one for the sign */

enum {
	DER_NULL = 0x05,
	DER_ENUMERATED = 0x0a,
	DER_GENERALIZED_TIME = 0x18,
	DER_CONTEXT_1 = 0xa1,
	DER_CONTEXT_2 = 0xa2,
};

#define BYTES(s) { (const uint8_t *)(s), sizeof(s) - 1 }

static const struct bytes oid_nonce = BYTES("\x2b\x06\x01\x05\x05\x07\x30\x01\x02");
static const struct bytes oid_basic = BYTES("\x2b\x06\x01\x05\x05\x07\x30\x01\x01");
static const struct bytes oid_acceptable = BYTES("\x2b\x06\x01\x05\x05\x07\x30\x01\x04");

/* ---- reading ---- */

static int malformed(const char **why, const char *words)
{
	*why = words;
	return OCSP_OUTCOME_MALFORMED_REQUEST;
}

static bool is_next(struct bytes in, unsigned tag)
{
	return in.len && in.ptr[0] == tag;
}

static enum digest_kind digest_named(struct bytes oid)
{
	static const struct bytes oids[] = {
		[DIGEST_SHA1] = BYTES("\x2b\x0e\x03\x02\x1a"),
		[DIGEST_SHA256] = BYTES("\x60\x86\x48\x01\x65\x03\x04\x02\x01"),
		[DIGEST_SHA384] = BYTES("\x60\x86\x48\x01\x65\x03\x04\x02\x02"),
	};
	enum digest_kind kind = DIGEST_SHA1;

	while (kind < DIGEST_KINDS_ && !bytes_equal(oids[kind], oid))
		kind++;
	return kind;
}

/* A digest's AlgorithmIdentifier: parameters NULL or absent (RFC 5754 2). */
static int read_digest(struct bytes *in, enum digest_kind *kind)
{
	struct bytes algorithm, oid, null;

	if (der_expect(in, DER_SEQUENCE, &algorithm) || der_expect(&algorithm, DER_OID, &oid) || oid.len == 0)
		return -EINVAL;
	*kind = digest_named(oid);
	if (*kind == DIGEST_KINDS_)
		return der_check(algorithm, DEPTH_MAX);
	if (algorithm.len && (der_expect(&algorithm, DER_NULL, &null) || null.len || algorithm.len))
		return -EINVAL;
	return 0;
}

/* X.690 8.3.2: no octet more than the number needs. */
static bool is_shortest(struct bytes integer)
{
	if (integer.len == 0 || integer.len > SERIAL_MAX)
		return false;
	return integer.len == 1 || !((integer.ptr[0] == 0 && integer.ptr[1] < 0x80) ||
				     (integer.ptr[0] == 0xff && integer.ptr[1] >= 0x80));
}

static int read_cert_id(struct bytes *in, struct ocsp_cert_id *id)
{
	struct bytes content;
	unsigned tag;

	if (der_read(in, &tag, &content, &id->whole) || tag != DER_SEQUENCE || read_digest(&content, &id->digest) ||
	    der_expect(&content, DER_OCTET_STRING, &id->name_hash) ||
	    der_expect(&content, DER_OCTET_STRING, &id->key_hash) || der_expect(&content, DER_INTEGER, &id->serial) ||
	    content.len || !is_shortest(id->serial))
		return -EINVAL;
	if (id->digest == DIGEST_KINDS_)
		return 0;
	return id->name_hash.len == digest_size(id->digest) && id->key_hash.len == id->name_hash.len ? 0 : -EINVAL;
}

struct extension {
	struct bytes oid, value;
	bool is_critical;
};

/* DER: a criticality of FALSE is not written. */
static int read_extension(struct bytes *list, struct extension *out)
{
	struct bytes content, flag;

	*out = (struct extension){ 0 };
	if (der_expect(list, DER_SEQUENCE, &content) || der_expect(&content, DER_OID, &out->oid) || out->oid.len == 0)
		return -EINVAL;
	if (is_next(content, DER_BOOLEAN)) {
		if (der_expect(&content, DER_BOOLEAN, &flag) || flag.len != 1 || flag.ptr[0] != 0xff)
			return -EINVAL;
		out->is_critical = true;
	}
	return der_expect(&content, DER_OCTET_STRING, &out->value) || content.len ? -EINVAL : 0;
}

/* RFC 9654 2.1: an OCTET STRING of 1 to 128 octets inside the extension's own. */
static int take_nonce(struct ocsp_request *out, struct bytes value)
{
	if (der_expect(&value, DER_OCTET_STRING, &out->nonce) || value.len)
		return -EINVAL;
	return out->nonce.len >= 1 && out->nonce.len <= OCSP_NONCE_MAX ? 0 : -EINVAL;
}

/* RFC 6960 4.4.3: the basic response, which is the only one here, must be among those that the client takes. */
static int take_acceptable(struct ocsp_request *out, struct bytes value)
{
	struct bytes list, oid;
	bool has_basic = false;

	if (der_expect(&value, DER_SEQUENCE, &list) || value.len || list.len == 0)
		return -EINVAL;
	while (list.len) {
		if (der_expect(&list, DER_OID, &oid) || oid.len == 0)
			return -EINVAL;
		has_basic |= bytes_equal(oid, oid_basic);
	}
	return has_basic ? 0 : -EINVAL;
}

static const struct {
	const struct bytes *oid;
	int (*take)(struct ocsp_request *out, struct bytes value);
} known_extensions[] = { { &oid_nonce, take_nonce }, { &oid_acceptable, take_acceptable } };
#define N_KNOWN (sizeof(known_extensions) / sizeof(*known_extensions))

static int take_extension(struct ocsp_request *out, const struct extension *x, const char **why)
{
	for (size_t i = 0; i < N_KNOWN; i++)
		if (bytes_equal(*known_extensions[i].oid, x->oid))
			return known_extensions[i].take(out, x->value) ?
				       malformed(why, "an extension is not as its RFC writes it") :
				       0;
	return x->is_critical ? malformed(why, "a critical extension is not known here") : 0;
}

/* `in`: what the explicit tag holds. `out` NULL: those of one certificate, of which none is known here. */
static int read_extensions(struct bytes in, struct ocsp_request *out, const char **why)
{
	struct bytes list, seen[EXTENSIONS_MAX];
	size_t n = 0;
	int e = 0;

	if (der_expect(&in, DER_SEQUENCE, &list) || in.len || list.len == 0)
		return malformed(why, "the extensions are no list");
	while (!e && list.len) {
		struct extension x;

		if (n == EXTENSIONS_MAX || read_extension(&list, &x))
			return malformed(why, "an extension is not DER, or there are too many");
		for (size_t i = 0; i < n; i++)
			if (bytes_equal(seen[i], x.oid))
				return malformed(why, "an extension is there twice");
		seen[n++] = x.oid;
		if (out)
			e = take_extension(out, &x, why);
		else if (x.is_critical)
			e = malformed(why, "a critical extension is not known here");
	}
	return e;
}

static int read_single(struct bytes *list, struct ocsp_request *out, const char **why)
{
	struct bytes content, extensions;

	if (out->n_ids == OCSP_CERTS_MAX)
		return malformed(why, "it asks about too many certificates");
	if (der_expect(list, DER_SEQUENCE, &content) || read_cert_id(&content, &out->ids[out->n_ids]))
		return malformed(why, "a CertID is not DER, or not as RFC 6960 writes it");
	out->n_ids++;
	if (is_next(content, DER_CONTEXT_0)) {
		if (der_expect(&content, DER_CONTEXT_0, &extensions))
			return malformed(why, "the extensions are not DER");
		if (read_extensions(extensions, NULL, why))
			return OCSP_OUTCOME_MALFORMED_REQUEST;
	}
	return content.len ? malformed(why, "something stands behind a CertID") : 0;
}

/* RFC 6960 4.1.1. Version 1 is the default, which DER does not write. */
static int read_tbs(struct bytes tbs, struct ocsp_request *out, const char **why)
{
	struct bytes list, name;
	int e = 0;

	if (is_next(tbs, DER_CONTEXT_1) && (der_expect(&tbs, DER_CONTEXT_1, &name) || der_check(name, DEPTH_MAX)))
		return malformed(why, "requestorName is not DER");
	if (der_expect(&tbs, DER_SEQUENCE, &list) || list.len == 0)
		return malformed(why, "it is no TBSRequest of version 1 with a list of certificates");
	while (!e && list.len)
		e = read_single(&list, out, why);
	if (!e && is_next(tbs, DER_CONTEXT_2)) {
		struct bytes extensions;

		if (der_expect(&tbs, DER_CONTEXT_2, &extensions))
			return malformed(why, "the extensions are not DER");
		e = read_extensions(extensions, out, why);
	}
	return e ? e : tbs.len ? malformed(why, "something stands behind the TBSRequest") : 0;
}

int ocsp_request_read(struct ocsp_request *out, struct bytes der, const char **why)
{
	struct bytes request, tbs, signature;

	*out = (struct ocsp_request){ 0 };
	if (der.len > OCSP_REQUEST_MAX)
		return malformed(why, "it is too large");
	if (der_expect(&der, DER_SEQUENCE, &request) || der.len || der_expect(&request, DER_SEQUENCE, &tbs))
		return malformed(why, "it is no OCSPRequest in DER");
	/* Everybody gets an answer: whose signature it is makes no difference. */
	if (request.len && (der_expect(&request, DER_CONTEXT_0, &signature) || request.len ||
			    der_check(signature, DEPTH_MAX)))
		return malformed(why, "something else than a signature stands behind the TBSRequest");
	return read_tbs(tbs, out, why);
}

/* ---- writing ---- */

static int write_time(struct buf *out, unsigned wrap, int64_t seconds)
{
	OWNED_BUF element = BUF_INIT(64);
	time_t t = (time_t)seconds;
	char text[24];
	struct tm tm;

	if (!gmtime_r(&t, &tm) || tm.tm_year < 50 || tm.tm_year > 9999 - 1900)
		return -EINVAL;
	strftime(text, sizeof(text), "%Y%m%d%H%M%SZ", &tm);
	if (!wrap)
		return der_write(out, DER_GENERALIZED_TIME, bytes_of_str(text));
	if (der_write(&element, DER_GENERALIZED_TIME, bytes_of_str(text)))
		return -ENOMEM;
	return der_write(out, wrap, buf_bytes(&element));
}

static int write_revoked(const struct ocsp_single *s, struct buf *out)
{
	const uint8_t reason[] = { DER_ENUMERATED, 1, (uint8_t)s->reason };
	OWNED_BUF info = BUF_INIT(64);
	int e = write_time(&info, 0, s->revoked_s);

	if (!e && s->reason)
		e = der_write(&info, DER_CONTEXT_0, bytes_of(reason, sizeof(reason)));
	return e ? e : der_write(out, DER_CONTEXT_1, buf_bytes(&info));
}

static int write_single(const struct ocsp_response *r, const struct ocsp_single *s, struct buf *out)
{
	OWNED_BUF content = BUF_INIT(OCSP_REQUEST_MAX + 256);
	int e = buf_append(&content, s->cert_id);

	if (!e && s->status == OCSP_STATUS_REVOKED)
		e = write_revoked(s, &content);
	else if (!e)
		e = der_write(&content, s->status == OCSP_STATUS_GOOD ? 0x80 : 0x82, bytes_of(NULL, 0));
	if (!e)
		e = write_time(&content, 0, r->this_update_s);
	if (!e)
		e = write_time(&content, DER_CONTEXT_0, r->next_update_s);
	return e ? e : der_write(out, DER_SEQUENCE, buf_bytes(&content));
}

static int write_nonce(struct bytes nonce, struct buf *out)
{
	OWNED_BUF value = BUF_INIT(256);
	OWNED_BUF extension = BUF_INIT(512);
	OWNED_BUF sequence = BUF_INIT(512);
	OWNED_BUF list = BUF_INIT(512);

	der_write(&value, DER_OCTET_STRING, nonce);
	der_write(&extension, DER_OID, oid_nonce);
	der_write(&extension, DER_OCTET_STRING, buf_bytes(&value));
	der_write(&sequence, DER_SEQUENCE, buf_bytes(&extension));
	der_write(&list, DER_SEQUENCE, buf_bytes(&sequence));
	if (buf_status(&value) || buf_status(&extension) || buf_status(&sequence) || buf_status(&list))
		return -ENOMEM;
	return der_write(out, DER_CONTEXT_1, buf_bytes(&list));
}

int ocsp_data_write(const struct ocsp_response *r, struct buf *out)
{
	OWNED_BUF responder = BUF_INIT(64);
	OWNED_BUF singles = BUF_INIT(OCSP_RESPONSE_MAX);
	OWNED_BUF data = BUF_INIT(OCSP_RESPONSE_MAX);
	int e = der_write(&responder, DER_OCTET_STRING, r->key_hash);

	for (size_t i = 0; !e && i < r->n_singles; i++)
		e = write_single(r, &r->singles[i], &singles);
	if (!e)
		e = der_write(&data, DER_CONTEXT_2, buf_bytes(&responder));
	/* What is said was read from the store at this moment: it was produced when it was known. */
	if (!e)
		e = write_time(&data, 0, r->this_update_s);
	if (!e)
		e = der_write(&data, DER_SEQUENCE, buf_bytes(&singles));
	if (!e && r->nonce.len)
		e = write_nonce(r->nonce, &data);
	return e ? e : der_write(out, DER_SEQUENCE, buf_bytes(&data));
}

static int write_basic(struct bytes data, struct bytes algorithm, struct bytes signature, struct bytes certificate,
		       struct buf *out)
{
	OWNED_BUF bits = BUF_INIT(4096);
	OWNED_BUF certificates = BUF_INIT(OCSP_RESPONSE_MAX);
	OWNED_BUF content = BUF_INIT(OCSP_RESPONSE_MAX);

	buf_append_char(&bits, 0);
	buf_append(&bits, signature);
	der_write(&certificates, DER_SEQUENCE, certificate);
	buf_append(&content, data);
	buf_append(&content, algorithm);
	der_write(&content, DER_BIT_STRING, buf_bytes(&bits));
	der_write(&content, DER_CONTEXT_0, buf_bytes(&certificates));
	if (buf_status(&bits) || buf_status(&certificates) || buf_status(&content))
		return -EMSGSIZE;
	return der_write(out, DER_SEQUENCE, buf_bytes(&content));
}

int ocsp_response_write(struct bytes data, struct bytes algorithm, struct bytes signature, struct bytes certificate,
			struct buf *out)
{
	static const uint8_t successful[] = { DER_ENUMERATED, 1, OCSP_OUTCOME_SUCCESSFUL };
	OWNED_BUF basic = BUF_INIT(OCSP_RESPONSE_MAX);
	OWNED_BUF octets = BUF_INIT(OCSP_RESPONSE_MAX);
	OWNED_BUF response = BUF_INIT(OCSP_RESPONSE_MAX);
	OWNED_BUF content = BUF_INIT(OCSP_RESPONSE_MAX);

	if (write_basic(data, algorithm, signature, certificate, &basic))
		return -EMSGSIZE;
	der_write(&octets, DER_OID, oid_basic);
	der_write(&octets, DER_OCTET_STRING, buf_bytes(&basic));
	der_write(&response, DER_SEQUENCE, buf_bytes(&octets));
	buf_append(&content, bytes_of(successful, sizeof(successful)));
	der_write(&content, DER_CONTEXT_0, buf_bytes(&response));
	if (buf_status(&octets) || buf_status(&response) || buf_status(&content))
		return -EMSGSIZE;
	return der_write(out, DER_SEQUENCE, buf_bytes(&content));
}

int ocsp_failure_write(enum ocsp_outcome outcome, struct buf *out)
{
	const uint8_t response[] = { DER_SEQUENCE, 3, DER_ENUMERATED, 1, (uint8_t)outcome };

	return buf_append(out, bytes_of(response, sizeof(response)));
}
