/* What a function prints.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tests/unit/ctl/printed.h"

#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/test.h"

static int saved = -1, target;

void printed_begin(int fd)
{
	int kept = memfd_create("printed", MFD_CLOEXEC);

	fflush(NULL);
	target = fd;
	saved = dup(fd);
	assert_true(kept >= 0 && saved >= 0 && dup2(kept, fd) == fd);
	close(kept);
}

const char *printed_end(void)
{
	static char text[65536];
	ssize_t n;

	fflush(NULL);
	lseek(target, 0, SEEK_SET);
	n = read(target, text, sizeof(text) - 1);
	assert_true(n >= 0);
	text[n] = '\0';
	dup2(saved, target);
	close(saved);
	return text;
}
