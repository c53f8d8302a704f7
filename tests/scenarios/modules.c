/* Scripted modules for tests.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tests/scenarios/modules.h"

#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <openssl/x509.h>

#include "core/base/base64.h"
#include "core/base/clock.h"
#include "tests/scenarios/duration.h"

#define SAYS_MAX 64
#define DOES_MAX 32
#define WORDS_MAX 8

struct say {
	char verdict[16], rule[CA_RULE_SIZE], reason[CA_REASON_SIZE];
	unsigned n;
};

struct operation {
	char words[WORDS_MAX][256];
	size_t n_words;
	char expected[256];
};

/* One script for the process: modules are told nothing but their options. */
static struct {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	struct say says[SAYS_MAX], always;
	size_t n_says;
	struct operation does[DOES_MAX];
	size_t n_does;
	bool is_holding;
	unsigned waiting, running, most, slow_ms;
	struct ca_policy_view *kept;
	char complaints[4096], told[4096];
} script = { .lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER };

static void complain(const char *format, ...) __attribute__((format(printf, 1, 2)));

static void complain(const char *format, ...)
{
	char line[512];
	va_list args;
	size_t used;

	va_start(args, format);
	vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	pthread_mutex_lock(&script.lock);
	used = strlen(script.complaints);
	snprintf(script.complaints + used, sizeof(script.complaints) - used, "%s\n", line);
	pthread_mutex_unlock(&script.lock);
}

const char *script_complaint(void)
{
	pthread_mutex_lock(&script.lock);
	memcpy(script.told, script.complaints, sizeof(script.told));
	script.complaints[0] = '\0';
	pthread_mutex_unlock(&script.lock);
	return script.told;
}

void script_reset(void)
{
	pthread_mutex_lock(&script.lock);
	script.n_says = script.n_does = 0;
	script.always = (struct say){ .verdict = "issue" };
	script.is_holding = false;
	script.running = script.most = script.slow_ms = 0;
	script.kept = NULL;
	script.complaints[0] = '\0';
	pthread_cond_broadcast(&script.changed);
	pthread_mutex_unlock(&script.lock);
}

/* ---- verdicts ---- */

static const struct {
	const char *word;
	int result; /* what verify returns */
	int kind;   /* what it leaves in the verdict, unless it leaves nothing */
	bool leaves_nothing;
} verdict_words[] = {
	{ "issue", 0, CA_VERDICT_ISSUE, false }, { "pend", 0, CA_VERDICT_PEND, false },
	{ "deny", 0, CA_VERDICT_DENY, false },   { "fail", -EIO, CA_VERDICT_ISSUE, false },
	{ "nothing", 0, 0, true },               { "unknown", 0, 99, false },
	{ "zero", 0, 0, false },                 { "approved", 0, CA_VERDICT_PEND, false },
	{ "kept", 0, CA_VERDICT_PEND, false },
};

static bool fill_say(struct say *s, const char *verdict, const char *rule, const char *reason, unsigned n)
{
	*s = (struct say){ .n = n };
	snprintf(s->verdict, sizeof(s->verdict), "%s", verdict);
	snprintf(s->rule, sizeof(s->rule), "%s", rule ? rule : "");
	snprintf(s->reason, sizeof(s->reason), "%s", reason ? reason : "");
	for (size_t i = 0; i < sizeof(verdict_words) / sizeof(*verdict_words); i++)
		if (strcmp(verdict_words[i].word, verdict) == 0)
			return true;
	return false;
}

bool script_say(const char *verdict, const char *rule, const char *reason, unsigned n)
{
	struct say s;
	bool ok = fill_say(&s, verdict, rule, reason, n);

	pthread_mutex_lock(&script.lock);
	ok = ok && script.n_says < SAYS_MAX;
	if (ok)
		script.says[script.n_says++] = s;
	pthread_mutex_unlock(&script.lock);
	return ok;
}

bool script_always(const char *verdict, const char *rule, const char *reason, unsigned n)
{
	struct say s;
	bool ok = fill_say(&s, verdict, rule, reason, n);

	pthread_mutex_lock(&script.lock);
	if (ok)
		script.always = s;
	pthread_mutex_unlock(&script.lock);
	return ok;
}

