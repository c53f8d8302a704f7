/* Creating a CA.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "core/create.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/crypto.h>

#include "core/base/clock.h"
#include "core/base/digest.h"
#include "core/base/file.h"
#include "core/base/own.h"
#include "core/folder.h"
#include "core/kek.h"
#include "core/store.h"

#define BACKDATE_S 600

struct creation {
	const struct ca_create_options *options;
	struct buf sealed, spki, certificate;
	char *why;
};

static int self_sign(struct signer *signer, struct creation *c)
{
	OWNED_BUF tbs = BUF_INIT(65536);
	OWNED_BUF signature = BUF_INIT(SIGNER_SIGNATURE_MAX);
	int64_t now = clock_wall_s();
	uint8_t serial[SERIAL_SIZE];
	uint64_t key;
	int e;

	e = signer_load(signer, buf_bytes(&c->sealed), SIGNER_PURPOSE_CA, c->options->name, bytes_of(NULL, 0), &key,
			c->why);
	if (!e)
		e = issue_serial(clock_wall_ms(), serial);
	if (!e)
		e = issue_build_root(buf_bytes(&c->spki), c->options->name, c->options->organization, now - BACKDATE_S,
				     now - BACKDATE_S + c->options->lifetime_s - 1, serial, 0, &tbs, c->why);
	if (!e)
		e = signer_sign_certificate(signer, key, buf_bytes(&tbs), &signature, c->why);
	return e ? e : issue_assemble_root(buf_bytes(&tbs), buf_bytes(&signature), &c->certificate);
}

/* Nothing is made, not even a key-encryption key, when the CA is there already. */
static int create(struct db *db, const char *kek_path, struct creation *c)
{
	struct signer *signer = NULL;
	uint8_t kek[SIGNER_KEK_SIZE];
	struct ca_key_row row;
	bool has_keys;
	int e = store_load_ca_key(db, c->options->name, SIGNER_PURPOSE_CA, 0, &row);

	ca_key_row_fini(&row);
	if (e != CA_CALL_NOT_FOUND)
		return e ? e : CA_CREATE_EXISTS;
	/* A key-encryption key that is missing while others' keys are sealed under it is lost, not new. */
	e = store_has_ca_keys(db, &has_keys);
	if (!e)
		e = kek_load(kek_path, !has_keys, kek, c->why);
	if (!e)
		e = signer_new(&signer, kek);
	OPENSSL_cleanse(kek, sizeof(kek));
	if (!e)
		e = signer_generate(signer, c->options->key_type, SIGNER_PURPOSE_CA, c->options->name, &c->sealed,
				    &c->spki, c->why);
	if (!e)
		e = self_sign(signer, c);
	if (!e)
		e = store_add_ca_key(db, c->options->name, SIGNER_PURPOSE_CA, CA_KEY_CURRENT, buf_bytes(&c->sealed),
				     buf_bytes(&c->spki), buf_bytes(&c->certificate), clock_wall_ms());
	signer_drop(&signer);
	if (e > 0)
		e = e == DB_CONFLICT && !c->why[0] ? CA_CREATE_EXISTS : -EINVAL;
	return e;
}

/* A file that root made. The folder's owner may put there what he likes while we look: nothing is followed, and what
 * has a second name, or is not root's, stays as it is. */
static int hand_over(int dir, const char *name, const struct stat *folder)
{
	int fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC), e = 0;
	struct stat st;

	if (fd < 0)
		return errno == ENOENT ? 0 : -errno;
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_nlink == 1 && st.st_uid == 0 &&
	    fchown(fd, folder->st_uid, folder->st_gid))
		e = -errno;
	close(fd);
	return e;
}

/* A folder that the daemon gave to the core's user already gets its files from nobody else: it must not keep what the
 * core cannot open. The key-encryption key lies outside of it. */
static int hand_over_all(const char *path, char *why)
{
	static const char *const names[] = { "lock", "core.db", "core.db-wal", "core.db-shm" };
	int dir, e = 0;
	struct stat folder;

	if (geteuid() != 0)
		return 0;
	dir = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (dir < 0 || fstat(dir, &folder))
		e = -errno;
	for (size_t i = 0; !e && folder.st_uid != 0 && i < sizeof(names) / sizeof(*names); i++)
		e = hand_over(dir, names[i], &folder);
	if (dir >= 0)
		close(dir);
	if (e)
		snprintf(why, CREATE_WHY_SIZE, "cannot give the files in %s to the owner of that folder: %s", path,
			 strerror(-e));
	return e;
}

static int create_in(const char *folder, const char *kek_path, struct creation *c)
{
	struct ca_core core = { .data_folder = (char *)folder };
	int e = store_open(&core, 0, c->why, CREATE_WHY_SIZE), handed;

	if (!e)
		e = create(core.db, kek_path, c);
	db_drop(&core.db);
	/* Also after a failure, and when the CA is there already: what is left must not keep the core out. */
	handed = hand_over_all(folder, c->why);
	return handed ? handed : e;
}

int ca_create(const struct ca_create_options *options, struct buf *certificate, char why[static CREATE_WHY_SIZE])
{
	struct creation c = {
		.options = options,
		.sealed = BUF_INIT(SIGNER_SEALED_MAX),
		.spki = BUF_INIT(4096),
		.certificate = BUF_INIT(65536),
		.why = why,
	};
	OWNED_BUF folder = BUF_INIT(4096);
	OWNED_BUF kek_path = BUF_INIT(4096);
	int e, lock = -1;

	why[0] = '\0';
	buf_printf(&folder, "%s/core", options->data_folder);
	if (options->key_file)
		buf_append_str(&kek_path, options->key_file);
	else
		buf_printf(&kek_path, "%s/kek", options->data_folder);
	e = file_make_folder(buf_str(&folder), 0700);
	if (e) {
		snprintf(why, CREATE_WHY_SIZE, "cannot make the folder %s: %s", buf_str(&folder), strerror(-e));
		return e;
	}
	e = folder_lock(buf_str(&folder), &lock);
	if (e)
		snprintf(why, CREATE_WHY_SIZE, "cannot lock %s: %s", buf_str(&folder),
			 e == -EWOULDBLOCK ? "gatehoused works with it; stop it first" : strerror(-e));
	if (!e)
		e = create_in(buf_str(&folder), buf_str(&kek_path), &c);
	if (!e)
		e = buf_append(certificate, buf_bytes(&c.certificate));
	folder_unlock(&lock);
	buf_wipe(&c.sealed);
	buf_fini(&c.spki);
	buf_fini(&c.certificate);
	return e;
}
