/* protocols/est: who asks, what makes a request the same, and what clients are told. The test plays the core.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tests/test.h"

#include <errno.h>
#include <unistd.h>

#include "core/base/base64.h"
#include "core/base/clock.h"
#include "core/base/der.h"
#include "core/base/own.h"
#include "protocols/est/est_int.h"

/* ---- the core ---- */

static struct {
	/* What it answers. */
	int check, submit, retrieve;
	enum ca_trust trust;
	struct ca_outcome answer; /* its buffers are not used */
	/* What it was asked. */
	enum ca_evidence_kind checked[8];
	enum ca_certificate_use use;
	unsigned n_checks, n_submits, n_retrieves;
	char user[64], secret[64];
	struct ca_submission last;
	enum ca_evidence_kind also;
	char attributes[512];
	int chain;
	unsigned n_chains;
	int64_t crl_end_s;
	uint64_t crl_number;
	bool is_crl_large;
	unsigned n_crls;
} core;

static void print(char *out, size_t size, struct bytes text)
{
	snprintf(out, size, "%.*s", (int)text.len, (const char *)text.ptr);
}

static void note_claim(const struct ca_credential_claim *claim)
{
	if (claim->name)
		snprintf(core.user, sizeof(core.user), "%s", claim->name);
	print(core.secret, sizeof(core.secret), claim->secret);
}

int ca_check_credential(struct ca_door *ca, const struct ca_credential_claim *claim, struct ca_credential_answer *a)
{
	assert_string_equal(claim->endpoint, "devices");
	assert_string_equal(claim->source_address, "192.0.2.7");
	core.checked[core.n_checks++] = claim->kind;
	core.use = claim->use;
	note_claim(claim);
	snprintf(a->requester, sizeof(a->requester), "est:%d", (int)claim->kind);
	snprintf(a->reason, sizeof(a->reason), "no such client");
	a->trust = claim->kind == CA_EVIDENCE_CERTIFICATE ? core.trust : CA_TRUST_NONE;
	a->retry_after_s = 7;
	return core.check;
}

static int answer(struct ca_outcome *out)
{
	out->id = 42;
	out->disposition = core.answer.disposition;
	out->status = core.answer.status;
	out->retry_after_s = core.answer.retry_after_s;
	out->to_collect = core.answer.to_collect;
	memcpy(out->reason, core.answer.reason, sizeof(out->reason));
	buf_reset(&out->certificate);
	return out->disposition == CA_ISSUED ? buf_append_str(&out->certificate, "\x30\x03" "abc") : 0;
}

int ca_submit(struct ca_door *ca, const struct ca_submission *s, struct ca_outcome *out)
{
	core.n_submits++;
	core.last = *s;
	core.also = s->also ? s->also->kind : CA_EVIDENCE_NONE;
	note_claim(s->credential);
	core.attributes[0] = '\0';
	for (size_t i = 0; i < s->n_attributes; i++) {
		size_t n = strlen(core.attributes);

		snprintf(core.attributes + n, sizeof(core.attributes) - n, "%s=%s;", s->attributes[i].name,
			 s->attributes[i].value);
	}
	assert_null(s->credential->endpoint);
	assert_null(s->credential->source_address);
	(void)answer(out);
	return core.submit;
}

int ca_retrieve(struct ca_door *ca, const char *requester, int64_t id, struct ca_outcome *out)
{
	core.n_retrieves++;
	assert_int_equal(id, 42);
	assert_string_equal(requester, core.last.requester);
	return core.retrieve ? core.retrieve : answer(out);
}

void ca_outcome_fini(struct ca_outcome *out)
{
	buf_fini(&out->certificate);
	buf_fini(&out->chain);
}

int ca_get_chain(struct ca_door *ca, struct buf *out)
{
	core.n_chains++;
	return core.chain ? core.chain : buf_append(out, bytes_of("\x30\x00", 2));
}

int ca_get_key_chain(struct ca_door *ca, unsigned key_index, struct buf *out)
{
	return CA_CALL_NOT_FOUND;
}

int ca_get_crl_page(struct ca_door *ca, unsigned key_index, unsigned partition, uint64_t number, uint64_t offset,
		    struct buf *out, struct ca_crl *info)
{
	*info = (struct ca_crl){ .number = core.crl_number, .next_update_s = core.crl_end_s };
	return core.chain ? core.chain : key_index ? CA_CALL_NOT_FOUND : 0;
}