static struct say next_say(void)
{
	struct say s;

	pthread_mutex_lock(&script.lock);
	s = script.always;
	if (script.n_says) {
		s = script.says[0];
		memmove(&script.says[0], &script.says[1], --script.n_says * sizeof(s));
	}
	pthread_mutex_unlock(&script.lock);
	return s;
}

static int answer(const struct ca_policy_view *v, const struct say *s, struct ca_verdict *out)
{
	for (size_t i = 0; i < sizeof(verdict_words) / sizeof(*verdict_words); i++) {
		if (strcmp(verdict_words[i].word, s->verdict) != 0)
			continue;
		if (verdict_words[i].leaves_nothing)
			return 0;
		*out = (struct ca_verdict){ .kind = verdict_words[i].kind };
		if (strcmp(s->verdict, "zero") == 0)
			return 0;
		out->keeps_approvals = strcmp(s->verdict, "kept") == 0;
		if ((out->keeps_approvals || strcmp(s->verdict, "approved") == 0) &&
		    ca_policy_count_approvals(v, s->rule) >= s->n)
			out->kind = CA_VERDICT_ISSUE;
		snprintf(out->rule, sizeof(out->rule), "%s", s->rule);
		snprintf(out->reason, sizeof(out->reason), "%s", s->reason);
		snprintf(out->trace, sizeof(out->trace), "said %s", s->verdict);
		return verdict_words[i].result;
	}
	return -EINVAL;
}

/* ---- operations ---- */

static const struct {
	const char *word;
	enum ca_property p;
	char type;
} properties[] = {
	{ "request-id", CA_PROP_REQUEST_ID, 'n' },   { "protocol", CA_PROP_PROTOCOL, 't' },
	{ "endpoint", CA_PROP_ENDPOINT, 't' },       { "profile", CA_PROP_PROFILE, 't' },
	{ "requester", CA_PROP_REQUESTER, 't' },     { "intermediary", CA_PROP_INTERMEDIARY, 't' },
	{ "source", CA_PROP_SOURCE_ADDRESS, 't' },   { "csr", CA_PROP_CSR, 'o' },
	{ "csr-subject", CA_PROP_CSR_SUBJECT, 't' }, { "raw-attributes", CA_PROP_RAW_ATTRIBUTES, 't' },
	{ "public-key", CA_PROP_PUBLIC_KEY, 'o' },   { "key-type", CA_PROP_KEY_TYPE, 't' },
	{ "key-bits", CA_PROP_KEY_BITS, 'n' },       { "not-before", CA_PROP_NOT_BEFORE, 'n' },
	{ "not-after", CA_PROP_NOT_AFTER, 'n' },     { "disposition", CA_PROP_DISPOSITION, 'n' },
	{ "status", CA_PROP_STATUS, 't' },           { "reason", CA_PROP_REASON, 't' },
	{ "resolved", CA_PROP_RESOLVED_MS, 'n' },    { "serial", CA_PROP_SERIAL, 't' },
	{ "certificate", CA_PROP_CERTIFICATE, 'o' }, { "subject", CA_PROP_SUBJECT, 't' },
};

static void read_property(struct ca_policy_view *v, const char *word, char *out, size_t size)
{
	snprintf(out, size, "no such property");
	for (size_t i = 0; i < sizeof(properties) / sizeof(*properties); i++) {
		const char *text;

		if (strcmp(properties[i].word, word) != 0)
			continue;
		if (properties[i].type == 't') {
			text = ca_policy_get_text(v, properties[i].p);
			snprintf(out, size, "%s", text ? text : "empty");
		} else if (properties[i].type == 'n') {
			int64_t n = ca_policy_get_number(v, properties[i].p);

			if (n)
				snprintf(out, size, "%lld", (long long)n);
			else
				snprintf(out, size, "empty");
		} else {
			snprintf(out, size, "%s", ca_policy_get_octets(v, properties[i].p).len ? "present" : "empty");
		}
	}
}

static void print_code(int e, char *out, size_t size)
{
	const char *name = e ? strerrorname_np(-e) : "0";

	snprintf(out, size, "%s", name ? name : "?");
}

