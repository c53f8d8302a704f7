/* A blocking HTTP/1.1 client over one TLS connection.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tests/bench/https.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#define TIMEOUT_S 30
#define REQUEST_SIZE 16384

struct place {
	char host[256], port[8];
	const char *path;
};

static int fail(struct https *h, const char *why)
{
	https_close(h);
	h->why = why;
	return -1;
}

SSL_CTX *https_trust(const char *pem_path)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());

	if (!ctx || SSL_CTX_load_verify_locations(ctx, pem_path, NULL) != 1) {
		SSL_CTX_free(ctx);
		return NULL;
	}
	SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
	SSL_CTX_set_mode(ctx, SSL_MODE_AUTO_RETRY);
	return ctx;
}

/* https://HOST:PORT/PATH. False for anything else. */
static bool split_url(const char *url, struct place *out)
{
	const char *host = strncmp(url, "https://", 8) == 0 ? url + 8 : NULL;
	const char *path = host ? strchr(host, '/') : NULL;
	const char *colon = path ? memchr(host, ':', (size_t)(path - host)) : NULL;
	const char *end = colon ? colon : path;

	if (!path || (size_t)(end - host) >= sizeof(out->host) || (colon && (size_t)(path - colon) > sizeof(out->port)))
		return false;
	snprintf(out->host, sizeof(out->host), "%.*s", (int)(end - host), host);
	if (colon)
		snprintf(out->port, sizeof(out->port), "%.*s", (int)(path - colon - 1), colon + 1);
	else
		snprintf(out->port, sizeof(out->port), "443");
	out->path = path;
	return true;
}

