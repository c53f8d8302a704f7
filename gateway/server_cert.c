/* Getting, keeping and renewing the gateway's own certificates.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "gateway/server_cert.h"

#include "core/base/clock.h"
#include "core/base/digest.h"
#include "core/base/file.h"
#include "core/base/log.h"
#include "core/base/own.h"
#include "core/registry.h"
#include "gateway/tls_key.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define PROFILE "gateway-tls"
#define FIRST_RETRY_MS 1000
#define LAST_RETRY_MS 60000
#define LOOK_EVERY_MS 60000 /* for renewals and changed files */
#define FILE_MAX ((size_t)1 << 20)

struct entry {
	struct entry *next;
	struct gw_listener *listener;
	struct ca_door *ca;           /* NULL: files */
	char *certificate, *key;      /* files */
	struct timespec changed[2];   /* of the files that were read */
	int64_t renew_s, not_after_s; /* wall time; 0: no certificate yet */
	int64_t retry_ms;             /* monotonic: not before */
	unsigned back_off_ms;
	bool was_loaded;              /* the stored certificate was looked at */
	char state[256];              /* under the lock: what health says; "" when all is well */
};

struct gw_certs {
	struct gw_server *server;
	char *folder;
	struct entry *entries;
	pthread_t thread;
	bool has_thread;
	pthread_mutex_t lock; /* guards `ends` and the entries' `state` and `not_after_s` */
	pthread_cond_t wake;
	bool ends;
};

static const char *name_of(const struct entry *e)
{
	return e->listener->options.name;
}

__attribute__((format(printf, 3, 4))) static void set_state(struct gw_certs *c, struct entry *e, const char *format,
							    ...)
{
	char text[sizeof(e->state)];
	va_list args;
	bool is_new;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	pthread_mutex_lock(&c->lock);
	is_new = strcmp(text, e->state) != 0;
	memcpy(e->state, text, sizeof(text));
	pthread_mutex_unlock(&c->lock);
	if (is_new && *text)
		log_warn("listener.certificate.waiting", "listener", name_of(e), "reason", text);
}

static void file_path(const struct gw_certs *c, const struct entry *e, const char *ending, char out[static PATH_MAX])
{
	snprintf(out, PATH_MAX, "%s/tls-%s.%s", c->folder, name_of(e), ending);
}

/* From now on new connections get this certificate. `pem` holds chain and key, or only the chain. */
static int use(struct gw_certs *c, struct entry *e, struct bytes chain, struct bytes key, char *why, size_t why_size)
{
	const struct gw_listener_options *o = &e->listener->options;
	struct ssl_ctx_st *context = NULL;
	struct gw_tls_facts facts;
	char text[CLOCK_TEXT_SIZE];
	int r;

	r = gw_tls_context_new(&context, chain, key, why, why_size);
	if (!r)
		r = gw_tls_chain_read(chain, o->names, o->n_names, (struct bytes){ 0 }, &facts);
	if (r) {
		gw_tls_context_drop(&context);
		return r;
	}
	gw_listener_set_tls(e->listener, context);
	gw_tls_context_drop(&context);
	pthread_mutex_lock(&c->lock);
	e->not_after_s = facts.not_after_s;
	pthread_mutex_unlock(&c->lock);
	e->renew_s = facts.not_before_s + (facts.not_after_s - facts.not_before_s) / 3 * 2;
	e->back_off_ms = 0;
	set_state(c, e, "%s", "");
	log_info("listener.certificate", "listener", name_of(e), "not_after", clock_print_s(facts.not_after_s, text));
	gw_server_open(c->server, e->listener);
	return 0;
}

/* ---- from a CA ---- */

/* A certificate of an earlier start, if it still fits. */
static bool use_stored(struct gw_certs *c, struct entry *e)
{
	const struct gw_listener_options *o = &e->listener->options;
	OWNED_BUF issuer = BUF_INIT(FILE_MAX);
	struct buf pem = BUF_INIT(FILE_MAX);
	char path[PATH_MAX], why[256];
	struct gw_tls_facts facts;
	int64_t now = clock_wall_s();
	bool ok = false;

	file_path(c, e, "pem", path);
	if (file_read_secret(path, &pem) == 0 && ca_get_chain(e->ca, &issuer) == 0 &&
	    gw_tls_chain_read(buf_bytes(&pem), o->names, o->n_names, buf_bytes(&issuer), &facts) == 0)
		ok = facts.has_names && facts.is_from && facts.not_before_s <= now && now < facts.not_after_s &&
		     use(c, e, buf_bytes(&pem), buf_bytes(&pem), why, sizeof(why)) == 0;
	buf_wipe(&pem);
	return ok;
}

