#!/usr/bin/python3
"""Who signs a message, and what is inside: each row of a table, and what is answered to it (RFC 8894 2.3, 2.4, 3.2, 3.3)."""
import datetime

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from der import attribute, dns_names, oid, tlv
from gatehouse import check, gatehouse, main
from scep_client import add_scep, create_challenge
from scep_raw import (BAD_ALG, BAD_CERT_ID, BAD_MESSAGE_CHECK, BAD_REQUEST, CERT_POLL, ECDSA_SHA256, FAILURE, GET_CERT, PENDING,
                      RENEWAL_REQ, PKCS_REQ, SENDER_NONCE, SUCCESS, TRANSACTION_ID, TYPE, Scep, Sender, identifier, make_csr,
                      name, new_key, pki_message)

UPDATE_REQ = "18"
SCOPE = "*.site.example"
UTF8, PRINTABLE, TELETEX, IA5, UNIVERSAL, BMP, OCTETS = 0x0c, 0x13, 0x14, 0x16, 0x1c, 0x1e, 4
CHALLENGE, EXTENSIONS = "1.2.840.113549.1.9.7", "1.2.840.113549.1.9.14"

# What is answered.
ISSUED, HELD = (SUCCESS, None), (PENDING, None)
ALGORITHM, MESSAGE, REQUEST, NOT_THERE = ((FAILURE, fail) for fail in (BAD_ALG, BAD_MESSAGE_CHECK, BAD_REQUEST, BAD_CERT_ID))


def ec_key():
    return new_key("ec")


def raw_csr(key, subject, dns, challenge, tag):
    """As no library writes it: with whatever subject, and the challenge in whatever kind of string."""
    names = tlv(0x30, tlv(0x30, oid("2.5.29.17"), tlv(4, tlv(0x30, dns_names(*dns)))))
    attributes = attribute(CHALLENGE, tlv(tag, challenge)) + (attribute(EXTENSIONS, names) if dns else b"")
    info = tlv(0x30, tlv(2, b"\0"), subject, key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
               tlv(0xa0, attributes))
    return tlv(0x30, info, tlv(0x30, oid(ECDSA_SHA256)), tlv(3, b"\0", key.sign(info, ec.ECDSA(hashes.SHA256()))))


def made(key, subject, issuer=None, by=None, number=None, begin=-1, end=24):
    """A certificate of the key, by itself unless something else is said; its times are hours from now."""
    now = datetime.datetime.now(datetime.timezone.utc)
    return x509.CertificateBuilder().subject_name(subject).issuer_name(issuer or subject).public_key(
        key.public_key()).serial_number(number or x509.random_serial_number()).not_valid_before(
        now + datetime.timedelta(hours=begin)).not_valid_after(now + datetime.timedelta(hours=end)).sign(
        by or key, hashes.SHA256())


class Place:
    """The daemon, an endpoint, and devices that have certificates of it."""

    def __init__(self, g):
        self.g, self.scep, self.n = g, Scep(g, "scep"), 0
        self.owner = self.enrol("owner.site.example")
        self.revoked = self.enrol("revoked.site.example")
        self.leaked = self.enrol("leaked.site.example")
        self.short = self.enrol("short.site.example", "short")
        self.other = self.enrol("other.site.example", "other")
        for who, reason in ((self.revoked, "superseded"), (self.leaked, "keyCompromise")):
            g.run_tool("revoke", str(who.number), "--reason", reason)
        self.spent = self.challenge()
        check(self.scep.send(*self.device(self.new(), self.spent)).status == SUCCESS, "no certificate")

    def challenge(self, endpoint="scep"):
        return create_challenge(self.g, endpoint, SCOPE)

    def enrol(self, dns, endpoint="scep"):
        owner = Scep(self.g, endpoint).enrol(dns, self.challenge(endpoint))[0]
        owner.number = max(r["id"] for r in self.g.requests() if dns in r["names"])
        return owner

    def device(self, dns, challenge, key=None):
        """A new one, and its request."""
        key = key or ec_key()
        return Sender(key), make_csr(key, dns, challenge)

    def new(self):
        self.n += 1
        return f"n{self.n}.site.example"


