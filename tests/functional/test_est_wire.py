#!/usr/bin/python3
"""What clients of EST do on the wire, octet for octet, and what they need of an answer."""
import base64
import socket
import ssl
import time

from est_client import CSR, add_est, base64_lines, basic, create_user, make_csr, new_key
from gatehouse import check, gatehouse, main

VERSIONS = (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3)
EST = b"/.well-known/est"
HOLD = """
        - name: hold
          when: {any-name: ["hold*"]}
          then: pend
          reason: a person looks at this name
        - name: all-others
          then: issue
"""


class Wire:
    """A TLS connection and the octets on it."""

    def __init__(self, g, version=ssl.TLSVersion.TLSv1_3, alpn=None):
        context = ssl.create_default_context(cafile=g.root)
        context.minimum_version = context.maximum_version = version
        if alpn:
            context.set_alpn_protocols(alpn)
        self.plain = socket.create_connection(("localhost", g.est_port), 30)
        self.plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.s = context.wrap_socket(self.plain, server_hostname="localhost")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.s.close()

    def say(self, *pieces):
        for piece in pieces:
            self.s.sendall(piece)
            if len(pieces) > 1:
                time.sleep(0.01)  # so that each is likely to arrive alone

    def hear(self):
        """One answer as strongSwan reads it: the header with one read of 1,024 octets, the rest with one more."""
        got = self.s.recv(1024)
        check(got.startswith(b"HTTP/1.1 ") and b"\r\n\r\n" in got, f"the header takes more than one read: {got!r}")
        head, body = got.split(b"\r\n\r\n", 1)
        lines = head.split(b"\r\n")
        headers = dict(line.split(b": ", 1) for line in lines[1:])
        check(len(headers) == len(lines) - 1 or b"WWW-Authenticate" in headers, repr(lines))
        check(b"Content-Length" in headers and b"Transfer-Encoding" not in headers, repr(lines))
        left = int(headers[b"Content-Length"]) - len(body)
        if left:
            body += self.s.recv(16384)
        check(len(body) == int(headers[b"Content-Length"]), f"{len(body)} octets of {headers} in two reads")
        return int(lines[0].split(b" ")[1]), headers, body

    def hear_end(self):
        """The server closes, and does not wait for the client to do so."""
        check(self.s.recv(1) == b"", "more than one answer")


def request(method, operation, auth=None, body=b"", close=False, more=b""):
    """Only what has to be there: no User-Agent, no Accept."""
    head = method + b" " + EST + b"/" + operation + b" HTTP/1.1\r\nHost: localhost\r\n" + more
    if auth:
        head += b"Authorization: " + basic(*auth)["Authorization"].encode() + b"\r\n"
    if method == b"POST":
        head += b"Content-Type: " + CSR.encode() + b"\r\n"
        if b"Transfer-Encoding" not in more:
            head += b"Content-Length: %d\r\n" % len(body)
    return head + (b"Connection: close\r\n" if close else b"") + b"\r\n" + body


def csr(name="wire.example.com", more_names=0):
    return base64_lines(make_csr(new_key(), name, [name] + [f"n{n}.example.com" for n in range(more_names)]))


def answers_come_in_one_piece(g, auth):
    """For each status that a client waits for; a certificate with many names is longer than one read."""
    cases = ((request(b"GET", b"cacerts"), 200), (request(b"POST", b"simpleenroll", body=csr()), 401),
             (request(b"POST", b"simpleenroll", auth, csr()), 200),
             (request(b"POST", b"simpleenroll", auth, csr(more_names=80)), 200),
             (request(b"POST", b"simpleenroll", auth, csr("hold.example.com")), 202),
             (request(b"POST", b"simpleenroll", auth, b"?"), 400), (request(b"GET", b"none"), 404),
             (request(b"GET", b"ca%3A1/cacerts"), 200), (request(b"GET", b"ca:1/cacerts"), 200),
             (request(b"GET", b"../brski/requestvoucher"), 404))
    for version in VERSIONS:
        with Wire(g, version) as w:
            check(w.s.selected_alpn_protocol() is None, "no protocol was offered, and none is chosen")
            for octets, status in cases:
                w.say(octets)
                got, headers, body = w.hear()
                check(got == status, f"{got}, not {status}: {body!r}")
                check(status not in (401, 202) or headers[b"Content-Length"] == b"0", f"{status}: {headers}")
                check(status == 401 or b"WWW-Authenticate" not in headers, str(headers))
                check(status not in (401, 202) or {401: b"WWW-Authenticate", 202: b"Retry-After"}[status] in headers,
                      str(headers))
                check(not body or b"Content-Type" in headers, str(headers))
    with Wire(g, alpn=["h2", "http/1.1"]) as w:
        check(w.s.selected_alpn_protocol() == "http/1.1", "a certificate belongs to a connection of its own")
        w.say(request(b"GET", b"cacerts"))
        check(w.hear()[0] == 200, "with ALPN")


