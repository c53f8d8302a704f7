/* How an intermediary finds its CA, once, when it starts.
 *
 * A config string names where the core listens and which CA is meant: `direct:#CA name` (the core in this process),
 * later `unix:PATH#CA name` and `tls://HOST:PORT#CA name`. CA names are compared without case.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "core/submit.h"

enum {
	CA_LOCATE_BAD_STRING = 1, /* not a config string */
	CA_LOCATE_UNKNOWN_CA = 2, /* the core answered and publishes no CA of that name */
	CA_LOCATE_AWAY = 3,       /* the core does not answer: try again */
};

/* `intermediary` names the caller in the timeline. Which CA and profile an endpoint may use is the core's own reading
 * of the configuration; a core in this process takes its intermediaries for the gateway it was started with. */
int ca_locate(struct ca_door **out, const char *config_string, const char *intermediary);
void ca_door_drop(struct ca_door **ca);

/* The CA's name as published. Borrowed. */
const char *ca_door_name(const struct ca_door *ca);
