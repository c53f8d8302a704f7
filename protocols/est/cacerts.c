/* The certificates of the CA (RFC 7030 4.1): what a client needs to verify whatever any key of the CA has signed.
 *
 * Anybody may ask, and often; so the core is asked once a second at most.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "protocols/est/est_int.h"

#include <errno.h>
#include <stdlib.h>

#include "core/base/clock.h"
#include "core/base/der.h"
#include "core/base/own.h"
#include "protocols/bundle.h"

#define KEYS_MAX 64
#define LOOK_EVERY_MS 1000

struct est_cacerts {
	atomic_flag is_asked; /* somebody asks the core at this moment */
	pthread_mutex_t lock; /* of what follows; never held while the core is asked */
	struct buf bundle;    /* as it is sent; empty: none yet */
	int64_t looked_ms;    /* monotonic */
};

int est_cacerts_new(struct est_cacerts **out)
{
	struct est_cacerts *a = calloc(1, sizeof(*a));

	if (!a)
		return -ENOMEM;
	atomic_flag_clear(&a->is_asked);
	pthread_mutex_init(&a->lock, NULL);
	a->bundle = BUF_INIT(EST_CERTIFICATES_MAX + 256);
	*out = a;
	return 0;
}

void est_cacerts_drop(struct est_cacerts **ap)
{
	struct est_cacerts *a = *ap;

	if (!a)
		return;
	buf_fini(&a->bundle);
	pthread_mutex_destroy(&a->lock);
	free(a);
	*ap = NULL;
}

static bool has_certificate(struct bytes all, struct bytes certificate)
{
	struct bytes content, whole;
	unsigned tag;

	while (der_read(&all, &tag, &content, &whole) == 0)
		if (bytes_equal(whole, certificate))
			return true;
	return false;
}

static int add_new(struct buf *all, struct bytes chain)
{
	struct bytes content, whole;
	unsigned tag;
	int e = 0;

	while (!e && chain.len) {
		if (der_read(&chain, &tag, &content, &whole))
			return -EBADMSG;
		if (!has_certificate(buf_bytes(all), whole))
			e = buf_append(all, whole);
	}
	return e;
}

/* Those of the current key first. Behind its own key's certificate comes NewWithOld, behind an old one's
 * OldWithNew, and each is there as it signed itself (RFC 4210 4.4). */
static int collect(struct ca_door *ca, struct buf *all)
{
	int e = ca_get_chain(ca, all);

	for (unsigned key = 0; !e && key < KEYS_MAX; key++) {
		OWNED_BUF chain = BUF_INIT(EST_CERTIFICATES_MAX);

		e = ca_get_key_chain(ca, key, &chain);
		if (e == CA_CALL_NOT_FOUND)
			return 0;
		if (!e)
			e = add_new(all, buf_bytes(&chain));
	}
	return e;
}

static int ask(struct est_call *c, struct buf *bundle)
{
	OWNED_BUF all = BUF_INIT(EST_CERTIFICATES_MAX);
	int e;

	if (!est_enter_wait(c))
		return CA_CALL_BUSY;
	e = collect(c->est->ca, &all);
	est_leave_wait(c);
	return e ? e : bundle_write_certificates(buf_bytes(&all), bundle);
}

/* A core that is away leaves what it said last. */
static int refresh(struct est_call *c)
{
	struct est_cacerts *a = c->est->cacerts;
	OWNED_BUF bundle = BUF_INIT(EST_CERTIFICATES_MAX + 256);
	int e = ask(c, &bundle);

	pthread_mutex_lock(&a->lock);
	a->looked_ms = clock_mono_ms();
	if (!e) {
		buf_reset(&a->bundle);
		e = buf_append(&a->bundle, buf_bytes(&bundle));
	} else if (a->bundle.len) {
		e = 0;
	}
	pthread_mutex_unlock(&a->lock);
	return e;
}

/* Is there something to send, without asking? While one asks, the others send what there is. */
static bool is_there(struct est_cacerts *a, bool is_asked)
{
	bool is;

	pthread_mutex_lock(&a->lock);
	is = a->bundle.len && (is_asked || clock_mono_ms() - a->looked_ms < LOOK_EVERY_MS);
	pthread_mutex_unlock(&a->lock);
	return is;
}

int est_cacerts(struct est_call *c)
{
	struct est_cacerts *a = c->est->cacerts;
	bool is_asked = atomic_flag_test_and_set(&a->is_asked);
	int e = is_there(a, is_asked) ? 0 : refresh(c);

	if (!is_asked)
		atomic_flag_clear(&a->is_asked);
	pthread_mutex_lock(&a->lock);
	if (!e)
		e = est_reply_base64(c, 200, "application/pkcs7-mime", buf_bytes(&a->bundle));
	pthread_mutex_unlock(&a->lock);
	if (e > 0)
		return est_refuse_later(c, 503, 2, "the CA does not answer at the moment");
	if (!e)
		atomic_fetch_add(&c->est->n_cacerts, 1);
	return e;
}
