/* The core's rows. All SQL of the core stands in store*.c.
 *
 * Functions named `store_…` block until what they wrote is durable, or answer from one snapshot.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "core/audit.h"
#include "core/core_int.h"
#include "core/store_keys.h"

int store_open(struct ca_core *core, unsigned commit_delay_ms, char *why, size_t why_size);

/* What the store knows about a submission before it is decided. */
struct store_precedent {
	enum {
		PRECEDENT_NONE,    /* new */
		PRECEDENT_SAME,    /* the same transaction: answer from row `id` */
		PRECEDENT_PENDING, /* another request for the same names waits: row `id`, retry_after_s */
		PRECEDENT_DENIED,  /* denied not long ago: answer from row `id` */
	} kind;
	int64_t id;
	unsigned retry_after_s;
	unsigned n_pending;        /* of this requester */
};

/* Fills `p`, and in `r`: is_renewal, and grant_id with its approvals when a grant matches. */
int store_find_precedent(struct ca_core *core, struct ca_request *r, struct store_precedent *p);

/* core/store_poll.c: the newest request of this poll key at this endpoint. 0; CA_CALL_NOT_FOUND. */
int store_find_polled(struct ca_core *core, const char *endpoint, const uint8_t *poll_key, int64_t *id);

/* core/store_probe.c: as far as is known; when the last row could not be written it is tried again. */
bool store_can_write(struct ca_core *core);

/* Read a request whole. 0; CA_CALL_NOT_FOUND. */
int store_load(struct ca_core *core, int64_t id, struct ca_request **out);

/* Positive outcomes of the writing functions. */
enum {
	STORE_CHANGED = 11,   /* the row is no longer as it was read (or the state forbids it): nothing was written */
	STORE_SPENT = 13,     /* its credential was used up by somebody faster: nothing was written */
	STORE_BLOCKED = 14,   /* its key was revoked as compromised meanwhile: nothing was written */
	STORE_FULL = 15,      /* as many wait as may: nothing was written */
	STORE_DUPLICATE = 12, /* another row has this transaction key, these names pending, or this serial */
};

/* What one write changes, besides the row itself. */
struct store_change {
	struct ca_request *r;          /* the row as it shall stand; `state` is the new state */
	bool insert;                   /* a new row; else an update of the row with r->version in state `from` */
	enum ca_state from;
	enum ca_action action;         /* what happened, counted once it is durable */
	bool rewrite_rows;             /* attributes and extensions are written again */
	bool rewrite_names;            /* and the names */
	int64_t key_until_ms; /* how long the transaction key is held; 0: released; INT64_MAX: while it lives */
	int64_t supersedes;   /* this PENDING row becomes DENIED (superseded) in the same transaction; 0: none */
	bool spend_grant;              /* r->grant_id */
	const char *approved_by;       /* add an approval by this officer for `approved_rule` and r->digest */
	const char *approved_rule;
	int64_t grant_until_ms;        /* with ISSUED: write a grant that ends then; 0: none */
};

/* Write the names of a request that has none in the store. Inside a transaction only. */
int store_write_names(struct db_conn *conn, const struct ca_request *r);

/* A note of an officer. 0 or negative. And inside a transaction: those of `from` for `to`, which takes its place. */
int store_add_note(struct ca_core *core, int64_t id, const char *actor, const char *text, int64_t at_ms);
int store_carry_notes(struct db_conn *conn, int64_t from, int64_t to);

/* Write the audit records of the change: one for each transition that it makes. Inside its transaction only. */
int store_audit_change(struct db_conn *conn, const struct store_change *change, int64_t now_ms);

/* Write one record in a transaction of its own: an act that changes no other row. */
int store_audit(struct ca_core *core, const struct audit_record *r);

/* Apply the change, its timeline lines (r->lines) and its exit events (r->events, for the modules of `ca` that asked)
 * in one transaction. On 0, r->version is the new one and lines and events are written off. */
int store_apply(struct ca *ca, const struct store_change *change);

/* A request that was issued is collected by its requester: remember when, void its grant, tell the modules.
 * STORE_CHANGED: it was revoked meanwhile. */
int store_collected(struct ca *ca, struct ca_request *r);

/* Approvals of the row as it stands, for all rules, into r->approvals. */
int store_load_approvals(struct ca_core *core, struct ca_request *r);

/* Is there a certificate for these names, requester and profile that is valid at `now_s`? */
int store_is_renewal(struct ca_core *core, const struct ca_request *r, int64_t now_s, bool *answer);

/* Rows that were left ACTIVE with a TBS; PENDING rows submitted before `before_ms`. Ids greater than `after`, at most
 * `max`. */
int store_list_unfinished(struct ca_core *core, int64_t after, int64_t *ids, size_t max, size_t *n);
int store_list_expired(struct ca_core *core, int64_t before_ms, int64_t after, int64_t *ids, size_t max, size_t *n);

/* The same of what is held for one requester. */
int store_list_held(struct ca_core *core, const char *endpoint, const char *requester, int64_t after, int64_t *ids,
		    size_t max, size_t *n);

extern const char *const store_migrations[];
#define STORE_APPLICATION_ID 0x47484341 /* "GHCA" */

/* ---- outbox ---- */

struct outbox_row {
	int64_t id;
	char module[72];
	char ca[128];
	enum ca_event event;
	int64_t request_id; /* 0: about the CA */
	int64_t about;      /* the reason of a revocation, the number of a CRL */
	unsigned attempts;
};
/* Up to `max` events that are due at `now_ms`, oldest first; later events of a request to a module are not due while
 * an earlier one waits. */
int store_due_events(struct ca_core *core, int64_t now_ms, struct outbox_row *rows, size_t max, size_t *n);
/* Delivered: remove it and write the two timeline lines. */
int store_event_done(struct ca_core *core, const struct outbox_row *row, int64_t at_ms, const char *notify_line,
		     const char *inspect_line);
/* Not delivered: try again at `next_ms`, or set it aside (`next_ms` 0). */
int store_event_failed(struct ca_core *core, const struct outbox_row *row, int64_t at_ms, int64_t next_ms,
		       const char *line);

struct store_counts {
	int64_t pending, oldest_pending_ms, active, outbox_waiting, outbox_set_aside, certificates;
};
int store_count(struct ca_core *core, struct store_counts *out);

/* Release the transaction keys of what policy denied before: after a start the rules may be others. */
int store_release_denied(struct ca_core *core);

/* The largest request number in use; 0 for none. */
int store_last_id(struct ca_core *core, int64_t *id); /* that was ever given; 0: none */
