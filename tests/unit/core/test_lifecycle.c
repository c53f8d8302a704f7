/* core/lifecycle.h on a core that works: what the keys of a CA do one after the other, and the core's own for MACs.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tests/test.h"

#include <errno.h>
#include <stdlib.h>

#include <openssl/x509v3.h>

#include "core/admin_call.h"
#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/base/own.h"
#include "core/create.h"
#include "core/keys.h"
#include "core/lifecycle.h"
#include "core/registry.h"
#include "core/signer/signer_int.h"
#include "tests/scenarios/modules.h"
#include "tests/scenarios/rig.h"

#define BEGIN_MS 1772366400000ll /* 2026-03-01T12:00:00Z */
#define DAY_MS 86400000ll

static struct rig rig;

static void start(bool over_link)
{
	struct conf_error error = { 0 };

	log_setup(LOG_FORMAT_LOGFMT, LOG_LEVEL_ERROR);
	clock_fake_set(BEGIN_MS);
	script_reset();
	rig_init(&rig, &(struct rig_settings){ .policy = "{module: p}", .over_link = over_link });
	if (rig_start(&rig, &error))
		fail_msg("%s", error.text);
}

static void restart(void)
{
	struct conf_error error = { 0 };

	rig_stop(&rig);
	if (rig_start(&rig, &error))
		fail_msg("%s", error.text);
}

static void finish(void)
{
	rig_settle(&rig);
	rig_stop(&rig);
	assert_true(rig_check_trace(&rig, getenv("CHECK_TRACE")));
	rig_fini(&rig);
	clock_fake_end();
}

static struct ca *the_ca(void)
{
	return core_find_ca(rig.core, RIG_CA);
}

/* As the administrator's call does it. */
static int roll(int64_t lifetime_s)
{
	struct ca_life_result made = CA_LIFE_RESULT_INIT;
	char why[LIFE_WHY_SIZE] = "";
	const struct ca_life life = {
		.db = rig.core->db, .signer = rig.core->signer, .actor = "unix:test", .why = why};
	int e = life_rollover(
		&life, &(struct ca_life_plan){.ca = RIG_CA, .key_type = "ec-p256", .lifetime_s = lifetime_s}, &made);

	assert_true(e || made.certificate.len > 100);
	ca_life_result_fini(&made);
	return e ? e : keys_refresh(the_ca());
}

static int submit(const char *name, struct ca_outcome *out)
{
	return rig_submit(rig.door, "acme:1", name, name, out);
}

static void expect_issued_by(const char *name, int position)
{
	OWNED_CA_OUTCOME out = CA_OUTCOME_INIT;

	assert_int_equal(submit(name, &out), 0);
	assert_int_equal(out.disposition, CA_ISSUED);
	assert_int_equal(rig_number(&rig, "SELECT k.position FROM certificates c JOIN ca_keys k ON k.id=c.key_id"
					  " ORDER BY c.request_id DESC LIMIT 1"), position);
}

static unsigned certificates_in(const struct buf *chain)
{
	const uint8_t *p = chain->ptr;
	unsigned n = 0;
	X509 *cert;

	while (p < chain->ptr + chain->len && (cert = d2i_X509(NULL, &p, (long)(chain->ptr + chain->len - p)))) {
		X509_free(cert);
		n++;
	}
	return n;
}

static void expect_chain(unsigned n)
{
	OWNED_BUF chain = BUF_INIT(1u << 18);

	assert_int_equal(ca_get_chain(rig.door, &chain), 0);
	assert_int_equal(certificates_in(&chain), n);
}

/* Whoever located the CA before gets what belongs to the new key. */
static void the_chain_is_that_of_the_current_key(void **state)
{
	for (int over_link = 0; over_link < 2; over_link++) {
		start(over_link);
		expect_chain(1);
		assert_int_equal(roll(86400 * 365), 0);
		expect_chain(2); /* the new key by the old one, and the old root */
		assert_int_equal(roll(86400 * 365), 0);
		expect_chain(3);
		assert_int_equal(rig_number(&rig, "SELECT count(*) FROM ca_crosses"), 4);
		finish();
	}
}

/* Some who verify count certificates whose subject is their issuer against it (RFC 5280 6.1.4 (l) does not). */
static void no_certificate_of_a_root_limits_the_path(void **state)
{
	OWNED_BUF chain = BUF_INIT(1u << 18);
	const uint8_t *p;
	unsigned n = 0;
	X509 *cert;

	start(false);
	assert_int_equal(roll(86400 * 365), 0);
	assert_int_equal(roll(86400 * 365), 0);
	assert_int_equal(ca_get_chain(rig.door, &chain), 0);
	for (p = chain.ptr; p < chain.ptr + chain.len; n++) {
		cert = d2i_X509(NULL, &p, (long)(chain.ptr + chain.len - p));
		assert_non_null(cert);
		assert_int_equal(X509_check_ca(cert), 1);
		assert_int_equal(X509_get_pathlen(cert), -1);
		X509_free(cert);
	}
	assert_int_equal(n, 3);
	finish();
}

