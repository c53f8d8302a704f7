/* Problem documents (RFC 7807, RFC 8555 6.7).
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "protocols/acme/acme_int.h"

#include <errno.h>

#include "core/base/log.h"

#define URN "urn:ietf:params:acme:error:"

/* The word after the URN, and the HTTP status the type usually goes with. */
static const struct {
	const char *word;
	int status;
} errors[] = {
	[ACME_ERR_ACCOUNT_DOES_NOT_EXIST] = { "accountDoesNotExist", 400 },
	[ACME_ERR_ALREADY_REVOKED] = { "alreadyRevoked", 400 },
	[ACME_ERR_BAD_CSR] = { "badCSR", 400 },
	[ACME_ERR_BAD_NONCE] = { "badNonce", 400 },
	[ACME_ERR_BAD_PUBLIC_KEY] = { "badPublicKey", 400 },
	[ACME_ERR_BAD_REVOCATION_REASON] = { "badRevocationReason", 400 },
	[ACME_ERR_BAD_SIGNATURE_ALGORITHM] = { "badSignatureAlgorithm", 400 },
	[ACME_ERR_CONNECTION] = { "connection", 400 },
	[ACME_ERR_DNS] = { "dns", 400 },
	[ACME_ERR_EXTERNAL_ACCOUNT_REQUIRED] = { "externalAccountRequired", 403 },
	[ACME_ERR_INCORRECT_RESPONSE] = { "incorrectResponse", 403 },
	[ACME_ERR_INVALID_CONTACT] = { "invalidContact", 400 },
	[ACME_ERR_MALFORMED] = { "malformed", 400 },
	[ACME_ERR_ORDER_NOT_READY] = { "orderNotReady", 403 },
	[ACME_ERR_RATE_LIMITED] = { "rateLimited", 429 },
	[ACME_ERR_REJECTED_IDENTIFIER] = { "rejectedIdentifier", 400 },
	[ACME_ERR_SERVER_INTERNAL] = { "serverInternal", 500 },
	[ACME_ERR_TLS] = { "tls", 400 },
	[ACME_ERR_UNAUTHORIZED] = { "unauthorized", 403 },
	[ACME_ERR_UNSUPPORTED_CONTACT] = { "unsupportedContact", 400 },
	[ACME_ERR_UNSUPPORTED_IDENTIFIER] = { "unsupportedIdentifier", 400 },
	[ACME_ERR_USER_ACTION_REQUIRED] = { "userActionRequired", 403 },
};

static void write_type(struct json_writer *w, enum acme_error error, const char *detail)
{
	json_stringf(w, "type", URN "%s", errors[error].word);
	json_string(w, "detail", detail);
}

static void write_subproblem(struct json_writer *w, const struct acme_subproblem *sub)
{
	json_open(w, NULL, '{');
	write_type(w, sub->error, sub->detail);
	json_open(w, "identifier", '{');
	json_string(w, "type", sub->type);
	json_string(w, "value", sub->value);
	json_close(w, '}');
	json_close(w, '}');
}

/* RFC 8555 6.2: what we take instead. */
static void write_algorithms(struct json_writer *w)
{
	json_open(w, "algorithms", '[');
	for (size_t i = 0; jws_algorithms[i]; i++)
		json_string(w, NULL, jws_algorithms[i]);
	json_close(w, ']');
}

static int reply(struct acme_call *c, int status, enum acme_error error, const char *detail,
		 const struct acme_subproblem *subs, size_t n_subs)
{
	OWNED_BUF body = BUF_INIT(ACME_DOCUMENT_MAX);
	struct json_writer w = { .out = &body };

	json_open(&w, NULL, '{');
	write_type(&w, error, detail);
	json_number(&w, "status", status);
	if (error == ACME_ERR_BAD_SIGNATURE_ALGORITHM)
		write_algorithms(&w);
	if (n_subs > 0) {
		json_open(&w, "subproblems", '[');
		for (size_t i = 0; i < n_subs; i++)
			write_subproblem(&w, &subs[i]);
		json_close(&w, ']');
	}
	json_close(&w, '}');
	if (buf_status(&body))
		return buf_status(&body);
	atomic_fetch_add(&c->acme->problems, 1);
	log_debug("acme.problem", "endpoint", c->acme->endpoint, "path", c->q->path, "error", errors[error].word,
		  "detail", detail);
	return http_reply_body(c->r, status, "application/problem+json", buf_bytes(&body));
}

static int reply_formatted(struct acme_call *c, int status, enum acme_error error, const char *format, va_list args)
{
	OWNED_BUF detail = BUF_INIT(1024);
	int e = buf_vprintf(&detail, format, args);

	return e ? e : reply(c, status, error, buf_str(&detail), NULL, 0);
}

int acme_problem(struct acme_call *c, enum acme_error error, const char *format, ...)
{
	va_list args;
	int e;

	va_start(args, format);
	e = reply_formatted(c, errors[error].status, error, format, args);
	va_end(args);
	return e;
}

int acme_problem_status(struct acme_call *c, int status, enum acme_error error, const char *format, ...)
{
	va_list args;
	int e;

	va_start(args, format);
	e = reply_formatted(c, status, error, format, args);
	va_end(args);
	return e;
}

int acme_problem_with(struct acme_call *c, enum acme_error error, const char *detail,
		      const struct acme_subproblem *subs, size_t n_subs)
{
	return reply(c, errors[error].status, error, detail, subs, n_subs);
}

int acme_limit_account(struct acme_call *c, struct limit *limit, unsigned n, const char *what)
{
	const char *who = arena_printf(c->q->arena, "account:%lld", (long long)c->account.id);
	unsigned retry_after_s = 0;
	int e;

	if (!who)
		return -ENOMEM;
	if (limit_take(limit, who, n, &retry_after_s))
		return 0;
	e = http_reply_retry_after(c->r, retry_after_s);
	if (!e)
		e = acme_problem(c, ACME_ERR_RATE_LIMITED, "too many %s of this account within an hour", what);
	return e ? e : 1;
}

int acme_not_found(struct acme_call *c)
{
	return acme_problem_status(c, 404, ACME_ERR_MALFORMED, "there is no such resource");
}

const char *acme_problem_text(struct arena *a, enum acme_error error, const char *detail)
{
	OWNED_BUF text = BUF_INIT(4096);
	struct json_writer w = { .out = &text };

	json_open(&w, NULL, '{');
	write_type(&w, error, detail);
	json_number(&w, "status", errors[error].status);
	json_close(&w, '}');
	return buf_status(&text) ? NULL : arena_strdup(a, buf_str(&text));
}

/* Too busy for a request is what clients know as a rate limit: they come back after Retry-After. */
void acme_print_refusal(struct buf *body, int status, const char *text)
{
	struct json_writer w = { .out = body };
	enum acme_error error = status == 503 ? ACME_ERR_RATE_LIMITED :
				status >= 500 ? ACME_ERR_SERVER_INTERNAL :
						ACME_ERR_MALFORMED;

	json_open(&w, NULL, '{');
	write_type(&w, error, text);
	json_number(&w, "status", status);
	json_close(&w, '}');
}
