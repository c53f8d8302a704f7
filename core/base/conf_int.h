/* The inside of the configuration: the tree that was read, and the parsing of values. For core/base/conf*.c.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "core/base/arena.h"
#include "core/base/conf.h"

#define CONF_SIZE_MAX ((size_t)1 << 20)
#define CONF_DEPTH_MAX 16
#define CONF_NODES_MAX 20000

struct conf_place {
	unsigned line, column; /* counted from 1; 0: not in the file */
};

struct conf_node {
	enum { CONF_NODE_SCALAR, CONF_NODE_LIST, CONF_NODE_MAP } kind;
	struct conf_place place;
	const char *text; /* of a scalar */
	bool is_plain;    /* a scalar without quotes: an empty one is no value at all */

	struct conf_node *first; /* of a list or mapping, in the order of the file */
	size_t count;

	struct conf_node *next; /* in the list or mapping that this node is in */
	const char *key;        /* in a mapping */
	struct conf_place key_place;
};

/* conf_read.c: YAML to a tree in `arena`. 0 with `*root` NULL for no document; -EINVAL with `error`; -ENOMEM. */
int conf_read(struct arena *arena, struct bytes text, const char *name, struct conf_node **root,
	      struct conf_error *error);

/* Fill `error`, unless there is one already, with "NAME:LINE:COLUMN: sentence". Returns -EINVAL. */
int conf_fail(struct conf_error *error, const char *name, struct conf_place place, const char *format, ...)
	__attribute__((format(printf, 4, 5)));
int conf_vfail(struct conf_error *error, const char *name, struct conf_place place, const char *format, va_list args)
	__attribute__((format(printf, 4, 0)));

/* Text from the file as an error message shows it: escaped and short. */
#define CONF_SHOWN(text) log_escape(text, (char[64]){ 0 }, 64)

/* conf_types.c: the value of a scalar by the type and range of `row`; numbers to `number`. NULL or what is wrong with
 * it, to be put behind the value ("is neither true nor false"), in `why` or constant. */
const char *conf_scalar_parse(const struct conf_option *row, const char *text, int64_t *number, char *why,
			      size_t why_size);

/* A number of that type as it is written: "90d", "64KiB", "true". */
int conf_scalar_print(enum conf_type type, int64_t number, struct buf *out);

/* A mistake in the program's rows or calls: say where and abort(). */
_Noreturn void conf_bug(const char *name, const char *reason);
