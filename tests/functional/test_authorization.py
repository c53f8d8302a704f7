#!/usr/bin/python3
"""The matrix of who asks, under which profile, for what: the verdict depends on profile and request alone, whatever protocol
and credential they come by. Every cell has its verdict in a table; one without a verdict fails, and so does a verdict without a
cell, a protocol of the daemon that is not in the matrix, and an answer of another kind than the verdict.

What is signed for the same request under the same profile is the same, but for serial, moment and signature."""
import collections
import dataclasses
import itertools
import json
import os
import time
import types

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import AttributeOID, ExtendedKeyUsageOID, NameOID

from acme_client import Client, Problem, Responder
from est_client import Est, add_est, create_token, create_user, run, save
from gatehouse import DAEMON, DOMAIN, check, gatehouse, main
from openssl_ca import Authority
from scep_client import add_scep, create_challenge
from scep_raw import FAILURE, PENDING, Scep, Sender, bag as certificates

PROFILES = {"server": "lifetime: 30d", "strict": "keys: [ec-p384]\n    request-digest: sha384",
            "short": "lifetime: 1h\n    ext-key-usage: [clientAuth]"}
RULES = """
        - name: first
          when: {attribute: {set-up: "yes"}}
          then: issue
        - name: deny
          when: {any-name: ["deny*"]}
          then: deny
          reason: names that begin with deny are denied
        - name: hold
          when: {any-name: ["hold*"]}
          then: pend
          reason: a person looks at this name
        - name: all-others
          then: issue
"""
SCOPE = (f"*.{DOMAIN}", f"CN=*.{DOMAIN}")


def name(word):
    return f"{word}.{DOMAIN}"


# ---- what is asked for ----

@dataclasses.dataclass
class Ask:
    """A request. `proven`: the names of an ACME order for it; by default its own."""
    names: list
    cn: str = None
    proven: list = None
    mail: str = None
    key: str = None        # type; by default one that the profile takes
    digest: type = None
    extension: object = None
    breaks_signature: bool = False
    uses_known_key: bool = False
    officer: str = None    # what a person does about what is held

    def order_names(self):
        return self.proven if self.proven is not None else self.names or [self.cn]


REQUESTS = {
    "a name that is proven": Ask([name("one")], cn=name("one")),
    "two names": Ask([name("one"), name("two")]),
    "a name in the common name alone": Ask([], cn=name("one")),
    "no name": Ask([], proven=[name("one")]),
    "a name that is not proven": Ask(["one.example.org"], proven=[name("one")]),
    "one of two names is not proven": Ask([name("one"), "two.example.org"], proven=[name("one")]),
    "a common name that is not proven": Ask([name("one")], cn="one.example.org"),
    "an address of mail beside a name": Ask([name("one")], mail="me@one.example.org"),
    "a name that policy denies": Ask([name("deny")], cn=name("deny")),
    "a name that policy holds": Ask([name("hold-yes")], officer="approve"),
    "a name that an officer denies": Ask([name("hold-no")], officer="deny"),
    "P-256": Ask([name("key")], key="P-256", digest=hashes.SHA384),
    "P-521": Ask([name("key")], key="P-521", digest=hashes.SHA512),
    "RSA with 2048 bits": Ask([name("key")], key="RSA-2048", digest=hashes.SHA384),
    "RSA with 1024 bits": Ask([name("key")], key="RSA-1024", digest=hashes.SHA384),
    "a signature with SHA-256": Ask([name("digest")], digest=hashes.SHA256),
    "a signature that is wrong": Ask([name("one")], breaks_signature=True),
    "a key that others know": Ask([name("one")], uses_known_key=True),
    "to be an authority": Ask([name("one")], extension=x509.BasicConstraints(True, None)),
    "to sign code": Ask([name("one")], extension=x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CODE_SIGNING])),
    "to sign answers about revocation": Ask([name("one")], extension=x509.ExtendedKeyUsage([ExtendedKeyUsageOID.OCSP_SIGNING])),
    "to sign certificates": Ask([name("one")], extension=x509.KeyUsage(False, False, False, False, False, True, True, False,
                                                                       False)),
    "a certificate policy": Ask([name("one")], extension=x509.CertificatePolicies([
        x509.PolicyInformation(x509.ObjectIdentifier("2.5.29.32.0"), None)])),
    "ten names": Ask([name(f"of-ten-{n}") for n in range(10)]),
}
# By profile, in the order server, strict, short: state, status, and the rule where one decided.
VERDICTS = {
    "a name that is proven": ("issued",) * 3,
    "two names": ("issued",) * 3,
    "a name in the common name alone": ("issued",) * 3,
    "no name": ("error bad-name",) * 3,
    "a name that is not proven": ("error bad-name",) * 3,
    "one of two names is not proven": ("error bad-name",) * 3,
    "a common name that is not proven": ("error bad-name",) * 3,
    "an address of mail beside a name": ("error bad-name",) * 3,
    "a name that policy denies": ("denied policy-denied by deny",) * 3,
    "a name that policy holds": ("issued",) * 3,
    "a name that an officer denies": ("denied admin-denied by hold",) * 3,
    "P-256": ("issued", "error bad-key", "issued"),
    "P-521": ("error bad-key",) * 3,
    "RSA with 2048 bits": ("issued", "error bad-key", "issued"),
    "RSA with 1024 bits": ("error bad-key",) * 3,
    "a signature with SHA-256": ("issued", "error bad-signature", "issued"),
    "a signature that is wrong": ("error bad-signature",) * 3,
    "a key that others know": ("error bad-key",) * 3,
    "to be an authority": ("issued",) * 3,
    "to sign code": ("issued",) * 3,
    "to sign answers about revocation": ("issued",) * 3,
    "to sign certificates": ("issued",) * 3,
    "a certificate policy": ("issued",) * 3,
    "ten names": ("issued",) * 3,
}


