/* gatehouse-validator as a process, against a small HTTP server of the test's own.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tests/test.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/wire/control.h"
#include "core/wire/link.h"
#include "gateway/validator/validator.h"
#include "tests/unit/child.h"

static int http_fd;
static uint16_t http_port;

static void *serve_http(void *arg)
{
	static const char reply[] = "HTTP/1.1 200 OK\r\nContent-Length: 16\r\nConnection: close\r\n\r\n"
				    "token.thumbprint";
	int fd;

	while ((fd = accept4(http_fd, NULL, NULL, SOCK_CLOEXEC)) >= 0) {
		char octets[2048];

		if (recv(fd, octets, sizeof(octets), 0) > 0)
			(void)!send(fd, reply, sizeof(reply) - 1, MSG_NOSIGNAL);
		shutdown(fd, SHUT_WR);
		(void)!recv(fd, octets, sizeof(octets), 0);
		close(fd);
	}
	return NULL;
}

static pthread_t http_thread;

static int start_http(void **state)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t size = sizeof(a);

	http_fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(http_fd, (struct sockaddr *)&a, size), 0);
	assert_int_equal(listen(http_fd, 16), 0);
	assert_int_equal(getsockname(http_fd, (struct sockaddr *)&a, &size), 0);
	http_port = ntohs(a.sin_port);
	return pthread_create(&http_thread, NULL, serve_http, NULL);
}

static int stop_http(void **state)
{
	shutdown(http_fd, SHUT_RDWR);
	pthread_join(http_thread, NULL);
	close(http_fd);
	return 0;
}

/* The whole configuration of a gateway, of which the validator reads one section. */
static void give_configuration(struct child *c)
{
	OWNED_BUF text = BUF_INIT(4096);

	buf_printf(&text, "data: /nowhere\nlisteners: [{name: web, tls: {a: b}}]\n"
			  "validator:\n  http-port: %u\n  allow: [127.0.0.0/8]\n  hosts: {a.example: 127.0.0.1}\n"
			  "core:\n  administrators: [root]\n", http_port);
	child_give(c, "config", "/etc/gatehouse/gatehouse.yaml", buf_bytes(&text));
}

static void start(struct child *c)
{
	child_spawn(c, getenv("GATEHOUSE_VALIDATOR"));
	if (geteuid() == 0)
		control_send(c->channel, "user", "65534 65534", -1);
	give_configuration(c);
	child_give_link(c, "gateway");
	child_go(c);
}

/* Ask until there is a verdict. */
static void validate(struct validator *v, uint64_t key)
{
	const struct validation what = { .key = key, .kind = VALIDATION_HTTP_01, .dns_name = "a.example",
					 .token = "token", .key_authorization = "token.thumbprint" };
	struct validation_result result = { 0 };
	int64_t end_ms = clock_mono_ms() + 10000;
	int e = VALIDATION_RUNNING;

	while (e == VALIDATION_RUNNING && clock_mono_ms() < end_ms)
		e = v->check(v->state, &what, 500, &result);
	assert_int_equal(e, 0);
	assert_string_equal(result.detail, "");
	assert_int_equal(result.problem, VALIDATION_PROBLEM_NONE);
	assert_string_equal(result.address, "127.0.0.1");
}

static void validates_and_starts_anew_after_it_was_killed(void **state)
{
	OWNED_BUF line = BUF_INIT(256);
	struct validator *v;
	struct link *link;
	struct child c;

	start(&c);
	assert_int_equal(link_new(&link, &(struct link_options){ .window = VALIDATOR_WINDOW }), 0);
	link_attach(link, c.link);
	c.link = -1;
	assert_int_equal(validator_connect(&v, link), 0);
	assert_true(validator_health(v, &line));
	validate(v, 1);
	child_kill(&c);
	assert_false(validator_health(v, &line));
	start(&c);
	link_attach(link, c.link);
	c.link = -1;
	validate(v, 2);
	validator_drop(&v);
	link_drop(&link);
	/* It ends with its link. */
	assert_int_equal(child_wait(&c), 0);
}

static void ends_with_its_supervisor_and_when_told(void **state)
{
	struct child c;

	start(&c);
	control_send(c.channel, "stop", NULL, -1);
	assert_int_equal(child_wait(&c), 0);
	start(&c);
	shutdown(c.channel, SHUT_RDWR);
	assert_int_equal(child_wait(&c), 0);
}

static void says_why_it_cannot_start(void **state)
{
	static const struct {
		const char *text, *why;
	} rows[] = {
		{ "validator: {http-prt: 80}", "gatehouse.yaml:1:13: unknown option 'http-prt'" },
		{ "validator: {allow: [nonsense]}", "gatehouse.yaml:1:21: 'nonsense' is not a range" },
		{ NULL, "no configuration" },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct control_message m;
		struct child c;

		child_spawn(&c, getenv("GATEHOUSE_VALIDATOR"));
		if (rows[i].text)
			child_give(&c, "config", "gatehouse.yaml", bytes_of_str(rows[i].text));
		child_give_link(&c, "gateway");
		control_send(c.channel, "go", NULL, -1);
		assert_int_equal(control_receive(c.channel, &m, true), 0);
		assert_string_equal(m.word, "failed");
		if (!strstr(m.text, rows[i].why))
			fail_msg("%s", m.text);
		assert_int_equal(child_wait(&c), CONTROL_EXIT_FAILED);
	}
}

static void started_by_hand_it_says_who_starts_it(void **state)
{
	char said[256];

	assert_int_equal(child_run_by_hand(getenv("GATEHOUSE_VALIDATOR"), said, sizeof(said)), 2);
	assert_non_null(strstr(said, "gatehouse-validator is started by gatehoused"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(validates_and_starts_anew_after_it_was_killed),
		cmocka_unit_test(ends_with_its_supervisor_and_when_told),
		cmocka_unit_test(says_why_it_cannot_start),
		cmocka_unit_test(started_by_hand_it_says_who_starts_it),
	};

	return cmocka_run_group_tests(tests, start_http, stop_http);
}
