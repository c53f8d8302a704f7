#!/usr/bin/python3
"""The tool against a real daemon: every command, format and exit code, at a terminal and away from one."""
import csv
import fcntl
import hashlib
import io
import json
import os
import pty
import re
import select
import ssl
import struct
import subprocess
import termios
import time

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from acme_client import Client, Responder
from gatehouse import DOMAIN, TOOL, check, gatehouse, main

FORMATS = ("table", "wide", "json", "jsonl", "csv", "id")


class Place:
    """A daemon with an ACME client beside it that leaves requests in the queue."""

    def __init__(self, **options):
        self.context = gatehouse(**options)

    def __enter__(self):
        self.g = self.context.__enter__()
        self.responder = Responder(self.g.http01_port)
        self.client = Client(self.g, self.responder).start()
        return self

    def __exit__(self, *what):
        self.responder.close()
        return self.context.__exit__(*what)

    def hold(self, n=1):
        """n requests that wait; their numbers, in order."""
        names = [f"hold{time.monotonic_ns()}.{DOMAIN}" for _ in range(n)]
        for name in names:
            _, order = self.client.order(name)
            self.client.prove(order)
            self.client.finalize(order, self.client.csr(name))
        found = {r["names"][0]: r["id"] for r in self.g.pending()}
        return [found[name] for name in names]

    def run(self, *words, code=0, env=None):
        done = subprocess.run([TOOL, "--socket", self.g.socket, *map(str, words)], stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, timeout=60, env={**os.environ, **(env or {})})
        check(done.returncode == code, f"gatehouse {' '.join(map(str, words))}: exit {done.returncode}, wanted {code}\n"
                                       f"{done.stdout}{done.stderr}")
        return done

    def at_terminal(self, *words, answers=(), code=0, env=None, rows=24, columns=80, output=None):
        """Run it at a terminal and answer each text that it shows. What it showed."""
        pid, fd = pty.fork()
        if pid == 0:
            if output:
                os.dup2(os.open(output, os.O_WRONLY | os.O_CREAT, 0o600), 1)
            environment = {**os.environ, "TERM": "xterm", "NO_COLOR": "", "GATEHOUSE_PAGER": "cat", **(env or {})}
            os.execve(TOOL, [TOOL, "--socket", self.g.socket, *map(str, words)], environment)
        fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        shown, waiting, at, end = "", list(answers), 0, time.monotonic() + 30
        while time.monotonic() < end:
            if waiting and waiting[0][0] in shown[at:]:
                at = len(shown)
                os.write(fd, waiting.pop(0)[1].encode())
            try:
                if select.select([fd], [], [], 0.1)[0]:
                    shown += os.read(fd, 4096).decode(errors="replace")
            except OSError:
                break
        status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        os.close(fd)
        check(status == code, f"gatehouse {words} at a terminal: exit {status}, wanted {code}: {shown}")
        check(not waiting, f"it never asked {waiting}: {shown}")
        return shown.replace("\r\n", "\n")


def every_list_in_every_format():
    with Place() as p:
        p.hold(3)
        for words, member in ((["list"], "requests"), (["pending"], "requests"), (["cert", "list"], "certificates"),
                              (["profile", "list"], "profiles"), (["endpoint", "list"], "endpoints")):
            document = json.loads(p.run(*words, "-o", "json").stdout)
            rows = document[member]
            check(document["schema"] == 1 and rows, f"{words}: {document}")
            lines = [json.loads(line) for line in p.run(*words, "-o", "jsonl").stdout.splitlines()]
            check(lines == rows, f"{words}: jsonl has other rows than json")
            ids = p.run(*words, "-o", "id").stdout.split()
            first = {"requests": "id", "certificates": "serial"}.get(member, "name")
            check(ids == [str(row[first]) for row in rows], f"{words}: {ids}")
            table = list(csv.DictReader(io.StringIO(p.run(*words, "-o", "csv").stdout)))
            check([row[first] for row in table] == ids, f"{words}: {table}")
            for form in ("table", "wide"):
                text = p.run(*words, "-o", form).stdout.splitlines()
                check(len(text) >= len(rows) + 1 and text[0].startswith(first.upper()), f"{words} -o {form}: {text}")
            check(len(p.run(*words, "--no-headings").stdout.splitlines()) == len(rows), f"{words} --no-headings")
            check(p.run(*words, "-o", "id", "--limit", 1).stdout.split() == ids[:1], f"{words} --limit")
            check(p.run(*words, "-o", "id", "--after", ids[0]).stdout.split() == ids[1:], f"{words} --after")
            check(p.run(*words, "-o", "id", f"--sort=-{first}").stdout.split() ==
                  sorted(ids, key=lambda i: (int(i) if first == "id" else i), reverse=True), f"{words} --sort")
            p.run(*words, "--columns", "nothing", code=2)
            p.run(*words, "--limit", "0", code=2)


