#!/usr/bin/python3
"""Challenges that a service outside judges: what it is told, what counts as permission, and what never does."""
import base64
import concurrent.futures
import hashlib
import hmac
import os
import signal
import threading
import time
import urllib.request

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from gatehouse import check, gatehouse, main
from scep_client import Strongswan, add_scep
from scep_raw import (BAD_REQUEST, CERT_POLL, FAILURE, PENDING, SUCCESS, Scep, Sender, make_csr, new_key, pki_message)
from scep_target import Target, add_targets, wait_until

SECRET = b"thirty-two octets or thereabouts"
GOOD = "good \u00e4 \"challenge\""
TOLD_SECRET = b"another secret, for what it is told"
HOOK, SLOW, TOLD, WINDOW = "hook", "slow", "told", "window"


class Place:
    """A daemon with an endpoint, and the service that judges for it: by a table of what each challenge gets."""

    def __init__(self):
        self.answers = {GOOD: (200, {"allow": True, "data": {"any": "thing"}}), "bad": (200, {"allow": False})}
        self.target = None
        self.told = 200, b""  # what it answers to what it is told

    def set_up(self, g):
        self.g = g
        self.target = Target(os.path.join(g.folder, "target"), self.answer)
        t = self.target
        other_ca = t.file("other.pem", open(g.root, "rb").read())
        secret = t.secret("secret", base64.b64encode(SECRET) + b"\n")
        token = t.secret("token", b"bearer-token-of-this-test\n")

        def row(name, *more, names="['*.example', 'CN=*']"):
            return [f"name: {name}", "kind: webhook", f"names: {names}", *more]
        add_targets(
            g, row(HOOK, f"url: {t.url('/scep')}", f"ca-file: {t.ca_file}", f"secret-file: {secret}", f"token-file: {token}"),
            row("stranger", f"url: {t.url('/scep')}", f"ca-file: {other_ca}"),
            row("system", f"url: {t.url('/scep')}"),
            row("misnamed", f"url: {t.url('/scep', '127.0.0.2')}", f"ca-file: {t.ca_file}"),
            row("gone", "url: https://127.0.0.1:9/scep", f"ca-file: {t.ca_file}"),
            row(TOLD, f"url: {t.url('/scep')}", f"ca-file: {t.ca_file}", f"secret-file: {secret}", "timeout: 2s",
                f"notify-url: {t.url('/told')}",
                f"notify-secret-file: {t.secret('told', base64.b64encode(TOLD_SECRET))}", names="[any]"),
            row(SLOW, f"url: {t.url('/slow')}", f"ca-file: {t.ca_file}", "timeout: 1s", "calls: 2"))
        loose = "failures-burst: 1000000\n"
        endpoints = {name: loose + f"challenge-target: {name}"
                     for name in (HOOK, "stranger", "system", "misnamed", "gone", SLOW, TOLD)}
        add_scep(g, {**endpoints, "plain": loose, WINDOW: f"{endpoints[HOOK]}\nrenewal-window: 1d"})

    def answer(self, asked):
        if asked.path == "/told":
            return self.told() if callable(self.told) else self.told
        found = self.answers.get(asked.json().get("scepChallenge"), (200, {"allow": False}))
        return found(asked) if callable(found) else found

    def count(self):
        return sum(r["state"] == "issued" and any("example" in n for n in r["names"]) for r in self.g.requests())

    def send(self, challenge, text="good.example", endpoint=HOOK, sender=None, **options):
        """The raw reply to a request."""
        scep, sender = Scep(self.g, endpoint), sender or Sender(new_key("ec"))
        octets = make_csr(sender.key, text, challenge)
        return scep, octets, scep.post(pki_message(sender, scep.envelope(octets), **options))

    def status(self, *words, **options):
        scep, octets, reply = self.send(*words, **options)
        return reply.read(scep.ra)


