/* How an intermediary finds its CA: the core of this process, connections to others, and the calls through the door.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "core/registry.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "core/base/own.h"
#include "core/connect.h"
#include "core/core_int.h"
#include "core/credentials.h"
#include "core/delegate.h"
#include "core/door.h"
#include "core/publish.h"
#include "core/keys.h"
#include "core/ocsp.h"
#include "core/registry_int.h"
#include "core/remote.h"
#include "core/reports.h"
#include "core/request_form.h"

#define CRL_TRIES 3

/* A core in another process. It lives as long as a door to it, or a question about its health. */
struct address {
	struct address *next;
	unsigned users;
	bool is_kept; /* a connection was given to it: it stays without users too */
	struct remote *remote;
	const struct scheme *scheme;
	char text[]; /* "unix:/run/gatehouse/core.sock" */
};

static struct {
	pthread_mutex_t lock;
	struct ca_core *core; /* of this process: set before any adapter starts, cleared after the last one stopped */
	struct address *addresses;
	void (*_Atomic lost)(void); /* told when the inherited connection broke */
} registry = { .lock = PTHREAD_MUTEX_INITIALIZER };

/* ---- the core of this process ---- */

struct direct_door {
	struct ca_door door;
	struct ca *ca;
	struct binding intermediary;
	char *name; /* of the intermediary */
};

void registry_publish(struct ca_core *core)
{
	pthread_mutex_lock(&registry.lock);
	registry.core = core;
	pthread_mutex_unlock(&registry.lock);
}

void registry_withdraw(struct ca_core *core)
{
	pthread_mutex_lock(&registry.lock);
	if (registry.core == core)
		registry.core = NULL;
	pthread_mutex_unlock(&registry.lock);
}

static struct ca_core *core_of_this_process(void)
{
	struct ca_core *core;

	pthread_mutex_lock(&registry.lock);
	core = registry.core;
	pthread_mutex_unlock(&registry.lock);
	return core;
}

static int direct_submit(struct ca_door *door, const struct ca_submission *s, struct ca_outcome *out)
{
	const struct direct_door *d = (struct direct_door *)door;

	return pipeline_submit(d->ca, &d->intermediary, s, out);
}

static int direct_ask(struct ca_door *door, const char *requester, int64_t id, bool collects, struct ca_outcome *out)
{
	const struct direct_door *d = (struct direct_door *)door;

	return pipeline_ask(d->ca, &d->intermediary, requester, id, collects, out);
}

static int direct_poll(struct ca_door *door, const char *endpoint, const uint8_t *poll_key, struct ca_outcome *out)
{
	const struct direct_door *d = (struct direct_door *)door;

	return pipeline_poll(d->ca, &d->intermediary, endpoint, poll_key, out);
}

static int direct_revoke(struct ca_door *door, const struct ca_revocation *revocation, struct ca_outcome *out)
{
	const struct direct_door *d = (struct direct_door *)door;

	return pipeline_revoke(d->ca, &d->intermediary, revocation, out);
}

static int direct_withdraw(struct ca_door *door, const char *endpoint, const char *requester, const char *reason,
			   struct ca_outcome *out)
{
	const struct direct_door *d = (struct direct_door *)door;

	return pipeline_withdraw(d->ca, &d->intermediary, endpoint, requester, reason, out);
}

static int direct_check_credential(struct ca_door *door, const struct ca_credential_claim *claim,
				   struct ca_credential_answer *answer)
{
	const struct direct_door *d = (struct direct_door *)door;

	return credentials_check(d->ca->core, &d->intermediary, claim, answer);
}

static int direct_delegate(struct ca_door *door, const struct ca_delegation *delegation, struct ca_delegated *out)
{
	const struct direct_door *d = (struct direct_door *)door;

	return delegate_challenge(d->ca, &d->intermediary, delegation, out);
}

static int direct_get_crl(struct ca_door *door, unsigned key_index, unsigned partition, uint64_t number,
			  uint64_t offset, struct buf *out, struct ca_crl *info)
{
	const struct ca *ca = ((const struct direct_door *)door)->ca;

	return publisher_read(ca->core->publisher, ca, key_index, partition, number, offset, out, info);
}

