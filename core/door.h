/* The inside of a door: which calls lie behind it, of this process or of another one.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "core/registry.h"

/* Contracts as in core/submit.h. */
struct ca_door_calls {
	int (*submit)(struct ca_door *door, const struct ca_submission *submission, struct ca_outcome *out);
	int (*ask)(struct ca_door *door, const char *requester, int64_t id, bool collects, struct ca_outcome *out);
	int (*poll)(struct ca_door *door, const char *endpoint, const uint8_t *poll_key, struct ca_outcome *out);
	int (*revoke)(struct ca_door *door, const struct ca_revocation *revocation, struct ca_outcome *out);
	int (*withdraw)(struct ca_door *door, const char *endpoint, const char *requester, const char *reason,
			struct ca_outcome *out);
	int (*check_credential)(struct ca_door *door, const struct ca_credential_claim *claim,
				struct ca_credential_answer *answer);
	int (*delegate)(struct ca_door *door, const struct ca_delegation *delegation, struct ca_delegated *out);
	int (*get_crl)(struct ca_door *door, unsigned key_index, unsigned partition, uint64_t number, uint64_t offset,
		       struct buf *out, struct ca_crl *info);
	int (*get_certificate)(struct ca_door *door, const struct ca_certificate_id *id, struct ca_certificate *out);
	int (*ocsp)(struct ca_door *door, struct bytes request, struct ca_ocsp_answer *out);
	int (*get_key_chain)(struct ca_door *door, unsigned key_index, struct buf *out);
	int (*get_chain)(struct ca_door *door, struct buf *out);
	int (*get_request_form)(struct ca_door *door, const char *endpoint, const char *profile, struct arena *arena,
				struct ca_request_form *out);
	const char *(*name)(const struct ca_door *door);
	void (*drop)(struct ca_door *door);
};

/* Embedded at the beginning of each kind of door. */
struct ca_door {
	const struct ca_door_calls *calls;
	struct address *address; /* the registry's; NULL: this process */
};
