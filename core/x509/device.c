/* Certificates that others have issued.
 *
 * The octets come from outside: libcrypto reads them, in the order and number that is given here.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "core/x509/device.h"

#include <errno.h>
#include <time.h>

#include <openssl/err.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include "core/base/der.h"
#include "core/x509/certificate.h"
#include "core/x509/imported.h"
#include "core/x509/text.h"

#define DEPTH_MAX 16      /* of nesting in the encoding */
#define TEXT_MAX 64       /* of a value of the subject that stands for the device */
#define AUTH_LEVEL 2      /* 112 bits */

static X509 *take_certificate(struct bytes *in)
{
	const uint8_t *p = in->ptr;
	X509 *cert = in->len ? d2i_X509(NULL, &p, (long)in->len) : NULL;

	if (cert)
		*in = bytes_of(p, in->len - (size_t)(p - in->ptr));
	else
		ERR_clear_error();
	return cert;
}

int device_split(struct bytes certificates, struct bytes *first, struct bytes *rest)
{
	struct bytes in = certificates, content;
	unsigned tag;

	if (der_read(&in, &tag, &content, first) || tag != DER_SEQUENCE)
		return -EINVAL;
	*rest = in;
	return 0;
}

/* The only value of a part of the subject, when it is text that may stand in a pattern or a name. */
static const char *only_value(const X509_NAME *name, int nid, struct arena *arena)
{
	int at = X509_NAME_get_index_by_NID(name, nid, -1);
	const ASN1_STRING *s = at < 0 ? NULL : X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, at));
	struct bytes text = s ? bytes_of(ASN1_STRING_get0_data(s), (size_t)ASN1_STRING_length(s)) :
				bytes_of(NULL, 0);

	if (text.len == 0 || text.len > TEXT_MAX || memchr(text.ptr, 0, text.len) ||
	    X509_NAME_get_index_by_NID(name, nid, at) >= 0)
		return NULL;
	return arena_strndup(arena, text);
}

static bool has_purpose(const EXTENDED_KEY_USAGE *all, const char *oid)
{
	char text[64];

	for (int i = 0; i < sk_ASN1_OBJECT_num(all); i++)
		if (OBJ_obj2txt(text, sizeof(text), sk_ASN1_OBJECT_value(all, i), 1) > 0 && strcmp(text, oid) == 0)
			return true;
	return false;
}

static bool is_registration_authority(const X509 *cert)
{
	EXTENDED_KEY_USAGE *all = X509_get_ext_d2i(cert, NID_ext_key_usage, NULL, NULL);
	bool is = all && has_purpose(all, "1.3.6.1.5.5.7.3.2") && has_purpose(all, "1.3.6.1.5.5.7.3.28");

	EXTENDED_KEY_USAGE_free(all);
	return is;
}

/* Whatever says that it is an authority, or that its key signs certificates. */
static bool is_authority(X509 *cert)
{
	return X509_check_ca(cert) != 0 || ((X509_get_extension_flags(cert) & EXFLAG_KUSAGE) &&
					    (X509_get_key_usage(cert) & (KU_KEY_CERT_SIGN | KU_CRL_SIGN)));
}

int device_read(struct device *out, struct arena *arena, struct bytes der)
{
	struct imported frame;
	struct bytes rest = der;
	X509 *cert;
	int e = der_check(der, DEPTH_MAX) ? -EINVAL : imported_read(&frame, arena, der);

	*out = (struct device){ 0 };
	if (e)
		return e;
	cert = take_certificate(&rest);
	if (!cert || rest.len) {
		X509_free(cert);
		return -EINVAL;
	}
	*out = (struct device){
		.issuer = frame.issuer,
		.subject = frame.subject,
		.spki = frame.spki,
		.subject_text = frame.subject_text,
		.common_name = only_value(X509_get_subject_name(cert), NID_commonName, arena),
		.serial_number = only_value(X509_get_subject_name(cert), NID_serialNumber, arena),
		.not_before_s = frame.not_before_s,
		.not_after_s = frame.not_after_s,
		.is_ca = is_authority(cert),
		.is_ra = is_registration_authority(cert),
	};
	X509_free(cert);
	ERR_clear_error();
	return 0;
}

/* ---- paths ---- */

static STACK_OF(X509) *read_all(struct bytes in, int max)
{
	STACK_OF(X509) *all = sk_X509_new_null();

	while (all && in.len) {
		X509 *cert = sk_X509_num(all) < max ? take_certificate(&in) : NULL;

		if (!cert || sk_X509_push(all, cert) <= 0) {
			X509_free(cert);
			sk_X509_pop_free(all, X509_free);
			return NULL;
		}
	}
	return all;
}

static bool has_forbidden_key(X509 *cert, bool (*is_forbidden)(const void *arg, struct bytes spki), const void *arg)
{
	uint8_t *der = NULL;
	int n = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(cert), &der);
	bool is = n <= 0 || is_forbidden(arg, bytes_of(der, (size_t)n));

	OPENSSL_free(der);
	return is;
}

