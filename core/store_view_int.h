/* Rows read into messages of the administrator's tool: what views and lists share.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "core/base/arena.h"
#include "core/base/db.h"

#include "admin.pb-c.h"

/* Of the request q, and of the certificate c of the request q. */
#define VIEW_REQUEST_COLUMNS \
	"q.id, q.state, q.protocol, q.endpoint, q.profile, q.ca, q.requester, q.source_address, q.subject, q.digest," \
	" q.submitted_ms, q.first_seen_ms, coalesce(q.resolved_ms, 0), q.rule, q.reason, q.status, q.serial," \
	" q.version, CASE WHEN q.server_key=0 OR q.serial IS NOT NULL THEN q.spki_hash END, q.edited," \
	" q.approvals_needed," \
	" CASE WHEN q.state=9 THEN (SELECT count(*) FROM approvals a WHERE a.request_id=q.id AND a.digest=q.digest" \
	" AND a.rule=q.rule) ELSE 0 END"
#define VIEW_CERTIFICATE_COLUMNS \
	"c.serial, c.request_id, c.ca, q.profile, q.requester, q.subject, c.not_before_s, c.not_after_s," \
	" coalesce(c.revoked_ms, 0), coalesce(c.revoked_reason, 0), q.state, q.endpoint, q.protocol, q.spki_hash," \
	" c.issued_ms, coalesce(c.collected_ms, 0)"

/* From the columns above, of which the first is the column `first` of the row. NULL: no memory. */
Gatehouse__Admin__Request *view_read_request(struct arena *arena, struct db_rows *rows, int first);
Gatehouse__Admin__Certificate *view_read_certificate(struct arena *arena, struct db_rows *rows, int first);

/* "dns:a.example" for each name of a request. */
int view_read_names(struct db_conn *conn, struct arena *arena, int64_t id, char ***out, size_t *n);
