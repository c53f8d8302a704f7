/* Keys that the server makes (RFC 7030 4.4).
 *
 * A key lives for one call: while its request is held nobody keeps it, and the client's next call brings another. It is
 * written for its client before it is submitted, so that nothing is certified that could not be handed out. Keys are
 * dear: the core is asked first whether this client would get a certificate, with one that stands for it.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "protocols/est/est_int.h"

#include <errno.h>

#include <stdlib.h>

#include "core/base/log.h"
#include "core/base/own.h"
#include "protocols/bundle.h"
#include "protocols/est/envelope.h"
#include "protocols/est/multipart.h"

#define KEY_MAX 16384       /* octets of a private key, encrypted and signed perhaps */
#define IDENTITY_MAX 65536
#define CERTIFICATE_MAX 65536

/* ---- how the key is encrypted ---- */

/* RFC 7030 4.4.1: what the client lists counts, and where it lists nothing of one kind, what it lists of the other. */
static int choose_ciphers(struct est_call *c, struct est_recipient *r)
{
	struct est_capabilities can;

	if (!c->csr.capabilities.ptr)
		return est_refuse(c, 400, "a request for an encrypted key says in SMIMECapabilities which algorithms "
					  "its client has (RFC 7030 4.4.1)");
	if (est_capabilities_read(c->csr.capabilities, &can))
		return est_refuse(c, 400, "the SMIMECapabilities are malformed");
	r->content = est_aes_strongest(can.content ? can.content : can.wrap);
	r->wrap = est_aes_strongest(can.wrap ? can.wrap : can.content);
	r->uses_oaep = can.has_oaep;
	if (!r->content)
		return est_refuse(c, 400, "the SMIMECapabilities have no AES, neither in CBC mode nor as key wrap, and "
					  "keys are encrypted with nothing else");
	if (r->key.len && can.wrap && !(can.wrap & est_aes_size(r->key.len)))
		return est_refuse(c, 400, "the SMIMECapabilities lack the AES key wrap of the size of that shared key");
	return 0;
}

static int find_certificate(struct est_call *c, struct est_recipient *r)
{
	OWNED_BUF identifier = BUF_INIT(1024);
	struct bytes der = c->q->peer_certificate;
	int e = der.len ? est_certificate_identifier(der, &identifier) : 0;

	if (e == -ENOMEM)
		return e;
	if (e || !bytes_equal(buf_bytes(&identifier), c->csr.public_key))
		return est_refuse(c, 400, "the AsymmetricDecryptKeyIdentifier is not that of the client's certificate "
					  "on this TLS connection, and no other keys are known (RFC 7030 4.4.1.2)");
	if (!est_certificate_encrypts(der))
		return est_refuse(c, 400, "the key of the client's certificate may not be used to encrypt another: it "
					  "needs RSA with the key usage keyEncipherment, or EC with keyAgreement");
	r->certificate = der;
	return 0;
}

static int find_shared_key(struct est_call *c, struct est_recipient *r)
{
	r->identifier = c->csr.shared_key;
	r->key = est_shared_keys_find(c->est->shared_keys, r->identifier);
	if (r->key.len)
		return 0;
	return est_refuse(c, 400, "there is no key with that DecryptKeyIdentifier here (RFC 7030 4.4.1.1)");
}

static bool wants_encryption(const struct est_call *c)
{
	return c->csr.shared_key.ptr || c->csr.public_key.ptr;
}

static int find_recipient(struct est_call *c, struct est_recipient *r)
{
	int e;

	if (c->csr.shared_key.ptr && c->csr.public_key.ptr)
		return est_refuse(c, 400, "the request names both a shared key and a public one to encrypt with");
	e = c->csr.shared_key.ptr ? find_shared_key(c, r) : find_certificate(c, r);
	return e ? e : choose_ciphers(c, r);
}

/* ---- the key ---- */

/* What does the profile say? */
static int check_type(struct est_call *c, struct ca_request_form *form)
{
	const char *word = est_keygen_word(c->est->keygen);
	char text[160];
	int e;

	if (!est_enter_wait(c))
		return est_refuse_later(c, 503, 2, "too many requests are waiting; try again");
	e = ca_get_request_form(c->est->ca, c->est->endpoint, c->est->profile, c->q->arena, form);
	est_leave_wait(c);
	if (e > 0)
		return est_refuse_later(c, 503, 2, "the CA does not answer at the moment");
	if (e || est_keygen_fits(c->est->keygen, form))
		return e;
	log_warn("est.keygen.refused", "endpoint", c->est->endpoint, "profile", c->est->profile, "keygen", word,
		 "reason", "the profile takes no such keys: change its keys and rsa-bits, or keygen of the endpoint");
	snprintf(text, sizeof(text), "this server makes keys of the type %s, which the profile does not take; tell its "
				     "administrator", word);
	return est_refuse(c, 500, text);
}

/* ---- asking before there is a key ---- */

struct est_sample {
	pthread_mutex_t lock; /* of what follows, which never changes once it is there */
	struct est_key *key;  /* NULL: nobody has asked yet */
};

int est_sample_new(struct est_sample **out)
{
	struct est_sample *s = calloc(1, sizeof(*s));

	if (!s)
		return -ENOMEM;
	pthread_mutex_init(&s->lock, NULL);
	*out = s;
	return 0;
}

