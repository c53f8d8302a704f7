/* The directory (RFC 8555 7.1.1) and fresh nonces (RFC 8555 7.2).
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "protocols/acme/acme_int.h"

#include <errno.h>

static void write_meta(struct json_writer *w, const struct acme_settings *set)
{
	json_open(w, "meta", '{');
	json_string(w, "termsOfService", set->terms_of_service);
	json_string(w, "website", set->website);
	if (set->n_caa_identities > 0) {
		json_open(w, "caaIdentities", '[');
		for (size_t i = 0; i < set->n_caa_identities; i++)
			json_string(w, NULL, set->caa_identities[i]);
		json_close(w, ']');
	}
	if (set->external_account_required)
		json_bool(w, "externalAccountRequired", true);
	json_close(w, '}');
}

int acme_directory(struct acme_call *c)
{
	static const struct {
		const char *member, *path;
	} resources[] = {
		{ "newNonce", "/new-nonce" },
		{ "newAccount", "/new-account" },
		{ "newOrder", "/new-order" },
		{ "revokeCert", "/revoke-cert" },
		{ "keyChange", "/key-change" },
	};
	const struct acme_settings *set = &c->acme->set;
	OWNED_BUF body = BUF_INIT(ACME_DOCUMENT_MAX);
	struct json_writer w = { .out = &body };

	json_open(&w, NULL, '{');
	for (size_t i = 0; i < sizeof(resources) / sizeof(resources[0]); i++)
		json_stringf(&w, resources[i].member, "%s%s%s", c->q->base_url, c->acme->path, resources[i].path);
	if (set->terms_of_service || set->website || set->n_caa_identities > 0 || set->external_account_required)
		write_meta(&w, set);
	json_string(&w, c->acme->directory_key, "unknown members of a directory are to be ignored");
	json_close(&w, '}');
	return acme_reply_json(c, 200, &body);
}

/* HEAD is 200 and GET 204, both without a body and with the nonce in the header. */
int acme_new_nonce(struct acme_call *c)
{
	unsigned retry_after_s = 0;
	char nonce[NONCE_SIZE];
	int e;

	if (!limit_take(c->acme->nonce_limit, c->q->peer_address, 1, &retry_after_s)) {
		e = http_reply_retry_after(c->r, retry_after_s);
		return e ? e : acme_problem(c, ACME_ERR_RATE_LIMITED, "too many nonces for this address");
	}
	c->r->status = strcmp(c->q->method, "GET") == 0 ? 204 : 200;
	e = http_reply_header(c->r, "Cache-Control", "no-store");
	if (e || strcmp(c->q->method, "POST") == 0)
		return e; /* the frame of a POST adds the nonce */
	e = nonces_issue(c->acme->nonces, nonce);
	return e ? e : http_reply_header(c->r, "Replay-Nonce", "%s", nonce);
}
