/* The keys and certificates of endpoints that are registration authorities (PROTO_CAP_RA).
 *
 * Each endpoint has its own: a key that the signer of registration authorities makes, and a certificate that the
 * gateway asks for like anyone (endpoint `internal`, profile `scep-ra`, the names of the endpoint's listener as
 * evidence `local-config`), so policy is asked, and the request stands in the queue if it is held. Until it is issued
 * the endpoint says that it is not ready, and health says so. After two thirds of the certificate's life, or when the
 * CA has another key, the next one is made; what was encrypted to the one before is answered until that has ended. Then
 * it leaves memory and the signer. Sealed keys and certificates are files in the gateway's data folder (0600), and stay
 * longer, because a clock that was set wrong is set right again: a file goes thirty days after the end, once the clock
 * has been steady for six hours (core/base/steady.h).
 *
 * One thread does all this; the calls of `struct proto_ra` may be made on any.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "core/submit.h"
#include "protocols/ra.h"

struct gw_ras;
struct signer;

/* `signer` and `folder`, the gateway's data folder, live longer. 0 or -ENOMEM. */
int gw_ras_new(struct gw_ras **out, struct signer *signer, const char *folder);

/* An endpoint, whose name and CA live longer; `key_type` is one of the signer's. NULL: no memory. */
const struct proto_ra *gw_ras_add(struct gw_ras *ras, const char *endpoint, const char *key_type, struct ca_door *ca);

/* The names in its certificates: borrowed, at least one. */
void gw_ras_set_names(struct gw_ras *ras, const char *endpoint, const char *const *names, size_t n_names);

/* Try each once, then go on in a thread. 0 or -errno. */
int gw_ras_start(struct gw_ras *ras);

/* Ends the thread. Idempotent. */
void gw_ras_stop(struct gw_ras *ras);
void gw_ras_drop(struct gw_ras **ras); /* nobody is in a call */

/* Find out whether the signer answers; waits for it. Uses of its keys show it too. */
void gw_ras_probe(struct gw_ras *ras);

/* One line an endpoint; false when one has no certificate in force, or its signer does not answer. */
bool gw_ras_health(struct gw_ras *ras, struct buf *out);

/* The same in Prometheus text format. */
void gw_ras_print_metrics(struct gw_ras *ras, struct buf *out);
