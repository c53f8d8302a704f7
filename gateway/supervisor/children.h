/* The processes below the supervisor: who they are, starting and ending them, the connections between them.
 *
 *     role        program              asks          is asked by
 *     signer      gatehouse-signer                   core
 *     core        gatehoused           signer        gateway
 *     validator   gatehouse-validator                gateway
 *     ra-signer   gatehouse-signer                   gateway
 *     gateway     gatehoused           core, validator, ra-signer
 *
 * Each connection is a socketpair made here, anew whenever one of its sides is started. Core and gateway take a new end
 * while they run; the others end with their only connection and are started again.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "core/base/buf.h"

#include <sys/types.h>

enum role { ROLE_SIGNER, ROLE_CORE, ROLE_VALIDATOR, ROLE_RA_SIGNER, ROLE_GATEWAY, ROLES_ };
#define ROLE_LINKS 4

enum child_state {
	CHILD_DOWN,     /* not running; started again when `due_ms` has come */
	CHILD_STARTING, /* told to go */
	CHILD_UP,       /* ready */
	CHILD_STOPPING, /* told to stop */
};

struct child {
	enum role role;
	enum child_state state;
	pid_t pid;
	int channel;         /* -1: none */
	unsigned back_off_ms;
	int64_t due_ms;      /* monotonic */
	int64_t started_ms, up_ms; /* monotonic; when it was started, when it became ready */
	bool is_kept;        /* started again when it ends */
	char why[512];       /* what it said when it could not start; "" */
};

struct children {
	struct child all[ROLES_];
	int lock_fd;             /* of the data folder; every child holds it */
	int ends[ROLE_LINKS][2]; /* ends that wait for their side to start; -1: none */
};

const char *role_name(enum role role);

void children_init(struct children *c);

/* Fork, exec, and give it its channel. What else it gets is sent with control_send() to `channel`, then children_go().
 * 0 or -errno. */
int children_spawn(struct children *c, enum role role);

/* Give it its ends of the connections, and the others theirs; then `go`. */
int children_go(struct children *c, enum role role);

void children_stop(struct children *c, enum role role); /* ask it to */
void children_kill(struct children *c, enum role role);

/* Take what a child says. True: something changed. */
bool children_listen(struct children *c, enum role role);

/* Reap what ended: the back-off of those that were not told to stop is set. Returns how many ended. */
unsigned children_reap(struct children *c);

/* Close ends of connections whose side never started. */
void children_forget_ends(struct children *c);
