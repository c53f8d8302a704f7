/* Challenges on demand.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "core/delegate.h"

#include <errno.h>
#include <stdio.h>

#include "core/base/clock.h"
#include "core/base/ip.h"
#include "core/base/log.h"
#include "core/base/own.h"
#include "core/credentials.h"
#include "core/store_credentials.h"

#define CHALLENGE_OCTETS ((CA_CHALLENGE_SIZE - 1) / 2)
#define DETAIL_SIZE 256

/* One call. */
struct delegating {
	struct ca *ca;
	const struct ca_delegation *d;
	struct ca_delegated *out;
	struct arena *arena;
	const char *endpoint, *profile;
	struct credential by; /* who asks */
};

static int say(struct ca_delegated *out, int outcome, unsigned retry_after_s, const char *reason)
{
	out->retry_after_s = retry_after_s;
	snprintf(out->reason, sizeof(out->reason), "%s", reason);
	return outcome;
}

/* ---- who asks, and for what ---- */

/* Outcomes of the call, and its place in the configuration. */
static int find_place(struct delegating *g, const struct binding *by)
{
	const struct ca_credential_claim *claim = g->d->claim;
	const struct conf_section *endpoint;
	struct ip_address source;

	if (!claim->endpoint || !binding_has_endpoint(by, claim->endpoint))
		return say(g->out, CA_CALL_REFUSED, 0, "this intermediary is not bound to that endpoint");
	endpoint = core_find_endpoint(g->ca->core, claim->endpoint);
	if (!endpoint || !conf_str(endpoint, "profile") || core_find_ca(g->ca->core, conf_str(endpoint, "ca")) != g->ca)
		return say(g->out, CA_CALL_REFUSED, 0, "this CA has no such endpoint");
	g->endpoint = claim->endpoint;
	g->profile = conf_str(endpoint, "profile");
	if (!binding_has_profile(by, g->profile))
		return say(g->out, CA_CALL_REFUSED, 0, "this intermediary is not bound to that endpoint's profile");
	if (claim->source_address && ip_address_parse(&source, claim->source_address))
		return say(g->out, CA_CALL_REFUSED, 0, "the client's address is none");
	if ((g->d->serial_number && !ca_is_device_value(g->d->serial_number)) ||
	    (g->d->udid && !ca_is_device_value(g->d->udid)))
		return say(g->out, CA_CALL_REFUSED, 0,
			   "a serial number or UDID has up to 64 letters, digits, '-', '.' and '_'");
	return 0;
}

static int find_credential(struct delegating *g)
{
	const struct ca_credential_claim *claim = g->d->claim;
	unsigned pause_s = 0;
	int e;

	if (claim->kind != CA_EVIDENCE_USER && claim->kind != CA_EVIDENCE_TOKEN)
		return say(g->out, CA_CALL_REFUSED, 0, CREDENTIAL_REFUSED_TEXT);
	e = credentials_find(g->ca->core, claim, g->endpoint, g->profile, claim->source_address, g->arena, &g->by,
			     &pause_s);
	if (e == CREDENTIAL_LATER)
		return say(g->out, CA_CALL_BUSY, pause_s, "too many wrong credentials; try again later");
	if (e > 0)
		return say(g->out, CA_CALL_REFUSED, 0, CREDENTIAL_REFUSED_TEXT);
	if (e)
		return e;
	if (g->by.is_over) {
		log_warn("challenge.refused", "by", g->by.text, "endpoint", g->endpoint, "why",
			 "it has ended or is used up");
		return say(g->out, CA_CALL_REFUSED, 0, CREDENTIAL_REFUSED_TEXT);
	}
	if (g->by.delegates)
		return 0;
	log_warn("challenge.refused", "by", g->by.text, "endpoint", g->endpoint, "why",
		 "it may have no challenges made: --delegates");
	return say(g->out, CA_CALL_NOT_PERMITTED, 0, "this credential may have no challenges made");
}

/* ---- the challenge ---- */

/* Without the line break at its end: "any" is one word to who counts. */
static int fill_scope(const struct delegating *g, const char **out)
{
	const char *filled;
	size_t n;
	int e = credential_fill_scope(g->arena, g->by.scope_text, g->d->serial_number, g->d->udid, &filled);

	if (e)
		return e != -EMSGSIZE ?
			       e :
			       say(g->out, CA_CALL_NOT_PERMITTED, 0, "with this device its scope is too long");
	n = strlen(filled);
	*out = arena_strndup(g->arena, bytes_of(filled, n && filled[n - 1] == '\n' ? n - 1 : n));
	if (!*out)
		return -ENOMEM;
	if (**out)
		return 0;
	log_warn("challenge.refused", "by", g->by.text, "endpoint", g->endpoint, "why",
		 *g->by.scope_text ? "nothing of its scope is left without serial number and UDID of a device" :
				     "its scope is empty");
	return say(g->out, CA_CALL_NOT_PERMITTED, 0, "this credential proves no name of such a device");
}

