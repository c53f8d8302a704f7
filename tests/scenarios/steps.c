/* Steps that act on the core: requests, submissions, questions, and what an administrator does.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tests/scenarios/scenario.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "core/base/base64.h"
#include "core/base/clock.h"
#include "core/base/own.h"
#include "core/store.h"
#include "tests/scenarios/csr_maker.h"
#include "tests/scenarios/duration.h"

#define NAMES_MAX 1100

/* ---- requests ---- */

/* Words between commas, in a copy of the text. */
struct words {
	char *text;
	const char *at[NAMES_MAX];
	size_t n;
};

static void words_split(struct words *w, const char *text)
{
	char *rest;

	w->n = 0;
	w->text = rest = strdup(text ? text : "");
	for (char *word; rest && (word = strsep(&rest, ",")) && w->n < NAMES_MAX;)
		if (*word)
			w->at[w->n++] = word;
}

/* "1.2.3:0500" or "1.2.3:0500:critical". */
static bool read_extra(const char *text, struct csr_extra *x, char *oid, uint8_t *value, size_t size)
{
	const char *colon = strchr(text, ':');
	const char *end = colon ? strchr(colon + 1, ':') : NULL;
	char hex[1024];
	size_t n;

	if (!colon)
		return false;
	snprintf(oid, 64, "%.*s", (int)(colon - text), text);
	snprintf(hex, sizeof(hex), "%.*s", end ? (int)(end - colon - 1) : (int)sizeof(hex) - 1, colon + 1);
	n = strlen(hex) / 2;
	if (n > size || hex_parse(hex, value, n))
		return false;
	*x = (struct csr_extra){ .oid = oid, .value = bytes_of(value, n), .is_critical = end != NULL };
	return true;
}

/* "CN=device 7;O=Example" as the content of a Name. */
static void put_subject(struct scenario *s, const char *text, unsigned string_tag, struct buf *out)
{
	static const struct {
		const char *word, *oid;
	} oids[] = { { "CN", "2.5.4.3" }, { "O", "2.5.4.10" }, { "OU", "2.5.4.11" }, { "serialNumber", "2.5.4.5" },
		     { "street", "2.5.4.9" }, { "DC", "0.9.2342.19200300.100.1.25" },
		     { "UID", "0.9.2342.19200300.100.1.1" }, { "unstructuredName", "1.2.840.113549.1.9.2" },
		     { "unstructuredAddress", "1.2.840.113549.1.9.8" } };
	OWNED_STR copy = strdup(text);
	char *rest = copy;

	for (char *part; rest && (part = strsep(&rest, ";"));) {
		OWNED_BUF pair = BUF_INIT(4096), sequence = BUF_INIT(4096);
		char *equal = strchr(part, '=');
		const char *oid = NULL;

		for (size_t i = 0; equal && i < sizeof(oids) / sizeof(*oids); i++)
			if (strlen(oids[i].word) == (size_t)(equal - part) &&
			    strncmp(part, oids[i].word, (size_t)(equal - part)) == 0)
				oid = oids[i].oid;
		if (!oid) {
			scenario_fail(s, "subject=CN=…;O=…, not %s", part);
			return;
		}
		csr_put_oid(&pair, oid);
		csr_put(&pair, string_tag, bytes_of_str(equal + 1));
		csr_put(&sequence, 0x30, buf_bytes(&pair));
		csr_put(out, 0x31, buf_bytes(&sequence));
	}
}

/* An attribute ChangeSubjectName (RFC 6402 2.8): wants-subject=CN=…;O=…, wants-names=a,b. */
static void put_change(struct scenario *s, const struct step *step, struct buf *out)
{
	OWNED_BUF change = BUF_INIT(8192), subject = BUF_INIT(8192), names = BUF_INIT(8192), value = BUF_INIT(8192),
		  content = BUF_INIT(8192);
	const char *wants = step_value(step, "wants-names");
	OWNED_STR copy = strdup(wants ? wants : "");
	char *rest = copy;

	if (step_value(step, "wants-subject")) {
		put_subject(s, step_value(step, "wants-subject"), 0x0c, &subject);
		csr_put(&change, 0x30, buf_bytes(&subject));
	}
	for (char *name; rest && (name = strsep(&rest, ","));)
		if (*name)
			csr_put(&names, 0x82, bytes_of_str(name));
	if (names.len)
		csr_put(&change, 0x30, buf_bytes(&names));
	csr_put(&value, 0x30, buf_bytes(&change));
	csr_put_oid(&content, "1.3.6.1.5.5.7.7.36");
	csr_put(&content, 0x31, buf_bytes(&value));
	csr_put(out, 0x30, buf_bytes(&content));
}

