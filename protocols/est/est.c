/* The EST adapter: its settings, its routes, its start and end.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "protocols/est/est.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/base/own.h"
#include "protocols/est/est_int.h"

#define PREFIX "/.well-known/est" /* RFC 7030 3.2.2 */
#define LABEL_MAX 64
#define BODY_MAX 65536

static const struct conf_option est_options[] = {
	{ "auth", CONF_STRINGS, "basic|token|certificate", "[basic, token, certificate]",
	  "How clients may say who they are: as a user with a password, with a bearer token, by a TLS certificate.",
	  NULL, NULL },
	{ "auth-require", CONF_CHOICE, "any|all", "any",
	  "With any, one of them does: a user or token comes before a certificate, with simplereenroll behind it. "
	  "With all, each that stands in auth.", NULL, NULL },
	{ "pop", CONF_CHOICE, "off|verify|require", "verify",
	  "Linking of identity and proof of possession (RFC 7030 3.5): not looked at, verified when a request has it, "
	  "or required. Nothing is asked of serverkeygen, where clients have no key yet.", NULL, NULL },
	{ "challenge-password", CONF_CHOICE, "linking|secret|ignore", "linking",
	  "What the challengePassword of a request is: the value that links it to the TLS connection, a token, or "
	  "nothing.", NULL, NULL },
	{ "retry-after", CONF_DURATION, "1s..1h", NULL,
	  "How soon a client whose request is held asks again; absent: as the core says.", NULL, NULL },
	{ "base64", CONF_CHOICE, "auto|lines|single", "auto",
	  "Line breaks in replies: like the client's own, always every 64 characters, or never.", NULL, NULL },
	{ "csrattrs", CONF_CHOICE, "none|list|template|both", "list",
	  "How clients are told what the profile demands of a request: as the list that all know, as the template of "
	  "RFC 9908, or not.", NULL, NULL },
	{ "keygen", CONF_CHOICE, EST_KEYGEN_WORDS, "rsa-2048",
	  "Type of the keys that serverkeygen makes, which the profile must take; none: it makes none.", NULL, NULL },
	{ "decrypt-keys", CONF_MAP, NULL, NULL,
	  "Keys shared with clients, to encrypt with what serverkeygen makes: the identifier, as text or 0x and "
	  "digits, and a file (mode 0600) with 32, 48 or 64 hexadecimal digits.", NULL, NULL },
	{ "attributes", CONF_MAP, NULL, NULL, "Attributes that go with every request of this endpoint to the policy.",
	  NULL, NULL },
	{ 0 },
};

/* ---- routes ---- */

static int serve(struct est_call *c, int (*function)(struct est_call *c))
{
	int e = function(c);

	return e == EST_ANSWERED ? 0 : e;
}

static int get_cacerts(void *state, const struct http_request *q, struct http_reply *r)
{
	return serve(&(struct est_call){ .est = state, .q = q, .r = r }, est_cacerts);
}

static int get_csrattrs(void *state, const struct http_request *q, struct http_reply *r)
{
	return serve(&(struct est_call){ .est = state, .q = q, .r = r }, est_csrattrs);
}

static int get_crls(void *state, const struct http_request *q, struct http_reply *r)
{
	return serve(&(struct est_call){ .est = state, .q = q, .r = r }, est_crls);
}

/* RFC 7030 4.3.2: clients take 404 or 501 for an operation that is not implemented. */
static int refuse_fullcmc(struct est_call *c)
{
	return est_refuse(c, 501, "full CMC is not implemented here; use simpleenroll");
}

static int post_fullcmc(void *state, const struct http_request *q, struct http_reply *r)
{
	return serve(&(struct est_call){ .est = state, .q = q, .r = r }, refuse_fullcmc);
}

static int post_simpleenroll(void *state, const struct http_request *q, struct http_reply *r)
{
	return serve(&(struct est_call){ .est = state, .q = q, .r = r, .operation = EST_SIMPLEENROLL }, est_enroll);
}

static int post_simplereenroll(void *state, const struct http_request *q, struct http_reply *r)
{
	return serve(&(struct est_call){ .est = state, .q = q, .r = r, .operation = EST_SIMPLEREENROLL }, est_enroll);
}

static int post_serverkeygen(void *state, const struct http_request *q, struct http_reply *r)
{
	return serve(&(struct est_call){ .est = state, .q = q, .r = r, .operation = EST_SERVERKEYGEN },
		     est_serverkeygen);
}

static const struct proto_route est_routes[] = {
	{ "GET", "/cacerts", get_cacerts },
	{ "GET", "/csrattrs", get_csrattrs },
	{ "GET", "/crls", get_crls },
	{ "POST", "/fullcmc", post_fullcmc },
	{ "POST", "/simpleenroll", post_simpleenroll },
	{ "POST", "/simplereenroll", post_simplereenroll },
	{ "POST", "/serverkeygen", post_serverkeygen },
	{ 0 },
};

