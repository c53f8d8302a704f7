/* The whole anchor file.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "core/anchor_verify.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/anchor_int.h"
#include "core/base/own.h"
#include "core/store_trail.h"

struct verify {
	struct ca_core *core;
	struct anchor_check *out;
	FILE *file;
	char *line;
	size_t size, number;
	struct buf group;              /* since the last head */
	struct anchor_head head;       /* the last one */
	struct restore {
		size_t line;
		int64_t seq;
	} *restores;
	size_t n_restores;
};

static ssize_t next_line(struct verify *v)
{
	v->number++;
	return getline(&v->line, &v->size, v->file);
}

static int collect_restores(struct verify *v)
{
	struct restore *more;

	while (next_line(v) > 0) {
		if (strncmp(v->line, "restored ", 9) != 0)
			continue;
		more = realloc(v->restores, (v->n_restores + 1) * sizeof(*more));
		if (!more)
			return -ENOMEM;
		v->restores = more;
		v->restores[v->n_restores++] = (struct restore){ v->number, strtoll(v->line + 9, NULL, 10) };
	}
	rewind(v->file);
	v->number = 0;
	return 0;
}

/* What was anchored behind the place of a later restore is another story by now. */
static bool is_of_today(const struct verify *v, const struct anchor_head *h)
{
	for (size_t i = 0; i < v->n_restores; i++)
		if (v->restores[i].line > v->number && v->restores[i].seq < h->seq)
			return false;
	return true;
}

static int hold_against_trail(struct verify *v, const struct anchor_head *h)
{
	uint8_t hash[SHA256_SIZE];
	int e = store_trail_hash(v->core, h->seq, hash);

	if (e < 0)
		return e;
	if (!e && memcmp(hash, h->hash, SHA256_SIZE) == 0) {
		v->out->last = h->seq > v->out->last ? h->seq : v->out->last;
		return 0;
	}
	v->out->bad = v->out->last + 1;
	v->out->bad_to = h->seq;
	snprintf(v->out->what, sizeof(v->out->what), e ? "audit record %lld was anchored and is gone" :
		 "the audit records up to %lld are not those that were anchored", (long long)h->seq);
	return 1;
}

/* 0: go on; 1: something is wrong, told in `out`. */
static int check_head(struct verify *v)
{
	struct anchor_head h;
	uint8_t running[SHA256_SIZE];
	size_t n = strcspn(v->line, "\n"), covered = anchor_covered(v->line);
	int e = buf_append(&v->group, bytes_of(v->line, covered));

	v->line[n] = '\0';
	if (!e)
		e = anchor_running(v->head.running, buf_bytes(&v->group), running);
	if (e)
		return e;
	if (!anchor_read_head(v->line + 5, &h) || memcmp(h.running, running, SHA256_SIZE) != 0) {
		snprintf(v->out->what, sizeof(v->out->what),
			 "line %zu of the anchor, or one since the head before it, was changed", v->number);
		return 1;
	}
	buf_reset(&v->group);
	v->head = h;
	return is_of_today(v, &h) ? hold_against_trail(v, &h) : 0;
}

static int check_lines(struct verify *v)
{
	int e = 0;
	ssize_t n;

	while (!e && (n = next_line(v)) > 0)
		e = strncmp(v->line, "head ", 5) == 0 ? check_head(v) :
							buf_append(&v->group, bytes_of(v->line, (size_t)n));
	return e;
}

/* The last RUNNING covers the file, and only the signer can swear to it. */
static int check_mac(struct verify *v)
{
	uint8_t mac[SHA256_SIZE];
	int e = v->head.seq ? anchor_mac(v->core, v->head.running, mac) : 0;

	if (e || v->head.seq == 0 || memcmp(mac, v->head.mac, SHA256_SIZE) == 0)
		return e;
	snprintf(v->out->what, sizeof(v->out->what), "the anchor's last head was not written by this CA's signer");
	return 1;
}

int anchor_verify(struct ca_core *core, struct anchor_check *out)
{
	struct verify v = { .core = core, .out = out, .group = BUF_INIT(ANCHOR_TAIL_MAX) };
	int e;

	*out = (struct anchor_check){ 0 };
	v.file = fopen(core->anchor->path, "re");
	if (!v.file)
		return -errno;
	e = collect_restores(&v);
	if (!e)
		e = check_lines(&v);
	if (!e)
		e = check_mac(&v);
	fclose(v.file);
	free(v.line);
	free(v.restores);
	buf_fini(&v.group);
	return e > 0 ? 0 : e;
}
