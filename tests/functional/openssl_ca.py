"""Authorities of others, made with openssl: of makers of devices, of registration authorities, of impostors."""
import datetime
import os

from est_client import run

CONFIG = """[ca]
default_ca = here
[here]
database = {folder}/index
new_certs_dir = {folder}
rand_serial = yes
unique_subject = no
default_md = sha256
policy = subject
email_in_dn = no
[subject]
organizationName = optional
commonName = optional
serialNumber = optional
[authority]
basicConstraints = critical, CA:TRUE
keyUsage = critical, keyCertSign, cRLSign
subjectKeyIdentifier = hash
[below]
basicConstraints = critical, CA:TRUE, pathlen:0
keyUsage = critical, keyCertSign, cRLSign
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
[device]
basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
[client]
basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature
extendedKeyUsage = clientAuth
[ra]
basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature
extendedKeyUsage = clientAuth, 1.3.6.1.5.5.7.3.28
[ra-server]
basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature
extendedKeyUsage = serverAuth, 1.3.6.1.5.5.7.3.28
"""


def new_key_file(path):
    run("openssl", "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", path)
    return path


def join(path, *parts):
    """A file with all of these behind each other."""
    with open(path, "wb") as out:
        for part in parts:
            with open(part, "rb") as f:
                out.write(f.read())
    return path


class Authority:
    """A key and its certificate: a root, or signed by `above`."""

    def __init__(self, g, name, subject=None, above=None):
        self.folder = os.path.join(g.folder, name)
        os.makedirs(self.folder)
        with open(os.path.join(self.folder, "index"), "w", encoding="ascii"):
            pass
        self.config = os.path.join(self.folder, "config")
        with open(self.config, "w", encoding="ascii") as f:
            f.write(CONFIG.format(folder=self.folder))
        self.key, self.pem = new_key_file(os.path.join(self.folder, "ca.key")), None
        subject = subject or f"/O=Makers/CN={name}"
        if above:
            self.pem, _ = above.certify(name, subject, "below", key=self.key)
        else:
            self.pem = self.sign("ca", subject, "authority", self.key, (-30, 300), "-selfsign")

    def sign(self, name, subject, section, key, days, *how):
        csr, pem = (os.path.join(self.folder, name + end) for end in (".csr", ".pem"))
        run("openssl", "req", "-new", "-key", key, "-subj", subject, "-out", csr, "-utf8")
        begin, end = ((datetime.datetime.utcnow() + datetime.timedelta(days=d)).strftime("%Y%m%d%H%M%SZ") for d in days)
        run("openssl", "ca", "-batch", "-notext", "-config", self.config, "-in", csr, "-keyfile", self.key, "-extensions",
            section, "-startdate", begin, "-enddate", end, "-out", pem, "-preserveDN",
            *(how or ("-cert", self.pem)))
        return pem

    def certify(self, name, subject, section="device", key=None, days=(-2, 30)):
        """(certificate, key): files. `days`: from when until when, from now."""
        key = key or new_key_file(os.path.join(self.folder, name + ".key"))
        return self.sign(name, subject, section, key, days), key

    def client(self, name, subject, section="device", key=None, days=(-2, 30), chain=()):
        """The same as a TLS client shows it, with the certificates of these authorities behind it."""
        pem, key = self.certify(name, subject, section, key, days)
        return join(os.path.join(self.folder, name + "-chain.pem"), pem, *(a.pem for a in chain)), key
