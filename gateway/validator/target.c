/* Targets.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "gateway/validator/target.h"

#include <errno.h>
#include <stdio.h>
#include <strings.h>

#include "core/base/clock.h"
#include "core/base/file.h"
#include "core/base/log.h"
#include "core/base/own.h"
#include "gateway/validator/validator.h"

#define ADDRESSES_MAX 3
#define TARGETS_MAX 64
#define AUTHORITIES_MAX ((size_t)1 << 20)
#define SCOPE_MAX ((size_t)51200)

static const struct target_kind *const kinds[] = { &target_intune, &target_webhook, NULL };
const char *const validator_target_kinds[] = { "intune", "webhook", NULL };

/* An endpoint, and who judges what comes there. */
struct place {
	char *endpoint;
	struct target *target;
};

struct targets {
	struct target *all;
	size_t n;
	struct place *places;
	size_t n_places;
	uint8_t verdict_key[VERDICT_KEY_SIZE];
};

/* ---- configuration ---- */

static const struct target_kind *find_kind(const char *name)
{
	for (size_t i = 0; kinds[i]; i++)
		if (strcmp(kinds[i]->name, name) == 0)
			return kinds[i];
	return NULL;
}

const struct conf_option *target_rows_of(const char *name)
{
	const struct target_kind *kind = find_kind(name);

	return kind ? kind->rows : NULL;
}

/* Nobody between here and there can read what goes over loopback. */
static bool is_this_machine(const char *host)
{
	static const struct ip_range ranges[] = { { { { 127 }, 4 }, 8 },
						  { { { [15] = 1 }, 16 }, 128 } };
	struct ip_address a;

	return ip_address_parse(&a, host) == 0 &&
	       (ip_range_contains(&ranges[0], &a) || ip_range_contains(&ranges[1], &a));
}

bool target_is_url(const struct fetch_url *url)
{
	return strncasecmp(url->text, "https:", 6) == 0 || is_this_machine(url->host);
}

int target_read_url(const struct conf_section *conf, const char *option, struct fetch_url *out,
		    struct conf_error *error)
{
	const char *url = conf_str(conf, option);
	int e = fetch_url_join(out, url, url);

	if (e < 0)
		return e;
	if (e || !target_is_url(out))
		return conf_refuse(conf, option, error,
				   "'%s' is no https URL (or http to an address of this machine itself) without user",
				   url);
	return 0;
}

int target_read_secret(const struct conf_section *conf, const char *option, struct buf *out, struct conf_error *error)
{
	const char *path = conf_str(conf, option);
	int e = path ? file_read_secret(path, out) : 0;

	if (e == -ENOMEM)
		return e;
	if (e)
		return conf_refuse(conf, option, error,
				   e == -EPERM ? "'%s' may be read by others than its owner: chmod 0600" :
				   e == -EMSGSIZE ? "'%s' is larger than any such secret" :
				   e == -EACCES ? "'%s' belongs to another user than processes: validator-user" :
				   "'%s' cannot be read", path);
	while (out->len && strchr(" \t\r\n", out->ptr[out->len - 1]))
		out->ptr[--out->len] = '\0';
	return path && !out->len ? conf_refuse(conf, option, error, "'%s' is empty", path) : 0;
}

int targets_check(const struct conf_section *validator, struct conf_error *error)
{
	size_t n = conf_count(validator, "targets");

	if (n > TARGETS_MAX)
		return conf_refuse(validator, "targets", error, "there are more than %d targets", TARGETS_MAX);
	for (size_t i = 0; i < n; i++) {
		const struct conf_section *conf = conf_section_at(validator, "targets", i);
		const char *name = conf_str(conf, "name");
		const char *const *options = find_kind(conf_module(conf))->urls;
		struct fetch_url url;

		for (size_t j = 0; j < i; j++)
			if (strcmp(name, conf_str(conf_section_at(validator, "targets", j), "name")) == 0)
				return conf_refuse(conf, "name", error, "the name '%s' is taken", name);
		for (; *options; options++) {
			int e = conf_str(conf, *options) ? target_read_url(conf, *options, &url, error) : 0;

			if (e)
				return e;
		}
	}
	return 0;
}

static int copy_scope(struct target *t, const struct conf_section *conf)
{
	OWNED_BUF text = BUF_INIT(SCOPE_MAX);

	for (size_t i = 0; i < conf_count(conf, "names"); i++)
		buf_printf(&text, "%s%s", i ? "\n" : "", conf_str_at(conf, "names", i));
	t->scope = strdup(buf_str(&text));
	return buf_status(&text) ? buf_status(&text) : t->scope ? 0 : -ENOMEM;
}

static int read_authorities(struct target *t, const struct conf_section *conf, struct conf_error *error)
{
	const char *path = conf_str(conf, "ca-file");
	int e = path ? file_read(path, &t->authorities) : 0;

	if (e == -ENOMEM)
		return e;
	if (e || (path && !t->authorities.len))
		return conf_refuse(conf, "ca-file", error, "'%s' cannot be read, or is empty: %s", path,
				   e ? strerror(-e) : "no certificates");
	return 0;
}

