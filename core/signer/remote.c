/* The signer in another process, as the core calls it.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "core/signer/signer_int.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include <openssl/crypto.h>

#include "core/base/clock.h"
#include "core/wire/frame.h"
#include "core/wire/link.h"
#include "signer.pb-c.h"

/* Whoever waits for a certificate is told after 2 s that the signer is away. Only making an RSA key takes longer than
 * the 5 s of all others. */
#define SIGN_MS 2000
#define STATUS_MS 1000
#define LOAD_MS 5000
#define GENERATE_MS 60000

typedef Gatehouse__Signer__Call Call;
typedef Gatehouse__Signer__Answer Answer;

struct remote {
	struct signer face;
	struct link *link;
};

static ProtobufCBinaryData data_of(struct bytes octets)
{
	return (ProtobufCBinaryData){ .len = octets.len, .data = (uint8_t *)octets.ptr };
}

/* After a connection broke nobody knows what became of the call. Each of ours may be done twice: a key that is loaded
 * or made again is one more, and of two signatures over the same octets only one is ever stored. */
static int call_until_answered(struct link *link, struct bytes message, unsigned wait_ms, struct buf *reply)
{
	int64_t until_ms = clock_mono_ms() + wait_ms, left_ms = wait_ms;
	int e = -ECONNRESET;

	while (e == -ECONNRESET && left_ms > 0) {
		e = link_call(link, message, (unsigned)left_ms, reply);
		left_ms = until_ms - clock_mono_ms();
	}
	return e;
}

/* 0 with an answer that says so (free it), or the outcome. */
static int ask(struct signer *s, const Call *call, unsigned wait_ms, Answer **out, char *why)
{
	OWNED_BUF message = BUF_INIT(FRAME_MAX);
	OWNED_BUF reply = BUF_INIT(FRAME_MAX);
	uint8_t *room = buf_room(&message, gatehouse__signer__call__get_packed_size(call));
	Answer *answer;
	int e;

	if (!room)
		return buf_status(&message);
	buf_added(&message, gatehouse__signer__call__pack(call, room));
	e = call_until_answered(((struct remote *)s)->link, buf_bytes(&message), wait_ms, &reply);
	if (e)
		return e;
	answer = gatehouse__signer__answer__unpack(NULL, reply.len, reply.ptr);
	if (!answer)
		return -EBADMSG;
	e = answer->outcome <= SIGNER_UNKNOWN_KEY ? (int)answer->outcome : -EIO;
	if (!e) {
		*out = answer;
		return 0;
	}
	if (why)
		snprintf(why, SIGNER_WHY_SIZE, "%s", answer->why);
	gatehouse__signer__answer__free_unpacked(answer, NULL);
	return e;
}

static int remote_generate(struct signer *s, const char *type, enum signer_purpose purpose, const char *ca,
			   struct buf *sealed, struct buf *spki, char why[static SIGNER_WHY_SIZE])
{
	Gatehouse__Signer__Generate generate = GATEHOUSE__SIGNER__GENERATE__INIT;
	Call call = GATEHOUSE__SIGNER__CALL__INIT;
	Answer *answer;
	int e;

	generate.type = (char *)type;
	generate.purpose = (uint32_t)purpose;
	generate.ca = (char *)ca;
	call.what_case = GATEHOUSE__SIGNER__CALL__WHAT_GENERATE;
	call.generate = &generate;
	e = ask(s, &call, GENERATE_MS, &answer, why);
	if (e)
		return e;
	e = buf_append(sealed, bytes_of(answer->sealed.data, answer->sealed.len));
	if (!e)
		e = buf_append(spki, bytes_of(answer->spki.data, answer->spki.len));
	gatehouse__signer__answer__free_unpacked(answer, NULL);
	return e;
}

static int remote_load(struct signer *s, struct bytes sealed, enum signer_purpose purpose, const char *ca,
		       struct bytes certificates, uint64_t *key, char why[static SIGNER_WHY_SIZE])
{
	Gatehouse__Signer__Load load = GATEHOUSE__SIGNER__LOAD__INIT;
	Call call = GATEHOUSE__SIGNER__CALL__INIT;
	Answer *answer;
	int e;

	load.sealed = data_of(sealed);
	load.purpose = (uint32_t)purpose;
	load.ca = (char *)ca;
	load.certificates = data_of(certificates);
	call.what_case = GATEHOUSE__SIGNER__CALL__WHAT_LOAD;
	call.load = &load;
	e = ask(s, &call, LOAD_MS, &answer, why);
	if (e)
		return e;
	*key = answer->key;
	gatehouse__signer__answer__free_unpacked(answer, NULL);
	return 0;
}

static int remote_unload(struct signer *s, uint64_t key)
{
	Gatehouse__Signer__Unload unload = GATEHOUSE__SIGNER__UNLOAD__INIT;
	Call call = GATEHOUSE__SIGNER__CALL__INIT;
	Answer *answer;
	int e;

	unload.key = key;
	call.what_case = GATEHOUSE__SIGNER__CALL__WHAT_UNLOAD;
	call.unload = &unload;
	e = ask(s, &call, STATUS_MS, &answer, NULL);
	if (!e)
		gatehouse__signer__answer__free_unpacked(answer, NULL);
	return e;
}

