/* Keys that the server makes: keygen.c, envelope.c and shared_keys.c, held against libcrypto.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tests/test.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/cms.h>
#include <openssl/pkcs7.h>
#include <openssl/x509v3.h>

#include "core/base/file.h"
#include "core/base/own.h"
#include "protocols/est/envelope.h"
#include "protocols/est/est_int.h"

#define DER_MAX 65536

/* ---- keys ---- */

static const char *const any_keys[] = { "rsa", "ec-p256", "ec-p384", "ed25519", NULL };

static void a_profile_takes_what_it_lists(void **unused)
{
	static const char *const ec_only[] = { "ec-p256", NULL };
	const struct ca_request_form any = { .key_types = any_keys, .rsa_bits = 3072 }, ec = { .key_types = ec_only };

	assert_false(est_keygen_fits(EST_KEYGEN_NONE, &any));
	assert_false(est_keygen_fits(EST_KEYGEN_RSA_2048, &any));
	assert_true(est_keygen_fits(EST_KEYGEN_RSA_3072, &any));
	assert_true(est_keygen_fits(EST_KEYGEN_ED25519, &any));
	assert_true(est_keygen_fits(EST_KEYGEN_EC_P256, &ec));
	assert_false(est_keygen_fits(EST_KEYGEN_EC_P384, &ec));
	assert_false(est_keygen_fits(EST_KEYGEN_RSA_4096, &ec));
}

static void each_word_is_one_type(void **unused)
{
	for (unsigned type = EST_KEYGEN_NONE; type <= EST_KEYGEN_ED25519; type++)
		assert_int_equal(est_keygen_parse(est_keygen_word((enum est_keygen)type)), type);
}

/* What a client sends: with a challengePassword and a capability, signed by a key that nobody looks at. */
static void make_request(struct buf *der)
{
	X509_REQ *request = X509_REQ_new();
	X509_NAME *subject = X509_NAME_new();
	EVP_PKEY *key = EVP_EC_gen("P-256");
	const uint8_t capabilities[] = { 0x30, 0x0d, 0x30, 0x0b, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01,
					 0x65, 0x03, 0x04, 0x01, 0x2a };
	unsigned char *out = NULL;
	int n;

	X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, (const unsigned char *)"device", -1, -1, 0);
	X509_REQ_set_subject_name(request, subject);
	X509_REQ_set_pubkey(request, key);
	X509_REQ_add1_attr_by_txt(request, "1.2.840.113549.1.9.7", V_ASN1_UTF8STRING, (const uint8_t *)"secret", 6);
	X509_REQ_add1_attr_by_txt(request, "1.3.6.1.1.1.1.22", V_ASN1_IA5STRING, (const uint8_t *)"kept", 4);
	X509_REQ_add1_attr_by_txt(request, "1.2.840.113549.1.9.15", V_ASN1_SEQUENCE, capabilities,
				  sizeof(capabilities));
	X509_REQ_add1_attr_by_txt(request, "1.2.840.113549.1.9.16.2.37", V_ASN1_OCTET_STRING, (const uint8_t *)"id", 2);
	X509_REQ_add1_attr_by_txt(request, "1.2.840.113549.1.9.16.2.56", V_ASN1_UTF8STRING, (const uint8_t *)"otp", 3);
	X509_REQ_add1_attr_by_txt(request, "1.2.840.113549.1.9.16.2.57", V_ASN1_UTF8STRING, (const uint8_t *)"rev", 3);
	X509_REQ_add1_attr_by_txt(request, "1.2.840.113549.1.9.16.2.58", V_ASN1_UTF8STRING, (const uint8_t *)"link", 4);
	assert_true(X509_REQ_sign(request, key, EVP_sha256()) > 0);
	n = i2d_X509_REQ(request, &out);
	assert_true(n > 0);
	assert_int_equal(buf_append(der, bytes_of(out, (size_t)n)), 0);
	OPENSSL_free(out);
	EVP_PKEY_free(key);
	X509_NAME_free(subject);
	X509_REQ_free(request);
}

