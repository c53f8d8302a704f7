/* How the gateway is: what health says of it, and what the core is told, which people ask.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "gateway/gateway_int.h"

#include "core/base/clock.h"
#include "gateway/config.h"

#define REPORT_EVERY_MS 5000

bool gw_print_health(struct gateway *gw, struct buf *out)
{
	bool is_well = gw_certs_health(gw->certs, out);

	is_well = gw_ras_health(gw->ras, out) && is_well;
	gw_endpoints_print_weaknesses(gw->endpoints, gw->n_endpoints, out);
	return validator_health(gw->validator, out) && is_well;
}

/* At once when it changed, and often enough that silence says something. */
void gw_report(struct gateway *gw, struct gw_reporter *r)
{
	OWNED_BUF lines = BUF_INIT(65536);
	bool is_due = clock_mono_ms() >= r->next_ms, is_well;

	if (gw_config_has_other_core(gw->root))
		return;
	if (is_due)
		gw_ras_probe(gw->ras);
	is_well = gw_print_health(gw, &lines);
	if (buf_status(&lines) || (!is_due && bytes_equal(buf_bytes(&lines), buf_bytes(&r->told))))
		return;
	buf_reset(&r->told);
	if (ca_door_report(gw->core, is_well, buf_str(&lines)) == 0)
		(void)buf_append(&r->told, buf_bytes(&lines));
	r->next_ms = clock_mono_ms() + REPORT_EVERY_MS;
}
