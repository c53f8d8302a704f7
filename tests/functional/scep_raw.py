"""SCEP octet by octet: what no client sends, and what is answered to it."""
import dataclasses
import datetime
import http.client
import os
import urllib.parse

from cryptography import x509
from cryptography.hazmat.primitives import hashes, padding as block_padding
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import AttributeOID, NameOID

from der import attribute, oid, tlv
from gatehouse import check

DATA, SIGNED, ENVELOPED = (f"1.2.840.113549.1.7.{n}" for n in (1, 2, 3))
CONTENT_TYPE, MESSAGE_DIGEST = "1.2.840.113549.1.9.3", "1.2.840.113549.1.9.4"
RSA, RSA_SHA256, ECDSA_SHA256 = "1.2.840.113549.1.1.1", "1.2.840.113549.1.1.11", "1.2.840.10045.4.3.2"
SHA256 = "2.16.840.1.101.3.4.2.1"
CIPHERS = {16: "2.16.840.1.101.3.4.1.2", 24: "2.16.840.1.101.3.4.1.22", 32: "2.16.840.1.101.3.4.1.42"}
ATTRIBUTES = {f"2.16.840.1.113733.1.9.{n}": name for n, name in (
    (2, "type"), (3, "status"), (4, "fail"), (5, "sender_nonce"), (6, "recipient_nonce"), (7, "transaction_id"))}
ATTRIBUTES["1.3.6.1.5.5.7.24.1"] = "fail_text"
TYPE, SENDER_NONCE, TRANSACTION_ID = (f"2.16.840.1.113733.1.9.{n}" for n in (2, 5, 7))
PKCS_REQ, RENEWAL_REQ, CERT_POLL, GET_CERT, GET_CRL = "19", "17", "20", "21", "22"
SUCCESS, FAILURE, PENDING = "0", "2", "3"
BAD_ALG, BAD_MESSAGE_CHECK, BAD_REQUEST, BAD_TIME, BAD_CERT_ID = "0", "1", "2", "3", "4"


def read(octets):
    """The first element: (tag, content, whole, what follows)."""
    n, at = octets[1], 2
    if n >= 0x80:
        at += n - 0x80
        n = int.from_bytes(octets[2:at], "big")
    return octets[0], octets[at:at + n], octets[:at + n], octets[at + n:]


def parts(octets):
    """Each element: (tag, content, whole)."""
    while octets:
        tag, content, whole, octets = read(octets)
        yield tag, content, whole


CURVES = {"ec": ec.SECP256R1, "ec-p384": ec.SECP384R1, "ec-p521": ec.SECP521R1}


def new_key(kind="rsa"):
    return rsa.generate_private_key(65537, 2048) if kind == "rsa" else ec.generate_private_key(CURVES[kind]())


def name(text):
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def make_csr(key, text, challenge=None, dns=None, names=None):
    names = names or [x509.DNSName(n) for n in dns or [text]]
    builder = x509.CertificateSigningRequestBuilder().subject_name(name(text)).add_extension(
        x509.SubjectAlternativeName(names), critical=False)
    if challenge is not None:
        builder = builder.add_attribute(AttributeOID.CHALLENGE_PASSWORD, challenge.encode())
    return builder.sign(key, hashes.SHA256()).public_bytes(Encoding.DER)


def bag(octets):
    """The certificates of a SignedData without signers, in their order."""
    certificates = list(parts(read(read(list(parts(read(octets)[1]))[1][1])[2])[1]))[3]
    check(certificates[0] == 0xa0, "there are no certificates")
    return [x509.load_der_x509_certificate(whole) for _, _, whole in parts(certificates[1])]


def crls(octets):
    """The revocation lists of a SignedData without signers, which has no certificates."""
    lists = list(parts(read(read(list(parts(read(octets)[1]))[1][1])[2])[1]))[3]
    check(lists[0] == 0xa1, "there are certificates, or no lists")
    return [x509.load_der_x509_crl(whole) for _, _, whole in parts(lists[1])]


