#!/usr/bin/python3
"""Intune, played by a stand-in: tokens, discovery, judging, and that no certificate is given out of which it has not heard."""
import base64
import concurrent.futures
import hashlib
import os
import threading
import time
import urllib.parse

from cryptography.hazmat.primitives.serialization import Encoding

from gatehouse import check, gatehouse, main
from scep_client import add_scep
from scep_raw import (BAD_REQUEST, CERT_POLL, FAILURE, PENDING, SUCCESS, Scep, Sender, make_csr, new_key, pki_message)
from scep_target import Target, add_targets, wait_until

SECRET = "a client~secret&of=this test"
CHALLENGE = base64.b64encode(os.urandom(3072)).decode()  # 4 KiB
REFUSALS = """CertificateRequestDecodingFailed ChallengePasswordMissing ChallengeDeserializationError ChallengeDecryptionError
ChallengeDecodingError ChallengeInvalidTimestamp ChallengeExpired SubjectNameMissing SubjectNameMismatch SubjectAltNameMissing
SubjectAltNameMismatch KeyUsageMismatch KeyLengthMismatch EnhancedKeyUsageMissing EnhancedKeyUsageMismatch
AadKeyIdentifierListMissing RegisteredKeyMismatch SigningCertThumbprintMismatch ScepProfileNoLongerTargetedToTheClient
SignatureValidationFailed BadCertificateRequestIdInChallenge BadDeviceIdInChallenge BadUserIdInChallenge""".split()
OK = (200, {"code": "Success", "errorDescription": ""})
ACTIONS = {"/svc/ScepActions/" + a: a for a in ("validateRequest", "successNotification", "failureNotification")}
DISCOVERY = "/v1.0/servicePrincipals/appId=0000000a-0000-0000-c000-000000000000/endpoints"


class Intune:
    def __init__(self):
        self.wrong = {}  # of an action, "token" or "discovery": what comes in the place of what should
        self.tokens = 0
        self.calls = []

    def set_up(self, g):
        self.g = g
        t = self.target = Target(os.path.join(g.folder, "target"), self.answer)
        secret = t.secret("secret", SECRET.encode() + b"\n")
        add_targets(g, ["name: mdm", "kind: intune", "tenant: contoso.example", "client-id: 0000-client", f"secret-file: {secret}",
                        f"login-url: {t.url('')}", f"graph-url: {t.url('/')}", f"ca-file: {t.ca_file}",
                        "names: ['*.example', 'CN=*']"])
        add_scep(g, {"scep": "failures-burst: 1000000\nchallenge-target: mdm"})

    def answer(self, asked):
        what = ACTIONS.get(asked.path) or {"/contoso.example/oauth2/v2.0/token": "token", DISCOVERY: "discovery"}.get(asked.path, "?")
        self.calls.append((what, asked))
        if what in self.wrong:
            return self.wrong[what]() if callable(self.wrong[what]) else self.wrong[what]
        if what == "token":
            form = urllib.parse.parse_qs(asked.body.decode(), strict_parsing=True)
            check(form["client_secret"] == [SECRET] and form["client_id"] == ["0000-client"] and
                  form["grant_type"] == ["client_credentials"], str(form))
            self.tokens += 1
            return 200, {"token_type": "Bearer", "expires_in": 3600, "access_token": f"{form['scope'][0]} {self.tokens}".replace(" ", "#")}
        if not asked.headers.get("Authorization", "").startswith(
                "Bearer https://" + ("api.manage.microsoft.com//.default#" if what in ACTIONS.values() else "localhost:")):
            return 401, {}
        if what == "discovery":
            return 200, {"value": [{"providerName": "Other", "uri": "https://other.example"},
                                   {"providerName": "scepRequestValidationFeService", "uri": self.target.url("/svc")}]}
        return OK if what in ACTIONS.values() else (404, {})

    def seen(self, at=0):
        return [what for what, _ in self.calls[at:]]

    def send(self, text, challenge=CHALLENGE, sender=None, **options):
        scep, sender = Scep(self.g, "scep"), sender or Sender(new_key("ec"))
        octets = make_csr(sender.key, text, challenge)
        reply = scep.post(pki_message(sender, scep.envelope(octets), **options))
        return octets, (reply.read(scep.ra) if reply.code == 200 else reply)


