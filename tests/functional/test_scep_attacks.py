#!/usr/bin/python3
"""What SCEP must withstand, with raw messages: types that are none, challenges used again, transactions of others, envelopes
that do not open, renewals with certificates that are not for it. After each the store has no certificate more than before."""
import base64
import concurrent.futures
import contextlib
import glob
import os
import random
import statistics
import subprocess
import time

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import padding

from der import tlv
from gatehouse import LONG, check, gatehouse, main
from scep_client import add_scep, create_challenge, run
from scep_raw import (BAD_ALG, BAD_CERT_ID, BAD_MESSAGE_CHECK, BAD_REQUEST, CERT_POLL, FAILURE, GET_CERT, GET_CRL,
                      PENDING, PKCS_REQ, RENEWAL_REQ, SUCCESS, Scep, Sender, bag, encrypt, identifier, make_csr, name, new_key,
                      parts, pki_message, quote, read)

MD5, SHA1 = "1.2.840.113549.2.5", "1.3.14.3.2.26"
LOOSE = "failures-burst: 1000000"
TIGHT = "failures-burst: 20\nfailures-per-minute: 1"
SCOPE = "dns:*.example"


class Place:
    """The daemon, an endpoint of it, and a sender with a request that lacks nothing but a challenge."""

    def __init__(self, g, endpoint="scep"):
        self.g, self.endpoint, self.scep = g, endpoint, Scep(g, endpoint)
        self.sender = Sender()

    def challenge(self, *more):
        return create_challenge(self.g, self.endpoint, SCOPE, more=more)

    def csr(self, challenge=None, text="good.example"):
        return make_csr(self.sender.key, text, challenge)

    def count(self):
        """Of certificates that clients have."""
        return sum(r["state"] == "issued" and any("example" in n for n in r["names"]) for r in self.g.requests())

    @contextlib.contextmanager
    def nothing_is_issued(self, what, n=0):
        before = self.count()
        yield
        check(self.count() == before + n, f"{what}: {self.count() - before} were issued, and not {n}")


def refused(reply, *fails):
    check(reply.status == FAILURE and reply.fail in (fails or (BAD_REQUEST, BAD_MESSAGE_CHECK)),
          f"{reply.status} {reply.fail} {reply.fail_text}")
    check(reply.content == b"", "a failure has content")


# ---- S30: types ----

def s30_types(p):
    """Every number, and what is none, with a good challenge that stays good; RenewalReq without a certificate does not
    enrol, whatever its challenge is (CVE-2026-30836)."""
    challenge = p.challenge()
    octets = p.csr(challenge)
    with p.nothing_is_issued("S30"):
        for number in range(256):
            if str(number) == PKCS_REQ:
                continue
            refused(p.scep.send(p.sender, octets, kind=str(number)), "0", "1", "2", "3", "4")
        for kind in (b"256", b"19 ", b" 19", b"-1", b"+19", b"0x13", b"", b"PKCSReq", b"1.9", b"19\0", b"\xb1\xb9", b"0019"):
            reply = p.scep.post(pki_message(p.sender, p.scep.envelope(octets), kind=kind))
            check(reply.code == 400, f"type {kind}: {reply.code}")
        for text in (None, "", "wrong", challenge[:-1]):
            for kind in (PKCS_REQ, RENEWAL_REQ, "18", CERT_POLL):
                refused(p.scep.send(p.sender, p.csr(text), kind=kind), "0", "1", "2", "3", "4")
    with p.nothing_is_issued("the challenge", 1):
        check(p.scep.send(p.sender, octets).status == SUCCESS, "the challenge was spent by a message of another type")


def s30_no_type_makes_a_certificate_a_challenge(p):
    """Every number, signed by who holds a certificate of this CA, one that says so, or none, for a name that is another's."""
    owner, _ = p.scep.enrol("lawful.example", p.challenge())
    issuer, forged = Sender(new_key("ec")), Sender(new_key("ec"))
    forged.certificate = forged.make("victim.example", "Test CA", issuer.key)
    for sender in owner, forged, Sender(new_key("ec"), text="victim.example"):
        inside = p.scep.envelope(make_csr(sender.key, "victim.example"))
        with p.nothing_is_issued("S30"):
            for number in range(256):
                refused(p.scep.post(pki_message(sender, inside, kind=str(number))).read(p.scep.ra), "0", "1", "2", "4")


