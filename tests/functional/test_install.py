#!/usr/bin/python3
"""What is installed: programs, manual pages, and what a service manager needs, which it can read."""
import os
import shutil
import subprocess
import tempfile

from gatehouse import BUILD, check, main

# The users of the processes, as section `processes` of the configuration names them.
USERS = ("gatehouse", "gatehouse-gw", "gatehouse-sign", "gatehouse-va", "gatehouse-ra")


def find(root, name, is_program=False):
    """A completion file may be named as its program is."""
    for folder, _, names in os.walk(root):
        path = os.path.join(folder, name)
        if name in names and os.access(path, os.X_OK) >= is_program:
            return path
    raise AssertionError(f"{name} is not installed{' as a program' if is_program else ''}")


def installs_what_a_service_needs():
    root = tempfile.mkdtemp(prefix="gatehouse-install-")
    subprocess.run(["meson", "install", "-C", BUILD, "--no-rebuild", "--destdir", root], check=True, capture_output=True)
    for name in ("gatehoused", "gatehouse", "gatehouse-signer", "gatehouse-validator"):
        find(root, name, is_program=True)
    for name in ("gatehoused.8", "gatehouse.1", "gatehouse-request.1", "gatehouse.yaml.5"):
        find(root, name)
    for shell, name in (("bash", "completions/gatehouse"), ("zsh", "_gatehouse"), ("fish", "gatehouse.fish")):
        path = [os.path.join(folder, f) for folder, _, names in os.walk(root) for f in names
                if os.path.join(folder, f).endswith("/" + name)]
        with open(path[0]) as f:
            check(f"made by `gatehouse completion {shell}`" in f.read(), f"completion for {shell}")
    with open(find(os.path.join(root), "gatehouse.service")) as f:
        unit = f.read()
    daemon = find(root, "gatehoused", is_program=True)[len(root):]
    check(f"ExecStart={daemon}\n" in unit, "the unit starts another program")
    check("SystemCallErrorNumber=EPERM\n" in unit, "a system call that a library only tries would kill the process")
    with open(os.path.join(os.path.dirname(find(root, "gatehouse.service")), "gatehouse.socket")) as f:
        check("ListenStream=" in f.read(), "the socket unit listens nowhere")
    users = [path for path in (os.path.join(folder, "gatehouse.conf") for folder, _, names in os.walk(root)
                               if "gatehouse.conf" in names) if "sysusers.d" in path]
    with open(users[0]) as f:
        made = [line.split()[1] for line in f if line.startswith("u ")]
    check(sorted(made) == sorted(USERS), f"users: {made}")
    if shutil.which("systemd-sysusers"):
        # Into a root of its own: nothing of this machine changes.
        os.makedirs(f"{root}/etc", exist_ok=True)
        subprocess.run(["systemd-sysusers", f"--root={root}", users[0]], check=True, capture_output=True)
        with open(f"{root}/etc/passwd") as f:
            names = [line.split(":")[0] for line in f]
        check(set(USERS) <= set(names), f"made: {names}")
    if shutil.which("systemd-analyze"):
        unit_path = os.path.join(root, "gatehouse.service")
        with open(unit_path, "w") as f:
            f.write(unit.replace(daemon, os.path.join(root, daemon[1:])))
        done = subprocess.run(["systemd-analyze", "verify", "--man=no", unit_path], capture_output=True, text=True)
        complaints = [line for line in done.stderr.splitlines() if "gatehouse.service" in line]
        check(not complaints, f"systemd does not like the unit: {complaints}")
        done = subprocess.run(["systemd-analyze", "security", "--offline=true", unit_path], capture_output=True, text=True)
        level = float(done.stdout.strip().splitlines()[-1].split(":")[-1].split()[0])
        print(f"        exposure by systemd-analyze security: {level}")
        check(level <= 3, f"exposure {level}")
    shutil.rmtree(root)


main([installs_what_a_service_needs])
