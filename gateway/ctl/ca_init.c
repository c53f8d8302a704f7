/* ca init: the key, the certificate, and a configuration to start with.
 *
 * It works without a running daemon: it opens the data folder itself.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/base64.h"
#include "core/base/clock.h"
#include "core/base/file.h"
#include "core/create.h"
#include "gateway/ctl/print.h"

#define DATA_DEFAULT "/var/lib/gatehouse"
#define NAME_DEFAULT "Gatehouse CA"

/* %1$s CA, %2$s data folder, %3$s domain, %4$s who runs the command */
static const char first_configuration[] =
	"# Gatehouse. Every option: gatehoused --list-options\n"
	"data: %2$s\n"
	"core:\n"
	"  admin-socket: /run/gatehouse/admin.sock\n"
	"  # Who does what at the admin socket, by user or %%group. Nobody decides about what he asked for himself.\n"
	"  administrators: [%4$s]\n"
	"  officers: [%4$s]\n"
	"  auditors: [%4$s]\n"
	"  operators: [%4$s]\n"
	"cas:\n"
	"  - name: %1$s\n"
	"    policy:\n"
	"      module: rules\n"
	"      default: deny\n"
	"      rules:\n"
	"        # The first rule that matches decides. Names that begin with 'admin' wait for a person.\n"
	"        - name: hold-admin-names\n"
	"          when: {any-name: [\"admin*\"]}\n"
	"          then: pend\n"
	"          reason: names of administrators are looked at by a person\n"
	"        # The gateway's own certificate is asked for like any other: its names must be among these.\n"
	"        - name: own-domain\n"
	"          when: {names: [\"*.%3$s\", \"%3$s\"]}\n"
	"          then: issue\n"
	"    # Where clients learn whether a certificate of this CA is revoked; it stands in every certificate.\n"
	"    status:\n"
	"      public-url: http://%3$s/status\n"
	"profiles:\n"
	"  - name: server\n"
	"    lifetime: 90d\n"
	"    ext-key-usage: [serverAuth]\n"
	"endpoints:\n"
	"  - name: acme\n"
	"    protocol: acme\n"
	"    path: /acme\n"
	"    ca: %1$s\n"
	"    profile: server\n"
	"  - name: status\n"
	"    protocol: status\n"
	"    path: /status\n"
	"    ca: %1$s\n"
	"listeners:\n"
	"  - name: public\n"
	"    address: 0.0.0.0\n"
	"    port: 443\n"
	"    names: [%3$s]\n"
	"    endpoints: [acme]\n"
	"  # Plain HTTP: who checks the certificate of a TLS server must not need TLS to do it.\n"
	"  - name: status\n"
	"    address: 0.0.0.0\n"
	"    port: 80\n"
	"    tls: false\n"
	"    http-1.0: true\n"
	"    names: [%3$s]\n"
	"    endpoints: [status]\n"
	"metrics:\n"
	"  port: 9180\n"
	"validator:\n"
	"  # Addresses that may be contacted to prove a name. Public ones may be; these are the private ranges.\n"
	"  # Loopback and link-local addresses are never contacted unless they are listed here.\n"
	"  allow: [10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16, \"fc00::/7\"]\n";

/* A YAML string that means exactly `text`. */
static int quote(struct buf *out, const char *text)
{
	buf_append_char(out, '"');
	for (; *text; text++) {
		if (*text == '"' || *text == '\\')
			buf_append_char(out, '\\');
		buf_append_char(out, *text);
	}
	return buf_append_char(out, '"');
}

