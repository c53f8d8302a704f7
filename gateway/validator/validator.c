/* The validator: jobs, and the threads that run them.
 *
 * A job is queued, runs, and is done; then it waits to be collected, at most ten minutes. Jobs that are done make
 * room for new ones when the table is full. An owner whose targets do not answer must not stop the others: it may have
 * an eighth of the threads at once, and owners take turns in the queue. Nor must many owners whose targets do not
 * answer, as behind a firewall that drops packets: there are many threads, which cost little while they wait and end
 * when they are idle; and once many jobs run, callers wait for a moment only.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "gateway/validator/validator.h"

#include <errno.h>
#include <pthread.h>

#include "core/base/clock.h"
#include "core/base/own.h"
#include "gateway/validator/http01.h"
#include "gateway/validator/target.h"

#define KEEP_MS (10 * 60 * 1000)
#define TABLE_PER_THREAD 4
#define OWNERS_SHARE 8 /* so many owners fit before the threads are all taken */
#define OWNERS_LEAST 2
#define STACK_SIZE ((size_t)512 * 1024)
#define IDLE_MS 10000
#define CROWD 32         /* so many run at once only when most of them wait for somebody who does not answer … */
#define CROWD_WAIT_MS 100 /* … and what is answered at all is mostly answered by then */

enum job_state { JOB_QUEUED, JOB_RUNNING, JOB_DONE };

struct job {
	struct job *next;         /* in the table, oldest first */
	struct validation what;   /* its strings are the job's own */
	enum job_state state;
	uint64_t turn;            /* the first one of each owner, then the second, … */
	bool is_collected;        /* out of the table; the last waiter frees it */
	unsigned waiters;
	pthread_cond_t done;      /* for its waiters alone: others would wake up for nothing */
	int error;                /* the job itself failed */
	int64_t done_ms;
	struct validation_result result;
};

struct engine {
	struct validator_face face; /* first: what validator_new() hands out */
	struct http01 http01;
	struct targets *targets;    /* NULL: nobody judges */

	pthread_mutex_t lock; /* guards all below */
	pthread_cond_t work;  /* a job was queued, or stop */
	pthread_cond_t ended; /* a thread has */
	struct job *jobs;
	size_t n_jobs, n_queued;
	uint64_t turn; /* of the job that began last */
	size_t n_threads, n_idle, max_threads;
};

const struct conf_option validator_options[] = {
	{ .name = "http-port", .type = CONF_INTEGER, .range = "1..65535", .fallback = "80",
	  .summary = "Where http-01 answers are fetched." },
	{ .name = "tls-port", .type = CONF_INTEGER, .range = "1..65535", .fallback = "443",
	  .summary = "Where tls-alpn-01 is checked, and https redirects may lead." },
	{ .name = "allow", .type = CONF_STRINGS,
	  .summary = "Address ranges (CIDR) that may be contacted although they are not public." },
	{ .name = "hosts", .type = CONF_MAP,
	  .summary = "Fixed addresses of names, or of all names below '*.suffix', instead of asking a resolver." },
	{ .name = "resolver", .type = CONF_STRINGS,
	  .summary = "Addresses of DNS servers; by default those of /etc/resolv.conf." },
	{ .name = "timeout", .type = CONF_DURATION, .range = "1s..60s", .fallback = "10s",
	  .summary = "Longest time for one validation." },
	{ .name = "jobs", .type = CONF_INTEGER, .range = "1..4096", .fallback = "512",
	  .summary = "Validations at once, an eighth of them of one account; each takes a thread while it runs." },
	{ .name = "targets", .type = CONF_VARIANTS, .range = "kind", .rows_of = target_rows_of,
	  .summary = "Services that judge the challenges of SCEP endpoints (`challenge-target`). Their addresses may "
		     "be contacted whatever `allow` says." },
	{ 0 },
};

/* Jobs */

static void job_drop(struct job **jp)
{
	struct job *j = *jp;

	if (!j)
		return;
	pthread_cond_destroy(&j->done);
	free((char *)j->what.dns_name);
	free((char *)j->what.ip_address);
	free((char *)j->what.token);
	free((char *)j->what.key_authorization);
	free(j);
	*jp = NULL;
}

