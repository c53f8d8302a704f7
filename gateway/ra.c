/* Getting, keeping, renewing and using the keys of registration authorities.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "gateway/ra.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/der.h"
#include "core/base/digest.h"
#include "core/base/file.h"
#include "core/base/log.h"
#include "core/base/own.h"
#include "gateway/ra_key.h"

#define PROFILE "scep-ra"
#define KEYS_MAX 32 /* of an endpoint while the gateway runs; it needs two */
#define FIRST_RETRY_MS 1000
#define LAST_RETRY_MS 60000
#define LOOK_EVERY_MS 60000
#define AWAY_PATIENCE_MS 1500
#define AWAY_PAUSE_MS 20
#define FILE_MAX ((size_t)1 << 20)
#define ID_SIZE 17 /* 16 hex digits of the SHA-256 of a public key */

struct key {
	struct gw_ra_key octets;
	uint64_t signer; /* the signer's number for it; 0: not loaded. Under the lock */
};

struct authority {
	struct authority *next;
	struct gw_ras *ras;
	struct proto_ra face;
	const char *endpoint, *key_type;
	struct ca_door *ca;
	const char *const *names;
	size_t n_names;
	struct key keys[KEYS_MAX]; /* in the order in which they came; never changed once counted, but for `signer` */
	unsigned n_keys;           /* under the lock */
	int64_t retry_ms;          /* monotonic: not before */
	unsigned back_off_ms;
	bool was_loaded;           /* the stored keys were looked at */
	char state[256];           /* under the lock: what health says; "" when all is well */
};

struct gw_ras {
	struct signer *signer;
	const char *folder;
	struct authority *authorities;
	pthread_t thread;
	bool has_thread, ends;
	pthread_mutex_t lock;
	pthread_cond_t wake;
};

__attribute__((format(printf, 2, 3))) static void set_state(struct authority *a, const char *format, ...)
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

/* ---- using a key ---- */

static bool is_away(int e)
{
	return e == -ETIME || e == -ETIMEDOUT || e == -ECONNRESET || e == -ENOTCONN;
}

/* The signer's number for a key, which is loaded when it is not. */
static int load(struct authority *a, struct key *key, uint64_t *number, char why[static SIGNER_WHY_SIZE])
{
	int e = 0;

	pthread_mutex_lock(&a->ras->lock);
	*number = key->signer;
	pthread_mutex_unlock(&a->ras->lock);
	if (*number)
		return 0;
	e = signer_load(a->ras->signer, buf_bytes(&key->octets.sealed), SIGNER_PURPOSE_RA, a->endpoint,
			bytes_of(NULL, 0), number, why);
	pthread_mutex_lock(&a->ras->lock);
	key->signer = e ? 0 : *number;
	pthread_mutex_unlock(&a->ras->lock);
	return e;
}

static void forget(struct authority *a, struct key *key, uint64_t number)
{
	pthread_mutex_lock(&a->ras->lock);
	if (key->signer == number)
		key->signer = 0;
	pthread_mutex_unlock(&a->ras->lock);
}

/* What is done with a key: one of the signer's calls. */
struct work {
	int (*call)(struct signer *s, uint64_t key, struct work *w, char why[static SIGNER_WHY_SIZE]);
	enum signer_wrapping wrapping;
	const char *digest;
	struct bytes in; /* what is wrapped, the attributes, or the public key */
	uint8_t *out;
	size_t n;
	struct buf *signature;
	const struct authority *asks;
};

/* A signer that was started again knows no key. */
static int use(struct authority *a, struct key *key, struct work *w, char why[static SIGNER_WHY_SIZE])
{
	uint64_t number;
	int e = SIGNER_UNKNOWN_KEY;

	for (int tries = 0; e == SIGNER_UNKNOWN_KEY && tries < 2; tries++) {
		e = load(a, key, &number, why);
		if (!e)
			e = w->call(a->ras->signer, number, w, why);
		if (e == SIGNER_UNKNOWN_KEY)
			forget(a, key, number);
	}
	return e;
}

static void pause_for_signer(void)
{
	nanosleep(&(struct timespec){ .tv_nsec = AWAY_PAUSE_MS * 1000000L }, NULL);
}

