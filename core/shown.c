/* Certificates that clients show.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "core/shown.h"

#include <errno.h>
#include <stdio.h>
#include <strings.h>

#include "core/base/base64.h"
#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/base/own.h"
#include "core/base/utf8.h"
#include "core/store_credentials.h"
#include "core/store_revoke.h"
#include "core/x509/chain.h"
#include "core/x509/device.h"
#include "core/x509/imported.h"

#define DEVICE_ID_OCTETS 16
#define LISTED_ROOM (512u << 10) /* one that is listed: 64 KiB of certificates, and its scope twice */
#define SCOPE_UNFIT_TEXT "with its names the scope that was listed is no scope"
#define ABOUT_MAX 160

/* Everything that comes together while one certificate is judged. */
struct finding {
	struct ca_core *core;
	const struct ca_credential_claim *claim;
	const struct conf_section *endpoint;
	const char *endpoint_name;
	const struct ca_profile *profile; /* that of the endpoint */
	struct arena *arena;
	struct credential *out;
	const char *why;                  /* it is not good */
};

/* A positive result of what judges: the reason stands in `why`. */
#define NOT_GOOD 1

static int not_good(struct finding *f, const char *why)
{
	f->why = why;
	return NOT_GOOD;
}

/* How requesters of the endpoint's protocol are called. */
static const char *protocol_of(const struct finding *f)
{
	const char *protocol = conf_module(f->endpoint);

	return protocol ? protocol : "est";
}

/* ---- keys of this core ---- */

static bool is_key_of_core(const void *arg, struct bytes spki)
{
	const struct ca_core *core = arg;
	struct bytes key;

	if (public_key_of(spki, &key))
		return true;
	for (size_t c = 0; c < core->n_cas; c++)
		for (unsigned k = 0; k < core->cas[c].n_keys; k++)
			if (bytes_equal(issuer_get_public_key(core->cas[c].keys[k]->issuer), key))
				return true;
	return false;
}

static bool is_signed_by_core(struct finding *f, struct bytes certificate)
{
	struct imported frame;

	if (imported_read(&frame, f->arena, certificate))
		return true;
	for (size_t c = 0; c < f->core->n_cas; c++)
		for (unsigned k = 0; k < f->core->cas[c].n_keys; k++) {
			const struct issuer *issuer = f->core->cas[c].keys[k]->issuer;

			if (bytes_equal(issuer_get_name(issuer), frame.issuer) &&
			    issuer_verifies(issuer, frame.tbs, frame.signature))
				return true;
		}
	return false;
}

/* ---- what it proves ---- */

/* Shown in timelines, behind the name of what proved. */
static const char *about(struct finding *f, const char *what, const char *text)
{
	char shown[ABOUT_MAX];

	log_escape(text, shown, sizeof(shown));
	return arena_printf(f->arena, " trust=%s %s=\"%.*s\"", ca_trust_word(f->out->trust), what,
			    utf8_fit(shown, sizeof(shown) - 1), shown);
}

/* As the row of the administrator has it. */
static int prove_by_row(struct finding *f, const struct credential_row *row, const char *scope)
{
	char why[CA_REASON_SIZE];
	int e;

	f->out->id = row->id;
	f->out->kind = row->kind;
	f->out->text = arena_printf(f->arena, "%s %s", credential_kind_word(row->kind), row->name);
	f->out->is_over = (row->until_ms && row->until_ms < clock_wall_ms()) || row->uses_left == 0;
	e = name_scope_parse(&f->out->scope, f->arena, scope, why);
	if (e == -EINVAL)
		return not_good(f, SCOPE_UNFIT_TEXT);
	return e ? e : f->out->text && f->out->requester && f->out->about ? 0 : -ENOMEM;
}

static int check_time(struct finding *f, int64_t not_before_s, int64_t not_after_s, int64_t grace_s)
{
	int64_t now_s = clock_wall_s();

	if (now_s < not_before_s)
		return not_good(f, "it is not in force yet");
	return now_s > not_after_s + grace_s ? not_good(f, "it has ended") : 0;
}

