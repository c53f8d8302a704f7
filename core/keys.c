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
#include "core/base/own.h"
#include "core/clock_guard.h"
#include "core/store.h"

struct ca_key *ca_find_key(const struct ca *ca, int64_t row)
{
	for (unsigned i = 0; i < ca->n_keys; i++)
		if (ca->keys[i]->row == row)
			return ca->keys[i];
	return NULL;
}

static void free_key(struct ca_key *key)
{
	if (!key)
		return;
	buf_fini(&key->certificate);
	buf_fini(&key->issuers);
	issuer_drop(&key->issuer);
	free(key);
}

void keys_free(struct ca_core *core)
{
	for (struct ca *ca = core->cas; ca < core->cas + core->n_cas; ca++) {
		for (unsigned i = 0; i < ca->n_keys; i++)
			free_key(ca->keys[i]);
		for (unsigned i = 0; i < ca->n_crosses; i++) {
			buf_fini(&ca->crosses[i]->certificate);
			free(ca->crosses[i]);
		}
	}
	free_key(core->mac);
}

/* ---- what clients get ---- */

/* A certificate of this key that is good for now, by an older or by a newer one. */
static const struct ca_cross *find_cross(const struct ca_key *key, bool by_older)
{
	const struct ca *ca = key->ca;

	for (unsigned i = 0; i < ca->n_crosses; i++) {
		const struct ca_cross *x = ca->crosses[i];

		if (x->key == key && (x->by->index < key->index) == by_older && x->not_after_s >= clock_wall_s())
			return x;
	}
	return NULL;
}

int keys_append_chain(const struct ca_key *key, struct buf *out)
{
	bool to_older = key == ca_current_key(key->ca);
	const struct ca_cross *x;
	int e = 0;

	/* Each goes to another index, always in one direction. */
	while (!e && (x = find_cross(key, to_older))) {
		e = buf_append(out, buf_bytes(&x->certificate));
		key = x->by;
	}
	if (!e)
		e = buf_append(out, buf_bytes(&key->certificate));
	return e ? e : buf_append(out, buf_bytes(&key->issuers));
}

int keys_append_chain_of(const struct ca *ca, unsigned index, struct buf *out)
{
	for (unsigned i = 0; i < ca->n_keys; i++)
		if (ca->keys[i]->index == index)
			return keys_append_chain(ca->keys[i], out);
	return CA_CALL_NOT_FOUND;
}

/* ---- loading ---- */

/* The sealed key goes to the signer; what the core knows of it stays. */
static int load_row(struct ca_key *key, const struct ca_key_row *row, char why[static SIGNER_WHY_SIZE])
{
	OWNED_BUF certificates = BUF_INIT(SIGNER_CERTIFICATES_MAX);
	uint64_t number;
	int e = buf_append(&certificates, buf_bytes(&row->certificate));

	if (!e)
		e = buf_append(&certificates, buf_bytes(&row->issuers));
	if (!e)
		e = signer_load(key->core->signer, buf_bytes(&row->sealed), key->purpose, buf_str(&row->ca),
				buf_bytes(&certificates), &number, why);
	if (!e)
		key->signer = number;
	return e;
}

static int read_certificate(struct ca_key *key, const struct ca_key_row *row)
{
	int e = buf_append(&key->certificate, buf_bytes(&row->certificate));

	if (!e)
		e = buf_append(&key->issuers, buf_bytes(&row->issuers));
	if (!e)
		e = certificate_dates(buf_bytes(&key->certificate), &key->not_before_s, &key->not_after_s);
	return e ? e : issuer_new(&key->issuer, buf_bytes(&key->certificate));
}

/* `ca` NULL: the core's own key for MACs. */
static int new_key(struct ca_key **out, struct ca_core *core, struct ca *ca, const struct ca_key_row *row)
{
	struct ca_key *key = calloc(1, sizeof(*key));
	int e = 0;

	if (!key)
		return -ENOMEM;
	*key = (struct ca_key){
		.core = core, .ca = ca, .purpose = ca ? SIGNER_PURPOSE_CA : SIGNER_PURPOSE_MAC, .row = row->id,
		.index = row->position, .certificate = BUF_INIT(65536), .issuers = BUF_INIT(65536)
	};
	if (ca)
		e = read_certificate(key, row);
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
	int e = ca->n_keys < CA_KEYS_MAX ? new_key(&key, ca->core, ca, row) : -ENOSPC;

	if (!e)
		e = load_row(key, row, why);
	if (e < 0) {
		free_key(key);
		return e;
	}
	key->is_refused = e > 0;
	ca->keys[ca->n_keys] = key;
	ca->n_keys++;
	return e;
}

