/* Attributes that go with every request of an endpoint to the policy (its setting `attributes`).
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "core/base/conf.h"
#include "core/submit.h"

struct proto_attributes {
	struct ca_attribute *all; /* their texts are its own */
	size_t n;
};

/* 0; -EINVAL with a sentence in `why`: one is named as what only the adapter knows (ca_attribute_is_observed());
 * -ENOMEM. To be let go in any case. */
int proto_attributes_read(struct proto_attributes *out, const struct conf_section *conf, char *why, size_t why_size);

/* What it would say: the call `check` of an adapter that has nothing else to look at (protocols/adapter.h). */
int proto_attributes_check(const struct conf_section *conf, char *why, size_t why_size);
void proto_attributes_fini(struct proto_attributes *a);
