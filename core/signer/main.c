/* gatehouse-signer: the process that has the private keys, and nothing else.
 *
 * It is given everything by the supervisor (core/wire/control.h), in this order:
 *
 *   user UID GID     optional: who it becomes
 *   kek + fd         the key-encryption key, 32 octets, read once
 *   threads N        optional: so many sign at once; 0: one a processor
 *   link NAME + fd   its connection: to `core`, or to `gateway`, and then it is the one that has the keys of
 *                    registration authorities and no others
 *   go
 *
 * One thread reads the connection, the signing threads answer, the main thread listens to the supervisor. All are
 * there before the process closes itself in (core/signer/sandbox.h). It opens no file, keeps no journal, and is over
 * when its connection or its supervisor is: whoever starts again loads the keys again. Signals of a terminal or of a
 * service manager are for the supervisor; this process ends by its channel, so that the core can finish first.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rand.h>

#include "core/base/clock.h"
#include "core/base/own.h"
#include "core/base/pool.h"
#include "core/base/sanitized.h"
#include "core/signer/answer.h"
#include "core/signer/ra.h"
#include "core/signer/sandbox.h"
#include "core/signer/signer_int.h"
#include "core/wire/control.h"
#include "core/wire/server.h"

#define STACK_SIZE ((size_t)128 << 10)
#define THREADS_MAX 256

enum { EXIT_USAGE = 2 };

/* What the supervisor gave, and what was made of it. */
struct given {
	uint8_t kek[SIGNER_KEK_SIZE];
	bool has_kek;
	unsigned threads;
	int link_fd;
	bool is_ra;
};

static struct given given = { .link_fd = -1 };

/* ---- words ---- */

static int take_kek(void *arg, const char *text, int fd)
{
	/* A file in memory may be given to several signers, one after the other; a pipe has no place to read at. */
	ssize_t n = fd < 0 ? -1 : pread(fd, given.kek, sizeof(given.kek), 0);

	if (n < 0 && fd >= 0 && errno == ESPIPE)
		n = read(fd, given.kek, sizeof(given.kek));
	if (fd >= 0)
		close(fd);
	given.has_kek = n == (ssize_t)sizeof(given.kek);
	return given.has_kek ? 0 : -EINVAL;
}

static int take_threads(void *arg, const char *text, int fd)
{
	if (fd >= 0)
		close(fd);
	return sscanf(text, "%u", &given.threads) == 1 && given.threads <= THREADS_MAX ? 0 : -EINVAL;
}

static int take_link(void *arg, const char *text, int fd)
{
	bool is_ra = strcmp(text, "gateway") == 0;

	if (fd >= 0 && given.link_fd < 0 && (is_ra || strcmp(text, "core") == 0)) {
		given.link_fd = fd;
		given.is_ra = is_ra;
		return 0;
	}
	if (fd >= 0)
		close(fd);
	return -EINVAL;
}

/* ---- warming up: everything that libcrypto does only once is done before the filter ---- */

static EVP_PKEY *warm_keys[3];

/* A small RSA key does the same as a large one, and is made in a moment. */
static int make_warm_keys(void)
{
	warm_keys[0] = EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256");
	warm_keys[1] = EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-384");
	warm_keys[2] = EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)1024);
	return warm_keys[0] && warm_keys[1] && warm_keys[2] ? 0 : -EIO;
}

static void drop_warm_keys(void)
{
	for (size_t i = 0; i < 3; i++)
		EVP_PKEY_free(warm_keys[i]);
}

static int sign_once(EVP_PKEY *key, const EVP_MD *md)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	uint8_t signature[SIGNER_SIGNATURE_MAX];
	size_t n = sizeof(signature);
	int ok = ctx && EVP_DigestSignInit(ctx, NULL, md, NULL, key) == 1 &&
		 EVP_DigestSign(ctx, signature, &n, (const uint8_t *)"warm", 4) == 1;

	EVP_MD_CTX_free(ctx);
	return ok ? 0 : -EIO;
}

/* What is unwrapped is of no interest: the way there is the same. */
static int unwrap_once(EVP_PKEY *key)
{
	uint8_t wrapped[128] = { 0 }, out[SIGNER_UNWRAPPED_MAX];
	int e = ra_unwrap(key, SIGNER_WRAPPING_PKCS1, bytes_of(wrapped, sizeof(wrapped)), out, sizeof(out));

	if (!e)
		e = ra_unwrap(key, SIGNER_WRAPPING_OAEP_SHA1, bytes_of(wrapped, sizeof(wrapped)), out, sizeof(out));
	return e ? e : ra_unwrap(key, SIGNER_WRAPPING_OAEP_SHA256, bytes_of(wrapped, sizeof(wrapped)), out,
				 sizeof(out));
}

/* Run by each signing thread; it has random generators of its own. */
static int warm_up_thread(void *arg)
{
	uint8_t octets[32];

	if (sign_once(warm_keys[0], EVP_sha256()) || sign_once(warm_keys[1], EVP_sha384()) ||
	    sign_once(warm_keys[2], EVP_sha256()) || sign_once(warm_keys[2], EVP_sha1()) ||
	    sign_once(warm_keys[2], EVP_sha512()) || unwrap_once(warm_keys[2]))
		return -EIO;
	if (RAND_bytes(octets, sizeof(octets)) != 1 || RAND_priv_bytes(octets, sizeof(octets)) != 1 ||
	    EVP_RAND_reseed(RAND_get0_private(NULL), 1, NULL, 0, NULL, 0) != 1 ||
	    EVP_RAND_reseed(RAND_get0_public(NULL), 1, NULL, 0, NULL, 0) != 1)
		return -EIO;
	return 0;
}

