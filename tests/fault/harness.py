"""One data folder, the daemon on it with the shim of shim.c preloaded, and clients that go on where they were."""
import contextlib
import http.client
import json
import mmap
import os
import shutil
import sqlite3
import struct
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "functional"))
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "scenarios"))
import acme_client  # noqa: E402
import check_trace  # noqa: E402
import checker  # noqa: E402
import gatehouse  # noqa: E402
import processes  # noqa: E402
from acme_client import Problem  # noqa: E402
from cryptography.hazmat.primitives import serialization  # noqa: E402
from cryptography.hazmat.primitives.asymmetric import ec  # noqa: E402
from gatehouse import BUILD, DOMAIN, Gatehouse, check  # noqa: E402

SHIM = os.path.join(BUILD, "tests", "fault", "fault_shim.so")
RECOVERY_S = 2  # from a kill to the next certificate
PATIENCE_S = 30  # after this an errand that goes on and on has failed
AGAIN = (OSError, http.client.HTTPException)  # the daemon was killed under the client: that is the test


class ShimState:
    """struct state of shim.c."""

    SIZE = 512

    def __init__(self, path):
        self.path = path
        with open(path, "wb") as f:
            f.truncate(self.SIZE)
        with open(path, "r+b") as f:
            self.memory = mmap.mmap(f.fileno(), self.SIZE)

    def word(self, i):
        return struct.unpack_from("Q", self.memory, 8 * i)[0]

    def arm(self, is_armed=True):
        struct.pack_into("Q", self.memory, 0, int(is_armed))

    def reset(self):
        self.memory[:] = bytes(self.SIZE)

    counted = property(lambda self: self.word(1))
    fired = property(lambda self: self.word(2))
    fired_s = property(lambda self: self.word(3) / 1e9)
    failed = property(lambda self: self.word(4))
    what = property(lambda self: self.memory[40:].split(b"\0", 1)[0].decode(errors="replace"))


class Fault:
    """What happens to which process at which call. `at` 0: nothing, it only counts."""

    def __init__(self, at=0, action="kill-before", kind="core", calls=None, file=None, lasts=False, is_power_loss=False):
        self.at, self.action, self.kind, self.calls, self.file = at, action, kind, calls, file
        self.lasts, self.is_power_loss = lasts, is_power_loss

    def __str__(self):
        return (f"{'power loss, ' if self.is_power_loss else ''}{self.action} {self.calls or 'call'} {self.at}"
                f" of the {self.kind}{' on ' + self.file if self.file else ''}")

    @property
    def is_kill(self):
        return self.action.startswith("kill")


def sanitizer_runtime():
    """An executable with a shared sanitizer runtime wants it before every other library: the one that it asks for."""
    listed = subprocess.run(["ldd", gatehouse.DAEMON], capture_output=True, text=True, check=True).stdout
    return [line.split()[2] for line in listed.splitlines() if line.split()[0].startswith("libasan.so")]


