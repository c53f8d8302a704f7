#!/usr/bin/python3
"""Intermediaries in processes of their own: the example of docs/examples, and one that lies.

The liar is bound to one endpoint and the names below print.example. Whatever else it asks for, it gets nothing, and the
store has no row of it.
"""
import importlib.util
import os
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time

from gatehouse import ROOT, check, gatehouse, main

sys.dont_write_bytecode = True
EXAMPLE = os.path.join(ROOT, "docs", "examples", "intermediary.py")
spec = importlib.util.spec_from_file_location("intermediary", EXAMPLE)
ex = importlib.util.module_from_spec(spec)
spec.loader.exec_module(ex)

LOCAL_CONFIG = 2
REQUEST_MAX = 256 * 1024
NAME = "a.print.example"


def binding(path, user=None):
    return f"""  socket: {path}
  intermediaries:
    - name: printers
      user: "{os.getuid() if user is None else user}"
      endpoints: [acme]
      names: ["*.print.example"]
"""


class Place:
    """A daemon with an intermediaries' socket."""

    def __init__(self, user=None):
        self.socket = os.path.join(tempfile.mkdtemp(prefix="gh-core-"), "core.sock")
        self.context = gatehouse(core=binding(self.socket, user))

    def __enter__(self):
        self.g = self.context.__enter__()
        return self

    def __exit__(self, *what):
        try:
            return self.context.__exit__(*what)
        finally:
            shutil.rmtree(os.path.dirname(self.socket))

    def request(self, *names):
        """(file, DER) of a new PKCS#10 request."""
        path = os.path.join(self.g.folder, "request.pem")
        subprocess.run(["openssl", "req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                        "-keyout", path + ".key", "-out", path, "-subj", "/", "-addext",
                        "subjectAltName=" + ",".join("DNS:" + n for n in names)], check=True, capture_output=True)
        return path, ex.read_request(path)

    def rows(self):
        return [r for r in self.g.requests() if r["endpoint"] != "internal"]


# ---- one that is honest ----


def the_example_gets_a_certificate():
    with Place() as p:
        path, _ = p.request(NAME)
        done = subprocess.run([sys.executable, EXAMPLE, p.socket, "test ca", "acme", "server", NAME, path],
                              capture_output=True, text=True, timeout=60)
        check(done.returncode == 0, done.stderr)
        certificate = os.path.join(p.g.folder, "certificate.pem")
        with open(certificate, "w") as f:
            f.write(done.stdout)
        p.g.verify(certificate)
        rows = p.rows()
        check(len(rows) == 1 and rows[0]["names"] == [NAME], f"rows: {rows}")
        lines = p.g.timeline(rows[0]["id"])
        check(any(line["actor"] == "printers" and line["text"].startswith("received via=acme endpoint=acme")
                  for line in lines), f"the timeline does not name the intermediary: {lines}")


def the_example_passes_a_challenge_on():
    """It vouches for nothing: the core redeems the challenge, once, for the names of its scope."""
    with Place() as p:
        secret = p.g.tool_json("challenge", "create", "--endpoint", "acme", "--scope", NAME)["secret"]

        def enrol(name, given):
            path, _ = p.request(name)
            return subprocess.run([sys.executable, EXAMPLE, p.socket, "test ca", "acme", "server", name, path, "-"],
                                  input=given + "\n", capture_output=True, text=True, timeout=60)

        done = enrol(NAME, "not-the-challenge")
        check(done.returncode != 0 and "credential" in done.stderr, done.stderr)
        check(p.rows() == [], "a wrong challenge makes no row")
        done = enrol("b.print.example", secret)
        check(done.returncode != 0 and "does not prove" in done.stderr, done.stderr)
        done = enrol(NAME, secret)
        check(done.returncode == 0, done.stderr)
        certificate = os.path.join(p.g.folder, "certificate.pem")
        with open(certificate, "w") as f:
            f.write(done.stdout)
        p.g.verify(certificate)
        issued = [r for r in p.rows() if r["state"] == "issued"]
        check(len(issued) == 1 and issued[0]["requester"].startswith("scep:"), str(issued))
        check(issued[0]["names"] == [NAME], str(issued))
        check(any(line["text"].startswith('proven by="challenge') for line in p.g.timeline(issued[0]["id"])), "by what")
        done = enrol(NAME, secret)
        check(done.returncode != 0 and "used up" in done.stderr, f"a second use: {done.stderr}")


