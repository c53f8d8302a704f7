/* core/remote.c: what becomes of each word by which a core ends a call. The test plays the core.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tests/test.h"

#include <errno.h>
#include <sys/socket.h>

#include "core/base/arena.h"
#include "core/base/own.h"
#include "core/message.h"
#include "core/remote.h"
#include "core/wire/server.h"

static _Atomic int word; /* how calls end */

static int greet(void *peer, struct bytes octets, struct buf *reply)
{
	Gatehouse__Core__HelloReply hello = GATEHOUSE__CORE__HELLO_REPLY__INIT;
	Gatehouse__Core__Message m = GATEHOUSE__CORE__MESSAGE__INIT;

	hello.version = CORE_VERSION;
	hello.window = CORE_WINDOW;
	m.what_case = GATEHOUSE__CORE__MESSAGE__WHAT_HELLO_REPLY;
	m.hello_reply = &hello;
	return message_pack(&m, reply);
}

/* About a CA all of its words are of one message, about a list of another. */
static int answer(void *peer, struct bytes octets, struct buf *reply)
{
	Gatehouse__Core__Ca ca = GATEHOUSE__CORE__CA__INIT;
	Gatehouse__Core__Crl crl = GATEHOUSE__CORE__CRL__INIT;
	Gatehouse__Core__Message m = GATEHOUSE__CORE__MESSAGE__INIT;
	OWNED(arena) arena = NULL;
	const Gatehouse__Core__Message *asked;

	assert_int_equal(arena_new(&arena, MESSAGE_ARENA_MAX), 0);
	asked = message_unpack(arena, octets);
	assert_non_null(asked);
	ca.name = (char *)(uintptr_t)"Played";
	ca.call = crl.call = (Gatehouse__Core__Call)word;
	ca.chain.data = crl.octets.data = (uint8_t *)(uintptr_t)"chain";
	ca.chain.len = crl.octets.len = crl.size = 5;
	if (asked->what_case == GATEHOUSE__CORE__MESSAGE__WHAT_LOCATE)
		ca.call = GATEHOUSE__CORE__CALL__CALL_OK;
	m.what_case = asked->what_case == GATEHOUSE__CORE__MESSAGE__WHAT_GET_CRL ?
			      GATEHOUSE__CORE__MESSAGE__WHAT_CRL : GATEHOUSE__CORE__MESSAGE__WHAT_CA;
	if (m.what_case == GATEHOUSE__CORE__MESSAGE__WHAT_CRL)
		m.crl = &crl;
	else
		m.ca = &ca;
	return message_pack(&m, reply);
}

static struct pool *pool;
static struct wire_server *server;
static struct remote *remote;
static struct ca_door *door;

static int set_up(void **unused)
{
	static const struct pool_options threads = { .threads = 2 };
	struct wire_server_options options = { .name = "played", .window = CORE_WINDOW, .greet = greet,
					       .answer = answer };
	int ends[2];

	assert_int_equal(pool_new(&pool, &threads), 0);
	options.pool = pool;
	assert_int_equal(wire_server_new(&server, &options), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
	assert_int_equal(wire_server_add(server, ends[0], NULL), 0);
	assert_int_equal(remote_new(&remote, NULL, NULL, NULL), 0);
	remote_attach(remote, ends[1]);
	return remote_locate(remote, &door, "Played");
}

static int tear_down(void **unused)
{
	door->calls->drop(door);
	remote_drop(&remote);
	wire_server_drop(&server);
	pool_drop(&pool);
	return 0;
}

/* Nobody may take a core that cannot say it now for one that knows no such key. */
static void a_core_that_fails_has_not_said_that_there_is_nothing(void **unused)
{
	static const struct {
		int word, result;
	} cases[] = {
		{ GATEHOUSE__CORE__CALL__CALL_OK, 0 },
		{ GATEHOUSE__CORE__CALL__CALL_BUSY, CA_CALL_BUSY },
		{ GATEHOUSE__CORE__CALL__CALL_NOT_FOUND, CA_CALL_NOT_FOUND },
		{ GATEHOUSE__CORE__CALL__CALL_FAILED, -EIO },
		{ GATEHOUSE__CORE__CALL__CALL_REFUSED, -EBADMSG },
		{ 99, -EBADMSG },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		OWNED_BUF out = BUF_INIT(64);
		struct ca_crl info;

		word = cases[i].word;
		assert_int_equal(door->calls->get_key_chain(door, 3, &out), cases[i].result);
		assert_int_equal(out.len, cases[i].result ? 0 : 5);
		buf_reset(&out);
		assert_int_equal(door->calls->get_crl(door, 3, 0, 0, 0, &out, &info), cases[i].result);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_core_that_fails_has_not_said_that_there_is_nothing, set_up,
						tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
