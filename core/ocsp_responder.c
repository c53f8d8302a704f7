/* Delegated OCSP responders.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "core/ocsp_responder.h"

#include <errno.h>
#include <stdio.h>

#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/base/own.h"
#include "core/keys.h"
#include "core/store_ocsp.h"
#include "core/x509/key.h"

#define BACKDATE_S 600

struct ocsp_responder *ocsp_responder_hold(struct ocsp_responder *r)
{
	atomic_fetch_add(&r->refs, 1);
	return r;
}

void ocsp_responder_drop(struct ocsp_responder **rp)
{
	struct ocsp_responder *r = *rp;

	*rp = NULL;
	if (!r || atomic_fetch_sub(&r->refs, 1) > 1)
		return;
	buf_wipe(&r->sealed);
	buf_fini(&r->certificate);
	free(r);
}

/* The last certificate of a key that is about to end lasts as long as the key. */
bool ocsp_responder_is_due(const struct ocsp_responder *r, const struct ca_key *key, int64_t now_s)
{
	int64_t half_s = (r->not_after_s - r->not_before_s) / 2;

	return now_s > r->not_before_s + half_s && r->not_after_s < key->not_after_s;
}

static int load_key(struct ocsp_responder *r, char why[static SIGNER_WHY_SIZE])
{
	uint64_t number;
	int e = signer_load(r->core->signer, buf_bytes(&r->sealed), SIGNER_PURPOSE_OCSP, r->ca, bytes_of(NULL, 0),
			    &number, why);

	if (!e)
		r->signer = number;
	return e;
}

/* The key is loaded: what the row says of it becomes what answers. */
static int make_responder(struct ca_key *key, const struct ocsp_responder_row *row, struct ocsp_responder **out,
			  char why[static SIGNER_WHY_SIZE])
{
	OWNED(ocsp_responder) r = calloc(1, sizeof(*r));
	struct bytes public_key;
	int e;

	if (!r)
		return -ENOMEM;
	*r = (struct ocsp_responder){ .refs = 1, .core = key->ca->core, .ca = key->ca->name, .row = row->id,
				      .sealed = BUF_INIT(SIGNER_SEALED_MAX), .certificate = BUF_INIT(65536),
				      .algorithm = signature_algorithm_of(buf_bytes(&row->spki)),
				      .not_before_s = row->not_before_s, .not_after_s = row->not_after_s };
	if (!r->algorithm.ptr || public_key_of(buf_bytes(&row->spki), &public_key))
		return -EINVAL;
	e = digest_of(DIGEST_SHA1, public_key, r->key_hash);
	if (!e)
		e = buf_append(&r->sealed, buf_bytes(&row->sealed));
	if (!e)
		e = buf_append(&r->certificate, buf_bytes(&row->certificate));
	if (!e)
		e = load_key(r, why);
	if (!e)
		*out = MOVE(r);
	return e;
}

/* The signer signs such a certificate only for a key that it has loaded for this purpose. */
static int load_planned(struct ca_key *key, const struct ocsp_responder_row *row, char why[static SIGNER_WHY_SIZE])
{
	uint64_t number;

	return signer_load(key->ca->core->signer, buf_bytes(&row->sealed), SIGNER_PURPOSE_OCSP, key->ca->name,
			   bytes_of(NULL, 0), &number, why);
}

static int sign_planned(struct ca_key *key, struct ocsp_responder_row *row, char why[static SIGNER_WHY_SIZE])
{
	OWNED_BUF signature = BUF_INIT(SIGNER_SIGNATURE_MAX);
	int e = load_planned(key, row, why);

	if (!e)
		e = keys_sign(key, buf_bytes(&row->tbs), &signature, why);
	if (!e)
		e = issue_assemble(buf_bytes(&row->tbs), buf_bytes(&signature), key->issuer, &row->certificate);
	if (!e)
		e = store_add_responder(key->ca->core, key, row, clock_wall_ms());
	if (!e)
		log_info("ocsp.responder", "ca", key->ca->name, "key", LOG_NUMBER(key->index), "not_after",
			 clock_print_s(row->not_after_s, (char[CLOCK_TEXT_SIZE]){ 0 }));
	return e;
}