/* A call whose answer is a signature. */
static int ask_signature(struct signer *s, const Call *call, struct buf *signature, char *why)
{
	Answer *answer;
	int e = ask(s, call, SIGN_MS, &answer, why);

	if (e)
		return e;
	e = buf_append(signature, bytes_of(answer->signature.data, answer->signature.len));
	gatehouse__signer__answer__free_unpacked(answer, NULL);
	return e;
}

static int remote_sign_certificate(struct signer *s, uint64_t key, struct bytes tbs, struct buf *signature,
				   char why[static SIGNER_WHY_SIZE])
{
	Gatehouse__Signer__SignCertificate sign = GATEHOUSE__SIGNER__SIGN_CERTIFICATE__INIT;
	Call call = GATEHOUSE__SIGNER__CALL__INIT;

	sign.key = key;
	sign.tbs = data_of(tbs);
	call.what_case = GATEHOUSE__SIGNER__CALL__WHAT_SIGN_CERTIFICATE;
	call.sign_certificate = &sign;
	return ask_signature(s, &call, signature, why);
}

static int remote_sign_request(struct signer *s, uint64_t key, struct bytes info, struct buf *signature,
			       char why[static SIGNER_WHY_SIZE])
{
	Gatehouse__Signer__SignRequest sign = GATEHOUSE__SIGNER__SIGN_REQUEST__INIT;
	Call call = GATEHOUSE__SIGNER__CALL__INIT;

	sign.key = key;
	sign.info = data_of(info);
	call.what_case = GATEHOUSE__SIGNER__CALL__WHAT_SIGN_REQUEST;
	call.sign_request = &sign;
	return ask_signature(s, &call, signature, why);
}

static int remote_sign_ocsp(struct signer *s, uint64_t key, struct bytes response_data, struct buf *signature,
			    char why[static SIGNER_WHY_SIZE])
{
	Gatehouse__Signer__SignOcsp sign = GATEHOUSE__SIGNER__SIGN_OCSP__INIT;
	Call call = GATEHOUSE__SIGNER__CALL__INIT;

	sign.key = key;
	sign.response_data = data_of(response_data);
	call.what_case = GATEHOUSE__SIGNER__CALL__WHAT_SIGN_OCSP;
	call.sign_ocsp = &sign;
	return ask_signature(s, &call, signature, why);
}

static int remote_mac(struct signer *s, uint64_t key, struct bytes label, struct bytes octets,
		      uint8_t out[static SIGNER_MAC_SIZE], char why[static SIGNER_WHY_SIZE])
{
	Gatehouse__Signer__Mac mac = GATEHOUSE__SIGNER__MAC__INIT;
	Call call = GATEHOUSE__SIGNER__CALL__INIT;
	Answer *answer;
	int e;

	mac.key = key;
	mac.label = data_of(label);
	mac.octets = data_of(octets);
	call.what_case = GATEHOUSE__SIGNER__CALL__WHAT_MAC;
	call.mac = &mac;
	e = ask(s, &call, SIGN_MS, &answer, why);
	if (e)
		return e;
	if (answer->mac.len == SIGNER_MAC_SIZE)
		memcpy(out, answer->mac.data, SIGNER_MAC_SIZE);
	else
		e = -EBADMSG;
	gatehouse__signer__answer__free_unpacked(answer, NULL);
	return e;
}

static int remote_unwrap(struct signer *s, uint64_t key, enum signer_wrapping wrapping, struct bytes wrapped,
			 uint8_t *out, size_t n, char why[static SIGNER_WHY_SIZE])
{
	Gatehouse__Signer__Unwrap unwrap = GATEHOUSE__SIGNER__UNWRAP__INIT;
	Call call = GATEHOUSE__SIGNER__CALL__INIT;
	Answer *answer;
	int e;

	unwrap.key = key;
	unwrap.wrapping = (uint32_t)wrapping;
	unwrap.wrapped = data_of(wrapped);
	unwrap.size = (uint32_t)n;
	call.what_case = GATEHOUSE__SIGNER__CALL__WHAT_UNWRAP;
	call.unwrap = &unwrap;
	e = ask(s, &call, SIGN_MS, &answer, why);
	if (e)
		return e;
	if (answer->unwrapped.len == n) {
		memcpy(out, answer->unwrapped.data, n);
		OPENSSL_cleanse(answer->unwrapped.data, n);
	} else {
		e = -EBADMSG;
	}
	gatehouse__signer__answer__free_unpacked(answer, NULL);
	return e;
}

static int remote_sign_attributes(struct signer *s, uint64_t key, const char *digest, struct bytes attributes,
				  struct buf *signature, char why[static SIGNER_WHY_SIZE])
{
	Gatehouse__Signer__SignAttributes sign = GATEHOUSE__SIGNER__SIGN_ATTRIBUTES__INIT;
	Call call = GATEHOUSE__SIGNER__CALL__INIT;

