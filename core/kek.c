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

static void find_kek(const struct conf_section *root, struct buf *path)
{
	const char *credentials = getenv("CREDENTIALS_DIRECTORY");
	const char *configured = conf_str(conf_section(root, "core"), "key-file");

	if (credentials && buf_printf(path, "%s/kek", credentials) == 0 && access(buf_str(path), F_OK) == 0)
		return;
	buf_reset(path);
	if (configured)
		buf_append_str(path, configured);
	else
		buf_printf(path, "%s/kek", conf_str(root, "data"));
}

/* Without a store nothing can be sealed under a key that is missing: it never was there. */
static bool has_store(const struct conf_section *root)
{
	OWNED_BUF path = BUF_INIT(4096);

	return buf_printf(&path, "%s/core/core.db", conf_str(root, "data")) || access(buf_str(&path), F_OK) == 0;
}

int ca_core_load_kek(const struct conf_section *root, uint8_t kek[static CA_KEK_SIZE], struct conf_error *error)
{
	OWNED_BUF path = BUF_INIT(4096);
	char why[KEK_WHY_SIZE] = "";
	int e;

	find_kek(root, &path);
	e = buf_status(&path);
	if (!e)
		e = kek_load(buf_str(&path), false, kek, why);
	if (e == -ENOENT && !has_store(root)) {
		conf_refuse(root, "cas", error, "there is no CA yet; create one with: gatehouse ca init --name '%s'",
			    conf_str(conf_section_at(root, "cas", 0), "name"));
		return CA_CORE_NO_CA;
	}
	if (e)
		conf_refuse(root, "cas", error, "%s", why);
	return e;
}
