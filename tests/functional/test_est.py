#!/usr/bin/python3
"""EST as curl with openssl and Python's own HTTP speak it: labels, passwords, tokens, held requests, wrong input."""
import base64
import os
import socket
import ssl
import subprocess
import threading
import time

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from est_client import (CSR, Est, add_est, base64_lines, basic, create_token, create_user, make_csr, names_of, new_key,
                        run, save, self_signed)
from gatehouse import check, gatehouse, main

OTP, REVOCATION, LINKING = [f"1.2.840.113549.1.9.16.2.{n}" for n in (56, 57, 58)]  # RFC 7894
ENDPOINTS = {"est": ("", ""), "est-held": ("held", "attributes: {hold: 'yes'}"), "est-colon": ("ca:1", ""),
             "est-linked": ("linked", "pop: require"), "est-ignore": ("ignore", "challenge-password: ignore"),
             "est-secret": ("secret", "challenge-password: secret"),
             "est-both": ("both", "auth: [basic, certificate]\nauth-require: all")}
RULES = """
        - name: deny
          when: {any-name: ["deny*"]}
          then: deny
          reason: names that begin with deny are denied
        - name: hold
          when: {any-name: ["hold*"]}
          then: pend
          reason: a person looks at this name
        - name: hold-label
          when: {attribute: {hold: "yes"}}
          then: pend
          reason: a person looks at what comes over this label
        - name: all-others
          then: issue
"""


# ---- curl and openssl ----

def curl(g, path, *more):
    """Status, headers (of those that come twice the first) and body."""
    out = run("curl", "-s", "--cacert", g.root, "-D", "-", *more, f"https://localhost:{g.est_port}{path}")
    head, body = out.split(b"\r\n\r\n", 1)
    lines = head.decode().split("\r\n")
    return int(lines[0].split()[1]), dict(line.split(": ", 1) for line in reversed(lines[1:])), body


def openssl_csr(g, name, *more):
    key, csr = os.path.join(g.folder, name + ".key"), os.path.join(g.folder, name + ".csr")
    run("openssl", "req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", key,
        "-subj", f"/CN={name}", "-addext", f"subjectAltName=DNS:{name}", "-outform", "DER", "-out", csr, *more)
    text = os.path.join(g.folder, name + ".b64")
    with open(text, "wb") as f:
        f.write(run("openssl", "base64", "-e", "-in", csr))
    return text


def print_certs(body):
    der = run("openssl", "base64", "-d", input=body)
    return run("openssl", "pkcs7", "-inform", "DER", "-print_certs", input=der)


def curl_and_openssl(g, password):
    status, headers, body = curl(g, "/.well-known/est/cacerts")
    check(status == 200 and headers["Content-Type"] == "application/pkcs7-mime", str(headers))
    check(headers["Content-Transfer-Encoding"] == "base64" and body.endswith(b"\n"), str(headers))
    check(max(map(len, body.split(b"\n"))) == 64, "a client with a name gets lines")
    with open(g.root, encoding="ascii") as f:
        root = f.read()
    check(root.strip() in print_certs(body).decode(), "the CA's certificate is not in cacerts")
    text = openssl_csr(g, "curl.example.com")
    send = ("-H", "Content-Type: application/pkcs10", "--data-binary", "@" + text)
    status, headers, body = curl(g, "/.well-known/est/simpleenroll", *send)
    check(status == 401 and headers["WWW-Authenticate"].startswith('Basic realm="'), f"{status} {headers}")
    check(headers["Content-Length"] == "0" and body == b"", "a 401 has no body")
    status, headers, body = curl(g, "/.well-known/est/simpleenroll", "-u", f"dev:{password}", *send)
    check(status == 200, f"{status} {body}")
    pem = os.path.join(g.folder, "curl.pem")
    with open(pem, "wb") as f:
        f.write(print_certs(body))
    check(print_certs(body).count(b"BEGIN CERTIFICATE") == 1, "the certificate that was issued comes alone")
    g.verify(pem)


# ---- Python: chunks, one connection ----

