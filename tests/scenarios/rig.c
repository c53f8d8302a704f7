/* A whole core for a test.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tests/scenarios/rig.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <sqlite3.h>

#include "core/base/file.h"
#include "core/base/log.h"
#include "core/base/own.h"
#include "core/create.h"
#include "core/worker.h"
#include "tests/scenarios/csr_maker.h"
#include "tests/scenarios/trail.h"

static const struct conf_option endpoint_rows[] = {
	{ .name = "name", .type = CONF_STRING, .fallback = CONF_NEEDED },
	{ .name = "ca", .type = CONF_STRING, .fallback = CONF_NEEDED },
	{ .name = "profile", .type = CONF_STRING, .fallback = CONF_NEEDED },
	{ .name = "renewal-grace", .type = CONF_DURATION, .range = "0s..365d", .fallback = "0s" },
	{ .name = "challenge-target", .type = CONF_STRING },
	{ .name = "renewal-window", .type = CONF_DURATION, .range = "0s..3650d", .fallback = "0s" },
	{ .name = "older-cas", .type = CONF_STRINGS },
	{ 0 },
};

static const struct conf_option listener_rows[] = {
	{ .name = "names", .type = CONF_STRINGS },
	{ 0 },
};

static const struct conf_option root_rows[] = {
	{ .name = "data", .type = CONF_STRING, .fallback = CONF_NEEDED },
	{ .name = "core", .type = CONF_SECTION, .rows = ca_core_rows },
	{ .name = "cas", .type = CONF_SECTIONS, .rows = ca_ca_rows },
	{ .name = "profiles", .type = CONF_SECTIONS, .rows = ca_profile_rows },
	{ .name = "endpoints", .type = CONF_SECTIONS, .rows = endpoint_rows },
	{ .name = "listeners", .type = CONF_SECTIONS, .rows = listener_rows },
	{ 0 },
};

static void give_up(const char *what, const char *why)
{
	fprintf(stderr, "the test cannot begin: %s: %s\n", what, why);
	abort();
}

static char last_folder[96];

void rig_init(struct rig *r, const struct rig_settings *settings)
{
	const char *tmp = getenv("TMPDIR");
	char why[CREATE_WHY_SIZE];
	struct ca_life_result made = CA_LIFE_RESULT_INIT;
	struct ca_create_options options = {
		.data_folder = r->folder,
		.kek = { .data_folder = r->folder },
		.name = RIG_CA,
		.key_type = settings && settings->ca_key ? settings->ca_key : "ec-p256",
		.lifetime_s = 3650 * 86400ll,
	};

	*r = (struct rig){ .ca_certificate = BUF_INIT(65536) };
	if (settings)
		r->settings = *settings;
	snprintf(r->folder, sizeof(r->folder), "%.40s/gh-test-XXXXXX", tmp && strlen(tmp) < 40 ? tmp : "/tmp");
	if (!mkdtemp(r->folder))
		give_up("no folder", r->folder);
	snprintf(last_folder, sizeof(last_folder), "%s", r->folder);
	snprintf(r->trace, sizeof(r->trace), "%s/trace.jsonl", r->folder);
	if (ca_create(&options, &made, why))
		give_up("no CA", why);
	r->ca_certificate = made.certificate;
	made.certificate = (struct buf)BUF_INIT(0);
	ca_life_result_fini(&made);
}

static const char *or_else(const char *given, const char *otherwise)
{
	return given ? given : otherwise;
}

/* Over a connection the core has its own name for whoever asks: the same that a door in this process is given, so
 * that a scenario reads the same either way. Bound to the endpoints one by one, as "{name: X, ca: …}" gives them. */
static void write_binding(const struct rig_settings *s, struct buf *text)
{
	const char *at = or_else(s->endpoints, "");

	buf_printf(text, ", intermediaries: [{name: %s, inherited: true, names: any, endpoints: [%s",
		   RIG_INTERMEDIARY, RIG_ENDPOINT);
	while ((at = strstr(at, "name: ")) != NULL) {
		at += strlen("name: ");
		buf_printf(text, ", %.*s", (int)strcspn(at, ",}"), at);
	}
	buf_printf(text, "]}]");
}

