/* Who asks, as the Authorization header of a request says (RFC 9110 11.6.2): a user with a password, or a token.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "core/submit.h"
#include "protocols/http_msg.h"

/* Schemes that are taken, as bits. */
enum { AUTHORIZATION_BASIC = 1 << 0, AUTHORIZATION_BEARER = 1 << 1 };

#define AUTHORIZATION_TWICE 1 /* there is more than one such header: which counts would be a guess */

/* What the header claims, in the arena of the request: USER by Basic (RFC 7617), TOKEN by Bearer (RFC 6750), NONE when
 * it is absent or of another scheme. What is malformed is nobody's, like a wrong password. 0;
 * AUTHORIZATION_TWICE; -ENOMEM. */
int authorization_read(const struct http_request *q, unsigned schemes, struct ca_credential_claim *out);

/* A 401 offers something (RFC 9110 15.5.2): one WWW-Authenticate for each scheme. */
int authorization_offer(struct http_reply *r, unsigned schemes, const char *realm);
