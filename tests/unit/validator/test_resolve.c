/* Names to addresses, with a DNS server of the test's own on loopback.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tests/test.h"

#include <stdatomic.h>
#include <unbound.h>

/* libunbound, failing when a test says so. */
static int try_process(struct ub_ctx *unbound);
static int try_cancel(struct ub_ctx *unbound, int id);
#define ub_process try_process
#define ub_cancel try_cancel
#include "gateway/validator/resolve.c"
#undef ub_process
#undef ub_cancel

#include <arpa/inet.h>
#include <errno.h>
#include <pthread.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/base/own.h"
#include "tests/unit/validator/rows.h"

static atomic_int failures; /* of ub_process() that are still to come */
static atomic_bool cancels_nothing;

static int try_process(struct ub_ctx *unbound)
{
	if (atomic_load(&failures) > 0) {
		atomic_fetch_sub(&failures, 1);
		return UB_NOMEM;
	}
	return ub_process(unbound);
}

static int try_cancel(struct ub_ctx *unbound, int id)
{
	return atomic_load(&cancels_nothing) ? UB_NOID : ub_cancel(unbound, id);
}

/* What the server says. A name that is not listed does not exist; `is_silent` gets no answer. */
static const struct zone {
	const char *name;
	unsigned rcode;
	const char *a, *aaaa;
	bool is_silent;
} zones[] = {
	{ .name = "both.example", .a = "192.0.2.1", .aaaa = "2001:db8::1" },
	{ .name = "v4.example", .a = "192.0.2.4" },
	{ .name = "lan.home.arpa", .a = "192.0.2.5" },
	{ .name = "lan.test", .a = "192.0.2.6" },
	{ .name = "none.example" },
	{ .name = "broken.example", .rcode = 2 },
	{ .name = "silent.example", .is_silent = true },
};

static struct server {
	int fd;
	uint16_t port;
	pthread_t thread;
} server;

/* The name of the question as text; returns the offset behind it. */
static size_t read_name(const uint8_t *q, size_t len, char *out, size_t size)
{
	size_t at = 12, n = 0;

	while (at < len && q[at] && n + q[at] + 1 < size) {
		if (n)
			out[n++] = '.';
		memcpy(out + n, q + at + 1, q[at]);
		n += q[at];
		at += q[at] + 1u;
	}
	out[n] = '\0';
	return at + 1;
}

static const struct zone *find_zone(const char *name)
{
	static const struct zone nothing = { .rcode = 3 };
	size_t i;

	for (i = 0; i < sizeof(zones) / sizeof(zones[0]); i++)
		if (strcasecmp(zones[i].name, name) == 0)
			return &zones[i];
	return &nothing;
}

static size_t put_address(uint8_t *at, unsigned type, const char *text)
{
	uint8_t head[12] = { 0xc0, 12, 0, (uint8_t)type, 0, 1, 0, 0, 0, 0, 0, type == 1 ? 4 : 16 };

	memcpy(at, head, sizeof(head));
	inet_pton(type == 1 ? AF_INET : AF_INET6, text, at + sizeof(head));
	return sizeof(head) + head[11];
}

static void answer(const struct server *s, uint8_t *m, size_t len, const struct sockaddr_in *peer)
{
	char name[256];
	size_t end = read_name(m, len, name, sizeof(name));
	const struct zone *z = find_zone(name);
	unsigned type = m[end + 1];
	const char *text = type == 1 ? z->a : type == 28 ? z->aaaa : NULL;

	if (z->is_silent)
		return;
	end += 4;
	m[2] = 0x81;
	m[3] = (uint8_t)(0x80 | z->rcode);
	memset(m + 6, 0, 6);
	m[7] = text != NULL;
	if (text)
		end += put_address(m + end, type, text);
	sendto(s->fd, m, end, 0, (const struct sockaddr *)peer, sizeof(*peer));
}

static void *serve(void *arg)
{
	struct server *s = arg;
	struct sockaddr_in peer;
	uint8_t message[1024];
	socklen_t size;
	ssize_t n;

	for (;;) {
		size = sizeof(peer);
		n = recvfrom(s->fd, message, 512, 0, (struct sockaddr *)&peer, &size);
		if (n < 12)
			return NULL; /* an empty datagram is the end */
		answer(s, message, (size_t)n, &peer);
	}
}