static const char *copy(const char *text, int *e)
{
	char *s = text ? strdup(text) : NULL;

	if (text && !s)
		*e = -ENOMEM;
	return s;
}

static int job_new(struct job **out, const struct validation *what)
{
	OWNED(job) j = calloc(1, sizeof(*j));
	pthread_condattr_t attributes;
	int e = 0;

	if (!j)
		return -ENOMEM;
	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_cond_init(&j->done, &attributes);
	pthread_condattr_destroy(&attributes);
	j->what.key = what->key;
	j->what.owner = what->owner;
	j->what.kind = what->kind;
	j->what.dns_name = copy(what->dns_name, &e);
	j->what.ip_address = copy(what->ip_address, &e);
	j->what.token = copy(what->token, &e);
	j->what.key_authorization = copy(what->key_authorization, &e);
	if (e)
		return e;
	*out = MOVE(j);
	return 0;
}

/* The table; all of it with the lock. */

static void table_add(struct engine *v, struct job *j)
{
	struct job **p = &v->jobs;

	while (*p)
		p = &(*p)->next;
	*p = j;
	v->n_jobs++;
}

/* Out of the table; freed now or by its last waiter. */
static void table_remove(struct engine *v, struct job *j)
{
	struct job **p = &v->jobs;

	while (*p != j)
		p = &(*p)->next;
	*p = j->next;
	v->n_jobs--;
	j->is_collected = true;
	if (!j->waiters)
		job_drop(&j);
}

static struct job *table_find(struct engine *v, uint64_t key)
{
	struct job *j = v->jobs;

	while (j && j->what.key != key)
		j = j->next;
	return j;
}

static struct job *table_first(struct engine *v, enum job_state state)
{
	struct job *j = v->jobs;

	while (j && (j->state != state || j->waiters))
		j = j->next;
	return j;
}

static void forget_old(struct engine *v)
{
	int64_t now_ms = clock_mono_ms();
	struct job *j, *next;

	for (j = v->jobs; j; j = next) {
		next = j->next;
		if (j->state == JOB_DONE && !j->waiters && now_ms - j->done_ms >= KEEP_MS)
			table_remove(v, j);
	}
}

/* Room for one more. What nobody collected goes first. */
static bool make_room(struct engine *v)
{
	struct job *j;

	if (v->n_jobs < v->max_threads * TABLE_PER_THREAD)
		return true;
	j = table_first(v, JOB_DONE);
	if (j)
		table_remove(v, j);
	return j != NULL;
}

static size_t owners_most(const struct engine *v)
{
	size_t share = v->max_threads / OWNERS_SHARE;

	return share < OWNERS_LEAST ? OWNERS_LEAST : share;
}

/* How many jobs the owner has that are not done; `*turn`: the one that its next job gets. */
static size_t count_of_owner(const struct engine *v, uint64_t owner, uint64_t *turn)
{
	size_t n = 0;

	*turn = v->turn;
	for (const struct job *j = v->jobs; j; j = j->next) {
		if (j->what.owner != owner || j->state == JOB_DONE)
			continue;
		n++;
		if (j->turn >= *turn)
			*turn = j->turn + 1;
	}
	return n;
}

/* The queued job whose turn it is; the oldest of those. */
static struct job *table_next(struct engine *v)
{
	struct job *best = NULL;

	for (struct job *j = v->jobs; j; j = j->next)
		if (j->state == JOB_QUEUED && (!best || j->turn < best->turn))
			best = j;
	return best;
}

/* Threads */

/* NULL: the thread is to end. */
static struct job *next_job(struct engine *v)
{
	struct timespec until = clock_deadline_after(IDLE_MS);
	struct job *j;
	int e = 0;

	while (!v->n_queued && !e && !atomic_load(&v->http01.stop)) {
		v->n_idle++;
		e = pthread_cond_timedwait(&v->work, &v->lock, &until);
		v->n_idle--;
	}
	if (!v->n_queued || atomic_load(&v->http01.stop))
		return NULL;
	j = table_next(v);
	j->state = JOB_RUNNING;
	v->turn = j->turn;
	v->n_queued--;
	return j;
}