def an_enrolment(i):
    sender = Sender()
    octets, reply = i.send("good.example", sender=sender, transaction=b"its-transaction")
    (leaf,) = reply.certificates(sender)
    check(i.seen() == ["token", "discovery", "token", "validateRequest", "successNotification"], str(i.seen()))
    (_, judged), (_, told) = i.calls[-2:]
    for asked in (judged, told):
        check(asked.headers["api-version"] == "2018-02-20" and len(asked.headers["client-request-id"]) == 36, str(asked.headers))
    check(judged.json() == {"request": {"transactionId": "its-transaction", "callerInfo": "Gatehouse",
                                        "certificateRequest": base64.b64encode(octets).decode()}}, str(judged.json()))
    told = told.json()["notification"]
    der = leaf.public_bytes(Encoding.DER)
    check(told["transactionId"] == "its-transaction" and told["certificateRequest"] == base64.b64encode(octets).decode() and
          told["certificateThumbprint"] == hashlib.sha1(der).hexdigest().upper() and
          int(told["certificateSerialNumber"], 16) == leaf.serial_number and
          told["certificateExpirationDateUtc"] == leaf.not_valid_after.strftime("%Y-%m-%dT%H:%M:%S.000Z") and
          told["issuingCertificateAuthority"] == told["certificateAuthority"] and "Test CA" in told["certificateAuthority"] and
          told["caConfiguration"] == "scep", str(told))
    at = len(i.calls)
    check(i.send("second.example")[1].status == SUCCESS, i.g.log_tail())
    check(i.seen(at) == ["validateRequest", "successNotification"], f"tokens and places are kept: {i.seen(at)}")


def what_does_not_allow(i):
    issued = lambda: sum(r["state"] == "issued" and "bad.example" in r["names"] for r in i.g.requests())
    for code in REFUSALS:
        i.wrong = {"validateRequest": (200, {"code": code, "errorDescription": "so it is"})}
        at = os.path.getsize(i.g.log_path)
        reply = i.send("bad.example")[1]
        check(reply.status == FAILURE and reply.fail == BAD_REQUEST and code not in reply.fail_text, f"{code}: {reply.status}")
        check(code in i.g.wait_log("target.judged", at), code)
    for answer in ((200, {"code": "success"}), (200, {"code": "Success "}), (200, {"code": "New"}), (200, {}), (200, b""),
                   (200, b'{"code":"ChallengeExpired","code":"Success"}'), (200, {"code": ["Success"]}), (202, OK[1]),
                   (400, OK[1]), (401, OK[1]), (403, OK[1]), (500, OK[1]), (503, OK[1])):
        i.wrong = {"validateRequest": answer}
        check(i.send("bad.example")[1].code == 503, str(answer))
    for what, answers in (("token", ((200, {}), (401, {}), (200, {"access_token": "a b", "expires_in": 60}), (200, b"x"))),
                          ("discovery", ((200, {"value": []}), (500, {}), (200, {"value": [{
                              "providerName": "ScepRequestValidationFEService", "uri": "http://example.test/"}]})))):
        for answer in answers:
            i.wrong = {"validateRequest": (401, {})}
            i.send("bad.example")  # whatever was kept is let go
            i.wrong = {what: answer}
            check(i.send("bad.example")[1].code == 503, f"{what} {answer}")
    i.wrong = {}
    check(issued() == 0, "something was issued")
    check(i.send("after.example")[1].status == SUCCESS, i.g.log_tail())


def nothing_is_given_out_before_it_is_told(i):
    """PENDING until it has heard; by polls, and by the request again."""
    i.wrong = {"successNotification": (500, {})}
    sender, scep = Sender(), Scep(i.g, "scep")
    poll = lambda: scep.send(sender, make_csr(sender.key, "x"), kind=CERT_POLL, transaction=b"untold")
    again = lambda: i.send("untold.example", sender=sender, transaction=b"untold")[1]
    for ask in (again, poll, again, poll):
        reply = ask()
        check(reply.status == PENDING and not reply.content, f"{reply.status} {reply.fail_text}{i.g.log_tail()}")
    i.wrong = {"successNotification": (200, {"code": "ChallengeExpired"})}
    check(poll().status == PENDING, "a code that is not Success")
    check(i.g.metric('gatehouse_scep_untold_total{endpoint="scep"}') == 5, "the metric does not count")
    i.wrong = {}
    at = len(i.calls)
    check(poll().status == SUCCESS and "successNotification" in i.seen(at) and "validateRequest" not in i.seen(at), str(i.seen(at)))
    told = i.seen().count("successNotification")
    for ask in (again, poll, again, poll):  # as when the reply was lost
        reply = ask()
        check(reply.status == SUCCESS, f"a repeat: {reply.status} {reply.fail_text}")
    check(i.seen().count("successNotification") == told, "it was told again")


