/* The status adapter: OCSP, CRLs and the certificates of a CA for whoever asks.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "protocols/adapter.h"

extern const struct proto_adapter proto_status;
