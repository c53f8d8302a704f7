/* What was handed out, looked at after the load.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tests/bench/certificates.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/cms.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#define SERIAL_SIZE 20 /* RFC 5280 4.1.2.2 */

struct serial {
	uint8_t octets[SERIAL_SIZE]; /* the number, zeros in front */
};

static int compare_serials(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct serial));
}

static bool leads_to_root(X509_STORE *root, X509 *leaf, STACK_OF(X509) *others)
{
	X509_STORE_CTX *ctx = X509_STORE_CTX_new();
	bool good = ctx && X509_STORE_CTX_init(ctx, root, leaf, others) == 1 && X509_verify_cert(ctx) == 1;

	X509_STORE_CTX_free(ctx);
	return good;
}

static const char *check_leaf(X509 *leaf, const struct result *r, struct serial *serial)
{
	const ASN1_BIT_STRING *point = X509_get0_pubkey_bitstr(leaf);
	const ASN1_INTEGER *number = X509_get0_serialNumber(leaf);

	if (number->length > SERIAL_SIZE)
		return "certificate: serial too long";
	memcpy(serial->octets + SERIAL_SIZE - number->length, number->data, (size_t)number->length);
	if (X509_check_host(leaf, r->name, 0, X509_CHECK_FLAG_NO_WILDCARDS, NULL) != 1)
		return "certificate: another name";
	if (point->length < KEYS_POINT_SIZE ||
	    memcmp(point->data + point->length - KEYS_POINT_SIZE, r->point, KEYS_POINT_SIZE) != 0)
		return "certificate: another key";
	return NULL;
}

/* The certificate of a certs-only message (RFC 7030 4.2.3), which came in one line; NULL: there is none. */
static X509 *read_certs_only(const char *base64)
{
	size_t n = strlen(base64);
	uint8_t *der = malloc(n + 1);
	const uint8_t *p = der;
	int len = der ? EVP_DecodeBlock(der, (const uint8_t *)base64, (int)n) : -1;
	CMS_ContentInfo *message = len > 0 ? d2i_CMS_ContentInfo(NULL, &p, len) : NULL;
	STACK_OF(X509) *found = message ? CMS_get1_certs(message) : NULL;
	X509 *leaf = sk_X509_num(found) == 1 ? sk_X509_shift(found) : NULL;

	sk_X509_pop_free(found, X509_free);
	CMS_ContentInfo_free(message);
	free(der);
	return leaf;
}

/* The first certificate; those behind it go to `others`. */
static X509 *read_chain(const char *chain, STACK_OF(X509) *others)
{
	BIO *text = BIO_new_mem_buf(chain, -1);
	X509 *leaf = PEM_read_bio_X509(text, NULL, NULL, NULL), *next;

	while (leaf && (next = PEM_read_bio_X509(text, NULL, NULL, NULL)))
		sk_X509_push(others, next);
	BIO_free(text);
	return leaf ?: read_certs_only(chain);
}

/* NULL: the chain is right; otherwise the kind of what is wrong. */
static const char *check_chain(X509_STORE *root, const struct result *r, struct serial *serial)
{
	STACK_OF(X509) *others = sk_X509_new_null();
	X509 *leaf = read_chain(r->chain, others);
	const char *wrong;

	wrong = leaf ? check_leaf(leaf, r, serial) : "certificate: neither PEM nor certs-only";
	if (!wrong && !leads_to_root(root, leaf, others))
		wrong = "certificate: does not lead to the root";
	X509_free(leaf);
	sk_X509_pop_free(others, X509_free);
	return wrong;
}

static size_t count_duplicates(struct serial *serials, size_t n)
{
	size_t duplicates = 0;

	qsort(serials, n, sizeof(*serials), compare_serials);
	for (size_t i = 1; i < n; i++)
		duplicates += compare_serials(&serials[i - 1], &serials[i]) == 0;
	return duplicates;
}

int certificates_check(const struct worker_results *workers, size_t n_workers, const char *root_path,
		       struct tally *errors, struct certificates *out)
{
	X509_STORE *root = X509_STORE_new();
	struct serial *serials;
	size_t total = 0;
	int e = 0;

	*out = (struct certificates){ 0 };
	for (size_t i = 0; i < n_workers; i++)
		total += workers[i].n;
	serials = calloc(total + 1, sizeof(*serials));
	if (!root || !serials)
		e = -ENOMEM;
	else if (X509_STORE_load_file(root, root_path) != 1)
		e = -ENOENT;
	for (size_t i = 0; !e && i < n_workers; i++)
		for (size_t k = 0; k < workers[i].n; k++) {
			const char *wrong = check_chain(root, &workers[i].list[k], &serials[out->n]);

			if (wrong)
				tally_add(errors, wrong);
			else
				out->n++;
		}
	if (!e)
		out->duplicate_serials = count_duplicates(serials, out->n);
	free(serials);
	X509_STORE_free(root);
	return e;
}
