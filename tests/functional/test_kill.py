#!/usr/bin/python3
"""kill -9 of the daemon at random moments under load: what was acknowledged is still there, and nothing twice."""
import os
import random
import sqlite3
import subprocess
import threading
import time

from cryptography import x509

from acme_client import Client, Responder
from gatehouse import DOMAIN, LONG, Gatehouse, check, main

KILLS = 500 if LONG else 50
CLIENTS = 4


class Load:
    """Clients that get certificates until told to stop; what they were given goes into the ledger."""

    def __init__(self, g):
        self.g, self.stopping = g, threading.Event()
        self.responder = Responder(g.http01_port)
        self.ledger, self.lock, self.n = [], threading.Lock(), 0
        self.threads = [threading.Thread(target=self.run, args=(i,)) for i in range(CLIENTS)]
        for thread in self.threads:
            thread.start()

    def run(self, i):
        client = None
        while not self.stopping.is_set():
            try:
                client = client or Client(self.g, self.responder).start()
                with self.lock:
                    self.n += 1
                    name = f"n{self.n}.{DOMAIN}"
                pem = client.get_certificate(name)
                with self.lock:
                    self.ledger.append((name, pem))
            except Exception:  # the daemon was killed under us: that is the test
                client = None
                self.stopping.wait(0.02)

    def stop(self):
        self.stopping.set()
        for thread in self.threads:
            thread.join(60)
        self.responder.close()


def rows(g, sql, *values):
    with sqlite3.connect(f"file:{g.data}/core/core.db?mode=ro", uri=True) as db:
        return db.execute(sql, values).fetchall()


def first_certificate(pem):
    return x509.load_pem_x509_certificate(pem.split("-----END CERTIFICATE-----")[0].encode() +
                                          b"-----END CERTIFICATE-----\n")


def killed_at_random_moments():
    g = Gatehouse().start()
    load = Load(g)
    slowest = 0
    for i in range(KILLS):
        time.sleep(random.uniform(0.05, 0.6))
        g.kill()
        begin = time.monotonic()
        g.start()
        slowest = max(slowest, time.monotonic() - begin)
    time.sleep(1)
    load.stop()
    check(len(load.ledger) >= KILLS // 2, f"there was hardly any load: {len(load.ledger)} certificates")
    end = time.monotonic() + 30
    while rows(g, "SELECT 1 FROM requests WHERE state=8") and time.monotonic() < end:
        time.sleep(0.2)
    check(not rows(g, "SELECT 1 FROM requests WHERE state=8"), "a row is stuck 30 s after the restart")
    while g.tool_json("status")["outbox_waiting"] and time.monotonic() < end:
        time.sleep(0.2)

    stored = {serial: der for serial, der in rows(g, "SELECT serial, certificate FROM certificates")}
    lost = [name for name, pem in load.ledger
            if first_certificate(pem).serial_number not in {int.from_bytes(s, "big") for s in stored}]
    check(not lost, f"acknowledged certificates are not in the store: {lost}")
    serials = rows(g, "SELECT count(serial), count(DISTINCT serial) FROM requests WHERE serial IS NOT NULL")[0]
    check(serials[0] == serials[1], f"a serial was used twice: {serials}")
    issued = rows(g, "SELECT id, serial FROM requests WHERE state=20")
    written = {name.split("-")[1].split(".")[0] for name in os.listdir(g.issued)}
    missed = [number for number, serial in issued if serial.hex() not in written]
    check(not missed, f"requests were issued and the exit module was not told: {missed}")
    check(rows(g, "PRAGMA integrity_check") == [("ok",)], "the store is damaged")
    with open(g.log_path) as log:
        synchronous = {line for line in log if "synchronous" in line}
    check(not synchronous or all("FULL" in s or "2" in s for s in synchronous), str(synchronous))
    g.stop()
    g.check_trace()
    print(f"        {KILLS} kills, {len(load.ledger)} certificates acknowledged, {len(stored)} stored, "
          f"slowest start {slowest:.2f} s")
    subprocess.run(["rm", "-rf", g.folder], check=True)


main([killed_at_random_moments])
