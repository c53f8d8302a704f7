/* The signer: the only code that sees a private key.
 *
 * Its calls are messages: plain octets in, plain octets out, and no key, digest or handle to a key leaves it. A
 * private key exists outside only as a blob sealed under the key-encryption key (AES-256-GCM; purpose and CA are
 * authenticated with it), which the caller stores and loads after each start. It never signs a bare digest: it gets
 * whole TBSCertificates, TBSCertLists, ResponseData and certification requests, and looks at what it signs
 * (core/signer/gate.h, gate_stream.h). None of the four can be taken for another one, the issuer must be the key's
 * own, and a certificate that could sign others is made for the keys of the same CA only.
 *
 * What a core that was taken over can have signed, and what not. It can have certificates for any name below the
 * floor, CRLs and OCSP answers with any content of its own CA, further keys of a CA (which stay in the signer) and
 * cross certificates between them. It cannot have a certificate of an authority or an OCSP responder whose key lies
 * anywhere else, and nothing under a purpose or a CA that a key was not made for. A root's name and dates are what
 * the key itself signed. Those of an intermediate are what some issuer signed whose certificate the core brings: it
 * may bring an issuer of its own making, and with it another name or other dates for this key. What is signed then
 * carries that name, and chains to that issuer, whom nobody trusts; below the real certificate it is not valid for
 * longer, because whoever verifies a path looks at the dates of the real one.
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
#define SIGNER_CERTIFICATES_MAX 65536 /* octets of a CA's certificate and its issuers' */
#define SIGNER_PIECE_MAX ((size_t)64 << 10)
#define SIGNER_MAC_SIZE 32
#define SIGNER_LABEL_MAX 255
#define SIGNER_UNWRAPPED_MAX 32

/* Of a link to a signer: calls in flight. */
#define SIGNER_WINDOW 128

struct link;
struct signer;

/* In the store as these numbers, and part of what a sealed key is bound to. */
enum signer_purpose {
	SIGNER_PURPOSE_CA = 1,   /* signs certificates, CRLs and OCSP answers */
	SIGNER_PURPOSE_OCSP = 2, /* signs OCSP answers: the key of a delegated responder (RFC 6960 4.2.2.2) */
	SIGNER_PURPOSE_MAC = 3,  /* signer_mac() */
	SIGNER_PURPOSE_RA = 4,   /* opens envelopes and signs answers: the key of a registration authority */
};

enum signer_stream_kind {
	SIGNER_STREAM_CRL = 1,   /* a TBSCertList (RFC 5280 5.1) */
	SIGNER_STREAM_OCSP = 2,  /* a ResponseData (RFC 6960 4.2.1) */
};

