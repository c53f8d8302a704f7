/* Helpers that adapters use on requests and replies.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "protocols/http_msg.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <time.h>

/* ---- dates ---- */

static const char days[] = "SunMonTueWedThuFriSat";
static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";

/* strftime() would use the words of the locale. */
const char *http_date_print(int64_t seconds, char out[static HTTP_DATE_SIZE])
{
	time_t t = (time_t)seconds;
	struct tm tm;
	int n;

	*out = 0;
	if (!gmtime_r(&t, &tm))
		return out;
	n = snprintf(out, HTTP_DATE_SIZE, "%.3s, %02d %.3s %04d %02d:%02d:%02d GMT", days + (size_t)tm.tm_wday * 3,
		     tm.tm_mday, months + (size_t)tm.tm_mon * 3, tm.tm_year + 1900, tm.tm_hour, tm.tm_min, tm.tm_sec);
	if (n < 0 || n >= HTTP_DATE_SIZE)
		*out = 0;
	return out;
}

int http_date_parse(const char *text, int64_t *seconds)
{
	char month[4] = "", again[HTTP_DATE_SIZE];
	struct tm tm = { 0 };
	const char *found;
	int64_t t;

	if (sscanf(text, "%*3[A-Za-z], %2d %3[A-Za-z] %4d %2d:%2d:%2d GMT", &tm.tm_mday, month, &tm.tm_year,
		   &tm.tm_hour, &tm.tm_min, &tm.tm_sec) != 6)
		return -EINVAL;
	found = strlen(month) == 3 ? strstr(months, month) : NULL;
	if (!found || (found - months) % 3)
		return -EINVAL;
	tm.tm_mon = (int)(found - months) / 3;
	tm.tm_year -= 1900;
	t = timegm(&tm);
	/* Written again it is the same: a real day, its own weekday, nothing behind it. */
	if (strcmp(http_date_print(t, again), text) != 0)
		return -EINVAL;
	*seconds = t;
	return 0;
}

/* ---- requests and replies ---- */

const char *http_request_header(const struct http_request *q, const char *name)
{
	for (size_t i = 0; i < q->n_headers; i++)
		if (strcmp(q->headers[i].name, name) == 0)
			return q->headers[i].value;
	return NULL;
}

bool http_request_has_type(const struct http_request *q, const char *type)
{
	const char *value = http_request_header(q, "content-type");
	size_t n = value ? strcspn(value, "; \t") : 0;

	return value && n == strlen(type) && strncasecmp(value, type, n) == 0;
}

struct bytes http_query_find(const char *query, const char *name)
{
	size_t n = strlen(name);

	while (query) {
		size_t len = strcspn(query, "&");

		if (len > n && strncmp(query, name, n) == 0 && query[n] == '=')
			return bytes_of(query + n + 1, len - n - 1);
		query = query[len] ? query + len + 1 : NULL;
	}
	return bytes_of(NULL, 0);
}

int http_reply_header(struct http_reply *r, const char *name, const char *format, ...)
{
	char value[1024];
	va_list args;
	char *copy;
	int n;

	if (r->n_headers == HTTP_REPLY_HEADERS_MAX)
		return -EMSGSIZE;
	va_start(args, format);
	n = vsnprintf(value, sizeof(value), format, args);
	va_end(args);
	if (n < 0 || (size_t)n >= sizeof(value))
		return -EMSGSIZE;
	copy = arena_strdup(r->arena, value);
	if (!copy)
		return -ENOMEM;
	r->headers[r->n_headers++] = (struct http_header){ name, copy };
	return 0;
}

int http_reply_body(struct http_reply *r, int status, const char *type, struct bytes body)
{
	int e;

	r->status = status;
	buf_reset(&r->body);
	e = http_reply_header(r, "Content-Type", "%s", type);
	return e ? e : buf_append(&r->body, body);
}

int http_reply_large(struct http_reply *r, int status, const char *type, struct http_octets *body)
{
	r->status = status;
	buf_reset(&r->body);
	http_octets_drop(&r->large);
	r->large = http_octets_hold(body);
	return http_reply_header(r, "Content-Type", "%s", type);
}

int http_reply_text(struct http_reply *r, int status, const char *text)
{
	int e = http_reply_body(r, status, "text/plain; charset=utf-8", bytes_of_str(text));

	return e ? e : buf_append_char(&r->body, '\n');
}

int http_reply_retry_after(struct http_reply *r, unsigned seconds)
{
	return http_reply_header(r, "Retry-After", "%u", seconds);
}
