/* The inside of the anchor: for core/anchor*.c.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "core/anchor.h"
#include "core/anchor_file.h"

struct anchor {
	pthread_mutex_t lock;
	char *path;
	int fd;                  /* -1: to be opened again */
	struct anchor_head head; /* the last one; seq 0: none yet */
	struct buf rest;         /* what stands in the file behind it */
	_Atomic int64_t seq;     /* head.seq, for who only looks */
	_Atomic int64_t whole_s; /* all that the store had then is in the file, by anchor_now_s() */
	_Atomic bool is_failing;
};

int64_t anchor_now_s(void);

/* With the lock held, or before anybody else knows it. anchor_open(): -EBADMSG: no anchor; -EKEYREJECTED: its last head
 * is not the signer's. */
int anchor_open(struct anchor *a, struct ca_core *core);
int anchor_append(struct anchor *a, struct bytes text);
int anchor_bring_up(struct anchor *a, struct ca_core *core);

/* MAC of a head. 0; negative: the signer is away. */
int anchor_mac(struct ca_core *core, const uint8_t running[static SHA256_SIZE], uint8_t mac[static SHA256_SIZE]);

/* core/anchor_restore.c: bring back from the file what a store that was put back does not know. 0; negative with what
 * is wrong in `error`. */
int anchor_restore(struct ca_core *core, struct anchor *a, struct conf_error *error);
int anchor_refuse(struct ca_core *core, struct conf_error *error, int e, const char *format, ...)
	__attribute__((format(printf, 4, 5)));