static void check_type(enum est_keygen type, const char *least, int digest, struct bytes client)
{
	OWNED(est_key) key = NULL;
	OWNED_BUF made = BUF_INIT(DER_MAX), info = BUF_INIT(DER_MAX);
	const unsigned char *p, *p8;
	PKCS8_PRIV_KEY_INFO *read;
	X509_REQ *request;
	EVP_PKEY *pkey;

	assert_int_equal(est_key_new(&key, type), 0);
	assert_int_equal(est_key_request(key, client, least, &made), 0);
	p = made.ptr;
	request = d2i_X509_REQ(NULL, &p, (long)made.len);
	assert_ptr_equal(p, made.ptr + made.len);
	assert_int_equal(X509_REQ_verify(request, X509_REQ_get0_pubkey(request)), 1);
	assert_int_equal(X509_REQ_get_attr_count(request), 1);
	if (digest)
		assert_int_equal(X509_REQ_get_signature_nid(request), digest);
	assert_int_equal(est_key_write(key, &info), 0);
	p8 = info.ptr;
	read = d2i_PKCS8_PRIV_KEY_INFO(NULL, &p8, (long)info.len);
	assert_ptr_equal(p8, info.ptr + info.len);
	pkey = EVP_PKCS82PKEY(read);
	assert_int_equal(EVP_PKEY_eq(pkey, X509_REQ_get0_pubkey(request)), 1);
	EVP_PKEY_free(pkey);
	PKCS8_PRIV_KEY_INFO_free(read);
	X509_REQ_free(request);
}

static void a_request_is_written_anew_for_the_key(void **unused)
{
	OWNED_BUF client = BUF_INIT(DER_MAX);
	struct proto_csr csr;

	make_request(&client);
	assert_int_equal(proto_csr_read(&csr, buf_bytes(&client)), 0);
	assert_true(bytes_equal_str(csr.challenge, "secret"));
	assert_true(bytes_equal_str(csr.link, "link"));
	assert_true(bytes_equal_str(csr.shared_key, "id"));
	assert_int_equal(csr.capabilities.len, 13);
	assert_null(csr.public_key.ptr);
	check_type(EST_KEYGEN_RSA_2048, NULL, NID_sha256WithRSAEncryption, buf_bytes(&client));
	check_type(EST_KEYGEN_RSA_2048, "sha512", NID_sha512WithRSAEncryption, buf_bytes(&client));
	check_type(EST_KEYGEN_EC_P256, "sha384", NID_ecdsa_with_SHA384, buf_bytes(&client));
	check_type(EST_KEYGEN_EC_P384, "sha256", NID_ecdsa_with_SHA384, buf_bytes(&client));
	check_type(EST_KEYGEN_ED25519, "sha256", 0, buf_bytes(&client));
}

static void octets_that_are_no_request_become_none(void **unused)
{
	OWNED(est_key) key = NULL;
	OWNED_BUF client = BUF_INIT(DER_MAX), made = BUF_INIT(DER_MAX);

	make_request(&client);
	assert_int_equal(est_key_new(&key, EST_KEYGEN_EC_P256), 0);
	assert_int_equal(est_key_request(key, bytes_of(client.ptr, client.len - 1), NULL, &made), -EINVAL);
	assert_int_equal(buf_append_char(&client, 0), 0);
	assert_int_equal(est_key_request(key, buf_bytes(&client), NULL, &made), -EINVAL);
	assert_int_equal(made.len, 0);
}

/* ---- envelopes ---- */

struct device {
	EVP_PKEY *key;
	X509 *certificate;
	struct buf der;
};

