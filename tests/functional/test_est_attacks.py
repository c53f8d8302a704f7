#!/usr/bin/python3
"""What EST must withstand: nobody's requests, guesses, requests of other connections, renewals for other names, bodies that
are none, labels of others. After each the store has no certificate more than before."""
import base64
import contextlib
import os
import re
import socket
import ssl
import subprocess

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID, ExtensionOID

from der import attribute, change_subject_name, common_name, dns_names, oid, san, signed_request, tlv, EXTENSIONS
from est_client import (CSR, PREFIX, Est, add_est, base64_lines, basic, create_token, create_user, make_csr, new_key, run,
                        save)
from gatehouse import DAEMON, check, gatehouse, main
from test_client_certificates import s_client

PROFILES = """  - name: short
    lifetime: 1h
    ext-key-usage: [clientAuth]
"""
ENDPOINTS = {"est": ("", ""), "est-again": ("again", ""), "est-linked": ("linked", "pop: require"),
             "est-short": ("short", "", "short")}
SCOPE = ("*.example.com", "CN=*")
MIB = 1 << 20


class Place:
    """The daemon, a user of its default label, and a request that is good."""

    def __init__(self, g):
        self.g, self.user = g, ("dev", create_user(g, "dev", ["est", "est-again", "est-linked"], *SCOPE))
        self.key, self.name = new_key(), "good.example.com"
        self.der = make_csr(self.key, self.name, [self.name])

    def count(self):
        """Of certificates that clients have."""
        return sum(r["state"] == "issued" and "localhost" not in r["names"] for r in self.g.requests())

    @contextlib.contextmanager
    def nothing_is_issued(self, what):
        before = self.count()
        yield
        check(self.count() == before, f"{what}: something was issued")

    def enrol(self, name, label="", user=None):
        """(key, certificate, its files)"""
        key = new_key()
        certificate = Est(self.g, label, user=user or self.user).enroll(make_csr(key, name, [name])).certificate()
        return key, certificate, save(self.g.folder, name, key, certificate)


def config_is_refused(g, change, words):
    """What gatehoused says to the configuration with this change."""
    with open(g.config, encoding="utf-8") as f:
        text = f.read()
    path = os.path.join(g.folder, "changed.yaml")
    with open(path, "w", encoding="utf-8") as f:
        f.write(change(text))
    done = subprocess.run([DAEMON, "--check-config", "--config", path], capture_output=True, text=True, timeout=60,
                          check=False)
    check(done.returncode != 0 and words in done.stdout + done.stderr, f"{done.returncode} {done.stdout}{done.stderr}")


# ---- S25 ----

def s25_nobody_enrols(p):
    """Without anything, with what belongs to another realm, without TLS."""
    est = Est(p.g)
    short = create_user(p.g, "short", ["est-short"], *SCOPE)
    token = create_token(p.g, ["est-short"], *SCOPE)
    with p.nothing_is_issued("S25"):
        for operation in "simpleenroll", "simplereenroll", "serverkeygen":
            for who, headers in (("nobody", {}), ("a user of another label", basic("short", short)),
                                 ("a token of another label", {"Authorization": f"Bearer {token}"}),
                                 ("another scheme", {"Authorization": 'Digest username="dev", realm="est"'}),
                                 ("a password as a token", {"Authorization": f"Bearer {p.user[1]}"}),
                                 ("no password", basic("dev", "")), ("no user", basic("", p.user[1]))):
                reply = est.enroll(p.der, operation, headers)
                check(reply.status == 401 and not reply.body, f"{who}, {operation}: {reply}")
                check(reply.headers.get_all("WWW-Authenticate")[0] == 'Basic realm="est"', f"{who}: {reply.headers}")
        check(Est(p.g, "short").enroll(p.der).headers["WWW-Authenticate"] == 'Basic realm="est-short"', "its realm")
        head = f"POST {PREFIX}/simpleenroll HTTP/1.1\r\nHost: localhost\r\nContent-Type: {CSR}\r\n"
        body = base64.b64encode(p.der)
        head += f"Authorization: {basic(*p.user)['Authorization']}\r\nContent-Length: {len(body)}\r\n\r\n"
        with socket.create_connection(("localhost", p.g.est_port), 30) as plain:
            plain.sendall(head.encode() + body)
            answer = b""
            with contextlib.suppress(ConnectionError):
                while more := plain.recv(4096):
                    answer += more
        check(b"HTTP/" not in answer, f"a password that came without TLS was looked at: {answer!r}")
    config_is_refused(p.g, lambda text: re.sub(r"(  - name: est\n    address: [^\n]+\n)", r"\1    tls: false\n", text),
                      "without TLS")


