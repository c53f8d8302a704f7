/* The core's admin socket.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "core/admin_socket.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/admin_call.h"
#include "core/ancestry.h"
#include "core/base/log.h"
#include "core/roles.h"
#include "core/wire/frame.h"

#define SESSIONS_MAX 64
#define SESSIONS_PER_USER 8
#define STRANGERS_MAX 8    /* of all: who has no role takes no place from those who have one */
#define IDLE_S 300
#define STRANGER_S 2       /* for who has no role */
#define CALL_ARENA_MAX (16u << 20)

struct session {
	struct admin_socket *socket;
	pthread_t thread;
	int fd;
	struct ucred cred;
	bool is_stranger;
	enum { SESSION_FREE, SESSION_RUNNING, SESSION_OVER } state;
};

struct admin_socket {
	struct ca_core *core;
	int fd, stop_fd;
	pthread_t thread;
	pthread_mutex_t lock;
	struct session sessions[SESSIONS_MAX];
};

/* ---- who is it ---- */

struct peer {
	struct roles_user user;
	enum ancestry ancestry; /* is it one of the daemon's processes? */
};

static void look_up(const struct ucred *cred, struct peer *p)
{
	p->ancestry = ancestry_of(cred->pid, getppid());
	roles_look_up(cred->uid, cred->gid, &p->user);
}

/* All processes of the daemon have one user, this peer has it too, and nobody can say that it is none of them. */
static bool cannot_be_placed(const struct ca_core *core, const struct peer *p)
{
	return core->env.sockets && !core->env.is_separated && p->user.uid == geteuid() &&
	       p->ancestry == ANCESTRY_UNKNOWN;
}

/* The gateway and the validator are where strangers' octets arrive: whoever takes one of them over must find no way in
 * here, neither as its user nor, where all have one user, as a process that the same supervisor or anybody below it
 * started. */
static bool is_of_the_daemon(const struct ca_core *core, const struct peer *p)
{
	for (int i = 0; core->env.is_separated && i < CA_CORE_OTHERS; i++)
		if (p->user.uid == core->env.others[i])
			return true;
	return core->env.sockets && p->ancestry == ANCESTRY_BELOW;
}

static void find_roles(struct ca_core *core, const struct peer *p, struct ca_admin_caller *out)
{
	/* Not started as root, everything belongs to one user anyway. */
	bool is_owner = !core->env.is_separated && geteuid() != 0 && p->user.uid == geteuid();

	out->has_uid = true;
	out->uid = p->user.uid;
	if (!is_of_the_daemon(core, p) && !cannot_be_placed(core, p))
		roles_find(conf_section(core->conf, "core"), &p->user, is_owner, out);
}

/* ---- sessions ---- */

static size_t fit(Gatehouse__Admin__Reply *reply)
{
	size_t n = gatehouse__admin__reply__get_packed_size(reply);

	if (n > FRAME_MAX) {
		gatehouse__admin__reply__init(reply);
		reply->outcome = CA_ADMIN_INVALID;
		reply->reason = (char *)"the answer is larger than a message may be";
		n = gatehouse__admin__reply__get_packed_size(reply);
	}
	return n;
}

static int answer_one(struct session *s, const struct ca_admin_caller *who, struct bytes message)
{
	Gatehouse__Admin__Reply reply;
	OWNED_BUF out = BUF_INIT(FRAME_MAX);
	struct arena *arena = NULL;
	uint8_t *room;
	size_t n;
	int e = arena_new(&arena, CALL_ARENA_MAX);

	if (!e)
		e = admin_answer(s->socket->core, who, message, arena, &reply);
	if (!e) {
		n = fit(&reply);
		/* A Reply of nothing but defaults packs to no octets; a frame has at least one. */
		if (n == 0) {
			reply.reason = (char *)"done";
			n = gatehouse__admin__reply__get_packed_size(&reply);
		}
		room = buf_room(&out, n);
		e = room ? 0 : -EMSGSIZE;
		if (!e) {
			buf_added(&out, gatehouse__admin__reply__pack(&reply, room));
			e = frame_write(s->fd, buf_bytes(&out));
		}
	}
	arena_drop(&arena);
	return e;
}

/* Asked anew for every call: who was taken off the list, or out of the group, has no right left. */
static void identify(const struct session *s, struct peer *peer, struct ca_admin_caller *who, char *name, size_t size)
{
	look_up(&s->cred, peer);
	snprintf(name, size, "unix:%s", peer->user.name);
	*who = (struct ca_admin_caller){ .name = name };
	find_roles(s->socket->core, peer, who);
}

static void set_patience(int fd, int seconds)
{
	struct timeval wait = { seconds, 0 };

	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof(wait));
}

static void *serve(void *arg)
{
	struct session *s = arg;
	OWNED_BUF in = BUF_INIT(FRAME_MAX);
	struct peer *peer = calloc(1, sizeof(*peer));
	struct ca_admin_caller who = { 0 };
	char name[160];

	if (peer) {
		identify(s, peer, &who, name, sizeof(name));
		set_patience(s->fd, who.roles ? IDLE_S : STRANGER_S);
		while (frame_read(s->fd, &in) == 0) {
			identify(s, peer, &who, name, sizeof(name));
			/* Somebody without a role is told so once. */
			if (answer_one(s, &who, buf_bytes(&in)) || !who.roles)
				break;
		}
	}
	free(peer);
	pthread_mutex_lock(&s->socket->lock);
	close(s->fd);
	s->fd = -1;
	s->state = SESSION_OVER;
	pthread_mutex_unlock(&s->socket->lock);
	return NULL;
}

