/* A key of a registration authority as octets: ask for its certificate, keep both in a file.
 *
 * The private key is sealed by the signer that has made it (core/signer/signer.h) and opens nowhere else.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "core/base/buf.h"
#include "core/signer/signer.h"

#include <stdbool.h>

#define GW_RA_CERTIFICATE_MAX 65536
#define GW_RA_CHAIN_MAX 262144

struct gw_ra_key {
	struct buf sealed;
	struct buf spki;          /* of a key whose certificate is not there yet */
	struct buf certificate;   /* DER; empty: not yet */
	struct buf chain;         /* DER certificates one after the other, its issuer first */
	int64_t not_before_s, not_after_s;
};

#define GW_RA_KEY_INIT ((struct gw_ra_key){ .sealed = BUF_INIT(SIGNER_SEALED_MAX), .spki = BUF_INIT(SIGNER_SPKI_MAX), \
	.certificate = BUF_INIT(GW_RA_CERTIFICATE_MAX), .chain = BUF_INIT(GW_RA_CHAIN_MAX) })
void gw_ra_key_fini(struct gw_ra_key *key);

/* PEM: sealed key, public key, certificate, chain; those that it has. 0; negative. */
int gw_ra_key_print(const struct gw_ra_key *key, struct buf *pem);

/* Read it, into a key that has nothing yet; the dates are those of the certificate. 0; -EINVAL: it is none. */
int gw_ra_key_read(struct gw_ra_key *key, struct bytes pem);

/* Take the certificate and its chain, of which the dates are read. 0; -EINVAL: it is none, or not for this key. */
int gw_ra_key_take(struct gw_ra_key *key, struct bytes certificate, struct bytes chain);

/* Is it of this type of the signer's ("rsa-3072")? */
bool gw_ra_key_is_of_type(const struct gw_ra_key *key, const char *type);

/* The first of DER certificates that follow one another. */
struct bytes gw_ra_first_of(struct bytes chain);

/* Two certificates (DER) of one key and name: after a rollover a CA has crossed ones besides. */
bool gw_ra_is_same_issuer(struct bytes a, struct bytes b);

/* PKCS#10 with the names (DNS names and addresses), signed by the key `number` of the signer. 0; the outcomes of
 * signer_sign_request(). */
int gw_ra_key_request(struct signer *signer, uint64_t number, struct bytes spki, const char *const *names,
		      size_t n_names, struct buf *der, char why[static SIGNER_WHY_SIZE]);
