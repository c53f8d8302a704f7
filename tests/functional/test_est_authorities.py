#!/usr/bin/python3
"""Who was not certified here and may ask: devices of makers that are listed, registration authorities that are listed. With
curl, Bouncy Castle and Python, and certificates that openssl made."""
import base64
import os

from bouncy_castle import BouncyCastle
from est_client import CSR, Est, add_est, create_user, make_csr, new_key, run, save
from gatehouse import check, gatehouse, main
from openssl_ca import Authority, join, new_key_file

ENDPOINTS = {"est": ("", ""), "est-site": ("site", ""), "est-linked": ("linked", "pop: require"),
             "est-by-hand": ("by-hand", "auth: [certificate]")}


def enrol(g, files, name, label="", operation="simpleenroll", key=None, challenge=None):
    est = Est(g, label, certificate=files)
    reply = est.enroll(make_csr(key or new_key(), name, [name], challenge=challenge), operation)
    est.close()
    return reply


def refused(g, files, name, why, status=401, **more):
    rows = len(g.requests())
    reply = enrol(g, files, name, **more)
    check(reply.status == status, f"{why}: {reply}{g.log_tail(2)}")
    check(status == 403 or len(g.requests()) == rows, f"{why}: nobody's request has a row")


def requester_of(g, name):
    """Of the last certificate with this name."""
    found = [r["requester"] for r in g.requests() if name in r["names"] and r["state"] == "issued"]
    check(found, f"nothing was issued for {name}")
    return found[-1]


def with_curl(g, files, name):
    """Status and body of an enrolment for that name."""
    body, out = os.path.join(g.folder, "request.b64"), os.path.join(g.folder, "answer")
    key, csr = os.path.join(g.folder, name + ".key"), os.path.join(g.folder, name + ".csr")
    run("openssl", "req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", key, "-subj",
        f"/CN={name}", "-addext", f"subjectAltName=DNS:{name}", "-outform", "DER", "-out", csr)
    run("openssl", "base64", "-e", "-in", csr, "-out", body)
    status = run("curl", "-s", "--cacert", g.root, "--cert", files[0], "--key", files[1], "-H", f"Content-Type: {CSR}",
                 "--data-binary", "@" + body, "-o", out, "-w", "%{http_code}",
                 f"https://localhost:{g.est_port}/.well-known/est/simpleenroll")
    with open(out, "rb") as f:
        return int(status), f.read()


# ---- devices ----

class Maker:
    """A root, an authority below it, and devices of that."""

    def __init__(self, g, name, subject=None):
        self.root = Authority(g, name, subject)
        self.below = Authority(g, name + "-devices", above=self.root)

    def device(self, serial, **more):
        return self.below.client(serial, f"/O=Makers/CN=model 7/serialNumber={serial}", chain=[self.below], **more)


def devices_enrol(g, maker, bc):
    device = maker.device("SN-1")
    g.run_tool("vendor", "add", "maker", maker.root.pem, "--endpoint", "est", "--endpoint", "est-linked", "--scope",
               "{serialNumber}.devices.example.com", "--scope", "{CN}.models.example.com")
    name = "SN-1.devices.example.com"
    status, body = with_curl(g, device, name.lower())
    check(status == 200, f"curl: {status} {body}{g.log_tail(2)}")
    pem = os.path.join(g.folder, "device.pem")
    with open(pem, "wb") as f:
        f.write(run("openssl", "pkcs7", "-inform", "DER", "-print_certs", input=base64.b64decode(body)))
    g.verify(pem)
    check(requester_of(g, name.lower()).startswith("est:vendor:maker:"), requester_of(g, name.lower()))
    for wrong in "sn-2.devices.example.com", "devices.example.com", "sn-1.example.com", "x.sn-1.devices.example.com":
        check(with_curl(g, device, wrong)[0] == 403, f"{wrong} is not that device's")
    for n, tls in enumerate(("TLSv1.2", "TLSv1.3")):
        files = maker.device(f"bc-{n}")
        answer = bc.say("identity", key=f"bc{n}", pem=files[0], pkcs8=files[1])
        check(answer == ["ok"], str(answer))
        answer = bc.say("simpleenroll", key=f"own{n}", cn=f"bc-{n}.devices.example.com", tls=tls, **{"with": f"bc{n}"})
        check(answer[0] == "ok", f"{answer}{g.log_tail(2)}")
        # From then on by what it got.
        again = bc.say("simplereenroll", key=f"own{n}", cn=f"bc-{n}.devices.example.com", tls=tls,
                       **{"with": f"own{n}"})
        check(again[0] == "ok" and again != answer, f"{again}{g.log_tail(2)}")
    answer = bc.say("simpleenroll", key="other", cn="sn-1.devices.example.com", **{"with": "bc0"})
    check(answer[:2] == ["refused", "403"], f"the name of another device: {answer}")


