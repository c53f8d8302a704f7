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
    "ra-signer": "gatehouse-ra-signer",
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
    """{kind: pid} of the daemon that was started as process `root`."""
    found, waiting = {}, [root]
    while waiting:
        pid = waiting.pop()
        waiting += children(pid)
        kind = kind_of(pid)
        if kind:
            found.setdefault(kind, pid)  # a child that has not become another program yet looks like the supervisor
    return found


def targets(root):
    """Whom to kill: every process that the supervisor starts again."""
    return sorted(set(find(root)) - {"supervisor"})


def read_stat(pid):
    """State, parent, process group, session and so on; nothing when it is gone."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as f:
            return f.read().rsplit(")", 1)[1].split()
    except OSError:
        return []


def is_alive(pid):
    """Neither gone nor a zombie; one whose other threads are still ending has its sockets open."""
    stat = read_stat(pid)
    return bool(stat) and (stat[0] not in "ZX" or int(stat[17]) > 1)


def left_of(root):
    """Who lives of the session that the daemon was started in as process `root`, whether that lives or not."""
    found = []
    for name in os.listdir("/proc"):
        stat = read_stat(name) if name.isdigit() else []
        if stat and int(stat[3]) == root and is_alive(name):
            found.append(int(name))
    return found


def kill_all(root):
    """The supervisor first, so that it starts nobody again."""
    end = time.monotonic() + 10
    for pid in [root] + left_of(root):
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
    while left_of(root) and time.monotonic() < end:
        time.sleep(0.005)
