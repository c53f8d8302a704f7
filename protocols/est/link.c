/* Linking of identity and proof of possession (RFC 7030 3.5): a challengePassword that only the two ends of this TLS
 * connection know shows that whoever signed the request is at its other end. The same value in estIdentityLinking
 * (RFC 7894 3.3) is nothing else, whatever the challengePassword is for.
 *
 * TLS 1.3 has no tls-unique; what takes its place is the exporter of RFC 9266, as RFC 9148 3 does for DTLS. On TLS 1.2
 * with extended master secret a client may have either.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "protocols/est/est_int.h"

#include "core/base/base64.h"
#include "core/base/secret.h"

#define BINDING_MAX 64

static bool is_binding(struct bytes shown, struct bytes binding)
{
	OWNED_BUF text = BUF_INIT(BINDING_MAX);

	if (binding.len == 0 || base64_encode(&text, binding) || text.len != shown.len)
		return false;
	return secret_equal(text.ptr, shown.ptr, text.len);
}

static bool is_linked(const struct est_call *c, struct bytes shown)
{
	return is_binding(shown, c->q->tls_unique) || is_binding(shown, c->q->tls_exporter);
}

/* RFC 7894 4: each that is there is looked at by itself, and all must be good. */
static bool is_all_good(const struct est_call *c, struct bytes challenge)
{
	return (!challenge.ptr || is_linked(c, challenge)) && (!c->csr.link.ptr || is_linked(c, c->csr.link));
}

int est_check_link(struct est_call *c)
{
	bool is_challenge_link = c->est->challenge == EST_CHALLENGE_LINKING;
	struct bytes challenge = is_challenge_link ? c->csr.challenge : bytes_of(NULL, 0);
	bool is_shown = challenge.ptr || c->csr.link.ptr;

	/* Whoever has no key proves the possession of none: the signature is not looked at (RFC 7030 4.4.1). */
	if (c->operation == EST_SERVERKEYGEN)
		return 0;
	if (c->client.trust == CA_TRUST_RA)
		c->link = EST_LINK_RA;
	if (c->link == EST_LINK_RA)
		return 0;
	if (c->est->pop == EST_POP_OFF || (!is_shown && c->est->pop == EST_POP_VERIFY))
		return 0;
	if (!is_shown)
		return est_refuse(c, 403, "linking of identity and proof of possession is required: the request must "
					  "carry tls-unique, with TLS 1.3 tls-exporter, as its challengePassword "
					  "(RFC 7030 3.5)");
	if (is_all_good(c, challenge)) {
		c->link = EST_LINK_YES;
		return 0;
	}
	return est_refuse(c, 400, "linking of identity and proof of possession failed: the challengePassword or "
				  "estIdentityLinking is not that of this TLS connection (RFC 7030 3.5)");
}