static int check_blocked(struct finding *f, const uint8_t spki_hash[static SHA256_SIZE])
{
	bool is_blocked = false;
	int e = store_is_key_blocked(f->core, spki_hash, &is_blocked);

	return e || !is_blocked ? e : not_good(f, "its private key is known to others");
}

/* ---- those who are listed ---- */

/* One kind of them. `judge`: is the certificate that of this one? `prove`: what that proves. Both as judges, with room
 * for what is not kept. */
struct listed_kind {
	enum ca_evidence_kind kind;
	const char *none; /* why, when nobody fits */
	int (*judge)(struct finding *f, const struct device *shown, const struct credential_found *c,
		     struct arena *room);
	int (*prove)(struct finding *f, const struct device *shown, const struct credential_row *row,
		     struct arena *room);
};

static int try_listed(struct finding *f, const struct listed_kind *k, const struct device *shown, int64_t id)
{
	struct credential_found c = { 0 };
	OWNED(arena) room = NULL;
	int e = arena_new(&room, LISTED_ROOM);

	if (!e)
		e = store_load_credential(f->core, id, room, &c);
	if (e)
		return e == CA_CALL_NOT_FOUND ? NOT_GOOD : e;
	e = k->judge(f, shown, &c, room);
	return e ? e : k->prove(f, shown, &c.row, room);
}

/* The first that fits, and what is used up or over comes last. Each is read by itself: all of them may be large. */
static int find_listed(struct finding *f, const struct listed_kind *k, const struct device *shown)
{
	int64_t ids[CREDENTIAL_LISTED_MAX];
	size_t n;
	int e = store_live_credentials(f->core, k->kind, f->endpoint_name, f->profile->name, ids, &n);

	f->why = k->none;
	for (size_t i = 0; !e && i < n; i++) {
		e = try_listed(f, k, shown, ids[i]);
		if (e != NOT_GOOD)
			return e;
		e = 0;
	}
	return e ? e : NOT_GOOD;
}

/* ---- RA ---- */

static bool is_listed(const struct credential_found *c, const struct device *shown, struct arena *arena,
		      struct bytes *issuers)
{
	struct bytes first;
	struct device listed;

	if (device_split(c->secret, &first, issuers) || device_read(&listed, arena, first))
		return false;
	return c->row.is_by_name ? bytes_equal(listed.issuer, shown->issuer) &&
					   bytes_equal(listed.subject, shown->subject) :
				   bytes_equal(listed.spki, shown->spki);
}

/* By name a certificate of another CA counts only under the issuers that were listed with it; with a row of this core
 * its octets are known. By key whoever has the key counts, unless this core had issued what was listed: then only what
 * has a row, which an officer can revoke. */
static int check_listed(struct finding *f, const struct credential_found *c, struct bytes issuers)
{
	struct bytes first, rest;
	const char *why;

	if (f->out->certificate_id)
		return 0;
	if (!c->row.is_by_name)
		return device_split(c->secret, &first, &rest) || is_signed_by_core(f, first) ?
			       not_good(f, "this core has issued the one that was listed, and not this one") : 0;
	why = issuers.len ? device_verify(f->claim->certificate, f->claim->chain, issuers, clock_wall_s(),
					  is_key_of_core, f->core) :
			    "it is another one than was listed, and no issuer was listed with that";
	return why ? not_good(f, why) : 0;
}

static int judge_ra(struct finding *f, const struct device *shown, const struct credential_found *c,
		    struct arena *room)
{
	struct bytes issuers;
	int e = check_time(f, shown->not_before_s, shown->not_after_s, 0);

	if (!e && !is_listed(c, shown, room, &issuers))
		return NOT_GOOD;
	return e ? e : check_listed(f, c, issuers);
}

