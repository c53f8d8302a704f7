"""A round: put the folder back, start the daemon with one fault, let a client and an officer do what they came for, and
hold everything against the checker."""
import concurrent.futures
import contextlib
import copy
import json
import time

import harness
from harness import AGAIN, DOMAIN, Errand, Fault, Problem, Slot, check, insist, processes

HELD = f"hold.{DOMAIN}"
ACTIVE, PENDING = 8, 9


def fill(slot):
    """An account, a certificate, and a request that waits for an officer; and the same after the daemon was killed
    before it signed what it had planned."""
    slot.start()
    slot.kinds = processes.targets(slot.process.pid)
    slot.client = slot.enrol()
    slot.first = Errand(slot, slot.client, f"first.{DOMAIN}")
    slot.first.run()
    held = Errand(slot, slot.client, HELD, waits=False)
    held.run()
    slot.held_url, slot.held_id = held.url, slot.wait_pending(HELD)["id"]
    slot.list = None
    slot.list = insist(slot, lambda: see_list(slot))
    slot.stop()
    slot.keep("waiting")
    # All of it at once, or the core would come back and sign.
    slot.begin(Fault(1, "kill-after", calls="sync", file="core.db-wal", is_power_loss=True))
    slot.interrupted = Errand(slot, slot.client, f"interrupted.{DOMAIN}")
    while not slot.shim.fired:
        with contextlib.suppress(*AGAIN, Problem):
            check(slot.interrupted.run() != "valid", "the daemon was not killed at its plan")
    slot.end()
    slot.keep("interrupted")


def prepare():
    slot = Slot()
    try:
        fill(slot)
    except BaseException:
        slot.end()
        raise
    return slot


class Again(ConnectionError):
    """The tool could not say what became of it."""


def decide(slot, kind, *words):
    """The officer's word; nothing is acknowledged when the tool was told nothing."""
    done = slot.run_tool(*words, str(slot.held_id), code=None)
    if done.returncode == 0:
        slot.acknowledge(kind, id=slot.held_id)
        return
    state = slot.rows("SELECT state FROM requests WHERE id=?", slot.held_id)[0][0] if slot.is_running() else PENDING
    if state in (ACTIVE, PENDING):
        slot.refused(done.stderr)
        raise Again(done.stderr)


def ask_lists(slot, *words):
    """What the officer is told of the CRLs in force."""
    done = slot.run_tool("ca", "crl", *words, output="json", code=None)
    if done.returncode:
        slot.refused(done.stderr)
        raise Again(done.stderr)
    for entry in json.loads(done.stdout)["crls"]:
        slot.acknowledge("list", number=entry["number"])


def see_list(slot):
    """Number and date of the next CRL, once it is in force and was told. It is waited for in the store, so that a round
    has as many calls as the one before. Whoever made room on a full disk does not wait until it is tried again."""
    end = time.monotonic() + harness.PATIENCE_S
    while time.monotonic() < end:
        if slot.fault and slot.fault.lasts:
            ask_lists(slot, "--publish")
        if not slot.is_running():
            raise Again("the daemon ended")
        for seen in slot.rows("SELECT number, this_update_s FROM crls"):
            if seen != slot.list:
                ask_lists(slot)
                return seen
        time.sleep(0.01)
    raise AssertionError(f"no CRL after {harness.PATIENCE_S} s: {slot.log_tail()}")


# ---- what is done in a round; each returns when it saw the end of it ----

def issue(slot):
    errand = Errand(slot, slot.client, f"new.{DOMAIN}")
    check(insist(slot, errand.run) == "valid", "the order does not become valid")


def start(slot):
    """What was planned is signed at the start; the client, which has seen nothing of that, asks for its order."""
    errand = copy.copy(slot.interrupted)
    check(insist(slot, errand.run) == "valid", "what was interrupted is not finished")


def hold(slot):
    errand = Errand(slot, slot.client, f"hold2.{DOMAIN}", waits=False)
    check(insist(slot, errand.run) == "processing", "the order is not held")


def approve(slot):
    errand = Errand(slot, slot.client, HELD, slot.held_url)
    insist(slot, lambda: decide(slot, "approval", "approve", "--yes"))
    check(insist(slot, errand.run) == "valid", "what was approved is not issued")


def deny(slot):
    errand = Errand(slot, slot.client, HELD, slot.held_url)
    insist(slot, lambda: decide(slot, "denial", "deny"))
    check(insist(slot, errand.run) == "invalid", "what was denied is not told as denied")


def grant(slot):
    """The client left; it comes back with a new order after the approval."""
    errand = Errand(slot, slot.client, HELD)
    insist(slot, lambda: decide(slot, "approval", "approve", "--yes"))
    check(insist(slot, errand.run) == "valid", "the approval does not wait for its client")


def held_again(slot):
    """An approval is used up by the certificate that was collected."""
    errand = Errand(slot, slot.client, HELD, waits=False)
    check(insist(slot, errand.run) == "processing", "one approval gave a second certificate")


def same_client(slot):
    """A client of the same account; the round may change what it is, the next round finds the account as it was."""
    client = copy.copy(slot.client)
    client.connection = None
    return client


