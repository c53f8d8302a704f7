/* The MDM adapter: SCEP challenges on demand, for systems that enrol devices of others.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "protocols/adapter.h"

extern const struct proto_adapter proto_mdm;
