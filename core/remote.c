/* A core in another process.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "core/remote.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "core/base/log.h"
#include "core/base/own.h"
#include "core/message.h"
#include "core/ocsp.h"
#include "core/wire/link.h"

/* How long a worker of the gateway waits at most. A submission that takes longer goes on without it: the caller comes
 * back with the same transaction key. */
#define SUBMIT_PATIENCE_MS 1000
#define ASK_PATIENCE_MS 2000
#define OCSP_PATIENCE_MS 1000

typedef Gatehouse__Core__Message Message;

struct remote {
	struct link *link;
	int (*connect)(void *arg);
	void (*lost)(void *arg);
	void *connect_arg; /* of both */
	struct buf hello;
	pthread_mutex_t lock;  /* guards all below */
	bool is_refused;       /* the core's last word: it does not serve us */
	char refusal[CA_REASON_SIZE];
};

struct remote_door {
	struct ca_door door;
	struct remote *remote;
	char *name;
	struct buf chain;
};

/* ---- the connection ---- */

static bool is_refused(struct remote *r)
{
	bool answer;

	pthread_mutex_lock(&r->lock);
	answer = r->is_refused;
	pthread_mutex_unlock(&r->lock);
	return answer;
}

/* A core that refuses is asked again and again: it says why once. */
static void note_refusal(struct remote *r, const char *why)
{
	bool is_new;

	pthread_mutex_lock(&r->lock);
	is_new = !r->is_refused || strncmp(r->refusal, why, sizeof(r->refusal) - 1) != 0;
	r->is_refused = true;
	snprintf(r->refusal, sizeof(r->refusal), "%s", why);
	pthread_mutex_unlock(&r->lock);
	if (is_new)
		log_error("core.refused", "why", why);
}

static int read_hello(struct remote *r, const Gatehouse__Core__HelloReply *hello)
{
	if (*hello->refusal) {
		note_refusal(r, hello->refusal);
		return -EACCES;
	}
	if (hello->version != CORE_VERSION || hello->window < CORE_WINDOW) {
		note_refusal(r, "the core speaks another version of the protocol");
		return -EPROTO;
	}
	pthread_mutex_lock(&r->lock);
	r->is_refused = false;
	pthread_mutex_unlock(&r->lock);
	log_info("core.connected", "as", hello->intermediary);
	return 0;
}

/* The only message that answers no call is the one that greets us. */
static int take_unasked(void *arg, struct bytes octets)
{
	OWNED(arena) arena = NULL;
	const Message *m;
	int e = arena_new(&arena, MESSAGE_ARENA_MAX);

	if (e)
		return e;
	m = message_unpack(arena, octets);
	if (!m || m->what_case != GATEHOUSE__CORE__MESSAGE__WHAT_HELLO_REPLY)
		return -EBADMSG;
	return read_hello(arg, m->hello_reply);
}

static void tell_lost(void *arg)
{
	struct remote *r = arg;

	r->lost(r->connect_arg);
}

static int make_connection(void *arg)
{
	const struct remote *r = arg;

	return r->connect(r->connect_arg);
}

static int pack_hello(struct buf *out)
{
	Gatehouse__Core__Hello hello = GATEHOUSE__CORE__HELLO__INIT;
	Message m = GATEHOUSE__CORE__MESSAGE__INIT;

	hello.version = CORE_VERSION;
	hello.software = (char *)(uintptr_t)"gatehouse";
	m.what_case = GATEHOUSE__CORE__MESSAGE__WHAT_HELLO;
	m.hello = &hello;
	return message_pack(&m, out);
}

