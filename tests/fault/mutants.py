"""Builds that are broken on purpose: the harness must find each of them, or it proves nothing.

A mutant is a row: its name, what it breaks, the edits (file, what stands there, what stands there instead), the rounds
that bring it out, and what the finding says. Each old text must stand in its file exactly once; when the source has
moved on, the test fails and says which row to write anew.
"""
import collections

from harness import Fault

Mutant = collections.namedtuple("Mutant", "name breaks edits rounds finding")


def power_loss(flow, ats, **only):
    return [(flow, Fault(at, "kill-after", is_power_loss=True, **only)) for at in ats]


def kills(flow, ats, action="kill-after", **only):
    return [(flow, Fault(at, action, **only)) for at in ats]


def undisturbed(flow):
    return [(flow, Fault())]


# A store that lost what was acknowledged is found by whoever looks first: the checker, or a client that goes on.
LOST = "lost:|not told again|the daemon answers (404|500)|accountDoesNotExist"

RESULT_BEFORE_COMMIT = """	if (!first->next%s) {
		struct db_conn *conn = db->writer.conn;

		if (!db_conn_begin(conn, "BEGIN IMMEDIATE")) {
			if (!db_conn_call(conn, first->fn, first->arg)) {
				first->result = 0;
				sem_post(&first->done);
				(void)sqlite3_sleep(500);
				(void)db_conn_commit(conn);
				return;
			}
			db_conn_rollback(conn);
		}
	}
	if (!first->next) {
		run_alone(db, first);
"""

# What comes behind the function that applies a change.
OUTCOME = "/* DB_CONFLICT and STORE_CHANGED come out of the same call; here they are told apart. */\n"

