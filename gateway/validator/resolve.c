/* Names to addresses.
 *
 * Lookups run asynchronously in a thread of libunbound, because a blocking one could be neither timed nor given up.
 * One more thread, the pump, hands answers to those who wait.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "gateway/validator/resolve.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <strings.h>
#include <sys/eventfd.h>
#include <unbound.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/base/own.h"

#define FIRST_PAUSE_MS 100 /* of the pump, when libunbound fails */
#define LAST_PAUSE_MS 5000

enum { TYPE_A = 1, TYPE_AAAA = 28, CLASS_IN = 1, RCODE_OK = 0, RCODE_NXDOMAIN = 3 };

struct host {
	char *pattern;
	struct ip_address address;
};

struct resolver {
	struct host *hosts;
	size_t n_hosts;
	struct ub_ctx *unbound;
	pthread_t pump;
	bool has_pump;
	int stop_fd;
	atomic_bool is_failing; /* answers cannot be taken from libunbound */
	pthread_mutex_t lock;   /* guards what follows and every question that is under way */
	pthread_cond_t answered;
	bool is_stopping;
	struct question *orphans;
};

/* One lookup. It belongs to the thread that asks until that lets go of it; an orphan waits for its answer alone. */
struct question {
	struct resolver *resolver;
	struct question *next; /* among the orphans */
	bool is_orphan;
	int id;
	bool is_done;
	int rcode; /* -1: the lookup itself failed */
	struct ip_address found[RESOLVE_MAX];
	size_t n;
};

static void take_answer(struct question *q, int error, const struct ub_result *result)
{
	int i;

	q->rcode = error || !result ? -1 : result->rcode;
	for (i = 0; q->rcode == RCODE_OK && result->havedata && result->data[i] && q->n < RESOLVE_MAX; i++) {
		struct ip_address *a = &q->found[q->n];

		if (result->len[i] != 4 && result->len[i] != 16)
			continue;
		a->len = (unsigned)result->len[i];
		memcpy(a->octets, result->data[i], a->len);
		q->n++;
	}
}

static void drop_orphan(struct resolver *r, struct question *q)
{
	struct question **p = &r->orphans;

	while (*p != q)
		p = &(*p)->next;
	*p = q->next;
	free(q);
}

static void on_answer(void *arg, int error, struct ub_result *result)
{
	struct question *q = arg;
	struct resolver *r = q->resolver;

	pthread_mutex_lock(&r->lock);
	take_answer(q, error, result);
	q->is_done = true;
	if (q->is_orphan)
		drop_orphan(r, q);
	pthread_cond_broadcast(&r->answered);
	pthread_mutex_unlock(&r->lock);
	ub_resolve_free(result);
}

/* What is there. 0 or negative. */
static int take_answers(struct resolver *r)
{
	int e = ub_process(r->unbound);

	if (e && !atomic_exchange(&r->is_failing, true))
		log_error("validator.resolver.failed", "error", ub_strerror(e));
	if (!e && atomic_exchange(&r->is_failing, false))
		log_info("validator.resolver.works", "after", "a failure");
	return e ? -EIO : 0;
}

/* Nobody else takes answers, so it goes on whatever fails, only more slowly. */
static void *pump(void *arg)
{
	struct resolver *r = arg;
	struct pollfd stop = { .fd = r->stop_fd, .events = POLLIN };
	int pause_ms = 0;

	while (poll(&stop, 1, pause_ms) <= 0) {
		struct pollfd fds[2] = { stop, { .fd = ub_fd(r->unbound), .events = POLLIN } };
		int n = poll(fds, 2, -1);

		if ((n < 0 && errno != EINTR) || (n > 0 && fds[1].revents && take_answers(r)))
			pause_ms = pause_ms ? pause_ms * 2 : FIRST_PAUSE_MS;
		else
			pause_ms = 0;
		if (pause_ms > LAST_PAUSE_MS)
			pause_ms = LAST_PAUSE_MS;
	}
	return NULL;
}

/* Setting up */

static const struct {
	const char *option, *value;
} unbound_options[] = {
	/* A forwarder on this machine is usual. What the answers say is judged elsewhere. */
	{ "do-not-query-localhost:", "no" },
	/* A client that mends its records and tries again must not meet the old ones for long. */
	{ "cache-max-ttl:", "60" },
	{ "cache-max-negative-ttl:", "5" },
};

