#!/usr/bin/python3
"""Clients with certificates of every kind, and with none: no handshake fails over one, on first connections and on those
that resume them, and what binds a request to its connection is the same at both ends."""
import base64
import contextlib
import datetime
import os
import socket
import ssl
import subprocess

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import NameOID

from est_client import CSR, Est, add_est, basic, create_user, make_csr, new_key, run
from gatehouse import check, gatehouse, main

VERSIONS = (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3)
CERTIFICATES = 'gatehouse_tls_client_certificates_total{session="%s"}'
CACERTS = b"GET /.well-known/est/cacerts HTTP/1.1\r\nHost: localhost\r\n\r\n"


# ---- certificates that nobody here has issued ----

def make(key, name, days=(-1, 30), pad=0):
    now = datetime.datetime.utcnow()
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    builder = (x509.CertificateBuilder().subject_name(subject).issuer_name(subject).public_key(key.public_key())
               .serial_number(x509.random_serial_number()).not_valid_before(now + datetime.timedelta(days=days[0]))
               .not_valid_after(now + datetime.timedelta(days=days[1])))
    if pad:
        builder = builder.add_extension(x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4.5"), bytes(pad)), False)
    return builder.sign(key, None if isinstance(key, ed25519.Ed25519PrivateKey) else hashes.SHA256())


def save(g, name, key, certificates):
    path = os.path.join(g.folder, name + ".pem")
    with open(path, "wb") as f:
        f.write(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
                                  serialization.NoEncryption()))
        for certificate in certificates:
            f.write(certificate.public_bytes(serialization.Encoding.PEM))
    return path


def make_all(g):
    """{kind: PEM file with key, certificate and chain}."""
    p256 = ec.generate_private_key(ec.SECP256R1())
    keys = {"rsa-1024": rsa.generate_private_key(65537, 1024), "rsa-4096": rsa.generate_private_key(65537, 4096),
            "p-521": ec.generate_private_key(ec.SECP521R1()), "ed25519": ed25519.Ed25519PrivateKey.generate()}
    files = {kind: save(g, kind, key, [make(key, kind)]) for kind, key in keys.items()}
    files["self-signed"] = save(g, "self-signed", p256, [make(p256, "self-signed")])
    files["expired"] = save(g, "expired", p256, [make(p256, "expired", (-30, -1))])
    files["not yet"] = save(g, "not-yet", p256, [make(p256, "not yet", (10, 30))])
    files["chain"] = save(g, "chain", p256, [make(p256, f"chain {n}", pad=500) for n in range(4)])
    files["none"] = None
    return files


def context(g, version, certificate):
    c = ssl.create_default_context(cafile=g.root)
    c.minimum_version = c.maximum_version = version
    c.set_ciphers("DEFAULT:@SECLEVEL=0")  # to have a weak certificate at all
    if certificate:
        c.load_cert_chain(certificate)
    return c


@contextlib.contextmanager
def connect(g, c, session=None):
    with socket.create_connection(("localhost", g.est_port), 30) as plain:
        with c.wrap_socket(plain, server_hostname="localhost", session=session) as s:
            yield s


def get(s):
    """GET cacerts; the tickets of TLS 1.3 come on the way."""
    s.sendall(CACERTS)
    answer = b""
    while b"\r\n\r\n" not in answer:
        piece = s.recv(65536)
        check(piece, f"the connection ended: {answer!r}")
        answer += piece
    return answer.split(b" ", 2)[1]


# ---- handshakes ----

def counted(g):
    return g.metric(CERTIFICATES % "new"), g.metric(CERTIFICATES % "resumed")


def none_fails(g, files):
    for version in VERSIONS:
        for kind, path in files.items():
            c = context(g, version, path)
            new, resumed = counted(g)
            with connect(g, c) as s:
                check(get(s) == b"200", f"{kind} with {version.name}")
                session = s.session
            for n in range(2):
                with connect(g, c, session) as s:
                    check(get(s) == b"200", f"{kind} with {version.name}, resumed")
                    check(s.session_reused, f"{kind} with {version.name} is not resumed")
                    session = s.session
            shown = 0 if kind == "none" else 1
            check(counted(g) == (new + shown, resumed + 2 * shown), f"{kind} with {version.name}: {counted(g)}")


def refused(g, c):
    try:
        with connect(g, c) as s:
            s.sendall(CACERTS)
            return s.recv(1) == b""
    except (ssl.SSLError, ConnectionError):
        return True


