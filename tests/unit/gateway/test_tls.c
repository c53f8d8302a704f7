/* gateway/tls.c without sockets: what is agreed on, and which sessions are resumed.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tests/test.h"

#include <openssl/ssl.h>

#include "gateway/tls.h"
#include "tests/unit/gateway/tls_client.h"

#define PIECE 16384

static struct ssl_ctx_st *make_context(struct gw_tickets *tickets, const char *name)
{
	OWNED_BUF certificate = BUF_INIT(65536), key = BUF_INIT(65536);
	struct ssl_ctx_st *context;
	char why[256];

	assert_true(tls_client_certificate("ca.example", 10, &certificate, &key));
	assert_int_equal(gw_tls_context_new(&context, buf_bytes(&certificate), buf_bytes(&key), why, sizeof(why)), 0);
	if (tickets)
		assert_int_equal(gw_tls_context_share_tickets(context, tickets, name), 0);
	return context;
}

/* ---- a client at the other end of two buffers ---- */

struct dialogue {
	struct gw_tls *server;
	SSL_CTX *context;
	SSL *client;
	BIO *in, *out;
	uint8_t heard[PIECE]; /* by the server's application */
	size_t n_heard;
	bool is_broken;
};

static void begin(struct dialogue *d, struct ssl_ctx_st *server, int version, const char *groups)
{
	*d = (struct dialogue){ 0 };
	assert_int_equal(gw_tls_new(&d->server, server, false), 0);
	d->context = SSL_CTX_new(TLS_client_method());
	SSL_CTX_set_min_proto_version(d->context, version);
	SSL_CTX_set_max_proto_version(d->context, version);
	if (groups)
		assert_int_equal(SSL_CTX_set1_groups_list(d->context, groups), 1);
	d->client = SSL_new(d->context);
	d->in = BIO_new(BIO_s_mem());
	d->out = BIO_new(BIO_s_mem());
	SSL_set_bio(d->client, d->in, d->out);
	SSL_set_connect_state(d->client);
}

static void end(struct dialogue *d)
{
	SSL_shutdown(d->client); /* a session that ends badly is not resumed */
	SSL_free(d->client);
	SSL_CTX_free(d->context);
	gw_tls_drop(&d->server);
}

/* What the client said to the server, and back. */
static void carry(struct dialogue *d)
{
	OWNED_BUF back = BUF_INIT(1 << 20);
	uint8_t piece[PIECE];
	int n, r = 0;

	while ((n = BIO_read(d->out, piece, sizeof(piece))) > 0)
		assert_int_equal(gw_tls_feed(d->server, bytes_of(piece, (size_t)n)), 0);
	if (!gw_tls_is_ready(d->server))
		r = gw_tls_handshake(d->server);
	if (!r)
		r = gw_tls_read(d->server, d->heard, sizeof(d->heard), &d->n_heard);
	d->is_broken |= r < 0;
	assert_int_equal(gw_tls_take(d->server, &back), 0);
	BIO_write(d->in, back.ptr, (int)back.len);
}

/* Until both are done, and the client took its ticket. False: they do not agree. */
static bool shake_hands(struct dialogue *d)
{
	uint8_t piece[PIECE];
	int i;

	for (i = 0; i < 10 && !d->is_broken; i++) {
		SSL_do_handshake(d->client);
		carry(d);
	}
	SSL_read(d->client, piece, sizeof(piece));
	return !d->is_broken && SSL_is_init_finished(d->client);
}

/* A handshake with this session, NULL for none; `*next` is what the server gave for the next one. */
static bool is_resumed(struct ssl_ctx_st *server, int version, SSL_SESSION *session, SSL_SESSION **next)
{
	struct dialogue d;
	bool is;

	begin(&d, server, version, NULL);
	if (session)
		assert_int_equal(SSL_set_session(d.client, session), 1);
	assert_true(shake_hands(&d));
	is = SSL_session_reused(d.client);
	if (next) {
		*next = SSL_get1_session(d.client);
		assert_true(SSL_SESSION_has_ticket(*next));
	}
	end(&d);
	return is;
}

static const int versions[] = { TLS1_2_VERSION, TLS1_3_VERSION };

/* ---- tests ---- */

static void resumes_after_the_certificate_was_renewed(void **state)
{
	struct gw_tickets *tickets;
	struct ssl_ctx_st *before, *after;
	SSL_SESSION *session, *next;
	size_t i;

	assert_int_equal(gw_tickets_new(&tickets, 0), 0);
	before = make_context(tickets, "public");
	after = make_context(tickets, "public");
	for (i = 0; i < 2; i++) {
		assert_false(is_resumed(before, versions[i], NULL, &session));
		assert_true(is_resumed(before, versions[i], session, NULL));
		assert_true(is_resumed(after, versions[i], session, &next));
		assert_true(is_resumed(after, versions[i], next, NULL));
		SSL_SESSION_free(session);
		SSL_SESSION_free(next);
	}
	gw_tls_context_drop(&before);
	gw_tls_context_drop(&after);
	gw_tickets_drop(&tickets);
}

static void resumes_nothing_of_another_listener_or_process(void **state)
{
	struct gw_tickets *ours, *theirs;
	struct ssl_ctx_st *public, *private, *foreign;
	SSL_SESSION *session;
	size_t i;

	assert_int_equal(gw_tickets_new(&ours, 0), 0);
	assert_int_equal(gw_tickets_new(&theirs, 0), 0);
	public = make_context(ours, "public");
	private = make_context(ours, "private");
	foreign = make_context(theirs, "public");
	for (i = 0; i < 2; i++) {
		assert_false(is_resumed(public, versions[i], NULL, &session));
		assert_false(is_resumed(private, versions[i], session, NULL));
		assert_false(is_resumed(foreign, versions[i], session, NULL));
		SSL_SESSION_free(session);
	}
	gw_tls_context_drop(&public);
	gw_tls_context_drop(&private);
	gw_tls_context_drop(&foreign);
	gw_tickets_drop(&ours);
	gw_tickets_drop(&theirs);
}

