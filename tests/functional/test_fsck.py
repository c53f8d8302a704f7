#!/usr/bin/python3
"""The independent checker holds the revocation lists in force against the rows: each kind of damage is found, and what is
merely on its way is none."""
import contextlib
import os
import shutil
import sqlite3
import subprocess
import sys
import threading

from acme_client import Client, Responder
from gatehouse import DOMAIN, Gatehouse, check, gatehouse, main


def slow_lists(g):
    """After a revocation no list follows by itself: the test says when."""
    with open(g.config, encoding="utf-8") as f:
        text = f.read()
    with open(g.config, "w", encoding="utf-8") as f:
        f.write(text.replace("  - name: Test CA\n", "  - name: Test CA\n    crl: {delay: 50s}\n", 1))


def live(g, n=4):
    with contextlib.closing(Responder(g.http01_port)) as responder:
        client = Client(g, responder).start()
        for i in range(n):
            client.get_certificate(f"n{i}.{DOMAIN}")
    return [r["id"] for r in sorted(g.requests(), key=lambda r: r["id"]) if r["names"][0].startswith("n")]


def revoke(g, number, reason="superseded"):
    g.run_tool("revoke", str(number), "--reason", reason)


def publish(g):
    g.run_tool("ca", "crl", "--publish")


def findings(g):
    found = g.run_tool("fsck", "--data", g.data, output="json", code=None)
    return found.stdout if found.returncode else ""


def list_in_force(g):
    folder = os.path.join(g.data, "core", "crl")
    names = os.listdir(folder)
    check(len(names) == 1, f"lists: {names}")
    return os.path.join(folder, names[0])


def execute(g, sql):
    with contextlib.closing(sqlite3.connect(os.path.join(g.data, "core", "core.db"))) as db:
        db.executescript("DROP TRIGGER IF EXISTS audit_keeps_content; DROP TRIGGER IF EXISTS audit_keeps_records")
        db.executescript(sql)


# {0}, {1}: numbers of revoked requests; {2}: of one that is not.
DAMAGED_ROWS = {
    "a revocation that no list says": (
        "UPDATE certificates SET revoked_ms=1000000, revoked_reason=4 WHERE request_id={2}", "is revoked and not in it"),
    "a revocation that was taken back": (
        "UPDATE certificates SET revoked_ms=NULL, revoked_reason=NULL WHERE request_id={0}", "is in it and not revoked"),
    "a revocation of another day": (
        "UPDATE certificates SET revoked_ms=revoked_ms-86400000 WHERE request_id={0}", "at another time"),
    "a revocation for another reason": (
        "UPDATE certificates SET revoked_reason=5 WHERE request_id={0}", "for another reason"),
    "a revoked certificate of another key": (
        "UPDATE certificates SET key_id=key_id+1 WHERE request_id={0}", "of another key or part"),
    "a serial that the list does not know": (
        "UPDATE certificates SET serial=CAST(randomblob(16) AS BLOB) WHERE request_id={1}", "is revoked and not in it"),
    "an entry about nothing": (
        "PRAGMA foreign_keys=OFF; UPDATE audit SET payload=replace(payload, '\"action\":\"revoke\"', '\"action\":\"x\"');"
        " DELETE FROM certificates WHERE request_id={1}", "is in it and nobody knows it"),
    "a list whose file is not there": ("UPDATE crls SET number=number+1", "cannot be opened"),
    "a list with other dates": ("UPDATE crls SET next_update_s=next_update_s+1", "has other dates than its row"),
    "a list with another number of entries": ("UPDATE crls SET entries=7", "has 2 entries, its row says 7"),
    "a list of a key that is not there": ("UPDATE crls SET key_id=4711", "of key 4711, which is not there"),
}


def cut(octets, serial):
    return octets[:-20]


def extend(octets, serial):
    return octets + b"\0"


def change_an_entry(octets, serial):
    place = octets.index(serial) + len(serial) - 1
    return octets[:place] + bytes([octets[place] ^ 1]) + octets[place + 1:]


def change_the_signature(octets, serial):
    return octets[:-1] + bytes([octets[-1] ^ 1])


DAMAGED_FILES = {
    cut: ["cannot be read"],
    extend: ["cannot be read"],
    change_an_entry: ["is revoked and not in it", "nobody knows it", "does not verify"],
    change_the_signature: ["does not verify"],
}