def what_it_is_told(p):
    """Everything that webhook servers of step-ca look at."""
    at, sender = len(p.target.asked), Sender(text="sender")
    scep, octets, reply = p.send(GOOD, sender=sender, transaction=b"its-transaction")
    (leaf,) = reply.read(scep.ra).certificates(sender)
    check(leaf.public_key().public_numbers() == sender.key.public_key().public_numbers(), "it is of another key")
    (asked,) = p.target.asked[at:]
    check((asked.method, asked.path) == ("POST", "/scep"), str(asked))
    wanted = {"Content-Type": "application/json", "Authorization": "Bearer bearer-token-of-this-test",
              "X-Smallstep-Webhook-ID": HOOK,
              "X-Smallstep-Signature": hmac.new(SECRET, asked.body, hashlib.sha256).hexdigest()}
    check(wanted.items() <= asked.headers.items(), str(asked.headers))
    body = asked.json()
    check(body["scepChallenge"] == GOOD and body["scepTransactionID"] == "its-transaction", str(body))
    check(body["provisionerName"] == HOOK and body["timestamp"].endswith("Z"), str(body))
    request = body["x509CertificateRequest"]
    check(base64.b64decode(request["raw"]) == octets, "the request is another one")
    check(request["subject"] == {"commonName": "good.example"} and request["dnsNames"] == ["good.example"], str(request))
    check(request["emailAddresses"] == request["ipAddresses"] == request["uris"] == [], str(request))
    read = x509.load_der_x509_csr(octets)
    check(base64.b64decode(request["rawSubject"]) == read.subject.public_bytes() and
          request["publicKeyAlgorithm"] == "RSA", str(request))
    (row,) = [r for r in p.g.requests() if "good.example" in r["names"]]
    check(any('proven by="target hook"' in line["text"] for line in p.g.timeline(row["id"])), str(p.g.timeline(row["id"])))


def what_does_not_allow(p):
    """Only `"allow": true` in an answer with status 200 does. What is no answer is none: the client comes back."""
    ready = p.count()
    denied = ("bad", "unknown", None)
    for challenge in denied:
        reply = p.status(challenge)
        check(reply.status == FAILURE and reply.fail == BAD_REQUEST, f"{challenge}: {reply.status} {reply.fail}")
    p.answers["why"] = (200, {"allow": False, "error": {"message": "not\nin the\tinventory", "code": "x"}})
    at = os.path.getsize(p.g.log_path)
    reply = p.status("why")
    check(reply.fail_text == "the request was refused", str(reply.fail_text))
    line = p.g.wait_log("target.judged", at)
    check("inventory" in line and "verdict=deny" in line and "\\x0a" in line, line)
    before = p.g.metric('gatehouse_scep_unjudged_total{endpoint="hook"}')
    for i, answer in enumerate((
            (200, b""), (200, b"true"), (200, b"{}"), (200, b'{"allow":"true"}'), (200, b'{"allow":1}'), (200, b'{"allow":null}'),
            (200, b'{"Allow":true}'), (200, b'{"allow":false,"allow":true}'), (200, b'{"allow":true,"allow":true}'),
            (200, b'{"allow":true'), (200, b'{"allow":true}}'), (200, b'[{"allow":true}]'), (200, b'{"data":{"allow":true}}'),
            (200, b"\xef\xbb\xbf" + b'{"allow":true}'), (200, b'{"allow":true,"x":"\xff"}'), (200, b'{"allow":true,"x":' + b"[" * 99),
            (200, b'{"allow":true,"x":"' + b"x" * 70000 + b'"}'), (201, b'{"allow":true}'), (204, b""), (400, b'{"allow":true}'),
            (401, b'{"allow":true}'), (500, b'{"allow":true}'), (503, b""),
            (302, b'{"allow":true}', {"Location": p.target.url("/elsewhere")}))):
        p.answers[f"odd{i}"] = answer
        _, _, reply = p.send(f"odd{i}")
        check(reply.code == 503 and int(reply.headers["Retry-After"]) > 0, f"{answer}: {reply.code}")
        before += 1
    check(p.g.metric('gatehouse_scep_unjudged_total{endpoint="hook"}') == before, "the metric does not count")
    check(p.g.metric('gatehouse_scep_judged_against_total{endpoint="hook"}') >= len(denied), "the metric does not count")
    check(not any(a.path == "/elsewhere" for a in p.target.asked), "a redirect was followed")
    check(p.count() == ready, "something was issued")
    check(p.status(GOOD, "again.example").status == SUCCESS, "it does not answer again")
    with urllib.request.urlopen(f"http://127.0.0.1:{p.g.metrics_port}/healthz", timeout=10) as reply:
        check(reply.status == 200, "a target that fails stops the others")


def who_it_must_be(p):
    """Its certificate is one of the named CA, for that name; otherwise it is told nothing."""
    asked, ready = len(p.target.asked), p.count()
    for endpoint in ("stranger", "system", "misnamed", "gone"):
        at = os.path.getsize(p.g.log_path)
        _, _, reply = p.send(GOOD, endpoint=endpoint)
        check(reply.code == 503, f"{endpoint}: {reply.code}")
        check("verdict=none" in p.g.wait_log("target.judged", at), p.g.log_tail())
    check(len(p.target.asked) == asked and p.count() == ready, "it was asked all the same")


