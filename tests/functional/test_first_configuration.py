#!/usr/bin/python3
"""The configuration that `gatehouse ca init` writes, exactly as it is: with its ports, users and folders, in a network and a
file system of its own. The daemon starts with it, and its certificates can be looked up where they say."""
import fcntl
import hashlib
import os
import shutil
import signal
import socket
import ssl
import struct
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

from gatehouse import DAEMON, SKIP, TOOL, check, main

INSIDE = "GATEHOUSE_INSIDE"
HOST = "gatehouse.test"
USERS = ("gatehouse", "gatehouse-gw", "gatehouse-sign", "gatehouse-va")
NAMESPACES = ["unshare", "--net", "--mount", "--fork", "--kill-child"]


def run(*words, code=0):
    done = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)
    check(code is None or done.returncode == code, f"{' '.join(words)}: exit {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout + done.stderr


def wait_for(what, text, wait_s=60):
    end = time.monotonic() + wait_s
    while not (found := what()):
        check(time.monotonic() < end, text)
        time.sleep(0.1)
    return found


def put_over(folder, path, more):
    """A file of the system with lines of ours, which only this test sees."""
    copy = os.path.join(folder, os.path.basename(path))
    shutil.copy(path, copy)
    with open(copy, "a", encoding="ascii") as f:
        f.write(more)
    run("mount", "--bind", copy, path)


def furnish(folder):
    """What a machine has where Gatehouse was installed."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        fcntl.ioctl(s, 0x8914, struct.pack("16sH14x", b"lo", 0x41))  # SIOCSIFFLAGS: up, running
    run("mount", "-t", "tmpfs", "none", "/run")
    os.mkdir("/run/gatehouse")
    put_over(folder, "/etc/hosts", f"127.0.0.1 {HOST}\n")
    put_over(folder, "/etc/passwd", "".join(f"{u}:x:{61201 + i}:{61201 + i}::/nonexistent:/usr/sbin/nologin\n"
                                            for i, u in enumerate(USERS)))
    put_over(folder, "/etc/group", "".join(f"{u}:x:{61201 + i}:\n" for i, u in enumerate(USERS)))


def hash_of(path):
    with open(path, "rb") as f:
        return hashlib.sha256(f.read()).hexdigest()


def ask(leaf, root):
    """What the real client says, which finds the responder in the certificate."""
    url = run("openssl", "x509", "-in", leaf, "-noout", "-ocsp_uri").strip()
    check(url == f"http://{HOST}/status/ocsp", f"the certificate names {url}")
    return run("openssl", "ocsp", "-issuer", root, "-cert", leaf, "-url", url, "-CAfile", root, code=None)


def crl_of(leaf):
    text = run("openssl", "x509", "-in", leaf, "-noout", "-ext", "crlDistributionPoints")
    return [word[4:] for word in text.split() if word.startswith("URI:")][0]


def fetches(url, media_type):
    try:
        with urllib.request.urlopen(url, timeout=30) as reply:
            return reply.headers["Content-Type"] == media_type
    except urllib.error.HTTPError:
        return False


def inside(folder):
    furnish(folder)
    config, root, leaf, log = (os.path.join(folder, name) for name in ("gatehouse.yaml", "root.pem", "leaf.pem", "log"))
    run(TOOL, "ca", "init", "--name", "First CA", "--data", f"{folder}/data", "--config", config, "--domain", HOST)
    written = hash_of(config)
    with open(log, "wb") as f:
        daemon = subprocess.Popen([DAEMON, "--config", config], stdin=subprocess.DEVNULL, stdout=f, stderr=f)
    try:
        def is_ready():
            with open(log, encoding="utf-8", errors="replace") as f:
                text = f.read()
            check(daemon.poll() is None, f"gatehoused ended with {daemon.returncode}: {text}")
            return "event=server.ready" in text

        wait_for(is_ready, "the daemon is not ready")
        with open(root, "w", encoding="ascii") as f:
            f.write(run(TOOL, "trust", "show", "--pem"))
        context = ssl.create_default_context(cafile=root)
        for port in 443, 8443:
            with context.wrap_socket(socket.create_connection((HOST, port), 30), server_hostname=HOST) as s:
                with open(leaf, "w", encoding="ascii") as f:
                    f.write(ssl.DER_cert_to_PEM_cert(s.getpeercert(binary_form=True)))
            # The responder gets its certificate as soon as the CA works.
            wait_for(lambda: f"{leaf}: good" in ask(leaf, root), f"the answer is not good: {ask(leaf, root)}")
            check("Response verify OK" in ask(leaf, root), ask(leaf, root))
        # So it is with the first list.
        wait_for(lambda: fetches(crl_of(leaf), "application/pkix-crl"), "there is no list")
        with urllib.request.urlopen(f"https://{HOST}/acme/directory", timeout=30, context=context) as reply:
            check(reply.status == 200, "the ACME directory")
        serial = run("openssl", "x509", "-in", leaf, "-noout", "-serial").strip().split("=")[1]
        run(TOOL, "revoke", serial, "--reason", "superseded")
        wait_for(lambda: f"{leaf}: revoked" in ask(leaf, root), f"it is not revoked: {ask(leaf, root)}")
        check(hash_of(config) == written, "the file is another one now")
    finally:
        daemon.send_signal(signal.SIGTERM)
        code = daemon.wait(60)
    check(code == 0, f"gatehoused stopped with {code}")


def what_ca_init_writes_serves_as_it_is():
    folder = tempfile.mkdtemp(prefix="gatehouse-first-")
    os.chmod(folder, 0o755)
    done = subprocess.run([*NAMESPACES, sys.executable, os.path.abspath(__file__)], env={**os.environ, INSIDE: folder},
                          capture_output=True, text=True, timeout=600)
    check(done.returncode == 0, f"kept: {folder}\n{done.stdout}{done.stderr}")
    shutil.rmtree(folder)


if __name__ == "__main__":
    if os.environ.get(INSIDE):
        inside(os.environ[INSIDE])
        sys.exit(0)
    if subprocess.run([*NAMESPACES, "mount", "-t", "tmpfs", "none", "/run"], capture_output=True, check=False).returncode:
        print("this user may make no network and no mounts of its own")
        sys.exit(SKIP)
    main([what_ca_init_writes_serves_as_it_is])
