/* What can be asked for in a filter.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "core/filter_int.h"

#include <strings.h>

#include "core/submit.h"

#define R FILTER_REQUESTS
#define C FILTER_CERTIFICATES

/* Where several are equal and each finds many rows, the first of this list leads. */
const struct filter_field filter_fields[] = {
	{ "id", R | C, FILTER_NUMBER, "q.id", 0, "", true, "number of the request" },
	{ "requester", R | C, FILTER_TEXT, "q.requester", 0, "requests_requester", false, "who asked: acme:7" },
	{ "profile", R | C, FILTER_TEXT, "q.profile", 0, "requests_profile", false, "profile" },
	{ "via", R | C, FILTER_TEXT, "q.protocol", 0, "requests_protocol", false, "protocol: acme, est, scep" },
	{ "endpoint", R | C, FILTER_TEXT, "q.endpoint", 0, "requests_endpoint", false, "endpoint it came to" },
	{ "state", R | C, FILTER_WORD, "q.state", 0, "requests_state", false,
	  "active, pending, foreign, issued, revoked, error, denied" },
	{ "ca", R | C, FILTER_TEXT, "q.ca", 0, NULL, false, "CA" },
	{ "from", R | C, FILTER_TEXT, "q.source_address", 0, NULL, false, "address it came from" },
	{ "subject", R | C, FILTER_TEXT, "q.subject", 0, NULL, false, "subject that is issued" },
	{ "asked", R | C, FILTER_TEXT, "q.asked_subject", 0, NULL, false, "subject that was asked for" },
	{ "san", R | C, FILTER_NAME, "n.value", 0, "names_reversed", false,
	  "a name: a.example, dns:a.example, ip:192.0.2.1" },
	{ "rule", R | C, FILTER_TEXT, "q.rule", 0, NULL, false, "rule of the policy that decided" },
	{ "why", R, FILTER_TEXT, "q.reason", 0, NULL, false, "reason that was given" },
	{ "serial", R, FILTER_HEX, "q.serial", 0, "requests_serial", true, "serial number, or its beginning with *" },
	{ "serial", C, FILTER_HEX, "c.serial", 0, "sqlite_autoindex_certificates_1", true,
	  "serial number, or its beginning with *" },
	{ "key", R | C, FILTER_HEX, "q.spki_hash", 0, "requests_spki", false,
	  "SHA-256 of the public key, or its beginning with *" },
	{ "key-type", R | C, FILTER_TEXT, "q.key_type", 0, NULL, false, "rsa, ec-p256, ec-p384, ed25519" },
	{ "key-bits", R | C, FILTER_NUMBER, "q.key_bits", 0, NULL, false, "size of the key" },
	{ "age", R | C, FILTER_AGE, "q.submitted_ms", 1000, "requests_submitted", false,
	  "time since it was submitted" },
	{ "submitted", R | C, FILTER_TIME, "q.submitted_ms", 1000, "requests_submitted", false,
	  "when it was submitted" },
	{ "first-seen", R | C, FILTER_TIME, "q.first_seen_ms", 1000, NULL, false,
	  "when its names were first asked for" },
	{ "resolved", R | C, FILTER_TIME, "q.resolved_ms", 1000, NULL, false, "when it was decided" },
	{ "edited", R | C, FILTER_FLAG, "q.edited", 0, NULL, false, "an officer changed it" },
	{ "approved", R, FILTER_FLAG,
	  "EXISTS(SELECT 1 FROM approvals a WHERE a.request_id=q.id AND a.digest=q.digest)", 0, NULL, false,
	  "an officer approved it as it stands" },
	{ "noted", R, FILTER_FLAG, "EXISTS(SELECT 1 FROM notes m WHERE m.request_id=q.id)", 0, NULL, false,
	  "somebody wrote a note" },
	{ "issued", C, FILTER_TIME, "c.issued_ms", 1000, "certificates_issued", false, "when it was issued" },
	{ "not-before", C, FILTER_TIME, "c.not_before_s", 1, NULL, false, "beginning of its validity" },
	{ "not-after", C, FILTER_TIME, "c.not_after_s", 1, "certificates_not_after", false, "end of its validity" },
	{ "expires", C, FILTER_AHEAD, "c.not_after_s", 1, "certificates_not_after", false, "time until it expires" },
	{ "reason", C, FILTER_WORD, "c.revoked_reason", 0, NULL, false,
	  "why it was revoked: keyCompromise, superseded, ..." },
	{ "expired", C, FILTER_STANDS_FOR, "expires<0s", 0, NULL, false, "its validity is over" },
	{ "valid", C, FILTER_STANDS_FOR, "state=issued and expires>=0s", 0, NULL, false,
	  "neither revoked nor expired" },
	{ "collected", C, FILTER_FLAG, "c.collected_ms IS NOT NULL", 0, NULL, false, "its requester has it" },
	{ 0 },
};

static const struct {
	const char *field, *word;
	int64_t number;
} words[] = {
	{ "state", "active", CA_STATE_ACTIVE },
	{ "state", "pending", CA_STATE_PENDING },
	{ "state", "foreign", CA_STATE_FOREIGN },
	{ "state", "issued", CA_STATE_ISSUED },
	{ "state", "revoked", CA_STATE_REVOKED },
	{ "state", "error", CA_STATE_ERROR },
	{ "state", "denied", CA_STATE_DENIED },
	/* RFC 5280 5.3.1. */
	{ "reason", "unspecified", 0 },
	{ "reason", "keyCompromise", 1 },
	{ "reason", "cACompromise", 2 },
	{ "reason", "affiliationChanged", 3 },
	{ "reason", "superseded", 4 },
	{ "reason", "cessationOfOperation", 5 },
	{ "reason", "certificateHold", 6 },
	{ "reason", "privilegeWithdrawn", 9 },
	{ "reason", "aACompromise", 10 },
};

bool filter_find_word(const struct filter_field *field, const char *text, int64_t *number)
{
	for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++) {
		if (strcmp(words[i].field, field->word) != 0 || strcasecmp(words[i].word, text) != 0)
			continue;
		*number = words[i].number;
		return true;
	}
	return false;
}
