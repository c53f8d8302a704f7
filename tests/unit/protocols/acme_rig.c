/* The client, the validator and the core of the tests.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tests/unit/protocols/acme_rig.h"

#include "core/base/clock.h"
#include "core/base/own.h"
#include "tests/test.h"

#include <dirent.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <unistd.h>

/* The core: the functions of core/submit.h, answering as the test said. */

struct ca_door {
	struct rig_core core;
};

void ca_outcome_fini(struct ca_outcome *out)
{
	buf_fini(&out->certificate);
	buf_fini(&out->chain);
}

static int answer(const struct rig_core *core, struct ca_outcome *out)
{
	out->id = core->call == 0 ? 42 : 0;
	out->disposition = core->disposition;
	out->status = core->status;
	snprintf(out->reason, sizeof(out->reason), "%s", core->reason ? core->reason : "");
	if (core->call == 0 && core->disposition == CA_ISSUED) {
		buf_append(&out->certificate, core->leaf);
		if (!core->no_chain)
			buf_append(&out->chain, core->issuer);
	}
	return core->call;
}

static void remember_names(char *out, size_t size, const struct ca_name *names, size_t n_names)
{
	out[0] = '\0';
	for (size_t i = 0; i < n_names; i++) {
		size_t n = strlen(out);

		assert_int_equal(names[i].evidence, CA_EVIDENCE_ACME_AUTHORIZATION);
		snprintf(out + n, size - n, "%s:%s;", names[i].kind == CA_NAME_IP ? "ip" : "dns", names[i].value);
	}
}

static void remember(struct rig_core *core, const struct ca_submission *s)
{
	core->last = *s;
	snprintf(core->last_requester, sizeof(core->last_requester), "%s", s->requester);
	core->last_evidence[0] = core->last_attributes[0] = '\0';
	remember_names(core->last_names, sizeof(core->last_names), s->names, s->n_names);
	for (size_t i = 0; i < s->n_names; i++) {
		size_t n = strlen(core->last_evidence);

		snprintf(core->last_evidence + n, sizeof(core->last_evidence) - n, "%s;", s->names[i].evidence_text);
	}
	for (size_t i = 0; i < s->n_attributes; i++) {
		size_t n = strlen(core->last_attributes);

		snprintf(core->last_attributes + n, sizeof(core->last_attributes) - n, "%s=%s;",
			 s->attributes[i].name, s->attributes[i].value);
	}
	snprintf(core->last_external, sizeof(core->last_external), "%s", s->credential ? s->credential->name : "");
	snprintf(core->last_external_account, sizeof(core->last_external_account), "%s",
		 s->credential ? s->credential->account : "");
	buf_reset(&core->last_request);
	assert_int_equal(buf_append(&core->last_request, s->request), 0);
}

bool ca_attribute_is_observed(const char *name)
{
	return strcmp(name, "acme-account") == 0;
}

int ca_submit(struct ca_door *ca, const struct ca_submission *s, struct ca_outcome *out)
{
	struct rig_core *core = &ca->core;
	void (*during)(void *) = core->during_submit;

	core->submits++;
	core->waiting = core->rig_waiting ? *core->rig_waiting : 0;
	remember(core, s);
	core->during_submit = NULL;
	if (during)
		during(core->during_arg);
	return answer(core, out);
}

int ca_peek(struct ca_door *ca, const char *requester, int64_t id, struct ca_outcome *out)
{
	ca->core.peeks++;
	assert_string_equal(requester, ca->core.last_requester);
	assert_int_equal(id, 42);
	return answer(&ca->core, out);
}

int ca_retrieve(struct ca_door *ca, const char *requester, int64_t id, struct ca_outcome *out)
{
	ca->core.retrieves++;
	assert_string_equal(requester, ca->core.last_requester);
	assert_int_equal(id, 42);
	return ca->core.retrieve_call ? ca->core.retrieve_call : answer(&ca->core, out);
}

