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
#include "core/external.h"
#include "core/issue_int.h"

#define PROOFS_MAX 2

/* Everything that comes together while the names of one request are judged. */
struct judging {
	struct ca *ca;
	struct ca_request *r;
	struct credential shown[PROOFS_MAX]; /* as they were shown; that of the requester first */
	const struct credential *proofs[PROOFS_MAX]; /* in the order in which they are asked: those for any name last */
	size_t n;
	const struct credential *renewed; /* the certificate that is renewed; NULL */
	char *why;
};

static int refuse(char *why, const char *before, const char *name, const char *behind)
{
	char shown[96];

	log_escape(name, shown, sizeof(shown));
	snprintf(why, CA_REASON_SIZE, "%s%s%s", before, shown, behind);
	return CA_STATUS_BAD_NAME;
}

/* A name that is not proven. */
static int refuse_name(char *why, const char *before, const char *name)
{
	return refuse(why, before, name,
		      strchr(name, '*') ? "; a wildcard name needs a scope that writes it, as \\*.example.com" : "");
}

static bool proves_name(const struct credential *c, enum ca_name_kind kind, const char *value)
{
	return c->own ? csr_has_name(c->own, kind, value) : name_scope_has(&c->scope, kind, value);
}

static bool proves_part(const struct credential *c, const char *word, const struct csr_part *part)
{
	if (!c->own)
		return name_scope_has_part(&c->scope, word, part->value);
	for (size_t i = 0; i < c->own->n_parts; i++)
		if (bytes_equal(c->own->parts[i].oid, part->oid) &&
		    csr_same_value(c->own->parts[i].value, part->value))
			return true;
	return false;
}

/* What proves a name counts, whatever else was shown. */
static void note_proof(const struct judging *j, const struct credential *c)
{
	j->r->is_any_scope |= !c->own && c->scope.is_any;
}

static bool is_bound(const struct judging *j, enum ca_name_kind kind, const char *value)
{
	struct ca_name name = { .kind = kind, .value = value };

	return binding_has_name(j->r->by, &name);
}

static void add_name(const struct judging *j, enum ca_name_kind kind, const char *value, const struct credential *by)
{
	struct ca_request *r = j->r;

	note_proof(j, by);
	r->names[r->n_names++] = (struct ca_name){ kind, value, by->kind, by->text };
}

/* Names that a renewal wants and nothing proves: a person may, where the profile lets officers. */
static bool leave_to_officers(const struct judging *j)
{
	const struct ca_profile *p = core_find_profile(j->ca->core, j->r->profile);

	if (j->r->name_change == NAMES_AS_ASKED || !p || !p->lets_officers_name)
		return false;
	j->r->name_change = NAMES_UNPROVEN;
	return true;
}

static bool take_name(const struct judging *j, enum ca_name_kind kind, const char *value)
{
	struct ca_request *r = j->r;

	if (!is_bound(j, kind, value))
		return false;
	for (size_t i = 0; i < j->n; i++)
		if (proves_name(j->proofs[i], kind, value)) {
			add_name(j, kind, value, j->proofs[i]);
			return true;
		}
	if (!leave_to_officers(j))
		return false;
	r->names[r->n_names++] = (struct ca_name){ kind, value, CA_EVIDENCE_OFFICER, "asked for, proven by nothing" };
	return true;
}

static int take_alt_names(const struct judging *j)
{
	const struct csr *csr = &j->r->csr;

	if (csr->has_other_names)
		return refuse(j->why, "the request asks for a form of name that no credential proves", "", "");
	for (size_t i = 0; i < csr->n_names; i++)
		if (!take_name(j, csr->names[i].kind, csr->names[i].value))
			return refuse_name(j->why, "the credential does not prove ", csr->names[i].value);
	return 0;
}

/* A URI may look like a name of a machine and vouches for none. */
static bool has_name(const struct ca_request *r, const char *value)
{
	for (size_t i = 0; i < r->n_names; i++)
		if (r->names[i].kind != CA_NAME_URI && strcasecmp(r->names[i].value, value) == 0)
			return true;
	return false;
}

