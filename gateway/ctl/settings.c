/* Commands about the configuration that the daemon has read: profiles, endpoints, and how clients find them.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdio.h>
#include <string.h>

#include "gateway/ctl/print.h"
#include "gateway/ctl/shapes.h"
#include "gateway/ctl/snippet.h"

typedef Gatehouse__Admin__Call Call;
typedef Gatehouse__Admin__Reply Reply;
typedef Gatehouse__Admin__Section Section;

static const struct column profile_columns[] = {
	{ .name = "name" },
	{ .name = "keys" },
	{ .name = "rsa-bits" },
	{ .name = "lifetime" },
	{ .name = "backdate" },
	{ .name = "key-usage" },
	{ .name = "ext-key-usage" },
	{ .name = "common-name" },
	{ .name = "extensions" },
	{ .name = "officer-extensions" },
	{ 0 },
};

const struct list_shape profile_shape = {
	"profiles", profile_columns, "name,lifetime,ext-key-usage,keys",
	"name,lifetime,backdate,ext-key-usage,key-usage,keys,rsa-bits,common-name", "no profiles", true,
};

static const struct column endpoint_columns[] = {
	{ .name = "name" },
	{ .name = "protocol" },
	{ .name = "ca" },
	{ .name = "profile" },
	{ .name = "path" },
	{ .name = "urls", .kind = COLUMN_NAMES },
	{ 0 },
};

const struct list_shape endpoint_shape = {
	"endpoints", endpoint_columns, "name,protocol,ca,profile,urls", "name,protocol,ca,profile,path,urls",
	"no endpoints", true,
};

static Reply *fetch(struct ctl *ctl, const char *list, int *code)
{
	Gatehouse__Admin__ListSections query = GATEHOUSE__ADMIN__LIST_SECTIONS__INIT;
	Call call = GATEHOUSE__ADMIN__CALL__INIT;
	Reply *reply;

	query.list = (char *)list;
	call.what_case = GATEHOUSE__ADMIN__CALL__WHAT_LIST_SECTIONS;
	call.list_sections = &query;
	reply = ctl_call(ctl, &call);
	*code = reply ? ctl_outcome(ctl, reply, "read the configuration") : CTL_UNREACHABLE;
	return reply;
}

static const char *setting(const Section *s, const char *name)
{
	for (size_t i = 0; i < s->n_settings; i++)
		if (strcmp(s->settings[i]->name, name) == 0)
			return s->settings[i]->value;
	return NULL;
}

/* Is `word` an element of "[a, b]"? Names of endpoints are plain words. */
static bool list_has(const char *list, const char *word)
{
	size_t n = strlen(word);

	for (const char *at = list; at && (at = strstr(at, word)); at += n)
		if (at > list && strchr("[ ", at[-1]) && strchr(",]", at[n]))
			return true;
	return false;
}

/* The first element of "[a, b]", or nothing. */
static int append_first(struct buf *out, const char *list)
{
	size_t n = list ? strcspn(list + 1, ",]") : 0;
	bool is_ipv6 = n && memchr(list + 1, ':', n);

	return n ? buf_printf(out, is_ipv6 ? "[%.*s]" : "%.*s", (int)n, list + 1) : 0;
}

/* Where a listener serves what stands at `path`: as clients write it. */
static int append_url(struct buf *out, const Section *listener, const char *path)
{
	const char *base = setting(listener, "base-url"), *port = setting(listener, "port"),
		   *tls = setting(listener, "tls");
	bool is_tls = !tls || strcmp(tls, "true") == 0;

	if (base)
		return buf_printf(out, "%s%s", base, path);
	buf_append_str(out, is_tls ? "https://" : "http://");
	append_first(out, setting(listener, "names"));
	if (port && strcmp(port, is_tls ? "443" : "80") != 0)
		buf_printf(out, ":%s", port);
	return buf_append_str(out, path);
}

/* The URLs of an endpoint: for ACME that of its directory, which is all a client needs. */
static cJSON *urls_json(const Section *endpoint, const Reply *listeners)
{
	cJSON *urls = cJSON_CreateArray();
	char path[1024];

	snprintf(path, sizeof(path), "%s%s", setting(endpoint, "path") ? setting(endpoint, "path") : "",
		 strcmp(endpoint->module, "acme") == 0 ? "/directory" : "");
	for (size_t i = 0; i < listeners->n_sections; i++) {
		OWNED_BUF url = BUF_INIT(4096);

		if (!list_has(setting(listeners->sections[i], "endpoints"), endpoint->name))
			continue;
		append_url(&url, listeners->sections[i], path);
		cJSON_AddItemToArray(urls, cJSON_CreateString(buf_str(&url)));
	}
	return urls;
}

