/* Targets: services of the administrator's, each of which judges the challenges of some endpoints.
 *
 * What a target is asked and how its answer is read is its kind's. Here is what all kinds have: where it is, who it
 * must be (TLS), how long an answer may take, how many are asked at once, which names it may allow. Everything that
 * is not the one answer that allows is no permission.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "core/wire/verdict.h"
#include "gateway/validator/fetch.h"
#include "gateway/validator/resolve.h"
#include "protocols/validator.h"

#define TARGET_REPLY_MAX ((size_t)64 << 10)
#define TARGET_SECRET_MAX ((size_t)4096)
#define TARGET_WHY_SIZE 256

struct target;

/* What is asked at one time, and what for. */
struct target_call {
	const struct target *target;
	const char *endpoint, *transaction_id;
	const struct judgement *what;   /* NULL: it is told what became of one */
	CURL *curl;
	int64_t deadline_ms;            /* monotonic */
	char why[TARGET_WHY_SIZE];      /* for the log, when it is not allowed */
};

struct target_kind {
	const char *name;
	const struct conf_option *rows;
	const char *const *urls;        /* options that are URLs; ends with NULL */
	bool is_end_awaited;            /* nobody gets a certificate of which it has not heard */
	/* The kind's own settings. 0; -EINVAL with `error`; negative. */
	int (*read)(struct target *t, const struct conf_section *conf, struct conf_error *error);
	void (*drop)(struct target *t); /* its `state`; NULL: it has none */
	/* 0, JUDGEMENT_DENIED or JUDGEMENT_NONE, with `why`; negative. */
	int (*judge)(struct target_call *c);
	/* 0, NOTIFICATION_LOST or JUDGEMENT_NONE, with `why`; negative. Not called unless it wants to be told. */
	int (*notify)(struct target_call *c, const struct notification *what);
};

extern const struct target_kind target_webhook, target_intune;

/* The rows that kinds have in common; each kind's table begins with them. */
#define TARGET_ROWS \
	{ .name = "name", .type = CONF_STRING, .fallback = CONF_NEEDED, \
	  .summary = "What endpoints (`challenge-target`), log and timelines call it." }, \
	{ .name = "names", .type = CONF_STRINGS, \
	  .summary = "Which names it may allow, as in the scope of a challenge: *.example.com, ip:10.0.0.0/8, " \
		     "CN=phone-*; 'any' for every name, which must be written out." }, \
	{ .name = "ca-file", .type = CONF_STRING, \
	  .summary = "PEM file with the CAs of its certificate; by default those of the system." }, \
	{ .name = "timeout", .type = CONF_DURATION, .range = "100ms..10s", .fallback = "5s", \
	  .summary = "Longest wait for its answer; a client waits as long." }, \
	{ .name = "calls", .type = CONF_INTEGER, .range = "1..64", .fallback = "16", \
	  .summary = "How many requests it is asked about at once; for more the client is told to come back." }

struct target {
	const struct target_kind *kind;
	char *name;
	char *scope;                    /* patterns, one a line */
	struct buf authorities;         /* PEM; empty: the system's */
	int64_t timeout_ms;
	unsigned calls_max;
	_Atomic unsigned calls;         /* now */
	bool wants_end;                 /* it is told what becomes of requests */
	struct resolver *resolver;      /* borrowed */
	const atomic_bool *stop;
	/* Of kinds that have them: */
	struct fetch_url url;
	struct buf secret, token;
	void *state;
};

struct targets;

/* Rows of `validator: targets:` by the word after `kind:`; NULL: no such kind. */
const struct conf_option *target_rows_of(const char *kind);

/* Are they right, as far as the configuration alone says? 0 or -EINVAL with `error`. */
int targets_check(const struct conf_section *validator, struct conf_error *error);

/* Is that a target that must have heard of a certificate before anybody gets it? */
bool targets_await_end(const struct conf_section *validator, const char *name);

/* By `validator: targets:` and the `challenge-target` of `endpoints:`, with the files that are named there. 0; -EINVAL
 * with `error`; negative. */
int targets_new(struct targets **out, const struct conf_section *root, struct resolver *resolver,
		const atomic_bool *stop, const uint8_t verdict_key[static VERDICT_KEY_SIZE], struct conf_error *error);
void targets_drop(struct targets **t);

/* The call `judge` of protocols/validator.h, by a handle that nobody else uses meanwhile. */
int targets_judge(struct targets *t, CURL *curl, const struct judgement *what, struct buf *statement);

/* The call `notify`. */
int targets_notify(struct targets *t, CURL *curl, const struct notification *what);

/* Append a line for each that an administrator should know of. */
void targets_print(const struct targets *t, struct buf *out);

/* ---- for kinds ---- */

/* 0; -EINVAL: the option's file cannot be read, is larger, or others than its owner may read it. Blanks and line ends
 * at its end are no part of it. */
int target_read_secret(const struct conf_section *conf, const char *option, struct buf *out, struct conf_error *error);

/* The option's URL taken apart: https, or http to this machine itself. 0; -EINVAL. */
int target_read_url(const struct conf_section *conf, const char *option, struct fetch_url *out,
		    struct conf_error *error);

/* https, or this machine itself. */
bool target_is_url(const struct fetch_url *url);

/* Ask for `url` before the deadline. 0: its answer has status 200, and `reply` its body, at most TARGET_REPLY_MAX;
 * JUDGEMENT_NONE, with `why` in the call; negative. */
int target_fetch(struct target_call *c, const struct fetch_url *url, const struct fetch_to_target *to,
		 struct buf *reply);

/* Say why, and return `outcome`. What a target says goes into the log, where it is escaped. */
int target_say(struct target_call *c, int outcome, const char *format, ...) __attribute__((format(printf, 3, 4)));
