/* Records of the audit trail as text, and their hashes.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "core/audit.h"

#include <errno.h>

#include "core/base/clock.h"
#include "core/base/utf8.h"

static void print_character(struct buf *out, const uint8_t *p, size_t n)
{
	if (n == 0)
		buf_append_str(out, "\xef\xbf\xbd"); /* not UTF-8: U+FFFD */
	else if (*p < 0x20 || *p == 0x7f)
		buf_printf(out, "\\u%04x", *p);
	else if (*p == '"' || *p == '\\')
		buf_printf(out, "\\%c", *p);
	else
		buf_append(out, bytes_of(p, n));
}

static bool is_plain(uint8_t c)
{
	return c >= 0x20 && c < 0x7f && c != '"' && c != '\\';
}

static void print_string(struct buf *out, const char *text, size_t max)
{
	size_t len = strnlen(text, max), n;
	const uint8_t *p = (const uint8_t *)text;

	buf_append_char(out, '"');
	/* Escapes may take more room than there is. */
	for (size_t i = 0; i < len && out->len < AUDIT_PAYLOAD_MAX - 16; i += n ? n : 1) {
		for (n = 0; i + n < len && is_plain(p[i + n]); n++)
			;
		if (n) {
			buf_append(out, bytes_of(p + i, n));
			continue;
		}
		n = utf8_length(bytes_of(p + i, len - i));
		print_character(out, p + i, n);
	}
	buf_append_char(out, '"');
}

static void print_member(struct buf *out, const char *name, const char *text)
{
	if (!text)
		return;
	buf_append_str(out, name);
	print_string(out, text, AUDIT_TEXT_MAX);
}

int audit_print(const struct audit_record *r, struct buf *out)
{
	char at[CLOCK_TEXT_SIZE];

	print_member(out, "{\"time\":", clock_print_ms(r->at_ms, at));
	print_member(out, ",\"actor\":", r->actor);
	print_member(out, ",\"action\":", r->action);
	if (r->request_id)
		buf_printf(out, ",\"request\":%lld", (long long)r->request_id);
	print_member(out, ",\"subject\":", r->subject);
	print_member(out, ",\"before\":", r->before);
	print_member(out, ",\"after\":", r->after);
	if (r->detail) {
		buf_append_str(out, ",\"detail\":");
		print_string(out, r->detail, r->is_long ? AUDIT_LONG_MAX : AUDIT_TEXT_MAX);
	}
	return buf_append_char(out, '}');
}

int audit_hash(const uint8_t prev[static SHA256_SIZE], int64_t seq, struct bytes payload,
	       uint8_t out[static SHA256_SIZE])
{
	uint8_t head[SHA256_SIZE + 8];
	OWNED_BUF text = BUF_INIT(sizeof(head) + AUDIT_PAYLOAD_MAX);

	memcpy(head, prev, SHA256_SIZE);
	for (int i = 0; i < 8; i++)
		head[SHA256_SIZE + i] = (uint8_t)((uint64_t)seq >> (56 - 8 * i));
	buf_append(&text, bytes_of(head, sizeof(head)));
	if (buf_append(&text, payload))
		return buf_status(&text);
	return digest_sha256(buf_bytes(&text), out);
}
