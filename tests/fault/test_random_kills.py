#!/usr/bin/python3
"""kill -9 of each process of the daemon at random moments under load: what was acknowledged is still there, nothing is
there twice, and every event was delivered."""
import contextlib
import itertools
import json
import os
import random
import signal
import statistics
import threading
import time

from harness import DOMAIN, Errand, Slot, check, processes
from gatehouse import LONG, main

KILLS = 100 if LONG else 3  # of each process
CLIENTS = 4
WAIT_S = 30


class Load:
    """Clients that get certificates until told to stop. Every fourth name is held, and an officer approves whatever
    waits. What they are told stands in the slot's ledger."""

    def __init__(self, slot):
        self.slot, self.stopping, self.lock = slot, threading.Event(), threading.Lock()
        self.numbers = itertools.count(1)
        self.issued_at = []
        self.threads = [threading.Thread(target=self.run) for _ in range(CLIENTS)]
        self.threads.append(threading.Thread(target=self.approve))
        for thread in self.threads:
            thread.start()

    def run(self):
        client = errand = None
        while not self.stopping.is_set():
            try:
                client = client or self.slot.enrol()
                if not errand:
                    number = next(self.numbers)
                    is_held = number % 4 == 0
                    errand = Errand(self.slot, client, f"{'hold' if is_held else 'n'}{number}.{DOMAIN}",
                                    waits=not is_held)
                if self.finish(errand):
                    errand = None
            except Exception:  # the daemon was killed under us: that is the test
                self.stopping.wait(0.02)

    def finish(self, errand):
        """An order that is held is polled until it was approved; one that is over is never taken up again."""
        asked = time.monotonic()
        status = errand.run()
        if status == "valid":
            with self.lock:
                self.issued_at.append((asked, time.monotonic()))
        elif status == "processing":
            self.stopping.wait(0.05)
        return status != "processing"

    def approve(self):
        while not self.stopping.is_set():
            try:
                done = self.slot.run_tool("pending", output="json", code=None)
                waiting = json.loads(done.stdout)["requests"] if done.returncode == 0 else []
                for request in waiting:
                    if self.slot.run_tool("approve", str(request["id"]), "--yes", code=None).returncode == 0:
                        self.slot.acknowledge("approval", id=request["id"])
            except Exception:  # as above
                pass
            self.stopping.wait(0.05)

    def first_after(self, begin):
        """When the first client had a certificate that it had asked for after `begin`; None: not yet."""
        with self.lock:
            return next((told for asked, told in self.issued_at if asked > begin), None)

    def stop(self):
        self.stopping.set()
        for thread in self.threads:
            thread.join(60)


def wait_for(slot, what, condition):
    """What the condition says, once it is true."""
    end = time.monotonic() + WAIT_S
    while not (answer := condition()):
        check(time.monotonic() < end, f"{what}: not within {WAIT_S} s: {slot.log_tail()}")
        time.sleep(0.01)
    return answer


def kill_now(slot, kind):
    """The process that was killed; None: it is not there, or was just ending by itself."""
    pid = processes.find(slot.process.pid).get(kind)
    with contextlib.suppress(ProcessLookupError):
        if pid:
            os.kill(pid, signal.SIGKILL)
            return pid
    return None


def kill_one(slot, kind, kinds):
    """Kill it, and wait until everything is there again: by the supervisor, or by us when that was killed."""
    pid = wait_for(slot, f"there is a {kind}", lambda: kill_now(slot, kind))
    if kind == "supervisor":
        slot.process.wait()
        slot.wait_gone()
        slot.start()
    else:
        wait_for(slot, f"the {kind} is dead", lambda: not processes.is_alive(pid))
    wait_for(slot, f"the {kind} is started again", lambda: set(kinds) <= set(processes.find(slot.process.pid)))


def kill_under_load(slot, load, kinds):
    """Seconds from each kill to the next certificate that a client had."""
    recoveries = []
    for kind in random.sample(kinds * KILLS, len(kinds) * KILLS):
        time.sleep(random.uniform(0.02, 0.5))
        begin = time.monotonic()
        kill_one(slot, kind, kinds)
        wait_for(slot, f"a certificate after the {kind} was killed", lambda: load.first_after(begin))
        recoveries.append(load.first_after(begin) - begin)
    return recoveries


def kill_and_check(slot):
    slot.start()
    kinds = sorted(processes.find(slot.process.pid))
    load = Load(slot)
    try:
        recoveries = kill_under_load(slot, load, kinds)
    finally:
        load.stop()
    problems = slot.check_everything(f"fresh.{DOMAIN}")
    for text in problems:
        print(f"        {text}")
    check(not problems, f"{len(problems)} things are wrong")
    print(f"        {KILLS} kills of each of {', '.join(kinds)} with {len(load.issued_at)} certificates acknowledged: "
          "0 lost, 0 twice, 0 events missed, 0 rows stuck, 0 processes left")
    print(f"        from a kill to the next certificate: {statistics.median(recoveries):.2f} s in the middle, "
          f"{max(recoveries):.2f} s at most")
    root = slot.process.pid
    slot.stop()
    left = processes.left_of(root)
    check(not left, f"processes are left after the end: {left}")
    slot.check_trace()


def killed_at_random_moments():
    slot = Slot()
    try:
        kill_and_check(slot)
    except BaseException:
        print(f"        kept: {slot.folder}")
        slot.end()
        raise
    slot.close()


main([killed_at_random_moments])
