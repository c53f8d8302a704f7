/* gatehouse-signer as a process: what it does behind its filter, and what nobody can do to it.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tests/test.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/x509.h>

#include "core/base/clock.h"
#include "core/base/der.h"
#include "core/signer/seal.h"
#include "core/wire/control.h"
#include "core/wire/link.h"
#include "tests/unit/core/issue_kit.h"
#include "tests/unit/signer/signer_process.h"

#define NOW 1772366400ll
#define NOBODY "65534 65534"

static bool is_plain(void)
{
	return strstr(getenv("GATEHOUSE_SIGNER"), "plain") != NULL;
}

/* A signer, and a core's link to it. */
struct served {
	struct child process;
	struct link *link;
	struct signer *signer;
};

static void serve(struct served *s, const char *user, const char *threads)
{
	signer_process_start(&s->process, &(struct signer_process_options){
		.kek = bytes_of(issue_kit_kek, SIGNER_KEK_SIZE), .user = user, .threads = threads });
	assert_int_equal(link_new(&s->link, &(struct link_options){ .window = SIGNER_WINDOW }), 0);
	link_attach(s->link, s->process.link);
	s->process.link = -1;
	assert_int_equal(signer_connect(&s->signer, s->link), 0);
}

static void stop_serving(struct served *s)
{
	signer_drop(&s->signer);
	link_drop(&s->link);
	child_kill(&s->process);
}

/* The kit's own signer is in this process; the one that is tested gets the same keys. */
static uint64_t load(struct served *s, const struct issue_kit *k, const char *ca)
{
	char why[SIGNER_WHY_SIZE] = "";
	uint64_t key;
	int e = signer_load(s->signer, buf_bytes(&k->sealed), SIGNER_PURPOSE_CA, ca, buf_bytes(&k->certificate), &key,
			    why);

	if (e)
		fail_msg("%d %s", e, why);
	return key;
}

static void build(struct issue_kit *k, struct buf *tbs)
{
	OWNED_BUF spki = BUF_INIT(8192);
	char why[CA_REASON_SIZE];
	struct issue_plan plan;

	issue_kit_spki("ec-p256", &spki);
	plan = issue_kit_plan(k, buf_bytes(&spki));
	assert_int_equal(issue_build(&plan, tbs, why), 0);
}

static int sign(struct served *s, uint64_t key, struct bytes tbs, struct buf *signature)
{
	char why[SIGNER_WHY_SIZE] = "";

	return signer_sign_certificate(s->signer, key, tbs, signature, why);
}

static void signs_with_keys_of_every_kind(void **state)
{
	static const char *const kinds[] = { "ec-p256", "ec-p384", "rsa-2048", "rsa-3072" };
	struct served s;

	serve(&s, NULL, NULL);
	for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++) {
		OWNED_BUF signature = BUF_INIT(SIGNER_SIGNATURE_MAX);
		OWNED_BUF tbs = BUF_INIT(65536);
		struct issue_kit k;

		issue_kit_init(&k, kinds[i], "One", NOW, NOW + 86400);
		build(&k, &tbs);
		assert_int_equal(sign(&s, load(&s, &k, "One"), buf_bytes(&tbs), &signature), 0);
		assert_true(issuer_verifies(k.issuer, buf_bytes(&tbs), buf_bytes(&signature)));
		issue_kit_fini(&k);
	}
	stop_serving(&s);
}