def a_held_request_is_collected_after_approval():
    with Place() as p:
        core = ex.Core(p.socket)
        _, der = p.request("hold.print.example")
        arguments = "Test CA", "acme", "server", "acme:1", ["hold.print.example"], der, "held"
        first = core.submit(*arguments)
        check(ex.first(first, 3, 0) == ex.UNDER_SUBMISSION, f"not held: {first}")
        number = ex.first(first, 2, 0)
        held = p.g.wait_pending("hold.print.example")
        p.g.run_tool("approve", str(number), "--digest", held["digest"])
        outcome = core.ask(ex.RETRIEVE, "Test CA", "acme:1", number)
        check(ex.first(outcome, 3, 0) == ex.ISSUED and ex.first(outcome, 7, b""), f"not issued: {outcome}")
        again = core.submit(*arguments)
        check(ex.first(again, 2, 0) == number, "the same transaction made another request")


def a_peer_that_is_not_configured_is_told_so():
    with Place(user="nobody") as p:
        try:
            ex.Core(p.socket)
            raise AssertionError("a stranger was let in")
        except ex.Refused as e:
            check("core: intermediaries:" in str(e), str(e))
        with open(p.g.log_path) as f:
            check("intermediary.refused" in f.read(), "the log does not say it")


class PlayedCore(threading.Thread):
    """A core that says what the test wants: one entry a call, an Outcome, or None to break the connection."""

    def __init__(self, folder, answers):
        super().__init__(daemon=True)
        self.path, self.answers, self.submits = os.path.join(folder, "played.sock"), list(answers), []
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(self.path)
        self.listener.listen()
        self.start()

    def run(self):
        while self.answers:
            stream = self.listener.accept()[0]
            stream.settimeout(20)
            with stream:
                self.converse(stream)
        self.listener.close()

    def converse(self, stream):
        while True:
            head = stream.recv(4, socket.MSG_WAITALL)
            if not head:
                return
            call = ex.fields(stream.recv(struct.unpack(">I", head)[0], socket.MSG_WAITALL))
            what = next(number for number in call if number > 2)
            reply = (ex.HELLO_REPLY, ex.message((1, ex.VERSION), (3, "Test CA"), (4, "played")))
            if what != ex.HELLO:
                if what == ex.SUBMIT:
                    self.submits.append(ex.fields(call[what][0]))
                answer = self.answers.pop(0)
                if answer is None:
                    return
                reply = ex.OUTCOME, answer
            octets = ex.message((1, ex.first(call, 1, 0)), reply)
            stream.sendall(struct.pack(">I", len(octets)) + octets)


def make_key(path):
    subprocess.run(["openssl", "ecparam", "-genkey", "-name", "prime256v1", "-noout", "-out", path], check=True)
    return path


def play(answers, key=None):
    """(what the example did, the Submits that it sent)"""
    with tempfile.TemporaryDirectory(prefix="gh-played-") as folder:
        path = os.path.join(folder, "request.pem")
        subprocess.run(["openssl", "req", "-new", "-key", key or make_key(path + ".key"), "-out", path, "-subj", "/",
                        "-addext", f"subjectAltName=DNS:{NAME}"], check=True, capture_output=True)
        core = PlayedCore(folder, answers)
        done = subprocess.run([sys.executable, EXAMPLE, core.path, "Test CA", "acme", "server", NAME, path],
                              capture_output=True, text=True, timeout=30)
        return done, core.submits


def issued():
    return ex.message((2, 7), (3, ex.ISSUED), (7, b"\x30\x00"))


def the_example_takes_a_final_answer_for_one():
    for disposition, reason, said in ((ex.REVOKED, "", "was revoked"), (ex.REVOKED, "key lost", "key lost"),
                                      (ex.DENIED, "not today", "not today"), (ex.ERROR, "", "failed"),
                                      (4, "", "was refused"), (99, "something new", "something new")):
        done, submits = play([ex.message((2, 7), (3, disposition), (5, reason))])
        check(done.returncode == 1 and said in done.stderr and not done.stdout, f"{disposition}: {done}")
        check(len(submits) == 1, f"{disposition}: it asked {len(submits)} times")


