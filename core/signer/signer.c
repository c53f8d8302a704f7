/* The signer's door: which signer stands behind it.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "core/signer/signer_int.h"

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

int signer_sign_certificate(struct signer *s, uint64_t key, struct bytes tbs, struct buf *signature,
			    char why[static SIGNER_WHY_SIZE])
{
	return s->ways->sign_certificate(s, key, tbs, signature, why);
}

int signer_ask_memory(struct signer *s, enum signer_memory *memory)
{
	return s->ways->ask_memory(s, memory);
}