# ---- a first request: who signs it, the request, and what is different about the message ----

def signed_by(certificate_of):
    """With a certificate of the device's key that is made so."""
    def make(p):
        key = ec_key()
        return Sender(key, certificate_of(key)), make_csr(key, p.new(), p.challenge()), {}
    return make


def with_challenge(find, dns=None):
    return lambda p: (*p.device(dns or p.new(), find(p)), {})


def written(write, tag, subject=None, dns=None):
    """The challenge as `write` makes octets of it, in this kind of string."""
    def make(p):
        key, text = ec_key(), p.new()
        return Sender(key), raw_csr(key, name(text).public_bytes() if subject is None else subject,
                                    [text] if dns is None else dns, write(p.challenge()), tag), {}
    return make


def message(**options):
    return lambda p: (*p.device(p.new(), p.challenge()), options)


def with_key(new, signer=None):
    def make(p):
        sender, octets = p.device(p.new(), p.challenge(), new())
        return signer() if signer else sender, octets, {}
    return make


def bent(p):
    sender, octets = p.device(p.new(), p.challenge())
    return sender, octets[:-1] + bytes([octets[-1] ^ 1]), {}


DEVICE = name("device")
FIRST = [
    ("nothing wrong", with_challenge(Place.challenge), ISSUED),
    ("a self-made certificate that has ended", signed_by(lambda k: made(k, DEVICE, begin=-48, end=-24)), ISSUED),
    ("one that begins tomorrow", signed_by(lambda k: made(k, DEVICE, begin=24, end=48)), ISSUED),
    ("one without a subject", signed_by(lambda k: made(k, x509.Name([]))), ISSUED),
    ("one of its own name that another key has made", signed_by(lambda k: made(k, DEVICE, by=ec_key())), ISSUED),
    ("one of another name", signed_by(lambda k: made(k, DEVICE, name("issuer"))), MESSAGE, "not one that may ask here"),
    ("an RSA key", with_key(new_key), ISSUED),
    ("an RSA key of 1024 bits", with_key(lambda: rsa.generate_private_key(65537, 1024)), ALGORITHM, "2048"),
    ("a key of a curve that the profile has not", with_key(lambda: new_key("ec-p384")), ALGORITHM, "ec-p384"),
    ("a key that others know", lambda p: (*p.device(p.new(), p.challenge(), p.leaked.key), {}), ALGORITHM, "known to others"),
    ("another key than that of the request", with_key(ec_key, Sender), MESSAGE),
    ("a request with a bent signature", bent, MESSAGE),
    ("no challenge", with_challenge(lambda p: None), REQUEST, "no challengePassword"),
    ("an empty challenge", with_challenge(lambda p: ""), REQUEST, "no challengePassword"),
    ("a challenge that is unknown", with_challenge(lambda p: "wrong"), REQUEST, "unknown, wrong, used up"),
    ("a challenge that is spent", with_challenge(lambda p: p.spent), REQUEST, "unknown, wrong, used up"),
    ("a challenge of another endpoint", with_challenge(lambda p: p.challenge("short")), REQUEST, "unknown, wrong, used up"),
    ("a name outside of its scope", with_challenge(Place.challenge, "n.elsewhere.example"), REQUEST, "does not prove"),
    ("a name that policy denies", with_challenge(Place.challenge, "deny.site.example"), REQUEST, "are denied"),
    ("a name that is held", with_challenge(Place.challenge, "hold.site.example"), HELD),
    ("the challenge in a PrintableString", written(str.encode, PRINTABLE), ISSUED),
    ("in an IA5String", written(str.encode, IA5), ISSUED),
    ("in a TeletexString", written(lambda t: t.encode("latin-1"), TELETEX), ISSUED),
    ("in a BMPString", written(lambda t: t.encode("utf-16be"), BMP), ISSUED),
    ("in a UniversalString", written(lambda t: t.encode("utf-32be"), UNIVERSAL), ISSUED),
    ("in a BMPString of odd length", written(lambda t: t.encode("utf-16be") + b"\0", BMP), REQUEST, "is no text"),
    ("in a BMPString with a surrogate", written(lambda t: t.encode("utf-16be") + b"\xd8\x3d", BMP), REQUEST, "is no text"),
    ("with a NUL behind it", written(lambda t: t.encode() + b"\0", UTF8), REQUEST, "is no text"),
    ("in an OCTET STRING", written(str.encode, OCTETS), REQUEST, "is no text"),
    ("no subject, and a SAN", written(str.encode, UTF8, subject=tlv(0x30)), ISSUED),
    ("neither subject nor SAN", written(str.encode, UTF8, subject=tlv(0x30), dns=()), REQUEST, "asks for no name"),
    ("no senderNonce", message(without=(SENDER_NONCE,)), ISSUED),
    ("a senderNonce of one octet", message(nonce=b"n"), ISSUED),
    ("a senderNonce of 64 octets", message(nonce=b"n" * 64), ISSUED),
    ("a transactionID with blanks, of 128 octets", message(transaction=b"t " * 64), ISSUED),
    ("an envelope for somebody else", message(recipient=Sender(ec_key()).certificate), ALGORITHM, "GetCACert"),
    ("RenewalReq", message(kind=RENEWAL_REQ), MESSAGE, "signed with the certificate that it renews"),
    ("UpdateReq", message(kind=UPDATE_REQ), MESSAGE, "signed with the certificate that it renews"),
    ("CertPoll of what nobody began", message(kind=CERT_POLL), NOT_THERE),
    ("GetCert", message(kind=GET_CERT), MESSAGE),
    ("CertRep", message(kind="3"), REQUEST, "not served"),
]

