/* Getting, keeping and renewing the keys of registration authorities: when, and what is told of it.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "gateway/ra_int.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/clock.h"
#include "core/base/log.h"

#define FIRST_RETRY_MS 1000
#define LAST_RETRY_MS 60000
#define LAST_USELESS_MS 3600000
#define LOOK_EVERY_MS 60000
#define LOOK_AT_FOLDER_MS 3600000

void gw_ra_set_state(struct authority *a, const char *format, ...)
{
	char text[sizeof(a->state)];
	va_list args;
	bool is_new;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	pthread_mutex_lock(&a->ras->lock);
	is_new = strcmp(text, a->state) != 0;
	memcpy(a->state, text, sizeof(text));
	pthread_mutex_unlock(&a->ras->lock);
	if (is_new && *text)
		log_warn("ra.certificate.waiting", "endpoint", a->endpoint, "reason", text);
}

/* ---- when ---- */

static unsigned clamp(int64_t ms, unsigned first_ms, unsigned last_ms)
{
	return ms < first_ms ? first_ms : ms > last_ms ? last_ms : (unsigned)ms;
}

static void back_off(struct authority *a, unsigned first_ms, unsigned last_ms)
{
	a->back_off_ms = clamp((int64_t)a->back_off_ms * 2, first_ms, last_ms);
	a->retry_ms = clock_mono_ms() + a->back_off_ms;
}

static void go_on(struct authority *a)
{
	a->back_off_ms = 0;
	a->retry_ms = 0;
}

/* While it is not known which of them are good no other key is asked for: clients encrypt to those. */
static bool has_loaded(struct authority *a)
{
	int e;

	if (a->was_loaded)
		return true;
	e = gw_ra_load_stored(a);
	a->was_loaded = !e;
	if (!e)
		return true;
	back_off(a, FIRST_RETRY_MS, FIRST_RETRY_MS);
	if (!gw_ra_newest_key(a, clock_wall_s()))
		gw_ra_set_state(a, "its stored keys cannot be looked at: %s",
				e == -EAGAIN ? "the core does not answer" : strerror(-e));
	return false;
}

/* What came changes nothing: it is not in force by this clock, or ends as soon as the one before because the CA does.
 * Another one would be the same, so the next is asked for later each time; but in the middle of what is left. */
static void wait_after_useless(struct authority *a)
{
	int64_t now = clock_wall_s();
	const struct ra_key *key = gw_ra_newest_key(a, now);
	int64_t half_ms = key ? (key->octets.not_after_s - now) * 1000 / 2 : LAST_USELESS_MS;

	back_off(a, LAST_RETRY_MS, clamp(half_ms, LAST_RETRY_MS, LAST_USELESS_MS));
}

static void obtain(struct authority *a)
{
	if (a->n_keys == RA_KEYS_MAX) {
		gw_ra_set_state(a, "it has %u keys in force; the next one is made when one of them has ended",
				RA_KEYS_MAX);
		back_off(a, FIRST_RETRY_MS, LAST_RETRY_MS);
	} else if (!gw_ra_obtain(a)) {
		back_off(a, FIRST_RETRY_MS, LAST_RETRY_MS);
	} else if (gw_ra_is_due(a)) {
		wait_after_useless(a);
	} else {
		go_on(a);
	}
}

static void look_after(struct authority *a, bool has_moved)
{
	gw_ra_retire_keys(a, clock_wall_s(), has_moved);
	if (has_moved)
		go_on(a);
	if (clock_mono_ms() < a->retry_ms || !has_loaded(a))
		return;
	if (gw_ra_is_due(a)) {
		obtain(a);
		return;
	}
	go_on(a);
	gw_ra_set_state(a, "%s", "");
}

/* The folder is looked at again when the clock was set, because other keys are in force then, and now and then. */
void gw_ras_look(struct gw_ras *ras)
{
	bool has_moved = steady_has_moved(&ras->steady);
	int64_t now_ms = clock_mono_ms();

	if (has_moved || now_ms - ras->looked_ms >= LOOK_AT_FOLDER_MS) {
		ras->looked_ms = now_ms;
		for (struct authority *a = ras->authorities; a; a = a->next)
			a->was_loaded = false;
		if (steady_is(&ras->steady))
			gw_ras_remove_ended(ras);
	}
	for (struct authority *a = ras->authorities; a; a = a->next)
		look_after(a, has_moved);
}

