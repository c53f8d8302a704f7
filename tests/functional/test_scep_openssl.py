#!/usr/bin/python3
"""Every operation of SCEP with `openssl` and `curl` alone, right and wrong."""
import os
import time

from der import tlv
from gatehouse import check, gatehouse, main
from openssl_scep import Client, Sender, below, read_text
from scep_client import add_scep, create_challenge, run

ENDPOINTS = {"scep": "", "chain": "reply: chain\nca-certificates: ra",
             "old": "legacy: sha1-3des\noaep: true\nprofile: old"}
PKCS_REQ, RENEWAL_REQ, CERT_POLL, GET_CERT, GET_CRL = "19", "17", "20", "21", "22"
BAD_ALG, BAD_MESSAGE_CHECK, BAD_REQUEST, BAD_CERT_ID = "0", "1", "2", "4"


def challenge(client):
    return create_challenge(client.g, client.endpoint, "dns:*.example")


def refused(answer, fail):
    check(answer.status == "2" and answer.fail == fail, f"{answer.status} {answer.fail} {answer.fail_text}")
    check(os.path.getsize(answer.client.file("content")) == 0, "a failure has content")
    return answer


def enrol(client, name):
    sender = Sender(client, name)
    return sender.take(client.send(sender, sender.request(challenge=challenge(client)), PKCS_REQ))


# ---- GetCACaps, GetCACert ----

def capabilities(client, old):
    for more in ((), ("--data-urlencode", "message=router 7"), ("-0",), ("-0", "-H", "Host:")):
        answer = client.ask("GetCACaps", *more)
        check(answer.code == 200 and answer.kind == "text/plain", f"{more}: {answer.code} {answer.kind}")
        words = answer.body().decode().split("\n")
        check(words.pop() == "" and "" not in words, f"an empty line, or none at the end: {words}")
        check({"AES", "SHA-256", "SHA-512", "POSTPKIOperation", "Renewal", "SCEPStandard"} <= set(words), str(words))
        check(not {"DES3", "SHA-1", "GetNextCACert"} & set(words), str(words))
    check({"DES3", "SHA-1"} <= set(old.ask("GetCACaps").body().decode().split("\n")), "they are taken and not listed")
    for operation in ("", "getcacaps ", "GetCACap", "PKIOperation", "GetCert"):
        answer = client.ask(operation)
        check(answer.code == 400, f"operation {operation}: {answer.code}")


def certificates_of_the_ca(client, chain):
    (_, *above) = client.certificates(client.ask("GetCACert").path)
    check(len(above) == 1 and read_text(above[0]) == read_text(client.g.root), "another root")
    both = chain.certificates(chain.ask("GetCACert", "--data-urlencode", "message=whatever").path)
    check([read_text(path) for path in both] == [read_text(chain.ra), read_text(client.g.root)], "others")


# ---- PKCSReq ----

def requests(client, chain, old):
    sender = Sender(client, "device.example")

    def enrol_with(there=client, by=sender, **options):
        by.receive(there.send(by, by.request(challenge=challenge(there)), PKCS_REQ, **options))

    for i, (cipher, digest) in enumerate((("aes128", "sha256"), ("aes192", "sha384"), ("aes256", "sha512"))):
        enrol_with(cipher=cipher, digest=digest, send=(client.post, client.get)[i % 2])
    enrol_with(send=lambda octets: client.get(octets, "-0", "-H", "Host:"))
    for header in "Expect: 100-continue", "Transfer-Encoding: chunked", "Content-Type:", "Content-Type: text/plain":
        enrol_with(send=lambda octets, header=header: client.post(octets, "-H", header))
    enrol_with(to=("-keyid", client.ra))
    for name, kind in ("curve.example", "P-256"), ("long.example", "rsa:4096"):
        enrol_with(by=Sender(client, name, kind))
    for cipher, digest in (("des3", "sha256"), ("aes128", "sha1"), ("des3", "sha1")):
        enrol_with(old, cipher=cipher, digest=digest)
    enrol_with(old, to=("-recip", old.ra, "-keyopt", "rsa_padding_mode:oaep"))
    leaf, issuer = sender.certificates(chain.send(sender, sender.request(challenge=challenge(chain)), PKCS_REQ))
    check(issuer == read_text(client.g.root) != leaf, "the leaf does not come first")


