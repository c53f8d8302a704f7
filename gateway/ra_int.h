/* What the files share that get, keep, renew and use keys of registration authorities.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "core/base/steady.h"
#include "gateway/ra.h"
#include "gateway/ra_key.h"

#define RA_KEYS_MAX 32 /* of an endpoint, in force at once; it needs two */
#define RA_ID_SIZE 17  /* 16 hex digits of the SHA-256 of a public key */

struct ra_key {
	struct gw_ra_key octets; /* never changed once it is in the table */
	unsigned number;         /* the adapter's for it */
	uint64_t signer;         /* the signer's number for it; 0: not loaded. Under the lock, as is the next */
	unsigned users;          /* who works with it: it stays until they have done */
};

struct authority {
	struct authority *next;
	struct gw_ras *ras;
	struct proto_ra face;
	const char *endpoint, *key_type;
	struct ca_door *ca;
	const char *const *names;
	size_t n_names;
	struct ra_key *keys[RA_KEYS_MAX]; /* by their begin; changed by the thread, under the lock, as the next two */
	unsigned n_keys;
	int64_t ended_s;        /* the end of the one that left last; 0: none has */
	unsigned last_number;
	int64_t retry_ms;       /* monotonic: not before */
	unsigned back_off_ms;
	bool was_loaded;        /* the stored keys were looked at since the clock was set */
	bool was_told;          /* which of them are of no use */
	char state[256];        /* under the lock: what health says; "" when all is well */
};

struct gw_ras {
	struct signer *signer;
	const char *folder;
	struct authority *authorities;
	atomic_bool is_signer_away; /* as it was when it was asked last */
	atomic_bool is_looked_for;  /* somebody waits for it at this moment, while it is away */
	struct steady steady;       /* the thread's, as is the next */
	int64_t looked_ms;          /* monotonic: at the folder; 0: never */
	pthread_t thread;
	bool has_thread, ends;
	pthread_mutex_t lock;
	pthread_cond_t wake;
};

/* ---- gateway/ra.c ---- */

__attribute__((format(printf, 2, 3))) void gw_ra_set_state(struct authority *a, const char *format, ...);

/* One round of the thread. */
void gw_ras_look(struct gw_ras *ras);

/* ---- gateway/ra_table.c: changed by the thread alone, under the lock ---- */

bool gw_ra_is_in_force(const struct gw_ra_key *key, int64_t now_s);

/* Take it in. 0; -ENOSPC: there are too many; -ENOMEM. */
int gw_ra_add_key(struct authority *a, struct ra_key *take_key);

/* That for new messages; NULL: none is in force. By the thread, or under the lock. */
struct ra_key *gw_ra_newest_key(struct authority *a, int64_t now_s);

/* When the last one that was in force ended; 0: none has. As above. */
int64_t gw_ra_last_end(const struct authority *a, int64_t now_s);
bool gw_ra_has_key(const struct authority *a, struct bytes spki);

/* Let those go whose certificate ended a minute ago, or `with_future` has not begun, here and in the signer; one
 * that is in use goes next time. */
void gw_ra_retire_keys(struct authority *a, int64_t now_s, bool with_future);
void gw_ra_drop_keys(struct authority *a);

/* The adapter's key of this number, which stays until it is let go; NULL: it has ended. On any thread. */
struct ra_key *gw_ra_hold_key(struct authority *a, unsigned number);
void gw_ra_let_key_go(struct authority *a, struct ra_key *key);

/* ---- gateway/ra_use.c ---- */

/* What is done with a key: one of the signer's calls. */
struct ra_work {
	int (*call)(struct signer *s, uint64_t key, struct ra_work *w, char why[static SIGNER_WHY_SIZE]);
	enum signer_wrapping wrapping;
	const char *digest;
	struct bytes in; /* what is wrapped, the attributes, or the public key */
	uint8_t *out;
	size_t n;
	struct buf *signature;
	const struct authority *asks;
};

/* Does this result of a signer's call say that it is away? */
bool gw_ra_is_away(int e);

/* The signer's number for a key, which is loaded when it is not. As signer_load(). */
int gw_ra_load(struct authority *a, struct ra_key *key, uint64_t *number, char why[static SIGNER_WHY_SIZE]);

/* Do it, with a signer that may have been started again. As the call. */
int gw_ra_use(struct authority *a, struct ra_key *key, struct ra_work *w, char why[static SIGNER_WHY_SIZE]);

/* What an adapter sees of it. */
struct proto_ra gw_ra_face(struct authority *a);

/* ---- gateway/ra_files.c ---- */

/* The file of a key: ra-ENDPOINT.ID.pem; of one that waits for its certificate (`id` NULL) ra-ENDPOINT.new. */
int gw_ra_write_file(const struct authority *a, const char *id, const struct gw_ra_key *key);
void gw_ra_remove_file(const struct authority *a, const char *id);

/* 0; negative, and the key is empty. */
int gw_ra_read_file(const struct authority *a, const char *id, struct gw_ra_key *key);
int gw_ra_make_id(struct bytes spki, char id[static RA_ID_SIZE]);

/* Take the stored keys that are good and not there yet: in force, issued by a key of the CA, and not sealed for
 * another signer; the newest ones when there are too many. The others stay in the folder: with another clock they may
 * be good. 0; negative: what is good cannot be said now, and none was taken. */
int gw_ra_load_stored(struct authority *a);

/* Remove from the folder what is of no use whatever happens: keys, of any endpoint, whose certificate ended thirty
 * days ago, and what endpoints that are not there any more left behind. Only when the clock is known to be right. */
void gw_ras_remove_ended(struct gw_ras *ras);

/* ---- gateway/ra_renew.c ---- */

/* Is it time for another key? When none is in force, in the last third of the newest one's life, when the CA signs
 * with another key, or when the configuration says another type. */
bool gw_ra_is_due(struct authority *a);

/* When the last third of this one's life begins. */
int64_t gw_ra_due_s(const struct gw_ra_key *key);

/* Ask for it, or ask what became of that. Is there a certificate? */
bool gw_ra_obtain(struct authority *a);
