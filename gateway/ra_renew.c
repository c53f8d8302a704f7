/* The next key of a registration authority: made by its signer, certified through the core like anybody's.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "gateway/ra_int.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/clock.h"
#include "core/base/digest.h"
#include "core/base/log.h"
#include "core/base/own.h"

#define PROFILE "scep-ra"

/* The key of the request under way: kept, so that a repeat after a restart is the same request. One that has its
 * certificate already was left there by a crash; one of another type was made before the configuration changed. 0;
 * positive: there is none. */
static int read_new_key(struct authority *a, struct ra_key *key, char why[static SIGNER_WHY_SIZE])
{
	struct gw_ra_key issued;
	char id[RA_ID_SIZE];
	uint64_t number;
	int e = gw_ra_read_file(a, NULL, &key->octets);

	if (e)
		return 1;
	e = gw_ra_make_id(buf_bytes(&key->octets.spki), id);
	if (e)
		return e;
	if (gw_ra_read_file(a, id, &issued) == 0) {
		gw_ra_key_fini(&issued);
		return 1;
	}
	return gw_ra_key_is_of_type(&key->octets, a->key_type) ? gw_ra_load(a, key, &number, why) : 1;
}

static int get_new_key(struct authority *a, struct ra_key *key, char why[static SIGNER_WHY_SIZE])
{
	int e = read_new_key(a, key, why);

	if (e <= 0)
		return e;
	gw_ra_key_fini(&key->octets);
	*key = (struct ra_key){ .octets = GW_RA_KEY_INIT };
	*why = '\0';
	e = signer_generate(a->ras->signer, a->key_type, SIGNER_PURPOSE_RA, a->endpoint, &key->octets.sealed,
			    &key->octets.spki, why);
	return e ? e : gw_ra_write_file(a, NULL, &key->octets);
}

static struct ca_name *make_names(const struct authority *a)
{
	struct ca_name *names = calloc(a->n_names + 1, sizeof(*names));
	unsigned char octets[16];

	for (size_t i = 0; names && i < a->n_names; i++) {
		bool is_ip =
			inet_pton(AF_INET, a->names[i], octets) == 1 || inet_pton(AF_INET6, a->names[i], octets) == 1;

		names[i] = (struct ca_name){ is_ip ? CA_NAME_IP : CA_NAME_DNS, a->names[i], CA_EVIDENCE_LOCAL_CONFIG,
					     "a name of the listener in the configuration" };
	}
	return names;
}

static int call_request(struct signer *s, uint64_t key, struct ra_work *w, char why[static SIGNER_WHY_SIZE])
{
	return gw_ra_key_request(s, key, w->in, w->asks->names, w->asks->n_names, w->signature, why);
}

static int make_request(struct authority *a, struct ra_key *key, struct buf *request,
			char why[static SIGNER_WHY_SIZE])
{
	struct ra_work w = { .call = call_request, .asks = a, .in = buf_bytes(&key->octets.spki),
			     .signature = request };

	return gw_ra_use(a, key, &w, why);
}

static int submit(struct authority *a, struct bytes request, struct bytes spki, struct ca_outcome *out)
{
	struct ca_name *names = make_names(a);
	char requester[128];
	struct ca_submission s = {
		.protocol = "internal", .endpoint = "internal", .profile = PROFILE, .requester = requester,
		.evidence = CA_EVIDENCE_LOCAL_CONFIG, .received_ms = clock_wall_ms(), .request = request,
		.names = names, .n_names = a->n_names,
	};
	int e = names ? digest_sha256_pieces((struct bytes[]){ bytes_of_str(PROFILE), bytes_of_str(a->endpoint), spki },
					     3, s.transaction_key) : -ENOMEM;

	snprintf(requester, sizeof(requester), "gateway:ra:%s", a->endpoint);
	if (!e)
		e = ca_submit(a->ca, &s, out);
	free(names);
	return e;
}

/* The file with the certificate first, then the one without goes. */
static int store_certificate(struct authority *a, struct gw_ra_key *key, const struct ca_outcome *out)
{
	char id[RA_ID_SIZE];
	int e = gw_ra_key_take(key, buf_bytes(&out->certificate), buf_bytes(&out->chain));

	if (!e)
		e = gw_ra_make_id(buf_bytes(&key->spki), id);
	if (!e)
		e = gw_ra_write_file(a, id, key);
	if (!e)
		gw_ra_remove_file(a, NULL);
	return e;
}