/* What is signed in pieces, an answer and a MAC, behind the filter. */
static void signs_in_pieces_and_makes_macs(void **state)
{
	OWNED_BUF sealed = BUF_INIT(SIGNER_SEALED_MAX);
	OWNED_BUF none = BUF_INIT(SIGNER_SPKI_MAX);
	OWNED_BUF content = BUF_INIT(4096);
	OWNED_BUF answer = BUF_INIT(4096);
	OWNED_BUF signature = BUF_INIT(SIGNER_SIGNATURE_MAX);
	uint8_t mac[SIGNER_MAC_SIZE] = { 0 }, again[SIGNER_MAC_SIZE] = { 0 };
	char why[SIGNER_WHY_SIZE] = "";
	struct signer_stream *st = NULL;
	struct issue_kit k;
	struct served s;
	uint64_t key, ca;

	serve(&s, NULL, "2");
	issue_kit_init(&k, "rsa-3072", "One", NOW, NOW + 86400);
	ca = load(&s, &k, "One");
	der_write(&content, 0xa1, issuer_get_name(k.issuer));
	der_write(&content, 0x18, bytes_of_str("20260301120000Z"));
	der_write(&content, DER_SEQUENCE, bytes_of("", 0));
	assert_int_equal(der_write(&answer, DER_SEQUENCE, buf_bytes(&content)), 0);
	assert_int_equal(signer_sign_ocsp(s.signer, ca, buf_bytes(&answer), &signature, why), 0);
	assert_true(issuer_verifies(k.issuer, buf_bytes(&answer), buf_bytes(&signature)));
	buf_reset(&signature);
	assert_int_equal(signer_stream_begin(s.signer, ca, SIGNER_STREAM_OCSP, &st, why), 0);
	for (size_t i = 0; i < answer.len; i++)
		assert_int_equal(signer_stream_data(st, bytes_of(answer.ptr + i, 1), why), 0);
	assert_int_equal(signer_stream_end(st, &signature, why), 0);
	assert_true(issuer_verifies(k.issuer, buf_bytes(&answer), buf_bytes(&signature)));
	signer_stream_drop(&st);
	assert_int_equal(signer_stream_begin(s.signer, ca, SIGNER_STREAM_CRL, &st, why), 0);
	assert_int_equal(signer_stream_data(st, buf_bytes(&answer), why), SIGNER_REFUSED);
	assert_non_null(strstr(why, "elements are not those"));
	signer_stream_drop(&st);
	/* A MAC is the same in the next signer: what is sealed is the secret. */
	assert_int_equal(signer_generate(s.signer, "hmac", SIGNER_PURPOSE_MAC, "", &sealed, &none, why), 0);
	assert_int_equal(
		signer_load(s.signer, buf_bytes(&sealed), SIGNER_PURPOSE_MAC, "", bytes_of(NULL, 0), &key, why), 0);
	assert_int_equal(signer_mac(s.signer, key, bytes_of("a", 1), bytes_of("b", 1), mac, why), 0);
	assert_int_equal(
		signer_load(k.signer, buf_bytes(&sealed), SIGNER_PURPOSE_MAC, "", bytes_of(NULL, 0), &key, why), 0);
	assert_int_equal(signer_mac(k.signer, key, bytes_of("a", 1), bytes_of("b", 1), again, why), 0);
	assert_memory_equal(mac, again, sizeof(mac));
	/* A stream ends with its signer. */
	assert_int_equal(signer_stream_begin(s.signer, ca, SIGNER_STREAM_OCSP, &st, why), 0);
	child_kill(&s.process);
	assert_true(signer_stream_data(st, bytes_of(answer.ptr, 1), why) < 0);
	signer_stream_drop(&st);
	issue_kit_fini(&k);
	stop_serving(&s);
}

