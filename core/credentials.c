/* Enrolment credentials: making them, and telling good ones from bad ones.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "core/credentials.h"

#include <errno.h>
#include <stdio.h>

#include "core/admin_rights.h"
#include "core/base/base64.h"
#include "core/base/clock.h"
#include "core/base/ip.h"
#include "core/base/log.h"
#include "core/base/own.h"
#include "core/base/utf8.h"
#include "core/credential_guard.h"
#include "core/keys.h"
#include "core/shown.h"
#include "core/store_credentials.h"

#define CHALLENGE_LIFETIME_MS (60 * 60 * 1000)
#define LIFETIME_MAX_MS (3660ll * 86400 * 1000)
#define USES_MAX 1000000
#define PASSWORD_MIN 8
#define PASSWORD_MAX 1024
#define SECRET_MAX CA_SECRET_MAX /* that somebody may show */
#define KEPT_MS (30ll * 86400 * 1000)
#define PLACES_TEXT_MAX (CREDENTIAL_PLACES_MAX * 65)

/* How each kind is made. */
static const struct kind {
	enum ca_evidence_kind kind;
	const char *word;
	const char *prefix;  /* of its secret, so that who finds one knows what it is */
	unsigned octets;     /* of random in it; 0: it has a name instead */
	unsigned uses;       /* unless said otherwise; 0: without end */
	int64_t lifetime_ms; /* the same */
} kinds[] = {
	{ CA_EVIDENCE_EAB, "eab", "", 0, 1, 0 },
	{ CA_EVIDENCE_CHALLENGE, "challenge", "", 20, 1, CHALLENGE_LIFETIME_MS },
	{ CA_EVIDENCE_USER, "user", "", 0, 0, 0 },
	{ CA_EVIDENCE_TOKEN, "token", "ght_", 30, 0, 0 },
	{ CA_EVIDENCE_VENDOR, "vendor", "", 0, 0, 0 },
	{ CA_EVIDENCE_RA, "ra", "", 0, 0, 0 },
};

static const struct kind *find_kind(enum ca_evidence_kind kind)
{
	for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++)
		if (kinds[i].kind == kind)
			return &kinds[i];
	return NULL;
}

const char *credential_kind_word(enum ca_evidence_kind kind)
{
	const struct kind *k = find_kind(kind);

	return k ? k->word : "?";
}

enum ca_evidence_kind credential_kind_of(const char *word)
{
	for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++)
		if (strcmp(kinds[i].word, word) == 0)
			return kinds[i].kind;
	return CA_EVIDENCE_NONE;
}

bool credential_has_name(enum ca_evidence_kind kind)
{
	return kind != CA_EVIDENCE_CHALLENGE && kind != CA_EVIDENCE_TOKEN;
}

/* Instead of a secret. */
static bool has_certificates(enum ca_evidence_kind kind)
{
	return kind == CA_EVIDENCE_VENDOR || kind == CA_EVIDENCE_RA;
}

/* ---- making ---- */

static int say(char why[static CA_REASON_SIZE], int outcome, const char *text)
{
	snprintf(why, CA_REASON_SIZE, "%s", text);
	return outcome;
}

static int not_permitted(char why[static CA_REASON_SIZE])
{
	return say(why, CA_ADMIN_NOT_PERMITTED, "credentials are for an administrator; see core: administrators");
}

/* RFC 4648 6 in small letters: it is read from paper and typed. `n` is a multiple of 5. */
static void print_base32(const uint8_t *octets, size_t n, char *out)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyz234567";

	for (size_t i = 0; i < n; i += 5) {
		uint64_t five = 0;

		for (size_t j = 0; j < 5; j++)
			five = five << 8 | octets[i + j];
		for (int shift = 35; shift >= 0; shift -= 5)
			*out++ = letters[five >> shift & 31];
	}
	*out = '\0';
}

#define RANDOM_MAX 30

static int make_random(char *out, const char *prefix, size_t n)
{
	uint8_t octets[RANDOM_MAX];
	int e = random_octets(octets, n);

	memcpy(out, prefix, strlen(prefix));
	if (!e)
		print_base32(octets, n, out + strlen(prefix));
	explicit_bzero(octets, sizeof(octets));
	return e;
}

