/* The whole anchor file, held against the trail and the signer's key.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "core/core_int.h"

struct anchor_check {
	int64_t last;         /* the last record that the anchor speaks for and the trail agrees with */
	int64_t bad, bad_to;  /* the first bad record is one of these; 0: the trail is as it was anchored */
	char what[256];       /* what is wrong, with the trail or with the file itself; "": nothing */
};

/* 0; negative: it could not be looked at, -EAGAIN when the signer does not answer. */
int anchor_verify(struct ca_core *core, struct anchor_check *out);
