/* The keys of the CAs at the signer.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "core/keys.h"

#include <errno.h>

#include <openssl/crypto.h>

#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/store.h"

/* The sealed key goes to the signer again; what the core knows of the CA stays. */
static int load_row(struct ca *ca, const struct ca_key_row *row, char why[static SIGNER_WHY_SIZE])
{
	uint64_t key;
	int e = signer_load(ca->core->signer, buf_bytes(&row->sealed), SIGNER_PURPOSE_CA, ca->name,
			    buf_bytes(&row->certificate), &key, why);

	if (!e)
		ca->key = key;
	return e;
}

static int use_row(struct ca *ca, const struct ca_key_row *row, char why[static SIGNER_WHY_SIZE])
{
	int e = load_row(ca, row, why);

	ca->key_row = row->id;
	if (!e)
		e = buf_append(&ca->certificate, buf_bytes(&row->certificate));
	if (!e)
		e = certificate_dates(buf_bytes(&row->certificate), &ca->not_before_s, &ca->not_after_s);
	return e ? e : issuer_new(&ca->issuer, buf_bytes(&row->certificate));
}

static int load_ca_key(struct ca *ca, const struct conf_section *conf, struct conf_error *error)
{
	struct ca_key_row row;
	char why[SIGNER_WHY_SIZE] = "";
	int e = store_load_ca_key(ca->core->db, ca->name, &row);

	if (e == CA_CALL_NOT_FOUND) {
		conf_refuse(conf, "name", error,
			    "there is no CA '%s' yet; create it with: gatehouse ca init --name '%s'", ca->name,
			    ca->name);
	} else if (!e) {
		e = use_row(ca, &row, why);
		if (e) {
			conf_refuse(conf, "name", error, "the key of CA '%s' cannot be used: %s", ca->name,
				    why[0] ? why : strerror(-e));
			e = -EKEYREJECTED;
		} else if (ca->not_after_s < clock_wall_s()) {
			e = conf_refuse(conf, "name", error, "the certificate of CA '%s' has expired", ca->name);
		}
	}
	buf_wipe(&row.sealed);
	buf_fini(&row.certificate);
	return e == CA_CALL_NOT_FOUND ? CA_CORE_NO_CA : e;
}

static bool has_ca(struct ca_core *core)
{
	bool answer;

	return store_has_ca_keys(core->db, &answer) || answer;
}

static int say_no_ca(struct ca_core *core, struct conf_error *error)
{
	conf_refuse(core->conf, "cas", error, "there is no CA yet; create one with: gatehouse ca init --name '%s'",
		    core->cas[0].name);
	return CA_CORE_NO_CA;
}

static int start_in_process(struct ca_core *core, struct conf_error *error)
{
	uint8_t kek[CA_KEK_SIZE];
	int e = ca_core_load_kek(core->conf, kek, error);

	if (!e)
		e = signer_new(&core->signer, kek);
	OPENSSL_cleanse(kek, sizeof(kek));
	return e;
}

static int start_behind_link(struct ca_core *core, struct conf_error *error)
{
	enum signer_memory memory;
	int e;

	if (!has_ca(core))
		return say_no_ca(core, error);
	e = signer_connect(&core->signer, core->env.signer);
	if (!e)
		e = signer_ask_memory(core->signer, &memory);
	if (e)
		conf_refuse(core->conf, "cas", error, "the signer does not answer: %s", strerror(-e));
	else
		core->signer_memory = (int)memory;
	return e;
}

int keys_start(struct ca_core *core, struct conf_error *error)
{
	int e = core->env.signer ? start_behind_link(core, error) : start_in_process(core, error);

	for (size_t i = 0; !e && i < core->n_cas; i++)
		e = load_ca_key(&core->cas[i], conf_section_at(core->conf, "cas", i), error);
	return e;
}

/* ---- a signer that was started again ---- */

/* With the turn held. What the signer refuses to load now it may load after its next start: nothing is final here. 0;
 * positive: this key is not loaded, other CAs are none the worse; negative: the signer is away. */
static int load_again(struct ca *ca)
{
	char why[SIGNER_WHY_SIZE] = "";
	uint64_t before = ca->key;
	struct ca_key_row row;
	int e = store_load_ca_key(ca->core->db, ca->name, &row) ? CA_CALL_NOT_FOUND : 0;

	if (!e)
		e = load_row(ca, &row, why);
	if (e && !ca->is_key_refused)
		log_error("signer.reload.failed", "ca", ca->name, "why",
			  why[0] ? why : e < 0 ? strerror(-e) : "it cannot be read from the store");
	if (!e && (ca->key != before || ca->is_key_refused))
		log_info("signer.reload", "ca", ca->name);
	ca->is_key_refused = e > 0;
	buf_wipe(&row.sealed);
	buf_fini(&row.certificate);
	return e;
}

/* `unknown` is the number that the signer does not know; one of those who find out loads the key for all. */
static int renew_key(struct ca *ca, uint64_t unknown)
{
	int e = 0;

	pthread_mutex_lock(&ca->core->key_turn);
	if (ca->key == unknown)
		e = load_again(ca);
	pthread_mutex_unlock(&ca->core->key_turn);
	return e;
}

int keys_sign(struct ca *ca, struct bytes tbs, struct buf *signature, char why[static SIGNER_WHY_SIZE])
{
	struct ca_core *core = ca->core;
	uint64_t key = ca->key;
	int e = signer_sign_certificate(core->signer, key, tbs, signature, why);

	if (e == SIGNER_UNKNOWN_KEY) {
		e = renew_key(ca, key);
		/* It answers: only this CA waits. */
		if (e > 0)
			return -EKEYREJECTED;
		if (!e)
			e = signer_sign_certificate(core->signer, ca->key, tbs, signature, why);
		/* Started once more in between: the next try will find it. */
		if (e == SIGNER_UNKNOWN_KEY)
			e = -EAGAIN;
	}
	core->is_signer_failing = e < 0;
	return e;
}

const char *keys_away(const struct ca *ca)
{
	if (ca->core->is_signer_failing)
		return "the signer does not answer";
	return ca->is_key_refused ? "the signer does not load the key of this CA" : NULL;
}

static bool is_any_away(const struct ca_core *core)
{
	bool is_away = core->is_signer_failing;

	for (size_t i = 0; i < core->n_cas; i++)
		is_away |= core->cas[i].is_key_refused;
	return is_away;
}

bool keys_probe(struct ca_core *core)
{
	enum signer_memory memory;
	int e;

	if (!is_any_away(core))
		return true;
	e = signer_ask_memory(core->signer, &memory);
	pthread_mutex_lock(&core->key_turn);
	for (size_t i = 0; e >= 0 && i < core->n_cas; i++)
		e = load_again(&core->cas[i]);
	pthread_mutex_unlock(&core->key_turn);
	if (e < 0) {
		core->is_signer_failing = true;
		return false;
	}
	core->signer_memory = (int)memory;
	if (core->is_signer_failing)
		log_info("signer.back");
	core->is_signer_failing = false;
	return true;
}
