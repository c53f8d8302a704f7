/* protocols/scep/places.c: of several endpoints the request says which is meant.
 *
 * The test plays registration authorities whose signer is always away: which of them was asked is what counts.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tests/unit/protocols/scep_rig.h"

#include <errno.h>

#include "core/base/base64.h"
#include "core/base/der.h"
#include "protocols/scep/scep_int.h"
#include "tests/test.h"

#define ENDPOINTS 3

static struct place {
	struct scep_client client; /* whose key is the RA's */
	struct proto_ra ra;
	struct scep scep;
	unsigned n_unwrapped;
} places[ENDPOINTS];

static struct proto_member members[] = {
	{ "One", &places[0].scep }, { "two", &places[1].scep }, { "t.3", &places[2].scep },
};

static int list(void *state, struct arena *arena, struct proto_ra_key **keys, size_t *n)
{
	const struct place *p = state;

	*keys = arena_alloc(arena, sizeof(**keys));
	assert_non_null(*keys);
	**keys = (struct proto_ra_key){ .certificate = buf_bytes(&p->client.der), .chain = buf_bytes(&p->client.der) };
	*n = 1;
	return 0;
}

static int unwrap(void *state, unsigned number, enum proto_ra_wrapping wrapping, struct bytes wrapped, uint8_t *out,
		  size_t n)
{
	((struct place *)state)->n_unwrapped++;
	return -EAGAIN;
}

static int set_up(void **unused)
{
	static const char *const names[ENDPOINTS] = { "RA 1", "RA 2", "RA 3" };

	for (size_t i = 0; i < ENDPOINTS; i++) {
		struct place *p = &places[i];

		scep_client_make(&p->client, "2048", names[i]);
		p->ra = (struct proto_ra){ .list = list, .unwrap = unwrap, .state = p };
		p->scep = (struct scep){ .ra = &p->ra, .cacert = SCEP_CACERT_RA_ONLY };
		assert_int_equal(limit_new(&p->scep.failure_limit, 1000, 1000), 0);
		assert_int_equal(limit_new(&p->scep.line_limit, 1000, 1000), 0);
	}
	return 0;
}

static int tear_down(void **unused)
{
	for (size_t i = 0; i < ENDPOINTS; i++) {
		scep_client_fini(&places[i].client);
		limit_drop(&places[i].scep.failure_limit);
		limit_drop(&places[i].scep.line_limit);
	}
	return 0;
}

/* A message for the owner of a certificate. */
static void write_message(const struct scep_client *to, struct buf *out)
{
	static const struct scep_client *sender = &places[0].client;
	const struct scep_cipher *aes;
	OWNED_BUF envelope = BUF_INIT(SCEP_RIG_MAX), oid = BUF_INIT(64), iv = BUF_INIT(64);
	struct bytes at;

	scep_put_oid(&oid, "2.16.840.1.101.3.4.1.2");
	assert_int_equal(der_write(&iv, DER_OCTET_STRING, bytes_of("0123456789abcdef", 16)), 0);
	assert_int_equal(buf_append(&oid, buf_bytes(&iv)), 0);
	aes = scep_cipher_find(buf_bytes(&oid), SCEP_LEGACY_NONE, &at);
	assert_non_null(aes);
	assert_int_equal(scep_envelope_write(buf_bytes(&to->der), to->key, PROTO_RA_PKCS1, aes, bytes_of_str("content"),
					     &envelope), 0);
	scep_write_message(&(struct scep_shape){ .by = sender, .content = buf_bytes(&envelope) }, out);
}

static int ask(struct proto_group *group, const char *query, struct bytes body, struct buf *text)
{
	struct http_request q = { .method = body.ptr ? "POST" : "GET", .path = "/scep", .query = query, .body = body,
				  .peer_address = "192.0.2.1" };
	struct http_reply r = { .body = BUF_INIT(HTTP_REPLY_BODY_MAX) };
	int status;

	assert_int_equal(arena_new(&q.arena, 1 << 20), 0);
	r.arena = q.arena;
	assert_int_equal((body.ptr ? scep_post_shared : scep_get_shared)(group, &q, &r), 0);
	if (text)
		assert_int_equal(buf_append(text, buf_bytes(&r.body)), 0);
	status = r.status;
	buf_fini(&r.body);
	arena_drop(&q.arena);
	return status;
}

