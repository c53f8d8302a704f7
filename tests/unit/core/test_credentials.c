/* Credentials: how secrets are kept, who gets a one-time challenge, what guessing costs.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tests/test.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "core/base/clock.h"
#include "core/base/file.h"
#include "core/base/log.h"
#include "core/base/own.h"
#include "core/credential_guard.h"
#include "core/credentials.h"
#include "tests/scenarios/csr_maker.h"
#include "tests/scenarios/modules.h"
#include "tests/scenarios/rig.h"

#define THREADS 64

static const struct ca_admin_caller admin = { .name = "unix:root", .roles = CA_ROLE_ADMINISTRATOR };
static const char *const endpoints[] = { RIG_ENDPOINT };

static struct rig rig;

static void start_with(const char *core, bool over_link)
{
	struct rig_settings settings = {
		.policy = "{module: p-safe}",
		.core = core,
		.over_link = over_link,
		.endpoints = "{name: judged, ca: CA1, profile: server, challenge-target: mdm}",
	};
	struct conf_error error = { 0 };

	script_reset();
	rig_init(&rig, &settings);
	if (rig_start(&rig, &error))
		fail_msg("%s", error.text);
}

static void start(bool over_link)
{
	start_with(NULL, over_link);
}

static void stop(void)
{
	rig_stop(&rig);
	assert_true(rig_check_trace(&rig, getenv("CHECK_TRACE")));
	rig_fini(&rig);
}

static void make(enum ca_evidence_kind kind, const char *name, const char *password, struct credential_made *made)
{
	static const char *const scope[] = { "*.example" };
	struct credential_spec spec = { .kind = kind, .name = name, .endpoints = endpoints, .n_endpoints = 1,
					.scope = scope, .n_scope = 1, .password = password };
	char why[CA_REASON_SIZE];

	if (ca_admin_create_credential(rig.core, &admin, &spec, made, why))
		fail_msg("%s", why);
}

static void a_challenge_may_be_without_end_and_for_any_number(void **state)
{
	struct credential_spec spec = { .kind = CA_EVIDENCE_CHALLENGE, .endpoints = endpoints, .n_endpoints = 1 };
	char why[CA_REASON_SIZE];
	struct credential_made made;
	struct credential_row *rows;
	OWNED(arena) arena = NULL;
	size_t n;

	start(false);
	assert_int_equal(arena_new(&arena, 1 << 20), 0);
	spec.is_endless = spec.is_unlimited = true;
	assert_int_equal(ca_admin_create_credential(rig.core, &admin, &spec, &made, why), 0);
	assert_int_equal(made.until_ms, 0);
	assert_int_equal(credentials_list(rig.core, CA_EVIDENCE_CHALLENGE, 0, 10, arena, &rows, &n), 0);
	assert_int_equal(n, 1);
	assert_int_equal(rows[0].until_ms, 0);
	assert_int_equal(rows[0].uses_left, -1);
	spec.uses = 3;
	assert_int_equal(ca_admin_create_credential(rig.core, &admin, &spec, &made, why), CA_ADMIN_INVALID);
	spec.is_unlimited = false;
	spec.lifetime_ms = 1000;
	assert_int_equal(ca_admin_create_credential(rig.core, &admin, &spec, &made, why), CA_ADMIN_INVALID);
	spec.is_endless = false;
	assert_int_equal(ca_admin_create_credential(rig.core, &admin, &spec, &made, why), 0);
	assert_true(made.until_ms > 0);
	stop();
}

/* Where a target outside judges challenges, one of ours would never be looked at. */
static void no_challenge_is_made_for_where_a_target_judges(void **state)
{
	static const char *const places[] = { RIG_ENDPOINT, "judged" };
	struct credential_spec spec = { .kind = CA_EVIDENCE_CHALLENGE, .endpoints = places, .n_endpoints = 2 };
	char why[CA_REASON_SIZE];
	struct credential_made made;

	start(false);
	assert_int_equal(ca_admin_create_credential(rig.core, &admin, &spec, &made, why), CA_ADMIN_INVALID);
	assert_string_equal(why, "the endpoint 'judged' leaves challenges to its challenge-target 'mdm': one that is "
				 "made here is never good there");
	spec.kind = CA_EVIDENCE_TOKEN;
	assert_int_equal(ca_admin_create_credential(rig.core, &admin, &spec, &made, why), 0);
	/* Which would have challenges made. */
	spec.delegates = 1;
	assert_int_equal(ca_admin_create_credential(rig.core, &admin, &spec, &made, why), CA_ADMIN_INVALID);
	assert_non_null(strstr(why, "challenge-target 'mdm'"));
	spec.n_endpoints = 1;
	assert_int_equal(ca_admin_create_credential(rig.core, &admin, &spec, &made, why), 0);
	stop();
}