static int direct_get_certificate(struct ca_door *door, const struct ca_certificate_id *id, struct ca_certificate *out)
{
	const struct direct_door *d = (struct direct_door *)door;

	return pipeline_get_certificate(d->ca, &d->intermediary, id, out);
}

static int direct_ocsp(struct ca_door *door, struct bytes request, struct ca_ocsp_answer *out)
{
	const struct direct_door *d = (struct direct_door *)door;

	return ocsp_answer(d->ca->core, &d->intermediary, request, out);
}

static int direct_get_key_chain(struct ca_door *door, unsigned key_index, struct buf *out)
{
	return keys_append_chain_of(((struct direct_door *)door)->ca, key_index, out);
}

static int direct_get_chain(struct ca_door *door, struct buf *out)
{
	const struct ca_key *key = ca_current_key(((struct direct_door *)door)->ca);

	return key ? keys_append_chain(key, out) : 0;
}

static int direct_get_request_form(struct ca_door *door, const char *endpoint, const char *profile,
				   struct arena *arena, struct ca_request_form *out)
{
	const struct direct_door *d = (struct direct_door *)door;

	return request_form_get(d->ca, &d->intermediary, endpoint, profile, arena, out);
}

static const char *direct_name(const struct ca_door *door)
{
	return ((const struct direct_door *)door)->ca->name;
}

static void direct_drop(struct ca_door *door)
{
	free(((struct direct_door *)door)->name);
	free(door);
}

static const struct ca_door_calls direct_calls = {
	.submit = direct_submit,
	.ask = direct_ask,
	.poll = direct_poll,
	.revoke = direct_revoke,
	.withdraw = direct_withdraw,
	.check_credential = direct_check_credential,
	.delegate = direct_delegate,
	.get_crl = direct_get_crl,
	.get_certificate = direct_get_certificate,
	.ocsp = direct_ocsp,
	.get_key_chain = direct_get_key_chain,
	.get_chain = direct_get_chain,
	.get_request_form = direct_get_request_form,
	.name = direct_name,
	.drop = direct_drop,
};

static int direct_locate(struct ca_door **out, const char *ca_name, const char *intermediary)
{
	struct ca_core *core = core_of_this_process();
	struct ca *ca = core ? core_find_ca(core, ca_name) : NULL;
	struct direct_door *d;

	if (!ca)
		return core ? CA_LOCATE_UNKNOWN_CA : CA_LOCATE_AWAY;
	d = calloc(1, sizeof(*d));
	if (!d)
		return -ENOMEM;
	d->door.calls = &direct_calls;
	d->ca = ca;
	d->name = strdup(intermediary);
	if (!d->name) {
		free(d);
		return -ENOMEM;
	}
	/* In this process everybody is the gateway that the core was started with. */
	d->intermediary = (struct binding){ .name = d->name, .peer = BINDING_INHERITED };
	trace_event(core->trace, "locate", 0, "\"intermediary\":\"%s\",\"ca\":\"%s\"", intermediary, ca->name);
	*out = &d->door;
	return 0;
}

/* ---- cores in other processes ---- */

static const struct scheme {
	const char *prefix;
	/* To what stands behind the prefix; NULL: connections come by ca_link_attach(). */
	int (*connect)(const char *where);
} schemes[] = {
	{ "link:", NULL },
	{ "unix:", connect_unix },
	{ "tls://", connect_tls },
};

static int connect_address(void *arg)
{
	const struct address *a = arg;

	return a->scheme->connect(a->text + strlen(a->scheme->prefix));
}

static const struct scheme *find_scheme(const char *text)
{
	for (size_t i = 0; i < sizeof(schemes) / sizeof(*schemes); i++) {
		size_t n = strlen(schemes[i].prefix);

		if (strncmp(text, schemes[i].prefix, n) == 0 && (text[n] == '\0') == !schemes[i].connect)
			return &schemes[i];
	}
	return NULL;
}

/* Whoever gave the connection can give another. */
static void link_lost(void *arg)
{
	void (*tell)(void) = atomic_load(&registry.lost);

	if (tell)
		tell();
}