def scripts_get_what_they_were_promised():
    with Place() as p:
        first, second = p.hold(2)
        document = json.loads(p.run("pending", "-o", "json").stdout)
        check(list(document) == ["schema", "requests"] and document["schema"] == 1, str(document))
        check([r["id"] for r in document["requests"]] == [first, second], "oldest first")
        request = document["requests"][0]
        check(re.fullmatch("[0-9a-f]{64}", request["digest"]) and request["names"][0].startswith("hold") and
              "subject" in request, str(request))
        p.run("approve", first, code=2)
        p.run("approve", first, "--digest", "0" * 64, code=6)
        p.run("approve", first, "--digest", request["digest"])
        p.run("approve", second, "--yes")
        check(json.loads(p.run("pending", "-o", "json").stdout)["requests"] == [], "nothing waits")


def exit_codes():
    with Place() as p:
        first, second, third = p.hold(3)
        p.run("show", first, code=0)
        p.run("show", 999999, code=3)
        p.run("nonsense", code=2)
        p.run("resubmit", first, code=5)
        p.run("deny", first)
        for verb in "deny", "resubmit":
            p.run(verb, first, code=6)
        p.run("approve", first, "--yes", code=6)
        p.run("edit", first, "--set-attr", "a=b", code=6)
        said = p.run("approve", first, second, "--yes", code=9).stderr
        check(f"approve {first}" in said and "because:" in said and "next:" in said, f"three lines: {said}")
        p.run("deny", third, 999999, code=9)
        p.run("--socket", p.g.socket + "x", "pending", code=2)
        done = subprocess.run([TOOL, "--socket", p.g.socket + "x", "pending"], capture_output=True, text=True)
        check(done.returncode == 8 and "next:" in done.stderr, f"{done}")
        done = subprocess.run([TOOL, "--socket", p.g.socket + "x", "server", "doctor"], capture_output=True, text=True)
        check(done.returncode == 2 and "critical" in done.stdout, f"{done}")


def the_daemon_and_its_configuration():
    with Place() as p:
        check("you are unix:" in p.run("status").stdout, "status")
        found = json.loads(p.run("server", "doctor", "-o", "json").stdout)["findings"]
        check({f["level"] for f in found} == {"ok"} and {f["part"] for f in found} >= {"core", "store", "signer"},
              str(found))
        shown = json.loads(p.run("endpoint", "show", "acme", "-o", "json").stdout)["endpoint"]
        check(shown["urls"] == [p.g.directory] and shown["protocol"] == "acme", str(shown))
        shown = json.loads(p.run("profile", "show", "server", "-o", "json").stdout)["profile"]
        check(shown["lifetime"] == "30d" and shown["ext_key_usage"] == ["serverAuth"], str(shown))
        p.run("endpoint", "show", "nothing", code=3)
        p.run("profile", "show", "nothing", code=3)
        with open(p.g.root) as f:
            root = f.read()
        check(p.run("trust", "show", "--pem").stdout == root, "the certificate as it is")
        check(json.loads(p.run("trust", "show", "-o", "json").stdout)["trust"][0]["certificate"] == root, "in JSON")
        said, der = p.run("trust", "show").stdout, ssl.PEM_cert_to_DER_cert(root)
        for word, name in ("sha-256", "sha256"), ("sha-1", "sha1"), ("md5", "md5"):
            wanted = ":".join(f"{o:02X}" for o in hashlib.new(name, der).digest())
            check(f"{word:<12} {wanted}\n" in said, f"{word}: {said}")
        p.run("trust", "show", "nobody", code=3)
        for client in "certbot", "lego", "uacme":
            said = p.run("endpoint", "snippet", "acme", client, "--domain", f"a.{DOMAIN}").stdout
            check(p.g.directory in said and f"a.{DOMAIN}" in said and "NAME" not in said, said)
        p.run("endpoint", "snippet", "acme", "telnet", code=3)
        for words, known in (("show 4711", "gatehouse list"), ("watch 4711", "gatehouse list"), ("user revoke nobody", "gatehouse user list"),
                             ("ca crl nobody --publish", "gatehouse ca show")):
            said = p.run(*words.split(), code=3).stderr
            check(said.rstrip().endswith(known), f"{words}: {said}")
        p.run("endpoint", "snippet", "acme", "certbot", "--domain", "$(reboot)", code=2)


