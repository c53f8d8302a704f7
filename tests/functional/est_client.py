"""EST for tests: endpoints of a daemon, and a client made of Python's own HTTP and TLS."""
import base64
import dataclasses
import datetime
import http.client
import os
import ssl
import subprocess
import textwrap

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import pkcs7
from cryptography.x509.oid import AttributeOID, NameOID

from gatehouse import check, free_ports

PREFIX = "/.well-known/est"
CSR, CERTS = "application/pkcs10", "application/pkcs7-mime; smime-type=certs-only"


def add_est(g, endpoints, listener="", profiles=""):
    """A listener with these endpoints: {name: (label, more options as YAML flow, profile, by default "server")}; the
    label "" is the default one."""
    (g.est_port,) = free_ports(1)
    text = ""
    for name, (label, more, *profile) in endpoints.items():
        path = PREFIX + ("/" + label if label else "")
        more = "".join(f"    {line}\n" for line in [f"profile: {profile[0] if profile else 'server'}", *more.splitlines()])
        text += f'  - name: {name}\n    protocol: est\n    path: "{path}"\n    ca: Test CA\n{more}'
    with open(g.config, encoding="utf-8") as f:
        config = f.read()
    listener = "".join(f"    {line}\n" for line in listener.splitlines())
    config = config.replace("listeners:\n", f"""{text}listeners:
  - name: est
    address: 127.0.0.1
    port: {g.est_port}
    names: [localhost, 127.0.0.1]
    endpoints: [{", ".join(endpoints)}]
{listener}""", 1).replace("endpoints:\n", profiles + "endpoints:\n", 1)
    config = config.replace("  - name: server\n", "  - name: server\n    ext-key-usage: [serverAuth, clientAuth]\n", 1)
    with open(g.config, "w", encoding="utf-8") as f:
        f.write(config)


def create_user(g, name, endpoints, *scope):
    """A user, and his password."""
    words = [word for e in endpoints for word in ("--endpoint", e)] + [word for s in scope for word in ("--scope", s)]
    return g.tool_json("user", "create", name, *words, "--generate")["secret"]


def create_token(g, endpoints, *scope, more=()):
    words = [word for e in endpoints for word in ("--endpoint", e)] + [word for s in scope for word in ("--scope", s)]
    return g.tool_json("token", "create", *words, *more)["secret"]


def new_key():
    return ec.generate_private_key(ec.SECP256R1())


def make_csr(key, cn=None, dns=(), challenge=None, attributes=(), **more):
    """A PKCS#10 request in DER."""
    parts = [x509.NameAttribute(NameOID.COMMON_NAME, cn)] if cn else []
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name(parts + more.get("subject", [])))
    if dns:
        builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(n) for n in dns]), critical=False)
    if challenge is not None:
        builder = builder.add_attribute(AttributeOID.CHALLENGE_PASSWORD, challenge)
    for oid, value in attributes:
        builder = builder.add_attribute(x509.ObjectIdentifier(oid), value)
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.DER)


def names_of(certificate):
    """Of its SAN, of the kind DNS."""
    san = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return sorted(san.get_values_for_type(x509.DNSName))


def base64_lines(der):
    return "\n".join(textwrap.wrap(base64.b64encode(der).decode(), 64)).encode() + b"\n"


def basic(user, password):
    return {"Authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()}


@dataclasses.dataclass
class Reply:
    status: int
    headers: http.client.HTTPMessage
    body: bytes

    def certificates(self):
        """Of a certs-only body in base64."""
        check(self.headers["Content-Transfer-Encoding"] == "base64", str(self.headers))
        return pkcs7.load_der_pkcs7_certificates(base64.b64decode(self.body))

    def certificate(self):
        check(self.status == 200, f"{self.status} {self.body!r}")
        check(self.headers["Content-Type"] == CERTS, str(self.headers))
        found = self.certificates()
        check(len(found) == 1, f"{len(found)} certificates come with one that was issued")
        return found[0]


class Est:
    """A client of one label. Its connection is kept until close()."""

    def __init__(self, g, label="", user=None, certificate=None, tls=None, source=None):
        self.g, self.prefix, self.user = g, PREFIX + ("/" + label if label else ""), user
        self.source = (source, 0) if source else None  # an address of this machine
        self.context = ssl.create_default_context(cafile=g.root)
        if tls:
            self.context.minimum_version = self.context.maximum_version = tls
        if certificate:
            self.context.load_cert_chain(*certificate)
        self.connection = None

    def connect(self):
        """The TLS connection, for what is bound to it."""
        if not self.connection:
            self.connection = http.client.HTTPSConnection("localhost", self.g.est_port, context=self.context,
                                                          source_address=self.source, timeout=60)
            self.connection.connect()
        return self.connection.sock

    def close(self):
        if self.connection:
            self.connection.close()
        self.connection = None

    def request(self, method, operation, body=None, headers=None, **more):
        self.connect()
        headers = dict(headers or {})
        if self.user:
            headers = basic(*self.user) | headers
        self.connection.request(method, f"{self.prefix}/{operation}", body=body, headers=headers, **more)
        r = self.connection.getresponse()
        reply = Reply(r.status, r.headers, r.read())
        if r.will_close:
            self.close()
        return reply

    def get(self, operation, headers=None):
        return self.request("GET", operation, headers=headers)

    def enroll(self, der, operation="simpleenroll", headers=None):
        return self.request("POST", operation, base64.b64encode(der), {"Content-Type": CSR} | (headers or {}))


def self_signed(key, cn):
    now = datetime.datetime.utcnow()
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, cn)])
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    return builder.serial_number(1).not_valid_before(now).not_valid_after(now + datetime.timedelta(1)).add_extension(
        x509.SubjectAlternativeName([x509.DNSName(cn)]), critical=False).sign(key, hashes.SHA256())


def save(folder, name, key, certificate):
    """PEM files of a key and its certificate, for Est(certificate=…) and curl."""
    paths = os.path.join(folder, name + ".pem"), os.path.join(folder, name + ".key")
    with open(paths[0], "wb") as f:
        f.write(certificate.public_bytes(serialization.Encoding.PEM))
    with open(paths[1], "wb") as f:
        f.write(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
                                  serialization.NoEncryption()))
    return paths


def run(*words, **more):
    """A command that has to work; what it wrote."""
    done = subprocess.run(words, capture_output=True, timeout=60, check=False, **more)
    check(done.returncode == 0, f"{' '.join(words)}: {done.returncode} {done.stderr.decode(errors='replace')}")
    return done.stdout