/* 0: not a name of a kind that goes into the SAN. A single word is one only if the scope says so: "printer7" is mostly
 * what a device is called, and `any` would make a DNS name of it. */
static enum ca_name_kind alt_kind(const struct credential *by, const char *cn, char name[static DNS_NAME_SIZE])
{
	struct ip_address address;
	char text[IP_TEXT_SIZE];

	if (ip_address_parse(&address, cn) == 0) {
		snprintf(name, DNS_NAME_SIZE, "%s", ip_address_print(&address, text));
		return CA_NAME_IP;
	}
	if (dns_name_normalise(bytes_of_str(cn), true, name))
		return 0;
	return strchr(name, '.') || !by->scope.is_any ? CA_NAME_DNS : 0;
}

/* Who reads a common name that looks like a name of a machine or a mailbox takes it for one; so an intermediary that is
 * not bound to that name does not bring it, whatever the credential says of common names. */
static bool is_common_name_bound(const struct judging *j, enum ca_name_kind kind, const char *cn, const char *name)
{
	if (strchr(cn, '@'))
		return is_bound(j, CA_NAME_EMAIL, cn);
	return kind == 0 || !strpbrk(name, ".:") || is_bound(j, kind, name);
}

/* The common name by one of the proofs: as a name of the SAN, or as it stands. 0; 1: not by this one; -ENOMEM. */
static int take_common_name_by(const struct judging *j, const struct credential *by, const struct csr_part *part)
{
	char name[DNS_NAME_SIZE];
	enum ca_name_kind kind = alt_kind(by, part->value, name);

	if (kind && is_bound(j, kind, name) && proves_name(by, kind, name)) {
		const char *copy = arena_strdup(j->r->arena, name);

		if (copy)
			add_name(j, kind, copy, by);
		return copy ? 0 : -ENOMEM;
	}
	/* What a wildcard name is good for, only a scope says that writes it. */
	if (!proves_part(by, "CN", part) || (kind && (by->scope.is_any || (!by->own && *name == '*'))) ||
	    !is_common_name_bound(j, kind, part->value, name))
		return 1;
	note_proof(j, by);
	return 0;
}

/* A name in the CN alone counts as asked for. */
static int take_common_name(const struct judging *j, const struct csr_part *part)
{
	char name[DNS_NAME_SIZE];
	enum ca_name_kind kind;
	const char *copy;
	int e = 1;

	if (has_name(j->r, part->value))
		return 0;
	for (size_t i = 0; e > 0 && i < j->n; i++)
		e = take_common_name_by(j, j->proofs[i], part);
	if (e <= 0)
		return e;
	/* What looks like a name is one to an officer too, and has to lie in the binding. */
	kind = alt_kind(j->proofs[0], part->value, name);
	copy = kind && strpbrk(name, ".:") ? arena_strdup(j->r->arena, name) : NULL;
	if (copy ? take_name(j, kind, copy) :
		   is_common_name_bound(j, kind, part->value, name) && leave_to_officers(j))
		return 0;
	return refuse_name(j->why, "the credential does not prove the common name ", part->value);
}

/* It is no name of the SAN, but who reads one there takes it for a host's or a person's. */
static bool is_part_bound(const struct judging *j, const char *word, const char *value)
{
	char name[DNS_NAME_SIZE];

	if (strcmp(word, "emailAddress") == 0)
		return is_bound(j, CA_NAME_EMAIL, value);
	if (strcmp(word, "UID") != 0 && strncmp(word, "unstructured", strlen("unstructured")) != 0)
		return true;
	return is_common_name_bound(j, alt_kind(j->proofs[0], value, name), value, name);
}

