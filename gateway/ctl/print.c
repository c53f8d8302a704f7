/* How the tool writes.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "gateway/ctl/print.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <libsmartcols.h>

#include "core/base/arena.h"
#include "core/base/base64.h"
#include "core/base/clock.h"
#include "core/base/digest.h"

#define TEXTS_MAX (1u << 30) /* octets of one run: a list may be long */

struct print_table {
	struct libscols_table *table;
	unsigned n_columns;
};

struct print_table *print_table_new(const char *const *headings)
{
	struct print_table *t = calloc(1, sizeof(*t));

	if (!t)
		abort();
	scols_init_debug(0);
	t->table = scols_new_table();
	if (!t->table)
		abort();
	for (; *headings; headings++, t->n_columns++)
		scols_table_new_column(t->table, *headings, 0.1, 0);
	return t;
}

void print_row(struct print_table *t, const char *const *cells)
{
	struct libscols_line *line = scols_table_new_line(t->table, NULL);

	for (unsigned i = 0; line && i < t->n_columns; i++)
		scols_line_set_data(line, i, cells[i]);
}

void print_table_end(struct print_table *t, bool print)
{
	if (print)
		scols_print_table(t->table);
	scols_unref_table(t->table);
	free(t);
}

int print_json(cJSON *document)
{
	cJSON *whole = cJSON_CreateObject();
	char *text;

	cJSON_AddNumberToObject(whole, "schema", 1);
	while (document->child) {
		cJSON *item = cJSON_DetachItemViaPointer(document, document->child);

		cJSON_AddItemToObject(whole, item->string, item);
	}
	text = cJSON_PrintUnformatted(whole);
	if (text)
		puts(text);
	cJSON_free(text);
	cJSON_Delete(whole);
	cJSON_Delete(document);
	return text ? CTL_DONE : CTL_FAILED;
}

/* Every text that was made for printing; a tool that has no memory for it cannot go on. */
static struct arena *texts;

static char *room(size_t size)
{
	char *out = texts || arena_new(&texts, TEXTS_MAX) == 0 ? arena_alloc(texts, size) : NULL;

	if (!out)
		abort();
	return out;
}

static const char *keep(const char *text)
{
	size_t size = strlen(text) + 1;

	return memcpy(room(size), text, size);
}

static size_t write_escape(char *to, unsigned char octet)
{
	static const char digits[] = "0123456789abcdef";

	memcpy(to, (const char[]){ '\\', 'x', digits[octet >> 4], digits[octet & 15] }, 4);
	return 4;
}

void print_end(void)
{
	arena_drop(&texts);
}

const char *print_text(const char *text)
{
	char *out = room(strlen(text) * 4 + 1), *p = out;

	/* Nothing that could move a cursor, hide or turn around what stands there. */
	for (; *text; text++)
		if (*text >= ' ' && *text < 0x7f && *text != '\\')
			*p++ = *text;
		else
			p += write_escape(p, (unsigned char)*text);
	*p = '\0';
	return out;
}

const char *print_number(int64_t n)
{
	char text[24];

	snprintf(text, sizeof(text), "%lld", (long long)n);
	return keep(text);
}

const char *print_hex(ProtobufCBinaryData data)
{
	return hex_print(bytes_of(data.data, data.len), room(2 * data.len + 1));
}

const char *print_time_ms(int64_t at_ms)
{
	char text[CLOCK_TEXT_SIZE];

	return keep(clock_print_ms(at_ms, text));
}

const char *print_time_s(int64_t at_s)
{
	char text[CLOCK_TEXT_SIZE];

	return keep(clock_print_s(at_s, text));
}

const char *print_age(const struct ctl *ctl, int64_t at_ms)
{
	static const struct {
		int64_t unit;
		char letter;
	} units[] = { { 86400, 'd' }, { 3600, 'h' }, { 60, 'm' }, { 1, 's' } };
	int64_t age = clock_wall_s() - at_ms / 1000;
	char text[24] = "?";

	if (ctl->is_utc)
		return print_time_ms(at_ms);
	if (age < 0)
		age = 0;
	for (size_t i = 0; i < sizeof(units) / sizeof(*units); i++)
		if (age >= units[i].unit || units[i].unit == 1) {
			snprintf(text, sizeof(text), "%lld%c", (long long)(age / units[i].unit), units[i].letter);
			break;
		}
	return keep(text);
}

const char *print_names(char **names, size_t n)
{
	OWNED_BUF out = BUF_INIT(65536);

	if (n)
		buf_append_str(&out, print_text(names[0]));
	if (n > 1)
		buf_printf(&out, " +%zu", n - 1);
	return keep(buf_str(&out));
}

cJSON *print_names_json(char **names, size_t n)
{
	cJSON *list = cJSON_CreateArray();

	for (size_t i = 0; i < n; i++) {
		const char *value = strchr(names[i], ':');

		cJSON_AddItemToArray(list, cJSON_CreateString(value ? value + 1 : names[i]));
	}
	return list;
}

const char *print_pem(ProtobufCBinaryData der)
{
	OWNED_BUF text = BUF_INIT(131072);
	OWNED_BUF out = BUF_INIT(140000);

	base64_encode(&text, bytes_of(der.data, der.len));
	buf_append_str(&out, "-----BEGIN CERTIFICATE-----\n");
	for (size_t i = 0; i < text.len; i += 64)
		buf_printf(&out, "%.64s\n", buf_str(&text) + i);
	buf_append_str(&out, "-----END CERTIFICATE-----\n");
	return keep(buf_str(&out));
}

const char *print_fingerprint(ProtobufCBinaryData der)
{
	uint8_t hash[SHA256_SIZE];
	OWNED_BUF out = BUF_INIT(128);

	if (digest_sha256(bytes_of(der.data, der.len), hash))
		return "?";
	for (size_t i = 0; i < SHA256_SIZE; i++)
		buf_printf(&out, "%s%02X", i ? ":" : "", hash[i]);
	return keep(buf_str(&out));
}