/* The key of the request under way: kept, so that a repeat after a restart is the same request. */
static int load_key(struct gw_certs *c, struct entry *e, struct buf *key)
{
	char path[PATH_MAX];
	int r;

	file_path(c, e, "key", path);
	r = file_read_secret(path, key);
	if (r != -ENOENT)
		return r;
	r = gw_tls_key_new(key);
	return r ? r : file_write_atomic_at(AT_FDCWD, path, buf_bytes(key), 0600);
}

static void forget_key(struct gw_certs *c, struct entry *e)
{
	char path[PATH_MAX];

	file_path(c, e, "key", path);
	unlink(path);
}

static int make_transaction_key(const struct entry *e, struct bytes key, uint8_t out[static CA_TRANSACTION_KEY_SIZE])
{
	const struct gw_listener_options *o = &e->listener->options;
	OWNED_BUF public = BUF_INIT(4096), names = BUF_INIT(FILE_MAX);
	size_t i;
	int r = gw_tls_key_public(key, &public);

	for (i = 0; i < o->n_names; i++)
		buf_printf(&names, "%s\n", o->names[i]);
	if (r || buf_status(&names))
		return r ? r : buf_status(&names);
	return digest_sha256_pieces((struct bytes[]){ bytes_of_str(PROFILE), bytes_of_str(o->name), buf_bytes(&names),
						      buf_bytes(&public) },
				    4, out);
}

/* The core wants addresses in canonical text and DNS names in lower case: the listener's names are so already. */
static struct ca_name *make_names(const struct entry *e)
{
	const struct gw_listener_options *o = &e->listener->options;
	struct ca_name *names = calloc(o->n_names + 1, sizeof(*names));
	unsigned char octets[16];
	size_t i;

	for (i = 0; names && i < o->n_names; i++) {
		bool is_ip =
			inet_pton(AF_INET, o->names[i], octets) == 1 || inet_pton(AF_INET6, o->names[i], octets) == 1;

		names[i] = (struct ca_name){ is_ip ? CA_NAME_IP : CA_NAME_DNS, o->names[i], CA_EVIDENCE_LOCAL_CONFIG,
					     "a name of the listener in the configuration" };
	}
	return names;
}

static int submit(struct entry *e, struct bytes key, struct ca_outcome *out)
{
	const struct gw_listener_options *o = &e->listener->options;
	OWNED_BUF request = BUF_INIT(CA_REQUEST_MAX);
	struct ca_name *names = make_names(e);
	char requester[128];
	struct ca_submission s = {
		.protocol = "internal", .endpoint = "internal", .profile = PROFILE, .requester = requester,
		.evidence = CA_EVIDENCE_LOCAL_CONFIG, .received_ms = clock_wall_ms(), .names = names,
		.n_names = o->n_names,
	};
	int r = names ? gw_tls_key_request(key, o->names, o->n_names, &request) : -ENOMEM;

	snprintf(requester, sizeof(requester), "gateway:%s", o->name);
	s.request = buf_bytes(&request);
	if (!r)
		r = make_transaction_key(e, key, s.transaction_key);
	if (!r)
		r = ca_submit(e->ca, &s, out);
	free(names);
	return r;
}

/* The file holds certificate, chain and key, so that the three change together. */
static int store(struct gw_certs *c, struct entry *e, const struct ca_outcome *out, struct bytes key, char *why,
		 size_t why_size)
{
	struct buf pem = BUF_INIT(FILE_MAX);
	char path[PATH_MAX];
	int r = gw_tls_chain_print(buf_bytes(&out->certificate), buf_bytes(&out->chain), &pem);

	if (!r)
		r = buf_append(&pem, key);
	file_path(c, e, "pem", path);
	if (!r)
		r = file_write_atomic_at(AT_FDCWD, path, buf_bytes(&pem), 0600);
	if (r)
		snprintf(why, why_size, "the certificate cannot be stored: %s", strerror(-r));
	else
		r = use(c, e, buf_bytes(&pem), buf_bytes(&pem), why, why_size);
	buf_wipe(&pem);
	if (!r)
		forget_key(c, e);
	return r;
}

