/* A client asks how far its order is (RFC 8555 7.4): what is under way is asked for first.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "protocols/acme/acme_int.h"

/* Challenges that are being checked may have finished since: then the order may be ready, or invalid. */
static int refresh_authorizations(struct acme_call *c, struct acme_order *o)
{
	bool changed = false;
	int e = 0;

	for (size_t i = 0; i < o->n_authz && !e; i++) {
		enum acme_status before = o->authz[i].status;

		e = acme_authz_refresh(c, &o->authz[i], 0);
		changed = changed || o->authz[i].status != before;
	}
	return e || !changed ? e : acme_order_load(c, o);
}

int acme_order(struct acme_call *c)
{
	struct acme_order o;
	int e = acme_order_load(c, &o);

	if (!e && o.status == ACME_PENDING)
		e = refresh_authorizations(c, &o);
	if (!e && o.status == ACME_PROCESSING)
		e = acme_finalize_poll(c, &o);
	if (e)
		return e < 0 ? e : 0;
	acme_finalize_collect(c, &o);
	return acme_order_reply(c, &o, 200);
}
