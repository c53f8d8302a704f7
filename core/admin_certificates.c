/* Calls of the administrator's tool about certificates.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "core/admin_int.h"

#include "core/store_view.h"

void admin_list_certificates(const struct admin_ask *a)
{
	const Gatehouse__Admin__ListCertificates *q = a->call->list_certificates;
	int e = store_view_certificates(a->core, bytes_of(q->after.data, q->after.len), q->limit, a->arena, a->reply);

	if (e)
		admin_failed(a, e);
}
