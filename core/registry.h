/* How an intermediary finds its CA, once, when it starts.
 *
 * A config string names where the core listens and which CA is meant. CA names are compared without case.
 *
 *   direct:#CA name            the core in this process
 *   link:#CA name              the core that the supervisor connected this process with: ca_link_attach()
 *   unix:PATH#CA name          the core that listens on this Unix socket
 *   tls://HOST:PORT#CA name    the core that listens there; both sides know each other's certificate: ca_link_use_tls()
 *
 * What stands before the '#' is the core's address. All doors of a process to one address share one connection, which
 * is made again whenever it broke; nobody has to locate anew for that.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "core/submit.h"

enum {
	CA_LOCATE_BAD_STRING = 1, /* not a config string */
	CA_LOCATE_UNKNOWN_CA = 2, /* the core answered and publishes no CA of that name to this intermediary */
	CA_LOCATE_AWAY = 3,       /* the core does not answer: try again */
	CA_LOCATE_REFUSED = 4,    /* the core does not serve this intermediary; the log says why */
};

/* `intermediary` names the caller in the timeline of a core in this process. Another core calls it what its own
 * configuration calls it, which also says what it may ask for (`core: intermediaries:`). */
int ca_locate(struct ca_door **out, const char *config_string, const char *intermediary);
void ca_door_drop(struct ca_door **ca);

/* The CA's name as published. Borrowed. */
const char *ca_door_name(const struct ca_door *ca);

/* Who this process is for `tls://`, and which core it speaks with: PEM files, and a SHA-256 fingerprint in hex. Before
 * the first ca_locate(); NULL lets go of it, after the last door was dropped. 0; -EINVAL with a sentence in `why`;
 * -ENOMEM. */
struct ca_link_tls {
	const char *certificate, *key;
	const char *core_certificate;
};
int ca_link_use_tls(const struct ca_link_tls *tls, char *why, size_t why_size);

/* Calls over `link:` go over this stream socket from now on; those in flight on the one before fail and are repeated.
 * Takes the descriptor; -1: there is no connection at the moment. 0 or -ENOMEM. */
int ca_link_attach(int take_fd);

/* `tell` is called, on any thread and under locks, when that connection broke: another must come by ca_link_attach().
 * NULL: nobody wants to know. */
void ca_link_when_lost(void (*tell)(void));

/* The health of the core at this address ("direct:", "link:"): appends one line a part; true when all is well. */
bool ca_door_health(const char *address, struct buf *out);

/* Append its figures in Prometheus text format; nothing when it does not answer. */
void ca_door_metrics(const char *address, struct buf *out);

/* Tell the core at this address how its gateway is: one line a part, printable ASCII. It shows the last report to who
 * asks it for its status, and misses the next one after half a minute. 0; -EAGAIN: it does not answer; -EACCES: it
 * takes none from here; negative. */
int ca_door_report(const char *address, bool is_well, const char *text);