/* ---- one challenge, many at once ---- */

static struct crowd {
	pthread_barrier_t together;
	const char *challenge;
	struct buf csr;
	unsigned round;
} crowd;

struct one {
	pthread_t thread;
	unsigned number;
	int outcome;
	enum ca_disposition disposition;
};

static void *redeem(void *arg)
{
	struct one *o = arg;
	OWNED_CA_OUTCOME out = CA_OUTCOME_INIT;
	char requester[32], key[64];
	struct ca_credential_claim claim = { .kind = CA_EVIDENCE_CHALLENGE, .secret = bytes_of_str(crowd.challenge) };
	struct ca_submission s = {
		.protocol = "scep",
		.endpoint = RIG_ENDPOINT,
		.profile = RIG_PROFILE,
		.requester = requester,
		.evidence = CA_EVIDENCE_CHALLENGE,
		.credential = &claim,
		.request = buf_bytes(&crowd.csr),
	};

	snprintf(requester, sizeof(requester), "scep:%u", o->number);
	snprintf(key, sizeof(key), "%u %u", crowd.round, o->number);
	rig_key(key, s.transaction_key);
	pthread_barrier_wait(&crowd.together);
	o->outcome = ca_submit(rig.door, &s, &out);
	o->disposition = out.disposition;
	return NULL;
}

static void race(unsigned round, unsigned threads)
{
	struct credential_made made;
	struct one all[THREADS];
	unsigned won = 0;

	make(CA_EVIDENCE_CHALLENGE, NULL, NULL, &made);
	crowd.round = round;
	crowd.challenge = made.secret;
	pthread_barrier_init(&crowd.together, NULL, threads);
	for (unsigned i = 0; i < threads; i++) {
		all[i] = (struct one){ .number = i };
		assert_int_equal(pthread_create(&all[i].thread, NULL, redeem, &all[i]), 0);
	}
	for (unsigned i = 0; i < threads; i++) {
		pthread_join(all[i].thread, NULL);
		/* Over a connection a crowd may have to come back: busy is no answer. */
		if (all[i].outcome != CA_CALL_BUSY && all[i].outcome != 0)
			assert_int_equal(all[i].outcome, CA_CALL_REFUSED);
		won += all[i].outcome == 0 && all[i].disposition == CA_ISSUED;
	}
	pthread_barrier_destroy(&crowd.together);
	assert_int_equal(won, 1);
}

static void race_rounds(unsigned rounds, unsigned threads)
{
	const char *name = "raced.example";

	crowd.csr = BUF_INIT(CA_REQUEST_MAX);
	assert_int_equal(csr_make(&(struct csr_spec){ .names = &name, .n_names = 1 }, &crowd.csr), 0);
	for (unsigned round = 0; round < rounds; round++)
		race(round, threads);
	assert_int_equal(rig_number(&rig, "SELECT count(*) FROM certificates"), rounds);
	assert_int_equal(rig_number(&rig, "SELECT count(*) FROM requests"), rounds);
	assert_int_equal(rig_number(&rig, "SELECT count(*) FROM credentials WHERE uses_left<>0 OR used<>1"), 0);
	buf_fini(&crowd.csr);
}

static void of_64_uses_of_a_challenge_at_once_one_wins(void **state)
{
	start(false);
	race_rounds(10, THREADS);
	stop();
}

/* A release campaign runs 10,000 (./check --long). */
static void two_uses_of_a_challenge_never_both_win(void **state)
{
	start(false);
	race_rounds(getenv("GATEHOUSE_LONG") ? 10000 : 200, 2);
	stop();
}

/* ---- what is kept ---- */

static bool is_in_file(const char *name, const char *text)
{
	OWNED_BUF content = BUF_INIT(64u << 20);
	char path[160];

	snprintf(path, sizeof(path), "%s/core/%s", rig.folder, name);
	return file_read(path, &content) == 0 && content.len &&
	       memmem(content.ptr, content.len, text, strlen(text)) != NULL;
}

