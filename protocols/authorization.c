/* The Authorization header.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "protocols/authorization.h"

#include <errno.h>
#include <strings.h>

#include "core/base/base64.h"

#define USER_PASS_MAX 2048

static bool is_printable(struct bytes text)
{
	for (size_t i = 0; i < text.len; i++)
		if (text.ptr[i] < ' ' || text.ptr[i] > '~')
			return false;
	return true;
}

/* RFC 7617 2: the user ends at the first colon. */
static int read_basic(struct arena *arena, const char *text, struct ca_credential_claim *out)
{
	OWNED_BUF pair = BUF_INIT(USER_PASS_MAX);
	int e = base64_decode(&pair, bytes_of_str(text));
	struct bytes octets = buf_bytes(&pair);
	const uint8_t *colon = e || !octets.len ? NULL : memchr(octets.ptr, ':', octets.len);
	const char *user;
	size_t n;

	if (e == -ENOMEM)
		return e;
	*out = (struct ca_credential_claim){ .kind = CA_EVIDENCE_USER, .name = "" };
	if (!colon || !is_printable(octets))
		return 0;
	n = (size_t)(colon - octets.ptr);
	user = arena_strndup(arena, bytes_of(octets.ptr, n));
	out->secret = arena_copy(arena, bytes_of(colon + 1, octets.len - n - 1));
	if (!user || (!out->secret.ptr && octets.len > n + 1))
		return -ENOMEM;
	out->name = user;
	return 0;
}

/* RFC 6750 2.1. libest sends the base64 of a token in the place of the token; one of ours has a '_', so it is no base64
 * itself. */
static int read_bearer(struct arena *arena, const char *text, struct ca_credential_claim *out)
{
	OWNED_BUF plain = BUF_INIT(USER_PASS_MAX);
	int e = base64_decode(&plain, bytes_of_str(text));

	*out = (struct ca_credential_claim){ .kind = CA_EVIDENCE_TOKEN, .secret = bytes_of_str(text) };
	if (e == -ENOMEM)
		return e;
	if (e || plain.len == 0 || !is_printable(buf_bytes(&plain)))
		return 0;
	out->secret = arena_copy(arena, buf_bytes(&plain));
	return out->secret.ptr ? 0 : -ENOMEM;
}

/* In the order in which they are offered: some clients read the first one only. */
static const struct scheme {
	unsigned bit;
	const char *name;
	int (*read)(struct arena *arena, const char *text, struct ca_credential_claim *out);
} schemes_[] = {
	{ AUTHORIZATION_BASIC, "Basic", read_basic },
	{ AUTHORIZATION_BEARER, "Bearer", read_bearer },
};
#define N_SCHEMES (sizeof(schemes_) / sizeof(*schemes_))

static size_t count_headers(const struct http_request *q)
{
	size_t n = 0;

	for (size_t i = 0; i < q->n_headers; i++)
		n += strcmp(q->headers[i].name, "authorization") == 0;
	return n;
}

int authorization_read(const struct http_request *q, unsigned schemes, struct ca_credential_claim *out)
{
	const char *value = http_request_header(q, "authorization");
	size_t n = value ? strcspn(value, " ") : 0;

	*out = (struct ca_credential_claim){ 0 };
	if (count_headers(q) > 1)
		return AUTHORIZATION_TWICE;
	for (size_t i = 0; value && i < N_SCHEMES; i++) {
		const struct scheme *s = &schemes_[i];

		if (schemes & s->bit && n == strlen(s->name) && strncasecmp(value, s->name, n) == 0)
			return s->read(q->arena, value + n + strspn(value + n, " "), out);
	}
	return 0;
}

int authorization_offer(struct http_reply *r, unsigned schemes, const char *realm)
{
	int e = 0;

	for (size_t i = 0; !e && i < N_SCHEMES; i++)
		if (schemes & schemes_[i].bit)
			e = http_reply_header(r, "WWW-Authenticate", "%s realm=\"%s\"", schemes_[i].name, realm);
	return e;
}
