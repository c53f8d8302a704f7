/* What went wrong, counted by kind.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tests/bench/tally.h"

#include <stdio.h>
#include <string.h>

void tally_add(struct tally *t, const char *kind)
{
	size_t i;

	pthread_mutex_lock(&t->lock);
	for (i = 0; i < t->n_rows && strcmp(t->rows[i].kind, kind) != 0; i++)
		;
	if (i == TALLY_KINDS_MAX)
		i--;
	if (i == t->n_rows)
		snprintf(t->rows[t->n_rows++].kind, TALLY_KIND_SIZE, "%s", i + 1 < TALLY_KINDS_MAX ? kind : "other");
	t->rows[i].n++;
	pthread_mutex_unlock(&t->lock);
}

unsigned tally_sum(const struct tally *t)
{
	unsigned sum = 0;

	for (size_t i = 0; i < t->n_rows; i++)
		sum += t->rows[i].n;
	return sum;
}

void tally_print(const struct tally *t, cJSON *object, const char *name)
{
	cJSON *kinds = cJSON_AddObjectToObject(object, name);

	for (size_t i = 0; i < t->n_rows; i++)
		cJSON_AddNumberToObject(kinds, t->rows[i].kind, t->rows[i].n);
}