void est_sample_drop(struct est_sample **sp)
{
	struct est_sample *s = *sp;

	if (!s)
		return;
	est_key_drop(&s->key);
	pthread_mutex_destroy(&s->lock);
	free(s);
	*sp = NULL;
}

static int get_sample(struct est_call *c, const struct est_key **key)
{
	struct est_sample *s = c->est->sample;
	int e;

	pthread_mutex_lock(&s->lock);
	e = s->key ? 0 : est_key_new(&s->key, c->est->keygen);
	pthread_mutex_unlock(&s->lock);
	*key = s->key;
	return e;
}

static int write_request(struct est_call *c, const struct est_key *key, const char *digest, struct buf *out)
{
	int e = est_key_request(key, c->csr.der, digest, out);

	return e == -EINVAL ?
		       est_refuse(c, 400, "the body is base64, but not of a PKCS#10 request in DER (RFC 2986)") : e;
}

static int ask_first(struct est_call *c, const struct ca_request_form *form)
{
	OWNED_BUF request = BUF_INIT(CA_REQUEST_MAX);
	const struct est_key *key;
	int e;

	if (!est_enter_wait(c))
		return est_refuse_later(c, 503, 2, "too many keys are being made; try again");
	e = get_sample(c, &key);
	est_leave_wait(c);
	if (!e)
		e = write_request(c, key, form->digest, &request);
	return e ? e : est_submit_keyless(c, buf_bytes(&request));
}

/* ---- making it ---- */

/* An RSA key keeps a processor busy for a while. */
static int make_key(struct est_call *c, struct est_key **key)
{
	int e;

	if (!est_enter_wait(c))
		return est_refuse_later(c, 503, 2, "too many keys are being made; try again");
	e = est_key_new(key, c->est->keygen);
	est_leave_wait(c);
	if (!e)
		atomic_fetch_add(&c->est->n_server_keys, 1);
	return e;
}

static int encrypt_key(struct est_call *c, const struct est_recipient *recipient, struct bytes pkcs8,
		       struct buf *out)
{
	OWNED_BUF chain = BUF_INIT(IDENTITY_MAX), own_key = BUF_INIT(IDENTITY_MAX);
	const struct proto_identity *identity = c->est->identity;
	int e = identity->get(identity->state, &chain, &own_key);

	if (!e)
		e = est_envelope_write(pkcs8, recipient, buf_bytes(&chain), buf_bytes(&own_key), out);
	if (e == -ENOMEM || !e)
		return e;
	log_error("est.envelope.failed", "endpoint", c->est->endpoint, "reason",
		  "the certificate of the listener, with which keys are signed, or that of the client cannot be used "
		  "for CMS: RSA and EC keys can");
	return est_refuse(c, 500, "the key cannot be encrypted here; tell the administrator");
}

/* ---- the answer ---- */

static int reply(struct est_call *c, struct bytes key, struct bytes certificate)
{
	static const char certs_only[] = "application/pkcs7-mime; smime-type=certs-only";
	const char *type = wants_encryption(c) ? "application/pkcs7-mime; smime-type=server-generated-key" :
						 "application/pkcs8";
	OWNED_BUF bundle = BUF_INIT(CERTIFICATE_MAX + 256);
	int e = bundle_write_certificates(certificate, &bundle);
	const struct est_part parts[] = { { type, key }, { certs_only, buf_bytes(&bundle) } };

	if (!e)
		e = http_reply_body(c->r, 200, EST_MULTIPART_TYPE, bytes_of(NULL, 0));
	return e ? e : est_parts_write(parts, 2, est_wants_lines(c), &c->r->body);
}

/* Whatever went wrong in between, a key never leaves with a certificate of another one. */
static int submit(struct est_call *c, const struct est_key *key, struct bytes request, struct bytes key_part)
{
	OWNED_CA_OUTCOME out = CA_OUTCOME_INIT;
	int e = est_submit(c, request, &out);

	if (e)
		return e;
	if (!est_key_is_of(key, buf_bytes(&out.certificate)))
		return est_refuse_later(c, 503, 2, "this certificate is for a key that is gone; ask again for another");
	return reply(c, key_part, buf_bytes(&out.certificate));
}

static int make(struct est_call *c, const struct ca_request_form *form, const struct est_recipient *recipient)
{
	OWNED_BUF pkcs8 = BUF_INIT(KEY_MAX), encrypted = BUF_INIT(KEY_MAX), request = BUF_INIT(CA_REQUEST_MAX);
	OWNED(est_key) key = NULL;
	int e = make_key(c, &key);

	if (!e)
		e = write_request(c, key, form->digest, &request);
	if (!e)
		e = est_key_write(key, &pkcs8);
	if (!e && wants_encryption(c))
		e = encrypt_key(c, recipient, buf_bytes(&pkcs8), &encrypted);
	return e ? e : submit(c, key, buf_bytes(&request), buf_bytes(wants_encryption(c) ? &encrypted : &pkcs8));
}

int est_serverkeygen(struct est_call *c)
{
	struct ca_request_form form = { 0 };
	struct est_recipient recipient = { 0 };
	int e;

	if (c->est->keygen == EST_KEYGEN_NONE)
		return est_refuse(c, 404, "no keys are made here; use simpleenroll with a key of your own");
	e = est_receive(c);
	if (!e && wants_encryption(c))
		e = find_recipient(c, &recipient);
	if (!e)
		e = check_type(c, &form);
	if (!e)
		e = ask_first(c, &form);
	return e ? e : make(c, &form, &recipient);
}
