/* Shared by the files of the store.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "core/base/db.h"
#include "protocols/acme/live.h"
#include "protocols/acme/store.h"

struct acme_store {
	struct db *db;
	struct live *live;
	int64_t swept_s, swept_id; /* how far acme_store_sweep() got; 0: it begins anew */
};

/* store_read.c: a valid authorization of the account of `like` for its identifier that lives until `until_s` at least.
 * 0, ACME_STORE_NONE, negative. */
int acme_store_find_valid(struct db_conn *conn, struct arena *a, const struct acme_authz *like, int64_t until_s,
			  struct acme_authz *out);
