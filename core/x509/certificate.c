/* What can be read off a certificate.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "core/x509/certificate.h"

#include <errno.h>

#include <openssl/x509.h>

#include "core/base/der.h"

static void X509_drop(X509 **c)
{
	X509_free(*c);
	*c = NULL;
}
#define OWNED_X509 __attribute__((cleanup(X509_drop))) X509

static X509 *parse_certificate(struct bytes der)
{
	const uint8_t *p = der.ptr;
	X509 *cert = d2i_X509(NULL, &p, (long)der.len);

	if (cert && p != der.ptr + der.len)
		X509_drop(&cert);
	return cert;
}

static int asn1_seconds(const ASN1_TIME *t, int64_t *out)
{
	ASN1_TIME *epoch = ASN1_TIME_set(NULL, 0);
	int days, seconds, ok = epoch && ASN1_TIME_diff(&days, &seconds, epoch, t);

	if (ok)
		*out = (int64_t)days * 86400 + seconds;
	ASN1_TIME_free(epoch);
	return ok ? 0 : -EINVAL;
}

int certificate_dates(struct bytes certificate, int64_t *not_before_s, int64_t *not_after_s)
{
	OWNED_X509 *cert = parse_certificate(certificate);

	if (!cert || asn1_seconds(X509_get0_notBefore(cert), not_before_s))
		return -EINVAL;
	return asn1_seconds(X509_get0_notAfter(cert), not_after_s);
}

/* What is signed, behind the serial number. */
static int read_number(struct bytes certificate, struct bytes *number, struct bytes *behind)
{
	struct bytes whole, version;

	return der_expect(&certificate, DER_SEQUENCE, &whole) || der_expect(&whole, DER_SEQUENCE, behind) ||
	       der_expect(behind, DER_CONTEXT_0, &version) || der_expect(behind, DER_INTEGER, number) ? -EINVAL : 0;
}

int certificate_serial(struct bytes certificate, struct bytes *serial)
{
	struct bytes number, behind;

	if (read_number(certificate, &number, &behind) || number.len == 0 || number.ptr[0] & 0x80)
		return -EINVAL;
	if (number.ptr[0] == 0)
		number = bytes_of(number.ptr + 1, number.len - 1);
	*serial = number;
	return number.len > 0 && number.len <= SERIAL_OCTETS_MAX && number.ptr[0] ? 0 : -EINVAL;
}

int certificate_issuer(struct bytes certificate, struct bytes *issuer)
{
	struct bytes number, behind, content;
	unsigned tag;

	return read_number(certificate, &number, &behind) || der_expect(&behind, DER_SEQUENCE, &content) ||
	       der_read(&behind, &tag, &content, issuer) || tag != DER_SEQUENCE ? -EINVAL : 0;
}

int certificate_subject(struct bytes certificate, char *out, size_t size)
{
	OWNED_X509 *cert = parse_certificate(certificate);
	BIO *text = BIO_new(BIO_s_mem());
	int n = -1;

	if (cert && text && X509_NAME_print_ex(text, X509_get_subject_name(cert), 0, XN_FLAG_RFC2253) >= 0)
		n = BIO_read(text, out, (int)size - 1);
	out[n > 0 ? n : 0] = '\0';
	BIO_free(text);
	return cert ? 0 : -EINVAL;
}
