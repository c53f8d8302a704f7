/* The audit trail: what happened, who did it, what was before and after; a chain of hashes in the core's store.
 *
 * Every change of a request's state and every administrative act appends exactly one record, inside the transaction of
 * what it tells: there is no change without its record and no record without its change. Records are never changed or
 * removed. Record `seq` carries the hash of the one before it, so whoever alters one must alter all that follow; the
 * head of the chain is anchored outside the database (core/anchor.h), so he cannot do that either.
 *
 *     hash = SHA-256(prev || seq || payload)      prev: 32 octets, zero for record 1; seq: 8 octets, big endian
 *
 * The payload is JSON in one canonical form: members in the order of `struct audit_record`, absent ones left out, no
 * blanks, UTF-8, only `"`, `\` and control characters escaped. Secrets, whole CSRs and challenge answers never come
 * here. A record about a certificate has its serial, in lower-case hex, as subject.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "core/base/buf.h"
#include "core/base/db.h"
#include "core/base/digest.h"

struct audit_record {
	int64_t at_ms;
	const char *actor;     /* "unix:alice", a requester, "policy", "core" */
	const char *action;    /* "issue"; the word of the transition or of the administrative act */
	int64_t request_id;    /* 0: none */
	const char *subject;   /* what else it is about: a serial, a CA, a credential; NULL: nothing */
	const char *before;    /* state or value before, NULL: there was none */
	const char *after;
	const char *detail;    /* more, as key=value by blanks; NULL: nothing */
	bool is_long;          /* the detail has room up to AUDIT_LONG_MAX */
};

/* Acts that are looked for in the trail. */
#define AUDIT_START "start"
#define AUDIT_STOP "stop"
#define AUDIT_ACCEPT_CLOCK "accept-clock"

/* Text beyond this is cut: a record must never be the reason that what it tells cannot happen. */
#define AUDIT_TEXT_MAX ((size_t)2048)
#define AUDIT_LONG_MAX ((size_t)90112) /* all the names of a certificate */
#define AUDIT_PAYLOAD_MAX ((size_t)106496)

/* Append a record. Only inside a db_write() function of the core's store, with what it tells; a failure is returned by
 * that function as it came. */
int audit_append(struct db_conn *conn, const struct audit_record *r);

/* The payload of a record, appended to `out`. 0 or -errno. */
int audit_print(const struct audit_record *r, struct buf *out);

/* The hash of record `seq`, whose predecessor has the hash `prev`. 0 or -EIO. */
int audit_hash(const uint8_t prev[static SHA256_SIZE], int64_t seq, struct bytes payload,
	       uint8_t out[static SHA256_SIZE]);
