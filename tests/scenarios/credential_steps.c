/* Steps about credentials: made and revoked by an administrator, shown by clients.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tests/scenarios/scenario.h"

#include <stdio.h>
#include <stdlib.h>

#include "core/base/base64.h"
#include "core/base/own.h"
#include "core/base/secret.h"
#include "core/store.h"
#include "tests/scenarios/duration.h"

#define LIST_MAX 16

/* Words between ';', in a copy of the text. */
struct list {
	char text[STEP_TEXT_MAX];
	const char *at[LIST_MAX];
	size_t n;
};

static void list_split(struct list *l, const char *text)
{
	char *rest = l->text;

	l->n = 0;
	snprintf(l->text, sizeof(l->text), "%s", text ? text : "");
	for (char *word; rest && (word = strsep(&rest, ";")) && l->n < LIST_MAX;)
		if (*word)
			l->at[l->n++] = word;
}

static const char *outcome_word(int e)
{
	static const char *const words[] = { "done",	      "not-found", "bad-state", "changed",
					     "not-permitted", "invalid" };

	return e >= 0 && e <= CA_ADMIN_INVALID ? words[e] : "failed";
}

static void check_outcome(struct scenario *s, const struct step *step, const char *got, const char *why)
{
	if (step->n_expected == 0 || strcmp(step->expected[0], got) != 0)
		scenario_fail(s, "answered %s (%s), expected %s", got, why, step->n_expected ? step->expected[0] : "?");
	for (size_t i = 1; i < step->n_expected; i++)
		if (strncmp(step->expected[i], "reason~", 7) == 0 && !strstr(why, step->expected[i] + 7))
			scenario_fail(s, "the reason is '%s', expected %s", why, step->expected[i]);
}

static struct ca_admin_caller caller_of(const struct step *step)
{
	const char *by = step_value(step, "by"), *roles = step_value(step, "roles");

	return (struct ca_admin_caller){ .name = by ? by : "unix:root",
					 .roles = roles ? scenario_roles(roles) : CA_ROLE_ADMINISTRATOR };
}

static struct scenario_credential *find(struct scenario *s, const char *label)
{
	for (size_t i = 0; label && i < s->n_credentials; i++)
		if (strcmp(s->credentials[i].label, label) == 0)
			return &s->credentials[i];
	scenario_fail(s, "there is no credential called '%s'", label ? label : "");
	return NULL;
}

/* credential KIND LABEL [name=…] [password=…] [scope=A;B] [endpoints=A;B] [profiles=A;B] [uses=N] [lifetime=1h]
 * [roles=…] [delegates=N] -> done */
void step_credential(struct scenario *s, const struct step *step)
{
	struct list endpoints, profiles, scope;
	const char *lifetime = step_value(step, "lifetime"), *uses = step_value(step, "uses");
	const char *delegates = step_value(step, "delegates");
	struct ca_admin_caller who = caller_of(step);
	struct scenario_credential *c = &s->credentials[s->n_credentials];
	char why[CA_REASON_SIZE];
	struct credential_spec spec = {
		.kind = credential_kind_of(step->n > 1 ? step->words[1] : ""),
		.name = step_value(step, "name"),
		.note = step_value(step, "note"),
		.endpoints = endpoints.at,
		.profiles = profiles.at,
		.scope = scope.at,
		.lifetime_ms = lifetime ? duration_ms(lifetime) : 0,
		.uses = uses ? (unsigned)strtoul(uses, NULL, 10) : 0,
		.password = step_value(step, "password"),
		.delegates = delegates ? (unsigned)strtoul(delegates, NULL, 10) : 0,
	};
	int e;

	if (step->n < 3 || s->n_credentials == CREDENTIALS_MAX) {
		scenario_fail(s, "credential KIND LABEL");
		return;
	}
	list_split(&endpoints, step_value(step, "endpoints") ? step_value(step, "endpoints") : RIG_ENDPOINT);
	list_split(&profiles, step_value(step, "profiles"));
	list_split(&scope, step_value(step, "scope"));
	spec.n_endpoints = endpoints.n;
	spec.n_profiles = profiles.n;
	spec.n_scope = scope.n;
	e = ca_admin_create_credential(s->rig.core, &who, &spec, &c->made, why);
	check_outcome(s, step, outcome_word(e), why);
	if (e)
		return;
	c->kind = spec.kind;
	snprintf(c->label, sizeof(c->label), "%s", step->words[2]);
	if (spec.password)
		snprintf(c->made.secret, sizeof(c->made.secret), "%s", spec.password);
	s->n_credentials++;
}

