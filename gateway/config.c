/* Rows and checks of the configuration file.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "gateway/config.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <strings.h>
#include <unistd.h>

#include "core/base/base64.h"
#include "core/base/log.h"
#include "core/core.h"
#include "core/exit.h"
#include "core/policy.h"
#include "gateway/validator/validator.h"

#define LOOPS_MAX 256
#define LINE_MAX_DEFAULT ((size_t)8 << 10)

static const struct conf_option log_rows[] = {
	{ .name = "format", .type = CONF_CHOICE, .range = "logfmt|json", .fallback = "logfmt",
	  .summary = "How a line looks." },
	{ .name = "level", .type = CONF_CHOICE, .range = "debug|info|warn|error", .fallback = "info",
	  .summary = "The least important lines that are written." },
	{ 0 },
};

/* Adapters that submit nothing have no profile. */
#define SUBMITS_NOTHING (PROTO_CAP_STATUS | PROTO_CAP_DELEGATES)
/* The row of an adapter that submits something. */
#define PROFILE_ROW "profile"
/* The rows of one whose clients renew by certificate. All have them: the core reads them of whatever endpoint is
 * named. */
#define GRACE_ROW "renewal-grace"
#define WINDOW_ROW "renewal-window"
#define OLDER_ROW "older-cas"
/* The row of an adapter that has challenges made: for which endpoint. */
#define FOR_ROW "for"

/* The row of one whose clients show challenges. All have it: the validator reads it of whatever endpoint is named. */
#define TARGET_ROW "challenge-target"

static const struct conf_option endpoint_rows[] = {
	{ .name = "name", .type = CONF_STRING, .fallback = CONF_NEEDED,
	  .summary = "Name by which listeners and rules refer to it." },
	{ .name = "ca", .type = CONF_STRING, .fallback = CONF_NEEDED,
	  .summary = "The CA that answers its requests." },
	{ .name = PROFILE_ROW, .type = CONF_STRING, .fallback = CONF_NEEDED,
	  .summary = "The profile that its requests name." },
	{ .name = "path", .type = CONF_STRING, .fallback = CONF_NEEDED,
	  .summary = "Where it is mounted, as in /acme." },
	{ .name = "body-max", .type = CONF_SIZE, .range = "1KiB..64KiB",
	  .summary = "Largest body of a request to it, where that is less than its protocol has; more is answered "
		     "413." },
	{ .name = GRACE_ROW, .type = CONF_DURATION, .range = "0s..365d", .fallback = "0s",
	  .summary = "How long after its end a certificate can still be renewed by itself, where the protocol knows "
		     "renewals by certificate." },
	{ .name = WINDOW_ROW, .type = CONF_DURATION, .range = "0s..3650d", .fallback = "0s",
	  .summary = "How long before its end a certificate can be renewed by itself; 0s: from its beginning." },
	{ .name = OLDER_ROW, .type = CONF_STRINGS,
	  .summary = "Other CAs of this core whose certificates renew and enrol here, as those of `ca` do: for moving "
		     "clients to another CA." },
	{ .name = TARGET_ROW, .type = CONF_STRING,
	  .summary = "The target of `validator: targets:` that judges the challenges of its clients, in the place of "
		     "those that `gatehouse challenge create` makes." },
};

static const struct conf_option listener_rows[] = {
	{ .name = "name", .type = CONF_STRING, .fallback = CONF_NEEDED,
	  .summary = "Name of the listener, in the log and in file names." },
	{ .name = "address", .type = CONF_STRING, .fallback = "0.0.0.0",
	  .summary = "IPv4 or IPv6 address; 0.0.0.0 or '::' for all." },
	{ .name = "port", .type = CONF_INTEGER, .range = "1..65535", .fallback = CONF_NEEDED,
	  .summary = "TCP port." },
	{ .name = "tls", .type = CONF_BOOL, .fallback = "true",
	  .summary = "Speak TLS; false only where the protocol protects itself." },
	{ .name = "names", .type = CONF_STRINGS,
	  .summary = "DNS names and addresses under which clients reach it; they stand in its certificate." },
	{ .name = "base-url", .type = CONF_STRING,
	  .summary = "What absolute URLs begin with; by default made of the name the client used." },
	{ .name = "endpoints", .type = CONF_STRINGS, .summary = "Names of the endpoints it serves." },
	{ .name = "default-endpoint", .type = CONF_STRING,
	  .summary = "Which of several endpoints of protocol scep is meant where neither path nor message says so, as "
		     "at /cgi-bin/pkiclient.exe; by default none, and where there is only one, that." },
	{ .name = "ca", .type = CONF_STRING,
	  .summary = "The CA of its own certificate; by default that of its first endpoint." },
	{ .name = "certificate", .type = CONF_STRING,
	  .summary = "PEM file with its certificate and chain instead of one from a CA here; read again when "
		     "it changes." },
	{ .name = "key", .type = CONF_STRING, .summary = "PEM file with the key of that certificate, mode 0600." },
	{ .name = "client-certificates", .type = CONF_BOOL, .fallback = "true",
	  .summary = "Ask TLS clients for a certificate where an endpoint can use one; none is needed, and no "
		     "connection is refused over one." },
	{ .name = "client-ca-names", .type = CONF_STRING,
	  .summary = "PEM file with certificates of CAs; clients are told to choose theirs by these subjects, and "
		     "those with another one may send none. By default they are told nothing." },
	{ .name = "request-line-max", .type = CONF_SIZE, .range = "1KiB..64KiB",
	  .summary = "Longest request line; more is answered 414. By default 8KiB, and 32KiB with an endpoint of "
		     "protocol scep, some of whose clients put their message into it." },
	{ .name = "header-max", .type = CONF_SIZE, .range = "1KiB..256KiB", .fallback = "16KiB",
	  .summary = "Largest header section; more is answered 431." },
	{ .name = "body-max", .type = CONF_SIZE, .range = "1KiB..1MiB", .fallback = "64KiB",
	  .summary = "Largest body where the endpoint has no limit of its own; more is answered 413." },
	{ .name = "http2", .type = CONF_BOOL, .fallback = "true",
	  .summary = "Offer HTTP/2 to clients that know it; only with TLS, and not where an endpoint can use client "
		     "certificates, which belong to one connection." },
	{ .name = "http-1.0", .type = CONF_BOOL,
	  .summary = "Serve HTTP/1.0 clients too, with and without Host; by default only with an endpoint of protocol "
		     "scep or status." },
	{ .name = "timeout", .type = CONF_DURATION, .range = "100ms..10m", .fallback = "10s",
	  .summary = "Longest wait for each: handshake, header section, body, and a client that does not read." },
	{ .name = "idle-timeout", .type = CONF_DURATION, .range = "100ms..1h", .fallback = "60s",
	  .summary = "How long a connection may be idle between requests." },
	{ 0 },
};

