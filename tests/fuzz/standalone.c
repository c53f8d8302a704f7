/* Replay files through a fuzz target: what ./check runs on the corpus, with any compiler.
 *
 * usage: fuzz_NAME FILE|FOLDER...
 * After each file every prefix of it is tried too, so that "the input ends here" is tested at every octet.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "core/base/file.h"

#define PREFIXES_MAX 2048 /* of one file: longer files are cut at so many places */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static unsigned n_files;

/* A copy of exactly `n` octets, so that the sanitizer sees a read of one more. */
static void try_input(const uint8_t *data, size_t n)
{
	uint8_t *copy = malloc(n ? n : 1);

	if (!copy)
		abort();
	memcpy(copy, data, n);
	LLVMFuzzerTestOneInput(copy, n);
	free(copy);
}

static int replay_file(const char *path)
{
	OWNED_BUF content = BUF_INIT(1u << 20);
	size_t step;

	if (file_read(path, &content)) {
		fprintf(stderr, "cannot read %s\n", path);
		return 1;
	}
	step = content.len / PREFIXES_MAX + 1;
	for (size_t n = 0; n < content.len; n += step)
		try_input(content.ptr, n);
	try_input(content.ptr ? content.ptr : (const uint8_t *)"", content.len);
	n_files++;
	return 0;
}

static int replay(const char *path)
{
	struct stat st;
	struct dirent *entry;
	DIR *folder;
	int failed = 0;

	if (stat(path, &st) == 0 && !S_ISDIR(st.st_mode))
		return replay_file(path);
	folder = opendir(path);
	if (!folder) {
		fprintf(stderr, "cannot open %s\n", path);
		return 1;
	}
	while ((entry = readdir(folder))) {
		char name[4096];

		if (entry->d_name[0] == '.')
			continue;
		snprintf(name, sizeof(name), "%s/%s", path, entry->d_name);
		failed |= replay(name);
	}
	closedir(folder);
	return failed;
}

int main(int argc, char **argv)
{
	int failed = 0;

	for (int i = 1; i < argc; i++)
		failed |= replay(argv[i]);
	printf("%u files\n", n_files);
	return failed || n_files == 0;
}
