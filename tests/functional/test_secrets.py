#!/usr/bin/python3
"""Secrets that are known to the test go through the real processes, and are looked for afterwards: in the log, the trace,
the audit trail, what the tool prints, the database and its write-ahead log, arguments and environment, and in the memory
of core, gateway and validator, which is what a core file would hold. They must be nowhere.

A secret is looked for as it is and in the forms that a leak would have: base64, hexadecimal, and the Basic header.
"""
import base64
import glob
import hashlib
import hmac
import json
import os
import struct
import subprocess
import time

from cryptography.hazmat.primitives.asymmetric import padding

from gatehouse import TOOL, check, gatehouse, main
from scep_client import add_scep, create_challenge
from scep_raw import BAD_MESSAGE_CHECK, FAILURE, SUCCESS, Scep, Sender, encrypt, make_csr, pki_message
from test_intermediary import Place, ex

PASSWORD = "c4nary-pa55word-of-alice"
PASSWORD_2 = "c4nary-pa55word-of-alice-2"
EAB, CHALLENGE, USER, TOKEN = 3, 4, 5, 6  # Evidence of core.proto
CHECK_CREDENTIAL = 14           # Message.what
NAME = "a.print.example"
WITHIN = ("--endpoint", "acme", "--scope", "*.print.example")


def forms(secret):
    """What a leak could look like; text of 12 octets or more, so that nothing is found by chance."""
    octets = secret.encode()
    if len(secret) == 43:  # a key of 32 octets in base64url: as octets too
        key = base64.urlsafe_b64decode(secret + "=")
        return {octets, key, key.hex().encode()}
    return {octets, octets.hex().encode(), base64.b64encode(octets).rstrip(b"="),
            base64.urlsafe_b64encode(octets).rstrip(b"="),
            base64.b64encode(b"alice:" + octets).rstrip(b"=")[:-2]}


def is_in(secret, octets):
    return any(form in octets for form in forms(secret))


def claim(kind, secret, name=""):
    return ex.message((1, kind), (2, name), (3, secret))


def redeem(core, p, kind, protocol, requester, secret, name=""):
    """Submit as the adapter of that protocol would. (call, disposition, reason)"""
    _, der = p.request(NAME)
    body = ex.message((1, "Test CA"), (2, protocol), (3, "acme"), (4, "server"), (5, requester), (6, kind), (9, der),
                      (12, hashlib.sha256(os.urandom(16)).digest()), (15, claim(kind, secret, name)))
    outcome = core.call(ex.SUBMIT, body)
    while ex.first(outcome, 1, 0) == ex.BUSY:
        time.sleep(ex.first(outcome, 6, 1))
        outcome = core.call(ex.SUBMIT, body)
    return ex.first(outcome, 1, 0), ex.first(outcome, 3, 0), ex.first(outcome, 5, "")


def ask(core, kind, secret, name=""):
    reply = core.call(CHECK_CREDENTIAL, ex.message((1, "Test CA"), (2, "acme"), (3, claim(kind, secret, name))))
    return ex.first(reply, 1, 0), ex.first(reply, 2, "")


def bind(core, eab, account):
    """As an ACME adapter does at newAccount; the outcome of the call."""
    octets = base64.urlsafe_b64decode(eab["secret"] + "=" * (-len(eab["secret"]) % 4))
    mac = hmac.digest(octets, b"protected.payload", "sha256")
    shown = ex.message((1, EAB), (2, eab["name"]), (3, mac), (4, b"protected.payload"), (5, account))
    return ex.first(core.call(CHECK_CREDENTIAL, ex.message((1, "Test CA"), (2, "acme"), (3, shown))), 1, 0)


def create(p, *words, code=0):
    """Make one with the tool; its JSON."""
    done = p.g.run_tool(*words, output="json", code=code)
    return json.loads(done.stdout) if code == 0 else done


