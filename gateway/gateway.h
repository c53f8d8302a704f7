/* The gateway as its process sees it: endpoints, listeners, certificates, workers; start and stop.
 *
 * Start order: workers → server → endpoints (locate the CA once, init the adapter) → listeners bound → loops →
 * certificates → listeners opened. Stop order: listeners closed and requests finished → certificates → workers →
 * adapters. What the environment names must outlive the gateway.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "core/base/conf.h"

struct gateway;
struct signer;
struct validator;

/* A listening socket that was opened for the gateway; several have the same name. */
struct gateway_socket {
	char name[72]; /* of the listener */
	int fd;
};

struct gateway_env {
	const char *core;            /* address of the core (core/registry.h): "direct:", "link:" */
	struct signer *ra_signer;    /* has the keys of registration authorities; borrowed */
	struct validator *validator; /* borrowed; NULL: the gateway makes one in this process */
	const struct gateway_socket *sockets; /* for the listeners; borrowed; none: each listener binds its own */
	size_t n_sockets;
};

/* `root` was checked and must outlive the gateway. 0; negative with `error` saying what and, if possible, where. */
int gateway_start(struct gateway **out, const struct conf_section *root, const struct gateway_env *env,
		  struct conf_error *error);

/* Finish what is in flight, for as long as `gateway.stop-timeout` says, and let go of everything. */
void gateway_drop(struct gateway **gateway);
