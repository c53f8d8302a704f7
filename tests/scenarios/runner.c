/* Runs scenarios: text files that drive a whole core with a fake clock and hold its trace against what they expect.
 *
 *     scenario [--checker check_trace.py] [--verbose] [--link] FILE.scn…
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tests/scenarios/scenario.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/clock_guard.h"
#include "core/worker.h"
#include "core/signer/signer_int.h"
#include "tests/scenarios/duration.h"

#define START_OF_TIME_MS 1772366400000ll /* 2026-03-01T12:00:00Z */
#define HELD_WAIT_MS 10000

void scenario_fail(struct scenario *s, const char *format, ...)
{
	va_list args;

	s->is_failed = true;
	flockfile(stdout);
	printf("%s:%u: ", s->file, s->line);
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	printf("\n");
	funlockfile(stdout);
}

/* ---- words ---- */

/* One word from `*in` to `*out`; quotes keep blanks together, "\n" in them is a line break. NULL at the end. */
static const char *take_word(const char **in, char **out)
{
	const char *p = *in + strspn(*in, " \t");
	char *word = *out;
	bool is_quoted = false;

	if (!*p || *p == '#')
		return NULL;
	for (; *p && (is_quoted || !strchr(" \t", *p)); p++) {
		if (*p == '"')
			is_quoted = !is_quoted;
		else if (is_quoted && p[0] == '\\' && p[1] == 'n')
			*(*out)++ = (p++, '\n');
		else
			*(*out)++ = *p;
	}
	*(*out)++ = '\0';
	*in = p;
	return word;
}

static void read_words(struct step *step, const char *line)
{
	char *out = step->text;
	const char *word;
	bool is_expected = false;

	step->n = step->n_expected = 0;
	while ((word = take_word(&line, &out)) && step->n < STEP_WORDS_MAX && step->n_expected < STEP_WORDS_MAX) {
		if (strcmp(word, "->") == 0)
			is_expected = true;
		else if (is_expected)
			step->expected[step->n_expected++] = word;
		else
			step->words[step->n++] = word;
	}
}

const char *step_next_value(const struct step *step, const char *name, size_t *at)
{
	size_t n = strlen(name);

	for (; *at < step->n; (*at)++)
		if (strncmp(step->words[*at], name, n) == 0 && step->words[*at][n] == '=')
			return step->words[(*at)++] + n + 1;
	return NULL;
}

const char *step_value(const struct step *step, const char *name)
{
	size_t at = 1;

	return step_next_value(step, name, &at);
}

bool step_has(const struct step *step, const char *word)
{
	for (size_t i = 1; i < step->n; i++)
		if (strcmp(step->words[i], word) == 0)
			return true;
	return false;
}

/* ---- the core ---- */

static const char *joined(const struct step *step, size_t from, char *out, size_t size)
{
	size_t used = 0;

	out[0] = '\0';
	for (size_t i = from; i < step->n && used < size; i++)
		used += (size_t)snprintf(out + used, size - used, "%s%s", i > from ? " " : "", step->words[i]);
	return out;
}

static void use_settings(struct scenario *s)
{
	struct rig_settings settings = { .policy = s->policy, .exits = s->exits, .core = s->core,
					 .profile = s->profile, .endpoints = s->endpoints, .profiles = s->profiles,
					 .ca = s->ca,
					 .ca_key = s->ca_key,
					 .over_link = s->over_link };

	if (!s->has_folder)
		rig_init(&s->rig, &settings);
	s->has_folder = true;
	s->rig.settings = settings;
}

static void step_start(struct scenario *s, const struct step *step)
{
	struct conf_error error = { 0 };
	bool shall_fail = step->n_expected > 0 && strcmp(step->expected[0], "fails") == 0;
	int e;

	use_settings(s);
	e = rig_start(&s->rig, &error);
	s->was_started = true;
	if (!e && shall_fail)
		scenario_fail(s, "the core started although it should not");
	else if (e && !shall_fail)
		scenario_fail(s, "the core did not start (%d): %s", e, error.text);
	else if (e && step->n_expected > 1 && !strstr(error.text, step->expected[1]))
		scenario_fail(s, "the core says \"%s\", not \"%s\"", error.text, step->expected[1]);
}

static void step_stop(struct scenario *s, const struct step *step)
{
	rig_stop(&s->rig);
}

static void step_restart(struct scenario *s, const struct step *step)
{
	rig_stop(&s->rig);
	step_start(s, step);
}

static void step_settle(struct scenario *s, const struct step *step)
{
	rig_settle(&s->rig);
}

