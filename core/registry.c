/* How an intermediary finds its CA: the cores of this process, and the calls through the door.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "core/registry.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/core_int.h"
#include "core/registry_int.h"

#define SCHEME "direct:#"

struct ca_door {
	struct ca *ca;
	char *intermediary;
};

/* The core of this process. Set before any adapter starts, cleared after the last one stopped. */
static struct {
	pthread_mutex_t lock;
	struct ca_core *core;
} published = { .lock = PTHREAD_MUTEX_INITIALIZER };

void registry_publish(struct ca_core *core)
{
	pthread_mutex_lock(&published.lock);
	published.core = core;
	pthread_mutex_unlock(&published.lock);
}

void registry_withdraw(struct ca_core *core)
{
	pthread_mutex_lock(&published.lock);
	if (published.core == core)
		published.core = NULL;
	pthread_mutex_unlock(&published.lock);
}

int ca_locate(struct ca_door **out, const char *config_string, const char *intermediary)
{
	struct ca_door *door;
	struct ca_core *core;
	struct ca *ca;

	if (strncmp(config_string, SCHEME, sizeof(SCHEME) - 1) != 0 || !config_string[sizeof(SCHEME) - 1])
		return CA_LOCATE_BAD_STRING;
	pthread_mutex_lock(&published.lock);
	core = published.core;
	pthread_mutex_unlock(&published.lock);
	if (!core)
		return CA_LOCATE_AWAY;
	ca = core_find_ca(core, config_string + sizeof(SCHEME) - 1);
	if (!ca)
		return CA_LOCATE_UNKNOWN_CA;
	door = calloc(1, sizeof(*door));
	if (!door)
		return -ENOMEM;
	door->ca = ca;
	door->intermediary = strdup(intermediary);
	if (!door->intermediary) {
		free(door);
		return -ENOMEM;
	}
	trace_event(core->trace, "locate", 0, "\"intermediary\":\"%s\",\"ca\":\"%s\"", intermediary, ca->name);
	*out = door;
	return 0;
}

void ca_door_drop(struct ca_door **door)
{
	if (!*door)
		return;
	free((*door)->intermediary);
	free(*door);
	*door = NULL;
}

const char *ca_door_name(const struct ca_door *door)
{
	return door->ca->name;
}

int ca_submit(struct ca_door *door, const struct ca_submission *submission, struct ca_outcome *out)
{
	return pipeline_submit(door->ca, door->intermediary, submission, out);
}

int ca_peek(struct ca_door *door, const char *requester, int64_t id, struct ca_outcome *out)
{
	return pipeline_ask(door->ca, requester, id, false, out);
}

int ca_retrieve(struct ca_door *door, const char *requester, int64_t id, struct ca_outcome *out)
{
	return pipeline_ask(door->ca, requester, id, true, out);
}

int ca_get_chain(struct ca_door *door, struct buf *out)
{
	return buf_append(out, buf_bytes(&door->ca->certificate));
}

void ca_outcome_fini(struct ca_outcome *out)
{
	buf_fini(&out->certificate);
	buf_fini(&out->chain);
}