static bool is_user_name(const char *name)
{
	size_t n = name ? strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.@") : 0;

	return n > 0 && n < CREDENTIAL_NAME_SIZE && !name[n];
}

/* Visible ASCII: Basic authentication has no other octets that two clients would write alike. */
static bool is_password(const char *password)
{
	size_t n = strlen(password);

	for (size_t i = 0; i < n; i++)
		if (password[i] < ' ' || password[i] > '~')
			return false;
	return n >= PASSWORD_MIN && n <= PASSWORD_MAX;
}

static bool is_note(const char *note)
{
	for (const char *c = note; *c; c++)
		if (*c < ' ' || *c > '~' || *c == '"')
			return false;
	return strlen(note) < CREDENTIAL_NOTE_SIZE;
}

bool credential_is_line(const char *lines, const char *word)
{
	size_t n = strlen(word);

	for (const char *at = lines; at && *at; at = strchr(at, '\n') ? strchr(at, '\n') + 1 : NULL)
		if (strcspn(at, "\n") == n && strncmp(at, word, n) == 0)
			return true;
	return false;
}

static int add_line(struct buf *lines, const char *word)
{
	return credential_is_line(buf_str(lines), word) ? 0 : buf_printf(lines, "%s\n", word);
}

/* A row as it will be. */
struct draft {
	struct credential_insert row;
	struct buf endpoints, profiles, scope, certificates;
	char about[CREDENTIAL_NOTE_SIZE];
	uint8_t hash[SHA256_SIZE], salt[PASSWORD_SALT_SIZE];
};

/* The endpoint of that name, where such a credential can be good; NULL, with `why`. */
static const struct conf_section *find_place(struct ca_core *core, const struct credential_spec *spec, const char *name,
					     char why[static CA_REASON_SIZE])
{
	const struct conf_section *e = core_find_endpoint(core, name);
	int n = utf8_fit(name, 64);

	if (!e)
		snprintf(why, CA_REASON_SIZE, "there is no endpoint '%.*s' under endpoints:", n, name);
	else if (!conf_str(e, "profile"))
		snprintf(why, CA_REASON_SIZE,
			 "the endpoint '%.*s' takes no requests: it has no profile. Where it has a 'for:', name the "
			 "endpoint that stands there", n, name);
	else if (conf_str(e, "challenge-target") && (spec->kind == CA_EVIDENCE_CHALLENGE || spec->delegates))
		snprintf(why, CA_REASON_SIZE,
			 "the endpoint '%.*s' leaves challenges to its challenge-target '%.64s': one that is made here "
			 "is never good there", n, name, conf_str(e, "challenge-target"));
	else
		return e;
	return NULL;
}

/* Where it is good. Profiles are written down, so that an endpoint that gets another one does not widen it. */
static int draft_places(struct draft *d, struct ca_core *core, const struct credential_spec *spec,
			char why[static CA_REASON_SIZE])
{
	OWNED_BUF there = BUF_INIT(PLACES_TEXT_MAX);

	if (spec->n_endpoints == 0 || spec->n_endpoints > CREDENTIAL_PLACES_MAX ||
	    spec->n_profiles > CREDENTIAL_PLACES_MAX)
		return say(why, CA_ADMIN_INVALID, "a credential is for 1 to 32 endpoints, and 32 profiles at most");
	for (size_t i = 0; i < spec->n_endpoints; i++) {
		const struct conf_section *e = find_place(core, spec, spec->endpoints[i], why);

		if (!e)
			return CA_ADMIN_INVALID;
		add_line(&d->endpoints, spec->endpoints[i]);
		add_line(&there, conf_str(e, "profile"));
	}
	for (size_t i = 0; i < spec->n_profiles; i++) {
		if (!credential_is_line(buf_str(&there), spec->profiles[i])) {
			snprintf(why, CA_REASON_SIZE, "none of these endpoints has the profile '%.*s'",
				 utf8_fit(spec->profiles[i], 64), spec->profiles[i]);
			return CA_ADMIN_INVALID;
		}
		add_line(&d->profiles, spec->profiles[i]);
	}
	if (spec->n_profiles == 0)
		buf_append(&d->profiles, buf_bytes(&there));
	return buf_status(&d->endpoints) ? buf_status(&d->endpoints) : buf_status(&d->profiles);
}

