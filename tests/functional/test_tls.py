#!/usr/bin/python3
"""TLS as clients see it: sessions that are resumed and those that are not, early data, groups."""
import os
import subprocess
import time

from gatehouse import check, gatehouse, hand_to, main

TRIES = 8  # connections are spread over the loops


def s_client(g, *words):
    """One GET over a connection of openssl's; what openssl says about it."""
    done = subprocess.run(["openssl", "s_client", "-connect", f"127.0.0.1:{g.port}", "-servername", "localhost",
                           "-CAfile", g.root, "-ign_eof", *words],
                          input="GET /acme/directory HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
                          capture_output=True, text=True, timeout=30)
    return done.stdout + done.stderr


def state(output):
    """Reused or New, of a connection over which a reply came."""
    lines = [line for line in output.splitlines() if line.startswith(("Reused, ", "New, "))]
    check(lines and "200 OK" in output, output)
    return lines[0].split(",")[0]


def get_session(g, version, path):
    check(state(s_client(g, version, "-sess_out", path)) == "New", "a first connection is new")
    check(os.path.getsize(path) > 0, "there is no session")


def resumes(g, version, path):
    states = {state(s_client(g, version, "-sess_in", path)) for _ in range(TRIES)}
    check(len(states) == 1, f"{version}: some loops resume and some do not")
    return states == {"Reused"}


def use_files(g, name):
    """Have another CA make the certificate of the listener, as files."""
    key, pem = f"{g.folder}/server.key", f"{g.folder}/server.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                    "-keyout", key + ".new", "-out", pem + ".new", "-days", "30", "-subj", f"/CN={name}", "-addext",
                    "subjectAltName=DNS:localhost"], check=True, capture_output=True)
    os.chmod(key + ".new", 0o600)
    hand_to("gateway", key + ".new")
    os.rename(key + ".new", key)
    os.rename(pem + ".new", pem)
    return key, pem


def subject(g):
    return [line for line in s_client(g).splitlines() if line.startswith("subject=")][0]


def sessions_outlive_the_certificate_but_not_the_process():
    with gatehouse() as g:
        g.stop()
        key, pem = use_files(g, "first")
        with open(g.config) as f:
            text = f.read().replace("    endpoints: [acme]\n",
                                    f"    endpoints: [acme]\n    certificate: {pem}\n    key: {key}\n")
        with open(g.config, "w") as f:
            f.write(text)
        g.start()
        paths = {version: f"{g.folder}/session{version}" for version in ("-tls1_2", "-tls1_3")}
        for version, path in paths.items():
            get_session(g, version, path)
            check(resumes(g, version, path), f"{version} does not resume")
        check("first" in subject(g), subject(g))
        use_files(g, "second")
        end = time.monotonic() + 150  # the daemon looks at the files once a minute
        while "second" not in subject(g):
            check(time.monotonic() < end, "the new certificate is not served")
            time.sleep(0.2)
        for version, path in paths.items():
            check(resumes(g, version, path), f"{version} does not resume after the certificate was renewed")
        g.stop()
        g.start()
        for version, path in paths.items():
            check(not resumes(g, version, path), f"{version} resumes after a restart: the keys were kept")


def early_data_is_not_accepted():
    with gatehouse() as g:
        path = f"{g.folder}/session"
        early = f"{g.folder}/early"
        with open(early, "w") as f:
            f.write("GET /acme/directory HTTP/1.1\r\nHost: localhost\r\n\r\n")
        get_session(g, "-tls1_3", path)
        said = s_client(g, "-tls1_3", "-sess_in", path, "-early_data", early)
        check(state(said) == "Reused" and "Early data was not sent" in said, said)


def only_quick_groups_are_agreed_on():
    with gatehouse() as g:
        for offered, used in ("X25519:P-256:P-384", "X25519"), ("P-521:X25519", "X25519"), \
                             ("P-521:P-256", "prime256v1"), ("P-384:P-521", "secp384r1"):
            said = s_client(g, "-tls1_3", "-groups", offered)
            key = [line for line in said.splitlines() if line.startswith("Server Temp Key: ")]
            check(len(key) == 1 and used in key[0], said)
        check("200 OK" not in s_client(g, "-groups", "P-521"), "P-521 was agreed on")
        check("200 OK" not in s_client(g, "-tls1_1"), "TLS 1.1 was agreed on")


main([sessions_outlive_the_certificate_but_not_the_process, early_data_is_not_accepted,
      only_quick_groups_are_agreed_on])
