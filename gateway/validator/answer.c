/* A message of the gateway, answered.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "gateway/validator/answer.h"

#include <errno.h>

#include "core/wire/verdict.h"
#include "validator.pb-c.h"

#define HEALTH_MAX 32768
#define WAIT_MS_MAX 10000 /* a thread waits no longer, whoever asks */

typedef Gatehouse__Validator__Call Call;
typedef Gatehouse__Validator__Answer Answer;

/* What an answer is made of; `answer` points into it. */
struct work {
	const struct validator *validator;
	Answer answer;
	struct validation_result result;
	struct buf health, statement;
};

static const char *text_or_none(const char *s)
{
	return *s ? s : NULL;
}

static int answer_check(struct work *w, const Call *call)
{
	const Gatehouse__Validator__Check *c = call->check;
	struct validation what = {
		.key = c->key,
		.owner = c->owner,
		.kind = (enum validation_kind)c->kind,
		.dns_name = text_or_none(c->dns_name),
		.ip_address = text_or_none(c->ip_address),
		.token = c->token,
		.key_authorization = c->key_authorization,
	};
	unsigned wait_ms = c->wait_ms < WAIT_MS_MAX ? c->wait_ms : WAIT_MS_MAX;
	int e = w->validator->check(w->validator->state, &what, wait_ms, &w->result);

	if (!e) {
		w->answer.problem = (uint32_t)w->result.problem;
		w->answer.detail = w->result.detail;
		w->answer.address = w->result.address;
	}
	return e;
}

static int answer_judge(struct work *w, const Call *call)
{
	const Gatehouse__Validator__Judge *j = call->judge;
	struct judgement what = {
		.endpoint = j->endpoint,
		.request = bytes_of(j->request.data, j->request.len),
		.challenge = bytes_of(j->challenge.data, j->challenge.len),
		.transaction_id = j->transaction_id,
		.transaction_key = j->transaction_key.data,
	};
	int e = j->transaction_key.len == VERDICT_TRANSACTION_SIZE ?
			w->validator->judge(w->validator->state, &what, &w->statement) : -EINVAL;

	if (!e)
		w->answer.statement = (ProtobufCBinaryData){ w->statement.len, w->statement.ptr };
	return e;
}

static int answer_notify(struct work *w, const Call *call)
{
	const Gatehouse__Validator__Notify *n = call->notify;
	struct notification what = {
		.endpoint = n->endpoint,
		.request = bytes_of(n->request.data, n->request.len),
		.transaction_id = n->transaction_id,
		.is_issued = n->is_issued,
		.thumbprint = n->thumbprint,
		.serial = n->serial,
		.not_after = n->not_after,
		.issuer = n->issuer,
		.certificate = bytes_of(n->certificate.data, n->certificate.len),
		.description = n->description,
		.fail = n->fail,
	};

	return w->validator->notify(w->validator->state, &what);
}

static int answer_status(struct work *w, const Call *call)
{
	w->answer.healthy = validator_health(w->validator, &w->health);
	w->answer.health = (char *)buf_str(&w->health);
	return 0;
}

static const struct {
	Gatehouse__Validator__Call__WhatCase what;
	int (*answer)(struct work *w, const Call *call);
} answers[] = {
	{ GATEHOUSE__VALIDATOR__CALL__WHAT_CHECK, answer_check },
	{ GATEHOUSE__VALIDATOR__CALL__WHAT_GET_STATUS, answer_status },
	{ GATEHOUSE__VALIDATOR__CALL__WHAT_JUDGE, answer_judge },
	{ GATEHOUSE__VALIDATOR__CALL__WHAT_NOTIFY, answer_notify },
};

static int pack(const Answer *answer, struct buf *reply)
{
	size_t n = gatehouse__validator__answer__get_packed_size(answer);
	uint8_t *room = buf_room(reply, n);

	if (!room)
		return buf_status(reply);
	buf_added(reply, gatehouse__validator__answer__pack(answer, room));
	return 0;
}

int validator_answer(const struct validator *v, struct bytes message, struct buf *reply)
{
	Call *call = gatehouse__validator__call__unpack(NULL, message.len, message.ptr);
	struct work w = {
		.validator = v, .answer = GATEHOUSE__VALIDATOR__ANSWER__INIT, .health = BUF_INIT(HEALTH_MAX),
		.statement = BUF_INIT(VERDICT_MAX)
	};
	int e = -EBADMSG;

	for (size_t i = 0; call && i < sizeof(answers) / sizeof(*answers); i++) {
		if (answers[i].what != call->what_case)
			continue;
		e = answers[i].answer(&w, call);
		w.answer.outcome = e < 0 ? VALIDATOR_ANSWER_FAILED : (uint32_t)e;
		e = pack(&w.answer, reply);
		break;
	}
	if (call)
		gatehouse__validator__call__free_unpacked(call, NULL);
	buf_fini(&w.health);
	buf_fini(&w.statement);
	return e;
}
