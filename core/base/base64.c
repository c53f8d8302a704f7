/* Base64url, base64 and hexadecimal.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "core/base/base64.h"

#include <errno.h>
#include <stdbool.h>

static const char url_letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
static const char std_letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

static int encode(struct buf *out, struct bytes data, const char *letters, bool is_padded)
{
	size_t tail = data.len % 3, i;
	size_t size = data.len / 3 * 4 + (tail == 0 ? 0 : is_padded ? 4 : tail + 1);
	const uint8_t *in = data.ptr;
	uint8_t *to;

	/* Four thirds of a length near SIZE_MAX would wrap. */
	to = data.len < SIZE_MAX / 2 ? buf_room(out, size) : buf_room(out, SIZE_MAX);
	if (!to)
		return buf_status(out);
	for (i = 0; i + 3 <= data.len; i += 3, in += 3) {
		*to++ = (uint8_t)letters[in[0] >> 2];
		*to++ = (uint8_t)letters[(in[0] & 3) << 4 | in[1] >> 4];
		*to++ = (uint8_t)letters[(in[1] & 15) << 2 | in[2] >> 6];
		*to++ = (uint8_t)letters[in[2] & 63];
	}
	if (tail) {
		uint8_t second = tail == 2 ? in[1] : 0;

		*to++ = (uint8_t)letters[in[0] >> 2];
		*to++ = (uint8_t)letters[(in[0] & 3) << 4 | second >> 4];
		if (tail == 2)
			*to++ = (uint8_t)letters[(second & 15) << 2];
		for (i = tail; is_padded && i < 3; i++)
			*to++ = '=';
	}
	buf_added(out, size);
	return 0;
}

/* Of the letters that both alphabets have: their six bits and one more. */
static const uint8_t values[256] = {
	['A'] = 1,  2,	3,  4,	5,  6,	7,  8,	9,  10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26,
	['a'] = 27, 28, 29, 30, 31, 32, 33, 34, 35, 36, 37, 38, 39, 40, 41, 42, 43, 44, 45, 46, 47, 48, 49, 50, 51, 52,
	['0'] = 53, 54, 55, 56, 57, 58, 59, 60, 61, 62,
};

/* The six bits of a letter, 64 for a foreign one. */
static inline unsigned letter_value(uint8_t c, const char *letters)
{
	if (values[c])
		return values[c] - 1u;
	if (c == (uint8_t)letters[62])
		return 62;
	if (c == (uint8_t)letters[63])
		return 63;
	return 64;
}

static bool decode_four(const uint8_t *text, const char *letters, uint8_t *to)
{
	unsigned a = letter_value(text[0], letters), b = letter_value(text[1], letters);
	unsigned c = letter_value(text[2], letters), d = letter_value(text[3], letters);

	if ((a | b | c | d) > 63)
		return false;
	to[0] = (uint8_t)(a << 2 | b >> 4);
	to[1] = (uint8_t)(b << 4 | c >> 2);
	to[2] = (uint8_t)(c << 6 | d);
	return true;
}

/* Decode unpadded letters: `text.len` % 4 is not 1, and the bits beyond the last octet are zero. */
static int decode(struct buf *out, struct bytes text, const char *letters)
{
	size_t tail = text.len % 4, size = text.len / 4 * 3 + (tail ? tail - 1 : 0), i, done = 0;
	uint32_t bits = 0;
	unsigned held = 0, value;
	uint8_t *to;

	if (tail == 1)
		return -EINVAL;
	to = buf_room(out, size);
	if (!to)
		return buf_status(out);
	for (i = 0; i + 4 <= text.len; i += 4, done += 3)
		if (!decode_four(text.ptr + i, letters, to + done))
			break;
	for (; i < text.len; i++) {
		value = letter_value(text.ptr[i], letters);
		if (value > 63)
			break;
		bits = (bits << 6 | value) & 0xffff;
		held += 6;
		if (held >= 8) {
			held -= 8;
			to[done++] = (uint8_t)(bits >> held);
		}
	}
	if (i < text.len || (bits & ((1u << held) - 1)) != 0) {
		buf_added(out, 0); /* the NUL again where letters were being written */
		return -EINVAL;
	}
	buf_added(out, size);
	return 0;
}

int base64url_encode(struct buf *out, struct bytes data)
{
	return encode(out, data, url_letters, false);
}

int base64url_decode(struct buf *out, struct bytes text)
{
	return decode(out, text, url_letters);
}

int base64_encode(struct buf *out, struct bytes data)
{
	return encode(out, data, std_letters, true);
}

int base64_decode(struct buf *out, struct bytes text)
{
	int i;

	if (text.len % 4 != 0)
		return -EINVAL;
	for (i = 0; i < 2 && text.len && text.ptr[text.len - 1] == '='; i++)
		text.len--;
	return decode(out, text, std_letters);
}

const char *hex_print(struct bytes data, char *out)
{
	static const char digits[] = "0123456789abcdef";
	size_t i;

	for (i = 0; i < data.len; i++) {
		out[2 * i] = digits[data.ptr[i] >> 4];
		out[2 * i + 1] = digits[data.ptr[i] & 15];
	}
	out[2 * data.len] = 0;
	return out;
}

/* The value of a digit, 16 for anything else. */
static unsigned hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return (unsigned)(c - '0');
	if (c >= 'a' && c <= 'f')
		return (unsigned)(c - 'a' + 10);
	if (c >= 'A' && c <= 'F')
		return (unsigned)(c - 'A' + 10);
	return 16;
}

int hex_parse(const char *text, uint8_t *out, size_t size)
{
	unsigned high, low;
	size_t i;

	if (strlen(text) != 2 * size)
		return -EINVAL;
	for (i = 0; i < size; i++) {
		high = hex_digit(text[2 * i]);
		low = hex_digit(text[2 * i + 1]);
		if (high > 15 || low > 15)
			return -EINVAL;
		out[i] = (uint8_t)(high << 4 | low);
	}
	return 0;
}

int hex_parse_fingerprint(const char *text, uint8_t out[static HEX_FINGERPRINT_SIZE])
{
	char digits[2 * HEX_FINGERPRINT_SIZE + 1];
	size_t n = 0;

	for (; *text; text++) {
		if (*text == ':' && n > 0 && n % 2 == 0 && text[-1] != ':' && text[1])
			continue;
		if (n == sizeof(digits) - 1)
			return -EINVAL;
		digits[n++] = *text;
	}
	digits[n] = '\0';
	return hex_parse(digits, out, HEX_FINGERPRINT_SIZE);
}
