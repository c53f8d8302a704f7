/* Using keys of registration authorities: decrypting and signing for an adapter.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "gateway/ra_int.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#include "core/base/clock.h"
#include "core/base/log.h"

#define AWAY_PATIENCE_MS 1500
#define AWAY_PAUSE_MS 20

bool gw_ra_is_away(int e)
{
	return e == -ETIME || e == -ETIMEDOUT || e == -ECONNRESET || e == -ENOTCONN;
}

int gw_ra_load(struct authority *a, struct ra_key *key, uint64_t *number, char why[static SIGNER_WHY_SIZE])
{
	int e = 0;

	pthread_mutex_lock(&a->ras->lock);
	*number = key->signer;
	pthread_mutex_unlock(&a->ras->lock);
	if (*number)
		return 0;
	e = signer_load(a->ras->signer, buf_bytes(&key->octets.sealed), SIGNER_PURPOSE_RA, a->endpoint,
			bytes_of(NULL, 0), number, why);
	pthread_mutex_lock(&a->ras->lock);
	key->signer = e ? 0 : *number;
	pthread_mutex_unlock(&a->ras->lock);
	return e;
}

static void forget(struct authority *a, struct ra_key *key, uint64_t number)
{
	pthread_mutex_lock(&a->ras->lock);
	if (key->signer == number)
		key->signer = 0;
	pthread_mutex_unlock(&a->ras->lock);
}

/* A signer that was started again knows no key. */
int gw_ra_use(struct authority *a, struct ra_key *key, struct ra_work *w, char why[static SIGNER_WHY_SIZE])
{
	uint64_t number;
	int e = SIGNER_UNKNOWN_KEY;

	for (int tries = 0; e == SIGNER_UNKNOWN_KEY && tries < 2; tries++) {
		e = gw_ra_load(a, key, &number, why);
		if (!e)
			e = w->call(a->ras->signer, number, w, why);
		if (e == SIGNER_UNKNOWN_KEY)
			forget(a, key, number);
	}
	return e;
}

static void pause_for_signer(void)
{
	nanosleep(&(struct timespec){ .tv_nsec = AWAY_PAUSE_MS * 1000000L }, NULL);
}

/* A signer that ended is there again in no time, and most clients know no "later". */
static int use_patiently(struct authority *a, struct ra_key *key, struct ra_work *w, char why[static SIGNER_WHY_SIZE])
{
	int64_t give_up_ms = clock_mono_ms() + AWAY_PATIENCE_MS;
	int e;

	while (gw_ra_is_away(e = gw_ra_use(a, key, w, why)) && clock_mono_ms() < give_up_ms)
		pause_for_signer();
	atomic_store(&a->ras->is_signer_away, gw_ra_is_away(e));
	return e;
}

static int use_numbered(struct authority *a, unsigned number, struct ra_work *w)
{
	struct ra_key *key = gw_ra_hold_key(a, number);
	char why[SIGNER_WHY_SIZE] = "";
	int e;

	if (!key)
		return -ENOENT;
	e = use_patiently(a, key, w, why);
	gw_ra_let_key_go(a, key);
	if (gw_ra_is_away(e))
		return -EAGAIN;
	if (e > 0)
		log_error("ra.key.refused", "endpoint", a->endpoint, "reason", why);
	return e > 0 ? -EIO : e;
}

/* While the signer is away one looks whether it is back, and the others need not wait with him. */
static int use_once_there(struct authority *a, unsigned number, struct ra_work *w)
{
	struct gw_ras *ras = a->ras;
	bool looks = atomic_load(&ras->is_signer_away);
	int e;

	if (looks && atomic_exchange(&ras->is_looked_for, true))
		return -EAGAIN;
	e = use_numbered(a, number, w);
	if (looks)
		atomic_store(&ras->is_looked_for, false);
	return e;
}

static int call_unwrap(struct signer *s, uint64_t key, struct ra_work *w, char why[static SIGNER_WHY_SIZE])
{
	return signer_unwrap(s, key, w->wrapping, w->in, w->out, w->n, why);
}

static int unwrap(void *state, unsigned number, enum proto_ra_wrapping wrapping, struct bytes wrapped, uint8_t *out,
		  size_t n)
{
	struct ra_work w = { .call = call_unwrap, .wrapping = (enum signer_wrapping)wrapping, .in = wrapped, .out = out,
			  .n = n };

	return use_once_there(state, number, &w);
}

static int call_sign(struct signer *s, uint64_t key, struct ra_work *w, char why[static SIGNER_WHY_SIZE])
{
	return signer_sign_attributes(s, key, w->digest, w->in, w->signature, why);
}

static int sign(void *state, unsigned number, const char *digest, struct bytes attributes, struct buf *signature)
{
	struct ra_work w = { .call = call_sign, .digest = digest, .in = attributes, .signature = signature };

	return use_once_there(state, number, &w);
}

/* Copied: a key may end before the message that is for it is answered. */
static int copy_key(const struct ra_key *key, struct arena *arena, struct proto_ra_key *out)
{
	const struct gw_ra_key *k = &key->octets;
	uint8_t *octets = arena_alloc(arena, k->certificate.len + k->chain.len);

	if (!octets)
		return -ENOMEM;
	memcpy(octets, k->certificate.ptr, k->certificate.len);
	if (k->chain.len)
		memcpy(octets + k->certificate.len, k->chain.ptr, k->chain.len);
	*out = (struct proto_ra_key){ key->number, bytes_of(octets, k->certificate.len),
				      bytes_of(octets + k->certificate.len, k->chain.len), k->not_before_s,
				      k->not_after_s };
	return 0;
}

static int list(void *state, struct arena *arena, struct proto_ra_key **out, size_t *n)
{
	struct authority *a = state;
	struct proto_ra_key *keys = arena_alloc(arena, RA_KEYS_MAX * sizeof(*keys));
	int64_t now = clock_wall_s();
	int e = keys ? 0 : -ENOMEM;

	*n = 0;
	pthread_mutex_lock(&a->ras->lock);
	for (unsigned i = a->n_keys; !e && i-- > 0;)
		if (gw_ra_is_in_force(&a->keys[i]->octets, now))
			e = copy_key(a->keys[i], arena, &keys[(*n)++]);
	pthread_mutex_unlock(&a->ras->lock);
	*out = keys;
	return e ? e : *n ? 0 : -ENOENT;
}

struct proto_ra gw_ra_face(struct authority *a)
{
	return (struct proto_ra){ list, unwrap, sign, a };
}
