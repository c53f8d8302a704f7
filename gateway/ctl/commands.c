/* The one table of commands.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "gateway/ctl/command.h"

#include <string.h>

#include "gateway/ctl/ctl.h"
#include "gateway/ctl/shapes.h"

static const struct option_row common_options[] = {
	{ "output", .letter = 'o', .value = "FORMAT",
	  .summary = "table, wide, json (one document), jsonl (a line each), csv or id",
	  .choices = "table wide json jsonl csv id" },
	{ "utc", .summary = "times in full (RFC 3339, UTC) instead of ages" },
	{ "color", .value = "WHEN",
	  .summary = "auto (default), always or never; NO_COLOR is obeyed", .choices = "auto always never" },
	{ "socket", .value = "PATH",
	  .summary = "the admin socket; GATEHOUSE_SOCKET, else " CTL_SOCKET_DEFAULT },
	{ "help", .letter = 'h', .summary = "help about a command, a noun or everything" },
	{ "version", .summary = "the version" },
	{ 0 },
};

/* Every command that prints a list takes these. */
static const struct option_row list_options[] = {
	{ "columns", .value = "COLUMNS", .summary = "which columns, in which order: a,b,c" },
	{ "sort", .value = "COLUMN",
	  .summary = "order by a column, from the greatest with a '-' before it; several: a,-b" },
	{ "limit", .value = "N", .summary = "at most so many rows" },
	{ "after", .value = "ID", .summary = "begin after this row" },
	{ "no-headings", .summary = "without headings and without the line at the end" },
	{ 0 },
};

static const struct option_row show_options[] = {
	{ "timeline", .summary = "with every step, its time and who did it" },
	{ 0 },
};

static const struct option_row confirm_options[] = {
	{ "yes", .letter = 'y', .summary = "do not ask" },
	{ 0 },
};

static const struct option_row approve_options[] = {
	{ "digest", .value = "HEX",
	  .summary = "only what has this digest (from show or pending -o json); for one request" },
	{ "not-after", .value = "TIME",
	  .summary = "let it end then, earlier than it would, as 2026-12-31T00:00:00Z" },
	{ "note", .value = "TEXT", .summary = "write a note first, for those who look next" },
	{ 0 },
};

static const struct option_row revoke_options[] = {
	{ "reason", .value = "TEXT", .summary = "of RFC 5280: superseded, keyCompromise, ...; else unspecified" },
	{ "at", .value = "DATE", .summary = "since when, as 2026-11-23T05:32:50Z; now without one" },
	{ 0 },
};

static const struct option_row import_options[] = {
	{ "existing", .summary = "into the one pending request with its public key: an offline signer's answer" },
	{ "foreign", .summary = "one that no CA here has signed is taken too" },
	{ 0 },
};

static const struct option_row crl_options[] = {
	{ "publish", .summary = "publish new ones first" },
	{ 0 },
};

static const struct option_row purge_options[] = {
	{ "before", .value = "DATE", .summary = "up to when, as 2025-01-01T00:00:00Z" },
	{ "failed", .summary = "requests that were denied or failed, instead of certificates" },
	{ 0 },
};

static const struct option_row deny_options[] = {
	{ "reason", .value = "TEXT", .summary = "told to the requester" },
	{ 0 },
};

static const struct option_row batch_options[] = {
	{ "max", .value = "N", .summary = "how many requests a filter may match; 100" },
	{ 0 },
};

static const struct option_row newest_options[] = {
	{ "newest", .summary = "the newest first" },
	{ 0 },
};

static const struct option_row export_options[] = {
	{ "certificate", .summary = "the certificate instead of the request" },
	{ 0 },
};

static const struct option_row within_options[] = {
	{ "within", .value = "DURATION", .summary = "how soon; 30d" },
	{ 0 },
};

static const struct option_row note_options[] = {
	{ "text", .value = "TEXT", .summary = "what to note" },
	{ 0 },
};

static const struct option_row timeout_options[] = {
	{ "timeout", .value = "DURATION", .summary = "end after so long: 90s, 10m, 2h" },
	{ 0 },
};

static const struct option_row watch_options[] = {
	{ "until", .value = "FILTER", .summary = "end when the request of a line matches" },
	{ 0 },
};

static const struct option_row policy_test_options[] = {
	{ "csr", .value = "FILE", .summary = "the PKCS#10 request, in PEM or DER" },
	{ "via", .value = "ENDPOINT", .summary = "as if it came in at this endpoint" },
	{ "profile", .value = "PROFILE", .summary = "as if the endpoint had this profile" },
	{ "requester", .value = "TEXT",
	  .summary = "who asks: acme:7, est:user:alice; without it one who never asked before" },
	{ "from", .value = "ADDRESS", .summary = "the client's address" },
	{ "attr", .value = "NAME=VALUE", .summary = "an attribute of the request", .repeats = true },
	{ 0 },
};

