/* Completion: what may stand where the cursor is.
 *
 * The shells' scripts ask `gatehouse __complete -- WORDS`, the last word being the one that is typed, and get a line
 * for each candidate: the word, a tab, what it means. ":files" and ":folders" leave it to the shell.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/module.h"
#include "gateway/ctl/list.h"
#include "gateway/ctl/parse.h"
#include "gateway/ctl/print.h"
#include "gateway/ctl/snippet.h"

/* What was typed so far. */
struct typed {
	struct ctl *ctl;              /* for calls of the core */
	const char *const *words;     /* those that are no options and no values of them */
	int n_words;
	const struct option_row *open; /* the option whose value comes next; NULL: none */
	const char *prefix;           /* stands before each candidate: "--sort=" */
	const char *at;               /* what the candidates begin with */
	const struct noun_row *noun;
	const struct command *command;
};

static void offer(const struct typed *t, const char *word, const char *meaning)
{
	if (strncmp(word, t->at, strlen(t->at)) == 0)
		printf("%s%s\t%s\n", t->prefix, word, print_text(meaning));
}

static void offer_words(const struct typed *t)
{
	const struct command *c;
	const struct noun_row *noun;

	for (size_t i = 0; (c = command_at(i)); i++) {
		if (c->alias)
			offer(t, c->alias, c->summary);
		if (!*c->noun && !c->is_hidden)
			offer(t, c->verb, c->summary);
	}
	for (size_t i = 0; (noun = noun_at(i)); i++) {
		offer(t, noun->name, noun->summary);
		if (noun->also)
			offer(t, noun->also, noun->summary);
	}
}

static void offer_verbs(const struct typed *t, const struct noun_row *noun)
{
	const struct command *c;

	for (size_t i = 0; (c = command_at(i)); i++)
		if (strcmp(c->noun, noun->name) == 0 && !c->is_hidden)
			offer(t, c->verb, c->summary);
}

static void offer_options(struct typed *t)
{
	const struct option_row *o;

	t->prefix = "--";
	t->at += t->at[1] == '-' ? 2 : 1;
	for (size_t i = 0; t->command && (o = command_option_at(t->command, i)); i++)
		offer(t, o->name, o->summary);
	for (size_t i = 0; (o = common_option_at(i)); i++)
		offer(t, o->name, o->summary);
}

static void offer_choices(const struct typed *t, const char *choices)
{
	char word[64];

	while (*choices) {
		int length = (int)strcspn(choices, " ");

		snprintf(word, sizeof(word), "%.*s", length, choices);
		offer(t, word, "");
		choices += length + (choices[length] == ' ');
	}
}

/* Columns come in a list: what stands before the last comma stays. */
static void offer_columns(struct typed *t)
{
	const char *last = strrchr(t->at, ',');
	char before[512] = "";

	if (!t->command || !t->command->list)
		return;
	if (last || t->at[0] == '-')
		snprintf(before, sizeof(before), "%s%.*s", t->prefix, last ? (int)(last - t->at) + 1 : 1, t->at);
	t->at = last ? last + 1 : t->at + (t->at[0] == '-');
	t->prefix = *before ? before : t->prefix;
	for (const struct column *c = t->command->list->columns; c->name; c++)
		offer(t, c->name, "");
}

static void offer_requests(const struct typed *t)
{
	Gatehouse__Admin__ListRequests query = GATEHOUSE__ADMIN__LIST_REQUESTS__INIT;
	Gatehouse__Admin__Call call = GATEHOUSE__ADMIN__CALL__INIT;

	query.filter = (char *)"state=pending";
	query.limit = 200;
	call.what_case = GATEHOUSE__ADMIN__CALL__WHAT_LIST_REQUESTS;
	call.list_requests = &query;
	OWNED_REPLY *reply = ctl_call(t->ctl, &call);
	for (size_t i = 0; reply && i < reply->n_requests; i++)
		offer(t, print_number(reply->requests[i]->id), reply->requests[i]->subject);
}

static void offer_serials(const struct typed *t)
{
	Gatehouse__Admin__ListCertificates query = GATEHOUSE__ADMIN__LIST_CERTIFICATES__INIT;
	Gatehouse__Admin__Call call = GATEHOUSE__ADMIN__CALL__INIT;

	call.what_case = GATEHOUSE__ADMIN__CALL__WHAT_LIST_CERTIFICATES;
	call.list_certificates = &query;
	OWNED_REPLY *reply = ctl_call(t->ctl, &call);
	for (size_t i = 0; reply && i < reply->n_certificates; i++)
		offer(t, print_hex(reply->certificates[i]->serial), reply->certificates[i]->subject);
}

