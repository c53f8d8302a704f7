/* The words of profiles and subjects, and what they are in a certificate.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "core/issue_int.h"

#include <errno.h>

#include "core/base/digest.h"
#include "core/base/der.h"
#include "core/x509/text.h"

#define BYTES(s) { (const uint8_t *)(s), sizeof(s) - 1 }

/* Upper bounds of RFC 5280 A.1, in characters; string types of X.520: PrintableString and IA5String where nothing else
 * is allowed, else UTF8String (RFC 5280 4.1.2.4). */
static const struct subject_component components[] = {
	{ "CN", BYTES("\x55\x04\x03"), 0x0c, 64 },
	{ "O", BYTES("\x55\x04\x0a"), 0x0c, 64 },
	{ "OU", BYTES("\x55\x04\x0b"), 0x0c, 64 },
	{ "C", BYTES("\x55\x04\x06"), 0x13, 2 },
	{ "ST", BYTES("\x55\x04\x08"), 0x0c, 128 },
	{ "L", BYTES("\x55\x04\x07"), 0x0c, 128 },
	{ "serialNumber", BYTES("\x55\x04\x05"), 0x13, 64 },
	{ "emailAddress", BYTES("\x2a\x86\x48\x86\xf7\x0d\x01\x09\x01"), 0x16, 255 },
	/* RFC 4519 2.4: one label of a domain, so there are several; in an IA5String, as RFC 5280 A.1 has it. */
	{ "DC", BYTES("\x09\x92\x26\x89\x93\xf2\x2c\x64\x01\x19"), 0x16, 63 },
	{ "UID", BYTES("\x09\x92\x26\x89\x93\xf2\x2c\x64\x01\x01"), 0x0c, 256 },
	/* RFC 2985 5.4.1 wants an IA5String for the name where that will do; routers have their host name in it. */
	{ "unstructuredName", BYTES("\x2a\x86\x48\x86\xf7\x0d\x01\x09\x02"), 0x16, 255 },
	{ "unstructuredAddress", BYTES("\x2a\x86\x48\x86\xf7\x0d\x01\x09\x08"), 0x0c, 255 },
};

const struct subject_component *issue_subject_component(const char *word)
{
	for (size_t i = 0; i < sizeof(components) / sizeof(*components); i++)
		if (strcmp(components[i].word, word) == 0)
			return &components[i];
	return NULL;
}

const struct subject_component *issue_subject_component_of(struct bytes oid)
{
	for (size_t i = 0; i < sizeof(components) / sizeof(*components); i++)
		if (bytes_equal(components[i].oid, oid))
			return &components[i];
	return NULL;
}

/* X.680 41.4: letters, digits, blank and these. */
static bool is_printable(unsigned long c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       (c < 0x80 && c && strchr(" '()+,-./:=?", (int)c));
}

int subject_part_check(const char *component, const char *value)
{
	const struct subject_component *c = issue_subject_component(component);
	struct bytes rest = bytes_of(value, strnlen(value, 2048));
	unsigned long character;
	size_t characters = 0;

	if (!c || rest.len == 0 || rest.len == 2048)
		return -EINVAL;
	for (; rest.len; characters++) {
		if (!text_take(&rest, &character) || character < ' ' || character == 0x7f)
			return -EINVAL;
		if ((c->tag == 0x13 && !is_printable(character)) || (c->tag == 0x16 && character >= 0x80))
			return -EINVAL;
	}
	if (c->max == 2 && characters != 2)
		return -EINVAL;
	return characters <= c->max ? 0 : -EINVAL;
}

static const struct {
	const char *word;
	int bit;
} key_usages[] = {
	{ "digitalSignature", 0 }, { "nonRepudiation", 1 },  { "keyEncipherment", 2 }, { "dataEncipherment", 3 },
	{ "keyAgreement", 4 },
};

int issue_key_usage_bit(const char *word)
{
	for (size_t i = 0; i < sizeof(key_usages) / sizeof(*key_usages); i++)
		if (strcmp(key_usages[i].word, word) == 0)
			return key_usages[i].bit;
	return -EINVAL;
}

bool key_usage_known(const char *word)
{
	return issue_key_usage_bit(word) >= 0;
}

static const struct {
	const char *word;
	const char *oid;
} ext_key_usages[] = {
	{ "serverAuth", "1.3.6.1.5.5.7.3.1" },      { "clientAuth", "1.3.6.1.5.5.7.3.2" },
	{ "codeSigning", "1.3.6.1.5.5.7.3.3" },     { "emailProtection", "1.3.6.1.5.5.7.3.4" },
	{ "ipsecEndSystem", "1.3.6.1.5.5.7.3.5" },  { "ipsecIKE", "1.3.6.1.5.5.7.3.17" },
	{ "timeStamping", "1.3.6.1.5.5.7.3.8" },    { "eapOverLAN", "1.3.6.1.5.5.7.3.14" },
};

/* Purposes that would make the holder an authority over others: no ordinary profile gives them. */
static const char *const forbidden_ext_key_usages[] = {
	"2.5.29.37.0",            /* anyExtendedKeyUsage */
	"1.3.6.1.4.1.311.20.2.1", /* enrolment agent */
	"1.3.6.1.5.5.7.3.28",     /* id-kp-cmcRA */
	"1.3.6.1.5.5.7.3.9",      /* OCSP signing */
};

const char *issue_ext_key_usage_oid(const char *word)
{
	OWNED_BUF oid = BUF_INIT(64);

	for (size_t i = 0; i < sizeof(ext_key_usages) / sizeof(*ext_key_usages); i++)
		if (strcmp(ext_key_usages[i].word, word) == 0)
			return ext_key_usages[i].oid;
	for (size_t i = 0; i < sizeof(forbidden_ext_key_usages) / sizeof(*forbidden_ext_key_usages); i++)
		if (strcmp(forbidden_ext_key_usages[i], word) == 0)
			return NULL;
	return strlen(word) < 64 && der_oid_parse(word, &oid) == 0 ? word : NULL;
}

bool ext_key_usage_known(const char *word_or_oid)
{
	return issue_ext_key_usage_oid(word_or_oid) != NULL;
}

/* Extensions that the core writes, or that would change what the certificate may do in ways a profile must say. */
static const char *const reserved_extensions[] = {
	"2.5.29.14", "2.5.29.15", "2.5.29.17", "2.5.29.18", "2.5.29.19", "2.5.29.30", "2.5.29.31", "2.5.29.32",
	"2.5.29.33", "2.5.29.35", "2.5.29.36", "2.5.29.37", "2.5.29.46", "2.5.29.54", "1.3.6.1.5.5.7.1.1",
	"1.3.6.1.4.1.11129.2.4.3", "1.3.6.1.4.1.311.20.2", "1.3.6.1.4.1.311.21.7", "1.3.6.1.4.1.311.21.10",
	"1.3.6.1.4.1.311.25.2",
};

bool extension_is_reserved(const char *oid)
{
	for (size_t i = 0; i < sizeof(reserved_extensions) / sizeof(*reserved_extensions); i++)
		if (strcmp(reserved_extensions[i], oid) == 0)
			return true;
	return false;
}

int issue_serial(int64_t wall_ms, uint8_t serial[static SERIAL_SIZE])
{
	uint64_t clock = (uint64_t)wall_ms & ((1ull << 47) - 1);

	/* The clock keeps the index append-mostly; uniqueness rests on the 80 random bits and the database. */
	for (int i = 0; i < 6; i++)
		serial[i] = (uint8_t)(clock >> (8 * (5 - i)));
	return random_octets(serial + 6, SERIAL_SIZE - 6);
}
