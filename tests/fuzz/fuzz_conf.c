/* Configuration: any text is read or refused with a message, and what was read can be asked for.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "core/base/conf.h"
#include "core/base/own.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct conf_option limits[] = {
	{ .name = "body", .type = CONF_SIZE, .range = "1KiB..1MiB", .fallback = "64KiB" },
	{ .name = "idle", .type = CONF_DURATION, .range = "1s..825d", .fallback = "30s" },
	{ 0 },
};

static const struct conf_option listener[] = {
	{ .name = "port", .type = CONF_INTEGER, .range = "1..65535", .fallback = CONF_NEEDED },
	{ .name = "address", .type = CONF_STRING, .fallback = "'[::]'" },
	{ .name = "protocols", .type = CONF_STRINGS, .range = "acme|est|scep", .fallback = "[acme, est]" },
	{ .name = "limits", .type = CONF_SECTION, .rows = limits },
	{ 0 },
};

static const struct conf_option file_module[] = {
	{ .name = "folder", .type = CONF_STRING, .fallback = CONF_NEEDED },
	{ .name = "wait", .type = CONF_BOOL, .fallback = "true" },
	{ 0 },
};

static const struct conf_option *rows_of(const char *module)
{
	return strcmp(module, "file") == 0 ? file_module : strcmp(module, "limits") == 0 ? limits : NULL;
}

static const struct conf_option rows[] = {
	{ .name = "name", .type = CONF_STRING },
	{ .name = "debug", .type = CONF_BOOL, .fallback = "false" },
	{ .name = "level", .type = CONF_CHOICE, .range = "debug|info|warn", .fallback = "info" },
	{ .name = "names", .type = CONF_STRINGS },
	{ .name = "listeners", .type = CONF_SECTIONS, .rows = listener },
	{ .name = "limits", .type = CONF_SECTION, .rows = limits },
	{ .name = "policy", .type = CONF_VARIANT, .rows_of = rows_of, .fallback = "{module: limits}" },
	{ .name = "exit", .type = CONF_VARIANTS, .rows_of = rows_of },
	{ .name = "set", .type = CONF_MAP },
	{ 0 },
};

static void expect(bool claim)
{
	if (!claim)
		abort();
}

static void ask(const struct conf_section *root)
{
	int64_t body = conf_int(conf_section(root, "limits"), "body"), port;
	size_t i;

	expect(body >= 1024 && body <= 1 << 20);
	expect(conf_str(root, "level") != NULL);
	expect(conf_module(conf_section(root, "policy")) != NULL);
	for (i = 0; i < conf_count(root, "listeners"); i++) {
		port = conf_int(conf_section_at(root, "listeners", i), "port");
		expect(port >= 1 && port <= 65535);
	}
	for (i = 0; i < conf_count(root, "exit"); i++)
		expect(rows_of(conf_module(conf_section_at(root, "exit", i))) != NULL);
	for (i = 0; i < conf_count(root, "names"); i++)
		expect(conf_str_at(root, "names", i) != NULL);
	for (i = 0; i < conf_count(root, "set"); i++)
		expect(conf_map_name(root, "set", i) && conf_map_value(root, "set", i));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	OWNED(conf) conf = NULL;
	struct conf_error error;

	if (conf_parse(&conf, bytes_of(data, size), "fuzz", rows, &error))
		expect(!conf && error.text[0]);
	else
		ask(conf_root(conf));
	return 0;
}
