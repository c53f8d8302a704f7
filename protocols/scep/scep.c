/* The SCEP adapter: its settings, its routes, its start and end.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "protocols/scep/scep.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/base/own.h"
#include "protocols/scep/query.h"
#include "protocols/scep/scep_int.h"

/* Of one address: the first ones tell what is wrong, and while it lasts one a minute says so. */
#define LINES_BURST 10
#define LINES_PER_HOUR 60

static const struct conf_option scep_options[] = {
	{ "ra-key", CONF_CHOICE, "rsa-2048|rsa-3072|rsa-4096", "rsa-2048",
	  "Type of the key that clients encrypt to; a change counts at the next start, and messages for "
	  "the key before are answered until its certificate ends.", NULL,
	  NULL },
	{ "legacy", CONF_CHOICE, "none|sha1-3des|des", "none",
	  "What old clients may sign and encrypt with besides: SHA-1 and Triple-DES, or single DES too, which anybody "
	  "breaks. Answers have AES-128 at least.", NULL, NULL },
	{ "oaep", CONF_BOOL, NULL, "false", "Take RSAES-OAEP besides PKCS #1 v1.5.", NULL, NULL },
	{ "ca-certificates", CONF_CHOICE, "chain|ra|ra-only|ca", "chain",
	  "What GetCACert answers: the RA certificate with all above it, with its issuer alone, by itself (for clients "
	  "that encrypt to every certificate they get), or the issuer alone without it, for clients that get the other "
	  "one elsewhere.", NULL, NULL },
	{ "reply", CONF_CHOICE, "leaf|chain", "leaf", "What comes with a new certificate: nothing, or those above it.",
	  NULL, NULL },
	{ "retry-after", CONF_DURATION, "1s..1h", NULL,
	  "How soon a client whose request is held asks again, to the core's mind; absent: as the core says.", NULL,
	  NULL },
	{ "failures-per-minute", CONF_INTEGER, "1..1000000", "600",
	  "Messages from one address that may go on being answered with FAILURE each minute; more are not looked at.",
	  NULL, NULL },
	{ "failures-burst", CONF_INTEGER, "1..1000000", "1000",
	  "Messages from one address that may be answered with FAILURE at once.", NULL, NULL },
	{ "attributes", CONF_MAP, NULL, NULL, "Attributes that go with every request of this endpoint to the policy.",
	  NULL, NULL },
	{ 0 },
};

/* ---- routes ---- */

static int operate(struct scep *s, const struct http_request *q, struct http_reply *r, struct bytes octets)
{
	struct scep_call c = { .scep = s, .q = q, .r = r };

	return scep_operate(&c, octets);
}

static int operate_from_query(struct scep *s, const struct http_request *q, struct http_reply *r)
{
	OWNED_BUF octets = BUF_INIT(SCEP_MESSAGE_MAX);

	if (scep_query_message(http_query_find(q->query, "message"), &octets))
		return scep_refuse_octets(s, q, r, "the query has no 'message' in base64");
	return operate(s, q, r, buf_bytes(&octets));
}

int scep_get(void *state, const struct http_request *q, struct http_reply *r)
{
	struct scep *s = state;
	char operation[SCEP_WORD_SIZE];

	scep_query_word(q->query, "operation", operation);
	if (strcmp(operation, "GetCACaps") == 0)
		return scep_get_capabilities(s, r);
	if (strcmp(operation, "GetCACert") == 0)
		return scep_get_certificates(s, q, r);
	if (strcmp(operation, "GetNextCACert") == 0)
		return scep_get_next(s, q, r);
	if (strcmp(operation, "PKIOperation") == 0)
		return operate_from_query(s, q, r);
	return http_reply_text(r, 400, "the operations are GetCACaps, GetCACert, GetNextCACert and PKIOperation");
}

/* RFC 8894 4.3: nothing else is posted, whatever the query says. */
int scep_post(void *state, const struct http_request *q, struct http_reply *r)
{
	return operate(state, q, r, q->body);
}

static const struct proto_route scep_routes[] = {
	{ "GET", "", scep_get },
	{ "POST", "", scep_post },
	{ "GET", "/", scep_get },
	{ "POST", "/", scep_post },
	{ "GET", "/{below...}", scep_get },
	{ "POST", "/{below...}", scep_post },
	{ 0 },
};

/* The paths of RFC 8894 4.1 and of Windows Server, where so many clients look, and what routers put behind a path, as
 * people do with a slash. */