static void makes_keys_and_refuses_as_the_one_in_this_process(void **state)
{
	OWNED_BUF sealed = BUF_INIT(SIGNER_SEALED_MAX);
	OWNED_BUF spki = BUF_INIT(SIGNER_SPKI_MAX);
	OWNED_BUF signature = BUF_INIT(SIGNER_SIGNATURE_MAX);
	char why[SIGNER_WHY_SIZE] = "";
	struct issue_kit k;
	struct served s;
	uint64_t key;

	serve(&s, NULL, "1");
	issue_kit_init(&k, "ec-p256", "One", NOW, NOW + 86400);
	assert_int_equal(signer_generate(s.signer, "ec-p256", SIGNER_PURPOSE_CA, "One", &sealed, &spki, why), 0);
	assert_int_equal(signer_load(s.signer, buf_bytes(&sealed), SIGNER_PURPOSE_CA, "One", bytes_of(NULL, 0), &key,
				     why), 0);
	assert_int_equal(signer_load(k.signer, buf_bytes(&sealed), SIGNER_PURPOSE_CA, "One", bytes_of(NULL, 0), &key,
				     why), SIGNER_REFUSED);
	assert_non_null(strstr(why, "not made in this run"));
	assert_int_equal(signer_generate(s.signer, "dsa", SIGNER_PURPOSE_CA, "One", &sealed, &spki, why),
			 SIGNER_REFUSED);
	assert_non_null(strstr(why, "ec-p256"));
	assert_int_equal(signer_load(s.signer, buf_bytes(&k.sealed), SIGNER_PURPOSE_CA, "Two",
				     buf_bytes(&k.certificate), &key, why), SIGNER_REFUSED);
	assert_non_null(strstr(why, "does not open"));
	key = load(&s, &k, "One");
	assert_int_equal(sign(&s, key, bytes_of("\x30\x00", 2), &signature), SIGNER_REFUSED);
	assert_int_equal(sign(&s, key + 1, bytes_of("\x30\x00", 2), &signature), SIGNER_UNKNOWN_KEY);
	assert_int_equal(signer_unload(s.signer, key), 0);
	assert_int_equal(sign(&s, key, bytes_of("\x30\x00", 2), &signature), SIGNER_UNKNOWN_KEY);
	assert_int_equal(signature.len, 0);
	issue_kit_fini(&k);
	stop_serving(&s);
}

/* ---- many at once ---- */

struct load {
	pthread_t thread;
	struct served *served;
	struct issue_kit *kit;
	uint64_t key;
	struct bytes tbs;
	unsigned n, signed_well;
};

static void *sign_often(void *arg)
{
	struct load *l = arg;

	for (unsigned i = 0; i < l->n; i++) {
		OWNED_BUF signature = BUF_INIT(SIGNER_SIGNATURE_MAX);

		if (sign(l->served, l->key, l->tbs, &signature) == 0)
			l->signed_well += issuer_verifies(l->kit->issuer, l->tbs, buf_bytes(&signature));
	}
	return NULL;
}

static void four_threads_sign_a_thousand_each_behind_the_filter(void **state)
{
	OWNED_BUF tbs = BUF_INIT(65536);
	struct load loads[4];
	struct issue_kit k;
	struct served s;
	int64_t start_ms;
	uint64_t key;

	serve(&s, NULL, "4");
	issue_kit_init(&k, "ec-p256", "One", NOW, NOW + 86400);
	build(&k, &tbs);
	key = load(&s, &k, "One");
	start_ms = clock_mono_ms();
	for (size_t i = 0; i < 4; i++) {
		loads[i] = (struct load){ .served = &s, .kit = &k, .key = key, .tbs = buf_bytes(&tbs), .n = 1000 };
		assert_int_equal(pthread_create(&loads[i].thread, NULL, sign_often, &loads[i]), 0);
	}
	for (size_t i = 0; i < 4; i++) {
		pthread_join(loads[i].thread, NULL);
		assert_int_equal(loads[i].signed_well, 1000);
	}
	print_message("4000 signatures, made and verified, in %lld ms\n", (long long)(clock_mono_ms() - start_ms));
	issue_kit_fini(&k);
	stop_serving(&s);
}

/* ---- stopped, killed, left alone ---- */

/* The kernel goes on with a wait that was interrupted by a system call of its own. */
static void serves_on_after_it_was_stopped_for_ten_seconds(void **state)
{
	OWNED_BUF signature = BUF_INIT(SIGNER_SIGNATURE_MAX);
	OWNED_BUF tbs = BUF_INIT(65536);
	struct issue_kit k;
	struct served s;
	uint64_t key;

	serve(&s, NULL, NULL);
	issue_kit_init(&k, "ec-p256", "One", NOW, NOW + 86400);
	build(&k, &tbs);
	key = load(&s, &k, "One");
	assert_int_equal(kill(s.process.pid, SIGSTOP), 0);
	assert_int_equal(waitpid(s.process.pid, NULL, WUNTRACED), s.process.pid);
	assert_int_equal(sign(&s, key, buf_bytes(&tbs), &signature), -ETIME);
	usleep(8000000);
	assert_int_equal(kill(s.process.pid, SIGCONT), 0);
	assert_int_equal(sign(&s, key, buf_bytes(&tbs), &signature), 0);
	issue_kit_fini(&k);
	stop_serving(&s);
}