def devices_are_refused(g, maker):
    """Whose chain does not lead to what is listed, or does, but is no device's that may ask here."""
    name = "sn-1.devices.example.com"
    stranger = Maker(g, "stranger")
    impostor = Maker(g, "impostor", "/O=Makers/CN=maker")  # the same name, another key
    refused(g, stranger.device("SN-1"), name, "a chain that verifies, to a root that is not listed")
    refused(g, impostor.device("SN-1"), name, "a root of the same name")
    with_root = stranger.below.client("SN-1b", "/CN=model 7/serialNumber=SN-1", chain=[stranger.below, stranger.root])
    refused(g, with_root, name, "a root that comes along")
    refused(g, maker.below.client("alone", "/CN=model 7/serialNumber=SN-1"), name, "the authority between is missing")
    refused(g, maker.device("expired", days=(-30, -1)), "expired.devices.example.com", "expired")
    refused(g, maker.device("early", days=(1, 30)), "early.devices.example.com", "not yet in force")
    refused(g, maker.device("authority", section="below"), "authority.devices.example.com", "an authority is no device")
    refused(g, (maker.below.pem, maker.below.key), name, "the maker's authority itself")
    refused(g, maker.device("SN-1"), name, "another endpoint", label="site")
    refused(g, maker.device("SN-1"), name, "only what was issued here is renewed", operation="simplereenroll")
    below_device = maker.device("middle", section="device")
    leaf = Authority.__new__(Authority)
    leaf.__dict__ = {**maker.below.__dict__, "key": below_device[1], "pem": os.path.join(maker.below.folder, "middle.pem")}
    files = leaf.client("by-device", "/CN=model 7/serialNumber=SN-1")
    files = join(files[0] + ".all", files[0], below_device[0]), files[1]
    refused(g, files, name, "signed by a device")
    star = maker.below.client("star", "/O=Makers/CN=*", chain=[maker.below])
    refused(g, star, "anything.models.example.com", "a pattern in a device's own name proves nothing", status=403)


def a_maker_is_shut_out(g, maker):
    """From the next request on, on a connection that is open too."""
    name = "sn-9.devices.example.com"
    est = Est(g, certificate=maker.device("SN-9"))
    sock = est.connect()
    check(est.enroll(make_csr(new_key(), name, [name])).certificate(), "a device")
    g.run_tool("vendor", "revoke", "maker")
    reply = est.enroll(make_csr(new_key(), name, [name]))
    check(reply.status == 401 and est.connection and est.connection.sock is sock, f"shut out: {reply}")
    est.close()


# ---- registration authorities ----

def registrars_enrol_for_others(g, office, bc):
    files = office.client("registrar", "/O=Office/CN=registrar", "ra")
    g.run_tool("ra", "add", "registrar", os.path.join(office.folder, "registrar.pem"), "--endpoint", "est", "--endpoint",
               "est-linked", "--scope", "*.site.example.com")
    status, body = with_curl(g, files, "printer.site.example.com")
    check(status == 200, f"{status} {body}{g.log_tail(2)}")
    check(requester_of(g, "printer.site.example.com") == "est:ra:registrar", requester_of(g, "printer.site.example.com"))
    check(with_curl(g, files, "printer.example.com")[0] == 403, "outside its scope")
    check(bc.say("identity", key="ra", pem=files[0], pkcs8=files[1]) == ["ok"], "identity")
    for n in range(2):
        answer = bc.say("simpleenroll", key=f"other{n}", cn=f"other{n}.site.example.com", **{"with": "ra"})
        check(answer[0] == "ok", f"{answer}{g.log_tail(2)}")
    answer = bc.say("simpleenroll", key="outside", cn="other.example.com", **{"with": "ra"})
    check(answer[:2] == ["refused", "403"], str(answer))
    # It passes renewals of others on, too; that is not one of its own certificate.
    check(enrol(g, files, "printer.site.example.com", operation="simplereenroll").certificate(), "a renewal for another")
    refused(g, files, "registrar.example.com", "outside its scope", status=403, operation="simplereenroll")
    # What others signed belongs to other connections.
    for label in "", "linked":
        name = f"linked{label}.site.example.com"
        check(enrol(g, files, name, label, challenge=b"of another connection").certificate(), label)
        shown = g.run_tool("show", str(max(r["id"] for r in g.requests() if name in r["names"]))).stdout
        check("pop-linked" in shown and "client-trust" in shown and " ra" in shown, shown)
    # A device whose registrar asked speaks for itself afterwards, and not in the registrar's name.
    key, name = new_key(), "device.site.example.com"
    own = save(g.folder, "by-ra", key, enrol(g, files, name, key=key).certificate())
    check(enrol(g, own, name, operation="simplereenroll", key=key).certificate(), "renews itself")
    check(requester_of(g, name) != "est:ra:registrar", "in the registrar's name")
    refused(g, own, "printer.site.example.com", "for others it may not ask", status=403)
    return files