static void step_recover(struct scenario *s, const struct step *step)
{
	rig_finish_interrupted(&s->rig);
}

static int64_t how_far(struct scenario *s, const struct step *step)
{
	int64_t ms = step->n > 1 ? duration_ms(step->words[1]) : 0;

	if (!ms)
		scenario_fail(s, "how far?");
	return ms;
}

static void step_advance(struct scenario *s, const struct step *step)
{
	clock_fake_advance(how_far(s, step));
}

static void step_jump(struct scenario *s, const struct step *step)
{
	clock_fake_jump(how_far(s, step));
}

/* The clock is right, an administrator says. */
static void step_accept_clock(struct scenario *s, const struct step *step)
{
	int e = clock_guard_accept(s->rig.core, "unix:carol");

	if (e)
		scenario_fail(s, "accept-clock: %d", e);
}

static void step_health(struct scenario *s, const struct step *step)
{
	OWNED_BUF text = BUF_INIT(16384);
	bool is_healthy = ca_core_health(s->rig.core, &text);

	if (step->n_expected && is_healthy != (strcmp(step->expected[0], "ok") == 0))
		scenario_fail(s, "health is %s: %s", is_healthy ? "ok" : "degraded", buf_str(&text));
	for (size_t i = 1; i < step->n_expected; i++)
		if (!strstr(buf_str(&text), step->expected[i]))
			scenario_fail(s, "health does not mention \"%s\": %s", step->expected[i], buf_str(&text));
}

static void step_locate(struct scenario *s, const struct step *step)
{
	static const char *const words[] = { "found", "bad-string", "unknown-ca", "away" };
	struct ca_door *door = NULL;
	int e = ca_locate(&door, step->n > 1 ? step->words[1] : "", "test");
	const char *got = e >= 0 && e < 4 ? words[e] : "failed";

	ca_door_drop(&door);
	if (step->n_expected && strcmp(step->expected[0], got) != 0)
		scenario_fail(s, "locate answered %s, not %s", got, step->expected[0]);
}

/* ---- the signer, as a test breaks it ---- */

struct broken_signer {
	struct signer face;
	struct signer *real;
	const char *way;
	_Atomic bool was_missed; /* a certificate was to be signed while it was away */
};

/* The core's own threads ask now and then. Of one that is "away" they do not find out before the submission does that
 * the scenario is about: the core plans nothing more once it knows. One that is "gone" is so for all. */
static bool is_known_away(const struct broken_signer *b)
{
	return strcmp(b->way, "gone") == 0 || (strcmp(b->way, "away") == 0 && b->was_missed);
}

static int broken_sign(struct signer *s, uint64_t key, struct bytes tbs, struct buf *signature,
		       char why[static SIGNER_WHY_SIZE])
{
	struct broken_signer *b = (struct broken_signer *)s;
	int e;

	if (strcmp(b->way, "away") == 0 || strcmp(b->way, "gone") == 0) {
		b->was_missed = true;
		return -EIO;
	}
	if (strcmp(b->way, "refuses") == 0) {
		snprintf(why, SIGNER_WHY_SIZE, "told to refuse");
		return SIGNER_REFUSED;
	}
	e = signer_sign_certificate(b->real, key, tbs, signature, why);
	if (!e && strcmp(b->way, "wrong") == 0)
		signature->ptr[signature->len - 1] ^= 1;
	return e;
}

static int broken_mac(struct signer *s, uint64_t key, struct bytes label, struct bytes octets,
		      uint8_t out[static SIGNER_MAC_SIZE], char why[static SIGNER_WHY_SIZE])
{
	struct broken_signer *b = (struct broken_signer *)s;

	return is_known_away(b) ? -EIO : signer_mac(b->real, key, label, octets, out, why);
}

static int broken_begin(struct signer *s, uint64_t key, enum signer_stream_kind kind, uint64_t *stream,
			char why[static SIGNER_WHY_SIZE])
{
	struct broken_signer *b = (struct broken_signer *)s;

	return is_known_away(b) ? -EIO : b->real->ways->stream_begin(b->real, key, kind, stream, why);
}

static int broken_data(struct signer *s, uint64_t stream, struct bytes piece, char why[static SIGNER_WHY_SIZE])
{
	struct signer *real = ((struct broken_signer *)s)->real;

	return real->ways->stream_data(real, stream, piece, why);
}

static int broken_end(struct signer *s, uint64_t stream, struct buf *signature, char why[static SIGNER_WHY_SIZE])
{
	struct signer *real = ((struct broken_signer *)s)->real;

	return real->ways->stream_end(real, stream, signature, why);
}

