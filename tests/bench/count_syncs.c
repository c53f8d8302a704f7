/* Counts the fsyncs of whatever it is preloaded into, and of its children, without slowing them down; or makes them as
 * slow as those of another disk.
 *
 * SYNC_COUNTS names a file of at least 8 octets that holds the sum as a native 64-bit number; every process maps it and
 * adds to it. A debugger that stops the daemon at each system call would make it slower, therefore its batches larger,
 * and the count too small. SYNC_DELAY_MS is how much longer each of them takes.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <dlfcn.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

typedef int sync_fn(int fd);

static _Atomic uint64_t *count;
static sync_fn *real_fsync, *real_fdatasync;
static struct timespec delay;

__attribute__((constructor)) static void begin(void)
{
	const char *path = getenv("SYNC_COUNTS"), *delay_ms = getenv("SYNC_DELAY_MS");
	int fd = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
	void *mapped;

	real_fsync = (sync_fn *)dlsym(RTLD_NEXT, "fsync");
	real_fdatasync = (sync_fn *)dlsym(RTLD_NEXT, "fdatasync");
	if (delay_ms) {
		long ms = strtol(delay_ms, NULL, 10);

		delay = (struct timespec){ ms / 1000, ms % 1000 * 1000000 };
	}
	if (fd < 0)
		return;
	mapped = mmap(NULL, sizeof(*count), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	if (mapped != MAP_FAILED)
		count = mapped;
}

static void note(void)
{
	if (count)
		atomic_fetch_add(count, 1);
	if (delay.tv_sec || delay.tv_nsec)
		nanosleep(&delay, NULL);
}

int fsync(int fd)
{
	note();
	return real_fsync(fd);
}

int fdatasync(int fd)
{
	note();
	return real_fdatasync(fd);
}
