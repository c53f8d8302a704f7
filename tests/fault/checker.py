#!/usr/bin/python3
"""Hold a data folder, what clients were told, and the exit module's folder against each other.

    checker.py --data DIR --issued DIR --ledger FILE --root PEM [--log FILE] [--settle SECONDS]
               [--directory URL --http01-port PORT]

The daemon may run or not. With --directory it must run: then nothing may be under way any more after some seconds, the
accounts and orders are asked for again, and a new certificate is got. What is wrong is printed, one line each, and the exit code is 1. It reads the store with its own SQL
and the certificates with `cryptography`, and shares no code with the daemon.

A line of the ledger is a JSON object for something that was acknowledged:

    {"kind": "account", "url": …, "key": PEM}              {"kind": "order", "url": …, "account": …, "names": […]}
    {"kind": "certificate", "order": …, "url": …, "pem": …}
    {"kind": "pending", "order": …}                        {"kind": "denied", "order": …}
    {"kind": "approval", "id": …}                          {"kind": "denial", "id": …}
    {"kind": "key", "account": …, "key": PEM}              {"kind": "end", "account": …}
    {"kind": "revocation", "pem": …}                       {"kind": "list", "number": …}

SPDX-License-Identifier: Apache-2.0
"""
import argparse
import calendar
import collections
import hashlib
import json
import os
import random
import re
import sqlite3
import sys
import time
import types

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "functional"))
from acme_client import Client, Problem, Responder  # noqa: E402

ACTIVE, PENDING, ISSUED, REVOKED, ERROR, DENIED = 8, 9, 20, 21, 30, 31
DECIDED = (ISSUED, REVOKED, DENIED)
STATE_WORDS = {ACTIVE: "active", PENDING: "pending", ISSUED: "issued", REVOKED: "revoked", ERROR: "error",
               DENIED: "denied"}
EVENT_ISSUED = 1
ORDER_VALID, ORDER_INVALID = 4, 5
ASKED_AGAIN = 100  # orders, when the ledger has more
BUSY_S = 10  # how long a daemon that is asked may answer "busy"
SANITIZER = re.compile(rb"ERROR: AddressSanitizer|ERROR: LeakSanitizer|runtime error:")


def read_ledger(path):
    """Entries by kind. A last line without its end was never acknowledged by whoever wrote it."""
    ledger = collections.defaultdict(list)
    with open(path, encoding="utf-8") as f:
        for line in f:
            if line.endswith("\n"):
                entry = json.loads(line)
                ledger[entry["kind"]].append(entry)
    return ledger


def last_part(url):
    return url.rsplit("/", 1)[1]


def leaf(pem):
    return x509.load_pem_x509_certificate(pem.encode())


class Database:
    """One snapshot of one file."""

    def __init__(self, path):
        self.connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=10, isolation_level=None)
        self.connection.row_factory = sqlite3.Row
        self.connection.execute("BEGIN")

    def rows(self, sql, *values):
        return self.connection.execute(sql, values).fetchall()

    def damage(self):
        found = [row[0] for row in self.rows("PRAGMA integrity_check") if row[0] != "ok"]
        return found + [f"foreign key of {row[0]} row {row[1]}" for row in self.rows("PRAGMA foreign_key_check")]

    def close(self):
        self.connection.close()


