/* A key-encryption key of a passphrase.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "core/passphrase.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>

#include "core/base/base64.h"
#include "core/base/file.h"
#include "core/base/own.h"
#include "core/base/secret.h"
#include "core/base/terminal.h"

#define SALT_SIZE PASSWORD_SALT_SIZE
#define CHECK_SIZE 8

/* What the salt's file says. */
struct recipe {
	struct secret_cost cost;
	uint8_t salt[SALT_SIZE], check[CHECK_SIZE];
};

static int fail(char why[static KEK_WHY_SIZE], int e, const char *text, const char *path)
{
	snprintf(why, KEK_WHY_SIZE, "%s %s: %s", text, path, strerror(-e));
	return e;
}

/* ---- the recipe ---- */

static bool read_hex(const char *text, uint8_t *out, size_t size)
{
	for (size_t i = 0; i < size; i++) {
		unsigned octet;
		int n = 0;

		if (sscanf(text + 2 * i, "%2x%n", &octet, &n) != 1 || n != 2)
			return false;
		out[i] = (uint8_t)octet;
	}
	return text[2 * size] == '\0';
}

static int read_recipe(const char *path, struct recipe *r)
{
	OWNED_BUF text = BUF_INIT(256);
	char salt[2 * SALT_SIZE + 2], check[2 * CHECK_SIZE + 2];
	int e = file_read(path, &text);

	if (e)
		return e;
	if (sscanf(buf_str(&text), "scrypt %" SCNu64 " %" SCNu32 " %" SCNu32 " %33s %17s", &r->cost.n, &r->cost.r,
		   &r->cost.p, salt, check) != 5)
		return -EBADMSG;
	if (!read_hex(salt, r->salt, SALT_SIZE) || !read_hex(check, r->check, CHECK_SIZE))
		return -EBADMSG;
	/* A changed file must not make it cheap, nor take all memory. */
	if (r->cost.n < 16384 || r->cost.r < 8 || r->cost.r > 64 || r->cost.p < 1 || r->cost.p > 16)
		return -EBADMSG;
	return r->cost.n > SECRET_MEMORY_MAX / 256 / r->cost.r ? -EBADMSG : 0;
}

static int write_recipe(const char *path, const struct recipe *r)
{
	char salt[2 * SALT_SIZE + 1], check[2 * CHECK_SIZE + 1];
	OWNED_BUF text = BUF_INIT(256);

	hex_print(bytes_of(r->salt, SALT_SIZE), salt);
	hex_print(bytes_of(r->check, CHECK_SIZE), check);
	buf_printf(&text, "scrypt %" PRIu64 " %" PRIu32 " %" PRIu32 " %s %s\n", r->cost.n, r->cost.r, r->cost.p,
		   salt, check);
	return file_write_atomic_at(AT_FDCWD, path, buf_bytes(&text), 0600);
}

/* ---- the key ---- */

static int make_check(const uint8_t kek[static CA_KEK_SIZE], uint8_t out[static CHECK_SIZE])
{
	uint8_t mac[SHA256_SIZE];
	int e = secret_mac(bytes_of(kek, CA_KEK_SIZE), bytes_of_str("gatehouse key-encryption key"), mac);

	if (!e)
		memcpy(out, mac, CHECK_SIZE);
	return e;
}

static int make_recipe(const char *path, struct bytes passphrase, uint8_t kek[static CA_KEK_SIZE], char *why)
{
	struct recipe r = { .cost = { .n = 131072, .r = 8, .p = 1 } };
	int e;

	if (passphrase.len < PASSPHRASE_MIN) {
		snprintf(why, KEK_WHY_SIZE, "a passphrase has %d characters or more", PASSPHRASE_MIN);
		return -EINVAL;
	}
	e = random_octets(r.salt, sizeof(r.salt));
	if (!e)
		e = secret_derive(passphrase, &r.cost, r.salt, kek);
	if (!e)
		e = make_check(kek, r.check);
	if (!e)
		e = write_recipe(path, &r);
	return e ? fail(why, e, "cannot make a key of the passphrase, nor", path) : 0;
}

int passphrase_derive(const char *data_folder, struct bytes passphrase, bool make, uint8_t kek[static CA_KEK_SIZE],
		      char why[static KEK_WHY_SIZE])
{
	OWNED_BUF path = BUF_INIT(4096);
	uint8_t check[CHECK_SIZE];
	struct recipe r;
	int e = buf_printf(&path, "%s/kek.salt", data_folder);

	if (!e)
		e = read_recipe(buf_str(&path), &r);
	if (e == -ENOENT && make)
		return make_recipe(buf_str(&path), passphrase, kek, why);
	if (!e)
		e = secret_derive(passphrase, &r.cost, r.salt, kek);
	if (!e)
		e = make_check(kek, check);
	if (e)
		return fail(why, e, "cannot use the salt of the passphrase", buf_str(&path));
	if (secret_equal(check, r.check, CHECK_SIZE))
		return 0;
	explicit_bzero(kek, CA_KEK_SIZE);
	snprintf(why, KEK_WHY_SIZE, "the passphrase is wrong");
	return PASSPHRASE_WRONG;
}

/* ---- where it comes from ---- */

static void cut_line(struct buf *text)
{
	const uint8_t *end = text->len ? memchr(text->ptr, '\n', text->len) : NULL;

	if (end)
		text->len = (size_t)(end - text->ptr);
}

int passphrase_read(const char *path, struct buf *out, char why[static KEK_WHY_SIZE])
{
	int e = file_read_secret(path, out);

	cut_line(out);
	if (e == -EPERM)
		snprintf(why, KEK_WHY_SIZE, "the passphrase file %s may be read by others; chmod 0600 it", path);
	else if (e)
		fail(why, e, "cannot read the passphrase file", path);
	else if (out->len == 0)
		snprintf(why, KEK_WHY_SIZE, "the passphrase file %s is empty", path);
	return !e && out->len == 0 ? -EINVAL : e;
}

int passphrase_ask(const char *question, struct buf *out, char why[static KEK_WHY_SIZE])
{
	int e = terminal_ask(question, out);

	if (e == -ENOTTY)
		snprintf(why, KEK_WHY_SIZE,
			 "the passphrase is asked for at a terminal, and there is none; start it from one, or name a "
			 "file with core.passphrase-file, or give the credential kek-passphrase");
	else if (e)
		snprintf(why, KEK_WHY_SIZE, "the passphrase cannot be read from the terminal: %s", strerror(-e));
	return e;
}
