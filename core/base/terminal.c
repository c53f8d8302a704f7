/* Asking for a secret at the terminal.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "core/base/terminal.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

static const int watched[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP };
#define N_WATCHED (sizeof(watched) / sizeof(*watched))

/* Any thread of the process may be the one that gets the signal: the pipe wakes the one that asks. */
static volatile sig_atomic_t caught;
static int wake[2] = { -1, -1 };

static void catch(int number)
{
	int kept = errno;

	caught = number;
	(void)!write(wake[1], "", 1);
	errno = kept;
}

struct ask {
	int fd;
	struct termios shown;
	sigset_t before, open; /* masks: of the caller; while it is waited for a key */
	struct sigaction actions[N_WATCHED];
};

/* They come while it waits, and at no other moment; also to a caller that has them blocked. */
static void watch(struct ask *a)
{
	struct sigaction action = { .sa_handler = catch };
	sigset_t all;

	caught = 0;
	sigfillset(&action.sa_mask);
	sigemptyset(&all);
	for (size_t i = 0; i < N_WATCHED; i++)
		sigaddset(&all, watched[i]);
	pthread_sigmask(SIG_BLOCK, &all, &a->before);
	a->open = a->before;
	for (size_t i = 0; i < N_WATCHED; i++) {
		sigaction(watched[i], NULL, &a->actions[i]);
		/* One that is ignored stays so. */
		if (a->actions[i].sa_handler != SIG_IGN)
			sigaction(watched[i], &action, NULL);
		sigdelset(&a->open, watched[i]);
	}
}

static void unwatch(const struct ask *a)
{
	for (size_t i = 0; i < N_WATCHED; i++)
		if (a->actions[i].sa_handler != SIG_IGN)
			sigaction(watched[i], &a->actions[i], NULL);
}

static int say(int fd, const char *text)
{
	return write(fd, text, strlen(text)) < 0 ? -errno : 0;
}

/* One line, octet by octet. */
static int read_line(const struct ask *a, struct buf *out)
{
	struct pollfd polls[] = { { .fd = a->fd, .events = POLLIN }, { .fd = wake[0], .events = POLLIN } };
	ssize_t n;
	char c;

	for (;;) {
		polls[0].revents = 0;
		if (ppoll(polls, 2, NULL, &a->open) < 0 && errno != EINTR)
			return -errno;
		if (caught)
			return -EINTR;
		if (!polls[0].revents)
			continue;
		n = read(a->fd, &c, 1);
		if (n < 0)
			return -errno;
		if (n == 0 && out->len == 0)
			return -ECANCELED;
		if (n == 0 || c == '\n')
			return 0;
		if (buf_append_char(out, c))
			return buf_status(out);
	}
}

static int ask(struct ask *a, const char *question, struct buf *out)
{
	struct termios hidden;
	int e;

	buf_reset(out);
	if (pipe2(wake, O_CLOEXEC | O_NONBLOCK))
		return -errno;
	watch(a);
	e = tcgetattr(a->fd, &a->shown) ? -ENOTTY : 0;
	hidden = a->shown;
	hidden.c_lflag &= ~(tcflag_t)ECHO;
	if (!e && tcsetattr(a->fd, TCSAFLUSH, &hidden))
		e = -errno;
	if (!e) {
		e = say(a->fd, question);
		if (!e)
			e = read_line(a, out);
		tcsetattr(a->fd, TCSAFLUSH, &a->shown);
		say(a->fd, "\n");
	}
	unwatch(a);
	close(wake[0]);
	close(wake[1]);
	if (e == -EINTR && caught)
		raise(caught);
	/* Now it does what it would have done without us, or waits behind the caller's own mask. */
	pthread_sigmask(SIG_SETMASK, &a->before, NULL);
	return e;
}

int terminal_ask(const char *question, struct buf *out)
{
	struct ask a = { .fd = open("/dev/tty", O_RDWR | O_NOCTTY | O_CLOEXEC) };
	int e;

	if (a.fd < 0)
		return -ENOTTY;
	do
		e = ask(&a, question, out);
	while (e == -EINTR && caught == SIGTSTP);
	close(a.fd);
	return e;
}