def enrolled_on_one_connection(g, password):
    """Chunked bodies, and one connection for many requests."""
    est = Est(g, user=("dev", password))
    sock = est.connect()
    for n in range(3):
        key, name = new_key(), f"kept{n}.example.com"
        text = base64_lines(make_csr(key, name, [name]))
        reply = est.request("POST", "simpleenroll", iter([text[:40], text[40:90], text[90:]]),
                            {"Content-Type": CSR, "Content-Transfer-Encoding": "binary"}, encode_chunked=True)
        certificate = reply.certificate()
        check(names_of(certificate) == [name], str(certificate.subject))
        check(certificate.public_key().public_numbers() == key.public_key().public_numbers(), "another key")
        check(est.connection and est.connection.sock is sock, "the connection was not kept")
    # One line in, one line out.
    reply = est.enroll(make_csr(new_key(), "line.example.com", ["line.example.com"]))
    check(reply.certificate() and b"\n" not in reply.body, "a client that breaks no lines gets none")
    check(len(est.get("cacerts", {"User-Agent": "x"}).certificates()) == 1, "cacerts on the same connection")
    est.close()


def raw(g, octets):
    """What a client that speaks by itself gets, until the server closes."""
    context = ssl.create_default_context(cafile=g.root)
    with socket.create_connection(("localhost", g.est_port), 30) as plain:
        with context.wrap_socket(plain, server_hostname="localhost") as s:
            s.sendall(octets)
            answer = b""
            while more := s.recv(65536):
                answer += more
    return answer


