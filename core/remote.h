/* A core in another process, as its intermediary sees it: one connection that the doors of a process share.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "core/door.h"

struct remote;

/* `connect` as in core/wire/link.h; NULL: connections come by remote_attach(), and `lost` (or NULL) is told when one
 * broke. Both get `arg`. */
int remote_new(struct remote **out, int (*connect)(void *arg), void (*lost)(void *arg), void *arg);
/* No door of it may be left, and nobody may be in a call. */
void remote_drop(struct remote **r);
void remote_attach(struct remote *r, int take_fd);

/* Outcomes of ca_locate(). The door borrows `r`. */
int remote_locate(struct remote *r, struct ca_door **out, const char *ca);

/* As in core/registry.h. */
bool remote_health(struct remote *r, struct buf *out);
void remote_metrics(struct remote *r, struct buf *out);
int remote_report(struct remote *r, bool is_well, const char *text);