class Folder:
    """What one look finds. The gateway's file is read before the core's, and both before the exit module's folder: each
    may know less than the one behind it, never more."""

    def __init__(self, data, issued):
        names = [n for n in os.listdir(os.path.join(data, "gateway")) if n.startswith("acme-") and n.endswith(".db")]
        self.damage, self.orders = [], {}
        for name in names:
            self.read_gateway(os.path.join(data, "gateway", name))
        self.read_anchor(os.path.join(data, "core", "audit.anchor"))
        self.read_core(os.path.join(data, "core", "core.db"))
        self.read_lists(os.path.join(data, "core"))
        self.files = {}
        self.unfinished = [n for n in os.listdir(os.path.join(data, "gateway")) if n.endswith(".tmp")]
        for name in os.listdir(issued) if os.path.isdir(issued) else []:
            if name.endswith(".tmp"):
                self.unfinished.append(name)
            else:
                with open(os.path.join(issued, name), "rb") as f:
                    self.files[name] = f.read()

    def read_gateway(self, path):
        db = Database(path)
        self.damage += [f"{os.path.basename(path)}: {text}" for text in db.damage()]
        self.orders.update({row["name"]: row for row in db.rows("SELECT name, status, core_id, pem FROM orders"
                                                                " LEFT JOIN result ON order_id=orders.id")})
        db.close()

    def read_anchor(self, path):
        """The heads that are whole: record and hash."""
        heads = []
        if os.path.exists(path):
            with open(path, encoding="utf-8") as f:
                heads = [line.split() for line in f if line.startswith("head ") and line.endswith("\n")]
        self.heads = {int(head[1]): head[2] for head in heads if len(head) == 6}

    def read_lists(self, folder):
        """The octets of the CRLs in force, and the number in their anchor."""
        self.lists = {}
        for row in self.crls:
            path = os.path.join(folder, "crl", f"{row['key_id']}-{row['crl_partition']}-{row['number']}.crl")
            if os.path.exists(path):
                with open(path, "rb") as f:
                    self.lists[row["number"]] = f.read()
        path = os.path.join(folder, "crl-anchor")
        self.list_anchor = 0
        if os.path.exists(path):
            with open(path, encoding="ascii") as f:
                self.list_anchor = int(f.read().split()[0])

    def read_core(self, path):
        db = Database(path)
        self.trail = db.rows("SELECT seq, prev, payload, hash FROM audit ORDER BY seq")
        self.damage += [f"core.db: {text}" for text in db.damage()]
        self.requests = {row["id"]: row for row in db.rows("SELECT * FROM requests")}
        self.certificates = {row["serial"]: row for row in db.rows("SELECT * FROM certificates")}
        self.approvals = db.rows("SELECT * FROM approvals")
        self.grants = db.rows("SELECT * FROM grants")
        self.crls = db.rows("SELECT * FROM crls")
        self.outbox = {(row["request_id"], row["event"]) for row in db.rows("SELECT * FROM outbox")}
        self.timeline = collections.defaultdict(list)
        for row in db.rows("SELECT request_id, text FROM timeline ORDER BY id"):
            self.timeline[row["request_id"]].append(row["text"])
        db.close()


