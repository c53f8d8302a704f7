/* The gateway's own key and certificate as octets: make a key, ask with it, judge what is stored.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "core/base/buf.h"

/* A new P-256 key, PEM, appended to `pem`; wipe it after use. 0 or -EIO. */
int gw_tls_key_new(struct buf *pem);

/* PKCS#10 for that key with the names (DNS names and addresses) as subject alternative names. 0; -EINVAL. */
int gw_tls_key_request(struct bytes key_pem, const char *const *names, size_t n_names, struct buf *der);

/* SubjectPublicKeyInfo of the key, DER. 0; -EINVAL. */
int gw_tls_key_public(struct bytes key_pem, struct buf *der);

/* The certificate and the DER certificates of `chain`, one after the other, as PEM. 0; -EINVAL. */
int gw_tls_chain_print(struct bytes certificate, struct bytes chain, struct buf *pem);

struct gw_tls_facts {
	int64_t not_before_s, not_after_s;
	bool has_names; /* exactly the names that were asked about */
	bool is_from;   /* signed by the issuer that was asked about */
};

/* What the first certificate of `pem` says. `issuer` is DER; only its first certificate counts. 0; -EINVAL. */
int gw_tls_chain_read(struct bytes pem, const char *const *names, size_t n_names, struct bytes issuer,
		      struct gw_tls_facts *out);