static void make_device(struct device *d, EVP_PKEY *key, const char *usage)
{
	X509_EXTENSION *extension = usage ? X509V3_EXT_conf_nid(NULL, NULL, NID_key_usage, usage) : NULL;
	unsigned char *der = NULL;
	int n;

	*d = (struct device){ .key = key, .certificate = X509_new(), .der = BUF_INIT(DER_MAX) };
	X509_set_version(d->certificate, X509_VERSION_3);
	ASN1_INTEGER_set(X509_get_serialNumber(d->certificate), 7);
	X509_gmtime_adj(X509_getm_notBefore(d->certificate), 0);
	X509_gmtime_adj(X509_getm_notAfter(d->certificate), 3600);
	X509_set_pubkey(d->certificate, key);
	if (extension)
		X509_add_ext(d->certificate, extension, -1);
	assert_true(X509_sign(d->certificate, key, EVP_sha256()) > 0);
	n = i2d_X509(d->certificate, &der);
	assert_int_equal(buf_append(&d->der, bytes_of(der, (size_t)n)), 0);
	OPENSSL_free(der);
	X509_EXTENSION_free(extension);
}

static void drop_device(struct device *d)
{
	EVP_PKEY_free(d->key);
	X509_free(d->certificate);
	buf_fini(&d->der);
}

static void only_keys_that_may_encrypt_do(void **unused)
{
	static const struct {
		bool is_rsa;
		const char *usage;
		bool encrypts;
	} cases[] = {
		{ true, NULL, true }, { true, "keyEncipherment", true }, { true, "digitalSignature", false },
		{ true, "keyAgreement", false }, { false, NULL, true }, { false, "digitalSignature", false },
		{ false, "keyAgreement,digitalSignature", true },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct device d;

		make_device(&d, cases[i].is_rsa ? EVP_RSA_gen(2048) : EVP_EC_gen("P-256"), cases[i].usage);
		assert_int_equal(est_certificate_encrypts(buf_bytes(&d.der)), cases[i].encrypts);
		drop_device(&d);
	}
	assert_false(est_certificate_encrypts(bytes_of_str("none")));
}

/* An identifier without the extension is the SHA-1 of the key (RFC 5280 4.2.1.2). */
static void a_certificate_is_known_by_its_key(void **unused)
{
	OWNED_BUF identifier = BUF_INIT(64);
	struct device d;
	unsigned char digest[EVP_MAX_MD_SIZE];
	unsigned n;

	make_device(&d, EVP_EC_gen("P-256"), NULL);
	assert_int_equal(est_certificate_identifier(buf_bytes(&d.der), &identifier), 0);
	assert_int_equal(X509_pubkey_digest(d.certificate, EVP_sha1(), digest, &n), 1);
	assert_true(bytes_equal(buf_bytes(&identifier), bytes_of(digest, n)));
	assert_int_equal(est_certificate_identifier(bytes_of_str("none"), &identifier), -EINVAL);
	drop_device(&d);
}

static CMS_ContentInfo *read_cms(struct bytes der)
{
	const unsigned char *p = der.ptr;
	CMS_ContentInfo *cms = d2i_CMS_ContentInfo(NULL, &p, (long)der.len);

	assert_non_null(cms);
	assert_ptr_equal(p, der.ptr + der.len);
	return cms;
}

static struct bytes octets_of(BIO *bio)
{
	char *octets;
	long n = BIO_get_mem_data(bio, &octets);

	return bytes_of(octets, (size_t)n);
}

/* With a shared key of this size: decrypted, verified, and what is inside is the package. */
static void check_envelope(size_t n_key, const struct device *signer, struct bytes signer_key, struct bytes content)
{
	uint8_t key[32] = { 1, 2, 3 };
	struct est_recipient r = { .key = bytes_of(key, n_key), .identifier = bytes_of_str("plant"), .content = 32,
				   .wrap = (unsigned)n_key };
	OWNED_BUF out = BUF_INIT(DER_MAX);
	BIO *decrypted = BIO_new(BIO_s_mem()), *verified = BIO_new(BIO_s_mem());
	STACK_OF(X509) *signers = sk_X509_new_null();
	CMS_ContentInfo *cms;

	assert_int_equal(est_envelope_write(content, &r, buf_bytes(&signer->der), signer_key, &out), 0);
	cms = read_cms(buf_bytes(&out));
	assert_int_equal(OBJ_obj2nid(CMS_get0_type(cms)), NID_pkcs7_enveloped);
	assert_int_equal(CMS_decrypt_set1_key(cms, key, n_key, (const unsigned char *)"plant", 5), 1);
	assert_int_equal(CMS_decrypt(cms, NULL, NULL, NULL, decrypted, CMS_BINARY), 1);
	CMS_ContentInfo_free(cms);
	cms = read_cms(octets_of(decrypted));
	assert_int_equal(OBJ_obj2nid(CMS_get0_type(cms)), NID_pkcs7_signed);
	sk_X509_push(signers, signer->certificate);
	assert_int_equal(CMS_verify(cms, signers, NULL, NULL, verified, CMS_BINARY | CMS_NO_SIGNER_CERT_VERIFY), 1);
	assert_int_equal(octets_of(verified).len, content.len + 2);
	assert_memory_equal(octets_of(verified).ptr + 2, content.ptr, content.len);
	CMS_ContentInfo_free(cms);
	sk_X509_free(signers);
	BIO_free(decrypted);
	BIO_free(verified);
}

