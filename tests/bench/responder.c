/* Answers http-01 on loopback.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tests/bench/responder.h"

#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#define REQUEST_MAX 2048
#define EVENTS 64
#define PATH "GET /.well-known/acme-challenge/"

struct answer {
	char token[128], text[192];
};

/* A connection is read until its request is complete, answered, and closed once the other side has closed: so the
 * side that may choose its port again is the one that waits in TIME_WAIT. */
struct peer {
	int fd;
	size_t n;
	char in[REQUEST_MAX];
	struct peer *next, **prev;
};

struct responder {
	int listener, epoll, stop;
	pthread_t thread;
	pthread_mutex_t lock; /* guards the answers */
	struct answer *answers;
	size_t n_answers;
	struct peer *peers;
};

static void watch(struct responder *r, int fd, void *what)
{
	epoll_ctl(r->epoll, EPOLL_CTL_ADD, fd, &(struct epoll_event){ .events = EPOLLIN, .data.ptr = what });
}

static void close_peer(struct peer *p)
{
	*p->prev = p->next;
	if (p->next)
		p->next->prev = p->prev;
	close(p->fd);
	free(p);
}

static void accept_all(struct responder *r)
{
	struct peer *p;
	int fd;

	while ((fd = accept4(r->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
		p = calloc(1, sizeof(*p));
		if (!p) {
			close(fd);
			continue;
		}
		p->fd = fd;
		p->next = r->peers;
		p->prev = &r->peers;
		if (p->next)
			p->next->prev = &p->next;
		r->peers = p;
		watch(r, fd, p);
	}
}

/* The answer to a token, or "". */
static void find_answer(struct responder *r, const char *token, size_t n, char text[static 192])
{
	text[0] = '\0';
	pthread_mutex_lock(&r->lock);
	for (size_t i = 0; i < r->n_answers; i++)
		if (strncmp(r->answers[i].token, token, n) == 0 && r->answers[i].token[n] == '\0')
			snprintf(text, 192, "%s", r->answers[i].text);
	pthread_mutex_unlock(&r->lock);
}

static void answer(struct responder *r, const struct peer *p)
{
	const char *token = strncmp(p->in, PATH, strlen(PATH)) == 0 ? p->in + strlen(PATH) : "";
	char text[192], reply[512];
	int n;

	find_answer(r, token, strcspn(token, " \r\n"), text);
	n = snprintf(reply, sizeof(reply),
		     "HTTP/1.1 %s\r\nContent-Type: application/octet-stream\r\nConnection: close\r\n"
		     "Content-Length: %zu\r\n\r\n%s",
		     text[0] ? "200 OK" : "404 Not Found", strlen(text), text);
	/* It fits into an empty socket buffer; whoever is gone already needs no answer. */
	(void)!send(p->fd, reply, (size_t)n, MSG_NOSIGNAL);
}

static void serve(struct responder *r, struct peer *p)
{
	ssize_t n = recv(p->fd, p->in + p->n, sizeof(p->in) - 1 - p->n, 0);

	if (n < 0 && errno == EAGAIN)
		return;
	if (n <= 0) {
		close_peer(p);
		return;
	}
	p->n += (size_t)n;
	p->in[p->n] = '\0';
	if (strstr(p->in, "\r\n\r\n")) {
		answer(r, p);
		p->n = 0;
	} else if (p->n + 1 == sizeof(p->in)) {
		close_peer(p);
	}
}

static void *run(void *arg)
{
	struct responder *r = arg;
	struct epoll_event events[EVENTS];
	int n, i;

	for (;;) {
		n = epoll_wait(r->epoll, events, EVENTS, -1);
		for (i = 0; i < n; i++) {
			if (events[i].data.ptr == &r->stop)
				return NULL;
			if (events[i].data.ptr == r)
				accept_all(r);
			else
				serve(r, events[i].data.ptr);
		}
	}
}

static int listen_on(uint16_t port)
{
	const struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons(port),
					     .sin_addr = { htonl(INADDR_LOOPBACK) } };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), on = 1, e;

	if (fd < 0)
		return -errno;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (bind(fd, (const struct sockaddr *)&address, sizeof(address)) || listen(fd, SOMAXCONN)) {
		e = -errno;
		close(fd);
		return e;
	}
	return fd;
}

int responder_start(struct responder **out, uint16_t port, size_t n_workers)
{
	struct responder *r = calloc(1, sizeof(*r));
	int e;

	if (!r)
		return -ENOMEM;
	pthread_mutex_init(&r->lock, NULL);
	r->answers = calloc(n_workers, sizeof(*r->answers));
	r->n_answers = n_workers;
	r->epoll = epoll_create1(EPOLL_CLOEXEC);
	r->stop = eventfd(0, EFD_CLOEXEC);
	r->listener = listen_on(port);
	e = !r->answers ? -ENOMEM : r->epoll < 0 || r->stop < 0 ? -EMFILE : r->listener < 0 ? r->listener : 0;
	if (!e) {
		watch(r, r->listener, r);
		watch(r, r->stop, &r->stop);
		e = -pthread_create(&r->thread, NULL, run, r);
	}
	if (e) {
		close(r->listener);
		close(r->stop);
		close(r->epoll);
		free(r->answers);
		free(r);
		return e;
	}
	*out = r;
	return 0;
}

void responder_stop(struct responder **rp)
{
	struct responder *r = *rp;

	eventfd_write(r->stop, 1);
	pthread_join(r->thread, NULL);
	while (r->peers)
		close_peer(r->peers);
	close(r->listener);
	close(r->stop);
	close(r->epoll);
	pthread_mutex_destroy(&r->lock);
	free(r->answers);
	free(r);
	*rp = NULL;
}

void responder_set(struct responder *r, size_t worker, const char *token, const char *thumbprint)
{
	struct answer *a = &r->answers[worker];

	pthread_mutex_lock(&r->lock);
	snprintf(a->token, sizeof(a->token), "%s", token);
	snprintf(a->text, sizeof(a->text), "%s.%s", token, thumbprint);
	pthread_mutex_unlock(&r->lock);
}