class Sender:
    """A key, and the certificate that goes with messages; by default one that the key has made."""

    def __init__(self, key=None, certificate=None, text="sender"):
        self.key = key or new_key()
        self.certificate = certificate or self.make(text)

    def make(self, text, issuer=None, by=None):
        """A certificate of the key, by itself or by another."""
        now = datetime.datetime.now(datetime.timezone.utc)
        return x509.CertificateBuilder().subject_name(name(text)).issuer_name(name(issuer or text)).public_key(
            self.key.public_key()).serial_number(x509.random_serial_number()).not_valid_before(
            now - datetime.timedelta(hours=1)).not_valid_after(now + datetime.timedelta(days=1)).sign(
            by or self.key, hashes.SHA256())

    def sign(self, octets):
        if isinstance(self.key, rsa.RSAPrivateKey):
            return self.key.sign(octets, padding.PKCS1v15(), hashes.SHA256())
        return self.key.sign(octets, ec.ECDSA(hashes.SHA256()))

    def algorithm(self):
        return RSA_SHA256 if isinstance(self.key, rsa.RSAPrivateKey) else ECDSA_SHA256


def identifier(certificate):
    """IssuerAndSerialNumber."""
    number = certificate.serial_number
    return tlv(0x30, certificate.issuer.public_bytes(), tlv(2, number.to_bytes(number.bit_length() // 8 + 1, "big")))


def digest(octets):
    h = hashes.Hash(hashes.SHA256())
    h.update(octets)
    return h.finalize()


def encrypt(octets, key, iv, pads=True):
    if pads:
        padder = block_padding.PKCS7(128).padder()
        octets = padder.update(octets) + padder.finalize()
    aes = Cipher(algorithms.AES(key), modes.CBC(iv)).encryptor()
    return aes.update(octets) + aes.finalize()


def envelope(ra, octets, key=None, wrapped=None, content=None, recipient=None, cipher=None, iv=None):
    """EnvelopedData for an RA. `wrapped`, `content`: what stands there in place of what should."""
    key, iv = key or os.urandom(16), iv or os.urandom(16)
    if wrapped is None:
        wrapped = ra.public_key().encrypt(key, padding.PKCS1v15())
    if content is None:
        content = encrypt(octets, key, iv)
    to = tlv(0x30, tlv(2, b"\0"), identifier(recipient or ra), tlv(0x30, oid(RSA), b"\x05\0"), tlv(4, wrapped))
    body = tlv(0x30, oid(DATA), tlv(0x30, oid(cipher or CIPHERS[len(key)]), tlv(4, iv)), tlv(0x80, content))
    return tlv(0x30, oid(ENVELOPED), tlv(0xa0, tlv(0x30, tlv(2, b"\0"), tlv(0x31, to), body)))


def pki_message(sender, content, kind=PKCS_REQ, transaction=None, nonce=None, more=b"", others=(),
                algorithm=SHA256, without=()):
    """SignedData with the attributes of SCEP; `kind` as text, `more`: more attributes; `others`: more certificates;
    `algorithm`: the digest that it says; `without`: OIDs of attributes that are left out."""
    kind = kind if isinstance(kind, bytes) else kind.encode()
    transaction = transaction or os.urandom(16).hex().encode()
    own = {CONTENT_TYPE: oid(DATA), MESSAGE_DIGEST: tlv(4, digest(content)), TYPE: tlv(0x13, kind),
           TRANSACTION_ID: tlv(0x13, transaction), SENDER_NONCE: tlv(4, nonce or os.urandom(16))}
    attributes = b"".join(attribute(k, v) for k, v in own.items() if k not in without) + more
    signer = tlv(0x30, tlv(2, b"\1"), identifier(sender.certificate), tlv(0x30, oid(algorithm)), tlv(0xa0, attributes),
                 tlv(0x30, oid(sender.algorithm())), tlv(4, sender.sign(tlv(0x31, attributes))))
    certificates = [c.public_bytes(Encoding.DER) for c in (sender.certificate, *others)]
    return tlv(0x30, oid(SIGNED), tlv(0xa0, tlv(
        0x30, tlv(2, b"\1"), tlv(0x31, tlv(0x30, oid(algorithm))),
        tlv(0x30, oid(DATA), tlv(0xa0, tlv(4, content))), tlv(0xa0, *certificates), tlv(0x31, signer))))


@dataclasses.dataclass
class Reply:
    code: int
    headers: dict
    body: bytes

    def read(self, ra=None):
        """A CertRep: itself, with its attributes; its signature verified with the certificate of the RA."""
        check(self.code == 200, f"{self.code} {self.body[:200]}")
        check(self.headers.get("Content-Type") == "application/x-pki-message", str(self.headers))
        outer = list(parts(read(self.body)[1]))
        _, _, content, certificates, signers = parts(read(outer[1][1])[1])
        signer = list(parts(read(signers[1])[1]))
        self.content = read(read(list(parts(content[1]))[1][1])[2])[1]
        self.attributes = {}
        self.digest = None
        for _, one, _ in parts(signer[3][1]):
            kind, values = parts(one)
            for dotted, word in ATTRIBUTES.items():
                if kind[2] == oid(dotted):
                    self.attributes[word] = read(values[1])[1]
            if kind[2] == oid(MESSAGE_DIGEST):
                self.digest = read(values[1])[1]
        self.status = self.attributes["status"].decode()
        self.fail = self.attributes.get("fail", b"").decode() or None
        self.fail_text = self.attributes.get("fail_text", b"").decode() or None
        if ra:
            check(read(certificates[1])[2] == ra.public_bytes(Encoding.DER), "another certificate goes with the reply")
            check(self.digest == digest(self.content), "the digest is of another content")
            ra.public_key().verify(signer[5][1], tlv(0x31, signer[3][1]), padding.PKCS1v15(), hashes.SHA256())
        return self

    def constant(self):
        """What two replies to the same kind of message have in common."""
        return (self.code, sorted((k, v) for k, v in self.headers.items() if k != "Date"), len(self.body), self.content,
                {k: v for k, v in self.attributes.items() if "nonce" not in k and k != "transaction_id"})

    def certificates(self, sender):
        """Of a success, decrypted with the RSA key of the sender."""
        return bag(self.open(sender))

    def crls(self, sender):
        return crls(self.open(sender))

    def open(self, sender):
        check(self.status == SUCCESS, f"status {self.status} {self.fail} {self.fail_text}")
        enveloped = list(parts(read(read(list(parts(read(self.content)[1]))[1][1])[2])[1]))
        to = list(parts(read(enveloped[1][1])[1]))
        body = list(parts(enveloped[2][1]))
        self.key = sender.key.decrypt(to[3][1], padding.PKCS1v15())
        iv = list(parts(body[1][1]))[1][1]
        aes = Cipher(algorithms.AES(self.key), modes.CBC(iv)).decryptor()
        unpadder = block_padding.PKCS7(128).unpadder()
        padded = aes.update(body[2][1]) + aes.finalize()
        return unpadder.update(padded) + unpadder.finalize()


class Scep:
    """One endpoint; its RA certificate comes with GetCACert."""

    def __init__(self, g, endpoint):
        self.port, self.path = g.scep_port, f"/scep/{endpoint}"
        self.ra = next(c for c in bag(self.get("GetCACert").body) if isinstance(c.public_key(), rsa.RSAPublicKey) and not self.is_ca(c))

    @staticmethod
    def is_ca(certificate):
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca

    def ask(self, method, target, body=None, headers=None):
        connection = http.client.HTTPConnection("localhost", self.port, timeout=60)
        connection.request(method, target, body=body, headers=headers or {})
        reply = connection.getresponse()
        done = Reply(reply.status, dict(reply.getheaders()), reply.read())
        connection.close()
        return done

    def get(self, operation, message=None):
        query = f"operation={operation}" + ("" if message is None else "&message=" + message)
        return self.ask("GET", f"{self.path}?{query}")

    def post(self, octets):
        return self.ask("POST", self.path + "?operation=PKIOperation", octets)

    def envelope(self, octets, **options):
        return envelope(self.ra, octets, **options)

    def send(self, sender, octets, wrapped=None, content=None, **options):
        """A message around an envelope of these octets, and the reply to it."""
        inside = self.envelope(octets, wrapped=wrapped, content=content)
        return self.post(pki_message(sender, inside, **options)).read(self.ra)

    def enrol(self, text, challenge, **options):
        """(sender with the new certificate, the reply)"""
        sender = Sender(text=text)
        reply = self.send(sender, make_csr(sender.key, text, challenge), **options)
        return Sender(sender.key, reply.certificates(sender)[0]), reply


def quote(text):
    """Every character that may be escaped."""
    return urllib.parse.quote(text, safe="")
