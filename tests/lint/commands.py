#!/usr/bin/python3
"""The papers against the tool's table of commands: every noun has its manual page, and every command line that a page,
README or the table itself gives as an example is one that the tool takes.

    commands.py GATEHOUSE [ROOT]
"""
import os
import re
import shlex
import subprocess
import sys

import source_tree

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "docs", "man"))

import fill_commands

MAN = "docs/man"
# A command line of a code block: indented or fenced; what stands before it may raise rights.
LINE = re.compile(r"^(?:\t| {4})?(?:\$ )?(?:sudo )?gatehouse (?!-)(.+)$")
STOPS = {"|", ">", ">>", "&&", ";", "&", "<"}


def nouns(tool):
    return re.findall(r"^\*gatehouse-([a-z]+)\*\(1\)$", fill_commands.printer(tool)("nouns"), re.M)


def code_lines(text):
    """(line number, line) of what is set as code: fenced by ``` or indented by four blanks."""
    is_fenced = False
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip() == "```" or line.startswith("```"):
            is_fenced = not is_fenced
        elif is_fenced or line.startswith("    "):
            yield number, line


def command_words(line):
    """The words after `gatehouse` up to the first that is the shell's; None when it is no command line."""
    match = LINE.match(line)
    if not match:
        return None
    text = match.group(1).rstrip("\\")
    # What follows after several blanks explains the command.
    text = re.split(r" {3,}", text)[0]
    try:
        lexer = shlex.shlex(text, posix=True, punctuation_chars=True)
        lexer.whitespace_split = True
        words = list(lexer)
    except ValueError:
        return None
    for i, word in enumerate(words):
        if word in STOPS:
            return words[:i]
    return words


def refused(tool, words):
    """What the tool says against a command line; "" when it is one."""
    return subprocess.run([tool, "__parse", "--", *words], capture_output=True, text=True).stderr.strip()


def papers(root):
    for path in source_tree.files(root):
        if path.endswith((".md", ".scd")) and not path.startswith("tests/"):
            yield path, source_tree.read(root, path)


def lint_pages(tool, root):
    findings = []
    overview = source_tree.read(root, f"{MAN}/gatehouse.1.scd")
    for part in ("common", "lists", "daily", "nouns", "tool", "exit", "filter"):
        if part not in fill_commands.parts(overview):
            findings.append(f"{MAN}/gatehouse.1.scd: there is no line @manual {part}@")
    for noun in nouns(tool):
        path = f"{MAN}/gatehouse-{noun}.1.scd"
        page = source_tree.read(root, path) if os.path.exists(os.path.join(root, path)) else ""
        for part in (noun, "exit"):
            if part not in fill_commands.parts(page):
                findings.append(f"{path}: there is no line @manual {part}@")
        if f"'gatehouse-{noun}'" not in source_tree.read(root, "docs/meson.build"):
            findings.append(f"docs/meson.build: {path} is not built")
    return findings


def lint_lines(tool, root):
    findings, n = [], 0
    texts = list(papers(root))
    texts += [(f"gatehouse __manual {part}", fill_commands.printer(tool)(part)) for part in nouns(tool) + ["tool"]]
    for path, text in texts:
        for number, line in code_lines(text):
            words = command_words(line)
            if not words:
                continue
            n += 1
            said = refused(tool, words)
            if said:
                findings.append(f"{path}:{number}: gatehouse {' '.join(words)}: {said}")
    return findings + ([] if n > 10 else [f"only {n} command lines were found in the papers"])


if __name__ == "__main__":
    source_tree.tell(lint_pages(sys.argv[1], source_tree.root_of(sys.argv[1:])) +
                     lint_lines(sys.argv[1], source_tree.root_of(sys.argv[1:])), "findings")
