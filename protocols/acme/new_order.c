/* newOrder: identifiers judged, authorizations used again or made (RFC 8555 7.4).
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "protocols/acme/acme_int.h"

#include <errno.h>

#include "core/base/clock.h"
#include "core/base/own.h"

/* An authorization is used again only while a client has time left to finish its order with it. */
#define REUSE_MARGIN_S 3600

static const enum acme_error identifier_error[] = {
	[ACME_IDENTIFIER_MALFORMED] = ACME_ERR_MALFORMED,
	[ACME_IDENTIFIER_REJECTED] = ACME_ERR_REJECTED_IDENTIFIER,
	[ACME_IDENTIFIER_UNSUPPORTED_TYPE] = ACME_ERR_UNSUPPORTED_IDENTIFIER,
};

/* What newOrder was asked for, judged: identifiers that are fine, and a problem for each that is not. */
struct wanted {
	struct acme_identifier *ids;
	size_t n;
	struct acme_subproblem *problems;
	size_t n_problems;
};

static bool is_there(const struct wanted *w, const struct acme_identifier *id)
{
	for (size_t i = 0; i < w->n; i++)
		if (w->ids[i].kind == id->kind && strcmp(w->ids[i].value, id->value) == 0)
			return true;
	return false;
}

/* An identifier asked for twice is taken once. */
static void judge(struct wanted *w, const char *type, const char *value)
{
	struct acme_identifier *id = &w->ids[w->n];
	const char *why = "";
	int e = acme_identifier_read(id, type, value, &why);

	if (e)
		w->problems[w->n_problems++] = (struct acme_subproblem){ identifier_error[e], why, type, value };
	else if (!is_there(w, id))
		w->n++;
}

/* The problem of the whole: that of its only bad identifier, or the one type that all have, or malformed. */
static int reply_problems(struct acme_call *c, const struct wanted *w)
{
	enum acme_error error = w->problems[0].error;

	if (w->n_problems == 1) {
		const char *detail = arena_printf(c->q->arena, "%s: %s", w->problems[0].value, w->problems[0].detail);

		return detail ? acme_problem_with(c, error, detail, w->problems, 1) : -ENOMEM;
	}
	for (size_t i = 1; i < w->n_problems; i++)
		if (w->problems[i].error != error)
			error = ACME_ERR_MALFORMED;
	return acme_problem_with(c, error, "several identifiers cannot be taken", w->problems, w->n_problems);
}

/* 0; 1: answered; negative. */
static int answer_problems(struct acme_call *c, const struct wanted *w)
{
	int e = w->n_problems > 0 ? reply_problems(c, w) : 0;

	return e || w->n_problems == 0 ? e : 1;
}

/* The names that the external account of the account may not have. 0; 1: answered; negative. */
static int judge_external(struct acme_call *c, struct wanted *w)
{
	struct ca_name *names = arena_alloc(c->q->arena, w->n * sizeof(*names));
	bool *outside = arena_alloc(c->q->arena, w->n);
	int e;

	if (!names || !outside)
		return -ENOMEM;
	for (size_t i = 0; i < w->n; i++)
		names[i] = (struct ca_name){ .kind = w->ids[i].kind, .value = w->ids[i].value };
	e = acme_binding_check_names(c, names, w->n, outside);
	for (size_t i = 0; i < w->n && !e; i++)
		if (outside[i])
			w->problems[w->n_problems++] = (struct acme_subproblem){
				ACME_ERR_REJECTED_IDENTIFIER, "not among the names of the external account",
				acme_identifier_type(w->ids[i].kind), w->ids[i].value,
			};
	return e ? e : answer_problems(c, w);
}

