/* The OCSP responder.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "core/ocsp.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/base/own.h"
#include "core/clock_guard.h"
#include "core/ocsp_message.h"
#include "core/ocsp_responder.h"
#include "core/store_ocsp.h"
#include "core/worker.h"

#define CACHE_SLOTS 4096
#define TEND_INTERVAL_MS 60000

/* How a client may name the issuer. */
struct issuer_hashes {
	uint8_t name[DIGEST_MAX], key[DIGEST_MAX];
};

/* A key of a CA, as requests name it, and who answers for it. */
struct entry {
	struct entry *next;
	struct ca_key *key;
	struct issuer_hashes hashes[DIGEST_KINDS_];
	struct ocsp_responder *responder;  /* NULL: none yet */
	bool is_wanted;
	char trouble[CA_REASON_SIZE];      /* why there is none, or no new one; "": nothing is wrong */
};

/* A signed answer about one certificate. */
struct slot {
	struct buf cert_id, response;
	struct ocsp_single said;
	int64_t responder_row;             /* who signed it */
	int64_t this_update_s, next_update_s;
};

enum count { COUNT_GOOD, COUNT_REVOKED, COUNT_UNKNOWN, COUNT_MALFORMED, COUNT_TRY_LATER, COUNT_UNAUTHORIZED,
	     COUNT_CACHED, COUNTS_ };

struct ocsp {
	struct ca_core *core;
	struct worker *worker;
	pthread_mutex_t lock;              /* guards all below */
	struct entry *entries;             /* one for each key of a CA; only ever added to */
	unsigned n_entries;
	struct slot slots[CACHE_SLOTS];
	_Atomic uint64_t counts[COUNTS_];
};

static void count(struct ocsp *o, enum count what)
{
	atomic_fetch_add_explicit(&o->counts[what], 1, memory_order_relaxed);
}

/* ---- issuers ---- */

static int make_hashes(const struct ca_key *key, struct issuer_hashes hashes[static DIGEST_KINDS_])
{
	int e = 0;

	for (enum digest_kind k = DIGEST_SHA1; !e && k < DIGEST_KINDS_; k++) {
		e = digest_of(k, issuer_get_name(key->issuer), hashes[k].name);
		if (!e)
			e = digest_of(k, issuer_get_public_key(key->issuer), hashes[k].key);
	}
	return e;
}

static struct entry *find_entry(struct ocsp *o, int64_t key_row)
{
	struct entry *e = o->entries;

	while (e && e->key->row != key_row)
		e = e->next;
	return e;
}

static void note_key(struct ocsp *o, struct ca_key *key)
{
	struct entry *entry = find_entry(o, key->row) ? NULL : calloc(1, sizeof(*entry));

	if (!entry)
		return;
	*entry = (struct entry){ .next = o->entries, .key = key, .is_wanted = key->ca->public_url != NULL };
	if (make_hashes(key, entry->hashes)) {
		free(entry);
		return;
	}
	o->entries = entry;
	o->n_entries++;
}

/* Keys of CAs come while the core runs, and none goes. With the lock held. */
static void note_keys(struct ocsp *o)
{
	unsigned n = 0;

	for (size_t i = 0; i < o->core->n_cas; i++)
		n += o->core->cas[i].n_keys;
	for (size_t i = 0; n != o->n_entries && i < o->core->n_cas; i++)
		for (unsigned k = 0; k < o->core->cas[i].n_keys; k++)
			note_key(o, o->core->cas[i].keys[k]);
}

static bool is_issuer(const struct entry *entry, const struct ocsp_cert_id *id)
{
	return id->digest != DIGEST_KINDS_ &&
	       memcmp(entry->hashes[id->digest].key, id->key_hash.ptr, id->key_hash.len) == 0 &&
	       memcmp(entry->hashes[id->digest].name, id->name_hash.ptr, id->name_hash.len) == 0;
}

/* With the lock held. NULL: no issuer of ours, or none for this intermediary. */
static struct entry *find_issuer(struct ocsp *o, const struct binding *by, const struct ocsp_cert_id *id)
{
	struct entry *entry = o->entries;

