#!/usr/bin/python3
"""GetCert and GetCRL: who holds a certificate gets others, and the list that tells of them."""
import os
import subprocess
import time

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from der import tlv
from gatehouse import check, gatehouse, main
from scep_client import add_scep, create_challenge, run
from scep_raw import GET_CERT, GET_CRL, SUCCESS, Scep, identifier, parts, read

SCOPE = "dns:*.example"


def serial_of(certificate):
    """As the tool takes it."""
    text = format(certificate.serial_number, "x")
    return text.zfill(len(text) + len(text) % 2)


class Place:
    def __init__(self, g, endpoint="scep"):
        self.g, self.endpoint, self.scep = g, endpoint, Scep(g, endpoint)

    def enrol(self, name):
        return self.scep.enrol(name, create_challenge(self.g, self.endpoint, SCOPE))[0]

    def get(self, asker, about, kind=GET_CERT):
        reply = self.scep.send(asker, identifier(about), kind=kind)
        check(reply.status == SUCCESS, f"{reply.fail} {reply.fail_text}{self.g.log_tail()}")
        return reply

    def certificate(self, asker, about):
        return self.get(asker, about).certificates(asker)

    def crl(self, asker, about):
        """The list; by the issuer of what it is about."""
        lists = self.get(asker, about, GET_CRL).crls(asker)
        check(len(lists) == 1 and lists[0].issuer == about.issuer, f"{len(lists)} lists")
        return lists[0]

    def metric(self, name):
        return self.g.metric(f'gatehouse_scep_{name}_total{{endpoint="{self.endpoint}"}}')


def certificates_are_found(p):
    first, second = p.enrol("first.example"), p.enrol("second.example")
    issued, found = p.metric("issued"), p.metric("certificates")
    # His own, which he may have lost, and another one.
    check(p.certificate(first, first.certificate) == [first.certificate], "another one than his own")
    check(p.certificate(first, second.certificate) == [second.certificate], "not the one that was asked for")
    # One that the CA issued at another endpoint, and the RA's own.
    other = Place(p.g, "other").enrol("other.example")
    check(p.certificate(first, other.certificate) == [other.certificate], "of another endpoint")
    check(p.certificate(first, p.scep.ra) == [p.scep.ra], "the RA's")
    check((p.metric("issued"), p.metric("certificates")) == (issued, found + 4), "the metrics count otherwise")
    # As others read it.
    reply = p.get(first, second.certificate)
    path = os.path.join(p.g.folder, "bag")
    with open(path, "wb") as f:
        f.write(reply.open(first))
    said = run("openssl", "pkcs7", "-inform", "DER", "-in", path, "-print_certs")
    check(said.count(b"BEGIN CERTIFICATE") == 1, said.decode())
    return first, second


def lists_tell_of_certificates(p, first, second):
    p.g.run_tool("ca", "crl", "--publish")
    count = p.metric("crls")
    before = p.crl(first, second.certificate)
    check(before.get_revoked_certificate_by_serial_number(second.certificate.serial_number) is None, "it is revoked")
    p.g.run_tool("revoke", serial_of(second.certificate), "--reason", "superseded")
    end = time.monotonic() + 60
    while p.crl(first, second.certificate).get_revoked_certificate_by_serial_number(second.certificate.serial_number) is None:
        check(time.monotonic() < end, "the list does not tell of it")
        time.sleep(0.2)
    after = p.crl(first, first.certificate)
    check(p.metric("crls") >= count + 3, "the metric does not count")
    # It is that of the CA, octet for octet as it is published everywhere.
    path = os.path.join(p.g.folder, "scep.crl")
    with open(path, "wb") as f:
        f.write(after.public_bytes(Encoding.DER))
    done = subprocess.run(["openssl", "crl", "-inform", "DER", "-in", path, "-noout", "-CAfile", p.g.root],
                          capture_output=True, text=True, check=True)
    check("verify OK" in done.stderr, done.stderr)
    # What is revoked is found still; and who holds it gets nothing any more.
    check(p.certificate(first, second.certificate) == [second.certificate], "a revoked one is not found")
    reply = p.scep.send(second, identifier(first.certificate), kind=GET_CERT)
    check(reply.status != SUCCESS, "a revoked one asks")


def clients_name_what_they_have(p, first):
    """Many ask for the list by the certificate of the CA, and who was given that of the RA alone takes it for the CA."""
    with open(p.g.root, "rb") as f:
        root = x509.load_pem_x509_certificate(f.read())
    check(p.certificate(first, root) == [root], "the CA's own certificate is not found")
    wanted = p.crl(first, first.certificate)
    check(p.crl(first, root) == wanted, "another list by the certificate of the CA")
    subject = p.scep.ra.subject.public_bytes()

    def ask(about, kind):
        octets = tlv(0x30, subject, list(parts(read(identifier(about))[1]))[1][2])
        return p.scep.send(first, octets, kind=kind)

    check(ask(first.certificate, GET_CERT).certificates(first) == [first.certificate], "not by the RA as its issuer")
    for about in first.certificate, p.scep.ra:
        check(ask(about, GET_CRL).crls(first) == [wanted], "another list by the RA as the issuer")


def old_keys_have_lists_of_their_own(p, first):
    """The CA signs with another key; what the old one signed is in its list."""
    p.g.run_tool("ca", "rollover", "Test CA", code=None)
    new = p.enrol("new.example")
    p.g.run_tool("ca", "crl", "--publish")
    check(p.certificate(new, first.certificate) == [first.certificate], "what the old key signed is not found")
    lists = [p.crl(new, about) for about in (first.certificate, new.certificate)]
    for crl, about in zip(lists, (first.certificate, new.certificate)):
        issuer = next(e.value for e in about.extensions if e.oid.dotted_string == "2.5.29.35").key_identifier
        named = next(e.value for e in crl.extensions if e.oid.dotted_string == "2.5.29.35").key_identifier
        check(named == issuer, "the list of another key")


def lookups():
    with gatehouse(lambda g: add_scep(g, {"scep": "", "other": ""})) as g:
        p = Place(g)
        first, second = certificates_are_found(p)
        lists_tell_of_certificates(p, first, second)
        clients_name_what_they_have(p, first)
        old_keys_have_lists_of_their_own(p, first)


main([lookups])
