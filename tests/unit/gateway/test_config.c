/* What the configuration refuses, and where it says the mistake is.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tests/test.h"

#include <errno.h>

#include "core/base/own.h"
#include "core/exit.h"
#include "core/policy.h"
#include "gateway/config.h"

/* ---- what the build would have made ---- */

static const struct conf_option safe_rows[] = {
	{ .name = "color", .type = CONF_STRING, .fallback = "red", .summary = "A color." },
	{ 0 },
};

static int check_color(const struct conf_section *conf, char *why, size_t why_size)
{
	snprintf(why, why_size, "%s does not suit it", conf_str(conf, "color"));
	return strcmp(conf_str(conf, "color"), "mauve") == 0 ? -EINVAL : 0;
}

static const struct proto_adapter safe = { .abi = PROTO_ABI, .name = "safe", .caps = PROTO_CAP_PLAIN_HTTP,
					   .options = safe_rows, .check = check_color };
static const struct proto_adapter shy = { .abi = PROTO_ABI, .name = "shy" };
static const struct proto_adapter status = { .abi = PROTO_ABI, .name = "status",
					     .caps = PROTO_CAP_PLAIN_HTTP | PROTO_CAP_STATUS };
static int handle(void *state, const struct http_request *q, struct http_reply *r)
{
	return 0;
}

static const struct proto_route mutual_routes[] = {
	{ "GET", "/certs", handle },
	{ "POST", "/enroll/{id}", handle },
	{ 0 },
};
static const struct proto_adapter mutual = { .abi = PROTO_ABI, .name = "mutual", .routes = mutual_routes,
					     .caps = PROTO_CAP_TLS_CLIENT_AUTH | PROTO_CAP_LABELS };
static bool needs_certificate(const struct conf_section *conf)
{
	return strcmp(conf_str(conf, "name"), "strict") == 0;
}

static const struct proto_adapter known = { .abi = PROTO_ABI, .name = "known", .caps = PROTO_CAP_TLS_CLIENT_AUTH,
					    .needs_certificate = needs_certificate };
static const struct proto_places places = { .named = "/any" };
static const struct proto_adapter sought = { .abi = PROTO_ABI, .name = "sought", .places = &places, .line_max = 32768,
					     .caps = PROTO_CAP_PLAIN_HTTP | PROTO_CAP_ANY_CASE | PROTO_CAP_OLD_HTTP };
static const struct proto_adapter asks = { .abi = PROTO_ABI, .name = "asks",
					   .caps = PROTO_CAP_PLAIN_HTTP | PROTO_CAP_CHALLENGE };
const struct proto_adapter *const proto_adapters[] = { &safe, &shy, &status, &mutual, &known, &sought, &asks, NULL };

static const struct conf_option no_rows[] = { { 0 } };
static const struct ca_policy_module policy = { .abi = CA_POLICY_ABI, .name = "any", .options = no_rows };
const struct ca_policy_module *const policy_modules[] = { &policy, NULL };
const struct ca_exit_module *const exit_modules[] = { NULL };

/* ---- tests ---- */

#define CAS "cas: [{name: CA, policy: {module: any}}]\n"
#define PUBLIC "cas: [{name: CA, policy: {module: any}, status: {public-url: 'http://pki.example/x'}}]\n"
#define NOBODY "g.yaml:1:62: nobody would answer there: no listener has an endpoint of protocol 'status' for this CA"
#define STATUS "endpoints:\n  - {protocol: status, name: st, ca: ca, path: /x}\n"
#define SAFE "  - {protocol: safe, name: s, ca: ca, profile: p, path: /s}\n"
#define SHY "  - {protocol: shy, name: h, ca: CA, profile: p, path: /h}\n"
#define ENDPOINTS CAS "endpoints:\n" SAFE SHY
#define TARGET(name, more) CAS "validator:\n  targets:\n    - {name: " name ", " more "}\n"
#define LISTENERS ENDPOINTS "listeners:\n"
#define WEB "  - {name: web, port: 443, names: [a.example], endpoints: [s, h]}\n"

