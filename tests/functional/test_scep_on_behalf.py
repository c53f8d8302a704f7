#!/usr/bin/python3
"""Registration authorities that enrol devices over SCEP: a message that a listed one has signed needs no challenge, and has the
names of its scope and no others; any other signer who is not the request's own key is refused."""
import datetime
import os

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ObjectIdentifier

from gatehouse import check, gatehouse, main
from scep_client import add_scep
from scep_raw import (BAD_CERT_ID, BAD_MESSAGE_CHECK, BAD_REQUEST, CERT_POLL, FAILURE, GET_CERT, GET_CRL, PENDING, PKCS_REQ,
                      RENEWAL_REQ, SUCCESS, Scep, Sender, identifier, make_csr, name, new_key)

CLIENT_AUTH, CMC_RA = "1.3.6.1.5.5.7.3.2", "1.3.6.1.5.5.7.3.28"


class Office:
    """An authority of somebody else, and those who have certificates of it."""

    def __init__(self, g):
        self.g, self.issuer = g, Sender(text="Office CA")

    def member(self, text, *purposes, days=1, key=None):
        key, now = key or new_key(), datetime.datetime.now(datetime.timezone.utc)
        begin = min(now, now + datetime.timedelta(days=days)) - datetime.timedelta(hours=1)
        certificate = x509.CertificateBuilder().subject_name(name(text)).issuer_name(name("Office CA")).public_key(
            key.public_key()).serial_number(x509.random_serial_number()).not_valid_before(begin).not_valid_after(
            now + datetime.timedelta(days=days)).add_extension(
            x509.ExtendedKeyUsage([ObjectIdentifier(p) for p in purposes]), critical=False).sign(
            self.issuer.key, hashes.SHA256())
        return Sender(key, certificate)

    def list(self, text, member, *words):
        path = os.path.join(self.g.folder, text + ".pem")
        with open(path, "wb") as f:
            f.write(member.certificate.public_bytes(Encoding.PEM))
        self.g.run_tool("ra", "add", text, path, *words)


def state_of(g, dns):
    return [r for r in g.requests() if dns in r["names"]]


def refused(g, reply, dns, *fails):
    check(reply.status == FAILURE and reply.fail in (fails or (BAD_MESSAGE_CHECK,)),
          f"{dns}: {reply.status} {reply.fail} {reply.fail_text}")
    check(not any(r["state"] == "issued" for r in state_of(g, dns)), f"{dns} is issued")


def a_listed_one_enrols_for_devices(g, scep, desk):
    """Each device has a key of its own; the certificate is encrypted to the authority, which hands it over."""
    for kind, dns in ((PKCS_REQ, "printer1.site.example"), (RENEWAL_REQ, "printer2.site.example"), ("18", "printer3.site.example")):
        device = new_key("ec")
        reply = scep.send(desk, make_csr(device, dns), kind=kind)
        certificate = reply.certificates(desk)[0]
        check(certificate.public_key().public_numbers() == device.public_key().public_numbers(), "it is of another key")
        request = state_of(g, dns)[0]
        check(request["requester"] == "scep:ra:desk", str(request))
        check(any("ra desk" in line["text"] for line in g.timeline(request["id"])), str(g.timeline(request["id"])))
    # It asks for devices, and is no holder of a certificate of this CA.
    for kind in GET_CERT, GET_CRL:
        refused(g, scep.send(desk, identifier(certificate), kind=kind), "looks-up.site.example")
    # A challenge in such a request says nothing, whatever it is.
    device = new_key("ec")
    check(scep.send(desk, make_csr(device, "printer4.site.example", "wrong")).status == SUCCESS, "a challenge was looked at")


def what_it_has_enrolled_renews_by_itself(g, scep, desk):
    """In its own name: the authority is not asked, and is not who asks."""
    device, dns = new_key(), "renews.site.example"
    own = Sender(device, scep.send(desk, make_csr(device, dns)).certificates(desk)[0])
    check(scep.send(own, make_csr(new_key(), dns), kind=RENEWAL_REQ).status == SUCCESS, "it cannot be renewed")
    requesters = sorted(r["requester"] for r in state_of(g, dns))
    check(requesters[0].startswith("scep:cert:") and requesters[1] == "scep:ra:desk", str(requesters))
    refused(g, scep.send(own, make_csr(new_key(), "other.site.example")), "other.site.example", BAD_REQUEST)


