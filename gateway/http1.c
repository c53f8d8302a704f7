/* The strict HTTP/1.1 request parser.
 *
 * Everything outside a body is read by lines: a line is judged when it is complete or too long, and its length is
 * judged first, so that the verdict is the same however the octets arrive.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "gateway/http1.h"

#include <errno.h>
#include <strings.h>

#include "gateway/http_rules.h"

enum phase {
	PHASE_REQUEST_LINE,
	PHASE_FIELDS,
	PHASE_BODY_BEGIN,
	PHASE_BODY,
	PHASE_CHUNK_LINE,
	PHASE_CHUNK_DATA,
	PHASE_CHUNK_END,
	PHASE_TRAILER,
	PHASE_DONE,
	PHASE_BAD,
};

#define NOWHERE SIZE_MAX

/* How much is asked from the socket at once, and how large a buffer an idle connection may keep. */
#define ROOM_HEAD ((size_t)4096)
#define ROOM_BODY ((size_t)16384)
#define KEEP_CAPACITY ((size_t)16384)

static const char *text_at(const struct http1 *p, size_t at)
{
	return at == NOWHERE ? NULL : (const char *)p->in.ptr + at;
}

/* Offsets become pointers once the buffer stands still. */
static void show(struct http1 *p)
{
	size_t i;

	p->method = text_at(p, p->method_at);
	p->path = text_at(p, p->path_at);
	p->query = text_at(p, p->query_at);
	p->host = text_at(p, p->host_at);
	for (i = 0; i < p->n_headers; i++)
		p->headers[i] = (struct http_header){ text_at(p, p->name_at[i]), text_at(p, p->value_at[i]) };
	if (p->phase == PHASE_DONE)
		p->body = bytes_of(p->in.ptr + p->body_at, p->body_len);
}

/* Who answers may ask what was asked, if that much was read. */
static int bad(struct http1 *p, int status, const char *why)
{
	p->phase = PHASE_BAD;
	p->status = status;
	p->why = why;
	if (p->method)
		show(p);
	return HTTP1_BAD;
}

static void forget(struct http1 *p)
{
	p->method = p->path = p->query = p->host = p->why = NULL;
	p->n_headers = 0;
	p->is_http10 = p->is_absolute = p->keeps_alive = p->expects_continue = false;
	p->body = (struct bytes){ 0 };
	p->status = 0;
	p->phase = PHASE_REQUEST_LINE;
	p->scan = p->line = 0;
	p->query_at = p->host_at = NOWHERE;
	p->fields_at = p->body_at = p->body_len = 0;
	p->left = 0;
	p->n_empty = p->n_lengths = p->n_codings = p->n_hosts = p->n_trailers = 0;
	p->extension_octets = p->trailer_octets = 0;
}

static void set_buffer_limit(struct http1 *p, size_t body_max)
{
	/* What is read ahead never exceeds one piece and one line: the limits of the phases stop earlier. */
	p->in.max = p->limits.line_max + p->limits.head_max + body_max + HTTP1_TRAILER_MAX + 4 * ROOM_BODY;
}

void http1_init(struct http1 *p, const struct http1_limits *limits)
{
	memset(p, 0, sizeof(*p));
	p->limits = *limits;
	set_buffer_limit(p, limits->body_max);
	forget(p);
}

void http1_fini(struct http1 *p)
{
	buf_fini(&p->in);
}

uint8_t *http1_room(struct http1 *p, size_t *size)
{
	size_t n = ROOM_HEAD;

	if (http1_is_in_body(p)) {
		n = ROOM_BODY;
		if (p->phase == PHASE_BODY && p->left < n)
			n = p->left ? (size_t)p->left : 1;
	}
	*size = n;
	return buf_room(&p->in, n);
}

void http1_added(struct http1 *p, size_t n)
{
	buf_added(&p->in, n);
}

bool http1_has_begun(const struct http1 *p)
{
	/* Empty lines before a request are none of it: some clients end a body with one (RFC 9112 2.2). */
	return p->in.len > (p->phase == PHASE_REQUEST_LINE ? p->line : 0);
}

bool http1_is_in_body(const struct http1 *p)
{
	return p->phase >= PHASE_BODY_BEGIN && p->phase < PHASE_DONE;
}

void http1_limit_body(struct http1 *p, size_t body_max)
{
	p->limits.body_max = body_max;
	set_buffer_limit(p, body_max);
}

void http1_next(struct http1 *p)
{
	buf_consume(&p->in, p->line);
	if (p->in.len == 0 && p->in.capacity > KEEP_CAPACITY)
		buf_fini(&p->in);
	forget(p);
}