	while (entry && !(is_issuer(entry, id) && core_may_use_ca(o->core, by, entry->key->ca)))
		entry = entry->next;
	return entry;
}

/* ---- one question ---- */

struct question {
	struct ocsp *ocsp;
	const struct binding *by;
	struct ocsp_request request;
	struct ocsp_single singles[OCSP_CERTS_MAX];
	struct ocsp_responder *responder; /* a reference */
	int64_t now_s, validity_s;
};

/* RFC 5280 4.1.2.2: a positive number, whose octets the store keeps without those that only make it one. */
static struct bytes magnitude_of(struct bytes serial)
{
	while (serial.len && serial.ptr[0] == 0)
		(void)bytes_take(&serial, 1, &(struct bytes){ 0 });
	return serial;
}

/* What is said of this certificate. 0; OCSP_OUTCOME_TRY_LATER; negative. */
static int judge(struct question *q, const struct ocsp_cert_id *id, struct ocsp_single *out)
{
	struct store_status status = { .kind = STORE_STATUS_NONE };
	struct ocsp *o = q->ocsp;
	const struct entry *entry;
	bool is_ours;
	int e = 0;

	*out = (struct ocsp_single){ .cert_id = id->whole, .status = OCSP_STATUS_UNKNOWN };
	if (id->serial.ptr[0] < 0x80)
		e = store_get_status(o->core, magnitude_of(id->serial), &status);
	if (e || status.kind == STORE_STATUS_NONE)
		return e;
	if (status.kind == STORE_STATUS_PLANNED)
		return OCSP_OUTCOME_TRY_LATER;
	/* The serial of another issuer says nothing about this one's. */
	pthread_mutex_lock(&o->lock);
	entry = find_entry(o, status.key_id);
	is_ours = entry && is_issuer(entry, id) && core_may_use_ca(o->core, q->by, entry->key->ca);
	pthread_mutex_unlock(&o->lock);
	if (!is_ours)
		return 0;
	out->status = status.kind == STORE_STATUS_REVOKED ? OCSP_STATUS_REVOKED : OCSP_STATUS_GOOD;
	out->revoked_s = status.revoked_ms / 1000;
	out->reason = status.reason;
	return 0;
}

/* Who signs: the responder of the first issuer that is one of ours. 0; an outcome. */
static int choose_responder(struct question *q)
{
	struct ocsp *o = q->ocsp;
	struct entry *entry = NULL;
	bool is_missing = false;

	pthread_mutex_lock(&o->lock);
	note_keys(o);
	for (size_t i = 0; !entry && i < q->request.n_ids; i++)
		entry = find_issuer(o, q->by, &q->request.ids[i]);
	if (entry) {
		is_missing = !entry->responder || entry->responder->not_after_s <= q->now_s;
		entry->is_wanted = true;
		q->validity_s = entry->key->ca->ocsp_validity_s;
		if (!is_missing)
			q->responder = ocsp_responder_hold(entry->responder);
	}
	pthread_mutex_unlock(&o->lock);
	if (is_missing)
		worker_kick(o->worker);
	return !entry ? OCSP_OUTCOME_UNAUTHORIZED : is_missing ? OCSP_OUTCOME_TRY_LATER : 0;
}

/* ---- signatures that are good for longer than one answer ---- */

static struct slot *slot_of(struct ocsp *o, struct bytes cert_id)
{
	uint64_t hash = 0xcbf29ce484222325u;

	for (size_t i = 0; i < cert_id.len; i++)
		hash = (hash ^ cert_id.ptr[i]) * 0x100000001b3u;
	return &o->slots[hash % CACHE_SLOTS];
}

static bool says_the_same(const struct ocsp_single *a, const struct ocsp_single *b)
{
	return a->status == b->status && a->revoked_s == b->revoked_s && a->reason == b->reason;
}

static bool is_kept(const struct question *q)
{
	return q->request.n_ids == 1 && !q->request.nonce.len && q->singles[0].status != OCSP_STATUS_UNKNOWN;
}

