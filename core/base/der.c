/* Strict DER.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "core/base/der.h"

#include <errno.h>
#include <stdio.h>
#include <time.h>

#define UTC_TIME_END_S 2524608000ll /* 2050-01-01 */

static int read_length(struct bytes *in, size_t *length)
{
	struct bytes octet, more;
	size_t value = 0;

	if (!bytes_take(in, 1, &octet))
		return -EINVAL;
	if (octet.ptr[0] < 0x80) {
		*length = octet.ptr[0];
		return 0;
	}
	if (octet.ptr[0] == 0x80 || octet.ptr[0] > 0x84)
		return -EINVAL;
	if (!bytes_take(in, octet.ptr[0] & 0x7fu, &more) || more.ptr[0] == 0)
		return -EINVAL;
	for (size_t i = 0; i < more.len; i++)
		value = value << 8 | more.ptr[i];
	if (value < 0x80)
		return -EINVAL;
	*length = value;
	return 0;
}

int der_read(struct bytes *in, unsigned *tag, struct bytes *content, struct bytes *whole)
{
	struct bytes rest = *in, octet;
	size_t length;

	if (!bytes_take(&rest, 1, &octet) || (octet.ptr[0] & 0x1f) == 0x1f)
		return -EINVAL;
	if (read_length(&rest, &length) || !bytes_take(&rest, length, content))
		return -EINVAL;
	*tag = octet.ptr[0];
	if (whole)
		*whole = bytes_of(in->ptr, in->len - rest.len);
	*in = rest;
	return 0;
}

int der_expect(struct bytes *in, unsigned tag, struct bytes *content)
{
	struct bytes rest = *in;
	unsigned found;

	if (der_read(&rest, &found, content, NULL) || found != tag)
		return -EINVAL;
	*in = rest;
	return 0;
}

int der_check(struct bytes in, unsigned depth)
{
	struct bytes content;
	unsigned tag;

	if (depth == 0)
		return -EINVAL;
	while (in.len) {
		if (der_read(&in, &tag, &content, NULL))
			return -EINVAL;
		if ((tag & 0x20) && der_check(content, depth - 1))
			return -EINVAL;
	}
	return 0;
}

/* Of one number of an OID. The same for text and octets: what one can say the other can. */
#define ARC_MAX (UINT64_MAX >> 8)

int der_oid_print(struct bytes content, char *out, size_t size)
{
	size_t used = 0;
	uint64_t arc = 0;
	bool first = true, fresh = true;

	out[0] = '\0';
	if (content.len == 0 || (content.ptr[content.len - 1] & 0x80))
		return -EINVAL;
	for (size_t i = 0; i < content.len; i++) {
		int n;

		if (fresh && content.ptr[i] == 0x80)
			return -EINVAL;
		arc = arc << 7 | (content.ptr[i] & 0x7f);
		if (arc > ARC_MAX)
			return -EINVAL;
		fresh = !(content.ptr[i] & 0x80);
		if (!fresh)
			continue;
		if (first) {
			uint64_t top = arc < 80 ? arc / 40 : 2;

			n = snprintf(out + used, size - used, "%llu.%llu", (unsigned long long)top,
				     (unsigned long long)(arc - top * 40));
			first = false;
		} else {
			n = snprintf(out + used, size - used, ".%llu", (unsigned long long)arc);
		}
		if (n < 0 || (size_t)n >= size - used)
			return -EINVAL;
		used += (size_t)n;
		arc = 0;
	}
	return 0;
}

static int write_arc(struct buf *out, uint64_t arc)
{
	uint8_t octets[10];
	size_t n = 0;

	do
		octets[n++] = (uint8_t)(arc & 0x7f);
	while (arc >>= 7);
	while (n--)
		buf_append_char(out, (char)(octets[n] | (n ? 0x80 : 0)));
	return buf_status(out);
}

/* One decimal arc without sign or leading zero, followed by '.' or the end. */
static int read_arc(const char **text, uint64_t *arc)
{
	const char *p = *text;

	if (*p < '0' || *p > '9' || (*p == '0' && p[1] >= '0' && p[1] <= '9'))
		return -EINVAL;
	for (*arc = 0; *p >= '0' && *p <= '9'; p++) {
		if (*arc > (ARC_MAX - (uint64_t)(*p - '0')) / 10)
			return -EINVAL;
		*arc = *arc * 10 + (uint64_t)(*p - '0');
	}
	if (*p != '.' && *p != '\0')
		return -EINVAL;
	*text = *p ? p + 1 : p;
	return *p && !p[1] ? -EINVAL : 0;
}

int der_oid_parse(const char *text, struct buf *out)
{
	uint64_t top, second, arc;

	if (read_arc(&text, &top) || top > 2 || read_arc(&text, &second) || (top < 2 && second > 39) ||
	    second > ARC_MAX - top * 40)
		return -EINVAL;
	if (write_arc(out, top * 40 + second))
		return -EINVAL;
	while (*text)
		if (read_arc(&text, &arc) || write_arc(out, arc))
			return -EINVAL;
	return 0;
}

size_t der_head(unsigned tag, uint64_t length, uint8_t out[static DER_HEAD_MAX])
{
	size_t n = 1, octets = 0;

	out[0] = (uint8_t)tag;
	if (length < 0x80) {
		out[n++] = (uint8_t)length;
		return n;
	}
	for (uint64_t rest = length; rest; rest >>= 8)
		octets++;
	out[n++] = (uint8_t)(0x80 | octets);
	while (octets--)
		out[n++] = (uint8_t)(length >> (8 * octets));
	return n;
}

int der_write(struct buf *out, unsigned tag, struct bytes content)
{
	uint8_t head[DER_HEAD_MAX];
	size_t n = der_head(tag, content.len, head);

	buf_append(out, bytes_of(head, n));
	return buf_append(out, content);
}

int der_write_time(struct buf *out, int64_t seconds)
{
	bool is_short = seconds < UTC_TIME_END_S;
	time_t t = (time_t)seconds;
	char text[24];
	struct tm tm;

	if (!gmtime_r(&t, &tm) || tm.tm_year < 50 || tm.tm_year > 9999 - 1900)
		return -EINVAL;
	strftime(text, sizeof(text), is_short ? "%y%m%d%H%M%SZ" : "%Y%m%d%H%M%SZ", &tm);
	return der_write(out, is_short ? 0x17 : 0x18, bytes_of_str(text));
}
