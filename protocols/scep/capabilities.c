/* GetCACaps (RFC 8894 3.5).
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "protocols/scep/scep_int.h"

/* One keyword a line, and no empty line: there are clients that find every keyword in one. SHA-384 is none of the
 * RFC's; without it strongSwan before 5.9.11, which counts its bits wrongly, would not use AES. */
static const struct {
	const char *keyword;
	enum scep_legacy from;
} keywords[] = {
	{ "AES", SCEP_LEGACY_NONE },          { "SHA-256", SCEP_LEGACY_NONE },
	{ "SHA-384", SCEP_LEGACY_NONE },      { "SHA-512", SCEP_LEGACY_NONE },
	{ "POSTPKIOperation", SCEP_LEGACY_NONE }, { "Renewal", SCEP_LEGACY_NONE },
	{ "SCEPStandard", SCEP_LEGACY_NONE }, { "SHA-1", SCEP_LEGACY_SHA1_3DES },
	{ "DES3", SCEP_LEGACY_SHA1_3DES },
};

int scep_get_capabilities(struct scep *s, struct http_reply *r)
{
	int e = http_reply_body(r, 200, "text/plain", bytes_of(NULL, 0));

	for (size_t i = 0; !e && i < sizeof(keywords) / sizeof(*keywords); i++)
		if (keywords[i].from <= s->legacy)
			e = buf_printf(&r->body, "%s\n", keywords[i].keyword);
	if (!e && scep_has_next(s))
		e = buf_append_str(&r->body, "GetNextCACert\n");
	return e;
}