static void no_secret_stands_in_the_store(void **state)
{
	struct credential_made made[3];

	start(false);
	make(CA_EVIDENCE_CHALLENGE, NULL, NULL, &made[0]);
	make(CA_EVIDENCE_TOKEN, NULL, NULL, &made[1]);
	make(CA_EVIDENCE_USER, "alice", NULL, &made[2]);
	for (int i = 0; i < 3; i++) {
		assert_true(strlen(made[i].secret) >= 24);
		assert_false(is_in_file("core.db", made[i].secret));
		assert_false(is_in_file("core.db-wal", made[i].secret));
	}
	/* The file is the one that is meant: what is no secret is there. */
	assert_true(is_in_file("core.db-wal", "est") || is_in_file("core.db-wal", "alice"));
	stop();
}

static void no_two_secrets_are_alike(void **state)
{
	struct credential_made a, b;

	start(false);
	make(CA_EVIDENCE_TOKEN, NULL, NULL, &a);
	make(CA_EVIDENCE_TOKEN, NULL, NULL, &b);
	assert_int_equal(strlen(a.secret), strlen("ght_") + 48);
	assert_string_not_equal(a.secret, b.secret);
	make(CA_EVIDENCE_CHALLENGE, NULL, NULL, &a);
	assert_int_equal(strlen(a.secret), 32);
	stop();
}

static int ask(const char *user, const char *password, const char *source)
{
	struct ca_credential_claim claim = { .kind = CA_EVIDENCE_USER, .name = user, .secret = bytes_of_str(password),
					     .endpoint = RIG_ENDPOINT, .source_address = source };
	struct ca_credential_answer answer;

	return ca_check_credential(rig.door, &claim, &answer);
}

static int64_t microseconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static void a_password_that_was_right_costs_no_slow_hash_again(void **state)
{
	struct credential_made made;
	int64_t slow, quick;

	start(false);
	make(CA_EVIDENCE_USER, "alice", "correct horse", &made);
	slow = microseconds();
	assert_int_equal(ask("alice", "correct horse", "192.0.2.1"), 0);
	slow = microseconds() - slow;
	quick = microseconds();
	for (int i = 0; i < 10; i++)
		assert_int_equal(ask("alice", "correct horse", "192.0.2.1"), 0);
	quick = microseconds() - quick;
	assert_true(quick < 5 * slow);
	stop();
}

static void who_it_is_costs_the_same_for_an_unknown_user(void **state)
{
	struct credential_made made;
	int64_t known = 0, unknown = 0;

	start(false);
	make(CA_EVIDENCE_USER, "alice", "correct horse", &made);
	for (int i = 0; i < 4; i++) {
		int64_t began = microseconds();

		assert_int_equal(ask("alice", "wrong", "192.0.2.1"), CA_CALL_REFUSED);
		known += microseconds() - began;
		began = microseconds();
		assert_int_equal(ask("mallory", "wrong", "192.0.2.2"), CA_CALL_REFUSED);
		unknown += microseconds() - began;
	}
	/* Both are a slow hash; without it an unknown one would take a hundredth. */
	assert_true(unknown > known / 4);
	stop();
}

static void an_address_that_is_none_is_refused(void **state)
{
	start(false);
	assert_int_equal(ask("alice", "x", "not an address"), CA_CALL_REFUSED);
	stop();
}

static void a_connection_answers_as_the_core_itself(void **state)
{
	struct credential_made made;

	start(true);
	make(CA_EVIDENCE_USER, "alice", "correct horse", &made);
	assert_int_equal(ask("alice", "correct horse", NULL), 0);
	assert_int_equal(ask("alice", "wrong horse", NULL), CA_CALL_REFUSED);
	stop();
}

/* ---- common names ---- */

static enum ca_status submit_common_name(struct ca_door *door, const char *token, const char *cn, const char *key)
{
	OWNED_CA_OUTCOME out = CA_OUTCOME_INIT;
	OWNED_BUF der = BUF_INIT(65536);
	const struct ca_credential_claim claim = { .kind = CA_EVIDENCE_TOKEN, .secret = bytes_of_str(token) };
	struct ca_submission s = { .protocol = "est", .endpoint = RIG_ENDPOINT, .profile = RIG_PROFILE,
				   .requester = "est:token:1", .evidence = CA_EVIDENCE_TOKEN, .credential = &claim };

