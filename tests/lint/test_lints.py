#!/usr/bin/python3
"""The lints fire: each is shown a small tree that breaks its rules, and one that keeps them."""
import contextlib
import os
import sys
import tempfile
import unittest

sys.dont_write_bytecode = True

import layers
import options
import papers
import words

HEAD = "/* A file.\n *\n * SPDX-License-Identifier: Apache-2.0\n */\n"


@contextlib.contextmanager
def tree(**contents):
    """A tree of files; `core__state_c` is core/state.c."""
    with tempfile.TemporaryDirectory(prefix="gatehouse-lint-") as root:
        for name, text in contents.items():
            path = os.path.join(root, *name.split("__"))
            folder, base = os.path.split(path)
            stem, _, ending = base.rpartition("_")
            os.makedirs(folder, exist_ok=True)
            with open(os.path.join(folder, f"{stem}.{ending}"), "w") as f:
                f.write(text)
        yield root


class Layers(unittest.TestCase):
    DOOR = {"core__submit_h": "", "core__base__buf_h": ""}

    def finds(self, part, **contents):
        with tree(**{**self.DOOR, **contents}) as root:
            findings = layers.lint(root)
        self.assertEqual(len(findings), 1, findings)
        self.assertIn(part, findings[0])

    def passes(self, **contents):
        with tree(**{**self.DOOR, **contents}) as root:
            self.assertEqual(layers.lint(root), [])

    def test_lets_arrows_go_down(self):
        self.passes(gateway__loop_c='#include "core/submit.h"\n#include "core/base/buf.h"\n#include <uv.h>\n',
                    protocols__acme__acme_c='#include "core/submit.h"\n#include "protocols/adapter.h"\n',
                    protocols__adapter_h='#include "core/base/buf.h"\n',
                    core__state_c='#include "core/submit.h"\n#include <stdio.h>\n')

    def test_refuses_an_arrow_upward(self):
        self.finds("core/state.c:2:", core__state_c='\n#include "gateway/loop.h"\n', gateway__loop_h="")
        self.finds("not below", core__base__buf_c='#include "core/submit.h"\n')
        self.finds("not below", protocols__est_c='#include "gateway/loop.h"\n', gateway__loop_h="")

    def test_refuses_the_inside_of_the_core_from_outside(self):
        self.finds("not below", gateway__pages_c='#include "core/store.h"\n', core__store_h="")
        self.finds("not below", policy__rules__rules_c='#include "core/request.h"\n', core__request_h="")
        self.finds("not below", protocols__acme__order_c='#include "core/policy.h"\n', core__policy_h="")

    def test_refuses_a_module_that_looks_at_its_neighbour_or_at_the_other_door(self):
        self.finds("not below", policy__rules__rules_c='#include "policy/manual/manual.h"\n', policy__manual__manual_h="")
        self.finds("not below", exit__file__file_c='#include "core/policy.h"\n', core__policy_h="")

    def test_refuses_private_headers_elsewhere(self):
        self.finds("private", core__state_c='#include "core/base/db_int.h"\n', core__base__db_int_h="")
        self.passes(tests__unit__base__test_db_c='#include "core/base/db_int.h"\n', core__base__db_int_h="")
        self.finds("", tests__unit__policy__test_x_c='#include "core/base/db_int.h"\n', core__base__db_int_h="")

    def test_refuses_tests_that_reach_above_what_they_test(self):
        self.finds("not below", tests__unit__base__test_buf_c='#include "core/submit.h"\n')

    def test_refuses_libraries_out_of_their_place(self):
        self.finds("curl", gateway__tls_c="#include <curl/curl.h>\n")
        self.finds("sqlite3", core__store_c="#include <sqlite3.h>\n")
        self.finds("openssl", core__state_c="#include <openssl/x509.h>\n")
        self.finds("openssl", core__core_c="#include <openssl/evp.h>\n")
        self.finds("cjson", protocols__http_msg_c="#include <cjson/cJSON.h>\n")
        self.passes(core__keys_c="#include <openssl/crypto.h>\n")

    def test_refuses_a_library_behind_a_door(self):
        self.finds("plain data", core__submit_h='#include "core/x509/key.h"\n',
                   core__x509__key_h="#include <openssl/evp.h>\n")

    def test_refuses_relative_and_unknown_files(self):
        self.finds("from the root", core__state_c='#include "../core/submit.h"\n')
        self.finds("no such file", core__state_c='#include "core/nothing.h"\n')

    def test_reads_no_comments(self):
        self.passes(core__state_c='/* #include "gateway/loop.h" */\n/*\n#include "gateway/x.h"\n*/\n')