/* Keys are made, sealed and loaded, and a MAC is made, by a signer that nobody else ever sees. */
static int warm_up_vault(void)
{
	static const uint8_t kek[SIGNER_KEK_SIZE];
	OWNED_BUF sealed = BUF_INIT(SIGNER_SEALED_MAX);
	OWNED_BUF spki = BUF_INIT(SIGNER_SPKI_MAX);
	char why[SIGNER_WHY_SIZE], time[CLOCK_TEXT_SIZE];
	uint8_t mac[SIGNER_MAC_SIZE];
	OWNED(signer) s = NULL;
	uint64_t key;
	int e = signer_new(&s, kek);

	if (!e)
		e = signer_generate(s, "ec-p256", SIGNER_PURPOSE_CA, "warm", &sealed, &spki, why);
	if (!e)
		e = signer_load(s, buf_bytes(&sealed), SIGNER_PURPOSE_CA, "warm", bytes_of(NULL, 0), &key, why);
	buf_reset(&sealed);
	if (!e)
		e = signer_generate(s, "hmac", SIGNER_PURPOSE_MAC, "warm", &sealed, &spki, why);
	if (!e)
		e = signer_load(s, buf_bytes(&sealed), SIGNER_PURPOSE_MAC, "warm", bytes_of(NULL, 0), &key, why);
	if (!e)
		e = signer_mac(s, key, bytes_of("warm", 4), bytes_of("up", 2), mac, why);
	/* The log's time: the C library looks for the time zone once. */
	clock_print_ms(clock_wall_ms(), time);
	return e;
}

/* ---- start ---- */

static int answer(void *peer_arg, struct bytes message, struct buf *reply)
{
	return signer_answer(peer_arg, message, reply);
}

/* Whoever may use the keys is gone. */
static void end(void *peer_arg)
{
	_exit(0);
}

static int start_threads(struct pool **pool)
{
	long n = given.threads ? (long)given.threads : sysconf(_SC_NPROCESSORS_ONLN);
	int e = make_warm_keys();

	if (!e)
		e = warm_up_vault();
	if (!e)
		e = pool_new(pool, &(struct pool_options){
			.threads = n < 1 ? 1 : n > THREADS_MAX ? THREADS_MAX : (unsigned)n,
			.queue = SIGNER_WINDOW,
			.starts_all = true,
			.begin = warm_up_thread,
			.stack_size = STACK_SIZE,
		});
	drop_warm_keys();
	return e;
}

/* Everything up to the filter; from then on the link is served. */
static int start(const char **what)
{
	struct signer *signer = NULL;
	struct wire_server *server;
	struct pool *pool;
	enum signer_memory memory;
	unsigned keys_max;
	int e;

	*what = "it was given no key-encryption key or no connection";
	if (!given.has_kek || given.link_fd < 0)
		return -EINVAL;
	memory = sandbox_lock_memory(&keys_max);
	*what = "libcrypto does not work";
	e = start_threads(&pool);
	if (!e)
		e = given.is_ra ? signer_new_ra(&signer, given.kek) : signer_new(&signer, given.kek);
	OPENSSL_cleanse(given.kek, sizeof(given.kek));
	if (e)
		return e;
	signer_note_memory(signer, memory, keys_max);
	*what = "it cannot serve its connection";
	e = wire_server_new(&server, &(struct wire_server_options){
		.name = "signer", .pool = pool, .window = SIGNER_WINDOW, .is_quick = true, .answer = answer,
		.gone = end });
	if (e)
		return e;
	*what = "the filter of system calls cannot be loaded";
	e = sandbox_close();
	if (e)
		return e;
	*what = "it cannot serve its connection";
	return wire_server_add(server, given.link_fd, signer);
}

/* Before the first thread and the first call of libcrypto, which would read its configuration. */
static void settle_libraries(void)
{
	pthread_attr_t attributes;

	setenv("TZ", ":", 1); /* UTC without a file */
	mallopt(M_ARENA_MAX, 1);
	OPENSSL_init_crypto(OPENSSL_INIT_NO_LOAD_CONFIG, NULL);
	if (!IS_SANITIZED && pthread_attr_init(&attributes) == 0) {
		pthread_attr_setstacksize(&attributes, STACK_SIZE);
		pthread_setattr_default_np(&attributes);
		pthread_attr_destroy(&attributes);
	}
}

static void ignore_signals(void)
{
	static const int numbers[] = { SIGPIPE, SIGTERM, SIGINT, SIGHUP };

	for (size_t i = 0; i < sizeof(numbers) / sizeof(*numbers); i++)
		signal(numbers[i], SIG_IGN);
}

int main(int argc, char **argv)
{
	static const struct control_word words[] = {
		{ "kek", take_kek }, { "threads", take_threads }, { "link", take_link }, { 0 }
	};
	static const struct control_word none[] = { { 0 } };
	const char *what = "a word of the supervisor was not understood";
	char why[SIGNER_WHY_SIZE];
	int e;

	if (argc > 1 || !control_is_there()) {
		fputs("gatehouse-signer is started by gatehoused; it has no options\n", stderr);
		return EXIT_USAGE;
	}
	settle_libraries();
	ignore_signals();
	e = control_begin(words, NULL);
	if (!e)
		e = start(&what);
	if (e) {
		snprintf(why, sizeof(why), "the signer cannot start: %s: %s", what, strerror(-e));
		control_failed(why);
		return CONTROL_EXIT_FAILED;
	}
	control_ready();
	control_serve(none, NULL);
	_exit(0);
}
