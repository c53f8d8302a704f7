/* Rows as the administrator's tool sees them. Everything is copied into the arena.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "core/base/arena.h"
#include "core/store.h"

#include "admin.pb-c.h"

/* 0, CA_CALL_NOT_FOUND, negative. */
int store_view_request(struct ca_core *core, int64_t id, struct arena *arena, Gatehouse__Admin__Request **out);
/* Lines of the timeline behind `after`, at most `max`, of the request `id` or of all (0). */
int store_view_happened(struct ca_core *core, int64_t after, int64_t id, unsigned max, struct arena *arena,
			Gatehouse__Admin__Watched **out);
int store_view_detail(struct ca_core *core, int64_t id, bool timeline, struct arena *arena,
		      Gatehouse__Admin__Detail **out);