int credential_fill_scope(struct arena *arena, const char *scope, const char *serial_number, const char *udid,
			  const char **out)
{
	const struct scope_word words[] = { { SCOPE_SERIAL_NUMBER, serial_number }, { "{udid}", udid } };

	return name_scope_fill(arena, scope, words, sizeof(words) / sizeof(*words), out);
}

static int draft_scope(struct draft *d, const struct credential_spec *spec, char why[static CA_REASON_SIZE])
{
	OWNED(arena) arena = NULL;
	struct name_scope scope;
	const char *text = NULL;
	int e = arena_new(&arena, 1u << 20);

	for (size_t i = 0; i < spec->n_scope; i++) {
		if (strchr(spec->scope[i], '\n') || !*spec->scope[i])
			return say(why, CA_ADMIN_INVALID, "a pattern of the scope is empty or has a line break");
		buf_printf(&d->scope, "%s%s", i ? "\n" : "", spec->scope[i]);
	}
	if (buf_status(&d->scope))
		return say(why, CA_ADMIN_INVALID, "the scope is too long");
	if (!e && spec->kind == CA_EVIDENCE_VENDOR)
		e = shown_fill_scope(arena, buf_str(&d->scope), "1", "1", &text);
	if (!e && spec->delegates)
		e = credential_fill_scope(arena, buf_str(&d->scope), "1", "1", &text);
	if (!e)
		e = name_scope_parse(&scope, arena, text ? text : buf_str(&d->scope), why);
	return e == -EINVAL ? CA_ADMIN_INVALID : e;
}

static int check_spec(const struct credential_spec *spec, char why[static CA_REASON_SIZE])
{
	if (!find_kind(spec->kind))
		return say(why, CA_ADMIN_INVALID, "there is no such kind of credential");
	if (spec->kind == CA_EVIDENCE_USER || has_certificates(spec->kind) ? !is_user_name(spec->name) :
									      spec->name != NULL)
		return say(why, CA_ADMIN_INVALID,
			   "a user, vendor or registration authority has a name of 1 to 64 letters, digits, '-', '_', "
			   "'.' and '@'; others have none");
	if ((spec->certificates.len != 0) != has_certificates(spec->kind) ||
	    (spec->is_by_name && spec->kind != CA_EVIDENCE_RA))
		return say(why, CA_ADMIN_INVALID, "a vendor or registration authority is listed by a file with "
						  "certificates, and none else");
	if (spec->password && (spec->kind != CA_EVIDENCE_USER || !is_password(spec->password)))
		return say(why, CA_ADMIN_INVALID, "a password has 8 to 1024 printable ASCII characters");
	if (spec->note && !is_note(spec->note))
		return say(why, CA_ADMIN_INVALID, "a note has up to 127 printable ASCII characters, and no quote");
	if (spec->delegates && spec->kind != CA_EVIDENCE_USER && spec->kind != CA_EVIDENCE_TOKEN)
		return say(why, CA_ADMIN_INVALID, "challenges are made for a user or token, and for none else");
	if (spec->delegates > DELEGATES_MAX)
		return say(why, CA_ADMIN_INVALID, "at most 100000 challenges wait at once");
	if (spec->lifetime_ms < 0 || spec->lifetime_ms > LIFETIME_MAX_MS || spec->uses > USES_MAX)
		return say(why, CA_ADMIN_INVALID, "at most 3660 days, and at most 1000000 uses");
	if ((spec->is_endless && spec->lifetime_ms) || (spec->is_unlimited && spec->uses))
		return say(why, CA_ADMIN_INVALID, "what has an end or a number of uses is not without");
	return 0;
}

/* The key is derived from the name, so a name must never come twice: it is ours, and random. */
static int make_eab(struct ca_core *core, struct credential_made *out)
{
	OWNED_BUF text = BUF_INIT(CREDENTIAL_SECRET_SIZE - 1);
	uint8_t key[SHA256_SIZE];
	int e = make_random(out->name, "", 20);

	if (!e)
		e = keys_mac(core, "eab", bytes_of_str(out->name), key);
	if (!e)
		e = base64url_encode(&text, bytes_of(key, sizeof(key)));
	if (!e)
		snprintf(out->secret, sizeof(out->secret), "%s", buf_str(&text));
	explicit_bzero(key, sizeof(key));
	buf_wipe(&text);
	return e;
}

