"""A service that judges challenges, as the tests play it: HTTPS on loopback, with a CA of its own."""
import contextlib
import dataclasses
import datetime
import http.server
import ipaddress
import json
import os
import ssl
import threading
import time

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from gatehouse import check, hand_to
from scep_raw import name


@dataclasses.dataclass
class Asked:
    """One request, as it came."""
    method: str
    path: str
    headers: dict
    body: bytes

    def json(self):
        return json.loads(self.body)


def make_certificate(text, key, issuer=None, by=None, is_ca=False):
    now = datetime.datetime.now(datetime.timezone.utc)
    names = x509.SubjectAlternativeName([x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    return x509.CertificateBuilder().subject_name(name(text)).issuer_name(name(issuer or text)).public_key(
        key.public_key()).serial_number(x509.random_serial_number()).not_valid_before(
        now - datetime.timedelta(hours=1)).not_valid_after(now + datetime.timedelta(days=1)).add_extension(
        x509.BasicConstraints(is_ca, None), critical=True).add_extension(names, critical=False).sign(by or key, hashes.SHA256())


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def handle_error(self, request, client_address):
        """Clients that do not trust this one go away in the middle of the handshake."""


class Target:
    """`answer(asked)` says what comes back: (status, body), or (status, body, headers)."""

    def __init__(self, folder, answer):
        self.folder, self.answer, self.asked = folder, answer, []
        os.makedirs(folder, exist_ok=True)
        os.chmod(folder, 0o755)
        self.ca_file, key = self.make_ca("ca"), ec.generate_private_key(ec.SECP256R1())
        certificate = make_certificate("localhost", key, "ca", self.ca_key)
        pem = self.file("server.pem", certificate.public_bytes(Encoding.PEM) + key.private_bytes(
            Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        target = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def serve(self):
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                asked = Asked(self.command, self.path, dict(self.headers), body)
                target.asked.append(asked)
                status, octets, *more = target.answer(asked)
                octets = octets if isinstance(octets, bytes) else json.dumps(octets).encode()
                self.send_response(status)
                for header, value in (more[0] if more else {}).items():
                    self.send_header(header, value)
                self.send_header("Content-Length", str(len(octets)))
                self.end_headers()
                with contextlib.suppress(OSError):
                    self.wfile.write(octets)

            do_POST = do_GET = serve

            def log_message(self, *words):
                pass

        self.server = Server(("127.0.0.1", 0), Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(pem)
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True, do_handshake_on_connect=False)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def make_ca(self, text):
        self.ca_key = ec.generate_private_key(ec.SECP256R1())
        return self.file(text + ".pem", make_certificate(text, self.ca_key, is_ca=True).public_bytes(Encoding.PEM))

    def file(self, text, octets, mode=0o644):
        path = os.path.join(self.folder, text)
        with open(path, "wb") as f:
            f.write(octets)
        os.chmod(path, mode)
        return path

    def secret(self, text, octets):
        """A file that only the validator may read."""
        path = self.file(text, octets, 0o600)
        hand_to("validator", path)
        return path

    def url(self, path, host="localhost"):
        return f"https://{host}:{self.port}{path}"

    def stop(self):
        self.server.shutdown()
        self.server.server_close()


def wait_until(is_so, what, wait_s=30):
    end = time.monotonic() + wait_s
    while not is_so():
        check(time.monotonic() < end, what)
        time.sleep(0.1)


def add_targets(g, *targets):
    """Targets as lists of lines, into the section `validator` of the configuration; the hosts are fixed."""
    text = "".join("    - " + "\n      ".join(t) + "\n" for t in targets)
    with open(g.config, encoding="utf-8") as f:
        config = f.read()
    config = config.replace("validator:\n", "validator:\n  targets:\n" + text, 1)
    with open(g.config, "w", encoding="utf-8") as f:
        f.write(config.replace("  hosts:\n", "  hosts:\n    localhost: 127.0.0.1\n", 1))