def bodies_come_as_they_like(g, auth):
    """Chunks of any size, with extensions and trailers, in any number of pieces; blank lines behind a body."""
    with Wire(g) as w:
        for coding in (b"chunked", b"Chunked"):
            body = csr()
            head = request(b"POST", b"simpleenroll", auth, more=b"Transfer-Encoding: " + coding + b"\r\n")
            chunks = b"".join(b"%x%s\r\n%s\r\n" % (len(body[i:i + 99]), b";x=y" if i == 99 else b"", body[i:i + 99])
                              for i in range(0, len(body), 99)) + b"0\r\nX: y\r\n\r\n"
            w.say(head, *(chunks[i:i + 70] for i in range(0, len(chunks), 70)))
            check(w.hear()[0] == 200, "chunks")
            w.say(head + chunks)
            check(w.hear()[0] == 200, "chunks at once")
        for _ in range(3):
            w.say(request(b"POST", b"simpleenroll", auth, csr()) + b"\r\n")
            check(w.hear()[0] == 200, "an empty line behind the body")
        whole = request(b"POST", b"simpleenroll", auth, csr())
        w.say(*(whole[i:i + 50] for i in range(0, len(whole), 50)))
        check(w.hear()[0] == 200, "in pieces")
        w.say(request(b"POST", b"simpleenroll", auth, csr(), close=True) + b"\r\n")
        check(w.hear()[0] == 200, "the last one")
        w.hear_end()


def the_server_closes_when_it_is_asked_to(g, auth):
    for version in VERSIONS:
        for octets, status in ((request(b"GET", b"cacerts", close=True), 200),
                               (request(b"POST", b"simpleenroll", body=csr(), close=True) + b"\r\n", 401),
                               (request(b"POST", b"simpleenroll", auth, csr(), close=True) + b"\r\n", 200)):
            with Wire(g, version) as w:
                w.say(octets)
                got, headers, _ = w.hear()
                check(got == status and headers[b"Connection"] == b"close", f"{got} {headers}")
                w.hear_end()


def bodies_wait_until_they_are_wanted(g, auth):
    body = csr()
    with Wire(g) as w:
        whole = request(b"POST", b"simpleenroll", auth, body, more=b"Expect: 100-continue\r\n")
        w.say(whole[:-len(body)])
        check(w.s.recv(1024) == b"HTTP/1.1 100 Continue\r\n\r\n", "no answer to Expect")
        w.say(body)
        check(w.hear()[0] == 200, "a body that waited")
        w.say(request(b"POST", b"none", auth, body, more=b"Expect: 100-continue\r\n")[:-len(body)])
        check(w.hear()[0] == 404, "a body for nobody is not waited for")
        w.hear_end()


def refused_whole(g, auth):
    """What must not be read in two ways."""
    twice = b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n"
    for octets, status in ((request(b"POST", b"simpleenroll", auth, more=twice), 400),
                           (b"GET " + EST + b"/cacerts HTTP/1.0\r\nHost: localhost\r\n\r\n", 505),
                           (b"GET " + EST + b"/cacerts HTTP/1.1\r\n\r\n", 400),
                           (request(b"POST", b"simpleenroll", auth, more=b"Transfer-Encoding: gzip\r\n"), 501),
                           (request(b"POST", b"simpleenroll", auth, b"x" * 70000), 413)):
        with Wire(g) as w:
            w.say(octets)
            got, headers, _ = w.hear()
            check(got == status and headers[b"Connection"] == b"close", f"{got}, not {status}")
            w.hear_end()


def as_clients_speak():
    endpoints = {"est": ("", ""), "ca-1": ("ca:1", "")}
    with gatehouse(set_up=lambda g: add_est(g, endpoints), rules=HOLD, core="  administrators: [root]\n") as g:
        auth = "dev", create_user(g, "dev", ["est"], "*.example.com")
        answers_come_in_one_piece(g, auth)
        bodies_come_as_they_like(g, auth)
        the_server_closes_when_it_is_asked_to(g, auth)
        bodies_wait_until_they_are_wanted(g, auth)
        refused_whole(g, auth)


if __name__ == "__main__":
    main([as_clients_speak])
