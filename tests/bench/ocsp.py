#!/usr/bin/python3
"""Measure what an OCSP answer costs: signed for it, signed before, and given a moment before.

    tests/bench/ocsp.py [BUILD] [--certificates 4000] [--connections 32] [--seconds 5]

BUILD is a folder that meson has built, best with --buildtype=release; build/release when it is absent. Nothing is built
here. A fresh daemon gets so many certificates by SQL. Each is asked for once by GET, so that its answer is signed
(fresh). Some are asked for again, each time after the gateway has forgotten them, and the core gives what it has kept
(kept). A few are asked for again and again, and the gateway repeats what it said (repeated). The requests go over plain
connections, one at a time on each; every answer is read and must be about that certificate. The cost is CPU of all
processes of the daemon. A unit is one P-256 verification, measured while orders are made on it, for so many seconds.
"""
import argparse
import base64
import contextlib
import hashlib
import os
import socket
import sqlite3
import sys
import time
import urllib.parse

from cryptography import x509
from cryptography.x509 import ocsp

ROOT = os.path.abspath(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", ".."))
FORGOTTEN_S = 0.6  # by the gateway
KEPT, REPEATED = 400, 64


def arguments():
    p = argparse.ArgumentParser(usage=__doc__)
    p.add_argument("build", nargs="?", default=os.path.join(ROOT, "build", "release"))
    p.add_argument("--certificates", default=4000, type=int)
    p.add_argument("--connections", default=32, type=int)
    p.add_argument("--seconds", default=5, type=int)
    return p.parse_args()


def tlv(tag, *parts):
    octets = b"".join(parts)
    return bytes((tag, len(octets))) + octets


def request(name_hash, key_hash, serial):
    """OCSPRequest (RFC 6960 4.1.1) about one certificate, whose serial is positive."""
    sha1 = tlv(0x30, bytes.fromhex("06052b0e03021a0500"))
    certificate = tlv(0x30, sha1, tlv(4, name_hash), tlv(4, key_hash), tlv(2, serial))
    return tlv(0x30, tlv(0x30, tlv(0x30, tlv(0x30, certificate))))


class Connection:
    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=30)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.file = self.socket.makefile("rb")

    def send(self, path):
        self.socket.sendall(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())

    def receive(self):
        status = self.file.readline().split()[1]
        size = 0
        while (line := self.file.readline()) not in (b"\r\n", b""):
            name, value = line.split(b":", 1)
            if name.lower() == b"content-length":
                size = int(value)
        return status, self.file.read(size)

    def close(self):
        self.file.close()
        self.socket.close()


class Asker:
    """What is asked of a daemon, and what it costs it."""

    def __init__(self, g, n_connections):
        self.g = g
        with open(g.root, "rb") as f:
            self.issuer = x509.load_pem_x509_certificate(f.read())
        self.connections = [Connection(g.status_port) for _ in range(n_connections)]

    def questions(self):
        """(path, serial) for each certificate that was put there."""
        with contextlib.closing(sqlite3.connect(os.path.join(self.g.data, "core", "core.db"))) as db:
            serials = [row[0] for row in
                       db.execute("SELECT serial FROM certificates WHERE revoked_ms IS NOT NULL")]
        name = hashlib.sha1(self.issuer.subject.public_bytes()).digest()
        key = x509.SubjectKeyIdentifier.from_public_key(self.issuer.public_key()).digest
        for serial in serials:
            der = request(name, key, serial)
            yield "/status/ocsp/" + urllib.parse.quote(base64.b64encode(der).decode(), safe=""), \
                int.from_bytes(serial, "big")

    def check(self, answer, serial):
        status, body = answer
        response = ocsp.load_der_ocsp_response(body) if status == b"200" else None
        return response and response.response_status == ocsp.OCSPResponseStatus.SUCCESSFUL and \
            response.serial_number == serial and response.certificate_status == ocsp.OCSPCertStatus.REVOKED

    def ask(self, questions):
        n = len(self.connections)
        for at in range(0, len(questions), n):
            pairs = list(zip(self.connections, questions[at:at + n]))
            for connection, (path, _) in pairs:
                connection.send(path)
            for connection, (path, serial) in pairs:
                answer = connection.receive()
                if not self.check(answer, serial):
                    sys.exit(f"a wrong answer to {path}: {answer}")

    def close(self):
        for connection in self.connections:
            connection.close()


def cost_us(revoked, asker, questions, rounds=1, pause_s=0.0):
    """CPU of the daemon for an answer."""
    pids = asker.g.processes().values()
    total = -sum(map(revoked.cpu_s, pids))
    for _ in range(rounds):
        asker.ask(questions)
        time.sleep(pause_s)
    total += sum(map(revoked.cpu_s, pids))
    return total * 1e6 / len(questions) / rounds


def wait_for_responder(asker, question):
    """Until it has its certificate each answer is tryLater."""
    end = time.monotonic() + 60
    while time.monotonic() < end:
        asker.connections[0].send(question[0])
        if asker.check(asker.connections[0].receive(), question[1]):
            return
        time.sleep(FORGOTTEN_S)
    sys.exit("there is no OCSP responder after a minute")


def main():
    a = arguments()
    os.environ["GATEHOUSE_BUILD"] = os.path.abspath(a.build)
    sys.dont_write_bytecode = True
    sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
    import rig  # reads GATEHOUSE_BUILD
    import revoked
    with rig.loaded(has_status=True) as g:
        revoked.add(g, a.certificates)
        asker = Asker(g, a.connections)
        first, *questions = asker.questions()
        wait_for_responder(asker, first)
        costs = {"fresh": cost_us(revoked, asker, questions),
                 "kept": cost_us(revoked, asker, questions[-KEPT:], rounds=5, pause_s=FORGOTTEN_S),
                 "repeated": cost_us(revoked, asker, questions[-REPEATED:], rounds=50)}
        asker.close()
        code, line, report = g.bench(4, a.seconds)
    for name, us in costs.items():
        print(f"{name}: {us:.0f} us an answer = {us / report['verify_us']:.2f} units of {report['verify_us']:.1f} us")
    if code:
        sys.exit(f"the orders failed: {line}")


if __name__ == "__main__":
    main()