def the_example_connects_again_and_repeats():
    waits = ex.message((2, 7), (3, ex.UNDER_SUBMISSION), (6, 1))
    done, submits = play([None, waits, None, issued(), None, issued(), issued()])
    check(done.returncode == 0 and "BEGIN CERTIFICATE" in done.stdout, f"{done}")
    check(len(submits) == 5 and len({s[12][0] for s in submits}) == 1, "the transaction is another one")


def a_request_that_is_signed_again_is_the_same_transaction():
    with tempfile.TemporaryDirectory(prefix="gh-key-") as folder:
        keys = [make_key(os.path.join(folder, name)) for name in ("a.key", "b.key")]
        sent = [play([issued(), issued()], key)[1][0] for key in (keys[0], keys[0], keys[1])]
        check(sent[0][9] != sent[1][9], "ECDSA made the same signature twice")
        check(sent[0][12] == sent[1][12], "another transaction for the same key and name")
        check(sent[0][12] != sent[2][12], "the same transaction for another key")


# ---- one that lies ----


def refused(core, der, why, **changed):
    arguments = {"ca": "Test CA", "endpoint": "acme", "profile": "server", "requester": "acme:1", "names": [NAME],
                 "request": der, "transaction": repr(changed)}
    arguments.update(changed)
    outcome = core.submit(**arguments)
    check(ex.first(outcome, 1, ex.OK) == ex.REFUSED, f"{changed}: not refused: {outcome}")
    check(why in ex.first(outcome, 5, ""), f"{changed}: {ex.first(outcome, 5, '')}")
    check(ex.first(outcome, 2, 0) == 0 and not outcome.get(7), f"{changed}: it got something")


def what_lies_outside_the_binding_is_refused():
    with Place() as p:
        core = ex.Core(p.socket)
        _, der = p.request(NAME)
        refused(core, der, "not configured for that CA and profile", endpoint="other")
        refused(core, der, "not configured for that CA and profile", profile="gateway-tls")
        refused(core, der, "no such CA", ca="Another CA")
        refused(core, der, "outside of what this intermediary", names=["a.elsewhere.example"])
        refused(core, der, "outside of what this intermediary", names=[NAME, "a.elsewhere.example"])
        refused(core, der, "without the evidence or requester", requester="est:1")
        refused(core, der, "without the evidence or requester", requester="unix:root")
        refused(core, der, "without the evidence or requester", evidence=0)
        refused(core, der, "without the evidence or requester", evidence=99)
        refused(core, der, "only the gateway itself", protocol="internal", endpoint="internal",
                profile="gateway-tls", requester="gateway:public", evidence=LOCAL_CONFIG, names=["localhost"])
        refused(core, der, "listener of this gateway", protocol="internal", endpoint="internal",
                profile="gateway-tls", requester="gateway:public", evidence=LOCAL_CONFIG)
        refused(core, der, "at most 65536", request=bytes(65537))
        refused(core, der, "at most 1000 names", names=[f"{i}.print.example" for i in range(1001)])
        located = core.call(ex.LOCATE, ex.message((1, "Another CA")))
        check(ex.first(located, 1, ex.OK) == ex.NOT_FOUND, f"found: {located}")
        metrics = core.call(9, b"")
        check(ex.first(metrics, 1, ex.OK) == ex.REFUSED and not metrics.get(2), "it got the figures of all")
        check(p.rows() == [], f"rows were made: {p.rows()}")


def somebody_elses_request_is_not_found():
    with Place() as p:
        core = ex.Core(p.socket)
        own = [r for r in p.g.requests() if r["endpoint"] == "internal"]
        check(len(own) == 1, "the gateway has no certificate")
        for what in (ex.PEEK, ex.RETRIEVE):
            for requester in ("gateway:public", "acme:1", ""):
                for number in (own[0]["id"], 0, -1, 1 << 62):
                    outcome = core.ask(what, "Test CA", requester, number)
                    check(ex.first(outcome, 1, ex.OK) == ex.NOT_FOUND and not outcome.get(7), f"found: {outcome}")


def ends(stream, why):
    stream.settimeout(20)
    try:
        while stream.recv(65536):
            pass
    except ConnectionResetError:
        pass
    except socket.timeout:
        raise AssertionError(f"the connection lives on: {why}")


