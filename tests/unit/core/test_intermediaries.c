/* Intermediaries in other processes: bindings, connections that break, and TLS between machines.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tests/test.h"

#include <arpa/inet.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include "core/base/base64.h"
#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/base/own.h"
#include "core/credentials.h"
#include "core/reports.h"
#include "core/wire/link.h"
#include "core/x509/certificate.h"
#include "core/x509/imported.h"
#include "tests/scenarios/csr_maker.h"
#include "tests/scenarios/modules.h"
#include "tests/scenarios/rig.h"

static struct rig rig;
static char log_text[65536];

static void keep_log(void *arg, const char *line)
{
	static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
	size_t n;

	pthread_mutex_lock(&lock);
	n = strlen(log_text);
	snprintf(log_text + n, sizeof(log_text) - n, "%s\n", line);
	pthread_mutex_unlock(&lock);
}

static void make_rig(const char *core, bool over_link)
{
	struct rig_settings settings = { .core = core, .over_link = over_link,
					 .endpoints = "{name: other, ca: CA1, profile: server}" };

	log_text[0] = '\0';
	script_reset();
	rig_init(&rig, &settings);
}

static void start_rig(void)
{
	struct conf_error error = { 0 };

	if (rig_start(&rig, &error))
		fail_msg("%s", error.text);
}

static void start(const char *core, bool over_link)
{
	make_rig(core, over_link);
	start_rig();
}

static void refuse_start(const char *core, const char *wanted)
{
	struct conf_error error = { 0 };

	make_rig(core, false);
	if (rig_start(&rig, &error) == 0)
		fail_msg("taken: %s", core);
	if (!strstr(error.text, wanted))
		fail_msg("%s: '%s' does not say '%s'", core, error.text, wanted);
	rig_fini(&rig);
}

static int submit(struct ca_door *door, const char *name, struct ca_outcome *out)
{
	return rig_submit(door, "acme:1", name, name, out);
}

static void expect_issued(struct ca_door *door, const char *name)
{
	OWNED_CA_OUTCOME out = CA_OUTCOME_INIT;

	assert_int_equal(submit(door, name, &out), 0);
	assert_int_equal(out.disposition, CA_ISSUED);
	assert_true(out.certificate.len > 100);
	assert_true(out.chain.len > 100);
}

static void expect_refused(struct ca_door *door, const char *name, const char *why)
{
	OWNED_CA_OUTCOME out = CA_OUTCOME_INIT;

	assert_int_equal(submit(door, name, &out), CA_CALL_REFUSED);
	if (!strstr(out.reason, why))
		fail_msg("'%s' does not say '%s'", out.reason, why);
	assert_int_equal(out.id, 0);
}

/* ---- configuration ---- */

static void the_configuration_of_bindings_is_checked(void **state)
{
	static const struct {
		const char *entry, *wanted;
	} wrong[] = {
		{ "{name: a, endpoints: acme}", "known by one of 'user', 'certificate' and 'inherited: true'" },
		{ "{name: a, user: root, inherited: true, endpoints: acme}", "known by one of" },
		{ "{name: a, user: root}", "without 'endpoints'" },
		{ "{name: a, user: root, endpoints: none}", "there is no 'none' under endpoints:" },
		{ "{name: a, user: root, endpoints: acme, profiles: none}", "there is no 'none' under profiles:" },
		{ "{name: a, user: root, endpoints: acme, names: ['ip:10/8']}", "'ip:10/8' is not a pattern" },
		{ "{name: a, user: root, endpoints: acme, names: [any, a.example]}", "'any' stands alone" },
		{ "{name: a, certificate: 'ab:cd', endpoints: acme}", "64 hex digits" },
		{ "{name: 'a b', user: root, endpoints: acme}", "letters, digits" },
		{ "{name: core, user: root, endpoints: acme}", "somebody else's name" },
		{ "{name: gateway, user: root, endpoints: acme}", "somebody else's name" },
		{ "{name: a, user: root, endpoints: acme}, {name: a, user: bin, endpoints: acme}", "'a' is taken" },
		{ "{name: a, user: root, endpoints: acme}, {name: b, user: root, endpoints: acme}", "'a' is the same" },
		{ "{name: a, inherited: true, endpoints: acme}, {name: b, inherited: true, endpoints: acme}",
		  "'a' is the same" },
	};
	char core[512];

	for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
		snprintf(core, sizeof(core), "intermediaries: [%s]", wrong[i].entry);
		refuse_start(core, wrong[i].wanted);
	}
	refuse_start("listen: {port: 1, address: here}", "'here' is not an IPv4 or IPv6 address");
	refuse_start("listen: {port: 1}", "needs 'certificate' and 'key'");
}

/* ---- over a connection ---- */

