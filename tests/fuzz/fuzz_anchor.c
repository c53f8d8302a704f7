/* An anchor file: its end, and all of it.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "core/anchor_file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct seen {
	size_t line, heads;
	bool has_unsworn;
};

static int see(void *arg, const struct anchor_line *line)
{
	struct seen *s = arg;

	/* In their order. */
	if (line->number <= s->line)
		abort();
	s->line = line->number;
	if (strcmp(line->word, "head") == 0)
		s->heads++;
	s->has_unsworn |= !line->is_sworn;
	return 0;
}

static void walk(int fd)
{
	struct seen s = { 0 };
	struct anchor_end end;
	char path[64];
	int e;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	e = anchor_walk(path, see, &s, &end);
	if (e != 0 && e != ANCHOR_CHANGED && e != -EBADMSG && e != -EMSGSIZE)
		abort();
	/* Nobody swears without a head. */
	if (e == 0 && s.line && s.heads == 0 && !s.has_unsworn)
		abort();
	if (e == ANCHOR_CHANGED && end.line == 0)
		abort();
}

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
	walk(fd);
	close(fd);
	return 0;
}
