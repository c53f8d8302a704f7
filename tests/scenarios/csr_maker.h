/* PKCS#10 requests for tests, right and wrong, with keys made on the spot.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "core/base/buf.h"

#include <openssl/evp.h>

#define CSR_MAKER_EXTRA_MAX 40

/* An extension of the request. */
struct csr_extra {
	const char *oid;
	struct bytes value;
	bool is_critical;
};

/* What a request shall look like. The zero value with a key kind and a name or two is a good one. */
struct csr_spec {
	const char *key;          /* csr_key(); NULL: "ec-p256" */
	EVP_PKEY *pkey;           /* instead of `key`; borrowed */
	const char *digest;       /* "sha256" (NULL), "sha384", "sha512", "sha1", "md5" */
	const char *common_name;  /* NULL: empty subject */
	unsigned string_tag;      /* of the common name; 0: UTF8String */
	const char *const *names; /* SAN: DNS names, IP addresses, "mail:a@b", "uri:…", "upn:a@b" */
	size_t n_names;
	struct csr_extra extra[CSR_MAKER_EXTRA_MAX];
	size_t n_extra;
	struct bytes subject;     /* content of the subject, instead of the common name */
	struct bytes spki;        /* instead of the key's own */
	struct bytes attributes;  /* further attributes, encoded, behind extensionRequest */
	uint8_t version;          /* 0 is the only one there is */
	bool is_signature_bad;
	bool has_no_attributes;   /* leave [0] out altogether */
};

/* Append the request's DER. 0 or -EINVAL. */
int csr_make(const struct csr_spec *spec, struct buf *out);

/* A new key: "ec-p256", "ec-p384", "ec-p521", "ec-p192", "secp256k1", "ed25519", "ed448", "rsa" (2048 bits),
 * "rsa-1024", "rsa-3072". NULL for an unknown kind. */
EVP_PKEY *csr_key(const char *kind);

/* Append one element whose content is given; an OID from dotted text. */
void csr_put(struct buf *out, unsigned tag, struct bytes content);
void csr_put_oid(struct buf *out, const char *dotted);

/* Append an extensionRequest attribute that holds `extensions` (encoded Extension elements). */
void csr_put_extension_request(struct buf *out, struct bytes extensions);
void csr_put_extension(struct buf *out, const struct csr_extra *extra);
