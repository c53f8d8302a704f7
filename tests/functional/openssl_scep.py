"""A SCEP client of `openssl` and `curl`: whatever it signs, encrypts, verifies, opens and prints, those two do.

`openssl cms -sign` cannot add the attributes of SCEP. So `asn1parse -genconf` makes them, `dgst` signs them, and what
goes around them are headers of DER."""
import os
import re

from der import oid, tlv
from gatehouse import check
from scep_client import run, url

DATA, SIGNED = "1.2.840.113549.1.7.1", "1.2.840.113549.1.7.2"
DIGESTS = {"sha1": "1.3.14.3.2.26", "sha256": "2.16.840.1.101.3.4.2.1", "sha384": "2.16.840.1.101.3.4.2.2",
           "sha512": "2.16.840.1.101.3.4.2.3"}
RSA, ECDSA_SHA256 = "1.2.840.113549.1.1.1", "1.2.840.10045.4.3.2"
WORDS = {f"2.16.840.1.113733.1.9.{n}": word for n, word in (
    (2, "type"), (3, "status"), (4, "fail"), (5, "sender_nonce"), (6, "recipient_nonce"), (7, "transaction"))}
WORDS["1.3.6.1.5.5.7.24.1"] = "fail_text"
CERTIFICATE = re.compile(r"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----\n", re.DOTALL)
ELEMENT = re.compile(r" *(\d+):d= *(\d+) +hl= *(\d+) l= *(\d+) (?:prim|cons): (.+?) *(?::(.*))?$")

REQUEST = """[req]
prompt = no
distinguished_name = subject
attributes = attributes
req_extensions = extensions
[subject]
commonName = {name}
[attributes]
{challenge}
[extensions]
subjectAltName = DNS:{name}
"""

ATTRIBUTES = """asn1 = SET:all
[all]
content = SEQUENCE:content
digest = SEQUENCE:digest
type = SEQUENCE:type
transaction = SEQUENCE:transaction
nonce = SEQUENCE:nonce
[content]
oid = OID:1.2.840.113549.1.9.3
values = SET:content_values
[content_values]
value = OID:1.2.840.113549.1.7.1
[digest]
oid = OID:1.2.840.113549.1.9.4
values = SET:digest_values
[digest_values]
value = FORMAT:HEX,OCT:{digest}
[type]
oid = OID:2.16.840.1.113733.1.9.2
values = SET:type_values
[type_values]
value = PRINTABLE:{type}
[transaction]
oid = OID:2.16.840.1.113733.1.9.7
values = SET:transaction_values
[transaction_values]
value = PRINTABLE:{transaction}
[nonce]
oid = OID:2.16.840.1.113733.1.9.5
values = SET:nonce_values
[nonce_values]
value = FORMAT:HEX,OCT:{nonce}
"""


def elements(path):
    """What stands in a file of DER, as `openssl asn1parse` prints it: (depth, kind, value, octets)."""
    with open(path, "rb") as f:
        octets = f.read()
    for line in run("openssl", "asn1parse", "-inform", "DER", "-in", path).decode().splitlines():
        at, depth, head, length, kind, value = ELEMENT.match(line).groups()
        yield int(depth), kind, value, octets[int(at):int(at) + int(head) + int(length)]


def below(path):
    """The octets of each element of what a certificate or a request signs."""
    return [octets for depth, _, _, octets in elements(path) if depth == 2]


def to_der(pem, path):
    run("openssl", "x509", "-in", pem, "-outform", "DER", "-out", path)


def read_text(path):
    with open(path, encoding="ascii") as f:
        return f.read()


