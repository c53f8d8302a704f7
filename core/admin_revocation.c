/* Calls of the administrator's tool about revocation.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "core/admin_int.h"

#include <errno.h>

#include "core/base/own.h"
#include "core/publish.h"

static struct ca_certificate_ref ref_of(const Gatehouse__Admin__Revoke *q)
{
	return (struct ca_certificate_ref){ q->id, bytes_of(q->serial.data, q->serial.len) };
}

void admin_revoke(const struct admin_ask *a)
{
	const Gatehouse__Admin__Revoke *q = a->call->revoke;
	const struct ca_certificate_ref which = ref_of(q);
	OWNED_CA_OUTCOME out = CA_OUTCOME_INIT;
	int e = ca_admin_revoke(a->core, a->who, &which, (int)q->reason, q->when_ms, &out);

	admin_decided(a, e, &out, out.id);
}

void admin_hold(const struct admin_ask *a)
{
	const struct ca_certificate_ref which = ref_of(a->call->hold);
	OWNED_CA_OUTCOME out = CA_OUTCOME_INIT;
	int e = ca_admin_hold(a->core, a->who, &which, &out);

	admin_decided(a, e, &out, out.id);
}

void admin_release(const struct admin_ask *a)
{
	const struct ca_certificate_ref which = ref_of(a->call->release);
	OWNED_CA_OUTCOME out = CA_OUTCOME_INIT;
	int e = ca_admin_release(a->core, a->who, &which, &out);

	admin_decided(a, e, &out, out.id);
}

/* What a function of core/admin.h returned, and its sentence. */
static void answer(const struct admin_ask *a, int e, const struct ca_outcome *out)
{
	const char *said = arena_strdup(a->arena, out->reason);

	if (e < 0)
		admin_failed(a, e);
	else
		admin_say(a, e, said ? said : "");
}

void admin_publish_crl(const struct admin_ask *a)
{
	const char *ca = a->call->publish_crl->ca;
	OWNED_CA_OUTCOME out = CA_OUTCOME_INIT;
	int e = ca_admin_publish_crl(a->core, a->who, *ca ? ca : NULL, &out);

	answer(a, e, &out);
}

struct listing {
	const struct admin_ask *ask;
	const struct ca *wanted; /* NULL: all */
	size_t room;
};

static void list_crl(void *arg, const struct published_list *l)
{
	struct listing *listing = arg;
	const struct admin_ask *a = listing->ask;
	OWNED_BUF url = BUF_INIT(1024);
	Gatehouse__Admin__Crl *c;

	if ((listing->wanted && l->ca != listing->wanted) || a->reply->n_crls == listing->room)
		return;
	c = arena_alloc(a->arena, sizeof(*c));
	if (!c || (l->ca->public_url && issue_crl_url(l->ca->public_url, l->key_index, l->partition, &url)))
		return;
	gatehouse__admin__crl__init(c);
	c->ca = (char *)l->ca->name;
	c->key_index = l->key_index;
	c->partition = l->partition;
	c->number = l->info.number;
	c->this_update_s = l->info.this_update_s;
	c->next_update_s = l->info.next_update_s;
	c->entries = l->entries;
	c->size = l->info.size;
	c->url = arena_strdup(a->arena, buf_str(&url));
	if (c->url)
		a->reply->crls[a->reply->n_crls++] = c;
}

#define LISTS_MAX 1000

void admin_list_crls(const struct admin_ask *a)
{
	const char *name = a->call->list_crls->ca;
	struct listing listing = { a, *name ? core_find_ca(a->core, name) : NULL, LISTS_MAX };

	if (*name && !listing.wanted) {
		admin_say(a, CA_ADMIN_NOT_FOUND, "there is no CA of that name");
		return;
	}
	a->reply->crls = arena_alloc(a->arena, LISTS_MAX * sizeof(*a->reply->crls));
	if (a->reply->crls)
		publisher_list(a->core->publisher, list_crl, &listing);
}

void admin_import(const struct admin_ask *a)
{
	const Gatehouse__Admin__Import *q = a->call->import;
	const struct ca_import import = { .certificate = bytes_of(q->certificate.data, q->certificate.len),
					  .ca = *q->ca ? q->ca : NULL, .is_existing = q->existing,
					  .is_foreign = q->foreign };
	OWNED_CA_OUTCOME out = CA_OUTCOME_INIT;
	int e = ca_admin_import(a->core, a->who, &import, &out);

	admin_decided(a, e, &out, out.id);
}

void admin_purge(const struct admin_ask *a)
{
	OWNED_CA_OUTCOME out = CA_OUTCOME_INIT;
	bool more = false;
	int e = ca_admin_purge(a->core, a->who, (enum ca_purge)a->call->purge->what, a->call->purge->before_ms,
			       &a->reply->purged, &more, &out);

	answer(a, e, &out);
	a->reply->more = more;
}

void admin_cert_status(const struct admin_ask *a)
{
	const Gatehouse__Admin__AskCertStatus *q = a->call->cert_status;
	Gatehouse__Admin__CertStatus *s = arena_alloc(a->arena, sizeof(*s));
	OWNED_CA_OUTCOME out = CA_OUTCOME_INIT;
	struct ca_cert_status status;
	int e = s ? ca_admin_cert_status(a->core, a->who, bytes_of(q->serial.data, q->serial.len), &status, &out) :
		    -ENOMEM;

	answer(a, e, &out);
	if (e)
		return;
	gatehouse__admin__cert_status__init(s);
	s->status = status.status;
	s->expired = status.is_expired;
	s->request_id = status.request_id;
	s->not_after_s = status.not_after_s;
	s->revoked_ms = status.revoked_ms;
	if (status.status == CA_CERT_REVOKED)
		s->reason = (char *)(uintptr_t)ca_reason_word(status.reason);
	a->reply->cert_status = s;
}
