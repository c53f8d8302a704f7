/* Which property is what, and who may read it.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "core/property.h"

#include "core/base/base64.h"

#define BOTH (READER_POLICY | READER_EXIT)

enum property_type { TEXT = 1, NUMBER, OCTETS };

static const struct {
	enum property_type type;
	unsigned readers;
	const char *group;
} properties[CA_PROP_COUNT_] = {
	[CA_PROP_REQUEST_ID] = { NUMBER, BOTH, "request" },
	[CA_PROP_PROTOCOL] = { TEXT, BOTH, "request" },
	[CA_PROP_ENDPOINT] = { TEXT, BOTH, "request" },
	[CA_PROP_PROFILE] = { TEXT, BOTH, "request" },
	[CA_PROP_REQUESTER] = { TEXT, BOTH, "request" },
	[CA_PROP_INTERMEDIARY] = { TEXT, BOTH, "request" },
	[CA_PROP_SOURCE_ADDRESS] = { TEXT, BOTH, "request" },
	[CA_PROP_SUBMITTED_MS] = { NUMBER, BOTH, "request" },
	[CA_PROP_CSR] = { OCTETS, BOTH, "csr" },
	[CA_PROP_CSR_SUBJECT] = { TEXT, BOTH, "csr" },
	[CA_PROP_RAW_ATTRIBUTES] = { TEXT, BOTH, "attributes" },
	[CA_PROP_PUBLIC_KEY] = { OCTETS, BOTH, "key" },
	[CA_PROP_KEY_TYPE] = { TEXT, BOTH, "key" },
	[CA_PROP_KEY_BITS] = { NUMBER, BOTH, "key" },
	[CA_PROP_NOT_BEFORE] = { NUMBER, BOTH, "validity" },
	[CA_PROP_NOT_AFTER] = { NUMBER, BOTH, "validity" },
	[CA_PROP_DISPOSITION] = { NUMBER, READER_EXIT, "request" },
	[CA_PROP_STATUS] = { TEXT, READER_EXIT, "request" },
	[CA_PROP_REASON] = { TEXT, READER_EXIT, "request" },
	[CA_PROP_RESOLVED_MS] = { NUMBER, READER_EXIT, "request" },
	[CA_PROP_SERIAL] = { TEXT, READER_EXIT, "certificate" },
	[CA_PROP_CERTIFICATE] = { OCTETS, READER_EXIT, "certificate" },
	[CA_PROP_CA] = { TEXT, READER_EXIT, "event" },
	[CA_PROP_REVOCATION_REASON] = { NUMBER, READER_EXIT, "event" },
	[CA_PROP_CRL_NUMBER] = { NUMBER, READER_EXIT, "event" },
	[CA_PROP_REVOKED_MS] = { NUMBER, READER_EXIT, "certificate" },
	[CA_PROP_SUBJECT] = { TEXT, READER_EXIT, "certificate" },
};

static bool may_read(enum ca_property p, enum property_type type, enum property_reader reader)
{
	return (unsigned)p < CA_PROP_COUNT_ && properties[p].type == type && (properties[p].readers & reader);
}

const char *property_group(enum ca_property p)
{
	return (unsigned)p < CA_PROP_COUNT_ && properties[p].group ? properties[p].group : "nothing";
}

static const char *certificate_text(const struct ca_request *r, enum ca_property p)
{
	char text[1024] = "";
	struct bytes serial;

	if (!r->certificate.len)
		return NULL;
	if (p == CA_PROP_SERIAL)
		hex_print(certificate_serial(buf_bytes(&r->certificate), &serial) ? bytes_of("", 0) : serial, text);
	else
		certificate_subject(buf_bytes(&r->certificate), text, sizeof(text));
	return arena_strdup(r->arena, text);
}

const char *property_text(const struct ca_request *r, enum ca_property p, enum property_reader reader)
{
	if (!may_read(p, TEXT, reader))
		return NULL;
	switch (p) {
	case CA_PROP_PROTOCOL:
		return r->protocol;
	case CA_PROP_ENDPOINT:
		return r->endpoint;
	case CA_PROP_PROFILE:
		return r->profile;
	case CA_PROP_REQUESTER:
		return r->requester;
	case CA_PROP_INTERMEDIARY:
		return r->intermediary;
	case CA_PROP_SOURCE_ADDRESS:
		return r->source_address;
	case CA_PROP_CSR_SUBJECT:
		return r->csr.subject_text;
	case CA_PROP_RAW_ATTRIBUTES:
		return r->raw_attributes;
	case CA_PROP_KEY_TYPE:
		return r->csr.key_type;
	case CA_PROP_STATUS:
		return ca_status_word(r->status);
	case CA_PROP_REASON:
		return r->reason;
	case CA_PROP_SERIAL:
	case CA_PROP_SUBJECT:
		return certificate_text(r, p);
	default:
		return NULL;
	}
}

int64_t property_number(const struct ca_request *r, enum ca_property p, enum property_reader reader)
{
	if (!may_read(p, NUMBER, reader))
		return 0;
	switch (p) {
	case CA_PROP_REQUEST_ID:
		return r->id;
	case CA_PROP_SUBMITTED_MS:
		return r->submitted_ms;
	case CA_PROP_KEY_BITS:
		return r->csr.key_bits;
	case CA_PROP_NOT_BEFORE:
		return r->not_before_s;
	case CA_PROP_NOT_AFTER:
		return r->not_after_s;
	case CA_PROP_DISPOSITION:
		return r->state;
	case CA_PROP_RESOLVED_MS:
		return r->resolved_ms;
	case CA_PROP_REVOKED_MS:
		return r->revoked_ms;
	default:
		return 0;
	}
}

struct bytes property_octets(const struct ca_request *r, enum ca_property p, enum property_reader reader)
{
	if (!may_read(p, OCTETS, reader))
		return bytes_of(NULL, 0);
	switch (p) {
	case CA_PROP_CSR:
		return r->csr.der;
	case CA_PROP_PUBLIC_KEY:
		return r->csr.spki;
	case CA_PROP_CERTIFICATE:
		return r->certificate.len ? buf_bytes(&r->certificate) : bytes_of(NULL, 0);
	default:
		return bytes_of(NULL, 0);
	}
}
