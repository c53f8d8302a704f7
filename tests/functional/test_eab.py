#!/usr/bin/python3
"""External account binding: certbot and lego get certificates with a key that the tool made, and what is no such key
gets no account (S20)."""
import base64
import hmac
import json
import os
import shutil

from cryptography.hazmat.primitives.asymmetric import ec

from acme_client import Client, Problem, Responder, b64
from clients import Certbot, lego, run_lego
from gatehouse import DOMAIN, check, gatehouse, main

INSIDE, OUTSIDE = f"www.team.{DOMAIN}", f"www.other.{DOMAIN}"


def require(g):
    with open(g.config, encoding="ascii") as f:
        text = f.read()
    with open(g.config, "w", encoding="ascii") as f:
        f.write(text.replace("    protocol: acme\n", "    protocol: acme\n    external-account-required: true\n"))


def bound():
    return gatehouse(set_up=require)


def make(g, *options):
    return g.tool_json("eab", "create", "--endpoint", "acme", "--scope", f"*.team.{DOMAIN}", *options)


def forget(client):
    """Its accounts; a client that is set up anew."""
    shutil.rmtree(client.folder, ignore_errors=True)
    os.makedirs(client.folder)


def certbot_words(key):
    return f"--eab-kid={key['name']}", f"--eab-hmac-key={key['secret']}"  # a value may begin with '-'


def certbot_with(g, words, name):
    """Exit code and output of one run that begins without an account."""
    certbot = Certbot(g)
    forget(certbot)
    return certbot.run("certonly", "-vv", "--agree-tos", "--register-unsafely-without-email", "--server", g.directory,
                       "--standalone", "--http-01-port", str(g.http01_port), "--http-01-address", "127.0.0.1",
                       "-d", name, *words)


def lego_words(key):
    return "--eab", f"--kid={key['name']}", f"--hmac={key['secret']}"


def lego_with(g, words, name):
    shutil.rmtree(f"{g.folder}/lego", ignore_errors=True)
    done = run_lego(g, [name], "run", options=words)
    return done.returncode, done.stdout + done.stderr


def wrong(key):
    """The same identifier with another key, as far as anybody can see."""
    return {**key, "secret": b64(bytes(32))}


def row(g, key):
    return next(c for c in g.tool_json("eab", "list")["credentials"] if c["name"] == key["name"])


def is_account(g, key, n=1):
    used = row(g, key)["used"]
    check(used == n, f"the key bound {used} accounts, not {n}")


def refuses(g, with_client, words_of):
    """Every way in which a client gets nothing, each with a sentence; then the right one gets a certificate."""
    key, revoked = make(g), make(g)
    g.run_tool("eab", "revoke", revoked["name"])
    for words, sentence in [((), "external"),
                            (words_of(wrong(key)), "external account is not known"),
                            (words_of({**key, "name": "nobody"}), "external account is not known"),
                            (words_of(revoked), "external account is not known")]:
        code, output = with_client(g, words, INSIDE)
        check(code != 0 and sentence in output.lower(), f"{words[:2]}: {output}{g.log_tail()}")
    check(not [c for c in g.tool_json("cert", "list")["certificates"] if INSIDE in str(c)], "nothing was issued")
    is_account(g, key, 0)
    code, output = with_client(g, words_of(key), OUTSIDE)
    check(code != 0 and "not among the names of the external account" in output, f"{output}{g.log_tail()}")
    is_account(g, key)  # the account is there, the order is not
    code, output = with_client(g, words_of(key), INSIDE)
    check(code != 0 and "external account is not known" in output, f"a second account: {output}")
    is_account(g, key)


def certbot_needs_a_key():
    with bound() as g:
        refuses(g, certbot_with, certbot_words)


def lego_needs_a_key():
    with bound() as g:
        refuses(g, lego_with, lego_words)


def certbot_gets_one_and_renews_until_its_key_is_revoked():
    with bound() as g:
        key, certbot = make(g, "--ttl", "7d", "--note", "web team"), Certbot(g)
        code, output = certbot_with(g, certbot_words(key), INSIDE)
        check(code == 0, f"{output}{g.log_tail()}")
        g.verify(certbot.path(INSIDE))
        code, output = certbot.renew()
        check(code == 0, f"the account needs no key any more: {output}{g.log_tail()}")
        number = next(r["id"] for r in g.requests() if INSIDE in r["names"])
        shown = json.dumps(g.tool_json("show", str(number), "--timeline"))
        check(key["name"] in shown and key["secret"] not in shown, "the request says whose account it was")
        is_account(g, key)
        g.run_tool("eab", "revoke", key["name"])
        code, output = certbot.renew("-vv")
        check(code != 0 and "external account" in output, f"the key is revoked: {output}{g.log_tail()}")


