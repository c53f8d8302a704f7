#!/usr/bin/python3
"""The tool revokes, holds and releases; openssl reads the CRL that the daemon makes with its signer and agrees."""
import glob
import os
import subprocess
import time

from clients import Certbot
from gatehouse import DOMAIN, check, gatehouse, main


def crl(g):
    """Serials on the CRL in force, after openssl has checked its signature."""
    path = os.path.join(g.folder, "copy.crl")
    for _ in range(100):
        newest = max(glob.glob(os.path.join(g.data, "core", "crl", "*-0-*.crl")),
                     key=lambda p: int(p.rsplit("-", 1)[1].split(".")[0]))
        try:
            with open(newest, "rb") as f, open(path, "wb") as copy:
                copy.write(f.read())
            break
        except FileNotFoundError:  # replaced just now
            continue
    root = os.path.join(g.folder, "root-of-crl.pem")
    with open(root, "w", encoding="ascii") as f:
        f.write(g.run_tool("trust", "show", "--pem").stdout)
    done = subprocess.run(["openssl", "crl", "-inform", "DER", "-in", path, "-noout", "-text", "-CAfile", root],
                          capture_output=True, text=True, check=False)
    check(done.returncode == 0 and "verify OK" in done.stderr, f"openssl crl: {done.stderr}")
    return [line.split(":")[1].strip().lower() for line in done.stdout.splitlines() if "Serial Number:" in line]


def wait_crl(g, wanted, wait_s=20):
    end = time.monotonic() + wait_s
    while sorted(crl(g)) != sorted(wanted):
        check(time.monotonic() < end, f"the CRL has {crl(g)}, not {wanted}")
        time.sleep(0.2)


def serial_of(g, name):
    found = [c for c in g.tool_json("cert", "list")["certificates"] if name in c["names"]]
    check(len(found) == 1, f"{len(found)} certificates for {name}")
    return found[0]["serial"]


def revoked_held_and_released():
    with gatehouse() as g:
        certbot = Certbot(g)
        names = [f"r{i}.{DOMAIN}" for i in range(2)]
        for name in names:
            code, output = certbot.get(name)
            check(code == 0, f"certbot: {output}")
        first, second = (serial_of(g, name) for name in names)
        g.run_tool("ca", "crl", "--publish")
        check(crl(g) == [], "nothing is revoked yet")
        g.run_tool("revoke", first, "--reason", "nonsense", code=2)
        g.run_tool("revoke", first, "--reason", "superseded")
        g.run_tool("revoke", first, "--reason", "superseded", code=6)
        g.run_tool("cert", "hold", second)
        check("revoked, superseded" in g.run_tool("cert", "status", first).stdout, "status of a revoked certificate")
        check(g.run_tool("cert", "status", "55" * 16, code=3).stdout.startswith("never issued"), "a serial of nobody")
        # By itself, within a minute; here a few seconds.
        wait_crl(g, [first, second])
        g.run_tool("cert", "release", second)
        wait_crl(g, [first])
        lists = g.tool_json("ca", "crl")["crls"]
        check(len(lists) == 1 and lists[0]["number"] >= 3 and lists[0]["entries"] == 1, f"ca crl: {lists}")
        check("add --yes" in g.run_tool("request", "purge", "--before", "2020-01-01T00:00:00Z", code=2).stderr, "it asks")
        g.run_tool("request", "purge", "--yes", "--before", "2020-01-01T00:00:00Z")
        g.check_trace()
        # The number goes on, and nothing is forgotten, when the core is killed.
        g.kill_role("core")
        g.wait_role("core")
        g.run_tool("ca", "crl", "--publish")
        check(g.tool_json("ca", "crl")["crls"][0]["number"] > lists[0]["number"], "the number grows over a kill")
        check(crl(g) == [first], "the same after a kill")


main([revoked_held_and_released])
