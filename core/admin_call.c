/* The calls of the administrator's tool: one table. The functions stand in core/admin_*.c, by area.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "core/admin_int.h"

#include <errno.h>

#include "core/base/clock.h"
#include "core/store_view.h"
#include "core/wire/message_text.h"

#define FAILURE 100 /* Reply.outcome of a failure inside the core: this plus errno */
#define CALL(name) GATEHOUSE__ADMIN__CALL__WHAT_##name

const struct admin_call_row admin_calls[] = {
	{ CALL(LIST_REQUESTS), "list-requests", ADMIN_RIGHT_READ, admin_list_requests },
	{ CALL(SHOW_REQUEST), "show-request", ADMIN_RIGHT_READ, admin_show_request },
	{ CALL(APPROVE), "approve", ADMIN_RIGHT_DECIDE, admin_approve },
	{ CALL(RESUBMIT), "resubmit", ADMIN_RIGHT_DECIDE, admin_resubmit },
	{ CALL(DENY), "deny", ADMIN_RIGHT_DECIDE, admin_deny },
	{ CALL(EDIT), "edit", ADMIN_RIGHT_DECIDE, admin_edit },
	{ CALL(REVOKE), "revoke", ADMIN_RIGHT_DECIDE, admin_revoke },
	{ CALL(HOLD), "hold", ADMIN_RIGHT_DECIDE, admin_hold },
	{ CALL(RELEASE), "release", ADMIN_RIGHT_DECIDE, admin_release },
	{ CALL(PUBLISH_CRL), "publish-crl", ADMIN_RIGHT_ADMINISTER, admin_publish_crl },
	{ CALL(IMPORT), "import", ADMIN_RIGHT_DECIDE, admin_import },
	{ CALL(PURGE), "purge", ADMIN_RIGHT_PURGE, admin_purge },
	{ CALL(CERT_STATUS), "cert-status", ADMIN_RIGHT_READ, admin_cert_status },
	{ CALL(LIST_CRLS), "list-crls", ADMIN_RIGHT_READ, admin_list_crls },
	{ CALL(ADD_NOTE), "note", ADMIN_RIGHT_DECIDE, admin_add_note },
	{ CALL(WATCH), "watch", ADMIN_RIGHT_READ, admin_watch },
	{ CALL(EXPLAIN), "explain", ADMIN_RIGHT_READ, admin_explain },
	{ CALL(TEST_POLICY), "test-policy", ADMIN_RIGHT_READ, admin_test_policy },
	{ CALL(SHOW_ROLES), "show-roles", ADMIN_RIGHT_STATUS, admin_show_roles },
	{ CALL(LIST_CERTIFICATES), "list-certificates", ADMIN_RIGHT_READ, admin_list_certificates },
	{ CALL(GET_STATUS), "status", ADMIN_RIGHT_STATUS, admin_get_status },
	{ CALL(SHOW_CA), "show-ca", ADMIN_RIGHT_READ, admin_show_ca },
	{ CALL(LIST_SECTIONS), "list-sections", ADMIN_RIGHT_READ, admin_list_sections },
	{ CALL(INIT_CA), "init-ca", ADMIN_RIGHT_ADMINISTER, admin_init_ca },
	{ CALL(IMPORT_CA), "import-ca", ADMIN_RIGHT_ADMINISTER, admin_import_ca },
	{ CALL(ROLLOVER_CA), "rollover-ca", ADMIN_RIGHT_ADMINISTER, admin_rollover_ca },
	{ CALL(CREATE_CREDENTIAL), "create-credential", ADMIN_RIGHT_ADMINISTER, admin_create_credential },
	{ CALL(REVOKE_CREDENTIAL), "revoke-credential", ADMIN_RIGHT_ADMINISTER, admin_revoke_credential },
	{ CALL(SET_PASSWORD), "set-password", ADMIN_RIGHT_ADMINISTER, admin_set_password },
	{ CALL(LIST_CREDENTIALS), "list-credentials", ADMIN_RIGHT_READ, admin_list_credentials },
	{ CALL(LIST_AUDIT), "list-audit", ADMIN_RIGHT_AUDIT, admin_list_audit },
	{ CALL(VERIFY_AUDIT), "verify-audit", ADMIN_RIGHT_AUDIT, admin_verify_audit },
	{ CALL(VERIFY_ANCHOR), "verify-anchor", ADMIN_RIGHT_AUDIT, admin_verify_anchor },
	{ CALL(BEGIN_BACKUP), "backup", ADMIN_RIGHT_OPERATE, admin_begin_backup },
	{ CALL(READ_BACKUP), "read-backup", ADMIN_RIGHT_OPERATE, admin_read_backup },
	{ CALL(ACCEPT_CLOCK), "accept-clock", ADMIN_RIGHT_ADMINISTER, admin_accept_clock },
	{ 0 },
};