static int prove_ra(struct finding *f, const struct device *shown, const struct credential_row *row,
		    struct arena *room)
{
	(void)room;
	f->out->trust = CA_TRUST_RA;
	f->out->requester = arena_printf(f->arena, "%s:ra:%s", protocol_of(f), row->name);
	f->out->about = about(f, "certificate", shown->subject_text);
	return prove_by_row(f, row, row->scope);
}

static const struct listed_kind registration_authorities = {
	CA_EVIDENCE_RA, "it is that of a registration authority, and none that is listed for this endpoint", judge_ra,
	prove_ra,
};

/* ---- OWN ---- */

static bool is_profile_taken(const struct finding *f, const char *profile)
{
	if (strcmp(profile, f->profile->name) == 0)
		return true;
	for (const char *const *p = f->profile->renewable_from; p && *p; p++)
		if (strcmp(*p, profile) == 0)
			return true;
	return false;
}

static bool is_ca_taken(const struct finding *f, const char *ca)
{
	if (strcasecmp(ca, conf_str(f->endpoint, "ca")) == 0)
		return true;
	for (size_t i = 0; i < conf_count(f->endpoint, "older-cas"); i++)
		if (strcasecmp(ca, conf_str_at(f->endpoint, "older-cas", i)) == 0)
			return true;
	return false;
}

static int check_own(struct finding *f, const struct ca_request *row, const struct device *shown)
{
	bool renews = f->claim->use == CA_CERTIFICATE_RENEW;
	int64_t grace_s = renews ? conf_duration_ms(f->endpoint, "renewal-grace") / 1000 : 0;
	int64_t window_s = renews ? conf_duration_ms(f->endpoint, "renewal-window") / 1000 : 0;

	if (!is_ca_taken(f, row->ca))
		return not_good(f, "another CA of this core has issued it; see endpoints: older-cas");
	if (!is_profile_taken(f, row->profile))
		return not_good(f, "it was issued under another profile; see profiles: renewable-from");
	f->out->renews_from_s = window_s ? shown->not_after_s - window_s : 0;
	return check_time(f, shown->not_before_s, shown->not_after_s, grace_s);
}

/* "est:ra:NAME": a registration authority, whose devices must not speak in its name. */
static bool is_for_others(const char *requester)
{
	const char *kind = strchr(requester, ':');

	return kind && strncmp(kind, ":ra:", 4) == 0;
}

static int prove_own(struct finding *f, const struct ca_request *row)
{
	struct credential *out = f->out;
	struct csr *own = arena_alloc(f->arena, sizeof(*own));
	const char *protocol = protocol_of(f);
	char serial[2 * SERIAL_OCTETS_MAX + 1];
	struct bytes octets;
	int e = own ? csr_read_certificate(own, f->arena, f->claim->certificate) : -ENOMEM;

	if (e)
		return e == -EINVAL ? not_good(f, "it has names of a form that no request may have") : e;
	if (certificate_serial(f->claim->certificate, &octets))
		return -EBADMSG;
	hex_print(octets, serial);
	out->kind = CA_EVIDENCE_CERTIFICATE;
	out->trust = CA_TRUST_OWN;
	out->own = own;
	out->use = f->claim->use;
	out->text = arena_printf(f->arena, "certificate of request %lld", (long long)row->id);
	out->about = about(f, out->use == CA_CERTIFICATE_RENEW ? "renews" : "serial", serial);
	out->serial = arena_strdup(f->arena, serial);
	/* What officers changed is not what was asked for, and so no renewal of it to rules. */
	out->names_key = row->is_edited ? NULL : arena_copy(f->arena, bytes_of(row->names_key, SHA256_SIZE)).ptr;
	/* Who renews is who asked first, as long as that was in the same protocol, and not for others. */
	out->requester = strcmp(row->protocol, protocol) == 0 && !is_for_others(row->requester) ?
				 arena_strdup(f->arena, row->requester) :
				 arena_printf(f->arena, "%s:cert:%lld", protocol, (long long)row->id);
	return out->text && out->about && out->serial && (out->names_key || row->is_edited) && out->requester ?
		       0 : -ENOMEM;
}

