/* Publishing CRLs.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "core/publish.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/file.h"
#include "core/base/log.h"
#include "core/base/own.h"
#include "core/clock_guard.h"
#include "core/crl_file.h"
#include "core/keys.h"
#include "core/store_crl.h"
#include "core/worker.h"

#define FOLDER "crl"
#define ANCHOR "crl-anchor"
#define INTERVAL_MS 1000
#define RETRY_MS 10000        /* after a publication that failed */
#define LISTS_MAX 4096        /* of one publication */

/* A list in force. Whoever reads it keeps it open. */
struct list {
	struct list *next;
	unsigned users;
	int fd;
	unsigned key_index;
	const struct ca *ca;
	struct crl_row row;
	uint64_t size;
};

/* What the thread knows of a CA. */
struct schedule {
	struct ca *ca;
	int64_t stale_since_ms; /* monotonic; 0: the lists say what the store says */
	int64_t retry_ms;       /* monotonic: not before */
	/* Guarded by the lock: who wants a publication now, and what came of the last one that was wanted. */
	uint64_t wanted, served;
	char actor[128];
	int result;
	uint64_t number;
};

struct publisher {
	struct ca_core *core;
	struct worker *worker;
	int folder;
	pthread_mutex_t lock;   /* guards all below */
	pthread_cond_t done;
	struct list *lists;     /* in force */
	struct schedule *schedules;
	/* Of the thread alone: */
	uint64_t number;
	int64_t this_update_s;
};

/* ---- the anchor ---- */

/* There is none: the store is new, or was put back without it, and what was published since is not known. More lists
 * than milliseconds since 1970 were never made, so numbers go on from there. */
static int begin_anchor(struct publisher *p)
{
	uint64_t stored;
	int e = store_last_crl(p->core, &stored);

	if (!e && stored)
		p->number = (uint64_t)clock_wall_ms();
	return e;
}

static int read_anchor(struct publisher *p)
{
	OWNED_BUF path = BUF_INIT(4096), text = BUF_INIT(128);
	int e = buf_printf(&path, "%s/" ANCHOR, p->core->data_folder);

	if (!e)
		e = file_read(buf_str(&path), &text);
	if (e == -ENOENT)
		return begin_anchor(p);
	if (!e && sscanf(buf_str(&text), "%" SCNu64 " %" SCNd64, &p->number, &p->this_update_s) != 2)
		e = -EBADMSG;
	if (e)
		log_error("crl.anchor", "file", buf_str(&path), "error", strerror(-e));
	return e;
}

/* Durable before anything with this number can be seen. */
static int write_anchor(struct publisher *p)
{
	OWNED_BUF path = BUF_INIT(4096), text = BUF_INIT(128);

	buf_printf(&path, "%s/" ANCHOR, p->core->data_folder);
	if (buf_printf(&text, "%" PRIu64 " %" PRId64 "\n", p->number, p->this_update_s) || buf_status(&path))
		return -ENOMEM;
	return file_write_atomic_at(AT_FDCWD, buf_str(&path), buf_bytes(&text), 0600);
}

/* ---- lists in force ---- */

#define NAME_SIZE 80

static const char *name_of(const struct crl_row *row, char out[static NAME_SIZE])
{
	snprintf(out, NAME_SIZE, "%" PRId64 "-%u-%" PRIu64 ".crl", row->key_id, row->partition, row->number);
	return out;
}

/* With the lock held. */
static void leave_list(struct list *l)
{
	if (--l->users)
		return;
	close(l->fd);
	free(l);
}

static struct list **find_place(struct publisher *p, int64_t key_id, unsigned partition)
{
	struct list **at = &p->lists;

	while (*at && ((*at)->row.key_id != key_id || (*at)->row.partition != partition))
		at = &(*at)->next;
	return at;
}