/* One that is not in force by this clock stays in the folder until it is. */
static bool take_certificate(struct authority *a, struct ra_key *key, const struct ca_outcome *out)
{
	char from[CLOCK_TEXT_SIZE], to[CLOCK_TEXT_SIZE];
	int e = store_certificate(a, &key->octets, out);
	bool is_in_force = !e && gw_ra_is_in_force(&key->octets, clock_wall_s());

	if (e) {
		gw_ra_set_state(a, "the certificate cannot be stored in %s: %s", a->ras->folder, strerror(-e));
		return false;
	}
	clock_print_s(key->octets.not_before_s, from);
	clock_print_s(key->octets.not_after_s, to);
	log_info("ra.certificate", "endpoint", a->endpoint, "not_before", from, "not_after", to);
	if (is_in_force) {
		e = gw_ra_add_key(a, key);
		*key = (struct ra_key){ .octets = GW_RA_KEY_INIT };
	}
	if (e)
		gw_ra_set_state(a, "its certificate cannot be taken: %s", strerror(-e));
	else if (!is_in_force)
		gw_ra_set_state(a, "its new certificate is good from %s to %s, not now: look at the clock", from, to);
	else
		gw_ra_set_state(a, "%s", "");
	return true;
}

/* A request that ended badly stays as it is under its transaction key: the next one is another. */
static void begin_anew(struct authority *a, struct ra_key *key)
{
	gw_ra_remove_file(a, NULL);
	if (key->signer)
		(void)signer_unload(a->ras->signer, key->signer);
}

static bool take_answer(struct authority *a, struct ra_key *key, int e, const struct ca_outcome *out)
{
	if (e < 0)
		gw_ra_set_state(a, "the core failed: %s", strerror(-e));
	else if (e > 0)
		gw_ra_set_state(a, "%s", *out->reason ? out->reason : "the core is busy");
	else if (out->disposition == CA_UNDER_SUBMISSION || out->disposition == CA_INCOMPLETE)
		gw_ra_set_state(a, "request %lld waits for approval", (long long)out->id);
	else if (out->disposition != CA_ISSUED)
		gw_ra_set_state(a, "request %lld was refused: %s %s", (long long)out->id, ca_status_word(out->status),
			  out->reason);
	else
		return take_certificate(a, key, out);
	if (e == 0 && (out->disposition == CA_ERROR || out->disposition == CA_REVOKED))
		begin_anew(a, key);
	return false;
}

bool gw_ra_obtain(struct authority *a)
{
	OWNED_CA_OUTCOME out = CA_OUTCOME_INIT;
	OWNED_BUF request = BUF_INIT(CA_REQUEST_MAX);
	struct ra_key key = { .octets = GW_RA_KEY_INIT };
	char why[SIGNER_WHY_SIZE] = "";
	bool is_issued = false;
	int e = get_new_key(a, &key, why);

	if (!e)
		e = make_request(a, &key, &request, why);
	if (e)
		gw_ra_set_state(a, "its key cannot be made: %s",
			  *why ? why : gw_ra_is_away(e) ? "the signer is away" : strerror(-e));
	else
		is_issued = take_answer(a, &key, submit(a, buf_bytes(&request), buf_bytes(&key.octets.spki), &out),
					&out);
	gw_ra_key_fini(&key.octets);
	return is_issued;
}

int64_t gw_ra_due_s(const struct gw_ra_key *key)
{
	return key->not_before_s + (key->not_after_s - key->not_before_s) / 3 * 2;
}

bool gw_ra_is_due(struct authority *a)
{
	OWNED_BUF chain = BUF_INIT(GW_RA_CHAIN_MAX);
	int64_t now = clock_wall_s();
	const struct ra_key *key = gw_ra_newest_key(a, now);

	if (!key || now >= gw_ra_due_s(&key->octets) || !gw_ra_key_is_of_type(&key->octets, a->key_type))
		return true;
	return ca_get_chain(a->ca, &chain) == 0 &&
	       !gw_ra_is_same_issuer(gw_ra_first_of(buf_bytes(&chain)), gw_ra_first_of(buf_bytes(&key->octets.chain)));
}
