/* The http-01 challenge.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "gateway/validator/http01.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <time.h>

#include "core/base/own.h"

#define REDIRECTS_MAX 10
#define ADDRESSES_MAX 3
#define TOKEN_MAX 128
#define SLACK 128 /* octets of white space behind the key authorization */

/* One validation under way. */
struct attempt {
	const struct http01 *env;
	CURL *curl;
	int64_t deadline_ms;
	struct validation_result *out;
};

/* Peers know no fake clock, so neither does the time they are given. */
static int64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * (int64_t)1000 + t.tv_nsec / 1000000;
}

__attribute__((format(printf, 3, 4))) static void fail(struct attempt *a, enum validation_problem problem,
						       const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(a->out->detail, sizeof(a->out->detail), format, args);
	va_end(args);
	a->out->problem = problem;
}

bool http01_is_valid(const struct validation *what)
{
	static const char base64url[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_";
	static const char dns[] = "abcdefghijklmnopqrstuvwxyz0123456789-_.";
	size_t token = strlen(what->token), name = what->dns_name ? strlen(what->dns_name) : 0;
	struct ip_address a;

	if (!token || token > TOKEN_MAX || what->token[strspn(what->token, base64url)])
		return false;
	if (!what->dns_name)
		return what->ip_address && ip_address_parse(&a, what->ip_address) == 0;
	return name && name <= 253 && what->dns_name[0] != '.' && what->dns_name[name - 1] != '.' &&
	       !strstr(what->dns_name, "..") && !what->dns_name[strspn(what->dns_name, dns)];
}

/* The allowed ones of `found` come to its front. When there is none the first refused one is told. */
static size_t keep_allowed(struct attempt *a, struct ip_address found[RESOLVE_MAX], size_t n)
{
	char text[IP_TEXT_SIZE];
	struct ip_address refused = { 0 };
	size_t i, kept = 0;

	for (i = 0; i < n; i++) {
		if (address_allowed(&a->env->rules, &found[i]))
			found[kept++] = found[i];
		else if (!refused.len)
			refused = found[i];
	}
	if (!kept)
		fail(a, VALIDATION_PROBLEM_FORBIDDEN_ADDRESS,
		     "%s is not a public address; the option validator.allow lists others that may be contacted",
		     ip_address_print(&refused, text));
	return kept;
}

/* At most ADDRESSES_MAX, and the last of them IPv4 when there is one: a host whose IPv6 is broken is common. */
static size_t keep_few(struct ip_address found[RESOLVE_MAX], size_t n)
{
	size_t i;

	if (n <= ADDRESSES_MAX)
		return n;
	for (i = ADDRESSES_MAX - 1; i < n; i++)
		if (found[i].len == 4) {
			found[ADDRESSES_MAX - 1] = found[i];
			break;
		}
	return ADDRESSES_MAX;
}

/* The addresses to try for `host`. 0: none, and the result says why. */
static size_t find_addresses(struct attempt *a, const char *host, struct ip_address found[RESOLVE_MAX])
{
	size_t n = 1;
	int e = 0;

	if (ip_address_parse(&found[0], host))
		e = resolver_find(a->env->resolver, host, a->deadline_ms - now_ms(), found, &n);
	if (!e)
		return keep_few(found, keep_allowed(a, found, n));
	fail(a, VALIDATION_PROBLEM_DNS, "%s",
	     e == RESOLVE_NOT_FOUND ? "the name has no A or AAAA record" :
	     e == RESOLVE_TIMEOUT   ? "no DNS server answered in time" :
				      "the DNS servers gave no usable answer");
	return 0;
}

static void tell_failure(struct attempt *a, const struct fetch *f, int e)
{
	static const struct {
		enum validation_problem problem;
		const char *text;
	} failures[] = {
		[FETCH_NO_CONNECTION] = { VALIDATION_PROBLEM_CONNECTION, "cannot be connected to" },
		[FETCH_BROKEN] = { VALIDATION_PROBLEM_CONNECTION, "gave no HTTP answer in time" },
		[FETCH_TLS] = { VALIDATION_PROBLEM_TLS, "failed in the TLS handshake" },
		[FETCH_FORBIDDEN] = { VALIDATION_PROBLEM_FORBIDDEN_ADDRESS,
				      "may not be contacted; see the option validator.allow" },
	};
	char text[IP_TEXT_SIZE];

	fail(a, failures[e].problem, "%s port %u %s", ip_address_print(&f->address, text), f->port, failures[e].text);
}

/* Get `url` from one of the addresses of its host. 0: `reply` is filled. Positive: the result is. Negative. */
static int get(struct attempt *a, const struct fetch_url *url, struct fetch_reply *reply)
{
	struct ip_address found[RESOLVE_MAX];
	size_t i, n = find_addresses(a, url->host, found);
	int e = 1;

	for (i = 0; i < n; i++) {
		struct fetch f = { .url = url->text, .address = found[i], .port = url->port,
				   .rules = &a->env->rules, .stop = &a->env->stop };
		int64_t left_ms = a->deadline_ms - now_ms();

		/* The first address may not use up the time of the next. */
		f.timeout_ms = left_ms > (int64_t)(n - i) ? left_ms / (int64_t)(n - i) : 1;
		e = fetch_run(a->curl, &f, reply);
		if (e >= 0)
			ip_address_print(&found[i], a->out->address);
		if (e > 0)
			tell_failure(a, &f, e);
		/* Another address is asked only when this one was not there (RFC 8555 is silent; so do others). */
		if (e != FETCH_NO_CONNECTION)
			break;
	}
	if (e == FETCH_NO_CONNECTION || e == FETCH_FORBIDDEN)
		a->out->address[0] = '\0';
	return e;
}

static bool is_redirect(long status)
{
	return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

/* Where to go next. False: the result says why not. */
static bool follow(struct attempt *a, const struct fetch_reply *reply, struct fetch_url *url)
{
	struct fetch_url next;

	if (!reply->has_location || fetch_url_join(&next, url->text, reply->location)) {
		fail(a, VALIDATION_PROBLEM_CONNECTION,
		     "a redirect does not lead to one http or https URL of a DNS name or address");
		return false;
	}
	if (next.port != a->env->http_port && next.port != a->env->tls_port) {
		fail(a, VALIDATION_PROBLEM_CONNECTION, "a redirect leads to port %u; only %u and %u are contacted",
		     next.port, a->env->http_port, a->env->tls_port);
		return false;
	}
	*url = next;
	return true;
}

/* RFC 8555 8.3: white space behind the key authorization is ignored. */
static bool is_expected(const struct fetch_reply *reply, const char *key_authorization)
{
	struct bytes body = buf_bytes(&reply->body);

	while (body.len && memchr(" \t\r\n\v\f", body.ptr[body.len - 1], 6))
		body.len--;
	return bytes_equal_str(body, key_authorization);
}

static void judge(struct attempt *a, const struct fetch_reply *reply, const char *key_authorization)
{
	if (reply->status != 200)
		fail(a, VALIDATION_PROBLEM_INCORRECT_RESPONSE, "the answer has HTTP status %ld instead of 200",
		     reply->status);
	else if (buf_status(&reply->body))
		fail(a, VALIDATION_PROBLEM_INCORRECT_RESPONSE, "the answer is longer than a key authorization");
	else if (!is_expected(reply, key_authorization))
		fail(a, VALIDATION_PROBLEM_INCORRECT_RESPONSE, "the answer is not the key authorization");
	else
		a->out->problem = VALIDATION_PROBLEM_NONE;
}

static int run(struct attempt *a, const struct validation *what, struct fetch_url *url, struct fetch_reply *reply)
{
	unsigned redirects;
	int e;

	for (redirects = 0; redirects <= REDIRECTS_MAX; redirects++) {
		e = get(a, url, reply);
		if (e)
			return e < 0 ? e : 0;
		if (!is_redirect(reply->status)) {
			judge(a, reply, what->key_authorization);
			return 0;
		}
		if (redirects < REDIRECTS_MAX && !follow(a, reply, url))
			return 0;
	}
	fail(a, VALIDATION_PROBLEM_CONNECTION, "more than %d redirects", REDIRECTS_MAX);
	return 0;
}

static void first_url(const struct http01 *env, const struct validation *what, struct fetch_url *url)
{
	const char *host = what->dns_name ? what->dns_name : what->ip_address;
	bool is_v6 = strchr(host, ':') != NULL;

	snprintf(url->host, sizeof(url->host), "%s", host);
	url->port = env->http_port;
	snprintf(url->text, sizeof(url->text), is_v6 ? "http://[%s]:%u%s%s" : "http://%s:%u%s%s", host, url->port,
		 "/.well-known/acme-challenge/", what->token);
}

int http01_run(const struct http01 *env, CURL *curl, const struct validation *what, struct validation_result *out)
{
	struct attempt a = { .env = env, .curl = curl, .deadline_ms = now_ms() + env->timeout_ms, .out = out };
	struct fetch_reply reply = { .body = BUF_INIT(strlen(what->key_authorization) + SLACK) };
	struct fetch_url url;
	int e;

	*out = (struct validation_result){ .problem = VALIDATION_PROBLEM_CONNECTION };
	first_url(env, what, &url);
	e = run(&a, what, &url, &reply);
	buf_fini(&reply.body);
	return e;
}
