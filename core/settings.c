/* The core's part of the configuration: rows, and what they become.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "core/core_int.h"

#include <errno.h>
#include <strings.h>

#include "core/base/own.h"
#include "core/base/der.h"
#include "core/request_form.h"
#include "core/roles.h"
#include "core/tls_door.h"
#include "core/x509/key.h"

#define PUBLIC_URL_MAX 255
#define RETENTION_MIN_MS (30 * 86400000ll)

const struct conf_option ca_core_rows[] = {
	{.name = "socket",
	 .type = CONF_STRING,
	 .summary = "Unix socket for intermediaries in processes of their own; absent: none."},
	{.name = "listen",
	 .type = CONF_SECTION,
	 .rows = tls_door_rows,
	 .summary = "Where intermediaries of other machines connect, over TLS with pinned certificates."},
	{.name = "intermediaries",
	 .type = CONF_SECTIONS,
	 .rows = binding_rows,
	 .summary = "Who may submit requests besides the gateway of this daemon, and for what."},
	{.name = "workers",
	 .type = CONF_INTEGER,
	 .range = "1..4096",
	 .fallback = "128",
	 .summary = "Threads that answer intermediaries; started on demand."},
	{.name = "admin-socket",
	 .type = CONF_STRING,
	 .summary = "Unix socket of the administrator's tool; by default core/admin.sock in the data folder."},
	{.name = "key-file",
	 .type = CONF_STRING,
	 .summary =
		 "File (mode 0600) with the key that seals the CA keys; by default kek in the data folder."},
	{.name = "passphrase-file",
	 .type = CONF_STRING,
	 .summary = "File (mode 0600) whose first line is the passphrase from which that key is made."},
	{.name = "passphrase-prompt",
	 .type = CONF_BOOL,
	 .fallback = "false",
	 .summary = "Ask for the passphrase at the terminal when gatehoused starts."},
	{.name = "signer-threads",
	 .type = CONF_INTEGER,
	 .range = "0..64",
	 .fallback = "0",
	 .summary = "How many signatures the signer makes at once; 0: one a processor."},
	{.name = "audit-anchor",
	 .type = CONF_STRING,
	 .summary = "File that the audit trail's head is written to, best on another disk; by default core/audit.anchor"
		    " in the data folder."},
	{.name = "trace-file",
	 .type = CONF_STRING,
	 .summary = "Append one JSON line for every call of a module and every change of state to this file."},
	{.name = "commit-delay",
	 .type = CONF_DURATION,
	 .range = "0ms..100ms",
	 .fallback = "0ms",
	 .summary = "How long the store may wait for company before it commits."},
	{.name = "retry-after",
	 .type = CONF_DURATION,
	 .range = "1s..1h",
	 .fallback = "5s",
	 .summary = "When to ask again about a held request, where the protocol has no better idea."},
	{.name = "pending-ttl",
	 .type = CONF_DURATION,
	 .range = "1m..365d",
	 .fallback = "30d",
	 .summary = "A request that nobody decided for this long is denied as expired."},
	{.name = "deny-window",
	 .type = CONF_DURATION,
	 .range = "0s..365d",
	 .fallback = "24h",
	 .summary = "How long a denial answers repeats of the same request without a new row."},
	{.name = "retention",
	 .type = CONF_DURATION,
	 .range = "0s..36500d",
	 .fallback = "0s",
	 .summary = "How long denied and failed requests, and expired certificates that were never revoked, are kept;"
		    " at least 30d and the deny-window; 0s: for ever."},
	{.name = "grant-lifetime",
	 .type = CONF_DURATION,
	 .range = "1m..90d",
	 .fallback = "7d",
	 .summary = "How long an approval waits for a client that went away."},
	{.name = "collection-window",
	 .type = CONF_DURATION,
	 .range = "1m..30d",
	 .fallback = "24h",
	 .summary = "How long a repeated submission gets the certificate that was issued for the first."},
	{.name = "notify-attempts",
	 .type = CONF_INTEGER,
	 .range = "1..1000",
	 .fallback = "50",
	 .summary = "How often an exit module is tried before an event is set aside."},
	{.name = "pending-per-requester",
	 .type = CONF_INTEGER,
	 .range = "1..100000",
	 .fallback = "100",
	 .summary = "How many requests one requester may have waiting for a person."},
	{.name = "administrators",
	 .type = CONF_STRINGS,
	 .fallback = "root",
	 .summary = "Users (or groups, written %group) who set up CAs, publish CRLs and make credentials."},
	{.name = "officers",
	 .type = CONF_STRINGS,
	 .summary = "Users (or groups, written %group) who decide about requests and revoke."},
	{.name = "auditors",
	 .type = CONF_STRINGS,
	 .summary = "Users (or groups, written %group) who read the audit trail, and look at everything."},
	{.name = "operators",
	 .type = CONF_STRINGS,
	 .summary = "Users (or groups, written %group) who back up and restore."},
	{.name = "role-separation",
	 .type = CONF_BOOL,
	 .fallback = "false",
	 .summary = "Nobody may hold two of these roles; whoever comes to two holds none."},
	{.name = "officer-rights",
	 .type = CONF_SECTIONS,
	 .rows = roles_right_rows,
	 .summary = "Which officer handles which requests; whoever has no row here handles nothing."},
	{0},
};

const struct conf_option ca_profile_rows[] = {
	{.name = "name",
	 .type = CONF_STRING,
	 .fallback = CONF_NEEDED,
	 .summary = "Name by which endpoints refer to it."},
	{.name = "keys",
	 .type = CONF_STRINGS,
	 .range = KEY_TYPE_RSA "|" KEY_TYPE_P256 "|" KEY_TYPE_P384 "|" KEY_TYPE_ED25519,
	 .fallback = "[rsa, ec-p256, ec-p384, ed25519]",
	 .summary = "Key types that are certified."},
	{.name = "rsa-bits",
	 .type = CONF_INTEGER,
	 .range = "2048..8192",
	 .fallback = "2048",
	 .summary = "Smallest RSA key."},
	{.name = "key-usage",
	 .type = CONF_STRINGS,
	 .fallback = "[digitalSignature, keyEncipherment]",
	 .summary = "Key usage bits; keyEncipherment is left out for keys that cannot do it."},
	{.name = "ext-key-usage",
	 .type = CONF_STRINGS,
	 .fallback = "serverAuth",
	 .summary = "Extended key usages, as words or OIDs; at least one."},
	{.name = "lifetime",
	 .type = CONF_DURATION,
	 .range = "5m..3650d",
	 .fallback = "90d",
	 .summary = "Validity, first and last second included; policy may only shorten it."},
	{.name = "backdate",
	 .type = CONF_DURATION,
	 .range = "0s..24h",
	 .fallback = "10m",
	 .summary = "How far validity begins in the past, for clients whose clock is slow."},
	{.name = "common-name",
	 .type = CONF_BOOL,
	 .fallback = "true",
	 .summary = "Put a proven name into the common name; the names stand in the SAN in any case."},
	{.name = "any-scope",
	 .type = CONF_CHOICE,
	 .range = "policy|pend",
	 .fallback = "policy",
	 .summary = "Requests of a credential that proves any name: what policy says, or they wait for a person."},
	{.name = "renewable-from",
	 .type = CONF_STRINGS,
	 .summary = "Profiles whose certificates may renew or enrol under this one, too; '" IMPORTED_PROFILE "' for "
		    "those that `gatehouse cert import` took."},
	{.name = "renewal-key",
	 .type = CONF_CHOICE,
	 .range = "any|new|same",
	 .fallback = "any",
	 .summary = "Whether who renews by certificate brings another key, the same, or either."},
	{.name = "extensions",
	 .type = CONF_STRINGS,
	 .summary = "OIDs of extensions that a request may carry and policy may switch on."},
	{.name = "officer-extensions",
	 .type = CONF_STRINGS,
	 .summary = "OIDs of extensions that an officer may set on a pending request."},
	{.name = "officer-names",
	 .type = CONF_CHOICE,
	 .range = "refuse|allow",
	 .fallback = "refuse",
	 .summary = "Whether an officer may add or change names of a held request; another officer must approve."},
	{.name = "approvals",
	 .type = CONF_INTEGER,
	 .range = "0..10",
	 .fallback = "0",
	 .summary = "How many distinct officers must approve a held request at least; a rule may ask for more."},
	{.name = "request-subject",
	 .type = CONF_STRINGS,
	 .summary = "Components that the subject of a request must have: serialNumber, or O=Example with its value."},
	{.name = "request-attributes",
	 .type = CONF_STRINGS,
	 .summary = "OIDs of attributes that a PKCS#10 must have."},
	{.name = "request-digest",
	 .type = CONF_CHOICE,
	 .range = "any|sha1|sha256|sha384|sha512",
	 .fallback = "any",
	 .summary = "The weakest digest under the signature of a PKCS#10; any: SHA-256 and all that are better. What "
		    "sha1 takes besides, with RSA keys, is what old SCEP clients sign with."},
	{0},
};

static const struct conf_option *policy_rows_of(const char *module)
{
	for (size_t i = 0; policy_modules[i]; i++)
		if (strcmp(policy_modules[i]->name, module) == 0)
			return policy_modules[i]->options;
	return NULL;
}

/* Rows that every exit module has besides its own; joined once for each module. */
static const struct conf_option exit_common_rows[] = {
	{.name = "name",
	 .type = CONF_STRING,
	 .summary = "What it is called in timelines and in the outbox; by default the module's name."},
	{ .name = "required", .type = CONF_BOOL, .fallback = "true",
	  .summary = "Without this module the CA does not start; when false it starts degraded." },
};

