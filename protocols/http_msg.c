/* Helpers that adapters use on requests and replies.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "protocols/http_msg.h"

#include <errno.h>
#include <stdio.h>
#include <strings.h>

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

int http_reply_text(struct http_reply *r, int status, const char *text)
{
	int e = http_reply_body(r, status, "text/plain; charset=utf-8", bytes_of_str(text));

	return e ? e : buf_append_char(&r->body, '\n');
}

int http_reply_retry_after(struct http_reply *r, unsigned seconds)
{
	return http_reply_header(r, "Retry-After", "%u", seconds);
}
