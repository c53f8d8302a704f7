/* What the files of the administrator's calls share: core/admin_call.c has the table, core/admin_*.c the functions by
 * area.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "core/admin_call.h"
#include "core/admin_rights.h"
#include "core/core_int.h"
#include "core/store_list.h"

/* One call under way. */
struct admin_ask {
	struct ca_core *core;
	const struct ca_admin_caller *who;
	const Gatehouse__Admin__Call *call;
	struct arena *arena;             /* what the reply points to */
	Gatehouse__Admin__Reply *reply;  /* fresh; its outcome is 0 */
};

/* Answer with an outcome and a sentence that lives longer than the reply. */
void admin_say(const struct admin_ask *a, int outcome, const char *reason);

/* Answer with a failure inside the core: a negative errno. */
void admin_failed(const struct admin_ask *a, int e);

/* Answer with what a function of core/admin.h returned (`e`), its reason, and the request as it stands now. */
void admin_decided(const struct admin_ask *a, int e, const struct ca_outcome *out, int64_t id);

/* Answer with a page of a list. */
void admin_list(const struct admin_ask *a, const struct list_query *q);

typedef void admin_call_fn(const struct admin_ask *a);

/* One row a call. */
struct admin_call_row {
	Gatehouse__Admin__Call__WhatCase what;
	const char *action; /* its word: what logs, audit records and tests call it */
	enum admin_right right;
	admin_call_fn *answer;
};
extern const struct admin_call_row admin_calls[]; /* ends with a row without `answer` */

/* core/admin_requests.c */
admin_call_fn admin_list_requests, admin_show_request, admin_approve, admin_resubmit, admin_deny, admin_edit,
	admin_add_note;

/* core/admin_watch.c */
admin_call_fn admin_watch;

/* core/admin_policy.c */
admin_call_fn admin_explain, admin_test_policy;

/* core/admin_certificates.c */
admin_call_fn admin_list_certificates;

/* core/admin_revocation.c */
admin_call_fn admin_revoke, admin_hold, admin_release, admin_publish_crl, admin_list_crls, admin_import,
	admin_purge, admin_cert_status;

/* core/admin_credentials.c */
admin_call_fn admin_create_credential, admin_revoke_credential, admin_set_password, admin_list_credentials;

/* core/admin_status.c */
admin_call_fn admin_get_status, admin_show_roles;

/* core/admin_ca.c */
admin_call_fn admin_show_ca, admin_init_ca, admin_import_ca, admin_rollover_ca;

/* core/admin_sections.c */
admin_call_fn admin_list_sections;

/* core/admin_audit.c */
admin_call_fn admin_list_audit, admin_verify_audit, admin_verify_anchor, admin_accept_clock, admin_begin_backup,
	admin_read_backup;
