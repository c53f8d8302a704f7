#!/usr/bin/python3
"""A passphrase in the place of the key-encryption key: from a credential of a service manager, a file, a terminal. Signals
at the prompt. And nothing of it, nor of the key that is made of it, is left in any process that needs neither."""
import contextlib
import hashlib
import os
import pty
import select
import shutil
import signal
import subprocess
import tempfile
import termios
import time

from gatehouse import DAEMON, TOOL, Gatehouse, check, main
from test_secrets import is_in, memory, read

PASSPHRASE = "c4nary passphrase of the k3ys"


class Phrased(Gatehouse):
    """A CA whose keys are sealed under a passphrase; the daemon is told nowhere where it comes from."""

    def make_ca(self, key_type="ec-p256"):
        self.given = os.path.join(self.folder, "phrase")
        self.give(PASSPHRASE)
        self.run_tool("ca", "init", "--name", "Test CA", "--data", self.data, "--config", self.config,
                      "--passphrase-file", self.given, output="json")

    def give(self, phrase, path=None, mode=0o600):
        path = path or self.given
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="ascii") as f:
            f.write(phrase + "\n")
        os.chmod(path, mode)

    def kek(self):
        """The key, made by another implementation."""
        with open(os.path.join(self.data, "kek.salt"), encoding="ascii") as f:
            kind, n, r, p, salt, _ = f.read().split()
        check(kind == "scrypt", "another derivation")
        return hashlib.scrypt(PASSPHRASE.encode(), salt=bytes.fromhex(salt), n=int(n), r=int(r), p=int(p), dklen=32,
                              maxmem=1 << 29)

    def refuses(self, text, **options):
        """It does not start, and says why."""
        at = os.path.getsize(self.log_path) if os.path.exists(self.log_path) else 0
        self.spawn(**options)
        check(self.process.wait(60) != 0, "it started")
        self.process = None
        with open(self.log_path, encoding="utf-8", errors="replace") as f:
            f.seek(at)
            said = f.read()
        check(text in said and PASSPHRASE not in said, said)


@contextlib.contextmanager
def phrased(**options):
    g = Phrased(**options)
    try:
        yield g
        g.stop()
    except BaseException:
        print(f"kept: {g.folder}")
        if g.process and g.process.poll() is None:
            g.process.kill()
        raise
    shutil.rmtree(g.folder)


def a_credential_of_the_service_manager():
    with phrased() as g:
        credentials = os.path.join(g.folder, "credentials")
        os.mkdir(credentials, 0o700)
        here = {"env": {**os.environ, "CREDENTIALS_DIRECTORY": credentials}}
        g.refuses("the key-encryption key", **here)  # none is there
        path = os.path.join(credentials, "kek-passphrase")
        g.give("not the passphrase", path)
        g.refuses("the passphrase is wrong", **here)
        g.give(PASSPHRASE, path, 0o644)
        g.refuses("may be read by others", **here)
        g.give("", path)
        g.refuses("is empty", **here)
        g.give(PASSPHRASE, path, 0o400)
        g.start(**here)
        check("server.ready" in g.log_tail(200), "ready")


def a_file_of_the_configuration():
    with phrased(core=f"  passphrase-file: {tempfile.gettempdir()}/gatehouse-no-such-file\n") as g:
        g.refuses("cannot read the passphrase file")
        with open(g.config, encoding="ascii") as f:
            text = f.read()
        with open(g.config, "w", encoding="ascii") as f:
            f.write(text.replace(f"{tempfile.gettempdir()}/gatehouse-no-such-file", g.given))
        g.give(PASSPHRASE, mode=0o640)
        g.refuses("may be read by others")
        g.give(PASSPHRASE)
        g.start()


class AtTerminal:
    """A process with a terminal of its own, which outlives it here."""

    def __init__(self, *words):
        self.fd, self.terminal = pty.openpty()
        path = os.ttyname(self.terminal)
        self.shown = ""
        self.process = subprocess.Popen(words, stdin=self.terminal, stdout=self.terminal, stderr=self.terminal,
                                        start_new_session=True,
                                        preexec_fn=lambda: os.close(os.open(path, os.O_RDWR)))

    def wait_for(self, text, wait_s=60):
        end = time.monotonic() + wait_s
        while text not in self.shown and time.monotonic() < end:
            if select.select([self.fd], [], [], 0.1)[0]:
                self.shown += os.read(self.fd, 4096).decode(errors="replace")
            elif self.process.poll() is not None:
                break
        check(text in self.shown, f"it does not say '{text}': {self.shown}")
        self.shown = self.shown[self.shown.index(text) + len(text):]

    def type(self, text):
        os.write(self.fd, text.encode())

    def has_echo(self):
        return bool(termios.tcgetattr(self.terminal)[3] & termios.ECHO)

    def end(self, wait_s=60):
        """Its status, while everything that it shows is read."""
        until = time.monotonic() + wait_s
        while self.process.poll() is None and time.monotonic() < until:
            if select.select([self.fd], [], [], 0.1)[0]:
                self.shown += os.read(self.fd, 4096).decode(errors="replace")
        check(self.process.poll() is not None, f"it does not end: {self.shown}")
        check(self.has_echo(), "the terminal shows no longer what is typed")
        os.close(self.fd)
        os.close(self.terminal)
        return self.process.returncode


