/* The revocation lists of the CA (RFC 8295 4): one for each of its keys, in one message.
 *
 * Anybody may ask, and often; so the core is asked once a second at most, and the message is made once for each set of
 * lists. Lists that do not fit into one reply are for those who fetch them piece by piece, where certificates say.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "protocols/est/est_int.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/file.h"
#include "core/base/own.h"
#include "protocols/bundle.h"

#define KEYS_MAX 64
#define LISTS_MAX ((size_t)736 << 10) /* octets in DER, so that base64 of them with line breaks fits into a reply */
#define LOOK_EVERY_MS 1000

/* Which lists are in force. */
struct in_force {
	uint64_t numbers[KEYS_MAX]; /* by key; 0: it has none */
	int64_t end_s;              /* when the first of them ends */
	unsigned n;
};

/* One form of them. Whoever is slow keeps no copy: it lies in a file that all send from. */
struct form {
	struct http_octets *octets; /* NULL: not made yet, or too large */
	struct http_octets *before; /* what it replaced; some may still send it */
	bool is_too_large;
};

struct est_crls {
	atomic_flag is_asked;          /* somebody asks the core at this moment */
	pthread_mutex_t lock;          /* of what follows; never held while the core is asked */
	struct in_force sent;
	int64_t looked_ms;             /* monotonic */
	struct form forms[2];          /* in base64, without and with line breaks */
};

int est_crls_new(struct est_crls **out)
{
	struct est_crls *a = calloc(1, sizeof(*a));

	if (!a)
		return -ENOMEM;
	atomic_flag_clear(&a->is_asked);
	pthread_mutex_init(&a->lock, NULL);
	*out = a;
	return 0;
}

void est_crls_drop(struct est_crls **ap)
{
	struct est_crls *a = *ap;

	if (!a)
		return;
	for (int i = 0; i < 2; i++) {
		http_octets_drop(&a->forms[i].octets);
		http_octets_drop(&a->forms[i].before);
	}
	pthread_mutex_destroy(&a->lock);
	free(a);
	*ap = NULL;
}

static bool is_key(struct ca_door *ca, unsigned key)
{
	OWNED_BUF chain = BUF_INIT(EST_CERTIFICATES_MAX);

	return ca_get_key_chain(ca, key, &chain) != CA_CALL_NOT_FOUND;
}

/* A key that has ended has no list, and there may be others behind it. 0; CA_CALL_BUSY; negative. */
static int look(struct ca_door *ca, struct in_force *out)
{
	*out = (struct in_force){ .end_s = INT64_MAX };
	for (unsigned key = 0; key < KEYS_MAX; key++) {
		struct ca_crl info = { 0 };
		int e = ca_get_crl_page(ca, key, 0, 0, 0, NULL, &info);

		if (e == CA_CALL_NOT_FOUND && !is_key(ca, key))
			return 0;
		if (e && e != CA_CALL_NOT_FOUND)
			return e;
		if (e)
			continue;
		out->numbers[key] = info.number;
		out->n++;
		if (info.next_update_s < out->end_s)
			out->end_s = info.next_update_s;
	}
	return 0;
}

static int fetch(struct ca_door *ca, const struct in_force *lists, struct buf *out)
{
	for (unsigned key = 0; key < KEYS_MAX; key++) {
		OWNED_BUF der = BUF_INIT(LISTS_MAX);
		struct ca_crl info;
		int e = lists->numbers[key] ? ca_get_crl(ca, key, 0, &der, &info) : 0;

		if (!e)
			e = buf_append(out, buf_bytes(&der));
		if (e)
			return e;
	}
	return 0;
}

static int write_file(struct bytes text, struct http_octets **out)
{
	int fd = memfd_create("crls", MFD_CLOEXEC), e = fd < 0 ? -errno : file_write_all(fd, text);

	if (!e)
		return http_octets_new(out, fd, text.len);
	if (fd >= 0)
		close(fd);
	return e;
}

static int make(struct est_call *c, const struct in_force *lists, struct form *out)
{
	OWNED_BUF all = BUF_INIT(LISTS_MAX), bundle = BUF_INIT(LISTS_MAX + 256), text = BUF_INIT(HTTP_REPLY_BODY_MAX);
	int e = fetch(c->est->ca, lists, &all);

	if (!e)
		e = bundle_write_crls(buf_bytes(&all), &bundle);
	if (!e)
		e = est_base64_write(c, buf_bytes(&bundle), &text);
	out->is_too_large = e == -EMSGSIZE;
	return !e ? write_file(buf_bytes(&text), &out->octets) : out->is_too_large ? 0 : e;
}