def damage_of_each_kind_is_found():
    g = Gatehouse()
    slow_lists(g)
    g.start()
    numbers = live(g)
    revoke(g, numbers[0])
    revoke(g, numbers[1], "cessationOfOperation")
    publish(g)
    serial = g.tool_json("show", str(numbers[0]))["request"]["serial"]
    g.stop()
    check(not findings(g), f"a whole store has no findings: {findings(g)}")
    path, at = os.path.join(g.data, "core", "core.db"), list_in_force(g)
    for kept in path, at:
        shutil.copy(kept, kept + ".kept")
    os.rename(at + ".kept", os.path.join(g.folder, "kept.crl"))
    for name, (sql, word) in DAMAGED_ROWS.items():
        execute(g, sql.format(*numbers))
        check(word in (found := findings(g)), f"{name}: no '{word}' in {found}")
        shutil.copy(path + ".kept", path)
    with open(at, "rb") as f:
        whole = f.read()
    for change, words in DAMAGED_FILES.items():
        with open(at, "wb") as f:
            f.write(change(whole, bytes.fromhex(serial)))
        for word in words:
            check(word in (found := findings(g)), f"{change.__name__}: no '{word}' in {found}")
    with open(at, "wb") as f:
        f.write(b"")
    check("cannot be opened" in (found := findings(g)), f"an empty file: {found}")
    with open(at, "wb") as f:
        f.write(whole)
    # The list as it was, under the next number.
    os.rename(at, at.rsplit("-", 1)[0] + "-" + str(int(at.rsplit("-", 1)[1][:-4]) + 1) + ".crl")
    execute(g, "UPDATE crls SET number=number+1")
    check("has another number than its row" in (found := findings(g)), f"another number: {found}")
    print(f"        {len(DAMAGED_ROWS) + len(DAMAGED_FILES) + 2} kinds of damage found")
    shutil.rmtree(g.folder)


def a_list_by_another_key_is_found():
    """A list that says all that is true, but is signed by whoever had a key at hand; openssl made it."""
    g = Gatehouse()
    g.start()
    live(g, 1)
    publish(g)
    g.stop()
    at, folder = list_in_force(g), os.path.join(g.folder, "other")
    os.mkdir(folder)
    for name, text in ("index.txt", ""), ("number", "01\n"), ("ca.cnf", f"[ca]\ndefault_ca=d\n[d]\ndatabase={folder}/index.txt\n"
                       f"crlnumber={folder}/number\ndefault_md=sha256\ndefault_crl_days=1\ncrl_extensions=x\n"
                       "[x]\nauthorityKeyIdentifier=keyid\n"):
        with open(os.path.join(folder, name), "w", encoding="ascii") as f:
            f.write(text)
    for words in (["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=Test CA",
                   "-keyout", f"{folder}/key", "-out", f"{folder}/ca.pem"],
                  ["ca", "-config", f"{folder}/ca.cnf", "-gencrl", "-keyfile", f"{folder}/key", "-cert", f"{folder}/ca.pem",
                   "-out", f"{folder}/crl.pem"],
                  ["crl", "-in", f"{folder}/crl.pem", "-outform", "DER", "-out", at]):
        done = subprocess.run(["openssl", *words], capture_output=True, text=True, timeout=60)
        check(done.returncode == 0, f"openssl {words[0]}: {done.stderr}")
    check("does not verify under its key" in (found := findings(g)), f"another key: {found}")
    shutil.rmtree(g.folder)


def what_is_on_its_way_is_no_damage():
    g = Gatehouse()
    slow_lists(g)
    g.start()
    numbers = live(g)
    revoke(g, numbers[0])
    publish(g)
    revoke(g, numbers[1])
    check(not findings(g), f"the next list will say it: {findings(g)}")
    publish(g)
    publish(g)
    serial = g.tool_json("show", str(numbers[2]))["request"]["serial"]
    for verb in "hold", "release":
        g.run_tool("cert", verb, serial)
    revoke(g, numbers[3])
    g.stop()
    check(not findings(g), f"after a stop too: {findings(g)}")
    # But what stood in the list before must be in this one.
    execute(g, f"UPDATE certificates SET revoked_ms=NULL, revoked_reason=NULL WHERE request_id={numbers[1]}")
    check("is in it and not revoked" in (found := findings(g)), found)
    shutil.rmtree(g.folder)


def lists_may_be_replaced_meanwhile():
    with gatehouse() as g:
        numbers = live(g, 6)
        over = threading.Event()

        def replace():
            while not over.wait(0.05):
                publish(g)

        thread = threading.Thread(target=replace)
        thread.start()
        try:
            for number in numbers:
                revoke(g, number)
                check(not findings(g), f"beside a daemon that publishes: {findings(g)}")
        finally:
            over.set()
            thread.join()


TESTS = [damage_of_each_kind_is_found, a_list_by_another_key_is_found, what_is_on_its_way_is_no_damage,
         lists_may_be_replaced_meanwhile]

if __name__ == "__main__":
    main([t for t in TESTS if not sys.argv[1:] or t.__name__ in sys.argv[1:]])
