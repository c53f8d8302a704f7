/* YAML to a tree that keeps the place of everything.
 *
 * libyaml's events are read, not its documents: a document resolves aliases silently, and a few lines of them can
 * stand for gigabytes.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "core/base/conf_int.h"

#include <errno.h>
#include <stdarg.h>
#include <yaml.h>

struct reader {
	yaml_parser_t parser;
	struct arena *arena;
	const char *name;
	struct conf_error *error;
	size_t nodes;
};

int conf_vfail(struct conf_error *error, const char *name, struct conf_place place, const char *format, va_list args)
{
	int n;

	if (!error || error->text[0])
		return -EINVAL;
	error->line = place.line;
	error->column = place.column;
	if (place.line)
		n = snprintf(error->text, sizeof(error->text), "%.200s:%u:%u: ", name, place.line, place.column);
	else
		n = snprintf(error->text, sizeof(error->text), "%.200s: ", name);
	vsnprintf(error->text + n, sizeof(error->text) - (size_t)n, format, args);
	return -EINVAL;
}

int conf_fail(struct conf_error *error, const char *name, struct conf_place place, const char *format, ...)
{
	va_list args;
	int r;

	va_start(args, format);
	r = conf_vfail(error, name, place, format, args);
	va_end(args);
	return r;
}

static struct conf_place place_of(yaml_mark_t mark)
{
	return (struct conf_place){ (unsigned)mark.line + 1, (unsigned)mark.column + 1 };
}

static int refuse(struct reader *r, const yaml_event_t *event, const char *what)
{
	return conf_fail(r->error, r->name, place_of(event->start_mark), "%s", what);
}

/* What YAML can do and a configuration has no use for. */
static int check_event(struct reader *r, const yaml_event_t *e)
{
	const yaml_char_t *anchor = NULL, *tag = NULL;

	if (e->type == YAML_ALIAS_EVENT)
		return refuse(r, e, "aliases are not allowed");
	if (e->type == YAML_SCALAR_EVENT) {
		anchor = e->data.scalar.anchor;
		tag = e->data.scalar.tag;
	} else if (e->type == YAML_SEQUENCE_START_EVENT) {
		anchor = e->data.sequence_start.anchor;
		tag = e->data.sequence_start.tag;
	} else if (e->type == YAML_MAPPING_START_EVENT) {
		anchor = e->data.mapping_start.anchor;
		tag = e->data.mapping_start.tag;
	}
	if (anchor)
		return refuse(r, e, "anchors are not allowed");
	if (tag)
		return refuse(r, e, "tags are not allowed");
	return 0;
}

/* The next event, for the caller to delete. */
static int take_event(struct reader *r, yaml_event_t *e)
{
	yaml_mark_t mark;
	int result;

	if (!yaml_parser_parse(&r->parser, e)) {
		if (r->parser.error == YAML_MEMORY_ERROR)
			return -ENOMEM;
		/* Octets that are not UTF-8 are met ahead of the parser: only its own mark says about where. */
		mark = r->parser.error == YAML_READER_ERROR ? r->parser.mark : r->parser.problem_mark;
		return conf_fail(r->error, r->name, place_of(mark), "%s",
				 r->parser.problem ? r->parser.problem : "not YAML");
	}
	result = check_event(r, e);
	if (result)
		yaml_event_delete(e);
	return result;
}

static int copy_text(struct reader *r, const yaml_event_t *e, const char **out)
{
	const struct bytes text = bytes_of(e->data.scalar.value, e->data.scalar.length);

	if (memchr(text.ptr, 0, text.len))
		return refuse(r, e, "a NUL character is not allowed");
	*out = arena_strndup(r->arena, text);
	return *out ? 0 : -ENOMEM;
}

static int read_node(struct reader *r, const yaml_event_t *e, unsigned depth, struct conf_node **out);

/* The key of an entry. */
static int read_key(struct reader *r, const yaml_event_t *e, const char **key)
{
	if (e->type != YAML_SCALAR_EVENT)
		return refuse(r, e, "a key must be a single word");
	return copy_text(r, e, key);
}