def s25_guesses_are_slowed(p):
    """From one address for one user; others at that address, and the user elsewhere, go on."""
    def at(address, user):
        est = Est(p.g, user=user, source=address)
        reply = est.enroll(p.der)
        est.close()
        return reply

    guesser, statuses = "127.0.0.7", []
    neighbour = "neighbour", create_user(p.g, "neighbour", ["est"], *SCOPE)
    with p.nothing_is_issued("S25"):
        while 503 not in statuses and len(statuses) < 30:
            statuses.append(at(guesser, ("dev", f"guess-{len(statuses):04}-canary")).status)
        check(8 <= len(statuses) < 30 and set(statuses[:-1]) == {401}, f"guesses were answered {statuses}")
        reply = at(guesser, p.user)
        check(reply.status == 503 and int(reply.headers["Retry-After"]) > 0, f"right or wrong, he waits: {reply}")
    check(at(guesser, neighbour).certificate(), "somebody else behind that address")
    check(at("127.0.0.8", p.user).certificate(), "the user himself")
    with open(p.g.log_path, encoding="utf-8") as f:
        check("-canary" not in f.read(), "a guess is in the log")


# ---- S26 ----

def s26_a_request_belongs_to_its_connection(p):
    one, two = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3
    other = base64.b64encode(Est(p.g, tls=one).connect().get_channel_binding("tls-unique"))
    with p.nothing_is_issued("S26"):
        for tls in one, two:
            for label in "", "linked":
                est = Est(p.g, label, user=p.user, tls=tls)
                for value in other, b"", b"A" * 16, base64.b64encode(bytes(12)), base64.b64encode(bytes(32)), b"x" * 200:
                    csr = make_csr(p.key, p.name, [p.name], challenge=value)
                    reply = est.enroll(csr)
                    check(reply.status == 400 and b"3.5" in reply.body, f"{tls.name}, {label}, {value}: {reply}")
                est.close()
            reply = Est(p.g, "linked", user=p.user, tls=tls).enroll(p.der)
            check(reply.status == 403 and b"required" in reply.body, f"{tls.name}: {reply}")
        for change in (lambda v: v[:-1], lambda v: bytes(32), lambda v: v + v):
            status, said = s_client(p.g, p.user, "-tls1_3", change=change)
            check(status == b"400", said.decode(errors="replace"))
    check(s_client(p.g, p.user, "-tls1_3")[0] == b"200", "the exporter of this connection")


def s26_a_connection_stays_what_it_was(p):
    """No renegotiation, no early data."""
    s_client = ["openssl", "s_client", "-connect", f"localhost:{p.g.est_port}", "-servername", "localhost", "-CAfile",
                p.g.root]
    done = subprocess.run([*s_client, "-tls1_2"], input=b"R\n", capture_output=True, timeout=60, check=False)
    check(b"RENEGOTIATING" in done.stdout + done.stderr and b"no renegotiation" in done.stderr, repr(done))
    session = os.path.join(p.g.folder, "early-session")
    get = f"GET {PREFIX}/cacerts HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode()
    first = run(*s_client, "-tls1_3", "-ign_eof", "-sess_out", session, input=get)
    check(b"Max Early Data: 0" in first and b"HTTP/1.1 200" in first, first.decode(errors="replace"))
    early = os.path.join(p.g.folder, "early")
    with open(early, "wb") as f:
        f.write(get)
    again = run(*s_client, "-tls1_3", "-ign_eof", "-sess_in", session, "-early_data", early, input=get)
    check(b"Reused, TLSv1.3" in again and b"Early data was not sent" in again, again.decode(errors="replace"))


