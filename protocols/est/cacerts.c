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
	pthread_mutex_t lock;
	struct buf bundle;  /* as it is sent; empty: none yet */
	int64_t looked_ms;  /* monotonic */
};

int est_cacerts_new(struct est_cacerts **out)
{
	struct est_cacerts *a = calloc(1, sizeof(*a));

	if (!a)
		return -ENOMEM;
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

/* With the lock. A core that is away leaves what it said last. */
static int refresh(struct est_cacerts *a, struct ca_door *ca)
{
	OWNED_BUF all = BUF_INIT(EST_CERTIFICATES_MAX);
	int64_t now_ms = clock_mono_ms();
	int e;

	if (a->bundle.len && now_ms - a->looked_ms < LOOK_EVERY_MS)
		return 0;
	e = collect(ca, &all);
	if (e)
		return a->bundle.len ? 0 : e;
	a->looked_ms = now_ms;
	buf_reset(&a->bundle);
	return bundle_write_certificates(buf_bytes(&all), &a->bundle);
}

int est_cacerts(struct est_call *c)
{
	struct est_cacerts *a = c->est->cacerts;
	int e;

	pthread_mutex_lock(&a->lock);
	e = refresh(a, c->est->ca);
	if (!e)
		e = est_reply_base64(c, 200, "application/pkcs7-mime", buf_bytes(&a->bundle));
	pthread_mutex_unlock(&a->lock);
	if (e > 0)
		return est_refuse_later(c, 503, 2, "the CA does not answer at the moment");
	if (!e)
		atomic_fetch_add(&c->est->n_cacerts, 1);
	return e;
}