static int hash_password(struct ca_core *core, const char *given, struct draft *d, struct credential_made *out)
{
	int e = random_octets(d->salt, sizeof(d->salt));

	if (!e && !given)
		e = make_random(out->secret, "", 15);
	if (!e)
		e = credential_guard_hash(core->credential_guard, bytes_of_str(given ? given : out->secret), d->salt,
					  d->hash);
	d->row.salt = bytes_of(d->salt, sizeof(d->salt));
	d->row.secret = bytes_of(d->hash, sizeof(d->hash));
	return e;
}

/* All of a kind that live are looked through when a certificate is shown. */
static int check_room(struct ca_core *core, enum ca_evidence_kind kind, char why[static CA_REASON_SIZE])
{
	int64_t n;
	int e = store_count_live(core, kind, &n);

	return e ? e : n < CREDENTIAL_LISTED_MAX ? 0 :
		       say(why, CA_ADMIN_INVALID, "there are 100 of this kind; revoke one that is not needed");
}

static int take_certificates(struct ca_core *core, const struct credential_spec *spec, struct draft *d,
			     struct credential_made *out, char why[static CA_REASON_SIZE])
{
	int e = shown_check_listed(core, spec, &d->certificates, d->about, sizeof(d->about), why);

	if (!e)
		e = check_room(core, spec->kind, why);
	snprintf(out->name, sizeof(out->name), "%s", spec->name);
	d->row.secret = buf_bytes(&d->certificates);
	d->row.is_by_name = spec->is_by_name;
	return e;
}

static int make_secret(struct ca_core *core, const struct credential_spec *spec, struct draft *d,
		       struct credential_made *out, char why[static CA_REASON_SIZE])
{
	const struct kind *k = find_kind(spec->kind);
	int e;

	if (spec->kind == CA_EVIDENCE_EAB)
		return make_eab(core, out);
	if (has_certificates(spec->kind))
		return take_certificates(core, spec, d, out, why);
	if (spec->kind == CA_EVIDENCE_USER) {
		snprintf(out->name, sizeof(out->name), "%s", spec->name);
		return hash_password(core, spec->password, d, out);
	}
	e = make_random(out->secret, k->prefix, k->octets);
	if (!e)
		e = digest_sha256(bytes_of_str(out->secret), d->hash);
	d->row.secret = bytes_of(d->hash, sizeof(d->hash));
	return e;
}

static int create(struct ca_core *core, const struct ca_admin_caller *who, const struct credential_spec *spec,
		  struct draft *d, struct credential_made *out, char why[static CA_REASON_SIZE])
{
	const struct kind *k = find_kind(spec->kind);
	int64_t lifetime_ms = spec->is_endless ? 0 : spec->lifetime_ms ? spec->lifetime_ms : k->lifetime_ms;
	int e = draft_places(d, core, spec, why);

	if (!e)
		e = draft_scope(d, spec, why);
	if (!e)
		e = make_secret(core, spec, d, out, why);
	if (e)
		return e;
	d->row.kind = spec->kind;
	d->row.name = *out->name ? out->name : NULL;
	d->row.note = spec->note ? spec->note : is_note(d->about) ? d->about : "";
	d->row.actor = who->name;
	d->row.endpoints = buf_str(&d->endpoints);
	d->row.profiles = buf_str(&d->profiles);
	d->row.scope = buf_str(&d->scope);
	d->row.now_ms = clock_wall_ms();
	d->row.until_ms = out->until_ms = lifetime_ms ? d->row.now_ms + lifetime_ms : 0;
	d->row.uses = spec->is_unlimited ? 0 : spec->uses ? spec->uses : k->uses;
	d->row.delegates = spec->delegates;
	e = store_add_credential(core, &d->row);
	if (e == DB_CONFLICT)
		return say(why, CA_ADMIN_INVALID,
			   "the name is or was somebody's: what he asked for would be taken for this one's");
	out->id = d->row.id;
	if (!e)
		log_info("credential.created", "kind", k->word, "id", LOG_NUMBER(out->id), "name", d->row.name, "by",
			 who->name);
	return e;
}