/* An attribute challengePassword. */
static void put_password(const char *text, struct buf *out)
{
	OWNED_BUF value = BUF_INIT(4096), content = BUF_INIT(4096);

	csr_put(&value, 0x0c, bytes_of_str(text));
	csr_put_oid(&content, "1.2.840.113549.1.9.7");
	csr_put(&content, 0x31, buf_bytes(&value));
	csr_put(out, 0x30, buf_bytes(&content));
}

static int make_csr(struct scenario *s, const struct step *step, struct buf *out)
{
	OWNED_BUF subject = BUF_INIT(8192), attributes = BUF_INIT(8192);
	static const char *const names_default = "a.example";
	struct csr_spec spec = {
		.key = step_value(step, "type"),
		.digest = step_value(step, "digest"),
		.common_name = step_value(step, "cn"),
		.is_signature_bad = step_has(step, "bad-signature"),
	};
	struct words *names = calloc(1, sizeof(*names));
	const char *given = step_value(step, "names"), *extra;
	char oids[CSR_MAKER_EXTRA_MAX][64];
	uint8_t values[CSR_MAKER_EXTRA_MAX][512];
	size_t at = 1;
	int e;

	if (!names)
		return -ENOMEM;
	if (step_value(step, "subject"))
		put_subject(s, step_value(step, "subject"), step_has(step, "printable") ? 0x13 : 0x0c, &subject);
	if (step_value(step, "wants-subject") || step_value(step, "wants-names"))
		put_change(s, step, &attributes);
	if (step_value(step, "challenge-password"))
		put_password(step_value(step, "challenge-password"), &attributes);
	spec.subject = buf_bytes(&subject);
	spec.attributes = buf_bytes(&attributes);
	words_split(names, given ? given : names_default);
	spec.names = names->at;
	spec.n_names = names->n;
	while ((extra = step_next_value(step, "ext", &at)) && spec.n_extra < CSR_MAKER_EXTRA_MAX) {
		size_t i = spec.n_extra++;

		if (!read_extra(extra, &spec.extra[i], oids[i], values[i], sizeof(values[i])))
			scenario_fail(s, "ext=OID:HEX[:critical], not %s", extra);
	}
	e = csr_make(&spec, out);
	free(names->text);
	free(names);
	return e;
}

void step_csr(struct scenario *s, const struct step *step)
{
	if (step->n < 2 || s->n_csrs == CSRS_MAX) {
		scenario_fail(s, "csr: no name, or too many");
		return;
	}
	snprintf(s->csrs[s->n_csrs].name, sizeof(s->csrs[0].name), "%s", step->words[1]);
	s->csrs[s->n_csrs].der = BUF_INIT(1u << 20);
	if (strncmp(step->words[1], "hex:", 4) == 0 || make_csr(s, step, &s->csrs[s->n_csrs].der))
		scenario_fail(s, "csr: it cannot be made");
	s->n_csrs++;
}

static bool find_csr(struct scenario *s, const char *name, struct buf *out)
{
	uint8_t octets[512];
	size_t n = strlen(name);

	if (strncmp(name, "hex:", 4) == 0) {
		n = (n - 4) / 2;
		return n <= sizeof(octets) && hex_parse(name + 4, octets, n) == 0 &&
		       !buf_append(out, bytes_of(octets, n));
	}
	for (size_t i = 0; i < s->n_csrs; i++)
		if (strcmp(s->csrs[i].name, name) == 0)
			return buf_append(out, buf_bytes(&s->csrs[i].der)) == 0;
	return false;
}

/* ---- answers ---- */

static const struct {
	enum ca_disposition disposition;
	const char *word;
} dispositions[] = {
	{ CA_INCOMPLETE, "incomplete" }, { CA_ERROR, "error" },	     { CA_DENIED, "denied" },
	{ CA_ISSUED, "issued" },	 { CA_UNDER_SUBMISSION, "pending" }, { CA_REVOKED, "revoked" },
};

static const char *disposition_word(enum ca_disposition d)
{
	for (size_t i = 0; i < sizeof(dispositions) / sizeof(*dispositions); i++)
		if (dispositions[i].disposition == d)
			return dispositions[i].word;
	return "?";
}