def octets_that_are_no_message_end_the_connection():
    with Place() as p:
        _, der = p.request(NAME)
        for why, octets in (("a length of 0", struct.pack(">I", 0)),
                            ("a length over the limit", struct.pack(">I", REQUEST_MAX + 1)),
                            ("garbage", struct.pack(">I", 5) + b"\xff\xff\xff\xff\xff"),
                            ("no call in it", struct.pack(">I", 2) + ex.message((1, 7))),
                            ("a message of the other side", b"\0\0\0\x05" + ex.message((1, 7), (18, b"\x08"))),
                            ("Hello again", b"\0\0\0\x05" + ex.message((1, 7), (3, b"\x08")))):
            core = ex.Core(p.socket)
            core.stream.sendall(octets)
            ends(core.stream, why)
        # Many small elements would be much memory.
        core = ex.Core(p.socket)
        core.send(1, ex.SUBMIT, ex.message((1, "Test CA"), (10, [b""] * 100000)))
        ends(core.stream, "a message that blows up")
        # A call before Hello, and another version.
        for first in (ex.message((1, 1), (ex.LOCATE, ex.message((1, "Test CA")))), ex.message((3, ex.message((1, 9))))):
            stream = socket.socket(socket.AF_UNIX)
            stream.connect(p.socket)
            stream.sendall(struct.pack(">I", len(first)) + first)
            stream.settimeout(20)
            size, = struct.unpack(">I", stream.recv(4))
            reply = ex.fields(ex.fields(stream.recv(size))[ex.HELLO_REPLY][0])
            check(ex.first(reply, 5, ""), "it was not refused")
            ends(stream, "no Hello")
        check(p.rows() == [], f"rows were made: {p.rows()}")
        # And nobody else was hurt.
        core = ex.Core(p.socket)
        outcome = core.submit("Test CA", "acme", "server", "acme:1", [NAME], der, "well")
        check(ex.first(outcome, 3, 0) == ex.ISSUED, f"not issued: {outcome}")


def more_calls_than_the_window_wait_and_hurt_nobody():
    with Place() as p:
        core, other = ex.Core(p.socket), ex.Core(p.socket)
        _, der = p.request(NAME)
        count = 1000
        flood = b""
        for i in range(1, count + 1):
            one = ex.message((1, i), (ex.SUBMIT, ex.submission("Test CA", "acme", "server", "acme:1", [NAME], der,
                                                               f"flood {i % 10}")))
            flood += struct.pack(">I", len(one)) + one
        core.stream.settimeout(60)
        sender = threading.Thread(target=core.stream.sendall, args=(flood,))
        sender.start()
        begin = time.monotonic()
        outcome = other.submit("Test CA", "acme", "server", "acme:2", [NAME], der, "in between")
        check(ex.first(outcome, 3, 0) == ex.ISSUED, f"not issued: {outcome}")
        check(time.monotonic() - begin < 5, "the other one waited for the whole flood")
        ids = set()
        while len(ids) < count:
            size, = struct.unpack(">I", core.receive_exactly(4))
            ids.add(ex.first(ex.fields(core.receive_exactly(size)), 1, 0))
        sender.join()
        check(ids == set(range(1, count + 1)), "an answer is missing")


def who_says_nothing_is_cut_and_takes_no_place():
    with Place() as p:
        silent = [socket.socket(socket.AF_UNIX) for _ in range(40)]
        begin = time.monotonic()
        for stream in silent:
            stream.connect(p.socket)
        for stream in silent:
            ends(stream, "silence")
        check(time.monotonic() - begin < 15, "silence was borne for too long")
        ex.Core(p.socket)


if __name__ == "__main__":
    main([the_example_gets_a_certificate, the_example_passes_a_challenge_on, a_held_request_is_collected_after_approval,
          the_example_takes_a_final_answer_for_one, the_example_connects_again_and_repeats,
          a_request_that_is_signed_again_is_the_same_transaction, a_peer_that_is_not_configured_is_told_so,
          what_lies_outside_the_binding_is_refused,
          somebody_elses_request_is_not_found, octets_that_are_no_message_end_the_connection,
          more_calls_than_the_window_wait_and_hurt_nobody, who_says_nothing_is_cut_and_takes_no_place])
