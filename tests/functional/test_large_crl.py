#!/usr/bin/python3
"""Lists of many entries: making one takes no memory for them and stops nobody, and neither do clients that read slowly."""
import contextlib
import os
import socket
import subprocess
import time

# What is freed goes back, so that memory tells what is in use; before the daemon is started.
os.environ["ASAN_OPTIONS"] = os.environ.get("ASAN_OPTIONS", "") + ":quarantine_size_mb=1:thread_local_quarantine_size_kb=64"

import revoked  # noqa: E402
from acme_client import Client, Responder  # noqa: E402
from gatehouse import DOMAIN, check, gatehouse, main  # noqa: E402
from test_status import add_status, get  # noqa: E402

SMALL, LARGE = 100000, 400000
LISTS, READERS = 20, 50
KEPT = 16  # LISTS_SUPERSEDED_MAX of protocols/status/lists.h
GRANTED_KB = 16 * 1024


def begin_to_read(g, stack):
    """A client that asks for the list and then reads nothing of it."""
    s = stack.enter_context(socket.socket())
    s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    s.settimeout(30)
    s.connect(("127.0.0.1", g.status_port))
    s.sendall(b"GET /status/crl/0.crl HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
    check(s.recv(12) == b"HTTP/1.1 200", "the list is refused")
    return s


def wait_for_list(g, number):
    end = time.monotonic() + 60
    while True:
        r, body = get(g, "/status/crl/0.crl")
        if r.status == 200 and r.getheader("ETag") == f'"0-0-{number}"':
            return body
        check(time.monotonic() < end, f"list {number} is not served: {r.status} {r.getheader('ETag')}")
        time.sleep(0.1)


def files_without_name(g):
    folder = f"/proc/{g.processes()['gateway']}/fd"
    links = []
    for fd in os.listdir(folder):
        with contextlib.suppress(OSError):
            links.append(os.readlink(os.path.join(folder, fd)))
    return sum(1 for link in links if "status-status.crl" in link)


def openssl_agrees(g, body, entries):
    path = os.path.join(g.folder, "large.crl")
    with open(path, "wb") as f:
        f.write(body)
    p = subprocess.run(["openssl", "crl", "-inform", "DER", "-in", path, "-noout", "-text", "-CAfile", g.root],
                       capture_output=True, text=True, timeout=300, check=False)
    check(p.returncode == 0 and "verify OK" in p.stderr, p.stderr)
    check(p.stdout.count("Serial Number:") == entries, "openssl finds another number of entries")


def slow_readers_keep_no_lists(g):
    gateway = g.processes()["gateway"]
    wait_for_list(g, revoked.list_in_force(g)["number"])
    before = revoked.memory_kb(gateway, "VmRSS")
    with contextlib.ExitStack() as stack:
        readers = []
        for i in range(LISTS):
            while len(readers) < READERS * (i + 1) // LISTS:
                readers.append(begin_to_read(g, stack))
            size = revoked.publish(g).size
            wait_for_list(g, revoked.list_in_force(g)["number"])
        grown = revoked.memory_kb(gateway, "VmRSS") - before
        print(f"        gateway: {grown} KB for {len(readers)} readers of {LISTS} lists of {size // 1024} KB")
        check(grown < GRANTED_KB, f"slow readers cost {grown} KB")
        check(files_without_name(g) <= KEPT + 2, f"{files_without_name(g)} lists are kept")


def orders_go_on(g, client):
    """However many lists are made meanwhile."""
    times = []
    with revoked.Publishing(g) as publishing:
        while publishing.n < 2 or len(times) < 5:
            began = time.monotonic()
            client.get_certificate(f"beside{len(times)}.{DOMAIN}")
            times.append(time.monotonic() - began)
    print(f"        {len(times)} orders beside {publishing.n} publications, {max(times) * 1000:.0f} ms at most")
    check(max(times) < 5, f"an order took {max(times):.1f} s")


def lists_of_many_entries():
    with gatehouse(set_up=add_status) as g, contextlib.closing(Responder(g.http01_port)) as responder:
        revoked.add(g, SMALL)
        small = [revoked.publish(g) for _ in range(3)]
        slow_readers_keep_no_lists(g)
        revoked.add(g, LARGE, first=SMALL)
        large = [revoked.publish(g) for _ in range(3)]
        for role in ("core", "signer"):
            was, is_ = (max(c.peak_kb[role] for c in costs) for costs in (small, large))
            print(f"        {role}: {was} KB for {small[0].size // 1024} KB, {is_} KB for {large[0].size // 1024} KB")
            check(is_ - was < (large[0].size - small[0].size) // 1024, f"the entries are in the memory of the {role}")
        orders_go_on(g, Client(g, responder).start())
        number = revoked.list_in_force(g)["number"]
        openssl_agrees(g, wait_for_list(g, number), LARGE)


main([lists_of_many_entries])
