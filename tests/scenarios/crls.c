/* Steps about CRLs: made and looked at as a client gets them through the door.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tests/scenarios/scenario.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include "core/base/clock.h"
#include "core/base/own.h"
#include "core/publish.h"
#include "core/store.h"
#include "tests/scenarios/duration.h"

static X509_CRL *get_crl(struct scenario *s, unsigned part, struct ca_crl *info)
{
	OWNED_BUF der = BUF_INIT(1u << 20);
	int e = ca_get_crl(s->rig.door, 0, part, &der, info);
	const uint8_t *p = der.ptr;
	X509_CRL *crl = e ? NULL : d2i_X509_CRL(NULL, &p, (long)der.len);

	if (!crl || p != der.ptr + der.len)
		scenario_fail(s, "there is no CRL of part %u (%d)", part, e);
	return crl;
}

static bool has_entry(struct scenario *s, X509_CRL *crl, const char *id)
{
	OWNED(ca_request) r = NULL;
	X509_REVOKED *entry = NULL;
	X509 *cert = NULL;
	const uint8_t *p;

	if (store_load(s->rig.core, strtoll(id, NULL, 10), &r) == 0) {
		p = r->certificate.ptr;
		cert = d2i_X509(NULL, &p, (long)r->certificate.len);
	}
	if (!cert) {
		scenario_fail(s, "request %s has no certificate", id);
		return false;
	}
	(void)X509_CRL_get0_by_cert(crl, &entry, cert);
	X509_free(cert);
	return entry != NULL;
}

static bool verifies(struct scenario *s, X509_CRL *crl)
{
	const uint8_t *p = s->rig.ca_certificate.ptr;
	X509 *ca = d2i_X509(NULL, &p, (long)s->rig.ca_certificate.len);
	bool answer = ca && X509_CRL_verify(crl, X509_get0_pubkey(ca)) == 1;

	X509_free(ca);
	return answer;
}

static bool is_at(const ASN1_TIME *t, const char *text)
{
	int64_t distance = (*text == '-' ? -1 : 1) * duration_ms(text + 1) / 1000;
	ASN1_TIME *wanted = ASN1_TIME_set(NULL, (time_t)(clock_wall_s() + distance));
	int days = 1, seconds = 1;
	bool answer = wanted && ASN1_TIME_diff(&days, &seconds, wanted, t) && days == 0 && seconds == 0;

	ASN1_TIME_free(wanted);
	return answer;
}

/* URLs with commas between them; NULL: there is none. */
static const char *partition_of(X509_CRL *crl, char out[static 256])
{
	ISSUING_DIST_POINT *point = X509_CRL_get_ext_d2i(crl, NID_issuing_distribution_point, NULL, NULL);
	size_t used = 0;

	if (!point)
		return NULL;
	for (int i = 0, type; i < sk_GENERAL_NAME_num(point->distpoint->name.fullname) && used < 256; i++)
		used += (size_t)snprintf(out + used, 256 - used, "%s%s", i ? "," : "",
					 (const char *)ASN1_STRING_get0_data(GENERAL_NAME_get0_value(
						 sk_GENERAL_NAME_value(point->distpoint->name.fullname, i), &type)));
	ISSUING_DIST_POINT_free(point);
	return out;
}

static long long number_of(X509_CRL *crl)
{
	ASN1_INTEGER *number = X509_CRL_get_ext_d2i(crl, NID_crl_number, NULL, NULL);
	long long n = number ? ASN1_INTEGER_get(number) : -1;

	ASN1_INTEGER_free(number);
	return n;
}

static bool holds(struct scenario *s, X509_CRL *crl, const struct ca_crl *info, const char *what, const char *text)
{
	STACK_OF(X509_REVOKED) *entries = X509_CRL_get_REVOKED(crl);
	char url[256];

	if (strcmp(what, "has") == 0 || strcmp(what, "lacks") == 0)
		return has_entry(s, crl, text) == (strcmp(what, "has") == 0);
	if (strcmp(what, "number") == 0)
		return number_of(crl) == atoll(text) && info->number == (uint64_t)atoll(text);
	if (strcmp(what, "entries") == 0)
		return (entries ? sk_X509_REVOKED_num(entries) : 0) == atoll(text);
	if (strcmp(what, "this") == 0)
		return is_at(X509_CRL_get0_lastUpdate(crl), text);
	if (strcmp(what, "next") == 0)
		return is_at(X509_CRL_get0_nextUpdate(crl), text);
	if (strcmp(what, "partition") == 0)
		return strcmp(partition_of(crl, url) ? url : "none", text) == 0;
	return strcmp(what, "verifies") == 0 && verifies(s, crl);
}

static void look(struct scenario *s, const struct step *step, size_t at)
{
	const char *part = step_value(step, "part");
	struct ca_crl info = { 0 };
	X509_CRL *crl = get_crl(s, part ? (unsigned)atoll(part) : 0, &info);
	const char *text = step->n > at + 1 ? step->words[at + 1] : "";

	if (crl && !holds(s, crl, &info, step->words[at], text))
		scenario_fail(s, "the CRL (number %lld) does not: %s %s", number_of(crl), step->words[at], text);
	X509_CRL_free(crl);
}

static void publish(struct scenario *s, const struct step *step)
{
	OWNED_CA_OUTCOME out = CA_OUTCOME_INIT;
	const char *by = step_value(step, "by"), *roles = step_value(step, "roles");
	bool is_officer = roles && strcmp(roles, "officer") == 0;
	struct ca_admin_caller who = { .name = by ? by : "unix:alice",
				       .roles = is_officer ? CA_ROLE_OFFICER : CA_ROLE_ADMINISTRATOR };
	int e = ca_admin_publish_crl(s->rig.core, &who, NULL, &out);
	const char *got = e == 0 ? "published" : e == CA_ADMIN_NOT_PERMITTED ? "not-permitted" :
					 e == CA_ADMIN_NO_ANSWER	       ? "no-answer" :
										 "failed";

	if (step->n_expected == 0 || strcmp(step->expected[0], got) != 0)
		scenario_fail(s, "crl publish: %s (%s)", got, out.reason);
}

void step_crl(struct scenario *s, const struct step *step)
{
	size_t at = step_value(step, "part") ? 2 : 1;

	if (step->n <= at)
		scenario_fail(s, "crl publish, settle, or what of it");
	else if (strcmp(step->words[1], "publish") == 0)
		publish(s, step);
	else if (strcmp(step->words[1], "settle") == 0)
		publisher_settle(s->rig.core->publisher);
	else
		look(s, step, at);
}
