#!/usr/bin/python3
"""SCEP clients of Debian, unmodified, against one listener: strongSwan's pki."""
from gatehouse import check, gatehouse, main
from scep_client import Strongswan, add_scep, create_challenge


def strongswan_enrols():
    with gatehouse(lambda g: add_scep(g, {"scep": ""})) as g:
        client = Strongswan(g, "scep")
        challenge = create_challenge(g, "scep", "dns:*.example")
        pem, _ = client.enrol("router.example", challenge)
        g.verify(pem)


main([strongswan_enrols])