	sign.key = key;
	sign.digest = (char *)digest;
	sign.attributes = data_of(attributes);
	call.what_case = GATEHOUSE__SIGNER__CALL__WHAT_SIGN_ATTRIBUTES;
	call.sign_attributes = &sign;
	return ask_signature(s, &call, signature, why);
}

/* A stream ends with the signer that has it. A call that is repeated over another connection finds another signer, to
 * which the stream's number says nothing: no piece is ever taken twice. */
static int remote_stream_begin(struct signer *s, uint64_t key, enum signer_stream_kind kind, uint64_t *stream,
			       char why[static SIGNER_WHY_SIZE])
{
	Gatehouse__Signer__StreamBegin begin = GATEHOUSE__SIGNER__STREAM_BEGIN__INIT;
	Call call = GATEHOUSE__SIGNER__CALL__INIT;
	Answer *answer;
	int e;

	begin.key = key;
	begin.kind = (uint32_t)kind;
	call.what_case = GATEHOUSE__SIGNER__CALL__WHAT_STREAM_BEGIN;
	call.stream_begin = &begin;
	e = ask(s, &call, SIGN_MS, &answer, why);
	if (e)
		return e;
	*stream = answer->stream;
	gatehouse__signer__answer__free_unpacked(answer, NULL);
	return 0;
}

static int remote_stream_data(struct signer *s, uint64_t stream, struct bytes piece, char why[static SIGNER_WHY_SIZE])
{
	Gatehouse__Signer__StreamData data = GATEHOUSE__SIGNER__STREAM_DATA__INIT;
	Call call = GATEHOUSE__SIGNER__CALL__INIT;
	Answer *answer;
	int e;

	data.stream = stream;
	data.piece = data_of(piece);
	call.what_case = GATEHOUSE__SIGNER__CALL__WHAT_STREAM_DATA;
	call.stream_data = &data;
	e = ask(s, &call, SIGN_MS, &answer, why);
	if (!e)
		gatehouse__signer__answer__free_unpacked(answer, NULL);
	return e;
}

static int remote_stream_end(struct signer *s, uint64_t stream, struct buf *signature,
			     char why[static SIGNER_WHY_SIZE])
{
	Gatehouse__Signer__StreamEnd end = GATEHOUSE__SIGNER__STREAM_END__INIT;
	Call call = GATEHOUSE__SIGNER__CALL__INIT;

	end.stream = stream;
	call.what_case = GATEHOUSE__SIGNER__CALL__WHAT_STREAM_END;
	call.stream_end = &end;
	return ask_signature(s, &call, signature, why);
}

static void remote_stream_drop(struct signer *s, uint64_t stream)
{
	Gatehouse__Signer__StreamDrop drop = GATEHOUSE__SIGNER__STREAM_DROP__INIT;
	Call call = GATEHOUSE__SIGNER__CALL__INIT;
	Answer *answer;

	drop.stream = stream;
	call.what_case = GATEHOUSE__SIGNER__CALL__WHAT_STREAM_DROP;
	call.stream_drop = &drop;
	if (ask(s, &call, STATUS_MS, &answer, NULL) == 0)
		gatehouse__signer__answer__free_unpacked(answer, NULL);
}

static int remote_ask_memory(struct signer *s, enum signer_memory *memory)
{
	Gatehouse__Signer__GetStatus status = GATEHOUSE__SIGNER__GET_STATUS__INIT;
	Call call = GATEHOUSE__SIGNER__CALL__INIT;
	Answer *answer;
	int e;

	call.what_case = GATEHOUSE__SIGNER__CALL__WHAT_GET_STATUS;
	call.get_status = &status;
	e = ask(s, &call, STATUS_MS, &answer, NULL);
	if (e)
		return e;
	/* What is not known claims nothing. */
	*memory = answer->memory == SIGNER_MEMORY_ALL || answer->memory == SIGNER_MEMORY_KEYS ?
			  (enum signer_memory)answer->memory : SIGNER_MEMORY_NONE;
	gatehouse__signer__answer__free_unpacked(answer, NULL);
	return 0;
}

static void remote_drop(struct signer *s)
{
	free(s);
}

int signer_connect(struct signer **out, struct link *link)
{
	static const struct signer_ways ways = {
		.generate = remote_generate,
		.load = remote_load,
		.unload = remote_unload,
		.sign_certificate = remote_sign_certificate,
		.sign_request = remote_sign_request,
		.sign_ocsp = remote_sign_ocsp,
		.mac = remote_mac,
		.unwrap = remote_unwrap,
		.sign_attributes = remote_sign_attributes,
		.stream_begin = remote_stream_begin,
		.stream_data = remote_stream_data,
		.stream_end = remote_stream_end,
		.stream_drop = remote_stream_drop,
		.ask_memory = remote_ask_memory,
		.drop = remote_drop,
	};
	struct remote *r = calloc(1, sizeof(*r));

	if (!r)
		return -ENOMEM;
	r->face.ways = &ways;
	r->link = link;
	*out = &r->face;
	return 0;
}
