/* Certificates of a CA, by what certificates name each other with: issuer and serial number.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "core/core_int.h"

#include <strings.h>

#include "core/base/own.h"
#include "core/store.h"
#include "core/store_revoke.h"
#include "core/x509/certificate.h"
#include "core/x509/issuer.h"

/* NULL: another one has issued it, or only its trail is known. */
static const struct ca_key *find_issuer(const struct ca *ca, const struct ca_request *r, struct bytes issuer)
{
	const struct ca_key *key = strcasecmp(r->ca, ca->name) == 0 ? ca_find_key(ca, r->key_id) : NULL;

	return key && r->certificate.len && bytes_equal(issuer_get_name(key->issuer), issuer) ? key : NULL;
}

/* One that a client has. */
static int find_issued(struct ca *ca, const struct binding *by, const struct ca_certificate_id *id,
		       struct ca_certificate *out)
{
	OWNED(ca_request) r = NULL;
	const struct ca_key *key;
	int64_t row;
	int e = id->serial.len && id->serial.len <= SERIAL_OCTETS_MAX ? store_find_serial(ca->core, id->serial, &row) :
									CA_CALL_NOT_FOUND;

	if (!e)
		e = store_load(ca->core, row, &r);
	if (e)
		return e;
	key = pipeline_is_business_of(by, r) ? find_issuer(ca, r, id->issuer) : NULL;
	if (!key)
		return CA_CALL_NOT_FOUND;
	out->key_index = key->index;
	out->partition = r->crl_partition;
	return buf_append(&out->der, buf_bytes(&r->certificate));
}

/* The CA's own, by which clients ask that have none but this. */
static int find_own(const struct ca *ca, const struct ca_certificate_id *id, struct ca_certificate *out)
{
	unsigned n = ca->n_keys;
	struct bytes issuer, serial;

	for (unsigned i = 0; i < n; i++) {
		struct bytes der = buf_bytes(&ca->keys[i]->certificate);

		if (certificate_serial(der, &serial) || certificate_issuer(der, &issuer) ||
		    !bytes_equal(serial, id->serial) || !bytes_equal(issuer, id->issuer))
			continue;
		out->key_index = ca->keys[i]->index;
		out->partition = 0;
		return buf_append(&out->der, der);
	}
	return CA_CALL_NOT_FOUND;
}

int pipeline_get_certificate(struct ca *ca, const struct binding *by, const struct ca_certificate_id *id,
			     struct ca_certificate *out)
{
	int e = find_issued(ca, by, id, out);

	return e == CA_CALL_NOT_FOUND ? find_own(ca, id, out) : e;
}
