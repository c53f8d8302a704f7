#!/usr/bin/python3
"""A backup is made while certificates are issued; put back, the CA knows what it does not know, and repeats no serial."""
import contextlib
import os
import shutil
import sqlite3
import stat
import sys
import tarfile
import threading
import time

from acme_client import Client, Responder, b64
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from gatehouse import DOMAIN, Gatehouse, check, main

AFTER = 100  # certificates that the backup does not know


def serial(chain):
    return format(x509.load_pem_x509_certificate(chain.encode()).serial_number, "x").zfill(32)


@contextlib.contextmanager
def started(g):
    g.start()
    responder = Responder(g.http01_port)
    try:
        yield Client(g, responder).start()
    finally:
        responder.close()


class Load:
    """Certificates one after the other, until it is told to end."""

    def __init__(self, client):
        self.client, self.serials, self.is_over = client, [], False
        self.thread = threading.Thread(target=self.run)

    def run(self):
        while not self.is_over:
            self.serials.append(serial(self.client.get_certificate(f"load{len(self.serials)}.{DOMAIN}")))

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.is_over = True
        self.thread.join()


def core_rows(g, sql):
    with contextlib.closing(sqlite3.connect(os.path.join(g.data, "core", "core.db"), timeout=10)) as db:
        return db.execute(sql).fetchall()


def serials(g):
    return {row[0] for row in core_rows(g, "SELECT lower(hex(serial)) FROM certificates")}


def crl_number(g):
    return g.tool_json("ca", "crl")["crls"][0]["number"]


def put_back_under_load():
    g = Gatehouse()
    backup = os.path.join(g.folder, "ca.tar")
    with started(g) as client:
        with Load(client) as load:
            while len(load.serials) < 10:
                pass
            g.run_tool("server", "backup", backup, "--data", g.data)
            before = len(load.serials)
            while len(load.serials) < before + 10:
                pass
        chains = [client.get_certificate(f"after{i}.{DOMAIN}") for i in range(AFTER)]
        told = load.serials + [serial(chain) for chain in chains]
        revoked = told[-1]
        der = x509.load_pem_x509_certificate(chains[-1].encode()).public_bytes(serialization.Encoding.DER)
        client.post(client.directory["revokeCert"], {"certificate": b64(der), "reason": 1})
        g.run_tool("ca", "crl", "--publish")
        number = crl_number(g)
        g.stop()
    known = serials(g)
    check(stat.S_IMODE(os.stat(backup).st_mode) == 0o600, "the backup is its owner's alone")
    check(not [n for n in os.listdir(g.folder) if "partial" in n], "nothing is left beside it")
    names = tarfile.open(backup).getnames()
    check(names == ["gateway/acme-acme.db", "core/audit.anchor", "core/core.db", "MANIFEST"], f"the archive has {names}")
    with open(os.path.join(g.data, "kek"), "rb") as f:
        check(f.read() not in open(backup, "rb").read(), "the key-encryption key is not in the backup")
    g.run_tool("server", "restore", backup, "--data", g.data)
    lost = known - serials(g)
    check(len(lost) >= AFTER, f"the backup is older: {len(lost)}")
    # What was planned and not signed when the backup was made is finished from its row.
    planned = core_rows(g, "SELECT count(*) FROM requests WHERE state=8 AND serial IS NOT NULL")[0][0]
    with started(g) as client:
        check(serials(g) == known, "every certificate is known again")
        found = core_rows(g, "SELECT count(*) FROM requests WHERE protocol='recovered'")[0][0]
        check(found == len(lost) - planned, f"{found} recovered, {planned} finished of {len(lost)}")
        check({r[0] for r in core_rows(g, "SELECT lower(hex(serial)) FROM certificates WHERE revoked_ms IS NOT NULL"
                                          " AND revoked_reason=1")} == {revoked}, "and what was revoked is revoked")
        new = [serial(client.get_certificate(f"new{i}.{DOMAIN}")) for i in range(20)]
        check(len(set(new + told)) == len(new) + len(told), "no serial twice")
        listed = g.tool_json("cert", "list")["certificates"]
        check({c["serial"] for c in listed} == known | set(new), "the tool shows them")
        check(g.tool_json("audit", "verify")["ok"], "the trail is whole")
        g.run_tool("ca", "crl", "--publish")
        check(number < crl_number(g) < number + 10, f"list {crl_number(g)} came after list {number}")
        g.stop()
    check(not (f := g.tool_json("fsck", "--data", g.data)["findings"]), f"the checker finds nothing: {f}")
    print(f"        {len(lost)} certificates of {len(known)} were not in the backup and were found again;"
          f" {len(new) + len(told)} serials, none twice")
    shutil.rmtree(g.folder)


