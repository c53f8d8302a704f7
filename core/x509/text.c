/* Text from outside that may be stored, shown and put into documents.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "core/x509/text.h"

#include <openssl/asn1.h>

static const struct {
	unsigned long first, last;
} unclean[] = {
	{ 0x00, 0x1f },	    { 0x7f, 0x9f },	{ 0x200b, 0x200f }, { 0x2028, 0x202e },
	{ 0x2060, 0x206f }, { 0xfeff, 0xfeff }, { 0xfff9, 0xfffb },
};

bool text_take(struct bytes *text, unsigned long *character)
{
	struct bytes taken;
	int n = text->len ? UTF8_getc(text->ptr, text->len > 8 ? 8 : (int)text->len, character) : 0;

	return n > 0 && bytes_take(text, (size_t)n, &taken);
}

bool text_is_clean(struct bytes text)
{
	while (text.len) {
		unsigned long c;

		if (!text_take(&text, &c))
			return false;
		for (size_t i = 0; i < sizeof(unclean) / sizeof(*unclean); i++)
			if (c >= unclean[i].first && c <= unclean[i].last)
				return false;
	}
	return true;
}
