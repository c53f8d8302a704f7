"""The daemon under load: configuration, start, and one run of the load against it."""
import json
import os
import shutil
import subprocess
import sys
import contextlib

HERE = os.path.dirname(os.path.abspath(__file__))
sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(HERE, "..", "functional"))

import gatehouse  # noqa: E402: the path comes first


EST_ENDPOINT = """  - name: est
    protocol: est
    path: /.well-known/est
    ca: Test CA
    profile: server
"""
EST_LISTENER = """  - name: est
    address: 127.0.0.1
    port: {port}
    names: [localhost, 127.0.0.1]
    endpoints: [est]
"""
SCEP_ENDPOINT = """  - name: scep
    protocol: scep
    path: /scep
    ca: Test CA
    profile: server
"""
STATUS_ENDPOINT = """  - name: status
    protocol: status
    path: /status
    ca: Test CA
"""
STATUS_LISTENER = """  - name: status
    address: 127.0.0.1
    port: {port}
    tls: false
    names: [127.0.0.1]
    endpoints: [status]
"""


class Loaded(gatehouse.Gatehouse):
    """A daemon that issues everything: no trace, and an exit module only if asked for."""

    def __init__(self, has_exit=False, has_est=False, has_status=False, has_scep=False, key_type="ec-p256"):
        self.has_exit, self.has_est, self.has_status, self.est_user = has_exit, has_est, has_status, None
        self.has_scep, self.scep_challenge = has_scep, None
        self.est_port, self.status_port = gatehouse.free_ports(2)
        super().__init__(key_type=key_type)
        self.sync_counts = None

    def start_counting(self, sync_delay_ms=0):
        """Start with every fsync counted, and made slower. Not for builds with sanitizers, whose runtime wants to be
        loaded first."""
        self.sync_counts = os.path.join(self.folder, "syncs")
        with open(self.sync_counts, "wb") as f:
            f.write(bytes(8))
        counter = os.path.join(gatehouse.BUILD, "tests", "bench", "count_syncs.so")
        return self.start(env={**os.environ, "LD_PRELOAD": counter, "SYNC_COUNTS": self.sync_counts,
                               "SYNC_DELAY_MS": str(sync_delay_ms)})

    def write_config(self, core, policy, lifetime):
        administrators = "  administrators: [root]\n" if self.has_est or self.has_scep else ""
        endpoint, listener = (EST_ENDPOINT, EST_LISTENER.format(port=self.est_port)) if self.has_est else ("", "")
        endpoint += SCEP_ENDPOINT if self.has_scep else ""
        url = ""
        if self.has_status:
            endpoint, listener = endpoint + STATUS_ENDPOINT, listener + STATUS_LISTENER.format(port=self.status_port)
            url = f"    status: {{public-url: 'http://127.0.0.1:{self.status_port}/status'}}\n"
        exits = f"    exits:\n      - module: file\n        folder: {self.issued}\n" if self.has_exit else ""
        with open(self.config, "w") as f:
            f.write(f"""data: {self.data}
core:
  admin-socket: {self.socket}
{administrators}cas:
  - name: Test CA
{url}    policy:
{policy}
{exits}
profiles:
  - name: server
    lifetime: {lifetime}
endpoints:
  - name: acme
    protocol: acme
    path: /acme
    ca: Test CA
    profile: server
{endpoint}listeners:
{listener}  - name: public
    address: 127.0.0.1
    port: {self.port}
    names: [localhost, 127.0.0.1]
    endpoints: [acme{", scep" if self.has_scep else ""}]
metrics:
  port: {self.metrics_port}
validator:
  http-port: {self.http01_port}
  tls-port: {self.tls_port}
  allow: [127.0.0.0/8]
  hosts:
    "*.{gatehouse.DOMAIN}": 127.0.0.1
{gatehouse.user_config(separates=False)}""")

    def where(self, connections):
        """What tells the load where to go: to ACME, or to EST on connections of this kind; or to SCEP."""
        if connections == "scep":
            if not self.scep_challenge:
                self.scep_challenge = self.tool_json("challenge", "create", "--endpoint", "scep", "--scope",
                                                     f"*.{gatehouse.DOMAIN}", "--uses", "1000000")["secret"]
            return ["--scep", f"https://localhost:{self.port}/scep", "--challenge", self.scep_challenge]
        if not connections:
            return ["--directory", self.directory, "--http01-port", str(self.http01_port)]
        if not self.est_user:
            made = self.tool_json("user", "create", "bench", "--endpoint", "est", "--scope", f"*.{gatehouse.DOMAIN}",
                                  "--generate")
            self.est_user = "bench:" + made["secret"]
        return ["--est", f"https://localhost:{self.est_port}/.well-known/est/simpleenroll", "--user", self.est_user,
                "--connections", connections]

    def bench(self, workers, seconds, *options, connections=None):
        """The exit code, the line and the report of one run."""
        report = os.path.join(self.folder, "bench.json")
        if self.sync_counts:
            options += ("--sync-counts", self.sync_counts)
        done = subprocess.run(
            [os.path.join(gatehouse.BUILD, "tests", "bench", "bench"), *self.where(connections), "--root", self.root,
             "--domain", gatehouse.DOMAIN, "--pid",
             str(self.process.pid), "--workers", str(workers), "--seconds", str(seconds), "--json", report, *options],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, timeout=seconds + 300)
        gatehouse.check(os.path.exists(report), f"bench exit {done.returncode}, no report: {self.log_tail()}")
        with open(report) as f:
            return done.returncode, done.stdout.strip(), json.load(f)


@contextlib.contextmanager
def loaded(counts_syncs=False, sync_delay_ms=0, **options):
    g = Loaded(**options)
    try:
        if counts_syncs:
            g.start_counting(sync_delay_ms)
        else:
            g.start()
        yield g
        g.stop()
    except BaseException:
        print(f"kept: {g.folder}", file=sys.stderr)
        if g.process and g.process.poll() is None:
            g.process.kill()
        raise
    shutil.rmtree(g.folder)