class Checker:
    def __init__(self, folder, ledger, root):
        self.f, self.ledger, self.root, self.problems = folder, ledger, root, []
        self.requests_of = collections.defaultdict(list)
        for row in folder.certificates.values():
            self.requests_of[row["request_id"]].append(row)

    def bad(self, text):
        self.problems.append(text)

    # ---- what was acknowledged is there ----

    def request_of(self, url):
        order = self.f.orders.get(last_part(url))
        return self.f.requests.get(order["core_id"]) if order else None

    def check_orders(self):
        for entry in self.ledger["order"]:
            if last_part(entry["url"]) not in self.f.orders:
                self.bad(f"lost: the acknowledged order {entry['url']} is not in the store")

    def check_told_certificates(self):
        stored = {row["certificate"]: row for row in self.f.certificates.values()}
        revoked = {entry["pem"] for entry in self.ledger["revocation"]}
        for entry in self.ledger["certificate"]:
            row = stored.get(leaf(entry["pem"]).public_bytes(serialization.Encoding.DER))
            order = self.f.orders.get(last_part(entry["order"]))
            if not row:
                self.bad(f"lost: the certificate of {entry['order']} that a client has is not in the store")
            elif row["revoked_ms"] is not None and entry["pem"] not in revoked:
                self.bad(f"request {row['request_id']}: a client collected the certificate and it is revoked")
            elif row["revoked_ms"] is None and entry["pem"] in revoked:
                self.bad(f"lost: the revocation of {entry['order']} that a client was told")
            if order and (order["status"] != ORDER_VALID or order["pem"] != entry["pem"]):
                self.bad(f"lost: {entry['order']} was told valid and has status {order['status']} or another "
                         "certificate")

    def check_told_states(self):
        for entry in self.ledger["pending"]:
            row, order = self.request_of(entry["order"]), self.f.orders.get(last_part(entry["order"]))
            if order and not order["core_id"]:
                continue  # the core could not say yet, and the client was told no more than that
            if not row or row["state"] not in (PENDING, *DECIDED):
                self.bad(f"lost: {entry['order']} was told pending and its request is "
                         f"{'in state %d' % row['state'] if row else 'not there'}")
        for entry in self.ledger["denied"]:
            row, order = self.request_of(entry["order"]), self.f.orders.get(last_part(entry["order"]))
            if not row or row["state"] != DENIED or order["status"] != ORDER_INVALID:
                self.bad(f"lost: the denial of {entry['order']} that a client was told")
        for entry in self.ledger["approval"]:
            row = self.f.requests.get(entry["id"])
            if not row or row["state"] not in (ISSUED, REVOKED):
                self.bad(f"lost: the approval of request {entry['id']} that an officer was told")
        for entry in self.ledger["denial"]:
            row = self.f.requests.get(entry["id"])
            if not row or row["state"] != DENIED:
                self.bad(f"lost: the denial of request {entry['id']} that an officer was told")

    # ---- certificates and their rows ----

    def is_signed(self, certificate):
        try:
            self.root.public_key().verify(certificate.signature, certificate.tbs_certificate_bytes,
                                          ec.ECDSA(certificate.signature_hash_algorithm))
            return True
        except InvalidSignature:
            return False

    def check_certificate(self, row):
        request, who = self.f.requests.get(row["request_id"]), f"request {row['request_id']}"
        certificate = x509.load_der_x509_certificate(row["certificate"])
        if not request or request["state"] not in (ISSUED, REVOKED):
            self.bad(f"{who}: has a certificate and is in state {request['state'] if request else 'none'}")
            return
        if certificate.serial_number != int.from_bytes(row["serial"], "big") or request["serial"] != row["serial"]:
            self.bad(f"{who}: the certificate, its row and the request have different serials")
        if request["tbs"] != certificate.tbs_certificate_bytes:
            self.bad(f"{who}: what was signed is not what was stored before")
        if not self.is_signed(certificate):
            self.bad(f"{who}: the signature does not verify under the CA")

    def check_serials(self):
        owners = collections.defaultdict(set)
        for row in self.f.requests.values():
            if row["serial"]:
                owners[int.from_bytes(row["serial"], "big")].add(row["id"])
        for row in self.f.certificates.values():
            owners[int.from_bytes(row["serial"], "big")].add(row["request_id"])
        for entry in self.ledger["certificate"]:
            request = self.request_of(entry["order"])
            owners[leaf(entry["pem"]).serial_number].add(request["id"] if request else entry["order"])
        for serial, numbers in owners.items():
            if len(numbers) > 1:
                self.bad(f"serial {serial:x} belongs to {sorted(map(str, numbers))}")

    def check_once(self):
        """One transaction, one request; one request, one certificate."""
        keys = collections.Counter(row["transaction_key"] for row in self.f.requests.values()
                                   if row["state"] in (ACTIVE, PENDING, ISSUED, REVOKED))
        for row in self.f.requests.values():
            if keys[row["transaction_key"]] > 1 and row["state"] in (ACTIVE, PENDING, ISSUED, REVOKED):
                self.bad(f"request {row['id']}: another request has the same transaction key")
            n = len(self.requests_of[row["id"]])
            if n != (row["state"] in (ISSUED, REVOKED)):
                self.bad(f"request {row['id']}: state {row['state']} with {n} certificates")

    # ---- what people said ----

    def check_approvals(self):
        approved = {row["request_id"] for row in self.f.approvals}
        by_grant = {row["spent_by"]: row for row in self.f.grants if row["spent_by"] is not None}
        for number, lines in self.f.timeline.items():
            was_held = any(re.match(r"pending\b", text) for text in lines)
            if was_held and self.requests_of[number] and number not in approved:
                self.bad(f"request {number}: was held and issued, and no approval is there")
        for number, grant in by_grant.items():
            for row in self.requests_of[grant["request_id"]]:
                if row["revoked_ms"] is None or row["collected_ms"] is not None:
                    self.bad(f"request {number}: was issued by the approval of request {grant['request_id']}, whose "
                             "certificate was collected or is still good: one approval, two certificates")

    def check_held_names(self):
        """However it happened: a name that needs an approval has at most one live certificate for each."""
        held = [n for n, lines in self.f.timeline.items() if any(re.match(r"pending\b", t) for t in lines)]
        tuples = {n: (r["requester"], r["names_key"]) for n, r in self.f.requests.items()}
        approvals = collections.Counter(tuples[n] for n in {row["request_id"] for row in self.f.approvals})
        live = collections.Counter(tuples[row["request_id"]] for row in self.f.certificates.values()
                                   if row["revoked_ms"] is None)
        for names in {tuples[n] for n in held}:
            if live[names] > approvals[names]:
                self.bad(f"{live[names]} live certificates for names that were approved {approvals[names]} times")

    def check_timeline(self):
        for number, row in self.f.requests.items():
            lines = self.f.timeline[number]
            signed = [t for t in lines if t.startswith("sign serial=")]
            issued = [t for t in lines if t.startswith("issued serial=")]
            wanted = 1 if row["state"] in (ISSUED, REVOKED) else 0
            if (len(signed), len(issued)) != (wanted, wanted):
                self.bad(f"request {number}: state {row['state']} with {len(signed)} lines 'sign' and {len(issued)} "
                         "lines 'issued'")
            if not any(t.startswith("received ") for t in lines) or not any(t.startswith("submit ") for t in lines):
                self.bad(f"request {number}: no line says how it came")
            if row["state"] == DENIED and not any(re.match(r"denied\b|deny by=|superseded\b", t) for t in lines):
                self.bad(f"request {number}: is denied and no line says so")
        for row in self.f.approvals:
            if not any(t.startswith(f"approve by={row['officer']}") for t in self.f.timeline[row["request_id"]]):
                self.bad(f"request {row['request_id']}: an approval without its line")

    def check_trail(self):
        """The chain is whole, every head that was anchored stands in it, and it tells how each request came to be
        where it is."""
        prev, last = bytes(32), {}
        for at, row in enumerate(self.f.trail, 1):
            if row["seq"] != at or row["prev"] != prev:
                self.bad(f"the audit trail: record {at} is missing or does not follow")
                return
            prev = hashlib.sha256(prev + at.to_bytes(8, "big") + row["payload"].encode()).digest()
            if row["hash"] != prev:
                self.bad(f"the audit trail: record {at} was changed")
            record = json.loads(row["payload"])
            if (number := record.get("request")) is None:
                continue
            if record.get("before") != last.get(number):
                self.bad(f"the audit trail: record {at} of request {number} begins at {record.get('before')}, the one "
                         f"before it ended at {last.get(number)}")
            last[number] = record.get("after")
        hashes = {row["seq"]: row["hash"].hex() for row in self.f.trail}
        for seq, hash_ in self.f.heads.items():
            if hashes.get(seq) != hash_:
                self.bad(f"the audit trail: record {seq} was anchored and is not there, or is another one")
        for number, row in self.f.requests.items():
            if last.get(number) != STATE_WORDS[row["state"]]:
                self.bad(f"the audit trail: request {number} is {STATE_WORDS[row['state']]}, its last record says "
                         f"{last.get(number)}")

    # ---- revocation lists ----

    def check_list_numbers(self):
        """They grow, over whatever happened to the daemon; what somebody saw was published, and nothing older is in
        force after it."""
        records = [json.loads(row["payload"]) for row in self.f.trail]
        numbers = [int(record["after"]) for record in records if record["action"] == "publish"]
        for before, after in zip(numbers, numbers[1:]):
            if after <= before:
                self.bad(f"the number of a CRL does not grow: {after} was published after {before}")
        for entry in self.ledger["list"]:
            if entry["number"] not in numbers:
                self.bad(f"lost: CRL {entry['number']}, which somebody saw, is in no record of the audit trail")
        for row in self.f.crls:
            if row["number"] != numbers[-1]:
                self.bad(f"CRL {row['number']} is in force, and {numbers[-1]} was published last")
        if numbers and self.f.list_anchor < max(numbers):
            self.bad(f"CRL {max(numbers)} was published, and its anchor knows of {self.f.list_anchor}")

    def check_lists(self, settled):
        """Each is whole, and says what the store says."""
        revoked = {int.from_bytes(serial, "big") for serial, row in self.f.certificates.items()
                   if row["revoked_ms"] is not None}
        for row in self.f.crls:
            who = f"CRL {row['number']}"
            if row["number"] not in self.f.lists:
                if settled:
                    self.bad(f"{who} is in force and not there")
                continue
            crl = x509.load_der_x509_crl(self.f.lists[row["number"]])
            if not crl.is_signature_valid(self.root.public_key()):
                self.bad(f"{who}: the signature does not verify under the CA")
            said = crl.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number
            if (said, calendar.timegm(crl.last_update.timetuple())) != (row["number"], row["this_update_s"]):
                self.bad(f"{who}: says that it is {said}, of {crl.last_update}")
            listed = {entry.serial_number for entry in crl}
            if settled and listed != revoked:
                self.bad(f"{who}: not in the list, or for no reason: {[f'{n:x}' for n in listed ^ revoked]}")

    # ---- the exit module, and the store itself ----

    def check_events(self):
        written = {}
        for name, octets in self.f.files.items():
            match = re.match(r"(\d+)-([0-9a-f]+)\.pem$", name)
            if match and octets:
                written[int(match[1])] = (name, leaf(octets.decode()).public_bytes(serialization.Encoding.DER))
            else:
                self.bad(f"the exit module's folder has {name} with {len(octets)} octets")
        for row in self.f.certificates.values():
            number = row["request_id"]
            if number in written and written[number][1] != row["certificate"]:
                self.bad(f"request {number}: the file {written[number][0]} has another certificate than the store")
            if number not in written and (number, EVENT_ISSUED) not in self.f.outbox:
                self.bad(f"missed: request {number} was issued, the exit module was not told and will not be")
        for number in written:
            if not self.requests_of[number]:
                self.bad(f"lost: the exit module was told of a certificate of request {number}, which has none")

    def check_orders_once(self):
        """An order that was answered has one request, and none was issued for nobody."""
        known = {row["core_id"] for row in self.f.orders.values()}
        n_open = sum(not row["core_id"] for row in self.f.orders.values())
        strays = [n for n, row in self.f.requests.items()
                  if row["protocol"] == "acme" and row["state"] in (ISSUED, REVOKED) and n not in known]
        if len(strays) > n_open:
            self.bad(f"requests {strays}: were issued and belong to no order: one order, two certificates")

    def check_leavings(self, settled):
        """Whoever was killed in the middle of a write removes what is left of it at its next start."""
        if settled and self.f.unfinished:
            self.bad(f"files that were never finished are left: {self.f.unfinished}")

    def check_states(self, settled):
        for row in self.f.requests.values():
            if settled and row["state"] == ACTIVE:
                self.bad(f"request {row['id']}: is stuck, neither decided nor held")

    def run(self, settled):
        self.problems += [f"damaged: {text}" for text in self.f.damage]
        self.check_orders()
        self.check_told_certificates()
        self.check_told_states()
        for row in self.f.certificates.values():
            self.check_certificate(row)
        self.check_serials()
        self.check_once()
        self.check_orders_once()
        self.check_approvals()
        self.check_held_names()
        self.check_timeline()
        self.check_events()
        self.check_trail()
        self.check_list_numbers()
        self.check_lists(settled)
        self.check_states(settled)
        self.check_leavings(settled)
        return self.problems


