#!/usr/bin/python3
"""SCEP clients of Debian, unmodified, all against one listener: strongSwan's pki, certmonger and micromdm's."""
import os
import plistlib
import shutil
import subprocess
import time

from certmonger import Certmonger
from clients import told_of
from gatehouse import check, gatehouse, main
from scep_client import Strongswan, add_scep, create_challenge, key_of, read_certificate, run, url

ENDPOINTS = {"scep": "retry-after: 1s", "scep-other": "", "scep-old": "legacy: sha1-3des\nprofile: old",
             "scep-chain": "reply: chain", "scep-new": "ca-certificates: ra-only",
             "scep-3des": "ca-certificates: ra-only\nlegacy: sha1-3des",
             "scep-des": "ca-certificates: ra-only\nlegacy: des"}


def set_up(g):
    add_scep(g, ENDPOINTS, profiles="  - name: old\n    request-digest: sha1\n")



def issued(g):
    return g.metric("gatehouse_scep_issued_total")


# ---- strongSwan ----

def strongswan_enrols(g, pki):
    for endpoint in ("scep", "scep-chain"):
        client = pki if endpoint == "scep" else Strongswan(g, endpoint)
        pem, _ = client.enrol("router.example", create_challenge(g, endpoint, "dns:*.example"))
        g.verify(pem)


def strongswan_with_every_algorithm(g, pki):
    old = Strongswan(g, "scep-old")
    for client, endpoint, more in [(pki, "scep", ("--digest", d)) for d in ("sha256", "sha384", "sha512")] + \
            [(old, "scep-old", ("--digest", "sha1")), (old, "scep-old", ("--cipher", "des3")),
             (old, "scep-old", ("--digest", "sha1", "--cipher", "des3"))]:
        pem, _ = client.enrol("algorithms.example", create_challenge(g, endpoint, "dns:*.example"), more)
        g.verify(pem)


def strongswan_is_refused(g, pki):
    """Without an algorithm that is taken here, with challenges that are none, and with a name that policy denies."""
    spent = create_challenge(g, "scep", "dns:*.example")
    pki.enrol("first.example", spent)
    good = create_challenge(g, "scep", "dns:*.example")
    before = issued(g)
    for name, challenge, more in (
            ("no.example", "wrong-challenge", ()),
            ("no.example", None, ()),
            ("no.example", spent, ()),
            ("no.example", create_challenge(g, "scep-other", "dns:*.example"), ()),
            ("no.elsewhere", good, ()),
            ("deny-no.example", good, ())):
        pki.fail(name, challenge, more)
    check(issued(g) == before, f"issued all the same: {g.log_tail()}")


def polls(g):
    return g.metric("gatehouse_scep_pending_total")


def wait_for_polls(g, n):
    """Until so many times somebody was told to come back."""
    end = time.monotonic() + 120
    while polls(g) < n:
        check(time.monotonic() < end, f"nobody asks again: {g.log_tail()}")
        time.sleep(0.1)


def strongswan_polls_until_it_is_approved(g, pki):
    """By CertPoll, which is one request however often it comes."""
    name = "hold-swan.example"
    before = polls(g)
    process = pki.start(name, create_challenge(g, "scep", "dns:*.example"), ("--interval", "1", "--maxpolltime", "100"))
    request = g.wait_pending(name)
    wait_for_polls(g, before + 3)
    check(process.poll() is None and [r["id"] for r in g.pending() if name in r["names"]] == [request["id"]],
          f"it ended, or it is not one request: {g.log_tail()}")
    g.run_tool("approve", str(request["id"]), "--yes")
    code, out, said = pki.end(process)
    check(code == 0, f"pki --scep ended with {code}: {said}{g.log_tail()}")
    g.verify(pki.save(name + ".pem", out))
    check(any("retrieved state=issued" in line["text"] for line in g.timeline(request["id"])), "nobody collected it")


