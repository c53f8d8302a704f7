#!/usr/bin/python3
"""Certificates that verify and authenticate nothing: of another profile, revoked, on hold, without a row, the gateway's own.
On connections that are open, on resumed sessions, and on new ones."""
import base64
import contextlib
import os
import sqlite3
import ssl

from est_client import CSR, PREFIX, Est, add_est, create_user, make_csr, new_key, save
from gatehouse import check, gatehouse, main
from test_client_certificates import connect, context, status_of

VERSIONS = (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3)
OPERATIONS = ("simpleenroll", "simplereenroll", "serverkeygen")
PROFILES = """  - name: other
    ext-key-usage: [clientAuth]
  - name: successor
    ext-key-usage: [clientAuth]
    renewable-from: [server]
"""
ENDPOINTS = {"est": ("", ""), "est-other": ("other", "", "other"), "est-successor": ("successor", "", "successor"),
             "est-both": ("both", "auth: [basic, certificate]\nauth-require: all")}


class Owner:
    """Somebody with a certificate of the default label."""

    def __init__(self, g, user, name, label=""):
        self.g, self.user, self.name, self.key = g, user, name, new_key()
        self.der = make_csr(self.key, name, [name])
        self.certificate = Est(g, label, user=user).enroll(self.der).certificate()
        self.files = save(g.folder, name, self.key, self.certificate)
        self.number = max(r["id"] for r in g.requests() if name in r["names"])

    def is_nobody(self, why, *connections, label=""):
        """On these connections and on a new one, for each operation; a password beside it does not help
        where both are needed, nor to renew."""
        rows = len(self.g.requests())
        new = Est(self.g, label, certificate=self.files)
        for est in (*connections, new):
            for operation in OPERATIONS:
                reply = est.enroll(self.der, operation)
                check(reply.status == 401 and not reply.body, f"{why}, {operation}: {reply}")
            check(est.get("cacerts").status == 200, f"{why}: what anybody may have")
        new.close()
        if not label:
            both = Est(self.g, "both", user=self.user, certificate=self.files)
            check(both.enroll(self.der).status == 401, f"{why}, with a password where both are needed")
            both.close()
        beside = Est(self.g, label, user=self.user, certificate=self.files)
        check(beside.enroll(self.der, "simplereenroll").status == 401, f"{why}: what is renewed counts, not the password")
        check(len(self.g.requests()) == rows, f"{why}: nobody's request has a row")
        beside.close()

    def is_somebody(self, why, est, label=None):
        """By a renewal; over a label, on a new connection."""
        if label is not None:
            est = Est(self.g, label, certificate=self.files)
        reply = est.enroll(make_csr(new_key(), self.name, [self.name]), "simplereenroll")
        check(reply.status == 200, f"{why}: {reply}{self.g.log_tail(2)}")


def of_another_profile(g, user):
    """Issued under `other`, which nothing lists, and under `server`, which `successor` takes."""
    other = Owner(g, user, "other.example.com", "other")
    other.is_nobody("another profile")
    other.is_nobody("another profile", label="successor")
    other.is_somebody("its own profile", None, "other")
    own = Owner(g, user, "own.example.com")
    own.is_nobody("another profile", label="other")
    own.is_somebody("a profile that lists it", None, "successor")


def open_connections(g, owner):
    """Of both versions, each of which has renewed already."""
    all_open = [Est(g, certificate=owner.files, tls=tls) for tls in VERSIONS]
    for est in all_open:
        owner.is_somebody("not revoked yet", est)
    return [(est, est.connection.sock) for est in all_open]


def request_of(owner):
    body = base64.b64encode(owner.der)
    return (f"POST {PREFIX}/simplereenroll HTTP/1.1\r\nHost: localhost\r\nContent-Type: {CSR}\r\n"
            f"Content-Length: {len(body)}\r\n\r\n").encode() + body


def session_of(g, c, owner):
    """A TLS session in which its certificate was good."""
    with connect(g, c) as s:
        check(status_of(s, request_of(owner)) == b"200", "before")
        return s.session


def revoked(g, user):
    for reason in "superseded", "keyCompromise", "cessationOfOperation":
        owner = Owner(g, user, f"{reason.lower()}.example.com")
        kept = open_connections(g, owner)
        contexts = []
        for version in VERSIONS:
            c = context(g, version, None)
            c.load_cert_chain(*owner.files)
            contexts.append((c, session_of(g, c, owner)))
        g.run_tool("cert", "revoke", str(owner.number), "--reason", reason)
        owner.is_nobody(reason, *(est for est, _ in kept))
        for est, sock in kept:
            check(est.connection and est.connection.sock is sock, "the connection was not kept")
            est.close()
        for c, session in contexts:
            with connect(g, c, session) as s:
                check(s.session_reused, "resumed")
                check(status_of(s, request_of(owner)) == b"401", f"{reason}, on a resumed session")


def on_hold(g, user):
    """Nobody for as long as it is held; then somebody again, on the same connection."""
    owner = Owner(g, user, "on-hold.example.com")
    kept = open_connections(g, owner)
    g.run_tool("cert", "hold", str(owner.number))
    owner.is_nobody("on hold", *(est for est, _ in kept))
    g.run_tool("cert", "release", str(owner.number))
    for est, _ in kept:
        owner.is_somebody("released", est)
        est.close()


def without_a_row(g, user):
    """Signed by the CA's key, in force, and known to nobody: the row was taken out of the store."""
    owner = Owner(g, user, "no-row.example.com")
    owner.is_somebody("with its row", None, "")
    g.stop()
    with contextlib.closing(sqlite3.connect(os.path.join(g.data, "core", "core.db"))) as db:
        db.execute("DELETE FROM certificates WHERE request_id = ?", (owner.number,))
        for table in "names", "attributes", "extensions", "timeline":
            db.execute(f"DELETE FROM {table} WHERE request_id = ?", (owner.number,))
        gone = db.execute("DELETE FROM requests WHERE id = ?", (owner.number,)).rowcount
        db.commit()
    check(gone == 1, "there was no row")
    g.start()
    g.verify(owner.files[0])
    owner.is_nobody("no row")
    line = [line for line in open(g.log_path, encoding="utf-8") if "certificate.refused" in line][-1]
    check("no record" in line, line)


def of_the_gateway_itself(g, user):
    """It has a row of this CA, names that the default label takes, and its key lies in a file."""
    owner = Owner(g, user, "gateway.example.com")
    owner.files = (os.path.join(g.data, "gateway", "tls-est.pem"),)
    owner.is_nobody("the gateway's own")


def certificates_that_prove_nothing():
    with gatehouse(set_up=lambda g: add_est(g, ENDPOINTS, profiles=PROFILES), core="  administrators: [root]\n") as g:
        user = "dev", create_user(g, "dev", list(ENDPOINTS), "*.example.com")
        of_another_profile(g, user)
        revoked(g, user)
        on_hold(g, user)
        of_the_gateway_itself(g, user)
        without_a_row(g, user)


if __name__ == "__main__":
    main([certificates_that_prove_nothing])