static int load(const char *text, struct conf **conf, struct conf_error *error)
{
	int r = conf_parse(conf, bytes_of_str(text), "g.yaml", gw_config_rows(), error);

	return r ? r : gw_config_check(conf_root(*conf), error);
}

static void reads_a_file_with_everything(void **state)
{
	OWNED(conf) conf = NULL;
	struct conf_error error;
	const struct conf_section *root, *endpoint, *listener;

	if (load(LISTENERS WEB "metrics: {port: 9090}\nvalidator: {hosts: {'*.test': 127.0.0.1}}\n", &conf, &error))
		fail_msg("%s", error.text);
	root = conf_root(conf);
	endpoint = gw_config_endpoint(root, "s");
	assert_string_equal(conf_module(endpoint), "safe");
	assert_string_equal(conf_str(endpoint, "path"), "/s");
	assert_string_equal(conf_str(endpoint, "color"), "red");
	listener = conf_section_at(root, "listeners", 0);
	assert_true(conf_bool(listener, "tls"));
	assert_int_equal(gw_config_line_max(root, listener), 8192);
	assert_false(gw_config_takes_http10(root, listener));
	assert_int_equal(conf_int(listener, "header-max"), 16384);
	assert_int_equal(conf_duration_ms(listener, "timeout"), 10000);
	assert_string_equal(gw_config_listener_ca(root, listener), "ca");
	assert_int_equal(conf_int(conf_section(root, "gateway"), "workers"), 128);
	assert_string_equal(conf_map_name(conf_section(root, "validator"), "hosts", 0), "*.test");
}

static void needs_one_way_to_know_what_its_urls_begin_with(void **state)
{
	static const char *const texts[] = {
		LISTENERS "  - {name: web, port: 80, tls: false, names: [a], endpoints: [s]}\n",
		LISTENERS "  - {name: web, port: 80, tls: false, base-url: 'http://a', endpoints: [s]}\n",
		LISTENERS "  - {name: web, port: 80, tls: false}\n",
		PUBLIC STATUS "listeners:\n  - {name: web, port: 80, tls: false, names: [a], endpoints: [st]}\n",
		PUBLIC STATUS,
	};
	struct conf_error error;

	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
		OWNED(conf) conf = NULL;

		if (load(texts[i], &conf, &error))
			fail_msg("%s", error.text);
	}
}

#define MUTUAL "  - {protocol: mutual, name: m, ca: CA, profile: p, path: /m}\n" \
	       "  - {protocol: mutual, name: l, ca: CA, profile: p, path: '/m/ca:1'}\n"

static void asks_for_certificates_where_an_endpoint_can_use_them(void **state)
{
	static const struct {
		const char *listener;
		bool sees_peers, asks;
	} cases[] = {
		{ "endpoints: [h]", false, false },
		{ "endpoints: [h, m]", true, true },
		{ "endpoints: [m], client-certificates: true, client-ca-names: x.pem", true, true },
		{ "endpoints: [m], client-certificates: false", true, false },
		{ "endpoints: [m, l]", true, true },
		{ "endpoints: [h], client-certificates: true", false, false },
	};
	struct conf_error error;
	char text[1024];

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		OWNED(conf) conf = NULL;
		const struct conf_section *root;

		snprintf(text, sizeof(text), "%s%slisteners: [{name: web, port: 443, names: [a], %s}]\n", ENDPOINTS,
			 MUTUAL, cases[i].listener);
		if (load(text, &conf, &error))
			fail_msg("%s", error.text);
		root = conf_root(conf);
		assert_int_equal(gw_config_sees_peers(root, conf_section_at(root, "listeners", 0)),
				 cases[i].sees_peers);
		assert_int_equal(gw_config_asks_certificate(root, conf_section_at(root, "listeners", 0)),
				 cases[i].asks);
	}
}

