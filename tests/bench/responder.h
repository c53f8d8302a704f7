/* Answers http-01 on loopback: one thread, one epoll set, one answer a worker.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct responder;

/* 0; negative: the port is taken, memory. */
int responder_start(struct responder **out, uint16_t port, size_t n_workers);
void responder_stop(struct responder **r);

/* From now on `token` is answered with "token.thumbprint", instead of what this worker answered before. */
void responder_set(struct responder *r, size_t worker, const char *token, const char *thumbprint);
