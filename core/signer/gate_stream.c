/* The floor of what is signed in pieces.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "core/signer/gate_stream.h"

#include "core/base/der.h"

#define HELD_MAX 8192

enum { BY_NAME = 0xa1, BY_KEY = 0xa2, EXTENSIONS_OF_LIST = 0xa0, EXTENSIONS_OF_RESPONSE = 0xa1 };
enum { UTC_TIME = 0x17, GENERALIZED_TIME = 0x18 };

struct gate_part {
	unsigned tags[2];         /* one of these; 0: none */
	bool may_lack;
	/* Looked at whole, with its tag and length; NULL: it passes. */
	bool (*holds)(const struct gate *gate, struct bytes element);
	const char *why;
};

static bool is_version_2(const struct gate *gate, struct bytes element)
{
	return bytes_equal(element, bytes_of("\x02\x01\x01", 3));
}

static bool is_algorithm(const struct gate *gate, struct bytes element)
{
	return bytes_equal(element, gate->algorithm);
}

static bool is_issuer(const struct gate *gate, struct bytes element)
{
	return bytes_equal(element, gate->issuer);
}

static bool is_time(const struct gate *gate, struct bytes element)
{
	char time[GATE_TIME_SIZE];

	return gate_read_time(&element, time) == 0 && element.len == 0;
}

/* Both stand in explicit tags (RFC 6960 4.2.1). A key without a certificate of its own has no name here. */
static bool is_responder(const struct gate *gate, struct bytes element)
{
	struct bytes content, hash;

	if (der_expect(&element, BY_NAME, &content) == 0)
		return gate->issuer.len && bytes_equal(content, gate->issuer);
	return der_expect(&element, BY_KEY, &content) == 0 && der_expect(&content, DER_OCTET_STRING, &hash) == 0 &&
	       content.len == 0 && bytes_equal(hash, bytes_of(gate->key_hash, sizeof(gate->key_hash)));
}

static const struct gate_part parts_of_list[] = {
	{ { DER_INTEGER }, false, is_version_2, "it is no revocation list of version 2" },
	{ { DER_SEQUENCE }, false, is_algorithm, "its signature algorithm is not the one of this key" },
	{ { DER_SEQUENCE }, false, is_issuer, "the issuer is not the one that this key belongs to" },
	{ { UTC_TIME, GENERALIZED_TIME }, false, is_time, "it has no thisUpdate" },
	{ { UTC_TIME, GENERALIZED_TIME }, true, is_time, "its nextUpdate is no time" },
	{ { DER_SEQUENCE }, true, NULL, NULL },
	{ { EXTENSIONS_OF_LIST }, false, NULL, NULL },
	{ { 0 }, false, NULL, NULL },
};

static const struct gate_part parts_of_response[] = {
	{ { BY_NAME, BY_KEY }, false, is_responder, "the responder is not this key" },
	{ { GENERALIZED_TIME }, false, is_time, "it has no producedAt" },
	{ { DER_SEQUENCE }, false, NULL, NULL },
	{ { EXTENSIONS_OF_RESPONSE }, true, NULL, NULL },
	{ { 0 }, false, NULL, NULL },
};

const char *gate_stream_begin(struct gate_stream *g, const struct gate *gate, enum signer_purpose purpose,
			      enum signer_stream_kind kind)
{
	bool is_authority = purpose == SIGNER_PURPOSE_CA && gate->issuer.len;

	*g = (struct gate_stream){ .gate = gate, .held = BUF_INIT(HELD_MAX) };
	if (kind == SIGNER_STREAM_CRL)
		g->part = parts_of_list;
	else if (kind == SIGNER_STREAM_OCSP)
		g->part = parts_of_response;
	else
		return "the signer signs no stream of that kind";
	if (is_authority || (kind == SIGNER_STREAM_OCSP && purpose == SIGNER_PURPOSE_OCSP))
		return NULL;
	return "this key is not for that";
}

