/* CertPoll (RFC 8894 3.3.3, 4.4): what became of a transaction, asked without its request.
 *
 * Transaction and signer key say which it is. The content, two names, says nothing more, and it is not opened: whoever
 * has a transaction of his own could put somebody else's envelope in it, bent, and would learn from the answers what is
 * inside.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "protocols/scep/scep_int.h"

int scep_poll(struct scep_call *c)
{
	OWNED_CA_OUTCOME out = CA_OUTCOME_INIT;
	uint8_t key[CA_POLL_KEY_SIZE];
	int e = scep_poll_key(c, key);

	if (e)
		return e;
	if (!scep_enter_wait(c->scep))
		return scep_later(c, 0, SCEP_CROWDED_TEXT);
	e = ca_poll(c->scep->ca, c->scep->endpoint, key, &out);
	if (e == CA_CALL_NOT_FOUND)
		e = scep_fail(c, SCEP_BAD_CERT_ID, "no request of this transaction was signed with this key");
	/* Who renews shows a certificate, and no target was asked. */
	else if (c->scep->judge && scep_is_self_issued(c->message.signer))
		e = scep_take_judged(c, bytes_of(NULL, 0), e, &out);
	else
		e = scep_take_outcome(c, e, &out);
	scep_leave_wait(c->scep);
	return e;
}
