#!/usr/bin/python3
"""certbot, lego and uacme, unmodified, each get a certificate by http-01 that verifies strictly; certbot renews."""
import os
import subprocess

from clients import Certbot, lego, uacme
from gatehouse import DOMAIN, check, gatehouse, main


def san(pem):
    return subprocess.run(["openssl", "x509", "-in", pem, "-noout", "-ext", "subjectAltName"], capture_output=True,
                          text=True, check=True).stdout


def serial(pem):
    return subprocess.run(["openssl", "x509", "-in", pem, "-noout", "-serial"], capture_output=True, text=True,
                          check=True).stdout


def certbot_gets_and_renews():
    with gatehouse() as g:
        certbot = Certbot(g)
        pem = certbot.must_get(f"a.{DOMAIN}", f"b.{DOMAIN}")
        g.verify(pem)
        check(f"DNS:a.{DOMAIN}" in san(pem) and f"DNS:b.{DOMAIN}" in san(pem), san(pem))
        first = serial(pem)
        code, output = certbot.renew()
        check(code == 0, f"certbot renew: {output}")
        g.verify(pem)
        check(serial(pem) != first, "certbot renew brought the same certificate")
        check(len(g.tool_json("cert", "list")["certificates"]) == 3, "two certificates and the gateway's own")
        check(len(os.listdir(g.issued)) == 3, "the exit module wrote one file for each")


def certbot_trusts_what_ca_show_prints():
    with gatehouse(key_type="rsa-3072") as g:
        shown = g.tool_json("ca", "show")["cas"][0]["certificate"]
        with open(g.root, "w") as f:
            f.write(shown)
        g.verify(Certbot(g).must_get(f"rsa.{DOMAIN}"))


def lego_gets_one():
    with gatehouse() as g:
        pem = lego(g, f"lego.{DOMAIN}", f"second.{DOMAIN}")
        g.verify(pem)
        check(f"DNS:second.{DOMAIN}" in san(pem), san(pem))


def uacme_gets_one():
    with gatehouse(key_type="ec-p384") as g:
        g.verify(uacme(g, f"uacme.{DOMAIN}"))


main([certbot_gets_and_renews, certbot_trusts_what_ca_show_prints, lego_gets_one, uacme_gets_one])
