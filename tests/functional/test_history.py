#!/usr/bin/python3
"""A random history of issue, revoke, hold, release and purge, in which everybody who is asked says the same.

    test_history.py [SEED [STEPS]]

After every step the whole database is compared with a model of what must be there; `openssl ocsp` and certbot's own check
are asked about what changed and about a sample of the rest, and now and then about every certificate that there ever was;
each CRL that is served is verified and read by `openssl crl`, and every one of its entries, and every one that it lacks, is
held against the model. An OCSP answer may tell what was true a second before it was asked for, a CRL what was true when it
was begun, and that is a minute ago at most.

SPDX-License-Identifier: Apache-2.0
"""
import calendar
import collections
import contextlib
import logging
import os
import random
import re
import sqlite3
import sys
import time

from certbot.ocsp import RevocationChecker
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

import test_status
from gatehouse import DOMAIN, LONG, ROOT, check, gatehouse, main
from test_status import get, openssl

sys.path.append(os.path.join(ROOT, "docs", "examples"))
import intermediary as ex  # noqa: E402

SEED = int(sys.argv[1]) if len(sys.argv) > 1 else random.randrange(1 << 32)
STEPS = int(sys.argv[2]) if len(sys.argv) > 2 else 10000 if LONG else 250
ALL_EVERY = max(STEPS // 4, 50)  # steps from one look at every certificate to the next
BRIEF_S = 6                      # how long a brief certificate lives
OCSP_LATE_S, CRL_LATE_S = 1, 60
SAMPLE = 4                       # of others, at each look
CERTS_MAX = 16                   # of one OCSP request

ISSUED, REVOKED = 20, 21
NOT_FOUND, WRONG_STATE = 3, 6    # exit codes of the tool
STEP_KINDS = {"issue": 36, "revoke": 22, "hold": 18, "release": 16, "purge": 8}
HOLD = "certificateHold"
# Words of RFC 5280, the number in the database, the words of `openssl crl`.
REASONS = {"unspecified": (0, None), "keyCompromise": (1, "Key Compromise"), "cACompromise": (2, "CA Compromise"),
           "affiliationChanged": (3, "Affiliation Changed"), "superseded": (4, "Superseded"),
           "cessationOfOperation": (5, "Cessation Of Operation"), HOLD: (6, "Certificate Hold"),
           "privilegeWithdrawn": (9, "Privilege Withdrawn")}
WORD_OF_CRL = {words[1]: word for word, words in REASONS.items()}
# OpenSSL 3.0 knows no word for the last one.
WORD_OF_OCSP = {None: "unspecified", "(UNKNOWN)": "privilegeWithdrawn"}
GOOD, UNKNOWN = ("good", None, None), ("unknown", None, None)


def parse_date(text):
    return calendar.timegm(time.strptime(text.strip(), "%b %d %H:%M:%S %Y GMT"))


class Certificate:
    """What must be said of one: each status with the time before which it did not count, and that from which it does."""

    def __init__(self, path, pem, began, acked):
        read = x509.load_pem_x509_certificate(pem)
        self.path, self.serial = path, read.serial_number
        self.not_after_s = calendar.timegm(read.not_valid_after.timetuple())
        self.revoked_ms = None
        self.history = [(began, acked, GOOD)]

    def status(self):
        return self.history[-1][2]

    def become(self, status, began, acked):
        self.history.append((began, acked, status))

    def may_be(self, status, since, until, history=None):
        """Was that its status at any time between?"""
        history = history or self.history
        ends = [acked for _, acked, _ in history[1:]] + [until + 1]
        return any(began <= until and end >= since and said == status
                   for (began, _, said), end in zip(history, ends))

    def may_be_listed(self, status, since, until):
        """A list knows of no purge."""
        return self.may_be(status, since, until, [moment for moment in self.history if moment[2] != UNKNOWN])

    def describe(self):
        return f"{self.serial:x}, whose history is " + "; ".join(
            f"{said} by {began:.3f} to {acked:.3f}" for began, acked, said in self.history)


class Silence(logging.Handler):
    """certbot says "not revoked" of what it could not find out; what it logs tells them apart."""

    def __init__(self):
        super().__init__(logging.INFO)
        self.said = []

    def emit(self, record):
        self.said.append(record.getMessage())


class History:
    def __init__(self, g):
        self.g, self.rng = g, random.Random(SEED)
        self.core = ex.Core(g.core_socket)
        self.all, self.purged = [], 0
        # Certificates that changed, and when: until somebody was told.
        self.unseen, self.unlisted = {"openssl ocsp": {}, "certbot": {}}, {}
        self.list_number = self.list_date = 0
        self.late = collections.Counter()  # seconds from a change to the first who was told, at most
        self.steps, self.asked = collections.Counter(), collections.Counter()
        self.certbot, self.silence = RevocationChecker(), Silence()
        logger = logging.getLogger("certbot.ocsp")
        logger.setLevel(logging.INFO)
        logger.addHandler(self.silence)
        self.db = sqlite3.connect(f"file:{g.data}/core/core.db?mode=ro", uri=True, timeout=20, isolation_level=None)
        self.folder = os.path.join(g.folder, "certificates")
        os.mkdir(self.folder)

    # ---- the steps ----

    def changed(self, certificate, acked):
        for changes in (*self.unseen.values(), self.unlisted):
            changes[certificate] = acked

    def told(self, who, certificate, seen):
        acked = (self.unlisted if who == "openssl crl" else self.unseen[who]).pop(certificate, seen)
        self.late[who] = max(self.late[who], seen - acked)

    def issue(self):
        number, profile = len(self.all), "brief" if self.rng.random() < 0.3 else "server"
        key, name = ec.generate_private_key(ec.SECP256R1()), f"n{number}.{DOMAIN}"
        request = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([])).add_extension(
            x509.SubjectAlternativeName([x509.DNSName(name)]), False).sign(key, hashes.SHA256())
        endpoint = "brief" if profile == "brief" else "acme"
        began = time.time()
        while True:
            outcome = self.core.submit("Test CA", endpoint, profile, f"acme:{number % 7}", [name],
                                       request.public_bytes(serialization.Encoding.DER), f"history {number}")
            if ex.first(outcome, 1, ex.OK) != ex.BUSY:
                break
            check(time.time() - began < 60, f"the core is busy for a minute: {outcome}")
        check(ex.first(outcome, 3, 0) == ex.ISSUED, f"not issued: {outcome}")
        path, pem = os.path.join(self.folder, f"{number}.pem"), ex.pem(ex.first(outcome, 7, b"")).encode() + b"\n"
        with open(path, "wb") as f:
            f.write(pem)
        self.all.append(Certificate(path, pem, began, time.time()))
        return self.all[-1]

    def choose(self):
        """One of all that there ever were, often a young one."""
        young = self.all[-20:]
        return self.rng.choice(young if self.rng.random() < 0.5 else self.all)

    def expect(self, certificate, kind, reason):
        """(the tool's exit code, the status that comes of it)"""
        word, held, _ = certificate.status()
        if word == "unknown":
            return NOT_FOUND, None
        if kind == "release":
            return (0, GOOD) if held == HOLD else (WRONG_STATE, None)
        if (kind == "hold" and word != "good") or held == reason:
            return WRONG_STATE, None
        return 0, ("revoked", reason, None)

    def change(self, kind):
        """Revoke, hold or release; also what is refused."""
        certificate, reason = self.choose(), HOLD if kind == "hold" else None
        more = []
        if kind == "revoke":
            reason = self.rng.choice([word for word in REASONS if word != HOLD])
            more = ["--reason", reason]
        code, status = self.expect(certificate, kind, reason)
        if self.rng.random() < 0.1:
            self.look([certificate])  # somebody has an answer from just before
        began = time.time()
        self.g.run_tool("cert", kind, f"{certificate.serial:032x}", *more, code=code)
        acked = time.time()
        if code:
            return certificate
        if status is GOOD:
            certificate.revoked_ms = None
        else:
            if certificate.revoked_ms is None:  # else the date stays that of the hold, or of the first reason
                certificate.revoked_ms = self.read_date(certificate, began, acked)
            status = ("revoked", reason, certificate.revoked_ms // 1000)
        certificate.become(status, began, acked)
        self.changed(certificate, acked)
        return certificate

    def read_date(self, certificate, began, acked):
        (at,), = self.db.execute("SELECT revoked_ms FROM certificates WHERE serial=?",
                                 (certificate.serial.to_bytes(16, "big"),)).fetchall()
        check(at and began * 1000 - 1 <= at <= acked * 1000, f"revoked at {at}, asked from {began} to {acked}")
        return at

    def wait_told(self):
        """What exit modules were not told yet is never removed."""
        end = time.monotonic() + 60
        while self.db.execute("SELECT count(*) FROM outbox").fetchone()[0]:
            check(time.monotonic() < end, f"events are not delivered: {self.g.log_tail()}")
            time.sleep(0.02)

    def date_of_list(self):
        row = self.db.execute("SELECT this_update_s FROM crls WHERE crl_partition=0").fetchone()
        return row[0] if row else 0

    def purge(self):
        """Gone is what ended before the date and was not revoked, or was said revoked by a list after its end."""
        self.wait_told()
        before = int(time.time()) - self.rng.choice([0, 0, 5])
        listed, began = self.date_of_list(), time.time()
        done = self.g.run_tool("request", "purge", "--yes", "--before",
                               time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(before)))
        acked, listed_after = time.time(), self.date_of_list()
        there = {int.from_bytes(row[0], "big") for row in self.db.execute("SELECT serial FROM certificates")}
        gone = [c for c in self.all if c.status() != UNKNOWN and c.serial not in there]
        for c in self.all:
            ended = c.not_after_s < before
            must = ended and (c.revoked_ms is None or listed > c.not_after_s)
            may = ended and (c.revoked_ms is None or listed_after > c.not_after_s)
            check(not must or c.serial not in there, f"not purged: {c.describe()}")
            check(may or c not in gone, f"purged too early: {c.describe()}")
        check(done.stdout == f"removed {len(gone)}\n", f"{len(gone)} are gone, and the tool says {done.stdout}")
        for c in gone:
            c.become(UNKNOWN, began, acked)
        self.purged += len(gone)
        return None

    def step(self):
        kind = self.rng.choices(*zip(*STEP_KINDS.items()))[0] if self.all else "issue"
        touched = self.issue() if kind == "issue" else self.purge() if kind == "purge" else self.change(kind)
        self.steps[kind] += 1
        self.compare_database()
        self.look([touched] if touched else [])

    # ---- who is asked ----

    def compare_database(self):
        found = {int.from_bytes(serial, "big"): rest for serial, *rest in self.db.execute(
            "SELECT c.serial, q.state, c.revoked_ms, c.revoked_reason FROM certificates c"
            " JOIN requests q ON q.id=c.request_id WHERE q.endpoint<>'internal'")}
        wanted = {}
        for c in self.all:
            word, reason, _ = c.status()
            if word != "unknown":
                wanted[c.serial] = [REVOKED if reason else ISSUED, c.revoked_ms, REASONS[reason][0] if reason else None]
        check(found == wanted, "the database differs: " + str({
            f"{serial:x}": (found.get(serial), wanted.get(serial)) for serial in found.keys() | wanted.keys()
            if found.get(serial) != wanted.get(serial)}))
        self.asked["database"] += len(found)

    def ask_openssl(self, certificates):
        """{serial: status} by one request about all of them, and one that nobody issued."""
        never = self.rng.getrandbits(120) | 1 << 120
        serials = [c.serial for c in certificates] + [never]
        words = [word for serial in serials for word in ("-serial", f"0x{serial:x}")]
        nonce = ["-no_nonce"] if self.rng.random() < 0.5 else []
        p = openssl("ocsp", "-issuer", self.g.root, "-CAfile", self.g.root, "-url", self.g.status_url + "/ocsp", *nonce,
                    *words)
        check("Response verify OK" in p.stderr and p.returncode == 0, f"openssl ocsp: {p.stdout}{p.stderr}")
        found = {}
        for part in re.split(r"^(?=0x)", p.stdout, flags=re.M)[1:]:
            serial, word = part.splitlines()[0].split(": ")
            reason = re.search(r"Reason: (\S+)", part)
            date = re.search("Revocation Time: (.*)", part)
            found[int(serial, 16)] = (word, None if word != "revoked" else WORD_OF_OCSP.get(reason and reason[1]) or
                                      reason[1], parse_date(date[1]) if date else None)
        check(found.pop(never) == UNKNOWN, f"a serial of nobody is something: {p.stdout}")
        return found

    def look_openssl(self, certificates):
        asked = time.time()
        found = self.ask_openssl(certificates)
        told = time.time()
        for c in certificates:
            check(c.may_be(found[c.serial], asked - OCSP_LATE_S, told),
                  f"openssl ocsp asked at {asked:.3f} says {found[c.serial]} of {c.describe()}")
            if found[c.serial] == c.status():
                self.told("openssl ocsp", c, told)
        self.asked["openssl ocsp"] += len(certificates)

    def look_certbot(self, c):
        """It does not ask about what has ended."""
        asked = time.time()
        if c.not_after_s - asked < 2:
            self.unseen["certbot"].pop(c, None)
            return
        is_revoked = self.certbot.ocsp_revoked_by_paths(c.path, self.g.root)
        told = time.time()
        if told > c.not_after_s:
            return
        fits = any(c.may_be(said, asked - OCSP_LATE_S, told) for _, _, said in c.history
                   if said != UNKNOWN and (said != GOOD) == is_revoked)
        check(not self.silence.said, f"certbot could not find out: {self.silence.said}")
        check(fits, f"certbot asked at {asked:.3f} says revoked={is_revoked} of {c.describe()}")
        if is_revoked == (c.status()[0] == "revoked"):
            self.told("certbot", c, told)
        self.asked["certbot"] += 1

    def read_list(self, der):
        """(number, thisUpdate, {serial: status}) of a list whose signature openssl has verified."""
        path = os.path.join(self.g.folder, "served.crl")
        with open(path, "wb") as f:
            f.write(der)
        p = openssl("crl", "-inform", "DER", "-in", path, "-noout", "-text", "-CAfile", self.g.root)
        check(p.returncode == 0 and "verify OK" in p.stderr, f"openssl crl: {p.stderr}")
        head, *entries = re.split(r"^ +Serial Number: ", p.stdout, flags=re.M)
        found = {}
        for entry in entries:
            reason = re.search(r"CRL Reason Code: *\n +(.+)", entry)
            date = re.search("Revocation Date: (.*)", entry)
            found[int(entry.splitlines()[0], 16)] = ("revoked", WORD_OF_CRL[reason[1].strip() if reason else None],
                                                     parse_date(date[1]))
        number = re.search(r"X509v3 CRL Number: *\n +(\w+)", p.stdout)[1]
        return int(number, 0), parse_date(re.search("Last Update: (.*)", head)[1]), found

    def check_entry(self, c, entry, date, bounds, seen):
        """An entry stays until a list has said it after its certificate's end; the list before tells whether."""
        if entry is None and c.not_after_s < bounds[1]:
            return
        check(entry is None or c.not_after_s >= bounds[0], f"a list goes on about {c.describe()}")
        said = entry or GOOD
        check(c.may_be_listed(said, date, seen), f"the CRL of {date} says {said} of {c.describe()}")

    def look_list(self):
        r, der = get(self.g, "/status/crl/0.crl")
        seen = time.time()
        check(r.status == 200, f"/crl/0.crl: {r.status}")
        if r.getheader("ETag") != getattr(self, "etag", None):
            self.etag = r.getheader("ETag")
            number, date, found = self.read_list(der)
            check(number > self.list_number and date >= self.list_date, f"list {number} of {date} comes after list "
                  f"{self.list_number} of {self.list_date}")
            entries = dict(found)
            bounds = self.list_date, self.list_date if number == self.list_number + 1 else date
            for c in self.all:
                self.check_entry(c, found.pop(c.serial, None), date, bounds, seen)
            check(not found, f"the list has what nobody issued: {found}")
            self.list_number, self.list_date = number, date
            self.asked["openssl crl"] += 1
            # What changed before the second in which it was begun is in it: that was checked just now. And of that
            # second, what it says as it is now: after the last change there is no further list.
            for c in [c for c, acked in self.unlisted.items()
                      if acked < date or entries.get(c.serial, GOOD) == c.status()]:
                self.told("openssl crl", c, seen)
        late = [c for c, acked in self.unlisted.items() if seen - acked > CRL_LATE_S]
        check(not late, f"not in a list after {CRL_LATE_S} s: {[c.describe() for c in late]}")

    def look(self, touched):
        others = self.rng.sample(self.all, min(SAMPLE, len(self.all)))
        unseen = {who: list(changes)[:CERTS_MAX // 2] for who, changes in self.unseen.items()}
        self.look_openssl(list(dict.fromkeys(touched + unseen["openssl ocsp"] + others)))
        for c in dict.fromkeys(touched + unseen["certbot"] + others[:1]):
            self.look_certbot(c)
        self.look_list()

    def look_at_all(self):
        for at in range(0, len(self.all), CERTS_MAX - 1):
            self.look_openssl(self.all[at:at + CERTS_MAX - 1])
        for c in self.all:
            self.look_certbot(c)
        self.look_list()

    def end(self):
        """Every change is in a list, and all that ended goes."""
        end = time.monotonic() + 2 * CRL_LATE_S
        while self.unlisted or any(0 < c.not_after_s + 1 - time.time() < BRIEF_S + 1 for c in self.all):
            check(time.monotonic() < end, "no end of changes")
            time.sleep(0.2)
            self.look_list()
        self.g.run_tool("ca", "crl", "--publish")
        self.purge()
        self.compare_database()
        self.look_at_all()
        check(not any(self.unseen.values()), "somebody was not told of a change")


def set_up(g):
    """Endpoints for certificates that live long and for those that end soon, and the status of both."""
    test_status.add_status(g)
    with open(g.config, encoding="utf-8") as f:
        text = f.read()
    text = text.replace("endpoints:\n", f"""  - name: brief
    lifetime: 5m
    backdate: {300 - BRIEF_S}s
endpoints:
  - name: brief
    protocol: acme
    path: /brief
    ca: Test CA
    profile: brief
""", 1)
    text = text.replace("    endpoints: [acme]\n", "    endpoints: [acme, brief]\n", 1)
    text = text.replace("core:\n", f"""core:
  socket: {g.core_socket}
  intermediaries:
    - name: history
      user: "{os.getuid()}"
      endpoints: [acme, brief]
      names: ["*.{DOMAIN}"]
""", 1)
    with open(g.config, "w", encoding="utf-8") as f:
        f.write(text)


def wait_for_list(g):
    end = time.monotonic() + 60
    while get(g, "/status/crl/0.crl")[0].status != 200:
        check(time.monotonic() < end, f"no CRL: {g.log_tail()}")
        time.sleep(0.1)


@contextlib.contextmanager
def told(history):
    try:
        yield
    except BaseException:
        print(f"        to do it again: test_history.py {SEED} {STEPS}; step {sum(history.steps.values()) + 1}")
        raise


def everybody_agrees():
    began = time.monotonic()

    def configure(g):
        g.core_socket = os.path.join(g.folder, "core.sock")
        set_up(g)

    with gatehouse(set_up=configure) as g:
        test_status.wait_for_responder(g)
        wait_for_list(g)
        history = History(g)
        with told(history):
            for n in range(1, STEPS + 1):
                history.step()
                if n % ALL_EVERY == 0:
                    history.look_at_all()
            history.end()
        check(all(history.steps[kind] for kind in STEP_KINDS) and history.purged, f"too short: {history.steps}")
        print(f"        seed {SEED}: {dict(history.steps)}; {history.purged} purged; "
              f"{history.list_number} numbers of CRLs; asked: {dict(history.asked)}")
        late = ", ".join(f"{who} {seconds:.2f} s" for who, seconds in history.late.items())
        print(f"        from a change to the first that is told of it, at most: {late}; "
              f"{time.monotonic() - began:.0f} s in all")


main([everybody_agrees])
