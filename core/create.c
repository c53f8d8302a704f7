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

#include "core/base/file.h"
#include "core/base/own.h"
#include "core/folder.h"
#include "core/kek.h"
#include "core/store.h"
#include "core/x509/chain.h"

/* What is done with the store and a signer. */
struct work {
	const struct ca_create_options *options;
	struct ca_life_result *out; /* NULL: certificates are brought */
	struct bytes certificates;
	char *why;
};

static int do_work(struct db *db, struct signer *signer, const struct work *w)
{
	const struct ca_create_options *o = w->options;
	const struct ca_life life = { .db = db, .signer = signer, .actor = "tool", .why = w->why };
	const struct ca_life_plan plan = { .ca = o->name, .organization = o->organization, .key_type = o->key_type,
					   .lifetime_s = o->lifetime_s, .is_intermediate = o->is_intermediate };

	return w->out ? life_create(&life, &plan, w->out) : life_import(&life, o->name, w->certificates);
}

/* Nothing is made, not even a key-encryption key, when the CA is there already. */
static int check_absent(struct db *db, const char *name, char *why)
{
	struct ca_key_row row;
	int e = store_load_ca_key(db, name, SIGNER_PURPOSE_CA, 0, &row);

	ca_key_row_fini(&row);
	if (e == CA_CALL_NOT_FOUND)
		return 0;
	snprintf(why, CREATE_WHY_SIZE, "this CA exists already; nothing was changed");
	return e ? e : LIFE_EXISTS;
}

static int work_on(struct db *db, const struct work *w)
{
	struct signer *signer = NULL;
	uint8_t kek[SIGNER_KEK_SIZE];
	bool has_keys;
	int e = w->out ? check_absent(db, w->options->name, w->why) : 0;

	/* A key-encryption key that is missing while others' keys are sealed under it is lost, not new. */
	if (!e)
		e = store_has_ca_keys(db, &has_keys);
	if (!e)
		e = kek_get(&w->options->kek, !has_keys && w->out, kek, w->why);
	if (!e)
		e = signer_new(&signer, kek);
	OPENSSL_cleanse(kek, sizeof(kek));
	if (!e)
		e = do_work(db, signer, w);
	signer_drop(&signer);
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

static int work_in(const char *folder, const struct work *w)
{
	struct ca_core core = { .data_folder = (char *)folder };
	int e = store_open(&core, 0, w->why, CREATE_WHY_SIZE), handed;

	if (!e)
		e = work_on(core.db, w);
	db_drop(&core.db);
	/* Also after a failure, and when the CA is there already: what is left must not keep the core out. */
	handed = hand_over_all(folder, w->why);
	return handed ? handed : e;
}

static int work_locked(const struct work *w)
{
	OWNED_BUF folder = BUF_INIT(4096);
	int e, lock = -1;

	w->why[0] = '\0';
	buf_printf(&folder, "%s/core", w->options->data_folder);
	e = file_make_folder(buf_str(&folder), 0700);
	if (e) {
		snprintf(w->why, CREATE_WHY_SIZE, "cannot make the folder %s: %s", buf_str(&folder), strerror(-e));
		return e;
	}
	e = folder_lock(buf_str(&folder), &lock);
	if (e) {
		snprintf(w->why, CREATE_WHY_SIZE, "cannot lock %s: %s", buf_str(&folder),
			 e == -EWOULDBLOCK ? "gatehoused works with it" : strerror(-e));
		return e == -EWOULDBLOCK ? CA_CREATE_IN_USE : e;
	}
	e = work_in(buf_str(&folder), w);
	folder_unlock(&lock);
	return e;
}

int ca_create(const struct ca_create_options *options, struct ca_life_result *out, char why[static CREATE_WHY_SIZE])
{
	return work_locked(&(struct work){ .options = options, .out = out, .why = why });
}

int ca_import(const struct ca_create_options *options, struct bytes certificates, char why[static CREATE_WHY_SIZE])
{
	return work_locked(&(struct work){ .options = options, .certificates = certificates, .why = why });
}

int ca_read_certificates(struct bytes text, struct buf *der)
{
	return chain_read(text, der);
}