void gate_stream_fini(struct gate_stream *g)
{
	buf_fini(&g->held);
}

/* Tag and length from the octets that are there (X.690 8.1, 10.1). 0; 1: more are needed; -1: that is none. */
static int read_head(const uint8_t *head, size_t n, uint64_t *length)
{
	size_t octets;

	if (n < 2)
		return 1;
	if ((head[0] & 0x1f) == 0x1f)
		return -1;
	*length = head[1];
	if (head[1] < 0x80)
		return 0;
	octets = head[1] & 0x7fu;
	if (octets < 1 || octets > 4)
		return -1;
	if (n < 2 + octets)
		return 1;
	*length = 0;
	for (size_t i = 0; i < octets; i++)
		*length = *length << 8 | head[2 + i];
	/* Not in fewer octets. */
	return *length < 0x80 || (head[2] == 0) ? -1 : 0;
}

static const char *begin_whole(struct gate_stream *g, uint64_t length)
{
	if (g->head[0] != DER_SEQUENCE)
		return "it is no SEQUENCE";
	g->has_begun = true;
	g->left = length;
	return NULL;
}

static bool has_tag(const struct gate_part *p, unsigned tag)
{
	return tag && (p->tags[0] == tag || p->tags[1] == tag);
}

static const char *begin_part(struct gate_stream *g, uint64_t length)
{
	if (g->n_head + length > g->left)
		return "an element in it is longer than the whole";
	while (g->part->may_lack && !has_tag(g->part, g->head[0]))
		g->part++;
	if (!has_tag(g->part, g->head[0]))
		return "its elements are not those of what it should be";
	g->left -= g->n_head + length;
	g->part_left = length;
	g->is_inside = true;
	buf_reset(&g->held);
	if (g->part->holds &&
	    (length > HELD_MAX - sizeof(g->head) || buf_append(&g->held, bytes_of(g->head, g->n_head))))
		return "an element in it is too long";
	return NULL;
}

static const char *end_part(struct gate_stream *g)
{
	const struct gate_part *p = g->part++;

	g->is_inside = false;
	return p->holds && !p->holds(g->gate, buf_bytes(&g->held)) ? p->why : NULL;
}

/* One more octet of a head. */
static const char *take_head(struct gate_stream *g, uint8_t octet)
{
	const char *wrong;
	uint64_t length;
	int e;

	if (g->has_begun && g->left == 0)
		return "there is more behind it";
	g->head[g->n_head++] = octet;
	e = read_head(g->head, g->n_head, &length);
	if (e)
		return e < 0 ? "it is no DER" : NULL;
	wrong = g->has_begun ? begin_part(g, length) : begin_whole(g, length);
	g->n_head = 0;
	if (!wrong && g->is_inside && g->part_left == 0)
		wrong = end_part(g);
	return wrong;
}

static const char *take_content(struct gate_stream *g, struct bytes *piece)
{
	size_t n = piece->len < g->part_left ? piece->len : (size_t)g->part_left;
	struct bytes taken;

	bytes_take(piece, n, &taken);
	g->part_left -= n;
	if (g->part->holds && buf_append(&g->held, taken))
		return "there is no memory for it";
	return g->part_left == 0 ? end_part(g) : NULL;
}

const char *gate_stream_take(struct gate_stream *g, struct bytes piece)
{
	const char *wrong = NULL;

	while (!wrong && piece.len) {
		struct bytes octet;

		if (g->is_inside) {
			wrong = take_content(g, &piece);
		} else {
			bytes_take(&piece, 1, &octet);
			wrong = take_head(g, octet.ptr[0]);
		}
	}
	return wrong;
}

const char *gate_stream_end(struct gate_stream *g)
{
	const struct gate_part *p = g->part;

	while (p->may_lack)
		p++;
	return g->has_begun && g->left == 0 && !g->is_inside && g->n_head == 0 && p->tags[0] == 0 ? NULL :
												    "it is not whole";
}
