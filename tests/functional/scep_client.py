"""SCEP for tests: endpoints of a daemon."""
import glob
import os
import subprocess
import time

from cryptography import x509

from gatehouse import check, free_ports


def add_scep(g, endpoints, listener="", profiles=""):
    """A plain listener with these endpoints: {name: more options as YAML}; the path of each is /scep/NAME."""
    (g.scep_port,) = free_ports(1)
    text = ""
    for name, more in endpoints.items():
        if "profile:" not in more:
            more += "\nprofile: server"
        more = "".join(f"    {line}\n" for line in more.splitlines() if line)
        text += f"  - name: {name}\n    protocol: scep\n    path: /scep/{name}\n    ca: Test CA\n{more}"
    with open(g.config, encoding="utf-8") as f:
        config = f.read()
    listener = "".join(f"    {line}\n" for line in listener.splitlines())
    config = config.replace("listeners:\n", f"""{text}listeners:
  - name: scep
    address: 127.0.0.1
    port: {g.scep_port}
    tls: false
    names: [localhost, 127.0.0.1]
    endpoints: [{", ".join(endpoints)}]
{listener}""", 1).replace("endpoints:\n", profiles + "endpoints:\n", 1)
    config = config.replace("  - name: server\n", "  - name: server\n    keys: [rsa, ec-p256]\n", 1)
    with open(g.config, "w", encoding="utf-8") as f:
        f.write(config)


def url(g, name):
    return f"http://localhost:{g.scep_port}/scep/{name}"


def create_challenge(g, endpoint, *scope, more=()):
    words = [word for s in scope for word in ("--scope", s)]
    return g.tool_json("challenge", "create", "--endpoint", endpoint, *words, *more)["secret"]


def wait(what, condition, wait_s=60):
    end = time.monotonic() + wait_s
    while time.monotonic() < end:
        if found := condition():
            return found
        time.sleep(0.2)
    raise AssertionError(f"not after {wait_s} s: {what}")


def metric(g, name, endpoint):
    return g.metric(f'gatehouse_{name}{{endpoint="{endpoint}"}}')


def key_of(owner):
    """What can be compared: two objects of one key are not equal for older versions of cryptography."""
    return owner.public_key().public_numbers()


def read_certificate(path):
    with open(path, "rb") as f:
        return x509.load_pem_x509_certificate(f.read())


def run(*words, code=0, **options):
    """The output of a command that must end with this code."""
    done = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, timeout=120, check=False, **options)
    check(done.returncode == code, f"{' '.join(words)} ended with {done.returncode}: "
                                   f"{done.stdout.decode(errors='replace')}{done.stderr.decode(errors='replace')}")
    return done.stdout


class Strongswan:
    """strongSwan's pki: it fetches the certificates, then enrols with keys of its own."""

    def __init__(self, g, endpoint, name=None):
        self.g, self.url = g, url(g, endpoint)
        self.folder = os.path.join(g.folder, "strongswan-" + (name or endpoint))
        os.makedirs(self.folder)
        run("pki", "--scepca", "--url", self.url, "--caout", self.file("ca.pem"), "--raout", self.file("ra.pem"),
            "--outform", "pem")

    def file(self, name):
        return os.path.join(self.folder, name)

    def save(self, name, octets):
        with open(self.file(name), "wb") as f:
            f.write(octets)
        return self.file(name)

    def key(self, name):
        return self.save(name + ".key", run("pki", "--gen", "--type", "rsa", "--size", "2048", "--outform", "pem"))

    def command(self, key, name, challenge=None, more=()):
        words = ["pki", "--scep", "--url", self.url, "--in", key, "--dn", f"CN={name}", "--san", name,
                 "--cacert-enc", self.file("ra.pem"), "--cacert-sig", self.file("ca.pem"), "--outform", "pem", *more]
        # After a rollover of the CA's key: those between the RA and the one that is trusted.
        for above in sorted(glob.glob(self.file("ca-*.pem"))):
            words += ["--cacert", above]
        return words + (["--password", challenge] if challenge else [])

    def enrol(self, name, challenge, more=()):
        """The file of the certificate, and that of its key."""
        key = self.key(name)
        return self.save(name + ".pem", run(*self.command(key, name, challenge, more))), key

    def start(self, name, challenge, more=()):
        return subprocess.Popen(self.command(self.key(name), name, challenge, more), stdin=subprocess.DEVNULL,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def end(self, process):
        out, said = process.communicate(timeout=120)
        return process.returncode, out, said.decode(errors="replace")

    def fail(self, name, challenge, more=()):
        """What it says when it gets nothing."""
        code, out, said = self.end(self.start(name, challenge, more))
        check(code != 0 and not out, f"pki --scep for {name} ended with {code}: {out}{said}{self.g.log_tail()}")
        return said