#define SOUGHT "  - {protocol: sought, name: n, ca: CA, profile: p, path: /n}\n"

static void serves_old_clients_where_an_endpoint_has_some(void **state)
{
	static const struct {
		const char *listener;
		size_t line_max;
		bool takes_http10;
	} cases[] = {
		{ "endpoints: [s]", 8192, false },
		{ "endpoints: [s, n]", 32768, true },
		{ "endpoints: [n], default-endpoint: n", 32768, true },
		{ "endpoints: [n], request-line-max: 4096, http-1.0: false", 4096, false },
		{ "endpoints: [s], request-line-max: 64KiB, http-1.0: true", 65536, true },
	};
	struct conf_error error;
	char text[1024];

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		OWNED(conf) conf = NULL;
		const struct conf_section *root, *listener;

		snprintf(text, sizeof(text), "%s%slisteners: [{name: web, port: 443, names: [a], %s}]\n", ENDPOINTS,
			 SOUGHT, cases[i].listener);
		if (load(text, &conf, &error))
			fail_msg("%s", error.text);
		root = conf_root(conf);
		listener = conf_section_at(root, "listeners", 0);
		assert_int_equal(gw_config_line_max(root, listener), cases[i].line_max);
		assert_int_equal(gw_config_takes_http10(root, listener), cases[i].takes_http10);
	}
}

