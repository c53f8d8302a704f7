/* What the supervisor and its children say to each other: words, with a text and at most one descriptor.
 *
 * Each child has such a channel, a SOCK_SEQPACKET socketpair, as descriptor CONTROL_FD. First the child is given all it
 * may use: the user it becomes, the configuration, listening sockets, its ends of the connections to the others. After
 * `go` it starts and answers `ready` or `failed`. Later it is given new ends of connections, when the other side was
 * started again, and told to `stop`. When the channel ends, the supervisor is gone, and so is the child.
 *
 *   to the child      log FORMAT LEVEL · user UID GID · config PATH + fd · listener NAME + fd · link NAME + fd ·
 *                     kek + fd · verdict-key + fd · …
 *                     go · stop
 *   from the child    ready · failed TEXT · lost NAME (its connection with that process broke, and both go on)
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#define CONTROL_FD 3
#define CONTROL_WORD_SIZE 32
#define CONTROL_TEXT_SIZE 2048

struct control_message {
	char word[CONTROL_WORD_SIZE];
	char text[CONTROL_TEXT_SIZE]; /* "" when there is none */
	int fd;                       /* -1: none; the receiver's own */
};

/* `text` NULL: none; longer than fits: cut. `fd` -1: none; it stays the caller's. 0 or -errno. */
int control_send(int channel, const char *word, const char *text, int fd);

/* 0; -EPIPE at the end of the channel; -EAGAIN when nothing is there and `waits` is false; -EBADMSG; -errno. */
int control_receive(int channel, struct control_message *out, bool waits);

/* ---- the child's end ---- */

/* Was this process started by a supervisor? */
bool control_is_there(void);

/* What a child does with a word. `fd` is its own now (-1: none came). 0, or negative: the start fails, or the word is
 * logged and forgotten. */
struct control_word {
	const char *word;
	int (*take)(void *arg, const char *text, int take_fd);
};

/* Read exactly `n` octets of a secret that came with a word, and close. 0 or -EINVAL. */
int control_take_secret(int take_fd, void *out, size_t n);

/* Receive words until `go`. Takes the words of every child itself: `log` (numbers of core/base/log.h) and `user` (no
 * groups, that user, no way to more rights). Forbids core files and tracing. `words` ends with {0}; a word that is not
 * among them is an error. 0 or -errno. */
int control_begin(const struct control_word *words, void *arg);

/* Started: tell the supervisor. */
void control_ready(void);

/* Not started: tell it why; the caller ends the process with CONTROL_EXIT_FAILED. */
void control_failed(const char *why);
enum { CONTROL_EXIT_FAILED = 3 };

/* Take further words until `stop` or until the supervisor is gone; true for `stop`. */
bool control_serve(const struct control_word *words, void *arg);