# What a protocol refuses by itself: a SCEP client is told the same whatever is wrong inside its envelope.
BEFORE_THE_CORE = {("a signature that is wrong", "scep"): "refused the message cannot be decrypted, or holds nothing of its type "
                                                          "that its sender signed, without a row"}


def make_key(kind):
    return {"P-256": lambda: ec.generate_private_key(ec.SECP256R1()), "P-384": lambda: ec.generate_private_key(ec.SECP384R1()),
            "P-521": lambda: ec.generate_private_key(ec.SECP521R1()),
            "RSA-2048": lambda: rsa.generate_private_key(65537, 2048),
            "RSA-1024": lambda: rsa.generate_private_key(65537, 1024)}[kind]()


def usual_key(profile):
    return "P-384" if profile == "strict" else "P-256"


@dataclasses.dataclass
class Request:
    """The same octets for all who ask; SCEP puts its challenge among them."""
    key: object
    ask: Ask

    def __post_init__(self):
        self.der = self.make()

    def make(self, challenge=None):
        der = self.unbroken(challenge)
        return der[:-1] + bytes([der[-1] ^ 1]) if self.ask.breaks_signature else der

    def unbroken(self, challenge):
        builder = builder_of(self.ask)
        if challenge:
            builder = builder.add_attribute(AttributeOID.CHALLENGE_PASSWORD, challenge.encode())
        return builder.sign(self.key, (self.ask.digest or hashes.SHA384)()).public_bytes(serialization.Encoding.DER)


def make_request(profile, ask, known_key):
    return Request(known_key if ask.uses_known_key else make_key(ask.key or usual_key(profile)), ask)


def builder_of(ask):
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, ask.cn)] if ask.cn else [])
    builder = x509.CertificateSigningRequestBuilder().subject_name(subject)
    names = [x509.DNSName(n) for n in ask.names] + ([x509.RFC822Name(ask.mail)] if ask.mail else [])
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    if ask.extension:
        builder = builder.add_extension(ask.extension, critical=True)
    return builder


# ---- who asks ----

@dataclasses.dataclass
class Answer:
    """`kind`: issued, held, or refused with the text that the client reads."""
    kind: str
    text: str = ""
    certificate: object = None


class EstRequester:
    protocol = "est"

    def __init__(self, g, headers=None, **who):
        self.g, self.headers, self.who = g, headers, who

    def ask(self, profile, request):
        who = {k: v[profile] if isinstance(v, dict) else v for k, v in self.who.items()}
        est = Est(self.g, "" if profile == "server" else profile, **who)
        reply = est.enroll(request.der, headers=self.headers)
        est.close()
        if reply.status == 200:
            return Answer("issued", certificate=reply.certificate())
        return Answer("held") if reply.status == 202 else Answer("refused", reply.body.decode())

    collect = ask


