#!/usr/bin/python3
"""The audit trail says who did what, and whoever changes it is found; the independent checker finds damage of each kind.

    test_audit.py [TEST]...        with TAMPERINGS=N in the environment, so many instead of 1,000
"""
import contextlib
import hashlib
import json
import os
import random
import shutil
import sqlite3
import subprocess
import sys
import time

from acme_client import Client, Responder
from gatehouse import DOMAIN, TOOL, Gatehouse, check, gatehouse, main

TAMPERINGS = int(os.environ.get("TAMPERINGS", "1000"))
ZERO = bytes(32)


def wait_for(what, text, wait_s=10):
    end = time.monotonic() + wait_s
    while not what():
        check(time.monotonic() < end, text)
        time.sleep(0.05)


@contextlib.contextmanager
def responder(g):
    r = Responder(g.http01_port)
    try:
        yield Client(g, r).start()
    finally:
        r.close()


def hold_and(g, client, verb, *words):
    """A held request of its own name, and what an officer did to it."""
    name = f"hold-{verb}.{DOMAIN}"
    location, order = client.order(name)
    client.prove(order)
    client.finalize(order, client.csr(name))
    request = g.wait_pending(name)
    g.run_tool(verb, str(request["id"]), *words, code=None)
    client.poll(location)
    return request["id"]


def live(g):
    """Something of everything: issued, denied by policy, held and approved, held and denied."""
    with responder(g) as client:
        for i in range(4):
            client.get_certificate(f"n{i}.{DOMAIN}")
        approved = hold_and(g, client, "approve", "--yes")
        denied = hold_and(g, client, "deny", "--reason", "not today")
    for kind in "eab", "challenge":
        g.run_tool(kind, "create", "--endpoint", "acme", "--scope", f"*.{DOMAIN}")
    return approved, denied


def export(g):
    return [json.loads(line) for line in g.run_tool("audit", "export").stdout.splitlines()]


def says_who_did_what():
    with gatehouse() as g:
        approved, denied = live(g)
        me = [r for r in g.tool_json("audit", "search", "--action", "approve")["records"]]
        check(len(me) == 1 and me[0]["request"] == approved and me[0]["actor"].startswith("unix:"), f"approve: {me}")
        found = g.tool_json("audit", "search", "--request", str(denied))["records"]
        check([(r["action"], r.get("before"), r["after"]) for r in found if r["action"] != "retrieve"] ==
              [("receive", None, "active"), ("pend", "active", "pending"), ("admin-deny", "pending", "denied")],
              f"the records of a denied request: {found}")
        check("not today" in found[2]["detail"] and found[2]["actor"].startswith("unix:"), f"the denial: {found[2]}")
        with open(g.config, "rb") as f:
            digest = hashlib.sha256(f.read()).hexdigest()
        started = g.tool_json("audit", "search", "--action", "start")["records"]
        check([r["detail"] for r in started] == [f"configuration={digest}"], f"which configuration decided: {started}")
        serials = {c["serial"] for c in g.tool_json("cert", "list")["certificates"]}
        issued = g.tool_json("audit", "search", "--action", "issue")["records"]
        check({r["subject"] for r in issued} == serials, "each certificate has its record, and each record its one")
        check(len(g.run_tool("audit", "tail", "-n", "3").stdout.splitlines()) == 3, "the last three")
        check(not g.tool_json("audit", "search", "--until", "2020-01-01T00:00:00Z")["records"], "nothing happened before")
        prev = ZERO.hex()
        for seq, r in enumerate(export(g), 1):
            check(r["seq"] == seq and r["prev"] == prev, f"record {seq} follows: {r}")
            prev = hashlib.sha256(bytes.fromhex(prev) + seq.to_bytes(8, "big") + r["payload"].encode()).hexdigest()
            check(r["hash"] == prev, f"the hash of record {seq}")
        last = seq
        wait_for(lambda: g.tool_json("audit", "verify")["anchored"] >= last, "the anchor follows within seconds")
        check(g.tool_json("audit", "verify")["ok"], "it is whole")
        check(not g.tool_json("fsck", "--data", g.data)["findings"], "the checker finds nothing, beside the daemon")


