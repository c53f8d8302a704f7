/* Replies on the wire.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "gateway/http1.h"

#include <errno.h>
#include <strings.h>
#include <time.h>

const char *http1_status_words(int status)
{
	static const struct {
		int status;
		const char *words;
	} table[] = {
		{ 200, "OK" }, { 201, "Created" }, { 202, "Accepted" }, { 204, "No Content" },
		{ 301, "Moved Permanently" }, { 302, "Found" }, { 303, "See Other" }, { 304, "Not Modified" },
		{ 307, "Temporary Redirect" }, { 308, "Permanent Redirect" },
		{ 400, "Bad Request" }, { 401, "Unauthorized" }, { 403, "Forbidden" }, { 404, "Not Found" },
		{ 405, "Method Not Allowed" }, { 406, "Not Acceptable" }, { 408, "Request Timeout" },
		{ 409, "Conflict" }, { 410, "Gone" }, { 411, "Length Required" }, { 412, "Precondition Failed" },
		{ 413, "Content Too Large" }, { 414, "URI Too Long" }, { 415, "Unsupported Media Type" },
		{ 417, "Expectation Failed" }, { 422, "Unprocessable Content" }, { 429, "Too Many Requests" },
		{ 431, "Request Header Fields Too Large" },
		{ 500, "Internal Server Error" }, { 501, "Not Implemented" }, { 502, "Bad Gateway" },
		{ 503, "Service Unavailable" }, { 504, "Gateway Timeout" }, { 505, "HTTP Version Not Supported" },
	};
	size_t i;

	for (i = 0; i < sizeof(table) / sizeof(*table); i++)
		if (table[i].status == status)
			return table[i].words;
	return "Unknown";
}

/* RFC 9110 5.6.7. strftime() would use the words of the locale. */
static void print_date(struct buf *out, int64_t now_s)
{
	static const char days[] = "SunMonTueWedThuFriSat";
	static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
	time_t t = (time_t)now_s;
	struct tm tm;

	if (!gmtime_r(&t, &tm))
		return;
	buf_printf(out, "Date: %.3s, %02d %.3s %04d %02d:%02d:%02d GMT\r\n", days + 3 * tm.tm_wday, tm.tm_mday,
		   months + 3 * tm.tm_mon, tm.tm_year + 1900, tm.tm_hour, tm.tm_min, tm.tm_sec);
}

static bool is_ours(const char *name)
{
	static const char *const names[] = { "date", "content-length", "connection", "transfer-encoding" };
	size_t i;

	for (i = 0; i < sizeof(names) / sizeof(*names); i++)
		if (strcasecmp(names[i], name) == 0)
			return true;
	return false;
}

/* A line end in a value would let whoever chose the value write headers of his own. */
static bool can_be_sent(const struct http_header *h)
{
	const char *c;

	for (c = h->name; *c; c++)
		if ((unsigned char)*c <= 0x20 || (unsigned char)*c >= 0x7f || *c == ':')
			return false;
	for (c = h->value; *c; c++)
		if (((unsigned char)*c < 0x20 && *c != '\t') || *c == 0x7f)
			return false;
	return *h->name != 0;
}

static int print_headers(struct buf *out, const struct http_reply *r)
{
	size_t i;

	for (i = 0; i < r->n_headers; i++) {
		if (!can_be_sent(&r->headers[i]))
			return -EINVAL;
		if (!is_ours(r->headers[i].name))
			buf_printf(out, "%s: %s\r\n", r->headers[i].name, r->headers[i].value);
	}
	return 0;
}

int http1_reply_print(struct buf *out, const struct http_reply *r, const struct http1_reply_options *options)
{
	bool has_body = r->status != 204 && r->status != 304;
	int e;

	if (r->status < 200 || r->status > 599)
		return -EINVAL;
	if (buf_status(&r->body))
		return buf_status(&r->body);
	buf_printf(out, "HTTP/1.1 %d %s\r\n", r->status, http1_status_words(r->status));
	print_date(out, options->now_s);
	e = print_headers(out, r);
	if (e)
		return e;
	if (has_body)
		buf_printf(out, "Content-Length: %zu\r\n", r->body.len);
	if (options->closes)
		buf_append_str(out, "Connection: close\r\n");
	else if (options->is_http10)
		buf_append_str(out, "Connection: keep-alive\r\n");
	buf_append_str(out, "\r\n");
	if (has_body && !options->is_head)
		buf_append(out, buf_bytes(&r->body));
	return buf_status(out);
}
