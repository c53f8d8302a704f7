"""What the lints share: the files of the tree, C without its comments and strings, and how findings are told."""
import os
import re
import sys

SOURCE_FOLDERS = ("core", "gateway", "policy", "exit", "protocols", "tests")


def files(root):
    """Every file of the tree as a path below root, sorted; without builds, caches and what begins with a dot."""
    found = []
    for folder, folders, names in os.walk(root):
        at_top = os.path.samefile(folder, root)
        folders[:] = sorted(f for f in folders if not f.startswith(".") and f != "__pycache__" and
                            not (at_top and f.startswith("build")))
        found += [os.path.relpath(os.path.join(folder, name), root) for name in names if not name.endswith(".pyc")]
    return sorted(found)


def c_files(root):
    return [f for f in files(root) if f.endswith((".c", ".h")) and f.split(os.sep)[0] in SOURCE_FOLDERS]


def read(root, path):
    """The text, or None when it is not text."""
    with open(os.path.join(root, path), "rb") as f:
        octets = f.read()
    try:
        return octets.decode()
    except UnicodeDecodeError:
        return None


TOKENS = re.compile(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.S)


def bare_c(text, keep_strings=False):
    """The text with comments (and strings) blanked; lines stay where they are."""
    def blank(match):
        token = match.group()
        if keep_strings and token[0] in "\"'":
            return token
        return re.sub(r"[^\n]", " ", token)

    return TOKENS.sub(blank, text)


def tell(findings, what):
    """Print the findings and end."""
    for finding in findings:
        print(finding)
    if findings:
        print(f"{len(findings)} {what}")
    sys.exit(1 if findings else 0)


def root_of(arguments):
    here = os.path.dirname(os.path.abspath(__file__))
    return arguments[1] if len(arguments) > 1 else os.path.normpath(os.path.join(here, "..", ".."))
