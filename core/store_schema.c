/* The core's tables.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "core/store.h"

static const char schema_1[] =
	/* No number is given again, also of a row that was purged: audit trail and exits know requests by it. */
	"CREATE TABLE requests("
	" id INTEGER PRIMARY KEY AUTOINCREMENT,"
	" state INTEGER NOT NULL,"
	" version INTEGER NOT NULL,"
	" ca TEXT NOT NULL, protocol TEXT NOT NULL, endpoint TEXT NOT NULL, profile TEXT NOT NULL,"
	" requester TEXT NOT NULL, intermediary TEXT NOT NULL, source_address TEXT, evidence INTEGER NOT NULL,"
	" received_ms INTEGER NOT NULL, submitted_ms INTEGER NOT NULL, first_seen_ms INTEGER NOT NULL,"
	" resolved_ms INTEGER, retry_after_s INTEGER NOT NULL, collect_ms INTEGER NOT NULL,"
	" csr BLOB NOT NULL, csr_hash BLOB NOT NULL, spki_hash BLOB NOT NULL, names_key BLOB NOT NULL,"
	" asked_subject TEXT NOT NULL, subject TEXT NOT NULL, raw_attributes TEXT NOT NULL,"
	" transaction_key BLOB NOT NULL, key_until_ms INTEGER NOT NULL,"
	" status INTEGER NOT NULL, reason TEXT NOT NULL, rule TEXT NOT NULL, trace TEXT NOT NULL,"
	" digest BLOB, serial BLOB, tbs BLOB, key_id INTEGER, crl_partition INTEGER NOT NULL DEFAULT 0,"
	" not_before_s INTEGER, not_after_s INTEGER,"
	" template_s INTEGER NOT NULL, edited INTEGER NOT NULL, officer_lifetime_s INTEGER NOT NULL DEFAULT 0,"
	" officer_not_after_s INTEGER NOT NULL DEFAULT 0,"
	" approvals_needed INTEGER NOT NULL DEFAULT 0,"
	" key_type TEXT NOT NULL, key_bits INTEGER NOT NULL, server_key INTEGER NOT NULL DEFAULT 0,"
	" credential_id INTEGER, credential TEXT, any_scope INTEGER NOT NULL,"
	/* A second credential; the request by which a certificate was issued that proved this one; names were changed
	 * by renewal (enum name_change); the EAB key that the account is bound to, whose scope has the names too. */
	" also_id INTEGER, also TEXT, certificate_id INTEGER, name_change INTEGER NOT NULL DEFAULT 0,"
	" limit_id INTEGER, limit_text TEXT, keyless_digest BLOB, poll_key BLOB) STRICT;"
	/* key_until_ms 0: the key is released and may be used again. -1: so it is, and what policy denied under it
	 * stays denied. */
	"CREATE UNIQUE INDEX requests_key ON requests(transaction_key) WHERE key_until_ms > 0;"
	/* What clients bring who ask again without their request. */
	"CREATE INDEX requests_poll ON requests(poll_key) WHERE poll_key IS NOT NULL;"
	"CREATE UNIQUE INDEX requests_pending ON requests(endpoint, requester, names_key, profile) WHERE state = 9;"
	/* Names come in no order, so each request has a page of its own here: what is not resolved is not in it. */
	"CREATE INDEX requests_tuple ON requests(endpoint, requester, names_key, profile, resolved_ms)"
	" WHERE resolved_ms <> 0;"
	"CREATE INDEX requests_state ON requests(state, id);"
	"CREATE UNIQUE INDEX requests_serial ON requests(serial) WHERE serial IS NOT NULL;"
	/* What lists are filtered by (core/filter_fields.c). Each has the row's number behind its column. */
	"CREATE INDEX requests_requester ON requests(requester);"
	"CREATE INDEX requests_profile ON requests(profile);"
	"CREATE INDEX requests_protocol ON requests(protocol);"
	"CREATE INDEX requests_endpoint ON requests(endpoint);"
	"CREATE INDEX requests_spki ON requests(spki_hash);"
	"CREATE INDEX requests_submitted ON requests(submitted_ms);"
	/* What is purged, oldest first. */
	"CREATE INDEX requests_failed ON requests(resolved_ms) WHERE state IN (30, 31) AND serial IS NULL;"
	"CREATE TABLE names("
	" request_id INTEGER NOT NULL REFERENCES requests(id), position INTEGER NOT NULL, kind INTEGER NOT NULL,"
	" value TEXT NOT NULL, reversed TEXT NOT NULL, evidence INTEGER NOT NULL, evidence_text TEXT NOT NULL,"
	" PRIMARY KEY(request_id, position)) STRICT, WITHOUT ROWID;"
	/* The value backwards and in small letters: endings are found as beginnings. */
	"CREATE INDEX names_reversed ON names(reversed, kind);"
	"CREATE TABLE attributes("
	" request_id INTEGER NOT NULL REFERENCES requests(id), name TEXT NOT NULL, value TEXT NOT NULL,"
	" PRIMARY KEY(request_id, name)) STRICT, WITHOUT ROWID;"
	"CREATE TABLE extensions("
	" request_id INTEGER NOT NULL REFERENCES requests(id), oid TEXT NOT NULL, flags INTEGER NOT NULL,"
	" value BLOB NOT NULL, PRIMARY KEY(request_id, oid)) STRICT, WITHOUT ROWID;"
	"CREATE TABLE certificates("
	" request_id INTEGER PRIMARY KEY REFERENCES requests(id), serial BLOB NOT NULL UNIQUE, ca TEXT NOT NULL,"
	" key_id INTEGER NOT NULL, certificate BLOB NOT NULL, not_before_s INTEGER NOT NULL,"
	" not_after_s INTEGER NOT NULL, issued_ms INTEGER NOT NULL, collected_ms INTEGER,"
	" crl_partition INTEGER NOT NULL DEFAULT 0,"
	" revoked_ms INTEGER, revoked_reason INTEGER) STRICT;"
	/* What a CRL is made of, whatever number of certificates is not revoked. */
	"CREATE INDEX certificates_revoked ON certificates(key_id, crl_partition, serial, revoked_ms, revoked_reason,"
	" not_after_s) WHERE revoked_ms IS NOT NULL;"
	/* How often something changed that a CRL of the CA says. */
	"CREATE TABLE crl_changes(ca TEXT PRIMARY KEY COLLATE NOCASE, n INTEGER NOT NULL) STRICT, WITHOUT ROWID;"
	/* The CRLs in force: one for each key, and one for each part of its certificates (0: all of them). `changes`:
	 * what crl_changes said when it was begun. */
	"CREATE TABLE crls("
	" key_id INTEGER NOT NULL, crl_partition INTEGER NOT NULL, number INTEGER NOT NULL,"
	" this_update_s INTEGER NOT NULL, next_update_s INTEGER NOT NULL, changes INTEGER NOT NULL,"
	" entries INTEGER NOT NULL, urls TEXT NOT NULL,"
	" PRIMARY KEY(key_id, crl_partition)) STRICT, WITHOUT ROWID;"
	/* Public keys whose private halves others have: nobody certifies them again. */
	"CREATE TABLE blocked_keys("
	" spki_hash BLOB PRIMARY KEY, since_ms INTEGER NOT NULL, serial BLOB NOT NULL) STRICT, WITHOUT ROWID;"
	"CREATE INDEX certificates_not_after ON certificates(not_after_s);"
	"CREATE INDEX certificates_issued ON certificates(issued_ms);"
	"CREATE TABLE approvals("
	" request_id INTEGER NOT NULL REFERENCES requests(id), officer TEXT NOT NULL, rule TEXT NOT NULL,"
	" digest BLOB NOT NULL, at_ms INTEGER NOT NULL, PRIMARY KEY(request_id, officer, rule)) STRICT, WITHOUT ROWID;"
	/* What officers write down for those who look next; carried over to the request that takes this one's place. */
	"CREATE TABLE notes("
	" id INTEGER PRIMARY KEY, request_id INTEGER NOT NULL REFERENCES requests(id), at_ms INTEGER NOT NULL,"
	" actor TEXT NOT NULL, text TEXT NOT NULL) STRICT;"
	"CREATE INDEX notes_request ON notes(request_id);"
	"CREATE TABLE grants("
	" id INTEGER PRIMARY KEY, ca TEXT NOT NULL, endpoint TEXT NOT NULL, requester TEXT NOT NULL,"
	" names_key BLOB NOT NULL, profile TEXT NOT NULL, request_id INTEGER NOT NULL REFERENCES requests(id),"
	" template BLOB NOT NULL, until_ms INTEGER NOT NULL, spent_by INTEGER) STRICT;"
	"CREATE INDEX grants_tuple ON grants(endpoint, requester, names_key, profile) WHERE spent_by IS NULL;"
	"CREATE INDEX grants_request ON grants(request_id);"
	"CREATE INDEX grants_spent ON grants(spent_by) WHERE spent_by IS NOT NULL;"
	"CREATE TABLE timeline("
	" id INTEGER PRIMARY KEY, request_id INTEGER NOT NULL REFERENCES requests(id), at_ms INTEGER NOT NULL,"
	" actor TEXT NOT NULL, text TEXT NOT NULL) STRICT;"
	"CREATE INDEX timeline_request ON timeline(request_id);"
	/* next_ms NULL: set aside after too many attempts; kept until somebody looks. request_id NULL: about a CA.
	 * about: the reason of a revocation, the number of a CRL. */
	"CREATE TABLE outbox("
	" id INTEGER PRIMARY KEY AUTOINCREMENT, module TEXT NOT NULL, ca TEXT NOT NULL, event INTEGER NOT NULL,"
	" request_id INTEGER REFERENCES requests(id), about INTEGER, attempts INTEGER NOT NULL,"
	" next_ms INTEGER) STRICT;"
	"CREATE INDEX outbox_order ON outbox(request_id, module, id);"
	"CREATE INDEX outbox_due ON outbox(next_ms, id) WHERE next_ms IS NOT NULL;"
	/* Each record holds the hash of the one before it (core/audit.h). */
	"CREATE TABLE audit("
	" seq INTEGER PRIMARY KEY, prev BLOB NOT NULL, payload TEXT NOT NULL, hash BLOB NOT NULL) STRICT;"
	"CREATE TRIGGER audit_keeps_records BEFORE DELETE ON audit BEGIN"
	" SELECT RAISE(ABORT, 'audit records are never removed'); END;"
	"CREATE TRIGGER audit_keeps_content BEFORE UPDATE ON audit BEGIN"
	" SELECT RAISE(ABORT, 'audit records are never changed'); END;"
	/* endpoints, profiles, scope: one a line. secret: of a challenge or token its SHA-256, of a user scrypt, of
	 * an EAB key nothing, of a vendor or RA certificates in DER; by_name: of an RA, whatever its key.
	 * uses_left NULL: without end. Numbers are never given twice: requests point to them. delegates: how many
	 * challenges may wait at once that a user or token had made, whose number delegated_by is then; device: one a
	 * line, of which a request by it must name one. */
	"CREATE TABLE credentials("
	" id INTEGER PRIMARY KEY AUTOINCREMENT, kind INTEGER NOT NULL, name TEXT, note TEXT NOT NULL, secret BLOB,"
	" salt BLOB, endpoints TEXT NOT NULL, profiles TEXT NOT NULL, scope TEXT NOT NULL,"
	" created_ms INTEGER NOT NULL, created_by TEXT NOT NULL, until_ms INTEGER,"
	" uses_left INTEGER CHECK (uses_left >= 0), used INTEGER NOT NULL,"
	" last_used_ms INTEGER, revoked_ms INTEGER, by_name INTEGER NOT NULL DEFAULT 0,"
	" delegates INTEGER NOT NULL DEFAULT 0, delegated_by INTEGER, device TEXT) STRICT;"
	"CREATE UNIQUE INDEX credentials_name ON credentials(kind, name) WHERE name IS NOT NULL;"
	"CREATE UNIQUE INDEX credentials_secret ON credentials(kind, secret) WHERE name IS NULL;"
	"CREATE INDEX credentials_delegated ON credentials(delegated_by, until_ms) WHERE delegated_by IS NOT NULL;"
	"CREATE TABLE credential_accounts("
	" credential_id INTEGER NOT NULL REFERENCES credentials(id), account TEXT NOT NULL, at_ms INTEGER NOT NULL,"
	" PRIMARY KEY(credential_id, account)) STRICT, WITHOUT ROWID;"
	/* certificate NULL: planned. sealed is empty once the certificate has ended. */
	"CREATE TABLE ocsp_responders("
	" id INTEGER PRIMARY KEY, key_id INTEGER NOT NULL REFERENCES ca_keys(id), serial BLOB NOT NULL UNIQUE,"
	" not_before_s INTEGER NOT NULL, not_after_s INTEGER NOT NULL, sealed BLOB NOT NULL, spki BLOB NOT NULL,"
	" tbs BLOB NOT NULL, certificate BLOB, made_ms INTEGER NOT NULL) STRICT;"
	"CREATE INDEX ocsp_responders_key ON ocsp_responders(key_id, id);"
	"CREATE TABLE ca_keys("
	" id INTEGER PRIMARY KEY, ca TEXT NOT NULL COLLATE NOCASE, purpose INTEGER NOT NULL, position INTEGER NOT NULL,"
	" state INTEGER NOT NULL, sealed BLOB NOT NULL, spki BLOB NOT NULL, certificate BLOB NOT NULL,"
	" issuers BLOB NOT NULL, request BLOB NOT NULL, created_ms INTEGER NOT NULL,"
	" UNIQUE(ca, purpose, position)) STRICT;"
	"CREATE UNIQUE INDEX ca_keys_state ON ca_keys(ca, purpose, state) WHERE state <> 3;"
	"CREATE TABLE ca_crosses("
	" key_id INTEGER NOT NULL REFERENCES ca_keys(id), by_key_id INTEGER NOT NULL REFERENCES ca_keys(id),"
	" certificate BLOB NOT NULL, PRIMARY KEY(key_id, by_key_id)) STRICT, WITHOUT ROWID;";

const char *const store_migrations[] = { schema_1, NULL };
