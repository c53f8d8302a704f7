/* The core as its process sees it: start, stop, health.
 *
 * Start order: configuration → store → signer and CA chain → policy.init → exit.init → unfinished rows → STARTUP.
 * Stop order: refuse new submissions → drain → outbox → SHUTDOWN → policy.fini → exit.fini → store.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "core/base/conf.h"
#include "core/base/buf.h"

#include <sys/types.h>

struct ca_core;
struct link;

/* Where it listens. */
enum ca_core_socket {
	CA_SOCKET_ADMIN,          /* people: core/admin.h */
	CA_SOCKET_INTERMEDIARIES, /* programs of this machine: core/wire/core.proto */
	CA_SOCKET_REMOTE,         /* those of other machines, over TLS */
	CA_SOCKETS_
};

#define CA_CORE_OTHERS 3 /* gateway, signer, validator */

/* Where the core runs. */
struct ca_core_env {
	/* To gatehouse-signer, set up as core/signer/signer.h says; outlives the core. NULL: a signer in this
	 * process, with the key-encryption key of `core: key-file`. */
	struct link *signer;
	const int *sockets; /* CA_SOCKETS_ that somebody else opened and keeps; NULL: the core opens its own */
	/* Each process of the daemon has a user of its own; those of the others have no business at the admin socket.
	 */
	bool is_separated;
	uid_t others[CA_CORE_OTHERS];
	/* Under which gatehouse-validator states what targets outside said, 32 octets (core/wire/verdict.h);
	 * outlives the core. NULL: nobody does, and nothing is believed. */
	const uint8_t *verdict_key;
	/* Called when a module keeps a thread of the core for ever: end the process. NULL: it goes on. */
	void (*give_up)(void);
};

/* Option rows of the sections that the core reads, for the root table of whoever loads the file:
 * `core:` (section), `cas:` (sections), `profiles:` (sections). */
extern const struct conf_option ca_core_rows[];
extern const struct conf_option ca_ca_rows[];
extern const struct conf_option ca_profile_rows[];

#define CA_KEK_SIZE 32

/* Get the key-encryption key: from the credential `kek` or `kek-passphrase` of a service manager
 * ($CREDENTIALS_DIRECTORY), else from `core.passphrase-file`, else at the terminal when `core.passphrase-prompt` is
 * set, else from `core.key-file`, else from `kek` in the data folder. 0; CA_CORE_NO_CA; negative; both with `error`.
 */
int ca_core_load_kek(const struct conf_section *root, uint8_t kek[static CA_KEK_SIZE], struct conf_error *error);

/* Listen wherever the configuration says; -1 where it says nothing. 0 or negative with `error`. */
int ca_core_open_sockets(const struct conf_section *root, int fds[static CA_SOCKETS_], struct conf_error *error);

/* Close them, and remove what is left of them in the file system; -1 is accepted, and stands there afterwards. */
void ca_core_close_sockets(const struct conf_section *root, int fds[static CA_SOCKETS_]);
const char *ca_core_socket_name(enum ca_core_socket which);

/* Do two configurations want the same sockets? */
bool ca_core_has_same_sockets(const struct conf_section *a, const struct conf_section *b);

/* `root` is a section with the keys `data`, `core`, `cas`, `profiles`, `endpoints` and `listeners`; it must outlive
 * the core. `env` NULL: all in this process. Everything the core refuses is said in `error`, with its place. 0;
 * CA_CORE_NO_CA; negative. Nothing is left running then. */
int ca_core_start(struct ca_core **out, const struct conf_section *root, const struct ca_core_env *env,
		  struct conf_error *error);

/* Check the same sections without starting anything. */
int ca_core_check(const struct conf_section *root, struct conf_error *error);

/* Are these patterns a scope, as that of a credential is? 0 or -EINVAL with `error`. */
int ca_core_check_scope(const struct conf_section *conf, const char *option, struct conf_error *error);

/* Serve the gateway of this daemon, in another process, on this stream socket (core/wire/core.proto). Takes the
 * descriptor. Any number of times: each restart of the gateway brings a new one. 0 or -errno. */
int ca_core_attach(struct ca_core *core, int take_fd);

/* New submissions are refused from now on (CA_CALL_BUSY); returns when none is running. Idempotent. */
void ca_core_close(struct ca_core *core);

/* Close, deliver what the exit modules can take, shut the modules down, close the store. */
void ca_core_drop(struct ca_core **core);

/* Wait up to `wait_ms` until every exit event that is due was delivered; true when none is left. */
bool ca_core_settle(struct ca_core *core, unsigned wait_ms);

/* One word a part ("store", "signer", "policy", "exit file"), "ok" or what is wrong. True when all are ok. */
bool ca_core_health(struct ca_core *core, struct buf *out);

/* Append metrics in Prometheus text format. */
void ca_core_metrics(struct ca_core *core, struct buf *out);

/* The `data:` folder has no CA yet: what `ca_core_start` answers then (a positive outcome, `error` names the
 * command). */
enum { CA_CORE_NO_CA = 1 };
