#!/usr/bin/python3
"""32 devices that enrol at once, again and again: each gets its certificate, no two of them the same, and when everything is
killed afterwards all of them are there."""
import concurrent.futures
import os
import signal

from gatehouse import LONG, check, gatehouse, main
from scep_client import add_scep, create_challenge
from scep_raw import Scep, Sender, make_csr, pki_message

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


main([every_device_is_served])
