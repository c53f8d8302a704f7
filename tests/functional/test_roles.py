#!/usr/bin/python3
"""Real users and groups of the system at the admin socket: who holds which role, and that who loses it has lost it with his
next call, on a session that was open before too. Makes users and groups, and removes them."""
import contextlib
import os
import shutil
import socket
import struct
import subprocess
import sys
import time

from acme_client import Client, Responder
from gatehouse import DOMAIN, SKIP, TOOL, check, gatehouse, main

PREFIX = f"gh{os.getpid()}"
DONE, NOT_PERMITTED = 0, 4
PUBLISH = b"\x8a\x02\x00"  # Call.publish_crl


def deny(number):
    inner = b"\x08" + bytes([number])
    return b"\x2a" + bytes([len(inner)]) + inner  # Call.deny


def change_system(*words):
    """As useradd(8) and its kin; another process may hold the lock on the files for a moment."""
    for _ in range(100):
        done = subprocess.run(words, capture_output=True, text=True, timeout=60)
        if done.returncode == 0:
            return
        check("lock" in done.stderr, f"{' '.join(words)}: {done.stderr}")
        time.sleep(0.1)
    raise AssertionError(f"{' '.join(words)}: {done.stderr}")


class System:
    """Users and groups for one test."""

    def __init__(self):
        self.users, self.groups = [], []

    def add_group(self, name):
        self.groups.append(PREFIX + name)
        change_system("groupadd", "--system", PREFIX + name)
        return PREFIX + name

    def add_user(self, name, group, *more):
        self.users.append(PREFIX + name)
        change_system("useradd", "--system", "--no-create-home", "--no-log-init", "--gid", group, "--groups", ",".join(more),
                      "--shell", "/usr/sbin/nologin", PREFIX + name)
        return PREFIX + name

    def remove(self):
        for kind, names in (("userdel", self.users), ("groupdel", self.groups)):
            for name in names:
                subprocess.run([kind, name], capture_output=True, check=False, timeout=60)


@contextlib.contextmanager
def system():
    s = System()
    try:
        yield s
    finally:
        s.remove()


def number_of(user):
    """The system's own words: uid and gid."""
    return [int(subprocess.run(["id", option, user], capture_output=True, text=True, check=True).stdout) for option in ("-u", "-g")]


def run(g, user, *words, code=0, groups=()):
    """The tool, as this user. A process has the groups that whoever starts it gives it; by default none but its own."""
    uid, gid = number_of(user)
    tool = os.path.join(g.folder, "gatehouse")
    if not os.path.exists(tool):
        shutil.copy(TOOL, tool)
    done = subprocess.run([tool, "--socket", g.socket, *map(str, words)], stdin=subprocess.DEVNULL, capture_output=True,
                          text=True, timeout=60, user=uid, group=gid, extra_groups=list(groups), cwd="/")
    check(done.returncode == code, f"{user}: gatehouse {words}: exit {done.returncode}, wanted {code}\n{done.stdout}{done.stderr}")
    return done.stdout


class Session:
    """A connection to the admin socket that this user made, open for as long as the test wants."""

    def __init__(self, g, user):
        uid, gid = number_of(user)
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(60)
        os.setegid(gid)
        os.seteuid(uid)
        try:
            self.socket.connect(g.socket)
        finally:
            os.seteuid(0)
            os.setegid(0)

    def ask(self, call):
        """The outcome; None: the connection is over."""
        try:
            self.socket.sendall(struct.pack(">I", len(call)) + call)
            head = self.receive(4)
            reply = self.receive(struct.unpack(">I", head)[0]) if head else None
        except (BrokenPipeError, ConnectionResetError):
            return None
        if reply is None:
            return None
        return reply[1] if reply[0] == 0x08 else DONE  # Reply.outcome, which is first

    def receive(self, n):
        octets = b""
        while len(octets) < n:
            more = self.socket.recv(n - len(octets))
            if not more:
                return None
            octets += more
        return octets

    def close(self):
        self.socket.close()


def hold(g, *words):
    """Requests that wait; their numbers."""
    with contextlib.closing(Responder(g.http01_port)) as responder:
        client = Client(g, responder).start()
        for word in words:
            name = f"hold-{word}.{DOMAIN}"
            _, order = client.order(name)
            client.prove(order)
            client.finalize(order, client.csr(name))
    found = {r["names"][0]: r["id"] for r in g.pending()}
    return [found[f"hold-{word}.{DOMAIN}"] for word in words]


def change_config(g, old, new):
    with open(g.config, encoding="utf-8") as f:
        text = f.read()
    check(text.count(old) == 1, f"'{old}' stands {text.count(old)} times in the configuration")
    with open(g.config, "w", encoding="utf-8") as f:
        f.write(text.replace(old, new))