void ca_link_when_lost(void (*tell)(void))
{
	atomic_store(&registry.lost, tell);
}

static int new_address(struct address **out, const char *text, const struct scheme *scheme)
{
	size_t n = strlen(text) + 1;
	struct address *a = calloc(1, sizeof(*a) + n);
	int e;

	if (!a)
		return -ENOMEM;
	memcpy(a->text, text, n);
	a->scheme = scheme;
	e = remote_new(&a->remote, scheme->connect ? connect_address : NULL, scheme->connect ? NULL : link_lost, a);
	if (e) {
		free(a);
		return e;
	}
	a->next = registry.addresses;
	registry.addresses = a;
	*out = a;
	return 0;
}

/* The address, made when it is new; address_leave() follows. 0; CA_LOCATE_BAD_STRING; -ENOMEM. */
static int address_use(struct address **out, const char *text)
{
	const struct scheme *scheme = find_scheme(text);
	struct address *a;
	int e = 0;

	if (!scheme)
		return CA_LOCATE_BAD_STRING;
	pthread_mutex_lock(&registry.lock);
	for (a = registry.addresses; a && strcmp(a->text, text) != 0; a = a->next)
		;
	if (!a)
		e = new_address(&a, text, scheme);
	if (!e) {
		a->users++;
		*out = a;
	}
	pthread_mutex_unlock(&registry.lock);
	return e;
}

static void address_leave(struct address *a)
{
	struct address **at = &registry.addresses;

	pthread_mutex_lock(&registry.lock);
	if (--a->users == 0 && !a->is_kept) {
		while (*at != a)
			at = &(*at)->next;
		*at = a->next;
	} else {
		a = NULL;
	}
	pthread_mutex_unlock(&registry.lock);
	if (a)
		remote_drop(&a->remote);
	free(a);
}

int ca_link_attach(int take_fd)
{
	struct address *a;
	int e = address_use(&a, "link:");

	if (e) {
		if (take_fd >= 0)
			close(take_fd);
		return e;
	}
	remote_attach(a->remote, take_fd);
	pthread_mutex_lock(&registry.lock);
	a->is_kept = take_fd >= 0;
	pthread_mutex_unlock(&registry.lock);
	address_leave(a);
	return 0;
}

static int remote_locate_at(struct ca_door **out, const char *address, const char *ca)
{
	struct address *a;
	int e = address_use(&a, address);

	if (e)
		return e;
	e = remote_locate(a->remote, out, ca);
	if (e)
		address_leave(a);
	else
		(*out)->address = a;
	return e;
}

/* ---- the door ---- */

static bool is_direct(const char *address)
{
	return strcmp(address, "direct:") == 0;
}

int ca_locate(struct ca_door **out, const char *config_string, const char *intermediary)
{
	const char *hash = strchr(config_string, '#');
	OWNED_STR address = hash ? strndup(config_string, (size_t)(hash - config_string)) : NULL;

	if (!hash || !hash[1])
		return CA_LOCATE_BAD_STRING;
	if (!address)
		return -ENOMEM;
	if (is_direct(address))
		return direct_locate(out, hash + 1, intermediary);
	return remote_locate_at(out, address, hash + 1);
}

void ca_door_drop(struct ca_door **door)
{
	struct address *address;

	if (!*door)
		return;
	address = (*door)->address;
	(*door)->calls->drop(*door);
	if (address)
		address_leave(address);
	*door = NULL;
}

const char *ca_door_name(const struct ca_door *door)
{
	return door->calls->name(door);
}

int ca_submit(struct ca_door *door, const struct ca_submission *submission, struct ca_outcome *out)
{
	return door->calls->submit(door, submission, out);
}

int ca_peek(struct ca_door *door, const char *requester, int64_t id, struct ca_outcome *out)
{
	return door->calls->ask(door, requester, id, false, out);
}

int ca_retrieve(struct ca_door *door, const char *requester, int64_t id, struct ca_outcome *out)
{
	return door->calls->ask(door, requester, id, true, out);
}