# What is not read far enough to be answered with a CertRep.
UNREADABLE = [("no transactionID", {"without": (TRANSACTION_ID,)}), ("no messageType", {"without": (TYPE,)}),
              ("a transactionID of 129 octets", {"transaction": b"t" * 129}), ("a senderNonce of 65 octets", {"nonce": b"n" * 65}),
              ("a senderNonce of no octet", {"without": (SENDER_NONCE,), "more": attribute(SENDER_NONCE, tlv(4))})]


# ---- a renewal: by whom, with what challenge, for what ----

def renews(who, dns="owner.site.example", challenge=None, same_key=False, more=()):
    def make(p):
        sender = who(p)
        return sender, make_csr(sender.key if same_key else ec_key(), dns, challenge and challenge(p), dns=[dns, *more]), {}
    return make


def of_issuer(issuer, number=None):
    """Made by a key that is not ours."""
    def make(p):
        key = ec_key()
        return Sender(key, made(key, name("owner.site.example"), name(issuer), ec_key(), number and number(p)))
    return make


def owner(p):
    return p.owner


def wrong(p):
    return "wrong"


OURS = {"issuer": "Test CA", "number": lambda p: p.owner.certificate.serial_number}
AGAIN = [
    ("another key", renews(owner), ISSUED),
    ("the same key", renews(owner, same_key=True), ISSUED),
    ("a challenge that is good", renews(owner, challenge=Place.challenge), ISSUED),
    ("a challenge that is spent", renews(owner, challenge=lambda p: p.spent), ISSUED),
    ("a challenge that is unknown", renews(owner, challenge=wrong), ISSUED),
    ("another name", renews(owner, "else.site.example"), REQUEST, "those of the certificate"),
    ("another name, and a challenge for it", renews(owner, "else.site.example", Place.challenge), REQUEST, "those of the certificate"),
    ("a name more", renews(owner, more=("more.site.example",)), REQUEST, "those of the certificate"),
    ("a certificate of another endpoint, with the same CA and profile", renews(lambda p: p.other, "other.site.example"), ISSUED),
    ("one of another profile", renews(lambda p: p.short, "short.site.example"), MESSAGE, "not one that may ask here"),
    ("one that is revoked", renews(lambda p: p.revoked, "revoked.site.example"), MESSAGE, "not one that may ask here"),
    ("a revoked one, and a challenge", renews(lambda p: p.revoked, "revoked.site.example", Place.challenge), MESSAGE, "not one that"),
    ("one of a CA that nobody knows", renews(of_issuer("Other CA")), MESSAGE, "not one that may ask here"),
    ("such a one, and a challenge", renews(of_issuer("Other CA"), challenge=Place.challenge), MESSAGE, "not one that may ask here"),
    ("one of a CA that calls itself ours", renews(of_issuer("Test CA")), MESSAGE, "not one that may ask here"),
    ("and its number is that of one of ours", renews(of_issuer(**OURS)), MESSAGE, "not one that may ask here"),
    ("that of the RA, without its key", renews(lambda p: Sender(ec_key(), p.scep.ra)), ALGORITHM),
]