/* Put it in the place of the one before, whose file nobody finds any more. */
static void use_list(struct publisher *p, struct list *take)
{
	char name[NAME_SIZE];
	struct list **at, *old;

	pthread_mutex_lock(&p->lock);
	at = find_place(p, take->row.key_id, take->row.partition);
	old = *at;
	take->next = old ? old->next : NULL;
	*at = take;
	if (old) {
		(void)unlinkat(p->folder, name_of(&old->row, name), 0);
		leave_list(old);
	}
	pthread_mutex_unlock(&p->lock);
}

static int open_list(struct publisher *p, const struct ca_key *key, const struct crl_row *row, struct list **out)
{
	char name[NAME_SIZE];
	int fd = openat(p->folder, name_of(row, name), O_RDONLY | O_CLOEXEC);
	off_t size = fd >= 0 ? lseek(fd, 0, SEEK_END) : -1;
	struct list *l = size > 0 ? calloc(1, sizeof(*l)) : NULL;

	if (!l) {
		if (fd >= 0)
			close(fd);
		return fd < 0 ? -errno : -ENOMEM;
	}
	*l = (struct list){ .users = 1, .fd = fd, .key_index = key->index, .ca = key->ca, .row = *row,
			    .size = (uint64_t)size };
	*out = l;
	return 0;
}

/* ---- a publication ---- */

struct publication {
	struct crl_row rows[LISTS_MAX];
	struct list *lists[LISTS_MAX];
	size_t n;
};

/* Certificates name a part for ever, whatever is configured now. */
static int count_parts(struct publisher *p, const struct ca_key *key, unsigned *n)
{
	int e = store_last_partition(p->core, key->row, n);

	if (!e && *n < key->ca->crl.partitions)
		*n = key->ca->crl.partitions;
	return e;
}

static int add_key(struct publisher *p, struct publication *all, struct ca_key *key, const struct crl_row *model)
{
	char name[NAME_SIZE];
	unsigned parts = 0;
	int e = count_parts(p, key, &parts);

	for (unsigned i = 0; !e && i <= parts; i++) {
		struct crl_row *row = &all->rows[all->n];

		if (all->n == LISTS_MAX)
			return -E2BIG;
		*row = *model;
		row->key_id = key->row;
		row->partition = i;
		e = crl_file_make(p->folder, name_of(row, name), key, row);
		if (!e)
			e = open_list(p, key, row, &all->lists[all->n++]);
	}
	return e;
}

/* No list says later than this, unless it was made under a clock that an administrator has put right since. */
static int64_t latest_s(struct publisher *p)
{
	clock_guard_remember(p->core, clock_wall_ms());
	return clock_guard_seen(p->core) / 1000;
}

/* The date of the next list: that of the clock, but never before that of the last one. */
static void date_it(struct publisher *p, const struct ca *ca)
{
	int64_t now = clock_wall_s();
	bool is_accepted = p->this_update_s > latest_s(p);

	if (now < p->this_update_s)
		log_warn("crl.clock", "ca", ca->name, "what",
			 is_accepted ? "the last CRL is of a time that was taken back; the date is that of the clock" :
				       "the clock is behind the last CRL, whose date is kept");
	if (now > p->this_update_s || is_accepted)
		p->this_update_s = now;
}

static int begin_number(struct publisher *p, const struct ca *ca, struct crl_row *model)
{
	uint64_t stored;
	int e = store_last_crl(p->core, &stored);

	if (!e)
		e = store_count_changes(p->core, ca->name, &model->changes);
	if (e)
		return e;
	p->number = (stored > p->number ? stored : p->number) + 1;
	date_it(p, ca);
	model->number = p->number;
	model->this_update_s = p->this_update_s;
	model->next_update_s = p->this_update_s + ca->crl.lifetime_s;
	return write_anchor(p);
}

static void forget_files(struct publisher *p, struct publication *all)
{
	char name[NAME_SIZE];

	for (size_t i = 0; i < all->n; i++) {
		(void)unlinkat(p->folder, name_of(&all->rows[i], name), 0);
		if (all->lists[i])
			leave_list(all->lists[i]);
	}
}