static const struct option_row edit_options[] = {
	{ "add-san", .value = "NAME", .summary = "add a name: dns:a.example", .repeats = true },
	{ "del-san", .value = "NAME", .summary = "take a name away", .repeats = true },
	{ "set-ext", .value = "OID=HEX", .summary = "set an extension to this DER; OID=HEX,critical", .repeats = true },
	{ "del-ext", .value = "OID", .summary = "take an extension away", .repeats = true },
	{ "lifetime", .value = "DURATION", .summary = "a shorter validity: 30d" },
	{ "not-after", .value = "TIME", .summary = "an earlier end, as 2026-12-31T00:00:00Z" },
	{ "set-attr", .value = "NAME=VALUE", .summary = "set an attribute", .repeats = true },
	{ "del-attr", .value = "NAME", .summary = "remove an attribute", .repeats = true },
	{ 0 },
};

static const struct option_row credential_options[] = {
	{ "endpoint", .value = "NAME", .summary = "good at this endpoint; one at least", .repeats = true },
	{ "profile", .value = "NAME", .summary = "good for this profile; without it for those of the endpoints now",
	  .repeats = true },
	{ "scope", .value = "PATTERN",
	  .summary = "a name that it proves: *.example.com, ip:10.0.0.0/8, email:*@example.com, uri:…, O=Example; or "
		     "any", .repeats = true },
	{ "ttl", .value = "TIME", .summary = "good for so long: 30m, 12h, 7d; or never: without end" },
	{ "uses", .value = "N", .summary = "good for so many requests (eab: accounts), or unlimited" },
	{ "note", .value = "TEXT", .summary = "what it is for, for people" },
	{ 0 },
};

static const struct option_row delegate_options[] = {
	{ "delegates", .value = "N",
	  .summary = "may have SCEP challenges made by endpoints of protocol mdm, so many of which wait at once" },
	{ 0 },
};

static const struct option_row by_name_options[] = {
	{ "by-name", .summary = "any certificate with the issuer and subject of the first one, instead of its key" },
	{ 0 },
};

static const struct option_row password_options[] = {
	{ "password-file", .value = "FILE", .summary = "read the password from the first line; - is standard input" },
	{ "generate", .summary = "let the core make one, and show it" },
	{ 0 },
};

static const struct option_row ca_key_options[] = {
	{ "key-type", .value = "TYPE", .summary = "ec-p256 (default), ec-p384, rsa-3072, rsa-4096, or rsa-2048 "
						 "for devices that know nothing longer",
	  .choices = "ec-p256 ec-p384 rsa-2048 rsa-3072 rsa-4096" },
	{ "lifetime", .value = "DAYS", .summary = "of the certificate of a root; 3650" },
	{ 0 },
};

/* Where the sealed keys lie, and what opens them. */
static const struct option_row ca_place_options[] = {
	{ "name", .value = "TEXT", .summary = "name of the CA, of a new one also its common name; Gatehouse CA" },
	{ "data", .value = "FOLDER", .summary = "data folder, an absolute path; /var/lib/gatehouse" },
	{ "key-file", .value = "FILE", .summary = "file with the key-encryption key; kek in the data folder" },
	{ "passphrase-file", .value = "FILE", .summary = "file (mode 0600) with a passphrase in its place" },
	{ "passphrase-prompt", .summary = "ask for the passphrase at the terminal" },
	{ 0 },
};

static const struct option_row ca_init_options[] = {
	{ "organization", .value = "TEXT", .summary = "organization in the CA's subject" },
	{ "intermediate", .summary = "print a certification request; another authority signs the certificate" },
	{ "config", .value = "FILE",
	  .summary = "configuration to write unless it is there; " CTL_CONFIG_DEFAULT },
	{ "domain", .value = "DOMAIN",
	  .summary = "DNS name under which clients reach this gateway; the host's own name" },
	{ 0 },
};

static const struct option_row trust_options[] = {
	{ "pem", .summary = "the certificates alone, in PEM" },
	{ 0 },
};

static const struct option_row snippet_options[] = {
	{ "domain", .value = "DOMAIN", .summary = "the name that the certificate is for; www.example.com" },
	{ 0 },
};

static const struct option_row store_options[] = {
	{ "data", .value = "FOLDER", .summary = "data folder; " CTL_DATA_DEFAULT },
	{ "database", .value = "FILE", .summary = "a core.db that lies elsewhere, as one of a backup" },
	{ "anchor", .value = "FILE", .summary = "its audit.anchor" },
	{ 0 },
};

static const struct option_row backup_options[] = {
	{ "data", .value = "FOLDER", .summary = "data folder; " CTL_DATA_DEFAULT },
	{ "without-gateway", .summary = "leave the gateway's stores and keys out" },
	{ 0 },
};

static const struct option_row restore_options[] = {
	{ "data", .value = "FOLDER", .summary = "data folder; " CTL_DATA_DEFAULT },
	{ "accept", .summary = "the store was put back by other means: take it for what it is" },
	{ 0 },
};

static const struct option_row audit_tail_options[] = {
	{ "lines", .letter = 'n', .value = "N", .summary = "how many; 20" },
	{ "follow", .letter = 'f', .summary = "go on with what is written from now on" },
	{ 0 },
};

