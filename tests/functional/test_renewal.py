#!/usr/bin/python3
"""Renewal by certificate, over SCEP and EST: only in its window, unless something else speaks for the request; and with the
certificate of an older CA, where the endpoint lists that."""
import datetime

from est_client import Est, add_est, create_user, make_csr as est_csr, new_key as est_key, save
from gatehouse import RULES, check, gatehouse, main
from scep_client import add_scep, create_challenge, key_of
from scep_raw import (BAD_MESSAGE_CHECK, BAD_REQUEST, FAILURE, GET_CERT, PENDING, PKCS_REQ, RENEWAL_REQ, SUCCESS, Scep, Sender,
                      identifier, make_csr, new_key)

SCOPE = "*.site.example"
# Certificates are good for 30 days.
SCEP = {"scep": "renewal-window: 10d", "wide": "renewal-window: 40d", "moved": "older-cas: [Test CA]", "apart": ""}
EST = {"est": ("", "renewal-window: 10d"), "est-wide": ("wide", "renewal-window: 40d"),
       "est-both": ("both", "renewal-window: 10d\nauth: [basic, certificate]\nauth-require: all"),
       "est-moved": ("moved", "older-cas: [Test CA]"), "est-apart": ("apart", "")}
NEW = ("moved", "apart", "est-moved", "est-apart")


def set_up(g):
    """Two CAs; the endpoints of NEW are those of the second."""
    add_scep(g, SCEP)
    add_est(g, EST)
    with open(g.config, encoding="utf-8") as f:
        config = f.read()
    for endpoint in NEW:
        head, tail = config.split(f"  - name: {endpoint}\n", 1)
        config = head + f"  - name: {endpoint}\n" + tail.replace("    ca: Test CA\n", "    ca: New CA\n", 1)
    config = config.replace("profiles:\n", "  - name: New CA\n    policy:\n      module: rules\n      default: deny\n"
                                           f"      rules:{RULES}profiles:\n", 1)
    with open(g.config, "w", encoding="utf-8") as f:
        f.write(config)
    g.run_tool("ca", "init", "--name", "New CA", "--data", g.data, "--config", g.config, "--key-type", "ec-p256")


def opens(certificate):
    at = certificate.not_valid_after - datetime.timedelta(days=10)
    return f"can be renewed from {at:%Y-%m-%dT%H:%M:%SZ} on"


def refused(reply, fail, text=""):
    check((reply.status, reply.fail) == (FAILURE, fail) and text in reply.fail_text,
          f"{reply.status} {reply.fail} {reply.fail_text}")


def by_certificate(scep, owner, dns, challenge=None, kind=RENEWAL_REQ):
    key = new_key("ec")
    return key, scep.send(owner, make_csr(key, dns, challenge), kind=kind)


def scep_renews_in_its_window(g):
    scep, dns = Scep(g, "scep"), "window.site.example"
    owner = scep.enrol(dns, create_challenge(g, "scep", SCOPE))[0]
    rows = len(g.requests())
    for kind in PKCS_REQ, RENEWAL_REQ:
        refused(by_certificate(scep, owner, dns, kind=kind)[1], BAD_REQUEST, opens(owner.certificate))
        # Clients send the challenge again that they have spent, or one that never was any.
        refused(by_certificate(scep, owner, dns, "no such challenge", kind)[1], BAD_REQUEST, opens(owner.certificate))
    check(len(g.requests()) == rows, "who comes too early leaves a row")
    check(by_certificate(Scep(g, "wide"), owner, dns)[1].status == SUCCESS, "the window is open there")
    check(scep.send(owner, identifier(owner.certificate), kind=GET_CERT).status == SUCCESS, "it is no good at all")


def a_challenge_speaks_before_the_window(g):
    scep, dns = Scep(g, "scep"), "challenge.site.example"
    owner = scep.enrol(dns, create_challenge(g, "scep", SCOPE))[0]
    challenge = create_challenge(g, "scep", SCOPE)
    # Whatever names the challenge has, who signs with a certificate asks for those of the certificate.
    refused(by_certificate(scep, owner, "other.site.example", challenge)[1], BAD_REQUEST, "those of the certificate")
    key, reply = by_certificate(scep, owner, dns, challenge)
    check(reply.status == SUCCESS, f"{reply.fail} {reply.fail_text}")
    renewed = reply.certificates(owner)[0]
    check(key_of(renewed) == key_of(key) and renewed != owner.certificate, "another certificate")
    number = max(r["id"] for r in g.requests() if dns in r["names"])
    said = " ".join(line["text"] for line in g.timeline(number))
    check('proven by="challenge' in said and "renews=" not in said, said)
    refused(by_certificate(scep, owner, dns, challenge)[1], BAD_REQUEST, opens(owner.certificate))
    # Its scope counts, as for a first request.
    elsewhere = create_challenge(g, "scep", "elsewhere.example")
    refused(by_certificate(scep, owner, dns, elsewhere)[1], BAD_REQUEST, "does not prove")


