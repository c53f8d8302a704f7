/* The anchor of the audit trail: what it says after a stop, and what is noticed at the next start.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tests/test.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/anchor_file.h"
#include "core/anchor.h"
#include "core/anchor_verify.h"
#include "core/base/clock.h"
#include "core/base/file.h"
#include "core/base/log.h"
#include "core/base/own.h"
#include "core/restored.h"
#include "core/store.h"
#include "core/store_recover.h"
#include "tests/scenarios/modules.h"
#include "tests/scenarios/rig.h"

static struct rig rig;

static int setup(void **state)
{
	script_reset();
	rig = (struct rig){ 0 };
	rig_init(&rig, &(struct rig_settings){ 0 });
	return 0;
}

static int teardown(void **state)
{
	rig_fini(&rig);
	return 0;
}

static const char *path(const char *name)
{
	static char text[2][160];
	static int turn;

	turn = !turn;
	snprintf(text[turn], sizeof(text[turn]), "%s/core/%s", rig.folder, name);
	return text[turn];
}

static void start(void)
{
	struct conf_error error = { 0 };

	assert_int_equal(rig_start(&rig, &error), 0);
}

static int start_refused(const char *why)
{
	struct conf_error error = { 0 };
	int e = rig_start(&rig, &error);

	if (!strstr(error.text, why))
		fail_msg("%d: \"%s\" says nothing of \"%s\"", e, error.text, why);
	return e;
}

static void submit(const char *name)
{
	OWNED_CA_OUTCOME out = CA_OUTCOME_INIT;

	assert_int_equal(rig_submit(rig.door, "acme:1", name, name, &out), 0);
	assert_int_equal(out.disposition, CA_ISSUED);
}

static void live(const char *const *names)
{
	start();
	for (; *names; names++)
		submit(*names);
	rig_stop(&rig);
}

#define LIVE(...) live((const char *const[]){ __VA_ARGS__, NULL })

static void read_head(struct anchor_head *head)
{
	int fd = open(path("audit.anchor"), O_RDONLY);
	OWNED_BUF rest = BUF_INIT(ANCHOR_TAIL_MAX);

	assert_true(fd >= 0);
	assert_int_equal(anchor_read_tail(fd, head, &rest), 0);
	assert_int_equal(rest.len, 0);
	close(fd);
}

static void append_to_anchor(const char *text)
{
	int fd = open(path("audit.anchor"), O_WRONLY | O_APPEND);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	close(fd);
}

static void copy(const char *from, const char *to)
{
	OWNED_BUF text = BUF_INIT(64u << 20);

	assert_int_equal(file_read(path(from), &text), 0);
	assert_int_equal(file_write_atomic_at(AT_FDCWD, path(to), buf_bytes(&text), 0600), 0);
}

static bool anchor_has(const char *text)
{
	OWNED_BUF all = BUF_INIT(64u << 20);

	assert_int_equal(file_read(path("audit.anchor"), &all), 0);
	return strstr(buf_str(&all), text) != NULL;
}

static void write_behind(const char *sql)
{
	assert_true(rig_write(&rig, "DROP TRIGGER audit_keeps_records; DROP TRIGGER audit_keeps_content;"));
	assert_true(rig_write(&rig, sql));
}

static void ends_with_the_trail(void **state)
{
	struct anchor_head head;
	struct stat st;

	LIVE("a.example", "b.example");
	read_head(&head);
	assert_int_equal(head.seq, rig_number(&rig, "SELECT max(seq) FROM audit"));
	assert_int_equal(rig_number(&rig, "SELECT count(*) FROM audit WHERE payload->>'action'='start'"), 1);
	assert_int_equal(rig_number(&rig, "SELECT seq FROM audit WHERE payload->>'action'='stop'"), head.seq);
	assert_int_equal(stat(path("audit.anchor"), &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
}

static void carries_what_was_issued(void **state)
{
	LIVE("a.example");
	assert_true(anchor_has("\nrecord "));
	assert_true(anchor_has("\"action\":\"issue\""));
	assert_true(anchor_has("names=\\\"dns:a.example\\\""));
	assert_false(anchor_has("\"action\":\"receive\""));
}

static void goes_on_after_a_restart(void **state)
{
	struct anchor_head first, second;

	LIVE("a.example");
	read_head(&first);
	LIVE("b.example");
	read_head(&second);
	assert_true(second.seq > first.seq);
	assert_memory_not_equal(second.running, first.running, SHA256_SIZE);
}

static void notices_a_cut_tail(void **state)
{
	LIVE("a.example");
	write_behind("DELETE FROM audit WHERE seq > (SELECT max(seq) - 2 FROM audit)");
	assert_int_equal(start_refused("older than its anchor"), -ESTALE);
}

static void notices_an_older_store(void **state)
{
	LIVE("a.example");
	copy("core.db", "kept.db");
	LIVE("b.example");
	copy("kept.db", "core.db");
	assert_int_equal(start_refused("server restore --accept"), -ESTALE);
}

static void notices_records_written_anew(void **state)
{
	LIVE("a.example");
	write_behind("UPDATE audit SET hash=randomblob(32) WHERE seq = (SELECT max(seq) FROM audit)");
	assert_int_equal(start_refused("not those of the anchor"), -ESTALE);
}

static void notices_a_head_that_others_wrote(void **state)
{
	char line[512];

	LIVE("a.example");
	snprintf(line, sizeof(line), "head 1 %064d 0 %064d %064d\n", 0, 0, 0);
	append_to_anchor(line);
	assert_int_equal(start_refused("not written by this CA's signer"), -EKEYREJECTED);
}

static void notices_a_broken_record_behind_the_head(void **state)
{
	LIVE("a.example");
	assert_true(rig_write(&rig, "INSERT INTO audit SELECT seq+1, hash, '{}', randomblob(32) FROM audit"
				    " ORDER BY seq DESC LIMIT 1"));
	assert_int_equal(start_refused("was changed"), -EBADMSG);
}

static void takes_no_other_file_for_an_anchor(void **state)
{
	LIVE("a.example");
	assert_int_equal(file_write_atomic_at(AT_FDCWD, path("audit.anchor"), bytes_of_str("some text\n"), 0600), 0);
	assert_int_equal(start_refused("is no anchor"), -EBADMSG);
}

static void writes_down_that_the_anchor_was_gone(void **state)
{
	struct anchor_head head;

	LIVE("a.example");
	assert_int_equal(unlink(path("audit.anchor")), 0);
	LIVE("b.example");
	read_head(&head);
	assert_int_equal(head.seq, rig_number(&rig, "SELECT max(seq) FROM audit"));
	assert_int_equal(rig_number(&rig, "SELECT count(*) FROM audit WHERE payload->>'action'='anchor'"), 1);
	/* The new one is as complete as the old one was. */
	assert_true(anchor_has("dns:a.example"));
}

