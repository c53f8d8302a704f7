/* The octets of a certificate revocation list (RFC 5280 5), written by hand: a million entries are a million small
 * appends, and OpenSSL's objects for them would take ten times the memory and thirty times the processor.
 *
 *     entries (crl_add_entry, once each)
 *     TBSCertList      = crl_write_start · entries · crl_write_end
 *     CertificateList  = crl_write_outer · TBSCertList · crl_write_signature
 *
 * Full lists only: no deltas, no indirect ones, so a certificate that is released from hold is simply not there.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "core/x509/issuer.h"

/* What it says besides its entries. */
struct crl_head {
	const struct issuer *issuer;
	uint64_t number;
	int64_t this_update_s, next_update_s;
	/* It is about the certificates that name one of these URLs, one a line; NULL: about all of this key's. */
	const char *partition_urls;
};

struct crl_entry {
	struct bytes serial;   /* positive, without leading zeros */
	int64_t revoked_s;
	int reason;            /* enum ca_revocation_reason; unspecified is left out (RFC 5280 5.3.1) */
};

/* Dates of a day have the same beginning: kept from one entry to the next. Zeroed at first. */
struct crl_clock {
	int64_t day;
	char text[16];
	size_t n;
};

/* Append an entry. 0; -EINVAL: serial or date; -EMSGSIZE; -ENOMEM. */
int crl_add_entry(struct buf *entries, struct crl_clock *clock, const struct crl_entry *entry);

/* What stands in front of `entries_len` octets of entries, and behind them. Append. 0 or negative. */
int crl_write_start(struct buf *out, const struct crl_head *head, size_t entries_len);
int crl_write_end(struct buf *out, const struct crl_head *head);

/* What stands in front of `tbs_len` octets of TBSCertList, when the signature is known, and behind them. */
int crl_write_outer(struct buf *out, const struct issuer *issuer, size_t tbs_len, struct bytes signature);
int crl_write_signature(struct buf *out, const struct issuer *issuer, struct bytes signature);