static bool mac_is_right(const struct ca_credential_claim *claim)
{
	const char *digest = claim->secret.len == 32 ? "SHA256" : claim->secret.len == 48 ? "SHA384" : "SHA512";
	uint8_t mac[64];
	size_t n = 0;

	assert_non_null(EVP_Q_mac(NULL, "HMAC", NULL, digest, NULL, RIG_MAC_KEY, strlen(RIG_MAC_KEY),
				  claim->message.ptr, claim->message.len, mac, sizeof(mac), &n));
	return bytes_equal(claim->secret, bytes_of(mac, n));
}

/* Bind, or hold names against what the external account may have. */
static bool take_claim(struct rig_core *core, const struct ca_credential_claim *claim, struct ca_credential_answer *a)
{
	static const char domain[] = ".example.com";

	if (claim->secret.len && mac_is_right(claim) && !core->bound[0])
		snprintf(core->bound, sizeof(core->bound), "%s", claim->account);
	for (size_t i = 0; i < claim->n_names; i++) {
		const char *tail = strstr(claim->names[i].value, domain);

		if (!tail || strcmp(tail, domain) != 0)
			a->outside[i / 8] = (uint8_t)(a->outside[i / 8] | 1 << i % 8);
	}
	return strcmp(claim->account, core->bound) == 0 && (!claim->secret.len || mac_is_right(claim));
}

int ca_check_credential(struct ca_door *ca, const struct ca_credential_claim *claim, struct ca_credential_answer *a)
{
	struct rig_core *core = &ca->core;

	core->checks++;
	assert_int_equal(claim->kind, CA_EVIDENCE_EAB);
	assert_string_equal(claim->endpoint, "acme");
	assert_string_equal(claim->source_address, "192.0.2.99");
	a->retry_after_s = core->check_call == CA_CALL_BUSY ? 9 : 0;
	if (core->check_call)
		return core->check_call;
	return strcmp(claim->name, RIG_KID) == 0 && take_claim(core, claim, a) ? 0 : CA_CALL_REFUSED;
}

int ca_revoke(struct ca_door *ca, const struct ca_revocation *v, struct ca_outcome *out)
{
	struct rig_core *core = &ca->core;

	core->revokes++;
	core->last_revocation = *v;
	snprintf(core->last_revoker, sizeof(core->last_revoker), "%s", v->requester ? v->requester : "");
	remember_names(core->last_revoked_names, sizeof(core->last_revoked_names), v->names, v->n_names);
	buf_reset(&core->last_revoked);
	assert_int_equal(buf_append(&core->last_revoked, v->certificate), 0);
	out->retry_after_s = core->revoke_call[v->proof] == CA_CALL_BUSY ? 7 : 0;
	return core->revoke_call[v->proof];
}

int ca_withdraw(struct ca_door *ca, const char *endpoint, const char *requester, const char *reason,
		struct ca_outcome *out)
{
	struct rig_core *core = &ca->core;

	core->withdraws++;
	assert_string_equal(endpoint, "acme");
	assert_non_null(strstr(reason, "deactivated"));
	snprintf(core->last_withdrawn, sizeof(core->last_withdrawn), "%s", requester);
	return core->withdraw_call;
}

int ca_get_chain(struct ca_door *ca, struct buf *out)
{
	return buf_append(out, ca->core.issuer);
}

/* The validator. */

static int check(void *state, const struct validation *what, unsigned wait_ms, struct validation_result *out)
{
	struct rig_validator *v = &((struct rig *)state)->validator;

	v->checks++;
	v->last_wait_ms = wait_ms;
	snprintf(v->last_name, sizeof(v->last_name), "%s", what->dns_name ? what->dns_name : what->ip_address);
	snprintf(v->last_authorization, sizeof(v->last_authorization), "%s", what->key_authorization);
	if (v->call)
		return v->call;
	*out = (struct validation_result){ .problem = v->problem };
	snprintf(out->detail, sizeof(out->detail), "%s", v->problem ? "it did not work" : "");
	snprintf(out->address, sizeof(out->address), "192.0.2.7");
	return 0;
}

