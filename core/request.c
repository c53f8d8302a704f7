/* A request in memory.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "core/request.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/prove.h"
#include "core/x509/text.h"
#include "core/base/der.h"

#define REQUEST_ARENA_MAX (8u << 20)

int ca_request_new(struct ca_request **out)
{
	struct arena *arena;
	struct ca_request *r;
	int e = arena_new(&arena, REQUEST_ARENA_MAX);

	if (e)
		return e;
	r = arena_alloc(arena, sizeof(*r));
	if (!r) {
		arena_drop(&arena);
		return -ENOMEM;
	}
	r->arena = arena;
	r->lines_end = &r->lines;
	r->tbs = BUF_INIT(CA_REQUEST_MAX);
	r->certificate = BUF_INIT(CA_REQUEST_MAX);
	*out = r;
	return 0;
}

void ca_request_drop(struct ca_request **rp)
{
	struct ca_request *r = *rp;
	struct arena *arena;

	if (!r)
		return;
	buf_fini(&r->tbs);
	buf_fini(&r->certificate);
	arena = r->arena;
	arena_drop(&arena);
	*rp = NULL;
}

void request_note(struct ca_request *r, const char *actor, const char *format, ...)
{
	char text[1024];
	struct timeline_line *line = arena_alloc(r->arena, sizeof(*line));
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	if (!line)
		return;
	line->at_ms = clock_wall_ms();
	line->actor = arena_strdup(r->arena, actor);
	line->text = arena_strdup(r->arena, text);
	*r->lines_end = line;
	r->lines_end = &line->next;
}

int request_move(struct ca_request *r, enum ca_action action)
{
	enum ca_state next;
	int e = ca_state_next(r->state, action, &next);

	if (!e)
		r->state = next;
	return e;
}

const char *request_quote(const struct ca_request *r, const char *text)
{
	size_t size = strlen(text) * 4 + 1;
	char *out = arena_alloc(r->arena, size);

	return out ? log_escape(text, out, size) : "";
}

bool attribute_name_equal(const char *a, const char *b)
{
	for (;; a++, b++) {
		while (*a == ' ' || *a == '-')
			a++;
		while (*b == ' ' || *b == '-')
			b++;
		if (tolower((unsigned char)*a) != tolower((unsigned char)*b))
			return false;
		if (!*a)
			return true;
	}
}

bool ca_attribute_is_observed(const char *name)
{
	/* The adapters' own stand in their attribute_names, too, in the enroll.c or attribute.c of each. */
	static const char *const names[] = {
		PROVE_RENEWS, PROVE_RENEWED_NAMES,
		"acme-account", "acme-contact", "acme-external-account", "user-agent",
		"est-operation", "est-label", "pop-linked", "client-trust",
		"scep-message-type", "scep-transaction-id", "scep-digest", "scep-cipher",
	};

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		if (attribute_name_equal(names[i], name))
			return true;
	return false;
}

int attribute_check(const char *name, const char *value)
{
	size_t n = strnlen(name, 128), v = strnlen(value, 4097);

	if (n == 0 || n > 127 || v > 4096 || attribute_name_equal(name, ""))
		return -EINVAL;
	for (const char *p = name; *p; p++)
		if ((unsigned char)*p < ' ' || *p == ':' || *p == 0x7f)
			return -EINVAL;
	return text_is_clean(bytes_of_str(value)) ? 0 : -EINVAL;
}

static struct ca_attribute *find_attribute(struct ca_request *r, const char *name)
{
	for (size_t i = 0; i < r->n_attributes; i++)
		if (attribute_name_equal(r->attributes[i].name, name))
			return &r->attributes[i];
	return NULL;
}

const char *request_get_attribute(const struct ca_request *r, const char *name)
{
	for (size_t i = 0; i < r->n_attributes; i++)
		if (attribute_name_equal(r->attributes[i].name, name))
			return r->attributes[i].value;
	return NULL;
}

/* Values are trimmed outside, as the documented parser does. */
static char *copy_trimmed(struct arena *arena, const char *s)
{
	size_t n;

	s += strspn(s, " \t");
	n = strlen(s);
	while (n && (s[n - 1] == ' ' || s[n - 1] == '\t'))
		n--;
	return arena_strndup(arena, bytes_of(s, n));
}

