/* A CA of a test's own.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tests/unit/core/issue_kit.h"

#include "tests/test.h"

#include <openssl/x509.h>

#include "tests/scenarios/csr_maker.h"

const uint8_t issue_kit_kek[SIGNER_KEK_SIZE] = { 1, 2, 3 };

void issue_kit_init(struct issue_kit *k, const char *key_type, const char *ca, int64_t not_before_s,
		    int64_t not_after_s)
{
	OWNED_BUF tbs = BUF_INIT(65536);
	OWNED_BUF signature = BUF_INIT(SIGNER_SIGNATURE_MAX);
	char why[CA_REASON_SIZE] = "";
	uint8_t serial[SERIAL_SIZE];
	uint64_t key;

	*k = (struct issue_kit){ .sealed = BUF_INIT(SIGNER_SEALED_MAX),
				 .spki = BUF_INIT(4096),
				 .certificate = BUF_INIT(65536) };
	assert_int_equal(signer_new(&k->signer, issue_kit_kek), 0);
	assert_int_equal(signer_generate(k->signer, key_type, SIGNER_PURPOSE_CA, ca, &k->sealed, &k->spki, why), 0);
	assert_int_equal(
		signer_load(k->signer, buf_bytes(&k->sealed), SIGNER_PURPOSE_CA, ca, bytes_of(NULL, 0), &key, why),
		0);
	assert_int_equal(issue_serial(not_before_s * 1000, serial), 0);
	assert_int_equal(
		issue_build_root(buf_bytes(&k->spki), ca, NULL, not_before_s, not_after_s, serial, 0, &tbs, why), 0);
	assert_int_equal(signer_sign_certificate(k->signer, key, buf_bytes(&tbs), &signature, why), 0);
	assert_int_equal(issue_assemble_root(buf_bytes(&tbs), buf_bytes(&signature), &k->certificate), 0);
	assert_int_equal(issuer_new(&k->issuer, buf_bytes(&k->certificate)), 0);
	assert_int_equal(signer_load(k->signer, buf_bytes(&k->sealed), SIGNER_PURPOSE_CA, ca,
				     buf_bytes(&k->certificate), &k->key, why),
			 0);
}

void issue_kit_fini(struct issue_kit *k)
{
	signer_drop(&k->signer);
	issuer_drop(&k->issuer);
	buf_fini(&k->sealed);
	buf_fini(&k->spki);
	buf_fini(&k->certificate);
}

void issue_kit_issue(struct issue_kit *k, struct issue_plan *plan, struct buf *certificate)
{
	OWNED_BUF tbs = BUF_INIT(65536);
	OWNED_BUF signature = BUF_INIT(SIGNER_SIGNATURE_MAX);
	OWNED_BUF der = BUF_INIT(65536);
	char why[CA_REASON_SIZE] = "";

	assert_int_equal(issue_build(plan, &tbs, why), 0);
	assert_int_equal(signer_sign_certificate(k->signer, k->key, buf_bytes(&tbs), &signature, why), 0);
	assert_int_equal(issue_assemble(buf_bytes(&tbs), buf_bytes(&signature), k->issuer, &der), 0);
	assert_int_equal(buf_append(certificate, buf_bytes(&der)), 0);
}

void issue_kit_spki(const char *kind, struct buf *spki)
{
	EVP_PKEY *key = csr_key(kind);
	uint8_t *der = NULL;
	int n = i2d_PUBKEY(key, &der);

	assert_true(n > 0);
	assert_int_equal(buf_append(spki, bytes_of(der, (size_t)n)), 0);
	OPENSSL_free(der);
	EVP_PKEY_free(key);
}

struct issue_plan issue_kit_plan(struct issue_kit *k, struct bytes spki)
{
	static const struct ca_name names[] = { { CA_NAME_DNS, "a.example", CA_EVIDENCE_ACME_AUTHORIZATION, "" } };
	static const struct subject_part subject[] = { { "CN", "a.example" } };
	static const char *const usage[] = { "digitalSignature", NULL };
	static const char *const purpose[] = { "serverAuth", NULL };
	struct issue_plan plan = {
		.issuer = k->issuer,
		.subject = subject,
		.n_subject = 1,
		.names = names,
		.n_names = 1,
		.spki = spki,
		.key_usage = usage,
		.ext_key_usage = purpose,
	};

	assert_int_equal(certificate_dates(buf_bytes(&k->certificate), &plan.not_before_s, &plan.not_after_s), 0);
	assert_int_equal(issue_serial(plan.not_before_s * 1000, plan.serial), 0);
	return plan;
}
