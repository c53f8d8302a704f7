/* Configuration: the tree of a file, walked by option rows.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "core/base/conf_int.h"

#include "core/base/digest.h"
#include "core/base/file.h"
#include "core/base/log.h"
#include "core/base/own.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <sys/stat.h>
#include <unistd.h>

/* A file of 1 MiB makes at most 20,000 nodes and sections; defaults take the rest. */
#define ARENA_LIMIT ((size_t)256 << 20)
#define MAP_MAX 1000
#define NEAR 2 /* how many letters a known name may differ from an unknown one */

struct conf {
	struct arena *arena;
	const char *name;
	struct conf_section *root;
	struct conf_error *error; /* while it is being read */
	uint8_t digest[SHA256_SIZE]; /* of its text */
};

/* One element of a list or map. */
struct item {
	const char *name;             /* CONF_MAP */
	const char *text;             /* CONF_STRINGS, CONF_MAP */
	struct conf_section *section; /* CONF_SECTIONS, CONF_VARIANTS */
	struct conf_place place;
};

struct value {
	bool is_set; /* in the file */
	struct conf_place place;
	int64_t number;
	const char *text;
	struct conf_section *section;
	struct item *items;
	size_t count;
};

struct conf_section {
	struct conf *conf;
	struct conf_place place;
	const struct conf_option *rows;
	const char *module; /* NULL for a plain section */
	const char *module_key; /* the option that named it */
	bool is_default; /* stands for a section that is not in the file */
	struct value values[]; /* one a row */
};

/* Reading */

static int read_section(struct conf *c, const struct conf_option *rows, const char *key, const char *module,
			const struct conf_node *node, struct conf_place place, struct conf_section **out);

__attribute__((format(printf, 3, 4))) static int fail(const struct conf *c, struct conf_place place,
						      const char *format, ...)
{
	va_list args;
	int r;

	va_start(args, format);
	r = conf_vfail(c->error, c->name, place, format, args);
	va_end(args);
	return r;
}

/* Where to point: a default has no place of its own, so it borrows its section's. */
static struct conf_place place_of(const struct conf_section *s, struct conf_place own)
{
	return own.line ? own : s->place;
}

static int expect_kind(const struct conf *c, const struct conf_option *row, const struct conf_node *node, int kind)
{
	static const char *const wanted[] = {
		[CONF_NODE_SCALAR] = "a single value",
		[CONF_NODE_LIST] = "a list",
		[CONF_NODE_MAP] = "a mapping",
	};

	if (node->kind == CONF_NODE_SCALAR && node->is_plain && !*node->text)
		return fail(c, node->place, "option '%s' has no value", row->name);
	if ((int)node->kind != kind)
		return fail(c, node->place, "option '%s' must be %s", row->name, wanted[kind]);
	return 0;
}

static int read_text(const struct conf *c, const struct conf_option *row, const struct conf_node *node,
		     int64_t *number, const char **text)
{
	const char *wrong;
	char why[256];
	int r = expect_kind(c, row, node, CONF_NODE_SCALAR);

	if (r)
		return r;
	wrong = conf_scalar_parse(row, node->text, number, why, sizeof(why));
	if (wrong)
		return fail(c, node->place, "option '%s': '%s' %s", row->name, CONF_SHOWN(node->text), wrong);
	*text = node->text;
	return 0;
}

/* The option that chooses the rows: the range of a CONF_VARIANT(S) row, `module` unless it says otherwise. */
static const char *module_key(const struct conf_option *row)
{
	return row->range ? row->range : "module";
}

/* The rows of the module that `node` names by that option. */
static int find_module(const struct conf *c, const struct conf_option *row, const struct conf_node *node,
		       const char **module, const struct conf_option **rows)
{
	const char *key = module_key(row);
	const struct conf_node *n;
	int r = expect_kind(c, row, node, CONF_NODE_MAP);

	if (r)
		return r;
	for (n = node->first; n; n = n->next)
		if (strcmp(n->key, key) == 0)
			break;
	if (!n)
		return fail(c, node->place, "option '%s' is missing", key);
	if (n->kind != CONF_NODE_SCALAR)
		return fail(c, n->place, "option '%s' must be a single value", key);
	*rows = row->rows_of(n->text);
	if (!*rows)
		return fail(c, n->place, "unknown %s '%s'", key, CONF_SHOWN(n->text));
	*module = n->text;
	return 0;
}

