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
