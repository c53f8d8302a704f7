/* A protocol adapter: one const struct that turns a client's messages into submissions.
 *
 * The gateway makes one instance for each endpoint of the configuration: it locates the endpoint's CA (once), calls
 * `init`, and mounts the routes below the endpoint's path. A handler runs on a worker thread as straight-line code and
 * may block within the limits below; it fills the reply and returns 0. A negative return becomes a bare 500.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "core/base/conf.h"
#include "core/submit.h"
#include "protocols/http_msg.h"
#include "protocols/ra.h"
#include "protocols/validator.h"

#define PROTO_ABI 1

/* At most a quarter of the workers may wait for something slow at once. Ask before waiting; when told no, do not wait:
 * answer "not yet" and let the client poll. */
struct proto_waits {
	bool (*enter)(void *state);
	void (*leave)(void *state);
	void *state;
};

#define PROTO_WAIT_VALIDATION_MS 500 /* longest wait of a handler for a validation */

/* The certificate by which clients know this server, for what it signs in their protocol. */
struct proto_identity {
	/* Append that of the listener that serves the endpoint now, and its chain (DER, one after the other), and its
	 * key (PKCS#8): wipe it after use. 0; -ENOENT: no listener of the endpoint has one; -EIO; -EMSGSIZE;
	 * -ENOMEM. */
	int (*get)(void *state, struct buf *chain, struct buf *key);
	void *state;
};

struct proto_env {
	struct ca_door *ca;                /* located; lives longer than the instance */
	const char *endpoint;              /* its name in the configuration */
	const char *profile;               /* the profile its submissions name; NULL: it submits nothing */
	const char *path;                  /* where it is mounted, "/acme"; routes are below it */
	const char *data_folder;           /* where the gateway keeps its state; 0700 */
	const struct validator *validator; /* the gateway's only one; lives longer than the instance */
	bool awaits_end;                   /* who judges its challenges must have heard of a certificate before anybody
					    * gets it */
	const struct proto_waits *waits;
	const struct proto_identity *identity;
	const struct proto_ra *ra;         /* NULL: it has not PROTO_CAP_RA */
};

/* `{name}` in a pattern matches one non-empty path segment as it was sent, `{name...}` at its end all that is left;
 * everything else matches octet for octet, or with PROTO_CAP_ANY_CASE letter for letter.
 * The router answers 404 for an unknown path and 405 with Allow for a known one; HEAD is served by a GET route, but for
 * PROTO_CAP_NO_HEAD. */
struct proto_route {
	const char *method;  /* "GET" or "POST" */
	const char *pattern; /* "/order/{id}", below the endpoint's path */
	int (*handle)(void *state, const struct http_request *q, struct http_reply *r);
};

/* The instances of one adapter that one listener serves. */
struct proto_member {
	const char *endpoint;
	void *state;
};

struct proto_group {
	struct proto_member *members;
	size_t n;
	void *fallback; /* the state of the one that is meant when nothing says which; NULL: none is */
};

/* Where clients look for any server of the protocol, whatever the paths of its endpoints are. Those come first. */
struct proto_places {
	const char *named;                /* "/scep": the endpoint NAME is at /scep/NAME besides */
	const struct proto_route *routes; /* whole paths, of all endpoints of a listener together: their state is a
					   * `struct proto_group` */
};

enum {
	PROTO_CAP_PENDING = 1 << 0,         /* can tell its client to come back */
	PROTO_CAP_TLS_CLIENT_AUTH = 1 << 1, /* its listener asks for a client certificate */
	PROTO_CAP_PLAIN_HTTP = 1 << 2,      /* may be served without TLS */
	PROTO_CAP_STATUS = 1 << 3,          /* tells the status of certificates, and submits nothing: its endpoints
					     * name no profile */
	PROTO_CAP_LABELS = 1 << 4,          /* its endpoints differ by a label, the end of their paths (RFC 7030 3.2.2):
					     * percent escapes in what a client sends are decoded, once, before it is
					     * compared with the path, and no label is the first segment of a route */
	PROTO_CAP_RA = 1 << 5,              /* is a registration authority, with keys of its own (protocols/ra.h) */
	PROTO_CAP_RENEWAL = 1 << 6,         /* its clients renew by certificate (enum ca_certificate_use) */
	PROTO_CAP_ANY_CASE = 1 << 7,        /* small and capital letters of its paths are the same */
	PROTO_CAP_NO_HEAD = 1 << 8,         /* a GET may do something that is lost without its answer */
	PROTO_CAP_OLD_HTTP = 1 << 9,        /* some of its clients speak HTTP/1.0, and so do its listeners, unless told
					     * not to */
	PROTO_CAP_CHALLENGE = 1 << 10,      /* its clients show challenges, which a target outside may judge
					     * (`challenge-target`, protocols/validator.h) */
	PROTO_CAP_DELEGATES = 1 << 11,      /* has challenges made for another endpoint, which `for` of its section
					     * names, and submits nothing: its endpoints name no profile */
};

/* A number that only grows, told as the metric gatehouse_NAME_total{endpoint="…"}, or of `gauges` one that does not,
 * told as gatehouse_NAME. Any thread may read it. */
struct proto_counter {
	const char *name; /* "acme_problems" */
	const char *help; /* one sentence */
	unsigned long long (*read)(void *state);
};

/* How a refusal that the gateway makes before any handler runs (413, 503, …) is told to clients of the protocol. */
struct proto_refusal {
	const char *type; /* media type */
	void (*print)(struct buf *body, int status, const char *text);
};

struct proto_adapter {
	unsigned abi;
	const char *name;                  /* the word after `protocol:` */
	const char *summary;
	unsigned caps;
	const char *default_path;          /* PROTO_CAP_LABELS: of the endpoint without a label, which clients ask that
					    * know of none (RFC 7030 3.2.2) */
	const struct proto_places *places; /* NULL: its endpoints are at their paths only */
	size_t line_max;                   /* octets of a request line that its listeners take unless told otherwise;
					    * 0: as any listener does */
	size_t body_max;                   /* octets of a request body; more is 413 */
	const struct conf_option *options; /* rows of the endpoint section besides the common ones; NULL: none */
	const struct proto_route *routes;  /* ends with {0} */
	/* Is the section right, as far as that shows before anything starts? 0, or negative with a sentence in `why`.
	 * Asked wherever a configuration is read; NULL: the rows of the options say all. */
	int (*check)(const struct conf_section *conf, char *why, size_t why_size);
	/* Is an endpoint with this section of no use where clients are not asked for a certificate? NULL: none is. */
	bool (*needs_certificate)(const struct conf_section *conf);
	/* 0, or negative with a sentence in `why`. */
	int (*init)(void **state, const struct proto_env *env, const struct conf_section *conf, char *why,
		    size_t why_size);
	void (*fini)(void *state);
	/* Work that is due from time to time (expiry); called about once a second from one thread. NULL: none. */
	void (*tick)(void *state);
	/* What it does for old clients alone, in half a sentence that people are told as long as it does: "takes …".
	 * NULL: nothing; NULL in its place: it never does. */
	const char *(*weakness)(void *state);
	const struct proto_refusal *refusal;   /* NULL: text/plain */
	const struct proto_counter *counters, *gauges; /* what it counts, and how it is; each ends with {0}; NULL:
							* nothing */
};

/* Built-in adapters, made by the build; ends with NULL. */
extern const struct proto_adapter *const proto_adapters[];
