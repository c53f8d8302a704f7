#!/usr/bin/python3
"""What certbot, uacme and Debian's ACME library do with their accounts: update, another key, the end."""
import json
import os
import shutil
import sqlite3

import acme.client
import acme.errors
import acme.jws
import acme.messages
import josepy
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from acme_client import Client, Problem, Responder
from clients import Certbot, Uacme
from gatehouse import DOMAIN, check, gatehouse, main


def accounts(g):
    """The rows of the gateway."""
    with sqlite3.connect(f"file:{g.data}/gateway/acme-acme.db?mode=ro", uri=True) as db:
        db.row_factory = sqlite3.Row
        return [dict(row) for row in db.execute("SELECT * FROM account ORDER BY id")]


def certbot_updates_and_ends_its_account():
    with gatehouse() as g:
        certbot = Certbot(g)
        certbot.must_get(f"a.{DOMAIN}")
        certbot.must("update_account", "-m", "new@example.org,second@example.org", "--no-eff-email")
        check(json.loads(accounts(g)[0]["contact"]) == ["mailto:new@example.org", "mailto:second@example.org"],
              str(accounts(g)))
        check("new@example.org" in certbot.must("show_account"), "certbot shows the new address")
        certbot.must("update_account", "--register-unsafely-without-email")
        check(accounts(g)[0]["contact"] == "[]", str(accounts(g)))
        keys, kept = f"{certbot.folder}/config/accounts", f"{certbot.folder}/kept"
        shutil.copytree(keys, kept)
        certbot.must("unregister")
        g.wait_log("acme.account.deactivated")
        shutil.rmtree(keys)
        os.rename(kept, keys)  # as if it had not heard of it
        code, output = certbot.get(f"b.{DOMAIN}", verbose=True)
        check(code != 0 and "deactivated" in output, output)
        check(len(g.requests()) == 2, "the gateway's own certificate and the first one")


def uacme_changes_its_key_and_ends_its_account():
    with gatehouse() as g:
        uacme = Uacme(g)
        uacme.must("new")
        g.verify(uacme.issue(f"a.{DOMAIN}"))
        uacme.must("update", "new@example.org")
        check("new@example.org" in accounts(g)[0]["contact"], str(accounts(g)))
        before = accounts(g)[0]
        uacme.must("newkey")
        after = accounts(g)[0]
        check(after["thumbprint"] != before["thumbprint"] == after["first_thumbprint"], f"{before} {after}")
        g.verify(uacme.issue(f"b.{DOMAIN}"))
        check(len({r["requester"] for r in g.requests() if r["endpoint"] == "acme"}) == 1,
              "the core knows it as the same one")
        uacme.must("deactivate")
        check(uacme.run("newkey").returncode != 0, "that was the end")


class Library:
    """A client of python3-acme and python3-josepy; they have no key change, so it is put together here."""

    def __init__(self, g, key, alg):
        self.net = acme.client.ClientNetwork(key, alg=alg, verify_ssl=g.root)
        directory = acme.client.ClientV2.get_directory(g.directory, self.net)
        self.client = acme.client.ClientV2(directory, self.net)
        self.url = directory.to_partial_json()["keyChange"]

    def register(self):
        self.account = self.client.new_account(acme.messages.NewRegistration(terms_of_service_agreed=True))
        return self.account.uri

    def change_key(self, key, alg):
        claim = {"account": self.account.uri, "oldKey": self.net.key.public_key().to_json()}
        inner = acme.jws.JWS.sign(json.dumps(claim).encode(), key=key, alg=alg, nonce=None, url=self.url)

        class Message(josepy.JSONDeSerializable):
            def to_partial_json(self):
                return inner.to_partial_json()

            @classmethod
            def from_json(cls, jobj):
                raise NotImplementedError

        reply = self.client._post(self.url, Message())
        self.net.key, self.net.alg = key, alg
        return reply


