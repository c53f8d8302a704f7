/* Which addresses the validator may contact.
 *
 * A client chooses the names that are looked up and the redirects that are followed. So every address is refused that
 * is not on the public Internet, unless the operator listed it (`validator.allow`).
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "core/base/ip.h"

#include <stddef.h>

struct sockaddr;

struct address_rules {
	struct ip_range *allow;
	size_t n_allow;
};

/* IPv4 written as IPv6 is judged as the IPv4 address. */
bool address_allowed(const struct address_rules *rules, const struct ip_address *a);

/* The address of a socket address; -EINVAL for another family than IPv4 and IPv6. */
int address_of_socket(struct ip_address *out, const struct sockaddr *sa);
