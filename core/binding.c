/* Bindings of intermediaries.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "core/binding.h"

#include <errno.h>
#include <pwd.h>
#include <stdio.h>

#include "core/base/base64.h"
#include "core/base/log.h"

#define INHERITED_NAME "gateway"
#define ARENA_MAX (1u << 20)

const struct conf_option binding_rows[] = {
	{.name = "name",
	 .type = CONF_STRING,
	 .fallback = CONF_NEEDED,
	 .summary = "Name of the intermediary, in timelines and in the log."},
	{.name = "user",
	 .type = CONF_STRING,
	 .summary = "It is whoever connects to the Unix socket as this user, by name or number."},
	{.name = "certificate",
	 .type = CONF_STRING,
	 .summary = "It is whoever connects over TLS with the certificate of this SHA-256 fingerprint, in hex."},
	{.name = "inherited",
	 .type = CONF_BOOL,
	 .fallback = "false",
	 .summary = "It is the gateway of this daemon, which without such an entry may use everything."},
	{.name = "endpoints", .type = CONF_STRINGS, .summary = "Endpoints it may submit for; at least one."},
	{.name = "profiles",
	 .type = CONF_STRINGS,
	 .summary = "Profiles it may name; by default those of its endpoints."},
	{.name = "names",
	 .type = CONF_STRINGS,
	 .summary = "Patterns of names it may submit, as *.example.com or ip:10.0.0.0/8; `any` for every name."},
	{0},
};

/* ---- what a binding allows ---- */

static bool is_listed(const struct conf_section *conf, const char *option, const char *word)
{
	for (size_t i = 0; i < conf_count(conf, option); i++)
		if (strcmp(conf_str_at(conf, option, i), word) == 0)
			return true;
	return false;
}

bool binding_has_endpoint(const struct binding *b, const char *endpoint)
{
	return !b->conf || is_listed(b->conf, "endpoints", endpoint);
}

bool binding_has_profile(const struct binding *b, const char *profile)
{
	/* An endpoint has one profile, which the core holds a submission against in any case. */
	return !b->conf || conf_count(b->conf, "profiles") == 0 || is_listed(b->conf, "profiles", profile);
}

_Static_assert((int)PATTERN_DNS == CA_NAME_DNS && (int)PATTERN_UPN == CA_NAME_UPN, "the kinds are the same");

bool binding_has_name(const struct binding *b, const struct ca_name *name)
{
	if (!b->conf || b->any_name)
		return true;
	for (size_t i = 0; i < b->n_names; i++)
		if (pattern_matches_name(&b->names[i], (enum pattern_kind)name->kind, name->value))
			return true;
	return false;
}

/* ---- who it is ---- */

static bool is_user(const char *configured, uid_t uid)
{
	char number[24], space[16384];
	struct passwd entry, *found = NULL;

	snprintf(number, sizeof(number), "%u", (unsigned)uid);
	if (strcmp(configured, number) == 0)
		return true;
	return getpwuid_r(uid, &entry, space, sizeof(space), &found) == 0 && found &&
	       strcmp(found->pw_name, configured) == 0;
}

const struct binding *bindings_find_user(const struct bindings *b, uid_t uid)
{
	for (size_t i = 0; i < b->n; i++)
		if (b->all[i].peer == BINDING_USER && is_user(conf_str(b->all[i].conf, "user"), uid))
			return &b->all[i];
	return NULL;
}

const struct binding *bindings_find_certificate(const struct bindings *b,
						const uint8_t fingerprint[static SHA256_SIZE])
{
	for (size_t i = 0; i < b->n; i++)
		if (b->all[i].peer == BINDING_CERTIFICATE &&
		    memcmp(b->all[i].fingerprint, fingerprint, SHA256_SIZE) == 0)
			return &b->all[i];
	return NULL;
}

/* ---- the configuration ---- */

static bool exists(const struct conf_section *root, const char *list, const char *name)
{
	for (size_t i = 0; i < conf_count(root, list); i++)
		if (strcmp(conf_str(conf_section_at(root, list, i), "name"), name) == 0)
			return true;
	return false;
}

static int check_references(const struct conf_section *root, const struct conf_section *conf, struct conf_error *error)
{
	static const char *const lists[] = { "endpoints", "profiles" };

	for (size_t l = 0; l < 2; l++)
		for (size_t i = 0; i < conf_count(conf, lists[l]); i++)
			if (!exists(root, lists[l], conf_str_at(conf, lists[l], i)))
				return conf_refuse_at(conf, lists[l], i, error, "there is no '%s' under %s:",
						      conf_str_at(conf, lists[l], i), lists[l]);
	if (conf_count(conf, "endpoints") == 0)
		return conf_refuse(conf, NULL, error, "an intermediary without 'endpoints' could do nothing");
	return 0;
}

