/* TLS as a relay.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "core/wire/tls_relay.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/file.h"
#include "core/base/log.h"
#include "core/base/own.h"

#define PEM_MAX 65536
#define PIECE_SIZE 16384           /* a TLS record */
#define GROUPS "X25519:P-256:P-384"
#define SILENCE_S 30               /* a peer that vanished without a word */

struct tls_relay {
	struct tls_relay_options options;
	SSL_CTX *context;
	int end_fd;                /* readable: all threads end */
	pthread_mutex_t lock;      /* guards `n_threads` */
	pthread_cond_t none;
	unsigned n_threads;
};

/* What one side sent and the other has not taken yet. */
struct piece {
	uint8_t octets[PIECE_SIZE];
	size_t len, gone;
	bool is_end; /* nothing comes after it */
};

struct connection {
	struct tls_relay *relay;
	SSL *ssl;
	int tcp, plain;
	struct piece to_tls, to_plain;
	short tls_waits;  /* what TLS waits for on the TCP socket, as poll() says it */
};

static int explain(char why[static TLS_RELAY_WHY_SIZE], const char *what)
{
	unsigned long e = ERR_peek_last_error();
	const char *reason = e ? ERR_reason_error_string(e) : NULL;

	snprintf(why, TLS_RELAY_WHY_SIZE, "%s%s%s", what, reason ? ": " : "", reason ? reason : "");
	ERR_clear_error();
	return -EINVAL;
}

/* ---- whom we are, and whom we know ---- */

static int fingerprint_of(X509 *certificate, uint8_t out[static SHA256_SIZE])
{
	unsigned char *der = NULL;
	int n = certificate ? i2d_X509(certificate, &der) : -1;
	int e = n > 0 ? digest_sha256(bytes_of(der, (size_t)n), out) : -EIO;

	OPENSSL_free(der);
	return e;
}

/* In the place of path building. That the other side has the key is proven by its signature in the handshake. */
static int verify_pinned(X509_STORE_CTX *store, void *arg)
{
	const struct tls_relay *r = arg;
	uint8_t fingerprint[SHA256_SIZE];

	if (fingerprint_of(X509_STORE_CTX_get0_cert(store), fingerprint) == 0 &&
	    r->options.is_known(r->options.arg, fingerprint))
		return 1;
	X509_STORE_CTX_set_error(store, X509_V_ERR_CERT_UNTRUSTED);
	return 0;
}

/* An encrypted key must not make OpenSSL ask at the terminal. */
static int no_password(char *out, int size, int writing, void *arg)
{
	return -1;
}

static int use_certificate(SSL_CTX *context, const char *path, char why[static TLS_RELAY_WHY_SIZE])
{
	OWNED_BUF pem = BUF_INIT(PEM_MAX);
	int e = file_read(path, &pem);
	BIO *bio = e ? NULL : BIO_new_mem_buf(pem.ptr, (int)pem.len);
	X509 *certificate = bio ? PEM_read_bio_X509(bio, NULL, NULL, NULL) : NULL;

	if (e)
		snprintf(why, TLS_RELAY_WHY_SIZE, "cannot read %s: %s", path, strerror(-e));
	else if (!certificate || SSL_CTX_use_certificate(context, certificate) != 1)
		e = explain(why, "the certificate cannot be used");
	X509_free(certificate);
	BIO_free(bio);
	return e ? -EINVAL : 0;
}

static int use_key(SSL_CTX *context, const char *path, char why[static TLS_RELAY_WHY_SIZE])
{
	struct buf pem = BUF_INIT(PEM_MAX);
	int e = file_read_secret(path, &pem);
	BIO *bio = e ? NULL : BIO_new_mem_buf(pem.ptr, (int)pem.len);
	EVP_PKEY *key = bio ? PEM_read_bio_PrivateKey(bio, NULL, no_password, NULL) : NULL;

	if (e)
		snprintf(why, TLS_RELAY_WHY_SIZE, "cannot read %s: %s", path,
			 e == -EPERM ? "others than its owner may read it; chmod 600" : strerror(-e));
	else if (!key || SSL_CTX_use_PrivateKey(context, key) != 1 || SSL_CTX_check_private_key(context) != 1)
		e = explain(why, "the key cannot be used with the certificate");
	EVP_PKEY_free(key);
	BIO_free(bio);
	buf_wipe(&pem);
	return e ? -EINVAL : 0;
}

