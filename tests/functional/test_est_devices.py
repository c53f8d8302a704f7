#!/usr/bin/python3
"""EST as the firmware of devices speaks it: clients octet for octet, each with the habits of its kind, and each as strict about
what comes back as they are. One listener with default settings serves them all."""
import base64
import contextlib
import re
import socket
import ssl
import textwrap

from cryptography.hazmat.primitives.serialization import pkcs7

from est_client import Est, add_est, basic, create_token, create_user, make_csr, names_of, new_key, save
from gatehouse import check, gatehouse, main

ENDPOINTS = {"est": ("", ""), "est-linked": ("linked", "pop: require"), "est-token": ("token", "auth: [token]"),
             "est-aruba": ("ca:1", "")}
OLD, NEW = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3


class Wire:
    """A connection of a device, which trusts the CA and shows a certificate when it has one."""

    def __init__(self, g, version=NEW, certificate=None):
        context = ssl.create_default_context(cafile=g.root)
        context.maximum_version = version
        if certificate:
            context.load_cert_chain(*certificate)
        self.s = context.wrap_socket(socket.create_connection(("localhost", g.est_port), 60), server_hostname="localhost")

    def say(self, *pieces):
        for piece in pieces:
            self.s.sendall(piece if isinstance(piece, bytes) else piece.encode())

    def hear(self):
        """(status line, header lines, body), by Content-Length as it is spelt."""
        got = b""
        while b"\r\n\r\n" not in got:
            more = self.s.recv(4096)
            check(more, f"the server closed: {got!r}")
            got += more
        head, body = got.split(b"\r\n\r\n", 1)
        status, *lines = head.decode().split("\r\n")
        if status.startswith("HTTP/1.1 204 "):  # has no body, and says no length (RFC 9110 8.6)
            return status, lines, body
        length = [line for line in lines if line.startswith("Content-Length: ")]
        check(len(length) == 1, f"no Content-Length: {lines}")
        while len(body) < int(length[0].split()[1]):
            body += self.s.recv(4096)
        return status, lines, body

    def is_closed(self):
        """By the server, in order."""
        self.s.settimeout(60)
        return self.s.recv(1) == b""

    def close(self):
        self.s.close()


def ask(g, *pieces, **how):
    """One request on a connection of its own."""
    w = Wire(g, **how)
    with contextlib.closing(w):
        w.say(*pieces)
        return w.hear()


def certificate_of(answer, name, is_strict_about_type=False):
    status, lines, body = answer
    check(status == "HTTP/1.1 200 OK", f"{status} {body!r}")
    types = [line for line in lines if line.startswith("Content-Type: ")]
    check(types == ["Content-Type: application/pkcs7-mime; smime-type=certs-only"], str(types))
    check(not is_strict_about_type or "Content-Transfer-Encoding: base64" in lines, str(lines))
    found = pkcs7.load_der_pkcs7_certificates(base64.b64decode(body))
    check(len(found) == 1 and names_of(found[0]) == [name], str(found))
    return found[0]


def head_of(operation, length, *more, label=""):
    path = "/.well-known/est" + (f"/{label}" if label else "")
    return "\r\n".join([f"POST {path}/{operation} HTTP/1.1", *more, f"Content-Length: {length}", "", ""])


# ---- libest ----

def libest_lines(der):
    """As OpenSSL's filter writes it: 64 columns, LF."""
    return "\n".join(textwrap.wrap(base64.b64encode(der).decode(), 64)) + "\n"


def like_libest(g, operation, name, key, user=None, label="", certificate=None, linked=False, token=None):
    """TLS 1.2; first without a word of who it is, then again on a new connection with the first challenge that it finds, its
    request signed anew for that connection; Connection: close, a CRLF too many, and it waits for the end."""
    authorization = []
    for _ in range(2):
        w = Wire(g, OLD, certificate)
        binding = base64.b64encode(w.s.get_channel_binding("tls-unique")) if linked else None
        body = libest_lines(make_csr(key, name, [name], challenge=binding))
        w.say(head_of(operation, len(body), "User-Agent: Cisco EST client 1.0", "Connection: close",
                      f"Host: localhost:{g.est_port}", "Accept: */*", "Content-Type: application/pkcs10", *authorization,
                      label=label), body, "\r\n")
        status, lines, answer = w.hear()
        check(w.is_closed(), "it asked for the end of the connection")
        w.close()
        if not status.startswith("HTTP/1.1 401"):
            break
        check(answer == b"", f"a body behind a 401: {answer!r}")
        offers = [line for line in lines if line.startswith("WWW-Authenticate: ")]
        scheme, realm = re.fullmatch(r'WWW-Authenticate: (Basic|Bearer) realm="([^"]+)"', offers[0]).groups()
        check(realm, offers[0])
        if scheme == "Basic":
            authorization = [f"Authorization: {basic(*user)['Authorization']}"]
        else:
            authorization = ["Authorization: Bearer " + base64.b64encode(token.encode()).decode()]
    return status, lines, answer