static const struct conf_option metrics_rows[] = {
	{ .name = "address", .type = CONF_STRING, .fallback = "127.0.0.1",
	  .summary = "Address of the listener for /metrics and /healthz." },
	{ .name = "port", .type = CONF_INTEGER, .range = "1..65535",
	  .summary = "Its port; absent: no such listener." },
	{ 0 },
};

static const struct conf_option core_tls_rows[] = {
	{ .name = "certificate", .type = CONF_STRING,
	  .summary = "PEM file with the certificate by which the core knows this gateway." },
	{ .name = "key", .type = CONF_STRING, .summary = "PEM file with its key, mode 0600." },
	{ .name = "core-certificate", .type = CONF_STRING,
	  .summary = "SHA-256 fingerprint of the core's certificate, in hex." },
	{ 0 },
};

static const struct conf_option gateway_rows[] = {
	{ .name = "core", .type = CONF_STRING,
	  .summary = "The core of another daemon, as unix:PATH or tls://HOST:PORT; by default that of this daemon." },
	{ .name = "core-tls", .type = CONF_SECTION, .rows = core_tls_rows,
	  .summary = "How this gateway and a core at tls:// know each other." },
	{ .name = "workers", .type = CONF_INTEGER, .range = "1..4096", .fallback = "128",
	  .summary = "Threads for handlers; started on demand." },
	{ .name = "queue", .type = CONF_INTEGER, .range = "1..65536", .fallback = "256",
	  .summary = "Requests that may wait for a thread; more are answered 503." },
	{ .name = "loops", .type = CONF_INTEGER, .range = "0..256", .fallback = "0",
	  .summary = "Event loops; 0: one for each core." },
	{ .name = "max-connections", .type = CONF_INTEGER, .range = "1..1000000", .fallback = "4096",
	  .summary = "Connections at once; one more is closed." },
	{ .name = "connections-per-address", .type = CONF_INTEGER, .range = "0..1000000", .fallback = "1024",
	  .summary = "Connections of one client address (IPv6: /64) at once; 0: as many as there are." },
	{ .name = "flood-pause", .type = CONF_DURATION, .range = "0s..1h", .fallback = "10s",
	  .summary = "How long an address (IPv6: /64) may not connect after three HTTP/2 floods, and after each "
		     "further one; 0s: it may, as where all clients come through one proxy." },
	{ .name = "stop-timeout", .type = CONF_DURATION, .range = "0s..10m", .fallback = "30s",
	  .summary = "How long requests in flight may take when the gateway stops." },
	{ 0 },
};

static const struct conf_option process_rows[] = {
	{ .name = "separate-users", .type = CONF_BOOL, .fallback = "true",
	  .summary = "Started as root: give each process a user of its own." },
	{ .name = "gateway-user", .type = CONF_STRING, .fallback = "gatehouse-gw",
	  .summary = "User (name or number) of the process that listens." },
	{ .name = "core-user", .type = CONF_STRING, .fallback = "gatehouse",
	  .summary = "User of the process that decides and stores." },
	{ .name = "signer-user", .type = CONF_STRING, .fallback = "gatehouse-sign",
	  .summary = "User of the process that holds the keys of CAs." },
	{ .name = "validator-user", .type = CONF_STRING, .fallback = "gatehouse-va",
	  .summary = "User of the process that contacts clients' machines." },
	{ .name = "ra-signer-user", .type = CONF_STRING, .fallback = "gatehouse-ra",
	  .summary = "User of the process that holds the keys of SCEP endpoints." },
	{ 0 },
};