	assert_int_equal(csr_make(&(struct csr_spec){ .common_name = cn }, &der), 0);
	s.request = buf_bytes(&der);
	rig_key(key, s.transaction_key);
	assert_int_equal(ca_submit(door, &s, &out), 0);
	return out.status;
}

/* A pattern of common names takes nobody out of what his intermediary is bound to. */
static void a_common_name_that_looks_like_a_name_lies_in_the_binding(void **state)
{
	static const char *const scope[] = { "CN=*" };
	const struct credential_spec spec = { .kind = CA_EVIDENCE_TOKEN, .endpoints = endpoints, .n_endpoints = 1,
					      .scope = scope, .n_scope = 1 };
	struct ca_door *door = NULL;
	struct credential_made made;
	char why[CA_REASON_SIZE];
	int ends[2];

	start_with("intermediaries: [{name: g, inherited: true, endpoints: acme, names: ['*.a.example']}]", false);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
	assert_int_equal(ca_core_attach(rig.core, ends[0]), 0);
	assert_int_equal(ca_link_attach(ends[1]), 0);
	assert_int_equal(ca_locate(&door, "link:#" RIG_CA, "gateway"), 0);
	assert_int_equal(ca_admin_create_credential(rig.core, &admin, &spec, &made, why), 0);
	assert_int_equal(submit_common_name(door, made.secret, "printer 7", "1"), CA_STATUS_NONE);
	assert_int_equal(submit_common_name(door, made.secret, "printer7", "2"), CA_STATUS_NONE);
	assert_int_equal(submit_common_name(door, made.secret, "x.a.example", "3"), CA_STATUS_NONE);
	assert_int_equal(submit_common_name(door, made.secret, "x.b.example", "4"), CA_STATUS_BAD_NAME);
	assert_int_equal(submit_common_name(door, made.secret, "192.0.2.1", "5"), CA_STATUS_BAD_NAME);
	assert_int_equal(submit_common_name(door, made.secret, "2001:db8::1", "6"), CA_STATUS_BAD_NAME);
	assert_int_equal(submit_common_name(door, made.secret, "me@b.example", "7"), CA_STATUS_BAD_NAME);
	ca_door_drop(&door);
	assert_int_equal(ca_link_attach(-1), 0);
	stop();
}

/* ---- listing, sweeping ---- */

static void what_ended_long_ago_is_swept_and_users_stay(void **state)
{
	struct credential_made made;
	struct credential_row *rows;
	OWNED(arena) arena = NULL;
	struct credentials_any any = { .n = -1 };
	size_t n;

	assert_int_equal(arena_new(&arena, 1u << 20), 0);
	clock_fake_set(1772366400000);
	start(false);
	make(CA_EVIDENCE_CHALLENGE, NULL, NULL, &made);
	make(CA_EVIDENCE_TOKEN, NULL, NULL, &made);
	make(CA_EVIDENCE_USER, "alice", NULL, &made);
	assert_int_equal(credentials_list(rig.core, 0, 0, 10, arena, &rows, &n), 0);
	assert_int_equal(n, 3);
	assert_int_equal(rows[0].until_ms - rows[0].created_ms, 3600000);
	assert_int_equal(rows[0].uses_left, 1);
	assert_int_equal(rows[1].uses_left, -1);
	assert_string_equal(rows[2].name, "alice");
	assert_string_equal(rows[2].profiles, RIG_PROFILE "\n");
	clock_fake_advance(29ll * 86400000);
	credentials_sweep(rig.core);
	assert_int_equal(rig_number(&rig, "SELECT count(*) FROM credentials"), 3);
	clock_fake_advance(2ll * 86400000);
	credentials_sweep(rig.core);
	assert_int_equal(credentials_list(rig.core, 0, 0, 10, arena, &rows, &n), 0);
	assert_int_equal(n, 2);
	assert_int_equal(credentials_list(rig.core, CA_EVIDENCE_USER, 0, 10, arena, &rows, &n), 0);
	assert_int_equal(n, 1);
	assert_int_equal(credentials_count_any(rig.core, &any), 0);
	assert_int_equal(any.n, 0);
	stop();
	clock_fake_end();
}

/* ---- the guard by itself ---- */

