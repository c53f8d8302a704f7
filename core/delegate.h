/* Challenges on demand: a user or token that may delegate has some made, one for each device that it enrols, as MDM
 * systems do. Nobody gives more than he has: endpoint, profile and scope are those of the credential that is shown. The
 * mark is the number of challenges that may wait at once (`struct credential_spec.delegates`). Each costs the
 * credential one of its uses, if those are counted; those that nobody has used end when it is revoked.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "core/core_int.h"

/* ca_delegate_challenge() of core/submit.h. */
int delegate_challenge(struct ca *ca, const struct binding *by, const struct ca_delegation *d,
		       struct ca_delegated *out);
