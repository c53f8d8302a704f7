/* The exit module `file`: every issued certificate as a file in a folder.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "core/base/base64.h"
#include "core/base/file.h"
#include "core/base/own.h"
#include "core/exit.h"

#define PEM_MAX ((size_t)1 << 20)
#define PEM_LINE ((size_t)48) /* octets that make 64 characters */
#define SERIAL_MAX ((size_t)40) /* hex digits: 20 octets (RFC 5280 4.1.2.2) */

static const struct conf_option file_rows[] = {
	{ .name = "folder", .type = CONF_STRING, .fallback = CONF_NEEDED,
	  .summary = "Absolute path of the folder; made when it is not there." },
	{ .name = "format", .type = CONF_CHOICE, .range = "pem|der", .fallback = "pem",
	  .summary = "How files are written." },
	{ 0 },
};

struct file {
	char *folder;
	bool is_pem;
};

static void file_drop(struct file **fp)
{
	if (!*fp)
		return;
	free((*fp)->folder);
	free(*fp);
	*fp = NULL;
}

static int check_folder(const char *folder, const struct conf_section *conf, struct conf_error *error)
{
	int e;

	if (*folder != '/')
		return conf_refuse(conf, "folder", error, "the folder must be an absolute path");
	e = file_make_folder(folder, 0755);
	if (!e && access(folder, W_OK | X_OK))
		e = -errno;
	if (!e)
		e = file_sweep_temporary(folder);
	if (e)
		return conf_refuse(conf, "folder", error, "cannot write into '%s': %s", folder, strerror(-e));
	return 0;
}

static int file_init(void **state, uint32_t *events, const struct ca_module_env *env, const struct conf_section *conf,
		     struct conf_error *error)
{
	OWNED(file) f = calloc(1, sizeof(*f));
	int e;

	if (!f)
		return -ENOMEM;
	e = check_folder(conf_str(conf, "folder"), conf, error);
	if (e)
		return e;
	f->folder = strdup(conf_str(conf, "folder"));
	if (!f->folder)
		return -ENOMEM;
	f->is_pem = strcmp(conf_str(conf, "format"), "pem") == 0;
	*events = CA_EVENT_ISSUED;
	*state = MOVE(f);
	return 0;
}

/* RFC 7468. */
static int print_pem(struct bytes der, struct buf *out)
{
	struct bytes line;

	buf_append_str(out, "-----BEGIN CERTIFICATE-----\n");
	while (der.len) {
		bytes_take(&der, der.len < PEM_LINE ? der.len : PEM_LINE, &line);
		base64_encode(out, line);
		buf_append_char(out, '\n');
	}
	buf_append_str(out, "-----END CERTIFICATE-----\n");
	return buf_status(out);
}

/* Made of two things that the core chose; nothing of it comes from a requester. */
static int make_name(const struct file *f, const struct ca_exit_view *v, char out[static 128])
{
	const char *serial = ca_exit_get_text(v, CA_PROP_SERIAL);
	int64_t id = ca_exit_get_number(v, CA_PROP_REQUEST_ID);
	size_t len = serial ? strlen(serial) : 0;

	if (id <= 0 || !len || len > SERIAL_MAX || serial[strspn(serial, "0123456789abcdefABCDEF")])
		return -EINVAL;
	snprintf(out, 128, "%08lld-%s.%s", (long long)id, serial, f->is_pem ? "pem" : "der");
	return 0;
}

/* The folder is opened each time: it may have been mounted, or made anew, in between. */
static int write_file(const struct file *f, const char *name, struct bytes data)
{
	int e, fd = open(f->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	e = file_write_atomic_at(fd, name, data, 0644);
	close(fd);
	return e;
}

/* A repeat writes the same octets under the same name. */
static int file_notify(void *state, enum ca_event event, const struct ca_exit_view *v)
{
	const struct file *f = state;
	struct bytes certificate = ca_exit_get_octets(v, CA_PROP_CERTIFICATE);
	OWNED_BUF pem = BUF_INIT(PEM_MAX);
	char name[128];
	int e;

	if (event != CA_EVENT_ISSUED)
		return 0;
	e = certificate.len ? make_name(f, v, name) : -EINVAL;
	if (!e && f->is_pem)
		e = print_pem(certificate, &pem);
	if (e)
		return e;
	return write_file(f, name, f->is_pem ? buf_bytes(&pem) : certificate);
}

static void file_fini(void *state)
{
	file_drop(&(struct file *){ state });
}

const struct ca_exit_module exit_file = {
	.abi = CA_EXIT_ABI,
	.name = "file",
	.summary = "write every issued certificate into a folder",
	.options = file_rows,
	.init = file_init,
	.notify = file_notify,
	.fini = file_fini,
};