def as_old_clients_write(g, password):
    """No User-Agent: one line. A stray CRLF behind the body, Connection: close, header and body in one record."""
    answer = raw(g, b"GET /.well-known/est/cacerts HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
    head, body = answer.split(b"\r\n\r\n", 1)
    check(b"\n" not in body and len(base64.b64decode(body)) > 300, repr(answer[:300]))
    check(len(head) < 1024 and b"\r\nContent-Length: %d" % len(body) in head, repr(head))
    check(b"\r\nContent-Type: application/pkcs7-mime\r\n" in head, repr(head))
    text = base64_lines(make_csr(new_key(), "old.example.com", ["old.example.com"]))
    auth = basic("dev", password)["Authorization"].encode()
    answer = raw(g, b"POST /.well-known/est/simpleenroll HTTP/1.1\r\nHost: localhost\r\nAuthorization: " + auth +
                 b"\r\nContent-Type: application/pkcs10\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % len(text) +
                 text + b"\r\n")
    check(answer.startswith(b"HTTP/1.1 200 ") and b"\r\nContent-Transfer-Encoding: base64\r\n" in answer,
          repr(answer[:400]))


# ---- who asks ----

def what_was_refused_is_shown(g, name):
    """Whose device it was, and not the validity and digests of nothing."""
    row = g.tool_json("list", "state = error")["requests"][0]
    check((row["subject"], row["names"]) == (f"CN={name}", [name]), str(row))
    shown = g.tool_json("show", str(row["id"]))["request"]
    check(shown["identifiers"] == [{"name": f"dns:{name}", "evidence": "asked for, proven by nothing"}], str(shown))
    check(shown["key_hash"] and "not_after" not in shown, str(shown))
    text = g.run_tool("show", str(row["id"])).stdout
    check(f"CN={name}" in text and f"dns:{name}" in text, text)
    check("0000000000" not in text and "1970" not in text, text)


def who_may_ask(g, password):
    est = Est(g)
    der = make_csr(new_key(), "who.example.com", ["who.example.com"])
    token = create_token(g, ["est"], "*.example.com")
    elsewhere = create_token(g, ["est-held"], "*.example.com")
    refused = [
        {}, basic("dev", "wrong"), basic("nobody", password), basic("", password), basic("dev", token),
        {"Authorization": "Bearer " + password}, {"Authorization": "Bearer " + elsewhere},
        {"Authorization": "Basic"}, {"Authorization": "Basic !!!"}, {"Authorization": "Digest username=dev"},
        {"Authorization": "Basic " + base64.b64encode(b"dev").decode()},
    ]
    for headers in refused:
        reply = est.enroll(der, headers=headers)
        check(reply.status == 401 and reply.body == b"", f"{headers}: {reply.status}")
        check(reply.headers.get_all("WWW-Authenticate") == ['Basic realm="est"', 'Bearer realm="est"'],
              str(reply.headers))
    # Whoever is nobody learns nothing of what he sent.
    check(est.request("POST", "simpleenroll", b"?", {"Content-Type": "text/plain"}).status == 401, "401 comes first")
    first = est.enroll(der, headers={"Authorization": "bearer  " + token}).certificate()
    again = est.enroll(der, headers={"Authorization": "Bearer " + token}).certificate()
    check(first == again, "a repeat gets the same certificate")
    other = est.enroll(der, headers=basic("dev", password)).certificate()
    check(other.serial_number != first.serial_number, "a request of somebody else is another one")
    reply = est.enroll(make_csr(new_key(), "who.example.org", ["who.example.org"]), headers=basic("dev", password))
    check(reply.status == 403 and b"who.example.org" in reply.body, f"{reply.status} {reply.body}")
    what_was_refused_is_shown(g, "who.example.org")
    two = raw(g, b"POST /.well-known/est/simpleenroll HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer a\r\n"
                 b"Authorization: Bearer b\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
    check(two.startswith(b"HTTP/1.1 400 "), repr(two[:200]))
    est.close()


def the_log_says_why(g, password):
    """What the client is not told, and what it does not print. One line a minute for an address."""
    token = create_token(g, ["est"], "*.example.com", more=("--uses", "1"))
    gone = "gone", create_user(g, "gone", ["est"], "*.example.com")
    held = "elsewhere", create_user(g, "elsewhere", ["est-held"], "*.example.com")
    g.run_tool("user", "revoke", "gone")
    bearer = {"Authorization": "Bearer " + token}
    check(Est(g).enroll(make_csr(new_key(), "once.example.com"), headers=bearer).certificate(), "its only use")
    for n, (why, named, headers) in enumerate((
            ("it is wrong", '"user dev"', basic("dev", "wrong-canary")),
            ("it is not known", "user", basic("nobody-canary", password)),
            ("it is revoked", '"user gone"', basic(*gone)),
            ("it is not for this endpoint", '"user elsewhere"', basic(*held)),
            ("it has expired or is used up", '"token ', bearer))):
        at, source = os.path.getsize(g.log_path), f"127.0.0.{20 + n}"
        reply = Est(g, source=source).enroll(make_csr(new_key(), "log.example.com"), headers=headers)
        check(reply.status == 401 and not reply.body, f"{why}: {reply}")
        line = g.wait_log("credential.refused", at)
        for word in f'why="{why}"', f"credential={named}", "endpoint=est ", f"source={source}":
            check(word in line + " ", f"{word}: {line}")
        check("canary" not in line, line)
    for why, status, der, kind in (("Content-Type", 415, make_csr(new_key(), "log.example.com"), "text/plain"),
                                   ("log.example.org", 403, make_csr(new_key(), "log.example.org"), CSR)):
        at = os.path.getsize(g.log_path)
        reply = Est(g, user=("dev", password)).request("POST", "simpleenroll", base64.b64encode(der),
                                                       {"Content-Type": kind})
        check(reply.status == status and why in reply.body.decode(), f"{why}: {reply}")
        line = g.wait_log("est.refused", at)
        for word in "endpoint=est ", "requester=est:user:dev ", f"status={status} ", "from=127.0.0.1 ", why:
            check(word in line, f"{word}: {line}")


# ---- held requests ----

def held_then_approved(g, password):
    name = "hold.example.com"
    est, key = Est(g, user=("dev", password)), new_key()
    reply = est.enroll(make_csr(key, name, [name]))
    check(reply.status == 202 and reply.body == b"" and reply.headers["Content-Length"] == "0", str(reply))
    check(reply.headers["Retry-After"].isdigit(), str(reply.headers))
    request = g.wait_pending(name)
    # Signed anew, with its names in another order, on another connection: the same request.
    est.close()
    for _ in range(3):
        check(est.enroll(make_csr(key, name, [name])).status == 202, "asked again while it is held")
    check(len(g.pending()) == 1, "one row")
    # Somebody else who has the request, but is not who asked: a request of his own.
    other = create_user(g, "other", ["est"], "*.example.com")
    check(Est(g, user=("other", other)).enroll(make_csr(key, name, [name])).status == 202, "somebody else's request")
    g.run_tool("approve", str(request["id"]), "--yes")
    check(Est(g, user=("other", other)).enroll(make_csr(key, name, [name])).status == 202, "he still waits")
    first = est.enroll(make_csr(key, name, [name])).certificate()
    again = est.enroll(make_csr(key, name, [name])).certificate()
    check(first == again and names_of(first) == [name], "the same certificate for whoever lost the first answer")
    lines = [line["text"] for line in g.timeline(request["id"])]
    check(sum(line.startswith("retrieved state=issued") for line in lines) == 1, str(lines))
    check(sum(line.startswith("verify cause=new") for line in lines) == 1, str(lines))
    g.stop()
    g.start()
    check(Est(g, user=("dev", password)).enroll(make_csr(key, name, [name])).certificate() == first, "after a restart")


def held_then_denied(g, password):
    name = "hold-no.example.com"
    est, key = Est(g, user=("dev", password)), new_key()
    check(est.enroll(make_csr(key, name, [name])).status == 202, "held")
    request = g.wait_pending(name)
    g.run_tool("deny", str(request["id"]), "--reason", "not this one, ask the network team")
    rows = len(g.requests())
    for k in (key, key, new_key()):
        reply = est.enroll(make_csr(k, name, [name]))
        check(reply.status == 403 and b"not this one, ask the network team" in reply.body, str(reply))
        check(reply.headers["Content-Type"].startswith("text/plain"), str(reply.headers))
    check(len(g.requests()) == rows, "a denial that stands makes no new row")
    reply = est.enroll(make_csr(new_key(), "deny.example.com", ["deny.example.com"]))
    check(reply.status == 403 and b"begin with deny" in reply.body, str(reply))
    est.close()


def held_by_label(g):
    """What goes with a submission: the label's own attributes, and what the client did."""
    password = create_user(g, "held", ["est", "est-held"], "*.example.com")
    key, name = new_key(), "label.example.com"
    check(Est(g, "held", user=("held", password)).enroll(make_csr(key, name, [name])).status == 202, "held")
    request = g.wait_pending(name)
    shown = g.run_tool("show", str(request["id"])).stdout
    for word in ("est-operation", "simpleenroll", "est-label", "held", "pop-linked"):
        check(word in shown, f"{word}: {shown}")
    check(Est(g, user=("held", password)).enroll(make_csr(key, name, [name])).certificate(), "another label")
    for label in ("ca:1", "ca%3A1", "%63a%3a1"):
        check(len(Est(g, label).get("cacerts").certificates()) == 1, label)
    check(Est(g, "ca%253A1").get("cacerts").status == 404, "decoded twice")
    check(Est(g, "nowhere", user=("held", password)).enroll(make_csr(key, name, [name])).status == 404, "no label")


# ---- a challengePassword ----

def with_exporter(g, user, key, name):
    """Through openssl, whose word for the connection is RFC 9266's; TLS 1.3."""
    process = subprocess.Popen(["openssl", "s_client", "-connect", f"localhost:{g.est_port}", "-CAfile", g.root, "-tls1_3",
                                "-keymatexport", "EXPORTER-Channel-Binding", "-keymatexportlen", "32"],
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    timer = threading.Timer(60, process.kill)
    timer.start()
    exported = b""
    while not (line := process.stdout.readline()).startswith(b"---") or not exported:
        check(line, "openssl s_client ended")
        if b"Keying material: " in line:
            exported = bytes.fromhex(line.split()[-1].decode())
    body = base64.b64encode(make_csr(key, name, [name], challenge=base64.b64encode(exported)))
    process.stdin.write(b"POST /.well-known/est/linked/simpleenroll HTTP/1.1\r\nHost: localhost\r\nAuthorization: " +
                        basic(*user)["Authorization"].encode() + b"\r\nContent-Type: application/pkcs10\r\n"
                        b"Connection: close\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
    process.stdin.flush()
    answer = process.stdout.read()
    process.stdin.close()
    process.wait()
    timer.cancel()
    return answer


def linked_to_the_connection(g):
    """RFC 7030 3.5: what binds a request to one connection is good on no other."""
    user = ("linked", create_user(g, "linked", ["est", "est-linked", "est-ignore"], "*.example.com"))
    for label in ("", "linked"):
        est, other = [Est(g, label, user=user, tls=ssl.TLSVersion.TLSv1_2) for _ in range(2)]
        name, key = f"linked-{label}x.example.com", new_key()
        binding = base64.b64encode(est.connect().get_channel_binding("tls-unique"))
        good = make_csr(key, name, [name], challenge=binding)
        check(other.enroll(good).status == 400, "the value of another connection")
        check(est.enroll(make_csr(key, name, [name], challenge=binding[:-1])).status == 400, "a part of it")
        check(est.enroll(make_csr(key, name, [name], challenge=b"")).status == 400, "an empty one")
        check(est.enroll(good).certificate(), "the value of this connection")
        reply = est.enroll(make_csr(new_key(), name, [name]))
        check(reply.status == (403 if label else 200), f"without it over '{label}': {reply.status}")
        for e in (est, other):
            e.close()
    row = [r["id"] for r in g.requests() if "linked-linkedx.example.com" in r["names"]][0]
    shown = g.tool_json("show", str(row))["request"]
    check("pop-linked" in str(shown) and "'yes'" in str(shown), str(shown))
    answer = with_exporter(g, user, new_key(), "exporter.example.com")
    check(b"HTTP/1.1 200 OK" in answer, repr(answer[-600:]))
    check(Est(g, "linked", user=user).enroll(make_csr(new_key(), "no.example.com", ["no.example.com"],
                                                      challenge=b"x" * 44)).status == 400, "TLS 1.3, a wrong one")
    name = "ignored.example.com"
    check(Est(g, "ignore", user=user).enroll(make_csr(new_key(), name, [name], challenge=b"x")).certificate(), "ignored")


def linked_by_the_attribute_of_rfc_7894(g):
    """It links whatever the challengePassword is for; where both link, both must be good."""
    user = ("attribute", create_user(g, "attribute", ["est", "est-linked", "est-ignore"], "*.example.com"))
    for label in ("", "linked", "ignore"):
        est = Est(g, label, user=user, tls=ssl.TLSVersion.TLSv1_2)
        name, key = f"attribute-{label}x.example.com", new_key()
        binding = base64.b64encode(est.connect().get_channel_binding("tls-unique"))

        def ask(link, **more):
            return est.enroll(make_csr(key, name, [name], attributes=[(LINKING, link)], **more))
        check(ask(b"x" * len(binding)).status == 400, f"a wrong one over '{label}'")
        check(ask(b"", challenge=binding).status == 400, f"an empty one beside a good one over '{label}'")
        reply = ask(binding, challenge=b"x" * len(binding))
        check(reply.status == (200 if label == "ignore" else 400), f"beside a wrong one over '{label}': {reply.status}")
        others = [(oid, b"anything") for oid in (OTP, REVOCATION)]
        csr = make_csr(key, name, [name], attributes=[(LINKING, binding), *others])
        check(est.enroll(csr).certificate(), f"the value of this connection over '{label}'")
        est.close()
        row = [r["id"] for r in g.requests() if name in r["names"]][-1]
        shown = str(g.tool_json("show", str(row))["request"])
        check("pop-linked" in shown and "'yes'" in shown, shown)


def a_token_inside_the_request(g):
    """For clients that have no other place for it. It is used up, and what it asked for can still be asked about."""
    token = create_token(g, ["est-secret"], "*.example.com", more=("--uses", "1"))
    est, key, name = Est(g, "secret"), new_key(), "hold-secret.example.com"
    check(est.enroll(make_csr(key, name, [name])).status == 401, "without it")
    check(est.enroll(make_csr(key, name, [name], challenge=b"ght_wrong")).status == 401, "a wrong one")
    held = make_csr(key, name, [name], challenge=token.encode())
    check(est.enroll(held).status == 202, "held")
    check(est.enroll(held).status == 202, "asked again, although the token is used up")
    other = make_csr(new_key(), "other.example.com", ["other.example.com"], challenge=token.encode())
    check(est.enroll(other).status == 401, "one use is one request")
    g.run_tool("approve", str(g.wait_pending(name)["id"]), "--yes")
    check(est.enroll(held).certificate() == est.enroll(held).certificate(), "approved")
    with open(g.log_path, "rb") as f:
        check(token.encode() not in f.read(), "the token is in the log")
    est.close()


# ---- TLS client certificates ----

def by_certificate(g, password):
    """A certificate that was issued here says who asks: for the next one, and for another with its names."""
    name, key = "owner.example.com", new_key()
    first = Est(g, user=("dev", password)).enroll(make_csr(key, name, [name])).certificate()
    own = Est(g, certificate=save(g.folder, "owner", key, first))
    renewed = own.enroll(make_csr(key, name, [name]), "simplereenroll").certificate()
    check(renewed.serial_number != first.serial_number, "the same key, another certificate")
    check(own.enroll(make_csr(key, name, [name]), "simplereenroll").certificate() == renewed, "a repeat is a question")
    rekeyed = own.enroll(make_csr(new_key(), name, [name]), "simplereenroll").certificate()
    check(rekeyed.public_key().public_numbers() != key.public_key().public_numbers(), "another key")
    check(own.enroll(make_csr(new_key(), name, [name])).certificate(), "simpleenroll by certificate")
    for names in (["else.example.com"], [name, "more.example.com"]):
        reply = own.enroll(make_csr(key, names[0], names), "simplereenroll")
        check(reply.status == 403 and reply.body, f"another subject or SAN: {reply}")
    requesters = {r["requester"] for r in g.requests() if name in r["names"]}
    check(requesters == {"est:user:dev"}, f"who renews is who asked first: {requesters}")
    shown = str(g.tool_json("show", str(max(r["id"] for r in g.requests() if name in r["names"]))))
    check("client-trust" in shown and "'own'" in shown, shown)
    # Revoked: refused with the next request of a connection that is open.
    number = min(r["id"] for r in g.requests() if name in r["names"])
    g.run_tool("cert", "revoke", str(number), "--reason", "superseded")
    reply = own.enroll(make_csr(new_key(), name, [name]), "simplereenroll")
    check(reply.status == 401 and own.connection, f"revoked: {reply.status}")
    own.close()


def by_a_foreign_certificate(g, password):
    """Signed by itself, with the names of another: nobody. It does not stand in the way of a password."""
    key, name = new_key(), "foreign.example.com"
    est = Est(g, certificate=save(g.folder, "foreign", key, self_signed(key, name)))
    check(est.enroll(make_csr(key, name, [name])).status == 401, "a certificate of nobody")
    check(est.get("cacerts").status == 200, "cacerts is for everybody")
    est.user = ("dev", password)
    check(est.enroll(make_csr(key, name, [name])).certificate(), "a password beside it")
    est.close()


def both_needed(g, password):
    name, key = "both.example.com", new_key()
    both = create_user(g, "both", ["est", "est-both"], "*.example.com")
    issued = Est(g, user=("both", both)).enroll(make_csr(key, name, [name])).certificate()
    paths = save(g.folder, "both", key, issued)
    der = make_csr(new_key(), name, [name])
    check(Est(g, "both", user=("both", both)).enroll(der).status == 401, "a password alone")
    check(Est(g, "both", certificate=paths).enroll(der).status == 401, "a certificate alone")
    check(Est(g, "both", user=("both", password), certificate=paths).enroll(der).status == 401, "a wrong password")
    check(Est(g, "both", user=("both", both), certificate=paths).enroll(der).certificate(), "both")


# ---- wrong input ----

def wrong_input(g, password):
    est = Est(g, user=("dev", password))
    key, name = new_key(), "wrong.example.com"
    good = make_csr(key, name, [name])
    pem = (b"-----BEGIN CERTIFICATE REQUEST-----\n" + base64_lines(good) + b"-----END CERTIFICATE REQUEST-----\n")
    bad_signature = good[:-1] + bytes([good[-1] ^ 1])
    rows = len(g.requests())
    for body, why in ((b"", "empty"), (b"\r\n", "blank"), (pem, "PEM"), (good, "DER"), (b"AAAA", "not PKCS#10"),
                      (base64.b64encode(good) + b"!", "a foreign letter"), (base64.b64encode(good)[:-5], "cut"),
                      (base64.b64encode(good + b"\0"), "an octet too many"),
                      (base64.b64encode(good[:-9]), "DER that was cut"),
                      (base64.b64encode(bad_signature), "a wrong signature")):
        reply = est.request("POST", "simpleenroll", body, {"Content-Type": CSR})
        check(reply.status == 400 and reply.body, f"{why}: {reply.status} {reply.body}")
        check(reply.headers["Content-Type"].startswith("text/plain"), f"{why}: {reply.headers}")
    check(len(g.requests()) <= rows + 1, "only what is PKCS#10 leaves a row")
    for kind in ("text/plain", "application/pkcs7-mime", "application/pkcs100", ""):
        reply = est.request("POST", "simpleenroll", base64.b64encode(good), {"Content-Type": kind})
        check(reply.status == 415, f"{kind}: {reply.status}")
    reply = est.request("POST", "simpleenroll", b"A" * 70000, {"Content-Type": CSR})
    check(reply.status == 413, f"huge: {reply.status}")
    for method, operation, status in (("GET", "simpleenroll", 405), ("POST", "cacerts", 405), ("PUT", "simpleenroll", 405),
                                      ("GET", "nothing", 404), ("GET", "", 404), ("GET", "cacerts/", 404),
                                      ("GET", "cacerts/x", 404), ("GET", "CACERTS", 404), ("GET", "c%61certs", 404),
                                      ("POST", "held/nothing", 404)):
        reply = est.request(method, operation, b"" if method != "GET" else None, {"Content-Type": CSR})
        check(reply.status == status, f"{method} {operation}: {reply.status}, not {status}")
    est.close()


# ---- what anybody may fetch ----

def crls_of(g):
    """As PEM, without a word of who asks."""
    reply = Est(g).get("crls")
    check(reply.status == 200 and reply.headers["Content-Type"] == "application/pkcs7-mime", str(reply.headers))
    check(reply.headers["Content-Transfer-Encoding"] == "base64", str(reply.headers))
    text = run("openssl", "pkcs7", "-inform", "DER", "-print_certs", input=base64.b64decode(reply.body))
    check(b"BEGIN CERTIFICATE" not in text, repr(text))
    return [part + b"-----END X509 CRL-----\n" for part in text.split(b"-----END X509 CRL-----") if b"BEGIN" in part]


def lists_with_openssl(g, password):
    """RFC 8295 4."""
    est, key, name = Est(g, user=("dev", password)), new_key(), "revoked.example.com"
    serial = est.enroll(make_csr(key, name, [name])).certificate().serial_number
    number = [r["id"] for r in g.requests() if name in r["names"]][0]
    g.run_tool("cert", "revoke", str(number), "--reason", "superseded")
    pem, listed = os.path.join(g.folder, "est.crl"), ""
    end = time.monotonic() + 60
    while f"Serial Number: {serial:032X}" not in listed:
        check(time.monotonic() < end, f"{serial:032X} is not listed after 60 s: {listed}")
        lists = crls_of(g)
        check(len(lists) == 1, str(lists))
        with open(pem, "wb") as f:
            f.write(lists[0])
        listed = run("openssl", "crl", "-in", pem, "-noout", "-text").decode()
        time.sleep(0.1)
    done = subprocess.run(["openssl", "crl", "-in", pem, "-CAfile", g.root, "-noout"], capture_output=True, check=False)
    check(b"verify OK" in done.stderr, repr(done.stderr))
    reply = est.enroll(make_csr(key, name, [name]))
    check(reply.status == 403 and b"revoked" in reply.body, f"what was revoked is not handed out again: {reply}")
    check(est.request("POST", "fullcmc", b"AAAA", {"Content-Type": "application/pkcs7-mime"}).status == 501, "fullcmc")


def is_self_signed(certificate):
    """By its own key: all four have the same subject and issuer."""
    try:
        certificate.public_key().verify(certificate.signature, certificate.tbs_certificate_bytes,
                                        ec.ECDSA(certificate.signature_hash_algorithm))
    except InvalidSignature:
        return False
    return True


def certificates_after_a_rollover(g, password):
    """RFC 7030 4.1.3: whoever trusts either root finds a way to what the other signed."""
    def leaf(name):
        path, est = os.path.join(g.folder, name + ".pem"), Est(g, user=("dev", password))
        with open(path, "wb") as f:
            f.write(est.enroll(make_csr(new_key(), name, [name])).certificate()
                    .public_bytes(serialization.Encoding.PEM))
        return path

    old_leaf = leaf("before.example.com")
    new_root = os.path.join(g.folder, "new-root.pem")
    with open(new_root, "w", encoding="ascii") as f:
        f.write(g.tool_json("ca", "rollover", "Test CA")["certificate"])
    new_leaf = leaf("after.example.com")
    end = time.monotonic() + 20
    while len(found := Est(g).get("cacerts").certificates()) == 1:
        check(time.monotonic() < end, "the new root is not in cacerts")
        time.sleep(0.1)
    check(len(found) == 4, f"{len(found)} certificates, and not NewWithNew, NewWithOld, OldWithNew, OldWithOld")
    with open(new_root, "rb") as f:
        root = x509.load_pem_x509_certificate(f.read())
    check(root in found and found[0].subject == root.subject, "the new root is not among them")
    chain = os.path.join(g.folder, "cacerts.pem")
    with open(chain, "wb") as f:
        f.write(b"".join(c.public_bytes(serialization.Encoding.PEM) for c in found if not is_self_signed(c)))
    for root, end_entity in ((g.root, new_leaf), (new_root, old_leaf), (g.root, old_leaf), (new_root, new_leaf)):
        run("openssl", "verify", "-x509_strict", "-no-CApath", "-no-CAstore", "-CAfile", root, "-untrusted", chain,
            end_entity)
    while len(crls_of(g)) == 1:
        check(time.monotonic() < end + 40, "there is no list of the new key")
        time.sleep(0.2)


def lines_with(g, event):
    with open(g.log_path, encoding="utf-8") as f:
        return [line for line in f if event in line]


def set_up_labels(g):
    add_est(g, {"est-a": ("a", ""), "est-b": ("b", "body-max: 1KiB"), "est-c": ("c", "")})
    with open(g.config, encoding="utf-8") as f:
        text = f.read()
    check(text.count("est-b, est-c]") == 1, "the list of the listener")
    with open(g.config, "w", encoding="utf-8") as f:
        f.write(text.replace("est-b, est-c]", "est-b]"))


def labels_alone():
    """A house may serve labels alone, and is told once what that means; so is one that serves an endpoint nowhere.
    A label may take smaller bodies than others."""
    with gatehouse(set_up=set_up_labels) as g:
        for path, expected in (("a/cacerts", 200), ("b/cacerts", 200), ("cacerts", 404)):
            status, _, body = curl(g, "/.well-known/est/" + path)
            check(status == expected, f"{path}: {status} {body}")
        for label, size, status in ("a", 1025, 401), ("a", 65537, 413), ("b", 1024, 401), ("b", 1025, 413):
            reply = Est(g, label).request("POST", "simpleenroll", b"A" * size, {"Content-Type": CSR})
            check(reply.status == status, f"{size} octets for {label}: {reply.status}")
        lines = lines_with(g, "endpoint.unserved")
        check(len(lines) == 1 and "est-c" in lines[0], f"it is told: {lines}")
        lines = lines_with(g, "listener.default-label.none")
        check(len(lines) == 1 and "est-a" in lines[0] and "/.well-known/est" in lines[0], f"it is told: {lines}")


def est_with_curl_and_python():
    labels_alone()
    with gatehouse(set_up=lambda g: add_est(g, ENDPOINTS), rules=RULES, core="  administrators: [root]\n") as g:
        check(not lines_with(g, "listener.default-label.none"), "there is an endpoint without a label")
        password = create_user(g, "dev", ["est"], "*.example.com")
        curl_and_openssl(g, password)
        enrolled_on_one_connection(g, password)
        as_old_clients_write(g, password)
        who_may_ask(g, password)
        the_log_says_why(g, password)
        held_then_approved(g, password)
        held_then_denied(g, password)
        held_by_label(g)
        linked_to_the_connection(g)
        linked_by_the_attribute_of_rfc_7894(g)
        a_token_inside_the_request(g)
        by_certificate(g, password)
        by_a_foreign_certificate(g, password)
        both_needed(g, password)
        wrong_input(g, password)
        lists_with_openssl(g, password)
        certificates_after_a_rollover(g, password)


if __name__ == "__main__":
    main([est_with_curl_and_python])
