/* What an intermediary may ask of this core: which endpoints, which profiles, which names.
 *
 * The core's own configuration binds each intermediary and refuses everything else, whatever the intermediary says
 * about itself. Who it is comes from the connection: inherited from the supervisor, the user of a Unix socket's peer,
 * or the pinned certificate of a TLS peer.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "core/base/conf.h"
#include "core/base/digest.h"
#include "core/base/pattern.h"
#include "core/submit.h"

#include <sys/types.h>

enum binding_peer { BINDING_INHERITED, BINDING_USER, BINDING_CERTIFICATE };

struct binding {
	const char *name; /* in timelines */
	enum binding_peer peer;
	const struct conf_section *conf; /* its endpoints and profiles; NULL: all of the configuration, and any name */
	uint8_t fingerprint[SHA256_SIZE];
	struct pattern *names;
	size_t n_names;
	bool any_name;
};

struct bindings {
	struct binding *all; /* the first is the inherited one */
	size_t n;
	struct arena *arena;
};

/* Rows of an element of `core: intermediaries:`. */
extern const struct conf_option binding_rows[];

/* Read and check `core: intermediaries:` of the whole configuration. 0; negative with `error`. */
int bindings_load(struct bindings *out, const struct conf_section *root, struct conf_error *error);
void bindings_fini(struct bindings *b);

/* Who is bound; NULL: nobody. */
const struct binding *bindings_find_user(const struct bindings *b, uid_t uid);
const struct binding *bindings_find_certificate(const struct bindings *b,
						const uint8_t fingerprint[static SHA256_SIZE]);

/* May requests that came through this endpoint, for this profile, be its business? */
bool binding_has_endpoint(const struct binding *b, const char *endpoint);
bool binding_has_profile(const struct binding *b, const char *profile);
bool binding_has_name(const struct binding *b, const struct ca_name *name);
