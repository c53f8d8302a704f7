#!/usr/bin/python3
"""EST with Go's own HTTP and TLS: chunks, kept connections, resumed sessions, HTTP/2 offered; every operation and way to say
who asks. And Python's other HTTP client, urllib3's, in chunks."""
import base64
import json
import os
import shutil
import subprocess
import threading

import urllib3
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from est_client import CSR, PREFIX, add_est, base64_lines, basic, create_token, create_user, make_csr, names_of, new_key
from gatehouse import check, gatehouse, main

ENDPOINTS = {"est": ("", "retry-after: 1s"), "est-colon": ("ca:1", ""), "est-linked": ("linked", "pop: require")}
TLS = {"1.2": 0x0303, "1.3": 0x0304, "any": 0}


class Go:
    """EstClient.go, which runs until the end."""

    def __init__(self, g):
        self.g, program = g, os.path.join(g.folder, "go-client")
        source = os.path.join(os.path.dirname(os.path.abspath(__file__)), "EstClient.go")
        env = {**os.environ, "GOCACHE": os.path.join(g.folder, "go-cache"), "GO111MODULE": "off", "GOFLAGS": "",
               "GOPROXY": "off", "CGO_ENABLED": "0"}
        subprocess.run(["go", "vet", source], check=True, env=env, timeout=600)
        subprocess.run(["go", "build", "-o", program, source], check=True, env=env, timeout=600)
        shutil.rmtree(env["GOCACHE"])
        self.process = subprocess.Popen([program, f"https://localhost:{g.est_port}", g.root], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        self.process.wait(60)

    def say(self, operation, **words):
        timer = threading.Timer(120, self.process.kill)
        timer.start()
        self.process.stdin.write(json.dumps({"Operation": operation, **words}) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        timer.cancel()
        check(line, f"no answer to {operation} {words}")
        answer = json.loads(line)
        check("error" not in answer, f"{operation} {words}: {answer}{self.g.log_tail(2)}")
        check(answer["protocol"] == "HTTP/1.1", f"a certificate belongs to a connection of its own: {answer}")
        return answer

    def enrol(self, name, operation="simpleenroll", **words):
        answer = self.say(operation, Name=name, **words)
        check(answer["status"] == 200 and len(answer["certificates"]) == 1, f"{words}: {answer}{self.g.log_tail(2)}")
        certificate = x509.load_der_x509_certificate(base64.b64decode(answer["certificates"][0]))
        check(names_of(certificate) == [name], str(certificate))
        return certificate, answer


def what_anybody_may(go):
    with open(go.g.root, "rb") as f:
        root = x509.load_pem_x509_certificate(f.read()).public_bytes(serialization.Encoding.DER)
    for label in "", "ca:1", "ca%3A1":
        answer = go.say("cacerts", Label=label)
        check([base64.b64decode(c) for c in answer["certificates"]] == [root], str(answer))
    check(go.say("csrattrs")["status"] == 204, "a profile that demands nothing")
    answer = go.say("csrattrs", Label="linked")
    check(answer["headers"]["Content-Type"] == "application/csrattrs" and answer["body"], str(answer))
    check(go.say("cacerts", Label="nowhere")["status"] == 404, "no such label")


def enrols(go, user, token):
    for version, number in TLS.items():
        for n, who in enumerate((user, user, token)):
            name = f"go-{version.replace('.', '')}-{n}.example.com"
            _, answer = go.enrol(name, Key=name, TLS=number, Fresh=n == 0, **who)
            check(answer["reused"] == (n > 0), f"{version}: the connection is kept, whoever asks: {answer}")
        _, answer = go.enrol(f"go-again-{version.replace('.', '')}.example.com", Key="again", TLS=number, Fresh=True, **user)
        check(not answer["reused"] and answer["resumed"], f"{version}: a new connection resumes the session: {answer}")
    go.enrol("continue.example.com", Key="continue", Continue=True, **user)
    for who in {}, {**user, "Password": "wrong"}, {"Token": "ght_wrong"}:
        answer = go.say("simpleenroll", Key="nobody", Name="nobody.example.com", **who)
        check(answer["status"] == 401 and not answer.get("body"), str(answer))
        check(answer["headers"]["Www-Authenticate"].startswith("Basic realm="), str(answer))
    for continues in False, True:
        answer = go.say("simpleenroll", Key="nobody", Name="nobody.example.com", Continue=continues)
        check(answer["status"] == 401, f"a body that is not wanted: {answer}")
    answer = go.say("simpleenroll", Key="outside", Name="go.example.org", **user)
    check(answer["status"] == 403 and b"go.example.org" in base64.b64decode(answer["body"]), str(answer))


def renews(go, user):
    name = "go-renewed.example.com"
    serials = {go.enrol(name, Key="renewed", **user)[0].serial_number}
    for number in TLS.values():
        serials.add(go.enrol(name, "simplereenroll", Key="renewed", With="renewed", TLS=number, Fresh=True)[0].serial_number)
    check(len(serials) == 4, f"a renewal brought what was there: {serials}")
    certificate, answer = go.enrol(name, "simplereenroll", Key="rekeyed", With="renewed", Fresh=True)
    check(certificate.serial_number not in serials, "another key")
    answer = go.say("simplereenroll", Key="renewed", Name="else.example.com", With="renewed")
    check(answer["status"] == 403, f"another name: {answer}")


def gets_a_key(go, user):
    certificate, answer = go.enrol("made.example.com", "serverkeygen", Key="unused", **user)
    key = serialization.load_der_private_key(base64.b64decode(answer["private_key"]), None)
    check(key.public_key().public_numbers() == certificate.public_key().public_numbers(), "another key")


def waits(go, user):
    """It leaves the waiting to whoever calls."""
    name = "hold-go.example.com"
    for _ in range(3):
        answer = go.say("simpleenroll", Key="held", Name=name, **user)
        check(answer["status"] == 202 and int(answer["headers"]["Retry-After"]) > 0 and not answer.get("body"), str(answer))
    go.g.run_tool("approve", str(go.g.wait_pending(name)["id"]), "--yes")
    first, second = (go.enrol(name, Key="held", **user)[0] for _ in range(2))
    check(first == second, "whoever lost the answer gets it again")


def with_go():
    with daemon() as g:
        password, token = create_user(g, "dev", ["est"], "*.example.com"), create_token(g, ["est"], "*.example.com")
        user = {"User": "dev", "Password": password}
        with Go(g) as go:
            what_anybody_may(go)
            enrols(go, user, {"Token": token})
            renews(go, user)
            gets_a_key(go, user)
            waits(go, user)


def with_urllib3():
    """In chunks of 50 octets, on few connections that many threads share."""
    with daemon() as g:
        headers = {"Content-Type": CSR, **basic("dev", create_user(g, "dev", ["est"], "*.example.com"))}
        pool = urllib3.HTTPSConnectionPool("localhost", g.est_port, ca_certs=g.root, maxsize=2, block=True, timeout=60,
                                           retries=False)
        failed = []

        def enrol(n):
            for m in range(4):
                name = f"pool-{n}-{m}.example.com"
                text = base64_lines(make_csr(new_key(), name, [name]))
                reply = pool.request("POST", f"{PREFIX}/simpleenroll", headers=headers, chunked=True,
                                     body=(text[i:i + 50] for i in range(0, len(text), 50)))
                if reply.status != 200:
                    failed.append(f"{name}: {reply.status} {reply.data}")

        threads = [threading.Thread(target=enrol, args=(n,)) for n in range(8)]
        for t in threads:
            t.start()
        for t in threads:
            t.join(300)
        check(not failed, str(failed))
        check(pool.num_connections <= 2, f"{pool.num_connections} connections for 32 requests")
        pool.close()


def daemon():
    return gatehouse(set_up=lambda g: add_est(g, ENDPOINTS), core="  administrators: [root]\n")


if __name__ == "__main__":
    main([with_go, with_urllib3])