static void take_answer(struct gw_certs *c, struct entry *e, int r, const struct ca_outcome *out, struct bytes key)
{
	char why[256] = "";

	if (r < 0)
		set_state(c, e, "the core failed: %s", strerror(-r));
	else if (r > 0)
		set_state(c, e, "%s", *out->reason ? out->reason : "the core is busy");
	else if (out->disposition == CA_UNDER_SUBMISSION || out->disposition == CA_INCOMPLETE)
		set_state(c, e, "request %lld waits for approval", (long long)out->id);
	else if (out->disposition != CA_ISSUED)
		set_state(c, e, "request %lld was refused: %s %s", (long long)out->id, ca_status_word(out->status),
			  out->reason);
	else if (store(c, e, out, key, why, sizeof(why)))
		set_state(c, e, "%s", why);
	/* A request that ended badly stays as it is under its transaction key: the next one is another. */
	if (r == 0 && (out->disposition == CA_ERROR || out->disposition == CA_REVOKED))
		forget_key(c, e);
}

static void obtain(struct gw_certs *c, struct entry *e)
{
	OWNED_CA_OUTCOME out = CA_OUTCOME_INIT;
	struct buf key = BUF_INIT(FILE_MAX);
	int r = load_key(c, e, &key);

	if (r)
		set_state(c, e, "its key cannot be kept in %s: %s", c->folder, strerror(-r));
	else
		take_answer(c, e, submit(e, buf_bytes(&key), &out), &out, buf_bytes(&key));
	buf_wipe(&key);
}

static void look_after_issued(struct gw_certs *c, struct entry *e)
{
	if (!e->was_loaded) {
		e->was_loaded = true;
		use_stored(c, e);
	}
	if (e->renew_s && clock_wall_s() < e->renew_s)
		return;
	if (clock_mono_ms() < e->retry_ms)
		return;
	e->back_off_ms = e->back_off_ms ? e->back_off_ms * 2 : FIRST_RETRY_MS;
	if (e->back_off_ms > LAST_RETRY_MS)
		e->back_off_ms = LAST_RETRY_MS;
	e->retry_ms = clock_mono_ms() + e->back_off_ms;
	obtain(c, e);
}

/* ---- from files ---- */

static int read_files(struct gw_certs *c, struct entry *e, char *why, size_t why_size)
{
	OWNED_BUF chain = BUF_INIT(FILE_MAX);
	struct buf key = BUF_INIT(FILE_MAX);
	char reason[256] = "";
	int r = file_read(e->certificate, &chain);

	if (r)
		snprintf(why, why_size, "%s: %s", e->certificate, strerror(-r));
	if (!r && (r = file_read_secret(e->key, &key)) != 0)
		snprintf(why, why_size, "%s: %s", e->key,
			 r == -EPERM ? "others may read it; it must have mode 0600" : strerror(-r));
	if (!r && (r = use(c, e, buf_bytes(&chain), buf_bytes(&key), reason, sizeof(reason))) != 0)
		snprintf(why, why_size, "%s and %s: %s", e->certificate, e->key, reason);
	buf_wipe(&key);
	return r;
}

/* Octets, or who may read them: a key that was refused for its mode is mended by chmod alone. */
static bool have_changed(struct entry *e)
{
	const char *paths[] = { e->certificate, e->key };
	bool changed = false;
	struct stat st;
	size_t i;

	for (i = 0; i < 2; i++) {
		if (stat(paths[i], &st) < 0)
			continue;
		if (st.st_ctim.tv_sec != e->changed[i].tv_sec || st.st_ctim.tv_nsec != e->changed[i].tv_nsec)
			changed = true;
		e->changed[i] = st.st_ctim;
	}
	return changed;
}

static void look_after_files(struct gw_certs *c, struct entry *e)
{
	char why[512];

	if (have_changed(e) && read_files(c, e, why, sizeof(why)))
		log_error("listener.certificate.failed", "listener", name_of(e), "reason", why, "kept",
			  "the one before");
}

/* ---- the thread ---- */

/* How long until an entry wants to be looked at. */
static int64_t next_look(const struct gw_certs *c)
{
	int64_t now = clock_mono_ms(), wait = LOOK_EVERY_MS, left;
	const struct entry *e;

	for (e = c->entries; e; e = e->next) {
		left = e->ca && e->back_off_ms ? e->retry_ms - now : LOOK_EVERY_MS;
		if (left < wait)
			wait = left > 0 ? left : 0;
	}
	return wait;
}