static void check_field(struct scenario *s, const char *expected, const struct ca_outcome *out)
{
	const char *equal = strpbrk(expected, "=~");
	char got[CA_REASON_SIZE];
	bool ok;

	if (!equal) {
		scenario_fail(s, "'%s': field=value or field~text", expected);
		return;
	}
	if (strncmp(expected, "id", 2) == 0)
		snprintf(got, sizeof(got), "%lld", (long long)out->id);
	else if (strncmp(expected, "status", 6) == 0)
		snprintf(got, sizeof(got), "%s", ca_status_word(out->status));
	else if (strncmp(expected, "retry", 5) == 0)
		snprintf(got, sizeof(got), "%u", out->retry_after_s);
	else if (strncmp(expected, "to-collect", 10) == 0)
		snprintf(got, sizeof(got), "%s", out->to_collect ? "yes" : "no");
	else
		snprintf(got, sizeof(got), "%s", out->reason);
	ok = *equal == '~' ? strstr(got, equal + 1) != NULL : strcmp(got, equal + 1) == 0;
	if (!ok)
		scenario_fail(s, "answered %.*s '%s', expected %s (%s, id %lld, reason '%s')",
			      (int)(equal - expected), expected, got, expected, disposition_word(out->disposition),
			      (long long)out->id, out->reason);
}

static void check_answer(struct scenario *s, const struct step *step, const char *got, const struct ca_outcome *out)
{
	if (step->n_expected == 0) {
		scenario_fail(s, "what is expected of it? It answered %s", got);
		return;
	}
	if (strcmp(step->expected[0], got) != 0)
		scenario_fail(s, "answered %s, expected %s (status '%s', reason '%s', id %lld)", got,
			      step->expected[0], ca_status_word(out->status), out->reason, (long long)out->id);
	for (size_t i = 1; i < step->n_expected; i++)
		check_field(s, step->expected[i], out);
	if (strcmp(got, "issued") == 0 && out->certificate.len == 0)
		scenario_fail(s, "issued, without a certificate");
	if (strcmp(got, "issued") != 0 && out->certificate.len)
		scenario_fail(s, "a certificate although it is %s", got);
}

static const char *call_word(int e, const struct ca_outcome *out)
{
	static const char *const words[] = {
		[CA_CALL_BUSY] = "busy",       [CA_CALL_REFUSED] = "refused",       [CA_CALL_NOT_FOUND] = "not-found",
		[CA_CALL_ALREADY] = "already", [CA_CALL_KEY_WANTED] = "key-wanted", [CA_CALL_TOO_EARLY] = "too-early",
	};

	if (e == 0)
		return disposition_word(out->disposition);
	return e > 0 && (size_t)e < sizeof(words) / sizeof(*words) && words[e] ? words[e] : "failed";
}

/* ---- submissions ---- */

static const char *value_or(const struct step *step, const char *name, const char *otherwise)
{
	const char *value = step_value(step, name);

	return value ? value : otherwise;
}

static enum ca_evidence_kind evidence_of(const char *word)
{
	if (strcmp(word, "acme") == 0)
		return CA_EVIDENCE_ACME_AUTHORIZATION;
	return strcmp(word, "local") == 0 ? CA_EVIDENCE_LOCAL_CONFIG : CA_EVIDENCE_NONE;
}

static void fill_names(struct ca_submission *sub, const struct words *names, struct ca_name *out,
		       enum ca_evidence_kind evidence)
{
	uint8_t address[16];

	for (size_t i = 0; i < names->n; i++) {
		bool is_ip = inet_pton(AF_INET, names->at[i], address) == 1 ||
			     inet_pton(AF_INET6, names->at[i], address) == 1;

		out[i] = (struct ca_name){ is_ip ? CA_NAME_IP : CA_NAME_DNS, names->at[i], evidence,
					   "authz 1 http-01" };
	}
	sub->names = out;
	sub->n_names = names->n;
}

/* "name:value"; the first colon parts them. */
static size_t fill_attributes(const struct step *step, struct ca_attribute *out, char (*names)[256])
{
	size_t n = 0, at = 1;

	for (const char *text; n < CA_ATTRIBUTES_MAX && (text = step_next_value(step, "attr", &at)); n++) {
		const char *colon = strchr(text, ':');

		snprintf(names[n], 256, "%.*s", colon ? (int)(colon - text) : 0, text);
		out[n] = (struct ca_attribute){ names[n], colon ? colon + 1 : text };
	}
	return n;
}

