#!/usr/bin/env python3
"""Hold a trace of the core against the state table.

    check_trace.py [--quiet] FILE...

A trace is what `core: trace-file:` writes: one JSON object a line. A file may hold several runs of a daemon one after
the other, also of one that was killed; `policy.init` with a sequence number that starts anew marks the next run.
Every request is held against the table below; what breaks a rule is printed with its line number and the exit code
is 1. Otherwise counts are printed.

SPDX-License-Identifier: Apache-2.0
"""

import json
import sys
from collections import Counter

# The documented transitions, as commits show them: from -> what may be committed next. ACTIVE on its own is a plan:
# what will be signed is durable, and the request is neither held nor decided.
LEGAL = {
    None: {"active", "pending", "denied", "error", "issued", "foreign"},  # the last two: imported
    "active": {"issued", "error"},
    "pending": {"pending", "active", "denied", "issued"},  # issued: imported
    "foreign": set(),
    "issued": {"revoked"},
    "revoked": {"revoked", "issued"},  # revoked once more, or released from hold
    "denied": set(),
    "error": set(),
}

# Which verdict must stand behind a commit that decides.
NEEDS_VERDICT = {"active": {"issue"}, "denied": {"deny"}}

# Commits that no verdict stands behind: who caused them instead.
WITHOUT_VERDICT = {"admin-denied", "expired", "superseded", "withdrawn"}

HOLD = "certificateHold"

# A word of a notification and the commits that give rise to it.
EVENT_STATE = {"issued": "issued", "pending": "pending", "denied": "denied", "revoked": "revoked"}

BITS = {"issued": 0x1, "pending": 0x2, "denied": 0x4, "revoked": 0x8, "retrieved": 0x10, "crl-issued": 0x20,
        "shutdown": 0x40, "startup": 0x80, "imported": 0x200}

STATES_OF_REPLY = {0: {"active"}, 1: {"error"}, 2: {"denied"}, 3: {"issued"}, 5: {"pending"}, 6: {"revoked"}}


class Request:
    def __init__(self):
        self.state = None
        self.verdict = None      # of the verify that was not used up yet
        self.is_asked = False    # verify ran, its verdict is not there yet
        self.is_planned = False  # ACTIVE is durable
        self.is_signed = False
        self.is_recovered = False
        self.issued = 0
        self.reached = set()
        self.retrieved = 0
        self.revoked_for = None  # the reason of the last commit
        self.is_uncertain = False  # the run before was killed: a commit may lack its line


