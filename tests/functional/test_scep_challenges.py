#!/usr/bin/python3
"""Challenges of SCEP: static ones, which many devices know, and what is in the subject of a request."""
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.name import _ASN1Type
from cryptography.x509.oid import AttributeOID, NameOID

from gatehouse import check, gatehouse, main
from scep_client import add_scep
from scep_raw import BAD_REQUEST, FAILURE, RENEWAL_REQ, SUCCESS, Scep, Sender, make_csr, new_key

UPN = x509.ObjectIdentifier("1.3.6.1.4.1.311.20.2.3")
UNSTRUCTURED_NAME = x509.ObjectIdentifier("1.2.840.113549.1.9.2")


def create(g, *words, code=0):
    """(what standard output says, what standard error does)"""
    done = g.run_tool("challenge", "create", "--endpoint", "scep", *words, code=code)
    return dict(line.split(None, 1) for line in done.stdout.splitlines()), done.stderr


def ask(scep, challenge, text):
    sender = Sender(new_key("ec"), text=text)
    return scep.send(sender, make_csr(sender.key, text, challenge))


def row(g, number):
    return next(c for c in g.tool_json("challenge", "list")["credentials"] if c["id"] == int(number))


def one_without_end(g, scep):
    made, said = create(g, "--scope", "dns:*.example", "--uses", "unlimited", "--ttl", "never", "--note", "all printers")
    check("until" not in made and "warning: whoever learns this challenge may ask with it as often as he likes for ever" in said,
          f"{made} {said}")
    for i in range(4):
        check(ask(scep, made["challenge"], f"static{i}.example").status == SUCCESS, f"request {i}")
    check(ask(scep, made["challenge"], "static.other").fail == BAD_REQUEST, "its scope does not count")
    found = row(g, made["id"])
    check(found["state"] == "valid" and found["used"] == 4 and "uses_left" not in found and "until" not in found, str(found))
    check("all printers" in g.run_tool("challenge", "list").stdout, "the table does not have it")
    g.run_tool("challenge", "revoke", made["id"])
    check(row(g, made["id"])["state"] == "revoked", str(row(g, made["id"])))
    check(ask(scep, made["challenge"], "late.example").status == FAILURE, "it is good after it was revoked")


def one_of_them_is_enough_to_warn(g, scep):
    for words, warns in ((("--ttl", "never"), "for ever"), (("--uses", "unlimited"), "as often as he likes"), ((), None)):
        made, said = create(g, "--scope", "dns:*.example", *words)
        check(("warning" in said) == bool(warns) and (warns or "") in said, f"{words}: {said}")
        found = row(g, made["id"])
        check(("until" in found) == ("never" not in words) and ("uses_left" in found) == ("unlimited" not in words), str(found))
    made, said = create(g, "--scope", "any")
    check("warning: it proves every name" in said, said)
    made, said = create(g)
    check("warning: it proves no name" in said, said)
    check(ask(scep, made["challenge"], "none.example").status == FAILURE, "without a scope it proves a name")
    for words in (("--ttl", "nevermore"), ("--uses", "0"), ("--uses", "any")):
        create(g, *words, code=2)


def long_ones_are_looked_at(g, scep):
    """Up to 4096 octets are a challenge, which here is unknown; more are none."""
    for n in 4096, 4097:
        reply = ask(scep, "x" * n, "long.example")
        check(reply.status == FAILURE and reply.fail == BAD_REQUEST, f"{n}: {reply.status} {reply.fail}")
        check(("longer than 4096" in reply.fail_text) == (n > 4096), f"{n}: {reply.fail_text}")


def upn(value):
    return x509.OtherName(UPN, b"\x0c" + bytes([len(value)]) + value.encode())


def principal_names(g, scep):
    """A user's certificate, as MDM systems ask for it: enrolled and renewed with the UPN, and only within the scope."""
    made, _ = create(g, "--scope", "upn:*@corp.example", "--scope", "CN=*", "--uses", "9")
    alice = upn("alice@corp.example")
    sender = Sender(new_key(), text="Alice")
    reply = scep.send(sender, make_csr(sender.key, "Alice", made["challenge"], names=[alice]))
    check(reply.status == SUCCESS, str(reply))
    certificate = reply.certificates(sender)[0]
    check(list(certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value) == [alice], "its names")
    check(scep.send(Sender(sender.key, certificate), make_csr(sender.key, "Alice", names=[alice])).status == SUCCESS, "renewed")
    for number, names in enumerate(([upn("alice@other.example")], [x509.RFC822Name("alice@corp.example")],
                                    [x509.OtherName(x509.ObjectIdentifier("1.2.3.4"), b"\x05\x00")])):
        sender = Sender(new_key(), text=f"Bob {number}")
        check(scep.send(sender, make_csr(sender.key, f"Bob {number}", made["challenge"], names=names)).status == FAILURE, str(names))
    check(len(g.tool_json("list", "san=upn:alice@corp.example")["requests"]) == 2, "the filter finds both")


def router_csr(key, text, challenge=None):
    """As a Cisco router makes it that was told no `fqdn none`: its host name is in the subject."""
    subject = x509.Name([x509.NameAttribute(UNSTRUCTURED_NAME, text, _ASN1Type.IA5String),
                         x509.NameAttribute(NameOID.COMMON_NAME, text)])
    builder = x509.CertificateSigningRequestBuilder().subject_name(subject)
    if challenge:
        builder = builder.add_attribute(AttributeOID.CHALLENGE_PASSWORD, challenge.encode())
    return builder.sign(key, hashes.SHA256()).public_bytes(Encoding.DER)


def a_router_has_its_host_name_in_the_subject(g, scep):
    text, sender = "router1.example", Sender()
    reply = scep.send(sender, router_csr(sender.key, text, create(g, "--scope", text)[0]["challenge"]))
    check(reply.fail_text.startswith(f"the credential does not prove unstructuredName={text} of the subject"), reply.fail_text)
    made, _ = create(g, "--scope", text, "--scope", "unstructuredName=*.example")
    reply = scep.send(sender, router_csr(sender.key, text, made["challenge"]))
    router = Sender(sender.key, reply.certificates(sender)[0])
    subject = {part.oid: part.value for part in router.certificate.subject}
    check(subject == {UNSTRUCTURED_NAME: text, NameOID.COMMON_NAME: text}, str(subject))
    key = new_key()
    reply = scep.send(router, router_csr(key, text), kind=RENEWAL_REQ)
    check(reply.certificates(router)[0].subject == router.certificate.subject, "it has another subject")
    reply = scep.send(router, make_csr(new_key(), text), kind=RENEWAL_REQ)
    check(reply.status == FAILURE and "ask anew for others" in reply.fail_text, f"{reply.status} {reply.fail_text}")


def static_challenges():
    with gatehouse(lambda g: add_scep(g, {"scep": ""})) as g:
        scep = Scep(g, "scep")
        for test in (one_without_end, one_of_them_is_enough_to_warn, long_ones_are_looked_at,
                     principal_names, a_router_has_its_host_name_in_the_subject):
            test(g, scep)


main([static_challenges])
