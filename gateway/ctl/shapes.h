/* The shapes of the lists that commands print, for their rows in the table of commands.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "gateway/ctl/list.h"

extern const struct list_shape pending_shape, request_shape; /* gateway/ctl/requests.c */
extern const struct list_shape crl_shape;                     /* gateway/ctl/revoke.c */
extern const struct list_shape profile_shape, endpoint_shape; /* gateway/ctl/settings.c */
extern const struct list_shape certificate_shape;            /* gateway/ctl/certificates.c */
extern const struct list_shape named_credential_shape, credential_shape; /* gateway/ctl/credentials.c */
extern const struct list_shape audit_shape;                  /* gateway/ctl/audit.c */
extern const struct list_shape finding_shape;                /* gateway/ctl/fsck.c */