def read_libest_lines(body):
    """Its filter reads nothing where a line has more than 76 columns."""
    check(max(map(len, body.split(b"\n"))) <= 76 and body.endswith(b"\n"), repr(body))


def libest(g, user):
    name, key = "libest.example.com", new_key()
    answer = like_libest(g, "simpleenroll", name, key, user)
    read_libest_lines(answer[2])
    own = save(g.folder, "libest", key, certificate_of(answer, name, True))
    for label in "linked", "":
        answer = like_libest(g, "simpleenroll", f"linked{label}.example.com", new_key(), user, label, linked=True)
        certificate_of(answer, f"linked{label}.example.com", True)
    certificate_of(like_libest(g, "simplereenroll", name, key, certificate=own), name, True)
    certificate_of(like_libest(g, "simplereenroll", name, key, certificate=own, linked=True, label="linked"), name, True)
    token = create_token(g, ["est-token"], "*.example.com")
    certificate_of(like_libest(g, "simpleenroll", "token.example.com", new_key(), label="token", token=token),
                   "token.example.com")
    status, lines, body = like_libest(g, "simpleenroll", "hold-libest.example.com", new_key(), user)
    wait = [line for line in lines if line.startswith("Retry-After: ")]
    check(status == "HTTP/1.1 202 Accepted" and not body and re.fullmatch(r"Retry-After: [0-9]{1,10}", wait[0]), str(lines))
    status, lines, body = like_libest(g, "serverkeygen", "made-libest.example.com", new_key(), user)
    parts = re.search(r"boundary=([A-Za-z0-9]{1,70})", str(lines))
    check(status == "HTTP/1.1 200 OK" and parts, f"{status} {lines}")
    pieces = body.split(b"--" + parts.group(1).encode())
    check([b"application/pkcs8" in pieces[1], b"certs-only" in pieces[2]] == [True, True], repr(body))
    for piece in pieces[1:3]:
        head, text = piece.split(b"\r\n\r\n")
        check(b"Content-Transfer-Encoding: base64" in head and len(text) >= 256, repr(piece))


# ---- routers and switches ----

def ios_xe(g, user):
    """By its certificate, TLS 1.2, PEM that was cut out of its armour: lines of 64 with CRLF, nothing behind the last."""
    name, key = "router.example.com", new_key()
    first = Est(g, user=user).enroll(make_csr(key, name, [name])).certificate()
    own = save(g.folder, "router", key, first)
    status, lines, body = ask(g, f"GET /.well-known/est/cacerts HTTP/1.1\r\nHost: localhost:{g.est_port}\r\n"
                              "User-Agent: Cisco IOS EST\r\n\r\n", version=OLD, certificate=own)
    check(status == "HTTP/1.1 200 OK" and "Content-Type: application/pkcs7-mime" in lines, f"{status} {lines}")
    check(len(pkcs7.load_der_pkcs7_certificates(base64.b64decode(body))) == 1, "the CA")
    for new in key, new_key():
        text = libest_lines(make_csr(new, name, [name])).replace("\n", "\r\n").rstrip()
        answer = ask(g, head_of("simplereenroll", len(text), f"Host: localhost:{g.est_port}", "Connection: close",
                                "Content-Transfer-Encoding: base64", "Content-Type: application/pkcs10"), text,
                     version=OLD, certificate=own)
        certificate_of(answer, name)
        read_libest_lines(answer[2])


def aos_cx(g, user):
    """The CA first, before each enrolment; a label with a ':'; the certificate, when it has one, and the password at once;
    one connection for all of it."""
    name, key = "switch.example.com", new_key()
    auth = f"Authorization: {basic(*user)['Authorization']}"
    for label in "ca:1", "ca%3A1", "ca%3a1":
        w = Wire(g)
        w.say(f"GET /.well-known/est/{label}/cacerts HTTP/1.1\r\nHost: localhost\r\nAccept: */*\r\n\r\n")
        check(w.hear()[0] == "HTTP/1.1 200 OK", label)
        w.say(f"GET /.well-known/est/{label}/csrattrs HTTP/1.1\r\nHost: localhost\r\nAccept: */*\r\n\r\n")
        status, lines, body = w.hear()
        check(status.startswith("HTTP/1.1 204") and not body, f"{status} {lines}")
        text = base64.b64encode(make_csr(key, name, [name]))
        w.say(head_of("simpleenroll", len(text), "Host: localhost", "Content-Type: application/pkcs10", auth, label=label), text)
        own = certificate_of(w.hear(), name)
        w.close()
    files = save(g.folder, "switch", key, own)
    for more in ([], [auth]):
        answer = ask(g, head_of("simplereenroll", len(text), "Host: localhost", "Content-Type: application/pkcs10", *more),
                     text, certificate=files)
        certificate_of(answer, name)


# ---- small clients ----