def requests_are_refused(client, old):
    sender, issued = Sender(client, "no.example"), client.g.metric("gatehouse_scep_issued_total")
    spent = challenge(client)
    client.send(sender, sender.request(challenge=spent), PKCS_REQ)
    for word in (None, "wrong", spent, challenge(old)):
        refused(client.send(sender, sender.request(challenge=word), PKCS_REQ), BAD_REQUEST)
    good = challenge(client)
    refused(client.send(sender, sender.request("no.elsewhere", good), PKCS_REQ), BAD_REQUEST)
    refused(client.send(sender, sender.request("deny-it.example", challenge(client)), PKCS_REQ), BAD_REQUEST)
    path = sender.request(challenge=good)
    # Somebody else's request; no request; algorithms that are not taken here; other recipients than one RSA key.
    other = Sender(client, "other.example")
    refused(client.send(other, path, PKCS_REQ), BAD_MESSAGE_CHECK)
    refused(client.send(sender, client.ra, PKCS_REQ), BAD_MESSAGE_CHECK)
    oaep = ("-recip", client.ra, "-keyopt", "rsa_padding_mode:oaep")
    for options in {"cipher": "des3"}, {"digest": "sha1"}, {"to": oaep}, {"to": (other.pem,)}:
        refused(client.send(sender, path, PKCS_REQ, **options), BAD_ALG)
    for options in ({"cipher": "aes-128-gcm"}, {"to": (client.ra, client.ra)}):
        refused(client.send(sender, path, PKCS_REQ, **options), BAD_REQUEST)
    check(client.g.metric("gatehouse_scep_issued_total") == issued + 1, "one was issued all the same")


def what_is_no_message(client):
    sender = Sender(client, "bent.example")
    octets = client.message(sender, client.encrypt(sender.request(challenge="wrong")), PKCS_REQ, "bent")
    for wrong in (b"", octets[:-1], octets + b"\0", octets[1:], client.encrypt(sender.request()), os.urandom(999)):
        for method in client.post, client.get:
            check(method(wrong).code == 400, f"{method.__name__} {len(wrong)} of {len(octets)} octets, {wrong[:9]}")
    for word in ("", "message=", "message=%%%", "message=!", "massage=MIIB"):
        check(client.ask("PKIOperation", "--data-urlencode", word).code == 400, word)
    # The signature is of another message, or by another key.
    bent = octets[:-1] + bytes([octets[-1] ^ 1])
    renamed = octets.replace(tlv(0x13, b"bent"), tlv(0x13, b"tneb"))
    check(renamed != octets, "the transaction is not in it")
    for wrong in bent, renamed:
        refused(client.post(wrong).read(), BAD_MESSAGE_CHECK)


# ---- CertPoll ----

def issuer_and_subject(client, sender):
    """Of the CA, and of a certificate that the sender has made."""
    return client.save("issuer-and-subject", tlv(0x30, below(client.ra_der)[3], below(sender.certificate)[5]))


def polls(client):
    sender, thief = Sender(client, "hold-it.example"), Sender(client, "thief.example")
    path = sender.request(challenge=challenge(client))
    asked = issuer_and_subject(client, sender)
    refused(client.send(sender, asked, CERT_POLL, "held"), BAD_CERT_ID)
    for method in client.post, client.get:
        check(client.send(sender, path, PKCS_REQ, "held", send=method).status == "3", "it is not held")
        check(client.send(sender, asked, CERT_POLL, "held", send=method).status == "3", "it is held no more")
    refused(client.send(sender, asked, CERT_POLL, "another"), BAD_CERT_ID)
    client.g.run_tool("approve", str(client.g.wait_pending("hold-it.example")["id"]), "--yes")
    refused(client.send(thief, asked, CERT_POLL, "held"), BAD_CERT_ID)
    (pem,) = sender.certificates(client.send(sender, asked, CERT_POLL, "held"))
    check([pem] == sender.certificates(client.send(sender, path, PKCS_REQ, "held")), "another certificate")
    # Another one is denied.
    path = sender.request("hold-no.example", challenge(client))
    check(client.send(sender, path, PKCS_REQ, "denied").status == "3", "it is not held")
    client.g.run_tool("deny", str(client.g.wait_pending("hold-no.example")["id"]), "--reason", "nobody knows it")
    denial = refused(client.send(sender, asked, CERT_POLL, "denied"), BAD_REQUEST)
    check("nobody knows it" in denial.fail_text, denial.fail_text)