static int build(struct ca_key *key, struct ocsp_responder_row *row, char why[static CA_REASON_SIZE])
{
	int64_t now_s = clock_wall_s();
	char name[CA_REASON_SIZE];
	struct responder_plan plan = { .issuer = key->issuer, .common_name = name, .spki = buf_bytes(&row->spki),
				       .not_before_s = now_s - BACKDATE_S };

	snprintf(name, sizeof(name), "%s OCSP", key->ca->name);
	if (subject_part_check("CN", name))
		snprintf(name, sizeof(name), "OCSP responder");
	if (plan.not_before_s < key->not_before_s)
		plan.not_before_s = key->not_before_s;
	plan.not_after_s = plan.not_before_s + OCSP_RESPONDER_LIFETIME_S - 1;
	if (plan.not_after_s > key->not_after_s)
		plan.not_after_s = key->not_after_s;
	if (issue_serial(clock_wall_ms(), plan.serial))
		return -EIO;
	memcpy(row->serial, plan.serial, SERIAL_SIZE);
	row->not_before_s = plan.not_before_s;
	row->not_after_s = plan.not_after_s;
	return issue_build_responder(&plan, &row->tbs, why);
}

/* A client that verifies an RSA chain may not know elliptic curves; a P-384 key would cost thirty signatures of P-256
 * and protects what is good for an hour. */
static const char *key_type_for(const struct ca_key *key)
{
	return strcmp(issuer_get_key_type(key->issuer), KEY_TYPE_RSA) == 0 ? "rsa-3072" : "ec-p256";
}

/* Another certificate for the key of `row` when it has one: a signer has places for so many keys, and a responder's is
 * no worse for having been used for a week. */
static int plan_new(struct ca_key *key, struct ocsp_responder_row *row, char why[static CA_REASON_SIZE])
{
	struct ca_core *core = key->ca->core;
	int e = 0;

	buf_reset(&row->tbs);
	buf_reset(&row->certificate);
	row->key_id = key->row;
	if (!row->sealed.len) {
		buf_reset(&row->spki);
		e = signer_generate(core->signer, key_type_for(key), SIGNER_PURPOSE_OCSP, key->ca->name, &row->sealed,
				    &row->spki, why);
	}
	if (!e)
		e = build(key, row, why);
	return e ? e : store_plan_responder(core, row, clock_wall_ms());
}

static bool is_worth_keeping(const struct ocsp_responder_row *row, const struct ca_key *key)
{
	const struct ocsp_responder span = { .not_before_s = row->not_before_s, .not_after_s = row->not_after_s };

	return row->sealed.len && !ocsp_responder_is_due(&span, key, clock_wall_s());
}

int ocsp_responder_get(struct ca_key *key, struct ocsp_responder **out, char why[static CA_REASON_SIZE])
{
	struct ocsp_responder_row row;
	int e = store_load_responder(key->ca->core, key->row, &row);

	if (e == CA_CALL_NOT_FOUND || (!e && !is_worth_keeping(&row, key)))
		e = plan_new(key, &row, why);
	if (!e && !row.certificate.len)
		e = sign_planned(key, &row, why);
	if (!e)
		e = make_responder(key, &row, out, why);
	ocsp_responder_row_fini(&row);
	if (e < 0 && !*why)
		snprintf(why, CA_REASON_SIZE, "%s", strerror(-e));
	return e;
}

/* One of those who find out that the signer was started again loads the key for all. */
static int load_again(struct ocsp_responder *r, uint64_t unknown, char why[static SIGNER_WHY_SIZE])
{
	int e = 0;

	pthread_mutex_lock(&r->core->key_turn);
	if (r->signer == unknown)
		e = load_key(r, why);
	pthread_mutex_unlock(&r->core->key_turn);
	return e;
}

int ocsp_responder_sign(struct ocsp_responder *r, struct bytes data, struct buf *signature,
			char why[static SIGNER_WHY_SIZE])
{
	uint64_t number = r->signer;
	int e = signer_sign_ocsp(r->core->signer, number, data, signature, why);

	if (e != SIGNER_UNKNOWN_KEY)
		return e;
	e = load_again(r, number, why);
	return e ? e : signer_sign_ocsp(r->core->signer, r->signer, data, signature, why);
}
