/* The SCEP adapter (RFC 8894).
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "protocols/adapter.h"

extern const struct proto_adapter proto_scep;
