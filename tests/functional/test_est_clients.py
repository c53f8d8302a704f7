#!/usr/bin/python3
"""EST clients of Debian, unmodified, all against one listener: strongSwan's pki and Bouncy Castle's."""
import base64
import glob
import os
import subprocess
import time

from cryptography import x509
from cryptography.hazmat.primitives import serialization

from bouncy_castle import BouncyCastle
from clients import told_of
from est_client import PREFIX, add_est, create_user, names_of, run
from gatehouse import check, gatehouse, main

ENDPOINTS = {"est": ("", "retry-after: 1s"), "est-linked": ("linked", "pop: require"),
             "est-label": ("label", "")}
CHALLENGE_PASSWORD = "1.2.840.113549.1.9.7"


def approve(g, name):
    """When it has come into the queue."""
    g.run_tool("approve", str(g.wait_pending(name)["id"]), "--yes")


# ---- strongSwan ----

class Strongswan:
    def __init__(self, g, password):
        self.g, self.password, self.folder = g, password, os.path.join(g.folder, "strongswan")
        self.url = f"https://localhost:{g.est_port}"
        self.n_keys = 0
        os.makedirs(self.folder)

    def file(self, name):
        return os.path.join(self.folder, name)

    def save(self, name, octets):
        with open(self.file(name), "wb") as f:
            f.write(octets)
        return self.file(name)

    def request(self, name, key=None):
        """A key, unless there is one, and a PKCS#10 request for that name with it."""
        if not key:
            self.n_keys += 1
            key = self.save(f"{name}-{self.n_keys}.key",
                            run("pki", "--gen", "--type", "ecdsa", "--size", "256", "--outform", "pem"))
        return key, self.save(name + ".csr", run("pki", "--req", "--type", "priv", "--in", key, "--dn", f"CN={name}",
                                                 "--san", name, "--outform", "pem"))

    def start(self, csr, *more):
        return subprocess.Popen(["pki", "--est", "--url", self.url, "--in", csr, "--cacert", self.g.root, "--outform",
                                 "pem", *more], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def end(self, process):
        out, said = process.communicate(timeout=120)
        return process.returncode, out, said.decode(errors="replace")

    def enrol(self, name, csr, *more):
        """The file of the certificate."""
        code, out, said = self.end(self.start(csr, *(more or self.who())))
        check(code == 0 and out, f"pki --est ended with {code}: {said}{self.g.log_tail()}")
        return self.save(name + ".pem", out)

    def who(self):
        return "--userpass", f"dev:{self.password}"


def read(path):
    with open(path, "rb") as f:
        return x509.load_pem_x509_certificate(f.read())


def strongswan_fetches_the_ca(pki):
    out = pki.file("ca.pem")
    run("pki", "--estca", "--url", pki.url, "--cacert", pki.g.root, "--caout", out, "--outform", "pem")
    found = glob.glob(pki.file("ca*.pem"))
    check([read(path) for path in found] == [read(pki.g.root)], f"--estca wrote {found}")


def strongswan_enrols(pki):
    name = "swan.example.com"
    key, csr = pki.request(name)
    pem = pki.enrol(name, csr)
    pki.g.verify(pem)
    check(names_of(read(pem)) == [name], str(read(pem)))
    return name, key, pem


def strongswan_renews(pki, name, key, pem):
    """With a key of its own, proving itself by the certificate that is replaced; whose names it cannot change."""
    new_key, csr = pki.request(name)
    first = read(pem)
    for old in (pki.save("old.pem", first.public_bytes(serialization.Encoding.PEM)), key), (pem, new_key):
        pem = pki.enrol(name, csr, "--cert", old[0], "--key", old[1])
        pki.g.verify(pem)
        renewed = read(pem)
        check(names_of(renewed) == [name] and renewed.serial_number != first.serial_number, str(renewed))
        first = renewed
        key, (new_key, csr) = new_key, pki.request(name)
    _, csr = pki.request("another.example.com")
    code, out, _ = pki.end(pki.start(csr, "--cert", pem, "--key", key))
    check(code != 0 and not out, "a renewal for another name")


def strongswan_polls_until_it_is_approved(pki):
    name = "hold-swan.example.com"
    _, csr = pki.request(name)
    process = pki.start(csr, "--interval", "1", *pki.who())
    request = pki.g.wait_pending(name)
    wait_for_answers(pki.g, 2)
    check(process.poll() is None and len(pki.g.pending()) == 1, "it polls, and it is one request")
    pki.g.run_tool("approve", str(request["id"]), "--yes")
    code, out, said = pki.end(process)
    check(code == 0, f"pki --est ended with {code}: {said}")
    pki.g.verify(pki.save(name + ".pem", out))


def wait_for_answers(g, n):
    """Until so many clients were told to come back."""
    end = time.monotonic() + 60
    before = g.metric("gatehouse_est_pending_total")
    while g.metric("gatehouse_est_pending_total") < before + n:
        check(time.monotonic() < end, f"nobody asks again: {g.log_tail()}")
        time.sleep(0.1)


def strongswan_is_refused(pki):
    _, csr = pki.request("deny-swan.example.com")
    _, good = pki.request("who-swan.example.com")
    for file, more in ((csr, pki.who()), (good, ("--userpass", "dev:wrong")), (good, ())):
        code, out, _ = pki.end(pki.start(file, *more))
        check(code != 0 and not out, f"{file} {more}: {code} {out}")
    _, held = pki.request("hold-no-swan.example.com")
    process = pki.start(held, "--interval", "1", *pki.who())
    request = pki.g.wait_pending("hold-no-swan.example.com")
    pki.g.run_tool("deny", str(request["id"]), "--reason", "not this one")
    code, out, _ = pki.end(process)
    check(code != 0 and not out, f"denied while it polls: {code} {out}")


def strongswan():
    with daemon() as g:
        pki = Strongswan(g, create_user(g, "dev", ["est"], "*.example.com"))
        strongswan_fetches_the_ca(pki)
        strongswan_renews(pki, *strongswan_enrols(pki))
        strongswan_polls_until_it_is_approved(pki)
        strongswan_is_refused(pki)


# ---- what people are told to type ----

def snippets_run_as_they_are_printed(g):
    folder = os.path.join(g.folder, "typed")
    os.makedirs(folder)
    place, log = told_of(folder, "curl", "pki")
    with open(os.path.join(folder, "root.pem"), "w", encoding="ascii") as f:
        f.write(g.run_tool("trust", "show", "--pem").stdout)
    for client, endpoint in ("strongswan", "est"), ("curl", "est"), ("curl", "est-label"):
        name = f"{client}-{endpoint}.example.com"
        said = g.run_tool("endpoint", "snippet", endpoint, client, "--domain", name).stdout
        create = [line for line in said.splitlines() if "gatehouse est-user create" in line][0].split("gatehouse ")[1]
        password = g.tool_json(*create.split())["secret"]
        env = {**os.environ, "est_user": name, "est_password": password, "PATH": f"{place}:{os.environ['PATH']}"}
        run("sh", "-euc", said, cwd=folder, env=env)
        with open(log, encoding="utf-8") as f:
            arguments = f.read()
        check(name in arguments and password not in arguments, f"a password on a command line: {arguments}")
        pem = os.path.join(folder, name + ".pem")
        g.verify(pem)
        check(names_of(read(pem)) == [name], name)
    later = [line[1:] for line in g.run_tool("endpoint", "snippet", "est", "strongswan").stdout.splitlines()]
    check(any("--cert www.example.com.pem --key www.example.com.key" in line for line in later), str(later))
    said = g.run_tool("endpoint", "snippet", "est-label", "libest").stdout
    check(f"-s localhost -p {g.est_port} " in said and "--path-seg label" in said, said)
    g.run_tool("endpoint", "snippet", "est-label", "strongswan", code=3)
    for client in "aos-cx", "ios-xe":
        check(f"https://localhost:{g.est_port}{PREFIX}" in g.run_tool("endpoint", "snippet", "est", client).stdout, client)
    check([u["name"] for u in g.tool_json("est-user", "list")["credentials"]], "no users")
    g.run_tool("est-user", "revoke", "curl-est.example.com")


def snippets():
    with daemon() as g:
        snippets_run_as_they_are_printed(g)


# ---- Bouncy Castle ----

def bouncy_castle_reads_what_anybody_may(bc):
    with open(bc.g.root, "rb") as f:
        root = x509.load_pem_x509_certificate(f.read())
    for jsse in "BCJSSE", "SunJSSE":
        for tls in "TLSv1.2", "TLSv1.3":
            answer = bc.say("cacerts", jsse=jsse, tls=tls)
            check(answer[0] == "ok", f"{jsse} {tls}: {answer}")
            check([x509.load_der_x509_certificate(base64.b64decode(c)) for c in answer[1:]] == [root], str(answer))
    check(bc.say("csrattrs") == ["ok"], "a profile that demands nothing")
    answer = bc.say("csrattrs", label="linked")
    check(answer == ["ok", CHALLENGE_PASSWORD], f"a label that wants requests to be linked: {answer}")


def bouncy_castle_enrols(bc):
    for n, (jsse, tls) in enumerate((j, t) for j in ("BCJSSE", "SunJSSE") for t in ("TLSv1.2", "TLSv1.3")):
        bc.enrol(f"castle{n}.example.com", key=n, jsse=jsse, tls=tls, with_user=True)
    for more in {}, {"user": "dev", "password": "wrong"}:
        answer = bc.say("simpleenroll", key="nobody", cn="castle.example.com", **more)
        check(answer[:2] == ["refused", "401"], f"{more}: {answer}")
    answer = bc.say("simpleenroll", key="deny", cn="deny-castle.example.com", with_user=True)
    check(answer[:2] == ["refused", "403"], str(answer))


def bouncy_castle_links(bc):
    """tls-unique, by force and by choice."""
    for label in "linked", "":
        more = {"label": label} if label else {}
        name = f"pop{label}.example.com"
        bc.enrol(name, key="pop" + label, tls="TLSv1.2", pop="yes", with_user=True, **more)
        request = [r["id"] for r in bc.g.requests() if name in r["names"]][0]
        shown = bc.g.tool_json("show", str(request))["request"]
        check("pop-linked" in str(shown) and "yes" in str(shown), str(shown))
    answer = bc.say("simpleenroll", key="loose", cn="loose.example.com", label="linked", with_user=True)
    check(answer[0] == "refused", f"a label that asks for it: {answer}")


def bouncy_castle_renews(bc):
    """By its certificate alone, in every TLS, with its old key and with another one."""
    name = "renew.example.com"
    serials = {bc.enrol(name, key="renew", with_user=True).serial_number}
    for n, (jsse, tls) in enumerate((j, t) for j in ("BCJSSE", "SunJSSE") for t in ("TLSv1.2", "TLSv1.3")):
        key = f"renew{n}" if n else "renew"
        serials.add(bc.enrol(name, "simplereenroll", key=key, jsse=jsse, tls=tls, **{"with": "renew"}).serial_number)
    check(len(serials) == 5, f"a renewal brought what was there: {serials}")
    for _ in range(2):  # the same key, each time by what the last renewal brought
        serials.add(bc.enrol(name, "simplereenroll", key="renew", **{"with": "renew"}).serial_number)
    check(len(serials) == 7, f"a renewal brought what was shown: {serials}")
    linked = bc.enrol(name, "simplereenroll", key="renew-linked", tls="TLSv1.2", pop="yes", **{"with": "renew"})
    check(linked.serial_number not in serials, "linked to the connection too")
    answer = bc.say("simplereenroll", key="renew", cn="other.example.com", **{"with": "renew"})
    check(answer[:2] == ["refused", "403"], f"a renewal for another name: {answer}")


def bouncy_castle_gets_a_key(bc):
    """serverkeygen: both parts of the answer."""
    answer = bc.say("serverkeygen", key="signer", cn="made.example.com", with_user=True)
    check(answer[0] == "ok" and len(answer) == 3, f"{' '.join(answer)}{bc.g.log_tail()}")
    certificate = x509.load_der_x509_certificate(base64.b64decode(answer[1]))
    key = serialization.load_der_private_key(base64.b64decode(answer[2]), None)
    check(key.public_key().public_numbers() == certificate.public_key().public_numbers(), "another key")


def bouncy_castle_comes_back(bc):
    name = "hold-castle.example.com"
    answer = bc.say("simpleenroll", key="hold", cn=name, with_user=True)
    check(answer[0] == "held", str(answer))
    check(abs(int(answer[1]) / 1000 - time.time()) < 600, f"when to come back: {answer}")
    check(bc.say("retry", key="hold", with_user=True)[0] == "held", "it is held still")
    approve(bc.g, name)
    check(bc.say("retry", key="hold", with_user=True)[0] == "ok", "approved")


def bouncy_castle():
    with daemon() as g:
        with BouncyCastle(g, create_user(g, "dev", ["est", "est-linked"], "*.example.com")) as bc:
            bouncy_castle_reads_what_anybody_may(bc)
            bouncy_castle_enrols(bc)
            bouncy_castle_links(bc)
            bouncy_castle_renews(bc)
            bouncy_castle_gets_a_key(bc)
            bouncy_castle_comes_back(bc)


def daemon():
    return gatehouse(set_up=lambda g: add_est(g, ENDPOINTS), core="  administrators: [root]\n")


if __name__ == "__main__":
    main([strongswan, snippets, bouncy_castle])
