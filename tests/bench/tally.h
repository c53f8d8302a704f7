/* What went wrong, counted by kind.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <pthread.h>
#include <stddef.h>

#include <cjson/cJSON.h>

#define TALLY_KIND_SIZE 96
#define TALLY_KINDS_MAX 32

struct tally {
	pthread_mutex_t lock;
	struct tally_row {
		char kind[TALLY_KIND_SIZE];
		unsigned n;
	} rows[TALLY_KINDS_MAX]; /* the last one takes what has no row of its own */
	size_t n_rows;
};

#define TALLY_INIT { .lock = PTHREAD_MUTEX_INITIALIZER }

/* From any thread. */
void tally_add(struct tally *t, const char *kind);

/* Once the threads have ended. */
unsigned tally_sum(const struct tally *t);

/* {"kind": n, …} as a member of `object`. */
void tally_print(const struct tally *t, cJSON *object, const char *name);
