/* What is being signed in pieces.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "core/signer/streams.h"

#include <errno.h>
#include <stdio.h>

#include <openssl/err.h>

#include "core/base/digest.h"

int streams_init(struct streams *s, void (*let_go)(void *arg, uint64_t key), void *arg)
{
	s->let_go = let_go;
	s->arg = arg;
	pthread_mutex_init(&s->lock, NULL);
	return random_octets(&s->last_number, sizeof(s->last_number));
}

static void clear(struct streams *s, struct stream *t)
{
	if (t->number)
		s->let_go(s->arg, t->key);
	EVP_MD_CTX_free(t->digest);
	gate_stream_fini(&t->gate);
	*t = (struct stream){ 0 };
}

void streams_fini(struct streams *s)
{
	for (size_t i = 0; i < STREAMS_MAX; i++)
		clear(s, &s->slots[i]);
	pthread_mutex_destroy(&s->lock);
}

static int refuse(char why[static SIGNER_WHY_SIZE], const char *text)
{
	snprintf(why, SIGNER_WHY_SIZE, "%s", text);
	return SIGNER_REFUSED;
}

static int is_unknown(char why[static SIGNER_WHY_SIZE])
{
	snprintf(why, SIGNER_WHY_SIZE, "no such stream was begun, or too many were");
	return SIGNER_UNKNOWN_KEY;
}

/* ---- who works on which ---- */

/* With the lock held: a free one, or the one that rests for longest. */
static struct stream *find_room(struct streams *s)
{
	struct stream *oldest = NULL;

	for (struct stream *t = s->slots; t < s->slots + STREAMS_MAX; t++)
		if (!t->is_busy && (!oldest || t->touched < oldest->touched))
			oldest = t;
	return oldest;
}

/* The stream is the caller's until he gives it back. */
static struct stream *take(struct streams *s, uint64_t number)
{
	struct stream *found = NULL;

	pthread_mutex_lock(&s->lock);
	for (struct stream *t = s->slots; number && t < s->slots + STREAMS_MAX; t++)
		if (t->number == number && !t->is_busy)
			found = t;
	if (found)
		found->is_busy = true;
	pthread_mutex_unlock(&s->lock);
	return found;
}

static void give_back(struct streams *s, struct stream *t, bool is_over)
{
	pthread_mutex_lock(&s->lock);
	t->is_busy = false;
	t->touched = ++s->clock;
	if (is_over)
		clear(s, t);
	pthread_mutex_unlock(&s->lock);
}

/* ---- the calls ---- */

int streams_begin(struct streams *s, const EVP_MD_CTX *begun, const struct gate *gate, enum signer_purpose purpose,
		  enum signer_stream_kind kind, uint64_t key, uint64_t *number, char why[static SIGNER_WHY_SIZE])
{
	EVP_MD_CTX *digest = EVP_MD_CTX_new();
	struct gate_stream g;
	const char *refused = gate_stream_begin(&g, gate, purpose, kind);
	struct stream *t;

	if (refused || !digest || EVP_MD_CTX_copy_ex(digest, begun) != 1) {
		EVP_MD_CTX_free(digest);
		return refused ? refuse(why, refused) : -ENOMEM;
	}
	pthread_mutex_lock(&s->lock);
	t = find_room(s);
	if (t) {
		clear(s, t);
		if (++s->last_number == 0)
			s->last_number++;
		*t = (struct stream){
			.number = s->last_number, .touched = ++s->clock, .digest = digest, .gate = g, .key = key
		};
		*number = t->number;
	}
	pthread_mutex_unlock(&s->lock);
	if (t)
		return 0;
	EVP_MD_CTX_free(digest);
	return refuse(why, "too many streams are being signed");
}

int streams_data(struct streams *s, uint64_t number, struct bytes piece, char why[static SIGNER_WHY_SIZE])
{
	struct stream *t = take(s, number);
	const char *refused = NULL;
	int e = 0;

	if (!t)
		return is_unknown(why);
	if (piece.len > SIGNER_PIECE_MAX)
		refused = "a piece is too long";
	else
		refused = gate_stream_take(&t->gate, piece);
	if (refused)
		e = refuse(why, refused);
	else if (EVP_DigestSignUpdate(t->digest, piece.ptr, piece.len) != 1)
		e = -EIO;
	give_back(s, t, e != 0);
	return e;
}

static int finish(struct stream *t, struct buf *signature, char why[static SIGNER_WHY_SIZE])
{
	const char *refused = gate_stream_end(&t->gate);
	size_t n = SIGNER_SIGNATURE_MAX;
	uint8_t *out = buf_room(signature, n);

	if (refused)
		return refuse(why, refused);
	if (!out || EVP_DigestSignFinal(t->digest, out, &n) != 1)
		return -EIO;
	buf_added(signature, n);
	return 0;
}

int streams_end(struct streams *s, uint64_t number, struct buf *signature, char why[static SIGNER_WHY_SIZE])
{
	struct stream *t = take(s, number);
	int e;

	if (!t)
		return is_unknown(why);
	e = finish(t, signature, why);
	ERR_clear_error();
	give_back(s, t, true);
	return e;
}

void streams_drop(struct streams *s, uint64_t number)
{
	struct stream *t = take(s, number);

	if (t)
		give_back(s, t, true);
}
