/* Accounts (RFC 8555 7.3) and their list of orders (7.1.2.1).
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "protocols/acme/acme_int.h"

#include <errno.h>

#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/base/own.h"

#define WITHDRAW_MAX 16 /* accounts of one tick */
#define WITHDRAW_PAUSE_MS 10000 /* while the core does not answer */
#define CONTACTS_MAX 10
#define CONTACT_SIZE_MAX 320 /* mailto: and an address of RFC 5321 4.5.3.1 */

static const char *requester_of(struct arena *arena, const struct acme_account *a)
{
	return arena_printf(arena, "acme:%lld/%.22s", (long long)a->id, a->first_thumbprint);
}

const char *acme_requester(struct acme_call *c)
{
	return requester_of(c->q->arena, &c->account);
}

/* Tell the core of one account. 0, and `*more` says whether there was one; CA_CALL_BUSY; negative. */
static int withdraw_one(struct acme *a, bool *more)
{
	OWNED_CA_OUTCOME out = CA_OUTCOME_INIT;
	OWNED(arena) arena = NULL;
	struct acme_account account = { 0 };
	const char *requester;
	int e = arena_new(&arena, 4096);

	if (!e)
		e = acme_store_find_ended(a->store, arena, &account);
	*more = !e && account.id;
	if (!*more)
		return e;
	requester = requester_of(arena, &account);
	if (!requester)
		return -ENOMEM;
	e = ca_withdraw(a->ca, a->endpoint, requester, "the ACME account was deactivated", &out);
	if (e == CA_CALL_REFUSED) {
		log_warn("acme.withdraw.refused", "endpoint", a->endpoint, "requester", requester, "reason",
			 out.reason);
		e = 0;
	}
	return e ? e : acme_store_account_withdrawn(a->store, account.id);
}

void acme_withdraw_ended(struct acme *a)
{
	bool more = true;
	int e = 0;

	if (clock_mono_ms() < a->next_withdraw_ms)
		return;
	for (int i = 0; i < WITHDRAW_MAX && more && !e; i++)
		e = withdraw_one(a, &more);
	if (e)
		a->next_withdraw_ms = clock_mono_ms() + WITHDRAW_PAUSE_MS;
	if (e < 0)
		log_warn("acme.withdraw.failed", "endpoint", a->endpoint, "error", strerror(-e));
}

int acme_reply_account(struct acme_call *c, const struct acme_account *a, int status)
{
	OWNED_BUF body = BUF_INIT(ACME_DOCUMENT_MAX);
	struct json_writer w = { .out = &body };
	char *url = acme_url(c, "/account/%lld", (long long)a->id);
	int e = url ? http_reply_header(c->r, "Location", "%s", url) : -ENOMEM;

	if (e)
		return e;
	json_open(&w, NULL, '{');
	json_string(&w, "status", acme_status_word(a->status));
	json_raw(&w, "contact", a->contact);
	if (a->terms_s)
		json_bool(&w, "termsOfServiceAgreed", true);
	json_raw(&w, "externalAccountBinding", a->binding);
	json_stringf(&w, "orders", "%s/orders", url);
	json_close(&w, '}');
	return acme_reply_json(c, status, &body);
}

/* A mail address in the plain form that every mail system takes: one '@', no quoting, no header fields. */
static bool is_plain_mailbox(const char *s)
{
	const char *at = strchr(s, '@');

	if (!at || at == s || strchr(at + 1, '@') || !strchr(at + 1, '.') || at[1] == '.' || s[strlen(s) - 1] == '.')
		return false;
	for (; *s; s++)
		if (*s <= ' ' || *s > '~' || strchr("\"(),:;<>[\\]?%", *s))
			return false;
	return true;
}

/* The contacts of a payload as JSON text in the arena; NULL in `*out` when it has none. 0; 1: answered; negative. */
static int read_contacts(struct acme_call *c, const char **out)
{
	const cJSON *list = json_get(c->payload, "contact"), *item;
	OWNED_BUF text = BUF_INIT(ACME_DOCUMENT_MAX);
	struct json_writer w = { .out = &text };
	int e = 0;

	*out = NULL;
	if (!list)
		return 0;
	if (!cJSON_IsArray(list) || cJSON_GetArraySize(list) > CONTACTS_MAX) {
		e = acme_problem(c, ACME_ERR_INVALID_CONTACT, "contact is a list of at most %d URLs", CONTACTS_MAX);
		return e ? e : 1;
	}
	json_open(&w, NULL, '[');
	cJSON_ArrayForEach(item, list) {
		const char *url = cJSON_GetStringValue(item);

		if (!url || strlen(url) > CONTACT_SIZE_MAX || !strchr(url, ':'))
			e = acme_problem(c, ACME_ERR_INVALID_CONTACT, "a contact is not a URL");
		else if (strncmp(url, "mailto:", 7) != 0)
			e = acme_problem(c, ACME_ERR_UNSUPPORTED_CONTACT, "contacts are mailto: URLs");
		else if (!is_plain_mailbox(url + 7))
			e = acme_problem(c, ACME_ERR_INVALID_CONTACT, "a contact is not one plain mail address");
		else {
			json_string(&w, NULL, url);
			continue;
		}
		return e ? e : 1;
	}
	json_close(&w, ']');
	*out = buf_status(&text) ? NULL : arena_strdup(c->q->arena, buf_str(&text));
	return *out ? 0 : -ENOMEM;
}