void admin_say(const struct admin_ask *a, int outcome, const char *reason)
{
	a->reply->outcome = (uint32_t)outcome;
	a->reply->reason = (char *)reason;
}

void admin_failed(const struct admin_ask *a, int e)
{
	a->reply->outcome = (uint32_t)(FAILURE - e);
}

void admin_decided(const struct admin_ask *a, int e, const struct ca_outcome *out, int64_t id)
{
	const char *reason = arena_strdup(a->arena, out->reason);

	admin_say(a, e < 0 ? FAILURE - e : e, reason ? reason : "");
	(void)store_view_request(a->core, id, a->arena, &a->reply->decided);
}

void admin_list(const struct admin_ask *a, const struct list_query *q)
{
	struct list_query now = *q;
	char why[FILTER_WHY_SIZE] = "";
	const char *reason;
	int e;

	now.now_s = clock_wall_s();
	e = store_list(a->core, &now, a->arena, a->reply, why);
	if (e < 0) {
		admin_failed(a, e);
	} else if (e) {
		reason = arena_strdup(a->arena, why);
		admin_say(a, CA_ADMIN_INVALID, reason ? reason : "the filter cannot be read");
	}
}

static void refuse(const struct admin_ask *a, const struct admin_call_row *row)
{
	const char *why = arena_printf(a->arena,
				       "this user has no role that allows it: `%s` is for %s; see core: "
				       "administrators, officers, auditors, operators",
				       row->action, admin_right_holder(row->right));

	admin_say(a, CA_ADMIN_NOT_PERMITTED, why ? why : "this user has no role that allows it");
}

void admin_call(struct ca_core *core, const struct ca_admin_caller *who, const Gatehouse__Admin__Call *call,
		struct arena *arena, Gatehouse__Admin__Reply *reply)
{
	const struct admin_ask a = { core, who, call, arena, reply };

	gatehouse__admin__reply__init(reply);
	for (const struct admin_call_row *row = admin_calls; row->answer; row++) {
		if (row->what != call->what_case)
			continue;
		if (admin_has_right(who, row->right))
			row->answer(&a);
		else
			refuse(&a, row);
		return;
	}
	admin_say(&a, CA_ADMIN_INVALID, "this core does not know that call");
}

static void *take_memory(void *arena, size_t n)
{
	return arena_alloc(arena, n);
}

static void leave_memory(void *arena, void *memory)
{
}

int admin_answer(struct ca_core *core, const struct ca_admin_caller *who, struct bytes message, struct arena *arena,
		 Gatehouse__Admin__Reply *reply)
{
	/* The arena overwrites what it held: a Call may bring a password. */
	ProtobufCAllocator allocator = { take_memory, leave_memory, arena };
	const Gatehouse__Admin__Call *call = gatehouse__admin__call__unpack(&allocator, message.len, message.ptr);

	if (!call)
		return -EBADMSG;
	if (message_text_is_good(&gatehouse__admin__call__descriptor, message)) {
		admin_call(core, who, call, arena, reply);
	} else {
		gatehouse__admin__reply__init(reply);
		reply->outcome = CA_ADMIN_INVALID;
		reply->reason = (char *)"a text of this call is not UTF-8; give it as UTF-8";
	}
	return 0;
}