/* The name is an actor in timelines, beside "core", "unix:alice" and "acme:7". */
static int check_name(const struct binding *b, struct conf_error *error)
{
	const char *letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.";

	if (!*b->name || strlen(b->name) > 64 || b->name[strspn(b->name, letters)])
		return conf_refuse(b->conf, "name", error, "a name consists of letters, digits, '-', '_' and '.'");
	if (strcmp(b->name, "core") == 0 ||
	    (strcmp(b->name, INHERITED_NAME) == 0 && b->peer != BINDING_INHERITED))
		return conf_refuse(b->conf, "name", error, "'%s' is somebody else's name in timelines", b->name);
	return 0;
}

static int load_names(struct bindings *all, struct binding *b, struct conf_error *error)
{
	size_t n = conf_count(b->conf, "names");

	b->any_name = is_listed(b->conf, "names", "any");
	if (b->any_name && n > 1)
		return conf_refuse(b->conf, "names", error, "'any' stands alone");
	b->names = arena_alloc(all->arena, (n + 1) * sizeof(*b->names));
	if (!b->names)
		return -ENOMEM;
	for (; !b->any_name && b->n_names < n; b->n_names++) {
		const char *text = conf_str_at(b->conf, "names", b->n_names);
		int e = pattern_parse(&b->names[b->n_names], all->arena, text);

		if (e == -EINVAL)
			return conf_refuse_at(b->conf, "names", b->n_names, error,
					      "'%s' is not a pattern such as *.example.com or ip:10.0.0.0/8, "
					      "nor 'any'", text);
		if (e)
			return e;
	}
	return 0;
}

static int load_peer(struct binding *b, struct conf_error *error)
{
	const char *user = conf_str(b->conf, "user"), *certificate = conf_str(b->conf, "certificate");
	bool is_inherited = conf_bool(b->conf, "inherited");

	if ((user != NULL) + (certificate != NULL) + is_inherited != 1)
		return conf_refuse(b->conf, NULL, error,
				   "an intermediary is known by one of 'user', 'certificate' and 'inherited: true'");
	b->peer = is_inherited ? BINDING_INHERITED : user ? BINDING_USER : BINDING_CERTIFICATE;
	if (certificate && hex_parse_fingerprint(certificate, b->fingerprint))
		return conf_refuse(b->conf, "certificate", error,
				   "a SHA-256 fingerprint has 64 hex digits; openssl x509 -noout -fingerprint -sha256 "
				   "prints one");
	return 0;
}

static int check_unique(const struct bindings *all, const struct binding *b, struct conf_error *error)
{
	for (const struct binding *other = all->all; other < b; other++) {
		if (!other->conf)
			continue;
		if (strcmp(other->name, b->name) == 0)
			return conf_refuse(b->conf, "name", error, "the name '%s' is taken", b->name);
		if (other->peer != b->peer)
			continue;
		if (b->peer == BINDING_INHERITED ||
		    (b->peer == BINDING_USER &&
		     strcmp(conf_str(other->conf, "user"), conf_str(b->conf, "user")) == 0) ||
		    (b->peer == BINDING_CERTIFICATE && memcmp(other->fingerprint, b->fingerprint, SHA256_SIZE) == 0))
			return conf_refuse(b->conf, NULL, error, "'%s' is the same intermediary", other->name);
	}
	return 0;
}

static int load_one(struct bindings *all, const struct conf_section *root, const struct conf_section *conf,
		    struct conf_error *error)
{
	/* The entry of the inherited gateway takes the place of the one that may do everything. */
	struct binding *b = &all->all[all->n], loaded = { .name = conf_str(conf, "name"), .conf = conf };
	int e;

	*b = loaded;
	e = load_peer(b, error);
	if (!e)
		e = check_name(b, error);
	if (!e)
		e = check_unique(all, b, error);
	if (!e)
		e = check_references(root, conf, error);
	if (!e)
		e = load_names(all, b, error);
	if (e)
		return e;
	if (b->peer == BINDING_INHERITED)
		all->all[0] = *b;
	else
		all->n++;
	return 0;
}

int bindings_load(struct bindings *out, const struct conf_section *root, struct conf_error *error)
{
	const struct conf_section *core = conf_section(root, "core");
	size_t n = conf_count(core, "intermediaries");
	int e = arena_new(&out->arena, ARENA_MAX);

	if (e)
		return e;
	out->all = arena_alloc(out->arena, (n + 2) * sizeof(*out->all));
	if (!out->all)
		return -ENOMEM;
	out->all[out->n++] = (struct binding){ .name = INHERITED_NAME, .peer = BINDING_INHERITED };
	for (size_t i = 0; !e && i < n; i++)
		e = load_one(out, root, conf_section_at(core, "intermediaries", i), error);
	return e;
}

void bindings_fini(struct bindings *b)
{
	arena_drop(&b->arena);
	*b = (struct bindings){ 0 };
}