static void a_key_of_the_signer_before_is_unknown_to_the_next(void **state)
{
	OWNED_BUF signature = BUF_INIT(SIGNER_SIGNATURE_MAX);
	OWNED_BUF tbs = BUF_INIT(65536);
	struct child next;
	struct issue_kit k;
	struct served s;
	uint64_t key;

	serve(&s, NULL, NULL);
	issue_kit_init(&k, "ec-p256", "One", NOW, NOW + 86400);
	build(&k, &tbs);
	key = load(&s, &k, "One");
	child_kill(&s.process);
	assert_int_equal(sign(&s, key, buf_bytes(&tbs), &signature), -ENOTCONN);
	signer_process_start(&next, &(struct signer_process_options){
		.kek = bytes_of(issue_kit_kek, SIGNER_KEK_SIZE) });
	link_attach(s.link, next.link);
	next.link = -1;
	s.process = next;
	assert_int_equal(sign(&s, key, buf_bytes(&tbs), &signature), SIGNER_UNKNOWN_KEY);
	assert_int_equal(sign(&s, load(&s, &k, "One"), buf_bytes(&tbs), &signature), 0);
	issue_kit_fini(&k);
	stop_serving(&s);
}

static void ends_with_its_link_with_its_supervisor_and_when_told(void **state)
{
	const struct signer_process_options options = { .kek = bytes_of(issue_kit_kek, SIGNER_KEK_SIZE) };
	struct child p;

	signer_process_start(&p, &options);
	close(p.link);
	p.link = -1;
	assert_int_equal(child_wait(&p), 0);
	signer_process_start(&p, &options);
	shutdown(p.channel, SHUT_RDWR);
	assert_int_equal(child_wait(&p), 0);
	signer_process_start(&p, &options);
	/* Signals of a terminal are not for it. */
	kill(p.pid, SIGTERM);
	kill(p.pid, SIGINT);
	control_send(p.channel, "unheard", "of", -1);
	control_send(p.channel, "stop", NULL, -1);
	assert_int_equal(child_wait(&p), 0);
}

static void garbage_on_its_link_ends_it(void **state)
{
	static const char *const garbage[] = { "\xff\xff\xff\xff", "\0\0\0\2\x08\1", "\0\0\0\3\x08\1\x80" };

	for (size_t i = 0; i < sizeof(garbage) / sizeof(*garbage); i++) {
		struct child p;

		signer_process_start(&p, &(struct signer_process_options){
			.kek = bytes_of(issue_kit_kek, SIGNER_KEK_SIZE) });
		assert_true(send(p.link, garbage[i], i == 0 ? 4 : i == 1 ? 6 : 7, MSG_NOSIGNAL) > 0);
		assert_int_equal(child_wait(&p), 0);
	}
}

static void does_not_start_without_key_or_link_and_says_why(void **state)
{
	static const struct {
		struct signer_process_options options;
		const char *why;
	} rows[] = {
		{ { .has_no_link = true, .kek = { issue_kit_kek, SIGNER_KEK_SIZE } }, "no connection" },
		{ { .threads = "2" }, "no key-encryption key" },
		{ { .kek = { issue_kit_kek, 31 } }, "not understood" },
		{ { .kek = { issue_kit_kek, SIGNER_KEK_SIZE }, .threads = "1000" }, "not understood" },
		{ { .kek = { issue_kit_kek, SIGNER_KEK_SIZE }, .user = "0 0" }, "not understood" },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct control_message m;
		struct child p;

		signer_process_spawn(&p, &rows[i].options);
		control_send(p.channel, "go", NULL, -1);
		assert_int_equal(control_receive(p.channel, &m, true), 0);
		assert_string_equal(m.word, "failed");
		assert_non_null(strstr(m.text, rows[i].why));
		assert_int_equal(child_wait(&p), CONTROL_EXIT_FAILED);
	}
}

