/* Accounts as requests need them: the row and the imported key, read once and kept.
 *
 * Nearly every request names an account, and an order takes five or more of them: without this each one reads the row
 * and imports the key anew. The rows of accounts that exist are read and written through here only, so what a request
 * sees is never older than the last write that was finished when it began. The accounts that were not asked for the
 * longest are forgotten first.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "protocols/acme/store.h"
#include "protocols/jose/jwk.h"

struct account_cache; /* may be used by any number of threads */

/* One account as it was read. Nothing in it changes; it lives until everybody who got it has let go of it. */
struct known_account {
	struct acme_account row;
	struct jwk *key;
};

/* Keeps at most `max` accounts of `store`, which must outlive it. 0 or -ENOMEM. */
int account_cache_new(struct account_cache **out, struct acme_store *store, unsigned max);
void account_cache_drop(struct account_cache **cache);

/* 0: the caller holds `*out` until known_account_unref(). ACME_STORE_NONE; -EBADMSG when the key that is stored cannot
 * be used; negative. */
int account_cache_get(struct account_cache *cache, int64_t id, struct known_account **out);
void known_account_unref(struct known_account **account);

/* What the store's functions of these names do; who gets the account from their return on sees what they wrote. */
int account_cache_set_contact(struct account_cache *cache, int64_t id, const char *contact);
int account_cache_set_key(struct account_cache *cache, int64_t id, const char *from, const char *jwk,
			  const char *thumbprint);
int account_cache_deactivate(struct account_cache *cache, int64_t id);
