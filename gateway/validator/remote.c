/* The validator in another process, as the gateway calls it.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "gateway/validator/validator.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/wire/frame.h"
#include "core/wire/link.h"
#include "core/wire/verdict.h"
#include "validator.pb-c.h"

#define GRACE_MS 100       /* on top of what the validator itself waits */
#define GRACE_AWAY_MS 50   /* while it is known to be away: nobody is held up for it */
#define STATUS_MS 500
#define JUDGE_GRACE_MS 1000

typedef Gatehouse__Validator__Call Call;
typedef Gatehouse__Validator__Answer Answer;

struct remote {
	struct validator_face face;
	struct link *link;
};

/* 0 with an answer (free it); negative. */
static int ask(const struct remote *r, const Call *call, unsigned wait_ms, Answer **out)
{
	OWNED_BUF message = BUF_INIT(FRAME_MAX);
	OWNED_BUF reply = BUF_INIT(FRAME_MAX);
	uint8_t *room = buf_room(&message, gatehouse__validator__call__get_packed_size(call));
	int e;

	if (!room)
		return buf_status(&message);
	buf_added(&message, gatehouse__validator__call__pack(call, room));
	e = link_call(r->link, buf_bytes(&message), wait_ms, &reply);
	if (e)
		return e;
	*out = gatehouse__validator__answer__unpack(NULL, reply.len, reply.ptr);
	return *out ? 0 : -EBADMSG;
}

static bool is_away(int e)
{
	return e == -ENOTCONN || e == -ETIMEDOUT || e == -ECONNRESET || e == -ETIME;
}

static char *text_of(const char *s)
{
	return (char *)(s ? s : "");
}

static ProtobufCBinaryData data_of(struct bytes b)
{
	return (ProtobufCBinaryData){ b.len, (uint8_t *)b.ptr };
}

/* The other process is not trusted with more than its verdict. */
static int read_result(const Answer *answer, struct validation_result *out)
{
	if (answer->problem > VALIDATION_PROBLEM_FORBIDDEN_ADDRESS)
		return -EBADMSG;
	out->problem = (enum validation_problem)answer->problem;
	snprintf(out->detail, sizeof(out->detail), "%s", answer->detail);
	snprintf(out->address, sizeof(out->address), "%s", answer->address);
	return 0;
}

static int check(void *state, const struct validation *what, unsigned wait_ms, struct validation_result *out)
{
	struct remote *r = state;
	Gatehouse__Validator__Check check = GATEHOUSE__VALIDATOR__CHECK__INIT;
	Call call = GATEHOUSE__VALIDATOR__CALL__INIT;
	Answer *answer;
	int e;

	check.key = what->key;
	check.owner = what->owner;
	check.kind = (uint32_t)what->kind;
	check.dns_name = text_of(what->dns_name);
	check.ip_address = text_of(what->ip_address);
	check.token = text_of(what->token);
	check.key_authorization = text_of(what->key_authorization);
	check.wait_ms = wait_ms;
	call.what_case = GATEHOUSE__VALIDATOR__CALL__WHAT_CHECK;
	call.check = &check;
	e = ask(r, &call, wait_ms + (link_is_well(r->link) ? GRACE_MS : GRACE_AWAY_MS), &answer);
	if (e)
		return is_away(e) ? VALIDATION_RUNNING : e;
	e = answer->outcome > VALIDATION_BUSY ? -EIO : (int)answer->outcome;
	if (!e)
		e = read_result(answer, out);
	gatehouse__validator__answer__free_unpacked(answer, NULL);
	return e;
}

/* The other side waits for the target, and after the grace nobody here does. */
static int ask_target(const struct remote *r, const Call *call, Answer **out)
{
	int e = ask(r, call, link_is_well(r->link) ? JUDGEMENT_TIMEOUT_MAX_MS + JUDGE_GRACE_MS : GRACE_AWAY_MS, out);

	return is_away(e) ? JUDGEMENT_NONE : e;
}

static int judge(void *state, const struct judgement *what, struct buf *statement)
{
	struct remote *r = state;
	Gatehouse__Validator__Judge judge = GATEHOUSE__VALIDATOR__JUDGE__INIT;
	Call call = GATEHOUSE__VALIDATOR__CALL__INIT;
	Answer *answer;
	int e;

	judge.endpoint = text_of(what->endpoint);
	judge.request = data_of(what->request);
	judge.challenge = data_of(what->challenge);
	judge.transaction_id = text_of(what->transaction_id);
	judge.transaction_key = data_of(bytes_of(what->transaction_key, VERDICT_TRANSACTION_SIZE));
	call.what_case = GATEHOUSE__VALIDATOR__CALL__WHAT_JUDGE;
	call.judge = &judge;
	e = ask_target(r, &call, &answer);
	if (e)
		return e;
	e = answer->outcome > JUDGEMENT_BUSY ? -EIO : (int)answer->outcome;
	if (!e)
		e = buf_append(statement, bytes_of(answer->statement.data, answer->statement.len));
	gatehouse__validator__answer__free_unpacked(answer, NULL);
	return e;
}

static int notify(void *state, const struct notification *what)
{
	struct remote *r = state;
	Gatehouse__Validator__Notify notify = GATEHOUSE__VALIDATOR__NOTIFY__INIT;
	Call call = GATEHOUSE__VALIDATOR__CALL__INIT;
	Answer *answer;
	int e;

	notify.endpoint = text_of(what->endpoint);
	notify.request = data_of(what->request);
	notify.transaction_id = text_of(what->transaction_id);
	notify.is_issued = what->is_issued;
	notify.thumbprint = text_of(what->thumbprint);
	notify.serial = text_of(what->serial);
	notify.not_after = text_of(what->not_after);
	notify.issuer = text_of(what->issuer);
	notify.description = text_of(what->description);
	notify.certificate = data_of(what->certificate);
	notify.fail = what->fail;
	call.what_case = GATEHOUSE__VALIDATOR__CALL__WHAT_NOTIFY;
	call.notify = &notify;
	e = ask_target(r, &call, &answer);
	if (e)
		return e;
	e = answer->outcome > NOTIFICATION_LOST ? -EIO : (int)answer->outcome;
	gatehouse__validator__answer__free_unpacked(answer, NULL);
	return e;
}

static bool remote_health(const struct validator *v, struct buf *out)
{
	Gatehouse__Validator__GetStatus status = GATEHOUSE__VALIDATOR__GET_STATUS__INIT;
	Call call = GATEHOUSE__VALIDATOR__CALL__INIT;
	Answer *answer;
	bool is_well;

	call.what_case = GATEHOUSE__VALIDATOR__CALL__WHAT_GET_STATUS;
	call.get_status = &status;
	if (ask(v->state, &call, STATUS_MS, &answer)) {
		buf_printf(out, "validator: does not answer\n");
		return false;
	}
	is_well = answer->healthy;
	buf_append_str(out, answer->health);
	gatehouse__validator__answer__free_unpacked(answer, NULL);
	return is_well;
}

static void remote_drop(struct validator *v)
{
	free(v->state);
}

int validator_connect(struct validator **out, struct link *link)
{
	struct remote *r = calloc(1, sizeof(*r));

	if (!r)
		return -ENOMEM;
	r->face = (struct validator_face){
		{ .check = check, .judge = judge, .notify = notify, .state = r }, remote_health, remote_drop,
	};
	r->link = link;
	*out = &r->face.door;
	return 0;
}
