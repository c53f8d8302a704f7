#!/usr/bin/python3
"""The daemon as processes: users, restarts, reload, what a service manager gives and is told."""
import http.client
import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
import threading
import time

import processes
from acme_client import Client, Responder
from gatehouse import (DAEMON, DOMAIN, LONG, ROLES, TOOL, USERS, Gatehouse, check, free_ports, gatehouse, hand_to,
                       main, user_config)


def status_of(pid, field):
    with open(f"/proc/{pid}/status") as f:
        return re.search(rf"^{field}:[ \t]*(.*)$", f.read(), re.M).group(1)


def get_one(g, responder, name):
    return Client(g, responder).start().get_order(name)[2]


def five_processes_five_users():
    with gatehouse() as g:
        found = g.processes()
        check(set(found) == set(ROLES), f"processes: {found}")
        for role, pid in found.items():
            check(status_of(pid, "NoNewPrivs") == "1", f"{role} may get new privileges")
            check(int(status_of(pid, "CapEff"), 16) == 0 or not USERS, f"{role} has capabilities")
            if USERS:
                uids = set(status_of(pid, "Uid").split())
                check(uids == {str(USERS[role])}, f"{role} has users {uids}")
                check(status_of(pid, "Groups").strip() == "", f"{role} has supplementary groups")
        if USERS:
            check(os.stat(f"{g.data}/core").st_uid == USERS["core"], "the core's folder is not the core's")
            check(os.stat(f"{g.data}/gateway").st_uid == USERS["gateway"], "the gateway's folder is not its own")
            check(os.stat(f"{g.data}/kek").st_uid == 0, "the key-encryption key changed hands")
            check("roles not separated" not in g.tool_json("status")["health"], "status says something else")
        ports = {port for role in ("signer", "validator", "core") for port in listening_ports(found[role])}
        check(not ports, f"others than the gateway listen on {ports}")


def listening_ports(pid):
    """TCP ports on which a process has a listening socket."""
    inodes = set()
    for fd in os.listdir(f"/proc/{pid}/fd"):
        try:
            inodes.add(os.readlink(f"/proc/{pid}/fd/{fd}"))
        except OSError:
            pass
    ports = set()
    for line in open(f"/proc/{pid}/net/tcp").readlines()[1:]:
        fields = line.split()
        if fields[3] == "0A" and f"socket:[{fields[9]}]" in inodes:
            ports.add(int(fields[1].split(":")[1], 16))
    return ports


def comes_back_when_a_process_is_killed():
    with gatehouse() as g:
        responder = Responder(g.http01_port)
        slowest = 0
        for i in range(5 if LONG else 2):
            for role in ROLES:
                before = g.processes()
                g.kill_role(role)
                begin = time.monotonic()
                get_one(g, responder, f"{role}{i}.{DOMAIN}")
                slowest = max(slowest, time.monotonic() - begin)
                g.wait_role(role, not_pid=before[role])
                if role in ("core", "signer", "validator"):
                    check(g.processes()["gateway"] == before["gateway"], f"the gateway ended with the {role}")
        responder.close()
        print(f"        slowest certificate after a kill: {slowest:.2f} s")
        check(slowest < 5, f"a certificate took {slowest:.1f} s after a kill")


def comes_back_when_two_are_killed_together():
    with gatehouse() as g:
        responder = Responder(g.http01_port)
        for i, pair in enumerate([("core", "gateway"), ("signer", "core"), ("gateway", "validator")] * 3):
            before = g.processes()
            for role in pair:
                g.kill_role(role)
            end = time.monotonic() + 15
            while True:
                try:
                    get_one(g, responder, f"two{i}.{DOMAIN}")
                    break
                except OSError:  # a connection that the dead gateway had accepted
                    check(time.monotonic() < end, f"no certificate after {pair} were killed: {g.log_tail()}")
            for role in pair:
                g.wait_role(role, not_pid=before[role])
        responder.close()