static const struct signer_ways *whole;

/* Away from the moment on at which the new key is in the store. */
static int load_until_stored(struct signer *s, struct bytes sealed, enum signer_purpose purpose, const char *ca,
			     struct bytes certificates, uint64_t *number, char why[static SIGNER_WHY_SIZE])
{
	if (rig_number(&rig, "SELECT count(*) FROM ca_keys WHERE purpose=1") == 2)
		return -ETIMEDOUT;
	return whole->load(s, sealed, purpose, ca, certificates, number, why);
}

static void ask_for_rollover(char *name, Gatehouse__Admin__Reply *reply, struct arena *arena)
{
	const struct ca_admin_caller who = { .name = "unix:test", .roles = CA_ROLE_ADMINISTRATOR };
	Gatehouse__Admin__MakeCa make = GATEHOUSE__ADMIN__MAKE_CA__INIT;
	Gatehouse__Admin__Call call = GATEHOUSE__ADMIN__CALL__INIT;

	make.name = name;
	make.lifetime_s = 86400 * 365;
	call.what_case = GATEHOUSE__ADMIN__CALL__WHAT_ROLLOVER_CA;
	call.rollover_ca = &make;
	admin_call(rig.core, &who, &call, arena, reply);
}

/* The step is in the store: nobody is told that it failed, and who looks for unfinished work takes the key. */
static void a_key_that_could_not_be_taken_at_once_is_taken_later(void **state)
{
	static struct signer_ways ways;
	Gatehouse__Admin__Reply reply;
	struct arena *arena;

	assert_int_equal(arena_new(&arena, 1u << 20), 0);
	start(false);
	expect_issued_by("a.example", 0);
	whole = rig.core->signer->ways;
	ways = *whole;
	ways.load = load_until_stored;
	rig.core->signer->ways = &ways;
	ask_for_rollover((char[]){ "ca1" }, &reply, arena);
	assert_int_equal(reply.outcome, 0);
	assert_non_null(reply.made);
	assert_non_null(strstr(reply.reason, "as soon as the signer answers"));
	assert_false(keys_probe(rig.core));
	rig.core->signer->ways = whole;
	assert_true(keys_probe(rig.core));
	assert_int_equal(the_ca()->n_keys, 2);
	expect_issued_by("b.example", 1);
	arena_drop(&arena);
	finish();
}

/* What was planned for a key is signed by that key, whatever is current when it is. */
static void a_request_keeps_the_key_it_was_planned_for(void **state)
{
	OWNED_CA_OUTCOME out = CA_OUTCOME_INIT;

	start(false);
	expect_issued_by("a.example", 0);
	assert_int_equal(roll(86400 * 365), 0);
	expect_issued_by("b.example", 1);
	/* As a crash between both durable points would leave it. */
	assert_true(rig_write(&rig, "DELETE FROM certificates WHERE request_id=1"));
	assert_true(rig_write(&rig, "UPDATE requests SET state=8 WHERE id=1"));
	restart();
	assert_int_equal(rig_number(&rig, "SELECT k.position FROM certificates c JOIN ca_keys k ON k.id=c.key_id"
					  " WHERE c.request_id=1"), 0);
	assert_int_equal(submit("a.example", &out), 0);
	/* Behind it, for whoever trusts the new root: the old key by the new one, and the new root. */
	assert_int_equal(certificates_in(&out.chain), 2);
	expect_issued_by("c.example", 1);
	rig_settle(&rig);
	rig_stop(&rig);
	rig_fini(&rig);
	clock_fake_end();
}

static void a_ca_that_has_ended_signs_nothing_until_it_has_another_key(void **state)
{
	OWNED_CA_OUTCOME out = CA_OUTCOME_INIT;
	OWNED_BUF text = BUF_INIT(4096);

	start(false);
	expect_issued_by("a.example", 0);
	assert_false(keys_near_end(the_ca()));
	clock_fake_advance(3625 * DAY_MS);
	assert_true(keys_near_end(the_ca()));
	assert_true(ca_core_health(rig.core, &text));
	assert_non_null(strstr(buf_str(&text), "ca " RIG_CA ": ok, but its certificate ends at"));
	expect_issued_by("b.example", 0);
	clock_fake_advance(26 * DAY_MS);
	assert_int_equal(submit("c.example", &out), CA_CALL_BUSY);
	assert_non_null(strstr(out.reason, "has expired"));
	buf_reset(&text);
	assert_false(ca_core_health(rig.core, &text));
	assert_non_null(strstr(buf_str(&text), "the certificate of this CA has expired"));
	/* It starts all the same: people must be able to help. */
	restart();
	assert_int_equal(submit("c.example", &out), CA_CALL_BUSY);
	assert_int_equal(roll(86400 * 365), 0);
	expect_issued_by("c.example", 1);
	/* An old root that has ended certifies nobody. */
	expect_chain(1);
	assert_int_equal(rig_number(&rig, "SELECT count(*) FROM ca_crosses"), 0);
	finish();
}

