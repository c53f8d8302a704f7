/* The validator's door over a link: what goes through it, and what a gateway sees while the other side is away.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tests/test.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/base/pool.h"
#include "core/wire/link.h"
#include "core/wire/server.h"
#include "gateway/validator/answer.h"

/* The validator behind the link, played by the test. */
static struct {
	int outcome;
	struct validation_result result;
	char seen[1024];  /* what was asked, as text */
	atomic_bool hangs;
	atomic_uint asked;
	bool is_well;
} played;

static int play_check(void *state, const struct validation *what, unsigned wait_ms, struct validation_result *out)
{
	played.asked++;
	while (played.hangs)
		usleep(5000);
	snprintf(played.seen, sizeof(played.seen), "%llu %llu %d %s %s %s %s %u", (unsigned long long)what->key,
		 (unsigned long long)what->owner, (int)what->kind, what->dns_name ? what->dns_name : "-",
		 what->ip_address ? what->ip_address : "-", what->token, what->key_authorization, wait_ms);
	*out = played.result;
	return played.outcome;
}

static int play_judge(void *state, const struct judgement *what, struct buf *statement)
{
	snprintf(played.seen, sizeof(played.seen), "%s %.*s %.*s %s %.32s", what->endpoint, (int)what->request.len,
		 (const char *)what->request.ptr, (int)what->challenge.len, (const char *)what->challenge.ptr,
		 what->transaction_id, (const char *)what->transaction_key);
	played.asked++;
	return played.outcome ? played.outcome : buf_append_str(statement, "stated");
}

static int play_notify(void *state, const struct notification *what)
{
	snprintf(played.seen, sizeof(played.seen), "%s %.*s %s %d %s %s %s %s %.*s %s %u", what->endpoint,
		 (int)what->request.len, (const char *)what->request.ptr, what->transaction_id, what->is_issued,
		 what->thumbprint, what->serial,
		 what->not_after, what->issuer, (int)what->certificate.len, (const char *)what->certificate.ptr,
		 what->description, what->fail);
	return played.outcome;
}

static bool play_health(const struct validator *v, struct buf *out)
{
	buf_printf(out, "validator: %s\n", played.is_well ? "ok" : "names cannot be looked up");
	return played.is_well;
}

static struct validator_face played_face = { .door = { .check = play_check, .judge = play_judge,
							.notify = play_notify },
					     .health = play_health };

static int answer(void *peer_arg, struct bytes message, struct buf *reply)
{
	return validator_answer(&played_face.door, message, reply);
}

static struct pool *pool;
static struct wire_server *server;
static struct link *gateway_link;
static struct validator *validator;

