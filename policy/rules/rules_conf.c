/* The rule list, read from the configuration.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "policy/rules/rules_int.h"

#include <errno.h>

#include "core/base/own.h"

#define ARENA_LIMIT ((size_t)64 << 20)
#define DEFAULT_RULE "default"
#define OID_WANTED "an OID such as 1.3.6.1.5.5.7.1.24"

static const struct conf_option when_rows[] = {
	{ .name = "endpoint", .type = CONF_STRINGS, .summary = "Patterns of endpoint names; one must match." },
	{ .name = "protocol", .type = CONF_STRINGS,
	  .summary = "Patterns of protocols such as acme; one must match." },
	{ .name = "profile", .type = CONF_STRINGS, .summary = "Patterns of profile names; one must match." },
	{ .name = "requester", .type = CONF_STRINGS,
	  .summary = "Patterns of requesters such as acme:7; one must match." },
	{ .name = "source", .type = CONF_STRINGS, .summary = "Address ranges (CIDR) the request came from." },
	{ .name = "names", .type = CONF_STRINGS, .summary = "Every proven name matches one of these patterns." },
	{ .name = "any-name", .type = CONF_STRINGS,
	  .summary = "At least one proven name matches one of these patterns." },
	{ .name = "subject", .type = CONF_STRINGS,
	  .summary = "Patterns of the subject that the request asks for, as in CN=device 7,O=Example." },
	{ .name = "attribute", .type = CONF_MAP, .summary = "Request attributes and the pattern each must match." },
	{ .name = "key", .type = CONF_STRINGS, .range = "rsa|ec-p256|ec-p384|ed25519", .summary = "Key types." },
	{ .name = "renewal", .type = CONF_CHOICE, .range = "yes|no",
	  .summary = "Whether the requester holds a valid certificate for the same names and profile." },
	{ 0 },
};

static const struct conf_option set_rows[] = {
	{ .name = "lifetime", .type = CONF_DURATION, .range = "1m..3650d",
	  .summary = "Shorter validity than the profile's, first and last second included." },
	{ .name = "enable", .type = CONF_STRINGS,
	  .summary = "OIDs of requested extensions to take over; the profile must list them." },
	{ .name = "disable", .type = CONF_STRINGS, .summary = "OIDs of extensions to leave out." },
	{ .name = "subject", .type = CONF_MAP,
	  .summary = "Subject components; CN is first-name or empty, others are text; empty removes one." },
	{ 0 },
};

static const struct conf_option rule_rows[] = {
	{ .name = "name", .type = CONF_STRING, .fallback = CONF_NEEDED,
	  .summary = "Unique name of small letters, digits and '-'." },
	{ .name = "when", .type = CONF_SECTION, .rows = when_rows,
	  .summary = "Conditions, all of which must hold; none: every request." },
	{ .name = "then", .type = CONF_CHOICE, .range = "issue|deny|pend", .fallback = CONF_NEEDED,
	  .summary = "The answer." },
	{ .name = "reason", .type = CONF_STRING, .summary = "Told to the client and shown in the queue." },
	{ .name = "approvals", .type = CONF_INTEGER, .range = "1..16", .fallback = "1",
	  .summary = "With pend: distinct approvals after which the rule issues." },
	{ .name = "renewal", .type = CONF_BOOL, .fallback = "false",
	  .summary = "With pend: issue at once when the requester renews what it holds." },
	{ .name = "other-key", .type = CONF_BOOL, .fallback = "false",
	  .summary = "With pend: approvals go on counting when the requester asks for the same with another key." },
	{ .name = "set", .type = CONF_SECTION, .rows = set_rows, .summary = "Changes to what will be issued." },
	{ 0 },
};

const struct conf_option rules_rows[] = {
	{ .name = "default", .type = CONF_CHOICE, .range = "deny|pend|issue", .fallback = "deny",
	  .summary = "The answer when no rule matches." },
	{ .name = "rules", .type = CONF_SECTIONS, .rows = rule_rows,
	  .summary = "Walked in order; the first match decides." },
	{ 0 },
};

/* Bounds of RFC 5280 A.1; CN has its own rule. */
static const struct {
	const char *name;
	size_t max;
} components[] = {
	{ "O", 64 },  { "OU", 64 },           { "C", 2 },             { "ST", 128 },
	{ "L", 128 }, { "serialNumber", 64 }, { "emailAddress", 255 },
	{ "DC", 63 }, { "UID", 256 },         { "unstructuredName", 255 }, { "unstructuredAddress", 255 },
};

