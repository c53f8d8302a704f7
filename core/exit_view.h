/* The core's side of the view that an exit module looks through.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "core/core_int.h"

/* What a notification is about; `r` NULL for an event without a request. */
struct ca_exit_view {
	const struct ca_request *r;
	int64_t event_id;
	enum ca_event event;
	int64_t about;   /* the reason of a revocation, the number of a CRL */
	const char *ca;
	char reads[128]; /* the groups really read: "certificate,names"; filled by the getters */
};
