/* A server for the tests of HTTP/2.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tests/unit/gateway/h2_server.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/test.h"
#include "tests/unit/octets.h"

/* ---- the adapter ---- */

atomic_uint h2_entered;
atomic_bool h2_gate_is_open;

static int handle_hello(void *state, const struct http_request *q, struct http_reply *r)
{
	return http_reply_text(r, 200, "hello");
}

static int handle_echo(void *state, const struct http_request *q, struct http_reply *r)
{
	return http_reply_body(r, 200, "application/octet-stream", q->body);
}

static int handle_item(void *state, const struct http_request *q, struct http_reply *r)
{
	const char *kind = http_request_header(q, "x-kind");
	char text[512];

	snprintf(text, sizeof(text), "%s|%s|%s|%s|%d|%s|%s", q->params[0], q->query ? q->query : "-",
		 q->peer_address, q->base_url, q->is_tls, kind ? kind : "-", http_request_header(q, "host"));
	http_reply_header(r, "Location", "%s", "/t/item/new");
	http_reply_header(r, "Connection", "%s", "close");
	return http_reply_text(r, 201, text);
}

/* Blocks until the test opens the gate. */
static int handle_slow(void *state, const struct http_request *q, struct http_reply *r)
{
	atomic_fetch_add(&h2_entered, 1);
	while (!atomic_load(&h2_gate_is_open))
		usleep(1000);
	return http_reply_text(r, 200, "slow");
}

static int fill(struct http_reply *r, size_t n)
{
	uint8_t *room = buf_room(&r->body, n);

	if (!room)
		return -ENOMEM;
	memset(room, 'x', n);
	buf_added(&r->body, n);
	r->status = 200;
	return 0;
}

static int handle_large(void *state, const struct http_request *q, struct http_reply *r)
{
	return fill(r, H2_LARGE);
}

static int handle_middle(void *state, const struct http_request *q, struct http_reply *r)
{
	return fill(r, H2_MIDDLE);
}

static int handle_shared(void *state, const struct http_request *q, struct http_reply *r)
{
	OWNED_BUF octets = BUF_INIT(H2_LARGE);
	struct http_octets *shared;
	int e;

	memset(buf_room(&octets, H2_LARGE), 'y', H2_LARGE);
	buf_added(&octets, H2_LARGE);
	shared = octets_in_file(buf_bytes(&octets));
	e = http_reply_large(r, 200, "text/plain", shared);
	http_octets_drop(&shared);
	return e;
}

static int handle_fail(void *state, const struct http_request *q, struct http_reply *r)
{
	http_reply_text(r, 200, "secret");
	return -EIO;
}

static int handle_split(void *state, const struct http_request *q, struct http_reply *r)
{
	http_reply_header(r, "Location", "%s", "/\r\nSet-Cookie: x");
	return http_reply_text(r, 200, "x");
}

static const struct proto_route routes[] = {
	{ "GET", "/hello", handle_hello }, { "POST", "/echo", handle_echo },     { "GET", "/item/{id}", handle_item },
	{ "GET", "/slow", handle_slow },   { "GET", "/large", handle_large },    { "GET", "/fail", handle_fail },
	{ "GET", "/shared", handle_shared },
	{ "GET", "/split", handle_split }, { "GET", "/middle", handle_middle }, { 0 },
};

/* ---- the server ---- */

static void use_certificate(struct h2_server *f)
{
	OWNED_BUF certificate = BUF_INIT(65536), key = BUF_INIT(65536);
	struct ssl_ctx_st *context;
	char why[256];

	assert_true(tls_client_certificate("ca.example", 10, &certificate, &key));
	assert_int_equal(gw_tls_context_new(&context, buf_bytes(&certificate), buf_bytes(&key), why, sizeof(why)), 0);
	gw_listener_set_tls(f->listener, context);
	gw_tls_context_drop(&context);
}

