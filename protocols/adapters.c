/* The adapters that are built in: one line each.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "protocols/acme/acme.h"
#include "protocols/est/est.h"
#include "protocols/mdm/mdm.h"
#include "protocols/scep/scep.h"
#include "protocols/status/status.h"

const struct proto_adapter *const proto_adapters[] = {
	&proto_acme,
	&proto_est,
	&proto_mdm,
	&proto_scep,
	&proto_status,
	NULL,
};
