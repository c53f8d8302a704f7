"""A small ACME client for load and for wrong messages: every octet it sends can be chosen."""
import base64
import http.client
import http.server
import json
import socketserver
import ssl
import threading
import time

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.x509.oid import NameOID


def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


class Responder:
    """Answers http-01 for every token, with the key authorizations it was told."""

    def __init__(self, port):
        self.answers = {}
        responder = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                answer = responder.answers.get(self.path.rsplit("/", 1)[-1])
                self.send_response(200 if answer else 404)
                self.send_header("Content-Length", str(len(answer or "")))
                self.end_headers()
                self.wfile.write((answer or "").encode())

            def log_message(self, *args):
                pass

        class Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
            daemon_threads = True
            allow_reuse_address = True
            request_queue_size = 128

        self.server = Server(("127.0.0.1", port), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()


class Problem(Exception):
    def __init__(self, status, document, headers):
        super().__init__(f"{status} {document}")
        self.status, self.document, self.headers = status, document, headers


class Client:
    def __init__(self, g, responder, key=None):
        self.g, self.responder = g, responder
        self.use_key(key or ec.generate_private_key(ec.SECP256R1()))
        self.context = ssl.create_default_context(cafile=g.root)
        self.connection = None
        self.nonce = self.kid = None

    def use_key(self, key):
        self.key = key
        numbers = self.key.public_key().public_numbers()
        self.jwk = {"crv": "P-256", "kty": "EC", "x": b64(numbers.x.to_bytes(32, "big")),
                    "y": b64(numbers.y.to_bytes(32, "big"))}
        digest = hashes.Hash(hashes.SHA256())
        digest.update(json.dumps(self.jwk, sort_keys=True, separators=(",", ":")).encode())
        self.thumbprint = b64(digest.finalize())

    # ---- HTTP ----

    def request(self, method, url, body=None, headers=None):
        path = "/" + url.split("/", 3)[3]
        if self.connection is None:
            self.connection = http.client.HTTPSConnection("localhost", self.g.port, context=self.context, timeout=30)
        try:
            self.connection.request(method, path, body=body, headers=headers or {})
            reply = self.connection.getresponse()
            data = reply.read()
        except Exception:
            self.connection.close()
            self.connection = None
            raise
        self.nonce = reply.headers.get("Replay-Nonce", self.nonce)
        return reply, data

    # ---- JWS ----

    def sign(self, signed):
        r, s = decode_dss_signature(self.key.sign(signed, ec.ECDSA(hashes.SHA256())))
        return r.to_bytes(32, "big") + s.to_bytes(32, "big")

    def message(self, protected, payload):
        p = b64(json.dumps(protected).encode())
        q = "" if payload is None else b64(json.dumps(payload).encode())
        return {"protected": p, "payload": q, "signature": b64(self.sign(f"{p}.{q}".encode()))}

    def jws(self, url, payload, nonce=None, **header):
        protected = {"alg": "ES256", "nonce": nonce or self.nonce, "url": url}
        protected.update({"kid": self.kid} if self.kid else {"jwk": self.jwk})
        protected.update(header)
        return json.dumps(self.message(protected, payload))

    def post(self, url, payload=None):
        for _ in range(3):
            if not self.nonce:
                self.request("HEAD", self.directory["newNonce"])
            body = self.jws(url, payload)
            self.nonce = None
            reply, data = self.request("POST", url, body, {"Content-Type": "application/jose+json"})
            if reply.status < 400:
                return reply, data
            problem = json.loads(data)
            if problem.get("type", "").endswith(":badNonce"):
                continue
            raise Problem(reply.status, problem, reply.headers)
        raise Problem(reply.status, problem, reply.headers)

    # ---- ACME ----

    def start(self):
        _, data = self.request("GET", self.g.directory)
        self.directory = json.loads(data)
        self.nonce = None
        reply, _ = self.post(self.directory["newAccount"], {"termsOfServiceAgreed": True})
        self.kid = reply.headers["Location"]
        return self

    def change_key(self, key=None):
        """The account gets this key, or one that is made now; from then on it signs."""
        new = Client(self.g, self.responder, key)
        url = self.directory["keyChange"]
        claim = {"account": self.kid, "oldKey": self.jwk}
        reply = self.post(url, new.message({"alg": "ES256", "jwk": new.jwk, "url": url}, claim))
        self.use_key(new.key)
        return reply

    def deactivate(self):
        return self.post(self.kid, {"status": "deactivated"})

    def revoke(self, pem, reason=None, key=None):
        """By the account, or by `key`, which is the certificate's own."""
        der = x509.load_pem_x509_certificate(pem.encode()).public_bytes(serialization.Encoding.DER)
        payload = {"certificate": b64(der), **({} if reason is None else {"reason": reason})}
        if key is None:
            return self.post(self.directory["revokeCert"], payload)
        other = Client(self.g, self.responder, key)
        other.directory = self.directory
        return other.post(self.directory["revokeCert"], payload)

    def order(self, *names):
        reply, data = self.post(self.directory["newOrder"],
                                {"identifiers": [{"type": "dns", "value": name} for name in names]})
        return reply.headers["Location"], json.loads(data)

    def prove(self, order, wait_s=20):
        for url in order["authorizations"]:
            authorization = json.loads(self.post(url)[1])
            if authorization["status"] == "valid":
                continue
            challenge = [c for c in authorization["challenges"] if c["type"] == "http-01"][0]
            self.responder.answers[challenge["token"]] = f"{challenge['token']}.{self.thumbprint}"
            self.post(challenge["url"], {})
            end = time.monotonic() + wait_s
            while (status := json.loads(self.post(url)[1])["status"]) == "pending":
                if time.monotonic() > end:
                    raise TimeoutError("the authorization stays pending")
                time.sleep(0.05)
            if status != "valid":
                raise RuntimeError(f"the authorization is {status}")

    def csr(self, *names, cn=None):
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, cn)] if cn else [])
        builder = x509.CertificateSigningRequestBuilder().subject_name(subject)
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(n) for n in names]), False)
        return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.DER)

    def finalize(self, order, csr):
        return json.loads(self.post(order["finalize"], {"csr": b64(csr)})[1])

    def poll(self, location, wait_s=20):
        end = time.monotonic() + wait_s
        while (order := json.loads(self.post(location)[1]))["status"] == "processing":
            if time.monotonic() > end:
                break
            time.sleep(0.05)
        return order

    def get_certificate(self, *names):
        """The PEM chain of a new certificate for the names."""
        return self.get_order(*names)[2]

    def get_order(self, *names):
        """URLs of a new order and of its certificate, and the PEM chain."""
        location, order = self.order(*names)
        self.prove(order)
        order = self.finalize(order, self.csr(*names))
        if order["status"] == "processing":
            order = self.poll(location)
        if order["status"] != "valid":
            raise RuntimeError(f"the order is {order['status']}: {order.get('error')}")
        return location, order["certificate"], self.post(order["certificate"])[1].decode()