/* revoke-credential LABEL -> done; set-password LABEL PASSWORD -> done */
void step_change_credential(struct scenario *s, const struct step *step)
{
	struct scenario_credential *c = find(s, step->n > 1 ? step->words[1] : NULL);
	struct ca_admin_caller who = caller_of(step);
	char why[CA_REASON_SIZE], number[24];
	struct credential_made made;
	int e;

	if (!c)
		return;
	snprintf(number, sizeof(number), "%lld", (long long)c->made.id);
	if (strcmp(step->words[0], "revoke-credential") == 0)
		e = ca_admin_revoke_credential(s->rig.core, &who, c->kind, *c->made.name ? c->made.name : number, why);
	else
		e = ca_admin_set_password(s->rig.core, &who, c->made.name, step->n > 2 ? step->words[2] : NULL, &made,
					  why);
	check_outcome(s, step, outcome_word(e), why);
	if (e == 0 && strcmp(step->words[0], "set-password") == 0)
		snprintf(c->made.secret, sizeof(c->made.secret), "%s", step->n > 2 ? step->words[2] : made.secret);
}

/* What a client signs with the key it was given, and nothing in a submission: the account was bound before. */
static bool make_mac(struct scenario *s, const struct step *step, struct scenario_credential *c,
		     struct ca_credential_claim *claim)
{
	OWNED_BUF key = BUF_INIT(64);
	const char *message = "protected.payload";

	claim->secret = bytes_of(NULL, 0);
	if (strcmp(step->words[0], "check") != 0)
		return true;
	if (base64url_decode(&key, bytes_of_str(c->made.secret)) ||
	    secret_mac(buf_bytes(&key), bytes_of_str(message), c->mac)) {
		scenario_fail(s, "the key of %s is none", c->label);
		return false;
	}
	claim->message = bytes_of_str(step_has(step, "forged") ? "protected.other" : message);
	claim->secret = bytes_of(c->mac, sizeof(c->mac));
	return true;
}

bool scenario_claim(struct scenario *s, const struct step *step, const char *word, struct ca_credential_claim *claim)
{
	struct scenario_credential *c = find(s, step_value(step, word));
	const char *secret = step_value(step, "secret"), *user = step_value(step, "user");

	if (!c)
		return false;
	*claim = (struct ca_credential_claim){ .kind = c->kind };
	if (*c->made.name)
		claim->name = user ? user : c->made.name;
	claim->secret = bytes_of_str(secret ? secret : c->made.secret);
	claim->account = step_value(step, "account");
	return c->kind != CA_EVIDENCE_EAB || make_mac(s, step, c, claim);
}

void scenario_use_credential(struct scenario *s, const struct step *step, const struct ca_credential_claim *claim,
			     struct ca_submission *sub)
{
	static const struct {
		const char *protocol, *requester;
	} uses[] = {
		[CA_EVIDENCE_EAB] = { "acme", "acme:1" },
		[CA_EVIDENCE_CHALLENGE] = { "scep", "scep:1" },
		[CA_EVIDENCE_USER] = { "est", "est:user:" },
		[CA_EVIDENCE_TOKEN] = { "est", "est:token:" },
	};
	struct scenario_credential *c = find(s, step_value(step, "with"));
	const char *requester = step_value(step, "requester"), *protocol = step_value(step, "protocol");

	snprintf(c->requester, sizeof(c->requester), "%s", uses[c->kind].requester);
	if (c->kind == CA_EVIDENCE_USER)
		snprintf(c->requester, sizeof(c->requester), "est:user:%s", c->made.name);
	if (c->kind == CA_EVIDENCE_TOKEN)
		snprintf(c->requester, sizeof(c->requester), "est:token:%lld", (long long)c->made.id);
	sub->protocol = protocol ? protocol : uses[c->kind].protocol;
	sub->requester = requester ? requester : c->requester;
	sub->evidence = c->kind;
	sub->credential = claim;
	sub->n_names = 0;
}

static bool load_certificate(struct scenario *s, const struct step *step)
{
	OWNED(ca_request) row = NULL;

	buf_fini(&s->shown);
	s->shown = BUF_INIT(CA_CERTIFICATE_MAX);
	if (store_load(s->rig.core, strtoll(step_value(step, "certificate"), NULL, 10), &row) ||
	    row->certificate.len == 0 || buf_append(&s->shown, buf_bytes(&row->certificate))) {
		scenario_fail(s, "there is no certificate of request %s", step_value(step, "certificate"));
		return false;
	}
	if (step_has(step, "forged"))
		s->shown.ptr[s->shown.len - 1] ^= 1;
	return true;
}