static void wrong_answers_are_counted_by_address_and_by_name(void **state)
{
	OWNED(credential_guard) g = NULL;
	char source[32];

	clock_fake_set(1772366400000);
	assert_int_equal(credential_guard_new(&g), 0);
	for (int i = 0; i < 8; i++) {
		assert_int_equal(credential_guard_pause_s(g, "192.0.2.1", "alice"), 0);
		assert_int_equal(credential_guard_failed(g, "192.0.2.1", "alice"), i == 0);
	}
	assert_int_equal(credential_guard_pause_s(g, "192.0.2.1", "alice"), 30);
	assert_int_equal(credential_guard_pause_s(g, "192.0.2.1", "bob"), 0);
	assert_int_equal(credential_guard_pause_s(g, "192.0.2.2", "alice"), 0);
	/* One address that tries many names. */
	for (int i = 0; i < 22; i++)
		credential_guard_failed(g, "192.0.2.1", "somebody");
	assert_true(credential_guard_pause_s(g, "192.0.2.1", "carol") > 0);
	/* Many addresses that try one name. */
	for (int i = 0; i < 100; i++) {
		snprintf(source, sizeof(source), "198.51.100.%d", i);
		credential_guard_failed(g, source, "dora");
	}
	assert_true(credential_guard_pause_s(g, "203.0.113.1", "dora") > 0);
	/* Of IPv6 the network counts. */
	for (int i = 0; i < 8; i++) {
		snprintf(source, sizeof(source), "2001:db8::%d", i + 1);
		credential_guard_failed(g, source, "erik");
	}
	assert_true(credential_guard_pause_s(g, "2001:db8::ffff", "erik") > 0);
	assert_int_equal(credential_guard_pause_s(g, "2001:db8:0:1::1", "erik"), 0);
	clock_fake_advance(3600000);
	assert_int_equal(credential_guard_pause_s(g, "192.0.2.1", "alice"), 0);
	assert_int_equal(credential_guard_pause_s(g, "203.0.113.1", "dora"), 0);
	clock_fake_end();
}

/* However many there were, one more is let through after the time of one. */
static void nobody_waits_longer_than_for_one_wrong_answer(void **state)
{
	OWNED(credential_guard) g = NULL;

	clock_fake_set(1772366400000);
	assert_int_equal(credential_guard_new(&g), 0);
	for (int i = 0; i < 20000; i++) {
		credential_guard_failed(g, "192.0.2.1", NULL);
		credential_guard_failed(g, "192.0.2.2", "alice");
	}
	assert_int_equal(credential_guard_pause_s(g, "192.0.2.1", NULL), 5);
	assert_int_equal(credential_guard_pause_s(g, "192.0.2.2", "alice"), 30);
	/* Whom others guess at does not wait longer behind an address of his own, nor at all for another name. */
	assert_int_equal(credential_guard_pause_s(g, "192.0.2.3", "alice"), 10);
	assert_int_equal(credential_guard_pause_s(g, "192.0.2.3", "bob"), 0);
	clock_fake_advance(5000);
	assert_int_equal(credential_guard_pause_s(g, "192.0.2.1", NULL), 0);
	clock_fake_end();
}

static void fail_from(struct credential_guard *g, unsigned network)
{
	char source[64];

	snprintf(source, sizeof(source), "2001:db8:%x:%x::1", network >> 16, network & 0xffff);
	credential_guard_failed(g, source, NULL);
}

static void a_flood_of_addresses_neither_frees_the_guesser_nor_opens_the_door(void **state)
{
	OWNED(credential_guard) g = NULL;
	const struct guarded_password alice = { "198.51.100.7", "alice", bytes_of_str("correct horse"),
						(const uint8_t *)"the hash that is stored of alice" };

	clock_fake_set(1772366400000);
	assert_int_equal(credential_guard_new(&g), 0);
	credential_guard_remember(g, &alice);
	for (int i = 0; i < 12; i++)
		credential_guard_failed(g, "192.0.2.1", "alice");
	assert_int_equal(credential_guard_pause_s(g, "203.0.113.1", "bob"), 0);
	for (unsigned i = 0; i < 60000; i++)
		fail_from(g, i);
	/* Who guessed much is still counted, and whoever has no counter waits with all the others, but not for long. */
	assert_int_equal(credential_guard_pause_s(g, "192.0.2.1", "alice"), 30);
	assert_int_equal(credential_guard_pause_s(g, "203.0.113.1", "bob"), 1);
	assert_true(credential_guard_knows(g, &alice));
	clock_fake_advance(500);
	assert_int_equal(credential_guard_pause_s(g, "203.0.113.1", "bob"), 0);
	fail_from(g, 1u << 20);
	assert_int_equal(credential_guard_pause_s(g, "203.0.113.1", "bob"), 1);
	/* The flood is over: addresses are told apart again. */
	clock_fake_advance(601000);
	for (unsigned i = 0; i < 200; i++)
		fail_from(g, i);
	assert_int_equal(credential_guard_pause_s(g, "203.0.113.1", "bob"), 0);
	clock_fake_end();
}