const struct proto_adapter *gw_config_adapter(const char *protocol)
{
	size_t i;

	for (i = 0; proto_adapters[i]; i++)
		if (strcmp(proto_adapters[i]->name, protocol) == 0)
			return proto_adapters[i];
	return NULL;
}

static size_t count_rows(const struct conf_option *rows)
{
	size_t n = 0;

	while (rows && rows[n].name)
		n++;
	return n;
}

/* Joined rows live as long as the process: sections that were read point to them. */
static struct conf_option *join_rows(const struct proto_adapter *adapter)
{
	size_t common = sizeof(endpoint_rows) / sizeof(*endpoint_rows), own = count_rows(adapter->options);
	struct conf_option *rows = calloc(common + own + 1, sizeof(*rows));

	if (!rows)
		return NULL;
	memcpy(rows, endpoint_rows, sizeof(endpoint_rows));
	for (size_t i = 0; i < common && (adapter->caps & SUBMITS_NOTHING); i++)
		if (strcmp(rows[i].name, PROFILE_ROW) == 0)
			rows[i] = (struct conf_option){ .name = PROFILE_ROW, .type = CONF_STRING,
							.summary = "None: it submits no requests." };
	if (own)
		memcpy(rows + common, adapter->options, own * sizeof(*rows));
	return rows;
}

static const struct conf_option *endpoint_rows_of(const char *protocol)
{
	static struct {
		const struct proto_adapter *adapter;
		struct conf_option *rows;
	} joined[32];
	const struct proto_adapter *adapter = gw_config_adapter(protocol);
	size_t i;

	if (!adapter)
		return NULL;
	for (i = 0; i < sizeof(joined) / sizeof(*joined); i++) {
		if (!joined[i].adapter) {
			joined[i].rows = join_rows(adapter);
			joined[i].adapter = joined[i].rows ? adapter : NULL;
		}
		if (joined[i].adapter == adapter)
			return joined[i].rows;
	}
	return NULL;
}

/* Not constant: the core's rows are defined elsewhere, which C takes for no constant. */
const struct conf_option *gw_config_rows(void)
{
	static struct conf_option rows[] = {
		{ .name = "data", .type = CONF_STRING, .fallback = "/var/lib/gatehouse",
		  .summary = "Folder of everything that is kept." },
		{ .name = "log", .type = CONF_SECTION, .rows = log_rows,
		  .summary = "The server log, on standard error." },
		{ .name = "core", .type = CONF_SECTION, .rows = ca_core_rows, .summary = "The core." },
		{ .name = "cas", .type = CONF_SECTIONS, .rows = ca_ca_rows,
		  .summary = "The certificate authorities." },
		{ .name = "profiles", .type = CONF_SECTIONS, .rows = ca_profile_rows,
		  .summary = "What certificates look like." },
		{ .name = "endpoints", .type = CONF_VARIANTS, .range = "protocol", .rows_of = endpoint_rows_of,
		  .summary = "Where clients of a protocol come in." },
		{ .name = "listeners", .type = CONF_SECTIONS, .rows = listener_rows,
		  .summary = "Addresses that are listened on." },
		{ .name = "metrics", .type = CONF_SECTION, .rows = metrics_rows,
		  .summary = "Metrics in Prometheus text format." },
		{ .name = "validator", .type = CONF_SECTION, .rows = validator_options,
		  .summary = "Outgoing connections that prove names." },
		{ .name = "gateway", .type = CONF_SECTION, .rows = gateway_rows, .summary = "Sizes of the gateway." },
		{ .name = "processes", .type = CONF_SECTION, .rows = process_rows,
		  .summary = "The processes of the daemon." },
		{ 0 },
	};

	return rows;
}

void gw_config_print_options(FILE *to)
{
	char prefix[64];
	size_t i;

	conf_print_options(to, gw_config_rows(), NULL);
	for (i = 0; proto_adapters[i]; i++) {
		snprintf(prefix, sizeof(prefix), "endpoints[protocol=%s]", proto_adapters[i]->name);
		conf_print_options(to, endpoint_rows_of(proto_adapters[i]->name), prefix);
	}
	for (i = 0; validator_target_kinds[i]; i++) {
		snprintf(prefix, sizeof(prefix), "validator.targets[kind=%s]", validator_target_kinds[i]);
		conf_print_options(to, validator_target_rows(validator_target_kinds[i]), prefix);
	}
	for (i = 0; policy_modules[i]; i++) {
		snprintf(prefix, sizeof(prefix), "cas[].policy[module=%s]", policy_modules[i]->name);
		conf_print_options(to, policy_modules[i]->options, prefix);
	}
	for (i = 0; exit_modules[i]; i++) {
		snprintf(prefix, sizeof(prefix), "cas[].exits[module=%s]", exit_modules[i]->name);
		conf_print_options(to, exit_modules[i]->options, prefix);
	}
}

/* ---- checks ---- */

