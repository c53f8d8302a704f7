/* Steps about certificates that were made elsewhere, and about rows that are removed.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tests/scenarios/scenario.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/base/base64.h"
#include "core/base/clock.h"
#include "core/base/own.h"
#include "core/store.h"
#include "tests/scenarios/duration.h"

/* What an offline signer with the CA's key makes of a request that waits; `bad`: somebody else's signature. */
static int make_certificate(struct scenario *s, const struct step *step, struct buf *out)
{
	static const char *const usage[] = { "digitalSignature", NULL }, *const purpose[] = { "serverAuth", NULL };
	OWNED_BUF tbs = BUF_INIT(65536), signature = BUF_INIT(SIGNER_SIGNATURE_MAX);
	OWNED(ca_request) r = NULL;
	const struct ca_key *key = ca_current_key(&s->rig.core->cas[0]);
	const char *name = step_value(step, "name"), *serial = step_value(step, "serial");
	struct ca_name names[] = { { .kind = CA_NAME_DNS, .value = name ? name : "a.example" } };
	struct issue_plan plan = { .issuer = key->issuer, .names = names, .n_names = 1, .key_usage = usage,
				   .ext_key_usage = purpose, .not_before_s = clock_wall_s() - 600,
				   .not_after_s = clock_wall_s() + 86400, .serial = { 0x7f } };
	char why[CA_REASON_SIZE];
	int e = store_load(s->rig.core, strtoll(step->words[1], NULL, 10), &r);

	if (e)
		return -ENOENT;
	plan.spki = r->csr.spki;
	if (serial && hex_parse(serial, plan.serial, SERIAL_SIZE))
		return -EINVAL;
	e = issue_build(&plan, &tbs, why);
	if (!e)
		e = signer_sign_certificate(s->rig.core->signer, key->signer, buf_bytes(&tbs), &signature, why);
	if (!e)
		e = issue_assemble(buf_bytes(&tbs), buf_bytes(&signature), key->issuer, out);
	if (!e && step_has(step, "bad"))
		out->ptr[out->len - 1] ^= 1;
	return e;
}

static void check_word(struct scenario *s, const struct step *step, const char *got, const char *reason)
{
	if (step->n_expected == 0 || strcmp(step->expected[0], got) != 0)
		scenario_fail(s, "answered %s (%s)", got, reason);
}

static const char *word_of(int e)
{
	static const char *const words[] = { "done", "not-found", "bad-state", "changed", "not-permitted", "invalid",
					     "no-answer", "later", "restricted", "exists", "no-match" };

	return e >= 0 && e < (int)(sizeof(words) / sizeof(*words)) ? words[e] : "failed";
}

static unsigned roles_of(const struct step *step, unsigned otherwise)
{
	const char *roles = step_value(step, "roles");

	if (!roles)
		return otherwise;
	return (strstr(roles, "officer") ? CA_ROLE_OFFICER : 0u) |
	       (strstr(roles, "admin") ? CA_ROLE_ADMINISTRATOR : 0u);
}

void step_import(struct scenario *s, const struct step *step)
{
	OWNED_CA_OUTCOME out = CA_OUTCOME_INIT;
	OWNED_BUF der = BUF_INIT(65536);
	struct ca_admin_caller who = { .name = "unix:alice", .roles = roles_of(step, CA_ROLE_OFFICER),
				       .is_limited = step_has(step, "limited") };
	struct ca_import import = { .is_existing = step_has(step, "existing"),
				    .is_foreign = step_has(step, "foreign") };
	int e = step->n > 1 ? make_certificate(s, step, &der) : -EINVAL;

	if (e) {
		scenario_fail(s, "import: no certificate can be made (%d)", e);
		return;
	}
	import.certificate = buf_bytes(&der);
	e = ca_admin_import(s->rig.core, &who, &import, &out);
	check_word(s, step, word_of(e), out.reason);
}

/* purge certificates|requests before=-1d */
void step_purge(struct scenario *s, const struct step *step)
{
	OWNED_CA_OUTCOME out = CA_OUTCOME_INIT;
	struct ca_admin_caller who = { .name = "unix:alice",
				       .roles = roles_of(step, CA_ROLE_OFFICER | CA_ROLE_ADMINISTRATOR) };
	const char *before = step_value(step, "before");
	int64_t ms = clock_wall_ms();
	uint64_t n = 0;
	bool more;
	char got[32];
	int e;

	if (before)
		ms += (*before == '-' ? -1 : 1) * duration_ms(before + 1);
	e = ca_admin_purge(s->rig.core, &who,
			   step->n > 1 && strcmp(step->words[1], "requests") == 0 ? CA_PURGE_REQUESTS :
										    CA_PURGE_CERTIFICATES,
			   ms, &n, &more, &out);
	snprintf(got, sizeof(got), "%llu", (unsigned long long)n);
	check_word(s, step, e ? word_of(e) : got, out.reason);
}

/* status ID -> valid, valid-expired, revoked, never-issued, incomplete */
void step_status(struct scenario *s, const struct step *step)
{
	static const char *const words[] = { "incomplete", "?", "revoked", "valid", "never-issued" };
	OWNED_CA_OUTCOME out = CA_OUTCOME_INIT;
	OWNED(ca_request) r = NULL;
	struct ca_admin_caller who = { .name = "unix:alice", .roles = CA_ROLE_AUDITOR };
	struct ca_cert_status status;
	uint8_t none[SERIAL_SIZE] = { 0x55 };
	struct bytes serial = bytes_of(none, sizeof(none));
	char got[32];
	int e;

	if (step->n > 1 && store_load(s->rig.core, strtoll(step->words[1], NULL, 10), &r) == 0 && r->certificate.len)
		(void)certificate_serial(buf_bytes(&r->certificate), &serial);
	e = ca_admin_cert_status(s->rig.core, &who, serial, &status, &out);
	snprintf(got, sizeof(got), "%s%s", e ? word_of(e) : words[status.status], status.is_expired ? "-expired" : "");
	check_word(s, step, got, out.reason);
}
