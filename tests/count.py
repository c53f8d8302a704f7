#!/usr/bin/env python3
"""Add up meson's test log: the line that ./check ends with, and its exit code."""
import collections
import json
import sys

counts = collections.Counter()
slowest = []
wanted = int(sys.argv[2])
with open(sys.argv[1]) as log:
    for line in log:
        test = json.loads(line)
        kind = {"OK": "passed", "EXPECTEDFAIL": "passed", "SKIP": "skipped"}.get(test["result"], "failed")
        counts[kind] += 1
        slowest.append((test["duration"], test["name"]))
        if kind != "passed":
            print(f"{kind}: {test['name']}")
missing = wanted - sum(counts.values())
if missing > 0:
    print(f"{missing} of {wanted} tests did not run to their end")
    counts["failed"] += missing
for duration, name in sorted(slowest, reverse=True)[:5]:
    print(f"{duration:7.1f} s  {name}")
print(f"{counts['passed']} passed, {counts['failed']} failed, {counts['skipped']} skipped")
sys.exit(1 if counts["failed"] or not counts["passed"] else 0)
