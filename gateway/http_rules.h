/* What every version of HTTP agrees on: which methods, targets, hosts and header fields are accepted or sent.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "protocols/http_msg.h"

/* RFC 9110 5.6.2; an empty text is no token. */
bool http_rule_token(const char *s, size_t n);

/* 0, or the status to answer with one line for the client in `*why`. Methods that nothing serves pass: which ones are
 * served depends on the path, and 405 says it (gateway/router.h). CONNECT has none. */
int http_rule_method(const char *s, size_t n, const char **why);
int http_rule_target(const char *target, const char **why); /* origin form, visible ASCII (RFC 9112 3.2.1) */
int http_rule_host(const char *host, const char **why);
/* A Content-Length: digits only. */
int http_rule_length(const char *value, uint64_t *length, const char **why);

/* A header of a reply that can be sent: a line end in a value would let whoever chose it write headers of his own. */
bool http_rule_sendable(const struct http_header *h);
/* A header that the version of HTTP writes itself: handlers do not choose it. */
bool http_rule_is_framing(const char *name);