/* "[a, b]" as a list. */
static cJSON *value_json(const char *value)
{
	size_t n = strlen(value);
	cJSON *list;

	if (n < 2 || value[0] != '[' || value[n - 1] != ']')
		return cJSON_CreateString(value);
	list = cJSON_CreateArray();
	for (value++; *value && *value != ']'; value += strspn(value, ", ")) {
		char item[1024];
		int length = (int)strcspn(value, ",]");

		snprintf(item, sizeof(item), "%.*s", length, value);
		cJSON_AddItemToArray(list, cJSON_CreateString(item));
		value += length;
	}
	return list;
}

/* The options as members, "key-usage" as "key_usage". */
static cJSON *section_json(const Section *s)
{
	cJSON *o = cJSON_CreateObject();

	cJSON_AddStringToObject(o, "name", s->name);
	if (s->module[0])
		cJSON_AddStringToObject(o, "protocol", s->module);
	for (size_t i = 0; i < s->n_settings; i++) {
		char member[256];
		size_t n = 0;

		for (const char *at = s->settings[i]->name; *at && n + 1 < sizeof(member); at++)
			member[n++] = *at == '-' ? '_' : *at;
		member[n] = '\0';
		if (!cJSON_GetObjectItemCaseSensitive(o, member))
			cJSON_AddItemToObject(o, member, value_json(s->settings[i]->value));
	}
	return o;
}

static cJSON *endpoint_json(const Section *endpoint, const Reply *listeners)
{
	cJSON *o = section_json(endpoint);

	cJSON_AddItemToObject(o, "urls", urls_json(endpoint, listeners));
	return o;
}

static int list_sections(struct ctl *ctl, const Reply *reply, const Reply *listeners)
{
	struct list *list = NULL;
	int code = list_new(&list, ctl);
	bool more = code == CTL_DONE;

	for (size_t i = 0; more && i < reply->n_sections; i++) {
		const Section *s = reply->sections[i];

		more = list_add(list, listeners ? endpoint_json(s, listeners) : section_json(s));
	}
	return list_end(&list, code);
}

int ctl_profile_list(struct ctl *ctl)
{
	int code;
	OWNED_REPLY *reply = fetch(ctl, "profiles", &code);

	return code ? code : list_sections(ctl, reply, NULL);
}

int ctl_endpoint_list(struct ctl *ctl)
{
	int code;
	OWNED_REPLY *reply = fetch(ctl, "endpoints", &code);
	OWNED_REPLY *listeners = code ? NULL : fetch(ctl, "listeners", &code);

	return code ? code : list_sections(ctl, reply, listeners);
}

static const Section *find(const Reply *reply, const char *name)
{
	for (size_t i = 0; i < reply->n_sections; i++)
		if (strcmp(reply->sections[i]->name, name) == 0)
			return reply->sections[i];
	return NULL;
}

static void print_section(struct ctl *ctl, const Section *s)
{
	static const char *const headings[] = { "OPTION", "VALUE", "", NULL };
	struct print_table *table = print_table_new(ctl, headings);

	for (size_t i = 0; i < s->n_settings; i++) {
		const char *cells[] = { print_text(s->settings[i]->name), print_text(s->settings[i]->value),
					s->settings[i]->is_set ? "" : "by default", NULL };

		print_row(table, cells);
	}
	print_table_end(table, true);
}

int ctl_profile_show(struct ctl *ctl)
{
	int code;
	OWNED_REPLY *reply = fetch(ctl, "profiles", &code);
	const Section *s = code ? NULL : find(reply, ctl->arguments[0]);

	if (code)
		return code;
	if (!s)
		return ctl_fail(CTL_NOT_FOUND, ctl->arguments[0], "there is no profile of that name",
				"gatehouse profile list");
	if (is_json(ctl)) {
		cJSON *document = cJSON_CreateObject();

		cJSON_AddItemToObject(document, "profile", section_json(s));
		return print_json(document);
	}
	print_section(ctl, s);
	return CTL_DONE;
}

/* An endpoint and where it is; what is not there is told. */
static const Section *fetch_endpoint(struct ctl *ctl, Reply **endpoints, Reply **listeners, int *code)
{
	const Section *s;

	*endpoints = fetch(ctl, "endpoints", code);
	*listeners = *code ? NULL : fetch(ctl, "listeners", code);
	s = *code ? NULL : find(*endpoints, ctl->arguments[0]);
	if (!*code && !s)
		*code = ctl_fail(CTL_NOT_FOUND, ctl->arguments[0], "there is no endpoint of that name",
				 "gatehouse endpoint list");
	return s;
}

