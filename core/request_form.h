/* What a profile demands of a PKCS#10 besides its names: told to clients beforehand (RFC 7030 4.5), and held against
 * each request. One reading of the options for both.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "core/core_int.h"

/* The options request-subject, request-attributes and request-digest of a profile. 0; -EINVAL with `error`. */
int request_form_check_options(const struct conf_section *conf, struct conf_error *error);

/* ca_get_request_form() of core/submit.h. */
int request_form_get(const struct ca *ca, const struct binding *by, const char *endpoint, const char *profile,
		     struct arena *arena, struct ca_request_form *out);

/* 0; CA_STATUS_BAD_REQUEST or CA_STATUS_BAD_SIGNATURE with a sentence in `why`. */
int request_form_check(const struct ca_profile *profile, const struct csr *csr, char why[static CA_REASON_SIZE]);
