/* Certificates that were made elsewhere (T16, T17), and rows that are removed for ever (T20).
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <errno.h>
#include <stdio.h>
#include <strings.h>

#include "core/admin.h"
#include "core/admin_rights.h"
#include "core/base/base64.h"
#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/base/own.h"
#include "core/core_int.h"
#include "core/store_import.h"
#include "core/store_revoke.h"
#include "core/worker.h"

#define CERTIFICATE_MAX 65536
#define PURGE_BATCH 200
#define PURGE_TIME_MS 10000 /* of one call */

static int say(struct ca_outcome *out, int outcome, const char *reason)
{
	snprintf(out->reason, sizeof(out->reason), "%s", reason);
	return outcome;
}

/* ---- import ---- */

struct importing {
	struct ca_core *core;
	const struct ca_admin_caller *who;
	const struct ca_import *asked;
	struct ca *ca;
	struct imported facts;
	uint8_t spki_hash[SHA256_SIZE];
	struct store_import row;
};

/* Of the CA that has signed it, whichever of its keys. */
static bool find_issuer(struct importing *i)
{
	for (size_t c = 0; c < i->core->n_cas; c++) {
		struct ca *ca = &i->core->cas[c];

		for (unsigned k = 0; k < ca->n_keys; k++) {
			const struct issuer *issuer = ca->keys[k]->issuer;

			if (!bytes_equal(issuer_get_name(issuer), i->facts.issuer) ||
			    !issuer_verifies(issuer, i->facts.tbs, i->facts.signature))
				continue;
			i->ca = ca;
			i->row.key_id = ca->keys[k]->row;
			return true;
		}
	}
	return false;
}

static bool has_name(const struct ca_request *r, const struct ca_name *name)
{
	for (size_t i = 0; i < r->n_names; i++)
		if (r->names[i].kind == name->kind && strcasecmp(r->names[i].value, name->value) == 0)
			return true;
	return false;
}

/* Whoever waits gets no certificate with a name that he has not proven. */
static int check_row(const struct importing *i, const struct ca_request *r, struct ca_outcome *out)
{
	const char *why;
	int e = admin_check_officer(i->who, r->profile, r->requester, &why);

	if (e)
		return say(out, e, why);
	if (i->facts.has_other_names)
		return say(out, CA_ADMIN_INVALID, "it has a kind of name that the request does not have");
	for (size_t n = 0; n < i->facts.n_names; n++)
		if (!has_name(r, &i->facts.names[n]))
			return say(out, CA_ADMIN_INVALID, "it has a name that the request does not have");
	return i->facts.n_names || r->n_names == 0 ? 0 : say(out, CA_ADMIN_INVALID, "it has no names");
}

static void fill_row(struct importing *i, struct ca_request *r, char serial[static 2 * SERIAL_OCTETS_MAX + 1])
{
	i->row.facts = &i->facts;
	i->row.der = i->asked->certificate;
	i->row.r = r;
	i->row.actor = i->who->name;
	i->row.is_foreign = i->row.key_id == 0;
	i->row.is_existing = i->asked->is_existing;
	hex_print(i->facts.serial, serial);
	request_note(r, i->who->name, "import by=%s serial=%s%s", i->who->name, serial,
		     i->row.is_foreign ? " foreign" : "");
}

static int put(struct importing *i, struct ca_request *r, struct ca_outcome *out)
{
	char serial[2 * SERIAL_OCTETS_MAX + 1];
	int e;

	fill_row(i, r, serial);
	e = store_import(i->ca, &i->row);
	if (e == STORE_DUPLICATE)
		return say(out, CA_ADMIN_EXISTS, "there is a certificate with this serial");
	if (e == STORE_CHANGED)
		return say(out, CA_ADMIN_BAD_STATE, "the request changed meanwhile");
	if (e)
		return e;
	out->id = r->id;
	out->disposition = i->row.is_foreign ? CA_INCOMPLETE : CA_ISSUED;
	log_info("certificate.imported", "request", LOG_NUMBER(r->id), "ca", i->ca->name, "serial", serial, "by",
		 i->who->name);
	worker_kick(i->core->outbox);
	return i->row.is_foreign ? 0 : buf_append(&out->certificate, i->asked->certificate);
}