def survives_a_core_that_stands_still():
    """Longer than anybody's patience, with more calls than a window holds."""
    with gatehouse() as g:
        responder = Responder(g.http01_port)
        clients = [Client(g, responder).start() for _ in range(12)]
        stopping = threading.Event()

        def ask(client, number):
            n = 0
            while not stopping.is_set():
                n += 1
                try:
                    client.get_order(f"s{number}-{n}.{DOMAIN}")
                except Exception:  # told to come back, or too late: that is the test
                    client.connection = None

        threads = [threading.Thread(target=ask, args=(c, i)) for i, c in enumerate(clients)]
        for t in threads:
            t.start()
        core = g.processes()["core"]
        os.kill(core, signal.SIGSTOP)
        time.sleep(10)
        os.kill(core, signal.SIGCONT)
        stopping.set()
        begin = time.monotonic()
        get_one(g, responder, f"after.{DOMAIN}")
        print(f"        a certificate {time.monotonic() - begin:.1f} s after the core went on")
        for t in threads:
            t.join(90)
        check(g.processes()["core"] == core, "the core was started again")
        responder.close()


def keeps_the_old_configuration_when_the_new_one_does_not_start():
    with gatehouse() as g:
        responder = Responder(g.http01_port)
        with open(g.config) as f:
            good = f.read()
        with open(g.config, "w") as f:
            f.write(good.replace(f"folder: {g.issued}", "folder: /proc/nothing-can-be-written-here"))
        line = g.reload(event="server.reload.refused")
        check("file" in line and "gatehouse.yaml:" in line, line)
        get_one(g, responder, f"old.{DOMAIN}")
        with open(g.config, "w") as f:
            f.write(good)
        g.reload()
        get_one(g, responder, f"new.{DOMAIN}")
        responder.close()


def nothing_is_left_of_a_killed_daemon():
    with gatehouse() as g:
        for _ in range(5):
            children = list(g.processes().values())
            g.kill()
            g.start()
            end = time.monotonic() + 5
            while any(map(processes.is_alive, children)) and time.monotonic() < end:
                time.sleep(0.02)
            left = [pid for pid in children if processes.is_alive(pid)]
            check(not left, f"processes of the daemon that was killed are left: {left}")


def starts_again_what_ends_while_others_start():
    """The gateway, held still in the middle of its start, needs the core that ends meanwhile."""
    g = Gatehouse()
    for _ in range(10):
        at = os.path.getsize(g.log_path) if os.path.exists(g.log_path) else 0
        g.spawn()
        gateway = None
        while not gateway:
            gateway = g.processes().get("gateway")
        os.kill(gateway, signal.SIGSTOP)
        with open(g.log_path) as f:
            f.seek(at)
            was_in_time = "event=core.connected" not in f.read()
        before = g.kill_role("core")
        g.wait_role("core", not_pid=before)
        os.kill(gateway, signal.SIGCONT)
        g.wait_log("server.ready", at, wait_s=20)
        g.stop()
        if was_in_time:
            break
    check(was_in_time, "the gateway was never caught while it started")
    subprocess.run(["rm", "-rf", g.folder], check=True)


def removes_what_a_killed_process_left_half_written():
    with gatehouse() as g:
        left = [f"{g.data}/gateway/tls-public.key.0123456789abcdef.tmp",
                f"{g.issued}/00000001-2345.pem.0123456789abcdef.tmp"]
        for path, role in zip(left, ("gateway", "core")):
            with open(path, "w"):
                pass
            before = g.kill_role(role)
            g.wait_role(role, not_pid=before)
            end = time.monotonic() + 10
            while os.path.exists(path) and time.monotonic() < end:
                time.sleep(0.02)
            check(not os.path.exists(path), f"{path} is left")


