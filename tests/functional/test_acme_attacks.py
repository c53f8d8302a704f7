#!/usr/bin/python3
"""What an ACME client may try with what is not his: certificates of another CA that look like ours, orders that are far too
large, and paths that are spelled in other ways. Nothing of it changes anything, and the next right request is served."""
import contextlib
import datetime
import json

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from acme_client import Client, Problem, Responder, b64
from gatehouse import DOMAIN, check, gatehouse, main


@contextlib.contextmanager
def attacked():
    with gatehouse() as g, contextlib.closing(Responder(g.http01_port)) as responder:
        client = Client(g, responder).start()
        yield g, responder, client
        client.get_certificate(f"after.{DOMAIN}")


def refused(call, status, kind="malformed"):
    try:
        call()
    except Problem as p:
        check(p.status == status and p.document["type"].endswith(":" + kind), f"{p.status} {p.document}, wanted {status} {kind}")
        return
    raise AssertionError(f"that was served, wanted {status} {kind}")


def pem_of(certificate):
    return certificate.public_bytes(serialization.Encoding.PEM).decode()


def forge(like, public_key, signer):
    """A certificate with issuer, serial, subject, names and all else of ours, made by whoever has `signer`."""
    now = datetime.datetime.utcnow()
    builder = x509.CertificateBuilder().issuer_name(like.issuer).subject_name(like.subject).serial_number(
        like.serial_number).not_valid_before(now).not_valid_after(now + datetime.timedelta(days=30)).public_key(public_key)
    for extension in like.extensions:
        builder = builder.add_extension(extension.value, extension.critical)
    return pem_of(builder.sign(signer, hashes.SHA256()))


def certificates_of_another_ca_revoke_nothing():
    with attacked() as (g, responder, client):
        name = f"victim.{DOMAIN}"
        key = ec.generate_private_key(ec.SECP256R1())
        location, order = client.order(name)
        client.prove(order)
        csr = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([])).add_extension(
            x509.SubjectAlternativeName([x509.DNSName(name)]), False).sign(key, hashes.SHA256())
        client.finalize(order, csr.public_bytes(serialization.Encoding.DER))
        order = client.poll(location)
        leaf = x509.load_pem_x509_certificate(client.post(order["certificate"])[1])
        mallory, other_ca = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
        stranger = Client(g, responder).start()
        # His own key in a certificate that says it is ours: he proves that key, and has nothing of ours.
        theirs = forge(leaf, mallory.public_key(), other_ca)
        refused(lambda: stranger.revoke(theirs, key=mallory), 404)
        refused(lambda: stranger.revoke(theirs), 404)
        # The victim's key in it, and signed by another CA: these are not the octets that were issued.
        renamed = forge(leaf, key.public_key(), other_ca)
        refused(lambda: stranger.revoke(renamed, key=key), 404)
        refused(lambda: client.revoke(renamed), 404)
        # The true certificate, and the keys of others.
        refused(lambda: stranger.revoke(pem_of(leaf), key=mallory), 403, "unauthorized")
        refused(lambda: stranger.revoke(pem_of(leaf), key=other_ca), 403, "unauthorized")
        refused(lambda: stranger.revoke(pem_of(leaf)), 403, "unauthorized")
        # An old one of the same issuer, by a key of its own.
        old = x509.CertificateBuilder().issuer_name(leaf.issuer).subject_name(leaf.issuer).serial_number(1).not_valid_before(
            datetime.datetime(2020, 1, 1)).not_valid_after(datetime.datetime(2021, 1, 1)).public_key(mallory.public_key()).sign(
            mallory, hashes.SHA256())
        refused(lambda: stranger.revoke(pem_of(old), key=mallory), 404)
        revoked = [c for c in g.tool_json("cert", "list")["certificates"] if c["state"] != "valid"]
        check(not revoked, f"revoked: {revoked}")
        client.revoke(pem_of(leaf), key=key)
        refused(lambda: client.revoke(pem_of(leaf)), 400, "alreadyRevoked")


