/* GetCert and GetCRL (RFC 8894 3.3.4): what the CA has issued, and the list that tells of it, by issuer and serial.
 *
 * Only who holds a certificate of ours may ask, and he is looked at before a key is used. Even he may have seen the
 * envelope of somebody else, and sign it anew as one of these, bent so that it begins like a name. So whatever is wrong
 * inside has one answer, that of a certificate which is not there, and it is looked up all the same: neither the answer
 * nor its time tells how far it came.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "protocols/scep/scep_int.h"

#include <errno.h>

#include "core/base/digest.h"
#include "protocols/bundle.h"
#include "protocols/scep/certificate_id.h"
#include "protocols/signed_der.h"

#define CRL_MAX ((size_t)384 << 10) /* octets of a list that goes into a message */

/* ---- who asks ---- */

int scep_admit_holder(struct scep_call *c)
{
	const struct ca_credential_answer *answer;
	/* What nobody has issued does not count among the certificates that were tried. */
	bool is_issued = !scep_is_self_issued(c->message.signer);
	int e = is_issued ? scep_check_signer(c, CA_CERTIFICATE_ENROL, &answer) : 0;

	if (e)
		return e;
	if (!is_issued || answer->trust != CA_TRUST_OWN)
		return scep_fail(c, SCEP_BAD_MESSAGE_CHECK, "who asks for certificates and revocation lists signs with "
							    "a certificate that this CA has issued");
	return 0;
}

/* ---- which one ---- */

/* What a call of the core came to, unless it is 0 or negative. */
static int take_failure(struct scep_call *c, int e)
{
	if (e == CA_CALL_BUSY)
		return scep_later(c, 0, SCEP_AWAY_TEXT);
	return scep_fail(c, SCEP_BAD_CERT_ID, "the message cannot be decrypted, or names nothing that this CA has "
					      "issued");
}

/* Clients that take the RA for the CA, because it is all that they were given, name it as the issuer. */
static void name_issuer(const struct scep_call *c, struct ca_certificate_id *id)
{
	struct signed_certificate ra;

	if (signed_der_certificate(c->key->certificate, &ra) == 0 && bytes_equal(id->issuer, ra.subject))
		id->issuer = ra.issuer;
}

static int look_up(struct scep_call *c, struct ca_certificate *out)
{
	uint8_t nobodys[SCEP_SERIAL_MAX];
	struct ca_certificate_id id;
	int e;

	if (!scep_certificate_id_read(c->content, &id)) {
		atomic_fetch_add(&c->scep->n_undecrypted, 1);
		if (random_octets(nobodys, sizeof(nobodys)))
			return -EIO;
		id = (struct ca_certificate_id){ bytes_of(NULL, 0), bytes_of(nobodys, sizeof(nobodys)) };
	}
	name_issuer(c, &id);
	if (!scep_enter_wait(c->scep))
		return scep_later(c, 0, SCEP_CROWDED_TEXT);
	e = ca_get_certificate(c->scep->ca, &id, out);
	scep_leave_wait(c->scep);
	return e > 0 ? take_failure(c, e) : e;
}

/* ---- what he gets ---- */

int scep_get_certificate(struct scep_call *c)
{
	struct ca_certificate found = CA_CERTIFICATE_INIT;
	int e = look_up(c, &found);

	if (!e) {
		c->status = SCEP_SUCCESS;
		e = bundle_write_in_order(buf_bytes(&found.der), &c->bag);
	}
	buf_fini(&found.der);
	return e;
}

static int fetch_list(struct scep_call *c, const struct ca_certificate *about, struct buf *list)
{
	struct ca_crl info;
	int e;

	if (!scep_enter_wait(c->scep))
		return scep_later(c, 0, SCEP_CROWDED_TEXT);
	e = ca_get_crl(c->scep->ca, about->key_index, about->partition, list, &info);
	scep_leave_wait(c->scep);
	if (e == -EMSGSIZE)
		return scep_fail(c, SCEP_BAD_REQUEST, "the revocation list is too large for a message; fetch it where "
						      "the certificate says");
	return e > 0 ? take_failure(c, e) : e;
}

int scep_get_crl(struct scep_call *c)
{
	struct ca_certificate about = CA_CERTIFICATE_INIT;
	OWNED_BUF list = BUF_INIT(CRL_MAX);
	int e = look_up(c, &about);

	if (!e)
		e = fetch_list(c, &about, &list);
	if (!e) {
		c->status = SCEP_SUCCESS;
		e = bundle_write_crls(buf_bytes(&list), &c->bag);
	}
	buf_fini(&about.der);
	return e;
}
