/* The view that a policy module works with.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "core/policy_view.h"

#include <errno.h>
#include <stdlib.h>

#include "core/property.h"

/* Views are reused in the order they were closed, and only when this many are waiting: a module that wrongly keeps one
 * finds it dead, not somebody else's. */
#define QUARANTINE 256

struct ca_policy_view {
	struct ca *ca;
	struct ca_request *r; /* NULL: closed */
	bool is_new;
	struct ca_policy_view *next;
};

static struct {
	pthread_mutex_t lock;
	struct ca_policy_view *first, *last;
	unsigned n;
} closed = { .lock = PTHREAD_MUTEX_INITIALIZER };

struct ca_policy_view *policy_view_open(struct ca *ca, struct ca_request *r, bool is_new)
{
	struct ca_policy_view *v = NULL;

	pthread_mutex_lock(&closed.lock);
	if (closed.n > QUARANTINE) {
		v = closed.first;
		closed.first = v->next;
		closed.n--;
	}
	pthread_mutex_unlock(&closed.lock);
	if (!v)
		v = malloc(sizeof(*v));
	if (v)
		*v = (struct ca_policy_view){ .ca = ca, .r = r, .is_new = is_new };
	return v;
}

void policy_view_close(struct ca_policy_view *v)
{
	v->r = NULL;
	v->next = NULL;
	pthread_mutex_lock(&closed.lock);
	if (closed.n)
		closed.last->next = v;
	else
		closed.first = v;
	closed.last = v;
	closed.n++;
	pthread_mutex_unlock(&closed.lock);
}

const char *ca_policy_get_text(const struct ca_policy_view *v, enum ca_property p)
{
	return v->r ? property_text(v->r, p, READER_POLICY) : NULL;
}

int64_t ca_policy_get_number(const struct ca_policy_view *v, enum ca_property p)
{
	return v->r ? property_number(v->r, p, READER_POLICY) : 0;
}

struct bytes ca_policy_get_octets(const struct ca_policy_view *v, enum ca_property p)
{
	return v->r ? property_octets(v->r, p, READER_POLICY) : bytes_of(NULL, 0);
}

size_t ca_policy_count_names(const struct ca_policy_view *v)
{
	return v->r ? v->r->n_names : 0;
}

const struct ca_name *ca_policy_get_name(const struct ca_policy_view *v, size_t i)
{
	return v->r && i < v->r->n_names ? &v->r->names[i] : NULL;
}

const char *ca_policy_get_attribute(const struct ca_policy_view *v, const char *name)
{
	return v->r ? request_get_attribute(v->r, name) : NULL;
}

size_t ca_policy_count_attributes(const struct ca_policy_view *v)
{
	return v->r ? v->r->n_attributes : 0;
}

const struct ca_attribute *ca_policy_get_attribute_at(const struct ca_policy_view *v, size_t i)
{
	return v->r && i < v->r->n_attributes ? &v->r->attributes[i] : NULL;
}

size_t ca_policy_count_extensions(const struct ca_policy_view *v)
{
	return v->r ? v->r->n_extensions : 0;
}

bool ca_policy_get_extension_at(const struct ca_policy_view *v, size_t i, struct ca_extension *out)
{
	if (!v->r || i >= v->r->n_extensions)
		return false;
	*out = v->r->extensions[i];
	return true;
}

bool ca_policy_get_extension(const struct ca_policy_view *v, const char *oid, struct ca_extension *out)
{
	struct ca_extension *ext = v->r ? request_find_extension(v->r, oid) : NULL;

	if (ext)
		*out = *ext;
	return ext != NULL;
}

unsigned ca_policy_count_approvals(const struct ca_policy_view *v, const char *rule)
{
	unsigned n = 0;

	for (const struct approval *a = v->r ? v->r->approvals : NULL; a; a = a->next)
		n += strcmp(a->rule, rule) == 0;
	return n;
}