#define SHARED_EXACTLY(path) { "GET", path, scep_get_shared }, { "POST", path, scep_post_shared }
#define SHARED(path) SHARED_EXACTLY(path), SHARED_EXACTLY(path "/")

static const struct proto_route shared_routes[] = {
	SHARED("/cgi-bin/pkiclient.exe"),
	SHARED("/scep"),
	SHARED("/scep/pkiclient.exe"),
	SHARED("/certsrv/mscep/mscep.dll"),
	SHARED("/certsrv/mscep/mscep.dll/pkiclient.exe"),
	{ 0 },
};

static const struct proto_places scep_places = { .named = "/scep", .routes = shared_routes };

/* ---- start and end ---- */

static void scep_drop(struct scep **sp)
{
	struct scep *s = *sp;

	if (!s)
		return;
	proto_attributes_fini(&s->attributes);
	limit_drop(&s->failure_limit);
	limit_drop(&s->line_limit);
	scep_judged_fini(&s->judged);
	scep_next_drop(&s->next);
	free(s->endpoint);
	free(s->profile);
	free(s);
	*sp = NULL;
}

/* The place of a word in the range of its option. */
static unsigned choice(const struct conf_section *conf, const char *name, const char *const *words)
{
	unsigned i = 0;

	while (strcmp(words[i], conf_str(conf, name)) != 0)
		i++;
	return i;
}

static enum scep_legacy read_level(const struct conf_section *conf)
{
	static const char *const legacies[] = { "none", "sha1-3des", "des" };

	return (enum scep_legacy)choice(conf, "legacy", legacies);
}

/* What is promised to old clients must be there: for them each request would fail with a number and no reason. */
static int scep_check(const struct conf_section *conf, char *why, size_t why_size)
{
	enum scep_legacy legacy = read_level(conf);
	const char *missing = legacy == SCEP_LEGACY_NONE ? NULL : scep_cipher_missing(legacy);
	int e = proto_attributes_check(conf, why, why_size);

	if (e)
		return e;
	if (!missing)
		return 0;
	snprintf(why, why_size, legacy == SCEP_LEGACY_DES ?
		 "'legacy: des' needs %s of OpenSSL's legacy provider, which is not there or cannot be loaded: install "
		 "it (from Debian 13 on the package openssl-provider-legacy), or write 'legacy: sha1-3des'" :
		 "'legacy: sha1-3des' needs %s, which OpenSSL does not have as it is configured here: see openssl list "
		 "-cipher-algorithms, or leave 'legacy' out", missing);
	return -ENOTSUP;
}

static void read_settings(struct scep *s, const struct conf_section *conf)
{
	static const char *const cacerts[] = { "chain", "ra", "ra-only", "ca" };
	static const char *const bags[] = { "leaf", "chain" };

	s->legacy = read_level(conf);
	s->cacert = (enum scep_cacert)choice(conf, "ca-certificates", cacerts);
	s->bag = (enum scep_bag)choice(conf, "reply", bags);
	s->takes_oaep = conf_bool(conf, "oaep");
	s->retry_after_s = (unsigned)(conf_duration_ms(conf, "retry-after") / 1000);
}

static int scep_init(void **state, const struct proto_env *env, const struct conf_section *conf, char *why,
		     size_t why_size)
{
	OWNED(scep) s = calloc(1, sizeof(*s));
	int e;

	snprintf(why, why_size, "no memory");
	if (!s)
		return -ENOMEM;
	s->ca = env->ca;
	s->waits = env->waits;
	s->ra = env->ra;
	s->judge = conf_str(conf, "challenge-target") ? env->validator : NULL;
	s->awaits_end = env->awaits_end;
	s->endpoint = strdup(env->endpoint);
	s->profile = strdup(env->profile);
	if (!s->endpoint || !s->profile)
		return -ENOMEM;
	read_settings(s, conf);
	e = limit_new(&s->failure_limit, (unsigned)conf_int(conf, "failures-per-minute") * 60,
		      (unsigned)conf_int(conf, "failures-burst"));
	if (!e)
		e = limit_new(&s->line_limit, LINES_PER_HOUR, LINES_BURST);
	if (!e)
		e = scep_next_new(&s->next);
	if (!e && s->judge)
		e = scep_judged_new(&s->judged);
	if (e)
		return e;
	e = proto_attributes_read(&s->attributes, conf, why, why_size);
	if (e)
		return e;
	*state = MOVE(s);
	return 0;
}

