/* DNS names and addresses, read strictly.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "protocols/acme/identifier.h"

#include <arpa/inet.h>
#include <idn2.h>
#include <stdlib.h>

#define LABEL_MAX 63

static int refuse(int outcome, const char **why, const char *sentence)
{
	*why = sentence;
	return outcome;
}

const char *acme_identifier_type(enum ca_name_kind kind)
{
	return kind == CA_NAME_IP ? "ip" : "dns";
}

/* The whole name comes back unchanged from U-labels: every "xn--" label is valid IDNA 2008 in its one spelling. */
static bool a_labels_are_valid(const char *name)
{
	char *unicode = NULL, *back = NULL;
	bool valid = idn2_to_unicode_8z8z(name, &unicode, 0) == IDN2_OK &&
		     idn2_lookup_u8((const uint8_t *)unicode, (uint8_t **)&back,
				    IDN2_NFC_INPUT | IDN2_NONTRANSITIONAL) == IDN2_OK &&
		     strcmp(back, name) == 0;

	idn2_free(unicode);
	idn2_free(back);
	return valid;
}

static int check_label(const char *label, size_t len, const char **why)
{
	if (len == 0 || len > LABEL_MAX)
		return refuse(ACME_IDENTIFIER_MALFORMED, why, "a label of the name is empty or too long");
	for (size_t i = 0; i < len; i++)
		if (!strchr("abcdefghijklmnopqrstuvwxyz0123456789-", label[i]))
			return refuse(ACME_IDENTIFIER_MALFORMED, why,
				      "a DNS name consists of letters, digits, hyphens and dots; "
				      "international names are written as A-labels");
	if (label[0] == '-' || label[len - 1] == '-')
		return refuse(ACME_IDENTIFIER_MALFORMED, why, "a label begins or ends with a hyphen");
	if (len >= 4 && memcmp(label + 2, "--", 2) == 0 && memcmp(label, "xn", 2) != 0)
		return refuse(ACME_IDENTIFIER_MALFORMED, why, "a label has hyphens in the third and fourth place");
	return 0;
}

static int check_labels(const char *name, const char **why)
{
	size_t labels = 0;
	const char *p = name, *last;

	for (;;) {
		size_t len = strcspn(p, ".");
		int e = check_label(p, len, why);

		if (e)
			return e;
		labels++;
		last = p;
		if (p[len] == '\0')
			break;
		p += len + 1;
	}
	if (strspn(last, "0123456789") == strlen(last))
		return refuse(ACME_IDENTIFIER_MALFORMED, why, "an IP address is not a DNS name; use type ip");
	if (labels < 2)
		return refuse(ACME_IDENTIFIER_REJECTED, why, "a DNS name needs at least two labels");
	if (strstr(name, "xn--") && !a_labels_are_valid(name))
		return refuse(ACME_IDENTIFIER_MALFORMED, why, "a label is not a valid A-label");
	return 0;
}

static int read_dns(struct acme_identifier *out, const char *value, const char **why)
{
	size_t len = strlen(value);

	if (len == 0 || len >= sizeof(out->value))
		return refuse(ACME_IDENTIFIER_MALFORMED, why, "a DNS name has 1 to 253 octets");
	if (strncmp(value, "*.", 2) == 0)
		return refuse(ACME_IDENTIFIER_REJECTED, why,
			      "wildcard names cannot be validated by http-01, the only challenge offered here");
	for (size_t i = 0; i <= len; i++)
		out->value[i] = (char)(value[i] >= 'A' && value[i] <= 'Z' ? value[i] - 'A' + 'a' : value[i]);
	out->kind = CA_NAME_DNS;
	return check_labels(out->value, why);
}

/* RFC 8738 3: the textual form of RFC 1123 2.1 or RFC 5952 4. */
static int read_ip(struct acme_identifier *out, const char *value, const char **why)
{
	uint8_t octets[16];
	int family = strchr(value, ':') ? AF_INET6 : AF_INET;

	if (inet_pton(family, value, octets) != 1)
		return refuse(ACME_IDENTIFIER_MALFORMED, why, "not an IP address");
	if (!inet_ntop(family, octets, out->value, sizeof(out->value)) || strcmp(out->value, value) != 0)
		return refuse(ACME_IDENTIFIER_MALFORMED, why, "the address is not in its canonical form");
	if (family == AF_INET6 && strchr(value, '.'))
		return refuse(ACME_IDENTIFIER_REJECTED, why, "IPv4 addresses inside IPv6 are not certified");
	out->kind = CA_NAME_IP;
	return 0;
}

int acme_identifier_read(struct acme_identifier *out, const char *type, const char *value, const char **why)
{
	if (strcmp(type, "dns") == 0)
		return read_dns(out, value, why);
	if (strcmp(type, "ip") == 0)
		return read_ip(out, value, why);
	return refuse(ACME_IDENTIFIER_UNSUPPORTED_TYPE, why, "identifiers are of type dns or ip");
}
