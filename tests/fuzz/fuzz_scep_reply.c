/* CertReps to whatever a client says: the reader finds in them what was written.
 *
 * The first octets say status, failInfo, digest, and how many of the rest are transactionID and nonce.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdlib.h>

#include <openssl/evp.h>
#include <openssl/x509.h>

#include "core/base/own.h"
#include "protocols/scep/reply.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static EVP_PKEY *pkey;
static struct proto_ra_key key;

static void make_key(void)
{
	X509 *x = X509_new();
	uint8_t *der = NULL;
	int n;

	pkey = EVP_EC_gen("P-256");
	X509_set_version(x, 2);
	ASN1_INTEGER_set(X509_get_serialNumber(x), 1);
	X509_gmtime_adj(X509_getm_notBefore(x), 0);
	X509_gmtime_adj(X509_getm_notAfter(x), 86400);
	X509_NAME_add_entry_by_txt(X509_get_subject_name(x), "CN", MBSTRING_ASC, (const uint8_t *)"ra", -1, -1, 0);
	X509_set_issuer_name(x, X509_get_subject_name(x));
	if (!X509_set_pubkey(x, pkey) || !X509_sign(x, pkey, EVP_sha256()))
		abort();
	n = i2d_X509(x, &der);
	key.certificate = bytes_of(der, (size_t)n);
	X509_free(x);
}

static int sign(void *state, unsigned number, const char *digest, struct bytes attributes, struct buf *signature)
{
	return buf_append(signature, bytes_of("a signature", 11));
}

static void check_reply(const struct scep_reply *r, struct bytes octets, struct arena *arena)
{
	struct scep_message m;
	const char *why;

	if (scep_message_read(&m, octets, arena, &why) || m.type != SCEP_CERT_REP ||
	    !bytes_equal(m.transaction_id, r->to->transaction_id) || m.sender_nonce.len != 16 ||
	    !bytes_equal(m.content, r->envelope) || !m.content.ptr || !bytes_equal(m.signer, key.certificate))
		abort();
}

static void write_and_read(const struct scep_reply *r)
{
	static const struct proto_ra ra = { .sign = sign };
	OWNED_BUF out = BUF_INIT(1 << 20);
	OWNED(arena) arena = NULL;

	if (arena_new(&arena, 1 << 20) || scep_reply_write(&ra, &key, r, arena, &out))
		abort();
	check_reply(r, buf_bytes(&out), arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const enum scep_status statuses[] = { SCEP_SUCCESS, SCEP_FAILURE, SCEP_PENDING };
	struct bytes in = bytes_of(data, size), id, nonce;
	struct scep_message request = { .digest = scep_digest_default() };
	struct scep_reply reply = { .to = &request };
	char text[300] = "";

	if (!pkey)
		make_key();
	if (size < 4 || size > 4096)
		return 0;
	reply.status = statuses[data[0] % 3];
	reply.fail = (enum scep_fail)(data[1] % 5);
	in = bytes_of(data + 4, size - 4);
	if (!bytes_take(&in, data[2] % SCEP_TRANSACTION_ID_MAX + 1u, &id) ||
	    !bytes_take(&in, data[3] % (SCEP_NONCE_MAX + 1u), &nonce))
		return 0;
	request.transaction_id = id;
	request.sender_nonce = nonce;
	if (reply.status == SCEP_SUCCESS) {
		reply.envelope = in;
	} else {
		memcpy(text, in.ptr, in.len < sizeof(text) - 1 ? in.len : sizeof(text) - 1);
		reply.fail_text = text;
	}
	write_and_read(&reply);
	return 0;
}