static bool is_made(const struct form *f)
{
	return f->octets || f->is_too_large;
}

static bool is_same(struct est_crls *a, const struct in_force *now, int form)
{
	bool is;

	pthread_mutex_lock(&a->lock);
	is = is_made(&a->forms[form]) && memcmp(now->numbers, a->sent.numbers, sizeof(now->numbers)) == 0;
	pthread_mutex_unlock(&a->lock);
	return is;
}

/* Which lists are in force, and in `made` this form of them, unless it is there. */
static int ask(struct est_call *c, int form, struct in_force *now, struct form *made)
{
	int e;

	if (!est_enter_wait(c))
		return CA_CALL_BUSY;
	e = look(c->est->ca, now);
	if (!e && now->n == 0)
		e = CA_CALL_NOT_FOUND;
	if (!e && !is_same(c->est->crls, now, form))
		e = make(c, now, made);
	est_leave_wait(c);
	return e;
}

/* Who still sends what was replaced twice has had its time. */
static void supersede(struct form *f)
{
	if (!f->octets)
		return;
	if (f->before)
		http_octets_withdraw(f->before);
	http_octets_drop(&f->before);
	f->before = MOVE(f->octets);
}

/* With the lock. Nothing was made: it is there. */
static void keep(struct est_crls *a, const struct in_force *now, int form, struct form *made)
{
	if (!is_made(made))
		return;
	if (memcmp(now->numbers, a->sent.numbers, sizeof(now->numbers)) != 0)
		for (int i = 0; i < 2; i++) {
			supersede(&a->forms[i]);
			a->forms[i].is_too_large = false;
		}
	http_octets_drop(&a->forms[form].octets);
	a->forms[form].octets = MOVE(made->octets);
	a->forms[form].is_too_large = made->is_too_large;
	a->sent = *now;
}

/* With the lock. */
static bool is_in_force(const struct est_crls *a, int form)
{
	return is_made(&a->forms[form]) && clock_wall_s() < a->sent.end_s;
}

/* A core that does not answer leaves in force what it said last, until the end of that. */
static int refresh(struct est_call *c, int form)
{
	struct est_crls *a = c->est->crls;
	struct form made = { 0 };
	struct in_force now;
	int e = ask(c, form, &now, &made);

	pthread_mutex_lock(&a->lock);
	a->looked_ms = clock_mono_ms();
	if (!e)
		keep(a, &now, form, &made);
	else if (is_in_force(a, form))
		e = 0;
	pthread_mutex_unlock(&a->lock);
	http_octets_drop(&made.octets);
	return e;
}

/* Is there something to send, without asking? While one asks, the others send what there is. */
static bool is_there(struct est_crls *a, int form, bool is_asked)
{
	bool is;

	pthread_mutex_lock(&a->lock);
	is = is_in_force(a, form) && (is_asked || clock_mono_ms() - a->looked_ms < LOOK_EVERY_MS);
	pthread_mutex_unlock(&a->lock);
	return is;
}

static int reply(struct est_call *c, const struct form *f)
{
	struct est_crls *a = c->est->crls;
	int e;

	pthread_mutex_lock(&a->lock);
	e = f->is_too_large ? -EMSGSIZE : http_reply_large(c->r, 200, "application/pkcs7-mime", f->octets);
	pthread_mutex_unlock(&a->lock);
	return e;
}

int est_crls(struct est_call *c)
{
	struct est_crls *a = c->est->crls;
	bool is_asked = atomic_flag_test_and_set(&a->is_asked);
	int form = est_wants_lines(c), e = is_there(a, form, is_asked) ? 0 : refresh(c, form);

	if (!is_asked)
		atomic_flag_clear(&a->is_asked);
	if (!e)
		e = reply(c, &a->forms[form]);
	if (e == -EMSGSIZE)
		return est_refuse(c, 404, "the revocation lists are too large for this; fetch them where certificates "
					  "say");
	if (e > 0)
		return est_refuse_later(c, 503, 2, "there are no revocation lists at the moment");
	if (!e)
		e = http_reply_header(c->r, "Content-Transfer-Encoding", "base64");
	if (!e)
		atomic_fetch_add(&c->est->n_crls, 1);
	return e;
}
