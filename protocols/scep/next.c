/* GetNextCACert (RFC 8894 4.7): the root that clients will have to trust.
 *
 * A root that is replaced is certified by the one before, on which all that is issued still hangs as long as that one
 * lives: who trusts it needs the new one before it ends. Until then the new one is the next, signed by the RA, whose
 * own certificate hangs on both.
 *
 * Anybody may ask, and often, and not wait for a core that is away: the first one has the core asked, the others take
 * what is known, which is looked at again by and by (scep_next_tick()). What was signed is sent to all.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "protocols/scep/scep_int.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#include <openssl/err.h>
#include <openssl/x509.h>

#include "core/base/clock.h"
#include "core/base/der.h"
#include "protocols/bundle.h"

#define KEYS_MAX 64
#define CHAIN_MAX ((size_t)256 << 10)
#define LOOK_AGAIN_MS 5000 /* at a core that did not answer */

struct scep_next {
	atomic_bool was_asked;  /* somebody was the first one */
	atomic_bool is_wanted;  /* somebody has asked since the core was */
	int64_t look_ms;        /* monotonic: not before; of whoever ticks */
	pthread_mutex_t lock;   /* of what follows; never held while the core or the signer is asked */
	bool is_known;          /* the core has said whether there is one */
	struct buf root;        /* DER; empty: there is none */
	struct buf signer;      /* the certificate by which `reply` is signed */
	struct buf reply;       /* about `root`; empty: not made yet */
};

int scep_next_new(struct scep_next **out)
{
	struct scep_next *n = calloc(1, sizeof(*n));

	if (!n)
		return -ENOMEM;
	pthread_mutex_init(&n->lock, NULL);
	n->root = n->signer = BUF_INIT(CHAIN_MAX);
	n->reply = BUF_INIT(HTTP_REPLY_BODY_MAX);
	*out = n;
	return 0;
}

void scep_next_drop(struct scep_next **np)
{
	struct scep_next *n = *np;

	if (!n)
		return;
	buf_fini(&n->root);
	buf_fini(&n->signer);
	buf_fini(&n->reply);
	pthread_mutex_destroy(&n->lock);
	free(n);
	*np = NULL;
}

/* ---- which one ---- */

static X509 *read_first(struct bytes chain)
{
	const uint8_t *p = chain.ptr;

	return d2i_X509(NULL, &p, (long)chain.len);
}

static bool is_same_key(const X509 *a, const X509 *b)
{
	return EVP_PKEY_eq(X509_get0_pubkey(a), X509_get0_pubkey(b)) == 1;
}

/* The certificate that the key of `issuer` has made for itself, among these. */
static struct bytes find_root(struct bytes chain, const X509 *issuer)
{
	struct bytes content, whole, found = { NULL, 0 };
	unsigned tag;

	while (!found.len && chain.len && der_read(&chain, &tag, &content, &whole) == 0) {
		X509 *x = read_first(whole);

		if (x && is_same_key(x, issuer) && X509_self_signed(x, 1) == 1)
			found = whole;
		X509_free(x);
	}
	return found;
}

/* It stands behind the certificates of older keys, which newer ones certify. 0, with or without one; CA_CALL_BUSY;
 * negative. */
static int search_keys(struct ca_door *ca, const X509 *issuer, struct buf *root)
{
	int e = 0;

	for (unsigned key = 0; !e && !root->len && key < KEYS_MAX; key++) {
		OWNED_BUF chain = BUF_INIT(CHAIN_MAX);

		e = ca_get_key_chain(ca, key, &chain);
		if (!e)
			e = buf_append(root, find_root(buf_bytes(&chain), issuer));
	}
	return e == CA_CALL_NOT_FOUND ? 0 : e;
}

/* An intermediate hangs on what others do, and a root that ends its own chain has nothing to announce. */
static bool hangs_on_older_root(struct bytes chain, const X509 *issuer)
{
	return X509_NAME_cmp(X509_get_subject_name(issuer), X509_get_issuer_name(issuer)) == 0 &&
	       !find_root(chain, issuer).len;
}

static int look(struct ca_door *ca, struct buf *root)
{
	OWNED_BUF chain = BUF_INIT(CHAIN_MAX);
	int e = ca_get_chain(ca, &chain);
	X509 *issuer = e ? NULL : read_first(buf_bytes(&chain));

	if (issuer && hangs_on_older_root(buf_bytes(&chain), issuer))
		e = search_keys(ca, issuer, root);
	else if (!e && !issuer)
		e = CA_CALL_BUSY; /* no key signs at the moment */
	X509_free(issuer);
	ERR_clear_error();
	return e;
}

/* ---- what is known of it ---- */

/* With the lock. */
static int keep(struct scep_next *n, struct bytes root)
{
	n->is_known = true;
	if (bytes_equal(buf_bytes(&n->root), root))
		return 0;
	buf_reset(&n->root);
	buf_reset(&n->reply);
	return buf_append(&n->root, root);
}

