#!/usr/bin/python3
"""A backup is made while certificates are issued; put back, the CA knows what it does not know, and repeats no serial."""
import contextlib
import glob
import os
import shutil
import sqlite3
import stat
import subprocess
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
    """0: none is in force yet."""
    return max([c["number"] for c in g.tool_json("ca", "crl")["crls"]], default=0)


def wait_until(is_so, what, wait_s=30):
    end = time.monotonic() + wait_s
    while not is_so():
        check(time.monotonic() < end, f"{what()}, after {wait_s} s")
        time.sleep(0.1)


def listed(g, above=0):
    """{serial: (reason, date)} of the CRL in force, when its number is above that."""
    number = crl_number(g)
    found = glob.glob(os.path.join(g.data, "core", "crl", f"*-0-{number}.crl"))
    if number <= above or not found:
        return {}
    with open(found[0], "rb") as f:
        crl = x509.load_der_x509_crl(f.read())
    return {format(entry.serial_number, "x").zfill(32): (entry.extensions[0].value.reason.value, entry.revocation_date)
            for entry in crl}


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
        wait_until(lambda: revoked in listed(g), lambda: f"{revoked} is revoked, the list has {listed(g)}")
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
        shown = g.tool_json("cert", "list")["certificates"]
        check({c["serial"] for c in shown} == known | set(new), "the tool shows them")
        check(g.tool_json("audit", "verify")["ok"], "the trail is whole")
        wait_until(lambda: revoked in listed(g, number), lambda: f"no list above {number} says it: {listed(g, number)}")
        check(number < crl_number(g) < number + 10, f"list {crl_number(g)} came after list {number}")
        g.stop()
    check(not (f := g.tool_json("fsck", "--data", g.data)["findings"]), f"the checker finds nothing: {f}")
    print(f"        {len(lost)} certificates of {len(known)} were not in the backup and were found again;"
          f" {len(new) + len(told)} serials, none twice")
    shutil.rmtree(g.folder)


def now(shift_s=0):
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + shift_s))


def hold(g, client, name):
    """A request that waits, its number and its key."""
    _, order = client.order(name)
    client.prove(order)
    client.finalize(order, client.csr(name))
    return g.wait_pending(name)["id"]


def by_name(g):
    """{name: (serial, request)} of certificates."""
    found = g.tool_json("cert", "list")["certificates"]
    return {c["names"][0]: (c["serial"], c["request"]) for c in found if c["names"]}


def signed_elsewhere(g, request, pem):
    """What an offline signer with the key of this CA makes of a request that waits: here that is another daemon."""
    other = Gatehouse()
    shutil.rmtree(other.data)
    subprocess.run(["cp", "-a", g.data, other.data], check=True)
    other.start()
    other.run_tool("approve", str(request), "--yes")
    with open(pem, "w", encoding="ascii") as f:
        f.write(other.run_tool("cert", "export", str(request)).stdout)
    other.stop()
    shutil.rmtree(other.folder)


def foreign_certificate(g, pem):
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj",
                    "/CN=foreign", "-addext", "subjectAltName=DNS:foreign.test", "-keyout", os.path.join(g.folder, "k"),
                    "-out", pem], check=True, capture_output=True)


def statuses(g):
    return core_rows(g, "SELECT lower(hex(c.serial)), state, revoked_reason, revoked_ms/1000 FROM certificates c JOIN"
                        " requests ON id=request_id ORDER BY 1")


def gets_its_octets_back(g, number, pem, state):
    """All but the certificate itself is known, until somebody brings it."""
    pem = pem or glob.glob(os.path.join(g.issued, f"*-{number}.pem"))[0]
    before = g.tool_json("cert", "status", number)
    check(before["state"] == state and not before["expired"], f"its status is known: {before}")
    done = g.run_tool("cert", "export", number, code=3)
    check("not known here" in done.stderr and not done.stdout, f"no certificate that is none: {done}")
    check("not known here" in g.run_tool("cert", "show", number).stdout, "it is shown without")
    check("sha256" not in g.tool_json("cert", "show", number)["certificate"], "and nothing is hashed")
    g.run_tool("cert", "import", pem)
    with open(pem, encoding="ascii") as f:
        text = f.read()
    check(g.run_tool("cert", "export", number).stdout in text, "it is there again")
    check(g.tool_json("cert", "status", number) == before, "and its status is what it was")
    if state == "valid":
        g.run_tool("cert", "import", pem, code=6)  # as any other that is there


