/* One client: ACME (RFC 8555 7.1, the whole of it, as a real client does it), and what all clients have in common.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tests/bench/worker_int.h"

#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cjson/cJSON.h>

#define NONCE_TRIES 5
#define ORDER_PATIENCE_NS (30 * (int64_t)1000000000)
#define PAUSE_AFTER_ERROR_MS 50

/* The order that is under way. */
struct order {
	char url[HTTPS_URL_SIZE], authorization[HTTPS_URL_SIZE], finalize[HTTPS_URL_SIZE], certificate[HTTPS_URL_SIZE];
	char name[WORKER_NAME_SIZE];
	int64_t deadline_ns;
	uint8_t point[KEYS_POINT_SIZE];
};

int64_t worker_now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void pause_ms(unsigned ms)
{
	const struct timespec t = { ms / 1000, (long)(ms % 1000) * 1000000 };

	nanosleep(&t, NULL);
}

int worker_fail(struct worker *w, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(w->why, sizeof(w->why), format, args);
	va_end(args);
	return -1;
}

/* ---- messages ---- */

/* A string member into a fixed place. */
static int take_string(struct worker *w, const cJSON *object, const char *name, char *out, size_t size)
{
	const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, name));

	if (!text || strlen(text) >= size)
		return worker_fail(w, "json: no %s", name);
	snprintf(out, size, "%s", text);
	return 0;
}

static int call(struct worker *w, const char *method, const char *url, const char *body, size_t n)
{
	if (https_call(&w->https, method, url, body, n))
		return worker_fail(w, "http: %s", w->https.why);
	if (w->https.nonce[0])
		snprintf(w->nonce, sizeof(w->nonce), "%s", w->https.nonce);
	return 0;
}

/* The last answer as JSON; NULL after worker_fail(). */
static cJSON *parse_answer(struct worker *w)
{
	cJSON *answer = cJSON_ParseWithLength(w->https.body, w->https.body_len);

	if (!answer)
		worker_fail(w, "json: %d is no JSON", w->https.status);
	return answer;
}

/* 1: the nonce was not good and the same can be sent again. */
static int read_problem(struct worker *w)
{
	cJSON *problem = parse_answer(w);
	const char *type = problem ? cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(problem, "type")) : NULL;
	const char *word = type && strrchr(type, ':') ? strrchr(type, ':') + 1 : "unknown";
	int r = strcmp(word, "badNonce") == 0 ? 1 : worker_fail(w, "problem: %d %s", w->https.status, word);

	cJSON_Delete(problem);
	return r;
}

static int post_once(struct worker *w, const char *url, const char *payload)
{
	char header[2048], body[8192];
	size_t n;

	if (!w->nonce[0] && call(w, "HEAD", w->new_nonce, NULL, 0))
		return -1;
	snprintf(header, sizeof(header), "{\"alg\":\"ES256\",\"nonce\":\"%s\",\"url\":\"%s\",%s%s%s}", w->nonce, url,
		 w->kid[0] ? "\"kid\":\"" : "\"jwk\":", w->kid[0] ? w->kid : w->jwk, w->kid[0] ? "\"" : "");
	w->nonce[0] = '\0';
	n = keys_print_jws(body, sizeof(body), w->key, header, payload);
	if (!n)
		return worker_fail(w, "cannot sign");
	if (call(w, "POST", url, body, n))
		return -1;
	return w->https.status < 400 ? 0 : read_problem(w);
}

/* A signed POST; with "" as payload it reads (RFC 8555 6.3). */
static int post(struct worker *w, const char *url, const char *payload)
{
	for (int i = 0; i < NONCE_TRIES; i++) {
		int r = post_once(w, url, payload);

		if (r <= 0)
			return r;
		w->out->bad_nonces++;
	}
	return worker_fail(w, "problem: badNonce again and again");
}

/* ---- the account ---- */

static int read_directory(struct worker *w)
{
	cJSON *directory;
	int r;

	if (call(w, "GET", w->load->directory, NULL, 0) || !(directory = parse_answer(w)))
		return -1;
	r = take_string(w, directory, "newNonce", w->new_nonce, sizeof(w->new_nonce)) ||
			    take_string(w, directory, "newAccount", w->new_account, sizeof(w->new_account)) ||
			    take_string(w, directory, "newOrder", w->new_order, sizeof(w->new_order)) ?
		    -1 :
		    0;
	cJSON_Delete(directory);
	return r;
}