static const struct option_row audit_search_options[] = {
	{ "actor", .value = "TEXT", .summary = "who did it: unix:alice, acme:12, policy, core" },
	{ "action", .value = "TEXT", .summary = "what was done: issue, approve, revoke" },
	{ "request", .value = "ID", .summary = "about this request" },
	{ "subject", .value = "TEXT", .summary = "about this serial, CA or credential" },
	{ "since", .value = "TIME", .summary = "not before, as 2026-03-01T12:00:00Z" },
	{ "until", .value = "TIME", .summary = "not after" },
	{ 0 },
};

static const struct option_row audit_export_options[] = {
	{ "after", .value = "ID", .summary = "begin behind this record" },
	{ 0 },
};

#define BATCH_TEXT                                                                                                     \
	"\n\nREQUEST is a number, the serial of its certificate, the beginning of the SHA-256 of its key, or " \
	"@FILTER: then the number of requests is shown with three of them, and has to be typed, unless --yes."

static const struct noun_row nouns[] = {
	{ "request", .summary = "requests for certificates: look, decide, edit",
	  .known = "gatehouse list" },
	{ "cert", .summary = "certificates that were issued",
	  .known = "gatehouse cert list" },
	{ "eab", .summary = "keys for new ACME accounts (external account binding)",
	  .known = "gatehouse eab list" },
	{ "challenge", .summary = "SCEP challenges",
	  .known = "gatehouse challenge list" },
	{ "user", .summary = "EST users", .also = "est-user",
	  .known = "gatehouse user list" },
	{ "token", .summary = "EST tokens",
	  .known = "gatehouse token list" },
	{ "vendor", .summary = "makers of devices, whose certificates may ask",
	  .known = "gatehouse vendor list" },
	{ "ra", .summary = "registration authorities",
	  .known = "gatehouse ra list" },
	{ "ca", .summary = "the CAs: create, import, replace keys, show",
	  .known = "gatehouse ca show" },
	{ "trust", .summary = "what clients have to trust",
	  .known = "gatehouse ca show" },
	{ "endpoint", .summary = "where clients come in, and what they type",
	  .known = "gatehouse endpoint list" },
	{ "profile", .summary = "what certificates look like",
	  .known = "gatehouse profile list" },
	{ "policy", .summary = "the rules: what they would say",
	  .known = "gatehouse endpoint list" },
	{ "audit", .summary = "the audit trail: who did what, and that nobody changed it" },
	{ "server", .summary = "the daemon: health" },
};

#define SCOPE_TEXT "It proves the names of its scope, which is empty unless --scope says more, and nothing else."
#define CREDENTIAL_TEXT \
	SCOPE_TEXT " The secret is shown once, and stored in no form from which it could be shown again."
#define DELEGATE_TEXT \
	"With --delegates an MDM system can have challenges made, for the device that it enrols: {serialNumber} and " \
	"{udid} in the scope are that device's. When it is revoked they go with it, unless they are used."
#define REVOKE_TEXT "What is pending with it will not be issued. Certificates that were issued stay as they are."