static void refuses_mistakes_with_their_place(void **state)
{
	static const struct {
		const char *text, *error;
	} cases[] = {
		{ CAS "endpoints:\n  - {protocol: none, name: s, ca: CA, profile: p, path: /s}\n",
		  "g.yaml:3:16: unknown protocol 'none'" },
		{ CAS "endpoints:\n  - {name: s, ca: CA, profile: p, path: /s}\n",
		  "g.yaml:3:5: option 'protocol' is missing" },
		{ CAS "endpoints:\n  - {protocol: shy, name: s, ca: CA, profile: p, path: /s, color: red}\n",
		  "g.yaml:3:60: unknown option 'color'" },
		{ CAS "endpoints:\n  - {protocol: safe, name: s, ca: XX, profile: p, path: /s}\n",
		  "g.yaml:3:35: there is no CA 'XX' in 'cas'" },
		{ CAS "endpoints:\n  - {protocol: safe, name: internal, ca: CA, profile: p, path: /s}\n",
		  "g.yaml:3:28: 'internal' is the gateway's own endpoint" },
		{ CAS "endpoints:\n" SAFE SAFE, "g.yaml:4:28: the name 's' is taken" },
		{ CAS "endpoints:\n  - {protocol: safe, name: s/t, ca: CA, profile: p, path: /s}\n",
		  "g.yaml:3:28: a name consists of letters, digits, '-', '_' and '.'" },
		{ CAS "endpoints:\n  - {protocol: safe, name: s, ca: CA, profile: p, path: /s/}\n",
		  "g.yaml:3:57: a path begins with '/', does not end with it, and is not empty" },
		{ CAS "endpoints:\n  - {protocol: safe, name: s, ca: CA, profile: p, path: /healthz}\n",
		  "g.yaml:3:57: /healthz is the gateway's own" },
		{ CAS "endpoints:\n  - {protocol: status, name: s, ca: CA, path: /s, profile: p}\n",
		  "g.yaml:3:60: an endpoint of protocol 'status' submits nothing; leave the profile out" },
		{ CAS "endpoints:\n  - {protocol: mutual, name: m, ca: CA, profile: p, path: /m/a%3Ab}\n",
		  "g.yaml:3:59: write the label as it is: clients may send '%3A' for ':', and '%' itself cannot stand "
		  "in it" },
		{ CAS "endpoints:\n  - {protocol: mutual, name: m, ca: CA, profile: p, path: /m/certs}\n",
		  "g.yaml:3:59: 'certs' is the name of an operation, and cannot be a label" },
		{ CAS "endpoints:\n  - {protocol: mutual, name: m, ca: CA, profile: p, path: /m/enroll}\n",
		  "g.yaml:3:59: 'enroll' is the name of an operation, and cannot be a label" },
		{ CAS "endpoints:\n  - {protocol: safe, name: s, ca: CA, profile: p, path: /s, renewal-grace: 7d}\n",
		  "g.yaml:3:76: nobody renews by certificate over protocol 'safe'; leave it out" },
		{ CAS "endpoints:\n  - {protocol: safe, name: s, ca: CA, profile: p, path: /s, renewal-window: 7d}\n",
		  "g.yaml:3:77: nobody renews by certificate over protocol 'safe'; leave it out" },
		{ CAS "endpoints:\n  - {protocol: safe, name: s, ca: CA, profile: p, path: /s, older-cas: [CA]}\n",
		  "g.yaml:3:72: nobody renews by certificate over protocol 'safe'; leave it out" },
		{ CAS "endpoints:\n  - {protocol: safe, name: s, ca: CA, profile: p, path: /s, challenge-target: t}\n",
		  "g.yaml:3:79: clients of this protocol show no challenges" },
		{ CAS "endpoints:\n  - {protocol: asks, name: a, ca: CA, profile: p, path: /a, challenge-target: t}\n",
		  "g.yaml:3:79: there is no target 't' in validator: targets:" },
		{ TARGET("hook", "kind: hook, url: 'https://a/'"), "g.yaml:4:26: unknown kind 'hook'" },
		{ TARGET("hook", "kind: webhook"), "g.yaml:4:7: option 'url' is missing" },
		{ TARGET("hook", "kind: webhook, url: 'http://a.example/'"),
		  "g.yaml:4:40: 'http://a.example/' is no https URL (or http to an address of this machine itself) "
		  "without user" },
		{ TARGET("hook", "kind: webhook, url: 'https://u:p@a.example/'"),
		  "g.yaml:4:40: 'https://u:p@a.example/' is no https URL (or http to an address of this machine "
		  "itself) without user" },
		{ TARGET("hook", "kind: webhook, url: 'https://a/', names: [a.example, '=b']"),
		  "g.yaml:4:73: '=b' begins with no component of a subject; there are CN, O, OU, C, ST, L, "
		  "serialNumber, emailAddress, DC, UID, unstructuredName and unstructuredAddress" },
		{ TARGET("hook", "kind: webhook, url: 'https://a/'"),
		  "g.yaml:4:7: without names it allows nothing: write patterns, or any" },
		{ TARGET("a", "kind: webhook, url: 'http://127.0.0.1:8080/'")
		  "    - {name: a, kind: webhook, url: 'https://b'}\n",
		  "g.yaml:5:14: the name 'a' is taken" },
		{ CAS "endpoints:\n  - {protocol: safe, name: s, ca: CA, profile: p, path: /s, color: mauve}\n",
		  "g.yaml:3:5: endpoint 's': mauve does not suit it" },
		{ PUBLIC, NOBODY },
		{ PUBLIC STATUS "listeners: [{name: web, port: 80, tls: false}]\n",
		  NOBODY },
		{ PUBLIC "endpoints:\n" SAFE
			 "listeners: [{name: web, port: 80, tls: false, names: [a], endpoints: [s]}]\n",
		  NOBODY },
		{ LISTENERS "  - {name: web, port: 443, names: [a], endpoints: [s, x]}\n",
		  "g.yaml:6:55: there is no endpoint 'x'" },
		{ LISTENERS "  - {name: web, port: 443, names: [a], endpoints: [s, s]}\n",
		  "g.yaml:6:55: the path /s of 's' is taken on this listener" },
		{ LISTENERS "  - {name: web, port: 80, tls: false, endpoints: [s, h]}\n",
		  "g.yaml:6:54: 'h' must not be served without TLS" },
		{ LISTENERS "  - {name: web, port: 443}\n",
		  "g.yaml:6:5: a TLS listener needs 'names' for its certificate" },
		{ LISTENERS "  - {name: web, port: 80, tls: false, endpoints: [s]}\n",
		  "g.yaml:6:5: a listener with endpoints needs 'names' or a 'base-url'" },
		{ LISTENERS "  - {name: web, port: 443, certificate: c, key: k, endpoints: [s]}\n",
		  "g.yaml:6:5: a listener with endpoints needs 'names' or a 'base-url'" },
		{ LISTENERS "  - {name: web, port: 443, names: [a b]}\n",
		  "g.yaml:6:36: 'a b' is not a DNS name or address" },
		{ LISTENERS "  - {name: web, port: 443, names: [a], ca: XX}\n",
		  "g.yaml:6:44: there is no CA 'XX' for the certificate of this listener" },
		{ LISTENERS "  - {name: web, port: 443, names: [a], key: k}\n",
		  "g.yaml:6:45: 'certificate' and 'key' need each other" },
		{ LISTENERS "  - {name: web, port: 80, tls: false, key: k, certificate: c}\n",
		  "g.yaml:6:44: a listener without TLS has no use for a key" },
		{ LISTENERS "  - {name: web, port: 443, names: [a], address: host}\n",
		  "g.yaml:6:49: 'host' is not an IPv4 or IPv6 address" },
		{ LISTENERS "  - {name: web, port: 443, names: [a], base-url: 'https://a/x'}\n",
		  "g.yaml:6:50: a base URL is http(s)://host[:port], in lower case, without a path" },
		{ LISTENERS "  - {name: web, port: 443, names: [a], endpoints: [h], client-ca-names: f}\n",
		  "g.yaml:6:73: no client of this listener is asked for a certificate" },
		{ CAS "endpoints:\n  - {protocol: known, name: strict, ca: CA, profile: p, path: /s}\n"
		  "listeners: [{name: web, port: 9, names: [a], client-certificates: false, endpoints: [strict]}]\n",
		  "g.yaml:4:86: clients of 'strict' need a certificate, and this listener asks for none: "
		  "client-certificates: true" },
		{ CAS "endpoints:\n  - {protocol: safe, name: s, ca: CA, profile: p, path: /s, body-max: 2MiB}\n",
		  "g.yaml:3:71: option 'body-max': '2MiB' is outside 1KiB..64KiB" },
		{ LISTENERS "  - {name: web, port: 443, names: [a], endpoints: [s], default-endpoint: h}\n",
		  "g.yaml:6:74: 'h' is no endpoint of this listener" },
		{ LISTENERS "  - {name: web, port: 443, names: [a], endpoints: [s], default-endpoint: s}\n",
		  "g.yaml:6:74: endpoints of protocol 'safe' are at their paths only; leave it out" },
		{ CAS "endpoints:\n" SOUGHT "  - {protocol: sought, name: x, ca: CA, profile: p, path: /N}\n"
		  "listeners:\n  - {name: web, port: 443, names: [a], endpoints: [n, x]}\n",
		  "g.yaml:6:55: the path /N of 'x' is taken on this listener" },
		{ CAS "endpoints:\n" SOUGHT "  - {protocol: sought, name: N, ca: CA, profile: p, path: /x}\n"
		  "listeners:\n  - {name: web, port: 443, names: [a], endpoints: [n, N]}\n",
		  "g.yaml:6:55: 'N' is also the name of another endpoint of this listener, in other letters: clients "
		  "could not tell them apart" },
		{ LISTENERS WEB "  - {name: w2, port: 443, names: [a.example]}\n",
		  "g.yaml:7:22: another listener has this address and port" },
		{ LISTENERS WEB WEB, "g.yaml:7:12: the name 'web' is taken" },
		{ LISTENERS "  - {name: web, port: 70000, names: [a]}\n",
		  "g.yaml:6:23: option 'port': '70000' is outside 1..65535" },
		{ LISTENERS "  - {name: web, address: 127.0.0.1, port: 9, names: [a]}\nmetrics: {port: 9}\n",
		  "g.yaml:7:17: a listener has this address and port" },
		{ "metrics: {address: x}\n",
		  "g.yaml:1:20: 'x' is not an address" },
	};
	struct conf_error error;
	size_t i;

	for (i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		OWNED(conf) conf = NULL;

		assert_true(load(cases[i].text, &conf, &error) < 0);
		if (strcmp(error.text, cases[i].error) != 0)
			fail_msg("'%s' instead of '%s'", error.text, cases[i].error);
	}
}

