#!/usr/bin/python3
"""The certificate of a SCEP endpoint is replaced while clients enrol, and nobody notices."""
import os
import subprocess
import threading
import time

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from gatehouse import check, gatehouse, main
from scep_client import Strongswan, add_scep, create_challenge, key_of, read_certificate, run
from scep_raw import Scep, bag

CLIENTS = 3


class Load:
    """Clients that enrol one after the other until they are told to end."""

    def __init__(self, g, client, challenge):
        self.g, self.client, self.challenge = g, client, challenge
        self.ends = threading.Event()
        self.issued, self.serials, self.failures, self.lock = 0, set(), [], threading.Lock()
        self.threads = [threading.Thread(target=self.enrol, args=(n,)) for n in range(CLIENTS)]
        for thread in self.threads:
            thread.start()

    def enrol(self, number):
        name = f"load-{id(self):x}-{number}.example"
        while not self.ends.is_set():
            try:
                pem, _ = self.client.enrol(name, self.challenge)
                with self.lock:
                    self.issued += 1
                    self.serials.add(read_certificate(pem).serial_number)
            except (AssertionError, OSError, subprocess.TimeoutExpired) as e:
                with self.lock:
                    self.failures.append(str(e))
                return

    def wait(self, n):
        """Until so many more were issued."""
        with self.lock:
            end = self.issued + n
        while True:
            with self.lock:
                check(not self.failures, "\n".join(self.failures) + self.g.log_tail())
                if self.issued >= end:
                    return
            self.ends.wait(0.05)

    def stop(self):
        self.ends.set()
        for thread in self.threads:
            thread.join(120)
        check(not self.failures, "\n".join(self.failures) + self.g.log_tail())
        check(len(self.serials) == self.issued, f"{self.issued} enrolments, {len(self.serials)} certificates")


def ra_of(g, name):
    client = Strongswan(g, "scep", name)
    return client, read_certificate(client.file("ra.pem"))


def files(g):
    return sorted(f for f in os.listdir(os.path.join(g.data, "gateway")) if f.startswith("ra-scep."))


def no_next_ca(scep):
    check("GetNextCACert" not in scep.get("GetCACaps").body.decode().split(), "it is listed")
    reply = scep.get("GetNextCACert")
    check(reply.code == 404, f"{reply.code} {reply.body[:100]}")


def next_ca(g, scep, old_root):
    """Verified as by a client that trusts the old root alone: the certificate of the new one."""
    check("GetNextCACert" in scep.get("GetCACaps").body.decode().split(), "it is not listed")
    reply = scep.get("GetNextCACert")
    check(reply.code == 200 and reply.headers["Content-Type"] == "application/x-x509-next-ca-cert",
          f"{reply.code} {reply.headers} {reply.body[:100]}")
    path = os.path.join(g.folder, "next")
    with open(path, "wb") as f:
        f.write(reply.body)
    content = run("openssl", "cms", "-verify", "-binary", "-inform", "DER", "-in", path, "-CAfile", old_root, "-purpose", "any")
    (root,) = bag(content)
    check(scep.get("GetNextCACert").body == reply.body, "it is signed again each time")
    return root


def the_next_ca_is_told(g, scep, old_root):
    """The root that replaced the one which clients know, as long as that one lives."""
    end = time.monotonic() + 30
    while scep.get("GetNextCACert").code == 404:
        check(time.monotonic() < end, "the new root is not told")
        time.sleep(0.1)
    root = next_ca(g, scep, old_root)
    path = os.path.join(g.folder, "next.pem")
    with open(path, "wb") as f:
        f.write(root.public_bytes(Encoding.PEM))
    run("openssl", "verify", "-x509_strict", "-check_ss_sig", "-no-CApath", "-no-CAstore", "-CAfile", path, path)
    with open(old_root, "rb") as f:
        check(x509.load_pem_x509_certificate(f.read()) != root, "it is the old one")
    return path


def the_certificate_is_replaced_under_load():
    with gatehouse(lambda g: add_scep(g, {"scep": ""})) as g:
        challenge = create_challenge(g, "scep", "dns:*.example", more=("--uses", "1000000"))
        before, old = ra_of(g, "before")
        scep = Scep(g, "scep")
        no_next_ca(scep)
        at = os.path.getsize(g.log_path)
        load = Load(g, before, challenge)
        load.wait(2 * CLIENTS)
        # A CA with another key: the RA needs a certificate of that one.
        g.run_tool("ca", "rollover", "Test CA", code=None)
        new_root = the_next_ca_is_told(g, scep, g.root)
        g.wait_log("ra.certificate", at, wait_s=150)
        load.wait(2 * CLIENTS)
        after, new = ra_of(g, "after")
        check(the_next_ca_is_told(g, scep, g.root) == new_root, "another RA")
        pem, _ = after.enrol("by-new.example", challenge)
        run("openssl", "verify", "-partial_chain", "-CAfile", new_root, pem)
        check(new.serial_number != old.serial_number and key_of(new) != key_of(old), "it is another one")
        both = Load(g, after, challenge)
        both.wait(2 * CLIENTS)
        load.wait(CLIENTS)
        # The process with the keys is killed, and started again by the supervisor.
        at = os.path.getsize(g.log_path)
        g.kill_role("ra-signer")
        line = g.wait_log("process.start", at)
        check("ra-signer" in line, line)
        both.wait(2 * CLIENTS)
        load.wait(2 * CLIENTS)
        both.stop()
        load.stop()
        kept = files(g)
        check(len(kept) == 2, f"both keys are kept: {kept}")
        g.stop()
        g.start()
        check(files(g) == kept and ra_of(g, "again")[1] == new, "the same after a start")
        for client in before, after:
            client.enrol("last.example", challenge)


main([the_certificate_is_replaced_under_load])
