/* IP addresses and ranges (CIDR), as octets and as text.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct ip_address {
	uint8_t octets[16];
	unsigned len; /* 4 or 16; 0: none */
};

struct ip_range {
	struct ip_address address;
	unsigned prefix; /* bits */
};

#define IP_TEXT_SIZE 46

/* Dotted decimal without leading zeros, or RFC 4291 text without brackets and zone. 0 or -EINVAL. */
int ip_address_parse(struct ip_address *out, const char *text);

/* The canonical text (RFC 5952). "" for no address. Returns `out`. */
const char *ip_address_print(const struct ip_address *a, char out[static IP_TEXT_SIZE]);
bool ip_address_equal(const struct ip_address *a, const struct ip_address *b);

/* An IPv4 address written as IPv6 (::ffff:192.0.2.1) as the IPv4 address that it is; others as they are. */
struct ip_address ip_address_unmap(const struct ip_address *a);

/* "10.0.0.0/8", "2001:db8::/32", or one address. 0; -EINVAL, also when bits behind the prefix are set. */
int ip_range_parse(struct ip_range *out, const char *text);

/* Never across families. */
bool ip_range_contains(const struct ip_range *r, const struct ip_address *a);
