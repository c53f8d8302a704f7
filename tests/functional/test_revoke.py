#!/usr/bin/python3
"""certbot, lego and uacme have their certificates revoked, by account and by key; and who else may, and who not."""
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from acme_client import Client, Problem, Responder
from clients import Certbot, Uacme, lego
from gatehouse import DOMAIN, check, gatehouse, main


def read(path):
    with open(path, encoding="ascii") as f:
        return f.read()


def serial(pem):
    return f"{x509.load_pem_x509_certificate(pem.encode()).serial_number:x}"


def row(g, pem):
    """What the tool says of the certificate."""
    return next(c for c in g.tool_json("cert", "list")["certificates"]
                if c["serial"].lstrip("0").lower() == serial(pem))


def is_revoked(g, pem, reason=None):
    found = row(g, pem)
    return "revoked" in found and (reason is None or f"reason={reason}" in str(g.timeline(found["request"])))


def refused(call, kind, status):
    try:
        call()
    except Problem as problem:
        check(problem.status == status and problem.document["type"].endswith(f":{kind}"), str(problem))
        return problem
    raise AssertionError(f"that was not answered with {kind}")


def certbot_revokes_by_account_and_by_key():
    with gatehouse() as g:
        certbot = Certbot(g)
        pem = read(certbot.must_get(f"a.{DOMAIN}"))
        certbot.must("revoke", "--cert-name", f"a.{DOMAIN}", "--reason", "superseded", "--no-delete-after-revoke")
        check(is_revoked(g, pem, "superseded"), str(row(g, pem)))
        code, output = certbot.run("-vv", "revoke", "--cert-path", certbot.path(f"a.{DOMAIN}"),
                                   "--no-delete-after-revoke", "--server", g.directory)
        check(code != 0 and "revoked already" in output, output)
        path = certbot.must_get(f"b.{DOMAIN}")
        pem = read(path)
        stranger = Certbot(g)  # which has no account
        stranger.folder += "-of-a-stranger"
        stranger.must("revoke", "--cert-path", path, "--key-path", path.replace("cert.pem", "privkey.pem"),
                      "--reason", "keycompromise", "--no-delete-after-revoke")
        check(is_revoked(g, pem, "keyCompromise"), str(row(g, pem)))
        check("proof=key" in str(g.timeline(row(g, pem)["request"])), "the timeline says by what right")


def lego_revokes():
    with gatehouse() as g:
        pem = read(lego(g, f"lego.{DOMAIN}"))
        lego(g, f"lego.{DOMAIN}", command=("revoke", "--reason", "5"))
        check(is_revoked(g, pem, "cessationOfOperation"), str(row(g, pem)))


def uacme_revokes_by_account_and_by_key():
    with gatehouse() as g:
        uacme = Uacme(g)
        uacme.must("new")
        path = uacme.issue(f"a.{DOMAIN}")
        pem = read(path)
        uacme.must("-r", "4", "revoke", path)
        check(is_revoked(g, pem, "superseded"), str(row(g, pem)))
        path = uacme.issue(f"b.{DOMAIN}")
        pem = read(path)
        uacme.must("-r", "1", "revoke", path, f"{uacme.folder}/config/private/b.{DOMAIN}/key.pem")
        check(is_revoked(g, pem, "keyCompromise"), str(row(g, pem)))


def others_revoke_only_by_right():
    with gatehouse() as g:
        responder = Responder(g.http01_port)
        owner, other = Client(g, responder).start(), Client(g, responder).start()
        name, second = f"a.{DOMAIN}", f"b.{DOMAIN}"
        pem = owner.get_certificate(name, second)
        leaf = pem[:pem.index("-----END")] + "-----END CERTIFICATE-----\n"
        refused(lambda: other.revoke(leaf), "unauthorized", 403)
        refused(lambda: other.revoke(leaf, key=ec.generate_private_key(ec.SECP256R1())), "unauthorized", 403)
        refused(lambda: owner.revoke(leaf, reason=9), "badRevocationReason", 400)
        other.prove(other.order(name)[1])
        refused(lambda: other.revoke(leaf), "unauthorized", 403)
        other.prove(other.order(second)[1])
        refused(lambda: other.revoke(leaf, reason=1), "badRevocationReason", 400)
        check(not is_revoked(g, leaf), "nothing was revoked so far")
        other.revoke(leaf, reason=4)
        check(is_revoked(g, leaf, "superseded"), str(row(g, leaf)))
        check("proof=names" in str(g.timeline(row(g, leaf)["request"])), "the timeline says by what right")
        refused(lambda: owner.revoke(leaf), "alreadyRevoked", 400)
        with open(g.root, encoding="ascii") as f:
            refused(lambda: owner.revoke(f.read()), "malformed", 404)
        responder.close()


def a_changed_key_revokes_what_the_first_one_got():
    with gatehouse() as g:
        responder = Responder(g.http01_port)
        client = Client(g, responder).start()
        pem = client.get_certificate(f"a.{DOMAIN}")
        first = client.key
        client.change_key()
        old = Client(g, responder, first)
        old.directory, old.kid = client.directory, client.kid
        refused(lambda: old.revoke(pem), "malformed", 400)
        client.revoke(pem)
        check(is_revoked(g, pem), "revoked by the account, whatever its key")
        pem = client.get_certificate(f"a.{DOMAIN}")
        client.deactivate()
        refused(lambda: client.revoke(pem), "unauthorized", 401)
        check(not is_revoked(g, pem), "an account that ended has no say")
        responder.close()


main([certbot_revokes_by_account_and_by_key, lego_revokes, uacme_revokes_by_account_and_by_key,
      others_revoke_only_by_right, a_changed_key_revokes_what_the_first_one_got])