class Canaries:
    """Everything secret of one run, and what the tool printed after it was made."""

    def __init__(self, p):
        self.p = p
        self.printed = b""
        given = os.path.join(p.g.folder, "given")
        with open(given, "w", encoding="ascii") as f:
            f.write(PASSWORD + "\n")
        user = create(p, "user", "create", "alice", *WITHIN, "--password-file", given)
        check("secret" not in user, f"a password that was given is shown: {user}")
        os.unlink(given)
        self.challenge = create(p, "challenge", "create", *WITHIN)
        self.token = create(p, "token", "create", *WITHIN, "--note", "for a test")
        self.made = create(p, "user", "create", "bob", *WITHIN, "--generate")
        self.eab = create(p, "eab", "create", "--endpoint", "acme")
        self.secrets = {"HMAC key": self.eab["secret"], "password": PASSWORD, "challenge": self.challenge["secret"], "token": self.token["secret"],
                        "made password": self.made["secret"]}

    def use(self):
        core = ex.Core(self.p.socket)
        wrong = "wrong-" + self.challenge["secret"][6:]
        check(redeem(core, self.p, CHALLENGE, "scep", "scep:1", wrong)[0] == ex.REFUSED, "a wrong challenge is good")
        self.secrets["wrong challenge"] = wrong
        done = redeem(core, self.p, CHALLENGE, "scep", "scep:1", self.challenge["secret"])
        check(done[:2] == (ex.OK, ex.ISSUED), f"challenge: {done}")
        check(redeem(core, self.p, CHALLENGE, "scep", "scep:2", self.challenge["secret"])[0] == ex.REFUSED, "used twice")
        check(ask(core, USER, PASSWORD, "alice") == (ex.OK, "est:user:alice"), "alice is not known")
        check(ask(core, USER, PASSWORD + "x", "alice")[0] == ex.REFUSED, "a wrong password is good")
        # A password in the field of the name, as people do.
        self.secrets["password for a name"] = "c4nary-in-the-wrong-field"
        check(ask(core, USER, "whatever", "c4nary-in-the-wrong-field")[0] == ex.REFUSED, "nobody is somebody")
        done = redeem(core, self.p, USER, "est", "est:user:alice", PASSWORD, "alice")
        check(done[:2] == (ex.OK, ex.ISSUED), f"user: {done}")
        requester = f"est:token:{self.token['id']}"
        check(ask(core, TOKEN, self.token["secret"]) == (ex.OK, requester), "the token is not known")
        done = redeem(core, self.p, TOKEN, "est", requester, self.token["secret"])
        check(done[:2] == (ex.OK, ex.ISSUED), f"token: {done}")
        check(ask(core, USER, self.made["secret"], "bob")[0] == ex.OK, "bob is not known")
        check(bind(core, self.eab, "thumbprint-1") == ex.OK, "the key binds no account")
        check(bind(core, self.eab, "thumbprint-2") == ex.REFUSED, "the key binds two accounts")
        given = subprocess.run([TOOL, "--socket", self.p.g.socket, "user", "passwd", "alice", "--password-file", "-"],
                               input=PASSWORD_2 + "\n", capture_output=True, text=True, timeout=60)
        check(given.returncode == 0, given.stderr)
        self.secrets["second password"] = PASSWORD_2
        check(ask(core, USER, PASSWORD, "alice")[0] == ex.REFUSED, "the old password is good")
        check(ask(core, USER, PASSWORD_2, "alice")[0] == ex.OK, "the new password is not good")
        core.stream.close()

    def show_to_the_gateway(self):
        """Headers and bodies as clients send them, over HTTP/1.1 and HTTP/2."""
        g = self.p.g
        self.secrets["header"] = "c4nary-in-a-header-of-http"
        self.secrets["body"] = "c4nary-in-a-body-of-http"
        basic = base64.b64encode(b"alice:" + self.secrets["header"].encode()).decode()
        config = (f'header = "Authorization: Basic {basic}"\ndata = "{self.secrets["body"]}"\n'
                  f'url = "https://localhost:{g.port}/acme/new-account"\n')
        for version in ("--http1.1", "--http2"):
            done = subprocess.run(["curl", "-sS", version, "--cacert", g.root, "-o", os.devnull, "-w", "%{http_code}",
                                   "--config", "-"], input=config, capture_output=True, text=True, timeout=30)
            check(done.returncode == 0 and done.stdout[:1] == "4", f"curl {version}: {done.stdout}{done.stderr}")

    def look_with_the_tool(self):
        g = self.p.g
        for words in (("challenge", "list"), ("user", "list"), ("token", "list"), ("list",), ("status",),
                      ("cert", "list")):
            for output in ("table", "json"):
                self.printed += g.run_tool(*words, output=output).stdout.encode()
        for request in g.requests():
            self.printed += g.run_tool("show", str(request["id"]), "--timeline", output="json").stdout.encode()
        for words in (("challenge", "revoke", str(self.challenge["id"])), ("user", "revoke", "alice"),
                      ("token", "revoke", str(self.token["id"]))):
            done = g.run_tool(*words)
            self.printed += (done.stdout + done.stderr).encode()

    def check_nowhere(self, where, octets, without=()):
        for what, secret in self.secrets.items():
            if what not in without:
                check(not is_in(secret, octets), f"the {what} stands in {where}")