static enum ca_verdict_kind verdict_of(const char *word)
{
	static const char *const words[] = {
		[CA_VERDICT_DENY] = "deny",
		[CA_VERDICT_PEND] = "pend",
		[CA_VERDICT_ISSUE] = "issue",
	};
	int i;

	for (i = CA_VERDICT_ISSUE; i > CA_VERDICT_DENY; i--)
		if (strcmp(words[i], word) == 0)
			break;
	return (enum ca_verdict_kind)i;
}

static int copy_text(struct arena *arena, const char *text, const char **out)
{
	*out = text ? arena_strdup(arena, text) : NULL;
	return text && !*out ? -ENOMEM : 0;
}

/* Words of an option; `is_valid` (or NULL) says whether one can be used, `what` what it should be. */
static int read_texts(struct arena *arena, struct texts *out, const struct conf_section *conf, const char *option,
		      struct conf_error *error, bool (*is_valid)(const char *), const char *what)
{
	size_t n = conf_count(conf, option);
	int e = 0;

	out->items = arena_alloc(arena, n * sizeof(*out->items) + 1);
	if (!out->items)
		return -ENOMEM;
	for (; !e && out->n < n; out->n++) {
		const char *text = conf_str_at(conf, option, out->n);

		if (is_valid && !is_valid(text))
			return conf_refuse_at(conf, option, out->n, error, "'%s' is not %s", text, what);
		e = copy_text(arena, text, &out->items[out->n]);
	}
	return e;
}

static bool is_not_empty(const char *text)
{
	return *text != '\0';
}

/* Dotted decimal as X.660 wants it, at most 63 octets. */
static bool is_oid(const char *text)
{
	size_t arcs = 0, len;
	unsigned long first = 0, arc;
	const char *p = text;

	if (strlen(text) > 63)
		return false;
	for (;; p += len + 1) {
		len = strspn(p, "0123456789");
		if (!len || len > 18 || (len > 1 && *p == '0'))
			return false;
		arc = strtoul(p, NULL, 10);
		if ((arcs == 0 && arc > 2) || (arcs == 1 && first < 2 && arc > 39))
			return false;
		first = arcs++ ? first : arc;
		if (!p[len])
			return arcs > 1;
		if (p[len] != '.')
			return false;
	}
}

static int read_patterns(struct arena *arena, struct patterns *out, const struct conf_section *conf,
			 const char *option, struct conf_error *error)
{
	size_t n = conf_count(conf, option);
	int e;

	out->items = arena_alloc(arena, n * sizeof(*out->items) + 1);
	if (!out->items)
		return -ENOMEM;
	for (; out->n < n; out->n++) {
		e = pattern_parse(&out->items[out->n], arena, conf_str_at(conf, option, out->n));
		if (e == -EINVAL)
			return conf_refuse_at(conf, option, out->n, error, "'%s' is not a pattern such as "
					      "*.example.com, dns:a.example or ip:10.0.0.0/8",
					      conf_str_at(conf, option, out->n));
		if (e)
			return e;
	}
	return 0;
}

static int read_source(struct arena *arena, struct when *w, const struct conf_section *conf, struct conf_error *error)
{
	size_t n = conf_count(conf, "source");

	w->source = arena_alloc(arena, n * sizeof(*w->source) + 1);
	if (!w->source)
		return -ENOMEM;
	for (; w->n_source < n; w->n_source++)
		if (ip_range_parse(&w->source[w->n_source], conf_str_at(conf, "source", w->n_source)))
			return conf_refuse_at(conf, "source", w->n_source, error,
					      "'%s' is not a range such as 10.0.0.0/8 or fd00::/8",
					      conf_str_at(conf, "source", w->n_source));
	return 0;
}

