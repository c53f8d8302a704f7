"""Endpoints of protocol mdm for tests, and a client that reads them as MDM systems do."""
import http.client
import json
import re
import ssl

from est_client import Reply, basic
from gatehouse import check, free_ports

PAGE = "/certsrv/mscep_admin/"
# As fleet has it.
CHALLENGE = re.compile(r"(?i)The enrollment challenge password is: <B> (?P<password>\S*)")
FULL = "The password cache is full."
NOT_PERMITTED = "You do not have sufficient permission to enroll with SCEP."


def add_mdm(g, endpoints):
    """A TLS listener with these endpoints: {name: (path, options as YAML)}."""
    (g.mdm_port,) = free_ports(1)
    text = ""
    for name, (path, more) in endpoints.items():
        more = "".join(f"    {line}\n" for line in more.splitlines())
        text += f"  - name: {name}\n    protocol: mdm\n    path: {path}\n    ca: Test CA\n{more}"
    with open(g.config, encoding="utf-8") as f:
        config = f.read()
    config = config.replace("listeners:\n", f"""{text}listeners:
  - name: mdm
    address: 127.0.0.1
    port: {g.mdm_port}
    names: [localhost, 127.0.0.1]
    endpoints: [{", ".join(endpoints)}]
""", 1)
    with open(g.config, "w", encoding="utf-8") as f:
        f.write(config)


def create_user(g, name, *scope, delegates=5, endpoint="scep", more=()):
    """A user who may have so many challenges waiting; his name and password."""
    words = [word for s in scope for word in ("--scope", s)]
    words += ["--delegates", str(delegates)] if delegates else []
    made = g.tool_json("user", "create", name, "--endpoint", endpoint, *words, *more, "--generate")
    return name, made["secret"]


class Mdm:
    def __init__(self, g, user=None, token=None):
        self.g, self.context = g, ssl.create_default_context(cafile=g.root)
        self.headers = basic(*user) if user else {"Authorization": "Bearer " + token} if token else {}

    def ask(self, method, target, body=None, headers=None):
        connection = http.client.HTTPSConnection("localhost", self.g.mdm_port, context=self.context, timeout=60)
        connection.request(method, target, body=body, headers=self.headers | (headers or {}))
        r = connection.getresponse()
        reply = Reply(r.status, r.headers, r.read())
        connection.close()
        return reply

    def page(self, target=PAGE):
        """The page as text."""
        reply = self.ask("GET", target)
        check(reply.status == 200, f"{reply.status} {reply.body!r}{self.g.log_tail()}")
        check(reply.headers["Content-Type"] == "text/html; charset=utf-16", str(reply.headers))
        check(reply.headers["Cache-Control"] == "no-store", str(reply.headers))
        check(reply.body[:2] == b"\xff\xfe", f"{reply.body[:8]!r}")
        return reply.body[2:].decode("utf-16-le")

    def challenge(self, target=PAGE):
        text = self.page(target)
        found = CHALLENGE.search(text)
        check(found and re.fullmatch("[0-9A-F]{32}", found["password"]), text)
        return found["password"]

    def webhook(self, device=None, event="SCEPChallenge", path="/certsrv/jamf", **more):
        body = {"webhook": {"id": 1, "name": "challenge", "webhookEvent": event, "eventTimestamp": 1800000000000},
                "event": {"scepServerUrl": "http://localhost/scep", "payloadIdentifier": "1",
                          "payloadTypes": ["com.apple.security.scep"]}}
        if device is not None:
            body["event"]["targetDevice"] = device
        return self.ask("POST", path, json.dumps(body), {"Content-Type": "application/json"} | more)