static bool enter(void *state)
{
	struct rig *rig = state;

	if (rig->may_wait)
		rig->waiting++;
	return rig->may_wait;
}

static void leave(void *state)
{
	((struct rig *)state)->waiting--;
}

/* The endpoint. */

static void open_endpoint(struct rig *rig, const char *text)
{
	static struct validator validator;
	static struct proto_waits waits;
	struct conf_error error = { 0 };
	struct conf *conf = NULL;
	char why[256] = "";

	validator = (struct validator){ .check = check, .state = rig };
	waits = (struct proto_waits){ enter, leave, rig };
	struct proto_env env = {
		.ca = (struct ca_door *)&rig->core,
		.endpoint = "acme",
		.profile = "tls-server",
		.path = "/acme",
		.data_folder = rig->folder,
		.validator = &validator,
		.waits = &waits,
	};
	if (conf_parse(&conf, bytes_of_str(text), "test", proto_acme.options, &error))
		fail_msg("%s", error.text);
	if (proto_acme.init(&rig->state, &env, conf_root(conf), why, sizeof(why)))
		fail_msg("%s", why);
	conf_drop(&conf);
}

void rig_start(struct rig *rig, const char *conf)
{
	EVP_PKEY *issuer = EVP_EC_gen("P-256");

	*rig = (struct rig){ .may_wait = true };
	clock_fake_set(RIG_NOW_MS);
	snprintf(rig->folder, sizeof(rig->folder), "/tmp/test_acme_XXXXXX");
	assert_non_null(mkdtemp(rig->folder));
	rig->cert_key = EVP_EC_gen("P-256");
	rig->core.last_request = rig->core.last_revoked = BUF_INIT(CA_REQUEST_MAX);
	rig->core.disposition = CA_ISSUED;
	rig->core.rig_waiting = &rig->waiting;
	rig->core.leaf = signing_certificate(rig->cert_key, "leaf", NULL);
	rig->core.issuer = signing_certificate(issuer, "issuer", NULL);
	EVP_PKEY_free(issuer);
	open_endpoint(rig, conf);
}

void rig_restart(struct rig *rig, const char *conf)
{
	proto_acme.fini(rig->state);
	open_endpoint(rig, conf);
}

void rig_stop(struct rig *rig)
{
	DIR *d;
	struct dirent *entry;
	char path[512];

	proto_acme.fini(rig->state);
	d = opendir(rig->folder);
	assert_non_null(d);
	while ((entry = readdir(d)) != NULL) {
		snprintf(path, sizeof(path), "%s/%s", rig->folder, entry->d_name);
		if (entry->d_name[0] != '.')
			unlink(path);
	}
	closedir(d);
	assert_int_equal(rmdir(rig->folder), 0);
	EVP_PKEY_free(rig->cert_key);
	free((void *)(uintptr_t)rig->core.leaf.ptr);
	free((void *)(uintptr_t)rig->core.issuer.ptr);
	buf_fini(&rig->core.last_request);
	buf_fini(&rig->core.last_revoked);
	assert_int_equal(rig->waiting, 0);
	clock_fake_end();
}

/* The client. */

void rig_client_init(struct rig_client *c, struct rig *rig, const char *alg)
{
	*c = (struct rig_client){ .rig = rig, .key = signing_key_make(alg, 2048) };
	rig_get(c, "HEAD", RIG_BASE "/acme/new-nonce");
	assert_int_equal(c->a.r.status, 200);
}

static void answer_fini(struct rig_answer *a)
{
	cJSON_Delete(a->json);
	buf_fini(&a->r.body);
	arena_drop(&a->arena);
	*a = (struct rig_answer){ 0 };
}

void rig_client_fini(struct rig_client *c)
{
	answer_fini(&c->a);
	signing_key_fini(&c->key);
}

