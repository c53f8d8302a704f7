/* Creating a CA.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "core/create.h"

#include <errno.h>
#include <stdio.h>

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
	int e = store_load_ca_key(db, c->options->name, &row);

	buf_fini(&row.sealed);
	buf_fini(&row.certificate);
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
		e = store_add_ca_key(db, c->options->name, buf_bytes(&c->sealed), buf_bytes(&c->spki),
				     buf_bytes(&c->certificate), clock_wall_ms());
	signer_drop(&signer);
	if (e > 0)
		e = e == DB_CONFLICT && !c->why[0] ? CA_CREATE_EXISTS : -EINVAL;
	return e;
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
	struct ca_core core = { 0 };
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
	core.data_folder = (char *)buf_str(&folder);
	if (!e)
		e = store_open(&core, 0, why, CREATE_WHY_SIZE);
	if (!e)
		e = create(core.db, buf_str(&kek_path), &c);
	if (!e)
		e = buf_append(certificate, buf_bytes(&c.certificate));
	db_drop(&core.db);
	folder_unlock(&lock);
	buf_wipe(&c.sealed);
	buf_fini(&c.spki);
	buf_fini(&c.certificate);
	return e;
}