# ---- RenewalReq ----

def serial(sender):
    return run("openssl", "x509", "-in", sender.pem, "-noout", "-serial").decode().strip().partition("=")[2].lower()


def renewals(client):
    owner, following = enrol(client, "owner.example"), Sender(client, "following")
    for kind in RENEWAL_REQ, PKCS_REQ:
        (new,) = owner.certificates(client.send(owner, following.request("owner.example"), kind))
        check(new != read_text(owner.pem), "the old one")
    refused(client.send(owner, following.request("more.example"), RENEWAL_REQ), BAD_REQUEST)
    by_itself = following.request("following", challenge(client))
    refused(client.send(following, by_itself, RENEWAL_REQ), BAD_MESSAGE_CHECK)
    client.g.run_tool("revoke", serial(owner), "--reason", "superseded")
    refused(client.send(owner, following.request("owner.example"), RENEWAL_REQ), BAD_MESSAGE_CHECK)
    return owner


# ---- GetCert, GetCRL ----

def lookups(client, revoked):
    asker = enrol(client, "asks.example")

    def ask(sender, about, kind, **more):
        return client.send(sender, client.save("about", about), kind, **more)

    client.g.run_tool("ca", "crl", "--publish")
    for method in client.post, client.get:
        for about in asker, revoked:
            found = asker.certificates(ask(asker, about.identifier(), GET_CERT, send=method))
            check(found == [read_text(about.pem)], "another one")
        path = asker.open(ask(asker, revoked.identifier(), GET_CRL, send=method))
        list_ = run("openssl", "pkcs7", "-inform", "DER", "-in", path, "-print_certs")
        check(b"BEGIN CERTIFICATE" not in list_, "certificates come with the list")
        run("openssl", "crl", "-noout", "-CAfile", client.g.root, "-in", client.save("list.pem", list_))
    said = run("openssl", "crl", "-noout", "-text", "-in", client.file("list.pem")).decode()
    check(serial(revoked).upper() in said and serial(asker).upper() not in said, said)
    nobody = tlv(0x30, below(asker.certificate)[3], tlv(2, b"\x11" * 9))
    for kind in GET_CERT, GET_CRL:
        for about in nobody, tlv(0x30), os.urandom(40), asker.identifier() + b"\0":
            refused(ask(asker, about, kind), BAD_CERT_ID)
        # Who has no certificate of this CA, or has one that was revoked.
        for sender in Sender(client, "stranger"), revoked:
            refused(ask(sender, asker.identifier(), kind), BAD_MESSAGE_CHECK)


# ---- GetNextCACert ----

def the_next_ca(client):
    check(client.ask("GetNextCACert").code == 404, "there is none")
    client.g.run_tool("ca", "rollover", "Test CA", code=None)
    end = time.monotonic() + 30
    while (answer := client.ask("GetNextCACert")).code == 404:
        check(time.monotonic() < end, "the next root is not told")
        time.sleep(0.1)
    check(answer.code == 200 and answer.kind == "application/x-x509-next-ca-cert", f"{answer.code} {answer.kind}")
    run("openssl", "cms", "-verify", "-binary", "-inform", "DER", "-in", answer.path, "-CAfile", client.g.root,
        "-purpose", "any", "-out", client.file("next"))
    (root,) = client.certificates(client.file("next"))
    run("openssl", "verify", "-x509_strict", "-check_ss_sig", "-no-CApath", "-no-CAstore", "-CAfile", root, root)
    check(read_text(root) != read_text(client.g.root), "it is the one before")
    check("GetNextCACert" in client.ask("GetCACaps").body().decode().split("\n"), "it is not listed")


def openssl_and_curl():
    profiles = "  - name: old\n    keys: [rsa]\n"
    with gatehouse(lambda g: add_scep(g, ENDPOINTS, profiles=profiles)) as g:
        client, chain, old = (Client(g, name) for name in ENDPOINTS)
        for test, *those in ((capabilities, client, old), (certificates_of_the_ca, client, chain),
                             (requests, client, chain, old), (requests_are_refused, client, old),
                             (what_is_no_message, client), (polls, client)):
            begin = time.monotonic()
            test(*those)
            print(f"  {test.__name__} ({time.monotonic() - begin:.1f} s)", flush=True)
        lookups(client, renewals(client))
        the_next_ca(client)


main([openssl_and_curl])