/* The route of the adapter that takes this method and path; its parameter (at most one) into `param`. */
static const struct proto_route *route(const char *method, const char *path, char param[static 256])
{
	for (const struct proto_route *r = proto_acme.routes; r->method; r++) {
		const char *open = strchr(r->pattern, '{'), *rest;
		size_t n = open ? (size_t)(open - r->pattern) : strlen(r->pattern);

		if (strcmp(method, r->method) != 0 || strncmp(path, r->pattern, n) != 0)
			continue;
		rest = path + n;
		if (open) {
			size_t len = strcspn(rest, "/");

			if (len == 0 || len >= 256)
				continue;
			memcpy(param, rest, len);
			param[len] = '\0';
			rest += len;
			open = strchr(open, '}') + 1;
		}
		if (strcmp(rest, open ? open : "") == 0)
			return r;
	}
	fail_msg("no route for %s %s", method, path);
	return NULL;
}

static void send_request(struct rig_client *c, const char *method, const char *url, const char *body)
{
	struct http_header headers[] = {
		{ "content-type", c->content_type ? c->content_type : "application/jose+json" },
		{ "user-agent", c->user_agent ? c->user_agent : "test-client/1.0" },
	};
	char path[512], param[256];
	const struct proto_route *r;
	struct http_request q = {
		.method = method,
		.path = path,
		.headers = headers,
		.n_headers = 2,
		.body = bytes_of_str(body),
		.peer_address = "192.0.2.99",
		.base_url = RIG_BASE,
		.is_tls = true,
		.received_ms = clock_wall_ms(),
	};
	struct arena *arena = NULL;
	const char *nonce;
	char *query;
	struct rig_answer old = c->a;

	assert_true(strncmp(url, RIG_BASE, strlen(RIG_BASE)) == 0);
	snprintf(path, sizeof(path), "%s", url + strlen(RIG_BASE));
	query = strchr(path, '?');
	if (query)
		*query++ = '\0';
	q.query = query;
	assert_int_equal(arena_new(&arena, 1 << 22), 0);
	q.arena = arena;
	r = route(strcmp(method, "HEAD") == 0 ? "GET" : method, path + strlen("/acme"), param);
	q.params[0] = param;
	c->a = (struct rig_answer){ .arena = arena };
	c->a.r = (struct http_reply){ .body = BUF_INIT(HTTP_REPLY_BODY_MAX), .arena = arena };
	assert_int_equal(r->handle(c->rig->state, &q, &c->a.r), 0);
	answer_fini(&old); /* the URL may have pointed into it */
	assert_int_not_equal(c->a.r.status, 0);
	if (c->a.r.body.len > 0 && buf_str(&c->a.r.body)[0] == '{')
		assert_int_equal(json_parse(&c->a.json, buf_bytes(&c->a.r.body), HTTP_REPLY_BODY_MAX), 0);
	nonce = rig_answer_header(c, "Replay-Nonce");
	if (nonce)
		snprintf(c->nonce, sizeof(c->nonce), "%s", nonce);
}

void rig_get(struct rig_client *c, const char *method, const char *url)
{
	send_request(c, method, url, "");
}

int rig_post_body(struct rig_client *c, const char *url, const char *body)
{
	send_request(c, "POST", url, body);
	/* Every answer to a POST has these. */
	assert_non_null(rig_answer_header(c, "Replay-Nonce"));
	assert_non_null(rig_answer_header(c, "Access-Control-Allow-Origin"));
	return c->a.r.status;
}

char *rig_header(struct rig_client *c, const char *url)
{
	return c->kid[0] ? signing_text("{\"alg\":\"%s\",\"nonce\":\"%s\",\"url\":\"%s\",\"kid\":\"%s\"}", c->key.alg,
					c->nonce, url, c->kid) :
			   signing_text("{\"alg\":\"%s\",\"nonce\":\"%s\",\"url\":\"%s\",\"jwk\":%s}", c->key.alg,
					c->nonce, url, c->key.jwk);
}

int rig_post(struct rig_client *c, const char *url, const char *payload)
{
	char *header = rig_header(c, c->url ? c->url : url);
	char *body = signing_message(&c->key, header, payload);
	int status = rig_post_body(c, url, body);

	free(header);
	free(body);
	return status;
}

