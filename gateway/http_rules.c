/* Rules of HTTP that do not depend on its version.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "gateway/http_rules.h"

#include <strings.h>

static bool is_token_char(unsigned char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
	       (c && strchr("!#$%&'*+-.^_`|~", c));
}

bool http_rule_token(const char *s, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (!is_token_char((unsigned char)s[i]))
			return false;
	return n > 0;
}

static int refuse(int status, const char *words, const char **why)
{
	*why = words;
	return status;
}

int http_rule_method(const char *s, size_t n, const char **why)
{
	static const char *const known[] = { "GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE" };

	if (!http_rule_token(s, n))
		return refuse(400, "the method is not a token", why);
	for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++)
		if (strlen(known[i]) == n && memcmp(known[i], s, n) == 0)
			return 0;
	return refuse(501, "unknown method", why);
}

int http_rule_target(const char *target, const char **why)
{
	const char *c;

	if (*target != '/')
		return refuse(400, "the request target must be a path", why);
	for (c = target; *c; c++)
		if ((unsigned char)*c <= 0x20 || (unsigned char)*c >= 0x7f || *c == '#')
			return refuse(400, "the request target has an octet that must not stand there", why);
	return 0;
}

int http_rule_host(const char *host, const char **why)
{
	const char *c;

	for (c = host; *c; c++)
		if (!((*c >= '0' && *c <= '9') || (*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z') ||
		      strchr("-._~:[]%", *c)))
			return refuse(400, "Host is not a host name", why);
	return *host ? 0 : refuse(400, "Host is empty", why);
}

int http_rule_length(const char *value, uint64_t *length, const char **why)
{
	uint64_t n = 0;

	if (!*value || value[strspn(value, "0123456789")] != 0)
		return refuse(400, "Content-Length is not a number", why);
	for (; *value; value++) {
		if (n > (UINT64_MAX / 2 - 9) / 10)
			return refuse(400, "Content-Length is out of range", why);
		n = n * 10 + (uint64_t)(*value - '0');
	}
	*length = n;
	return 0;
}

bool http_rule_sendable(const struct http_header *h)
{
	const char *c;

	for (c = h->name; *c; c++)
		if ((unsigned char)*c <= 0x20 || (unsigned char)*c >= 0x7f || *c == ':')
			return false;
	for (c = h->value; *c; c++)
		if (((unsigned char)*c < 0x20 && *c != '\t') || *c == 0x7f)
			return false;
	return *h->name != 0;
}

bool http_rule_is_framing(const char *name)
{
	static const char *const names[] = { "date", "content-length", "connection", "transfer-encoding",
					     "keep-alive", "upgrade", "proxy-connection" };
	size_t i;

	for (i = 0; i < sizeof(names) / sizeof(*names); i++)
		if (strcasecmp(names[i], name) == 0)
			return true;
	return false;
}
