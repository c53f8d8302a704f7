/* SignedData without signers.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "protocols/bundle.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>

#include "core/base/der.h"

#define CERTIFICATES 0xa0 /* [0] IMPLICIT CertificateSet */
#define CRLS 0xa1         /* [1] IMPLICIT RevocationInfoChoices */

#define BYTES(s) { (const uint8_t *)(s), sizeof(s) - 1 }

static int compare(const void *a, const void *b)
{
	const struct bytes *x = a, *y = b;
	int order = memcmp(x->ptr, y->ptr, x->len < y->len ? x->len : y->len);

	return order ? order : (x->len > y->len) - (x->len < y->len);
}

/* In the order of their octets, as DER has sets (X.690 11.6): there are readers that take no other one. */
static int append_sorted(struct bytes members, struct buf *out)
{
	struct bytes rest = members, content, one, *all;
	unsigned tag;
	size_t n = 0;

	while (rest.len && der_read(&rest, &tag, &content, &one) == 0)
		n++;
	if (rest.len)
		return -EBADMSG;
	all = malloc((n + 1) * sizeof(*all));
	if (!all)
		return -ENOMEM;
	rest = members;
	for (size_t i = 0; i < n; i++)
		(void)der_read(&rest, &tag, &content, &all[i]);
	qsort(all, n, sizeof(*all), compare);
	for (size_t i = 0; i < n; i++)
		buf_append(out, all[i]);
	free(all);
	return buf_status(out);
}

/* The heads are written from the inside out, and then all in order: nothing large is copied more than once. */
static int write_bundle(unsigned kind, struct bytes members, bool sorts, struct buf *out)
{
	static const struct bytes signed_data = BYTES("\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x02");
	/* Version 1, no digest, content of type id-data that is absent. */
	static const struct bytes before = BYTES("\x02\x01\x01\x31\x00\x30\x0b\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01"
					   "\x07\x01");
	static const struct bytes no_signers = BYTES("\x31\x00");
	uint8_t set[DER_HEAD_MAX], data[DER_HEAD_MAX], content[DER_HEAD_MAX], whole[DER_HEAD_MAX];
	size_t n_set = der_head(kind, members.len, set);
	size_t inner = before.len + n_set + members.len + no_signers.len;
	size_t n_data = der_head(DER_SEQUENCE, inner, data);
	size_t n_content = der_head(DER_CONTEXT_0, n_data + inner, content);
	size_t n_whole = der_head(DER_SEQUENCE, signed_data.len + n_content + n_data + inner, whole);
	int e;

	buf_append(out, bytes_of(whole, n_whole));
	buf_append(out, signed_data);
	buf_append(out, bytes_of(content, n_content));
	buf_append(out, bytes_of(data, n_data));
	buf_append(out, before);
	buf_append(out, bytes_of(set, n_set));
	e = sorts ? append_sorted(members, out) : buf_append(out, members);
	return e ? e : buf_append(out, no_signers);
}

int bundle_write_certificates(struct bytes certificates, struct buf *out)
{
	return write_bundle(CERTIFICATES, certificates, true, out);
}

int bundle_write_in_order(struct bytes certificates, struct buf *out)
{
	return write_bundle(CERTIFICATES, certificates, false, out);
}

int bundle_write_crls(struct bytes crls, struct buf *out)
{
	return write_bundle(CRLS, crls, true, out);
}