/* A core that is away leaves what it said last. */
static int refresh(struct scep *s)
{
	OWNED_BUF root = BUF_INIT(CHAIN_MAX);
	struct scep_next *n = s->next;
	int e = look(s->ca, &root);

	pthread_mutex_lock(&n->lock);
	if (!e)
		e = keep(n, buf_bytes(&root));
	pthread_mutex_unlock(&n->lock);
	return e;
}

void scep_next_tick(struct scep *s)
{
	struct scep_next *n = s->next;

	if (clock_mono_ms() >= n->look_ms && atomic_exchange(&n->is_wanted, false) && refresh(s))
		n->look_ms = clock_mono_ms() + LOOK_AGAIN_MS;
}

/* 0 or negative: as far as it was asked. */
static int ask_first(struct scep *s)
{
	int e = 0;

	if (atomic_exchange(&s->next->was_asked, true) || !scep_enter_wait(s))
		return 0;
	e = refresh(s);
	scep_leave_wait(s);
	return e < 0 ? e : 0;
}

/* The next one is appended. 0, with or without one; CA_CALL_BUSY: nothing is known; negative. */
static int get_root(struct scep *s, struct buf *root)
{
	struct scep_next *n = s->next;
	int e = ask_first(s);

	atomic_store(&n->is_wanted, true);
	if (e)
		return e;
	pthread_mutex_lock(&n->lock);
	e = n->is_known ? buf_append(root, buf_bytes(&n->root)) : CA_CALL_BUSY;
	pthread_mutex_unlock(&n->lock);
	return e;
}

bool scep_has_next(struct scep *s)
{
	OWNED_BUF root = BUF_INIT(CHAIN_MAX);

	return get_root(s, &root) == 0 && root.len;
}

/* ---- the message ---- */

/* With the certificates by which a client that trusts the older root verifies it; and the next one, which some clients
 * look for among them. */
static int sign(struct scep *s, const struct proto_ra_key *key, struct bytes root, struct buf *out)
{
	OWNED_BUF bag = BUF_INIT(CHAIN_MAX + 256), above = BUF_INIT(2 * CHAIN_MAX);
	int e = bundle_write_certificates(root, &bag);

	if (!e)
		e = buf_append(&above, key->chain);
	if (!e)
		e = buf_append(&above, root);
	return e ? e : scep_reply_write_plain(s->ra, key, buf_bytes(&bag), buf_bytes(&above), out);
}

/* What was signed before with this key about this root; false: nothing. */
static bool recall(struct scep_next *n, const struct proto_ra_key *key, struct bytes root, struct buf *out)
{
	bool is;

	pthread_mutex_lock(&n->lock);
	is = n->reply.len && bytes_equal(buf_bytes(&n->signer), key->certificate) &&
	     bytes_equal(buf_bytes(&n->root), root) && buf_append(out, buf_bytes(&n->reply)) == 0;
	pthread_mutex_unlock(&n->lock);
	return is;
}

static void remember(struct scep_next *n, const struct proto_ra_key *key, struct bytes root, struct bytes reply)
{
	pthread_mutex_lock(&n->lock);
	buf_reset(&n->signer);
	buf_reset(&n->reply);
	if (bytes_equal(buf_bytes(&n->root), root) && buf_append(&n->signer, key->certificate) == 0)
		(void)buf_append(&n->reply, reply);
	pthread_mutex_unlock(&n->lock);
}

static int make(struct scep *s, const struct http_request *q, struct bytes root, struct buf *out)
{
	struct proto_ra_key *keys;
	size_t n;
	int e = s->ra->list(s->ra->state, q->arena, &keys, &n);

	if (e || recall(s->next, &keys[0], root, out))
		return e;
	if (!scep_enter_wait(s))
		return CA_CALL_BUSY;
	e = sign(s, &keys[0], root, out);
	scep_leave_wait(s);
	if (!e)
		remember(s->next, &keys[0], root, buf_bytes(out));
	return e;
}

/* NULL: for another reason than that it is not now. */
static const char *why_later(int e)
{
	return e == CA_CALL_BUSY ? SCEP_AWAY_TEXT : e == -EAGAIN ? SCEP_SIGNER_AWAY_TEXT :
	       e == -ENOENT ? SCEP_NO_CERTIFICATE_TEXT : NULL;
}

int scep_get_next(struct scep *s, const struct http_request *q, struct http_reply *r)
{
	OWNED_BUF root = BUF_INIT(CHAIN_MAX), reply = BUF_INIT(HTTP_REPLY_BODY_MAX);
	int e = get_root(s, &root);

	if (!e && !root.len)
		return http_reply_text(r, 404, "there is no next CA certificate: none replaces the one in force");
	if (!e)
		e = make(s, q, buf_bytes(&root), &reply);
	if (why_later(e))
		return http_reply_retry_after(r, 5) ? -ENOMEM : http_reply_text(r, 503, why_later(e));
	return e ? e : http_reply_body(r, 200, "application/x-x509-next-ca-cert", buf_bytes(&reply));
}
