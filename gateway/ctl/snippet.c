/* The templates of `endpoint snippet`. Each client is described in docs/clients, and what it is told here is run by a
 * test as it is printed, but for devices, whose lines follow their makers' documentation.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "gateway/ctl/snippet.h"

#include <string.h>

#include "core/base/digest.h"

#define ROWS(array) (sizeof(array) / sizeof(*(array)))
#define EST_PREFIX "/.well-known/est"
#define ROOT_TEXT "# root.pem: gatehouse trust show --pem\n"
#define USER_TEXT "gatehouse est-user create NAME --endpoint ENDPOINT --scope NAME --generate\n"
#define CHALLENGE_TEXT "gatehouse challenge create --endpoint ENDPOINT --scope NAME\n"
#define RA_FILE_TEXT \
	"=# This endpoint tells the CA alone. Made where the CA is, and copied to the device:\n" \
	"=#   gatehouse cert export \"$(gatehouse cert list -o id --newest --limit 1 \\\n" \
	"=#\t'valid and profile=scep-ra and requester=gateway:ra:ENDPOINT')\" > ra.pem\n"
#define COMPARE_TEXT "compare the fingerprint of the CA that it shows with: gatehouse trust show\n"

/* Words in capitals are filled in (see `fill`), but behind '^'. A line that begins with '?' is for labels only, with
 * '+' for where GetCACert tells the RA certificate, with '=' for where it does not. */
