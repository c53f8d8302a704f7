/* One HTTP request to one address.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "gateway/validator/fetch.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <sys/socket.h>

#define HEADER_MAX ((size_t)16384)
#define SLOW_OCTETS 16L  /* fewer a second … */
#define SLOW_SECONDS 5L  /* … for so long: not worth waiting for */

/* What the callbacks know. */
struct transfer {
	CURL *curl;
	const struct fetch *what;
	struct fetch_reply *reply;
	size_t header_octets;
};

static pthread_once_t global_once = PTHREAD_ONCE_INIT;
static CURLcode global_result;

static void init_once(void)
{
	global_result = curl_global_init(CURL_GLOBAL_DEFAULT);
}

int fetch_global_init(void)
{
	pthread_once(&global_once, init_once);
	return global_result == CURLE_OK ? 0 : -EIO;
}

static bool may_contact(const struct fetch *what, const struct ip_address *a)
{
	return what->rules ? address_allowed(what->rules, a) : what->target != NULL;
}

curl_socket_t fetch_open_socket(void *arg, curlsocktype purpose, struct curl_sockaddr *to)
{
	const struct fetch *what = arg;
	struct ip_address a;

	if (purpose != CURLSOCKTYPE_IPCXN || address_of_socket(&a, &to->addr))
		return CURL_SOCKET_BAD;
	if (!ip_address_equal(&a, &what->address) || !may_contact(what, &a))
		return CURL_SOCKET_BAD;
	return socket(to->family, to->socktype | SOCK_CLOEXEC, to->protocol);
}

static size_t on_header(char *data, size_t size, size_t n, void *arg)
{
	struct transfer *t = arg;

	t->header_octets += size * n;
	return t->header_octets > HEADER_MAX ? 0 : size * n;
}

/* The body of a redirect or an error is of no interest: giving up here saves reading it. */
static size_t on_body(char *data, size_t size, size_t n, void *arg)
{
	struct transfer *t = arg;
	long status = 0;

	curl_easy_getinfo(t->curl, CURLINFO_RESPONSE_CODE, &status);
	if (status != 200)
		return 0;
	return buf_append(&t->reply->body, bytes_of(data, size * n)) ? 0 : size * n;
}

static int on_progress(void *arg, curl_off_t a, curl_off_t b, curl_off_t c, curl_off_t d)
{
	const struct transfer *t = arg;

	return atomic_load(t->what->stop);
}

#define SET(option, value) ok = ok && curl_easy_setopt(curl, option, value) == CURLE_OK

/* The system's authorities in place of those that it was given would make anybody the target. */
static bool address_target(CURL *curl, const struct fetch_to_target *to, const struct curl_slist *headers)
{
	struct curl_blob authorities = { (void *)to->authorities.ptr, to->authorities.len, CURL_BLOB_COPY };
	bool ok = true;

	SET(CURLOPT_SSL_VERIFYPEER, 1L);
	SET(CURLOPT_SSL_VERIFYHOST, 2L);
	if (to->authorities.len) {
		SET(CURLOPT_CAPATH, NULL);
		SET(CURLOPT_CAINFO_BLOB, &authorities);
	}
	SET(CURLOPT_HTTPHEADER, headers);
	if (to->body.ptr) {
		SET(CURLOPT_POST, 1L);
		SET(CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)to->body.len);
		SET(CURLOPT_POSTFIELDS, to->body.ptr);
	}
	return ok;
}

static bool add_header(struct curl_slist **all, const char *header)
{
	struct curl_slist *more = curl_slist_append(*all, header);

	if (more)
		*all = more;
	return more != NULL;
}

/* libcurl asks before it posts more than a little, unless it is told not to. NULL: no memory. */
static struct curl_slist *make_headers(const struct fetch_to_target *to)
{
	struct curl_slist *all = NULL;
	bool ok = add_header(&all, "Expect:");

	for (size_t i = 0; ok && to->headers && to->headers[i]; i++)
		ok = add_header(&all, to->headers[i]);
	if (!ok)
		curl_slist_free_all(all);
	return ok ? all : NULL;
}

