/* Rows made of what the audit trail says of a certificate, after an older store was put back.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "core/core_int.h"

struct store_recovered {
	size_t certificates, revocations, credentials;
};

/* What store_recover() could not apply, and never can. */
#define STORE_LEFT_OUT 15

struct store_record {
	int64_t seq;
	const char *payload;
	bool is_sworn; /* a head of the anchor covers it; else it is believed when it takes trust away, and only then */
};

/* Apply one record, unless the store knows what it tells. What is there already is not written again, so a restore that
 * was interrupted is simply done again. 0, `why` then says what people have to do, or is NULL; STORE_LEFT_OUT with a
 * sentence in `why`; negative. */
int store_recover(struct ca_core *core, const struct store_record *record, struct store_recovered *counts,
		  const char **why);