/* "+1h": from now; "max-1h", "max", "max+1s": from what stands there. */
static int64_t moment(const struct ca_policy_view *v, const char *text, enum ca_property p)
{
	int64_t from = clock_wall_s();

	if (strncmp(text, "max", 3) == 0) {
		from = ca_policy_get_number(v, p);
		text += 3;
	}
	return from + duration_ms(text) / 1000;
}

static void describe_extension(struct ca_policy_view *v, const char *oid, char *out, size_t size)
{
	static const char *const origins[16] = { "none", "request", "policy", "admin", "server" };
	struct ca_extension x;

	if (!ca_policy_get_extension(v, oid, &x)) {
		snprintf(out, size, "absent");
		return;
	}
	snprintf(out, size, "%s%s,%s", x.flags & CA_EXT_DISABLED ? "disabled" : "enabled",
		 x.flags & CA_EXT_CRITICAL ? ",critical" : "", origins[(x.flags & CA_EXT_ORIGIN_MASK) >> 16]);
}

static int set_extension(struct ca_policy_view *v, const struct operation *o)
{
	uint8_t der[128];
	size_t n = strlen(o->words[2]) / 2;
	unsigned flags = 0;

	if (n > sizeof(der) || hex_parse(o->words[2], der, n))
		return -EBADMSG;
	for (size_t i = 3; i < o->n_words; i++) {
		if (strcmp(o->words[i], "critical") == 0)
			flags |= CA_EXT_CRITICAL;
		if (strncmp(o->words[i], "flags=", 6) == 0)
			flags |= (unsigned)strtoul(o->words[i] + 6, NULL, 16);
	}
	return ca_policy_set_extension(v, o->words[1], bytes_of(der, n), flags);
}

static int set_subject(struct ca_policy_view *v, const char *pair)
{
	char component[64];
	const char *equal = strchr(pair, '=');

	snprintf(component, sizeof(component), "%.*s", equal ? (int)(equal - pair) : 0, pair);
	return ca_policy_set_subject(v, component, equal ? equal + 1 : "");
}

/* ---- operations by their word ---- */

typedef void act_fn(struct ca_policy_view *v, const struct operation *o, char *out, size_t size);

static void act_set_subject(struct ca_policy_view *v, const struct operation *o, char *out, size_t size)
{
	print_code(set_subject(v, o->words[1]), out, size);
}

static void act_set_not_after(struct ca_policy_view *v, const struct operation *o, char *out, size_t size)
{
	print_code(ca_policy_set_not_after(v, moment(v, o->words[1], CA_PROP_NOT_AFTER)), out, size);
}

static void act_set_not_before(struct ca_policy_view *v, const struct operation *o, char *out, size_t size)
{
	print_code(ca_policy_set_not_before(v, moment(v, o->words[1], CA_PROP_NOT_BEFORE)), out, size);
}

static void act_enable(struct ca_policy_view *v, const struct operation *o, char *out, size_t size)
{
	print_code(ca_policy_enable_extension(v, o->words[1]), out, size);
}

static void act_disable(struct ca_policy_view *v, const struct operation *o, char *out, size_t size)
{
	print_code(ca_policy_disable_extension(v, o->words[1]), out, size);
}

static void act_set_extension(struct ca_policy_view *v, const struct operation *o, char *out, size_t size)
{
	print_code(set_extension(v, o), out, size);
}

static void act_extension(struct ca_policy_view *v, const struct operation *o, char *out, size_t size)
{
	describe_extension(v, o->words[1], out, size);
}

static void act_read(struct ca_policy_view *v, const struct operation *o, char *out, size_t size)
{
	read_property(v, o->words[1], out, size);
}

static void act_attribute(struct ca_policy_view *v, const struct operation *o, char *out, size_t size)
{
	const char *text = ca_policy_get_attribute(v, o->words[1]);

	snprintf(out, size, "%s", text ? text : "empty");
}

static void act_approvals(struct ca_policy_view *v, const struct operation *o, char *out, size_t size)
{
	snprintf(out, size, "%u", ca_policy_count_approvals(v, o->words[1]));
}

