#!/usr/bin/python3
"""The life of a SCEP endpoint's key against a real core: renewal after two thirds, the end of the one before, approval over
a restart, backup, and old algorithms that OpenSSL has not."""
import datetime
import functools
import os
import shutil
import subprocess
import tarfile

import scep_client
from gatehouse import DAEMON, RULES, check, gatehouse, main
from scep_client import add_scep, create_challenge
from scep_raw import BAD_ALG, FAILURE, Scep, Sender, envelope, make_csr, pki_message

# Twenty seconds of it lie in the past: the next one is due after twenty more, and it ends forty seconds after it came.
LIFETIME_S, BACKDATE_S = 60, 20
SHORT = f"""
        - name: short
          when: {{profile: [scep-ra]}}
          then: issue
          set: {{lifetime: {LIFETIME_S}s}}"""
HELD = """
        - name: look
          when: {profile: [scep-ra]}
          then: pend
          reason: who is this authority"""
PROFILE = f"""  - name: scep-ra
    lifetime: 5m
    backdate: {BACKDATE_S}s
    keys: [rsa]
    key-usage: [digitalSignature, keyEncipherment]
    ext-key-usage: [emailProtection]
"""


wait = functools.partial(scep_client.wait, wait_s=120)


def ra_requests(g):
    return [r for r in g.requests() if r["profile"] == "scep-ra"]


def files(g):
    return [f for f in os.listdir(os.path.join(g.data, "gateway")) if f.startswith("ra-scep.")]


def has_ended(certificate):
    return datetime.datetime.utcnow() > certificate.not_valid_after


def send_to(scep, ra, text, challenge):
    sender = Sender(text=text)
    return scep.post(pki_message(sender, envelope(ra, make_csr(sender.key, text, challenge)))), sender


def the_next_one(g, before):
    found = wait("the certificate is not renewed", lambda: (s := answers(g)) and s.ra != before and s)
    due = before.not_valid_before + (before.not_valid_after - before.not_valid_before) * 2 / 3
    came = found.ra.not_valid_before + datetime.timedelta(seconds=BACKDATE_S)
    check(came >= due - datetime.timedelta(seconds=2), f"due at {due}, renewed at {came}")
    return found


def the_one_before_answers_until_its_end(g, old, challenge):
    reply, sender = send_to(old, old.ra, "kept.example", challenge)
    # A slow machine may have come too late to say something about that.
    if not has_ended(old.ra):
        check(reply.read(old.ra).certificates(sender), "no certificate")
    wait("it does not end", lambda: has_ended(old.ra))
    reply = send_to(old, old.ra, "late.example", challenge)[0].read()
    check((reply.status, reply.fail) == (FAILURE, BAD_ALG), f"{reply.status} {reply.fail} {reply.fail_text}")
    check("fetch the one of this registration authority with GetCACert" in reply.fail_text, reply.fail_text)
    scep = wait("no answer", lambda: answers(g))
    reply, sender = send_to(scep, scep.ra, "fetched.example", challenge)
    check(reply.read(scep.ra).certificates(sender), "no certificate by the new one")


def a_certificate_lives_and_ends():
    with gatehouse(lambda g: add_scep(g, {"scep": ""}, profiles=PROFILE), rules=SHORT + RULES) as g:
        challenge = create_challenge(g, "scep", "dns:*.example", more=("--uses", "unlimited"))
        first = Scep(g, "scep")
        second = the_next_one(g, first.ra)
        the_one_before_answers_until_its_end(g, first, challenge)
        third = the_next_one(g, second.ra)
        # The signer and the gateway are killed; what they had is there again, and nobody asked for more.
        for role in "ra-signer", "gateway":
            pid = g.kill_role(role)
            g.wait_role(role, pid)
            scep = wait(f"no answer after {role} was killed", lambda: answers(g))
            check(scep.ra.not_valid_before >= third.ra.not_valid_before, "an older one")
        wait("there are keys without requests, or requests without keys", lambda: len(files(g)) == len(ra_requests(g)))


def answers(g):
    try:
        return Scep(g, "scep")
    except (OSError, StopIteration, IndexError, AssertionError):
        return None