static int write_configuration(const char *path, const char *ca, const char *data, const char *domain)
{
	OWNED_BUF name = BUF_INIT(1024);
	OWNED_BUF folder = BUF_INIT(8192);
	OWNED_BUF text = BUF_INIT(65536);
	OWNED_BUF user = BUF_INIT(1024);
	OWNED_BUF parent = BUF_INIT(PATH_MAX);
	const struct passwd *entry = getpwuid(geteuid());
	char *slash;

	if (access(path, F_OK) == 0)
		return -EEXIST;
	quote(&name, ca);
	quote(&folder, data);
	quote(&user, entry ? entry->pw_name : "root");
	buf_append_str(&parent, path);
	slash = strrchr(buf_str(&parent), '/');
	if (slash && slash != buf_str(&parent)) {
		*slash = '\0';
		file_make_folder(buf_str(&parent), 0755);
	}
	if (buf_printf(&text, first_configuration, buf_str(&name), buf_str(&folder), domain, buf_str(&user)))
		return -ENOMEM;
	return file_write_atomic_at(AT_FDCWD, path, buf_bytes(&text), 0644);
}

static void tell(const struct ctl *ctl, const struct ca_create_options *o, const struct buf *certificate,
		const char *config, bool wrote)
{
	ProtobufCBinaryData der = { certificate->len, certificate->ptr };

	if (is_json(ctl)) {
		cJSON *document = cJSON_CreateObject();

		cJSON_AddStringToObject(document, "ca", o->name);
		cJSON_AddStringToObject(document, "sha256", print_fingerprint(der));
		cJSON_AddStringToObject(document, "certificate", print_pem(der));
		print_json(document);
		return;
	}
	printf("CA '%s' is ready in %s.\n%-12s %s\n", print_text(o->name), print_text(o->data_folder), "sha-256",
	       print_fingerprint(der));
	if (wrote)
		printf("%-12s %s (look at names and rules in it)\n", "written", print_text(config));
	printf("%-12s gatehoused --config %s\n%-12s gatehouse ca show    (the certificate that clients must trust)\n",
	       "start", print_text(config), "then");
}

static int parse_days(const char *text, int64_t *seconds)
{
	char *end;
	long days = strtol(text, &end, 10);

	if (*end || days < 1 || days > 36500)
		return ctl_fail(CTL_USAGE, text, "--lifetime takes a number of days from 1 to 36500", NULL);
	*seconds = (int64_t)days * 86400;
	return CTL_DONE;
}

static const char *option_or(const struct ctl *ctl, const char *name, const char *otherwise)
{
	return option_given(ctl, name) ? option_value(ctl, name) : otherwise;
}

int ctl_ca_init(struct ctl *ctl)
{
	struct ca_create_options o = {
		.data_folder = option_or(ctl, "data", DATA_DEFAULT),
		.name = option_or(ctl, "name", NAME_DEFAULT),
		.organization = option_value(ctl, "organization"),
		.key_type = option_or(ctl, "key-type", "ec-p256"),
	};
	const char *config = option_or(ctl, "config", CTL_CONFIG_DEFAULT);
	OWNED_BUF certificate = BUF_INIT(65536);
	char why[CREATE_WHY_SIZE], host[256] = "localhost";
	int code = parse_days(option_or(ctl, "lifetime", "3650"), &o.lifetime_s);
	int e;

	if (code)
		return code;
	/* A path that means the same wherever the daemon starts. */
	if (o.data_folder[0] != '/')
		return ctl_fail(CTL_USAGE, o.data_folder, "the data folder must be an absolute path", NULL);
	umask(077);
	e = ca_create(&o, &certificate, why);
	if (e == CA_CREATE_EXISTS)
		return ctl_fail(CTL_WRONG_STATE, o.name, "this CA exists already; nothing was changed",
				"gatehouse ca show");
	if (e)
		return ctl_fail(CTL_FAILED, "the CA cannot be created", why[0] ? why : strerror(-e), NULL);
	gethostname(host, sizeof(host) - 1);
	e = write_configuration(config, o.name, o.data_folder, option_or(ctl, "domain", host));
	if (e && e != -EEXIST)
		code = ctl_fail(CTL_PARTLY, config, strerror(-e),
				"write the configuration by hand; gatehoused --list-options");
	tell(ctl, &o, &certificate, config, e == 0);
	return code;
}
