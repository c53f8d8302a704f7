/* gatehouse, the tool that people type: what its commands share.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "admin.pb-c.h"

#include "core/base/buf.h"

/* Exit codes, the same for every command. */
enum ctl_exit {
	CTL_DONE = 0,
	CTL_FAILED = 1,
	CTL_USAGE = 2,         /* or a confirmation is missing */
	CTL_NOT_FOUND = 3,
	CTL_DENIED = 4,        /* policy denied */
	CTL_PENDING = 5,       /* still pending */
	CTL_WRONG_STATE = 6,   /* or changed since it was seen */
	CTL_NOT_PERMITTED = 7,
	CTL_UNREACHABLE = 8,
	CTL_PARTLY = 9,
};

enum ctl_format { CTL_TABLE, CTL_JSON };

#define CTL_ATTRIBUTES_MAX 16
#define CTL_SOCKET_DEFAULT "/run/gatehouse/admin.sock"
#define CTL_CONFIG_DEFAULT "/etc/gatehouse/gatehouse.yaml"

/* Options of all commands; a command refuses those that are not its own. */
struct ctl {
	const char *socket_path;
	enum ctl_format format;
	bool is_utc;            /* times as RFC 3339 instead of ages */
	int fd;                 /* -1: not connected */
	/* what the command line said */
	const char *const *arguments; /* without the command's words; ends with NULL */
	int n_arguments;
	bool yes, timeline;
	const char *digest, *reason, *name, *data, *config, *key_type, *organization, *lifetime, *domain;
	const char *set_attributes[CTL_ATTRIBUTES_MAX], *delete_attributes[CTL_ATTRIBUTES_MAX];
	int n_set_attributes, n_delete_attributes;
};

struct ctl_command {
	const char *words;     /* "ca init" */
	const char *arguments; /* "ID..." */
	const char *options;   /* letters of the options it takes (gateway/ctl/main.c) */
	const char *summary;
	int (*run)(struct ctl *ctl);
};

int ctl_pending(struct ctl *ctl);
int ctl_list(struct ctl *ctl);
int ctl_show(struct ctl *ctl);
int ctl_approve(struct ctl *ctl);
int ctl_resubmit(struct ctl *ctl);
int ctl_deny(struct ctl *ctl);
int ctl_edit(struct ctl *ctl);
int ctl_cert_list(struct ctl *ctl);
int ctl_status(struct ctl *ctl);
int ctl_ca_show(struct ctl *ctl);
int ctl_ca_init(struct ctl *ctl);

/* A Reply that is freed at the end of the block. */
#define OWNED_REPLY __attribute__((cleanup(ctl_reply_drop))) Gatehouse__Admin__Reply
void ctl_reply_drop(Gatehouse__Admin__Reply **reply);

/* Send a Call, get its Reply; connects at the first use. NULL after telling the user why; the command returns
 * CTL_UNREACHABLE then. */
Gatehouse__Admin__Reply *ctl_call(struct ctl *ctl, const Gatehouse__Admin__Call *call);

/* The exit code of a Reply's outcome; tells the user on standard error when it is not CTL_DONE. `what` is what was
 * tried: "approve 41". */
int ctl_outcome(const Gatehouse__Admin__Reply *reply, const char *what);

/* Three lines on standard error: what failed, why, what to do next (NULL: nothing more to say). Returns `code`. */
int ctl_fail(int code, const char *what, const char *why, const char *next);

/* A request number of the command line. 0 or CTL_USAGE, told. */
int ctl_parse_id(const char *text, int64_t *id);
