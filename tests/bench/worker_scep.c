/* One SCEP client: PKCSReq with an RSA key that it has already (RFC 8894 3.3.1).
 *
 * Messages are made before the clock of the enrolment runs, and answers are opened after it stopped.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tests/bench/worker_int.h"

#include <stdio.h>
#include <string.h>

#include <openssl/cms.h>
#include <openssl/err.h>
#include <openssl/rand.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>

#define OID(n) "2.16.840.1.113733.1.9." n
#define FLAGS (CMS_BINARY | CMS_PARTIAL | CMS_NOSMIMECAP)
#define TRANSACTION_SIZE 33

/* ---- before the clock runs ---- */

/* What every client fetches once: the certificate that it encrypts to. */
static int fetch_ra(struct worker *w)
{
	char url[HTTPS_URL_SIZE + 32];
	const uint8_t *p;
	CMS_ContentInfo *bag;
	STACK_OF(X509) *certificates;

	snprintf(url, sizeof(url), "%s?operation=GetCACert", w->load->scep);
	if (https_call(&w->https, "GET", url, NULL, 0))
		return worker_fail(w, "http: %s", w->https.why);
	p = (const uint8_t *)w->https.body;
	bag = d2i_CMS_ContentInfo(NULL, &p, (long)w->https.body_len);
	certificates = bag ? CMS_get1_certs(bag) : NULL;
	w->ra = sk_X509_num(certificates) > 0 ? sk_X509_shift(certificates) : NULL;
	sk_X509_pop_free(certificates, X509_free);
	CMS_ContentInfo_free(bag);
	return w->ra ? 0 : worker_fail(w, "no certificate of the RA");
}

/* Made by the key itself; its name says nothing. */
static X509 *make_signer(EVP_PKEY *key)
{
	X509 *x = X509_new();
	X509_NAME *name = x ? X509_get_subject_name(x) : NULL;

	if (!x || !X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const uint8_t *)"bench", -1, -1, 0) ||
	    !X509_set_issuer_name(x, name) || !ASN1_INTEGER_set(X509_get_serialNumber(x), 1) ||
	    !X509_gmtime_adj(X509_getm_notBefore(x), 0) || !X509_gmtime_adj(X509_getm_notAfter(x), 86400) ||
	    !X509_set_pubkey(x, key) || !X509_sign(x, key, EVP_sha256())) {
		X509_free(x);
		return NULL;
	}
	return x;
}

int worker_scep_prepare(struct worker *w)
{
	if (fetch_ra(w))
		return -1;
	w->key = EVP_RSA_gen(2048);
	w->signer = w->key ? make_signer(w->key) : NULL;
	return w->signer ? 0 : worker_fail(w, "cannot make a key");
}

/* ---- the message ---- */

static X509_REQ *make_request(struct worker *w, const char *name)
{
	char text[WORKER_NAME_SIZE + 8];
	X509_REQ *request = X509_REQ_new();
	STACK_OF(X509_EXTENSION) *extensions = sk_X509_EXTENSION_new_null();
	X509_EXTENSION *san;
	bool ok;

	snprintf(text, sizeof(text), "DNS:%s", name);
	san = X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, text);
	if (san && !sk_X509_EXTENSION_push(extensions, san))
		X509_EXTENSION_free(san);
	ok = san && request && X509_REQ_set_pubkey(request, w->key) && X509_REQ_add_extensions(request, extensions) &&
	     X509_NAME_add_entry_by_txt(X509_REQ_get_subject_name(request), "CN", MBSTRING_ASC, (const uint8_t *)name,
					-1, -1, 0) &&
	     X509_REQ_add1_attr_by_NID(request, NID_pkcs9_challengePassword, MBSTRING_UTF8,
				       (const uint8_t *)w->load->challenge, -1) &&
	     X509_REQ_sign(request, w->key, EVP_sha256());
	sk_X509_EXTENSION_pop_free(extensions, X509_EXTENSION_free);
	if (!ok) {
		X509_REQ_free(request);
		return NULL;
	}
	return request;
}

/* For the RA alone. NULL on failure. */
static BIO *encrypt(struct worker *w, X509_REQ *request)
{
	BIO *plain = BIO_new(BIO_s_mem()), *out = BIO_new(BIO_s_mem());
	STACK_OF(X509) *to = sk_X509_new_null();
	CMS_ContentInfo *envelope = NULL;
	bool ok = i2d_X509_REQ_bio(plain, request) == 1 && sk_X509_push(to, w->ra) > 0 &&
		  (envelope = CMS_encrypt(to, plain, EVP_aes_128_cbc(), CMS_BINARY)) != NULL &&
		  i2d_CMS_bio(out, envelope) == 1;

	CMS_ContentInfo_free(envelope);
	sk_X509_free(to);
	BIO_free(plain);
	if (ok)
		return out;
	BIO_free(out);
	return NULL;
}

