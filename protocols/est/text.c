/* Base64 with and without line breaks.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "protocols/est/text.h"

#include "core/base/base64.h"

#define LINE 64

static bool is_blank(uint8_t c)
{
	return c == '\r' || c == '\n' || c == ' ' || c == '\t';
}

int est_base64_read(struct bytes body, struct buf *der)
{
	OWNED_BUF text = BUF_INIT(body.len);
	uint8_t *to = buf_room(&text, body.len);
	size_t n = 0;

	if (!to)
		return buf_status(&text);
	for (size_t i = 0; i < body.len; i++)
		if (!is_blank(body.ptr[i]))
			to[n++] = body.ptr[i];
	buf_added(&text, n);
	return base64_decode(der, buf_bytes(&text));
}

int est_text_write(struct bytes der, bool in_lines, struct buf *out)
{
	OWNED_BUF text = BUF_INIT(out->max);
	struct bytes rest, line;
	int e;

	if (!in_lines)
		return base64_encode(out, der);
	e = base64_encode(&text, der);
	rest = buf_bytes(&text);
	while (!e && rest.len) {
		(void)bytes_take(&rest, rest.len < LINE ? rest.len : LINE, &line);
		buf_append(out, line);
		e = buf_append_char(out, '\n');
	}
	return e;
}
