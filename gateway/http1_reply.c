/* Replies on the wire.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "gateway/http1.h"

#include <errno.h>
#include <inttypes.h>

#include "gateway/http_rules.h"

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

static void print_header(struct buf *out, const char *name, const char *value)
{
	buf_append_str(out, name);
	buf_append_str(out, ": ");
	buf_append_str(out, value);
	buf_append_str(out, "\r\n");
}

static int print_headers(struct buf *out, const struct http_reply *r)
{
	size_t i;

	for (i = 0; i < r->n_headers; i++) {
		if (!http_rule_sendable(&r->headers[i]))
			return -EINVAL;
		if (!http_rule_is_framing(r->headers[i].name))
			print_header(out, r->headers[i].name, r->headers[i].value);
	}
	return 0;
}

int http1_reply_print(struct buf *out, const struct http_reply *r, const struct http1_reply_options *options)
{
	bool has_body = r->status != 204 && r->status != 304;
	uint64_t length = r->large ? http_octets_size(r->large) : r->body.len;
	char date[HTTP_DATE_SIZE];
	int e;

	if (r->status < 200 || r->status > 599)
		return -EINVAL;
	if (buf_status(&r->body))
		return buf_status(&r->body);
	buf_printf(out, "HTTP/1.1 %d %s\r\n", r->status, http1_status_words(r->status));
	http_date_print(options->now_s, date);
	if (*date)
		print_header(out, "Date", date);
	e = print_headers(out, r);
	if (e)
		return e;
	if (has_body)
		buf_printf(out, "Content-Length: %" PRIu64 "\r\n", length);
	if (options->closes)
		buf_append_str(out, "Connection: close\r\n");
	else if (options->is_http10)
		buf_append_str(out, "Connection: keep-alive\r\n");
	buf_append_str(out, "\r\n");
	if (has_body && !options->is_head && !r->large)
		buf_append(out, buf_bytes(&r->body));
	return buf_status(out);
}
