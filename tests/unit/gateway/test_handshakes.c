/* Many clients at once: their handshakes take turns with the requests of those that are there already.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tests/test.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "tests/unit/gateway/h2_server.h"

#define CLIENTS 90
#define BURSTS 9
#define ROUNDS 5 /* what else the machine does may spoil one */

static int64_t now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static int compare(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return (x > y) - (x < y);
}

static int64_t median(int64_t *us)
{
	qsort(us, BURSTS, sizeof(*us), compare);
	return us[BURSTS / 2];
}

/* All say hello at once, and one that is there already asks for something: how long that takes, and how long until
 * all handshakes were answered. */
static void burst(struct h2_server *f, struct h2_caller *c, struct bytes hello, int64_t *one_us, int64_t *all_us)
{
	int fds[CLIENTS], i;
	int64_t began;

	for (i = 0; i < CLIENTS; i++)
		fds[i] = h2_server_dial(f);
	h2_server_wait_for(f, CLIENTS + 1);
	began = now_us();
	for (i = 0; i < CLIENTS; i++)
		assert_int_equal(send(fds[i], hello.ptr, hello.len, MSG_NOSIGNAL), hello.len);
	*one_us = now_us();
	h2_expect(c, "GET", "/t/hello", NOTHING, 200, "hello");
	*one_us = now_us() - *one_us;
	for (i = 0; i < CLIENTS; i++)
		assert_int_equal(poll(&(struct pollfd){ .fd = fds[i], .events = POLLIN }, 1, 10000), 1);
	*all_us = now_us() - began;
	for (i = 0; i < CLIENTS; i++)
		close(fds[i]);
	h2_server_wait_for(f, 1);
}

static bool takes_turns(struct h2_server *f, struct h2_caller *c, struct bytes hello)
{
	int64_t one[BURSTS], all[BURSTS];
	int i;

	for (i = 0; i < BURSTS; i++)
		burst(f, c, hello, &one[i], &all[i]);
	print_message("a request takes %lld us while %d handshakes take %lld us\n", (long long)median(one), CLIENTS,
		      (long long)median(all));
	return median(one) <= median(all) / 3;
}

static void serves_a_connection_in_the_middle_of_many_handshakes(void **state)
{
	OWNED_BUF hello = BUF_INIT(4096);
	struct h2_server f;
	struct h2_caller c;
	bool good = false;
	int i;

	assert_true(tls_client_hello(&hello));
	h2_server_start(&f);
	c = h2_call(&f);
	h2_expect(&c, "GET", "/t/hello", NOTHING, 200, "hello");
	for (i = 0; i < ROUNDS && !good; i++)
		good = takes_turns(&f, &c, buf_bytes(&hello));
	assert_true(good);
	h2_hang_up(&c);
	h2_server_stop(&f);
}

/* Those that wait for their turn may go away, or be there when the server stops. */
static void forgets_those_that_go_away_before_their_turn(void **state)
{
	OWNED_BUF hello = BUF_INIT(4096);
	int fds[CLIENTS], i, round;
	struct h2_server f;

	assert_true(tls_client_hello(&hello));
	h2_server_start(&f);
	for (round = 0; round < 3; round++) {
		for (i = 0; i < CLIENTS; i++)
			fds[i] = h2_server_dial(&f);
		h2_server_wait_for(&f, CLIENTS);
		for (i = 0; i < CLIENTS; i++)
			send(fds[i], hello.ptr, hello.len, MSG_NOSIGNAL);
		for (i = round == 2 ? CLIENTS : 0; i < CLIENTS; i++)
			close(fds[i]);
		if (round < 2)
			h2_server_wait_for(&f, 0);
	}
	h2_server_stop(&f);
	for (i = 0; i < CLIENTS; i++)
		close(fds[i]);
}

/* The end of what a client says is there before the last step of its handshake has its turn. */
static void answers_a_client_that_said_all_before_its_turn(void **state)
{
	OWNED_BUF hello = BUF_INIT(4096);
	int fds[CLIENTS], fd, i, on = 1;
	struct tls_client *c;
	struct h2_server f;
	char text[4096];

	assert_true(tls_client_hello(&hello));
	h2_server_start(&f);
	fd = h2_server_dial(&f);
	/* What it says after its hello is held back here, until it says that nothing more comes. */
	assert_int_equal(setsockopt(fd, IPPROTO_TCP, TCP_CORK, &on, sizeof(on)), 0);
	c = tls_client_new(fd, 0x0304, NULL);
	assert_non_null(c);
	for (i = 0; i < CLIENTS; i++)
		fds[i] = h2_server_dial(&f);
	for (i = 0; i < CLIENTS; i++)
		assert_int_equal(send(fds[i], hello.ptr, hello.len, MSG_NOSIGNAL), hello.len);
	assert_true(tls_client_write(c, "GET /t/hello HTTP/1.1\r\nHost: ca.example\r\n\r\n"));
	assert_int_equal(shutdown(fd, SHUT_WR), 0);
	assert_true(tls_client_read(c, text, sizeof(text)) > 0);
	assert_memory_equal(text, "HTTP/1.1 200 ", 13);
	tls_client_drop(&c);
	close(fd);
	for (i = 0; i < CLIENTS; i++)
		close(fds[i]);
	h2_server_stop(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(serves_a_connection_in_the_middle_of_many_handshakes),
		cmocka_unit_test(answers_a_client_that_said_all_before_its_turn),
		cmocka_unit_test(forgets_those_that_go_away_before_their_turn),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