/* A signer that ended is there again in no time, and most clients know no "later". */
static int use_numbered(struct authority *a, unsigned number, struct work *w)
{
	int64_t give_up_ms = clock_mono_ms() + AWAY_PATIENCE_MS;
	char why[SIGNER_WHY_SIZE] = "";
	unsigned n;
	int e;

	pthread_mutex_lock(&a->ras->lock);
	n = a->n_keys;
	pthread_mutex_unlock(&a->ras->lock);
	if (number >= n)
		return -ENOENT;
	while (is_away(e = use(a, &a->keys[number], w, why)) && clock_mono_ms() < give_up_ms)
		pause_for_signer();
	if (is_away(e))
		return -EAGAIN;
	if (e > 0)
		log_error("ra.key.refused", "endpoint", a->endpoint, "reason", why);
	return e > 0 ? -EIO : e;
}

static int call_unwrap(struct signer *s, uint64_t key, struct work *w, char why[static SIGNER_WHY_SIZE])
{
	return signer_unwrap(s, key, w->wrapping, w->in, w->out, w->n, why);
}

static int unwrap(void *state, unsigned number, enum proto_ra_wrapping wrapping, struct bytes wrapped, uint8_t *out,
		  size_t n)
{
	struct work w = { .call = call_unwrap, .wrapping = (enum signer_wrapping)wrapping, .in = wrapped, .out = out,
			  .n = n };

	return use_numbered(state, number, &w);
}

static int call_sign(struct signer *s, uint64_t key, struct work *w, char why[static SIGNER_WHY_SIZE])
{
	return signer_sign_attributes(s, key, w->digest, w->in, w->signature, why);
}

static int sign(void *state, unsigned number, const char *digest, struct bytes attributes, struct buf *signature)
{
	struct work w = { .call = call_sign, .digest = digest, .in = attributes, .signature = signature };

	return use_numbered(state, number, &w);
}

static bool is_in_force(const struct key *key, int64_t now)
{
	return key->octets.certificate.len && key->octets.not_before_s <= now && now < key->octets.not_after_s;
}

static int list(void *state, struct arena *arena, struct proto_ra_key **out, size_t *n)
{
	struct authority *a = state;
	struct proto_ra_key *keys = arena_alloc(arena, KEYS_MAX * sizeof(*keys));
	int64_t now = clock_wall_s();
	unsigned n_keys;

	if (!keys)
		return -ENOMEM;
	pthread_mutex_lock(&a->ras->lock);
	n_keys = a->n_keys;
	pthread_mutex_unlock(&a->ras->lock);
	*n = 0;
	for (unsigned i = n_keys; i-- > 0;) {
		const struct gw_ra_key *k = &a->keys[i].octets;

		if (is_in_force(&a->keys[i], now))
			keys[(*n)++] = (struct proto_ra_key){ i, buf_bytes(&k->certificate), buf_bytes(&k->chain),
							      k->not_before_s, k->not_after_s };
	}
	*out = keys;
	return *n ? 0 : -ENOENT;
}

/* ---- files ---- */

static int make_id(struct bytes spki, char id[static ID_SIZE])
{
	uint8_t digest[SHA256_SIZE];
	int e = digest_sha256(spki, digest);

	for (unsigned i = 0; !e && i < (ID_SIZE - 1) / 2; i++)
		snprintf(id + 2 * i, 3, "%02x", digest[i]);
	return e;
}

/* ra-ENDPOINT.ID.pem; of a key that waits for its certificate ra-ENDPOINT.new */
static void file_path(const struct authority *a, const char *id, char out[static PATH_MAX])
{
	if (id)
		snprintf(out, PATH_MAX, "%s/ra-%s.%s.pem", a->ras->folder, a->endpoint, id);
	else
		snprintf(out, PATH_MAX, "%s/ra-%s.new", a->ras->folder, a->endpoint);
}

static int write_file(const struct authority *a, const char *id, const struct gw_ra_key *key)
{
	OWNED_BUF pem = BUF_INIT(FILE_MAX);
	char path[PATH_MAX];
	int e = gw_ra_key_print(key, &pem);

	file_path(a, id, path);
	return e ? e : file_write_atomic_at(AT_FDCWD, path, buf_bytes(&pem), 0600);
}

