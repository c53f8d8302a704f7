#!/usr/bin/python3
"""At every call by which the daemon makes something durable or tells it: kill -9, loss of power, and failures of the disk.

    test_every_call.py                       the points of a quick run, or all with GATEHOUSE_LONG
    test_every_call.py FLOW ACTION AT [OPTION...]   one round again; options: power, lasts, calls=…, file=…, kind=…
"""
import statistics
import sys
import time

import rounds
from harness import RECOVERY_S, Fault
from gatehouse import LONG, check, main

# A quick run takes some of the points, evenly; they are others each day, so that all have their turn.
QUICK_KILLS, QUICK_FAILURES = 90, 16
DAY = int(time.time()) // 86400
KILLS = (("kill-before", False), ("kill-after", False), ("kill-after", True))
# So many more calls than when nothing happened are tried, and the last ones must not fire: then all were met.
BEYOND = 10 if LONG else 0


def totals(pool, **only):
    """{(flow, kind): calls}, by rounds in which nothing happens."""
    results = list(pool.run((flow, Fault(kind=kind, **only)) for kind, flows in rounds.FLOWS_OF.items()
                            for flow in flows))
    for result in results:
        check(not result.problems, f"{result}: {result.problems}")
    return {(result.flow, result.fault.kind): result.counted for result in results}


def take(points, n_quick):
    points = list(points)
    stride = 1 if LONG else max(1, len(points) // n_quick)
    # Otherwise it would always be the same of the KILLS.
    stride += stride > 1 and stride % len(KILLS) == 0
    return points[DAY % stride::stride]


def collect(results, judge):
    """All results; each that is wrong is told at once."""
    done, wrong = [], 0
    for result in results:
        problems = result.problems or judge(result)
        for problem in problems:
            print(f"        {result}: {problem}", flush=True)
        if problems:
            print(f"        kept: {result.folder}", flush=True)
        wrong += bool(problems)
        done.append(result)
    return done, wrong


def survives(result):
    """Only a daemon that has not started yet ends with a process that was killed."""
    return result.flow != "start" and not result.fault.is_power_loss


def killed_at_every_call():
    pool = rounds.Pool()
    counts = totals(pool)
    points = take(((flow, Fault(at, action, kind, is_power_loss=is_power_loss))
                   for (flow, kind), n in counts.items() for at in range(1, n + BEYOND + 1)
                  for action, is_power_loss in KILLS), QUICK_KILLS)
    done, wrong = collect(pool.run(points), lambda result: [])
    fired = [result for result in done if result.fired]
    last = {key: max((r.fault.at for r in fired if (r.flow, r.fault.kind) == key), default=0) for key in counts}
    recovery = sorted(result.recovery_s for result in done if result.recovery_s is not None)
    pool.close()
    print(f"        {len(fired)} kills ({sum(r.fault.is_power_loss for r in fired)} with loss of power) in "
          + ", ".join(f"{flow} of the {kind} 1-{n}" for (flow, kind), n in last.items() if n))
    print(f"        from the kill to what the client came for: {statistics.median(recovery):.2f} s in the middle, "
          f"{recovery[-1]:.2f} s at most")
    check(wrong == 0, f"{wrong} rounds found something wrong")
    check(not any(r.deaths for r in fired if survives(r)), "the supervisor ended with a child that was killed")
    check(not LONG or all(last[key] < n + BEYOND for key, n in counts.items()), "the last calls were not reached")
    check(len(fired) >= len(points) / 2, f"only {len(fired)} of {len(points)} kills happened")
    check(statistics.quantiles(recovery, n=20)[-1] <= RECOVERY_S, f"recovery takes more than {RECOVERY_S} s")


def run_failures(what, judge, n_fewest, **fault):
    """The same failure at every call of a kind, of a daemon that has started."""
    pool = rounds.Pool()
    counts = totals(pool, calls=fault["calls"], file=fault.get("file"))
    points = take(((flow, Fault(at, kind=kind, **fault)) for (flow, kind), n in counts.items()
                   for at in range(1, n + 1) if flow != "start"), QUICK_FAILURES)
    done, wrong = collect(pool.run(points), judge)
    fired = sum(bool(result.fired) for result in done)
    pool.close()
    print(f"        {what}: {fired} points, {sum(bool(r.refusals) for r in done)} refused and done again, "
          f"{sum(r.ends for r in done)} processes ended and started again")
    check(wrong == 0, f"{what}: {wrong} rounds found something wrong")
    check(fired >= n_fewest, f"{what}: only {fired} points")


def judge_failed_sync(result):
    """Whoever had it ends, and nobody else."""
    if not result.fired:
        return []
    if result.is_alive:
        return ["the process lives on after a failed fsync"]
    return (["the log does not say that an fsync failed"] * (not result.is_fsync_told)
            + [f"{result.ends} processes ended"] * (result.ends != 1) + ["the daemon ended"] * bool(result.deaths))


def failed_sync_ends_the_process():
    run_failures("EIO of fsync", judge_failed_sync, 3, action="EIO", calls="sync", file=".db")


def full_disk_is_survived():
    def judge(result):
        wrong = [text for text in result.refusals if text.startswith("5") and not text.startswith("503 ")]
        return wrong + nobody_ended(result)

    run_failures("ENOSPC", judge, 5, action="ENOSPC", calls="write", lasts=True)


def nobody_ended(result):
    return [f"{result.ends} processes ended"] * bool(result.ends) + ["the daemon ended"] * bool(result.deaths)


def survives_in_silence(result):
    return nobody_ended(result) + [f"a client saw it: {r}" for r in result.refusals]


def interrupted_calls_are_repeated():
    run_failures("EINTR", survives_in_silence, 10, action="EINTR", calls="write,send")


def short_writes_are_continued():
    run_failures("short writes", survives_in_silence, 10, action="short", calls="write,send")


def again(flow, action, at, *options):
    named = dict(option.split("=", 1) for option in options if "=" in option)
    fault = Fault(int(at), action, lasts="lasts" in options, is_power_loss="power" in options, **named)
    result = rounds.work(flow, fault)
    print(result, f"deaths {result.deaths}, refusals {result.refusals}", *result.problems or ["nothing is wrong"],
          sep="\n")
    rounds.put_away()
    sys.exit(1 if result.problems else 0)


if __name__ == "__main__":
    if len(sys.argv) > 3:
        again(*sys.argv[1:])
    main([killed_at_every_call, failed_sync_ends_the_process, full_disk_is_survived, interrupted_calls_are_repeated,
          short_writes_are_continued])
