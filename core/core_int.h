/* What the files of the core share: settings, profiles, CAs, and the things in flight.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <pthread.h>
#include <stdatomic.h>

#include "core/base/db.h"
#include "core/base/steady.h"
#include "core/binding.h"
#include "core/core.h"
#include "core/exit.h"
#include "core/flight.h"
#include "core/policy.h"
#include "core/polls.h"
#include "core/rejects.h"
#include "core/request.h"
#include "core/signer/signer.h"
#include "core/store_keys.h"
#include "core/trace.h"

#define GATEWAY_TLS_PROFILE "gateway-tls"
#define SCEP_RA_PROFILE "scep-ra"
#define INTERNAL_ENDPOINT "internal"
#define IMPORTED_PROFILE "import" /* what rows that were imported have in the place of one */
#define ANY_SCOPE_RULE "any-scope" /* the core's own: holds what a credential for any name asks for */
#define CHANGED_NAMES_RULE "changed-names" /* the core's own: holds names that a renewal wants and nothing proves */

struct ca_profile {
	const char *name;
	const char *const *keys;            /* key type words, NULL-terminated */
	unsigned rsa_bits_min;
	const char *const *key_usage;       /* for RSA keys */
	const char *const *key_usage_no_rsa; /* without keyEncipherment, which only RSA keys can do */
	const char *const *ext_key_usage;
	int64_t lifetime_s, backdate_s;
	const char *const *renewable_from;  /* profiles whose certificates may ask for one of this, NULL-terminated */
	const char *renewal_key;            /* "any", "new", "same" */
	bool lets_officers_name;            /* they may decide about names that nothing proves */
	bool holds_any_scope;               /* what a credential for any name asks for waits for a person */
	bool common_name;                   /* put a proven name into the CN */
	const struct conf_section *conf;    /* NULL for the built-in profile */
};

struct ca_settings {
	int64_t pending_ttl_ms, deny_window_ms, grant_lifetime_ms, collect_ms;
	int64_t retention_ms; /* 0: for ever */
	unsigned retry_after_s;
	unsigned notify_attempts;
	unsigned pending_per_requester;
};

/* An exit module of one CA, as configured. */
struct exit_instance {
	char label[72];                 /* its name: the same in the outbox whatever the order of the list */
	const struct ca_exit_module *module;
	void *state;
	uint32_t events;                /* the mask it asked for */
	_Atomic bool is_failing;        /* its last notify failed */
	bool is_disabled;               /* init failed and it is not required */
};

/* A key of a CA, with the certificate under which it signs. Nothing of it changes once it is in the list of its CA,
 * but for what the signer says of it; it stays there until the core ends. CRLs and OCSP answers are made for each key
 * by itself: certificates.key_id says which one signed a certificate. */
struct ca_key {
	struct ca_core *core;
	struct ca *ca;                  /* NULL: the core's own, for MACs */
	enum signer_purpose purpose;
	int64_t row;                    /* ca_keys.id */
	unsigned index;                 /* ca_keys.position: names it, for ever */
	struct buf certificate;         /* DER */
	struct buf issuers;             /* of an intermediate: those behind it, DER one after the other */
	struct issuer *issuer;          /* the certificate, read */
	int64_t not_before_s, not_after_s;
	_Atomic uint64_t signer;        /* the signer's number for it: another one when it was started again */
	_Atomic bool is_refused;        /* a signer that answers did not load it: this key waits, the others do not */
};

/* A certificate of one key by another one of the same CA: whoever trusts the one can verify what the other signed. */
struct ca_cross {
	const struct ca_key *key, *by;
	struct buf certificate;
	int64_t not_after_s;
};
#define CA_CROSSES_MAX (2 * CA_KEYS_MAX)

struct ca {
	struct ca_core *core;
	const char *name;
	const char *public_url;         /* of its status endpoint, for its certificates; NULL: they name none */
	int64_t ocsp_validity_s;
	struct {
		int64_t lifetime_s, interval_s, delay_ms;
		unsigned partitions;    /* of new certificates; 0: they name the CRL about all */
	} crl;
	const struct ca_policy_module *policy;
	void *policy_state;
	pthread_mutex_t policy_turn;    /* held during verify unless the module is thread-safe */
	struct exit_instance *exits;
	size_t n_exits;
	struct ca_key *keys[CA_KEYS_MAX]; /* in the order of their lives; only ever added to */
	_Atomic unsigned n_keys;
	struct ca_cross *crosses[CA_CROSSES_MAX]; /* only ever added to */
	_Atomic unsigned n_crosses;
	int64_t end_alarm_s;
	_Atomic bool is_waiting;        /* one of its keys waits for its certificate */
	_Atomic bool is_behind;         /* the store has keys of it that could not be taken yet */
	struct ca_key *_Atomic current; /* signs what is new; NULL: none can, keys_away() says why */
};