def change_key(slot):
    """Whatever happens in between, one of the two keys is the account's; the new one when the client was told so."""
    client, new = same_client(slot), slot.new_key()

    def change():
        try:
            if client.key is not new:
                client.change_key(new)
        except Problem as problem:
            if problem.status != 400:
                raise
            client.use_key(new)  # the change came through, its answer did not
        client.post(client.kid)

    insist(slot, change)
    slot.acknowledge("key", account=client.kid, key=slot.pem_of(new))


def end_account(slot):
    client = same_client(slot)

    def end():
        try:
            client.deactivate()
        except Problem as problem:
            if problem.status != 401:
                raise

    insist(slot, end)
    slot.acknowledge("end", account=client.kid)


def revoke(slot):
    def ask():
        try:
            slot.client.revoke(slot.first.pem, reason=4)
        except Problem as problem:
            if not problem.document["type"].endswith(":alreadyRevoked"):
                raise

    insist(slot, ask)
    slot.acknowledge("revocation", pem=slot.first.pem)


def next_list(slot):
    """The revocation is in it: the checker looks."""
    insist(slot, lambda: see_list(slot))


FLOWS = {f.__name__: f for f in (issue, start, hold, approve, deny, grant, change_key, end_account, revoke)}
# In which of them each process is met. Supervisor, signer and validator write nothing: their calls are what they say.
FLOWS_OF = {"supervisor": ("start",), "core": ("issue", "start", "hold", "approve", "deny", "grant", "revoke"),
            "gateway": ("issue", "hold", "change_key", "end_account"), "signer": ("issue",), "validator": ("issue",)}
# What comes of it while the fault may still happen, which nobody waits for; and what is tried when all is over.
CONSEQUENCES = {"revoke": next_list}
AFTERWARDS = {"approve": held_again}


class Result:
    """What a round came to; plain, because it goes from one process to another."""

    def __init__(self, slot, flow, fault, problems, recovery_s):
        self.flow, self.fault, self.problems, self.recovery_s = flow, fault, problems, recovery_s
        self.fired, self.counted, self.what = slot.shim.fired, slot.shim.counted, slot.shim.what
        self.deaths, self.ends = slot.deaths, slot.count_ends()
        self.refusals = [str(r) for r in slot.refusals]
        self.is_alive = bool(slot.shim.fired) and processes.is_alive(slot.shim.fired)
        self.is_fsync_told = b"event=db.fsync.failed" in slot.read_log()
        self.folder = slot.folder

    def __str__(self):
        return f"{self.flow}: {self.fault}: {self.what or 'did not fire'}"


def run_round(slot, flow, fault):
    """Problems found, and how long it took from the kill until the client saw the end of what it came for."""
    is_start = flow == "start"
    slot.put_back("interrupted" if is_start else "waiting")
    slot.begin(fault, from_start=is_start)
    FLOWS[flow](slot)
    told_s = time.monotonic()
    if flow in CONSEQUENCES:
        CONSEQUENCES[flow](slot)
    if fault.lasts:
        slot.shim.arm(False)
    slot.wait_quiet()
    slot.shim.arm(False)
    slot.wait_quiet()  # once more: it may have fired just before
    if flow in AFTERWARDS:
        AFTERWARDS[flow](slot)
    problems = slot.check_everything(f"fresh.{DOMAIN}")
    recovery_s = told_s - slot.shim.fired_s if fault.is_kill and 0 < slot.shim.fired_s < told_s else None
    return problems, recovery_s


_slot = None  # each process of the pool has its own


def make_ready():
    global _slot
    _slot = _slot or prepare()


def work(flow, fault):
    """One round, in a process of the pool."""
    global _slot
    make_ready()
    problems, recovery_s = [], None
    try:
        problems, recovery_s = run_round(_slot, flow, fault)
    except Exception as e:  # a round that cannot go on has found something
        problems = [f"{type(e).__name__}: {e}"]
    result = Result(_slot, flow, fault, problems, recovery_s)
    _slot.end()
    if problems:
        _slot.responder.close()
        _slot = None  # its folder stays, for whoever looks into it
    return result


def put_away():
    global _slot
    if _slot:
        _slot.close()
    _slot = None


class Pool:
    """Rounds side by side, each process with a folder of its own."""

    def __init__(self, n=2):
        self.executors = [concurrent.futures.ProcessPoolExecutor(1) for _ in range(n)]

    def run(self, rounds):
        """Results of (flow, fault) pairs, as they come."""
        rounds, futures = iter(rounds), {}
        for executor in self.executors:
            self.feed(executor, rounds, futures)
        while futures:
            done, _ = concurrent.futures.wait(futures, return_when=concurrent.futures.FIRST_COMPLETED)
            for future in done:
                self.feed(futures.pop(future), rounds, futures)
                yield future.result()

    @staticmethod
    def feed(executor, rounds, futures):
        for flow, fault in rounds:
            futures[executor.submit(work, flow, fault)] = executor
            return

    def close(self):
        for executor in self.executors:
            executor.submit(put_away).result()
            executor.shutdown()