int ca_get_crl(struct ca_door *ca, unsigned key_index, unsigned partition, struct buf *der, struct ca_crl *info)
{
	core.n_crls++;
	return core.is_crl_large ? -EMSGSIZE : buf_append(der, bytes_of("\x30\x00", 2));
}

/* A profile that demands nothing. */
int ca_get_request_form(struct ca_door *ca, const char *endpoint_name, const char *profile_name, struct arena *into,
			struct ca_request_form *out)
{
	static const char *const none[] = { NULL };

	*out = (struct ca_request_form){ .key_types = none, .attributes = none };
	return 0;
}

const char *ca_trust_word(enum ca_trust trust)
{
	static const char *const words[] = { "none", "own", "vendor", "ra" };

	return words[trust];
}

/* ---- requests ---- */

static struct est est;
static struct http_reply r;
static struct arena *arena;
static bool is_crowded;

static bool enter(void *state)
{
	return !is_crowded;
}

static void leave(void *state)
{
}

static const struct proto_waits waits = { .enter = enter, .leave = leave };
static char endpoint[] = "devices", profile[] = "device", label[] = "", other_label[] = "ca:1";

static int set_up(void **unused)
{
	memset(&core, 0, sizeof(core));
	core.crl_number = 1;
	core.answer.disposition = CA_ISSUED;
	is_crowded = false;
	est = (struct est){ .endpoint = endpoint, .profile = profile, .label = label, .waits = &waits,
			    .pop = EST_POP_VERIFY, .auth = { true, true, true } };
	assert_int_equal(arena_new(&arena, 1 << 22), 0);
	r = (struct http_reply){ .body = BUF_INIT(HTTP_REPLY_BODY_MAX), .arena = arena };
	return 0;
}

static int tear_down(void **unused)
{
	buf_fini(&r.body);
	http_octets_drop(&r.large);
	arena_drop(&arena);
	return 0;
}

/* What a PKCS#10 request of the tests is made of; the names are SAN entries as "\x82\x01" and so on. */
struct csr_parts {
	const char *subject, *key, *names, *challenge, *signature;
};

static void put_attribute(struct buf *out, const char *oid, size_t oid_size, unsigned tag, struct bytes value)
{
	OWNED_BUF content = BUF_INIT(4096), set = BUF_INIT(4096);

	der_write(&content, DER_OID, bytes_of(oid, oid_size));
	der_write(&set, tag, value);
	der_write(&content, DER_SET, buf_bytes(&set));
	der_write(out, DER_SEQUENCE, buf_bytes(&content));
}

static void put_names(struct buf *out, const char *names)
{
	OWNED_BUF list = BUF_INIT(4096), extension = BUF_INIT(4096), extensions = BUF_INIT(4096);

	der_write(&list, DER_SEQUENCE, bytes_of_str(names));
	der_write(&extension, DER_OID, bytes_of("\x55\x1d\x11", 3));
	der_write(&extension, DER_OCTET_STRING, buf_bytes(&list));
	der_write(&extensions, DER_SEQUENCE, buf_bytes(&extension));
	put_attribute(out, "\x2a\x86\x48\x86\xf7\x0d\x01\x09\x0e", 9, DER_SEQUENCE, buf_bytes(&extensions));
}

static const char *make_body(const struct csr_parts *p)
{
	OWNED_BUF info = BUF_INIT(8192), attributes = BUF_INIT(8192), all = BUF_INIT(8192), der = BUF_INIT(8192);
	OWNED_BUF text = BUF_INIT(16384);

	if (p->names)
		put_names(&attributes, p->names);
	if (p->challenge)
		put_attribute(&attributes, "\x2a\x86\x48\x86\xf7\x0d\x01\x09\x07", 9, 0x0c,
			      bytes_of_str(p->challenge));
	der_write(&info, DER_INTEGER, bytes_of("\0", 1));
	der_write(&info, DER_SEQUENCE, bytes_of_str(p->subject ? p->subject : "subject"));
	der_write(&info, DER_SEQUENCE, bytes_of_str(p->key ? p->key : "key"));
	der_write(&info, DER_CONTEXT_0, buf_bytes(&attributes));
	der_write(&all, DER_SEQUENCE, buf_bytes(&info));
	der_write(&all, DER_SEQUENCE, bytes_of_str("algorithm"));
	der_write(&all, DER_BIT_STRING, bytes_of_str(p->signature ? p->signature : "signature"));
	der_write(&der, DER_SEQUENCE, buf_bytes(&all));
	assert_int_equal(base64_encode(&text, buf_bytes(&der)), 0);
	return arena_strdup(arena, buf_str(&text));
}

