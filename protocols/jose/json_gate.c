/* The strict reader of RFC 8259, one function a production.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "protocols/jose/json_gate.h"

#include <errno.h>

#include "core/base/buf.h"
#include "core/base/utf8.h"

/* A member name that was seen: where its unescaped octets stand in `names`. */
struct key {
	uint32_t hash;
	size_t at, len;
};

struct gate {
	struct bytes in;   /* what is left */
	unsigned depth;
	unsigned nodes;
	struct buf names;  /* unescaped names of the objects that are open, the outermost first */
	struct buf keys;   /* of `struct key`, in the same order */
};

static int scan_value(struct gate *g);

static bool next_is(const struct gate *g, uint8_t c)
{
	return g->in.len > 0 && *g->in.ptr == c;
}

static void skip(struct gate *g, size_t n)
{
	g->in.ptr += n;
	g->in.len -= n;
}

static bool take(struct gate *g, uint8_t c)
{
	if (!next_is(g, c))
		return false;
	skip(g, 1);
	return true;
}

static void skip_blanks(struct gate *g)
{
	while (next_is(g, ' ') || next_is(g, '\t') || next_is(g, '\n') || next_is(g, '\r'))
		skip(g, 1);
}

static bool is_digit(uint8_t c)
{
	return c >= '0' && c <= '9';
}

static bool take_digits(struct gate *g)
{
	size_t n = 0;

	while (n < g->in.len && is_digit(g->in.ptr[n]))
		n++;
	skip(g, n);
	return n > 0;
}

/* RFC 8259 6. */
static int scan_number(struct gate *g)
{
	(void)take(g, '-');
	if (!take(g, '0') && !take_digits(g))
		return JSON_REFUSED;
	if (take(g, '.') && !take_digits(g))
		return JSON_REFUSED;
	if (take(g, 'e') || take(g, 'E')) {
		if (!take(g, '+'))
			(void)take(g, '-');
		if (!take_digits(g))
			return JSON_REFUSED;
	}
	return 0;
}

