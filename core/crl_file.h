/* One CRL, from the rows of a store to a file that is complete, durable, and verifies.
 *
 * Entries go through files, never through memory: a list of a million certificates needs no more of it than one of ten.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "core/core_int.h"
#include "core/store_crl.h"

/* Make the list that `row` tells (key, part, number, dates) as the file `name` in `folder`, and fill in what it came to
 * say (entries, URLs). On failure no file is left; the log says why when it was the signature. 0 or negative. */
int crl_file_make(int folder, const char *name, struct ca_key *key, struct crl_row *row);