/* What the client shows besides its request. */
struct shows {
	const char *authorization, *certificate;
	struct bytes unique, exporter;
};

static int ask(enum est_operation operation, struct shows s, struct csr_parts p)
{
	struct http_header sent[] = { { "content-type", "application/pkcs10" }, { "authorization", s.authorization } };
	struct http_request q = {
		.method = "POST", .headers = sent, .n_headers = s.authorization ? 2 : 1, .arena = arena,
		.peer_address = "192.0.2.7", .body = bytes_of_str(make_body(&p)),
		.peer_certificate = bytes_of_str(s.certificate), .tls_unique = s.unique, .tls_exporter = s.exporter,
	};
	struct est_call c = { .est = &est, .q = &q, .r = &r, .operation = operation };
	int e;

	buf_reset(&r.body);
	r.status = 0;
	r.n_headers = 0;
	core.n_checks = core.n_submits = core.n_retrieves = 0;
	e = est_enroll(&c);
	assert_true(e == 0 || e == EST_ANSWERED);
	return r.status;
}

static const char *header(const char *name)
{
	for (size_t i = 0; i < r.n_headers; i++)
		if (strcmp(r.headers[i].name, name) == 0)
			return r.headers[i].value;
	return NULL;
}

#define ALICE "Basic YWxpY2U6cGE6c3M=" /* alice:pa:ss */
#define WITH(...) ((struct shows){ __VA_ARGS__ })
#define CSR(...) ((struct csr_parts){ __VA_ARGS__ })
static const struct shows alice = { .authorization = ALICE };

/* ---- who asks ---- */

static void a_user_a_token_or_a_certificate(void **unused)
{
	assert_int_equal(ask(EST_SIMPLEENROLL, alice, CSR(0)), 200);
	assert_int_equal(core.last.evidence, CA_EVIDENCE_USER);
	assert_string_equal(core.last.requester, "est:user:alice");
	assert_string_equal(core.user, "alice");
	assert_string_equal(core.secret, "pa:ss");
	assert_int_equal(ask(EST_SIMPLEENROLL, WITH(.authorization = "bEaReR  ght_x"), CSR(0)), 200);
	assert_int_equal(core.last.evidence, CA_EVIDENCE_TOKEN);
	assert_string_equal(core.secret, "ght_x");
	/* In base64, as libest sends it; what is base64 of no text is what it is. */
	assert_int_equal(ask(EST_SIMPLEENROLL, WITH(.authorization = "Bearer Z2h0X3g="), CSR(0)), 200);
	assert_string_equal(core.secret, "ght_x");
	assert_int_equal(ask(EST_SIMPLEENROLL, WITH(.authorization = "Bearer AAAA"), CSR(0)), 200);
	assert_string_equal(core.secret, "AAAA");
	core.trust = CA_TRUST_VENDOR;
	assert_int_equal(ask(EST_SIMPLEENROLL, WITH(.certificate = "der"), CSR(0)), 200);
	assert_int_equal(core.last.evidence, CA_EVIDENCE_CERTIFICATE);
	assert_non_null(strstr(core.attributes, "client-trust=vendor;"));
	assert_int_equal(core.use, CA_CERTIFICATE_ENROL);
}

static void nobody_is_told_what_he_may_show(void **unused)
{
	assert_int_equal(ask(EST_SIMPLEENROLL, WITH(.authorization = NULL), CSR(0)), 401);
	assert_int_equal(core.n_checks + core.n_submits, 0);
	assert_string_equal(r.headers[0].name, "WWW-Authenticate");
	assert_string_equal(r.headers[0].value, "Basic realm=\"devices\"");
	assert_string_equal(r.headers[1].value, "Bearer realm=\"devices\"");
	assert_int_equal(r.body.len, 0);
	core.check = CA_CALL_REFUSED;
	assert_int_equal(ask(EST_SIMPLEENROLL, WITH(.authorization = "Bearer x"), CSR(0)), 401);
	assert_int_equal(core.n_submits, 0);
	/* With nothing but a certificate there is nothing to offer. */
	est.auth[EST_AUTH_BASIC] = est.auth[EST_AUTH_TOKEN] = false;
	assert_int_equal(ask(EST_SIMPLEENROLL, alice, CSR(0)), 403);
	assert_int_equal(core.n_checks, 0);
	assert_int_equal(ask(EST_SIMPLEENROLL, WITH(.certificate = "der"), CSR(0)), 403);
	assert_string_equal(buf_str(&r.body), "no such client\n");
	assert_int_equal(est.n_unauthenticated, 4);
}

