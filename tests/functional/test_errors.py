#!/usr/bin/python3
"""Wrong input gets a clear answer, and the next right one is served."""
import json
import os
import pwd
import shutil
import socket
import ssl
import subprocess

from acme_client import Client, Problem, Responder, b64
from gatehouse import DAEMON, DOMAIN, Gatehouse, check, gatehouse, main


def raw(g, octets):
    """Status line of the answer to these octets, over TLS."""
    context = ssl.create_default_context(cafile=g.root)
    with context.wrap_socket(socket.create_connection(("127.0.0.1", g.port), 15), server_hostname="localhost") as s:
        s.sendall(octets)
        answer = b""
        while b"\r\n" not in answer:
            more = s.recv(4096)
            if not more:
                break
            answer += more
    return answer.split(b"\r\n")[0].decode()


def problem_of(call):
    try:
        call()
    except Problem as problem:
        return problem
    raise AssertionError("that was accepted")


def malformed_http():
    with gatehouse() as g:
        for octets, status in [
            (b"GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", "400"),
            (b"GET / HTTP/1.1\nHost: localhost\n\n", "400"),
            (b"GET /acme/%2e%2e/acme/directory HTTP/1.1\r\nHost: localhost\r\n\r\n", "404"),
            (b"GET /acme/directory HTTP/1.1\r\n\r\n", "400"),
            (b"DELETE /acme/directory HTTP/1.1\r\nHost: localhost\r\n\r\n", "405"),
            (b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n", "414"),
            (b"POST /acme/new-order HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9999999\r\n\r\n", "413"),
        ]:
            line = raw(g, octets)
            check(line.startswith("HTTP/1.1 " + status), f"{octets[:60]!r} got {line}")
        check("200" in raw(g, b"GET /acme/directory HTTP/1.1\r\nHost: localhost\r\n\r\n"), "and the right one is served")


def absolute_targets():
    """As a proxy sends them: their host counts, and what is below it is the same (RFC 9112 3.2.2)."""
    with gatehouse() as g:
        for target, host, said in ((f"https://localhost:{g.port}", "127.0.0.1", "localhost"),
                                   (f"https://127.0.0.1:{g.port}", "localhost", "127.0.0.1")):
            done = subprocess.run(["curl", "-sS", "--http1.1", "--cacert", g.root, "-H", f"Host: {host}:{g.port}",
                                   "--request-target", f"{target}/acme/directory", f"https://localhost:{g.port}/"], capture_output=True, text=True,
                                  timeout=60)
            check(done.returncode == 0, f"curl: {done.stderr}")
            check(json.loads(done.stdout)["newNonce"].startswith(f"https://{said}:{g.port}/acme/"), f"{target}: {done.stdout}")
        for octets, status in [
            (b"GET https://localhost/acme/directory HTTP/1.1\r\nHost: localhost\r\n\r\n", "200"),
            (b"GET https://localhost HTTP/1.1\r\nHost: localhost\r\n\r\n", "404"),
            (b"GET https://localhost/acme/../acme/directory HTTP/1.1\r\nHost: localhost\r\n\r\n", "404"),
            (b"GET https://root@localhost/acme/directory HTTP/1.1\r\nHost: localhost\r\n\r\n", "400"),
            (b"GET https:///acme/directory HTTP/1.1\r\nHost: localhost\r\n\r\n", "400"),
            (b"GET ldap://localhost/acme/directory HTTP/1.1\r\nHost: localhost\r\n\r\n", "400"),
        ]:
            line = raw(g, octets)
            check(line.startswith("HTTP/1.1 " + status), f"{octets[:60]!r} got {line}")


def malformed_messages():
    with gatehouse() as g:
        responder = Responder(g.http01_port)
        client = Client(g, responder).start()
        url = client.directory["newOrder"]
        jose = {"Content-Type": "application/jose+json"}

        def send(body, headers=jose):
            reply, data = client.request("POST", url, body, headers)
            return reply.status, json.loads(data)

        def fresh(*arguments, **header):
            client.request("HEAD", client.directory["newNonce"])
            return client.jws(*arguments, **header)

        for body, kind in [
            (lambda: b"{", "malformed"),
            (lambda: b'{"protected":"","protected":""}', "malformed"),
            (lambda: b'{"payload":"\\u0000"}', "malformed"),
            (lambda: b"[" * 2000, "malformed"),
            (lambda: fresh(url, {"identifiers": []}), "malformed"),
            (lambda: fresh(url + "x", {}), "unauthorized"),
            (lambda: fresh(url, {}, alg="none"), "badSignatureAlgorithm"),
            (lambda: fresh(url, {}, nonce="AAAAAAAAAAAAAAAAAAAAAA"), "badNonce"),
            (lambda: fresh(url, {}, crit=["b64"], b64=False), "malformed"),
            (lambda: fresh(url, {}, jwk=client.jwk), "malformed"),
        ]:
            octets = body()
            got, document = send(octets)
            check(document["type"] == "urn:ietf:params:acme:error:" + kind and 400 <= got < 500,
                  f"{octets[:80]!r} got {got} {document}")
        reply, _ = client.request("POST", url, fresh(url, {}), {"Content-Type": "application/json"})
        check(reply.status == 415, f"another content type got {reply.status}")
        client.get_certificate(f"fine.{DOMAIN}")
        responder.close()


def wrong_csrs():
    with gatehouse() as g:
        responder = Responder(g.http01_port)
        client = Client(g, responder).start()
        mine, other = f"mine.{DOMAIN}", f"other.{DOMAIN}"
        good = client.csr(mine)
        for csr in [b"", b"x" * 100, good[:-1], good + b"\0", client.csr(other), client.csr(mine, other), client.csr(),
                    client.csr(mine, cn=other), good[:-10] + bytes(10)]:
            _, order = client.order(mine)
            client.prove(order)
            try:
                result = client.finalize(order, csr)
                check(result["status"] == "invalid", f"{csr[:20].hex()} gave {result}")
                document = result["error"]
            except Problem as problem:
                document = problem.document
            check(document["type"].split(":")[-1] in ("badCSR", "malformed", "badPublicKey"), f"{document}")
        location, order = client.order(mine)
        check(problem_of(lambda: client.finalize(order, good)).status == 403, "not ready without a proof") \
            if order["status"] == "pending" else None
        certificates = [c for c in g.tool_json("cert", "list")["certificates"] if mine in c["names"]]
        check(not certificates, f"a wrong CSR was certified: {certificates}")
        client.get_certificate(mine)
        responder.close()


def wrong_identifiers():
    with gatehouse() as g:
        responder = Responder(g.http01_port)
        client = Client(g, responder).start()
        for name in ["*.a.test", "a..b", "-a.test", "a_b.test", "user@a.test", "a.test:80", "a/b", "", "x" * 64 + ".test",
                     "xn--zzzzzz--.test", "127.0.0.1"]:
            problem = problem_of(lambda: client.order(name))
            check(problem.document["type"].split(":")[-1] in ("rejectedIdentifier", "malformed",
                                                              "unsupportedIdentifier"), f"{name}: {problem}")
        refused = f"nowhere.invalid-{DOMAIN}"
        location, order = client.order(f"unproven.{DOMAIN}")
        authorization = json.loads(client.post(order["authorizations"][0])[1])
        challenge = authorization["challenges"][0]
        client.post(challenge["url"], {})
        try:
            client.prove(order, wait_s=15)
            raise AssertionError(f"{refused} was proven")
        except (RuntimeError, Problem):
            pass
        check(json.loads(client.post(location)[1])["status"] == "invalid", "the order is invalid then")
        responder.close()


def ends_with(words, config, code, env=None, **options):
    done = subprocess.run([DAEMON, "--config", config], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          timeout=30, **options)
    said = done.stdout + done.stderr
    check(done.returncode == code, f"exit {done.returncode}, wanted {code}: {said}")
    for word in words:
        check(word in said, f"'{word}' is not in: {said}")


def wrong_configuration():
    g = Gatehouse()
    with open(g.config) as f:
        right = f.read()
    wrong = os.path.join(g.folder, "wrong.yaml")

    def refused(change, *words):
        with open(wrong, "w") as f:
            f.write(change(right))
        ends_with(words, wrong, 1)

    line = 1 + right[:right.index("    path: /acme")].count("\n")
    refused(lambda t: t.replace("    path: /acme", "    pth: /acme"), f"wrong.yaml:{line}:5", "pth")
    refused(lambda t: t.replace("profile: server", "profile: sever"), "wrong.yaml:", "sever")
    refused(lambda t: t.replace("lifetime: 30d", "lifetime: 30y"), "wrong.yaml:", "lifetime")
    refused(lambda t: t.replace("module: rules", "module: rule"), "wrong.yaml:", "rule")
    refused(lambda t: t.replace("default: deny", "default: maybe"), "wrong.yaml:", "maybe")
    refused(lambda t: t.replace("data: ", "data: &x "), "wrong.yaml:1:")
    refused(lambda t: t.replace("name: Test CA\n    policy", "name: Other CA\n    policy"), "wrong.yaml:", "Test CA")
    ends_with(["gatehouse.yaml"], os.path.join(g.folder, "absent", "gatehouse.yaml"), 1)
    shutil.rmtree(g.folder)


def no_ca_yet():
    g = Gatehouse()
    shutil.rmtree(g.data)
    ends_with(["gatehouse ca init"], g.config, 1)
    shutil.rmtree(g.folder)


def port_in_use():
    with gatehouse() as g:
        other = Gatehouse()
        other_port, other.port = other.port, g.port
        with open(other.config) as f:
            text = f.read().replace(f"port: {other_port}", f"port: {g.port}")
        with open(other.config, "w") as f:
            f.write(text)
        ends_with([str(g.port), "in use"], other.config, 1)
        shutil.rmtree(other.folder)
        check(g.tool_json("status")["healthy"], "the first one goes on")


def no_permission_on_the_data_folder():
    g = Gatehouse()
    nobody = pwd.getpwnam("nobody")
    if os.geteuid() == 0:
        ends_with(["ermission"], g.config, 1, user=nobody.pw_uid, group=nobody.pw_gid, extra_groups=[])
    else:
        os.chmod(g.data, 0)
        ends_with(["ermission"], g.config, 1)
        os.chmod(g.data, 0o700)
    shutil.rmtree(g.folder)


def the_tool_says_what_is_wrong():
    g = Gatehouse()
    for words, code in [(["pending"], 8), (["pendign"], 2), (["show"], 2), (["show", "x"], 2), (["approve", "1"], 2),
                        (["status", "--yes"], 2), (["-o", "xml", "status"], 2), ([], 2), (["--help"], 0)]:
        done = g.run_tool(*words, code=code)
        check(done.stdout or done.stderr, f"{words}: silence")
    check("did you mean: gatehouse pending" in g.run_tool("pendign", code=2).stderr, "a hint")
    g.run_tool("ca", "init", "--name", "Test CA", "--data", g.data, "--config", g.config, code=6)
    shutil.rmtree(g.folder)


main([malformed_http, absolute_targets, malformed_messages, wrong_csrs, wrong_identifiers, wrong_configuration, no_ca_yet, port_in_use,
      no_permission_on_the_data_folder, the_tool_says_what_is_wrong])