MUTANTS = [
    Mutant(
        "sync-off", "a commit is written and not synced",
        [("core/base/db_conn.c", '"PRAGMA synchronous=FULL"', '"PRAGMA synchronous=OFF"'),
         ("core/base/db.c", "if (synchronous != 2 || foreign_keys != 1)", "if (foreign_keys != 1)")],
        power_loss("issue", range(10, 30, 5), calls="send", kind="gateway"), LOST),
    Mutant(
        "sync-normal", "a commit is synced when the log is copied, not before",
        [("core/base/db_conn.c", '"PRAGMA synchronous=FULL"', '"PRAGMA synchronous=NORMAL"'),
         ("core/base/db.c", "if (synchronous != 2 || foreign_keys != 1)", "if (foreign_keys != 1)")],
        power_loss("issue", range(10, 30, 5), calls="send", kind="gateway"), LOST),
    Mutant(
        "result-before-commit", "the core's answers leave before the COMMIT of what they say",
        [("core/base/db_writer.c", "	if (!first->next) {\n		run_alone(db, first);\n",
          RESULT_BEFORE_COMMIT % ' && strstr(db->path, "core.db")')],
        power_loss("hold", range(5, 40), calls="send", kind="gateway"),
        "lost:|recover-state|row-once"),
    Mutant(
        "order-before-commit", "the gateway's answers leave before the COMMIT of the order",
        [("core/base/db_writer.c", "	if (!first->next) {\n		run_alone(db, first);\n",
          RESULT_BEFORE_COMMIT % ' && strstr(db->path, "acme-")')],
        power_loss("issue", range(1, 30), calls="send", kind="gateway"), LOST),
    Mutant(
        "reply-before-b", "the certificate leaves before it is stored",
        [("core/decide.c", "	return e ? e : decide_finish(ca, r);\n",
          "	e = e ? e : sign(ca, r, why);\n"
          "	r->state = e ? r->state : CA_STATE_ISSUED;\n"
          "	return e;\n")],
        undisturbed("issue"), "lost:|under way"),
    Mutant(
        "sign-before-a", "the signer sees what is not durable yet",
        [("core/decide.c", "	if (!e)\n		e = store_plan(ca, r, from);\n",
          "	if (!e)\n		e = sign(ca, r, why);\n	if (!e)\n		e = store_plan(ca, r, from);\n")],
        undisturbed("issue"), "sign-planned"),
    Mutant(
        "outbox-apart", "exit events have a transaction of their own",
        [("core/store.c",
          "	if (!e)\n		e = store_write_events(conn, a->ca, c->r->id, c->r->events, 0, a->now_ms);\n", ""),
         ("core/store.c", OUTCOME,
          "static int apply_events(struct db_conn *conn, void *arg)\n{\n	const struct apply *a = arg;\n\n"
          "	return store_write_events(conn, a->ca, a->change->r->id, a->change->r->events, 0, a->now_ms);\n}\n\n"
          + OUTCOME),
         ("core/store.c", "	e = db_write(ca->core->db, apply, &a);\n",
          "	e = db_write(ca->core->db, apply, &a);\n"
          "	if (!e)\n		e = db_write(ca->core->db, apply_events, &a);\n")],
        kills("issue", range(1, 9), calls="sync", file="core.db-wal"), "missed:"),
    Mutant(
        "audit-apart", "audit records have a transaction of their own",
        [("core/store.c",
          "	if (!e)\n		e = store_audit_change(conn, c, a->now_ms);\n", ""),
         ("core/store.c", OUTCOME,
          "static int apply_audit(struct db_conn *conn, void *arg)\n{\n	const struct apply *a = arg;\n\n"
          "	return store_audit_change(conn, a->change, a->now_ms);\n}\n\n" + OUTCOME),
         ("core/store.c", "	e = db_write(ca->core->db, apply, &a);\n",
          "	e = db_write(ca->core->db, apply, &a);\n"
          "	if (!e)\n		e = db_write(ca->core->db, apply_audit, &a);\n")],
        kills("issue", range(1, 9), calls="sync", file="core.db-wal"), "audit trail"),
    Mutant(
        "told-at-most-once", "an event leaves the outbox before its module took it",
        [("core/outbox.c", "	started = clock_wall_ms();\n	e = notify(core, x, row->event, &v);\n",
          "	started = clock_wall_ms();\n"
          "	if (store_event_done(core, row, started, \"notify\", \"inspect\"))\n		return -EIO;\n"
          "	e = notify(core, x, row->event, &v);\n"),
         ("core/outbox.c", "	return store_event_done(core, row, started, notified, inspected);\n",
          "	return 0;\n")],
        kills("issue", range(1, 3), "kill-before", calls="write", file="/issued/"), "missed:"),
    Mutant(
        "file-not-synced", "the exit module says done before its file is durable",
        [("core/base/file.c", "	if (!r && fsync(fd) < 0)\n		r = -errno;\n	if (close(fd) < 0 && !r)\n",
          "	if (close(fd) < 0 && !r)\n")],
        power_loss("issue", range(3, 9), calls="sync", file="core.db-wal"), "missed:|with 0 octets"),
    Mutant(
        "serial-counter", "serials are counted from 1 at every start, and the store does not mind",
        [("core/issue_words.c", "	return random_octets(serial + 6, SERIAL_SIZE - 6);\n",
          "	static uint8_t n;\n\n"
          "	memset(serial, 0, SERIAL_SIZE);\n	serial[0] = 1;\n	serial[15] = ++n;\n	return 0;\n"),
         ("core/store_schema.c", "{ schema_1, NULL }", '{ schema_1, "DROP INDEX requests_serial", NULL }')],
        kills("issue", range(1, 3), calls="sync", file="core.db-wal"), "serial .* belongs to"),
    Mutant(
        "no-recovery", "nobody finishes what was planned and not signed",
        [("core/recover.c", "finish_all(core) + expire_all(core) > 0", "expire_all(core) > 0")],
        kills("issue", range(1, 3), calls="sync", file="core.db-wal"), "stuck|under way|does not become valid"),
    Mutant(
        "grant-kept", "an approval is not used up by the certificate that was collected",
        [("core/store.c", "DELETE FROM grants WHERE request_id=? AND spent_by IS NULL",
          "DELETE FROM grants WHERE request_id=? AND spent_by < 0"),
         ("core/store.c", " WHERE c.request_id=requests.id AND c.collected_ms IS NULL)",
          " WHERE c.request_id=requests.id)")],
        undisturbed("approve"), "one approval"),
    Mutant(
        "key-not-held", "a repeat of the same transaction is a new request",
        [("core/store.c", "			DB_INT(a->change->key_until_ms), DB_INT(r->status), DB_TEXT(r->reason),\n",
          "			DB_INT(0), DB_INT(r->status), DB_TEXT(r->reason),\n"),
         ("core/store.c", "DB_INT(r->state), DB_INT(r->resolved_ms), DB_INT(a->change->key_until_ms)",
          "DB_INT(r->state), DB_INT(r->resolved_ms), DB_INT(0)"),
         ("core/store.c", "		       DB_INT(r->resolved_ms), DB_INT(a->change->key_until_ms)",
          "		       DB_INT(r->resolved_ms), DB_INT(0)")],
        kills("issue", range(1, 4), calls="sync", file="core.db-wal"), "same transaction key"),
    Mutant(
        "approval-in-memory", "policy is told of an approval that nobody wrote down",
        [("core/admin.c", "	e = store_pending(ca, r, &approval);\n",
          "	e = 0;\n"
          "	r->approvals = &(struct approval){ who->name, arena_strdup(r->arena, r->verdict.rule), NULL };\n"),
         ("core/store_read.c", "	r->approvals = NULL;\n	return db_read(core->db, approvals_of, r);\n",
          "	return db_read(core->db, approvals_of, r);\n")],
        undisturbed("approve"), "no approval is there"),
    Mutant(
        "fsync-ignored", "the daemon goes on after a failed fsync",
        [("core/base/db_conn.c", "		fsync_failed(conn->db);\n", "		(void)fsync_failed;\n")],
        [("issue", Fault(at, "EIO", calls="sync", file=".db")) for at in range(1, 4)], "lives on"),
    Mutant(
        "signature-not-verified", "a signer that signs badly is believed",
        [("core/decide.c", "	trace_step(ca->core->trace, \"sign\", r->id);\n",
          "	trace_step(ca->core->trace, \"sign\", r->id);\n	signature.ptr[signature.len - 1] ^= 1;\n"),
         ("core/issue.c", "	if (!issuer_verifies(issuer, tbs, signature))\n		return 1;\n",
          "	(void)issuer;\n")],
        undisturbed("issue"), "does not verify"),
    Mutant(
        "repeat-is-new", "the gateway repeats a broken call under another transaction key",
        [("core/remote.c", "		left = end - now_ms();\n	} while",
          "		if (e == -ECONNRESET && m->what_case == GATEHOUSE__CORE__MESSAGE__WHAT_SUBMIT) {\n"
          "			m->submit->transaction_key.data[0]++;\n"
          "			end += 5000; /* or a slow start of the core would hide it */\n"
          "		}\n"
          "		left = end - now_ms();\n	} while")],
        kills("issue", range(1, 4), calls="sync", file="core.db-wal"), "one order, two certificates"),
    Mutant(
        "core-not-found-again", "the gateway does not take its connection to a core that was started again",
        [("gateway/role_gateway.c", "	if (strcmp(text, \"core\") == 0)\n		return ca_link_attach(take_fd);\n",
          "	static int n;\n\n"
          "	if (strcmp(text, \"core\") == 0 && n++)\n		return close(take_fd);\n"
          "	if (strcmp(text, \"core\") == 0)\n		return ca_link_attach(take_fd);\n")],
        kills("issue", range(1, 4), calls="sync", file="core.db-wal"),
        "does not become valid|the daemon answers|does not come back|TimeoutError"),
    Mutant(
        "outlives-supervisor", "the core goes on without its supervisor",
        [("gateway/role_core.c", "	if (!control_serve(words, &p))\n		_exit(1);\n",
          "	while (!control_serve(words, &p))\n		pause();\n")],
        kills("start", range(24, 28), calls="send", kind="supervisor"), "without their supervisor"),
    Mutant(
        "crl-change-apart", "that a CRL has to say something new has a transaction of its own",
        [("core/store_revoke.c",
          "	if (!e)\n		e = db_run(conn,\n"
          "			   \"INSERT INTO crl_changes(ca, n) VALUES(?, 1) ON CONFLICT DO UPDATE SET n=n+1\",\n"
          "			   DB_TEXT(ca->name));\n", ""),
         ("core/store_revoke.c", "int store_revoke(struct ca *ca, const struct store_revocation *revocation)\n{\n",
          "static int count_change(struct db_conn *conn, void *arg)\n{\n"
          "	return db_run(conn, \"INSERT INTO crl_changes(ca, n) VALUES(?, 1) ON CONFLICT DO UPDATE SET n=n+1\",\n"
          "		      DB_TEXT(((struct ca *)arg)->name));\n}\n\n"
          "int store_revoke(struct ca *ca, const struct store_revocation *revocation)\n{\n"),
         ("core/store_revoke.c", "	e = db_write(ca->core->db, write_revocation, &w);\n",
          "	e = db_write(ca->core->db, write_revocation, &w);\n"
          "	if (!e)\n		e = db_write(ca->core->db, count_change, ca);\n")],
        kills("revoke", range(1, 4), calls="sync", file="core.db-wal"), "not in the list|no CRL after"),
    Mutant(
        "crl-counted", "CRLs are counted from 1 at every start, and the folder does not mind",
        [("core/publish.c", "	p->number = (stored > p->number ? stored : p->number) + 1;\n",
          "	static uint64_t n;\n\n	p->number = ++n;\n"),
         ("core/crl_file.c", "O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0640", "O_WRONLY | O_CREAT | O_CLOEXEC, 0640")],
        undisturbed("revoke"), "does not grow|no CRL after"),
]
