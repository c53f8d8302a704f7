/* Targets that are Microsoft Intune: its interface for certification authorities of others.
 *
 * A token for the directory tells where the service is, another one is for the service itself; both are kept until they
 * end. The service judges a request, whose challenge it made, and wants to know what became of it. The only answer that
 * allows is status 200 and the code "Success".
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "gateway/validator/intune.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <strings.h>

#include "core/base/base64.h"
#include "core/base/clock.h"
#include "core/base/own.h"
#include "core/base/utf8.h"
#include "protocols/jose/json_gate.h"
#include "protocols/jose/json_write.h"

#define TOKEN_MAX 16384
#define TOKEN_EARLY_MS 60000     /* it is not used until the last moment … */
#define TOKEN_MOST_S 86400       /* … nor for ever, whatever it says of itself */
#define SERVICE_NAME "ScepRequestValidationFEService"
#define SERVICE_PATH "/v1.0/servicePrincipals/appId=0000000a-0000-0000-c000-000000000000/endpoints"
#define API_VERSION "api-version: 2018-02-20"
#define CALLER "Gatehouse"
#define DESCRIPTION_MAX 255
#define HEADER_SIZE (TOKEN_MAX + 64)

enum token_kind { TOKEN_GRAPH, TOKEN_SERVICE, TOKENS_ };

struct token {
	char *text;
	int64_t until_ms; /* monotonic */
};

struct intune {
	char *client_id;
	char *scopes[TOKENS_];
	struct fetch_url login, graph; /* whole URLs of what is asked there */
	pthread_mutex_t lock;          /* guards all below; nobody fetches with it */
	struct token tokens[TOKENS_];
	char *service;                 /* NULL: not known yet */
};

static const char *const url_options[] = { "login-url", "graph-url", NULL };

static const struct conf_option intune_rows[] = {
	TARGET_ROWS,
	{ .name = "tenant", .type = CONF_STRING, .fallback = CONF_NEEDED,
	  .summary = "The directory (tenant) ID." },
	{ .name = "client-id", .type = CONF_STRING, .fallback = CONF_NEEDED,
	  .summary = "The application (client) ID of its registration, with the permissions scep_challenge_provider "
		     "and Application.Read.All." },
	{ .name = "secret-file", .type = CONF_STRING, .fallback = CONF_NEEDED,
	  .summary = "File (mode 0600) with the client secret." },
	{ .name = "login-url", .type = CONF_STRING, .fallback = "https://login.microsoftonline.com",
	  .summary = "Where tokens come from; others in national clouds." },
	{ .name = "graph-url", .type = CONF_STRING, .fallback = "https://graph.microsoft.com",
	  .summary = "Where the service is looked up." },
	{ .name = "resource", .type = CONF_STRING, .fallback = "https://api.manage.microsoft.com/",
	  .summary = "What the token for the service is for." },
	{ 0 },
};

/* ---- configuration ---- */

static bool is_identifier(const char *s)
{
	return *s && strlen(s) <= 253 &&
	       !s[strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-.")];
}

static void intune_drop(struct intune **ip)
{
	struct intune *i = *ip;

	if (!i)
		return;
	for (int k = 0; k < TOKENS_; k++) {
		free(i->scopes[k]);
		if (i->tokens[k].text)
			explicit_bzero(i->tokens[k].text, strlen(i->tokens[k].text));
		free(i->tokens[k].text);
	}
	free(i->client_id);
	free(i->service);
	pthread_mutex_destroy(&i->lock);
	free(i);
	*ip = NULL;
}

static void forget_state(struct target *t)
{
	struct intune *i = t->state;

	intune_drop(&i);
	t->state = NULL;
}

static int join(struct fetch_url *out, const char *base, const char *path)
{
	char text[FETCH_URL_MAX];
	size_t n = strlen(base);

	while (n && base[n - 1] == '/')
		n--;
	if (snprintf(text, sizeof(text), "%.*s%s", (int)n, base, path) >= (int)sizeof(text))
		return FETCH_URL_REFUSED;
	return fetch_url_join(out, text, text);
}

static int read_urls(struct intune *i, const struct conf_section *conf, struct conf_error *error)
{
	char path[320];
	int e;

	snprintf(path, sizeof(path), "/%s/oauth2/v2.0/token", conf_str(conf, "tenant"));
	e = join(&i->login, conf_str(conf, "login-url"), path);
	if (e)
		return e < 0 ? e : conf_refuse(conf, "login-url", error, "with the path behind it that is no URL");
	e = join(&i->graph, conf_str(conf, "graph-url"), SERVICE_PATH);
	return e > 0 ? conf_refuse(conf, "graph-url", error, "with the path behind it that is no URL") : e;
}

static int read_intune(struct target *t, const struct conf_section *conf, struct conf_error *error)
{
	OWNED(intune) i = calloc(1, sizeof(*i));
	int e;

	if (!i)
		return -ENOMEM;
	pthread_mutex_init(&i->lock, NULL);
	for (int k = 0; k < 2; k++) {
		const char *option = k ? "client-id" : "tenant";

		if (!is_identifier(conf_str(conf, option)))
			return conf_refuse(conf, option, error, "'%s' is no ID", conf_str(conf, option));
	}
	i->client_id = strdup(conf_str(conf, "client-id"));
	if (!i->client_id || asprintf(&i->scopes[TOKEN_GRAPH], "%s/.default", conf_str(conf, "graph-url")) < 0 ||
	    asprintf(&i->scopes[TOKEN_SERVICE], "%s/.default", conf_str(conf, "resource")) < 0)
		return -ENOMEM;
	e = read_urls(i, conf, error);
	if (!e)
		e = target_read_secret(conf, "secret-file", &t->secret, error);
	if (!e)
		t->state = MOVE(i);
	t->wants_end = true;
	return e;
}

/* ---- tokens ---- */

static void put_escaped(struct buf *out, const char *name, const char *value)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.~";

	buf_printf(out, "%s%s=", out->len ? "&" : "", name);
	for (; *value; value++)
		buf_printf(out, strchr(plain, *value) ? "%c" : "%%%02X", (unsigned char)*value);
}

