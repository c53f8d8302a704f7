/* What a profile demands of a request, as a CsrAttrs.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "core/submit.h"

/* Which forms: a set of bits. */
enum est_csrattrs {
	EST_CSRATTRS_NONE = 0,
	EST_CSRATTRS_LIST = 1,     /* RFC 8951 4 */
	EST_CSRATTRS_TEMPLATE = 2, /* RFC 9908 3.4 */
	EST_CSRATTRS_BOTH = 3,
};

/* Append one CsrAttrs; nothing when nothing is demanded. `wants_password`: a request must have a
 * challengePassword (RFC 7030 3.5). 0; -EINVAL for a form that is none; -EMSGSIZE; -ENOMEM. */
int est_csrattrs_write(const struct ca_request_form *form, bool wants_password, enum est_csrattrs which,
		       struct buf *out);
