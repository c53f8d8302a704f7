/* PKCS#10 requests for tests.
 *
 * Written element by element rather than with libcrypto's X509_REQ, which cannot make the wrong ones.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tests/scenarios/csr_maker.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>

#include <openssl/x509.h>

#include "core/base/der.h"

#define DER_MAX (1u << 20)

void csr_put(struct buf *out, unsigned tag, struct bytes content)
{
	der_write(out, tag, content);
}

void csr_put_oid(struct buf *out, const char *dotted)
{
	OWNED_BUF content = BUF_INIT(256);

	der_oid_parse(dotted, &content);
	der_write(out, DER_OID, buf_bytes(&content));
}

static const struct {
	const char *kind, *type, *group;
	size_t bits;
} kinds[] = {
	{ "ec-p256", "EC", "P-256", 0 },       { "ec-p384", "EC", "P-384", 0 },
	{ "ec-p521", "EC", "P-521", 0 },       { "ec-p192", "EC", "prime192v1", 0 },
	{ "secp256k1", "EC", "secp256k1", 0 }, { "ed25519", "ED25519", NULL, 0 },
	{ "ed448", "ED448", NULL, 0 },         { "rsa", "RSA", NULL, 2048 },
	{ "rsa-1024", "RSA", NULL, 1024 },     { "rsa-3072", "RSA", NULL, 3072 },
};

EVP_PKEY *csr_key(const char *kind)
{
	for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++) {
		if (strcmp(kinds[i].kind, kind) != 0)
			continue;
		if (kinds[i].group)
			return EVP_PKEY_Q_keygen(NULL, NULL, "EC", kinds[i].group);
		if (kinds[i].bits)
			return EVP_PKEY_Q_keygen(NULL, NULL, "RSA", kinds[i].bits);
		return EVP_PKEY_Q_keygen(NULL, NULL, kinds[i].type);
	}
	return NULL;
}

static void put_common_name(struct buf *subject, const char *name, unsigned tag)
{
	OWNED_BUF pair = BUF_INIT(DER_MAX);
	OWNED_BUF sequence = BUF_INIT(DER_MAX);

	csr_put_oid(&pair, "2.5.4.3");
	der_write(&pair, tag, bytes_of_str(name));
	der_write(&sequence, DER_SEQUENCE, buf_bytes(&pair));
	der_write(subject, DER_SET, buf_bytes(&sequence));
}

static void put_principal_name(struct buf *list, const char *name)
{
	OWNED_BUF other = BUF_INIT(DER_MAX);
	OWNED_BUF text = BUF_INIT(DER_MAX);

	csr_put_oid(&other, "1.3.6.1.4.1.311.20.2.3");
	der_write(&text, 0x0c, bytes_of_str(name));
	der_write(&other, DER_CONTEXT_0, buf_bytes(&text));
	der_write(list, DER_CONTEXT_0, buf_bytes(&other));
}

static void put_general_name(struct buf *list, const char *name)
{
	uint8_t address[16];

	if (inet_pton(AF_INET, name, address) == 1)
		der_write(list, 0x87, bytes_of(address, 4));
	else if (inet_pton(AF_INET6, name, address) == 1)
		der_write(list, 0x87, bytes_of(address, 16));
	else if (strncmp(name, "mail:", 5) == 0)
		der_write(list, 0x81, bytes_of_str(name + 5));
	else if (strncmp(name, "uri:", 4) == 0)
		der_write(list, 0x86, bytes_of_str(name + 4));
	else if (strncmp(name, "upn:", 4) == 0)
		put_principal_name(list, name + 4);
	else
		der_write(list, 0x82, bytes_of_str(name));
}

void csr_put_extension(struct buf *out, const struct csr_extra *extra)
{
	OWNED_BUF content = BUF_INIT(DER_MAX);

	csr_put_oid(&content, extra->oid);
	if (extra->is_critical)
		der_write(&content, DER_BOOLEAN, bytes_of("\xff", 1));
	der_write(&content, DER_OCTET_STRING, extra->value);
	der_write(out, DER_SEQUENCE, buf_bytes(&content));
}

void csr_put_extension_request(struct buf *out, struct bytes extensions)
{
	OWNED_BUF list = BUF_INIT(DER_MAX);
	OWNED_BUF set = BUF_INIT(DER_MAX);

	csr_put_oid(&set, "1.2.840.113549.1.9.14");
	der_write(&list, DER_SEQUENCE, extensions);
	der_write(&set, DER_SET, buf_bytes(&list));
	der_write(out, DER_SEQUENCE, buf_bytes(&set));
}

static void put_attributes(struct buf *out, const struct csr_spec *spec)
{
	OWNED_BUF extensions = BUF_INIT(DER_MAX);
	OWNED_BUF names = BUF_INIT(DER_MAX);
	OWNED_BUF san = BUF_INIT(DER_MAX);

	for (size_t i = 0; i < spec->n_names; i++)
		put_general_name(&names, spec->names[i]);
	if (spec->n_names) {
		der_write(&san, DER_SEQUENCE, buf_bytes(&names));
		csr_put_extension(&extensions, &(struct csr_extra){ .oid = "2.5.29.17", .value = buf_bytes(&san) });
	}
	for (size_t i = 0; i < spec->n_extra; i++)
		csr_put_extension(&extensions, &spec->extra[i]);
	if (extensions.len)
		csr_put_extension_request(out, buf_bytes(&extensions));
	buf_append(out, spec->attributes);
}

static void put_info(struct buf *out, const struct csr_spec *spec, EVP_PKEY *key)
{
	OWNED_BUF info = BUF_INIT(DER_MAX);
	OWNED_BUF subject = BUF_INIT(DER_MAX);
	OWNED_BUF attributes = BUF_INIT(DER_MAX);
	uint8_t *spki = NULL;
	int n;

	der_write(&info, DER_INTEGER, bytes_of(&spec->version, 1));
	if (spec->subject.ptr)
		buf_append(&subject, spec->subject);
	else if (spec->common_name)
		put_common_name(&subject, spec->common_name, spec->string_tag ? spec->string_tag : 0x0c);
	der_write(&info, DER_SEQUENCE, buf_bytes(&subject));
	if (spec->spki.ptr) {
		buf_append(&info, spec->spki);
	} else {
		n = i2d_PUBKEY(key, &spki);
		buf_append(&info, bytes_of(spki, n > 0 ? (size_t)n : 0));
		OPENSSL_free(spki);
	}
	put_attributes(&attributes, spec);
	if (!spec->has_no_attributes)
		der_write(&info, DER_CONTEXT_0, buf_bytes(&attributes));
	der_write(out, DER_SEQUENCE, buf_bytes(&info));
}

static const struct {
	const char *digest, *ec, *rsa;
} algorithms[] = {
	{ "sha256", "1.2.840.10045.4.3.2", "1.2.840.113549.1.1.11" },
	{ "sha384", "1.2.840.10045.4.3.3", "1.2.840.113549.1.1.12" },
	{ "sha512", "1.2.840.10045.4.3.4", "1.2.840.113549.1.1.13" },
	{ "sha1", "1.2.840.10045.4.1", "1.2.840.113549.1.1.5" },
	{ "md5", NULL, "1.2.840.113549.1.1.4" },
};

static int put_algorithm(struct buf *out, EVP_PKEY *key, const char *digest)
{
	OWNED_BUF content = BUF_INIT(64);
	const char *oid = NULL;

	if (EVP_PKEY_is_a(key, "ED25519"))
		oid = "1.3.101.112";
	else if (EVP_PKEY_is_a(key, "ED448"))
		oid = "1.3.101.113";
	for (size_t i = 0; !oid && i < sizeof(algorithms) / sizeof(*algorithms); i++)
		if (strcmp(algorithms[i].digest, digest) == 0)
			oid = EVP_PKEY_is_a(key, "RSA") ? algorithms[i].rsa : algorithms[i].ec;
	if (!oid)
		return -EINVAL;
	csr_put_oid(&content, oid);
	if (EVP_PKEY_is_a(key, "RSA"))
		der_write(&content, 0x05, bytes_of(NULL, 0));
	return der_write(out, DER_SEQUENCE, buf_bytes(&content));
}

static int put_signature(struct buf *out, EVP_PKEY *key, const char *digest, struct bytes data, bool is_bad)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	const EVP_MD *md =
		EVP_PKEY_is_a(key, "ED25519") || EVP_PKEY_is_a(key, "ED448") ? NULL : EVP_get_digestbyname(digest);
	uint8_t bits[1025] = { 0 };
	size_t n = sizeof(bits) - 1;
	int ok = ctx && EVP_DigestSignInit(ctx, NULL, md, NULL, key) == 1 &&
		 EVP_DigestSign(ctx, bits + 1, &n, data.ptr, data.len) == 1;

	EVP_MD_CTX_free(ctx);
	if (!ok)
		return -EINVAL;
	if (is_bad)
		bits[n] ^= 1;
	return der_write(out, DER_BIT_STRING, bytes_of(bits, n + 1));
}

int csr_make(const struct csr_spec *spec, struct buf *out)
{
	const char *digest = spec->digest ? spec->digest : "sha256";
	EVP_PKEY *key = spec->pkey ? spec->pkey : csr_key(spec->key ? spec->key : "ec-p256");
	OWNED_BUF content = BUF_INIT(DER_MAX);
	int e;

	if (!key)
		return -EINVAL;
	put_info(&content, spec, key);
	{
		OWNED_BUF info = BUF_INIT(DER_MAX);

		buf_append(&info, buf_bytes(&content));
		e = put_algorithm(&content, key, digest);
		if (!e)
			e = put_signature(&content, key, digest, buf_bytes(&info), spec->is_signature_bad);
	}
	if (!e)
		e = der_write(out, DER_SEQUENCE, buf_bytes(&content));
	if (!spec->pkey)
		EVP_PKEY_free(key);
	return e;
}