def what_waits_before_the_window_is_one_request(g):
    scep, dns = Scep(g, "scep"), "hold-window.site.example"
    first, challenge = Sender(), create_challenge(g, "scep", SCOPE, more=("--uses", "3"))
    octets = make_csr(first.key, dns, challenge)
    check(scep.send(first, octets, transaction=b"held").status == PENDING, "it is not held")
    g.run_tool("approve", str(g.wait_pending(dns)["id"]), "--yes")
    owner = Sender(first.key, scep.send(first, octets, transaction=b"held").certificates(first)[0])
    again = make_csr(new_key("ec"), dns, challenge)
    for _ in range(3):
        check(scep.send(owner, again, transaction=b"again", kind=RENEWAL_REQ).status == PENDING, "it is not held")
    check(len(g.pending()) == 1, "it is held more than once")
    g.run_tool("approve", str(g.wait_pending(dns)["id"]), "--yes")
    check(scep.send(owner, again, transaction=b"again", kind=RENEWAL_REQ).status == SUCCESS, "it is not there")


class Owner:
    """Somebody with a certificate that he got over EST."""

    def __init__(self, g, user, dns, label=""):
        self.g, self.user, self.dns, key = g, user, dns, est_key()
        self.certificate = Est(g, label, user=user).enroll(est_csr(key, dns, [dns])).certificate()
        self.files = save(g.folder, dns, key, self.certificate)

    def ask(self, label="", operation="simplereenroll", user=None):
        est = Est(self.g, label, user=user, certificate=self.files)
        reply = est.enroll(est_csr(est_key(), self.dns, [self.dns]), operation)
        est.close()
        return reply


def est_renews_in_its_window(g, user):
    owner = Owner(g, user, "est-window.site.example")
    rows = len(g.requests())
    reply = owner.ask()
    check(reply.status == 403 and opens(owner.certificate).encode() in reply.body, str(reply))
    # What is renewed counts first, whoever shows a password beside it.
    check(owner.ask(user=user).status == 403, "a password that nobody asks for opens the window")
    check(len(g.requests()) == rows, "who comes too early leaves a row")
    check(owner.ask("wide").status == 200, "the window is open there")
    check(owner.ask(operation="simpleenroll").status == 200, "for another certificate it is good")
    check(owner.ask("both", user=user).status == 200, "where both are needed the user speaks for it")


def an_older_ca_is_known_where_it_is_listed(g, user):
    old, new, dns = Scep(g, "wide"), Scep(g, "moved"), "moves.site.example"
    owner = old.enrol(dns, create_challenge(g, "wide", SCOPE))[0]
    for kind in PKCS_REQ, RENEWAL_REQ:
        refused(by_certificate(Scep(g, "apart"), owner, dns, kind=kind)[1], BAD_MESSAGE_CHECK, "not one that may ask here")
        reply = by_certificate(new, owner, dns, kind=kind)[1]
        check(reply.status == SUCCESS, f"{reply.fail} {reply.fail_text}")
        certificate = reply.certificates(owner)[0]
        check("New CA" in certificate.issuer.rfc4514_string(), certificate.issuer.rfc4514_string())
    refused(by_certificate(new, owner, "other.site.example")[1], BAD_REQUEST, "those of the certificate")
    moved = Owner(g, user, "est-moves.site.example", "wide")
    check(moved.ask("apart").status == 401, "an older CA that is not listed")
    check("New CA" in moved.ask("moved").certificate().issuer.rfc4514_string(), "another CA's")
    # At once when it is revoked.
    for name in dns, "est-moves.site.example":
        number = min(r["id"] for r in g.requests() if name in r["names"])
        g.run_tool("cert", "revoke", str(number), "--reason", "superseded")
    refused(by_certificate(new, owner, dns)[1], BAD_MESSAGE_CHECK)
    check(moved.ask("moved").status == 401, "a revoked one is renewed")


def renewals():
    with gatehouse(set_up, core="  administrators: [root]\n") as g:
        user = "dev", create_user(g, "dev", list(EST), SCOPE)
        scep_renews_in_its_window(g)
        a_challenge_speaks_before_the_window(g)
        what_waits_before_the_window_is_one_request(g)
        est_renews_in_its_window(g, user)
        an_older_ca_is_known_where_it_is_listed(g, user)


main([renewals])
