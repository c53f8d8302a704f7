#!/usr/bin/python3
"""Keys that the server makes: in the clear, and encrypted with a certificate or a shared key, read by Python's parser of
mail, by openssl and by Bouncy Castle. Approved while the client polls, denied. And a key that was handed out is nowhere afterwards.
"""
import base64
import datetime
import email
import glob
import os
import re
import time

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import pkcs7
from cryptography.x509.oid import NameOID

from bouncy_castle import BouncyCastle
from der import attribute, common_name, oid, san, tlv
from est_client import CERTS, CSR, Est, add_est, base64_lines, create_token, create_user, new_key, run, save
from gatehouse import check, gatehouse, hand_to, main
from test_secrets import memory, read

SHARED = {"plant-7": os.urandom(32), "0x00ff10": os.urandom(16)}
PROFILES = """  - name: only-ec
    keys: [ec-p256]
"""
CHALLENGE, CAPABILITIES = "1.2.840.113549.1.9.7", "1.2.840.113549.1.9.15"
SHARED_KEY, PUBLIC_KEY = "1.2.840.113549.1.9.16.2.37", "1.2.840.113549.1.9.16.2.54"
AES_128_CBC, AES_256_CBC = "2.16.840.1.101.3.4.1.2", "2.16.840.1.101.3.4.1.42"
AES_128_WRAP, AES_256_WRAP = "2.16.840.1.101.3.4.1.5", "2.16.840.1.101.3.4.1.45"
OAEP, DES3_CBC = "1.2.840.113549.1.1.7", "1.2.840.113549.3.7"
ALL_AES = (AES_256_CBC, AES_128_CBC, AES_256_WRAP, AES_128_WRAP)


# ---- requests: octet by octet, since nobody looks at their keys and signatures ----

def capabilities(*kinds):
    return attribute(CAPABILITIES, tlv(0x30, *(tlv(0x30, oid(kind)) for kind in kinds)))


def request(name, *attributes):
    """PKCS#10 with a key that is none and a signature that is none."""
    algorithm = tlv(0x30, oid("1.2.840.113549.1.1.1"), b"\x05\x00")
    spki = tlv(0x30, algorithm, tlv(3, b"\x00" + os.urandom(70)))
    info = tlv(0x30, b"\x02\x01\x00", common_name(name), spki, tlv(0xa0, san(name), *attributes))
    return tlv(0x30, info, tlv(0x30, oid("1.2.840.113549.1.1.11"), b"\x05\x00"), tlv(3, b"\x00" + os.urandom(64)))


# ---- replies ----

PART = (rb"--%s\r\nContent-Type: ([^\r\n]+)\r\nContent-Transfer-Encoding: base64\r\n\r\n"
        rb"([A-Za-z0-9+/=\n]+)\r\n")


def read_reply(reply):
    """The two parts: type, text, octets. Held against the octets on the wire, and against Python's parser."""
    check(reply.status == 200, f"{reply.status} {reply.body!r}")
    kind = reply.headers["Content-Type"]
    check(int(reply.headers["Content-Length"]) == len(reply.body), str(reply.headers))
    check(reply.headers["Content-Transfer-Encoding"] is None, "what has parts is not base64 itself")
    boundary = re.fullmatch(r"multipart/mixed; boundary=([A-Za-z0-9]{1,70})", kind)
    check(boundary, kind)
    part = PART % boundary.group(1).encode()
    wire = re.fullmatch(part + part + rb"--%s--\r\n" % boundary.group(1).encode(), reply.body)
    check(wire, repr(reply.body))
    mail = email.message_from_bytes(f"Content-Type: {kind}\r\n\r\n".encode() + reply.body)
    parts = mail.get_payload()
    check(len(parts) == 2 and not mail.defects and not any(p.defects for p in parts), str(mail.defects))
    for at, p in enumerate(parts):
        check(p["Content-Type"] == wire.group(2 * at + 1).decode(), p["Content-Type"])
        check(p.get_payload(decode=True) == base64.b64decode(wire.group(2 * at + 2)), "read in two ways")
    check(parts[1]["Content-Type"] == CERTS, parts[1]["Content-Type"])
    found = pkcs7.load_der_pkcs7_certificates(parts[1].get_payload(decode=True))
    check(len(found) == 1, f"{len(found)} certificates come with a key")
    return parts[0]["Content-Type"], wire.group(2), parts[0].get_payload(decode=True), found[0]


def public(key):
    return key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)


