#!/usr/bin/python3
"""Where SCEP is served: the paths that clients know, in either case, of one endpoint and of several; by HTTP/1.0 without
Host, in long request lines, and with GET and POST alone."""
import base64
import os
import socket
import ssl
import subprocess

from cryptography import x509

from gatehouse import check, free_ports, gatehouse, main
from scep_client import add_scep, create_challenge
from scep_raw import SUCCESS, Reply, Scep, Sender, bag, make_csr, new_key, pki_message, quote

SHARED = ("/scep", "/scep/pkiclient.exe", "/cgi-bin/pkiclient.exe", "/certsrv/mscep/mscep.dll",
          "/certsrv/mscep/mscep.dll/pkiclient.exe", "/CertSrv/MSCEP/mscep.dll", "/CGI-BIN/PKIClient.exe", "/Scep",
          "/scep/", "/cgi-bin/pkiclient.exe/", "/certsrv/mscep/mscep.dll/")
OWN = ("/device/ra", "/device/ra/pkiclient.exe", "/Device/RA/pkiclient.exe", "/scep/lone", "/scep/lone/pkiclient.exe",
       "/SCEP/Lone/PKIClient.exe", "/device/ra/", "/scep/lone/", "/scep/lone//pkiclient.exe")
NONE = ("/", "/scepx", "/sce", "/scep//", "/scep/other", "/scep/none/pkiclient.exe", "/scep%2Fpkiclient.exe", "/scep/../scep",
        "/cgi-bin/", "/cgi-bin/pkiclient.exe/x", "/certsrv/mscep", "/device", "/device/rat")


