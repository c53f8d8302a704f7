/* One client, of ACME, EST or SCEP: one certificate after the other until the time is up.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <openssl/ssl.h>

#include "tests/bench/keys.h"
#include "tests/bench/responder.h"
#include "tests/bench/tally.h"

#define WORKER_NAME_SIZE 96

enum connections { CONNECTIONS_KEPT, CONNECTIONS_NEW, CONNECTIONS_RESUMED };

/* What all workers share; read-only while they run, but for what has a lock. */
struct load {
	const char *directory, *domain; /* of ACME: NULL with others */
	const char *est;                /* where simpleenroll is; NULL with others */
	const char *scep, *challenge;   /* where PKIOperation is, and what it proves; NULL with others */
	const char *authorization;      /* of EST */
	enum connections connections;   /* of EST; ACME keeps its own */
	unsigned poll_ms;
	SSL_CTX *tls;
	struct responder *responder;
	struct tally errors;
	unsigned run;                    /* makes the names of this run fresh */
	pthread_barrier_t ready, start;  /* all have an account; the clock runs */
	_Atomic int64_t end_ns;          /* no order begins after this */
	_Atomic long orders_left;        /* nor when this is 0 */
};

/* What came of one order; looked at when the load has ended. */
struct result {
	int64_t took_ns;
	char name[WORKER_NAME_SIZE];
	uint8_t point[KEYS_POINT_SIZE]; /* the key that was certified; of RSA its last octets */
	char *chain;                    /* PEM; of EST and SCEP the certs-only message, in base64 */
};

struct worker; /* one thread */

struct worker_results {
	struct result *list;
	size_t n, capacity;
	unsigned requests, connections, resumed, bad_nonces;
	bool has_account; /* or needs none */
	int64_t ended_ns;
};

int64_t worker_now_ns(void);

/* Starts the thread. NULL: memory. `load` and `out` outlive it. */
struct worker *worker_start(struct load *load, size_t number, struct worker_results *out);
void worker_join(struct worker *w);
void worker_results_fini(struct worker_results *results);