def a_held_one_is_polled(g, scep, desk):
    dns = "hold-me.site.example"
    check(scep.send(desk, make_csr(new_key("ec"), dns), transaction=b"behalf").status == PENDING, "it is not held")
    number = g.wait_pending(dns)["id"]
    g.run_tool("approve", str(number), "--yes")
    refused(g, scep.send(Sender(), b"", kind=CERT_POLL, transaction=b"behalf"), "nobody.site.example", BAD_CERT_ID)
    check(scep.send(desk, b"", kind=CERT_POLL, transaction=b"behalf").status == SUCCESS, "its poll brings nothing")


def others_are_refused(g, office, scep, desk):
    for what, member in (("not listed", office.member("stranger", CLIENT_AUTH, CMC_RA)),
                         ("without id-kp-cmcRA", office.member("plain", CLIENT_AUTH)),
                         ("without clientAuth", office.member("half", CMC_RA)),
                         ("of the listed key, without id-kp-cmcRA", office.member("desk", CLIENT_AUTH, key=desk.key)),
                         ("of the listed key, and over", office.member("desk", CLIENT_AUTH, CMC_RA, days=-1, key=desk.key)),
                         ("listed for another endpoint", office.elsewhere),
                         ("listed for another profile", office.other_profile)):
        for kind in PKCS_REQ, RENEWAL_REQ:
            dns = "refused.site.example"
            reply = scep.send(member, make_csr(new_key("ec"), dns), kind=kind)
            check(reply.status == FAILURE, f"{what}: {reply.status}")
            refused(g, reply, dns)
    # Its own name is not in its scope, and neither is anybody else's.
    for dns in ("desk.office.example", "site.example", "a.site.example.org"):
        refused(g, scep.send(desk, make_csr(new_key("ec"), dns)), dns, BAD_REQUEST)
    # Of a device the authority must have the request, signed by its key.
    bent = bytearray(make_csr(new_key("ec"), "bent.site.example"))
    bent[-1] ^= 1
    refused(g, scep.send(desk, bytes(bent)), "bent.site.example")
    # The certificate is public, the key is not.
    refused(g, scep.send(Sender(new_key(), desk.certificate), make_csr(new_key("ec"), "thief.site.example")), "thief.site.example")


def at_its_own_endpoint_it_is_good(g, office):
    reply = Scep(g, "other").send(office.elsewhere, make_csr(new_key("ec"), "there.site.example"))
    check(reply.status == SUCCESS, f"{reply.fail} {reply.fail_text}")


def a_revoked_one_is_refused(g, scep, desk):
    """At once, and what it has pending is not issued any more."""
    dns = "hold-late.site.example"
    check(scep.send(desk, make_csr(new_key("ec"), dns), transaction=b"late").status == PENDING, "it is not held")
    number = g.wait_pending(dns)["id"]
    g.run_tool("ra", "revoke", "desk")
    refused(g, scep.send(desk, make_csr(new_key("ec"), "after.site.example")), "after.site.example")
    g.run_tool("approve", str(number), "--yes", code=None)
    check(not any(r["state"] == "issued" for r in state_of(g, dns)), "what it had pending is issued")


def authorities_enrol_for_others():
    profiles = "  - name: short\n    lifetime: 1h\n    keys: [rsa, ec-p256]\n"
    endpoints = {"scep": "", "other": "", "short": "profile: short"}
    with gatehouse(lambda g: add_scep(g, endpoints, profiles=profiles)) as g:
        office, scep = Office(g), Scep(g, "scep")
        desk = office.member("desk.office.example", CLIENT_AUTH, CMC_RA)
        office.elsewhere = office.member("elsewhere", CLIENT_AUTH, CMC_RA)
        office.other_profile = office.member("short", CLIENT_AUTH, CMC_RA)
        office.list("desk", desk, "--endpoint", "scep", "--scope", "*.site.example")
        office.list("elsewhere", office.elsewhere, "--endpoint", "other", "--scope", "*.site.example")
        office.list("short", office.other_profile, "--endpoint", "short", "--scope", "*.site.example")
        a_listed_one_enrols_for_devices(g, scep, desk)
        what_it_has_enrolled_renews_by_itself(g, scep, desk)
        a_held_one_is_polled(g, scep, desk)
        others_are_refused(g, office, scep, desk)
        at_its_own_endpoint_it_is_good(g, office)
        a_revoked_one_is_refused(g, scep, desk)


main([authorities_enrol_for_others])