/* The store is the judge: until it says so, the files are nothing; and after that nothing can fail any more. */
static int put_in_force(struct publisher *p, struct ca *ca, const struct publication *all, const char *actor)
{
	int e = fsync(p->folder) ? -errno : store_publish(ca, all->rows, all->n, actor);

	for (size_t i = 0; !e && i < all->n; i++)
		use_list(p, all->lists[i]);
	return e;
}

static int publish_ca(struct publisher *p, struct ca *ca, const char *actor, uint64_t *number)
{
	struct publication *all = calloc(1, sizeof(*all));
	struct crl_row model = { 0 };
	int e = all ? begin_number(p, ca, &model) : -ENOMEM;

	for (unsigned i = 0; !e && i < ca->n_keys; i++)
		if (ca->keys[i]->not_after_s >= clock_wall_s() && !ca->keys[i]->is_refused)
			e = add_key(p, all, ca->keys[i], &model);
	if (!e && all->n == 0)
		e = -ENOKEY;
	if (!e)
		e = put_in_force(p, ca, all, actor);
	if (e && all)
		forget_files(p, all);
	if (!e)
		log_info("crl.published", "ca", ca->name, "number", LOG_NUMBER(model.number), "lists",
			 LOG_NUMBER(all->n), "entries", LOG_NUMBER(all->rows[0].entries), "by", actor);
	else
		log_error("crl.failed", "ca", ca->name, "error", strerror(-e));
	*number = model.number;
	free(all);
	return e;
}

/* ---- when ---- */

/* Is there a key without a list, or one whose list is old, or of a time that never was? */
static bool is_old(struct publisher *p, const struct ca *ca, int64_t now_s, int64_t *changes)
{
	int64_t latest = latest_s(p);
	bool answer = false;

	*changes = -1;
	pthread_mutex_lock(&p->lock);
	for (unsigned i = 0; i < ca->n_keys; i++) {
		const struct ca_key *key = ca->keys[i];
		const struct list *l = *find_place(p, key->row, 0);

		if (key->not_after_s < now_s || key->is_refused)
			continue;
		if (!l || now_s >= l->row.this_update_s + ca->crl.interval_s || l->row.this_update_s > latest)
			answer = true;
		if (l && (*changes < 0 || l->row.changes < *changes))
			*changes = l->row.changes;
	}
	pthread_mutex_unlock(&p->lock);
	return answer;
}

static bool is_stale(struct publisher *p, struct schedule *s, int64_t published)
{
	int64_t now = clock_mono_ms(), changes;

	if (store_count_changes(p->core, s->ca->name, &changes) || changes == published) {
		s->stale_since_ms = 0;
		return false;
	}
	if (!s->stale_since_ms)
		s->stale_since_ms = now;
	return now - s->stale_since_ms >= s->ca->crl.delay_ms;
}

/* 0: nobody wants one now. */
static uint64_t take_order(struct publisher *p, const struct schedule *s, char actor[static sizeof(s->actor)])
{
	uint64_t order;

	pthread_mutex_lock(&p->lock);
	order = s->wanted > s->served ? s->wanted : 0;
	memcpy(actor, s->actor, sizeof(s->actor));
	pthread_mutex_unlock(&p->lock);
	return order;
}

static void answer_order(struct publisher *p, struct schedule *s, uint64_t order, int result, uint64_t number)
{
	pthread_mutex_lock(&p->lock);
	s->served = order;
	s->result = result;
	s->number = number;
	pthread_cond_broadcast(&p->done);
	pthread_mutex_unlock(&p->lock);
}