def running_core_finds_what_was_changed():
    with gatehouse() as g:
        live(g)
        last = len(export(g))
        wait_for(lambda: g.tool_json("audit", "verify")["anchored"] >= last, "the anchor follows within seconds")
        path = os.path.join(g.data, "core", "core.db")
        with contextlib.closing(sqlite3.connect(path, timeout=10)) as db:
            db.execute("DROP TRIGGER audit_keeps_content")
            db.execute("UPDATE audit SET payload=replace(payload, 'admin-deny', 'admin-okay')")
            changed = db.execute("SELECT seq FROM audit WHERE payload LIKE '%admin-okay%'").fetchone()[0]
            db.commit()
        found = json.loads(g.run_tool("audit", "verify", output="json", code=1).stdout)
        check(found["first_bad"] == changed and not found["ok"], f"record {changed}: {found}")
        with contextlib.closing(sqlite3.connect(path, timeout=10)) as db:
            chain(db)
            db.commit()
        found = json.loads(g.run_tool("audit", "verify", output="json", code=1).stdout)
        check(found["first_bad"] <= changed <= found["first_bad_at_most"], f"record {changed}, chained anew: {found}")
        with open(anchor := os.path.join(g.data, "core", "audit.anchor"), "a", encoding="utf-8") as f:
            f.write("restored 4\n")
        found = json.loads(g.run_tool("audit", "verify", output="json", code=1).stdout)
        check(found["first_bad"] <= changed <= found["first_bad_at_most"], f"whoever says it was a restore: {found}")
        text = open(anchor, encoding="utf-8").read()
        with open(anchor, "r+", encoding="utf-8") as f:
            f.write(text.replace('"action":"issue"', '"action":"igsue"', 1))
        with contextlib.closing(sqlite3.connect(path, timeout=10)) as db:
            db.execute("UPDATE audit SET payload=replace(payload, 'admin-okay', 'admin-deny')")
            chain(db)
            db.commit()
        found = json.loads(g.run_tool("audit", "verify", output="json", code=1).stdout)
        check("of the anchor" in found["finding"], f"the anchor was changed: {found}")


# ---- tampering, with the files at rest ----

def chain(db):
    """Hash everything anew, as somebody would who knows how."""
    prev = ZERO
    for seq, payload in db.execute("SELECT seq, payload FROM audit ORDER BY seq").fetchall():
        hash_ = hashlib.sha256(prev + seq.to_bytes(8, "big") + payload.encode()).digest()
        db.execute("UPDATE audit SET prev=?, hash=? WHERE seq=?", (prev, hash_, seq))
        prev = hash_


def flip(db, at, dice):
    column = dice.choice(["payload", "prev", "hash"])
    old = db.execute(f"SELECT {column} FROM audit WHERE seq=?", (at,)).fetchone()[0]
    if column == "payload":
        place = dice.randrange(len(old))
        new = old[:place] + chr(ord(old[place]) ^ 1) + old[place + 1:]
    else:
        place = dice.randrange(len(old))
        new = old[:place] + bytes([old[place] ^ 1 << dice.randrange(8)]) + old[place + 1:]
    db.execute(f"UPDATE audit SET {column}=? WHERE seq=?", (new, at))
    return at if column == "payload" else None


def renumber(db, at, by):
    for (seq,) in db.execute(f"SELECT seq FROM audit WHERE seq>=? ORDER BY seq {'DESC' if by > 0 else 'ASC'}",
                             (at,)).fetchall():
        db.execute("UPDATE audit SET seq=? WHERE seq=?", (seq + by, seq))


def delete(db, at, dice):
    db.execute("DELETE FROM audit WHERE seq=?", (at,))
    if dice.random() < 0.5:
        renumber(db, at, -1)
    return at


def insert(db, at, dice):
    renumber(db, at, 1)
    db.execute("INSERT INTO audit SELECT ?, prev, replace(payload, '\"action\":\"', '\"action\":\"un-'), hash FROM audit"
               " WHERE seq=?", (at, at + 1))
    return at


def swap(db, at, dice):
    other = dice.choice([s for (s,) in db.execute("SELECT seq FROM audit WHERE seq<>?", (at,))])
    rows = [db.execute("SELECT payload, hash FROM audit WHERE seq=?", (s,)).fetchone() for s in (at, other)]
    if dice.random() < 0.5:
        rows = [(row[0], None) for row in rows]
    for seq, row in ((at, rows[1]), (other, rows[0])):
        db.execute("UPDATE audit SET payload=?, hash=coalesce(?, hash) WHERE seq=?", (*row, seq))
    return min(at, other)