static bool add_attributes(CMS_SignerInfo *signer, const char *transaction)
{
	uint8_t nonce[16];

	return RAND_bytes(nonce, sizeof(nonce)) == 1 &&
	       CMS_signed_add1_attr_by_txt(signer, OID("2"), V_ASN1_PRINTABLESTRING, "19", 2) &&
	       CMS_signed_add1_attr_by_txt(signer, OID("5"), V_ASN1_OCTET_STRING, nonce, sizeof(nonce)) &&
	       CMS_signed_add1_attr_by_txt(signer, OID("7"), V_ASN1_PRINTABLESTRING, transaction, TRANSACTION_SIZE - 1);
}

/* The length of the message; 0 on failure. */
static int sign(struct worker *w, BIO *envelope, const char *transaction, uint8_t **out)
{
	CMS_ContentInfo *message = CMS_sign(NULL, NULL, NULL, NULL, FLAGS);
	CMS_SignerInfo *signer = message ? CMS_add1_signer(message, w->signer, w->key, EVP_sha256(), FLAGS) : NULL;
	int n = signer && add_attributes(signer, transaction) && CMS_final(message, envelope, NULL, FLAGS) == 1 ?
			i2d_CMS_ContentInfo(message, out) : 0;

	CMS_ContentInfo_free(message);
	return n > 0 ? n : 0;
}

static int make_message(struct worker *w, const char *name, uint8_t **out)
{
	uint8_t random[(TRANSACTION_SIZE - 1) / 2];
	char transaction[TRANSACTION_SIZE];
	X509_REQ *request = make_request(w, name);
	BIO *envelope = request ? encrypt(w, request) : NULL;
	int n = 0;

	if (envelope && RAND_bytes(random, sizeof(random)) == 1) {
		for (size_t i = 0; i < sizeof(random); i++)
			snprintf(transaction + 2 * i, 3, "%02x", random[i]);
		n = sign(w, envelope, transaction, out);
	}
	BIO_free(envelope);
	X509_REQ_free(request);
	return n;
}

/* ---- the answer ---- */

/* What was encrypted for the client, in base64 in place of the body. */
static int open_envelope(struct worker *w, BIO *content)
{
	CMS_ContentInfo *envelope = d2i_CMS_bio(content, NULL);
	BIO *plain = BIO_new(BIO_s_mem());
	char *bag = NULL;
	long n = envelope && CMS_decrypt(envelope, w->key, w->signer, NULL, plain, CMS_BINARY) == 1 ?
			 BIO_get_mem_data(plain, &bag) : 0;

	if (n > 0 && (size_t)n < sizeof(w->https.in) / 2) {
		w->https.body = w->https.in;
		w->https.body_len = (size_t)EVP_EncodeBlock((unsigned char *)w->https.in, (unsigned char *)bag, (int)n);
	}
	BIO_free(plain);
	CMS_ContentInfo_free(envelope);
	return n > 0 ? 0 : worker_fail(w, "the answer holds no certificate");
}

static int take_answer(struct worker *w)
{
	const uint8_t *p = (const uint8_t *)w->https.body;
	CMS_ContentInfo *answer = d2i_CMS_ContentInfo(NULL, &p, (long)w->https.body_len);
	STACK_OF(X509) *signer = sk_X509_new_null();
	BIO *content = BIO_new(BIO_s_mem());
	int r;

	/* The signer is the RA that was encrypted to, and nobody else. */
	if (answer && sk_X509_push(signer, w->ra) > 0 &&
	    CMS_verify(answer, signer, NULL, NULL, content, CMS_BINARY | CMS_NO_SIGNER_CERT_VERIFY | CMS_NOINTERN) == 1)
		r = BIO_pending(content) ? open_envelope(w, content) : worker_fail(w, "no SUCCESS");
	else
		r = worker_fail(w, "the answer is no CertRep of the RA");
	BIO_free(content);
	sk_X509_free(signer);
	CMS_ContentInfo_free(answer);
	ERR_clear_error();
	return r;
}

/* The last octets of the key, by which what was certified is known again. */
static bool note_key(struct worker *w, uint8_t point[static KEYS_POINT_SIZE])
{
	const ASN1_BIT_STRING *key = X509_get0_pubkey_bitstr(w->signer);

	if (key->length < KEYS_POINT_SIZE)
		return false;
	memcpy(point, key->data + key->length - KEYS_POINT_SIZE, KEYS_POINT_SIZE);
	return true;
}

int worker_scep(struct worker *w, unsigned number)
{
	char name[WORKER_NAME_SIZE];
	uint8_t point[KEYS_POINT_SIZE], *message = NULL;
	int64_t begin_ns, took_ns;
	int n, r;

	worker_print_name(w, number, name);
	n = note_key(w, point) ? make_message(w, name, &message) : 0;
	if (!n)
		return worker_fail(w, "cannot make a message");
	begin_ns = worker_now_ns();
	r = https_call(&w->https, "POST", w->load->scep, (const char *)message, (size_t)n);
	took_ns = worker_now_ns() - begin_ns;
	OPENSSL_free(message);
	if (r)
		return worker_fail(w, "http: %s", w->https.why);
	if (w->https.status != 200)
		return worker_fail(w, "status: %d", w->https.status);
	return take_answer(w) || worker_keep(w, name, point, took_ns) ? -1 : 0;
}
