/* The whole anchor file.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "core/anchor_verify.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/anchor_int.h"
#include "core/store_trail.h"

struct verify {
	struct ca_core *core;
	struct anchor_check *out;
	struct restore {
		size_t line;
		int64_t seq;
	} *restores;
	size_t n_restores;
};

/* Whoever tampers with the trail could write that an older store was put back: it counts when a head says so too. */
static int collect_restores(void *arg, const struct anchor_line *line)
{
	struct verify *v = arg;
	struct restore *more;

	if (!line->is_sworn || strcmp(line->word, "restored") != 0)
		return 0;
	more = realloc(v->restores, (v->n_restores + 1) * sizeof(*more));
	if (!more)
		return -ENOMEM;
	v->restores = more;
	v->restores[v->n_restores++] = (struct restore){ line->number, strtoll(line->rest, NULL, 10) };
	return 0;
}

/* What was anchored behind the place of a later restore is another story by now. */
static bool is_of_today(const struct verify *v, size_t line, const struct anchor_head *h)
{
	for (size_t i = 0; i < v->n_restores; i++)
		if (v->restores[i].line > line && v->restores[i].seq < h->seq)
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
	return 0;
}

static int check_head(void *arg, const struct anchor_line *line)
{
	struct verify *v = arg;
	struct anchor_head h;

	if (v->out->what[0] || strcmp(line->word, "head") != 0 || !anchor_read_head(line->rest, &h))
		return 0;
	return is_of_today(v, line->number, &h) ? hold_against_trail(v, &h) : 0;
}

/* The last RUNNING covers the file, and only the signer can swear to it. */
static int check_file(struct verify *v)
{
	uint8_t mac[SHA256_SIZE];
	struct anchor_end end;
	int e = anchor_walk(v->core->anchor->path, collect_restores, v, &end);

	if (e == ANCHOR_CHANGED)
		snprintf(v->out->what, sizeof(v->out->what),
			 "line %zu of the anchor, or one since the head before it, was changed", end.line);
	else if (e == -EBADMSG)
		snprintf(v->out->what, sizeof(v->out->what), "the anchor is none any more");
	if (v->out->what[0] || e || end.head.seq == 0)
		return v->out->what[0] ? 0 : e;
	e = anchor_mac(v->core, end.head.running, mac);
	if (!e && memcmp(mac, end.head.mac, SHA256_SIZE) != 0)
		snprintf(v->out->what, sizeof(v->out->what),
			 "the anchor's last head was not written by this CA's signer");
	return e;
}

int anchor_verify(struct ca_core *core, struct anchor_check *out)
{
	struct verify v = { .core = core, .out = out };
	struct anchor_end end;
	int e;

	*out = (struct anchor_check){ 0 };
	e = check_file(&v);
	if (!e && !out->what[0] && anchor_walk(core->anchor->path, check_head, &v, &end))
		e = -EIO; /* it was whole a moment ago */
	free(v.restores);
	return e;
}