static void remove_file(const struct authority *a, const char *id)
{
	char path[PATH_MAX];

	file_path(a, id, path);
	unlink(path);
}

/* 0; negative, and the key is empty. */
static int read_file(const struct authority *a, const char *id, struct gw_ra_key *key)
{
	OWNED_BUF pem = BUF_INIT(FILE_MAX);
	char path[PATH_MAX];
	int e;

	*key = GW_RA_KEY_INIT;
	file_path(a, id, path);
	e = file_read_secret(path, &pem);
	if (!e)
		e = gw_ra_key_read(key, buf_bytes(&pem));
	if (e)
		gw_ra_key_fini(key);
	return e;
}

/* The ID in the name of a file of this endpoint; false: it is none. */
static bool read_id(const struct authority *a, const char *file, char id[static ID_SIZE])
{
	size_t n = strlen(a->endpoint), digits;

	if (strncmp(file, "ra-", 3) != 0 || strncmp(file + 3, a->endpoint, n) != 0 || file[3 + n] != '.')
		return false;
	file += 3 + n + 1;
	digits = strspn(file, "0123456789abcdef");
	if (digits != ID_SIZE - 1 || strcmp(file + digits, ".pem") != 0)
		return false;
	memcpy(id, file, digits);
	id[digits] = '\0';
	return true;
}

/* ---- which keys there are ---- */

/* Takes it. */
static int add_key(struct authority *a, struct gw_ra_key *take_key)
{
	int e = a->n_keys < KEYS_MAX ? 0 : -ENOSPC;

	if (e) {
		gw_ra_key_fini(take_key);
		return e;
	}
	a->keys[a->n_keys] = (struct key){ .octets = *take_key };
	pthread_mutex_lock(&a->ras->lock);
	a->n_keys++;
	pthread_mutex_unlock(&a->ras->lock);
	return 0;
}

static struct key *newest_key(struct authority *a)
{
	return a->n_keys ? &a->keys[a->n_keys - 1] : NULL;
}

static struct bytes first_of(struct bytes chain)
{
	struct bytes content, whole;
	unsigned tag;

	return der_read(&chain, &tag, &content, &whole) ? bytes_of(NULL, 0) : whole;
}

/* Is this a certificate of any key of the CA? The store may be another one than when the file was written. */
static bool is_of_ca(const struct authority *a, struct bytes issuer)
{
	OWNED_BUF chain = BUF_INIT(GW_RA_CHAIN_MAX);
	int e = 0;

	for (unsigned i = 0; !e && i < 256; i++) {
		buf_reset(&chain);
		e = ca_get_key_chain(a->ca, i, &chain);
		if (!e && gw_ra_is_same_issuer(first_of(buf_bytes(&chain)), issuer))
			return true;
	}
	return false;
}

static bool can_use(struct authority *a, const struct gw_ra_key *octets)
{
	struct key key = { .octets = *octets };
	char why[SIGNER_WHY_SIZE] = "";
	uint64_t number;
	int e;

	if (!is_in_force(&key, clock_wall_s()) || !is_of_ca(a, first_of(buf_bytes(&octets->chain))))
		return false;
	e = load(a, &key, &number, why);
	if (e > 0)
		log_warn("ra.key.lost", "endpoint", a->endpoint, "reason", why);
	return e <= 0;
}

static void load_file(struct authority *a, const char *id)
{
	struct gw_ra_key key;

	if (read_file(a, id, &key))
		return;
	if (key.not_after_s <= clock_wall_s())
		remove_file(a, id);
	if (can_use(a, &key))
		(void)add_key(a, &key);
	else
		gw_ra_key_fini(&key);
}

static int by_begin(const void *x, const void *y)
{
	const struct key *a = x, *b = y;

	return a->octets.not_before_s < b->octets.not_before_s ? -1 : a->octets.not_before_s > b->octets.not_before_s;
}

static void load_stored(struct authority *a)
{
	DIR *d = opendir(a->ras->folder);
	const struct dirent *entry;
	char id[ID_SIZE];

	while (d && (entry = readdir(d)) != NULL)
		if (read_id(a, entry->d_name, id))
			load_file(a, id);
	if (d)
		closedir(d);
	/* Nobody uses them yet. */
	qsort(a->keys, a->n_keys, sizeof(*a->keys), by_begin);
}