static int connect_to(const struct place *p)
{
	const struct addrinfo hints = { .ai_socktype = SOCK_STREAM };
	const struct timeval patience = { .tv_sec = TIMEOUT_S };
	struct addrinfo *all = NULL;
	int fd = -1, on = 1;

	if (getaddrinfo(p->host, p->port, &hints, &all))
		return -1;
	for (const struct addrinfo *a = all; a && fd < 0; a = a->ai_next) {
		fd = socket(a->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
		if (fd >= 0 && connect(fd, a->ai_addr, a->ai_addrlen)) {
			close(fd);
			fd = -1;
		}
	}
	freeaddrinfo(all);
	if (fd >= 0) {
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
		setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
		setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
	}
	return fd;
}

static int open_connection(struct https *h, const struct place *p)
{
	int fd = connect_to(p);

	if (fd < 0)
		return fail(h, "connect");
	h->ssl = SSL_new(h->ctx);
	if (!h->ssl || SSL_set_fd(h->ssl, fd) != 1) {
		close(fd);
		return fail(h, "memory");
	}
	SSL_set_tlsext_host_name(h->ssl, p->host);
	SSL_set1_host(h->ssl, p->host);
	if (h->session)
		SSL_set_session(h->ssl, h->session);
	h->connections++;
	if (SSL_connect(h->ssl) != 1)
		return fail(h, "tls");
	h->resumed += SSL_session_reused(h->ssl) == 1;
	return 0;
}

/* By now the tickets have come, with the first answer. */
static void keep_session(struct https *h)
{
	SSL_SESSION_free(h->session);
	h->session = SSL_get1_session(h->ssl);
}

void https_close(struct https *h)
{
	int fd = h->ssl ? SSL_get_fd(h->ssl) : -1;

	if (h->ssl && h->resumes) {
		keep_session(h);
		SSL_shutdown(h->ssl); /* a session that is not shut down is not resumed */
	}
	SSL_free(h->ssl);
	h->ssl = NULL;
	if (fd >= 0)
		close(fd);
}

void https_fini(struct https *h)
{
	h->resumes = false;
	https_close(h);
	SSL_SESSION_free(h->session);
	h->session = NULL;
}

static int send_request(struct https *h, const char *method, const struct place *p, const char *body, size_t body_len)
{
	char request[REQUEST_SIZE];
	int n = snprintf(request, sizeof(request),
			 "%s %s HTTP/1.1\r\nHost: %s:%s\r\nUser-Agent: gatehouse-bench\r\n"
			 "%s%s%sContent-Type: %s\r\nContent-Length: %zu\r\n\r\n",
			 method, p->path, p->host, p->port, h->authorization ? "Authorization: " : "",
			 h->authorization ?: "", h->authorization ? "\r\n" : "", h->content_type, body_len);

	if (n < 0 || (size_t)n + body_len > sizeof(request))
		return fail(h, "request-too-long");
	if (body_len)
		memcpy(request + n, body, body_len);
	/* One record, as clients send it. */
	return SSL_write(h->ssl, request, n + (int)body_len) > 0 ? 0 : fail(h, "send");
}

/* Append what arrives to `in`, which stays a string. */
static int receive(struct https *h, size_t *len)
{
	int n;

	if (*len + 1 >= sizeof(h->in))
		return fail(h, "answer-too-long");
	errno = 0;
	n = SSL_read(h->ssl, h->in + *len, (int)(sizeof(h->in) - *len - 1));
	if (n <= 0)
		return fail(h, errno == EAGAIN ? "timeout" : "receive");
	*len += (size_t)n;
	h->in[*len] = '\0';
	return 0;
}

static void copy_value(char *out, size_t size, const char *value, const char *end)
{
	if ((size_t)(end - value) < size)
		snprintf(out, size, "%.*s", (int)(end - value), value);
}

/* The header lines of the answer; `body` points behind them. */
static int read_head(struct https *h, bool *closes)
{
	char *line = strstr(h->in, "\r\n"), *end;

	*closes = false;
	h->nonce[0] = h->location[0] = '\0';
	h->body_len = SIZE_MAX;
	if (strncmp(h->in, "HTTP/1.1 ", 9) != 0)
		return fail(h, "no-http-1.1");
	h->status = (int)strtol(h->in + 9, NULL, 10);
	for (line += 2; line < h->body - 2; line = end + 2) {
		const char *value = strchr(line, ':');

		end = strstr(line, "\r\n");
		if (!value || value > end)
			return fail(h, "header");
		value += 1 + strspn(value + 1, " ");
		if (strncasecmp(line, "Content-Length:", 15) == 0)
			h->body_len = strtoul(value, NULL, 10);
		else if (strncasecmp(line, "Replay-Nonce:", 13) == 0)
			copy_value(h->nonce, sizeof(h->nonce), value, end);
		else if (strncasecmp(line, "Location:", 9) == 0)
			copy_value(h->location, sizeof(h->location), value, end);
		else if (strncasecmp(line, "Connection: close", 17) == 0)
			*closes = true;
	}
	return 0;
}

static int receive_answer(struct https *h, bool has_body)
{
	size_t len = 0, head;
	bool closes;
	char *end;

	h->in[0] = '\0';
	while (!(end = strstr(h->in, "\r\n\r\n")))
		if (receive(h, &len))
			return -1;
	h->body = end + 4;
	head = (size_t)(h->body - h->in);
	if (read_head(h, &closes))
		return -1;
	if (!has_body || h->status == 204)
		h->body_len = 0;
	if (h->body_len >= sizeof(h->in) - head)
		return fail(h, "no-content-length");
	while (len < head + h->body_len)
		if (receive(h, &len))
			return -1;
	if (len > head + h->body_len)
		return fail(h, "more-than-one-answer");
	if (closes)
		https_close(h);
	return 0;
}

int https_call(struct https *h, const char *method, const char *url, const char *body, size_t body_len)
{
	struct place p;

	if (!split_url(url, &p))
		return fail(h, "url");
	if (!h->ssl && open_connection(h, &p))
		return -1;
	h->requests++;
	if (send_request(h, method, &p, body, body_len))
		return -1;
	return receive_answer(h, strcmp(method, "HEAD") != 0);
}