const char *rig_answer_header(const struct rig_client *c, const char *name)
{
	for (size_t i = 0; i < c->a.r.n_headers; i++)
		if (strcmp(c->a.r.headers[i].name, name) == 0)
			return c->a.r.headers[i].value;
	return NULL;
}

const char *rig_answer_link(struct rig_client *c, const char *rel)
{
	char *tail = arena_printf(c->a.arena, ">;rel=\"%s\"", rel);

	for (size_t i = 0; i < c->a.r.n_headers; i++) {
		const char *value = c->a.r.headers[i].value, *end = strstr(value, tail);

		if (strcmp(c->a.r.headers[i].name, "Link") == 0 && end)
			return arena_strndup(c->a.arena, bytes_of(value + 1, (size_t)(end - value - 1)));
	}
	return NULL;
}

const char *rig_json(const struct rig_client *c, const char *path)
{
	const cJSON *item = c->a.json;
	const char *text;
	char name[64];

	while (item && *path) {
		size_t n = strcspn(path, ".");

		snprintf(name, sizeof(name), "%.*s", (int)n, path);
		item = cJSON_IsArray(item) ? cJSON_GetArrayItem(item, name[0] - '0') : json_get(item, name);
		path += path[n] ? n + 1 : n;
	}
	text = cJSON_GetStringValue(item);
	return text ? text : "";
}

const char *rig_problem(const struct rig_client *c)
{
	static const char urn[] = "urn:ietf:params:acme:error:";
	const char *type = rig_json(c, "type");

	assert_string_equal(rig_answer_header(c, "Content-Type"), "application/problem+json");
	assert_int_equal((int)cJSON_GetNumberValue(json_get(c->a.json, "status")), c->a.r.status);
	assert_string_not_equal(rig_json(c, "detail"), "");
	assert_true(strncmp(type, urn, strlen(urn)) == 0);
	return type + strlen(urn);
}

/* Steps. */

void rig_register(struct rig_client *c)
{
	assert_int_equal(rig_post(c, RIG_BASE "/acme/new-account",
				  "{\"termsOfServiceAgreed\":true,\"contact\":[\"mailto:a@example.com\"]}"), 201);
	snprintf(c->kid, sizeof(c->kid), "%s", rig_answer_header(c, "Location"));
}

char *rig_order(struct rig_client *c, const char *name)
{
	char *payload = signing_text("{\"identifiers\":[{\"type\":\"dns\",\"value\":\"%s\"}]}", name);

	assert_int_equal(rig_post(c, RIG_BASE "/acme/new-order", payload), 201);
	free(payload);
	return strdup(rig_answer_header(c, "Location"));
}

void rig_validate(struct rig_client *c, const char *order)
{
	char *authz[8] = { NULL };
	size_t n = 0;

	assert_int_equal(rig_post(c, order, ""), 200);
	for (; n < 8 && n < (size_t)cJSON_GetArraySize(json_get(c->a.json, "authorizations")); n++)
		authz[n] = strdup(cJSON_GetStringValue(cJSON_GetArrayItem(json_get(c->a.json, "authorizations"),
									  (int)n)));
	for (size_t i = 0; i < n; i++) {
		assert_int_equal(rig_post(c, authz[i], ""), 200);
		assert_int_equal(rig_post(c, rig_json(c, "challenges.0.url"), "{}"), 200);
		assert_string_equal(rig_json(c, "status"), "valid");
		free(authz[i]);
	}
}

char *rig_ready_order(struct rig_client *c, const char *name)
{
	char *order = rig_order(c, name);

	rig_validate(c, order);
	assert_int_equal(rig_post(c, order, ""), 200);
	assert_string_equal(rig_json(c, "status"), "ready");
	return order;
}

int rig_finalize(struct rig_client *c, const char *order, const char *san)
{
	char *csr = signing_csr(c->rig->cert_key, san);
	char *payload = signing_text("{\"csr\":\"%s\"}", csr);
	char *url = signing_text("%s/finalize", order);
	int status = rig_post(c, url, payload);

	free(csr);
	free(payload);
	free(url);
	return status;
}