static const struct conf_option *exit_rows_of(const char *module)
{
	static struct conf_option joined[16][32];
	size_t n = 0;

	for (size_t i = 0; exit_modules[i] && i < 16; i++) {
		if (strcmp(exit_modules[i]->name, module) != 0)
			continue;
		for (size_t j = 0; j < sizeof(exit_common_rows) / sizeof(*exit_common_rows); j++)
			joined[i][n++] = exit_common_rows[j];
		for (const struct conf_option *o = exit_modules[i]->options; o && o->name && n < 31; o++)
			joined[i][n++] = *o;
		return joined[i];
	}
	return NULL;
}

static const struct conf_option status_rows[] = {
	{ .name = "public-url", .type = CONF_STRING,
	  .summary = "Where clients reach the status endpoint of this CA, as in http://pki.example.com/status; its "
		     "certificates name it for OCSP, CRLs and the issuer's certificate." },
	{ .name = "ocsp-validity", .type = CONF_DURATION, .range = "1m..7d", .fallback = "1h",
	  .summary = "How long an OCSP response is good; in half that time it is made anew." },
	{ 0 },
};

static const struct conf_option crl_rows[] = {
	{ .name = "lifetime", .type = CONF_DURATION, .range = "5m..3650d", .fallback = "7d",
	  .summary = "How long a CRL says it is good (nextUpdate)." },
	{ .name = "interval", .type = CONF_DURATION, .range = "1m..3650d", .fallback = "24h",
	  .summary = "A new CRL is published at least this often; shorter than the lifetime." },
	{ .name = "delay", .type = CONF_DURATION, .range = "0s..50s", .fallback = "5s",
	  .summary = "How long after a revocation a new CRL is begun, so that several share one." },
	{ .name = "partitions", .type = CONF_INTEGER, .range = "1..256", .fallback = "1",
	  .summary = "Over how many CRLs new certificates are spread by their serials; each names its own. The one "
		     "about all certificates is published too." },
	{ 0 },
};

