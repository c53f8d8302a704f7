#!/usr/bin/python3
"""A gateway of another machine: two daemons, of which one serves clients and the other one has the CA; TLS between them.

The first has no core of its own.
"""
import os
import shutil
import subprocess

from acme_client import Client, Problem, Responder
from gatehouse import DOMAIN, USERS, Gatehouse, check, free_ports, gatehouse, main


def identity(folder, name, role):
    """(certificate, key, fingerprint) of a new self-signed certificate, for the process of this role."""
    certificate, key = (os.path.join(folder, f"{name}.{kind}") for kind in ("pem", "key"))
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-noenc",
                    "-subj", f"/CN={name}", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-days", "2",
                    "-keyout", key, "-out", certificate], check=True, capture_output=True)
    os.chmod(key, 0o600)
    if USERS:
        os.chown(key, USERS[role], USERS[role])
    shown = subprocess.run(["openssl", "x509", "-in", certificate, "-noout", "-fingerprint", "-sha256"], check=True,
                           capture_output=True, text=True).stdout
    return certificate, key, shown.split("=", 1)[1].strip()


def use_core(g, port, own, core_fingerprint, listener):
    """The gateway of `g` speaks with the core at `port`; its listener has a certificate that it was given."""
    with open(g.config) as f:
        text = f.read()
    text = text.replace("    endpoints: [acme]\n",
                        f"    endpoints: [acme]\n    certificate: {listener[0]}\n    key: {listener[1]}\n")
    text += f"""gateway:
  core: tls://127.0.0.1:{port}
  core-tls:
    certificate: {own[0]}
    key: {own[1]}
    core-certificate: '{core_fingerprint}'
"""
    with open(g.config, "w") as f:
        f.write(text)


class Pair:
    """The daemon with the CA, and a remote gateway that is not started yet."""

    def __enter__(self):
        self.port, = free_ports(1)
        self.branch = Gatehouse()
        self.responder = Responder(self.branch.http01_port)
        folder = self.branch.folder
        self.ours, self.theirs = identity(folder, "branch", "gateway"), identity(folder, "core", "core")
        self.listener = identity(folder, "listener", "gateway")
        self.context = gatehouse(core=f"""  listen:
    address: 127.0.0.1
    port: {self.port}
    certificate: {self.theirs[0]}
    key: {self.theirs[1]}
  intermediaries:
    - name: branch
      certificate: '{self.ours[2]}'
      endpoints: [acme]
      names: ['*.{DOMAIN}']
""")
        self.head = self.context.__enter__()
        return self

    def __exit__(self, *what):
        self.responder.close()
        self.branch.stop()
        if what[0] is None:
            shutil.rmtree(self.branch.folder)
        return self.context.__exit__(*what)

    def client(self):
        # It trusts the certificate that the listener was given.
        self.branch.root = self.listener[0]
        return Client(self.branch, self.responder).start()


def a_remote_gateway_serves_clients_and_the_core_issues():
    with Pair() as p:
        use_core(p.branch, p.port, p.ours, p.theirs[2], p.listener)
        p.branch.start()
        client = p.client()
        chain = client.get_certificate(f"a.{DOMAIN}")
        path = os.path.join(p.branch.folder, "chain.pem")
        with open(path, "w") as f:
            f.write(chain if isinstance(chain, str) else chain.decode())
        p.head.verify(path)
        rows = [r for r in p.head.requests() if r["endpoint"] == "acme"]
        check(len(rows) == 1 and rows[0]["names"] == [f"a.{DOMAIN}"], f"rows: {rows}")
        check(any(line["actor"] == "branch" for line in p.head.timeline(rows[0]["id"])), "nobody named the branch")
        check(not os.path.exists(p.branch.socket), "it started a core of its own")
        # The core goes away and comes back; the gateway stays.
        p.head.stop()
        p.head.start()
        client.get_certificate(f"b.{DOMAIN}")


def a_name_outside_the_scope_gets_no_certificate():
    with Pair() as p:
        use_core(p.branch, p.port, p.ours, p.theirs[2], p.listener)
        with open(p.branch.config) as f:
            text = f.read()
        with open(p.branch.config, "w") as f:
            f.write(text.replace("  hosts:\n", "  hosts:\n    elsewhere.test: 127.0.0.1\n"))
        p.branch.start()
        try:
            p.client().get_certificate("elsewhere.test")
            raise AssertionError("it was issued")
        except Problem:
            pass
        check([r for r in p.head.requests() if r["endpoint"] == "acme"] == [], "it left a row")


if __name__ == "__main__":
    main([a_remote_gateway_serves_clients_and_the_core_issues, a_name_outside_the_scope_gets_no_certificate])
