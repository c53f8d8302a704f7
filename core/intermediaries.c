/* The core's door for intermediaries in other processes.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "core/intermediaries.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/base/log.h"
#include "core/base/own.h"
#include "core/base/pool.h"
#include "core/core_int.h"
#include "core/credentials.h"
#include "core/delegate.h"
#include "core/keys.h"
#include "core/message.h"
#include "core/publish.h"
#include "core/ocsp.h"
#include "core/reports.h"
#include "core/request_form.h"
#include "core/tls_door.h"
#include "core/wire/message_text.h"
#include "core/wire/server.h"

#define CONNECTIONS_MAX 64      /* of all; the server takes no more */
#define CONNECTIONS_EACH 16     /* of one intermediary */
#define STRANGERS_MAX 8         /* that are about to be told that nobody knows them */
#define REPLY_TEXT_MAX (240u << 10)
#define SOFTWARE_MAX 64

typedef Gatehouse__Core__Message Message;

struct intermediaries {
	struct ca_core *core;
	struct pool *pool;
	struct wire_server *server;
	int unix_fd;            /* listening; -1: not at all */
	struct tls_door *tls;   /* NULL: there is none */
	int wake_fd;            /* readable: it is time to end */
	pthread_t thread;       /* accepts */
	bool has_thread;
	pthread_mutex_t lock;   /* guards the peers' counts */
	unsigned n_strangers;
	unsigned *n_peers;      /* connections of each binding */
};

/* A connection. */
struct peer {
	struct intermediaries *all;
	const struct binding *by; /* NULL: a stranger */
	char who[96];             /* "user alice", "certificate ab12…": for the log */
};

/* ---- calls ---- */

/* A call while it is answered. What the reply points at lives until it is packed. */
struct answer {
	struct ca_core *core;
	const struct binding *by;
	struct arena *arena;
	const Message *call;
	Message reply;
	struct ca_outcome out;
	struct ca_credential_answer checked;
	struct ca_delegated delegated;
	struct ca_ocsp_answer status;
	struct ca_certificate certificate;
	struct buf text;
	union {
		Gatehouse__Core__Ca ca;
		Gatehouse__Core__Outcome outcome;
		Gatehouse__Core__Checked checked;
		Gatehouse__Core__Delegated delegated;
		Gatehouse__Core__OcspAnswer ocsp;
		Gatehouse__Core__Health health;
		Gatehouse__Core__Metrics metrics;
		Gatehouse__Core__Reported reported;
		Gatehouse__Core__Crl crl;
		Gatehouse__Core__Certificate certificate;
		Gatehouse__Core__RequestForm form;
	} body;
};

/* Does one of its endpoints belong to this CA? The inherited gateway has certificates for its listeners from any. */
bool core_may_use_ca(struct ca_core *core, const struct binding *by, const struct ca *ca)
{
	if (by->peer == BINDING_INHERITED)
		return true;
	for (size_t i = 0; i < conf_count(core->conf, "endpoints"); i++) {
		const struct conf_section *e = conf_section_at(core->conf, "endpoints", i);

		if (core_find_ca(core, conf_str(e, "ca")) == ca && binding_has_endpoint(by, conf_str(e, "name")))
			return true;
	}
	return false;
}

/* NULL: there is none of that name for this intermediary. */
static struct ca *find_ca(const struct answer *a, const char *name)
{
	struct ca *ca = core_find_ca(a->core, name);

	return ca && core_may_use_ca(a->core, a->by, ca) ? ca : NULL;
}

static void locate(struct answer *a)
{
	struct ca *ca = find_ca(a, a->call->locate->ca);
	Gatehouse__Core__Ca *reply = &a->body.ca;

	gatehouse__core__ca__init(reply);
	reply->call = GATEHOUSE__CORE__CALL__CALL_NOT_FOUND;
	if (ca) {
		reply->call = GATEHOUSE__CORE__CALL__CALL_OK;
		reply->name = (char *)(uintptr_t)ca->name;
		if (ca_current_key(ca) && keys_append_chain(ca_current_key(ca), &a->text))
			reply->call = GATEHOUSE__CORE__CALL__CALL_FAILED;
		reply->chain.data = a->text.ptr;
		reply->chain.len = a->text.len;
		if (!a->call->locate->again)
			trace_event(a->core->trace, "locate", 0, "\"intermediary\":\"%s\",\"ca\":\"%s\"", a->by->name,
			    ca->name);
	}
	a->reply.what_case = GATEHOUSE__CORE__MESSAGE__WHAT_CA;
	a->reply.ca = reply;
}