/* There is a row whose certificate has these octets: that it verifies was seen when it was written. */
static int judge_row(struct finding *f, const struct ca_request *row)
{
	struct device shown;
	int e;

	if (row->state != CA_STATE_ISSUED)
		return not_good(f, row->state == CA_STATE_REVOKED ? "it is revoked" : "this core has not issued it");
	if (strcmp(row->endpoint, INTERNAL_ENDPOINT) == 0 || core_is_own_profile(row->profile))
		return not_good(f, "it is the gateway's own");
	e = check_blocked(f, row->spki_hash);
	if (e)
		return e;
	e = device_read(&shown, f->arena, f->claim->certificate);
	if (e)
		return e == -EINVAL ? not_good(f, "it cannot be read") : e;
	f->out->certificate_id = row->id;
	if (shown.is_ra)
		return find_listed(f, &registration_authorities, &shown);
	e = check_own(f, row, &shown);
	return e ? e : prove_own(f, row);
}

/* 0 with a row, or without one. */
static int find_row(struct finding *f, struct ca_request **row)
{
	OWNED(ca_request) found = NULL;
	struct bytes serial;
	int64_t id;
	int e = certificate_serial(f->claim->certificate, &serial) ? CA_CALL_NOT_FOUND :
								    store_find_serial(f->core, serial, &id);

	if (!e)
		e = store_load(f->core, id, &found);
	if (e)
		return e == CA_CALL_NOT_FOUND ? 0 : e;
	if (bytes_equal(buf_bytes(&found->certificate), f->claim->certificate))
		*row = MOVE(found);
	return 0;
}

/* ---- VENDOR ---- */

int shown_fill_scope(struct arena *arena, const char *scope, const char *serial_number, const char *common_name,
		     const char **out)
{
	const struct scope_word words[] = { { SCOPE_SERIAL_NUMBER, serial_number }, { "{CN}", common_name } };

	return name_scope_fill(arena, scope, words, sizeof(words) / sizeof(*words), out);
}

/* The same device for as long as it has this key. */
static const char *device_requester(struct finding *f, const char *vendor, struct bytes spki)
{
	uint8_t hash[SHA256_SIZE];
	char text[2 * DEVICE_ID_OCTETS + 1];

	if (digest_sha256(spki, hash))
		return NULL;
	hex_print(bytes_of(hash, DEVICE_ID_OCTETS), text);
	return arena_printf(f->arena, "%s:vendor:%s:%s", protocol_of(f), vendor, text);
}

static int judge_vendor(struct finding *f, const struct device *shown, const struct credential_found *c,
			struct arena *room)
{
	const char *why = device_verify(f->claim->certificate, f->claim->chain, c->secret, clock_wall_s(),
					is_key_of_core, f->core);

	(void)shown;
	(void)room;
	return why ? not_good(f, why) : 0;
}

static int prove_vendor(struct finding *f, const struct device *shown, const struct credential_row *row,
			struct arena *room)
{
	const char *scope;
	int e = shown_fill_scope(room, row->scope, shown->serial_number, shown->common_name, &scope);

	if (e)
		return e == -EMSGSIZE ? not_good(f, SCOPE_UNFIT_TEXT) : e;
	f->out->trust = CA_TRUST_VENDOR;
	f->out->requester = device_requester(f, row->name, shown->spki);
	f->out->about = about(f, "device", shown->subject_text);
	return prove_by_row(f, row, scope);
}

static const struct listed_kind vendors = {
	CA_EVIDENCE_VENDOR, "no vendor is listed for this endpoint, and this core has not issued it", judge_vendor,
	prove_vendor,
};

/* ---- all ---- */