struct found {
	bool is_there, is_sworn;
	int n;
	const char *rest;
};

static int find_line(void *arg, const struct anchor_line *line)
{
	struct found *f = arg;

	if (strncmp(line->rest, f->rest, strlen(f->rest)) == 0) {
		f->is_there = true;
		f->is_sworn |= line->is_sworn;
	}
	return 0;
}

static int count_line(void *arg, const struct anchor_line *line)
{
	struct found *f = arg;

	f->n += strcmp(line->rest, f->rest) == 0;
	return 0;
}

static int count_lines(const char *rest)
{
	struct found f = { .rest = rest };
	struct anchor_end end;

	assert_int_equal(anchor_walk(path("audit.anchor"), count_line, &f, &end), 0);
	return f.n;
}

static struct found find(const char *rest)
{
	struct found f = { .rest = rest };
	struct anchor_end end;

	assert_int_equal(anchor_walk(path("audit.anchor"), find_line, &f, &end), 0);
	return f;
}

static void survives_a_torn_line(void **state)
{
	LIVE("a.example");
	append_to_anchor("record 99 {\"time\":\"20");
	LIVE("b.example");
	assert_true(anchor_has("\nresume\n"));
	assert_false(find("99").is_there);
}

static void swears_to_nothing_that_it_did_not_write(void **state)
{
	struct anchor_check check;

	LIVE("a.example");
	append_to_anchor("record 98 {}\nrecord 99 {}\nrestored 0000001\n");
	LIVE("b.example");
	LIVE("c.example");
	assert_true(find("98").is_there && find("99").is_there);
	assert_false(find("98").is_sworn || find("99").is_sworn || find("0000001").is_sworn);
	start();
	assert_int_equal(anchor_verify(rig.core, &check), 0);
	assert_string_equal(check.what, "");
}