static void get_key_chain(struct answer *a)
{
	const struct ca *ca = find_ca(a, a->call->get_key_chain->ca);
	Gatehouse__Core__Ca *reply = &a->body.ca;
	int e = ca ? keys_append_chain_of(ca, a->call->get_key_chain->key, &a->text) : CA_CALL_NOT_FOUND;

	gatehouse__core__ca__init(reply);
	reply->call = e < 0 ? GATEHOUSE__CORE__CALL__CALL_FAILED : (Gatehouse__Core__Call)e;
	if (ca)
		reply->name = (char *)(uintptr_t)ca->name;
	reply->chain.data = a->text.ptr;
	reply->chain.len = a->text.len;
	a->reply.what_case = GATEHOUSE__CORE__MESSAGE__WHAT_CA;
	a->reply.ca = reply;
}

/* `call`: how the call ended. */
static void reply_outcome(struct answer *a, int call)
{
	if (call < 0)
		log_error("core.call.failed", "intermediary", a->by->name, "error", strerror(-call));
	else if (call == CA_CALL_REFUSED && !a->out.is_noted)
		log_warn("core.call.refused", "intermediary", a->by->name, "why", a->out.reason);
	gatehouse__core__outcome__init(&a->body.outcome);
	message_from_outcome(call, &a->out, &a->body.outcome);
	a->reply.what_case = GATEHOUSE__CORE__MESSAGE__WHAT_OUTCOME;
	a->reply.outcome = &a->body.outcome;
}

static int refuse(struct answer *a, const char *why)
{
	a->out.disposition = CA_ERROR;
	snprintf(a->out.reason, sizeof(a->out.reason), "%s", why);
	return CA_CALL_REFUSED;
}

static void submit(struct answer *a)
{
	struct ca *ca = find_ca(a, a->call->submit->ca);
	struct ca_submission s;
	const char *why;
	int e = ca ? message_to_submission(a->arena, a->call->submit, &s, &why) : CA_CALL_REFUSED;

	if (!e)
		e = pipeline_submit(ca, a->by, &s, &a->out);
	else if (e > 0)
		e = refuse(a, ca ? why : "this core has no such CA for this intermediary");
	reply_outcome(a, e);
}

static void ask(struct answer *a, const Gatehouse__Core__Ask *q, bool collects)
{
	struct ca *ca = find_ca(a, q->ca);

	reply_outcome(a, ca ? pipeline_ask(ca, a->by, q->requester, q->request, collects, &a->out) : CA_CALL_NOT_FOUND);
}

static void peek(struct answer *a)
{
	ask(a, a->call->peek, false);
}

static void retrieve(struct answer *a)
{
	ask(a, a->call->retrieve, true);
}

static void poll_request(struct answer *a)
{
	const Gatehouse__Core__Poll *q = a->call->poll;
	struct ca *ca = find_ca(a, q->ca);

	if (q->poll_key.len != CA_POLL_KEY_SIZE)
		reply_outcome(a, refuse(a, "a poll key has 32 octets"));
	else
		reply_outcome(a, ca ? pipeline_poll(ca, a->by, q->endpoint, q->poll_key.data, &a->out) :
				      CA_CALL_NOT_FOUND);
}

static void revoke_certificate(struct answer *a)
{
	struct ca *ca = find_ca(a, a->call->revoke->ca);
	struct ca_revocation v;
	const char *why;
	int e = ca ? message_to_revocation(a->arena, a->call->revoke, &v, &why) : CA_CALL_REFUSED;

	if (!e)
		e = pipeline_revoke(ca, a->by, &v, &a->out);
	else if (e > 0)
		e = refuse(a, ca ? why : "this core has no such CA for this intermediary");
	reply_outcome(a, e);
}

