/* Characters of UTF-8.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "core/base/utf8.h"

#include <errno.h>

size_t utf8_length(struct bytes in)
{
	static const struct {
		uint8_t first, last; /* of the leading octet */
		uint8_t low, high;   /* of the second octet */
		size_t len;
	} forms[] = {
		{ 0xc2, 0xdf, 0x80, 0xbf, 2 }, { 0xe0, 0xe0, 0xa0, 0xbf, 3 }, { 0xe1, 0xec, 0x80, 0xbf, 3 },
		{ 0xed, 0xed, 0x80, 0x9f, 3 }, { 0xee, 0xef, 0x80, 0xbf, 3 }, { 0xf0, 0xf0, 0x90, 0xbf, 4 },
		{ 0xf1, 0xf3, 0x80, 0xbf, 4 }, { 0xf4, 0xf4, 0x80, 0x8f, 4 },
	};

	if (in.len == 0)
		return 0;
	if (in.ptr[0] < 0x80)
		return 1;
	for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
		if (in.ptr[0] < forms[i].first || in.ptr[0] > forms[i].last)
			continue;
		if (in.len < forms[i].len || in.ptr[1] < forms[i].low || in.ptr[1] > forms[i].high)
			return 0;
		for (size_t k = 2; k < forms[i].len; k++)
			if ((in.ptr[k] & 0xc0) != 0x80)
				return 0;
		return forms[i].len;
	}
	return 0;
}

int utf8_append(struct buf *out, uint32_t character)
{
	static const uint8_t lead[] = { 0, 0x00, 0xc0, 0xe0, 0xf0 };
	size_t n = character < 0x80 ? 1 : character < 0x800 ? 2 : character < 0x10000 ? 3 : 4;
	uint8_t octets[4];

	if (character > 0x10ffff || (character >= 0xd800 && character <= 0xdfff))
		return -EINVAL;
	for (size_t i = n; i-- > 1; character >>= 6)
		octets[i] = (uint8_t)(0x80 | (character & 0x3f));
	octets[0] = (uint8_t)(lead[n] | character);
	return buf_append(out, bytes_of(octets, n));
}

bool utf8_is_text(struct bytes in)
{
	while (in.len) {
		struct bytes character;
		size_t n = utf8_length(in);

		if (n == 0 || in.ptr[0] == 0 || !bytes_take(&in, n, &character))
			return false;
	}
	return true;
}

int utf8_fit(const char *text, size_t max)
{
	struct bytes all = bytes_of_str(text);
	size_t taken = 0, n;

	while ((n = utf8_length(bytes_of(all.ptr + taken, all.len - taken))) && taken + n <= max)
		taken += n;
	return (int)taken;
}