/* Upper case hexadecimal, as the pages have it that MDM systems read. */
static int make_challenge(char out[static CA_CHALLENGE_SIZE])
{
	static const char digits[] = "0123456789ABCDEF";
	uint8_t octets[CHALLENGE_OCTETS];
	int e = random_octets(octets, sizeof(octets));

	for (size_t i = 0; !e && i < sizeof(octets); i++) {
		*out++ = digits[octets[i] >> 4];
		*out++ = digits[octets[i] & 15];
	}
	*out = '\0';
	explicit_bzero(octets, sizeof(octets));
	return e;
}

/* The lines of which a request must name one; NULL: none. */
static const char *bound_device(const struct delegating *g)
{
	const char *serial_number = g->d->serial_number, *udid = g->d->udid;

	if (!g->d->is_bound || (!serial_number && !udid))
		return NULL;
	return arena_printf(g->arena, "%s%s%s", serial_number ? serial_number : "", serial_number && udid ? "\n" : "",
			    udid ? udid : "");
}

static void print_detail(const struct delegating *g, const char *scope, char out[static DETAIL_SIZE])
{
	const char *serial_number = g->d->serial_number, *udid = g->d->udid;

	snprintf(out, DETAIL_SIZE, "by=%s%s%s%s%s%s", g->by.text, serial_number ? " serialNumber=" : "",
		 serial_number ? serial_number : "", udid ? " udid=" : "", udid ? udid : "",
		 strcmp(scope, "any") == 0 ? " scope=any" : "");
}

static int write_challenge(struct delegating *g, const char *scope, const uint8_t hash[static SHA256_SIZE])
{
	unsigned lifetime_s = g->d->lifetime_s && g->d->lifetime_s < CA_DELEGATED_MAX_S ? g->d->lifetime_s :
											  CA_DELEGATED_MAX_S;
	int64_t now_ms = clock_wall_ms();
	char detail[DETAIL_SIZE];
	struct credential_insert row = {
		.kind = CA_EVIDENCE_CHALLENGE, .note = "", .actor = g->by.requester, .endpoints = g->endpoint,
		.profiles = g->profile, .scope = scope, .secret = bytes_of(hash, SHA256_SIZE),
		.delegated_by = g->by.id, .device = bound_device(g), .detail = detail, .now_ms = now_ms,
		.until_ms = now_ms + (int64_t)lifetime_s * 1000, .uses = 1,
	};
	struct delegation_insert d = { &row, g->by.text, g->by.delegates };
	int e;

	print_detail(g, scope, detail);
	e = store_add_delegated(g->ca->core, &d);
	g->out->id = row.id;
	g->out->until_ms = row.until_ms;
	return e;
}

static int make(struct delegating *g)
{
	const char *scope = NULL;
	uint8_t hash[SHA256_SIZE];
	int e = fill_scope(g, &scope);

	if (!e)
		e = make_challenge(g->out->challenge);
	if (!e)
		e = digest_sha256(bytes_of_str(g->out->challenge), hash);
	if (!e)
		e = write_challenge(g, scope, hash);
	if (e == STORE_FULL) {
		log_warn("challenge.refused", "by", g->by.text, "endpoint", g->endpoint, "why",
			 "as many as it may have wait to be used");
		return say(g->out, CA_CALL_FULL, 0, "as many challenges as this credential may have wait to be used");
	}
	if (e == STORE_SPENT)
		return say(g->out, CA_CALL_REFUSED, 0, CREDENTIAL_REFUSED_TEXT);
	if (e == -ENOSPC || e == -EBUSY)
		return say(g->out, CA_CALL_BUSY, 30, "the store cannot write; try again later");
	if (!e)
		log_info("challenge.delegated", "challenge", LOG_NUMBER(g->out->id), "by", g->by.text, "endpoint",
			 g->endpoint, "serial-number", g->d->serial_number ? g->d->serial_number : "", "udid",
			 g->d->udid ? g->d->udid : "");
	return e;
}

int delegate_challenge(struct ca *ca, const struct binding *by, const struct ca_delegation *d,
		       struct ca_delegated *out)
{
	struct delegating g = { .ca = ca, .d = d, .out = out };
	OWNED(arena) arena = NULL;
	int e;

	if (ca->core->is_closed)
		return say(out, CA_CALL_BUSY, 5, "the CA is stopping");
	e = arena_new(&arena, 1u << 20);
	g.arena = arena;
	if (!e)
		e = find_place(&g, by);
	if (!e)
		e = find_credential(&g);
	if (!e)
		e = make(&g);
	if (e)
		explicit_bzero(out->challenge, sizeof(out->challenge));
	return e;
}