def is_calm_again_after_ten_seconds():
    """The pause before a process is started again grows with each failure, until it was up for long enough."""
    def kill_and_wait(g, role):
        begin, before = time.monotonic(), g.kill_role(role)
        g.wait_role(role, not_pid=before)
        return time.monotonic() - begin

    with gatehouse() as g:
        pauses = [kill_and_wait(g, "validator") for _ in range(4)]
        check(pauses[0] < 0.4, f"the first restart took {pauses[0]:.2f} s")
        check(pauses[3] >= 0.8, f"the fourth restart in a row took only {pauses[3]:.2f} s")
        time.sleep(10.5)  # what this is about: CALM_MS of gateway/supervisor/children.c
        pauses.append(kill_and_wait(g, "validator"))
        check(pauses[4] < 0.4, f"after ten quiet seconds the restart took {pauses[4]:.2f} s")


def reads_a_new_configuration():
    with gatehouse() as g:
        responder = Responder(g.http01_port)
        with open(g.config) as f:
            good = f.read()
        before = g.processes()
        with open(g.config, "w") as f:
            f.write(good.replace("lifetime: 30d", "lifetime: 5d\n    lifetyme: 5d"))
        line = g.reload(event="server.reload.refused")
        check("gatehouse.yaml:" in line and "lifetyme" in line, f"neither line nor reason: {line}")
        check(g.processes() == before, "a configuration that was refused started processes")
        with open(g.config, "w") as f:
            f.write(good.replace("lifetime: 30d", "lifetime: 5d"))
        g.reload()
        certificate = get_one(g, responder, f"reloaded.{DOMAIN}")
        text = subprocess.run(["openssl", "x509", "-noout", "-startdate", "-enddate"], input=certificate,
                              capture_output=True, text=True, check=True).stdout
        begin, end = (time.mktime(time.strptime(line.split("=")[1], "%b %d %H:%M:%S %Y GMT"))
                      for line in text.splitlines())
        days = round((end - begin) / 86400)
        check(days == 5, f"the certificate is valid for {days} days: the old configuration is used")
        responder.close()


def refuses_what_only_a_restart_changes():
    with gatehouse() as g:
        with open(g.config) as f:
            good = f.read()
        with open(g.config, "w") as f:
            f.write(good.replace(f"data: {g.data}", f"data: {g.data}-other"))
        line = g.reload(event="server.reload.refused")
        check("restart" in line, line)
        with open(g.config, "w") as f:
            f.write(good)


def opens_and_closes_listeners():
    with gatehouse() as g:
        with open(g.config) as f:
            good = f.read()
        port = next(p for p in free_ports(3) if p not in (g.port, g.metrics_port))
        with open(g.config, "w") as f:
            f.write(good.replace("metrics:\n", f"  - name: plain\n    address: 127.0.0.1\n    port: {port}\n"
                                               f"    tls: false\n    names: [localhost]\nmetrics:\n"))
        g.reload()
        with socket.create_connection(("127.0.0.1", port), timeout=5) as s:
            s.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            check(b" 200 " in s.recv(4096), "the new listener does not answer")
        with open(g.config, "w") as f:
            f.write(good)
        g.reload()
        try:
            socket.create_connection(("127.0.0.1", port), timeout=5).close()
            check(False, "the listener that is gone from the configuration still accepts")
        except ConnectionRefusedError:
            pass


def moves_a_listener_to_another_address():
    with gatehouse() as g:
        with open(g.config) as f:
            text = f.read()
        with open(g.config, "w") as f:
            f.write(text.replace(f"    address: 127.0.0.1\n    port: {g.port}\n",
                                 f"    address: 127.0.0.2\n    port: {g.port}\n"))
        g.reload()
        socket.create_connection(("127.0.0.2", g.port), timeout=5).close()
        try:
            socket.create_connection(("127.0.0.1", g.port), timeout=5).close()
            check(False, "the address that the listener had still accepts")
        except ConnectionRefusedError:
            pass


