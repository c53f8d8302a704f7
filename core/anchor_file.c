/* Reading an anchor file.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "core/anchor_file.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/base64.h"
#include "core/base/own.h"

#define STEP ((size_t)262144)
#define HEAD "head "

static bool take_number(const char **p, int64_t *out)
{
	char *end;

	if (!isdigit((unsigned char)**p))
		return false;
	errno = 0;
	*out = strtoll(*p, &end, 10);
	if (errno || *end != ' ')
		return false;
	*p = end + 1;
	return true;
}

static bool take_hash(const char **p, char end, uint8_t *out)
{
	char text[2 * SHA256_SIZE + 1] = "";
	size_t n = strnlen(*p, 2 * SHA256_SIZE);

	memcpy(text, *p, n);
	*p += n;
	return n == 2 * SHA256_SIZE && hex_parse(text, out, SHA256_SIZE) == 0 && *(*p)++ == end;
}

bool anchor_read_head(const char *rest, struct anchor_head *out)
{
	return take_number(&rest, &out->seq) && take_hash(&rest, ' ', out->hash) && take_number(&rest, &out->seen_ms) &&
	       take_hash(&rest, ' ', out->running) && take_hash(&rest, '\0', out->mac);
}

size_t anchor_covered(const char *head_line)
{
	const char *p = head_line;

	for (int blanks = 0; *p && blanks < 4; p++)
		blanks += *p == ' ';
	return (size_t)(p - head_line);
}

int anchor_running(const uint8_t before[static SHA256_SIZE], struct bytes text, uint8_t out[static SHA256_SIZE])
{
	OWNED_BUF all = BUF_INIT(SHA256_SIZE + ANCHOR_TAIL_MAX + ANCHOR_LINE_MAX);

	buf_append(&all, bytes_of(before, SHA256_SIZE));
	if (buf_append(&all, text))
		return buf_status(&all);
	return digest_sha256(buf_bytes(&all), out);
}

static int read_at(int fd, off_t from, size_t n, struct buf *out)
{
	uint8_t *room = buf_room(out, n);
	ssize_t got = 1;

	if (!room)
		return buf_status(out) == -EMSGSIZE ? -EBADMSG : buf_status(out);
	for (size_t done = 0; done < n && got > 0; done += (size_t)got) {
		do
			got = pread(fd, room + done, n - done, from + (off_t)done);
		while (got < 0 && errno == EINTR);
		if (got > 0)
			buf_added(out, (size_t)got);
	}
	return got < 0 ? -errno : got == 0 ? -EBADMSG : 0;
}

/* The last line that is a head; NULL: none in this text. The first line of a file never is one. */
static char *find_last_head(struct buf *text, char **end)
{
	for (char *p = (char *)text->ptr + text->len - 1; p > (char *)text->ptr; p--) {
		if (p[-1] != '\n' || strncmp(p, HEAD, strlen(HEAD)) != 0)
			continue;
		*end = strchr(p, '\n');
		if (*end)
			return p;
	}
	return NULL;
}

static int take_tail(struct buf *text, bool is_whole, struct anchor_head *head, struct buf *rest)
{
	char *end, *line;

	if (memchr(text->ptr, 0, text->len) ||
	    (is_whole && strncmp(buf_str(text), ANCHOR_MAGIC, strlen(ANCHOR_MAGIC)) != 0))
		return -EBADMSG;
	line = find_last_head(text, &end);
	if (!line && !is_whole)
		return -EAGAIN;
	if (!line)
		return buf_append(rest, buf_bytes(text)) ? buf_status(rest) : 1;
	*end++ = '\0';
	if (!anchor_read_head(line + strlen(HEAD), head))
		return -EBADMSG;
	return buf_append(rest, bytes_of(end, text->len - (size_t)(end - (char *)text->ptr)));
}

int anchor_read_tail(int fd, struct anchor_head *head, struct buf *rest)
{
	struct stat st;
	size_t size;
	int e = -EAGAIN;

	if (fstat(fd, &st))
		return -errno;
	size = (size_t)st.st_size;
	if (size == 0)
		return 1;
	/* Nearly always the first step is enough. */
	for (size_t want = STEP; e == -EAGAIN && want <= 2 * ANCHOR_TAIL_MAX; want *= 2) {
		OWNED_BUF text = BUF_INIT(2 * ANCHOR_TAIL_MAX);
		size_t n = want < size ? want : size;

		e = read_at(fd, (off_t)(size - n), n, &text);
		if (!e)
			e = take_tail(&text, n == size, head, rest);
	}
	return e == -EAGAIN ? -EBADMSG : e;
}

