/* The door for exit modules: be told of events, look at everything, change nothing.
 *
 * `init` answers with the events the module wants, once. After a result is durable the core calls `notify`, one event
 * a call, on its one exit thread, module after module: calls never overlap. A module may see a request, its names,
 * attributes, extensions and certificate; there is no way to change them from here. A negative return means "not
 * delivered": the event is kept and tried again later; it delays later events of the same request to this module
 * and nothing else. Every event is delivered at least once, so a module must bear repeats (ca_exit_get_event_id).
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "core/base/conf.h"
#include "core/module.h"

#define CA_EXIT_ABI 1

/* The documented EXITEVENT_ bits. */
enum ca_event {
	CA_EVENT_ISSUED = 0x1,
	CA_EVENT_PENDING = 0x2,
	CA_EVENT_DENIED = 0x4,
	CA_EVENT_REVOKED = 0x8,
	CA_EVENT_RETRIEVED = 0x10, /* the requester collected the result */
	CA_EVENT_CRL_ISSUED = 0x20,
	CA_EVENT_SHUTDOWN = 0x40,  /* no request */
	CA_EVENT_STARTUP = 0x80,   /* no request */
	CA_EVENT_IMPORTED = 0x200,
};
const char *ca_event_word(enum ca_event event); /* "issued" */

struct ca_exit_view;

/* Absent, or an event without a request: NULL, 0, empty. */
const char *ca_exit_get_text(const struct ca_exit_view *v, enum ca_property p);
int64_t ca_exit_get_number(const struct ca_exit_view *v, enum ca_property p);
struct bytes ca_exit_get_octets(const struct ca_exit_view *v, enum ca_property p);
size_t ca_exit_count_names(const struct ca_exit_view *v);
const struct ca_name *ca_exit_get_name(const struct ca_exit_view *v, size_t i);
const char *ca_exit_get_attribute(const struct ca_exit_view *v, const char *name);
bool ca_exit_get_extension(const struct ca_exit_view *v, const char *oid, struct ca_extension *out);

/* The same for every delivery of one event to one module. */
int64_t ca_exit_get_event_id(const struct ca_exit_view *v);

struct ca_exit_module {
	unsigned abi;
	const char *name;
	const char *summary;
	const struct conf_option *options; /* ends with {0} */
	/* Sets `*events` to the bits it wants (0: never called). 0, or negative with the reason in `error`. */
	int (*init)(void **state, uint32_t *events, const struct ca_module_env *env, const struct conf_section *conf,
		    struct conf_error *error);
	int (*notify)(void *state, enum ca_event event, const struct ca_exit_view *v);
	void (*fini)(void *state);
};

/* Built-in modules, made by the build; ends with NULL. */
extern const struct ca_exit_module *const exit_modules[];
