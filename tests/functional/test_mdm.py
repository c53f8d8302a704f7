#!/usr/bin/python3
"""Challenges on demand for MDM systems, read from the page of NDES and from Jamf Pro's webhook, and spent by strongSwan and
by the raw client of SCEP."""
import glob
import hashlib
import json
import os
import re
import subprocess
import time

from cryptography import x509
from cryptography.hazmat.primitives import serialization

from gatehouse import DAEMON, check, gatehouse, main
from mdm import FULL, NOT_PERMITTED, PAGE, Mdm, add_mdm, create_user
from scep_client import Strongswan, add_scep
from scep_raw import FAILURE, SUCCESS, Scep, Sender, make_csr
from test_secrets import memory, read

MAC = {"deviceName": "A Mac", "udid": "55900BDC-347C-58B1-D249-F32244B11D30", "serialNumber": "C02Q7KHTGFWF",
       "model": "13-inch \u201cMac\u201d", "emailAddress": "", "jssID": 7}


def set_up(g):
    add_scep(g, {"scep": "", "scep-other": ""})
    add_mdm(g, {"mdm": ("/certsrv", "for: scep\nndes: true\njamf: true"),
                "short": ("/short", "for: scep\nndes: true\nlifetime: 1m"),
                "strict": ("/strict", "for: scep\njamf: true\ndevice: required"),
                "loose": ("/loose", "for: scep\njamf: true\ndevice: off")})


def listed(g):
    return g.tool_json("challenge", "list")["credentials"]


def enrol(g, name, challenge, endpoint="scep"):
    """The status of the answer."""
    sender = Sender(text=name)
    return Scep(g, endpoint).send(sender, make_csr(sender.key, name, challenge, dns=[name])).status


# ---- the page ----

def the_page_says_what_clients_look_for(g):
    user = create_user(g, "page", "*.page.example")
    text = Mdm(g, user).page()
    with open(g.root, "rb") as f:
        der = x509.load_pem_x509_certificate(f.read()).public_bytes(serialization.Encoding.DER)
    md5 = hashlib.md5(der).hexdigest().upper()
    shown = re.findall(r"<B> ([^<]*) </B>", text)
    check(len(shown) == 2 and shown[0] == " ".join(md5[i:i + 8] for i in range(0, 32, 8)), f"{md5} {shown}")
    check("The thumbprint (hash value) for the CA certificate is: <B> " in text, text)
    check("This password can be used only once and will expire within 60 minutes." in text, text)
    check("will expire within 1 minutes." in Mdm(g, user).page("/short/mscep_admin/"), "another lifetime")


def a_challenge_enrols_once(g):
    user = create_user(g, "once", "*.once.example")
    challenge = Mdm(g, user).challenge()
    check(enrol(g, "a.other.example", challenge) == FAILURE, "a name that the user has not")
    check(enrol(g, "a.once.example", challenge, "scep-other") == FAILURE, "at another endpoint")
    swan = Strongswan(g, "scep")
    pem, _ = swan.enrol("swan.once.example", challenge)
    g.verify(pem)
    check(enrol(g, "b.once.example", challenge) == FAILURE, "used twice")
    check(enrol(g, "b.once.example", Mdm(g, user).challenge()) == SUCCESS, "another one")
    made = [c for c in listed(g) if c["created_by"] == "est:user:once"]
    check([c["state"] for c in made] == ["used", "used"], str(made))


