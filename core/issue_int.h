/* What issuing knows about words.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "core/issue.h"

/* For sentences. The table stands in core/issue_words.c, for users in gatehouse.yaml(5). */
#define SUBJECT_COMPONENTS \
	"CN, O, OU, C, ST, L, serialNumber, emailAddress, DC, UID, unstructuredName and unstructuredAddress"

struct subject_component {
	const char *word;
	struct bytes oid; /* content of the OID */
	unsigned tag;     /* of its string type */
	size_t max;       /* characters */
};

const struct subject_component *issue_subject_component(const char *word); /* NULL: unknown */
const struct subject_component *issue_subject_component_of(struct bytes oid); /* content of the OID; NULL: unknown */
int issue_key_usage_bit(const char *word);                                 /* -EINVAL: unknown */
const char *issue_ext_key_usage_oid(const char *word);                     /* dotted; NULL: not allowed */
