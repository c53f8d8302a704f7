#!/usr/bin/python3
"""The status of certificates as openssl, curl and certbot ask for it: OCSP by GET and POST, and the CA's certificates."""
import base64
import http.client
import contextlib
import os
import signal
import socket
import sqlite3
import ssl
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request

from clients import Certbot
from gatehouse import DOMAIN, check, free_ports, gatehouse, main

OPEN = 200
TRY_LATER = bytes((0x30, 3, 0x0a, 1, 3))


def add_status(g):
    """A plain listener with the endpoint of protocol status, whose URL stands in certificates."""
    (g.status_port,) = free_ports(1)
    g.status_url = f"http://127.0.0.1:{g.status_port}/status"
    with open(g.config, encoding="utf-8") as f:
        text = f.read()
    text = text.replace("    policy:\n", f"    status: {{public-url: '{g.status_url}'}}\n    policy:\n", 1)
    text = text.replace("listeners:\n", f"""  - name: status
    protocol: status
    path: /status
    ca: Test CA
listeners:
  - name: status
    address: 127.0.0.1
    port: {g.status_port}
    tls: false
    http-1.0: true
    names: [127.0.0.1]
    endpoints: [status]
""", 1)
    with open(g.config, "w", encoding="utf-8") as f:
        f.write(text)


def openssl(*args):
    return subprocess.run(["openssl", *args], capture_output=True, text=True, timeout=30, check=False)


def ocsp(g, certificate, *more):
    """What `openssl ocsp` says of a certificate: the word, and all of its output."""
    p = openssl("ocsp", *more, "-issuer", g.root, "-cert", certificate, "-CAfile", g.root, "-url", g.status_url + "/ocsp")
    text = p.stdout + p.stderr
    check("Response verify OK" in text or "Responder Error" in text, text)
    for line in p.stdout.splitlines():
        if line.startswith(certificate + ": "):
            return line.split(": ")[1], text
    return text, text


def page(g, path):
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{g.metrics_port}{path}", timeout=10) as reply:
            return reply.read().decode()
    except urllib.error.HTTPError as e:
        return e.read().decode()


def wait_for_responder(g):
    end = time.monotonic() + 20
    while "gatehouse_ocsp_responder_not_after_seconds{" not in page(g, "/metrics"):
        check(time.monotonic() < end, f"no responder certificate after 20 s: {g.log_tail()}")
        time.sleep(0.1)


def revoke(certbot, certificate, reason="keycompromise"):
    certbot.must("revoke", "--cert-path", certificate, "--reason", reason, "--no-delete-after-revoke")


def get(g, path, headers=None):
    c = http.client.HTTPConnection("127.0.0.1", g.status_port, timeout=15)
    c.request("GET", path, headers=headers or {})
    r = c.getresponse()
    body = r.read()
    c.close()
    return r, body


def request_path(g, certificate):
    """The path of a GET request, base64 with every character encoded that may be."""
    file = os.path.join(g.folder, "request.der")
    p = openssl("ocsp", "-issuer", g.root, "-cert", certificate, "-no_nonce", "-reqout", file)
    check(p.returncode == 0, p.stderr)
    with open(file, "rb") as f:
        text = base64.b64encode(f.read()).decode()
    return "/status/ocsp/" + urllib.parse.quote(text, safe=""), "/status/ocsp/" + text


def urls_in_certificate(g, certificate):
    text = openssl("x509", "-in", certificate, "-noout", "-ext", "authorityInfoAccess").stdout
    check(f"OCSP - URI:{g.status_url}/ocsp" in text, text)
    check(f"CA Issuers - URI:{g.status_url}/ca/0.cer" in text, text)
    p = openssl("x509", "-in", certificate, "-noout", "-ocsp_uri")
    check(p.stdout.strip() == g.status_url + "/ocsp", p.stdout)


def revocation_shows_at_once(g, certbot, certificate):
    """With and without nonce, and to a client that asked a moment before."""
    for more in ([], ["-no_nonce"], ["-sha256"], ["-sha384", "-no_nonce"]):
        word, text = ocsp(g, certificate, *more)
        check(word == "good", text)
    revoke(certbot, certificate)
    began = time.monotonic()
    while ocsp(g, certificate, "-no_nonce")[0] != "revoked":
        check(time.monotonic() - began < 5, "a revocation does not show")
    took = time.monotonic() - began
    check(took < 1, f"a revocation showed after {took:.2f} s")
    word, text = ocsp(g, certificate)
    check(word == "revoked" and "keyCompromise" in text, text)
    print(f"revocation seen after {took * 1000:.0f} ms")