static int64_t real_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static int submit(struct scenario *s, const struct step *step, struct bytes der, struct ca_outcome *out)
{
	char attribute_names[CA_ATTRIBUTES_MAX][256], key[64];
	struct ca_attribute attributes[CA_ATTRIBUTES_MAX];
	struct words *words = calloc(1, sizeof(*words));
	struct ca_name *names = calloc(NAMES_MAX, sizeof(*names));
	const char *config = step_value(step, "ca"), *given = step_value(step, "key");
	enum ca_evidence_kind evidence = evidence_of(value_or(step, "evidence", "acme"));
	struct ca_submission sub = {
		.protocol = value_or(step, "protocol", "acme"),
		.endpoint = value_or(step, "endpoint", RIG_ENDPOINT),
		.profile = value_or(step, "profile", RIG_PROFILE),
		.requester = value_or(step, "requester", "acme:1"),
		.evidence = evidence,
		.source_address = value_or(step, "source", "192.0.2.7"),
		.request = der,
		.attributes = attributes,
		.n_attributes = fill_attributes(step, attributes, attribute_names),
		.retry_after_s = (unsigned)(duration_ms(value_or(step, "retry", "0s")) / 1000),
		.collect_s = (unsigned)(duration_ms(value_or(step, "collect", "0s")) / 1000),
		.is_repeat_exact = step_has(step, "exact"),
		.is_server_key = step_has(step, "server-key") || step_has(step, "key-to-come"),
		.is_key_to_come = step_has(step, "key-to-come"),
	};
	const char *poll_key = step_value(step, "poll-key");
	struct ca_credential_claim claim, also;
	struct ca_door *door = NULL;
	int e = 0;

	sub.has_poll_key = poll_key;
	if (poll_key)
		rig_key(poll_key, sub.poll_key);
	snprintf(key, sizeof(key), "made %u", ++s->n_keys);
	rig_key(given ? given : key, sub.transaction_key);
	words_split(words, value_or(step, "names", "a.example"));
	fill_names(&sub, words, names,
		   evidence_of(value_or(step, "name-evidence", value_or(step, "evidence", "acme"))));
	if (step_value(step, "with") && scenario_claim(s, step, "with", &claim))
		scenario_use_credential(s, step, &claim, &sub);
	if (step_value(step, "limited-by") && scenario_claim(s, step, "limited-by", &claim))
		sub.credential = &claim;
	if (step_value(step, "certificate") && !scenario_show_certificate(s, step, &claim, &sub))
		e = -EINVAL;
	if (step_value(step, "also") && scenario_claim(s, step, "also", &also))
		sub.also = &also;
	if (!e && config) {
		OWNED_BUF string = BUF_INIT(256);

		buf_printf(&string, "%s%s", rig_address(&s->rig), config);
		e = ca_locate(&door, buf_str(&string), "test");
	}
	if (!e)
		e = ca_submit(door ? door : s->rig.door, &sub, out);
	ca_door_drop(&door);
	free(words->text);
	free(words);
	free(names);
	return e;
}

/* A client that comes back with its transaction has the same key: the CSR made for this key= and these names is kept.
 * New ones are made without key= and for a CSR that asks for something special. */
static bool same_csr(struct scenario *s, const struct step *step, struct buf *out)
{
	const char *key = step_value(step, "key"), *names = step_value(step, "names");
	char name[sizeof(s->csrs[0].name)];

	snprintf(name, sizeof(name), "%s/%s", key ? key : "", names ? names : "");
	if (!key || step_has(step, "bad-signature") || strlen(name) + 1 == sizeof(name))
		return make_csr(s, step, out) == 0;
	if (find_csr(s, name, out))
		return true;
	if (make_csr(s, step, out) || s->n_csrs == CSRS_MAX)
		return false;
	snprintf(s->csrs[s->n_csrs].name, sizeof(s->csrs[0].name), "%s", name);
	s->csrs[s->n_csrs].der = BUF_INIT(1u << 20);
	return buf_append(&s->csrs[s->n_csrs++].der, buf_bytes(out)) == 0;
}

