#!/usr/bin/python3
"""The papers against the tree: every function, file and link they name is there.

    papers.py [ROOT]
"""
import os
import re
import sys

import source_tree

FUNCTION = re.compile(r"`([a-z_][a-z0-9_]*)\(\)`")
# `core/state.c`; not patterns, placeholders in capitals, or files of the data folder.
FILE = re.compile(r"`((?:core|gateway|protocols|policy|exit|tests|docs)/[\w./-]+\.(?:c|h|py|proto|md|scd|build))`")
LINK = re.compile(r"\]\(([^)#:]+)(?:#[^)]*)?\)")


def papers(root):
    return [f for f in source_tree.files(root) if f.endswith(".md") and not f.startswith("tests/")]


def line_of(text, match):
    return text.count("\n", 0, match.start()) + 1


def lint(root):
    bare = "\n".join(source_tree.bare_c(source_tree.read(root, f) or "") for f in source_tree.c_files(root))
    known = set(re.findall(r"\b([a-z_][a-z0-9_]*)\s*\(", bare))
    findings = []
    for paper in papers(root):
        text = source_tree.read(root, paper)
        for match in FUNCTION.finditer(text):
            if match.group(1) not in known:
                findings.append(f"{paper}:{line_of(text, match)}: there is no function {match.group(1)}()")
        for match in FILE.finditer(text):
            # NAME stands for a name in "where to add X".
            if "NAME" not in match.group(1) and not os.path.exists(os.path.join(root, match.group(1))):
                findings.append(f"{paper}:{line_of(text, match)}: there is no file {match.group(1)}")
        for match in LINK.finditer(text):
            if not os.path.exists(os.path.join(root, os.path.dirname(paper), match.group(1))):
                findings.append(f"{paper}:{line_of(text, match)}: the link to {match.group(1)} leads nowhere")
    return findings


if __name__ == "__main__":
    source_tree.tell(lint(source_tree.root_of(sys.argv)), "findings")
