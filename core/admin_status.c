/* Calls of the administrator's tool about the core itself and its CAs.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "core/admin_int.h"

#include <errno.h>
#include <strings.h>

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

static Gatehouse__Admin__Ca *describe_ca(const struct ca *ca, struct arena *arena)
{
	Gatehouse__Admin__Ca *c = arena_alloc(arena, sizeof(*c));
	const struct ca_key *key = ca_current_key(ca);
	char subject[1024] = "";

	if (!c)
		return NULL;
	gatehouse__admin__ca__init(c);
	c->name = (char *)ca->name;
	if (key) {
		certificate_subject(buf_bytes(&key->certificate), subject, sizeof(subject));
		c->certificate.data = key->certificate.ptr;
		c->certificate.len = key->certificate.len;
		c->not_before_s = key->not_before_s;
		c->not_after_s = key->not_after_s;
	}
	c->subject = arena_strdup(arena, subject);
	c->policy = (char *)ca->policy->name;
	c->exits = arena_alloc(arena, (ca->n_exits + 1) * sizeof(*c->exits));
	for (size_t i = 0; c->exits && i < ca->n_exits; i++)
		c->exits[c->n_exits++] = ca->exits[i].label;
	return c->subject ? c : NULL;
}

void admin_show_ca(const struct admin_ask *a)
{
	const char *wanted = a->call->show_ca->name;
	Gatehouse__Admin__Reply *reply = a->reply;

	reply->cas = arena_alloc(a->arena, a->core->n_cas * sizeof(*reply->cas));
	for (size_t i = 0; reply->cas && i < a->core->n_cas; i++) {
		if (*wanted && strcasecmp(wanted, a->core->cas[i].name) != 0)
			continue;
		reply->cas[reply->n_cas] = describe_ca(&a->core->cas[i], a->arena);
		reply->n_cas += reply->cas[reply->n_cas] != NULL;
	}
	if (reply->n_cas == 0)
		admin_say(a, CA_ADMIN_NOT_FOUND, "there is no CA of that name");
}