static int read_mapping(struct conf *c, const struct conf_option *row, const struct conf_node *node,
			struct conf_section **out)
{
	const struct conf_option *rows = row->rows;
	const char *module = NULL, *key = module_key(row);
	int r;

	if (row->type == CONF_VARIANT || row->type == CONF_VARIANTS)
		r = find_module(c, row, node, &module, &rows);
	else
		r = expect_kind(c, row, node, CONF_NODE_MAP);
	if (!r)
		r = read_section(c, rows, key, module, node, node->place, out);
	return r;
}

static int read_item(struct conf *c, const struct conf_option *row, const struct conf_node *node, struct item *item)
{
	int64_t number;

	item->place = node->place;
	item->name = node->key;
	if (row->type == CONF_SECTIONS || row->type == CONF_VARIANTS)
		return read_mapping(c, row, node, &item->section);
	return read_text(c, row, node, &number, &item->text);
}

static int check_names(const struct conf *c, const struct conf_node *map)
{
	const struct conf_node *n, *other;

	/* Each name is compared with each: keep that small. */
	if (map->count > MAP_MAX)
		return fail(c, map->place, "more than %d names", MAP_MAX);
	for (n = map->first; n; n = n->next)
		for (other = map->first; other != n; other = other->next)
			if (strcmp(n->key, other->key) == 0)
				return fail(c, n->key_place, "'%s' is given twice", CONF_SHOWN(n->key));
	return 0;
}

static int read_items(struct conf *c, const struct conf_option *row, const struct conf_node *node, struct value *v)
{
	const struct conf_node *n = node->first;
	size_t count = node->count;
	int r = 0;

	if (row->type == CONF_STRINGS && node->kind == CONF_NODE_SCALAR) {
		n = node;
		count = 1;
	} else {
		r = expect_kind(c, row, node, row->type == CONF_MAP ? CONF_NODE_MAP : CONF_NODE_LIST);
	}
	if (!r && row->type == CONF_MAP)
		r = check_names(c, node);
	if (r)
		return r;
	v->items = arena_alloc(c->arena, count * sizeof(*v->items));
	if (!v->items)
		return -ENOMEM;
	for (; !r && v->count < count; v->count++, n = n->next)
		r = read_item(c, row, n, &v->items[v->count]);
	return r;
}

static int read_value(struct conf *c, const struct conf_option *row, const struct conf_node *node, struct value *v)
{
	switch (row->type) {
	case CONF_STRINGS:
	case CONF_SECTIONS:
	case CONF_VARIANTS:
	case CONF_MAP:
		return read_items(c, row, node, v);
	case CONF_SECTION:
	case CONF_VARIANT:
		return read_mapping(c, row, node, &v->section);
	default:
		return read_text(c, row, node, &v->number, &v->text);
	}
}

/* The distance by letters put in, left out or exchanged; more than 63 letters are too far from anything. */
static unsigned distance(const char *a, const char *b)
{
	unsigned row[64], above_left, above, best;
	size_t la = strlen(a), lb = strlen(b), i, j;

	if (la > 63 || lb > 63)
		return NEAR + 1;
	for (j = 0; j <= lb; j++)
		row[j] = (unsigned)j;
	for (i = 1; i <= la; i++) {
		above_left = row[0];
		row[0] = (unsigned)i;
		for (j = 1; j <= lb; j++) {
			above = row[j];
			best = above_left + (a[i - 1] != b[j - 1]);
			best = above + 1 < best ? above + 1 : best;
			row[j] = row[j - 1] + 1 < best ? row[j - 1] + 1 : best;
			above_left = above;
		}
	}
	return row[lb];
}

static int fail_unknown(const struct conf *c, const struct conf_option *rows, const struct conf_node *node)
{
	const char *nearest = NULL;
	unsigned least = NEAR + 1, d;

	for (; rows->name; rows++) {
		d = distance(node->key, rows->name);
		if (d < least) {
			least = d;
			nearest = rows->name;
		}
	}
	if (!nearest)
		return fail(c, node->key_place, "unknown option '%s'", CONF_SHOWN(node->key));
	return fail(c, node->key_place, "unknown option '%s'; did you mean '%s'?", CONF_SHOWN(node->key), nearest);
}

static bool has_others(const struct conf_option *rows)
{
	while (rows->name && strcmp(rows->name, CONF_OTHERS) != 0)
		rows++;
	return rows->name != NULL;
}

