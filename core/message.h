/* Messages of core/wire/core.proto and what they mean in core/submit.h, there and back.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "core/base/arena.h"
#include "core/submit.h"
#include "core/wire/frame.h"

#include "core.pb-c.h"

#define CORE_VERSION 1
#define CORE_WINDOW 256      /* calls of one connection in flight */
#define MESSAGE_DEADLINE 2   /* the field deadline_ms */
#define MESSAGE_ARENA_MAX (4u << 20)

/* Replaces what `out` held. 0; -EMSGSIZE when it is longer than a message may be; -ENOMEM. */
int message_pack(const Gatehouse__Core__Message *m, struct buf *out);

/* In the arena. NULL: no message of this schema, or one that would fill the arena. */
Gatehouse__Core__Message *message_unpack(struct arena *arena, struct bytes octets);

/* Pointers into `s`, and arrays in the arena. 0 or -ENOMEM. */
int message_from_submission(struct arena *arena, const struct ca_submission *s, Gatehouse__Core__Submit *out);

/* Pointers into `m`, and arrays in the arena. 0; CA_CALL_REFUSED with a sentence in `why`; -ENOMEM. */
int message_to_submission(struct arena *arena, const Gatehouse__Core__Submit *m, struct ca_submission *out,
			  const char **why);

/* The same for revocations. */
int message_from_revocation(struct arena *arena, const struct ca_revocation *v, Gatehouse__Core__Revoke *out);
int message_to_revocation(struct arena *arena, const Gatehouse__Core__Revoke *m, struct ca_revocation *out,
			  const char **why);

/* Credentials, the same way; `endpoint` and `source_address` stay as they are. */
void message_from_claim(const struct ca_credential_claim *from, Gatehouse__Core__Credential *out);
int message_to_claim(const Gatehouse__Core__Credential *m, struct ca_credential_claim *out, const char **why);

/* -ENOMEM; or NULL. */
int message_from_names(struct arena *arena, const struct ca_name *names, size_t n, Gatehouse__Core__Name ***out,
		       size_t *n_out);
struct ca_name *message_to_names(struct arena *arena, Gatehouse__Core__Name *const *from, size_t n);

void message_from_checked(int call, struct ca_credential_answer *from, Gatehouse__Core__Checked *out);
/* `d` borrows from the message and from `claim`. 0; CA_CALL_REFUSED with `why`. */
void message_from_delegation(const struct ca_delegation *from, Gatehouse__Core__Credential *claim,
			     Gatehouse__Core__DelegateChallenge *out);
int message_to_delegation(const Gatehouse__Core__DelegateChallenge *m, struct ca_credential_claim *claim,
			  struct ca_delegation *d, const char **why);
void message_from_delegated(int call, struct ca_delegated *from, Gatehouse__Core__Delegated *out);
int message_to_delegated(const Gatehouse__Core__Delegated *m, struct ca_delegated *out);

int message_to_checked(const Gatehouse__Core__Checked *m, struct ca_credential_answer *out);

/* Pointers into what is read, and arrays in the arena. 0; -ENOMEM; for an answer that is none -EBADMSG. */
int message_from_request_form(struct arena *arena, const struct ca_request_form *form,
			      Gatehouse__Core__RequestForm *out);
int message_to_request_form(struct arena *arena, const Gatehouse__Core__RequestForm *m, struct ca_request_form *out);

/* `call`: what the call returned. Pointers into `out`. */
void message_from_outcome(int call, struct ca_outcome *from, Gatehouse__Core__Outcome *out);

/* 0; -EIO when the core failed; -EBADMSG; -ENOMEM. */
int message_to_ocsp_answer(const Gatehouse__Core__OcspAnswer *m, struct ca_ocsp_answer *out);

/* Returns what the call returned there; -EIO when the core failed, -EBADMSG for an answer that is none. */
int message_to_outcome(const Gatehouse__Core__Outcome *m, struct ca_outcome *out);
