"""The shipped ACL: each name in a certificate may say and hear exactly what the design says."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from vouchbox.messages import Outgoing, Published

pytestmark = pytest.mark.mosquitto

ROOT = "vouchbox/v1/lab/one"
NOT_AUTHORISED = 0x87


@pytest.mark.parametrize(
    ("who", "word", "allowed"),
    [
        ("box", "verdict", True),
        ("box", "verdict/replica-7", True),
        ("box", "template", True),
        ("box", "withdrawal", True),
        ("box", "status", True),
        ("box", "request", False),
        ("box", "ack", False),
        ("other_box", "verdict", False),
        ("other_box", "status", False),
        ("other_box", "ack", False),
        ("party", "request", True),
        ("party", "ack", True),
        ("party", "verdict", False),
        ("party", "template", False),
        ("party", "status", False),
        ("enrolment", "ack", True),
        ("enrolment", "request", False),
        ("enrolment", "template", False),
    ],
)
def test_who_may_write_what(client: Callable[..., Any], pki: Any, who: str, word: str, allowed: bool) -> None:
    code = client(getattr(pki, who)).publish(f"{ROOT}/{word}", b"x")
    assert (code != NOT_AUTHORISED) is allowed
    assert (code < 0x80) is allowed


@pytest.mark.parametrize(
    ("who", "heard"),
    [
        ("box", {"request", "ack"}),
        ("other_box", set()),
        ("party", {"verdict", "verdict/replica-7", "withdrawal", "status"}),
        ("enrolment", {"verdict", "verdict/replica-7", "template"}),
    ],
)
def test_who_hears_what(client: Callable[..., Any], pki: Any, who: str, heard: set[str]) -> None:
    listener = client(getattr(pki, who))
    listener.subscribe("vouchbox/v1/#")
    box, party = client(pki.box), client(pki.party)
    for word in ("verdict", "verdict/replica-7", "template", "withdrawal", "status"):
        assert box.publish(f"{ROOT}/{word}", b"x") < 0x80
    for word in ("request", "ack"):
        assert party.publish(f"{ROOT}/{word}", b"x") < 0x80
    # The end marker travels the same way behind the others: to a topic that this listener may read.
    own = {"box": (party, "request"), "other_box": (party, None)}.get(who, (box, "verdict"))
    sender, word = own
    root = "vouchbox/v1/lab/two" if who == "other_box" else ROOT
    sender.publish(f"{root}/{word or 'request'}", b"end")
    got = set()
    while (message := listener.next()).payload != b"end":
        got.add(message.topic.removeprefix(f"{ROOT}/"))
    assert got == heard


def test_a_refusal_by_the_acl_reaches_the_vault_as_its_reason_code(
    broker: Any, settings: Callable[..., Any], start: Callable[..., Any], pki: Any
) -> None:
    # A box that was given another box's certificate: the broker knows it by that name.
    config = settings(broker.port, certificate=pki.other_box.certificate, key=pki.other_box.key)
    box = start(config)
    box.vault.until_state(connected=True)
    box.vault.send(Outgoing(row=1, topic=f"{ROOT}/verdict", payload=b"v", content_type="application/eat+jwt"))
    answer = box.vault.next()
    assert isinstance(answer, Published)
    assert (answer.row, answer.reason_code) == (1, NOT_AUTHORISED)
