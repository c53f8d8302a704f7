/* Calls of the administrator's tool about requests.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "core/admin_int.h"

#include "core/store_view.h"

void admin_list_requests(const struct admin_ask *a)
{
	const Gatehouse__Admin__ListRequests *q = a->call->list_requests;

	admin_list(a, &(struct list_query){ .table = FILTER_REQUESTS, .filter = q->filter, .limit = q->limit,
					    .from = bytes_of(q->from.data, q->from.len), .backwards = q->backwards });
}

void admin_show_request(const struct admin_ask *a)
{
	const Gatehouse__Admin__ShowRequest *q = a->call->show_request;
	int e = store_view_detail(a->core, q->id, q->timeline, a->arena, &a->reply->detail);

	if (e > 0)
		admin_say(a, CA_ADMIN_NOT_FOUND, "there is no such request");
	else if (e)
		admin_failed(a, e);
}

void admin_approve(const struct admin_ask *a)
{
	const Gatehouse__Admin__Decide *q = a->call->approve;
	OWNED_CA_OUTCOME out = CA_OUTCOME_INIT;

	if (q->digest.len && q->digest.len != SHA256_SIZE) {
		admin_say(a, CA_ADMIN_INVALID, "a digest has 32 octets");
		return;
	}
	admin_decided(a, ca_admin_approve(a->core, a->who, q->id, q->digest.len ? q->digest.data : NULL, &out), &out,
		      q->id);
}

void admin_resubmit(const struct admin_ask *a)
{
	int64_t id = a->call->resubmit->id;
	OWNED_CA_OUTCOME out = CA_OUTCOME_INIT;

	admin_decided(a, ca_admin_resubmit(a->core, a->who, id, &out), &out, id);
}

void admin_deny(const struct admin_ask *a)
{
	const Gatehouse__Admin__Decide *q = a->call->deny;
	OWNED_CA_OUTCOME out = CA_OUTCOME_INIT;

	admin_decided(a, ca_admin_deny(a->core, a->who, q->id, q->reason, &out), &out, q->id);
}

void admin_set_attribute(const struct admin_ask *a)
{
	const Gatehouse__Admin__SetAttribute *q = a->call->set_attribute;
	OWNED_CA_OUTCOME out = CA_OUTCOME_INIT;

	admin_decided(a, ca_admin_set_attribute(a->core, a->who, q->id, q->name, q->value, &out), &out, q->id);
}

void admin_set_extension(const struct admin_ask *a)
{
	const Gatehouse__Admin__SetExtension *q = a->call->set_extension;
	struct bytes value = bytes_of(q->value.data, q->value.len);
	OWNED_CA_OUTCOME out = CA_OUTCOME_INIT;

	admin_decided(a, ca_admin_set_extension(a->core, a->who, q->id, q->oid, value, q->flags, &out), &out, q->id);
}