def caches_are_told(g, certificate):
    encoded, plain = request_path(g, certificate)
    r, body = get(g, encoded)
    check(r.status == 200 and r.getheader("Content-Type") == "application/ocsp-response", str(r.headers))
    check("max-age=" in r.getheader("Cache-Control") and r.getheader("Expires") and r.getheader("Last-Modified"),
          str(r.headers))
    again, same = get(g, plain)
    check(again.status == 200 and same == body, "the same request, not encoded, is another one")
    for header, value in (("If-None-Match", r.getheader("ETag")),
                          ("If-Modified-Since", r.getheader("Last-Modified"))):
        answer, nothing = get(g, encoded, {header: value})
        check(answer.status == 304 and nothing == b"", f"{header}: {answer.status}")
    check(get(g, encoded[:-3])[0].status == 400, "half a character")
    file = os.path.join(g.folder, "response.der")
    with open(file, "wb") as f:
        f.write(body)
    text = openssl("ocsp", "-respin", file, "-issuer", g.root, "-cert", certificate, "-CAfile", g.root)
    check("Response verify OK" in text.stderr and ": good" in text.stdout, text.stdout + text.stderr)


def http_1_0_is_served(g, certificate):
    """Without Host, and the connection ends."""
    encoded, _ = request_path(g, certificate)
    with socket.create_connection(("127.0.0.1", g.status_port), 15) as s:
        s.sendall(f"GET {encoded} HTTP/1.0\r\n\r\n".encode())
        answer = b""
        while more := s.recv(65536):
            answer += more
    check(answer.startswith(b"HTTP/1.1 200 OK\r\n") and b"application/ocsp-response" in answer, repr(answer[:300]))


def the_ca_is_there(g, certificate):
    cer, chain = os.path.join(g.folder, "ca.cer"), os.path.join(g.folder, "ca.p7c")
    for url, file in (("/ca/0.cer", cer), ("/ca/0.p7c", chain)):
        p = subprocess.run(["curl", "-sf", "-o", file, g.status_url + url], timeout=30, check=False)
        check(p.returncode == 0, f"curl {url}: {p.returncode}")
    fetched = openssl("x509", "-inform", "DER", "-in", cer).stdout
    with open(g.root, encoding="ascii") as f:
        check(fetched.strip() == f.read().strip(), "the certificate behind the URL is another one")
    listed = openssl("pkcs7", "-inform", "DER", "-in", chain, "-print_certs").stdout
    check(listed.count("BEGIN CERTIFICATE") == 1 and "Test CA" in listed, listed)
    check(get(g, "/status/ca/1.cer")[0].status == 404, "a key that is not there")
    check(openssl("verify", "-CAfile", g.root, certificate).returncode == 0, "the certificate does not verify")


def crl_says_the_same(g, certificate):
    """The list behind the certificate's own URL, within a minute of the revocation."""
    text = openssl("x509", "-in", certificate, "-noout", "-ext", "crlDistributionPoints").stdout
    check(f"URI:{g.status_url}/crl/0.crl" in text, text)
    der, pem = os.path.join(g.folder, "ca.crl"), os.path.join(g.folder, "ca.crl.pem")
    serial = openssl("x509", "-in", certificate, "-noout", "-serial").stdout.strip().split("=")[1]
    end = time.monotonic() + 60
    listed = ""
    while f"Serial Number: {serial}" not in listed:
        check(time.monotonic() < end, f"{serial} is not in the list after 60 s: {listed}")
        time.sleep(0.2)
        p = subprocess.run(["curl", "-sf", "-o", der, g.status_url + "/crl/0.crl"], timeout=30, check=False)
        check(p.returncode == 0, f"curl /crl/0.crl: {p.returncode}")
        listed = openssl("crl", "-inform", "DER", "-in", der, "-noout", "-text").stdout
    check("verify OK" in openssl("crl", "-inform", "DER", "-in", der, "-CAfile", g.root, "-out", pem).stderr, listed)
    p = openssl("verify", "-crl_check", "-CRLfile", pem, "-CAfile", g.root, certificate)
    check("certificate revoked" in p.stderr, p.stdout + p.stderr)
    r, _ = get(g, "/status/crl/0.crl")
    check(get(g, "/status/crl/0.crl", {"If-None-Match": r.getheader("ETag")})[0].status == 304, "the list is known")
    check(get(g, "/status/crl/1.crl")[0].status == 404, "a key that is not there")


def unknown_is_never_good(g):
    p = openssl("ocsp", "-issuer", g.root, "-serial", "0x1234", "-CAfile", g.root, "-url", g.status_url + "/ocsp")
    check("0x1234: unknown" in p.stdout, p.stdout + p.stderr)


def certbot_sees_it(g, certbot, name):
    """certbot asks the responder itself: `certbot certificates` says REVOKED."""
    _, text = certbot.run("certificates", "--cert-name", name)
    check("VALID" in text and "REVOKED" not in text, text)
    revoke(certbot, certbot.path(name), "superseded")
    _, text = certbot.run("certificates", "--cert-name", name)
    check("REVOKED" in text, text)


