/* PKCS#10, as far as it is needed.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "protocols/csr.h"

#include <errno.h>
#include <stdlib.h>

#include "core/base/der.h"
#include "core/base/own.h"
#include "core/base/utf8.h"
#include "protocols/signed_der.h"

#define CONSTRUCTED 0x20

#define BYTES(s) { (const uint8_t *)(s), sizeof(s) - 1 }

static bool is_alt_name(struct bytes oid)
{
	static const struct bytes id = BYTES("\x55\x1d\x11"); /* id-ce-subjectAltName */

	return bytes_equal(oid, id);
}

static int read_extension(struct proto_csr *csr, struct bytes extension)
{
	struct bytes oid, critical, value;

	if (der_expect(&extension, DER_OID, &oid))
		return -EINVAL;
	if (extension.len && extension.ptr[0] == DER_BOOLEAN && der_expect(&extension, DER_BOOLEAN, &critical))
		return -EINVAL;
	if (der_expect(&extension, DER_OCTET_STRING, &value) || extension.len)
		return -EINVAL;
	if (!is_alt_name(oid))
		return 0;
	if (csr->alt_names.ptr)
		return -EINVAL;
	return der_expect(&value, DER_SEQUENCE, &csr->alt_names) || value.len ? -EINVAL : 0;
}

/* RFC 2985 5.4.2: one value, which is the list. */
static int read_extensions(struct proto_csr *csr, struct bytes values)
{
	struct bytes list, extension;

	if (der_expect(&values, DER_SEQUENCE, &list) || values.len)
		return -EINVAL;
	while (list.len)
		if (der_expect(&list, DER_SEQUENCE, &extension) || read_extension(csr, extension))
			return -EINVAL;
	return 0;
}

/* One value, a string of whatever kind. */
static int read_string(struct bytes values, unsigned *tag, struct bytes *out)
{
	if (out->ptr || der_read(&values, tag, out, NULL) || values.len)
		return -EINVAL;
	return *tag & CONSTRUCTED ? -EINVAL : 0;
}

static int read_challenge(struct proto_csr *csr, struct bytes values)
{
	return read_string(values, &csr->challenge_tag, &csr->challenge);
}

static int read_link(struct proto_csr *csr, struct bytes values)
{
	unsigned tag;

	return read_string(values, &tag, &csr->link);
}

/* One value of this tag, which is not empty. */
static int read_only(struct bytes values, unsigned tag, struct bytes *out)
{
	if (out->ptr || der_expect(&values, tag, out) || values.len)
		return -EINVAL;
	return out->len ? 0 : -EINVAL;
}

static int read_shared_key(struct proto_csr *csr, struct bytes values)
{
	return read_only(values, DER_OCTET_STRING, &csr->shared_key);
}

static int read_public_key(struct proto_csr *csr, struct bytes values)
{
	return read_only(values, DER_OCTET_STRING, &csr->public_key);
}

static int read_capabilities(struct proto_csr *csr, struct bytes values)
{
	return read_only(values, DER_SEQUENCE, &csr->capabilities);
}

static const struct {
	struct bytes oid;
	int (*read)(struct proto_csr *csr, struct bytes values);
} attributes[] = {
	{ BYTES("\x2a\x86\x48\x86\xf7\x0d\x01\x09\x07"), read_challenge },
	{ BYTES("\x2a\x86\x48\x86\xf7\x0d\x01\x09\x0e"), read_extensions },
	{ BYTES("\x2a\x86\x48\x86\xf7\x0d\x01\x09\x10\x02\x25"), read_shared_key },
	{ BYTES("\x2a\x86\x48\x86\xf7\x0d\x01\x09\x10\x02\x3a"), read_link },
	{ BYTES("\x2a\x86\x48\x86\xf7\x0d\x01\x09\x10\x02\x36"), read_public_key },
	{ BYTES("\x2a\x86\x48\x86\xf7\x0d\x01\x09\x0f"), read_capabilities },
};

static int read_attribute(struct proto_csr *csr, struct bytes attribute)
{
	struct bytes oid, values;

	if (der_expect(&attribute, DER_OID, &oid) || der_expect(&attribute, DER_SET, &values) || attribute.len)
		return -EINVAL;
	for (size_t i = 0; i < sizeof(attributes) / sizeof(*attributes); i++)
		if (bytes_equal(oid, attributes[i].oid))
			return attributes[i].read(csr, values);
	return 0;
}

