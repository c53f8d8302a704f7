/* Things of the configuration, by their names.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "core/core_int.h"

#include <arpa/inet.h>
#include <strings.h>

struct ca *core_find_ca(struct ca_core *core, const char *name)
{
	for (size_t i = 0; i < core->n_cas; i++)
		if (strcasecmp(core->cas[i].name, name) == 0)
			return &core->cas[i];
	return NULL;
}

struct ca_profile *core_find_profile(struct ca_core *core, const char *name)
{
	for (size_t i = 0; i < core->n_profiles; i++)
		if (strcmp(core->profiles[i].name, name) == 0)
			return &core->profiles[i];
	return NULL;
}

const struct conf_section *core_find_endpoint(struct ca_core *core, const char *name)
{
	for (size_t i = 0; i < conf_count(core->conf, "endpoints"); i++) {
		const struct conf_section *e = conf_section_at(core->conf, "endpoints", i);

		if (strcmp(conf_str(e, "name"), name) == 0)
			return e;
	}
	return NULL;
}

bool core_is_own_profile(const char *profile)
{
	return strcmp(profile, GATEWAY_TLS_PROFILE) == 0 || strcmp(profile, SCEP_RA_PROFILE) == 0;
}

bool core_endpoint_allows(struct ca_core *core, const char *endpoint, const char *ca, const char *profile)
{
	const struct conf_section *e = core_find_endpoint(core, endpoint);

	if (strcmp(endpoint, INTERNAL_ENDPOINT) == 0)
		return core_is_own_profile(profile);
	return e && strcasecmp(conf_str(e, "ca"), ca) == 0 && conf_str(e, "profile") &&
	       strcmp(conf_str(e, "profile"), profile) == 0;
}

static bool is_same_name(const struct ca_name *name, const char *configured)
{
	uint8_t a[16], b[16];

	if (name->kind == CA_NAME_DNS)
		return strcasecmp(name->value, configured) == 0;
	if (inet_pton(AF_INET, name->value, a) == 1)
		return inet_pton(AF_INET, configured, b) == 1 && memcmp(a, b, 4) == 0;
	return inet_pton(AF_INET6, name->value, a) == 1 && inet_pton(AF_INET6, configured, b) == 1 &&
	       memcmp(a, b, 16) == 0;
}

bool core_is_listener_name(struct ca_core *core, const struct ca_name *name)
{
	size_t n = conf_count(core->conf, "listeners");

	for (size_t i = 0; i < n; i++) {
		const struct conf_section *l = conf_section_at(core->conf, "listeners", i);

		for (size_t j = 0; j < conf_count(l, "names"); j++)
			if (is_same_name(name, conf_str_at(l, "names", j)))
				return true;
	}
	return false;
}
