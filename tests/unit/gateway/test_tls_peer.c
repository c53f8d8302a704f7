/* gateway/tls_peer.c: what is known of a client, on its first connection and on those that resume it.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tests/test.h"

#include <errno.h>
#include <openssl/x509v3.h>

#include "gateway/tls_peer.h"
#include "tests/unit/gateway/tls_client.h"
#include "tests/unit/gateway/tls_dialogue.h"

static const int versions[] = { TLS1_2_VERSION, TLS1_3_VERSION };
#define VERSIONS (sizeof(versions) / sizeof(*versions))

static struct gw_tickets *tickets;
static struct ssl_ctx_st *server;

static int set_up(void **state)
{
	assert_int_equal(gw_tickets_new(&tickets, 0), 0);
	server = dialogue_context(tickets, "public");
	assert_int_equal(gw_tls_context_ask(server, NULL), 0);
	return 0;
}

static int tear_down(void **state)
{
	gw_tls_context_drop(&server);
	gw_tickets_drop(&tickets);
	return 0;
}

/* ---- certificates ---- */

enum flaw { NO_FLAW, EXPIRED, NOT_YET, VERSION_1, BAD_EXTENSIONS, BAD_DATES, NEGATIVE_SERIAL };

static void spoil(X509 *x, enum flaw flaw)
{
	static const unsigned char junk[] = { 0x30, 0x05, 0xff, 0xff, 0x00 };
	ASN1_OCTET_STRING *value = ASN1_OCTET_STRING_new();
	X509_EXTENSION *e;

	ASN1_OCTET_STRING_set(value, junk, sizeof(junk));
	if (flaw == BAD_EXTENSIONS) {
		static const int kinds[] = { NID_basic_constraints, NID_subject_alt_name, NID_key_usage,
					     NID_ext_key_usage, NID_basic_constraints };

		for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++) {
			e = X509_EXTENSION_create_by_NID(NULL, kinds[i], 1, value);
			X509_add_ext(x, e, -1);
			X509_EXTENSION_free(e);
		}
	}
	if (flaw == BAD_DATES) {
		ASN1_STRING_set(X509_getm_notBefore(x), "never", -1);
		ASN1_STRING_set(X509_getm_notAfter(x), "ever", -1);
	}
	if (flaw == NEGATIVE_SERIAL)
		ASN1_INTEGER_set(X509_get_serialNumber(x), -1);
	ASN1_OCTET_STRING_free(value);
}

/* `pad` octets of an extension of nobody. */
static void pad_with(X509 *x, size_t pad)
{
	ASN1_OCTET_STRING *value = ASN1_OCTET_STRING_new();
	ASN1_OBJECT *kind = OBJ_txt2obj("1.2.3.4.5", 1);
	unsigned char *octets = calloc(1, pad);
	X509_EXTENSION *e;

	ASN1_OCTET_STRING_set(value, octets, (int)pad);
	e = X509_EXTENSION_create_by_OBJ(NULL, kind, 0, value);
	X509_add_ext(x, e, -1);
	X509_EXTENSION_free(e);
	ASN1_OCTET_STRING_free(value);
	ASN1_OBJECT_free(kind);
	free(octets);
}

static X509 *make_certificate(EVP_PKEY *key, const char *name, enum flaw flaw, size_t pad)
{
	X509 *x = X509_new();
	int id = EVP_PKEY_get_base_id(key);

	X509_set_version(x, flaw == VERSION_1 ? X509_VERSION_1 : X509_VERSION_3);
	X509_NAME_add_entry_by_txt(X509_get_subject_name(x), "CN", MBSTRING_ASC, (const unsigned char *)name, -1, -1,
				   0);
	X509_set_issuer_name(x, X509_get_subject_name(x));
	ASN1_INTEGER_set(X509_get_serialNumber(x), 7);
	X509_gmtime_adj(X509_getm_notBefore(x), flaw == NOT_YET ? 86400 : -86400);
	X509_gmtime_adj(X509_getm_notAfter(x), flaw == EXPIRED ? -3600 : 2 * 86400);
	X509_set_pubkey(x, key);
	spoil(x, flaw);
	if (pad)
		pad_with(x, pad);
	assert_true(X509_sign(x, key, id == EVP_PKEY_ED25519 || id == EVP_PKEY_ED448 ? NULL : EVP_sha256()) > 0);
	return x;
}

