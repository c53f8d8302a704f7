/* Words between the supervisor and its children.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "core/wire/control.h"

#include <errno.h>
#include <grp.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/base/log.h"
#include "core/base/sanitized.h"

union fd_space {
	char octets[CMSG_SPACE(sizeof(int))];
	struct cmsghdr align;
};

int control_send(int channel, const char *word, const char *text, int fd)
{
	char octets[CONTROL_WORD_SIZE + CONTROL_TEXT_SIZE];
	int n = snprintf(octets, sizeof(octets), "%.*s %.*s", CONTROL_WORD_SIZE - 1, word, CONTROL_TEXT_SIZE - 1,
			 text ? text : "");
	struct iovec part = { octets, (size_t)n };
	struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1 };
	union fd_space space = { 0 };
	ssize_t sent;

	if (fd >= 0) {
		message.msg_control = space.octets;
		message.msg_controllen = sizeof(space.octets);
		*CMSG_FIRSTHDR(&message) = (struct cmsghdr){
			.cmsg_len = CMSG_LEN(sizeof(int)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS
		};
		memcpy(CMSG_DATA(CMSG_FIRSTHDR(&message)), &fd, sizeof(fd));
	}
	do {
		sent = sendmsg(channel, &message, MSG_NOSIGNAL);
	} while (sent < 0 && errno == EINTR);
	return sent < 0 ? -errno : 0;
}

static int take_fd(struct msghdr *message)
{
	struct cmsghdr *c = CMSG_FIRSTHDR(message);
	int fd = -1;

	if (c && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS && c->cmsg_len == CMSG_LEN(sizeof(int)))
		memcpy(&fd, CMSG_DATA(c), sizeof(fd));
	return fd;
}

int control_receive(int channel, struct control_message *out, bool waits)
{
	char octets[CONTROL_WORD_SIZE + CONTROL_TEXT_SIZE];
	struct iovec part = { octets, sizeof(octets) - 1 };
	union fd_space space;
	struct msghdr message = {
		.msg_iov = &part, .msg_iovlen = 1, .msg_control = space.octets, .msg_controllen = sizeof(space.octets)
	};
	size_t word;
	ssize_t n;

	/* A peer that ended with words unread leaves an error in front of what it said last, such as `failed`. */
	do {
		n = recvmsg(channel, &message, MSG_CMSG_CLOEXEC | (waits ? 0 : MSG_DONTWAIT));
	} while (n < 0 && (errno == EINTR || errno == ECONNRESET));
	if (n <= 0)
		return n < 0 ? -errno : -EPIPE;
	/* There was no room for a descriptor: whatever it was for must not go on without it. */
	if (message.msg_flags & MSG_CTRUNC)
		return -EMFILE;
	octets[n] = '\0';
	out->fd = take_fd(&message);
	word = strcspn(octets, " ");
	if (word == 0 || word >= sizeof(out->word)) {
		if (out->fd >= 0)
			close(out->fd);
		return -EBADMSG;
	}
	octets[word] = '\0';
	memcpy(out->word, octets, word + 1);
	snprintf(out->text, sizeof(out->text), "%.*s", CONTROL_TEXT_SIZE - 1,
		 word < (size_t)n ? octets + word + 1 : "");
	return 0;
}

/* ---- the child's end ---- */

bool control_is_there(void)
{
	socklen_t size = sizeof(int);
	int type = 0;

	return getsockopt(CONTROL_FD, SOL_SOCKET, SO_TYPE, &type, &size) == 0 && type == SOCK_SEQPACKET;
}

int control_take_secret(int take_fd, void *out, size_t n)
{
	ssize_t got = take_fd < 0 ? -1 : read(take_fd, out, n);

	if (take_fd >= 0)
		close(take_fd);
	return got == (ssize_t)n ? 0 : -EINVAL;
}

static int become(void *arg, const char *text, int take_fd)
{
	unsigned uid, gid;

	if (take_fd >= 0)
		close(take_fd);
	if (sscanf(text, "%u %u", &uid, &gid) != 2 || uid == 0 || gid == 0)
		return -EINVAL;
	if (setgroups(0, NULL) || setresgid(gid, gid, gid) || setresuid(uid, uid, uid))
		return -errno;
	return 0;
}

/* Secrets are in memory: no part of it reaches a file, and no other process of this user looks at it. */
static int shut_in(void)
{
	setrlimit(RLIMIT_CORE, &(struct rlimit){ 0, 0 });
	if (prctl(PR_SET_DUMPABLE, IS_SANITIZED, 0, 0, 0))
		return -errno;
	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ? -errno : 0;
}

static int set_up_log(void *arg, const char *text, int take_fd)
{
	unsigned format, level;

	if (take_fd >= 0)
		close(take_fd);
	if (sscanf(text, "%u %u", &format, &level) != 2 || format > LOG_FORMAT_JSON || level > LOG_LEVEL_ERROR)
		return -EINVAL;
	log_setup((enum log_format)format, (enum log_level)level);
	return 0;
}

static bool has_word(const struct control_word *words, const struct control_message *m)
{
	for (; words->word; words++)
		if (strcmp(words->word, m->word) == 0)
			return true;
	return false;
}

static int take_word(const struct control_word *words, void *arg, const struct control_message *m)
{
	for (; words->word; words++)
		if (strcmp(words->word, m->word) == 0)
			return words->take(arg, m->text, m->fd);
	if (m->fd >= 0)
		close(m->fd);
	return -EBADMSG;
}

int control_begin(const struct control_word *words, void *arg)
{
	static const struct control_word common[] = { { "user", become }, { "log", set_up_log }, { 0 } };
	struct control_message m;
	int e = control_receive(CONTROL_FD, &m, true);

	while (!e && strcmp(m.word, "go") != 0) {
		e = take_word(has_word(common, &m) ? common : words, arg, &m);
		if (!e)
			e = control_receive(CONTROL_FD, &m, true);
	}
	return e ? e : shut_in();
}

void control_ready(void)
{
	(void)control_send(CONTROL_FD, "ready", NULL, -1);
}

void control_failed(const char *why)
{
	(void)control_send(CONTROL_FD, "failed", why, -1);
}

bool control_serve(const struct control_word *words, void *arg)
{
	struct control_message m;

	while (control_receive(CONTROL_FD, &m, true) == 0) {
		if (strcmp(m.word, "stop") == 0)
			return true;
		if (take_word(words, arg, &m))
			log_warn("control.word", "word", m.word, "why", "it cannot be obeyed");
	}
	return false;
}
