/* Targets that speak as webhook servers of step-ca do (SCEPCHALLENGE): a JSON object is posted, and one comes back.
 * Another one is posted when a request has come to its end (NOTIFYING).
 *
 * They know who asks by a MAC over the body, by a bearer token, or by both. The only answer that allows is status
 * 200 and an object with `"allow": true`.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "gateway/validator/webhook.h"

#include <errno.h>
#include <stdio.h>
#include <time.h>

#include "core/base/base64.h"
#include "core/base/clock.h"
#include "core/base/der.h"
#include "core/base/own.h"
#include "core/base/secret.h"
#include "core/base/utf8.h"
#include "protocols/csr.h"
#include "protocols/jose/json_gate.h"
#include "protocols/jose/json_write.h"

#define HEADER_SIZE (TARGET_SECRET_MAX + 64)
#define BODY_MAX ((size_t)1 << 19)

static const struct conf_option webhook_rows[] = {
	TARGET_ROWS,
	{ .name = "url", .type = CONF_STRING, .fallback = CONF_NEEDED,
	  .summary = "Where the request is posted, as in https://mdm.example.com/scep." },
	{ .name = "secret-file", .type = CONF_STRING,
	  .summary = "File (mode 0600) with the signing secret in base64; the header X-Smallstep-Signature is the "
		     "HMAC-SHA256 of the body under it, in hex." },
	{ .name = "token-file", .type = CONF_STRING,
	  .summary = "File (mode 0600) with a bearer token for the header Authorization." },
	{ .name = "notify-url", .type = CONF_STRING,
	  .summary = "Where it is told what became of a request, as in https://mdm.example.com/scep-end; absent: it "
		     "is not told." },
	{ .name = "notify-secret-file", .type = CONF_STRING,
	  .summary = "File (mode 0600) with the signing secret of what it is told, in base64; by default that of "
		     "`secret-file`." },
	{ 0 },
};

/* Where it is told, which step-ca takes for a webhook of its own (NOTIFYING), with a secret of its own. */
struct webhook {
	struct fetch_url url;
	struct buf secret; /* empty: that of the target */
};

static void webhook_drop(struct webhook **wp)
{
	struct webhook *w = *wp;

	if (w)
		buf_wipe(&w->secret);
	free(w);
	*wp = NULL;
}

static void forget_state(struct target *t)
{
	struct webhook *w = t->state;

	webhook_drop(&w);
	t->state = NULL;
}

static int read_signing_secret(const struct conf_section *conf, const char *option, struct buf *out,
			       struct conf_error *error)
{
	OWNED_BUF text = BUF_INIT(TARGET_SECRET_MAX);
	int e = target_read_secret(conf, option, &text, error);

	if (!e && text.len && base64_decode(out, buf_bytes(&text)))
		e = conf_refuse(conf, option, error, "what '%s' holds is no base64", conf_str(conf, option));
	return e;
}

static int read_token(struct target *t, const struct conf_section *conf, struct conf_error *error)
{
	int e = target_read_secret(conf, "token-file", &t->token, error);

	for (size_t i = 0; !e && i < t->token.len; i++)
		if (t->token.ptr[i] <= ' ' || t->token.ptr[i] > '~')
			e = conf_refuse(conf, "token-file", error, "'%s' holds no single word of printable ASCII",
					conf_str(conf, "token-file"));
	return e;
}

static int read_notify(struct target *t, const struct conf_section *conf, struct conf_error *error)
{
	OWNED(webhook) w = NULL;
	int e;

	if (!conf_str(conf, "notify-url"))
		return !conf_str(conf, "notify-secret-file") ? 0 :
		       conf_refuse(conf, "notify-secret-file", error, "there is no notify-url to use it for");
	w = calloc(1, sizeof(*w));
	if (!w)
		return -ENOMEM;
	w->secret = BUF_INIT(TARGET_SECRET_MAX);
	e = target_read_url(conf, "notify-url", &w->url, error);
	if (!e)
		e = read_signing_secret(conf, "notify-secret-file", &w->secret, error);
	if (!e) {
		t->state = MOVE(w);
		t->wants_end = true;
	}
	return e;
}

static int read_webhook(struct target *t, const struct conf_section *conf, struct conf_error *error)
{
	int e = target_read_url(conf, "url", &t->url, error);

	if (!e)
		e = read_signing_secret(conf, "secret-file", &t->secret, error);
	if (!e)
		e = read_token(t, conf, error);
	return e ? e : read_notify(t, conf, error);
}

/* ---- the body ---- */

static void write_octets(struct json_writer *w, const char *key, struct bytes octets)
{
	OWNED_BUF text = BUF_INIT((size_t)1 << 18);

	if (!base64_encode(&text, octets))
		json_string(w, key, buf_str(&text));
}