static int read_pairs(struct arena *arena, struct pairs *out, const struct conf_section *conf, const char *option)
{
	size_t n = conf_count(conf, option);
	int e = 0;

	out->items = arena_alloc(arena, n * sizeof(*out->items) + 1);
	if (!out->items)
		return -ENOMEM;
	for (; !e && out->n < n; out->n++) {
		struct pair *p = &out->items[out->n];

		e = copy_text(arena, conf_map_name(conf, option, out->n), &p->name);
		if (!e)
			e = copy_text(arena, conf_map_value(conf, option, out->n), &p->value);
	}
	return e;
}

static int read_when(struct arena *arena, struct when *w, const struct conf_section *conf, struct conf_error *error)
{
	const struct {
		const char *option;
		struct texts *out;
	} lists[] = {
		{ "endpoint", &w->endpoint }, { "protocol", &w->protocol }, { "profile", &w->profile },
		{ "requester", &w->requester }, { "subject", &w->subject }, { "key", &w->key },
	};
	const char *renewal = conf_str(conf, "renewal");
	size_t i;
	int e = 0;

	for (i = 0; !e && i < sizeof(lists) / sizeof(lists[0]); i++)
		e = read_texts(arena, lists[i].out, conf, lists[i].option, error, is_not_empty, "a pattern");
	if (!e)
		e = read_source(arena, w, conf, error);
	if (!e)
		e = read_patterns(arena, &w->names, conf, "names", error);
	if (!e)
		e = read_patterns(arena, &w->any_name, conf, "any-name", error);
	if (!e)
		e = read_pairs(arena, &w->attribute, conf, "attribute");
	if (renewal)
		w->renewal = strcmp(renewal, "yes") == 0 ? RENEWAL_YES : RENEWAL_NO;
	return e;
}

/* A list that is written and empty would hold for every request, where its writer meant none. */
static int check_lists(const struct conf_section *conf, struct conf_error *error)
{
	static const char *const options[] = { "endpoint", "protocol", "profile",  "requester", "source",
					       "names",    "any-name", "subject", "attribute", "key" };
	size_t i;

	for (i = 0; i < sizeof(options) / sizeof(options[0]); i++)
		if (conf_is_set(conf, options[i]) && conf_count(conf, options[i]) == 0)
			return conf_refuse(conf, options[i], error,
					   "an empty list matches nothing; leave '%s' out instead", options[i]);
	return 0;
}

static size_t count_characters(const char *utf8)
{
	size_t n = 0;

	for (; *utf8; utf8++)
		n += ((unsigned char)*utf8 & 0xc0) != 0x80;
	return n;
}

static int check_component(const struct conf_section *conf, size_t at, struct conf_error *error)
{
	const char *name = conf_map_name(conf, "subject", at), *value = conf_map_value(conf, "subject", at);
	size_t i, length = count_characters(value);

	if (strcmp(name, "CN") == 0) {
		if (!*value || strcmp(value, RULES_FIRST_NAME) == 0)
			return 0;
		return conf_refuse_at(conf, "subject", at, error,
				      "CN is either " RULES_FIRST_NAME ", the first proven DNS name, or empty");
	}
	for (i = 0; i < sizeof(components) / sizeof(components[0]); i++)
		if (strcmp(components[i].name, name) == 0)
			break;
	if (i == sizeof(components) / sizeof(components[0]))
		return conf_refuse_at(conf, "subject", at, error,
				      "unknown subject component '%s'; known are CN, O, OU, C, ST, L, serialNumber, "
				      "emailAddress, DC, UID, unstructuredName and unstructuredAddress", name);
	if (length > components[i].max)
		return conf_refuse_at(conf, "subject", at, error, "%s is longer than %zu characters", name,
				      components[i].max);
	if (strcmp(name, "C") == 0 && length == 1)
		return conf_refuse_at(conf, "subject", at, error, "C is a country code of two letters");
	return 0;
}

static int read_set(struct arena *arena, struct set *s, const struct conf_section *conf, struct conf_error *error)
{
	size_t i;
	int e = 0;

	s->lifetime_s = conf_duration_ms(conf, "lifetime") / 1000;
	for (i = 0; !e && i < conf_count(conf, "subject"); i++)
		e = check_component(conf, i, error);
	if (!e)
		e = read_texts(arena, &s->enable, conf, "enable", error, is_oid, OID_WANTED);
	if (!e)
		e = read_texts(arena, &s->disable, conf, "disable", error, is_oid, OID_WANTED);
	if (!e)
		e = read_pairs(arena, &s->subject, conf, "subject");
	return e;
}