def purge_is_no_obstacle():
    g = Gatehouse()
    backup = os.path.join(g.folder, "ca.tar")
    with started(g) as client:
        location, order = client.order(f"hold.{DOMAIN}")
        client.prove(order)
        client.finalize(order, client.csr(f"hold.{DOMAIN}"))
        g.run_tool("deny", str(g.wait_pending(f"hold.{DOMAIN}")["id"]), "--reason", "no")
        g.run_tool("server", "backup", backup, "--data", g.data)
        time.sleep(1)
        g.run_tool("request", "purge", "--failed", "--before", time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()))
        check(g.tool_json("audit", "search", "--action", "purge")["records"], "it was purged")
        client.get_certificate(f"a.{DOMAIN}")
        g.stop()
    known = serials(g)
    g.run_tool("server", "restore", backup, "--data", g.data)
    with started(g):
        check(serials(g) == known, "what was issued since is there again")
        check("restore:" not in g.run_tool("status").stdout, "and nothing was left out")
        g.stop()
    shutil.rmtree(g.folder)


def onto_another_machine():
    """Only the backup and the key-encryption key are left."""
    g = Gatehouse()
    backup = os.path.join(g.folder, "ca.tar")
    with started(g) as client:
        url, _, _ = client.get_order(f"a.{DOMAIN}")
        key, kid = client.key, client.kid
        g.run_tool("ca", "crl", "--publish")
        g.run_tool("server", "backup", backup, "--data", g.data)
        for _ in range(3):
            g.run_tool("ca", "crl", "--publish")
        number = crl_number(g)
        g.stop()
    shutil.copy(os.path.join(g.data, "kek"), g.folder)
    shutil.rmtree(g.data)
    os.makedirs(g.data, mode=0o755)
    shutil.copy(os.path.join(g.folder, "kek"), g.data)
    g.run_tool("server", "restore", backup, "--data", g.data)
    with started(g) as client:
        client.use_key(key)
        client.kid = kid
        check(client.poll(url)["status"] == "valid", "account and order are there")
        g.run_tool("ca", "crl", "--publish")
        check(crl_number(g) > number, f"list {crl_number(g)} came after list {number}, which the backup does not know")
        went_on = crl_number(g)
        g.run_tool("ca", "crl", "--publish")
        check(crl_number(g) == went_on + 1, "numbers jump")
        g.stop()
    shutil.rmtree(g.folder)


def what_is_no_backup_is_refused():
    g = Gatehouse()
    backup = os.path.join(g.folder, "ca.tar")
    with started(g) as client:
        client.get_certificate(f"a.{DOMAIN}")
        g.run_tool("server", "backup", backup, "--data", g.data)
        g.run_tool("server", "restore", backup, "--data", g.data, code=1)  # it runs
        g.stop()
    with open(backup, "rb") as f:
        whole = f.read()
    before = serials(g)
    for name, octets in {"cut": whole[:-3000], "flipped": whole[:len(whole) // 2] + b"\x01" + whole[len(whole) // 2 + 1:],
                         "empty": b"", "text": b"no backup at all\n" * 100,
                         "another path": whole.replace(b"core/core.db", b"core/../a.db")}.items():
        with open(backup, "wb") as f:
            f.write(octets)
        done = g.run_tool("server", "restore", backup, "--data", g.data, code=1)
        check("backup" in done.stderr, f"{name}: {done.stderr}")
        check(serials(g) == before and not os.path.exists(os.path.join(g.data, "core", "restored")), f"{name} changed")
    shutil.rmtree(g.folder)


def snapshot_is_accepted_when_somebody_says_so():
    g = Gatehouse()
    core = os.path.join(g.data, "core")
    with started(g) as client:
        client.get_certificate(f"a.{DOMAIN}")
        g.stop()
    shutil.copy(os.path.join(core, "core.db"), g.folder)
    with started(g) as client:
        client.get_certificate(f"b.{DOMAIN}")
        g.stop()
    known = serials(g)
    shutil.copy(os.path.join(g.folder, "core.db"), core)
    g.spawn()
    check(g.process.wait(30) != 0, "a store older than its anchor is not used")
    check("older than its anchor" in g.log_tail(30), f"and that is said: {g.log_tail(30)}")
    g.run_tool("server", "restore", "--accept", "--data", g.data)
    with started(g):
        check(serials(g) == known, "what the snapshot does not know was brought back")
        g.stop()
    shutil.rmtree(g.folder)


TESTS = [put_back_under_load, purge_is_no_obstacle, onto_another_machine, what_is_no_backup_is_refused,
         snapshot_is_accepted_when_somebody_says_so]

if __name__ == "__main__":
    main([t for t in TESTS if not sys.argv[1:] or t.__name__ in sys.argv[1:]])
