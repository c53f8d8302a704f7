/* The supervisor.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "gateway/supervisor/supervisor.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/file.h"
#include "core/base/log.h"
#include "core/base/own.h"
#include "core/base/sanitized.h"
#include "core/base/secret.h"
#include "core/core.h"
#include "core/wire/control.h"
#include "core/wire/verdict.h"
#include "gateway/config.h"
#include "gateway/supervisor/children.h"
#include "gateway/supervisor/notify.h"
#include "gateway/supervisor/sockets.h"
#include "gateway/supervisor/users.h"

#define TEXT_MAX (1u << 20)
#define START_MS 60000      /* longest wait for one process to be ready */
#define CORE_STOP_MS 30000  /* outbox and modules */
#define OTHERS_STOP_MS 2000 /* signer and validator: nothing of theirs is worth waiting for */
#define PREDECESSOR_MS 5000 /* processes of a daemon that was killed are going away */

/* What one configuration amounts to. */
struct setup {
	struct conf *conf;
	struct buf text;
	int text_fd; /* the same, for the children */
	struct users users;
};

struct supervisor {
	const char *path;
	struct setup setup;
	struct children children;
	struct sockets *sockets;
	int core_sockets[CA_SOCKETS_];
	int signal_fd;
	uint8_t *kek; /* a locked page */
	uint8_t verdict_key[VERDICT_KEY_SIZE]; /* of core and validator, as long as this process lives */
	bool stops, reloads;
};

/* ---- a configuration ---- */

int supervisor_read(const char *path, struct buf *text, struct conf **out, struct conf_error *error)
{
	OWNED_BUF own = BUF_INIT(TEXT_MAX);
	struct buf *to = text ? text : &own;
	OWNED(conf) conf = NULL;
	int e = conf_read_file(path, to, error);

	if (!e)
		e = conf_parse(&conf, buf_bytes(to), path, gw_config_rows(), error);
	if (!e)
		e = gw_config_check(conf_root(conf), error);
	if (!e)
		e = ca_core_check(conf_root(conf), error);
	if (!e)
		*out = MOVE(conf);
	return e;
}

static void setup_fini(struct setup *s)
{
	conf_drop(&s->conf);
	buf_fini(&s->text);
	if (s->text_fd >= 0)
		close(s->text_fd);
	s->text_fd = -1;
}

/* A file in memory that nobody can change any more, not even a child that holds it. */
static int seal_text(const struct buf *text)
{
	int fd = memfd_create("configuration", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (fd < 0)
		return -errno;
	if (write(fd, text->ptr, text->len) != (ssize_t)text->len ||
	    fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL)) {
		close(fd);
		return -EIO;
	}
	return fd;
}

static int setup_load(struct setup *s, const char *path, struct conf_error *error)
{
	int e;

	*s = (struct setup){ .text = BUF_INIT(TEXT_MAX), .text_fd = -1 };
	e = supervisor_read(path, &s->text, &s->conf, error);
	if (!e)
		e = users_load(&s->users, conf_root(s->conf), error);
	if (!e) {
		s->text_fd = seal_text(&s->text);
		e = s->text_fd < 0 ? s->text_fd : 0;
	}
	if (e)
		setup_fini(s);
	return e;
}

static const struct conf_section *root_of(const struct supervisor *s)
{
	return conf_root(s->setup.conf);
}

/* ---- starting a process ---- */

static int give_user(const struct supervisor *s, enum role role, int channel)
{
	const struct users *u = &s->setup.users;
	char text[64];

	if (!u->are_separated)
		return 0;
	snprintf(text, sizeof(text), "%u %u", (unsigned)u->of[role].uid, (unsigned)u->of[role].gid);
	return control_send(channel, "user", text, -1);
}

static int give_log(int channel)
{
	enum log_format format;
	enum log_level level;
	char text[32];

	log_get_setup(&format, &level);
	snprintf(text, sizeof(text), "%u %u", (unsigned)format, (unsigned)level);
	return control_send(channel, "log", text, -1);
}

static int give_config(const struct supervisor *s, int channel)
{
	return control_send(channel, "config", s->path, s->setup.text_fd);
}

static int give_secret(int channel, const char *word, struct bytes secret)
{
	int pipe_fds[2], e;

	if (pipe2(pipe_fds, O_CLOEXEC))
		return -errno;
	e = write(pipe_fds[1], secret.ptr, secret.len) == (ssize_t)secret.len ? 0 : -EIO;
	close(pipe_fds[1]);
	if (!e)
		e = control_send(channel, word, NULL, pipe_fds[0]);
	close(pipe_fds[0]);
	return e;
}

