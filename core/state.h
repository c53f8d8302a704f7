/* The states of a request and what may lead from one to the next: one table, the documented one.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "core/submit.h"

/* What can happen to a request. The comment names the documented transition. */
enum ca_action {
	CA_ACTION_NONE = 0,   /* nothing of the list below: a step on the way to one */
	CA_ACTION_RECEIVE,    /* T2  a submission became a row */
	CA_ACTION_REJECT,     /* T1  it could not be read */
	CA_ACTION_ISSUE,      /* T3  policy said issue, signed */
	CA_ACTION_PEND,       /* T4  policy said pend */
	CA_ACTION_DENY,       /* T5  policy said deny */
	CA_ACTION_FAIL,       /* T6  policy, build or signer failed */
	CA_ACTION_SET_ATTRIBUTES, /* T7 */
	CA_ACTION_SET_EXTENSION,  /* T8 */
	CA_ACTION_EDIT,       /* an officer changes names or shortens the validity */
	CA_ACTION_ADMIN_DENY, /* T9 */
	CA_ACTION_RESUBMIT,   /* T10 an officer asks policy again */
	CA_ACTION_RETURN,     /* a resubmission that came to no answer goes back to the queue */
	CA_ACTION_READY,      /* approved, and its key is made when its client asks next */
	CA_ACTION_SUPERSEDE,  /* a newer request for the same names took its place */
	CA_ACTION_EXPIRE,     /* T22 */
	CA_ACTION_WITHDRAW,   /* its requester is no more */
	CA_ACTION_REVOKE,     /* T13, T15 */
	CA_ACTION_HOLD,       /* T13 with reason certificateHold */
	CA_ACTION_RELEASE,    /* T14: only from hold */
	CA_ACTION_IMPORT,     /* T16 of one of our own, T17 */
	CA_ACTION_IMPORT_FOREIGN, /* T16 of another issuer's */
	CA_ACTION_PURGE,      /* T20: the row is gone */
	CA_ACTION_PUBLISH,    /* T21: about a CA, not about a request */
	CA_ACTION_COUNT_
};

/* 0 with the next state; -EPERM when the action is not legal in `from` (nothing is ever legal that has no row).
 * `from` 0 stands for "no row yet". */
int ca_state_next(enum ca_state from, enum ca_action action, enum ca_state *next);

const char *ca_action_word(enum ca_action action);

enum ca_disposition ca_state_disposition(enum ca_state state);