def add_status(g):
    with open(g.config, encoding="utf-8") as f:
        text = f.read()
    with open(g.config, "w", encoding="utf-8") as f:
        f.write(text.replace("listeners:\n", "  - {name: status, protocol: status, path: /status, ca: Test CA}\nlisteners:\n", 1))


def a_credential_is_for_who_takes_requests():
    with Place(set_up=add_status) as p:
        for kind, words in (("eab", ["create"]), ("challenge", ["create"]), ("token", ["create"]),
                            ("user", ["create", "x", "--generate"]), ("vendor", ["add", "x", p.g.root]),
                            ("ra", ["add", "x", p.g.root])):
            for endpoint, why in (("status", "takes no requests: it has no profile. Where it has a 'for:'"), ("nowhere", "there is no endpoint"),
                                  ("internal", "there is no endpoint")):
                said = p.run(kind, *words, "--endpoint", "acme", "--endpoint", endpoint, "--scope", "any", code=2).stderr
                check(why in said, f"{kind} {endpoint}: {said}")
        check(p.run("status").returncode == 0, "the core is there")


def a_credential_for_any_name_is_shown_to_who_asks_how_it_is():
    with Place() as p:
        status = json.loads(p.run("status", "-o", "json").stdout)
        check(status["credentials_for_any_name"] == 0 and "any name" not in p.run("status").stdout, str(status))
        p.run("user", "create", "narrow", "--endpoint", "acme", "--scope", f"*.{DOMAIN}", "--generate")
        p.run("user", "create", "wide", "--endpoint", "acme", "--scope", "any", "--generate")
        status = json.loads(p.run("status", "-o", "json").stdout)
        check((status["credentials_for_any_name"], status["credentials_for_any_name_unheld"]) == (1, 1), str(status))
        check("credentials for any name: 1, " in p.run("status").stdout, "for people")
        found = json.loads(p.run("server", "doctor", "-o", "json", code=1).stdout)["findings"]
        check([f["level"] for f in found if f["part"] == "credentials"] == ["warning"], str(found))
        check(p.g.metric("gatehouse_credentials_any_scope") == 1, "for monitoring")
        p.run("user", "revoke", "wide")
        found = json.loads(p.run("server", "doctor", "-o", "json").stdout)["findings"]
        check([f["level"] for f in found if f["part"] == "credentials"] == ["ok"], str(found))
        check(status["clock_behind_s"] == 0, str(status))
        end = time.monotonic() + 30
        while not (status := json.loads(p.run("status", "-o", "json").stdout))["audit_anchored"]:
            check(time.monotonic() < end, f"the trail is not anchored: {status}")
            time.sleep(0.1)


def a_request_is_named_by_number_serial_or_key():
    with Place() as p:
        held, other = p.hold(2)
        rows = {r["id"]: r for r in json.loads(p.run("list", "-o", "json").stdout)["requests"]}
        key, serial = rows[held]["key_hash"], rows[1]["serial"]
        for name in key, key[:12], key[:12].upper():
            check(p.run("show", name).stdout.startswith(f"request      {held} "), f"by key {name}")
        check(p.run("show", serial).stdout.startswith("request      1 "), "by serial")
        shown = json.loads(p.run("cert", "show", serial, "-o", "json").stdout)["certificate"]
        check(shown["request"] == 1 and shown["serial"] == serial, str(shown))
        check(p.run("cert", "export", 1).stdout == shown["certificate"] == p.run("cert", "export", serial).stdout, "PEM")
        check(p.run("request", "export", 1, "--certificate").stdout == shown["certificate"], "of the request")
        done = subprocess.run(["openssl", "req", "-noout", "-verify"], input=p.run("request", "export", held).stdout,
                              capture_output=True, text=True)
        check(done.returncode == 0, done.stderr)
        p.run("request", "export", held, "--certificate", code=6)
        p.run("cert", "show", held, code=3)
        p.run("show", "f" * 12, code=3)
        p.run("show", key[:5], code=2)
        p.run("show", "xyzzy-1", code=2)
        p.run("approve", key[:16], "--yes")
        check([r["id"] for r in p.g.pending()] == [other], "approved by key")
        # A key that several requests have names none of them.
        csr = p.client.csr(f"x.{DOMAIN}", f"y.{DOMAIN}")
        for names in (f"x.{DOMAIN}", f"y.{DOMAIN}"), (f"y.{DOMAIN}", f"x.{DOMAIN}"):
            _, order = p.client.order(*names)
            p.client.prove(order)
            p.client.finalize(order, csr)
        again = [r for r in p.g.requests() if f"x.{DOMAIN}" in r["names"]]
        check(len(again) == 2, str(again))
        said = p.run("show", again[0]["key_hash"], code=2).stderr
        check("several requests" in said, said)


