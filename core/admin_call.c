/* The calls of the administrator's tool, one function each, and the roles each one needs.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "core/admin_call.h"

#include <errno.h>
#include <stdio.h>
#include <strings.h>
#include <unistd.h>

#include "core/base/own.h"
#include "core/core_int.h"
#include "core/store_view.h"

typedef Gatehouse__Admin__Call Call;
typedef Gatehouse__Admin__Reply Reply;

#define LOOKS (CA_ROLE_AUDITOR | CA_ROLE_OFFICER | CA_ROLE_ADMINISTRATOR)
#define FAILURE 100 /* Reply.outcome of a failure inside the core: this plus errno */

static void list_requests(struct ca_core *core, const struct ca_admin_caller *who, const Call *call,
			  struct arena *arena, Reply *reply)
{
	const Gatehouse__Admin__ListRequests *q = call->list_requests;
	int e = store_view_requests(core, q->state, q->after, q->limit, arena, reply);

	if (e)
		reply->outcome = (uint32_t)(FAILURE - e);
}

static void show_request(struct ca_core *core, const struct ca_admin_caller *who, const Call *call, struct arena *arena,
			 Reply *reply)
{
	int e = store_view_detail(core, call->show_request->id, call->show_request->timeline, arena, &reply->detail);

	if (e > 0) {
		reply->outcome = CA_ADMIN_NOT_FOUND;
		reply->reason = (char *)"there is no such request";
	} else if (e) {
		reply->outcome = (uint32_t)(FAILURE - e);
	}
}

/* What came of a decision: the outcome, and the row as it is now. */
static void decided(struct ca_core *core, int e, const struct ca_outcome *out, int64_t id, struct arena *arena,
		    Reply *reply)
{
	reply->outcome = e < 0 ? (uint32_t)(FAILURE - e) : (uint32_t)e;
	reply->reason = arena_strdup(arena, out->reason);
	if (!reply->reason)
		reply->reason = (char *)"";
	(void)store_view_request(core, id, arena, &reply->decided);
}

static void approve(struct ca_core *core, const struct ca_admin_caller *who, const Call *call, struct arena *arena,
		    Reply *reply)
{
	const Gatehouse__Admin__Decide *q = call->approve;
	OWNED_CA_OUTCOME out = CA_OUTCOME_INIT;

	if (q->digest.len && q->digest.len != SHA256_SIZE) {
		reply->outcome = CA_ADMIN_INVALID;
		reply->reason = (char *)"a digest has 32 octets";
		return;
	}
	decided(core, ca_admin_approve(core, who, q->id, q->digest.len ? q->digest.data : NULL, &out), &out, q->id,
		arena, reply);
}

static void resubmit(struct ca_core *core, const struct ca_admin_caller *who, const Call *call, struct arena *arena,
		     Reply *reply)
{
	OWNED_CA_OUTCOME out = CA_OUTCOME_INIT;

	decided(core, ca_admin_resubmit(core, who, call->resubmit->id, &out), &out, call->resubmit->id, arena, reply);
}

static void deny(struct ca_core *core, const struct ca_admin_caller *who, const Call *call, struct arena *arena,
		 Reply *reply)
{
	OWNED_CA_OUTCOME out = CA_OUTCOME_INIT;

	decided(core, ca_admin_deny(core, who, call->deny->id, call->deny->reason, &out), &out, call->deny->id, arena,
		reply);
}

static void set_attribute(struct ca_core *core, const struct ca_admin_caller *who, const Call *call,
			  struct arena *arena, Reply *reply)
{
	const Gatehouse__Admin__SetAttribute *q = call->set_attribute;
	OWNED_CA_OUTCOME out = CA_OUTCOME_INIT;

	decided(core, ca_admin_set_attribute(core, who, q->id, q->name, q->value, &out), &out, q->id, arena, reply);
}

static void set_extension(struct ca_core *core, const struct ca_admin_caller *who, const Call *call,
			  struct arena *arena, Reply *reply)
{
	const Gatehouse__Admin__SetExtension *q = call->set_extension;
	OWNED_CA_OUTCOME out = CA_OUTCOME_INIT;

	decided(core,
		ca_admin_set_extension(core, who, q->id, q->oid, bytes_of(q->value.data, q->value.len), q->flags, &out),
		&out, q->id, arena, reply);
}

static void list_certificates(struct ca_core *core, const struct ca_admin_caller *who, const Call *call,
			      struct arena *arena, Reply *reply)
{
	const Gatehouse__Admin__ListCertificates *q = call->list_certificates;
	int e = store_view_certificates(core, bytes_of(q->after.data, q->after.len), q->limit, arena, reply);

	if (e)
		reply->outcome = (uint32_t)(FAILURE - e);
}

static void write_roles(const struct ca_admin_caller *who, struct arena *arena, Gatehouse__Admin__Status *status)
{
	static const struct {
		unsigned role;
		const char *word;
	} words[] = { { CA_ROLE_AUDITOR, "auditor" },
		      { CA_ROLE_OFFICER, "officer" },
		      { CA_ROLE_ADMINISTRATOR, "administrator" } };

	status->roles = arena_alloc(arena, 3 * sizeof(*status->roles));
	for (size_t i = 0; status->roles && i < 3; i++)
		if (who->roles & words[i].role)
			status->roles[status->n_roles++] = (char *)words[i].word;
}