/* 0; 1: answered; negative. */
static int check_new_account(struct acme_call *c, bool agreed)
{
	unsigned retry_after_s = 0;
	int e;

	if (c->acme->set.terms_of_service && !agreed) {
		e = http_reply_header(c->r, "Link", "<%s>;rel=\"terms-of-service\"", c->acme->set.terms_of_service);
		if (!e)
			e = acme_problem(c, ACME_ERR_USER_ACTION_REQUIRED,
					 "the terms of service must be agreed to: %s", c->acme->set.terms_of_service);
		return e ? e : 1;
	}
	if (!limit_take(c->acme->account_limit, c->q->peer_address, 1, &retry_after_s)) {
		e = http_reply_retry_after(c->r, retry_after_s);
		if (!e)
			e = acme_problem(c, ACME_ERR_RATE_LIMITED, "too many new accounts for this address");
		return e ? e : 1;
	}
	return 0;
}

/* RFC 8555 7.3.1. A deactivated account does not come back. */
static int reply_existing(struct acme_call *c, const struct acme_account *a)
{
	if (a->status != ACME_VALID)
		return acme_problem_status(c, 401, ACME_ERR_UNAUTHORIZED, "the account is deactivated");
	return acme_reply_account(c, a, 200);
}

static int make_account(struct acme_call *c)
{
	bool agreed = cJSON_IsTrue(json_get(c->payload, "termsOfServiceAgreed"));
	struct acme_account a = {
		.status = ACME_VALID,
		.jwk = c->key->text,
		.thumbprint = c->key->thumbprint,
		.terms_s = agreed ? c->now_s : 0,
	};
	int e = read_contacts(c, &a.contact);

	if (!e)
		e = check_new_account(c, agreed);
	if (!e)
		e = acme_binding_read(c, &a);
	if (e)
		return e < 0 ? e : 0;
	if (!a.contact)
		a.contact = "[]";
	e = acme_store_add_account(c->acme->store, &a, c->now_s, &a.id);
	if (e != ACME_STORE_EXISTS)
		return e ? e : acme_reply_account(c, &a, 201);
	e = acme_store_find_account(c->acme->store, c->q->arena, c->key->thumbprint, &a);
	if (e == ACME_STORE_NONE)
		return acme_problem_status(c, 401, ACME_ERR_UNAUTHORIZED,
					   "an account was made with this key and changed it; use another key");
	return e ? e : reply_existing(c, &a); /* made meanwhile */
}

int acme_new_account(struct acme_call *c)
{
	struct acme_account a;
	int e;

	if (!c->payload)
		return acme_problem(c, ACME_ERR_MALFORMED, "the payload is not a JSON object");
	e = acme_store_find_account(c->acme->store, c->q->arena, c->key->thumbprint, &a);
	if (e == 0)
		return reply_existing(c, &a);
	if (e != ACME_STORE_NONE)
		return e;
	if (cJSON_IsTrue(json_get(c->payload, "onlyReturnExisting")))
		return acme_problem(c, ACME_ERR_ACCOUNT_DOES_NOT_EXIST, "there is no account with this key");
	return make_account(c);
}

/* The account in the URL is the one that signed. */
static bool is_own_account(const struct acme_call *c)
{
	return strcmp(c->q->params[0], arena_printf(c->q->arena, "%lld", (long long)c->account.id) ?: "") == 0;
}

/* RFC 8555 7.3.6. */
static int deactivate(struct acme_call *c)
{
	int e = account_cache_deactivate(c->acme->accounts, c->account.id);

	if (e)
		return e;
	log_info("acme.account.deactivated", "endpoint", c->acme->endpoint, "requester", acme_requester(c) ?: "-",
		 "address", c->q->peer_address);
	c->account.status = ACME_DEACTIVATED;
	return acme_reply_account(c, &c->account, 200);
}

/* RFC 8555 7.3.2: an update may change the contacts; other members are ignored. */
int acme_account(struct acme_call *c)
{
	const char *contact = NULL, *status = json_get_string(c->payload, "status");
	int e;

	if (!is_own_account(c))
		return acme_not_found(c);
	if (status && strcmp(status, "deactivated") == 0)
		return deactivate(c);
	e = read_contacts(c, &contact);
	if (e)
		return e < 0 ? e : 0;
	if (contact) {
		e = account_cache_set_contact(c->acme->accounts, c->account.id, contact);
		c->account.contact = contact;
	}
	return e ? e : acme_reply_account(c, &c->account, 200);
}

/* "after=4711"; 0 without a query, -1 for another one. */
static int64_t cursor_of(const char *query)
{
	int64_t id = 0;

	if (!query)
		return 0;
	if (strncmp(query, "after=", 6) != 0 || !query[6] || strlen(query + 6) > 18 ||
	    strspn(query + 6, "0123456789") != strlen(query + 6))
		return -1;
	for (const char *p = query + 6; *p; p++)
		id = id * 10 + (*p - '0');
	return id;
}

int acme_account_orders(struct acme_call *c)
{
	const char *names[ACME_ORDERS_PAGE];
	OWNED_BUF body = BUF_INIT(ACME_DOCUMENT_MAX);
	struct json_writer w = { .out = &body };
	int64_t after = cursor_of(c->q->query), last = 0;
	size_t n = 0;
	int e;

	if (!is_own_account(c) || after < 0)
		return acme_not_found(c);
	e = acme_store_list_orders(c->acme->store, c->q->arena, c->account.id, after, c->now_s, names, &n, &last);
	if (!e && last)
		e = http_reply_header(c->r, "Link", "<%s%s?after=%lld>;rel=\"next\"", c->q->base_url, c->q->path,
				      (long long)last);
	if (e)
		return e;
	json_open(&w, NULL, '{');
	json_open(&w, "orders", '[');
	for (size_t i = 0; i < n; i++)
		json_stringf(&w, NULL, "%s%s/order/%s", c->q->base_url, c->acme->path, names[i]);
	json_close(&w, ']');
	json_close(&w, '}');
	return acme_reply_json(c, 200, &body);
}