const struct conf_option ca_ca_rows[] = {
	{ .name = "name", .type = CONF_STRING, .fallback = CONF_NEEDED,
	  .summary = "Name of the CA, as given to `gatehouse ca init`." },
	{ .name = "end-alarm", .type = CONF_DURATION, .range = "1h..3650d", .fallback = "30d",
	  .summary = "How long before the end of its certificate health, metrics and log call for a rollover." },
	{ .name = "policy", .type = CONF_VARIANT, .fallback = CONF_NEEDED, .rows_of = policy_rows_of,
	  .summary = "The one policy module that decides about every request." },
	{ .name = "exits", .type = CONF_VARIANTS, .rows_of = exit_rows_of,
	  .summary = "Exit modules, told of events after the result is stored." },
	{ .name = "crl", .type = CONF_SECTION, .rows = crl_rows,
	  .summary = "When its certificate revocation lists are made." },
	{ .name = "status", .type = CONF_SECTION, .rows = status_rows,
	  .summary = "What its certificates say about where their status is told." },
	{ 0 },
};

static const char *const *copy_words(const struct conf_section *s, const char *option, const char *without)
{
	size_t n = conf_count(s, option), used = 0;
	const char **words = calloc(n + 1, sizeof(*words));

	for (size_t i = 0; words && i < n; i++)
		if (!without || strcmp(conf_str_at(s, option, i), without) != 0)
			words[used++] = conf_str_at(s, option, i);
	return words;
}

