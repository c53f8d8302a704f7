/* IP addresses and ranges.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "core/base/ip.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

int ip_address_parse(struct ip_address *out, const char *text)
{
	struct ip_address a = { .len = strchr(text, ':') ? 16 : 4 };

	if (inet_pton(a.len == 16 ? AF_INET6 : AF_INET, text, a.octets) != 1)
		return -EINVAL;
	*out = a;
	return 0;
}

const char *ip_address_print(const struct ip_address *a, char out[static IP_TEXT_SIZE])
{
	if (!a->len || !inet_ntop(a->len == 16 ? AF_INET6 : AF_INET, a->octets, out, IP_TEXT_SIZE))
		*out = '\0';
	return out;
}

bool ip_address_equal(const struct ip_address *a, const struct ip_address *b)
{
	return a->len == b->len && memcmp(a->octets, b->octets, a->len) == 0;
}

struct ip_address ip_address_unmap(const struct ip_address *a)
{
	static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };
	struct ip_address v4 = { .len = 4 };

	if (a->len != 16 || memcmp(a->octets, mapped, sizeof(mapped)) != 0)
		return *a;
	memcpy(v4.octets, a->octets + 12, 4);
	return v4;
}

/* 0 to 128, decimal, without leading zeros. */
static int parse_prefix(const char *text, unsigned *out)
{
	unsigned n = 0;
	size_t i;

	for (i = 0; i < 3 && text[i] >= '0' && text[i] <= '9'; i++)
		n = n * 10 + (unsigned)(text[i] - '0');
	if (i == 0 || text[i] || (i > 1 && text[0] == '0'))
		return -EINVAL;
	*out = n;
	return 0;
}

static bool has_bits_behind(const struct ip_range *r)
{
	unsigned i;

	for (i = r->prefix; i < r->address.len * 8; i++)
		if (r->address.octets[i / 8] & (0x80u >> i % 8))
			return true;
	return false;
}

int ip_range_parse(struct ip_range *out, const char *text)
{
	const char *slash = strchr(text, '/');
	size_t len = slash ? (size_t)(slash - text) : strlen(text);
	char address[IP_TEXT_SIZE];
	struct ip_range r;

	if (len >= sizeof(address))
		return -EINVAL;
	memcpy(address, text, len);
	address[len] = '\0';
	if (ip_address_parse(&r.address, address))
		return -EINVAL;
	r.prefix = r.address.len * 8;
	if (slash && (parse_prefix(slash + 1, &r.prefix) || r.prefix > r.address.len * 8))
		return -EINVAL;
	if (has_bits_behind(&r))
		return -EINVAL;
	*out = r;
	return 0;
}

bool ip_range_contains(const struct ip_range *r, const struct ip_address *a)
{
	unsigned whole = r->prefix / 8, rest = r->prefix % 8;
	uint8_t mask = (uint8_t)(0xff00u >> rest);

	if (r->address.len != a->len || memcmp(r->address.octets, a->octets, whole) != 0)
		return false;
	return !rest || ((r->address.octets[whole] ^ a->octets[whole]) & mask) == 0;
}