static void withdraw(struct answer *a)
{
	const Gatehouse__Core__Withdraw *q = a->call->withdraw;
	struct ca *ca = find_ca(a, q->ca);
	int e = ca ? pipeline_withdraw(ca, a->by, q->endpoint, q->requester, q->reason, &a->out) :
		     refuse(a, "this core has no such CA for this intermediary");

	reply_outcome(a, e);
}

static int check_claim(struct answer *a, const Gatehouse__Core__CheckCredential *q)
{
	struct ca_credential_claim claim = { 0 };
	const char *why = "this core has no such CA for this intermediary";
	int e = CA_CALL_REFUSED;

	if (find_ca(a, q->ca) && q->credential)
		e = message_to_claim(q->credential, &claim, &why);
	claim.endpoint = q->endpoint;
	claim.source_address = *q->source_address ? q->source_address : NULL;
	claim.names = message_to_names(a->arena, q->names, q->n_names);
	claim.n_names = q->n_names;
	if (!claim.names)
		return -ENOMEM;
	if (!e)
		return credentials_check(a->core, a->by, &claim, &a->checked);
	snprintf(a->checked.reason, sizeof(a->checked.reason), "%s", why);
	return e;
}

static void check_credential(struct answer *a)
{
	int e = check_claim(a, a->call->check_credential);

	if (e < 0)
		log_error("core.call.failed", "intermediary", a->by->name, "error", strerror(-e));
	gatehouse__core__checked__init(&a->body.checked);
	message_from_checked(e, &a->checked, &a->body.checked);
	a->reply.what_case = GATEHOUSE__CORE__MESSAGE__WHAT_CHECKED;
	a->reply.checked = &a->body.checked;
}

static int delegate(struct answer *a, const Gatehouse__Core__DelegateChallenge *q)
{
	struct ca *ca = find_ca(a, q->ca);
	struct ca_credential_claim claim = { 0 };
	struct ca_delegation d;
	const char *why = "this core has no such CA for this intermediary";
	int e = ca ? message_to_delegation(q, &claim, &d, &why) : CA_CALL_REFUSED;

	if (!e)
		return delegate_challenge(ca, a->by, &d, &a->delegated);
	snprintf(a->delegated.reason, sizeof(a->delegated.reason), "%s", why);
	return e;
}

static void answer_delegate(struct answer *a)
{
	int e = delegate(a, a->call->delegate_challenge);

	if (e < 0)
		log_error("core.call.failed", "intermediary", a->by->name, "error", strerror(-e));
	gatehouse__core__delegated__init(&a->body.delegated);
	message_from_delegated(e, &a->delegated, &a->body.delegated);
	a->reply.what_case = GATEHOUSE__CORE__MESSAGE__WHAT_DELEGATED;
	a->reply.delegated = &a->body.delegated;
}

static void get_crl(struct answer *a)
{
	const Gatehouse__Core__GetCrl *q = a->call->get_crl;
	struct ca *ca = find_ca(a, q->ca);
	Gatehouse__Core__Crl *reply = &a->body.crl;
	struct ca_crl info = { 0 };
	int e = CA_CALL_NOT_FOUND;

	if (ca)
		e = publisher_read(a->core->publisher, ca, q->key_index, q->partition, q->number, q->offset,
				   q->only_info ? NULL : &a->text, &info);
	gatehouse__core__crl__init(reply);
	reply->call = e < 0 ? GATEHOUSE__CORE__CALL__CALL_FAILED : (Gatehouse__Core__Call)e;
	reply->number = info.number;
	reply->this_update_s = info.this_update_s;
	reply->next_update_s = info.next_update_s;
	reply->size = info.size;
	reply->octets = (ProtobufCBinaryData){ a->text.len, a->text.ptr };
	a->reply.what_case = GATEHOUSE__CORE__MESSAGE__WHAT_CRL;
	a->reply.crl = reply;
}