static void started_by_hand_it_says_who_starts_it(void **state)
{
	char said[256];

	assert_int_equal(child_run_by_hand(getenv("GATEHOUSE_SIGNER"), said, sizeof(said)), 2);
	assert_non_null(strstr(said, "gatehouse-signer is started by gatehoused"));
}

/* ---- what it is behind its walls ---- */

static long hard_limit(pid_t pid, const char *name)
{
	char path[64], line[512];
	long soft, hard = -1;
	FILE *limits;

	snprintf(path, sizeof(path), "/proc/%d/limits", (int)pid);
	limits = fopen(path, "re");
	assert_non_null(limits);
	while (fgets(line, sizeof(line), limits))
		if (strncmp(line, name, strlen(name)) == 0)
			assert_int_equal(sscanf(line + strlen(name), "%ld %ld", &soft, &hard), 2);
	fclose(limits);
	return hard;
}

static void is_closed_in(void **state)
{
	struct served s;
	pid_t pid;

	if (geteuid() != 0)
		skip();
	serve(&s, NOBODY, "2");
	pid = s.process.pid;
	assert_int_equal(signer_process_status(pid, "NoNewPrivs"), 1);
	assert_int_equal(signer_process_status(pid, "Seccomp"), 2);
	assert_int_equal(signer_process_status(pid, "Seccomp_filters"), 1);
	assert_int_equal(signer_process_status(pid, "Uid"), 65534);
	assert_int_equal(signer_process_status(pid, "Gid"), 65534);
	assert_int_equal(signer_process_status(pid, "CapPrm"), 0);
	assert_int_equal(hard_limit(pid, "Max core file size"), 0);
	assert_int_equal(hard_limit(pid, "Max processes"), 0);
	assert_int_equal(hard_limit(pid, "Max open files"), 16);
	stop_serving(&s);
}