/* A free slot for this peer; NULL when there is none, or he and those like him have as many as they may. Called
 * locked. */
static struct session *find_slot(struct admin_socket *a, const struct ucred *cred, bool is_stranger)
{
	unsigned same_user = 0, strangers = 0;
	struct session *slot = NULL;

	for (int i = 0; i < SESSIONS_MAX; i++) {
		struct session *s = &a->sessions[i];

		if (s->state == SESSION_OVER) {
			pthread_join(s->thread, NULL);
			s->state = SESSION_FREE;
		}
		if (s->state == SESSION_FREE)
			slot = s;
		else
			strangers += s->is_stranger;
		same_user += s->state != SESSION_FREE && s->cred.uid == cred->uid;
	}
	if (is_stranger && strangers >= STRANGERS_MAX)
		return NULL;
	return cred->uid != 0 && same_user >= SESSIONS_PER_USER ? NULL : slot;
}

static bool has_no_role(struct admin_socket *a, const struct ucred *cred)
{
	struct peer *peer = calloc(1, sizeof(*peer));
	struct ca_admin_caller who = { 0 };

	if (peer) {
		look_up(cred, peer);
		find_roles(a->core, peer, &who);
		if (cannot_be_placed(a->core, peer))
			log_warn("admin.unplaced", "user", peer->user.name, "why",
				 "roles are not separated and the parents of this process cannot be seen (it is gone, "
				 "or hidepid= or ProtectProc= hides them): it may be one of the daemon's");
	}
	free(peer);
	return who.roles == 0;
}

static void start_session(struct admin_socket *a, int fd)
{
	struct session *s = NULL;
	bool is_stranger = true;
	struct ucred cred;
	socklen_t n = sizeof(cred);
	int e = getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &n);

	if (!e)
		is_stranger = has_no_role(a, &cred);
	pthread_mutex_lock(&a->lock);
	if (!e)
		s = find_slot(a, &cred, is_stranger);
	if (s) {
		s->socket = a;
		s->fd = fd;
		s->cred = cred;
		s->is_stranger = is_stranger;
		if (pthread_create(&s->thread, NULL, serve, s) == 0)
			s->state = SESSION_RUNNING;
		else
			s = NULL;
	}
	pthread_mutex_unlock(&a->lock);
	if (!s) {
		log_warn("admin.refused", "why", "too many sessions");
		close(fd);
	}
}

/* The socket outlives this process when a supervisor holds it: it is never shut down to wake the thread. */
static void *accept_all(void *arg)
{
	struct admin_socket *a = arg;
	struct pollfd polls[] = { { a->fd, POLLIN, 0 }, { a->stop_fd, POLLIN, 0 } };

	while (poll(polls, 2, -1) >= 0 || errno == EINTR) {
		int fd;

		if (polls[1].revents)
			break;
		fd = accept4(a->fd, NULL, NULL, SOCK_CLOEXEC);
		if (fd >= 0)
			start_session(a, fd);
		else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)
			usleep(100000);
		else if (errno != EINTR && errno != EAGAIN && errno != ECONNABORTED)
			break;
	}
	return NULL;
}

/* ---- start and stop ---- */

/* Wake the thread that accepts, and end it. */
static void stop_accepting(struct admin_socket *a)
{
	uint64_t one = 1;

	(void)!write(a->stop_fd, &one, sizeof(one));
	pthread_join(a->thread, NULL);
}

static void let_go(struct admin_socket *a)
{
	if (a->stop_fd >= 0)
		close(a->stop_fd);
	pthread_mutex_destroy(&a->lock);
	free(a);
}

int admin_socket_start(struct admin_socket **out, struct ca_core *core, int fd)
{
	struct admin_socket *a = calloc(1, sizeof(*a));
	int e = 0;

	if (!a)
		return -ENOMEM;
	a->core = core;
	a->fd = fd;
	pthread_mutex_init(&a->lock, NULL);
	a->stop_fd = eventfd(0, EFD_CLOEXEC);
	if (a->stop_fd < 0)
		e = -errno;
	if (!e)
		e = fcntl(a->fd, F_SETFL, O_NONBLOCK) ? -errno : -pthread_create(&a->thread, NULL, accept_all, a);
	if (e)
		let_go(a);
	else
		*out = a;
	return e;
}

void admin_socket_stop(struct admin_socket **ap)
{
	struct admin_socket *a = *ap;

	if (!a)
		return;
	stop_accepting(a);
	pthread_mutex_lock(&a->lock);
	for (int i = 0; i < SESSIONS_MAX; i++)
		if (a->sessions[i].state == SESSION_RUNNING && a->sessions[i].fd >= 0)
			shutdown(a->sessions[i].fd, SHUT_RDWR);
	pthread_mutex_unlock(&a->lock);
	for (int i = 0; i < SESSIONS_MAX; i++)
		if (a->sessions[i].state != SESSION_FREE)
			pthread_join(a->sessions[i].thread, NULL);
	let_go(a);
	*ap = NULL;
}
