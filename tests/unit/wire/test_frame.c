/* Messages on a stream, however it is cut into pieces.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tests/test.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/wire/frame.h"

static void make_pair(int ends[2])
{
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
}

static void put(int fd, const void *octets, size_t n)
{
	assert_int_equal(send(fd, octets, n, MSG_NOSIGNAL), n);
}

/* Three messages, one with an id of every length that matters. */
static void fill(struct buf *stream)
{
	static const uint64_t ids[] = { 0, 1, 127, 128, 1u << 14, UINT64_C(1) << 63 };
	struct frame_out out = FRAME_OUT_INIT(4096);

	for (size_t i = 0; i < sizeof(ids) / sizeof(*ids); i++)
		assert_int_equal(frame_out_add(&out, ids[i], bytes_of("\x12\x02hi", 4)), 0);
	assert_int_equal(buf_append(stream, buf_bytes(&out.octets)), 0);
	frame_out_fini(&out);
}

static unsigned take_all(struct frame_in *in, uint64_t *ids)
{
	struct bytes message;
	unsigned n = 0;
	int e;

	while ((e = frame_in_take(in, &message)) == 0) {
		assert_int_equal(frame_id(message, &ids[n++]), 0);
		assert_memory_equal(message.ptr + message.len - 4, "\x12\x02hi", 4);
	}
	assert_int_equal(e, FRAME_MORE);
	return n;
}

static void a_stream_cut_at_any_octet_gives_the_same_messages(void **state)
{
	OWNED_BUF stream = BUF_INIT(4096);

	fill(&stream);
	for (size_t cut = 0; cut <= stream.len; cut++) {
		struct frame_in in = FRAME_IN_INIT;
		uint64_t ids[8];
		unsigned n = 0;
		int ends[2];

		make_pair(ends);
		if (cut) {
			put(ends[1], stream.ptr, cut);
			assert_int_equal(frame_in_fill(&in, ends[0]), 0);
		}
		n += take_all(&in, ids);
		assert_int_equal(frame_in_fill(&in, ends[0]), FRAME_MORE);
		if (cut < stream.len) {
			put(ends[1], stream.ptr + cut, stream.len - cut);
			assert_int_equal(frame_in_fill(&in, ends[0]), 0);
		}
		n += take_all(&in, ids + n);
		assert_int_equal(n, 6);
		assert_true(ids[0] == 0 && ids[1] == 1 && ids[3] == 128 && ids[5] == UINT64_C(1) << 63);
		close(ends[1]);
		assert_int_equal(frame_in_fill(&in, ends[0]), -EPIPE);
		close(ends[0]);
		frame_in_fini(&in);
	}
}

/* One octet after the other, and the blocking reader beside it. */
static void octet_by_octet(void **state)
{
	struct frame_in in = FRAME_IN_INIT;
	OWNED_BUF stream = BUF_INIT(4096);
	uint64_t ids[8];
	unsigned n = 0;
	int ends[2];

	fill(&stream);
	make_pair(ends);
	for (size_t i = 0; i < stream.len; i++) {
		put(ends[1], stream.ptr + i, 1);
		assert_int_equal(frame_in_fill(&in, ends[0]), 0);
		n += take_all(&in, ids + n);
	}
	assert_int_equal(n, 6);
	assert_int_equal(ids[5], UINT64_C(1) << 63);
	close(ends[0]);
	close(ends[1]);
	frame_in_fini(&in);
}

static void refuses_a_length_of_zero_and_one_too_many(void **state)
{
	static const struct {
		const char *head;
		int answer;
	} heads[] = {
		{ "\x00\x00\x00\x00", -EMSGSIZE }, { "\x00\x04\x00\x01", -EMSGSIZE }, { "\xff\xff\xff\xff", -EMSGSIZE },
		{ "\x00\x04\x00\x00", FRAME_MORE }, { "\x00\x00\x00\x01", FRAME_MORE },
	};

	for (size_t i = 0; i < sizeof(heads) / sizeof(*heads); i++) {
		struct frame_in in = FRAME_IN_INIT;
		OWNED_BUF whole = BUF_INIT(FRAME_MAX);
		struct bytes message;
		int ends[2];

		make_pair(ends);
		put(ends[1], heads[i].head, 4);
		assert_int_equal(frame_in_fill(&in, ends[0]), 0);
		assert_int_equal(frame_in_take(&in, &message), heads[i].answer);
		put(ends[1], heads[i].head, 4);
		shutdown(ends[1], SHUT_WR);
		assert_int_equal(frame_read(ends[0], &whole), heads[i].answer == FRAME_MORE ? -EPIPE : -EMSGSIZE);
		close(ends[0]);
		close(ends[1]);
		frame_in_fini(&in);
	}
}