static int read_target(struct target *t, const struct conf_section *conf, struct conf_error *error)
{
	int e;

	t->kind = find_kind(conf_module(conf));
	t->name = strdup(conf_str(conf, "name"));
	t->authorities = BUF_INIT(AUTHORITIES_MAX);
	t->secret = t->token = BUF_INIT(TARGET_SECRET_MAX);
	t->timeout_ms = conf_duration_ms(conf, "timeout");
	t->calls_max = (unsigned)conf_int(conf, "calls");
	e = t->name ? copy_scope(t, conf) : -ENOMEM;
	if (!e)
		e = read_authorities(t, conf, error);
	return e ? e : t->kind->read(t, conf, error);
}

static struct target *find(const struct targets *t, const char *name)
{
	for (size_t i = 0; i < t->n; i++)
		if (strcmp(t->all[i].name, name) == 0)
			return &t->all[i];
	return NULL;
}

static int read_places(struct targets *t, const struct conf_section *root, struct conf_error *error)
{
	size_t n = conf_count(root, "endpoints");

	t->places = calloc(n + 1, sizeof(*t->places));
	if (!t->places)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++) {
		const struct conf_section *endpoint = conf_section_at(root, "endpoints", i);
		const char *name = conf_str(endpoint, "challenge-target");
		struct place *p = &t->places[t->n_places];

		if (!name)
			continue;
		p->target = find(t, name);
		if (!p->target)
			return conf_refuse(endpoint, "challenge-target", error, "there is no target '%s'", name);
		p->endpoint = strdup(conf_str(endpoint, "name"));
		if (!p->endpoint)
			return -ENOMEM;
		t->n_places++;
	}
	return 0;
}

int targets_new(struct targets **out, const struct conf_section *root, struct resolver *resolver,
		const atomic_bool *stop, const uint8_t verdict_key[static VERDICT_KEY_SIZE], struct conf_error *error)
{
	const struct conf_section *conf = conf_section(root, "validator");
	size_t n = conf_count(conf, "targets");
	OWNED(targets) t = calloc(1, sizeof(*t));
	int e = targets_check(conf, error);

	if (!t || e)
		return e ? e : -ENOMEM;
	memcpy(t->verdict_key, verdict_key, VERDICT_KEY_SIZE);
	t->all = calloc(n + 1, sizeof(*t->all));
	if (!t->all)
		return -ENOMEM;
	for (; !e && t->n < n; t->n++) {
		t->all[t->n].resolver = resolver;
		t->all[t->n].stop = stop;
		e = read_target(&t->all[t->n], conf_section_at(conf, "targets", t->n), error);
	}
	if (!e)
		e = read_places(t, root, error);
	if (!e)
		*out = MOVE(t);
	return e;
}

void targets_drop(struct targets **tp)
{
	struct targets *t = *tp;

	if (!t)
		return;
	for (size_t i = 0; t->all && i < t->n; i++) {
		free(t->all[i].name);
		free(t->all[i].scope);
		buf_fini(&t->all[i].authorities);
		if (t->all[i].kind && t->all[i].kind->drop)
			t->all[i].kind->drop(&t->all[i]);
		buf_wipe(&t->all[i].secret);
		buf_wipe(&t->all[i].token);
	}
	for (size_t i = 0; i < t->n_places; i++)
		free(t->places[i].endpoint);
	free(t->places);
	free(t->all);
	explicit_bzero(t->verdict_key, sizeof(t->verdict_key));
	free(t);
	*tp = NULL;
}

bool targets_await_end(const struct conf_section *validator, const char *name)
{
	for (size_t i = 0; i < conf_count(validator, "targets"); i++) {
		const struct conf_section *conf = conf_section_at(validator, "targets", i);

		if (strcmp(conf_str(conf, "name"), name) == 0)
			return find_kind(conf_module(conf))->is_end_awaited;
	}
	return false;
}

/* ---- asking ---- */

int target_say(struct target_call *c, int outcome, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(c->why, sizeof(c->why), format, args);
	va_end(args);
	return outcome;
}

static int find_addresses(struct target_call *c, const char *host, struct ip_address found[static RESOLVE_MAX],
			  size_t *n)
{
	int e;

	*n = 1;
	if (ip_address_parse(&found[0], host) == 0)
		return 0;
	e = resolver_find(c->target->resolver, host, c->deadline_ms - clock_mono_ms(), found, n);
	if (*n > ADDRESSES_MAX)
		*n = ADDRESSES_MAX;
	return e > 0 ? target_say(c, JUDGEMENT_NONE, "the name %s has no address", host) : e;
}

int target_fetch(struct target_call *c, const struct fetch_url *url, const struct fetch_to_target *to,
		 struct buf *reply)
{
	struct ip_address found[RESOLVE_MAX];
	struct fetch_reply got = { .body = BUF_INIT(TARGET_REPLY_MAX) };
	size_t n = 0;
	int e = find_addresses(c, url->host, found, &n);

