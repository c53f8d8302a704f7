/* Challenges that a target outside has judged, and what gatehouse-validator states of it (core/wire/verdict.h).
 *
 * The gateway passes the statement on, and is believed in nothing: the statement names endpoint, request and
 * transaction, and it stands under a MAC. What it proves are the names of that request that lie in the scope of the
 * target.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "core/credentials.h"

/* Is this statement about this submission? None at all is a credential that is over: good only to ask again about the
 * transaction that had one. 0; CREDENTIAL_REFUSED, which the log has with its reason; negative. */
int external_find(struct ca_core *core, const struct ca_submission *s, struct bytes statement, struct arena *arena,
		  struct credential *out);