static struct ca_credential_claim claim_of_certificate(const struct scenario *s, const struct step *step)
{
	return (struct ca_credential_claim){ .kind = CA_EVIDENCE_CERTIFICATE,
					     .certificate = buf_bytes(&s->shown),
					     .use = step_has(step, "renew") ? CA_CERTIFICATE_RENEW :
									      CA_CERTIFICATE_ENROL };
}

bool scenario_show_certificate(struct scenario *s, const struct step *step, struct ca_credential_claim *claim,
			       struct ca_submission *sub)
{
	const char *requester = step_value(step, "requester");
	struct ca_credential_claim question;
	struct ca_credential_answer answer;

	if (!load_certificate(s, step))
		return false;
	*claim = question = claim_of_certificate(s, step);
	question.endpoint = sub->endpoint;
	question.source_address = sub->source_address;
	if (ca_check_credential(s->rig.door, &question, &answer))
		snprintf(answer.requester, sizeof(answer.requester), "est:nobody");
	snprintf(s->shown_requester, sizeof(s->shown_requester), "%s", answer.requester);
	sub->protocol = "est";
	sub->requester = requester ? requester : s->shown_requester;
	sub->evidence = CA_EVIDENCE_CERTIFICATE;
	sub->credential = claim;
	sub->n_names = 0;
	return true;
}

static const char *delegate_word(int e)
{
	return e == 0			    ? "done" :
	       e == CA_CALL_REFUSED	    ? "refused" :
	       e == CA_CALL_BUSY	    ? "busy" :
	       e == CA_CALL_NOT_PERMITTED ? "not-permitted" :
	       e == CA_CALL_FULL	    ? "full" :
					      "failed";
}

/* delegate LABEL with=LABEL [secret=…] [user=…] [endpoint=…] [serial=…] [udid=…] [bound] [lifetime=10m] -> done,
 * refused, busy, not-permitted, full; the challenge is called LABEL. */
void step_delegate(struct scenario *s, const struct step *step)
{
	const char *endpoint = step_value(step, "endpoint"), *lifetime = step_value(step, "lifetime");
	struct scenario_credential *c = &s->credentials[s->n_credentials];
	struct ca_credential_claim claim;
	struct ca_delegation d = {
		.claim = &claim,
		.serial_number = step_value(step, "serial"),
		.udid = step_value(step, "udid"),
		.is_bound = step_has(step, "bound"),
		.lifetime_s = lifetime ? (unsigned)(duration_ms(lifetime) / 1000) : 0,
	};
	struct ca_delegated out;
	int e;

	if (step->n < 2 || s->n_credentials == CREDENTIALS_MAX || !scenario_claim(s, step, "with", &claim)) {
		scenario_fail(s, "delegate LABEL with=LABEL");
		return;
	}
	claim.endpoint = endpoint ? endpoint : "scep";
	claim.source_address = "192.0.2.7";
	e = ca_delegate_challenge(s->rig.door, &d, &out);
	check_outcome(s, step, delegate_word(e), out.reason);
	if (e)
		return;
	c->kind = CA_EVIDENCE_CHALLENGE;
	c->made = (struct credential_made){ .id = out.id, .until_ms = out.until_ms };
	snprintf(c->label, sizeof(c->label), "%s", step->words[1]);
	snprintf(c->made.secret, sizeof(c->made.secret), "%s", out.challenge);
	s->n_credentials++;
}

/* check with=LABEL|certificate=ID [renew] [secret=…] [user=…] [endpoint=…] [source=…] [account=…] -> good, over,
 * refused, busy */
void step_check(struct scenario *s, const struct step *step)
{
	const char *endpoint = step_value(step, "endpoint"), *source = step_value(step, "source");
	struct ca_credential_answer answer;
	struct ca_credential_claim claim;
	char whose[CA_REQUESTER_SIZE + 16];
	int e;

	if (step_value(step, "certificate") ? !load_certificate(s, step) : !scenario_claim(s, step, "with", &claim))
		return;
	if (step_value(step, "certificate"))
		claim = claim_of_certificate(s, step);
	claim.endpoint = endpoint ? endpoint : RIG_ENDPOINT;
	claim.source_address = source ? source : "192.0.2.7";
	e = ca_check_credential(s->rig.door, &claim, &answer);
	snprintf(whose, sizeof(whose), "%s %s", answer.requester, ca_trust_word(answer.trust));
	check_outcome(s, step,
		      e == 0 && answer.is_over ? "over" :
		      e == 0		       ? "good" :
		      e == CA_CALL_REFUSED ? "refused" :
		      e == CA_CALL_BUSY    ? "busy" :
					     "failed",
		      e == 0 ? whose : answer.reason);
}
