/* A whole core for a test: a folder of its own, a CA made for it, one door.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "core/admin.h"
#include "core/core_int.h"
#include "core/registry.h"

#define RIG_CA "CA1"
#define RIG_ENDPOINT "acme"
#define RIG_PROFILE "server"
#define RIG_INTERMEDIARY "test"

/* Fragments of YAML flow style that go into the configuration; NULL: what a plain test needs. */
struct rig_settings {
	const char *policy;    /* "{module: p}" */
	const char *exits;     /* "[{module: e1}, {module: e2}]" */
	const char *core;      /* "pending-ttl: 1d" */
	const char *profile;   /* "extensions: [1.2.3.4]" */
	const char *endpoints; /* "{name: other, ca: CA1, profile: server}" */
	const char *profiles;  /* "{name: other}": besides RIG_PROFILE */
	const char *cas;       /* "{name: CA2}": another CA, made by the test */
	const char *ca;        /* "crl: {partitions: 3}" */
	const char *ca_key;    /* type of the CA's key */
	bool over_link;        /* the door leads over a connection, as to a core in another process */
};

struct rig {
	char folder[64];
	char trace[96];
	struct rig_settings settings;
	const struct ca_core_env *env; /* NULL: all in this process */
	struct buf ca_certificate;
	struct conf *conf;
	struct ca_core *core;
	struct ca_door *door;
	bool was_written; /* rows are others than the core left them */
};

/* Make the folder and the CA. Aborts the process when the machine cannot: no test can go on then. */
void rig_init(struct rig *r, const struct rig_settings *settings);

/* Start the core on the folder and find the CA. 0; otherwise what failed stands in `error`. */
int rig_start(struct rig *r, struct conf_error *error);
void rig_stop(struct rig *r);

/* Stop, and remove the folder. */
void rig_fini(struct rig *r);

/* A transaction key from text. */
void rig_key(const char *text, uint8_t key[static CA_TRANSACTION_KEY_SIZE]);

/* What stands before the CA's name in a config string for this rig. */
const char *rig_address(const struct rig *r);

/* Submit for DNS names with a request made for them. `key` names the transaction. */
int rig_submit(struct ca_door *door, const char *requester, const char *name, const char *key,
	       struct ca_outcome *out);

/* One number from core.db, read by a connection of its own; -1 when there is no row. */
int64_t rig_number(const struct rig *r, const char *sql);

/* Run SQL that changes core.db behind the core's back, for states that no step reaches. False when SQLite refused. */
bool rig_write(struct rig *r, const char *sql);

/* Keep core.db for another writer, so that the core cannot write; until it is given back. */
struct sqlite3 *rig_lock(const struct rig *r);
void rig_unlock(struct sqlite3 *lock);

/* Hold the audit trail against the rows, and the trace against the state table with the program `checker`
 * (check_trace.py; NULL: without that). False when one breaks a rule; which was printed. */
bool rig_check_trace(const struct rig *r, const char *checker);

/* Run the exit thread until nothing is due, and the finisher once. */
void rig_settle(struct rig *r);
void rig_finish_interrupted(struct rig *r);