/* ---- the thread ---- */

/* When something is to be done for this one, in ms: it is due or asked for again, or it ends. */
static int64_t next_event(struct authority *a)
{
	int64_t now = clock_wall_s(), wait = LOOK_EVERY_MS, left;
	const struct ra_key *key = gw_ra_newest_key(a, now);
	const int64_t ends[] = { key ? gw_ra_due_s(&key->octets) : 0, key ? key->octets.not_after_s : 0 };

	if (a->back_off_ms) {
		left = a->retry_ms - clock_mono_ms();
		wait = left < 0 ? 0 : left < wait ? left : wait;
	}
	for (size_t i = 0; i < sizeof(ends) / sizeof(*ends); i++) {
		left = (ends[i] - now) * 1000;
		if (left > 0 && left < wait)
			wait = left;
	}
	return wait;
}

static int64_t next_look(struct gw_ras *ras)
{
	int64_t wait = LOOK_EVERY_MS, left;

	for (struct authority *a = ras->authorities; a; a = a->next) {
		left = next_event(a);
		if (left < wait)
			wait = left;
	}
	return wait;
}

static bool wait_for_work(struct gw_ras *ras)
{
	struct timespec until = clock_deadline_after(next_look(ras));
	bool ends;

	pthread_mutex_lock(&ras->lock);
	while (!ras->ends && pthread_cond_timedwait(&ras->wake, &ras->lock, &until) == 0)
		;
	ends = ras->ends;
	pthread_mutex_unlock(&ras->lock);
	return !ends;
}

static void *look_after_all(void *arg)
{
	struct gw_ras *ras = arg;

	while (wait_for_work(ras))
		gw_ras_look(ras);
	return NULL;
}

int gw_ras_start(struct gw_ras *ras)
{
	int e;

	if (!ras->authorities)
		return 0;
	gw_ras_look(ras);
	e = -pthread_create(&ras->thread, NULL, look_after_all, ras);
	ras->has_thread = e == 0;
	return e;
}

void gw_ras_stop(struct gw_ras *ras)
{
	pthread_mutex_lock(&ras->lock);
	ras->ends = true;
	pthread_cond_signal(&ras->wake);
	pthread_mutex_unlock(&ras->lock);
	if (ras->has_thread)
		pthread_join(ras->thread, NULL);
	ras->has_thread = false;
}

/* ---- start and end ---- */

int gw_ras_new(struct gw_ras **out, struct signer *signer, const char *folder)
{
	struct gw_ras *ras = calloc(1, sizeof(*ras));
	pthread_condattr_t attributes;

	if (!ras)
		return -ENOMEM;
	pthread_mutex_init(&ras->lock, NULL);
	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_cond_init(&ras->wake, &attributes);
	pthread_condattr_destroy(&attributes);
	ras->signer = signer;
	ras->folder = folder;
	*out = ras;
	return 0;
}

const struct proto_ra *gw_ras_add(struct gw_ras *ras, const char *endpoint, const char *key_type, struct ca_door *ca)
{
	struct authority *a = calloc(1, sizeof(*a)), **last = &ras->authorities;

	if (!a)
		return NULL;
	while (*last)
		last = &(*last)->next;
	*last = a;
	a->ras = ras;
	a->endpoint = endpoint;
	a->key_type = key_type;
	a->ca = ca;
	a->face = gw_ra_face(a);
	return &a->face;
}

void gw_ras_set_names(struct gw_ras *ras, const char *endpoint, const char *const *names, size_t n_names)
{
	for (struct authority *a = ras->authorities; a; a = a->next)
		if (strcmp(a->endpoint, endpoint) == 0 && !a->n_names) {
			a->names = names;
			a->n_names = n_names;
		}
}

void gw_ras_drop(struct gw_ras **out)
{
	struct gw_ras *ras = *out;
	struct authority *a, *next;

	if (!ras)
		return;
	gw_ras_stop(ras);
	for (a = ras->authorities; a; a = next) {
		next = a->next;
		gw_ra_drop_keys(a);
		free(a);
	}
	pthread_cond_destroy(&ras->wake);
	pthread_mutex_destroy(&ras->lock);
	free(ras);
	*out = NULL;
}

/* ---- what is told ---- */

void gw_ras_probe(struct gw_ras *ras)
{
	enum signer_memory memory;

	if (ras->authorities)
		atomic_store(&ras->is_signer_away, signer_ask_memory(ras->signer, &memory) != 0);
}

