#!/usr/bin/python3
"""Orders for names whose addresses swallow every packet: they end with a clear problem, and others do not feel them.

    test_black_hole.py                          run the tests
    test_black_hole.py --orders ROOT PORT N     what the tests start: N such orders, one line a step on standard output
"""
import contextlib
import json
import os
import re
import select
import socket
import subprocess
import sys
import threading
import time
import types
import urllib.request

from acme_client import Client, Responder
from gatehouse import DOMAIN, LONG, check, gatehouse, main

HOLES = 8
ORDERS = 500
ACCOUNTS = 100
THREADS = 50
MEASURED = 150 if not LONG else 600
TIMEOUT_S = 25 if not LONG else 60
POLL_S = 5
FACTOR = 2
ROUNDS = 3  # what else the machine does may spoil one


# ---- the black holes ----

def is_full(address, port, made):
    s = socket.socket()
    s.setblocking(False)
    s.connect_ex((address, port))
    made.append(s)
    return not select.select([], [s], [], 0.3)[1]


@contextlib.contextmanager
def black_holes(port):
    """Listeners whose queue is full: the kernel drops what else would connect, and the client hears nothing."""
    made = []
    try:
        for i in range(HOLES):
            listener = socket.socket()
            made.append(listener)
            listener.bind((f"127.0.1.{i + 1}", port))
            listener.listen(0)
            check(any(is_full(f"127.0.1.{i + 1}", port, made) for _ in range(10)), "the queue does not get full")
        yield
    finally:
        for s in made:
            s.close()


def use_holes(g):
    g.stop()
    with open(g.config) as f:
        text = f.read()
    hosts = "".join(f'\n    "*.hole{i + 1}.test": 127.0.1.{i + 1}' for i in range(HOLES))
    with open(g.config, "w") as f:
        f.write(text.replace("  hosts:", f"  timeout: {TIMEOUT_S}s\n  hosts:" + hosts))
    g.start()


# ---- the process that orders names there ----