void h2_server_start_with(struct h2_server *f, struct gw_deadlines deadlines, bool http1_only,
			  unsigned flood_pause_ms)
{
	static const char *const names[] = { "ca.example" };
	struct gw_server_options server_options = { .loops = 2, .max_connections = 100,
						    .flood_pause_ms = flood_pause_ms };
	struct gw_listener_options options = {
		.name = "test", .address = "127.0.0.1", .is_tls = true, .names = names, .n_names = 1,
		.limits = HTTP1_LIMITS_DEFAULT, .deadlines = deadlines, .http1_only = http1_only,
	};
	char why[256];

	*f = (struct h2_server){ 0 };
	atomic_store(&h2_gate_is_open, false);
	atomic_store(&h2_entered, 0);
	f->mount = (struct gw_mount) { .name = "test", .prefix = "/t", .routes = routes, .body_max = 1000,
				       .stats = &f->stats };
	assert_int_equal(pool_new(&f->workers, &(struct pool_options){ 0 }), 0);
	assert_int_equal(gw_router_new(&f->router), 0);
	assert_int_equal(gw_router_add(f->router, &f->mount), 0);
	server_options.workers = f->workers;
	options.router = f->router;
	assert_int_equal(gw_server_new(&f->server, &server_options), 0);
	assert_int_equal(gw_server_listen(f->server, &options, &f->listener, why, sizeof(why)), 0);
	use_certificate(f);
	assert_int_equal(gw_server_start(f->server), 0);
	gw_server_open(f->server, f->listener);
}

void h2_server_start(struct h2_server *f)
{
	h2_server_start_with(f, GW_DEADLINES_DEFAULT, false, 0);
}

void h2_server_stop(struct h2_server *f)
{
	atomic_store(&h2_gate_is_open, true);
	gw_server_stop(f->server, 1000);
	pool_drop(&f->workers);
	gw_server_drop(&f->server);
	gw_router_drop(&f->router);
}

struct gw_server_stats h2_server_stats(struct h2_server *f)
{
	struct gw_server_stats stats;

	gw_server_count(f->server, &stats);
	return stats;
}

void h2_server_wait_for(struct h2_server *f, unsigned n)
{
	int i;

	for (i = 0; i < 2000 && h2_server_stats(f).connections != n; i++)
		usleep(2000);
	assert_int_equal(h2_server_stats(f).connections, n);
}

/* ---- clients ---- */

/* The loops open their sockets a moment after they were told. */
int h2_server_dial_from(const struct h2_server *f, const char *address)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons(f->listener->port),
				 .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct sockaddr_in from = { .sin_family = AF_INET };
	struct timeval limit = { .tv_sec = 10 };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), tries, on = 1;

	assert_true(fd >= 0 && inet_pton(AF_INET, address, &from.sin_addr) == 1);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	assert_int_equal(bind(fd, (struct sockaddr *)&from, sizeof(from)), 0);
	for (tries = 0; tries < 1000; tries++) {
		if (connect(fd, (struct sockaddr *)&a, sizeof(a)) == 0)
			return fd;
		usleep(1000);
	}
	fail_msg("cannot connect");
	return -1;
}

int h2_server_dial(const struct h2_server *f)
{
	return h2_server_dial_from(f, "127.0.0.1");
}

struct h2_caller h2_call(const struct h2_server *f)
{
	struct h2_caller c = { .fd = h2_server_dial(f) };

	c.client = h2_client_new(c.fd);
	assert_non_null(c.client);
	return c;
}

void h2_hang_up(struct h2_caller *c)
{
	h2_client_drop(&c->client);
	close(c->fd);
}

struct h2_answer h2_ask(struct h2_caller *c, const char *method, const char *path, const struct h2_header *headers,
			    struct bytes body)
{
	struct h2_answer a = { .body = BUF_INIT(2 << 20) };

	h2_client_ask(c->client, method, path, headers, body, &a);
	assert_true(h2_client_wait(c->client, &a));
	return a;
}

void h2_expect(struct h2_caller *c, const char *method, const char *path, struct bytes body, int status,
		   const char *contains)
{
	struct h2_answer a = h2_ask(c, method, path, NULL, body);

	assert_int_equal(a.status, status);
	if (!strstr(buf_str(&a.body), contains))
		fail_msg("no '%s' in: %s", contains, buf_str(&a.body));
	buf_fini(&a.body);
}