class Words(unittest.TestCase):
    def finds(self, part, text, name="core__state_c"):
        with tree(**{name: text}) as root:
            findings = words.lint(root)
        self.assertEqual(len(findings), 1, findings)
        self.assertIn(part, findings[0])

    def passes(self, text, name="core__state_c"):
        with tree(**{name: text}) as root:
            self.assertEqual(words.lint(root), [])

    def test_finds_each_forbidden_call(self):
        for call in words.CALLS:
            self.finds(f"state.c:6: {call}()", HEAD + f"\n\tr = {call}(a, b);\n")

    def test_lets_calls_of_other_names_be(self):
        self.passes(HEAD + "\tsnprintf(a, 1, b);\n\tasprintf(&a, b);\n\tmy_system(1);\n\tops->gets(a);\n"
                    "\tcJSON_GetObjectItemCaseSensitive(a, b);\n")

    def test_lets_the_one_place_make_handles(self):
        self.passes(HEAD + "\tCURL *c = curl_easy_init();\n", "gateway__validator__validator_c")

    def test_reads_no_comments_and_strings(self):
        self.passes(HEAD + '/* strcpy(a, b) */\n\tsay("strcat(a)");\n')

    def test_finds_pkcs7(self):
        self.finds("PKCS7_decrypt", HEAD + "\tPKCS7_decrypt(a);\n")

    def test_finds_what_is_unfinished_in_any_file(self):
        for word in ("TO" + "DO", "FIX" + "ME", "X" * 3):
            self.finds(word, HEAD + f"/* {word}: later */\n")
            self.finds(word, f"{word} later\n", "docs__page_md")
        self.passes(HEAD + '\tmkdtemp("/tmp/a-XXXXXX");\n')

    def test_finds_private_keys_in_any_file(self):
        for kind in ("", "EC ", "ENCRYPTED "):
            self.finds("private key", "-----BEGIN " + kind + "PRIVATE" + " KEY-----\n", "tests__fixtures__ca_pem")
        self.passes("-----BEGIN CERTIFICATE-----\n", "tests__fixtures__ca_pem")

    def test_finds_a_missing_licence(self):
        self.finds("SPDX", "/* A file. */\n")

    def test_finds_long_files_and_lines(self):
        self.finds("1001 lines", HEAD + "\n" * (1001 - HEAD.count("\n")))
        self.passes(HEAD + "\n" * (1000 - HEAD.count("\n")))
        self.finds("121 columns", HEAD + "\t" + "a" * 113 + "\n")
        self.passes(HEAD + "\t" + "a" * 112 + "\n")
        self.finds("end of the line", HEAD + "int a; \n")

    def test_reports_long_functions(self):
        text = HEAD + "int long_one(void)\n{\n" + "\tcall();\n" * 100 + "\treturn 0;\n}\nint short_one(void)\n{\n}\n"
        with tree(core__state_c=text) as root:
            functions = words.long_functions(root)
        if functions is None:
            self.skipTest("no ctags that prints JSON")
        self.assertEqual(functions, ["core/state.c:5: long_one has 104 lines"])


class Papers(unittest.TestCase):
    CODE = HEAD + "int ca_submit(void)\n{\n\treturn 0; /* gone_call() */\n}\n"

    def finds(self, part, text):
        with tree(core__state_c=self.CODE, docs__page_md=text) as root:
            findings = papers.lint(root)
        self.assertEqual(len(findings), 1, findings)
        self.assertIn(part, findings[0])

    def test_takes_what_is_there(self):
        with tree(core__state_c=self.CODE, docs__page_md="`ca_submit()`, `core/state.c`, `policy/NAME/NAME.c`\n"
                  "[x](../core/state.c) [y](https://example.org/)\n") as root:
            self.assertEqual(papers.lint(root), [])

    def test_finds_a_function_that_is_not_there(self):
        self.finds("page.md:2: there is no function gone_call()", "\n`gone_call()`\n")

    def test_finds_a_file_that_is_not_there(self):
        self.finds("no file core/gone.c", "`core/gone.c`\n")

    def test_finds_a_link_that_leads_nowhere(self):
        self.finds("leads nowhere", "[x](gone.md)\n")


class Options(unittest.TestCase):
    LISTED = "data: string, default /var\n    Folder.\n\ncas[].name: string, needed\n    Name.\n"

    def test_reads_what_the_daemon_prints(self):
        self.assertEqual(options.listed_options(self.LISTED), ["data", "cas[].name"])

    def test_finds_an_option_that_the_page_lacks(self):
        self.assertEqual(options.missing(["data", "cas[].name"], "*data*\n\tx\n*cas[].names*\n"), ["cas[].name"])
        self.assertEqual(options.missing(["data", "cas[].name"], "*cas[].name*, x\n*data*\n"), [])

    def test_finds_the_example_of_a_page(self):
        page = "x\n```\nno\n```\n\n# EXAMPLE\n\nText.\n\n```\ndata: /var\ncore: {}\n```\n\n# SEE ALSO\n"
        self.assertEqual(options.example(page), "data: /var\ncore: {}\n")

    def test_tells_what_the_daemon_refuses(self):
        with tree(daemon_sh="#!/bin/sh\ngrep -q good \"$3\" || { echo wrong >&2; exit 1; }\n") as root:
            daemon = os.path.join(root, "daemon.sh")
            os.chmod(daemon, 0o755)
            self.assertEqual(options.refused(daemon, "good\n"), "")
            self.assertEqual(options.refused(daemon, "bad\n"), "wrong")

    def test_reads_the_help_of_the_tool(self):
        text = "usage: x\n\n  pending             list\n       --yes   do not\n  ca show    [NAME]   show\n\nThe socket.\n"
        self.assertEqual(options.listed_words(text), ["ca show", "pending", "--yes"])


if __name__ == "__main__":
    unittest.main(verbosity=2)