static int check_oids(const struct conf_section *conf, const char *option, struct conf_error *error)
{
	for (size_t i = 0; i < conf_count(conf, option); i++) {
		const char *oid = conf_str_at(conf, option, i);
		OWNED_BUF content = BUF_INIT(64);

		if (strlen(oid) > 63 || der_oid_parse(oid, &content))
			return conf_refuse_at(conf, option, i, error, "'%s' is not a dotted OID", oid);
		if (extension_is_reserved(oid))
			return conf_refuse_at(conf, option, i, error, "extension %s is written by the CA alone", oid);
	}
	return 0;
}

int settings_check_profile(const struct conf_section *conf, struct conf_error *error)
{
	int e;

	if (strcmp(conf_str(conf, "name"), IMPORTED_PROFILE) == 0)
		return conf_refuse(conf, "name", error,
				   "imported certificates stand under the profile '" IMPORTED_PROFILE
				   "'; call this one otherwise, here and where endpoints name it");
	for (size_t i = 0; i < conf_count(conf, "key-usage"); i++)
		if (!key_usage_known(conf_str_at(conf, "key-usage", i)))
			return conf_refuse_at(conf, "key-usage", i, error,
					      "'%s' is no key usage that a profile may give",
					      conf_str_at(conf, "key-usage", i));
	if (conf_count(conf, "key-usage") == 0)
		return conf_refuse(conf, "key-usage", error, "a profile needs at least one key usage");
	/* Without a purpose a certificate is good for any: refused here, whatever policy says later. */
	if (conf_count(conf, "ext-key-usage") == 0)
		return conf_refuse(conf, "ext-key-usage", error, "a profile needs at least one extended key usage");
	for (size_t i = 0; i < conf_count(conf, "ext-key-usage"); i++)
		if (!ext_key_usage_known(conf_str_at(conf, "ext-key-usage", i)))
			return conf_refuse_at(conf, "ext-key-usage", i, error,
					      "'%s' is no extended key usage that a profile may give",
					      conf_str_at(conf, "ext-key-usage", i));
	if (conf_duration_ms(conf, "backdate") >= conf_duration_ms(conf, "lifetime"))
		return conf_refuse(conf, "backdate", error, "must be shorter than the lifetime");
	e = check_oids(conf, "extensions", error);
	if (!e)
		e = check_oids(conf, "officer-extensions", error);
	return e ? e : request_form_check_options(conf, error);
}

static int load_profile(struct ca_core *core, const struct conf_section *conf, struct conf_error *error)
{
	struct ca_profile *p = &core->profiles[core->n_profiles];
	int e = settings_check_profile(conf, error);

	if (e)
		return e;
	if (core_find_profile(core, conf_str(conf, "name")))
		return conf_refuse(conf, "name", error, "there are two profiles of this name");
	*p = (struct ca_profile){
		.name = conf_str(conf, "name"),
		.keys = copy_words(conf, "keys", NULL),
		.rsa_bits_min = (unsigned)conf_int(conf, "rsa-bits"),
		.key_usage = copy_words(conf, "key-usage", NULL),
		.key_usage_no_rsa = copy_words(conf, "key-usage", "keyEncipherment"),
		.ext_key_usage = copy_words(conf, "ext-key-usage", NULL),
		.lifetime_s = conf_duration_ms(conf, "lifetime") / 1000,
		.backdate_s = conf_duration_ms(conf, "backdate") / 1000,
		.renewable_from = copy_words(conf, "renewable-from", NULL),
		.renewal_key = conf_str(conf, "renewal-key"),
		.lets_officers_name = strcmp(conf_str(conf, "officer-names"), "allow") == 0,
		.holds_any_scope = strcmp(conf_str(conf, "any-scope"), "pend") == 0,
		.common_name = conf_bool(conf, "common-name"),
		.conf = conf,
	};
	core->n_profiles++;
	if (p->keys && p->key_usage && p->key_usage_no_rsa && p->ext_key_usage && p->renewable_from)
		return 0;
	return -ENOMEM;
}

