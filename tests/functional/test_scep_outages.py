#!/usr/bin/python3
"""What SCEP does while something of ours is away: others do not feel it, and clients do not pay for it."""
import contextlib
import os
import signal
import ssl
import threading
import urllib.request

from gatehouse import check, gatehouse, main
from scep_client import add_scep, create_challenge, metric, wait
from scep_raw import SUCCESS, Scep, Sender, make_csr, new_key, pki_message

WORKERS = 8
WAITERS = WORKERS // 4
BURST = 40  # more than the core takes wrong ones from an address
ROUNDS = BURST // WORKERS + 1


def add(g):
    add_scep(g, {"scep": "", "few": f"failures-per-minute: 1\nfailures-burst: {BURST}"})
    with open(g.config, "a", encoding="utf-8") as f:
        f.write(f"gateway:\n  workers: {WORKERS}\n")


@contextlib.contextmanager
def hangs(g, role):
    pid = g.processes()[role]
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


class Messages:
    """Some that are posted at once, and the answers that came."""

    def __init__(self, scep, octets, n=WORKERS):
        self.replies = []
        self.threads = [threading.Thread(target=lambda: self.replies.append(scep.post(octets))) for _ in range(n)]
        for t in self.threads:
            t.start()

    def wait(self, n):
        wait(f"{n} messages are not answered", lambda: len(self.replies) >= n)

    def end(self):
        """{(code, text)}"""
        for t in self.threads:
            t.join()
        return {(r.code, r.body.decode(errors="replace").strip()) for r in self.replies}


def request(s, challenge, name="a.example.com", key=new_key()):
    sender = Sender(key)
    return pki_message(sender, s.envelope(make_csr(sender.key, name, challenge)))


def ask_acme(g):
    context = ssl.create_default_context(cafile=g.root)
    with urllib.request.urlopen(g.directory, context=context, timeout=60) as reply:
        return reply.status


CROWDED = (503, "too many messages wait for the certificate authority already")
SIGNER_AWAY = (503, "the signer of this registration authority does not answer at the moment")
CORE_AWAY = (503, "the CA does not answer at the moment")
LIMITED = (503, "too many wrong credentials; try again later")


def a_signer_that_hangs_holds_up_a_quarter(g):
    s = Scep(g, "scep")
    message = request(s, "x")
    with hangs(g, "ra-signer"):
        first = Messages(s, message)
        first.wait(WORKERS - WAITERS)
        check(ask_acme(g) == 200 and len(first.replies) <= WORKERS - WAITERS, "all of them waited")
        check(first.end() == {CROWDED, SIGNER_AWAY}, str(first.end()))
        wait("it is not known that the signer hangs", lambda: metric(g, "ra_signer_answers", "scep") == 0)
        then = Messages(s, message)
        then.wait(WORKERS - 1)
        check(ask_acme(g) == 200 and len(then.replies) < WORKERS, "more than one looks whether it is back")
        check(then.end() == {SIGNER_AWAY}, str(then.end()))
    wait("a signer that goes on is not seen", lambda: s.post(message).code == 200)


def an_outage_costs_nothing(g):
    s = Scep(g, "few")
    challenge = create_challenge(g, "few", "*.example.com", more=("--uses", "unlimited"))
    message = request(s, challenge)
    before, at = metric(g, "scep_later_total", "few"), os.path.getsize(g.log_path)
    with hangs(g, "core"):
        for _ in range(ROUNDS):
            said = Messages(s, message).end()
            check(CORE_AWAY in said and said <= {CORE_AWAY, CROWDED}, str(said))
    check(metric(g, "scep_later_total", "few") == before + ROUNDS * WORKERS, "the metric does not count")
    line = g.wait_log("scep.later", at)
    check("endpoint=few" in line and "type=PKCSReq" in line and "reason=" in line, line)
    wait("the core does not go on", lambda: s.post(request(s, challenge)).code == 200)
    for i in range(WORKERS):
        check(s.post(request(s, challenge, f"n{i}.example.com")).read(s.ra).status == SUCCESS, f"number {i}")


def too_many_wrong_challenges_cost(g):
    s = Scep(g, "few")
    said = []
    while len(said) <= BURST + 1 and (not said or said[-1][0] != 429):
        reply = s.post(request(s, "wrong"))
        said.append((reply.code, reply.body.decode(errors="replace").strip() if reply.code != 200 else ""))
    check(said[-1][0] == 429 and LIMITED in said, str(said))
    with open(g.log_path, encoding="utf-8") as f:
        log = f.read()
    check(log.count("event=credential.refused") == 1 and "event=core.call.refused" not in log, "it is told twice")


def outages():
    with gatehouse(add) as g:
        for test in (a_signer_that_hangs_holds_up_a_quarter, an_outage_costs_nothing, too_many_wrong_challenges_cost):
            test(g)
            print(f"  {test.__name__}", flush=True)


main([outages])
