"""The benchmark itself works: a short load ends without an error, and its report says what happened."""
import os
import subprocess
import sys

import rig
from gatehouse import BUILD, check, free_ports, main


def reports_a_short_load():
    with rig.loaded() as g:
        code, line, report = g.bench(2, 2)
        check(code == 0, f"exit {code}: {line}")
        check(report["errors"] == 0 and report["errors_by_kind"] == {}, line)
        check(report["orders"] > 0 and report["certificates_good"] == report["orders"], line)
        check(report["duplicate_serials"] == 0, line)
        check(0 < report["p50_ms"] <= report["p99_ms"] <= report["max_ms"], line)
        check(report["requests_per_order"] >= 5, line)
        check(report["server"]["processes"] >= 1 and report["server"]["units_per_order"] > 0, line)
        check(len(g.tool_json("cert", "list")["certificates"]) > 0, "the daemon knows of no certificate")


def ends_after_a_number_of_orders():
    with rig.loaded() as g:
        code, line, report = g.bench(2, 60, "--orders", "5")
        check(code == 0 and report["orders"] == 5 and report["elapsed_s"] < 60, line)
        check(report["verify_us"] > 0, line)


def enrols_on_connections_of_each_kind():
    with rig.loaded(has_est=True) as g:
        for kind in "kept", "new", "resumed":
            code, line, report = g.bench(2, 60, "--orders", "6", connections=kind)
            check(code == 0 and report["orders"] == report["certificates_good"] == 6, f"{kind}: {line}")
            check(report["connections"] <= 2 if kind == "kept" else report["connections"] == 6, f"{kind}: {report}")
            check(report["resumed"] >= 4 if kind == "resumed" else report["resumed"] == 0, f"{kind}: {report}")


def enrols_over_scep():
    for key_type in "ec-p256", "rsa-2048":
        with rig.loaded(has_scep=True, key_type=key_type) as g:
            code, line, report = g.bench(2, 60, "--orders", "6", connections="scep")
            check(code == 0 and report["orders"] == report["certificates_good"] == 6, f"{key_type}: {line}")
            check(report["server"]["units_per_order"] > 0, f"{key_type}: {line}")


def says_that_a_load_failed():
    with rig.loaded() as g:
        g.http01_port = next(p for p in free_ports(2) if p != g.http01_port)  # the validator does not look there
        code, line, report = g.bench(1, 1)
        check(code == 1 and report["orders"] == 0, line)
        check(set(report["errors_by_kind"]) == {"authorization: invalid"}, line)


def tells_what_an_ocsp_answer_costs():
    done = subprocess.run([sys.executable, os.path.join(rig.HERE, "ocsp.py"), BUILD, "--certificates", "30",
                           "--connections", "3", "--seconds", "1"], stdin=subprocess.DEVNULL, capture_output=True,
                          text=True, timeout=200, check=False)
    rows = [line.split() for line in done.stdout.splitlines()]
    check(done.returncode == 0 and [r[0] for r in rows] == ["fresh:", "kept:", "repeated:"], str(done))
    check(all(int(r[1]) > 0 and float(r[6]) > 0 for r in rows), done.stdout)


if __name__ == "__main__":
    main([reports_a_short_load, ends_after_a_number_of_orders, enrols_on_connections_of_each_kind,
          enrols_over_scep, says_that_a_load_failed, tells_what_an_ocsp_answer_costs])