/* ---- the next one ---- */

/* The key of the request under way: kept, so that a repeat after a restart is the same request. */
static int get_new_key(struct authority *a, struct key *key, char why[static SIGNER_WHY_SIZE])
{
	uint64_t number;
	int e = read_file(a, NULL, &key->octets);

	if (!e && (e = load(a, key, &number, why)) <= 0)
		return e;
	/* Another signer's, or none. */
	if (!e || e > 0)
		gw_ra_key_fini(&key->octets);
	*key = (struct key){ .octets = GW_RA_KEY_INIT };
	e = signer_generate(a->ras->signer, a->key_type, SIGNER_PURPOSE_RA, a->endpoint, &key->octets.sealed,
			    &key->octets.spki, why);
	return e ? e : write_file(a, NULL, &key->octets);
}

static struct ca_name *make_names(const struct authority *a)
{
	struct ca_name *names = calloc(a->n_names + 1, sizeof(*names));
	unsigned char octets[16];

	for (size_t i = 0; names && i < a->n_names; i++) {
		bool is_ip =
			inet_pton(AF_INET, a->names[i], octets) == 1 || inet_pton(AF_INET6, a->names[i], octets) == 1;

		names[i] = (struct ca_name){ is_ip ? CA_NAME_IP : CA_NAME_DNS, a->names[i], CA_EVIDENCE_LOCAL_CONFIG,
					     "a name of the listener in the configuration" };
	}
	return names;
}

static int call_request(struct signer *s, uint64_t key, struct work *w, char why[static SIGNER_WHY_SIZE])
{
	return gw_ra_key_request(s, key, w->in, w->asks->names, w->asks->n_names, w->signature, why);
}

static int make_request(struct authority *a, struct key *key, struct buf *request, char why[static SIGNER_WHY_SIZE])
{
	struct work w = { .call = call_request, .asks = a, .in = buf_bytes(&key->octets.spki), .signature = request };

	return use(a, key, &w, why);
}

static int submit(struct authority *a, struct bytes request, struct bytes spki, struct ca_outcome *out)
{
	struct ca_name *names = make_names(a);
	char requester[128];
	struct ca_submission s = {
		.protocol = "internal", .endpoint = "internal", .profile = PROFILE, .requester = requester,
		.evidence = CA_EVIDENCE_LOCAL_CONFIG, .received_ms = clock_wall_ms(), .request = request,
		.names = names, .n_names = a->n_names,
	};
	int e = names ? digest_sha256_pieces((struct bytes[]){ bytes_of_str(PROFILE), bytes_of_str(a->endpoint), spki },
					     3, s.transaction_key) : -ENOMEM;

	snprintf(requester, sizeof(requester), "gateway:ra:%s", a->endpoint);
	if (!e)
		e = ca_submit(a->ca, &s, out);
	free(names);
	return e;
}

/* The file with the certificate first, then the one without goes. */
static void take_certificate(struct authority *a, struct key *key, const struct ca_outcome *out)
{
	char id[ID_SIZE], text[CLOCK_TEXT_SIZE];
	int64_t not_after_s;
	int e = gw_ra_key_take(&key->octets, buf_bytes(&out->certificate), buf_bytes(&out->chain));

	if (!e)
		e = make_id(buf_bytes(&key->octets.spki), id);
	if (!e)
		e = write_file(a, id, &key->octets);
	if (e) {
		set_state(a, "the certificate cannot be stored: %s", strerror(-e));
		return;
	}
	not_after_s = key->octets.not_after_s;
	e = add_key(a, &key->octets);
	*key = (struct key){ .octets = GW_RA_KEY_INIT };
	remove_file(a, NULL);
	if (e) {
		set_state(a, "too many keys since the gateway was started; start it again");
		return;
	}
	a->back_off_ms = 0;
	set_state(a, "%s", "");
	log_info("ra.certificate", "endpoint", a->endpoint, "not_after", clock_print_s(not_after_s, text));
}