static void write_configuration(const struct rig *r, struct buf *text)
{
	const struct rig_settings *s = &r->settings;

	buf_printf(text, "data: %s\n", r->folder);
	buf_printf(text, "core: {trace-file: %s%s%s", r->trace, s->core ? ", " : "", or_else(s->core, ""));
	if (s->over_link)
		write_binding(s, text);
	buf_printf(text, "}\n");
	buf_printf(text, "cas: [{name: %s, policy: %s, exits: %s%s%s}%s%s]\n", RIG_CA,
		   or_else(s->policy, "{module: p}"), or_else(s->exits, "[{module: e1}, {module: e2}]"),
		   s->ca ? ", " : "", or_else(s->ca, ""), s->cas ? ", " : "", or_else(s->cas, ""));
	buf_printf(text, "profiles: [{name: %s%s%s}%s%s]\n", RIG_PROFILE, s->profile ? ", " : "",
		   or_else(s->profile, ""), s->profiles ? ", " : "", or_else(s->profiles, ""));
	buf_printf(text, "endpoints: [{name: %s, ca: %s, profile: %s}%s%s]\n", RIG_ENDPOINT, RIG_CA, RIG_PROFILE,
		   s->endpoints ? ", " : "", or_else(s->endpoints, ""));
	buf_printf(text, "listeners: [{names: [gw.example]}]\n");
}

const char *rig_address(const struct rig *r)
{
	return r->settings.over_link ? "link:#" : "direct:#";
}

static int connect_link(struct rig *r)
{
	int ends[2], e;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends))
		give_up("no socketpair", strerror(errno));
	e = ca_core_attach(r->core, ends[0]);
	return ca_link_attach(ends[1]) ? -ENOMEM : e;
}

int rig_start(struct rig *r, struct conf_error *error)
{
	OWNED_BUF text = BUF_INIT(65536);
	char where[64];
	int e;

	write_configuration(r, &text);
	e = conf_parse(&r->conf, buf_bytes(&text), "scenario.yaml", root_rows, error);
	if (!e)
		e = ca_core_start(&r->core, conf_root(r->conf), r->env, error);
	if (!e && r->settings.over_link)
		e = connect_link(r);
	snprintf(where, sizeof(where), "%s" RIG_CA, rig_address(r));
	if (!e)
		e = ca_locate(&r->door, where, RIG_INTERMEDIARY);
	if (e)
		rig_stop(r);
	return e;
}

void rig_stop(struct rig *r)
{
	ca_door_drop(&r->door);
	(void)ca_link_attach(-1);
	ca_core_drop(&r->core);
	conf_drop(&r->conf);
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	return remove(path);
}

void rig_fini(struct rig *r)
{
	rig_stop(r);
	buf_fini(&r->ca_certificate);
	if (r->folder[0])
		nftw(r->folder, remove_one, 8, FTW_DEPTH | FTW_PHYS);
	r->folder[0] = '\0';
}

void rig_key(const char *text, uint8_t key[static CA_TRANSACTION_KEY_SIZE])
{
	if (digest_sha256(bytes_of_str(text), key))
		give_up("no digest", text);
}

/* Who comes back with a transaction has the same key, also after a fork and in another thread: the CSR of a
 * transaction is kept in the folder of the rig that was made last. */
static void make_or_repeat(const char *key, const char *name, struct buf *der)
{
	static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
	char path[256];

	snprintf(path, sizeof(path), "%s/csr-%s-%s", last_folder, key ? key : "", name);
	pthread_mutex_lock(&lock);
	if (!key || file_read(path, der)) {
		buf_reset(der);
		if (csr_make(&(struct csr_spec){ .names = &name, .n_names = 1 }, der))
			give_up("no request", name);
		if (key && file_write_atomic_at(AT_FDCWD, path, buf_bytes(der), 0600))
			give_up("no file", path);
	}
	pthread_mutex_unlock(&lock);
}