static void act_renewal(struct ca_policy_view *v, const struct operation *o, char *out, size_t size)
{
	snprintf(out, size, "%s", ca_policy_is_renewal(v) ? "yes" : "no");
}

static void act_keep(struct ca_policy_view *v, const struct operation *o, char *out, size_t size)
{
	script.kept = v;
	snprintf(out, size, "0");
}

/* A view from an earlier call: it shows nothing and changes nothing. */
static void act_stale(struct ca_policy_view *v, const struct operation *o, char *out, size_t size)
{
	if (!script.kept)
		snprintf(out, size, "nothing was kept");
	else if (strcmp(o->words[1], "read") == 0)
		snprintf(out, size, "%lld", (long long)ca_policy_get_number(script.kept, CA_PROP_REQUEST_ID));
	else
		print_code(ca_policy_set_subject(script.kept, "O", "Stale"), out, size);
}

static const struct {
	const char *word;
	act_fn *fn;
} operations[] = {
	{ "set-subject", act_set_subject },
	{ "set-not-after", act_set_not_after },
	{ "set-not-before", act_set_not_before },
	{ "enable", act_enable },
	{ "disable", act_disable },
	{ "set-extension", act_set_extension },
	{ "extension", act_extension },
	{ "read", act_read },
	{ "attribute", act_attribute },
	{ "approvals", act_approvals },
	{ "renewal", act_renewal },
	{ "keep", act_keep },
	{ "stale", act_stale },
};

static void act(struct ca_policy_view *v, const struct operation *o, char *out, size_t size)
{
	snprintf(out, size, "no such operation");
	for (size_t i = 0; i < sizeof(operations) / sizeof(*operations); i++)
		if (strcmp(operations[i].word, o->words[0]) == 0)
			operations[i].fn(v, o, out, size);
}

bool script_do(const char *const *words, size_t n, const char *expected)
{
	struct operation *o = &script.does[script.n_does];

	if (n == 0 || n > WORDS_MAX || script.n_does == DOES_MAX)
		return false;
	*o = (struct operation){ .n_words = n };
	for (size_t i = 0; i < n; i++)
		snprintf(o->words[i], sizeof(o->words[i]), "%s", words[i]);
	snprintf(o->expected, sizeof(o->expected), "%s", expected);
	script.n_does++;
	return true;
}

static void act_all(struct ca_policy_view *v)
{
	struct operation does[DOES_MAX];
	size_t n;

	pthread_mutex_lock(&script.lock);
	n = script.n_does;
	memcpy(does, script.does, n * sizeof(*does));
	script.n_does = 0;
	pthread_mutex_unlock(&script.lock);
	for (size_t i = 0; i < n; i++) {
		char got[1024];

		act(v, &does[i], got, sizeof(got));
		if (strcmp(got, does[i].expected) != 0)
			complain("inside verify: %s %s answered %.200s, expected %s", does[i].words[0],
				 does[i].words[1], got, does[i].expected);
	}
}

/* ---- the policy modules ---- */

static const struct conf_option policy_options[] = {
	{ .name = "fail-init", .type = CONF_BOOL, .fallback = "false" },
	{ 0 },
};

static int p_init(void **state, const struct ca_module_env *env, const struct conf_section *conf,
		  struct conf_error *error)
{
	if (strcmp(env->ca, "CA1") != 0)
		complain("policy.init was told the CA's name is %s", env->ca);
	return conf_bool(conf, "fail-init") ? conf_refuse(conf, "fail-init", error, "told to fail") : 0;
}

void script_hold(void)
{
	pthread_mutex_lock(&script.lock);
	script.is_holding = true;
	pthread_mutex_unlock(&script.lock);
}

void script_release(void)
{
	pthread_mutex_lock(&script.lock);
	script.is_holding = false;
	pthread_cond_broadcast(&script.changed);
	pthread_mutex_unlock(&script.lock);
}

unsigned script_waiting(void)
{
	unsigned n;

	pthread_mutex_lock(&script.lock);
	n = script.waiting;
	pthread_mutex_unlock(&script.lock);
	return n;
}

