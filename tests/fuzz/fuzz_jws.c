/* Signed messages: any octets are read or refused with a sentence; what is read can be verified with any kind of key,
 * and a key that travels in a message is read back from what is stored of it.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "protocols/jose/jws.h"

#include "core/base/own.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void expect(bool claim)
{
	if (!claim)
		abort();
}

static void verify(const struct jws *jws, const struct jwk *key)
{
	const char *why = NULL;
	int e = jws_verify(jws, key, &why);

	expect(e >= 0);
	expect(e == 0 || why);
}

/* RFC 8037 A.2, RFC 7515 A.3: public keys that everybody knows. */
static void verify_with_fixed_keys(const struct jws *jws)
{
	static const char *const keys[] = {
		"{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\"}",
		"{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\","
		"\"y\":\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0\"}",
	};

	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		OWNED(jwk) key = NULL;
		const char *why = NULL;

		expect(jwk_read(&key, bytes_of_str(keys[i]), &why) == 0);
		verify(jws, key);
	}
}

static void read_back(const struct jwk *key)
{
	OWNED(jwk) again = NULL;
	const char *why = NULL;

	expect(jwk_read(&again, bytes_of_str(key->text), &why) == 0);
	expect(strcmp(again->thumbprint, key->thumbprint) == 0);
}

/* The same octets as a message with a MAC, which no key of a client verifies. */
static void read_with_mac(struct bytes text)
{
	OWNED(jws) jws = NULL;
	OWNED_JSON object = NULL;
	const char *why = NULL;
	int e;

	if (json_parse(&object, text, JWS_SIZE_MAX))
		return;
	e = jws_parse_mac(&jws, object, &why);
	expect(e >= 0 && (e == 0) == (jws != NULL) && (e == 0 || why));
	if (!jws)
		return;
	expect(jws->kid && !jws->jwk && jws->url);
	expect(jws->signature.len == 32 || jws->signature.len == 48 || jws->signature.len == 64);
	verify_with_fixed_keys(jws);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	OWNED(jws) jws = NULL;
	OWNED(jwk) key = NULL;
	const char *why = NULL;
	int e;

	read_with_mac(bytes_of(data, size));
	e = jws_parse(&jws, bytes_of(data, size), &why);
	if (e) {
		expect(e > 0 && why && !jws);
		return 0;
	}
	expect(jws->url && !jws->kid != !jws->jwk);
	verify_with_fixed_keys(jws);
	if (!jws->jwk)
		return 0;
	e = jwk_parse(&key, jws->jwk, &why);
	expect(e >= 0 && (e == 0) == (key != NULL));
	if (key) {
		verify(jws, key);
		read_back(key);
	}
	return 0;
}
