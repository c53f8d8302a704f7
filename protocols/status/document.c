/* What caches may keep, and whether a client has it already (RFC 9110 13, RFC 9111, RFC 5019 6).
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "protocols/status/status_int.h"

#include <errno.h>
#include <stdio.h>

#include "core/base/base64.h"
#include "core/base/digest.h"

int status_document_tag(struct status_document *d)
{
	uint8_t hash[SHA256_SIZE];
	char text[2 * SHA256_SIZE + 1];

	if (digest_sha256(d->body, hash))
		return -EIO;
	snprintf(d->etag, sizeof(d->etag), "\"%s\"", hex_print(bytes_of(hash, sizeof(hash)), text));
	return 0;
}

/* RFC 9110 13.1.2: a list of tags, of which weak ones count like strong ones here, or '*'. */
static bool has_tag(const char *list, const char *etag)
{
	size_t n = strlen(etag);

	if (strcmp(list, "*") == 0)
		return true;
	for (const char *at = strstr(list, etag); at; at = strstr(at + 1, etag))
		if (at[n] == '\0' || at[n] == ',' || at[n] == ' ')
			return true;
	return false;
}

/* RFC 9110 13.2.2: a date counts only where no tag was given. */
static bool has_it(const struct status_document *d, const struct http_request *q)
{
	const char *tags = http_request_header(q, "if-none-match");
	const char *since = http_request_header(q, "if-modified-since");
	int64_t since_s;

	if (tags)
		return has_tag(tags, d->etag);
	return since && d->modified_s && http_date_parse(since, &since_s) == 0 && d->modified_s <= since_s;
}

static int add_date(struct http_reply *r, const char *name, int64_t seconds)
{
	char text[HTTP_DATE_SIZE];

	return seconds ? http_reply_header(r, name, "%s", http_date_print(seconds, text)) : 0;
}

int status_document_reply(const struct status_document *d, const struct http_request *q, struct http_reply *r)
{
	int e = http_reply_header(r, "ETag", "%s", d->etag);

	/* RFC 5019 6.2. */
	if (!e)
		e = http_reply_header(r, "Cache-Control", "max-age=%lld, public, no-transform, must-revalidate",
				      (long long)d->max_age_s);
	if (!e)
		e = add_date(r, "Last-Modified", d->modified_s);
	if (!e)
		e = add_date(r, "Expires", d->expires_s);
	if (e)
		return e;
	if (!has_it(d, q) && d->large)
		return http_reply_large(r, 200, d->type, d->large);
	if (!has_it(d, q))
		return http_reply_body(r, 200, d->type, d->body);
	r->status = 304;
	return 0;
}

int status_reply_busy(struct http_reply *r)
{
	int e = http_reply_retry_after(r, 2);

	return e ? e : http_reply_text(r, 503, "the CA does not answer at the moment");
}
