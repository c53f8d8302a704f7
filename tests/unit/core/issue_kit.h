/* A CA of a test's own: a signer with its key, and its self-signed certificate.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "core/issue.h"
#include "core/signer/signer.h"

struct issue_kit {
	struct signer *signer;
	uint64_t key;
	struct buf sealed, spki, certificate;
	struct issuer *issuer;
};

extern const uint8_t issue_kit_kek[SIGNER_KEK_SIZE];

/* Stops the test when something fails. */
void issue_kit_init(struct issue_kit *k, const char *key_type, const char *ca, int64_t not_before_s,
		    int64_t not_after_s);
void issue_kit_fini(struct issue_kit *k);

/* Build, sign and assemble; the certificate's DER is appended. */
void issue_kit_issue(struct issue_kit *k, struct issue_plan *plan, struct buf *certificate);

/* The SubjectPublicKeyInfo of a new key. */
void issue_kit_spki(const char *kind, struct buf *spki);

/* A plan for one DNS name; `spki` is borrowed. */
struct issue_plan issue_kit_plan(struct issue_kit *k, struct bytes spki);
