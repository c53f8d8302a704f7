/* Signed messages: JWS in flattened JSON serialization (RFC 7515 7.2.2) with the profile of RFC 8555 6.2.
 *
 * Read once, before anything in the message is trusted; verified when the caller has found the key. The outer object
 * has exactly the members protected, payload and signature. The protected header has alg, url, nonce (may be absent,
 * the caller decides) and exactly one of jwk and kid; crit and b64 are refused, other members are ignored.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "core/base/buf.h"
#include "protocols/jose/jwk.h"

#define JWS_SIZE_MAX 65536

struct jws_alg;

struct jws {
	const struct jws_alg *alg;
	cJSON *header;
	const char *nonce;    /* as sent; NULL when absent */
	const char *url;
	const char *kid;      /* NULL when the message carries its key */
	const cJSON *jwk;     /* NULL when it names its key */
	struct buf payload;   /* decoded; empty for POST-as-GET */
	struct buf signature; /* decoded */
	struct buf input;     /* what was signed: protected '.' payload, as sent */
};

enum {
	JWS_MALFORMED = 1,     /* not such a message */
	JWS_BAD_ALGORITHM = 2, /* an algorithm we do not take, or one that does not belong to the key */
	JWS_BAD_SIGNATURE = 3,
};

/* The algorithms that are taken, for people and for RFC 8555 6.2 "algorithms"; ends with NULL. */
extern const char *const jws_algorithms[];

/* 0, JWS_MALFORMED or JWS_BAD_ALGORITHM with a sentence in `*why` (static text), negative. */
int jws_parse(struct jws **out, struct bytes text, const char **why);
void jws_drop(struct jws **jws);

/* A message in another one, read already: it is authenticated by a MAC (HS256, HS384 or HS512, RFC 7518 3.2) under a
 * key that `kid` names and that somebody else has (RFC 8555 7.3.4). `signature` is as long as the MAC of its algorithm.
 * The same outcomes, and JWS_BAD_SIGNATURE for another length. */
int jws_parse_mac(struct jws **out, const cJSON *object, const char **why);

/* The signature was made by `key` with the algorithm of the header. 0, JWS_BAD_ALGORITHM, JWS_BAD_SIGNATURE,
 * negative. */
int jws_verify(const struct jws *jws, const struct jwk *key, const char **why);