/* ---- the whole file ---- */

#define RESUME "resume"

struct walk {
	anchor_line_fn *fn;
	void *arg;
	struct anchor_end *end;
	struct buf group; /* since the last head */
	size_t number;    /* of the line that was read last */
	size_t first;     /* of the group */
};

static bool is_line(const char *p, const char *word)
{
	size_t n = strlen(word);

	return strncmp(p, word, n) == 0 && p[n] == '\n';
}

static int tell(const struct walk *w, size_t number, char *line, bool is_sworn)
{
	char *rest = strchr(line, ' ');

	if (!*line || strcmp(line, RESUME) == 0)
		return 0;
	if (rest)
		*rest++ = '\0';
	return w->fn(w->arg, &(struct anchor_line){ number, line, rest ? rest : "", is_sworn });
}

/* Where the last writer of this group began. */
static char *find_anew(char *text)
{
	char *anew = text;

	for (char *p = text, *end; (end = strchr(p, '\n')); p = end + 1)
		if (is_line(p, RESUME))
			anew = end + 1;
	return anew;
}

static bool is_repeated(char *line, const char *anew)
{
	size_t n = strlen(line);

	for (const char *p = anew; n && (p = strstr(p, line)); p++)
		if (p[-1] == '\n' && p[n] == '\n')
			return true;
	return false;
}

/* A writer that begins anew writes again what nobody had sworn to; the line in which the one before stopped may be
 * torn. */
static int tell_group(const struct walk *w, bool has_head)
{
	char *text = (char *)w->group.ptr, *anew = text ? find_anew(text) : NULL, *end;
	size_t number = w->first;
	int e = 0;

	for (char *line = text; !e && line && (end = strchr(line, '\n')); line = end + 1, number++) {
		bool is_old = line < anew;

		*end = '\0';
		if (!is_line(end + 1, RESUME) && !(is_old && is_repeated(line, anew)))
			e = tell(w, number, line, has_head && !is_old);
	}
	return e;
}

static int take_head(struct walk *w, char *line)
{
	struct anchor_head head;
	uint8_t running[SHA256_SIZE];
	int e = buf_append(&w->group, bytes_of(line, anchor_covered(line)));

	line[strcspn(line, "\n")] = '\0';
	if (!e)
		e = anchor_running(w->end->head.running, buf_bytes(&w->group), running);
	if (e)
		return e;
	if (!anchor_read_head(line + strlen(HEAD), &head) || memcmp(head.running, running, SHA256_SIZE) != 0) {
		w->end->line = w->number;
		return ANCHOR_CHANGED;
	}
	w->end->head = head;
	e = tell_group(w, true);
	buf_reset(&w->group);
	w->first = w->number + 1;
	return e ? e : tell(w, w->number, line, true);
}

static int take_line(struct walk *w, char *line, size_t n)
{
	if (memchr(line, 0, n) || (++w->number == 1 && strcmp(line, ANCHOR_MAGIC) != 0))
		return -EBADMSG;
	return strncmp(line, HEAD, strlen(HEAD)) == 0 ? take_head(w, line) :
							buf_append(&w->group, bytes_of(line, n));
}

static int walk_lines(struct walk *w, FILE *f)
{
	OWNED_STR line = NULL;
	size_t size = 0;
	ssize_t n;
	int e = 0;

	while (!e && (n = getline(&line, &size, f)) > 0 && line[n - 1] == '\n')
		e = take_line(w, line, (size_t)n);
	if (!e && ferror(f))
		e = -EIO;
	if (!e)
		e = tell_group(w, false);
	return e == -EMSGSIZE ? -EBADMSG : e;
}

int anchor_walk(const char *path, anchor_line_fn *fn, void *arg, struct anchor_end *end)
{
	struct walk w = { fn, arg, end, BUF_INIT(ANCHOR_TAIL_MAX + ANCHOR_LINE_MAX), 0, 1 };
	FILE *f = fopen(path, "re");
	int e;

	*end = (struct anchor_end){ 0 };
	if (!f)
		return -errno;
	e = walk_lines(&w, f);
	fclose(f);
	buf_fini(&w.group);
	return e;
}
