#!/usr/bin/python3
"""HTTP/2 and HTTP/1.1 side by side: real clients over both, and slow ones that leave the others alone."""
import contextlib
import email
import http.client
import json
import os
import socket
import ssl
import subprocess
import sys
import threading
import time
import types
import urllib.request

from acme_client import Client, Responder
from clients import Certbot, lego, uacme
from gatehouse import DOMAIN, check, gatehouse, main

SLOW_CONNECTIONS = 1000
SLOW_SECONDS = 15


def served(g, version, endpoint="acme"):
    """Requests that the endpoint answered over this version of HTTP."""
    with urllib.request.urlopen(f"http://127.0.0.1:{g.metrics_port}/metrics", timeout=10) as reply:
        for line in reply.read().decode().splitlines():
            if line.startswith(f'gatehouse_http_version_total{{endpoint="{endpoint}",version="{version}"}}'):
                return int(line.rsplit(" ", 1)[1])
    return 0


def curl(g, *words):
    done = subprocess.run(["curl", "--silent", "--show-error", "--cacert", g.root, "--max-time", "10", *words],
                          capture_output=True, text=True)
    check(done.returncode == 0, f"curl {words}: {done.stdout}{done.stderr}")
    return done.stdout


def curl_speaks_both():
    with gatehouse() as g:
        for option, version in ("--http2", "2"), ("--http1.1", "1.1"):
            before = served(g, version)
            output = curl(g, option, "--write-out", "\n%{http_version} %{response_code}", g.directory)
            body, said = output.rsplit("\n", 1)
            check(said == f"{version} 200", f"curl {option} got {said}")
            check("newNonce" in json.loads(body), body)
            check(served(g, version) == before + 1, f"{version} is not counted")
        two = curl(g, "--http2", "--write-out", "%{http_version}\n", "--output", "/dev/null", "--output", "/dev/null",
                   g.directory, g.directory)
        check(two == "2\n2\n", two)
        head = curl(g, "--http2", "--head", json.loads(curl(g, g.directory))["newNonce"])
        check(head.startswith("HTTP/2 200") and "replay-nonce: " in head, head)
        missing = curl(g, "--http2", "--write-out", "%{response_code}", f"https://localhost:{g.port}/nothing")
        check(missing.endswith("404"), missing)


class CurlClient(Client):
    """An ACME client whose every request is a run of curl."""

    def __init__(self, g, responder, option, version):
        super().__init__(g, responder)
        self.option, self.version = option, version

    def request(self, method, url, body=None, headers=None):
        words = [self.option, "--dump-header", "-", "--write-out", "\n%{http_version}"]
        words += ["--head", "--output", "/dev/null"] if method == "HEAD" else ["--request", method]
        for name, value in (headers or {}).items():
            words += ["--header", f"{name}: {value}"]
        if body is not None:
            words += ["--data-binary", body]
        output, version = curl(self.g, *words, url).rsplit("\n", 1)
        check(version == self.version, f"{method} {url} over HTTP/{version}")
        head, data = output.replace("\r\n", "\n").split("\n\n", 1)
        line, fields = head.split("\n", 1)
        reply = types.SimpleNamespace(status=int(line.split()[1]), headers=email.message_from_string(fields))
        self.nonce = reply.headers.get("Replay-Nonce", self.nonce)
        return reply, data.encode()


def curl_client(option, version):
    def get(g, name):
        with contextlib.closing(Responder(g.http01_port)) as responder:
            pem = CurlClient(g, responder, option, version).start().get_certificate(name)
        path = f"{g.folder}/curl.pem"
        with open(path, "w") as f:
            f.write(pem)
        return path
    return get


def gets_over(g, name, get, version):
    other = "1.1" if version == "2" else "2"
    before, others = served(g, version), served(g, other)
    g.verify(get(g, f"{name}.{DOMAIN}"))
    check(served(g, version) - before >= 5, f"{name} did not use HTTP/{version}")
    check(served(g, other) == others, f"{name} used HTTP/{other} too")


def certbot(g, name):
    return Certbot(g).must_get(name)


def clients_get_certificates_over_both():
    """uacme has libcurl with GnuTLS, which takes HTTP/2; certbot speaks 1.1 only; lego of Debian offers nothing."""
    with gatehouse() as g:
        gets_over(g, "uacme", uacme, "2")
        gets_over(g, "certbot", certbot, "1.1")
        gets_over(g, "curl-1", curl_client("--http1.1", "1.1"), "1.1")
        gets_over(g, "curl-2", curl_client("--http2", "2"), "2")
        # A lego of another release may offer more.
        before = served(g, "1.1"), served(g, "2")
        g.verify(lego(g, f"lego.{DOMAIN}"))
        used = served(g, "1.1") - before[0], served(g, "2") - before[1]
        check(min(used) == 0 and max(used) >= 5, f"lego used both: {used}")
        print(f"        lego: {used[0]} requests over HTTP/1.1, {used[1]} over HTTP/2", flush=True)


def restart_with(g, old, new):
    g.stop()
    with open(g.config) as f:
        text = f.read()
    check(text.count(old) == 1, f"'{old}' is not there once")
    with open(g.config, "w") as f:
        f.write(text.replace(old, new))
    g.start()


