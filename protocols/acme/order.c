/* The order object (RFC 8555 7.1.3): read, and written to the client.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "protocols/acme/acme_int.h"

#include <errno.h>
#include <limits.h>

#include "core/base/clock.h"
#include "core/base/own.h"

/* The table of waiting: the older a request, the longer the pause. A person who has not looked for an hour will not
 * look within the next seconds; above 600 some clients give up. */
unsigned acme_retry_after_s(const struct acme_order *o, int64_t now_s)
{
	static const struct {
		int64_t age_s;
		unsigned pause_s;
	} steps[] = { { 60, 5 }, { 300, 15 }, { 3600, 60 }, { 6 * 3600, 300 } };
	int64_t age_s = now_s - o->finalized_s;

	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++)
		if (age_s < steps[i].age_s)
			return steps[i].pause_s;
	return 600;
}

unsigned acme_collect_s(const struct acme_order *o, int64_t now_s)
{
	int64_t rest_s = o->expires_s - now_s;

	if (rest_s <= 0)
		return 0;
	return rest_s < UINT_MAX ? (unsigned)rest_s : UINT_MAX;
}

int acme_order_load(struct acme_call *c, struct acme_order *out)
{
	int e = acme_store_get_order(c->acme->store, c->q->arena, c->q->params[0], c->now_s, out);

	if (e < 0 || (!e && out->account == c->account.id))
		return e;
	e = acme_not_found(c);
	return e ? e : ACME_STORE_NONE;
}

static void write_order(struct json_writer *w, const struct acme_call *c, const struct acme_order *o)
{
	const char *base = c->q->base_url, *path = c->acme->path;
	char time[CLOCK_TEXT_SIZE];

	json_open(w, NULL, '{');
	json_string(w, "status", acme_status_word(o->status));
	json_string(w, "expires", clock_print_s(o->expires_s, time));
	json_open(w, "identifiers", '[');
	for (size_t i = 0; i < o->n_authz; i++) {
		json_open(w, NULL, '{');
		json_string(w, "type", acme_identifier_type(o->authz[i].kind));
		json_string(w, "value", o->authz[i].value);
		json_close(w, '}');
	}
	json_close(w, ']');
	json_open(w, "authorizations", '[');
	for (size_t i = 0; i < o->n_authz; i++)
		json_stringf(w, NULL, "%s%s/authz/%s", base, path, o->authz[i].name);
	json_close(w, ']');
	json_stringf(w, "finalize", "%s%s/order/%s/finalize", base, path, o->name);
	if (o->status == ACME_VALID)
		json_stringf(w, "certificate", "%s%s/cert/%s", base, path, o->certificate);
	if (o->status == ACME_INVALID)
		json_raw(w, "error", o->error);
	json_close(w, '}');
}

/* The stored error, or what follows from the clock and the authorizations. */
static int explain_invalid(struct acme_call *c, struct acme_order *o)
{
	const char *detail = "an authorization of the order is not valid";

	if (o->status != ACME_INVALID || o->error)
		return 0;
	if (o->expires_s <= c->now_s)
		detail = "the order expired";
	o->error = acme_problem_text(c->q->arena, ACME_ERR_UNAUTHORIZED, detail);
	return o->error ? 0 : -ENOMEM;
}

/* An order that is looked at again and again says how often; a new one waits for its client. */
static int pace(struct acme_call *c, const struct acme_order *o, int status)
{
	if (o->status == ACME_PROCESSING)
		return http_reply_retry_after(c->r, acme_retry_after_s(o, c->now_s));
	return o->status == ACME_PENDING && status == 200 ? http_reply_retry_after(c->r, ACME_POLL_S) : 0;
}

int acme_order_reply(struct acme_call *c, const struct acme_order *order, int status)
{
	struct acme_order o = *order;
	OWNED_BUF body = BUF_INIT(ACME_DOCUMENT_MAX);
	struct json_writer w = { .out = &body };
	char *url = acme_url(c, "/order/%s", o.name);
	int e = url ? explain_invalid(c, &o) : -ENOMEM;

	if (!e)
		e = http_reply_header(c->r, "Location", "%s", url);
	if (!e)
		e = pace(c, &o, status);
	if (e)
		return e;
	write_order(&w, c, &o);
	return acme_reply_json(c, status, &body);
}