/* The disk was full, or the machine stopped: the page was written without its head. */
static void tells_what_it_wrote_twice_once(void **state)
{
	OWNED_BUF all = BUF_INIT(64u << 20);
	char record[512];
	char *at;
	size_t n;

	LIVE("a.example");
	assert_int_equal(file_read(path("audit.anchor"), &all), 0);
	at = strstr(buf_str(&all), "record ");
	n = strcspn(at, "\n");
	assert_true(n + 1 < sizeof(record));
	/* Only what stands before the first head is left, then the writer begins anew. */
	memcpy(record, at + strlen("record "), n - strlen("record "));
	record[n - strlen("record ")] = '\0';
	*strstr(buf_str(&all), "\nhead ") = '\0';
	assert_int_equal(file_write_atomic_at(AT_FDCWD, path("audit.anchor"), bytes_of_str(buf_str(&all)), 0600), 0);
	append_to_anchor("\n");
	LIVE("b.example");
	assert_true(find(record).is_sworn);
	assert_int_equal(count_lines(record), 1);
}

static void notices_a_line_that_others_wrote(void **state)
{
	struct anchor_check check;

	LIVE("a.example");
	start();
	append_to_anchor("restored 1\n");
	assert_int_equal(anchor_verify(rig.core, &check), 0);
	assert_string_equal(check.what, "");
	submit("b.example");
	anchor_run(rig.core);
	assert_int_equal(anchor_verify(rig.core, &check), 0);
	assert_non_null(strstr(check.what, "was changed"));
}

/* ---- an older store, put back on purpose ---- */

static const char *serial_of(const char *name)
{
	static char text[2 * SERIAL_SIZE + 1];
	char sql[256];

	/* Digit by digit, since a number is all that the rig brings. */
	for (int i = 0; i < SERIAL_SIZE; i++) {
		snprintf(sql, sizeof(sql), "SELECT"
					   " unicode(substr(hex(serial),%d,1))*256+unicode(substr(hex(serial),%d,1))"
					   " FROM certificates JOIN names USING(request_id) WHERE value='%s'",
			 2 * i + 1, 2 * i + 2, name);
		snprintf(text + 2 * i, 3, "%c%c", (int)(rig_number(&rig, sql) / 256),
			 (int)(rig_number(&rig, sql) % 256));
	}
	return text;
}

static int64_t count_of(const char *what)
{
	char sql[256];

	snprintf(sql, sizeof(sql), "SELECT count(*) FROM %s", what);
	return rig_number(&rig, sql);
}

static void put_back(void)
{
	copy("kept.db", "core.db");
	assert_int_equal(restored_mark(path("")), 0);
}

