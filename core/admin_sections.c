/* The call of the administrator's tool about the configuration: what this core has read.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "core/admin_int.h"

#include <errno.h>

/* What people may see; the others say nothing about certificates. */
static const char *const lists[] = { "profiles", "endpoints", "listeners", NULL };

struct place {
	struct arena *arena;
	Gatehouse__Admin__Section *section;
	size_t room;
};

static int count_setting(void *arg, const char *name, const char *value, bool is_set)
{
	((struct place *)arg)->room += value != NULL;
	return 0;
}

static int add_setting(void *arg, const char *name, const char *value, bool is_set)
{
	struct place *p = arg;
	Gatehouse__Admin__Setting *setting;

	if (!value)
		return 0;
	setting = arena_alloc(p->arena, sizeof(*setting));
	if (!setting)
		return -ENOMEM;
	gatehouse__admin__setting__init(setting);
	setting->name = arena_strdup(p->arena, name);
	setting->value = arena_strdup(p->arena, value);
	setting->is_set = is_set;
	p->section->settings[p->section->n_settings++] = setting;
	return setting->name && setting->value ? 0 : -ENOMEM;
}

static int describe_section(const struct conf_section *conf, struct arena *arena, Gatehouse__Admin__Section **out)
{
	struct place p = { .arena = arena };
	const char *name = conf_str(conf, "name"), *module = conf_module(conf);
	int e;

	p.section = arena_alloc(arena, sizeof(*p.section));
	if (!p.section)
		return -ENOMEM;
	gatehouse__admin__section__init(p.section);
	p.section->name = (char *)name;
	p.section->module = (char *)(module ? module : "");
	conf_each(conf, count_setting, &p);
	p.section->settings = arena_alloc(arena, (p.room + 1) * sizeof(*p.section->settings));
	e = p.section->settings ? conf_each(conf, add_setting, &p) : -ENOMEM;
	*out = p.section;
	return e;
}

void admin_list_sections(const struct admin_ask *a)
{
	const char *wanted = a->call->list_sections->list;
	Gatehouse__Admin__Reply *reply = a->reply;
	size_t i = 0, n;
	int e = 0;

	while (lists[i] && strcmp(lists[i], wanted) != 0)
		i++;
	if (!lists[i])
		return admin_say(a, CA_ADMIN_INVALID, "the lists are profiles, endpoints and listeners");
	n = conf_count(a->core->conf, wanted);
	reply->sections = arena_alloc(a->arena, (n + 1) * sizeof(*reply->sections));
	if (!reply->sections)
		return admin_failed(a, -ENOMEM);
	for (i = 0; !e && i < n; i++)
		e = describe_section(conf_section_at(a->core->conf, wanted, i), a->arena,
				     &reply->sections[reply->n_sections++]);
	if (e)
		admin_failed(a, e);
}
