/* Keys of registration authorities and their certificates as files of the gateway's data folder.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "gateway/ra_int.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/digest.h"
#include "core/base/file.h"
#include "core/base/log.h"
#include "core/base/own.h"

#define FILE_MAX ((size_t)1 << 20)
#define ISSUERS_MAX 256
#define KEPT_S ((int64_t)30 * 86400)

int gw_ra_make_id(struct bytes spki, char id[static RA_ID_SIZE])
{
	uint8_t digest[SHA256_SIZE];
	int e = digest_sha256(spki, digest);

	for (unsigned i = 0; !e && i < (RA_ID_SIZE - 1) / 2; i++)
		snprintf(id + 2 * i, 3, "%02x", digest[i]);
	return e;
}

static void file_path(const struct authority *a, const char *id, char out[static PATH_MAX])
{
	if (id)
		snprintf(out, PATH_MAX, "%s/ra-%s.%s.pem", a->ras->folder, a->endpoint, id);
	else
		snprintf(out, PATH_MAX, "%s/ra-%s.new", a->ras->folder, a->endpoint);
}

int gw_ra_write_file(const struct authority *a, const char *id, const struct gw_ra_key *key)
{
	OWNED_BUF pem = BUF_INIT(FILE_MAX);
	char path[PATH_MAX];
	int e = gw_ra_key_print(key, &pem);

	file_path(a, id, path);
	return e ? e : file_write_atomic_at(AT_FDCWD, path, buf_bytes(&pem), 0600);
}

void gw_ra_remove_file(const struct authority *a, const char *id)
{
	char path[PATH_MAX];

	file_path(a, id, path);
	unlink(path);
}

int gw_ra_read_file(const struct authority *a, const char *id, struct gw_ra_key *key)
{
	OWNED_BUF pem = BUF_INIT(FILE_MAX);
	char path[PATH_MAX];
	int e;

	*key = GW_RA_KEY_INIT;
	file_path(a, id, path);
	e = file_read_secret(path, &pem);
	if (!e)
		e = gw_ra_key_read(key, buf_bytes(&pem));
	if (e)
		gw_ra_key_fini(key);
	return e;
}

/* The ID in the name of a file of this endpoint; false: it is none. */
static bool read_id(const struct authority *a, const char *file, char id[static RA_ID_SIZE])
{
	size_t n = strlen(a->endpoint), digits;

	if (strncmp(file, "ra-", 3) != 0 || strncmp(file + 3, a->endpoint, n) != 0 || file[3 + n] != '.')
		return false;
	file += 3 + n + 1;
	digits = strspn(file, "0123456789abcdef");
	if (digits != RA_ID_SIZE - 1 || strcmp(file + digits, ".pem") != 0)
		return false;
	memcpy(id, file, digits);
	id[digits] = '\0';
	return true;
}

/* ---- which of them are good ---- */

enum { KEY_USELESS = 1 };

/* Was it issued by any key of the CA? The store may be another one than when the file was written. A core that is busy
 * has not said no. 0; KEY_USELESS; negative: it does not say. */
static int check_issuer(const struct authority *a, struct bytes issuer)
{
	OWNED_BUF chain = BUF_INIT(GW_RA_CHAIN_MAX);
	int e = 0;

	for (unsigned i = 0; !e && i < ISSUERS_MAX; i++) {
		buf_reset(&chain);
		e = ca_get_key_chain(a->ca, i, &chain);
		if (!e && gw_ra_is_same_issuer(gw_ra_first_of(buf_bytes(&chain)), issuer))
			return 0;
	}
	return !e || e == CA_CALL_NOT_FOUND ? KEY_USELESS : e < 0 ? e : -EAGAIN;
}

/* As above. A signer that is away will be asked again when the key is used. */
static int check_key(struct authority *a, struct ra_key *key)
{
	char why[SIGNER_WHY_SIZE] = "the CA has no key that issued its certificate";
	uint64_t number;
	int e = check_issuer(a, gw_ra_first_of(buf_bytes(&key->octets.chain)));

	if (!e)
		e = gw_ra_load(a, key, &number, why) > 0 ? KEY_USELESS : 0;
	if (e > 0 && !a->was_told)
		log_warn("ra.key.lost", "endpoint", a->endpoint, "reason", why);
	return e;
}

/* Those of one look, by their begin, which are taken all together or not at all. */
struct found {
	struct ra_key keys[RA_KEYS_MAX];
	unsigned n;
};

