#!/usr/bin/python3
"""The life of a CA: signed elsewhere, rolled over while it works, one of several, near its end, sealed by a passphrase."""
import json
import os
import pty
import shutil
import signal
import sqlite3
import subprocess
import tempfile
import time

import acme_client
from gatehouse import DAEMON, DOMAIN, TOOL, Gatehouse, check, gatehouse, main

PASSPHRASE = "correct horse canary staple"


def write(path, *texts):
    with open(path, "w", encoding="ascii") as f:
        f.write("".join(texts))
    return path


def issue(g, name):
    """A certificate over ACME: file of the leaf, file of the chain that came with it."""
    responder = acme_client.Responder(g.http01_port)
    try:
        pem = acme_client.Client(g, responder).start().get_certificate(f"{name}.{DOMAIN}")
    finally:
        responder.close()
    first, *chain = [part + "-----END CERTIFICATE-----\n" for part in pem.split("-----END CERTIFICATE-----\n") if part.strip()]
    return write(f"{g.folder}/{name}.pem", first), write(f"{g.folder}/{name}-chain.pem", *chain)


def verifies(leaf, root, chain=None):
    words = ["openssl", "verify", "-x509_strict", "-no-CApath", "-no-CAstore", "-CAfile", root]
    done = subprocess.run(words + (["-untrusted", chain] if chain else []) + [leaf], capture_output=True, text=True)
    return done.returncode == 0


def must_verify(leaf, root, chain=None):
    check(verifies(leaf, root, chain), f"{leaf} does not verify under {root} with {chain}")


def shown(g, name="Test CA"):
    return g.tool_json("ca", "show", name)["cas"][0]


def key_of(g, name):
    """Index of the CA key that signed the certificate of this name."""
    db = sqlite3.connect(f"file:{g.data}/core/core.db?mode=ro", uri=True)
    try:
        return db.execute("SELECT k.position FROM certificates c JOIN ca_keys k ON k.id=c.key_id JOIN names n"
                          " ON n.request_id=c.request_id WHERE n.value=?", (f"{name}.{DOMAIN}",)).fetchone()[0]
    finally:
        db.close()


def audit_actions(g):
    db = sqlite3.connect(f"file:{g.data}/core/core.db?mode=ro", uri=True)
    try:
        return [json.loads(row[0]) for row in db.execute("SELECT payload FROM audit ORDER BY seq")]
    finally:
        db.close()


def a_root_is_rolled_over_while_it_works():
    with gatehouse() as g:
        old_leaf, _ = issue(g, "before")
        old_root = g.root
        g.run_tool("ca", "rollover", "Nobody", code=3)
        new = g.tool_json("ca", "rollover", "TEST ca", "--key-type", "ec-p384")
        new_root = write(f"{g.folder}/new-root.pem", new["certificate"])
        new_leaf, chain = issue(g, "after")
        check((key_of(g, "before"), key_of(g, "after")) == (0, 1), "the new key signs from now on")
        ca = shown(g)
        check([k["state"] for k in ca["keys"]] == ["old", "current"] and len(ca["crosses"]) == 2, f"{ca}")
        crosses = [write(f"{g.folder}/cross{i}.pem", pem) for i, pem in enumerate(ca["crosses"])]
        # Each cross certificate is signed by one root, and the other root's key is in it.
        with_old = [c for c in crosses if verifies(c, old_root)]
        with_new = [c for c in crosses if verifies(c, new_root)]
        check(len(with_old) == len(with_new) == 1 and with_old != with_new, f"{with_old} {with_new}")
        # Who trusts either root verifies what both signed, with the chain that is served.
        must_verify(old_leaf, old_root)
        must_verify(old_leaf, new_root, with_new[0])
        must_verify(new_leaf, new_root)
        must_verify(new_leaf, new_root, chain)
        must_verify(new_leaf, old_root, chain)
        check(not verifies(new_leaf, old_root), "without the cross certificate the old root says nothing of the new key")
        # The same after a start; and once more.
        g.stop()
        g.start()
        leaf, chain = issue(g, "restarted")
        must_verify(leaf, old_root, chain)
        third = write(f"{g.folder}/third-root.pem", g.tool_json("ca", "rollover", "Test CA")["certificate"])
        leaf, chain = issue(g, "third")
        check(key_of(g, "third") == 2, "the third key signs")
        for root in (old_root, new_root, third):
            must_verify(leaf, root, chain)
        # A signer that is killed gets all three again.
        pid = g.kill_role("signer")
        g.wait_role("signer", not_pid=pid)
        must_verify(issue(g, "signer")[0], third)
        done = [(r["action"], r.get("subject")) for r in audit_actions(g) if r["action"].startswith("ca-")]
        check(done == [("ca-init", "Test CA")] + 2 * [("ca-rollover", "Test CA")], f"{done}")


