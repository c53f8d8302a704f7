/* The key-encryption key.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "core/kek.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "core/base/digest.h"
#include "core/base/file.h"
#include "core/base/own.h"
#include "core/passphrase.h"

#define TRIES 3

static int make_kek(const char *path, char why[static KEK_WHY_SIZE])
{
	uint8_t kek[CA_KEK_SIZE];
	int e = random_octets(kek, sizeof(kek));

	if (!e)
		e = file_write_atomic_at(AT_FDCWD, path, bytes_of(kek, sizeof(kek)), 0600);
	explicit_bzero(kek, sizeof(kek));
	if (e)
		snprintf(why, KEK_WHY_SIZE, "cannot write the key-encryption key %s: %s", path, strerror(-e));
	return e;
}

int kek_load(const char *path, bool make, uint8_t kek[static CA_KEK_SIZE], char why[static KEK_WHY_SIZE])
{
	struct buf content = BUF_INIT(CA_KEK_SIZE);
	int e = file_read_secret(path, &content);

	if (e == -ENOENT && make) {
		e = make_kek(path, why);
		if (!e)
			e = file_read_secret(path, &content);
	}
	if (e == -EPERM)
		snprintf(why, KEK_WHY_SIZE, "the key-encryption key %s may be read by others; chmod 0600 it", path);
	else if (e || content.len != CA_KEK_SIZE)
		snprintf(why, KEK_WHY_SIZE, "cannot use the key-encryption key %s: %s", path,
			 e ? strerror(-e) : "it does not hold 32 octets");
	if (!e && content.len != CA_KEK_SIZE)
		e = -EBADMSG;
	if (!e)
		memcpy(kek, content.ptr, CA_KEK_SIZE);
	buf_wipe(&content);
	return e;
}

/* ---- passphrases ---- */

static int use_file(const struct kek_source *source, bool make, uint8_t kek[static CA_KEK_SIZE],
		    char why[static KEK_WHY_SIZE])
{
	struct buf passphrase = BUF_INIT(PASSPHRASE_MAX);
	int e = passphrase_read(source->passphrase_file, &passphrase, why);

	if (!e)
		e = passphrase_derive(source->data_folder, buf_bytes(&passphrase), make, kek, why);
	buf_wipe(&passphrase);
	return e > 0 ? -EKEYREJECTED : e;
}

/* A new one is typed twice: what was mistyped once would be lost for ever. */
static int ask_again(struct bytes first, char why[static KEK_WHY_SIZE])
{
	struct buf again = BUF_INIT(PASSPHRASE_MAX);
	int e = passphrase_ask("The same again: ", &again, why);

	if (!e && !bytes_equal(first, buf_bytes(&again))) {
		snprintf(why, KEK_WHY_SIZE, "the two passphrases are not the same");
		e = -EINVAL;
	}
	buf_wipe(&again);
	return e;
}

static int ask(const struct kek_source *source, bool make, uint8_t kek[static CA_KEK_SIZE],
	       char why[static KEK_WHY_SIZE])
{
	const char *question =
		make ? "New passphrase for the keys of the CAs: " : "Passphrase for the keys of the CAs: ";
	int e = PASSPHRASE_WRONG;

	for (int i = 0; i < TRIES && e == PASSPHRASE_WRONG; i++) {
		struct buf passphrase = BUF_INIT(PASSPHRASE_MAX);

		e = passphrase_ask(question, &passphrase, why);
		if (!e && make)
			e = ask_again(buf_bytes(&passphrase), why);
		if (!e)
			e = passphrase_derive(source->data_folder, buf_bytes(&passphrase), make, kek, why);
		buf_wipe(&passphrase);
	}
	return e > 0 ? -EKEYREJECTED : e;
}

int kek_get(const struct kek_source *source, bool make, uint8_t kek[static CA_KEK_SIZE],
	    char why[static KEK_WHY_SIZE])
{
	OWNED_BUF path = BUF_INIT(4096);

	if (source->passphrase_file)
		return use_file(source, make, kek, why);
	if (source->prompts)
		return ask(source, make, kek, why);
	if (source->key_file)
		buf_append_str(&path, source->key_file);
	else
		buf_printf(&path, "%s/kek", source->data_folder);
	return buf_status(&path) ? buf_status(&path) : kek_load(buf_str(&path), make, kek, why);
}

/* ---- as configured ---- */

/* A credential of the service manager, which is a file that only this service can read; NULL: it gave none. */
static const char *find_credential(const char *name, struct buf *path)
{
	const char *folder = getenv("CREDENTIALS_DIRECTORY");

	buf_reset(path);
	return folder && buf_printf(path, "%s/%s", folder, name) == 0 && access(buf_str(path), F_OK) == 0 ?
		       buf_str(path) : NULL;
}

static int get_configured(const struct conf_section *root, uint8_t kek[static CA_KEK_SIZE],
			  char why[static KEK_WHY_SIZE])
{
	const struct conf_section *core = conf_section(root, "core");
	struct kek_source source = { .data_folder = conf_str(root, "data") };
	OWNED_BUF path = BUF_INIT(4096);

	source.key_file = find_credential("kek", &path);
	if (!source.key_file)
		source.passphrase_file = find_credential("kek-passphrase", &path);
	if (!source.key_file && !source.passphrase_file) {
		source.passphrase_file = conf_str(core, "passphrase-file");
		source.prompts = conf_bool(core, "passphrase-prompt");
		source.key_file = conf_str(core, "key-file");
	}
	return kek_get(&source, false, kek, why);
}

/* Without a store nothing can be sealed under a key that is missing: it never was there. */
static bool has_store(const struct conf_section *root)
{
	OWNED_BUF path = BUF_INIT(4096);

	return buf_printf(&path, "%s/core/core.db", conf_str(root, "data")) || access(buf_str(&path), F_OK) == 0;
}

int ca_core_load_kek(const struct conf_section *root, uint8_t kek[static CA_KEK_SIZE], struct conf_error *error)
{
	char why[KEK_WHY_SIZE] = "";
	int e = get_configured(root, kek, why);

	if (e == -ENOENT && !has_store(root)) {
		conf_refuse(root, "cas", error, "there is no CA yet; create one with: gatehouse ca init --name '%s'",
			    conf_str(conf_section_at(root, "cas", 0), "name"));
		return CA_CORE_NO_CA;
	}
	if (e)
		conf_refuse(root, "cas", error, "%s", why);
	return e;
}