class Checker:
    """One file."""

    def __init__(self, name="trace"):
        self.name = name
        self.requests = {}
        self.serials = {}
        self.violations = []
        self.counts = Counter()
        self.line = 0
        self.crl_number = 0
        self.policies = 0
        self.new_run()

    def new_run(self):
        # A run that ended well has said so for each module that it started; a killed one may have committed what it
        # had no time to write down.
        self.follows_kill = self.counts["runs"] > 0 and self.policies > 0
        self.sequence = 0
        self.policies = 0        # modules that were started and not ended
        self.is_ended = False
        self.masks = {}
        self.notifying = None
        self.counts["runs"] += 1
        # What was not durable is gone; its number may be given again.
        for number, r in list(self.requests.items()):
            if r.state is None and not self.follows_kill:
                del self.requests[number]
                continue
            r.verdict, r.is_asked, r.is_signed, r.is_recovered = None, False, False, False
            r.is_uncertain = self.follows_kill

    def bad(self, rule, text):
        self.violations.append((self.line, rule, text))

    def request(self, number):
        if number not in self.requests:
            self.requests[number] = Request()
            self.requests[number].is_uncertain = self.follows_kill
        return self.requests[number]

    def settle(self, r, state, *before):
        """After a kill: a request that acts as if it were in `state` is in it, if it could have got there."""
        if r.is_uncertain and r.state != state and r.state in before:
            r.state = state
            r.reached.add(state)
            r.issued += state == "issued"
        return r.state == state

    # ---- one event each ----

    def on_policy_init(self, e):
        if e.get("result", 0) == 0:
            self.policies += 1

    def on_policy_fini(self, e):
        if self.policies == 0:
            self.bad("fini-once", "policy.fini without policy.init")
        self.policies -= 1
        self.is_ended = self.policies <= 0

    def on_exit_init(self, e):
        if not self.policies:
            self.bad("init-order", "exit.init before policy.init")
        if e.get("result", 0) == 0:
            self.masks[(e.get("ca"), e["module"])] = e["mask"]

    def on_row(self, e):
        r = self.requests.get(e["id"])
        if r and r.state is not None:
            self.bad("row-once", f"request {e['id']} got a second row")
        self.requests[e["id"]] = Request()

    def on_verify(self, e):
        r = self.request(e["id"])
        if self.policies <= 0:
            self.bad("verify-inside", f"request {e['id']}: verify " +
                     ("after policy.fini" if self.is_ended else "before policy.init"))
        if e.get("cause") == "new" and r.state is not None:
            self.bad("verify-state", f"request {e['id']}: verify cause=new in state {r.state}")
        if e.get("cause") == "resubmit" and not self.settle(r, "pending", None):
            self.bad("verify-state", f"request {e['id']}: verify cause=resubmit in state {r.state}")
        r.is_asked, r.verdict = True, None

    def on_verdict(self, e):
        r = self.request(e["id"])
        if e.get("by") == "core":
            # The core may only be stricter than policy: hold what policy would issue.
            if (r.verdict, e.get("verdict")) != ("issue", "pend"):
                self.bad("verdict-stricter", f"request {e['id']}: the core made {e.get('verdict')} of {r.verdict}")
            r.verdict = e.get("verdict")
            return
        if not r.is_asked:
            self.bad("verdict-asked", f"request {e['id']}: a verdict without verify")
        r.is_asked, r.verdict = False, e.get("verdict")

    def on_recover(self, e):
        r = self.request(e["id"])
        if not self.settle(r, "active", None, "pending"):
            self.bad("recover-state", f"request {e['id']}: recovered in state {r.state}")
        r.is_recovered = True

    def on_sign(self, e):
        r = self.request(e["id"])
        if r.state != "active":
            self.bad("sign-planned", f"request {e['id']}: signed in state {r.state}, nothing was durable")
        if r.verdict != "issue" and not r.is_recovered:
            self.bad("sign-verdict", f"request {e['id']}: signed without a verdict issue")
        r.is_signed = True

    def on_commit(self, e):
        number, state, status = e["id"], e["state"], e.get("status", "")
        r = self.request(number)
        if r.is_asked:
            self.bad("verify-before-commit", f"request {number}: committed {state} while policy was still asked")
        if r.is_uncertain and state in ("denied", "pending"):
            self.settle(r, "pending", None)
        if r.is_uncertain and state == "revoked":
            self.settle(r, "issued", None, "active")
        if r.is_uncertain and state == "issued" and e.get("reason"):
            self.settle(r, "revoked", None, "active", "issued")
        if state not in LEGAL.get(r.state, set()):
            self.bad("transition", f"request {number}: {r.state} -> {state}")
        self.check_verdict(number, r, state, status)
        if state in ("issued", "foreign") and r.state in (None, "pending"):
            self.check_imported(number, r, state, status)
        elif state == "issued" and r.state == "revoked":
            self.check_released(number, r, e)
        elif state == "issued":
            self.check_issued(number, r, e)
        if state == "revoked":
            self.check_revoked(number, r, e)
        if state != r.state or state == "pending":
            r.reached.add(state)
        if state not in ("active",):
            r.verdict = None
            r.is_signed = r.is_recovered = False
        r.state = state
        self.counts[state] += 1

    def check_verdict(self, number, r, state, status):
        if state in NEEDS_VERDICT and status not in WITHOUT_VERDICT and r.verdict not in NEEDS_VERDICT[state]:
            self.bad("commit-verdict", f"request {number}: committed {state} after verdict {r.verdict}")
        if state == "pending" and r.state is None and r.verdict != "pend":
            self.bad("commit-verdict", f"request {number}: held after verdict {r.verdict}")
        if state == "issued" and status != "imported" and r.state != "revoked" and r.verdict != "issue" and not r.is_recovered:
            self.bad("commit-verdict", f"request {number}: issued after verdict {r.verdict}")
        if r.verdict == "failure" and state not in ("error", "pending"):
            self.bad("failure", f"request {number}: policy failed and it is {state}")

    def check_imported(self, number, r, state, status):
        if status != "imported":
            self.bad("imported", f"request {number}: {r.state} -> {state}, and it was not imported")
        if r.is_asked or r.verdict:
            self.bad("imported", f"request {number}: policy was asked about what was imported")
        r.issued += state == "issued"

    def on_purge(self, e):
        r = self.requests.pop(e["id"], None)
        if r and r.state in ("active", "pending"):
            self.bad("purge", f"request {e['id']}: removed in state {r.state}")

    def on_publish(self, e):
        if e["number"] <= self.crl_number:
            self.bad("crl-number", f"CRL {e['number']} after {self.crl_number}")
        self.crl_number = e["number"]

    def check_released(self, number, r, e):
        if r.revoked_for not in (HOLD, None):
            self.bad("release-held", f"request {number}: released after {r.revoked_for}")
        if e.get("reason") != "removeFromCRL":
            self.bad("release-reason", f"request {number}: released with reason {e.get('reason')}")
        r.revoked_for = None

    def check_revoked(self, number, r, e):
        if e.get("reason") == HOLD and r.state == "revoked":
            self.bad("hold-valid", f"request {number}: held when it was revoked")
        r.revoked_for = e.get("reason")

    def check_issued(self, number, r, e):
        if not r.is_signed:
            self.bad("issued-signed", f"request {number}: issued without a signature")
        r.issued += 1
        if r.issued > 1:
            self.bad("issued-once", f"request {number}: issued {r.issued} times")
        serial = e.get("serial")
        if serial in self.serials:
            self.bad("serial", f"request {number}: serial {serial} belongs to request {self.serials[serial]}")
        self.serials[serial] = number

    def on_retrieve(self, e):
        self.request(e["id"]).retrieved += 1

    def on_notify(self, e):
        name, module, number = e["event_name"], e["module"], e["id"]
        if self.notifying is not None:
            self.bad("notify-overlap", f"{module} is told of {name} while {self.notifying} is being told")
        self.notifying = module
        masks = [m for (ca, label), m in self.masks.items() if label == module]
        if not any(m & BITS.get(name, 0) for m in masks):
            self.bad("notify-mask", f"{module} did not ask for {name}")
        self.counts["notifications"] += 1
        if number == 0:
            return
        r = self.request(number)
        if name in EVENT_STATE:
            self.settle(r, EVENT_STATE[name], None, "active", "pending", "issued")
        if name in EVENT_STATE and EVENT_STATE[name] not in r.reached:
            self.bad("notify-commit", f"request {number}: {module} is told of {name} before it is durable")
        if name == "retrieved" and not r.retrieved and not r.is_uncertain:
            self.bad("notify-commit", f"request {number}: {module} is told of a retrieval that was none")

    def on_notified(self, e):
        if self.notifying != e["module"]:
            self.bad("notify-overlap", f"{e['module']} was not being told")
        self.notifying = None

    def on_reply(self, e):
        r = self.request(e["id"])
        wanted = STATES_OF_REPLY.get(e.get("disposition"), set())
        for state in wanted:
            self.settle(r, state, None, "active", "pending", "issued")
        # Between the answer and its line an officer may already have moved the request on.
        if not (r.reached | ({r.state} if r.state else set())) & wanted:
            self.bad("reply-commit", f"request {e['id']}: answered {e.get('disposition')} in state {r.state}")
        self.counts["replies"] += 1

    # ---- the file ----

    def feed(self, text):
        self.line += 1
        try:
            e = json.loads(text)
        except ValueError:
            self.bad("json", "not a line of JSON")
            return
        self.counts["lines"] += 1
        if e["event"] == "policy.init" and e["seq"] <= self.sequence:
            self.new_run()
        if e["seq"] != self.sequence + 1:
            self.bad("sequence", f"{e['seq']} follows {self.sequence}")
        self.sequence = e["seq"]
        handler = getattr(self, "on_" + e["event"].replace(".", "_").replace("-", "_"), None)
        if handler:
            handler(e)

    def run(self, lines):
        for text in lines:
            if text.strip():
                self.feed(text)
            else:
                self.line += 1
        return self.violations


def main(arguments):
    quiet = "--quiet" in arguments
    files = [a for a in arguments if not a.startswith("--")]
    if not files:
        print(__doc__.strip().splitlines()[2].strip(), file=sys.stderr)
        return 2
    failed = False
    for name in files:
        checker = Checker(name)
        with open(name, encoding="utf-8", errors="replace") as f:
            checker.run(f)
        for line, rule, text in checker.violations:
            print(f"{name}:{line}: {rule}: {text}")
        failed = failed or bool(checker.violations)
        if not quiet:
            print(f"{name}: " + ", ".join(f"{n} {what}" for what, n in sorted(checker.counts.items())))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