static bool set_habits(SSL_CTX *context, struct tls_relay *r)
{
	SSL_CTX_set_options(context, SSL_OP_NO_TICKET | SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION |
					     SSL_OP_CLEANSE_PLAINTEXT);
	SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
	SSL_CTX_set_cert_verify_callback(context, verify_pinned, r);
	return SSL_CTX_set_min_proto_version(context, TLS1_3_VERSION) == 1 &&
	       SSL_CTX_set_num_tickets(context, 0) == 1 && SSL_CTX_set_max_early_data(context, 0) == 1 &&
	       SSL_CTX_set1_groups_list(context, GROUPS) == 1;
}

int tls_relay_new(struct tls_relay **out, const struct tls_relay_options *options, char why[static TLS_RELAY_WHY_SIZE])
{
	OWNED(tls_relay) r = calloc(1, sizeof(*r));
	int e;

	snprintf(why, TLS_RELAY_WHY_SIZE, "out of memory");
	if (!r)
		return -ENOMEM;
	r->options = *options;
	pthread_mutex_init(&r->lock, NULL);
	pthread_cond_init(&r->none, NULL);
	r->end_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	r->context = SSL_CTX_new(TLS_method());
	if (r->end_fd < 0 || !r->context)
		return -ENOMEM;
	e = set_habits(r->context, r) ? 0 : explain(why, "TLS cannot be set up");
	if (!e)
		e = use_certificate(r->context, options->certificate, why);
	if (!e)
		e = use_key(r->context, options->key, why);
	if (!e)
		*out = MOVE(r);
	return e;
}

void tls_relay_drop(struct tls_relay **rp)
{
	struct tls_relay *r = *rp;
	uint64_t one = 1;

	if (!r)
		return;
	(void)!write(r->end_fd, &one, sizeof(one));
	pthread_mutex_lock(&r->lock);
	while (r->n_threads)
		pthread_cond_wait(&r->none, &r->lock);
	pthread_mutex_unlock(&r->lock);
	if (r->end_fd >= 0)
		close(r->end_fd);
	SSL_CTX_free(r->context);
	pthread_cond_destroy(&r->none);
	pthread_mutex_destroy(&r->lock);
	free(r);
	*rp = NULL;
}

/* ---- moving octets ---- */

static void connection_drop(struct connection **cp)
{
	struct connection *c = *cp;

	if (!c)
		return;
	SSL_free(c->ssl);
	if (c->tcp >= 0)
		close(c->tcp);
	if (c->plain >= 0)
		close(c->plain);
	OPENSSL_cleanse(&c->to_tls, sizeof(c->to_tls));
	OPENSSL_cleanse(&c->to_plain, sizeof(c->to_plain));
	free(c);
	*cp = NULL;
}

/* What the last call of OpenSSL, which did not move anything, waits for. False: nothing, the connection is over. */
static bool note_wait(struct connection *c, int result)
{
	int error = SSL_get_error(c->ssl, result);
	const char *reason = error == SSL_ERROR_SSL ? ERR_reason_error_string(ERR_peek_last_error()) : NULL;

	if (error == SSL_ERROR_WANT_READ)
		c->tls_waits |= POLLIN;
	else if (error == SSL_ERROR_WANT_WRITE)
		c->tls_waits |= POLLOUT;
	/* Such as the other side's alert that it does not know our certificate. */
	if (reason && SSL_is_init_finished(c->ssl))
		log_warn("tls.broken", "why", reason);
	return error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE;
}

