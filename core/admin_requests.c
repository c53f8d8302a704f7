/* Calls of the administrator's tool about requests.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "core/admin_int.h"

#include "core/base/own.h"
#include "core/differences.h"
#include "core/store_view.h"

void admin_list_requests(const struct admin_ask *a)
{
	const Gatehouse__Admin__ListRequests *q = a->call->list_requests;

	admin_list(a, &(struct list_query){ .table = FILTER_REQUESTS, .filter = q->filter, .limit = q->limit,
					    .from = bytes_of(q->from.data, q->from.len), .backwards = q->backwards,
					    .after_id = q->after_id });
}

/* What was asked for against what will be issued; not for octets that are no request. */
static int compare(const struct admin_ask *a, int64_t id)
{
	Gatehouse__Admin__Detail *d = a->reply->detail;
	OWNED(ca_request) r = NULL;
	int e = store_load(a->core, id, &r);

	if (e)
		return e;
	d->lifetime_s = r->template_s;
	return r->state == CA_STATE_ERROR ? 0 :
					    differences_list(a->core, r, a->arena, &d->differences, &d->n_differences);
}

void admin_show_request(const struct admin_ask *a)
{
	const Gatehouse__Admin__ShowRequest *q = a->call->show_request;
	int e = store_view_detail(a->core, q->id, q->timeline, a->arena, &a->reply->detail);

	if (!e)
		e = compare(a, q->id);
	if (e > 0)
		admin_say(a, CA_ADMIN_NOT_FOUND, "there is no such request");
	else if (e)
		admin_failed(a, e);
}

/* The caller, with what he says that he saw. */
static struct ca_admin_caller who_saw(const struct admin_ask *a, int64_t version)
{
	struct ca_admin_caller who = *a->who;

	who.seen = version;
	return who;
}

void admin_approve(const struct admin_ask *a)
{
	const Gatehouse__Admin__Decide *q = a->call->approve;
	struct ca_admin_caller who = who_saw(a, q->version);
	OWNED_CA_OUTCOME out = CA_OUTCOME_INIT;

	if (q->digest.len && q->digest.len != SHA256_SIZE) {
		admin_say(a, CA_ADMIN_INVALID, "a digest has 32 octets");
		return;
	}
	admin_decided(a, ca_admin_approve(a->core, &who, q->id, q->digest.len ? q->digest.data : NULL, q->not_after_s,
					  &out), &out, q->id);
}

void admin_resubmit(const struct admin_ask *a)
{
	struct ca_admin_caller who = who_saw(a, a->call->resubmit->version);
	int64_t id = a->call->resubmit->id;
	OWNED_CA_OUTCOME out = CA_OUTCOME_INIT;

	admin_decided(a, ca_admin_resubmit(a->core, &who, id, &out), &out, id);
}

void admin_deny(const struct admin_ask *a)
{
	const Gatehouse__Admin__Decide *q = a->call->deny;
	struct ca_admin_caller who = who_saw(a, q->version);
	OWNED_CA_OUTCOME out = CA_OUTCOME_INIT;

	admin_decided(a, ca_admin_deny(a->core, &who, q->id, q->reason, &out), &out, q->id);
}

void admin_edit(const struct admin_ask *a)
{
	const Gatehouse__Admin__Edit *q = a->call->edit;
	struct ca_admin_caller who = who_saw(a, q->version);
	struct ca_edit edits[CA_EDITS_MAX];
	OWNED_CA_OUTCOME out = CA_OUTCOME_INIT;

	for (size_t i = 0; i < q->n_changes && i < CA_EDITS_MAX; i++) {
		const Gatehouse__Admin__Change *c = q->changes[i];

		if (c->kind == 0 || c->kind >= CA_EDITS_) {
			admin_say(a, CA_ADMIN_INVALID, "there is no such kind of change");
			return;
		}
		edits[i] = (struct ca_edit){ (enum ca_edit_kind)c->kind, c->name, c->value,
					     bytes_of(c->der.data, c->der.len), c->flags, c->lifetime_s,
					     c->not_after_s };
	}
	admin_decided(a, ca_admin_edit(a->core, &who, q->id, edits, q->n_changes, &out), &out, q->id);
}

void admin_add_note(const struct admin_ask *a)
{
	const Gatehouse__Admin__AddNote *q = a->call->add_note;
	OWNED_CA_OUTCOME out = CA_OUTCOME_INIT;

	admin_decided(a, ca_admin_note(a->core, a->who, q->id, q->text, &out), &out, q->id);
}
