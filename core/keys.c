/* The keys of the CAs at the signer.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "core/keys.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include <openssl/crypto.h>

#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/store.h"

struct ca_key *ca_find_key(const struct ca *ca, int64_t row)
{
	for (unsigned i = 0; i < ca->n_keys; i++)
		if (ca->keys[i]->row == row)
			return ca->keys[i];
	return NULL;
}

int keys_append_chain(const struct ca_key *key, struct buf *out)
{
	return buf_append(out, buf_bytes(&key->certificate));
}

int keys_append_chain_of(const struct ca *ca, unsigned index, struct buf *out)
{
	for (unsigned i = 0; i < ca->n_keys; i++)
		if (ca->keys[i]->index == index)
			return keys_append_chain(ca->keys[i], out);
	return CA_CALL_NOT_FOUND;
}

static void free_key(struct ca_key *key)
{
	buf_fini(&key->certificate);
	issuer_drop(&key->issuer);
	free(key);
}

void keys_free(struct ca *ca)
{
	for (unsigned i = 0; i < ca->n_keys; i++)
		free_key(ca->keys[i]);
}

/* The sealed key goes to the signer; what the core knows of it stays. */
static int load_row(struct ca_key *key, const struct ca_key_row *row, char why[static SIGNER_WHY_SIZE])
{
	uint64_t number;
	int e = signer_load(key->ca->core->signer, buf_bytes(&row->sealed), SIGNER_PURPOSE_CA, key->ca->name,
			    buf_bytes(&row->certificate), &number, why);

	if (!e)
		key->signer = number;
	return e;
}

static int new_key(struct ca_key **out, struct ca *ca, const struct ca_key_row *row)
{
	struct ca_key *key = calloc(1, sizeof(*key));
	int e;

	if (!key)
		return -ENOMEM;
	*key = (struct ca_key){
		.ca = ca, .row = row->id, .index = row->position, .certificate = BUF_INIT(65536)
	};
	e = buf_append(&key->certificate, buf_bytes(&row->certificate));
	if (!e)
		e = certificate_dates(buf_bytes(&key->certificate), &key->not_before_s, &key->not_after_s);
	if (!e)
		e = issuer_new(&key->issuer, buf_bytes(&key->certificate));
	if (e)
		free_key(key);
	else
		*out = key;
	return e;
}

/* From now on others see it. A key that the signer does not load waits: it may after its next start. */
static int add_key(struct ca *ca, const struct ca_key_row *row, char why[static SIGNER_WHY_SIZE])
{
	struct ca_key *key = NULL;
	int e = ca->n_keys < CA_KEYS_MAX ? new_key(&key, ca, row) : -ENOSPC;

	if (!e)
		e = load_row(key, row, why);
	if (e < 0 && key)
		free_key(key);
	if (e < 0)
		return e;
	key->is_refused = e > 0;
	ca->keys[ca->n_keys] = key;
	ca->n_keys++;
	if (row->state == CA_KEY_CURRENT)
		ca->current = key;
	return e;
}

/* 0: it can sign. CA_CALL_NOT_FOUND: it has no key. Another positive: its current key is not loaded. */
static int load_ca_keys(struct ca *ca, char why[static SIGNER_WHY_SIZE])
{
	int e = 0, found = CA_CALL_NOT_FOUND;

	for (size_t n = 0; !e; n++) {
		struct ca_key_row row;
		char refused[SIGNER_WHY_SIZE] = "";

		e = store_load_ca_key(ca->core->db, ca->name, SIGNER_PURPOSE_CA, n, &row);
		if (!e && row.state != CA_KEY_WAITING) {
			int added = add_key(ca, &row, refused);

			if (added)
				log_error("ca.key.refused", "ca", ca->name, "key", LOG_NUMBER(row.position), "why",
					  refused[0] ? refused : strerror(-added));
			if (row.state == CA_KEY_CURRENT) {
				found = added;
				snprintf(why, SIGNER_WHY_SIZE, "%s", refused);
			}
			e = added < 0 ? added : 0;
		}
		ca_key_row_fini(&row);
	}
	return e == CA_CALL_NOT_FOUND ? found : e;
}

static int refuse_ca(struct ca *ca, const struct conf_section *conf, int e, const char *why, struct conf_error *error)
{
	if (e == CA_CALL_NOT_FOUND) {
		conf_refuse(conf, "name", error,
			    "there is no CA '%s' yet; create it with: gatehouse ca init --name '%s'", ca->name,
			    ca->name);
		return CA_CORE_NO_CA;
	}
	conf_refuse(conf, "name", error, "the key of CA '%s' cannot be used: %s", ca->name,
		    why[0] ? why : strerror(-e));
	return -EKEYREJECTED;
}

