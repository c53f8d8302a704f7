/* The processes below the supervisor.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "gateway/supervisor/children.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/wire/control.h"

#define LOCK_AT (CONTROL_FD + 1)
#define FIRST_BACK_OFF_MS 100
#define LAST_BACK_OFF_MS 5000
#define SEND_S 5
#define CALM_MS 10000 /* up for so long: the next failure is a first one again */

static const struct {
	const char *name;
	const char *program;  /* NULL: this one, told its role */
	const char *shown;    /* what the system lists it as */
	bool takes_links;     /* while it runs */
} roles[ROLES_] = {
	[ROLE_SIGNER] = { "signer", "gatehouse-signer", "gatehouse-signer", false },
	[ROLE_CORE] = { "core", NULL, "gatehoused", true },
	[ROLE_VALIDATOR] = { "validator", "gatehouse-validator", "gatehouse-validator", false },
	[ROLE_RA_SIGNER] = { "ra-signer", "gatehouse-signer", "gatehouse-ra-signer", false },
	[ROLE_GATEWAY] = { "gateway", NULL, "gatehoused", true },
};

/* Who asks whom. Each side knows the connection by the name of the other. */
static const struct {
	enum role asks, answers;
} links[ROLE_LINKS] = {
	{ ROLE_CORE, ROLE_SIGNER },
	{ ROLE_GATEWAY, ROLE_CORE },
	{ ROLE_GATEWAY, ROLE_VALIDATOR },
	{ ROLE_GATEWAY, ROLE_RA_SIGNER },
};

const char *role_name(enum role role)
{
	return roles[role].name;
}

void children_init(struct children *c)
{
	*c = (struct children){ .lock_fd = -1 };
	for (int i = 0; i < ROLES_; i++) {
		c->all[i].role = (enum role)i;
		c->all[i].channel = -1;
	}
	for (int i = 0; i < ROLE_LINKS; i++)
		c->ends[i][0] = c->ends[i][1] = -1;
}

/* ---- fork and exec ---- */

/* A program of ours: beside this executable when it was built and not installed, else in libexec. */
static void find_program(const char *name, char out[static PATH_MAX])
{
	static const char *const places[] = { "../core/signer", "validator" };
	bool is_installed;
	char self[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	char *slash;

	self[n > 0 ? n : 0] = '\0';
	slash = strrchr(self, '/');
	if (slash)
		*slash = '\0';
	is_installed = strcmp(self, GATEHOUSE_SBIN) == 0;
	for (size_t i = 0; !is_installed && slash && i < sizeof(places) / sizeof(*places); i++)
		if (snprintf(out, PATH_MAX, "%s/%s/%s", self, places[i], name) < PATH_MAX && access(out, X_OK) == 0)
			return;
	snprintf(out, PATH_MAX, "%s/%s", GATEHOUSE_LIBEXEC, name);
}

/* In the child: only what is meant for it stays open. It holds the lock of the data folder too, without knowing: the
 * next daemon begins when the last process of this one has gone. Never returns. */
static void become(enum role role, const char *path, int channel, int lock_fd)
{
	char *const self[] = { (char *)roles[role].shown, (char *)"--role", (char *)roles[role].name, NULL };
	char *const other[] = { (char *)roles[role].shown, NULL };
	/* Out of the way first: either may have the number that is meant for the other. */
	int high_channel = fcntl(channel, F_DUPFD, LOCK_AT + 1), high_lock = fcntl(lock_fd, F_DUPFD, LOCK_AT + 1);
	sigset_t none;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	if (dup2(high_channel, CONTROL_FD) == CONTROL_FD && dup2(high_lock, LOCK_AT) == LOCK_AT) {
		close_range(LOCK_AT + 1, ~0U, 0);
		/* Libraries are bound at the start: binding at the first call saves all vector registers on the stack,
		 * with whatever was copied through them last, a password perhaps. */
		setenv("LD_BIND_NOW", "1", 1);
		execv(path, roles[role].program ? other : self);
	}
	_exit(127);
}

int children_spawn(struct children *c, enum role role)
{
	struct child *child = &c->all[role];
	char path[PATH_MAX] = "/proc/self/exe";
	int pair[2];
	pid_t pid;

	if (child->state != CHILD_DOWN)
		return -EBUSY;
	if (roles[role].program)
		find_program(roles[role].program, path);
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair))
		return -errno;
	/* A child that does not read must not stop the only thread that looks after all of them. */
	setsockopt(pair[0], SOL_SOCKET, SO_SNDTIMEO, &(struct timeval){ SEND_S, 0 }, sizeof(struct timeval));
	pid = fork();
	if (pid == 0)
		become(role, path, pair[1], c->lock_fd);
	close(pair[1]);
	if (pid < 0) {
		close(pair[0]);
		return -EAGAIN;
	}
	child->pid = pid;
	child->channel = pair[0];
	child->started_ms = clock_mono_ms();
	child->state = CHILD_STARTING;
	child->why[0] = '\0';
	return 0;
}

/* ---- connections ---- */

static void close_end(int *end)
{
	if (*end >= 0)
		close(*end);
	*end = -1;
}

static int give_end(struct children *c, enum role to, enum role other, int *end)
{
	int e = control_send(c->all[to].channel, "link", roles[other].name, *end);

	close_end(end);
	return e;
}

static bool takes_now(const struct children *c, enum role role)
{
	const struct child *child = &c->all[role];

	return roles[role].takes_links && (child->state == CHILD_STARTING || child->state == CHILD_UP);
}

