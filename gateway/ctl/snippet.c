/* The templates of `endpoint snippet`. Each client is described in docs/clients, and what it is told here is run by a
 * test as it is printed, but for devices, whose lines follow their makers' documentation.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "gateway/ctl/snippet.h"

#include <string.h>

#define ROWS(array) (sizeof(array) / sizeof(*(array)))
#define EST_PREFIX "/.well-known/est"
#define ROOT_TEXT "# root.pem: gatehouse trust show --pem\n"
#define USER_TEXT "gatehouse est-user create NAME --endpoint ENDPOINT --scope NAME --generate\n"

/* Words in capitals are filled in (see `fill`). A line that begins with '?' is for labels only. */
static const struct snippet {
	const char *protocol, *client;
	bool has_no_labels; /* of EST: it knows the default one */
	const char *lines;
} snippets[] = {
	{ "acme", "certbot", false,
	  ROOT_TEXT
	  "REQUESTS_CA_BUNDLE=$PWD/root.pem certbot certonly --standalone --server URL -d NAME\n" },
	{ "acme", "lego", false,
	  ROOT_TEXT
	  "LEGO_CA_CERTIFICATES=$PWD/root.pem lego --server URL --accept-tos --email admin@NAME \\\n"
	  "\t--http --domains NAME run\n" },
	{ "acme", "uacme", false,
	  "# root.pem: gatehouse trust show --pem; uacme trusts the system's bundle and nothing else\n"
	  "cp root.pem /usr/local/share/ca-certificates/gatehouse.crt && update-ca-certificates\n"
	  "uacme -v -a URL -y new\n"
	  "uacme -v -a URL -h /usr/share/uacme/uacme.sh issue NAME\n" },
	{ "est", "strongswan", true,
	  ROOT_TEXT
	  "# est_user and est_password: " USER_TEXT
	  "(umask 077; pki --gen --type ecdsa --size 256 --outform pem > NAME.key)\n"
	  "pki --req --type priv --in NAME.key --dn CN=NAME --san NAME --outform pem > NAME.csr\n"
	  "(umask 077; printf -- '--userpass %s:%s\\n' \"$est_user\" \"$est_password\" > NAME.opt)\n"
	  "pki --est --options NAME.opt --url BASE --cacert root.pem --in NAME.csr --outform pem > NAME.pem\n"
	  "rm NAME.opt\n"
	  "# Later, with a request new.csr for the same name, of a key of its own:\n"
	  "#   pki --est --url BASE --cacert root.pem --in new.csr --cert NAME.pem --key NAME.key \\\n"
	  "#\t--outform pem > new.pem\n" },
	{ "est", "curl", false,
	  ROOT_TEXT
	  "# est_user and est_password: " USER_TEXT
	  "openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout NAME.key -subj /CN=NAME \\\n"
	  "\t-addext subjectAltName=DNS:NAME -outform DER | openssl base64 > NAME.csr\n"
	  "printf 'user = \"%s:%s\"\\n' \"$est_user\" \"$est_password\" |\n"
	  "\tcurl --config - --fail --cacert root.pem -H 'Content-Type: application/pkcs10' \\\n"
	  "\t--data-binary @NAME.csr -o NAME.p7 URL/simpleenroll\n"
	  "openssl base64 -d -in NAME.p7 | openssl pkcs7 -inform DER -print_certs -out NAME.pem\n" },
	{ "est", "libest", false,
	  ROOT_TEXT
	  "# est_user and est_password: " USER_TEXT
	  "# It takes the password on its command line only, where everybody on this host can read it.\n"
	  "EST_OPENSSL_CACERT=root.pem estclient -e -s HOST -p PORT --common-name NAME --pem-output -o . \\\n"
	  "?\t--path-seg LABEL \\\n"
	  "\t-u \"$est_user\" -h \"$est_password\"\n" },
	{ "est", "aos-cx", false,
	  "! The certificate to paste: gatehouse trust show --pem\n"
	  "! USER and PASSWORD: " USER_TEXT
	  "crypto pki ta-profile gatehouse\n"
	  "    ta-certificate import terminal\n"
	  "    exit\n"
	  "crypto pki est-profile gatehouse\n"
	  "    url BASE" EST_PREFIX "\n"
	  "?    arbitrary-label LABEL\n"
	  "    username USER password plaintext PASSWORD\n"
	  "    exit\n"
	  "crypto pki certificate gatehouse\n"
	  "    subject common-name NAME\n"
	  "    key-type ecdsa curve-size 256\n"
	  "    enroll est-profile gatehouse\n" },
	{ "est", "ios-xe", false,
	  "! The certificate to paste: gatehouse trust show --pem\n"
	  "! The device shows a certificate: a first one of this CA lies in the trustpoint gatehouse-first.\n"
	  "crypto pki profile enrollment gatehouse\n"
	  " method-est\n"
	  " enrollment url URL\n"
	  " enrollment credential gatehouse-first\n"
	  "crypto pki trustpoint gatehouse\n"
	  " enrollment profile gatehouse\n"
	  " subject-name CN=NAME\n"
	  " rsakeypair gatehouse 2048\n"
	  " auto-enroll 70\n"
	  "exit\n"
	  "crypto pki authenticate gatehouse\n"
	  "crypto pki enroll gatehouse\n" },
};