def lists_take_filters():
    with Place() as p:
        first, second, third = p.hold(3)
        ids = lambda *words: p.run(*words, "-o", "id").stdout.split()
        check(ids("pending", f"id>{first}") == [str(second), str(third)], "pending")
        check(ids("pending", f"@id>{first}") == [str(second), str(third)], "with a sign before it")
        check(ids("list", f"state=pending and id<{third}", "--newest") == [str(second), str(first)], "newest first")
        check(ids("list", f"id={first} or id={third}", "--after", first) == [str(third)], "--after and or")
        check(len(ids("cert", "list", "valid and profile=gateway-tls")) == 1, "certificates")
        check(len(ids("cert", "expiring", "--within", "60d")) == 1 and ids("cert", "expiring", "--within", "1d") == [],
              "expiring")
        said = p.run("list", "state=nonsense", code=2).stderr
        check("because:" in said, said)
        said = p.run("pending", "colour=red", code=2).stderr
        check("character 1" in said, f"the place is that of what was typed: {said}")
        p.run("cert", "expiring", "--within", "soon", code=2)


def pages_follow_the_order_of_the_list():
    with Place() as p:
        # Issued in another order than asked for, so that serials and numbers have different orders.
        numbers = p.hold(4)
        for number in numbers[2], numbers[0], numbers[3], numbers[1]:
            p.run("approve", number, "--yes")
        for words in (["list"], ["list", "age<1d"], ["list", "--newest"], ["list", "age<1d", "--newest"],
                      ["list", "--sort", "profile"], ["list", "--sort=-age"], ["cert", "list"],
                      ["cert", "list", "--newest"], ["cert", "list", "issued>2001-01-01"], ["cert", "expiring",
                      "--within", "60d"], ["cert", "expiring", "--within", "60d", "--newest"],
                      ["cert", "list", "--sort=-serial"], ["cert", "list", "--sort", "profile"],
                      ["endpoint", "list", "--sort=-name"], ["profile", "list"]):
            whole, pages = p.run(*words, "-o", "id").stdout.split(), []
            check(len(set(whole)) == len(whole) > 0, f"{words}: {whole}")
            while page := p.run(*words, "-o", "id", "--limit", 2, *(["--after", pages[-1]] if pages else [])
                                ).stdout.split():
                pages += page
                check(len(pages) <= len(whole), f"{words} repeats: {pages}, not {whole}")
            check(pages == whole, f"{words}: {pages}, not {whole}")
        check("begin after" in p.run("list", "--after", 999999, code=2).stderr, "there is no such request")
        p.run("cert", "list", "--after", "00ff", code=2)
        p.run("profile", "list", "--after", "nothing", code=2)


def several_results_are_one_document():
    with Place() as p:
        numbers = p.hold(3)
        p.run("approve", *numbers, "--yes")
        done = json.loads(p.run("revoke", numbers[0], 999999, numbers[1], "-o", "json", code=9).stdout)
        check(done["schema"] == 1 and [(r["certificate"], r["exit"]) for r in done["results"]] ==
              [(str(numbers[0]), 0), ("999999", 3), (str(numbers[1]), 0)], str(done))
        check(done["results"][0]["state"] == "revoked" and done["results"][2]["request"] == numbers[1], str(done))
        lines = p.run("cert", "hold", numbers[2], "xyz", "-o", "jsonl", code=9).stdout.splitlines()
        check([json.loads(line)["exit"] for line in lines] == [0, 2], str(lines))
        check(json.loads(p.run("cert", "release", numbers[2], "-o", "json").stdout)["state"] == "issued", "one alone")