static void get_certificate(struct answer *a)
{
	const Gatehouse__Core__GetCertificate *q = a->call->get_certificate;
	const struct ca_certificate_id id = { bytes_of(q->issuer.data, q->issuer.len),
					      bytes_of(q->serial.data, q->serial.len) };
	struct ca *ca = find_ca(a, q->ca);
	Gatehouse__Core__Certificate *reply = &a->body.certificate;
	int e = ca ? pipeline_get_certificate(ca, a->by, &id, &a->certificate) : CA_CALL_NOT_FOUND;

	gatehouse__core__certificate__init(reply);
	reply->call = e < 0 ? GATEHOUSE__CORE__CALL__CALL_FAILED : (Gatehouse__Core__Call)e;
	reply->certificate = (ProtobufCBinaryData){ a->certificate.der.len, a->certificate.der.ptr };
	reply->key_index = a->certificate.key_index;
	reply->partition = a->certificate.partition;
	a->reply.what_case = GATEHOUSE__CORE__MESSAGE__WHAT_CERTIFICATE;
	a->reply.certificate = reply;
}

static void ocsp(struct answer *a)
{
	Gatehouse__Core__OcspAnswer *reply = &a->body.ocsp;
	const ProtobufCBinaryData *request = &a->call->ocsp->request;
	int e = find_ca(a, a->call->ocsp->ca) ?
			ocsp_answer(a->core, a->by, bytes_of(request->data, request->len), &a->status) :
			ocsp_answer_failure(OCSP_OUTCOME_UNAUTHORIZED, &a->status);

	gatehouse__core__ocsp_answer__init(reply);
	if (e)
		reply->call = GATEHOUSE__CORE__CALL__CALL_FAILED;
	reply->response.data = a->status.der.ptr;
	reply->response.len = a->status.der.len;
	reply->this_update_s = a->status.this_update_s;
	reply->next_update_s = a->status.next_update_s;
	reply->is_cachable = a->status.is_cachable;
	a->reply.what_case = GATEHOUSE__CORE__MESSAGE__WHAT_OCSP_ANSWER;
	a->reply.ocsp_answer = reply;
}

static void get_request_form(struct answer *a)
{
	const Gatehouse__Core__GetRequestForm *q = a->call->get_request_form;
	const struct ca *ca = find_ca(a, q->ca);
	struct ca_request_form form = { 0 };
	int e = ca ? request_form_get(ca, a->by, q->endpoint, q->profile, a->arena, &form) : CA_CALL_NOT_FOUND;

	gatehouse__core__request_form__init(&a->body.form);
	if (!e)
		e = message_from_request_form(a->arena, &form, &a->body.form);
	a->body.form.call = e < 0 ? GATEHOUSE__CORE__CALL__CALL_FAILED : (Gatehouse__Core__Call)e;
	a->reply.what_case = GATEHOUSE__CORE__MESSAGE__WHAT_REQUEST_FORM;
	a->reply.request_form = &a->body.form;
}

static void get_health(struct answer *a)
{
	Gatehouse__Core__Health *reply = &a->body.health;

	gatehouse__core__health__init(reply);
	reply->is_well = ca_core_health(a->core, &a->text);
	reply->text = (char *)(uintptr_t)buf_str(&a->text);
	a->reply.what_case = GATEHOUSE__CORE__MESSAGE__WHAT_HEALTH;
	a->reply.health = reply;
}

static void take_report(struct answer *a)
{
	const Gatehouse__Core__Report *q = a->call->report;
	Gatehouse__Core__Reported *reply = &a->body.reported;

	gatehouse__core__reported__init(reply);
	if (a->by->peer != BINDING_INHERITED)
		reply->call = GATEHOUSE__CORE__CALL__CALL_REFUSED;
	else if (reports_take(a->core, q->is_well, bytes_of_str(q->text)))
		reply->call = GATEHOUSE__CORE__CALL__CALL_FAILED;
	a->reply.what_case = GATEHOUSE__CORE__MESSAGE__WHAT_REPORTED;
	a->reply.reported = reply;
}

/* The figures tell of everybody's requests: they are for the operator's own daemon. */
static void get_metrics(struct answer *a)
{
	Gatehouse__Core__Metrics *reply = &a->body.metrics;

	gatehouse__core__metrics__init(reply);
	if (a->by->peer == BINDING_INHERITED)
		ca_core_metrics(a->core, &a->text);
	else
		reply->call = GATEHOUSE__CORE__CALL__CALL_REFUSED;
	reply->text = (char *)(uintptr_t)buf_str(&a->text);
	a->reply.what_case = GATEHOUSE__CORE__MESSAGE__WHAT_METRICS;
	a->reply.metrics = reply;
}

