/* gatehouse, the tool that people type: what its commands share.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "admin.pb-c.h"

#include "core/base/buf.h"
#include "gateway/ctl/command.h"

/* Exit codes, the same for every command; their meaning in words is in gateway/ctl/commands.c. */
enum ctl_exit {
	CTL_DONE = 0,
	CTL_FAILED = 1,
	CTL_USAGE = 2,
	CTL_NOT_FOUND = 3,
	CTL_DENIED = 4,
	CTL_PENDING = 5,
	CTL_WRONG_STATE = 6,
	CTL_NOT_PERMITTED = 7,
	CTL_UNREACHABLE = 8,
	CTL_PARTLY = 9,
};

enum ctl_format { CTL_TABLE, CTL_WIDE, CTL_JSON, CTL_JSONL, CTL_CSV, CTL_ID };

#define CTL_GIVEN_MAX 64
#define CTL_WORDS_MAX 1024
#define CTL_SOCKET_DEFAULT "/run/gatehouse/admin.sock"
#define CTL_DATA_DEFAULT "/var/lib/gatehouse"
#define CTL_CONFIG_DEFAULT "/etc/gatehouse/gatehouse.yaml"

/* One run of the tool. */
struct ctl {
	const char *socket_path;
	enum ctl_format format;
	bool has_color;         /* on standard output */
	bool is_utc;            /* times as RFC 3339 instead of ages */
	int fd;                 /* -1: not connected */
	/* what the command line said; read the options with option_value() and its siblings */
	const struct command *command;
	const char *noun;
	const char *words[CTL_WORDS_MAX + 1];
	const char *const *arguments; /* without the command's own words; ends with NULL */
	int n_arguments;
	struct {
		const struct option_row *row;
		const char *value;
	} given[CTL_GIVEN_MAX];
	int n_given;
	bool wants_help, wants_version;
};

/* What an option of this command was given: the last value, NULL without one; the i-th value of one that repeats,
 * NULL after the last; whether it was given at all. The command must have that option. */
const char *option_value(const struct ctl *ctl, const char *name);
const char *option_nth(const struct ctl *ctl, const char *name, int i);
bool option_given(const struct ctl *ctl, const char *name);

/* A whole number from `least` to `most` as an option's value; `*n` is left alone when the option was not given.
 * CTL_DONE or CTL_USAGE, told. */
int option_number(const struct ctl *ctl, const char *name, int64_t least, int64_t most, int64_t *n);

/* -o json or -o jsonl. */
bool is_json(const struct ctl *ctl);

/* Somebody sits there who can be asked. */
bool has_terminal(void);

/* And says yes: whatever else he types is no. */
bool is_confirmed(const char *question);

/* The functions of the commands (gateway/ctl/commands.c). */
int ctl_pending(struct ctl *ctl);
int ctl_list(struct ctl *ctl);
int ctl_show(struct ctl *ctl);
int ctl_approve(struct ctl *ctl);
int ctl_resubmit(struct ctl *ctl);
int ctl_deny(struct ctl *ctl);
int ctl_edit(struct ctl *ctl);
int ctl_diff(struct ctl *ctl);
int ctl_note(struct ctl *ctl);
int ctl_watch(struct ctl *ctl);
int ctl_wait(struct ctl *ctl);
int ctl_explain(struct ctl *ctl);
int ctl_policy_test(struct ctl *ctl);
int ctl_export(struct ctl *ctl);
int ctl_cert_show(struct ctl *ctl);
int ctl_cert_export(struct ctl *ctl);
int ctl_cert_expiring(struct ctl *ctl);
int ctl_cert_list(struct ctl *ctl);
int ctl_cert_revoke(struct ctl *ctl);
int ctl_cert_hold(struct ctl *ctl);
int ctl_cert_release(struct ctl *ctl);
int ctl_cert_status(struct ctl *ctl);
int ctl_cert_import(struct ctl *ctl);
int ctl_ca_crl(struct ctl *ctl);
int ctl_request_purge(struct ctl *ctl);
int ctl_credential_create(struct ctl *ctl);
int ctl_credential_list(struct ctl *ctl);
int ctl_credential_revoke(struct ctl *ctl);
int ctl_user_create(struct ctl *ctl);
int ctl_user_passwd(struct ctl *ctl);
int ctl_listed_add(struct ctl *ctl);
int ctl_status(struct ctl *ctl);
int ctl_doctor(struct ctl *ctl);
int ctl_trust_show(struct ctl *ctl);
int ctl_profile_list(struct ctl *ctl);
int ctl_profile_show(struct ctl *ctl);
int ctl_endpoint_list(struct ctl *ctl);
int ctl_endpoint_show(struct ctl *ctl);
int ctl_endpoint_snippet(struct ctl *ctl);
int ctl_ca_show(struct ctl *ctl);
int ctl_ca_init(struct ctl *ctl);
int ctl_ca_import(struct ctl *ctl);
int ctl_ca_rollover(struct ctl *ctl);
int ctl_audit_tail(struct ctl *ctl);
int ctl_audit_search(struct ctl *ctl);
int ctl_audit_verify(struct ctl *ctl);
int ctl_audit_export(struct ctl *ctl);
int ctl_fsck(struct ctl *ctl);
int ctl_backup(struct ctl *ctl);
int ctl_restore(struct ctl *ctl);
int ctl_accept_clock(struct ctl *ctl);
int ctl_help(struct ctl *ctl);
int ctl_manual(struct ctl *ctl);
int ctl_parse(struct ctl *ctl);
int ctl_complete(struct ctl *ctl);
int ctl_completion(struct ctl *ctl);

/* gateway/ctl/fsck.c: the independent checker on what --data, --database and --anchor name; all of it, or the audit
 * trail alone. */
int ctl_check_store(struct ctl *ctl, bool only_trail);

/* A Reply that is freed at the end of the block. */
#define OWNED_REPLY __attribute__((cleanup(ctl_reply_drop))) Gatehouse__Admin__Reply
void ctl_reply_drop(Gatehouse__Admin__Reply **reply);

/* Send a Call, get its Reply; connects at the first use. NULL after telling the user why; the command returns
 * CTL_UNREACHABLE then. */
Gatehouse__Admin__Reply *ctl_call(struct ctl *ctl, const Gatehouse__Admin__Call *call);

/* The exit code of a Reply's outcome; tells the user on standard error when it is not CTL_DONE. `what` is what was
 * tried: "approve 41". */
int ctl_outcome(const struct ctl *ctl, const Gatehouse__Admin__Reply *reply, const char *what);

/* Three lines on standard error: what failed, why, what to do next (NULL: nothing more to say). Returns `code`. */
int ctl_fail(int code, const char *what, const char *why, const char *next);

/* "30d", "12h", "10m", "90s" or "2w" in seconds, more than 0. CTL_DONE or CTL_USAGE, told. */
int ctl_parse_duration(const char *text, int64_t *seconds);

/* "2026-12-31T00:00:00Z" in seconds. CTL_DONE or CTL_USAGE, told. */
int ctl_parse_time(const char *text, int64_t *seconds);

/* The first block with this label of a file in PEM; a file without any block as it is, as DER. Appended to `der`.
 * CTL_DONE or CTL_FAILED, told. */
int ctl_read_pem(const char *path, const char *label, struct buf *der);

/* A request number, and the serial of a certificate in hex, of the command line. CTL_DONE or CTL_USAGE, told. */
#define CTL_SERIAL_MAX 20
int ctl_parse_id(const char *text, int64_t *id);
int ctl_parse_serial(const char *text, uint8_t serial[static CTL_SERIAL_MAX], size_t *n);