def batches_are_counted():
    with Place() as p:
        numbers = p.hold(5)
        below = f"@id<{numbers[3]}"
        p.run("approve", below, code=2)
        check("more than 2" in p.run("approve", below, "--max", 2, "--yes", code=2).stderr, "too many")
        check(len(p.g.pending()) == 5, "nothing was done")
        shown = p.at_terminal("approve", "@via=acme", answers=[("to approve them", "4\n")], code=2)
        check("5 requests match" in shown and "and 2 more" in shown and shown.count(DOMAIN) >= 3, shown)
        check(len(p.g.pending()) == 5, "a wrong number approves nothing")
        shown = p.at_terminal("approve", below, answers=[("to approve them", "3\n")])
        check("3 of 3 done" in shown, shown)
        check([r["id"] for r in p.g.pending()] == numbers[3:], "three are approved")
        done = json.loads(p.run("deny", "@state=pending", numbers[0], "--reason", "no", "--yes", "-o", "json",
                                code=9).stdout)
        check([(r["id"], r["exit"]) for r in done["results"]] == [(numbers[3], 0), (numbers[4], 0), (numbers[0], 6)],
              str(done))
        check(done["results"][0]["request"]["state"] == "denied", str(done))
        p.run("approve", "@via=acme", "--yes", code=3)
        p.run("resubmit", "@nonsense=1", "--yes", code=2)
        p.run("approve", "@via=acme", "--digest", "00" * 32, code=2)


def waiting_for_what_happens():
    with Place() as p:
        first, second, third = p.hold(3)
        p.run("request", "wait", first, "--timeout", "1s", code=5)
        waits = {}
        for number in first, second:
            waits[number] = subprocess.Popen([TOOL, "--socket", p.g.socket, "request", "wait", str(number)],
                                             stdout=subprocess.PIPE, text=True)
        watch = subprocess.Popen([TOOL, "--socket", p.g.socket, "watch", "--until", "state=denied"],
                                 stdout=subprocess.PIPE, text=True)
        time.sleep(0.5)
        p.run("approve", first, "--yes")
        p.run("deny", second, "--reason", "no")
        check("issued" in waits[first].communicate(timeout=20)[0] and waits[first].returncode == 0, "issued")
        check("denied" in waits[second].communicate(timeout=20)[0] and waits[second].returncode == 4, "denied")
        lines = [json.loads(line) for line in watch.communicate(timeout=20)[0].splitlines()]
        check(watch.returncode == 0 and {line["id"] for line in lines} >= {first, second}, f"{lines}")
        check(all(a["event"] < b["event"] for a, b in zip(lines, lines[1:])), "in their order, each once")
        check(any(line["text"].startswith("approve by=unix:") for line in lines), f"{lines}")
        p.run("request", "wait", first)
        check(p.run("watch", third, "--timeout", "1s").stdout == "", "nothing happens")
        check(p.run("watch", first, "--until", "state=issued").stdout == "", "it is so already")
        p.run("watch", third, "--until", "state=issued", "--timeout", "1s", code=5)
        p.run("request", "wait", 999999, code=3)
        p.run("request", "wait", third, "--timeout", "soon", code=2)


def policy_is_asked_without_deciding():
    with Place() as p:
        number, = p.hold()
        before = p.run("list", "-o", "json").stdout
        said = json.loads(p.run("explain", number, "-o", "json", code=5).stdout)["explanation"]
        check(said["verdict"] == "pend" and said["rule"] == "hold" and said["trace"], str(said))
        check("verdict" in p.run("explain", number, code=5).stdout, "for people")
        check(p.run("list", "-o", "json").stdout == before, "nothing was written")


def request_file(folder, name, new=False):
    """A PKCS#10 file, and its key thrown away."""
    path = os.path.join(folder, f"{name}.pem")
    csr = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([])).add_extension(
        x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False).sign(
            ec.generate_private_key(ec.SECP256R1()), hashes.SHA256())
    text = csr.public_bytes(serialization.Encoding.PEM)
    with open(path, "wb") as f:
        f.write(text.replace(b"CERTIFICATE REQUEST", b"NEW CERTIFICATE REQUEST") if new else text)
    return path


