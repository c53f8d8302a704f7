/* Telling the exit modules.
 *
 * Everything here runs on the one exit thread (or before it starts and after it ended), so no two notifications ever
 * overlap. An event leaves the outbox only after its module took it.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "core/outbox.h"

#include <errno.h>
#include <stdio.h>

#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/base/own.h"
#include "core/exit_view.h"
#include "core/store.h"

#define BATCH 64
#define BACKOFF_FIRST_MS 1000
#define BACKOFF_MAX_MS (10 * 60 * 1000)

static struct exit_instance *find_instance(struct ca_core *core, const struct outbox_row *row)
{
	struct ca *ca = core_find_ca(core, row->ca);

	for (size_t i = 0; ca && i < ca->n_exits; i++)
		if (strcmp(ca->exits[i].label, row->module) == 0 && !ca->exits[i].is_disabled)
			return &ca->exits[i];
	return NULL;
}

static int64_t backoff_ms(unsigned attempts)
{
	int64_t ms = BACKOFF_FIRST_MS;

	while (attempts-- && ms < BACKOFF_MAX_MS)
		ms *= 2;
	return ms < BACKOFF_MAX_MS ? ms : BACKOFF_MAX_MS;
}

static int notify(struct ca_core *core, struct exit_instance *x, enum ca_event event, struct ca_exit_view *v)
{
	int64_t id = v->r ? v->r->id : 0;
	int e;

	trace_event(core->trace, "notify", id, "\"module\":\"%s\",\"event_name\":\"%s\",\"about\":%lld", x->label,
		    ca_event_word(event), (long long)v->about);
	e = x->module->notify(x->state, event, v);
	trace_event(core->trace, "notified", id, "\"module\":\"%s\",\"event_name\":\"%s\",\"result\":%d", x->label,
		    ca_event_word(event), e);
	x->is_failing = e != 0;
	if (e)
		core->notify_failures++;
	else
		core->notified++;
	return e;
}

static int record_failure(struct ca_core *core, const struct outbox_row *row, int code)
{
	bool is_last = row->attempts + 1 >= core->settings.notify_attempts;
	int64_t now = clock_wall_ms();
	char line[256];

	snprintf(line, sizeof(line), "notify module=%s event=%s failed attempt=%u code=%d%s", row->module,
		 ca_event_word(row->event), row->attempts + 1, code, is_last ? " set-aside" : "");
	log_warn("exit.failed", "module", row->module, "event", ca_event_word(row->event), "request",
		 LOG_NUMBER(row->request_id), "attempt", LOG_NUMBER(row->attempts + 1), "code", LOG_NUMBER(code));
	return store_event_failed(core, row, now, is_last ? 0 : now + backoff_ms(row->attempts), line);
}

static int deliver(struct ca_core *core, const struct outbox_row *row)
{
	OWNED(ca_request) r = NULL;
	struct exit_instance *x = find_instance(core, row);
	struct ca_exit_view v = { .event_id = row->id, .event = row->event, .about = row->about, .ca = row->ca };
	char notified[256], inspected[384];
	int64_t started;
	int e;

	/* The module was taken out of the configuration or is disabled: its events wait, and stay visible. */
	if (!x) {
		int64_t now = clock_wall_ms();

		return store_event_failed(core, row, now,
					  row->attempts ? now + BACKOFF_MAX_MS : now + BACKOFF_FIRST_MS, NULL);
	}
	e = row->request_id ? store_load(core, row->request_id, &r) : 0;
	/* One row that cannot be read must not keep the others' events. */
	if (e == -EBADMSG || e > 0)
		return record_failure(core, row, e);
	if (e) {
		log_warn("outbox.waiting", "request", LOG_NUMBER(row->request_id), "code", LOG_NUMBER(e));
		return e;
	}
	v.r = r;
	started = clock_wall_ms();
	e = notify(core, x, row->event, &v);
	if (e)
		return record_failure(core, row, e);
	snprintf(notified, sizeof(notified), "notify module=%s event=%s", row->module, ca_event_word(row->event));
	snprintf(inspected, sizeof(inspected), "inspect module=%s read=%s result=ok attempt=%u", row->module,
		 v.reads[0] ? v.reads : "nothing", row->attempts + 1);
	return store_event_done(core, row, started, notified, inspected);
}

bool outbox_run(void *arg)
{
	struct ca_core *core = arg;
	struct outbox_row *rows = calloc(BATCH, sizeof(*rows));
	size_t n = 0, done = 0;

	if (rows && store_due_events(core, clock_wall_ms(), rows, BATCH, &n) == 0) {
		trace_barrier(core->trace);
		while (done < n && deliver(core, &rows[done]) == 0)
			done++;
	}
	free(rows);
	/* More is due only when everything of a full batch went through. */
	return n == BATCH && done == n;
}

void outbox_announce(struct ca_core *core, enum ca_event event)
{
	for (size_t i = 0; i < core->n_cas; i++)
		for (size_t j = 0; j < core->cas[i].n_exits; j++) {
			struct exit_instance *x = &core->cas[i].exits[j];
			struct ca_exit_view v = { .event = event, .ca = core->cas[i].name };

			if ((x->events & event) && !x->is_disabled && notify(core, x, event, &v))
				log_warn("exit.failed", "module", x->label, "event", ca_event_word(event));
		}
}