static void a_ca_has_so_many_keys_in_its_life(void **state)
{
	start(false);
	for (int i = 1; i < CA_KEYS_MAX; i++)
		assert_int_equal(roll(86400 * 365), 0);
	assert_int_equal(roll(86400 * 365), LIFE_WRONG_STATE);
	expect_issued_by("a.example", CA_KEYS_MAX - 1);
	restart();
	expect_issued_by("b.example", CA_KEYS_MAX - 1);
	finish();
}

static void a_mac_is_the_same_as_long_as_the_store_lives(void **state)
{
	uint8_t first[SIGNER_MAC_SIZE], again[SIGNER_MAC_SIZE], other[SIGNER_MAC_SIZE];

	start(false);
	assert_int_equal(keys_mac(rig.core, "audit", bytes_of_str("head"), first), 0);
	assert_int_equal(keys_mac(rig.core, "eab", bytes_of_str("head"), other), 0);
	assert_memory_not_equal(first, other, sizeof(first));
	restart();
	assert_int_equal(keys_mac(rig.core, "audit", bytes_of_str("head"), again), 0);
	assert_memory_equal(first, again, sizeof(first));
	assert_int_equal(rig_number(&rig, "SELECT count(*) FROM ca_keys WHERE purpose=3"), 1);
	finish();
}

static void each_step_is_one_record(void **state)
{
	start(false);
	assert_int_equal(roll(86400 * 365), 0);
	assert_int_equal(rig_number(&rig, "SELECT count(*) FROM audit WHERE payload LIKE '%\"ca-rollover\"%'"
					  " AND payload LIKE '%unix:test%' AND payload LIKE '%retires=%'"), 1);
	assert_int_equal(rig_number(&rig, "SELECT count(*) FROM audit WHERE payload LIKE '%\"ca-init\"%'"), 1);
	finish();
}

/* Names are compared without case everywhere; a sealed key is bound to the letters of its day. */
static void a_ca_that_was_made_under_other_letters_works(void **state)
{
	struct ca_life_result made = CA_LIFE_RESULT_INIT;
	struct conf_error error = { 0 };
	char why[CREATE_WHY_SIZE] = "";

	log_setup(LOG_FORMAT_LOGFMT, LOG_LEVEL_ERROR);
	clock_fake_set(BEGIN_MS);
	script_reset();
	rig_init(&rig, &(struct rig_settings){ .policy = "{module: p}", .cas = "{name: Acme, policy: {module: p}}" });
	const struct ca_create_options typed = { .data_folder = rig.folder, .kek = { .data_folder = rig.folder },
						 .name = "ACME", .key_type = "ec-p256", .lifetime_s = 3650 * 86400ll };

	if (ca_create(&typed, &made, why) || rig_start(&rig, &error))
		fail_msg("%s%s", why, error.text);
	ca_life_result_fini(&made);
	assert_null(keys_trouble(core_find_ca(rig.core, "Acme")));
	/* The next key is made for the name as it is configured; both load after a start. */
	const struct ca_life life = { .db = rig.core->db, .signer = rig.core->signer, .actor = "unix:test",
				      .why = why };
	const struct ca_life_plan plan = { .ca = "Acme", .key_type = "ec-p256", .lifetime_s = 400 * 86400ll };

	assert_int_equal(life_rollover(&life, &plan, &made), 0);
	ca_life_result_fini(&made);
	restart();
	assert_null(keys_trouble(core_find_ca(rig.core, "Acme")));
	assert_int_equal(core_find_ca(rig.core, "Acme")->n_keys, 2);
	assert_false(core_find_ca(rig.core, "Acme")->keys[0]->is_refused);
	finish();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_chain_is_that_of_the_current_key),
		cmocka_unit_test(no_certificate_of_a_root_limits_the_path),
		cmocka_unit_test(a_key_that_could_not_be_taken_at_once_is_taken_later),
		cmocka_unit_test(a_request_keeps_the_key_it_was_planned_for),
		cmocka_unit_test(a_ca_that_has_ended_signs_nothing_until_it_has_another_key),
		cmocka_unit_test(a_ca_has_so_many_keys_in_its_life),
		cmocka_unit_test(a_mac_is_the_same_as_long_as_the_store_lives),
		cmocka_unit_test(each_step_is_one_record),
		cmocka_unit_test(a_ca_that_was_made_under_other_letters_works),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
