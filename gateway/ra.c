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
#define LOOK_EVERY_MS 60000

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

bool gw_ra_is_in_force(const struct gw_ra_key *key, int64_t now_s)
{
	return key->certificate.len && key->not_before_s <= now_s && now_s < key->not_after_s;
}

int gw_ra_add_key(struct authority *a, struct gw_ra_key *take_key)
{
	int e = a->n_keys < RA_KEYS_MAX ? 0 : -ENOSPC;

	if (e) {
		gw_ra_key_fini(take_key);
		return e;
	}
	a->keys[a->n_keys] = (struct ra_key){ .octets = *take_key };
	pthread_mutex_lock(&a->ras->lock);
	a->n_keys++;
	pthread_mutex_unlock(&a->ras->lock);
	return 0;
}

struct ra_key *gw_ra_newest_key(struct authority *a)
{
	return a->n_keys ? &a->keys[a->n_keys - 1] : NULL;
}

/* ---- when ---- */

static void back_off(struct authority *a, unsigned last_ms)
{
	a->back_off_ms = a->back_off_ms ? a->back_off_ms * 2 : FIRST_RETRY_MS;
	if (a->back_off_ms > last_ms)
		a->back_off_ms = last_ms;
	a->retry_ms = clock_mono_ms() + a->back_off_ms;
}

/* While it is not known which of them are good no other key is asked for: clients encrypt to those. */
static bool has_loaded(struct authority *a)
{
	int e;

	if (a->was_loaded)
		return true;
	e = gw_ra_load_stored(a);
	a->was_loaded = !e;
	if (e) {
		gw_ra_set_state(a, "its stored keys cannot be looked at: %s",
				e == -EAGAIN ? "the core does not answer" : strerror(-e));
		back_off(a, FIRST_RETRY_MS);
		return false;
	}
	a->back_off_ms = 0;
	gw_ra_set_state(a, "%s", "");
	return true;
}

static void look_after(struct authority *a)
{
	if (clock_mono_ms() < a->retry_ms || !has_loaded(a) || !gw_ra_is_due(a))
		return;
	back_off(a, LAST_RETRY_MS);
	gw_ra_obtain(a);
}

/* ---- the thread ---- */

static int64_t next_look(const struct gw_ras *ras)
{
	int64_t now = clock_mono_ms(), wait = LOOK_EVERY_MS, left;

	for (const struct authority *a = ras->authorities; a; a = a->next) {
		left = a->back_off_ms ? a->retry_ms - now : LOOK_EVERY_MS;
		if (left < wait)
			wait = left > 0 ? left : 0;
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
		for (struct authority *a = ras->authorities; a; a = a->next)
			look_after(a);
	return NULL;
}

int gw_ras_start(struct gw_ras *ras)
{
	int e;

	if (!ras->authorities)
		return 0;
	for (struct authority *a = ras->authorities; a; a = a->next)
		look_after(a);
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
		for (unsigned i = 0; i < a->n_keys; i++)
			gw_ra_key_fini(&a->keys[i].octets);
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
static unsigned count_older(const struct authority *a, int64_t now, int64_t *until_s)
{
	unsigned n = 0;

	*until_s = 0;
	for (unsigned i = 0; i + 1 < a->n_keys; i++) {
		if (!gw_ra_is_in_force(&a->keys[i].octets, now))
			continue;
		n++;
		if (a->keys[i].octets.not_after_s > *until_s)
			*until_s = a->keys[i].octets.not_after_s;
	}
	return n;
}

/* Of one with a certificate in force. */
static void print_good(const struct authority *a, const struct gw_ra_key *newest, int64_t now, struct buf *out)
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

static bool print_line(struct authority *a, int64_t now, struct buf *out)
{
	const struct ra_key *key = gw_ra_newest_key(a);
	bool has_one = key && gw_ra_is_in_force(&key->octets, now), is_away = a->ras->is_signer_away;

	buf_printf(out, "endpoint %s: ", a->endpoint);
	if (has_one && !is_away)
		print_good(a, &key->octets, now, out);
	else if (has_one)
		buf_append_str(out, "the signer of its RA keys does not answer");
	else
		buf_printf(out, "%s%s%s", key ? "its RA certificate has expired" : "", key && *a->state ? ": " : "",
			   *a->state ? a->state : key ? "" : "no RA certificate yet");
	buf_append_char(out, '\n');
	return has_one && !is_away;
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
	const struct ra_key *key = gw_ra_newest_key(a);

	return key ? key->octets.not_after_s : 0;
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