static int give_kek(const struct supervisor *s, const uint8_t kek[static CA_KEK_SIZE], int channel)
{
	char threads[24];
	int e = give_secret(channel, "kek", bytes_of(kek, CA_KEK_SIZE));

	snprintf(threads, sizeof(threads), "%lld",
		 (long long)conf_int(conf_section(root_of(s), "core"), "signer-threads"));
	return e ? e : control_send(channel, "threads", threads, -1);
}

static int give_signer(struct supervisor *s, int channel)
{
	return give_kek(s, s->kek, channel);
}

/* The process that the gateway may use opens no key of a CA, not even with a copy of the store. */
static int give_ra_signer(struct supervisor *s, int channel)
{
	uint8_t kek[SHA256_SIZE];
	int e = secret_mac(bytes_of(s->kek, CA_KEK_SIZE), bytes_of_str("gatehouse keys of registration authorities"),
			   kek);

	if (!e)
		e = give_kek(s, kek, channel);
	explicit_bzero(kek, sizeof(kek));
	return e;
}

/* The core must know its neighbours: their users have no business at its admin socket. */
static int give_core(struct supervisor *s, int channel)
{
	const struct users *u = &s->setup.users;
	char others[64];
	int e = give_config(s, channel);

	snprintf(others, sizeof(others), "%u %u %u %u", (unsigned)u->of[ROLE_GATEWAY].uid,
		 (unsigned)u->of[ROLE_SIGNER].uid, (unsigned)u->of[ROLE_VALIDATOR].uid,
		 (unsigned)u->of[ROLE_RA_SIGNER].uid);
	if (!e)
		e = give_secret(channel, "verdict-key", bytes_of(s->verdict_key, sizeof(s->verdict_key)));
	if (!e && u->are_separated)
		e = control_send(channel, "others", others, -1);
	for (int i = 0; !e && i < CA_SOCKETS_; i++)
		if (s->core_sockets[i] >= 0)
			e = control_send(channel, "socket", ca_core_socket_name((enum ca_core_socket)i),
					 s->core_sockets[i]);
	return e;
}

static int give_validator(struct supervisor *s, int channel)
{
	int e = give_config(s, channel);

	return e ? e : give_secret(channel, "verdict-key", bytes_of(s->verdict_key, sizeof(s->verdict_key)));
}

static int give_gateway(struct supervisor *s, int channel)
{
	int e = give_config(s, channel);

	return e ? e : sockets_give(s->sockets, root_of(s), channel);
}

static int start_process(struct supervisor *s, enum role role)
{
	static int (*const give[ROLES_])(struct supervisor *s, int channel) = {
		[ROLE_SIGNER] = give_signer,
		[ROLE_CORE] = give_core,
		[ROLE_VALIDATOR] = give_validator,
		[ROLE_RA_SIGNER] = give_ra_signer,
		[ROLE_GATEWAY] = give_gateway,
	};
	int channel, e = children_spawn(&s->children, role);

	if (e)
		return e;
	channel = s->children.all[role].channel;
	e = give_log(channel);
	if (!e)
		e = give_user(s, role, channel);
	if (!e)
		e = give[role](s, channel);
	if (!e)
		e = children_go(&s->children, role);
	/* It is gone already, or takes nothing: it is reaped and started again like any other that ended. */
	if (e)
		children_kill(&s->children, role);
	return 0;
}

/* ---- what happens ---- */

