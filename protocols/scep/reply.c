/* Writing CertReps.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "protocols/scep/reply.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>

#include "core/base/der.h"
#include "core/base/digest.h"
#include "core/base/own.h"
#include "protocols/scep/certificate_id.h"
#include "protocols/scep/oids.h"

#define NONCE_SIZE 16
#define PART_MAX ((size_t)512 << 10)
#define PRINTABLE_STRING 0x13
#define UTF8_STRING 0x0c
#define ATTRIBUTES_MAX 10
#define CERTIFICATES 0xa0
#define SIGNED_ATTRIBUTES 0xa0

#define OCTETS(text) bytes_of(text, sizeof(text) - 1)

/* ---- signed attributes ---- */

struct list {
	struct arena *arena;
	struct bytes items[ATTRIBUTES_MAX];
	size_t n;
	int e; /* of the first that failed */
};

/* One value. */
static void add(struct list *l, struct bytes oid, unsigned tag, struct bytes value)
{
	OWNED_BUF set = BUF_INIT(PART_MAX), attribute = BUF_INIT(PART_MAX), whole = BUF_INIT(PART_MAX);
	int e = der_write(&set, tag, value);

	if (!e)
		e = der_write(&attribute, DER_OID, oid);
	if (!e)
		e = der_write(&attribute, DER_SET, buf_bytes(&set));
	if (!e)
		e = der_write(&whole, DER_SEQUENCE, buf_bytes(&attribute));
	if (!e && l->n == ATTRIBUTES_MAX)
		e = -EMSGSIZE;
	if (!e) {
		l->items[l->n] = arena_copy(l->arena, buf_bytes(&whole));
		e = l->items[l->n++].ptr ? 0 : -ENOMEM;
	}
	if (e && !l->e)
		l->e = e;
}

static void add_number(struct list *l, struct bytes oid, int number)
{
	char text[12];

	snprintf(text, sizeof(text), "%d", number);
	add(l, oid, PRINTABLE_STRING, bytes_of_str(text));
}

/* The order of a SET OF in DER (X.690 11.6). */
static int by_octets(const void *x, const void *y)
{
	const struct bytes *a = x, *b = y;
	int d = memcmp(a->ptr, b->ptr, a->len < b->len ? a->len : b->len);

	return d ? d : a->len < b->len ? -1 : a->len > b->len;
}

static void add_fail(struct list *l, const struct scep_reply *r)
{
	size_t n = r->fail_text ? strlen(r->fail_text) : 0;

	add_number(l, OID(OID_FAIL_INFO), r->fail);
	while (n > SCEP_FAIL_TEXT_MAX || (n && (r->fail_text[n] & 0xc0) == 0x80))
		n--;
	if (n)
		add(l, OID(OID_FAIL_INFO_TEXT), UTF8_STRING, bytes_of(r->fail_text, n));
}

/* What every signature is over (RFC 5652 5.3). */
static int add_content(struct list *l, const struct scep_digest *digest, struct bytes content)
{
	uint8_t hash[EVP_MAX_MD_SIZE];

	if (!scep_digest_make(digest, content, hash))
		return -EIO;
	add(l, OID(OID_CONTENT_TYPE), DER_OID, OID(OID_DATA));
	add(l, OID(OID_MESSAGE_DIGEST), DER_OCTET_STRING, bytes_of(hash, digest->size));
	return 0;
}

/* The content of the SET. */
static int write_list(struct list *l, struct buf *out)
{
	if (l->e)
		return l->e;
	qsort(l->items, l->n, sizeof(*l->items), by_octets);
	for (size_t i = 0; i < l->n; i++)
		buf_append(out, l->items[i]);
	return buf_status(out);
}

static int write_attributes(const struct scep_reply *r, const struct scep_digest *digest, struct arena *arena,
			    struct buf *out)
{
	struct list l = { .arena = arena };
	uint8_t nonce[NONCE_SIZE];

	if (add_content(&l, digest, r->envelope) || random_octets(nonce, sizeof(nonce)))
		return -EIO;
	add_number(&l, OID(OID_MESSAGE_TYPE), SCEP_CERT_REP);
	add_number(&l, OID(OID_PKI_STATUS), (int)r->status);
	if (r->status == SCEP_FAILURE)
		add_fail(&l, r);
	add(&l, OID(OID_SENDER_NONCE), DER_OCTET_STRING, bytes_of(nonce, sizeof(nonce)));
	if (r->to->sender_nonce.len)
		add(&l, OID(OID_RECIPIENT_NONCE), DER_OCTET_STRING, r->to->sender_nonce);
	add(&l, OID(OID_TRANSACTION_ID), PRINTABLE_STRING, r->to->transaction_id);
	return write_list(&l, out);
}

/* ---- SignedData (RFC 5652 5.1) ---- */

/* What is in `b` becomes the content of an element with this tag. */
static int wrap(struct buf *b, unsigned tag)
{
	OWNED_BUF content = BUF_INIT(PART_MAX);
	int e = buf_append(&content, buf_bytes(b));

	buf_reset(b);
	return e ? e : der_write(b, tag, buf_bytes(&content));
}