/* ---- lines ---- */

enum { LINE_MORE, LINE_FOUND, LINE_TOO_LONG };

/* Find the end of the current line, of which at most `max` octets, CR and LF apart, may come. */
static int find_line(struct http1 *p, size_t max, size_t *len)
{
	const uint8_t *lf = NULL;
	size_t n;

	if (p->scan < p->in.len)
		lf = memchr(p->in.ptr + p->scan, '\n', p->in.len - p->scan);
	n = (lf ? (size_t)(lf - p->in.ptr) : p->in.len) - p->line;
	if (n > max + 1)
		return LINE_TOO_LONG;
	if (!lf) {
		p->scan = p->in.len;
		return LINE_MORE;
	}
	*len = n;
	return LINE_FOUND;
}

/* Take the line: without its CR LF, ended by NUL. NULL for a bare LF, a bare CR or another control octet than HTAB.
 */
static char *take_line(struct http1 *p, size_t *len)
{
	char *s = (char *)p->in.ptr + p->line;
	size_t i, n = *len;

	p->line += n + 1;
	p->scan = p->line;
	if (n == 0 || s[n - 1] != '\r')
		return NULL;
	s[--n] = 0;
	for (i = 0; i < n; i++)
		if (((unsigned char)s[i] < 0x20 && s[i] != '\t') || s[i] == 0x7f)
			return NULL;
	*len = n;
	return s;
}

/* ---- request line ---- */

/* What a rule that applies to every version of HTTP says. */
static int judge(struct http1 *p, int status, const char *const *why)
{
	return status ? bad(p, status, *why) : HTTP1_MORE;
}

static int check_version(struct http1 *p, const char *s)
{
	if (strcmp(s, "HTTP/1.1") == 0)
		return HTTP1_MORE;
	if (strlen(s) != 8 || memcmp(s, "HTTP/", 5) != 0 || s[5] < '0' || s[5] > '9' || s[6] != '.' || s[7] < '0' ||
	    s[7] > '9')
		return bad(p, 400, "the request line has no HTTP version");
	if (strcmp(s, "HTTP/1.0") != 0 || !p->limits.allow_http10)
		return bad(p, 505, "only HTTP/1.1 is spoken here");
	p->is_http10 = true;
	return HTTP1_MORE;
}

/* "http://host/path" becomes "host" and "/path", in place: the scheme leaves room for what is put between them. From
 * here on this is the host, whatever the header says (RFC 9112 3.2.2); `*target` is the path. */
static int split_absolute(struct http1 *p, char **target, size_t n_scheme)
{
	char *s = *target, *authority = s + n_scheme, *path;
	size_t n = strcspn(authority, "/?#");
	const char *why = NULL;

	path = authority + n;
	memmove(s, authority, n);
	if (*path != '/')
		*--path = '/';
	s[n] = 0;
	p->host_at = (size_t)(s - (char *)p->in.ptr);
	p->is_absolute = true;
	*target = path;
	return judge(p, http_rule_host(s, &why), &why);
}

static int read_target(struct http1 *p, char **target)
{
	static const char *const schemes[] = { "http://", "https://" };
	const char *why = NULL;
	int r = HTTP1_MORE;

	for (size_t i = 0; i < sizeof(schemes) / sizeof(*schemes) && !p->is_absolute; i++)
		if (strncasecmp(*target, schemes[i], strlen(schemes[i])) == 0)
			r = split_absolute(p, target, strlen(schemes[i]));
	return r ? r : judge(p, http_rule_target(*target, &why), &why);
}

static int split_request_line(struct http1 *p, char *s, size_t len)
{
	char *target = memchr(s, ' ', len), *version = target ? strchr(target + 1, ' ') : NULL, *query;
	const char *why = NULL;
	int r;

	r = http_rule_method(s, target ? (size_t)(target - s) : len, &why);
	if (r)
		return bad(p, r, why);
	if (!version)
		return bad(p, 400, "the request line is not METHOD TARGET VERSION");
	*target++ = 0;
	*version++ = 0;
	r = read_target(p, &target);
	if (!r)
		r = check_version(p, version);
	if (r)
		return r;
	query = strchr(target, '?');
	if (query) {
		*query = 0;
		p->query_at = (size_t)(query + 1 - (char *)p->in.ptr);
	}
	p->method_at = (size_t)(s - (char *)p->in.ptr);
	p->path_at = (size_t)(target - (char *)p->in.ptr);
	p->fields_at = p->line;
	p->keeps_alive = !p->is_http10;
	p->phase = PHASE_FIELDS;
	return HTTP1_MORE;
}