def reloads_under_load():
    with gatehouse() as g:
        responder = Responder(g.http01_port)
        stopping, failures, done = threading.Event(), [], []

        def run(number):
            n, client = 0, None
            while not stopping.is_set():
                n += 1
                try:
                    client = client or Client(g, responder).start()
                    client.get_order(f"r{number}-{n}.{DOMAIN}")
                    done.append(1)
                except (ConnectionError, ssl.SSLEOFError, http.client.RemoteDisconnected):
                    client = None  # a kept-alive connection that was closed in order
                except Exception as e:
                    failures.append(repr(e))
                    client = None

        threads = [threading.Thread(target=run, args=(i,)) for i in range(4)]
        for t in threads:
            t.start()
        rounds = 100 if LONG else 10
        for _ in range(rounds):
            time.sleep(0.4)
            g.reload()
        stopping.set()
        for t in threads:
            t.join(60)
        responder.close()
        print(f"        {rounds} reloads, {len(done)} certificates meanwhile")
        check(len(done) >= rounds, f"hardly any load: {len(done)}")
        check(not failures, f"{len(failures)} failures, the first: {failures[:3]}")


def tells_the_service_manager():
    with gatehouse() as g:
        g.stop()
        path = os.path.join(g.folder, "notify")
        s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        s.bind(path)
        os.chmod(path, 0o777)
        s.settimeout(20)
        os.environ["NOTIFY_SOCKET"] = path
        try:
            g.start()
            check(s.recv(100) == b"READY=1", "not told that it is ready")
            g.reload()
            check(s.recv(100).startswith(b"RELOADING=1\nMONOTONIC_USEC="), "not told that it reloads")
            check(s.recv(100) == b"READY=1", "not told that it is ready again")
            g.stop()
            check(s.recv(100) == b"STOPPING=1", "not told that it stops")
        finally:
            del os.environ["NOTIFY_SOCKET"]
            s.close()


def takes_sockets_of_the_service_manager():
    """A socket that somebody else bound and listens on: the client that waits in it is answered."""
    g = Gatehouse()
    s = socket.socket()
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.bind(("127.0.0.1", g.metrics_port))
    s.listen(16)
    early = socket.create_connection(("127.0.0.1", g.metrics_port))
    early.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")

    def give():
        os.dup2(s.fileno(), 3)
        os.environ["LISTEN_FDS"] = "1"
        os.environ["LISTEN_PID"] = str(os.getpid())

    # An environment changed after the fork reaches the program only through a shell.
    log = open(g.log_path, "ab")
    g.process = subprocess.Popen(["/bin/sh", "-c", f"LISTEN_PID=$$ exec {DAEMON} --config {g.config}"],
                                 stdin=subprocess.DEVNULL, stdout=log, stderr=log, preexec_fn=give, pass_fds=(3,),
                                 env=dict(os.environ, LISTEN_FDS="1"))
    g.wait_log("server.ready")
    early.settimeout(10)
    check(early.recv(4096).startswith(b"HTTP/1.1 "), "the client that waited is not answered")
    early.close()
    s.close()
    g.stop()
    subprocess.run(["rm", "-rf", g.folder], check=True)


def keeps_its_processes_from_the_admin_socket():
    """The users of the other processes have no right there."""
    if not USERS:
        return
    with gatehouse() as g:
        for role in ("gateway", "signer", "validator"):
            done = subprocess.run(["setpriv", f"--reuid={USERS[role]}", f"--regid={USERS[role]}", "--clear-groups",
                                   TOOL, "--socket", g.socket, "pending"],
                                  capture_output=True, text=True)
            check(done.returncode != 0, f"the user of the {role} may look at the queue")