def strongswan_is_denied_while_it_polls(g, pki):
    name = "hold-no-swan.example"
    before = polls(g)
    process = pki.start(name, create_challenge(g, "scep", "dns:*.example"), ("--interval", "1", "--maxpolltime", "100"))
    request = g.wait_pending(name)
    wait_for_polls(g, before + 2)
    g.run_tool("deny", str(request["id"]), "--reason", "not this swan")
    code, out, said = pki.end(process)
    check(code != 0 and not out, f"denied while it polls: {code} {out}{said}")
    with open(g.log_path, encoding="utf-8", errors="replace") as f:
        refusals = [line for line in f if "event=scep.refused" in line and "not this swan" in line]
    check(len(refusals) == 1 and "type=CertPoll" in refusals[0], f"{refusals} {said}{g.log_tail()}")


def strongswan_renews(g, pki):
    """With a key of its own and the certificate that is replaced: no challenge is needed."""
    name = "renew.example"
    pem, key = pki.enrol(name, create_challenge(g, "scep", "dns:*.example"))
    first = read_certificate(pem)
    old_pem, old_key = shutil.copy(pem, pki.file("old.pem")), shutil.copy(key, pki.file("old.key"))
    pem, key = pki.enrol(name, None, ("--cert", old_pem, "--key", old_key))
    g.verify(pem)
    second = read_certificate(pem)
    check(second.serial_number != first.serial_number and key_of(second) != key_of(first), "it is a new one")
    pki.fail("another.example", None, ("--cert", pem, "--key", key))


def strongswan(g):
    pki = Strongswan(g, "scep")
    for test in (strongswan_enrols, strongswan_with_every_algorithm, strongswan_is_refused,
                 strongswan_polls_until_it_is_approved, strongswan_is_denied_while_it_polls, strongswan_renews):
        test(g, pki)


# ---- certmonger ----

def certmonger_enrols_and_renews(g, monger):
    name = "monger.example"
    pem = monger.request("gatehouse", name, create_challenge(g, "scep", "dns:*.example"))
    monger.wait_state(name, "MONITORING")
    g.verify(pem)
    first = read_certificate(pem)
    # It sends the spent challenge again, which says nothing: the certificate speaks.
    for words in (("resubmit", "-i", name), ("resubmit", "-i", name), ("rekey", "-i", name)):
        before = read_certificate(pem)
        monger.getcert(*words)
        monger.wait(lambda before=before: read_certificate(pem).serial_number != before.serial_number, "renewed one")
        monger.wait_state(name, "MONITORING")
        g.verify(pem)
    check(key_of(read_certificate(pem)) != key_of(first), "another key")


def certmonger_waits_for_approval(g, monger):
    """The daemon is started again in between, and asks for the same request."""
    name = "hold-monger.example"
    pem = monger.request("gatehouse", name, create_challenge(g, "scep", "dns:*.example"))
    request = g.wait_pending(name)
    monger.wait_state(name, "CA_WORKING")
    before = polls(g)
    monger.stop()
    monger.start()
    monger.getcert("refresh", "-i", name)
    wait_for_polls(g, before + 1)
    check([r["id"] for r in g.pending() if name in r["names"]] == [request["id"]], "it is one request")
    g.run_tool("approve", str(request["id"]), "--yes")
    monger.getcert("refresh", "-i", name)
    monger.wait_state(name, "MONITORING")
    g.verify(pem)


def certmonger_is_refused(g, monger):
    for name, challenge in (("no-challenge.example", None), ("wrong-monger.example", "wrong-challenge"),
                            ("deny-monger.example", create_challenge(g, "scep", "dns:*.example"))):
        pem = monger.request("gatehouse", name, challenge)
        monger.wait_state(name, "CA_REJECTED")
        check(not os.path.exists(pem), f"{name} was issued")
    name = "hold-no-monger.example"
    monger.request("gatehouse", name, create_challenge(g, "scep", "dns:*.example"))
    request = g.wait_pending(name)
    monger.wait_state(name, "CA_WORKING")
    g.run_tool("deny", str(request["id"]), "--reason", "not this one")
    monger.getcert("refresh", "-i", name)
    monger.wait_state(name, "CA_REJECTED")


