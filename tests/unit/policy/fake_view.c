/* A view for policy modules that is plain data.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tests/test.h"

#include "tests/unit/policy/fake_view.h"

#include <errno.h>
#include <strings.h>

const char *ca_policy_get_text(const struct ca_policy_view *v, enum ca_property p)
{
	switch (p) {
	case CA_PROP_ENDPOINT:
		return v->endpoint;
	case CA_PROP_PROTOCOL:
		return v->protocol;
	case CA_PROP_PROFILE:
		return v->profile;
	case CA_PROP_REQUESTER:
		return v->requester;
	case CA_PROP_SOURCE_ADDRESS:
		return v->source;
	case CA_PROP_CSR_SUBJECT:
		return v->csr_subject;
	case CA_PROP_KEY_TYPE:
		return v->key;
	default:
		return NULL;
	}
}

int64_t ca_policy_get_number(const struct ca_policy_view *v, enum ca_property p)
{
	return p == CA_PROP_NOT_BEFORE ? v->not_before_s : p == CA_PROP_NOT_AFTER ? v->not_after_s : 0;
}

size_t ca_policy_count_names(const struct ca_policy_view *v)
{
	return v->n_names;
}

const struct ca_name *ca_policy_get_name(const struct ca_policy_view *v, size_t i)
{
	return i < v->n_names ? &v->names[i] : NULL;
}

const char *ca_policy_get_attribute(const struct ca_policy_view *v, const char *name)
{
	size_t i;

	for (i = 0; i < v->n_attributes; i++)
		if (strcasecmp(v->attributes[i].name, name) == 0)
			return v->attributes[i].value;
	return NULL;
}

unsigned ca_policy_count_approvals(const struct ca_policy_view *v, const char *rule)
{
	return v->approved_rule && strcmp(v->approved_rule, rule) == 0 ? v->approvals : 0;
}

bool ca_policy_is_renewal(const struct ca_policy_view *v)
{
	return v->is_renewal;
}

int ca_policy_set_subject(struct ca_policy_view *v, const char *component, const char *value)
{
	size_t len = strlen(v->subject);

	if (v->fails)
		return v->fails;
	snprintf(v->subject + len, sizeof(v->subject) - len, "%s%s=%s", len ? "," : "", component, value);
	return 0;
}

int ca_policy_set_not_after(struct ca_policy_view *v, int64_t seconds)
{
	if (v->fails)
		return v->fails;
	if (seconds > v->not_after_s)
		return -EPERM;
	v->not_after_s = seconds;
	return 0;
}

static struct ca_extension *find_extension(struct ca_policy_view *v, const char *oid)
{
	size_t i;

	for (i = 0; i < v->n_extensions; i++)
		if (strcmp(v->extensions[i].oid, oid) == 0)
			return &v->extensions[i];
	return NULL;
}

int ca_policy_enable_extension(struct ca_policy_view *v, const char *oid)
{
	struct ca_extension *e = find_extension(v, oid);
	size_t i;

	if (v->fails)
		return v->fails;
	for (i = 0; e && !v->is_resubmit && v->profile_oids[i]; i++) {
		if (strcmp(v->profile_oids[i], oid) != 0)
			continue;
		e->flags &= ~(unsigned)CA_EXT_DISABLED;
		return 0;
	}
	return -EPERM;
}

int ca_policy_disable_extension(struct ca_policy_view *v, const char *oid)
{
	struct ca_extension *e = find_extension(v, oid);

	if (v->fails)
		return v->fails;
	if (!e)
		return -EPERM;
	e->flags |= CA_EXT_DISABLED;
	return 0;
}

struct fixture fixture_start(const struct ca_policy_module *module, const char *text)
{
	const struct ca_module_env env = { "Test CA", "/nonexistent" };
	struct fixture f = { .module = module };
	struct conf_error error = { 0 };

	if (conf_parse(&f.conf, bytes_of_str(text), "t.yaml", module->options, &error) ||
	    module->init(&f.state, &env, conf_root(f.conf), &error))
		fail_msg("%s", error.text);
	return f;
}

void fixture_stop(struct fixture *f)
{
	f->module->fini(f->state);
	conf_drop(&f->conf);
}

void fixture_refuse(const struct ca_policy_module *module, const char *text, const char *message)
{
	const struct ca_module_env env = { "Test CA", "/nonexistent" };
	struct conf_error error = { 0 };
	struct conf *conf = NULL;
	void *state = NULL;
	int e = conf_parse(&conf, bytes_of_str(text), "t.yaml", module->options, &error);

	if (!e)
		e = module->init(&state, &env, conf_root(conf), &error);
	conf_drop(&conf);
	assert_int_equal(e, -EINVAL);
	assert_null(state);
	assert_string_equal(error.text, message);
}

struct ca_verdict fixture_ask(const struct fixture *f, struct ca_policy_view *v, enum ca_verify_cause cause)
{
	struct ca_verdict out = { .kind = -1 };

	assert_int_equal(f->module->verify(f->state, v, cause, &out), 0);
	return out;
}