static void the_largest_message_passes_and_no_larger_one(void **state)
{
	uint8_t *large = calloc(1, FRAME_MAX + 1);
	struct frame_out out = FRAME_OUT_INIT(2 * FRAME_MAX);
	struct frame_in in = FRAME_IN_INIT;
	OWNED_BUF whole = BUF_INIT(FRAME_MAX);
	struct bytes message = { NULL, 0 };
	int ends[2], e = FRAME_MORE;

	assert_non_null(large);
	memset(large, 0x5a, FRAME_MAX);
	make_pair(ends);
	assert_int_equal(frame_out_add(&out, 0, bytes_of(large, FRAME_MAX + 1)), -EMSGSIZE);
	assert_int_equal(frame_out_add(&out, 1, bytes_of(large, FRAME_MAX - 1)), -EMSGSIZE);
	assert_int_equal(frame_out_add(&out, 0, bytes_of(NULL, 0)), -EMSGSIZE);
	assert_int_equal(frame_write(ends[1], bytes_of(large, FRAME_MAX + 1)), -EMSGSIZE);
	assert_true(frame_out_is_empty(&out));
	/* What was refused does not stand in the way. */
	assert_int_equal(frame_out_add(&out, 1, bytes_of(large, FRAME_MAX - 2)), 0);
	while (e == FRAME_MORE) {
		assert_true(frame_out_flush(&out, ends[1]) >= 0);
		assert_true(frame_in_fill(&in, ends[0]) >= 0);
		e = frame_in_take(&in, &message);
	}
	assert_int_equal(e, 0);
	assert_int_equal(message.len, FRAME_MAX);
	assert_memory_equal(message.ptr + 2, large, FRAME_MAX - 2);
	close(ends[0]);
	close(ends[1]);
	frame_in_fini(&in);
	frame_out_fini(&out);
	free(large);
}

static void what_the_stream_does_not_take_waits_in_its_order(void **state)
{
	struct frame_out out = FRAME_OUT_INIT(1u << 20);
	struct frame_in in = FRAME_IN_INIT;
	uint8_t octets[1000] = { 0x12, 0xe5, 0x07 };
	uint64_t sent = 0, got = 0, id;
	struct bytes message;
	int ends[2], e = 0;

	make_pair(ends);
	while (e == 0 || e == FRAME_MORE) {
		e = frame_out_add(&out, ++sent, bytes_of(octets, sizeof(octets)));
		if (e == 0)
			e = frame_out_flush(&out, ends[1]);
	}
	assert_int_equal(e, -EMSGSIZE);
	sent--;
	while (got < sent) {
		assert_true(frame_in_fill(&in, ends[0]) >= 0);
		while (frame_in_take(&in, &message) == 0) {
			assert_int_equal(frame_id(message, &id), 0);
			assert_int_equal(id, ++got);
		}
		assert_true(frame_out_flush(&out, ends[1]) >= 0);
	}
	assert_true(frame_out_is_empty(&out));
	close(ends[0]);
	assert_int_equal(frame_out_add(&out, 1, bytes_of(octets, 8)), -EMSGSIZE); /* failed once, fails for good */
	close(ends[1]);
	frame_in_fini(&in);
	frame_out_fini(&out);
}

static void a_stream_that_is_closed_takes_nothing(void **state)
{
	struct frame_out out = FRAME_OUT_INIT(4096);
	int ends[2];

	make_pair(ends);
	close(ends[0]);
	assert_int_equal(frame_out_add(&out, 1, bytes_of("\x12\x00", 2)), 0);
	assert_int_equal(frame_out_flush(&out, ends[1]), -EPIPE);
	assert_int_equal(frame_write(ends[1], bytes_of("\x12\x00", 2)), -EPIPE);
	close(ends[1]);
	frame_out_fini(&out);
}

static void finds_the_id_behind_other_fields_and_refuses_what_is_no_field(void **state)
{
	static const struct {
		const char *octets;
		size_t len;
		int answer;
		uint64_t id;
	} rows[] = {
		{ "", 0, 0, 0 },
		{ "\x08\x05", 2, 0, 5 },
		{ "\x12\x01x\x08\x07", 5, 0, 7 },
		{ "\x10\x01\x08\x07", 4, 0, 7 },
		{ "\x15" "abcd" "\x08\x07", 7, 0, 7 },
		{ "\x11" "abcdefgh" "\x08\x07", 11, 0, 7 },
		{ "\x12\x02hi", 4, 0, 0 },
		{ "\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 11, 0, UINT64_MAX },
		{ "\x08", 1, -EBADMSG, 0 },
		{ "\x08\x80", 2, -EBADMSG, 0 },
		{ "\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 12, -EBADMSG, 0 },
		{ "\x0a\x01x", 3, -EBADMSG, 0 }, /* field 1, but no number */
		{ "\x12\x05hi", 4, -EBADMSG, 0 },
		{ "\x12\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 11, -EBADMSG, 0 },
		{ "\x15" "abc", 4, -EBADMSG, 0 },
		{ "\x13\x14", 2, -EBADMSG, 0 }, /* groups */
		{ "\x16", 1, -EBADMSG, 0 },
		{ "\x80", 1, -EBADMSG, 0 },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		uint8_t *copy = malloc(rows[i].len + 1);
		uint64_t id = 99;

		assert_non_null(copy);
		memcpy(copy, rows[i].octets, rows[i].len);
		assert_int_equal(frame_id(bytes_of(copy, rows[i].len), &id), rows[i].answer);
		assert_int_equal(id, rows[i].id);
		free(copy);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_stream_cut_at_any_octet_gives_the_same_messages),
		cmocka_unit_test(octet_by_octet),
		cmocka_unit_test(refuses_a_length_of_zero_and_one_too_many),
		cmocka_unit_test(the_largest_message_passes_and_no_larger_one),
		cmocka_unit_test(what_the_stream_does_not_take_waits_in_its_order),
		cmocka_unit_test(a_stream_that_is_closed_takes_nothing),
		cmocka_unit_test(finds_the_id_behind_other_fields_and_refuses_what_is_no_field),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