/* True: `out` has an answer that was signed before, says what the store says now, and is in the first half of its
 * life. */
static bool recall(const struct question *q, struct ca_ocsp_answer *out)
{
	const struct ocsp_single *single = &q->singles[0];
	struct slot *s = slot_of(q->ocsp, single->cert_id);
	bool is_good;

	pthread_mutex_lock(&q->ocsp->lock);
	is_good = bytes_equal(buf_bytes(&s->cert_id), single->cert_id) && says_the_same(&s->said, single) &&
		  s->responder_row == q->responder->row && s->this_update_s <= q->now_s &&
		  q->now_s < s->this_update_s + (s->next_update_s - s->this_update_s) / 2;
	if (is_good) {
		is_good = buf_append(&out->der, buf_bytes(&s->response)) == 0;
		out->this_update_s = s->this_update_s;
		out->next_update_s = s->next_update_s;
	}
	pthread_mutex_unlock(&q->ocsp->lock);
	return is_good;
}

/* An answer that took longer than another one never takes its place. */
static void remember(const struct question *q, const struct ca_ocsp_answer *answer)
{
	const struct ocsp_single *single = &q->singles[0];
	struct slot *s = slot_of(q->ocsp, single->cert_id);

	pthread_mutex_lock(&q->ocsp->lock);
	if (!bytes_equal(buf_bytes(&s->cert_id), single->cert_id) || s->this_update_s <= answer->this_update_s) {
		s->cert_id.max = s->response.max = OCSP_RESPONSE_MAX;
		buf_reset(&s->cert_id);
		buf_reset(&s->response);
		s->said = *single;
		s->responder_row = q->responder->row;
		s->this_update_s = answer->this_update_s;
		s->next_update_s = answer->next_update_s;
		if (buf_append(&s->response, buf_bytes(&answer->der)) || buf_append(&s->cert_id, single->cert_id))
			buf_reset(&s->cert_id);
		s->said.cert_id = buf_bytes(&s->cert_id);
	}
	pthread_mutex_unlock(&q->ocsp->lock);
}

/* ---- answering ---- */

static int sign(const struct question *q, struct ca_ocsp_answer *out)
{
	struct ocsp_responder *r = q->responder;
	OWNED_BUF data = BUF_INIT(OCSP_RESPONSE_MAX);
	OWNED_BUF signature = BUF_INIT(SIGNER_SIGNATURE_MAX);
	char why[SIGNER_WHY_SIZE] = "";
	struct ocsp_response said = {
		.key_hash = bytes_of(r->key_hash, digest_size(DIGEST_SHA1)),
		.this_update_s = q->now_s,
		.next_update_s = q->now_s + q->validity_s,
		.singles = q->singles,
		.n_singles = q->request.n_ids,
		.nonce = q->request.nonce,
	};
	int e;

	/* Nothing is believed for longer than who says it. */
	if (said.next_update_s > r->not_after_s)
		said.next_update_s = r->not_after_s;
	e = ocsp_data_write(&said, &data);
	if (!e)
		e = ocsp_responder_sign(r, buf_bytes(&data), &signature, why);
	if (e > 0)
		log_error("ocsp.sign.refused", "ca", r->ca, "why", why);
	if (!e)
		e = ocsp_response_write(buf_bytes(&data), r->algorithm, buf_bytes(&signature),
					buf_bytes(&r->certificate), &out->der);
	out->this_update_s = said.this_update_s;
	out->next_update_s = said.next_update_s;
	return e;
}

/* 0; an outcome; negative. */
static int answer(struct question *q, struct ca_ocsp_answer *out)
{
	static const enum count counts[] = { [OCSP_STATUS_GOOD] = COUNT_GOOD, [OCSP_STATUS_REVOKED] = COUNT_REVOKED,
					     [OCSP_STATUS_UNKNOWN] = COUNT_UNKNOWN };
	int e = choose_responder(q);

	for (size_t i = 0; !e && i < q->request.n_ids; i++)
		e = judge(q, &q->request.ids[i], &q->singles[i]);
	if (e)
		return e;
	for (size_t i = 0; i < q->request.n_ids; i++)
		count(q->ocsp, counts[q->singles[i].status]);
	out->is_cachable = is_kept(q);
	if (out->is_cachable && recall(q, out)) {
		count(q->ocsp, COUNT_CACHED);
		return 0;
	}
	buf_reset(&out->der);
	e = sign(q, out);
	if (!e && out->is_cachable)
		remember(q, out);
	return e;
}

