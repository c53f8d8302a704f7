/* The ACME adapter (RFC 8555): its settings, its routes, its start and end.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "protocols/acme/acme.h"

#include <errno.h>
#include <stdio.h>

#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/base/own.h"
#include "protocols/acme/acme_int.h"

#define SWEEP_EVERY_MS 60000

static const struct conf_option acme_options[] = {
	{ "terms-of-service", CONF_STRING, NULL, NULL,
	  "URL of the terms a client must agree to before it gets an account; absent: there are none.", NULL, NULL },
	{ "website", CONF_STRING, NULL, NULL, "URL that the directory names for people.", NULL, NULL },
	{ "caa-identities", CONF_STRINGS, NULL, NULL, "Domain names that stand for this CA in CAA records.", NULL,
	  NULL },
	{ "external-account-required", CONF_BOOL, NULL, "false",
	  "A new account needs an external account binding (RFC 8555 7.3.4). Accounts that are there stay.",
	  NULL, NULL },
	{ "order-lifetime", CONF_DURATION, "1m..90d", "7d",
	  "How long a client has to finish an order; a request that is held longer is lost to it.", NULL, NULL },
	{ "authorization-lifetime", CONF_DURATION, "1m..398d", "30d",
	  "How long a validated name stays validated for its account.", NULL, NULL },
	{ "authorization-reuse", CONF_BOOL, NULL, "true",
	  "Take valid authorizations of the same account into new orders instead of validating again.", NULL, NULL },
	{ "retention", CONF_DURATION, "1h..3650d", "30d",
	  "How long an order and its certificate can be read after the order expired.", NULL, NULL },
	{ "open-orders", CONF_INTEGER, "1..100000", "300",
	  "Orders an account may have at once that can still lead to a certificate.", NULL, NULL },
	{ "nonces-per-second", CONF_INTEGER, "1..100000", "50",
	  "newNonce requests one address may go on making each second.", NULL, NULL },
	{ "nonces-burst", CONF_INTEGER, "1..1000000", "500", "newNonce requests one address may make at once.", NULL,
	  NULL },
	{ "accounts-per-hour", CONF_INTEGER, "1..1000000", "500",
	  "New accounts one address may make at once, and again each hour.", NULL, NULL },
	{ "orders-per-hour", CONF_INTEGER, "100..10000000", "36000",
	  "Names an account may ask for in new orders at once, and again each hour.", NULL, NULL },
	{ "challenges-per-hour", CONF_INTEGER, "1..10000000", "36000",
	  "Challenges an account may have checked at once, and again each hour.", NULL, NULL },
	{ "key-changes-per-hour", CONF_INTEGER, "1..1000000", "500",
	  "Changes of account keys one address may ask for at once, and again each hour.", NULL, NULL },
	{ "revocations-per-hour", CONF_INTEGER, "1..1000000", "3600",
	  "Revocations one address may ask for at once, and again each hour.", NULL, NULL },
	{ "attributes", CONF_MAP, NULL, NULL, "Attributes that go with every request of this endpoint to the policy.",
	  NULL, NULL },
	{ 0 },
};

/* Routes: who signs, and what is done. */

static int get_directory(void *state, const struct http_request *q, struct http_reply *r)
{
	return acme_get(state, q, r, acme_directory);
}

static int post_directory(void *state, const struct http_request *q, struct http_reply *r)
{
	return acme_post_as_get(state, q, r, acme_directory);
}

static int get_new_nonce(void *state, const struct http_request *q, struct http_reply *r)
{
	return acme_get(state, q, r, acme_new_nonce);
}

static int post_new_nonce(void *state, const struct http_request *q, struct http_reply *r)
{
	return acme_post_as_get(state, q, r, acme_new_nonce);
}

static int post_new_account(void *state, const struct http_request *q, struct http_reply *r)
{
	return acme_post(state, q, r, ACME_BY_KEY, acme_new_account);
}

static int post_account(void *state, const struct http_request *q, struct http_reply *r)
{
	return acme_post(state, q, r, ACME_BY_ACCOUNT, acme_account);
}

static int post_account_orders(void *state, const struct http_request *q, struct http_reply *r)
{
	return acme_post_as_get(state, q, r, acme_account_orders);
}

static int post_key_change(void *state, const struct http_request *q, struct http_reply *r)
{
	struct acme *acme = state;

	return acme_post_limited(acme, q, r, ACME_BY_ACCOUNT, acme_key_change, acme->key_change_limit, "key changes");
}

static int post_new_order(void *state, const struct http_request *q, struct http_reply *r)
{
	return acme_post(state, q, r, ACME_BY_ACCOUNT, acme_new_order);
}

static int post_order(void *state, const struct http_request *q, struct http_reply *r)
{
	return acme_post_as_get(state, q, r, acme_order);
}

static int post_finalize(void *state, const struct http_request *q, struct http_reply *r)
{
	return acme_post(state, q, r, ACME_BY_ACCOUNT, acme_finalize);
}

static int post_authz(void *state, const struct http_request *q, struct http_reply *r)
{
	return acme_post(state, q, r, ACME_BY_ACCOUNT, acme_authz);
}

