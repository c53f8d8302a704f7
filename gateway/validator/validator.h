/* The validator: jobs that contact clients' machines, run by threads of their own.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "core/base/buf.h"
#include "core/base/conf.h"
#include "protocols/validator.h"

/* By the section `validator:`, with the options `http-port`, `tls-port`, `allow`, `hosts`, `resolver`, `timeout` and
 * `jobs`. The object begins with its `struct validator`. 0; -EINVAL with `error` filled; negative. */
int validator_new(struct validator **out, const struct conf_section *conf, struct conf_error *error);

/* Append a line on how it is. True: well. */
bool validator_health(const struct validator *v, struct buf *out);

/* Give up what is running, within about a second. Nobody may be in `check` any more. */
void validator_drop(struct validator **v);
