/* The page by which Windows Server's NDES hands out challenges, and from which MDM systems read them.
 *
 * They read it by its sentences, in UTF-16LE behind a byte order mark, so these are as they are there, word for word
 * and with their tags; what went wrong is such a sentence too, with the status 200. For others there are ?format=text
 * and ?format=json, and ?serial= and ?udid= name the device.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "protocols/mdm/mdm_int.h"

#include <errno.h>
#include <stdio.h>

#include "core/base/clock.h"
#include "core/base/der.h"
#include "core/base/digest.h"
#include "protocols/jose/json_write.h"

#define PAGE_MAX 4096
#define CHAIN_MAX ((size_t)256 << 10)
#define THUMBPRINT_SIZE 40

/* ---- the page ---- */

/* MD5, in groups of eight digits. Of the certificate that signs for devices. */
static int print_thumbprint(struct mdm *m, char out[static THUMBPRINT_SIZE])
{
	OWNED_BUF chain = BUF_INIT(CHAIN_MAX);
	struct bytes rest, content, whole;
	uint8_t digest[MD5_SIZE];
	unsigned tag;
	int e = ca_get_chain(m->ca, &chain);

	*out = '\0';
	if (e)
		return e;
	rest = buf_bytes(&chain);
	if (der_read(&rest, &tag, &content, &whole))
		return 0;
	e = digest_md5(whole, digest);
	for (size_t i = 0, n = 0; !e && i < sizeof(digest); i++)
		n += (size_t)snprintf(out + n, THUMBPRINT_SIZE - n, "%s%02X", i && i % 4 == 0 ? " " : "", digest[i]);
	return e;
}

#define TITLE "Network Device Enrollment Service"

static void open_page(struct buf *page)
{
	buf_append_str(page, "<HTML><Head><Title>" TITLE "</Title></Head><Body><H1>" TITLE "</H1>\r\n");
}

static void close_page(struct buf *page)
{
	buf_append_str(page, "</Body></HTML>\r\n");
}

/* All of it is ASCII. */
static int reply_page(struct http_reply *r, const struct buf *page)
{
	OWNED_BUF wide = BUF_INIT(2 * PAGE_MAX + 2);

	buf_append(&wide, bytes_of("\xff\xfe", 2));
	for (size_t i = 0; i < page->len; i++)
		buf_append(&wide, bytes_of((const uint8_t[]){ page->ptr[i], 0 }, 2));
	return buf_status(page) ? buf_status(page) :
	       buf_status(&wide) ? buf_status(&wide) :
				   http_reply_body(r, 200, "text/html; charset=utf-16", buf_bytes(&wide));
}

static int reply_html(struct mdm *m, struct http_reply *r, const struct ca_delegated *d)
{
	OWNED_BUF page = BUF_INIT(PAGE_MAX);
	char thumbprint[THUMBPRINT_SIZE];
	int e = print_thumbprint(m, thumbprint);

	open_page(&page);
	buf_printf(&page,
		   "<P>To complete certificate enrollment for your network device you will need the following "
		   "information:</P>\r\n"
		   "<P> The thumbprint (hash value) for the CA certificate is: <B> %s </B></P>\r\n"
		   "<P> The enrollment challenge password is: <B> %s </B></P>\r\n"
		   "<P> This password can be used only once and will expire within %u minutes. </P>\r\n"
		   "<P> Each enrollment requires a new challenge password. You can refresh this web page to obtain a "
		   "new challenge password. </P>\r\n",
		   thumbprint, d->challenge, m->lifetime_s / 60);
	close_page(&page);
	return e ? e : reply_page(r, &page);
}

static int refuse_html(struct http_reply *r, const char *text)
{
	OWNED_BUF page = BUF_INIT(PAGE_MAX);

	open_page(&page);
	buf_printf(&page, "<P> %s </P>\r\n", text);
	close_page(&page);
	return reply_page(r, &page);
}

/* ---- the other forms ---- */

static int reply_text(struct mdm *m, struct http_reply *r, const struct ca_delegated *d)
{
	(void)m;
	return http_reply_text(r, 200, d->challenge);
}