static void offer_cas(const struct typed *t)
{
	Gatehouse__Admin__ShowCa query = GATEHOUSE__ADMIN__SHOW_CA__INIT;
	Gatehouse__Admin__Call call = GATEHOUSE__ADMIN__CALL__INIT;

	call.what_case = GATEHOUSE__ADMIN__CALL__WHAT_SHOW_CA;
	call.show_ca = &query;
	OWNED_REPLY *reply = ctl_call(t->ctl, &call);
	for (size_t i = 0; reply && i < reply->n_cas; i++)
		offer(t, reply->cas[i]->name, reply->cas[i]->subject);
}

static void offer_sections(const struct typed *t, const char *list)
{
	Gatehouse__Admin__ListSections query = GATEHOUSE__ADMIN__LIST_SECTIONS__INIT;
	Gatehouse__Admin__Call call = GATEHOUSE__ADMIN__CALL__INIT;

	query.list = (char *)list;
	call.what_case = GATEHOUSE__ADMIN__CALL__WHAT_LIST_SECTIONS;
	call.list_sections = &query;
	OWNED_REPLY *reply = ctl_call(t->ctl, &call);
	for (size_t i = 0; reply && i < reply->n_sections; i++)
		offer(t, reply->sections[i]->name, reply->sections[i]->module);
}

static void offer_profiles(const struct typed *t)
{
	offer_sections(t, "profiles");
}

static void offer_endpoints(const struct typed *t)
{
	offer_sections(t, "endpoints");
}

static void offer_clients(const struct typed *t)
{
	const char *client;

	for (size_t i = 0; (client = snippet_client_at(NULL, i)); i++)
		offer(t, client, "");
}

static void offer_files(const struct typed *t)
{
	(void)t;
	puts(":files");
}

static void offer_folders(const struct typed *t)
{
	(void)t;
	puts(":folders");
}

/* By the word in capitals that stands for a value: "[REQUEST...]" is REQUEST. */
static void offer_values(struct typed *t, const char *word)
{
	static const struct {
		const char *word;
		void (*offer)(const struct typed *t);
	} kinds[] = {
		{ "REQUEST", offer_requests }, { "SERIAL", offer_serials }, { "CA", offer_cas },
		{ "FILE", offer_files },       { "PATH", offer_files },	    { "FOLDER", offer_folders },
		{ "COMMAND", offer_words },    { "PROFILE", offer_profiles }, { "ENDPOINT", offer_endpoints },
		{ "CLIENT", offer_clients },
	};
	size_t length = strspn(word += *word == '[', "ABCDEFGHIJKLMNOPQRSTUVWXYZ");

	if (length >= 6 && strncmp(word, "COLUMN", 6) == 0)
		offer_columns(t);
	for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++)
		if (strlen(kinds[i].word) == length && strncmp(kinds[i].word, word, length) == 0)
			kinds[i].offer(t);
}

static void offer_argument(struct typed *t)
{
	const char *at = t->command->arguments;
	int n = t->n_words - (t->noun ? 2 : 1);

	for (; n > 0 && at[strcspn(at, " ")]; n--)
		at += strcspn(at, " ") + 1;
	if (n == 0 || memmem(at, strcspn(at, " "), "...", 3))
		offer_values(t, at);
}

static const struct option_row *typed_option(const char *word)
{
	return word[0] != '-' || strchr(word, '=') ? NULL : parse_option(word);
}

/* Words, and the option that waits for its value. */
static void read_words(struct typed *t, const char *const *all, int n, const char **room)
{
	for (int i = 0; i < n; i++) {
		const struct option_row *o = t->open ? NULL : typed_option(all[i]);

		/* bash parts "--sort=age" into three words. */
		if (t->open && strcmp(all[i], "=") == 0)
			continue;
		if (t->open && strcmp(t->open->name, "socket") == 0)
			t->ctl->socket_path = all[i];
		if (!t->open && all[i][0] != '-')
			room[t->n_words++] = all[i];
		t->open = o && o->value ? o : NULL;
	}
	t->words = room;
	t->noun = t->n_words ? noun_find(room[0]) : NULL;
	if (t->noun && t->n_words > 1)
		t->command = command_find(t->noun->name, room[1]);
	else if (t->n_words && !t->noun)
		t->command = command_find(room[0], NULL);
}

/* "--sort=a": the value of an option in the same word. */
static void split_value(struct typed *t, char *whole)
{
	char *equals = t->at[0] == '-' ? strchr(whole, '=') : NULL;

	if (!equals)
		return;
	*equals = '\0';
	t->open = parse_option(whole);
	*equals = '=';
	t->at = t->at + (equals + 1 - whole);
	equals[1] = '\0';
	t->prefix = whole;
}