int remote_new(struct remote **out, int (*connect)(void *arg), void (*lost)(void *arg), void *arg)
{
	OWNED(remote) r = calloc(1, sizeof(*r));
	struct link_options options = { .window = CORE_WINDOW, .connect = connect ? make_connection : NULL,
					.unasked = take_unasked, .lost = lost ? tell_lost : NULL, .arg = r };
	int e;

	if (!r)
		return -ENOMEM;
	pthread_mutex_init(&r->lock, NULL);
	r->connect = connect;
	r->lost = lost;
	r->connect_arg = arg;
	r->hello = BUF_INIT(FRAME_MAX);
	e = pack_hello(&r->hello);
	options.hello = buf_bytes(&r->hello);
	if (!e)
		e = link_new(&r->link, &options);
	if (!e)
		*out = MOVE(r);
	return e;
}

void remote_drop(struct remote **rp)
{
	struct remote *r = *rp;

	if (!r)
		return;
	link_drop(&r->link);
	buf_fini(&r->hello);
	pthread_mutex_destroy(&r->lock);
	free(r);
	*rp = NULL;
}

void remote_attach(struct remote *r, int take_fd)
{
	link_attach(r->link, take_fd);
}

/* ---- calls ---- */

/* Real time, as the link's: it is about another process, not about the world. */
static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* What a broken connection left unknown is asked again: every call of this protocol may be repeated. */
static int exchange(struct remote *r, Message *m, unsigned patience_ms, struct buf *octets)
{
	OWNED_BUF packed = BUF_INIT(FRAME_MAX);
	int64_t end = now_ms() + patience_ms, left = patience_ms;
	int e;

	do {
		m->deadline_ms = (uint32_t)left;
		e = message_pack(m, &packed);
		if (!e)
			e = link_call(r->link, buf_bytes(&packed), (unsigned)left, octets);
		left = end - now_ms();
	} while (e == -ECONNRESET && left > 0);
	return e == -ECONNRESET || e == -ENOTCONN || e == -ETIMEDOUT || e == -ETIME ? CA_CALL_BUSY : e;
}

/* 0 with an answer of the kind `wanted` in the arena, which is made if it is not there; CA_CALL_BUSY when there was
 * none in time; negative. */
static int call(struct remote *r, Message *m, unsigned patience_ms, Gatehouse__Core__Message__WhatCase wanted,
		struct arena **arena, const Message **reply)
{
	OWNED_BUF octets = BUF_INIT(FRAME_MAX);
	int e = *arena ? 0 : arena_new(arena, MESSAGE_ARENA_MAX);

	if (!e)
		e = exchange(r, m, patience_ms, &octets);
	if (e)
		return e;
	*reply = message_unpack(*arena, buf_bytes(&octets));
	return *reply && (*reply)->what_case == wanted ? 0 : -EBADMSG;
}

/* How a call ended that has no other outcomes. */
static int outcome_of(Gatehouse__Core__Call word)
{
	if (word == GATEHOUSE__CORE__CALL__CALL_FAILED)
		return -EIO;
	return word == GATEHOUSE__CORE__CALL__CALL_OK || (int)word == CA_CALL_BUSY ||
			       (int)word == CA_CALL_NOT_FOUND ?
		       (int)word :
		       -EBADMSG;
}

static int busy(struct ca_outcome *out)
{
	out->disposition = CA_INCOMPLETE;
	out->retry_after_s = 1;
	snprintf(out->reason, sizeof(out->reason), "the CA does not answer at the moment");
	return CA_CALL_BUSY;
}

static int call_for_outcome(struct remote *r, Message *m, unsigned patience_ms, struct arena **arena,
			    struct ca_outcome *out)
{
	const Message *reply;
	int e = call(r, m, patience_ms, GATEHOUSE__CORE__MESSAGE__WHAT_OUTCOME, arena, &reply);

	if (e == CA_CALL_BUSY)
		return busy(out);
	return e ? e : message_to_outcome(reply->outcome, out);
}

