"""Bouncy Castle's EST client in a process of its own."""
import base64
import os
import subprocess
import threading

from cryptography import x509
from cryptography.hazmat.primitives import serialization

from est_client import names_of
from gatehouse import check

JARS = ":".join(f"/usr/share/java/{name}.jar" for name in ("bcpkix", "bcprov", "bcutil", "bctls"))


class BouncyCastle:
    """tests/functional/EstClient.java, which runs until the end: a line in, a line out."""

    def __init__(self, g, password=None):
        self.g, self.password, classes = g, password, os.path.join(g.folder, "classes")
        source = os.path.join(os.path.dirname(os.path.abspath(__file__)), "EstClient.java")
        subprocess.run(["javac", "-Xlint:all,-path", "-Werror", "-cp", JARS, "-d", classes, source], check=True, timeout=300)
        self.errors = os.path.join(g.folder, "java.err")
        with open(self.errors, "wb") as errors:
            self.java = subprocess.Popen(["java", "-Xmx128m", "-cp", f"{JARS}:{classes}", "EstClient",
                                          f"localhost:{g.est_port}", g.root], stdin=subprocess.PIPE,
                                         stdout=subprocess.PIPE, stderr=errors, text=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.java.stdin.close()
        self.java.wait(60)

    def say(self, operation, with_user=False, **words):
        """The words of the answer."""
        if with_user:
            words |= {"user": "dev", "password": self.password}
        self.java.stdin.write(" ".join([operation] + [f"{k}={v}" for k, v in words.items()]) + "\n")
        self.java.stdin.flush()
        timer = threading.Timer(120, self.java.kill)
        timer.start()
        answer = self.java.stdout.readline().split()
        timer.cancel()
        check(answer, f"no answer to {operation} {words}; see {self.errors}")
        return answer

    def enrol(self, name, operation="simpleenroll", **words):
        answer = self.say(operation, cn=name, **words)
        check(answer[0] == "ok" and len(answer) == 2, f"{operation} {words}: {' '.join(answer)}{self.g.log_tail()}")
        certificate = x509.load_der_x509_certificate(base64.b64decode(answer[1]))
        check(names_of(certificate) == [name], str(certificate))
        path = os.path.join(self.g.folder, name + ".pem")
        with open(path, "wb") as f:
            f.write(certificate.public_bytes(serialization.Encoding.PEM))
        self.g.verify(path)
        return certificate