static void an_envelope_is_opened_by_who_has_the_key(void **unused)
{
	static const uint8_t content[] = { 0x30, 0x03, 0x02, 0x01, 0x00 };
	PKCS8_PRIV_KEY_INFO *info;
	struct device signer;
	unsigned char *der = NULL;
	int n;

	make_device(&signer, EVP_EC_gen("P-256"), NULL);
	info = EVP_PKEY2PKCS8(signer.key);
	n = i2d_PKCS8_PRIV_KEY_INFO(info, &der);
	for (size_t n_key = 16; n_key <= 32; n_key += 8)
		check_envelope(n_key, &signer, bytes_of(der, (size_t)n), bytes_of(content, sizeof(content)));
	OPENSSL_free(der);
	PKCS8_PRIV_KEY_INFO_free(info);
	drop_device(&signer);
}

static void nothing_is_signed_with_half_an_identity(void **unused)
{
	struct est_recipient r = { .key = bytes_of_str("0123456789abcdef"), .identifier = bytes_of_str("plant"),
				   .content = 32, .wrap = 16 };
	OWNED_BUF out = BUF_INIT(DER_MAX);
	struct device signer;

	make_device(&signer, EVP_EC_gen("P-256"), NULL);
	assert_int_equal(est_envelope_write(bytes_of_str("x"), &r, bytes_of(NULL, 0), bytes_of(NULL, 0), &out), -EIO);
	assert_int_equal(est_envelope_write(bytes_of_str("x"), &r, buf_bytes(&signer.der), bytes_of_str("none"), &out),
			 -EIO);
	assert_int_equal(out.len, 0);
	drop_device(&signer);
}

static void capabilities_are_what_is_known_of_them(void **unused)
{
	/* AES-256-CBC; AES-128 key wrap; RSAES-OAEP with NULL; 3DES, which is passed over. */
	static const uint8_t list[] = {
		0x30, 0x0b, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x01, 0x2a,
		0x30, 0x0b, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x01, 0x05,
		0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x07, 0x05, 0x00,
		0x30, 0x0a, 0x06, 0x08, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x03, 0x07,
	};
	struct est_capabilities can;

	assert_int_equal(est_capabilities_read(bytes_of(list, sizeof(list)), &can), 0);
	assert_int_equal(can.content, EST_AES_256);
	assert_int_equal(can.wrap, EST_AES_128);
	assert_true(can.has_oaep);
	assert_int_equal(est_aes_strongest(EST_AES_128 | EST_AES_192), 24);
	assert_int_equal(est_aes_strongest(0), 0);
	for (size_t n = 1; n < sizeof(list); n++)
		if (n != 13 && n != 26 && n != 41)
			assert_int_equal(est_capabilities_read(bytes_of(list, n), &can), -EINVAL);
}

/* ---- shared keys ---- */

static char folder[64];