static int set_forwarders(struct resolver *r, const struct conf_section *conf, struct conf_error *error)
{
	size_t i, n = conf_count(conf, "resolver");

	for (i = 0; i < n; i++)
		if (ub_ctx_set_fwd(r->unbound, conf_str_at(conf, "resolver", i)))
			return conf_refuse_at(conf, "resolver", i, error,
					      "'%s' is not an address such as 192.0.2.1 or 192.0.2.1@5353",
					      conf_str_at(conf, "resolver", i));
	/* Names under `hosts` can be found without. */
	if (!n && ub_ctx_resolvconf(r->unbound, NULL))
		log_warn("validator.resolver", "problem", "/etc/resolv.conf cannot be read; asking the root servers");
	return 0;
}

/* libunbound denies these by itself; whoever serves them on a private network wants certificates for them. From here
 * on its settings are fixed. */
static int open_private_zones(struct resolver *r)
{
	return ub_ctx_zone_remove(r->unbound, "test.") || ub_ctx_zone_remove(r->unbound, "home.arpa.") ? -ENOMEM : 0;
}

static int set_up_unbound(struct resolver *r, const struct conf_section *conf, struct conf_error *error)
{
	size_t i;
	int e;

	r->unbound = ub_ctx_create();
	if (!r->unbound || ub_ctx_async(r->unbound, 1))
		return -ENOMEM;
	for (i = 0; i < sizeof(unbound_options) / sizeof(unbound_options[0]); i++)
		if (ub_ctx_set_option(r->unbound, unbound_options[i].option, unbound_options[i].value))
			return -ENOTSUP;
	e = set_forwarders(r, conf, error);
	return e ? e : open_private_zones(r);
}

static int read_hosts(struct resolver *r, const struct conf_section *conf, struct conf_error *error)
{
	size_t n = conf_count(conf, "hosts");

	r->hosts = calloc(n + 1, sizeof(*r->hosts));
	if (!r->hosts)
		return -ENOMEM;
	for (; r->n_hosts < n; r->n_hosts++) {
		const char *name = conf_map_name(conf, "hosts", r->n_hosts);
		const char *value = conf_map_value(conf, "hosts", r->n_hosts);
		struct host *h = &r->hosts[r->n_hosts];

		if (ip_address_parse(&h->address, value))
			return conf_refuse_at(conf, "hosts", r->n_hosts, error, "'%s' is not an IP address", value);
		if (strrchr(name, '*') && (strrchr(name, '*') != name || name[1] != '.'))
			return conf_refuse_at(conf, "hosts", r->n_hosts, error,
					      "'%s' is neither a name nor '*.' and a suffix", name);
		h->pattern = strdup(name);
		if (!h->pattern)
			return -ENOMEM;
	}
	return 0;
}

static int start_pump(struct resolver *r)
{
	r->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (r->stop_fd < 0)
		return -errno;
	r->has_pump = pthread_create(&r->pump, NULL, pump, r) == 0;
	return r->has_pump ? 0 : -EAGAIN;
}

static void init_waiting(struct resolver *r)
{
	pthread_condattr_t attributes;

	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_cond_init(&r->answered, &attributes);
	pthread_condattr_destroy(&attributes);
	pthread_mutex_init(&r->lock, NULL);
}

int resolver_new(struct resolver **out, const struct conf_section *conf, struct conf_error *error)
{
	OWNED(resolver) r = calloc(1, sizeof(*r));
	int e;

	if (!r)
		return -ENOMEM;
	r->stop_fd = -1;
	init_waiting(r);
	e = read_hosts(r, conf, error);
	if (!e)
		e = set_up_unbound(r, conf, error);
	if (!e)
		e = start_pump(r);
	if (e)
		return e;
	*out = MOVE(r);
	return 0;
}

void resolver_stop(struct resolver *r)
{
	pthread_mutex_lock(&r->lock);
	r->is_stopping = true;
	pthread_cond_broadcast(&r->answered);
	pthread_mutex_unlock(&r->lock);
}

void resolver_drop(struct resolver **rp)
{
	struct resolver *r = *rp;
	size_t i;

	if (!r)
		return;
	if (r->has_pump) {
		eventfd_write(r->stop_fd, 1);
		pthread_join(r->pump, NULL);
	}
	if (r->stop_fd >= 0)
		close(r->stop_fd);
	if (r->unbound)
		ub_ctx_delete(r->unbound);
	while (r->orphans)
		drop_orphan(r, r->orphans);
	for (i = 0; r->hosts && i < r->n_hosts + 1; i++)
		free(r->hosts[i].pattern);
	free(r->hosts);
	pthread_cond_destroy(&r->answered);
	pthread_mutex_destroy(&r->lock);
	free(r);
	*rp = NULL;
}