int request_set_attribute(struct ca_request *r, const char *name, const char *value, bool replace)
{
	struct ca_attribute *a = find_attribute(r, name);

	if (attribute_check(name, value))
		return -EINVAL;
	if (a && !replace)
		return -EEXIST;
	if (!*value && replace) {
		if (a)
			*a = r->attributes[--r->n_attributes];
		return 0;
	}
	if (!a) {
		if (r->n_attributes == CA_ATTRIBUTES_MAX)
			return -ENOSPC;
		a = &r->attributes[r->n_attributes];
		a->name = copy_trimmed(r->arena, name);
		if (!a->name)
			return -ENOMEM;
		r->n_attributes++;
	}
	a->value = copy_trimmed(r->arena, value);
	return a->value ? 0 : -ENOMEM;
}

struct ca_extension *request_find_extension(struct ca_request *r, const char *oid)
{
	for (size_t i = 0; i < r->n_extensions; i++)
		if (strcmp(r->extensions[i].oid, oid) == 0)
			return &r->extensions[i];
	return NULL;
}

int request_set_extension(struct ca_request *r, const char *oid, struct bytes der, unsigned flags)
{
	OWNED_BUF content = BUF_INIT(64);
	struct ca_extension *ext;
	struct bytes copy;

	if (strlen(oid) > 63 || der_oid_parse(oid, &content) || der.len == 0 || der.len > 16384 || der_check(der, 16))
		return -EINVAL;
	copy = arena_copy(r->arena, der);
	if (!copy.ptr)
		return -ENOMEM;
	ext = request_find_extension(r, oid);
	if (!ext) {
		char *name = arena_strdup(r->arena, oid);

		if (!name)
			return -ENOMEM;
		if (r->n_extensions == REQUEST_EXTENSIONS_MAX)
			return -ENOSPC;
		ext = &r->extensions[r->n_extensions++];
		ext->oid = name;
	}
	ext->flags = flags;
	ext->value = copy;
	return 0;
}

static int compare_names(const void *a, const void *b)
{
	const struct ca_name *x = a, *y = b;

	return x->kind != y->kind ? (x->kind > y->kind) - (x->kind < y->kind) : strcmp(x->value, y->value);
}

static int hash_names(struct ca_request *r, uint8_t out[static SHA256_SIZE])
{
	struct ca_name *sorted = arena_alloc(r->arena, (r->n_names + 1) * sizeof(*sorted));
	struct bytes *pieces = arena_alloc(r->arena, (2 * r->n_names + 2) * sizeof(*pieces));
	size_t n = 0;

	if (!sorted || !pieces)
		return -ENOMEM;
	for (size_t i = 0; i < r->n_names; i++)
		sorted[i] = r->names[i];
	qsort(sorted, r->n_names, sizeof(*sorted), compare_names);
	for (size_t i = 0; i < r->n_names; i++) {
		pieces[n++] = bytes_of_str(ca_name_kind_word(sorted[i].kind));
		pieces[n++] = bytes_of_str(sorted[i].value);
	}
	/* A credential proves the subject too. */
	if (ca_evidence_is_credential(r->evidence)) {
		pieces[n++] = bytes_of_str("subject");
		pieces[n++] = r->csr.subject;
	}
	return digest_sha256_pieces(pieces, n, out);
}

int request_take_wanted(struct ca_request *r)
{
	const struct csr *wanted = r->csr.wanted;

	if (!wanted)
		return -EINVAL;
	r->csr.subject = wanted->subject;
	r->csr.subject_text = wanted->subject_text;
	r->csr.common_name = wanted->common_name;
	memcpy(r->csr.parts, wanted->parts, sizeof(r->csr.parts));
	r->csr.n_parts = wanted->n_parts;
	r->csr.names = wanted->names;
	r->csr.n_names = wanted->n_names;
	r->csr.has_other_names = wanted->has_other_names;
	return 0;
}

int request_hash_names(struct ca_request *r)
{
	return hash_names(r, r->names_key);
}

