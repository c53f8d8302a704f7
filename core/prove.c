/* What a credential proves of a request.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "core/prove.h"

#include <errno.h>
#include <stdio.h>
#include <strings.h>

#include "core/base/ip.h"
#include "core/base/log.h"
#include "core/issue_int.h"

/* Everything that comes together while the names of one request are judged. */
struct judging {
	const struct credential *credential;
	struct ca_request *r;
	char *why;
};

static int refuse(const struct judging *j, const char *before, const char *name, const char *behind)
{
	char shown[128];

	log_escape(name, shown, sizeof(shown));
	snprintf(j->why, CA_REASON_SIZE, "%s%s%s", before, shown, behind);
	return CA_STATUS_BAD_NAME;
}

static bool is_proven(const struct judging *j, enum ca_name_kind kind, const char *value)
{
	struct ca_name name = { .kind = kind, .value = value };

	return name_scope_has(&j->credential->scope, kind, value) && binding_has_name(j->r->by, &name);
}

static void add_name(const struct judging *j, enum ca_name_kind kind, const char *value)
{
	struct ca_request *r = j->r;

	r->names[r->n_names++] = (struct ca_name){ kind, value, j->credential->kind, j->credential->text };
}

static int take_alt_names(const struct judging *j)
{
	const struct csr *csr = &j->r->csr;

	if (csr->has_other_names)
		return refuse(j, "the request asks for a form of name that no credential proves", "", "");
	for (size_t i = 0; i < csr->n_names; i++) {
		if (!is_proven(j, csr->names[i].kind, csr->names[i].value))
			return refuse(j, "the credential does not prove ", csr->names[i].value, "");
		add_name(j, csr->names[i].kind, csr->names[i].value);
	}
	return 0;
}

static bool has_name(const struct ca_request *r, const char *value)
{
	for (size_t i = 0; i < r->n_names; i++)
		if (strcasecmp(r->names[i].value, value) == 0)
			return true;
	return false;
}

/* 0: not a name of a kind that goes into the SAN. A single word is one only if the scope says so: "printer7" is mostly
 * what a device is called, and `any` would make a DNS name of it. */
static enum ca_name_kind alt_kind(const struct judging *j, const char *cn, char name[static DNS_NAME_SIZE])
{
	struct ip_address address;
	char text[IP_TEXT_SIZE];

	if (ip_address_parse(&address, cn) == 0) {
		snprintf(name, DNS_NAME_SIZE, "%s", ip_address_print(&address, text));
		return CA_NAME_IP;
	}
	if (dns_name_normalise(bytes_of_str(cn), true, name))
		return 0;
	return strchr(name, '.') || !j->credential->scope.is_any ? CA_NAME_DNS : 0;
}

/* A name in the CN alone counts as asked for. */
static int take_common_name(const struct judging *j, const char *cn)
{
	char name[DNS_NAME_SIZE];
	enum ca_name_kind kind;

	if (has_name(j->r, cn))
		return 0;
	kind = alt_kind(j, cn, name);
	if (kind && is_proven(j, kind, name)) {
		const char *copy = arena_strdup(j->r->arena, name);

		if (copy)
			add_name(j, kind, copy);
		return copy ? 0 : -ENOMEM;
	}
	if (name_scope_has_part(&j->credential->scope, "CN", cn) && (kind == 0 || !j->credential->scope.is_any))
		return 0;
	return refuse(j, "the credential does not prove the common name ", cn, "");
}

static int take_part(const struct judging *j, const struct csr_part *part)
{
	const struct subject_component *c = issue_subject_component_of(part->oid);

	if (!c)
		return refuse(j, "the subject has a component that this CA writes into no certificate: ", part->value,
			      "");
	if (subject_part_check(c->word, part->value))
		return refuse(j, "the subject has a value that is too long or malformed: ", part->value, "");
	if (strcmp(c->word, "CN") == 0)
		return take_common_name(j, part->value);
	if (!name_scope_has_part(&j->credential->scope, c->word, part->value))
		return refuse(j, "the credential does not prove ", part->value, " of the subject");
	return 0;
}

static int take_names(const struct judging *j)
{
	struct ca_request *r = j->r;
	int e;

	r->n_names = 0;
	r->names = arena_alloc(r->arena, (r->csr.n_names + 1) * sizeof(*r->names));
	if (!r->names)
		return -ENOMEM;
	/* One place is for a common name of the profile. */
	if (r->csr.n_parts >= REQUEST_SUBJECT_MAX)
		return refuse(j, "the subject has too many parts", "", "");
	e = take_alt_names(j);
	for (size_t i = 0; !e && i < r->csr.n_parts; i++)
		e = take_part(j, &r->csr.parts[i]);
	if (!e && r->n_names == 0 && r->csr.n_parts == 0)
		e = refuse(j, "the request asks for no name", "", "");
	return e ? e : request_hash_names(r);
}

int prove_by_credential(struct ca *ca, const struct ca_submission *s, struct ca_request *r,
			char why[static CA_REASON_SIZE], unsigned *pause_s)
{
	struct credential c;
	struct judging j = { &c, r, why };
	int e = s->evidence == CA_EVIDENCE_EAB && s->credential->secret.len ?
			CREDENTIAL_REFUSED :
			credentials_find(ca->core, s->credential, s->endpoint, s->profile, s->source_address, r->arena,
					 &c, pause_s);

	if (!e && c.requester && strcmp(c.requester, s->requester) != 0)
		e = CREDENTIAL_REFUSED;
	if (e)
		return e;
	r->credential_id = c.id;
	r->credential_text = c.text;
	r->is_any_scope = c.scope.is_any;
	r->is_credential_over = c.is_over;
	e = csr_parse(&r->csr, r->arena, s->request, why);
	/* What is no request may hold the challenge anywhere. */
	if (e == CA_STATUS_BAD_REQUEST)
		r->csr.der = bytes_of(NULL, 0);
	if (!e)
		e = take_names(&j);
	if (e < 0)
		return e;
	r->status = (enum ca_status)e;
	return 0;
}

/* An EAB key that has expired binds no more accounts; those it has bound go on. */
int prove_limit(struct ca *ca, const struct ca_submission *s, struct ca_request *r, char why[static CA_REASON_SIZE])
{
	struct credential c;
	struct judging j = { &c, r, why };
	unsigned pause_s;
	int e = credentials_find(ca->core, s->credential, s->endpoint, s->profile, s->source_address, r->arena, &c,
				 &pause_s);

	if (e > 0)
		snprintf(why, CA_REASON_SIZE, "%s", CREDENTIAL_REFUSED_TEXT);
	if (e)
		return e > 0 ? CREDENTIAL_REFUSED : e;
	r->limit_text = c.text;
	for (size_t i = 0; i < s->n_names; i++)
		if (!name_scope_has(&c.scope, s->names[i].kind, s->names[i].value)) {
			(void)refuse(&j, "the account's external account does not have ", s->names[i].value, "");
			return CREDENTIAL_REFUSED;
		}
	return 0;
}

void prove_subject(struct ca_request *r)
{
	for (size_t i = 0; i < r->csr.n_parts && r->n_subject < REQUEST_SUBJECT_MAX; i++) {
		const struct subject_component *c = issue_subject_component_of(r->csr.parts[i].oid);

		if (c)
			r->subject[r->n_subject++] = (struct subject_part){ c->word, r->csr.parts[i].value };
	}
}