static void everything_goes_over_a_link(void **state)
{
	OWNED_CA_OUTCOME out = CA_OUTCOME_INIT;
	OWNED_BUF chain = BUF_INIT(65536), text = BUF_INIT(1u << 20);
	int64_t id;

	start(NULL, true);
	assert_string_equal(ca_door_name(rig.door), RIG_CA);
	assert_int_equal(ca_get_chain(rig.door, &chain), 0);
	assert_true(bytes_equal(buf_bytes(&chain), buf_bytes(&rig.ca_certificate)));
	assert_true(script_always("pend", NULL, NULL, 0));
	assert_int_equal(submit(rig.door, "a.example", &out), 0);
	assert_int_equal(out.disposition, CA_UNDER_SUBMISSION);
	assert_true(out.retry_after_s > 0);
	id = out.id;
	assert_int_equal(ca_peek(rig.door, "acme:1", id, &out), 0);
	assert_int_equal(out.disposition, CA_UNDER_SUBMISSION);
	assert_int_equal(ca_peek(rig.door, "acme:2", id, &out), CA_CALL_NOT_FOUND);
	assert_int_equal(ca_retrieve(rig.door, "acme:1", id + 1, &out), CA_CALL_NOT_FOUND);
	assert_true(ca_door_health("link:", &text));
	assert_non_null(strstr(buf_str(&text), "store: ok\n"));
	buf_reset(&text);
	ca_door_metrics("link:", &text);
	assert_non_null(strstr(buf_str(&text), "\ngatehouse_pending_requests 1\n"));
	/* The core's own name for who asked. */
	assert_int_equal(rig_number(&rig, "SELECT count(*) FROM requests WHERE intermediary='" RIG_INTERMEDIARY "'"),
			 1);
	rig_fini(&rig);
}

static void the_gateway_tells_of_itself(void **state)
{
	OWNED_BUF text = BUF_INIT(1 << 20), long_text = BUF_INIT(1 << 20);

	start(NULL, true);
	assert_true(reports_print(rig.core, &text));
	assert_string_equal(buf_str(&text), "gateway: ok, it has told nothing of itself yet\n");
	buf_reset(&text);
	assert_int_equal(ca_door_report("link:", true, "listener web: ok\nendpoint scep: ok"), 0);
	assert_true(reports_print(rig.core, &text));
	assert_string_equal(buf_str(&text), "gateway listener web: ok\ngateway endpoint scep: ok\n");
	/* The last one counts, and nothing that it says reaches a terminal as it is, or passes for the core's. */
	buf_reset(&text);
	assert_int_equal(ca_door_report("link:", false, "store: ok\n\x1b[2J\xc3\xa4\r\x7f\n\n"), 0);
	assert_false(reports_print(rig.core, &text));
	assert_string_equal(buf_str(&text), "gateway store: ok\ngateway ?[2J????\ngateway \n");
	buf_reset(&text);
	while (long_text.len < REPORTS_TEXT_MAX)
		assert_int_equal(buf_append_str(&long_text, "more and more and more and more: ok\n"), 0);
	assert_true(ca_door_report("link:", true, buf_str(&long_text)) < 0);
	assert_true(reports_print(rig.core, &text));
	assert_string_equal(buf_str(&text), "");
	rig_fini(&rig);
	assert_int_equal(ca_door_report("direct:", true, ""), -EAGAIN);
}

static void a_gateway_that_is_silent_is_missed(void **state)
{
	OWNED_BUF text = BUF_INIT(65536);

	start(NULL, true);
	clock_fake_set(clock_wall_ms());
	assert_int_equal(ca_door_report("link:", true, "listener web: ok"), 0);
	clock_fake_advance((REPORTS_LATE_S - 1) * 1000);
	assert_true(reports_print(rig.core, &text));
	clock_fake_advance(1000);
	buf_reset(&text);
	assert_false(reports_print(rig.core, &text));
	assert_string_equal(buf_str(&text), "gateway: has told nothing of itself for 30 s\n");
	buf_reset(&text);
	assert_int_equal(ca_door_report("link:", true, "listener web: ok"), 0);
	assert_true(reports_print(rig.core, &text));
	clock_fake_end();
	rig_fini(&rig);
}

static void a_core_that_is_away_is_busy_and_comes_back(void **state)
{
	OWNED_CA_OUTCOME out = CA_OUTCOME_INIT;
	OWNED_BUF text = BUF_INIT(65536);
	struct ca_door *door = NULL;
	int ends[2];

	start(NULL, true);
	expect_issued(rig.door, "a.example");
	assert_int_equal(ca_link_attach(-1), 0);
	assert_int_equal(submit(rig.door, "b.example", &out), CA_CALL_BUSY);
	assert_int_equal(out.retry_after_s, 1);
	assert_int_equal(ca_peek(rig.door, "acme:1", 1, &out), CA_CALL_BUSY);
	assert_int_equal(ca_locate(&door, "link:#" RIG_CA, "test"), CA_LOCATE_AWAY);
	assert_false(ca_door_health("link:", &text));
	assert_string_equal(buf_str(&text), "core: does not answer\n");
	/* The same door goes on with the next connection; nobody locates anew. */
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
	assert_int_equal(ca_core_attach(rig.core, ends[0]), 0);
	assert_int_equal(ca_link_attach(ends[1]), 0);
	expect_issued(rig.door, "b.example");
	rig_fini(&rig);
}

/* Cuts the connection while a submission is being decided, and connects anew. */
static void *break_link(void *arg)
{
	int ends[2];

	usleep(100000);
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0 && ca_core_attach(rig.core, ends[0]) == 0)
		(void)ca_link_attach(ends[1]);
	return NULL;
}

static void a_submission_in_flight_survives_a_broken_connection_and_makes_one_row(void **state)
{
	pthread_t thread;

	start(NULL, true);
	script_slow(300);
	assert_int_equal(pthread_create(&thread, NULL, break_link, NULL), 0);
	expect_issued(rig.door, "a.example");
	pthread_join(thread, NULL);
	assert_int_equal(rig_number(&rig, "SELECT count(*) FROM requests"), 1);
	assert_int_equal(rig_number(&rig, "SELECT count(*) FROM certificates"), 1);
	rig_fini(&rig);
}

