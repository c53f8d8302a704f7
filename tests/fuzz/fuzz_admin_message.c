/* What the administrator's tool sends: octets to a Call, and through the door of a core with requests, certificates and
 * credentials. The first octet says which roles the caller has.
 *
 * Whatever a message asks for: it is answered with a number of the contract and a sentence, in text that every reader
 * of protobuf takes; and what it did to the store breaks no promise that the independent checker knows.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/admin_call.h"
#include "core/base/log.h"
#include "core/base/own.h"
#include "core/credentials.h"
#include "core/wire/frame.h"
#include "core/x509/text.h"
#include "gateway/fsck/fsck.h"
#include "tests/scenarios/rig.h"

#define CHANGES_MAX 100 /* then a new core: what a message does depends on few before it */
#define IS_LIMITED 0x80 /* in the first octet: by officer-rights */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct rig rig;
static unsigned changes;

static void swallow(void *arg, const char *line)
{
}

static void expect(bool claim, const char *what)
{
	if (!claim) {
		fprintf(stderr, "%s\n", what);
		abort();
	}
}

/* ---- a core with something of everything ---- */

static const struct ca_admin_caller officer = { .name = "unix:bob", .roles = CA_ROLE_OFFICER };
static const struct ca_admin_caller administrator = { .name = "unix:eve", .roles = CA_ROLE_ADMINISTRATOR };

static int64_t submit(const char *name)
{
	OWNED_CA_OUTCOME out = CA_OUTCOME_INIT;

	expect(rig_submit(rig.door, "acme:1", name, name, &out) == 0 && out.id > 0, "nothing was submitted");
	return out.id;
}

static int64_t issue(const char *name)
{
	OWNED_CA_OUTCOME out = CA_OUTCOME_INIT;
	int64_t id = submit(name);

	expect(ca_admin_approve(rig.core, &officer, id, NULL, 0, &out) == 0 && out.disposition == CA_ISSUED,
	       "nothing was issued");
	return id;
}

static void make_credential(enum ca_evidence_kind kind, const char *name)
{
	const char *endpoint = RIG_ENDPOINT, *scope = "*.example";
	const struct credential_spec spec = { .kind = kind, .name = name, .endpoints = &endpoint, .n_endpoints = 1,
					      .scope = &scope, .n_scope = 1 };
	struct credential_made made;
	char why[CA_REASON_SIZE];

	expect(ca_admin_create_credential(rig.core, &administrator, &spec, &made, why) == 0, why);
}

/* 1 is pending, 2 issued, 3 revoked, 4 held, 5 denied. */
static void fill(void)
{
	OWNED_CA_OUTCOME out = CA_OUTCOME_INIT;
	struct ca_certificate_ref which = { 0 };

	submit("a.example");
	issue("b.example");
	which.request_id = issue("c.example");
	expect(ca_admin_revoke(rig.core, &officer, &which, CA_REASON_SUPERSEDED, 0, &out) == 0, out.reason);
	which.request_id = issue("d.example");
	expect(ca_admin_hold(rig.core, &officer, &which, &out) == 0, out.reason);
	expect(ca_admin_deny(rig.core, &officer, submit("e.example"), "no", &out) == 0, out.reason);
	make_credential(CA_EVIDENCE_EAB, NULL);
	make_credential(CA_EVIDENCE_CHALLENGE, NULL);
	make_credential(CA_EVIDENCE_TOKEN, NULL);
}

static void found(void *arg, const char *check, const char *text)
{
	fprintf(stderr, "%s: %s\n", check, text);
}

/* Is everything still as it was promised to be? */
static void check_store(void)
{
	char database[96], why[FSCK_WHY_SIZE] = "";
	const struct fsck_options options = { .database = database, .found = found };
	struct fsck_summary sum;

	snprintf(database, sizeof(database), "%s/core/core.db", rig.folder);
	expect(fsck_run(&options, &sum, why) == 0, why);
	expect(sum.findings == 0, "a message has broken what the store promises");
}

