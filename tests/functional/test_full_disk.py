#!/usr/bin/python3
"""A full disk refuses clearly, loses nothing, and recovers without a restart when there is space again."""
import os
import subprocess
import sys
import tempfile

from acme_client import Client, Problem, Responder
from gatehouse import DOMAIN, SKIP, Gatehouse, check, main


def fill(path):
    ballast = os.open(path, os.O_WRONLY | os.O_CREAT)
    try:
        while True:
            os.write(ballast, b"x" * 4096)
    except OSError:
        os.close(ballast)


def full_then_free_again():
    folder = tempfile.mkdtemp(prefix="gatehouse-disk-")
    data = os.path.join(folder, "data")
    os.makedirs(data, mode=0o700)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=6m,mode=0700", "tmpfs", data], check=True)
    try:
        g = Gatehouse(folder=folder, data=data).start()
        responder = Responder(g.http01_port)
        client = Client(g, responder).start()
        before = client.get_certificate(f"before.{DOMAIN}")
        fill(os.path.join(data, "ballast"))
        refused = None
        for i in range(200):
            try:
                client.get_certificate(f"full{i}.{DOMAIN}")
            except Problem as problem:
                refused = problem
                break
        check(refused and refused.status == 503 and refused.headers["Retry-After"],
              f"a full disk is 503 with a Retry-After, not {refused}")
        check(refused.document["type"].startswith("urn:ietf:params:acme:error:"), str(refused.document))
        check(g.process.poll() is None, "the daemon must live through a full disk")
        os.unlink(os.path.join(data, "ballast"))
        after = client.get_certificate(f"after.{DOMAIN}")
        check(before != after and "BEGIN CERTIFICATE" in after, after)
        listed = {name for c in g.tool_json("cert", "list")["certificates"] for name in c["names"]}
        check({f"before.{DOMAIN}", f"after.{DOMAIN}"} <= listed, f"lost: {listed}")
        responder.close()
        g.stop()
        g.check_trace()
    finally:
        subprocess.run(["umount", "-l", data], check=False)
    subprocess.run(["rm", "-rf", folder], check=True)


if os.geteuid() != 0:
    print("skipped: mounting a small file system needs root")
    sys.exit(SKIP)
main([full_then_free_again])