static void *run_jobs(void *arg)
{
	struct engine *v = arg;
	CURL *curl = curl_easy_init();
	struct job *j;

	pthread_mutex_lock(&v->lock);
	while ((j = next_job(v))) {
		pthread_mutex_unlock(&v->lock);
		j->error = curl ? http01_run(&v->http01, curl, &j->what, &j->result) : -ENOMEM;
		pthread_mutex_lock(&v->lock);
		j->state = JOB_DONE;
		j->done_ms = clock_mono_ms();
		pthread_cond_broadcast(&j->done);
	}
	curl_easy_cleanup(curl);
	v->n_threads--;
	pthread_cond_broadcast(&v->ended);
	pthread_mutex_unlock(&v->lock);
	return NULL;
}

/* One thread more, unless one is idle or there are enough. */
static int have_thread(struct engine *v)
{
	pthread_attr_t attributes;
	pthread_t thread;
	int e;

	if (v->n_idle >= v->n_queued || v->n_threads == v->max_threads)
		return 0;
	pthread_attr_init(&attributes);
	pthread_attr_setstacksize(&attributes, STACK_SIZE);
	pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
	e = pthread_create(&thread, &attributes, run_jobs, v);
	pthread_attr_destroy(&attributes);
	if (!e)
		v->n_threads++;
	/* With one thread at work the job only has to wait. */
	return e && !v->n_threads ? -e : 0;
}

/* The door */

static int start_job(struct engine *v, const struct validation *what, struct job **out)
{
	struct job *j = NULL;
	uint64_t turn;
	int e;

	if (count_of_owner(v, what->owner, &turn) >= owners_most(v) || !make_room(v))
		return VALIDATION_BUSY;
	e = job_new(&j, what);
	if (e)
		return e;
	j->turn = turn;
	table_add(v, j);
	v->n_queued++;
	e = have_thread(v);
	if (e) {
		v->n_queued--;
		table_remove(v, j);
		return e;
	}
	pthread_cond_signal(&v->work);
	*out = j;
	return 0;
}

static int collect(struct engine *v, struct job *j, struct validation_result *out)
{
	int e = j->error;

	if (!e)
		*out = j->result;
	/* Two may wait for one job: the first takes it away, the second frees it. */
	if (!j->is_collected)
		table_remove(v, j);
	else if (!j->waiters)
		job_drop(&j);
	return e;
}

static int wait_for(struct engine *v, struct job *j, unsigned wait_ms, struct validation_result *out)
{
	bool is_crowded = v->n_threads - v->n_idle > CROWD && wait_ms > CROWD_WAIT_MS;
	struct timespec until = clock_deadline_after(is_crowded ? CROWD_WAIT_MS : wait_ms);
	int e = 0;

	j->waiters++;
	while (!e && j->state != JOB_DONE)
		e = pthread_cond_timedwait(&j->done, &v->lock, &until);
	j->waiters--;
	return j->state == JOB_DONE ? collect(v, j, out) : VALIDATION_RUNNING;
}

static int check(void *state, const struct validation *what, unsigned wait_ms, struct validation_result *out)
{
	struct engine *v = state;
	struct job *j;
	int e = 0;

	if (what->kind != VALIDATION_HTTP_01 || !http01_is_valid(what))
		return -EINVAL;
	pthread_mutex_lock(&v->lock);
	forget_old(v);
	j = table_find(v, what->key);
	if (!j)
		e = start_job(v, what, &j);
	if (!e)
		e = wait_for(v, j, wait_ms, out);
	pthread_mutex_unlock(&v->lock);
	return e;
}

static int judge(void *state, const struct judgement *what, struct buf *statement)
{
	struct engine *v = state;
	CURL *curl = v->targets ? curl_easy_init() : NULL;
	int e = curl ? targets_judge(v->targets, curl, what, statement) : v->targets ? -ENOMEM : JUDGEMENT_NONE;

	curl_easy_cleanup(curl);
	return e;
}

static int notify(void *state, const struct notification *what)
{
	struct engine *v = state;
	CURL *curl = v->targets ? curl_easy_init() : NULL;
	int e = curl ? targets_notify(v->targets, curl, what) : v->targets ? -ENOMEM : JUDGEMENT_NONE;

	curl_easy_cleanup(curl);
	return e;
}

/* Life */