static void brings_back_what_the_backup_does_not_know(void **state)
{
	OWNED_CA_OUTCOME out = CA_OUTCOME_INIT;
	int64_t ids, serials;

	LIVE("a.example");
	copy("core.db", "kept.db");
	LIVE("b.example", "c.example");
	serials = rig_number(&rig, "SELECT sum(unicode(hex(serial))) + count(*) FROM certificates");
	ids = rig_number(&rig, "SELECT max(id) FROM requests");
	put_back();
	start();
	assert_int_equal(count_of("certificates"), 3);
	assert_int_equal(rig_number(&rig, "SELECT sum(unicode(hex(serial))) + count(*) FROM certificates"), serials);
	assert_int_equal(count_of("requests WHERE state=20 AND protocol='recovered' AND requester='acme:1'"), 2);
	assert_int_equal(count_of("names WHERE value IN ('b.example', 'c.example')"), 2);
	assert_int_equal(count_of("audit WHERE payload->>'action'='recover'"), 2);
	assert_int_equal(count_of("audit WHERE payload->>'action'='restore'"), 1);
	/* A client that comes for a certificate is not given none. */
	assert_int_equal(ca_retrieve(rig.door, "acme:1", ids, &out), 0);
	assert_int_equal(out.disposition, CA_ERROR);
	assert_string_equal(out.reason, "the certificate was issued and is not here any more; ask for a new one");
	assert_int_equal(count_of("certificates WHERE collected_ms IS NOT NULL"), 0);
	assert_false(restored_is_marked(path("")));
	submit("d.example");
	assert_int_equal(rig_number(&rig, "SELECT max(id) FROM requests"), ids + 1);
	rig_stop(&rig);
	assert_true(rig_check_trace(&rig, NULL));
	/* And from then on it is the anchor's store again. */
	LIVE("e.example");
	assert_int_equal(count_of("certificates"), 5);
}

static void append_revocation(const char *name)
{
	char sql[256], serial[64];

	snprintf(sql, sizeof(sql), "SELECT request_id FROM names WHERE value='%s'", name);
	snprintf(serial, sizeof(serial), "%s", serial_of(name));
	assert_int_equal(store_audit(rig.core, &(struct audit_record){ .at_ms = clock_wall_ms(), .actor = "unix:bob",
								       .action = "revoke", .subject = serial,
								       .request_id = rig_number(&rig, sql),
								       .before = "issued", .after = "revoked",
								       .detail = "revoke by=unix:bob"
										 " reason=keyCompromise" }), 0);
}

static void brings_back_what_was_revoked(void **state)
{
	LIVE("a.example");
	copy("core.db", "kept.db");
	start();
	submit("b.example");
	append_revocation("a.example");
	append_revocation("b.example");
	rig_stop(&rig);
	put_back();
	start();
	assert_int_equal(count_of("requests WHERE state=21"), 2);
	assert_int_equal(count_of("certificates WHERE revoked_ms IS NOT NULL AND revoked_reason=1"), 2);
}

static const char *reason_of(const char *payload)
{
	struct store_recovered counts = { 0 };
	const char *why = NULL;

	assert_int_equal(store_recover(rig.core, &(struct store_record){ 99, payload, true }, &counts, &why),
			 STORE_LEFT_OUT);
	assert_int_equal(counts.certificates + counts.revocations, 0);
	return why;
}

#define RECORD(action) "{\"time\":\"2026-01-02T03:04:05Z\",\"actor\":\"core\",\"action\":\"" action "\""

static void leaves_out_what_it_cannot_apply(void **state)
{
	struct store_recovered counts = { 0 };
	const char *why;

	start();
	assert_string_equal(reason_of("no JSON"), "it cannot be read");
	assert_string_equal(reason_of("{}"), "it has no time");
	assert_string_equal(reason_of(RECORD("dance") "}"), "nobody knows what it tells of");
	assert_string_equal(reason_of(RECORD("revoke") "}"), "it has no serial");
	assert_string_equal(reason_of(RECORD("issue") ",\"subject\":\"user x\"}"), "it has no serial");
	assert_string_equal(reason_of(RECORD("issue") ",\"subject\":\"0102\",\"detail\":\"key=99\"}"),
			    "the store does not have the key that signed it");
	assert_string_equal(reason_of(RECORD("hold") ",\"subject\":\"0102\"}"),
			    "there is no certificate with its serial");
	assert_int_equal(store_recover(rig.core, &(struct store_record){ 99, RECORD("purge") "}", true }, &counts,
				       &why), 0);
	assert_int_equal(count_of("certificates"), 0);
}