static const struct snippet {
	const char *protocol, *client;
	bool has_no_labels; /* of EST: it knows the default one */
	const char *lines; /* NULL: only with an endpoint that has challenges made */
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
	{ "scep", "strongswan", false,
	  "# challenge: " CHALLENGE_TEXT
	  RA_FILE_TEXT
	  "+pki --scepca --url URL --caout ca.pem --raout ra.pem --outform pem\n"
	  "=pki --scepca --url URL --caout ca.pem --outform pem\n"
	  "# And " COMPARE_TEXT
	  "(umask 077; pki --gen --type rsa --size 2048 --outform pem > NAME.key)\n"
	  "(umask 077; printf -- '--password %s\\n' \"$challenge\" > NAME.opt)\n"
	  "pki --scep --options NAME.opt --url URL --in NAME.key --dn CN=NAME --san NAME \\\n"
	  "\t--cacert-enc ra.pem --cacert-sig ca.pem --outform pem > NAME.pem\n"
	  "rm NAME.opt\n"
	  "# Later, with a key of its own, and with ra.pem fetched anew:\n"
	  "#   pki --scep --url URL --in new.key --dn CN=NAME --san NAME --cert NAME.pem --key NAME.key \\\n"
	  "#\t--cacert-enc ra.pem --cacert-sig ca.pem --outform pem > new.pem\n" },
	{ "scep", "certmonger", false,
	  "# challenge: " CHALLENGE_TEXT
	  "# When this is https: add -R and the file of gatehouse trust show --pem.\n"
	  RA_FILE_TEXT
	  "=#   gatehouse trust show --pem > ca.pem\n"
	  "+getcert add-scep-ca -c ENDPOINT -u URL\n"
	  "=getcert add-scep-ca -c ENDPOINT -u URL -r \"$PWD/ra.pem\" -N \"$PWD/ca.pem\"\n"
	  "(umask 077; printf %s \"$challenge\" > \"$PWD/NAME.challenge\")\n"
	  "getcert request -w -c ENDPOINT -I NAME -k \"$PWD/NAME.key\" -f \"$PWD/NAME.pem\" \\\n"
	  "\t-N CN=NAME -D NAME -l \"$PWD/NAME.challenge\"\n"
	  "# It renews by itself. A held request is looked at with: getcert refresh -i NAME\n" },
	{ "scep", "sscep", false,
	  "# challenge: " CHALLENGE_TEXT
	  RA_FILE_TEXT
	  "+sscep getca -u URL -c ca.crt\n"
	  "+# And " COMPARE_TEXT
	  "(umask 077; printf '[req]\\nprompt = no\\ndistinguished_name = dn\\nattributes = more\\n"
	  "req_extensions = ext\\n[dn]\\nCN = NAME\\n[ext]\\nsubjectAltName = DNS:NAME\\n"
	  "[more]\\nchallengePassword = %s\\n' \"$challenge\" \\\n"
	  "\t> NAME.cnf; openssl req -new -newkey rsa:2048 -nodes -config NAME.cnf -keyout NAME.key -out NAME.csr)\n"
	  "rm NAME.cnf\n"
	  "+sscep enroll -u URL -c ca.crt-0 -E aes -S sha256 -k NAME.key -r NAME.csr -l NAME.pem -t 60 -n 60\n"
	  "=sscep enroll -u URL -c ra.pem -E aes -S sha256 -k NAME.key -r NAME.csr -l NAME.pem -t 60 -n 60\n"
	  "# Later, with a key and a request of its own: the same with -O NAME.pem -K NAME.key\n" },
	{ "scep", "ios", false,
	  "! It asks for the challenge: " CHALLENGE_TEXT
	  "! At \"authenticate\" " COMPARE_TEXT
	  "crypto key generate rsa modulus 2048 label gatehouse\n"
	  "crypto pki trustpoint gatehouse\n"
	  " enrollment mode ra\n"
	  " enrollment url URL\n"
	  " serial-number none\n"
	  " fqdn none\n"
	  " ip-address none\n"
	  " subject-name CN=NAME\n"
	  " hash sha256\n"
	  " rsakeypair gatehouse 2048\n"
	  " revocation-check crl\n"
	  " auto-enroll 70 regenerate\n"
	  "exit\n"
	  "crypto pki authenticate gatehouse\n"
	  "crypto pki enroll gatehouse\n" },
	{ "scep", "junos", false,
	  "# CHALLENGE: " CHALLENGE_TEXT
	  "# At \"ca-certificate enroll\" " COMPARE_TEXT
	  "set security pki ca-profile gatehouse ca-identity ENDPOINT\n"
	  "set security pki ca-profile gatehouse enrollment url URL\n"
	  "set security pki ca-profile gatehouse enrollment retry 30 retry-interval 60\n"
	  "commit\n"
	  "run request security pki ca-certificate enroll ca-profile gatehouse\n"
	  "run request security pki generate-key-pair certificate-id gatehouse type rsa size 2048\n"
	  "run request security pki local-certificate enroll certificate-id gatehouse ca-profile gatehouse \\\n"
	  "\tdomain-name NAME subject CN=NAME challenge-password CHALLENGE\n" },
	{ "scep", "jamf", false,
	  "# A configuration profile of Jamf Pro with the payload SCEP:\n"
	  "^URL                            URL\n"
	  "Name                           ENDPOINT\n"
	  "Subject                        CN=NAME\n"
	  "Subject Alternative Name Type  DNS Name\n"
	  "Subject Alternative Name Value NAME\n"
	  "Challenge Type                 Static\n"
	  "Challenge                      for all devices of the profile, as many as N, within 30 days:\n"
	  "                               gatehouse challenge create --endpoint ENDPOINT --scope NAME \\\n"
	  "                               \t--uses N --ttl 30d\n"
	  "Key Size                       2048\n"
	  "Use as digital signature       yes\n"
	  "Use for key encipherment       yes\n"
	  "Fingerprint                    that of: gatehouse trust show\n" },
	{ "scep", "intune", false,
	  "# A configuration profile of Microsoft Intune, \"SCEP certificate\", beside one \"Trusted certificate\"\n"
	  "# with the root (gatehouse trust show). The endpoint needs a challenge-target of kind intune.\n"
	  "Subject name format              CN={{AAD_Device_ID}}\n"
	  "Subject alternative name         DNS, as in NAME; with {{DeviceName}} for many devices\n"
	  "Key usage                        Digital signature, Key encipherment\n"
	  "Key size (bits)                  2048\n"
	  "Hash algorithm                   SHA-2\n"
	  "Root Certificate                 the profile with the root\n"
	  "Extended key usage               those of the profile of ENDPOINT\n"
	  "Renewal threshold (%)            20\n"
	  "SCEP Server ^URLs                 URL\n" },
	{ "scep", "ndes", false, NULL },
	{ "scep", "mobileconfig", false,
	  "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
	  "<!DOCTYPE plist PUBLIC \"-//Apple//DTD PLIST 1.0//EN\" \"http://www.apple.com/DTDs/PropertyList-1.0.dtd\">\n"
	  "<!-- CHALLENGE is what gatehouse challenge create prints, for the endpoint ENDPOINT and the scope NAME.\n"
	  "     The file is a secret until it was used. -->\n"
	  "<plist version=\"1.0\"><dict>\n"
	  "<key>PayloadType</key><string>Configuration</string>\n"
	  "<key>PayloadVersion</key><integer>1</integer>\n"
	  "<key>PayloadIdentifier</key><string>gatehouse.ENDPOINT</string>\n"
	  "<key>PayloadUUID</key><string>ID1</string>\n"
	  "<key>PayloadDisplayName</key><string>NAME</string>\n"
	  "<key>PayloadContent</key><array><dict>\n"
	  "<key>PayloadType</key><string>com.apple.security.scep</string>\n"
	  "<key>PayloadVersion</key><integer>1</integer>\n"
	  "<key>PayloadIdentifier</key><string>gatehouse.ENDPOINT.scep</string>\n"
	  "<key>PayloadUUID</key><string>ID2</string>\n"
	  "<key>PayloadContent</key><dict>\n"
	  "<key>^URL</key><string>URL</string>\n"
	  "<key>Name</key><string>ENDPOINT</string>\n"
	  "<key>Subject</key><array><array><array><string>CN</string><string>NAME</string></array></array></array>\n"
	  "<key>SubjectAltName</key><dict><key>dNSName</key><string>NAME</string></dict>\n"
	  "<key>Challenge</key><string>CHALLENGE</string>\n"
	  "<key>Key Type</key><string>RSA</string>\n"
	  "<key>Keysize</key><integer>2048</integer>\n"
	  "<key>Key Usage</key><integer>5</integer>\n"
	  "<key>Retries</key><integer>30</integer>\n"
	  "<key>RetryDelay</key><integer>60</integer>\n"
	  "</dict></dict></array></dict></plist>\n" },
};

