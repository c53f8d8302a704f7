/* A CertRep (RFC 8894 3.3.2): SignedData by the registration authority.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "protocols/ra.h"
#include "protocols/scep/message.h"

#define SCEP_FAIL_TEXT_MAX 255

struct scep_reply {
	const struct scep_message *to;
	enum scep_status status;
	enum scep_fail fail;     /* of a failure */
	const char *fail_text;   /* of a failure: one sentence, UTF-8; NULL: none */
	struct bytes envelope;   /* of a success; the content of the others is there, and empty: clients look for it */
};

/* Sign with a key of the RA, whose certificate goes with it, and append. The digest is that of the request, when it was
 * checked, or SHA-256. 0; -EAGAIN: the signer is away; negative. */
int scep_reply_write(const struct proto_ra *ra, const struct proto_ra_key *key, const struct scep_reply *reply,
		     struct arena *arena, struct buf *out);

/* Sign content that answers no message (RFC 8894 4.7.1), and append: with SHA-256, and without the attributes that make
 * a CertRep. `others`: certificates that go along behind that of the RA. As above. */
int scep_reply_write_plain(const struct proto_ra *ra, const struct proto_ra_key *key, struct bytes content,
			   struct bytes others, struct buf *out);
