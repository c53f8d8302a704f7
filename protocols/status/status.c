/* The status adapter: its routes, its start and end.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "protocols/status/status.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "protocols/status/status_int.h"

static const struct proto_route status_routes[] = {
	{ "POST", "/ocsp", status_ocsp_post },
	{ "GET", "/ocsp/{request...}", status_ocsp_get },
	{ "GET", "/crl/{name}", status_crl_get },
	{ "GET", "/ca/{name}", status_certificate_get },
	{ 0 },
};

static void status_fini(void *state)
{
	struct status *s = state;

	lists_drop(&s->lists);
	answers_drop(&s->answers);
	asks_drop(&s->asks);
	free(s);
}

static int status_init(void **state, const struct proto_env *env, const struct conf_section *conf, char *why,
		       size_t why_size)
{
	struct status *s = calloc(1, sizeof(*s));

	if (!s || asks_new(&s->asks, env->waits) || answers_new(&s->answers) ||
	    lists_new(&s->lists, env->ca, s->asks, env->data_folder, env->endpoint)) {
		if (s)
			status_fini(s);
		snprintf(why, why_size, "no memory");
		return -ENOMEM;
	}
	s->ca = env->ca;
	*state = s;
	return 0;
}

static unsigned long long read_asked(void *state)
{
	return ((struct status *)state)->ocsp_asked;
}

static unsigned long long read_recalled(void *state)
{
	return ((struct status *)state)->ocsp_recalled;
}

static unsigned long long read_later(void *state)
{
	return ((struct status *)state)->ocsp_later;
}

static unsigned long long read_crls(void *state)
{
	return ((struct status *)state)->crls;
}

static unsigned long long read_certificates(void *state)
{
	return ((struct status *)state)->certificates;
}

static const struct proto_counter status_counters[] = {
	{ "status_ocsp", "OCSP requests.", read_asked },
	{ "status_ocsp_recalled", "OCSP requests that were answered as half a second before.", read_recalled },
	{ "status_ocsp_later", "OCSP requests that were told to try later, because too many waited for the core.",
	  read_later },
	{ "status_crls", "Revocation lists that were fetched.", read_crls },
	{ "status_certificates", "Certificates of the CA that were fetched.", read_certificates },
	{ 0 },
};

const struct proto_adapter proto_status = {
	.abi = PROTO_ABI,
	.name = "status",
	.summary = "OCSP, CRLs and certificates of a CA (RFC 6960, RFC 5019, RFC 5280).",
	.caps = PROTO_CAP_PLAIN_HTTP | PROTO_CAP_STATUS | PROTO_CAP_OLD_HTTP,
	.body_max = CA_OCSP_REQUEST_MAX,
	.routes = status_routes,
	.init = status_init,
	.fini = status_fini,
	.counters = status_counters,
};
