/* Bodies in files, for tests.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "tests/test.h"

#include <stdio.h>
#include <unistd.h>

#include "protocols/http_octets.h"

static inline struct http_octets *octets_in_file(struct bytes text)
{
	FILE *file = tmpfile();
	struct http_octets *o = NULL;

	assert_non_null(file);
	assert_int_equal(fwrite(text.ptr, 1, text.len, file), text.len);
	assert_int_equal(fflush(file), 0);
	assert_int_equal(http_octets_new(&o, dup(fileno(file)), text.len), 0);
	fclose(file);
	return o;
}