/* Of too many the oldest one goes. */
static void keep(struct found *found, struct ra_key *take_key)
{
	unsigned at;

	if (found->n == RA_KEYS_MAX && found->keys[0].octets.not_before_s > take_key->octets.not_before_s) {
		gw_ra_key_fini(&take_key->octets);
		return;
	}
	if (found->n == RA_KEYS_MAX) {
		gw_ra_key_fini(&found->keys[0].octets);
		memmove(found->keys, found->keys + 1, --found->n * sizeof(*found->keys));
	}
	for (at = found->n++; at && found->keys[at - 1].octets.not_before_s > take_key->octets.not_before_s; at--)
		found->keys[at] = found->keys[at - 1];
	found->keys[at] = *take_key;
}

static void tell_unreadable(const struct authority *a, const char *id, int e)
{
	if (!a->was_told)
		log_warn("ra.key.unreadable", "endpoint", a->endpoint, "id", id, "error", strerror(-e), "consequence",
			 e == -EPERM ? "others may read its file, so it is not used: look who did, then chmod 600" :
				       "it answers no messages");
}

static int look_at_file(struct authority *a, const char *id, struct found *found)
{
	struct ra_key key = { .octets = GW_RA_KEY_INIT };
	int e = gw_ra_read_file(a, id, &key.octets);

	if (e) {
		tell_unreadable(a, id, e);
		return 0;
	}
	if (!gw_ra_is_in_force(&key.octets, clock_wall_s()) || gw_ra_has_key(a, buf_bytes(&key.octets.spki)))
		e = KEY_USELESS;
	else
		e = check_key(a, &key);
	if (e)
		gw_ra_key_fini(&key.octets);
	else
		keep(found, &key);
	return e < 0 ? e : 0;
}

static int look_at_folder(struct authority *a, struct found *found)
{
	DIR *d = opendir(a->ras->folder);
	const struct dirent *entry;
	char id[RA_ID_SIZE];
	int e = d ? 0 : -errno;

	while (!e && (entry = readdir(d)) != NULL)
		if (read_id(a, entry->d_name, id))
			e = look_at_file(a, id, found);
	if (d)
		closedir(d);
	return e;
}

int gw_ra_load_stored(struct authority *a)
{
	struct found found = { .n = 0 };
	int e = look_at_folder(a, &found);

	while (found.n--)
		if (e && e != -ENOSPC)
			gw_ra_key_fini(&found.keys[found.n].octets);
		else
			e = gw_ra_add_key(a, &found.keys[found.n]);
	if (e == -ENOSPC)
		e = 0;
	a->was_told |= !e;
	return e;
}

/* ---- what is of no use any more ---- */

/* The endpoint in the name of a file: what stands between "ra-" and this ending. */
static bool is_of_endpoint(const struct gw_ras *ras, const char *file, size_t ending)
{
	size_t n = strlen(file) - strlen("ra-") - ending;

	for (const struct authority *a = ras->authorities; a; a = a->next)
		if (strlen(a->endpoint) == n && strncmp(a->endpoint, file + strlen("ra-"), n) == 0)
			return true;
	return false;
}

static bool has_ending(const char *file, const char *ending)
{
	size_t n = strlen(file), m = strlen(ending);

	return n > strlen("ra-") + m && strncmp(file, "ra-", 3) == 0 && strcmp(file + n - m, ending) == 0;
}

static bool has_ended(const char *path, int64_t before_s)
{
	OWNED_BUF pem = BUF_INIT(FILE_MAX);
	struct gw_ra_key key = GW_RA_KEY_INIT;
	bool has = file_read_secret(path, &pem) == 0 && gw_ra_key_read(&key, buf_bytes(&pem)) == 0 &&
		   key.certificate.len && key.not_after_s < before_s;

	gw_ra_key_fini(&key);
	return has;
}

/* A request that is held waits for as long as it takes, but not for an endpoint that is gone. */
static bool is_of_no_use(const struct gw_ras *ras, const char *file, const char *path, int64_t before_s)
{
	struct stat st;

	if (has_ending(file, ".pem"))
		return has_ended(path, before_s);
	return has_ending(file, ".new") && !is_of_endpoint(ras, file, strlen(".new")) && stat(path, &st) == 0 &&
	       st.st_mtime < before_s;
}

void gw_ras_remove_ended(struct gw_ras *ras)
{
	int64_t before_s = clock_wall_s() - KEPT_S;
	DIR *d = opendir(ras->folder);
	const struct dirent *entry;
	char path[PATH_MAX];

	while (d && (entry = readdir(d)) != NULL) {
		snprintf(path, sizeof(path), "%s/%s", ras->folder, entry->d_name);
		if (is_of_no_use(ras, entry->d_name, path, before_s) && unlink(path) == 0)
			log_info("ra.key.removed", "file", path, "reason", "it has been of no use for 30 days");
	}
	if (d)
		closedir(d);
}