def a_key_of_another_account_changes_none():
    """keyChange with an inner message that is about somebody else, or for another place."""
    with attacked() as (g, responder, client):
        other, new = Client(g, responder).start(), Client(g, responder)
        url = client.directory["keyChange"]

        def change(signer, claim, inner_url=url):
            return client.post(url, signer.message({"alg": "ES256", "jwk": signer.jwk, "url": inner_url}, claim))

        refused(lambda: change(new, {"account": other.kid, "oldKey": client.jwk}), 400)
        refused(lambda: change(new, {"account": other.kid, "oldKey": other.jwk}), 400)
        refused(lambda: change(new, {"account": client.kid, "oldKey": other.jwk}), 400)
        refused(lambda: change(new, {"account": client.kid, "oldKey": new.jwk}), 400)
        refused(lambda: change(new, {"account": client.kid, "oldKey": client.jwk}, client.directory["newOrder"]), 400)
        refused(lambda: change(new, {"account": client.kid, "oldKey": client.jwk}, url + "?"), 400)
        refused(lambda: change(other, {"account": client.kid, "oldKey": client.jwk}), 409)
        other.order(f"a.{DOMAIN}")  # both have their keys as before
        client.change_key(new.key)
        client.order(f"b.{DOMAIN}")


def orders_that_are_far_too_large():
    with attacked() as (g, responder, client):
        url = client.directory["newOrder"]

        def order(payload):
            reply, data = client.request("POST", url, client.jws(url, payload), {"Content-Type": "application/jose+json"})
            return reply, json.loads(data)

        names = [{"type": "dns", "value": f"h{i}.{DOMAIN}"} for i in range(10000)]
        one = {"identifiers": names[:1]}
        deep = []
        for _ in range(300):
            deep = [deep]
        for payload, status in (({"identifiers": names}, 413), ({"identifiers": names[:101]}, 400),
                                ({"identifiers": [0] * 10000}, 400), ({"identifiers": [{}] * 10000}, 400),
                                ({"identifiers": [[]] * 10000}, 400), ({"identifiers": deep}, 400),
                                ({**one, "replaces": "A" * 60000}, 413), ({**{f"m{i}": 0 for i in range(3000)}, **one}, 400)):
            client.request("HEAD", client.directory["newNonce"])
            reply, problem = order(payload)
            check(reply.status == status and problem["type"].startswith("urn:ietf:params:acme:error:"),
                  f"{str(payload)[:60]}: {reply.status} {str(problem)[:200]}")
            if reply.getheader("Connection") == "close":
                client.connection = None
            client.nonce = None
        check(g.metric("gatehouse_pending_requests") == 0, "nothing came of it")


def post(client, url, signed_url):
    """The status, when the message says this URL."""
    client.request("HEAD", client.directory["newNonce"])
    reply, _ = client.request("POST", url, client.jws(signed_url, None), {"Content-Type": "application/jose+json"})
    client.nonce = None
    return reply.status


def paths_that_are_spelled_in_other_ways():
    with attacked() as (g, responder, client):
        location, _ = client.order(f"own.{DOMAIN}")
        other = Client(g, responder).start()
        theirs, _ = other.order(f"theirs.{DOMAIN}")
        for path in ("/acme/directory%", "/acme/directory%2", "/acme/directory%zz", "/acme/directory%00", "/acme%2fdirectory",
                     "/acme/%64irectory", "/%61cme/directory", "/acme/directory%0d%0aX-Evil:%20y", "/acme/%", "/acme/%%%",
                     "/acme/new-nonce%u0041", "/acme/%c0%af/directory", "/acme/directory/", "/acme/./directory",
                     "/acme//directory", "/acme\\directory", "/ACME/directory"):
            reply, data = client.request("GET", g.directory.split("/acme")[0] + path)
            check(reply.status == 404 and not reply.getheader("X-Evil"), f"GET {path}: {reply.status}")
            check(path not in data.decode(errors="replace"), f"GET {path}: it is repeated in {data[:200]}")
        number = location.rsplit("/", 1)[1]
        escaped = "".join(f"%{ord(c):02x}" for c in number)
        for url in (location.replace(number, escaped), location + "%", location + "%20", location + "%00", location + "/",
                    location.replace("/acme/", "/acme/%2e/"), theirs, theirs + "%", theirs.rsplit("/", 1)[0] + "/%2e%2e"):
            check((status := post(client, url, url)) == 404, f"POST {url}: {status}")
        # What is signed for one spelling is not good at another.
        for asked, signed in ((location, location.replace(number, escaped)), (location, location + "?x"),
                              (location + "?x", location)):
            check((status := post(client, asked, signed)) == 403, f"POST {asked}, signed for {signed}: {status}")
        check(json.loads(client.post(location)[1])["status"] == "pending", "the order is as it was")


main([certificates_of_another_ca_revoke_nothing, a_key_of_another_account_changes_none, orders_that_are_far_too_large,
      paths_that_are_spelled_in_other_ways])