static void a_slow_policy_gives_the_worker_back_and_the_repeat_finds_the_row(void **state)
{
	OWNED_CA_OUTCOME out = CA_OUTCOME_INIT;
	int tries = 0;

	start(NULL, true);
	script_slow(1500);
	assert_int_equal(submit(rig.door, "a.example", &out), CA_CALL_BUSY);
	script_slow(0);
	while (submit(rig.door, "a.example", &out) == CA_CALL_BUSY && ++tries < 10)
		;
	assert_int_equal(out.disposition, CA_ISSUED);
	assert_int_equal(rig_number(&rig, "SELECT count(*) FROM requests"), 1);
	rig_fini(&rig);
}

static void *submit_first(void *arg)
{
	OWNED_CA_OUTCOME out = CA_OUTCOME_INIT;

	(void)submit(rig.door, "first.example", &out);
	return NULL;
}

static void a_call_that_found_no_thread_in_time_is_dropped(void **state)
{
	OWNED_CA_OUTCOME out = CA_OUTCOME_INIT;
	pthread_t thread;

	start("workers: 1", true);
	script_slow(1500);
	assert_int_equal(pthread_create(&thread, NULL, submit_first, NULL), 0);
	usleep(100000);
	assert_int_equal(submit(rig.door, "second.example", &out), CA_CALL_BUSY);
	pthread_join(thread, NULL);
	/* The only thread takes the next call when both are over: nobody waits for that answer any more. */
	script_slow(0);
	while (submit(rig.door, "third.example", &out) == CA_CALL_BUSY)
		;
	assert_int_equal(rig_number(&rig, "SELECT count(*) FROM names WHERE value='first.example'"), 1);
	assert_int_equal(rig_number(&rig, "SELECT count(*) FROM names WHERE value='second.example'"), 0);
	rig_fini(&rig);
}

/* ---- a Unix socket ---- */

static char socket_core[512], socket_address[128];

/* The rig's folder is known only once it is made. */
static void start_with_socket(const char *intermediaries)
{
	static unsigned n;

	snprintf(socket_address, sizeof(socket_address), "/tmp/gh-core-%d-%u.sock", (int)getpid(), n++);
	snprintf(socket_core, sizeof(socket_core), "socket: %s, intermediaries: [%s]", socket_address, intermediaries);
	start(socket_core, false);
	memmove(socket_address + 5, socket_address, strlen(socket_address) + 1);
	memcpy(socket_address, "unix:", 5);
}

static int locate(struct ca_door **out, const char *ca)
{
	char where[192];

	snprintf(where, sizeof(where), "%s#%s", socket_address, ca);
	return ca_locate(out, where, "whatever it says");
}

static void a_user_gets_what_the_core_binds_it_to(void **state)
{
	OWNED_CA_OUTCOME out = CA_OUTCOME_INIT;
	OWNED_BUF text = BUF_INIT(65536);
	struct ca_door *door = NULL;
	char entry[256];

	snprintf(entry, sizeof(entry), "{name: printers, user: %u, endpoints: acme, names: ['*.print.example']}",
		 (unsigned)getuid());
	start_with_socket(entry);
	expect_issued(rig.door, "a.example");
	assert_int_equal(locate(&door, "Nobody"), CA_LOCATE_UNKNOWN_CA);
	assert_int_equal(locate(&door, "ca1"), 0);
	assert_string_equal(ca_door_name(door), RIG_CA);
	expect_issued(door, "one.print.example");
	assert_int_equal(rig_number(&rig, "SELECT count(*) FROM requests WHERE intermediary='printers'"), 1);
	expect_refused(door, "a.other.example", "outside of what this intermediary may ask for");
	/* Somebody else's request at the same endpoint, even in his name. */
	assert_int_equal(ca_peek(door, "acme:1", 1, &out), CA_CALL_NOT_FOUND);
	assert_int_equal(ca_peek(door, "acme:1", 2, &out), 0);
	assert_int_equal(ca_retrieve(door, "acme:1", 2, &out), 0);
	assert_true(ca_door_health(socket_address, &text));
	/* Only the gateway of the same daemon. */
	assert_int_equal(ca_door_report(socket_address, false, "core: is gone"), -EACCES);
	buf_reset(&text);
	ca_door_metrics(socket_address, &text);
	assert_int_equal(text.len, 0);
	assert_int_equal(rig_number(&rig, "SELECT count(*) FROM requests"), 2);
	ca_door_drop(&door);
	rig_fini(&rig);
}

static void submit_polled(struct ca_door *door, const char *name, const uint8_t *poll_key)
{
	OWNED_BUF der = BUF_INIT(CA_REQUEST_MAX);
	OWNED_CA_OUTCOME out = CA_OUTCOME_INIT;
	struct ca_name proven = { CA_NAME_DNS, name, CA_EVIDENCE_ACME_AUTHORIZATION, "" };
	struct ca_submission s = { .protocol = "acme", .endpoint = RIG_ENDPOINT, .profile = RIG_PROFILE,
				   .requester = "acme:1", .evidence = CA_EVIDENCE_ACME_AUTHORIZATION,
				   .names = &proven, .n_names = 1, .has_poll_key = true };

	assert_int_equal(csr_make(&(struct csr_spec){ .names = &name, .n_names = 1 }, &der), 0);
	s.request = buf_bytes(&der);
	rig_key(name, s.transaction_key);
	memcpy(s.poll_key, poll_key, sizeof(s.poll_key));
	assert_int_equal(ca_submit(door, &s, &out), 0);
	assert_int_equal(out.disposition, CA_ISSUED);
}

