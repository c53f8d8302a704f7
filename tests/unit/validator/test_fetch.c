/* URLs that redirects lead to, and the callback that opens sockets.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tests/test.h"

#include "gateway/validator/fetch.h"

#include <arpa/inet.h>
#include <unistd.h>

#define BASE "http://a.example:80/.well-known/acme-challenge/x"

static const struct {
	const char *location, *host; /* NULL: refused */
	unsigned port;
} joins[] = {
	{ "http://b.example/y", "b.example", 80 },
	{ "https://b.example/y", "b.example", 443 },
	{ "HTTPS://b.example:8443/", "b.example", 8443 },
	{ "/y", "a.example", 80 },
	{ "y?z=1#f", "a.example", 80 },
	{ "//c.example/y", "c.example", 80 },
	{ "http://127.0.0.1/", "127.0.0.1", 80 },
	{ "http://2130706433/", "127.0.0.1", 80 },
	{ "http://0177.0.0.1/", "127.0.0.1", 80 },
	{ "http://0x7f.1/", "127.0.0.1", 80 },
	{ "http://[::1]:80/", "::1", 80 },
	{ "http://[::ffff:127.0.0.1]/", "::ffff:127.0.0.1", 80 },
	{ "http://localhost./", "localhost.", 80 },
	{ "file:///etc/passwd", NULL, 0 },
	{ "gopher://b.example/", NULL, 0 },
	{ "ftp://b.example/", NULL, 0 },
	{ "ldap://b.example/", NULL, 0 },
	{ "javascript:alert(1)", NULL, 0 },
	{ "http://user@b.example/", NULL, 0 },
	{ "http://user:pw@b.example/", NULL, 0 },
	{ "http://[fe80::1%25eth0]/", NULL, 0 },
	{ "http://b%00.example/", NULL, 0 },
	{ "http://b\xc3\xa9.example/", NULL, 0 },
	{ "http://b..example/", NULL, 0 },
	{ "http://b.example:99999/", NULL, 0 },
	{ "http:///", NULL, 0 },
	{ "http://b.exa mple/", NULL, 0 },
};

static void takes_redirects_apart_or_refuses_them(void **state)
{
	struct fetch_url url;
	size_t i;
	int e;

	for (i = 0; i < sizeof(joins) / sizeof(joins[0]); i++) {
		e = fetch_url_join(&url, BASE, joins[i].location);
		if (e != (joins[i].host ? 0 : FETCH_URL_REFUSED))
			fail_msg("%s: %d, host %s", joins[i].location, e, e ? "-" : url.host);
		if (!joins[i].host)
			continue;
		assert_string_equal(url.host, joins[i].host);
		assert_int_equal(url.port, joins[i].port);
		assert_null(strchr(url.text, '#'));
	}
}

static void refuses_a_url_beyond_the_limit(void **state)
{
	static char location[FETCH_URL_MAX + 64];
	struct fetch_url url;

	memset(location, 'a', sizeof(location) - 1);
	location[0] = '/';
	assert_int_equal(fetch_url_join(&url, BASE, location), FETCH_URL_REFUSED);
}

static struct curl_sockaddr socket_to(const char *address)
{
	struct curl_sockaddr to = { .family = AF_INET, .socktype = SOCK_STREAM, .protocol = IPPROTO_TCP };
	struct sockaddr_in *in = (struct sockaddr_in *)(void *)&to.addr;

	in->sin_family = AF_INET;
	assert_int_equal(inet_pton(AF_INET, address, &in->sin_addr), 1);
	to.addrlen = sizeof(*in);
	return to;
}

static curl_socket_t open_to(const struct fetch *what, curlsocktype purpose, const char *address)
{
	struct curl_sockaddr to = socket_to(address);

	return fetch_open_socket((void *)what, purpose, &to);
}

/* The name resolved to an allowed address when it was checked, and to another when the connection was made. */
static void opens_no_socket_to_another_address_than_the_checked_one(void **state)
{
	struct ip_range range;
	const struct address_rules rules = { &range, 1 };
	atomic_bool stop = false;
	struct fetch what = { .rules = &rules, .stop = &stop };
	curl_socket_t fd;

	assert_int_equal(ip_range_parse(&range, "127.0.0.0/8"), 0);
	assert_int_equal(ip_address_parse(&what.address, "127.0.0.1"), 0);
	fd = open_to(&what, CURLSOCKTYPE_IPCXN, "127.0.0.1");
	assert_true(fd >= 0);
	close(fd);
	assert_int_equal(open_to(&what, CURLSOCKTYPE_IPCXN, "127.0.0.2"), CURL_SOCKET_BAD);
	assert_int_equal(open_to(&what, CURLSOCKTYPE_IPCXN, "8.8.8.8"), CURL_SOCKET_BAD);
	assert_int_equal(open_to(&what, CURLSOCKTYPE_ACCEPT, "127.0.0.1"), CURL_SOCKET_BAD);
}

static void opens_no_socket_to_a_forbidden_address(void **state)
{
	const struct address_rules rules = { NULL, 0 };
	struct fetch what = { .rules = &rules };

	assert_int_equal(ip_address_parse(&what.address, "127.0.0.1"), 0);
	assert_int_equal(open_to(&what, CURLSOCKTYPE_IPCXN, "127.0.0.1"), CURL_SOCKET_BAD);
}

static void refuses_a_forbidden_address_before_anything_else(void **state)
{
	const struct address_rules rules = { NULL, 0 };
	atomic_bool stop = false;
	struct fetch what = { .url = "http://a.example/", .rules = &rules, .stop = &stop, .port = 80,
			      .timeout_ms = 1000 };
	struct fetch_reply reply = { .body = BUF_INIT(16) };

	assert_int_equal(ip_address_parse(&what.address, "169.254.169.254"), 0);
	assert_int_equal(fetch_run(NULL, &what, &reply), FETCH_FORBIDDEN);
	buf_fini(&reply.body);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(takes_redirects_apart_or_refuses_them),
		cmocka_unit_test(refuses_a_url_beyond_the_limit),
		cmocka_unit_test(opens_no_socket_to_another_address_than_the_checked_one),
		cmocka_unit_test(opens_no_socket_to_a_forbidden_address),
		cmocka_unit_test(refuses_a_forbidden_address_before_anything_else),
	};

	if (fetch_global_init())
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
