"""Many revoked certificates in a store, and what a publication of the CRL about them costs."""
import contextlib
import os
import sqlite3
import threading
import time

from gatehouse import check

NUMBERS = "WITH RECURSIVE n(i) AS (SELECT ?3+1 UNION ALL SELECT i+1 FROM n WHERE i<?1) "
FIRST = 1000000  # the number of the first request, beyond those that the test itself makes

# ?1 is how many, ?2 the time in milliseconds, ?3 how many there are.
FILLS = (
    NUMBERS + f"""INSERT INTO requests(id, state, version, ca, protocol, endpoint, profile, requester, intermediary,
        evidence, received_ms, submitted_ms, first_seen_ms, resolved_ms, retry_after_s, collect_ms, csr, csr_hash,
        spki_hash, names_key, asked_subject, subject, raw_attributes, transaction_key, key_until_ms, status, reason,
        rule, trace, serial, key_id, not_before_s, not_after_s, template_s, edited, key_type, key_bits, any_scope)
    SELECT {FIRST}+i, 21, 1, 'Test CA', 'acme', 'acme', 'server', 'acme:1', 'gateway', 1, ?2, ?2, ?2, ?2, 5, 86400000,
        x'30', randomblob(32), randomblob(32), randomblob(32), '', 'CN=h'||i, '', randomblob(32), 0, 0, '', '', '',
        CAST(x'0100'||randomblob(14) AS BLOB), (SELECT min(id) FROM ca_keys WHERE ca='Test CA'), ?2/1000-60,
        ?2/1000+7776000, 7776000, 0, 'ec-p256', 256, 0 FROM n""",
    f"""INSERT INTO certificates(serial, request_id, ca, key_id, certificate, not_before_s, not_after_s, issued_ms,
        revoked_ms, revoked_reason)
    SELECT serial, id, ca, key_id, x'3000', not_before_s, not_after_s, resolved_ms, ?2, CASE WHEN id%3 THEN 4 ELSE 1 END
    FROM requests WHERE id>{FIRST}+?3 AND ?1""",
)


def add(g, n, first=0):
    """A daemon that runs gets so many revoked certificates, of which it has the `first`; it is stopped for it, and their
    octets are none."""
    g.stop()
    path = os.path.join(g.data, "core", "core.db")
    with contextlib.closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA synchronous=OFF")
        for fill in FILLS:
            db.execute(fill, (n, int(time.time() * 1000), first))
        db.commit()
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    g.start()
    # The first may have been under way before they were there.
    check(any(publish(g).entries == n for _ in range(3)), f"the CRL has {list_in_force(g)['entries']} entries, not {n}")


def memory_kb(pid, key):
    with open(f"/proc/{pid}/status", encoding="ascii") as f:
        return int([line for line in f if line.startswith(key + ":")][0].split()[1])


def cpu_s(pid):
    """Of the threads that live, finer than a tick."""
    total = 0
    for task in os.listdir(f"/proc/{pid}/task"):
        with contextlib.suppress(OSError), open(f"/proc/{pid}/task/{task}/schedstat", encoding="ascii") as f:
            total += int(f.read().split()[0])
    return total / 1e9


def list_in_force(g):
    lists = [c for c in g.tool_json("ca", "crl")["crls"] if c["ca"] == "Test CA"]
    return lists[0] if lists else {"number": 0, "entries": 0}


class Cost:
    """Of one publication, by process."""

    def __init__(self):
        self.cpu_s, self.before_kb, self.peak_kb = {}, {}, {}
        self.took_s, self.size, self.entries = 0, 0, 0


def publish(g):
    cost, number = Cost(), list_in_force(g)["number"]
    pids = {role: pid for role, pid in g.processes().items() if role in ("core", "signer")}
    for role, pid in pids.items():
        with open(f"/proc/{pid}/clear_refs", "w", encoding="ascii") as f:
            f.write("5")  # the peak begins anew
        cost.before_kb[role], cost.cpu_s[role] = memory_kb(pid, "VmRSS"), -cpu_s(pid)
    began = time.monotonic()
    g.run_tool("ca", "crl", "--publish")
    while (now := list_in_force(g))["number"] == number:
        check(time.monotonic() - began < 120, "no list is published after two minutes")
        time.sleep(0.05)
    cost.took_s, cost.size, cost.entries = time.monotonic() - began, now["size"], now["entries"]
    for role, pid in pids.items():
        cost.peak_kb[role] = memory_kb(pid, "VmHWM")
        cost.cpu_s[role] += cpu_s(pid)
    return cost


class Publishing:
    """Publications one after the other, meanwhile."""

    def __init__(self, g):
        self.g, self.n, self.failure = g, 0, None
        self.ends = threading.Event()
        self.thread = threading.Thread(target=self.run, daemon=True)

    def run(self):
        try:
            while not self.ends.is_set():
                publish(self.g)
                self.n += 1
        except Exception as e:  # told to the test
            self.failure = e

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, kind, *_):
        self.ends.set()
        self.thread.join(150)
        if not kind and self.failure:
            raise self.failure