/* At the same endpoint, by somebody who knows the key. */
static void nobody_polls_for_what_he_may_not_ask_for(void **state)
{
	OWNED_CA_OUTCOME out = CA_OUTCOME_INIT;
	uint8_t theirs[CA_POLL_KEY_SIZE] = { 1 }, ours[CA_POLL_KEY_SIZE] = { 2 };
	struct ca_door *door = NULL;
	char entry[256];

	snprintf(entry, sizeof(entry), "{name: printers, user: %u, endpoints: acme, names: ['*.print.example']}",
		 (unsigned)getuid());
	start_with_socket(entry);
	assert_int_equal(locate(&door, RIG_CA), 0);
	submit_polled(rig.door, "a.example", theirs);
	submit_polled(door, "one.print.example", ours);
	assert_int_equal(ca_poll(door, RIG_ENDPOINT, theirs, &out), CA_CALL_NOT_FOUND);
	assert_int_equal(out.certificate.len, 0);
	assert_int_equal(ca_poll(door, "other", ours, &out), CA_CALL_NOT_FOUND);
	assert_int_equal(ca_poll(door, RIG_ENDPOINT, ours, &out), 0);
	assert_int_equal(out.disposition, CA_ISSUED);
	assert_int_equal(out.id, 2);
	assert_true(out.certificate.len > 0);
	assert_int_equal(rig_number(&rig, "SELECT count(*) FROM certificates WHERE collected_ms IS NOT NULL"), 1);
	ca_door_drop(&door);
	rig_fini(&rig);
}

/* The id of a certificate, as others write it: with the issuer that stands in it. */
static struct ca_certificate_id id_of(struct arena *arena, struct bytes certificate)
{
	struct imported read;

	assert_int_equal(imported_read(&read, arena, certificate), 0);
	return (struct ca_certificate_id){ read.issuer, read.serial };
}

static int get_certificate(struct ca_door *door, struct bytes issuer, struct bytes serial, struct bytes wanted)
{
	struct ca_certificate out = CA_CERTIFICATE_INIT;
	int e = ca_get_certificate(door, &(struct ca_certificate_id){ issuer, serial }, &out);

	if (e)
		assert_int_equal(out.der.len, 0);
	else
		assert_true(bytes_equal(buf_bytes(&out.der), wanted));
	assert_int_equal(out.key_index, 0);
	assert_int_equal(out.partition, 0);
	buf_fini(&out.der);
	return e;
}

static void find_certificate(bool over_link)
{
	OWNED_CA_OUTCOME out = CA_OUTCOME_INIT;
	OWNED(arena) arena = NULL;
	uint8_t longer[SERIAL_OCTETS_MAX + 1] = { 0 };
	OWNED_BUF chain = BUF_INIT(65536);
	struct ca_certificate_id id;
	struct bytes der;

	start(NULL, over_link);
	assert_int_equal(arena_new(&arena, 1u << 20), 0);
	assert_int_equal(submit(rig.door, "a.example", &out), 0);
	der = buf_bytes(&out.certificate);
	id = id_of(arena, der);
	assert_int_equal(get_certificate(rig.door, id.issuer, id.serial, der), 0);
	/* Revoked, it is there still. */
	assert_true(rig_write(&rig, "UPDATE certificates SET revoked_ms=1, revoked_reason=0"));
	assert_int_equal(get_certificate(rig.door, id.issuer, id.serial, der), 0);
	assert_int_equal(get_certificate(rig.door, bytes_of(NULL, 0), id.serial, der), CA_CALL_NOT_FOUND);
	assert_int_equal(get_certificate(rig.door, bytes_of(id.issuer.ptr, id.issuer.len - 1), id.serial, der),
			 CA_CALL_NOT_FOUND);
	assert_int_equal(get_certificate(rig.door, id.issuer, bytes_of(NULL, 0), der), CA_CALL_NOT_FOUND);
	assert_int_equal(get_certificate(rig.door, id.issuer, bytes_of(id.serial.ptr, id.serial.len - 1), der),
			 CA_CALL_NOT_FOUND);
	assert_int_equal(get_certificate(rig.door, id.issuer, bytes_of(longer, sizeof(longer)), der),
			 CA_CALL_NOT_FOUND);
	/* Known from the audit trail alone, it has no octets. */
	assert_true(rig_write(&rig, "UPDATE certificates SET certificate=x''"));
	assert_int_equal(get_certificate(rig.door, id.issuer, id.serial, der), CA_CALL_NOT_FOUND);
	/* Clients ask for the list by the certificate of the CA. */
	assert_int_equal(ca_get_chain(rig.door, &chain), 0);
	id = id_of(arena, buf_bytes(&chain));
	assert_int_equal(get_certificate(rig.door, id.issuer, id.serial, buf_bytes(&chain)), 0);
	assert_int_equal(get_certificate(rig.door, bytes_of(NULL, 0), id.serial, der), CA_CALL_NOT_FOUND);
	rig_fini(&rig);
}

static void a_certificate_is_found_by_issuer_and_serial(void **state)
{
	find_certificate(false);
	find_certificate(true);
}

