/* What a profile demands of a PKCS#10.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "core/request_form.h"

#include <errno.h>
#include <stdio.h>

#include "core/base/der.h"
#include "core/base/own.h"
#include "core/issue_int.h"

#define SUBJECT "request-subject"
#define ATTRIBUTES "request-attributes"
#define DIGEST "request-digest"
#define OID_SIZE 64

/* A row of request-subject, "serialNumber" or "O=Example". */
struct wanted {
	const struct subject_component *component; /* NULL: there is no such component */
	const char *value;                         /* NULL: any */
};

static struct wanted read_wanted(const struct conf_section *conf, size_t i)
{
	const char *text = conf_str_at(conf, SUBJECT, i), *equals = strchr(text, '=');
	char word[32];

	snprintf(word, sizeof(word), "%.*s", (int)(equals ? (size_t)(equals - text) : strlen(text)), text);
	return (struct wanted){ issue_subject_component(word), equals ? equals + 1 : NULL };
}

static int check_subject_options(const struct conf_section *conf, struct conf_error *error)
{
	for (size_t i = 0; i < conf_count(conf, SUBJECT); i++) {
		struct wanted w = read_wanted(conf, i);

		if (!w.component)
			return conf_refuse_at(conf, SUBJECT, i, error,
					      "'%s' begins with no component of a subject; there are "
					      SUBJECT_COMPONENTS, conf_str_at(conf, SUBJECT, i));
		if (w.value && subject_part_check(w.component->word, w.value))
			return conf_refuse_at(conf, SUBJECT, i, error, "'%s' is no value of %s", w.value,
					      w.component->word);
	}
	return 0;
}

int request_form_check_options(const struct conf_section *conf, struct conf_error *error)
{
	for (size_t i = 0; i < conf_count(conf, ATTRIBUTES); i++) {
		const char *oid = conf_str_at(conf, ATTRIBUTES, i);
		OWNED_BUF content = BUF_INIT(OID_SIZE);

		if (strlen(oid) >= OID_SIZE || der_oid_parse(oid, &content))
			return conf_refuse_at(conf, ATTRIBUTES, i, error, "'%s' is not a dotted OID", oid);
	}
	return check_subject_options(conf, error);
}

/* NULL: any that is taken. */
static const char *weakest_digest(const struct ca_profile *p)
{
	const char *word = p->conf ? conf_str(p->conf, DIGEST) : "any";

	return strcmp(word, "any") == 0 ? NULL : word;
}

static size_t count(const struct ca_profile *p, const char *option)
{
	return p->conf ? conf_count(p->conf, option) : 0;
}

/* Pointers into the profile, and arrays in the arena. */
static int form_of(const struct ca_profile *p, struct arena *arena, struct ca_request_form *out)
{
	size_t n_subject = count(p, SUBJECT), n_attributes = count(p, ATTRIBUTES);
	struct ca_form_part *subject = arena_alloc(arena, (n_subject + 1) * sizeof(*subject));
	const char **attributes = arena_alloc(arena, (n_attributes + 1) * sizeof(*attributes));

	if (!subject || !attributes)
		return -ENOMEM;
	for (size_t i = 0; i < n_attributes; i++)
		attributes[i] = conf_str_at(p->conf, ATTRIBUTES, i);
	for (size_t i = 0; i < n_subject; i++) {
		struct wanted w = read_wanted(p->conf, i);
		char oid[OID_SIZE];

		if (der_oid_print(w.component->oid, oid, sizeof(oid)))
			return -EINVAL;
		subject[i] = (struct ca_form_part){ arena_strdup(arena, oid), w.value };
		if (!subject[i].oid)
			return -ENOMEM;
	}
	*out = (struct ca_request_form){ .key_types = p->keys, .rsa_bits = p->rsa_bits_min,
					 .digest = weakest_digest(p), .subject = subject, .n_subject = n_subject,
					 .attributes = attributes };
	return 0;
}

int request_form_get(const struct ca *ca, const struct binding *by, const char *endpoint, const char *profile,
		     struct arena *arena, struct ca_request_form *out)
{
	const struct ca_profile *p = core_find_profile(ca->core, profile);

	if (!p || !core_endpoint_allows(ca->core, endpoint, ca->name, profile) ||
	    !binding_has_endpoint(by, endpoint) || !binding_has_profile(by, profile))
		return CA_CALL_NOT_FOUND;
	return form_of(p, arena, out);
}

static bool has_part(const struct csr *csr, const struct wanted *w)
{
	for (size_t i = 0; i < csr->n_parts; i++)
		if (bytes_equal(csr->parts[i].oid, w->component->oid) &&
		    (!w->value || strcmp(csr->parts[i].value, w->value) == 0))
			return true;
	return false;
}

static int refuse(char why[static CA_REASON_SIZE], const struct ca_profile *p, const char *what, const char *which)
{
	snprintf(why, CA_REASON_SIZE, "profile %s wants %s %s in the request", p->name, what, which);
	return CA_STATUS_BAD_REQUEST;
}

/* Their names are in the order of their strength. SHA-1 is not among "any". */
static bool is_weaker(const char *digest, const char *weakest)
{
	return digest && strcmp(digest, weakest ? weakest : "sha256") < 0;
}

int request_form_check(const struct ca_profile *p, const struct csr *csr, char why[static CA_REASON_SIZE])
{
	for (size_t i = 0; i < count(p, SUBJECT); i++) {
		struct wanted w = read_wanted(p->conf, i);

		if (!has_part(csr, &w))
			return refuse(why, p, "a subject with", conf_str_at(p->conf, SUBJECT, i));
	}
	for (size_t i = 0; i < count(p, ATTRIBUTES); i++)
		if (!csr_has_attribute(csr, conf_str_at(p->conf, ATTRIBUTES, i)))
			return refuse(why, p, "the attribute", conf_str_at(p->conf, ATTRIBUTES, i));
	if (!is_weaker(csr->digest, weakest_digest(p)))
		return 0;
	snprintf(why, CA_REASON_SIZE, "the request is signed with %s; profile %s wants %s or better", csr->digest,
		 p->name, weakest_digest(p) ? weakest_digest(p) : "sha256");
	return CA_STATUS_BAD_SIGNATURE;
}
