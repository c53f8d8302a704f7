/* The MDM adapter: its settings, its routes, its start and end.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "protocols/mdm/mdm.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/base/own.h"
#include "protocols/mdm/mdm_int.h"

static const struct conf_option mdm_options[] = {
	{ "for", CONF_STRING, NULL, CONF_NEEDED,
	  "The endpoint of protocol scep at which the challenges are good, once and for its profile.", NULL, NULL },
	{ "ndes", CONF_BOOL, NULL, "false",
	  "Serve the page of Windows Server's NDES below the path, at mscep_admin/: most MDM systems read it.", NULL,
	  NULL },
	{ "jamf", CONF_BOOL, NULL, "false",
	  "Answer Jamf Pro's webhook SCEPChallenge below the path, at jamf.", NULL, NULL },
	{ "device", CONF_CHOICE, "given|required|off", "given",
	  "Must a request name the device that its challenge was made for, by serial number or UDID: where these were "
	  "given, always (without them there is no challenge), or never?", NULL, NULL },
	{ "lifetime", CONF_DURATION, "1m..1h", "1h", "How long a challenge is good.", NULL, NULL },
	{ 0 },
};

static const struct proto_route mdm_routes[] = {
	{ "GET", "/mscep_admin", mdm_ndes_redirect },
	{ "GET", "/mscep_admin/", mdm_ndes_page },
	{ "POST", "/jamf", mdm_jamf },
	{ 0 },
};

static void mdm_drop(struct mdm **mp)
{
	struct mdm *m = *mp;

	if (!m)
		return;
	free(m->endpoint);
	free(m->for_endpoint);
	free(m);
	*mp = NULL;
}

static enum mdm_device_rule device_rule(const char *word)
{
	return strcmp(word, "required") == 0 ? MDM_DEVICE_REQUIRED :
	       strcmp(word, "off") == 0	     ? MDM_DEVICE_OFF :
					       MDM_DEVICE_GIVEN;
}

static int mdm_check(const struct conf_section *conf, char *why, size_t why_size)
{
	if (conf_bool(conf, "ndes") || conf_bool(conf, "jamf"))
		return 0;
	snprintf(why, why_size, "it serves nothing; set ndes: true, jamf: true, or both");
	return -EINVAL;
}

static int mdm_init(void **state, const struct proto_env *env, const struct conf_section *conf, char *why,
		    size_t why_size)
{
	OWNED(mdm) m = calloc(1, sizeof(*m));

	snprintf(why, why_size, "no memory");
	if (!m)
		return -ENOMEM;
	m->ca = env->ca;
	m->waits = env->waits;
	m->endpoint = strdup(env->endpoint);
	m->for_endpoint = strdup(conf_str(conf, "for"));
	if (!m->endpoint || !m->for_endpoint)
		return -ENOMEM;
	m->serves_ndes = conf_bool(conf, "ndes");
	m->serves_jamf = conf_bool(conf, "jamf");
	m->device_rule = device_rule(conf_str(conf, "device"));
	m->lifetime_s = (unsigned)(conf_duration_ms(conf, "lifetime") / 1000);
	*state = MOVE(m);
	return 0;
}

static void mdm_fini(void *state)
{
	struct mdm *m = state;

	mdm_drop(&m);
}

static unsigned long long read_made(void *state)
{
	return ((struct mdm *)state)->n_made;
}

static unsigned long long read_unauthenticated(void *state)
{
	return ((struct mdm *)state)->n_unauthenticated;
}

static unsigned long long read_refused(void *state)
{
	return ((struct mdm *)state)->n_refused;
}

static unsigned long long read_full(void *state)
{
	return ((struct mdm *)state)->n_full;
}

static const struct proto_counter mdm_counters[] = {
	{ "mdm_challenges", "Challenges that were made on demand.", read_made },
	{ "mdm_unauthenticated", "Requests of nobody that may have challenges made.", read_unauthenticated },
	{ "mdm_refused", "Requests of users and tokens that may have no challenge made, or not for that device.",
	  read_refused },
	{ "mdm_full", "Requests refused because as many challenges as may wait to be used did.", read_full },
	{ 0 },
};

/* Passwords go in and challenges come out: never without TLS. */
const struct proto_adapter proto_mdm = {
	.abi = PROTO_ABI,
	.name = "mdm",
	.summary = "SCEP challenges on demand, for MDM systems: the page of NDES, the webhook of Jamf Pro.",
	.caps = PROTO_CAP_DELEGATES | PROTO_CAP_ANY_CASE | PROTO_CAP_NO_HEAD,
	.body_max = MDM_BODY_MAX,
	.options = mdm_options,
	.routes = mdm_routes,
	.check = mdm_check,
	.init = mdm_init,
	.fini = mdm_fini,
	.counters = mdm_counters,
};
