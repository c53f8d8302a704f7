/* The gateway's own pages: /healthz on every listener, /metrics on the metrics listener.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "gateway/router.h"

/* Both take a `struct gateway *` as the state of their mount. */
extern const struct proto_route gw_health_routes[];
extern const struct proto_route gw_metrics_routes[];
