/* The ACME adapter (RFC 8555), http-01.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "protocols/adapter.h"

extern const struct proto_adapter proto_acme;
