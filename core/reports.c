/* The last words of the gateway.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "core/reports.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#include "core/base/clock.h"
#include "core/core_int.h"

struct reports {
	pthread_mutex_t lock;
	struct buf text;
	bool is_well;
	bool has_told;
	int64_t told_ms; /* monotonic: the last report, or when the first was expected; 0: never */
};

int reports_new(struct reports **out)
{
	struct reports *r = calloc(1, sizeof(*r));

	if (!r)
		return -ENOMEM;
	pthread_mutex_init(&r->lock, NULL);
	r->text = BUF_INIT(REPORTS_TEXT_MAX);
	r->is_well = true;
	*out = r;
	return 0;
}

void reports_drop(struct reports **rp)
{
	struct reports *r = *rp;

	if (!r)
		return;
	buf_fini(&r->text);
	pthread_mutex_destroy(&r->lock);
	free(r);
	*rp = NULL;
}

void reports_expect(struct ca_core *core)
{
	struct reports *r = core->reports;

	pthread_mutex_lock(&r->lock);
	if (!r->told_ms)
		r->told_ms = clock_mono_ms();
	pthread_mutex_unlock(&r->lock);
}

/* The gateway speaks with everybody: nothing that it says moves a cursor or passes for a line of the core. */
static int keep_lines(struct buf *out, struct bytes text)
{
	bool is_new_line = true;

	buf_reset(out);
	for (size_t i = 0; i < text.len; i++) {
		uint8_t c = text.ptr[i];

		if (is_new_line)
			buf_append_str(out, "gateway ");
		is_new_line = c == '\n';
		buf_append_char(out, is_new_line || (c >= ' ' && c <= '~') ? (char)c : '?');
	}
	if (!is_new_line)
		buf_append_char(out, '\n');
	return buf_status(out);
}

int reports_take(struct ca_core *core, bool is_well, struct bytes text)
{
	struct reports *r = core->reports;
	int e;

	pthread_mutex_lock(&r->lock);
	r->told_ms = clock_mono_ms();
	r->is_well = is_well;
	r->has_told = true;
	e = keep_lines(&r->text, text);
	if (e)
		buf_reset(&r->text);
	pthread_mutex_unlock(&r->lock);
	return e;
}

bool reports_print(struct ca_core *core, struct buf *out)
{
	struct reports *r = core->reports;
	int64_t silent_s;
	bool is_well;

	pthread_mutex_lock(&r->lock);
	silent_s = r->told_ms ? (clock_mono_ms() - r->told_ms) / 1000 : 0;
	is_well = r->is_well && silent_s < REPORTS_LATE_S;
	if (silent_s >= REPORTS_LATE_S)
		buf_printf(out, "gateway: has told nothing of itself for %lld s\n", (long long)silent_s);
	else if (r->told_ms && !r->has_told)
		buf_printf(out, "gateway: ok, %sit has told nothing of itself yet\n",
			   silent_s < REPORTS_DUE_S ? "" : "but ");
	else
		buf_append(out, buf_bytes(&r->text));
	pthread_mutex_unlock(&r->lock);
	return is_well;
}