static void take_answer(struct authority *a, struct key *key, int e, const struct ca_outcome *out)
{
	if (e < 0)
		set_state(a, "the core failed: %s", strerror(-e));
	else if (e > 0)
		set_state(a, "%s", *out->reason ? out->reason : "the core is busy");
	else if (out->disposition == CA_UNDER_SUBMISSION || out->disposition == CA_INCOMPLETE)
		set_state(a, "request %lld waits for approval", (long long)out->id);
	else if (out->disposition != CA_ISSUED)
		set_state(a, "request %lld was refused: %s %s", (long long)out->id, ca_status_word(out->status),
			  out->reason);
	else
		take_certificate(a, key, out);
	/* A request that ended badly stays as it is under its transaction key: the next one is another. */
	if (e == 0 && (out->disposition == CA_ERROR || out->disposition == CA_REVOKED))
		remove_file(a, NULL);
}

static void obtain(struct authority *a)
{
	OWNED_CA_OUTCOME out = CA_OUTCOME_INIT;
	OWNED_BUF request = BUF_INIT(CA_REQUEST_MAX);
	struct key key = { .octets = GW_RA_KEY_INIT };
	char why[SIGNER_WHY_SIZE] = "";
	int e = get_new_key(a, &key, why);

	if (!e)
		e = make_request(a, &key, &request, why);
	if (e)
		set_state(a, "its key cannot be made: %s",
			  *why ? why : is_away(e) ? "the signer is away" : strerror(-e));
	else
		take_answer(a, &key, submit(a, buf_bytes(&request), buf_bytes(&key.octets.spki), &out), &out);
	gw_ra_key_fini(&key.octets);
}

/* In its last third, or of a key with which the CA does not sign any more. */
static bool is_due(struct authority *a)
{
	OWNED_BUF chain = BUF_INIT(GW_RA_CHAIN_MAX);
	const struct key *key = newest_key(a);
	const struct gw_ra_key *k;

	if (!key)
		return true;
	k = &key->octets;
	if (clock_wall_s() >= k->not_before_s + (k->not_after_s - k->not_before_s) / 3 * 2)
		return true;
	return ca_get_chain(a->ca, &chain) == 0 &&
	       !gw_ra_is_same_issuer(first_of(buf_bytes(&chain)), first_of(buf_bytes(&k->chain)));
}

static void look_after(struct authority *a)
{
	if (!a->was_loaded) {
		a->was_loaded = true;
		load_stored(a);
	}
	if (clock_mono_ms() < a->retry_ms || !is_due(a))
		return;
	a->back_off_ms = a->back_off_ms ? a->back_off_ms * 2 : FIRST_RETRY_MS;
	if (a->back_off_ms > LAST_RETRY_MS)
		a->back_off_ms = LAST_RETRY_MS;
	a->retry_ms = clock_mono_ms() + a->back_off_ms;
	obtain(a);
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
	a->face = (struct proto_ra){ list, unwrap, sign, a };
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

bool gw_ras_health(struct gw_ras *ras, struct buf *out)
{
	int64_t now = clock_wall_s();
	bool is_well = true;

	pthread_mutex_lock(&ras->lock);
	for (struct authority *a = ras->authorities; a; a = a->next) {
		const struct key *key = newest_key(a);
		bool has_one = key && is_in_force(key, now);
		const char *words = has_one ? "ok" : key ? "its RA certificate has expired" : a->state;

		buf_printf(out, "endpoint %s: %s\n", a->endpoint, *words ? words : "no RA certificate yet");
		is_well = is_well && has_one;
	}
	pthread_mutex_unlock(&ras->lock);
	return is_well;
}

void gw_ras_print_metrics(struct gw_ras *ras, struct buf *out)
{
	if (!ras->authorities)
		return;
	buf_append_str(out, "# HELP gatehouse_ra_not_after_seconds When the RA certificate for new messages ends; "
			    "0: there is none.\n# TYPE gatehouse_ra_not_after_seconds gauge\n");
	pthread_mutex_lock(&ras->lock);
	for (struct authority *a = ras->authorities; a; a = a->next) {
		const struct key *key = newest_key(a);

		buf_printf(out, "gatehouse_ra_not_after_seconds{endpoint=\"%s\"} %lld\n", a->endpoint,
			   key ? (long long)key->octets.not_after_s : 0LL);
	}
	pthread_mutex_unlock(&ras->lock);
}
