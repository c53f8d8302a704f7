/* Which listening sockets the supervisor has: those that it was given, and those that it opens.
 *
 * What is bound to all addresses never listens here: nobody reaches it.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tests/test.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/base/log.h"
#include "core/base/own.h"
#include "core/exit.h"
#include "core/policy.h"
#include "core/wire/control.h"
#include "gateway/bind.h"
#include "gateway/config.h"
#include "gateway/supervisor/sockets.h"
#include "protocols/adapter.h"

#define FIRST_GIVEN 3

/* ---- what the build would have made ---- */

const struct proto_adapter *const proto_adapters[] = { NULL };
const struct ca_policy_module *const policy_modules[] = { NULL };
const struct ca_exit_module *const exit_modules[] = { NULL };

/* ---- helpers ---- */

static struct conf *configure(const char *address, unsigned port, unsigned loops)
{
	struct conf *conf = NULL;
	struct conf_error error;
	char text[512];

	snprintf(text, sizeof(text),
		 "gateway: {loops: %u}\nlisteners: [{name: web, address: '%s', port: %u, names: [a.example]}]\n", loops,
		 address, port);
	if (conf_parse(&conf, bytes_of_str(text), "g.yaml", gw_config_rows(), &error))
		fail_msg("%s", error.text);
	return conf;
}

static int bind_one(const char *address, uint16_t port)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons(port) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;

	assert_int_equal(inet_pton(AF_INET, address, &a.sin_addr), 1);
	assert_return_code(setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on)), errno);
	assert_return_code(bind(fd, (struct sockaddr *)&a, sizeof(a)), errno);
	return fd;
}

static bool is_open(int fd)
{
	return fcntl(fd, F_GETFD) >= 0;
}

/* Hand over `n` sockets as a service manager does. */
static struct sockets *give(const int *fds, int n)
{
	struct sockets *s = NULL;
	char text[24];

	for (int i = 0; i < n; i++) {
		assert_false(is_open(FIRST_GIVEN + i));
		assert_return_code(dup2(fds[i], FIRST_GIVEN + i), errno);
	}
	snprintf(text, sizeof(text), "%d", (int)getpid());
	setenv("LISTEN_PID", text, 1);
	snprintf(text, sizeof(text), "%d", n);
	setenv("LISTEN_FDS", text, 1);
	assert_int_equal(sockets_new(&s), 0);
	assert_int_equal(sockets_adopt(s), 0);
	return s;
}

/* How many sockets the gateway is given for this configuration; it may listen on them. */
static unsigned take_given(const struct sockets *s, const struct conf *conf, bool listens)
{
	struct control_message m;
	int ends[2];
	unsigned n = 0;

	assert_return_code(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), errno);
	assert_int_equal(sockets_give(s, conf_root(conf), ends[0]), 0);
	while (control_receive(ends[1], &m, false) == 0) {
		assert_string_equal(m.word, "listener");
		if (listens)
			assert_return_code(listen(m.fd, 1), errno);
		close(m.fd);
		n++;
	}
	close(ends[0]);
	close(ends[1]);
	return n;
}

/* Above all that a test opens by itself, so that 3, 4 and 5 are free to be given. */
static int move_up(int fd)
{
	int up = fcntl(fd, F_DUPFD_CLOEXEC, 50);

	assert_return_code(up, errno);
	close(fd);
	return up;
}

static char warned[512];

static void keep_line(void *arg, const char *line)
{
	snprintf(warned, sizeof(warned), "%s", line);
}

/* ---- tests ---- */

static void uses_every_given_socket_of_an_address(void **state)
{
	int fds[3];
	uint16_t port;
	struct sockets *s;
	struct conf_error error;
	OWNED(conf) conf = NULL;

	fds[0] = move_up(bind_one("127.0.0.1", 0));
	port = gw_bound_port(fds[0]);
	fds[1] = move_up(bind_one("127.0.0.1", port));
	fds[2] = move_up(bind_one("127.0.0.1", port));
	s = give(fds, 3);
	conf = configure("127.0.0.1", port, 4);
	assert_int_equal(sockets_open(s, conf_root(conf), &error), 0);
	assert_int_equal(take_given(s, conf, false), 3);
	sockets_drop(&s);
	for (int i = 0; i < 3; i++) {
		assert_false(is_open(FIRST_GIVEN + i));
		close(fds[i]);
	}
}

