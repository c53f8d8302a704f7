/* The validator: jobs that contact clients' machines, run by threads of their own.
 *
 * It is in this process (validator_new), or a process of its own behind a link (validator_connect),
 * gatehouse-validator.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "core/base/buf.h"
#include "core/base/conf.h"
#include "protocols/validator.h"

/* Of a link to a validator: calls in flight. */
#define VALIDATOR_WINDOW 128

struct link;

/* The rows of the section `validator:`. */
extern const struct conf_option validator_options[];

/* What stands first in each validator: the adapters' door, and what is for its owner alone. */
struct validator_face {
	struct validator door;
	bool (*health)(const struct validator *v, struct buf *out);
	void (*drop)(struct validator *v);
};

/* By the section `validator:`. 0; -EINVAL with `error` filled;
 * negative. */
int validator_new(struct validator **out, const struct conf_section *conf, struct conf_error *error);

/* The validator at the other end of `link`, which lives longer, has the window VALIDATOR_WINDOW and takes no messages
 * that were not asked for. While it is away a job counts as running: the client polls, and then it is started anew.
 * 0, -ENOMEM. */
int validator_connect(struct validator **out, struct link *link);

/* Append a line on how it is. True: well. */
bool validator_health(const struct validator *v, struct buf *out);

/* Give up what is running, within about a second. Nobody may be in `check` any more. */
void validator_drop(struct validator **v);
