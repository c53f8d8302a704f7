/* What the commands about CAs share.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "core/create.h"
#include "gateway/ctl/ctl.h"

#define CA_NAME_DEFAULT "Gatehouse CA"

const char *ca_option_or(const struct ctl *ctl, const char *name, const char *otherwise);

/* CTL_DONE or CTL_USAGE, told. */
int ca_parse_days(const char *text, int64_t *seconds);

/* Data folder and key-encryption key. The same. */
int ca_parse_place(const struct ctl *ctl, struct ca_create_options *o);

/* A socket was given, and no data folder: the core there is meant. */
bool ca_is_asked_of_core(const struct ctl *ctl);

/* What the folder itself did not let happen, and the running core may. */
bool ca_is_for_core(const struct ca_create_options *o, int e);

/* An outcome of core/create.h that is not 0; the exit code. */
int ca_tell_failure(int e, const char *what, const char *why);

/* A root's certificate, or a request that another authority signs. Returns CTL_DONE. */
int ca_tell_made(const struct ctl *ctl, const char *name, ProtobufCBinaryData certificate,
		 ProtobufCBinaryData request);

/* Ask the running core for a new CA, or for a new key of one; tell what was made. The exit code. */
int ca_make_online(struct ctl *ctl, Gatehouse__Admin__MakeCa *make, bool is_new);