static int start_server(void **state)
{
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t size = sizeof(in);

	server.fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (bind(server.fd, (struct sockaddr *)&in, size) || getsockname(server.fd, (struct sockaddr *)&in, &size))
		return -1;
	server.port = ntohs(in.sin_port);
	return pthread_create(&server.thread, NULL, serve, &server);
}

static int stop_server(void **state)
{
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
				  .sin_port = htons(server.port) };

	sendto(server.fd, "", 0, 0, (struct sockaddr *)&in, sizeof(in));
	pthread_join(server.thread, NULL);
	close(server.fd);
	return 0;
}

static struct resolver *make(struct conf **conf, const char *text)
{
	struct conf_error error = { 0 };
	struct resolver *r = NULL;

	assert_int_equal(conf_parse(conf, bytes_of_str(text), "t.yaml", validator_rows, &error), 0);
	if (resolver_new(&r, conf_root(*conf), &error))
		fail_msg("%s", error.text);
	return r;
}

static struct resolver *make_with_server(struct conf **conf)
{
	char text[256];

	snprintf(text, sizeof(text),
		 "resolver: 127.0.0.1@%u\nhosts: {fixed.test: 192.0.2.9, '*.deep.test': '2001:db8::9'}\n",
		 server.port);
	return make(conf, text);
}

static void expect(struct resolver *r, const char *name, const char *addresses)
{
	struct ip_address found[RESOLVE_MAX];
	char text[IP_TEXT_SIZE], all[256] = "";
	size_t i, n = 0;

	assert_int_equal(resolver_find(r, name, 5000, found, &n), 0);
	for (i = 0; i < n; i++) {
		size_t used = strlen(all);

		snprintf(all + used, sizeof(all) - used, "%s%s", i ? " " : "", ip_address_print(&found[i], text));
	}
	assert_string_equal(all, addresses);
}

static int find(struct resolver *r, const char *name, int64_t timeout_ms)
{
	struct ip_address found[RESOLVE_MAX];
	size_t n;

	return resolver_find(r, name, timeout_ms, found, &n);
}

static void gives_ipv6_before_ipv4(void **state)
{
	OWNED(conf) conf = NULL;
	OWNED(resolver) r = make_with_server(&conf);

	expect(r, "both.example", "2001:db8::1 192.0.2.1");
	expect(r, "v4.example", "192.0.2.4");
}

static void asks_for_names_of_private_networks(void **state)
{
	OWNED(conf) conf = NULL;
	OWNED(resolver) r = make_with_server(&conf);

	expect(r, "lan.home.arpa", "192.0.2.5");
	expect(r, "lan.test", "192.0.2.6");
}

static void tells_no_addresses_from_no_answer(void **state)
{
	OWNED(conf) conf = NULL;
	OWNED(resolver) r = make_with_server(&conf);

	assert_int_equal(find(r, "none.example", 5000), RESOLVE_NOT_FOUND);
	assert_int_equal(find(r, "unknown.example", 5000), RESOLVE_NOT_FOUND);
	assert_int_equal(find(r, "silent.example", 300), RESOLVE_TIMEOUT);
}

/* The answer may come before the question was put away; most likely so while the thread of libunbound starts. */
static void loses_no_answer(void **state)
{
	unsigned i;

	for (i = 0; i < 100; i++) {
		OWNED(conf) conf = NULL;
		OWNED(resolver) r = make_with_server(&conf);

		assert_int_equal(find(r, "none.example", 5000), RESOLVE_NOT_FOUND);
	}
}

static void says_that_the_servers_failed(void **state)
{
	OWNED(conf) conf = NULL;
	OWNED(resolver) r = make_with_server(&conf);

	assert_int_equal(find(r, "broken.example", 10000), RESOLVE_FAILED);
}

