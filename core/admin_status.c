/* Calls of the administrator's tool about the core itself and its CAs.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "core/admin_int.h"

#include <errno.h>

#include "core/anchor.h"
#include "core/base/own.h"
#include "core/clock_guard.h"
#include "core/credentials.h"
#include "core/reports.h"
#include "core/roles.h"
#include "core/store.h"

static int write_roles(const struct admin_ask *a, char ***out, size_t *n)
{
	unsigned role;

	*out = arena_alloc(a->arena, CA_ROLES_ * sizeof(**out));
	if (!*out)
		return -ENOMEM;
	for (size_t i = 0; admin_role_word(i, &role); i++)
		if (a->who->roles & role)
			(*out)[(*n)++] = (char *)admin_role_word(i, &role);
	return 0;
}

static int write_watched(struct ca_core *core, Gatehouse__Admin__Status *s)
{
	struct credentials_any any = { 0 };
	struct anchor_lag lag;
	int e = credentials_count_any(core, &any);

	s->any_scope = any.n;
	s->any_scope_unheld = any.n_unheld;
	s->clock_behind_s = clock_guard_behind_ms(core) / 1000;
	if (!e)
		e = anchor_measure(core, &lag);
	if (e)
		return e;
	s->anchor_seq = lag.seq;
	s->anchor_lag = lag.records;
	s->anchor_lag_s = lag.for_s;
	return 0;
}

void admin_get_status(const struct admin_ask *a)
{
	Gatehouse__Admin__Status *s = arena_alloc(a->arena, sizeof(*s));
	OWNED_BUF health = BUF_INIT(2 * REPORTS_TEXT_MAX);
	struct store_counts c = { 0 };

	if (!s)
		return admin_failed(a, -ENOMEM);
	gatehouse__admin__status__init(s);
	s->healthy = ca_core_health(a->core, &health);
	s->healthy &= reports_print(a->core, &health);
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
	if (write_watched(a->core, s))
		s->healthy = false;
	s->nobody_holds_two = conf_bool(conf_section(a->core->conf, "core"), "role-separation");
	if (write_roles(a, &s->roles, &s->n_roles) || !s->health || !s->caller)
		return admin_failed(a, -ENOMEM);
	a->reply->status = s;
}

static char **copy_list(const struct conf_section *row, const char *option, struct arena *arena, size_t *n)
{
	char **list = arena_alloc(arena, (conf_count(row, option) + 1) * sizeof(*list));

	for (size_t i = 0; list && i < conf_count(row, option); i++)
		list[(*n)++] = (char *)conf_str_at(row, option, i);
	return list;
}

static int write_limits(const struct admin_ask *a, Gatehouse__Admin__Roles *roles)
{
	roles->is_limited = a->who->is_limited;
	roles->limits = arena_alloc(a->arena, ROLES_RIGHTS_MAX * sizeof(*roles->limits));
	for (size_t i = 0; roles->limits && i < ROLES_RIGHTS_MAX; i++) {
		const struct conf_section *row;
		Gatehouse__Admin__Limit *limit;

		if (!(a->who->rights & 1ull << i))
			continue;
		row = conf_section_at(a->who->conf, "officer-rights", i);
		limit = arena_alloc(a->arena, sizeof(*limit));
		if (!limit)
			return -ENOMEM;
		gatehouse__admin__limit__init(limit);
		limit->profiles = copy_list(row, "profiles", a->arena, &limit->n_profiles);
		limit->requesters = copy_list(row, "requesters", a->arena, &limit->n_requesters);
		roles->limits[roles->n_limits++] = limit;
	}
	return roles->limits ? 0 : -ENOMEM;
}

void admin_show_roles(const struct admin_ask *a)
{
	Gatehouse__Admin__Roles *roles = arena_alloc(a->arena, sizeof(*roles));
	size_t n = 0;

	while (admin_calls[n].answer)
		n++;
	if (!roles)
		return admin_failed(a, -ENOMEM);
	gatehouse__admin__roles__init(roles);
	roles->caller = arena_strdup(a->arena, a->who->name);
	roles->actions = arena_alloc(a->arena, (n + 1) * sizeof(*roles->actions));
	for (size_t i = 0; roles->actions && i < n; i++)
		if (admin_has_right(a->who, admin_calls[i].right))
			roles->actions[roles->n_actions++] = (char *)admin_calls[i].action;
	if (!roles->caller || !roles->actions || write_roles(a, &roles->roles, &roles->n_roles) ||
	    write_limits(a, roles))
		return admin_failed(a, -ENOMEM);
	a->reply->roles = roles;
}