static void nobody_finds_certificates_of_others(void **state)
{
	OWNED_CA_OUTCOME theirs = CA_OUTCOME_INIT, ours = CA_OUTCOME_INIT;
	struct ca_certificate_id id;
	OWNED(arena) arena = NULL;
	struct ca_door *door = NULL;
	char entry[256];

	snprintf(entry, sizeof(entry), "{name: printers, user: %u, endpoints: acme, names: ['*.print.example']}",
		 (unsigned)getuid());
	start_with_socket(entry);
	assert_int_equal(arena_new(&arena, 1u << 20), 0);
	assert_int_equal(locate(&door, RIG_CA), 0);
	assert_int_equal(submit(rig.door, "a.example", &theirs), 0);
	assert_int_equal(submit(door, "one.print.example", &ours), 0);
	id = id_of(arena, buf_bytes(&theirs.certificate));
	assert_int_equal(get_certificate(door, id.issuer, id.serial, bytes_of(NULL, 0)), CA_CALL_NOT_FOUND);
	id = id_of(arena, buf_bytes(&ours.certificate));
	assert_int_equal(get_certificate(door, id.issuer, id.serial, buf_bytes(&ours.certificate)), 0);
	ca_door_drop(&door);
	rig_fini(&rig);
}

static void a_certificate_names_the_list_that_tells_of_it(void **state)
{
	struct rig_settings settings = { .ca = "status: {public-url: 'http://pki.example'}, crl: {partitions: 3}",
					 .over_link = true };
	struct ca_certificate found = CA_CERTIFICATE_INIT;
	OWNED_CA_OUTCOME out = CA_OUTCOME_INIT;
	OWNED(arena) arena = NULL;
	struct ca_certificate_id id;

	script_reset();
	rig_init(&rig, &settings);
	start_rig();
	assert_int_equal(arena_new(&arena, 1u << 20), 0);
	assert_int_equal(submit(rig.door, "a.example", &out), 0);
	id = id_of(arena, buf_bytes(&out.certificate));
	assert_int_equal(ca_get_certificate(rig.door, &id, &found), 0);
	assert_int_equal(found.key_index, 0);
	assert_int_equal(found.partition, rig_number(&rig, "SELECT crl_partition FROM certificates"));
	assert_in_range(found.partition, 1, 3);
	buf_fini(&found.der);
	rig_fini(&rig);
}

/* Whoever brings the password, an intermediary has challenges made for its own endpoints alone. */
static void nobody_has_challenges_made_outside_of_its_binding(void **state)
{
	const char *endpoint = RIG_ENDPOINT, *other = "other", *scope = "any";
	struct ca_admin_caller root = { .name = "unix:root", .roles = CA_ROLE_ADMINISTRATOR };
	struct credential_spec spec = { .kind = CA_EVIDENCE_USER, .name = "mdm", .password = "correct-horse",
					.endpoints = &endpoint, .n_endpoints = 1, .scope = &scope, .n_scope = 1,
					.delegates = 1 };
	struct ca_credential_claim claim = { .kind = CA_EVIDENCE_USER, .name = "mdm", .endpoint = RIG_ENDPOINT,
					     .secret = bytes_of_str("correct-horse") };
	struct ca_delegation d = { .claim = &claim };
	struct credential_made made;
	struct ca_delegated out;
	struct ca_door *door = NULL;
	char entry[256], why[CA_REASON_SIZE];

	snprintf(entry, sizeof(entry), "{name: printers, user: %u, endpoints: acme, names: ['*.print.example']}",
		 (unsigned)getuid());
	start_with_socket(entry);
	assert_int_equal(ca_admin_create_credential(rig.core, &root, &spec, &made, why), 0);
	assert_int_equal(locate(&door, RIG_CA), 0);
	claim.endpoint = other;
	assert_int_equal(ca_delegate_challenge(door, &d, &out), CA_CALL_REFUSED);
	assert_non_null(strstr(out.reason, "endpoint"));
	assert_string_equal(out.challenge, "");
	claim.endpoint = RIG_ENDPOINT;
	claim.source_address = "nowhere";
	assert_int_equal(ca_delegate_challenge(rig.door, &d, &out), CA_CALL_REFUSED);
	claim.source_address = NULL;
	claim.kind = CA_EVIDENCE_CHALLENGE;
	assert_int_equal(ca_delegate_challenge(rig.door, &d, &out), CA_CALL_REFUSED);
	claim.kind = CA_EVIDENCE_USER;
	assert_int_equal(rig_number(&rig, "SELECT count(*) FROM credentials"), 1);
	assert_int_equal(ca_delegate_challenge(door, &d, &out), 0);
	assert_int_equal(strspn(out.challenge, "0123456789ABCDEF"), 32);
	assert_int_equal(ca_delegate_challenge(rig.door, &d, &out), CA_CALL_FULL);
	assert_string_equal(out.challenge, "");
	ca_door_drop(&door);
	rig_fini(&rig);
}

static void a_stranger_is_told_that_nobody_knows_him(void **state)
{
	OWNED_BUF text = BUF_INIT(65536);
	struct ca_door *door = NULL;

	start_with_socket("{name: printers, user: nobody, endpoints: acme, names: any}");
	assert_int_equal(locate(&door, RIG_CA), CA_LOCATE_REFUSED);
	assert_false(ca_door_health(socket_address, &text));
	assert_string_equal(buf_str(&text), "core: refuses this gateway\n");
	assert_non_null(strstr(log_text, "event=intermediary.refused"));
	assert_non_null(strstr(log_text, "see core: intermediaries:"));
	rig_fini(&rig);
}