def policy_is_asked_about_what_nobody_has_sent():
    with Place() as p:
        held, free = request_file(p.g.folder, f"hold.{DOMAIN}"), request_file(p.g.folder, f"free.{DOMAIN}", new=True)
        denied = request_file(p.g.folder, f"deny.{DOMAIN}")
        before = p.run("list", "-o", "json").stdout
        said = json.loads(p.run("policy", "test", "--csr", held, "--via", "acme", "-o", "json", code=5).stdout)
        check(said["explanation"]["verdict"] == "pend" and said["explanation"]["rule"] == "hold", str(said))
        check(said["request"]["endpoint"] == "acme" and len(said["request"]["digest"]) == 64, str(said))
        check(said["request"]["identifiers"] == [{"name": f"dns:hold.{DOMAIN}", "evidence": "taken as proven"}], str(said))
        shown = p.run("policy", "test", "--csr", free, "--via", "acme", "--requester", "acme:7/x", "--from", "192.0.2.7",
                      "--attr", "ticket=CHG-1").stdout
        check(re.search(r"^verdict +issue$", shown, re.M) and re.search(r"^requester +acme:7/x$", shown, re.M), shown)
        check("TO BE ISSUED" in shown and "ticket: CHG-1" in shown and "from 192.0.2.7" in shown, shown)
        shown = p.run("policy", "test", "--csr", denied, "--via", "acme", code=4).stdout
        check("names that begin with deny are denied" in shown, shown)
        der = os.path.join(p.g.folder, "octets")
        with open(der, "wb") as f:
            f.write(b"0\0")
        shown = p.run("policy", "test", "--csr", der, "--via", "acme", code=1).stdout
        check(re.search(r"^verdict +error$", shown, re.M), shown)
        p.run("policy", "test", "--csr", held, "--via", "nowhere", code=3)
        p.run("policy", "test", "--csr", held, "--via", "acme", "--profile", "none", code=3)
        p.run("policy", "test", "--csr", held, "--via", "acme", "--requester", "est:user:alice", code=2)
        p.run("policy", "test", "--csr", held, "--via", "acme", "--attr", "ticket", code=2)
        p.run("policy", "test", "--csr", held, code=2)
        p.run("policy", "test", "--csr", p.g.folder + "/none", "--via", "acme", code=1)
        check(p.run("list", "-o", "json").stdout == before, "nothing was written")


def edits_by_options_and_by_a_form():
    with Place() as p:
        number, other = p.hold(2)
        p.run("edit", number, code=2)
        p.run("edit", number, "--set-attr", "nothing", code=2)
        p.run("edit", number, "--lifetime", "soon", code=2)
        p.run("edit", number, "--set-ext", "1.2.3=xyz", code=2)
        # What cannot be done wholly is not done in part.
        p.run("edit", number, "--set-attr", "half=1", "--lifetime", "soon", code=2)
        p.run("edit", number, "--set-attr", "half=1", "--set-ext", "1.2.3=xyz", code=2)
        p.run("edit", number, "--set-attr", "half=1", "--del-san", "dns:nobody.example", code=2)
        p.run("edit", number, "--set-attr", "half=1", "--lifetime", "999d", code=2)
        # What the profile lets nobody do is refused to an officer with every right, with what it would have to say.
        for words, lack in ((("--add-san", "dns:more.example"), "profile server does not say officer-names: allow"),
                            (("--set-ext", "1.2.3=0500"), "profile server does not list this extension under officer-extensions"),
                            (("--set-ext", "2.5.29.17=3000"), "the CA alone writes this extension")):
            said = p.run("edit", number, "--set-attr", "half=1", *words, code=4).stderr
            check(lack in said and "gatehouse profile show" in said, said)
        check(not json.loads(p.run("show", number, "-o", "json").stdout)["request"]["edited"], "half of it was done")
        p.run("edit", number, "--lifetime", "5d", "--set-attr", "ticket=CHG-1", "--set-attr", "gone=1")
        request = json.loads(p.run("show", number, "-o", "json").stdout)["request"]
        check(request["attributes"]["ticket"] == "CHG-1" and request["edited"], str(request))
        p.run("request", "note", number, "--text", "asked the network team")
        check("asked the network team" in p.run("show", number).stdout, "a note")
        editor = os.path.join(p.g.folder, "editor")
        with open(editor, "w") as f:
            f.write("#!/bin/sh\nset -e\ngrep -q '^name: dns:hold' \"$1\"\n"
                    "sed -i 's/CHG-1$/CHG-2/; /gone/d' \"$1\"\necho 'attribute: more=a b' >>\"$1\"\n")
        os.chmod(editor, 0o755)
        shown = p.at_terminal("edit", number, env={"VISUAL": editor})
        check("is changed" in shown, shown)
        attributes = json.loads(p.run("show", number, "-o", "json").stdout)["request"]["attributes"]
        check(attributes["ticket"] == "CHG-2" and attributes["more"] == "a b" and "gone" not in attributes,
              str(attributes))
        check("as it was" in p.at_terminal("edit", number, env={"VISUAL": "true"}), "nothing was changed")
        p.at_terminal("edit", number, env={"VISUAL": "false"}, code=1)
        with open(editor, "w") as f:
            f.write("#!/bin/sh\necho nonsense >>\"$1\"\n")
        p.at_terminal("edit", number, env={"VISUAL": editor}, code=2)
        p.at_terminal("edit", number, other, env={"VISUAL": editor}, code=2)
        check(not [f for f in os.listdir("/tmp") if f.startswith("gatehouse-edit-")], "a form was left behind")
        p.run("approve", number, "--yes")
        issued = json.loads(p.run("cert", "show", number, "-o", "json").stdout)["certificate"]
        days = [int(issued[m][8:10]) for m in ("not_before", "not_after")]
        check((days[1] - days[0]) % 30 in (5, 6), f"five days: {issued}")


