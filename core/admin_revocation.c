/* Calls of the administrator's tool about revocation.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "core/admin_int.h"

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
