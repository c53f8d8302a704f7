/* Reasons of a revocation: their words, and who may give which.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "core/submit.h"

#include <errno.h>
#include <strings.h>

static const struct {
	int reason;
	const char *word;
	bool is_for_person, is_for_requester;
} reasons[] = {
	{ CA_REASON_UNSPECIFIED, "unspecified", true, true },
	{ CA_REASON_KEY_COMPROMISE, "keyCompromise", true, true },
	{ CA_REASON_CA_COMPROMISE, "cACompromise", true, false },
	{ CA_REASON_AFFILIATION_CHANGED, "affiliationChanged", true, true },
	{ CA_REASON_SUPERSEDED, "superseded", true, true },
	{ CA_REASON_CESSATION, "cessationOfOperation", true, true },
	{ CA_REASON_HOLD, "certificateHold", false, false },
	{ CA_REASON_REMOVE_FROM_CRL, "removeFromCRL", false, false },
	{ CA_REASON_PRIVILEGE_WITHDRAWN, "privilegeWithdrawn", true, false },
};
#define N_REASONS (sizeof(reasons) / sizeof(*reasons))

const char *ca_reason_word(int reason)
{
	for (size_t i = 0; i < N_REASONS; i++)
		if (reasons[i].reason == reason)
			return reasons[i].word;
	return "?";
}

int ca_reason_parse(const char *word)
{
	for (size_t i = 0; i < N_REASONS; i++)
		if (strcasecmp(reasons[i].word, word) == 0)
			return reasons[i].reason;
	return -EINVAL;
}

bool ca_reason_is_for_requester(int reason)
{
	for (size_t i = 0; i < N_REASONS; i++)
		if (reasons[i].reason == reason)
			return reasons[i].is_for_requester;
	return false;
}

bool ca_reason_is_for_person(int reason)
{
	for (size_t i = 0; i < N_REASONS; i++)
		if (reasons[i].reason == reason)
			return reasons[i].is_for_person;
	return false;
}
