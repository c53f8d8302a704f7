"""A real gatehoused on loopback for one test: configuration, start, kill, tool, and the trace held against the model.

Everything lives in a temporary folder that is removed when the test passed, and named when it failed.
"""
import contextlib
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request

import processes

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", ".."))
BUILD = os.environ.get("GATEHOUSE_BUILD", os.path.join(ROOT, "build", "check"))
DAEMON = os.path.join(BUILD, "gateway", "gatehoused")
TOOL = os.path.join(BUILD, "gateway", "ctl", "gatehouse")
LONG = bool(os.environ.get("GATEHOUSE_LONG"))
DOMAIN = "gatehouse.test"
SKIP = 77
os.umask(0o022)  # a configuration that others may write to is refused

RULES = """
        - name: deny
          when: {any-name: ["deny*"]}
          then: deny
          reason: names that begin with deny are denied
        - name: hold
          when: {any-name: ["hold*"]}
          then: pend
          reason: a person looks at this name
        - name: all-others
          then: issue
"""


# Users of the processes when the tests run as root. Numbers need no entry in the system's list.
ROLES = ("core", "gateway", "signer", "validator")
USERS = {role: 61101 + i for i, role in enumerate(ROLES + ("ra-signer",))} if os.geteuid() == 0 else {}


def free_ports(n):
    """Below those that the kernel gives to clients: a daemon that is down for a moment finds its ports free again."""
    with open("/proc/sys/net/ipv4/ip_local_port_range", encoding="ascii") as f:
        end = int(f.read().split()[0])
    ports = set()
    while len(ports) < n:
        port = random.randrange(10000, end)
        with socket.socket() as s, contextlib.suppress(OSError):
            s.bind(("127.0.0.1", port))
            ports.add(port)
    return list(ports)


def hand_to(role, path):
    """Give a file to the process that reads it, where each has a user of its own."""
    if USERS:
        os.chown(path, USERS[role], USERS[role])


def user_config(separates=True):
    """The section `processes` for tests: users by number, or one for all."""
    if not USERS or not separates:
        return "processes: {separate-users: false}\n"
    return "processes:\n" + "".join(f"  {role}-user: {uid}\n" for role, uid in USERS.items())


def roles(core):
    """root holds every role, but for those that the test gives to others."""
    rights = "" if "officer-rights:" in core else "  officer-rights: [{officer: root, profiles: any}]\n"
    return rights + "".join(f"  {role}: [root]\n" for role in ("officers", "auditors", "operators") if f"{role}:" not in core)


def check(condition, text):
    if not condition:
        raise AssertionError(text)