static int post_challenge(void *state, const struct http_request *q, struct http_reply *r)
{
	return acme_post(state, q, r, ACME_BY_ACCOUNT, acme_challenge);
}

static int post_certificate(void *state, const struct http_request *q, struct http_reply *r)
{
	return acme_post_as_get(state, q, r, acme_certificate);
}

static int post_revoke_cert(void *state, const struct http_request *q, struct http_reply *r)
{
	struct acme *acme = state;

	return acme_post_limited(acme, q, r, ACME_BY_EITHER, acme_revoke_cert, acme->revocation_limit, "revocations");
}

static const struct proto_route acme_routes[] = {
	{ "GET", "/directory", get_directory },
	{ "POST", "/directory", post_directory }, /* RFC 8555 6.3 */
	{ "GET", "/new-nonce", get_new_nonce },
	{ "POST", "/new-nonce", post_new_nonce },
	{ "POST", "/new-account", post_new_account },
	{ "POST", "/account/{id}", post_account },
	{ "POST", "/account/{id}/orders", post_account_orders },
	{ "POST", "/key-change", post_key_change },
	{ "POST", "/new-order", post_new_order },
	{ "POST", "/order/{id}", post_order },
	{ "POST", "/order/{id}/finalize", post_finalize },
	{ "POST", "/authz/{id}", post_authz },
	{ "POST", "/challenge/{id}", post_challenge },
	{ "POST", "/cert/{id}", post_certificate },
	{ "POST", "/revoke-cert", post_revoke_cert },
	{ 0 },
};

/* Start and end. */

static void settings_fini(struct acme_settings *set)
{
	free(set->terms_of_service);
	free(set->website);
	for (size_t i = 0; i < set->n_caa_identities; i++)
		free(set->caa_identities[i]);
	free(set->caa_identities);
	proto_attributes_fini(&set->attributes);
}

static void acme_drop(struct acme **ap)
{
	struct acme *a = *ap;

	if (!a)
		return;
	account_cache_drop(&a->accounts);
	acme_store_drop(&a->store);
	nonces_drop(&a->nonces);
	limit_drop(&a->nonce_limit);
	limit_drop(&a->account_limit);
	limit_drop(&a->order_limit);
	limit_drop(&a->challenge_limit);
	limit_drop(&a->key_change_limit);
	limit_drop(&a->revocation_limit);
	pthread_mutex_destroy(&a->claims_lock);
	settings_fini(&a->set);
	free(a->endpoint);
	free(a->profile);
	free(a->path);
	free(a);
	*ap = NULL;
}

/* A copy of an absent string is absent. */
static int copy(char **out, const char *text)
{
	*out = text ? strdup(text) : NULL;
	return text && !*out ? -ENOMEM : 0;
}

static int copy_caa_identities(struct acme_settings *set, const struct conf_section *conf)
{
	size_t n = conf_count(conf, "caa-identities");
	int e = 0;

	set->caa_identities = calloc(n + 1, sizeof(*set->caa_identities));
	if (!set->caa_identities)
		return -ENOMEM;
	for (; set->n_caa_identities < n && !e; set->n_caa_identities++)
		e = copy(&set->caa_identities[set->n_caa_identities],
			 conf_str_at(conf, "caa-identities", set->n_caa_identities));
	return e;
}

static int settings_init(struct acme_settings *set, const struct conf_section *conf)
{
	int e = copy(&set->terms_of_service, conf_str(conf, "terms-of-service"));

	if (!e)
		e = copy(&set->website, conf_str(conf, "website"));
	if (!e)
		e = copy_caa_identities(set, conf);
	set->order_lifetime_s = conf_duration_ms(conf, "order-lifetime") / 1000;
	set->authorization_lifetime_s = conf_duration_ms(conf, "authorization-lifetime") / 1000;
	set->retention_s = conf_duration_ms(conf, "retention") / 1000;
	set->authorization_reuse = conf_bool(conf, "authorization-reuse");
	set->external_account_required = conf_bool(conf, "external-account-required");
	set->open_orders = (unsigned)conf_int(conf, "open-orders");
	return e;
}

static int env_init(struct acme *a, const struct proto_env *env)
{
	int e = copy(&a->endpoint, env->endpoint);

	if (!e)
		e = copy(&a->profile, env->profile);
	if (!e)
		e = copy(&a->path, env->path);
	a->ca = env->ca;
	atomic_store(&a->unsure_until_s, clock_wall_s());
	a->validator = env->validator;
	a->waits = env->waits;
	return e;
}

static int limits_init(struct acme *a, const struct conf_section *conf)
{
	unsigned nonces = (unsigned)conf_int(conf, "nonces-per-second") * 3600;
	unsigned accounts = (unsigned)conf_int(conf, "accounts-per-hour");
	unsigned orders = (unsigned)conf_int(conf, "orders-per-hour");
	unsigned challenges = (unsigned)conf_int(conf, "challenges-per-hour");
	unsigned key_changes = (unsigned)conf_int(conf, "key-changes-per-hour");
	unsigned revocations = (unsigned)conf_int(conf, "revocations-per-hour");
	int e = limit_new(&a->nonce_limit, nonces, (unsigned)conf_int(conf, "nonces-burst"));

	if (!e)
		e = limit_new(&a->account_limit, accounts, accounts);
	if (!e)
		e = limit_new(&a->order_limit, orders, orders);
	if (!e)
		e = limit_new(&a->challenge_limit, challenges, challenges);
	if (!e)
		e = limit_new(&a->key_change_limit, key_changes, key_changes);
	return e ? e : limit_new(&a->revocation_limit, revocations, revocations);
}

