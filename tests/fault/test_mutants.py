#!/usr/bin/python3
"""Every mutant of mutants.py is built and found; the same rounds find nothing in the tree as it is.

    test_mutants.py            all
    test_mutants.py NAME...    only these
"""
import concurrent.futures
import os
import re
import shutil
import subprocess
import sys
import tempfile

import harness
import rounds
import test_every_call
import gatehouse
from gatehouse import ROOT, check, main
from mutants import MUTANTS

WANTED = 12
TREES = 2
PROGRAMS = ("gateway/gatehoused", "gateway/ctl/gatehouse", "core/signer/gatehouse-signer",
            "gateway/validator/gatehouse-validator")


def run(*command):
    done = subprocess.run(command, capture_output=True, text=True)
    check(done.returncode == 0, f"{' '.join(command)}: exit {done.returncode}\n{done.stdout}{done.stderr}")


class Tree:
    """The sources with a build of their own: without sanitizers, optimization and tests, because it is built again for
    every mutant. `honest` is what it was before any."""

    def __init__(self, root):
        self.root, self.build, self.honest = root, os.path.join(root, "build"), os.path.join(root, "honest")

    @staticmethod
    def copy_of_sources(root):
        os.mkdir(root)
        tree = Tree(root)
        run("cp", "-a", *(os.path.join(ROOT, name) for name in sorted(os.listdir(ROOT))
                          if not name.startswith((".", "build"))), root)
        run("meson", "setup", "-Dtests=false", "-Doptimization=0", "-Ddebug=false", tree.build, root)
        tree.make(TREES)
        run("cp", "-a", tree.build, tree.honest)
        return tree

    def copy(self, root):
        """What was built is not built again: meson names files from the folder of the build."""
        run("cp", "-a", self.root, root)
        return Tree(root)

    def make(self, jobs=1):
        run("ninja", "-C", self.build, f"-j{jobs}", *PROGRAMS)

    def edit(self, mutant):
        """The files that are no longer what they were, with what they were."""
        before = {}
        for path, old, new in mutant.edits:
            with open(os.path.join(self.root, path), encoding="utf-8") as f:
                text = f.read()
            before.setdefault(path, text)
            check(text.count(old) == 1, f"mutant {mutant.name} no longer applies: {path} has this {text.count(old)} "
                                        f"times, not once:\n{old}")
            self.write(path, text.replace(old, new))
        return before

    def write(self, path, text):
        with open(os.path.join(self.root, path), "w", encoding="utf-8") as f:
            f.write(text)


_tree = None


def use(build):
    """What the harness starts from now on in this process."""
    gatehouse.DAEMON = os.path.join(build, PROGRAMS[0])
    gatehouse.TOOL = os.path.join(build, PROGRAMS[1])


def begin(first):
    global _tree
    _tree = first.copy(f"{first.root}-{os.getpid()}")
    harness.PATIENCE_S = 8  # a mutant may go on and on


def problems_of(flow, fault):
    """What one round finds, in a folder that the honest build made."""
    result = rounds.work(flow, fault)
    if result.problems:
        shutil.rmtree(result.folder, ignore_errors=True)
    return result.problems or (test_every_call.judge_failed_sync(result) if fault.action == "EIO" else [])


def find(mutant):
    """(what was found, after how many rounds)"""
    before = _tree.edit(mutant)
    try:
        use(_tree.honest)
        rounds.make_ready()
        _tree.make()
        use(_tree.build)
        for n, (flow, fault) in enumerate(mutant.rounds, 1):
            problems = problems_of(flow, fault)
            if problems:
                return problems, n
        return [], len(mutant.rounds)
    finally:
        for path, text in before.items():
            _tree.write(path, text)
        rounds.put_away()


def run_honest(part):
    """All rounds of these mutants, in the tree as it is."""
    use(_tree.honest)
    found = [f"{flow}: {fault}: {problem}" for mutant in part for flow, fault in mutant.rounds
             for problem in problems_of(flow, fault)]
    rounds.put_away()
    return found


def report(mutant, problems, n):
    """True when it was found for what it breaks."""
    right = [text for text in problems if re.search(mutant.finding, text)]
    print(f"        {mutant.name} ({mutant.breaks}): {n} rounds, "
          f"{right[0].splitlines()[0][:140] if right else problems or 'NOT FOUND'}", flush=True)
    return bool(right)


def every_mutant_is_found():
    chosen = [m for m in MUTANTS if not sys.argv[1:] or m.name in sys.argv[1:]]
    with (tempfile.TemporaryDirectory(prefix="gatehouse-mutants-") as folder,
          concurrent.futures.ProcessPoolExecutor(TREES, initializer=begin,
                                                 initargs=(Tree.copy_of_sources(f"{folder}/tree"),)) as pool):
        honest = [pool.submit(run_honest, chosen[i::TREES]) for i in range(TREES)]
        found = [pool.submit(find, mutant) for mutant in chosen]
        wrong = [text for future in honest for text in future.result()]
        missed = [mutant.name for mutant, future in zip(chosen, found) if not report(mutant, *future.result())]
    check(not wrong, "the tree as it is does not pass the rounds of the mutants:\n" + "\n".join(wrong))
    check(not missed, f"not found, or for another reason: {missed}")
    check(len(chosen) >= WANTED or sys.argv[1:], f"only {len(chosen)} mutants")
    print(f"        {len(chosen)} of {len(chosen)} mutants found")


main([every_mutant_is_found])