def an_approval_may_carry_a_note():
    with Place() as p:
        number, other = p.hold(2)
        p.run("approve", number, "--yes", "--note", "two\nlines", code=2)
        check(len(p.g.pending()) == 2, "approved without its note")
        p.run("approve", number, "--yes", "--note", "called the owner back")
        document = json.loads(p.run("show", number, "-o", "json").stdout)["request"]
        check(document["state"] == "issued" and "called the owner back" in json.dumps(document["notes"]), str(document))
        lines = p.run("show", number).stdout.splitlines()
        check("notes" in lines and any(re.match(r"\S+Z +unix:\S+ +called the owner back$", line) for line in lines),
              str(lines))
        check("called the owner" not in p.run("show", other).stdout, "the note of another")


def an_approval_may_end_it_earlier():
    with Place() as p:
        number, other = p.hold(2)
        end = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 86400))
        digest = p.g.tool_json("show", str(number))["request"]["digest"]
        p.run("approve", number, "--not-after", "tomorrow", "--yes", code=2)
        p.run("approve", number, "--not-after", "2099-01-01T00:00:00Z", "--yes", code=2)
        p.run("approve", number, "--not-after", end, "--digest", "00" * 32, code=6)
        p.run("approve", number, "--not-after", end, "--digest", digest)
        certificate = x509.load_pem_x509_certificate(p.run("cert", "export", number).stdout.encode())
        check(certificate.not_valid_after.strftime("%Y-%m-%dT%H:%M:%SZ") == end, f"it ends {certificate.not_valid_after}")
        p.run("edit", other, "--not-after", end)
        shown = p.run("request", "diff", other).stdout
        check(f"until {end}" in shown and "an officer" in shown, shown)
        shown = p.at_terminal("approve", other, "--not-after", end, answers=[("[y/N] ", "y\n")])
        check(f"It will end on {end}" in shown, shown)


def roles_are_needed():
    with Place(core="  officers: [nobody]\n") as p:
        number, = p.hold()
        for words in (["approve", number, "--yes"], ["deny", number], ["resubmit", number], ["revoke", 1],
                      ["edit", number, "--lifetime", "5d"], ["request", "note", number, "--text", "x"]):
            said = p.run(*words, code=7).stderr
            check("because:" in said and "role" in said, f"{words}: {said}")
        p.run("explain", number, code=5)
        check([r["id"] for r in p.g.pending()] == [number], "something was decided")