static void broken_drop_stream(struct signer *s, uint64_t stream)
{
	struct signer *real = ((struct broken_signer *)s)->real;

	real->ways->stream_drop(real, stream);
}

static int broken_ask_memory(struct signer *s, enum signer_memory *memory)
{
	struct broken_signer *b = (struct broken_signer *)s;

	return is_known_away(b) ? -EIO : signer_ask_memory(b->real, memory);
}

static int broken_load(struct signer *s, struct bytes sealed, enum signer_purpose purpose, const char *ca,
		       struct bytes certificate, uint64_t *key, char why[static SIGNER_WHY_SIZE])
{
	return signer_load(((struct broken_signer *)s)->real, sealed, purpose, ca, certificate, key, why);
}

static void broken_drop(struct signer *s)
{
	struct broken_signer *b = (struct broken_signer *)s;

	signer_drop(&b->real);
	free(b);
}

/* A thread of the core that was told a moment ago that the signer is away may say so after it is back: who believes it
 * would plan nothing. Two looks, since it may say so after the first. */
static void wait_until_believed(const struct ca_core *core)
{
	for (int looks = 0, tries = 0; looks < 2 && tries < 1000; tries++) {
		looks = core->is_signer_failing ? 0 : looks + 1;
		usleep(20000);
	}
}

/* Once put before the real signer, it stays there until the core is dropped. */
static void step_signer(struct scenario *s, const struct step *step)
{
	static const struct signer_ways ways = {
		.load = broken_load,
		.sign_certificate = broken_sign,
		.mac = broken_mac,
		.stream_begin = broken_begin,
		.stream_data = broken_data,
		.stream_end = broken_end,
		.stream_drop = broken_drop_stream,
		.ask_memory = broken_ask_memory,
		.drop = broken_drop,
	};
	static const char *const words[] = { "away", "gone", "refuses", "wrong", "back" };
	struct broken_signer *b = (struct broken_signer *)s->rig.core->signer;

	for (size_t i = 0; step->n > 1 && i < sizeof(words) / sizeof(*words); i++) {
		if (strcmp(step->words[1], words[i]) != 0)
			continue;
		if (b->face.ways != &ways) {
			b = calloc(1, sizeof(*b));
			if (!b)
				abort();
			*b = (struct broken_signer){ { &ways }, s->rig.core->signer, "back", false };
			s->rig.core->signer = &b->face;
		}
		if (strcmp(words[i], "away") == 0)
			wait_until_believed(s->rig.core);
		b->was_missed = false;
		b->way = words[i];
		return;
	}
	scenario_fail(s, "signer: away, gone, refuses, wrong or back");
}

/* ---- the script of the modules ---- */

static void step_say(struct scenario *s, const struct step *step)
{
	const char *n = step_value(step, "n");
	bool always = strcmp(step->words[0], "always") == 0;

	for (size_t i = 1; i < step->n; i++) {
		unsigned count = n ? (unsigned)strtoul(n, NULL, 10) : 1;
		const char *rule = step_value(step, "rule"), *reason = step_value(step, "reason");

		if (strchr(step->words[i], '='))
			continue;
		if (!(always ? script_always(step->words[i], rule, reason, count) :
			       script_say(step->words[i], rule, reason, count)))
			scenario_fail(s, "'%s' is no verdict", step->words[i]);
	}
}

static void step_do(struct scenario *s, const struct step *step)
{
	if (step->n_expected != 1 || !script_do(step->words + 1, step->n - 1, step->expected[0]))
		scenario_fail(s, "do: an operation, and behind -> its one answer");
}

static void step_hold(struct scenario *s, const struct step *step)
{
	script_hold();
}

static void step_release(struct scenario *s, const struct step *step)
{
	script_release();
}

/* ---- steps beside each other ---- */

static void *in_background(void *arg)
{
	struct background *b = arg;

	scenario_do(b->s, &b->step);
	return NULL;
}

static void copy_step(struct step *to, const struct step *from, size_t skip)
{
	*to = *from;
	to->n = from->n - skip;
	for (size_t i = 0; i < to->n; i++)
		to->words[i] = to->text + (from->words[i + skip] - from->text);
	for (size_t i = 0; i < to->n_expected; i++)
		to->expected[i] = to->text + (from->expected[i] - from->text);
}