static int compare_attributes(const void *a, const void *b)
{
	return strcmp(((const struct ca_attribute *)a)->name, ((const struct ca_attribute *)b)->name);
}

static int compare_extensions(const void *a, const void *b)
{
	return strcmp(((const struct ca_extension *)a)->oid, ((const struct ca_extension *)b)->oid);
}

/* A request has its rows in the order in which they came, one that was read from the store in the order of their names:
 * the digest is the same for both. */
static void sort_rows(const struct ca_request *r, struct ca_attribute *attributes, struct ca_extension *extensions)
{
	memcpy(attributes, r->attributes, r->n_attributes * sizeof(*attributes));
	memcpy(extensions, r->extensions, r->n_extensions * sizeof(*extensions));
	qsort(attributes, r->n_attributes, sizeof(*attributes), compare_attributes);
	qsort(extensions, r->n_extensions, sizeof(*extensions), compare_extensions);
}

int request_hash_template(struct ca_request *r)
{
	size_t max = 64 + 2 * CA_ATTRIBUTES_MAX + 3 * REQUEST_EXTENSIONS_MAX, n = 0, key;
	struct bytes *pieces = arena_alloc(r->arena, max * sizeof(*pieces));
	/* What ends when an officer says so has no length that stays the same. */
	bool is_until = r->officer_not_after_s && r->not_after_s == r->officer_not_after_s;
	char *lifetime = arena_printf(r->arena, is_until ? "until %lld" : "%lld",
				      (long long)(is_until ? r->not_after_s : r->template_s));
	uint8_t names[SHA256_SIZE]; /* as they are now; names_key tells what was asked for */
	struct ca_attribute attributes[CA_ATTRIBUTES_MAX];
	struct ca_extension extensions[REQUEST_EXTENSIONS_MAX];

	if (!pieces || !lifetime || hash_names(r, names))
		return -ENOMEM;
	sort_rows(r, attributes, extensions);
	pieces[n++] = bytes_of_str(r->ca);
	pieces[n++] = bytes_of_str(r->profile);
	pieces[n++] = bytes_of_str(r->requester);
	pieces[n++] = bytes_of_str(request_subject_text(r));
	pieces[n++] = bytes_of(names, sizeof(names));
	pieces[n++] = bytes_of_str(lifetime);
	for (const char *const *w = r->key_usage; w && *w && n < 24; w++)
		pieces[n++] = bytes_of_str(*w);
	for (const char *const *w = r->ext_key_usage; w && *w && n < 56; w++)
		pieces[n++] = bytes_of_str(*w);
	for (size_t i = 0; i < r->n_extensions; i++) {
		if (extensions[i].flags & CA_EXT_DISABLED)
			continue;
		pieces[n++] = bytes_of_str(extensions[i].oid);
		pieces[n++] = bytes_of_str(extensions[i].flags & CA_EXT_CRITICAL ? "critical" : "");
		pieces[n++] = extensions[i].value;
	}
	if (digest_sha256_pieces(pieces, n, r->template_hash))
		return -EIO;
	key = n++;
	pieces[key] = bytes_of(NULL, 0);
	for (size_t i = 0; i < r->n_attributes; i++) {
		pieces[n++] = bytes_of_str(attributes[i].name);
		pieces[n++] = bytes_of_str(attributes[i].value);
	}
	if (digest_sha256_pieces(pieces, n, r->keyless_digest))
		return -EIO;
	pieces[key] = r->server_key ? bytes_of_str("a key that is made when it is collected") : r->csr.spki;
	return digest_sha256_pieces(pieces, n, r->digest);
}

const char *request_subject_text(const struct ca_request *r)
{
	OWNED_BUF text = BUF_INIT(4096);

	if (r->subject_text)
		return r->subject_text;
	for (size_t i = 0; i < r->n_subject; i++) {
		buf_printf(&text, "%s%s=", i ? "," : "", r->subject[i].component);
		for (const char *p = r->subject[i].value; *p; p++) {
			if (strchr(",+\"\\<>;=", *p))
				buf_append_char(&text, '\\');
			buf_append_char(&text, *p);
		}
	}
	return arena_strdup(r->arena, buf_str(&text));
}