int ca_admin_create_credential(struct ca_core *core, const struct ca_admin_caller *who,
			       const struct credential_spec *spec, struct credential_made *out,
			       char why[static CA_REASON_SIZE])
{
	struct draft d = { .endpoints = BUF_INIT(PLACES_TEXT_MAX), .profiles = BUF_INIT(PLACES_TEXT_MAX),
			   .scope = BUF_INIT(SCOPE_TEXT_MAX), .certificates = BUF_INIT(CA_CERTIFICATE_MAX) };
	int e;

	*out = (struct credential_made){ 0 };
	why[0] = '\0';
	if (!admin_has_right(who, ADMIN_RIGHT_ADMINISTER))
		return not_permitted(why);
	e = check_spec(spec, why);
	if (!e)
		e = create(core, who, spec, &d, out, why);
	if (e)
		explicit_bzero(out, sizeof(*out));
	buf_fini(&d.endpoints);
	buf_fini(&d.profiles);
	buf_fini(&d.scope);
	buf_fini(&d.certificates);
	return e;
}

static int changed(int e, char why[static CA_REASON_SIZE])
{
	if (e == CA_CALL_NOT_FOUND)
		return say(why, CA_ADMIN_NOT_FOUND, "there is no such credential");
	if (e == STORE_CHANGED)
		return say(why, CA_ADMIN_BAD_STATE, "the credential is revoked already");
	return e;
}

int ca_admin_revoke_credential(struct ca_core *core, const struct ca_admin_caller *who, enum ca_evidence_kind kind,
			       const char *name, char why[static CA_REASON_SIZE])
{
	int e;

	why[0] = '\0';
	if (!admin_has_right(who, ADMIN_RIGHT_ADMINISTER))
		return not_permitted(why);
	if (!find_kind(kind))
		return say(why, CA_ADMIN_INVALID, "there is no such kind of credential");
	e = changed(store_revoke_credential(core, who->name, kind, name, clock_wall_ms()), why);
	if (!e)
		log_info("credential.revoked", "kind", credential_kind_word(kind), "name", name, "by", who->name);
	return e;
}

int ca_admin_set_password(struct ca_core *core, const struct ca_admin_caller *who, const char *user,
			  const char *password, struct credential_made *out, char why[static CA_REASON_SIZE])
{
	struct draft d = { 0 };
	int e;

	*out = (struct credential_made){ 0 };
	why[0] = '\0';
	if (!admin_has_right(who, ADMIN_RIGHT_ADMINISTER))
		return not_permitted(why);
	if (password && !is_password(password))
		return say(why, CA_ADMIN_INVALID, "a password has 8 to 1024 printable ASCII characters");
	snprintf(out->name, sizeof(out->name), "%s", user);
	e = hash_password(core, password, &d, out);
	if (!e)
		e = changed(store_set_password(core, who->name, user, d.row.secret, d.row.salt, clock_wall_ms()), why);
	if (!e)
		log_info("credential.password", "name", user, "by", who->name);
	else
		explicit_bzero(out, sizeof(*out));
	return e;
}

void credentials_sweep(struct ca_core *core)
{
	int e = store_sweep_credentials(core, clock_wall_ms() - KEPT_MS);

	if (e)
		log_warn("credential.sweep", "error", strerror(-e));
}

/* ---- telling good ones from bad ones ---- */

static bool is_shaped(const struct ca_credential_claim *c)
{
	if (!ca_evidence_is_credential(c->kind) || c->secret.len > SECRET_MAX)
		return false;
	if (credential_has_name(c->kind))
		return c->name && *c->name && strnlen(c->name, CREDENTIAL_NAME_SIZE) < CREDENTIAL_NAME_SIZE;
	return c->secret.len > 0;
}

/* CA_CALL_NOT_FOUND leaves `found` empty. */
static int look_up(struct ca_core *core, const struct ca_credential_claim *c, struct arena *arena,
		   struct credential_found *found)
{
	uint8_t hash[SHA256_SIZE];

	if (credential_has_name(c->kind))
		return store_find_credential(core, c->kind, c->name, bytes_of(NULL, 0), arena, found);
	if (digest_sha256(c->secret, hash))
		return -EIO;
	return store_find_credential(core, c->kind, NULL, bytes_of(hash, sizeof(hash)), arena, found);
}