/* The profiles of the gateway's own certificates, unless the file has some of these names. Messages are signed by an
 * RA certificate and encrypted to it (RFC 8894 2.1.2); clients that verify CMS with libcrypto want its purpose to be
 * that of mail, or not said, which would be any. */
static void add_own_profiles(struct ca_core *core)
{
	static const char *const tls_keys[] = { KEY_TYPE_P256, NULL };
	static const char *const ra_keys[] = { KEY_TYPE_RSA, NULL };
	static const char *const signs[] = { "digitalSignature", NULL };
	static const char *const both[] = { "digitalSignature", "keyEncipherment", NULL };
	static const char *const serves[] = { "serverAuth", NULL };
	static const char *const mails[] = { "emailProtection", NULL };
	static const struct ca_profile own[] = {
		{ .name = GATEWAY_TLS_PROFILE, .keys = tls_keys, .key_usage = signs, .key_usage_no_rsa = signs,
		  .ext_key_usage = serves, .lifetime_s = 30 * 86400 },
		{ .name = SCEP_RA_PROFILE, .keys = ra_keys, .key_usage = both, .key_usage_no_rsa = signs,
		  .ext_key_usage = mails, .lifetime_s = 365 * 86400 },
	};

	for (size_t i = 0; i < sizeof(own) / sizeof(*own); i++) {
		struct ca_profile *p = &core->profiles[core->n_profiles];

		if (core_find_profile(core, own[i].name))
			continue;
		*p = own[i];
		p->rsa_bits_min = 2048;
		p->renewal_key = "any";
		p->backdate_s = 600;
		p->common_name = true;
		core->n_profiles++;
	}
}

static void load_numbers(struct ca_settings *s, const struct conf_section *conf)
{
	s->pending_ttl_ms = conf_duration_ms(conf, "pending-ttl");
	s->deny_window_ms = conf_duration_ms(conf, "deny-window");
	s->retention_ms = conf_duration_ms(conf, "retention");
	s->grant_lifetime_ms = conf_duration_ms(conf, "grant-lifetime");
	s->collect_ms = conf_duration_ms(conf, "collection-window");
	s->retry_after_s = (unsigned)(conf_duration_ms(conf, "retry-after") / 1000);
	s->notify_attempts = (unsigned)conf_int(conf, "notify-attempts");
	s->pending_per_requester = (unsigned)conf_int(conf, "pending-per-requester");
}

/* A denial still answers repeats, and somebody still asks why, for a while. */
static int check_retention(const struct ca_settings *s, const struct conf_section *conf, struct conf_error *error)
{
	if (s->retention_ms && (s->retention_ms < RETENTION_MIN_MS || s->retention_ms < s->deny_window_ms))
		return conf_refuse(conf, "retention", error,
				   "at least 30d, and no less than deny-window; 0s keeps everything");
	return 0;
}

/* Those of clients, and what stands for the profile of certificates that were imported. The gateway's own certificates
 * ask for nothing. */
static bool is_renewable(struct ca_core *core, const char *profile)
{
	return strcmp(profile, IMPORTED_PROFILE) == 0 ||
	       (core_find_profile(core, profile) && !core_is_own_profile(profile));
}

static int check_renewable(struct ca_core *core, struct conf_error *error)
{
	for (size_t i = 0; i < core->n_profiles; i++) {
		const struct conf_section *conf = core->profiles[i].conf;

		for (size_t j = 0; conf && j < conf_count(conf, "renewable-from"); j++) {
			const char *from = conf_str_at(conf, "renewable-from", j);

			if (!is_renewable(core, from))
				return conf_refuse_at(conf, "renewable-from", j, error,
						      "there is no profile '%s' of clients under profiles:", from);
		}
	}
	return 0;
}

static int check_endpoints(struct ca_core *core, struct conf_error *error)
{
	for (size_t i = 0; i < conf_count(core->conf, "endpoints"); i++) {
		const struct conf_section *e = conf_section_at(core->conf, "endpoints", i);

		if (!core_find_ca(core, conf_str(e, "ca")))
			return conf_refuse(e, "ca", error, "there is no CA named '%s' under cas:", conf_str(e, "ca"));
		/* Of one that submits nothing there is none. */
		if (conf_str(e, "profile") && !core_find_profile(core, conf_str(e, "profile")))
			return conf_refuse(e, "profile", error, "there is no profile named '%s' under profiles:",
					   conf_str(e, "profile"));
		/* Who had such a certificate would be taken for the gateway. */
		if (conf_str(e, "profile") && core_is_own_profile(conf_str(e, "profile")))
			return conf_refuse(e, "profile", error,
					   "'%s' is the profile of the gateway's own certificates, and no client gets "
					   "one of it: name another profile",
					   conf_str(e, "profile"));
		if (strcmp(conf_str(e, "name"), INTERNAL_ENDPOINT) == 0)
			return conf_refuse(e, "name", error, "'internal' is the gateway's own endpoint");
	}
	return 0;
}