static int judge_stranger(struct finding *f)
{
	uint8_t hash[SHA256_SIZE];
	struct device shown;
	int e = device_read(&shown, f->arena, f->claim->certificate);

	if (e)
		return e == -EINVAL ? not_good(f, "it cannot be read") : e;
	e = digest_sha256(shown.spki, hash);
	if (!e)
		e = check_blocked(f, hash);
	if (e)
		return e;
	if (is_signed_by_core(f, f->claim->certificate))
		return not_good(f, "a key of this core has signed it, and there is no record of it");
	if (shown.is_ra)
		return find_listed(f, &registration_authorities, &shown);
	if (f->claim->use == CA_CERTIFICATE_RENEW)
		return not_good(f, "only what this core has issued can be renewed");
	return find_listed(f, &vendors, &shown);
}

static int judge(struct finding *f)
{
	OWNED(ca_request) row = NULL;
	int e;

	if (!f->endpoint || !f->profile)
		return not_good(f, "the endpoint is not configured");
	if (f->claim->certificate.len == 0)
		return not_good(f, "there is none");
	e = find_row(f, &row);
	return e ? e : row ? judge_row(f, row) : judge_stranger(f);
}

int shown_find(struct ca_core *core, const struct ca_credential_claim *claim, const char *endpoint,
	       struct arena *arena, struct credential *out, const char **why)
{
	const struct conf_section *conf = core_find_endpoint(core, endpoint);
	const char *profile = conf ? conf_str(conf, "profile") : NULL;
	struct finding f = { core, claim, conf, endpoint, profile ? core_find_profile(core, profile) : NULL, arena, out,
			     NULL };
	int e;

	*out = (struct credential){ 0 };
	e = judge(&f);
	*why = f.why;
	return e == NOT_GOOD ? CREDENTIAL_REFUSED : e;
}

/* ---- listing ---- */

static int say(char why[static CA_REASON_SIZE], const char *text)
{
	snprintf(why, CA_REASON_SIZE, "%s", text);
	return CA_ADMIN_INVALID;
}

static int check_ra(struct ca_core *core, const struct credential_spec *spec, struct bytes der, struct device *first,
		    char why[static CA_REASON_SIZE])
{
	struct bytes issuers, own;
	const char *wrong;

	(void)device_split(der, &own, &issuers);
	if (!first->is_ra || first->is_ca)
		return say(why, "the first certificate is that of the registration authority, and its extended key "
				"usage has both clientAuth and id-kp-cmcRA (1.3.6.1.5.5.7.3.28)");
	if (issuers.len && !spec->is_by_name)
		return say(why, "a registration authority that is listed by its key needs its own certificate alone");
	wrong = issuers.len ? device_check_anchors(issuers, clock_wall_s(), is_key_of_core, core) : NULL;
	return wrong ? say(why, wrong) : 0;
}

int shown_check_listed(struct ca_core *core, const struct credential_spec *spec, struct buf *der, char *about_text,
		       size_t about_size, char why[static CA_REASON_SIZE])
{
	OWNED(arena) arena = NULL;
	struct device first;
	struct bytes own, rest;
	const char *wrong;
	int e = chain_read(spec->certificates, der);

	if (e == -EINVAL || e == -EMSGSIZE)
		return say(why, "the certificates are in PEM or DER, 64 KiB at most");
	if (!e)
		e = arena_new(&arena, 1u << 20);
	if (!e)
		e = device_split(buf_bytes(der), &own, &rest) || device_read(&first, arena, own) ? -EINVAL : 0;
	if (e)
		return e == -EINVAL ? say(why, "the first certificate cannot be read") : e;
	snprintf(about_text, about_size, "%.*s", utf8_fit(first.subject_text, about_size - 1),
		 first.subject_text);
	if (spec->kind == CA_EVIDENCE_RA)
		return check_ra(core, spec, buf_bytes(der), &first, why);
	wrong = device_check_anchors(buf_bytes(der), clock_wall_s(), is_key_of_core, core);
	return wrong ? say(why, wrong) : 0;
}
