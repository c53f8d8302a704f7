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
#include "core/wire/verdict.h"
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

/* Let those of `validator: targets:` judge, of one made by validator_new(), before anybody asks it. `root` has that
 * section and `endpoints:`; `verdict_key`: core/wire/verdict.h. 0; -EINVAL with `error` filled; negative. */
int validator_set_targets(struct validator *v, const struct conf_section *root,
			  const uint8_t verdict_key[static VERDICT_KEY_SIZE], struct conf_error *error);

/* The words after `kind:` of a target, ending with NULL, and the rows of each. */
extern const char *const validator_target_kinds[];
const struct conf_option *validator_target_rows(const char *kind);

/* What a configuration alone says of the targets in the section `validator:`. 0 or -EINVAL with `error` filled. */
int validator_check_targets(const struct conf_section *conf, struct conf_error *error);

/* Must this target of the section `validator:` have heard of a certificate before anybody gets it? */
bool validator_awaits_end(const struct conf_section *conf, const char *target);

/* The validator at the other end of `link`, which lives longer, has the window VALIDATOR_WINDOW and takes no messages
 * that were not asked for. While it is away a job counts as running: the client polls, and then it is started anew.
 * 0, -ENOMEM. */
int validator_connect(struct validator **out, struct link *link);

/* Append a line on how it is. True: well. */
bool validator_health(const struct validator *v, struct buf *out);

/* Give up what is running, within about a second. Nobody may be in `check` any more. */
void validator_drop(struct validator **v);