def malformed(message):
    """The message with something else in it, or less of it: a few hundred that are another one each time."""
    yield from (message[:n] for n in range(0, len(message), len(message) // 40))
    for _ in range(200):
        octets = bytearray(message)
        for _ in range(random.choice((1, 1, 1, 2, 8))):
            octets[random.randrange(len(octets))] ^= 1 << random.randrange(8)
        yield bytes(octets)
    for _ in range(40):
        begin, n = random.randrange(len(message)), random.randrange(1, 40)
        yield message[:begin] + message[begin + n:]
        yield message[:begin] + message[begin:begin + n] + message[begin:]


def s30_malformed(p):
    """Whatever stands where, who may not have a certificate gets none, and an answer all the same."""
    owner, _ = p.scep.enrol("malformed.example", p.challenge())
    for sender, kind in (p.sender, PKCS_REQ), (p.sender, RENEWAL_REQ), (owner, RENEWAL_REQ):
        message = pki_message(sender, p.scep.envelope(make_csr(sender.key, "victim.example")), kind=kind)
        with p.nothing_is_issued("malformed"):
            for octets in malformed(message):
                reply = p.scep.post(octets)
                if reply.code == 200:
                    refused(reply.read(p.scep.ra), "0", "1", "2", "4")
                else:
                    check(reply.code == 400, f"{reply.code} for {octets.hex()}")


# ---- S31, S32: challenges and transactions ----

def s31_a_challenge_is_spent_once(p):
    """By 32 at once, with keys and transactions of their own."""
    challenge = p.challenge()
    senders = [Sender(new_key("ec")) for _ in range(32)]
    messages = [pki_message(s, p.scep.envelope(make_csr(s.key, f"n{i}.example", challenge)))
                for i, s in enumerate(senders)]
    with p.nothing_is_issued("S31", 1), concurrent.futures.ThreadPoolExecutor(32) as pool:
        replies = [r.read(p.scep.ra) for r in pool.map(p.scep.post, messages)]
        check(sum(r.status == SUCCESS for r in replies) == 1, str([r.status for r in replies]))
        for reply in replies:
            if reply.status != SUCCESS:
                refused(reply)
    with p.nothing_is_issued("S31 afterwards"):
        refused(p.scep.send(p.sender, p.csr(challenge)))
    for what, more, text in (("of other names", (), "other.test"), ("of another endpoint", ("--endpoint", "other"), None)):
        with p.nothing_is_issued(f"a challenge {what}"):
            secret = p.challenge() if text else create_challenge(p.g, "other", SCOPE)
            refused(p.scep.send(p.sender, make_csr(p.sender.key, text or "good.example", secret)))


def s31_a_challenge_ends(p):
    secret = p.challenge("--ttl", "1s", "--note", "ends")

    def state():
        return next(c["state"] for c in p.g.tool_json("challenge", "list")["credentials"] if c.get("note") == "ends")

    end = time.monotonic() + 60
    while state() == "valid":
        check(time.monotonic() < end, "it does not end")
        time.sleep(0.1)
    with p.nothing_is_issued("S31, after its end"):
        refused(p.scep.send(p.sender, p.csr(secret)), BAD_REQUEST)


def s32_a_repeat_is_the_same_request(p):
    """A captured message brings what it brought, encrypted to the key that signed it; and with another key nothing."""
    challenge, transaction = p.challenge(), b"captured"
    octets = p.scep.envelope(p.csr(challenge, "captured.example"))
    message = pki_message(p.sender, octets, transaction=transaction)
    with p.nothing_is_issued("the request", 1):
        first = p.scep.post(message).read(p.scep.ra).certificates(p.sender)
    with p.nothing_is_issued("S32"):
        for _ in range(3):
            again = p.scep.post(message).read(p.scep.ra)
            check(again.certificates(p.sender) == first, "a repeat brings another certificate")
        thief = Sender()
        refused(p.scep.post(pki_message(thief, octets, transaction=transaction)).read(p.scep.ra), BAD_MESSAGE_CHECK)
        for text in (challenge, None):
            own = make_csr(thief.key, "captured.example", text)
            refused(p.scep.send(thief, own, transaction=transaction))
            refused(p.scep.send(thief, own, transaction=transaction, kind=CERT_POLL), "0", "1", "2", "3", "4")


# ---- S35: polls ----

def issuer_and_subject(p, text):
    return tlv(0x30, p.scep.ra.issuer.public_bytes(), name(text).public_bytes())


def s35_a_poll_is_by_the_key_of_its_request(p):
    """The transaction's name is no secret. And what stands in a poll's envelope changes no answer: it could be somebody
    else's, bent."""
    transaction, thief, text = b"polled", Sender(), "hold-polled.example"
    octets = p.scep.envelope(make_csr(p.sender.key, text, p.challenge()))
    message = pki_message(p.sender, octets, transaction=transaction)
    asked = issuer_and_subject(p, text)

    def poll(sender, content=asked, of=transaction, scep=p.scep, **options):
        return scep.send(sender, content, kind=CERT_POLL, transaction=of, **options)

    refused(poll(p.sender), BAD_CERT_ID)
    with p.nothing_is_issued("a request that is held"):
        check(p.scep.post(message).read(p.scep.ra).status == PENDING, "it is not held")
        number = p.g.wait_pending(text)["id"]
        for _ in range(3):
            check(poll(p.sender).status == PENDING, "its sender is told something else")
        for reply in (poll(thief), poll(p.sender, of=b"polled2"), poll(p.sender, of=b"polle"),
                      poll(p.sender, scep=Scep(p.g, "other"))):
            refused(reply, BAD_CERT_ID)
            check(reply.fail_text == poll(thief).fail_text, f"another text: {reply.fail_text}")
        # A certificate of the thief's key with the sender's name, and the sender's certificate behind it.
        named = Sender(thief.key, thief.make("sender"))
        refused(p.scep.post(pki_message(named, p.scep.envelope(asked), kind=CERT_POLL, transaction=transaction,
                                        others=(p.sender.certificate,))).read(p.scep.ra), BAD_CERT_ID)
    bent = (asked, b"", b"\x30", os.urandom(64), make_csr(thief.key, text, "wrong"))
    for content in bent:
        check(poll(p.sender, content).constant() == poll(p.sender).constant(), f"{content[:9]} changes the answer")
        check(poll(thief, content).constant() == poll(thief).constant(), f"{content[:9]} changes the answer")
    for more in ({"content": encrypt(asked, os.urandom(16), os.urandom(16))}, {"wrapped": os.urandom(256)},
                 {"content": os.urandom(16)}):
        check(poll(p.sender, **more).constant() == poll(p.sender).constant(), f"a bent {list(more)[0]} changes the answer")
    undecrypted = p.g.metric('gatehouse_scep_undecrypted_total{endpoint="scep"}')
    p.g.run_tool("approve", str(number), "--yes")
    check(p.g.metric('gatehouse_scep_undecrypted_total{endpoint="scep"}') == undecrypted, "a poll was opened")
    with p.nothing_is_issued("polls of what is issued"):
        refused(poll(thief), BAD_CERT_ID)
        first = poll(p.sender).certificates(p.sender)
        check(text in first[0].extensions.get_extension_for_class(x509.SubjectAlternativeName).value.get_values_for_type(
            x509.DNSName), "it is the certificate of another request")
        check(poll(p.sender).certificates(p.sender) == first, "another certificate for the same transaction")
    check(sum("retrieved" in line["text"] for line in p.g.timeline(number)) == 1, str(p.g.timeline(number)))


def s35_a_poll_is_told_of_a_denial(p):
    text, reason = "hold-denied.example", "no such device is known here"
    check(p.scep.send(p.sender, make_csr(p.sender.key, text, p.challenge()), transaction=b"denied").status == PENDING,
          "it is not held")
    p.g.run_tool("deny", str(p.g.wait_pending(text)["id"]), "--reason", reason)
    reply = p.scep.send(p.sender, issuer_and_subject(p, text), kind=CERT_POLL, transaction=b"denied")
    refused(reply, BAD_REQUEST)
    check(reason in reply.fail_text, reply.fail_text)


# ---- S36: certificates and lists of others ----

def s36_who_asks_holds_a_certificate(p):
    """Of this CA and in force; everybody else is sent away before a key is used, and whether there is such a certificate he
    does not learn."""
    owner, _ = p.scep.enrol("asks.example", p.challenge())
    gone, _ = p.scep.enrol("gone.example", p.challenge())
    serial = format(gone.certificate.serial_number, "x")
    p.g.run_tool("revoke", serial.zfill(len(serial) + len(serial) % 2), "--reason", "superseded")
    issuer = Sender()
    forged = Sender()
    forged.certificate = forged.make("asks.example", "Test CA", issuer.key)
    short, _ = Place(p.g, "short").scep.enrol("asks-short.example", create_challenge(p.g, "short", SCOPE))
    there, nowhere = identifier(owner.certificate), identifier(p.sender.certificate)
    undecrypted = p.g.metric('gatehouse_scep_undecrypted_total{endpoint="scep"}')
    with p.nothing_is_issued("S36"):
        for kind in GET_CERT, GET_CRL:
            for sender in (p.sender, gone, forged, Sender(new_key(), p.scep.ra), short,
                           Sender(new_key(), owner.certificate)):
                replies = [p.scep.send(sender, content, kind=kind) for content in (there, nowhere)]
                replies += [p.scep.send(sender, there, kind=kind, content=os.urandom(64))]
                for reply in replies:
                    refused(reply, BAD_MESSAGE_CHECK)
                    check(reply.constant() == replies[0].constant(), "it depends on what was asked for")
    check(p.g.metric('gatehouse_scep_undecrypted_total{endpoint="scep"}') == undecrypted, "it was decrypted")
    return owner


def kinds_of_question(p, owner):
    """What is wrong inside the envelopes of GetCert and GetCRL."""
    there = identifier(owner.certificate)
    issuer = owner.certificate.issuer.public_bytes()
    number = owner.certificate.serial_number
    inside = {
        "a serial that nobody has": tlv(0x30, issuer, tlv(2, b"\x11" * 10)),
        "the next serial": tlv(0x30, issuer, tlv(2, (number + 1).to_bytes(number.bit_length() // 8 + 1, "big"))),
        "another issuer": tlv(0x30, name("another").public_bytes(), list(parts(read(there)[1]))[1][2]),
        "no issuer": tlv(0x30, tlv(0x30), list(parts(read(there)[1]))[1][2]),
        "a serial of 21 octets": tlv(0x30, issuer, tlv(2, b"\x11" * 21)),
        "a negative serial": tlv(0x30, issuer, tlv(2, b"\x80")),
        "an empty serial": tlv(0x30, issuer, tlv(2)),
        "something behind it": there + b"\0",
        "something in it": tlv(0x30, read(there)[1], tlv(5)),
        "two of them": there + there,
        "a request": p.csr("a challenge of sixteen"),
        "octets": os.urandom(len(there)),
        "nothing": b"",
    }
    kinds = {what: lambda octets=octets: p.scep.envelope(octets) for what, octets in inside.items()}
    return kinds | {what: make for what, make in kinds_of_failure(p).items() if what != "somebody else's request"}


def s36_every_question_without_an_answer_is_one(p):
    """A certificate that is not there and an envelope that does not open: who has a certificate could sign somebody else's
    envelope anew, bent, and would learn from a difference what is inside."""
    owner = s36_who_asks_holds_a_certificate(p)
    for kind in GET_CERT, GET_CRL:
        answers = {}
        for what, make in kinds_of_question(p, owner).items():
            reply = p.scep.post(pki_message(owner, make(), kind=kind, transaction=b"one", nonce=b"n" * 16)).read(p.scep.ra)
            refused(reply, BAD_CERT_ID)
            answers[what] = reply.constant()
        first = next(iter(answers.values()))
        for what, answer in answers.items():
            check(answer == first, f"{what}: {answer} and not {first}")
    kinds = kinds_of_question(p, owner)
    timed = ("a serial that nobody has", "another issuer", "a request", "octets", "nothing", "a key of another size",
             "bent in the last block", "padding of block type 1")
    same_times({what: [pki_message(owner, kinds[what](), kind=GET_CERT) for _ in range(2)] for what in timed}, p, "S36")


def s36_serials_are_not_tried_out(p):
    """Each that is not there counts as a failure of its address, and then nobody looks."""
    place = Place(p.g, "slow")
    owner, _ = place.scep.enrol("slow.example", create_challenge(p.g, "slow", SCOPE))
    issuer = owner.certificate.issuer.public_bytes()

    def ask(kind, number):
        return place.scep.post(pki_message(owner, place.scep.envelope(tlv(0x30, issuer, tlv(2, number))), kind=kind))

    codes = [ask((GET_CERT, GET_CRL)[i % 2], b"\1" + os.urandom(9)).code for i in range(30)]
    check(codes.count(200) in range(20, 23) and set(codes) == {200, 429}, str(codes))
    check(place.scep.post(pki_message(owner, place.scep.envelope(identifier(owner.certificate)), kind=GET_CERT)).code == 429,
          "one that is there is looked up")


# ---- S33, S41: proofs of possession ----

def s33_the_key_of_the_request_signs(p):
    with p.nothing_is_issued("S33"):
        challenge = p.challenge()
        refused(p.scep.send(Sender(), p.csr(challenge)), BAD_MESSAGE_CHECK)
        # Of the same subject, with the key of the request inside, but made by another key.
        other = Sender()
        made = Sender(other.key, p.sender.make("sender", by=other.key))
        refused(p.scep.send(made, p.csr(challenge)), BAD_MESSAGE_CHECK)
        # A certificate of another issuer is no self-issued one.
        refused(p.scep.send(Sender(p.sender.key, p.sender.make("sender", "other", other.key)), p.csr(challenge)))
        bent = bytearray(p.csr(challenge))
        bent[-1] ^= 1
        refused(p.scep.send(p.sender, bytes(bent)), BAD_MESSAGE_CHECK)


# ---- S34: renewals ----

def s34_renewals(p):
    """By a certificate of this endpoint's CA for these names and none other."""
    owner, _ = p.scep.enrol("owner.example", p.challenge())
    key = new_key()
    octets = make_csr(key, "owner.example")
    for kind in PKCS_REQ, RENEWAL_REQ, "18":
        with p.nothing_is_issued("S34"):
            refused(p.scep.send(owner, make_csr(key, "another.example"), kind=kind))
            refused(p.scep.send(owner, make_csr(key, "owner.example", dns=["owner.example", "more.example"]), kind=kind))
            bent = bytearray(octets)
            bent[-1] ^= 1
            refused(p.scep.send(owner, bytes(bent), kind=kind), BAD_MESSAGE_CHECK)
            # The RA's own certificate is public, its key is not.
            refused(p.scep.send(Sender(new_key(), p.scep.ra), octets, kind=kind), BAD_MESSAGE_CHECK)
            # A CA that has the name of this one.
            issuer = Sender()
            false = issuer.make("Test CA")
            forged = Sender(key)
            forged.certificate = forged.make("owner.example", "Test CA", issuer.key)
            refused(p.scep.post(pki_message(forged, p.scep.envelope(octets), kind=kind, others=[false])).read(p.scep.ra))
    short, _ = Place(p.g, "short").scep.enrol("short.example", create_challenge(p.g, "short", SCOPE))
    with p.nothing_is_issued("a certificate of another profile"):
        refused(p.scep.send(short, make_csr(key, "short.example")))
    serial = format(owner.certificate.serial_number, "x")
    p.g.run_tool("revoke", serial.zfill(len(serial) + len(serial) % 2), "--reason", "keyCompromise")
    with p.nothing_is_issued("a revoked certificate"):
        refused(p.scep.send(owner, octets, kind=RENEWAL_REQ))
        refused(p.scep.send(owner, make_csr(key, "owner.example", p.challenge())))


def s34_the_gateway_is_no_client(p):
    """Who has read the key of its listener gets nothing for it, neither a successor nor what others have."""
    with open(os.path.join(p.g.data, "gateway", "tls-public.pem"), "rb") as f:
        pem = f.read()
    own = Sender(serialization.load_pem_private_key(pem[pem.index(b"-----BEGIN PRIVATE KEY"):], None),
                 x509.load_pem_x509_certificate(pem[pem.index(b"-----BEGIN CERTIFICATE"):]))
    check(own.certificate.public_key().public_numbers() == own.key.public_key().public_numbers(), "another certificate")
    with p.nothing_is_issued("the gateway's key"):
        for kind in PKCS_REQ, RENEWAL_REQ, "18":
            refused(p.scep.send(own, make_csr(new_key(), "localhost"), kind=kind), BAD_MESSAGE_CHECK)
        for kind in GET_CERT, GET_CRL:
            refused(p.scep.send(own, identifier(own.certificate), kind=kind), BAD_MESSAGE_CHECK)


def wait_for_end(p, sender):
    path = os.path.join(p.g.folder, "ended.pem")
    with open(path, "wb") as f:
        f.write(sender.certificate.public_bytes(serialization.Encoding.PEM))
    end = time.monotonic() + 60
    while subprocess.run(["openssl", "x509", "-in", path, "-noout", "-checkend", "0"], capture_output=True, check=False).returncode == 0:
        check(time.monotonic() < end, "it does not end")
        time.sleep(0.2)
    time.sleep(1.1)  # its last second counts


def s34_what_has_ended_renews_within_its_grace(p):
    """And nowhere else; nor does it ask for anything besides."""
    ended, _ = Place(p.g, "ends").scep.enrol("ended.example", create_challenge(p.g, "ends", SCOPE))
    wait_for_end(p, ended)
    octets = make_csr(new_key(), "ended.example")
    with p.nothing_is_issued("what has ended"):
        for endpoint in "ends", "scep":
            for kind in PKCS_REQ, RENEWAL_REQ, "18":
                refused(Scep(p.g, endpoint).send(ended, octets, kind=kind), BAD_MESSAGE_CHECK)
        for kind in GET_CERT, GET_CRL:
            refused(Scep(p.g, "grace").send(ended, identifier(ended.certificate), kind=kind), BAD_MESSAGE_CHECK)
    with p.nothing_is_issued("what has ended, within its grace", 1):
        check(Scep(p.g, "grace").send(ended, octets, kind=RENEWAL_REQ).status == SUCCESS, "its grace counts for nothing")
    serial = format(ended.certificate.serial_number, "x")
    p.g.run_tool("revoke", serial.zfill(len(serial) + len(serial) % 2), "--reason", "superseded")
    with p.nothing_is_issued("what was revoked, within its grace"):
        refused(Scep(p.g, "grace").send(ended, make_csr(new_key(), "ended.example"), kind=RENEWAL_REQ), BAD_MESSAGE_CHECK)


# ---- S37: downgrades ----

def s37_downgrades(p):
    octets = p.csr(p.challenge())
    with p.nothing_is_issued("S37"):
        for cipher in ("1.2.840.113549.3.7", "1.3.14.3.2.7", "1.3.6.1.4.1.3029.1.2", "1.2.840.113549.3.2"):
            reply = p.scep.post(pki_message(p.sender, p.scep.envelope(octets, cipher=cipher))).read(p.scep.ra)
            refused(reply, BAD_ALG)
        for digest in MD5, SHA1:
            refused(p.scep.send(p.sender, octets, algorithm=digest), BAD_ALG)


# ---- S38: the decryption oracle ----

def kinds_of_failure(p):
    """What goes wrong at another place each: (envelope, who signs)"""
    scep, ra, octets = p.scep, p.scep.ra, p.csr("a challenge of sixteen")
    key, iv, size = os.urandom(16), os.urandom(16), 256
    good = ra.public_key().encrypt(key, padding.PKCS1v15())
    number = ra.public_key().public_numbers()

    def raw(block):
        return pow(int.from_bytes(block, "big"), number.e, number.n).to_bytes(size, "big")

    def bent(at):
        content = bytearray(encrypt(octets, key, iv))
        content[at] ^= 1
        return bytes(content)

    other = Sender()
    return {
        "padding of block type 1": lambda: scep.envelope(octets, wrapped=raw(b"\0\1" + b"\xff" * 237 + b"\0" + key)),
        "padding that has no end": lambda: scep.envelope(octets, wrapped=raw(b"\0\2" + b"\x55" * 254)),
        "padding that ends too soon": lambda: scep.envelope(octets, wrapped=raw(b"\0\2\5\0" + b"\x55" * 235 + b"\0" + key)),
        "no padding": lambda: scep.envelope(octets, wrapped=b"\0" + os.urandom(255)),
        "a key of another size": lambda: scep.envelope(octets, wrapped=ra.public_key().encrypt(os.urandom(24), padding.PKCS1v15())),
        "another key": lambda: scep.envelope(octets, wrapped=ra.public_key().encrypt(os.urandom(16), padding.PKCS1v15())),
        "another recipient's key": lambda: scep.envelope(octets, wrapped=b"\0" + other.key.public_key().encrypt(
            key, padding.PKCS1v15())[1:]),
        "a wrapped key too short": lambda: scep.envelope(octets, wrapped=good[:-1]),
        "a wrapped key too long": lambda: scep.envelope(octets, wrapped=good + b"\0"),
        "no number below the modulus": lambda: scep.envelope(octets, wrapped=b"\xff" * size),
        "bent in the first block": lambda: scep.envelope(octets, key=key, iv=iv, wrapped=good, content=bent(0)),
        "bent in the last block": lambda: scep.envelope(octets, key=key, iv=iv, wrapped=good, content=bent(-1)),
        "content of no whole block": lambda: scep.envelope(octets, key=key, content=os.urandom(len(octets) // 16 * 16 + 1)),
        "no content": lambda: scep.envelope(octets, key=key, content=b""),
        "content that is no request": lambda: scep.envelope(os.urandom(len(octets))),
        "somebody else's request": lambda: scep.envelope(make_csr(other.key, "good.example", "a challenge of sixteen")),
    }


def s38_every_failure_is_one(p):
    """Whatever does not open, or is not the sender's, has one answer: octet by octet, but for nonces, signature and
    transaction; those of one transaction too."""
    with p.nothing_is_issued("S38"):
        answers = {}
        for what, make in kinds_of_failure(p).items():
            reply = p.scep.post(pki_message(p.sender, make(), transaction=b"one", nonce=b"n" * 16)).read(p.scep.ra)
            refused(reply, BAD_MESSAGE_CHECK)
            check(reply.attributes["recipient_nonce"] == b"n" * 16, "the nonce is not that of the request")
            answers[what] = reply.constant()
        first = next(iter(answers.values()))
        for what, answer in answers.items():
            check(answer == first, f"{what}: {answer} and not {first}")


def time_each(p, messages, n, times):
    """In an order that is another one each time: what runs beside the test meets all alike."""
    for i in range(n):
        for what, two in random.sample(list(messages.items()), len(messages)):
            begin = time.perf_counter()
            p.scep.post(two[i % 2])
            times[what].append(time.perf_counter() - begin)


def least(values):
    """The mean of the shortest ones, which what runs beside the test hardly reaches."""
    return statistics.mean(sorted(values)[:max(5, len(values) // 20)])


def farthest_pair(times, typical):
    """(how much longer the slowest kind takes than the fastest, the two)"""
    by_time = sorted((typical(values), what) for what, values in times.items())
    (fast, fastest), (slow, slowest) = by_time[0], by_time[-1]
    return slow / fast - 1, f"{slowest!r} {slow * 1000:.3f} ms, {fastest!r} {fast * 1000:.3f} ms"


def same_times(messages, p, attack):
    """No kind of failure takes longer than any other. On a busy machine it takes more tries; a difference that is really
    there stays however many they are."""
    n_each, rounds, bound = (10000 // len(messages) + 1, 4, 0.05) if LONG else (30, 12, 0.35)
    measures = (least, statistics.median) if LONG else (least,)
    times = {what: [] for what in messages}
    for _ in range(rounds):
        time_each(p, messages, n_each, times)
        found = [farthest_pair(times, typical) for typical in measures]
        if all(apart <= bound for apart, _ in found):
            break
    for (apart, pair), typical in zip(found, measures):
        print(f"{attack}: {sum(len(v) for v in times.values())} tries, {typical.__name__}: {apart:.2%} ({pair})", flush=True)
    check(all(apart <= bound for apart, _ in found), f"times tell kinds of failure apart: {found}")


def s38_no_failure_takes_its_time(p):
    """Wherever in the envelope it is found out."""
    same_times({what: [pki_message(p.sender, make()) for _ in range(2)] for what, make in kinds_of_failure(p).items()}, p, "S38")


# ---- S39: the keys of the RA ----

def s39_the_ra_is_not_the_ca(p):
    """It has a key of its own, for no other use, in a process of its own; when that ends, messages wait and then go on."""
    usage = p.scep.ra.extensions.get_extension_for_class(x509.KeyUsage).value
    check(usage.digital_signature and usage.key_encipherment and not usage.key_cert_sign and not usage.crl_sign, str(usage))
    with open(p.g.root, "rb") as f:
        root = x509.load_pem_x509_certificate(f.read())
    check(root.public_key().public_numbers() != p.scep.ra.public_key().public_numbers(), "the CA's key is the RA's")
    before, message = p.g.processes(), pki_message(p.sender, p.scep.envelope(p.csr("wrong")))
    check(len({before[role] for role in ("core", "gateway", "signer", "ra-signer")}) == 4, str(before))
    p.g.kill_role("ra-signer")
    end = time.monotonic() + 30
    while (reply := p.scep.post(message)).code == 503 and time.monotonic() < end:
        check("Retry-After" in reply.headers, str(reply.headers))
        time.sleep(0.1)
    refused(reply.read(p.scep.ra), BAD_REQUEST)
    check(p.g.wait_role("ra-signer", before["ra-signer"]) and p.g.processes()["gateway"] == before["gateway"],
          "the gateway ended with the signer")
    for path in glob.glob(os.path.join(p.g.data, "**", "ra-*"), recursive=True):
        with open(path, "rb") as f:
            text = f.read()
        check(b"PRIVATE KEY" not in text and b"BEGIN GATEHOUSE SEALED KEY" in text, f"{path} is not sealed")


# ---- S40: GET ----

def s40_get_and_post(p):
    message = base64.b64encode(pki_message(p.sender, p.scep.envelope(p.csr("wrong")))).decode()
    lines = "\n".join(message[i:i + 64] for i in range(0, len(message), 64)) + "\n"
    with p.nothing_is_issued("S40"):
        for what, text in (("every escape", quote(message)), ("none but '='", message.replace("=", "%3D")), ("lines", quote(lines)),
                           ("base64url", message.replace("+", "-").replace("/", "_")), ("no padding", quote(message.rstrip("="))),
                           ("blanks", message.replace("+", "%20"))):
            reply = p.scep.get("PKIOperation", text).read(p.scep.ra)
            check(reply.status == FAILURE and reply.fail == BAD_REQUEST, f"{what}: {reply.fail} {reply.fail_text}")
        for text in ("", "%", "%4", "%zz", "!!!!", quote(quote(message)), message[:-8] + "%00" + message[-8:], "AAAA", "*" * 20000):
            reply = p.scep.get("PKIOperation", text)
            check(reply.code == 400, f"{text[:40]}: {reply.code}")
        for body in (b"", b"\0", b"\x30\x80", os.urandom(4000), b"\x30" * 4000, b"\x30\x80" * 4000, message.encode()):
            reply = p.scep.post(body)
            check(reply.code == 400, f"{body[:20]}: {reply.code}")
        check(p.scep.post(bytes(70000)).code == 413, "70,000 octets are read")


# ---- replies ----

def openssl_reads_replies(p):
    """By both of its readers, SUCCESS and FAILURE."""
    for reply in (p.scep.enrol("read.example", p.challenge())[1], p.scep.send(p.sender, p.csr("wrong"))):
        path = os.path.join(p.g.folder, "reply")
        with open(path, "wb") as f:
            f.write(reply.body)
        for reader in "cms", "smime":
            said = run("openssl", reader, "-verify", "-noverify", "-binary", "-inform", "DER", "-in", path)
            check(said == reply.content, f"{reader}: {len(said)} octets")


def ec_requesters_read_their_replies(p):
    """By key agreement, with nothing but openssl; and a renewal by such a key."""
    for kind in "ec", "ec-p384", "ec-p521":
        sender = Sender(new_key(kind))
        # The profile takes P-256 for certificates; what signs messages may be another curve.
        reply = p.scep.send(sender, make_csr(sender.key, "curve.example", p.challenge()))
        if kind != "ec":
            refused(reply, BAD_ALG)
            continue
        own = Sender(sender.key, decrypt_with_openssl(p, sender, reply))
        check(decrypt_with_openssl(p, own, p.scep.send(own, make_csr(own.key, "curve.example"), kind=RENEWAL_REQ)) !=
              own.certificate, "no renewal")
        check(decrypt_with_openssl(p, own, p.scep.send(own, identifier(own.certificate), kind=GET_CERT)) ==
              own.certificate, "another certificate")


def decrypt_with_openssl(p, sender, reply):
    """The certificate in a reply to a key that is not RSA."""
    check(reply.status == SUCCESS, f"{reply.status} {reply.fail} {reply.fail_text}")
    files = {"reply": reply.content, "key": sender.key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()),
             "own.pem": sender.certificate.public_bytes(serialization.Encoding.PEM)}
    for name_, octets in files.items():
        with open(os.path.join(p.g.folder, name_), "wb") as f:
            f.write(octets)
    (certificate,) = bag(run("openssl", "cms", "-decrypt", "-binary", "-inform", "DER", "-in", "reply", "-inkey", "key", "-recip",
                             "own.pem", cwd=p.g.folder))
    return certificate


# ---- the limit ahead of decryption ----

def too_many_failures_wait(p):
    """Of one address, and only what fails: a good one is not counted, whoever fails is not even decrypted."""
    place = Place(p.g, "tight")
    messages = [pki_message(p.sender, place.scep.envelope(b"nothing")) for _ in range(3)]
    for _ in range(30):
        device = Sender(new_key("ec"))
        octets = make_csr(device.key, "many.example", create_challenge(p.g, "tight", SCOPE))
        check(place.scep.send(device, octets).status == SUCCESS, "a good one is refused")
    codes = [place.scep.post(messages[i % 3]).code for i in range(40)]
    check(codes.count(200) in range(20, 23) and set(codes) == {200, 429}, str(codes))
    before = p.g.metric('gatehouse_scep_undecrypted_total{endpoint="tight"}')
    reply = place.scep.post(messages[0])
    check(reply.code == 429 and 1 <= int(reply.headers["Retry-After"]) <= 61, f"{reply.code} {reply.headers}")
    check(p.g.metric('gatehouse_scep_undecrypted_total{endpoint="tight"}') == before, "it was decrypted")
    check(p.g.metric('gatehouse_scep_limited_total{endpoint="tight"}') >= 18, "the metric does not count")
    check(Place(p.g, "scep").scep.post(messages[0]).code == 200, "another endpoint waits too")


def too_many_wrong_challenges_wait(p):
    """The core holds up whoever guesses, and that is no way around the limit."""
    place, codes = Place(p.g, "guessed"), []
    for _ in range(60):
        octets = make_csr(p.sender.key, "guessed.example", "no such challenge")
        codes.append(place.scep.post(pki_message(p.sender, place.scep.envelope(octets))).code)
        if codes[-1] == 429:
            break
    check({200, 503, 429} == set(codes) and codes.count(200) >= 20, f"held up by the core, then not decrypted: {codes}")


def scep_withstands():
    endpoints = {"scep": LOOSE, "other": LOOSE, "short": "profile: short", "tight": TIGHT, "slow": TIGHT, "guessed": "failures-burst: 40\nfailures-per-minute: 1",
                 "ends": "profile: ends", "grace": "profile: ends\nrenewal-grace: 1h"}
    # A certificate of the profile `ends` is good for a second.
    profiles = ("  - name: short\n    lifetime: 1h\n    keys: [rsa]\n"
                "  - name: ends\n    lifetime: 5m\n    backdate: 299s\n    keys: [rsa]\n")
    with gatehouse(lambda g: add_scep(g, endpoints, profiles=profiles)) as g:
        p = Place(g)
        for test in (s30_types, s30_no_type_makes_a_certificate_a_challenge, s30_malformed,
                     s31_a_challenge_is_spent_once, s31_a_challenge_ends, s32_a_repeat_is_the_same_request,
                     s35_a_poll_is_by_the_key_of_its_request, s35_a_poll_is_told_of_a_denial,
                     s36_every_question_without_an_answer_is_one, s36_serials_are_not_tried_out,
                     s33_the_key_of_the_request_signs, s34_renewals, s34_the_gateway_is_no_client,
                     s34_what_has_ended_renews_within_its_grace, s37_downgrades, s38_every_failure_is_one,
                     s38_no_failure_takes_its_time, s39_the_ra_is_not_the_ca, s40_get_and_post,
                     openssl_reads_replies, ec_requesters_read_their_replies, too_many_failures_wait, too_many_wrong_challenges_wait):
            begin = time.monotonic()
            test(p)
            print(f"  {test.__name__} ({time.monotonic() - begin:.1f} s)", flush=True)


main([scep_withstands])
