/* Counts the fsyncs of whatever it is preloaded into, and of its children, without slowing them down.
 *
 * SYNC_COUNTS names a file of at least 8 octets that holds the sum as a native 64-bit number; every process maps it and
 * adds to it. A debugger that stops the daemon at each system call would make it slower, therefore its batches larger,
 * and the count too small.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <dlfcn.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

typedef int sync_fn(int fd);

static _Atomic uint64_t *count;
static sync_fn *real_fsync, *real_fdatasync;

__attribute__((constructor)) static void begin(void)
{
	const char *path = getenv("SYNC_COUNTS");
	int fd = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
	void *mapped;

	real_fsync = (sync_fn *)dlsym(RTLD_NEXT, "fsync");
	real_fdatasync = (sync_fn *)dlsym(RTLD_NEXT, "fdatasync");
	if (fd < 0)
		return;
	mapped = mmap(NULL, sizeof(*count), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	if (mapped != MAP_FAILED)
		count = mapped;
}

int fsync(int fd)
{
	if (count)
		atomic_fetch_add(count, 1);
	return real_fsync(fd);
}

int fdatasync(int fd)
{
	if (count)
		atomic_fetch_add(count, 1);
	return real_fdatasync(fd);
}
