/* Asking for a secret at the terminal.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "core/base/buf.h"

/* Ask at the terminal that controls this process, which does not show what is typed; what follows the line is for
 * whoever reads next. A signal that would end the process puts the terminal back first and is then what it was: it ends
 * the process, runs its handler, or, where the caller has it blocked, waits, and the call returns -EINTR. After a stop
 * the question is asked again. One thread at a time.
 *
 * 0; -ENOTTY: there is no terminal; -EINTR; -ECANCELED: the end of the input instead of a line; -EMSGSIZE; -errno. */
int terminal_ask(const char *question, struct buf *out);