def several_ask_at_a_time(i):
    """One of them has it told, and the others wait for that."""
    go, sender, scep = threading.Event(), Sender(), Scep(i.g, "scep")
    poll = lambda: scep.send(sender, make_csr(sender.key, "x"), kind=CERT_POLL, transaction=b"several")
    check(i.send("hold-several.example", sender=sender, transaction=b"several")[1].status == PENDING, "it is not held")
    i.g.run_tool("approve", str(i.g.wait_pending("hold-several.example")["id"]), "--yes")
    at = len(i.calls)
    i.wrong = {"successNotification": lambda: (go.wait(20), OK)[1]}
    with concurrent.futures.ThreadPoolExecutor(3) as pool:
        sent = [pool.submit(poll) for _ in range(3)]
        wait_until(lambda: len(i.calls) > at, "it is not told")
        time.sleep(1)  # for the others to arrive; one that does not is answered all the same
        go.set()
        check([s.result().status for s in sent] == [SUCCESS] * 3, str([s.result().status for s in sent]))
    i.wrong = {}
    check(i.seen(at) == ["successNotification"], str(i.seen(at)))


def a_person_decides(i):
    """It is told of what an officer approves or denies, with the request, which a poll does not bring."""
    for name, action, status, words in (("hold-yes.example", "successNotification", SUCCESS, ("approve",)),
                                        ("hold-no.example", "failureNotification", FAILURE, ("deny", "--reason", "not this phone"))):
        sender, scep = Sender(), Scep(i.g, "scep")
        octets, reply = i.send(name, sender=sender, transaction=name.encode())
        check(reply.status == PENDING, str(reply.status))
        request = i.g.wait_pending(name)
        i.g.run_tool(words[0], str(request["id"]), *words[1:], *(("--yes",) if words[0] == "approve" else ()))
        at = len(i.calls)
        reply = scep.send(sender, make_csr(sender.key, "x"), kind=CERT_POLL, transaction=name.encode())
        check(reply.status == status and i.seen(at) == [action], f"{reply.status} {i.seen(at)}{i.g.log_tail()}")
        told = i.calls[-1][1].json()["notification"]
        check(told["certificateRequest"] == base64.b64encode(octets).decode(), "with another request")
        if status == FAILURE:
            check(told["hResult"] == -2147467259 and "not this phone" in told["errorDescription"], str(told))
    at = len(i.calls)
    check(i.send("deny-policy.example")[1].status == FAILURE, "denied by policy")
    check(i.seen(at) == ["validateRequest", "failureNotification"], str(i.seen(at)))


def after_a_restart(i):
    """What is not known any more is not given out without its request."""
    i.wrong = {"successNotification": (500, {})}
    sender = Sender()
    check(i.send("restart.example", sender=sender, transaction=b"restart")[1].status == PENDING, "it is given out")
    i.g.stop()
    i.g.start()
    i.wrong = {}
    scep = Scep(i.g, "scep")
    reply = scep.send(sender, make_csr(sender.key, "x"), kind=CERT_POLL, transaction=b"restart")
    check(reply.status == FAILURE and "again" in reply.fail_text, f"{reply.status} {reply.fail_text}")
    check(i.send("restart.example", sender=sender, transaction=b"restart")[1].status == SUCCESS, i.g.log_tail())


def nothing_of_it_is_in_the_log(i):
    with open(i.g.log_path, encoding="utf-8", errors="replace") as f:
        log = f.read()
    for secret in (SECRET, ".default#", CHALLENGE[:40]):
        check(secret not in log, f"the log has {secret}")


def intune_judges():
    i = Intune()
    with gatehouse(i.set_up) as g:
        for test in (an_enrolment, what_does_not_allow, nothing_is_given_out_before_it_is_told,
                     several_ask_at_a_time, a_person_decides,
                     after_a_restart, nothing_of_it_is_in_the_log):
            begin = time.monotonic()
            test(i)
            print(f"  {test.__name__} ({time.monotonic() - begin:.1f} s)", flush=True)
        g.run_tool("fsck", "--data", g.data)
        i.target.stop()


main([intune_judges])