bool resolver_is_failing(const struct resolver *r)
{
	return atomic_load(&r->is_failing);
}

/* Asking */

static bool is_host(const struct host *h, const char *name, size_t len)
{
	const char *suffix = h->pattern[0] == '*' ? h->pattern + 1 : NULL;
	size_t n = strlen(suffix ? suffix : h->pattern);

	if (suffix)
		return len > n && strncasecmp(name + len - n, suffix, n) == 0;
	return len == n && strncasecmp(name, h->pattern, n) == 0;
}

static const struct host *find_host(const struct resolver *r, const char *name)
{
	size_t i, len = strlen(name);

	if (len && name[len - 1] == '.')
		len--;
	for (i = 0; i < r->n_hosts; i++)
		if (is_host(&r->hosts[i], name, len))
			return &r->hosts[i];
	return NULL;
}

static struct question *ask(struct resolver *r, const char *name, int type)
{
	struct question *q = calloc(1, sizeof(*q));

	if (!q)
		return NULL;
	q->resolver = r;
	q->rcode = -1;
	/* Once it has begun the question belongs to the lock: the answer may be there before the call returns. */
	if (ub_resolve_async(r->unbound, name, type, CLASS_IN, q, on_answer, &q->id))
		q->is_done = true;
	return q;
}

/* Wait for both answers, or until time is up. Called with the lock. */
static void await(struct resolver *r, struct question *const q[2], int64_t timeout_ms)
{
	struct timespec until = clock_deadline_after(timeout_ms);
	int e = 0;

	while (!e && !r->is_stopping && !(q[0]->is_done && q[1]->is_done))
		e = pthread_cond_timedwait(&r->answered, &r->lock, &until);
}

/* The asking thread is through with its question. When it cannot be taken back its answer is being delivered right
 * now, or got lost: nobody waits for that. */
static void let_go(struct resolver *r, struct question *q)
{
	bool is_free;

	if (!q)
		return;
	pthread_mutex_lock(&r->lock);
	is_free = q->is_done;
	pthread_mutex_unlock(&r->lock);
	is_free = is_free || ub_cancel(r->unbound, q->id) == 0;
	pthread_mutex_lock(&r->lock);
	if (is_free || q->is_done) {
		free(q);
	} else {
		q->is_orphan = true;
		q->next = r->orphans;
		r->orphans = q;
	}
	pthread_mutex_unlock(&r->lock);
}

static int judge(struct question *const q[2], struct ip_address *out, size_t *n)
{
	size_t i, k, found = 0;

	for (k = 0; k < 2; k++)
		for (i = 0; i < q[k]->n && found < RESOLVE_MAX; i++)
			out[found++] = q[k]->found[i];
	*n = found;
	if (found)
		return 0;
	for (k = 0; k < 2; k++)
		if (q[k]->rcode != RCODE_OK && q[k]->rcode != RCODE_NXDOMAIN)
			return RESOLVE_FAILED;
	return RESOLVE_NOT_FOUND;
}

/* Both at once. 0 or an outcome of resolver_find(). */
static int wait_for(struct resolver *r, struct question *const q[2], int64_t timeout_ms, struct ip_address *out,
		    size_t *n)
{
	bool is_late;
	int e;

	pthread_mutex_lock(&r->lock);
	await(r, q, timeout_ms);
	is_late = !q[0]->is_done || !q[1]->is_done;
	e = judge(q, out, n);
	pthread_mutex_unlock(&r->lock);
	/* One family may be broken at the other side: the addresses that came are good enough. */
	return e && is_late ? RESOLVE_TIMEOUT : e;
}

int resolver_find(struct resolver *r, const char *name, int64_t timeout_ms, struct ip_address out[static RESOLVE_MAX],
		  size_t *n)
{
	const struct host *host = find_host(r, name);
	struct question *q[2];
	int e;

	if (host) {
		out[0] = host->address;
		*n = 1;
		return 0;
	}
	q[0] = ask(r, name, TYPE_AAAA);
	q[1] = ask(r, name, TYPE_A);
	e = q[0] && q[1] ? wait_for(r, q, timeout_ms, out, n) : -ENOMEM;
	let_go(r, q[0]);
	let_go(r, q[1]);
	return e;
}