unsigned script_most_at_once(void)
{
	unsigned n;

	pthread_mutex_lock(&script.lock);
	n = script.most;
	pthread_mutex_unlock(&script.lock);
	return n;
}

void script_slow(unsigned ms)
{
	pthread_mutex_lock(&script.lock);
	script.slow_ms = ms;
	pthread_mutex_unlock(&script.lock);
}

static unsigned arrive(void)
{
	unsigned slow_ms;

	pthread_mutex_lock(&script.lock);
	script.running++;
	if (script.running > script.most)
		script.most = script.running;
	script.waiting++;
	while (script.is_holding)
		pthread_cond_wait(&script.changed, &script.lock);
	script.waiting--;
	slow_ms = script.slow_ms;
	pthread_mutex_unlock(&script.lock);
	return slow_ms;
}

static void leave(void)
{
	pthread_mutex_lock(&script.lock);
	script.running--;
	pthread_mutex_unlock(&script.lock);
}

static int p_verify(void *state, struct ca_policy_view *v, enum ca_verify_cause cause, struct ca_verdict *out)
{
	int64_t id = ca_policy_get_number(v, CA_PROP_REQUEST_ID);
	unsigned slow_ms = arrive();
	struct say s = next_say();
	int e;

	act_all(v);
	if (slow_ms)
		usleep(slow_ms * 1000);
	if (ca_policy_get_number(v, CA_PROP_REQUEST_ID) != id)
		complain("a view changed its request from %lld", (long long)id);
	e = answer(v, &s, out);
	leave();
	return e;
}

static void p_fini(void *state)
{
	if (script_waiting())
		complain("policy.fini while a verify runs");
}

static const struct ca_policy_module policy_p = {
	.abi = CA_POLICY_ABI,
	.name = "p",
	.summary = "says what the test tells it to say",
	.options = policy_options,
	.init = p_init,
	.verify = p_verify,
	.fini = p_fini,
};

static const struct ca_policy_module policy_p_safe = {
	.abi = CA_POLICY_ABI,
	.name = "p-safe",
	.summary = "the same, for several requests at once",
	.flags = CA_POLICY_THREADSAFE,
	.options = policy_options,
	.init = p_init,
	.verify = p_verify,
	.fini = p_fini,
};

/* ---- the exit modules ---- */

#define EVENT_WORDS "issued|pending|denied|revoked|retrieved|crl-issued|shutdown|startup|imported|all|none"

static const struct conf_option e1_options[] = {
	{ .name = "mask", .type = CONF_STRINGS, .range = EVENT_WORDS, .fallback = "all" },
	{ .name = "fail-init", .type = CONF_BOOL, .fallback = "false" },
	{ .name = "fail", .type = CONF_INTEGER, .range = "0..1000000", .fallback = "0" },
	{ .name = "block", .type = CONF_DURATION, .fallback = "0s" },
	{ 0 },
};

static const struct conf_option e2_options[] = {
	{ .name = "mask", .type = CONF_STRINGS, .range = EVENT_WORDS, .fallback = "issued" },
	{ .name = "fail-init", .type = CONF_BOOL, .fallback = "false" },
	{ .name = "fail", .type = CONF_INTEGER, .range = "0..1000000", .fallback = "0" },
	{ .name = "block", .type = CONF_DURATION, .fallback = "0s" },
	{ 0 },
};

struct recorder {
	int64_t fail;
	unsigned block_ms;
};

static const enum ca_event all_events[] = {
	CA_EVENT_ISSUED,     CA_EVENT_PENDING,  CA_EVENT_DENIED,  CA_EVENT_REVOKED,  CA_EVENT_RETRIEVED,
	CA_EVENT_CRL_ISSUED, CA_EVENT_SHUTDOWN, CA_EVENT_STARTUP, CA_EVENT_IMPORTED,
};

static uint32_t read_mask(const struct conf_section *conf)
{
	uint32_t mask = 0;

	for (size_t i = 0; i < conf_count(conf, "mask"); i++)
		for (size_t j = 0; j < sizeof(all_events) / sizeof(*all_events); j++)
			if (strcmp(conf_str_at(conf, "mask", i), "all") == 0 ||
			    strcmp(conf_str_at(conf, "mask", i), ca_event_word(all_events[j])) == 0)
				mask |= all_events[j];
	return mask;
}

