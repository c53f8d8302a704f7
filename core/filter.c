/* Reading a filter: octets to words to a tree.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "core/filter_int.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <strings.h>

#include "core/base/utf8.h"

#define SIGNS "()<>=!~"

enum token { TOKEN_END, TOKEN_OPEN, TOKEN_CLOSE, TOKEN_OP, TOKEN_WORD };

struct parser {
	const char *text, *at, *start; /* the start of the token that was read last */
	struct arena *arena;
	enum filter_table table;
	int64_t now_s;
	char *why;
	enum token token;
	char op[3];
	char *word;
	bool is_quoted;
	unsigned n_terms, depth;
};

__attribute__((format(printf, 2, 3))) static int wrong(struct parser *p, const char *format, ...)
{
	int n = snprintf(p->why, FILTER_WHY_SIZE, "filter, character %zu: ", (size_t)(p->start - p->text) + 1);
	va_list args;

	va_start(args, format);
	vsnprintf(p->why + n, FILTER_WHY_SIZE - (size_t)n, format, args);
	va_end(args);
	return FILTER_WRONG;
}

/* ---- words ---- */

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

static int read_quoted(struct parser *p)
{
	char *out = p->word = arena_alloc(p->arena, strlen(p->at) + 1);

	if (!out)
		return -ENOMEM;
	for (p->at++; *p->at != '"'; p->at++) {
		if (*p->at == '\\' && (p->at[1] == '"' || p->at[1] == '\\'))
			p->at++;
		if (!*p->at)
			return wrong(p, "the text in quotes has no end");
		*out++ = *p->at;
	}
	p->at++;
	p->is_quoted = true;
	p->token = TOKEN_WORD;
	return 0;
}

static int read_word(struct parser *p)
{
	size_t n = strcspn(p->at, " \t\"" SIGNS);

	p->word = arena_strndup(p->arena, bytes_of(p->at, n));
	p->at += n;
	p->token = TOKEN_WORD;
	return p->word ? 0 : -ENOMEM;
}

static int read_op(struct parser *p)
{
	static const char *const ops[] = { "!=", "!~", "<=", ">=", "=", "~", "<", ">" };

	for (size_t i = 0; i < sizeof(ops) / sizeof(*ops); i++) {
		if (strncmp(p->at, ops[i], strlen(ops[i])) != 0)
			continue;
		snprintf(p->op, sizeof(p->op), "%s", ops[i]);
		p->at += strlen(ops[i]);
		p->token = TOKEN_OP;
		return 0;
	}
	return wrong(p, "'!' stands before = or ~ only; for the opposite of more than that say 'not'");
}

static int next(struct parser *p)
{
	while (is_blank(*p->at))
		p->at++;
	p->start = p->at;
	p->is_quoted = false;
	if (!*p->at) {
		p->token = TOKEN_END;
		return 0;
	}
	if (*p->at == '(' || *p->at == ')') {
		p->token = *p->at++ == '(' ? TOKEN_OPEN : TOKEN_CLOSE;
		return 0;
	}
	if (*p->at == '"')
		return read_quoted(p);
	return strchr(SIGNS, *p->at) ? read_op(p) : read_word(p);
}

static bool is_keyword(const struct parser *p, const char *word)
{
	return p->token == TOKEN_WORD && !p->is_quoted && strcasecmp(p->word, word) == 0;
}

/* ---- the tree ---- */

static int parse_or(struct parser *p, struct filter **out);

static int new_node(struct parser *p, int what, struct filter *left, struct filter *right, struct filter **out)
{
	*out = arena_alloc(p->arena, sizeof(**out));
	if (!*out)
		return -ENOMEM;
	**out = (struct filter){ .what = what, .left = left, .right = right };
	return 0;
}

static const struct filter_field *find_field(const struct parser *p)
{
	for (const struct filter_field *f = filter_fields; f->word; f++)
		if ((f->tables & p->table) && strcmp(f->word, p->word) == 0)
			return f;
	return NULL;
}

static int no_field(struct parser *p)
{
	char list[FILTER_WHY_SIZE] = "";
	size_t n = 0;

	for (const struct filter_field *f = filter_fields; f->word && n < sizeof(list) - 24; f++)
		if (f->tables & p->table)
			n += (size_t)snprintf(list + n, sizeof(list) - n, "%s%s", n ? " " : "", f->word);
	return wrong(p, "'%.*s' is no field here; there are %s", utf8_fit(p->word, 32), p->word, list);
}

static const struct {
	const char *text;
	enum filter_op op;
	bool is_not;
} ops[] = {
	{ "=", FILTER_EQ, false },  { "!=", FILTER_EQ, true }, { "~", FILTER_LIKE, false }, { "!~", FILTER_LIKE, true },
	{ "<", FILTER_LT, false },  { "<=", FILTER_LE, false }, { ">", FILTER_GT, false },  { ">=", FILTER_GE, false },
};

