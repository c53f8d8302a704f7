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
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/digest.h"
#include "core/base/file.h"
#include "core/base/log.h"
#include "core/base/own.h"

#define FILE_MAX ((size_t)1 << 20)
#define ISSUERS_MAX 256

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
static int check_key(struct authority *a, const struct gw_ra_key *octets)
{
	struct ra_key key = { .octets = *octets };
	char why[SIGNER_WHY_SIZE] = "the CA has no key that issued its certificate";
	uint64_t number;
	int e;

	if (!gw_ra_is_in_force(octets, clock_wall_s()))
		return KEY_USELESS;
	e = check_issuer(a, gw_ra_first_of(buf_bytes(&octets->chain)));
	if (!e)
		e = gw_ra_load(a, &key, &number, why) > 0 ? KEY_USELESS : 0;
	if (e > 0)
		log_warn("ra.key.lost", "endpoint", a->endpoint, "reason", why);
	return e;
}

/* Those of one look, which are taken all together or not at all. */
struct found {
	struct gw_ra_key keys[RA_KEYS_MAX];
	unsigned n;
};

static int look_at_file(struct authority *a, const char *id, struct found *found)
{
	struct gw_ra_key key;
	int e;

	if (found->n == RA_KEYS_MAX)
		return 0;
	e = gw_ra_read_file(a, id, &key);
	if (e) {
		log_warn("ra.key.unreadable", "endpoint", a->endpoint, "id", id, "error", strerror(-e));
		return 0;
	}
	if (key.not_after_s <= clock_wall_s())
		gw_ra_remove_file(a, id);
	e = check_key(a, &key);
	if (e)
		gw_ra_key_fini(&key);
	else
		found->keys[found->n++] = key;
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

static int by_begin(const void *x, const void *y)
{
	const struct gw_ra_key *a = x, *b = y;

	return a->not_before_s < b->not_before_s ? -1 : a->not_before_s > b->not_before_s;
}

int gw_ra_load_stored(struct authority *a)
{
	struct found found = { .n = 0 };
	int e = look_at_folder(a, &found);

	qsort(found.keys, found.n, sizeof(*found.keys), by_begin);
	for (unsigned i = 0; i < found.n; i++)
		if (e)
			gw_ra_key_fini(&found.keys[i]);
		else
			e = gw_ra_add_key(a, &found.keys[i]);
	return e;
}