/* A user's requester is his name, so one call of the core both tells whether it is he and issues. */
static void the_submission_of_a_user_is_the_only_call(void **unused)
{
	assert_int_equal(ask(EST_SIMPLEENROLL, alice, CSR(0)), 200);
	assert_int_equal(core.n_checks, 0);
	assert_int_equal(core.n_submits, 1);
	core.submit = CA_CALL_REFUSED;
	assert_int_equal(ask(EST_SIMPLEENROLL, alice, CSR(0)), 401);
	assert_string_equal(header("WWW-Authenticate"), "Basic realm=\"devices\"");
	assert_int_equal(core.n_checks, 0);
	assert_int_equal(core.n_submits, 1);
	assert_int_equal(est.n_unauthenticated, 1);
	/* What is no name of a user makes no requester. */
	core.check = CA_CALL_REFUSED;
	assert_int_equal(ask(EST_SIMPLEENROLL, WITH(.authorization = "Basic YSJiOng="), CSR(0)), 401);
	assert_int_equal(ask(EST_SIMPLEENROLL, WITH(.authorization = "Basic OmV4"), CSR(0)), 401);
	assert_int_equal(core.n_checks, 1);
	assert_int_equal(core.n_submits, 0);
}

static void nobody_learns_what_is_wrong_with_his_request(void **unused)
{
	est.pop = EST_POP_REQUIRE;
	core.check = CA_CALL_REFUSED;
	assert_int_equal(ask(EST_SIMPLEENROLL, alice, CSR(0)), 401);
	assert_int_equal(r.body.len, 0);
	assert_int_equal(core.n_checks, 1);
	assert_int_equal(core.n_submits, 0);
	assert_int_equal(est.n_refused, 0);
	core.check = CA_CALL_BUSY;
	assert_int_equal(ask(EST_SIMPLEENROLL, alice, CSR(0)), 503);
	assert_string_equal(header("Retry-After"), "7");
	core.check = 0;
	assert_int_equal(ask(EST_SIMPLEENROLL, alice, CSR(0)), 403);
	assert_int_equal(core.n_checks, 1);
	assert_int_equal(core.n_submits, 0);
	assert_non_null(strstr(buf_str(&r.body), "linking"));
}

static void what_counts_of_several_is_said_by_the_operation(void **unused)
{
	struct shows both = { .authorization = ALICE, .certificate = "der" };

	assert_int_equal(ask(EST_SIMPLEENROLL, both, CSR(0)), 200);
	assert_int_equal(core.n_checks, 0);
	assert_int_equal(core.last.evidence, CA_EVIDENCE_USER);
	assert_int_equal(ask(EST_SIMPLEREENROLL, both, CSR(0)), 200);
	assert_int_equal(core.n_checks, 1);
	assert_int_equal(core.last.evidence, CA_EVIDENCE_CERTIFICATE);
	assert_int_equal(core.use, CA_CERTIFICATE_RENEW);
	/* Who is refused by what counts is refused. */
	core.check = CA_CALL_REFUSED;
	assert_int_equal(ask(EST_SIMPLEREENROLL, both, CSR(0)), 401);
	assert_int_equal(core.n_checks, 1);
}

static void all_that_is_configured_may_be_needed(void **unused)
{
	est.needs_all = true;
	est.auth[EST_AUTH_TOKEN] = false;
	assert_int_equal(ask(EST_SIMPLEENROLL, alice, CSR(0)), 401);
	assert_int_equal(core.n_submits, 0);
	assert_int_equal(ask(EST_SIMPLEENROLL, WITH(.certificate = "der"), CSR(0)), 401);
	assert_int_equal(ask(EST_SIMPLEENROLL, WITH(.authorization = ALICE, .certificate = "der"), CSR(0)), 200);
	assert_int_equal(core.n_checks, 2);
	assert_int_equal(core.last.evidence, CA_EVIDENCE_USER);
	assert_int_equal(core.also, CA_EVIDENCE_CERTIFICATE);
	assert_int_equal(ask(EST_SIMPLEREENROLL, WITH(.authorization = ALICE, .certificate = "der"), CSR(0)), 200);
	assert_int_equal(core.last.evidence, CA_EVIDENCE_CERTIFICATE);
	assert_int_equal(core.also, CA_EVIDENCE_USER);
}

