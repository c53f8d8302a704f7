/* The end of an anchor file.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "core/anchor_file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	OWNED_BUF rest = BUF_INIT(ANCHOR_TAIL_MAX);
	struct anchor_head head = { 0 };
	int fd = memfd_create("anchor", MFD_CLOEXEC), e;

	if (fd < 0)
		abort();
	if (write(fd, data, size) == (ssize_t)size) {
		e = anchor_read_tail(fd, &head, &rest);
		if ((e == 0 || e == 1) && rest.len > size)
			abort();
		if (e == 0 && (head.seq < 0 || head.seen_ms < 0))
			abort();
		/* Without a head the whole file is the rest, and begins as one of ours does. */
		if (e == 1 && (rest.len != size || (size && memcmp(data, ANCHOR_MAGIC, strlen(ANCHOR_MAGIC)) != 0)))
			abort();
	}
	close(fd);
	return 0;
}