int rig_submit(struct ca_door *door, const char *requester, const char *name, const char *key, struct ca_outcome *out)
{
	OWNED_BUF der = BUF_INIT(CA_REQUEST_MAX);
	struct ca_name proven = { CA_NAME_DNS, name, CA_EVIDENCE_ACME_AUTHORIZATION, "authz 1 http-01" };
	struct ca_submission s = {
		.protocol = "acme",
		.endpoint = RIG_ENDPOINT,
		.profile = RIG_PROFILE,
		.requester = requester,
		.evidence = CA_EVIDENCE_ACME_AUTHORIZATION,
		.source_address = "192.0.2.7",
		.names = &proven,
		.n_names = 1,
	};

	make_or_repeat(key, name, &der);
	s.request = buf_bytes(&der);
	rig_key(key, s.transaction_key);
	return ca_submit(door, &s, out);
}

static sqlite3 *open_database(const struct rig *r, int flags)
{
	char path[96];
	sqlite3 *db;

	snprintf(path, sizeof(path), "%s/core/core.db", r->folder);
	if (sqlite3_open_v2(path, &db, flags, NULL) != SQLITE_OK)
		give_up("no database", path);
	sqlite3_busy_timeout(db, 5000);
	return db;
}

sqlite3 *rig_lock(const struct rig *r)
{
	sqlite3 *db = open_database(r, SQLITE_OPEN_READWRITE);

	if (sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL) != SQLITE_OK)
		give_up("no lock", sqlite3_errmsg(db));
	return db;
}

void rig_unlock(sqlite3 *lock)
{
	sqlite3_close(lock);
}

int64_t rig_number(const struct rig *r, const char *sql)
{
	sqlite3 *db = open_database(r, SQLITE_OPEN_READONLY);
	sqlite3_stmt *stmt = NULL;
	int64_t answer = -1;

	if (sqlite3_prepare_v2(db, sql, -1, &stmt, NULL) != SQLITE_OK)
		give_up(sql, sqlite3_errmsg(db));
	if (sqlite3_step(stmt) == SQLITE_ROW)
		answer = sqlite3_column_int64(stmt, 0);
	sqlite3_finalize(stmt);
	sqlite3_close(db);
	return answer;
}

bool rig_write(struct rig *r, const char *sql)
{
	sqlite3 *db = open_database(r, SQLITE_OPEN_READWRITE);
	bool ok = sqlite3_exec(db, sql, NULL, NULL, NULL) == SQLITE_OK;

	if (!ok)
		fprintf(stderr, "%s: %s\n", sql, sqlite3_errmsg(db));
	sqlite3_close(db);
	r->was_written = true;
	return ok;
}

void rig_settle(struct rig *r)
{
	if (!ca_core_settle(r->core, 10000))
		fprintf(stderr, "exit events are still waiting after 10 s\n");
}

void rig_finish_interrupted(struct rig *r)
{
	worker_settle(r->core->finisher, 10000);
	rig_settle(r);
}

static bool check_trail(const struct rig *r)
{
	sqlite3 *db = open_database(r, SQLITE_OPEN_READONLY);
	bool ok = trail_check(db, !r->was_written);

	sqlite3_close(db);
	return ok;
}

bool rig_check_trace(const struct rig *r, const char *checker)
{
	int status = 0;
	pid_t pid;

	if (!check_trail(r))
		return false;
	if (!checker || access(r->trace, R_OK))
		return true;
	fflush(stdout);
	pid = fork();
	if (pid == 0) {
		execlp("python3", "python3", checker, "--quiet", r->trace, (char *)NULL);
		_exit(127);
	}
	return pid > 0 && waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}
