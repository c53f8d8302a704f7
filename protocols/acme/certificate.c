/* TBSCertificate (RFC 5280 4.1), as far as it is needed.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "protocols/acme/certificate.h"

#include <errno.h>
#include <string.h>

#include "core/base/der.h"
#include "core/base/ip.h"
#include "protocols/signed_der.h"

#define DER_CONTEXT_3 0xa3
#define NAME_DNS 0x82 /* [2] IA5String */
#define NAME_IP 0x87  /* [7] OCTET STRING */

/* What stands before the key: version (v3 is always written), serial number, signature, issuer, validity, subject. */
static const uint8_t before_key[] = {
	DER_CONTEXT_0, DER_INTEGER, DER_SEQUENCE, DER_SEQUENCE, DER_SEQUENCE, DER_SEQUENCE,
};

int acme_certificate_spki(struct bytes certificate, struct bytes *spki)
{
	struct bytes info;

	return signed_der_open(certificate, &info) ? -EINVAL :
						      signed_der_key(&info, before_key, sizeof(before_key), spki);
}

static bool is_alt_name(struct bytes oid)
{
	return bytes_equal(oid, bytes_of("\x55\x1d\x11", 3)); /* id-ce-subjectAltName */
}

/* One extension: its value when it is the SAN, otherwise nothing. */
static int read_extension(struct bytes extension, struct bytes *alt_names)
{
	struct bytes oid, critical, value;

	if (der_expect(&extension, DER_OID, &oid))
		return -EINVAL;
	if (extension.len > 0 && extension.ptr[0] == DER_BOOLEAN && der_expect(&extension, DER_BOOLEAN, &critical))
		return -EINVAL;
	if (der_expect(&extension, DER_OCTET_STRING, &value) || extension.len)
		return -EINVAL;
	if (!is_alt_name(oid))
		return 0;
	if (alt_names->ptr) /* twice (RFC 5280 4.2) */
		return -EINVAL;
	return der_expect(&value, DER_SEQUENCE, alt_names) || value.len ? -EINVAL : 0;
}

/* The content of the SAN; empty when there is none. */
static int find_alt_names(struct bytes certificate, struct bytes *out)
{
	struct bytes info, spki, extensions, list, extension;

	*out = bytes_of(NULL, 0);
	if (signed_der_open(certificate, &info) || signed_der_key(&info, before_key, sizeof(before_key), &spki))
		return -EINVAL;
	if (info.len == 0)
		return 0;
	/* The unique identifiers that may stand before are of version 2 and in no certificate of today. */
	if (der_expect(&info, DER_CONTEXT_3, &extensions) || info.len ||
	    der_expect(&extensions, DER_SEQUENCE, &list) || extensions.len)
		return -EINVAL;
	while (list.len > 0)
		if (der_expect(&list, DER_SEQUENCE, &extension) || read_extension(extension, out))
			return -EINVAL;
	return 0;
}

static bool read_dns(struct bytes name, struct acme_identifier *out)
{
	char text[ACME_IDENTIFIER_SIZE];
	const char *why;

	if (name.len >= sizeof(text) || memchr(name.ptr, '\0', name.len))
		return false;
	memcpy(text, name.ptr, name.len);
	text[name.len] = '\0';
	return acme_identifier_read(out, "dns", text, &why) == 0;
}

static bool read_ip(struct bytes name, struct acme_identifier *out)
{
	struct ip_address address = { .len = (unsigned)name.len };
	char text[IP_TEXT_SIZE];
	const char *why;

	if (name.len != 4 && name.len != 16)
		return false;
	memcpy(address.octets, name.ptr, name.len);
	return acme_identifier_read(out, "ip", ip_address_print(&address, text), &why) == 0;
}

static bool read_name(unsigned tag, struct bytes name, struct acme_identifier *out)
{
	if (tag == NAME_DNS)
		return read_dns(name, out);
	return tag == NAME_IP && read_ip(name, out);
}

int acme_certificate_names(struct bytes certificate, struct acme_identifier *out, size_t max, size_t *n)
{
	struct bytes names, name;
	unsigned tag;

	*n = 0;
	if (find_alt_names(certificate, &names))
		return -EINVAL;
	while (names.len > 0) {
		if (der_read(&names, &tag, &name, NULL))
			return -EINVAL;
		if (*n == max || !read_name(tag, name, &out[*n]))
			return ACME_CERTIFICATE_OTHER_NAMES;
		(*n)++;
	}
	return *n > 0 ? 0 : ACME_CERTIFICATE_OTHER_NAMES;
}
