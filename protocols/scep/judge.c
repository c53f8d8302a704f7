/* Challenges that a target outside judges.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "protocols/scep/scep_int.h"

#include <errno.h>

#define RETRY_AFTER_S 15

int scep_judge(struct scep_call *c, const struct proto_csr *csr, const uint8_t *transaction_key, struct buf *statement)
{
	const struct validator *judge = c->scep->judge;
	const struct judgement what = {
		.endpoint = c->scep->endpoint,
		.request = csr->der,
		.challenge = csr->challenge,
		.transaction_id = scep_print_transaction_id(c),
		.transaction_key = transaction_key,
	};
	int e = what.transaction_id ? judge->judge(judge->state, &what, statement) : -ENOMEM;

	if (e == JUDGEMENT_DENIED) {
		atomic_fetch_add(&c->scep->n_judged_against, 1);
		return scep_fail(c, SCEP_BAD_REQUEST, "the request was refused");
	}
	if (e > 0) {
		atomic_fetch_add(&c->scep->n_unjudged, 1);
		return scep_later(c, RETRY_AFTER_S);
	}
	return e;
}