/* ---- labels ---- */

/* RFC 7030 3.2.2, RFC 8295 2. */
bool est_is_label(const char *label)
{
	static const char *const operations[] = {
		"cacerts", "simpleenroll", "simplereenroll", "fullcmc", "serverkeygen", "csrattrs", "pal", "eecerts",
		"crls", "symmetrickeys", "firmware", "tamp",
	};

	for (size_t i = 0; i < sizeof(operations) / sizeof(*operations); i++)
		if (strcmp(operations[i], label) == 0)
			return false;
	return *label && strlen(label) <= LABEL_MAX && !strchr(label, '/') && !strchr(label, '%');
}

/* "" of the prefix alone. */
static int read_label(const char *path, char **out, char *why, size_t why_size)
{
	size_t n = strlen(PREFIX);
	const char *label = path + n;

	if (strncmp(path, PREFIX, n) != 0 || (*label && *label != '/')) {
		snprintf(why, why_size, "its path is " PREFIX " or " PREFIX "/LABEL (RFC 7030 3.2.2), and not '%s'",
			 path);
		return -EINVAL;
	}
	if (*label && !est_is_label(++label)) {
		snprintf(why, why_size,
			 "'%s' is no label: one segment of at most %d characters without '%%', which is not the name "
			 "of an operation", label, LABEL_MAX);
		return -EINVAL;
	}
	*out = strdup(label);
	return *out ? 0 : -ENOMEM;
}

/* ---- start and end ---- */

static void est_drop(struct est **ep)
{
	struct est *est = *ep;

	if (!est)
		return;
	proto_attributes_fini(&est->attributes);
	est_cacerts_drop(&est->cacerts);
	est_crls_drop(&est->crls);
	est_shared_keys_drop(&est->shared_keys);
	est_sample_drop(&est->sample);
	free(est->endpoint);
	free(est->profile);
	free(est->label);
	free(est);
	*ep = NULL;
}

/* The place of a word in the range of its option. */
static unsigned choice(const struct conf_section *conf, const char *name, const char *const *words)
{
	unsigned i = 0;

	while (strcmp(words[i], conf_str(conf, name)) != 0)
		i++;
	return i;
}

static void read_auth(struct est *est, const struct conf_section *conf)
{
	static const char *const kinds[] = {
		[EST_AUTH_BASIC] = "basic", [EST_AUTH_TOKEN] = "token", [EST_AUTH_CERTIFICATE] = "certificate",
	};

	for (size_t i = 0; i < conf_count(conf, "auth"); i++)
		for (size_t kind = 0; kind < EST_AUTH_KINDS_; kind++)
			if (strcmp(conf_str_at(conf, "auth", i), kinds[kind]) == 0)
				est->auth[kind] = true;
	est->needs_all = strcmp(conf_str(conf, "auth-require"), "all") == 0;
}

/* A challengePassword is one thing, and what is required must be possible. */
static int check_settings(const struct est *est, char *why, size_t why_size)
{
	if (est->pop == EST_POP_REQUIRE && est->challenge != EST_CHALLENGE_LINKING)
		snprintf(why, why_size, "pop: require needs challenge-password: linking, which it stands in");
	else if (est->challenge == EST_CHALLENGE_SECRET && !est->auth[EST_AUTH_TOKEN])
		snprintf(why, why_size, "challenge-password: secret needs 'token' in auth, which it is");
	else if (est->needs_all && est->auth[EST_AUTH_BASIC] && est->auth[EST_AUTH_TOKEN])
		snprintf(why, why_size, "auth-require: all with a user and a token, but a request has one "
			 "Authorization header");
	else if (!est->auth[EST_AUTH_BASIC] && !est->auth[EST_AUTH_TOKEN] && !est->auth[EST_AUTH_CERTIFICATE])
		snprintf(why, why_size, "auth is empty, so nobody could ask");
	else
		return 0;
	return -EINVAL;
}

static int read_settings(struct est *est, const struct conf_section *conf, char *why, size_t why_size)
{
	static const char *const forms[] = { "auto", "lines", "single" };
	static const char *const pops[] = { "off", "verify", "require" };
	static const char *const challenges[] = { "linking", "secret", "ignore" };
	static const char *const csrattrs[] = { "none", "list", "template", "both" };
	int e;

	est->base64 = (enum est_base64)choice(conf, "base64", forms);
	est->csrattrs = (enum est_csrattrs)choice(conf, "csrattrs", csrattrs);
	est->pop = (enum est_pop)choice(conf, "pop", pops);
	est->challenge = (enum est_challenge)choice(conf, "challenge-password", challenges);
	est->keygen = est_keygen_parse(conf_str(conf, "keygen"));
	est->retry_after_s = (unsigned)(conf_duration_ms(conf, "retry-after") / 1000);
	read_auth(est, conf);
	e = check_settings(est, why, why_size);
	return e ? e : proto_attributes_read(&est->attributes, conf, why, why_size);
}