struct client {
	EVP_PKEY *key;
	X509 *own;
	STACK_OF(X509) *chain;
	struct buf own_der, chain_der;
};

static void append_der(struct buf *out, X509 *x)
{
	unsigned char *der = NULL;
	int n = i2d_X509(x, &der);

	assert_int_equal(buf_append(out, bytes_of(der, (size_t)n)), 0);
	OPENSSL_free(der);
}

/* Takes the key. `issuers` certificates come behind its own, each with `pad` octets more than it needs. */
static struct client make_client(EVP_PKEY *take_key, enum flaw flaw, int issuers, size_t pad)
{
	struct client c = { .key = take_key, .own_der = BUF_INIT(65536), .chain_der = BUF_INIT(65536) };
	char name[32];
	int i;

	assert_non_null(take_key);
	c.own = make_certificate(c.key, "device", flaw, 0);
	append_der(&c.own_der, c.own);
	c.chain = sk_X509_new_null();
	for (i = 0; i < issuers; i++) {
		snprintf(name, sizeof(name), "issuer %d", i);
		sk_X509_push(c.chain, make_certificate(c.key, name, NO_FLAW, pad));
		append_der(&c.chain_der, sk_X509_value(c.chain, i));
	}
	return c;
}

static void drop_client(struct client *c)
{
	sk_X509_pop_free(c->chain, X509_free);
	X509_free(c->own);
	EVP_PKEY_free(c->key);
	buf_fini(&c->own_der);
	buf_fini(&c->chain_der);
}

/* ---- handshakes ---- */

struct what {
	const struct client *client; /* NULL: has no certificate */
	SSL_SESSION *session;        /* NULL: none to resume */
	bool no_extended_secret;
};

static void begin(struct dialogue *d, int version, struct what what)
{
	dialogue_begin(d, server, version, NULL);
	SSL_set_security_level(d->client, 0); /* it must have weak certificates to show them */
	if (what.client) {
		assert_int_equal(SSL_use_certificate(d->client, what.client->own), 1);
		assert_int_equal(SSL_use_PrivateKey(d->client, what.client->key), 1);
		assert_int_equal(SSL_set1_chain(d->client, what.client->chain), 1);
	}
	if (what.session)
		assert_int_equal(SSL_set_session(d->client, what.session), 1);
	if (what.no_extended_secret)
		SSL_set_options(d->client, SSL_OP_NO_EXTENDED_MASTER_SECRET);
}

static const struct gw_tls_peer *peer_of(struct dialogue *d)
{
	const struct gw_tls_peer *peer, *again;

	assert_int_equal(gw_tls_get_peer(d->server, &peer), 0);
	assert_int_equal(gw_tls_get_peer(d->server, &again), 0);
	assert_ptr_equal(peer, again);
	return peer;
}

static void expect_client(struct dialogue *d, const struct client *c)
{
	const struct gw_tls_peer *peer = peer_of(d);

	assert_int_equal(gw_tls_has_certificate(d->server), c != NULL);
	assert_true(bytes_equal(peer->certificate, c ? buf_bytes(&c->own_der) : bytes_of(NULL, 0)));
	assert_true(bytes_equal(peer->chain, c ? buf_bytes(&c->chain_der) : bytes_of(NULL, 0)));
}

/* True when this client is let in and known. */
static bool is_let_in(int version, const struct client *c)
{
	struct dialogue d;
	bool is;

	begin(&d, version, (struct what){ .client = c });
	is = dialogue_shake_hands(&d);
	if (is)
		expect_client(&d, c);
	dialogue_end(&d);
	return is;
}