/* Who uses it for more than one thing takes it once: another one may be current the next moment. */
static inline struct ca_key *ca_current_key(const struct ca *ca)
{
	return atomic_load(&ca->current);
}

struct ca_key *ca_find_key(const struct ca *ca, int64_t row); /* NULL */

struct ca_core {
	const struct conf_section *conf;
	char *data_folder;              /* <data>/core */
	struct ca_settings settings;
	struct ca_profile *profiles;
	size_t n_profiles;
	struct ca *cas;
	size_t n_cas;
	struct db *db;
	struct ca_core_env env;
	int64_t watched_day;            /* keys_watch() did, in days since 1970 */
	struct ca_key *mac;             /* the key of keys_mac() */
	struct signer *signer;          /* tests put a broken one in its place */
	pthread_mutex_t key_turn;       /* held while a key is loaded again */
	_Atomic int signer_memory;      /* enum signer_memory, as it was told last */
	struct trace *trace;
	struct flight *flight;
	struct polls *polls;
	struct reports *reports;
	struct rejects *rejects;
	struct policy_watch *policy_watch;
	struct credential_guard *credential_guard;
	int64_t swept_ms;               /* monotonic; only the finisher's, as is the next one */
	struct steady steady;
	int sockets[CA_SOCKETS_];       /* -1: none */
	int lock_fd;                    /* holds the lock on the data folder */
	_Atomic int64_t last_id;        /* ids are given in memory and never twice */
	_Atomic bool is_closed;
	_Atomic bool is_signer_failing;
	_Atomic bool is_store_failing;
	_Atomic bool has_blocked_keys;  /* a public key is blocked; while none is, nobody needs to look */
	_Atomic int64_t seen_ms;        /* the latest time (core/clock_guard.h) */
	_Atomic bool is_clock_behind;
	_Atomic int64_t policy_failures;
	_Atomic unsigned policy_failures_in_a_row;
	struct anchor *anchor;
	struct backup *backup;
	struct worker *outbox, *finisher, *anchoring, *watching;
	struct publisher *publisher;
	struct ocsp *ocsp;
	struct admin_socket *admin;
	struct bindings bindings;
	struct intermediaries *intermediaries;
	_Atomic uint64_t counts[CA_ACTION_COUNT_]; /* for metrics */
	_Atomic uint64_t notified, notify_failures;
};

/* core/find.c */
struct ca *core_find_ca(struct ca_core *core, const char *name); /* without case; NULL */
struct ca_profile *core_find_profile(struct ca_core *core, const char *name);
const struct conf_section *core_find_endpoint(struct ca_core *core, const char *name); /* NULL */

/* core/intermediaries.c: may this intermediary use it? */
bool core_may_use_ca(struct ca_core *core, const struct binding *by, const struct ca *ca);

/* Is it one of the gateway's own certificates, which never asks for another? */
bool core_is_own_profile(const char *profile);

/* Is this endpoint configured with this CA and profile? */
bool core_endpoint_allows(struct ca_core *core, const char *endpoint, const char *ca, const char *profile);

/* Is this a name (DNS or IP) of one of the gateway's own listeners? */
bool core_is_listener_name(struct ca_core *core, const struct ca_name *name);

/* core/settings.c: read the sections; everything is checked with line and column. */
int settings_load(struct ca_core *core, struct conf_error *error);
int settings_check_profile(const struct conf_section *conf, struct conf_error *error);

/* core/pipeline.c: `by` is the intermediary that asks; what lies outside its binding is refused. */
int pipeline_submit(struct ca *ca, const struct binding *by, const struct ca_submission *s, struct ca_outcome *out);
int pipeline_ask(struct ca *ca, const struct binding *by, const char *requester, int64_t id, bool collect,
		 struct ca_outcome *out);
int pipeline_poll(struct ca *ca, const struct binding *by, const char *endpoint, const uint8_t *poll_key,
		  struct ca_outcome *out);

/* What would come of a submission, and no row of it: all that a new one meets but its credential, and what the store
 * knows of earlier ones (the same transaction, a denial, a grant, a quota). `s` has a request, an endpoint, its
 * protocol and any profile that is configured; `requester` NULL: one who never asked before. Every name that is asked
 * for counts as proven. 0, and `r` is as it would stand: with its verdict, or a status and a reason when it would end
 * as ERROR; CA_CALL_REFUSED with out->reason; negative. */
