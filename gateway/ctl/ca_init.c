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
#include "gateway/ctl/ca.h"
#include "gateway/ctl/print.h"

/* %1$s CA, %2$s data folder, %3$s domain, %4$s who runs the command, %5$s where the key-encryption key comes from */
static const char first_configuration[] =
	"# Gatehouse. Every option: gatehoused --list-options\n"
	"data: %2$s\n"
	"core:\n"
	"  admin-socket: /run/gatehouse/admin.sock\n%5$s"
	"  # Who does what at the admin socket, by user or %%group. Nobody decides about what he asked for himself.\n"
	"  administrators: [%4$s]\n"
	"  officers: [%4$s]\n"
	"  officer-rights:\n"
	"    - {officer: %4$s, profiles: any}\n"
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
	"  - name: device\n"
	"    lifetime: 90d\n"
	"    ext-key-usage: [clientAuth, serverAuth]\n"
	"endpoints:\n"
	"  - name: acme\n"
	"    protocol: acme\n"
	"    path: /acme\n"
	"    ca: %1$s\n"
	"    profile: server\n"
	"  # Nobody may ask here before there is a user: gatehouse user create NAME --endpoint est --scope PATTERN\n"
	"  - name: est\n"
	"    protocol: est\n"
	"    path: /.well-known/est\n"
	"    ca: %1$s\n"
	"    profile: device\n"
	"  # For routers, phones and MDM systems; it also belongs to the endpoints of a plain listener, as 'status'\n"
	"  # is.\n"
	"  # Who may ask: gatehouse challenge create --endpoint scep --scope PATTERN\n"
	"  #- name: scep\n"
	"  #  protocol: scep\n"
	"  #  path: /scep\n"
	"  #  ca: %1$s\n"
	"  #  profile: device\n"
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
	"  # By itself, because it asks clients for a certificate, which ACME clients and browsers have no use for.\n"
	"  - name: est\n"
	"    address: 0.0.0.0\n"
	"    port: 8443\n"
	"    names: [%3$s]\n"
	"    endpoints: [est]\n"
	"  # Plain HTTP: who checks the certificate of a TLS server must not need TLS to do it.\n"
	"  - name: status\n"
	"    address: 0.0.0.0\n"
	"    port: 80\n"
	"    tls: false\n"
	"    http-1.0: true\n"
	"    request-line-max: 32768\n"
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

/* Where the key-encryption key comes from, as the daemon will read it. */
static void write_kek(struct buf *out, const struct kek_source *kek)
{
	const struct {
		const char *option, *value;
	} rows[] = { { "passphrase-file", kek->passphrase_file }, { "key-file", kek->key_file } };

	for (size_t i = 0; i < 2; i++) {
		if (!rows[i].value)
			continue;
		buf_printf(out, "  %s: ", rows[i].option);
		quote(out, rows[i].value);
		buf_append_char(out, '\n');
	}
	if (kek->prompts)
		buf_append_str(out, "  passphrase-prompt: true\n");
}

static int write_configuration(const char *path, const struct ca_create_options *o, const char *domain)
{
	OWNED_BUF kek = BUF_INIT(8192);
	OWNED_BUF name = BUF_INIT(1024);
	OWNED_BUF folder = BUF_INIT(8192);
	OWNED_BUF text = BUF_INIT(65536);
	OWNED_BUF user = BUF_INIT(1024);
	OWNED_BUF parent = BUF_INIT(PATH_MAX);
	const struct passwd *entry = getpwuid(geteuid());
	char *slash;

	if (access(path, F_OK) == 0)
		return -EEXIST;
	quote(&name, o->name);
	quote(&folder, o->data_folder);
	write_kek(&kek, &o->kek);
	quote(&user, entry ? entry->pw_name : "root");
	buf_append_str(&parent, path);
	slash = strrchr(buf_str(&parent), '/');
	if (slash && slash != buf_str(&parent)) {
		*slash = '\0';
		file_make_folder(buf_str(&parent), 0755);
	}
	if (buf_printf(&text, first_configuration, buf_str(&name), buf_str(&folder), domain, buf_str(&user),
		       buf_str(&kek)))
		return -ENOMEM;
	return file_write_atomic_at(AT_FDCWD, path, buf_bytes(&text), 0644);
}

static void tell_next(const struct ca_create_options *o, const char *config, bool wrote)
{
	if (wrote)
		printf("%-12s %s (look at names and rules in it)\n", "written", print_text(config));
	if (o->is_intermediate)
		return;
	printf("%-12s gatehoused --config %s\n%-12s gatehouse ca show    (the certificate that clients must trust)\n",
	       "start", print_text(config), "then");
}

static ProtobufCBinaryData data_of(const struct buf *b)
{
	return (ProtobufCBinaryData){ b->len, b->ptr };
}

static int init_offline(struct ctl *ctl, const struct ca_create_options *o, const struct ca_life_result *made)
{
	const char *config = ca_option_or(ctl, "config", CTL_CONFIG_DEFAULT);
	char host[256] = "localhost";
	int e, code = CTL_DONE;

	gethostname(host, sizeof(host) - 1);
	e = write_configuration(config, o, ca_option_or(ctl, "domain", host));
	if (e && e != -EEXIST)
		code = ctl_fail(CTL_PARTLY, config, strerror(-e),
				"write the configuration by hand; gatehoused --list-options");
	if (!is_json(ctl))
		printf("CA '%s' %s in %s.\n", print_text(o->name),
		       o->is_intermediate ? "waits for its certificate" : "is ready", print_text(o->data_folder));
	ca_tell_made(ctl, o->name, data_of(&made->certificate), data_of(&made->request));
	if (!is_json(ctl))
		tell_next(o, config, e == 0);
	return code;
}

static int init_online(struct ctl *ctl, const struct ca_create_options *o)
{
	Gatehouse__Admin__MakeCa make = GATEHOUSE__ADMIN__MAKE_CA__INIT;

	make.name = (char *)(uintptr_t)o->name;
	make.organization = (char *)(uintptr_t)(o->organization ? o->organization : "");
	make.key_type = (char *)(uintptr_t)o->key_type;
	make.lifetime_s = o->lifetime_s;
	make.intermediate = o->is_intermediate;
	return ca_make_online(ctl, &make, true);
}

int ctl_ca_init(struct ctl *ctl)
{
	struct ca_create_options o = {
		.name = ca_option_or(ctl, "name", CA_NAME_DEFAULT),
		.organization = option_value(ctl, "organization"),
		.key_type = ca_option_or(ctl, "key-type", "ec-p256"),
		.is_intermediate = option_given(ctl, "intermediate"),
	};
	struct ca_life_result made = CA_LIFE_RESULT_INIT;
	char why[CREATE_WHY_SIZE];
	int e, code = ca_parse_days(ca_option_or(ctl, "lifetime", "3650"), &o.lifetime_s);

	if (!code)
		code = ca_parse_place(ctl, &o);
	if (code)
		return code;
	umask(077);
	e = ca_is_asked_of_core(ctl) ? CA_CREATE_IN_USE : ca_create(&o, &made, why);
	if (ca_is_for_core(&o, e))
		code = init_online(ctl, &o);
	else
		code = e ? ca_tell_failure(e, "the CA cannot be created", why) : init_offline(ctl, &o, &made);
	ca_life_result_fini(&made);
	return code;
}