def send(p, sender, octets, recipient=None, **options):
    return p.scep.post(pki_message(sender, p.scep.envelope(octets, recipient=recipient), **options))


def judge(p, row, kind):
    what, make, wanted, *text = row
    sender, octets, options = make(p)
    options = {"kind": kind} | options
    reply = send(p, sender, octets, **options).read(p.scep.ra)
    said = f"{what}, type {options['kind']}: {reply.status} {reply.fail} {reply.fail_text}"
    check((reply.status, reply.fail) == wanted and all(t in reply.fail_text for t in text), said)
    check((reply.status == SUCCESS) == bool(reply.content), f"{said}, {len(reply.content)} octets")
    # Fresh, and what the client sent, as it stood.
    check(len(reply.attributes["sender_nonce"]) == 16, said)
    if SENDER_NONCE in options.get("without", ()):
        check("recipient_nonce" not in reply.attributes, f"{said}, with a recipientNonce")
    for word, attribute_name in (("nonce", "recipient_nonce"), ("transaction", "transaction_id")):
        if word in options:
            check(reply.attributes[attribute_name] == options[word], f"{said}, {reply.attributes[attribute_name]}")


def issued(g):
    return sum(r["state"] == "issued" for r in g.requests())


def first_requests(p):
    before = issued(p.g)
    for row in FIRST:
        judge(p, row, PKCS_REQ)
    check(issued(p.g) == before + sum(wanted == ISSUED for _, _, wanted, *_ in FIRST), "other requests were issued")


def renewals(p):
    """Most clients say PKCSReq, old ones UpdateReq: it is the signer that tells."""
    before = issued(p.g)
    for row in AGAIN:
        for kind in PKCS_REQ, RENEWAL_REQ, UPDATE_REQ:
            judge(p, row, kind)
    check(issued(p.g) == before + 3 * sum(wanted == ISSUED for _, _, wanted, *_ in AGAIN), "other requests were issued")


def what_cannot_be_read(p):
    before = len(p.g.requests())
    for what, options in UNREADABLE:
        reply = send(p, *p.device(p.new(), p.challenge()), **options)
        check(reply.code == 400, f"{what}: {reply.code} {reply.body[:80]}")
    check(len(p.g.requests()) == before, "there are rows")


def serial_numbers_say_nothing(p):
    """sscep's is 0, which no library makes any more."""
    key = ec_key()
    plain = made(key, DEVICE, number=0x7f).public_bytes(Encoding.DER)
    check(plain.count(b"\x02\x01\x7f") == 1, "the number stands there twice")

    class Zero:
        """Its signature is that of the other number, and says nothing either."""
        serial_number, issuer = 0, DEVICE

        @staticmethod
        def public_bytes(_):
            return plain.replace(b"\x02\x01\x7f", b"\x02\x01\x00")

    for _ in range(2):
        dns = p.new()
        reply = send(p, Sender(key, Zero), make_csr(key, dns, p.challenge())).read(p.scep.ra)
        check(reply.status == SUCCESS, f"serial number 0: {reply.fail} {reply.fail_text}")
        check(identifier(Zero) in reply.content, "it is encrypted to somebody else")


def messages():
    profiles = "  - name: short\n    lifetime: 1h\n    keys: [rsa, ec-p256]\n"
    endpoints = {"scep": "failures-burst: 1000", "short": "profile: short", "other": ""}
    with gatehouse(lambda g: add_scep(g, endpoints, profiles=profiles)) as g:
        p = Place(g)
        for test in first_requests, renewals, what_cannot_be_read, serial_numbers_say_nothing:
            test(p)
            print(f"  {test.__name__}", flush=True)


main([messages])
