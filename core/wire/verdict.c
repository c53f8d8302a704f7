/* Statements about requests.
 *
 *   MAC        32 octets, HMAC-SHA256 of all that follows
 *   version     1 octet
 *   until       8 octets, big endian
 *   request    32 octets
 *   key        32 octets
 *   target, endpoint, scope: each 2 octets of length, big endian, and text
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "core/wire/verdict.h"

#include <errno.h>

#include "core/base/secret.h"

#define VERSION 1

static int put_number(struct buf *out, uint64_t n, unsigned octets)
{
	uint8_t *room = buf_room(out, octets);

	for (unsigned i = 0; room && i < octets; i++)
		room[i] = (uint8_t)(n >> 8 * (octets - 1 - i));
	if (room)
		buf_added(out, octets);
	return buf_status(out);
}

static int put_text(struct buf *out, const char *text)
{
	size_t n = strlen(text);
	int e = n > UINT16_MAX ? -EMSGSIZE : put_number(out, n, 2);

	return e ? e : buf_append_str(out, text);
}

int verdict_write(const uint8_t key[static VERDICT_KEY_SIZE], const struct verdict *v, struct buf *out)
{
	OWNED_BUF body = BUF_INIT(VERDICT_MAX);
	uint8_t mac[SHA256_SIZE];
	int e = buf_append_char(&body, VERSION);

	if (!e)
		e = put_number(&body, (uint64_t)v->until_ms, 8);
	if (!e)
		e = buf_append(&body, bytes_of(v->request, sizeof(v->request)));
	if (!e)
		e = buf_append(&body, bytes_of(v->transaction_key, sizeof(v->transaction_key)));
	if (!e)
		e = put_text(&body, v->target);
	if (!e)
		e = put_text(&body, v->endpoint);
	if (!e)
		e = put_text(&body, v->scope);
	if (!e)
		e = secret_mac(bytes_of(key, VERDICT_KEY_SIZE), buf_bytes(&body), mac);
	if (!e)
		e = buf_append(out, bytes_of(mac, sizeof(mac)));
	return e ? e : buf_append(out, buf_bytes(&body));
}

static bool take_number(struct bytes *in, unsigned octets, uint64_t *out)
{
	struct bytes piece;

	*out = 0;
	if (!bytes_take(in, octets, &piece))
		return false;
	for (unsigned i = 0; i < octets; i++)
		*out = *out << 8 | piece.ptr[i];
	return true;
}

static bool take_octets(struct bytes *in, uint8_t *out, size_t n)
{
	struct bytes piece;

	if (!bytes_take(in, n, &piece))
		return false;
	memcpy(out, piece.ptr, n);
	return true;
}

static int take_text(struct bytes *in, struct arena *arena, const char **out)
{
	struct bytes piece;
	uint64_t n;

	if (!take_number(in, 2, &n) || !bytes_take(in, n, &piece) || memchr(piece.ptr, 0, piece.len))
		return -EBADMSG;
	*out = arena_strndup(arena, piece);
	return *out ? 0 : -ENOMEM;
}

static int read_body(struct verdict *out, struct bytes in, struct arena *arena)
{
	uint64_t version, until;
	int e;

	if (!take_number(&in, 1, &version) || version != VERSION || !take_number(&in, 8, &until) ||
	    !take_octets(&in, out->request, sizeof(out->request)) ||
	    !take_octets(&in, out->transaction_key, sizeof(out->transaction_key)))
		return -EBADMSG;
	out->until_ms = (int64_t)until;
	e = take_text(&in, arena, &out->target);
	if (!e)
		e = take_text(&in, arena, &out->endpoint);
	if (!e)
		e = take_text(&in, arena, &out->scope);
	return e ? e : in.len ? -EBADMSG : 0;
}

int verdict_read(struct verdict *out, const uint8_t key[static VERDICT_KEY_SIZE], struct bytes octets,
		 struct arena *arena)
{
	uint8_t mac[SHA256_SIZE];
	struct bytes shown;

	if (octets.len > VERDICT_MAX + sizeof(mac) || !bytes_take(&octets, sizeof(mac), &shown))
		return -EBADMSG;
	if (secret_mac(bytes_of(key, VERDICT_KEY_SIZE), octets, mac))
		return -EIO;
	return secret_equal(mac, shown.ptr, sizeof(mac)) ? read_body(out, octets, arena) : -EBADMSG;
}