class AcmeRequester:
    """An account, which proves each name with http-01."""
    protocol = "acme"

    def __init__(self, g, responder):
        self.g, self.orders = g, {}
        self.clients = {}
        for profile in PROFILES:
            place = types.SimpleNamespace(root=g.root, port=g.port,
                                          directory=f"https://localhost:{g.port}/acme-{profile}/directory")
            self.clients[profile] = Client(place, responder).start()

    def ask(self, profile, request):
        client = self.clients[profile]
        location, order = client.order(*request.ask.order_names())
        client.prove(order)
        self.orders[profile, id(request.ask)] = location
        try:
            client.finalize(order, request.der)
        except Problem as problem:
            return Answer("refused", problem.document["detail"])
        return self.collect(profile, request)

    def collect(self, profile, request):
        ask = request.ask
        client, location = self.clients[profile], self.orders[profile, id(ask)]
        end = time.monotonic() + 30
        while (order := json.loads(client.post(location)[1]))["status"] == "processing":
            if any(r["endpoint"] == f"acme-{profile}" and set(r["names"]) == set(ask.names) for r in self.g.pending()):
                return Answer("held")
            check(time.monotonic() < end, f"the order is processed for 30 s: {order}")
            time.sleep(0.05)
        if order["status"] != "valid":
            return Answer("refused", order["error"]["detail"])
        chain = client.post(order["certificate"])[1]
        return Answer("issued", certificate=x509.load_pem_x509_certificate(chain))


class ScepRequester:
    """Who has a challenge that is good for many."""
    protocol = "scep"

    def __init__(self, g, challenge):
        self.g, self.challenge = g, challenge
        self.endpoints = {profile: Scep(g, f"scep-{profile}") for profile in PROFILES}
        self.sent = {}

    def ask(self, profile, request):
        self.sent[profile, id(request)] = request.make(self.challenge), os.urandom(16).hex().encode()
        return self.collect(profile, request)

    def collect(self, profile, request):
        sender, (der, transaction) = Sender(request.key), self.sent[profile, id(request)]
        reply = self.endpoints[profile].send(sender, der, transaction=transaction)
        if reply.status == FAILURE:
            return Answer("refused", reply.fail_text or f"failInfo {reply.fail}")
        if reply.status == PENDING:
            return Answer("held")
        certificate, key = save(self.g.folder, "scep-sender", request.key, sender.certificate)
        inside = run("openssl", "cms", "-decrypt", "-inform", "DER", "-recip", certificate, "-inkey", key, input=reply.content)
        return Answer("issued", certificate=certificates(inside)[0])


def own_certificates(g):
    """By profile: one that has every name that is asked for, issued under that profile."""
    endpoints = [f"set-up-{profile}" for profile in PROFILES]
    user = "owner", create_user(g, "owner", endpoints, *SCOPE)
    names = sorted({n for ask in REQUESTS.values() for n in ask.names + [ask.cn] if n and n.endswith(DOMAIN)})
    files = {}
    for profile in PROFILES:
        key = make_key(usual_key(profile))
        builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
        builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(n) for n in names]), critical=False)
        der = builder.sign(key, hashes.SHA384()).public_bytes(serialization.Encoding.DER)
        certificate = Est(g, f"set-up-{profile}", user=user).enroll(der).certificate()
        files[profile] = save(g.folder, f"own-{profile}", key, certificate)
    return files


def all_requesters(g, responder):
    endpoints = [f"est-{profile}" for profile in PROFILES]
    words = [word for e in endpoints for word in ("--endpoint", e)] + [word for s in SCOPE for word in ("--scope", s)]
    token = create_token(g, endpoints, *SCOPE)
    maker, office = Authority(g, "maker"), Authority(g, "office")
    g.run_tool("vendor", "add", "maker", maker.pem, *words)
    registrar = office.client("registrar", "/CN=registrar", "ra")
    g.run_tool("ra", "add", "registrar", registrar[0], *words)
    return {
        "acme account": AcmeRequester(g, responder),
        "est user": EstRequester(g, user=("dev", create_user(g, "dev", endpoints, *SCOPE))),
        "est token": EstRequester(g, headers={"Authorization": f"Bearer {token}"}),
        "est own certificate": EstRequester(g, certificate=own_certificates(g)),
        "est device": EstRequester(g, certificate=maker.client("device", "/CN=device")),
        "est registration authority": EstRequester(g, certificate=registrar),
        "scep challenge": ScepRequester(g, create_challenge(g, "scep-server", *SCOPE, more=("--endpoint", "scep-strict", "--endpoint", "scep-short", "--uses", "10000"))),
    }


