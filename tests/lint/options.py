#!/usr/bin/python3
"""The manual pages of the daemon against it: every option that it prints stands in the page, and it takes the
configuration that the page gives as an example.

    options.py GATEHOUSED MAN-FOLDER
"""
import os
import re
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "docs", "man"))
sys.dont_write_bytecode = True

import fill_options


def listed_options(text):
    """The names of `gatehoused --list-options`."""
    return [name for name, _, _ in fill_options.parse(text)]


def listed_words(text):
    """Commands and options of a --help: commands begin after two blanks, options with --."""
    commands = re.findall(r"^  ([a-z]+(?: [a-z]+)*)(?=  | [A-Z\[])", text, re.M)
    return sorted(commands) + sorted(set(re.findall(r"(?<!\S)\[?(--[a-z-]+)", text)))


def missing(names, page):
    """The names that are nowhere printed bold in the page."""
    bold = re.findall(r"\*([^*\n]+)\*", page)
    # A command stands with its arguments; an option with its value.
    first = {b for b in bold} | {b.split(" _")[0] for b in bold}
    return [name for name in names if name not in first]


def example(page):
    """The configuration under the heading EXAMPLE."""
    return page.split("\n# EXAMPLE\n", 1)[1].split("\n```\n")[1] + "\n"


def refused(daemon, configuration):
    """What the daemon says against a configuration; "" when it takes it."""
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as f:
        f.write(configuration)
        f.flush()
        done = subprocess.run([daemon, "--check-config", "--config", f.name], capture_output=True, text=True)
    return done.stderr.strip() or f"exit status {done.returncode}" if done.returncode else ""


def run(*words):
    return subprocess.run(words, capture_output=True, text=True, check=True).stdout


def main(daemon, folder):
    def page(name):
        with open(os.path.join(folder, name)) as f:
            return f.read().replace("\\_", "_")

    findings = []
    listed = run(daemon, "--list-options")
    filled = fill_options.fill(page("gatehouse.yaml.5.scd"), listed).replace("\\_", "_")
    for name, names, text in (("gatehouse.yaml.5.scd", listed_options(listed), filled),
                              ("gatehoused.8.scd", listed_words(run(daemon, "--help")), page("gatehoused.8.scd"))):
        if not names:
            findings.append(f"{name}: the program printed nothing to hold against it")
        findings += [f"{name}: {wanted} is missing" for wanted in missing(names, text)]
    said = refused(daemon, example(page("gatehouse.yaml.5.scd")))
    findings += [f"gatehouse.yaml.5.scd: the example is refused: {said}"] if said else []
    print("\n".join(findings) or "every option stands in its page, and the example is taken")
    sys.exit(1 if findings else 0)


if __name__ == "__main__":
    main(*sys.argv[1:])