static int step_request_line(struct http1 *p, bool *stuck)
{
	size_t len;
	char *s;
	int r;

	/* A TLS record on a plain port never has a line: say so at once. */
	if (p->line < p->in.len && !http_rule_token((const char *)p->in.ptr + p->line, 1) &&
	    p->in.ptr[p->line] != '\r' &&
	    p->in.ptr[p->line] != '\n')
		return bad(p, 400, "this is not an HTTP request");
	r = find_line(p, p->limits.line_max, &len);
	if (r == LINE_TOO_LONG)
		return bad(p, 414, "the request line is too long");
	*stuck = r == LINE_MORE;
	if (*stuck)
		return HTTP1_MORE;
	s = take_line(p, &len);
	if (!s)
		return bad(p, 400, "the request line has a control octet or no CR LF");
	if (len)
		return split_request_line(p, s, len);
	if (++p->n_empty > HTTP1_EMPTY_LINES_MAX)
		return bad(p, 400, "empty lines instead of a request");
	return HTTP1_MORE;
}

/* ---- header section ---- */

static int field_length(struct http1 *p, char *value)
{
	const char *why = NULL;

	if (++p->n_lengths > 1)
		return bad(p, 400, "more than one Content-Length");
	return judge(p, http_rule_length(value, &p->left, &why), &why);
}

static int field_coding(struct http1 *p, char *value)
{
	if (++p->n_codings > 1)
		return bad(p, 400, "more than one Transfer-Encoding");
	if (strcasecmp(value, "chunked") != 0) /* RFC 9112 7 */
		return bad(p, 501, "no transfer coding but chunked is known here");
	return HTTP1_MORE;
}

static int field_host(struct http1 *p, char *value)
{
	const char *why = NULL;

	if (++p->n_hosts > 1)
		return bad(p, 400, "more than one Host");
	if (p->is_absolute)
		p->value_at[p->n_headers - 1] = (uint32_t)p->host_at;
	else
		p->host_at = (size_t)(value - (char *)p->in.ptr);
	return judge(p, http_rule_host(value, &why), &why);
}

/* A list of tokens: only two of them mean something to us. */
static int field_connection(struct http1 *p, char *value)
{
	static const char blanks[] = ", \t";
	size_t n;

	for (value += strspn(value, blanks); *value; value += strspn(value, blanks)) {
		n = strcspn(value, blanks);
		if (n == 5 && strncasecmp(value, "close", n) == 0) {
			p->keeps_alive = false;
			return HTTP1_MORE;
		}
		if (n == 10 && strncasecmp(value, "keep-alive", n) == 0)
			p->keeps_alive = true;
		value += n;
	}
	return HTTP1_MORE;
}

static int field_expect(struct http1 *p, char *value)
{
	if (p->is_http10)
		return HTTP1_MORE; /* RFC 9110 10.1.1: ignored */
	if (strcasecmp(value, "100-continue") != 0)
		return bad(p, 417, "only 100-continue can be expected");
	p->expects_continue = true;
	return HTTP1_MORE;
}

/* The fields that the connection itself obeys; all others are for handlers. */
static const struct {
	const char *name;
	int (*read)(struct http1 *p, char *value);
} own_fields[] = {
	{ "content-length", field_length }, { "transfer-encoding", field_coding }, { "host", field_host },
	{ "connection", field_connection }, { "expect", field_expect },
};

/* Split `name: value` in place: name in lower case, value without outer blanks, inner tabs made blanks. */
static bool split_field(char *s, size_t len, char **value_out)
{
	char *colon = memchr(s, ':', len), *value, *end = s + len, *c;

	if (!colon || !http_rule_token(s, (size_t)(colon - s)))
		return false;
	*colon = 0;
	for (c = s; *c; c++)
		if (*c >= 'A' && *c <= 'Z')
			*c = (char)(*c + 32);
	for (value = colon + 1; *value == ' ' || *value == '\t'; value++)
		;
	while (end > value && (end[-1] == ' ' || end[-1] == '\t'))
		end--;
	*end = 0;
	for (c = value; *c; c++)
		if (*c == '\t')
			*c = ' ';
	*value_out = value;
	return true;
}

static int add_field(struct http1 *p, char *s, size_t len)
{
	char *value;
	size_t i;

	if (p->n_headers == HTTP1_FIELDS_MAX)
		return bad(p, 431, "too many header fields");
	if (!split_field(s, len, &value))
		return bad(p, 400, "a header line is not NAME: VALUE");
	p->name_at[p->n_headers] = (uint32_t)(s - (char *)p->in.ptr);
	p->value_at[p->n_headers] = (uint32_t)(value - (char *)p->in.ptr);
	p->n_headers++;
	for (i = 0; i < sizeof(own_fields) / sizeof(*own_fields); i++)
		if (strcmp(own_fields[i].name, s) == 0)
			return own_fields[i].read(p, value);
	return HTTP1_MORE;
}