class Slot(Gatehouse):
    """A folder that is prepared once and put back before every round.

    Everything that must survive is below `work`, so that the shim has one folder to watch; log, trace and ledger are
    beside it. All processes have one user: it is root who puts the folder back."""

    separates_users = False

    def __init__(self):
        super().__init__()
        self.ledger = os.path.join(self.folder, "ledger.jsonl")
        self.durable = os.path.join(self.folder, "durable")
        self.kept = os.path.join(self.folder, "kept")
        self.shim = ShimState(os.path.join(self.folder, "shim.state"))
        self.preload = ":".join(sanitizer_runtime() + [SHIM])
        self.responder = acme_client.Responder(self.http01_port)
        self.responder.server.handle_error = lambda *_: None  # a daemon that is killed hangs up
        self.client, self.kinds = None, []
        self.fault = self.environment = None
        self.deaths, self.refusals = [], []

    def write_config(self, *arguments):
        """Called before the folder is there."""
        self.work = os.path.join(self.folder, "work")
        self.data = os.path.join(self.work, "data")
        self.issued = os.path.join(self.work, "issued")
        os.makedirs(self.work)
        super().write_config(*arguments)
        with open(self.config, encoding="utf-8") as f:
            text = f.read()
        with open(self.config, "w", encoding="utf-8") as f:
            f.write(text.replace("  - name: Test CA\n", "  - name: Test CA\n    crl: {delay: 0s}\n", 1))

    # ---- the ledger ----

    def acknowledge(self, kind, **entry):
        with open(self.ledger, "a", encoding="utf-8") as f:
            f.write(json.dumps({"kind": kind, **entry}) + "\n")

    def enrol(self):
        """A new account."""
        client = acme_client.Client(self, self.responder).start()
        self.acknowledge("account", url=client.kid, key=self.pem_of(client.key))
        return client

    @staticmethod
    def new_key():
        return ec.generate_private_key(ec.SECP256R1())

    @staticmethod
    def pem_of(key):
        return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
                                 serialization.NoEncryption()).decode()

    # ---- the folder, before and after a round ----

    def keep(self, name):
        """What is there now is what a round that begins with `name` finds."""
        kept = os.path.join(self.kept, name)
        shutil.copytree(self.work, os.path.join(kept, "work"))
        for path in (self.trace, self.ledger):
            shutil.copy2(path, kept)

    def put_back(self, name):
        kept = os.path.join(self.kept, name)
        for folder in (self.work, self.durable):
            shutil.rmtree(folder, ignore_errors=True)
            shutil.copytree(os.path.join(kept, "work"), folder)
        for path in (self.trace, self.ledger):
            shutil.copy2(os.path.join(kept, os.path.basename(path)), path)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.log_path)

    def lose_power(self):
        """Of what was written only what was synced is left."""
        shutil.rmtree(self.work)
        shutil.copytree(self.durable, self.work)

    # ---- the daemon ----

    def begin(self, fault, from_start=False):
        """Start it with this fault; what it does before it is ready counts when `from_start`."""
        self.fault, self.deaths, self.refusals = fault, [], []
        self.shim.reset()
        self.environment = {**os.environ, "LD_PRELOAD": self.preload, "FAULT_STATE": self.shim.path,
                            "FAULT_PROCESS": processes.KINDS[fault.kind], "FAULT_FOLDER": self.work,
                            "FAULT_AT": str(fault.at), "FAULT_ACTION": fault.action}
        optional = {"FAULT_CALLS": fault.calls, "FAULT_FILE": fault.file, "FAULT_LASTS": "1" if fault.lasts else None,
                    "FAULT_DURABLE": self.durable if fault.is_power_loss else None}
        self.environment.update({name: value for name, value in optional.items() if value})
        self.shim.arm(from_start)
        self.launch()
        self.shim.arm()

    def spawn(self, **options):
        """In a session of its own, by which whoever is left of it can be found."""
        super().spawn(start_new_session=True, **options)

    def launch(self):
        """It may end before it is ready, but only of the fault."""
        try:
            self.start(env=self.environment)
        except AssertionError:
            if self.is_running() or self.deaths or not self.shim.fired:
                raise

    def is_running(self):
        return self.process and self.process.poll() is None

    def revive(self):
        """Start the daemon when all of it is gone. While the supervisor lives, a killed child comes back by itself."""
        if self.is_running():
            time.sleep(0.01)
            return
        self.deaths.append(self.process.returncode)
        self.wait_gone()
        if self.fault.is_power_loss and len(self.deaths) == 1:
            self.lose_power()
        self.launch()

    def refused(self, problem):
        """A failure that lasts ends when somebody noticed it: there is space again."""
        self.refusals.append(problem)
        if self.fault.lasts:
            self.shim.arm(False)

    def is_quiet(self):
        """Whatever should have died is started again, and nothing is under way any more."""
        if not self.is_running():
            self.revive()
            return False
        if self.shim.fired and self.fault.is_kill and processes.is_alive(self.shim.fired):
            return False
        return set(self.kinds) <= set(processes.find(self.process.pid)) and checker.is_settled(self.data)

    def wait_quiet(self):
        end = time.monotonic() + PATIENCE_S
        while not self.is_quiet():
            check(time.monotonic() < end, f"after {PATIENCE_S} s something is still under way: {self.log_tail()}")
            time.sleep(0.005)

    def wait_gone(self):
        """Nobody outlives the supervisor for long."""
        end = time.monotonic() + PATIENCE_S
        while left := processes.left_of(self.process.pid):
            check(time.monotonic() < end, f"processes are left without their supervisor: {left}")
            time.sleep(0.005)

    def end(self):
        if self.process:
            processes.kill_all(self.process.pid)
            self.process.wait()
        self.process = None

    # ---- looking ----

    def read_log(self):
        with open(self.log_path, "rb") as f:
            return f.read()

    def count_ends(self):
        """Processes that ended and were not told to. Signer and validator end in order with whoever asks them."""
        return sum(b"event=process.ended" in line and b"exit 0" not in line for line in self.read_log().splitlines())

    def rows(self, sql, *values):
        db = sqlite3.connect(f"file:{self.data}/core/core.db?mode=ro", uri=True, timeout=10)
        try:
            return db.execute(sql, values).fetchall()
        finally:
            db.close()

    def check_everything(self, name):
        """A new enrolment for the name, then every check of the checker, and the trace against the model."""
        asking = checker.Asking(self.directory, self.root, self.responder)
        asking.enrol(name)
        asking.ask_all(checker.read_ledger(self.ledger))
        checker.settle(self.data, PATIENCE_S)
        problems = checker.check_folder(self.data, self.issued, self.ledger, self.root)
        if not checker.is_settled(self.data):
            problems.append(f"after {PATIENCE_S} s an event still waits for the exit module, or a request for the core")
        problems += asking.problems + checker.sanitizer_reports(self.log_path)
        model = check_trace.Checker()
        with open(self.trace, encoding="utf-8", errors="replace") as f:
            model.run(f)
        return problems + [f"trace line {line}: {rule}: {text}" for line, rule, text in model.violations]

    def close(self):
        self.end()
        self.responder.close()
        shutil.rmtree(self.folder)