int intune_read_token(struct bytes reply, struct buf *token, int64_t *lifetime_s)
{
	OWNED_JSON tree = NULL;
	const char *text;
	const cJSON *lifetime;
	int e = json_parse(&tree, reply, TARGET_REPLY_MAX);

	if (e)
		return e < 0 ? e : JUDGEMENT_NONE;
	text = json_get_string(tree, "access_token");
	lifetime = json_get(tree, "expires_in");
	if (!text || !*text || strlen(text) > TOKEN_MAX || !cJSON_IsNumber(lifetime) || lifetime->valuedouble < 1)
		return JUDGEMENT_NONE;
	for (const char *c = text; *c; c++)
		if (*c <= ' ' || *c > '~')
			return JUDGEMENT_NONE;
	*lifetime_s = lifetime->valuedouble > TOKEN_MOST_S ? TOKEN_MOST_S : (int64_t)lifetime->valuedouble;
	return buf_append_str(token, text);
}

static bool take_kept(struct intune *i, enum token_kind kind, struct buf *token)
{
	bool is_there;

	pthread_mutex_lock(&i->lock);
	is_there = i->tokens[kind].text && clock_mono_ms() < i->tokens[kind].until_ms;
	if (is_there)
		buf_append_str(token, i->tokens[kind].text);
	pthread_mutex_unlock(&i->lock);
	return is_there;
}

/* NULL: the one that was kept is not good any more. */
static void keep(struct intune *i, enum token_kind kind, const char *text, int64_t lifetime_s)
{
	struct token *t = &i->tokens[kind];

	pthread_mutex_lock(&i->lock);
	if (t->text)
		explicit_bzero(t->text, strlen(t->text));
	free(t->text);
	t->text = text ? strdup(text) : NULL;
	t->until_ms = clock_mono_ms() + lifetime_s * 1000 - TOKEN_EARLY_MS;
	pthread_mutex_unlock(&i->lock);
}

static int get_token(struct target_call *c, enum token_kind kind, struct buf *token)
{
	static const char *const headers[] = { "Content-Type: application/x-www-form-urlencoded",
					       "Accept: application/json", NULL };
	struct intune *i = c->target->state;
	OWNED_BUF body = BUF_INIT(4 * TARGET_SECRET_MAX), reply = BUF_INIT(TARGET_REPLY_MAX);
	struct fetch_to_target to = { buf_bytes(&c->target->authorities), headers, { 0 } };
	int64_t lifetime_s = 0;
	int e;

	if (take_kept(i, kind, token))
		return buf_status(token);
	put_escaped(&body, "client_id", i->client_id);
	put_escaped(&body, "client_secret", buf_str(&c->target->secret));
	put_escaped(&body, "scope", i->scopes[kind]);
	put_escaped(&body, "grant_type", "client_credentials");
	to.body = buf_bytes(&body);
	e = buf_status(&body) ? buf_status(&body) : target_fetch(c, &i->login, &to, &reply);
	if (!e) {
		e = intune_read_token(buf_bytes(&reply), token, &lifetime_s);
		if (e > 0)
			return target_say(c, JUDGEMENT_NONE, "%s gave no token", i->login.host);
	}
	if (!e)
		keep(i, kind, buf_str(token), lifetime_s);
	return e;
}