/* An unknown user costs the same as a wrong password. */
static int check_password(struct ca_core *core, const struct ca_credential_claim *c, const char *source,
			  const struct credential_found *found, bool *is_right, unsigned *pause_s)
{
	static const uint8_t none[PASSWORD_HASH_SIZE];
	bool is_there = found->secret.len == PASSWORD_HASH_SIZE && found->salt.len == PASSWORD_SALT_SIZE;
	const uint8_t *hash = is_there ? found->secret.ptr : none;
	const struct guarded_password shown = { source, c->name, c->secret, hash };
	uint8_t got[PASSWORD_HASH_SIZE];
	int e;

	*is_right = is_there && credential_guard_knows(core->credential_guard, &shown);
	if (*is_right)
		return 0;
	*pause_s = credential_guard_pause_s(core->credential_guard, source, c->name);
	if (*pause_s)
		return CREDENTIAL_LATER;
	e = credential_guard_hash(core->credential_guard, c->secret, is_there ? found->salt.ptr : none, got);
	if (e == -EAGAIN) {
		*pause_s = 1;
		return CREDENTIAL_LATER;
	}
	*is_right = !e && secret_equal(got, hash, sizeof(got)) && is_there;
	if (*is_right)
		credential_guard_remember(core->credential_guard, &shown);
	explicit_bzero(got, sizeof(got));
	return e;
}

/* RFC 8555 7.3.4, HS256. The key exists while it is used. */
static int check_mac(struct ca_core *core, const struct ca_credential_claim *c, bool *is_right)
{
	uint8_t key[SHA256_SIZE], mac[SHA256_SIZE];
	int e = keys_mac(core, "eab", bytes_of_str(c->name), key);

	if (!e)
		e = secret_mac(bytes_of(key, sizeof(key)), c->message, mac);
	*is_right = !e && c->secret.len == sizeof(mac) && secret_equal(c->secret.ptr, mac, sizeof(mac));
	explicit_bzero(key, sizeof(key));
	explicit_bzero(mac, sizeof(mac));
	return e;
}

/* A submission of an account shows no MAC: it was bound when the account was made. */
static int check_account(struct ca_core *core, const struct ca_credential_claim *c,
			 const struct credential_found *found, bool *is_right)
{
	*is_right = false;
	return found->row.id && c->account ? store_is_bound(core, found->row.id, c->account, is_right) : 0;
}

static int check_secret(struct ca_core *core, const struct ca_credential_claim *c, const char *source,
			const struct credential_found *found, bool *is_right, unsigned *pause_s)
{
	*is_right = false;
	if (c->kind == CA_EVIDENCE_USER)
		return check_password(core, c, source, found, is_right, pause_s);
	if (c->kind != CA_EVIDENCE_EAB) {
		*is_right = found->row.id != 0; /* found by its hash: the secret is as long as any key */
		return 0;
	}
	if (c->secret.len == 0)
		return check_account(core, c, found, is_right);
	return check_mac(core, c, is_right);
}

/* Of secrets with 128 random bits only the wrong ones wait: nobody guesses a right one, and whoever shares his address
 * with somebody who tries must get on. Passwords waited before they were looked at. */
static int hold_up(struct ca_core *core, const struct ca_credential_claim *c, const char *source, unsigned *pause_s)
{
	if (c->kind == CA_EVIDENCE_USER || c->secret.len == 0)
		return 0;
	*pause_s = credential_guard_pause_s(core->credential_guard, source,
					    credential_has_name(c->kind) ? c->name : NULL);
	return *pause_s ? CREDENTIAL_LATER : 0;
}

/* For the log; the client is told the same sentence for all of it. NULL: nothing. */
static const char *find_fault(const struct credential_row *row, bool is_right, const char *endpoint,
			      const char *profile)
{
	if (!row->id)
		return "it is not known";
	if (!is_right)
		return "it is wrong";
	if (row->revoked_ms)
		return "it is revoked";
	if (!credential_is_line(row->endpoints, endpoint))
		return "it is not for this endpoint";
	return profile && !credential_is_line(row->profiles, profile) ?
		       "it is not for the profile that this endpoint has now" : NULL;
}