/* ---- the same request ---- */

static void a_request_is_the_same_by_what_stays_the_same(void **unused)
{
	static const char names[] = "\x82\x01" "a\x82\x01" "b";
	const struct {
		enum est_operation operation;
		struct shows shows;
		struct csr_parts csr;
		bool is_same;
	} cases[] = {
		{ EST_SIMPLEENROLL, alice, CSR(.names = names), true },
		{ EST_SIMPLEENROLL, alice, CSR(.names = names, .signature = "anew"), true },
		{ EST_SIMPLEENROLL, alice, CSR(.names = "\x82\x01" "b\x82\x01" "a"), true },
		{ EST_SIMPLEENROLL, alice, CSR(.names = "\x82\x01" "b\x82\x01" "a\x82\x01" "b"), true },
		{ EST_SIMPLEENROLL, WITH(.authorization = "Basic YWxpY2U6eA=="), CSR(.names = names), true },
		{ EST_SIMPLEREENROLL, alice, CSR(.names = names), false },
		{ EST_SIMPLEENROLL, WITH(.authorization = "Bearer x"), CSR(.names = names), false },
		{ EST_SIMPLEENROLL, alice, CSR(.names = "\x82\x01" "a"), false },
		{ EST_SIMPLEENROLL, alice, CSR(.names = "\x82\x01" "a\x82\x01" "c"), false },
		{ EST_SIMPLEENROLL, alice, CSR(.names = names, .key = "other"), false },
		{ EST_SIMPLEENROLL, alice, CSR(.names = names, .subject = "other"), false },
		{ EST_SIMPLEENROLL, alice, CSR(0), false },
	};
	uint8_t key[CA_TRANSACTION_KEY_SIZE];

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		assert_int_equal(ask(cases[i].operation, cases[i].shows, cases[i].csr), 200);
		if (i == 0)
			memcpy(key, core.last.transaction_key, sizeof(key));
		if ((memcmp(key, core.last.transaction_key, sizeof(key)) == 0) != cases[i].is_same)
			fail_msg("case %zu", i);
	}
	assert_int_equal(core.last.collect_s, 24 * 3600);
}

static void a_renewal_by_another_certificate_is_another_request(void **unused)
{
	uint8_t key[CA_TRANSACTION_KEY_SIZE];

	(void)unused;
	assert_int_equal(ask(EST_SIMPLEREENROLL, WITH(.certificate = "der"), CSR(0)), 200);
	memcpy(key, core.last.transaction_key, sizeof(key));
	assert_int_equal(ask(EST_SIMPLEREENROLL, WITH(.certificate = "der"), CSR(.signature = "anew")), 200);
	assert_memory_equal(key, core.last.transaction_key, sizeof(key));
	assert_int_equal(ask(EST_SIMPLEREENROLL, WITH(.certificate = "its successor"), CSR(0)), 200);
	assert_memory_not_equal(key, core.last.transaction_key, sizeof(key));
	/* Only what is renewed counts: for another certificate it is who asks. */
	assert_int_equal(ask(EST_SIMPLEENROLL, WITH(.certificate = "der"), CSR(0)), 200);
	memcpy(key, core.last.transaction_key, sizeof(key));
	assert_int_equal(ask(EST_SIMPLEENROLL, WITH(.certificate = "its successor"), CSR(0)), 200);
	assert_memory_equal(key, core.last.transaction_key, sizeof(key));
}

static void policy_is_told_what_the_client_did(void **unused)
{
	struct ca_attribute own = { "site", "north" };

	est.attributes.all = &own;
	est.attributes.n = 1;
	assert_int_equal(ask(EST_SIMPLEENROLL, alice, CSR(0)), 200);
	assert_string_equal(core.attributes, "site=north;est-operation=simpleenroll;pop-linked=no;client-trust=none;");
	est.label = other_label;
	assert_int_equal(ask(EST_SIMPLEREENROLL, alice, CSR(0)), 200);
	assert_string_equal(core.attributes, "site=north;est-operation=simplereenroll;est-label=ca:1;pop-linked=no;"
					     "client-trust=none;");
}

