#!/usr/bin/python3
"""Completion in the shells themselves: each loads the script that the tool prints, and is asked what may come next."""
import os
import pty
import select
import shutil
import subprocess
import tempfile
import time

from gatehouse import TOOL, check, main


def ask(*words):
    done = subprocess.run([TOOL, "__complete", "--", *words], capture_output=True, text=True, check=True)
    return [line.split("\t")[0] for line in done.stdout.splitlines()]


def in_folder(test):
    """A folder with `gatehouse` in it and the scripts, and an environment that finds them."""
    folder = tempfile.mkdtemp(prefix="gatehouse-completion-")
    os.symlink(os.path.abspath(TOOL), os.path.join(folder, "gatehouse"))
    for shell in ("bash", "zsh", "fish"):
        with open(os.path.join(folder, f"script.{shell}"), "w") as f:
            f.write(subprocess.run([TOOL, "completion", shell], capture_output=True, text=True, check=True).stdout)
    with open(os.path.join(folder, "root.pem"), "w") as f:
        f.write("x")
    test(folder, {**os.environ, "PATH": f"{folder}:{os.environ['PATH']}", "HOME": folder, "TERM": "dumb",
                  "GATEHOUSE_SOCKET": os.path.join(folder, "nobody")})
    shutil.rmtree(folder)


def the_tool_knows_what_comes_next():
    check("request" in ask("") and "approve" in ask("") and "__complete" not in ask(""), str(ask("")))
    check(ask("requ") == ["request"], "a noun")
    check(ask("request", "app") == ["approve"], "a verb")
    check(ask("est-") == ["est-user"] and ask("est-user", "pass") == ["passwd"], "another word for a noun")
    check(ask("approve", "--di") == ["--digest"], "an option of an alias")
    check(ask("request", "approve", "--di") == ["--digest"], "an option of the command itself")
    check("--digest" not in ask("deny", "--"), "not one of another command")
    check(ask("list", "-o", "js") == ["json", "jsonl"] == ask("-o", "js"), "the value of an option, wherever it stands")
    check(ask("list", "--sort=-ag") == ["--sort=-age"], "a value in the same word")
    check(ask("list", "--columns", "id,sta") == ["id,state", "id,status"], "the last of a list")
    check(ask("ca", "init", "--config", "") == [":files"] and ask("ca", "init", "--data", "") == [":folders"], "files")
    check(ask("policy", "test", "--vi") == ["--via"] and ask("policy", "test", "--csr", "") == [":files"], "policy test")
    check(ask("approve", "4") == [] and ask("nonsense", "") == [] and ask("status", "") == [], "nothing to say")


def bash_completes():
    def test(folder, env):
        def complete(*words):
            script = ('source "$0"; COMP_WORDS=(gatehouse "$@"); COMP_CWORD=$#; _gatehouse; '
                      'printf "%s\\n" "${COMPREPLY[@]}"')
            done = subprocess.run(["bash", "--norc", "-c", script, f"{folder}/script.bash", *words],
                                  capture_output=True, text=True, env=env, cwd=folder, timeout=30)
            check(done.returncode == 0 and not done.stderr, f"bash: {done.stderr}")
            return done.stdout.split()

        check(complete("requ") == ["request"], "a noun")
        check(complete("request", "app") == ["approve"], "a verb")
        check(complete("ca", "init", "--config", "ro") == ["root.pem"], "a file")
        # bash parts a word at '='.
        check(complete("list", "--sort", "=", "ag") == ["age"], "a value after '='")
        check(complete("list", "--sort", "=")[:2] == ["id", "state"], "all values after '='")

    in_folder(test)


def type_into(command, keys, env, folder, wanted, wait_s=30):
    """Start a shell at a terminal, type, and return what it showed up to `wanted`."""
    pid, fd = pty.fork()
    if pid == 0:
        os.chdir(folder)
        os.execvpe(command[0], command, env)
    shown, sent, end = "", False, time.monotonic() + wait_s
    try:
        while wanted not in shown and time.monotonic() < end:
            if "ready>" in shown and not sent:
                os.write(fd, keys.encode())
                sent = True
            if select.select([fd], [], [], 0.1)[0]:
                shown += os.read(fd, 4096).decode(errors="replace")
    except OSError:
        pass  # the shell is gone
    os.kill(pid, 9)
    os.waitpid(pid, 0)
    os.close(fd)
    check(wanted in shown, f"{command[0]} showed: {shown!r}")
    return shown


def zsh_completes():
    if not shutil.which("zsh"):
        print("        no zsh here")
        return

    def test(folder, env):
        with open(os.path.join(folder, ".zshrc"), "w") as f:
            f.write("unsetopt zle_bracketed_paste 2>/dev/null\nautoload -Uz compinit && compinit -u -D\n"
                    f"source {folder}/script.zsh\nPROMPT='ready>'\n")
        env = {**env, "ZDOTDIR": folder, "TERM": "xterm"}
        # The only candidate is completed, with the blank after it; the shell then runs the line.
        type_into(["zsh", "-i"], "gatehouse requ\tapp\t--help\n", env, folder, "usage: gatehouse request approve")

    in_folder(test)


def zsh_finds_an_installed_script():
    if not shutil.which("zsh"):
        print("        no zsh here")
        return

    def test(folder, env):
        os.makedirs(f"{folder}/functions")
        shutil.copy(f"{folder}/script.zsh", f"{folder}/functions/_gatehouse")
        with open(os.path.join(folder, ".zshrc"), "w") as f:
            f.write(f"fpath=({folder}/functions $fpath)\nautoload -Uz compinit && compinit -u -D\nPROMPT='ready>'\n")
        env = {**env, "ZDOTDIR": folder, "TERM": "xterm"}
        type_into(["zsh", "-i"], "gatehouse requ\tapp\t--help\n", env, folder, "usage: gatehouse request approve")

    in_folder(test)


def fish_completes():
    if not shutil.which("fish"):
        print("        no fish here")
        return

    def test(folder, env):
        def complete(line):
            done = subprocess.run(["fish", "--no-config", "-c",
                                   f"source {folder}/script.fish; complete -C '{line}'"],
                                  capture_output=True, text=True, env=env, cwd=folder, timeout=60)
            check(done.returncode == 0 and not done.stderr, f"fish: {done.stderr}")
            return [found.split("\t")[0] for found in done.stdout.splitlines()]

        check(complete("gatehouse requ") == ["request"], "a noun")
        check(complete("gatehouse request app") == ["approve"], "a verb")
        check("--digest" in complete("gatehouse approve --d"), "an option")
        check(complete("gatehouse ca init --config ro") == ["root.pem"], "a file")

    in_folder(test)


main([the_tool_knows_what_comes_next, bash_completes, zsh_completes, zsh_finds_an_installed_script, fish_completes])
