/* The gateway's own certificate, against a core that the test plays.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tests/test.h"

#include "core/base/file.h"
#include "core/registry.h"
#include "gateway/server_cert.h"
#include "tests/unit/gateway/tls_client.h"

#include <fcntl.h>
#include <ftw.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- the core ---- */

struct ca_door {
	int unused;
};

enum answer { ANSWER_ISSUE, ANSWER_PEND, ANSWER_BUSY, ANSWER_ERROR };

static struct {
	_Atomic enum answer answer;
	unsigned submissions, doors;
	uint8_t transaction_key[CA_TRANSACTION_KEY_SIZE];
	long from, to;
	struct buf certificate, key;
	char names[256], requester[64];
} core;

void ca_door_drop(struct ca_door **ca)
{
	core.doors -= *ca != NULL;
	free(*ca);
	*ca = NULL;
}

void ca_outcome_fini(struct ca_outcome *out)
{
	buf_fini(&out->certificate);
	buf_fini(&out->chain);
}

const char *ca_status_word(enum ca_status status)
{
	return status == CA_STATUS_BUILD_FAILURE ? "build-failure" : "";
}

int ca_get_chain(struct ca_door *ca, struct buf *out)
{
	return tls_client_der(buf_bytes(&core.certificate), out) ? 0 : -1;
}

static void remember(const struct ca_submission *s)
{
	size_t i, used = 0;

	core.submissions++;
	core.names[0] = 0;
	memcpy(core.transaction_key, s->transaction_key, sizeof(core.transaction_key));
	snprintf(core.requester, sizeof(core.requester), "%s", s->requester);
	for (i = 0; i < s->n_names; i++)
		used += (size_t)snprintf(core.names + used, sizeof(core.names) - used, "%s:%s ",
					 s->names[i].kind == CA_NAME_IP ? "ip" : "dns", s->names[i].value);
}

int ca_submit(struct ca_door *ca, const struct ca_submission *s, struct ca_outcome *out)
{
	enum answer answer = core.answer;

	remember(s);
	out->id = 7;
	switch (answer) {
	case ANSWER_BUSY:
		return CA_CALL_BUSY;
	case ANSWER_PEND:
		out->disposition = CA_UNDER_SUBMISSION;
		return 0;
	case ANSWER_ERROR:
		out->disposition = CA_ERROR;
		out->status = CA_STATUS_BUILD_FAILURE;
		return 0;
	default:
		out->disposition = CA_ISSUED;
		return tls_client_sign(s->request, buf_bytes(&core.certificate), buf_bytes(&core.key), core.from,
				       core.to, &out->certificate) &&
				       ca_get_chain(ca, &out->chain) == 0
			       ? 0
			       : -1;
	}
}

static void new_ca(void)
{
	core.certificate = core.key = BUF_INIT(65536);
	core.from = -60;
	core.to = 86400;
	assert_true(tls_client_certificate("Test CA", 10, &core.certificate, &core.key));
}

/* ---- the gateway ---- */

struct fixture {
	char folder[64];
	struct pool *workers;
	struct gw_router *router;
	struct gw_server *server;
	struct gw_listener *listener;
	struct gw_certs *certs;
};

static const char *const names[] = { "ca.example", "127.0.0.1", "::1" };

static int try_start(struct fixture *f, size_t n_names, const char *certificate, const char *key, char why[256])
{
	struct gw_listener_options o = { .name = "web", .address = "127.0.0.1", .is_tls = true, .names = names,
					 .n_names = n_names, .limits = HTTP1_LIMITS_DEFAULT,
					 .deadlines = GW_DEADLINES_DEFAULT };
	struct gw_server_options options = { .loops = 1, .max_connections = 10 };
	struct ca_door *ca = calloc(1, sizeof(*ca));

	core.submissions = 0;
	core.doors = certificate ? 0 : 1;
	assert_int_equal(pool_new(&f->workers, &(struct pool_options){ .threads = 1, .queue = 1 }), 0);
	assert_int_equal(gw_router_new(&f->router), 0);
	options.workers = f->workers;
	o.router = f->router;
	assert_int_equal(gw_server_new(&f->server, &options), 0);
	assert_int_equal(gw_server_listen(f->server, &o, &f->listener, why, 256), 0);
	assert_int_equal(gw_certs_new(&f->certs, f->server, f->folder), 0);
	assert_int_equal(gw_server_start(f->server), 0);
	if (!certificate) {
		assert_int_equal(gw_certs_add(f->certs, f->listener, ca), 0);
	} else {
		free(ca);
		assert_int_equal(gw_certs_add_files(f->certs, f->listener, certificate, key), 0);
	}
	return gw_certs_start(f->certs, why, 256);
}