static void scep_fini(void *state)
{
	struct scep *s = state;

	scep_drop(&s);
}

static void scep_tick(void *state)
{
	scep_next_tick(state);
}

static unsigned long long read_issued(void *state)
{
	return ((struct scep *)state)->n_issued;
}

static unsigned long long read_pending(void *state)
{
	return ((struct scep *)state)->n_pending;
}

static unsigned long long read_certificates(void *state)
{
	return ((struct scep *)state)->n_certificates;
}

static unsigned long long read_crls(void *state)
{
	return ((struct scep *)state)->n_crls;
}

static unsigned long long read_failed(void *state)
{
	return ((struct scep *)state)->n_failed;
}

static unsigned long long read_undecrypted(void *state)
{
	return ((struct scep *)state)->n_undecrypted;
}

static unsigned long long read_malformed(void *state)
{
	return ((struct scep *)state)->n_malformed;
}

static unsigned long long read_later(void *state)
{
	return ((struct scep *)state)->n_later;
}

static unsigned long long read_limited(void *state)
{
	return ((struct scep *)state)->n_limited;
}

static unsigned long long read_judged_against(void *state)
{
	return ((struct scep *)state)->n_judged_against;
}

static unsigned long long read_unjudged(void *state)
{
	return ((struct scep *)state)->n_unjudged;
}

static unsigned long long read_legacy(void *state)
{
	return ((struct scep *)state)->legacy;
}

static const char *weakness(void *state)
{
	static const char *const words[] = {
		[SCEP_LEGACY_SHA1_3DES] = "legacy: sha1-3des takes SHA-1 and Triple-DES, too",
		[SCEP_LEGACY_DES] = "legacy: des takes single DES, too, which anybody can break, and SHA-1",
	};

	return words[((struct scep *)state)->legacy];
}

static unsigned long long read_untold(void *state)
{
	return ((struct scep *)state)->n_untold;
}

static unsigned long long read_missed(void *state)
{
	return ((struct scep *)state)->n_missed;
}

static const struct proto_counter scep_counters[] = {
	{ "scep_issued", "CertReps with SUCCESS, repeats too.", read_issued },
	{ "scep_pending", "CertReps with PENDING.", read_pending },
	{ "scep_certificates", "Certificates that were asked for by GetCert.", read_certificates },
	{ "scep_crls", "Revocation lists that were asked for by GetCRL.", read_crls },
	{ "scep_failed", "CertReps with FAILURE.", read_failed },
	{ "scep_undecrypted", "Messages that could not be decrypted, or held nothing of their sender.",
	  read_undecrypted },
	{ "scep_malformed", "Requests that were no SCEP message.", read_malformed },
	{ "scep_later", "Messages that were told to come later, with 503.", read_later },
	{ "scep_limited", "Messages refused because too many from their address had failed.", read_limited },
	{ "scep_judged_against", "Requests whose challenge the target of the endpoint did not allow.",
	  read_judged_against },
	{ "scep_unjudged", "Requests about which the target of the endpoint gave no answer in time.", read_unjudged },
	{ "scep_untold", "Certificates that were held back because the target could not be told of them.",
	  read_untold },
	{ "scep_missed", "Ends of requests of which the target could not be told, for which nothing waits.",
	  read_missed },
	{ 0 },
};

static const struct proto_counter scep_gauges[] = {
	{ "scep_legacy", "Old algorithms that are taken: 0 none, 1 SHA-1 and Triple-DES, 2 single DES, too.",
	  read_legacy },
	{ 0 },
};

const struct proto_adapter proto_scep = {
	.abi = PROTO_ABI,
	.name = "scep",
	.summary = "Simple Certificate Enrolment Protocol (RFC 8894).",
	.caps = PROTO_CAP_PENDING | PROTO_CAP_PLAIN_HTTP | PROTO_CAP_RA | PROTO_CAP_RENEWAL | PROTO_CAP_ANY_CASE |
		PROTO_CAP_NO_HEAD | PROTO_CAP_OLD_HTTP | PROTO_CAP_CHALLENGE,
	.places = &scep_places,
	.line_max = SCEP_LINE_MAX,
	.body_max = SCEP_BODY_MAX,
	.options = scep_options,
	.routes = scep_routes,
	.check = scep_check,
	.init = scep_init,
	.fini = scep_fini,
	.tick = scep_tick,
	.weakness = weakness,
	.counters = scep_counters,
	.gauges = scep_gauges,
};