static int check_name(const struct conf_section *conf, const struct rules *all, struct conf_error *error)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyz0123456789-";
	const char *name = conf_str(conf, "name");
	size_t i;

	if (!*name || strlen(name) >= CA_RULE_SIZE || name[strspn(name, letters)])
		return conf_refuse(conf, "name", error, "a rule's name is made of 1 to %d "
				   "small letters, digits and '-'", CA_RULE_SIZE - 1);
	if (strcmp(name, DEFAULT_RULE) == 0)
		return conf_refuse(conf, "name", error,
				   "the name '%s' is taken by the answer when no rule matches", name);
	for (i = 0; i < all->n; i++)
		if (strcmp(all->items[i].name, name) == 0)
			return conf_refuse(conf, "name", error, "there is a rule '%s' already", name);
	return 0;
}

static int check_rule(const struct conf_section *conf, const struct rules *all, struct conf_error *error)
{
	const char *then = conf_str(conf, "then"), *reason = conf_str(conf, "reason");
	int e = check_name(conf, all, error);

	if (e)
		return e;
	if (reason && strlen(reason) >= CA_REASON_SIZE)
		return conf_refuse(conf, "reason", error, "longer than %d octets", CA_REASON_SIZE - 1);
	if (conf_is_set(conf, "approvals") && strcmp(then, "pend") != 0)
		return conf_refuse(conf, "approvals", error, "only a rule that pends counts approvals");
	if (conf_is_set(conf, "renewal") && strcmp(then, "pend") != 0)
		return conf_refuse(conf, "renewal", error, "only a rule that pends can let renewals pass");
	if (conf_is_set(conf, "other-key") && strcmp(then, "pend") != 0)
		return conf_refuse(conf, "other-key", error, "only a rule that pends has approvals to keep");
	if (conf_is_set(conf, "set") && strcmp(then, "deny") == 0)
		return conf_refuse(conf, "set", error, "a rule that denies changes nothing");
	return check_lists(conf_section(conf, "when"), error);
}

static int read_rule(struct rules *all, const struct conf_section *conf, struct conf_error *error)
{
	struct rule *r = &all->items[all->n];
	int e = check_rule(conf, all, error);

	if (!e)
		e = copy_text(all->arena, conf_str(conf, "name"), &r->name);
	if (!e)
		e = copy_text(all->arena, conf_str(conf, "reason"), &r->reason);
	if (!e)
		e = read_when(all->arena, &r->when, conf_section(conf, "when"), error);
	if (!e)
		e = read_set(all->arena, &r->set, conf_section(conf, "set"), error);
	if (e)
		return e;
	r->then = verdict_of(conf_str(conf, "then"));
	r->approvals = (unsigned)conf_int(conf, "approvals");
	r->frees_renewals = conf_bool(conf, "renewal");
	r->keeps_approvals = conf_bool(conf, "other-key");
	all->n++;
	return 0;
}

int rules_new(struct rules **out, const struct conf_section *conf, struct conf_error *error)
{
	OWNED(rules) all = calloc(1, sizeof(*all));
	size_t i, n = conf_count(conf, "rules");
	int e;

	if (!all)
		return -ENOMEM;
	e = arena_new(&all->arena, ARENA_LIMIT);
	if (e)
		return e;
	all->items = arena_alloc(all->arena, (n + 1) * sizeof(*all->items));
	if (!all->items)
		return -ENOMEM;
	for (i = 0; !e && i < n; i++)
		e = read_rule(all, conf_section_at(conf, "rules", i), error);
	if (e)
		return e;
	all->items[all->n++] = (struct rule){
		.name = DEFAULT_RULE,
		.then = verdict_of(conf_str(conf, "default")),
		.approvals = 1,
	};
	*out = MOVE(all);
	return 0;
}

void rules_drop(struct rules **r)
{
	if (!*r)
		return;
	if ((*r)->arena)
		arena_drop(&(*r)->arena);
	free(*r);
	*r = NULL;
}
