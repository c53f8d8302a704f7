#!/usr/bin/python3
"""SCEP messages that come again: the same request brings the same certificate, and another request of the same transaction a
certificate of its own, because clients make the transaction's name of their key."""
import time

from gatehouse import check, gatehouse, main
from scep_client import add_scep, create_challenge, key_of
from scep_raw import BAD_REQUEST, FAILURE, PENDING, RENEWAL_REQ, SUCCESS, Scep, Sender, make_csr, new_key, pki_message

SCOPE = "dns:*.example"


class Place:
    def __init__(self, g):
        self.g, self.scep = g, Scep(g, "scep")

    def challenge(self, uses=1):
        return create_challenge(self.g, "scep", SCOPE, more=("--uses", str(uses)))

    def count(self):
        return sum(r["state"] == "issued" and any("example" in n for n in r["names"]) for r in self.g.requests())

    def send(self, sender, octets, **options):
        """A message of its own each time, as by a client that starts again; what it brings."""
        reply = self.scep.send(sender, octets, **options)
        check(reply.status == SUCCESS, f"{reply.status} {reply.fail} {reply.fail_text}{self.g.log_tail()}")
        return reply.certificates(sender)


def a_reply_that_was_lost_is_sent_again(p):
    """A challenge for many would bring another one each time."""
    sender = Sender()
    octets = make_csr(sender.key, "lost.example", p.challenge(uses=9))
    before = p.count()
    first = p.send(sender, octets, transaction=b"lost")
    for _ in range(3):
        check(p.send(sender, octets, transaction=b"lost") == first, "another certificate for the same request")
    # The certificate that a client makes by itself may be another one each time.
    check(p.send(Sender(sender.key, text="other"), octets, transaction=b"lost") == first, "another self-made certificate")
    check(p.count() == before + 1, "it was issued again")
    check(p.send(sender, octets, transaction=b"not lost") != first, "another transaction brings the same")
    # Nor is it forgotten when the core is started again.
    p.g.kill_role("core")
    message = pki_message(sender, p.scep.envelope(octets), transaction=b"lost")
    end = time.monotonic() + 30
    while (reply := p.scep.post(message)).code == 503 and time.monotonic() < end:
        time.sleep(0.1)
    check(reply.read(p.scep.ra).certificates(sender) == first, "another certificate after a start")


def another_request_is_not_a_repeat(p):
    """Of the same key, in the same transaction, with other names: it brings what it asks for."""
    sender = Sender()
    challenge = p.challenge(uses=9)
    first = p.send(sender, make_csr(sender.key, "one.example", challenge), transaction=b"again")
    second = p.send(sender, make_csr(sender.key, "two.example", challenge), transaction=b"again")
    check(first != second and "two.example" in second[0].subject.rfc4514_string(), "the one before")
    third = make_csr(sender.key, "one.example", challenge, dns=["one.example", "three.example"])
    check(p.send(sender, third, transaction=b"again") not in (first, second), "the one before")
    # A challenge that is spent brings no other one, however the request is called.
    spent = p.challenge()
    p.send(sender, make_csr(sender.key, "spent.example", spent), transaction=b"spent")
    before = p.count()
    reply = p.scep.send(sender, make_csr(sender.key, "spent-too.example", spent), transaction=b"spent")
    check((reply.status, reply.fail) == (FAILURE, BAD_REQUEST), f"{reply.status} {reply.fail_text}")
    check(p.count() == before, "it was issued")


