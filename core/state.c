/* The state table.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "core/state.h"

#include <errno.h>

#include "core/exit.h"

#define NONE 0

/* After a crash: a row without a stored to-be-signed part was never acknowledged as more than it says, so PENDING and
 * the terminal states are simply true; ACTIVE with a to-be-signed part is finished by signing the same octets. */
static const struct {
	int from;
	enum ca_action action;
	enum ca_state next;
} transitions[] = {
	{ NONE, CA_ACTION_RECEIVE, CA_STATE_ACTIVE },
	{ CA_STATE_ACTIVE, CA_ACTION_REJECT, CA_STATE_ERROR },
	{ CA_STATE_ACTIVE, CA_ACTION_ISSUE, CA_STATE_ISSUED },
	{ CA_STATE_ACTIVE, CA_ACTION_PEND, CA_STATE_PENDING },
	{ CA_STATE_ACTIVE, CA_ACTION_DENY, CA_STATE_DENIED },
	{ CA_STATE_ACTIVE, CA_ACTION_FAIL, CA_STATE_ERROR },
	{ CA_STATE_ACTIVE, CA_ACTION_RETURN, CA_STATE_PENDING },
	{ CA_STATE_ACTIVE, CA_ACTION_READY, CA_STATE_PENDING },
	{ CA_STATE_PENDING, CA_ACTION_SET_ATTRIBUTES, CA_STATE_PENDING },
	{ CA_STATE_PENDING, CA_ACTION_SET_EXTENSION, CA_STATE_PENDING },
	{ CA_STATE_PENDING, CA_ACTION_EDIT, CA_STATE_PENDING },
	{ CA_STATE_PENDING, CA_ACTION_ADMIN_DENY, CA_STATE_DENIED },
	{ CA_STATE_PENDING, CA_ACTION_RESUBMIT, CA_STATE_ACTIVE },
	{ CA_STATE_PENDING, CA_ACTION_SUPERSEDE, CA_STATE_DENIED },
	{ CA_STATE_PENDING, CA_ACTION_EXPIRE, CA_STATE_DENIED },
	{ CA_STATE_PENDING, CA_ACTION_WITHDRAW, CA_STATE_DENIED },
	{ CA_STATE_ISSUED, CA_ACTION_REVOKE, CA_STATE_REVOKED },
	{ CA_STATE_ISSUED, CA_ACTION_HOLD, CA_STATE_REVOKED },
	{ CA_STATE_REVOKED, CA_ACTION_REVOKE, CA_STATE_REVOKED },
	{ CA_STATE_REVOKED, CA_ACTION_RELEASE, CA_STATE_ISSUED },
	{ NONE, CA_ACTION_IMPORT, CA_STATE_ISSUED },
	{ NONE, CA_ACTION_IMPORT_FOREIGN, CA_STATE_FOREIGN },
	{ CA_STATE_PENDING, CA_ACTION_IMPORT, CA_STATE_ISSUED },
};

int ca_state_next(enum ca_state from, enum ca_action action, enum ca_state *next)
{
	for (size_t i = 0; i < sizeof(transitions) / sizeof(*transitions); i++) {
		if (transitions[i].from == (int)from && transitions[i].action == action) {
			*next = transitions[i].next;
			return 0;
		}
	}
	return -EPERM;
}

const char *ca_action_word(enum ca_action action)
{
	static const char *const words[CA_ACTION_COUNT_] = {
		[CA_ACTION_NONE] = "none",
		[CA_ACTION_RECEIVE] = "receive",
		[CA_ACTION_REJECT] = "reject",
		[CA_ACTION_ISSUE] = "issue",
		[CA_ACTION_PEND] = "pend",
		[CA_ACTION_DENY] = "deny",
		[CA_ACTION_FAIL] = "fail",
		[CA_ACTION_SET_ATTRIBUTES] = "set-attributes",
		[CA_ACTION_SET_EXTENSION] = "set-extension",
		[CA_ACTION_EDIT] = "edit",
		[CA_ACTION_ADMIN_DENY] = "admin-deny",
		[CA_ACTION_RESUBMIT] = "resubmit",
		[CA_ACTION_RETURN] = "return",
		[CA_ACTION_READY] = "ready",
		[CA_ACTION_SUPERSEDE] = "supersede",
		[CA_ACTION_EXPIRE] = "expire",
		[CA_ACTION_WITHDRAW] = "withdraw",
		[CA_ACTION_REVOKE] = "revoke",
		[CA_ACTION_HOLD] = "hold",
		[CA_ACTION_RELEASE] = "release",
		[CA_ACTION_IMPORT] = "import",
		[CA_ACTION_IMPORT_FOREIGN] = "import-foreign",
		[CA_ACTION_PURGE] = "purge",
		[CA_ACTION_PUBLISH] = "publish",
	};

	return action < CA_ACTION_COUNT_ ? words[action] : "?";
}