def other_forms_and_paths(g):
    user = create_user(g, "forms", "*.forms.example", delegates=20)
    m = Mdm(g, user)
    reply = m.ask("GET", PAGE + "?format=text")
    check(reply.status == 200 and re.fullmatch(rb"[0-9A-F]{32}\n", reply.body), f"{reply.status} {reply.body!r}")
    reply = m.ask("GET", PAGE + "?serial=S-1&format=json")
    told = json.loads(reply.body)
    check(reply.headers["Content-Type"] == "application/json" and re.fullmatch("[0-9A-F]{32}", told["challenge"]) and
          set(told) == {"challenge", "expires", "thumbprint"}, f"{told}")
    check(enrol(g, "x.forms.example", told["challenge"]) == FAILURE, "without the device it was made for")
    check(enrol(g, "s-1.forms.example", told["challenge"]) == SUCCESS, "with it")
    for target, status in ((PAGE + "?format=xml", 400), (PAGE + "?serial=a*b", 400), (PAGE + "?udid=", 400),
                           (PAGE + "x", 404), ("/loose/mscep_admin/", 404), ("/short/jamf", 405)):
        check(m.ask("GET", target).status == status, target)
    check(enrol(g, "any.forms.example", m.challenge("/CertSrv/MSCEP_Admin/")) == SUCCESS, "small letters or capitals")
    reply = m.ask("GET", "/CertSrv/mscep_admin?format=text")
    check(reply.status == 301 and reply.headers["Location"] == "/CertSrv/mscep_admin/?format=text", str(reply))
    # Made for nobody to read it.
    before = g.metric("gatehouse_mdm_challenges_total")
    for method, status in (("HEAD", 405), ("POST", 405)):
        reply = m.ask(method, PAGE)
        check(reply.status == status and reply.headers["Allow"] == "GET", f"{method}: {reply}")
    check(g.metric("gatehouse_mdm_challenges_total") == before, "a HEAD made one")


def a_page_of_another_site_has_none_made(g):
    """A browser sends the password that it keeps wherever a page points; what it says about that page counts."""
    m, before = Mdm(g, create_user(g, "browser", "*.browser.example")), len(listed(g))
    for site in "cross-site", "same-site", "":
        reply = m.ask("GET", PAGE, headers={"Sec-Fetch-Site": site})
        check(reply.status == 403 and len(listed(g)) == before, f"{site}: {reply}")
    for site in "none", "same-origin":
        check(m.ask("GET", PAGE, headers={"Sec-Fetch-Site": site}).status == 200, site)
    check(len(listed(g)) == before + 2, str(listed(g)))


def nobody_gets_one_without_a_password(g):
    user = create_user(g, "guess", "*.guess.example")
    before = len(listed(g))
    for m in (Mdm(g), Mdm(g, ("guess", "wrong-horse-battery")), Mdm(g, ("nobody", "wrong-horse-battery")),
              Mdm(g, token="ght_x"), Mdm(g, create_user(g, "elsewhere", "any", endpoint="scep-other"))):
        reply = m.ask("GET", PAGE)
        check(reply.status == 401 and reply.headers["Cache-Control"] == "no-store" and
              reply.headers["WWW-Authenticate"] == 'Basic realm="mdm"', f"{reply.status} {reply.headers}")
        check(b"password is" not in reply.body, repr(reply.body))
    reply = Mdm(g, user).ask("GET", PAGE, headers={"authorization": "Basic eDp5"})
    check(reply.status in (400, 401), str(reply))
    check(len(listed(g)) == before, "one was made")
    check(NOT_PERMITTED in Mdm(g, create_user(g, "plain", "any", delegates=0)).page(), "who may not delegate")
    check(NOT_PERMITTED in Mdm(g, create_user(g, "empty")).page(), "who proves no name")
    check(len(listed(g)) == before, "one was made")
    token = g.tool_json("token", "create", "--endpoint", "scep", "--scope", "*.token.example", "--delegates", "1")
    check(enrol(g, "a.token.example", Mdm(g, token=token["secret"]).challenge()) == SUCCESS, "by a token")


def who_guesses_waits(g):
    create_user(g, "target", "*.target.example")
    statuses = [Mdm(g, ("target", f"wrong-horse-{i}")).ask("GET", PAGE).status for i in range(12)]
    check(statuses[0] == 401 and statuses[-1] == 503, f"{statuses}")
    reply = Mdm(g, ("target", "wrong-horse")).ask("GET", PAGE)
    check(reply.status == 503 and int(reply.headers["Retry-After"]) > 0, str(reply))


def the_cache_is_full(g):
    m = Mdm(g, create_user(g, "full", "*.full.example", delegates=2))
    first = m.challenge()
    m.challenge()
    check(FULL in m.page(), "a third one")
    reply = m.ask("GET", PAGE + "?format=json")
    check((reply.status, json.loads(reply.body)) == (503, {"error": FULL}), str(reply))
    check(m.webhook(MAC).status == 503, "of the webhook")
    check(enrol(g, "a.full.example", first) == SUCCESS, "the first one")
    check(enrol(g, "b.full.example", m.challenge()) == SUCCESS, "there is room again")


