/* What a person types at a client to use an endpoint: one template for each client.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

/* An endpoint as clients see it. */
struct snippet_words {
	const char *endpoint;
	const char *url;  /* where it begins; for ACME its directory */
	const char *path; /* as configured, with which the URLs of other protocols end */
	const char *name; /* what the certificate is for: a DNS name, so that a shell takes it for nothing else */
	const char *mdm;  /* where an endpoint of protocol mdm begins that the client asks for challenges; NULL: none is
			   * there */
	bool hides_ra;    /* of SCEP: GetCACert tells the CA alone, and the RA certificate is a file */
};

enum snippet_result {
	SNIPPET_NO_CLIENT = 1, /* no client of that name and protocol */
	SNIPPET_NO_LABEL,      /* the client can use the default label of EST alone */
	SNIPPET_NO_MDM,        /* the client asks for challenges, and no endpoint has any made */
};

/* Print what is typed at this client, to `to`. 0, or an outcome: then nothing was printed. */
int snippet_print(FILE *to, const char *protocol, const char *client, const struct snippet_words *words);

/* The clients of a protocol, or of all with NULL, by number; NULL after the last one. */
const char *snippet_client_at(const char *protocol, size_t i);