def certmonger(g):
    folder = os.path.join(g.folder, "certmonger")
    os.makedirs(folder)
    monger = Certmonger(folder)
    try:
        monger.add_ca("gatehouse", url(g, "scep"))
        for test in (certmonger_enrols_and_renews, certmonger_waits_for_approval, certmonger_is_refused):
            test(g, monger)
    finally:
        monger.stop()


# ---- micromdm ----

class Micromdm:
    """It signs with SHA-1 and encrypts with DES, whatever the capabilities say."""

    def __init__(self, g):
        self.g = g

    def run(self, endpoint, name, challenge):
        """(code, what it said, file of the certificate)"""
        folder = os.path.join(self.g.folder, "micromdm-" + endpoint)  # where it keeps its request, too
        os.makedirs(folder)
        pem = os.path.join(folder, name + ".pem")
        done = subprocess.run(["scepclient", "-server-url", url(self.g, endpoint), "-challenge", challenge, "-cn", name,
                               "-private-key", os.path.join(folder, name + ".key"), "-certificate", pem],
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120, cwd=folder,
                              check=False)
        return done.returncode, done.stdout + done.stderr, pem


def micromdm(g):
    """It encrypts to every certificate that GetCACert brings, so this is the RA certificate by itself."""
    client = Micromdm(g)
    for endpoint in ("scep-new", "scep-3des"):
        at = os.path.getsize(g.log_path)
        code, said, pem = client.run(endpoint, "old.example", create_challenge(g, endpoint, "any"))
        check(code != 0 and not os.path.exists(pem), f"{endpoint} took it: {said}")
        line = g.wait_log("scep.refused", at)
        check("badAlg" in said and "fail=badAlg" in line and "not taken here" in line, f"{said}{line}")
    code, said, pem = client.run("scep-des", "old.example", create_challenge(g, "scep-des", "any"))
    check(code == 0, f"scepclient ended with {code}: {said}{g.log_tail()}")
    g.verify(pem)


# ---- what the tool tells people to type ----

def type_snippet(g, client, folder, name, **more):
    said = g.run_tool("endpoint", "snippet", "scep", client, "--domain", name).stdout
    create = [line for line in said.splitlines() if "gatehouse challenge create" in line][0].split("gatehouse ")[1]
    challenge = g.tool_json(*create.split())["secret"]
    place, log = told_of(folder, "pki", "getcert")
    env = {**os.environ, **more, "challenge": challenge, "PATH": f"{place}:{os.environ['PATH']}"}
    run("sh", "-euc", said, cwd=folder, env=env)
    with open(log, encoding="utf-8") as f:
        arguments = f.read()
    check(name in arguments and challenge not in arguments, f"a challenge on a command line: {arguments}")
    g.verify(os.path.join(folder, name + ".pem"))


def snippets_run_as_they_are_printed(g):
    folder = os.path.join(g.folder, "typed")
    os.makedirs(folder)
    type_snippet(g, "strongswan", folder, "typed-swan.example")
    later = [line[1:] for line in g.run_tool("endpoint", "snippet", "scep", "strongswan").stdout.splitlines()]
    check(any("--cert www.example.com.pem --key www.example.com.key" in line for line in later), str(later))
    folder = os.path.join(g.folder, "typed-monger")
    os.makedirs(folder)
    monger = Certmonger(folder)
    try:
        type_snippet(g, "certmonger", folder, "typed-monger.example",
                     CERTMONGER_PVT_ADDRESS=monger.environment["CERTMONGER_PVT_ADDRESS"])
    finally:
        monger.stop()
    for client in "sscep", "ios", "junos", "jamf":
        check(url(g, "scep") in g.run_tool("endpoint", "snippet", "scep", client).stdout, client)
    profile = plistlib.loads(g.run_tool("endpoint", "snippet", "scep", "mobileconfig").stdout.encode())
    check(profile["PayloadContent"][0]["PayloadContent"]["URL"] == url(g, "scep"), str(profile))


def clients_enrol():
    with gatehouse(set_up) as g:
        for test in (strongswan, certmonger, micromdm, snippets_run_as_they_are_printed):
            test(g)


main([clients_enrol])