def a_revoked_user_takes_his_challenges_with_him(g):
    user = create_user(g, "gone", "*.gone.example")
    challenge = Mdm(g, user).challenge()
    g.run_tool("user", "revoke", "gone")
    check(enrol(g, "a.gone.example", challenge) == FAILURE, "after his end")
    check(Mdm(g, user).ask("GET", PAGE).status == 401, "he asks again")


def one_that_expired_is_refused(g):
    """In real time: a minute is the shortest."""
    challenge = Mdm(g, create_user(g, "late", "*.late.example")).challenge("/short/mscep_admin/")
    end = time.monotonic() + 180
    while [c["state"] for c in listed(g) if c["created_by"] == "est:user:late"] != ["expired"]:
        check(time.monotonic() < end, "it does not expire")
        time.sleep(1)
    check(enrol(g, "a.late.example", challenge) == FAILURE, "after its time")


# ---- Jamf Pro ----

def the_webhook_answers_with_the_challenge_alone(g):
    m = Mdm(g, create_user(g, "jamf", "CN={serialNumber}", "dns:{serialNumber}.mac.example"))
    reply = m.webhook(MAC)
    check(reply.status == 200 and re.fullmatch(rb"[0-9A-F]{32}", reply.body) and
          reply.headers["Content-Type"] == "text/plain" and reply.headers["Cache-Control"] == "no-store", str(reply))
    challenge = reply.body.decode()
    check(enrol(g, "c02q7khtgfwg.mac.example", challenge) == FAILURE, "another device")
    check(enrol(g, "c02q7khtgfwf.mac.example", challenge) == SUCCESS, "the device")
    made = [c for c in listed(g) if c["created_by"] == "est:user:jamf"]
    check(made[0]["device"] == [MAC["serialNumber"], MAC["udid"]] and
          f"CN={MAC['serialNumber']}" in made[0]["scope"], str(made))
    # Of no device nothing of the scope is left.
    check(m.webhook().status == 403, "without a device")


def a_device_binds_the_request(g):
    user = create_user(g, "bound", "*.bound.example", delegates=20)
    m = Mdm(g, user)
    challenge = m.webhook(MAC).body.decode()
    check(enrol(g, "other.bound.example", challenge) == FAILURE, "without the device")
    check(enrol(g, MAC["udid"].lower() + ".bound.example", challenge) == SUCCESS, "by its UDID")
    check(enrol(g, "other.bound.example", m.webhook().body.decode()) == SUCCESS, "none was given")
    check(enrol(g, "free.bound.example", m.webhook(MAC, path="/loose/jamf").body.decode()) == SUCCESS, "off")
    check(m.webhook(path="/strict/jamf").status == 400 and m.webhook({}, path="/strict/jamf").status == 400, "required")
    check(m.webhook(MAC, path="/strict/jamf").status == 200, "required and given")


def what_is_no_webhook_is_refused(g):
    m = Mdm(g, create_user(g, "bad", "any", delegates=20))
    before = len(listed(g))
    for device in ("C02", [], {"serialNumber": "a b"}, {"udid": "*"}, {"serialNumber": 7}, {"udid": "x" * 65},
                   {"serialNumber": "x\nany"}):
        check(m.webhook(device).status == 400, f"{device}")
    check(m.webhook(MAC, event="ComputerAdded").status == 400, "another event")
    post = lambda body, kind="application/json": m.ask("POST", "/certsrv/jamf", body, {"Content-Type": kind}).status
    deep = '{"webhook":{"webhookEvent":"SCEPChallenge"},"event":' + "[" * 40 + "]" * 40 + "}"
    for body in ("", "{}", "[]", "x", '{"webhook":{"webhookEvent":"SCEPChallenge"}}', deep,
                 '{"webhook":{"webhookEvent":"SCEPChallenge"},"event":{},"event":{}}', b"\xff"):
        check(post(body) == 400, f"{body!r}")
    check(post(json.dumps({"x": "y" * 70000})) == 413, "too long")
    check(post("<webhook/>", "text/xml") == 415, "XML")
    check(Mdm(g).webhook(MAC).status == 401, "without a password")
    check(len(listed(g)) == before, "one was made")


# ---- configuration, and what is kept ----

def refused_configuration(g, find, replace):
    path = g.config + ".other"
    with open(g.config, encoding="utf-8") as f:
        config = f.read()
    check(config.count(find) >= 1, find)
    with open(path, "w", encoding="utf-8") as f:
        f.write(config.replace(find, replace, 1))
    done = subprocess.run([DAEMON, "--config", path, "--check-config"], capture_output=True, text=True, timeout=60)
    check(done.returncode != 0, f"{replace}: taken")
    return done.stdout + done.stderr