static int remote_submit(struct ca_door *door, const struct ca_submission *s, struct ca_outcome *out)
{
	struct remote_door *d = (struct remote_door *)door;
	Gatehouse__Core__Submit submit = GATEHOUSE__CORE__SUBMIT__INIT;
	Message m = GATEHOUSE__CORE__MESSAGE__INIT;
	OWNED(arena) arena = NULL;
	int e = arena_new(&arena, MESSAGE_ARENA_MAX);

	if (!e)
		e = message_from_submission(arena, s, &submit);
	if (e)
		return e;
	submit.ca = d->name;
	m.what_case = GATEHOUSE__CORE__MESSAGE__WHAT_SUBMIT;
	m.submit = &submit;
	e = call_for_outcome(d->remote, &m, SUBMIT_PATIENCE_MS, &arena, out);
	if (e != -EMSGSIZE)
		return e;
	out->disposition = CA_ERROR;
	snprintf(out->reason, sizeof(out->reason), "the submission is larger than a message to the core may be");
	return CA_CALL_REFUSED;
}

static int remote_ask(struct ca_door *door, const char *requester, int64_t id, bool collects, struct ca_outcome *out)
{
	struct remote_door *d = (struct remote_door *)door;
	Gatehouse__Core__Ask ask = GATEHOUSE__CORE__ASK__INIT;
	Message m = GATEHOUSE__CORE__MESSAGE__INIT;
	OWNED(arena) arena = NULL;

	ask.ca = d->name;
	ask.requester = (char *)(uintptr_t)requester;
	ask.request = id;
	m.what_case = collects ? GATEHOUSE__CORE__MESSAGE__WHAT_RETRIEVE : GATEHOUSE__CORE__MESSAGE__WHAT_PEEK;
	if (collects)
		m.retrieve = &ask;
	else
		m.peek = &ask;
	return call_for_outcome(d->remote, &m, ASK_PATIENCE_MS, &arena, out);
}

static int remote_poll(struct ca_door *door, const char *endpoint, const uint8_t *poll_key, struct ca_outcome *out)
{
	struct remote_door *d = (struct remote_door *)door;
	Gatehouse__Core__Poll poll = GATEHOUSE__CORE__POLL__INIT;
	Message m = GATEHOUSE__CORE__MESSAGE__INIT;
	OWNED(arena) arena = NULL;

	poll.ca = d->name;
	poll.endpoint = (char *)(uintptr_t)endpoint;
	poll.poll_key.data = (uint8_t *)(uintptr_t)poll_key;
	poll.poll_key.len = CA_POLL_KEY_SIZE;
	m.what_case = GATEHOUSE__CORE__MESSAGE__WHAT_POLL;
	m.poll = &poll;
	return call_for_outcome(d->remote, &m, ASK_PATIENCE_MS, &arena, out);
}

static int remote_revoke(struct ca_door *door, const struct ca_revocation *v, struct ca_outcome *out)
{
	struct remote_door *d = (struct remote_door *)door;
	Gatehouse__Core__Revoke revoke = GATEHOUSE__CORE__REVOKE__INIT;
	Message m = GATEHOUSE__CORE__MESSAGE__INIT;
	OWNED(arena) arena = NULL;
	int e = arena_new(&arena, MESSAGE_ARENA_MAX);

	if (!e)
		e = message_from_revocation(arena, v, &revoke);
	if (e)
		return e;
	revoke.ca = d->name;
	m.what_case = GATEHOUSE__CORE__MESSAGE__WHAT_REVOKE;
	m.revoke = &revoke;
	return call_for_outcome(d->remote, &m, ASK_PATIENCE_MS, &arena, out);
}

static int remote_withdraw(struct ca_door *door, const char *endpoint, const char *requester, const char *reason,
			   struct ca_outcome *out)
{
	struct remote_door *d = (struct remote_door *)door;
	Gatehouse__Core__Withdraw withdraw = GATEHOUSE__CORE__WITHDRAW__INIT;
	Message m = GATEHOUSE__CORE__MESSAGE__INIT;
	OWNED(arena) arena = NULL;
	int e = arena_new(&arena, MESSAGE_ARENA_MAX);

