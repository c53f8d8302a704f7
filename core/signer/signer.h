/* The signer: the only code that sees a private key.
 *
 * Its calls are messages: plain octets in, plain octets out, and no key, digest or handle to a key leaves it. A
 * private key exists outside only as a blob sealed under the key-encryption key (AES-256-GCM; purpose and CA are
 * authenticated with it), which the caller stores and loads after each start. It signs whole TBSCertificates, never a
 * bare digest, and looks at what it signs (core/signer/gate.h): the issuer must be the key's own, and a certificate
 * that could sign others is made only once, for the key itself, when the CA is created.
 *
 * It is in this process (signer_new), or a process of its own behind a link (signer_connect): gatehouse-signer.
 *
 * All calls are safe on any number of threads.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "core/base/buf.h"

#define SIGNER_KEK_SIZE 32
#define SIGNER_SEALED_MAX 16384
#define SIGNER_SPKI_MAX 4096
#define SIGNER_SIGNATURE_MAX 1024
#define SIGNER_WHY_SIZE 200

/* Of a link to a signer: calls in flight. */
#define SIGNER_WINDOW 128

struct link;
struct signer;

enum signer_purpose {
	SIGNER_PURPOSE_CA = 1, /* signs certificates */
};

/* What of the signer's memory can never reach a disk. */
enum signer_memory {
	SIGNER_MEMORY_SHARED, /* it is in this process: best effort */
	SIGNER_MEMORY_KEYS,   /* the heap that holds keys */
	SIGNER_MEMORY_ALL,
	SIGNER_MEMORY_NONE,   /* it is a process of its own, which may lock none */
};

/* Positive outcomes. */
enum {
	SIGNER_REFUSED = 1,     /* it will not sign or load this, now or later; `why` says the reason */
	SIGNER_UNKNOWN_KEY = 2, /* no such key is loaded; one that was means that the signer was started again */
};

/* `kek` is copied into locked memory; the caller wipes its own. 0, -ENOMEM, -EIO. */
int signer_new(struct signer **out, const uint8_t kek[static SIGNER_KEK_SIZE]);

/* The signer at the other end of `link`, which lives longer, has the window SIGNER_WINDOW and takes no messages that
 * were not asked for. Calls that break with their connection are repeated. A signer that does not answer in time (2 s
 * for a signature) is -ETIME, -ETIMEDOUT, -ECONNRESET or -ENOTCONN. 0, -ENOMEM. */
int signer_connect(struct signer **out, struct link *link);
void signer_drop(struct signer **s);

/* Make a key pair of `type` ("ec-p256", "ec-p384", "rsa-3072", "rsa-4096"): the sealed private key and the
 * SubjectPublicKeyInfo are appended. */
int signer_generate(struct signer *s, const char *type, enum signer_purpose purpose, const char *ca,
		    struct buf *sealed, struct buf *spki, char why[static SIGNER_WHY_SIZE]);

/* Unseal a key; `*key` names it in later calls, until the signer is started again: no other signer ever gives that
 * number, and this one gives it again for the same key. `certificate` is the CA's own (DER), a root that this very key
 * has signed; or empty when the CA is being created, for a key that this signer has made since it was started: then it
 * signs nothing but its own self-signed certificate. */
int signer_load(struct signer *s, struct bytes sealed, enum signer_purpose purpose, const char *ca,
		struct bytes certificate, uint64_t *key, char why[static SIGNER_WHY_SIZE]);

/* Sign a whole TBSCertificate (DER); appends the signature value. */
int signer_sign_certificate(struct signer *s, uint64_t key, struct bytes tbs, struct buf *signature,
			    char why[static SIGNER_WHY_SIZE]);

/* Is it there, and how does it keep its memory? 0 or negative. */
int signer_ask_memory(struct signer *s, enum signer_memory *memory);
