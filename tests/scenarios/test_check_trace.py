#!/usr/bin/env python3
"""Every rule of check_trace.py fires for a trace that breaks it, and stays silent for good ones.

SPDX-License-Identifier: Apache-2.0
"""

import json
import os
import subprocess
import sys
import tempfile

from check_trace import Checker

START = [("policy.init", 0, dict(module="p", ca="CA1", result=0)),
         ("exit.init", 0, dict(module="e1", ca="CA1", mask=0x3ff, result=0)),
         ("exit.init", 0, dict(module="e2", ca="CA1", mask=0x1, result=0))]
END = [("policy.fini", 0, dict(module="p")), ("exit.fini", 0, dict(module="e1")), ("exit.fini", 0, dict(module="e2"))]


def row(i):
    return ("row", i, dict(state="active", supersedes=0))


def verify(i, cause="new"):
    return ("verify", i, dict(cause=cause))


def verdict(i, word):
    return ("verdict", i, dict(verdict=word))


def commit(i, state, **more):
    return ("commit", i, dict(state=state, **more))


def told(i, word, module="e1"):
    return [("notify", i, dict(module=module, event_name=word)),
            ("notified", i, dict(module=module, event_name=word, result=0))]


def reply(i, disposition):
    return ("reply", i, dict(disposition=disposition))


def asked(i, word, cause="new"):
    return [verify(i, cause), verdict(i, word)]


def issue(i, serial="aa"):
    return [row(i), *asked(i, "issue"), commit(i, "active"), ("sign", i, {}), commit(i, "issued", serial=serial)]


def pend(i):
    return [row(i), *asked(i, "pend"), commit(i, "pending")]


GOOD = {
    "an issue": START + issue(1) + told(1, "issued") + [reply(1, 3)] + END,
    "held, asked again, denied": START + pend(1) + [reply(1, 5)] + told(1, "pending") + asked(1, "pend", "resubmit") +
    [commit(1, "pending")] + asked(1, "deny", "resubmit") + [commit(1, "denied", status="policy-denied")] + END,
    "an officer denies": START + pend(1) + [commit(1, "denied", status="admin-denied")] + told(1, "denied") + END,
    "a failure on a resubmit": START + pend(1) + asked(1, "failure", "resubmit") + [commit(1, "pending")] + END,
    "not readable": START + [row(1), commit(1, "error", status="bad-request"), reply(1, 1)] + END,
    "signer away and back": START + [row(1), *asked(1, "issue"), commit(1, "active"), ("recover", 1, {}),
                                     ("sign", 1, {}), commit(1, "issued", serial="aa")] + END,
    "two runs": [START + issue(1) + END, START + issue(2, "bb") + told(1, "issued") + END],
    "killed after a plan that has no line": [START + [row(1), *asked(1, "issue")],
                                             START + [("recover", 1, {}), ("sign", 1, {}),
                                                      commit(1, "issued", serial="aa")] + told(1, "issued") + END],
    "killed after an issue that has no line": [START + issue(1)[:-1], START + told(1, "issued") + END],
    "killed before anything was durable": [START + [row(1), verify(1)], START + issue(1) + END],
}

BAD = {
    "json": ["not json"],
    "sequence": START + [("skip", 0, {})] + issue(1),
    "init-order": [START[1], START[0]],
    "fini-once": START + END + END[:1],
    "row-once": START + pend(1) + [row(1)],
    "verify-inside": START + END + asked(1, "deny"),
    "verify-inside ": [verify(1)] + START,
    "verify-state": START + pend(1) + asked(1, "issue", "new"),
    "verify-state ": START + issue(1) + asked(1, "issue", "resubmit"),
    "verdict-asked": START + [row(1), verdict(1, "issue")],
    "verdict-stricter": START + [row(1), *asked(1, "deny"), ("verdict", 1, {"verdict": "issue", "by": "core"})],
    "recover-state": START + pend(1) + [("recover", 1, {})],
    "sign-planned": START + [row(1), *asked(1, "issue"), ("sign", 1, {})],
    "sign-verdict": START + [row(1), *asked(1, "pend"), commit(1, "active"), ("sign", 1, {})],
    "verify-before-commit": START + [row(1), verify(1), commit(1, "pending")],
    "transition": START + issue(1) + [commit(1, "pending")],
    "imported": START + pend(1) + [commit(1, "issued", serial="aa")],
    "transition ": START + [row(1), *asked(1, "deny"), commit(1, "denied"), *asked(1, "issue"), commit(1, "active")],
    "commit-verdict": START + [row(1), *asked(1, "issue"), commit(1, "denied", status="policy-denied")],
    "commit-verdict ": START + [row(1), *asked(1, "deny"), commit(1, "pending")],
    "commit-verdict  ": START + pend(1) + [commit(1, "denied", status="policy-denied")],
    "failure": START + [row(1), *asked(1, "failure"), commit(1, "denied", status="policy-denied")],
    "issued-signed": START + [row(1), *asked(1, "issue"), commit(1, "active"), commit(1, "issued", serial="aa")],
    "issued-once": START + issue(1) + [commit(1, "issued", serial="bb")],
    "serial": START + issue(1) + issue(2),
    "serial over runs": [START + issue(1) + END, START + issue(2) + END],
    "notify-overlap": START + issue(1) + [told(1, "issued")[0], told(1, "issued", "e2")[0]],
    "notify-mask": START + pend(1) + told(1, "pending", "e2"),
    "notify-commit": START + issue(1)[:-1] + told(1, "issued"),
    "notify-commit ": START + issue(1) + told(1, "retrieved"),
    "reply-commit": START + issue(1)[:-1] + [reply(1, 3)],
    "reply-commit ": START + pend(1) + [reply(1, 3)],
}


def lines_of(runs):
    if runs and isinstance(runs[0], tuple):
        runs = [runs]
    for events in runs:
        if isinstance(events, str):
            yield events
            continue
        sequence = 0
        for event, number, more in events:
            sequence += 2 if event == "skip" else 1
            yield json.dumps(dict(seq=sequence, ms=0, event=event, id=number, **more))


def main():
    failed = 0
    for name, runs in GOOD.items():
        for violation in Checker().run(lines_of(runs)):
            print(f"good trace '{name}': {violation}")
            failed += 1
    for name, runs in BAD.items():
        rule = name.split()[0]
        rules = {v[1] for v in Checker().run(lines_of(runs))}
        if rule not in rules:
            print(f"broken trace '{name}': {rule} did not fire, only {sorted(rules)}")
            failed += 1
    failed += not command_line_says_so()
    print(f"{len(GOOD)} good and {len(BAD)} broken traces, {failed} wrong")
    return 1 if failed else 0


def command_line_says_so():
    """Exit code and line number of the program itself."""
    program = os.path.join(os.path.dirname(os.path.abspath(__file__)), "check_trace.py")
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "trace")
        with open(path, "w", encoding="utf-8") as f:
            f.write("\n".join(lines_of(BAD["transition"])) + "\n")
        bad = subprocess.run([sys.executable, program, path], capture_output=True, text=True)
        with open(path, "w", encoding="utf-8") as f:
            f.write("\n".join(lines_of(GOOD["an issue"])) + "\n")
        good = subprocess.run([sys.executable, program, path], capture_output=True, text=True)
    ok = bad.returncode == 1 and f":{len(BAD['transition'])}: transition:" in bad.stdout and good.returncode == 0
    if not ok:
        print("the command line:", bad, good)
    return ok


if __name__ == "__main__":
    sys.exit(main())