/* A CA that cannot sign does not stop the others; when none can there is nothing to start. */
static int load_all_keys(struct ca_core *core, struct conf_error *error)
{
	int first = 0;
	bool can_any = false;

	for (size_t i = 0; i < core->n_cas; i++) {
		const struct conf_section *conf = conf_section_at(core->conf, "cas", i);
		char why[SIGNER_WHY_SIZE] = "";
		struct conf_error wrong = { 0 };
		int e = load_ca_keys(&core->cas[i], why);

		can_any |= e == 0;
		if (!e)
			continue;
		e = refuse_ca(&core->cas[i], conf, e, why, &wrong);
		log_error("ca.unusable", "ca", core->cas[i].name, "why", wrong.text);
		if (!first) {
			first = e;
			*error = wrong;
		}
	}
	return can_any ? 0 : first;
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

	return e ? e : load_all_keys(core, error);
}

/* ---- a signer that was started again ---- */

/* With the turn held. What the signer refuses to load now it may load after its next start: nothing is final here. 0;
 * positive: this key is not loaded, others are none the worse; negative: the signer is away. */
static int load_again(struct ca_key *key)
{
	char why[SIGNER_WHY_SIZE] = "";
	uint64_t before = key->signer;
	struct ca_key_row row;
	int e = store_get_ca_key(key->ca->core->db, key->row, &row) ? CA_CALL_NOT_FOUND : 0;

	if (!e)
		e = load_row(key, &row, why);
	if (e && !key->is_refused)
		log_error("signer.reload.failed", "ca", key->ca->name, "key", LOG_NUMBER(key->index), "why",
			  why[0] ? why : e < 0 ? strerror(-e) : "it cannot be read from the store");
	if (!e && (key->signer != before || key->is_refused))
		log_info("signer.reload", "ca", key->ca->name, "key", LOG_NUMBER(key->index));
	key->is_refused = e > 0;
	ca_key_row_fini(&row);
	return e;
}

/* `unknown` is the number that the signer does not know; one of those who find out loads the key for all. */
static int renew_key(struct ca_key *key, uint64_t unknown)
{
	struct ca_core *core = key->ca->core;
	int e = 0;

	pthread_mutex_lock(&core->key_turn);
	if (key->signer == unknown)
		e = load_again(key);
	pthread_mutex_unlock(&core->key_turn);
	return e;
}

int keys_sign(struct ca_key *key, struct bytes tbs, struct buf *signature, char why[static SIGNER_WHY_SIZE])
{
	struct ca_core *core = key->ca->core;
	uint64_t number = key->signer;
	int e = signer_sign_certificate(core->signer, number, tbs, signature, why);

	if (e == SIGNER_UNKNOWN_KEY) {
		e = renew_key(key, number);
		/* It answers: only this key waits. */
		if (e > 0)
			return -EKEYREJECTED;
		if (!e)
			e = signer_sign_certificate(core->signer, key->signer, tbs, signature, why);
		/* Started once more in between: the next try will find it. */
		if (e == SIGNER_UNKNOWN_KEY)
			e = -EAGAIN;
	}
	core->is_signer_failing = e < 0;
	return e;
}

const char *keys_trouble(const struct ca *ca)
{
	const struct ca_key *key = ca_current_key(ca);

	if (!key)
		return "this CA has no key and certificate yet";
	if (key->not_after_s < clock_wall_s())
		return "the certificate of this CA has expired";
	return key->is_refused ? "the signer does not load the key of this CA" : NULL;
}

const char *keys_away(const struct ca *ca)
{
	return ca->core->is_signer_failing ? "the signer does not answer" : keys_trouble(ca);
}

static bool is_any_away(const struct ca_core *core)
{
	bool is_away = core->is_signer_failing;

	for (size_t i = 0; i < core->n_cas; i++)
		for (unsigned j = 0; j < core->cas[i].n_keys; j++)
			is_away |= core->cas[i].keys[j]->is_refused;
	return is_away;
}

/* With the turn held. */
static int load_all_again(struct ca_core *core)
{
	int e = 0;

	for (size_t i = 0; e >= 0 && i < core->n_cas; i++)
		for (unsigned j = 0; e >= 0 && j < core->cas[i].n_keys; j++)
			e = load_again(core->cas[i].keys[j]);
	return e < 0 ? e : 0;
}

bool keys_probe(struct ca_core *core)
{
	enum signer_memory memory;
	int e;

	if (!is_any_away(core))
		return true;
	e = signer_ask_memory(core->signer, &memory);
	pthread_mutex_lock(&core->key_turn);
	if (!e)
		e = load_all_again(core);
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
