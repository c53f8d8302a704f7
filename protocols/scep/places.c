/* Paths that say of no endpoint which (RFC 8894 4.1): clients that know none look there.
 *
 * Who asks for capabilities or certificates may name one in `message`, where many clients write what somebody once
 * typed, or a word of their own: what is no name says nothing. A message says it by whom it is encrypted to.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "protocols/scep/scep_int.h"

#include <strings.h>

#include "core/base/own.h"
#include "protocols/scep/query.h"

static struct scep *find_named(const struct proto_group *group, const char *query)
{
	char name[SCEP_WORD_SIZE];

	scep_query_word(query, "message", name);
	for (size_t i = 0; i < group->n; i++)
		if (strcasecmp(group->members[i].endpoint, name) == 0)
			return group->members[i].state;
	return group->fallback;
}

static bool is_for(const struct scep *s, const struct scep_envelope *envelope, struct arena *arena)
{
	struct proto_ra_key *keys;
	size_t n;

	if (s->ra->list(s->ra->state, arena, &keys, &n))
		return false;
	for (size_t i = 0; i < n; i++)
		if (scep_envelope_is_for(envelope, keys[i].certificate))
			return true;
	return false;
}

/* What is taken, the endpoint says that it is for: here every algorithm is. */
static struct scep *find_addressee(const struct proto_group *group, struct bytes octets, struct arena *arena)
{
	struct scep_envelope envelope;
	struct scep_message message;
	const char *why;

	if (scep_message_read(&message, octets, arena, &why) ||
	    scep_envelope_read(&envelope, message.content, SCEP_LEGACY_DES, true, arena))
		return group->fallback;
	for (size_t i = 0; i < group->n; i++)
		if (is_for(group->members[i].state, &envelope, arena))
			return group->members[i].state;
	return group->fallback;
}

static struct scep *find_addressee_in_query(const struct proto_group *group, const struct http_request *q)
{
	OWNED_BUF octets = BUF_INIT(SCEP_MESSAGE_MAX);

	if (scep_query_message(http_query_find(q->query, "message"), &octets))
		return group->fallback;
	return find_addressee(group, buf_bytes(&octets), q->arena);
}

static int refuse(struct http_reply *r)
{
	return http_reply_text(r, 404, "several endpoints are here: say which, as in /scep/NAME");
}

int scep_get_shared(void *state, const struct http_request *q, struct http_reply *r)
{
	const struct proto_group *group = state;
	char operation[SCEP_WORD_SIZE];
	struct scep *s = group->fallback;

	if (group->n > 1)
		s = strcmp(scep_query_word(q->query, "operation", operation), "PKIOperation") == 0 ?
			    find_addressee_in_query(group, q) : find_named(group, q->query);
	return s ? scep_get(s, q, r) : refuse(r);
}

int scep_post_shared(void *state, const struct http_request *q, struct http_reply *r)
{
	const struct proto_group *group = state;
	struct scep *s = group->n > 1 ? find_addressee(group, q->body, q->arena) : group->fallback;

	return s ? scep_post(s, q, r) : refuse(r);
}