def each_spelling(g, user):
    """Header names in any case, types with words behind them, blanks or none behind the colon, Host with a port or an address."""
    auth = basic(*user)["Authorization"]
    name, n = "spelt.example.com", 0
    for host in "localhost", f"localhost:{g.est_port}", "127.0.0.1", "LOCALHOST", "somewhere.else.example":
        for kind in "application/pkcs10", "Application/PKCS10; charset=utf-8", 'application/pkcs10;name="a.p10"':
            spelling = (str.lower, str.upper, str.title)[n % 3]
            blank = ("", " ", "\t", "   ")[n % 4]
            text = base64.b64encode(make_csr(new_key(), name, [name]))
            lines = [f"{spelling(header)}:{blank}{value}{blank if n % 2 else ''}" for header, value in
                     (("Host", host), ("Content-Type", kind), ("Authorization", auth), ("Content-Length", len(text)))]
            head = "\r\n".join(["POST /.well-known/est/simpleenroll HTTP/1.1", *lines, "", ""])
            certificate_of(ask(g, head, text), name)
            n += 1


def each_form_of_base64(g, user):
    """Lines of 64, 76 and odd lengths, with LF, CRLF and CR, with and without an end, with blanks before and after."""
    name, auth = "lines.example.com", f"Authorization: {basic(*user)['Authorization']}"
    for columns in 1, 60, 64, 76, 1000:
        for end in "\n", "\r\n", "\r", " ", "\t\r\n":
            for last in "", end, end * 3:
                pieces = textwrap.wrap(base64.b64encode(make_csr(new_key(), name, [name])).decode(), columns)
                text = end.join(pieces) + last
                answer = ask(g, head_of("simpleenroll", len(text), "Host: a", "Content-Type: application/pkcs10", auth), text)
                certificate_of(answer, name)


def what_is_too_old(g):
    """HTTP/1.0 and a request without Host are answered, and not served; armour is refused with a word about it."""
    for octets, status in ((b"GET /.well-known/est/cacerts HTTP/1.0\r\n\r\n", "505"),
                           (b"GET /.well-known/est/cacerts HTTP/1.0\r\nHost: localhost\r\n\r\n", "505"),
                           (b"GET /.well-known/est/cacerts HTTP/1.1\r\n\r\n", "400"),
                           (b"GET /.well-known/est/cacerts\r\n\r\n", "400")):
        got, lines, body = ask(g, octets)
        check(got.startswith(f"HTTP/1.1 {status} ") and body and "Connection: close" in lines, f"{octets}: {got} {lines}")


def who_waits_for_100(g, user):
    """Embedded clients on libcurl wait a second for it, or for ever."""
    name = "continue.example.com"
    text = base64.b64encode(make_csr(new_key(), name, [name]))
    auth = f"Authorization: {basic(*user)['Authorization']}"
    for expects in "Expect: 100-continue", "expect: 100-Continue":
        w = Wire(g)
        w.say(head_of("simpleenroll", len(text), "Host: localhost", "Content-Type: application/pkcs10", auth, expects))
        got = b""
        while not got.endswith(b"\r\n\r\n"):
            got += w.s.recv(1024)
        check(got == b"HTTP/1.1 100 Continue\r\n\r\n", repr(got))
        w.say(text)
        certificate_of(w.hear(), name)
        w.close()


def who_does_not_wait_for_answers(g, user):
    """Requests behind each other, answered in that order; of the last the connection ends."""
    auth = f"Authorization: {basic(*user)['Authorization']}"
    names = [f"pipe{n}.example.com" for n in range(4)]
    w, octets = Wire(g), b""
    for name in names:
        text = base64.b64encode(make_csr(new_key(), name, [name]))
        end = "Connection: close" if name == names[-1] else "Connection: keep-alive"
        octets += head_of("simpleenroll", len(text), "Host: a", "Content-Type: application/pkcs10", auth, end).encode() + text
        octets += b"\r\n"
    w.say(octets)
    for name in names:
        certificate_of(hear_one(w), name)
    check(w.is_closed(), "the end")
    w.close()


def hear_one(w):
    """Octet by octet, so that what follows stays where it is."""
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        head += w.s.recv(1)
    status, *lines = head.decode().rstrip().split("\r\n")
    left = int([line for line in lines if line.startswith("Content-Length: ")][0].split()[1])
    body = b""
    while len(body) < left:
        body += w.s.recv(left - len(body))
    return status, lines, body


def devices():
    with gatehouse(set_up=lambda g: add_est(g, ENDPOINTS), core="  administrators: [root]\n") as g:
        user = "dev", create_user(g, "dev", [e for e in ENDPOINTS if e != "est-token"], "*.example.com")
        libest(g, user)
        ios_xe(g, user)
        aos_cx(g, user)
        each_spelling(g, user)
        each_form_of_base64(g, user)
        what_is_too_old(g)
        who_waits_for_100(g, user)
        who_does_not_wait_for_answers(g, user)


if __name__ == "__main__":
    main([devices])