/* ---- tests ---- */

static EVP_PKEY *make_rsa(unsigned bits)
{
	return EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)bits);
}

static void takes_any_certificate_or_none(void **state)
{
	static const enum flaw flaws[] = { NO_FLAW, EXPIRED, NOT_YET, VERSION_1, BAD_EXTENSIONS, BAD_DATES,
					   NEGATIVE_SERIAL };
	struct client c;
	size_t i, v;

	for (i = 0; i < sizeof(flaws) / sizeof(*flaws); i++) {
		c = make_client(EVP_EC_gen("P-256"), flaws[i], 0, 0);
		for (v = 0; v < VERSIONS; v++)
			if (!is_let_in(versions[v], &c))
				fail_msg("flaw %d is refused by version %x", flaws[i], versions[v]);
		drop_client(&c);
	}
	for (v = 0; v < VERSIONS; v++)
		assert_true(is_let_in(versions[v], NULL));
}

static void takes_a_key_of_any_usual_kind(void **state)
{
	EVP_PKEY *keys[] = { EVP_EC_gen("P-256"), EVP_EC_gen("P-384"), EVP_EC_gen("P-521"), make_rsa(1024),
			     make_rsa(2048), make_rsa(4096), EVP_PKEY_Q_keygen(NULL, NULL, "ED25519"),
			     EVP_PKEY_Q_keygen(NULL, NULL, "ED448") };
	size_t i, v;

	for (i = 0; i < sizeof(keys) / sizeof(*keys); i++) {
		struct client c = make_client(keys[i], NO_FLAW, 1, 0);

		for (v = 0; v < VERSIONS; v++)
			if (!is_let_in(versions[v], &c))
				fail_msg("key %zu is refused by version %x", i, versions[v]);
		drop_client(&c);
	}
}

/* TLS 1.3 has no name for its signatures in this library. */
static void takes_a_key_on_a_curve_of_tls_1_2(void **state)
{
	static const char *const curves[] = { "brainpoolP256r1", "brainpoolP384r1", "brainpoolP512r1" };

	for (size_t i = 0; i < sizeof(curves) / sizeof(*curves); i++) {
		struct client c = make_client(EVP_EC_gen(curves[i]), NO_FLAW, 0, 0);
		struct dialogue d;

		begin(&d, TLS1_2_VERSION, (struct what){ .client = &c });
		assert_int_equal(SSL_set1_groups_list(d.client, "P-256:brainpoolP256r1:brainpoolP384r1:"
								"brainpoolP512r1"), 1);
		assert_true(dialogue_shake_hands(&d));
		expect_client(&d, &c);
		dialogue_end(&d);
		drop_client(&c);
	}
}

/* RFC 5929 3.1: what the two ends sent first of their Finished messages. */
static struct bytes unique_of(SSL *client, bool is_resumed, uint8_t room[static GW_TLS_UNIQUE_MAX])
{
	size_t n = is_resumed ? SSL_get_peer_finished(client, room, GW_TLS_UNIQUE_MAX) :
				SSL_get_finished(client, room, GW_TLS_UNIQUE_MAX);

	return bytes_of(room, n);
}

static void expect_bindings(struct dialogue *d, bool is_resumed, bool has_unique, bool has_exporter)
{
	uint8_t exporter[GW_TLS_EXPORTER_SIZE], unique[GW_TLS_UNIQUE_MAX];
	const struct gw_tls_peer *peer = peer_of(d);

	assert_int_equal(peer->unique.len, has_unique ? 12 : 0);
	if (has_unique)
		assert_true(bytes_equal(peer->unique, unique_of(d->client, is_resumed, unique)));
	assert_int_equal(peer->exporter.len, has_exporter ? sizeof(exporter) : 0);
	if (!has_exporter)
		return;
	assert_int_equal(SSL_export_keying_material(d->client, exporter, sizeof(exporter), "EXPORTER-Channel-Binding",
						    24, (const unsigned char *)"", 0, 1), 1);
	assert_memory_equal(exporter, peer->exporter.ptr, sizeof(exporter));
}