int ca_poll(struct ca_door *door, const char *endpoint, const uint8_t poll_key[static CA_POLL_KEY_SIZE],
	    struct ca_outcome *out)
{
	return door->calls->poll(door, endpoint, poll_key, out);
}

int ca_delegate_challenge(struct ca_door *door, const struct ca_delegation *delegation, struct ca_delegated *out)
{
	*out = (struct ca_delegated){ 0 };
	return door->calls->delegate(door, delegation, out);
}

int ca_revoke(struct ca_door *door, const struct ca_revocation *revocation, struct ca_outcome *out)
{
	return door->calls->revoke(door, revocation, out);
}

int ca_withdraw(struct ca_door *door, const char *endpoint, const char *requester, const char *reason,
		struct ca_outcome *out)
{
	return door->calls->withdraw(door, endpoint, requester, reason, out);
}

int ca_check_credential(struct ca_door *door, const struct ca_credential_claim *claim,
			struct ca_credential_answer *answer)
{
	*answer = (struct ca_credential_answer){ 0 };
	return door->calls->check_credential(door, claim, answer);
}

int ca_get_crl_page(struct ca_door *door, unsigned key_index, unsigned partition, uint64_t number, uint64_t offset,
		    struct buf *out, struct ca_crl *info)
{
	return door->calls->get_crl(door, key_index, partition, number, offset, out, info);
}

/* Replaced while it is read: from the beginning, a few times at most. */
int ca_get_crl(struct ca_door *door, unsigned key_index, unsigned partition, struct buf *der, struct ca_crl *info)
{
	int e = CA_CALL_BUSY;

	for (int tries = 0; e == CA_CALL_BUSY && tries < CRL_TRIES; tries++) {
		uint64_t number = 0;

		buf_reset(der);
		do {
			e = ca_get_crl_page(door, key_index, partition, number, der->len, der, info);
			number = info->number;
		} while (!e && der->len < info->size);
	}
	return e;
}

int ca_get_certificate(struct ca_door *door, const struct ca_certificate_id *id, struct ca_certificate *out)
{
	return door->calls->get_certificate(door, id, out);
}

int ca_ocsp(struct ca_door *door, struct bytes request, struct ca_ocsp_answer *out)
{
	return door->calls->ocsp(door, request, out);
}

int ca_get_key_chain(struct ca_door *door, unsigned key_index, struct buf *out)
{
	return door->calls->get_key_chain(door, key_index, out);
}

int ca_get_chain(struct ca_door *door, struct buf *out)
{
	return door->calls->get_chain(door, out);
}

int ca_get_request_form(struct ca_door *door, const char *endpoint, const char *profile, struct arena *arena,
			struct ca_request_form *out)
{
	return door->calls->get_request_form(door, endpoint, profile, arena, out);
}

void ca_outcome_fini(struct ca_outcome *out)
{
	buf_fini(&out->certificate);
	buf_fini(&out->chain);
}

/* ---- health and figures ---- */

bool ca_door_health(const char *address, struct buf *out)
{
	struct ca_core *core = is_direct(address) ? core_of_this_process() : NULL;
	struct address *a;
	bool is_well;

	if (core)
		return ca_core_health(core, out);
	if (is_direct(address) || address_use(&a, address)) {
		buf_append_str(out, "core: is not there\n");
		return false;
	}
	is_well = remote_health(a->remote, out);
	address_leave(a);
	return is_well;
}

void ca_door_metrics(const char *address, struct buf *out)
{
	struct ca_core *core = is_direct(address) ? core_of_this_process() : NULL;
	struct address *a;

	if (core)
		ca_core_metrics(core, out);
	if (is_direct(address) || address_use(&a, address))
		return;
	remote_metrics(a->remote, out);
	address_leave(a);
}

int ca_door_report(const char *address, bool is_well, const char *text)
{
	struct ca_core *core = is_direct(address) ? core_of_this_process() : NULL;
	struct address *a;
	int e;

	if (core)
		return reports_take(core, is_well, bytes_of_str(text));
	if (is_direct(address))
		return -EAGAIN;
	e = address_use(&a, address);
	if (e)
		return e;
	e = remote_report(a->remote, is_well, text);
	address_leave(a);
	return e;
}