static bool is_empty(const struct piece *p)
{
	return p->gone == p->len;
}

static void fill(struct piece *p, size_t n)
{
	p->len = n;
	p->gone = 0;
}

/* What is left has nobody to go to. */
static void break_off(struct connection *c)
{
	fill(&c->to_tls, 0);
	fill(&c->to_plain, 0);
	c->to_tls.is_end = c->to_plain.is_end = true;
}

/* Each of these is true when something moved. */

static bool read_plain(struct connection *c)
{
	struct piece *p = &c->to_tls;
	ssize_t n;

	if (p->is_end || !is_empty(p))
		return false;
	n = recv(c->plain, p->octets, sizeof(p->octets), MSG_DONTWAIT);
	if (n > 0)
		fill(p, (size_t)n);
	else
		p->is_end = n == 0 || (errno != EAGAIN && errno != EINTR);
	return n > 0;
}

static bool write_tls(struct connection *c)
{
	struct piece *p = &c->to_tls;
	int n;

	if (is_empty(p))
		return false;
	n = SSL_write(c->ssl, p->octets + p->gone, (int)(p->len - p->gone));
	if (n > 0)
		p->gone += (size_t)n;
	else if (!note_wait(c, n))
		break_off(c);
	return n > 0;
}

static bool read_tls(struct connection *c)
{
	struct piece *p = &c->to_plain;
	int n;

	if (p->is_end || !is_empty(p))
		return false;
	n = SSL_read(c->ssl, p->octets, sizeof(p->octets));
	if (n > 0)
		fill(p, (size_t)n);
	else
		p->is_end = !note_wait(c, n);
	return n > 0;
}

static bool write_plain(struct connection *c)
{
	struct piece *p = &c->to_plain;
	ssize_t n;

	if (is_empty(p))
		return false;
	n = send(c->plain, p->octets + p->gone, p->len - p->gone, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (n > 0)
		p->gone += (size_t)n;
	else if (errno != EAGAIN && errno != EINTR)
		break_off(c);
	return n > 0;
}

/* One side ended, and the other has all that it said. */
static bool is_over(const struct connection *c)
{
	return (c->to_tls.is_end && is_empty(&c->to_tls)) || (c->to_plain.is_end && is_empty(&c->to_plain));
}

/* False when it is time to end. Reading one side stops while the other does not take what is there. */
static bool wait_for_something(const struct connection *c)
{
	struct pollfd p[] = { { c->tcp, c->tls_waits, 0 }, { c->plain, 0, 0 }, { c->relay->end_fd, POLLIN, 0 } };

	if (is_empty(&c->to_tls) && !c->to_tls.is_end)
		p[1].events |= POLLIN;
	if (!is_empty(&c->to_plain))
		p[1].events |= POLLOUT;
	/* A negative descriptor is left out: a hangup would be reported although nobody waits for anything there. */
	if (!p[0].events)
		p[0].fd = -1;
	if (!p[1].events)
		p[1].fd = -1;
	while (poll(p, 3, -1) < 0 && errno == EINTR)
		;
	return !p[2].revents;
}

static void *relay_octets(void *arg)
{
	OWNED(connection) c = arg;
	struct tls_relay *r = c->relay;
	bool goes_on = true;

	while (goes_on) {
		c->tls_waits = 0;
		ERR_clear_error();
		if (!(read_plain(c) | write_tls(c) | read_tls(c) | write_plain(c)))
			goes_on = !is_over(c) && wait_for_something(c);
	}
	ERR_clear_error();
	(void)SSL_shutdown(c->ssl);
	connection_drop(&c);
	OPENSSL_thread_stop();
	pthread_mutex_lock(&r->lock);
	r->n_threads--;
	pthread_cond_broadcast(&r->none);
	pthread_mutex_unlock(&r->lock);
	return NULL;
}

/* ---- the handshake ---- */

static void set_options(int fd)
{
	static const int one = 1, idle_s = SILENCE_S / 2, pause_s = 5, probes = 3;
	static const unsigned silence_ms = SILENCE_S * 1000;

	fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof(one));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle_s, sizeof(idle_s));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &pause_s, sizeof(pause_s));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &probes, sizeof(probes));
	setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &silence_ms, sizeof(silence_ms));
}