class Answer:
    """What curl got: status, type, and the file with the body."""

    def __init__(self, client, words):
        self.client, self.path = client, client.file("answer")
        said = run("curl", "-sS", "--max-time", "60", "-o", self.path, "-w", "%{http_code} %{content_type}",
                   *words).decode()
        self.code, self.kind = int(said.split()[0]), said[4:]

    def body(self):
        with open(self.path, "rb") as f:
            return f.read()

    def read(self):
        """A CertRep: signed by who holds a certificate that hangs on the root. Its attributes become ours."""
        check(self.code == 200 and self.kind == "application/x-pki-message",
              f"{self.code} {self.kind} {self.body()[:99]}")
        run("openssl", "cms", "-verify", "-binary", "-inform", "DER", "-in", self.path, "-CAfile", self.client.g.root,
            "-purpose", "any", "-out", self.client.file("content"))
        found, last = dict.fromkeys(WORDS.values()), None
        for _, kind, value, _ in elements(self.path):
            if kind == "OBJECT":
                last = WORDS.get(value)
            elif last and kind != "SET":
                found[last], last = value, None
        check(found["type"] == "3", f"type {found['type']}")
        self.__dict__.update(found)
        return self


class Sender:
    """A key in a file, and a certificate: at first one that the key has made."""

    def __init__(self, client, name, kind="rsa:2048"):
        self.client, self.name = client, name
        self.key, self.certificate, self.pem = (client.file(f"{name}.{end}") for end in ("key", "der", "pem"))
        self.is_rsa = kind.startswith("rsa")
        option = f"rsa_keygen_bits:{kind[4:]}" if self.is_rsa else f"ec_paramgen_curve:{kind}"
        run("openssl", "genpkey", "-algorithm", "RSA" if self.is_rsa else "EC", "-pkeyopt", option, "-out", self.key)
        run("openssl", "req", "-x509", "-new", "-key", self.key, "-subj", f"/CN={name}", "-out", self.pem)
        to_der(self.pem, self.certificate)

    def request(self, name=None, challenge=None):
        """The file with a PKCS#10 of this key."""
        config, path = self.client.file("request.conf"), self.client.file("request.der")
        with open(config, "w", encoding="ascii") as f:
            f.write(REQUEST.format(name=name or self.name,
                                   challenge=f"challengePassword = {challenge}" if challenge else ""))
        run("openssl", "req", "-new", "-config", config, "-key", self.key, "-outform", "DER", "-out", path)
        return path

    def identifier(self):
        """IssuerAndSerialNumber of the certificate."""
        _, serial, _, issuer, *_ = below(self.certificate)
        return tlv(0x30, issuer, serial)

    def sign(self, octets, digest):
        return run("openssl", "dgst", f"-{digest}", "-sign", self.key, self.client.save("to-sign", octets))

    def open(self, reply):
        """The file with what was encrypted to this sender."""
        check(reply.status == "0", f"status {reply.status} {reply.fail} {reply.fail_text}")
        path = self.client.file("bag")
        run("openssl", "cms", "-decrypt", "-binary", "-inform", "DER", "-in", reply.client.file("content"), "-inkey",
            self.key, "-recip", self.certificate, "-out", path)
        return path

    def certificates(self, reply):
        """PEM, one each."""
        said = run("openssl", "pkcs7", "-inform", "DER", "-in", self.open(reply), "-print_certs").decode()
        return CERTIFICATE.findall(said)

    def receive(self, reply):
        """The file with the one certificate that came."""
        (pem,) = self.certificates(reply)
        path = self.client.save("received.pem", pem.encode())
        self.client.g.verify(path)
        own = run("openssl", "pkey", "-in", self.key, "-pubout")
        check(run("openssl", "x509", "-in", path, "-noout", "-pubkey") == own, "the certificate is of another key")
        return path

    def take(self, reply):
        """From now on he signs with the certificate that came."""
        os.rename(self.receive(reply), self.pem)
        to_der(self.pem, self.certificate)
        return self


