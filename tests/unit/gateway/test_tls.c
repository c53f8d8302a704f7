/* gateway/tls.c without sockets: what is agreed on, and which sessions are resumed.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tests/test.h"

#include "tests/unit/gateway/tls_dialogue.h"

/* A handshake with this session, NULL for none; `*next` is what the server gave for the next one. */
static bool is_resumed(struct ssl_ctx_st *server, int version, SSL_SESSION *session, SSL_SESSION **next)
{
	struct dialogue d;
	bool is;

	dialogue_begin(&d, server, version, NULL);
	if (session)
		assert_int_equal(SSL_set_session(d.client, session), 1);
	assert_true(dialogue_shake_hands(&d));
	is = SSL_session_reused(d.client);
	if (next) {
		*next = SSL_get1_session(d.client);
		assert_true(SSL_SESSION_has_ticket(*next));
	}
	dialogue_end(&d);
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
	before = dialogue_context(tickets, "public");
	after = dialogue_context(tickets, "public");
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
	public = dialogue_context(ours, "public");
	private = dialogue_context(ours, "private");
	foreign = dialogue_context(theirs, "public");
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
	context = dialogue_context(tickets, "public");
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
	context = dialogue_context(tickets, "public");
	assert_false(is_resumed(context, TLS1_3_VERSION, NULL, &session));
	assert_int_equal(SSL_SESSION_get_max_early_data(session), 0);
	len = i2d_SSL_SESSION(session, &der);
	p = der;
	bold = d2i_SSL_SESSION(NULL, &p, len);
	assert_int_equal(SSL_SESSION_set_max_early_data(bold, 16384), 1);
	dialogue_begin(&d, context, TLS1_3_VERSION, NULL);
	assert_int_equal(SSL_set_session(d.client, bold), 1);
	assert_int_equal(SSL_write_early_data(d.client, "GET / HTTP/1.1\r\n\r\n", 18, &n), 1);
	assert_true(dialogue_shake_hands(&d));
	assert_int_equal(SSL_get_early_data_status(d.client), SSL_EARLY_DATA_REJECTED);
	assert_int_equal(d.n_heard, 0);
	assert_int_equal(SSL_write(d.client, "late", 4), 4);
	dialogue_carry(&d);
	assert_int_equal(d.n_heard, 4);
	assert_memory_equal(d.heard, "late", 4);
	dialogue_end(&d);
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

	dialogue_begin(&d, server, version, offered);
	if (dialogue_shake_hands(&d) && SSL_get_peer_tmp_key(d.client, &key) == 1)
		bits = EVP_PKEY_get_bits(key);
	EVP_PKEY_free(key);
	dialogue_end(&d);
	return bits;
}

#define X25519_BITS 253

static void agrees_on_quick_groups_only(void **state)
{
	struct ssl_ctx_st *context = dialogue_context(NULL, NULL);
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