/* For the gateway's own listener, as `protocol` "internal". */
static int submit_internal(struct ca_door *door, const char *name, struct ca_outcome *out)
{
	OWNED_BUF der = BUF_INIT(CA_REQUEST_MAX);
	struct ca_name proven = { CA_NAME_DNS, name, CA_EVIDENCE_LOCAL_CONFIG, "" };
	struct ca_submission s = { .protocol = "internal", .endpoint = "internal", .profile = "gateway-tls",
				   .requester = "gateway:public", .evidence = CA_EVIDENCE_LOCAL_CONFIG,
				   .names = &proven, .n_names = 1 };

	assert_int_equal(csr_make(&(struct csr_spec){ .names = &name, .n_names = 1 }, &der), 0);
	s.request = buf_bytes(&der);
	rig_key(name, s.transaction_key);
	return ca_submit(door, &s, out);
}

static void an_inherited_gateway_can_be_narrowed(void **state)
{
	OWNED_CA_OUTCOME out = CA_OUTCOME_INIT;
	struct ca_door *door = NULL;
	int ends[2];

	start("intermediaries: [{name: g, inherited: true, endpoints: other, names: any}]", false);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
	assert_int_equal(ca_core_attach(rig.core, ends[0]), 0);
	assert_int_equal(ca_link_attach(ends[1]), 0);
	assert_int_equal(ca_locate(&door, "link:#" RIG_CA, "gateway"), 0);
	expect_refused(door, "a.example", "not bound to that endpoint");
	/* Its own listeners need their certificate in any case, and only they. */
	assert_int_equal(submit_internal(door, "other.example", &out), CA_CALL_REFUSED);
	assert_int_equal(submit_internal(door, "gw.example", &out), 0);
	assert_int_equal(out.disposition, CA_ISSUED);
	ca_door_drop(&door);
	rig_fini(&rig);
}

static void only_the_inherited_connection_speaks_for_the_listeners(void **state)
{
	OWNED_CA_OUTCOME out = CA_OUTCOME_INIT;
	struct ca_door *door = NULL;
	char entry[256];

	snprintf(entry, sizeof(entry), "{name: liar, user: %u, endpoints: acme, names: any}", (unsigned)getuid());
	start_with_socket(entry);
	assert_int_equal(locate(&door, RIG_CA), 0);
	assert_int_equal(submit_internal(door, "gw.example", &out), CA_CALL_REFUSED);
	assert_string_equal(out.reason, "only the gateway itself may bring that evidence");
	assert_int_equal(rig_number(&rig, "SELECT count(*) FROM requests"), 0);
	ca_door_drop(&door);
	rig_fini(&rig);
}

/* ---- connecting ---- */

static _Atomic int connecting, most_connecting;

static int connect_slowly(void *arg)
{
	int n = ++connecting;

	if (n > most_connecting)
		most_connecting = n;
	usleep(400000);
	connecting--;
	return -ECONNREFUSED;
}

static void *call_nobody(void *link)
{
	OWNED_BUF reply = BUF_INIT(64);

	assert_int_equal(link_call(link, bytes_of("x", 1), 600, &reply), -ENOTCONN);
	return NULL;
}

/* Every one more would be a handshake that the other side has to do, and a thread that waits for longer than it may. */
static void one_caller_connects_and_the_others_wait(void **state)
{
	struct link_options options = { .window = 8, .connect = connect_slowly };
	pthread_t threads[4];
	struct link *link;

	assert_int_equal(link_new(&link, &options), 0);
	for (int i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, call_nobody, link), 0);
	for (int i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(most_connecting, 1);
	link_drop(&link);
}

/* ---- TLS ---- */

struct identity {
	char certificate[128], key[128];
	char fingerprint[2 * SHA256_SIZE + 1];
};

static void write_pem(const char *path, EVP_PKEY *key, X509 *certificate)
{
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	assert_int_equal(fchmod(fileno(f), 0600), 0);
	assert_int_equal(key ? PEM_write_PrivateKey(f, key, NULL, NULL, 0, NULL, NULL) :
			       PEM_write_X509(f, certificate), 1);
	fclose(f);
}

/* Self-signed; its dates are long past, which nobody looks at. */
static void make_identity(struct identity *id, const char *name)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *x = X509_new();
	unsigned char *der = NULL;
	uint8_t digest[SHA256_SIZE];
	int n;

	snprintf(id->certificate, sizeof(id->certificate), "%s/%s.pem", rig.folder, name);
	snprintf(id->key, sizeof(id->key), "%s/%s.key", rig.folder, name);
	X509_set_version(x, 2);
	ASN1_INTEGER_set(X509_get_serialNumber(x), 1);
	X509_NAME_add_entry_by_txt(X509_get_subject_name(x), "CN", MBSTRING_ASC, (const unsigned char *)name, -1, -1,
				   0);
	X509_set_issuer_name(x, X509_get_subject_name(x));
	ASN1_TIME_set_string(X509_getm_notBefore(x), "20200101000000Z");
	ASN1_TIME_set_string(X509_getm_notAfter(x), "20200102000000Z");
	X509_set_pubkey(x, key);
	assert_true(X509_sign(x, key, EVP_sha256()) > 0);
	n = i2d_X509(x, &der);
	assert_true(n > 0);
	assert_int_equal(digest_sha256(bytes_of(der, (size_t)n), digest), 0);
	hex_print(bytes_of(digest, sizeof(digest)), id->fingerprint);
	OPENSSL_free(der);
	write_pem(id->certificate, NULL, x);
	write_pem(id->key, key, NULL);
	X509_free(x);
	EVP_PKEY_free(key);
}