static void says_what_was_left_out(void **state)
{
	OWNED_BUF health = BUF_INIT(16384);
	char where[PATH_MAX];

	LIVE("a.example");
	copy("core.db", "kept.db");
	start();
	/* As it could come of a CA key that the backup does not have. */
	assert_int_equal(store_audit(rig.core, &(struct audit_record){ .at_ms = clock_wall_ms(), .actor = "core",
								       .action = "import", .subject = "0102",
								       .detail = "key=99" }), 0);
	submit("b.example");
	rig_stop(&rig);
	put_back();
	start();
	assert_int_equal(count_of("certificates"), 2);
	assert_int_equal(restored_count_left_out(path(""), where), 1);
	assert_true(ca_core_health(rig.core, &health));
	assert_non_null(strstr(buf_str(&health), "restore: ok, but 1 records of the audit anchor"));
	assert_int_equal(count_of("audit WHERE payload->>'action'='restore' AND payload->>'detail' LIKE '%left-out=1'"),
			 1);
	assert_int_equal(unlink(where), 0);
	buf_reset(&health);
	ca_core_health(rig.core, &health);
	assert_null(strstr(buf_str(&health), "restore:"));
}

static void apply(int64_t seq, const char *payload, bool is_sworn, const char *wants_why)
{
	struct store_recovered counts = { 0 };
	const char *why;
	int e = store_recover(rig.core, &(struct store_record){ seq, payload, is_sworn }, &counts, &why);

	if (wants_why)
		assert_non_null(why && strstr(why, wants_why) ? why : NULL);
	else
		assert_null(why);
	assert_int_equal(e, 0);
}

#define ISSUED(ACTION, SERIAL, MORE) \
	RECORD(ACTION) ",\"request\":77,\"subject\":\"" SERIAL "\",\"detail\":\"certificate=00 " MORE " not-before=5" \
		       " not-after=9 partition=0 spki=00 profile=\\\"p\\\" endpoint=\\\"e\\\" requester=\\\"r\\\"" \
		       " names=\\\"dns:x.example ip:192.0.2.1\\\"\"}"

static void makes_rows_of_what_was_imported(void **state)
{
	start();
	apply(99, ISSUED("import", "01", "key=1"), true, NULL);
	apply(99, ISSUED("import-foreign", "02", "key=0 ca=\\\"Test CA\\\""), true, NULL);
	assert_int_equal(count_of("requests WHERE state=20 AND serial=x'01' AND key_id=1"), 1);
	assert_int_equal(count_of("requests WHERE state=12 AND serial=x'02' AND key_id IS NULL AND ca='Test CA'"), 1);
	assert_int_equal(count_of("certificates WHERE key_id=0 AND not_before_s=5 AND not_after_s=9"), 1);
	assert_int_equal(count_of("names WHERE value='192.0.2.1'"), 2);
	assert_int_equal(count_of("audit WHERE payload->>'action'='recover' AND payload->>'after'='foreign'"), 1);
	/* And of the record of that, when an older one is put back. */
	rig_stop(&rig);
	assert_true(anchor_has("\"action\":\"recover\""));
}