def what_people_did_since():
    """All that officers and administrators can do to certificates and credentials, between a backup and its restore."""
    g = Gatehouse()
    backup = os.path.join(g.folder, "ca.tar")
    signed, foreign = os.path.join(g.folder, "signed.pem"), os.path.join(g.folder, "foreign.pem")
    foreign_certificate(g, foreign)
    with started(g) as client:
        for name in "held", "released", "dated", "kept":
            client.get_certificate(f"{name}.{DOMAIN}")
        g.run_tool("cert", "hold", str(by_name(g)[f"released.{DOMAIN}"][1]))
        offline, denied = hold(g, client, f"hold-offline.{DOMAIN}"), hold(g, client, f"hold-denied.{DOMAIN}")
        g.stop()
    signed_elsewhere(g, offline, signed)
    with started(g) as client:
        challenge = g.tool_json("challenge", "create", "--endpoint", "acme", "--scope", f"*.{DOMAIN}")["id"]
        eab = g.tool_json("eab", "create", "--endpoint", "acme", "--scope", f"*.{DOMAIN}")["name"]
        g.run_tool("server", "backup", backup, "--data", g.data)
        g.run_tool("deny", str(denied), "--reason", "no")
        g.run_tool("cert", "import", signed, "--existing")
        g.run_tool("cert", "import", foreign, "--foreign")
        g.run_tool("revoke", str(offline), "--reason", "keyCompromise")
        g.run_tool("cert", "hold", str(by_name(g)[f"held.{DOMAIN}"][1]))
        g.run_tool("cert", "release", str(by_name(g)[f"released.{DOMAIN}"][1]))
        dated = now(-20)
        g.run_tool("revoke", str(by_name(g)[f"dated.{DOMAIN}"][1]), "--reason", "superseded", "--at", dated)
        client.get_certificate(f"new.{DOMAIN}")
        g.run_tool("challenge", "revoke", str(challenge))
        g.run_tool("eab", "revoke", eab)
        time.sleep(1.1)  # what is purged was denied before, in whole seconds
        g.run_tool("request", "purge", "--yes", "--failed", "--before", now())
        check(g.tool_json("audit", "search", "--action", "purge")["records"], "the denied one was purged")
        reasons = {"certificateHold", "keyCompromise", "superseded"}
        wait_until(lambda: {reason for reason, _ in listed(g).values()} == reasons and len(listed(g)) == 3,
                   lambda: f"three are revoked, the list has {listed(g)}")
        known, told, rows, number = serials(g), listed(g), statuses(g), crl_number(g)
        g.stop()
    check(not (f := g.tool_json("fsck", "--data", g.data)["findings"]), f"the checker finds nothing before: {f}")
    g.run_tool("server", "restore", backup, "--data", g.data)
    with started(g) as client:
        check(serials(g) == known, "every certificate is known again")
        check(statuses(g) == rows, f"in its state: {rows} became {statuses(g)}")
        wait_until(lambda: listed(g, number) == told, lambda: f"nobody published a list of {told}: {listed(g, number)}")
        live = core_rows(g, "SELECT count(*) FROM credentials WHERE revoked_ms IS NULL")[0][0]
        check(live == 0, f"{live} credentials live again")
        check("restore:" not in g.run_tool("status").stdout, f"something was left out: {g.run_tool('status').stdout}")
        check(g.tool_json("audit", "verify")["ok"], "the trail is whole")
        gets_its_octets_back(g, by_name(g)[f"new.{DOMAIN}"][0], None, "valid")
        gets_its_octets_back(g, by_name(g)[f"hold-offline.{DOMAIN}"][0], signed, "revoked")
        g.stop()
    check(not (f := g.tool_json("fsck", "--data", g.data)["findings"]), f"the checker finds nothing: {f}")
    shutil.rmtree(g.folder)


def edited_anchor_is_not_believed():
    """Somebody takes out the line by which a certificate was revoked after the backup."""
    g = Gatehouse()
    backup, anchor = os.path.join(g.folder, "ca.tar"), os.path.join(g.data, "core", "audit.anchor")
    with started(g) as client:
        client.get_certificate(f"a.{DOMAIN}")
        g.run_tool("server", "backup", backup, "--data", g.data)
        g.run_tool("revoke", str(by_name(g)[f"a.{DOMAIN}"][1]), "--reason", "superseded")
        g.stop()
    with open(anchor, "rb") as f:
        lines = f.read().splitlines(keepends=True)
    edited = [line for line in lines if b'"action":"revoke"' not in line]
    check(len(edited) == len(lines) - 1, "one line is about it")
    with open(anchor, "wb") as f:
        f.write(b"".join(edited))
    g.run_tool("server", "restore", backup, "--data", g.data)
    g.spawn()
    check(g.process.wait(30) != 0, "an edited anchor is not believed")
    check("was changed, so nothing that the file says is brought back" in g.log_tail(30), f"it says so: {g.log_tail(30)}")
    with open(anchor, "wb") as f:  # the copy that is kept elsewhere
        f.write(b"".join(lines))
    with started(g):
        check([row[1:3] for row in statuses(g)].count((21, 4)) == 1, f"it is revoked: {statuses(g)}")
        g.stop()
    # Without a copy: the backup's own, which knows nothing of it.
    os.rename(anchor, anchor + ".edited")
    g.run_tool("server", "restore", backup, "--data", g.data)
    with started(g):
        check(all(row[1] == 20 for row in statuses(g)), f"nobody knows any more: {statuses(g)}")
        check(g.tool_json("audit", "verify")["ok"], "the trail is whole")
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


TESTS = [put_back_under_load, what_people_did_since, edited_anchor_is_not_believed, onto_another_machine,
         what_is_no_backup_is_refused, snapshot_is_accepted_when_somebody_says_so]

if __name__ == "__main__":
    main([t for t in TESTS if not sys.argv[1:] or t.__name__ in sys.argv[1:]])
