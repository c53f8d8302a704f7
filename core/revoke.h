/* Revocation: who may end a certificate before its time, and when a person may take that back.
 *
 * A date only stays or moves earlier, and is never in the future: whoever trusted the certificate after it learns no
 * less than before. The one reason that can be taken back is certificateHold.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "core/core_int.h"

/* What shall be done to `r`, which was read from its row: fills `out`, or says in `why` what forbids it. `when_ms` 0:
 * now. 0; REVOKE_…. */
struct store_revocation;
enum {
	REVOKE_BAD_STATE = 1, /* not issued, or held where it must not be */
	REVOKE_ALREADY = 2,   /* it is revoked, with that reason and date */
	REVOKE_BAD_VALUE = 3, /* reason or date */
};
int revoke_plan(struct ca_request *r, enum ca_action action, int reason, int64_t when_ms,
		struct store_revocation *out, char why[static CA_REASON_SIZE]);