class Old:
    """A client of HTTP/1.0: one request on a connection, no Host, and it reads to the end."""

    def __init__(self, port):
        self.port = port

    def ask(self, octets):
        with socket.create_connection(("127.0.0.1", self.port), timeout=60) as s:
            s.sendall(octets)
            said = b""
            while more := s.recv(65536):
                said += more
        head, _, body = said.partition(b"\r\n\r\n")
        lines = head.decode().split("\r\n")
        reply = Reply(int(lines[0].split()[1]), dict(line.split(": ", 1) for line in lines[1:]), body)
        check(reply.headers.get("Content-Length") == str(len(body)) or octets.startswith(b"HEAD"), f"{lines} {len(body)}")
        return reply

    def get(self, target):
        return self.ask(f"GET {target} HTTP/1.0\r\n\r\n".encode())

    def post(self, target, body):
        return self.ask(f"POST {target} HTTP/1.0\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)


def set_up(g):
    """Listener `scep`: two endpoints, and none of them is the default; `chosen`: the same, one is; `lone`: another one
    alone, at a path of its own."""
    add_scep(g, {"one": "", "two": "", "lone": ""})
    g.lone_port, g.chosen_port = free_ports(2)
    with open(g.config, encoding="utf-8") as f:
        text = f.read()
    text = text.replace("path: /scep/lone", "path: /device/ra").replace("endpoints: [one, two, lone]", "endpoints: [one, two]")
    for listener, port, more in (("lone", g.lone_port, "endpoints: [lone]"),
                                 ("chosen", g.chosen_port, "endpoints: [one, two]\n    default-endpoint: two")):
        text = text.replace("listeners:\n", f"""listeners:
  - name: {listener}
    address: 127.0.0.1
    port: {port}
    tls: false
    names: [localhost]
    {more}
""", 1)
    with open(g.config, "w", encoding="utf-8") as f:
        f.write(text)


class Place:
    def __init__(self, g, port):
        self.g, self.port, self.old, self.n = g, port, Old(port), 0

    def ra(self, path, message=None):
        """The RA certificate that a path gives."""
        reply = self.old.get(f"{path}?operation=GetCACert" + ("" if message is None else f"&message={message}"))
        check(reply.code == 200 and reply.headers["Content-Type"] == "application/x-x509-ca-ra-cert",
              f"{path}: {reply.code} {reply.body[:200]}")
        return next(c for c in bag(reply.body) if not Scep.is_ca(c))

    def message(self, endpoint, ra):
        """(sender, message) with a good challenge."""
        self.n += 1
        sender, text = Sender(new_key()), f"path{self.port}-{self.n}.example"
        octets = make_csr(sender.key, text, create_challenge(self.g, endpoint, "dns:*.example"))
        scep = Scep.__new__(Scep)
        scep.ra = ra
        return sender, pki_message(sender, scep.envelope(octets))

    def count(self):
        return sum(r["state"] == "issued" and any(n.endswith(".example") for n in r["names"]) for r in self.g.requests())


def in_query(path, message):
    return f"{path}?operation=PKIOperation&message={quote(base64.b64encode(message).decode())}"


def a_lone_endpoint_is_everywhere(g):
    place = Place(g, g.lone_port)
    ra = place.ra("/device/ra")
    for path in SHARED + OWN:
        caps = place.old.get(f"{path}?operation=GetCACaps&message=CAIdentifier")
        check(caps.code == 200 and b"POSTPKIOperation" in caps.body, f"{path}: {caps.code} {caps.body[:100]}")
        check(place.ra(path) == ra, f"{path}: another RA")
    for path in NONE:
        check(place.old.get(f"{path}?operation=GetCACaps").code == 404, path)
    for i, path in enumerate(("/scep", "/certsrv/mscep/mscep.dll/pkiclient.exe", "/CGI-bin/pkiclient.exe", "/scep/LONE",
                              "/device/ra/pkiclient.exe")):
        sender, message = place.message("lone", ra)
        reply = place.old.post(path, message) if i % 2 else place.old.get(in_query(path, message))
        check(len(reply.read(ra).certificates(sender)) == 1, path)


def several_endpoints_are_told_apart(g):
    """By the path, by the name in the message, and PKIOperation by the certificate that it is encrypted to."""
    place, chosen = Place(g, g.scep_port), Place(g, g.chosen_port)
    ras = {which: place.ra(f"/scep/{which}") for which in ("one", "two")}
    check(ras["one"] != ras["two"], "two endpoints have one RA certificate")
    for path in SHARED:
        for which, ra in ras.items():
            check(place.ra(path, which) == ra and place.ra(path, which.upper()) == ra, f"{path} {which}")
            check(chosen.ra(path, which) == ra, f"{path} {which}")
        for word in ("CAIdentifier", "0", "", "lone", "default", None):
            check(chosen.ra(path, word) == ras["two"], f"{path} {word}")
            more = "" if word is None else f"&message={word}"
            for operation in "GetCACaps", "GetCACert":
                reply = place.old.get(f"{path}?operation={operation}{more}")
                check(reply.code == 404 and b"/scep/NAME" in reply.body, f"{path} {word}: {reply.code} {reply.body}")
    # At a path that says which endpoint it is the message says nothing.
    check(place.ra("/scep/one", "two") == ras["one"], "the message counts more than the path")
    for of in place, chosen:
        for which, ra in ras.items():
            for method in "GET", "POST":
                sender, message = of.message(which, ra)
                path = "/cgi-bin/pkiclient.exe"
                reply = of.old.post(path, message) if method == "POST" else of.old.get(in_query(path, message))
                check(reply.read(ra).status == SUCCESS, f"{which} by {method}: {reply.fail} {reply.fail_text}")
                request = [r for r in g.requests() if f"path{of.port}-{of.n}.example" in r["names"]]
                check(request[0]["endpoint"] == which, str(request))
        sender, message = of.message("one", ras["one"])
        check(of.old.post("/scep/two", message).read(ras["two"]).fail == "0", "a message for another endpoint's RA")


def nothing_but_get_and_post(g):
    """HEAD would enrol, and lose the certificate."""
    place = Place(g, g.lone_port)
    _, message = place.message("lone", place.ra("/scep"))
    before = place.count()
    for path in ("/scep", "/scep/lone", "/device/ra", "/cgi-bin/pkiclient.exe"):
        for method in ("HEAD", "PUT", "DELETE", "OPTIONS", "PATCH"):
            reply = place.old.ask(f"{method} {in_query(path, message)} HTTP/1.0\r\nContent-Length: 0\r\n\r\n".encode())
            check(reply.code == 405 and reply.headers["Allow"] == "GET, POST",
                  f"{method} {path}: {reply.code} {reply.headers}")
    check(place.count() == before, "something was issued")


def request_lines_are_long(g):
    """Where SCEP is served, and nowhere else."""
    place = Place(g, g.lone_port)
    ra = place.ra("/scep")
    sender, message = place.message("lone", ra)
    target = in_query("/scep", message) + "&pad="
    before = place.count()
    reply = place.old.get(target + "x" * (33000 - len(target)))
    check(reply.code == 414 and place.count() == before, f"33,000 octets: {reply.code}")
    reply = place.old.get(target + "x" * (32700 - len(target)))
    check(len(reply.read(ra).certificates(sender)) == 1, "32,700 octets")
    line = "/healthz?" + "x" * 9000
    for want, octets in ((b"414", f"GET {line} HTTP/1.1\r\nHost: localhost\r\n\r\n"),
                         (b"505", "GET /healthz HTTP/1.0\r\n\r\n")):
        with socket.create_connection(("127.0.0.1", g.port), timeout=60) as s:
            with ssl.create_default_context(cafile=g.root).wrap_socket(s, server_hostname="localhost") as tls:
                tls.sendall(octets.encode())
                check(tls.recv(12) == b"HTTP/1.1 " + want, f"the listener of ACME does not answer {want}")


def curl(g, *words):
    done = subprocess.run(["curl", "-sS", "-0", "-D", "-", *words], capture_output=True, timeout=60, check=False)
    check(done.returncode == 0, f"curl {words}: {done.stderr}")
    head, _, body = done.stdout.partition(b"\r\n\r\n")
    return head.decode(), body


def curl_speaks_http_10(g):
    base = f"http://127.0.0.1:{g.lone_port}/certsrv/mscep/mscep.dll"
    head, body = curl(g, "-H", "Host:", f"{base}?operation=GetCACaps")
    check(" 200 " in head and f"Content-Length: {len(body)}" in head and b"AES" in body, head)
    place = Place(g, g.lone_port)
    ra = place.ra("/scep")
    sender, message = place.message("lone", ra)
    path = os.path.join(g.folder, "message")
    with open(path, "wb") as f:
        f.write(message)
    head, body = curl(g, "-H", "Host:", "--data-binary", f"@{path}", f"{base}?operation=PKIOperation")
    check(" 200 " in head and f"Content-Length: {len(body)}" in head, head)
    reply = Reply(200, {"Content-Type": "application/x-pki-message"}, body).read(ra)
    check(isinstance(reply.certificates(sender)[0], x509.Certificate), "no certificate")
    sender, message = place.message("lone", ra)
    head, body = curl(g, f"http://127.0.0.1:{g.lone_port}{in_query('/scep', message)}")
    check(Reply(200, {"Content-Type": "application/x-pki-message"}, body).read(ra).status == SUCCESS, head)


def what_is_no_message_is_told(g):
    place = Place(g, g.lone_port)
    ra = place.ra("/scep")
    scep = Scep.__new__(Scep)
    scep.ra = ra
    sender = Sender()
    metric = 'gatehouse_scep_malformed_total{endpoint="lone"}'
    before, at = g.metric(metric), os.path.getsize(g.log_path)
    reply = place.old.post("/scep", pki_message(sender, scep.envelope(b"x"), transaction=b"t" * 129))
    text = "the transactionID is longer than 128 octets"
    check(reply.code == 400 and reply.body == text.encode() + b"\n", f"{reply.code} {reply.body}")
    check(f'reason="{text}"' in g.wait_log("scep.malformed", at), "the log has another reason")
    reply = place.old.get("/scep?operation=PKIOperation&message=%zz")
    check(reply.code == 400 and b"base64" in reply.body, f"{reply.code} {reply.body}")
    check(g.metric(metric) == before + 2, "the metric does not count")


def scep_is_where_clients_look():
    with gatehouse(set_up) as g:
        for test in (a_lone_endpoint_is_everywhere, several_endpoints_are_told_apart, nothing_but_get_and_post,
                     request_lines_are_long, curl_speaks_http_10, what_is_no_message_is_told):
            test(g)
            print(f"  {test.__name__}", flush=True)


main([scep_is_where_clients_look])