static int connection_new(struct connection **out, struct tls_relay *r, int take_fd)
{
	struct connection *c = calloc(1, sizeof(*c));

	if (!c) {
		close(take_fd);
		return -ENOMEM;
	}
	c->relay = r;
	c->tcp = take_fd;
	c->plain = -1;
	c->ssl = SSL_new(r->context);
	*out = c;
	set_options(take_fd);
	return c->ssl && SSL_set_fd(c->ssl, take_fd) == 1 ? 0 : -ENOMEM;
}

static int64_t real_ms(void)
{
	struct timespec now = clock_deadline_after(0);

	return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static int shake_hands(struct connection *c, enum tls_relay_side side, char why[static TLS_RELAY_WHY_SIZE])
{
	int64_t left = side == TLS_RELAY_SERVER ? TLS_RELAY_SERVER_MS : TLS_RELAY_CLIENT_MS, end = real_ms() + left;
	struct pollfd p[] = { { c->tcp, 0, 0 }, { c->relay->end_fd, POLLIN, 0 } };
	int done;

	for (;;) {
		ERR_clear_error();
		c->tls_waits = 0;
		done = side == TLS_RELAY_SERVER ? SSL_accept(c->ssl) : SSL_connect(c->ssl);
		if (done == 1)
			return 0;
		if (!note_wait(c, done)) {
			explain(why, "the TLS handshake failed");
			return -EACCES;
		}
		p[0].events = c->tls_waits;
		left = end - real_ms();
		if (left <= 0 || poll(p, 2, (int)left) == 0 || p[1].revents) {
			snprintf(why, TLS_RELAY_WHY_SIZE, "the TLS handshake did not end in time");
			return -ETIMEDOUT;
		}
	}
}

static int start_thread(struct connection *c)
{
	struct tls_relay *r = c->relay;
	pthread_attr_t attributes;
	pthread_t thread;
	int e;

	pthread_attr_init(&attributes);
	pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
	pthread_mutex_lock(&r->lock);
	e = -pthread_create(&thread, &attributes, relay_octets, c);
	r->n_threads += e == 0;
	pthread_mutex_unlock(&r->lock);
	pthread_attr_destroy(&attributes);
	return e;
}

static int join(struct tls_relay *r, struct connection **c, enum tls_relay_side side, int *plain,
		uint8_t fingerprint[static SHA256_SIZE], char why[static TLS_RELAY_WHY_SIZE])
{
	X509 *certificate;
	int ends[2];
	int e = shake_hands(*c, side, why);

	if (e)
		return e;
	certificate = SSL_get1_peer_certificate((*c)->ssl);
	e = fingerprint_of(certificate, fingerprint);
	X509_free(certificate);
	if (!e && socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends))
		e = -errno;
	if (e)
		return e;
	(*c)->plain = ends[0];
	e = start_thread(*c);
	if (e) {
		close(ends[1]);
		return e;
	}
	*c = NULL; /* the thread's */
	*plain = ends[1];
	return 0;
}

int tls_relay_join(struct tls_relay *r, int take_fd, enum tls_relay_side side, int *plain,
		   uint8_t fingerprint[static SHA256_SIZE], char why[static TLS_RELAY_WHY_SIZE])
{
	OWNED(connection) c = NULL;
	int e = connection_new(&c, r, take_fd);

	snprintf(why, TLS_RELAY_WHY_SIZE, "the system gives no memory, thread or socket for it");
	return e ? e : join(r, &c, side, plain, fingerprint, why);
}