static int make_account(struct worker *w)
{
	uint8_t point[KEYS_POINT_SIZE];

	w->key = keys_make(point);
	if (!w->key)
		return worker_fail(w, "cannot make a key");
	keys_print_jwk(point, w->jwk, w->thumbprint);
	if (read_directory(w) || post(w, w->new_account, "{\"termsOfServiceAgreed\":true}"))
		return -1;
	if (!w->https.location[0])
		return worker_fail(w, "newAccount: no Location");
	snprintf(w->kid, sizeof(w->kid), "%s", w->https.location);
	return 0;
}

/* ---- an order ---- */

/* Read `url` until its status is neither of the two that mean "not yet". The document; NULL after worker_fail(). */
static cJSON *poll(struct worker *w, const struct order *o, const char *url, const char *not_yet)
{
	cJSON *answer = parse_answer(w);

	while (answer) {
		const char *status = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(answer, "status"));

		if (!status || strcmp(status, not_yet) != 0)
			return answer;
		cJSON_Delete(answer);
		if (worker_now_ns() > o->deadline_ns) {
			worker_fail(w, "still %s after 30 s", not_yet);
			return NULL;
		}
		pause_ms(w->load->poll_ms);
		answer = post(w, url, "") ? NULL : parse_answer(w);
	}
	return NULL;
}

/* The status must be `wanted`. Takes `answer`. */
static int expect_status(struct worker *w, const char *what, cJSON *answer, const char *wanted)
{
	const char *status = answer ? cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(answer, "status")) : NULL;
	int r = -1;

	if (answer && status && strcmp(status, wanted) == 0)
		r = 0;
	else if (answer)
		worker_fail(w, "%s: %s", what, status ?: "no status");
	cJSON_Delete(answer);
	return r;
}

static int make_order(struct worker *w, struct order *o)
{
	char payload[256];
	cJSON *answer;
	const char *authorization;
	int r;

	snprintf(payload, sizeof(payload), "{\"identifiers\":[{\"type\":\"dns\",\"value\":\"%s\"}]}", o->name);
	if (post(w, w->new_order, payload) || !(answer = parse_answer(w)))
		return -1;
	snprintf(o->url, sizeof(o->url), "%s", w->https.location);
	authorization = cJSON_GetStringValue(
		cJSON_GetArrayItem(cJSON_GetObjectItemCaseSensitive(answer, "authorizations"), 0));
	r = !authorization || !o->url[0] ? worker_fail(w, "newOrder: incomplete") :
					   take_string(w, answer, "finalize", o->finalize, sizeof(o->finalize));
	snprintf(o->authorization, sizeof(o->authorization), "%s", authorization ?: "");
	cJSON_Delete(answer);
	return r;
}

/* Find the http-01 challenge and let the responder answer it. */
static int prepare_answer(struct worker *w, struct order *o, char url[static HTTPS_URL_SIZE])
{
	cJSON *answer;
	const cJSON *challenge;
	int r = worker_fail(w, "authorization: no http-01");

	if (post(w, o->authorization, "") || !(answer = parse_answer(w)))
		return -1;
	cJSON_ArrayForEach(challenge, cJSON_GetObjectItemCaseSensitive(answer, "challenges")) {
		const char *type = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(challenge, "type"));
		char token[128];

		if (!type || strcmp(type, "http-01") != 0)
			continue;
		r = take_string(w, challenge, "url", url, HTTPS_URL_SIZE);
		if (!r)
			r = take_string(w, challenge, "token", token, sizeof(token));
		if (!r)
			responder_set(w->load->responder, w->number, token, w->thumbprint);
	}
	cJSON_Delete(answer);
	return r;
}

/* The authorization is asked only where the answer to the challenge did not tell the end already. */
static int prove(struct worker *w, struct order *o)
{
	char url[HTTPS_URL_SIZE];
	cJSON *answer;
	const char *status;

	if (prepare_answer(w, o, url) || post(w, url, "{}") || !(answer = parse_answer(w)))
		return -1;
	status = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(answer, "status"));
	if (!status || strcmp(status, "valid") != 0) {
		cJSON_Delete(answer);
		answer = post(w, o->authorization, "") ? NULL : poll(w, o, o->authorization, "pending");
	}
	return expect_status(w, "authorization", answer, "valid");
}

static int finalize(struct worker *w, struct order *o)
{
	char payload[1024] = "{\"csr\":\"";
	uint8_t csr[KEYS_CSR_SIZE];
	EVP_PKEY *key = keys_make(o->point);
	size_t n = key ? keys_make_csr(csr, key, o->point, o->name) : 0, at = strlen(payload);
	cJSON *answer;

	EVP_PKEY_free(key);
	if (!n)
		return worker_fail(w, "cannot make a request");
	at += keys_base64url(payload + at, csr, n);
	snprintf(payload + at, sizeof(payload) - at, "\"}");
	if (post(w, o->finalize, payload) || !(answer = poll(w, o, o->url, "processing")))
		return -1;
	if (take_string(w, answer, "certificate", o->certificate, sizeof(o->certificate)))
		o->certificate[0] = '\0';
	return expect_status(w, "order", answer, "valid");
}