/* 1,000 names: what a record says of others is cut long before. */
static void knows_all_the_names_again(void **state)
{
	OWNED_BUF payload = BUF_INIT(1u << 20), names = BUF_INIT(1u << 20);
	struct audit_record record = { .at_ms = 1, .actor = "policy", .action = "issue", .request_id = 5,
				       .subject = "0102", .is_long = true };

	buf_append_str(&names, "key=1 spki=00 names=\"");
	for (int i = 0; i < 1000; i++)
		buf_printf(&names, "%sdns:host-%04d.of-a-rather-long-name.somewhere.in-a-domain.example",
			   i ? " " : "", i);
	buf_append_str(&names, "\"");
	record.detail = buf_str(&names);
	assert_int_equal(audit_print(&record, &payload), 0);
	assert_true(payload.len < AUDIT_PAYLOAD_MAX);
	start();
	apply(99, buf_str(&payload), true, NULL);
	assert_int_equal(count_of("names"), 1000);
	rig_stop(&rig);
	/* It is anchored, and what comes behind it too. */
	LIVE("a.example");
	start();
	assert_true(anchor_has("host-0999"));
	assert_true(anchor_has("dns:a.example"));
}

#define REVOKED(ACTION, SERIAL, DETAIL) \
	RECORD(ACTION) ",\"subject\":\"" SERIAL "\",\"detail\":\"" DETAIL " by=unix:bob\"}"

static void revokes_at_the_date_that_was_given(void **state)
{
	start();
	apply(99, ISSUED("import", "01", "key=1"), true, NULL);
	assert_int_equal(count_of("crl_changes"), 0);
	apply(99, REVOKED("revoke", "01", "date=2025-06-07T08:09:10.500Z revoke reason=superseded"), true, NULL);
	assert_int_equal(count_of("certificates WHERE revoked_ms=1749283750000 AND revoked_reason=4"), 1);
	assert_int_equal(rig_number(&rig, "SELECT n FROM crl_changes WHERE ca=(SELECT ca FROM requests)"), 1);
	apply(99, REVOKED("revoke", "01", "date=2025-06-07T08:09:09Z revoke reason=superseded"), true, NULL);
	assert_int_equal(count_of("certificates WHERE revoked_ms=1749283749000"), 1);
	/* Told twice, done once; without a date that of the record. */
	apply(99, REVOKED("revoke", "01", "date=2025-06-07T08:09:09Z revoke reason=superseded"), true, NULL);
	assert_int_equal(rig_number(&rig, "SELECT n FROM crl_changes"), 2);
	apply(99, REVOKED("revoke", "01", "revoke reason=keyCompromise"), true, NULL);
	assert_int_equal(count_of("certificates WHERE revoked_ms=1767323045000 AND revoked_reason=1"), 1);
}

static void revokes_what_was_only_planned(void **state)
{
	start();
	apply(99, ISSUED("import", "01", "key=1"), true, NULL);
	/* Of a CA whose keys are away, so that the finisher leaves it. */
	assert_true(rig_write(&rig, "DELETE FROM certificates; UPDATE requests SET state=8, ca='away'"));
	apply(99, REVOKED("revoke", "01", "revoke reason=superseded"), true, NULL);
	assert_int_equal(count_of("requests WHERE state=21"), 1);
	assert_int_equal(count_of("certificates WHERE revoked_reason=4"), 1);
}

