/* Doing something to each of the requests that a command line means.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <cjson/cJSON.h>

#include "gateway/ctl/targets.h"

struct decide_run;

/* What is done to one of them: CTL_DONE or an exit code, told. */
typedef int decide_fn(struct decide_run *run, const struct target *t);

struct decide_run {
	struct ctl *ctl;
	const char *verb; /* "approve" */
	decide_fn *one;
	void *arg;        /* of decide_all() */
	bool is_batch;
	cJSON *last;      /* the request as decide_tell() saw it, for programs */
};

/* Find the targets (`own`: what a filter must match besides, "state=pending" or ""), do it to each, and print what came
 * of it. CTL_PARTLY when some went well and others not. */
int decide_all(struct ctl *ctl, const char *verb, const char *own, decide_fn *one, void *arg);

/* Make the call for one of them; told when it fails. The caller lets go of the Reply. */
Gatehouse__Admin__Reply *decide_call(struct decide_run *run, const struct target *t,
				     const Gatehouse__Admin__Call *call, int *code);

/* Keep what the request is now, for programs. */
void decide_keep(struct decide_run *run, const Gatehouse__Admin__Reply *reply);

/* Tell what the request is now. */
void decide_tell(struct decide_run *run, int64_t id, const Gatehouse__Admin__Reply *reply);