static int end_fields(struct http1 *p)
{
	if (p->n_lengths && p->n_codings)
		return bad(p, 400, "both Content-Length and Transfer-Encoding");
	if (p->n_codings && p->is_http10)
		return bad(p, 400, "Transfer-Encoding in HTTP/1.0");
	if (p->n_hosts == 0 && !p->is_http10)
		return bad(p, 400, "Host is missing");
	if (p->left == 0 && !p->n_codings)
		p->expects_continue = false;
	p->body_at = p->line;
	p->phase = PHASE_BODY_BEGIN;
	show(p);
	return HTTP1_HEAD;
}

static int step_fields(struct http1 *p, bool *stuck)
{
	size_t used = p->line - p->fields_at, len;
	size_t left = p->limits.head_max > used ? p->limits.head_max - used : 0;
	char *s;
	int r;

	/* The CR LF of a line counts too; the empty line at the end always fits. */
	r = find_line(p, left, &len);
	if (r == LINE_TOO_LONG || (r == LINE_FOUND && len > 1 && len + 1 > left))
		return bad(p, 431, "the header section is too large");
	*stuck = r == LINE_MORE;
	if (*stuck)
		return HTTP1_MORE;
	s = take_line(p, &len);
	if (!s)
		return bad(p, 400, "a header line has a control octet or no CR LF");
	if (len == 0)
		return end_fields(p);
	return add_field(p, s, len);
}

/* ---- body ---- */

static int end_request(struct http1 *p)
{
	p->phase = PHASE_DONE;
	show(p);
	return HTTP1_DONE;
}

static int step_body_begin(struct http1 *p, bool *stuck)
{
	if (p->n_codings) {
		p->phase = PHASE_CHUNK_LINE;
		return HTTP1_MORE;
	}
	if (p->left > p->limits.body_max)
		return bad(p, 413, "the body is too large");
	p->body_len = (size_t)p->left;
	p->phase = PHASE_BODY;
	return HTTP1_MORE;
}

static int step_body(struct http1 *p, bool *stuck)
{
	size_t there = p->in.len - p->line;

	if (there > p->left)
		there = (size_t)p->left;
	p->line += there;
	p->scan = p->line;
	p->left -= there;
	if (p->left == 0)
		return end_request(p);
	*stuck = true;
	return HTTP1_MORE;
}

/* Hexadecimal digits, then nothing or `;` and an extension that nobody reads (RFC 9112 7.1). */
static int read_chunk_line(struct http1 *p, const char *s, size_t len)
{
	size_t digits = strspn(s, "0123456789abcdefABCDEF"), i;
	uint64_t n = 0;
	char c;

	if (digits == 0 || digits > 16)
		return bad(p, 400, "a chunk size is not a hexadecimal number of at most 16 digits");
	if (digits < len && s[digits] != ';')
		return bad(p, 400, "a chunk size is followed by something else than an extension");
	p->extension_octets += len - digits;
	if (p->extension_octets > HTTP1_EXTENSIONS_MAX)
		return bad(p, 400, "too many chunk extensions");
	for (i = 0; i < digits; i++) {
		c = (char)(s[i] | 0x20);
		n = n << 4 | (uint64_t)(s[i] <= '9' ? s[i] - '0' : c - 'a' + 10);
	}
	if (n > p->limits.body_max - p->body_len)
		return bad(p, 413, "the body is too large");
	p->left = n;
	p->phase = n ? PHASE_CHUNK_DATA : PHASE_TRAILER;
	return HTTP1_MORE;
}

static int step_chunk_line(struct http1 *p, bool *stuck)
{
	size_t len;
	char *s;
	int r;

	r = find_line(p, 16 + HTTP1_EXTENSIONS_MAX, &len);
	if (r == LINE_TOO_LONG)
		return bad(p, 400, "a chunk line is too long");
	*stuck = r == LINE_MORE;
	if (*stuck)
		return HTTP1_MORE;
	s = take_line(p, &len);
	if (!s)
		return bad(p, 400, "a chunk line has a control octet or no CR LF");
	return read_chunk_line(p, s, len);
}

