/* Queries of SCEP.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "protocols/scep/query.h"

#include <errno.h>

#include "core/base/base64.h"
#include "protocols/http_msg.h"

static int hex_digit(uint8_t c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The next octet, an escape for what it stands for. -1: a broken escape. */
static int take_octet(struct bytes *in)
{
	int c = in->ptr[0], high, low;

	if (c == '%') {
		if (in->len < 3)
			return -1;
		high = hex_digit(in->ptr[1]);
		low = hex_digit(in->ptr[2]);
		*in = bytes_of(in->ptr + 3, in->len - 3);
		return high < 0 || low < 0 ? -1 : high << 4 | low;
	}
	*in = bytes_of(in->ptr + 1, in->len - 1);
	return c;
}

const char *scep_query_word(const char *query, const char *name, char out[static SCEP_WORD_SIZE])
{
	struct bytes value = http_query_find(query, name);
	size_t n = 0;

	while (value.len) {
		int c = take_octet(&value);

		if (c <= ' ' || c > '~' || n == SCEP_WORD_SIZE - 1) {
			n = 0;
			break;
		}
		out[n++] = (char)c;
	}
	out[n] = '\0';
	return out;
}

/* 0: it does not count; -1: it is no base64. A blank is a '+' that somebody on the way took for one. */
static int letter_of(int c)
{
	switch (c) {
	case '\r':
	case '\n':
	case '\t':
	case '=':
		return 0;
	case ' ':
	case '-':
		return '+';
	case '_':
		return '/';
	case 0:
		return -1;
	default:
		return c;
	}
}

int scep_query_message(struct bytes value, struct buf *out)
{
	OWNED_BUF text = BUF_INIT(value.len + 4);

	while (value.len) {
		int c = take_octet(&value), letter = c < 0 ? -1 : letter_of(c);

		if (letter < 0)
			return -EINVAL;
		if (letter)
			buf_append_char(&text, (char)letter);
	}
	while (text.len % 4)
		if (buf_append_char(&text, '='))
			return buf_status(&text);
	if (!text.len)
		return -EINVAL;
	return base64_decode(out, buf_bytes(&text));
}