/* The files of this instance: acme-NAME.db and acme-NAME.nonces. */
static int files_init(struct acme *a, const char *folder, char *why, size_t why_size)
{
	OWNED_BUF path = BUF_INIT(4096);
	int e = buf_printf(&path, "%s/acme-%s.db", folder, a->endpoint);

	if (e)
		return e;
	e = acme_store_open(&a->store, buf_str(&path), why, why_size);
	if (e)
		return e;
	e = account_cache_new(&a->accounts, a->store, ACME_ACCOUNTS_KEPT);
	if (e)
		return e;
	buf_reset(&path);
	e = buf_printf(&path, "%s/acme-%s.nonces", folder, a->endpoint);
	if (!e)
		e = nonces_new(&a->nonces, buf_str(&path));
	if (e)
		snprintf(why, why_size, "%s: %s", buf_str(&path), strerror(-e));
	return e;
}

static int acme_init(void **state, const struct proto_env *env, const struct conf_section *conf, char *why,
		     size_t why_size)
{
	OWNED(acme) a = calloc(1, sizeof(*a));
	int e;

	snprintf(why, why_size, "no memory");
	if (!a)
		return -ENOMEM;
	pthread_mutex_init(&a->claims_lock, NULL);
	e = env_init(a, env);
	if (!e)
		e = settings_init(&a->set, conf);
	if (!e)
		e = proto_attributes_read(&a->set.attributes, conf, why, why_size);
	if (!e)
		e = limits_init(a, conf);
	if (!e)
		e = acme_random_token(a->directory_key);
	if (!e)
		e = files_init(a, env->data_folder, why, why_size);
	if (e)
		return e;
	*state = MOVE(a);
	return 0;
}

/* A graceful stop: nonces that clients hold stay good. */
static void acme_fini(void *state)
{
	struct acme *a = state;
	int e = nonces_save(a->nonces);

	if (e)
		log_warn("acme.nonce.lost", "endpoint", a->endpoint, "error", strerror(-e));
	acme_drop(&a);
}

static void acme_tick(void *state)
{
	struct acme *a = state;
	int64_t now_s = clock_wall_s();
	bool more = false;
	int e;

	acme_withdraw_ended(a);
	if (clock_mono_ms() < a->next_sweep_ms)
		return;
	e = acme_store_sweep(a->store, now_s, now_s - a->set.retention_s, &more);
	if (e)
		log_warn("acme.sweep.failed", "endpoint", a->endpoint, "error", strerror(-e));
	a->next_sweep_ms = clock_mono_ms() + (more ? 0 : SWEEP_EVERY_MS);
}

/* What is counted. */

static unsigned long long read_orders_made(void *state)
{
	return atomic_load(&((struct acme *)state)->orders_made);
}

static unsigned long long read_orders_valid(void *state)
{
	return atomic_load(&((struct acme *)state)->orders_valid);
}

static unsigned long long read_orders_invalid(void *state)
{
	return atomic_load(&((struct acme *)state)->orders_invalid);
}

static unsigned long long read_problems(void *state)
{
	return atomic_load(&((struct acme *)state)->problems);
}

static unsigned long long read_nonces_issued(void *state)
{
	uint64_t issued, refused;

	nonces_count(((struct acme *)state)->nonces, &issued, &refused);
	return issued;
}

static unsigned long long read_nonces_refused(void *state)
{
	uint64_t issued, refused;

	nonces_count(((struct acme *)state)->nonces, &issued, &refused);
	return refused;
}

static const struct proto_counter acme_counters[] = {
	{ "acme_orders_created", "Orders made.", read_orders_made },
	{ "acme_orders_valid", "Orders that got their certificate.", read_orders_valid },
	{ "acme_orders_refused", "Orders that were refused.", read_orders_invalid },
	{ "acme_problems", "Answers that were problem documents.", read_problems },
	{ "acme_nonces_issued", "Nonces given out.", read_nonces_issued },
	{ "acme_nonces_refused", "Nonces that were not good (any more).", read_nonces_refused },
	{ 0 },
};

static const struct proto_refusal acme_refusal = { "application/problem+json", acme_print_refusal };

const struct proto_adapter proto_acme = {
	.abi = PROTO_ABI,
	.name = "acme",
	.summary = "Automatic Certificate Management Environment, RFC 8555",
	.caps = PROTO_CAP_PENDING,
	.body_max = ACME_BODY_MAX,
	.options = acme_options,
	.check = proto_attributes_check,
	.routes = acme_routes,
	.init = acme_init,
	.fini = acme_fini,
	.tick = acme_tick,
	.refusal = &acme_refusal,
	.counters = acme_counters,
};