def which_names_it_may_allow(p):
    """Those of its scope, whatever it says; and of the core's own challenges none is good here."""
    ready = p.count()
    check(p.status(GOOD, "outside.test").status == FAILURE, "a name outside of its scope")
    none = p.g.run_tool("challenge", "create", "--endpoint", HOOK, "--scope", "*.example", code=None)
    check(none.returncode != 0 and "challenge-target" in none.stderr, f"{none.returncode} {none.stdout}{none.stderr}")
    secret = p.g.tool_json("challenge", "create", "--endpoint", "plain", "--scope", "*.example")["secret"]
    check(p.status(secret).status == FAILURE, "a challenge of the core is good where a target judges")
    check(p.status(GOOD, endpoint="plain").status == FAILURE, "its challenge is good where it does not judge")
    check(p.count() == ready, "something was issued")


def a_repeat_is_not_judged_again(p):
    """A challenge that the target takes once is not shown to it twice, whether the request is held or its reply was lost."""
    used = threading.Semaphore(1)
    p.answers["once"] = lambda asked: (200, {"allow": used.acquire(blocking=False)})
    at, ready, sender = len(p.target.asked), p.count(), Sender()
    for _ in range(3):
        check(p.status("once", "hold-one.example", sender=sender, transaction=b"held").status == PENDING, "it is not held")
    scep = Scep(p.g, HOOK)
    poll = lambda: scep.send(sender, make_csr(sender.key, "x"), kind=CERT_POLL, transaction=b"held")
    check(poll().status == PENDING, "it is not held")
    p.g.run_tool("approve", str(p.g.wait_pending("hold-one.example")["id"]), "--yes")
    check(p.status("once", "hold-one.example", sender=sender, transaction=b"held").status == SUCCESS, p.g.log_tail())
    check(len(p.target.asked) == at + 1, f"it was asked {len(p.target.asked) - at} times")
    check(p.status("once", "other.example", transaction=b"held").status == FAILURE, "with another key it is another request")
    check(p.count() == ready + 1, "something else was issued")


def equal_messages_at_a_time(p):
    """As from a client that is impatient: the target is asked once, and all get what it said."""
    go, used = threading.Event(), threading.Semaphore(1)
    p.answers["twice"] = lambda asked: (go.wait(20), (200, {"allow": used.acquire(blocking=False)}))[1]
    at, sender = len(p.target.asked), Sender()
    with concurrent.futures.ThreadPoolExecutor(3) as pool:
        sent = [pool.submit(p.status, "twice", "twice.example", sender=sender, transaction=b"twice") for _ in range(3)]
        wait_until(lambda: len(p.target.asked) > at, "the target is not asked")
        time.sleep(1)  # for the others to arrive; one that does not is answered all the same
        go.set()
        leaves = [s.result().certificates(sender)[0] for s in sent]
    check(len({leaf.serial_number for leaf in leaves}) == 1, "there are several certificates")
    check(len(p.target.asked) == at + 1, f"it was asked {len(p.target.asked) - at} times")


def a_core_that_does_not_answer(p):
    """What the target has allowed is not lost when the core cannot take it at first."""
    used, core = threading.Semaphore(1), p.g.wait_role("core")
    p.answers["away"] = lambda asked: (os.kill(core, signal.SIGSTOP), (200, {"allow": used.acquire(blocking=False)}))[1]
    at, sender = len(p.target.asked), Sender()
    send = lambda: p.send("away", "away.example", sender=sender, transaction=b"away")
    try:
        check(send()[2].code == 503, "the core answers")
    finally:
        os.kill(core, signal.SIGCONT)
    wait_until(lambda: send()[2].code == 200, p.g.log_tail())
    scep, _, reply = send()
    check(reply.read(scep.ra).status == SUCCESS, "the challenge was spent for nothing")
    check(len(p.target.asked) == at + 1, f"it was asked {len(p.target.asked) - at} times")


def a_denial_is_known_for_a_moment(p):
    """Who plays one message over and over does not reach the target each time; and what it says later counts later."""
    p.answers["later"] = (200, {"allow": False})
    at, begin, sender = len(p.target.asked), time.monotonic(), Sender()
    send = lambda: p.status("later", "later.example", sender=sender, transaction=b"later")
    for _ in range(5):
        check(send().status == FAILURE, "it was denied")
    check(len(p.target.asked) == at + 1 or time.monotonic() - begin > 4, f"it was asked {len(p.target.asked) - at} times")
    p.answers["later"] = (200, {"allow": True})
    wait_until(lambda: send().status == SUCCESS, "what was denied once is denied for ever")


