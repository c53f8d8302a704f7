/* Trace test 45: every call of the administrator's door against every role. A call that has no row here fails.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "core/admin_int.h"

#include "core/base/log.h"
#include "tests/scenarios/rig.h"
#include "tests/test.h"

#define O CA_ROLE_OFFICER
#define A CA_ROLE_ADMINISTRATOR

/* nobody, auditor, officer, administrator, operator, administrator and officer */
static const unsigned columns[] = { 0, CA_ROLE_AUDITOR, O, A, CA_ROLE_OPERATOR, A | O };

#define LOOKS "-yyy-y"
#define DECIDES "--y--y"
#define EVERYBODY "-yyyyy"
#define ADMINISTERS "---y-y"
#define PURGES "-----y"
#define OPERATES "----y-"
#define AUDITS "-y----"

static const struct {
	const char *action, *who;
} matrix[] = {
	{ "list-requests", LOOKS },
	{ "show-request", LOOKS },
	{ "watch", LOOKS },
	{ "explain", LOOKS },
	{ "test-policy", LOOKS },
	{ "list-certificates", LOOKS },
	{ "show-ca", LOOKS },
	{ "list-sections", LOOKS },
	{ "status", EVERYBODY },
	{ "show-roles", EVERYBODY },
	{ "approve", DECIDES },
	{ "resubmit", DECIDES },
	{ "deny", DECIDES },
	{ "edit", DECIDES },
	{ "note", DECIDES },
	{ "revoke", DECIDES },
	{ "hold", DECIDES },
	{ "release", DECIDES },
	{ "list-crls", LOOKS },
	{ "cert-status", LOOKS },
	{ "import", DECIDES },
	{ "purge", PURGES },
	{ "init-ca", ADMINISTERS },
	{ "import-ca", ADMINISTERS },
	{ "rollover-ca", ADMINISTERS },
	{ "create-credential", ADMINISTERS },
	{ "revoke-credential", ADMINISTERS },
	{ "set-password", ADMINISTERS },
	{ "list-credentials", LOOKS },
	{ "list-audit", AUDITS },
	{ "verify-audit", AUDITS },
	{ "verify-anchor", AUDITS },
	{ "backup", OPERATES },
	{ "read-backup", OPERATES },
	{ "accept-clock", ADMINISTERS },
	{ "publish-crl", ADMINISTERS },
};

/* The rights themselves, also those that no call needs yet. */
static const char *const by_right[ADMIN_RIGHT_COUNT_] = {
	[ADMIN_RIGHT_STATUS] = EVERYBODY, [ADMIN_RIGHT_READ] = LOOKS,	    [ADMIN_RIGHT_DECIDE] = DECIDES,
	[ADMIN_RIGHT_ADMINISTER] = ADMINISTERS, [ADMIN_RIGHT_PURGE] = PURGES, [ADMIN_RIGHT_OPERATE] = OPERATES,
	[ADMIN_RIGHT_AUDIT] = AUDITS,
};

static const char *expected_of(const char *action)
{
	for (size_t i = 0; i < sizeof(matrix) / sizeof(*matrix); i++)
		if (strcmp(matrix[i].action, action) == 0)
			return matrix[i].who;
	fail_msg("the call '%s' has no row in the matrix of roles: who may make it?", action);
	return NULL;
}

static struct rig rig;

static int begin(void **state)
{
	struct conf_error error = { 0 };
	OWNED_CA_OUTCOME out = CA_OUTCOME_INIT;

	rig_init(&rig, &(struct rig_settings){ .policy = "{module: manual}", .exits = "[]" });
	if (rig_start(&rig, &error) || rig_submit(rig.door, "acme:1", "a.example", "a", &out))
		return -1;
	return out.id == 1 && out.disposition == CA_UNDER_SUBMISSION ? 0 : -1;
}

static int end(void **state)
{
	rig_fini(&rig);
	return 0;
}

/* The outcome of a call whose message is empty but for the number of the request. */
static unsigned call(const struct admin_call_row *row, const struct ca_admin_caller *who)
{
	const ProtobufCFieldDescriptor *field =
		protobuf_c_message_descriptor_get_field(&gatehouse__admin__call__descriptor, (unsigned)row->what);
	const ProtobufCMessageDescriptor *message = field->descriptor;
	const ProtobufCFieldDescriptor *id = protobuf_c_message_descriptor_get_field_by_name(message, "id");
	Gatehouse__Admin__Call asked = GATEHOUSE__ADMIN__CALL__INIT;
	Gatehouse__Admin__Reply reply;
	struct arena *arena;
	unsigned outcome;
	void *q;

	assert_int_equal(arena_new(&arena, 16u << 20), 0);
	q = arena_alloc(arena, message->sizeof_message);
	assert_non_null(q);
	protobuf_c_message_init(message, q);
	if (id && id->type == PROTOBUF_C_TYPE_INT64)
		*(int64_t *)((char *)q + id->offset) = 1;
	asked.what_case = row->what;
	asked.show_request = q; /* a union of pointers */
	admin_call(rig.core, who, &asked, arena, &reply);
	outcome = reply.outcome;
	assert_true(outcome == 0 || reply.reason[0]);
	arena_drop(&arena);
	return outcome;
}

