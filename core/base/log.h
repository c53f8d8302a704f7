/* The server log: one line a decision, at the place where it is made.
 *
 * An event has a stable name (`request.pended`) and key=value fields. Lines go to standard error as logfmt or JSON;
 * octets outside printable ASCII are written as `\xNN`, so a client can forge no line and move no cursor.
 * Libraries return errors, the top logs. Secrets never come here.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <stdarg.h>
#include <stddef.h>

enum log_level { LOG_LEVEL_DEBUG, LOG_LEVEL_INFO, LOG_LEVEL_WARN, LOG_LEVEL_ERROR };
enum log_format { LOG_FORMAT_LOGFMT, LOG_FORMAT_JSON };

/* One field; a value of NULL is left out. */
struct log_field {
	const char *key;
	const char *value;
};

void log_setup(enum log_format format, enum log_level level);
void log_get_setup(enum log_format *format, enum log_level *level);

/* Fields end with `{ NULL, NULL }`. */
void log_fields(enum log_level level, const char *event, const struct log_field *fields);

/* log_info("request.pended", "id=%s profile=%s", …) is not offered: a value with a blank would break the line.
 * The macro takes keys and strings by turns: log_info("listener.open", "address", text, "port", port_text). */
#define log_debug(event, ...) log_pairs(LOG_LEVEL_DEBUG, event, ##__VA_ARGS__, (const char *)NULL)
#define log_info(event, ...) log_pairs(LOG_LEVEL_INFO, event, ##__VA_ARGS__, (const char *)NULL)
#define log_warn(event, ...) log_pairs(LOG_LEVEL_WARN, event, ##__VA_ARGS__, (const char *)NULL)
#define log_error(event, ...) log_pairs(LOG_LEVEL_ERROR, event, ##__VA_ARGS__, (const char *)NULL)

/* Keys and values by turns, ended by NULL in the place of a key. */
void log_pairs(enum log_level level, const char *event, ...) __attribute__((sentinel));

/* A number as text, for a field: up to the end of the block. */
#define LOG_NUMBER(n) log_number((long long)(n), (char[24]){ 0 })
const char *log_number(long long n, char out[static 24]);

/* Write `text` with everything outside printable ASCII, and `\` and `"`, escaped as `\xNN`. Always terminated;
 * what does not fit is cut. Returns `out`. Used wherever text from outside reaches a person. */
const char *log_escape(const char *text, char *out, size_t size);

/* A test's sink: gets each finished line (without newline) instead of standard error; NULL restores. */
void log_capture(void (*sink)(void *arg, const char *line), void *arg);