	if (e)
		return e;
	withdraw.ca = d->name;
	withdraw.endpoint = (char *)(uintptr_t)endpoint;
	withdraw.requester = (char *)(uintptr_t)requester;
	withdraw.reason = (char *)(uintptr_t)reason;
	m.what_case = GATEHOUSE__CORE__MESSAGE__WHAT_WITHDRAW;
	m.withdraw = &withdraw;
	return call_for_outcome(d->remote, &m, ASK_PATIENCE_MS, &arena, out);
}

static int take_crl(const Gatehouse__Core__Crl *m, struct buf *out, struct ca_crl *info)
{
	int e = outcome_of(m->call);

	if (e)
		return e;
	if (out && m->octets.len == 0 && m->size)
		return -EBADMSG;
	*info = (struct ca_crl){ m->number, m->this_update_s, m->next_update_s, m->size };
	return out ? buf_append(out, bytes_of(m->octets.data, m->octets.len)) : 0;
}

static int remote_get_crl(struct ca_door *door, unsigned key_index, unsigned partition, uint64_t number,
			  uint64_t offset, struct buf *out, struct ca_crl *info)
{
	struct remote_door *d = (struct remote_door *)door;
	Gatehouse__Core__GetCrl get = GATEHOUSE__CORE__GET_CRL__INIT;
	Message m = GATEHOUSE__CORE__MESSAGE__INIT;
	OWNED(arena) arena = NULL;
	const Message *reply;
	int e;

	get.ca = d->name;
	get.key_index = key_index;
	get.partition = partition;
	get.number = number;
	get.offset = offset;
	get.only_info = !out;
	m.what_case = GATEHOUSE__CORE__MESSAGE__WHAT_GET_CRL;
	m.get_crl = &get;
	e = call(d->remote, &m, ASK_PATIENCE_MS, GATEHOUSE__CORE__MESSAGE__WHAT_CRL, &arena, &reply);
	return e ? e : take_crl(reply->crl, out, info);
}

static int take_certificate(const Gatehouse__Core__Certificate *m, struct ca_certificate *out)
{
	int e = outcome_of(m->call);

	if (e)
		return e;
	if (!m->certificate.len)
		return -EBADMSG;
	out->key_index = m->key_index;
	out->partition = m->partition;
	return buf_append(&out->der, bytes_of(m->certificate.data, m->certificate.len));
}

static int remote_get_certificate(struct ca_door *door, const struct ca_certificate_id *id, struct ca_certificate *out)
{
	struct remote_door *d = (struct remote_door *)door;
	Gatehouse__Core__GetCertificate get = GATEHOUSE__CORE__GET_CERTIFICATE__INIT;
	Message m = GATEHOUSE__CORE__MESSAGE__INIT;
	OWNED(arena) arena = NULL;
	const Message *reply;
	int e;

	get.ca = d->name;
	get.issuer = (ProtobufCBinaryData){ id->issuer.len, (uint8_t *)(uintptr_t)id->issuer.ptr };
	get.serial = (ProtobufCBinaryData){ id->serial.len, (uint8_t *)(uintptr_t)id->serial.ptr };
	m.what_case = GATEHOUSE__CORE__MESSAGE__WHAT_GET_CERTIFICATE;
	m.get_certificate = &get;
	e = call(d->remote, &m, ASK_PATIENCE_MS, GATEHOUSE__CORE__MESSAGE__WHAT_CERTIFICATE, &arena, &reply);
	return e ? e : take_certificate(reply->certificate, out);
}

