/* Paths where clients look for any server of a protocol: those that the endpoints of a listener have besides their own.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "gateway/gateway_int.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "gateway/config.h"

struct gw_places {
	struct gw_places *next;
	struct proto_group group;
	struct gw_mount *mounts; /* one an endpoint, then that of all together */
	char **prefixes;         /* of the first */
};

void gw_places_drop(struct gw_places **out)
{
	struct gw_places *p, *next;

	for (p = *out; p; p = next) {
		next = p->next;
		for (size_t i = 0; p->prefixes && i < p->group.n; i++)
			free(p->prefixes[i]);
		free(p->prefixes);
		free(p->mounts);
		free(p->group.members);
		free(p);
	}
	*out = NULL;
}

static int allocate(struct gw_places *p, size_t n)
{
	p->group.members = calloc(n + 1, sizeof(*p->group.members));
	p->mounts = calloc(n + 1, sizeof(*p->mounts));
	p->prefixes = calloc(n + 1, sizeof(*p->prefixes));
	return p->group.members && p->mounts && p->prefixes ? 0 : -ENOMEM;
}

static int add_member(struct gw_places *p, const struct gw_endpoint *e)
{
	size_t i = p->group.n++;

	p->group.members[i] = (struct proto_member){ e->mount.name, e->state };
	p->mounts[i] = e->mount;
	if (asprintf(&p->prefixes[i], "%s/%s", e->adapter->places->named, e->mount.name) < 0) {
		p->prefixes[i] = NULL;
		return -ENOMEM;
	}
	p->mounts[i].prefix = p->prefixes[i];
	return 0;
}

/* What nothing is said of is for the endpoint that the configuration says, or for the only one. */
static void share(struct gw_places *p, const struct gw_endpoint *fallback, const struct proto_adapter *adapter)
{
	struct gw_mount *m = &p->mounts[p->group.n];

	p->group.fallback = fallback ? fallback->state : NULL;
	*m = p->mounts[0];
	m->name = fallback ? fallback->mount.name : adapter->name;
	m->stats = fallback ? fallback->mount.stats : NULL;
	m->prefix = "";
	m->routes = adapter->places->routes;
	m->state = &p->group;
	for (size_t i = 1; i < p->group.n; i++)
		if (p->mounts[i].body_max > m->body_max)
			m->body_max = p->mounts[i].body_max;
}

static int mount(const struct gw_places *p, struct gw_router *router)
{
	int r = 0;

	for (size_t i = 0; !r && i <= p->group.n; i++)
		r = gw_router_add(router, &p->mounts[i]);
	return r;
}

int gw_places_add(struct gw_places **list, const struct proto_adapter *adapter,
		  const struct gw_endpoint *const *endpoints, size_t n, const char *fallback_name,
		  struct gw_router *router)
{
	struct gw_places *p = calloc(1, sizeof(*p));
	const struct gw_endpoint *fallback = n == 1 ? endpoints[0] : NULL;
	int r = p ? allocate(p, n) : -ENOMEM;

	if (!p)
		return r;
	p->next = *list;
	*list = p;
	for (size_t i = 0; !r && i < n; i++) {
		if (fallback_name && strcmp(endpoints[i]->mount.name, fallback_name) == 0)
			fallback = endpoints[i];
		r = add_member(p, endpoints[i]);
	}
	if (r)
		return r;
	share(p, fallback, adapter);
	return mount(p, router);
}