def rsa_key():
    return josepy.JWKRSA(key=josepy.ComparableRSAKey(rsa.generate_private_key(65537, 2048)))


def ec_key(curve):
    return josepy.JWKEC(key=josepy.ComparableECKey(ec.generate_private_key(curve)))


def the_library_rolls_its_key_over():
    with gatehouse() as g:
        first = rsa_key()
        library = Library(g, first, josepy.RS256)
        url = library.register()
        for key, alg in [(ec_key(ec.SECP256R1()), josepy.ES256), (ec_key(ec.SECP384R1()), josepy.ES384),
                         (rsa_key(), josepy.RS256)]:
            check(library.change_key(key, alg).status_code == 200, "the key is changed")
            check(library.client.query_registration(library.account).uri == url, "and the account is the same one")
        other = Library(g, rsa_key(), josepy.RS256)
        other_url = other.register()
        check(other_url != url, "another account")
        try:
            library.change_key(other.net.key, josepy.RS256)
            raise AssertionError("a key of another account was taken")
        except acme.errors.ConflictError as conflict:
            check(conflict.location == other_url, conflict.location)
        try:
            old = Library(g, first, josepy.RS256).client
            old.new_account(acme.messages.NewRegistration(only_return_existing=True))
            raise AssertionError("the first key still has an account")
        except acme.messages.Error as problem:
            check(problem.code == "accountDoesNotExist", str(problem))
        library.client.deactivate_registration(library.account)
        try:
            library.client.query_registration(library.account)
            raise AssertionError("a deactivated account was served")
        except acme.messages.Error as problem:
            check(problem.code == "unauthorized", str(problem))


def a_held_request_outlives_the_key():
    """What waits for a person belongs to the account, and so does an approval that comes too late for its order."""
    with gatehouse() as g:
        responder = Responder(g.http01_port)
        client = Client(g, responder).start()
        name = f"hold.{DOMAIN}"
        location, order = client.order(name)
        client.prove(order)
        client.finalize(order, client.csr(name))
        held = g.wait_pending(name)
        first = client.key
        client.change_key()
        check(json.loads(client.post(location)[1])["status"] == "processing", "the new key sees the order")
        old = Client(g, responder, first)
        old.directory, old.kid = client.directory, client.kid
        try:
            old.post(location)
            raise AssertionError("the old key was served")
        except Problem as problem:
            check(problem.status == 400, str(problem))
        g.run_tool("approve", "--yes", str(held["id"]))
        client.change_key()
        location, order = client.order(name)  # a new order, as after certbot gave up
        client.finalize(order, client.csr(name))
        check(client.poll(location)["status"] == "valid", "and gets what was approved")
        responder.close()


def nobody_decides_for_an_account_that_has_ended():
    """What waits for a person is withdrawn within a second or two, over the real connection of gateway and core."""
    with gatehouse() as g:
        responder = Responder(g.http01_port)
        client = Client(g, responder).start()
        name = f"hold.{DOMAIN}"
        _, order = client.order(name)
        client.prove(order)
        client.finalize(order, client.csr(name))
        number = g.wait_pending(name)["id"]
        check(client.post(client.kid, {"status": "deactivated"})[0].status == 200, "the account ends")
        g.run_tool("request", "wait", str(number), "--timeout", "60s", code=4)
        shown = g.tool_json("show", str(number), "--timeline")["request"]
        check(shown["status"] == "withdrawn" and "deactivated" in shown["reason"], str(shown))
        texts = [line["text"] for line in shown["timeline"]]
        check(any(text.startswith("withdrawn reason=") for text in texts), str(texts))
        check(not g.pending(), "nothing waits")
        responder.close()


main([certbot_updates_and_ends_its_account, uacme_changes_its_key_and_ends_its_account,
      the_library_rolls_its_key_over, a_held_request_outlives_the_key,
      nobody_decides_for_an_account_that_has_ended])