def roles_are_those_of_users_and_groups():
    with system() as s:
        others, officers, auditors = (s.add_group(name) for name in ("oth", "off", "aud"))
        alice = s.add_user("alice", others)
        bob = s.add_user("bob", others, officers)       # by a further group
        carol = s.add_user("carol", auditors)           # by his own
        dave = s.add_user("dave", others)
        erin = s.add_user("erin", others, officers, auditors)
        core = (f"  administrators: [root, {alice}]\n  officers: [root, \"%{officers}\"]\n"
                f"  officer-rights: [{{officer: \"%{officers}\", profiles: any}}]\n"
                f"  auditors: [root, \"%{auditors}\"]\n  operators: [root, {erin}]\n")
        with gatehouse(core=core) as g:
            first, second = hold(g, "first", "second")
            for user, want in ((alice, "administrator"), (bob, "officer"), (carol, "auditor"),
                               (erin, "auditor, officer, operator")):
                check(f"you are unix:{user}: {want}\n" in (said := run(g, user, "status")), f"{user}: {said}")
            run(g, dave, "status", code=7)
            run(g, alice, "ca", "crl", "--publish")
            run(g, alice, "deny", first, code=7)
            run(g, bob, "deny", first)
            run(g, bob, "ca", "crl", "--publish", code=7)
            run(g, bob, "audit", "tail", code=7)
            run(g, carol, "audit", "tail")
            run(g, carol, "list")
            run(g, carol, "deny", second, code=7)
            # What the system's list of groups says counts, not what a process was given.
            gid = int(subprocess.run(["getent", "group", officers], capture_output=True, text=True,
                                     check=True).stdout.split(":")[2])
            run(g, dave, "deny", second, code=7, groups=[gid])
            who = [r["actor"] for r in g.tool_json("audit", "search", "--action", "admin-deny")["records"]]
            check(who == [f"unix:{bob}"], f"the trail says {who}")


def who_leaves_a_group_has_left_it_on_an_open_session():
    with system() as s:
        others, officers = s.add_group("oth"), s.add_group("off")
        bob = s.add_user("bob", others, officers)
        core = (f"  officers: [root, \"%{officers}\"]\n  officer-rights: [{{officer: \"%{officers}\", profiles: any}}]\n"
                f"  auditors: [root, {bob}]\n")
        with gatehouse(core=core) as g:
            first, second, third = hold(g, "first", "second", "third")
            with contextlib.closing(Session(g, bob)) as session:
                check(session.ask(deny(first)) == DONE, "he is an officer")
                change_system("gpasswd", "-d", bob, officers)
                check(session.ask(deny(second)) == NOT_PERMITTED, "he was one")
                check([r["id"] for r in g.pending()] == [second, third], "nothing was decided")
                change_system("gpasswd", "-a", bob, officers)
                check(session.ask(deny(second)) == DONE, "he is one again")
                change_system("usermod", "--groups", "", bob)
                check(session.ask(deny(third)) == NOT_PERMITTED, "and is none")


def an_administrator_who_is_taken_off_the_list_is_none_with_the_next_call():
    with system() as s:
        alice = s.add_user("alice", s.add_group("oth"))
        both, one = f"  administrators: [root, {alice}]\n", "  administrators: [root]\n"
        with gatehouse(core=both) as g:
            with contextlib.closing(Session(g, alice)) as session:
                check(session.ask(PUBLISH) == DONE, "she is an administrator")
                change_config(g, both, one)
                check(session.ask(PUBLISH) == DONE, "a file that nobody has read changes nothing")
                g.reload()
                published = g.tool_json("audit", "search", "--action", "publish")["records"]
                check(session.ask(PUBLISH) in (None, NOT_PERMITTED), "the session that was open does nothing for her")
            with contextlib.closing(Session(g, alice)) as session:
                check(session.ask(PUBLISH) == NOT_PERMITTED, "nor does a new one")
            run(g, alice, "ca", "crl", "--publish", code=7)
            run(g, alice, "status", code=7)
            after = g.tool_json("audit", "search", "--action", "publish")["records"]
            check(not [r for r in after if r not in published and r["actor"] == f"unix:{alice}"], f"published: {after}")
            change_config(g, one, both)
            g.reload()
            run(g, alice, "ca", "crl", "--publish")


TESTS = [roles_are_those_of_users_and_groups, who_leaves_a_group_has_left_it_on_an_open_session,
         an_administrator_who_is_taken_off_the_list_is_none_with_the_next_call]

if __name__ == "__main__":
    if os.geteuid() != 0:
        print("not run as root: it makes users and groups of the system")
        sys.exit(SKIP)
    main([t for t in TESTS if not sys.argv[1:] or t.__name__ in sys.argv[1:]])