class Outside:
    """An authority of openssl's, of which Gatehouse knows nothing."""

    def __init__(self, folder):
        self.folder = folder
        self.key, self.root = f"{folder}/outside.key", f"{folder}/outside.pem"
        subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", self.key, "-out", self.root,
                        "-days", "100", "-subj", "/CN=Outside Root", "-addext", "keyUsage=critical,keyCertSign,cRLSign"],
                       check=True, capture_output=True)

    def sign(self, request, name, usage="keyCertSign,cRLSign", constraints="CA:TRUE,pathlen:0"):
        extensions = write(f"{self.folder}/extensions", f"basicConstraints=critical,{constraints}\n"
                           f"keyUsage=critical,{usage}\nsubjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\n")
        csr, pem = write(f"{self.folder}/{name}.csr", request), f"{self.folder}/{name}.pem"
        subprocess.run(["openssl", "req", "-in", csr, "-verify", "-noout"], check=True, capture_output=True)
        subprocess.run(["openssl", "x509", "-req", "-in", csr, "-CA", self.root, "-CAkey", self.key, "-days", "50",
                        "-extfile", extensions, "-out", pem, "-set_serial", str(time.time_ns())], check=True,
                       capture_output=True)
        return pem

    def chain(self, pem, *more):
        texts = [open(p, encoding="ascii").read() for p in (pem, *more)]
        return write(pem + ".chain", *texts)


class Intermediate(Gatehouse):
    def make_ca(self, key_type="ec-p256"):
        self.request = json.loads(self.run_tool("ca", "init", "--name", "Test CA", "--organization", "Example", "--data",
                                                self.data, "--config", self.config, "--intermediate",
                                                output="json").stdout)["request"]

    def bring(self, path, code=0, data=True):
        return self.run_tool("ca", "import", "--name", "Test CA", *(["--data", self.data] if data else []), path, code=code)


def an_intermediate_is_signed_elsewhere():
    g = Intermediate()
    outside, other = Outside(g.folder), Outside(tempfile.mkdtemp(dir=g.folder))
    # Nothing is served before the certificate is there, and the reason is said.
    done = subprocess.run([DAEMON, "--config", g.config], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)
    check(done.returncode != 0 and "waits for its certificate" in done.stderr + done.stdout, f"{done}")
    good = outside.sign(g.request, "good")
    refused = [(good, [], "issuer is missing"), (good, [other.root], "issuer"), (outside.root, [good], "key that waits"),
               (outside.sign(g.request, "no-crl", usage="keyCertSign"), [outside.root], "keyCertSign and cRLSign"),
               (outside.sign(g.request, "no-ca", constraints="CA:FALSE", usage="digitalSignature"), [outside.root],
                "basicConstraints")]
    for pem, more, why in refused:
        done = g.bring(outside.chain(pem, *more), code=1)
        check(why in done.stderr, f"{why} is not in {done.stderr}")
    g.bring(write(f"{g.folder}/empty", "nothing"), code=2)
    g.bring(outside.chain(good, outside.root))
    g.bring(outside.chain(good, outside.root), code=6)  # nothing waits any more
    g.root = outside.root
    g.start()
    leaf, chain = issue(g, "leaf")
    check(open(chain, encoding="ascii").read().count("BEGIN") == 2, "issuer and root follow the leaf")
    must_verify(leaf, outside.root, chain)
    # A new key, while it works: what it signs is the old key's until the certificate is brought.
    request = g.tool_json("ca", "rollover", "Test CA")["request"]
    g.run_tool("ca", "rollover", "Test CA", code=6)
    issue(g, "between")
    check(key_of(g, "between") == 0 and shown(g)["keys"][1]["state"] == "waiting", f"{shown(g)}")
    other_name = subprocess.run(["openssl", "req", "-in", f"{g.folder}/good.csr", "-noout", "-subject"],
                                capture_output=True, text=True).stdout
    check("O = Example" in other_name and "CN = Test CA" in other_name, other_name)
    g.bring(outside.chain(outside.sign(request, "next"), outside.root))
    leaf, chain = issue(g, "rolled")
    check(key_of(g, "rolled") == 1, "the new key signs")
    must_verify(leaf, outside.root, chain)
    g.stop()
    g.start()
    must_verify(issue(g, "again")[0], outside.root, chain)
    g.stop()
    g.check_trace()
    shutil.rmtree(g.folder)