/* Chunks are put together where the body stands, so that it is one piece at the end. */
static int step_chunk_data(struct http1 *p, bool *stuck)
{
	size_t there = p->in.len - p->line;

	if (there > p->left)
		there = (size_t)p->left;
	memmove(p->in.ptr + p->body_at + p->body_len, p->in.ptr + p->line, there);
	p->body_len += there;
	p->line += there;
	p->scan = p->line;
	p->left -= there;
	if (p->left == 0)
		p->phase = PHASE_CHUNK_END;
	else
		*stuck = true;
	return HTTP1_MORE;
}

static int step_chunk_end(struct http1 *p, bool *stuck)
{
	size_t there = p->in.len - p->line;

	if ((there > 0 && p->in.ptr[p->line] != '\r') || (there > 1 && p->in.ptr[p->line + 1] != '\n'))
		return bad(p, 400, "a chunk is longer than its size");
	if (there < 2) {
		*stuck = true;
		return HTTP1_MORE;
	}
	p->line += 2;
	p->scan = p->line;
	p->phase = PHASE_CHUNK_LINE;
	return HTTP1_MORE;
}

/* Trailer fields are checked and dropped: nothing here may change what the header section said. */
static int step_trailer(struct http1 *p, bool *stuck)
{
	size_t left = HTTP1_TRAILER_MAX - p->trailer_octets, len;
	char *s, *value;
	int r;

	r = find_line(p, left, &len);
	if (r == LINE_TOO_LONG || (r == LINE_FOUND && len > 1 && len + 1 > left))
		return bad(p, 431, "the trailer section is too large");
	*stuck = r == LINE_MORE;
	if (*stuck)
		return HTTP1_MORE;
	s = take_line(p, &len);
	if (!s)
		return bad(p, 400, "a trailer line has a control octet or no CR LF");
	if (len == 0)
		return end_request(p);
	p->trailer_octets += len + 2;
	if (++p->n_trailers > HTTP1_FIELDS_MAX)
		return bad(p, 431, "too many trailer fields");
	if (!split_field(s, len, &value))
		return bad(p, 400, "a trailer line is not NAME: VALUE");
	return HTTP1_MORE;
}

/* Chunk lines leave a gap between the body and what comes next: close it, so that the buffer stays small. */
static void close_gap(struct http1 *p)
{
	size_t end = p->body_at + p->body_len;

	if (p->phase < PHASE_CHUNK_LINE || p->phase > PHASE_TRAILER || p->line == end)
		return;
	memmove(p->in.ptr + end, p->in.ptr + p->line, p->in.len - p->line);
	p->in.len -= p->line - end;
	p->scan -= p->line - end;
	p->line = end;
}

enum http1_event http1_step(struct http1 *p)
{
	static int (*const steps[])(struct http1 *p, bool *stuck) = {
		[PHASE_REQUEST_LINE] = step_request_line, [PHASE_FIELDS] = step_fields,
		[PHASE_BODY_BEGIN] = step_body_begin,     [PHASE_BODY] = step_body,
		[PHASE_CHUNK_LINE] = step_chunk_line,     [PHASE_CHUNK_DATA] = step_chunk_data,
		[PHASE_CHUNK_END] = step_chunk_end,       [PHASE_TRAILER] = step_trailer,
	};
	bool stuck = false;
	int r = HTTP1_MORE;

	while (r == HTTP1_MORE && !stuck) {
		if (p->phase == PHASE_BAD)
			return HTTP1_BAD;
		if (p->phase == PHASE_DONE)
			return HTTP1_DONE;
		r = steps[p->phase](p, &stuck);
	}
	if (r == HTTP1_MORE)
		close_gap(p);
	return (enum http1_event)r;
}

static const char *moved(const struct http1 *p, const char *copy, const char *text)
{
	return text ? copy + (text - (const char *)p->in.ptr) : NULL;
}

int http1_copy(const struct http1 *p, struct arena *arena, struct http_request *q)
{
	size_t size = p->body_at + p->body_len, i;
	struct http_header *headers = arena_alloc(arena, (p->n_headers + 1) * sizeof(*headers));
	char *copy = arena_alloc(arena, size + 1);

	if (!headers || !copy)
		return -ENOMEM;
	memcpy(copy, p->in.ptr, size);
	for (i = 0; i < p->n_headers; i++)
		headers[i] = (struct http_header){ moved(p, copy, p->headers[i].name),
						   moved(p, copy, p->headers[i].value) };
	*q = (struct http_request){
		.method = moved(p, copy, p->method),
		.path = moved(p, copy, p->path),
		.query = moved(p, copy, p->query),
		.headers = headers,
		.n_headers = p->n_headers,
		.body = bytes_of(copy + p->body_at, p->body_len),
		.arena = arena,
	};
	return 0;
}