def escapes_are_shown_not_obeyed():
    # Control characters and those that turn text around do not come in; other letters do.
    evil = "\x1b[2J\x1b]0;x\x07\x9b31m\u202e<b>"
    with Place() as p:
        name = f"holdevil.{DOMAIN}"
        _, order = p.client.order(name)
        p.client.prove(order)
        subject = x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Gro\u00df \u65e5\u672c")])
        csr = x509.CertificateSigningRequestBuilder().subject_name(subject).add_extension(
            x509.SubjectAlternativeName([x509.DNSName(name)]), False)
        p.client.finalize(order, csr.sign(ec.generate_private_key(ec.SECP256R1()), hashes.SHA256())
                          .public_bytes(serialization.Encoding.DER))
        number = [r["id"] for r in p.g.requests() if name in r["names"]][0]
        check("Gro\\u00df" in p.run("show", number, "-o", "json").stdout, "what was asked for is there")
        for words in (["show", number], ["show", number, "--timeline"], ["show", number, "-o", "json"],
                      ["deny", number, "--reason", evil], ["list"], ["list", "-o", "csv"], ["list", "-o", "wide"],
                      ["list", "-o", "jsonl"], ["show", evil], ["list", evil], [evil], ["show", "--" + evil]):
            done = subprocess.run([TOOL, "--socket", p.g.socket, *map(str, words)], capture_output=True)
            for stream in done.stdout, done.stderr:
                check(all(c in b"\r\n" or 0x20 <= c < 0x7f for c in stream), f"{words}: {stream}")


def text_is_utf8_and_whole():
    with Place() as p:
        number = p.hold(1)[0]
        for reason, sentence in [(b"caf\xe9", b"not UTF-8"), (b"x" * 300, b"too long")]:
            done = subprocess.run([TOOL, "--socket", p.g.socket, "deny", str(number), "--reason", reason],
                                  capture_output=True)
            check(done.returncode not in (0, 1) and sentence in done.stderr, f"{done.returncode}: {done.stderr}")
        check([r["id"] for r in p.g.pending()] == [number], "nothing was decided")
        p.run("deny", number, "--reason", "caf\u00e9")
        check("caf\\u00e9" in p.run("show", number, "-o", "json").stdout, "letters of all languages are")


def a_terminal_is_asked():
    with Place() as p:
        first, second = p.hold(2)
        shown = p.at_terminal("approve", first, answers=[("[y/N]", "n\n")], code=2)
        check("digest" in shown and "Issue this certificate?" in shown, shown)
        check(len(p.g.pending()) == 2, "nothing was approved")
        kept = os.path.join(p.g.folder, "kept")
        shown = p.at_terminal("approve", first, "-o", "json", answers=[("[y/N]", "y\n")], output=kept)
        check("digest" in shown and "Issue this certificate?" in shown, shown)
        with open(kept) as f:
            check(json.load(f)["request"]["state"] == "issued", "standard output has the result alone")
        shown = p.at_terminal("pending", columns=60)
        check("\x1b[" not in p.at_terminal("pending", env={"NO_COLOR": "1"}), "NO_COLOR")
        check(all(len(line) <= 60 for line in shown.splitlines()[:2]), f"as wide as the terminal: {shown}")
        shown = p.at_terminal("list")
        check("33mpending" in shown, f"a pending one is yellow: {shown!r}")
        check("\x1b[" not in p.run("list").stdout, "no colour away from a terminal")
        check("33mpending" in p.run("list", "--color", "always").stdout, "unless it is wanted")


def the_pager_gets_what_is_longer_than_the_screen():
    with Place() as p:
        p.hold(6)
        env = {"GATEHOUSE_PAGER": "sed s/^/paged:/"}
        check("paged:" in p.at_terminal("list", rows=5, env=env), "longer than the screen")
        check("paged:" not in p.at_terminal("list", rows=50, env=env), "it fits")
        check("STATE" in p.at_terminal("list", rows=5, env={"GATEHOUSE_PAGER": "there-is-no-such-pager"}), "no pager")
        check("paged:" not in p.run("list", env=env).stdout, "no terminal")


main([every_list_in_every_format, scripts_get_what_they_were_promised, exit_codes, the_daemon_and_its_configuration,
      a_credential_is_for_who_takes_requests, a_credential_for_any_name_is_shown_to_who_asks_how_it_is,
      a_request_is_named_by_number_serial_or_key, lists_take_filters, pages_follow_the_order_of_the_list,
      several_results_are_one_document, batches_are_counted,
      waiting_for_what_happens, policy_is_asked_without_deciding,
      policy_is_asked_about_what_nobody_has_sent, edits_by_options_and_by_a_form,
      an_approval_may_carry_a_note, an_approval_may_end_it_earlier, roles_are_needed,
      escapes_are_shown_not_obeyed, text_is_utf8_and_whole, a_terminal_is_asked,
      the_pager_gets_what_is_longer_than_the_screen])
