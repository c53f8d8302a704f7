/* Headers of archives and lines of manifests: what is taken is what we would have written.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdlib.h>

#include "core/base/buf.h"
#include "core/base/tar.h"
#include "core/restore.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void header(const uint8_t *block)
{
	char name[TAR_NAME_SIZE];
	uint8_t again[TAR_BLOCK];
	uint64_t size;

	if (tar_parse(block, name, &size))
		return;
	if (strlen(name) == 0 || strlen(name) >= TAR_NAME_SIZE || size > INT64_MAX || tar_print(name, size, 0, again))
		abort();
}

static void line(const char *text)
{
	struct manifest_line m;

	if (manifest_read(text, &m) && (!restore_is_name(m.name) || strstr(m.name, "..") || m.name[0] == '/'))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	OWNED_BUF text = BUF_INIT(1u << 20);

	for (size_t at = 0; at + TAR_BLOCK <= size; at += TAR_BLOCK)
		header(data + at);
	if (size <= 65536 && buf_append(&text, bytes_of(data, size)) == 0)
		line(buf_str(&text));
	return 0;
}
