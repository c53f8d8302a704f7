/* A message of the core, answered.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "core/signer/answer.h"

#include <errno.h>

#include <openssl/crypto.h>

#include "core/signer/signer_int.h"
#include "signer.pb-c.h"

typedef Gatehouse__Signer__Call Call;
typedef Gatehouse__Signer__Answer Answer;

/* What an answer is made of; `answer` points into it. */
struct work {
	struct signer *signer;
	Answer answer;
	struct buf sealed, spki, signature;
	uint8_t mac[SIGNER_MAC_SIZE], unwrapped[SIGNER_UNWRAPPED_MAX];
	char why[SIGNER_WHY_SIZE];
};

static struct bytes octets_of(ProtobufCBinaryData data)
{
	return bytes_of(data.data, data.len);
}

static ProtobufCBinaryData data_of(const struct buf *b)
{
	return (ProtobufCBinaryData){ .len = b->len, .data = b->ptr };
}

static int answer_generate(struct work *w, const Call *call)
{
	const Gatehouse__Signer__Generate *g = call->generate;
	int e = signer_generate(w->signer, g->type, (enum signer_purpose)g->purpose, g->ca, &w->sealed, &w->spki,
				w->why);

	if (!e) {
		w->answer.sealed = data_of(&w->sealed);
		w->answer.spki = data_of(&w->spki);
	}
	return e;
}

static int answer_load(struct work *w, const Call *call)
{
	const Gatehouse__Signer__Load *l = call->load;

	return signer_load(w->signer, octets_of(l->sealed), (enum signer_purpose)l->purpose, l->ca,
			   octets_of(l->certificates), &w->answer.key, w->why);
}

static int answer_unload(struct work *w, const Call *call)
{
	return signer_unload(w->signer, call->unload->key);
}

static int answer_sign_certificate(struct work *w, const Call *call)
{
	const Gatehouse__Signer__SignCertificate *c = call->sign_certificate;

	return signer_sign_certificate(w->signer, c->key, octets_of(c->tbs), &w->signature, w->why);
}

static int answer_sign_request(struct work *w, const Call *call)
{
	const Gatehouse__Signer__SignRequest *r = call->sign_request;

	return signer_sign_request(w->signer, r->key, octets_of(r->info), &w->signature, w->why);
}

static int answer_sign_ocsp(struct work *w, const Call *call)
{
	const Gatehouse__Signer__SignOcsp *o = call->sign_ocsp;

	return signer_sign_ocsp(w->signer, o->key, octets_of(o->response_data), &w->signature, w->why);
}

static int answer_mac(struct work *w, const Call *call)
{
	const Gatehouse__Signer__Mac *m = call->mac;
	int e = signer_mac(w->signer, m->key, octets_of(m->label), octets_of(m->octets), w->mac, w->why);

	if (!e)
		w->answer.mac = (ProtobufCBinaryData){ sizeof(w->mac), w->mac };
	return e;
}

static int answer_unwrap(struct work *w, const Call *call)
{
	const Gatehouse__Signer__Unwrap *u = call->unwrap;
	int e = u->size > sizeof(w->unwrapped) ? -EINVAL :
		signer_unwrap(w->signer, u->key, (enum signer_wrapping)u->wrapping, octets_of(u->wrapped), w->unwrapped,
			      u->size, w->why);

	if (!e)
		w->answer.unwrapped = (ProtobufCBinaryData){ u->size, w->unwrapped };
	return e;
}

static int answer_sign_attributes(struct work *w, const Call *call)
{
	const Gatehouse__Signer__SignAttributes *a = call->sign_attributes;

	return signer_sign_attributes(w->signer, a->key, a->digest, octets_of(a->attributes), &w->signature, w->why);
}

static int answer_stream_begin(struct work *w, const Call *call)
{
	const Gatehouse__Signer__StreamBegin *b = call->stream_begin;

	return w->signer->ways->stream_begin(w->signer, b->key, (enum signer_stream_kind)b->kind, &w->answer.stream,
					     w->why);
}

