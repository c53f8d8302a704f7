/* The signer's door: which signer stands behind it.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "core/signer/signer_int.h"

#include <errno.h>
#include <stdlib.h>

void signer_drop(struct signer **s)
{
	if (*s)
		(*s)->ways->drop(*s);
	*s = NULL;
}

int signer_generate(struct signer *s, const char *type, enum signer_purpose purpose, const char *ca,
		    struct buf *sealed, struct buf *spki, char why[static SIGNER_WHY_SIZE])
{
	return s->ways->generate(s, type, purpose, ca, sealed, spki, why);
}

int signer_load(struct signer *s, struct bytes sealed, enum signer_purpose purpose, const char *ca,
		struct bytes certificate, uint64_t *key, char why[static SIGNER_WHY_SIZE])
{
	return s->ways->load(s, sealed, purpose, ca, certificate, key, why);
}

int signer_unload(struct signer *s, uint64_t key)
{
	return s->ways->unload(s, key);
}

int signer_sign_certificate(struct signer *s, uint64_t key, struct bytes tbs, struct buf *signature,
			    char why[static SIGNER_WHY_SIZE])
{
	return s->ways->sign_certificate(s, key, tbs, signature, why);
}

int signer_sign_request(struct signer *s, uint64_t key, struct bytes info, struct buf *signature,
			char why[static SIGNER_WHY_SIZE])
{
	return s->ways->sign_request(s, key, info, signature, why);
}

int signer_sign_ocsp(struct signer *s, uint64_t key, struct bytes response_data, struct buf *signature,
		     char why[static SIGNER_WHY_SIZE])
{
	return s->ways->sign_ocsp(s, key, response_data, signature, why);
}

int signer_mac(struct signer *s, uint64_t key, struct bytes label, struct bytes octets,
	       uint8_t out[static SIGNER_MAC_SIZE], char why[static SIGNER_WHY_SIZE])
{
	return s->ways->mac(s, key, label, octets, out, why);
}

int signer_unwrap(struct signer *s, uint64_t key, enum signer_wrapping wrapping, struct bytes wrapped, uint8_t *out,
		  size_t n, char why[static SIGNER_WHY_SIZE])
{
	return s->ways->unwrap(s, key, wrapping, wrapped, out, n, why);
}

int signer_sign_attributes(struct signer *s, uint64_t key, const char *digest, struct bytes attributes,
			   struct buf *signature, char why[static SIGNER_WHY_SIZE])
{
	return s->ways->sign_attributes(s, key, digest, attributes, signature, why);
}

int signer_ask_memory(struct signer *s, enum signer_memory *memory)
{
	return s->ways->ask_memory(s, memory);
}

/* ---- streams ---- */

struct signer_stream {
	struct signer *signer;
	uint64_t number;
};

int signer_stream_begin(struct signer *s, uint64_t key, enum signer_stream_kind kind, struct signer_stream **out,
			char why[static SIGNER_WHY_SIZE])
{
	struct signer_stream *st = calloc(1, sizeof(*st));
	int e;

	if (!st)
		return -ENOMEM;
	st->signer = s;
	e = s->ways->stream_begin(s, key, kind, &st->number, why);
	if (e)
		free(st);
	else
		*out = st;
	return e;
}

int signer_stream_data(struct signer_stream *st, struct bytes piece, char why[static SIGNER_WHY_SIZE])
{
	return st->signer->ways->stream_data(st->signer, st->number, piece, why);
}

int signer_stream_end(struct signer_stream *st, struct buf *signature, char why[static SIGNER_WHY_SIZE])
{
	int e = st->signer->ways->stream_end(st->signer, st->number, signature, why);

	st->number = 0;
	return e;
}

void signer_stream_drop(struct signer_stream **st)
{
	if (*st && (*st)->number)
		(*st)->signer->ways->stream_drop((*st)->signer, (*st)->number);
	free(*st);
	*st = NULL;
}