/* ---- linking ---- */

static void what_links_to_this_connection_is_verified(void **unused)
{
	struct shows s = { .authorization = ALICE, .unique = bytes_of("0123456789ab", 12) };
	static const char right[] = "MDEyMzQ1Njc4OWFi";

	assert_int_equal(ask(EST_SIMPLEENROLL, s, CSR(.challenge = right)), 200);
	assert_non_null(strstr(core.attributes, "pop-linked=yes;"));
	assert_int_equal(ask(EST_SIMPLEENROLL, s, CSR(.challenge = "MDEyMzQ1Njc4OWFj")), 400);
	assert_int_equal(core.n_submits, 0);
	assert_int_equal(ask(EST_SIMPLEENROLL, s, CSR(.challenge = "")), 400);
	assert_int_equal(ask(EST_SIMPLEENROLL, alice, CSR(.challenge = right)), 400); /* a connection that has none */
	s.exporter = s.unique;
	s.unique = bytes_of(NULL, 0);
	assert_int_equal(ask(EST_SIMPLEENROLL, s, CSR(.challenge = right)), 200);
	est.pop = EST_POP_REQUIRE;
	assert_int_equal(ask(EST_SIMPLEENROLL, s, CSR(0)), 403);
	/* A registration authority passes on what others signed. */
	core.trust = CA_TRUST_RA;
	assert_int_equal(ask(EST_SIMPLEENROLL, WITH(.certificate = "ra"), CSR(.challenge = "theirs")), 200);
	assert_non_null(strstr(core.attributes, "pop-linked=ra;client-trust=ra;"));
	est.pop = EST_POP_OFF;
	assert_int_equal(ask(EST_SIMPLEENROLL, alice, CSR(.challenge = "x")), 200);
	assert_non_null(strstr(core.attributes, "pop-linked=no;"));
}

static void a_challenge_may_be_a_token(void **unused)
{
	est.challenge = EST_CHALLENGE_SECRET;
	assert_int_equal(ask(EST_SIMPLEENROLL, WITH(.authorization = NULL), CSR(.challenge = "ght_inside")), 200);
	assert_int_equal(core.last.evidence, CA_EVIDENCE_TOKEN);
	assert_string_equal(core.secret, "ght_inside");
	assert_int_equal(ask(EST_SIMPLEENROLL, WITH(.authorization = "Bearer ght_outside"),
			     CSR(.challenge = "ght_inside")), 200);
	assert_string_equal(core.secret, "ght_outside");
	assert_int_equal(ask(EST_SIMPLEENROLL, WITH(.authorization = NULL), CSR(0)), 401);
	est.challenge = EST_CHALLENGE_IGNORE;
	assert_int_equal(ask(EST_SIMPLEENROLL, WITH(.authorization = NULL), CSR(.challenge = "ght_inside")), 401);
	assert_int_equal(ask(EST_SIMPLEENROLL, alice, CSR(.challenge = "whatever")), 200);
}

/* ---- answers ---- */

static void each_answer_of_the_core_has_its_status(void **unused)
{
	static const struct {
		enum ca_disposition disposition;
		enum ca_status status;
		int call, http;
	} cases[] = {
		{ CA_ISSUED, CA_STATUS_NONE, 0, 200 },
		{ CA_UNDER_SUBMISSION, CA_STATUS_NONE, 0, 202 },
		{ CA_DENIED, CA_STATUS_POLICY_DENIED, 0, 403 },
		{ CA_DENIED, CA_STATUS_ADMIN_DENIED, 0, 403 },
		{ CA_REVOKED, CA_STATUS_NONE, 0, 403 },
		{ CA_INCOMPLETE, CA_STATUS_NONE, 0, 503 },
		{ CA_INCOMPLETE, CA_STATUS_NONE, CA_CALL_BUSY, 503 },
		{ CA_ERROR, CA_STATUS_BAD_REQUEST, 0, 400 },
		{ CA_ERROR, CA_STATUS_BAD_SIGNATURE, 0, 400 },
		{ CA_ERROR, CA_STATUS_BAD_KEY, 0, 400 },
		{ CA_ERROR, CA_STATUS_BAD_NAME, 0, 403 },
		{ CA_ERROR, CA_STATUS_POLICY_FAILURE, 0, 500 },
		{ CA_ERROR, CA_STATUS_BUILD_FAILURE, 0, 500 },
		{ CA_ERROR, CA_STATUS_NONE, CA_CALL_REFUSED, 401 },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		core.answer = (struct ca_outcome){ .disposition = cases[i].disposition, .status = cases[i].status,
						   .retry_after_s = 33, .reason = "because of this" };
		core.submit = cases[i].call;
		if (ask(EST_SIMPLEENROLL, alice, CSR(0)) != cases[i].http)
			fail_msg("case %zu: %d", i, r.status);
		if (r.status == 202 || r.status == 503)
			assert_string_equal(header("Retry-After"), "33");
		assert_int_equal(r.body.len == 0, r.status == 202 || r.status == 401);
		/* Failures keep their reason inside. */
		if (r.status == 500)
			assert_null(strstr(buf_str(&r.body), "because"));
	}
	assert_int_equal(est.n_issued, 1);
	assert_int_equal(est.n_pending, 1);
}