#define PINNED "certificate: c, key: k, core-certificate: '" \
	       "00112233445566778899AABBCCDDEEFF00112233445566778899AABBCCDDEEFF'"

static void a_gateway_may_have_the_core_of_another_daemon(void **state)
{
	static const char *const taken[] = {
		"gateway: {core: 'unix:/run/core.sock'}\n",
		"gateway: {core: 'tls://ca.example:7443', core-tls: {" PINNED "}}\n",
	};
	static const struct {
		const char *text, *error;
	} refused[] = {
		{ "gateway: {core: '/run/core.sock'}\n", "a core is given as unix:/PATH or tls://HOST:PORT" },
		{ "gateway: {core: 'unix:core.sock'}\n", "a core is given as" },
		{ "gateway: {core: 'unix:/run/core.sock#CA'}\n", "a core is given as" },
		{ "gateway: {core: 'tls://ca.example'}\n", "a core is given as" },
		{ "gateway: {core: 'tls://ca.example:1'}\n", "needs 'certificate', 'key' and 'core-certificate'" },
		{ "gateway: {core: 'tls://h:1', core-tls: {certificate: c, key: k, core-certificate: ab}}\n",
		  "64 hex digits" },
		{ "gateway: {core: 'unix:/s'}\nlisteners: [{name: web, port: 443, names: [a], endpoints: [s]}]\n",
		  "a TLS listener needs 'certificate' and 'key'" },
	};
	const char *endpoint = "endpoints: [{protocol: safe, name: s, ca: Elsewhere, profile: p, path: /s}]\n";
	struct conf_error error;
	char text[1024];

	for (size_t i = 0; i < sizeof(taken) / sizeof(*taken); i++) {
		OWNED(conf) conf = NULL;

		snprintf(text, sizeof(text), "%s%s", endpoint, taken[i]);
		error = (struct conf_error){ 0 };
		if (load(text, &conf, &error))
			fail_msg("%s", error.text);
		assert_int_equal(gw_config_core_is_tls(conf_root(conf)), i == 1);
	}
	for (size_t i = 0; i < sizeof(refused) / sizeof(*refused); i++) {
		OWNED(conf) conf = NULL;

		snprintf(text, sizeof(text), "%s%s", endpoint, refused[i].text);
		error = (struct conf_error){ 0 };
		assert_int_equal(load(text, &conf, &error), -EINVAL);
		if (!strstr(error.text, refused[i].error))
			fail_msg("'%s' does not say '%s'", error.text, refused[i].error);
	}
}

static void lists_the_options_of_every_protocol(void **state)
{
	char *text = NULL;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	assert_non_null(f);
	gw_config_print_options(f);
	fclose(f);
	assert_non_null(strstr(text, "listeners[].request-line-max: size 1KiB..64KiB\n"));
	assert_non_null(strstr(text, "endpoints[protocol=safe].color: "));
	assert_non_null(strstr(text, "endpoints[protocol=shy].path: "));
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_a_file_with_everything),
		cmocka_unit_test(refuses_mistakes_with_their_place),
		cmocka_unit_test(serves_old_clients_where_an_endpoint_has_some),
		cmocka_unit_test(asks_for_certificates_where_an_endpoint_can_use_them),
		cmocka_unit_test(a_gateway_may_have_the_core_of_another_daemon),
		cmocka_unit_test(needs_one_way_to_know_what_its_urls_begin_with),
		cmocka_unit_test(lists_the_options_of_every_protocol),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