static const struct {
	Gatehouse__Core__Message__WhatCase what;
	void (*answer)(struct answer *a);
} calls[] = {
	{ GATEHOUSE__CORE__MESSAGE__WHAT_LOCATE, locate },
	{ GATEHOUSE__CORE__MESSAGE__WHAT_SUBMIT, submit },
	{ GATEHOUSE__CORE__MESSAGE__WHAT_PEEK, peek },
	{ GATEHOUSE__CORE__MESSAGE__WHAT_RETRIEVE, retrieve },
	{ GATEHOUSE__CORE__MESSAGE__WHAT_POLL, poll_request },
	{ GATEHOUSE__CORE__MESSAGE__WHAT_REVOKE, revoke_certificate },
	{ GATEHOUSE__CORE__MESSAGE__WHAT_WITHDRAW, withdraw },
	{ GATEHOUSE__CORE__MESSAGE__WHAT_CHECK_CREDENTIAL, check_credential },
	{ GATEHOUSE__CORE__MESSAGE__WHAT_DELEGATE_CHALLENGE, answer_delegate },
	{ GATEHOUSE__CORE__MESSAGE__WHAT_GET_CRL, get_crl },
	{ GATEHOUSE__CORE__MESSAGE__WHAT_GET_CERTIFICATE, get_certificate },
	{ GATEHOUSE__CORE__MESSAGE__WHAT_OCSP, ocsp },
	{ GATEHOUSE__CORE__MESSAGE__WHAT_GET_KEY_CHAIN, get_key_chain },
	{ GATEHOUSE__CORE__MESSAGE__WHAT_GET_REQUEST_FORM, get_request_form },
	{ GATEHOUSE__CORE__MESSAGE__WHAT_GET_HEALTH, get_health },
	{ GATEHOUSE__CORE__MESSAGE__WHAT_GET_METRICS, get_metrics },
	{ GATEHOUSE__CORE__MESSAGE__WHAT_REPORT, take_report },
};

static int answer_call(struct answer *a, struct buf *reply)
{
	for (size_t i = 0; i < sizeof(calls) / sizeof(*calls); i++) {
		if (calls[i].what != a->call->what_case)
			continue;
		calls[i].answer(a);
		return message_pack(&a->reply, reply);
	}
	return -EBADMSG;
}

/* From outside: its texts are looked at too. */
static Message *unpack(struct arena *arena, struct bytes octets)
{
	return message_text_is_good(&gatehouse__core__message__descriptor, octets) ? message_unpack(arena, octets) :
										      NULL;
}

int intermediaries_answer(struct ca_core *core, const struct binding *by, struct bytes octets, struct buf *reply)
{
	struct answer a = { .core = core, .by = by, .reply = GATEHOUSE__CORE__MESSAGE__INIT, .out = CA_OUTCOME_INIT,
			    .status = CA_OCSP_ANSWER_INIT, .certificate = CA_CERTIFICATE_INIT,
			    .text = BUF_INIT(REPLY_TEXT_MAX) };
	int e = arena_new(&a.arena, MESSAGE_ARENA_MAX);

	if (!e) {
		a.call = unpack(a.arena, octets);
		e = a.call ? answer_call(&a, reply) : -EBADMSG;
	}
	ca_outcome_fini(&a.out);
	explicit_bzero(&a.delegated, sizeof(a.delegated));
	buf_fini(&a.status.der);
	buf_fini(&a.certificate.der);
	buf_fini(&a.text);
	arena_drop(&a.arena);
	return e;
}

/* ---- connections ---- */

static int answer_peer(void *arg, struct bytes octets, struct buf *reply)
{
	const struct peer *p = arg;

	return intermediaries_answer(p->all->core, p->by, octets, reply);
}