static void who_waited_says_that_it_arrived(void **unused)
{
	assert_int_equal(ask(EST_SIMPLEENROLL, alice, CSR(0)), 200);
	assert_int_equal(core.n_retrieves, 0);
	core.answer.to_collect = true;
	assert_int_equal(ask(EST_SIMPLEENROLL, alice, CSR(0)), 200);
	assert_int_equal(core.n_retrieves, 1);
	assert_string_equal(header("Content-Type"), "application/pkcs7-mime; smime-type=certs-only");
	/* It was revoked a moment ago: nothing is handed out. */
	core.retrieve = CA_CALL_BUSY;
	assert_int_equal(ask(EST_SIMPLEENROLL, alice, CSR(0)), 503);
}

static void a_crowd_is_told_to_come_back(void **unused)
{
	is_crowded = true;
	assert_int_equal(ask(EST_SIMPLEENROLL, alice, CSR(0)), 503);
	assert_non_null(header("Retry-After"));
	assert_int_equal(core.n_checks + core.n_submits, 0);
	is_crowded = false;
	core.check = CA_CALL_BUSY;
	assert_int_equal(ask(EST_SIMPLEENROLL, WITH(.authorization = "Bearer x"), CSR(0)), 503);
	assert_string_equal(header("Retry-After"), "7");
}

static int get(int (*operation)(struct est_call *c))
{
	const struct http_request q = { .method = "GET", .arena = arena };
	struct est_call c = { .est = &est, .q = &q, .r = &r };
	int e;

	r.n_headers = 0;
	buf_reset(&r.body);
	http_octets_drop(&r.large);
	e = operation(&c);
	assert_true(e == 0 || e == EST_ANSWERED);
	return r.status;
}

/* While the core is away, or too many wait for it already, what it said last is good enough, and it is not asked by
 * each of those who come. */
static void certificates_are_there_while_the_core_is_away(void **unused)
{
	assert_int_equal(est_cacerts_new(&est.cacerts), 0);
	core.chain = CA_CALL_BUSY;
	assert_int_equal(get(est_cacerts), 503);
	is_crowded = true;
	assert_int_equal(get(est_cacerts), 503);
	assert_int_equal(core.n_chains, 1);
	is_crowded = false;
	core.chain = 0;
	assert_int_equal(get(est_cacerts), 200);
	usleep(1100000);
	core.chain = CA_CALL_BUSY;
	assert_int_equal(get(est_cacerts), 200);
	assert_int_equal(get(est_cacerts), 200);
	assert_int_equal(core.n_chains, 3);
	est_cacerts_drop(&est.cacerts);
}

static void a_list_that_has_ended_is_not_sent_while_the_core_is_away(void **unused)
{
	assert_int_equal(est_crls_new(&est.crls), 0);
	core.crl_end_s = clock_wall_s() + 2;
	assert_int_equal(get(est_crls), 200);
	core.chain = CA_CALL_BUSY;
	usleep(1100000);
	if (clock_wall_s() < core.crl_end_s)
		assert_int_equal(get(est_crls), 200);
	while (clock_wall_s() < core.crl_end_s)
		usleep(100000);
	assert_int_equal(get(est_crls), 503);
	assert_int_equal(get(est_crls), 503);
	est_crls_drop(&est.crls);
}

/* SignedData of RFC 5652 that has no content, one list (here an empty SEQUENCE), and no signer. */
static const char lists_text[] = "MCcGCSqGSIb3DQEHAqAaMBgCAQExADALBgkqhkiG9w0BBwGhAjAAMQA=";

