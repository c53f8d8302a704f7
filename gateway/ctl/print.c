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
	struct libscols_line *last;
	unsigned n_columns;
	bool has_color;
};

/* Columns of the terminal that standard output is, or was before the pager got it; 0: none. */
static size_t terminal_width;

void print_set_width(size_t columns)
{
	terminal_width = columns;
}

struct print_table *print_table_new(const struct ctl *ctl, const char *const *headings)
{
	struct print_table *t = calloc(1, sizeof(*t));
	bool shrinks = terminal_width && ctl->format == CTL_TABLE;

	if (!t)
		abort();
	scols_init_debug(0);
	t->table = scols_new_table();
	if (!t->table)
		abort();
	/* Cells are escaped already; the library would escape our escapes. */
	scols_table_enable_noencoding(t->table, true);
	t->has_color = ctl->has_color;
	scols_table_enable_colors(t->table, t->has_color);
	scols_table_enable_noheadings(t->table, option_given(ctl, "no-headings"));
	if (shrinks)
		scols_table_set_termwidth(t->table, terminal_width);
	scols_table_set_termforce(t->table, shrinks ? SCOLS_TERMFORCE_ALWAYS : SCOLS_TERMFORCE_NEVER);
	for (; *headings; headings++, t->n_columns++)
		scols_table_new_column(t->table, *headings, 0.1, 0);
	return t;
}

void print_table_may_shrink(struct print_table *t, size_t column)
{
	scols_column_set_flags(scols_table_get_column(t->table, column), SCOLS_FL_TRUNC);
}

void print_row(struct print_table *t, const char *const *cells)
{
	t->last = scols_table_new_line(t->table, NULL);
	for (unsigned i = 0; t->last && i < t->n_columns; i++)
		scols_line_set_data(t->last, i, cells[i]);
}

void print_cell_color(struct print_table *t, size_t column, const char *color)
{
	if (t->has_color && color && t->last)
		scols_cell_set_color(scols_line_get_cell(t->last, column), color);
}

const char *print_state_color(const char *state)
{
	static const struct {
		const char *state, *color;
	} colors[] = {
		{ "pending", "yellow" }, { "issued", "green" }, { "valid", "green" },  { "denied", "red" },
		{ "error", "red" },	 { "revoked", "red" },	{ "expired", "gray" }, { "held", "yellow" },
	};

	for (size_t i = 0; i < sizeof(colors) / sizeof(*colors); i++)
		if (strcmp(colors[i].state, state) == 0)
			return colors[i].color;
	return NULL;
}

void print_table_end(struct print_table *t, bool print)
{
	if (print)
		scols_print_table(t->table);
	scols_unref_table(t->table);
	free(t);
}

/* The code point that the octets begin with, and how many they are; what is no UTF-8 is one octet of U+FFFD. */
static size_t read_code_point(const unsigned char *at, uint32_t *code)
{
	static const struct {
		unsigned char mask, head;
		size_t n;
		uint32_t least;
	} forms[] = { { 0xe0, 0xc0, 2, 0x80 }, { 0xf0, 0xe0, 3, 0x800 }, { 0xf8, 0xf0, 4, 0x10000 } };

	for (size_t i = 0; i < sizeof(forms) / sizeof(*forms); i++) {
		size_t n = 1;

		if ((at[0] & forms[i].mask) != forms[i].head)
			continue;
		*code = at[0] & (unsigned char)~forms[i].mask;
		for (; n < forms[i].n && (at[n] & 0xc0) == 0x80; n++)
			*code = *code << 6 | (at[n] & 0x3f);
		if (n == forms[i].n && *code >= forms[i].least && *code <= 0x10ffff && (*code & 0xfffff800) != 0xd800)
			return n;
	}
	*code = 0xfffd;
	return 1;
}

/* JSON in ASCII alone: a terminal shows it as it is, and a reader never sees octets that are no UTF-8. Outside of
 * strings JSON has no other characters. */
static void print_ascii(const char *text)
{
	const unsigned char *at = (const unsigned char *)text;

	while (*at) {
		size_t plain = 0;
		uint32_t code;

		while (at[plain] && at[plain] < 0x7f)
			plain++;
		fwrite(at, 1, plain, stdout);
		at += plain;
		if (!*at)
			break;
		if (*at == 0x7f)
			at++, code = 0x7f;
		else
			at += read_code_point(at, &code);
		if (code > 0xffff)
			printf("\\u%04x\\u%04x", 0xd800 + ((code - 0x10000) >> 10), 0xdc00 + (code & 0x3ff));
		else
			printf("\\u%04x", code);
	}
}

