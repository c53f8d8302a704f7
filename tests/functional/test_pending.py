#!/usr/bin/python3
"""A held name: certbot waits, a person approves or denies, and exactly one certificate comes of one approval."""
from clients import Certbot
from gatehouse import DOMAIN, check, gatehouse, main

NAME = f"hold.{DOMAIN}"


def live_certificates(g, name):
    return [c for c in g.tool_json("cert", "list")["certificates"] if name in c["names"] and "revoked" not in c]


def words(timeline):
    return [line["text"].split()[0] for line in timeline]


def in_order(timeline, wanted):
    """Every wanted beginning of a line occurs, each after the one before."""
    at = 0
    for text in wanted:
        while at < len(timeline) and not timeline[at]["text"].startswith(text):
            at += 1
        check(at < len(timeline), f"the timeline has no '{text}' where it should be: {words(timeline)}")
        at += 1


def approved_while_certbot_waits():
    with gatehouse() as g:
        certbot = Certbot(g)
        process = certbot.start(NAME)
        request = g.wait_pending(NAME)
        shown = g.run_tool("pending").stdout
        check(NAME in shown and "hold" in shown, f"gatehouse pending does not show it: {shown}")
        g.run_tool("approve", str(request["id"]), code=2)
        g.run_tool("approve", str(request["id"]), "--digest", "00" * 32, code=6)
        g.run_tool("approve", str(request["id"]), "--digest", request["digest"])
        output, _ = process.communicate(timeout=100)
        check(process.returncode == 0, f"certbot: {output}")
        g.verify(certbot.path(NAME))
        check(len(live_certificates(g, NAME)) == 1, "one approval, one live certificate")
        timeline = g.timeline(request["id"])
        in_order(timeline, ["received via=acme endpoint=acme", "submit id=", "verify cause=new verdict=pend",
                            "approve by=unix:", "resubmit by=unix:", "verify cause=resubmit verdict=issue",
                            "sign serial=", "issued serial=", "notify module=file event=issued",
                            "inspect module=file read="])
        check(all(line["at"].startswith("20") and line["actor"] for line in timeline), "each line has time and actor")
        times = [line["at"] for line in timeline if line["text"].split()[0] not in ("notify", "inspect", "retrieved")]
        check(times == sorted(times), f"the times of the timeline do not grow: {times}")
        g.run_tool("approve", str(request["id"]), "--yes", code=6)


def ten_runs_then_approved_for_the_next():
    with gatehouse() as g:
        certbot = Certbot(g)
        for _ in range(10):
            code, output = certbot.get(NAME, timeout_s=1)
            check(code != 0, f"certbot must not get a held name: {output}")
            check(len([r for r in g.pending() if NAME in r["names"]]) == 1, "one pending row at any time")
        request = g.wait_pending(NAME)
        g.run_tool("approve", str(request["id"]), "--yes")
        certbot.must_get(NAME)
        g.verify(certbot.path(NAME))
        check(len(live_certificates(g, NAME)) == 1, f"one live certificate: {live_certificates(g, NAME)}")
        code, output = certbot.renew("--issuance-timeout", "1")
        check(code != 0, f"the approval was for one certificate, the renewal waits again: {output}")


def denied_with_a_reason():
    with gatehouse() as g:
        certbot = Certbot(g)
        # certbot 2.1 writes the server's reason to its log, and to the terminal with -vv only.
        process = certbot.start(NAME, verbose=True)
        request = g.wait_pending(NAME)
        g.run_tool("deny", str(request["id"]), "--reason", "not this name, ask the network team")
        output, _ = process.communicate(timeout=100)
        check(process.returncode != 0 and "not this name, ask the network team" in output, f"certbot said: {output}")
        timeline = g.timeline(request["id"])
        check("sign" not in words(timeline) and "issued" not in words(timeline), f"nothing was signed: {timeline}")
        in_order(timeline, ["received", "submit", "verify cause=new", "deny by=unix:", "denied status=admin-denied"])
        rows = len(g.requests())
        code, output = certbot.get(NAME, verbose=True)
        check(code != 0 and "not this name, ask the network team" in output, f"a repeat gets the reason too: {output}")
        check(len(g.requests()) == rows, "and makes no new row")
        g.run_tool("deny", str(request["id"]), code=6)
        g.run_tool("resubmit", str(request["id"]), code=6)
        g.run_tool("show", "999999", code=3)


def denied_by_policy():
    with gatehouse() as g:
        code, output = Certbot(g).get(f"deny.{DOMAIN}", verbose=True)
        check(code != 0 and "names that begin with deny are denied" in output, f"certbot said: {output}")
        request = [r for r in g.requests() if f"deny.{DOMAIN}" in r["names"]][0]
        check(request["state"] == "denied" and "sign" not in words(g.timeline(request["id"])), str(request))


RULES = """
        - name: with-ticket
          when: {names: ["hold*"], attribute: {ticket: "CHG-*"}}
          then: issue
        - name: hold
          when: {any-name: ["hold*"]}
          then: pend
          reason: a ticket is needed
        - name: all-others
          then: issue
"""


def an_attribute_changes_the_decision():
    with gatehouse(rules=RULES) as g:
        certbot = Certbot(g)
        process = certbot.start(NAME)
        number = str(g.wait_pending(NAME)["id"])
        g.run_tool("resubmit", number, code=5)
        g.run_tool("edit", number, "--set-attr", "ticket=CHG-4711")
        g.run_tool("resubmit", number)
        output, _ = process.communicate(timeout=100)
        check(process.returncode == 0, f"certbot: {output}")
        in_order(g.timeline(int(number)),
                 ["verify cause=new verdict=pend module=rules rule=hold", "resubmit by=unix:",
                  "verify cause=resubmit verdict=pend", "set-attribute by=unix:", "resubmit by=unix:",
                  "verify cause=resubmit verdict=issue module=rules rule=with-ticket", "sign", "issued"])


main([approved_while_certbot_waits, ten_runs_then_approved_for_the_next, denied_with_a_reason, denied_by_policy,
      an_attribute_changes_the_decision])
