#!/usr/bin/python3
"""What must not stand in the tree, and what every C file must have.

    words.py [ROOT]               the findings; exit 1 when there is one
    words.py --functions [ROOT]   a report: functions over 100 lines (with ctags, where it is installed); exit 0
"""
import json
import os
import re
import shutil
import subprocess
import sys

import source_tree

LINES_MAX = 1000
COLUMNS_MAX = 120
FUNCTION_MAX = 100

# Call → why not, and the files that may.
CALLS = {
    "curl_easy_init": ("every handle comes from one place, where it is locked down", ("gateway/validator/validator.c",)),
    "cJSON_GetObjectItem": ("compares names without case; take cJSON_GetObjectItemCaseSensitive", ()),
    "system": ("no shell", ()),
    "popen": ("no shell", ()),
    "strcpy": ("no bound; take snprintf, a buf, or memcpy with a checked length", ()),
    "strcat": ("no bound; take a buf", ()),
    "sprintf": ("no bound; take snprintf", ()),
    "vsprintf": ("no bound; take vsnprintf", ()),
    "strtok": ("keeps state between calls; take strsep or struct bytes", ()),
    "atoi": ("cannot say that it failed; take parse_u64 or strtol with its end", ()),
    "gets": ("no bound", ()),
}
CALL = re.compile(r"(?<![\w.>])(%s)\s*\(" % "|".join(CALLS))
PKCS7 = re.compile(r"\bPKCS7_\w+")
# Put together, so that this file does not find itself.
UNFINISHED = re.compile(r"\b(%s)\b" % "|".join(("TO" + "DO", "FIX" + "ME", "X" * 3)))
PRIVATE_KEY = re.compile("-----BEGIN" + " [A-Z0-9 ]*PRIVATE" + " KEY-----")
LICENCE = "SPDX-License-Identifier: Apache-2.0"


def check_calls(path, text):
    bare = source_tree.bare_c(text)
    for match in CALL.finditer(bare):
        why, places = CALLS[match.group(1)]
        if path not in places:
            yield bare.count("\n", 0, match.start()) + 1, f"{match.group(1)}(): {why}"
    for match in PKCS7.finditer(bare):
        yield bare.count("\n", 0, match.start()) + 1, f"{match.group()}: messages are read with CMS_ functions"


def check_shape(text):
    lines = text.split("\n")
    if LICENCE not in "\n".join(lines[:40]):
        yield 1, f"no line '{LICENCE}' in the first comment"
    if len(lines) - 1 > LINES_MAX:
        yield len(lines) - 1, f"{len(lines) - 1} lines; {LINES_MAX} at most"
    for number, line in enumerate(lines, 1):
        columns = len(line.expandtabs(8))
        if columns > COLUMNS_MAX:
            yield number, f"{columns} columns; {COLUMNS_MAX} at most"
        if line != line.rstrip():
            yield number, "blanks at the end of the line"


def check_any(text):
    for number, line in enumerate(text.split("\n"), 1):
        if UNFINISHED.search(line):
            yield number, f"'{UNFINISHED.search(line).group()}': finish it or take it out"
        if PRIVATE_KEY.search(line):
            yield number, "a private key; tests make theirs at run time"


def lint(root):
    findings = []
    for path in source_tree.files(root):
        text = source_tree.read(root, path)
        # What fuzzing found is data, whatever it spells.
        if text is None or path.startswith("tests/fuzz/corpus/"):
            continue
        found = list(check_any(text))
        if path.endswith((".c", ".h")):
            found += list(check_calls(path, text)) + list(check_shape(text))
        findings += [f"{path}:{line}: {what}" for line, what in sorted(found)]
    return findings


def long_functions(root):
    """["path:line: name has N lines"], or None without a ctags that can say it."""
    ctags = shutil.which("ctags")
    if not ctags:
        return None
    done = subprocess.run([ctags, "--output-format=json", "--languages=C", "--kinds-C=f", "--fields=+ne", "-f", "-",
                           *source_tree.c_files(root)], cwd=root, capture_output=True, text=True)
    if done.returncode:
        return None
    functions = []
    for line in done.stdout.splitlines():
        tag = json.loads(line)
        lines = tag.get("end", tag.get("line", 0)) - tag.get("line", 0) + 1
        if lines > FUNCTION_MAX:
            functions.append(f"{tag['path']}:{tag['line']}: {tag['name']} has {lines} lines")
    return functions


def main(arguments):
    if "--functions" in arguments:
        arguments.remove("--functions")
        functions = long_functions(source_tree.root_of(arguments))
        print("no ctags that prints JSON: no report" if functions is None else
              "\n".join(functions) or f"no function over {FUNCTION_MAX} lines")
        return
    source_tree.tell(lint(source_tree.root_of(arguments)), "findings")


if __name__ == "__main__":
    main(sys.argv)
