/* What the files of the scenario runner share. The language is described in README.md.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "core/credentials.h"
#include "tests/scenarios/modules.h"
#include "tests/scenarios/rig.h"

#define STEP_WORDS_MAX 64
#define STEP_TEXT_MAX 4096
#define CSRS_MAX 64
#define BACKGROUND_MAX 8
#define CREDENTIALS_MAX 32

/* One line of a scenario: words, and behind "->" what is expected. */
struct step {
	char text[STEP_TEXT_MAX]; /* what the words point into */
	const char *words[STEP_WORDS_MAX];
	size_t n;
	const char *expected[STEP_WORDS_MAX];
	size_t n_expected;
};

struct scenario {
	const char *file;
	unsigned line;
	_Atomic bool is_failed;
	struct rig rig;
	bool has_folder;
	char *policy, *exits, *core, *profile, *endpoints, *profiles, *ca, *ca_key;
	bool over_link;
	struct {
		char name[128];
		struct buf der;
	} csrs[CSRS_MAX];
	size_t n_csrs;
	struct scenario_credential {
		char label[32];
		enum ca_evidence_kind kind;
		struct credential_made made;
		char requester[CA_REQUESTER_SIZE];
		uint8_t mac[SHA256_SIZE];
	} credentials[CREDENTIALS_MAX];
	struct buf shown;            /* the certificate of certificate=ID */
	char shown_requester[CA_REQUESTER_SIZE];
	size_t n_credentials;
	_Atomic unsigned n_keys;     /* transaction keys made for submissions that name none */
	size_t mark;                 /* trace lines before it are not looked at */
	uint8_t digest[SHA256_SIZE]; /* of `remember` */
	bool was_started;
	struct background {
		struct scenario *s;
		struct step step;
		pthread_t thread;
	} *background[BACKGROUND_MAX];
	size_t n_background;
};

typedef void step_fn(struct scenario *s, const struct step *step);

void scenario_fail(struct scenario *s, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The value of `name=value` among the words; NULL when absent. From `from` on, and where it was found in `*at`. */
const char *step_value(const struct step *step, const char *name);
const char *step_next_value(const struct step *step, const char *name, size_t *at);
bool step_has(const struct step *step, const char *word);

/* steps.c: what acts on the core. */
step_fn step_csr, step_submit, step_ask, step_poll, step_revoke, step_withdraw, step_admin, step_remember;

/* "officer,admin,auditor" as bits. */
unsigned scenario_roles(const char *words);

/* credential_steps.c: what is made by `credential` and shown by `check` and `submit with=LABEL`. */
step_fn step_credential, step_change_credential, step_check, step_delegate;

/* The claim that the step's with=LABEL, or also=LABEL, makes; false: there is none, and the scenario failed. */
bool scenario_claim(struct scenario *s, const struct step *step, const char *word, struct ca_credential_claim *claim);

/* Make a submission one with this claim, as the adapter of its protocol would. */
void scenario_use_credential(struct scenario *s, const struct step *step, const struct ca_credential_claim *claim,
			     struct ca_submission *sub);

/* The same with the certificate that was issued for certificate=ID, to enrol or to `renew`. Who asks is what the core
 * says when it is asked first, as adapters do. */
bool scenario_show_certificate(struct scenario *s, const struct step *step, struct ca_credential_claim *claim,
			       struct ca_submission *sub);

/* checks.c: what looks at it. */
step_fn step_import, step_purge, step_status;
step_fn step_crl, step_expect, step_row, step_sql, step_tamper, step_cert, step_timeline, step_mark;

/* runner.c: does one step, also on a thread of its own. */
void scenario_do(struct scenario *s, const struct step *step);