int ocsp_answer_failure(enum ocsp_outcome outcome, struct ca_ocsp_answer *out)
{
	buf_reset(&out->der);
	out->this_update_s = out->next_update_s = 0;
	out->is_cachable = false;
	return ocsp_failure_write(outcome, &out->der);
}

static int fail(struct ocsp *o, int e, struct ca_ocsp_answer *out)
{
	/* The store or the signer is away, or the signer is new: whatever it is, it is not the client's fault. */
	enum ocsp_outcome outcome = e == OCSP_OUTCOME_MALFORMED_REQUEST || e == OCSP_OUTCOME_UNAUTHORIZED ?
					    (enum ocsp_outcome)e :
					    OCSP_OUTCOME_TRY_LATER;

	count(o, outcome == OCSP_OUTCOME_MALFORMED_REQUEST ? COUNT_MALFORMED :
		 outcome == OCSP_OUTCOME_UNAUTHORIZED	   ? COUNT_UNAUTHORIZED :
							     COUNT_TRY_LATER);
	return ocsp_answer_failure(outcome, out);
}

int ocsp_answer(struct ca_core *core, const struct binding *by, struct bytes request, struct ca_ocsp_answer *out)
{
	struct question q = { .ocsp = core->ocsp, .by = by };
	const char *why = NULL;
	int e = ocsp_request_read(&q.request, request, &why);

	if (e)
		log_debug("ocsp.malformed", "why", why);
	else if (core->is_closed || clock_guard_behind_ms(core))
		e = OCSP_OUTCOME_TRY_LATER;
	if (!e) {
		/* A clock that went back a little does not take thisUpdate with it. */
		q.now_s = clock_guard_seen(core) / 1000;
		e = answer(&q, out);
	}
	ocsp_responder_drop(&q.responder);
	return e ? fail(core->ocsp, e, out) : 0;
}

/* ---- responders in time ---- */

/* A responder that is there answers on while a new one cannot be had. */
static void tend_entry(struct ocsp *o, struct entry *entry)
{
	struct ocsp_responder *new = NULL;
	char why[CA_REASON_SIZE] = "";
	bool is_new_trouble;
	int e = ocsp_responder_get(entry->key, &new, why);

	pthread_mutex_lock(&o->lock);
	if (!e) {
		ocsp_responder_drop(&entry->responder);
		entry->responder = new;
	}
	is_new_trouble = e && strcmp(entry->trouble, why) != 0;
	snprintf(entry->trouble, sizeof(entry->trouble), "%s", why);
	pthread_mutex_unlock(&o->lock);
	if (is_new_trouble)
		log_error("ocsp.responder.failed", "ca", entry->key->ca->name, "key", LOG_NUMBER(entry->key->index),
			  "why", why);
}

/* With the lock held. */
static bool needs_responder(const struct entry *entry, int64_t now_s)
{
	return entry->is_wanted && entry->key->not_after_s > now_s && !entry->key->is_refused &&
	       (!entry->responder || ocsp_responder_is_due(entry->responder, entry->key, now_s));
}

/* The worker's job. */
static bool tend(void *arg)
{
	struct ocsp *o = arg;
	struct entry *entry;

	/* What is made under a clock that is wrong is valid at the wrong time. */
	if (clock_guard_behind_ms(o->core))
		return false;
	pthread_mutex_lock(&o->lock);
	note_keys(o);
	for (entry = o->entries; entry; entry = entry->next) {
		if (!needs_responder(entry, clock_wall_s()))
			continue;
		pthread_mutex_unlock(&o->lock);
		tend_entry(o, entry);
		pthread_mutex_lock(&o->lock);
	}
	pthread_mutex_unlock(&o->lock);
	return false;
}