/* A first connection, one that resumes it, and one that resumes that. */
static void resume(int version, struct what what, size_t unique, size_t exporter)
{
	SSL_SESSION *next;
	struct dialogue d;
	size_t i;

	for (i = 0; i < 3; i++) {
		begin(&d, version, what);
		assert_true(dialogue_shake_hands(&d));
		assert_int_equal(SSL_session_reused(d.client), i > 0);
		assert_int_equal(gw_tls_is_resumed(d.server), i > 0);
		expect_client(&d, what.client);
		expect_bindings(&d, i > 0, i < unique, i < exporter);
		next = SSL_get1_session(d.client);
		dialogue_end(&d);
		SSL_SESSION_free(what.session);
		what.session = next;
	}
	SSL_SESSION_free(what.session);
}

static void knows_a_client_again_that_resumes_its_session(void **state)
{
	struct client alone = make_client(EVP_EC_gen("P-256"), NO_FLAW, 0, 0);
	struct client many = make_client(make_rsa(2048), EXPIRED, 3, 500);
	const struct client *clients[] = { NULL, &alone, &many };

	for (size_t i = 0; i < 3; i++) {
		resume(TLS1_2_VERSION, (struct what){ .client = clients[i] }, 3, 3);
		resume(TLS1_3_VERSION, (struct what){ .client = clients[i] }, 0, 3);
	}
	drop_client(&alone);
	drop_client(&many);
}

static void binds_nothing_to_what_another_connection_may_share(void **state)
{
	struct client c = make_client(EVP_EC_gen("P-256"), NO_FLAW, 1, 0);

	resume(TLS1_2_VERSION, (struct what){ .client = &c, .no_extended_secret = true }, 1, 0);
	drop_client(&c);
}

static void differs_with_each_connection(void **state)
{
	struct dialogue a, b;
	size_t v;

	for (v = 0; v < VERSIONS; v++) {
		begin(&a, versions[v], (struct what){ 0 });
		begin(&b, versions[v], (struct what){ 0 });
		assert_true(dialogue_shake_hands(&a) && dialogue_shake_hands(&b));
		assert_false(bytes_equal(peer_of(&a)->exporter, peer_of(&b)->exporter));
		if (versions[v] == TLS1_2_VERSION)
			assert_false(bytes_equal(peer_of(&a)->unique, peer_of(&b)->unique));
		dialogue_end(&a);
		dialogue_end(&b);
	}
}

/* A certificate of one listener is none of another, which may not even ask. */
static void takes_no_session_of_another_listener(void **state)
{
	struct client c = make_client(EVP_EC_gen("P-256"), NO_FLAW, 0, 0);
	struct ssl_ctx_st *here = server;
	SSL_SESSION *session;
	struct dialogue d;
	size_t v;

	for (v = 0; v < VERSIONS; v++) {
		begin(&d, versions[v], (struct what){ .client = &c });
		assert_true(dialogue_shake_hands(&d));
		session = SSL_get1_session(d.client);
		dialogue_end(&d);
		server = dialogue_context(tickets, "private");
		begin(&d, versions[v], (struct what){ .session = session });
		assert_true(dialogue_shake_hands(&d));
		assert_false(gw_tls_is_resumed(d.server));
		expect_client(&d, NULL);
		dialogue_end(&d);
		gw_tls_context_drop(&server);
		server = here;
		SSL_SESSION_free(session);
	}
	drop_client(&c);
}

