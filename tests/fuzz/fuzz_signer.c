/* What the signer reads: the messages of a core that was taken over, and the certificates that it is asked to sign.
 *
 * The first octet chooses: a message as it comes from the link; a TBSCertificate that has the issuer, algorithm and
 * dates of a key that is loaded; or a revocation list, an OCSP answer or a certification request under that key.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdlib.h>

#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include "core/issue.h"
#include "core/signer/answer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const uint8_t kek[SIGNER_KEK_SIZE] = { 1 };
static struct signer *signer;
static uint64_t key;
static struct issuer *issuer;
static X509 *root;

static void make_signer(void)
{
	OWNED_BUF sealed = BUF_INIT(SIGNER_SEALED_MAX);
	OWNED_BUF spki = BUF_INIT(SIGNER_SPKI_MAX);
	OWNED_BUF tbs = BUF_INIT(65536);
	OWNED_BUF signature = BUF_INIT(SIGNER_SIGNATURE_MAX);
	OWNED_BUF certificate = BUF_INIT(65536);
	char why[SIGNER_WHY_SIZE], reason[CA_REASON_SIZE];
	uint8_t serial[SERIAL_SIZE] = { 1 };
	const uint8_t *p;

	if (signer_new(&signer, kek) ||
	    signer_generate(signer, "ec-p256", SIGNER_PURPOSE_CA, "One", &sealed, &spki, why) ||
	    signer_load(signer, buf_bytes(&sealed), SIGNER_PURPOSE_CA, "One", bytes_of(NULL, 0), &key, why) ||
	    issue_build_root(buf_bytes(&spki), "One", NULL, 1772366400, 2087899200, serial, 0, &tbs, reason) ||
	    signer_sign_certificate(signer, key, buf_bytes(&tbs), &signature, why) ||
	    issue_assemble_root(buf_bytes(&tbs), buf_bytes(&signature), &certificate) ||
	    signer_load(signer, buf_bytes(&sealed), SIGNER_PURPOSE_CA, "One", buf_bytes(&certificate), &key, why) ||
	    issuer_new(&issuer, buf_bytes(&certificate)))
		abort();
	p = certificate.ptr;
	root = d2i_X509(NULL, &p, (long)certificate.len);
}

/* Absent, the extension allows everything that needs no extension; OCSP signing does need it. */
static bool signs_ocsp(X509 *read)
{
	return (X509_get_extension_flags(read) & EXFLAG_XKUSAGE) &&
	       (X509_get_extended_key_usage(read) & (XKU_OCSP_SIGN | XKU_ANYEKU));
}

/* What libcrypto makes of it, whose reader is another one: no authority, nobody who speaks for one, no other issuer,
 * nothing after its issuer. */
static void judge(struct bytes tbs, struct bytes signature)
{
	OWNED_BUF certificate = BUF_INIT(1u << 18);
	const uint8_t *p;
	X509 *read;

	if (issue_assemble(tbs, signature, issuer, &certificate))
		abort();
	p = certificate.ptr;
	read = d2i_X509(NULL, &p, (long)certificate.len);
	if (read && (X509_check_ca(read) || signs_ocsp(read) || X509_get_version(read) != X509_VERSION_3 ||
		     X509_NAME_cmp(X509_get_issuer_name(read), X509_get_subject_name(root)) ||
		     ASN1_TIME_compare(X509_get0_notAfter(read), X509_get0_notAfter(root)) > 0))
		abort();
	X509_free(read);
}

static void try_certificate(struct bytes tbs)
{
	OWNED_BUF signature = BUF_INIT(SIGNER_SIGNATURE_MAX);
	char why[SIGNER_WHY_SIZE] = "";
	int e = signer_sign_certificate(signer, key, tbs, &signature, why);

	if (e < 0 || (e == 0) != (signature.len > 0) || (e > 0 && !why[0]))
		abort();
	if (e == 0)
		judge(tbs, buf_bytes(&signature));
}

/* Nothing of what is signed as something else can be read as a certificate: not by libcrypto's reader either. */
static void judge_other(struct bytes octets)
{
	const uint8_t *p = octets.ptr;
	X509_CINF *read = d2i_X509_CINF(NULL, &p, (long)octets.len);

	if (read)
		abort();
}

static void try_stream(enum signer_stream_kind kind, struct bytes octets, size_t piece_size)
{
	OWNED_BUF signature = BUF_INIT(SIGNER_SIGNATURE_MAX);
	char why[SIGNER_WHY_SIZE] = "";
	struct signer_stream *st;
	struct bytes rest = octets, piece;
	int e = signer_stream_begin(signer, key, kind, &st, why);

	if (e)
		abort();
	while (!e && rest.len) {
		bytes_take(&rest, rest.len < piece_size ? rest.len : piece_size, &piece);
		e = signer_stream_data(st, piece, why);
	}
	if (!e)
		e = signer_stream_end(st, &signature, why);
	signer_stream_drop(&st);
	if (e < 0 || (e == 0) != (signature.len > 0) || (e > 0 && !why[0]))
		abort();
	if (e == 0)
		judge_other(octets);
}

static void try_request(struct bytes info)
{
	OWNED_BUF signature = BUF_INIT(SIGNER_SIGNATURE_MAX);
	char why[SIGNER_WHY_SIZE] = "";

	if (signer_sign_request(signer, key, info, &signature, why) == 0)
		judge_other(info);
}

static void try_message(struct bytes message)
{
	OWNED_BUF reply = BUF_INIT(1u << 18);
	int e = signer_answer(signer, message, &reply);

	/* An answer in which everything is zero has no octets. */
	if (e > 0 || (e < 0 && reply.len))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (!signer)
		make_signer();
	if (size == 0)
		return 0;
	if (data[0] & 1)
		try_certificate(bytes_of(data + 1, size - 1));
	else if (data[0] & 2)
		try_stream(SIGNER_STREAM_CRL, bytes_of(data + 1, size - 1), 1 + (data[0] >> 4));
	else if (data[0] & 4)
		try_stream(SIGNER_STREAM_OCSP, bytes_of(data + 1, size - 1), 1 + (data[0] >> 4));
	else if (data[0] & 8)
		try_request(bytes_of(data + 1, size - 1));
	else
		try_message(bytes_of(data + 1, size - 1));
	return 0;
}