struct span {
	const char *at;
	size_t len;
};

static struct span all_of(const char *text)
{
	return (struct span){ text, strlen(text) };
}

/* What stands before the configured path: "https://ca.example.com". */
static struct span base_of(const struct snippet_words *w)
{
	size_t n = strlen(w->url), path = strlen(w->path);

	return (struct span){ w->url, n >= path && strcmp(w->url + n - path, w->path) == 0 ? n - path : n };
}

/* "ca.example.com:8443" of the URL. */
static struct span authority_of(const struct snippet_words *w)
{
	const char *at = strstr(w->url, "://");

	at = at ? at + 3 : w->url;
	return (struct span){ at, strcspn(at, "/") };
}

/* Where the port begins, ':' with it, in an authority; its end when there is none. */
static size_t port_at(struct span authority)
{
	size_t at = authority.len;

	while (at && authority.at[at - 1] != ':' && authority.at[at - 1] != ']')
		at--;
	return at && authority.at[at - 1] == ':' ? at - 1 : authority.len;
}

static struct span host_of(const struct snippet_words *w)
{
	struct span authority = authority_of(w);

	authority.len = port_at(authority);
	return authority;
}

static struct span port_of(const struct snippet_words *w)
{
	struct span authority = authority_of(w);
	size_t at = port_at(authority);

	return at == authority.len ? all_of("443") : (struct span){ authority.at + at + 1, authority.len - at - 1 };
}

static struct span label_of(const struct snippet_words *w)
{
	size_t n = strlen(EST_PREFIX);

	return all_of(strncmp(w->path, EST_PREFIX "/", n + 1) == 0 ? w->path + n + 1 : "");
}

/* How far `at` is a word to fill in, and with what; 0: it is none. */
static size_t fill(const char *at, const struct snippet_words *w, struct span *with)
{
	const struct {
		const char *word;
		struct span value;
	} words[] = {
		{ "URL", all_of(w->url) }, { "NAME", all_of(w->name) }, { "ENDPOINT", all_of(w->endpoint) },
		{ "BASE", base_of(w) },	   { "HOST", host_of(w) },      { "PORT", port_of(w) },
		{ "LABEL", label_of(w) },
	};

	for (size_t i = 0; i < ROWS(words); i++)
		if (strncmp(at, words[i].word, strlen(words[i].word)) == 0) {
			*with = words[i].value;
			return strlen(words[i].word);
		}
	return 0;
}

static void print_line(FILE *to, const char *at, size_t n, const struct snippet_words *words)
{
	for (const char *end = at + n; at < end;) {
		struct span with = { at, 1 };
		size_t taken = fill(at, words, &with);

		fwrite(with.at, 1, with.len, to);
		at += taken ? taken : 1;
	}
}

int snippet_print(FILE *to, const char *protocol, const char *client, const struct snippet_words *words)
{
	const struct snippet *s = snippets;
	bool has_label = label_of(words).len > 0;

	while (s < snippets + ROWS(snippets) && (strcmp(s->protocol, protocol) != 0 || strcmp(s->client, client) != 0))
		s++;
	if (s == snippets + ROWS(snippets))
		return SNIPPET_NO_CLIENT;
	if (s->has_no_labels && has_label)
		return SNIPPET_NO_LABEL;
	for (const char *line = s->lines, *end; *line; line = end) {
		end = strchr(line, '\n') + 1;
		if (*line != '?')
			print_line(to, line, (size_t)(end - line), words);
		else if (has_label)
			print_line(to, line + 1, (size_t)(end - line) - 1, words);
	}
	return 0;
}

const char *snippet_client_at(const char *protocol, size_t i)
{
	for (size_t j = 0; j < ROWS(snippets); j++)
		if ((!protocol || strcmp(snippets[j].protocol, protocol) == 0) && i-- == 0)
			return snippets[j].client;
	return NULL;
}