def truncate(db, at, dice):
    db.execute("DELETE FROM audit WHERE seq>=?", (at,))
    return at


# ---- the same with the anchor ----

def blind(db, at, dice, path):
    """Records that are not those that were anchored, and a line that says why."""
    first = dice.choice([delete, insert, truncate])(db, at, dice)
    chain(db)
    with open(path, "ab") as f:
        f.write(dice.choice([b"", b"\nresume\n"]) + b"restored %d\n" % dice.randrange(at)
                + dice.choice([b"", b"\nresume\n"]))
    return first


def edit(path, dice):
    """Lines that a head covers; MACs are left, which nobody can look at without the signer."""
    with open(path, "rb") as f:
        lines = f.read().splitlines(keepends=True)
    last = max(i for i, line in enumerate(lines) if line.startswith(b"head "))
    i, other = dice.sample(range(last), 2)
    act = dice.choice(["flip", "delete", "insert", "swap"])
    if act == "flip":
        i = dice.randrange(last + 1)  # without its last head a file is an older one
        place = dice.randrange(5 if i == last else 0, len(lines[i]) - (66 if lines[i].startswith(b"head ") else 1))
        lines[i] = lines[i][:place] + bytes([lines[i][place] ^ 1]) + lines[i][place + 1:]
    elif act == "delete":
        del lines[i]
    elif act == "insert":
        lines.insert(i, lines[other])
    else:
        lines[i], lines[other] = lines[other], lines[i]
    with open(path, "wb") as f:
        f.write(b"".join(lines))
    return f"{act} of line {i + 1}"


def verify(folder):
    done = subprocess.run([TOOL, "-o", "json", "audit", "verify", "--database", os.path.join(folder, "core.db"),
                           "--anchor", os.path.join(folder, "audit.anchor")], capture_output=True, text=True, timeout=60)
    check(done.returncode in (0, 1), f"{done.stdout}{done.stderr}")
    return [f["finding"] for f in json.loads(done.stdout)["findings"]]


def is_named(findings, first):
    """The first bad record itself, or the few among which it is."""
    numbers = [int(word.strip(",")) for word in findings[0].split() if word.strip(",").isdigit()]
    if "records" in findings[0]:
        return numbers[0] <= first <= numbers[1]
    return first in numbers


class Tampered:
    """A store and its anchor at rest, which are as they were before each tampering."""

    def __init__(self, data):
        self.folder = os.path.join(os.path.dirname(data), "tampered")
        os.makedirs(self.folder)
        self.whole = {}
        for name in ("core.db", "audit.anchor"):
            with open(os.path.join(data, "core", name), "rb") as f:
                self.whole[name] = f.read()
        self.path, self.anchor = (os.path.join(self.folder, name) for name in self.whole)
        self.put_back()
        with contextlib.closing(sqlite3.connect(self.path)) as db:
            self.records = db.execute("SELECT max(seq) FROM audit").fetchone()[0]

    def put_back(self):
        for name, octets in self.whole.items():
            with open(os.path.join(self.folder, name), "wb") as f:
                f.write(octets)

    def tamper(self, dice, is_clever):
        """What was done, and its first record; 0: it was the anchor."""
        self.put_back()
        act, at = dice.choice([flip, delete, insert, swap, truncate, blind, edit]), dice.randint(1, self.records)
        if act is edit:
            return edit(self.anchor, dice), 0
        with contextlib.closing(sqlite3.connect(self.path)) as db:
            db.executescript("PRAGMA synchronous=OFF; DROP TRIGGER audit_keeps_content;"
                             " DROP TRIGGER audit_keeps_records")
            first = blind(db, at, dice, self.anchor) if act is blind else act(db, at, dice)
            if is_clever and first is not None:
                chain(db)
            db.commit()
        return f"{act.__name__} at {at}{', chained anew' if is_clever else ''}", at if first is None else first