static void every_call_is_for_whom_the_matrix_says(void **state)
{
	size_t n = 0;

	for (const struct admin_call_row *row = admin_calls; row->answer; row++, n++) {
		const char *expected = expected_of(row->action);

		for (size_t c = 0; c < sizeof(columns) / sizeof(*columns); c++) {
			struct ca_admin_caller who = { .name = "unix:x", .roles = columns[c] };
			bool may = expected[c] == 'y';

			if (admin_has_right(&who, row->right) != may)
				fail_msg("'%s' and the roles %u: %s", row->action, columns[c],
					 may ? "refused" : "allowed");
			/* Who may not is told so, and nothing happens. */
			if (!may && call(row, &who) != CA_ADMIN_NOT_PERMITTED)
				fail_msg("'%s' is answered to the roles %u", row->action, columns[c]);
		}
	}
	assert_int_equal(n, sizeof(matrix) / sizeof(*matrix));
	assert_int_equal(rig_number(&rig, "SELECT count(*) FROM requests WHERE state=9 AND version=1"), 1);
}

static void every_right_is_for_whom_the_documented_roles_say(void **state)
{
	for (int right = 0; right < ADMIN_RIGHT_COUNT_; right++)
		for (size_t c = 0; c < sizeof(columns) / sizeof(*columns); c++) {
			struct ca_admin_caller who = { .name = "unix:x", .roles = columns[c] };

			assert_int_equal(admin_has_right(&who, (enum admin_right)right), by_right[right][c] == 'y');
		}
}

/* A decision about another version of the row than the one that is there. */
static void who_was_shown_another_version_decides_nothing(void **state)
{
	struct ca_admin_caller officer = { .name = "unix:x", .roles = O, .seen = 2 };
	OWNED_CA_OUTCOME out = CA_OUTCOME_INIT;

	assert_int_equal(ca_admin_deny(rig.core, &officer, 1, "", &out), CA_ADMIN_CHANGED);
	assert_int_equal(ca_admin_resubmit(rig.core, &officer, 1, &out), CA_ADMIN_CHANGED);
	assert_int_equal(ca_admin_approve(rig.core, &officer, 1, NULL, 0, &out), CA_ADMIN_CHANGED);
	assert_int_equal(rig_number(&rig, "SELECT count(*) FROM requests WHERE state=9 AND version=1"), 1);
}

/* An officer without a row for this profile decides about none of its requests, whatever the call. */
static void a_limited_officer_is_told_that_he_is_restricted(void **state)
{
	static const struct ca_admin_caller limited = { .name = "unix:x", .roles = O, .is_limited = true };
	static const struct ca_admin_caller requester = { .name = "acme:1", .roles = O };
	/* Certificates that there are none of: whom they belong to is not known. */
	static const char *const of_certificates[] = { "revoke", "hold", "release", "import" };
	size_t n = 0;

	for (const struct admin_call_row *row = admin_calls; row->answer; row++) {
		bool is_of_certificate = false;

		for (size_t i = 0; i < sizeof(of_certificates) / sizeof(*of_certificates); i++)
			is_of_certificate |= strcmp(of_certificates[i], row->action) == 0;
		if (row->right != ADMIN_RIGHT_DECIDE || is_of_certificate || strcmp(row->action, "note") == 0)
			continue;
		n++;
		if (call(row, &limited) != CA_ADMIN_RESTRICTED)
			fail_msg("'%s' is not restricted", row->action);
		if (call(row, &requester) != CA_ADMIN_NOT_PERMITTED)
			fail_msg("'%s' is allowed to the requester himself", row->action);
	}
	assert_true(n >= 4);
	assert_int_equal(rig_number(&rig, "SELECT count(*) FROM requests WHERE state=9 AND version=1"), 1);
}

static void swallow(void *arg, const char *line)
{
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_call_is_for_whom_the_matrix_says),
		cmocka_unit_test(every_right_is_for_whom_the_documented_roles_say),
		cmocka_unit_test(who_was_shown_another_version_decides_nothing),
		cmocka_unit_test(a_limited_officer_is_told_that_he_is_restricted),
	};

	log_capture(swallow, NULL);
	return cmocka_run_group_tests(tests, begin, end);
}