def a_second_ca_comes_while_the_first_works():
    g = Gatehouse()
    with open(g.config, encoding="ascii") as f:
        text = f.read()
    write(g.config, text.replace("profiles:\n", "  - name: Second CA\n    policy: {module: manual}\nprofiles:\n", 1))
    g.start()
    issue(g, "first")
    status = g.run_tool("status", code=1).stdout
    check("ca Test CA: ok" in status and "ca Second CA: this CA has no key" in status, status)
    # The core at the socket is asked; no folder and no configuration is made beside it.
    made = json.loads(g.run_tool("ca", "init", "--name", "Second CA", output="json").stdout)
    check("ca Second CA: ok" in g.run_tool("status").stdout, "the running core has its key")
    check(shown(g, "Second CA")["certificate"] == made["certificate"], "that is its certificate")
    g.run_tool("ca", "init", "--name", "second ca", "--data", g.data, code=6)
    g.stop()
    g.start()
    check(len(g.tool_json("ca", "show")["cas"]) == 2 and "ca Second CA: ok" in g.run_tool("status").stdout, "after a start")
    g.stop()
    g.check_trace()
    shutil.rmtree(g.folder)


class Ending(Gatehouse):
    def make_ca(self, key_type="ec-p256"):
        created = json.loads(self.run_tool("ca", "init", "--name", "Test CA", "--data", self.data, "--config", self.config,
                                           "--lifetime", "7", output="json").stdout)
        write(self.root, created["certificate"])


def end_of(pem):
    return subprocess.run(["openssl", "x509", "-in", pem, "-noout", "-enddate"], capture_output=True, text=True).stdout


def a_ca_near_its_end_says_so_and_certifies_nothing_beyond():
    g = Ending()
    g.start()
    leaf, _ = issue(g, "leaf")  # of a profile that would let it live for 30 days
    check(end_of(leaf) == end_of(g.root), f"{end_of(leaf)} and not {end_of(g.root)}")
    must_verify(leaf, g.root)
    status = g.run_tool("status").stdout
    check("ca Test CA: ok, but its certificate ends at" in status and "rollover" in status, status)
    check("ca.near-end" in open(g.log_path, errors="replace").read(), "the log says so")
    check(g.metric('gatehouse_ca_near_end') == 1 and g.metric("gatehouse_ca_not_after_seconds") > time.time(), "metrics")
    g.tool_json("ca", "rollover", "Test CA")
    check("ca Test CA: ok\n" in g.run_tool("status").stdout and g.metric("gatehouse_ca_near_end") == 0, "a rollover helps")
    g.stop()
    g.check_trace()
    shutil.rmtree(g.folder)


# ---- passphrases ----

class Sealed(Gatehouse):
    """Its keys are sealed under a passphrase in a file."""

    def make_ca(self, key_type="ec-p256"):
        self.passphrase = write(f"{self.folder}/passphrase", PASSPHRASE, "\n")
        os.chmod(self.passphrase, 0o600)
        created = json.loads(self.run_tool("ca", "init", "--name", "Test CA", "--data", self.data, "--config", self.config,
                                           "--passphrase-file", self.passphrase, output="json").stdout)
        write(self.root, created["certificate"])

    def use(self, line):
        with open(self.config, encoding="ascii") as f:
            lines = [text for text in f.read().splitlines() if "passphrase" not in text]
        write(self.config, "\n".join(lines).replace("core:\n", f"core:\n  {line}\n", 1), "\n")

    def fails(self, line, why):
        self.use(line)
        done = subprocess.run([DAEMON, "--config", self.config], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              timeout=60, start_new_session=True)
        check(done.returncode != 0 and why in done.stderr + done.stdout, f"{why} is not in {done}")