/* ---- asking ---- */

/* A version 4 UUID, by which both sides find the call in their logs. */
static int print_call_id(char out[static 64])
{
	uint8_t id[16];
	char hex[33];

	if (random_octets(id, sizeof(id)))
		return -EIO;
	id[6] = (id[6] & 0x0f) | 0x40;
	id[8] = (id[8] & 0x3f) | 0x80;
	hex_print(bytes_of(id, sizeof(id)), hex);
	snprintf(out, 64, "client-request-id: %.8s-%.4s-%.4s-%.4s-%s", hex, hex + 8, hex + 12, hex + 16, hex + 20);
	return 0;
}

static int ask(struct target_call *c, enum token_kind kind, const struct fetch_url *url, struct bytes body,
	       struct buf *reply)
{
	OWNED_BUF token = BUF_INIT(TOKEN_MAX), authorization = BUF_INIT(HEADER_SIZE);
	char id[64];
	const char *headers[] = { NULL, id, "Accept: application/json", "Content-Type: application/json", API_VERSION,
				  "UserAgent: " CALLER, NULL };
	struct fetch_to_target to = { buf_bytes(&c->target->authorities), headers, body };
	int e = get_token(c, kind, &token);

	if (!e)
		e = print_call_id(id);
	if (!e)
		e = buf_printf(&authorization, "Authorization: Bearer %s", buf_str(&token));
	headers[0] = buf_str(&authorization);
	if (kind == TOKEN_GRAPH)
		headers[3] = NULL;
	if (!e)
		e = target_fetch(c, url, &to, reply);
	/* Whatever it was, the next call does not trip over it. */
	if (e > 0)
		keep(c->target->state, kind, NULL, 0);
	return e;
}

int intune_read_service(struct bytes reply, struct buf *uri)
{
	OWNED_JSON tree = NULL;
	const cJSON *list, *one;
	int e = json_parse(&tree, reply, TARGET_REPLY_MAX);

	if (e)
		return e < 0 ? e : JUDGEMENT_NONE;
	list = json_get(tree, "value");
	if (!cJSON_IsArray(list))
		return JUDGEMENT_NONE;
	cJSON_ArrayForEach(one, list) {
		const char *name = json_get_string(one, "providerName"), *text = json_get_string(one, "uri");

		if (name && text && strcasecmp(name, SERVICE_NAME) == 0)
			return buf_append_str(uri, text);
	}
	return JUDGEMENT_NONE;
}

static void keep_service(struct intune *i, const char *uri)
{
	pthread_mutex_lock(&i->lock);
	free(i->service);
	i->service = uri ? strdup(uri) : NULL;
	pthread_mutex_unlock(&i->lock);
}

static int find_service(struct target_call *c, struct buf *uri)
{
	struct intune *i = c->target->state;
	OWNED_BUF reply = BUF_INIT(TARGET_REPLY_MAX);
	int e;

	pthread_mutex_lock(&i->lock);
	if (i->service)
		buf_append_str(uri, i->service);
	pthread_mutex_unlock(&i->lock);
	if (uri->len || buf_status(uri))
		return buf_status(uri);
	e = ask(c, TOKEN_GRAPH, &i->graph, bytes_of(NULL, 0), &reply);
	if (!e) {
		e = intune_read_service(buf_bytes(&reply), uri);
		if (e > 0)
			return target_say(c, JUDGEMENT_NONE, "%s does not know the service " SERVICE_NAME,
					  i->graph.host);
	}
	if (!e)
		keep_service(i, buf_str(uri));
	return e;
}

int intune_read(struct bytes reply, char why[static TARGET_WHY_SIZE])
{
	static const char *const refusals[] = {
		"CertificateRequestDecodingFailed", "ChallengePasswordMissing", "ChallengeDeserializationError",
		"ChallengeDecryptionError", "ChallengeDecodingError", "ChallengeInvalidTimestamp", "ChallengeExpired",
		"SubjectNameMissing", "SubjectNameMismatch", "SubjectAltNameMissing", "SubjectAltNameMismatch",
		"KeyUsageMismatch", "KeyLengthMismatch", "EnhancedKeyUsageMissing", "EnhancedKeyUsageMismatch",
		"AadKeyIdentifierListMissing", "RegisteredKeyMismatch", "SigningCertThumbprintMismatch",
		"ScepProfileNoLongerTargetedToTheClient", "SignatureValidationFailed",
		"BadCertificateRequestIdInChallenge", "BadDeviceIdInChallenge", "BadUserIdInChallenge",
	};
	OWNED_JSON tree = NULL;
	const char *code, *description;
	int e = json_parse(&tree, reply, TARGET_REPLY_MAX);

	if (e < 0)
		return e;
	code = e ? NULL : json_get_string(tree, "code");
	description = e ? NULL : json_get_string(tree, "errorDescription");
	snprintf(why, TARGET_WHY_SIZE, "%.64s%s%.180s", code ? code : "it answered with no code",
		 description && *description ? ": " : "", description ? description : "");
	if (code && strcmp(code, "Success") == 0)
		return 0;
	for (size_t i = 0; code && i < sizeof(refusals) / sizeof(*refusals); i++)
		if (strcmp(code, refusals[i]) == 0)
			return JUDGEMENT_DENIED;
	return JUDGEMENT_NONE;
}