static void note_failure(struct ca_core *core, const struct ca_credential_claim *c, const char *endpoint,
			 const char *source, const char *text, const char *why)
{
	/* What is unknown may be a password in the wrong field. */
	const char *known = *text ? text : credential_kind_word(c->kind);
	int e = 0;

	if (credential_guard_failed(core->credential_guard, source, credential_has_name(c->kind) ? c->name : NULL)) {
		log_warn("credential.refused", "credential", known, "endpoint", endpoint, "why", why, "source",
			 source);
		e = store_credential_failed(core, known, source, clock_wall_ms());
	}
	if (e)
		log_error("credential.record", "error", strerror(-e));
}

static int fill(const struct credential_found *found, struct arena *arena, struct credential *out)
{
	const struct credential_row *row = &found->row;
	const char *scope = row->scope;
	int64_t now_ms = clock_wall_ms();
	char why[CA_REASON_SIZE];
	int e;

	*out = (struct credential){ .id = row->id, .kind = row->kind, .delegates = row->delegates,
				    .scope_text = row->scope, .device = row->device };
	out->is_over = (row->until_ms && row->until_ms < now_ms) ||
		       (row->uses_left == 0 && row->kind != CA_EVIDENCE_EAB);
	out->text = credential_has_name(row->kind) ?
			    arena_printf(arena, "%s %s", credential_kind_word(row->kind), row->name) :
			    arena_printf(arena, "%s %lld", credential_kind_word(row->kind), (long long)row->id);
	if (row->kind == CA_EVIDENCE_USER)
		out->requester = arena_printf(arena, "est:user:%s", row->name);
	if (row->kind == CA_EVIDENCE_TOKEN)
		out->requester = arena_printf(arena, "est:token:%lld", (long long)row->id);
	e = row->delegates ? credential_fill_scope(arena, row->scope, NULL, NULL, &scope) : 0;
	if (!e)
		e = name_scope_parse(&out->scope, arena, scope, why);
	return e ? e : out->text ? 0 : -ENOMEM;
}

/* One that was refused is not judged again each time that it is shown: to verify paths is dear, and to show another one
 * costs a handshake. */
static int find_certificate(struct ca_core *core, const struct ca_credential_claim *claim, const char *endpoint,
			    const char *source, struct arena *arena, struct credential *out, unsigned *pause_s)
{
	struct bytes pieces[] = { bytes_of_str(endpoint), claim->certificate, claim->chain,
				  bytes_of_str(claim->use == CA_CERTIFICATE_RENEW ? "renew" : "enrol") };
	uint8_t hash[SHA256_SIZE];
	const char *why;
	int e = digest_sha256_pieces(pieces, sizeof(pieces) / sizeof(*pieces), hash) ? -EIO : 0;

	*pause_s = e ? 0 : credential_guard_certificate_pause_s(core->credential_guard, hash);
	if (*pause_s)
		return CREDENTIAL_LATER;
	if (!e)
		e = shown_find(core, claim, endpoint, arena, out, &why);
	if (e != CREDENTIAL_REFUSED)
		return e;
	if (credential_guard_certificate_failed(core->credential_guard, source, hash)) {
		log_warn("certificate.refused", "endpoint", endpoint, "why", why, "source", source);
		e = store_credential_failed(core, "certificate", source, clock_wall_ms());
		if (e)
			log_error("credential.record", "error", strerror(-e));
	}
	return CREDENTIAL_REFUSED;
}

int credentials_find(struct ca_core *core, const struct ca_credential_claim *claim, const char *endpoint,
		     const char *profile, const char *source, struct arena *arena, struct credential *out,
		     unsigned *pause_s)
{
	struct credential_found found = { 0 };
	const struct credential_row *row = &found.row;
	const char *fault;
	bool is_right = false;
	int e;

	if (claim->kind == CA_EVIDENCE_CERTIFICATE)
		return find_certificate(core, claim, endpoint, source, arena, out, pause_s);
	e = is_shaped(claim) ? look_up(core, claim, arena, &found) : CA_CALL_NOT_FOUND;

	if (e < 0)
		return e;
	e = is_shaped(claim) ? check_secret(core, claim, source, &found, &is_right, pause_s) : 0;
	if (e)
		return e;
	if (row->id) {
		e = fill(&found, arena, out);
		if (e)
			return e;
	}
	fault = find_fault(row, is_right, endpoint, profile);
	if (!fault)
		return 0;
	e = is_right ? 0 : hold_up(core, claim, source, pause_s);
	if (e)
		return e;
	note_failure(core, claim, endpoint, source, row->id ? out->text : "", fault);
	return CREDENTIAL_REFUSED;
}