def read(path):
    with open(path, "rb") as f:
        return f.read()


def present_pages(pid, begin, end):
    """The parts of a mapping that have memory behind them: what a core file would hold of it."""
    page = os.sysconf("SC_PAGE_SIZE")
    with open(f"/proc/{pid}/pagemap", "rb") as f:
        f.seek(begin // page * 8)
        entries = f.read((end - begin) // page * 8)
    run = None
    for i, (entry,) in enumerate(struct.iter_unpack("<Q", entries)):
        if entry >> 62 and run is None:
            run = i
        elif not entry >> 62 and run is not None:
            yield begin + run * page, (i - run) * page
            run = None
    if run is not None:
        yield begin + run * page, end - begin - run * page


def memory(pid):
    """Every writable page of the process, mapping by mapping."""
    with open(f"/proc/{pid}/maps", encoding="ascii", errors="replace") as maps, open(f"/proc/{pid}/mem", "rb") as mem:
        for line in maps:
            span, rights, *_ = line.split()
            begin, end = (int(number, 16) for number in span.split("-"))
            # The shadow of a build with sanitizers is terabytes of addresses, and has no octet of ours.
            if "w" not in rights or end - begin > 1 << 36 or "[vsyscall]" in line:
                continue
            for at, size in present_pages(pid, begin, end):
                try:
                    mem.seek(at)
                    yield line.strip(), mem.read(size)
                except (OSError, ValueError):
                    pass


def known_secrets_are_nowhere():
    with Place() as p:
        canaries = Canaries(p)
        canaries.use()
        canaries.show_to_the_gateway()
        canaries.look_with_the_tool()
        canaries.check_nowhere("what the tool prints", canaries.printed)
        canaries.check_nowhere("the log", read(p.g.log_path))
        canaries.check_nowhere("the trace", read(p.g.trace))
        for role, pid in p.g.processes().items():
            canaries.check_nowhere(f"the arguments of {role}", read(f"/proc/{pid}/cmdline"))
            canaries.check_nowhere(f"the environment of {role}", read(f"/proc/{pid}/environ"))
        for path in glob.glob(os.path.join(p.g.data, "**", "*"), recursive=True):
            if os.path.isfile(path):
                canaries.check_nowhere(path, read(path))
        check(b"redeem-credential" in read(os.path.join(p.g.data, "core", "core.db-wal")),
              "the write-ahead log has no audit record, so nothing was looked at")
        if os.geteuid() == 0:
            for role in ("core", "gateway", "validator"):
                look_at_memory(canaries, role, p.g.processes()[role])


def look_at_memory(canaries, role, pid):
    seen = 0
    for where, octets in memory(pid):
        seen += len(octets)
        canaries.check_nowhere(f"the memory of {role} ({where})", octets)
    check(seen > 1 << 20, f"only {seen} octets of memory of {role} were looked at")


def the_search_finds_what_is_there():
    """A search that finds nothing could be blind: it finds the user's name in the core's memory, and a secret here."""
    secret = "c4nary-that-is-kept"
    kept = [secret.encode()]
    check(any(is_in(secret, octets) for _, octets in memory(os.getpid())), "the own memory does not hold the secret")
    check(is_in(secret, b"Authorization: Basic " + base64.b64encode(b"alice:" + kept[0])), "Basic is not recognised")


class ScepSecrets:
    """Messages of SCEP, and what is secret in each: the key of its content, and the challenge; as octets."""

    def __init__(self, g):
        self.g, self.scep, self.secrets = g, Scep(g, "scep"), {}

    def send(self, what, challenge, bent=False):
        sender, key, iv = Sender(), os.urandom(16), bytes(16)
        self.secrets[f"content key of {what}"] = key
        self.secrets[f"challenge of {what}"] = challenge.encode()
        content = bytearray(encrypt(make_csr(sender.key, "s.example", challenge), key, iv))
        if bent:
            content[-17] ^= 0x80  # the padding is none: all before it is decrypted
        wrapped = self.scep.ra.public_key().encrypt(key, padding.PKCS1v15())
        envelope = self.scep.envelope(None, key=key, iv=iv, wrapped=wrapped, content=bytes(content))
        reply = self.scep.post(pki_message(sender, envelope)).read(self.scep.ra)
        if reply.status == SUCCESS:
            reply.certificates(sender)
            self.secrets[f"content key of the reply to {what}"] = reply.key
        return reply

    def check_nowhere(self, where, octets, without=()):
        for what, secret in self.secrets.items():
            shapes = {secret, secret.hex().encode(), base64.b64encode(secret).rstrip(b"=")}
            check(not any(shape in octets for shape in shapes), f"the {what} stands in {where}")


def scep_secrets_are_nowhere():
    with gatehouse(lambda g: add_scep(g, {"scep": ""})) as g:
        secrets = ScepSecrets(g)
        reply = secrets.send("an enrolment", create_challenge(g, "scep", "dns:s.example"))
        check(reply.status == SUCCESS, f"{reply.fail} {reply.fail_text}")
        for what, challenge, bent in (("a guess", "c4nary-of-scep-that-is-wrong", False),
                                      ("a bent message", "c4nary-of-scep-that-is-bent", True)):
            reply = secrets.send(what, challenge, bent)
            check(reply.status == FAILURE and (not bent or reply.fail == BAD_MESSAGE_CHECK), f"{reply.fail} {what}")
        secrets.check_nowhere("the log", read(g.log_path))
        secrets.check_nowhere("the trace", read(g.trace))
        for path in glob.glob(os.path.join(g.data, "**", "*"), recursive=True):
            if os.path.isfile(path):
                secrets.check_nowhere(path, read(path))
        if os.geteuid() == 0:
            for role in ("core", "gateway", "validator", "signer"):
                look_at_memory(secrets, role, g.processes()[role])


def a_password_is_no_argument():
    with Place() as p:
        done = p.g.run_tool("user", "create", "carol", *WITHIN, code=2)
        check("--password-file" in done.stderr, done.stderr)
        done = p.g.run_tool("user", "create", "carol", "a-password", *WITHIN, code=2)
        help_text = p.g.run_tool("help", "user", "create").stdout
        check("--password " not in help_text and "--password=" not in help_text, help_text)


if __name__ == "__main__":
    main([the_search_finds_what_is_there, a_password_is_no_argument, known_secrets_are_nowhere, scep_secrets_are_nowhere])