def protocols_of_the_daemon():
    """Those that submit requests: their endpoints need a profile."""
    rows = run(DAEMON, "--list-options").decode().splitlines()
    return {row.split("protocol=")[1].split("]")[0] for row in rows
            if row.startswith("endpoints[protocol=") and "].profile: string, needed" in row}


# ---- the matrix ----

class Matrix:
    def __init__(self, g, requesters, known_key):
        self.g, self.requesters = g, requesters
        self.last = self.newest()
        self.signed, self.wrong = {}, []
        self.verdicts, self.trace_at = collections.Counter(), 0
        self.made = {(profile, what): make_request(profile, ask, known_key)
                     for profile in PROFILES for what, ask in REQUESTS.items()}

    def newest(self):
        return max((r["id"] for r in self.g.tool_json("list", "--newest", "--limit", "1")["requests"]), default=0)

    def rows(self):
        """Those that the cells of a turn have brought, in their order."""
        return self.g.tool_json("list", "--after", str(self.last))["requests"]

    def count_verdicts(self):
        """How often policy was asked about each request."""
        with open(self.g.trace, "rb") as f:
            f.seek(self.trace_at)
            whole = f.read().rpartition(b"\n")[0]
        self.trace_at += len(whole)
        events = [json.loads(line) for line in whole.splitlines() if line]
        self.verdicts.update(event["id"] for event in events if event["event"] == "verify")

    def decide(self, number, officer):
        if officer == "approve":
            self.g.run_tool("approve", str(number), "--yes")
        else:
            self.g.run_tool("deny", str(number), "--reason", "not this one")

    def turn(self, what, profile):
        """All who ask, one after the other: {who: (answer, row)}. What a protocol refuses by itself has no row."""
        request = self.made[profile, what]
        answers = {who: requester.ask(profile, request) for who, requester in self.requesters.items()}
        those = [who for who, r in self.requesters.items() if (what, r.protocol) not in BEFORE_THE_CORE]
        rows = self.rows()
        check(len(rows) == len(those), f"{len(rows)} rows, and {len(those)} asked")
        self.count_verdicts()
        for who, row in zip(those, rows):
            self.check_row(who, profile, answers[who], row, request.ask)
        if request.ask.officer:
            for who, row in zip(those, rows):
                self.decide(row["id"], request.ask.officer)
                answers[who] = self.requesters[who].collect(profile, request)
            rows = self.rows()
        self.last = rows[-1]["id"] if rows else self.last
        return {who: (answer, dict(zip(those, rows)).get(who)) for who, answer in answers.items()}

    def check_row(self, who, profile, answer, row, ask):
        check(row["endpoint"].endswith(profile) and row["via"] == self.requesters[who].protocol, str(row))
        asked = self.verdicts[row["id"]]
        check(asked == (row["state"] != "error"), f"policy was asked {asked} times: {row}")
        check((answer.kind == "held") == bool(ask.officer) == (row["state"] == "pending"), f"{answer} {row}")

    def cell(self, who, profile, what, answer, row):
        """What came of it, in the words of VERDICTS."""
        if not row:
            return f"{answer.kind} {answer.text}, without a row"
        check((answer.kind == "issued") == (row["state"] == "issued"), f"{answer} {row}")
        check(answer.kind != "refused" or answer.text, f"refused without a word: {row}")
        check(row["state"] != "denied" or row["reason"] in answer.text, f"without the reason: {answer} {row}")
        if answer.certificate:
            self.signed.setdefault((profile, what), {}).setdefault(self.content(answer.certificate), []).append(who)
        rule = f" by {row['rule']}" if row["state"] == "denied" else ""
        return f"{row['state']} {row['status']}".strip() + rule

    def content(self, certificate):
        """Without serial, moment and signature."""
        lasts = certificate.not_valid_after - certificate.not_valid_before
        extensions = tuple((e.oid.dotted_string, e.critical, e.value.public_bytes()) for e in certificate.extensions)
        key = certificate.public_key().public_bytes(serialization.Encoding.DER,
                                                    serialization.PublicFormat.SubjectPublicKeyInfo)
        return (certificate.issuer.public_bytes(), certificate.subject.public_bytes(), lasts, key, extensions)

    def compare(self, what, profile, wanted):
        try:
            turn = self.turn(what, profile)
        except AssertionError as e:
            self.wrong.append(f"{what}, {profile}: {e}")
            self.last = self.newest()
            return
        for who, (answer, row) in turn.items():
            try:
                got = self.cell(who, profile, what, answer, row)
            except AssertionError as e:
                got = f"{e}"
            said = BEFORE_THE_CORE.get((what, self.requesters[who].protocol), wanted)
            if got != said:
                self.wrong.append(f"{what}, {profile}, {who}: {got}; the table says: {said}")

    def run(self):
        for what, (at, profile) in itertools.product(REQUESTS, enumerate(PROFILES)):
            verdicts = VERDICTS.get(what, ())
            if len(verdicts) == len(PROFILES):
                self.compare(what, profile, verdicts[at])
            else:
                self.wrong.append(f"{what}, {profile}: there is no verdict in the table")
        self.wrong += [f"{what}: a verdict about nothing" for what in VERDICTS.keys() - REQUESTS.keys()]
        for cell, contents in self.signed.items():
            if len(contents) != 1:
                self.wrong.append(f"{cell}: what is signed differs between {list(contents.values())}")
        check(not self.wrong, f"{len(self.wrong)} cells:\n  " + "\n  ".join(self.wrong))


