#!/usr/bin/python3
"""Makers of devices and registration authorities are listed by their certificates, with the tool."""
import datetime
import os

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from gatehouse import check, gatehouse, main

PEM, DER = serialization.Encoding.PEM, serialization.Encoding.DER
RA = [ExtendedKeyUsageOID.CLIENT_AUTH, x509.ObjectIdentifier("1.3.6.1.5.5.7.3.28")]


def make(name, is_ca=False, purposes=None):
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.datetime.utcnow()
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    builder = (x509.CertificateBuilder().subject_name(subject).issuer_name(subject).public_key(key.public_key())
               .serial_number(x509.random_serial_number()).not_valid_before(now - datetime.timedelta(days=1))
               .not_valid_after(now + datetime.timedelta(days=30))
               .add_extension(x509.BasicConstraints(is_ca, None), True))
    if purposes:
        builder = builder.add_extension(x509.ExtendedKeyUsage(purposes), False)
    return builder.sign(key, hashes.SHA256())


def save(g, name, encoding, *certificates):
    path = os.path.join(g.folder, name)
    with open(path, "wb") as f:
        for certificate in certificates:
            f.write(certificate.public_bytes(encoding))
    return path


def vendors(g):
    anchors = save(g, "anchors.pem", PEM, make("Maker 1", True), make("Maker 2", True))
    device = save(g, "device.pem", PEM, make("device"))
    made = g.tool_json("vendor", "add", "maker", anchors, "--endpoint", "acme", "--scope", "CN={serialNumber}")
    check(made["kind"] == "vendor" and made["name"] == "maker" and "secret" not in made, made)
    said = g.run_tool("vendor", "add", "maker", anchors, "--endpoint", "acme", code=2).stderr
    check("is or was somebody's" in said, said)
    said = g.run_tool("vendor", "add", "device", device, "--endpoint", "acme", code=2).stderr
    check("is not that of an authority" in said, said)
    said = g.run_tool("vendor", "add", "none", g.folder + "/nothing", "--endpoint", "acme", code=1).stderr
    check("cannot read the certificates in /" in said and "because: No such file or directory" in said, said)
    row, = g.tool_json("vendor", "list")["credentials"]
    check(row["note"] == "CN=Maker 1" and row["scope"] == ["CN={serialNumber}"] and row["state"] == "valid", row)
    g.run_tool("vendor", "revoke", "maker")
    check(g.tool_json("vendor", "list")["credentials"][0]["state"] == "revoked", "revoked")


def authorities(g):
    ra = save(g, "ra.der", DER, make("registrar", purposes=RA))
    client = save(g, "client.der", DER, make("client", purposes=RA[:1]))
    issuer = save(g, "both.pem", PEM, make("registrar 2", purposes=RA), make("RA CA", True))
    check(g.tool_json("ra", "add", "reg", ra, "--endpoint", "acme", "--scope", "any")["kind"] == "ra", "added")
    said = g.run_tool("ra", "add", "client", client, "--endpoint", "acme", code=2).stderr
    check("id-kp-cmcRA" in said, said)
    said = g.run_tool("ra", "add", "two", issuer, "--endpoint", "acme", code=2).stderr
    check("its own certificate alone" in said, said)
    g.run_tool("ra", "add", "two", issuer, "--by-name", "--endpoint", "acme")
    check([row["name"] for row in g.tool_json("ra", "list")["credentials"]] == ["reg", "two"], "listed")
    check("any" in g.run_tool("status").stdout, "status tells of a scope that is any name")


def are_listed_by_the_tool():
    with gatehouse(core="  administrators: [root]\n") as g:
        vendors(g)
        authorities(g)


if __name__ == "__main__":
    main([are_listed_by_the_tool])
