/* The reply of several parts: whatever goes in comes out again, for a reader that knows only RFC 2046 5.1.
 *
 * The octets: how many parts, in lines or not, and then what is in them, divided at each octet 0xff.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdlib.h>

#include "core/base/base64.h"
#include "protocols/est/multipart.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define PARTS_MAX 4
#define OUT_MAX ((size_t)1 << 20)

static const char *const types[PARTS_MAX] = { "application/pkcs8", "application/pkcs7-mime; smime-type=certs-only",
					      "text/plain", "application/octet-stream" };

static void must(bool claim)
{
	if (!claim)
		abort();
}

/* Take `text` from the front. */
static bool skip(struct bytes *rest, const char *text)
{
	struct bytes front;

	return bytes_take(rest, strlen(text), &front) && bytes_equal_str(front, text);
}

/* The text up to a delimiter, whose CRLF is its own. */
static struct bytes take_body(struct bytes *rest)
{
	const char delimiter[] = "\r\n--" EST_BOUNDARY;
	const uint8_t *end = memmem(rest->ptr, rest->len, delimiter, sizeof(delimiter) - 1);
	struct bytes body;

	must(end != NULL);
	must(bytes_take(rest, (size_t)(end - rest->ptr), &body));
	must(skip(rest, delimiter));
	return body;
}

static void check_part(struct bytes body, const struct est_part *part, bool in_lines)
{
	OWNED_BUF text = BUF_INIT(OUT_MAX), octets = BUF_INIT(OUT_MAX);
	size_t column = 0;

	for (size_t i = 0; i < body.len; i++) {
		must(body.ptr[i] != '\r' && (in_lines || body.ptr[i] != '\n'));
		column = body.ptr[i] == '\n' ? 0 : column + 1;
		must(!in_lines || column <= 64);
		if (body.ptr[i] != '\n')
			must(buf_append(&text, bytes_of(body.ptr + i, 1)) == 0);
	}
	must(base64_decode(&octets, buf_bytes(&text)) == 0);
	must(bytes_equal(buf_bytes(&octets), part->der));
}

static void check(struct bytes written, const struct est_part *parts, size_t n, bool in_lines)
{
	must(skip(&written, "--" EST_BOUNDARY));
	for (size_t i = 0; i < n; i++) {
		must(skip(&written, "\r\nContent-Type: ") && skip(&written, parts[i].type));
		must(skip(&written, "\r\nContent-Transfer-Encoding: base64\r\n\r\n"));
		check_part(take_body(&written), &parts[i], in_lines);
	}
	must(skip(&written, "--\r\n") && written.len == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct est_part parts[PARTS_MAX];
	OWNED_BUF out = BUF_INIT(OUT_MAX);
	struct bytes rest;
	size_t n;

	if (size < 2 || size > OUT_MAX / 8)
		return 0;
	n = data[0] % PARTS_MAX + 1;
	rest = bytes_of(data + 2, size - 2);
	for (size_t i = 0; i < n; i++) {
		const uint8_t *end = i + 1 < n && rest.len ? memchr(rest.ptr, 0xff, rest.len) : NULL;
		size_t len = end ? (size_t)(end - rest.ptr) : rest.len;

		parts[i].type = types[i];
		must(bytes_take(&rest, len, &parts[i].der));
	}
	must(est_parts_write(parts, n, data[1] & 1, &out) == 0);
	check(buf_bytes(&out), parts, n, data[1] & 1);
	return 0;
}
