/* The configuration file: its rows, and the checks that rows cannot say.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "protocols/adapter.h"

/* Rows of the whole file. The rows of an endpoint are the common ones and its adapter's. */
const struct conf_option *gw_config_rows(void);

/* What a row cannot see: references, duplicates, options that need each other. 0 or -EINVAL with `error` filled. */
int gw_config_check(const struct conf_section *root, struct conf_error *error);

/* Is the core in another daemon? Then this one is only a gateway. */
bool gw_config_has_other_core(const struct conf_section *root);

/* Is one of its endpoints a registration authority? Then keys are needed for it. */
bool gw_config_has_ra(const struct conf_section *root);

/* How many event loops the gateway has: as configured, or one a core. */
unsigned gw_config_loops(const struct conf_section *root);

/* Format and level of this process's log. */
void gw_config_set_up_log(const struct conf_section *root);

/* The listener for metrics, which has no name in the configuration. */
#define GW_METRICS_LISTENER "metrics"

/* Print every option, those of each protocol, policy and exit module too. */
void gw_config_print_options(FILE *to);

/* The adapter of that name; NULL: unknown. */
const struct proto_adapter *gw_config_adapter(const char *protocol);

/* The endpoint section of that name; NULL: unknown. */
const struct conf_section *gw_config_endpoint(const struct conf_section *root, const char *name);

/* Does a listener name the endpoint? */
bool gw_config_is_served(const struct conf_section *root, const char *endpoint);

/* Is an endpoint of this listener told of its clients' certificates and of the channel? */
bool gw_config_sees_peers(const struct conf_section *root, const struct conf_section *listener);

/* And are TLS clients of this listener asked for a certificate? */
bool gw_config_asks_certificate(const struct conf_section *root, const struct conf_section *listener);

/* How long a request line may be, and whether HTTP/1.0 is served: what is written, or as the adapters of the listener's
 * endpoints need it. */
size_t gw_config_line_max(const struct conf_section *root, const struct conf_section *listener);
bool gw_config_takes_http10(const struct conf_section *root, const struct conf_section *listener);

/* Is the core on another machine? */
bool gw_config_core_is_tls(const struct conf_section *root);

/* The CA that issues the certificate of a TLS listener: its option `ca`, else that of its first endpoint, else the
 * first CA. NULL when there is none. */
const char *gw_config_listener_ca(const struct conf_section *root, const struct conf_section *listener);
