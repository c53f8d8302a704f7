/* The life of a CA's keys.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "core/lifecycle.h"

#include <errno.h>
#include <stdio.h>

#include "core/base/clock.h"
#include "core/base/own.h"
#include "core/issue.h"
#include "core/submit.h"
#include "core/x509/chain.h"

#define BACKDATE_S 600
#define CERTIFICATE_MAX 65536

void ca_life_result_fini(struct ca_life_result *r)
{
	buf_fini(&r->certificate);
	buf_fini(&r->request);
}

static int say(const struct ca_life *life, int outcome, const char *text)
{
	snprintf(life->why, LIFE_WHY_SIZE, "%s", text);
	return outcome;
}

/* The signer's no, or that it was started again meanwhile: the operator tries again. */
static int signer_said(int e)
{
	return e == SIGNER_UNKNOWN_KEY ? -EAGAIN : e > 0 ? LIFE_REFUSED : e;
}

/* ---- what a CA has ---- */

/* Its keys as far as they matter for what comes next. */
struct present {
	size_t n_keys;
	struct ca_key_row current, waiting; /* id 0: none */
};

static void fini_present(struct present *p)
{
	ca_key_row_fini(&p->current);
	ca_key_row_fini(&p->waiting);
}

static int look(const struct ca_life *life, const char *ca, struct present *p)
{
	int e = 0;

	*p = (struct present){ 0 };
	for (size_t n = 0; !e; n++) {
		struct ca_key_row row;
		struct ca_key_row *to = NULL;

		e = store_load_ca_key(life->db, ca, SIGNER_PURPOSE_CA, n, &row);
		p->n_keys += e == 0;
		if (!e && row.state == CA_KEY_CURRENT)
			to = &p->current;
		else if (!e && row.state == CA_KEY_WAITING)
			to = &p->waiting;
		if (to)
			*to = row;
		else
			ca_key_row_fini(&row);
	}
	return e == CA_CALL_NOT_FOUND ? 0 : e;
}

/* ---- a new key ---- */

struct fresh {
	struct buf sealed, spki, certificate;
	uint64_t key;           /* at the signer */
	int64_t not_before_s, not_after_s;
};
#define FRESH_INIT \
	{ .sealed = BUF_INIT(SIGNER_SEALED_MAX), .spki = BUF_INIT(SIGNER_SPKI_MAX), \
	  .certificate = BUF_INIT(CERTIFICATE_MAX) }

static void fini_fresh(struct fresh *f)
{
	buf_wipe(&f->sealed);
	buf_fini(&f->spki);
	buf_fini(&f->certificate);
}

static int make_key(const struct ca_life *life, const char *ca, const char *type, struct fresh *f)
{
	int e = signer_generate(life->signer, type, SIGNER_PURPOSE_CA, ca, &f->sealed, &f->spki, life->why);

	if (!e)
		e = signer_load(life->signer, buf_bytes(&f->sealed), SIGNER_PURPOSE_CA, ca, bytes_of(NULL, 0),
				&f->key, life->why);
	return signer_said(e);
}

static int load(const struct ca_life *life, const char *ca, struct bytes sealed, struct bytes certificates,
		uint64_t *key)
{
	return signer_said(signer_load(life->signer, sealed, SIGNER_PURPOSE_CA, ca, certificates, key, life->why));
}

/* Without a limit of the path: some who verify count a cross certificate against it, although RFC 5280 6.1.4 (l) does
 * not, and a signer certifies no other authorities anyway. */
#define NO_PATH_LIMIT (-1)

/* Sign a CA certificate with the key of this number, which `plan->by` says too. */
static int sign_ca(const struct ca_life *life, uint64_t key, const struct issue_ca *plan, struct buf *certificate)
{
	OWNED_BUF tbs = BUF_INIT(CERTIFICATE_MAX);
	OWNED_BUF signature = BUF_INIT(SIGNER_SIGNATURE_MAX);
	uint8_t serial[SERIAL_SIZE];
	int e = issue_serial(clock_wall_ms(), serial);

	if (!e)
		e = issue_build_ca(plan, serial, &tbs, life->why);
	if (e)
		return e > 0 ? LIFE_REFUSED : e;
	e = signer_said(signer_sign_certificate(life->signer, key, buf_bytes(&tbs), &signature, life->why));
	if (e)
		return e;
	e = plan->by ? issue_assemble(buf_bytes(&tbs), buf_bytes(&signature), plan->by, certificate) :
		       issue_assemble_root(buf_bytes(&tbs), buf_bytes(&signature), certificate);
	return e > 0 ? say(life, LIFE_REFUSED, "the signature that was made does not verify") : e;
}

static int sign_itself(const struct ca_life *life, const char *ca, struct bytes name, int64_t lifetime_s,
		       struct fresh *f)
{
	int64_t begin_s = clock_wall_s() - BACKDATE_S;
	const struct issue_ca plan = { .name = name, .spki = buf_bytes(&f->spki), .not_before_s = begin_s,
				       .not_after_s = begin_s + lifetime_s - 1, .path_len = NO_PATH_LIMIT };
	int e = sign_ca(life, f->key, &plan, &f->certificate);

