"""The processes of a started daemon, by what they do: the only place that knows how many there are."""
import os
import signal
import time

# What a process is called here, and how FAULT_PROCESS of shim.c names it.
KINDS = {
    "supervisor": "gatehoused",
    "core": "gatehoused core",
    "gateway": "gatehoused gateway",
    "signer": "gatehouse-signer",
    "validator": "gatehouse-validator",
}


def read_words(pid):
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as f:
            return f.read().decode(errors="replace").split("\0")
    except OSError:
        return [""]


def children(pid):
    found = []
    try:
        for task in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{task}/children", encoding="ascii") as f:
                found += [int(word) for word in f.read().split()]
    except OSError:
        pass
    return found


def kind_of(pid):
    words = read_words(pid)
    role = words[words.index("--role") + 1] if "--role" in words[:-1] else None
    name = os.path.basename(words[0]) + (f" {role}" if role else "")
    return {shim: kind for kind, shim in KINDS.items()}.get(name)


def find(root):
    """{kind: pid} of the daemon that was started as process `root`. A daemon that is one process is a supervisor
    without children."""
    found, waiting = {}, [root]
    while waiting:
        pid = waiting.pop()
        waiting += children(pid)
        kind = kind_of(pid)
        if kind:
            found[kind] = pid
    return found


def targets(root):
    """Whom to kill: every process that a supervisor starts again, or the one that there is."""
    kinds = sorted(find(root))
    return [kind for kind in kinds if kind != "supervisor"] or kinds


def is_alive(pid):
    """Neither gone nor a zombie."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as f:
            return f.read().rsplit(")", 1)[1].split()[0] not in "ZX"
    except OSError:
        return False


def kill_all(root):
    """The supervisor first, so that it starts nobody again."""
    pids = [root] + [pid for pid in find(root).values() if pid != root]
    for pid in pids:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
    end = time.monotonic() + 10
    while any(is_alive(pid) for pid in pids) and time.monotonic() < end:
        time.sleep(0.005)
