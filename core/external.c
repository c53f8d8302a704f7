/* Challenges that a target outside has judged.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "core/external.h"

#include <errno.h>

#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/wire/verdict.h"

/* NULL: it is about this submission. */
static const char *find_fault(const struct verdict *v, const struct ca_submission *s, const uint8_t *request)
{
	if (strcmp(v->endpoint, s->endpoint) != 0)
		return "it is about another endpoint";
	if (memcmp(v->request, request, SHA256_SIZE) != 0)
		return "it is about another request";
	if (memcmp(v->transaction_key, s->transaction_key, CA_TRANSACTION_KEY_SIZE) != 0)
		return "it is about another transaction";
	return v->until_ms < clock_wall_ms() ? "it has expired" : NULL;
}

static int refuse(const struct ca_submission *s, const char *target, const char *why)
{
	log_warn("verdict.refused", "endpoint", s->endpoint, "target", target, "why", why, "source", s->source_address);
	return CREDENTIAL_REFUSED;
}

static int fill(const struct verdict *v, struct arena *arena, struct credential *out)
{
	char why[CA_REASON_SIZE];

	out->text = arena_printf(arena, "target %s", v->target);
	return out->text ? name_scope_parse(&out->scope, arena, v->scope, why) : -ENOMEM;
}

int external_find(struct ca_core *core, const struct ca_submission *s, struct bytes statement, struct arena *arena,
		  struct credential *out)
{
	uint8_t request[SHA256_SIZE];
	struct verdict v = { 0 };
	const char *fault;
	int e;

	*out = (struct credential){ .kind = CA_EVIDENCE_EXTERNAL, .is_over = !statement.len };
	/* Whatever it asks for, an earlier request of this transaction had the same names. */
	out->scope.is_any = out->is_over;
	if (out->is_over)
		return 0;
	if (!core->env.verdict_key)
		return refuse(s, NULL, "no validator of this daemon states anything");
	e = verdict_read(&v, core->env.verdict_key, statement, arena);
	if (e == -EBADMSG)
		return refuse(s, NULL, "the validator of this daemon has not stated it");
	if (!e)
		e = digest_sha256(s->request, request);
	if (e)
		return e;
	fault = find_fault(&v, s, request);
	return fault ? refuse(s, v.target, fault) : fill(&v, arena, out);
}