/* Its own user, without capabilities, as a gateway that was taken over would be. */
static void nobody_of_its_user_reads_its_memory(void **state)
{
	struct served s;
	int status;
	pid_t pid;

	if (geteuid() != 0 || !is_plain())
		skip();
	serve(&s, NOBODY, "1");
	fflush(NULL);
	pid = fork();
	if (pid == 0) {
		char path[64];

		snprintf(path, sizeof(path), "/proc/%d/mem", (int)s.process.pid);
		if (setresgid(65534, 65534, 65534) || setresuid(65534, 65534, 65534))
			_exit(3);
		if (kill(s.process.pid, 0))
			_exit(4); /* it would be somebody else's */
		_exit(open(path, O_RDONLY | O_CLOEXEC) >= 0 ? 1 : errno == EACCES || errno == EPERM ? 0 : 2);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(WEXITSTATUS(status), 0);
	stop_serving(&s);
}

static void has_no_library_that_speaks_to_a_network(void **state)
{
	static const char *const foreign[] = { "curl", "libssl", "sqlite", "libuv", "unbound", "yaml", "nghttp2",
					       "idn2" };
	struct served s;
	char path[64], line[512];
	unsigned crypto = 0;
	FILE *maps;

	serve(&s, NULL, "1");
	snprintf(path, sizeof(path), "/proc/%d/maps", (int)s.process.pid);
	maps = fopen(path, "re");
	assert_non_null(maps);
	while (fgets(line, sizeof(line), maps)) {
		crypto += strstr(line, "libcrypto") != NULL;
		for (size_t i = 0; i < sizeof(foreign) / sizeof(*foreign); i++)
			assert_null(strstr(line, foreign[i]));
	}
	assert_true(crypto > 0);
	fclose(maps);
	stop_serving(&s);
}

/* False: this machine does not let the test set such a limit. */
static bool memory_is(rlim_t limit, enum signer_memory expected)
{
	/* KiB */
	static const long locked_least[] = { [SIGNER_MEMORY_KEYS] = 256, [SIGNER_MEMORY_ALL] = 4096,
					     [SIGNER_MEMORY_NONE] = 0 };
	static const long locked_most[] = { [SIGNER_MEMORY_KEYS] = 3072, [SIGNER_MEMORY_ALL] = 32 * 1024,
					    [SIGNER_MEMORY_NONE] = 16 };
	struct rlimit before;
	enum signer_memory memory;
	struct served s;
	long locked;

	assert_int_equal(getrlimit(RLIMIT_MEMLOCK, &before), 0);
	if (setrlimit(RLIMIT_MEMLOCK, &(struct rlimit){ limit, limit }))
		return false;
	serve(&s, NOBODY, "4");
	setrlimit(RLIMIT_MEMLOCK, &(struct rlimit){ before.rlim_cur, before.rlim_max });
	assert_int_equal(signer_ask_memory(s.signer, &memory), 0);
	assert_int_equal(memory, expected);
	locked = signer_process_status(s.process.pid, "VmLck");
	print_message("limit %llu KiB: %ld KiB of %ld KiB locked\n", (unsigned long long)limit / 1024, locked,
		      signer_process_status(s.process.pid, "VmSize"));
	if (is_plain()) {
		assert_in_range(locked, locked_least[expected], locked_most[expected]);
	}
	stop_serving(&s);
	return true;
}

static void locks_the_buffers_of_keys_in_any_case(void **state)
{
	struct rlimit limit;

	assert_int_equal(getrlimit(RLIMIT_MEMLOCK, &limit), 0);
	if (geteuid() != 0 || limit.rlim_max >= (rlim_t)32 << 20)
		skip();
	assert_true(memory_is(limit.rlim_max, SIGNER_MEMORY_KEYS));
}

static void says_so_where_it_may_lock_nothing(void **state)
{
	if (geteuid() != 0)
		skip();
	assert_true(memory_is(16384, SIGNER_MEMORY_NONE));
}

static void locks_all_its_memory_where_it_may(void **state)
{
	if (geteuid() != 0 || !memory_is((rlim_t)64 << 20, SIGNER_MEMORY_ALL))
		skip();
}

/* ---- where the private key is, and where it is not ---- */

/* The scalar of a sealed EC key, as a number of 32 octets in the order of this machine's words. */
static void read_scalar(struct bytes sealed, uint8_t big[static 32], uint8_t little[static 32])
{
	uint8_t secret[SIGNER_SEALED_MAX];
	OWNED_BUF bound = BUF_INIT(256);
	size_t n;
	PKCS8_PRIV_KEY_INFO *info;
	const uint8_t *p;
	EVP_PKEY *pkey;
	BIGNUM *d = NULL;

	buf_printf(&bound, "gatehouse key, purpose 1, CA One");
	assert_int_equal(seal_open(issue_kit_kek, buf_bytes(&bound), sealed, secret, &n), 0);
	p = secret;
	info = d2i_PKCS8_PRIV_KEY_INFO(NULL, &p, (long)n);
	pkey = EVP_PKCS82PKEY(info);
	assert_int_equal(EVP_PKEY_get_bn_param(pkey, OSSL_PKEY_PARAM_PRIV_KEY, &d), 1);
	assert_int_equal(BN_bn2binpad(d, big, 32), 32);
	assert_int_equal(BN_bn2lebinpad(d, little, 32), 32);
	BN_clear_free(d);
	EVP_PKEY_free(pkey);
	PKCS8_PRIV_KEY_INFO_free(info);
}

/* What the core does with a key: has it made, stores it, loads it, has things signed. Then it waits to be searched.
 */
static void play_core(int link_fd, int out, int gate)
{
	OWNED_BUF sealed = BUF_INIT(SIGNER_SEALED_MAX);
	OWNED_BUF spki = BUF_INIT(SIGNER_SPKI_MAX);
	OWNED_BUF signature = BUF_INIT(SIGNER_SIGNATURE_MAX);
	OWNED_BUF tbs = BUF_INIT(65536);
	uint8_t serial[SERIAL_SIZE];
	char why[SIGNER_WHY_SIZE], reason[CA_REASON_SIZE];
	struct signer *s;
	struct link *link;
	uint64_t key;
	char octet;

	if (link_new(&link, &(struct link_options){ .window = SIGNER_WINDOW }))
		_exit(10);
	link_attach(link, link_fd);
	if (signer_connect(&s, link) ||
	    signer_generate(s, "ec-p256", SIGNER_PURPOSE_CA, "One", &sealed, &spki, why) ||
	    signer_load(s, buf_bytes(&sealed), SIGNER_PURPOSE_CA, "One", bytes_of(NULL, 0), &key, why) ||
	    issue_serial(NOW * 1000, serial) ||
	    issue_build_root(buf_bytes(&spki), "One", NULL, NOW, NOW + 86400, serial, 0, &tbs, reason) ||
	    signer_sign_certificate(s, key, buf_bytes(&tbs), &signature, why))
		_exit(11);
	if (write(out, sealed.ptr, sealed.len) != (ssize_t)sealed.len || read(gate, &octet, 1) != 1)
		_exit(12);
	_exit(0);
}

static void the_private_key_is_in_the_signer_and_nowhere_else(void **state)
{
	uint8_t sealed[SIGNER_SEALED_MAX], big[32], little[32];
	struct child p;
	int out[2], gate[2], status;
	unsigned inside;
	ssize_t n;
	pid_t core;

	if (geteuid() != 0 || !is_plain())
		skip();
	signer_process_start(&p, &(struct signer_process_options){ .kek = bytes_of(issue_kit_kek, SIGNER_KEK_SIZE) });
	assert_int_equal(pipe(out), 0);
	assert_int_equal(pipe(gate), 0);
	fflush(NULL);
	core = fork();
	if (core == 0)
		play_core(p.link, out[1], gate[0]);
	n = read(out[0], sealed, sizeof(sealed));
	assert_true(n > 0);
	read_scalar(bytes_of(sealed, (size_t)n), big, little);
	/* The sealed blob proves that the search finds what is there. */
	assert_true(signer_process_count(core, bytes_of(sealed, (size_t)n)) > 0);
	assert_int_equal(signer_process_count(core, bytes_of(big, 32)), 0);
	assert_int_equal(signer_process_count(core, bytes_of(little, 32)), 0);
	inside = signer_process_count(p.pid, bytes_of(little, 32)) + signer_process_count(p.pid, bytes_of(big, 32));
	print_message("the key stands %u times in the signer\n", inside);
	assert_true(inside > 0);
	assert_int_equal(write(gate[1], "x", 1), 1);
	assert_int_equal(waitpid(core, &status, 0), core);
	assert_int_equal(WEXITSTATUS(status), 0);
	for (size_t i = 0; i < 2; i++) {
		close(out[i]);
		close(gate[i]);
	}
	child_kill(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(signs_with_keys_of_every_kind),
		cmocka_unit_test(signs_in_pieces_and_makes_macs),
		cmocka_unit_test(makes_keys_and_refuses_as_the_one_in_this_process),
		cmocka_unit_test(four_threads_sign_a_thousand_each_behind_the_filter),
		cmocka_unit_test(serves_on_after_it_was_stopped_for_ten_seconds),
		cmocka_unit_test(a_key_of_the_signer_before_is_unknown_to_the_next),
		cmocka_unit_test(ends_with_its_link_with_its_supervisor_and_when_told),
		cmocka_unit_test(garbage_on_its_link_ends_it),
		cmocka_unit_test(does_not_start_without_key_or_link_and_says_why),
		cmocka_unit_test(started_by_hand_it_says_who_starts_it),
		cmocka_unit_test(is_closed_in),
		cmocka_unit_test(nobody_of_its_user_reads_its_memory),
		cmocka_unit_test(has_no_library_that_speaks_to_a_network),
		cmocka_unit_test(locks_the_buffers_of_keys_in_any_case),
		cmocka_unit_test(says_so_where_it_may_lock_nothing),
		cmocka_unit_test(locks_all_its_memory_where_it_may),
		cmocka_unit_test(the_private_key_is_in_the_signer_and_nowhere_else),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