/* What is wrong with a peer's first message; NULL: nothing. */
static const char *judge_hello(const struct peer *p, const Message *m)
{
	if (!m || m->what_case != GATEHOUSE__CORE__MESSAGE__WHAT_HELLO)
		return "a connection begins with Hello";
	if (!p->by)
		return "no intermediary is configured for this peer; see core: intermediaries:";
	if (m->hello->version != CORE_VERSION)
		return "this core speaks version 1 of the protocol";
	return NULL;
}

static int list_cas(const struct peer *p, struct arena *arena, Gatehouse__Core__HelloReply *reply)
{
	struct ca_core *core = p->all->core;

	reply->cas = arena_alloc(arena, core->n_cas * sizeof(*reply->cas));
	for (size_t i = 0; reply->cas && i < core->n_cas; i++)
		if (core_may_use_ca(core, p->by, &core->cas[i]))
			reply->cas[reply->n_cas++] = (char *)(uintptr_t)core->cas[i].name;
	return reply->cas ? 0 : -ENOMEM;
}

static void log_hello(const struct peer *p, const Message *m, const char *why)
{
	char software[SOFTWARE_MAX + 1] = "";

	if (m && m->what_case == GATEHOUSE__CORE__MESSAGE__WHAT_HELLO)
		snprintf(software, sizeof(software), "%s", m->hello->software);
	if (why)
		log_warn("intermediary.refused", "peer", p->who, "software", software, "why", why);
	else
		log_info("intermediary.connected", "name", p->by->name, "peer", p->who, "software", software);
}

static int greet_peer(void *arg, struct bytes octets, struct buf *out)
{
	struct peer *p = arg;
	Gatehouse__Core__HelloReply hello = GATEHOUSE__CORE__HELLO_REPLY__INIT;
	Message reply = GATEHOUSE__CORE__MESSAGE__INIT;
	OWNED(arena) arena = NULL;
	const Message *m;
	const char *why;
	int e = arena_new(&arena, MESSAGE_ARENA_MAX);

	if (e)
		return e;
	m = unpack(arena, octets);
	why = judge_hello(p, m);
	log_hello(p, m, why);
	hello.version = CORE_VERSION;
	hello.window = CORE_WINDOW;
	if (why)
		hello.refusal = (char *)(uintptr_t)why;
	else
		hello.intermediary = (char *)(uintptr_t)p->by->name;
	e = why ? 0 : list_cas(p, arena, &hello);
	reply.what_case = GATEHOUSE__CORE__MESSAGE__WHAT_HELLO_REPLY;
	reply.hello_reply = &hello;
	if (!e)
		e = message_pack(&reply, out);
	return e ? e : why ? -EACCES : 0;
}

/* The place where connections like this one are counted. */
static unsigned *count_of(struct intermediaries *i, const struct binding *by)
{
	return by ? &i->n_peers[by - i->core->bindings.all] : &i->n_strangers;
}

static void peer_gone(void *arg)
{
	struct peer *p = arg;

	pthread_mutex_lock(&p->all->lock);
	--*count_of(p->all, p->by);
	pthread_mutex_unlock(&p->all->lock);
	free(p);
}

static bool take_place(struct intermediaries *i, const struct binding *by)
{
	unsigned *count = count_of(i, by);
	bool fits;

	pthread_mutex_lock(&i->lock);
	fits = *count < (by ? CONNECTIONS_EACH : STRANGERS_MAX);
	*count += fits;
	pthread_mutex_unlock(&i->lock);
	return fits;
}

/* `by` NULL: a stranger, who is told so when he has said Hello. */
static int add_peer(struct intermediaries *i, int take_fd, const struct binding *by, const char *who)
{
	struct peer *p = calloc(1, sizeof(*p));
	int e = p ? 0 : -ENOMEM;

	if (!e && !take_place(i, by))
		e = -EBUSY;
	if (e) {
		log_warn("intermediary.refused", "peer", who, "why", "too many connections");
		close(take_fd);
		free(p);
		return e;
	}
	*p = (struct peer){ .all = i, .by = by };
	snprintf(p->who, sizeof(p->who), "%s", who);
	e = wire_server_add(i->server, take_fd, p);
	if (e)
		peer_gone(p);
	return e;
}