/* Every option that a hostile peer could use against us, in one place. */
static bool lock_down(CURL *curl, struct transfer *t)
{
	bool ok = true;

	SET(CURLOPT_NOSIGNAL, 1L);
	SET(CURLOPT_PROTOCOLS_STR, "http,https");
	SET(CURLOPT_REDIR_PROTOCOLS_STR, "http,https");
	SET(CURLOPT_FOLLOWLOCATION, 0L);
	SET(CURLOPT_PROXY, "");
	SET(CURLOPT_NOPROXY, "*");
	SET(CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
	SET(CURLOPT_DISALLOW_USERNAME_IN_URL, 1L);
	SET(CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	SET(CURLOPT_HTTP09_ALLOWED, 0L);
	SET(CURLOPT_FRESH_CONNECT, 1L);
	SET(CURLOPT_FORBID_REUSE, 1L);
	SET(CURLOPT_LOW_SPEED_LIMIT, SLOW_OCTETS);
	SET(CURLOPT_LOW_SPEED_TIME, SLOW_SECONDS);
	SET(CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	/* RFC 8555 8.3: the certificate of an https redirect is not judged, it is what is about to be had. */
	SET(CURLOPT_SSL_VERIFYPEER, 0L);
	SET(CURLOPT_SSL_VERIFYHOST, 0L);
	SET(CURLOPT_OPENSOCKETFUNCTION, fetch_open_socket);
	SET(CURLOPT_OPENSOCKETDATA, t->what);
	SET(CURLOPT_HEADERFUNCTION, on_header);
	SET(CURLOPT_HEADERDATA, t);
	SET(CURLOPT_WRITEFUNCTION, on_body);
	SET(CURLOPT_WRITEDATA, t);
	SET(CURLOPT_NOPROGRESS, 0L);
	SET(CURLOPT_XFERINFOFUNCTION, on_progress);
	SET(CURLOPT_XFERINFODATA, t);
	SET(CURLOPT_USERAGENT, "gatehouse");
	SET(CURLOPT_TIMEOUT_MS, (long)t->what->timeout_ms);
	SET(CURLOPT_CONNECTTIMEOUT_MS, (long)t->what->timeout_ms);
	SET(CURLOPT_URL, t->what->url);
	return ok;
}

/* "::ADDRESS:PORT": whatever the URL says, connect there. */
static struct curl_slist *pin(const struct fetch *what)
{
	char address[IP_TEXT_SIZE], text[IP_TEXT_SIZE + 16];

	ip_address_print(&what->address, address);
	snprintf(text, sizeof(text), what->address.len == 16 ? "::[%s]:%u" : "::%s:%u", address, what->port);
	return curl_slist_append(NULL, text);
}

static void take_location(CURL *curl, struct fetch_reply *out)
{
	struct curl_header *h;

	out->has_location = curl_easy_header(curl, "Location", 0, CURLH_HEADER, -1, &h) == CURLHE_OK &&
			    h->amount == 1 && strlen(h->value) < sizeof(out->location);
	if (out->has_location)
		memcpy(out->location, h->value, strlen(h->value) + 1);
}

static int classify(const struct transfer *t, CURLcode code)
{
	bool is_tls = strncasecmp(t->what->url, "https:", 6) == 0;
	bool is_refused = t->reply->status != 200 || buf_status(&t->reply->body);
	curl_off_t connected_us = 0, secured_us = 0;

	/* A body that was refused by on_body() leaves a complete header. */
	if (code == CURLE_OK || (code == CURLE_WRITE_ERROR && is_refused))
		return 0;
	if (code == CURLE_OUT_OF_MEMORY)
		return -ENOMEM;
	curl_easy_getinfo(t->curl, CURLINFO_CONNECT_TIME_T, &connected_us);
	curl_easy_getinfo(t->curl, CURLINFO_APPCONNECT_TIME_T, &secured_us);
	/* Some releases of libcurl count the time to connect only when TLS has come about too. */
	if (code == CURLE_SSL_CONNECT_ERROR || (is_tls && connected_us && !secured_us))
		return FETCH_TLS;
	return connected_us ? FETCH_BROKEN : FETCH_NO_CONNECTION;
}

int fetch_run(CURL *curl, const struct fetch *what, struct fetch_reply *out)
{
	struct transfer t = { .curl = curl, .what = what, .reply = out };
	struct curl_slist *pinned, *headers;
	CURLcode code;
	int e;

	out->status = 0;
	out->has_location = false;
	out->fault[0] = '\0';
	buf_reset(&out->body);
	if (!may_contact(what, &what->address))
		return FETCH_FORBIDDEN;
	curl_easy_reset(curl);
	pinned = pin(what);
	headers = what->target ? make_headers(what->target) : NULL;
	if (!pinned || !lock_down(curl, &t) || curl_easy_setopt(curl, CURLOPT_CONNECT_TO, pinned) != CURLE_OK ||
	    (what->target && !(headers && address_target(curl, what->target, headers)))) {
		curl_slist_free_all(pinned);
		curl_slist_free_all(headers);
		return -ENOMEM;
	}
	code = curl_easy_perform(curl);
	curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &out->status);
	take_location(curl, out);
	/* The header never ended: there is no answer, whatever its first line said. */
	e = t.header_octets > HEADER_MAX ? FETCH_BROKEN : classify(&t, code);
	snprintf(out->fault, sizeof(out->fault), "%s", e ? curl_easy_strerror(code) : "");
	/* It keeps what it was given until it is given something else. */
	curl_easy_reset(curl);
	curl_slist_free_all(pinned);
	curl_slist_free_all(headers);
	return e;
}

/* URLs */

/* One part as text; "" when it is absent. False: it does not fit. */
static bool get_part(CURLU *u, CURLUPart part, unsigned flags, char *out, size_t size)
{
	char *text = NULL;
	bool fits = true;

	*out = '\0';
	if (curl_url_get(u, part, &text, flags) == CURLUE_OK) {
		fits = strlen(text) < size;
		if (fits)
			memcpy(out, text, strlen(text) + 1);
	}
	curl_free(text);
	return fits;
}

/* A DNS name or an address without brackets: nothing that a resolver or libcurl could read in two ways. */
static bool check_host(char *host)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.";
	size_t len = strlen(host);
	struct ip_address a;

	if (len > 2 && host[0] == '[' && host[len - 1] == ']') {
		memmove(host, host + 1, len - 2);
		host[len - 2] = '\0';
		return ip_address_parse(&a, host) == 0;
	}
	return len > 0 && len <= 253 && host[0] != '.' && !strstr(host, "..") && host[strspn(host, letters)] == '\0';
}

static bool take_apart(CURLU *u, struct fetch_url *out)
{
	char scheme[16], zone[32], port[8];

	if (curl_url_set(u, CURLUPART_FRAGMENT, NULL, 0) != CURLUE_OK ||
	    !get_part(u, CURLUPART_SCHEME, 0, scheme, sizeof(scheme)) ||
	    (strcasecmp(scheme, "http") != 0 && strcasecmp(scheme, "https") != 0))
		return false;
	if (!get_part(u, CURLUPART_ZONEID, 0, zone, sizeof(zone)) || *zone)
		return false;
	if (!get_part(u, CURLUPART_PORT, CURLU_DEFAULT_PORT, port, sizeof(port)) ||
	    !get_part(u, CURLUPART_HOST, 0, out->host, sizeof(out->host)) ||
	    !get_part(u, CURLUPART_URL, 0, out->text, sizeof(out->text)) || !*out->text)
		return false;
	out->port = (uint16_t)strtoul(port, NULL, 10);
	return check_host(out->host);
}

int fetch_url_join(struct fetch_url *out, const char *base, const char *location)
{
	CURLU *u = curl_url();
	bool ok;

	if (!u)
		return -ENOMEM;
	/* The flags keep every unusual thing an error instead of a guess. */
	ok = curl_url_set(u, CURLUPART_URL, base, 0) == CURLUE_OK &&
	     curl_url_set(u, CURLUPART_URL, location, CURLU_DISALLOW_USER) == CURLUE_OK && take_apart(u, out);
	curl_url_cleanup(u);
	return ok ? 0 : FETCH_URL_REFUSED;
}