def what_is_too_much_is_refused(g):
    key = new_key()
    too_much = {"huge": [make(key, "huge", pad=20000)], "deep": [make(key, f"deep {n}") for n in range(11)]}
    for version in VERSIONS:
        for kind, certificates in too_much.items():
            failures = g.metric("gatehouse_tls_failures_total")
            check(refused(g, context(g, version, save(g, kind, key, certificates))), f"{kind} with {version.name}")
            check(g.metric("gatehouse_tls_failures_total") == failures + 1, f"{kind} with {version.name}: not counted")
    with connect(g, context(g, VERSIONS[1], None)) as s:
        check(get(s) == b"200", "the next client")


def curl_and_openssl(g, files, auth):
    for kind in ("chain", "expired", "ed25519"):
        body = run("curl", "-sf", "--cacert", g.root, "--cert", files[kind],
                   f"https://localhost:{g.est_port}/.well-known/est/cacerts")
        check(len(base64.b64decode(body)) > 300, f"{kind}: {body!r}")
        # A certificate that proves nothing here does no harm beside a password that does.
        name = "curl.example.com"
        with open(os.path.join(g.folder, "csr"), "wb") as f:
            f.write(base64.b64encode(make_csr(new_key(), name, [name])))
        body = run("curl", "-sf", "--cacert", g.root, "--cert", files[kind], "-u", ":".join(auth), "-H",
                   f"Content-Type: {CSR}", "--data-binary", f"@{g.folder}/csr",
                   f"https://localhost:{g.est_port}/.well-known/est/simpleenroll")
        check(body, kind)
    said = subprocess.run(["openssl", "s_client", "-connect", f"localhost:{g.est_port}", "-CAfile", g.root],
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60).stdout
    check("No client certificate CA names sent" in said, said)
    check("Requested Signature Algorithms: " in said and "DSA+SHA256:DSA" not in said, said)


# ---- bindings ----

def enroll_text(binding, auth):
    body = base64.b64encode(make_csr(new_key(), "bound.example.com", ["bound.example.com"],
                                     challenge=base64.b64encode(binding)))
    head = ("POST /.well-known/est/simpleenroll HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
            f"Authorization: {basic(*auth)['Authorization']}\r\nContent-Type: {CSR}\r\nContent-Length: {len(body)}\r\n\r\n")
    return head.encode() + body


def status_of(s, octets):
    s.sendall(octets)
    return s.recv(65536).split(b" ", 2)[1]


def tls_unique_is_the_same_at_both_ends(g, files, auth):
    """Python tells tls-unique; a resumed session has another one."""
    for path in (None, files["chain"]):
        c = context(g, ssl.TLSVersion.TLSv1_2, path)
        seen, session = [], None
        for n in range(3):
            with connect(g, c, session) as s:
                check(s.session_reused == (n > 0), "resumed")
                seen.append(s.get_channel_binding("tls-unique"))
                check(len(seen[n]) == 12 and seen[n] not in seen[:n], "a value of its own")
                session = s.session
                check(status_of(s, enroll_text(seen[n], auth)) == b"200", f"connection {n}")
        with connect(g, c, session) as s:
            check(status_of(s, enroll_text(seen[0], auth)) == b"400", "the value of another connection")


def s_client(g, auth, *words, change=lambda binding: binding):
    """Enroll over a connection of openssl's, which tells the exporter's value; the status and what it said."""
    client = subprocess.Popen(["openssl", "s_client", "-connect", f"localhost:{g.est_port}", "-servername", "localhost",
                               "-CAfile", g.root, "-nocommands", "-ign_eof", "-keymatexport", "EXPORTER-Channel-Binding",
                               "-keymatexportlen", "32", *words],
                              stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, bufsize=0)
    with client:
        said = line = b""
        while b"Keying material: " not in line:
            line = client.stdout.readline()
            check(line, f"openssl ended: {said!r}")
            said += line
        value = bytes.fromhex(line.split(b": ")[1].decode())
        check(len(value) == 32, f"{len(value)} octets")
        answer, _ = client.communicate(enroll_text(change(value), auth), timeout=60)
    said += answer
    status = [line for line in said.split(b"\r\n") if b"HTTP/1.1 " in line]
    return status[0].split(b"HTTP/1.1 ", 1)[1][:3], said


