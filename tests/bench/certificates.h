/* What was handed out, looked at after the load: a fast server that issues the wrong thing is no result.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "tests/bench/worker.h"

struct certificates {
	size_t n;
	size_t duplicate_serials; /* certificates whose serial another one has too, but for the first of them */
};

/* Every chain must be PEM or certs-only, lead to the root, and certify that name and that key; what does not is told to
 * `errors`. 0; negative: memory, the root cannot be read. */
int certificates_check(const struct worker_results *workers, size_t n_workers, const char *root_path,
		       struct tally *errors, struct certificates *out);
