/* What is typed at clients: every template filled in, and no word left.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "gateway/ctl/snippet.h"

#include "tests/test.h"

static const struct snippet_words plain = { "est", "https://ca.example.com/.well-known/est", "/.well-known/est",
					    "www.example.com", NULL, false };
static const struct snippet_words labelled = { "est-lab", "https://[2001:db8::1]:8443/pki/.well-known/est/ca%3A1",
					       "/.well-known/est/ca%3A1", "www.example.com", NULL, false };

static char *print(const char *protocol, const char *client, const struct snippet_words *words, int wanted)
{
	char *text = NULL;
	size_t n;
	FILE *to = open_memstream(&text, &n);

	assert_int_equal(snippet_print(to, protocol, client, words), wanted);
	fclose(to);
	return text;
}

static void fills_in_every_word(void **state)
{
	/* Behind a blank, '=' or '>'; that of a property list is no word. */
	static const char *const words[] = { " URL\n", "=NAME", ">NAME", "ENDPOINT", "BASE", "HOST", "PORT", "LABEL",
					     ">URL</string", "ID1", "ID2", "^" };
	static const char *const protocols[] = { "acme", "est", "scep", "scep", "scep" };
	struct snippet_words with_mdm = plain, hiding = plain;
	const char *client;

	(void)state;
	with_mdm.mdm = "https://ca.example.com/certsrv";
	hiding.hides_ra = true;
	for (size_t p = 0; p < 5; p++)
		for (size_t i = 0; (client = snippet_client_at(protocols[p], i)); i++) {
			bool needs_mdm = strcmp(client, "ndes") == 0 && p != 3;
			char *text = print(protocols[p], client, p == 3 ? &with_mdm : p == 4 ? &hiding : &plain,
					   needs_mdm ? SNIPPET_NO_MDM : 0);

			if (needs_mdm) {
				free(text);
				continue;
			}

			assert_non_null(strstr(text, "www.example.com"));
			for (size_t w = 0; w < sizeof(words) / sizeof(*words); w++)
				assert_null(strstr(text, words[w]));
			assert_true(strncmp(text, "<?xml", 5) == 0 || !strchr(text, '?'));
			assert_int_equal(text[strlen(text) - 1], '\n');
			free(text);
		}
}

static void tells_of_the_file_where_the_certificate_is_not_told(void **state)
{
	static const char *const clients[] = { "strongswan", "certmonger", "sscep" };
	struct snippet_words hiding = plain;

	(void)state;
	hiding.hides_ra = true;
	for (size_t i = 0; i < sizeof(clients) / sizeof(*clients); i++) {
		char *told = print("scep", clients[i], &plain, 0), *hidden = print("scep", clients[i], &hiding, 0);

		assert_null(strstr(told, "cert export"));
		assert_non_null(strstr(hidden, "requester=gateway:ra:est')"));
		assert_non_null(strstr(hidden, "ra.pem"));
		assert_null(strstr(hidden, "--raout"));
		assert_null(strstr(hidden, "\n="));
		assert_null(strstr(told, "\n+"));
		free(told);
		free(hidden);
	}
}

static void tells_host_port_and_label_apart(void **state)
{
	char *text = print("est", "libest", &plain, 0);

	(void)state;
	assert_non_null(strstr(text, " -s ca.example.com -p 443 "));
	assert_null(strstr(text, "--path-seg"));
	free(text);
	text = print("est", "libest", &labelled, 0);
	assert_non_null(strstr(text, " -s [2001:db8::1] -p 8443 "));
	assert_non_null(strstr(text, "\n\t--path-seg ca%3A1 \\\n"));
	free(text);
	text = print("est", "aos-cx", &labelled, 0);
	assert_non_null(strstr(text, "    url https://[2001:db8::1]:8443/pki/.well-known/est\n"
				     "    arbitrary-label ca%3A1\n"));
	free(text);
	text = print("est", "strongswan", &plain, 0);
	assert_non_null(strstr(text, " --url https://ca.example.com --cacert "));
	free(text);
}

static void a_profile_for_apple_is_the_same_each_time(void **state)
{
	char *one = print("scep", "mobileconfig", &plain, 0), *two = print("scep", "mobileconfig", &plain, 0);
	struct snippet_words other = plain;
	char *three;

	(void)state;
	assert_string_equal(one, two);
	/* XML 1.0 2.5: a comment has no "--" inside. */
	assert_non_null(strstr(one, "<!-- "));
	assert_ptr_equal(strstr(strstr(one, "<!-- ") + 4, "--"), strstr(one, "-->"));
	assert_non_null(strstr(one, "<key>URL</key><string>https://ca.example.com/.well-known/est</string>"));
	other.name = "other.example.com";
	three = print("scep", "mobileconfig", &other, 0);
	assert_int_not_equal(strncmp(strstr(one, "PayloadUUID"), strstr(three, "PayloadUUID"), 60), 0);
	free(one);
	free(two);
	free(three);
}

static void mdm_systems_ask_where_challenges_are_made(void **state)
{
	struct snippet_words words = plain;
	char *fixed = print("scep", "jamf", &words, 0), *on_demand, *page;

	(void)state;
	words.mdm = "https://ca.example.com/certsrv";
	on_demand = print("scep", "jamf", &words, 0);
	page = print("scep", "ndes", &words, 0);
	assert_non_null(strstr(fixed, " Static\n"));
	assert_null(strstr(fixed, "/jamf"));
	assert_non_null(strstr(on_demand, " Dynamic\n"));
	assert_non_null(strstr(on_demand, "Webhook URL                    https://ca.example.com/certsrv/jamf\n"));
	assert_non_null(strstr(on_demand, "\nURL                            https://ca.example.com/.well-known/est\n"));
	assert_non_null(strstr(page, "# For MDM systems"));
	assert_non_null(strstr(page, "Admin URL  https://ca.example.com/certsrv/mscep_admin/\n"));
	free(fixed);
	free(on_demand);
	free(page);
}

static void says_what_it_has_not(void **state)
{
	(void)state;
	free(print("est", "strongswan", &labelled, SNIPPET_NO_LABEL));
	free(print("est", "certbot", &plain, SNIPPET_NO_CLIENT));
	free(print("scep", "curl", &plain, SNIPPET_NO_CLIENT));
	assert_null(snippet_client_at("cmp", 0));
	assert_string_equal(snippet_client_at(NULL, 0), "certbot");
	assert_string_equal(snippet_client_at("est", 0), "strongswan");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fills_in_every_word),
		cmocka_unit_test(tells_of_the_file_where_the_certificate_is_not_told),
		cmocka_unit_test(tells_host_port_and_label_apart),
		cmocka_unit_test(a_profile_for_apple_is_the_same_each_time),
		cmocka_unit_test(mdm_systems_ask_where_challenges_are_made),
		cmocka_unit_test(says_what_it_has_not),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
