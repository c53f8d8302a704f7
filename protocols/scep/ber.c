/* BER to DER framing.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "protocols/scep/ber.h"

#include <errno.h>

#include "core/base/der.h"

#define CONSTRUCTED 0x20
#define PIECES (DER_OCTET_STRING | CONSTRUCTED)
#define TAG_NUMBER 0x1f
#define INDEFINITE 0x80

struct reading {
	unsigned depth, elements; /* left */
	size_t max;
};

struct head {
	unsigned tag;
	bool is_indefinite;
	struct bytes content; /* definite */
};

static int read_long_length(struct bytes *in, size_t n_octets, size_t *length)
{
	*length = 0;
	if (n_octets > sizeof(uint32_t) || in->len < n_octets)
		return -EINVAL;
	for (; n_octets; n_octets--) {
		*length = *length << 8 | in->ptr[0];
		*in = bytes_of(in->ptr + 1, in->len - 1);
	}
	return 0;
}

static int read_head(struct bytes *in, struct head *h)
{
	size_t length;

	if (in->len < 2 || (in->ptr[0] & TAG_NUMBER) == TAG_NUMBER)
		return -EINVAL;
	*h = (struct head){ .tag = in->ptr[0] };
	length = in->ptr[1];
	*in = bytes_of(in->ptr + 2, in->len - 2);
	if (length == INDEFINITE) {
		h->is_indefinite = true;
		return h->tag & CONSTRUCTED ? 0 : -EINVAL;
	}
	if (length > INDEFINITE && read_long_length(in, length & 0x7f, &length))
		return -EINVAL;
	if (length > in->len)
		return -EINVAL;
	h->content = bytes_of(in->ptr, length);
	*in = bytes_of(in->ptr + length, in->len - length);
	return 0;
}

/* The end of what has no length (8.1.5). */
static bool take_end(struct bytes *in)
{
	if (in->len < 2 || in->ptr[0] || in->ptr[1])
		return false;
	*in = bytes_of(in->ptr + 2, in->len - 2);
	return true;
}

static int convert(struct bytes *in, struct reading *r, unsigned within, struct buf *out);

/* Everything inside, from a content of known length or up to its end. */
static int convert_all(struct bytes *in, const struct head *h, struct reading *r, struct buf *out)
{
	struct bytes content = h->content;
	int e = 0;

	if (h->is_indefinite) {
		while (!e && !take_end(in))
			e = convert(in, r, h->tag, out);
		return e;
	}
	while (!e && content.len)
		e = convert(&content, r, h->tag, out);
	return e;
}

/* Pieces of a string are strings, and only their octets count. */
static int convert_pieces(struct bytes *in, const struct head *h, struct reading *r, unsigned within, struct buf *out)
{
	OWNED_BUF whole = BUF_INIT(r->max);
	int e = convert_all(in, h, r, &whole);

	if (e)
		return e;
	return within == PIECES ? buf_append(out, buf_bytes(&whole)) :
				  der_write(out, DER_OCTET_STRING, buf_bytes(&whole));
}

static int convert_constructed(struct bytes *in, const struct head *h, struct reading *r, unsigned within,
			       struct buf *out)
{
	OWNED_BUF content = BUF_INIT(r->max);
	int e;

	if (r->depth == 0)
		return -EINVAL;
	r->depth--;
	if (h->tag == PIECES)
		e = convert_pieces(in, h, r, within, out);
	else if (within == PIECES)
		e = -EINVAL;
	else
		e = convert_all(in, h, r, &content);
	r->depth++;
	return e || h->tag == PIECES ? e : der_write(out, h->tag, buf_bytes(&content));
}

/* One element; `within`: the tag of what it is a part of. */
static int convert(struct bytes *in, struct reading *r, unsigned within, struct buf *out)
{
	struct head h;

	if (r->elements-- == 0 || read_head(in, &h))
		return -EINVAL;
	if (h.tag & CONSTRUCTED)
		return convert_constructed(in, &h, r, within, out);
	if (within == PIECES)
		return h.tag == DER_OCTET_STRING ? buf_append(out, h.content) : -EINVAL;
	/* The end of contents that have a length. */
	return h.tag == 0 ? -EINVAL : der_write(out, h.tag, h.content);
}

int scep_ber_to_der(struct bytes in, struct buf *out)
{
	struct reading r = { SCEP_BER_DEPTH, SCEP_BER_ELEMENTS, in.len + 64 };
	int e;

	buf_reset(out);
	e = convert(&in, &r, DER_SEQUENCE, out);
	return e ? e : in.len ? -EINVAL : 0;
}
