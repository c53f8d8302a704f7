/* The view that an exit module looks through: getters only, and each remembers that it was used.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "core/exit_view.h"

#include <stdio.h>

#include "core/property.h"

static void remember(const struct ca_exit_view *v, const char *group)
{
	/* The record of what was read is the core's, not a change that the module makes. */
	struct ca_exit_view *w = (struct ca_exit_view *)v;
	size_t used = strlen(w->reads);
	const char *found = strstr(w->reads, group);

	if (!found)
		snprintf(w->reads + used, sizeof(w->reads) - used, "%s%s", used ? "," : "", group);
}

const char *ca_exit_get_text(const struct ca_exit_view *v, enum ca_property p)
{
	remember(v, property_group(p));
	if (p == CA_PROP_CA)
		return v->ca;
	return v->r ? property_text(v->r, p, READER_EXIT) : NULL;
}

int64_t ca_exit_get_number(const struct ca_exit_view *v, enum ca_property p)
{
	remember(v, property_group(p));
	/* Of the event, not of the row: that may have moved on. */
	if (p == CA_PROP_REVOCATION_REASON)
		return v->event == CA_EVENT_REVOKED ? v->about : 0;
	if (p == CA_PROP_CRL_NUMBER)
		return v->event == CA_EVENT_CRL_ISSUED ? v->about : 0;
	return v->r ? property_number(v->r, p, READER_EXIT) : 0;
}

struct bytes ca_exit_get_octets(const struct ca_exit_view *v, enum ca_property p)
{
	remember(v, property_group(p));
	return v->r ? property_octets(v->r, p, READER_EXIT) : bytes_of(NULL, 0);
}

size_t ca_exit_count_names(const struct ca_exit_view *v)
{
	remember(v, "names");
	return v->r ? v->r->n_names : 0;
}

const struct ca_name *ca_exit_get_name(const struct ca_exit_view *v, size_t i)
{
	remember(v, "names");
	return v->r && i < v->r->n_names ? &v->r->names[i] : NULL;
}

const char *ca_exit_get_attribute(const struct ca_exit_view *v, const char *name)
{
	remember(v, "attributes");
	return v->r ? request_get_attribute(v->r, name) : NULL;
}

bool ca_exit_get_extension(const struct ca_exit_view *v, const char *oid, struct ca_extension *out)
{
	struct ca_extension *ext = v->r ? request_find_extension((struct ca_request *)v->r, oid) : NULL;

	remember(v, "extensions");
	if (ext)
		*out = *ext;
	return ext != NULL;
}

int64_t ca_exit_get_event_id(const struct ca_exit_view *v)
{
	return v->event_id;
}