/* In the order in which help shows them. */
static const struct command commands[] = {
	{ "request", "pending", "pending", "[FILTER]", "list the requests that wait for a person",
	  .prints = PRINTS_LIST, .list = &pending_shape, .is_paged = true, .options = { newest_options },
	  .run = ctl_pending,
	  .text = "Oldest first.",
	  .example = "gatehouse pending\ngatehouse pending -o json\ngatehouse pending 'via=acme and age>2h'" },
	{ "request", "list", "list", "[FILTER]", "list all requests, or those that a filter matches",
	  .prints = PRINTS_LIST, .list = &request_shape, .is_paged = true, .options = { newest_options },
	  .run = ctl_list,
	  .example = "gatehouse list --newest --limit 20\n"
		     "gatehouse list 'state=denied and san~*.corp.example' --columns id,subject,reason" },
	{ "request", "show", "show", "REQUEST", "show one request: what was asked for and what will be issued",
	  .prints = PRINTS_DOCUMENT, .is_paged = true, .options = { show_options }, .run = ctl_show,
	  .text = "What was asked for beside what will be issued, with the rule, profile or officer behind each "
		  "difference; the evidence for each name; the rule that decided and why; and the digest of it all.",
	  .example = "gatehouse show 41\ngatehouse show 41 --timeline" },
	{ "request", "diff", NULL, "REQUEST", "show where what will be issued is not what was asked for",
	  .prints = PRINTS_DOCUMENT, .is_paged = true, .run = ctl_diff },
	{ "request", "approve", "approve", "REQUEST...", "approve what was shown, and ask policy again",
	  .prints = PRINTS_DOCUMENT, .options = { confirm_options, batch_options, approve_options },
	  .run = ctl_approve,
	  .text = "Shows the request, asks, records the approval of exactly what was shown, and asks policy again. "
		  "If policy issues, the certificate is there when the command returns. Without a terminal --yes or "
		  "--digest is needed.\n\nWith --not-after it is what was shown, but ends earlier: approvals that were "
		  "given before are void then, and where several are needed the other officers approve the new end. "
		  "--digest is that of what was shown, before." BATCH_TEXT,
	  .example = "gatehouse approve 41\ngatehouse approve 41 --yes\n"
		     "gatehouse approve @'profile=printer and age<1d' --max 50" },
	{ "request", "deny", "deny", "REQUEST...", "deny, with a reason for the requester",
	  .prints = PRINTS_DOCUMENT, .options = { deny_options, confirm_options, batch_options }, .run = ctl_deny,
	  .text = "Repeats of the request get the same answer for core.deny-window." BATCH_TEXT,
	  .example = "gatehouse deny 41 --reason 'ask the network team'" },
	{ "request", "resubmit", "resubmit", "REQUEST...", "ask policy again, without an approval",
	  .prints = PRINTS_DOCUMENT, .options = { confirm_options, batch_options }, .run = ctl_resubmit,
	  .text = "After an edit, or after the policy changed." BATCH_TEXT },
	{ "request", "edit", "edit", "REQUEST...", "change a pending request",
	  .prints = PRINTS_DOCUMENT, .options = { edit_options, confirm_options, batch_options }, .run = ctl_edit,
	  .text = "Policy is not asked until the next resubmit, and approvals given so far are void. Names can be "
		  "taken away; adding one needs a profile that allows it, and the approval of another officer. "
		  "Extensions are those that the profile lists for officers. Without an option, at a terminal, "
		  "VISUAL or EDITOR is opened with the request as a form." BATCH_TEXT,
	  .example = "gatehouse edit 41 --set-attr ticket=CHG-4711\n"
		     "gatehouse edit 41 --del-san dns:old.example --lifetime 30d\ngatehouse edit 41" },

	{ "request", "note", NULL, "REQUEST...", "write a note for the officers who look next",
	  .prints = PRINTS_DOCUMENT, .options = { note_options, confirm_options, batch_options }, .run = ctl_note,
	  .example = "gatehouse request note 41 --text 'asked the network team'" },
	{ "request", "explain", "explain", "REQUEST", "what policy would say now, and why",
	  .prints = PRINTS_DOCUMENT, .run = ctl_explain,
	  .text = "Nothing is written. Exit code 0: it would issue, 4: it would deny, 5: it would hold it." },
	{ "request", "wait", NULL, "REQUEST", "wait until a request is decided",
	  .prints = PRINTS_DOCUMENT, .options = { timeout_options }, .run = ctl_wait,
	  .text = "For 10 minutes, unless --timeout says otherwise. Exit code 0: issued, 4: denied, 5: still pending.",
	  .example = "gatehouse request wait 41 --timeout 1h" },
	{ "request", "watch", "watch", "[REQUEST]", "print what happens as it happens",
	  .prints = PRINTS_STREAM, .options = { watch_options, timeout_options }, .run = ctl_watch,
	  .text = "Of one request, or of all. A line for each step; JSON, a line each, when it is no terminal. Ends "
		  "when the request of a line matches --until, or after --timeout.",
	  .example = "gatehouse watch\ngatehouse watch 41 --until 'state!=pending'" },
	{ "request", "export", NULL, "REQUEST", "print the PKCS#10 request, or the certificate, in PEM",
	  .options = { export_options }, .run = ctl_export,
	  .example = "gatehouse request export 41 > request.pem" },

	{ "request", "purge", NULL, "", "remove what is over, for ever", .prints = PRINTS_DOCUMENT,
	  .options = { purge_options, confirm_options }, .run = ctl_request_purge,
	  .text = "Certificates that ended before the date, with their requests; with --failed requests that were "
		  "denied or failed before. Never what a revocation list must still say. It needs an administrator who "
		  "is an officer too.",
	  .example = "gatehouse request purge --before 2025-01-01T00:00:00Z --yes" },

	{ "cert", "list", NULL, "[FILTER]", "list the certificates, or those that a filter matches",
	  .prints = PRINTS_LIST, .list = &certificate_shape, .is_paged = true, .options = { newest_options },
	  .run = ctl_cert_list, .example = "gatehouse cert list 'valid and san~*.corp.example'" },
	{ "cert", "expiring", NULL, "[FILTER]", "list the valid certificates that end soon",
	  .prints = PRINTS_LIST, .list = &certificate_shape, .is_paged = true,
	  .options = { newest_options, within_options }, .run = ctl_cert_expiring, .text = "The first to end first.",
	  .example = "gatehouse cert expiring --within 14d" },
	{ "cert", "show", NULL, "SERIAL", "show a certificate", .prints = PRINTS_DOCUMENT, .is_paged = true,
	  .run = ctl_cert_show,
	  .text = "By its serial, the number of its request, or the beginning of the SHA-256 of its key." },
	{ "cert", "export", NULL, "SERIAL", "print a certificate in PEM", .run = ctl_cert_export,
	  .example = "gatehouse cert export 41 > certificate.pem" },


	{ "cert", "revoke", "revoke", "SERIAL...", "revoke certificates", .prints = PRINTS_DOCUMENT,
	  .options = { revoke_options }, .run = ctl_cert_revoke,
	  .text = "By their serials or the numbers of their requests. A revocation may be given another reason or an "
		  "earlier date later; it is not taken back. A key revoked as keyCompromise is never certified again.",
	  .example = "gatehouse revoke 41 --reason superseded" },
	{ "cert", "hold", NULL, "SERIAL...", "revoke certificates until they are released", .prints = PRINTS_DOCUMENT,
	  .run = ctl_cert_hold },
	{ "cert", "release", NULL, "SERIAL...", "take certificates off hold", .prints = PRINTS_DOCUMENT,
	  .run = ctl_cert_release },
	{ "cert", "status", NULL, "SERIAL", "whether a serial is valid, revoked or was never issued",
	  .prints = PRINTS_DOCUMENT, .run = ctl_cert_status },
	{ "cert", "import", NULL, "FILE", "take a certificate that was made elsewhere, in PEM or DER",
	  .prints = PRINTS_DOCUMENT, .options = { import_options }, .run = ctl_cert_import,
	  .text = "It must have been signed by a key of a CA here, unless --foreign is given. One of which a "
		  "restore brought back all but its octets gets these, whatever became of it.",
	  .example = "gatehouse cert import signed.pem --existing" },

	{ "eab", "create", NULL, "", "make a key identifier and HMAC key, good for one account",
	  .prints = PRINTS_DOCUMENT, .options = { credential_options }, .run = ctl_credential_create,
	  .text = CREDENTIAL_TEXT,
	  .example = "gatehouse eab create --endpoint acme --ttl 7d --note 'web team'" },
	{ "eab", "list", NULL, "", "list the key identifiers", .prints = PRINTS_LIST,
	  .list = &named_credential_shape, .is_paged = true, .run = ctl_credential_list },
	{ "eab", "revoke", NULL, "KID...", "revoke keys: no further account is bound to them",
	  .run = ctl_credential_revoke, .text = REVOKE_TEXT },

	{ "challenge", "create", NULL, "", "make a challenge, good for one request within an hour",
	  .prints = PRINTS_DOCUMENT, .options = { credential_options }, .run = ctl_credential_create,
	  .text = CREDENTIAL_TEXT " It is good again when the request ends as an error.",
	  .example = "gatehouse challenge create --endpoint scep --scope dns:printer7.example.com --ttl 15m" },
	{ "challenge", "list", NULL, "", "list the challenges, without their secrets", .prints = PRINTS_LIST,
	  .list = &credential_shape, .is_paged = true, .run = ctl_credential_list },
	{ "challenge", "revoke", NULL, "ID...", "revoke challenges, at once", .run = ctl_credential_revoke,
	  .text = REVOKE_TEXT },

	{ "user", "create", NULL, "NAME", "make a user with a password", .prints = PRINTS_DOCUMENT,
	  .options = { credential_options, password_options, delegate_options }, .run = ctl_user_create,
	  .text = CREDENTIAL_TEXT " " DELEGATE_TEXT " The password is asked for, read from a file, or made; never on "
		  "the command line. A name is given once and for ever.",
	  .example = "gatehouse user create alice --endpoint est --scope '*.lab.example.com' --generate" },
	{ "user", "passwd", NULL, "NAME", "give a user another password", .prints = PRINTS_DOCUMENT,
	  .options = { password_options }, .run = ctl_user_passwd, .text = "The old one is no longer good, at once." },
	{ "user", "list", NULL, "", "list the users", .prints = PRINTS_LIST, .list = &named_credential_shape,
	  .is_paged = true, .run = ctl_credential_list },
	{ "user", "revoke", NULL, "NAME...", "revoke users, at once and for ever", .run = ctl_credential_revoke,
	  .text = REVOKE_TEXT },

	{ "token", "create", NULL, "", "make a token", .prints = PRINTS_DOCUMENT,
	  .options = { credential_options, delegate_options },
	  .run = ctl_credential_create, .text = CREDENTIAL_TEXT " " DELEGATE_TEXT,
	  .example = "gatehouse token create --endpoint est --scope '*.lab.example.com' --ttl 90d" },
	{ "token", "list", NULL, "", "list the tokens, without their secrets", .prints = PRINTS_LIST,
	  .list = &credential_shape, .is_paged = true, .run = ctl_credential_list },
	{ "token", "revoke", NULL, "ID...", "revoke tokens, at once", .run = ctl_credential_revoke,
	  .text = REVOKE_TEXT },

	{ "vendor", "add", NULL, "NAME FILE", "let devices ask by the certificates of their maker",
	  .prints = PRINTS_DOCUMENT, .options = { credential_options }, .run = ctl_listed_add,
	  .text = "The file has one to eight certificates of authorities, in PEM or DER: who can build a path from its "
		  "certificate to one of them asks as this vendor. In the scope {serialNumber} and {CN} stand for "
		  "those of the device. " SCOPE_TEXT,
	  .example = "gatehouse vendor add acme anchors.pem --endpoint est --scope 'CN={serialNumber}'" },
	{ "vendor", "list", NULL, "", "list the vendors", .prints = PRINTS_LIST, .list = &named_credential_shape,
	  .is_paged = true, .run = ctl_credential_list },
	{ "vendor", "revoke", NULL, "NAME...", "revoke vendors: their devices ask no more, at once and for ever",
	  .run = ctl_credential_revoke, .text = REVOKE_TEXT },

	{ "ra", "add", NULL, "NAME FILE", "let a registration authority ask for others", .prints = PRINTS_DOCUMENT,
	  .options = { credential_options, by_name_options }, .run = ctl_listed_add,
	  .text = "The file has its certificate, in PEM or DER, with clientAuth and id-kp-cmcRA "
		  "(1.3.6.1.5.5.7.3.28) in its extended key usage; with --by-name those of its issuers behind it, "
		  "unless this core has issued it. " SCOPE_TEXT,
	  .example = "gatehouse ra add registrar ra.pem --endpoint est --scope '*.plant.example.com'" },
	{ "ra", "list", NULL, "", "list the registration authorities", .prints = PRINTS_LIST,
	  .list = &named_credential_shape, .is_paged = true, .run = ctl_credential_list },
	{ "ra", "revoke", NULL, "NAME...", "revoke registration authorities, at once and for ever",
	  .run = ctl_credential_revoke, .text = REVOKE_TEXT },

	{ "ca", "init", NULL, "", "create a CA, and a first configuration", .prints = PRINTS_DOCUMENT,
	  .options = { ca_place_options, ca_key_options, ca_init_options }, .run = ctl_ca_init,
	  .text = "Creates the key, sealed under the key-encryption key, its self-signed certificate, and a first "
		  "configuration unless the file exists. With --intermediate the key waits: the certification "
		  "request that is printed goes to another authority, and ca import brings the certificate. While "
		  "gatehoused runs it is asked to create the CA; otherwise the command works on the data folder "
		  "itself; run it as the user that gatehoused will run as.",
	  .example = "gatehouse ca init --name 'Example CA' --domain ca.example.com\n"
		     "gatehouse ca init --name 'Issuing CA' --intermediate" },
	{ "ca", "import", NULL, "FILE", "bring the certificate of a CA that another authority signed",
	  .options = { ca_place_options }, .run = ctl_ca_import,
	  .text = "The file has the certificate of the CA and then those of its issuers, each signed by the next, in "
		  "PEM or DER. The certificate must carry the key that waits and allow signing certificates and "
		  "CRLs, and the path must be valid.",
	  .example = "gatehouse ca import --name 'Issuing CA' chain.pem" },
	{ "ca", "rollover", NULL, "CA", "replace the key of a CA while it works", .prints = PRINTS_DOCUMENT,
	  .options = { ca_key_options }, .run = ctl_ca_rollover,
	  .text = "A root gets a new key and a new certificate with the same subject, and the old and the new root "
		  "certify each other: clients that trust one of them verify what both signed. An intermediate "
		  "prints a certification request, and changes keys when its certificate is imported. The old key "
		  "still signs the CRLs and OCSP answers for what it issued.",
	  .example = "gatehouse ca rollover 'Example CA' --key-type ec-p384" },
	{ "ca", "show", NULL, "[CA]", "show the CA, its keys and certificates", .prints = PRINTS_DOCUMENT,
	  .is_paged = true, .run = ctl_ca_show },

	{ "ca", "crl", NULL, "[CA]", "list the revocation lists in force", .prints = PRINTS_LIST, .list = &crl_shape,
	  .options = { crl_options }, .run = ctl_ca_crl,
	  .text = "The list of part 0 is about all certificates of its key.",
	  .example = "gatehouse ca crl --publish" },

	{ "trust", "show", NULL, "[CA]", "show what clients have to trust, with its fingerprint",
	  .prints = PRINTS_DOCUMENT, .options = { trust_options }, .run = ctl_trust_show,
	  .example = "gatehouse trust show --pem > root.pem" },

	{ "endpoint", "list", NULL, "", "list the endpoints and their URLs", .prints = PRINTS_LIST,
	  .list = &endpoint_shape, .run = ctl_endpoint_list },
	{ "endpoint", "show", NULL, "ENDPOINT", "show an endpoint with all its options", .prints = PRINTS_DOCUMENT,
	  .is_paged = true, .run = ctl_endpoint_show },
	{ "endpoint", "snippet", NULL, "ENDPOINT CLIENT", "print what a person types at a client to use an endpoint",
	  .options = { snippet_options }, .run = ctl_endpoint_snippet,
	  .text = "The clients of ACME are certbot, lego and uacme; those of EST are strongswan, curl, libest, aos-cx "
		  "and ios-xe. The lines for devices, aos-cx and ios-xe, follow their makers' documentation and were "
		  "not tried here.",
	  .example = "gatehouse endpoint snippet acme certbot --domain www.example.com" },

	{ "profile", "list", NULL, "", "list the profiles", .prints = PRINTS_LIST, .list = &profile_shape,
	  .run = ctl_profile_list },
	{ "profile", "show", NULL, "PROFILE", "show a profile with all its options", .prints = PRINTS_DOCUMENT,
	  .is_paged = true, .run = ctl_profile_show },

	{ "policy", "test", NULL, "", "what policy would say about a request that nobody has sent yet",
	  .prints = PRINTS_DOCUMENT, .is_paged = true, .options = { policy_test_options }, .run = ctl_policy_test,
	  .text = "The running core reads the request, holds it against the profile, asks the policy module as for a "
		  "new one, and says the verdict, the rule and the reason, with what would be issued as show has it. "
		  "Nothing is written. Every name that is asked for counts as proven, and what this requester asked "
		  "before is looked at only to know a renewal: a denial that still holds, a grant and a full queue are "
		  "not.\n\nExit code 0: it would issue, 4: it would deny, 5: it would hold it, 1: the request would be "
		  "refused as it is, or policy gave no answer.",
	  .example = "gatehouse policy test --csr request.pem --via acme\n"
		     "gatehouse policy test --csr request.pem --via est --requester est:user:alice --from 192.0.2.7" },

	{ "audit", "tail", NULL, "", "the last records, a line each", .prints = PRINTS_STREAM,
	  .options = { audit_tail_options }, .run = ctl_audit_tail,
	  .example = "gatehouse audit tail -f" },
	{ "audit", "search", NULL, "", "records by who, what, about what and when", .prints = PRINTS_LIST,
	  .list = &audit_shape, .is_paged = true, .options = { audit_search_options }, .run = ctl_audit_search,
	  .example = "gatehouse audit search --actor unix:alice --action approve --since 2026-03-01T00:00:00Z" },
	{ "audit", "verify", NULL, "", "whether the trail is whole, and which record is the first bad one",
	  .prints = PRINTS_LIST, .list = &finding_shape, .options = { store_options }, .run = ctl_audit_verify,
	  .text = "Asks the running core: each record follows the one before it, every head that the anchor"
		  " holds still "
		  "stands in the trail, and the anchor's MAC is the signer's. What was written since the last"
		  " head, a "
		  "second at most, is not anchored yet.\n\nWith --data, --database or --anchor the files are"
		  " looked at "
		  "without the core, by the independent checker; the MAC then is not, because only the signer"
		  " has its "
		  "key.",
	  .example = "gatehouse audit verify\ngatehouse audit verify --database core.db --anchor audit.anchor" },
	{ "audit", "export", NULL, "", "every record with its hashes, a JSON line each", .prints = PRINTS_STREAM,
	  .options = { audit_export_options }, .run = ctl_audit_export,
	  .text = "hash is the SHA-256 of prev (32 octets), seq (8 octets, big endian) and payload (UTF-8).",
	  .example = "gatehouse audit export >trail.jsonl" },

	{ "server", "status", "status", "", "health, queue, and who the core takes you for",
	  .prints = PRINTS_DOCUMENT, .run = ctl_status },
	{ "server", "doctor", NULL, "", "look for what is wrong or will be",
	  .prints = PRINTS_DOCUMENT, .run = ctl_doctor,
	  .text = "The exit code is for monitoring: 0 all is well, 1 a warning, 2 critical." },
	{ "server", "fsck", "fsck", "", "an independent look at the store: is every promise kept",
	  .prints = PRINTS_LIST, .list = &finding_shape, .options = { store_options }, .run = ctl_fsck,
	  .text = "Reads the files of the core itself, with code of its own, whether the daemon runs or not, and"
		  " changes "
		  "nothing: the rows, the certificates, the audit trail, and whether the revocation lists in force say "
		  "what the rows do, each signed by its key. Every finding is printed; without findings the exit code "
		  "is 0.",
	  .example = "gatehouse fsck --data /var/lib/gatehouse" },
	{ "server", "backup", NULL, "FILE", "everything that makes this CA, while the daemon runs",
	  .prints = PRINTS_DOCUMENT, .options = { backup_options }, .run = ctl_backup,
	  .text = "A tar archive of mode 0600 with the core's store (the CAs' keys in it, sealed), the audit"
		  " anchor, the "
		  "gateway's stores, the sealed keys and certificates of SCEP endpoints, and a manifest with the "
		  "SHA-256 of each. FILE is there when it is whole and on the disk, and not before. The "
		  "key-encryption key is never in it: without a copy of that, kept elsewhere, the backup is worth "
		  "nothing; with both, whoever has them has the CA.\n\nWhere core and gateway have "
		  "users of their own it is run as root.",
	  .example = "gatehouse server backup /srv/backup/ca.tar" },
	{ "server", "restore", NULL, "[FILE]", "put a backup back; the daemon must be stopped",
	  .prints = PRINTS_DOCUMENT, .options = { restore_options }, .run = ctl_restore,
	  .text = "Checks the whole archive first. What lies there already is kept as NAME.before-restore; an audit "
		  "anchor that is there stays, because it knows more. At its next start the daemon brings back"
		  " from the "
		  "anchor which certificates were issued, imported, held and revoked after the backup, and which "
		  "credentials were revoked: serials are never used again, OCSP and CRLs know them. An anchor that "
		  "was edited is refused.\n\n"
		  "Not brought back are the certificates themselves, which whoever has them and the exit modules "
		  "keep; requests of that time, whose clients ask again, and what officers did to older ones; "
		  "credentials made since, and uses of older ones: revoke one-time challenges; passwords changed "
		  "since, whose users get a new one; keys of CAs made since, so back up after each ca init and ca "
		  "rollover. What the anchor tells of and cannot be applied, server status tells.\n\n"
		  "With --accept nothing is put back: the store that lies there, from a snapshot of the disk"
		  " perhaps, is "
		  "taken although it is older than the anchor.",
	  .example = "systemctl stop gatehoused\ngatehouse server restore /srv/backup/ca.tar\nsystemctl start"
		     " gatehoused" },
	{ "server", "accept-clock", NULL, "", "issue again: the clock is right, what it showed before was wrong",
	  .run = ctl_accept_clock,
	  .text = "Nothing is issued while the clock is more than five minutes behind the latest time that was seen. "
		  "Set the clock first; where it had run ahead, this makes the core take the present time for"
		  " true." },

	{ "", "help", NULL, "[COMMAND...]", "help about a command, a noun or everything", .run = ctl_help,
	  .example = "gatehouse help approve\ngatehouse help request" },
	{ "", "completion", NULL, "SHELL", "the completion script for bash, zsh or fish", .run = ctl_completion,
	  .text = "Installed with the tool. It completes commands, options, their values, and the numbers and"
		  " serials "
		  "that the daemon knows.",
	  .example = "gatehouse completion bash > /etc/bash_completion.d/gatehouse" },
	{ "", "__complete", NULL, "WORD...", "what may stand where the last word begins", .is_hidden = true,
	  .run = ctl_complete },
	{ "", "__manual", NULL, "PART", "a part of the manual pages, in"
					" scdoc", .is_hidden = true, .run = ctl_manual },
	{ "", "__parse", NULL, "WORD...", "whether these words are a command line", .is_hidden = true,
	  .run = ctl_parse },
};