def set_up(g):
    profiles = "".join(f"  - name: {p}\n    {more}\n" for p, more in PROFILES.items() if p != "server")
    endpoints = {f"est-{p}": ("" if p == "server" else p, "", p) for p in PROFILES}
    endpoints |= {f"set-up-{p}": (f"set-up-{p}", "attributes: {set-up: 'yes'}", p) for p in PROFILES}
    add_est(g, endpoints, profiles=profiles)
    add_scep(g, {f"scep-{p}": f"profile: {p}" for p in PROFILES})
    with open(g.config, encoding="utf-8") as f:
        text = f.read()
    acme = "".join(f"  - name: acme-{p}\n    protocol: acme\n    path: /acme-{p}\n    ca: Test CA\n    profile: {p}\n"
                   for p in PROFILES)
    text = text.replace("endpoints:\n", "endpoints:\n" + acme, 1)
    text = text.replace("endpoints: [acme]", f"endpoints: [{', '.join('acme-' + p for p in PROFILES)}]", 1)
    with open(g.config, "w", encoding="utf-8") as f:
        f.write(text)


def a_key_that_others_know(g):
    """Revoked as compromised."""
    key, user = make_key("P-384"), ("leak", create_user(g, "leak", ["est-strict"], *SCOPE))
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
    builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(name("leak"))]), critical=False)
    der = builder.sign(key, hashes.SHA384()).public_bytes(serialization.Encoding.DER)
    check(Est(g, "strict", user=user).enroll(der).certificate(), "a key that is known to nobody yet")
    number = [r["id"] for r in g.requests() if name("leak") in r["names"]][0]
    g.run_tool("cert", "revoke", str(number), "--reason", "keyCompromise")
    return key


def the_same_verdict_for_everybody():
    with gatehouse(set_up=set_up, rules=RULES, core="  administrators: [root]\n") as g:
        responder = Responder(g.http01_port)
        requesters = all_requesters(g, responder)
        asked_by, all_protocols = {r.protocol for r in requesters.values()}, protocols_of_the_daemon()
        check(asked_by == all_protocols,
              f"the daemon speaks {all_protocols}, and by {asked_by} somebody asks in this matrix: add who does")
        Matrix(g, requesters, a_key_that_others_know(g)).run()
        responder.close()


if __name__ == "__main__":
    main([the_same_verdict_for_everybody])