static int read_written(struct conf_section *s, const struct conf_node *node, bool *had_module)
{
	struct conf *c = s->conf;
	struct value *v = s->values;
	const struct conf_option *row;

	/* It chose the rows; a module has no row for it. */
	for (row = s->rows; row->name && strcmp(row->name, node->key) != 0; row++)
		v++;
	if (!row->name && s->module && strcmp(node->key, s->module_key) == 0) {
		if (*had_module)
			return fail(c, node->key_place, "option '%s' is given twice", s->module_key);
		*had_module = true;
		return 0;
	}
	if (!row->name)
		return has_others(s->rows) ? 0 : fail_unknown(c, s->rows, node);
	if (v->is_set)
		return fail(c, node->key_place, "option '%s' is given twice", row->name);
	v->is_set = true;
	v->place = node->place;
	return read_value(c, row, node, v);
}

static void put_all_at(struct conf_node *node, struct conf_place place)
{
	for (; node; node = node->next) {
		node->place = node->key_place = place;
		put_all_at(node->first, place);
	}
}

/* A word that YAML reads as itself need not go through its parser, which costs more than all the rest. */
static bool is_simple(const char *text)
{
	static const char simple[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/._-";

	return !*text || (*text != '-' && *text != '.' && text[strspn(text, simple)] == 0);
}

/* A default goes the way of a written value; that it is wrong is a bug of its row. */
static int read_default(struct conf_section *s, const struct conf_option *row, struct value *v)
{
	struct conf_node word = { .kind = CONF_NODE_SCALAR, .text = row->fallback }, *node = &word;
	struct conf_error error = { 0 }, *outer = s->conf->error;
	int r = 0;

	s->conf->error = &error;
	if (!is_simple(row->fallback))
		r = conf_read(s->conf->arena, bytes_of_str(row->fallback), row->name, &node, &error);
	if (!r && !node)
		conf_bug(row->name, "its default is no value");
	if (!r) {
		put_all_at(node, s->place);
		r = read_value(s->conf, row, node, v);
	}
	if (r == -EINVAL)
		conf_bug(row->name, error.text);
	s->conf->error = outer;
	return r;
}

static int read_absent(struct conf_section *s, const struct conf_option *row, struct value *v)
{
	/* A section that was left out altogether lacks nothing: conf_is_set() tells who asks for it. */
	if (row->fallback == CONF_NEEDED)
		return s->is_default ? 0 : fail(s->conf, s->place, "option '%s' is missing", row->name);
	if (row->fallback)
		return read_default(s, row, v);
	if (row->type != CONF_SECTION)
		return 0;
	return read_section(s->conf, row->rows, NULL, NULL, NULL, s->place, &v->section);
}

/* A mapping by its rows; `node` NULL: it is not in the file, and every row has its default. */
static int read_section(struct conf *c, const struct conf_option *rows, const char *key, const char *module,
			const struct conf_node *node, struct conf_place place, struct conf_section **out)
{
	const struct conf_node *n;
	struct conf_section *s;
	bool had_module = false;
	size_t count = 0, i;
	int r = 0;

	while (rows[count].name)
		count++;
	s = arena_alloc(c->arena, sizeof(*s) + count * sizeof(s->values[0]));
	if (!s)
		return -ENOMEM;
	s->conf = c;
	s->place = place;
	s->rows = rows;
	s->module = module;
	s->module_key = key;
	s->is_default = !node;
	for (n = node ? node->first : NULL; !r && n; n = n->next)
		r = read_written(s, n, &had_module);
	for (i = 0; !r && i < count; i++)
		if (!s->values[i].is_set)
			r = read_absent(s, &rows[i], &s->values[i]);
	*out = s;
	return r;
}

static int read_root(struct conf *c, struct bytes text, const struct conf_option *rows)
{
	struct conf_node empty = { .kind = CONF_NODE_MAP, .place = { 1, 1 } };
	struct conf_node *node = NULL;
	int r = conf_read(c->arena, text, c->name, &node, c->error);

	if (r)
		return r;
	if (!node || (node->kind == CONF_NODE_SCALAR && node->is_plain && !*node->text))
		node = &empty;
	if (node->kind != CONF_NODE_MAP)
		return fail(c, node->place, "the file must be a mapping of options");
	return read_section(c, rows, NULL, NULL, node, node->place, &c->root);
}

int conf_parse(struct conf **out, struct bytes text, const char *name, const struct conf_option *rows,
	       struct conf_error *error)
{
	struct arena *arena = NULL;
	struct conf *c;
	int r;

	if (error)
		*error = (struct conf_error){ 0 };
	r = arena_new(&arena, ARENA_LIMIT);
	if (r)
		return r;
	c = arena_alloc(arena, sizeof(*c));
	if (!c) {
		arena_drop(&arena);
		return -ENOMEM;
	}
	c->arena = arena;
	c->error = error;
	c->name = arena_strdup(arena, name);
	r = c->name ? digest_sha256(text, c->digest) : -ENOMEM;
	if (!r)
		r = read_root(c, text, rows);
	c->error = NULL;
	if (r)
		conf_drop(&c);
	else
		*out = c;
	return r;
}

static int say_unreadable(int r, const char *path, struct conf_error *error)
{
	const struct conf_place nowhere = { 0, 0 };

	if (error)
		*error = (struct conf_error){ 0 };
	if (r == -EMSGSIZE)
		return conf_fail(error, path, nowhere, "larger than 1 MiB");
	conf_fail(error, path, nowhere, "cannot be read: %s", strerror(-r));
	return r;
}

/* Whoever can write to it decides what is issued. 0 or -EPERM. */
static int check_writers(int fd, const char *path, struct conf_error *error)
{
	const struct conf_place nowhere = { 0, 0 };
	struct stat st;

	if (fstat(fd, &st))
		return say_unreadable(-errno, path, error);
	if (st.st_uid && st.st_uid != geteuid())
		conf_fail(error, path, nowhere, "belongs to the user %u, who could change what is issued; "
						"chown it to root", (unsigned)st.st_uid);
	else if (st.st_mode & (S_IWGRP | S_IWOTH))
		conf_fail(error, path, nowhere, "others may write to it, and could change what is issued; chmod go-w");
	else
		return 0;
	return -EPERM;
}

int conf_read_file(const char *path, struct buf *text, struct conf_error *error)
{
	OWNED_BUF read = BUF_INIT(CONF_SIZE_MAX);
	int fd = open(path, O_RDONLY | O_CLOEXEC), r;

	if (error)
		*error = (struct conf_error){ 0 };
	if (fd < 0)
		return say_unreadable(-errno, path, error);
	r = check_writers(fd, path, error);
	if (!r) {
		r = file_read_fd(fd, &read);
		r = r ? say_unreadable(r, path, error) : buf_append(text, buf_bytes(&read));
	}
	close(fd);
	return r;
}

int conf_load_fd(struct conf **out, int fd, const char *path, const struct conf_option *rows,
		 struct conf_error *error)
{
	OWNED_BUF text = BUF_INIT(CONF_SIZE_MAX);
	int r = file_read_fd(fd, &text);

	return r ? say_unreadable(r, path, error) : conf_parse(out, buf_bytes(&text), path, rows, error);
}

void conf_drop(struct conf **conf)
{
	struct arena *arena;

	if (!*conf)
		return;
	arena = (*conf)->arena; /* the conf itself lives in it */
	arena_drop(&arena);
	*conf = NULL;
}

/* Asking */

const struct conf_section *conf_root(const struct conf *conf)
{
	return conf->root;
}

const uint8_t *conf_digest(const struct conf_section *s)
{
	return s->conf->digest;
}

#define TYPE(t) (1u << (t))
#define LISTS (TYPE(CONF_STRINGS) | TYPE(CONF_SECTIONS) | TYPE(CONF_VARIANTS) | TYPE(CONF_MAP))

/* The value of a row of one of the types in `allowed` (a set of TYPE()). */
static const struct value *get(const struct conf_section *s, const char *name, unsigned allowed)
{
	size_t i;

	for (i = 0; s->rows[i].name; i++) {
		if (strcmp(s->rows[i].name, name) != 0)
			continue;
		if (!(TYPE(s->rows[i].type) & allowed))
			conf_bug(name, "asked for as another type than its row has");
		return &s->values[i];
	}
	conf_bug(name, "asked for, but it has no row");
}

static const struct item *get_item(const struct conf_section *s, const char *name, size_t i, unsigned allowed)
{
	const struct value *v = get(s, name, allowed);

	if (i >= v->count)
		conf_bug(name, "asked for an element beyond its end");
	return &v->items[i];
}

const char *conf_str(const struct conf_section *s, const char *name)
{
	return get(s, name, TYPE(CONF_STRING) | TYPE(CONF_CHOICE))->text;
}

bool conf_bool(const struct conf_section *s, const char *name)
{
	return get(s, name, TYPE(CONF_BOOL))->number != 0;
}

int64_t conf_int(const struct conf_section *s, const char *name)
{
	return get(s, name, TYPE(CONF_INTEGER) | TYPE(CONF_SIZE))->number;
}

int64_t conf_duration_ms(const struct conf_section *s, const char *name)
{
	return get(s, name, TYPE(CONF_DURATION))->number;
}

size_t conf_count(const struct conf_section *s, const char *name)
{
	return get(s, name, LISTS)->count;
}

const char *conf_str_at(const struct conf_section *s, const char *name, size_t i)
{
	return get_item(s, name, i, TYPE(CONF_STRINGS))->text;
}

const struct conf_section *conf_section(const struct conf_section *s, const char *name)
{
	return get(s, name, TYPE(CONF_SECTION) | TYPE(CONF_VARIANT))->section;
}

const struct conf_section *conf_section_at(const struct conf_section *s, const char *name, size_t i)
{
	return get_item(s, name, i, TYPE(CONF_SECTIONS) | TYPE(CONF_VARIANTS))->section;
}

const char *conf_map_name(const struct conf_section *s, const char *name, size_t i)
{
	return get_item(s, name, i, TYPE(CONF_MAP))->name;
}

const char *conf_map_value(const struct conf_section *s, const char *name, size_t i)
{
	return get_item(s, name, i, TYPE(CONF_MAP))->text;
}

bool conf_is_set(const struct conf_section *s, const char *name)
{
	return get(s, name, ~0u)->is_set;
}

const char *conf_module(const struct conf_section *s)
{
	return s->module;
}

static bool prints_number(enum conf_type type)
{
	return type == CONF_BOOL || type == CONF_INTEGER || type == CONF_DURATION || type == CONF_SIZE;
}

/* A list or map: "[a, b]", "{a: x, b: y}". */
static void print_items(const struct value *v, bool is_map, struct buf *out)
{
	buf_append_char(out, is_map ? '{' : '[');
	for (size_t i = 0; i < v->count; i++)
		buf_printf(out, "%s%s%s%s", i ? ", " : "", is_map ? v->items[i].name : "", is_map ? ": " : "",
			   v->items[i].text);
	buf_append_char(out, is_map ? '}' : ']');
}

/* 1 for a value, 0 for none, negative. */
static int print_value(enum conf_type type, const struct value *v, struct buf *out)
{
	if (type == CONF_STRING || type == CONF_CHOICE) {
		if (!v->text)
			return 0;
		buf_append_str(out, v->text);
	} else if (prints_number(type)) {
		conf_scalar_print(type, v->number, out);
	} else {
		print_items(v, type == CONF_MAP, out);
	}
	return buf_status(out) ? buf_status(out) : 1;
}

static int each_below(const struct conf_section *s, const char *prefix,
		      int (*each)(void *arg, const char *name, const char *value, bool is_set), void *arg)
{
	int r = 0;

	for (size_t i = 0; !r && s && s->rows[i].name; i++) {
		const struct conf_option *row = &s->rows[i];
		OWNED_BUF text = BUF_INIT(CONF_SIZE_MAX);
		char name[256];

		snprintf(name, sizeof(name), "%s%s", prefix, row->name);
		if (row->type == CONF_SECTION) {
			snprintf(name, sizeof(name), "%s%s.", prefix, row->name);
			r = each_below(s->values[i].section, name, each, arg);
		} else if (row->type != CONF_SECTIONS && row->type != CONF_VARIANT && row->type != CONF_VARIANTS &&
			   strcmp(row->name, CONF_OTHERS) != 0) {
			r = print_value(row->type, &s->values[i], &text);
			r = r < 0 ? r : each(arg, name, r ? buf_str(&text) : NULL, s->values[i].is_set);
		}
	}
	return r;
}

int conf_each(const struct conf_section *s,
	      int (*each)(void *arg, const char *name, const char *value, bool is_set), void *arg)
{
	return each_below(s, "", each, arg);
}

int conf_refuse(const struct conf_section *s, const char *name, struct conf_error *error, const char *format, ...)
{
	struct conf_place place = name ? place_of(s, get(s, name, ~0u)->place) : s->place;
	va_list args;
	int r;

	va_start(args, format);
	r = conf_vfail(error, s->conf->name, place, format, args);
	va_end(args);
	return r;
}

int conf_refuse_at(const struct conf_section *s, const char *name, size_t i, struct conf_error *error,
		   const char *format, ...)
{
	struct conf_place place = place_of(s, get_item(s, name, i, LISTS)->place);
	va_list args;
	int r;

	va_start(args, format);
	r = conf_vfail(error, s->conf->name, place, format, args);
	va_end(args);
	return r;
}
