/* The EST adapter: enrolment over HTTPS (RFC 7030, RFC 8951).
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "protocols/adapter.h"

extern const struct proto_adapter proto_est;
