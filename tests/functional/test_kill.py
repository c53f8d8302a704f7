#!/usr/bin/python3
"""kill -9 of the daemon at random moments under load: what was acknowledged is still there, and nothing twice."""
import json
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
    """Clients that get certificates until told to stop; what they were told goes into the ledger. Every fourth name is
    held, and a person approves whatever waits."""

    def __init__(self, g):
        self.g, self.stopping = g, threading.Event()
        self.responder = Responder(g.http01_port)
        self.ledger, self.lock, self.n = [], threading.Lock(), 0
        self.threads = [threading.Thread(target=self.run) for _ in range(CLIENTS)]
        self.threads.append(threading.Thread(target=self.approve))
        for thread in self.threads:
            thread.start()

    def run(self):
        client = None
        while not self.stopping.is_set():
            try:
                client = client or Client(self.g, self.responder).start()
                with self.lock:
                    self.n += 1
                    name = f"{'hold' if self.n % 4 == 0 else 'n'}{self.n}.{DOMAIN}"
                order, certificate, pem = client.get_order(name)
                with self.lock:
                    self.ledger.append((name, client, order, certificate, pem))
            except Exception:  # the daemon was killed under us: that is the test
                client = None
                self.stopping.wait(0.02)

    def approve(self):
        while not self.stopping.is_set():
            done = self.g.run_tool("pending", output="json", code=None)
            if done.returncode == 0:
                numbers = [str(r["id"]) for r in json.loads(done.stdout)["requests"]]
                if numbers:
                    self.g.run_tool("approve", *numbers, "--yes", code=None)
            self.stopping.wait(0.05)

    def stop(self):
        self.stopping.set()
        for thread in self.threads:
            thread.join(60)
        self.responder.close()


def is_told_again(entry):
    """The account, the order and the certificate that were acknowledged, asked for with the same key."""
    name, client, order, certificate, pem = entry
    again = Client(client.g, client.responder, client.key).start()
    return (again.kid == client.kid and json.loads(again.post(order)[1])["status"] == "valid" and
            again.post(certificate)[1].decode() == pem)


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
    restarted = time.monotonic()
    time.sleep(1)
    load.stop()
    check(len(load.ledger) >= KILLS // 2, f"there was hardly any load: {len(load.ledger)} certificates")
    end = restarted + 30
    while rows(g, "SELECT 1 FROM requests WHERE state=8") and time.monotonic() < end:
        time.sleep(0.2)
    check(not rows(g, "SELECT 1 FROM requests WHERE state=8"), "a row is stuck 30 s after the restart")
    while g.tool_json("status")["outbox_waiting"] and time.monotonic() < end:
        time.sleep(0.2)

    stored = {serial: der for serial, der in rows(g, "SELECT serial, certificate FROM certificates")}
    lost = [name for name, _, _, _, pem in load.ledger
            if first_certificate(pem).serial_number not in {int.from_bytes(s, "big") for s in stored}]
    check(not lost, f"acknowledged certificates are not in the store: {lost}")
    forgotten = [entry[0] for entry in random.sample(load.ledger, min(len(load.ledger), 100)) if not is_told_again(entry)]
    check(not forgotten, f"what the gateway acknowledged is not told again: {forgotten}")
    # Serials stand in the trace of every run, also those of certificates that were never stored: the model checks them.
    twice = rows(g, "SELECT value, count(*) FROM names n JOIN requests q ON q.id=n.request_id WHERE q.state=20 AND"
                    " value LIKE 'hold%' GROUP BY value HAVING count(*) > 1")
    check(not twice, f"an approval gave more than one live certificate: {twice}")
    issued = rows(g, "SELECT id, serial FROM requests WHERE state=20")
    written = {name.split("-")[1].split(".")[0] for name in os.listdir(g.issued)}
    missed = [number for number, serial in issued if serial.hex() not in written]
    check(not missed, f"requests were issued and the exit module was not told: {missed}")
    check(rows(g, "PRAGMA integrity_check") == [("ok",)], "the store is damaged")
    g.stop()
    g.check_trace()
    held = sum(entry[0].startswith("hold") for entry in load.ledger)
    print(f"        {KILLS} kills, {len(load.ledger)} certificates acknowledged ({held} approved), {len(stored)} stored, "
          f"slowest start {slowest:.2f} s")
    subprocess.run(["rm", "-rf", g.folder], check=True)


main([killed_at_random_moments])
