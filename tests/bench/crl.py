#!/usr/bin/python3
"""Measure what a large CRL costs: CPU and memory of core and signer, and what orders of others feel of it.

    tests/bench/crl.py [BUILD] [--entries 100000,1000000] [--publications 5] [--workers 8] [--seconds 10]

BUILD is a folder that meson has built, best with --buildtype=release; build/release when it is absent. Nothing is built
here. Each row has a fresh daemon with so many revoked certificates, put there by SQL. CPU is that of a publication, by
all its threads; memory is the peak while one is made, and what was there before. Then orders are made for some seconds,
alone and beside publications without a pause. A unit is one P-256 verification measured in the same row.
"""
import argparse
import os
import sys

ROOT = os.path.abspath(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", ".."))


def arguments():
    p = argparse.ArgumentParser(usage=__doc__)
    p.add_argument("build", nargs="?", default=os.path.join(ROOT, "build", "release"))
    p.add_argument("--entries", default="100000,1000000", type=lambda text: [int(n) for n in text.split(",")])
    p.add_argument("--publications", default=5, type=int)
    p.add_argument("--workers", default=8, type=int)
    p.add_argument("--seconds", default=10, type=int)
    return p.parse_args()


def measure(revoked, rig, entries, a):
    with rig.loaded() as g:
        revoked.add(g, entries)
        costs = [revoked.publish(g) for _ in range(a.publications)]
        _, _, alone = g.bench(a.workers, a.seconds)
        with revoked.Publishing(g) as publishing:
            code, _, beside = g.bench(a.workers, a.seconds)
    best = min(costs, key=lambda c: c.cpu_s["core"] + c.cpu_s["signer"])
    print(f"{entries} entries, {best.size} octets: CPU core {best.cpu_s['core']:.3f} s, signer "
          f"{best.cpu_s['signer']:.3f} s ({(best.cpu_s['core'] + best.cpu_s['signer']) * 1e6 / alone['verify_us']:.0f} "
          f"units); took {best.took_s:.2f} s")
    for role in "core", "signer":
        print(f"    {role}: {max(c.peak_kb[role] for c in costs) / 1024:.1f} MB at most, "
              f"{costs[0].before_kb[role] / 1024:.1f} MB before")
    for name, report in ("alone", alone), ("beside them", beside):
        print(f"    orders {name}: {report['orders_per_s']:.0f}/s, p50 {report['p50_ms']:.1f} ms, p99 "
              f"{report['p99_ms']:.1f} ms, {report['errors']} errors")
    print(f"    {publishing.n} publications meanwhile", flush=True)
    return code == 0 and alone["errors"] == 0


def main():
    a = arguments()
    os.environ["GATEHOUSE_BUILD"] = os.path.abspath(a.build)
    sys.dont_write_bytecode = True
    sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
    import rig  # reads GATEHOUSE_BUILD
    import revoked
    sys.exit(0 if all([measure(revoked, rig, n, a) for n in a.entries]) else 1)


if __name__ == "__main__":
    main()
