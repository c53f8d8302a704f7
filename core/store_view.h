/* Rows as the administrator's tool sees them. Everything is copied into the arena.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "core/base/arena.h"
#include "core/store.h"

#include "admin.pb-c.h"

/* A page of requests, oldest first: reply->requests and reply->more. */
int store_view_requests(struct ca_core *core, unsigned state, int64_t after, unsigned limit, struct arena *arena,
			Gatehouse__Admin__Reply *reply);

/* 0, CA_CALL_NOT_FOUND, negative. */
int store_view_request(struct ca_core *core, int64_t id, struct arena *arena, Gatehouse__Admin__Request **out);
int store_view_detail(struct ca_core *core, int64_t id, bool timeline, struct arena *arena,
		      Gatehouse__Admin__Detail **out);

int store_view_certificates(struct ca_core *core, struct bytes after, unsigned limit, struct arena *arena,
			    Gatehouse__Admin__Reply *reply);
