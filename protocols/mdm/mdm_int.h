/* What the files of the MDM adapter share.
 *
 * An MDM system says by a password or token who it is, and of which device, and gets a challenge for one request at an
 * endpoint of protocol scep. Who may have how many for which names the core says (ca_delegate_challenge()). Each
 * interface is a file that reads what its clients send and says what they understand.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "protocols/adapter.h"

#include <stdatomic.h>

#define MDM_BODY_MAX ((size_t)64 << 10)

/* Does a challenge hold a request to the device that it was made for? */
enum mdm_device_rule { MDM_DEVICE_GIVEN, MDM_DEVICE_REQUIRED, MDM_DEVICE_OFF };

struct mdm {
	struct ca_door *ca;
	const struct proto_waits *waits;
	char *endpoint;     /* its own */
	char *for_endpoint; /* of protocol scep: where the challenges are good */
	bool serves_ndes, serves_jamf;
	enum mdm_device_rule device_rule;
	unsigned lifetime_s;
	_Atomic unsigned long long n_made, n_unauthenticated, n_refused, n_full;
};

/* ---- protocols/mdm/delegate.c ---- */

/* Outcomes besides 0, a challenge, which the caller overwrites, and negative. How the last two are told is the
 * interface's own. */
enum {
	MDM_ANSWERED = 1,      /* the reply says it: nobody that may ask, or not now */
	MDM_NOT_PERMITTED = 2, /* he may not have one, for this device or at all */
	MDM_FULL = 3,          /* as many as he may have wait to be used */
};

struct mdm_device {
	const char *serial_number, *udid; /* NULL: not known */
};

int mdm_delegate(struct mdm *m, const struct http_request *q, struct http_reply *r, const struct mdm_device *device,
		 struct ca_delegated *out);

/* ---- protocols/mdm/ndes.c, jamf.c: handlers ---- */

int mdm_ndes_page(void *state, const struct http_request *q, struct http_reply *r);
int mdm_ndes_redirect(void *state, const struct http_request *q, struct http_reply *r);
int mdm_jamf(void *state, const struct http_request *q, struct http_reply *r);
