/* The setting `attributes` of endpoints.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "protocols/attributes.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

int proto_attributes_read(struct proto_attributes *out, const struct conf_section *conf, char *why, size_t why_size)
{
	size_t n = conf_count(conf, "attributes");

	*out = (struct proto_attributes){ .all = calloc(n + 1, sizeof(*out->all)) };
	if (!out->all)
		return -ENOMEM;
	while (out->n < n) {
		const char *name = conf_map_name(conf, "attributes", out->n);
		struct ca_attribute *a = &out->all[out->n];

		if (ca_attribute_is_observed(name)) {
			snprintf(why, why_size, "the attribute '%s' is one that says what a client did", name);
			return -EINVAL;
		}
		a->name = strdup(name);
		a->value = strdup(conf_map_value(conf, "attributes", out->n++));
		if (!a->name || !a->value)
			return -ENOMEM;
	}
	return 0;
}

int proto_attributes_check(const struct conf_section *conf, char *why, size_t why_size)
{
	struct proto_attributes a;
	int e;

	snprintf(why, why_size, "no memory");
	e = proto_attributes_read(&a, conf, why, why_size);
	proto_attributes_fini(&a);
	return e;
}

void proto_attributes_fini(struct proto_attributes *a)
{
	for (size_t i = 0; i < a->n; i++) {
		free((char *)a->all[i].name);
		free((char *)a->all[i].value);
	}
	free(a->all);
	*a = (struct proto_attributes){ 0 };
}
