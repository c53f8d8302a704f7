/* What a file has in PEM.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "core/base/base64.h"
#include "core/base/file.h"
#include "gateway/ctl/ctl.h"

#define FILE_MAX (1u << 20)

/* The base64 between two marks; NULL when there is no such block, or it has no end. */
static const char *find_block(const char *text, const char *before, const char *label, const char **end)
{
	char mark[64];
	const char *from;

	snprintf(mark, sizeof(mark), "-----BEGIN %s%s-----", before, label);
	from = strstr(text, mark);
	if (!from)
		return NULL;
	from += strlen(mark);
	snprintf(mark, sizeof(mark), "-----END %s%s-----", before, label);
	*end = strstr(from, mark);
	return *end ? from : NULL;
}

static int decode(const char *text, const char *label, struct buf *der)
{
	OWNED_BUF base64 = BUF_INIT(FILE_MAX);
	const char *end, *from = find_block(text, "", label, &end);

	/* As keytool has it. */
	if (!from)
		from = find_block(text, "NEW ", label, &end);
	for (; from && from < end; from++)
		if (!strchr("\r\n \t", *from))
			buf_append_char(&base64, *from);
	return from ? base64_decode(der, buf_bytes(&base64)) : -EINVAL;
}

int ctl_read_pem(const char *path, const char *label, struct buf *der)
{
	OWNED_BUF file = BUF_INIT(FILE_MAX);
	char why[64];
	int e = file_read(path, &file);

	if (!e)
		e = strstr(buf_str(&file), "-----BEGIN ") ? decode(buf_str(&file), label, der) :
							     buf_append(der, buf_bytes(&file));
	if (!e)
		return CTL_DONE;
	snprintf(why, sizeof(why), "it has no %s in PEM", label);
	return ctl_fail(CTL_FAILED, path, e == -EINVAL ? why : strerror(-e), NULL);
}