static int hex_digit(uint8_t c)
{
	if (is_digit(c))
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

/* Four hexadecimal digits; false when they are not there. */
static bool take_unit(struct gate *g, uint32_t *unit)
{
	uint32_t value = 0;

	if (g->in.len < 4)
		return false;
	for (size_t i = 0; i < 4; i++) {
		int digit = hex_digit(g->in.ptr[i]);

		if (digit < 0)
			return false;
		value = value << 4 | (uint32_t)digit;
	}
	skip(g, 4);
	*unit = value;
	return true;
}

/* Behind "\u". A NUL and a surrogate without its partner are refused. */
static int scan_unicode_escape(struct gate *g, uint32_t *c)
{
	uint32_t low;

	if (!take_unit(g, c) || *c == 0)
		return JSON_REFUSED;
	if (*c < 0xd800 || *c > 0xdfff)
		return 0;
	if (*c > 0xdbff || !take(g, '\\') || !take(g, 'u') || !take_unit(g, &low) || low < 0xdc00 || low > 0xdfff)
		return JSON_REFUSED;
	*c = 0x10000 + ((*c - 0xd800) << 10) + (low - 0xdc00);
	return 0;
}

/* Behind a backslash. */
static int scan_escape(struct gate *g, uint32_t *c)
{
	static const char letters[] = "\"\\/bfnrt";
	static const char values[] = "\"\\/\b\f\n\r\t";
	const char *at;

	if (take(g, 'u'))
		return scan_unicode_escape(g, c);
	if (g->in.len == 0 || *g->in.ptr == 0)
		return JSON_REFUSED;
	at = strchr(letters, *g->in.ptr);
	if (!at)
		return JSON_REFUSED;
	skip(g, 1);
	*c = (uint32_t)values[at - letters];
	return 0;
}

/* Letters at the front that stand for themselves and are ASCII. */
static size_t count_plain(struct bytes in)
{
	size_t n = 0;

	while (n < in.len && in.ptr[n] >= 0x20 && in.ptr[n] < 0x80 && in.ptr[n] != '"' && in.ptr[n] != '\\')
		n++;
	return n;
}

/* RFC 8259 7. The unescaped octets are appended to `out` unless it is NULL. */
static int scan_string(struct gate *g, struct buf *out)
{
	if (!take(g, '"'))
		return JSON_REFUSED;
	while (!take(g, '"')) {
		size_t n = count_plain(g->in);
		uint32_t c;
		int e = 0;

		if (g->in.len == 0 || *g->in.ptr < 0x20)
			return JSON_REFUSED;
		if (take(g, '\\')) {
			e = scan_escape(g, &c);
			if (!e && out)
				e = utf8_append(out, c);
			if (e)
				return e;
			continue;
		}
		if (n == 0)
			n = utf8_length(g->in);
		if (n == 0)
			return JSON_REFUSED;
		if (out)
			e = buf_append(out, bytes_of(g->in.ptr, n));
		if (e)
			return e;
		skip(g, n);
	}
	return 0;
}

static uint32_t hash_of(struct bytes data)
{
	uint32_t h = 2166136261u;

	for (size_t i = 0; i < data.len; i++)
		h = (h ^ data.ptr[i]) * 16777619u;
	return h;
}

static size_t count_keys(const struct gate *g)
{
	return g->keys.len / sizeof(struct key);
}

/* Nothing is allocated as long as all names are empty. */
static struct bytes key_name(const struct gate *g, const struct key *k)
{
	return bytes_of(k->len ? g->names.ptr + k->at : NULL, k->len);
}

/* The name of a member; refused when the object, whose keys start at `first`, has it already. */
static int scan_key(struct gate *g, size_t first)
{
	const struct key *keys = (const struct key *)(const void *)g->keys.ptr;
	struct key k = { .at = g->names.len };
	struct bytes name;
	int e = scan_string(g, &g->names);

	if (e)
		return e;
	k.len = g->names.len - k.at;
	name = key_name(g, &k);
	k.hash = hash_of(name);
	for (size_t i = first; i < count_keys(g); i++)
		if (keys[i].hash == k.hash && bytes_equal(name, key_name(g, &keys[i])))
			return JSON_REFUSED;
	if (count_keys(g) == JSON_NODES_MAX)
		return JSON_REFUSED;
	return buf_append(&g->keys, bytes_of(&k, sizeof(k)));
}

static int scan_member(struct gate *g, size_t first)
{
	int e;

	skip_blanks(g);
	e = scan_key(g, first);
	if (e)
		return e;
	skip_blanks(g);
	return take(g, ':') ? scan_value(g) : JSON_REFUSED;
}

/* What stands between the brackets of an object or array, and the closing one. */
static int scan_list(struct gate *g, uint8_t closing, size_t first)
{
	skip_blanks(g);
	if (take(g, closing))
		return 0;
	for (;;) {
		int e = closing == '}' ? scan_member(g, first) : scan_value(g);

		if (e)
			return e;
		if (take(g, closing))
			return 0;
		if (!take(g, ','))
			return JSON_REFUSED;
	}
}

static int scan_nested(struct gate *g, uint8_t closing)
{
	size_t first = count_keys(g), names = g->names.len;
	int e;

	if (++g->depth > JSON_DEPTH_MAX)
		return JSON_REFUSED;
	e = scan_list(g, closing, first);
	g->depth--;
	g->keys.len = first * sizeof(struct key);
	g->names.len = names;
	return e;
}

static int scan_word(struct gate *g, const char *word)
{
	struct bytes got;

	return bytes_take(&g->in, strlen(word), &got) && bytes_equal_str(got, word) ? 0 : JSON_REFUSED;
}

/* RFC 8259 3, with the blanks around it. */
static int scan_value(struct gate *g)
{
	int e;

	skip_blanks(g);
	if (g->in.len == 0 || ++g->nodes > JSON_NODES_MAX)
		return JSON_REFUSED;
	switch (*g->in.ptr) {
	case '{':
		skip(g, 1);
		e = scan_nested(g, '}');
		break;
	case '[':
		skip(g, 1);
		e = scan_nested(g, ']');
		break;
	case '"':
		e = scan_string(g, NULL);
		break;
	case 't':
		e = scan_word(g, "true");
		break;
	case 'f':
		e = scan_word(g, "false");
		break;
	case 'n':
		e = scan_word(g, "null");
		break;
	default:
		e = scan_number(g);
	}
	if (!e)
		skip_blanks(g);
	return e;
}

int json_check(struct bytes text, size_t max)
{
	struct gate g = {
		.in = text,
		.names = BUF_INIT(text.len),
		.keys = BUF_INIT(JSON_NODES_MAX * sizeof(struct key)),
	};
	int e;

	if (text.len > max)
		return JSON_REFUSED;
	e = scan_value(&g);
	if (!e && g.in.len > 0)
		e = JSON_REFUSED;
	buf_fini(&g.names);
	buf_fini(&g.keys);
	return e;
}

int json_parse(cJSON **out, struct bytes text, size_t max)
{
	int e = json_check(text, max);

	if (e)
		return e;
	/* The gate is stricter than cJSON in everything, so only memory can fail here. */
	*out = cJSON_ParseWithLength((const char *)text.ptr, text.len);
	return *out ? 0 : -ENOMEM;
}

void json_drop(cJSON **tree)
{
	cJSON_Delete(*tree);
	*tree = NULL;
}

const cJSON *json_get(const cJSON *object, const char *name)
{
	return cJSON_IsObject(object) ? cJSON_GetObjectItemCaseSensitive(object, name) : NULL;
}

const char *json_get_string(const cJSON *object, const char *name)
{
	return cJSON_GetStringValue(json_get(object, name));
}
