/* What policy may want to know of a client besides its names.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "protocols/acme/acme_int.h"

#include "core/base/utf8.h"

#define USER_AGENT_MAX 200
#define VALUE_MAX 4096

/* Octets of the character at the front; 0 for one that nobody should get to see: a control character (the C1 ones are
 * written 0xc2 0x80 to 0x9f), or what is not UTF-8. */
static size_t character_length(struct bytes in)
{
	if (in.ptr[0] < 0x80)
		return in.ptr[0] >= ' ' && in.ptr[0] != 0x7f ? 1 : 0;
	if (in.ptr[0] == 0xc2 && in.len > 1 && in.ptr[1] < 0xa0)
		return 0;
	return utf8_length(in);
}

/* Text from outside as UTF-8 without control characters, at most `max` octets of whole characters; in the arena. */
static const char *clean(struct arena *a, const char *text, size_t max)
{
	struct bytes rest = bytes_of_str(text), piece = { 0 };
	char *out = arena_alloc(a, (rest.len < max ? rest.len : max) + 1);
	size_t len = 0;

	while (out && rest.len > 0) {
		size_t n = character_length(rest);

		if (len + (n ? n : 1) > max)
			break;
		(void)bytes_take(&rest, n ? n : 1, &piece);
		memcpy(out + len, n ? (const char *)piece.ptr : "?", piece.len);
		len += piece.len;
	}
	return out;
}

struct ca_attribute *acme_attributes(struct acme_call *c, size_t *n)
{
	const struct acme_settings *set = &c->acme->set;
	const char *agent = http_request_header(c->q, "user-agent");
	struct arena *a = c->q->arena;
	struct ca_attribute *list = arena_alloc(a, (set->attributes.n + 4) * sizeof(*list));

	*n = 0;
	if (!list)
		return NULL;
	list[(*n)++] = (struct ca_attribute){ "acme-account", arena_printf(a, "%lld", (long long)c->account.id) };
	if (strcmp(c->account.contact, "[]") != 0)
		list[(*n)++] = (struct ca_attribute){ "acme-contact", clean(a, c->account.contact, VALUE_MAX) };
	if (c->account.external)
		list[(*n)++] = (struct ca_attribute){ "acme-external-account",
						      clean(a, c->account.external, VALUE_MAX) };
	if (agent)
		list[(*n)++] = (struct ca_attribute){ "user-agent", clean(a, agent, USER_AGENT_MAX) };
	for (size_t i = 0; i < set->attributes.n; i++)
		list[(*n)++] = set->attributes.all[i];
	for (size_t i = 0; i < *n; i++)
		if (!list[i].value)
			return NULL;
	return list;
}
