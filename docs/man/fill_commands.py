#!/usr/bin/python3
"""Put what the tool knows about its commands into one of its manual pages.

    fill_commands.py PAGE.scd GATEHOUSE > FILLED.scd

Each line @manual PART@ of the page is replaced by what `gatehouse __manual PART` prints.
"""
import re
import subprocess
import sys

PLACE = re.compile(r"^@manual ([a-z]+)@$", re.M)


def fill(page, print_part):
    return PLACE.sub(lambda match: print_part(match.group(1)).rstrip("\n"), page)


def parts(page):
    return PLACE.findall(page)


def printer(tool):
    return lambda part: subprocess.run([tool, "__manual", part], capture_output=True, text=True, check=True).stdout


if __name__ == "__main__":
    with open(sys.argv[1]) as f:
        source = f.read()
    sys.stdout.write(fill(source, printer(sys.argv[2])))
