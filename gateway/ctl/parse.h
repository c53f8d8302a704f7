/* The command line: words and options against the table of commands.
 *
 * Options may stand anywhere; "--" ends them.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "gateway/ctl/ctl.h"

/* Fill `ctl` from the command line. CTL_DONE; or CTL_USAGE, told. Without a command `ctl->command` is NULL: then
 * `ctl->wants_help` or `ctl->wants_version` is set. With wants_help `ctl->noun` may name what the help is about. */
int parse_command_line(struct ctl *ctl, int argc, char **argv);

/* The nearest of `words` (ends with NULL) to what was typed, or NULL when none is near. */
const char *parse_nearest(const char *typed, const char *const *words);

/* The option that a word such as "--yes" or "-y" names, of any command; NULL: none. */
const struct option_row *parse_option(const char *word);