static void get_status(struct ca_core *core, const struct ca_admin_caller *who, const Call *call, struct arena *arena,
		       Reply *reply)
{
	Gatehouse__Admin__Status *s = arena_alloc(arena, sizeof(*s));
	OWNED_BUF health = BUF_INIT(16384);
	struct store_counts c = { 0 };

	if (!s)
		return;
	gatehouse__admin__status__init(s);
	s->healthy = ca_core_health(core, &health);
	if (store_count(core, &c))
		s->healthy = false;
	s->health = arena_strdup(arena, buf_str(&health));
	s->pending = c.pending;
	s->oldest_pending_ms = c.oldest_pending_ms;
	s->unfinished = c.active;
	s->outbox_waiting = c.outbox_waiting;
	s->outbox_set_aside = c.outbox_set_aside;
	s->certificates = c.certificates;
	s->caller = arena_strdup(arena, who->name);
	s->roles_separated = core->env.is_separated;
	write_roles(who, arena, s);
	if (s->health && s->caller)
		reply->status = s;
}

static Gatehouse__Admin__Ca *describe_ca(const struct ca *ca, struct arena *arena)
{
	Gatehouse__Admin__Ca *c = arena_alloc(arena, sizeof(*c));
	char subject[1024];

	if (!c)
		return NULL;
	gatehouse__admin__ca__init(c);
	certificate_subject(buf_bytes(&ca->certificate), subject, sizeof(subject));
	c->name = (char *)ca->name;
	c->certificate.data = ca->certificate.ptr;
	c->certificate.len = ca->certificate.len;
	c->subject = arena_strdup(arena, subject);
	c->not_before_s = ca->not_before_s;
	c->not_after_s = ca->not_after_s;
	c->policy = (char *)ca->policy->name;
	c->exits = arena_alloc(arena, (ca->n_exits + 1) * sizeof(*c->exits));
	for (size_t i = 0; c->exits && i < ca->n_exits; i++)
		c->exits[c->n_exits++] = ca->exits[i].label;
	return c->subject ? c : NULL;
}

static void show_ca(struct ca_core *core, const struct ca_admin_caller *who, const Call *call, struct arena *arena,
		    Reply *reply)
{
	const char *wanted = call->show_ca->name;

	reply->cas = arena_alloc(arena, core->n_cas * sizeof(*reply->cas));
	for (size_t i = 0; reply->cas && i < core->n_cas; i++) {
		if (*wanted && strcasecmp(wanted, core->cas[i].name) != 0)
			continue;
		reply->cas[reply->n_cas] = describe_ca(&core->cas[i], arena);
		reply->n_cas += reply->cas[reply->n_cas] != NULL;
	}
	if (reply->n_cas == 0) {
		reply->outcome = CA_ADMIN_NOT_FOUND;
		reply->reason = (char *)"there is no CA of that name";
	}
}

/* Who may look. Who may decide is asked again, action by action, in core/admin.c. */
static const struct {
	Gatehouse__Admin__Call__WhatCase what;
	unsigned roles; /* one of them */
	void (*answer)(struct ca_core *core, const struct ca_admin_caller *who, const Call *call, struct arena *arena,
		       Reply *reply);
} calls[] = {
	{ GATEHOUSE__ADMIN__CALL__WHAT_LIST_REQUESTS, LOOKS, list_requests },
	{ GATEHOUSE__ADMIN__CALL__WHAT_SHOW_REQUEST, LOOKS, show_request },
	{ GATEHOUSE__ADMIN__CALL__WHAT_APPROVE, LOOKS, approve },
	{ GATEHOUSE__ADMIN__CALL__WHAT_RESUBMIT, LOOKS, resubmit },
	{ GATEHOUSE__ADMIN__CALL__WHAT_DENY, LOOKS, deny },
	{ GATEHOUSE__ADMIN__CALL__WHAT_SET_ATTRIBUTE, LOOKS, set_attribute },
	{ GATEHOUSE__ADMIN__CALL__WHAT_SET_EXTENSION, LOOKS, set_extension },
	{ GATEHOUSE__ADMIN__CALL__WHAT_LIST_CERTIFICATES, LOOKS, list_certificates },
	{ GATEHOUSE__ADMIN__CALL__WHAT_GET_STATUS, LOOKS, get_status },
	{ GATEHOUSE__ADMIN__CALL__WHAT_SHOW_CA, LOOKS, show_ca },
};

void admin_call(struct ca_core *core, const struct ca_admin_caller *who, const Call *call, struct arena *arena,
		Reply *reply)
{
	gatehouse__admin__reply__init(reply);
	for (size_t i = 0; i < sizeof(calls) / sizeof(*calls); i++) {
		if (calls[i].what != call->what_case)
			continue;
		if (who->roles & calls[i].roles) {
			calls[i].answer(core, who, call, arena, reply);
			return;
		}
		reply->outcome = CA_ADMIN_NOT_PERMITTED;
		reply->reason =
			(char *)"this user has no role that allows it; see core: administrators, officers, auditors";
		return;
	}
	reply->outcome = CA_ADMIN_INVALID;
	reply->reason = (char *)"this core does not know that call";
}