/* Whoever asks for a status is told in its own words that there is none now. */
static int remote_ocsp(struct ca_door *door, struct bytes request, struct ca_ocsp_answer *out)
{
	struct remote_door *d = (struct remote_door *)door;
	Gatehouse__Core__Ocsp ocsp = GATEHOUSE__CORE__OCSP__INIT;
	Message m = GATEHOUSE__CORE__MESSAGE__INIT;
	OWNED(arena) arena = NULL;
	const Message *reply;
	int e;

	if (request.len > CA_OCSP_REQUEST_MAX)
		return ocsp_answer_failure(OCSP_OUTCOME_MALFORMED_REQUEST, out);
	ocsp.ca = d->name;
	ocsp.request.data = (uint8_t *)(uintptr_t)request.ptr;
	ocsp.request.len = request.len;
	m.what_case = GATEHOUSE__CORE__MESSAGE__WHAT_OCSP;
	m.ocsp = &ocsp;
	e = call(d->remote, &m, OCSP_PATIENCE_MS, GATEHOUSE__CORE__MESSAGE__WHAT_OCSP_ANSWER, &arena, &reply);
	if (e == CA_CALL_BUSY)
		return ocsp_answer_failure(OCSP_OUTCOME_TRY_LATER, out);
	return e ? e : message_to_ocsp_answer(reply->ocsp_answer, out);
}

static int remote_get_key_chain(struct ca_door *door, unsigned key_index, struct buf *out)
{
	struct remote_door *d = (struct remote_door *)door;
	Gatehouse__Core__GetKeyChain get = GATEHOUSE__CORE__GET_KEY_CHAIN__INIT;
	Message m = GATEHOUSE__CORE__MESSAGE__INIT;
	OWNED(arena) arena = NULL;
	const Message *reply;
	int e;

	get.ca = d->name;
	get.key = key_index;
	m.what_case = GATEHOUSE__CORE__MESSAGE__WHAT_GET_KEY_CHAIN;
	m.get_key_chain = &get;
	e = call(d->remote, &m, ASK_PATIENCE_MS, GATEHOUSE__CORE__MESSAGE__WHAT_CA, &arena, &reply);
	if (!e)
		e = outcome_of(reply->ca->call);
	return e ? e : buf_append(out, bytes_of(reply->ca->chain.data, reply->ca->chain.len));
}

static int remote_get_request_form(struct ca_door *door, const char *endpoint, const char *profile,
				   struct arena *arena, struct ca_request_form *out)
{
	struct remote_door *d = (struct remote_door *)door;
	Gatehouse__Core__GetRequestForm get = GATEHOUSE__CORE__GET_REQUEST_FORM__INIT;
	Message m = GATEHOUSE__CORE__MESSAGE__INIT;
	OWNED(arena) room = NULL;
	const Message *reply;
	int e;

	get.ca = d->name;
	get.endpoint = (char *)(uintptr_t)endpoint;
	get.profile = (char *)(uintptr_t)profile;
	m.what_case = GATEHOUSE__CORE__MESSAGE__WHAT_GET_REQUEST_FORM;
	m.get_request_form = &get;
	e = call(d->remote, &m, ASK_PATIENCE_MS, GATEHOUSE__CORE__MESSAGE__WHAT_REQUEST_FORM, &room, &reply);
	return e ? e : message_to_request_form(arena, reply->request_form, out);
}

/* What the core says of this CA now. 0 with a reply that lives as long as the arena; CA_CALL_BUSY: it does not
 * answer; CA_CALL_NOT_FOUND; negative. */
static int ask_for_ca(struct remote *r, const char *ca, bool again, struct arena **arena,
		      const Gatehouse__Core__Ca **out)
{
	Gatehouse__Core__Locate locate = GATEHOUSE__CORE__LOCATE__INIT;
	Message m = GATEHOUSE__CORE__MESSAGE__INIT;
	const Message *reply;
	int e;

	locate.ca = (char *)(uintptr_t)ca;
	locate.again = again;
	m.what_case = GATEHOUSE__CORE__MESSAGE__WHAT_LOCATE;
	m.locate = &locate;
	e = call(r, &m, ASK_PATIENCE_MS, GATEHOUSE__CORE__MESSAGE__WHAT_CA, arena, &reply);
	if (e)
		return e;
	*out = reply->ca;
	return outcome_of(reply->ca->call);
}

