/* The listening sockets of the core.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "core/core.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/base/unix_socket.h"
#include "core/tls_door.h"

/* Where the tool finds the core: as configured, else in the core's own folder. */
static const char *admin_path(const struct conf_section *root, struct buf *space)
{
	const char *configured = conf_str(conf_section(root, "core"), "admin-socket");

	if (configured)
		return configured;
	buf_printf(space, "%s/core/admin.sock", conf_str(root, "data"));
	return buf_str(space);
}

static const char *intermediaries_path(const struct conf_section *root, struct buf *space)
{
	return conf_str(conf_section(root, "core"), "socket");
}

/* The Unix sockets; NULL: another kind. */
static const struct {
	const char *name, *option;
	const char *(*path)(const struct conf_section *root, struct buf *space);
} sockets[CA_SOCKETS_] = {
	[CA_SOCKET_ADMIN] = { "admin", "admin-socket", admin_path },
	[CA_SOCKET_INTERMEDIARIES] = { "intermediaries", "socket", intermediaries_path },
	[CA_SOCKET_REMOTE] = { "remote", NULL, NULL },
};

const char *ca_core_socket_name(enum ca_core_socket which)
{
	return sockets[which].name;
}

static int open_unix(const struct conf_section *root, enum ca_core_socket which, int *fd, struct conf_error *error)
{
	OWNED_BUF space = BUF_INIT(4096);
	const char *path = sockets[which].path(root, &space);
	int e = path ? unix_socket_listen(fd, path) : 0;

	if (e)
		conf_refuse(conf_section(root, "core"), sockets[which].option, error, "cannot listen on %s: %s", path,
			    e == -EADDRINUSE ? "another gatehoused is running there" : strerror(-e));
	return e;
}

int ca_core_open_sockets(const struct conf_section *root, int fds[static CA_SOCKETS_], struct conf_error *error)
{
	int e = 0;

	for (int i = 0; i < CA_SOCKETS_; i++)
		fds[i] = -1;
	for (int i = 0; !e && i < CA_SOCKETS_; i++)
		e = sockets[i].path ?
			    open_unix(root, (enum ca_core_socket)i, &fds[i], error) :
			    tls_door_listen(&fds[i], conf_section(conf_section(root, "core"), "listen"), error);
	if (e)
		ca_core_close_sockets(root, fds);
	return e;
}

void ca_core_close_sockets(const struct conf_section *root, int fds[static CA_SOCKETS_])
{
	for (int i = 0; i < CA_SOCKETS_; i++) {
		OWNED_BUF space = BUF_INIT(4096);

		if (fds[i] < 0)
			continue;
		close(fds[i]);
		fds[i] = -1;
		if (sockets[i].path)
			unlink(sockets[i].path(root, &space));
	}
}

static bool is_same(const char *a, const char *b)
{
	return a == b || (a && b && strcmp(a, b) == 0);
}

bool ca_core_has_same_sockets(const struct conf_section *a, const struct conf_section *b)
{
	const struct conf_section *listen_a = conf_section(conf_section(a, "core"), "listen");
	const struct conf_section *listen_b = conf_section(conf_section(b, "core"), "listen");

	for (int i = 0; i < CA_SOCKETS_; i++) {
		OWNED_BUF space_a = BUF_INIT(4096), space_b = BUF_INIT(4096);

		if (sockets[i].path && !is_same(sockets[i].path(a, &space_a), sockets[i].path(b, &space_b)))
			return false;
	}
	return conf_int(listen_a, "port") == conf_int(listen_b, "port") &&
	       is_same(conf_str(listen_a, "address"), conf_str(listen_b, "address"));
}