def told_since(p, at):
    """What it was told, in short; and each was signed."""
    told = [a for a in p.target.asked[at:] if a.path == "/told"]
    for asked in told:
        check(asked.headers["X-Smallstep-Signature"] == hmac.new(TOLD_SECRET, asked.body, hashlib.sha256).hexdigest() and
              asked.headers["X-Smallstep-Webhook-ID"] == TOLD, str(asked.headers))
    return [a.json() for a in told]


def what_became_of_it(p):
    """The target is told of certificates and of refusals, as step-ca tells its webhooks."""
    at, sender = len(p.target.asked), Sender()
    scep, octets, reply = p.send(GOOD, "told.example", endpoint=TOLD, sender=sender, transaction=b"told-1")
    (leaf,) = reply.read(scep.ra).certificates(sender)
    (told,) = told_since(p, at)
    check(base64.b64decode(told["x509CertificateRequest"]["raw"]) == octets and told["scepTransactionID"] == "told-1" and
          told["provisionerName"] == TOLD and "scepErrorCode" not in told and "scepChallenge" not in told, str(told))
    check(base64.b64decode(told["x509Certificate"]["raw"]) == leaf.public_bytes(Encoding.DER), "of another certificate")
    check(p.status(GOOD, "told.example", endpoint=TOLD, sender=sender, transaction=b"told-1").status == SUCCESS, "a repeat")
    check(len(told_since(p, at)) == 1, "it was told twice")
    at, held = len(p.target.asked), Sender()
    check(p.status(GOOD, "hold-told.example", endpoint=TOLD, sender=held, transaction=b"told-2").status == PENDING, "held")
    check(told_since(p, at) == [], "it is not at its end")
    p.g.run_tool("deny", str(p.g.wait_pending("hold-told.example")["id"]), "--reason", "not this phone")
    scep = Scep(p.g, TOLD)
    reply = scep.send(held, make_csr(held.key, "x"), kind=CERT_POLL, transaction=b"told-2")
    (told,) = told_since(p, at)
    check(reply.status == FAILURE and str(told["scepErrorCode"]) == str(BAD_REQUEST) and told["scepTransactionID"] == "told-2" and
          "not this phone" in told["scepErrorDescription"] and "x509Certificate" not in told and
          "x509CertificateRequest" in told, str(told))


def who_is_told_holds_up_nothing(p):
    """Whatever it answers: the certificate is given out, and it is told again when the client asks again."""
    gone = threading.Event()
    missed = p.g.metric('gatehouse_scep_missed_total{endpoint="told"}')
    for i, answer in enumerate(((500, b""), (302, b"", {"Location": p.target.url("/elsewhere")}),
                                lambda: (gone.wait(20), (200, b""))[1])):
        p.told, sender, at = answer, Sender(), len(p.target.asked)
        send = lambda: p.status(GOOD, f"missed{i}.example", endpoint=TOLD, sender=sender, transaction=b"missed-%d" % i)
        check(send().status == SUCCESS, f"held back: {answer}")
        missed += 1
        check(p.g.metric('gatehouse_scep_missed_total{endpoint="told"}') == missed, "the metric does not count")
        p.told = 200, b""
        check(send().status == SUCCESS and send().status == SUCCESS and len(told_since(p, at)) == 2, str(told_since(p, at)))
    gone.set()
    check(not any(a.path == "/elsewhere" for a in p.target.asked), "a redirect was followed")


def a_validator_that_stands_still(p):
    """What was allowed before is given out: nobody waits for who has only to be told."""
    sender, scep, validator = Sender(), Scep(p.g, HOOK), p.g.wait_role("validator")
    check(p.status(GOOD, "hold-still.example", sender=sender, transaction=b"still").status == PENDING, "it is not held")
    p.g.run_tool("approve", str(p.g.wait_pending("hold-still.example")["id"]), "--yes")
    os.kill(validator, signal.SIGSTOP)
    try:
        reply = scep.send(sender, make_csr(sender.key, "x"), kind=CERT_POLL, transaction=b"still")
    finally:
        os.kill(validator, signal.SIGCONT)
    check(reply.status == SUCCESS, f"{reply.status} {reply.fail_text}")


def a_target_for_any_name_is_shown(p):
    """Which names it may allow must be written out, and nobody forgets that it is all of them."""
    line = f"target {TOLD}: ok, but it may allow every name (names: any)"
    # One that has just stood still is told of as away until the gateway has looked again.
    wait_until(lambda: line in p.g.run_tool("status", code=None).stdout, "status does not say it")
    check(not any(f"target {name}" in p.g.run_tool("status").stdout for name in (HOOK, SLOW)), "of others, too")