int ctl_complete(struct ctl *ctl)
{
	struct typed t = { .ctl = ctl, .prefix = "", .at = ctl->arguments[ctl->n_arguments - 1] };
	const char *room[CTL_WORDS_MAX];
	char whole[1024];
	int silence = open("/dev/null", O_WRONLY | O_CLOEXEC);

	/* Nobody wants to read while typing that there is no daemon. */
	if (silence >= 0)
		dup2(silence, STDERR_FILENO);
	snprintf(whole, sizeof(whole), "%s", t.at);
	read_words(&t, ctl->arguments, ctl->n_arguments - 1, room);
	if (t.open && strcmp(t.at, "=") == 0)
		t.at++;
	if (!t.open && strlen(t.at) < sizeof(whole))
		split_value(&t, whole);
	if (t.open && t.open->choices)
		offer_choices(&t, t.open->choices);
	else if (t.open)
		offer_values(&t, t.open->value ? t.open->value : "");
	else if (t.at[0] == '-')
		offer_options(&t);
	else if (t.n_words == 0)
		offer_words(&t);
	else if (t.noun && t.n_words == 1)
		offer_verbs(&t, t.noun);
	else if (t.command)
		offer_argument(&t);
	if (silence >= 0)
		close(silence);
	return CTL_DONE;
}

static const char bash_script[] =
	"# Completion of gatehouse for bash, made by `gatehouse completion bash`.\n"
	"_gatehouse() {\n"
	"\tlocal line current=${COMP_WORDS[COMP_CWORD]}\n"
	"\tCOMPREPLY=()\n"
	"\twhile IFS= read -r line; do\n"
	"\t\tcase $line in\n"
	"\t\t:files)\n"
	"\t\t\tcompopt -o filenames 2>/dev/null\n"
	"\t\t\tmapfile -t COMPREPLY < <(compgen -f -- \"$current\") ;;\n"
	"\t\t:folders)\n"
	"\t\t\tcompopt -o filenames 2>/dev/null\n"
	"\t\t\tmapfile -t COMPREPLY < <(compgen -d -- \"$current\") ;;\n"
	"\t\t*) COMPREPLY+=(\"${line%%$'\\t'*}\") ;;\n"
	"\t\tesac\n"
	"\tdone < <(\"${COMP_WORDS[0]}\" __complete -- \"${COMP_WORDS[@]:1:COMP_CWORD}\" 2>/dev/null)\n"
	"}\n"
	"complete -F _gatehouse gatehouse\n";

static const char zsh_script[] =
	"#compdef gatehouse\n"
	"# Completion of gatehouse for zsh, made by `gatehouse completion zsh`.\n"
	"_gatehouse() {\n"
	"\tlocal line\n"
	"\tlocal -a found\n"
	"\tfor line in \"${(@f)$(\"${words[1]}\" __complete -- \"${(@)words[2,CURRENT]}\" 2>/dev/null)}\"; do\n"
	"\t\tcase $line in\n"
	"\t\t:files) _files; return ;;\n"
	"\t\t:folders) _files -/; return ;;\n"
	"\t\t?*) found+=(\"${${line%%$'\\t'*}//:/\\\\:}:${line#*$'\\t'}\") ;;\n"
	"\t\tesac\n"
	"\tdone\n"
	"\t_describe gatehouse found\n"
	"}\n"
	"if [[ $funcstack[1] == _gatehouse ]]; then\n"
	"\t_gatehouse \"$@\"\n"
	"else\n"
	"\tcompdef _gatehouse gatehouse\n"
	"fi\n";

static const char fish_script[] =
	"# Completion of gatehouse for fish, made by `gatehouse completion fish`.\n"
	"function __gatehouse_complete\n"
	"\tset -l words (commandline -opc)\n"
	"\tset -l current (commandline -ct)\n"
	"\tfor line in ($words[1] __complete -- $words[2..-1] \"$current\" 2>/dev/null)\n"
	"\t\tswitch $line\n"
	"\t\t\tcase :files\n"
	"\t\t\t\t__fish_complete_path \"$current\"\n"
	"\t\t\tcase :folders\n"
	"\t\t\t\t__fish_complete_directories \"$current\"\n"
	"\t\t\tcase '*'\n"
	"\t\t\t\techo -- $line\n"
	"\t\tend\n"
	"\tend\n"
	"end\n"
	"complete -c gatehouse -f -a '(__gatehouse_complete)'\n";

int ctl_completion(struct ctl *ctl)
{
	static const struct {
		const char *shell, *script;
	} scripts[] = { { "bash", bash_script }, { "zsh", zsh_script }, { "fish", fish_script } };

	for (size_t i = 0; i < sizeof(scripts) / sizeof(*scripts); i++)
		if (strcmp(scripts[i].shell, ctl->arguments[0]) == 0)
			return fputs(scripts[i].script, stdout) < 0 ? CTL_FAILED : CTL_DONE;
	return ctl_fail(CTL_USAGE, ctl->arguments[0], "there is completion for bash, zsh and fish",
			"gatehouse completion bash");
}