/* The end of this connection for `role`, which starts. When its other side was started first, the end is there. */
static int give_link(struct children *c, int i, enum role role)
{
	int mine = links[i].asks == role ? 0 : 1;
	enum role other = mine == 0 ? links[i].answers : links[i].asks;
	int e;

	if (c->ends[i][mine] < 0) {
		close_end(&c->ends[i][!mine]);
		if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, c->ends[i]))
			return -errno;
	}
	e = give_end(c, role, other, &c->ends[i][mine]);
	/* A neighbour that is gone and not yet noticed gets another end when it is started again. */
	if (!e && c->ends[i][!mine] >= 0 && takes_now(c, other))
		(void)give_end(c, other, role, &c->ends[i][!mine]);
	return e;
}

/* Both sides go on, and the connection between them is gone: they get another one. */
static void renew_link(struct children *c, enum role role, const char *other)
{
	for (int i = 0; i < ROLE_LINKS; i++)
		if (links[i].asks == role && strcmp(roles[links[i].answers].name, other) == 0 &&
		    takes_now(c, links[i].answers))
			(void)give_link(c, i, role);
}

int children_go(struct children *c, enum role role)
{
	int e = 0;

	for (int i = 0; !e && i < ROLE_LINKS; i++)
		if (links[i].asks == role || links[i].answers == role)
			e = give_link(c, i, role);
	return e ? e : control_send(c->all[role].channel, "go", NULL, -1);
}

/* ---- ends ---- */

void children_stop(struct children *c, enum role role)
{
	struct child *child = &c->all[role];

	if (child->state != CHILD_STARTING && child->state != CHILD_UP)
		return;
	child->state = CHILD_STOPPING;
	/* A channel that is broken has nobody at its end any more. */
	(void)control_send(child->channel, "stop", NULL, -1);
}

void children_kill(struct children *c, enum role role)
{
	struct child *child = &c->all[role];

	if (child->state == CHILD_DOWN)
		return;
	child->state = CHILD_STOPPING;
	kill(child->pid, SIGKILL);
}

static void take_word(struct children *c, struct child *child, const struct control_message *m)
{
	if (strcmp(m->word, "ready") == 0) {
		child->up_ms = clock_mono_ms();
		if (child->state == CHILD_STARTING)
			child->state = CHILD_UP;
	} else if (strcmp(m->word, "lost") == 0) {
		log_warn("process.link.lost", "process", roles[child->role].name, "with", m->text);
		renew_link(c, child->role, m->text);
	} else if (strcmp(m->word, "failed") == 0) {
		snprintf(child->why, sizeof(child->why), "%.*s", (int)sizeof(child->why) - 1, m->text);
	} else {
		log_warn("process.word", "process", roles[child->role].name, "word", m->word);
	}
	if (m->fd >= 0)
		close(m->fd);
}

bool children_listen(struct children *c, enum role role)
{
	struct child *child = &c->all[role];
	struct control_message m;
	bool changed = false;
	int e;

	if (child->channel < 0)
		return false;
	while ((e = control_receive(child->channel, &m, false)) == 0) {
		take_word(c, child, &m);
		changed = true;
	}
	if (e != -EAGAIN)
		close_end(&child->channel);
	return changed;
}

/* An end that was kept for the other side of who ended leads nowhere: whoever took it would end at once. */
static void forget_ends_to(struct children *c, enum role role)
{
	for (int i = 0; i < ROLE_LINKS; i++) {
		if (links[i].asks == role)
			close_end(&c->ends[i][1]);
		if (links[i].answers == role)
			close_end(&c->ends[i][0]);
	}
}

/* Who ended in order, with whoever asks it, did not fail: its pause does not grow, so that the two find each other. */
static void set_due(struct child *child, bool was_orderly)
{
	int64_t now = clock_mono_ms();

	if (child->up_ms && now - child->up_ms >= CALM_MS)
		child->back_off_ms = 0;
	if (!was_orderly)
		child->back_off_ms = child->back_off_ms ? child->back_off_ms * 2 : FIRST_BACK_OFF_MS;
	if (child->back_off_ms > LAST_BACK_OFF_MS)
		child->back_off_ms = LAST_BACK_OFF_MS;
	child->due_ms = now + (was_orderly ? FIRST_BACK_OFF_MS : child->back_off_ms);
}

static void note_end(struct children *c, struct child *child, int status)
{
	bool was_told = child->state == CHILD_STOPPING, was_orderly;
	char how[64];

	(void)children_listen(c, child->role);
	if (WIFSIGNALED(status))
		snprintf(how, sizeof(how), "signal %d", WTERMSIG(status));
	else
		snprintf(how, sizeof(how), "exit %d", WEXITSTATUS(status));
	/* Signer and validator end in order when whoever asks them has gone. */
	was_orderly = WIFEXITED(status) && WEXITSTATUS(status) == 0;
	if (!was_told && was_orderly)
		log_info("process.ended", "process", roles[child->role].name, "how", how);
	else if (!was_told)
		log_error("process.ended", "process", roles[child->role].name, "how", how, "why",
			  child->why[0] ? child->why : NULL);
	set_due(child, was_orderly);
	forget_ends_to(c, child->role);
	child->state = CHILD_DOWN;
	child->pid = 0;
	child->up_ms = 0;
	close_end(&child->channel);
}

unsigned children_reap(struct children *c)
{
	unsigned n = 0;
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
		for (int i = 0; i < ROLES_; i++)
			if (c->all[i].pid == pid) {
				note_end(c, &c->all[i], status);
				n++;
			}
	return n;
}

void children_forget_ends(struct children *c)
{
	for (int i = 0; i < ROLE_LINKS; i++) {
		close_end(&c->ends[i][0]);
		close_end(&c->ends[i][1]);
	}
}