static int add_cross(struct ca *ca, const struct ca_cross_row *row)
{
	struct ca_cross *x = ca->n_crosses < CA_CROSSES_MAX ? calloc(1, sizeof(*x)) : NULL;
	int64_t begin_s;
	int e;

	if (!x)
		return -ENOMEM;
	*x = (struct ca_cross){.key = ca_find_key(ca, row->key_id),
			       .by = ca_find_key(ca, row->by_key_id),
			       .certificate = BUF_INIT(65536)};
	e = x->key && x->by ? buf_append(&x->certificate, buf_bytes(&row->certificate)) : -EINVAL;
	if (!e)
		e = certificate_dates(buf_bytes(&x->certificate), &begin_s, &x->not_after_s);
	if (e) {
		buf_fini(&x->certificate);
		free(x);
		return e;
	}
	ca->crosses[ca->n_crosses] = x;
	ca->n_crosses++;
	return 0;
}

static bool has_cross(const struct ca *ca, const struct ca_cross_row *row)
{
	for (unsigned i = 0; i < ca->n_crosses; i++)
		if (ca->crosses[i]->key->row == row->key_id && ca->crosses[i]->by->row == row->by_key_id)
			return true;
	return false;
}

static int take_crosses(struct ca *ca)
{
	int e = 0;

	for (size_t n = 0; !e; n++) {
		struct ca_cross_row row;

		e = store_load_ca_cross(ca->core->db, ca->name, n, &row);
		if (!e && !has_cross(ca, &row))
			e = add_cross(ca, &row);
		buf_fini(&row.certificate);
	}
	return e == CA_CALL_NOT_FOUND ? 0 : e;
}

/* One row of the CA. What its own trouble is goes to the log; only a signer that is away is everybody's. */
static int take_row(struct ca *ca, const struct ca_key_row *row, int64_t *current, char why[static SIGNER_WHY_SIZE])
{
	char refused[SIGNER_WHY_SIZE] = "";
	int e = 0;

	ca->is_waiting |= row->state == CA_KEY_WAITING;
	if (row->state == CA_KEY_WAITING)
		return 0;
	if (row->state == CA_KEY_CURRENT)
		*current = row->id;
	if (!ca_find_key(ca, row->id))
		e = add_key(ca, row, refused);
	if (!e)
		return 0;
	log_error("ca.key.refused", "ca", ca->name, "key", LOG_NUMBER(row->position), "why",
		  refused[0] ? refused : strerror(-e));
	if (row->state == CA_KEY_CURRENT)
		snprintf(why, SIGNER_WHY_SIZE, "%s", refused[0] ? refused : "its certificate cannot be read");
	return e == -EINVAL ? 0 : e < 0 ? e : 0;
}

/* All rows that are not known yet; `why` says what is wrong with the current key. */
static int take_rows(struct ca *ca, char why[static SIGNER_WHY_SIZE])
{
	int64_t current = 0;
	size_t n = 0;
	int e;

	ca->is_waiting = false;
	for (e = 0; !e; n += !e) {
		struct ca_key_row row;

		e = store_load_ca_key(ca->core->db, ca->name, SIGNER_PURPOSE_CA, n, &row);
		if (!e)
			e = take_row(ca, &row, &current, why);
		ca_key_row_fini(&row);
	}
	if (e == CA_CALL_NOT_FOUND)
		e = take_crosses(ca);
	if (!e)
		ca->current = ca_find_key(ca, current);
	return e;
}

int keys_refresh(struct ca *ca)
{
	char why[SIGNER_WHY_SIZE] = "";
	int e;

	pthread_mutex_lock(&ca->core->key_turn);
	e = take_rows(ca, why);
	ca->is_behind = e != 0;
	pthread_mutex_unlock(&ca->core->key_turn);
	return e;
}