static int into_existing(struct importing *i, struct ca_outcome *out)
{
	OWNED(ca_request) r = NULL;
	unsigned n;
	int64_t id;
	int e = store_find_pending_key(i->core, i->ca->name, i->spki_hash, &n, &id);

	if (e)
		return e;
	if (n != 1)
		return say(out, CA_ADMIN_NO_MATCH, n ? "more than one pending request has this public key" :
						       "no pending request has this public key");
	e = flight_enter_id(i->core->flight, id, 0);
	if (e)
		return e < 0 ? e : say(out, CA_ADMIN_BAD_STATE, "another officer is acting on this request right now");
	e = store_load(i->core, id, &r);
	if (!e)
		e = check_row(i, r, out);
	if (!e)
		e = put(i, r, out);
	polls_forget(i->core->polls, id);
	flight_leave_id(i->core->flight, id);
	return e;
}

static int as_new(struct importing *i, struct ca_outcome *out)
{
	OWNED(ca_request) r = NULL;
	const char *why;
	int e = ca_request_new(&r);

	if (e)
		return e;
	r->profile = IMPORTED_PROFILE; /* as it is stored */
	r->requester = arena_printf(r->arena, "import:%s", i->who->name);
	r->names = i->facts.names;
	r->n_names = i->facts.n_names;
	e = r->requester ? request_hash_names(r) : -ENOMEM;
	if (e)
		return e;
	/* It has no profile of the configuration: who is limited needs a row for any, and for this requester. */
	e = admin_check_officer(i->who, r->profile, r->requester, &why);
	if (e)
		return say(out, e, why);
	r->id = ++i->core->last_id;
	return put(i, r, out);
}

/* A row that was brought back after a restore knows all of its certificate but the octets: those are taken, whatever
 * became of it, since this CA has signed them. `has_row`: there is such a row, and nothing else is to be done. */
static int complete(struct importing *i, bool *has_row, struct ca_outcome *out)
{
	OWNED(ca_request) r = NULL;
	char serial[2 * SERIAL_OCTETS_MAX + 1];
	const char *why;
	int64_t id;
	int e = store_find_serial(i->core, i->facts.serial, &id);

	*has_row = false;
	if (e)
		return e == CA_CALL_NOT_FOUND ? 0 : e;
	e = store_load(i->core, id, &r);
	if (e || r->certificate.len || r->key_id != i->row.key_id)
		return e;
	*has_row = true;
	e = admin_check_officer(i->who, r->profile, r->requester, &why);
	if (e)
		return say(out, e, why);
	fill_row(i, r, serial);
	e = store_complete(i->ca, &i->row);
	if (e == STORE_CHANGED)
		return say(out, CA_ADMIN_BAD_STATE, "the certificate changed meanwhile");
	if (e)
		return e;
	out->id = id;
	out->disposition = ca_state_disposition(r->state);
	log_info("certificate.completed", "request", LOG_NUMBER(id), "serial", serial, "by", i->who->name);
	return r->state == CA_STATE_ISSUED ? buf_append(&out->certificate, i->asked->certificate) : 0;
}

/* The CA that keeps a foreign certificate: the one that was named. */
static int use_ca(struct importing *i, struct ca_outcome *out)
{
	const char *name = i->asked->ca;
	bool is_ours = find_issuer(i);

	if (is_ours && name && core_find_ca(i->core, name) != i->ca)
		return say(out, CA_ADMIN_INVALID, "another CA of this core has issued it");
	if (is_ours)
		return 0;
	if (!i->asked->is_foreign || i->asked->is_existing)
		return say(out, CA_ADMIN_INVALID, "no CA of this core has signed it");
	i->ca = name ? core_find_ca(i->core, name) : &i->core->cas[0];
	return i->ca ? 0 : say(out, CA_ADMIN_NOT_FOUND, "there is no CA of that name");
}

int ca_admin_import(struct ca_core *core, const struct ca_admin_caller *who, const struct ca_import *asked,
		    struct ca_outcome *out)
{
	struct importing i = { .core = core, .who = who, .asked = asked };
	OWNED(arena) arena = NULL;
	bool is_blocked = false, has_row = false;
	int e = arena_new(&arena, 1u << 20);

