/* The http-01 challenge (RFC 8555 8.3), from name to verdict.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "gateway/validator/fetch.h"
#include "gateway/validator/resolve.h"
#include "protocols/validator.h"

struct http01 {
	uint16_t http_port, tls_port; /* the only ones that are contacted */
	struct address_rules rules;
	struct resolver *resolver;
	int64_t timeout_ms; /* for the whole, redirects included */
	atomic_bool stop;
};

/* 0 with `out` filled; negative. `curl` belongs to the calling thread. */
int http01_run(const struct http01 *env, CURL *curl, const struct validation *what, struct validation_result *out);

/* Can be put into a URL as it is: a token of the base64url alphabet; an A-label name or a canonical address. */
bool http01_is_valid(const struct validation *what);