/* Texts that could be read in two ways are left out: who needs them has the octets. */
static void write_text(struct json_writer *w, const char *key, struct bytes octets)
{
	OWNED_BUF text = BUF_INIT(65536);

	if (octets.len && utf8_is_text(octets) && !buf_append(&text, octets))
		json_string(w, key, buf_str(&text));
}

/* The common name that stands last, as Go has it, which most of these servers are written in. */
static struct bytes find_common_name(struct bytes subject)
{
	static const uint8_t common_name[] = { 0x55, 0x04, 0x03 };
	struct bytes rdns, rdn, pair, oid, value, found = { 0 };
	unsigned tag;

	if (der_expect(&subject, DER_SEQUENCE, &rdns))
		return found;
	while (rdns.len && !der_expect(&rdns, DER_SET, &rdn))
		while (rdn.len && !der_expect(&rdn, DER_SEQUENCE, &pair))
			if (!der_expect(&pair, DER_OID, &oid) && !der_read(&pair, &tag, &value, NULL) &&
			    bytes_equal(oid, bytes_of(common_name, sizeof(common_name))))
				found = value;
	return found;
}

static void write_address(struct json_writer *w, struct bytes octets)
{
	struct ip_address a = { .len = (uint8_t)octets.len };
	char text[IP_TEXT_SIZE];

	if (octets.len != 4 && octets.len != 16)
		return;
	memcpy(a.octets, octets.ptr, octets.len);
	json_string(w, NULL, ip_address_print(&a, text));
}

static void write_names(struct json_writer *w, struct bytes alt_names)
{
	static const struct {
		const char *key;
		unsigned tag;
	} kinds[] = { { "dnsNames", 0x82 }, { "emailAddresses", 0x81 }, { "ipAddresses", 0x87 }, { "uris", 0x86 } };
	unsigned tag;

	for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++) {
		struct bytes rest = alt_names, content;

		json_open(w, kinds[i].key, '[');
		while (rest.len && !der_read(&rest, &tag, &content, NULL)) {
			if (tag == 0x87 && tag == kinds[i].tag)
				write_address(w, content);
			else if (tag == kinds[i].tag)
				write_text(w, NULL, content);
		}
		json_close(w, ']');
	}
}

static const char *key_algorithm(struct bytes spki)
{
	static const struct {
		const char *oid, *word;
	} words[] = { { "1.2.840.113549.1.1.1", "RSA" }, { "1.2.840.10045.2.1", "ECDSA" },
		      { "1.3.101.112", "Ed25519" } };
	struct bytes info, algorithm, oid;
	char text[64];

	if (der_expect(&spki, DER_SEQUENCE, &info) || der_expect(&info, DER_SEQUENCE, &algorithm) ||
	    der_expect(&algorithm, DER_OID, &oid) || der_oid_print(oid, text, sizeof(text)))
		return "0";
	for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++)
		if (strcmp(words[i].oid, text) == 0)
			return words[i].word;
	return "0";
}

static void write_request(struct json_writer *w, const struct proto_csr *csr)
{
	json_open(w, "x509CertificateRequest", '{');
	json_number(w, "version", 0);
	json_open(w, "subject", '{');
	write_text(w, "commonName", find_common_name(csr->subject));
	json_close(w, '}');
	write_octets(w, "rawSubject", csr->subject);
	write_names(w, csr->alt_names);
	write_octets(w, "publicKey", csr->spki);
	json_string(w, "publicKeyAlgorithm", key_algorithm(csr->spki));
	write_octets(w, "raw", csr->der);
	json_close(w, '}');
}

/* 0; -EINVAL: there is no such time. */
static int write_head(struct json_writer *w, const char *endpoint, int64_t now_s)
{
	time_t now = (time_t)now_s;
	struct tm tm;

	if (!gmtime_r(&now, &tm))
		return -EINVAL;
	json_open(w, NULL, '{');
	json_stringf(w, "timestamp", "%04d-%02d-%02dT%02d:%02d:%02dZ", tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday,
		     tm.tm_hour, tm.tm_min, tm.tm_sec);
	json_string(w, "provisionerName", endpoint);
	return 0;
}

int webhook_write(const struct judgement *what, int64_t now_s, struct buf *out)
{
	struct json_writer w = { .out = out };
	struct proto_csr csr;

	if (proto_csr_read(&csr, what->request) || !utf8_is_text(what->challenge) ||
	    !utf8_is_text(bytes_of_str(what->transaction_id)) || write_head(&w, what->endpoint, now_s))
		return -EINVAL;
	write_request(&w, &csr);
	write_text(&w, "scepChallenge", what->challenge);
	json_string(&w, "scepTransactionID", what->transaction_id);
	json_close(&w, '}');
	return buf_status(out);
}

