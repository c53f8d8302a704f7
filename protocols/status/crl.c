/* Revocation lists: one for each key of a CA, or for each part of its certificates.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "protocols/status/status_int.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/base/own.h"

#define MAX_AGE_S 60 /* how old a list may be in caches: the time in which the core publishes a revocation */

/* "0.crl", "0-3.crl": numbers without leading zeros; of a part, which counts from 1. */
static int read_number(const char **text, unsigned *number)
{
	size_t digits = strspn(*text, "0123456789");

	if (digits == 0 || digits > 9 || (**text == '0' && digits > 1))
		return -EINVAL;
	*number = (unsigned)strtoul(*text, NULL, 10);
	*text += digits;
	return 0;
}

static int read_name(const char *name, unsigned *key, unsigned *partition)
{
	*partition = 0;
	if (read_number(&name, key))
		return -EINVAL;
	if (*name == '-' && (name++, read_number(&name, partition) || *partition == 0))
		return -EINVAL;
	return strcmp(name, ".crl") == 0 ? 0 : -EINVAL;
}

int status_crl_get(void *state, const struct http_request *q, struct http_reply *r)
{
	struct status *s = state;
	struct status_document d = { .type = "application/pkix-crl", .max_age_s = MAX_AGE_S };
	struct ca_crl info;
	unsigned key, partition;
	int e = read_name(q->params[0], &key, &partition) ? CA_CALL_NOT_FOUND :
							    lists_get(s->lists, key, partition, &info, &d.large);

	if (e == CA_CALL_NOT_FOUND)
		return http_reply_text(r, 404, "this CA has no such revocation list");
	if (e)
		return e > 0 ? status_reply_busy(r) : e;
	atomic_fetch_add(&s->crls, 1);
	d.modified_s = info.this_update_s;
	d.expires_s = info.next_update_s;
	snprintf(d.etag, sizeof(d.etag), "\"%u-%u-%llu\"", key, partition, (unsigned long long)info.number);
	e = status_document_reply(&d, q, r);
	http_octets_drop(&d.large);
	return e;
}