	f->not_before_s = plan.not_before_s;
	f->not_after_s = plan.not_after_s;
	return e ? e : load(life, ca, buf_bytes(&f->sealed), buf_bytes(&f->certificate), &f->key);
}

static int sign_request(const struct ca_life *life, const struct fresh *f, struct bytes info, struct buf *request)
{
	OWNED_BUF signature = BUF_INIT(SIGNER_SIGNATURE_MAX);
	int e = signer_said(signer_sign_request(life->signer, f->key, info, &signature, life->why));

	return e ? e : issue_assemble_request(info, buf_bytes(&f->spki), buf_bytes(&signature), request);
}

/* ---- into the store ---- */

/* A conflict: somebody else was faster. */
static int store(const struct ca_life *life, const struct ca_key_change *change)
{
	int e = store_change_ca_key(life->db, change);

	return e == DB_CONFLICT ? say(life, LIFE_WRONG_STATE, "the keys of this CA were changed at the same time")
				: e;
}

static struct ca_key_change change_of(const struct ca_life *life, const char *ca, const char *action)
{
	return (struct ca_key_change){
		.ca = ca,
		.purpose = SIGNER_PURPOSE_CA,
		.now_ms = clock_wall_ms(),
		.actor = life->actor,
		.action = action,
	};
}

static int store_waiting(const struct ca_life *life, const char *ca, const char *action, const struct fresh *f,
			 const struct buf *request)
{
	struct ca_key_change change = change_of(life, ca, action);

	change.state = CA_KEY_WAITING;
	change.sealed = buf_bytes(&f->sealed);
	change.spki = buf_bytes(&f->spki);
	change.request = buf_bytes(request);
	return store(life, &change);
}

/* ---- create ---- */

static int create_root(const struct ca_life *life, const struct ca_life_plan *plan, struct fresh *f,
		       struct ca_life_result *out)
{
	struct ca_key_change change = change_of(life, plan->ca, "ca-init");
	OWNED_BUF name = BUF_INIT(4096);
	int e = issue_write_ca_name(&name, plan->ca, plan->organization, life->why);

	if (e)
		return e > 0 ? LIFE_REFUSED : e;
	e = sign_itself(life, plan->ca, buf_bytes(&name), plan->lifetime_s, f);
	if (e)
		return e;
	change.state = CA_KEY_CURRENT;
	change.sealed = buf_bytes(&f->sealed);
	change.spki = buf_bytes(&f->spki);
	change.certificate = buf_bytes(&f->certificate);
	e = store(life, &change);
	return e ? e : buf_append(&out->certificate, buf_bytes(&f->certificate));
}

static int create_request(const struct ca_life *life, const struct ca_life_plan *plan, struct fresh *f,
			  struct ca_life_result *out)
{
	OWNED_BUF info = BUF_INIT(CERTIFICATE_MAX);
	int e = issue_build_request(buf_bytes(&f->spki), plan->ca, plan->organization, &info, life->why);

	if (e)
		return e > 0 ? LIFE_REFUSED : e;
	e = sign_request(life, f, buf_bytes(&info), &out->request);
	return e ? e : store_waiting(life, plan->ca, "ca-request", f, &out->request);
}

int life_create(const struct ca_life *life, const struct ca_life_plan *plan, struct ca_life_result *out)
{
	struct present p;
	struct fresh f = FRESH_INIT;
	int e = look(life, plan->ca, &p);

	if (!e && p.n_keys)
		e = say(life, LIFE_EXISTS, "this CA exists already; nothing was changed");
	if (!e)
		e = make_key(life, plan->ca, plan->key_type, &f);
	if (!e)
		e = plan->is_intermediate ? create_request(life, plan, &f, out) : create_root(life, plan, &f, out);
	fini_present(&p);
	fini_fresh(&f);
	return e;
}

/* ---- import ---- */

static int check_import(const struct ca_life *life, const struct present *p, struct bytes certificates,
			struct bytes *own)
{
	const char *why = chain_check(certificates, buf_bytes(&p->waiting.spki), clock_wall_s(), own);
	bool same;

	if (why)
		return say(life, LIFE_REFUSED, why);
	if (!p->current.id)
		return 0;
	if (chain_same_subject(*own, buf_bytes(&p->current.certificate), &same))
		return -EBADMSG;
	return same ? 0
		    : say(life, LIFE_REFUSED,
			  "the certificate has another subject than the CA; a new key keeps the name of the old one");
}

int life_import(const struct ca_life *life, const char *ca, struct bytes certificates)
{
	struct ca_key_change change = change_of(life, ca, "ca-import");
	struct present p;
	struct bytes own = { NULL, 0 };
	uint64_t key;
	int e = look(life, ca, &p);

	if (!e && !p.n_keys)
		e = say(life, LIFE_NOT_FOUND, "there is no CA of that name");
	if (!e && !p.waiting.id)
		e = say(life, LIFE_WRONG_STATE, "no key of this CA waits for a certificate");
	if (!e)
		e = check_import(life, &p, certificates, &own);
	/* The signer looks for itself, and says now what it would say after the next start. */
	if (!e)
		e = load(life, buf_str(&p.waiting.ca), buf_bytes(&p.waiting.sealed), certificates, &key);
	if (!e) {
		change.row = p.waiting.id;
		change.state = CA_KEY_CURRENT;
		change.certificate = own;
		change.issuers = bytes_of(certificates.ptr + own.len, certificates.len - own.len);
		change.retires = p.current.id;
		e = store(life, &change);
	}
	fini_present(&p);
	return e;
}