static int write_algorithm(struct buf *out, const struct scep_digest *digest)
{
	OWNED_BUF algorithm = BUF_INIT(64);
	int e = der_write(&algorithm, DER_OID, digest->oid);

	return e ? e : der_write(out, DER_SEQUENCE, buf_bytes(&algorithm));
}

static int write_signer(const struct proto_ra *ra, const struct proto_ra_key *key, const struct scep_digest *digest,
			struct bytes attributes, struct buf *out)
{
	OWNED_BUF to_sign = BUF_INIT(PART_MAX), signature = BUF_INIT(1024);
	int e = der_write(&to_sign, DER_SET, attributes);

	if (!e)
		e = ra->sign(ra->state, key->number, digest->name, buf_bytes(&to_sign), &signature);
	if (!e)
		e = der_write(out, DER_INTEGER, bytes_of("\x01", 1));
	if (!e)
		e = scep_certificate_id_write(key->certificate, out);
	if (!e)
		e = write_algorithm(out, digest);
	if (!e)
		e = der_write(out, SIGNED_ATTRIBUTES, attributes);
	/* Some clients take this and no other for an RSA signature (RFC 3370 3.2). */
	if (!e)
		e = buf_append(out, OCTETS(RSA_ENCRYPTION));
	if (!e)
		e = der_write(out, DER_OCTET_STRING, buf_bytes(&signature));
	if (!e)
		e = wrap(out, DER_SEQUENCE);
	return e ? e : wrap(out, DER_SET);
}

/* encapContentInfo: octets that are there, even when there are none of them. */
static int write_content(struct bytes content, struct buf *out)
{
	OWNED_BUF octets = BUF_INIT(PART_MAX);
	int e = der_write(&octets, DER_OCTET_STRING, content);

	if (!e)
		e = der_write(out, DER_OID, OID(OID_DATA));
	if (!e)
		e = der_write(out, DER_CONTEXT_0, buf_bytes(&octets));
	return e ? e : wrap(out, DER_SEQUENCE);
}

static int write_certificates(const struct proto_ra_key *key, struct bytes others, struct buf *out)
{
	OWNED_BUF all = BUF_INIT(PART_MAX);
	int e = buf_append(&all, key->certificate);

	if (!e)
		e = buf_append(&all, others);
	return e ? e : der_write(out, CERTIFICATES, buf_bytes(&all));
}

/* What is signed, and what goes along. */
struct parts {
	const struct scep_digest *digest;
	struct bytes attributes; /* the content of the SET */
	struct bytes content;
	struct bytes others;     /* certificates */
};

static int write_signed_data(const struct parts *p, const struct proto_ra_key *key, struct bytes signer,
			     struct buf *out)
{
	OWNED_BUF digests = BUF_INIT(64), content = BUF_INIT(PART_MAX);
	int e = write_algorithm(&digests, p->digest);

	if (!e)
		e = write_content(p->content, &content);
	if (!e)
		e = der_write(out, DER_INTEGER, bytes_of("\x01", 1));
	if (!e)
		e = der_write(out, DER_SET, buf_bytes(&digests));
	if (!e)
		e = buf_append(out, buf_bytes(&content));
	if (!e)
		e = write_certificates(key, p->others, out);
	if (!e)
		e = buf_append(out, signer);
	return e ? e : wrap(out, DER_SEQUENCE);
}

static int write_message(const struct proto_ra *ra, const struct proto_ra_key *key, const struct parts *p,
			 struct buf *out)
{
	OWNED_BUF signer = BUF_INIT(PART_MAX), data = BUF_INIT(PART_MAX), whole = BUF_INIT(PART_MAX);
	int e = write_signer(ra, key, p->digest, p->attributes, &signer);

	if (!e)
		e = write_signed_data(p, key, buf_bytes(&signer), &data);
	if (!e)
		e = wrap(&data, DER_CONTEXT_0);
	if (!e)
		e = der_write(&whole, DER_OID, OID(OID_SIGNED_DATA));
	if (!e)
		e = buf_append(&whole, buf_bytes(&data));
	return e ? e : der_write(out, DER_SEQUENCE, buf_bytes(&whole));
}

int scep_reply_write(const struct proto_ra *ra, const struct proto_ra_key *key, const struct scep_reply *r,
		     struct arena *arena, struct buf *out)
{
	OWNED_BUF attributes = BUF_INIT(PART_MAX);
	struct parts p = { .digest = r->to->digest ? r->to->digest : scep_digest_default(), .content = r->envelope };
	int e = write_attributes(r, p.digest, arena, &attributes);

	p.attributes = buf_bytes(&attributes);
	return e ? e : write_message(ra, key, &p, out);
}

int scep_reply_write_plain(const struct proto_ra *ra, const struct proto_ra_key *key, struct bytes content,
			   struct bytes others, struct buf *out)
{
	OWNED_BUF attributes = BUF_INIT(PART_MAX);
	struct parts p = { .digest = scep_digest_default(), .content = content, .others = others };
	OWNED(arena) arena = NULL;
	struct list l = { 0 };
	int e = arena_new(&arena, PART_MAX);

	l.arena = arena;
	if (!e)
		e = add_content(&l, p.digest, content);
	if (!e)
		e = write_list(&l, &attributes);
	p.attributes = buf_bytes(&attributes);
	return e ? e : write_message(ra, key, &p, out);
}
