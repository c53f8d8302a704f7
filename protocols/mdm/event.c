/* The webhook SCEPChallenge of Jamf Pro.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "protocols/mdm/event.h"

#include <errno.h>

#include "protocols/jose/json_gate.h"

static int refuse(const char **why, const char *text)
{
	*why = text;
	return EVENT_REFUSED;
}

/* Devices without a serial number have "" or none. Of another shape it would bind to nothing, or to another device. */
static int read_value(const cJSON *device, const char *name, struct arena *arena, const char **out, const char **why)
{
	const cJSON *value = json_get(device, name);
	const char *text = json_get_string(device, name);

	*out = NULL;
	if (!value || cJSON_IsNull(value) || (text && !*text))
		return 0;
	if (!text || !ca_is_device_value(text))
		return refuse(why, "the device's serial number or UDID is none: up to 64 letters, digits, '-', '.' and "
				   "'_'");
	*out = arena_strdup(arena, text);
	return *out ? 0 : -ENOMEM;
}

static int read_target(const cJSON *event, struct arena *arena, struct mdm_device *device, const char **why)
{
	const cJSON *target = json_get(event, "targetDevice");
	int e;

	if (!cJSON_IsObject(event))
		return refuse(why, "the body has no 'event'");
	if (!target || cJSON_IsNull(target))
		return 0;
	if (!cJSON_IsObject(target))
		return refuse(why, "'targetDevice' is no object");
	e = read_value(target, "serialNumber", arena, &device->serial_number, why);
	return e ? e : read_value(target, "udid", arena, &device->udid, why);
}

int event_read(struct bytes body, struct arena *arena, struct mdm_device *device, const char **why)
{
	OWNED_JSON tree = NULL;
	const char *event;
	int e = json_parse(&tree, body, MDM_BODY_MAX);

	*device = (struct mdm_device){ 0 };
	if (e)
		return e == JSON_REFUSED ? refuse(why, "the body is no JSON, or too large or too deep") : e;
	event = json_get_string(json_get(tree, "webhook"), "webhookEvent");
	if (!event || strcmp(event, "SCEPChallenge") != 0)
		return refuse(why, "the body is not about the event SCEPChallenge");
	return read_target(json_get(tree, "event"), arena, device, why);
}