/* Under the lock, as all below. How many keys before the newest one still answer, and until when the last of them. */
static unsigned count_older(struct authority *a, int64_t now, int64_t *until_s)
{
	const struct ra_key *newest = gw_ra_newest_key(a, now);
	unsigned n = 0;

	*until_s = 0;
	for (unsigned i = 0; i < a->n_keys; i++) {
		const struct ra_key *key = a->keys[i];

		if (key == newest || !gw_ra_is_in_force(&key->octets, now))
			continue;
		n++;
		if (key->octets.not_after_s > *until_s)
			*until_s = key->octets.not_after_s;
	}
	return n;
}

/* Of one with a certificate in force. */
static void print_good(struct authority *a, const struct gw_ra_key *newest, int64_t now, struct buf *out)
{
	char end[CLOCK_TEXT_SIZE];
	int64_t until_s;
	unsigned n_older = count_older(a, now, &until_s);

	buf_printf(out, *a->state ? "ok, but its RA certificate ends at %s and there is no next one" :
				    "ok, RA certificate until %s", clock_print_s(newest->not_after_s, end));
	if (n_older)
		buf_printf(out, ", %u older %s until %s", n_older, n_older == 1 ? "key answers" : "keys answer",
			   clock_print_s(until_s, end));
	if (*a->state)
		buf_printf(out, ": %s", a->state);
}

static void print_bad(const struct authority *a, int64_t now, struct buf *out)
{
	int64_t end_s = gw_ra_last_end(a, now);
	char end[CLOCK_TEXT_SIZE];

	if (end_s)
		buf_printf(out, "its RA certificate ended at %s%s", clock_print_s(end_s, end), *a->state ? ": " : "");
	buf_append_str(out, *a->state ? a->state : end_s ? "" : "no RA certificate yet");
}

static bool print_line(struct authority *a, int64_t now, struct buf *out)
{
	const struct ra_key *key = gw_ra_newest_key(a, now);
	bool is_away = a->ras->is_signer_away;

	buf_printf(out, "endpoint %s: ", a->endpoint);
	if (key && !is_away)
		print_good(a, &key->octets, now, out);
	else if (key)
		buf_append_str(out, "the signer of its RA keys does not answer");
	else
		print_bad(a, now, out);
	buf_append_char(out, '\n');
	return key && !is_away;
}

bool gw_ras_health(struct gw_ras *ras, struct buf *out)
{
	int64_t now = clock_wall_s();
	bool is_well = true;

	pthread_mutex_lock(&ras->lock);
	for (struct authority *a = ras->authorities; a; a = a->next)
		is_well = print_line(a, now, out) && is_well;
	pthread_mutex_unlock(&ras->lock);
	return is_well;
}

static long long not_after(struct authority *a, int64_t now)
{
	const struct ra_key *key = gw_ra_newest_key(a, now);

	return key ? key->octets.not_after_s : gw_ra_last_end(a, now);
}

static long long older_keys(struct authority *a, int64_t now)
{
	int64_t until_s;

	return count_older(a, now, &until_s);
}

static long long signer_answers(struct authority *a, int64_t now)
{
	return !a->ras->is_signer_away;
}

static const struct {
	const char *name, *help;
	long long (*read)(struct authority *a, int64_t now);
} gauges[] = {
	{ "ra_not_after_seconds", "When the RA certificate for new messages ends; 0: there is none.", not_after },
	{ "ra_older_keys", "Keys before that one that still answer.", older_keys },
	{ "ra_signer_answers", "Does the signer of the keys answer?", signer_answers },
};

void gw_ras_print_metrics(struct gw_ras *ras, struct buf *out)
{
	int64_t now = clock_wall_s();

	if (!ras->authorities)
		return;
	pthread_mutex_lock(&ras->lock);
	for (size_t i = 0; i < sizeof(gauges) / sizeof(*gauges); i++) {
		buf_printf(out, "# HELP gatehouse_%s %s\n# TYPE gatehouse_%s gauge\n", gauges[i].name, gauges[i].help,
			   gauges[i].name);
		for (struct authority *a = ras->authorities; a; a = a->next)
			buf_printf(out, "gatehouse_%s{endpoint=\"%s\"} %lld\n", gauges[i].name, a->endpoint,
				   gauges[i].read(a, now));
	}
	pthread_mutex_unlock(&ras->lock);
}
