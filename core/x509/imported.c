/* A certificate that was made elsewhere.
 *
 * Its frame is read by our own strict reader; libcrypto reads the names.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "core/x509/imported.h"

#include <arpa/inet.h>
#include <errno.h>

#include <openssl/x509v3.h>

#include "core/base/der.h"
#include "core/x509/certificate.h"

#define SUBJECT_MAX 1024

static int take_sequence(struct bytes *in, struct bytes *whole)
{
	struct bytes content;
	unsigned tag;

	return der_read(in, &tag, &content, whole) || tag != DER_SEQUENCE ? -EINVAL : 0;
}

/* Certificate, and the elements of its TBSCertificate in their order (RFC 5280 4.1). */
static int read_frame(struct imported *out, struct bytes der)
{
	struct bytes outer, tbs, bits, skipped, rest;

	if (der_expect(&der, DER_SEQUENCE, &outer) || der.len || take_sequence(&outer, &out->tbs) ||
	    take_sequence(&outer, &skipped) || der_expect(&outer, DER_BIT_STRING, &bits) || outer.len ||
	    bits.len < 2 || bits.ptr[0] != 0)
		return -EINVAL;
	out->signature = bytes_of(bits.ptr + 1, bits.len - 1);
	rest = out->tbs;
	if (der_expect(&rest, DER_SEQUENCE, &tbs) || der_expect(&tbs, DER_CONTEXT_0, &skipped) ||
	    der_expect(&tbs, DER_INTEGER, &skipped) || take_sequence(&tbs, &skipped) ||
	    take_sequence(&tbs, &out->issuer) || take_sequence(&tbs, &skipped) || take_sequence(&tbs, &out->subject) ||
	    take_sequence(&tbs, &out->spki))
		return -EINVAL;
	return 0;
}

static const char *print_address(struct arena *arena, const ASN1_OCTET_STRING *s)
{
	const uint8_t *octets = ASN1_STRING_get0_data(s);
	char text[INET6_ADDRSTRLEN];
	int n = ASN1_STRING_length(s);

	if ((n != 4 && n != 16) || !inet_ntop(n == 4 ? AF_INET : AF_INET6, octets, text, sizeof(text)))
		return NULL;
	return arena_strdup(arena, text);
}

static const char *print_dns(struct arena *arena, const ASN1_IA5STRING *s)
{
	struct bytes text = bytes_of(ASN1_STRING_get0_data(s), (size_t)ASN1_STRING_length(s));
	char name[254];

	if (text.len == 0 || text.len >= sizeof(name))
		return NULL;
	/* It goes where names go that were proven: into lists, lines and documents. */
	for (size_t i = 0; i < text.len; i++)
		if (text.ptr[i] <= ' ' || text.ptr[i] > '~')
			return NULL;
	memcpy(name, text.ptr, text.len);
	name[text.len] = '\0';
	return arena_strdup(arena, name);
}

static int take_names(struct imported *out, struct arena *arena, const GENERAL_NAMES *all)
{
	int n = sk_GENERAL_NAME_num(all);

	if (n <= 0 || n > CA_NAMES_MAX)
		return -EINVAL;
	out->names = arena_alloc(arena, (size_t)n * sizeof(*out->names));
	if (!out->names)
		return -ENOMEM;
	for (int i = 0; i < n; i++) {
		const GENERAL_NAME *g = sk_GENERAL_NAME_value(all, i);
		enum ca_name_kind kind = g->type == GEN_IPADD ? CA_NAME_IP : CA_NAME_DNS;
		const char *text = g->type == GEN_DNS	? print_dns(arena, g->d.dNSName) :
				   g->type == GEN_IPADD ? print_address(arena, g->d.iPAddress) :
							  NULL;

		if (text)
			out->names[out->n_names++] = (struct ca_name){ .kind = kind, .value = text,
								       .evidence_text = "imported certificate" };
		else
			out->has_other_names = true;
	}
	return 0;
}

static int read_names(struct imported *out, struct arena *arena, struct bytes der)
{
	const uint8_t *p = der.ptr;
	X509 *cert = d2i_X509(NULL, &p, (long)der.len);
	int critical = -1;
	GENERAL_NAMES *names = cert ? X509_get_ext_d2i(cert, NID_subject_alt_name, &critical, NULL) : NULL;
	int e = cert && p == der.ptr + der.len ? 0 : -EINVAL;

	if (!e && names)
		e = take_names(out, arena, names);
	else if (!e && critical != -1)
		e = -EINVAL; /* there is one that cannot be read, or two */
	GENERAL_NAMES_free(names);
	X509_free(cert);
	return e;
}

int imported_read(struct imported *out, struct arena *arena, struct bytes der)
{
	char subject[SUBJECT_MAX];
	int e;

	*out = (struct imported){ 0 };
	e = read_frame(out, der);
	if (!e)
		e = certificate_serial(der, &out->serial);
	if (!e)
		e = certificate_dates(der, &out->not_before_s, &out->not_after_s);
	if (!e)
		e = certificate_subject(der, subject, sizeof(subject));
	if (!e)
		e = read_names(out, arena, der);
	if (e)
		return e;
	out->subject_text = arena_strdup(arena, subject);
	return out->subject_text ? 0 : -ENOMEM;
}