static int answer_stream_data(struct work *w, const Call *call)
{
	return w->signer->ways->stream_data(w->signer, call->stream_data->stream, octets_of(call->stream_data->piece),
					    w->why);
}

static int answer_stream_end(struct work *w, const Call *call)
{
	return w->signer->ways->stream_end(w->signer, call->stream_end->stream, &w->signature, w->why);
}

static int answer_stream_drop(struct work *w, const Call *call)
{
	w->signer->ways->stream_drop(w->signer, call->stream_drop->stream);
	return 0;
}

static int answer_status(struct work *w, const Call *call)
{
	enum signer_memory memory = SIGNER_MEMORY_SHARED;
	int e = signer_ask_memory(w->signer, &memory);

	w->answer.memory = (uint32_t)memory;
	return e;
}

static const struct {
	Gatehouse__Signer__Call__WhatCase what;
	int (*answer)(struct work *w, const Call *call);
} answers[] = {
	{ GATEHOUSE__SIGNER__CALL__WHAT_GENERATE, answer_generate },
	{ GATEHOUSE__SIGNER__CALL__WHAT_LOAD, answer_load },
	{ GATEHOUSE__SIGNER__CALL__WHAT_SIGN_CERTIFICATE, answer_sign_certificate },
	{ GATEHOUSE__SIGNER__CALL__WHAT_GET_STATUS, answer_status },
	{ GATEHOUSE__SIGNER__CALL__WHAT_SIGN_REQUEST, answer_sign_request },
	{ GATEHOUSE__SIGNER__CALL__WHAT_SIGN_OCSP, answer_sign_ocsp },
	{ GATEHOUSE__SIGNER__CALL__WHAT_MAC, answer_mac },
	{ GATEHOUSE__SIGNER__CALL__WHAT_UNWRAP, answer_unwrap },
	{ GATEHOUSE__SIGNER__CALL__WHAT_SIGN_ATTRIBUTES, answer_sign_attributes },
	{ GATEHOUSE__SIGNER__CALL__WHAT_STREAM_BEGIN, answer_stream_begin },
	{ GATEHOUSE__SIGNER__CALL__WHAT_STREAM_DATA, answer_stream_data },
	{ GATEHOUSE__SIGNER__CALL__WHAT_STREAM_END, answer_stream_end },
	{ GATEHOUSE__SIGNER__CALL__WHAT_STREAM_DROP, answer_stream_drop },
	{ GATEHOUSE__SIGNER__CALL__WHAT_UNLOAD, answer_unload },
};

static int pack(const Answer *answer, struct buf *reply)
{
	size_t n = gatehouse__signer__answer__get_packed_size(answer);
	uint8_t *room = buf_room(reply, n);

	if (!room)
		return buf_status(reply);
	buf_added(reply, gatehouse__signer__answer__pack(answer, room));
	return 0;
}

int signer_answer(struct signer *s, struct bytes message, struct buf *reply)
{
	Call *call = gatehouse__signer__call__unpack(NULL, message.len, message.ptr);
	struct work w = {
		.signer = s,
		.answer = GATEHOUSE__SIGNER__ANSWER__INIT,
		.sealed = BUF_INIT(SIGNER_SEALED_MAX),
		.spki = BUF_INIT(SIGNER_SPKI_MAX),
		.signature = BUF_INIT(SIGNER_SIGNATURE_MAX),
	};
	int e = -EBADMSG;

	for (size_t i = 0; call && i < sizeof(answers) / sizeof(*answers); i++) {
		if (answers[i].what != call->what_case)
			continue;
		e = answers[i].answer(&w, call);
		w.answer.outcome = e < 0 ? SIGNER_ANSWER_FAILED : (uint32_t)e;
		w.answer.why = w.why;
		w.answer.signature = data_of(&w.signature);
		e = pack(&w.answer, reply);
		break;
	}
	if (call)
		gatehouse__signer__call__free_unpacked(call, NULL);
	OPENSSL_cleanse(w.unwrapped, sizeof(w.unwrapped));
	buf_fini(&w.sealed);
	buf_fini(&w.spki);
	buf_fini(&w.signature);
	return e;
}
