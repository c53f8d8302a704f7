/* The same floor for what is signed in pieces: a TBSCertList or a ResponseData is looked at while it passes.
 *
 * Its outer elements are read strictly, in their order; the first ones are held against the key, the long ones pass:
 *
 *   TBSCertList    version 2 · the one signature algorithm of the key · the key's subject as issuer · a Time, perhaps
 *                  another one · perhaps revokedCertificates · the extensions (RFC 5280 5.1.2.7 wants them)
 *   ResponseData   a responder: this key, by name or by hash · a GeneralizedTime · the responses · perhaps extensions;
 *                  version 1 is left out, as DER does
 *
 * Neither can be read as a TBSCertificate, as one another, or as a certification request. A TBSCertificate of version
 * 2 or 3 begins with [0]; of version 1 with its serial number, an INTEGER like the version of a TBSCertList, but has
 * a SEQUENCE of two dates behind its issuer where a TBSCertList has a Time. A ResponseData begins with [1] or [2], a
 * certification request with the INTEGER 0.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "core/base/buf.h"
#include "core/signer/gate.h"
#include "core/signer/signer.h"

struct gate_part;

struct gate_stream {
	const struct gate *gate;      /* of the key; lives longer */
	const struct gate_part *part; /* the next outer element, or the one that passes */
	uint8_t head[6];              /* tag and length of an element, as far as they came */
	size_t n_head;
	bool has_begun, is_inside;    /* the outer SEQUENCE's head is read; an element passes */
	uint64_t left, part_left;     /* octets to come, of the whole and of the element */
	struct buf held;              /* the element, when it is looked at */
};

/* NULL, or why this key signs no such thing. */
const char *gate_stream_begin(struct gate_stream *g, const struct gate *gate, enum signer_purpose purpose,
			      enum signer_stream_kind kind);

/* May the next octets be signed? NULL, or why not: then none of it may. */
const char *gate_stream_take(struct gate_stream *g, struct bytes piece);

/* Was it whole? NULL, or why not. */
const char *gate_stream_end(struct gate_stream *g);
void gate_stream_fini(struct gate_stream *g);
