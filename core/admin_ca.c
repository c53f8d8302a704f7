/* The administrator's calls about CAs: show them, and steps in the life of their keys (core/lifecycle.h).
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "core/admin_int.h"

#include <errno.h>
#include <strings.h>

#include "core/keys.h"
#include "core/lifecycle.h"
#include "core/store.h"

/* ---- show ---- */

static ProtobufCBinaryData data_of(struct bytes octets)
{
	return (ProtobufCBinaryData){ .len = octets.len, .data = (uint8_t *)octets.ptr };
}

static const char *const key_states[] = {
	[CA_KEY_WAITING] = "waiting",
	[CA_KEY_CURRENT] = "current",
	[CA_KEY_OLD] = "old",
};

static int describe_key(const struct ca_key_row *row, struct arena *arena, Gatehouse__Admin__CaKey **out)
{
	Gatehouse__Admin__CaKey *k = arena_alloc(arena, sizeof(*k));

	if (!k)
		return -ENOMEM;
	gatehouse__admin__ca_key__init(k);
	k->index = row->position;
	k->state = (char *)key_states[row->state];
	k->certificate = data_of(arena_copy(arena, buf_bytes(&row->certificate)));
	if (row->state == CA_KEY_WAITING)
		k->request = data_of(arena_copy(arena, buf_bytes(&row->request)));
	if (row->certificate.len)
		certificate_dates(buf_bytes(&row->certificate), &k->not_before_s, &k->not_after_s);
	*out = k;
	return 0;
}

static int describe_keys(const struct ca *ca, struct arena *arena, Gatehouse__Admin__Ca *c)
{
	int e = 0;

	c->keys = arena_alloc(arena, CA_KEYS_MAX * sizeof(*c->keys));
	if (!c->keys)
		return -ENOMEM;
	while (!e && c->n_keys < CA_KEYS_MAX) {
		struct ca_key_row row;

		e = store_load_ca_key(ca->core->db, ca->name, SIGNER_PURPOSE_CA, c->n_keys, &row);
		if (!e)
			e = describe_key(&row, arena, &c->keys[c->n_keys]);
		c->n_keys += !e;
		ca_key_row_fini(&row);
	}
	return e == CA_CALL_NOT_FOUND ? 0 : e;
}

static int describe_crosses(const struct ca *ca, struct arena *arena, Gatehouse__Admin__Ca *c)
{
	c->crosses = arena_alloc(arena, (CA_CROSSES_MAX + 1) * sizeof(*c->crosses));
	if (!c->crosses)
		return -ENOMEM;
	for (unsigned i = 0; i < ca->n_crosses; i++)
		c->crosses[c->n_crosses++] = data_of(buf_bytes(&ca->crosses[i]->certificate));
	return 0;
}

static int describe_current(const struct ca *ca, struct arena *arena, Gatehouse__Admin__Ca *c)
{
	const struct ca_key *key = ca_current_key(ca);
	OWNED_BUF chain = BUF_INIT(1u << 20);
	char subject[1024] = "";
	int e = 0;

	if (key) {
		certificate_subject(buf_bytes(&key->certificate), subject, sizeof(subject));
		c->certificate = data_of(buf_bytes(&key->certificate));
		c->not_before_s = key->not_before_s;
		c->not_after_s = key->not_after_s;
		e = keys_append_chain(key, &chain);
		c->chain = data_of(arena_copy(arena, buf_bytes(&chain)));
	}
	c->subject = arena_strdup(arena, subject);
	return c->subject ? e : -ENOMEM;
}

static int describe_ca(const struct ca *ca, struct arena *arena, Gatehouse__Admin__Ca **out)
{
	Gatehouse__Admin__Ca *c = arena_alloc(arena, sizeof(*c));
	const char *trouble = keys_trouble(ca);
	int e;

	if (!c)
		return -ENOMEM;
	gatehouse__admin__ca__init(c);
	c->name = (char *)ca->name;
	c->policy = (char *)ca->policy->name;
	c->trouble = (char *)(trouble ? trouble : "");
	c->near_end = keys_near_end(ca);
	c->exits = arena_alloc(arena, (ca->n_exits + 1) * sizeof(*c->exits));
	if (!c->exits)
		return -ENOMEM;
	for (size_t i = 0; i < ca->n_exits; i++)
		c->exits[c->n_exits++] = ca->exits[i].label;
	e = describe_current(ca, arena, c);
	if (!e)
		e = describe_keys(ca, arena, c);
	if (!e)
		e = describe_crosses(ca, arena, c);
	*out = c;
	return e;
}