void step_submit(struct scenario *s, const struct step *step)
{
	OWNED_CA_OUTCOME out = CA_OUTCOME_INIT;
	OWNED_BUF der = BUF_INIT(1u << 20);
	const char *csr = step_value(step, "csr"), *within = step_value(step, "within");
	int64_t began;
	int e;

	if (csr ? !find_csr(s, csr, &der) : !same_csr(s, step, &der)) {
		scenario_fail(s, "submit: there is no such request");
		return;
	}
	began = real_ms();
	e = submit(s, step, buf_bytes(&der), &out);
	if (within && real_ms() - began > duration_ms(within))
		scenario_fail(s, "it took %lld ms, not %s", (long long)(real_ms() - began), within);
	check_answer(s, step, call_word(e, &out), &out);
}

/* peek ID, retrieve ID */
void step_ask(struct scenario *s, const struct step *step)
{
	OWNED_CA_OUTCOME out = CA_OUTCOME_INIT;
	int64_t id = step->n > 1 ? strtoll(step->words[1], NULL, 10) : 0;
	const char *requester = value_or(step, "requester", "acme:1");
	int e = strcmp(step->words[0], "peek") == 0 ? ca_peek(s->rig.door, requester, id, &out) :
						      ca_retrieve(s->rig.door, requester, id, &out);

	check_answer(s, step, call_word(e, &out), &out);
}

/* poll KEY */
void step_poll(struct scenario *s, const struct step *step)
{
	OWNED_CA_OUTCOME out = CA_OUTCOME_INIT;
	uint8_t key[CA_POLL_KEY_SIZE];
	int e;

	rig_key(step->n > 1 ? step->words[1] : "", key);
	e = ca_poll(s->rig.door, value_or(step, "endpoint", RIG_ENDPOINT), key, &out);
	check_answer(s, step, call_word(e, &out), &out);
}

/* ---- revocation by a requester ---- */

static enum ca_revoke_proof proof_of(const char *word)
{
	if (strcmp(word, "requester") == 0)
		return CA_REVOKE_BY_REQUESTER;
	if (strcmp(word, "names") == 0)
		return CA_REVOKE_BY_NAMES;
	return strcmp(word, "key") == 0 ? CA_REVOKE_BY_KEY : CA_REVOKE_BY_NOTHING;
}

/* The certificate as its holder has it; `other` is one of another issuer. */
static int certificate_of(struct scenario *s, const struct step *step, struct buf *out)
{
	OWNED(ca_request) r = NULL;

	if (step_has(step, "other"))
		return buf_append(out, buf_bytes(&s->rig.ca_certificate));
	if (step->n < 2 || store_load(s->rig.core, strtoll(step->words[1], NULL, 10), &r))
		return -ENOENT;
	return buf_append(out, buf_bytes(&r->certificate));
}

void step_withdraw(struct scenario *s, const struct step *step)
{
	OWNED_CA_OUTCOME out = CA_OUTCOME_INIT;
	int e = ca_withdraw(s->rig.door, value_or(step, "endpoint", RIG_ENDPOINT),
			    value_or(step, "requester", "acme:1"), value_or(step, "reason", "it ended"), &out);

	check_answer(s, step, e ? call_word(e, &out) : "done", &out);
}

void step_revoke(struct scenario *s, const struct step *step)
{
	OWNED_CA_OUTCOME out = CA_OUTCOME_INIT;
	OWNED_BUF certificate = BUF_INIT(65536);
	struct words *words = calloc(1, sizeof(*words));
	struct ca_name *names = calloc(NAMES_MAX, sizeof(*names));
	struct ca_submission sub = { 0 };
	struct ca_revocation v = {
		.protocol = value_or(step, "protocol", "acme"),
		.endpoint = value_or(step, "endpoint", RIG_ENDPOINT),
		.requester = value_or(step, "requester", "acme:1"),
		.reason = ca_reason_parse(value_or(step, "reason", "unspecified")),
		.proof = proof_of(value_or(step, "proof", "requester")),
		.source_address = "192.0.2.7",
	};

	words_split(words, step_value(step, "names"));
	fill_names(&sub, words, names, CA_EVIDENCE_ACME_AUTHORIZATION);
	v.names = sub.names;
	v.n_names = sub.n_names;
	if (v.proof == CA_REVOKE_BY_KEY)
		v.requester = NULL;
	if (certificate_of(s, step, &certificate)) {
		scenario_fail(s, "revoke: there is no such certificate");
	} else {
		v.certificate = buf_bytes(&certificate);
		check_answer(s, step, call_word(ca_revoke(s->rig.door, &v, &out), &out), &out);
	}
	free(words->text);
	free(words);
	free(names);
}