/* What a ticket is worth is in its octets, each of which is under the MAC or names the key. */
static void resumes_no_ticket_that_was_changed(void **state)
{
	struct gw_tickets *tickets;
	struct ssl_ctx_st *context;
	SSL_SESSION *session, *changed;
	const unsigned char *ticket, *p;
	unsigned char *der = NULL, *at;
	size_t size, i;
	int n;

	assert_int_equal(gw_tickets_new(&tickets, 0), 0);
	context = make_context(tickets, "public");
	assert_false(is_resumed(context, TLS1_2_VERSION, NULL, &session));
	SSL_SESSION_get0_ticket(session, &ticket, &size);
	assert_true(size > 64);
	n = i2d_SSL_SESSION(session, &der);
	at = memmem(der, (size_t)n, ticket, size);
	assert_non_null(at);
	for (i = 0; i < size; i += 7) {
		at[i] ^= 1;
		p = der;
		changed = d2i_SSL_SESSION(NULL, &p, n);
		assert_non_null(changed);
		assert_false(is_resumed(context, TLS1_2_VERSION, changed, NULL));
		SSL_SESSION_free(changed);
		at[i] ^= 1;
	}
	assert_true(is_resumed(context, TLS1_2_VERSION, session, NULL));
	OPENSSL_free(der);
	SSL_SESSION_free(session);
	gw_tls_context_drop(&context);
	gw_tickets_drop(&tickets);
}

/* A client that sends early data although no ticket of ours allows it: the data is dropped, the handshake goes on. */
static void accepts_no_early_data(void **state)
{
	struct gw_tickets *tickets;
	struct ssl_ctx_st *context;
	SSL_SESSION *session, *bold;
	unsigned char *der = NULL;
	const unsigned char *p;
	struct dialogue d;
	size_t n;
	int len;

	assert_int_equal(gw_tickets_new(&tickets, 0), 0);
	context = make_context(tickets, "public");
	assert_false(is_resumed(context, TLS1_3_VERSION, NULL, &session));
	assert_int_equal(SSL_SESSION_get_max_early_data(session), 0);
	len = i2d_SSL_SESSION(session, &der);
	p = der;
	bold = d2i_SSL_SESSION(NULL, &p, len);
	assert_int_equal(SSL_SESSION_set_max_early_data(bold, 16384), 1);
	begin(&d, context, TLS1_3_VERSION, NULL);
	assert_int_equal(SSL_set_session(d.client, bold), 1);
	assert_int_equal(SSL_write_early_data(d.client, "GET / HTTP/1.1\r\n\r\n", 18, &n), 1);
	assert_true(shake_hands(&d));
	assert_int_equal(SSL_get_early_data_status(d.client), SSL_EARLY_DATA_REJECTED);
	assert_int_equal(d.n_heard, 0);
	assert_int_equal(SSL_write(d.client, "late", 4), 4);
	carry(&d);
	assert_int_equal(d.n_heard, 4);
	assert_memory_equal(d.heard, "late", 4);
	end(&d);
	OPENSSL_free(der);
	SSL_SESSION_free(session);
	SSL_SESSION_free(bold);
	gw_tls_context_drop(&context);
	gw_tickets_drop(&tickets);
}

/* How many bits the server's key for the exchange has, which tells the groups apart; 0: no handshake. */
static int bits_of(struct ssl_ctx_st *server, int version, const char *offered)
{
	EVP_PKEY *key = NULL;
	struct dialogue d;
	int bits = 0;

	begin(&d, server, version, offered);
	if (shake_hands(&d) && SSL_get_peer_tmp_key(d.client, &key) == 1)
		bits = EVP_PKEY_get_bits(key);
	EVP_PKEY_free(key);
	end(&d);
	return bits;
}

#define X25519_BITS 253

static void agrees_on_quick_groups_only(void **state)
{
	struct ssl_ctx_st *context = make_context(NULL, NULL);
	size_t i;

	for (i = 0; i < 2; i++) {
		assert_int_equal(bits_of(context, versions[i], NULL), X25519_BITS);
		assert_int_equal(bits_of(context, versions[i], "P-256:P-521"), 256);
		/* The client's first choice is one that we do not take. */
		assert_int_equal(bits_of(context, versions[i], "P-521:P-256"), 256);
		assert_int_equal(bits_of(context, versions[i], "P-521"), 0);
		assert_int_equal(bits_of(context, versions[i], "X448"), 0);
	}
	/* For TLS 1.2 the curve of the certificate would have to be among these. */
	assert_int_equal(bits_of(context, TLS1_3_VERSION, "P-384"), 384);
	assert_int_equal(bits_of(context, TLS1_3_VERSION, "P-521:X448:P-384"), 384);
	gw_tls_context_drop(&context);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(resumes_after_the_certificate_was_renewed),
		cmocka_unit_test(resumes_nothing_of_another_listener_or_process),
		cmocka_unit_test(resumes_no_ticket_that_was_changed),
		cmocka_unit_test(accepts_no_early_data),
		cmocka_unit_test(agrees_on_quick_groups_only),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