class Errand:
    """A client that wants one certificate. run() may be called again after every failure and goes on with the same
    order and the same CSR. One that waits polls until its order is decided."""

    def __init__(self, slot, client, name, url=None, waits=True):
        self.slot, self.client, self.name, self.url, self.waits = slot, client, name, url, waits
        self.csr = client.csr(name)
        self.pem = None

    def run(self):
        """The order's status when there is nothing more to do for the client: valid, invalid, or processing."""
        if not self.url:
            self.url, order = self.client.order(self.name)
            self.slot.acknowledge("order", url=self.url, account=self.client.kid, names=[self.name])
        else:
            order = self.look()
        if order["status"] == "pending":
            self.client.prove(order)
            order = self.look()
        if order["status"] == "ready":
            order = self.client.finalize(order, self.csr)
        if order["status"] == "processing" and self.waits:
            order = self.wait(order)
        return self.record(order)

    def wait(self, order):
        """A disk that is full makes the client poll: after a while somebody makes room."""
        if self.slot.fault and self.slot.fault.lasts:
            order = self.client.poll(self.url, 1)
            if order["status"] != "processing":
                return order
            self.slot.refused("the order stays processing")
        return self.client.poll(self.url, PATIENCE_S)

    def look(self):
        return json.loads(self.client.post(self.url)[1])

    def record(self, order):
        if order["status"] == "processing" and order.get("error") is None:
            self.slot.acknowledge("pending", order=self.url)
        if order["status"] == "invalid":
            self.slot.acknowledge("denied", order=self.url)
        if order["status"] == "valid":
            self.pem = self.client.post(order["certificate"])[1].decode()
            self.slot.acknowledge("certificate", order=self.url, url=order["certificate"], pem=self.pem)
        return order["status"]


def insist(slot, step):
    """Do it until it works, whatever happens to the daemon meanwhile."""
    end = time.monotonic() + PATIENCE_S
    while True:
        try:
            return step()
        except Problem as problem:
            # Busy, or a failure that the client may repeat; anything else is an answer, and a wrong one.
            check(problem.status >= 500 and time.monotonic() < end, f"the daemon answers {problem}")
            check(problem.status != 503 or problem.headers["Retry-After"], f"no Retry-After with {problem}")
            slot.refused(problem)
        except AGAIN as e:
            check(time.monotonic() < end, f"the daemon does not come back: {e}: {slot.log_tail()}")
        slot.revive()
