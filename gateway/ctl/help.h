/* Help from the table of commands.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <stdio.h>

#include "gateway/ctl/command.h"

void help_print_all(FILE *to);
void help_print_noun(FILE *to, const struct noun_row *noun);
void help_print_command(FILE *to, const struct command *c);