QUESTION = "Passphrase for the keys of the CAs: "


def the_daemon_asks_at_its_terminal():
    with phrased(core="  passphrase-prompt: true\n") as g:
        words = (DAEMON, "--config", g.config)
        g.refuses("there is none", start_new_session=True)
        for key, number in (("\3", signal.SIGINT), (None, signal.SIGTERM)):
            t = AtTerminal(*words)
            t.wait_for(QUESTION)
            check(not t.has_echo(), "what is typed is shown")
            t.type("half of it" + (key or ""))
            if not key:
                t.process.send_signal(number)
            check(t.end() != 0, "it went on without a passphrase")
            check("half of it" not in t.shown, t.shown)
        t = AtTerminal(*words)
        t.wait_for(QUESTION)
        t.type("not the passphrase\n")
        t.wait_for(QUESTION)
        t.type(PASSPHRASE + "\n")
        t.wait_for("event=server.ready")
        check(PASSPHRASE not in t.shown and t.has_echo(), "the passphrase is shown, or the terminal shows nothing more")
        t.process.send_signal(signal.SIGTERM)
        check(t.end() == 0, t.shown)


def the_tool_asks_and_can_be_interrupted():
    with phrased() as g:
        data = os.path.join(g.folder, "other")
        os.mkdir(data, 0o700)
        words = (TOOL, "ca", "init", "--name", "Other CA", "--data", data, "--config", os.path.join(g.folder, "o.yaml"),
                 "--passphrase-prompt")
        t = AtTerminal(*words)
        t.wait_for("New passphrase")
        t.type("half\3")
        check(t.end() == -signal.SIGINT and not os.path.exists(os.path.join(data, "kek.salt")), "it was not ended")
        t = AtTerminal(*words)
        t.wait_for("New passphrase")
        t.type(PASSPHRASE + "\n")
        t.wait_for("The same again")
        t.type("something else\n")
        t.wait_for("are not the same")
        check(t.end() != 0 and not os.path.exists(os.path.join(data, "kek.salt")), "it was mistyped and taken")


def nothing_of_it_is_left():
    with phrased() as g:
        credentials = os.path.join(g.folder, "credentials")
        os.mkdir(credentials, 0o700)
        g.give(PASSPHRASE, os.path.join(credentials, "kek-passphrase"), 0o400)
        os.unlink(g.given)
        g.start(env={**os.environ, "CREDENTIALS_DIRECTORY": credentials})
        kek = g.kek()
        forms = (kek, kek.hex().encode())
        running = {**g.processes(), "supervisor": g.process.pid}
        check({"core", "gateway", "signer", "validator", "supervisor"} <= set(running), str(running))

        def check_octets(where, octets):
            check(not is_in(PASSPHRASE, octets), f"the passphrase stands in {where}")
            check(not any(form in octets for form in forms), f"the key stands in {where}")

        for role, pid in running.items():
            for what in ("cmdline", "environ"):
                check_octets(f"{what} of {role}", read(f"/proc/{pid}/{what}"))
        for folder, _, names in os.walk(g.data):
            for name in names:
                if os.path.isfile(os.path.join(folder, name)):
                    check_octets(os.path.join(folder, name), read(os.path.join(folder, name)))
        check_octets("the log", read(g.log_path))
        if os.geteuid() != 0:
            return
        # Every page that has memory behind it: what a core file would hold.
        for role in ("core", "gateway", "validator"):
            for where, octets in memory(running[role]):
                check_octets(f"the memory of {role} ({where})", octets)
        # The supervisor has the key, for a signer that must be started again; the passphrase it has no longer.
        held = [where for where, octets in memory(running["supervisor"]) if kek in octets]
        check(len(held) == 1, f"the key stands in {held} of the supervisor")
        for role in ("supervisor", "signer"):
            for where, octets in memory(running[role]):
                check(not is_in(PASSPHRASE, octets), f"the passphrase stands in the memory of {role} ({where})")


if __name__ == "__main__":
    main([a_credential_of_the_service_manager, a_file_of_the_configuration, the_daemon_asks_at_its_terminal,
          the_tool_asks_and_can_be_interrupted, nothing_of_it_is_left])