static void gives_no_ticket_for_more_than_it_may_hold(void **state)
{
	struct client fits = make_client(EVP_EC_gen("P-256"), NO_FLAW, 2, 3000);
	struct client large = make_client(EVP_EC_gen("P-256"), NO_FLAW, 3, 3000);
	struct dialogue d;
	size_t v;

	assert_true(fits.own_der.len + fits.chain_der.len <= GW_TLS_TICKET_MAX);
	for (v = 0; v < VERSIONS; v++) {
		begin(&d, versions[v], (struct what){ .client = &fits });
		assert_true(dialogue_shake_hands(&d));
		assert_true(SSL_SESSION_has_ticket(SSL_get_session(d.client)));
		dialogue_end(&d);
		begin(&d, versions[v], (struct what){ .client = &large });
		assert_true(dialogue_shake_hands(&d));
		expect_client(&d, &large);
		assert_false(SSL_SESSION_has_ticket(SSL_get_session(d.client)));
		dialogue_end(&d);
	}
	drop_client(&fits);
	drop_client(&large);
}

/* A key whose signatures cost much more to check than to make. */
static EVP_PKEY *make_slow_rsa(void)
{
	EVP_PKEY_CTX *maker = EVP_PKEY_CTX_new_from_name(NULL, "RSA", NULL);
	EVP_PKEY *key = NULL;
	BIGNUM *e = NULL;

	BN_hex2bn(&e, "1000000000000000000000000000000001");
	assert_true(EVP_PKEY_keygen_init(maker) == 1 && EVP_PKEY_CTX_set_rsa_keygen_bits(maker, 2048) == 1 &&
		    EVP_PKEY_CTX_set1_rsa_keygen_pubexp(maker, e) == 1 && EVP_PKEY_generate(maker, &key) == 1);
	BN_free(e);
	EVP_PKEY_CTX_free(maker);
	return key;
}

static int alert;

static void on_event(const SSL *ssl, int where, int value)
{
	if ((where & SSL_CB_READ_ALERT) == SSL_CB_READ_ALERT)
		alert = value & 0xff;
}

static void refuses_too_many_certificates_before_it_reads_one(void **state)
{
	struct client c = make_client(EVP_EC_gen("P-256"), NO_FLAW, 40, 0);
	struct dialogue d;
	size_t v;

	assert_true(c.own_der.len + c.chain_der.len < GW_TLS_CERTIFICATES_MAX - 41 * 5);
	for (v = 0; v < VERSIONS; v++) {
		begin(&d, versions[v], (struct what){ .client = &c });
		SSL_set_info_callback(d.client, on_event);
		alert = 0;
		assert_false(dialogue_shake_hands(&d));
		assert_false(gw_tls_is_ready(d.server));
		/* Of a list that it had read it would say something else. */
		assert_int_equal(alert, SSL_AD_DECODE_ERROR);
		dialogue_end(&d);
	}
	drop_client(&c);
}

static void refuses_what_costs_too_much(void **state)
{
	struct client deepest = make_client(EVP_EC_gen("P-256"), NO_FLAW, GW_TLS_DEPTH_MAX - 1, 0);
	struct client deep = make_client(EVP_EC_gen("P-256"), NO_FLAW, GW_TLS_DEPTH_MAX, 0);
	struct client large = make_client(EVP_EC_gen("P-256"), NO_FLAW, 1, GW_TLS_CERTIFICATES_MAX);
	struct client slow = make_client(make_slow_rsa(), NO_FLAW, 0, 0);
	size_t v;

	for (v = 0; v < VERSIONS; v++) {
		assert_true(is_let_in(versions[v], &deepest));
		assert_false(is_let_in(versions[v], &deep));
		assert_false(is_let_in(versions[v], &large));
		assert_false(is_let_in(versions[v], &slow));
	}
	drop_client(&deepest);
	drop_client(&deep);
	drop_client(&large);
	drop_client(&slow);
}