	if (e)
		return e;
	if (!admin_has_right(who, ADMIN_RIGHT_DECIDE))
		return say(out, CA_ADMIN_NOT_PERMITTED, "only an officer imports certificates");
	if (core->is_closed)
		return say(out, CA_ADMIN_NO_ANSWER, "the CA is stopping");
	if (asked->certificate.len == 0 || asked->certificate.len > CERTIFICATE_MAX)
		return say(out, CA_ADMIN_INVALID, "a certificate has 1 to 65536 octets");
	e = imported_read(&i.facts, arena, asked->certificate);
	if (e)
		return e == -ENOMEM ? e : say(out, CA_ADMIN_INVALID, "that is no certificate (DER, version 3)");
	e = use_ca(&i, out);
	if (!e && i.row.key_id && !asked->is_existing)
		e = complete(&i, &has_row, out);
	if (e || has_row)
		return e;
	e = digest_sha256(i.facts.spki, i.spki_hash);
	if (!e)
		e = store_is_key_blocked(core, i.spki_hash, &is_blocked);
	if (e)
		return e;
	if (is_blocked && i.row.key_id)
		return say(out, CA_ADMIN_INVALID, "its private key is known to others");
	return asked->is_existing ? into_existing(&i, out) : as_new(&i, out);
}

/* ---- purge ---- */

int ca_admin_purge(struct ca_core *core, const struct ca_admin_caller *who, enum ca_purge what, int64_t before_ms,
		   uint64_t *n, bool *more, struct ca_outcome *out)
{
	enum store_purge rows = what == CA_PURGE_CERTIFICATES ? PURGE_CERTIFICATES : PURGE_REQUESTS;
	int64_t end = clock_mono_ms() + PURGE_TIME_MS;
	struct purge_place after = PURGE_START;
	size_t removed;
	int e;

	*n = 0;
	*more = false;
	if (!admin_has_right(who, ADMIN_RIGHT_PURGE))
		return say(out, CA_ADMIN_NOT_PERMITTED, "only an administrator who is an officer too removes rows");
	if (what != CA_PURGE_CERTIFICATES && what != CA_PURGE_REQUESTS)
		return say(out, CA_ADMIN_INVALID, "certificates or requests are purged");
	if (before_ms <= 0 || before_ms > clock_wall_ms())
		return say(out, CA_ADMIN_INVALID, "what is not over yet is never removed: the date is in the past");
	do {
		e = store_purge(core, rows, before_ms, who->name, PURGE_BATCH, &after, &removed, more);
		*n += e ? 0 : removed;
	} while (!e && *more && clock_mono_ms() < end);
	if (*n)
		log_info("rows.purged", "rows", LOG_NUMBER(*n), "by", who->name);
	return e;
}

/* ---- status ---- */

int ca_admin_cert_status(struct ca_core *core, const struct ca_admin_caller *who, struct bytes serial,
			 struct ca_cert_status *status, struct ca_outcome *out)
{
	OWNED(ca_request) r = NULL;
	int64_t id;
	int e;

	*status = (struct ca_cert_status){ .status = CA_CERT_NEVER_ISSUED };
	if (!admin_has_right(who, ADMIN_RIGHT_READ))
		return say(out, CA_ADMIN_NOT_PERMITTED, "only who may look asks for the status of a certificate");
	e = store_find_serial(core, serial, &id);
	if (e)
		return e == CA_CALL_NOT_FOUND ? 0 : e;
	e = store_load(core, id, &r);
	if (e)
		return e;
	status->status = r->state == CA_STATE_REVOKED ? CA_CERT_REVOKED :
			 r->state == CA_STATE_ISSUED  ? CA_CERT_VALID :
							CA_CERT_INCOMPLETE;
	status->request_id = id;
	status->revoked_ms = r->revoked_ms;
	status->reason = r->revoked_reason;
	status->not_after_s = r->not_after_s;
	status->is_expired = status->not_after_s < clock_wall_s();
	return 0;
}