static int e_init(void **state, uint32_t *events, const struct ca_module_env *env, const struct conf_section *conf,
		  struct conf_error *error)
{
	struct recorder *r;

	if (conf_bool(conf, "fail-init"))
		return conf_refuse(conf, "fail-init", error, "told to fail");
	r = calloc(1, sizeof(*r));
	if (!r)
		return -ENOMEM;
	r->fail = conf_int(conf, "fail");
	r->block_ms = (unsigned)conf_duration_ms(conf, "block");
	*events = read_mask(conf);
	*state = r;
	return 0;
}

/* What an exit module reads of an issued request equals the certificate. */
static void look_at_certificate(const struct ca_exit_view *v)
{
	struct bytes der = ca_exit_get_octets(v, CA_PROP_CERTIFICATE);
	const char *serial = ca_exit_get_text(v, CA_PROP_SERIAL), *subject = ca_exit_get_text(v, CA_PROP_SUBJECT);
	const uint8_t *p = der.ptr;
	X509 *cert = d2i_X509(NULL, &p, (long)der.len);
	BIGNUM *number = cert ? ASN1_INTEGER_to_BN(X509_get0_serialNumber(cert), NULL) : NULL, *told = NULL;

	if (serial)
		BN_hex2bn(&told, serial);
	if (!cert || !number || !told || BN_cmp(number, told) != 0 || !subject)
		complain("an exit module reads another serial or subject than the certificate's");
	if (ca_exit_get_number(v, CA_PROP_DISPOSITION) < CA_STATE_ISSUED)
		complain("an exit module is told of an issue that the row does not know");
	BN_free(told);
	BN_free(number);
	X509_free(cert);
}

/* An event without a request: there is nothing to read. */
static void look_at_nothing(const struct ca_exit_view *v)
{
	if (ca_exit_get_number(v, CA_PROP_REQUEST_ID) || ca_exit_get_text(v, CA_PROP_REQUESTER) ||
	    ca_exit_get_octets(v, CA_PROP_CERTIFICATE).len || ca_exit_count_names(v))
		complain("an event of the CA shows a request");
}

static int e_notify(void *state, enum ca_event event, const struct ca_exit_view *v)
{
	struct recorder *r = state;

	if (r->block_ms)
		usleep(r->block_ms * 1000);
	if (event == CA_EVENT_SHUTDOWN || event == CA_EVENT_STARTUP || event == CA_EVENT_CRL_ISSUED)
		look_at_nothing(v);
	if (event == CA_EVENT_CRL_ISSUED &&
	    (!ca_exit_get_text(v, CA_PROP_CA) || ca_exit_get_number(v, CA_PROP_CRL_NUMBER) <= 0))
		complain("an event does not say which CA and CRL it is about");
	if (r->fail > 0) {
		r->fail--;
		return -EIO;
	}
	if (event == CA_EVENT_ISSUED) {
		look_at_certificate(v);
		if (ca_exit_count_names(v) == 0 ? !*ca_exit_get_text(v, CA_PROP_SUBJECT) : !ca_exit_get_name(v, 0))
			complain("an exit module finds neither names nor a subject");
	}
	return 0;
}

static void e_fini(void *state)
{
	free(state);
}

static const struct ca_exit_module exit_e1 = {
	.abi = CA_EXIT_ABI,
	.name = "e1",
	.summary = "looks at every event",
	.options = e1_options,
	.init = e_init,
	.notify = e_notify,
	.fini = e_fini,
};

static const struct ca_exit_module exit_e2 = {
	.abi = CA_EXIT_ABI,
	.name = "e2",
	.summary = "looks at what was issued",
	.options = e2_options,
	.init = e_init,
	.notify = e_notify,
	.fini = e_fini,
};

const struct ca_exit_module *const exit_modules[] = { &exit_e1, &exit_e2, NULL };

extern const struct ca_policy_module policy_rules, policy_manual;

const struct ca_policy_module *const policy_modules[] = { &policy_p, &policy_p_safe, &policy_rules, &policy_manual,
							  NULL };
