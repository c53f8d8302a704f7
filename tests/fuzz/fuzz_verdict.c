/* Statements of the validator: those that a gateway made up, and those behind a good MAC.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdlib.h>

#include "core/base/own.h"
#include "core/base/secret.h"
#include "core/wire/verdict.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint8_t key[VERDICT_KEY_SIZE] = { 1 };
	OWNED_BUF octets = BUF_INIT(2 * VERDICT_MAX), again = BUF_INIT(2 * VERDICT_MAX);
	OWNED(arena) arena = NULL;
	uint8_t mac[SHA256_SIZE];
	struct verdict v;

	if (size > VERDICT_MAX || arena_new(&arena, 1u << 20))
		return 0;
	if (verdict_read(&v, key, bytes_of(data, size), arena) == 0)
		abort(); /* nobody guesses a MAC */
	if (secret_mac(bytes_of(key, sizeof(key)), bytes_of(data, size), mac) ||
	    buf_append(&octets, bytes_of(mac, sizeof(mac))) || buf_append(&octets, bytes_of(data, size)))
		return 0;
	if (verdict_read(&v, key, buf_bytes(&octets), arena))
		return 0;
	/* It has one encoding. */
	if (verdict_write(key, &v, &again) || !bytes_equal(buf_bytes(&octets), buf_bytes(&again)))
		abort();
	return 0;
}