# ---- S27 ----

def s27_a_renewal_is_for_the_same_names(p):
    """Without ChangeSubjectName, and with one that nothing here allows."""
    name = "renewal.example.com"
    key, first, files = p.enrol(name)
    own = Est(p.g, certificate=files)
    subject, another = common_name(name), common_name("else.example.com")
    cases = (("another subject", another, san(name)), ("another SAN", subject, san("else.example.com")),
             ("both", another, san("else.example.com")), ("one name more", subject, san(name, "more.example.com")),
             ("no subject", tlv(0x30), san(name)), ("a wildcard", subject, san("*.example.com")),
             ("the name as another kind of name", subject, attribute(EXTENSIONS, tlv(0x30, tlv(
                 0x30, oid("2.5.29.17"), tlv(4, tlv(0x30, tlv(0x81, b"a@" + name.encode()))))))),
             ("a name more by ChangeSubjectName", subject, san(name),
              change_subject_name(subject, name, "more.example.com")),
             ("another subject by ChangeSubjectName", subject, san(name), change_subject_name(another, name)),
             ("ChangeSubjectName instead of the names that are there", another, san("else.example.com"),
              change_subject_name(subject, name)),
             ("a ChangeSubjectName that is none", subject, san(name), attribute("1.3.6.1.5.5.7.7.36", b"\x05\x00")),
             ("two of them", subject, san(name), change_subject_name(subject, name), change_subject_name(subject, name)))
    with p.nothing_is_issued("S27"):
        for why, *parts in cases:
            reply = own.enroll(signed_request(key, *parts), "simplereenroll")
            check(reply.status in (400, 403) and reply.body, f"{why}: {reply}")
        # A password does not widen a renewal: its names are those of the certificate.
        both = Est(p.g, user=p.user, certificate=files)
        reply = both.enroll(signed_request(key, another, san("else.example.com")), "simplereenroll")
        check(reply.status == 403, f"a password beside it: {reply}")
    for why, *parts in (("the same names", san(name)), ("a ChangeSubjectName that changes nothing", san(name),
                                                         change_subject_name(subject, name)),
                        ("the name of the SAN in the subject alone, which is as good", )):
        renewed = own.enroll(signed_request(new_key(), subject, *parts), "simplereenroll").certificate()
        found = renewed.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        check(renewed.serial_number != first.serial_number and found.get_values_for_type(x509.DNSName) == [name], why)


# ---- S28 ----

def answer_to(g, pieces):
    """The first line that a client reads who sends all of this, as far as it is taken."""
    context = ssl.create_default_context(cafile=g.root)
    with socket.create_connection(("localhost", g.est_port), 60) as plain:
        with context.wrap_socket(plain, server_hostname="localhost") as s:
            s.setblocking(False)
            for piece in pieces:
                try:
                    s.sendall(piece)
                except (ssl.SSLWantWriteError, OSError):
                    break
            s.settimeout(60)
            return s.recv(4096).split(b"\r\n")[0]


