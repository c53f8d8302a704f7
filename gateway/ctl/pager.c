/* The pager.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "gateway/ctl/pager.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "gateway/ctl/print.h"

#define PAGER_DEFAULT "less -FRX"
#define NOT_FOUND 127 /* the shell's status when there is no such program */

static int terminal = -1; /* standard output as it was; -1: nothing is kept */

static struct winsize screen_size(int fd)
{
	struct winsize size = { 0 };

	if (ioctl(fd, TIOCGWINSZ, &size) || size.ws_col == 0)
		size = (struct winsize){ .ws_row = 24, .ws_col = 80 };
	return size;
}

void pager_begin(const struct ctl *ctl)
{
	int kept;

	if (!isatty(STDOUT_FILENO))
		return;
	print_set_width(screen_size(STDOUT_FILENO).ws_col);
	if (!ctl->command->is_paged)
		return;
	kept = memfd_create("gatehouse-output", MFD_CLOEXEC);
	if (kept < 0)
		return;
	terminal = dup(STDOUT_FILENO);
	if (terminal >= 0)
		dup2(kept, STDOUT_FILENO);
	close(kept);
}

static size_t count_lines(int fd)
{
	char octets[8192];
	size_t lines = 0;
	ssize_t n;

	lseek(fd, 0, SEEK_SET);
	while ((n = read(fd, octets, sizeof(octets))) > 0)
		for (ssize_t i = 0; i < n; i++)
			lines += octets[i] == '\n';
	lseek(fd, 0, SEEK_SET);
	return lines;
}

static void copy(int from, int to)
{
	char octets[8192];
	ssize_t n, at, written;

	while ((n = read(from, octets, sizeof(octets))) > 0)
		for (at = 0; at < n; at += written) {
			written = write(to, octets + at, (size_t)(n - at));
			if (written <= 0)
				return;
		}
}

/* False when there is no such program. */
static bool run_pager(int kept, int to)
{
	const char *own = getenv("GATEHOUSE_PAGER"), *common = getenv("PAGER");
	const char *pager = own ? own : common && *common ? common : PAGER_DEFAULT;
	int status = 0;
	pid_t child;

	if (!*pager)
		return false;
	child = fork();
	if (child < 0)
		return false;
	if (child == 0) {
		dup2(kept, STDIN_FILENO);
		dup2(to, STDOUT_FILENO);
		execl("/bin/sh", "sh", "-c", pager, (char *)NULL);
		_exit(NOT_FOUND);
	}
	/* An interrupt is for the pager alone. */
	signal(SIGINT, SIG_IGN);
	waitpid(child, &status, 0);
	signal(SIGINT, SIG_DFL);
	return !(WIFEXITED(status) && WEXITSTATUS(status) == NOT_FOUND);
}

void pager_end(void)
{
	int kept;

	if (terminal < 0)
		return;
	fflush(stdout);
	kept = dup(STDOUT_FILENO);
	dup2(terminal, STDOUT_FILENO);
	if (count_lines(kept) < screen_size(terminal).ws_row || !run_pager(kept, terminal)) {
		lseek(kept, 0, SEEK_SET);
		copy(kept, terminal);
	}
	close(kept);
	close(terminal);
	terminal = -1;
}