int ocsp_start(struct ocsp **out, struct ca_core *core)
{
	struct ocsp *o = calloc(1, sizeof(*o));
	int e;

	if (!o)
		return -ENOMEM;
	o->core = core;
	pthread_mutex_init(&o->lock, NULL);
	e = worker_start(&o->worker, "ocsp", TEND_INTERVAL_MS, tend, o);
	if (e) {
		ocsp_stop(&o);
		return e;
	}
	worker_kick(o->worker);
	*out = o;
	return 0;
}

void ocsp_stop(struct ocsp **op)
{
	struct ocsp *o = *op;
	struct entry *next;

	if (!o)
		return;
	worker_stop(&o->worker);
	for (struct entry *entry = o->entries; entry; entry = next) {
		next = entry->next;
		ocsp_responder_drop(&entry->responder);
		free(entry);
	}
	for (size_t i = 0; i < CACHE_SLOTS; i++) {
		buf_fini(&o->slots[i].cert_id);
		buf_fini(&o->slots[i].response);
	}
	pthread_mutex_destroy(&o->lock);
	free(o);
	*op = NULL;
}

bool ocsp_settle(struct ca_core *core, unsigned wait_ms)
{
	return worker_settle(core->ocsp->worker, wait_ms);
}

/* ---- health and figures ---- */

bool ocsp_health(struct ca_core *core, struct buf *out)
{
	struct ocsp *o = core->ocsp;
	int64_t now_s = clock_wall_s();
	bool ok = true;

	pthread_mutex_lock(&o->lock);
	for (const struct entry *entry = o->entries; entry; entry = entry->next) {
		bool answers = entry->responder && entry->responder->not_after_s > now_s;

		if (!entry->is_wanted || entry->key->not_after_s <= now_s)
			continue;
		buf_printf(out, "ocsp %s key %u: %s\n", entry->key->ca->name, entry->key->index,
			   answers	     ? "ok" :
			   *entry->trouble ? entry->trouble :
					     "has no responder certificate yet");
		ok = ok && answers;
	}
	pthread_mutex_unlock(&o->lock);
	return ok;
}

void ocsp_metrics(struct ca_core *core, struct buf *out)
{
	static const char *const words[] = {
		[COUNT_GOOD] = "good", [COUNT_REVOKED] = "revoked", [COUNT_UNKNOWN] = "unknown",
		[COUNT_MALFORMED] = "malformed", [COUNT_TRY_LATER] = "try-later", [COUNT_UNAUTHORIZED] = "unauthorized",
	};
	struct ocsp *o = core->ocsp;

	buf_printf(out, "# HELP gatehouse_ocsp_answers_total What was said about certificates, and to requests.\n"
			"# TYPE gatehouse_ocsp_answers_total counter\n");
	for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++)
		buf_printf(out, "gatehouse_ocsp_answers_total{answer=\"%s\"} %llu\n", words[i],
			   (unsigned long long)o->counts[i]);
	buf_printf(out, "# HELP gatehouse_ocsp_cached_total Answers whose signature was there already.\n"
			"# TYPE gatehouse_ocsp_cached_total counter\ngatehouse_ocsp_cached_total %llu\n",
		   (unsigned long long)o->counts[COUNT_CACHED]);
	buf_printf(out, "# HELP gatehouse_ocsp_responder_not_after_seconds When a responder's certificate ends.\n"
			"# TYPE gatehouse_ocsp_responder_not_after_seconds gauge\n");
	pthread_mutex_lock(&o->lock);
	for (const struct entry *entry = o->entries; entry; entry = entry->next)
		if (entry->responder)
			buf_printf(out, "gatehouse_ocsp_responder_not_after_seconds{ca=\"%s\",key=\"%u\"} %lld\n",
				   entry->key->ca->name, entry->key->index, (long long)entry->responder->not_after_s);
	pthread_mutex_unlock(&o->lock);
}