/* 0: it can sign. CA_CALL_NOT_FOUND: it has no key. SIGNER_REFUSED: it has one that cannot be used. */
static int load_ca_keys(struct ca *ca, char why[static SIGNER_WHY_SIZE])
{
	int e = take_rows(ca, why);

	if (e)
		return e;
	if (ca->current && !ca->current->is_refused)
		return 0;
	if (!ca->current && ca->is_waiting)
		snprintf(why, SIGNER_WHY_SIZE, "it waits for its certificate; bring it with: gatehouse ca import");
	return ca->n_keys || why[0] ? SIGNER_REFUSED : CA_CALL_NOT_FOUND;
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

/* The key of keys_mac(): made when the first core of this store starts. */
static int load_mac_key(struct ca_core *core, char why[static SIGNER_WHY_SIZE])
{
	OWNED_BUF sealed = BUF_INIT(SIGNER_SEALED_MAX);
	OWNED_BUF none = BUF_INIT(SIGNER_SPKI_MAX);
	struct ca_key_row row;
	int e = store_load_ca_key(core->db, "", SIGNER_PURPOSE_MAC, 0, &row);

	if (e == CA_CALL_NOT_FOUND) {
		ca_key_row_fini(&row);
		e = signer_generate(core->signer, "hmac", SIGNER_PURPOSE_MAC, "", &sealed, &none, why);
		if (!e)
			e = store_add_ca_key(core->db, "", SIGNER_PURPOSE_MAC, CA_KEY_CURRENT, buf_bytes(&sealed),
					     bytes_of(NULL, 0), bytes_of(NULL, 0), clock_wall_ms());
		if (e)
			return e;
		e = store_load_ca_key(core->db, "", SIGNER_PURPOSE_MAC, 0, &row);
	}
	if (!e)
		e = new_key(&core->mac, core, NULL, &row);
	if (!e)
		e = load_row(core->mac, &row, why);
	ca_key_row_fini(&row);
	return e;
}

int keys_start(struct ca_core *core, struct conf_error *error)
{
	char why[SIGNER_WHY_SIZE] = "";
	int e = core->env.signer ? start_behind_link(core, error) : start_in_process(core, error);

	if (!e)
		e = load_all_keys(core, error);
	if (e)
		return e;
	e = load_mac_key(core, why);
	if (e) {
		conf_refuse(core->conf, "core", error, "the core's own key for MACs cannot be used: %s",
			    why[0] ? why : strerror(-e));
		return -EKEYREJECTED;
	}
	keys_watch(core);
	return 0;
}

/* ---- a signer that was started again ---- */

/* With the turn held. What the signer refuses to load now it may load after its next start: nothing is final here. 0;
 * positive: this key is not loaded, others are none the worse; negative: the signer is away. */
static int load_again(struct ca_key *key)
{
	const char *name = key->ca ? key->ca->name : "-";
	char why[SIGNER_WHY_SIZE] = "";
	uint64_t before = key->signer;
	struct ca_key_row row;
	int e = store_get_ca_key(key->core->db, key->row, &row) ? CA_CALL_NOT_FOUND : 0;

	if (!e)
		e = load_row(key, &row, why);
	if (e && !key->is_refused)
		log_error("signer.reload.failed", "ca", name, "key", LOG_NUMBER(key->index), "why",
			  why[0] ? why : e < 0 ? strerror(-e) : "it cannot be read from the store");
	if (!e && (key->signer != before || key->is_refused))
		log_info("signer.reload", "ca", name, "key", LOG_NUMBER(key->index));
	key->is_refused = e > 0;
	ca_key_row_fini(&row);
	return e;
}

/* `unknown` is the number that the signer does not know; one of those who find out loads the key for all. */
static int renew_key(struct ca_key *key, uint64_t unknown)
{
	int e = 0;

	pthread_mutex_lock(&key->core->key_turn);
	if (key->signer == unknown)
		e = load_again(key);
	pthread_mutex_unlock(&key->core->key_turn);
	return e;
}

/* What is done with a key, by its number at the signer. */
typedef int key_use(struct signer *signer, uint64_t number, void *arg, char why[static SIGNER_WHY_SIZE]);

static int with_key(struct ca_key *key, key_use *use, void *arg, char why[static SIGNER_WHY_SIZE])
{
	struct ca_core *core = key->core;
	uint64_t number = key->signer;
	int e = use(core->signer, number, arg, why);

	if (e == SIGNER_UNKNOWN_KEY) {
		e = renew_key(key, number);
		/* It answers: only this key waits. */
		if (e > 0)
			return -EKEYREJECTED;
		if (!e)
			e = use(core->signer, key->signer, arg, why);
		/* Started once more in between: the next try will find it. */
		if (e == SIGNER_UNKNOWN_KEY)
			e = -EAGAIN;
	}
	core->is_signer_failing = e < 0;
	return e;
}

/* ---- signing ---- */

struct to_sign {
	struct bytes octets;
	struct buf *signature;
};

static int sign_certificate(struct signer *signer, uint64_t number, void *arg, char why[static SIGNER_WHY_SIZE])
{
	const struct to_sign *t = arg;

	return signer_sign_certificate(signer, number, t->octets, t->signature, why);
}

int keys_sign(struct ca_key *key, struct bytes tbs, struct buf *signature, char why[static SIGNER_WHY_SIZE])
{
	return with_key(key, sign_certificate, &(struct to_sign){ tbs, signature }, why);
}

static int sign_ocsp(struct signer *signer, uint64_t number, void *arg, char why[static SIGNER_WHY_SIZE])
{
	const struct to_sign *t = arg;

	return signer_sign_ocsp(signer, number, t->octets, t->signature, why);
}

int keys_sign_ocsp(struct ca_key *key, struct bytes response_data, struct buf *signature,
		   char why[static SIGNER_WHY_SIZE])
{
	return with_key(key, sign_ocsp, &(struct to_sign){ response_data, signature }, why);
}

struct to_stream {
	enum signer_stream_kind kind;
	struct signer_stream **out;
};

static int begin_stream(struct signer *signer, uint64_t number, void *arg, char why[static SIGNER_WHY_SIZE])
{
	const struct to_stream *t = arg;

	return signer_stream_begin(signer, number, t->kind, t->out, why);
}

int keys_stream_begin(struct ca_key *key, enum signer_stream_kind kind, struct signer_stream **out,
		      char why[static SIGNER_WHY_SIZE])
{
	return with_key(key, begin_stream, &(struct to_stream){ kind, out }, why);
}

struct to_mac {
	const char *label;
	struct bytes octets;
	uint8_t *out;
};

static int make_mac(struct signer *signer, uint64_t number, void *arg, char why[static SIGNER_WHY_SIZE])
{
	const struct to_mac *m = arg;

	return signer_mac(signer, number, bytes_of_str(m->label), m->octets, m->out, why);
}

int keys_mac(struct ca_core *core, const char *label, struct bytes octets, uint8_t out[static SIGNER_MAC_SIZE])
{
	char why[SIGNER_WHY_SIZE] = "";
	int e = with_key(core->mac, make_mac, &(struct to_mac){ label, octets, out }, why);

	if (e > 0)
		log_error("signer.mac.refused", "label", label, "why", why);
	return e > 0 ? -EINVAL : e;
}

/* ---- how they are ---- */

const char *keys_trouble(const struct ca *ca)
{
	const struct ca_key *key = ca_current_key(ca);

	if (!key)
		return ca->is_waiting ? "this CA waits for its certificate (gatehouse ca import)" :
					"this CA has no key that can be used";
	if (key->not_after_s < clock_wall_s())
		return "the certificate of this CA has expired";
	return key->is_refused ? "the signer does not load the key of this CA" : NULL;
}

const char *keys_away(const struct ca *ca)
{
	if (clock_guard_behind_ms(ca->core))
		return "the clock does not show the right time";
	return ca->core->is_signer_failing ? "the signer does not answer" : keys_trouble(ca);
}

bool keys_near_end(const struct ca *ca)
{
	const struct ca_key *key = ca_current_key(ca);

	return key && key->not_after_s - clock_wall_s() < ca->end_alarm_s;
}

const struct ca_profile *keys_shortened(const struct ca *ca)
{
	const struct ca_key *key = ca_current_key(ca);
	const struct conf_section *root = ca->core->conf;

	for (size_t i = 0; key && i < conf_count(root, "endpoints"); i++) {
		const struct conf_section *row = conf_section_at(root, "endpoints", i);
		const char *name = conf_str(row, "profile");
		const struct ca_profile *p = name ? core_find_profile(ca->core, name) : NULL;

		if (p && strcasecmp(conf_str(row, "ca"), ca->name) == 0 &&
		    clock_wall_s() - p->backdate_s + p->lifetime_s > key->not_after_s)
			return p;
	}
	return NULL;
}

void keys_watch(struct ca_core *core)
{
	char end[CLOCK_TEXT_SIZE];

	core->watched_day = clock_wall_s() / 86400;
	for (const struct ca *ca = core->cas; ca < core->cas + core->n_cas; ca++) {
		const struct ca_key *key = ca_current_key(ca);

		if (!keys_near_end(ca))
			continue;
		clock_print_s(key->not_after_s, end);
		if (key->not_after_s < clock_wall_s())
			log_error("ca.expired", "ca", ca->name, "not_after", end, "next", "gatehouse ca rollover");
		else
			log_warn("ca.near-end", "ca", ca->name, "not_after", end, "next", "gatehouse ca rollover");
	}
}

static bool is_any_away(const struct ca_core *core)
{
	bool is_away = core->is_signer_failing;

	for (size_t i = 0; i < core->n_cas; i++) {
		is_away |= core->cas[i].is_behind;
		for (unsigned j = 0; j < core->cas[i].n_keys; j++)
			is_away |= core->cas[i].keys[j]->is_refused;
	}
	return is_away;
}

/* With the turn held. */
static int load_all_again(struct ca_core *core)
{
	int e = core->mac ? load_again(core->mac) : 0;

	for (size_t i = 0; e >= 0 && i < core->n_cas; i++)
		for (unsigned j = 0; e >= 0 && j < core->cas[i].n_keys; j++)
			e = load_again(core->cas[i].keys[j]);
	return e < 0 ? e : 0;
}

/* The keys that keys_refresh() could not take. */
static int take_late(struct ca_core *core)
{
	int e = 0;

	for (size_t i = 0; !e && i < core->n_cas; i++)
		if (core->cas[i].is_behind)
			e = keys_refresh(&core->cas[i]);
	return e;
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
	if (!e)
		e = take_late(core);
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
