/* What stands behind the signer's door.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "core/signer/signer.h"

/* One for each function of the door, with the same contract; a stream is a number. */
struct signer_ways {
	int (*generate)(struct signer *s, const char *type, enum signer_purpose purpose, const char *ca,
			struct buf *sealed, struct buf *spki, char why[static SIGNER_WHY_SIZE]);
	int (*load)(struct signer *s, struct bytes sealed, enum signer_purpose purpose, const char *ca,
		    struct bytes certificates, uint64_t *key, char why[static SIGNER_WHY_SIZE]);
	int (*unload)(struct signer *s, uint64_t key);
	int (*sign_certificate)(struct signer *s, uint64_t key, struct bytes tbs, struct buf *signature,
				char why[static SIGNER_WHY_SIZE]);
	int (*sign_request)(struct signer *s, uint64_t key, struct bytes info, struct buf *signature,
			    char why[static SIGNER_WHY_SIZE]);
	int (*sign_ocsp)(struct signer *s, uint64_t key, struct bytes response_data, struct buf *signature,
			 char why[static SIGNER_WHY_SIZE]);
	int (*mac)(struct signer *s, uint64_t key, struct bytes label, struct bytes octets,
		   uint8_t out[static SIGNER_MAC_SIZE], char why[static SIGNER_WHY_SIZE]);
	int (*unwrap)(struct signer *s, uint64_t key, enum signer_wrapping wrapping, struct bytes wrapped, uint8_t *out,
		      size_t n, char why[static SIGNER_WHY_SIZE]);
	int (*sign_attributes)(struct signer *s, uint64_t key, const char *digest, struct bytes attributes,
			       struct buf *signature, char why[static SIGNER_WHY_SIZE]);
	int (*stream_begin)(struct signer *s, uint64_t key, enum signer_stream_kind kind, uint64_t *stream,
			    char why[static SIGNER_WHY_SIZE]);
	int (*stream_data)(struct signer *s, uint64_t stream, struct bytes piece, char why[static SIGNER_WHY_SIZE]);
	int (*stream_end)(struct signer *s, uint64_t stream, struct buf *signature, char why[static SIGNER_WHY_SIZE]);
	void (*stream_drop)(struct signer *s, uint64_t stream);
	int (*ask_memory)(struct signer *s, enum signer_memory *memory);
	void (*drop)(struct signer *s);
};

/* Stands first in what implements it. */
struct signer {
	const struct signer_ways *ways;
};

/* core/signer/vault.c, before the first call: say what of the memory is locked, and for how many keys at once there
 * is room. */
void signer_note_memory(struct signer *s, enum signer_memory memory, unsigned keys_max);