/* 0; 1: answered; negative. */
static int read_wanted(struct acme_call *c, struct wanted *w)
{
	const cJSON *list = json_get(c->payload, "identifiers"), *item;
	int n = cJSON_IsArray(list) ? cJSON_GetArraySize(list) : 0;
	int e = 0;

	if (n < 1 || n > ACME_IDENTIFIERS_MAX) {
		e = acme_problem(c, ACME_ERR_MALFORMED, "identifiers is a list of 1 to %d identifiers",
				 ACME_IDENTIFIERS_MAX);
		return e ? e : 1;
	}
	w->ids = arena_alloc(c->q->arena, (size_t)n * sizeof(*w->ids));
	w->problems = arena_alloc(c->q->arena, (size_t)n * sizeof(*w->problems));
	if (!w->ids || !w->problems)
		return -ENOMEM;
	cJSON_ArrayForEach(item, list) {
		const char *type = json_get_string(item, "type"), *value = json_get_string(item, "value");

		if (!type || !value) {
			e = acme_problem(c, ACME_ERR_MALFORMED, "an identifier has the strings type and value");
			return e ? e : 1;
		}
		judge(w, type, value);
	}
	return answer_problems(c, w);
}

/* A name made now, in the arena. */
static const char *fresh_name(struct acme_call *c)
{
	char name[ACME_ORDER_NAME_SIZE];

	return acme_new_name(name) ? NULL : arena_strdup(c->q->arena, name);
}

/* RFC 8555 8.3: at least 128 bits of entropy, base64url. */
static const char *fresh_token(struct acme_call *c)
{
	char token[ACME_TOKEN_SIZE];

	return acme_random_token(token) ? NULL : arena_strdup(c->q->arena, token);
}

/* `place`: in the order `order`. */
static int make_authz(struct acme_call *c, const struct acme_identifier *id, const char *order, size_t place,
		      struct acme_authz *out)
{
	*out = (struct acme_authz){
		.account = c->account.id,
		.name = arena_printf(c->q->arena, "%s-%zu", order, place),
		.kind = id->kind,
		.value = id->value,
		.status = ACME_PENDING,
		.expires_s = c->now_s + c->acme->set.order_lifetime_s,
		.challenge = {
			.name = arena_printf(c->q->arena, "%s-%zu-0", order, place),
			.type = "http-01",
			.token = fresh_token(c),
			.status = ACME_PENDING,
		},
	};
	return out->name && out->challenge.name && out->challenge.token ? 0 : -EIO;
}

static int make_order(struct acme_call *c, const struct wanted *w, struct acme_order *o)
{
	int e = 0;

	*o = (struct acme_order){
		.account = c->account.id,
		.name = fresh_name(c),
		.status = ACME_PENDING,
		.expires_s = c->now_s + c->acme->set.order_lifetime_s,
		.authz = arena_alloc(c->q->arena, w->n * sizeof(*o->authz)),
		.n_authz = w->n,
	};
	if (!o->name || !o->authz)
		return -ENOMEM;
	for (size_t i = 0; i < w->n && !e; i++)
		e = make_authz(c, &w->ids[i], o->name, i, &o->authz[i]);
	return e;
}

static int add_order(struct acme_call *c, struct acme_order *o)
{
	const struct acme_settings *set = &c->acme->set;
	int64_t reuse_s = set->authorization_reuse ? c->now_s + REUSE_MARGIN_S : INT64_MAX;
	int e = acme_store_add_order(c->acme->store, c->q->arena, o, c->now_s, set->open_orders, reuse_s);
	size_t n = 0;

	while (!e && n < o->n_authz && o->authz[n].status == ACME_VALID)
		n++;
	if (!e && n == o->n_authz)
		o->status = ACME_READY;
	return e;
}

int acme_new_order(struct acme_call *c)
{
	struct wanted w = { .n = 0 };
	struct acme_order o;
	int e;

	if (json_get(c->payload, "notBefore") || json_get(c->payload, "notAfter"))
		return acme_problem(c, ACME_ERR_MALFORMED, "notBefore and notAfter are not supported");
	e = read_wanted(c, &w);
	if (!e)
		e = acme_limit_account(c, c->acme->order_limit, (unsigned)w.n, "names in new orders");
	if (!e)
		e = judge_external(c, &w);
	if (e)
		return e < 0 ? e : 0;
	e = make_order(c, &w, &o);
	if (!e)
		e = add_order(c, &o);
	if (e == ACME_STORE_FULL) {
		e = http_reply_retry_after(c->r, 3600);
		return e ? e : acme_problem(c, ACME_ERR_RATE_LIMITED, "the account has %u open orders already",
					    c->acme->set.open_orders);
	}
	if (e)
		return e;
	atomic_fetch_add(&c->acme->orders_made, 1);
	return acme_order_reply(c, &o, 201);
}