/* The kernel would spread connections over all of them, and nobody would accept those of the third. */
static void refuses_more_given_sockets_than_loops(void **state)
{
	int fds[3];
	uint16_t port;
	struct sockets *s;
	struct conf_error error;
	OWNED(conf) conf = NULL;

	fds[0] = move_up(bind_one("127.0.0.1", 0));
	port = gw_bound_port(fds[0]);
	fds[1] = move_up(bind_one("127.0.0.1", port));
	fds[2] = move_up(bind_one("127.0.0.1", port));
	s = give(fds, 3);
	conf = configure("127.0.0.1", port, 2);
	assert_int_equal(sockets_open(s, conf_root(conf), &error), -EINVAL);
	assert_non_null(strstr(error.text, "loops"));
	sockets_drop(&s);
	for (int i = 0; i < 3; i++)
		close(fds[i]);
}

static void closes_given_sockets_that_no_listener_wants(void **state)
{
	int fds[2];
	struct sockets *s;
	struct conf_error error;
	OWNED(conf) conf = NULL;

	fds[0] = move_up(bind_one("127.0.0.1", 0));
	fds[1] = move_up(bind_one("127.0.0.2", 0));
	s = give(fds, 2);
	conf = configure("127.0.0.1", gw_bound_port(fds[0]), 1);
	log_capture(keep_line, NULL);
	assert_int_equal(sockets_open(s, conf_root(conf), &error), 0);
	log_capture(NULL, NULL);
	assert_non_null(strstr(warned, "event=server.socket.unused"));
	assert_non_null(strstr(warned, "127.0.0.2"));
	assert_true(is_open(FIRST_GIVEN));
	assert_false(is_open(FIRST_GIVEN + 1));
	sockets_drop(&s);
	close(fds[0]);
	close(fds[1]);
}

/* The socket on one address of the port is our own, and no other program's. */
static void widens_a_listener_to_all_addresses(void **state)
{
	int fd = bind_one("127.0.0.1", 0);
	uint16_t port = gw_bound_port(fd);
	struct sockets *s = NULL;
	struct conf_error error;
	OWNED(conf) before = configure("127.0.0.1", port, 2);
	OWNED(conf) after = configure("0.0.0.0", port, 2);

	close(fd);
	assert_int_equal(sockets_new(&s), 0);
	assert_int_equal(sockets_open(s, conf_root(before), &error), 0);
	assert_int_equal(take_given(s, before, true), 2);
	if (sockets_open(s, conf_root(after), &error))
		fail_msg("%s", error.text);
	assert_int_equal(take_given(s, after, false), 2);
	sockets_keep(s, conf_root(after));
	assert_int_equal(take_given(s, before, false), 0);
	sockets_drop(&s);
}

static void refuses_a_port_of_another_program(void **state)
{
	int fd = bind_one("127.0.0.1", 0);
	struct sockets *s = NULL;
	struct conf_error error;
	OWNED(conf) conf = configure("127.0.0.1", gw_bound_port(fd), 2);

	assert_int_equal(sockets_new(&s), 0);
	assert_int_equal(sockets_open(s, conf_root(conf), &error), -EADDRINUSE);
	assert_int_equal(take_given(s, conf, false), 0);
	sockets_drop(&s);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(uses_every_given_socket_of_an_address),
		cmocka_unit_test(refuses_more_given_sockets_than_loops),
		cmocka_unit_test(closes_given_sockets_that_no_listener_wants),
		cmocka_unit_test(widens_a_listener_to_all_addresses),
		cmocka_unit_test(refuses_a_port_of_another_program),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
