/* Calls of the administrator's tool about certificates.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "core/admin_int.h"

void admin_list_certificates(const struct admin_ask *a)
{
	const Gatehouse__Admin__ListCertificates *q = a->call->list_certificates;

	admin_list(a, &(struct list_query){ .table = FILTER_CERTIFICATES, .filter = q->filter, .limit = q->limit,
					    .from = bytes_of(q->from.data, q->from.len), .backwards = q->backwards,
					    .after_serial = bytes_of(q->after_serial.data, q->after_serial.len) });
}
