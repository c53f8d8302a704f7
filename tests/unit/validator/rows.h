/* The option rows that the validator reads, for its tests.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "core/base/conf.h"

static const struct conf_option validator_rows[] = {
	{ .name = "http-port", .type = CONF_INTEGER, .range = "1..65535", .fallback = "80" },
	{ .name = "tls-port", .type = CONF_INTEGER, .range = "1..65535", .fallback = "443" },
	{ .name = "allow", .type = CONF_STRINGS },
	{ .name = "hosts", .type = CONF_MAP },
	{ .name = "resolver", .type = CONF_STRINGS },
	{ .name = "timeout", .type = CONF_DURATION, .range = "100ms..60s", .fallback = "10s" },
	{ .name = "jobs", .type = CONF_INTEGER, .range = "1..4096", .fallback = "512" },
	{ 0 },
};