static void clean_up(void)
{
	check_store();
	rig_fini(&rig);
}

static void begin(void)
{
	const struct rig_settings settings = {
		.policy = "{module: manual}",
		.exits = "[]",
		.profile = "officer-names: allow, officer-extensions: [1.2.3.4], extensions: [1.2.3.4]",
		.cas = "{name: CA2, policy: {module: manual}, exits: []}",
	};
	struct conf_error error = { 0 };

	rig_init(&rig, &settings);
	expect(rig_start(&rig, &error) == 0, error.text);
	fill();
	changes = 0;
}

static void set_up(void)
{
	log_capture(swallow, NULL);
	begin();
	atexit(clean_up);
}

/* ---- answers ---- */

static void check_message(const ProtobufCMessage *m);

static void check_text(const char *text)
{
	struct bytes left = bytes_of_str(text);
	unsigned long character;

	while (left.len)
		expect(text_take(&left, &character), "a string of an answer is not UTF-8");
}

static void check_value(const ProtobufCFieldDescriptor *field, const void *value)
{
	if (field->type == PROTOBUF_C_TYPE_STRING)
		check_text(*(const char *const *)value);
	else if (field->type == PROTOBUF_C_TYPE_MESSAGE && *(const ProtobufCMessage *const *)value)
		check_message(*(const ProtobufCMessage *const *)value);
}

static void check_message(const ProtobufCMessage *m)
{
	for (unsigned i = 0; i < m->descriptor->n_fields; i++) {
		const ProtobufCFieldDescriptor *field = &m->descriptor->fields[i];
		const char *at = (const char *)m + field->offset;
		size_t n = field->label == PROTOBUF_C_LABEL_REPEATED ?
				   *(const size_t *)((const char *)m + field->quantifier_offset) : 0;

		if (field->label != PROTOBUF_C_LABEL_REPEATED)
			check_value(field, at);
		else if (field->type == PROTOBUF_C_TYPE_STRING || field->type == PROTOBUF_C_TYPE_MESSAGE)
			for (size_t j = 0; j < n; j++)
				check_value(field, *(const char *const *)at + j * sizeof(void *));
	}
}

/* Would it wait for something to happen? Nothing does. */
static bool waits(struct bytes message)
{
	Gatehouse__Admin__Call *call = gatehouse__admin__call__unpack(NULL, message.len, message.ptr);
	bool does = call && call->what_case == GATEHOUSE__ADMIN__CALL__WHAT_WATCH && call->watch->wait_ms > 0;

	gatehouse__admin__call__free_unpacked(call, NULL);
	return does;
}

static void ask(const struct ca_admin_caller *who, struct bytes message)
{
	OWNED(arena) arena = NULL;
	Gatehouse__Admin__Reply reply;
	int e;

	expect(arena_new(&arena, 16u << 20) == 0, "no arena");
	e = admin_answer(rig.core, who, message, arena, &reply);
	expect(e == 0 || e == -EBADMSG, "a message is neither answered nor none");
	if (e)
		return;
	expect(reply.outcome < 100, "a message caused a failure inside the core");
	expect(reply.outcome == 0 || reply.reason[0], "a refusal without a sentence");
	expect(who->roles || reply.outcome, "something is done for who has no role");
	check_message(&reply.base);
	changes += reply.outcome == 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct ca_admin_caller who = { .name = "unix:alice" };

	if (!rig.core)
		set_up();
	if (size == 0 || size > FRAME_MAX)
		return 0;
	who.roles = data[0] & 0x0f;
	who.is_limited = data[0] & IS_LIMITED;
	if (!waits(bytes_of(data + 1, size - 1)))
		ask(&who, bytes_of(data + 1, size - 1));
	if (changes < CHANGES_MAX)
		return 0;
	check_store();
	rig_fini(&rig);
	begin();
	return 0;
}
