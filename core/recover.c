/* Finishing what was interrupted: after a crash at the start, and while the signer was away.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "core/recover.h"

#include <errno.h>
#include <stdio.h>

#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/base/own.h"
#include "core/clock_guard.h"
#include "core/credentials.h"
#include "core/keys.h"
#include "core/store.h"
#include "core/store_import.h"
#include "core/worker.h"

#define BATCH 64
#define SWEEP_INTERVAL_MS 3600000
#define SWEEP_ROWS 200    /* of one transaction */
#define SWEEP_ROUNDS 100  /* of one sweep */

/* A grant that is written now must say what was approved then. When the profile changed meanwhile that is not known
 * any more: the grant then fits nothing, and the client waits again. */
static int hash_approved(struct ca_core *core, struct ca_request *r)
{
	const struct ca_profile *p = core_find_profile(core, r->profile);
	uint8_t stored[SHA256_SIZE];
	int e = 0;

	memcpy(stored, r->digest, sizeof(stored));
	if (p) {
		decide_use_profile(r, p);
		e = request_hash_template(r);
	}
	if (!p || memcmp(stored, r->digest, sizeof(stored)) != 0)
		memset(r->template_hash, 0, sizeof(r->template_hash));
	memcpy(r->digest, stored, sizeof(stored));
	return e;
}

/* Why what was planned is not signed any more. 0: nothing has changed; an `enum ca_status`; negative. */
static int find_obstacle(struct ca *ca, const struct ca_request *r, char why[static CA_REASON_SIZE])
{
	int e = decide_check_proofs(ca, r, why);

	if (!e)
		e = decide_check_blocked(ca, r, why);
	if (e || !r->server_key)
		return e;
	/* Its private key left with a call that was not answered: nobody could use the certificate. */
	snprintf(why, CA_REASON_SIZE, "it could not be signed while its key was there; ask again");
	return CA_STATUS_SIGNER_FAILURE;
}

/* The same octets are signed, never others: whoever saw the serial before sees the same certificate. */
static int finish(struct ca_core *core, struct ca *ca, struct ca_request *r)
{
	char why[CA_REASON_SIZE];
	int e = keys_away(ca) ? -EAGAIN : find_obstacle(ca, r, why);

	if (e > 0) {
		trace_step(core->trace, "recover", r->id);
		return decide_give_up(ca, r, (enum ca_status)e, why);
	}
	if (!e)
		e = store_load_approvals(core, r);
	if (!e)
		e = hash_approved(core, r);
	if (e)
		return e;
	trace_step(core->trace, "recover", r->id);
	e = decide_finish(ca, r);
	if (!e)
		log_info("request.finished", "request", LOG_NUMBER(r->id), "state", ca_state_word(r->state));
	return e;
}

static int expire(struct ca_core *core, struct ca *ca, struct ca_request *r)
{
	/* It was nobody's decision, and so none that answers who asks again. */
	struct store_change change = { .r = r, .from = CA_STATE_PENDING, .action = CA_ACTION_EXPIRE };

	if (request_move(r, CA_ACTION_EXPIRE))
		return -EPERM;
	r->status = CA_STATUS_EXPIRED;
	r->resolved_ms = clock_wall_ms();
	r->events = CA_EVENT_DENIED;
	snprintf(r->reason, sizeof(r->reason), "nobody decided about the request in time");
	request_note(r, "core", "denied status=%s", ca_status_word(r->status));
	trace_step(core->trace, "expire", r->id);
	return store_apply(ca, &change);
}

typedef int request_fn(struct ca_core *core, struct ca *ca, struct ca_request *r);

/* Read again: its submitter may have finished it between the reading that named its key and the key. */
static bool visit_held(struct ca_core *core, int64_t id, enum ca_state state, request_fn *fn)
{
	OWNED(ca_request) r = NULL;
	struct ca *ca = store_load(core, id, &r) == 0 ? core_find_ca(core, r->ca) : NULL;

	return ca && r->state == state && fn(core, ca, r) == 0;
}

/* Do it to one request, unless somebody is working on it or it has left `state`. True when it was done. */
static bool visit(struct ca_core *core, int64_t id, enum ca_state state, request_fn *fn)
{
	OWNED(ca_request) r = NULL;
	bool done = false;

	if (flight_enter_id(core->flight, id, 0))
		return false;
	/* Its submitter may be signing it right now, under its transaction key. */
	if (store_load(core, id, &r) == 0 && r->state == state &&
	    flight_enter(core->flight, r->transaction_key, 0) == 0) {
		done = visit_held(core, id, state, fn);
		flight_leave(core->flight, r->transaction_key);
	}
	flight_leave_id(core->flight, id);
	return done;
}

static size_t finish_all(struct ca_core *core)
{
	int64_t ids[BATCH], after = 0;
	size_t n = BATCH, done = 0;

	/* A signer that is away is asked once, not once for each row. */
	if (!keys_probe(core))
		return 0;
	while (n == BATCH && store_list_unfinished(core, after, ids, BATCH, &n) == 0) {
		for (size_t i = 0; i < n && !core->is_signer_failing; i++)
			done += visit(core, ids[i], CA_STATE_ACTIVE, finish);
		after = n ? ids[n - 1] : after;
	}
	return done;
}

static size_t expire_all(struct ca_core *core)
{
	int64_t before_ms = clock_wall_ms() - core->settings.pending_ttl_ms, ids[BATCH], after = 0;
	size_t n = BATCH, done = 0;

	while (n == BATCH && store_list_expired(core, before_ms, after, ids, BATCH, &n) == 0) {
		for (size_t i = 0; i < n; i++)
			done += visit(core, ids[i], CA_STATE_PENDING, expire);
		after = n ? ids[n - 1] : after;
	}
	return done;
}

/* Through the code of an administrator's purge: what a CRL must still say stays, and each step is in the trail. */
static void remove_old(struct ca_core *core, enum store_purge what)
{
	int64_t before_ms = clock_wall_ms() - core->settings.retention_ms;
	struct purge_place after = PURGE_START;
	uint64_t all = 0;
	bool more = true;
	int e = 0;

	for (int i = 0; i < SWEEP_ROUNDS && more && !e; i++) {
		size_t n = 0;

		e = store_purge(core, what, before_ms, "core", SWEEP_ROWS, &after, &n, &more);
		all += e ? 0 : n;
	}
	if (e)
		log_warn("retention.sweep", "error", strerror(-e));
	if (all)
		log_info("rows.purged", "rows", LOG_NUMBER(all), "by", "core");
}

/* What ended long ago costs only room: once an hour is often enough. */
static void sweep(struct ca_core *core)
{
	int64_t now_ms = clock_mono_ms();

	steady_has_moved(&core->steady);
	if (core->swept_ms && now_ms - core->swept_ms < SWEEP_INTERVAL_MS)
		return;
	core->swept_ms = now_ms;
	credentials_sweep(core);
	if (!core->settings.retention_ms || !steady_is(&core->steady) || clock_guard_behind_ms(core))
		return;
	remove_old(core, PURGE_REQUESTS);
	remove_old(core, PURGE_UNREVOKED);
}

bool recover_run(void *arg)
{
	struct ca_core *core = arg;

	if (clock_wall_s() / 86400 != core->watched_day)
		keys_watch(core);
	sweep(core);
	if (finish_all(core) + expire_all(core) > 0 && core->outbox)
		worker_kick(core->outbox);
	return false;
}
