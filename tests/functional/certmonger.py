"""certmonger with folders of its own and a private socket: it never meets the one of the system, nor a bus."""
import os
import re
import subprocess
import time

from gatehouse import check


class Certmonger:
    """A daemon, and getcert, which speaks to it."""

    def __init__(self, folder):
        self.folder = folder
        self.process = None
        self.environment = dict(os.environ, CERTMONGER_PVT_ADDRESS=f"unix:path={self.file('socket')}")
        for word, name in (("CONFIG", "conf"), ("REQUESTS", "requests"), ("CAS", "cas"), ("LOCAL_CA", "local")):
            self.environment[f"CERTMONGER_{word}_DIR"] = self.file(name)
            os.makedirs(self.file(name))
        self.environment["CERTMONGER_TMPDIR"] = self.file("tmp")
        os.makedirs(self.file("tmp"))
        self.start()

    def file(self, name):
        return os.path.join(self.folder, name)

    def start(self):
        with open(self.file("log"), "ab") as log:
            self.process = subprocess.Popen(["/usr/sbin/certmonger", "-L", "-P", self.file("socket"), "-n", "-d", "2"],
                                            stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=self.environment)
        self.wait(lambda: self.getcert("list-cas", code=None).returncode == 0, "an answer of certmonger")

    def stop(self):
        if self.process:
            self.process.terminate()
            self.process.wait(30)
            self.process = None

    def getcert(self, *words, code=0):
        done = subprocess.run(["getcert", *words], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              env=self.environment, timeout=60, check=False)
        check(code is None or done.returncode == code, f"getcert {' '.join(words)} ended with {done.returncode}: "
                                                       f"{done.stdout}{done.stderr}")
        return done

    def wait(self, condition, what, wait_s=120):
        end = time.monotonic() + wait_s
        while not condition():
            check(self.process.poll() is None, f"certmonger ended: {self.said()}")
            check(time.monotonic() < end, f"no {what} after {wait_s} s: {self.getcert('list', code=None).stdout}"
                                          f"{self.said()}")
            time.sleep(0.2)

    def said(self, n=20):
        with open(self.file("log"), encoding="utf-8", errors="replace") as f:
            return "\n" + "".join(f.readlines()[-n:])

    def add_ca(self, name, url, *more):
        """And wait until it has fetched the certificates and the capabilities."""
        self.getcert("add-scep-ca", "-c", name, "-u", url, *more)
        self.wait(lambda: all(self.knows_ca(name, word) for word in ("ca_encryption_cert", "ca_capabilities")),
                  f"certificates of {name}")

    def knows_ca(self, name, field):
        for entry in os.listdir(self.file("cas")):
            with open(os.path.join(self.file("cas"), entry), encoding="utf-8") as f:
                text = f.read()
            if f"id={name}\n" in text:
                return f"{field}=" in text
        return False

    def request(self, ca, name, challenge=None, *more):
        """A request that is tracked as `name`: key and certificate are files of that name."""
        words = ["-I", name, "-c", ca, "-k", self.file(name + ".key"), "-f", self.file(name + ".pem"),
                 "-N", f"CN={name}", "-D", name, *more]
        if challenge:
            with open(self.file(name + ".challenge"), "w", encoding="ascii") as f:
                f.write(challenge)
            words += ["-l", self.file(name + ".challenge")]
        self.getcert("request", *words)
        return self.file(name + ".pem")

    def state(self, name):
        """As `getcert list` prints it: "MONITORING"."""
        found = re.search(r"^\s*status: (\S+)$", self.getcert("list", "-i", name).stdout, re.MULTILINE)
        return found.group(1) if found else None

    def wait_state(self, name, *states):
        self.wait(lambda: self.state(name) in states, f"state {states} of {name}")