enum ca_disposition ca_state_disposition(enum ca_state state)
{
	switch (state) {
	case CA_STATE_ISSUED:
		return CA_ISSUED;
	case CA_STATE_PENDING:
		return CA_UNDER_SUBMISSION;
	case CA_STATE_DENIED:
		return CA_DENIED;
	case CA_STATE_REVOKED:
		return CA_REVOKED;
	case CA_STATE_ERROR:
		return CA_ERROR;
	case CA_STATE_ACTIVE:
	case CA_STATE_FOREIGN:
		break;
	}
	return CA_INCOMPLETE;
}

const char *ca_state_word(enum ca_state state)
{
	switch (state) {
	case CA_STATE_ACTIVE:
		return "active";
	case CA_STATE_PENDING:
		return "pending";
	case CA_STATE_FOREIGN:
		return "foreign";
	case CA_STATE_ISSUED:
		return "issued";
	case CA_STATE_REVOKED:
		return "revoked";
	case CA_STATE_ERROR:
		return "error";
	case CA_STATE_DENIED:
		return "denied";
	}
	return "?";
}

const char *ca_status_word(enum ca_status status)
{
	static const char *const words[] = {
		[CA_STATUS_NONE] = "",
		[CA_STATUS_BAD_REQUEST] = "bad-request",
		[CA_STATUS_BAD_SIGNATURE] = "bad-signature",
		[CA_STATUS_BAD_KEY] = "bad-key",
		[CA_STATUS_BAD_NAME] = "bad-name",
		[CA_STATUS_POLICY_DENIED] = "policy-denied",
		[CA_STATUS_ADMIN_DENIED] = "admin-denied",
		[CA_STATUS_EXPIRED] = "expired",
		[CA_STATUS_SUPERSEDED] = "superseded",
		[CA_STATUS_POLICY_FAILURE] = "policy-failure",
		[CA_STATUS_SIGNER_FAILURE] = "signer-failure",
		[CA_STATUS_BUILD_FAILURE] = "build-failure",
		[CA_STATUS_WITHDRAWN] = "withdrawn",
	};

	return status < sizeof(words) / sizeof(*words) ? words[status] : "?";
}

const char *ca_name_kind_word(enum ca_name_kind kind)
{
	static const char *const words[] = { "?", "dns", "ip", "email", "uri", "upn" };

	return kind < sizeof(words) / sizeof(*words) ? words[kind] : "?";
}

const char *ca_trust_word(enum ca_trust trust)
{
	static const char *const words[] = { "none", "own", "vendor", "ra" };

	return trust < sizeof(words) / sizeof(*words) ? words[trust] : "?";
}

const char *ca_event_word(enum ca_event event)
{
	switch (event) {
	case CA_EVENT_ISSUED:
		return "issued";
	case CA_EVENT_PENDING:
		return "pending";
	case CA_EVENT_DENIED:
		return "denied";
	case CA_EVENT_REVOKED:
		return "revoked";
	case CA_EVENT_RETRIEVED:
		return "retrieved";
	case CA_EVENT_CRL_ISSUED:
		return "crl-issued";
	case CA_EVENT_SHUTDOWN:
		return "shutdown";
	case CA_EVENT_STARTUP:
		return "startup";
	case CA_EVENT_IMPORTED:
		return "imported";
	}
	return "?";
}