/* Asked each time: the CA may have another key by now. While the core is away, what it said when it was located. */
static int remote_get_chain(struct ca_door *door, struct buf *out)
{
	const struct remote_door *d = (const struct remote_door *)door;
	const Gatehouse__Core__Ca *found;
	OWNED(arena) arena = NULL;
	int e = ask_for_ca(d->remote, d->name, true, &arena, &found);

	if (e < 0)
		return e;
	return buf_append(out, e ? buf_bytes(&d->chain) : bytes_of(found->chain.data, found->chain.len));
}

static const char *remote_name(const struct ca_door *door)
{
	return ((const struct remote_door *)door)->name;
}

static void remote_door_drop(struct remote_door **dp)
{
	if (!*dp)
		return;
	buf_fini(&(*dp)->chain);
	free((*dp)->name);
	free(*dp);
	*dp = NULL;
}

static void drop_door(struct ca_door *door)
{
	remote_door_drop(&(struct remote_door *){ (struct remote_door *)door });
}

static int remote_check_credential(struct ca_door *door, const struct ca_credential_claim *claim,
				   struct ca_credential_answer *answer)
{
	struct remote_door *d = (struct remote_door *)door;
	Gatehouse__Core__CheckCredential check = GATEHOUSE__CORE__CHECK_CREDENTIAL__INIT;
	Gatehouse__Core__Credential credential = GATEHOUSE__CORE__CREDENTIAL__INIT;
	Message m = GATEHOUSE__CORE__MESSAGE__INIT;
	OWNED(arena) arena = NULL;
	const Message *reply;
	int e = arena_new(&arena, MESSAGE_ARENA_MAX);

	if (e)
		return e;
	message_from_claim(claim, &credential);
	check.ca = d->name;
	check.endpoint = (char *)(uintptr_t)(claim->endpoint ? claim->endpoint : "");
	check.source_address = (char *)(uintptr_t)(claim->source_address ? claim->source_address : "");
	check.credential = &credential;
	m.what_case = GATEHOUSE__CORE__MESSAGE__WHAT_CHECK_CREDENTIAL;
	m.check_credential = &check;
	e = message_from_names(arena, claim->names, claim->n_names, &check.names, &check.n_names);
	if (e)
		return e;
	e = call(d->remote, &m, ASK_PATIENCE_MS, GATEHOUSE__CORE__MESSAGE__WHAT_CHECKED, &arena, &reply);
	if (e == CA_CALL_BUSY) {
		answer->retry_after_s = 1;
		snprintf(answer->reason, sizeof(answer->reason), "the CA does not answer at the moment");
	}
	return e ? e : message_to_checked(reply->checked, answer);
}

static int remote_delegate(struct ca_door *door, const struct ca_delegation *delegation, struct ca_delegated *out)
{
	struct remote_door *d = (struct remote_door *)door;
	Gatehouse__Core__DelegateChallenge ask = GATEHOUSE__CORE__DELEGATE_CHALLENGE__INIT;
	Gatehouse__Core__Credential claim = GATEHOUSE__CORE__CREDENTIAL__INIT;
	Message m = GATEHOUSE__CORE__MESSAGE__INIT;
	OWNED(arena) arena = NULL;
	const Message *reply;
	int e;

	message_from_delegation(delegation, &claim, &ask);
	ask.ca = d->name;
	m.what_case = GATEHOUSE__CORE__MESSAGE__WHAT_DELEGATE_CHALLENGE;
	m.delegate_challenge = &ask;
	e = call(d->remote, &m, ASK_PATIENCE_MS, GATEHOUSE__CORE__MESSAGE__WHAT_DELEGATED, &arena, &reply);
	if (e == CA_CALL_BUSY) {
		out->retry_after_s = 1;
		snprintf(out->reason, sizeof(out->reason), "the CA does not answer at the moment");
	}
	return e ? e : message_to_delegated(reply->delegated, out);
}