static X509_STORE *make_store(STACK_OF(X509) *anchors)
{
	X509_STORE *store = X509_STORE_new();
	bool ok = store != NULL;

	for (int i = 0; ok && i < sk_X509_num(anchors); i++)
		ok = X509_STORE_add_cert(store, sk_X509_value(anchors, i)) == 1;
	if (ok)
		return store;
	X509_STORE_free(store);
	return NULL;
}

static const char *verify(X509_STORE_CTX *ctx, int64_t now_s)
{
	X509_VERIFY_PARAM *param = X509_STORE_CTX_get0_param(ctx);

	/* An anchor need not be a root: whoever lists it says that it is one. */
	X509_VERIFY_PARAM_set_flags(param, X509_V_FLAG_PARTIAL_CHAIN);
	X509_VERIFY_PARAM_set_depth(param, DEVICE_CHAIN_MAX);
	X509_VERIFY_PARAM_set_auth_level(param, AUTH_LEVEL);
	X509_VERIFY_PARAM_set_time(param, (time_t)now_s);
	return X509_verify_cert(ctx) == 1 ? NULL : X509_verify_cert_error_string(X509_STORE_CTX_get_error(ctx));
}

/* Who restricts what a certificate is for says so (RFC 5280 4.2.1.12); what says nothing, as many of IEEE 802.1AR, is
 * for anything. */
static bool may_authenticate(X509 *cert)
{
	return !(X509_get_extension_flags(cert) & EXFLAG_XKUSAGE) ||
	       (X509_get_extended_key_usage(cert) & (XKU_SSL_CLIENT | XKU_ANYEKU));
}

/* RFC 8446 4.4.2.2, RFC 5246 7.4.8: it was shown by a signature. */
static bool may_sign(X509 *cert)
{
	return !(X509_get_extension_flags(cert) & EXFLAG_KUSAGE) ||
	       (X509_get_key_usage(cert) & KU_DIGITAL_SIGNATURE);
}

/* What stands in the path below the anchor, which is good for what it was listed for. */
static const char *check_path(STACK_OF(X509) *path, bool (*is_forbidden)(const void *arg, struct bytes spki),
			      const void *arg)
{
	for (int i = 0; i < sk_X509_num(path); i++) {
		X509 *cert = sk_X509_value(path, i);

		if (has_forbidden_key(cert, is_forbidden, arg))
			return "a key of this core stands in its path";
		if (i < sk_X509_num(path) - 1 && !may_authenticate(cert))
			return "it, or an authority in its path, is for other purposes than to authenticate clients "
			       "(extended key usage)";
	}
	return NULL;
}

const char *device_verify(struct bytes certificate, struct bytes chain, struct bytes anchors, int64_t now_s,
			  bool (*is_forbidden)(const void *arg, struct bytes spki), const void *arg)
{
	STACK_OF(X509) *behind = read_all(chain, DEVICE_CHAIN_MAX), *all = read_all(anchors, DEVICE_ANCHORS_MAX);
	X509_STORE *store = all ? make_store(all) : NULL;
	X509_STORE_CTX *ctx = X509_STORE_CTX_new();
	X509 *own = take_certificate(&certificate);
	const char *why = "the certificates behind it cannot be read, or are more than 8";

	if (behind && store && ctx && own && X509_STORE_CTX_init(ctx, store, own, behind) == 1) {
		why = is_authority(own) ? "it is the certificate of an authority" :
		      may_sign(own)     ? verify(ctx, now_s) :
					  "its key may not sign (key usage)";
		if (!why)
			why = check_path(X509_STORE_CTX_get0_chain(ctx), is_forbidden, arg);
	}
	X509_free(own);
	X509_STORE_CTX_free(ctx);
	X509_STORE_free(store);
	sk_X509_pop_free(all, X509_free);
	sk_X509_pop_free(behind, X509_free);
	ERR_clear_error();
	return why;
}

const char *device_check_anchors(struct bytes anchors, int64_t now_s,
				 bool (*is_forbidden)(const void *arg, struct bytes spki), const void *arg)
{
	STACK_OF(X509) *all = read_all(anchors, DEVICE_ANCHORS_MAX);
	time_t now = (time_t)now_s;
	const char *why = all && sk_X509_num(all) ? NULL : "it takes 1 to 8 certificates, in PEM or DER";

	for (int i = 0; !why && i < sk_X509_num(all); i++) {
		X509 *cert = sk_X509_value(all, i);

		if (X509_check_ca(cert) != 1)
			why = "a certificate is not that of an authority (basicConstraints CA:TRUE)";
		else if (X509_cmp_time(X509_get0_notAfter(cert), &now) <= 0)
			why = "a certificate has ended";
		else if (has_forbidden_key(cert, is_forbidden, arg))
			why = "a certificate has the key of a CA of this core, which knows its own certificates";
	}
	sk_X509_pop_free(all, X509_free);
	ERR_clear_error();
	return why;
}