static void a_name_in_the_message_says_which(void **unused)
{
	static const struct {
		const char *query;
		int found, otherwise; /* with the last one as fallback; -1: nobody */
	} cases[] = {
		{ "operation=GetCACert&message=one", 0, 0 },
		{ "operation=GetCACert&message=TWO", 1, 1 },
		{ "message=t%2E3&operation=GetCACert", 2, 2 },
		{ "operation=GetCACert&message=CAIdentifier", 2, -1 },
		{ "operation=GetCACert&message=0", 2, -1 },
		{ "operation=GetCACert&message=", 2, -1 },
		{ "operation=GetCACert", 2, -1 },
		{ "operation=GetCACert&message=tw", 2, -1 },
		{ "operation=GetCACert&message=two%00", 2, -1 },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
		for (int has_fallback = 0; has_fallback < 2; has_fallback++) {
			struct proto_group group = { members, ENDPOINTS, has_fallback ? &places[2].scep : NULL };
			int found = has_fallback ? cases[i].found : cases[i].otherwise;
			OWNED_BUF text = BUF_INIT(SCEP_RIG_MAX);

			assert_int_equal(ask(&group, cases[i].query, bytes_of(NULL, 0), &text), found < 0 ? 404 : 200);
			if (found >= 0 && !bytes_equal(buf_bytes(&text), buf_bytes(&places[found].client.der)))
				fail_msg("%s is not %d", cases[i].query, found);
		}
}

static void a_message_is_for_whom_it_is_encrypted_to(void **unused)
{
	struct proto_group group = { members, ENDPOINTS, NULL };
	OWNED_BUF query = BUF_INIT(SCEP_RIG_MAX);

	for (size_t i = 0; i < ENDPOINTS; i++) {
		OWNED_BUF message = BUF_INIT(SCEP_RIG_MAX);

		write_message(&places[i].client, &message);
		assert_int_equal(ask(&group, "operation=PKIOperation", buf_bytes(&message), NULL), 503);
		assert_int_equal(places[i].n_unwrapped, 1);
		buf_reset(&query);
		assert_int_equal(buf_append_str(&query, "operation=PKIOperation&message="), 0);
		assert_int_equal(base64_encode(&query, buf_bytes(&message)), 0);
		assert_int_equal(ask(&group, buf_str(&query), bytes_of(NULL, 0), NULL), 503);
		assert_int_equal(places[i].n_unwrapped, 2);
	}
	for (size_t i = 0; i < ENDPOINTS; i++)
		assert_int_equal(places[i].n_unwrapped, 2);
}

static void a_message_for_nobody_is_for_the_fallback(void **unused)
{
	struct scep_client stranger;
	OWNED_BUF message = BUF_INIT(SCEP_RIG_MAX);
	struct proto_group nobody = { members, ENDPOINTS, NULL }, group = { members, ENDPOINTS, &places[1].scep };

	scep_client_make(&stranger, "2048", "stranger");
	write_message(&stranger, &message);
	assert_int_equal(ask(&nobody, NULL, buf_bytes(&message), NULL), 404);
	assert_int_equal(ask(&nobody, NULL, bytes_of("\x30", 1), NULL), 404);
	assert_int_equal(ask(&nobody, "operation=PKIOperation&message=!", bytes_of(NULL, 0), NULL), 404);
	/* Who says that it is no message. */
	assert_int_equal(ask(&group, NULL, bytes_of("\x30", 1), NULL), 400);
	assert_int_equal(places[1].scep.n_malformed, 1);
	assert_int_equal(ask(&group, "operation=PKIOperation&message=!", bytes_of(NULL, 0), NULL), 400);
	scep_client_fini(&stranger);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_name_in_the_message_says_which),
		cmocka_unit_test(a_message_is_for_whom_it_is_encrypted_to),
		cmocka_unit_test(a_message_for_nobody_is_for_the_fallback),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