def s28_a_body_is_base64_of_der(p):
    est, text = Est(p.g, user=p.user), base64_lines(p.der)
    pem = b"-----BEGIN CERTIFICATE REQUEST-----\n" + text + b"-----END CERTIFICATE REQUEST-----\n"
    with p.nothing_is_issued("S28"):
        for kind in ("application/pkcs7-mime", "text/plain", "application/pkcs10x", "application/x-pkcs10", "pkcs10", ""):
            reply = est.request("POST", "simpleenroll", text, {"Content-Type": kind})
            check(reply.status == 415, f"{kind}: {reply}")
        for why, body in (("PEM", pem), ("DER", p.der), ("URL's alphabet", base64.urlsafe_b64encode(b"\xfb\xef" + p.der)),
                          ("no padding", base64.b64encode(p.der + b"\0").rstrip(b"=")), ("cut", text[:-9]),
                          ("twice", text + text), ("NUL", text + b"\0"), ("quoted", b"=" + text),
                          ("base64 of base64", base64.b64encode(text)), ("base64 of PEM", base64.b64encode(pem)),
                          ("a mark of UTF-8", b"\xef\xbb\xbf" + text), ("UTF-16", text.decode().encode("utf-16")),
                          ("padding inside", base64.b64encode(p.der[:100]) + base64.b64encode(p.der[100:]))):
            reply = est.request("POST", "simpleenroll", body, {"Content-Type": CSR})
            check(reply.status == 400 and reply.body, f"{why}: {reply}")
        auth = f"Authorization: {basic(*p.user)['Authorization']}\r\n"
        head = f"POST {PREFIX}/simpleenroll HTTP/1.1\r\nHost: localhost\r\nContent-Type: {CSR}\r\n{auth}"
        line = answer_to(p.g, [f"{head}Content-Length: {10 * MIB}\r\n\r\n".encode(), b"A" * 10 * MIB])
        check(line.startswith(b"HTTP/1.1 413 "), f"10 MiB: {line}")
        chunk = b"4000\r\n" + b"A" * 0x4000 + b"\r\n"
        line = answer_to(p.g, [f"{head}Transfer-Encoding: chunked\r\n\r\n".encode(), *[chunk] * (10 * MIB >> 14)])
        check(line.startswith(b"HTTP/1.1 413 "), f"10 MiB in chunks: {line}")
    for why, body, more in (("CR only", text.replace(b"\n", b"\r"), {}), ("CR and LF", text.replace(b"\n", b"\r\n"), {}),
                            ("a Content-Transfer-Encoding", text, {"Content-Transfer-Encoding": "base64"}),
                            ("one that is wrong", text, {"Content-Transfer-Encoding": "8bit"}),
                            ("blanks", b" \t" + text.replace(b"\n", b" \n\t") + b"\n\n", {}),
                            ("one line", base64.b64encode(p.der), {}), ("76 columns", base64.encodebytes(p.der), {})):
        reply = est.request("POST", "simpleenroll", body, {"Content-Type": CSR, **more})
        check(reply.certificate(), why)
    for kind in "Application/PKCS10", "application/pkcs10; charset=us-ascii", "application/pkcs10 ;x=y":
        check(est.request("POST", "simpleenroll", text, {"Content-Type": kind}).certificate(), kind)


# ---- S29; that a key which was made is nowhere: test_est_serverkeygen.py ----

def s29_csrattrs_are_those_of_the_profile(p):
    """Whatever a client sends with its question, and whatever its request has in it."""
    plain = Est(p.g, "linked").get("csrattrs").body
    check(plain, "a label that wants requests to be linked says so")
    for path in "csrattrs?2.5.29.37", "csrattrs?label=short", "csrattrs?%00":
        check(Est(p.g, "linked").get(path).body == plain, path)
    est = Est(p.g, "linked", user=p.user)
    for headers in {"Accept": "application/pkcs10"}, {"Content-Type": CSR}, {"X-Original-URL": f"{PREFIX}/short/csrattrs"}:
        check(est.get("csrattrs", headers).body == plain, str(headers))
    check(est.request("GET", "csrattrs", b"MAA=", {"Content-Type": "application/csrattrs"}).body == plain, "with a body")
    check(est.request("POST", "csrattrs", b"MAA=").status == 405, "nobody sets them")
    name = "widened.example.com"
    wanted = {"2.5.29.17": tlv(0x30, dns_names(name)), "2.5.29.19": tlv(0x30, b"\x01\x01\xff"),
              "2.5.29.15": b"\x03\x02\x01\x06", "2.5.29.37": tlv(0x30, oid("1.3.6.1.5.5.7.3.3"), oid("2.5.29.37.0")),
              "1.3.6.1.4.1.311.20.2": tlv(0x1e, "SubCA".encode("utf-16-be"))}
    asked = attribute(EXTENSIONS, tlv(0x30, *(tlv(0x30, oid(kind), tlv(4, value)) for kind, value in wanted.items())))
    reply = Est(p.g, user=p.user).enroll(signed_request(p.key, common_name(name), asked))
    extensions = reply.certificate().extensions
    check(not extensions.get_extension_for_oid(ExtensionOID.BASIC_CONSTRAINTS).value.ca, "an authority")
    check(list(extensions.get_extension_for_class(x509.ExtendedKeyUsage).value) ==
          [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH], "purposes of its own choice")
    check(not extensions.get_extension_for_class(x509.KeyUsage).value.key_cert_sign, "keyCertSign")
    check("1.3.6.1.4.1.311.20.2" not in {e.oid.dotted_string for e in extensions}, "an extension that the profile has not")
    with p.nothing_is_issued("S29"):
        for why, parts in (("two lists of extensions", (san(name), san("else.example.com"))), ("no attribute at all", (b"!",))):
            reply = Est(p.g, user=p.user).enroll(signed_request(p.key, common_name(name), *parts))
            check(reply.status == 400, f"{why}: {reply}")


