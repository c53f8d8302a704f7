/* What a credential proves of a request.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "core/credentials.h"

/* Attributes of a renewal by certificate, which the core alone sets: the serial of what is renewed, and "same" or
 * "changed". */
#define PROVE_RENEWS "renews"
#define PROVE_RENEWED_NAMES "renewed-names"

/* Check the credential of a submission, or both, read the request, and hold every name that it asks for against what
 * they prove and the binding of the intermediary. What is inside becomes the proven names of `r`; a DNS name or address
 * in the common name alone goes into the SAN, and the other components of the subject are proven as they stand.
 *
 * Who renews by certificate asks for its names, subject and SAN as a set, and wants others by ChangeSubjectName (RFC
 * 6402 2.8) alone. Those that neither it nor the second credential proves are left to officers where the profile has
 * `officer-names: allow`.
 *
 * 0, and then `r->status` says whether the request itself is to be refused, with a sentence in `why`; the outcomes of
 * credentials_find(); negative. */
int prove_by_credential(struct ca *ca, const struct ca_submission *s, struct ca_request *r,
			char why[static CA_REASON_SIZE], unsigned *pause_s);

/* The same for a request that nobody sends, without a credential: every name that it asks for counts as proven. 0, and
 * `r->status` as above; negative. */
int prove_as_asked(struct ca *ca, const struct ca_submission *s, struct ca_request *r, char why[static CA_REASON_SIZE]);
#define PROVE_AS_ASKED_TEXT "taken as proven"

/* Whether the EAB key that the account of a submission is bound to is still good and has every name that was proven
 * otherwise. 0; CREDENTIAL_REFUSED, with a sentence in `why`; negative. */
int prove_limit(struct ca *ca, const struct ca_submission *s, struct ca_request *r, char why[static CA_REASON_SIZE]);

/* The parts of the subject that a credential proved, as issuing takes them. */
void prove_subject(struct ca_request *r);