/* The memory of right passwords is no oracle. */
static void a_known_password_is_known_at_its_address_only(void **state)
{
	OWNED(credential_guard) g = NULL;
	struct guarded_password p = { "2001:db8::1", "alice", bytes_of_str("correct horse"),
				      (const uint8_t *)"the hash that is stored of alice" };

	clock_fake_set(1772366400000);
	assert_int_equal(credential_guard_new(&g), 0);
	credential_guard_remember(g, &p);
	p.source = "2001:db8::2";
	assert_true(credential_guard_knows(g, &p));
	p.source = "2001:db8:0:1::1";
	assert_false(credential_guard_knows(g, &p));
	p.source = "2001:db8::1";
	p.password = bytes_of_str("wrong horse");
	assert_false(credential_guard_knows(g, &p));
	/* Others who fail there by other names are not his fault; guesses at his are held up, right ones too. */
	p.password = bytes_of_str("correct horse");
	for (int i = 0; i < 100; i++)
		credential_guard_failed(g, "2001:db8::3", "bob");
	assert_true(credential_guard_knows(g, &p));
	for (int i = 0; i < 8; i++)
		credential_guard_failed(g, "2001:db8::3", "alice");
	assert_false(credential_guard_knows(g, &p));
	clock_fake_advance(30000);
	assert_true(credential_guard_knows(g, &p));
	clock_fake_end();
}

static void a_password_hash_is_that_of_rfc_7914(void **state)
{
	/* As Python says: hashlib.scrypt(b'pleaseletmein', salt=b'SodiumChlorideSo', n=16384, r=8, p=1, dklen=32) */
	static const uint8_t expected[] = {
		0x45, 0xdd, 0x8e, 0x8c, 0x9a, 0x1b, 0x2f, 0xf5,
		0xae, 0xd7, 0xda, 0x5f, 0x16, 0x07, 0x9b, 0x53,
		0xfa, 0xc0, 0x25, 0xbe, 0x69, 0x52, 0x8a, 0x1e,
		0xaf, 0xa0, 0x87, 0x52, 0x68, 0x88, 0xfd, 0xcd,
	};
	uint8_t got[PASSWORD_HASH_SIZE];

	assert_int_equal(secret_hash_password(bytes_of_str("pleaseletmein"), (const uint8_t *)"SodiumChlorideSo", got),
			 0);
	assert_memory_equal(got, expected, sizeof(expected));
}

static void swallow(void *arg, const char *line)
{
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_challenge_is_made_for_where_a_target_judges),
		cmocka_unit_test(a_challenge_may_be_without_end_and_for_any_number),
		cmocka_unit_test(of_64_uses_of_a_challenge_at_once_one_wins),
		cmocka_unit_test(two_uses_of_a_challenge_never_both_win),
		cmocka_unit_test(no_secret_stands_in_the_store),
		cmocka_unit_test(no_two_secrets_are_alike),
		cmocka_unit_test(a_password_that_was_right_costs_no_slow_hash_again),
		cmocka_unit_test(who_it_is_costs_the_same_for_an_unknown_user),
		cmocka_unit_test(an_address_that_is_none_is_refused),
		cmocka_unit_test(a_connection_answers_as_the_core_itself),
		cmocka_unit_test(a_common_name_that_looks_like_a_name_lies_in_the_binding),
		cmocka_unit_test(what_ended_long_ago_is_swept_and_users_stay),
		cmocka_unit_test(wrong_answers_are_counted_by_address_and_by_name),
		cmocka_unit_test(nobody_waits_longer_than_for_one_wrong_answer),
		cmocka_unit_test(a_flood_of_addresses_neither_frees_the_guesser_nor_opens_the_door),
		cmocka_unit_test(a_known_password_is_known_at_its_address_only),
		cmocka_unit_test(a_password_hash_is_that_of_rfc_7914),
	};

	log_capture(swallow, NULL);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