/* Where challenges are made on demand. */
static const struct {
	const char *client, *lines;
} mdm_snippets[] = {
	{ "jamf",
	  "# User and password of the webhook:\n"
	  "#   gatehouse user create USER --endpoint ENDPOINT --delegates 1000 --generate \\\n"
	  "#\t--scope 'CN={serialNumber}' --scope 'dns:{serialNumber}.NAME'\n"
	  "# Settings, Global, Webhooks:\n"
	  "Webhook Event                  SCEPChallenge\n"
	  "Webhook ^URL                    MDM/jamf\n"
	  "Authentication Type            Basic Authentication\n"
	  "Content Type                   JSON\n"
	  "# A configuration profile with the payload SCEP:\n"
	  "^URL                            URL\n"
	  "Name                           ENDPOINT\n"
	  "Subject                        CN=$SERIALNUMBER\n"
	  "Subject Alternative Name Type  DNS Name\n"
	  "Subject Alternative Name Value $SERIALNUMBER.NAME\n"
	  "Challenge Type                 Dynamic\n"
	  "Key Size                       2048\n"
	  "Use as digital signature       yes\n"
	  "Use for key encipherment       yes\n"
	  "Fingerprint                    that of: gatehouse trust show\n" },
	{ "ndes",
	  "# For ^MDM systems that read the page of NDES, as Fleet does. User and password:\n"
	  "#   gatehouse user create USER --endpoint ENDPOINT --delegates 1000 --generate --scope '*.NAME'\n"
	  "SCEP ^URL   URL\n"
	  "Admin ^URL  MDM/mscep_admin/\n"
	  "User       USER\n" },
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

/* A UUID of version 8 (RFC 9562 5.8): the same for the same endpoint and name, so that a profile that is made again
 * replaces the one before. */
struct profile_id {
	char text[37];
};

static struct profile_id make_id(const struct snippet_words *w, const char *salt)
{
	struct bytes pieces[] = { bytes_of_str(w->url), bytes_of_str(w->name), bytes_of_str(salt) };
	uint8_t d[SHA256_SIZE] = { 0 };
	struct profile_id id;

	if (digest_sha256_pieces(pieces, ROWS(pieces), d))
		return (struct profile_id){ "" };
	d[6] = 0x80 | (d[6] & 0x0f);
	d[8] = 0x80 | (d[8] & 0x3f);
	snprintf(id.text, sizeof(id.text), "%02X%02X%02X%02X-%02X%02X-%02X%02X-%02X%02X-%02X%02X%02X%02X%02X%02X",
		 d[0], d[1], d[2], d[3], d[4], d[5], d[6], d[7], d[8], d[9], d[10], d[11], d[12], d[13], d[14], d[15]);
	return id;
}

/* How far `at` is a word to fill in, and with what; 0: it is none. */
static size_t fill(const char *at, const struct snippet_words *w, const struct profile_id *ids, struct span *with)
{
	const struct {
		const char *word;
		struct span value;
	} words[] = {
		{ "URL", all_of(w->url) }, { "NAME", all_of(w->name) }, { "ENDPOINT", all_of(w->endpoint) },
		{ "BASE", base_of(w) },	   { "HOST", host_of(w) },      { "PORT", port_of(w) },
		{ "MDM", all_of(w->mdm ? w->mdm : "") },
		{ "LABEL", label_of(w) },  { "ID1", all_of(ids[0].text) }, { "ID2", all_of(ids[1].text) },
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
	const struct profile_id ids[] = { make_id(words, "1"), make_id(words, "2") };

	for (const char *end = at + n; at < end;) {
		bool is_literal = *at == '^';
		struct span with = { at += is_literal, 1 };
		size_t taken = is_literal ? 0 : fill(at, words, ids, &with);

		fwrite(with.at, 1, with.len, to);
		at += taken ? taken : 1;
	}
}

/* Does a line that begins so say for whom it is, and is it shown? */
static bool find_mark(char begin, const struct snippet_words *w, bool *is_shown)
{
	const struct {
		char mark;
		bool is_shown;
	} marks[] = { { '?', label_of(w).len > 0 }, { '+', !w->hides_ra }, { '=', w->hides_ra } };

	for (size_t i = 0; i < ROWS(marks); i++)
		if (marks[i].mark == begin) {
			*is_shown = marks[i].is_shown;
			return true;
		}
	return false;
}

int snippet_print(FILE *to, const char *protocol, const char *client, const struct snippet_words *words)
{
	const struct snippet *s = snippets;
	bool has_label = label_of(words).len > 0;
	const char *lines;

	while (s < snippets + ROWS(snippets) && (strcmp(s->protocol, protocol) != 0 || strcmp(s->client, client) != 0))
		s++;
	if (s == snippets + ROWS(snippets))
		return SNIPPET_NO_CLIENT;
	if (s->has_no_labels && has_label)
		return SNIPPET_NO_LABEL;
	lines = s->lines;
	for (size_t i = 0; words->mdm && i < ROWS(mdm_snippets); i++)
		if (strcmp(mdm_snippets[i].client, client) == 0)
			lines = mdm_snippets[i].lines;
	if (!lines)
		return SNIPPET_NO_MDM;
	for (const char *line = lines, *end; *line; line = end) {
		bool is_shown = true, is_marked = find_mark(*line, words, &is_shown);

		end = strchr(line, '\n') + 1;
		line += is_marked;
		if (is_shown)
			print_line(to, line, (size_t)(end - line), words);
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