def one_request_over_restarts():
    with gatehouse(lambda g: add_scep(g, {"scep": ""}), rules=HELD + RULES) as g:
        request = wait("it is not held", lambda: [r for r in g.pending() if r["profile"] == "scep-ra"])[0]
        for _ in range(2):
            g.stop()
            g.start()
            wait("health does not say what it waits for", lambda: f"request {request['id']} waits for approval" in
                 g.run_tool("status", code=None).stdout)
        check([r["id"] for r in ra_requests(g)] == [request["id"]], f"another one: {ra_requests(g)}")
        g.run_tool("approve", str(request["id"]), "--yes")
        wait("it is not taken", lambda: answers(g))
        check([r["id"] for r in ra_requests(g)] == [request["id"]], f"another one: {ra_requests(g)}")
        check(len(files(g)) == 1, str(files(g)))


def a_backup_has_the_key():
    """On another machine clients that have the certificate go on, and nobody asks for another one."""
    with gatehouse(lambda g: add_scep(g, {"scep": ""})) as g:
        challenge = create_challenge(g, "scep", "dns:*.example", more=("--uses", "unlimited"))
        before, backup = wait("no answer", lambda: answers(g)), os.path.join(g.folder, "ca.tar")
        g.run_tool("server", "backup", backup, "--data", g.data)
        with tarfile.open(backup) as tar:
            (member,) = [m for m in tar.getmembers() if m.name.startswith("gateway/ra-scep.")]
            check(member.mode == 0o600 and b"PRIVATE" not in tar.extractfile(member).read(), "it is not sealed")
        g.stop()
        shutil.copy(os.path.join(g.data, "kek"), g.folder)
        shutil.rmtree(g.data)
        os.makedirs(g.data, mode=0o755)
        shutil.copy(os.path.join(g.folder, "kek"), g.data)
        g.run_tool("server", "restore", backup, "--data", g.data)
        g.start()
        after = wait("no answer", lambda: answers(g))
        check(after.ra == before.ra, "another certificate")
        reply, sender = send_to(after, before.ra, "moved.example", challenge)
        check(reply.read(before.ra).certificates(sender), "no certificate")
        check(len(ra_requests(g)) == 1, str(ra_requests(g)))


def old_algorithms_that_are_not_there_are_not_promised():
    with gatehouse(lambda g: add_scep(g, {"scep": "legacy: des", "old": "legacy: sha1-3des"})) as g:
        check(answers(g), "no answer with the provider")
        g.stop()
        empty = os.path.join(g.folder, "no-modules")
        os.makedirs(empty)
        for words in (("--check-config",), ()):
            done = subprocess.run([DAEMON, "--config", g.config, *words], env=dict(os.environ, OPENSSL_MODULES=empty),
                                  stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=False)
            said = done.stdout + done.stderr
            check(done.returncode != 0, f"it is taken: {said}")
            for word in ("gatehouse.yaml:", "endpoint 'scep'", "'legacy: des' needs", "openssl-provider-legacy",
                         "'legacy: sha1-3des'"):
                check(word in said, f"no {word}: {said}")
        with open(g.config, encoding="utf-8") as f:
            config = f.read()
        with open(g.config, "w", encoding="utf-8") as f:
            f.write(config.replace("legacy: des", "legacy: sha1-3des"))
        g.start(env=dict(os.environ, OPENSSL_MODULES=empty))
        wait("no answer without the provider", lambda: answers(g))


def attributes_of_the_adapter_are_refused_when_the_file_is_read():
    with gatehouse(lambda g: add_scep(g, {"scep": "attributes: {site: hq}"})) as g:
        with open(g.config, encoding="utf-8") as f:
            config = f.read()
        refused = config.replace("    path: /acme\n", "    path: /acme\n    attributes: {acme-account: x}\n", 1)
        check(refused != config, "there is no ACME endpoint")
        with open(g.config, "w", encoding="utf-8") as f:
            f.write(refused)
        done = subprocess.run([DAEMON, "--config", g.config, "--check-config"], stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, timeout=60, check=False)
        check(done.returncode != 0 and "the attribute 'acme-account'" in done.stdout + done.stderr, str(done))
        for name, code in (("site", 0), ("scep-message-type", 1), ("renews", 1)):
            with open(g.config, "w", encoding="utf-8") as f:
                f.write(config.replace("site: hq", f"{name}: hq"))
            done = subprocess.run([DAEMON, "--config", g.config, "--check-config"], stdin=subprocess.DEVNULL,
                                  capture_output=True, text=True, timeout=60, check=False)
            check((done.returncode != 0) == bool(code), f"{name}: {done}")
            check(not code or f"the attribute '{name}' is one that says what a client did" in done.stdout + done.stderr,
                  f"{name}: {done}")


main([attributes_of_the_adapter_are_refused_when_the_file_is_read, old_algorithms_that_are_not_there_are_not_promised, one_request_over_restarts, a_backup_has_the_key,
      a_certificate_lives_and_ends])
