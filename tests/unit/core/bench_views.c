/* How long a page of a list takes with 10^4 rows and with 10^6: filters that an index finds must not notice.
 *
 *     build/check/tests/unit/core/bench_views [SMALL LARGE]
 *
 * Prints one line a filter: the median of both in microseconds, and their ratio. Fails when a ratio is above 1.3, where
 * the smaller time is long enough to be measured (50 us are granted on top). A loaded machine measures others' work.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "core/base/log.h"
#include "core/store_list.h"
#include "tests/scenarios/filler.h"

#define ROUNDS 51
#define RATIO_MAX 1.3
#define GRANTED_US 50

static const struct {
	enum filter_table table;
	bool backwards;
	const char *filter;
	bool is_share; /* it finds a share of all rows, so the larger store has more to look at: told, not judged */
} questions[] = {
	{ FILTER_REQUESTS, false, "state=pending", false },
	{ FILTER_REQUESTS, true, "", false },
	{ FILTER_REQUESTS, true, "state=issued", false },
	{ FILTER_REQUESTS, false, "requester=acme:n1017", false },
	{ FILTER_REQUESTS, true, "requester=acme:7", true },
	{ FILTER_REQUESTS, true, "profile=p1 and state=issued", false },
	{ FILTER_REQUESTS, true, "via=est and endpoint=net", false },
	{ FILTER_REQUESTS, false, "san=h5017.zone17.example", false },
	{ FILTER_REQUESTS, true, "san~*.zone34.example", true },
	{ FILTER_REQUESTS, false, "age<1h", false },
	{ FILTER_REQUESTS, false, "state=pending and (via=est or via=scep) and age>5m and not edited", false },
	{ FILTER_CERTIFICATES, false, "requester=acme:n1017", false },
	{ FILTER_CERTIFICATES, false, "valid and expires<89d", false },
	{ FILTER_CERTIFICATES, true, "state=revoked", true },
	{ FILTER_CERTIFICATES, false, "key=7f01ab02*", false },
	{ FILTER_CERTIFICATES, true, "issued>2023-11-12 and profile=p2", false },
};

#define QUESTIONS (sizeof(questions) / sizeof(*questions))

static int64_t now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static int compare(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return (x > y) - (x < y);
}

/* The median of one page of 50; -1 when it fails. */
static int64_t measure(struct rig *rig, size_t q)
{
	struct list_query query = { .table = questions[q].table, .filter = questions[q].filter, .limit = 50,
				    .backwards = questions[q].backwards, .now_s = FILLER_NOW_S };
	int64_t took[ROUNDS];

	for (size_t i = 0; i < ROUNDS; i++) {
		Gatehouse__Admin__Reply reply;
		char why[FILTER_WHY_SIZE];
		struct arena *arena;
		int64_t began = now_us();
		int e = arena_new(&arena, 16u << 20);

		if (e)
			return -1;
		gatehouse__admin__reply__init(&reply);
		e = store_list(rig->core, &query, arena, &reply, why);
		arena_drop(&arena);
		took[i] = now_us() - began;
		if (e)
			return -1;
	}
	qsort(took, ROUNDS, sizeof(*took), compare);
	return took[ROUNDS / 2];
}

static bool measure_all(int64_t rows, int64_t out[static QUESTIONS])
{
	static struct rig rig;
	struct conf_error error = { 0 };
	bool ok = true;

	rig_init(&rig, &(struct rig_settings){ .exits = "[]" });
	ok = rig_start(&rig, &error) == 0 && filler_fill(&rig, rows);
	for (size_t q = 0; ok && q < QUESTIONS; q++) {
		out[q] = measure(&rig, q);
		ok = out[q] >= 0;
	}
	rig_fini(&rig);
	return ok;
}

static void swallow(void *arg, const char *line)
{
}

int main(int argc, char **argv)
{
	int64_t small_rows = argc > 2 ? strtoll(argv[1], NULL, 10) : 10000;
	int64_t large_rows = argc > 2 ? strtoll(argv[2], NULL, 10) : 1000000;
	int64_t small[QUESTIONS], large[QUESTIONS];
	int failed = 0;

	log_capture(swallow, NULL);
	if (!measure_all(small_rows, small) || !measure_all(large_rows, large)) {
		fprintf(stderr, "bench_views: a list failed\n");
		return 1;
	}
	printf("%8s %8s %6s   a page of 50, microseconds with %lld and %lld rows\n", "small", "large", "ratio",
	       (long long)small_rows, (long long)large_rows);
	for (size_t q = 0; q < QUESTIONS; q++) {
		double ratio = (double)large[q] / (double)small[q];
		bool is_slow = !questions[q].is_share && (double)large[q] > (double)small[q] * RATIO_MAX + GRANTED_US;

		printf("%8lld %8lld %6.2f   %s %s%s%s\n", (long long)small[q], (long long)large[q], ratio,
		       questions[q].table == FILTER_REQUESTS ? "requests" : "certificates", questions[q].filter,
		       questions[q].backwards ? " (newest first)" : "", is_slow ? "   SLOW" : "");
		failed += is_slow;
	}
	/* Other numbers are a short run that only shows that it runs. */
	return failed && argc <= 2 ? 1 : 0;
}