# ---- with the daemon ----

def is_settled(data):
    db = Database(os.path.join(data, "core", "core.db"))
    waiting = db.rows("SELECT 1 FROM requests WHERE state=8 UNION ALL"
                      " SELECT 1 FROM outbox WHERE next_ms IS NOT NULL UNION ALL"
                      " SELECT 1 FROM crl_changes WHERE n NOT IN (SELECT changes FROM crls) LIMIT 1")
    db.close()
    return not waiting


def settle(data, seconds):
    """Wait until nothing is being processed, no event waits, and every revocation is in a list."""
    end = time.monotonic() + seconds
    while not is_settled(data) and time.monotonic() < end:
        time.sleep(0.01)


class Asking:
    """A client of a running daemon."""

    def __init__(self, directory, root_path, responder):
        port = int(re.match(r"https://[^/:]+:(\d+)/", directory)[1])
        self.place = types.SimpleNamespace(port=port, root=root_path, directory=directory)
        self.responder, self.problems = responder, []

    def client(self, key):
        return Client(self.place, self.responder, key)

    @staticmethod
    def patiently(call, *arguments):
        end = time.monotonic() + BUSY_S
        while True:
            try:
                return call(*arguments)
            except Problem as problem:
                if problem.status != 503 or time.monotonic() > end:
                    raise
                time.sleep(0.05)

    def ask_order(self, client, entry, certificate, is_denied):
        url = entry["url"]
        try:
            order = json.loads(self.patiently(client.post, url)[1])
            if certificate and (order["status"] != "valid" or self.patiently(
                    client.post, certificate["url"])[1].decode() != certificate["pem"]):
                self.problems.append(f"not told again: {url} is {order['status']} or has another certificate")
            if is_denied and order["status"] != "invalid":
                self.problems.append(f"not told again: {url} was denied and is {order['status']}")
        except Problem as problem:
            self.problems.append(f"not told again: {url}: {problem}")

    def ask_all(self, ledger):
        certificates = {entry["order"]: entry for entry in ledger["certificate"]}
        denied = {entry["order"] for entry in ledger["denied"]}
        orders = ledger["order"]
        if len(orders) > ASKED_AGAIN:
            orders = random.sample(orders, ASKED_AGAIN)
        keys = {entry["account"]: entry["key"] for entry in ledger["key"]}
        ended = {entry["account"] for entry in ledger["end"]}
        for account in ledger["account"]:
            key = keys.get(account["url"], account["key"])
            client = self.client(serialization.load_pem_private_key(key.encode(), None))
            try:
                self.patiently(client.start)
            except Problem as problem:
                if account["url"] not in ended or problem.status != 401:
                    self.problems.append(f"not told again: {account['url']}: {problem}")
                continue
            if account["url"] in ended:
                self.problems.append(f"lost: {account['url']} was told its end and goes on")
            if client.kid != account["url"]:
                self.problems.append(f"lost: the key of {account['url']} belongs to {client.kid} now")
            for entry in orders:
                if entry["account"] == account["url"]:
                    self.ask_order(client, entry, certificates.get(entry["url"]), entry["url"] in denied)

    def enrol(self, name):
        try:
            client = self.patiently(self.client(None).start)
            leaf(self.patiently(client.get_certificate, name))
        except (Problem, RuntimeError, TimeoutError, OSError) as e:
            self.problems.append(f"a new enrolment fails: {e}")


