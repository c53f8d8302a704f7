/* The filter language, and the SQL that is made of it: the first octet chooses table and direction, the rest is text.
 * Whatever is read must become SQL with as many places as values, and nothing of the text may stand in it.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/store_list_sql.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_sql(const struct list_sql *s)
{
	size_t places = 0;

	for (const char *p = buf_str(&s->text); *p; p++)
		places += *p == '?';
	if (places != s->n || strstr(buf_str(&s->text), "zzz"))
		abort();
}

static void make_all(struct list_plan *p, struct arena *arena)
{
	for (size_t i = 0; i < p->n_leaders; i++) {
		struct list_sql s = LIST_SQL_INIT(arena);

		if (list_sql_count(p, &p->leaders[i], &s) == 0)
			check_sql(&s);
		buf_fini(&s.text);
	}
	for (int few = 0; few < 2; few++) {
		struct list_sql page = LIST_SQL_INIT(arena), until = LIST_SQL_INIT(arena);

		for (size_t i = 0; i < p->n_leaders; i++)
			p->leaders[i].found = few ? 1 : LIST_FEW + 1;
		list_plan_choose(p);
		if (list_sql_page(p, "1", 100, &page) == 0)
			check_sql(&page);
		if (!p->is_few && !list_walks_all(p) && list_sql_until(p, &until) == 0)
			check_sql(&until);
		buf_fini(&page.text);
		buf_fini(&until.text);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint8_t from[16] = { 1 };
	char text[4096], why[FILTER_WHY_SIZE];
	struct list_query q = { .filter = text, .now_s = 1700000000 };
	struct list_plan *plan;
	struct arena *arena;

	if (size == 0 || size > sizeof(text) || arena_new(&arena, 1u << 20))
		return 0;
	memcpy(text, data + 1, size - 1);
	text[size - 1] = '\0';
	q.table = data[0] & 1 ? FILTER_CERTIFICATES : FILTER_REQUESTS;
	q.backwards = (data[0] & 2) != 0;
	if (data[0] & 4)
		q.from = bytes_of(from, data[0] & 8 ? 5 : sizeof(from));
	plan = arena_alloc(arena, sizeof(*plan));
	if (plan && list_plan_init(plan, &q, arena, why) == 0)
		make_all(plan, arena);
	arena_drop(&arena);
	return 0;
}