/* A client that cannot check the certificate of a server before it asked this one must not need TLS to ask. */
static int check_public_url(const struct conf_section *status, struct conf_error *error)
{
	const char *url = conf_str(status, "public-url");
	size_t n = url ? strlen(url) : 0;

	if (!url)
		return 0;
	if (strncmp(url, "http://", 7) != 0 || n < 8 || n > PUBLIC_URL_MAX || url[n - 1] == '/' ||
	    url[strspn(url, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~:/[]")])
		return conf_refuse(status, "public-url", error,
				   "it is http://HOST[:PORT][/PATH], without '/' at its end, and at most %d octets",
				   PUBLIC_URL_MAX);
	return 0;
}

static int load_crl(struct ca *ca, const struct conf_section *conf, struct conf_error *error)
{
	unsigned partitions = (unsigned)conf_int(conf, "partitions");

	ca->crl.lifetime_s = conf_duration_ms(conf, "lifetime") / 1000;
	ca->crl.interval_s = conf_duration_ms(conf, "interval") / 1000;
	ca->crl.delay_ms = conf_duration_ms(conf, "delay");
	ca->crl.partitions = partitions > 1 ? partitions : 0;
	if (ca->crl.interval_s >= ca->crl.lifetime_s)
		return conf_refuse(conf, "interval", error,
				   "must be shorter than the lifetime: a CRL is replaced before it ends");
	if (ca->crl.partitions && !ca->public_url)
		return conf_refuse(conf, "partitions", error,
				   "needs status: public-url, where each certificate names its own CRL");
	return 0;
}

static int load_ca(struct ca_core *core, const struct conf_section *conf, struct conf_error *error)
{
	const struct conf_section *status = conf_section(conf, "status");

	if (core_find_ca(core, conf_str(conf, "name")))
		return conf_refuse(conf, "name", error, "there are two CAs of this name");
	core->cas[core->n_cas++] = (struct ca){
		.core = core,
		.name = conf_str(conf, "name"),
		.public_url = conf_str(status, "public-url"),
		.ocsp_validity_s = conf_duration_ms(status, "ocsp-validity") / 1000,
		.end_alarm_s = conf_duration_ms(conf, "end-alarm") / 1000,
		.policy_turn = PTHREAD_MUTEX_INITIALIZER,
	};
	if (check_public_url(status, error))
		return -EINVAL;
	return load_crl(&core->cas[core->n_cas - 1], conf_section(conf, "crl"), error);
}

int settings_load(struct ca_core *core, struct conf_error *error)
{
	size_t n_profiles = conf_count(core->conf, "profiles"), n_cas = conf_count(core->conf, "cas");
	int e = 0;

	if (n_cas == 0)
		return conf_refuse(core->conf, "cas", error, "at least one CA must be configured");
	core->profiles = calloc(n_profiles + 2, sizeof(*core->profiles));
	core->cas = calloc(n_cas, sizeof(*core->cas));
	if (!core->profiles || !core->cas)
		return -ENOMEM;
	load_numbers(&core->settings, conf_section(core->conf, "core"));
	for (size_t i = 0; !e && i < n_profiles; i++)
		e = load_profile(core, conf_section_at(core->conf, "profiles", i), error);
	for (size_t i = 0; !e && i < n_cas; i++)
		e = load_ca(core, conf_section_at(core->conf, "cas", i), error);
	if (!e)
		add_own_profiles(core);
	if (!e)
		e = check_renewable(core, error);
	if (!e)
		e = check_retention(&core->settings, conf_section(core->conf, "core"), error);
	if (!e)
		e = check_endpoints(core, error);
	if (!e)
		e = roles_check(core->conf, error);
	if (!e)
		e = tls_door_check(conf_section(conf_section(core->conf, "core"), "listen"), error);
	return e ? e : bindings_load(&core->bindings, core->conf, error);
}
