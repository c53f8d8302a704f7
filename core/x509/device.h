/* Certificates that others have issued: of devices by their makers, of registration authorities by other CAs.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "core/base/arena.h"

#include <stdbool.h>

#define DEVICE_ANCHORS_MAX 8
#define DEVICE_CHAIN_MAX 8 /* certificates that are shown behind that of the device */

/* Spans of the certificate; texts in the arena. */
struct device {
	struct bytes issuer, subject, spki; /* DER */
	const char *subject_text;           /* RFC 4514 */
	const char *common_name, *serial_number; /* of the subject, when there is one value of it; NULL */
	int64_t not_before_s, not_after_s;
	bool is_ca;                         /* it says so, or may sign certificates */
	bool is_ra;                         /* clientAuth and id-kp-cmcRA (RFC 7030 3.7) */
};

/* 0; -EINVAL: no certificate, or octets behind it; -ENOMEM. */
int device_read(struct device *out, struct arena *arena, struct bytes der);

/* The first of several, and the octets behind it. 0 or -EINVAL. */
int device_split(struct bytes certificates, struct bytes *first, struct bytes *rest);

/* Is there a path from `certificate` over those that came with it to one of `anchors` (DER, one after the other) at
 * this time (RFC 5280 6.1)? Fit to authenticate a client, as far as key usage and extended key usage say, and never an
 * authority; no CRL is looked at, nothing is fetched. Keys and signatures of 112 bits of security at least.
 * `is_forbidden` says which public keys (SPKI) may not stand in it.
 * NULL, or why not: a sentence for the log. */
const char *device_verify(struct bytes certificate, struct bytes chain, struct bytes anchors, int64_t now_s,
			  bool (*is_forbidden)(const void *arg, struct bytes spki), const void *arg);

/* Are these the certificates of authorities, 1 to DEVICE_ANCHORS_MAX, none of them over? NULL, or why not. */
const char *device_check_anchors(struct bytes anchors, int64_t now_s,
				 bool (*is_forbidden)(const void *arg, struct bytes spki), const void *arg);
