/* The TBSCertificate as libcrypto's X509 API builds it.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "core/issue.h"

/* 0 or negative; the bounds of names are not checked. */
int reference_build(const struct issue_plan *plan, struct bytes issuer_certificate, struct buf *tbs);
