/* Which addresses the validator may contact.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "gateway/validator/address.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#define V4(a, b, c, d, bits) { { { a, b, c, d }, 4 }, bits }
#define V6(a, b, c, d, bits) { { { a, b, c, d }, 16 }, bits }

/* The special-purpose registries of RFC 6890; and 168.63.129.16, where Azure answers its guests. */
static const struct ip_range denied[] = {
	V4(0, 0, 0, 0, 8),
	V4(10, 0, 0, 0, 8),
	V4(100, 64, 0, 0, 10),
	V4(127, 0, 0, 0, 8),
	V4(168, 63, 129, 16, 32),
	V4(169, 254, 0, 0, 16),
	V4(172, 16, 0, 0, 12),
	V4(192, 0, 0, 0, 24),
	V4(192, 0, 2, 0, 24),
	V4(192, 88, 99, 0, 24),
	V4(192, 168, 0, 0, 16),
	V4(198, 18, 0, 0, 15),
	V4(198, 51, 100, 0, 24),
	V4(203, 0, 113, 0, 24),
	V4(224, 0, 0, 0, 4),
	V4(240, 0, 0, 0, 4),
	V6(0x20, 0x01, 0x00, 0x00, 23), /* 2001::/23: Teredo, ORCHID, benchmarks */
	V6(0x20, 0x01, 0x0d, 0xb8, 32), /* documentation */
	V6(0x20, 0x02, 0x00, 0x00, 16), /* 6to4: an IPv4 address in disguise */
	V6(0x3f, 0xff, 0x00, 0x00, 20), /* documentation */
};

/* All IPv6 unicast that is assigned so far. Loopback, ULA, link-local, NAT64, IPv4-compatible lie outside. */
static const struct ip_range global_unicast = V6(0x20, 0, 0, 0, 3);

static bool is_public(const struct ip_address *a)
{
	size_t i;

	if (a->len == 16 && !ip_range_contains(&global_unicast, a))
		return false;
	for (i = 0; i < sizeof(denied) / sizeof(denied[0]); i++)
		if (ip_range_contains(&denied[i], a))
			return false;
	return a->len != 0;
}

bool address_allowed(const struct address_rules *rules, const struct ip_address *address)
{
	const struct ip_address a = ip_address_unmap(address);
	size_t i;

	for (i = 0; i < rules->n_allow; i++)
		if (ip_range_contains(&rules->allow[i], &a))
			return true;
	return is_public(&a);
}

int address_of_socket(struct ip_address *out, const struct sockaddr *sa)
{
	*out = (struct ip_address){ 0 };
	if (sa->sa_family == AF_INET) {
		out->len = 4;
		memcpy(out->octets, &((const struct sockaddr_in *)(const void *)sa)->sin_addr, 4);
	} else if (sa->sa_family == AF_INET6) {
		out->len = 16;
		memcpy(out->octets, &((const struct sockaddr_in6 *)(const void *)sa)->sin6_addr, 16);
	} else {
		return -EINVAL;
	}
	return 0;
}