int intermediaries_inherit(struct intermediaries *i, int take_fd)
{
	return add_peer(i, take_fd, &i->core->bindings.all[0], "inherited");
}

static void add_unix_peer(struct intermediaries *i, int fd)
{
	struct ucred cred;
	socklen_t n = sizeof(cred);
	char who[64];

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &n)) {
		close(fd);
		return;
	}
	snprintf(who, sizeof(who), "user %u", (unsigned)cred.uid);
	(void)add_peer(i, fd, bindings_find_user(&i->core->bindings, cred.uid), who);
}

/* ---- listening ---- */

static void accept_one(struct intermediaries *i)
{
	int fd = accept4(i->unix_fd, NULL, NULL, SOCK_CLOEXEC);

	if (fd >= 0)
		add_unix_peer(i, fd);
	else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)
		usleep(100000);
}

static void *accept_all(void *arg)
{
	struct intermediaries *i = arg;
	/* A negative descriptor is left out. */
	struct pollfd polls[] = { { i->wake_fd, POLLIN, 0 },
				  { i->unix_fd, POLLIN, 0 },
				  { i->tls ? tls_door_fd(i->tls) : -1, POLLIN, 0 } };

	for (;;) {
		if (poll(polls, 3, -1) < 0)
			continue;
		if (polls[0].revents)
			return NULL;
		if (polls[1].revents)
			accept_one(i);
		if (polls[2].revents)
			tls_door_accept(i->tls);
	}
}

static void enter_tls(void *arg, int take_plain, const struct binding *by, const char *who)
{
	(void)add_peer(arg, take_plain, by, who);
}

static int start_server(struct intermediaries *i, const struct conf_section *conf)
{
	struct pool_options pool = { .threads = (unsigned)conf_int(conf, "workers"),
				     .queue = CONNECTIONS_MAX * CORE_WINDOW };
	struct wire_server_options server = { .name = "core", .window = CORE_WINDOW,
					      .deadline_field = MESSAGE_DEADLINE, .greet = greet_peer,
					      .answer = answer_peer, .gone = peer_gone };
	int e = pool_new(&i->pool, &pool);

	server.pool = i->pool;
	return e ? e : wire_server_new(&i->server, &server);
}

int intermediaries_start(struct intermediaries **out, struct ca_core *core, int unix_fd, int remote_fd,
			 struct conf_error *error)
{
	const struct conf_section *conf = conf_section(core->conf, "core");
	struct intermediaries *i = calloc(1, sizeof(*i));
	int e;

	if (!i)
		return -ENOMEM;
	i->core = core;
	i->unix_fd = unix_fd;
	pthread_mutex_init(&i->lock, NULL);
	i->n_peers = calloc(core->bindings.n, sizeof(*i->n_peers));
	i->wake_fd = eventfd(0, EFD_CLOEXEC);
	e = i->n_peers ? 0 : -ENOMEM;
	if (!e && i->wake_fd < 0)
		e = -errno;
	if (!e)
		e = start_server(i, conf);
	if (!e && remote_fd >= 0)
		e = tls_door_start(&i->tls, remote_fd, conf_section(conf, "listen"), &core->bindings, enter_tls, i,
				   error);
	if (!e && (unix_fd >= 0 || remote_fd >= 0)) {
		e = -pthread_create(&i->thread, NULL, accept_all, i);
		i->has_thread = e == 0;
	}
	if (e)
		intermediaries_stop(&i);
	else
		*out = i;
	return e;
}

static void stop_listening(struct intermediaries *i)
{
	uint64_t one = 1;

	if (i->has_thread) {
		(void)!write(i->wake_fd, &one, sizeof(one));
		pthread_join(i->thread, NULL);
	}
}

void intermediaries_stop(struct intermediaries **ip)
{
	struct intermediaries *i = *ip;

	if (!i)
		return;
	stop_listening(i);
	/* Whoever ends its handshake now still enters the server. */
	tls_door_stop(&i->tls);
	wire_server_drop(&i->server);
	pool_drop(&i->pool);
	if (i->wake_fd >= 0)
		close(i->wake_fd);
	pthread_mutex_destroy(&i->lock);
	free(i->n_peers);
	free(i);
	*ip = NULL;
}