def it_judges_a_renewal_before_its_window(p):
    """Where a challenge goes with it; else nobody asks the target, and it would not open the window."""
    first = Sender()
    (certificate,) = p.status(GOOD, "window.example", endpoint=WINDOW, sender=first).certificates(first)
    owner, asked, ready = Sender(first.key, certificate), len(p.target.asked), p.count()
    reply = p.status(None, "window.example", endpoint=WINDOW, sender=owner)
    check(reply.fail == BAD_REQUEST and "can be renewed from" in reply.fail_text, f"{reply.status} {reply.fail_text}")
    check(p.status(GOOD, "other.example", endpoint=WINDOW, sender=owner).status == FAILURE, "another name than the certificate's")
    check(len(p.target.asked) == asked, "it was asked for nothing")
    check(p.status("bad", "window.example", endpoint=WINDOW, sender=owner).status == FAILURE, "it was denied")
    check(p.count() == ready, "something was issued")
    (renewed,) = p.status(GOOD, "window.example", endpoint=WINDOW, sender=owner).certificates(owner)
    check(renewed != certificate and len(p.target.asked) == asked + 2, f"it was asked {len(p.target.asked) - asked} times")


def a_long_challenge(p):
    """MDM systems put whole documents into it."""
    long = "x" * 4096
    p.answers[long] = (200, {"allow": True})
    check(p.status(long, "long.example").status == SUCCESS, p.g.log_tail())
    p.answers[long + "x"] = (200, {"allow": True})
    check(p.status(long + "x", "longer.example").status == FAILURE, "4097 octets are a challenge")


def a_slow_one_holds_up_nobody(p):
    """Its answer comes too late; no more than two wait for it, and others are served meanwhile."""
    go = threading.Event()
    p.answers["slow"] = lambda asked: (go.wait(20), (200, {"allow": True}))[1]
    ready = p.count()
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        begin = time.monotonic()
        waiting = [pool.submit(p.send, "slow", f"s{i}.example", endpoint=SLOW) for i in range(8)]
        check(p.status(GOOD, "meanwhile.example").status == SUCCESS, "others wait too")
        codes = [w.result()[2].code for w in waiting]
        took = time.monotonic() - begin
    go.set()
    check(codes == [503] * 8 and took < 15, f"{codes} after {took:.1f} s")
    check(sum(a.path == "/slow" for a in p.target.asked) <= 6, "it was asked about more than two at once")
    check(p.count() == ready + 1, "something was issued")


def a_validator_that_is_away(p):
    pid = p.g.kill_role("validator")
    _, _, reply = p.send(GOOD)
    check(reply.code in (200, 503), str(reply.code))
    p.g.wait_role("validator", pid)
    end = time.monotonic() + 30
    while p.send(GOOD, f"back-{time.monotonic_ns()}.example")[2].code != 200:
        check(time.monotonic() < end, p.g.log_tail())
        time.sleep(0.2)


def strongswan_enrols(p):
    p.answers["a word of strongSwan"] = (200, {"allow": True})
    pki = Strongswan(p.g, HOOK)
    pem, _ = pki.enrol("swan.example", "a word of strongSwan")
    p.g.verify(pem)
    pki.fail("swan-2.example", "another word")


def nothing_of_it_is_in_the_log(p):
    with open(p.g.log_path, encoding="utf-8", errors="replace") as f:
        log = f.read()
    for secret in (base64.b64encode(SECRET).decode(), SECRET.decode(), base64.b64encode(TOLD_SECRET).decode(), "bearer-token-of-this-test", "good \\x", "a word of"):
        check(secret not in log, f"the log has {secret}")


def targets_judge():
    p = Place()
    with gatehouse(p.set_up) as g:
        for test in (what_it_is_told, what_does_not_allow, who_it_must_be, which_names_it_may_allow,
                     a_repeat_is_not_judged_again,
                     equal_messages_at_a_time, a_core_that_does_not_answer, a_denial_is_known_for_a_moment, what_became_of_it,
                     who_is_told_holds_up_nothing, a_validator_that_stands_still, a_target_for_any_name_is_shown,
                     it_judges_a_renewal_before_its_window, a_long_challenge, a_slow_one_holds_up_nobody,
                     a_validator_that_is_away, strongswan_enrols, nothing_of_it_is_in_the_log):
            begin = time.monotonic()
            test(p)
            print(f"  {test.__name__} ({time.monotonic() - begin:.1f} s)", flush=True)
        g.run_tool("fsck", "--data", g.data)
        p.target.stop()


main([targets_judge])