bool ca_policy_is_renewal(const struct ca_policy_view *v)
{
	return v->r && v->r->is_renewal;
}

/* A CN is an identity like a SAN: only a proven name may stand there. */
static bool is_proven(const struct ca_request *r, const char *value)
{
	for (size_t i = 0; i < r->n_names; i++)
		if (strcmp(r->names[i].value, value) == 0)
			return true;
	return false;
}

static void remove_subject(struct ca_request *r, const char *component)
{
	size_t kept = 0;

	for (size_t i = 0; i < r->n_subject; i++)
		if (strcmp(r->subject[i].component, component) != 0)
			r->subject[kept++] = r->subject[i];
	r->n_subject = kept;
}

int ca_policy_set_subject(struct ca_policy_view *v, const char *component, const char *value)
{
	struct ca_request *r = v->r;
	size_t i = 0;
	char *copy;

	if (!r)
		return -EINVAL;
	if (!*value) {
		remove_subject(r, component);
		return 0;
	}
	while (i < r->n_subject && strcmp(r->subject[i].component, component) != 0)
		i++;
	if (subject_part_check(component, value) || i == REQUEST_SUBJECT_MAX)
		return -EINVAL;
	if (strcmp(component, "CN") == 0 && !is_proven(r, value))
		return -EPERM;
	copy = arena_strdup(r->arena, value);
	component = arena_strdup(r->arena, component);
	if (!copy || !component)
		return -ENOMEM;
	r->subject[i] = (struct subject_part){ component, copy };
	r->n_subject += i == r->n_subject;
	return 0;
}

int ca_policy_set_not_after(struct ca_policy_view *v, int64_t seconds)
{
	if (!v->r)
		return -EINVAL;
	if (seconds > v->r->not_after_s || seconds <= v->r->not_before_s)
		return -EPERM;
	v->r->not_after_s = seconds;
	v->r->template_s = v->r->not_after_s - v->r->not_before_s + 1;
	return 0;
}

int ca_policy_set_not_before(struct ca_policy_view *v, int64_t seconds)
{
	if (!v->r)
		return -EINVAL;
	if (seconds < v->r->not_before_s || seconds >= v->r->not_after_s)
		return -EPERM;
	v->r->not_before_s = seconds;
	v->r->template_s = v->r->not_after_s - v->r->not_before_s + 1;
	return 0;
}

static bool is_listed(const struct conf_section *conf, const char *option, const char *oid)
{
	for (size_t i = 0; conf && i < conf_count(conf, option); i++)
		if (strcmp(conf_str_at(conf, option, i), oid) == 0)
			return true;
	return false;
}

int ca_policy_enable_extension(struct ca_policy_view *v, const char *oid)
{
	struct ca_profile *profile;
	struct ca_extension *ext;

	if (!v->r)
		return -EINVAL;
	profile = core_find_profile(v->ca->core, v->r->profile);
	ext = request_find_extension(v->r, oid);
	if (!ext || !v->is_new || !profile || !is_listed(profile->conf, "extensions", oid))
		return -EPERM;
	ext->flags &= ~(unsigned)CA_EXT_DISABLED;
	return 0;
}

int ca_policy_disable_extension(struct ca_policy_view *v, const char *oid)
{
	struct ca_extension *ext;

	if (!v->r)
		return -EINVAL;
	ext = request_find_extension(v->r, oid);
	if (!ext)
		return -EPERM;
	ext->flags |= CA_EXT_DISABLED;
	return 0;
}

int ca_policy_set_extension(struct ca_policy_view *v, const char *oid, struct bytes der, unsigned flags)
{
	if (!v->r)
		return -EINVAL;
	if (extension_is_reserved(oid))
		return -EPERM;
	return request_set_extension(v->r, oid, der, (flags & CA_EXT_POLICY_MASK) | CA_EXT_ORIGIN_POLICY);
}