int proto_csr_read(struct proto_csr *out, struct bytes der)
{
	struct bytes info, version, content, list, attribute;
	struct signed_der s;
	unsigned tag;

	if (signed_der_split(der, &s))
		return -EINVAL;
	*out = (struct proto_csr){ .der = der, .signed_part = s.signed_part, .algorithm = s.algorithm,
				   .signature = s.signature };
	info = s.info;
	if (der_expect(&info, DER_INTEGER, &version))
		return -EINVAL;
	if (der_read(&info, &tag, &content, &out->subject) || tag != DER_SEQUENCE)
		return -EINVAL;
	if (der_read(&info, &tag, &content, &out->spki) || tag != DER_SEQUENCE)
		return -EINVAL;
	list = bytes_of(NULL, 0);
	if (info.len && (der_expect(&info, DER_CONTEXT_0, &list) || info.len))
		return -EINVAL;
	while (list.len)
		if (der_expect(&list, DER_SEQUENCE, &attribute) || read_attribute(out, attribute))
			return -EINVAL;
	return 0;
}

/* The strings that a challengePassword may be (RFC 2985 5.4.1), and IA5String, which clients write as well. What stands
 * in a TeletexString is Latin-1 in practice. */
static const struct string_kind {
	unsigned tag;
	size_t width; /* octets of a character; 0: it is UTF-8, or a part of that */
} string_kinds[] = {
	{ 0x0c, 0 }, /* UTF8String */
	{ 0x13, 0 }, /* PrintableString */
	{ 0x16, 0 }, /* IA5String */
	{ 0x14, 1 }, /* TeletexString */
	{ 0x1e, 2 }, /* BMPString */
	{ 0x1c, 4 }, /* UniversalString */
};

static int write_characters(struct bytes in, size_t width, struct buf *out)
{
	int e = in.len % width ? -EINVAL : 0;

	for (size_t i = 0; !e && i < in.len; i += width) {
		uint32_t character = 0;

		for (size_t k = 0; k < width; k++)
			character = character << 8 | in.ptr[i + k];
		e = character ? utf8_append(out, character) : -EINVAL;
	}
	return e;
}

int proto_csr_challenge(const struct proto_csr *csr, struct arena *arena, struct bytes *out)
{
	struct bytes in = csr->challenge;
	OWNED_BUF text = BUF_INIT(4 * in.len + 1);
	const struct string_kind *kind = NULL;
	int e;

	for (size_t i = 0; i < sizeof(string_kinds) / sizeof(*string_kinds); i++)
		if (string_kinds[i].tag == csr->challenge_tag)
			kind = &string_kinds[i];
	if (!kind)
		return -EINVAL;
	*out = in;
	if (!kind->width || !in.len)
		return utf8_is_text(in) ? 0 : -EINVAL;
	e = write_characters(in, kind->width, &text);
	if (!e)
		*out = arena_copy(arena, buf_bytes(&text));
	buf_wipe(&text);
	return e ? e : out->ptr ? 0 : -ENOMEM;
}

static int compare_names(const void *a, const void *b)
{
	const struct bytes *x = a, *y = b;
	int order = memcmp(x->ptr, y->ptr, x->len < y->len ? x->len : y->len);

	return order ? order : (x->len > y->len) - (x->len < y->len);
}

int proto_csr_names(const struct proto_csr *csr, struct arena *arena, uint8_t out[static SHA256_SIZE])
{
	struct bytes rest = csr->alt_names, content, *names;
	size_t max = rest.len / 2, n = 0, kept = 0; /* none is shorter than its tag and length */
	unsigned tag;

	names = arena_alloc(arena, (max + 1) * sizeof(*names));
	if (!names)
		return -ENOMEM;
	/* What is malformed at the end is a name too: the core will refuse it. */
	while (rest.len && der_read(&rest, &tag, &content, &names[n]) == 0)
		n++;
	if (rest.len)
		names[n++] = rest;
	qsort(names, n, sizeof(*names), compare_names);
	for (size_t i = 0; i < n; i++)
		if (i == 0 || !bytes_equal(names[i], names[kept - 1]))
			names[kept++] = names[i];
	return digest_sha256_pieces(names, kept, out);
}
