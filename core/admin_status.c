/* Calls of the administrator's tool about the core itself and its CAs.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "core/admin_int.h"

#include <errno.h>

#include "core/base/own.h"
#include "core/store.h"

static int write_roles(const struct admin_ask *a, Gatehouse__Admin__Status *status)
{
	unsigned role;

	status->roles = arena_alloc(a->arena, CA_ROLES_ * sizeof(*status->roles));
	if (!status->roles)
		return -ENOMEM;
	for (size_t i = 0; admin_role_word(i, &role); i++)
		if (a->who->roles & role)
			status->roles[status->n_roles++] = (char *)admin_role_word(i, &role);
	return 0;
}

void admin_get_status(const struct admin_ask *a)
{
	Gatehouse__Admin__Status *s = arena_alloc(a->arena, sizeof(*s));
	OWNED_BUF health = BUF_INIT(16384);
	struct store_counts c = { 0 };

	if (!s)
		return admin_failed(a, -ENOMEM);
	gatehouse__admin__status__init(s);
	s->healthy = ca_core_health(a->core, &health);
	if (store_count(a->core, &c))
		s->healthy = false;
	s->health = arena_strdup(a->arena, buf_str(&health));
	s->pending = c.pending;
	s->oldest_pending_ms = c.oldest_pending_ms;
	s->unfinished = c.active;
	s->outbox_waiting = c.outbox_waiting;
	s->outbox_set_aside = c.outbox_set_aside;
	s->certificates = c.certificates;
	s->caller = arena_strdup(a->arena, a->who->name);
	s->roles_separated = a->core->env.is_separated;
	if (write_roles(a, s) || !s->health || !s->caller)
		return admin_failed(a, -ENOMEM);
	a->reply->status = s;
}