static void attach(void)
{
	int ends[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
	assert_int_equal(wire_server_add(server, ends[1], NULL), 0);
	link_attach(gateway_link, ends[0]);
}

static int start(void **state)
{
	log_setup(LOG_FORMAT_LOGFMT, LOG_LEVEL_ERROR);
	memset(&played, 0, sizeof(played));
	played.is_well = true;
	assert_int_equal(pool_new(&pool, &(struct pool_options){ .threads = 8 }), 0);
	assert_int_equal(wire_server_new(&server, &(struct wire_server_options){
		.name = "test", .pool = pool, .window = VALIDATOR_WINDOW, .answer = answer }), 0);
	assert_int_equal(link_new(&gateway_link, &(struct link_options){ .window = VALIDATOR_WINDOW }), 0);
	attach();
	assert_int_equal(validator_connect(&validator, gateway_link), 0);
	return 0;
}

static int stop(void **state)
{
	played.hangs = false;
	validator_drop(&validator);
	assert_null(validator);
	link_drop(&gateway_link);
	wire_server_drop(&server);
	pool_drop(&pool);
	return 0;
}

static int check(unsigned wait_ms, struct validation_result *out)
{
	const struct validation what = {
		.key = UINT64_C(0xfedcba9876543210), .owner = 7, .kind = VALIDATION_HTTP_01,
		.dns_name = "a.example", .token = "token", .key_authorization = "token.thumbprint",
	};

	return validator->check(validator->state, &what, wait_ms, out);
}

static void everything_goes_through(void **state)
{
	const struct validation address = { .key = 1, .kind = VALIDATION_HTTP_01, .ip_address = "192.0.2.1",
					    .token = "t", .key_authorization = "k" };
	struct validation_result result;

	played.result = (struct validation_result){ .problem = VALIDATION_PROBLEM_TLS, .address = "192.0.2.7" };
	memset(played.result.detail, 'd', sizeof(played.result.detail) - 1);
	assert_int_equal(check(250, &result), 0);
	assert_string_equal(played.seen, "18364758544493064720 7 1 a.example - token token.thumbprint 250");
	assert_int_equal(result.problem, VALIDATION_PROBLEM_TLS);
	assert_string_equal(result.detail, played.result.detail);
	assert_string_equal(result.address, "192.0.2.7");
	played.result = (struct validation_result){ 0 };
	assert_int_equal(validator->check(validator->state, &address, 0, &result), 0);
	assert_string_equal(played.seen, "1 0 1 - 192.0.2.1 t k 0");
	assert_int_equal(result.problem, VALIDATION_PROBLEM_NONE);
	assert_string_equal(result.detail, "");
	assert_string_equal(result.address, "");
}

static void outcomes_stay_what_they_are(void **state)
{
	static const struct {
		int there, here;
	} rows[] = {
		{ 0, 0 }, { VALIDATION_RUNNING, VALIDATION_RUNNING }, { VALIDATION_BUSY, VALIDATION_BUSY },
		{ -EINVAL, -EIO }, { -ENOMEM, -EIO }, { 57, -EIO },
	};
	struct validation_result result;

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		played.outcome = rows[i].there;
		assert_int_equal(check(10, &result), rows[i].here);
	}
	/* A verdict that there is not is none. */
	played.outcome = 0;
	played.result.problem = (enum validation_problem)99;
	assert_int_equal(check(10, &result), -EBADMSG);
}

static void nobody_waits_much_longer_than_that(void **state)
{
	struct validation_result result;
	int64_t start_ms = clock_mono_ms();

	played.hangs = true;
	assert_int_equal(check(100, &result), VALIDATION_RUNNING);
	assert_in_range(clock_mono_ms() - start_ms, 150, 900);
	/* Known to be slow: others are not held up. */
	start_ms = clock_mono_ms();
	assert_int_equal(check(0, &result), VALIDATION_RUNNING);
	assert_in_range(clock_mono_ms() - start_ms, 0, 900);
	played.hangs = false;
	/* And when it answers again it is heard again. */
	for (int i = 0; i < 100 && check(0, &result) == VALIDATION_RUNNING; i++)
		;
	assert_int_equal(check(0, &result), 0);
}

static void while_it_is_away_a_job_is_running(void **state)
{
	struct validation_result result;
	int64_t start_ms;

	link_attach(gateway_link, -1);
	start_ms = clock_mono_ms();
	for (int i = 0; i < 5; i++)
		assert_int_equal(check(0, &result), VALIDATION_RUNNING);
	assert_in_range(clock_mono_ms() - start_ms, 0, 2000);
	assert_int_equal(played.asked, 0);
	attach();
	assert_int_equal(check(0, &result), 0);
	assert_int_equal(played.asked, 1);
}

static void *break_link(void *arg)
{
	while (!played.asked)
		usleep(1000);
	link_attach(gateway_link, -1);
	return NULL;
}

static void a_link_that_breaks_in_the_middle_is_not_a_verdict(void **state)
{
	struct validation_result result;
	pthread_t breaker;

	played.hangs = true;
	assert_int_equal(pthread_create(&breaker, NULL, break_link, NULL), 0);
	assert_int_equal(check(5000, &result), VALIDATION_RUNNING);
	pthread_join(breaker, NULL);
	played.hangs = false;
	attach();
	assert_int_equal(check(100, &result), 0);
	assert_int_equal(played.asked, 2);
}