def tls_exporter_is_the_same_at_both_ends(g, files, auth):
    """openssl tells the exporter of TLS 1.3, which has no tls-unique."""
    for kind in ("none", "chain"):
        words = ["-tls1_3"] + (["-cert", files[kind], "-key", files[kind], "-cert_chain", files[kind]] if files[kind] else [])
        session = os.path.join(g.folder, "session-" + kind)
        status, said = s_client(g, auth, *words, "-sess_out", session)
        check(status == b"200" and b"New, TLSv1.3" in said, said.decode(errors="replace"))
        status, said = s_client(g, auth, *words, "-sess_in", session)
        check(status == b"200" and b"Reused, TLSv1.3" in said, said.decode(errors="replace"))
        status, said = s_client(g, auth, *words, change=lambda binding: binding[1:] + binding[:1])
        check(status == b"400", said.decode(errors="replace"))


# ---- what the core makes of them ----

def certify(key, name, issuer_key, issuer, is_ca):
    now = datetime.datetime.utcnow()
    return (x509.CertificateBuilder().subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
            .issuer_name(issuer).public_key(key.public_key()).serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=1)).not_valid_after(now + datetime.timedelta(days=30))
            .add_extension(x509.BasicConstraints(is_ca, None), True)
            .add_extension(x509.KeyUsage(not is_ca, False, False, False, False, is_ca, is_ca, False, False), True)
            .sign(issuer_key, hashes.SHA256()))


def a_device_is_known_by_its_chain_again(g):
    """The vendor's root is known here, the authority below it comes with the device: on a resumed session by the ticket."""
    keys = [new_key() for _ in range(3)]
    names = [x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]) for name in ("Vendor", "Vendor Devices")]
    root = certify(keys[0], "Vendor", keys[0], names[0], True)
    below = certify(keys[1], "Vendor Devices", keys[0], names[0], True)
    device = certify(keys[2], "device.example.com", keys[1], names[1], False)
    anchor = os.path.join(g.folder, "anchor.pem")
    with open(anchor, "wb") as f:
        f.write(root.public_bytes(serialization.Encoding.PEM))
    g.run_tool("vendor", "add", "vendor", anchor, "--endpoint", "est", "--scope", "*.example.com")
    for version in VERSIONS:
        for certificates, status in (([device, below], b"200"), ([device], b"401")):
            c = context(g, version, save(g, "device", keys[2], certificates))
            session = None
            for n in range(3):
                with connect(g, c, session) as s:
                    check(s.session_reused == (n > 0), "resumed")
                    body = base64.b64encode(make_csr(new_key(), "device.example.com", ["device.example.com"]))
                    got = status_of(s, b"POST /.well-known/est/simpleenroll HTTP/1.1\r\nHost: localhost\r\nContent-Type: "
                                    b"application/pkcs10\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
                    check(got == status, f"{version.name}, {len(certificates)} certificates, connection {n}: {got}")
                    session = s.session


# ---- options ----

def asks_by_names_or_not_at_all():
    def set_up(g):
        path = save(g, "vendor", key := new_key(), [make(key, "Vendor of devices")])
        os.chmod(path, 0o644)
        add_est(g, {"est": ("", "")}, listener=f"client-ca-names: {path}")

    def told(g):
        return subprocess.run(["openssl", "s_client", "-connect", f"localhost:{g.est_port}"], stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, timeout=60).stdout

    with gatehouse(set_up=set_up) as g:
        check("Acceptable client certificate CA names\nCN = Vendor of devices\n" in told(g), told(g))
        g.stop()
        with open(g.config, encoding="utf-8") as f:
            text = f.read()
        path = os.path.join(g.folder, "vendor.pem")
        with open(g.config, "w", encoding="utf-8") as f:
            f.write(text.replace(f"client-ca-names: {path}", "client-certificates: false"))
        g.start()
        check("Requested Signature Algorithms: " not in told(g), told(g))
        new, resumed = counted(g)
        with connect(g, context(g, VERSIONS[0], path)) as s:
            check(get(s) == b"200" and s.selected_alpn_protocol() is None, "one that is not asked")
        check(counted(g) == (new, resumed), "a certificate was taken although nobody asked")


def clients_show_what_they_have():
    with gatehouse(set_up=lambda g: add_est(g, {"est": ("", "")}), core="  administrators: [root]\n") as g:
        files = make_all(g)
        auth = "dev", create_user(g, "dev", ["est"], "*.example.com")
        none_fails(g, files)
        what_is_too_much_is_refused(g)
        curl_and_openssl(g, files, auth)
        tls_unique_is_the_same_at_both_ends(g, files, auth)
        tls_exporter_is_the_same_at_both_ends(g, files, auth)
        a_device_is_known_by_its_chain_again(g)


if __name__ == "__main__":
    main([clients_show_what_they_have, asks_by_names_or_not_at_all])