static int act(struct target_call *c, const char *action, struct bytes body)
{
	OWNED_BUF uri = BUF_INIT(FETCH_URL_MAX - 1), reply = BUF_INIT(TARGET_REPLY_MAX);
	struct fetch_url url;
	int e = find_service(c, &uri);

	if (!e && (join(&url, buf_str(&uri), action) || !target_is_url(&url)))
		e = target_say(c, JUDGEMENT_NONE, "the service is said to be at what is no https URL");
	if (!e)
		e = ask(c, TOKEN_SERVICE, &url, body, &reply);
	if (e > 0)
		keep_service(c->target->state, NULL);
	return e ? e : intune_read(buf_bytes(&reply), c->why);
}

/* ---- what is told ---- */

static void write_request(struct json_writer *w, const char *transaction_id, struct bytes request)
{
	OWNED_BUF text = BUF_INIT((size_t)1 << 18);

	json_string(w, "transactionId", transaction_id);
	if (!base64_encode(&text, request))
		json_string(w, "certificateRequest", buf_str(&text));
}

int intune_write_request(const struct judgement *what, struct buf *out)
{
	struct json_writer w = { .out = out };

	if (!utf8_is_text(bytes_of_str(what->transaction_id)))
		return -EINVAL;
	json_open(&w, NULL, '{');
	json_open(&w, "request", '{');
	write_request(&w, what->transaction_id, what->request);
	json_string(&w, "callerInfo", CALLER);
	json_close(&w, '}');
	json_close(&w, '}');
	return buf_status(out);
}

int intune_write_notification(const struct notification *what, struct buf *out)
{
	struct json_writer w = { .out = out };

	if (!utf8_is_text(bytes_of_str(what->transaction_id)) || !utf8_is_text(bytes_of_str(what->issuer)) ||
	    !utf8_is_text(bytes_of_str(what->description)))
		return -EINVAL;
	json_open(&w, NULL, '{');
	json_open(&w, "notification", '{');
	write_request(&w, what->transaction_id, what->request);
	if (what->is_issued) {
		json_string(&w, "certificateThumbprint", what->thumbprint);
		json_string(&w, "certificateSerialNumber", what->serial);
		json_string(&w, "certificateExpirationDateUtc", what->not_after);
		json_string(&w, "issuingCertificateAuthority", what->issuer);
		json_string(&w, "caConfiguration", what->endpoint);
		json_string(&w, "certificateAuthority", what->issuer);
	} else {
		json_number(&w, "hResult", INTUNE_E_FAIL);
		json_stringf(&w, "errorDescription", "%.*s", utf8_fit(what->description, DESCRIPTION_MAX),
			     what->description);
	}
	json_string(&w, "callerInfo", CALLER);
	json_close(&w, '}');
	json_close(&w, '}');
	return buf_status(out);
}

static int judge(struct target_call *c)
{
	OWNED_BUF body = BUF_INIT((size_t)1 << 18);
	int e = intune_write_request(c->what, &body);

	if (e == -EINVAL)
		return target_say(c, JUDGEMENT_DENIED, "the transaction cannot be told as text");
	return e ? e : act(c, "/ScepActions/validateRequest", buf_bytes(&body));
}

static int notify(struct target_call *c, const struct notification *what)
{
	OWNED_BUF body = BUF_INIT((size_t)1 << 18);
	int e = what->request.len ? intune_write_notification(what, &body) : NOTIFICATION_LOST;

	if (e == -EINVAL)
		return target_say(c, JUDGEMENT_NONE, "what became of it cannot be told as text");
	if (!e)
		e = act(c, what->is_issued ? "/ScepActions/successNotification" : "/ScepActions/failureNotification",
			buf_bytes(&body));
	return e == JUDGEMENT_DENIED ? JUDGEMENT_NONE : e;
}

const struct target_kind target_intune = { "intune", intune_rows, url_options, true, read_intune, forget_state, judge,
					   notify };