int ctl_endpoint_show(struct ctl *ctl)
{
	OWNED_REPLY *endpoints = NULL;
	OWNED_REPLY *listeners = NULL;
	int code;
	const Section *s = fetch_endpoint(ctl, &endpoints, &listeners, &code);
	const cJSON *url;

	if (code)
		return code;
	cJSON *o = endpoint_json(s, listeners);

	if (is_json(ctl)) {
		cJSON *document = cJSON_CreateObject();

		cJSON_AddItemToObject(document, "endpoint", o);
		return print_json(document);
	}
	printf("%-12s %s\n", "protocol", print_text(s->module));
	cJSON_ArrayForEach(url, cJSON_GetObjectItemCaseSensitive(o, "urls"))
		printf("%-12s %s\n", "url", print_text(url->valuestring));
	cJSON_Delete(o);
	puts("");
	print_section(ctl, s);
	return CTL_DONE;
}

static int no_such_client(const char *protocol, const char *client)
{
	OWNED_BUF why = BUF_INIT(1024);
	const char *name;

	buf_printf(&why, "the clients of the protocol %s are:", protocol);
	for (size_t i = 0; (name = snippet_client_at(protocol, i)); i++)
		buf_printf(&why, " %s", name);
	return ctl_fail(CTL_NOT_FOUND, client, buf_str(&why), NULL);
}

static int no_url(const char *endpoint, const cJSON *urls)
{
	return urls->child ? CTL_DONE
			   : ctl_fail(CTL_NOT_FOUND, endpoint, "no listener of this daemon serves this endpoint",
				      "add it to the endpoints of a listener");
}

/* A name that goes into a line that a shell will read. */
static bool is_dns_name(const char *name)
{
	size_t n = strlen(name);

	return n > 0 && n <= 253 && *name != '-' && name[strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-.")] == 0;
}

/* The first that has challenges made for this one, by the interface that is called like the client; NULL. */
static cJSON *find_mdm_urls(const Reply *endpoints, const Reply *listeners, const Section *served, const char *client)
{
	for (size_t i = 0; i < endpoints->n_sections; i++) {
		const Section *s = endpoints->sections[i];
		const char *is_on = setting(s, client);
		cJSON *urls;

		if (strcmp(s->module, "mdm") != 0 || strcmp(setting(s, "for"), served->name) != 0 || !is_on ||
		    strcmp(is_on, "true") != 0)
			continue;
		urls = urls_json(s, listeners);
		if (urls->child)
			return urls;
		cJSON_Delete(urls);
	}
	return NULL;
}

static int print_snippet(const Section *s, const char *client, const char *url, const char *name, const cJSON *mdm)
{
	const char *path = setting(s, "path"), *told = setting(s, "ca-certificates");
	const struct snippet_words words = { s->name, url, path ? path : "", name,
					     mdm ? mdm->child->valuestring : NULL, told && strcmp(told, "ca") == 0 };

	switch (snippet_print(stdout, s->module, client, &words)) {
	case SNIPPET_NO_CLIENT:
		return no_such_client(s->module, client);
	case SNIPPET_NO_LABEL:
		return ctl_fail(CTL_NOT_FOUND, client, "this client can use the default label alone",
				"an endpoint with the path /.well-known/est");
	case SNIPPET_NO_MDM:
		return ctl_fail(CTL_NOT_FOUND, client, "no endpoint has challenges made for this one",
				"an endpoint of protocol mdm; see docs/clients/mdm.md");
	default:
		return CTL_DONE;
	}
}

int ctl_endpoint_snippet(struct ctl *ctl)
{
	OWNED_REPLY *endpoints = NULL;
	OWNED_REPLY *listeners = NULL;
	int code;
	const Section *s = fetch_endpoint(ctl, &endpoints, &listeners, &code);
	const char *name = option_given(ctl, "domain") ? option_value(ctl, "domain") : "www.example.com";
	const char *client = ctl->arguments[1];
	cJSON *urls, *mdm;

	if (code)
		return code;
	/* What is typed is about the endpoint where devices enrol. */
	if (strcmp(s->module, "mdm") == 0 && find(endpoints, setting(s, "for")))
		s = find(endpoints, setting(s, "for"));
	if (!is_dns_name(name))
		return ctl_fail(CTL_USAGE, name, "that is no DNS name in small letters", NULL);
	urls = urls_json(s, listeners);
	code = no_url(s->name, urls);
	mdm = find_mdm_urls(endpoints, listeners, s, client);
	if (!code)
		code = print_snippet(s, client, urls->child->valuestring, name, mdm);
	cJSON_Delete(mdm);
	cJSON_Delete(urls);
	return code;
}
