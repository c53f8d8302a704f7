/* gatehouse-signer, started as the supervisor starts it.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tests/unit/signer/signer_process.h"

#include "tests/test.h"

#include <fcntl.h>
#include <unistd.h>

#include "core/wire/control.h"

void signer_process_spawn(struct child *c, const struct signer_process_options *options)
{
	child_spawn(c, getenv("GATEHOUSE_SIGNER"));
	if (options->user)
		control_send(c->channel, "user", options->user, -1);
	if (options->kek.len)
		child_give(c, "kek", NULL, options->kek);
	if (options->threads)
		control_send(c->channel, "threads", options->threads, -1);
	if (!options->has_no_link)
		child_give_link(c, "core");
}

void signer_process_start(struct child *c, const struct signer_process_options *options)
{
	signer_process_spawn(c, options);
	child_go(c);
}

static unsigned count_in(const uint8_t *text, size_t n, struct bytes octets)
{
	const uint8_t *at = text, *end = text + n;
	unsigned found = 0;

	while ((at = memmem(at, (size_t)(end - at), octets.ptr, octets.len)) != NULL) {
		found++;
		at++;
	}
	return found;
}

static unsigned count_in_range(int mem, unsigned long from, unsigned long to, struct bytes octets)
{
	size_t n = to - from;
	uint8_t *copy = n <= (256u << 20) ? malloc(n) : NULL;
	ssize_t got = copy ? pread(mem, copy, n, (off_t)from) : -1;
	unsigned found = got > 0 ? count_in(copy, (size_t)got, octets) : 0;

	free(copy);
	return found;
}

unsigned signer_process_count(pid_t pid, struct bytes octets)
{
	char path[64], line[512];
	unsigned found = 0;
	FILE *maps;
	int mem;

	snprintf(path, sizeof(path), "/proc/%d/maps", (int)pid);
	maps = fopen(path, "re");
	snprintf(path, sizeof(path), "/proc/%d/mem", (int)pid);
	mem = open(path, O_RDONLY | O_CLOEXEC);
	assert_true(maps && mem >= 0);
	while (fgets(line, sizeof(line), maps)) {
		unsigned long from, to;
		char rights[8];

		if (sscanf(line, "%lx-%lx %7s", &from, &to, rights) == 3 && rights[0] == 'r' && rights[1] == 'w')
			found += count_in_range(mem, from, to, octets);
	}
	fclose(maps);
	close(mem);
	return found;
}

long signer_process_status(pid_t pid, const char *name)
{
	char path[64], line[512];
	size_t n = strlen(name);
	long value = -1;
	FILE *status;

	snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	status = fopen(path, "re");
	assert_non_null(status);
	while (fgets(line, sizeof(line), status))
		if (strncmp(line, name, n) == 0 && line[n] == ':')
			value = strtol(line + n + 1, NULL, 10);
	fclose(status);
	return value;
}