static int reply_json(struct mdm *m, struct http_reply *r, const struct ca_delegated *d)
{
	OWNED_BUF text = BUF_INIT(PAGE_MAX);
	struct json_writer w = { .out = &text };
	char thumbprint[THUMBPRINT_SIZE], until[CLOCK_TEXT_SIZE];
	int e = print_thumbprint(m, thumbprint);

	json_open(&w, NULL, '{');
	json_string(&w, "challenge", d->challenge);
	json_string(&w, "expires", clock_print_ms(d->until_ms, until));
	json_string(&w, "thumbprint", thumbprint);
	json_close(&w, '}');
	if (!e)
		e = buf_status(&text);
	return e ? e : http_reply_body(r, 200, "application/json", buf_bytes(&text));
}

static int refuse_json(struct http_reply *r, int status, const char *sentence)
{
	OWNED_BUF text = BUF_INIT(PAGE_MAX);
	struct json_writer w = { .out = &text };
	int e;

	json_open(&w, NULL, '{');
	json_string(&w, "error", sentence);
	json_close(&w, '}');
	e = buf_status(&text);
	return e ? e : http_reply_body(r, status, "application/json", buf_bytes(&text));
}

static int refuse_page(struct http_reply *r, int status, const char *sentence)
{
	(void)status;
	return refuse_html(r, sentence);
}

static const struct form {
	const char *word;
	int (*reply)(struct mdm *m, struct http_reply *r, const struct ca_delegated *d);
	int (*refuse)(struct http_reply *r, int status, const char *sentence);
} forms[] = {
	{ "html", reply_html, refuse_page },
	{ "text", reply_text, http_reply_text },
	{ "json", reply_json, refuse_json },
};

static const struct form *find_form(const char *query)
{
	struct bytes word = http_query_find(query, "format");

	if (!word.ptr)
		return &forms[0];
	for (size_t i = 0; i < sizeof(forms) / sizeof(*forms); i++)
		if (bytes_equal_str(word, forms[i].word))
			return &forms[i];
	return NULL;
}

/* ---- the request ---- */

/* Without escapes: none of the letters that it may have needs one. */
static int read_device_value(const struct http_request *q, const char *name, const char **out)
{
	struct bytes value = http_query_find(q->query, name);

	*out = NULL;
	if (!value.ptr)
		return 0;
	*out = arena_strndup(q->arena, value);
	return !*out ? -ENOMEM : ca_is_device_value(*out) ? 0 : MDM_ANSWERED;
}

static int read_device(const struct http_request *q, struct http_reply *r, struct mdm_device *out)
{
	int e = read_device_value(q, "serial", &out->serial_number);

	if (!e)
		e = read_device_value(q, "udid", &out->udid);
	if (e != MDM_ANSWERED)
		return e;
	e = http_reply_text(r, 400, "a serial number or UDID has up to 64 letters, digits, '-', '.' and '_'");
	return e ? e : MDM_ANSWERED;
}

/* A browser that keeps a password sends it wherever a page of another site points. It says so itself (W3C Fetch
 * Metadata); MDM systems say nothing. */
static bool is_of_another_site(const struct http_request *q)
{
	const char *site = http_request_header(q, "sec-fetch-site");

	return site && strcmp(site, "none") != 0 && strcmp(site, "same-origin") != 0;
}

int mdm_ndes_page(void *state, const struct http_request *q, struct http_reply *r)
{
	struct mdm *m = state;
	const struct form *form = find_form(q->query);
	struct ca_delegated made = { 0 };
	struct mdm_device device;
	int e;

	if (!m->serves_ndes)
		return http_reply_text(r, 404, "this page is not served here");
	if (is_of_another_site(q))
		return http_reply_text(r, 403, "another site has asked for this page; open it by itself");
	if (!form)
		return http_reply_text(r, 400, "the formats are html, text and json");
	e = read_device(q, r, &device);
	if (!e)
		e = mdm_delegate(m, q, r, &device, &made);
	if (!e)
		e = form->reply(m, r, &made);
	else if (e == MDM_FULL)
		e = form->refuse(r, 503, "The password cache is full.");
	else if (e == MDM_NOT_PERMITTED)
		e = form->refuse(r, 403, "You do not have sufficient permission to enroll with SCEP.");
	explicit_bzero(&made, sizeof(made));
	return e == MDM_ANSWERED ? 0 : e;
}

int mdm_ndes_redirect(void *state, const struct http_request *q, struct http_reply *r)
{
	struct mdm *m = state;
	int e;

	if (!m->serves_ndes)
		return http_reply_text(r, 404, "this page is not served here");
	e = http_reply_header(r, "Location", "%s/%s%s", q->path, q->query ? "?" : "", q->query ? q->query : "");
	return e ? e : http_reply_text(r, 301, "the page is at this path with a '/' behind it");
}