class Client:
    """One endpoint."""

    def __init__(self, g, endpoint):
        self.g, self.endpoint, self.url = g, endpoint, url(g, endpoint)
        self.folder = os.path.join(g.folder, "openssl-" + endpoint)
        os.makedirs(self.folder)
        self.fetch_ra()

    def file(self, name):
        return os.path.join(self.folder, name)

    def save(self, name, octets):
        with open(self.file(name), "wb") as f:
            f.write(octets)
        return self.file(name)

    # ---- transport ----

    def ask(self, operation, *more):
        return Answer(self, ("-G", self.url, "--data-urlencode", f"operation={operation}", *more))

    def post(self, octets, *more):
        path = self.save("message", octets)
        return Answer(self, (self.url + "?operation=PKIOperation", "--data-binary", "@" + path, *more))

    def get(self, octets, *more):
        """As lines of base64, every character that must be is escaped."""
        run("openssl", "base64", "-in", self.save("message", octets), "-out", self.file("message.b64"))
        return self.ask("PKIOperation", "--data-urlencode", "message@" + self.file("message.b64"), *more)

    # ---- messages ----

    def certificates(self, path):
        """The files with those of GetCACert, or of GetNextCACert without its signature."""
        said = run("openssl", "pkcs7", "-inform", "DER", "-in", path, "-print_certs").decode()
        return [self.save(f"ca-{i}.pem", pem.encode()) for i, pem in enumerate(CERTIFICATE.findall(said))]

    def fetch_ra(self):
        """The first one is the RA's."""
        answer = self.ask("GetCACert")
        check(answer.code == 200 and answer.kind == "application/x-x509-ca-ra-cert", f"{answer.code} {answer.kind}")
        first = self.certificates(answer.path)[0]
        self.g.verify(first)
        usage = run("openssl", "x509", "-in", first, "-noout", "-ext", "keyUsage,basicConstraints").decode()
        check("Digital Signature, Key Encipherment" in usage and "CA:TRUE" not in usage, usage)
        self.ra, self.ra_der = self.file("ra.pem"), self.file("ra.der")
        os.rename(first, self.ra)
        to_der(self.ra, self.ra_der)

    def encrypt(self, path, cipher="aes128", to=()):
        """`to`: words of openssl about the recipients; by default it is the RA."""
        out = self.file("envelope")
        run("openssl", "cms", "-encrypt", "-binary", f"-{cipher}", "-in", path, "-outform", "DER", "-out", out,
            *(to or (self.ra,)))
        with open(out, "rb") as f:
            return f.read()

    def attributes(self, content, kind, transaction, digest):
        config, out = self.file("attributes.conf"), self.file("attributes")
        said = run("openssl", "dgst", f"-{digest}", "-r", self.save("to-digest", content)).decode()
        self.nonce = os.urandom(16).hex().upper()
        with open(config, "w", encoding="ascii") as f:
            f.write(ATTRIBUTES.format(digest=said.split()[0], type=kind, transaction=transaction, nonce=self.nonce))
        run("openssl", "asn1parse", "-genconf", config, "-noout", "-out", out)
        with open(out, "rb") as f:
            return f.read()

    def message(self, sender, content, kind, transaction, digest="sha256"):
        """RFC 8894 3: SignedData around an envelope."""
        attributes = self.attributes(content, kind, transaction, digest)
        with open(sender.certificate, "rb") as f:
            certificate = f.read()
        algorithm = tlv(0x30, oid(DIGESTS[digest]))
        signature = tlv(0x30, oid(RSA), b"\5\0") if sender.is_rsa else tlv(0x30, oid(ECDSA_SHA256))
        signer = tlv(0x30, tlv(2, b"\1"), sender.identifier(), algorithm, b"\xa0" + attributes[1:], signature,
                     tlv(4, sender.sign(attributes, digest)))
        return tlv(0x30, oid(SIGNED), tlv(0xa0, tlv(
            0x30, tlv(2, b"\1"), tlv(0x31, algorithm), tlv(0x30, oid(DATA), tlv(0xa0, tlv(4, content))),
            tlv(0xa0, certificate), tlv(0x31, signer))))

    def send(self, sender, path, kind, transaction=None, cipher="aes128", digest="sha256", to=(), send=None):
        """The answer to a message about what is in the file; by POST unless told otherwise."""
        transaction = transaction or os.urandom(16).hex()
        octets = self.message(sender, self.encrypt(path, cipher, to), kind, transaction, digest)
        answer = (send or self.post)(octets).read()
        check(answer.transaction == transaction and answer.recipient_nonce == self.nonce,
              f"an answer to another message: {answer.transaction} {answer.recipient_nonce}")
        return answer