static void take_signals(struct supervisor *s)
{
	struct signalfd_siginfo info;

	while (read(s->signal_fd, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
		s->stops |= info.ssi_signo == SIGTERM || info.ssi_signo == SIGINT;
		s->reloads |= info.ssi_signo == SIGHUP;
	}
}

/* Wait up to `wait_ms` for something to happen, and take note of it. */
static void look(struct supervisor *s, int64_t wait_ms)
{
	struct pollfd polls[ROLES_ + 1];
	nfds_t n = 1;

	polls[0] = (struct pollfd){ s->signal_fd, POLLIN, 0 };
	for (int i = 0; i < ROLES_; i++)
		if (s->children.all[i].channel >= 0)
			polls[n++] = (struct pollfd){ s->children.all[i].channel, POLLIN, 0 };
	(void)poll(polls, n, (int)(wait_ms < 0 ? 0 : wait_ms));
	take_signals(s);
	for (int i = 0; i < ROLES_; i++)
		children_listen(&s->children, (enum role)i);
	children_reap(&s->children);
}

static const enum role start_order[] = { ROLE_SIGNER, ROLE_CORE, ROLE_VALIDATOR, ROLE_RA_SIGNER, ROLE_GATEWAY };

/* Start what ended and is due, and end what does not get ready; how long until there is something to do again. */
static int64_t start_due(struct supervisor *s)
{
	int64_t now = clock_mono_ms(), wait = 60000, left;

	for (size_t i = 0; i < ROLES_; i++) {
		struct child *child = &s->children.all[start_order[i]];

		if (!child->is_kept || child->state == CHILD_UP || child->state == CHILD_STOPPING)
			continue;
		left = (child->state == CHILD_DOWN ? child->due_ms : child->started_ms + START_MS) - now;
		if (left <= 0 && child->state == CHILD_STARTING) {
			log_error("process.killed", "process", role_name(child->role), "why",
				  "it was not ready in time");
			children_kill(&s->children, child->role);
		} else if (left <= 0) {
			log_info("process.start", "process", role_name(child->role));
			if (start_process(s, child->role))
				child->due_ms = now + 1000;
		}
		left = left <= 0 ? 1000 : left;
		wait = left < wait ? left : wait;
	}
	return wait;
}

/* Wait until the process has left `state`. Whatever else ends meanwhile is started again. */
static void wait_while(struct supervisor *s, enum role role, enum child_state state, int64_t wait_ms)
{
	int64_t end = clock_mono_ms() + wait_ms, left, due;

	while (s->children.all[role].state == state && (left = end - clock_mono_ms()) > 0 &&
	       !(state == CHILD_STARTING && s->stops)) {
		due = start_due(s);
		look(s, due < left ? due : left);
	}
}

/* 0 when it is ready. Otherwise `error` says what it said, and it is gone. */
static int start_and_wait(struct supervisor *s, enum role role, struct conf_error *error)
{
	struct child *child = &s->children.all[role];
	int e = start_process(s, role);

	if (!e)
		wait_while(s, role, CHILD_STARTING, START_MS);
	if (!e && child->state == CHILD_UP) {
		child->is_kept = true;
		return 0;
	}
	if (s->stops)
		snprintf(error->text, sizeof(error->text), "it was told to stop while it started");
	else if (child->why[0])
		snprintf(error->text, sizeof(error->text), "%s", child->why);
	else
		snprintf(error->text, sizeof(error->text), "the %s process %s", role_name(role),
			 e		     ? strerror(-e) :
			 child->state == CHILD_STARTING ? "is not ready after a minute" :
							  "ended while it started; the log says why");
	children_kill(&s->children, role);
	wait_while(s, role, CHILD_STOPPING, OTHERS_STOP_MS);
	return s->stops ? -EINTR : e ? e : -ECHILD;
}

/* Which processes a configuration needs: one daemon may be all of it, only a core, or only a gateway. */
static bool is_wanted(const struct setup *setup, enum role role)
{
	const struct conf_section *root = conf_root(setup->conf);
	bool has_core = !gw_config_has_other_core(root);
	bool has_gateway = conf_count(root, "listeners") || conf_int(conf_section(root, "metrics"), "port");

	if (role == ROLE_RA_SIGNER)
		return has_gateway && gw_config_has_ra(root);
	return role == ROLE_SIGNER || role == ROLE_CORE ? has_core : has_gateway;
}

static int start_all(struct supervisor *s, struct conf_error *error)
{
	int e = 0;

	for (size_t i = 0; !e && i < ROLES_; i++) {
		s->children.all[start_order[i]].back_off_ms = 0;
		if (is_wanted(&s->setup, start_order[i]))
			e = start_and_wait(s, start_order[i], error);
	}
	return e;
}

static void stop_one(struct supervisor *s, enum role role, int64_t wait_ms)
{
	s->children.all[role].is_kept = false;
	children_stop(&s->children, role);
	wait_while(s, role, CHILD_STOPPING, wait_ms);
	if (s->children.all[role].state == CHILD_DOWN)
		return;
	log_error("process.killed", "process", role_name(role), "why", "it did not stop in time");
	children_kill(&s->children, role);
	wait_while(s, role, CHILD_STOPPING, OTHERS_STOP_MS);
}

static void stop_all(struct supervisor *s)
{
	const struct conf_section *gateway = conf_section(root_of(s), "gateway");

	/* Those that end with the connection of whoever used them are not started again for nobody. */
	s->children.all[ROLE_VALIDATOR].is_kept = false;
	s->children.all[ROLE_RA_SIGNER].is_kept = false;
	stop_one(s, ROLE_GATEWAY, conf_duration_ms(gateway, "stop-timeout") + OTHERS_STOP_MS);
	stop_one(s, ROLE_VALIDATOR, OTHERS_STOP_MS);
	stop_one(s, ROLE_RA_SIGNER, OTHERS_STOP_MS);
	s->children.all[ROLE_SIGNER].is_kept = false;
	stop_one(s, ROLE_CORE, CORE_STOP_MS);
	stop_one(s, ROLE_SIGNER, OTHERS_STOP_MS);
	children_forget_ends(&s->children);
}

/* ---- reload ---- */

/* What a running daemon cannot change: where its data is, who it is, how many sockets an address has. */
static int check_change(const struct supervisor *s, const struct setup *new, struct conf_error *error)
{
	const struct conf_section *now = root_of(s), *then = conf_root(new->conf);

	if (strcmp(conf_str(now, "data"), conf_str(then, "data")) != 0)
		return conf_refuse(then, "data", error, "the data folder changes only with a restart");
	if (!users_are_same(&s->setup.users, &new->users))
		return conf_refuse(then, "processes", error, "users change only with a restart");
	if (gw_config_has_other_core(now) != gw_config_has_other_core(then))
		return conf_refuse(conf_section(then, "gateway"), "core", error,
				   "whose core it is changes only with a restart");
	if (gw_config_loops(now) != gw_config_loops(then))
		return conf_refuse(conf_section(then, "gateway"), "loops", error,
				   "the number of loops changes only with a restart");
	if (!ca_core_has_same_sockets(now, then))
		return conf_refuse(then, "core", error, "the sockets of the core change only with a restart");
	return 0;
}

/* `other` is what was used until now. */
static void use(struct supervisor *s, struct setup *other)
{
	struct setup old = s->setup;

	s->setup = *other;
	*other = old;
	gw_config_set_up_log(root_of(s));
}

static void refuse_reload(const struct conf_error *error, int e)
{
	log_error("server.reload.refused", "why", *error->text ? error->text : strerror(-e), "kept",
		  "the configuration before");
	service_notify("READY=1");
}

/* The new set starts in the place of the old one; when it does not, the old one comes back. */
static int change_over(struct supervisor *s, struct setup *new, struct conf_error *error)
{
	struct conf_error again = { 0 };
	int e;

	stop_all(s);
	use(s, new);
	e = start_all(s, error);
	if (!e || s->stops)
		return e;
	stop_all(s);
	use(s, new);
	if (start_all(s, &again)) {
		log_error("server.reload.broken", "why", again.text);
		/* It is tried again as if it had ended. */
		for (int i = 0; i < ROLES_; i++)
			s->children.all[i].is_kept = is_wanted(&s->setup, (enum role)i);
	}
	return e;
}

static void reload(struct supervisor *s)
{
	struct conf_error error = { 0 };
	struct setup new;
	int e;

	s->reloads = false;
	log_info("server.reload", "configuration", s->path);
	service_notify_reloading();
	e = setup_load(&new, s->path, &error);
	if (e) {
		refuse_reload(&error, e);
		return;
	}
	e = check_change(s, &new, &error);
	if (!e)
		e = sockets_open(s->sockets, conf_root(new.conf), &error);
	if (!e)
		e = change_over(s, &new, &error);
	sockets_keep(s->sockets, root_of(s));
	setup_fini(&new);
	if (e) {
		refuse_reload(&error, e);
		return;
	}
	log_info("server.reloaded", "configuration", s->path);
	service_notify("READY=1");
}

/* ---- life ---- */

/* All children hold the lock too. When the supervisor was killed they end as soon as they notice, and only then are
 * the ports and the core's own lock free. */
static int lock_data(struct supervisor *s, struct conf_error *error)
{
	const char *data = conf_str(root_of(s), "data");
	int64_t end = clock_mono_ms() + PREDECESSOR_MS;
	OWNED_BUF path = BUF_INIT(4096);
	int e = buf_printf(&path, "%s/lock", data);

	if (e)
		return e;
	s->children.lock_fd = open(buf_str(&path), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	e = s->children.lock_fd < 0 ? -errno : 0;
	while (!e && flock(s->children.lock_fd, LOCK_EX | LOCK_NB)) {
		if (errno != EWOULDBLOCK || clock_mono_ms() >= end)
			e = -errno;
		else
			usleep(20000);
	}
	if (e)
		conf_refuse(root_of(s), "data", error, "cannot lock the folder %s: %s", data,
			    e == -EWOULDBLOCK ? "another gatehoused works with it" : strerror(-e));
	return e;
}

static int load_kek(struct supervisor *s, struct conf_error *error)
{
	void *page = mmap(NULL, CA_KEK_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (page == MAP_FAILED)
		return -errno;
	/* Best effort: without the right to lock memory it works the same, it could only reach swap. No child has it.
	 */
	(void)mlock(page, CA_KEK_SIZE);
	(void)madvise(page, CA_KEK_SIZE, MADV_DONTDUMP);
	(void)madvise(page, CA_KEK_SIZE, MADV_WIPEONFORK);
	s->kek = page;
	return ca_core_load_kek(root_of(s), s->kek, error);
}

static int watch_signals(struct supervisor *s)
{
	sigset_t set;

	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGCHLD);
	sigprocmask(SIG_BLOCK, &set, NULL);
	s->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return s->signal_fd < 0 ? -errno : 0;
}

/* Every connection is a descriptor, and the children inherit the limit. No memory of ours reaches a file. */
static void set_limits(void)
{
	struct rlimit l;

	if (getrlimit(RLIMIT_NOFILE, &l) == 0 && l.rlim_cur < l.rlim_max) {
		l.rlim_cur = l.rlim_max;
		setrlimit(RLIMIT_NOFILE, &l);
	}
	setrlimit(RLIMIT_CORE, &(struct rlimit){ 0, 0 });
}

static int begin(struct supervisor *s, struct conf_error *error)
{
	int e;

	set_limits();
	/* The key-encryption key stays here for a restart of the signer. And whatever a child leaves behind stays below
	 * this process, where the admin door knows it. */
	e = prctl(PR_SET_DUMPABLE, IS_SANITIZED, 0, 0, 0) || prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) ? -errno : 0;
	if (!e)
		e = random_octets(s->verdict_key, sizeof(s->verdict_key));
	if (!e)
		e = watch_signals(s);
	if (!e)
		e = sockets_new(&s->sockets);
	if (!e)
		e = sockets_adopt(s->sockets);
	if (!e)
		e = setup_load(&s->setup, s->path, error);
	if (e)
		return e;
	gw_config_set_up_log(root_of(s));
	/* Before the folders change hands: while there is no CA they still belong to whoever makes one. */
	if (is_wanted(&s->setup, ROLE_CORE))
		e = load_kek(s, error);
	if (!e)
		e = users_prepare_folders(&s->setup.users, root_of(s), error);
	if (!e)
		e = lock_data(s, error);
	if (!e && is_wanted(&s->setup, ROLE_CORE))
		e = ca_core_open_sockets(root_of(s), s->core_sockets, error);
	if (!e)
		e = sockets_open(s->sockets, root_of(s), error);
	if (!s->setup.users.are_separated && !e)
		log_warn("server.roles", "why", "roles not separated: all processes have one user");
	return e ? e : start_all(s, error);
}

static void end(struct supervisor *s)
{
	if (s->setup.conf)
		ca_core_close_sockets(root_of(s), s->core_sockets);
	if (s->kek) {
		explicit_bzero(s->kek, CA_KEK_SIZE);
		munmap(s->kek, CA_KEK_SIZE);
	}
	sockets_drop(&s->sockets);
	setup_fini(&s->setup);
	if (s->signal_fd >= 0)
		close(s->signal_fd);
	if (s->children.lock_fd >= 0)
		close(s->children.lock_fd);
}

static void run(struct supervisor *s)
{
	log_info("server.ready", "version", GATEHOUSE_VERSION);
	service_notify("READY=1");
	while (!s->stops) {
		look(s, start_due(s));
		if (s->reloads && !s->stops)
			reload(s);
	}
	log_info("server.stopping");
	service_notify("STOPPING=1");
}

int supervise(const char *path, struct conf_error *error)
{
	struct supervisor s = { .path = path, .signal_fd = -1 };
	int e;

	s.setup.text_fd = -1;
	for (int i = 0; i < CA_SOCKETS_; i++)
		s.core_sockets[i] = -1;
	children_init(&s.children);
	e = begin(&s, error);
	if (!e)
		run(&s);
	else if (s.stops)
		e = 0; /* told to stop while it started: that is an orderly end */
	if (s.setup.conf)
		stop_all(&s);
	end(&s);
	if (!e)
		log_info("server.stopped");
	return e;
}