static void start(struct fixture *f, size_t n_names)
{
	char why[256];

	assert_int_equal(try_start(f, n_names, NULL, NULL, why), 0);
}

static void stop(struct fixture *f)
{
	gw_certs_drop(&f->certs);
	assert_int_equal(core.doors, 0);
	gw_server_stop(f->server, 100);
	pool_drop(&f->workers);
	gw_server_drop(&f->server);
	gw_router_drop(&f->router);
}

static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	snprintf(f->folder, sizeof(f->folder), "/tmp/gatehouse-test-XXXXXX");
	memset(&core, 0, sizeof(core));
	new_ca();
	*state = f;
	return mkdtemp(f->folder) ? 0 : -1;
}

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	return remove(path);
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	nftw(f->folder, remove_one, 8, FTW_DEPTH | FTW_PHYS);
	buf_fini(&core.certificate);
	buf_fini(&core.key);
	free(f);
	return 0;
}

static bool is_healthy(struct fixture *f, const char *line)
{
	OWNED_BUF out = BUF_INIT(4096);
	bool well = gw_certs_health(f->certs, &out);

	if (!strstr(buf_str(&out), line))
		fail_msg("no '%s' in '%s'", line, buf_str(&out));
	return well;
}

static bool has_file(const struct fixture *f, const char *name)
{
	char path[128];
	struct stat st;

	snprintf(path, sizeof(path), "%s/%s", f->folder, name);
	if (stat(path, &st) < 0)
		return false;
	assert_int_equal(st.st_mode & 0777, 0600);
	return true;
}

static bool waits_until_open(const struct fixture *f)
{
	int tries;

	for (tries = 0; tries < 500 && !atomic_load(&f->listener->is_open); tries++)
		usleep(10000);
	return atomic_load(&f->listener->is_open);
}

static void asks_for_its_names_and_opens(void **state)
{
	struct fixture *f = *state;

	start(f, 3);
	assert_true(is_healthy(f, "listener web: ok\n"));
	assert_true(atomic_load(&f->listener->is_open));
	assert_string_equal(core.names, "dns:ca.example ip:127.0.0.1 ip:::1 ");
	assert_string_equal(core.requester, "gateway:web");
	assert_int_equal(core.submissions, 1);
	assert_true(has_file(f, "tls-web.pem"));
	assert_false(has_file(f, "tls-web.key"));
	stop(f);
}

static void uses_a_stored_certificate_again(void **state)
{
	struct fixture *f = *state;

	start(f, 3);
	stop(f);
	start(f, 3);
	assert_int_equal(core.submissions, 0);
	assert_true(is_healthy(f, "listener web: ok\n"));
	stop(f);
}

static void asks_anew_when_its_names_changed(void **state)
{
	struct fixture *f = *state;

	start(f, 3);
	stop(f);
	start(f, 2);
	assert_int_equal(core.submissions, 1);
	assert_string_equal(core.names, "dns:ca.example ip:127.0.0.1 ");
	stop(f);
}

static void asks_anew_when_the_ca_is_another(void **state)
{
	struct fixture *f = *state;

	start(f, 3);
	stop(f);
	buf_fini(&core.certificate);
	buf_fini(&core.key);
	new_ca();
	start(f, 3);
	assert_int_equal(core.submissions, 1);
	stop(f);
}