static void takes_back_credentials(void **state)
{
	start();
	assert_true(rig_write(&rig,
			      "INSERT INTO credentials(id, kind, name, note, secret, salt, endpoints, profiles, scope,"
			      " created_ms, created_by, used) VALUES(7, 4, NULL, '', x'01', x'', '', '', '', 0, '', 0),"
			      " (8, 5, 'alice', '', x'02', x'03', '', '', '', 0, '', 0),"
			      " (9, 5, 'bob smith', '', x'04', x'05', '', '', '', 0, '', 0)"));
	/* That he had made: one that waits to be used, one that is used, and one of somebody else. */
	assert_true(rig_write(&rig,
			      "INSERT INTO credentials(id, kind, note, secret, endpoints, profiles, scope, created_ms,"
			      " created_by, used, until_ms, uses_left, delegated_by) VALUES"
			      "(10, 4, '', x'06', '', '', '', 0, '', 0, 1767323045001, 1, 9),"
			      "(11, 4, '', x'07', '', '', '', 0, '', 1, 1767323045001, 0, 9),"
			      "(12, 4, '', x'08', '', '', '', 0, '', 0, 1767323045001, 1, 8)"));
	apply(99, RECORD("revoke-credential") ",\"subject\":\"challenge 7\"}", true, NULL);
	apply(99, RECORD("revoke-credential") ",\"subject\":\"user bob smith\"}", false, NULL);
	apply(99, RECORD("revoke-credential") ",\"subject\":\"user nobody\"}", true, NULL);
	apply(99, RECORD("revoke-credential") ",\"subject\":\"what\"}", true, NULL);
	assert_int_equal(count_of("credentials WHERE revoked_ms=1767323045000 AND id IN (7, 9, 10)"), 3);
	assert_int_equal(count_of("credentials WHERE revoked_ms IS NOT NULL"), 3);
	apply(99, RECORD("set-password") ",\"subject\":\"user alice\"}", true, "gatehouse user passwd");
	apply(99, RECORD("set-password") ",\"subject\":\"user alice\"}", true, NULL);
	assert_int_equal(count_of("credentials WHERE length(secret)=0 AND revoked_ms IS NULL"), 1);
	assert_int_equal(count_of("audit WHERE payload->>'action' IN ('revoke-credential', 'set-password')"), 3);
}

/* Heads are seconds apart: what the store knows already is not done to it again. */
static void leaves_alone_what_stands_in_the_trail(void **state)
{
	start();
	assert_true(rig_write(&rig,
			      "INSERT INTO credentials(id, kind, name, note, secret, salt, endpoints, profiles, scope,"
			      " created_ms, created_by, used)"
			      " VALUES(8, 5, 'alice', '', x'02', x'03', '', '', '', 0, '', 0);"
			      "INSERT INTO audit SELECT seq+1, hash, '" RECORD("set-password")
			      ",\"subject\":\"user alice\"}', zeroblob(32) FROM audit ORDER BY seq DESC LIMIT 1"));
	apply(rig_number(&rig, "SELECT max(seq) FROM audit"), RECORD("set-password") ",\"subject\":\"user alice\"}",
	      true, NULL);
	assert_int_equal(count_of("credentials WHERE secret=x'02'"), 1);
	assert_true(rig_write(&rig, "DROP TRIGGER audit_keeps_records; DELETE FROM audit WHERE hash=zeroblob(32)"));
}

/* Somebody does not want it to be known any more that a certificate was revoked. */
static void believes_no_anchor_that_was_edited(void **state)
{
	OWNED_BUF all = BUF_INIT(64u << 20), edited = BUF_INIT(64u << 20);
	char *line;

	LIVE("a.example");
	copy("core.db", "kept.db");
	start();
	append_revocation("a.example");
	rig_stop(&rig);
	assert_int_equal(file_read(path("audit.anchor"), &all), 0);
	line = strstr(buf_str(&all), "\"action\":\"revoke\"");
	while (line[-1] != '\n')
		line--;
	buf_append(&edited, bytes_of(all.ptr, (size_t)(line - (char *)all.ptr)));
	buf_append_str(&edited, strchr(line, '\n') + 1);
	assert_int_equal(file_write_atomic_at(AT_FDCWD, path("audit.anchor"), buf_bytes(&edited), 0600), 0);
	put_back();
	assert_int_equal(start_refused("was changed, so nothing that the file says is brought back"), -EKEYREJECTED);
	assert_int_equal(count_of("certificates WHERE revoked_ms IS NOT NULL"), 0);
	/* The copy of the file that was kept elsewhere. */
	assert_int_equal(file_write_atomic_at(AT_FDCWD, path("audit.anchor"), buf_bytes(&all), 0600), 0);
	start();
	assert_int_equal(count_of("certificates WHERE revoked_ms IS NOT NULL"), 1);
}