def sanitizer_reports(log):
    with open(log, "rb") as f:
        return [f"the log has {match.decode()}" for match in SANITIZER.findall(f.read())]


def check_folder(data, issued, ledger_path, root_path, settled=True):
    """What is wrong, a line each. `settled`: nothing may be under way any more."""
    with open(root_path, "rb") as f:
        root = x509.load_pem_x509_certificate(f.read())
    return Checker(Folder(data, issued), read_ledger(ledger_path), root).run(settled)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    for name in ("--data", "--issued", "--ledger", "--root"):
        parser.add_argument(name, required=True)
    parser.add_argument("--log")
    parser.add_argument("--settle", type=float, default=30, help="seconds until nothing may be in between (30)")
    parser.add_argument("--directory", help="URL of a running daemon's ACME directory")
    parser.add_argument("--http01-port", type=int)
    parser.add_argument("--name", default="fresh.gatehouse.test", help="what to get a certificate for")
    a = parser.parse_args()
    if a.directory:
        settle(a.data, a.settle)
    problems = check_folder(a.data, a.issued, a.ledger, a.root, settled=bool(a.directory))
    if a.directory:
        responder = Responder(a.http01_port)
        asking = Asking(a.directory, a.root, responder)
        asking.ask_all(read_ledger(a.ledger))
        asking.enrol(a.name)
        responder.close()
        problems += asking.problems
    if a.log:
        problems += sanitizer_reports(a.log)
    print("\n".join(problems) or "nothing is wrong")
    sys.exit(1 if problems else 0)


if __name__ == "__main__":
    main()
