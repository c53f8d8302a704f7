/* Parts, as clients read them.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "protocols/est/multipart.h"

#include "protocols/est/text.h"

/* The CRLF before a delimiter belongs to it (RFC 2046 5.1.1). Each part says how it is encoded, which HTTP would not
 * need: clients take it for octets otherwise. */
int est_parts_write(const struct est_part *parts, size_t n, bool in_lines, struct buf *out)
{
	int e = 0;

	for (size_t i = 0; !e && i < n; i++) {
		buf_append_str(out, "--" EST_BOUNDARY "\r\n");
		buf_printf(out, "Content-Type: %s\r\n", parts[i].type);
		buf_append_str(out, "Content-Transfer-Encoding: base64\r\n\r\n");
		e = est_text_write(parts[i].der, in_lines, out);
		buf_append_str(out, "\r\n");
	}
	return e ? e : buf_append_str(out, "--" EST_BOUNDARY "--\r\n");
}
