/* Rows made of what the audit trail says of a certificate, after an older store was put back.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "core/core_int.h"

struct store_recovered {
	size_t certificates, revocations;
	size_t left_out; /* by a key that the store does not have */
};

/* Apply one record, unless the store knows what it tells. What is there already is not written again, so a restore that
 * was interrupted is simply done again. 0; -EBADMSG: the payload is not one of ours; negative. */
int store_recover(struct ca_core *core, const char *payload, struct store_recovered *counts);