/* What a kind of field can be compared by. */
static bool takes(enum filter_kind kind, enum filter_op op)
{
	switch (kind) {
	case FILTER_TEXT:
	case FILTER_NAME:
		return op == FILTER_EQ || op == FILTER_LIKE;
	case FILTER_WORD:
		return op == FILTER_EQ;
	case FILTER_NUMBER:
	case FILTER_TIME:
		return op != FILTER_LIKE;
	case FILTER_AGE:
	case FILTER_AHEAD:
		return op != FILTER_LIKE && op != FILTER_EQ;
	case FILTER_HEX:
		return op != FILTER_LIKE;
	case FILTER_FLAG:
	case FILTER_STANDS_FOR:
		break;
	}
	return false;
}

static int parse_value(struct parser *p, struct filter *term, bool *is_not)
{
	char why[FILTER_WHY_SIZE];
	size_t i = 0;
	int e;

	if (p->token != TOKEN_OP)
		return wrong(p, "'%s' needs one of = != ~ !~ < <= > >= and a value", term->field->word);
	while (strcmp(ops[i].text, p->op) != 0)
		i++;
	term->op = ops[i].op;
	*is_not = ops[i].is_not;
	if (!takes(term->field->kind, term->op))
		return wrong(p, "'%s' cannot be compared by %s", term->field->word, p->op);
	e = next(p);
	if (e)
		return e;
	if (p->token != TOKEN_WORD)
		return wrong(p, "a value is missing; one with blanks or signs stands in quotes");
	e = filter_read_value(term, p->arena, p->word, p->now_s, why);
	return e == FILTER_WRONG ? wrong(p, "%s", why) : e ? e : next(p);
}

/* Put what a word stands for in its place. */
static int parse_meaning(struct parser *p, const struct filter_field *field, struct filter **out)
{
	return filter_parse(out, p->arena, p->table, field->column, p->now_s, p->why);
}

static int parse_term(struct parser *p, struct filter **out)
{
	bool is_not = false;
	int e = 0;

	if (p->token != TOKEN_WORD || p->is_quoted)
		return wrong(p, "a field is missing");
	if (++p->n_terms > FILTER_TERMS_MAX)
		return wrong(p, "at most %d terms", FILTER_TERMS_MAX);
	e = new_node(p, FILTER_TERM, NULL, NULL, out);
	if (e)
		return e;
	(*out)->field = find_field(p);
	if (!(*out)->field)
		return no_field(p);
	e = next(p);
	if (!e && ((*out)->field->kind == FILTER_FLAG || (*out)->field->kind == FILTER_STANDS_FOR)) {
		if (p->token == TOKEN_OP)
			return wrong(p, "'%s' stands alone", (*out)->field->word);
		return (*out)->field->kind == FILTER_FLAG ? 0 : parse_meaning(p, (*out)->field, out);
	}
	if (!e)
		e = parse_value(p, *out, &is_not);
	return !e && is_not ? new_node(p, FILTER_NOT, *out, NULL, out) : e;
}

static int parse_group(struct parser *p, struct filter **out)
{
	int e = next(p);

	if (!e)
		e = parse_or(p, out);
	if (e)
		return e;
	return p->token == TOKEN_CLOSE ? next(p) : wrong(p, "')' is missing, or 'and' or 'or' before this");
}

static int parse_not(struct parser *p, struct filter **out)
{
	int e;

	if (++p->depth > FILTER_DEPTH_MAX)
		return wrong(p, "more than %d levels deep", FILTER_DEPTH_MAX);
	if (is_keyword(p, "not")) {
		e = next(p);
		if (!e)
			e = parse_not(p, out);
		if (!e)
			e = new_node(p, FILTER_NOT, *out, NULL, out);
	} else {
		e = p->token == TOKEN_OPEN ? parse_group(p, out) : parse_term(p, out);
	}
	p->depth--;
	return e;
}

static int parse_and(struct parser *p, struct filter **out)
{
	struct filter *right;
	int e = parse_not(p, out);

	while (!e && is_keyword(p, "and")) {
		e = next(p);
		if (!e)
			e = parse_not(p, &right);
		if (!e)
			e = new_node(p, FILTER_AND, *out, right, out);
	}
	return e;
}

static int parse_or(struct parser *p, struct filter **out)
{
	struct filter *right;
	int e = parse_and(p, out);

	while (!e && is_keyword(p, "or")) {
		e = next(p);
		if (!e)
			e = parse_and(p, &right);
		if (!e)
			e = new_node(p, FILTER_OR, *out, right, out);
	}
	return e;
}

int filter_parse(struct filter **out, struct arena *arena, enum filter_table table, const char *text, int64_t now_s,
		 char why[static FILTER_WHY_SIZE])
{
	struct parser p = { .text = text, .at = text, .start = text, .arena = arena, .table = table, .now_s = now_s,
			    .why = why };
	int e;

	*out = NULL;
	if (strnlen(text, FILTER_TEXT_MAX + 1) > FILTER_TEXT_MAX)
		return wrong(&p, "a filter has at most %d characters", FILTER_TEXT_MAX);
	e = next(&p);
	if (e || p.token == TOKEN_END)
		return e;
	e = parse_or(&p, out);
	if (!e && p.token != TOKEN_END)
		e = wrong(&p, "'and' or 'or' is missing before this");
	if (e)
		*out = NULL;
	return e;
}
