/* The OCSP responder (RFC 6960, RFC 5019, nonce of RFC 9654).
 *
 * Each answer is read from the store at the moment it is given, by one index look-up a certificate; what is kept is the
 * signature of an answer that says the same. So a revocation shows in the first answer after it is durable.
 *
 *   issued                       good
 *   revoked, held                revoked, with time and reason (certificateHold)
 *   being signed                 tryLater for the whole request: it may exist, and it may not
 *   anything else of an issuer   unknown, never good: nobody issued it here, or its row was purged
 *   no issuer of ours at all     unauthorized, unsigned (RFC 5019 2.2.3): there is no key to say more with
 *
 * A response is signed by the responder of the first issuer in the request; a client that asks about certificates of
 * several issuers at once accepts the others when it trusts that responder (RFC 6960 4.2.2.2).
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "core/core_int.h"
#include "core/ocsp_message.h"

struct ocsp;

/* Begin to get the responders that are wanted, those of CAs whose certificates name a status endpoint and of those that
 * somebody asked about, and others in their place in time. 0 or -errno. */
int ocsp_start(struct ocsp **out, struct ca_core *core);
void ocsp_stop(struct ocsp **o);

/* The contract of ca_ocsp(). `by`: the intermediary, which is told of the CAs that it may use. */
int ocsp_answer(struct ca_core *core, const struct binding *by, struct bytes request, struct ca_ocsp_answer *out);

/* An answer that says nothing but this. 0 or negative. */
int ocsp_answer_failure(enum ocsp_outcome outcome, struct ca_ocsp_answer *out);

/* Wait until the responders were looked after once; false after `wait_ms`. */
bool ocsp_settle(struct ca_core *core, unsigned wait_ms);

/* One line for each key of a CA that should answer; false when one cannot. */
bool ocsp_health(struct ca_core *core, struct buf *out);
void ocsp_metrics(struct ca_core *core, struct buf *out);