def check_pair(der, certificate):
    """PrivateKeyInfo, in DER, of the certificate's key."""
    key = serialization.load_der_private_key(der, None)
    again = key.private_bytes(serialization.Encoding.DER, serialization.PrivateFormat.PKCS8,
                              serialization.NoEncryption())
    check(der == again, "PKCS#8 in DER has one form")
    check(public(key.public_key()) == public(certificate.public_key()), "the key is another one's")
    return key


class Keys:
    """What was handed out, and what a leak of it would look like."""

    def __init__(self):
        self.needles = {}

    def add(self, what, der):
        key = serialization.load_der_private_key(der, None).private_numbers()
        numbers = (key.d, key.p, key.q) if hasattr(key, "p") else (key.private_value,)
        text = base64.b64encode(der)
        forms = [text[at:at + 48] for at in range(64 * (len(text) // 128), len(text) - 64, 64)] or [text[48:100]]
        for number in numbers:
            size = (number.bit_length() + 7) // 8
            forms += [number.to_bytes(size, "big"), number.to_bytes(size, "little")]
        self.needles[what] = [form for form in forms if len(form) >= 16]

    def check_nowhere(self, where, octets):
        for what, forms in self.needles.items():
            for at, form in enumerate(forms):
                check(form not in octets, f"{what} (form {at}) stands in {where}")


def enroll(est, name, *attributes, lines=False):
    body = request(name, *attributes)
    return est.request("POST", "serverkeygen", base64_lines(body) if lines else base64.b64encode(body),
                       {"Content-Type": CSR})


def challenge(text):
    return attribute(CHALLENGE, tlv(0x0c, text.encode()))


# ---- in the clear ----

def in_the_clear(g, keys, password):
    est = Est(g, user=("dev", password))
    seen = set()
    for label, lines, kind in (("", False, rsa.RSAPrivateKey), ("", True, rsa.RSAPrivateKey),
                               ("ec", False, ec.EllipticCurvePrivateKey)):
        est = Est(g, label, user=("dev", password))
        name = f"plain-{label or 'rsa'}.example.com"
        part, text, der, certificate = read_reply(enroll(est, name, lines=lines))
        check(part == "application/pkcs8", part)
        check((b"\n" in text) == lines and max(map(len, text.split(b"\n"))) <= (64 if lines else 1 << 16), repr(text))
        key = check_pair(der, certificate)
        check(isinstance(key, kind) and der not in seen, "each call makes a key of the type of its endpoint")
        seen.add(der)
        keys.add(f"the key of {name}", der)
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        check(names.get_values_for_type(x509.DNSName) == [name], str(names))
        est.close()
    check(len(seen) == 3, "the same key twice")
    pem = os.path.join(g.folder, "plain.pem")
    with open(pem, "wb") as f:
        f.write(certificate.public_bytes(serialization.Encoding.PEM))
    g.verify(pem)


def not_linked(g, password):
    """A request of somebody without a key is linked to nothing; a secret in it is one."""
    linked = Est(g, "link", user=("dev", password))
    read_reply(enroll(linked, "link.example.com"))
    read_reply(enroll(linked, "link.example.com", challenge("bm90IG9mIHRoaXMgY29ubmVjdGlvbg==")))
    shown = g.run_tool("show", str([r["id"] for r in g.requests() if "link.example.com" in r["names"]][0])).stdout
    check(re.search(r"pop-linked\W+no\b", shown) and "serverkeygen" in shown, shown)
    token = create_token(g, ["est-secret"], "*.example.com")
    _, _, der, certificate = read_reply(enroll(Est(g, "secret"), "secret.example.com", challenge(token)))
    check_pair(der, certificate)
    check(enroll(Est(g, "secret"), "secret.example.com", challenge("wrong-" + token)).status == 401, "a wrong token")
    for path in glob.glob(os.path.join(g.data, "**", "*"), recursive=True):
        if os.path.isfile(path):
            check(token.encode() not in read(path), f"the challengePassword stands in {path}")
    est = Est(g)
    check(enroll(est, "nobody.example.com").status == 401, "nobody gets a key")


# ---- held ----

def poll(est, name, wait_s=60, *attributes):
    end = time.monotonic() + wait_s
    while (reply := enroll(est, name, *attributes)).status == 202:
        check(reply.body == b"" and int(reply.headers["Retry-After"]) > 0, str(reply.headers))
        check(time.monotonic() < end, f"{name} waits for {wait_s} s")
        time.sleep(0.1)
    return reply


def keys_made(g):
    return g.metric('gatehouse_est_server_keys_total{endpoint="est"}')


def approved_while_the_client_polls(g, keys, password):
    est, name, before = Est(g, user=("dev", password)), "hold-on.example.com", keys_made(g)
    check(enroll(est, name).status == 202, "held")
    number = g.wait_pending(name)["id"]
    check(enroll(est, name).status == 202, "still held")
    check([r["id"] for r in g.requests() if name in r["names"]] == [number], "a repeat is the same request")
    check(keys_made(g) == before, "a key was made for a request that is held")
    check("key_hash" not in g.tool_json("show", str(number)), "the key that is shown is not the one that will be")
    shown = g.run_tool("show", str(number)).stdout
    check("made for the client when it collects" in shown and "key hash" not in shown, shown)
    said = g.run_tool("approve", str(number), "--yes", code=5).stdout
    check("approved; its key is made when its client asks next" in said, said)
    part, _, der, certificate = read_reply(poll(est, name))
    check(part == "application/pkcs8", part)
    check(keys_made(g) == before + 1, "one key for one certificate")
    check_pair(der, certificate)
    keys.add("the key that was approved", der)
    check(enroll(est, name).status == 202, "a repeat cannot have the same key: it is a new request")
    check(len([r for r in g.requests() if name in r["names"]]) == 2, "a new request has a row")
    est.close()


def denied(g, password):
    est, name, before = Est(g, user=("dev", password)), "hold-no.example.com", keys_made(g)
    check(enroll(est, name).status == 202, "held")
    g.run_tool("deny", str(g.wait_pending(name)["id"]), "--reason", "ask the network team")
    reply = enroll(est, name)
    check(reply.status == 403 and b"ask the network team" in reply.body, str(reply))
    reply = enroll(est, "deny.example.com")
    check(reply.status == 403 and b"begin with deny" in reply.body, str(reply))
    reply = enroll(est, "printer.example.org")
    check(reply.status == 403 and b"printer.example.org" in reply.body, f"a name that is not proven: {reply}")
    check(keys_made(g) == before, "a key was made for nobody")
    est.close()


# ---- encrypted ----

def device(g, name, key, usage, has_identifier=True):
    """A certificate that a device has from somewhere: (files, what it is identified by)."""
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    now = datetime.datetime.utcnow().replace(microsecond=0)
    builder = (x509.CertificateBuilder().subject_name(subject).issuer_name(subject).public_key(key.public_key())
               .serial_number(x509.random_serial_number()).not_valid_before(now - datetime.timedelta(days=1))
               .not_valid_after(now + datetime.timedelta(days=1)))
    names = ("digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement",
             "key_cert_sign", "crl_sign", "encipher_only", "decipher_only")
    if usage:
        builder = builder.add_extension(x509.KeyUsage(**{n: n in usage for n in names}), critical=True)
    if has_identifier:
        identifier = x509.SubjectKeyIdentifier(os.urandom(20))
        builder = builder.add_extension(identifier, critical=False)
    return save(g.folder, name, key, builder.sign(key, hashes.SHA256())), identifier.digest


def by_identifier(identifier, *kinds):
    return attribute(PUBLIC_KEY, tlv(4, identifier)), capabilities(*(kinds or ALL_AES))


def by_shared_key(identifier, *kinds):
    return attribute(SHARED_KEY, tlv(4, identifier)), capabilities(*(kinds or ALL_AES))


def decrypt(g, keys, reply, *how, structure=()):
    """What openssl makes of it: decrypted, verified, and the one key of the package."""
    part, _, der, certificate = read_reply(reply)
    check(part == "application/pkcs7-mime; smime-type=server-generated-key", part)
    path = os.path.join(g.folder, "enveloped")
    with open(path, "wb") as f:
        f.write(der)
    printed = run("openssl", "cms", "-cmsout", "-print", "-noout", "-inform", "DER", "-in", path).decode()
    for word in structure:
        check(word in printed, f"{word}: {printed}")
    signed = run("openssl", "cms", "-decrypt", "-binary", "-inform", "DER", "-in", path, *how)
    printed = run("openssl", "cms", "-cmsout", "-print", "-noout", "-inform", "DER", input=signed).decode()
    check("2.16.840.1.101.2.1.2.78.5" in printed, printed)
    package = run("openssl", "cms", "-verify", "-binary", "-inform", "DER", "-purpose", "any", "-no-CApath", "-no-CAstore",
                  "-CAfile", g.root, input=signed)
    head = len(package) - len(package[2:]) if package[1] < 128 else 2 + (package[1] & 127)
    check(package[0] == 0x30 and tlv(0x30, package[head:]) == package, "an AsymmetricKeyPackage is a list")
    check_pair(package[head:], certificate)
    keys.add(f"a key that was encrypted with {how[-1]}", package[head:])


def encrypted(g, keys, password):
    rsa_key = rsa.generate_private_key(65537, 2048)
    rsa_files, rsa_id = device(g, "rsa", rsa_key, ("key_encipherment",))
    est = Est(g, user=("dev", password), certificate=rsa_files)
    how = ("-recip", rsa_files[0], "-inkey", rsa_files[1])
    decrypt(g, keys, enroll(est, "rsa.example.com", *by_identifier(rsa_id)), *how,
            structure=("d.ktri", "rsaEncryption", "aes-256-cbc", "subjectKeyIdentifier", "id-smime-ct-contentInfo"))
    decrypt(g, keys, enroll(est, "rsa.example.com", *by_identifier(rsa_id, OAEP, AES_128_CBC), lines=True), *how,
            structure=("rsaesOaep", "aes-128-cbc"))
    est.close()
    files, identifier = device(g, "ec", new_key(), ("key_agreement",), has_identifier=False)
    est = Est(g, user=("dev", password), certificate=files)
    how = ("-recip", files[0], "-inkey", files[1])
    decrypt(g, keys, enroll(est, "ec.example.com", *by_identifier(identifier)), *how,
            structure=("d.kari", "dhSinglePass-stdDH-sha256kdf-scheme", "aes-256-cbc", "issuerAndSerialNumber"))
    decrypt(g, keys, enroll(est, "ec.example.com", *by_identifier(identifier, AES_128_WRAP)), *how,
            structure=("aes-128-cbc",))
    est.close()
    est = Est(g, user=("dev", password))
    for name, key in SHARED.items():
        octets = bytes.fromhex(name[2:]) if name.startswith("0x") else name.encode()
        wrap = "id-aes256-wrap" if len(key) == 32 else "id-aes128-wrap"
        decrypt(g, keys, enroll(est, "shared.example.com", *by_shared_key(octets)), "-secretkey", key.hex(),
                "-secretkeyid", octets.hex(), structure=("d.kekri", wrap, "version: 4"))
    est.close()
    refused_before_anything(g, password, rsa_files, rsa_id)


def refused_before_anything(g, password, rsa_files, rsa_id):
    unfit, unfit_id = device(g, "unfit", new_key(), ("digital_signature",))
    some = (rsa_files,)
    wrong = attribute(PUBLIC_KEY, tlv(4, b"x" * 20))
    rows = len(g.requests())
    for (files,), attributes, why in (
            (some, (wrong, capabilities(*ALL_AES)), "somebody else's certificate"),
            ((None,), by_identifier(rsa_id), "no certificate on this connection"),
            ((unfit,), by_identifier(unfit_id), "a key that only signs"),
            (some, by_identifier(rsa_id)[:1], "no SMIMECapabilities"),
            (some, by_identifier(rsa_id, DES3_CBC), "no AES"),
            (some, (*by_identifier(rsa_id), by_shared_key(b"plant-7")[0]), "two keys to encrypt with"),
            ((None,), by_shared_key(b"plant-8"), "a shared key that nobody has"),
            ((None,), by_shared_key(b"plant-7", AES_128_WRAP), "a wrap that is not of the key's size"),
            ((None,), (attribute(SHARED_KEY, tlv(4)), capabilities(*ALL_AES)), "an empty identifier"),
            ((None,), (attribute(SHARED_KEY, tlv(5)), capabilities(*ALL_AES)), "an identifier that is none"),
            ((None,), (by_shared_key(b"plant-7")[0], attribute(CAPABILITIES, tlv(0x30, b"\x06\x01*"))), "malformed")):
        est = Est(g, user=("dev", password), certificate=files)
        reply = enroll(est, "refused.example.com", *attributes)
        check(reply.status == 400 and reply.headers["Content-Type"].startswith("text/plain") and reply.body,
              f"{why}: {reply.status} {reply.body}")
        est.close()
    check(len(g.requests()) == rows, "something was submitted")
    reply = enroll(Est(g, "none", user=("dev", password)), "none.example.com")
    check(reply.status == 404, f"an endpoint that makes none: {reply}")
    reply = enroll(Est(g, "narrow", user=("dev", password)), "narrow.example.com")
    check(reply.status == 500 and b"rsa-2048" in reply.body, f"a profile that takes no such key: {reply}")
    check(len(g.requests()) == rows, "something was submitted")


def encrypted_for_bouncy_castle(g, keys, password):
    """Its requests, and its reading of what comes: key transport, key agreement, a shared key."""
    rsa_files, rsa_id = device(g, "bc-rsa", rsa.generate_private_key(65537, 2048), ("key_encipherment",))
    ec_files, ec_id = device(g, "bc-ec", new_key(), ("key_agreement",), has_identifier=False)
    path = os.path.join(g.folder, "sealed")
    with BouncyCastle(g) as bc:
        for n, (files, asks, opens) in enumerate((
                (rsa_files, {"public": rsa_id.hex()}, {"pem": rsa_files[0], "pkcs8": rsa_files[1]}),
                (ec_files, {"public": ec_id.hex()}, {"pem": ec_files[0], "pkcs8": ec_files[1]}),
                (None, {"secret": b"plant-7".hex()}, {"secret": b"plant-7".hex(), "shared": SHARED["plant-7"].hex()}))):
            answer = bc.say("request", cn=f"castle{n}.example.com", **asks)
            check(answer[0] == "ok", str(answer))
            est = Est(g, user=("dev", password), certificate=files)
            reply = est.request("POST", "serverkeygen", answer[1].encode(), {"Content-Type": CSR})
            part, _, der, certificate = read_reply(reply)
            check(part == "application/pkcs7-mime; smime-type=server-generated-key", part)
            with open(path, "wb") as f:
                f.write(der)
            answer = bc.say("open", file=path, **opens)
            check(answer[0] == "ok", f"{asks}: {answer}")
            key = serialization.load_der_private_key(base64.b64decode(answer[1]), None)
            check(public(key.public_key()) == public(certificate.public_key()), "the key is another one's")
            keys.add(f"what Bouncy Castle got with {asks}", base64.b64decode(answer[1]))
            est.close()
        answer = bc.say("open", file=path, secret=b"plant-7".hex(), shared=os.urandom(32).hex())
        check(answer[0] == "failed", f"with another key: {answer}")


# ---- nowhere ----

def left_idle(g, keys, password):
    """A client that got its key and keeps the connection."""
    est = Est(g, user=("dev", password))
    _, _, der, _ = read_reply(enroll(est, "idle.example.com"))
    keys.add("the key of an idle connection", der)
    return est


def nowhere(g, keys):
    """S29."""
    for path in [g.log_path, g.trace, *glob.glob(os.path.join(g.data, "**", "*"), recursive=True)]:
        if os.path.isfile(path):
            keys.check_nowhere(path, read(path))
    printed = g.run_tool("list", output="json").stdout
    for r in g.requests():
        printed += g.run_tool("show", str(r["id"]), "--timeline", output="json").stdout
    keys.check_nowhere("what the tool prints", printed.encode())
    if os.geteuid() == 0:
        for role, pid in g.processes().items():
            for where, octets in memory(pid):
                keys.check_nowhere(f"the memory of {role} ({where})", octets)


def the_search_finds_what_is_there():
    keys = Keys()
    key = rsa.generate_private_key(65537, 2048)
    der = key.private_bytes(serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    keys.add("a key", der)
    for octets in (b"x" + der, b'"' + base64.b64encode(der), base64_lines(der),
                   key.private_numbers().p.to_bytes(128, "little")):
        try:
            keys.check_nowhere("octets", octets)
        except AssertionError:
            continue
        raise AssertionError("a key was not found where it is")


def set_up(g):
    files = {}
    for name, key in SHARED.items():
        files[name] = os.path.join(g.folder, f"shared-{name}")
        with open(os.open(files[name], os.O_CREAT | os.O_WRONLY, 0o600), "w", encoding="ascii") as f:
            f.write(key.hex() + "\n")
        hand_to("gateway", files[name])
    shared = "decrypt-keys: {" + ", ".join(f'"{name}": {path}' for name, path in files.items()) + "}"
    add_est(g, {"est": ("", shared), "est-ec": ("ec", "keygen: ec-p256"), "est-none": ("none", "keygen: none"),
                "est-link": ("link", "pop: require"), "est-narrow": ("narrow", "", "only-ec"),
                "est-secret": ("secret", "challenge-password: secret")}, profiles=PROFILES)


def keys_that_the_server_makes():
    with gatehouse(set_up=set_up, core="  administrators: [root]\n") as g:
        keys = Keys()
        password = create_user(g, "dev", ["est", "est-ec", "est-none", "est-link", "est-narrow"], "*.example.com")
        in_the_clear(g, keys, password)
        not_linked(g, password)
        approved_while_the_client_polls(g, keys, password)
        denied(g, password)
        encrypted(g, keys, password)
        encrypted_for_bouncy_castle(g, keys, password)
        idle = left_idle(g, keys, password)
        nowhere(g, keys)
        idle.close()


if __name__ == "__main__":
    main([the_search_finds_what_is_there, keys_that_the_server_makes])