/* `begin STEP`: it runs on a thread. A submission has reached the policy module when this returns, or has ended. */
static void step_begin(struct scenario *s, const struct step *step)
{
	unsigned waiting = script_waiting();
	struct background *b;

	if (step->n < 2 || s->n_background == BACKGROUND_MAX || !(b = calloc(1, sizeof(*b)))) {
		scenario_fail(s, "begin: no step, or too many at once");
		return;
	}
	b->s = s;
	copy_step(&b->step, step, 1);
	s->background[s->n_background++] = b;
	pthread_create(&b->thread, NULL, in_background, b);
	for (int i = 0; i < HELD_WAIT_MS; i++) {
		bool is_there = strcmp(step->words[1], "close") == 0 ? s->rig.core->is_closed :
								       script_waiting() > waiting;

		if (is_there)
			return;
		usleep(1000);
	}
	scenario_fail(s, "begin: nothing arrived");
}

static void step_finish(struct scenario *s, const struct step *step)
{
	while (s->n_background) {
		struct background *b = s->background[--s->n_background];

		pthread_join(b->thread, NULL);
		free(b);
	}
}

static void step_close(struct scenario *s, const struct step *step)
{
	ca_core_close(s->rig.core);
}

static void step_sleep(struct scenario *s, const struct step *step)
{
	usleep((useconds_t)(step->n > 1 ? duration_ms(step->words[1]) * 1000 : 0));
}

/* ---- settings ---- */

/* A fragment of YAML; braces around a mapping's inside are taken away. */
static void set_fragment(char **where, const struct step *step, bool is_inside)
{
	char text[STEP_TEXT_MAX];
	size_t n;

	joined(step, 1, text, sizeof(text));
	n = strlen(text);
	free(*where);
	*where =
		is_inside && n >= 2 && text[0] == '{' && text[n - 1] == '}' ? strndup(text + 1, n - 2) : strdup(text);
}

static void step_setting(struct scenario *s, const struct step *step)
{
	const struct {
		const char *word;
		char **where;
		bool is_inside;
	} settings[] = { { "policy", &s->policy, false }, { "exits", &s->exits, false },
			 { "core", &s->core, true },      { "profile", &s->profile, true },
			 { "ca", &s->ca, true },          { "endpoint", &s->endpoints, false },
			 { "ca-key", &s->ca_key, false }, { "profiles", &s->profiles, false } };

	for (size_t i = 0; i < sizeof(settings) / sizeof(*settings); i++)
		if (strcmp(settings[i].word, step->words[0]) == 0)
			set_fragment(settings[i].where, step, settings[i].is_inside);
}

/* ---- running ---- */

static step_fn step_repeat;

static const struct {
	const char *word;
	step_fn *fn;
	bool needs_core;
} steps[] = {
	{ "policy", step_setting, false },   { "exits", step_setting, false },     { "core", step_setting, false },
	{ "profile", step_setting, false },  { "endpoint", step_setting, false },  { "ca-key", step_setting, false },
	{ "ca", step_setting, false },       { "profiles", step_setting, false },
	{ "start", step_start, false },      { "stop", step_stop, false },         { "restart", step_restart, false },
	{ "locate", step_locate, false },    { "settle", step_settle, true },      { "recover", step_recover, true },
	{ "accept-clock", step_accept_clock, true },
	{ "advance", step_advance, false },  { "jump", step_jump, false },         { "health", step_health, true },
	{ "signer", step_signer, true },
	{ "say", step_say, false },          { "always", step_say, false },        { "do", step_do, false },
	{ "hold", step_hold, false },        { "release", step_release, false },   { "begin", step_begin, true },
	{ "finish", step_finish, false },    { "close", step_close, true },        { "sleep", step_sleep, false },
	{ "repeat", step_repeat, true },     { "csr", step_csr, false },           { "submit", step_submit, true },
	{ "peek", step_ask, true },          { "retrieve", step_ask, true },       { "admin", step_admin, true },
	{ "remember", step_remember, true }, { "expect", step_expect, false },     { "row", step_row, false },
	{ "sql", step_sql, false },          { "tamper", step_tamper, false },     { "cert", step_cert, false },
	{ "poll", step_poll, true },         { "withdraw", step_withdraw, true },
	{ "revoke", step_revoke, true },     { "timeline", step_timeline, false }, { "mark", step_mark, false },
	{ "crl", step_crl, true },           { "import", step_import, true },     { "purge", step_purge, true },
	{ "status", step_status, true },
	{ "check", step_check, true },       { "credential", step_credential, true },
	{ "delegate", step_delegate, true },
	{ "revoke-credential", step_change_credential, true }, { "set-password", step_change_credential, true },
};

