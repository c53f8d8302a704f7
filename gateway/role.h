/* What gatehoused is when its supervisor started it: the process `core` or the process `gateway`.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "core/base/conf.h"

/* Run as `name`, by what the supervisor gives (core/wire/control.h), until it says stop. Returns the exit code. */
int role_run(const char *name);

/* ---- for the roles ---- */

/* Take the configuration: parsed again from the octets that the supervisor read and checked. */
int role_take_config(struct conf **out, const char *path, int take_fd);

/* Threads leave signals to the supervisor, which says `stop` when it is time. */
void role_ignore_signals(void);

/* Tell the supervisor why it did not start; returns the exit code. */
int role_fail(const struct conf_error *error, int e);

int role_core(void);
int role_gateway(void);
