/* Calls of the administrator's tool about enrolment credentials.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "core/admin_int.h"

#include <errno.h>

#include "core/credentials.h"

#define LIST_MAX 100

static void answer(const struct admin_ask *a, int e, const char *why)
{
	const char *copy = arena_strdup(a->arena, why);

	if (e < 0)
		return admin_failed(a, e);
	admin_say(a, e, copy ? copy : "");
}

static const char *or_null(const char *text)
{
	return *text ? text : NULL;
}

/* The one time that the secret is seen. */
static void show_made(const struct admin_ask *a, enum ca_evidence_kind kind, const struct credential_made *made)
{
	Gatehouse__Admin__CredentialMade *m = arena_alloc(a->arena, sizeof(*m));

	if (!m)
		return admin_failed(a, -ENOMEM);
	gatehouse__admin__credential_made__init(m);
	m->id = made->id;
	m->kind = (char *)credential_kind_word(kind);
	m->name = arena_strdup(a->arena, made->name);
	m->secret = arena_strdup(a->arena, made->secret);
	m->until_ms = made->until_ms;
	if (!m->name || !m->secret)
		return admin_failed(a, -ENOMEM);
	a->reply->credential_made = m;
}

void admin_create_credential(const struct admin_ask *a)
{
	const Gatehouse__Admin__CreateCredential *q = a->call->create_credential;
	struct credential_spec spec = {
		.kind = credential_kind_of(q->kind),
		.name = or_null(q->name),
		.note = or_null(q->note),
		.endpoints = (const char *const *)q->endpoints,
		.n_endpoints = q->n_endpoints,
		.profiles = (const char *const *)q->profiles,
		.n_profiles = q->n_profiles,
		.scope = (const char *const *)q->scope,
		.n_scope = q->n_scope,
		.lifetime_ms = q->lifetime_ms,
		.uses = q->uses,
		.is_endless = q->endless,
		.is_unlimited = q->unlimited,
		.password = or_null(q->password),
		.certificates = bytes_of(q->certificates.data, q->certificates.len),
		.is_by_name = q->by_name,
		.delegates = q->delegates,
	};
	struct credential_made made;
	char why[CA_REASON_SIZE];
	int e = ca_admin_create_credential(a->core, a->who, &spec, &made, why);

	answer(a, e, why);
	if (!e)
		show_made(a, spec.kind, &made);
	explicit_bzero(&made, sizeof(made));
}

void admin_revoke_credential(const struct admin_ask *a)
{
	const Gatehouse__Admin__RevokeCredential *q = a->call->revoke_credential;
	char why[CA_REASON_SIZE];

	answer(a, ca_admin_revoke_credential(a->core, a->who, credential_kind_of(q->kind), q->name, why), why);
}

void admin_set_password(const struct admin_ask *a)
{
	const Gatehouse__Admin__SetPassword *q = a->call->set_password;
	struct credential_made made;
	char why[CA_REASON_SIZE];
	int e = ca_admin_set_password(a->core, a->who, q->user, or_null(q->password), &made, why);

	answer(a, e, why);
	if (!e)
		show_made(a, CA_EVIDENCE_USER, &made);
	explicit_bzero(&made, sizeof(made));
}

static Gatehouse__Admin__Credential *describe(const struct admin_ask *a, const struct credential_row *row)
{
	Gatehouse__Admin__Credential *c = arena_alloc(a->arena, sizeof(*c));

	if (!c)
		return NULL;
	gatehouse__admin__credential__init(c);
	c->id = row->id;
	c->kind = (char *)credential_kind_word(row->kind);
	c->name = (char *)row->name;
	c->note = (char *)row->note;
	c->created_by = (char *)row->created_by;
	c->endpoints = (char *)row->endpoints;
	c->profiles = (char *)row->profiles;
	c->scope = (char *)row->scope;
	c->created_ms = row->created_ms;
	c->until_ms = row->until_ms;
	c->last_used_ms = row->last_used_ms;
	c->revoked_ms = row->revoked_ms;
	c->uses_left = row->uses_left;
	c->used = row->used;
	c->delegates = row->delegates;
	c->device = (char *)row->device;
	return c;
}

void admin_list_credentials(const struct admin_ask *a)
{
	const Gatehouse__Admin__ListCredentials *q = a->call->list_credentials;
	struct credential_row *rows;
	size_t n;
	int e = credentials_list(a->core, credential_kind_of(q->kind), q->after, LIST_MAX, a->arena, &rows, &n);

	if (!e)
		a->reply->credentials = arena_alloc(a->arena, (n + 1) * sizeof(*a->reply->credentials));
	if (e || !a->reply->credentials)
		return admin_failed(a, e ? e : -ENOMEM);
	for (size_t i = 0; i < n; i++) {
		Gatehouse__Admin__Credential *c = describe(a, &rows[i]);

		if (!c)
			return admin_failed(a, -ENOMEM);
		a->reply->credentials[a->reply->n_credentials++] = c;
	}
	a->reply->more = n == LIST_MAX;
}
