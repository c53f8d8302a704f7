/* What the ACME adapter reads of a certificate that a client shows: any octets are read or refused.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "protocols/acme/certificate.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MAX 4

static void expect(bool claim)
{
	if (!claim)
		abort();
}

/* What was taken for an identifier is one, in the one form it has. */
static void read_again(const struct acme_identifier *id)
{
	struct acme_identifier again;
	const char *why;

	expect(acme_identifier_read(&again, acme_identifier_type(id->kind), id->value, &why) == 0);
	expect(again.kind == id->kind && strcmp(again.value, id->value) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bytes certificate = bytes_of(data, size), spki;
	struct acme_identifier ids[MAX];
	size_t n;
	int e = acme_certificate_names(certificate, ids, MAX, &n);

	expect(n <= MAX);
	for (size_t i = 0; i < n; i++)
		read_again(&ids[i]);
	if (e >= 0) /* then it has a key too */
		expect(acme_certificate_spki(certificate, &spki) == 0 && spki.ptr >= data &&
		       spki.ptr + spki.len <= data + size);
	return 0;
}