/* Which component, and what to do: it is the client's configuration that has it, or the administrator's scope. */
static int refuse_part(const struct judging *j, const struct csr_part *part)
{
	const struct subject_component *c = issue_subject_component_of(part->oid);
	char type[CSR_TYPE_SIZE], before[72];

	if (!c) {
		csr_print_type(part, type);
		return refuse(j->why, "the subject has the component ", type,
			      ", which this CA writes into no certificate; leave it out of the request");
	}
	if (subject_part_check(c->word, part->value)) {
		snprintf(before, sizeof(before), "the subject has a malformed or too long %s: ", c->word);
		return refuse(j->why, before, part->value, "");
	}
	snprintf(before, sizeof(before), "the credential does not prove %s=", c->word);
	return refuse(j->why, before, part->value, " of the subject; ask without it, or by a scope that has it");
}

static int take_part(const struct judging *j, const struct csr_part *part)
{
	const struct subject_component *c = issue_subject_component_of(part->oid);

	if (!c || subject_part_check(c->word, part->value))
		return refuse_part(j, part);
	if (strcmp(c->word, "CN") == 0)
		return take_common_name(j, part);
	if (!is_part_bound(j, c->word, part->value))
		return refuse(j->why, "this intermediary may not ask for ", part->value, "");
	for (size_t i = 0; i < j->n; i++)
		if (proves_part(j->proofs[i], c->word, part)) {
			note_proof(j, j->proofs[i]);
			return 0;
		}
	if (leave_to_officers(j))
		return 0;
	return refuse_part(j, part);
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
		return refuse(j->why, "the subject has too many parts", "", "");
	e = take_alt_names(j);
	for (size_t i = 0; !e && i < r->csr.n_parts; i++)
		e = take_part(j, &r->csr.parts[i]);
	if (!e && r->n_names == 0 && r->csr.n_parts == 0)
		e = refuse(j->why, "the request asks for no name", "", "");
	return e ? e : request_hash_names(r);
}

/* ---- renewal ---- */

/* In the SAN, or the common name, which counts as asked for. */
static bool names_it(const struct csr *csr, const struct csr_name *name)
{
	return csr_has_name(csr, name->kind, name->value) ||
	       (csr->common_name && strcasecmp(csr->common_name, name->value) == 0);
}

/* RFC 7030 4.2.2: subject and SAN of the request are those of the certificate. */
static bool has_same_names(const struct csr *asked, const struct csr *own)
{
	bool same = csr_same_subject(asked, own) && !asked->has_other_names && !own->has_other_names;

	for (size_t i = 0; same && i < asked->n_names; i++)
		same = names_it(own, &asked->names[i]);
	for (size_t i = 0; same && i < own->n_names; i++)
		same = names_it(asked, &own->names[i]);
	return same;
}

static int check_renewal_key(const struct judging *j)
{
	const struct ca_profile *p = core_find_profile(j->ca->core, j->r->profile);
	const char *wanted = p ? p->renewal_key : "any";
	bool same = bytes_equal(j->r->csr.spki, j->renewed->own->spki);

	if (strcmp(wanted, "any") == 0 || same == (strcmp(wanted, "same") == 0))
		return 0;
	snprintf(j->why, CA_REASON_SIZE, "profile %.64s renews with %s key", j->r->profile,
		 same ? "another" : "the same");
	return CA_STATUS_BAD_KEY;
}

/* Two more attributes for policy and people, which nobody else may set. */
static int note_renewal(const struct judging *j)
{
	int e = request_set_attribute(j->r, PROVE_RENEWS, j->renewed->serial, false);

	return e ? e : request_set_attribute(j->r, PROVE_RENEWED_NAMES, j->r->csr.wanted ? "changed" : "same", false);
}

/* 0, and a change of names stands in the place of what the request has besides; an `enum ca_status`; negative. */
static int begin_renewal(const struct judging *j)
{
	struct ca_request *r = j->r;
	int e = has_same_names(&r->csr, j->renewed->own) ?
			check_renewal_key(j) :
			refuse(j->why, "subject and names of a renewal are those of the certificate; ask anew for "
				       "others, or, where clients renew by EST, with the attribute ChangeSubjectName",
			       "", "");

	if (!e)
		e = note_renewal(j);
	if (e || !r->csr.wanted)
		return e;
	r->name_change = NAMES_CHANGED;
	return request_take_wanted(r);
}