static void answers_fixed_names_without_asking(void **state)
{
	OWNED(conf) conf = NULL;
	OWNED(resolver) r = make_with_server(&conf);

	expect(r, "fixed.test", "192.0.2.9");
	expect(r, "FIXED.test.", "192.0.2.9");
	expect(r, "a.deep.test", "2001:db8::9");
	expect(r, "b.a.deep.test", "2001:db8::9");
	assert_int_equal(find(r, "deep.test", 5000), RESOLVE_NOT_FOUND);
	assert_int_equal(find(r, "a.fixed.test", 5000), RESOLVE_NOT_FOUND);
}

static void *ask_silent(void *arg)
{
	return (void *)(intptr_t)find(arg, "silent.example", 20000);
}

static void stops_those_who_wait(void **state)
{
	OWNED(conf) conf = NULL;
	OWNED(resolver) r = make_with_server(&conf);
	pthread_t thread;
	void *result;

	assert_int_equal(pthread_create(&thread, NULL, ask_silent, r), 0);
	usleep(50000);
	resolver_stop(r);
	pthread_join(thread, &result);
	assert_int_equal((intptr_t)result, RESOLVE_TIMEOUT);
}

/* The answer is handed out while libunbound is still at work; the verdict about it comes right after. */
static bool becomes_well(const struct resolver *r)
{
	int tries;

	for (tries = 0; tries < 2000 && resolver_is_failing(r); tries++)
		usleep(1000);
	return !resolver_is_failing(r);
}

static void goes_on_after_a_failure(void **state)
{
	OWNED(conf) conf = NULL;
	OWNED(resolver) r = make_with_server(&conf);

	atomic_store(&failures, 2);
	assert_int_equal(find(r, "none.example", 5000), RESOLVE_NOT_FOUND);
	assert_int_equal(atomic_load(&failures), 0);
	assert_true(becomes_well(r));
	assert_int_equal(find(r, "silent.example", 100), RESOLVE_TIMEOUT);
}

/* The answer never comes, or long after nobody wants it any more. */
static void waits_for_no_answer_that_got_lost(void **state)
{
	OWNED(conf) conf = NULL;
	OWNED(resolver) r = make_with_server(&conf);

	atomic_store(&cancels_nothing, true);
	atomic_store(&failures, 1000);
	assert_int_equal(find(r, "none.example", 300), RESOLVE_TIMEOUT);
	assert_true(resolver_is_failing(r));
	atomic_store(&failures, 0);
	assert_int_equal(find(r, "none.example", 5000), RESOLVE_NOT_FOUND);
	assert_true(becomes_well(r));
	assert_int_equal(find(r, "silent.example", 100), RESOLVE_TIMEOUT);
	atomic_store(&cancels_nothing, false);
}

static void refuse(const char *text, const char *message)
{
	OWNED(conf) conf = NULL;
	struct conf_error error = { 0 };
	struct resolver *r = NULL;

	assert_int_equal(conf_parse(&conf, bytes_of_str(text), "t.yaml", validator_rows, &error), 0);
	assert_int_equal(resolver_new(&r, conf_root(conf), &error), -EINVAL);
	assert_null(r);
	assert_string_equal(error.text, message);
}

static void refuses_wrong_options_at_their_place(void **state)
{
	refuse("hosts:\n  a.test: nowhere\n", "t.yaml:2:11: 'nowhere' is not an IP address");
	refuse("hosts:\n  'a.*.test': 192.0.2.1\n",
	       "t.yaml:2:15: 'a.*.test' is neither a name nor '*.' and a suffix");
	refuse("resolver: [192.0.2.1, dns.example]\n",
	       "t.yaml:1:23: 'dns.example' is not an address such as 192.0.2.1 or 192.0.2.1@5353");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(gives_ipv6_before_ipv4),
		cmocka_unit_test(asks_for_names_of_private_networks),
		cmocka_unit_test(tells_no_addresses_from_no_answer),
		cmocka_unit_test(loses_no_answer),
		cmocka_unit_test(says_that_the_servers_failed),
		cmocka_unit_test(answers_fixed_names_without_asking),
		cmocka_unit_test(stops_those_who_wait),
		cmocka_unit_test(goes_on_after_a_failure),
		cmocka_unit_test(waits_for_no_answer_that_got_lost),
		cmocka_unit_test(refuses_wrong_options_at_their_place),
	};

	return cmocka_run_group_tests(tests, start_server, stop_server);
}