/* One element of `parent`, of which `e` is the first event; `is_end` when there is no more. */
static int read_element(struct reader *r, struct conf_node *parent, unsigned depth, struct conf_node **out)
{
	struct conf_place key_place = { 0, 0 };
	const char *key = NULL;
	yaml_event_t e;
	int result;

	*out = NULL;
	result = take_event(r, &e);
	if (result)
		return result;
	if (parent->kind == CONF_NODE_MAP && e.type != YAML_MAPPING_END_EVENT) {
		key_place = place_of(e.start_mark);
		result = read_key(r, &e, &key);
		yaml_event_delete(&e);
		if (!result)
			result = take_event(r, &e);
		if (result)
			return result;
	}
	if (e.type != YAML_MAPPING_END_EVENT && e.type != YAML_SEQUENCE_END_EVENT)
		result = read_node(r, &e, depth + 1, out);
	yaml_event_delete(&e);
	if (*out) {
		(*out)->key = key;
		(*out)->key_place = key_place;
	}
	return result;
}

static int read_elements(struct reader *r, struct conf_node *parent, unsigned depth)
{
	struct conf_node **end = &parent->first;
	int result;

	for (;;) {
		result = read_element(r, parent, depth, end);
		if (result || !*end)
			return result;
		end = &(*end)->next;
		parent->count++;
	}
}

static int read_node(struct reader *r, const yaml_event_t *e, unsigned depth, struct conf_node **out)
{
	struct conf_node *node;
	int result;

	if (depth > CONF_DEPTH_MAX)
		return refuse(r, e, "nested more than 16 levels deep");
	if (++r->nodes > CONF_NODES_MAX)
		return refuse(r, e, "more than 20000 values");
	node = arena_alloc(r->arena, sizeof(*node));
	if (!node)
		return -ENOMEM;
	node->place = place_of(e->start_mark);
	if (e->type == YAML_SCALAR_EVENT) {
		node->kind = CONF_NODE_SCALAR;
		node->is_plain = e->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
		result = copy_text(r, e, &node->text);
	} else {
		node->kind = e->type == YAML_MAPPING_START_EVENT ? CONF_NODE_MAP : CONF_NODE_LIST;
		result = read_elements(r, node, depth);
	}
	if (result)
		return result;
	*out = node;
	return 0;
}

static int read_documents(struct reader *r, struct conf_node **root)
{
	yaml_event_type_t type = YAML_NO_EVENT;
	yaml_event_t e;
	int result = 0;

	while (!result && type != YAML_STREAM_END_EVENT) {
		result = take_event(r, &e);
		if (result)
			return result;
		type = e.type;
		if (type == YAML_DOCUMENT_START_EVENT && *root)
			result = refuse(r, &e, "a second document is not allowed");
		else if (type == YAML_SCALAR_EVENT || type == YAML_SEQUENCE_START_EVENT ||
			 type == YAML_MAPPING_START_EVENT)
			result = read_node(r, &e, 1, root);
		yaml_event_delete(&e);
	}
	return result;
}

int conf_read(struct arena *arena, struct bytes text, const char *name, struct conf_node **root,
	      struct conf_error *error)
{
	struct reader r = { .arena = arena, .name = name, .error = error };
	struct conf_node *node = NULL;
	int result;

	if (text.len > CONF_SIZE_MAX)
		return conf_fail(error, name, (struct conf_place){ 0, 0 }, "larger than 1 MiB");
	if (!yaml_parser_initialize(&r.parser))
		return -ENOMEM;
	yaml_parser_set_encoding(&r.parser, YAML_UTF8_ENCODING);
	yaml_parser_set_input_string(&r.parser, text.ptr ? text.ptr : (const uint8_t *)"", text.len);
	result = read_documents(&r, &node);
	yaml_parser_delete(&r.parser);
	if (!result)
		*root = node;
	return result;
}