def secret_is_nowhere(g):
    """Neither in the log nor in what anybody may see of a process."""
    check(PASSPHRASE not in open(g.log_path, errors="replace").read(), "the passphrase is in the log")
    for pid in [g.process.pid, *g.processes().values()]:
        for name in ("cmdline", "environ"):
            with open(f"/proc/{pid}/{name}", "rb") as f:
                check(PASSPHRASE.encode() not in f.read(), f"the passphrase is in {name} of {pid}")


def keys_are_sealed_by_a_passphrase_in_a_file():
    g = Sealed()
    check(not os.path.exists(f"{g.data}/kek"), "there is no key beside it")
    g.fails("passphrase-prompt: false", "kek")  # nothing is configured, and nothing lies in the folder
    g.fails(f"passphrase-file: {write(g.folder + '/wrong', 'another one')}", "may be read by others")
    os.chmod(f"{g.folder}/wrong", 0o600)
    g.fails(f"passphrase-file: {g.folder}/wrong", "the passphrase is wrong")
    g.use(f"passphrase-file: {g.passphrase}")
    g.start()
    os.unlink(g.passphrase)  # read once: a signer that is started again needs nobody
    pid = g.kill_role("signer")
    g.wait_role("signer", not_pid=pid)
    must_verify(issue(g, "leaf")[0], g.root)
    secret_is_nowhere(g)
    g.stop()
    g.check_trace()
    shutil.rmtree(g.folder)


def at_terminal(g, words, answers):
    """Run it with a terminal of its own, on which these lines are typed; its process and the terminal."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.execv(words[0], words)
    seen = b""
    for question, answer in answers:
        end = time.monotonic() + 30
        while question.encode() not in seen:
            check(time.monotonic() < end, f"'{question}' is not asked: {seen}")
            seen += os.read(terminal, 1024)
        seen = b""
        os.write(terminal, answer.encode() + b"\n")
    return pid, terminal


def the_passphrase_is_asked_for_at_a_terminal():
    g = Sealed()
    g.fails("passphrase-prompt: true", "there is none")
    g.use(f"passphrase-prompt: true")
    pid, terminal = at_terminal(g, [DAEMON, "--config", g.config], [("Passphrase", "a wrong one"), ("Passphrase", PASSPHRASE)])
    try:
        seen, end = "", time.monotonic() + 30
        while "event=server.ready" not in seen:
            check(time.monotonic() < end, f"it does not start: {seen}")
            seen += os.read(terminal, 65536).decode(errors="replace")
        check(PASSPHRASE not in seen, "what is typed is not shown")
        status = g.run_tool("status").stdout
        check("ca Test CA: ok" in status, status)
    finally:
        os.kill(pid, signal.SIGTERM)
        while True:
            try:
                if not os.read(terminal, 65536):
                    break
            except OSError:
                break
        os.waitpid(pid, 0)
        os.close(terminal)
    shutil.rmtree(g.folder)


def a_new_passphrase_is_typed_twice():
    folder = tempfile.mkdtemp(prefix="gatehouse-test-")
    words = [TOOL, "ca", "init", "--name", "Test CA", "--data", f"{folder}/data", "--config", f"{folder}/gatehouse.yaml",
             "--passphrase-prompt"]
    for second, code in (("another one", 1), (PASSPHRASE, 0)):
        pid, terminal = at_terminal(None, words, [("New passphrase", PASSPHRASE), ("The same again", second)])
        seen = b""
        try:
            while piece := os.read(terminal, 65536):
                seen += piece
        except OSError:
            pass
        check(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == code, f"{code}: {seen}")
        os.close(terminal)
    with open(f"{folder}/gatehouse.yaml", encoding="ascii") as f:
        check("passphrase-prompt: true" in f.read(), "the configuration says so")
    salt = open(f"{folder}/data/kek.salt", encoding="ascii").read()
    check(salt.startswith("scrypt 131072 8 1 ") and os.stat(f"{folder}/data/kek.salt").st_mode & 0o777 == 0o600, salt)
    shutil.rmtree(folder)


main([a_root_is_rolled_over_while_it_works, an_intermediate_is_signed_elsewhere, a_second_ca_comes_while_the_first_works,
      a_ca_near_its_end_says_so_and_certifies_nothing_beyond, keys_are_sealed_by_a_passphrase_in_a_file,
      the_passphrase_is_asked_for_at_a_terminal, a_new_passphrase_is_typed_twice])
