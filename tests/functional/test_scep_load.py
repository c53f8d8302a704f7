#!/usr/bin/python3
"""32 devices that enrol at once, again and again: each gets its certificate, no two of them the same, and when everything is
killed afterwards all of them are there."""
import concurrent.futures
import os
import signal

from gatehouse import LONG, check, gatehouse, main
from scep_client import add_scep, create_challenge
from scep_raw import SUCCESS, Scep, Sender, make_csr, pki_message

DEVICES = 32
EACH = 1000 if LONG else 20


def enrol(scep, challenge, device):
    """The serial numbers of what it got; a refusal is a failure, also one that says when to come again."""
    sender, serials = Sender(text=f"d{device}"), []
    for n in range(EACH):
        csr = make_csr(sender.key, f"d{device}-{n}.example", challenge)
        reply = scep.post(pki_message(sender, scep.envelope(csr), transaction=f"t{device}-{n}".encode()))
        check(reply.code == 200, f"device {device}, number {n}: {reply.code} {reply.body[:200]}")
        serials.append(reply.read(scep.ra).certificates(sender)[0].serial_number)
    return serials


def issued(g):
    return {int(c["serial"], 16) for c in g.tool_json("cert", "list")["certificates"] if c["state"] == "valid"}


def kill_all(g):
    """The supervisor first: nobody is to start the others again."""
    pids = list(g.processes().values())
    g.kill()
    for pid in pids:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass


def every_device_is_served():
    with gatehouse(lambda g: add_scep(g, {"scep": ""})) as g:
        scep = Scep(g, "scep")
        challenge = create_challenge(g, "scep", "dns:*.example", more=("--uses", "unlimited"))
        with concurrent.futures.ThreadPoolExecutor(DEVICES) as pool:
            given = [n for serials in pool.map(lambda d: enrol(scep, challenge, d), range(DEVICES)) for n in serials]
        kill_all(g)
        check(len(set(given)) == DEVICES * EACH, f"{len(given)} certificates, {len(set(given))} serial numbers")
        g.start()
        lost = set(given) - issued(g)
        check(not lost, f"{len(lost)} certificates were given out and are not in the store")
        print(f"  {len(given)} enrolments", flush=True)


def crowd(g, scep, device):
    """How many it got; the others were turned away."""
    secret = create_challenge(g, "scep", "dns:*.example", more=("--uses", "unlimited"))
    sender, got = Sender(text=f"c{device}"), 0
    for n in range(20):
        csr = make_csr(sender.key, f"c{device}-{n}.example", secret)
        reply = scep.post(pki_message(sender, scep.envelope(csr), transaction=f"c{device}-{n}".encode()))
        check(reply.code in (200, 503), f"{reply.code} {reply.body[:200]}")
        got += reply.code == 200 and reply.read(scep.ra).status == SUCCESS
    return got


def few_workers(g):
    add_scep(g, {"scep": ""})
    with open(g.config, "a", encoding="utf-8") as f:
        f.write("gateway:\n  workers: 8\n")


def who_is_turned_away_is_so_before_anything_is_issued():
    """Two may wait, twelve come: a certificate that is issued reaches its device."""
    with gatehouse(few_workers) as g:
        scep = Scep(g, "scep")
        with concurrent.futures.ThreadPoolExecutor(12) as pool:
            got = sum(pool.map(lambda d: crowd(g, scep, d), range(12)))
        made = len(g.tool_json("list", "via=scep and state=issued", "--limit", "1000")["requests"])
        check(0 < got == made, f"{made} were issued, {got} came")
        print(f"  {got} of 240", flush=True)


main([every_device_is_served, who_is_turned_away_is_so_before_anything_is_issued])