/* How a key of content is wrapped for the key of a registration authority. */
enum signer_wrapping {
	SIGNER_WRAPPING_PKCS1 = 0,       /* RSAES-PKCS1-v1_5 (RFC 8017 7.2) */
	SIGNER_WRAPPING_OAEP_SHA1 = 1,   /* RSAES-OAEP (7.1), MGF1 with the same digest, no label */
	SIGNER_WRAPPING_OAEP_SHA256 = 2,
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

/* The same for keys of registration authorities alone, which it has in the place of all others: who may use these is
 * on the side of the network, so they lie in another process, under another key-encryption key. */
int signer_new_ra(struct signer **out, const uint8_t kek[static SIGNER_KEK_SIZE]);

/* The signer at the other end of `link`, which lives longer, has the window SIGNER_WINDOW and takes no messages that
 * were not asked for. Calls that break with their connection are repeated. A signer that does not answer in time (2 s
 * for a signature) is -ETIME, -ETIMEDOUT, -ECONNRESET or -ENOTCONN. 0, -ENOMEM. */
int signer_connect(struct signer **out, struct link *link);
void signer_drop(struct signer **s);

/* Make a key pair of `type` ("ec-p256", "ec-p384", "rsa-2048", "rsa-3072", "rsa-4096"): the sealed private key and the
 * SubjectPublicKeyInfo are appended. For SIGNER_PURPOSE_MAC the type is "hmac", and nothing is appended to `spki`; for
 * SIGNER_PURPOSE_RA it is one of RSA, and `ca` names the endpoint. */
int signer_generate(struct signer *s, const char *type, enum signer_purpose purpose, const char *ca,
		    struct buf *sealed, struct buf *spki, char why[static SIGNER_WHY_SIZE]);

/* Unseal a key; `*key` names it in later calls, until the signer is started again: no other signer ever gives that
 * number, and this one gives it again for the same key.
 *
 * `certificates` is for SIGNER_PURPOSE_CA: the CA's own certificate (DER), a root that this very key has signed; or
 * one that carries this key and was signed by the issuer whose certificate follows, which may be followed by its own
 * issuer and so on, each signed by the next. Empty when the CA is being created, for a key that this signer has made
 * since it was started: then it signs nothing but its own self-signed certificate and a certification request. */
int signer_load(struct signer *s, struct bytes sealed, enum signer_purpose purpose, const char *ca,
		struct bytes certificates, uint64_t *key, char why[static SIGNER_WHY_SIZE]);

/* Let go of a key, as soon as nobody works with it; one that is not known is gone already. 0 or negative. */
int signer_unload(struct signer *s, uint64_t key);

/* Sign a whole TBSCertificate (DER); appends the signature value. Besides certificates below the floor: one of a
 * delegated OCSP responder, whose key is loaded here for that purpose and this CA, and which says nothing else; and a
 * cross certificate, for another key of this CA that is loaded here with the same subject. */
int signer_sign_certificate(struct signer *s, uint64_t key, struct bytes tbs, struct buf *signature,
			    char why[static SIGNER_WHY_SIZE]);

/* Sign a CertificationRequestInfo (RFC 2986) for the key itself; appends the signature value. */
int signer_sign_request(struct signer *s, uint64_t key, struct bytes info, struct buf *signature,
			char why[static SIGNER_WHY_SIZE]);

/* Sign a ResponseData of at most SIGNER_PIECE_MAX octets; appends the signature value. The responder must be the key:
 * its subject, or its hash. */
int signer_sign_ocsp(struct signer *s, uint64_t key, struct bytes response_data, struct buf *signature,
		     char why[static SIGNER_WHY_SIZE]);

/* HMAC-SHA256 under a key of SIGNER_PURPOSE_MAC, over the label's length in one octet, the label and the octets: what
 * was made for one label is never good for another. */
int signer_mac(struct signer *s, uint64_t key, struct bytes label, struct bytes octets,
	       uint8_t out[static SIGNER_MAC_SIZE], char why[static SIGNER_WHY_SIZE]);

/* ---- keys of registration authorities (RFC 8894) ---- */

/* Unwrap a key of content of `n` octets, 8 to SIGNER_UNWRAPPED_MAX. There always are `n` octets: random ones when
 * nothing was wrapped for this key, or another number of octets, so that nobody learns which from the answer. */
int signer_unwrap(struct signer *s, uint64_t key, enum signer_wrapping wrapping, struct bytes wrapped, uint8_t *out,
		  size_t n, char why[static SIGNER_WHY_SIZE]);

/* Sign a SET of signed attributes (RFC 5652 5.4; DER) with RSASSA-PKCS1-v1_5 and "SHA1", "SHA256", "SHA384" or
 * "SHA512"; appends the signature value. */
int signer_sign_attributes(struct signer *s, uint64_t key, const char *digest, struct bytes attributes,
			   struct buf *signature, char why[static SIGNER_WHY_SIZE]);

/* ---- signing what does not fit into a message ---- */

struct signer_stream;

/* Begin to sign what comes in pieces, by one thread, of at most SIGNER_PIECE_MAX octets each. A CRL under the key of
 * a CA, whose subject is its issuer; a ResponseData as in signer_sign_ocsp(). The signer looks at it as it passes,
 * and refuses the first piece that cannot be a part of it. SIGNER_UNKNOWN_KEY from data or end: the signer was
 * started again, or had too many streams; begin anew. Whatever it comes to, signer_stream_drop() follows. */
int signer_stream_begin(struct signer *s, uint64_t key, enum signer_stream_kind kind, struct signer_stream **out,
			char why[static SIGNER_WHY_SIZE]);
int signer_stream_data(struct signer_stream *st, struct bytes piece, char why[static SIGNER_WHY_SIZE]);

/* It is whole: appends the signature value. */
int signer_stream_end(struct signer_stream *st, struct buf *signature, char why[static SIGNER_WHY_SIZE]);
void signer_stream_drop(struct signer_stream **st);

/* Is it there, and how does it keep its memory? 0 or negative. */
int signer_ask_memory(struct signer *s, enum signer_memory *memory);