static const struct ca_door_calls remote_calls = {
	.submit = remote_submit,
	.ask = remote_ask,
	.poll = remote_poll,
	.revoke = remote_revoke,
	.withdraw = remote_withdraw,
	.check_credential = remote_check_credential,
	.delegate = remote_delegate,
	.get_crl = remote_get_crl,
	.get_certificate = remote_get_certificate,
	.ocsp = remote_ocsp,
	.get_key_chain = remote_get_key_chain,
	.get_chain = remote_get_chain,
	.get_request_form = remote_get_request_form,
	.name = remote_name,
	.drop = drop_door,
};

/* ---- locate ---- */

static int make_door(struct remote *r, struct ca_door **out, const Gatehouse__Core__Ca *ca)
{
	OWNED(remote_door) d = calloc(1, sizeof(*d));
	int e;

	if (!d)
		return -ENOMEM;
	d->door.calls = &remote_calls;
	d->remote = r;
	d->name = strdup(ca->name);
	d->chain = BUF_INIT(FRAME_MAX);
	e = d->name ? buf_append(&d->chain, bytes_of(ca->chain.data, ca->chain.len)) : -ENOMEM;
	if (!e)
		*out = &MOVE(d)->door;
	return e;
}

int remote_locate(struct remote *r, struct ca_door **out, const char *ca)
{
	const Gatehouse__Core__Ca *found;
	OWNED(arena) arena = NULL;
	int e = ask_for_ca(r, ca, false, &arena, &found);

	if (e == CA_CALL_NOT_FOUND)
		return CA_LOCATE_UNKNOWN_CA;
	if (e > 0)
		return is_refused(r) ? CA_LOCATE_REFUSED : CA_LOCATE_AWAY;
	return e ? e : make_door(r, out, found);
}

/* ---- health and figures ---- */

bool remote_health(struct remote *r, struct buf *out)
{
	Gatehouse__Core__GetHealth get = GATEHOUSE__CORE__GET_HEALTH__INIT;
	Message m = GATEHOUSE__CORE__MESSAGE__INIT;
	OWNED(arena) arena = NULL;
	const Message *reply;

	m.what_case = GATEHOUSE__CORE__MESSAGE__WHAT_GET_HEALTH;
	m.get_health = &get;
	if (call(r, &m, ASK_PATIENCE_MS, GATEHOUSE__CORE__MESSAGE__WHAT_HEALTH, &arena, &reply)) {
		buf_append_str(out, is_refused(r) ? "core: refuses this gateway\n" : "core: does not answer\n");
		return false;
	}
	buf_append_str(out, reply->health->text);
	return reply->health->is_well;
}

void remote_metrics(struct remote *r, struct buf *out)
{
	Gatehouse__Core__GetMetrics get = GATEHOUSE__CORE__GET_METRICS__INIT;
	Message m = GATEHOUSE__CORE__MESSAGE__INIT;
	OWNED(arena) arena = NULL;
	const Message *reply;

	m.what_case = GATEHOUSE__CORE__MESSAGE__WHAT_GET_METRICS;
	m.get_metrics = &get;
	if (!call(r, &m, ASK_PATIENCE_MS, GATEHOUSE__CORE__MESSAGE__WHAT_METRICS, &arena, &reply))
		buf_append_str(out, reply->metrics->text);
}

int remote_report(struct remote *r, bool is_well, const char *text)
{
	Gatehouse__Core__Report report = GATEHOUSE__CORE__REPORT__INIT;
	Message m = GATEHOUSE__CORE__MESSAGE__INIT;
	OWNED(arena) arena = NULL;
	const Message *reply;

	report.is_well = is_well;
	report.text = (char *)(uintptr_t)text;
	m.what_case = GATEHOUSE__CORE__MESSAGE__WHAT_REPORT;
	m.report = &report;
	if (call(r, &m, ASK_PATIENCE_MS, GATEHOUSE__CORE__MESSAGE__WHAT_REPORTED, &arena, &reply))
		return -EAGAIN;
	return reply->reported->call == GATEHOUSE__CORE__CALL__CALL_OK ? 0 : -EACCES;
}