def it_is_never_served_without_tls(g):
    said = refused_configuration(g, "endpoints: [mdm, short, strict, loose]",
                                 "endpoints: [mdm, short, strict, loose]\n    tls: false")
    check("'mdm' must not be served without TLS" in said, said)
    check("of protocol scep" in refused_configuration(g, "for: scep\n", "for: acme\n"), "for another protocol")
    said = refused_configuration(g, "name: scep\n", "name: scep\n    challenge-target: t\n")
    check("takes none that are made here" in said, said)
    check("serves nothing" in refused_configuration(g, "    ndes: true\n    jamf: true\n", ""), "neither")
    check("profile" in refused_configuration(g, "for: scep\n", "for: scep\n    profile: server\n"), "with a profile")


def snippets_say_where_to_ask(g):
    base = f"https://localhost:{g.mdm_port}"
    for words in (("scep", "jamf"), ("mdm", "jamf")):
        said = g.run_tool("endpoint", "snippet", *words).stdout
        check(f" {base}/certsrv/jamf\n" in said and "Dynamic" in said and "/scep/scep\n" in said, said)
    said = g.run_tool("endpoint", "snippet", "scep", "ndes").stdout
    check(f" {base}{PAGE}\n" in said, said)
    said = g.run_tool("endpoint", "snippet", "scep-other", "jamf").stdout
    check("Static" in said and "certsrv" not in said, said)
    said = g.run_tool("endpoint", "snippet", "scep-other", "ndes", code=3).stderr
    check("no endpoint has challenges made" in said, said)


def no_challenge_is_in_the_log(g):
    m = Mdm(g, create_user(g, "log", "*.log.example"))
    secrets = [m.challenge(), m.webhook(MAC).body.decode()]
    enrol(g, "a.log.example", secrets[0])
    with open(g.log_path, encoding="utf-8", errors="replace") as f:
        log = f.read()
    check(all(s not in log for s in secrets), "a challenge is in the log")
    lines = [line for line in log.splitlines() if "event=challenge.delegated" in line and '"user log"' in line]
    check(len(lines) == 2 and MAC["serialNumber"] in lines[1], f"{lines}")


def what_was_handed_out_is_nowhere(g):
    """In no file, and in the memory of no process: as text, and as the page has it."""
    m = Mdm(g, create_user(g, "trace", "*.trace.example", delegates=20))
    challenges = [m.challenge(), m.webhook(MAC).body.decode(),
                  m.ask("GET", PAGE + "?format=text").body.decode().strip(),
                  json.loads(m.ask("GET", PAGE + "?format=json").body)["challenge"]]
    enrol(g, "a.trace.example", challenges[0])
    m.page("/short/mscep_admin/")
    forms = [c.encode(e) for c in challenges for e in ("ascii", "utf-16-le")]
    for path in glob.glob(os.path.join(g.data, "**", "*"), recursive=True):
        if os.path.isfile(path):
            check(not any(form in read(path) for form in forms), f"a challenge is in {path}")
    if os.geteuid() != 0:
        return
    for role in ("core", "gateway"):
        seen = 0
        for where, octets in memory(g.processes()[role]):
            seen += len(octets)
            check(not any(form in octets for form in forms), f"a challenge is in the memory of {role}: {where}")
        check(seen > 1 << 20, f"only {seen} octets of {role} were looked at")


def challenges_on_demand():
    with gatehouse(set_up=set_up) as g:
        for test in (the_page_says_what_clients_look_for, a_challenge_enrols_once, other_forms_and_paths,
                     a_page_of_another_site_has_none_made, nobody_gets_one_without_a_password, the_cache_is_full,
                     a_revoked_user_takes_his_challenges_with_him, the_webhook_answers_with_the_challenge_alone,
                     a_device_binds_the_request, what_is_no_webhook_is_refused, it_is_never_served_without_tls,
                     snippets_say_where_to_ask, what_was_handed_out_is_nowhere,
                     no_challenge_is_in_the_log, one_that_expired_is_refused, who_guesses_waits):
            test(g)


if __name__ == "__main__":
    main([challenges_on_demand])
