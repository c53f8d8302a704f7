#!/usr/bin/python3
"""How the registration authorities of SCEP stand, as status, doctor, health and metrics tell it: the end of the certificate,
older keys that still answer, a signer that is away, old algorithms that are taken."""
import datetime
import json
import os
import signal
import urllib.error
import urllib.request

from gatehouse import check, gatehouse, main
from scep_client import add_scep, metric, wait
from scep_raw import Scep


def lines(g, code=0):
    """{part: what} of status; `code` None: nothing when there is no answer in time."""
    done = g.run_tool("status", output="json", code=code)
    said = json.loads(done.stdout)["health"] if done.stdout or code is not None else ""
    return dict(line.split(": ", 1) for line in said.splitlines())


def end_of(certificate):
    return certificate.not_valid_after.isoformat() + "Z"


def findings(g):
    said = wait("doctor says nothing", lambda: g.run_tool("server", "doctor", output="json", code=None).stdout)
    return {f["part"]: f for f in json.loads(said)["findings"]}


def healthz(g):
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{g.metrics_port}/healthz", timeout=30) as reply:
            return reply.status, reply.read().decode()
    except urllib.error.HTTPError as e:
        return e.code, e.read().decode()


def all_is_well_and_old_algorithms_are_told(g):
    told = wait("the gateway does not say that all is well", lambda: all(
        (said := lines(g, None)).get(f"gateway endpoint {e}", "").startswith("ok") for e in ("scep", "old", "des")) and said)
    end = end_of(Scep(g, "scep").ra)
    check(told["gateway endpoint scep"] == f"ok, RA certificate until {end}", str(told))
    check(told["gateway listener public"] == "ok", str(told))
    check("gateway endpoint scep algorithms" not in told, str(told))
    check(told["gateway endpoint old algorithms"].startswith("ok, but legacy: sha1-3des takes SHA-1"), str(told))
    check(told["gateway endpoint des algorithms"].startswith("ok, but legacy: des takes single DES"), str(told))
    found = findings(g)
    check(found["gateway endpoint scep"]["level"] == "ok", str(found))
    for endpoint in "old", "des":
        check(found[f"gateway endpoint {endpoint} algorithms"]["level"] == "warning", str(found))
    check(healthz(g) == (200, "ok\n"), str(healthz(g)))
    check([metric(g, "scep_legacy", e) for e in ("scep", "old", "des")] == [0, 1, 2], "levels")
    check(metric(g, "ra_older_keys", "scep") == 0 and metric(g, "ra_signer_answers", "scep") == 1, "metrics")
    seconds = datetime.datetime.fromisoformat(end.replace("Z", "+00:00")).timestamp()
    check(metric(g, "ra_not_after_seconds", "scep") == seconds, "the end of the certificate")


def a_signer_that_hangs_is_told(g):
    pid = g.processes()["ra-signer"]
    os.kill(pid, signal.SIGSTOP)
    try:
        told = wait("nobody tells that the signer hangs",
                    lambda: "does not answer" in (said := lines(g, None)).get("gateway endpoint scep", "") and said)
        check(told["signer"].startswith("ok"), "that is another signer")
        code, text = healthz(g)
        check(code == 503 and "endpoint scep: the signer of its RA keys does not answer" in text, text)
        check(metric(g, "ra_signer_answers", "scep") == 0, "the metric says that it answers")
        check(findings(g)["gateway endpoint scep"]["level"] == "critical", str(findings(g)))
        wait("status ends as if all were well", lambda: g.run_tool("status", code=None).returncode == 1)
    finally:
        os.kill(pid, signal.SIGCONT)
    wait("it is still said to be away", lambda: lines(g, None).get("gateway endpoint scep", "").startswith("ok, RA certificate"))
    check(healthz(g)[0] == 200, "it is well again")


def older_keys_are_told(g):
    before = end_of(Scep(g, "scep").ra)
    at = os.path.getsize(g.log_path)
    g.run_tool("ca", "rollover", "Test CA", code=None)
    g.wait_log("ra.certificate", at, wait_s=150)
    text = f", 1 older key answers until {before}"
    wait("the older key is not told", lambda: text in lines(g, None).get("gateway endpoint scep", ""))
    check(metric(g, "ra_older_keys", "scep") == 1, "the metric of older keys")


def a_gateway_that_is_gone_is_missed(g):
    pid = g.processes()["gateway"]
    os.kill(pid, signal.SIGSTOP)
    try:
        told = wait("a gateway that hangs is not missed", lambda: "gateway" in (said := lines(g, None)) and said, 90)
        check(told["gateway"].startswith("has told nothing of itself for "), str(told))
    finally:
        os.kill(pid, signal.SIGCONT)
    wait("it is missed still", lambda: (said := lines(g, None)) and "gateway" not in said)


def a_core_that_starts_says_that_it_knows_nothing(g):
    pid = g.kill_role("core")
    g.wait_role("core", pid)
    told = wait("the core does not answer", lambda: lines(g, None))
    check(any(part.startswith("gateway") for part in told), f"nothing is said of the gateway: {told}")
    check(told.get("gateway", "ok").startswith("ok"), str(told))
    wait("the gateway does not tell how it is", lambda: "gateway endpoint scep" in lines(g, None))


def state_is_told():
    endpoints = {"scep": "", "old": "legacy: sha1-3des", "des": "legacy: des"}
    with gatehouse(lambda g: add_scep(g, endpoints)) as g:
        for test in (all_is_well_and_old_algorithms_are_told, a_signer_that_hangs_is_told,
                     a_gateway_that_is_gone_is_missed, a_core_that_starts_says_that_it_knows_nothing,
                     older_keys_are_told):
            test(g)
            print(f"  {test.__name__}", flush=True)


main([state_is_told])