/* ---- for one device ---- */

static bool is_word(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* As a word of its own: "C02" stands in "mac-C02.example.com" and not in "C021". */
static bool has_word(const char *text, const char *word, size_t n)
{
	for (const char *at = text; strlen(at) >= n; at++)
		if (strncasecmp(at, word, n) == 0 && (at == text || !is_word(at[-1])) && !is_word(at[n]))
			return true;
	return false;
}

/* Where a certificate says whose it is: common name, serial number, and the names of the SAN. */
static bool is_named(const struct csr *csr, const char *word, size_t n)
{
	for (size_t i = 0; i < csr->n_names; i++)
		if (has_word(csr->names[i].value, word, n))
			return true;
	for (size_t i = 0; i < csr->n_parts; i++) {
		const struct subject_component *c = issue_subject_component_of(csr->parts[i].oid);

		if (c && (strcmp(c->word, "CN") == 0 || strcmp(c->word, "serialNumber") == 0) &&
		    has_word(csr->parts[i].value, word, n))
			return true;
	}
	return false;
}

/* A challenge that was made for one device is for no other one, whatever names its scope has besides. */
static int check_device(const struct judging *j, const struct credential *c)
{
	for (const char *line = c->device; line && *line; line += strcspn(line, "\n"), line += *line == '\n')
		if (is_named(&j->r->csr, line, strcspn(line, "\n")))
			return 0;
	return refuse(j->why, "the credential is for one device, whose serial number or UDID neither the subject nor a "
			      "name of the request has", "", "");
}

static int judge(const struct judging *j)
{
	struct ca_request *r = j->r;
	int e = j->renewed ? begin_renewal(j) : 0;

	/* RFC 6402 2.8: it is about a certificate, and none is there. Nobody may get the old names unasked. */
	if (!j->renewed && r->csr.wanted)
		e = refuse(j->why, "ChangeSubjectName is for who renews by the certificate whose names change; others "
				   "ask for the new names in the request itself", "", "");
	for (size_t i = 0; !e && i < j->n; i++)
		if (j->shown[i].device && *j->shown[i].device)
			e = check_device(j, &j->shown[i]);
	if (!e)
		e = take_names(j);
	/* However the request writes them, they are the same names to rules about renewals. */
	if (!e && j->renewed && j->renewed->names_key && r->name_change == NAMES_AS_ASKED)
		memcpy(r->names_key, j->renewed->names_key, SHA256_SIZE);
	return e;
}

/* ---- all ---- */

static int find(struct judging *j, const struct ca_submission *s, const struct ca_credential_claim *claim,
		struct credential *out, unsigned *pause_s)
{
	*out = (struct credential){ 0 };
	if (claim->kind == CA_EVIDENCE_EXTERNAL)
		return external_find(j->ca->core, s, claim->message, j->r->arena, out);
	return credentials_find(j->ca->core, claim, s->endpoint, s->profile, s->source_address, j->r->arena, out,
				pause_s);
}

/* Both must be good. */
static int find_all(struct judging *j, const struct ca_submission *s, unsigned *pause_s)
{
	int e = s->evidence == CA_EVIDENCE_EAB && s->credential->secret.len ?
			CREDENTIAL_REFUSED :
			find(j, s, s->credential, &j->shown[0], pause_s);

	if (!e && j->shown[0].requester && strcmp(j->shown[0].requester, s->requester) != 0)
		e = CREDENTIAL_REFUSED;
	if (!e && s->also)
		e = find(j, s, s->also, &j->shown[1], pause_s);
	j->n = s->also ? 2 : 1;
	return e;
}

static void order(struct judging *j)
{
	for (size_t i = 0; i < j->n; i++) {
		const struct credential *c = &j->shown[i];

		j->proofs[i] = c;
		if (c->own && c->use == CA_CERTIFICATE_RENEW)
			j->renewed = c;
	}
	if (j->n == 2 && !j->proofs[0]->own && (j->proofs[1]->own || j->proofs[0]->scope.is_any)) {
		j->proofs[0] = &j->shown[1];
		j->proofs[1] = &j->shown[0];
	}
}

static void note_shown(const struct judging *j)
{
	const struct credential *first = &j->shown[0], *second = j->n > 1 ? &j->shown[1] : NULL;
	struct ca_request *r = j->r;

	r->credential_id = first->id;
	r->credential_text = first->text;
	r->credential_about = first->about;
	r->certificate_id = first->certificate_id;
	r->is_credential_over = first->is_over;
	r->renews_from_s = first->renews_from_s;
	if (!second)
		return;
	r->renews_from_s = 0;
	r->also_id = second->id;
	r->also_text = second->text;
	r->also_about = second->about;
	r->certificate_id += second->certificate_id; /* one of them is a certificate at most */
	r->is_credential_over |= second->is_over;
}

/* Whoever looks at what was refused wants to know who asked for what. Nothing of it is proven. */
static int keep_asked(struct ca_request *r)
{
	const struct csr *csr = &r->csr;

	r->n_names = 0;
	r->names = arena_alloc(r->arena, (csr->n_names + 1) * sizeof(*r->names));
	for (size_t i = 0; r->names && i < csr->n_names; i++)
		r->names[r->n_names++] = (struct ca_name){ csr->names[i].kind, csr->names[i].value, CA_EVIDENCE_NONE,
							   "asked for, proven by nothing" };
	return r->names ? 0 : -ENOMEM;
}

int prove_by_credential(struct ca *ca, const struct ca_submission *s, struct ca_request *r,
			char why[static CA_REASON_SIZE], unsigned *pause_s)
{
	struct judging j = { .ca = ca, .r = r, .why = why };
	int e = find_all(&j, s, pause_s);

	if (e)
		return e;
	order(&j);
	note_shown(&j);
	e = csr_parse(&r->csr, r->arena, s->request, why);
	/* What is no request may hold the challenge anywhere. */
	if (e == CA_STATUS_BAD_REQUEST)
		r->csr.der = bytes_of(NULL, 0);
	if (!e)
		e = judge(&j);
	if (e < 0)
		return e;
	r->status = (enum ca_status)e;
	return r->status ? keep_asked(r) : 0;
}

int prove_as_asked(struct ca *ca, const struct ca_submission *s, struct ca_request *r, char why[static CA_REASON_SIZE])
{
	struct judging j = { .ca = ca, .r = r, .why = why, .n = 1 };
	int e = csr_parse(&r->csr, r->arena, s->request, why);

	j.shown[0] = (struct credential){ .kind = s->evidence, .text = PROVE_AS_ASKED_TEXT, .scope.is_any = true };
	order(&j);
	if (!e)
		e = judge(&j);
	if (e < 0)
		return e;
	/* What the scope of the real one is, nobody said. */
	r->is_any_scope = false;
	r->status = (enum ca_status)e;
	return 0;
}

/* An EAB key that has expired binds no more accounts; those it has bound go on. */
int prove_limit(struct ca *ca, const struct ca_submission *s, struct ca_request *r, char why[static CA_REASON_SIZE])
{
	struct credential c;
	unsigned pause_s;
	int e = credentials_find(ca->core, s->credential, s->endpoint, s->profile, s->source_address, r->arena, &c,
				 &pause_s);

	if (e > 0)
		snprintf(why, CA_REASON_SIZE, "%s", CREDENTIAL_REFUSED_TEXT);
	if (e)
		return e > 0 ? CREDENTIAL_REFUSED : e;
	r->limit_id = c.id;
	r->limit_text = c.text;
	for (size_t i = 0; i < s->n_names; i++)
		if (!name_scope_has(&c.scope, s->names[i].kind, s->names[i].value)) {
			(void)refuse_name(why, "the account's external account does not have ",
					  s->names[i].value);
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