static uint16_t free_port(void)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t n = sizeof(a);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(bind(fd, (struct sockaddr *)&a, n), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &n), 0);
	close(fd);
	return ntohs(a.sin_port);
}

static struct identity core_identity, ours, stranger;
static uint16_t tls_port;

static void start_tls(void)
{
	static char core[1024];

	make_rig(NULL, false);
	make_identity(&core_identity, "core");
	make_identity(&ours, "ours");
	make_identity(&stranger, "stranger");
	tls_port = free_port();
	snprintf(core, sizeof(core), "listen: {address: 127.0.0.1, port: %u, certificate: %s, key: %s}, "
				     "intermediaries: [{name: branch, certificate: '%s', endpoints: acme, names: any}]",
		 tls_port, core_identity.certificate, core_identity.key, ours.fingerprint);
	rig.settings.core = core;
	start_rig();
	snprintf(socket_address, sizeof(socket_address), "tls://127.0.0.1:%u", tls_port);
}

static void use_identity(const struct identity *who, const struct identity *core)
{
	struct ca_link_tls tls = { who->certificate, who->key, core->fingerprint };
	char why[256] = "";

	if (ca_link_use_tls(&tls, why, sizeof(why)))
		fail_msg("%s", why);
}

static void a_remote_gateway_enrols_over_tls(void **state)
{
	struct ca_door *door = NULL;
	char name[64];

	start_tls();
	use_identity(&ours, &core_identity);
	assert_int_equal(locate(&door, RIG_CA), 0);
	for (int i = 0; i < 20; i++) {
		snprintf(name, sizeof(name), "n%d.example", i);
		expect_issued(door, name);
	}
	assert_int_equal(rig_number(&rig, "SELECT count(*) FROM requests WHERE intermediary='branch'"), 20);
	/* The core ends: the door waits for it and says so; it comes back, and the door goes on. */
	rig_stop(&rig);
	assert_int_equal(submit(door, "late.example", &CA_OUTCOME_INIT), CA_CALL_BUSY);
	start_rig();
	expect_issued(door, "late.example");
	ca_door_drop(&door);
	rig_fini(&rig);
	(void)ca_link_use_tls(NULL, NULL, 0);
}

static void large_messages_pass_the_relay(void **state)
{
	enum { N = 300 };
	static char texts[N][32];
	struct ca_name names[N];
	struct ca_door *door = NULL;
	OWNED_CA_OUTCOME out = CA_OUTCOME_INIT;
	OWNED_STR octets = calloc(1, CA_REQUEST_MAX);
	struct ca_submission s = { .protocol = "acme", .endpoint = "acme", .profile = "server", .requester = "acme:1",
				   .evidence = CA_EVIDENCE_ACME_AUTHORIZATION, .names = names, .n_names = N,
				   .request = bytes_of(octets, CA_REQUEST_MAX) };

	start_tls();
	use_identity(&ours, &core_identity);
	assert_int_equal(locate(&door, RIG_CA), 0);
	for (int i = 0; i < N; i++) {
		snprintf(texts[i], sizeof(texts[i]), "n%d.example", i);
		names[i] = (struct ca_name){ CA_NAME_DNS, texts[i], CA_EVIDENCE_ACME_AUTHORIZATION, "authz" };
	}
	for (int i = 0; i < 5; i++) {
		s.transaction_key[0] = (uint8_t)i;
		assert_int_equal(ca_submit(door, &s, &out), 0);
		assert_int_equal(out.status, CA_STATUS_BAD_REQUEST);
	}
	ca_door_drop(&door);
	rig_fini(&rig);
	(void)ca_link_use_tls(NULL, NULL, 0);
}

static void a_certificate_that_is_not_pinned_gets_nowhere(void **state)
{
	struct ca_door *door = NULL;

	start_tls();
	use_identity(&stranger, &core_identity);
	assert_int_equal(locate(&door, RIG_CA), CA_LOCATE_AWAY);
	assert_non_null(strstr(log_text, "event=intermediary.refused"));
	log_text[0] = '\0';
	/* And a core that is not the one that we know. */
	use_identity(&ours, &stranger);
	assert_int_equal(locate(&door, RIG_CA), CA_LOCATE_AWAY);
	assert_non_null(strstr(log_text, "event=core.unreachable"));
	assert_int_equal(rig_number(&rig, "SELECT count(*) FROM requests"), 0);
	rig_fini(&rig);
	(void)ca_link_use_tls(NULL, NULL, 0);
}

static int connect_port(void)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
				 .sin_port = htons(tls_port) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct timeval patience = { 20, 0 };

	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	return fd;
}

