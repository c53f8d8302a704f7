#!/usr/bin/python3
"""`ca-certificates: ca`: GetCACert tells the CA alone, and clients are given the RA certificate as a file, which the
administrator gets as docs/clients/scep.md says."""
import os
import shutil

from cryptography.hazmat.primitives.serialization import Encoding

from certmonger import Certmonger
from gatehouse import check, gatehouse, main
from scep_client import Strongswan, add_scep, create_challenge, key_of, read_certificate, run, url
from scep_raw import Scep, Sender, envelope, make_csr, pki_message

FILTER = "valid and profile=scep-ra and requester=gateway:ra:"


def save(g, name, text):
    path = os.path.join(g.folder, name)
    with open(path, "w", encoding="ascii") as f:
        f.write(text)
    return path


def ra_file(g, endpoint):
    """The certificate of this endpoint, of two that have the same names and profile."""
    serial = g.run_tool("cert", "list", "--newest", "--limit", "1", FILTER + endpoint, output="id").stdout.strip()
    check(serial, f"no certificate of {endpoint}")
    return save(g, endpoint + "-ra.pem", g.run_tool("cert", "export", serial).stdout)


def told_alone(g):
    """What GetCACert answers: one certificate, that of the CA."""
    reply = Scep.ask(Alone(g), "GET", "/scep/alone?operation=GetCACert")
    check((reply.code, reply.headers["Content-Type"]) == (200, "application/x-x509-ca-cert"), f"{reply.code} {reply.headers}")
    return reply.body


class Alone(Scep):
    """An endpoint whose RA certificate GetCACert does not tell."""

    def __init__(self, g):
        self.port, self.path = g.scep_port, "/scep/alone"


def strongswan_takes_it(g, ra):
    client = Strongswan(g, "alone")
    check(not os.path.exists(client.file("ra.pem")), "there is an RA certificate in the answer")
    with open(ra, "rb") as f:
        client.save("ra.pem", f.read())
    pem, key = client.enrol("swan.example", create_challenge(g, "alone", "dns:*.example"))
    g.verify(pem)
    # It renews with the same file.
    for path in pem, key:
        os.rename(path, path + ".old")
    again, _ = client.enrol("swan.example", None, ("--cert", pem + ".old", "--key", key + ".old"))
    check(read_certificate(again).serial_number != read_certificate(pem + ".old").serial_number, "the same certificate")


def certmonger_takes_it(g, ra):
    folder = os.path.join(g.folder, "certmonger")
    os.makedirs(folder)
    monger = Certmonger(folder)
    try:
        monger.add_ca("alone", url(g, "alone"), "-r", ra, "-N", g.root)
        pem = monger.request("alone", "monger.example", create_challenge(g, "alone", "dns:*.example"))
        monger.wait_state("monger.example", "MONITORING")
        g.verify(pem)
    finally:
        monger.stop()


def the_snippet_runs_as_it_is_printed(g, ra):
    folder = os.path.join(g.folder, "typed")
    os.makedirs(folder)
    shutil.copy(ra, os.path.join(folder, "ra.pem"))
    text = g.run_tool("endpoint", "snippet", "alone", "strongswan", "--domain", "typed.example").stdout
    check(FILTER + "alone" in text, text)
    run("sh", "-ec", text, cwd=folder, env=dict(os.environ, challenge=create_challenge(g, "alone", "dns:*.example")))
    g.verify(os.path.join(folder, "typed.example.pem"))


def the_key_of_the_ca_decrypts_nothing(g, ca):
    """Whoever encrypts to the certificate that GetCACert answers is told to take another one."""
    challenge = create_challenge(g, "alone", "dns:*.example")
    scep = Alone(g)
    sender = Sender(text="to-the-ca.example")
    inside = envelope(Sender(text="anybody").certificate, make_csr(sender.key, "to-the-ca.example", challenge), recipient=ca)
    reply = scep.post(pki_message(sender, inside)).read()
    check((reply.status, reply.fail) == ("2", "0") and "another certificate" in reply.fail_text,
          f"{reply.status} {reply.fail} {reply.fail_text}")


def it_is_given_by_file():
    with gatehouse(lambda g: add_scep(g, {"scep": "", "alone": "ca-certificates: ca"})) as g:
        ca, other, ra = read_certificate(g.root), Scep(g, "scep").ra, ra_file(g, "alone")
        check(told_alone(g) == ca.public_bytes(Encoding.DER), "that is another certificate than the CA's")
        check(key_of(read_certificate(ra_file(g, "scep"))) == key_of(other), "the file is not what GetCACert tells")
        check(key_of(read_certificate(ra)) != key_of(other), "it is the other endpoint's")
        strongswan_takes_it(g, ra)
        certmonger_takes_it(g, ra)
        the_snippet_runs_as_it_is_printed(g, ra)
        the_key_of_the_ca_decrypts_nothing(g, ca)


main([it_is_given_by_file])