int pipeline_rehearse(struct ca *ca, const struct ca_submission *s, struct ca_request *r, struct ca_outcome *out);

/* Two intermediaries may share an endpoint; neither sees what the other alone may ask for. */
bool pipeline_is_business_of(const struct binding *by, const struct ca_request *row);

/* What the core takes as text from an intermediary: visible ASCII and blanks, 1 to `max` octets, no '"'. */
bool pipeline_is_text(const char *s, size_t max);

/* core/revoke.c. Contract as ca_revoke(). */
int pipeline_revoke(struct ca *ca, const struct binding *by, const struct ca_revocation *revocation,
		    struct ca_outcome *out);

/* core/withdraw.c. Contract as ca_withdraw(). */
int pipeline_withdraw(struct ca *ca, const struct binding *by, const char *endpoint, const char *requester,
		      const char *reason, struct ca_outcome *out);

/* core/lookup.c. Contract as ca_get_certificate(). */
int pipeline_get_certificate(struct ca *ca, const struct binding *by, const struct ca_certificate_id *id,
			     struct ca_certificate *out);

/* core/decide.c: from a loaded or new request to a verdict and to its durable consequence. */

/* Subject and widest validity, from profile and CA. 0; CA_STATUS_BUILD_FAILURE when the profile is gone. */
int decide_prepare(struct ca *ca, struct ca_request *r);

/* May this profile certify this key? 0; CA_STATUS_BAD_KEY with a sentence. */
int decide_check_key(struct ca *ca, const struct ca_request *r, char why[static CA_REASON_SIZE]);

/* Is its public key one whose private half others have? 0; CA_STATUS_BAD_KEY with a sentence; negative. */
int decide_check_blocked(struct ca *ca, const struct ca_request *r, char why[static CA_REASON_SIZE]);

/* Are the credentials and the certificate that proved it not revoked meanwhile? 0; CA_STATUS_BAD_NAME with a sentence;
 * negative. */
int decide_check_proofs(struct ca *ca, const struct ca_request *r, char why[static CA_REASON_SIZE]);

/* Point `r` at what the profile gives its kind of key. */
void decide_use_profile(struct ca_request *r, const struct ca_profile *p);

/* Ask the policy module: r->verdict, or r->is_undecided when it failed. */
void decide_verify(struct ca *ca, struct ca_request *r, enum ca_verify_cause cause);

/* Ask the policy module, and what the core itself holds, without consequence: nothing is traced, counted or written.
 * `r` was prepared; its verdict and digest are those that it would get. 0; CA_STATUS_POLICY_FAILURE (there is no
 * verdict) or CA_STATUS_BUILD_FAILURE with a sentence; negative. */
int decide_explain(struct ca *ca, struct ca_request *r, enum ca_verify_cause cause, char why[static CA_REASON_SIZE]);

/* Besides the outcomes of store_apply() (core/store.h): */
enum {
	DECIDE_AWAY = 21,  /* it cannot be signed now: the row is ACTIVE with its TBS and will be finished */
	DECIDE_QUOTA = 22, /* policy would hold it, and this requester has too many held ones: nothing was written */
	DECIDE_KEY_WANTED = 23, /* it would be issued, and has no key yet: nothing was written */
};

/* Make the verdict durable; issue when it says so. 0: `r` stands as it was stored; STORE_CHANGED, STORE_DUPLICATE:
 * somebody else was faster, nothing was written; DECIDE_AWAY; DECIDE_QUOTA; DECIDE_KEY_WANTED;
 * negative. */
int decide_apply(struct ca *ca, struct ca_request *r, enum ca_verify_cause cause);

/* Store a request that could not be read, as ERROR. Same outcomes. */
int decide_reject(struct ca *ca, struct ca_request *r, enum ca_status status, const char *reason);

/* Sign the stored TBS of an ACTIVE request and make it ISSUED, or ERROR when the signer refuses. Same outcomes. */
int decide_finish(struct ca *ca, struct ca_request *r);

/* An ACTIVE request with its TBS that will never be signed becomes ERROR. Same outcomes. */
int decide_give_up(struct ca *ca, struct ca_request *r, enum ca_status status, const char *reason);

/* Count an action for the metrics. */
static inline void core_count(struct ca_core *core, enum ca_action action)
{
	if (action != CA_ACTION_NONE)
		atomic_fetch_add_explicit(&core->counts[action], 1, memory_order_relaxed);
}