class Orders(threading.Thread):
    """Some accounts, one after the other, and their orders; then polls until each has come to an end."""

    def __init__(self, target, number, accounts, orders):
        super().__init__(daemon=True)
        self.target, self.number, self.accounts, self.orders = target, number, accounts, orders
        self.open, self.ended, self.failure = [], [], None
        self.begun = threading.Event()

    def begin(self, client, name):
        location, order = client.order(name)
        authz = order["authorizations"][0]
        challenge = [c for c in json.loads(client.post(authz)[1])["challenges"] if c["type"] == "http-01"][0]
        client.post(challenge["url"], {})
        self.open.append((client, location, authz))

    def poll(self):
        still = []
        for client, location, authz in self.open:
            order = json.loads(client.post(location)[1])
            if order["status"] in ("pending", "processing"):
                still.append((client, location, authz))
            else:
                error = json.loads(client.post(authz)[1])["challenges"][0].get("error", {})
                self.ended.append([order["status"], error.get("type"), error.get("detail")])
        self.open = still

    def run(self):
        try:
            for i in range(self.accounts):
                client = Client(self.target, None).start()
                for k in range(self.orders // self.accounts):
                    self.begin(client, f"t{self.number}a{i}o{k}.hole{1 + (i + k) % HOLES}.test")
            self.begun.set()
            while self.open:
                time.sleep(POLL_S)
                self.poll()
        except Exception as e:  # told to the test
            self.failure = repr(e)
            self.begun.set()


def order_from_holes(root, port, n):
    os.nice(19)
    target = types.SimpleNamespace(root=root, port=int(port), directory=f"https://localhost:{port}/acme/directory")
    threads = [Orders(target, i, ACCOUNTS // THREADS, int(n) // THREADS) for i in range(THREADS)]
    for t in threads:
        t.start()
    for t in threads:
        t.begun.wait()
    print("begun", flush=True)
    for t in threads:
        t.join()
    print(json.dumps({"ended": [e for t in threads for e in t.ended], "failures": [t.failure for t in threads
                                                                                    if t.failure]}), flush=True)


# ---- the others ----

def percentile(times, percent):
    return sorted(times)[(len(times) - 1) * percent // 100]


class Timed(Client):
    """Notes how long each request takes."""

    def __init__(self, *args):
        super().__init__(*args)
        self.requests = []

    def request(self, *args, **named):
        begin = time.monotonic()
        result = super().request(*args, **named)
        self.requests.append(time.monotonic() - begin)
        return result


class Times:
    """Of whole orders and of their requests, in seconds."""

    def __init__(self):
        self.orders, self.requests = [], []

    def add(self, client, wanted, until=lambda: False):
        client.requests = self.requests
        n = 0
        while n < wanted and not until():
            begin = time.monotonic()
            client.get_certificate(f"n{n}.{DOMAIN}")
            self.orders.append(time.monotonic() - begin)
            n += 1
        return n

    def figures(self):
        return [percentile(times, percent) for times in (self.orders, self.requests) for percent in (50, 99)]

    def show(self, label):
        words = [f"{1000 * f:.1f}" for f in self.figures()]
        print(f"        {label}: {len(self.orders)} orders p50 {words[0]} p99 {words[1]} ms, "
              f"{len(self.requests)} requests p50 {words[2]} p99 {words[3]} ms", flush=True)


class Attack:
    """The process that orders names in the holes, and what it said."""

    def __init__(self, g):
        self.said = []
        self.process = subprocess.Popen([sys.executable, __file__, "--orders", g.root, str(g.port), str(ORDERS)],
                                        stdout=subprocess.PIPE, text=True)
        self.reader = threading.Thread(target=lambda: self.said.extend(self.process.stdout), daemon=True)
        self.reader.start()

    def has_begun(self):
        check(self.process.poll() is None or self.said, "the orders could not be made")
        return len(self.said) >= 1

    def result(self):
        check(self.process.wait(TIMEOUT_S + 120) == 0, "the orders could not be followed")
        self.reader.join()
        return json.loads(self.said[-1])


def status(g, key):
    """Of the validator: the only process that contacts anybody."""
    with open(f"/proc/{g.processes()['validator']}/status") as f:
        return int([line for line in f if line.startswith(key + ":")][0].split()[1])


def check_health(g):
    with urllib.request.urlopen(f"http://127.0.0.1:{g.metrics_port}/healthz", timeout=10) as reply:
        check(reply.status == 200, reply.read())
    check(g.metric("gatehouse_worker_refused_total") == 0, "the workers were exhausted")
    check(g.metric("gatehouse_worker_threads_waiting") <= 32, "more than a quarter of the workers wait")


def check_ends(result):
    check(not result["failures"], result["failures"][:3])
    check(len(result["ended"]) == ORDERS, f"{len(result['ended'])} of {ORDERS} orders ended")
    for state, kind, detail in result["ended"]:
        check(state == "invalid" and kind == "urn:ietf:params:acme:error:connection", f"{state} {kind} {detail}")
        check(re.fullmatch(r"127\.0\.1\.\d port \d+ cannot be connected to", detail), detail)


def measure_round(g, client):
    """True when the others did not feel it."""
    idle, meanwhile, loaded = Times(), Times(), Times()
    idle.add(client, MEASURED // 2)
    attack = Attack(g)
    meanwhile.add(client, 100000, attack.has_begun)
    loaded.add(client, MEASURED)
    threads, memory = status(g, "Threads"), status(g, "VmRSS")
    check_health(g)
    check(len(attack.said) == 1, "the orders ended before it was measured")
    result = attack.result()
    idle.add(client, MEASURED // 2)
    for times, label in (idle, "idle"), (meanwhile, "while they are made"), (loaded, "while they wait"):
        times.show(label)
    print(f"        {threads} threads, {memory // 1024} MiB", flush=True)
    check(threads > ORDERS, "the orders did not all wait at once")
    check_ends(result)
    check(percentile(meanwhile.orders, 99) < 1, "orders of others took more than a second")
    return all(is_ <= FACTOR * was for was, is_ in zip(idle.figures(), loaded.figures()))


def wait_for_threads_to_end(g):
    end = time.monotonic() + 60
    while status(g, "Threads") > 200:
        check(time.monotonic() < end, f"{status(g, 'Threads')} threads are left")
        time.sleep(0.5)
    print(f"        afterwards {status(g, 'Threads')} threads, {status(g, 'VmRSS') // 1024} MiB", flush=True)


def black_holes_leave_others_alone():
    with gatehouse() as g, black_holes(g.http01_port), contextlib.closing(Responder(g.http01_port)) as responder:
        use_holes(g)
        client = Timed(g, responder).start()
        Times().add(client, 20)
        check(any(measure_round(g, client) for _ in range(ROUNDS)), f"more than {FACTOR} times slower")
        wait_for_threads_to_end(g)


if len(sys.argv) > 1 and sys.argv[1] == "--orders":
    order_from_holes(*sys.argv[2:])
else:
    main([black_holes_leave_others_alone])