/* ---- the administrator ---- */

struct admin_step {
	struct scenario *s;
	const struct step *step;
	struct ca_admin_caller who;
	int64_t id;
};

typedef int admin_fn(const struct admin_step *a, struct ca_outcome *out);

static int admin_approve(const struct admin_step *a, struct ca_outcome *out)
{
	const char *which = step_value(a->step, "digest"), *until = step_value(a->step, "until");
	uint8_t digest[SHA256_SIZE];

	memcpy(digest, a->s->digest, sizeof(digest));
	if (which && strcmp(which, "wrong") == 0)
		digest[0] ^= 1;
	return ca_admin_approve(a->s->rig.core, &a->who, a->id, which ? digest : NULL,
				until ? clock_wall_s() + duration_ms(until) / 1000 : 0, out);
}

static int admin_resubmit(const struct admin_step *a, struct ca_outcome *out)
{
	return ca_admin_resubmit(a->s->rig.core, &a->who, a->id, out);
}

static int admin_deny(const struct admin_step *a, struct ca_outcome *out)
{
	return ca_admin_deny(a->s->rig.core, &a->who, a->id, step_value(a->step, "reason"), out);
}

static int edit(const struct admin_step *a, const struct ca_edit *one, struct ca_outcome *out)
{
	return ca_admin_edit(a->s->rig.core, &a->who, a->id, one, 1, out);
}

static int admin_set_attribute(const struct admin_step *a, struct ca_outcome *out)
{
	const char *pair = a->step->n > 3 ? a->step->words[3] : "";
	const char *colon = strchr(pair, ':');
	OWNED_STR name = strndup(pair, colon ? (size_t)(colon - pair) : 0);

	return edit(a, &(struct ca_edit){ CA_EDIT_SET_ATTRIBUTE, .name = name, .value = colon ? colon + 1 : "" }, out);
}

static int admin_set_extension(const struct admin_step *a, struct ca_outcome *out)
{
	const char *hex = a->step->n > 4 ? a->step->words[4] : "";
	unsigned flags = (step_has(a->step, "critical") ? CA_EXT_CRITICAL : 0u) |
			 (step_has(a->step, "disabled") ? CA_EXT_DISABLED : 0u);
	uint8_t der[256];
	size_t n = strlen(hex) / 2;

	if (n > sizeof(der) || hex_parse(hex, der, n)) {
		scenario_fail(a->s, "'%s' is not hexadecimal", hex);
		return -EINVAL;
	}
	return edit(a, &(struct ca_edit){ CA_EDIT_SET_EXTENSION, .name = a->step->words[3], .der = bytes_of(der, n),
					  .flags = flags }, out);
}

/* `at=-2h` or `at=+1h`: from now; absent: 0. */
static int64_t moment_ms(const struct step *step)
{
	const char *at = step_value(step, "at");

	if (!at)
		return 0;
	return clock_wall_ms() + (*at == '-' ? -duration_ms(at + 1) : duration_ms(at + 1));
}

static int admin_revoke(const struct admin_step *a, struct ca_outcome *out)
{
	const struct ca_certificate_ref which = { .request_id = a->id };
	int reason = ca_reason_parse(value_or(a->step, "reason", "unspecified"));

	return ca_admin_revoke(a->s->rig.core, &a->who, &which, reason, moment_ms(a->step), out);
}

static int admin_hold(const struct admin_step *a, struct ca_outcome *out)
{
	const struct ca_certificate_ref which = { .request_id = a->id };

	return ca_admin_hold(a->s->rig.core, &a->who, &which, out);
}

static int admin_release(const struct admin_step *a, struct ca_outcome *out)
{
	const struct ca_certificate_ref which = { .request_id = a->id };

	return ca_admin_release(a->s->rig.core, &a->who, &which, out);
}

static const char *fourth(const struct admin_step *a)
{
	return a->step->n > 3 ? a->step->words[3] : "";
}

static int admin_remove_extension(const struct admin_step *a, struct ca_outcome *out)
{
	return edit(a, &(struct ca_edit){ CA_EDIT_REMOVE_EXTENSION, .name = fourth(a) }, out);
}

static int admin_set_name(const struct admin_step *a, struct ca_outcome *out)
{
	return edit(a, &(struct ca_edit){ CA_EDIT_SET_NAME, .name = fourth(a),
					  .value = value_or(a->step, "instead-of", "") }, out);
}