static int new_keys(struct est_shared_keys **out, const char *identifiers, const char *content, mode_t mode,
		    char why[256])
{
	static const struct conf_option rows[] = {
		{ "decrypt-keys", CONF_MAP, NULL, NULL, "Keys.", NULL, NULL },
		{ 0 },
	};
	OWNED_BUF text = BUF_INIT(4096);
	struct conf_error error = { 0 };
	struct conf *conf = NULL;
	char path[128];
	int e;

	snprintf(path, sizeof(path), "%s/key", folder);
	unlink(path);
	if (content)
		assert_int_equal(file_write_atomic_at(AT_FDCWD, path, bytes_of_str(content), mode), 0);
	buf_append_str(&text, "decrypt-keys:\n");
	for (const char *id = identifiers; *id; id += strlen(id) + 1)
		buf_printf(&text, "  \"%s\": %s\n", id, path);
	assert_int_equal(conf_parse(&conf, buf_bytes(&text), "test", rows, &error), 0);
	*why = '\0';
	e = est_shared_keys_new(out, conf_root(conf), "decrypt-keys", why, 256);
	conf_drop(&conf);
	return e;
}

static void shared_keys_are_found_by_octets(void **unused)
{
	OWNED(est_shared_keys) keys = NULL;
	char why[256];

	assert_int_equal(new_keys(&keys, "plant-7\0" "0x00FF\0", "000102030405060708090a0b0c0d0e0f\n", 0600, why), 0);
	assert_int_equal(est_shared_keys_find(keys, bytes_of_str("plant-7")).len, 16);
	assert_int_equal(est_shared_keys_find(keys, bytes_of("\x00\xff", 2)).ptr[15], 0x0f);
	assert_int_equal(est_shared_keys_find(keys, bytes_of_str("plant")).len, 0);
	assert_int_equal(est_shared_keys_find(keys, bytes_of_str("0x00FF")).len, 0);
	assert_int_equal(est_shared_keys_find(keys, bytes_of(NULL, 0)).len, 0);
}

static void a_key_that_cannot_be_used_is_said_at_the_start(void **unused)
{
	static const char good[] = "000102030405060708090a0b0c0d0e0f";
	static const struct {
		const char *identifiers, *content;
		mode_t mode;
		const char *says;
	} cases[] = {
		{ "a\0", good, 0644, "mode 0600" },
		{ "a\0", NULL, 0600, "No such file" },
		{ "a\0", "000102030405060708090a0b0c0d0e", 0600, "holds no key" },
		{ "a\0", "000102030405060708090a0b0c0d0e0g", 0600, "holds no key" },
		{ "a\0", "000102030405060708090a0b0c0d0e0f 1", 0600, "holds no key" },
		{ "a\0", "", 0600, "holds no key" },
		{ "0x\0", good, 0600, "identifies no key" },
		{ "0x0\0", good, 0600, "identifies no key" },
		{ "0x0g\0", good, 0600, "identifies no key" },
		{ "a\0" "0x61\0", good, 0600, "two keys" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		OWNED(est_shared_keys) keys = NULL;
		char why[256];

		assert_true(new_keys(&keys, cases[i].identifiers, cases[i].content, cases[i].mode, why) < 0);
		assert_null(keys);
		if (!strstr(why, cases[i].says))
			fail_msg("%zu: %s", i, why);
		assert_null(strstr(why, "0001"));
	}
}

static int make_folder(void **unused)
{
	snprintf(folder, sizeof(folder), "/tmp/gatehouse-keys-XXXXXX");
	return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **unused)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/key", folder);
	unlink(path);
	return rmdir(folder);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_profile_takes_what_it_lists),
		cmocka_unit_test(each_word_is_one_type),
		cmocka_unit_test(a_request_is_written_anew_for_the_key),
		cmocka_unit_test(octets_that_are_no_request_become_none),
		cmocka_unit_test(only_keys_that_may_encrypt_do),
		cmocka_unit_test(a_certificate_is_known_by_its_key),
		cmocka_unit_test(an_envelope_is_opened_by_who_has_the_key),
		cmocka_unit_test(nothing_is_signed_with_half_an_identity),
		cmocka_unit_test(capabilities_are_what_is_known_of_them),
		cmocka_unit_test(shared_keys_are_found_by_octets),
		cmocka_unit_test(a_key_that_cannot_be_used_is_said_at_the_start),
	};

	return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
