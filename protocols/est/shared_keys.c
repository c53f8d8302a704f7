/* Keys that devices have from their making, and this gateway too: read once from files, found by their identifiers.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "protocols/est/est_int.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/base/base64.h"
#include "core/base/file.h"
#include "core/base/own.h"

#define KEY_MAX 32
#define IDENTIFIER_MAX 128
#define FILE_MAX 256

struct shared_key {
	uint8_t identifier[IDENTIFIER_MAX], key[KEY_MAX];
	size_t n_identifier, n_key;
};

struct est_shared_keys {
	size_t n;
	struct shared_key keys[];
};

/* Octets that are no text stand there as 0x and their digits. */
static int read_identifier(const char *text, struct shared_key *k)
{
	bool is_hex = strncmp(text, "0x", 2) == 0;
	size_t n = is_hex ? strlen(text + 2) / 2 : strlen(text);

	if (n == 0 || n > sizeof(k->identifier))
		return -EINVAL;
	k->n_identifier = n;
	if (is_hex)
		return hex_parse(text + 2, k->identifier, n);
	memcpy(k->identifier, text, n);
	return 0;
}

static int read_key(struct bytes text, struct shared_key *k)
{
	char digits[2 * KEY_MAX + 1] = "";
	int e;

	while (text.len && (text.ptr[text.len - 1] == '\n' || text.ptr[text.len - 1] == '\r'))
		text.len--;
	if (text.len != 32 && text.len != 48 && text.len != 64)
		return -EINVAL;
	memcpy(digits, text.ptr, text.len);
	k->n_key = text.len / 2;
	e = hex_parse(digits, k->key, k->n_key);
	explicit_bzero(digits, sizeof(digits));
	return e;
}

static int read_file(const char *identifier, const char *path, struct shared_key *k, char *why, size_t why_size)
{
	OWNED_BUF text = BUF_INIT(FILE_MAX);
	int e = read_identifier(identifier, k);

	if (e) {
		snprintf(why, why_size, "'%s' identifies no key: it is text, or octets as 0x and hexadecimal digits, "
					"of 1 to %d octets", identifier, IDENTIFIER_MAX);
		return e;
	}
	e = file_read_secret(path, &text);
	if (e) {
		snprintf(why, why_size, "the key '%s' cannot be read from %s: %s", identifier, path,
			 e == -EPERM ? "others may read it; it must have mode 0600" : strerror(-e));
		return e;
	}
	e = read_key(buf_bytes(&text), k);
	if (e)
		snprintf(why, why_size, "%s holds no key: 32, 48 or 64 hexadecimal digits on one line", path);
	return e;
}

static int check_new(const struct est_shared_keys *keys, const char *identifier, char *why, size_t why_size)
{
	const struct shared_key *k = &keys->keys[keys->n];

	if (!est_shared_keys_find(keys, bytes_of(k->identifier, k->n_identifier)).len)
		return 0;
	snprintf(why, why_size, "there are two keys '%s'", identifier);
	return -EINVAL;
}

int est_shared_keys_new(struct est_shared_keys **out, const struct conf_section *conf, const char *name, char *why,
			size_t why_size)
{
	size_t n = conf_count(conf, name);
	OWNED(est_shared_keys) keys = calloc(1, sizeof(*keys) + n * sizeof(keys->keys[0]));
	int e = keys ? 0 : -ENOMEM;

	for (size_t i = 0; !e && i < n; i++) {
		const char *identifier = conf_map_name(conf, name, i);

		e = read_file(identifier, conf_map_value(conf, name, i), &keys->keys[i], why, why_size);
		if (!e)
			e = check_new(keys, identifier, why, why_size);
		keys->n = i + 1;
	}
	if (e)
		return e;
	*out = MOVE(keys);
	return 0;
}

void est_shared_keys_drop(struct est_shared_keys **keys)
{
	if (!*keys)
		return;
	explicit_bzero((*keys)->keys, (*keys)->n * sizeof((*keys)->keys[0]));
	free(*keys);
	*keys = NULL;
}

struct bytes est_shared_keys_find(const struct est_shared_keys *keys, struct bytes identifier)
{
	for (size_t i = 0; i < keys->n; i++) {
		const struct shared_key *k = &keys->keys[i];

		if (bytes_equal(bytes_of(k->identifier, k->n_identifier), identifier))
			return bytes_of(k->key, k->n_key);
	}
	return bytes_of(NULL, 0);
}