void admin_show_ca(const struct admin_ask *a)
{
	const char *wanted = a->call->show_ca->name;
	Gatehouse__Admin__Reply *reply = a->reply;
	int e = 0;

	reply->cas = arena_alloc(a->arena, a->core->n_cas * sizeof(*reply->cas));
	for (size_t i = 0; !e && reply->cas && i < a->core->n_cas; i++) {
		if (*wanted && strcasecmp(wanted, a->core->cas[i].name) != 0)
			continue;
		e = describe_ca(&a->core->cas[i], a->arena, &reply->cas[reply->n_cas]);
		reply->n_cas += !e;
	}
	if (e || !reply->cas)
		admin_failed(a, e ? e : -ENOMEM);
	else if (reply->n_cas == 0)
		admin_say(a, CA_ADMIN_NOT_FOUND, "there is no CA of that name");
}

/* ---- steps ---- */

static const struct {
	int outcome, answer;
} answers[] = {
	{ LIFE_EXISTS, CA_ADMIN_BAD_STATE },
	{ LIFE_NOT_FOUND, CA_ADMIN_NOT_FOUND },
	{ LIFE_WRONG_STATE, CA_ADMIN_BAD_STATE },
	{ LIFE_REFUSED, CA_ADMIN_INVALID },
};

static void answer(const struct admin_ask *a, const char *ca, int e, const char *why)
{
	struct ca *known = core_find_ca(a->core, ca);
	char *reason = arena_strdup(a->arena, why);

	/* One that is not configured yet is there after the next start. The step is in the store, so it is no failure
	 * when its key cannot be taken at once: who is told of one takes the step again. */
	if (!e && known && keys_refresh(known))
		admin_say(a, 0, "the key is stored; it is used as soon as the signer answers");
	if (e < 0 || !reason) {
		admin_failed(a, e ? e : -ENOMEM);
		return;
	}
	for (size_t i = 0; e && i < sizeof(answers) / sizeof(*answers); i++)
		if (answers[i].outcome == e)
			admin_say(a, answers[i].answer, reason);
}

static void answer_made(const struct admin_ask *a, const char *ca, int e, const struct ca_life_result *made,
			const char *why)
{
	Gatehouse__Admin__CaMade *m = arena_alloc(a->arena, sizeof(*m));

	if (!e && m) {
		gatehouse__admin__ca_made__init(m);
		m->certificate = data_of(arena_copy(a->arena, buf_bytes(&made->certificate)));
		m->request = data_of(arena_copy(a->arena, buf_bytes(&made->request)));
		a->reply->made = m;
	}
	answer(a, ca, e, why);
}

static struct ca_life life_of(const struct admin_ask *a, char *why)
{
	why[0] = '\0';
	return (struct ca_life){ .db = a->core->db, .signer = a->core->signer, .actor = a->who->name, .why = why };
}

/* As it is configured: names are compared without case, and a sealed key opens under the one it was made for. */
static const char *name_of(const struct admin_ask *a, const char *typed)
{
	const struct ca *known = core_find_ca(a->core, typed);

	return known ? known->name : typed;
}

static struct ca_life_plan plan_of(const struct admin_ask *a, const Gatehouse__Admin__MakeCa *m)
{
	return (struct ca_life_plan){
		.ca = name_of(a, m->name), .organization = *m->organization ? m->organization : NULL,
		.key_type = *m->key_type ? m->key_type : "ec-p256", .lifetime_s = m->lifetime_s,
		.is_intermediate = m->intermediate,
	};
}

typedef int life_step(const struct ca_life *life, const struct ca_life_plan *plan, struct ca_life_result *out);

static void make(const struct admin_ask *a, const Gatehouse__Admin__MakeCa *m, life_step *step)
{
	struct ca_life_result made = CA_LIFE_RESULT_INIT;
	char why[LIFE_WHY_SIZE];
	const struct ca_life life = life_of(a, why);
	const struct ca_life_plan plan = plan_of(a, m);

	if (m->lifetime_s < 86400 || m->lifetime_s > INT64_C(36500) * 86400)
		admin_say(a, CA_ADMIN_INVALID, "a CA certificate lives from 1 to 36500 days");
	else
		answer_made(a, m->name, step(&life, &plan, &made), &made, why);
	ca_life_result_fini(&made);
}

void admin_init_ca(const struct admin_ask *a)
{
	make(a, a->call->init_ca, life_create);
}

void admin_rollover_ca(const struct admin_ask *a)
{
	make(a, a->call->rollover_ca, life_rollover);
}

void admin_import_ca(const struct admin_ask *a)
{
	const Gatehouse__Admin__ImportCa *m = a->call->import_ca;
	char why[LIFE_WHY_SIZE];
	const struct ca_life life = life_of(a, why);
	int e = life_import(&life, name_of(a, m->name), bytes_of(m->certificates.data, m->certificates.len));

	answer(a, m->name, e, why);
}
