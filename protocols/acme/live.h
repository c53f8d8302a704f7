/* Orders whose clients are at work, kept in memory from their making to the download of the certificate.
 *
 * A client looks at its order, its authorizations and its challenges again and again until it has its certificate;
 * none of that needs the database. Every write to an order goes through here, from the one that makes it: a write that
 * was committed is applied to what is kept. When it cannot be told what the rows are now, because two
 * writes met or one failed, the order is forgotten and read from the database from then on; a read never fills this
 * table. So what is found here is never older than the last write that was finished. Names tell which order an object
 * belongs to: they begin with the name of the order.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "protocols/acme/store.h"

struct live; /* may be used by any number of threads */

/* Keeps at most `max` orders; the oldest is forgotten first. 0 or -ENOMEM. */
int live_new(struct live **out, unsigned max);
void live_drop(struct live **live);

/* Around the write that makes the order with this name, which nobody else has seen before. `is_written`: it was
 * committed, with these ids. Only then is it found here, and not if an authorization of another order is in it. */
void live_add_begins(struct live *l, const char *name);
void live_order_added(struct live *l, bool is_written, const struct acme_order *order);

/* The rows as they are stored (no status is computed), copied into `a`. False: not here, ask the database. */
bool live_get_order(struct live *l, struct arena *a, const char *name, struct acme_order *out);
/* By its own name or that of its challenge. */
bool live_get_authz(struct live *l, struct arena *a, const char *name, struct acme_authz *out);
/* Its order is forgotten: what the client came for it has now. */
bool live_take_certificate(struct live *l, struct arena *a, const char *name, struct acme_certificate *out);

/* Around a write to the order, or to anything in it, that has this name. `is_written`: it was committed and found the
 * rows as it wanted them; then the object is kept as it is given. */
void live_write_begins(struct live *l, const char *name);
void live_order_written(struct live *l, bool is_written, const struct acme_order *order, const char *pem);
void live_authz_written(struct live *l, bool is_written, const struct acme_authz *authz);
void live_order_collected(struct live *l, bool is_written, const char *name);

/* Orders that expired before this. */
void live_forget_expired(struct live *l, int64_t before_s);