static void only_tls_1_3_and_not_plain_octets(void **state)
{
	static const uint8_t hello[] = { 0, 0, 0, 4, 0x1a, 2, 8, 1 };
	SSL_CTX *context = SSL_CTX_new(TLS_client_method());
	SSL *ssl;
	uint8_t answer[64];
	ssize_t n;
	int fd;

	start_tls();
	SSL_CTX_set_max_proto_version(context, TLS1_2_VERSION);
	assert_int_equal(SSL_CTX_use_certificate_file(context, ours.certificate, SSL_FILETYPE_PEM), 1);
	assert_int_equal(SSL_CTX_use_PrivateKey_file(context, ours.key, SSL_FILETYPE_PEM), 1);
	ssl = SSL_new(context);
	fd = connect_port();
	SSL_set_fd(ssl, fd);
	assert_true(SSL_connect(ssl) <= 0);
	SSL_free(ssl);
	SSL_CTX_free(context);
	close(fd);
	/* A Hello without TLS: an alert at most, and the end. */
	fd = connect_port();
	assert_int_equal(send(fd, hello, sizeof(hello), MSG_NOSIGNAL), sizeof(hello));
	do {
		n = recv(fd, answer, sizeof(answer), 0);
		assert_false(n > 0 && answer[0] != 0x15);
	} while (n > 0);
	assert_false(n < 0 && errno == EAGAIN);
	close(fd);
	rig_fini(&rig);
}

/* A connection from this address of loopback that has sent one octet, and says nothing more. */
static int connect_and_fall_silent(const char *from)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = inet_addr(from) };
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
				  .sin_port = htons(tls_port) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof(to)), 0);
	assert_int_equal(send(fd, "\x16", 1, MSG_NOSIGNAL), 1);
	return fd;
}

static unsigned count_in_log(const char *text)
{
	unsigned n = 0;

	for (const char *at = log_text; (at = strstr(at, text)) != NULL; at++)
		n++;
	return n;
}

/* As many as there are places, and more, of one address; refilled while the other one comes. */
static void one_address_does_not_keep_others_out(void **state)
{
	enum { SILENT = 16 };
	struct ca_door *door = NULL;
	int silent[SILENT];
	int64_t start_ms;

	start_tls();
	use_identity(&ours, &core_identity);
	log_text[0] = '\0';
	for (int i = 0; i < SILENT; i++)
		silent[i] = connect_and_fall_silent("127.0.0.2");
	for (int i = 0; i < SILENT; i++) {
		close(silent[i]);
		silent[i] = connect_and_fall_silent("127.0.0.2");
	}
	start_ms = clock_mono_ms();
	assert_int_equal(locate(&door, RIG_CA), 0);
	expect_issued(door, "a.example");
	assert_in_range(clock_mono_ms() - start_ms, 0, 1500);
	/* Each of them is a refusal; the log has one a second at most. */
	assert_in_range(count_in_log("event=intermediary.refused"), 1, 2);
	assert_non_null(strstr(log_text, "peer=127.0.0.2"));
	for (int i = 0; i < SILENT; i++)
		close(silent[i]);
	ca_door_drop(&door);
	rig_fini(&rig);
	(void)ca_link_use_tls(NULL, NULL, 0);
}

static void who_is_silent_is_cut_and_does_not_keep_others_out(void **state)
{
	struct ca_door *door = NULL;
	int silent[6];
	uint8_t octet;

	start_tls();
	use_identity(&ours, &core_identity);
	for (int i = 0; i < 6; i++)
		silent[i] = connect_port();
	assert_int_equal(locate(&door, RIG_CA), 0);
	expect_issued(door, "a.example");
	for (int i = 0; i < 6; i++) {
		ssize_t n = recv(silent[i], &octet, 1, 0);

		assert_false(n > 0 || (n < 0 && errno == EAGAIN));
		close(silent[i]);
	}
	ca_door_drop(&door);
	rig_fini(&rig);
	(void)ca_link_use_tls(NULL, NULL, 0);
}

static int set_up(void **state)
{
	signal(SIGPIPE, SIG_IGN);
	log_capture(keep_log, NULL);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_configuration_of_bindings_is_checked),
		cmocka_unit_test(everything_goes_over_a_link),
		cmocka_unit_test(the_gateway_tells_of_itself),
		cmocka_unit_test(a_gateway_that_is_silent_is_missed),
		cmocka_unit_test(a_core_that_is_away_is_busy_and_comes_back),
		cmocka_unit_test(a_submission_in_flight_survives_a_broken_connection_and_makes_one_row),
		cmocka_unit_test(a_slow_policy_gives_the_worker_back_and_the_repeat_finds_the_row),
		cmocka_unit_test(a_call_that_found_no_thread_in_time_is_dropped),
		cmocka_unit_test(a_user_gets_what_the_core_binds_it_to),
		cmocka_unit_test(nobody_polls_for_what_he_may_not_ask_for),
		cmocka_unit_test(a_certificate_is_found_by_issuer_and_serial),
		cmocka_unit_test(nobody_finds_certificates_of_others),
		cmocka_unit_test(a_certificate_names_the_list_that_tells_of_it),
		cmocka_unit_test(nobody_has_challenges_made_outside_of_its_binding),
		cmocka_unit_test(a_stranger_is_told_that_nobody_knows_him),
		cmocka_unit_test(an_inherited_gateway_can_be_narrowed),
		cmocka_unit_test(only_the_inherited_connection_speaks_for_the_listeners),
		cmocka_unit_test(one_caller_connects_and_the_others_wait),
		cmocka_unit_test(a_remote_gateway_enrols_over_tls),
		cmocka_unit_test(large_messages_pass_the_relay),
		cmocka_unit_test(a_certificate_that_is_not_pinned_gets_nowhere),
		cmocka_unit_test(only_tls_1_3_and_not_plain_octets),
		cmocka_unit_test(one_address_does_not_keep_others_out),
		cmocka_unit_test(who_is_silent_is_cut_and_does_not_keep_others_out),
	};

	return cmocka_run_group_tests(tests, set_up, NULL);
}
