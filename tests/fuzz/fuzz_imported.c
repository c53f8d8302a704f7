/* A certificate that was made elsewhere, as an officer brings it: what is read of it can be stored and shown.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <errno.h>
#include <stdlib.h>

#include "core/base/own.h"
#include "core/base/utf8.h"
#include "core/x509/imported.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void expect(bool claim)
{
	if (!claim)
		abort();
}

static void expect_inside(struct bytes part, struct bytes all)
{
	expect(part.len > 0 && part.ptr >= all.ptr && part.ptr + part.len <= all.ptr + all.len);
}

static void look_at(const struct imported *c, struct bytes der)
{
	const struct bytes parts[] = { c->tbs, c->signature, c->serial, c->issuer, c->spki };

	for (size_t i = 0; i < sizeof(parts) / sizeof(*parts); i++)
		expect_inside(parts[i], der);
	expect(c->subject_text && utf8_is_text(bytes_of_str(c->subject_text)));
	expect(c->n_names <= CA_NAMES_MAX);
	for (size_t i = 0; i < c->n_names; i++) {
		expect(c->names[i].kind == CA_NAME_DNS || c->names[i].kind == CA_NAME_IP);
		expect(c->names[i].value[0]);
		for (const char *p = c->names[i].value; *p; p++)
			expect(*p > ' ' && *p <= '~');
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	OWNED(arena) arena = NULL;
	struct imported c;
	int e;

	if (arena_new(&arena, 1u << 20))
		return 0;
	e = imported_read(&c, arena, bytes_of(data, size));
	expect(e == 0 || e == -EINVAL || (e == -ENOMEM && size > 10000));
	if (e == 0)
		look_at(&c, bytes_of(data, size));
	return 0;
}