def thousand_tamperings_are_found():
    g = Gatehouse()
    g.start()
    live(g)
    g.stop()
    t = Tampered(g.data)
    check(not verify(t.folder), "untouched, nothing is found")
    dice = random.Random(4)
    missed, unnamed = [], []
    for n in range(TAMPERINGS):
        what, first = t.tamper(dice, n % 2)
        findings = verify(t.folder)
        if not findings:
            missed.append(what)
        elif not (is_named(findings, first) if first else "anchor" in findings[0]):
            unnamed.append(f"{what}: {findings}")
    print(f"        {TAMPERINGS - len(missed)} tamperings found of {TAMPERINGS}, the record named in"
          f" {TAMPERINGS - len(missed) - len(unnamed)}; {t.records} records")
    check(not missed and not unnamed, "\n".join(missed[:5] + unnamed[:5]))
    shutil.rmtree(g.folder)


# ---- damage ----

def damage(sql, *words):
    return sql, words


DAMAGES = {
    "an audit record is changed": damage("UPDATE audit SET payload=payload||' ' WHERE seq=1",
                                         "audit record 1 was changed"),
    "an audit record is gone": damage("DELETE FROM audit WHERE seq=3", "audit record 3 is missing"),
    "the end of the trail is gone": damage("DELETE FROM audit WHERE seq>(SELECT max(seq)-4 FROM audit)", "is gone"),
    "a serial twice": damage("DROP INDEX requests_serial; UPDATE requests SET serial=(SELECT serial FROM requests WHERE"
                             " state=20 ORDER BY id LIMIT 1) WHERE id=(SELECT max(id) FROM requests WHERE state=20)",
                             "stands in 2 requests"),
    "a serial that is negative": damage("UPDATE requests SET serial=CAST(x'ff'||substr(serial,2) AS BLOB) WHERE id=(SELECT min(id)"
                                        " FROM requests WHERE state=20)", "none may be"),
    "a certificate of other octets": damage("UPDATE certificates SET certificate=CAST(substr(certificate,1,200)||x'00'||"
                                            "substr(certificate,202) AS BLOB) WHERE request_id=(SELECT min(request_id) FROM"
                                            " certificates)", "certificate of request"),
    "another request's certificate": damage("UPDATE certificates SET certificate=(SELECT certificate FROM certificates"
                                            " ORDER BY request_id DESC LIMIT 1) WHERE request_id=(SELECT"
                                            " min(request_id) FROM certificates)", "has another serial than its row"),
    "issued without a certificate": damage("DELETE FROM certificates WHERE request_id=(SELECT min(request_id) FROM"
                                           " certificates)", "was issued and has no certificate"),
    "denied with a certificate": damage("UPDATE requests SET state=31 WHERE id=(SELECT min(request_id) FROM"
                                        " certificates)", "has a certificate in state 31", "the trail says issued"),
    "a revocation that is half gone": damage("UPDATE requests SET state=21 WHERE id=(SELECT min(request_id) FROM"
                                             " certificates)", "is revoked and its certificate is not"),
    "another plan": damage("UPDATE requests SET tbs=CAST(tbs||x'00' AS BLOB) WHERE id=(SELECT min(request_id) FROM certificates)",
                           "is not what was planned"),
    "no evidence": damage("UPDATE requests SET evidence=0 WHERE id=1", "request 1 came without evidence"),
    "an approval that nobody gave": damage("INSERT INTO approvals SELECT id, 'unix:mallory', 'hold', zeroblob(32), 0"
                                           " FROM requests LIMIT 1", "unix:mallory is not in the trail"),
    "approved by himself": damage("UPDATE approvals SET officer=(SELECT requester FROM requests WHERE id=request_id)",
                                  "was approved by its requester"),
    "a row of no request": damage("PRAGMA foreign_keys=OFF; INSERT INTO timeline(request_id, at_ms, actor, text)"
                                  " VALUES(4711, 0, 'x', 'y')", "that is not there"),
    "no trigger": damage("SELECT 1", "the trigger audit_keeps_content is missing"),
    "other dates": damage("UPDATE certificates SET not_after_s=not_after_s+1 WHERE request_id=(SELECT max(request_id)"
                          " FROM certificates)", "has other dates than its row"),
    "a plan without its serial": damage("UPDATE requests SET serial=NULL WHERE id=(SELECT min(request_id) FROM"
                                        " certificates)", "without its serial"),
    "the serial of an OCSP responder": damage(
        "INSERT INTO ocsp_responders(key_id, serial, not_before_s, not_after_s, sealed, spki, tbs, made_ms) SELECT"
        " (SELECT min(id) FROM ca_keys), serial, 0, 0, x'', x'', x'', 0 FROM requests WHERE state=20 LIMIT 1",
        "is that of OCSP responder"),
    "no index that keeps keys apart": damage("DROP INDEX ca_keys_state", "the index ca_keys_state is missing"),
    "a target that nobody knows": damage("UPDATE requests SET evidence=11, credential=NULL WHERE id=1",
                                         "request 1 was judged by a target that nobody knows"),
    "a credential that nobody knows": damage("UPDATE requests SET evidence=4 WHERE id=1", "a credential that nobody knows"),
    "a challenge that was used twice": damage("UPDATE requests SET credential_id=(SELECT id FROM credentials WHERE kind=4)"
                                              " WHERE id<3", "was used 0 times, by 2 requests"),
    "a use that the trail does not know": damage("UPDATE credentials SET used=1, uses_left=0 WHERE kind=4",
                                                 "was used 1 times, the trail tells of 0"),
    "an account that was not bound": damage("INSERT INTO credential_accounts SELECT id, 'mallory', 0 FROM credentials WHERE"
                                            " kind=3", "was used 0 times, by 1 accounts"),
    "a credential that nobody made": damage("UPDATE credentials SET id=4711 WHERE kind=4",
                                            "credential 4711 was made by nobody"),
    "revoked for no reason": damage("UPDATE certificates SET revoked_ms=1, revoked_reason=7 WHERE request_id=1",
                                    "for no reason that there is"),
    "a compromised key that is not blocked": damage(
        "UPDATE certificates SET revoked_ms=1, revoked_reason=1 WHERE request_id=1; UPDATE requests SET state=21 WHERE"
        " id=1", "is compromised and not blocked"),
    "issued for a blocked key": damage("INSERT INTO blocked_keys SELECT spki_hash, 0, x'01' FROM requests WHERE state=20"
                                       " LIMIT 1", "came with a key that was blocked and was issued"),
    "no timeline": damage("DELETE FROM timeline WHERE request_id=2", "request 2 has no timeline"),
    "a timeline that does not say issued": damage("DELETE FROM timeline WHERE text LIKE 'issued%'",
                                                  "its timeline does not say so"),
    "a timeline in another order": damage("UPDATE timeline SET id=-1 WHERE request_id=1 AND text LIKE 'issued%'",
                                          "stands before it was received"),
}