static bool look_after(struct publisher *p, struct schedule *s)
{
	char actor[sizeof(s->actor)];
	uint64_t number = 0, order = take_order(p, s, actor);
	int64_t published;
	bool is_due = is_old(p, s->ca, clock_wall_s(), &published);
	int e;

	is_due |= is_stale(p, s, published);
	if (!order && (!is_due || clock_mono_ms() < s->retry_ms))
		return false;
	e = publish_ca(p, s->ca, order ? actor : "core", &number);
	if (!e)
		s->stale_since_ms = 0;
	s->retry_ms = e ? clock_mono_ms() + RETRY_MS : 0;
	if (order)
		answer_order(p, s, order, e, number);
	return e == 0;
}

static bool run(void *arg)
{
	struct publisher *p = arg;
	bool has_published = false;

	for (size_t i = 0; i < p->core->n_cas; i++)
		has_published |= look_after(p, &p->schedules[i]);
	if (has_published)
		worker_kick(p->core->outbox);
	return false;
}

/* ---- start and end ---- */

/* What a killed publication left: files that the store does not know. */
static void sweep(struct publisher *p)
{
	int fd = openat(p->folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd >= 0 ? fdopendir(fd) : NULL;
	char name[NAME_SIZE];

	for (struct dirent *entry; d && (entry = readdir(d));) {
		bool is_known = entry->d_name[0] == '.';

		for (const struct list *l = p->lists; l && !is_known; l = l->next)
			is_known = strcmp(name_of(&l->row, name), entry->d_name) == 0;
		if (!is_known)
			(void)unlinkat(p->folder, entry->d_name, 0);
	}
	if (d)
		closedir(d);
	else if (fd >= 0)
		close(fd);
}

/* The parts of a key, and the full list when no part is missing: a key without its full list is given all of them
 * anew. A file may be gone with an old copy of the store. */
static int open_key_lists(struct publisher *p, const struct ca_key *key)
{
	unsigned parts = 0;
	bool is_whole = true;
	int e = store_last_partition(p->core, key->row, &parts);

	for (unsigned i = 0; !e && i <= parts; i++) {
		unsigned part = parts - i;
		struct list *l = NULL;
		struct crl_row row;

		e = store_get_crl(p->core, key->row, part, &row);
		if (e || (part == 0 && !is_whole))
			continue;
		if (row.number && open_list(p, key, &row, &l) == 0)
			use_list(p, l);
		else
			is_whole = false;
	}
	return e;
}

static int open_lists(struct publisher *p, const struct ca *ca)
{
	int e = 0;

	for (unsigned i = 0; !e && i < ca->n_keys; i++)
		e = open_key_lists(p, ca->keys[i]);
	return e;
}

static int open_folder(struct publisher *p)
{
	OWNED_BUF path = BUF_INIT(4096);
	int e = buf_printf(&path, "%s/" FOLDER, p->core->data_folder);

	if (!e)
		e = file_make_folder(buf_str(&path), 0700);
	if (e)
		return e;
	p->folder = open(buf_str(&path), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return p->folder < 0 ? -errno : 0;
}

int publisher_start(struct publisher **out, struct ca_core *core)
{
	struct publisher *p = calloc(1, sizeof(*p));
	pthread_condattr_t attr;
	int e;

	if (!p)
		return -ENOMEM;
	p->core = core;
	p->folder = -1;
	pthread_mutex_init(&p->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&p->done, &attr);
	pthread_condattr_destroy(&attr);
	p->schedules = calloc(core->n_cas, sizeof(*p->schedules));
	e = p->schedules ? open_folder(p) : -ENOMEM;
	if (!e)
		e = read_anchor(p);
	for (size_t i = 0; !e && i < core->n_cas; i++) {
		p->schedules[i].ca = &core->cas[i];
		e = open_lists(p, &core->cas[i]);
	}
	if (!e) {
		sweep(p);
		e = worker_start(&p->worker, "crl", INTERVAL_MS, run, p);
	}
	if (e)
		publisher_stop(&p);
	else
		*out = p;
	return e;
}

void publisher_stop(struct publisher **pp)
{
	struct publisher *p = *pp;

	if (!p)
		return;
	worker_stop(&p->worker);
	for (struct list *l = p->lists, *next; l; l = next) {
		next = l->next;
		leave_list(l);
	}
	if (p->folder >= 0)
		close(p->folder);
	pthread_cond_destroy(&p->done);
	pthread_mutex_destroy(&p->lock);
	free(p->schedules);
	free(p);
	*pp = NULL;
}

/* ---- asking it ---- */

void publisher_settle(struct publisher *p)
{
	worker_settle(p->worker, 10000);
}

int publisher_publish(struct publisher *p, struct ca *ca, const char *actor, unsigned wait_ms, uint64_t *number)
{
	struct timespec deadline = clock_deadline_after(wait_ms);
	struct schedule *s = &p->schedules[ca - p->core->cas];
	uint64_t order;
	int e = 0;

	pthread_mutex_lock(&p->lock);
	order = ++s->wanted;
	snprintf(s->actor, sizeof(s->actor), "%s", actor);
	worker_kick(p->worker);
	while (s->served < order && !e)
		e = pthread_cond_timedwait(&p->done, &p->lock, &deadline);
	e = s->served < order ? 1 : s->result;
	*number = s->number;
	pthread_mutex_unlock(&p->lock);
	return e;
}

const char *publisher_late(struct publisher *p)
{
	int64_t now = clock_wall_s();
	const char *name = NULL;

	pthread_mutex_lock(&p->lock);
	for (const struct list *l = p->lists; l && !name; l = l->next)
		if (now > (l->row.this_update_s + l->ca->crl.interval_s + l->row.next_update_s) / 2)
			name = l->ca->name;
	pthread_mutex_unlock(&p->lock);
	return name;
}

static struct ca_crl info_of(const struct list *l)
{
	return (struct ca_crl){ l->row.number, l->row.this_update_s, l->row.next_update_s, l->size };
}

void publisher_list(struct publisher *p, void (*tell)(void *arg, const struct published_list *list), void *arg)
{
	pthread_mutex_lock(&p->lock);
	for (const struct list *l = p->lists; l; l = l->next)
		tell(arg, &(struct published_list){ l->ca, l->key_index, l->row.partition, l->row.entries,
						    info_of(l) });
	pthread_mutex_unlock(&p->lock);
}

static int read_page(const struct list *l, uint64_t offset, struct buf *out)
{
	uint64_t left = offset < l->size ? l->size - offset : 0;
	size_t n = left < CA_CRL_PAGE_MAX ? (size_t)left : CA_CRL_PAGE_MAX;

	while (n) {
		uint8_t *room = buf_room(out, n);
		ssize_t got = room ? pread(l->fd, room, n, (off_t)offset) : 0;

		if (!room)
			return buf_status(out);
		if (got <= 0)
			return got < 0 ? -errno : -EIO;
		buf_added(out, (size_t)got);
		offset += (uint64_t)got;
		n -= (size_t)got;
	}
	return 0;
}

int publisher_read(struct publisher *p, const struct ca *ca, unsigned key_index, unsigned partition, uint64_t number,
		   uint64_t offset, struct buf *out, struct ca_crl *info)
{
	struct list *l;
	int e = 0;

	pthread_mutex_lock(&p->lock);
	for (l = p->lists; l; l = l->next)
		if (l->ca == ca && l->key_index == key_index && l->row.partition == partition)
			break;
	if (l)
		l->users++;
	pthread_mutex_unlock(&p->lock);
	if (!l)
		return CA_CALL_NOT_FOUND;
	*info = info_of(l);
	if (number && number != l->row.number)
		e = CA_CALL_BUSY;
	else if (out)
		e = read_page(l, offset, out);
	pthread_mutex_lock(&p->lock);
	leave_list(l);
	pthread_mutex_unlock(&p->lock);
	return e;
}
