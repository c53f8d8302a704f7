/* The server log.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "core/base/log.h"

#include "core/base/clock.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* A line longer than this is cut; RESERVE is kept for what closes it. */
#define LINE_SIZE 8192
#define RESERVE 8

struct line {
	enum log_format format;
	size_t len;
	char text[LINE_SIZE];
};

static atomic_int the_format = LOG_FORMAT_LOGFMT;
static atomic_int the_level = LOG_LEVEL_INFO;

/* One line at a time: a line longer than PIPE_BUF would be mixed with others otherwise. Guards the sink too. */
static pthread_mutex_t output_lock = PTHREAD_MUTEX_INITIALIZER;
static void (*the_sink)(void *arg, const char *line);
static void *the_sink_arg;

static const char *const level_names[] = {
	[LOG_LEVEL_DEBUG] = "debug",
	[LOG_LEVEL_INFO] = "info",
	[LOG_LEVEL_WARN] = "warn",
	[LOG_LEVEL_ERROR] = "error",
};

void log_setup(enum log_format format, enum log_level level)
{
	atomic_store(&the_format, (int)format);
	atomic_store(&the_level, (int)level);
}

void log_get_setup(enum log_format *format, enum log_level *level)
{
	*format = (enum log_format)atomic_load(&the_format);
	*level = (enum log_level)atomic_load(&the_level);
}

void log_capture(void (*sink)(void *arg, const char *line), void *arg)
{
	pthread_mutex_lock(&output_lock);
	the_sink = sink;
	the_sink_arg = arg;
	pthread_mutex_unlock(&output_lock);
}

/* One octet as it may be printed; returns how many characters `out` got. */
static size_t escape_octet(unsigned char c, char out[static 5])
{
	if (c >= 0x20 && c < 0x7f && c != '\\' && c != '"') {
		out[0] = (char)c;
		out[1] = 0;
		return 1;
	}
	return (size_t)snprintf(out, 5, "\\x%02x", c);
}

const char *log_escape(const char *text, char *out, size_t size)
{
	size_t len = 0, n;
	char piece[5];

	if (size == 0)
		return out;
	for (; *text; text++) {
		n = escape_octet((unsigned char)*text, piece);
		if (len + n >= size)
			break;
		memcpy(out + len, piece, n);
		len += n;
	}
	out[len] = 0;
	return out;
}

const char *log_number(long long n, char out[static 24])
{
	snprintf(out, 24, "%lld", n);
	return out;
}

static void put(struct line *l, const char *s, size_t n)
{
	memcpy(l->text + l->len, s, n);
	l->len += n;
}

static bool has_room(const struct line *l, size_t n)
{
	return l->len + n + RESERVE <= sizeof(l->text);
}

/* Text between quotes or bare, escaped; cut where the line is full. */
static void put_text(struct line *l, const char *text)
{
	char piece[5];
	size_t n;

	for (; *text; text++) {
		n = escape_octet((unsigned char)*text, piece);
		if (!has_room(l, n + 1))
			return;
		if (n > 1 && l->format == LOG_FORMAT_JSON)
			put(l, "\\", 1); /* JSON knows no \x: the reader gets the same text as from logfmt */
		put(l, piece, n);
	}
}

static bool needs_quotes(const char *value)
{
	return !*value || strpbrk(value, " \"=") != NULL;
}

static void put_field(struct line *l, const char *key, const char *value)
{
	bool is_json = l->format == LOG_FORMAT_JSON;
	bool is_quoted = is_json || needs_quotes(value);

	if (!has_room(l, 4 * strlen(key) + 8))
		return;
	if (l->len > (is_json ? 1u : 0u))
		put(l, is_json ? "," : " ", 1);
	if (is_json)
		put(l, "\"", 1);
	put_text(l, key);
	if (is_json)
		put(l, "\":", 2);
	else
		put(l, "=", 1);
	if (is_quoted)
		put(l, "\"", 1);
	put_text(l, value);
	if (is_quoted)
		put(l, "\"", 1);
}

static void line_begin(struct line *l, enum log_level level, const char *event)
{
	char time[CLOCK_TEXT_SIZE];

	l->format = (enum log_format)atomic_load(&the_format);
	l->len = 0;
	if (l->format == LOG_FORMAT_JSON)
		put(l, "{", 1);
	put_field(l, "time", clock_print_ms(clock_wall_ms(), time));
	put_field(l, "level", level_names[level]);
	put_field(l, "event", event);
}

/* Nothing can be done about an error here: there is no other place to say it. */
static void write_all(const char *text, size_t len)
{
	ssize_t n;

	while (len) {
		n = write(STDERR_FILENO, text, len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return;
		text += n;
		len -= (size_t)n;
	}
}

static void line_end(struct line *l)
{
	int saved = errno;

	if (l->format == LOG_FORMAT_JSON)
		put(l, "}", 1);
	pthread_mutex_lock(&output_lock);
	if (the_sink) {
		l->text[l->len] = 0;
		the_sink(the_sink_arg, l->text);
	} else {
		put(l, "\n", 1);
		write_all(l->text, l->len);
	}
	pthread_mutex_unlock(&output_lock);
	errno = saved;
}

static bool is_wanted(enum log_level level)
{
	return (int)level >= atomic_load(&the_level);
}

void log_fields(enum log_level level, const char *event, const struct log_field *fields)
{
	struct line l;

	if (!is_wanted(level))
		return;
	line_begin(&l, level, event);
	for (; fields->key; fields++)
		if (fields->value)
			put_field(&l, fields->key, fields->value);
	line_end(&l);
}

void log_pairs(enum log_level level, const char *event, ...)
{
	const char *key, *value;
	struct line l;
	va_list args;

	if (!is_wanted(level))
		return;
	line_begin(&l, level, event);
	va_start(args, event);
	while ((key = va_arg(args, const char *)) != NULL) {
		value = va_arg(args, const char *);
		if (value)
			put_field(&l, key, value);
	}
	va_end(args);
	line_end(&l);
}
