/* The trace: one line for every call of a hook and every change of state, in the order they happened.
 *
 * It is the proof that the documented sequence was kept: a checker reads it and holds it against the state table.
 * Written as JSON lines with a sequence number to the file that `core: trace-file:` names, or handed to a test.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <stdint.h>

struct trace;

/* `path` NULL: no file. 0 or -errno. */
int trace_new(struct trace **out, const char *path);
void trace_drop(struct trace **t);

/* A test's sink; gets the line without newline, under the trace's lock. */
void trace_capture(struct trace *t, void (*sink)(void *arg, const char *line), void *arg);

/* `event`: "policy.init", "exit.init", "verify", "row", "commit", "sign", "notify", "reply", …; `id` 0: no request. */
void trace_step(struct trace *t, const char *event, int64_t id);

/* The same with more JSON members: "\"state\":\"%s\"". */
void trace_event(struct trace *t, const char *event, int64_t id, const char *format, ...)
	__attribute__((format(printf, 4, 5)));

/* Around a change that becomes durable and its line, on one thread. trace_barrier() returns when every change that was
 * durable before the call has its line: who acts on what he read in the store calls it first. */
void trace_hold(struct trace *t);
void trace_release(struct trace *t);
void trace_barrier(struct trace *t);