/* Exit codes of every command; enum ctl_exit has their names. */
static const struct exit_row exit_rows[] = {
	{ CTL_DONE, "done; for approve and resubmit: issued" },
	{ CTL_FAILED, "failed" },
	{ CTL_USAGE, "the command line is wrong, or a confirmation is missing" },
	{ CTL_NOT_FOUND, "not found" },
	{ CTL_DENIED, "denied by policy, or by the profile of the request" },
	{ CTL_PENDING, "still pending, or decided and not signed yet" },
	{ CTL_WRONG_STATE, "wrong state, or changed since it was seen" },
	{ CTL_NOT_PERMITTED, "not permitted to this user" },
	{ CTL_UNREACHABLE, "the core cannot be reached" },
	{ CTL_PARTLY, "of several some were done and others not" },
};

#define ROWS(array) (sizeof(array) / sizeof(*(array)))

const struct command *command_at(size_t i)
{
	return i < ROWS(commands) ? &commands[i] : NULL;
}

const struct noun_row *noun_at(size_t i)
{
	return i < ROWS(nouns) ? &nouns[i] : NULL;
}

const struct exit_row *exit_row_at(size_t i)
{
	return i < ROWS(exit_rows) ? &exit_rows[i] : NULL;
}

const struct option_row *common_option_at(size_t i)
{
	return i + 1 < ROWS(common_options) ? &common_options[i] : NULL;
}

const struct option_row *command_option_at(const struct command *c, size_t i)
{
	for (size_t group = 0; group < COMMAND_GROUPS_MAX && c->options[group]; group++)
		for (const struct option_row *o = c->options[group]; o->name; o++)
			if (i-- == 0)
				return o;
	if (c->prints != PRINTS_LIST)
		return NULL;
	return i + 1 < ROWS(list_options) ? &list_options[i] : NULL;
}

const struct command *command_find(const char *noun, const char *verb)
{
	for (size_t i = 0; i < ROWS(commands); i++) {
		const struct command *c = &commands[i];

		if (verb ? strcmp(c->noun, noun) == 0 && strcmp(c->verb, verb) == 0
			 : (c->alias && strcmp(c->alias, noun) == 0) || (!*c->noun && strcmp(c->verb, noun) == 0))
			return c;
	}
	return NULL;
}

const struct noun_row *noun_find(const char *name)
{
	for (size_t i = 0; i < ROWS(nouns); i++)
		if (strcmp(nouns[i].name, name) == 0 || (nouns[i].also && strcmp(nouns[i].also, name) == 0))
			return &nouns[i];
	return NULL;
}