static bool wait_for_work(struct gw_certs *c)
{
	int64_t ms = next_look(c);
	struct timespec until = clock_deadline_after(ms);
	bool ends;

	pthread_mutex_lock(&c->lock);
	while (!c->ends && pthread_cond_timedwait(&c->wake, &c->lock, &until) == 0)
		;
	ends = c->ends;
	pthread_mutex_unlock(&c->lock);
	return !ends;
}

static void *look_after_all(void *arg)
{
	struct gw_certs *c = arg;
	struct entry *e;

	while (wait_for_work(c))
		for (e = c->entries; e; e = e->next) {
			if (e->ca)
				look_after_issued(c, e);
			else
				look_after_files(c, e);
		}
	return NULL;
}

int gw_certs_start(struct gw_certs *c, char *why, size_t why_size)
{
	struct entry *e;
	int r;

	for (e = c->entries; e; e = e->next) {
		if (e->ca) {
			look_after_issued(c, e);
			continue;
		}
		have_changed(e);
		r = read_files(c, e, why, why_size);
		if (r)
			return r;
	}
	snprintf(why, why_size, "no thread can be started");
	r = -pthread_create(&c->thread, NULL, look_after_all, c);
	c->has_thread = r == 0;
	return r;
}

int gw_certs_new(struct gw_certs **out, struct gw_server *server, const char *folder)
{
	OWNED(gw_certs) c = calloc(1, sizeof(*c));
	pthread_condattr_t attributes;

	if (!c)
		return -ENOMEM;
	pthread_mutex_init(&c->lock, NULL);
	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_cond_init(&c->wake, &attributes);
	pthread_condattr_destroy(&attributes);
	c->server = server;
	c->folder = strdup(folder);
	if (!c->folder)
		return -ENOMEM;
	*out = MOVE(c);
	return 0;
}

static struct entry *add_entry(struct gw_certs *c, struct gw_listener *listener)
{
	struct entry *e = calloc(1, sizeof(*e)), **last = &c->entries;

	if (!e)
		return NULL;
	e->listener = listener;
	while (*last)
		last = &(*last)->next;
	*last = e;
	return e;
}

int gw_certs_add(struct gw_certs *c, struct gw_listener *listener, struct ca_door *take_ca)
{
	struct entry *e = add_entry(c, listener);

	if (!e) {
		ca_door_drop(&take_ca);
		return -ENOMEM;
	}
	e->ca = take_ca;
	return 0;
}

int gw_certs_add_files(struct gw_certs *c, struct gw_listener *listener, const char *certificate, const char *key)
{
	struct entry *e = add_entry(c, listener);

	if (!e)
		return -ENOMEM;
	e->certificate = strdup(certificate);
	e->key = strdup(key);
	return e->certificate && e->key ? 0 : -ENOMEM;
}

void gw_certs_stop(struct gw_certs *c)
{
	pthread_mutex_lock(&c->lock);
	c->ends = true;
	pthread_cond_signal(&c->wake);
	pthread_mutex_unlock(&c->lock);
	if (c->has_thread)
		pthread_join(c->thread, NULL);
	c->has_thread = false;
}

void gw_certs_drop(struct gw_certs **certs)
{
	struct gw_certs *c = *certs;
	struct entry *e, *next;

	if (!c)
		return;
	gw_certs_stop(c);
	for (e = c->entries; e; e = next) {
		next = e->next;
		ca_door_drop(&e->ca);
		free(e->certificate);
		free(e->key);
		free(e);
	}
	pthread_cond_destroy(&c->wake);
	pthread_mutex_destroy(&c->lock);
	free(c->folder);
	free(c);
	*certs = NULL;
}

bool gw_certs_health(struct gw_certs *c, struct buf *out)
{
	int64_t now = clock_wall_s();
	const struct entry *e;
	bool is_well = true;

	pthread_mutex_lock(&c->lock);
	for (e = c->entries; e; e = e->next) {
		bool has_one = e->not_after_s > now;
		const char *words = has_one ? "ok" : e->not_after_s ? "its certificate has expired" : e->state;

		buf_printf(out, "listener %s: %s\n", name_of(e), *words ? words : "no certificate yet");
		is_well = is_well && has_one;
	}
	pthread_mutex_unlock(&c->lock);
	return is_well;
}