int webhook_write_end(const struct notification *what, int64_t now_s, struct buf *out)
{
	struct json_writer w = { .out = out };
	struct proto_csr csr;

	if ((what->request.len && proto_csr_read(&csr, what->request)) ||
	    !utf8_is_text(bytes_of_str(what->transaction_id)) || !utf8_is_text(bytes_of_str(what->description)) ||
	    write_head(&w, what->endpoint, now_s))
		return -EINVAL;
	if (what->request.len)
		write_request(&w, &csr);
	if (what->is_issued) {
		json_open(&w, "x509Certificate", '{');
		write_octets(&w, "raw", what->certificate);
		json_string(&w, "notAfter", what->not_after);
		json_close(&w, '}');
	}
	json_string(&w, "scepTransactionID", what->transaction_id);
	if (!what->is_issued) {
		json_number(&w, "scepErrorCode", what->fail);
		json_string(&w, "scepErrorDescription", what->description);
	}
	json_close(&w, '}');
	return buf_status(out);
}

/* ---- the answer ---- */

/* Newer servers say why. */
static const char *find_reason(const cJSON *reply)
{
	const char *text = json_get_string(reply, "error");
	const char *message = json_get_string(json_get(reply, "error"), "message");

	return message ? message : text ? text : "it gave no reason";
}

int webhook_read(struct bytes reply, char why[static TARGET_WHY_SIZE])
{
	OWNED_JSON tree = NULL;
	const cJSON *allow;
	int e = json_parse(&tree, reply, TARGET_REPLY_MAX);

	if (e < 0)
		return e;
	allow = json_get(tree, "allow");
	if (e || !cJSON_IsBool(allow)) {
		snprintf(why, TARGET_WHY_SIZE, "it answered with no JSON object that has 'allow'");
		return JUDGEMENT_NONE;
	}
	snprintf(why, TARGET_WHY_SIZE, "%s", cJSON_IsTrue(allow) ? "" : find_reason(tree));
	return cJSON_IsTrue(allow) ? 0 : JUDGEMENT_DENIED;
}

/* ---- the call ---- */

/* The token is the target's: where it is told may be somebody else. */
static bool is_its_own(const struct target *t, const struct fetch_url *url)
{
	return strcasecmp(url->host, t->url.host) == 0 && url->port == t->url.port;
}

static int post(struct target_call *c, const struct fetch_url *url, struct bytes secret, struct bytes body,
		struct buf *reply)
{
	const struct target *t = c->target;
	char signature[2 * SHA256_SIZE + 64], digits[2 * SHA256_SIZE + 1], id[128], authorization[HEADER_SIZE] = "";
	const char *headers[6] = { "Content-Type: application/json", "Accept: application/json", id };
	struct fetch_to_target to = { buf_bytes(&t->authorities), headers, body };
	uint8_t mac[SHA256_SIZE];
	size_t n = 3;
	int e = 0;

	snprintf(id, sizeof(id), "X-Smallstep-Webhook-ID: %.64s", t->name);
	if (secret.len) {
		e = secret_mac(secret, body, mac);
		snprintf(signature, sizeof(signature), "X-Smallstep-Signature: %s",
			 hex_print(bytes_of(mac, sizeof(mac)), digits));
		headers[n++] = signature;
	}
	if (t->token.len && is_its_own(t, url)) {
		snprintf(authorization, sizeof(authorization), "Authorization: Bearer %s", buf_str(&t->token));
		headers[n++] = authorization;
	}
	if (!e)
		e = target_fetch(c, url, &to, reply);
	explicit_bzero(authorization, sizeof(authorization));
	return e;
}

static int judge(struct target_call *c)
{
	OWNED_BUF body = BUF_INIT(BODY_MAX), reply = BUF_INIT(TARGET_REPLY_MAX);
	int e = webhook_write(c->what, clock_wall_s(), &body);

	if (e == -EINVAL)
		return target_say(c, JUDGEMENT_DENIED, "the request or its challenge cannot be told as text");
	if (!e)
		e = post(c, &c->target->url, buf_bytes(&c->target->secret), buf_bytes(&body), &reply);
	return e ? e : webhook_read(buf_bytes(&reply), c->why);
}

/* What it answers says nothing: status 200 is that it knows. */
static int notify(struct target_call *c, const struct notification *what)
{
	const struct webhook *w = c->target->state;
	OWNED_BUF body = BUF_INIT(BODY_MAX), reply = BUF_INIT(TARGET_REPLY_MAX);
	int e = webhook_write_end(what, clock_wall_s(), &body);

	if (e == -EINVAL)
		return target_say(c, JUDGEMENT_NONE, "what became of it cannot be told as text");
	return e ? e : post(c, &w->url, buf_bytes(w->secret.len ? &w->secret : &c->target->secret), buf_bytes(&body),
			    &reply);
}

static const char *const url_options[] = { "url", "notify-url", NULL };

const struct target_kind target_webhook = { "webhook", webhook_rows, url_options, false, read_webhook, forget_state,
					    judge, notify };