def s29_a_label_is_its_own(p):
    """Each with its users, tokens, profile and certificates; none is reached by another spelling."""
    short = "short-only", create_user(p.g, "short-only", ["est-short"], *SCOPE)
    _, certificate, files = p.enrol("short.example.com", "short", short)
    check(certificate.not_valid_after - certificate.not_valid_before < p.enrol("long.example.com")[1].not_valid_after -
          p.enrol("long.example.com")[1].not_valid_before, "its profile is another one")
    key, _, own = p.enrol("label.example.com")
    with p.nothing_is_issued("S29"):
        for label, who in (("", {"user": short}), ("short", {"user": p.user}), ("", {"certificate": files}),
                           ("short", {"certificate": own}), ("again", {"certificate": files})):
            for operation in "simpleenroll", "simplereenroll":
                reply = Est(p.g, label, **who).enroll(p.der, operation)
                check(reply.status == 401, f"{operation} over '{label}' with {who}: {reply}")
        for label in ("Short", "short%2f", "short%2f..", "short/..", "short;x", "short%00", "%2e%2e/short", "./short", "/short",
                      "short/short", "shor", "short%", "short%zz", "short%2573", "simpleenroll", "est", "\\short"):
            reply = Est(p.g, label, user=short).enroll(p.der)
            check(reply.status in (400, 404, 405), f"{label}: {reply}")
    # The same profile under another label: clients that have a label for each operation.
    name = "label.example.com"
    check(Est(p.g, "again", certificate=own).enroll(make_csr(key, name, [name]), "simplereenroll").certificate(), "again")
    check(Est(p.g, "s%68ort", user=short).enroll(p.der).certificate(), "escapes of plain letters are those letters")
    for label in "cacerts", "simpleenroll", "%41", "a/b", "x" * 200:
        config_is_refused(p.g, lambda text, label=label: text.replace("/est/short", f"/est/{label}"), "label")
    config_is_refused(p.g, lambda text: text.replace("pop: require", "pop: require\n    challenge-password: ignore"),
                      "needs challenge-password: linking")
    config_is_refused(p.g, lambda text: text.replace("pop: require", "decrypt-keys: {a: /nowhere}"),
                      "/nowhere: No such file or directory")
    config_is_refused(p.g, lambda text: text.replace("pop: require", "auth: [certificate]").replace(
        "  - name: est\n    address:", "  - name: est\n    client-certificates: false\n    address:"),
        "need a certificate, and this listener asks for none")


def est_withstands():
    with gatehouse(set_up=lambda g: add_est(g, ENDPOINTS, profiles=PROFILES), core="  administrators: [root]\n") as g:
        p = Place(g)
        s25_nobody_enrols(p)
        s25_guesses_are_slowed(p)
        s26_a_request_belongs_to_its_connection(p)
        s26_a_connection_stays_what_it_was(p)
        s27_a_renewal_is_for_the_same_names(p)
        s28_a_body_is_base64_of_der(p)
        s29_csrattrs_are_those_of_the_profile(p)
        s29_a_label_is_its_own(p)


if __name__ == "__main__":
    main([est_withstands])