static int answer(struct ca_credential_answer *a, int outcome, unsigned retry_after_s, const char *reason)
{
	a->retry_after_s = retry_after_s;
	snprintf(a->reason, sizeof(a->reason), "%s", reason);
	return outcome;
}

static void mark_outside(const struct name_scope *scope, const struct ca_credential_claim *claim, uint8_t *outside)
{
	for (size_t i = 0; i < claim->n_names; i++)
		if (!name_scope_has(scope, claim->names[i].kind, claim->names[i].value))
			outside[i / 8] = (uint8_t)(outside[i / 8] | 1 << i % 8);
}

/* What is over may still be asked with: a user's or token's end shows when a request is made. An EAB key makes
 * accounts, so here its end counts. */
static int check(struct ca_core *core, const struct ca_credential_claim *claim, struct arena *arena,
		 struct ca_credential_answer *a)
{
	struct credential c = { 0 };
	unsigned pause_s = 0;
	int e = credentials_find(core, claim, claim->endpoint, NULL, claim->source_address, arena, &c, &pause_s);

	if (!e && claim->n_names)
		mark_outside(&c.scope, claim, a->outside);
	else if (!e && claim->kind == CA_EVIDENCE_EAB)
		e = store_bind_account(core, c.id, claim->name, claim->account, clock_wall_ms());
	else if (!e)
		a->is_over = c.is_over;
	a->is_limited = e == CREDENTIAL_LATER;
	if (a->is_limited)
		return answer(a, CA_CALL_BUSY, pause_s, "too many wrong credentials; try again later");
	if (e > 0)
		return answer(a, CA_CALL_REFUSED, 0, claim->kind == CA_EVIDENCE_CERTIFICATE ?
							     CERTIFICATE_REFUSED_TEXT : CREDENTIAL_REFUSED_TEXT);
	if (e == -ENOSPC || e == -EBUSY)
		return answer(a, CA_CALL_BUSY, 30, "the store cannot write; try again later");
	if (!e && c.requester)
		snprintf(a->requester, sizeof(a->requester), "%s", c.requester);
	if (!e)
		a->trust = c.trust;
	return e;
}

/* An EAB has an account, and a MAC to bind it by or names to ask for; others have no names. */
static bool is_whole(const struct ca_credential_claim *c)
{
	bool has_names = c->n_names > 0;

	if (c->kind != CA_EVIDENCE_EAB)
		return !has_names;
	for (size_t i = 0; i < c->n_names && i < CA_NAMES_MAX; i++)
		if (!c->names[i].value || !*c->names[i].value || strnlen(c->names[i].value, 254) > 253)
			return false;
	return has_names == (c->secret.len == 0) && c->n_names <= CA_NAMES_MAX && c->account && *c->account &&
	       strlen(c->account) < 256;
}

int credentials_check(struct ca_core *core, const struct binding *by, const struct ca_credential_claim *claim,
		      struct ca_credential_answer *a)
{
	OWNED(arena) arena = NULL;
	struct ip_address source;
	int e;

	*a = (struct ca_credential_answer){ 0 };
	if (!claim->endpoint || !binding_has_endpoint(by, claim->endpoint))
		return answer(a, CA_CALL_REFUSED, 0, "this intermediary is not bound to that endpoint");
	if (!is_whole(claim))
		return answer(a, CA_CALL_REFUSED, 0, CREDENTIAL_REFUSED_TEXT);
	if (claim->source_address && ip_address_parse(&source, claim->source_address))
		return answer(a, CA_CALL_REFUSED, 0, "the client's address is none");
	if (core->is_closed)
		return answer(a, CA_CALL_BUSY, 5, "the CA is stopping");
	e = arena_new(&arena, 1u << 20);
	return e ? e : check(core, claim, arena, a);
}