class Gatehouse:
    """One data folder and the daemons that run on it, one after the other."""

    separates_users = True  # when root runs the tests

    def __init__(self, rules=RULES, core="", folder=None, data=None, key_type="ec-p256", policy=None, lifetime="30d"):
        self.folder = folder or tempfile.mkdtemp(prefix="gatehouse-test-")
        os.chmod(self.folder, 0o777)  # core and gateway, which have users of their own, write into it
        self.data = data or os.path.join(self.folder, "data")
        self.log_path = os.path.join(self.folder, "log")
        self.trace = os.path.join(self.folder, "trace.jsonl")
        self.config = os.path.join(self.folder, "gatehouse.yaml")
        self.socket = os.path.join(self.folder, "admin.sock")
        self.root = os.path.join(self.folder, "root.pem")
        self.issued = os.path.join(self.folder, "issued")
        self.port, self.metrics_port, self.http01_port, self.tls_port = free_ports(4)
        self.directory = f"https://localhost:{self.port}/acme/directory"
        self.process = None
        policy = policy or "      module: rules\n      default: deny\n      rules:" + rules
        self.write_config(core, policy, lifetime)
        os.makedirs(self.data, mode=0o700, exist_ok=True)
        self.make_ca(key_type)

    def make_ca(self, key_type="ec-p256"):
        created = json.loads(self.run_tool("ca", "init", "--name", "Test CA", "--data", self.data, "--config",
                                           self.config, "--key-type", key_type, output="json").stdout)
        with open(self.root, "w") as f:
            f.write(created["certificate"])

    def write_config(self, core, policy, lifetime):
        with open(self.config, "w") as f:
            f.write(f"""data: {self.data}
core:
  admin-socket: {self.socket}
  trace-file: {self.trace}
{roles(core)}{core}
cas:
  - name: Test CA
    policy:
{policy}
    exits:
      - module: file
        folder: {self.issued}
profiles:
  - name: server
    lifetime: {lifetime}
endpoints:
  - name: acme
    protocol: acme
    path: /acme
    ca: Test CA
    profile: server
listeners:
  - name: public
    address: 127.0.0.1
    port: {self.port}
    names: [localhost, 127.0.0.1]
    endpoints: [acme]
metrics:
  port: {self.metrics_port}
validator:
  http-port: {self.http01_port}
  tls-port: {self.tls_port}
  allow: [127.0.0.0/8]
  hosts:
    "*.{DOMAIN}": 127.0.0.1
{user_config(self.separates_users)}""")

    # ---- the daemon ----

    def spawn(self, **options):
        log = open(self.log_path, "ab")
        self.process = subprocess.Popen([DAEMON, "--config", self.config], stdin=subprocess.DEVNULL, stdout=log,
                                        stderr=log, **options)
        log.close()

    def start(self, wait_s=30, **options):
        at = os.path.getsize(self.log_path) if os.path.exists(self.log_path) else 0
        self.spawn(**options)
        end = time.monotonic() + wait_s
        while time.monotonic() < end:
            with open(self.log_path, "rb") as f:
                f.seek(at)
                if b"event=server.ready" in f.read():
                    return self
            check(self.process.poll() is None, f"gatehoused ended with {self.process.returncode}: {self.log_tail()}")
            time.sleep(0.02)
        raise AssertionError(f"gatehoused is not ready after {wait_s} s: {self.log_tail()}")

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            check(self.process.wait(40) == 0, f"gatehoused stopped with {self.process.returncode}: {self.log_tail()}")
        self.process = None

    def kill(self):
        self.process.kill()
        self.process.wait()
        self.process = None

    def log_tail(self, n=8):
        with open(self.log_path, errors="replace") as f:
            return "\n" + "".join(f.readlines()[-n:])

    def processes(self):
        """{role: pid} of what runs below the supervisor."""
        found = processes.find(self.process.pid)
        found.pop("supervisor", None)
        return found

    def kill_role(self, role):
        pid = self.processes().get(role)
        if pid:
            os.kill(pid, signal.SIGKILL)
        return pid

    def wait_role(self, role, not_pid=None, wait_s=10):
        end = time.monotonic() + wait_s
        while time.monotonic() < end:
            pid = self.processes().get(role)
            if pid and pid != not_pid:
                return pid
            time.sleep(0.01)
        raise AssertionError(f"there is no process {role} after {wait_s} s: {self.log_tail()}")

    def reload(self, wait_s=30, event="server.reloaded"):
        at = os.path.getsize(self.log_path)
        self.process.send_signal(signal.SIGHUP)
        return self.wait_log(event, at, wait_s)

    def wait_log(self, event, at=0, wait_s=30):
        """The first line of that event after octet `at` of the log."""
        end = time.monotonic() + wait_s
        while time.monotonic() < end:
            with open(self.log_path, "rb") as f:
                f.seek(at)
                for line in f.read().decode(errors="replace").splitlines():
                    if f"event={event} " in line + " ":
                        return line
            check(self.process.poll() is None, f"gatehoused ended: {self.log_tail()}")
            time.sleep(0.02)
        raise AssertionError(f"no {event} in the log after {wait_s} s: {self.log_tail()}")

    # ---- the tool ----

    def run_tool(self, *words, output="table", code=0):
        done = subprocess.run([TOOL, "--socket", self.socket, "-o", output, *words], stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, timeout=60)
        if code is not None:
            check(done.returncode == code, f"gatehouse {' '.join(words)}: exit {done.returncode}, wanted {code}\n"
                                           f"{done.stdout}{done.stderr}")
        return done

    def tool_json(self, *words):
        return json.loads(self.run_tool(*words, output="json").stdout)

    def pending(self):
        return self.tool_json("pending")["requests"]

    def requests(self):
        return self.tool_json("list")["requests"]

    def timeline(self, number):
        return self.tool_json("show", str(number), "--timeline")["request"]["timeline"]

    def wait_pending(self, name, wait_s=30):
        end = time.monotonic() + wait_s
        while time.monotonic() < end:
            for request in self.pending():
                if name in request["names"]:
                    return request
            time.sleep(0.1)
        raise AssertionError(f"{name} did not come into the queue: {self.log_tail()}")

    def metric(self, name):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.metrics_port}/metrics", timeout=10) as reply:
            for line in reply.read().decode().splitlines():
                if line.startswith(name + " ") or line.startswith(name + "{"):
                    return float(line.rsplit(" ", 1)[1])
        raise AssertionError(f"there is no metric {name}")

    # ---- what must be true after every test ----

    def check_trace(self):
        model = os.path.join(ROOT, "tests", "scenarios", "check_trace.py")
        done = subprocess.run([sys.executable, model, self.trace], capture_output=True, text=True)
        check(done.returncode == 0, f"the trace breaks the state table:\n{done.stdout}{done.stderr}")

    def verify(self, pem):
        done = subprocess.run(["openssl", "verify", "-x509_strict", "-CAfile", self.root, pem], capture_output=True,
                              text=True)
        check(done.returncode == 0, f"openssl verify -x509_strict {pem}: {done.stdout}{done.stderr}")


@contextlib.contextmanager
def gatehouse(set_up=None, **options):
    """A daemon that runs; `set_up` changes its configuration before it starts."""
    g = Gatehouse(**options)
    try:
        if set_up:
            set_up(g)
        g.start()
        yield g
        g.stop()
        g.check_trace()
    except BaseException:
        print(f"kept: {g.folder}", file=sys.stderr)
        if g.process and g.process.poll() is None:
            g.process.kill()
        raise
    shutil.rmtree(g.folder)


def main(tests):
    """Run the functions in order and say which passed; exit 1 when one failed."""
    failed = 0
    for test in tests:
        begin = time.monotonic()
        try:
            test()
            print(f"ok      {test.__name__} ({time.monotonic() - begin:.1f} s)", flush=True)
        except Exception as e:  # every test is run, whatever the one before did
            import traceback
            traceback.print_exc()
            print(f"FAILED  {test.__name__}: {e}", flush=True)
            failed += 1
    sys.exit(1 if failed else 0)