static int read_section(struct est *est, const struct conf_section *conf, char *why, size_t why_size)
{
	int e = read_label(conf_str(conf, "path"), &est->label, why, why_size);

	return e ? e : read_settings(est, conf, why, why_size);
}

static int est_check(const struct conf_section *conf, char *why, size_t why_size)
{
	OWNED(est) est = calloc(1, sizeof(*est));
	int e;

	snprintf(why, why_size, "no memory");
	if (!est)
		return -ENOMEM;
	e = read_section(est, conf, why, why_size);
	return e ? e : est_shared_keys_new(&est->shared_keys, conf, "decrypt-keys", why, why_size);
}

static bool est_needs_certificate(const struct conf_section *conf)
{
	struct est est = { 0 };

	read_auth(&est, conf);
	return est.auth[EST_AUTH_CERTIFICATE] &&
	       (est.needs_all || (!est.auth[EST_AUTH_BASIC] && !est.auth[EST_AUTH_TOKEN]));
}

static int est_init(void **state, const struct proto_env *env, const struct conf_section *conf, char *why,
		    size_t why_size)
{
	OWNED(est) est = calloc(1, sizeof(*est));
	int e;

	snprintf(why, why_size, "no memory");
	if (!est)
		return -ENOMEM;
	est->ca = env->ca;
	est->waits = env->waits;
	est->identity = env->identity;
	est->endpoint = strdup(env->endpoint);
	est->profile = strdup(env->profile);
	if (!est->endpoint || !est->profile)
		return -ENOMEM;
	e = read_section(est, conf, why, why_size);
	if (!e)
		e = est_cacerts_new(&est->cacerts);
	if (!e)
		e = est_crls_new(&est->crls);
	if (!e)
		e = est_sample_new(&est->sample);
	if (!e)
		e = est_shared_keys_new(&est->shared_keys, conf, "decrypt-keys", why, why_size);
	if (e)
		return e;
	*state = MOVE(est);
	return 0;
}

static void est_fini(void *state)
{
	struct est *est = state;

	est_drop(&est);
}

static unsigned long long read_cacerts(void *state)
{
	return ((struct est *)state)->n_cacerts;
}

static unsigned long long read_csrattrs(void *state)
{
	return ((struct est *)state)->n_csrattrs;
}

static unsigned long long read_crls(void *state)
{
	return ((struct est *)state)->n_crls;
}

static unsigned long long read_issued(void *state)
{
	return ((struct est *)state)->n_issued;
}

static unsigned long long read_server_keys(void *state)
{
	return ((struct est *)state)->n_server_keys;
}

static unsigned long long read_pending(void *state)
{
	return ((struct est *)state)->n_pending;
}

static unsigned long long read_unauthenticated(void *state)
{
	return ((struct est *)state)->n_unauthenticated;
}

static unsigned long long read_refused(void *state)
{
	return ((struct est *)state)->n_refused;
}

static const struct proto_counter est_counters[] = {
	{ "est_cacerts", "Times that the certificates of the CA were fetched.", read_cacerts },
	{ "est_csrattrs", "Times that the CSR attributes were fetched.", read_csrattrs },
	{ "est_crls", "Times that the revocation lists were fetched.", read_crls },
	{ "est_issued", "Certificates that were handed out, repeats too.", read_issued },
	{ "est_server_keys", "Keys that were made for clients.", read_server_keys },
	{ "est_pending", "Times that a client was told to come back, since its request is held.", read_pending },
	{ "est_unauthenticated", "Requests of nobody that may ask.", read_unauthenticated },
	{ "est_refused", "Requests that were refused.", read_refused },
	{ 0 },
};

const struct proto_adapter proto_est = {
	.abi = PROTO_ABI,
	.name = "est",
	.summary = "Enrollment over Secure Transport (RFC 7030, RFC 8951).",
	.caps = PROTO_CAP_PENDING | PROTO_CAP_TLS_CLIENT_AUTH | PROTO_CAP_LABELS | PROTO_CAP_RENEWAL,
	.default_path = PREFIX,
	.body_max = BODY_MAX,
	.options = est_options,
	.routes = est_routes,
	.check = est_check,
	.needs_certificate = est_needs_certificate,
	.init = est_init,
	.fini = est_fini,
	.counters = est_counters,
};