void print_json_text(const cJSON *value)
{
	char *text = cJSON_PrintUnformatted(value);

	if (!text)
		abort();
	print_ascii(text);
	cJSON_free(text);
}

int print_json(cJSON *document)
{
	cJSON *whole = cJSON_CreateObject();

	cJSON_AddNumberToObject(whole, "schema", 1);
	while (document->child) {
		cJSON *item = cJSON_DetachItemViaPointer(document, document->child);

		cJSON_AddItemToObject(whole, item->string, item);
	}
	print_json_text(whole);
	putchar('\n');
	cJSON_Delete(whole);
	cJSON_Delete(document);
	return CTL_DONE;
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

const char *print_kept(const char *text)
{
	size_t size = strlen(text) + 1;

	return memcpy(room(size), text, size);
}

char *print_kept_n(const char *text, size_t n)
{
	char *out = room(n + 1);

	memcpy(out, text, n);
	out[n] = '\0';
	return out;
}

static size_t write_escape(char *to, unsigned char octet)
{
	static const char digits[] = "0123456789abcdef";

	memcpy(to, (const char[]){ '\\', 'x', digits[octet >> 4], digits[octet & 15] }, 4);
	return 4;
}

void print_forget(void)
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
	return print_kept(text);
}

const char *print_hex(ProtobufCBinaryData data)
{
	return hex_print(bytes_of(data.data, data.len), room(2 * data.len + 1));
}

const char *print_time_ms(int64_t at_ms)
{
	char text[CLOCK_TEXT_SIZE];

	return print_kept(clock_print_ms(at_ms, text));
}

const char *print_time_s(int64_t at_s)
{
	char text[CLOCK_TEXT_SIZE];

	return print_kept(clock_print_s(at_s, text));
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
	return print_kept(text);
}

const char *print_age_of(const struct ctl *ctl, const char *time)
{
	int64_t at_s;

	return clock_parse_s(time, &at_s) ? print_text(time) : print_age(ctl, at_s * 1000);
}

const char *print_names(char **names, size_t n)
{
	OWNED_BUF out = BUF_INIT(65536);

	if (n)
		buf_append_str(&out, print_text(names[0]));
	if (n > 1)
		buf_printf(&out, " +%zu", n - 1);
	return print_kept(buf_str(&out));
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

static const char *pem(const char *label, ProtobufCBinaryData der)
{
	OWNED_BUF text = BUF_INIT(1u << 20);
	OWNED_BUF out = BUF_INIT(1u << 20);

	base64_encode(&text, bytes_of(der.data, der.len));
	buf_printf(&out, "-----BEGIN %s-----\n", label);
	for (size_t i = 0; i < text.len; i += 64)
		buf_printf(&out, "%.64s\n", buf_str(&text) + i);
	buf_printf(&out, "-----END %s-----\n", label);
	return print_kept(buf_str(&out));
}

const char *print_pem(ProtobufCBinaryData der)
{
	return pem("CERTIFICATE", der);
}

const char *print_pem_request(ProtobufCBinaryData der)
{
	return pem("CERTIFICATE REQUEST", der);
}

int print_block(const char *label, ProtobufCBinaryData der)
{
	return fputs(pem(label, der), stdout) < 0 ? CTL_FAILED : CTL_DONE;
}

static const char *print_octets(int e, const uint8_t *octets, size_t n)
{
	OWNED_BUF out = BUF_INIT(128);

	for (size_t i = 0; !e && i < n; i++)
		buf_printf(&out, "%s%02X", i ? ":" : "", octets[i]);
	return e ? "?" : print_kept(buf_str(&out));
}

const char *print_fingerprint(ProtobufCBinaryData der)
{
	uint8_t hash[SHA256_SIZE];
	int e = digest_sha256(bytes_of(der.data, der.len), hash);

	return print_octets(e, hash, sizeof(hash));
}

const char *print_fingerprint_sha1(ProtobufCBinaryData der)
{
	uint8_t hash[DIGEST_MAX];
	int e = digest_of(DIGEST_SHA1, bytes_of(der.data, der.len), hash);

	return print_octets(e, hash, digest_size(DIGEST_SHA1));
}

const char *print_fingerprint_md5(ProtobufCBinaryData der)
{
	uint8_t hash[MD5_SIZE];
	int e = digest_md5(bytes_of(der.data, der.len), hash);

	return print_octets(e, hash, sizeof(hash));
}
