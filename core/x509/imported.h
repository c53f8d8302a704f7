/* A certificate that was made elsewhere, read for the store.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "core/base/arena.h"
#include "core/submit.h"

/* Spans of the certificate, and texts in the arena. */
struct imported {
	struct bytes tbs, signature, serial, issuer, subject, spki;
	int64_t not_before_s, not_after_s;
	const char *subject_text;
	struct ca_name *names; /* dNSName and iPAddress of the SAN */
	size_t n_names;
	bool has_other_names;
};

/* 0; -EINVAL: it is no certificate of version 3 that is read strictly; -ENOMEM. */
int imported_read(struct imported *out, struct arena *arena, struct bytes der);
