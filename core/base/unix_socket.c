/* Listening Unix sockets.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "core/base/unix_socket.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "core/base/file.h"
#include "core/base/own.h"

#define BACKLOG 16

static int is_alive(const struct sockaddr_un *address)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int alive = fd >= 0 && connect(fd, (const struct sockaddr *)address, sizeof(*address)) == 0;

	if (fd >= 0)
		close(fd);
	return alive;
}

/* /run is empty after each boot. */
static int make_parent(const char *path)
{
	OWNED_STR parent = strdup(path);
	char *slash = parent ? strrchr(parent, '/') : NULL;

	if (!parent)
		return -ENOMEM;
	if (!slash || slash == parent)
		return 0;
	*slash = '\0';
	return file_make_folder(parent, 0755);
}

static int open_at(const struct sockaddr_un *address)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), e = 0;

	if (fd < 0)
		return -errno;
	if (bind(fd, (const struct sockaddr *)address, sizeof(*address)) || chmod(address->sun_path, 0666) ||
	    listen(fd, BACKLOG)) {
		e = -errno;
		close(fd);
	}
	return e ? e : fd;
}

int unix_socket_listen(int *out, const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int n = snprintf(address.sun_path, sizeof(address.sun_path), "%s", path), e;

	if (n < 0 || (size_t)n >= sizeof(address.sun_path))
		return -ENAMETOOLONG;
	if (is_alive(&address))
		return -EADDRINUSE;
	e = make_parent(path);
	if (e)
		return e;
	unlink(path);
	e = open_at(&address);
	if (e < 0)
		return e;
	*out = e;
	return 0;
}