static int admin_remove_name(const struct admin_step *a, struct ca_outcome *out)
{
	return edit(a, &(struct ca_edit){ CA_EDIT_REMOVE_NAME, .name = fourth(a) }, out);
}

static int admin_shorten(const struct admin_step *a, struct ca_outcome *out)
{
	return edit(a, &(struct ca_edit){ CA_EDIT_SHORTEN, .lifetime_s = duration_ms(fourth(a)) / 1000 }, out);
}

static int admin_end(const struct admin_step *a, struct ca_outcome *out)
{
	return edit(a, &(struct ca_edit){ CA_EDIT_END, .not_after_s = clock_wall_s() + duration_ms(fourth(a)) / 1000 },
		    out);
}

static int admin_note(const struct admin_step *a, struct ca_outcome *out)
{
	int e = ca_admin_note(a->s->rig.core, &a->who, a->id, fourth(a), out);
	struct ca_outcome now = CA_OUTCOME_INIT;

	/* What the request is stays as it was. */
	if (!e && ca_peek(a->s->rig.door, "acme:1", a->id, &now) == 0) {
		out->disposition = now.disposition;
		out->id = now.id;
		if (buf_append(&out->certificate, buf_bytes(&now.certificate)))
			e = -ENOMEM;
	}
	ca_outcome_fini(&now);
	return e;
}

static const struct {
	const char *word;
	admin_fn *fn;
} admin_calls[] = {
	{ "approve", admin_approve },
	{ "resubmit", admin_resubmit },
	{ "deny", admin_deny },
	{ "set-attr", admin_set_attribute },
	{ "rm-ext", admin_remove_extension },
	{ "set-name", admin_set_name },
	{ "rm-name", admin_remove_name },
	{ "shorten", admin_shorten },
	{ "end", admin_end },
	{ "note", admin_note },
	{ "set-ext", admin_set_extension },
	{ "revoke", admin_revoke },
	{ "hold", admin_hold },
	{ "release", admin_release },
};

unsigned scenario_roles(const char *words)
{
	return (strstr(words, "officer") ? CA_ROLE_OFFICER : 0u) |
	       (strstr(words, "admin") ? CA_ROLE_ADMINISTRATOR : 0u) |
	       (strstr(words, "auditor") ? CA_ROLE_AUDITOR : 0u) |
	       (strstr(words, "operator") ? CA_ROLE_OPERATOR : 0u);
}

/* A decision hands out no certificate to the wrong hands: only what became of the request counts here. */
static void check_decision(struct scenario *s, const struct step *step, int e, struct ca_outcome *out)
{
	static const char *const words[] = {
		[CA_ADMIN_NOT_FOUND] = "not-found",     [CA_ADMIN_BAD_STATE] = "bad-state",
		[CA_ADMIN_CHANGED] = "changed",         [CA_ADMIN_NOT_PERMITTED] = "not-permitted",
		[CA_ADMIN_INVALID] = "invalid",         [CA_ADMIN_NO_ANSWER] = "no-answer",
		[CA_ADMIN_LATER] = "later",             [CA_ADMIN_RESTRICTED] = "restricted",
		[CA_ADMIN_FORBIDDEN] = "forbidden",
	};
	bool has_word = e > 0 && (size_t)e < sizeof(words) / sizeof(*words) && words[e];
	const char *got = e == 0 ? disposition_word(out->disposition) : has_word ? words[e] : "failed";

	check_answer(s, step, got, out);
}

/* admin CALL ID [by=…] [roles=officer,admin,auditor,none] … */
void step_admin(struct scenario *s, const struct step *step)
{
	OWNED_CA_OUTCOME out = CA_OUTCOME_INIT;
	struct admin_step a = {
		.s = s,
		.step = step,
		.who = { .name = value_or(step, "by", "unix:alice"),
			 .roles = scenario_roles(value_or(step, "roles", "officer")),
			 .is_limited = step_has(step, "limited") },
		.id = step->n > 2 ? strtoll(step->words[2], NULL, 10) : 0,
	};

	for (size_t i = 0; step->n > 2 && i < sizeof(admin_calls) / sizeof(*admin_calls); i++)
		if (strcmp(admin_calls[i].word, step->words[1]) == 0) {
			check_decision(s, step, admin_calls[i].fn(&a, &out), &out);
			return;
		}
	scenario_fail(s, "admin: which call, for which request?");
}