void scenario_do(struct scenario *s, const struct step *step)
{
	for (size_t i = 0; i < sizeof(steps) / sizeof(*steps); i++) {
		if (strcmp(steps[i].word, step->words[0]) != 0)
			continue;
		if (steps[i].needs_core && !s->rig.core)
			scenario_fail(s, "%s: the core is not running", step->words[0]);
		else
			steps[i].fn(s, step);
		return;
	}
	scenario_fail(s, "unknown step '%s'", step->words[0]);
}

/* A copy of the word in which "$i" is the number. */
static const char *put_numbered(const char *word, unsigned long i, char **out, const char *end)
{
	const char *mark = strstr(word, "$i"), *copy = *out;
	size_t room = (size_t)(end - *out);
	int n = mark ? snprintf(*out, room, "%.*s%lu%s", (int)(mark - word), word, i, mark + 2) :
		       snprintf(*out, room, "%s", word);

	*out += (size_t)n < room ? (size_t)n + 1 : room - 1;
	return copy;
}

/* `repeat N STEP`: "$i" in its words counts from 1. */
static void step_repeat(struct scenario *s, const struct step *step)
{
	unsigned long n = step->n > 2 ? strtoul(step->words[1], NULL, 10) : 0;
	struct step *one = calloc(1, sizeof(*one));

	for (unsigned long i = 1; one && i <= n && !s->is_failed; i++) {
		char *out = one->text;

		one->n = step->n - 2;
		one->n_expected = step->n_expected;
		for (size_t w = 0; w < one->n; w++)
			one->words[w] = put_numbered(step->words[w + 2], i, &out, one->text + sizeof(one->text));
		for (size_t w = 0; w < one->n_expected; w++)
			one->expected[w] = put_numbered(step->expected[w], i, &out, one->text + sizeof(one->text));
		scenario_do(s, one);
	}
	free(one);
}

static void end_scenario(struct scenario *s, const char *checker)
{
	script_release();
	step_finish(s, NULL);
	rig_stop(&s->rig);
	if (script_complaint()[0])
		scenario_fail(s, "a module complains at the end");
	if (s->was_started && !rig_check_trace(&s->rig, checker))
		scenario_fail(s, "the trace breaks the state table");
	if (s->has_folder)
		rig_fini(&s->rig);
	free(s->policy);
	free(s->exits);
	free(s->core);
	free(s->profile);
	free(s->endpoints);
	free(s->profiles);
	free(s->ca_key);
	free(s->ca);
	for (size_t i = 0; i < s->n_csrs; i++)
		buf_fini(&s->csrs[i].der);
	buf_fini(&s->shown);
	clock_fake_end();
}

static void run_line(struct scenario *s, struct step *step, const char *line)
{
	const char *complaint;

	read_words(step, line);
	if (step->n == 0)
		return;
	scenario_do(s, step);
	complaint = script_complaint();
	if (complaint[0])
		scenario_fail(s, "%s", complaint);
}

static bool run_file(const char *file, const char *checker, bool over_link)
{
	struct scenario *s = calloc(1, sizeof(*s));
	struct step *step = calloc(1, sizeof(*step));
	char line[STEP_TEXT_MAX];
	FILE *in = fopen(file, "r");
	bool ok;

	if (!in || !s || !step) {
		printf("%s: cannot be read\n", file);
		exit(2);
	}
	s->file = file;
	s->over_link = over_link;
	clock_fake_set(START_OF_TIME_MS);
	script_reset();
	while (!s->is_failed && fgets(line, sizeof(line), in)) {
		s->line++;
		line[strcspn(line, "\n")] = '\0';
		run_line(s, step, line);
	}
	fclose(in);
	end_scenario(s, checker);
	ok = !s->is_failed;
	free(step);
	free(s);
	return ok;
}

static void swallow(void *arg, const char *line)
{
}

int main(int argc, char **argv)
{
	const char *checker = NULL;
	bool is_verbose = false, over_link = false;
	int failed = 0, i = 1;

	for (; i < argc && argv[i][0] == '-'; i++) {
		if (strcmp(argv[i], "--checker") == 0 && i + 1 < argc)
			checker = argv[++i];
		else if (strcmp(argv[i], "--verbose") == 0)
			is_verbose = true;
		else if (strcmp(argv[i], "--link") == 0)
			over_link = true;
		else
			return fprintf(stderr, "usage: scenario [--checker CHECK_TRACE] [--verbose] [--link] FILE…\n"),
			       2;
	}
	if (!is_verbose)
		log_capture(swallow, NULL);
	for (; i < argc; i++)
		failed += !run_file(argv[i], checker, over_link);
	return failed ? 1 : 0;
}
