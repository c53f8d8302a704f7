/* JSON as text.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "protocols/jose/json_write.h"

static bool is_plain(unsigned char c)
{
	return c >= 0x20 && c != 0x7f && c != '"' && c != '\\';
}

static void quoted(struct buf *out, const char *s)
{
	const char *begin;

	buf_append_char(out, '"');
	while (*s) {
		for (begin = s; is_plain((unsigned char)*s); s++)
			;
		buf_append(out, bytes_of(begin, (size_t)(s - begin)));
		if (*s == '"' || *s == '\\')
			buf_append(out, bytes_of((const char[]){ '\\', *s++ }, 2));
		else if (*s)
			buf_printf(out, "\\u%04x", (unsigned char)*s++);
	}
	buf_append_char(out, '"');
}

static void begin(struct json_writer *w, const char *key)
{
	if (w->comma)
		buf_append_char(w->out, ',');
	if (key) {
		quoted(w->out, key);
		buf_append_char(w->out, ':');
	}
	w->comma = true;
}

void json_open(struct json_writer *w, const char *key, char bracket)
{
	begin(w, key);
	buf_append_char(w->out, bracket);
	w->comma = false;
}

void json_close(struct json_writer *w, char bracket)
{
	buf_append_char(w->out, bracket);
	w->comma = true;
}

void json_string(struct json_writer *w, const char *key, const char *value)
{
	if (!value)
		return;
	begin(w, key);
	quoted(w->out, value);
}

void json_stringf(struct json_writer *w, const char *key, const char *format, ...)
{
	struct buf text = BUF_INIT(4096);
	va_list args;

	va_start(args, format);
	buf_vprintf(&text, format, args);
	va_end(args);
	if (buf_status(&text) && !buf_status(w->out))
		w->out->status = buf_status(&text);
	json_string(w, key, buf_str(&text));
	buf_fini(&text);
}

void json_number(struct json_writer *w, const char *key, int64_t value)
{
	begin(w, key);
	buf_printf(w->out, "%lld", (long long)value);
}

void json_bool(struct json_writer *w, const char *key, bool value)
{
	begin(w, key);
	buf_append_str(w->out, value ? "true" : "false");
}

void json_raw(struct json_writer *w, const char *key, const char *value)
{
	if (!value)
		return;
	begin(w, key);
	buf_append_str(w->out, value);
}