/* Before TLS 1.3 the certificate comes as it is: change it on the way, one octet after the other. */
static void survives_octets_that_are_no_certificate(void **state)
{
	struct client c = make_client(EVP_EC_gen("P-256"), NO_FLAW, 0, 0);
	char *octets;
	struct dialogue d;
	uint8_t *at;
	size_t i;
	long n;

	for (i = 0; i < c.own_der.len; i++) {
		begin(&d, TLS1_2_VERSION, (struct what){ .client = &c });
		SSL_do_handshake(d.client);
		dialogue_carry(&d);
		SSL_do_handshake(d.client);
		n = BIO_get_mem_data(d.out, &octets);
		at = memmem(octets, (size_t)n, c.own_der.ptr, c.own_der.len);
		assert_non_null(at);
		at[i] ^= 0xff;
		assert_false(dialogue_shake_hands(&d));
		assert_false(gw_tls_is_ready(d.server));
		dialogue_end(&d);
	}
	drop_client(&c);
}

static void asks_for_the_issuers_it_was_told(void **state)
{
	static const char no_end[] = "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n";
	OWNED_BUF pem = BUF_INIT(1 << 20), key = BUF_INIT(1 << 20);
	struct gw_tls_names *names = NULL;
	const STACK_OF(X509_NAME) *told;
	struct dialogue d;
	char why[256], text[64];
	int i;

	assert_int_equal(gw_tls_names_new(&names, bytes_of_str("no certificate"), why, sizeof(why)), -EINVAL);
	assert_string_equal(why, "there is no certificate in it");
	assert_int_equal(gw_tls_names_new(&names, bytes_of(NULL, 0), why, sizeof(why)), -EINVAL);
	assert_int_equal(gw_tls_names_new(&names, bytes_of_str(no_end), why, sizeof(why)), -EINVAL);
	assert_string_equal(why, "one of its certificates cannot be read");
	for (i = 0; i < 2; i++) {
		snprintf(text, sizeof(text), "Vendor %d", i);
		assert_true(tls_client_certificate(text, 1, &pem, &key));
	}
	assert_int_equal(gw_tls_names_new(&names, buf_bytes(&pem), why, sizeof(why)), 0);
	gw_tls_context_drop(&server);
	server = dialogue_context(tickets, "public");
	assert_int_equal(gw_tls_context_ask(server, names), 0);
	gw_tls_names_drop(&names);
	begin(&d, TLS1_3_VERSION, (struct what){ 0 });
	assert_true(dialogue_shake_hands(&d));
	told = SSL_get0_peer_CA_list(d.client);
	assert_int_equal(sk_X509_NAME_num(told), 2);
	X509_NAME_get_text_by_NID(sk_X509_NAME_value(told, 1), NID_commonName, text, sizeof(text));
	assert_string_equal(text, "Vendor 1");
	dialogue_end(&d);

	while (pem.len < 300000)
		assert_true(tls_client_certificate("A name of about forty octets, many times", 1, &pem, &key));
	assert_int_equal(gw_tls_names_new(&names, buf_bytes(&pem), why, sizeof(why)), -EINVAL);
	assert_non_null(strstr(why, "too many"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(takes_any_certificate_or_none, set_up, tear_down),
		cmocka_unit_test_setup_teardown(takes_a_key_of_any_usual_kind, set_up, tear_down),
		cmocka_unit_test_setup_teardown(takes_a_key_on_a_curve_of_tls_1_2, set_up, tear_down),
		cmocka_unit_test_setup_teardown(knows_a_client_again_that_resumes_its_session, set_up, tear_down),
		cmocka_unit_test_setup_teardown(binds_nothing_to_what_another_connection_may_share, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(differs_with_each_connection, set_up, tear_down),
		cmocka_unit_test_setup_teardown(takes_no_session_of_another_listener, set_up, tear_down),
		cmocka_unit_test_setup_teardown(gives_no_ticket_for_more_than_it_may_hold, set_up, tear_down),
		cmocka_unit_test_setup_teardown(refuses_too_many_certificates_before_it_reads_one, set_up, tear_down),
		cmocka_unit_test_setup_teardown(refuses_what_costs_too_much, set_up, tear_down),
		cmocka_unit_test_setup_teardown(survives_octets_that_are_no_certificate, set_up, tear_down),
		cmocka_unit_test_setup_teardown(asks_for_the_issuers_it_was_told, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
