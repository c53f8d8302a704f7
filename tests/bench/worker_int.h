/* What the files of a worker share.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "tests/bench/https.h"
#include "tests/bench/worker.h"

struct worker {
	struct load *load;
	size_t number;
	struct worker_results *out;
	pthread_t thread;
	struct https https;
	EVP_PKEY *key;
	X509 *ra, *signer; /* of SCEP: encrypted to; made by the key itself */
	char jwk[KEYS_JWK_SIZE], thumbprint[KEYS_THUMBPRINT_SIZE];
	char new_nonce[HTTPS_URL_SIZE], new_account[HTTPS_URL_SIZE], new_order[HTTPS_URL_SIZE];
	char kid[HTTPS_URL_SIZE]; /* "": no account yet */
	char nonce[128];
	char why[TALLY_KIND_SIZE]; /* kind of the last failure */
};

/* Say why; always -1. */
int worker_fail(struct worker *w, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* A name that nobody has asked for yet. */
void worker_print_name(const struct worker *w, unsigned number, char name[static WORKER_NAME_SIZE]);

/* Keep the last answer as what came of it. 0; -1 after worker_fail(). */
int worker_keep(struct worker *w, const char *name, const uint8_t point[static KEYS_POINT_SIZE], int64_t took_ns);

/* ---- worker_est.c ---- */

/* One simpleenroll. 0; -1 after worker_fail(). */
int worker_enrol(struct worker *w, unsigned number);

/* ---- worker_scep.c ---- */

/* Key and certificates, before the clock runs. 0; -1 after worker_fail(). */
int worker_scep_prepare(struct worker *w);

/* One PKCSReq. 0; -1 after worker_fail(). */
int worker_scep(struct worker *w, unsigned number);
