#!/usr/bin/python3
"""Put the options that gatehoused prints into its configuration's manual page.

    fill_options.py PAGE.scd GATEHOUSED > FILLED.scd

The line @OPTIONS@ of the page is replaced.
"""
import re
import subprocess
import sys

PLACE = "@OPTIONS@"

# Beginning of an option's name → the heading it stands under, in the order of the page.
GROUPS = (
    ("endpoints[protocol=", "Endpoints of the protocol {}"),
    ("cas[].policy[module=", "Policy module {}"),
    ("cas[].exits[module=", "Exit module {}"),
)


def parse(text):
    """[(name, kind, sentence)] of `gatehoused --list-options`."""
    found = []
    for block in text.strip().split("\n\n"):
        first, _, sentence = block.partition("\n")
        name, _, kind = first.partition(": ")
        found.append((name, kind, " ".join(sentence.split())))
    return found


def escape(text):
    """Text in which scdoc sees no markup."""
    return re.sub(r"([\\*_<>#])", r"\\\1", text)


def heading(name):
    for start, words in GROUPS:
        if name.startswith(start):
            return words.format(name[len(start):].split("]")[0])
    return re.split(r"[.\[]", name)[0]


def print_options(options):
    lines, last = [], None
    for name, kind, sentence in options:
        if heading(name) != last:
            last = heading(name)
            lines += [f"## {last.upper() if last[0].islower() else last}", ""]
        # '_' between letters is plain text to scdoc; kinds and sentences may have stars and more.
        lines += [f"*{name}*: {escape(kind)}", f"\t{escape(sentence)}", ""]
    return "\n".join(lines).rstrip("\n")


def fill(page, listed):
    if PLACE not in page.split("\n"):
        raise SystemExit(f"the page has no line {PLACE}")
    return page.replace(PLACE, print_options(parse(listed)))


if __name__ == "__main__":
    with open(sys.argv[1]) as f:
        source = f.read()
    sys.stdout.write(fill(source, subprocess.run([sys.argv[2], "--list-options"], capture_output=True, text=True,
                                                 check=True).stdout))
