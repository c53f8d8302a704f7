/* Jamf Pro asks for a challenge while it builds the SCEP payload of a device (its webhook SCEPChallenge, 10.32.0 and
 * later), and puts the whole body of the answer into it: the challenge, and nothing else.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "protocols/mdm/event.h"

int mdm_jamf(void *state, const struct http_request *q, struct http_reply *r)
{
	struct mdm *m = state;
	struct ca_delegated made = { 0 };
	struct mdm_device device;
	const char *why;
	int e;

	if (!m->serves_jamf)
		return http_reply_text(r, 404, "this webhook is not served here");
	if (!http_request_has_type(q, "application/json"))
		return http_reply_text(r, 415, "a webhook is JSON here; choose that as its content type");
	e = event_read(q->body, q->arena, &device, &why);
	if (e)
		return e == EVENT_REFUSED ? http_reply_text(r, 400, why) : e;
	e = mdm_delegate(m, q, r, &device, &made);
	if (!e)
		e = http_reply_body(r, 200, "text/plain", bytes_of_str(made.challenge));
	else if (e == MDM_FULL)
		e = http_reply_text(r, 503, "as many challenges as this user or token may have wait to be used");
	else if (e == MDM_NOT_PERMITTED)
		e = http_reply_text(r, 403, "this user or token may have no challenge made for this device");
	explicit_bzero(&made, sizeof(made));
	return e == MDM_ANSWERED ? 0 : e;
}
