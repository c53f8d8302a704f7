/* What is being signed in pieces.
 *
 * A few streams at once; of more, the one that nobody has touched for longest is forgotten: whoever began it begins
 * anew, and a core that never ends what it began takes no memory from the others.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <pthread.h>

#include <openssl/evp.h>

#include "core/signer/gate_stream.h"

#define STREAMS_MAX 16

struct stream {
	uint64_t number;        /* 0: free */
	uint64_t touched;
	bool is_busy;           /* a thread works on it: nobody else touches it */
	EVP_MD_CTX *digest;
	struct gate_stream gate;
	uint64_t key;
};

struct streams {
	pthread_mutex_t lock;
	uint64_t last_number, clock;
	void (*let_go)(void *arg, uint64_t key); /* when the stream is over that works with it */
	void *arg;
	struct stream slots[STREAMS_MAX];
};

/* Numbers begin at a random one: a stream of another signer is not mistaken for one of this. 0 or -EIO. */
int streams_init(struct streams *s, void (*let_go)(void *arg, uint64_t key), void *arg);
void streams_fini(struct streams *s);

/* `begun` is copied; `gate` is of `key`, which `let_go` is called for when the stream is over, unless this function
 * fails. The functions have the contract of the signer's. */
int streams_begin(struct streams *s, const EVP_MD_CTX *begun, const struct gate *gate, enum signer_purpose purpose,
		  enum signer_stream_kind kind, uint64_t key, uint64_t *number, char why[static SIGNER_WHY_SIZE]);
int streams_data(struct streams *s, uint64_t number, struct bytes piece, char why[static SIGNER_WHY_SIZE]);
int streams_end(struct streams *s, uint64_t number, struct buf *signature, char why[static SIGNER_WHY_SIZE]);
void streams_drop(struct streams *s, uint64_t number);