def all_get_certificates_without_it():
    with gatehouse() as g:
        restart_with(g, "    endpoints: [acme]\n", "    endpoints: [acme]\n    http2: false\n")
        for name, get in ("uacme", uacme), ("certbot", certbot), ("lego", lego), \
                         ("curl", curl_client("--http2", "1.1")):
            gets_over(g, name, get, "1.1")


@contextlib.contextmanager
def connect(g, address, protocol):
    """TLS from one of the addresses of loopback."""
    context = ssl.create_default_context(cafile=g.root)
    context.set_alpn_protocols([protocol])
    with socket.create_connection(("127.0.0.1", g.port), 10, (address, 0)) as s, \
            context.wrap_socket(s, server_hostname="localhost") as tls:
        yield tls


def flood(g, address):
    """Pings until the daemon ends the connection."""
    with contextlib.suppress(OSError), connect(g, address, "h2") as tls:
        tls.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0]))
        for _ in range(200):
            tls.sendall(bytes([0, 0, 8, 6, 0, 0, 0, 0, 0]) + b"whatever")
        while tls.recv(16384):
            pass


def connects(g, address):
    """The handshake is done, and the daemon answers."""
    try:
        with connect(g, address, "http/1.1") as tls:
            tls.sendall(b"GET /acme/directory HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            return tls.recv(16384).startswith(b"HTTP/1.1 200 ")
    except OSError:
        return False


def an_address_that_floods_has_to_wait():
    with gatehouse() as g:
        restart_with(g, "metrics:\n", "gateway:\n  flood-pause: 3s\nmetrics:\n")
        for _ in range(3):
            flood(g, "127.0.0.2")
        check(g.metric('gatehouse_http2_cut_total{reason="control"}') == 3, "three floods were not cut")
        begin = time.monotonic()
        check(not connects(g, "127.0.0.2"), "an address that flooded may connect")
        check(connects(g, "127.0.0.3"), "another address may not connect")
        check(g.metric("gatehouse_connections_paused_total") >= 1, "the metric does not say so")
        while not connects(g, "127.0.0.2"):
            check(time.monotonic() < begin + 20, "the pause does not end")
            time.sleep(0.1)
        check(time.monotonic() - begin > 2, "the pause was too short")
        with open(g.log_path) as f:
            said = [line for line in f if "event=peer.paused" in line]
        check(len(said) == 1 and "peer=127.0.0.2" in said[0] and "for_ms=3000" in said[0], said)


def a_stop_finishes_http_2():
    with gatehouse() as g:
        process = subprocess.Popen(["curl", "--no-progress-meter", "--http2", "--cacert", g.root, "--parallel", "--parallel-max", "4",
                                    *[word for _ in range(40) for word in ("--output", "/dev/null", g.directory)]])
        check(process.wait(30) == 0, "parallel streams")
        g.stop()
        g.start()
        check("newNonce" in curl(g, "--http2", g.directory), "served again after a stop")


class Healthy(threading.Thread):
    """Asks again and again over new connections; keeps the slowest answer and every failure."""

    def __init__(self, g):
        super().__init__(daemon=True)
        self.g, self.ends, self.times, self.failures = g, threading.Event(), [], []
        self.context = ssl.create_default_context(cafile=g.root)

    def run(self):
        while not self.ends.is_set():
            begin = time.monotonic()
            try:
                connection = http.client.HTTPSConnection("localhost", self.g.port, timeout=5, context=self.context)
                connection.request("GET", "/acme/directory")
                status = connection.getresponse().status
                connection.close()
                if status != 200:
                    self.failures.append(f"status {status}")
            except OSError as e:
                self.failures.append(str(e))
            self.times.append(time.monotonic() - begin)
            time.sleep(0.05)


def slow_clients_leave_others_alone():
    for mode in ["-H", "-i", "1", "-x", "24"], ["-B", "-i", "1", "-s", "20000", "-x", "10", "-t", "POST"], \
                ["-X", "-w", "1", "-y", "2", "-n", "1", "-z", "1", "-k", "3"]:
        with gatehouse() as g:
            healthy = Healthy(g)
            healthy.start()
            command = ["slowhttptest", "-c", str(SLOW_CONNECTIONS), *mode, "-r", "500", "-l", str(SLOW_SECONDS), "-p", "5",
                       "-u", g.directory]
            done = subprocess.run(command, capture_output=True, text=True, timeout=SLOW_SECONDS + 30, cwd=g.folder)
            healthy.ends.set()
            healthy.join()
            times = sorted(healthy.times)
            accepted = g.metric("gatehouse_connections_accepted_total")
            print(f"        {mode[0]}: {int(accepted)} connections, healthy: {len(times)} requests, slowest "
                  f"{times[-1] * 1000:.0f} ms, failed {len(healthy.failures)}", flush=True)
            check(accepted >= SLOW_CONNECTIONS * 0.9, f"slowhttptest made {accepted} connections: {done.stdout[-2000:]}")
            check(not healthy.failures, f"{mode[0]}: {healthy.failures[:5]}")
            check(len(times) >= 20 and times[-1] < 1, f"{mode[0]}: {len(times)} requests, slowest {times[-1]:.2f} s")


if not os.access("/usr/bin/slowhttptest", os.X_OK):
    print("slowhttptest is not installed (tests/setup test)", file=sys.stderr)
    sys.exit(1)
main([curl_speaks_both, clients_get_certificates_over_both, all_get_certificates_without_it, a_stop_finishes_http_2,
      an_address_that_floods_has_to_wait, slow_clients_leave_others_alone])