def lego_gets_one_and_one_key_is_for_two_accounts():
    with bound() as g:
        key = make(g, "--uses", "2")
        for _ in range(2):
            shutil.rmtree(f"{g.folder}/lego", ignore_errors=True)
            g.verify(lego(g, INSIDE, options=lego_words(key)))
        check(row(g, key)["uses_left"] == 0, str(row(g, key)))
        code, output = lego_with(g, lego_words(key), INSIDE)
        check(code != 0 and "external account is not known" in output, f"a third account: {output}")


# ---- what no real client sends ----


class Bound:
    """A client that sends any binding."""

    def __init__(self, g, responder):
        self.client = Client(g, responder)
        _, data = self.client.request("GET", g.directory)
        self.client.directory, self.client.nonce = json.loads(data), None
        self.url = self.client.directory["newAccount"]

    def binding(self, kid, secret, payload=None, **header):
        protected = {"alg": "HS256", "kid": kid, "url": self.url, **header}
        p, q = (b64(json.dumps(part).encode()) for part in (protected, payload or self.client.jwk))
        octets = base64.urlsafe_b64decode(secret + "=" * (-len(secret) % 4))
        return {"protected": p, "payload": q, "signature": b64(hmac.digest(octets, f"{p}.{q}".encode(), "sha256"))}

    def register(self, binding):
        """Status and type of the answer."""
        try:
            reply, _ = self.client.post(self.url, {"externalAccountBinding": binding})
            return reply.status, ""
        except Problem as problem:
            return problem.status, problem.document["type"].rsplit(":", 1)[1]


def what_is_no_binding_makes_no_account():
    with bound() as g:
        responder = Responder(g.http01_port)
        key, challenge = make(g), g.tool_json("challenge", "create", "--endpoint", "acme", "--scope", "any")
        user = g.tool_json("user", "create", "alice", "--endpoint", "acme", "--scope", "any", "--generate")
        token = g.tool_json("token", "create", "--endpoint", "acme", "--scope", "any")
        stranger = Client(g, responder, ec.generate_private_key(ec.SECP256R1())).jwk
        b = Bound(g, responder)
        kid, secret = key["name"], key["secret"]
        unsigned = {**b.binding(kid, secret, alg="none"), "signature": ""}
        for what, binding, status, kind in [
            ("alg none", b.binding(kid, secret, alg="none"), 400, "malformed"),
            ("alg none, unsigned", unsigned, 400, "malformed"),
            ("alg RS256", b.binding(kid, secret, alg="RS256"), 400, "malformed"),
            ("alg ES256", b.binding(kid, secret, alg="ES256"), 400, "malformed"),
            ("a MAC of another length", b.binding(kid, secret, alg="HS512"), 403, "unauthorized"),
            ("another url", b.binding(kid, secret, url=b.client.directory["newOrder"]), 400, "malformed"),
            ("a nonce", b.binding(kid, secret, nonce="AAAAAAAAAAAAAAAAAAAAAA"), 400, "malformed"),
            ("another key in it", b.binding(kid, secret, payload=stranger), 400, "malformed"),
            ("a kid that is not there", b.binding(kid[::-1], secret), 403, "unauthorized"),
            ("a challenge", b.binding(str(challenge["id"]), secret_octets(challenge)), 403, "unauthorized"),
            ("a challenge as its name", b.binding(challenge["secret"], secret_octets(challenge)), 403, "unauthorized"),
            ("a user", b.binding("alice", secret_octets(user)), 403, "unauthorized"),
            ("a token", b.binding(str(token["id"]), secret_octets(token)), 403, "unauthorized"),
        ]:
            got = b.register(binding)
            check(got == (status, kind), f"{what}: {got}")
        is_account(g, key, 0)
        check(b.register(b.binding(kid, secret)) == (201, ""), "and the right one makes it")
        # What one client sent is of no use to another one.
        other = Bound(g, responder)
        check(other.register(b.binding(kid, secret)) == (400, "malformed"), "a binding for another key")
        check(other.register(other.binding(kid, secret)) == (403, "unauthorized"), "one kid is one account")
        is_account(g, key)
        responder.close()


def secret_octets(credential):
    """The text of a secret that is no MAC key, as one."""
    return b64(credential["secret"].encode())


main([certbot_needs_a_key, lego_needs_a_key, certbot_gets_one_and_renews_until_its_key_is_revoked,
      lego_gets_one_and_one_key_is_for_two_accounts, what_is_no_binding_makes_no_account])