int worker_keep(struct worker *w, const char *name, const uint8_t point[static KEYS_POINT_SIZE], int64_t took_ns)
{
	struct worker_results *out = w->out;
	struct result *r;

	if (out->n == out->capacity) {
		size_t more = out->capacity ? 2 * out->capacity : 256;
		struct result *list = reallocarray(out->list, more, sizeof(*list));

		if (!list)
			return worker_fail(w, "memory");
		out->list = list;
		out->capacity = more;
	}
	r = &out->list[out->n];
	*r = (struct result){ .took_ns = took_ns, .chain = strdup(w->https.body) };
	if (!r->chain)
		return worker_fail(w, "memory");
	snprintf(r->name, sizeof(r->name), "%s", name);
	memcpy(r->point, point, sizeof(r->point));
	out->n++;
	return 0;
}

void worker_print_name(const struct worker *w, unsigned number, char name[static WORKER_NAME_SIZE])
{
	snprintf(name, WORKER_NAME_SIZE, "w%zu-%u-%x.%.40s", w->number, number, w->load->run, w->load->domain);
}

static int run_order(struct worker *w, unsigned number)
{
	int64_t begin_ns = worker_now_ns();
	struct order o = { .deadline_ns = begin_ns + ORDER_PATIENCE_NS };

	worker_print_name(w, number, o.name);
	if (make_order(w, &o) || prove(w, &o) || finalize(w, &o) || post(w, o.certificate, ""))
		return -1;
	return worker_keep(w, o.name, o.point, worker_now_ns() - begin_ns);
}

/* One of those that are still to be made. */
static bool take_order(struct load *load)
{
	return atomic_fetch_sub(&load->orders_left, 1) > 0;
}

/* A password is looked at slowly once, and quickly from then on: once for all, before the clock runs. */
static bool make_known(struct worker *w)
{
	if (w->number > 0)
		return true;
	if (worker_enrol(w, UINT_MAX))
		return false;
	free(w->out->list[--w->out->n].chain);
	w->https.connections = w->https.resumed = 0;
	return true;
}

static bool prepare(struct worker *w)
{
	return w->load->est ? make_known(w) : w->load->scep ? worker_scep_prepare(w) == 0 : make_account(w) == 0;
}

static int make_one(struct worker *w, unsigned number)
{
	return w->load->est ? worker_enrol(w, number) : w->load->scep ? worker_scep(w, number) : run_order(w, number);
}

static void *run(void *arg)
{
	struct worker *w = arg;

	w->out->has_account = prepare(w);
	if (!w->out->has_account)
		tally_add(&w->load->errors, w->why);
	pthread_barrier_wait(&w->load->ready);
	pthread_barrier_wait(&w->load->start);
	w->https.requests = 0;
	for (unsigned i = 0; w->out->has_account && worker_now_ns() < w->load->end_ns && take_order(w->load); i++)
		if (make_one(w, i)) {
			tally_add(&w->load->errors, w->why);
			pause_ms(PAUSE_AFTER_ERROR_MS);
		}
	w->out->ended_ns = worker_now_ns();
	w->out->requests = w->https.requests;
	w->out->connections = w->https.connections;
	w->out->resumed = w->https.resumed;
	https_fini(&w->https);
	return NULL;
}

struct worker *worker_start(struct load *load, size_t number, struct worker_results *out)
{
	struct worker *w = calloc(1, sizeof(*w));

	if (!w)
		return NULL;
	w->load = load;
	w->number = number;
	w->out = out;
	w->https.ctx = load->tls;
	w->https.content_type = load->est  ? "application/pkcs10" :
				load->scep ? "application/x-pki-message" : "application/jose+json";
	w->https.authorization = load->authorization;
	w->https.resumes = load->connections == CONNECTIONS_RESUMED;
	if (pthread_create(&w->thread, NULL, run, w)) {
		free(w);
		return NULL;
	}
	return w;
}

void worker_join(struct worker *w)
{
	pthread_join(w->thread, NULL);
	EVP_PKEY_free(w->key);
	X509_free(w->ra);
	X509_free(w->signer);
	free(w);
}

void worker_results_fini(struct worker_results *results)
{
	for (size_t i = 0; i < results->n; i++)
		free(results->list[i].chain);
	free(results->list);
}