static void engine_drop(struct engine **vp)
{
	struct engine *v = *vp;

	if (!v)
		return;
	pthread_mutex_lock(&v->lock);
	atomic_store(&v->http01.stop, true);
	pthread_cond_broadcast(&v->work);
	pthread_mutex_unlock(&v->lock);
	if (v->http01.resolver)
		resolver_stop(v->http01.resolver);
	pthread_mutex_lock(&v->lock);
	while (v->n_threads)
		pthread_cond_wait(&v->ended, &v->lock);
	pthread_mutex_unlock(&v->lock);
	while (v->jobs)
		table_remove(v, v->jobs);
	targets_drop(&v->targets);
	resolver_drop(&v->http01.resolver);
	pthread_cond_destroy(&v->ended);
	pthread_cond_destroy(&v->work);
	pthread_mutex_destroy(&v->lock);
	free(v->http01.rules.allow);
	free(v);
	*vp = NULL;
}

static void init_waiting(struct engine *v)
{
	pthread_condattr_t attributes;

	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_cond_init(&v->work, &attributes);
	pthread_condattr_destroy(&attributes);
	pthread_cond_init(&v->ended, NULL);
	pthread_mutex_init(&v->lock, NULL);
}

static int read_allow(struct address_rules *rules, const struct conf_section *conf, struct conf_error *error)
{
	size_t n = conf_count(conf, "allow");

	rules->allow = calloc(n + 1, sizeof(*rules->allow));
	if (!rules->allow)
		return -ENOMEM;
	for (; rules->n_allow < n; rules->n_allow++)
		if (ip_range_parse(&rules->allow[rules->n_allow], conf_str_at(conf, "allow", rules->n_allow)))
			return conf_refuse_at(conf, "allow", rules->n_allow, error,
					      "'%s' is not a range such as 10.0.0.0/8 or fd00::/8",
					      conf_str_at(conf, "allow", rules->n_allow));
	return 0;
}

static int read_settings(struct engine *v, const struct conf_section *conf, struct conf_error *error)
{
	int e = read_allow(&v->http01.rules, conf, error);

	if (e)
		return e;
	v->http01.http_port = (uint16_t)conf_int(conf, "http-port");
	v->http01.tls_port = (uint16_t)conf_int(conf, "tls-port");
	v->http01.timeout_ms = conf_duration_ms(conf, "timeout");
	v->max_threads = (size_t)conf_int(conf, "jobs");
	return resolver_new(&v->http01.resolver, conf, error);
}

static bool engine_health(const struct validator *validator, struct buf *out)
{
	const struct engine *v = validator->state;
	bool fails = resolver_is_failing(v->http01.resolver);

	buf_printf(out, "validator: %s\n", fails ? "names cannot be looked up" : "ok");
	targets_print(v->targets, out);
	return !fails;
}

static void drop_engine(struct validator *validator)
{
	struct engine *v = validator->state;

	engine_drop(&v);
}

int validator_new(struct validator **out, const struct conf_section *conf, struct conf_error *error)
{
	OWNED(engine) v = calloc(1, sizeof(*v));
	int e;

	if (!v)
		return -ENOMEM;
	init_waiting(v);
	v->face = (struct validator_face){
		{ .check = check, .judge = judge, .notify = notify, .state = v }, engine_health, drop_engine,
	};
	e = fetch_global_init();
	if (!e)
		e = read_settings(v, conf, error);
	if (e)
		return e;
	*out = &MOVE(v)->face.door;
	return 0;
}

int validator_set_targets(struct validator *validator, const struct conf_section *root,
			  const uint8_t verdict_key[static VERDICT_KEY_SIZE], struct conf_error *error)
{
	struct engine *v = validator->state;

	return targets_new(&v->targets, root, v->http01.resolver, &v->http01.stop, verdict_key, error);
}

const struct conf_option *validator_target_rows(const char *kind)
{
	return target_rows_of(kind);
}

bool validator_awaits_end(const struct conf_section *conf, const char *target)
{
	return targets_await_end(conf, target);
}

int validator_check_targets(const struct conf_section *conf, struct conf_error *error)
{
	return targets_check(conf, error);
}

/* The door of either kind */

bool validator_health(const struct validator *v, struct buf *out)
{
	return ((const struct validator_face *)v)->health(v, out);
}

void validator_drop(struct validator **v)
{
	if (*v)
		((struct validator_face *)*v)->drop(*v);
	*v = NULL;
}