def damage_of_each_kind_is_found():
    g = Gatehouse()
    g.start()
    live(g)
    g.stop()
    core = os.path.join(g.data, "core")
    check(not g.tool_json("fsck", "--data", g.data)["findings"], "a whole store has no findings")
    with open(os.path.join(core, "core.db"), "rb") as f:
        whole = f.read()
    for name, (sql, words) in DAMAGES.items():
        with contextlib.closing(sqlite3.connect(os.path.join(core, "core.db"))) as db:
            db.executescript("DROP TRIGGER audit_keeps_content; DROP TRIGGER audit_keeps_records")
            db.executescript(sql)
        found = g.run_tool("fsck", "--data", g.data, output="json", code=1).stdout
        for word in words:
            check(word in found, f"{name}: no '{word}' in {found}")
        with open(os.path.join(core, "core.db"), "wb") as f:
            f.write(whole)
    with open(os.path.join(core, "core.db"), "r+b") as f:  # a page of the middle
        f.seek(len(whole) // 2 // 4096 * 4096)
        f.write(b"\xff" * 100)
    check(g.run_tool("fsck", "--data", g.data, code=1).stdout, "a page that is none")
    with open(os.path.join(core, "core.db"), "wb") as f:
        f.write(whole)
    with open(os.path.join(core, "audit.anchor"), "r+b") as f:
        text = f.read()
        place = text.index(b"\nhead ") + 10
        f.seek(place)
        f.write(b"8" if text[place:place + 1] == b"9" else b"9")
    check("of the anchor" in g.run_tool("fsck", "--data", g.data, code=1).stdout, "an anchor that was changed")
    print(f"        {len(DAMAGES) + 2} kinds of damage found of {len(DAMAGES) + 2}")
    shutil.rmtree(g.folder)


TESTS = [says_who_did_what, running_core_finds_what_was_changed, damage_of_each_kind_is_found,
         thousand_tamperings_are_found]

if __name__ == "__main__":
    main([t for t in TESTS if not sys.argv[1:] or t.__name__ in sys.argv[1:]])