static void renews_after_two_thirds_of_the_life(void **state)
{
	struct fixture *f = *state;

	core.from = -3000;
	core.to = 1000;
	start(f, 3);
	stop(f);
	core.to = 100000;
	start(f, 3);
	assert_int_equal(core.submissions, 1);
	assert_true(is_healthy(f, "listener web: ok\n"));
	stop(f);
}

static void keeps_the_old_certificate_while_renewal_waits(void **state)
{
	struct fixture *f = *state;

	core.from = -3000;
	core.to = 1000;
	start(f, 3);
	stop(f);
	core.answer = ANSWER_PEND;
	start(f, 3);
	assert_int_equal(core.submissions, 1);
	assert_true(is_healthy(f, "listener web: ok\n"));
	assert_true(atomic_load(&f->listener->is_open));
	stop(f);
}

static void stays_closed_until_approved_with_one_transaction_key(void **state)
{
	uint8_t key[CA_TRANSACTION_KEY_SIZE];
	struct fixture *f = *state;

	core.answer = ANSWER_PEND;
	start(f, 3);
	assert_false(is_healthy(f, "listener web: request 7 waits for approval\n"));
	assert_false(atomic_load(&f->listener->is_open));
	assert_true(has_file(f, "tls-web.key"));
	memcpy(key, core.transaction_key, sizeof(key));
	stop(f);
	start(f, 3);
	assert_memory_equal(key, core.transaction_key, sizeof(key));
	core.answer = ANSWER_ISSUE;
	assert_true(waits_until_open(f));
	assert_memory_equal(key, core.transaction_key, sizeof(key));
	stop(f);
}

static void tries_again_when_the_core_is_busy(void **state)
{
	struct fixture *f = *state;

	core.answer = ANSWER_BUSY;
	start(f, 3);
	assert_false(is_healthy(f, "listener web: the core is busy\n"));
	core.answer = ANSWER_ISSUE;
	assert_true(waits_until_open(f));
	stop(f);
}

static void makes_another_request_after_a_failed_one(void **state)
{
	uint8_t key[CA_TRANSACTION_KEY_SIZE];
	struct fixture *f = *state;

	core.answer = ANSWER_ERROR;
	start(f, 3);
	assert_false(is_healthy(f, "was refused: build-failure"));
	memcpy(key, core.transaction_key, sizeof(key));
	core.answer = ANSWER_ISSUE;
	assert_true(waits_until_open(f));
	assert_memory_not_equal(key, core.transaction_key, sizeof(key));
	stop(f);
}

static void takes_files_and_refuses_a_key_that_others_can_read(void **state)
{
	char certificate[128], key[128], why[256];
	struct fixture *f = *state;

	snprintf(certificate, sizeof(certificate), "%s/c.pem", f->folder);
	snprintf(key, sizeof(key), "%s/k.pem", f->folder);
	assert_int_equal(file_write_atomic_at(AT_FDCWD, certificate, buf_bytes(&core.certificate), 0644), 0);
	assert_int_equal(file_write_atomic_at(AT_FDCWD, key, buf_bytes(&core.key), 0600), 0);
	assert_int_equal(try_start(f, 0, certificate, key, why), 0);
	assert_true(is_healthy(f, "listener web: ok\n"));
	assert_int_equal(core.submissions, 0);
	stop(f);
	assert_int_equal(chmod(key, 0644), 0);
	assert_true(try_start(f, 0, certificate, key, why) < 0);
	assert_non_null(strstr(why, "0600"));
	stop(f);
	assert_true(try_start(f, 0, "/none/c.pem", key, why) < 0);
	assert_non_null(strstr(why, "/none/c.pem: No such file"));
	stop(f);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(asks_for_its_names_and_opens),
		TEST(uses_a_stored_certificate_again),
		TEST(asks_anew_when_its_names_changed),
		TEST(asks_anew_when_the_ca_is_another),
		TEST(renews_after_two_thirds_of_the_life),
		TEST(keeps_the_old_certificate_while_renewal_waits),
		TEST(stays_closed_until_approved_with_one_transaction_key),
		TEST(tries_again_when_the_core_is_busy),
		TEST(makes_another_request_after_a_failed_one),
		TEST(takes_files_and_refuses_a_key_that_others_can_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