static void sends_lists(struct http_octets *octets)
{
	char got[sizeof(lists_text)] = "";

	assert_int_equal(http_octets_size(octets), strlen(lists_text));
	assert_int_equal(http_octets_read(octets, 0, got, strlen(lists_text)), 0);
	assert_string_equal(got, lists_text);
}

/* However slowly they read: they have no copy each, and who has read through two changes of the list is cut off. */
static void readers_of_the_lists_share_one_file(void **unused)
{
	struct http_reply slow = { 0 };

	assert_int_equal(est_crls_new(&est.crls), 0);
	core.crl_end_s = clock_wall_s() + 60;
	assert_int_equal(get(est_crls), 200);
	slow.large = http_octets_hold(r.large);
	assert_int_equal(get(est_crls), 200);
	assert_ptr_equal(r.large, slow.large);
	assert_int_equal(core.n_crls, 1);
	sends_lists(slow.large);
	for (core.crl_number = 2; core.crl_number <= 3; core.crl_number++) {
		char octet;

		usleep(1100000);
		assert_int_equal(get(est_crls), 200);
		assert_ptr_not_equal(r.large, slow.large);
		assert_int_equal(core.n_crls, core.crl_number);
		assert_int_equal(http_octets_read(slow.large, 0, &octet, 1), core.crl_number == 2 ? 0 : -ESTALE);
	}
	http_octets_drop(&slow.large);
	est_crls_drop(&est.crls);
}

static void lists_that_are_too_large_are_fetched_once(void **unused)
{
	assert_int_equal(est_crls_new(&est.crls), 0);
	core.crl_end_s = clock_wall_s() + 60;
	core.is_crl_large = true;
	assert_int_equal(get(est_crls), 404);
	usleep(1100000);
	assert_int_equal(get(est_crls), 404);
	assert_int_equal(core.n_crls, 1);
	core.is_crl_large = false;
	core.crl_number = 2;
	usleep(1100000);
	assert_int_equal(get(est_crls), 200);
	est_crls_drop(&est.crls);
}

/* RFC 7030 3.5: who finds the attribute there links his request to the connection. A secret in its place is nothing
 * that a client could know of, and must not be answered with a value of the connection. */
static void clients_are_told_to_link_where_it_is_needed(void **unused)
{
	static const struct {
		enum est_challenge challenge;
		enum est_pop pop;
		int status;
	} cases[] = {
		{ EST_CHALLENGE_LINKING, EST_POP_REQUIRE, 200 }, { EST_CHALLENGE_LINKING, EST_POP_VERIFY, 204 },
		{ EST_CHALLENGE_LINKING, EST_POP_OFF, 204 },	 { EST_CHALLENGE_SECRET, EST_POP_VERIFY, 204 },
		{ EST_CHALLENGE_IGNORE, EST_POP_VERIFY, 204 },
	};

	est.csrattrs = EST_CSRATTRS_LIST;
	est.base64 = EST_BASE64_SINGLE;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		est.challenge = cases[i].challenge;
		est.pop = cases[i].pop;
		if (get(est_csrattrs) != cases[i].status)
			fail_msg("case %zu: %d", i, r.status);
		assert_string_equal(buf_str(&r.body), r.status == 200 ? "MAsGCSqGSIb3DQEJBw==" : "");
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_user_a_token_or_a_certificate),
		TEST(nobody_is_told_what_he_may_show),
		TEST(the_submission_of_a_user_is_the_only_call),
		TEST(nobody_learns_what_is_wrong_with_his_request),
		TEST(what_counts_of_several_is_said_by_the_operation),
		TEST(all_that_is_configured_may_be_needed),
		TEST(a_request_is_the_same_by_what_stays_the_same),
		TEST(a_renewal_by_another_certificate_is_another_request),
		TEST(policy_is_told_what_the_client_did),
		TEST(what_links_to_this_connection_is_verified),
		TEST(a_challenge_may_be_a_token),
		TEST(each_answer_of_the_core_has_its_status),
		TEST(who_waited_says_that_it_arrived),
		TEST(a_crowd_is_told_to_come_back),
		TEST(certificates_are_there_while_the_core_is_away),
		TEST(a_list_that_has_ended_is_not_sent_while_the_core_is_away),
		TEST(readers_of_the_lists_share_one_file),
		TEST(lists_that_are_too_large_are_fetched_once),
		TEST(clients_are_told_to_link_where_it_is_needed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