static void takes_away_what_nobody_swore_to_and_gives_nothing(void **state)
{
	char text[1024], where[PATH_MAX];

	LIVE("a.example", "b.example");
	assert_true(rig_write(&rig, "UPDATE requests SET state=21 WHERE id=2; UPDATE certificates SET"
				    " revoked_ms=issued_ms, revoked_reason=1 WHERE request_id=2"));
	copy("core.db", "kept.db");
	snprintf(text, sizeof(text), "record 98 " RECORD("revoke") ",\"subject\":\"%s\","
		 "\"detail\":\"reason=superseded\"}\n", serial_of("a.example"));
	append_to_anchor(text);
	for (const char *const *act = (const char *const[]){ "release", "hold", "issue", NULL }; *act; act++) {
		snprintf(text, sizeof(text), "record 99 " RECORD("%s") ",\"subject\":\"%s\","
			 "\"detail\":\"reason=certificateHold\"}\n", *act, serial_of("b.example"));
		append_to_anchor(text);
	}
	put_back();
	start();
	assert_int_equal(count_of("certificates WHERE revoked_reason=4"), 1);
	assert_int_equal(count_of("certificates WHERE revoked_reason=1"), 1);
	assert_int_equal(restored_count_left_out(path(""), where), 2);
}

/* The machine stops in the middle of it. */
static void is_done_again_when_it_was_interrupted(void **state)
{
	LIVE("a.example");
	copy("core.db", "kept.db");
	LIVE("b.example");
	copy("audit.anchor", "kept.anchor");
	put_back();
	start();
	rig_stop(&rig);
	/* The rows are there, the anchor is as it was, the mark still stands. */
	copy("kept.anchor", "audit.anchor");
	assert_int_equal(restored_mark(path("")), 0);
	start();
	assert_int_equal(count_of("certificates"), 2);
	assert_int_equal(count_of("audit WHERE payload->>'action'='recover'"), 1);
	submit("c.example");
	rig_stop(&rig);
	LIVE("d.example");
}

/* A backup older than the last one that was put back. */
static void can_be_done_twice(void **state)
{
	LIVE("a.example");
	copy("core.db", "kept.db");
	LIVE("b.example");
	put_back();
	LIVE("c.example");
	put_back();
	LIVE("d.example");
	assert_int_equal(count_of("certificates"), 4);
	assert_int_equal(count_of("requests WHERE state=20"), 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		TEST(ends_with_the_trail),
		TEST(carries_what_was_issued),
		TEST(goes_on_after_a_restart),
		TEST(notices_a_cut_tail),
		TEST(notices_an_older_store),
		TEST(notices_records_written_anew),
		TEST(notices_a_head_that_others_wrote),
		TEST(notices_a_broken_record_behind_the_head),
		TEST(takes_no_other_file_for_an_anchor),
		TEST(writes_down_that_the_anchor_was_gone),
		TEST(survives_a_torn_line),
		TEST(swears_to_nothing_that_it_did_not_write),
		TEST(tells_what_it_wrote_twice_once),
		TEST(notices_a_line_that_others_wrote),
		TEST(brings_back_what_the_backup_does_not_know),
		TEST(brings_back_what_was_revoked),
		TEST(leaves_out_what_it_cannot_apply),
		TEST(says_what_was_left_out),
		TEST(makes_rows_of_what_was_imported),
		TEST(knows_all_the_names_again),
		TEST(revokes_at_the_date_that_was_given),
		TEST(revokes_what_was_only_planned),
		TEST(takes_back_credentials),
		TEST(leaves_alone_what_stands_in_the_trail),
		TEST(believes_no_anchor_that_was_edited),
		TEST(takes_away_what_nobody_swore_to_and_gives_nothing),
		TEST(is_done_again_when_it_was_interrupted),
		TEST(can_be_done_twice),
	};

	log_setup(LOG_FORMAT_LOGFMT, LOG_LEVEL_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