static const struct conf_section *find(const struct conf_section *root, const char *list, const char *name)
{
	size_t i, n = conf_count(root, list);

	for (i = 0; i < n; i++)
		if (strcmp(conf_str(conf_section_at(root, list, i), "name"), name) == 0)
			return conf_section_at(root, list, i);
	return NULL;
}

const struct conf_section *gw_config_endpoint(const struct conf_section *root, const char *name)
{
	return find(root, "endpoints", name);
}

#define TLS_CORE "tls://"
#define UNIX_CORE "unix:"

bool gw_config_core_is_tls(const struct conf_section *root)
{
	const char *core = conf_str(conf_section(root, "gateway"), "core");

	return core && strncmp(core, TLS_CORE, strlen(TLS_CORE)) == 0;
}

bool gw_config_has_other_core(const struct conf_section *root)
{
	return conf_str(conf_section(root, "gateway"), "core") != NULL;
}

/* Which CAs the core of another daemon has, it alone knows: the gateway asks it when it starts. */
static bool is_ca(const struct conf_section *root, const char *name)
{
	size_t i, n = conf_count(root, "cas");

	if (gw_config_has_other_core(root))
		return true;
	for (i = 0; i < n; i++)
		if (strcasecmp(conf_str(conf_section_at(root, "cas", i), "name"), name) == 0)
			return true;
	return false;
}

const char *gw_config_listener_ca(const struct conf_section *root, const struct conf_section *listener)
{
	const struct conf_section *endpoint = NULL;

	if (conf_str(listener, "ca"))
		return conf_str(listener, "ca");
	if (conf_count(listener, "endpoints"))
		endpoint = gw_config_endpoint(root, conf_str_at(listener, "endpoints", 0));
	if (endpoint)
		return conf_str(endpoint, "ca");
	return conf_count(root, "cas") ? conf_str(conf_section_at(root, "cas", 0), "name") : NULL;
}

unsigned gw_config_loops(const struct conf_section *root)
{
	int64_t loops = conf_int(conf_section(root, "gateway"), "loops");
	long cores = sysconf(_SC_NPROCESSORS_ONLN);

	return loops ? (unsigned)loops : cores < 1 ? 1 : cores > LOOPS_MAX ? LOOPS_MAX : (unsigned)cores;
}

void gw_config_set_up_log(const struct conf_section *root)
{
	static const char *const levels[] = { "debug", "info", "warn", "error" };
	const struct conf_section *conf = conf_section(root, "log");
	size_t i = 0;

	while (strcmp(levels[i], conf_str(conf, "level")) != 0)
		i++;
	log_setup(strcmp(conf_str(conf, "format"), "json") == 0 ? LOG_FORMAT_JSON : LOG_FORMAT_LOGFMT,
		  (enum log_level)i);
}

