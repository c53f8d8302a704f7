/* What the files about TLS know of a connection.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "gateway/tls.h"
#include "gateway/tls_peer.h"

#include <openssl/ssl.h>

struct gw_tls {
	SSL *ssl;
	BIO *in, *out; /* owned by `ssl` */
	bool http1_only;
	bool is_described;    /* `peer` is filled */
	bool keeps_no_ticket; /* the client's chain is too long to be kept in one */
	struct gw_tls_peer peer;
	struct buf certificates;
	uint8_t unique[GW_TLS_UNIQUE_MAX], exporter[GW_TLS_EXPORTER_SIZE];
};