def keeps_its_descendants_from_the_admin_socket():
    """Where all have one user it is what the supervisor started that has no right: here the tool, as the child of a
    child that a shell made before it became the supervisor."""
    g = Gatehouse()
    with open(g.config) as f:
        text = f.read()
    with open(g.config, "w") as f:
        f.write(text.replace(user_config(), user_config(separates=False)))
    go, code = os.path.join(g.folder, "go"), os.path.join(g.folder, "code")
    ask = f"{TOOL} --socket {g.socket} pending >&2"
    with open(g.log_path, "ab") as log:
        g.process = subprocess.Popen(
            ["/bin/sh", "-c", f"(for i in $(seq 300); do [ -e {go} ] && break; sleep 0.1; done; {ask}; "
                              f"echo $? >{code}.new; mv {code}.new {code}) & exec {DAEMON} --config {g.config}"],
            stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    g.wait_log("server.ready")
    check("administrator" in g.tool_json("status")["roles"], "an ordinary process of the same user has no right")
    open(go, "w").close()
    end = time.monotonic() + 30
    while not os.path.exists(code) and time.monotonic() < end:
        time.sleep(0.05)
    with open(code) as f:
        check(f.read().strip() != "0", "a process below the supervisor may look at the queue")
    check("this user has no role that allows it" in g.log_tail(), f"refused for another reason: {g.log_tail()}")
    g.stop()
    shutil.rmtree(g.folder)


def uses_a_low_port_without_rights():
    if not USERS:
        return
    g = Gatehouse()
    low = next(p for p in range(881, 1000) if not is_taken(p))
    with open(g.config) as f:
        text = f.read()
    with open(g.config, "w") as f:
        f.write(text.replace(f"port: {g.metrics_port}", f"port: {low}"))
    g.start()
    for _ in range(2):
        with socket.create_connection(("127.0.0.1", low), timeout=5) as s:
            s.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            check(s.recv(4096).startswith(b"HTTP/1.1 "), "no answer on the low port")
        before = g.kill_role("gateway")
        g.wait_role("gateway", not_pid=before)
    g.stop()
    subprocess.run(["rm", "-rf", g.folder], check=True)


def is_taken(port):
    with socket.socket() as s:
        try:
            s.bind(("127.0.0.1", port))
            return False
        except OSError:
            return True


def starts_before_its_ca_is_made():
    """Who starts first and makes the CA then loses nothing, also where the folder belongs to the core already."""
    for is_given in (False, True):
        g = Gatehouse()
        shutil.rmtree(g.data)
        os.makedirs(f"{g.data}/core", mode=0o700)
        if is_given:
            hand_to("core", f"{g.data}/core")
        g.spawn()
        check(g.process.wait(30) != 0, "it starts without a CA")
        check("gatehouse ca init" in g.log_tail(), f"it does not say what to do: {g.log_tail()}")
        g.make_ca()
        if USERS:
            check(os.stat(f"{g.data}/kek").st_uid == 0, "the key-encryption key is not root's")
        g.start()
        for name in os.listdir(f"{g.data}/core") if USERS else ():
            check(os.stat(f"{g.data}/core/{name}").st_uid == USERS["core"], f"core/{name} is not the core's")
        g.stop()
        shutil.rmtree(g.folder)


def stops_in_order_when_asked_while_starting():
    g = Gatehouse()
    for wait in (0, 0.05, 0.2):
        g.spawn()
        time.sleep(wait)
        g.process.send_signal(signal.SIGTERM)
        check(g.process.wait(40) is not None, "it does not stop")
        g.process = None
    g.start()
    g.stop()
    subprocess.run(["rm", "-rf", g.folder], check=True)


if __name__ == "__main__":
    main([five_processes_five_users, comes_back_when_a_process_is_killed, comes_back_when_two_are_killed_together,
          survives_a_core_that_stands_still, nothing_is_left_of_a_killed_daemon, reads_a_new_configuration,
          keeps_the_old_configuration_when_the_new_one_does_not_start, refuses_what_only_a_restart_changes,
          opens_and_closes_listeners, moves_a_listener_to_another_address, reloads_under_load,
          tells_the_service_manager, takes_sockets_of_the_service_manager, keeps_its_processes_from_the_admin_socket,
          keeps_its_descendants_from_the_admin_socket, uses_a_low_port_without_rights, starts_before_its_ca_is_made,
          starts_again_what_ends_while_others_start, removes_what_a_killed_process_left_half_written,
          is_calm_again_after_ten_seconds,
          stops_in_order_when_asked_while_starting])