def registrars_are_refused(g, office, files):
    key, name = files[1], "refused.site.example.com"
    stranger = Authority(g, "other-office", "/O=Makers/CN=office")
    refused(g, office.client("unlisted", "/O=Office/CN=unlisted", "ra"), name, "not listed")
    refused(g, office.client("bare", "/O=Office/CN=registrar", "client", key=key), name, "its key without id-kp-cmcRA")
    refused(g, office.client("server", "/O=Office/CN=registrar", "ra-server", key=key), name, "no clientAuth")
    refused(g, office.client("old", "/O=Office/CN=registrar", "ra", key=key, days=(-30, -1)), name, "expired")
    refused(g, office.client("soon", "/O=Office/CN=registrar", "ra", key=key, days=(1, 30)), name, "not yet in force")
    refused(g, office.client("namesake", "/O=Office/CN=registrar", "ra"), name, "listed by its key, and this is another")
    refused(g, files, name, "another endpoint", label="site")
    # The same key is the same registrar, whoever certified it anew.
    check(enrol(g, office.client("renewed", "/O=Office/CN=registrar", "ra", key=key), "renewed.site.example.com").certificate(),
          "renewed")
    by_name = join(os.path.join(g.folder, "by-name.pem"),
                   office.certify("desk", "/O=Office/CN=desk", "ra")[0], office.pem)
    g.run_tool("ra", "add", "desk", by_name, "--by-name", "--endpoint", "est", "--scope", "*.site.example.com")
    check(enrol(g, office.client("desk-2", "/O=Office/CN=desk", "ra"), "desk.site.example.com").certificate(), "another key")
    refused(g, stranger.client("desk", "/O=Office/CN=desk", "ra"), name, "of another authority with that name")
    refused(g, office.client("desk-3", "/O=Office/CN=desk", "ra", days=(-30, -1)), name, "expired")
    refused(g, office.client("desk-4", "/O=Office/CN=desk 4", "ra"), name, "another name")
    wrong = g.run_tool("ra", "add", "bare", os.path.join(office.folder, "bare.pem"), "--endpoint", "est", code=None)
    check(wrong.returncode != 0 and "id-kp-cmcRA" in wrong.stderr, f"{wrong.returncode} {wrong.stderr}")


def a_registrar_is_shut_out(g, files):
    """On a connection that is open; and what waits for it is not issued any more."""
    est = Est(g, certificate=files)
    sock, name = est.connect(), "hold.site.example.com"
    check(est.enroll(make_csr(new_key(), name, [name])).status == 202, "held")
    number = g.wait_pending(name)["id"]
    g.run_tool("ra", "revoke", "registrar")
    reply = est.enroll(make_csr(new_key(), "later.site.example.com", ["later.site.example.com"]))
    check(reply.status == 401 and est.connection and est.connection.sock is sock, f"shut out: {reply}")
    done = g.run_tool("approve", str(number), "--yes", code=None)
    check(done.returncode != 0, f"approved for who may not ask any more: {done.stdout}{done.stderr}")
    check([r["state"] for r in g.requests() if r["id"] == number] == ["pending"], "it was issued")
    check([r for r in g.tool_json("ra", "list")["credentials"] if r["name"] == "registrar"], "it is told of")
    est.close()


def only_certificates(g, maker):
    """Where nothing else helps, a client that shows none that is good is told so."""
    reply = enrol(g, None, "x.example.com", "by-hand")
    check(reply.status == 403 and b"certificate" in reply.body, str(reply))
    refused(g, maker.device("SN-7"), "sn-7.devices.example.com", "a device of nobody", status=403, label="by-hand")
    password = create_user(g, "dev", ["est-by-hand"], "*.example.com")
    reply = Est(g, "by-hand", user=("dev", password)).enroll(make_csr(new_key(), "x.example.com", ["x.example.com"]))
    check(reply.status == 403, f"a password that nobody asks for: {reply}")


def devices_and_registrars():
    with gatehouse(set_up=lambda g: add_est(g, ENDPOINTS), core="  administrators: [root]\n") as g:
        maker, office = Maker(g, "maker"), Authority(g, "office", "/O=Office/CN=office")
        with BouncyCastle(g) as bc:
            devices_enrol(g, maker, bc)
            files = registrars_enrol_for_others(g, office, bc)
        devices_are_refused(g, maker)
        a_maker_is_shut_out(g, maker)
        registrars_are_refused(g, office, files)
        a_registrar_is_shut_out(g, files)
        only_certificates(g, maker)


if __name__ == "__main__":
    main([devices_and_registrars])
