/* Shared by the files of the store.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "core/base/db.h"
#include "protocols/acme/store.h"

struct acme_store {
	struct db *db;
};