/* ---- rollover ---- */

/* Both cross certificates, unless the old root has ended: then nobody verifies anything by it. */
static int cross(const struct ca_life *life, const struct ca_key_row *old, const struct fresh *f,
		 struct buf *new_with_old, struct buf *old_with_new)
{
	OWNED(issuer) old_issuer = NULL;
	OWNED(issuer) new_issuer = NULL;
	struct issue_ca plan = { .path_len = NO_PATH_LIMIT };
	int64_t old_begin_s, old_end_s;
	uint64_t old_key;
	int e = certificate_dates(buf_bytes(&old->certificate), &old_begin_s, &old_end_s);

	if (!e)
		e = issuer_new(&old_issuer, buf_bytes(&old->certificate));
	if (!e)
		e = issuer_new(&new_issuer, buf_bytes(&f->certificate));
	if (e || old_end_s <= clock_wall_s())
		return e;
	e = load(life, buf_str(&old->ca), buf_bytes(&old->sealed), buf_bytes(&old->certificate), &old_key);
	plan.name = issuer_get_name(old_issuer);
	plan.not_before_s = old_begin_s > f->not_before_s ? old_begin_s : f->not_before_s;
	plan.not_after_s = old_end_s < f->not_after_s ? old_end_s : f->not_after_s;
	plan.by = old_issuer;
	plan.spki = buf_bytes(&f->spki);
	if (!e)
		e = sign_ca(life, old_key, &plan, new_with_old);
	plan.by = new_issuer;
	plan.spki = buf_bytes(&old->spki);
	return e ? e : sign_ca(life, f->key, &plan, old_with_new);
}

static int roll_root(const struct ca_life *life, const struct ca_life_plan *plan, const struct ca_key_row *old,
		     struct fresh *f, struct ca_life_result *out)
{
	struct ca_key_change change = change_of(life, plan->ca, "ca-rollover");
	OWNED_BUF new_with_old = BUF_INIT(CERTIFICATE_MAX);
	OWNED_BUF old_with_new = BUF_INIT(CERTIFICATE_MAX);
	OWNED(issuer) issuer = NULL;
	int e = issuer_new(&issuer, buf_bytes(&old->certificate));

	if (!e)
		e = sign_itself(life, plan->ca, issuer_get_name(issuer), plan->lifetime_s, f);
	if (!e)
		e = cross(life, old, f, &new_with_old, &old_with_new);
	if (e)
		return e;
	change.state = CA_KEY_CURRENT;
	change.sealed = buf_bytes(&f->sealed);
	change.spki = buf_bytes(&f->spki);
	change.certificate = buf_bytes(&f->certificate);
	change.retires = old->id;
	change.new_with_old = buf_bytes(&new_with_old);
	change.old_with_new = buf_bytes(&old_with_new);
	e = store(life, &change);
	return e ? e : buf_append(&out->certificate, buf_bytes(&f->certificate));
}

static int roll_request(const struct ca_life *life, const struct ca_life_plan *plan, const struct ca_key_row *old,
			struct fresh *f, struct ca_life_result *out)
{
	OWNED_BUF info = BUF_INIT(CERTIFICATE_MAX);
	OWNED(issuer) issuer = NULL;
	int e = issuer_new(&issuer, buf_bytes(&old->certificate));

	if (!e)
		e = issue_build_request_of(issuer, buf_bytes(&f->spki), &info);
	if (!e)
		e = sign_request(life, f, buf_bytes(&info), &out->request);
	return e ? e : store_waiting(life, plan->ca, "ca-rollover", f, &out->request);
}

int life_rollover(const struct ca_life *life, const struct ca_life_plan *plan, struct ca_life_result *out)
{
	struct present p;
	struct fresh f = FRESH_INIT;
	int e = look(life, plan->ca, &p);

	if (!e && !p.n_keys)
		e = say(life, LIFE_NOT_FOUND, "there is no CA of that name");
	if (!e && p.waiting.id)
		e = say(life, LIFE_WRONG_STATE, "a key of this CA waits for its certificate already");
	if (!e && !p.current.id)
		e = say(life, LIFE_WRONG_STATE, "this CA has no key that could be replaced");
	if (!e && p.n_keys >= CA_KEYS_MAX)
		e = say(life, LIFE_WRONG_STATE, "this CA has had as many keys as one may have");
	if (!e)
		e = make_key(life, plan->ca, plan->key_type, &f);
	if (!e)
		e = p.current.issuers.len ? roll_request(life, plan, &p.current, &f, out) :
					    roll_root(life, plan, &p.current, &f, out);
	fini_present(&p);
	fini_fresh(&f);
	return e;
}