static bool is_plain_word(const char *s)
{
	return *s && strlen(s) <= 64 &&
	       s[strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.")] == 0;
}

/* Names stand in file names and metrics; two sections of one list must not have the same. */
static int check_names(const struct conf_section *root, const char *list, struct conf_error *error)
{
	size_t i, n = conf_count(root, list);
	const struct conf_section *s;
	const char *name;

	for (i = 0; i < n; i++) {
		s = conf_section_at(root, list, i);
		name = conf_str(s, "name");
		if (!is_plain_word(name) || *name == '.')
			return conf_refuse(s, "name", error, "a name consists of letters, digits, '-', '_' and '.'");
		if (find(root, list, name) != s)
			return conf_refuse(s, "name", error, "the name '%s' is taken", name);
	}
	return 0;
}

static int check_path(const struct conf_section *endpoint, struct conf_error *error)
{
	const char *path = conf_str(endpoint, "path"), *c;
	size_t n = strlen(path);

	if (n < 2 || *path != '/' || path[n - 1] == '/')
		return conf_refuse(endpoint, "path", error,
				   "a path begins with '/', does not end with it, and is not empty");
	for (c = path; *c; c++)
		if ((unsigned char)*c <= 0x20 || (unsigned char)*c >= 0x7f || strchr("?#{}", *c))
			return conf_refuse(endpoint, "path", error,
					   "a path consists of visible ASCII without '?', '#', '{' and '}'");
	if (strcmp(path, "/healthz") == 0)
		return conf_refuse(endpoint, "path", error, "/healthz is the gateway's own");
	return 0;
}

/* Is this segment the first one of a route of the adapter? */
static bool is_operation(const struct proto_adapter *adapter, const char *segment)
{
	const struct proto_route *r = adapter->routes;
	size_t n = strlen(segment);

	for (; r && r->method; r++)
		if (strncmp(r->pattern + 1, segment, n) == 0 && (r->pattern[n + 1] == '/' || !r->pattern[n + 1]))
			return true;
	return false;
}

static int check_label(const struct conf_section *endpoint, struct conf_error *error)
{
	const struct proto_adapter *adapter = gw_config_adapter(conf_module(endpoint));
	const char *path = conf_str(endpoint, "path"), *label = strrchr(path, '/') + 1;

	if (!(adapter->caps & PROTO_CAP_LABELS))
		return 0;
	if (strchr(path, '%'))
		return conf_refuse(endpoint, "path", error,
				   "write the label as it is: clients may send '%%3A' for ':', "
				   "and '%%' itself cannot stand in it");
	if (is_operation(adapter, label))
		return conf_refuse(endpoint, "path", error, "'%s' is the name of an operation, and cannot be a label",
				   label);
	return 0;
}

static bool is_status(const struct conf_section *endpoint)
{
	return gw_config_adapter(conf_module(endpoint))->caps & PROTO_CAP_STATUS;
}

static int check_by_adapter(const struct conf_section *endpoint, struct conf_error *error)
{
	const struct proto_adapter *adapter = gw_config_adapter(conf_module(endpoint));
	char why[512];

	if (!adapter->check || !adapter->check(endpoint, why, sizeof(why)))
		return 0;
	return conf_refuse(endpoint, NULL, error, "endpoint '%s': %s", conf_str(endpoint, "name"), why);
}

static int check_renewal(const struct conf_section *root, const struct conf_section *endpoint,
			 const struct proto_adapter *adapter, struct conf_error *error)
{
	static const char *const rows[] = { GRACE_ROW, WINDOW_ROW, OLDER_ROW };

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
		if (conf_is_set(endpoint, rows[i]) && !(adapter->caps & PROTO_CAP_RENEWAL))
			return conf_refuse(endpoint, rows[i], error,
					   "nobody renews by certificate over protocol '%s'; leave it out",
					   adapter->name);
	for (size_t i = 0; i < conf_count(endpoint, OLDER_ROW); i++)
		if (!is_ca(root, conf_str_at(endpoint, OLDER_ROW, i)))
			return conf_refuse_at(endpoint, OLDER_ROW, i, error, "there is no CA '%s' in 'cas'",
					      conf_str_at(endpoint, OLDER_ROW, i));
	return 0;
}

static int check_endpoint(const struct conf_section *root, const struct conf_section *endpoint,
			  struct conf_error *error)
{
	const struct proto_adapter *adapter = gw_config_adapter(conf_module(endpoint));
	const char *ca = conf_str(endpoint, "ca");
	int r;

	if (strcmp(conf_str(endpoint, "name"), "internal") == 0)
		return conf_refuse(endpoint, "name", error, "'internal' is the gateway's own endpoint");
	if (!is_ca(root, ca))
		return conf_refuse(endpoint, "ca", error, "there is no CA '%s' in 'cas'", ca);
	if (adapter->caps & SUBMITS_NOTHING && conf_str(endpoint, PROFILE_ROW))
		return conf_refuse(endpoint, PROFILE_ROW, error,
				   "an endpoint of protocol '%s' submits nothing; leave the profile out",
				   conf_module(endpoint));
	if (conf_is_set(endpoint, TARGET_ROW) && !(adapter->caps & PROTO_CAP_CHALLENGE))
		return conf_refuse(endpoint, TARGET_ROW, error, "clients of this protocol show no challenges");
	r = check_renewal(root, endpoint, adapter, error);
	if (!r)
		r = check_path(endpoint, error);
	if (!r)
		r = check_label(endpoint, error);
	return r ? r : check_by_adapter(endpoint, error);
}

static bool has_cap(const struct conf_section *endpoint, unsigned cap)
{
	return gw_config_adapter(conf_module(endpoint))->caps & cap;
}

/* Do two endpoints of one listener have the same path, or name, for clients? */
static bool is_same(const struct conf_section *a, const struct conf_section *b, const char *row)
{
	bool any_case = has_cap(a, PROTO_CAP_ANY_CASE) && has_cap(b, PROTO_CAP_ANY_CASE);

	return (any_case ? strcasecmp : strcmp)(conf_str(a, row), conf_str(b, row)) == 0;
}

/* One reference of a listener to an endpoint. */
static int check_reference(const struct conf_section *root, const struct conf_section *listener, size_t i,
			   struct conf_error *error)
{
	const char *name = conf_str_at(listener, "endpoints", i);
	const struct conf_section *endpoint = gw_config_endpoint(root, name), *other;
	const struct proto_adapter *adapter;
	size_t k;

	if (!endpoint)
		return conf_refuse_at(listener, "endpoints", i, error, "there is no endpoint '%s'", name);
	for (k = 0; k < i; k++) {
		other = gw_config_endpoint(root, conf_str_at(listener, "endpoints", k));
		if (is_same(endpoint, other, "path"))
			return conf_refuse_at(listener, "endpoints", i, error,
					      "the path %s of '%s' is taken on this listener",
					      conf_str(endpoint, "path"), name);
		if (is_same(endpoint, other, "name"))
			return conf_refuse_at(listener, "endpoints", i, error,
					      "'%s' is also the name of another endpoint of this listener, in other "
					      "letters: clients could not tell them apart", name);
	}
	adapter = gw_config_adapter(conf_module(endpoint));
	if (!conf_bool(listener, "tls") && !(adapter->caps & PROTO_CAP_PLAIN_HTTP))
		return conf_refuse_at(listener, "endpoints", i, error, "'%s' must not be served without TLS", name);
	if (!conf_bool(listener, "client-certificates") && adapter->needs_certificate &&
	    adapter->needs_certificate(endpoint))
		return conf_refuse_at(listener, "endpoints", i, error,
				      "clients of '%s' need a certificate, and this listener asks for none: "
				      "client-certificates: true", name);
	return 0;
}

static bool is_address(const char *text)
{
	unsigned char octets[16];

	return inet_pton(AF_INET, text, octets) == 1 || inet_pton(AF_INET6, text, octets) == 1;
}

static bool is_dns_name(const char *name)
{
	size_t n = strlen(name);

	return n > 0 && n <= 253 && *name != '.' && *name != '-' && name[n - 1] != '.' && !strstr(name, "..") &&
	       name[strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-.")] == 0;
}

static int check_base_url(const struct conf_section *listener, struct conf_error *error)
{
	const char *url = conf_str(listener, "base-url");
	const char *rest = NULL;

	if (!url)
		return 0;
	if (strncmp(url, "https://", 8) == 0)
		rest = url + 8;
	else if (strncmp(url, "http://", 7) == 0)
		rest = url + 7;
	if (!rest || !*rest || rest[strspn(rest, "abcdefghijklmnopqrstuvwxyz0123456789-.:[]")])
		return conf_refuse(listener, "base-url", error,
				   "a base URL is http(s)://host[:port], in lower case, without a path");
	return 0;
}

/* Clients sign the URLs we give them: they must not begin with whatever the wildcard address looks like. */
static int check_identity(const struct conf_section *listener, struct conf_error *error)
{
	bool has_identity = conf_count(listener, "names") > 0 || conf_str(listener, "base-url");

	if (has_identity || conf_count(listener, "endpoints") == 0)
		return 0;
	return conf_refuse(listener, NULL, error, "a listener with endpoints needs 'names' or a 'base-url'");
}

static int check_certificate(const struct conf_section *root, const struct conf_section *listener,
			     struct conf_error *error)
{
	bool has_certificate = conf_str(listener, "certificate"), has_key = conf_str(listener, "key");
	const char *ca = gw_config_listener_ca(root, listener);

	if (has_certificate != has_key)
		return conf_refuse(listener, has_key ? "key" : "certificate", error,
				   "'certificate' and 'key' need each other");
	if (!conf_bool(listener, "tls") && has_key)
		return conf_refuse(listener, "key", error, "a listener without TLS has no use for a key");
	if (!conf_bool(listener, "tls") || has_key)
		return 0;
	/* Only the gateway of its own daemon can have the core believe it which names are its own. */
	if (gw_config_has_other_core(root))
		return conf_refuse(listener, NULL, error, "with the core of another daemon a TLS listener needs "
							  "'certificate' and 'key'");
	if (conf_count(listener, "names") == 0)
		return conf_refuse(listener, NULL, error, "a TLS listener needs 'names' for its certificate");
	if (!ca || !is_ca(root, ca))
		return conf_refuse(listener, conf_str(listener, "ca") ? "ca" : NULL, error,
				   "there is no CA '%s' for the certificate of this listener", ca ? ca : "");
	return 0;
}

static bool is_ra(const struct conf_section *endpoint)
{
	const struct proto_adapter *adapter = gw_config_adapter(conf_module(endpoint));

	return adapter && adapter->caps & PROTO_CAP_RA;
}

bool gw_config_has_ra(const struct conf_section *root)
{
	for (size_t i = 0; i < conf_count(root, "endpoints"); i++)
		if (is_ra(conf_section_at(root, "endpoints", i)))
			return true;
	return false;
}

bool gw_config_sees_peers(const struct conf_section *root, const struct conf_section *listener)
{
	for (size_t i = 0; i < conf_count(listener, "endpoints"); i++) {
		const struct conf_section *e = gw_config_endpoint(root, conf_str_at(listener, "endpoints", i));

		if (gw_config_adapter(conf_module(e))->caps & PROTO_CAP_TLS_CLIENT_AUTH)
			return true;
	}
	return false;
}

bool gw_config_asks_certificate(const struct conf_section *root, const struct conf_section *listener)
{
	return conf_bool(listener, "tls") && conf_bool(listener, "client-certificates") &&
	       gw_config_sees_peers(root, listener);
}

size_t gw_config_line_max(const struct conf_section *root, const struct conf_section *listener)
{
	size_t longest = LINE_MAX_DEFAULT;

	if (conf_is_set(listener, "request-line-max"))
		return (size_t)conf_int(listener, "request-line-max");
	for (size_t i = 0; i < conf_count(listener, "endpoints"); i++) {
		const struct conf_section *e = gw_config_endpoint(root, conf_str_at(listener, "endpoints", i));
		size_t line_max = gw_config_adapter(conf_module(e))->line_max;

		longest = line_max > longest ? line_max : longest;
	}
	return longest;
}

bool gw_config_takes_http10(const struct conf_section *root, const struct conf_section *listener)
{
	bool has_old_clients = false;

	if (conf_is_set(listener, "http-1.0"))
		return conf_bool(listener, "http-1.0");
	for (size_t i = 0; i < conf_count(listener, "endpoints"); i++)
		has_old_clients |= has_cap(gw_config_endpoint(root, conf_str_at(listener, "endpoints", i)),
					   PROTO_CAP_OLD_HTTP);
	return has_old_clients;
}

static int check_default_endpoint(const struct conf_section *root, const struct conf_section *listener,
				  struct conf_error *error)
{
	const char *name = conf_str(listener, "default-endpoint");
	const struct conf_section *endpoint = name ? gw_config_endpoint(root, name) : NULL;
	bool is_served = false;

	if (!name)
		return 0;
	for (size_t i = 0; i < conf_count(listener, "endpoints"); i++)
		is_served |= strcmp(conf_str_at(listener, "endpoints", i), name) == 0;
	if (!is_served)
		return conf_refuse(listener, "default-endpoint", error, "'%s' is no endpoint of this listener", name);
	if (!gw_config_adapter(conf_module(endpoint))->places)
		return conf_refuse(listener, "default-endpoint", error,
				   "endpoints of protocol '%s' are at their paths only; leave it out",
				   conf_module(endpoint));
	return 0;
}

static int check_ca_names(const struct conf_section *root, const struct conf_section *listener,
			  struct conf_error *error)
{
	if (!conf_str(listener, "client-ca-names") || gw_config_asks_certificate(root, listener))
		return 0;
	return conf_refuse(listener, "client-ca-names", error, "no client of this listener is asked for a certificate");
}

static int check_listener(const struct conf_section *root, const struct conf_section *l, struct conf_error *error)
{
	size_t i;
	int r;

	if (!is_address(conf_str(l, "address")))
		return conf_refuse(l, "address", error, "'%s' is not an IPv4 or IPv6 address",
				   conf_str(l, "address"));
	if (strcmp(conf_str(l, "name"), GW_METRICS_LISTENER) == 0)
		return conf_refuse(l, "name", error, "'metrics' is the listener of the section of that name");
	for (i = 0; i < conf_count(l, "names"); i++)
		if (!is_address(conf_str_at(l, "names", i)) && !is_dns_name(conf_str_at(l, "names", i)))
			return conf_refuse_at(l, "names", i, error, "'%s' is not a DNS name or address",
					      conf_str_at(l, "names", i));
	for (i = 0; i < conf_count(l, "endpoints"); i++) {
		r = check_reference(root, l, i, error);
		if (r)
			return r;
	}
	r = check_base_url(l, error);
	if (!r)
		r = check_certificate(root, l, error);
	if (!r)
		r = check_ca_names(root, l, error);
	if (!r)
		r = check_default_endpoint(root, l, error);
	return r ? r : check_identity(l, error);
}

bool gw_config_is_served(const struct conf_section *root, const char *endpoint)
{
	for (size_t i = 0; i < conf_count(root, "listeners"); i++) {
		const struct conf_section *l = conf_section_at(root, "listeners", i);

		for (size_t k = 0; k < conf_count(l, "endpoints"); k++)
			if (strcmp(conf_str_at(l, "endpoints", k), endpoint) == 0)
				return true;
	}
	return false;
}

/* A certificate lives for years with the URL in it: somebody must answer there. A core alone is served by the gateway
 * of another daemon. */
static int check_public_url(const struct conf_section *root, const struct conf_section *ca, struct conf_error *error)
{
	const struct conf_section *status = conf_section(ca, "status");

	if (!conf_str(status, "public-url"))
		return 0;
	for (size_t i = 0; i < conf_count(root, "endpoints"); i++) {
		const struct conf_section *e = conf_section_at(root, "endpoints", i);

		if (is_status(e) && strcasecmp(conf_str(e, "ca"), conf_str(ca, "name")) == 0 &&
		    (conf_count(root, "listeners") == 0 || gw_config_is_served(root, conf_str(e, "name"))))
			return 0;
	}
	return conf_refuse(status, "public-url", error,
			   "nobody would answer there: no listener has an endpoint of protocol 'status' for this CA");
}

static bool is_same_socket(const struct conf_section *a, const struct conf_section *b)
{
	return conf_int(a, "port") == conf_int(b, "port") &&
	       strcmp(conf_str(a, "address"), conf_str(b, "address")) == 0;
}

static int check_ports(const struct conf_section *root, struct conf_error *error)
{
	const struct conf_section *metrics = conf_section(root, "metrics"), *l;
	size_t i, k, n = conf_count(root, "listeners");

	if (!is_address(conf_str(metrics, "address")))
		return conf_refuse(metrics, "address", error, "'%s' is not an address", conf_str(metrics, "address"));
	for (i = 0; i < n; i++) {
		l = conf_section_at(root, "listeners", i);
		for (k = 0; k < i; k++)
			if (is_same_socket(l, conf_section_at(root, "listeners", k)))
				return conf_refuse(l, "port", error, "another listener has this address and port");
		if (is_same_socket(l, metrics))
			return conf_refuse(metrics, "port", error, "a listener has this address and port");
	}
	return 0;
}

static int check_core(const struct conf_section *root, struct conf_error *error)
{
	const struct conf_section *conf = conf_section(root, "gateway"), *tls = conf_section(conf, "core-tls");
	const char *core = conf_str(conf, "core");
	uint8_t fingerprint[HEX_FINGERPRINT_SIZE];

	if (!core)
		return 0;
	if (strchr(core, '#') || (strncmp(core, UNIX_CORE "/", strlen(UNIX_CORE "/")) != 0 &&
				  (!gw_config_core_is_tls(root) || !strchr(core + strlen(TLS_CORE), ':'))))
		return conf_refuse(conf, "core", error, "a core is given as unix:/PATH or tls://HOST:PORT");
	if (!gw_config_core_is_tls(root))
		return 0;
	if (!conf_str(tls, "certificate") || !conf_str(tls, "key") || !conf_str(tls, "core-certificate"))
		return conf_refuse(conf, "core", error, "a core at tls:// needs 'certificate', 'key' and "
							"'core-certificate' under core-tls:");
	if (hex_parse_fingerprint(conf_str(tls, "core-certificate"), fingerprint))
		return conf_refuse(tls, "core-certificate", error,
				   "a SHA-256 fingerprint has 64 hex digits; openssl x509 -noout -fingerprint -sha256 "
				   "prints one");
	return 0;
}

/* Only the gateway of its own daemon can have the core believe it which names are its own, and it needs one. */
static int check_ra(const struct conf_section *root, struct conf_error *error)
{
	bool has_names = false;

	if (!gw_config_has_ra(root) || !conf_count(root, "listeners"))
		return 0;
	if (gw_config_has_other_core(root))
		return conf_refuse(root, "endpoints", error,
				   "an endpoint of protocol scep has a certificate of its own, which a gateway with "
				   "the core of another daemon cannot get: serve it there");
	for (size_t i = 0; i < conf_count(root, "listeners"); i++)
		has_names |= conf_count(conf_section_at(root, "listeners", i), "names") > 0;
	return has_names ? 0 : conf_refuse(root, "listeners", error,
					   "an endpoint of protocol scep needs a listener with 'names', which its "
					   "certificate gets");
}

/* Targets, and endpoints that name one. */
static int check_targets(const struct conf_section *root, struct conf_error *error)
{
	const struct conf_section *validator = conf_section(root, "validator");
	int r = validator_check_targets(validator, error);

	for (size_t i = 0; !r && i < conf_count(validator, "targets"); i++) {
		const struct conf_section *target = conf_section_at(validator, "targets", i);

		if (!conf_count(target, "names"))
			return conf_refuse(target, "names", error,
					   "without names it allows nothing: write patterns, or any");
		r = ca_core_check_scope(target, "names", error);
	}
	for (size_t i = 0; !r && i < conf_count(root, "endpoints"); i++) {
		const struct conf_section *endpoint = conf_section_at(root, "endpoints", i);
		const char *name = conf_str(endpoint, TARGET_ROW);

		if (name && !find(validator, "targets", name))
			return conf_refuse(endpoint, TARGET_ROW, error,
					   "there is no target '%s' in validator: targets:", name);
	}
	return r;
}

/* Challenges are made by the CA that will take them. */
static int check_delegation(const struct conf_section *root, const struct conf_section *endpoint,
			    struct conf_error *error)
{
	const struct conf_section *served;

	if (!(gw_config_adapter(conf_module(endpoint))->caps & PROTO_CAP_DELEGATES))
		return 0;
	served = gw_config_endpoint(root, conf_str(endpoint, FOR_ROW));
	if (!served || strcmp(conf_module(served), "scep") != 0)
		return conf_refuse(endpoint, FOR_ROW, error, "there is no endpoint '%s' of protocol scep",
				   conf_str(endpoint, FOR_ROW));
	if (strcasecmp(conf_str(served, "ca"), conf_str(endpoint, "ca")) != 0)
		return conf_refuse(endpoint, "ca", error, "the endpoint '%s' has another CA, '%s'",
				   conf_str(endpoint, FOR_ROW), conf_str(served, "ca"));
	if (conf_str(served, TARGET_ROW))
		return conf_refuse(endpoint, FOR_ROW, error,
				   "the endpoint '%s' leaves challenges to a target and takes none that are made here",
				   conf_str(endpoint, FOR_ROW));
	return 0;
}

int gw_config_check(const struct conf_section *root, struct conf_error *error)
{
	size_t i;
	int r = check_names(root, "endpoints", error);

	if (!r)
		r = check_names(root, "listeners", error);
	for (i = 0; !r && i < conf_count(root, "endpoints"); i++)
		r = check_endpoint(root, conf_section_at(root, "endpoints", i), error);
	for (i = 0; !r && i < conf_count(root, "endpoints"); i++)
		r = check_delegation(root, conf_section_at(root, "endpoints", i), error);
	for (i = 0; !r && i < conf_count(root, "listeners"); i++)
		r = check_listener(root, conf_section_at(root, "listeners", i), error);
	for (i = 0; !r && i < conf_count(root, "cas"); i++)
		r = check_public_url(root, conf_section_at(root, "cas", i), error);
	if (!r)
		r = check_ports(root, error);
	if (!r)
		r = check_ra(root, error);
	if (!r)
		r = check_targets(root, error);
	return r ? r : check_core(root, error);
}