	for (size_t i = 0; !e && i < n; i++) {
		int64_t left_ms = c->deadline_ms - clock_mono_ms();
		struct fetch f = { .url = url->text, .address = found[i], .port = url->port, .stop = c->target->stop,
				   .target = to };

		/* The first address may not use up the time of the next. */
		f.timeout_ms = left_ms > (int64_t)(n - i) ? left_ms / (int64_t)(n - i) : 1;
		e = fetch_run(c->curl, &f, &got);
		if (e == FETCH_NO_CONNECTION && i + 1 < n)
			e = 0;
		else
			break;
	}
	if (e > 0 && !c->why[0])
		e = target_say(c, JUDGEMENT_NONE, "%s: %s", url->host, got.fault);
	else if (!e && got.status != 200)
		e = target_say(c, JUDGEMENT_NONE, "%s answered with status %ld", url->host, got.status);
	else if (!e && buf_status(&got.body))
		e = target_say(c, JUDGEMENT_NONE, "the answer of %s is larger than any", url->host);
	if (!e)
		e = buf_append(reply, buf_bytes(&got.body));
	buf_fini(&got.body);
	return e > 0 ? JUDGEMENT_NONE : e;
}

static const struct place *find_place(const struct targets *t, const char *endpoint)
{
	for (size_t i = 0; i < t->n_places; i++)
		if (strcmp(t->places[i].endpoint, endpoint) == 0)
			return &t->places[i];
	return NULL;
}

/* One line each, with what a client is never told. */
static void note(const struct target_call *c, const char *event, int e, int64_t took_ms)
{
	static const char *const words[] = { "allow", "deny", "none", "busy", "lost" };

	log_pairs(e ? LOG_LEVEL_WARN : LOG_LEVEL_INFO, event, "target", c->target->name, "endpoint", c->endpoint,
		  "transaction", c->transaction_id, "verdict", e < 0 ? "none" : words[e],
		  "why", e < 0 ? strerror(-e) : e ? c->why : NULL, "ms", LOG_NUMBER(took_ms), (const char *)NULL);
}

static int state_it(const struct targets *t, const struct target_call *c, struct buf *statement)
{
	struct verdict v = { .target = c->target->name, .endpoint = c->endpoint, .scope = c->target->scope,
			     .until_ms = clock_wall_ms() + JUDGEMENT_GOOD_MS };

	memcpy(v.transaction_key, c->what->transaction_key, sizeof(v.transaction_key));
	return digest_sha256(c->what->request, v.request) ? -EIO : verdict_write(t->verdict_key, &v, statement);
}

static int ask(const struct targets *t, struct target *target, CURL *curl, const struct judgement *what,
	       struct buf *statement)
{
	int64_t start_ms = clock_mono_ms();
	struct target_call c = { .target = target, .endpoint = what->endpoint, .transaction_id = what->transaction_id,
				 .what = what, .curl = curl, .deadline_ms = start_ms + target->timeout_ms };
	int e = JUDGEMENT_BUSY;

	if (atomic_fetch_add(&target->calls, 1) < target->calls_max)
		e = target->kind->judge(&c);
	atomic_fetch_sub(&target->calls, 1);
	note(&c, "target.judged", e, clock_mono_ms() - start_ms);
	return e ? e : state_it(t, &c, statement);
}

int targets_judge(struct targets *t, CURL *curl, const struct judgement *what, struct buf *statement)
{
	const struct place *p = find_place(t, what->endpoint);

	if (!p) {
		log_warn("target.judged", "endpoint", what->endpoint, "verdict", "none", "why",
			 "the endpoint has no challenge-target");
		return JUDGEMENT_NONE;
	}
	return ask(t, p->target, curl, what, statement);
}

/* It must be written out, and nobody shall forget it (core/name_scope.h). */
static bool allows_any_name(const struct target *target)
{
	return strcmp(target->scope, "any") == 0;
}

void targets_print(const struct targets *t, struct buf *out)
{
	for (size_t i = 0; t && i < t->n; i++)
		if (allows_any_name(&t->all[i]))
			buf_printf(out, "target %s: ok, but it may allow every name (names: any)\n", t->all[i].name);
}

static int tell(struct target *target, CURL *curl, const struct notification *what)
{
	int64_t start_ms = clock_mono_ms();
	struct target_call c = { .target = target, .endpoint = what->endpoint, .transaction_id = what->transaction_id,
				 .curl = curl, .deadline_ms = start_ms + target->timeout_ms };
	int e = JUDGEMENT_BUSY;

	if (atomic_fetch_add(&target->calls, 1) < target->calls_max)
		e = target->kind->notify(&c, what);
	atomic_fetch_sub(&target->calls, 1);
	note(&c, what->is_issued ? "target.told-issued" : "target.told-failed", e, clock_mono_ms() - start_ms);
	return e;
}

int targets_notify(struct targets *t, CURL *curl, const struct notification *what)
{
	const struct place *p = find_place(t, what->endpoint);

	return !p ? JUDGEMENT_NONE : p->target->wants_end ? tell(p->target, curl, what) : 0;
}