def after_a_restart(g, certificate):
    """The same responder, the same word; and the trail tells who it is."""
    g.stop()
    with sqlite3.connect(os.path.join(g.data, "core", "core.db")) as db:
        before = db.execute("SELECT count(*), max(id) FROM ocsp_responders").fetchone()
        told = db.execute("SELECT count(*) FROM audit WHERE payload LIKE '%issue-responder%'").fetchone()[0]
    check(before[0] == 1 and told == 1, f"{before}, {told}")
    g.start()
    wait_for_responder(g)
    check(ocsp(g, certificate)[0] == "revoked", "after a restart")
    with sqlite3.connect(os.path.join(g.data, "core", "core.db")) as db:
        check(db.execute("SELECT count(*) FROM ocsp_responders").fetchone()[0] == 1, "another responder was made")


def figures(g):
    text = page(g, "/metrics")
    for line in ('gatehouse_ocsp_answers_total{answer="good"}', 'gatehouse_ocsp_answers_total{answer="revoked"}',
                 'gatehouse_status_ocsp_total{endpoint="status"}', "gatehouse_ocsp_responder_not_after_seconds{"):
        check(line in text, f"{line} is not in the metrics")


def status_of_certificates():
    with gatehouse(set_up=add_status) as g:
        wait_for_responder(g)
        certbot = Certbot(g)
        first, second, _ = [certbot.must_get(f"{name}.{DOMAIN}") for name in ("first", "second", "third")]
        urls_in_certificate(g, first)
        caches_are_told(g, second)
        http_1_0_is_served(g, second)
        the_ca_is_there(g, first)
        unknown_is_never_good(g)
        revocation_shows_at_once(g, certbot, first)
        crl_says_the_same(g, first)
        certbot_sees_it(g, certbot, f"third.{DOMAIN}")
        figures(g)
        after_a_restart(g, first)


def open_requests(g, stack, n):
    """Connections with a question each that nobody asked before; nothing is read from them yet."""
    made = []
    for i in range(n):
        s = stack.enter_context(socket.create_connection(("127.0.0.1", g.status_port), 30))
        body = os.urandom(24)
        s.sendall(f"POST /status/ocsp HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/ocsp-request\r\n"
                  f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode() + body)
        made.append(s)
    return made


def directory_answers(g):
    """How long the directory takes on a new connection."""
    context = ssl.create_default_context(cafile=g.root)
    began = time.monotonic()
    with urllib.request.urlopen(g.directory, timeout=30, context=context) as reply:
        check(reply.status == 200, reply.status)
    return time.monotonic() - began


def read_all(s):
    answer = b""
    while more := s.recv(65536):
        answer += more
    return answer


def stop_all_threads(pid):
    """The signal is sent: wait until none of them answers any more."""
    os.kill(pid, signal.SIGSTOP)
    end = time.monotonic() + 30
    while True:
        states = set()
        for task in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{task}/stat", encoding="ascii", errors="replace") as f:
                states.add(f.read().rsplit(")", 1)[1].split()[0])
        if states == {"T"}:
            return
        check(time.monotonic() < end, f"threads of {pid} are {states}")
        time.sleep(0.01)


def a_core_that_is_away_does_not_get_all_workers():
    """Whoever asks for the status of certificates takes no more than his share of the workers with him."""
    with gatehouse(set_up=add_status) as g:
        wait_for_responder(g)
        g.run_tool("ca", "crl", "--publish")
        check(get(g, "/status/crl/0.crl")[0].status == 200, "the list before")
        directory_answers(g)
        core = g.processes()["core"]
        with contextlib.ExitStack() as stack:
            try:
                stop_all_threads(core)
                asking = open_requests(g, stack, OPEN)
                times = []
                while len(times) < 10:
                    times.append(directory_answers(g))
                    asking += open_requests(g, stack, OPEN // 10)
                check(get(g, "/status/crl/0.crl")[0].status == 200, "the list that is at hand")
                answers = [read_all(s) for s in asking]
            finally:
                os.kill(core, signal.SIGCONT)
        check(max(times) < 1, f"the directory took {max(times):.2f} s")
        for answer in answers:
            check(answer.startswith(b"HTTP/1.1 200 OK\r\n") and answer.endswith(TRY_LATER), repr(answer))
        check(g.metric("gatehouse_status_ocsp_later_total") > 0, "everybody waited for the core")
        check(g.metric("gatehouse_worker_refused_total") == 0, "the workers were exhausted")
        print(f"        the directory took {max(times) * 1000:.0f} ms at most beside {len(answers)} open requests")


if __name__ == "__main__":
    main([status_of_certificates, a_core_that_is_away_does_not_get_all_workers])
