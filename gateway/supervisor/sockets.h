/* The listening sockets of the whole daemon.
 *
 * The supervisor opens them and keeps them open as long as the configuration wants them: a process that ends leaves
 * clients waiting, not refused, and no process needs a right for a port below 1024. Sockets that a service manager
 * gives (LISTEN_FDS) are taken where their address is one of the configuration, all of one address together.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "core/base/conf.h"

#include <stdint.h>

struct sockets;

int sockets_new(struct sockets **out);
void sockets_drop(struct sockets **sockets);

/* Take what the service manager gave, once, before anything else is opened. */
int sockets_adopt(struct sockets *s);

/* Open what this configuration wants and is not open yet. What was given and the first configuration does not want is
 * logged and closed. 0; -EINVAL or -errno with `error`, and nothing new is open. */
int sockets_open(struct sockets *s, const struct conf_section *root, struct conf_error *error);

/* Close what this configuration does not want. */
void sockets_keep(struct sockets *s, const struct conf_section *root);

/* Give the sockets of the listeners (word `listener`, text: the listener's name, one message a socket) to the child at
 * the other end of `channel`. */
int sockets_give(const struct sockets *s, const struct conf_section *root, int channel);
