"""The real clients of Debian, as a person would call them."""
import os
import subprocess
import tempfile

from gatehouse import check


class Certbot:
    def __init__(self, g):
        self.g = g
        self.folder = os.path.join(g.folder, "certbot")
        os.makedirs(self.folder, exist_ok=True)

    def command(self, *words):
        return ["certbot", *words, "--config-dir", f"{self.folder}/config", "--work-dir", f"{self.folder}/work",
                "--logs-dir", f"{self.folder}/logs", "--non-interactive"]

    def popen(self, *words):
        env = dict(os.environ, REQUESTS_CA_BUNDLE=self.g.root)
        return subprocess.Popen(self.command(*words), env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                stderr=subprocess.STDOUT, text=True)

    def start(self, *names, timeout_s=None, verbose=False):
        words = ["certonly", *(["-vv"] if verbose else []), "--agree-tos", "--register-unsafely-without-email", "--server", self.g.directory,
                 "--standalone", "--http-01-port", str(self.g.http01_port), "--http-01-address", "127.0.0.1"]
        if timeout_s:
            words += ["--issuance-timeout", str(timeout_s)]
        for name in names:
            words += ["-d", name]
        return self.popen(*words)

    def get(self, *names, timeout_s=None, verbose=False):
        """Exit code and output of one run."""
        process = self.start(*names, timeout_s=timeout_s, verbose=verbose)
        output, _ = process.communicate(timeout=150)
        return process.returncode, output

    def run(self, *words):
        """Exit code and output."""
        process = self.popen(*words)
        output, _ = process.communicate(timeout=150)
        return process.returncode, output

    def renew(self, *words):
        """Exit code and output; without the wait that certbot puts before a renewal that nobody watches."""
        return self.run("renew", "--force-renewal", "--no-random-sleep-on-renew", *words)

    def must(self, *words):
        code, output = self.run(*words, "--server", self.g.directory)
        check(code == 0, f"certbot {words}:\n{output}\n{self.g.log_tail()}")
        return output

    def must_get(self, *names):
        code, output = self.get(*names)
        check(code == 0, f"certbot got no certificate for {names}:\n{output}\n{self.g.log_tail()}")
        return self.path(names[0])

    def path(self, name):
        return f"{self.folder}/config/live/{name}/cert.pem"


def run_lego(g, names, *command, options=()):
    env = dict(os.environ, LEGO_CA_CERTIFICATES=g.root)
    words = ["lego", "--server", g.directory, "--accept-tos", "--email", "admin@example.org", "--path",
             f"{g.folder}/lego", "--http", "--http.port", f"127.0.0.1:{g.http01_port}", *options]
    for name in names:
        words += ["--domains", name]
    return subprocess.run([*words, *command], env=env, capture_output=True, text=True, timeout=120)


def lego(g, *names, command=("run",), options=()):
    done = run_lego(g, names, *command, options=options)
    check(done.returncode == 0, f"lego: {done.stdout}{done.stderr}{g.log_tail()}")
    return f"{g.folder}/lego/certificates/{names[0]}.crt"


HOOK = """#!/bin/sh
# uacme's hook: method type identifier token authorization
[ "$2" = http-01 ] || exit 1
case $1 in
begin) mkdir -p {web}/.well-known/acme-challenge && printf %s "$5" > {web}/.well-known/acme-challenge/"$4" ;;
done|failed) rm -f {web}/.well-known/acme-challenge/"$4" ;;
esac
"""


class Uacme:
    """uacme trusts only the system's bundle, so it gets a mount namespace in which the bundle is the test's root."""

    def __init__(self, g):
        self.g, self.folder = g, f"{g.folder}/uacme"
        self.web, self.hook = f"{self.folder}/web", f"{self.folder}/hook"
        os.makedirs(f"{self.web}/.well-known/acme-challenge", exist_ok=True)
        with open(self.hook, "w") as f:
            f.write(HOOK.format(web=self.web))
        os.chmod(self.hook, 0o755)

    def run(self, *words):
        inside = (f"mount --bind {self.g.root} /etc/ssl/certs/ca-certificates.crt && "
                  f"uacme -v -a {self.g.directory} -c {self.folder}/config -y {' '.join(words)}")
        unshare = ["unshare", "-m"] if os.geteuid() == 0 else ["unshare", "-rm"]
        return subprocess.run([*unshare, "sh", "-c", inside], capture_output=True, text=True, timeout=120)

    def must(self, *words):
        done = self.run(*words)
        check(done.returncode == 0, f"uacme {words}: {done.stdout}{done.stderr}{self.g.log_tail()}")

    def issue(self, name):
        server = subprocess.Popen(["/usr/bin/python3", "-m", "http.server", "--bind", "127.0.0.1", "--directory",
                                   self.web, str(self.g.http01_port)], stdout=subprocess.DEVNULL,
                                  stderr=subprocess.DEVNULL)
        try:
            self.must("-h", self.hook, "issue", name)
        finally:
            server.terminate()
            server.wait()
        return f"{self.folder}/config/{name}/cert.pem"


def uacme(g, name):
    client = Uacme(g)
    client.must("new")
    return client.issue(name)


def told_of(folder, *programs):
    """A folder for PATH in which these programs write down their arguments; and the file that these are in."""
    place, log = os.path.join(folder, "bin"), os.path.join(folder, "arguments")
    os.makedirs(place)
    for program in programs:
        with open(os.open(os.path.join(place, program), os.O_CREAT | os.O_WRONLY, 0o755), "w", encoding="ascii") as f:
            f.write(f'#!/bin/sh\necho "$0 $*" >> {log}\nexec /usr/bin/{program} "$@"\n')
    return place, log
