#!/usr/bin/python3
"""Every trace test of the documented sequence, and every known weakness, has a test that is run.

A test says which trace test it is: "Trace test 26" in a scenario or a unit test, "trace test 34" in prose. The weaknesses
stand in the table below with the test that shows how each is prevented and a word that must stand in it.

    traces.py [ROOT]
"""
import os
import re
import sys

import source_tree

TRACES = range(1, 46)
NUMBER = re.compile(r"[Tt]race tests? ([0-9]+(?:(?:, | and )[0-9]+)*)")

SCENARIO = "tests/scenarios/80-weaknesses.scn"
# Which weakness, where it is tested, and a word of the test.
WEAKNESSES = [
    ("ESC1 the enrollee supplies names", SCENARIO, "ESC1"),
    ("ESC2 any purpose or none", SCENARIO, "ESC2"),
    ("ESC3 enrolment agents", "tests/unit/core/test_issue.c", "1.3.6.1.4.1.311.20.2.1"),
    ("ESC4 writable profiles", "tests/lint/traces.py", "WRITES"),
    ("ESC4 a writable configuration", "tests/unit/base/test_conf.c", "others may write to it"),
    ("ESC4 which configuration decided", "tests/functional/test_audit.py", "configuration="),
    ("ESC5 rights on the host", "tests/functional/test_processes.py", "five_processes_five_users"),
    ("ESC6 names from attributes", SCENARIO, "ESC6"),
    ("ESC7 managers of certificates", SCENARIO, "ESC7"),
    ("ESC8 relay without channel binding", "tests/scenarios/61-challenge.scn", "used"),
    ("ESC9, ESC16 a server's extension switched off", SCENARIO, "ESC9"),
    ("ESC10, ESC14 weak mapping", SCENARIO, "ESC10"),
    ("ESC11, CVE-2022-37976 plaintext management", "tests/functional/test_remote_core.py", "tls"),
    ("ESC12 secrets on the host", "tests/functional/test_secrets.py", "known_secrets_are_nowhere"),
    ("ESC13 issuance policies", SCENARIO, "ESC13"),
    ("ESC15 application policies", SCENARIO, "ESC15"),
    ("ESC17 server purpose and supplied names", SCENARIO, "ESC17"),
    ("CVE-2022-26923 a name changed later", SCENARIO, "Certifried"),
    ("static SCEP challenge", "tests/unit/core/test_credentials.c", "of_64_uses_of_a_challenge_at_once_one_wins"),
    ("golden certificate", SCENARIO, "Golden"),
    ("paths and commands of exit modules", "tests/unit/exit/test_file.c", "refuses_a_serial_that_is_no_number"),
    ("flooding of the queue", "tests/scenarios/55-pending-quota.scn", "pending-per-requester"),
    ("approver blindness", SCENARIO, "remembered"),
]

# ESC4: whoever may administer changes no configuration. A call that would begins with one of these.
WRITES = ("Profile", "Configuration", "Config", "Endpoint", "Policy", "Settings")


def read(root, path):
    with open(os.path.join(root, path), encoding="utf-8") as f:
        return f.read()


def is_run(root, path):
    """Does the meson.build of its folder name it?"""
    folder, name = os.path.split(path)
    stem = re.sub(r"^test_", "", os.path.splitext(name)[0])
    return re.search(rf"'({stem}|{name})'", read(root, os.path.join(folder, "meson.build"))) is not None


def claimed(root, paths):
    """Numbers of trace tests by the files that say they are them."""
    found = {}
    for path in paths:
        if not path.startswith("tests/") or not path.endswith((".scn", ".c")) or not is_run(root, path):
            continue
        text = re.sub(r"\n[ \t]*[#*][ \t]*", " ", read(root, path))
        for match in NUMBER.finditer(text):
            for number in re.findall("[0-9]+", match[1]):
                found.setdefault(int(number), []).append(path)
    return found


def missing_traces(root, paths):
    found = claimed(root, paths)
    for number in TRACES:
        if number not in found:
            yield f"trace test {number} has no scenario or unit test"


def missing_weaknesses(root):
    for what, path, word in WEAKNESSES:
        if not os.path.exists(os.path.join(root, path)):
            yield f"{path}: is not there; it tests {what}"
        elif word not in read(root, path) or not is_run(root, path):
            yield f"{path}: does not test {what}: '{word}' is not in it, or it is not run"


def writing_calls(root):
    body = re.search(r"message Call \{(.*?)\n\}", read(root, "core/wire/admin.proto"), re.S)[1]
    for name in re.findall(r"^\s+(\w+) \w+ = \d+;", body, re.M):
        if re.match("(Set|Add|Put|Write|Change)(%s)" % "|".join(WRITES), name):
            yield f"core/wire/admin.proto: {name} would change the configuration from outside of its file"


def main(root):
    findings = [*missing_traces(root, source_tree.files(root)), *missing_weaknesses(root), *writing_calls(root)]
    for finding in findings:
        print(finding)
    if findings:
        print(f"{len(findings)} findings")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1] if len(sys.argv) > 1 else os.path.join(os.path.dirname(__file__), "..", "..")))