def renewals_go_by_what_they_renew(p):
    """A client that keeps its key names each renewal alike; the certificate that signs tells them apart."""
    key = new_key()
    first = Sender(key)
    octets = make_csr(key, "renews.example", p.challenge())
    owner = Sender(key, p.send(first, octets, transaction=b"by key")[0])
    octets = make_csr(key, "renews.example")
    renewed = p.send(owner, octets, transaction=b"by key", kind=RENEWAL_REQ)
    check(renewed[0] != owner.certificate, "a renewal brings the one that it renews")
    check(p.send(owner, octets, transaction=b"by key", kind=RENEWAL_REQ) == renewed, "its repeat is another renewal")
    check(p.send(owner, octets, transaction=b"by key") == renewed, "as PKCSReq it is another renewal")
    again = p.send(Sender(key, renewed[0]), octets, transaction=b"by key", kind=RENEWAL_REQ)
    check(again[0] not in (renewed[0], owner.certificate), "the successor brings what it succeeded")
    # Rekeyed, and rekeyed anew: two keys, two certificates.
    keys = [new_key() for _ in range(2)]
    rekeyed = [p.send(owner, make_csr(k, "renews.example"), transaction=b"rekeyed", kind=RENEWAL_REQ)[0] for k in keys]
    check([key_of(c) for c in rekeyed] == [key_of(k) for k in keys], "another key than was asked for")


def what_is_held_stays_one_request(p):
    """Signed anew or not: an EC signature is another one each time."""
    sender = Sender(new_key("ec"))
    challenge = p.challenge()

    def ask():
        return p.scep.send(sender, make_csr(sender.key, "hold-repeats.example", challenge), transaction=b"held")

    check(ask().status == PENDING, "it is not held")
    number = p.g.wait_pending("hold-repeats.example")["id"]
    for _ in range(3):
        check(ask().status == PENDING, "a request of its own")
    check([r["id"] for r in p.g.pending() if "hold-repeats.example" in r["names"]] == [number], "it is held twice")


def what_was_denied_is_denied_for_its_names(p):
    """The device asks again with its key, in its transaction, for what it should have asked for."""
    sender = Sender()
    challenge = p.challenge(uses=9)
    wrong = make_csr(sender.key, "hold-wrong.example", challenge)

    def ask(octets):
        return p.scep.send(sender, octets, transaction=b"denied")

    def denied(reply):
        check((reply.status, reply.fail) == (FAILURE, BAD_REQUEST) and "no such printer" in reply.fail_text,
              f"{reply.status} {reply.fail} {reply.fail_text}")

    check(ask(wrong).status == PENDING, "it is not held")
    number = p.g.wait_pending("hold-wrong.example")["id"]
    p.g.run_tool("deny", str(number), "--reason", "no such printer")
    denied(ask(wrong))
    right = ask(make_csr(sender.key, "right.example", challenge))
    check(right.status == SUCCESS, f"{right.fail} {right.fail_text}")
    check("right.example" in right.certificates(sender)[0].subject.rfc4514_string(), "another certificate")
    # For those names it is denied still, however the request is signed, and no officer sees it again.
    denied(ask(wrong))
    denied(ask(make_csr(sender.key, "hold-wrong.example", challenge)))
    check([r["id"] for r in p.g.requests() if "hold-wrong.example" in r["names"]] == [number], "there is another row")
    # A challenge for one request was spent with the one that was denied.
    sender, once = Sender(), p.challenge()
    check(ask(make_csr(sender.key, "hold-once.example", once)).status == PENDING, "it is not held")
    p.g.run_tool("deny", str(p.g.wait_pending("hold-once.example")["id"]))
    reply = ask(make_csr(sender.key, "once.example", once))
    check((reply.status, reply.fail) == (FAILURE, BAD_REQUEST), f"{reply.status} {reply.fail_text}")
    reply = ask(make_csr(sender.key, "once.example", p.challenge()))
    check(reply.status == SUCCESS, f"{reply.fail} {reply.fail_text}")


def repeats():
    with gatehouse(lambda g: add_scep(g, {"scep": ""})) as g:
        p = Place(g)
        for test in (a_reply_that_was_lost_is_sent_again, another_request_is_not_a_repeat,
                     renewals_go_by_what_they_renew, what_is_held_stays_one_request,
                     what_was_denied_is_denied_for_its_names):
            test(p)
            print(f"  {test.__name__}", flush=True)


main([repeats])
