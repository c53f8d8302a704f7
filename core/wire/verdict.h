/* What a target outside has said of a request: a statement that gatehouse-validator makes for the core.
 *
 * It goes through the gateway, which can neither make nor change one: it stands under a MAC whose key the supervisor
 * gives to those two alone. It is about one request in one transaction, so that whoever brings it again gets what he
 * has.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "core/base/arena.h"
#include "core/base/buf.h"
#include "core/base/digest.h"

#define VERDICT_KEY_SIZE 32
#define VERDICT_TRANSACTION_SIZE 32
#define VERDICT_MAX 65536

/* The target has allowed the request. */
struct verdict {
	const char *target, *endpoint;    /* their names in the configuration */
	const char *scope;                /* names that it may allow, one pattern a line (core/name_scope.h) */
	int64_t until_ms;                 /* wall time */
	uint8_t request[SHA256_SIZE];     /* of the octets that were shown to it */
	uint8_t transaction_key[VERDICT_TRANSACTION_SIZE];
};

/* Append it. 0; -EMSGSIZE; -ENOMEM; -EIO. */
int verdict_write(const uint8_t key[static VERDICT_KEY_SIZE], const struct verdict *v, struct buf *out);

/* Texts into the arena. 0; -EBADMSG: nobody who has the key made it; -ENOMEM; -EIO. */
int verdict_read(struct verdict *out, const uint8_t key[static VERDICT_KEY_SIZE], struct bytes octets,
		 struct arena *arena);