static int judge(struct buf *statement)
{
	const struct judgement what = {
		.endpoint = "phones", .request = bytes_of_str("csr"), .challenge = bytes_of_str("word"),
		.transaction_id = "t1",
		.transaction_key = (const uint8_t *)"0123456789abcdef0123456789abcdef",
	};

	return validator->judge(validator->state, &what, statement);
}

static void a_judgement_goes_through(void **state)
{
	static const struct {
		int there, here;
	} rows[] = {
		{ JUDGEMENT_DENIED, JUDGEMENT_DENIED }, { JUDGEMENT_NONE, JUDGEMENT_NONE },
		{ JUDGEMENT_BUSY, JUDGEMENT_BUSY }, { -EINVAL, -EIO }, { -ENOMEM, -EIO }, { 57, -EIO },
	};
	OWNED_BUF statement = BUF_INIT(256);

	assert_int_equal(judge(&statement), 0);
	assert_string_equal(played.seen, "phones csr word t1 0123456789abcdef0123456789abcdef");
	assert_string_equal(buf_str(&statement), "stated");
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		buf_reset(&statement);
		played.outcome = rows[i].there;
		assert_int_equal(judge(&statement), rows[i].here);
		assert_int_equal(statement.len, 0);
	}
	/* Nobody there is nobody who allows. */
	link_attach(gateway_link, -1);
	assert_int_equal(judge(&statement), JUDGEMENT_NONE);
}

static void a_notification_goes_through(void **state)
{
	struct notification n = { "phones", bytes_of_str("csr"), "t1", true, "AB", "01", "2027", "CN=CA",
				  bytes_of_str("der"), NULL, 2 };
	static const struct {
		int there, here;
	} rows[] = {
		{ JUDGEMENT_NONE, JUDGEMENT_NONE }, { JUDGEMENT_BUSY, JUDGEMENT_BUSY },
		{ NOTIFICATION_LOST, NOTIFICATION_LOST }, { -EINVAL, -EIO }, { 57, -EIO },
	};

	assert_int_equal(validator->notify(validator->state, &n), 0);
	assert_string_equal(played.seen, "phones csr t1 1 AB 01 2027 CN=CA der  2");
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		played.outcome = rows[i].there;
		assert_int_equal(validator->notify(validator->state, &n), rows[i].here);
	}
	/* Nobody there is nobody who was told. */
	link_attach(gateway_link, -1);
	assert_int_equal(validator->notify(validator->state, &n), JUDGEMENT_NONE);
}

static void health_is_the_other_sides_or_its_absence(void **state)
{
	static const struct {
		bool is_attached, is_well;
		const char *line;
	} rows[] = {
		{ true, true, "validator: ok\n" },
		{ true, false, "validator: names cannot be looked up\n" },
		{ false, false, "validator: does not answer\n" },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		OWNED_BUF line = BUF_INIT(256);

		played.is_well = rows[i].is_well;
		if (!rows[i].is_attached)
			link_attach(gateway_link, -1);
		assert_int_equal(validator_health(validator, &line), rows[i].is_well);
		assert_string_equal(buf_str(&line), rows[i].line);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(everything_goes_through, start, stop),
		cmocka_unit_test_setup_teardown(outcomes_stay_what_they_are, start, stop),
		cmocka_unit_test_setup_teardown(nobody_waits_much_longer_than_that, start, stop),
		cmocka_unit_test_setup_teardown(while_it_is_away_a_job_is_running, start, stop),
		cmocka_unit_test_setup_teardown(a_link_that_breaks_in_the_middle_is_not_a_verdict, start, stop),
		cmocka_unit_test_setup_teardown(a_judgement_goes_through, start, stop),
		cmocka_unit_test_setup_teardown(a_notification_goes_through, start, stop),
		cmocka_unit_test_setup_teardown(health_is_the_other_sides_or_its_absence, start, stop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
